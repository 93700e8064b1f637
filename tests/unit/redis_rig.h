/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * redis_rig: a redis store against a server of scripted bytes, under a clock of its own.
 */
#ifndef REFEREE_TESTS_REDIS_RIG_H
#define REFEREE_TESTS_REDIS_RIG_H

#include "store/redis.h"
#include "tests/unit/unit.h"

#define TIMEOUT_US 1000000
#define PUT_SHA "????????????????????????????????????????"
#define ANSWERS_MAX 8192

struct rig_answer {
    enum event_kind kind;
    enum store_status status;
    bool more;
    uint64_t ticket, epoch;
    uint32_t node;
    char key[64], value[256];
    uint32_t value_n;
};

static struct store *store;
static struct buf_pool bufs;
static struct metrics metrics;
static uint64_t mono, wall;
static struct rig_answer answers[ANSWERS_MAX];
static uint32_t answer_n, answer_at;

static struct store_redis_config config_of(enum redis_topology topology) {
    struct store_redis_config c = { .topology = topology, .server_count = 2, .timeout_us = TIMEOUT_US, .queue = 64,
                                    .prefix = "p:", .master = "mymaster", .key = { 5, 6 }, .metrics = &metrics };
    for (uint16_t i = 0; i < 2; i++) {
        c.servers[i].port = (uint16_t)(7001 + i);
        (void)addr_parse_ip(SL("192.0.2.1"), &c.servers[i]);
    }
    return c;
}

static void rig_fresh(const struct store_redis_config *c) {
    static void *memory, *buf_memory;
    struct arena a;
    if (store)
        store_free(store);
    arena_init(&a, NULL, 0);
    CHECK_TRUE(store_redis_new(&a, c) == NULL);
    size_t need = a.used;
    free(memory);
    memory = aligned_alloc(64, need);
    memset(memory, 0xa5, need);
    arena_init(&a, memory, need);
    store = store_redis_new(&a, c);
    CHECK_TRUE(store && a.used <= need);
    if (!buf_memory) {
        buf_memory = aligned_alloc(64, 4 << 20);
        arena_init(&a, buf_memory, 4 << 20);
        buf_pool_init(&bufs, &a, (const uint32_t[BUF_CLASSES]){ 64, 0, 8, 0, 8, 8, 8, 4 });
    }
    memset(&metrics, 0, sizeof metrics);
    mono = 1000000;
    wall = 1700000000000;
    answer_n = answer_at = 0;
    store_tick(store, mono, wall);
}

static void rig_drain(void) {
    struct event ev;
    while (store_answer(store, &ev)) {
        struct rig_answer *a = &answers[answer_n++ % ANSWERS_MAX];
        *a = (struct rig_answer){ .kind = ev.kind };
        if (ev.kind != EV_STORE)
            continue;
        a->status = ev.u.store.status;
        a->ticket = ev.u.store.ticket;
        a->epoch = ev.u.store.epoch;
        a->node = ev.u.store.node;
        a->more = ev.u.store.more;
        a->value_n = ev.u.store.value.n;
        if (ev.u.store.key.n && ev.u.store.key.n < sizeof a->key)
            memcpy(a->key, ev.u.store.key.p, ev.u.store.key.n);
        if (ev.u.store.value.n && ev.u.store.value.n < sizeof a->value)
            memcpy(a->value, ev.u.store.value.p, ev.u.store.value.n);
    }
}

static void rig_tick(uint64_t us) {
    mono += us;
    wall += us / 1000;
    store_tick(store, mono, wall);
    rig_drain();
}

/* The next order is to open that port, and it is. */
static void rig_accept(uint32_t conn, uint16_t port) {
    struct store_want w = { 0 };
    CHECK_TRUE(store_wants(store, &w));
    CHECK_TRUE(w.open);
    CHECK_EQ(w.conn, conn);
    CHECK_EQ(w.to.port, port);
    store_opened(store, conn);
    rig_drain();
}

static void rig_closed(uint32_t conn) {
    struct store_want w = { 0 };
    CHECK_TRUE(store_wants(store, &w));
    CHECK_FALSE(w.open);
    CHECK_EQ(w.conn, conn);
}

/* Digests become question marks. */
static void rig_sent(uint32_t conn, const char *want) {
    static char text[1 << 18];
    struct slice out = store_output(store, conn);
    memcpy(text, out.p ? out.p : "", out.n);
    for (uint32_t i = 0; i + 62 <= out.n; i++)
        if (memcmp(text + i, "EVALSHA\r\n$40\r\n", 14) == 0)
            memset(text + i + 14, '?', 40);
    CHECK_SLICE(slice_of(text, out.n), want);
    store_sent(store, conn, out.n);
}

/* Takes whatever is to be sent. */
static uint32_t rig_flush(uint32_t conn) {
    uint32_t n = store_output(store, conn).n;
    store_sent(store, conn, n);
    return n;
}

static void rig_reply(uint32_t conn, const char *bytes) {
    store_input(store, conn, slice_str(bytes));
    rig_drain();
}

#define FIVE_SHAS "$3\r\nsha\r\n$3\r\nsha\r\n$3\r\nsha\r\n$3\r\nsha\r\n$3\r\nsha\r\n"
#define GREETED "+OK\r\n:77\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n" FIVE_SHAS "+PONG\r\n"

static void rig_ready(uint32_t conn, uint16_t port) {
    rig_accept(conn, port);
    rig_flush(conn);
    rig_reply(conn, GREETED);
}

static struct rig_answer *rig_next(void) {
    static struct rig_answer none = { .kind = EV_DATAGRAM };
    CHECK_TRUE(answer_at < answer_n);
    return answer_at < answer_n ? &answers[answer_at++] : &none;
}

static struct rig_answer *rig_answer(uint64_t ticket, enum store_status status) {
    struct rig_answer *a = rig_next();
    CHECK_EQ(a->kind, EV_STORE);
    CHECK_EQ(a->ticket, ticket);
    CHECK_EQ(a->status, status);
    return a;
}

static void rig_event(enum event_kind kind) {
    CHECK_EQ(rig_next()->kind, kind);
}

static void rig_quiet(void) {
    CHECK_EQ(answer_at, answer_n);
}

/* A single server that greeted us. */
static inline void rig_up(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    rig_fresh(&c);
    rig_ready(0, 7001);
    rig_event(EV_STORE_UP);
    rig_quiet();
}

struct rig_op {
    enum store_verb verb;
    uint64_t ticket;
    const char *key, *value, *table;       /* NULL: "call" */
    uint32_t node, former;
    uint64_t epoch, version, expires_ms;
    uint16_t bucket;
};

static void rig_submit(struct rig_op r) {
    struct store_op op = { .verb = r.verb, .ticket = r.ticket, .bucket = r.bucket, .node = r.node,
                           .table = r.table ? slice_str(r.table) : SL("call"), .former = r.former, .epoch = r.epoch,
                           .version = r.version, .expires_ms = r.expires_ms };
    op.key = r.key ? buf_copy(&bufs, slice_str(r.key)) : NULL;
    op.value = r.value ? buf_copy(&bufs, slice_str(r.value)) : NULL;
    store_submit(store, &op, wall);
    /* The store took copies. */
    if (op.key)
        memset(op.key->data, 'x', op.key->len);
    buf_unref(&bufs, &op.key);
    buf_unref(&bufs, &op.value);
    rig_drain();
}
#define SUBMIT(...) rig_submit((struct rig_op){ __VA_ARGS__ })

#endif
