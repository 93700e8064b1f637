/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Transactions that linger behind their final response: found and answered as ever, but held in less memory and under
 * a bound of their own.
 */
#include "tests/unit/txn_fixture.h"

#define B1 "z9hG4bKone"
#define B2 "z9hG4bKtwo"
#define B3 "z9hG4bKthree"

static unsigned open_of(const struct fix *f) {
    return f->layer.open.used;
}

/* It is there, with what the TU wrote into it and asks it for. */
static void check_lingers(const struct fix *f, handle h, uint64_t ctx) {
    const struct txn *t = txn_get(&f->layer, h);
    CU_ASSERT_FATAL(t != NULL);
    CHECK_TRUE(t->lingers && txn_open_of(t) == NULL && !txn_request_of(t).p);
    CHECK_EQ(txn_peer(t), HANDLE_NONE);
    CHECK_EQ(open_of(f), 0);
    CHECK_EQ(t->ctx, ctx);
    CHECK_TRUE(addr_eq(&t->dst, &f->far) && addr_eq(&t->local, &f->near));
    CHECK_TRUE(txn_is_done(&f->layer, h));
    CHECK_TRUE(txn_head(&f->layer, h) == NULL);
}

static void test_ict(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    CHECK_EQ(open_of(f), 1);
    fix_recv(f, fix_response(180, "INVITE", B1, "tt"));
    CHECK_EQ(open_of(f), 1);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "tt")).kind, TXN_FINAL);
    check_lingers(f, h, 77);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "tt")).kind, TXN_2XX_AGAIN);
    CHECK_EQ(txn_transport_error(&f->layer, f->now, &f->far, f->layer.started).kind, TXN_NONE);
    check_lingers(f, h, 77);
    fix_run(f, t0 + 33 * SEC);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

/* Its ACK goes out again with each copy of the refusal. An error of the network's does not end it: Timer D does. */
static void test_ict_refused(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    CHECK_EQ(fix_recv(f, fix_response(486, "INVITE", B1, "tt")).kind, TXN_FINAL);
    check_lingers(f, h, 77);
    unsigned sent = f->sent_n;
    CHECK_EQ(fix_recv(f, fix_response(486, "INVITE", B1, "tt")).kind, TXN_NONE);
    CHECK_EQ(f->sent_n, sent + 1);
    CHECK_EQ(txn_transport_error(&f->layer, f->now, &f->far, f->layer.started).kind, TXN_NONE);
    check_lingers(f, h, 77);
    fix_run(f, t0 + 33 * SEC);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

static void test_nict(void) {
    struct fix *f = fix_new();
    handle h = fix_start(f, SIP_M_BYE, B1);
    CHECK_EQ(open_of(f), 1);
    CHECK_EQ(fix_recv(f, fix_response(200, "BYE", B1, "tt")).kind, TXN_FINAL);
    check_lingers(f, h, 77);
    CHECK_EQ(fix_recv(f, fix_response(200, "BYE", B1, "tt")).kind, TXN_NONE);
    check_lingers(f, h, 77);
    fix_end(f);
}

static handle asked(struct fix *f, const char *method, const char *branch) {
    struct txn_event ev = fix_recv(f, fix_request(method, branch, ""));
    CU_ASSERT_FATAL(ev.kind == TXN_NEW_REQUEST);
    txn_get(&f->layer, ev.txn)->ctx = 5;
    return ev.txn;
}

static void test_ist_accepted(void) {
    struct fix *f = fix_new();
    handle h = asked(f, "INVITE", B1);
    CHECK_EQ(open_of(f), 1);
    fix_respond(f, h, 200, "INVITE", B1);
    check_lingers(f, h, 5);
    unsigned sent = f->sent_n;
    fix_respond(f, h, 200, "INVITE", B1);
    CHECK_EQ(f->sent_n, sent + 1);
    CHECK_EQ(fix_recv(f, fix_request("ACK", B1, "us")).kind, TXN_ACK_2XX);
    check_lingers(f, h, 5);
    fix_end(f);
}

/* Refused, it sends again until the ACK. */
static void test_ist_confirmed(void) {
    struct fix *f = fix_new();
    handle h = asked(f, "INVITE", B1);
    fix_respond(f, h, 486, "INVITE", B1);
    CHECK_EQ(open_of(f), 1);
    unsigned sent = f->sent_n;
    fix_run(f, f->now + 600 * MS);
    CHECK_EQ(f->sent_n, sent + 1);
    CHECK_EQ(fix_recv(f, fix_request("ACK", B1, "us")).kind, TXN_ACK_FAILURE);
    check_lingers(f, h, 5);
    fix_end(f);
}

static void test_nist(void) {
    struct fix *f = fix_new();
    handle h = asked(f, "BYE", B1);
    CHECK_EQ(open_of(f), 1);
    struct addr src = txn_src(txn_get(&f->layer, h));
    CHECK_TRUE(addr_eq(&src, &f->far));
    fix_respond(f, h, 200, "BYE", B1);
    check_lingers(f, h, 5);
    unsigned sent = f->sent_n;
    fix_recv(f, fix_request("BYE", B1, ""));
    CHECK_EQ(f->sent_n, sent + 1);
    CHECK_TRUE(slice_has_prefix(fix_sent_at(f, sent), SL("SIP/2.0 200")));
    fix_end(f);
}

/* Where the request came from is known apart from where the response goes. */
static void test_source(void) {
    struct fix *f = fix_new();
    struct slice text = SL("OPTIONS sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKone\r\n"
                           "From: <sip:a@b.example>;tag=f\r\nTo: <sip:bob@b.example>\r\nCall-ID: c\r\n"
                           "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n");
    const struct txn *t = txn_get(&f->layer, fix_recv(f, text).txn);
    CU_ASSERT_FATAL(t != NULL);
    struct addr src = txn_src(t);
    CHECK_TRUE(addr_eq(&src, &f->far));
    CHECK_EQ(t->dst.port, 5062);
    fix_end(f);
}

static void lingering_bye(struct fix *f, const char *branch, uint64_t at) {
    fix_run(f, at);
    fix_respond(f, asked(f, "BYE", branch), 200, "BYE", branch);
}

/* One timer for all that wait as long; who is dropped between them, or before or behind them, takes none along. */
static void test_queue(void) {
    static const char *const branches[] = { "z9hG4bKa", "z9hG4bKb", "z9hG4bKc", "z9hG4bKd", "z9hG4bKe" };
    handle h[5];
    struct fix *f = fix_new();
    uint64_t t0 = f->now, length = 64 * f->layer.times.t1;
    for (unsigned i = 0; i < 5; i++) {
        fix_run(f, t0 + i * SEC);
        h[i] = asked(f, "BYE", branches[i]);
        fix_respond(f, h[i], 200, "BYE", branches[i]);
    }
    CHECK_EQ(f->wheel.armed, 1);
    txn_drop(&f->layer, h[0]);
    txn_drop(&f->layer, h[2]);
    txn_drop(&f->layer, h[4]);
    fix_run(f, t0 + length + SEC - 1);
    CHECK_EQ(txn_count(&f->layer), 2);
    fix_run(f, t0 + length + SEC);
    CHECK_TRUE(!txn_get(&f->layer, h[1]) && txn_get(&f->layer, h[3]));
    fix_run(f, t0 + length + 3 * SEC - 1);
    CHECK_EQ(txn_count(&f->layer), 1);
    CHECK_EQ(f->wheel.armed, 1);
    fix_run(f, t0 + length + 3 * SEC);
    CHECK_EQ(txn_count(&f->layer), 0);
    CHECK_EQ(f->wheel.armed, 0);
    lingering_bye(f, B1, f->now);
    CHECK_EQ(f->wheel.armed, 1);
    fix_end(f);
}

/* More than one step takes. */
static void test_queue_much(void) {
    struct fix *f = fix_new_open(120, 4);
    uint64_t t0 = f->now, length = 64 * f->layer.times.t1;
    char branch[32];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(branch, sizeof branch, "z9hG4bKn%u", i);
        f->sent_n = f->told_n = 0;
        lingering_bye(f, branch, t0);
    }
    CHECK_EQ(txn_count(&f->layer), 100);
    fix_run(f, t0 + length - 1);
    CHECK_EQ(txn_count(&f->layer), 100);
    fix_run(f, t0 + length);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

/* Nothing comes again over TCP: Timers D, I, J and K are zero there. */
static void test_queue_reliable(void) {
    struct fix *f = fix_new();
    f->far.transport = SIP_TCP;
    handle h = fix_start(f, SIP_M_BYE, B1), udp;
    f->far.transport = SIP_UDP;
    udp = fix_start(f, SIP_M_BYE, B2);
    fix_recv(f, fix_response(200, "BYE", B1, "tt"));
    fix_recv(f, fix_response(200, "BYE", B2, "tt"));
    CHECK_TRUE(txn_get(&f->layer, h) && txn_get(&f->layer, udp));
    fix_run(f, f->now + 1);
    CHECK_TRUE(!txn_get(&f->layer, h) && txn_get(&f->layer, udp));
    fix_run(f, f->now + f->layer.times.t4);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

/* The same request another way, behind the final response to the first (section 8.2.2.2); when that has ended, it is a
 * new one. */
static void test_merged(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = asked(f, "INVITE", B1);
    fix_respond(f, h, 200, "INVITE", B1);
    check_lingers(f, h, 5);
    struct txn_event ev = fix_recv(f, fix_request("INVITE", B2, ""));
    CHECK_TRUE(ev.kind == TXN_NEW_REQUEST && ev.merged);
    fix_respond(f, ev.txn, 482, "INVITE", B2);
    fix_recv(f, fix_request("ACK", B2, "us"));
    CHECK_EQ(f->layer.merges.used, 1);
    fix_run(f, t0 + 40 * SEC);
    CHECK_EQ(txn_count(&f->layer), 0);
    CHECK_EQ(f->layer.merges.used, 0);
    ev = fix_recv(f, fix_request("INVITE", B3, ""));
    CHECK_TRUE(ev.kind == TXN_NEW_REQUEST && !ev.merged);
    fix_end(f);
}

/* Many linger where few may be open; and when those are all there may be, the next is refused until one has its final
 * response. */
static void test_bounds(void) {
    struct fix *f = fix_new_open(12, 2);
    char branch[32];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(branch, sizeof branch, "z9hG4bKn%u", i);
        handle h = asked(f, "OPTIONS", branch);
        fix_respond(f, h, 200, "OPTIONS", branch);
    }
    CHECK_EQ(txn_count(&f->layer), 8);
    handle h = asked(f, "INVITE", B1), out = fix_start(f, SIP_M_BYE, B2);
    CHECK_TRUE(out != HANDLE_NONE);
    CHECK_FALSE(txn_has_room(&f->layer, 1, false));
    CHECK_EQ(fix_recv(f, fix_request("OPTIONS", B3, "")).kind, TXN_FULL);
    CHECK_EQ(fix_start(f, SIP_M_OPTIONS, B3), HANDLE_NONE);
    CHECK_EQ(metrics_get(&f->metrics, M_pool_full), 2);
    CHECK_EQ(txn_count(&f->layer), 10);
    fix_respond(f, h, 200, "INVITE", B1);
    CHECK_TRUE(txn_has_room(&f->layer, 1, false));
    fix_respond(f, asked(f, "OPTIONS", B3), 200, "OPTIONS", B3);
    CHECK_TRUE(txn_has_room(&f->layer, 1, false));
    CHECK_FALSE(txn_has_room(&f->layer, 2, false)); /* of both: 11 of 12 are there */
    fix_end(f);
}

/* The last eighth, of either. */
static void test_spare(void) {
    struct fix *f = fix_new_open(64, 16);
    struct txn_layer *l = &f->layer;
    l->open.used = 14;
    CHECK_TRUE(txn_has_room(l, 0, true) && !txn_has_room(l, 1, true) && txn_has_room(l, 2, false));
    l->open.used = 0;
    l->pool.used = 56;
    CHECK_TRUE(txn_has_room(l, 0, true) && !txn_has_room(l, 1, true) && txn_has_room(l, 8, false));
    CHECK_FALSE(txn_has_room(l, 9, false));
    l->pool.used = 0;
    fix_end(f);
}

static size_t memory_of(uint32_t count, uint32_t open) {
    struct txn_layer l;
    struct arena a;
    struct txn_layer_config c = { .count = count, .open = open };
    arena_init(&a, NULL, 0);
    txn_layer_init(&l, &a, &c);
    return a.used;
}

/* What one more that lingers takes, with its part of the chains' heads and its place among those without To tag. */
static void test_memory(void) {
    uint32_t n = 1 << 20;
    size_t each = (memory_of(n + n, 1024) - memory_of(n, 1024)) / n;
    printf("(%zu bytes, of that struct txn %zu; an open one %zu more) ", each, sizeof(struct txn),
           sizeof(struct txn_open));
    CHECK_TRUE(each <= 128 + 8 + 6 + 24);
    CHECK_TRUE(memory_of(2000000, 500000) < 420u << 20);
}

int main(void) {
    return UNIT_RUN("txn_linger", UNIT(test_ict), UNIT(test_ict_refused), UNIT(test_nict),
                    UNIT(test_ist_accepted), UNIT(test_ist_confirmed), UNIT(test_nist), UNIT(test_source),
                    UNIT(test_queue), UNIT(test_queue_much), UNIT(test_queue_reliable), UNIT(test_merged),
                    UNIT(test_bounds), UNIT(test_spare), UNIT(test_memory));
}
