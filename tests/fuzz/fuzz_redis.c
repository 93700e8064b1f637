/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What a server of Redis says, to a store that asked for everything: single server, Sentinel, cluster by the first
 * byte; then pieces, each with its length and connection in front.
 */
#include "core/base/poison.h"
#include "store/redis.h"

#include <stdlib.h>

static struct store *store;
static void *memory;
static uint64_t now;

static void fresh(enum redis_topology topology) {
    struct store_redis_config c = { .topology = topology, .server_count = 1, .timeout_us = 1000000, .queue = 64,
                                    .prefix = "p:", .master = "m", .replicas = topology == REDIS_SINGLE };
    static size_t need;
    struct arena a;
    c.servers[0].port = 7001;
    (void)addr_parse_ip(SL("192.0.2.1"), &c.servers[0]);
    if (!memory) {
        arena_init(&a, NULL, 0);
        (void)store_redis_new(&a, &c);
        memory = aligned_alloc(64, need = a.used);
    }
    unpoison(memory, need / 8 * 8);
    memset(memory, 0, need);
    arena_init(&a, memory, need);
    store = store_redis_new(&a, &c);
    now = 1000000;
}

static void drain(void) {
    struct event ev;
    char text[4096];
    struct sbuf b = sbuf_on(text, sizeof text);
    while (store_answer(store, &ev))
        continue;
    while (store_notice(store, &b))
        b.n = 0;
    store_describe(store, &b);
}

static void ask(void) {
    for (int verb = STORE_PUT; verb <= STORE_LEASE; verb++)
        for (uint32_t node = 0; node < 2; node++) {
            struct store_op op = { .verb = (enum store_verb)verb, .ticket = 1, .bucket = (uint16_t)(verb * 511),
                                   .table = SL("call"), .node = node, .epoch = node, .expires_ms = 3000 };
            store_submit(store, &op, now / 1000);
        }
    drain();
}

static void turn(void) {
    struct store_want w;
    now += 50000;
    store_tick(store, now, now / 1000);
    drain();
    for (int i = 0; i < 64 && store_wants(store, &w); i++)
        if (w.open)
            store_opened(store, w.conn);
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++)
        store_sent(store, i, store_output(store, i).n);
    drain();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 1)
        return 0;
    fresh((enum redis_topology)(data[0] % 3));
    turn();
    for (size_t at = 1; at + 2 < n;) {
        uint32_t conn = data[at] % 4, len = data[at + 1];
        at += 2;
        len = len < n - at ? len : (uint32_t)(n - at);
        store_input(store, conn, slice_of((const char *)data + at, len));
        drain();
        at += len;
        if (conn == 3)
            ask();
        turn();
    }
    store_free(store);
    return 0;
}
