/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * engine_rig: one engine in virtual time, with the embedded store, and all it sent in a list. Nothing of CUnit, so
 * that fuzz targets use it too; what must hold of any engine is CHECKed.
 *
 *   struct engine_config c;  rig_config(&c);  ...  struct rig *r = rig_new(&c);
 *   rig_recv(r, bytes, "192.0.2.11:5060");  rig_sent(r, 0)->bytes ...  rig_clear(r);  rig_advance(r, 32 * RIG_SEC);
 *   rig_free(r);
 */
#ifndef REFEREE_TESTS_ENGINE_RIG_H
#define REFEREE_TESTS_ENGINE_RIG_H

#include "core/b2b/engine.h"
#include "core/base/check.h"
#include "core/base/trace.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

#define RIG_LOG 512
#define RIG_MS UINT64_C(1000)
#define RIG_SEC UINT64_C(1000000)
#define RIG_OUR "192.0.2.1:5060"

struct rig_sent {
    uint64_t at;
    struct addr dst;
    struct slice bytes; /* a heap copy */
};

struct rig_stored {
    enum store_verb verb;
    char table[16], key[128];
    char value[2048]; /* cut */
    uint64_t expires_ms;
};

struct rig {
    void *mem, *store_mem;
    struct engine *e;
    struct store *store;
    struct outbox out;
    uint64_t now, wall_ms;
    struct addr our;
    uint32_t sent_n, media_n, stored_n; /* what comes over the lists' length is dropped */
    struct rig_sent sent[RIG_LOG];
    struct media_cmd media[RIG_LOG];
    struct rig_stored stored[64];
    char admin[65536]; /* answers since rig_clear, NUL-terminated */
    uint32_t admin_n;
    char cdr[65536]; /* call data records since rig_clear, NUL-terminated */
    uint32_t cdr_n;
    bool admin_last;
};

static inline struct addr rig_addr(const char *text) {
    struct addr a = { 0 };
    CHECK(addr_parse(slice_str(text), 5060, &a));
    return a;
}

/* Defaults for tests: small, deterministic, everything known. No authentication, no policy. */
static inline void rig_config(struct engine_config *c) {
    engine_config_defaults(c);
    c->cdr = true;
    c->auth_sha256 = true;
    c->seed = (struct siphash_key){ 1, 2 };
    memset(c->secret, 7, sizeof c->secret);
    c->sip_addr = rig_addr(RIG_OUR);
    c->media_addr = rig_addr("192.0.2.2:0");
    snprintf(c->realm, sizeof c->realm, "example.com");
    c->media_port_min = 30000;
    c->media_port_max = 30063;
    c->auth_required = false;
    c->calls_max = 16;
    c->bindings_max = 32;
    c->trace_lines = 256;
}

static inline void *rig_memory(size_t need) {
    void *mem = aligned_alloc(64, (need + 63) / 64 * 64);
    CHECK(mem);
    return mem;
}

static inline struct rig *rig_new(const struct engine_config *config) {
    struct rig *r = calloc(1, sizeof *r);
    struct arena a;
    CHECK(r);
    r->now = 1000 * RIG_SEC;
    r->wall_ms = UINT64_C(1700000000000);
    r->our = config->sip_addr;
    arena_init(&a, NULL, 0);
    engine_new(&a, config, r->now, r->wall_ms);
    size_t need = a.used;
    r->mem = rig_memory(need);
    arena_init(&a, r->mem, need);
    r->e = engine_new(&a, config, r->now, r->wall_ms);
    arena_init(&a, NULL, 0);
    store_memory_new(&a, 256, 1 << 20, (struct siphash_key){ 3, 4 });
    need = a.used;
    r->store_mem = rig_memory(need);
    arena_init(&a, r->store_mem, need);
    r->store = store_memory_new(&a, 256, 1 << 20, (struct siphash_key){ 3, 4 });
    return r;
}

/* Forgets what was collected. */
static inline void rig_clear(struct rig *r) {
    for (uint32_t i = 0; i < r->sent_n; i++)
        free((void *)(uintptr_t)r->sent[i].bytes.p);
    r->sent_n = r->media_n = r->stored_n = r->admin_n = r->cdr_n = 0;
    r->cdr[0] = '\0';
    r->admin[0] = '\0';
    r->admin_last = false;
}

static inline void rig_free(struct rig *r) {
    rig_clear(r);
    free(r->mem);
    free(r->store_mem);
    free(r);
}

static inline void rig_take_send(struct rig *r, struct out *o) {
    CHECK(o->u.send.buf && o->u.send.buf->len > 0);
    if (r->sent_n < RIG_LOG) {
        uint32_t n = o->u.send.buf->len;
        char *copy = malloc(n);
        CHECK(copy);
        memcpy(copy, o->u.send.buf->data, n);
        r->sent[r->sent_n++] = (struct rig_sent){ r->now, o->u.send.dst, slice_of(copy, n) };
    }
    buf_unref(engine_bufs(r->e), &o->u.send.buf);
}

static inline void rig_take_store(struct rig *r, struct out *o) {
    struct store_op *op = &o->u.store;
    CHECK(op->key);
    if (r->stored_n < sizeof r->stored / sizeof *r->stored) {
        struct rig_stored *s = &r->stored[r->stored_n++];
        struct slice v = buf_slice(op->value);
        s->verb = op->verb;
        s->expires_ms = op->expires_ms;
        snprintf(s->table, sizeof s->table, "%.*s", SLICE_FMT(op->table));
        snprintf(s->key, sizeof s->key, "%.*s", (int)op->key->len, op->key->data);
        snprintf(s->value, sizeof s->value, "%.*s", (int)v.n, v.p ? v.p : "");
    }
    store_submit(r->store, op, r->wall_ms);
    buf_unref(engine_bufs(r->e), &op->key);
    buf_unref(engine_bufs(r->e), &op->value);
}

static inline void rig_take_admin(struct rig *r, struct out *o) {
    struct slice s = buf_slice(o->u.admin.buf);
    if (s.n && r->admin_n + s.n < sizeof r->admin) {
        memcpy(r->admin + r->admin_n, s.p, s.n);
        r->admin_n += s.n;
        r->admin[r->admin_n] = '\0';
    }
    r->admin_last = o->u.admin.last;
    buf_unref(engine_bufs(r->e), &o->u.admin.buf);
}

static inline void rig_take_cdr(struct rig *r, struct out *o) {
    struct slice s = buf_slice(o->u.cdr.buf);
    CHECK(s.n && s.p[s.n - 1] == '\n');
    if (r->cdr_n + s.n < sizeof r->cdr) {
        memcpy(r->cdr + r->cdr_n, s.p, s.n);
        r->cdr_n += s.n;
        r->cdr[r->cdr_n] = '\0';
    }
    buf_unref(engine_bufs(r->e), &o->u.cdr.buf);
}

static inline void rig_collect(struct rig *r) {
    for (uint32_t i = 0; i < r->out.n; i++) {
        struct out *o = &r->out.entries[i];
        switch (o->kind) {
        case OUT_SEND: rig_take_send(r, o); break;
        case OUT_STORE: rig_take_store(r, o); break;
        case OUT_ADMIN: rig_take_admin(r, o); break;
        case OUT_CDR: rig_take_cdr(r, o); break;
        case OUT_MEDIA:
            if (r->media_n < RIG_LOG)
                r->media[r->media_n++] = o->u.media;
            break;
        case OUT_PEER: buf_unref(engine_bufs(r->e), &o->u.peer.buf); break;
        case OUT_BUCKET: break;
        }
    }
    r->out.n = 0;
}

static inline void rig_step_once(struct rig *r, struct event *ev) {
    ev->mono_us = r->now;
    ev->wall_ms = r->wall_ms;
    engine_step(r->e, ev, &r->out);
    rig_collect(r);
}

/* One step, then the store's answers to it. */
static inline void rig_step(struct rig *r, struct event *ev) {
    struct event answer = { 0 };
    rig_step_once(r, ev);
    while (store_answer(r->store, &answer))
        rig_step_once(r, &answer);
}

/* The bytes lie in a heap block of exactly their size while they are read. */
static inline void rig_recv(struct rig *r, struct slice bytes, const char *from) {
    char *exact = malloc(bytes.n ? bytes.n : 1);
    CHECK(exact);
    if (bytes.n)
        memcpy(exact, bytes.p, bytes.n);
    struct event ev = { .kind = EV_DATAGRAM };
    ev.u.dgram.bytes = slice_of(exact, bytes.n);
    ev.u.dgram.src = rig_addr(from);
    ev.u.dgram.dst = r->our;
    rig_step(r, &ev);
    free(exact);
}

static inline void rig_order(struct rig *r, const char *line) {
    struct event ev = { .kind = EV_ADMIN };
    ev.u.admin.conn = 1;
    ev.u.admin.line = slice_str(line);
    rig_step(r, &ev);
}

static inline void rig_set_time(struct rig *r, uint64_t now) {
    r->wall_ms += now / 1000 - r->now / 1000;
    r->now = now;
}

/* Time goes on; each deadline on the way fires when it is due. */
static inline void rig_advance(struct rig *r, uint64_t us) {
    uint64_t end = r->now + us, next;
    uint32_t steps = 0;
    while ((next = engine_deadline(r->e)) <= end) {
        CHECK(steps++ < 10000000);
        rig_set_time(r, next > r->now ? next : r->now);
        rig_step(r, &(struct event){ .kind = EV_DEADLINE });
    }
    rig_set_time(r, end);
    rig_step(r, &(struct event){ .kind = EV_DEADLINE });
}

static inline struct engine_census rig_census(const struct rig *r) {
    struct engine_census c;
    engine_census(r->e, &c);
    return c;
}

/* Calls and all that belongs to them are gone; bindings may stay, and their buffers with them. */
static inline bool rig_is_quiet(const struct rig *r) {
    struct engine_census c = rig_census(r);
    return !c.calls && !c.legs && !c.transfers && !c.transactions && !c.ports && !c.records && c.timers == c.bindings &&
           c.bufs == c.bindings;
}

static inline void rig_print_census(const struct rig *r) {
    struct engine_census c = rig_census(r);
    printf("\ncalls %u legs %u transfers %u transactions %u timers %u ports %u records %u bindings %u bufs %u\n",
           c.calls, c.legs, c.transfers, c.transactions, c.timers, c.ports, c.records, c.bindings, c.bufs);
}

/* The engine's own story: the last `lines` lines of its trace. */
static inline void rig_print_trace(const struct rig *r, uint64_t lines) {
    const struct trace *t = engine_trace(r->e);
    for (uint64_t i = t->head > lines ? t->head - lines : 0; i < t->head; i++) {
        char text[512];
        struct sbuf b = sbuf_on(text, sizeof text);
        const struct trace_line *line = trace_at(t, i);
        if (!line)
            continue;
        trace_format(&b, line, 0);
        printf("%.*s\n", SLICE_FMT(sbuf_slice(&b)));
    }
}

/* Status of a sent response, 0 for a request. */
static inline unsigned rig_status(const struct rig_sent *s) {
    if (s->bytes.n < 12 || memcmp(s->bytes.p, "SIP/2.0 ", 8) != 0)
        return 0;
    return (unsigned)(s->bytes.p[8] - '0') * 100 + (unsigned)(s->bytes.p[9] - '0') * 10 +
           (unsigned)(s->bytes.p[10] - '0');
}

/* Status of the last response sent but 100, 0: none. */
static inline unsigned rig_last_status(const struct rig *r) {
    for (uint32_t i = r->sent_n; i-- > 0;)
        if (rig_status(&r->sent[i]) > 100)
            return rig_status(&r->sent[i]);
    return 0;
}

/* The last message sent that begins with `start`; absent: none. */
static inline struct slice rig_last(const struct rig *r, const char *start) {
    for (uint32_t i = r->sent_n; i-- > 0;)
        if (slice_has_prefix(r->sent[i].bytes, slice_str(start)))
            return r->sent[i].bytes;
    return SLICE_NONE;
}

static inline bool rig_has(struct slice text, const char *part) {
    struct slice p = slice_str(part);
    for (uint32_t i = 0; i + p.n <= text.n; i++)
        if (memcmp(text.p + i, p.p, p.n) == 0)
            return true;
    return false;
}

/* Times `part` stands in text. */
static inline unsigned rig_count(struct slice text, const char *part) {
    struct slice p = slice_str(part);
    unsigned n = 0;
    for (uint32_t i = 0; i + p.n <= text.n; i++)
        n += memcmp(text.p + i, p.p, p.n) == 0;
    return n;
}

#endif
