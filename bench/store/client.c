/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "bench/store/client.h"

#include "core/base/text.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t clock_us_of(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t bench_us(void) {
    return clock_us_of(CLOCK_BOOTTIME);
}

uint64_t bench_cpu_us(void) {
    return clock_us_of(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t bench_cpu_of(pid_t pid) {
    char path[64];
    unsigned long long ns = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%llu", &ns) != 1)
        ns = 0;
    if (f)
        fclose(f);
    return ns / 1000;
}

static void *take_memory(struct arena *a, size_t n) {
    void *p = aligned_alloc(64, (n + 63) / 64 * 64);
    if (p)
        memset(p, 0, n);
    arena_init(a, p, n);
    return p;
}

static bool lay_out(struct client *c, const struct store_redis_config *config) {
    const uint32_t sizes[BUF_CLASSES] = { 1024, 0, 1024, 0, 16, 16, 4, 2 };
    struct arena a;
    arena_init(&a, NULL, 0);
    store_redis_new(&a, config);
    buf_pool_init(&c->bufs, &a, sizes);
    if (!take_memory(&a, a.used + 4096))
        return false;
    c->store = store_redis_new(&a, config);
    buf_pool_init(&c->bufs, &a, sizes);
    c->key = buf_copy(&c->bufs, SL("0123456789abcdef"));
    return true;
}

bool client_open(struct client *c, uint16_t port, uint32_t queue) {
    struct store_redis_config config = { .server_count = 1, .timeout_us = 30000000, .queue = queue,
                                         .prefix = "referee:", .key = { 1, 2 }, .metrics = &c->metrics };
    const char *why;
    memset(c, 0, sizeof *c);
    (void)addr_parse_ip(SL("127.0.0.1"), &config.servers[0]);
    config.servers[0].port = port;
    for (int i = 0; i < STORE_CONNS_MAX; i++)
        c->streams[i] = (struct stream){ .fd = -1, .slot = -1 };
    if (!lay_out(c, &config))
        return false;
    struct io_options o = { .backend = IO_AUTO, .sockets_max = STORE_CONNS_MAX, .metrics = &c->metrics,
                            .bufs = &c->bufs };
    c->io = io_new(&o, &why);
    for (uint64_t end = bench_us() + 5000000; c->io && !c->up && bench_us() < end;)
        client_turn(c, 10000);
    return c->up;
}

void client_close(struct client *c) {
    for (int i = 0; i < STORE_CONNS_MAX; i++)
        stream_close(&c->streams[i], c->io);
    store_free(c->store);
    io_free(c->io);
}

static void take_answers(struct client *c) {
    struct event ev;
    while (store_answer(c->store, &ev)) {
        c->up |= ev.kind == EV_STORE_UP;
        if (ev.kind != EV_STORE)
            continue;
        if (ev.u.store.more) {
            c->records++;
            c->bytes += ev.u.store.value.n;
            continue;
        }
        bool fine = ev.u.store.status == STORE_OK || ev.u.store.status == STORE_MISSING;
        *(fine ? &c->ok : &c->bad) += 1;
    }
}

static void receive(struct client *c, uint32_t i) {
    struct stream *s = &c->streams[i];
    int n;
    if (s->state == STREAM_OPENING && stream_finish(s) && s->state == STREAM_OPEN)
        store_opened(c->store, i);
    while (s->state == STREAM_OPEN && (n = stream_read(s, c->in, sizeof c->in)) > 0) {
        store_input(c->store, i, slice_of(c->in, (size_t)n));
        take_answers(c);
    }
}

static void send_all(struct client *c) {
    struct store_want w;
    struct slice out;
    int n;
    while (store_wants(c->store, &w)) {
        stream_close(&c->streams[w.conn], c->io);
        if (w.open && !stream_connect(&c->streams[w.conn], c->io, &w.to, NULL, w.conn))
            store_lost(c->store, w.conn, SL("refused"));
    }
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++)
        while (c->streams[i].state == STREAM_OPEN && (out = store_output(c->store, i)).n &&
               (n = stream_write(&c->streams[i], out)) > 0)
            store_sent(c->store, i, (uint32_t)n);
}

void client_turn(struct client *c, uint64_t wait_us) {
    uint64_t now = bench_us();
    store_tick(c->store, now, 1700000000000 + now / 1000);
    take_answers(c);
    send_all(c);
    uint32_t n = io_turn(c->io, wait_us, c->events);
    for (uint32_t i = 0; i < n; i++)
        receive(c, c->events[i].tag);
}

void client_until(struct client *c, uint64_t answers) {
    while (c->ok + c->bad < answers)
        client_turn(c, 100000);
}

struct buf *client_record(struct client *c, uint32_t n) {
    struct buf *record = buf_get(&c->bufs, n);
    if (record) {
        memset(record->data, 'v', n);
        record->len = n;
    }
    return record;
}

void client_submit(struct client *c, const struct store_op *op) {
    store_submit(c->store, op, 1700000000000);
}

void client_put(struct client *c, uint32_t key, struct buf *value, bool fenced) {
    (void)text_hex16(c->key->data, key);
    struct store_op op = { .verb = STORE_PUT, .ticket = 1, .table = SL("call"), .node = fenced, .epoch = fenced,
                           .bucket = (uint16_t)(key % 4096), .version = ++c->version, .key = c->key,
                           .value = value };
    client_submit(c, &op);
}
