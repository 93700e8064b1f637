/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/redis_rig.h"

/* ---- greeting */

static void test_greeting(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    memcpy(c.user, "referee", sizeof "referee");
    memcpy(c.password, "secret", sizeof "secret");
    c.db = 3;
    rig_fresh(&c);
    CHECK_EQ(store_health(store), STORE_CONNECTING);
    rig_accept(0, 7001);
    struct slice out = store_output(store, 0);
    const char want[] = "*3\r\n$4\r\nAUTH\r\n$7\r\nreferee\r\n$6\r\nsecret\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
                        "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$7\r\nreferee\r\n*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n"
                        "*1\r\n$4\r\nROLE\r\n*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n";
    CHECK_TRUE(slice_has_prefix(out, SL(want)));
    rig_flush(0);
    rig_reply(0, "+OK\r\n+OK\r\n" GREETED);
    rig_event(EV_STORE_UP);
    CHECK_EQ(store_health(store), STORE_UP);
    rig_quiet();
}

static void check_rejected(const char *reply) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    char text[1024];
    struct sbuf b = sbuf_on(text, sizeof text);
    memcpy(c.password, "secret", sizeof "secret");
    rig_fresh(&c);
    rig_accept(0, 7001);
    rig_flush(0);
    rig_reply(0, reply);
    rig_quiet();
    CHECK_EQ(store_health(store), STORE_REJECTS);
    store_describe(store, &b);
    CHECK_TRUE(slice_has_prefix(sbuf_slice(&b), SL("redis: refused, 192.0.2.1:7001: ")));
    rig_closed(0);
}

static void test_rejected(void) {
    check_rejected("-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    check_rejected("-ERR Client sent AUTH, but no password is set\r\n");
    check_rejected("-ERR AUTH <password> called without any password configured for the default user.\r\n");
    check_rejected("+OK\r\n-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n"
                   "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n");
    check_rejected("+OK\r\n+OK\r\n:1\r\n*1\r\n$6\r\nmaster\r\n-NOPERM this user has no permissions\r\n");
}

/* A server that is loading, or a replica: later, and the next server of the list. */
static void test_not_now(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    rig_fresh(&c);
    rig_accept(0, 7001);
    rig_flush(0);
    rig_reply(0, "+OK\r\n:77\r\n*5\r\n$5\r\nslave\r\n");
    rig_closed(0);
    CHECK_EQ(store_health(store), STORE_CONNECTING);
    rig_tick(30000);
    rig_accept(0, 7002);
    rig_flush(0);
    rig_reply(0, "-LOADING Redis is loading the dataset in memory\r\n:77\r\n-LOADING x\r\n-LOADING x\r\n");
    rig_closed(0);
    rig_tick(60000);
    rig_ready(0, 7001);
    rig_event(EV_STORE_UP);
}

/* Rights for what is only nice to have may be missing. */
static void test_few_rights(void) {
    struct store_redis_config c = config_of(REDIS_SINGLE);
    rig_fresh(&c);
    rig_accept(0, 7001);
    rig_flush(0);
    rig_reply(0, "-NOPERM client\r\n-NOPERM client\r\n-NOPERM role\r\n" FIVE_SHAS "+PONG\r\n");
    rig_event(EV_STORE_UP);
    CHECK_EQ(store_health(store), STORE_UP);
}

/* ---- commands */

#define C7 "$9\r\np:c:{007}\r\n"
#define B7 "$9\r\np:b:{007}\r\n"
#define SCRIPT(n, keys) "*" n "\r\n$7\r\nEVALSHA\r\n$40\r\n" PUT_SHA "\r\n$1\r\n" keys "\r\n"

static void test_commands(void) {
    rig_up();
    SUBMIT(.verb = STORE_GET, .ticket = 1, .key = "k", .bucket = 7);
    SUBMIT(.verb = STORE_LOAD, .ticket = 2, .bucket = 7);
    SUBMIT(.verb = STORE_OWNER, .ticket = 3, .bucket = 7);
    SUBMIT(.verb = STORE_CLAIM, .ticket = 4, .bucket = 7, .node = 12, .former = 11, .epoch = 9);
    SUBMIT(.verb = STORE_RELEASE, .ticket = 5, .bucket = 7, .node = 12, .epoch = 10);
    SUBMIT(.verb = STORE_LEASE, .ticket = 6, .node = 12, .value = "here", .expires_ms = 3000);
    rig_sent(0, "*3\r\n$4\r\nHGET\r\n" C7 "$1\r\nk\r\n"
                "*2\r\n$7\r\nHGETALL\r\n" C7
                "*2\r\n$3\r\nGET\r\n" B7
                SCRIPT("6", "1") B7 "$4\r\n11.9\r\n$5\r\n12.10\r\n"
                SCRIPT("6", "1") B7 "$5\r\n12.10\r\n$4\r\n0.10\r\n"
                SCRIPT("7", "1") "$7\r\np:n:{n}\r\n$2\r\n12\r\n$4\r\n3000\r\n$4\r\nhere\r\n");
    CHECK_EQ(store_output(store, 0).n, 0);
}

/* With binary parts. */
static void check_bytes(const char *want, uint32_t n) {
    char text[1024];
    struct slice out = store_output(store, 0);
    CHECK_EQ(out.n, n);
    memcpy(text, out.p, out.n);
    memset(text + 22, '?', 40);
    CHECK_TRUE(out.n == n && memcmp(text, want, n) == 0);
    store_sent(store, 0, out.n);
}

static void test_write_bytes(void) {
    static const char put[] = SCRIPT("9", "2") C7 B7 "$4\r\n12.3\r\n$1\r\nk\r\n$25\r\nRF"
                              "\x00\x00\x00\x00\x01\x02" "\x00\x00\x00\x00\x00\x03" "\x00\x00\x00\x00\x01\x00"
                              "value\r\n$6\r\n604800\r\n";
    static const char put_again[] = SCRIPT("9", "2") C7 B7 "$4\r\n12.3\r\n$1\r\nk\r\n$25\r\nRF"
                                    "\x00\x00\x00\x00\x00\x00" "\x00\x00\x00\x00\x00\x03" "\x00\x00\x00\x00\x01\x01"
                                    "other\r\n$1\r\n0\r\n";
    static const char delete[] = SCRIPT("8", "2") C7 B7 "$5\r\n12.10\r\n$1\r\nk\r\n$12\r\n"
                                 "\x00\x00\x00\x00\x00\x0a" "\x00\x00\x00\x00\x01\x02\r\n";
    rig_up();
    SUBMIT(.verb = STORE_PUT, .ticket = 1, .key = "k", .value = "value", .node = 12, .epoch = 3, .version = 256,
           .expires_ms = 258, .bucket = 7);
    check_bytes(put, sizeof put - 1);
    /* The time to live is renewed now and then only. */
    SUBMIT(.verb = STORE_PUT, .ticket = 2, .key = "k", .value = "other", .node = 12, .epoch = 3, .version = 257,
           .bucket = 7);
    check_bytes(put_again, sizeof put_again - 1);
    SUBMIT(.verb = STORE_DELETE, .ticket = 3, .key = "k", .bucket = 7, .node = 12, .epoch = 10, .version = 258);
    check_bytes(delete, sizeof delete - 1);
    SUBMIT(.verb = STORE_DELETE, .ticket = 4, .key = "u", .bucket = 7);
    rig_sent(0, "*3\r\n$4\r\nHDEL\r\n" C7 "$1\r\nu\r\n");
    SUBMIT(.verb = STORE_PUT, .ticket = 5, .key = "u", .value = "v", .bucket = 7);
    CHECK_TRUE(slice_has_prefix(store_output(store, 0), SL("*4\r\n$4\r\nHSET\r\n" C7 "$1\r\nu\r\n$21\r\nRF")));
}

static bool ends_with(struct slice s, struct slice end) {
    return s.n >= end.n && slice_eq(slice_of(s.p + s.n - end.n, end.n), end);
}

static bool renews(uint16_t bucket) {
    SUBMIT(.verb = STORE_PUT, .key = "k", .value = "v", .node = 12, .epoch = 3, .bucket = bucket);
    struct slice out = store_output(store, 0);
    bool yes = ends_with(out, SL("\r\n$6\r\n604800\r\n"));
    CHECK_TRUE(yes || ends_with(out, SL("\r\n$1\r\n0\r\n")));
    store_sent(store, 0, out.n);
    rig_reply(0, ":1\r\n");
    return yes;
}

/* Of each bucket by itself, in each ten minutes once. */
static void test_time_to_live(void) {
    rig_up();
    CHECK_TRUE(renews(7) && renews(71) && renews(4095) && renews(8));
    CHECK_FALSE(renews(7) || renews(71) || renews(4095) || renews(8));
    rig_tick(UINT64_C(599000000));
    rig_flush(0);
    rig_reply(0, "+PONG\r\n");
    CHECK_FALSE(renews(7));
    CHECK_TRUE(renews(9));
    rig_tick(1000000);
    CHECK_TRUE(renews(7) && renews(9));
    CHECK_FALSE(renews(7) || renews(9));
}

/* Owner and field of each write are its own, whatever the one before had. */
static void test_owner_and_field(void) {
    static const struct {
        uint32_t node;
        uint64_t epoch;
        const char *key, *want;
    } writes[] = {
        { 12, 3, "k", "$4\r\n12.3\r\n$1\r\nk\r\n" },
        { 12, 3, "other", "$4\r\n12.3\r\n$5\r\nother\r\n" },
        { 12, 4, "other", "$4\r\n12.4\r\n$5\r\nother\r\n" },
        { 2, 4, "eleven-long", "$3\r\n2.4\r\n$11\r\neleven-long\r\n" },
        { 2, 4, "", "$3\r\n2.4\r\n$0\r\n\r\n" },
        { UINT32_MAX, INT64_MAX, "k", "$30\r\n4294967295.9223372036854775807\r\n$1\r\nk\r\n" },
    };
    static const char head[] = SCRIPT("9", "2") C7 B7;
    rig_up();
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        SUBMIT(.verb = STORE_PUT, .ticket = i + 1, .key = writes[i].key, .value = "v", .node = writes[i].node,
               .epoch = writes[i].epoch, .bucket = 7);
        struct slice out = store_output(store, 0);
        CHECK_TRUE(out.n > sizeof head &&
                   slice_has_prefix(slice_of(out.p + sizeof head - 1, out.n - (uint32_t)sizeof head + 1),
                                    slice_str(writes[i].want)));
        store_sent(store, 0, out.n);
    }
}

/* ---- replies */

#define VALUE(v) "RF\x7f\x7f\x7f\x7f\x7f\x7f\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01" v

static void ask_everything(void) {
    rig_up();
    SUBMIT(.verb = STORE_GET, .ticket = 1, .key = "k");
    SUBMIT(.verb = STORE_GET, .ticket = 2, .key = "k");
    SUBMIT(.verb = STORE_LOAD, .ticket = 3);
    SUBMIT(.verb = STORE_OWNER, .ticket = 4);
    SUBMIT(.verb = STORE_OWNER, .ticket = 5);
    SUBMIT(.verb = STORE_CLAIM, .ticket = 6, .node = 12, .epoch = 9);
    SUBMIT(.verb = STORE_CLAIM, .ticket = 7, .node = 12, .epoch = 9);
    SUBMIT(.verb = STORE_RELEASE, .ticket = 8, .node = 12, .epoch = 10);
    SUBMIT(.verb = STORE_LEASE, .ticket = 9, .node = 12, .value = "here", .expires_ms = 3000);
    SUBMIT(.verb = STORE_PUT, .ticket = 10, .key = "k1", .value = "v", .node = 12, .epoch = 10);
    SUBMIT(.verb = STORE_PUT, .ticket = 11, .key = "k2", .value = "v", .node = 12, .epoch = 10);
    SUBMIT(.verb = STORE_PUT, .ticket = 12, .key = "k3", .value = "v", .node = 12, .epoch = 10);
    SUBMIT(.verb = STORE_PUT, .ticket = 13, .key = "k4", .value = "v");
    SUBMIT(.verb = STORE_DELETE, .ticket = 14, .key = "k5", .node = 12, .epoch = 10);
    SUBMIT(.verb = STORE_LOAD, .ticket = 15);
    rig_flush(0);
}

static const char everything[] =
    "$23\r\n" VALUE("one") "\r\n$-1\r\n"
    "*4\r\n$2\r\nka\r\n$22\r\n" VALUE("va") "\r\n$2\r\nkb\r\n$20\r\n" VALUE("") "\r\n"
    "$4\r\n3.14\r\n$-1\r\n"
    ":1\r\n$4\r\n5.44\r\n:1\r\n"
    "*6\r\n$2\r\n12\r\n$4\r\nhere\r\n$1\r\n3\r\n$5\r\nthere\r\n$3\r\n300\r\n$0\r\n\r\n"
    ":1\r\n:0\r\n$4\r\n6.11\r\n:1\r\n:1\r\n*0\r\n";

static void check_everything(void) {
    struct rig_answer *a = rig_answer(1, STORE_OK);
    CHECK_SLICE(slice_str(a->value), "one");
    CHECK_EQ(a->epoch, 0x010101010101);
    CHECK_EQ(rig_answer(2, STORE_MISSING)->epoch, 0);
    a = rig_answer(3, STORE_OK);
    CHECK_TRUE(a->more && strcmp(a->key, "ka") == 0 && strcmp(a->value, "va") == 0);
    CHECK_EQ(a->epoch, 0x010101010101);
    a = rig_answer(3, STORE_OK);
    CHECK_TRUE(a->more && strcmp(a->key, "kb") == 0 && a->value_n == 0);
    CHECK_FALSE(rig_answer(3, STORE_MISSING)->more);
    a = rig_answer(4, STORE_OK);
    CHECK_TRUE(a->node == 3 && a->epoch == 14);
    a = rig_answer(5, STORE_OK);
    CHECK_TRUE(a->node == 0 && a->epoch == 0);
    a = rig_answer(6, STORE_OK);
    CHECK_TRUE(a->node == 12 && a->epoch == 10);
    a = rig_answer(7, STORE_FENCED);
    CHECK_TRUE(a->node == 5 && a->epoch == 44);
    rig_answer(8, STORE_OK);
    a = rig_answer(9, STORE_OK);
    CHECK_EQ(a->value_n, 27);
    CHECK_TRUE(memcmp(a->value, "\0\0\0\3\0\5there\0\0\0\14\0\4here\0\0\1\54\0\0", 27) == 0);
    rig_answer(10, STORE_OK);
    rig_answer(11, STORE_FENCED);
    a = rig_answer(12, STORE_FENCED);
    CHECK_TRUE(a->node == 6 && a->epoch == 11);
    rig_answer(13, STORE_OK);
    rig_answer(14, STORE_OK);
    rig_answer(15, STORE_MISSING);
    rig_quiet();
}

static void test_replies(void) {
    ask_everything();
    store_input(store, 0, SL(everything));
    rig_drain();
    check_everything();
}

static void test_replies_split(void) {
    for (uint32_t i = 1; i < sizeof everything - 1; i++) {
        ask_everything();
        store_input(store, 0, slice_of(everything, i));
        rig_drain();
        store_input(store, 0, slice_of(everything + i, sizeof everything - 1 - i));
        rig_drain();
        check_everything();
    }
}

static void test_error_replies(void) {
    rig_up();
    SUBMIT(.verb = STORE_PUT, .ticket = 1, .key = "a", .value = "v", .node = 1, .epoch = 1);
    SUBMIT(.verb = STORE_GET, .ticket = 2, .key = "a");
    SUBMIT(.verb = STORE_LOAD, .ticket = 3);
    SUBMIT(.verb = STORE_CLAIM, .ticket = 4, .node = 1);
    SUBMIT(.verb = STORE_CLAIM, .ticket = 5, .node = 1);
    rig_flush(0);
    rig_reply(0, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n-WRONGTYPE x\r\n"
                 "-WRONGTYPE x\r\n-NOPERM this user has no permissions\r\n-OOM command not allowed\r\n");
    rig_answer(1, STORE_REFUSED);
    rig_answer(2, STORE_MISSING);
    rig_answer(3, STORE_MISSING);
    rig_answer(4, STORE_REFUSED);
    rig_answer(5, STORE_REFUSED);
    rig_quiet();
    CHECK_EQ(metrics_get(&metrics, M_store_errors), 4);
    CHECK_EQ(metrics_get(&metrics, M_store_foreign), 3);
    CHECK_EQ(metrics_get(&metrics, M_store_refused), 1);
}

/* A number says all of a write; what is read cannot be one, and is answered once all the same. */
static void test_number_replies(void) {
    rig_up();
    SUBMIT(.verb = STORE_PUT, .ticket = 1, .key = "a", .value = "v", .node = 1, .epoch = 1);
    SUBMIT(.verb = STORE_LOAD, .ticket = 2);
    SUBMIT(.verb = STORE_GET, .ticket = 3, .key = "b");
    SUBMIT(.verb = STORE_LEASE, .ticket = 4, .node = 1, .value = "here", .expires_ms = 3000);
    SUBMIT(.verb = STORE_OWNER, .ticket = 5);
    SUBMIT(.verb = STORE_DELETE, .ticket = 6, .key = "b", .node = 1, .epoch = 1);
    SUBMIT(.verb = STORE_CLAIM, .ticket = 7, .node = 1, .epoch = 1);
    SUBMIT(.verb = STORE_PUT, .ticket = 8, .key = "c", .value = "v");
    SUBMIT(.verb = STORE_RELEASE, .ticket = 9, .node = 1, .epoch = 2);
    rig_flush(0);
    rig_reply(0, ":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n:1\r\n:0\r\n:1\r\n");
    rig_answer(1, STORE_OK);
    rig_answer(2, STORE_MISSING);
    rig_answer(3, STORE_MISSING);
    rig_answer(4, STORE_OK);
    rig_answer(5, STORE_REFUSED);
    rig_answer(6, STORE_FENCED);
    CHECK_EQ(rig_answer(7, STORE_OK)->epoch, 2);
    rig_answer(8, STORE_OK);
    rig_answer(9, STORE_OK);
    rig_quiet();
    rig_reply(0, ":1\r\n");
    rig_event(EV_STORE_DOWN);
}

/* Values of others under our key, and one that is over. */
static void test_foreign(void) {
    char line[256];
    struct sbuf b = sbuf_on(line, sizeof line);
    static const char over[] = "RF\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0x";
    char bytes[512];
    struct sbuf in = sbuf_on(bytes, sizeof bytes);
    rig_up();
    while (store_notice(store, &b))
        b.n = 0;
    SUBMIT(.verb = STORE_LOAD, .ticket = 1, .bucket = 0xabc);
    rig_flush(0);
    sbuf_lit(&in, "*10\r\n$5\r\nf\x1b\"oo\r\n$3\r\nbar\r\n$1\r\nb\r\n$21\r\nXF");
    sbuf_put(&in, slice_of(over + 2, 19));
    sbuf_lit(&in, "\r\n$1\r\no\r\n$21\r\n");
    sbuf_put(&in, slice_of(over, 21));
    sbuf_lit(&in, "\r\n$2\r\nok\r\n$21\r\n" VALUE("!") "\r\n:1\r\n$-1\r\n");
    store_input(store, 0, sbuf_slice(&in));
    rig_drain();
    struct rig_answer *a = rig_answer(1, STORE_OK);
    CHECK_TRUE(strcmp(a->key, "ok") == 0 && strcmp(a->value, "!") == 0);
    rig_answer(1, STORE_MISSING);
    CHECK_EQ(metrics_get(&metrics, M_store_foreign), 3);
    CHECK_TRUE(store_notice(store, &b));
    CHECK_SLICE(sbuf_slice(&b), "skipped what is not ours, call in bucket abc: f\\x1b\\\"oo");
}

int main(void) {
    return UNIT_RUN("redis", UNIT(test_greeting), UNIT(test_rejected), UNIT(test_not_now), UNIT(test_few_rights),
                    UNIT(test_commands), UNIT(test_write_bytes), UNIT(test_time_to_live), UNIT(test_owner_and_field),
                    UNIT(test_replies), UNIT(test_replies_split), UNIT(test_error_replies), UNIT(test_number_replies),
                    UNIT(test_foreign));
}
