/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Sentinel and Redis Cluster. Buckets 0 and 1 lie in slots 13923 and 9794, leases in 3432.
 */
#include "store/redis_int.h"
#include "tests/unit/redis_rig.h"

#define HGET(b, k) "*3\r\n$4\r\nHGET\r\n$9\r\np:c:{00" b "}\r\n$1\r\n" k "\r\n"

static void get(uint64_t ticket, uint16_t bucket, const char *key) {
    SUBMIT(.verb = STORE_GET, .ticket = ticket, .bucket = bucket, .key = key);
}

/* ---- Sentinel: connection 1; the master's: 0 */

#define SUBSCRIBED "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"
#define MASTER(port) "*2\r\n$9\r\n192.0.2.9\r\n$4\r\n" port "\r\n" SUBSCRIBED

static void sentinel_fresh(void) {
    struct store_redis_config c = config_of(REDIS_SENTINEL);
    rig_fresh(&c);
}

static void sentinel_up(void) {
    sentinel_fresh();
    rig_accept(1, 7001);
    rig_flush(1);
    rig_reply(1, MASTER("6001"));
    rig_tick(0);
    rig_ready(0, 6001);
    rig_event(EV_STORE_UP);
    rig_quiet();
}

static void test_sentinel_asked(void) {
    sentinel_fresh();
    rig_accept(1, 7001);
    rig_sent(1, "*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n$8\r\nmymaster\r\n"
                "*2\r\n$9\r\nSUBSCRIBE\r\n$14\r\n+switch-master\r\n");
    const char bytes[] = MASTER("6001");
    for (uint32_t i = 0; i < sizeof bytes - 1; i++) {
        store_input(store, 1, slice_of(bytes + i, 1));
        rig_drain();
    }
    rig_tick(0);
    rig_ready(0, 6001);
    rig_event(EV_STORE_UP);
    CHECK_EQ(store_health(store), STORE_UP);
}

static void test_sentinel_knows_nothing(void) {
    static const char *const replies[] = { "*-1\r\n", "-IDONTKNOW No such master\r\n", "-NOAUTH x\r\n" };
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        sentinel_fresh();
        rig_accept(1, 7001);
        rig_flush(1);
        rig_reply(1, replies[i]);
        rig_closed(1);
        rig_tick(30000);
        rig_accept(1, 7002);
        CHECK_EQ(store_health(store), STORE_CONNECTING);
    }
}

static void test_switched(void) {
    sentinel_up();
    get(1, 0, "a");
    rig_flush(0);
    SUBMIT(.verb = STORE_DELETE, .ticket = 2, .key = "b");
    rig_reply(1, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$39\r\nothers 192.0.2.9 6001 192.0.2.10 6002xx\r\n");
    rig_quiet();
    rig_reply(1, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$39\r\nmymaster 192.0.2.9 6001 192.0.2.10 6002\r\n");
    rig_event(EV_STORE_DOWN);
    rig_answer(1, STORE_UNAVAILABLE);
    rig_closed(0);
    rig_tick(0);
    rig_accept(0, 6002);
    rig_flush(0);
    rig_reply(0, GREETED);
    rig_event(EV_STORE_UP);
    rig_sent(0, "*3\r\n$4\r\nHDEL\r\n$9\r\np:c:{000}\r\n$1\r\nb\r\n");
    rig_reply(0, ":0\r\n");
    rig_answer(2, STORE_OK);
    CHECK_EQ(store_health(store), STORE_UP);
}

/* The master is lost before Sentinel knows: it is asked again. */
static void test_master_lost(void) {
    sentinel_up();
    store_lost(store, 0, SL("reset"));
    rig_drain();
    rig_event(EV_STORE_DOWN);
    rig_tick(30000);
    struct store_want w;
    CHECK_TRUE(store_wants(store, &w) && w.conn == 0 && w.open);
    store_lost(store, 0, SL("refused"));
    rig_closed(1);
    rig_tick(0);
    rig_accept(1, 7002);
    rig_flush(1);
    rig_reply(1, MASTER("6002"));
    rig_tick(0);
    rig_ready(0, 6002);
    rig_event(EV_STORE_UP);
    CHECK_EQ(store_health(store), STORE_UP);
}

static void test_sentinel_silent(void) {
    sentinel_up();
    rig_tick(TIMEOUT_US / 2);
    rig_sent(1, "*1\r\n$4\r\nPING\r\n");
    rig_flush(0);
    rig_reply(0, "+PONG\r\n");
    rig_reply(1, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    rig_quiet();
    for (int i = 0; i < 4; i++) {
        rig_tick(TIMEOUT_US / 2);
        rig_flush(1);
        if (rig_flush(0))
            rig_reply(0, "+PONG\r\n");
    }
    rig_closed(1);
    /* The master is there all the same. */
    CHECK_EQ(store_health(store), STORE_UP);
}

/* ---- cluster */

#define NODE(port) "*3\r\n$9\r\n192.0.2.1\r\n:" port "\r\n$2\r\nid\r\n"
#define ROW(from, to, port) "*3\r\n:" from "\r\n:" to "\r\n" NODE(port)
/* Slots of bucket 0 at 7001, of bucket 1 at the second. */
#define SLOTS(second) "*2\r\n" ROW("0", "9999", second) ROW("10000", "16383", "7001")
#define GREETED_NODE "+OK\r\n:77\r\n" FIVE_SHAS "+PONG\r\n"

static void node_ready(uint32_t conn, uint16_t port) {
    rig_accept(conn, port);
    rig_flush(conn);
    rig_reply(conn, GREETED_NODE);
}

static void cluster_fresh(void) {
    struct store_redis_config c = config_of(REDIS_CLUSTER);
    c.servers[0].port = 7002;
    c.servers[1].port = 7001;
    rig_fresh(&c);
}

static void cluster_up(void) {
    cluster_fresh();
    rig_accept(0, 7002);
    rig_flush(0);
    rig_reply(0, GREETED_NODE);
    rig_quiet();
    rig_tick(100000);
    rig_sent(0, "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n");
    rig_reply(0, SLOTS("7002"));
    rig_tick(0);
    rig_quiet();
    node_ready(1, 7001);
    rig_event(EV_STORE_UP);
    rig_quiet();
}

static void test_slot_of_keys(void) {
    /* Those of the cluster specification and of redis-cli. */
    CHECK_EQ(redis_slot_of(SL("123456789")), 0x31c3);
    CHECK_EQ(redis_slot_of(SL("foo")), 12182);
    CHECK_EQ(redis_slot_of(SL("{foo}bar")), 12182);
    CHECK_EQ(redis_slot_of(SL("x{foo}{bar}")), 12182);
    CHECK_EQ(redis_slot_of(SL("{}foo")), 9500);
    CHECK_EQ(redis_slot_of(SL("p:c:{000}")), 13923);
    CHECK_EQ(redis_slot_of(SL("p:c:{001}")), 9794);
}

static void test_cluster_map(void) {
    cluster_up();
    get(1, 0, "a");
    get(2, 1, "b");
    rig_sent(0, HGET("1", "b"));
    rig_sent(1, HGET("0", "a"));
    rig_reply(1, "$-1\r\n");
    rig_reply(0, "$-1\r\n");
    rig_answer(1, STORE_MISSING);
    rig_answer(2, STORE_MISSING);
    CHECK_EQ(store_health(store), STORE_UP);
}

/* The map that comes by parts; hosts left out; replicas; a server that has no slots any more. */
static void test_map_split(void) {
    static const char bytes[] = "*2\r\n*4\r\n:10000\r\n:16383\r\n" NODE("7001") NODE("7009")
                                "*3\r\n:0\r\n:9999\r\n*2\r\n$0\r\n\r\n:7002\r\n";
    cluster_fresh();
    node_ready(0, 7002);
    rig_tick(100000);
    rig_flush(0);
    for (uint32_t i = 0; i < sizeof bytes - 1; i++) {
        store_input(store, 0, slice_of(bytes + i, 1));
        rig_drain();
    }
    rig_tick(0);
    node_ready(1, 7001);
    rig_event(EV_STORE_UP);
    CHECK_EQ(store_health(store), STORE_UP);
}

/* A slot that went to another server: what was sent before is done before what comes after. */
static void test_moved(void) {
    cluster_up();
    SUBMIT(.verb = STORE_DELETE, .ticket = 1, .bucket = 1, .key = "a");
    get(2, 1, "b");
    rig_flush(0);
    get(3, 1, "c");
    rig_reply(0, "-MOVED 9794 192.0.2.1:7003\r\n");
    rig_sent(0, "");
    rig_reply(0, "-MOVED 9794 192.0.2.1:7003\r\n");
    rig_quiet();
    rig_tick(100000);
    /* Any of them is asked for the map. */
    uint32_t asked = rig_flush(0) ? 0 : 1;
    if (asked)
        rig_flush(1);
    rig_reply(asked, SLOTS("7003"));
    rig_tick(0);
    rig_event(EV_STORE_DOWN);
    rig_closed(0);
    rig_accept(2, 7003);
    rig_flush(2);
    rig_reply(2, GREETED_NODE);
    rig_event(EV_STORE_UP);
    rig_sent(2, "*3\r\n$4\r\nHDEL\r\n$9\r\np:c:{001}\r\n$1\r\na\r\n" HGET("1", "b") HGET("1", "c"));
    rig_reply(2, ":1\r\n$-1\r\n$-1\r\n");
    rig_answer(1, STORE_OK);
    rig_answer(2, STORE_MISSING);
    rig_answer(3, STORE_MISSING);
    CHECK_EQ(metrics_get(&metrics, M_store_redirects), 2);
}

static void test_ask(void) {
    cluster_up();
    get(1, 1, "a");
    rig_flush(0);
    rig_reply(0, "-ASK 9794 192.0.2.1:7001\r\n");
    rig_sent(1, "*1\r\n$6\r\nASKING\r\n" HGET("1", "a"));
    rig_reply(1, "+OK\r\n$-1\r\n");
    rig_answer(1, STORE_MISSING);
    /* Once only. */
    get(2, 1, "a");
    rig_sent(0, HGET("1", "a"));
    CHECK_EQ(metrics_get(&metrics, M_store_redirects), 1);
}

static void test_tryagain(void) {
    cluster_up();
    get(1, 1, "a");
    rig_flush(0);
    rig_reply(0, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    get(2, 0, "b");
    rig_sent(1, HGET("0", "b"));
    rig_sent(0, "");
    rig_tick(30000);
    CHECK_TRUE(slice_has_prefix(store_output(store, 0), SL(HGET("1", "a"))));
}

/* One server of it dies; the others serve their buckets. */
static void test_server_dies(void) {
    cluster_up();
    SUBMIT(.verb = STORE_DELETE, .ticket = 1, .bucket = 1, .key = "a");
    rig_flush(0);
    store_lost(store, 0, SL("reset"));
    rig_drain();
    rig_event(EV_STORE_DOWN);
    CHECK_EQ(store_health(store), STORE_DOWN);
    get(2, 0, "b");
    rig_tick(100000);
    rig_sent(1, "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n" HGET("0", "b"));
    rig_reply(1, SLOTS("7002") "$-1\r\n");
    rig_answer(2, STORE_MISSING);
    struct store_want w;
    CHECK_TRUE(store_wants(store, &w) && w.open && w.conn == 0);
    store_lost(store, 0, SL("refused"));
    /* Its replica was promoted. */
    rig_tick(100000);
    while (store_wants(store, &w))
        if (w.open)
            store_lost(store, w.conn, SL("refused"));
    rig_tick(100000);
    rig_flush(1);
    rig_reply(1, SLOTS("7003"));
    rig_tick(0);
    while (store_wants(store, &w) && !w.open)
        continue;
    CHECK_TRUE(w.open && w.to.port == 7003);
    store_opened(store, w.conn);
    rig_flush(w.conn);
    rig_reply(w.conn, GREETED_NODE);
    rig_event(EV_STORE_UP);
    rig_sent(w.conn, "*3\r\n$4\r\nHDEL\r\n$9\r\np:c:{001}\r\n$1\r\na\r\n");
    rig_reply(w.conn, ":1\r\n");
    rig_answer(1, STORE_OK);
}

/* A redirection that names nobody, or whom we cannot reach by address: tried again. */
static void test_odd_redirections(void) {
    static const char *const errors[] = { "-MOVED 9794\r\n", "-MOVED 9794 somewhere:7001\r\n", "-ASK 1\r\n",
                                          "-MOVED\r\n" };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        cluster_up();
        get(1, 1, "a");
        rig_flush(0);
        rig_reply(0, errors[i]);
        rig_tick(TIMEOUT_US);
        CHECK_TRUE(answer_n > answer_at);
    }
}

int main(void) {
    return UNIT_RUN("redis topology", UNIT(test_sentinel_asked), UNIT(test_sentinel_knows_nothing),
                    UNIT(test_switched), UNIT(test_master_lost), UNIT(test_sentinel_silent), UNIT(test_slot_of_keys),
                    UNIT(test_cluster_map), UNIT(test_map_split), UNIT(test_moved), UNIT(test_ask),
                    UNIT(test_tryagain), UNIT(test_server_dies), UNIT(test_odd_redirections));
}
