/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The load generator's wire with an engine at its end instead of sockets, and a clock that stands still while anything
 * is to be done: the same calls take the same instructions.
 */
#include "bench/engine/bench_engine.h"

#include "bench/call/call.h"
#include "core/b2b/engine.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX 65536
#define CALLS 4096
#define STORE_RECORD_BYTES 2048

struct datagram {
    enum party to;
    uint16_t n;
    char *bytes;
};

static struct {
    uint64_t now_us, spent_ns, steps;
    struct engine *e;
    struct store *store;
    struct outbox out;
    struct addr addr, parties[PARTIES];
    struct datagram queue[QUEUE_MAX];
    uint32_t first, waiting;
    bool records;
    uint32_t calls_max;
    uint8_t *memory; /* the engine's and the store's */
    uint32_t withhold, withheld; /* transfers; 0: none */
    struct engine_config config;
} w = { .now_us = 1000000, .calls_max = CALLS };
static char room[WIRE_MESSAGE_MAX];

void bench_engine_records(bool on) {
    w.records = on;
}

void bench_engine_calls_max(uint32_t calls) {
    w.calls_max = calls;
}

void bench_engine_withhold(uint32_t transfers) {
    w.withhold = transfers;
    w.calls_max = 4 * transfers + 64; /* far from full, where new ones are refused */
}

uint64_t clock_us(void) {
    return w.now_us;
}

static uint64_t real_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the engine */

static void to_party(struct out *o) {
    unsigned p = 0;
    while (p < PARTIES && !addr_eq(&o->u.send.dst, &w.parties[p]))
        p++;
    struct datagram *d = &w.queue[(w.first + w.waiting) % QUEUE_MAX];
    if (p < PARTIES && w.waiting < QUEUE_MAX && (d->bytes = malloc(o->u.send.buf->len))) {
        d->to = (enum party)p;
        d->n = (uint16_t)o->u.send.buf->len;
        memcpy(d->bytes, o->u.send.buf->data, d->n);
        w.waiting++;
    }
    buf_unref(engine_bufs(w.e), &o->u.send.buf);
}

static void empty_outbox(void) {
    for (uint32_t i = 0; i < w.out.n; i++) {
        struct out *o = &w.out.entries[i];
        if (o->kind == OUT_SEND) {
            to_party(o);
        } else if (o->kind == OUT_STORE) {
            if (!w.config.shared) /* the heir's store does not answer: it only reads */
                store_submit(w.store, &o->u.store, w.now_us / 1000);
            buf_unref(engine_bufs(w.e), &o->u.store.key);
            buf_unref(engine_bufs(w.e), &o->u.store.value);
        } else if (o->kind == OUT_CDR) {
            buf_unref(engine_bufs(w.e), &o->u.cdr.buf);
        }
    }
    w.out.n = 0;
}

static void timed_step(struct engine *e, struct event *ev) {
    ev->mono_us = w.now_us;
    ev->wall_ms = 1800000000000 + w.now_us / 1000;
    uint64_t from = real_ns();
    engine_step(e, ev, &w.out);
    w.spent_ns += real_ns() - from;
    w.steps++;
}

static void step(struct event *ev) {
    struct event answer;
    timed_step(w.e, ev);
    empty_outbox();
    while (store_answer(w.store, &answer))
        step(&answer);
}

void bench_engine_step(struct engine *e, struct event *ev) {
    w.e = e;
    timed_step(e, ev);
    empty_outbox();
}

void bench_engine_cost(struct engine_cost *out) {
    out->ns = w.spent_ns;
    out->steps = w.steps;
    engine_census(w.e, &out->census);
}

/* Zeroed memory for what `lay_out` takes; a mapping with none beside it, for bench_engine_memory. */
static bool make(void (*lay_out)(struct arena *)) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct arena a;
    arena_init(&a, NULL, 0);
    lay_out(&a);
    size_t need = (a.used + page - 1) & ~(page - 1);
    uint8_t *memory = mmap(NULL, need + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + page, need, PROT_READ | PROT_WRITE) != 0)
        return false;
    w.memory = memory + page;
    arena_init_zeroed(&a, w.memory, need);
    lay_out(&a);
    return true;
}

/* Pages that were only read are not counted: all are one page of the kernel's. */
static uint64_t resident(void) {
    char line[256], from[32];
    unsigned long kib = 0;
    bool here = false;
    FILE *f = fopen("/proc/self/smaps", "re");
    snprintf(from, sizeof from, "%lx-", (unsigned long)(uintptr_t)w.memory);
    while (f && fgets(line, sizeof line, f)) {
        here = here || strncmp(line, from, strlen(from)) == 0;
        if (here && sscanf(line, "Rss: %lu", &kib) == 1)
            break;
    }
    if (f)
        fclose(f);
    return kib * 1024;
}

void bench_engine_memory(struct engine_memory *out) {
    const struct buf_pool *b = engine_bufs(w.e);
    *out = (struct engine_memory){ .resident = resident() };
    for (unsigned c = 0; c < BUF_CLASSES; c++)
        out->bufs += (uint64_t)b->used[c] * (sizeof(struct buf) + b->cap[c]);
}

static void lay_out_engine(struct arena *a) {
    w.e = engine_new(a, &w.config, w.now_us, 1800000000000);
}

static void lay_out_both(struct arena *a) {
    lay_out_engine(a);
    w.store = store_memory_new(a, w.calls_max, w.calls_max * STORE_RECORD_BYTES, w.config.seed);
}

struct store *bench_engine_store(void) {
    return w.store;
}

struct engine *bench_engine_heir(void) {
    w.config.shared = true;
    w.config.node = 2;
    return make(lay_out_engine) ? w.e : NULL;
}

static bool open_engine(void) {
    static struct route_config routes[2];
    static struct peer_config peer;
    struct engine_config c;
    engine_config_defaults(&c);
    c.records = w.records;
    c.durability = w.withhold ? DURABILITY_CONFIRMED : DURABILITY_OFF;
    c.sip_addr = w.addr;
    c.media_addr = w.addr;
    c.calls_max = w.calls_max;
    c.txns_max = 16 * w.calls_max;
    c.media_quarantine_us = 1000;
    c.media_port_min = 10000;
    c.media_port_max = 59999;
    for (int i = 0; i < 2; i++) {
        routes[i].next_hop = w.parties[PARTY_B + i];
        memcpy(routes[i].prefix, i ? "c" : "b", 2);
        memcpy(routes[i].name, "bench", 6);
    }
    peer.net = w.addr;
    peer.bits = 8;
    peer.trusted = true;
    memcpy(peer.name, "bench", 6);
    c.policy.routes = routes;
    c.policy.route_count = 2;
    c.policy.peers = &peer;
    c.policy.peer_count = 1;
    c.trace_level = TRACE_INFO;
    w.config = c;
    return make(lay_out_both);
}

/* ---- the wire */

bool wire_open(struct load *l) {
    w.addr = (struct addr){ .ip = { 127, 0, 0, 1 }, .family = ADDR_V4, .port = 5060 };
    for (unsigned p = 0; p < PARTIES; p++) {
        struct sbuf b = sbuf_on(l->host[p].s, sizeof l->host[p].s);
        w.parties[p] = l->addr[p] = w.addr;
        w.parties[p].port = l->addr[p].port = (uint16_t)(7000 + p);
        l->o.target[p] = w.addr;
        addr_put(&b, &l->addr[p]);
        l->host[p].n = (uint16_t)b.n;
    }
    struct sbuf d = sbuf_on(l->domain.s, sizeof l->domain.s);
    addr_put(&d, &w.addr);
    l->domain.n = (uint16_t)d.n;
    return open_engine();
}

void wire_close(void) {
}

/* No call has RTP here. */
void wire_rtp(enum party from, const struct addr *dst, const void *packet, uint32_t n) {
    (void)from;
    (void)dst;
    (void)packet;
    (void)n;
}

char *wire_room(void) {
    return room;
}

void wire_sent(struct load *l, enum party from, const struct addr *dst, uint32_t n) {
    struct event ev = { .kind = EV_DATAGRAM };
    char bytes[WIRE_MESSAGE_MAX];
    (void)dst;
    memcpy(bytes, room, n);
    ev.u.dgram.bytes = slice_of(bytes, n);
    ev.u.dgram.src = w.parties[from];
    ev.u.dgram.dst = w.addr;
    l->t.out++;
    step(&ev);
}

static void deliver(struct load *l) {
    struct sip_fault f;
    struct datagram d = w.queue[w.first];
    w.first = (w.first + 1) % QUEUE_MAX;
    w.waiting--;
    l->t.in++;
    if (sip_parse(slice_of(d.bytes, d.n), &l->msg, &f) < 0)
        l->t.bad++;
    else if (w.withhold && d.to == PARTY_C && l->msg.first[SIP_H_REPLACES])
        l->over = ++w.withheld >= w.withhold;
    else
        dialog_receive(l, d.to, &l->msg);
    free(d.bytes);
}

void wire_turn(struct load *l, uint64_t us) {
    if (w.waiting) {
        deliver(l);
        return;
    }
    uint64_t next = engine_deadline(w.e), until = w.now_us + us;
    w.now_us = next < until ? (next > w.now_us ? next : w.now_us) : until;
    l->now = w.now_us;
    if (next <= w.now_us)
        step(&(struct event){ .kind = EV_DEADLINE });
}
