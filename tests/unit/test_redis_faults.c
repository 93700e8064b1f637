/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/redis_rig.h"

#define HGET(k) "*3\r\n$4\r\nHGET\r\n$9\r\np:c:{000}\r\n$1\r\n" k "\r\n"
#define HDEL(k) "*3\r\n$4\r\nHDEL\r\n$9\r\np:c:{000}\r\n$1\r\n" k "\r\n"

static void get(uint64_t ticket, const char *key) {
    SUBMIT(.verb = STORE_GET, .ticket = ticket, .key = key);
}

static void delete(uint64_t ticket, const char *key) {
    SUBMIT(.verb = STORE_DELETE, .ticket = ticket, .key = key);
}

static void put(uint64_t ticket, const char *key, uint64_t version) {
    SUBMIT(.verb = STORE_PUT, .ticket = ticket, .key = key, .value = "value", .node = 1, .epoch = 1,
           .version = version);
}

/* Number of PUTs in what is to be sent. */
static uint32_t puts_sent(uint32_t conn) {
    struct slice out = store_output(store, conn);
    uint32_t n = 0;
    for (uint32_t i = 0; i + 5 <= out.n; i++)
        n += memcmp(out.p + i, "value", 5) == 0;
    store_sent(store, conn, out.n);
    return n;
}

static void test_one_batch_a_turn(void) {
    rig_up();
    get(1, "a");
    get(2, "b");
    get(3, "c");
    rig_sent(0, HGET("a") HGET("b") HGET("c"));
    rig_sent(0, "");
    rig_reply(0, "$-1\r\n$-1\r\n");
    rig_answer(1, STORE_MISSING);
    rig_answer(2, STORE_MISSING);
    rig_quiet();
    rig_reply(0, "$-1\r\n");
    rig_answer(3, STORE_MISSING);
    CHECK_EQ(store_health(store), STORE_UP);
}

/* The kernel takes a part only. */
static void test_sent_in_parts(void) {
    rig_up();
    get(1, "a");
    CHECK_TRUE(slice_eq(store_output(store, 0), SL(HGET("a"))));
    store_sent(store, 0, 3);
    get(2, "b");
    rig_sent(0, "\n$4\r\nHGET\r\n$9\r\np:c:{000}\r\n$1\r\na\r\n" HGET("b"));
    rig_sent(0, "");
}

/* ---- coalescing */

static void test_latest_of_a_key(void) {
    rig_up();
    put(1, "a", 1);
    delete(0, "b");
    put(2, "a", 2);
    put(3, "a", 3);
    put(4, "a", 2);
    rig_answer(4, STORE_FENCED);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, ":1\r\n:1\r\n");
    rig_answer(1, STORE_OK);
    rig_answer(2, STORE_OK);
    rig_answer(3, STORE_OK);
    rig_quiet();
    /* What was sent is not changed any more. */
    put(5, "a", 4);
    CHECK_EQ(puts_sent(0), 1);
    put(6, "a", 5);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, ":1\r\n:1\r\n");
    rig_answer(5, STORE_OK);
    rig_answer(6, STORE_OK);
}

/* How many of them are sent, those of one key being one. */
static uint32_t sent_of(const struct rig_op *ops, uint32_t n) {
    uint32_t sent = 0;
    rig_up();
    for (uint32_t i = 0; i < n; i++)
        rig_submit(ops[i]);
    struct slice out = store_output(store, 0);
    for (uint32_t i = 0; i < out.n; i++)
        sent += out.p[i] == '*';
    store_sent(store, 0, out.n);
    return sent;
}

#define PUT_OF(k, ...) { .verb = STORE_PUT, .key = k, .value = "v", .node = 1, .epoch = 1, __VA_ARGS__ }
#define KEYS_LIKE(k, other)                                                                                     \
    PUT_OF(k, .bucket = 7), PUT_OF(k, .bucket = 8), PUT_OF(k, .bucket = 7, .table = "aor"), PUT_OF(other, .bucket = 7)

static void test_what_one_key_is(void) {
    const struct rig_op ops[] = { KEYS_LIKE("0123456789abcdef", "0123456789abcdee"), KEYS_LIKE("k", "l"),
                                  KEYS_LIKE("0123456789abcdef0", "0123456789abcdef1") };
    const struct rig_op again[] = { KEYS_LIKE("k", "l"), KEYS_LIKE("k", "l"),
                                    KEYS_LIKE("0123456789abcdef", "1123456789abcdef"),
                                    KEYS_LIKE("0123456789abcdef", "1123456789abcdef") };
    CHECK_EQ(sent_of(ops, 12), 12);
    CHECK_EQ(sent_of(again, 16), 8);
}

/* A read keeps its place between writes of its key; a change of owner as well. */
static void test_order_is_kept(void) {
    rig_up();
    delete(1, "a");
    get(2, "a");
    delete(3, "a");
    rig_sent(0, HDEL("a") HGET("a"));
    rig_up();
    SUBMIT(.verb = STORE_DELETE, .ticket = 1, .key = "a", .node = 1, .epoch = 1);
    SUBMIT(.verb = STORE_CLAIM, .ticket = 2, .node = 2, .former = 1, .epoch = 1);
    SUBMIT(.verb = STORE_DELETE, .ticket = 3, .key = "a", .node = 2, .epoch = 2);
    struct slice out = store_output(store, 0);
    CHECK_TRUE(slice_has_prefix(out, SL("*6\r\n")));
    rig_flush(0);
    rig_reply(0, ":1\r\n:1\r\n");
    rig_answer(2, STORE_OK);
    rig_answer(1, STORE_OK);
    rig_answer(3, STORE_OK);
}

/* ---- no connection */

static void lose(const char *why) {
    store_lost(store, 0, slice_str(why));
    rig_drain();
    rig_event(EV_STORE_DOWN);
    CHECK_EQ(store_health(store), STORE_DOWN);
}

static void test_lost(void) {
    rig_up();
    put(1, "a", 1);
    get(2, "x");
    put(0, "b", 1);
    SUBMIT(.verb = STORE_CLAIM, .ticket = 3, .node = 1);
    CHECK_EQ(puts_sent(0), 2);
    put(4, "c", 1);
    put(5, "a", 2);
    lose("reset by peer");
    /* Whether these were done nobody knows. */
    rig_answer(2, STORE_UNAVAILABLE);
    rig_answer(3, STORE_UNAVAILABLE);
    rig_quiet();
    CHECK_TRUE(store_deadline(store) <= mono + 25000);
    rig_tick(25000);
    rig_accept(0, 7002);
    rig_flush(0);
    rig_reply(0, GREETED);
    rig_event(EV_STORE_UP);
    /* a in its later form only. */
    CHECK_EQ(puts_sent(0), 3);
    rig_reply(0, ":1\r\n:1\r\n:1\r\n");
    rig_answer(4, STORE_OK);
    rig_answer(1, STORE_OK);
    rig_answer(5, STORE_OK);
    rig_quiet();
}

/* What the server has not read of the connection before is not to be done later. */
static void test_former_connection_killed(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    c.server_count = 1;
    rig_fresh(&c);
    rig_ready(0, 7001);
    store_lost(store, 0, SL("reset"));
    rig_tick(25000);
    rig_accept(0, 7001);
    CHECK_TRUE(slice_has_prefix(store_output(store, 0),
                                SL("*4\r\n$6\r\nCLIENT\r\n$4\r\nKILL\r\n$2\r\nID\r\n$2\r\n77\r\n")));
    rig_flush(0);
    rig_reply(0, "-ERR No such client\r\n" GREETED);
    CHECK_EQ(store_health(store), STORE_UP);
}

/* A write that was done but not answered before the loss finds itself, or a later one of ours. */
static void test_sent_twice(void) {
    rig_up();
    put(1, "a", 1);
    rig_flush(0);
    lose("reset");
    rig_tick(25000);
    rig_ready(0, 7002);
    rig_event(EV_STORE_UP);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, ":0\r\n");
    rig_answer(1, STORE_OK);
}

static void test_written_behind(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    rig_fresh(&c);
    put(1, "a", 1);
    get(2, "a");
    rig_tick(TIMEOUT_US / 2);
    put(3, "a", 2);
    rig_quiet();
    rig_tick(TIMEOUT_US / 2);
    rig_answer(1, STORE_UNAVAILABLE);
    rig_answer(2, STORE_UNAVAILABLE);
    rig_quiet();
    rig_tick(TIMEOUT_US / 2);
    rig_answer(3, STORE_UNAVAILABLE);
    CHECK_EQ(metrics_get(&metrics, M_store_late), 3);
    struct store_want w;
    while (store_wants(store, &w))
        continue;
    store_lost(store, 0, SL("refused"));
    rig_tick(2000000);
    rig_accept(0, w.to.port == 7001 ? 7002 : 7001);
    rig_flush(0);
    rig_reply(0, GREETED);
    rig_event(EV_STORE_UP);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, ":1\r\n");
    rig_quiet();
}

/* The queue is bounded by keys, not by writes. */
static void test_queue_full(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    char key[8] = "k0000";
    rig_fresh(&c);
    for (uint32_t i = 0; i < 1000; i++)
        put(0, "same", i);
    for (uint32_t i = 0; i < c.queue; i++) {
        key[1] = (char)('0' + i / 10 % 10);
        key[2] = (char)('0' + i % 10);
        put(100 + i, key, 1);
    }
    rig_answer(100 + c.queue - 1, STORE_UNAVAILABLE);
    rig_quiet();
    CHECK_EQ(metrics_get(&metrics, M_store_full), 1);
    /* Followers whose time has come make room again. */
    rig_tick(TIMEOUT_US);
    for (uint32_t i = 0; i < c.queue - 1; i++)
        rig_answer(100 + i, STORE_UNAVAILABLE);
    rig_quiet();
}

/* ---- silence */

static void test_silent_server(void) {
    rig_up();
    put(1, "a", 1);
    rig_flush(0);
    rig_tick(TIMEOUT_US - 1);
    rig_quiet();
    rig_tick(1);
    rig_event(EV_STORE_DOWN);
    rig_answer(1, STORE_UNAVAILABLE);
    rig_closed(0);
    rig_tick(30000);
    rig_ready(0, 7002);
    rig_event(EV_STORE_UP);
    CHECK_EQ(puts_sent(0), 1);
}

static void test_idle_ping(void) {
    rig_up();
    rig_tick(TIMEOUT_US / 2 - 1);
    rig_sent(0, "");
    rig_tick(1);
    rig_sent(0, "*1\r\n$4\r\nPING\r\n");
    rig_reply(0, "+PONG\r\n");
    rig_tick(TIMEOUT_US / 2);
    rig_sent(0, "*1\r\n$4\r\nPING\r\n");
    rig_tick(TIMEOUT_US);
    rig_event(EV_STORE_DOWN);
    CHECK_EQ(store_health(store), STORE_DOWN);
}

/* Neither an answer to the connection nor to the greeting. */
static void test_silent_from_the_start(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    struct store_want w;
    rig_fresh(&c);
    CHECK_TRUE(store_wants(store, &w) && w.open);
    rig_tick(TIMEOUT_US);
    rig_closed(0);
    rig_tick(30000);
    rig_accept(0, 7002);
    rig_tick(TIMEOUT_US);
    rig_closed(0);
    rig_quiet();
}

static void test_late_answer(void) {
    rig_up();
    get(1, "a");
    rig_flush(0);
    rig_tick(TIMEOUT_US / 2);
    get(2, "b");
    rig_flush(0);
    rig_reply(0, "$-1\r\n");
    rig_answer(1, STORE_MISSING);
    rig_tick(TIMEOUT_US / 4);
    rig_reply(0, "$-1\r\n");
    rig_answer(2, STORE_MISSING);
    rig_quiet();
    CHECK_EQ(metrics_get(&metrics, M_store_late), 0);
}

static void test_no_redis(void) {
    rig_up();
    rig_reply(0, "+OK\r\n");
    rig_event(EV_STORE_DOWN);
    rig_closed(0);
    rig_up();
    rig_reply(0, "HTTP/1.1 400\r\n");
    rig_event(EV_STORE_DOWN);
    rig_closed(0);
    CHECK_EQ(metrics_get(&metrics, M_store_reconnects), 1);
}

/* ---- a server that refuses */

#define OOM "-OOM command not allowed when used memory > 'maxmemory'. script: 3a, on @user_script:4.\r\n"

static void test_full_server(void) {
    rig_up();
    put(1, "a", 1);
    put(2, "b", 1);
    CHECK_EQ(puts_sent(0), 2);
    rig_reply(0, OOM OOM);
    rig_answer(1, STORE_REFUSED);
    rig_answer(2, STORE_REFUSED);
    /* From now on one is tried now and then; who deletes is let through. */
    put(3, "c", 1);
    delete(4, "d");
    rig_sent(0, HDEL("d"));
    CHECK_TRUE(store_deadline(store) <= mono);
    rig_tick(0);
    rig_answer(3, STORE_REFUSED);
    rig_reply(0, ":1\r\n");
    rig_answer(4, STORE_OK);
    rig_tick(250000);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, OOM);
    CHECK_EQ(puts_sent(0), 0);
    put(5, "a", 2);
    CHECK_EQ(puts_sent(0), 0);
    rig_tick(0);
    rig_answer(5, STORE_REFUSED);
    rig_tick(250000);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, ":1\r\n");
    CHECK_EQ(puts_sent(0), 2);
    rig_reply(0, ":1\r\n:1\r\n");
    rig_quiet();
    put(6, "e", 1);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, ":1\r\n");
    rig_answer(6, STORE_OK);
}

/* A deletion that was on its way behind it is let through: what it deletes is not written afterwards. */
static void test_refused_then_deleted(void) {
    rig_up();
    put(1, "a", 8);
    CHECK_EQ(puts_sent(0), 1);
    SUBMIT(.verb = STORE_DELETE, .ticket = 2, .key = "a", .node = 1, .epoch = 1, .version = 9);
    CHECK_TRUE(rig_flush(0) > 0);
    rig_reply(0, OOM ":1\r\n");
    rig_answer(1, STORE_REFUSED);
    rig_answer(2, STORE_OK);
    rig_tick(250000);
    CHECK_EQ(puts_sent(0), 0);
    put(3, "b", 1); /* the next one that is tried */
    CHECK_EQ(puts_sent(0), 0);
    rig_tick(0);
    rig_answer(3, STORE_REFUSED);
    rig_tick(250000);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, ":1\r\n");
    rig_quiet();
}

/* Redis before 7 puts the error of a command in a script behind other words. */
static void test_old_words(void) {
    rig_up();
    put(1, "a", 1);
    rig_flush(0);
    rig_reply(0, "-ERR Error running script (call to f_3a): @user_script:9: -OOM command not allowed\r\n");
    rig_answer(1, STORE_REFUSED);
    rig_tick(250000);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, "-MISCONF Redis is configured to save RDB snapshots\r\n");
    rig_tick(250000);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, "-NOREPLICAS Not enough good replicas to write.\r\n");
    rig_tick(250000);
    CHECK_EQ(puts_sent(0), 1);
}

/* In order, after a while. */
static void check_later(const char *error) {
    rig_up();
    put(1, "a", 1);
    put(2, "b", 1);
    CHECK_EQ(puts_sent(0), 2);
    put(3, "a", 2);
    rig_reply(0, error);
    CHECK_EQ(puts_sent(0), 0);
    rig_reply(0, error);
    rig_tick(30000);
    CHECK_EQ(puts_sent(0), 2);
    rig_reply(0, ":1\r\n:1\r\n");
    rig_answer(2, STORE_OK);
    rig_answer(1, STORE_OK);
    rig_answer(3, STORE_OK);
    rig_quiet();
}

static void test_later(void) {
    check_later("-LOADING Redis is loading the dataset in memory\r\n");
    check_later("-BUSY Redis is busy running a script.\r\n");
    check_later("-MASTERDOWN Link with MASTER is down\r\n");
    check_later("-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    check_later("-CLUSTERDOWN The cluster is down\r\n");
}

static void test_scripts_flushed(void) {
    rig_up();
    put(1, "a", 1);
    put(2, "b", 1);
    rig_flush(0);
    rig_reply(0, "-NOSCRIPT No matching script. Please use EVAL.\r\n-NOSCRIPT No matching script.\r\n");
    CHECK_TRUE(slice_has_prefix(store_output(store, 0), SL("*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n")));
    rig_flush(0);
    rig_reply(0, FIVE_SHAS);
    rig_tick(0);
    CHECK_EQ(puts_sent(0), 2);
    rig_reply(0, ":1\r\n:1\r\n");
    rig_answer(1, STORE_OK);
    rig_answer(2, STORE_OK);
}

/* The master became a replica. */
static void test_demoted(void) {
    rig_up();
    put(1, "a", 1);
    put(2, "b", 1);
    rig_flush(0);
    rig_reply(0, "-READONLY You can't write against a read only replica.\r\n-READONLY x\r\n");
    rig_event(EV_STORE_DOWN);
    rig_closed(0);
    rig_tick(30000);
    rig_ready(0, 7002);
    rig_event(EV_STORE_UP);
    CHECK_EQ(puts_sent(0), 2);
    rig_reply(0, ":1\r\n:1\r\n");
    rig_answer(1, STORE_OK);
    rig_answer(2, STORE_OK);
}

/* ---- replicas */

static void test_replicas(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    c.replicas = 1;
    c.replica_wait_ms = 30;
    rig_fresh(&c);
    rig_ready(0, 7001);
    rig_event(EV_STORE_UP);
    delete(1, "a");
    get(2, "b");
    delete(0, "c");
    rig_sent(0, HDEL("a") HGET("b") HDEL("c") "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$2\r\n30\r\n");
    rig_reply(0, ":1\r\n$-1\r\n:1\r\n");
    rig_answer(2, STORE_MISSING);
    rig_quiet();
    rig_reply(0, ":1\r\n");
    rig_answer(1, STORE_OK);
    /* Nobody waits: nor does the connection. */
    delete(0, "a");
    rig_sent(0, HDEL("a"));
    delete(3, "b");
    rig_flush(0);
    rig_reply(0, ":1\r\n:1\r\n:0\r\n");
    rig_answer(3, STORE_UNAVAILABLE);
    CHECK_EQ(metrics_get(&metrics, M_store_replicas_short), 1);
    rig_quiet();
}

/* Between a write's answer and that of its replicas the server may die and take the write with it. */
static void test_lost_before_replicas(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    c.replicas = 1;
    rig_fresh(&c);
    rig_ready(0, 7001);
    rig_event(EV_STORE_UP);
    put(1, "a", 1);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, ":1\r\n");
    lose("reset");
    rig_quiet();
    rig_tick(30000);
    rig_ready(0, 7002);
    rig_event(EV_STORE_UP);
    CHECK_EQ(puts_sent(0), 1);
    rig_reply(0, ":1\r\n:1\r\n");
    rig_answer(1, STORE_OK);
}

/* ---- loading a bucket */

static void test_load_cut_short(void) {
    rig_up();
    SUBMIT(.verb = STORE_LOAD, .ticket = 1);
    rig_flush(0);
    rig_reply(0, "*4\r\n$1\r\na\r\n$21\r\n"
                 "RF\x7f\x7f\x7f\x7f\x7f\x7f\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01x\r\n"
                 "$1\r\nb\r\n");
    CHECK_TRUE(rig_answer(1, STORE_OK)->more);
    /* Its time starts anew with each record. */
    rig_tick(TIMEOUT_US - 1);
    rig_quiet();
    store_lost(store, 0, SL("reset"));
    rig_drain();
    rig_event(EV_STORE_DOWN);
    CHECK_FALSE(rig_answer(1, STORE_UNAVAILABLE)->more);
    rig_quiet();
}

/* More than one connection can have on its way. */
static void test_backlog(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    char bytes[STORE_INPUT_MAX];
    uint32_t sent = 0;
    c.queue = 5000;
    rig_fresh(&c);
    rig_ready(0, 7001);
    rig_event(EV_STORE_UP);
    for (uint32_t i = 0; i < c.queue; i++)
        get(1 + i, "a");
    for (uint32_t n = 1; n; sent += n) {
        n = rig_flush(0) / (sizeof HGET("a") - 1);
        struct sbuf b = sbuf_on(bytes, sizeof bytes);
        for (uint32_t i = 0; i < n; i++)
            sbuf_lit(&b, "$-1\r\n");
        store_input(store, 0, sbuf_slice(&b));
        rig_drain();
    }
    CHECK_EQ(sent, c.queue);
    CHECK_EQ(answer_n, c.queue + 1);
}

int main(void) {
    return UNIT_RUN("redis faults", UNIT(test_one_batch_a_turn), UNIT(test_sent_in_parts), UNIT(test_latest_of_a_key),
                    UNIT(test_what_one_key_is), UNIT(test_order_is_kept), UNIT(test_lost),
                    UNIT(test_former_connection_killed), UNIT(test_sent_twice), UNIT(test_written_behind),
                    UNIT(test_queue_full), UNIT(test_silent_server), UNIT(test_idle_ping),
                    UNIT(test_silent_from_the_start), UNIT(test_late_answer), UNIT(test_no_redis),
                    UNIT(test_full_server), UNIT(test_refused_then_deleted), UNIT(test_old_words), UNIT(test_later),
                    UNIT(test_scripts_flushed), UNIT(test_demoted), UNIT(test_replicas),
                    UNIT(test_lost_before_replicas), UNIT(test_load_cut_short), UNIT(test_backlog));
}
