/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Client transactions in virtual time: schedules, ACK, CANCEL, forks. T-9.n are the flows of that name at this layer.
 */
#include "tests/unit/txn_fixture.h"

#define B1 "z9hG4bKone"

static void check_times(const struct fix *f, uint64_t t0, const unsigned *want_ms, unsigned n) {
    CHECK_EQ(f->sent_n, n);
    for (unsigned i = 0; i < n && i < f->sent_n; i++)
        CHECK_EQ((f->sent[i].at - t0) / MS, want_ms[i]);
}

static void check_told(const struct fix *f, unsigned i, uint64_t at, enum txn_event_kind kind) {
    CU_ASSERT_FATAL(i < f->told_n);
    CHECK_EQ(f->told[i].at, at);
    CHECK_EQ(f->told[i].ev.kind, kind);
}

static void test_timer_a_b(void) {
    static const unsigned want[] = { 0, 500, 1500, 3500, 7500, 15500, 31500 };
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    fix_run(f, t0 + 100 * SEC);
    check_times(f, t0, want, 7);
    CHECK_TRUE(slice_eq(fix_sent_at(f, 0), fix_sent_at(f, 6)));
    CHECK_TRUE(addr_eq(&f->sent[6].dst, &f->far));
    CHECK_EQ(f->told_n, 1);
    check_told(f, 0, t0 + 32 * SEC, TXN_TIMEOUT);
    CHECK_EQ(f->told[0].ev.timer, TXN_TIMER_B);
    CHECK_EQ(f->told[0].ev.ctx, 77);
    CHECK_EQ(f->told[0].ev.ctx_kind, 3);
    CHECK_TRUE(f->told[0].ev.txn == h && txn_get(&f->layer, h) == NULL);
    CHECK_EQ(metrics_get(&f->metrics, M_retransmissions_out), 6);
    CHECK_EQ(metrics_get(&f->metrics, M_timeouts), 1);
    fix_end(f);
}

static void test_timer_e_f(void) {
    static const unsigned want[] = { 0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500 };
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    fix_start(f, SIP_M_BYE, B1);
    fix_run(f, t0 + 100 * SEC);
    check_times(f, t0, want, 11);
    check_told(f, 0, t0 + 32 * SEC, TXN_TIMEOUT);
    CHECK_EQ(f->told[0].ev.timer, TXN_TIMER_F);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

/* Who wakes behind Timer B and F, or may send again then, sends no request that is over. */
static void test_slept_past_the_end(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    fix_start(f, SIP_M_INVITE, B1);
    fix_start(f, SIP_M_NOTIFY, "z9hG4bKtwo");
    fix_run(f, t0 + 200 * MS);
    fix_start(f, SIP_M_BYE, "z9hG4bKthree");
    CHECK_EQ(fix_recv(f, fix_response(100, "BYE", "z9hG4bKthree", "tt")).kind, TXN_PROVISIONAL);
    fix_run(f, t0 + 20 * SEC);
    unsigned before = f->sent_n;
    fix_sleep(f, t0 + 40 * SEC);
    CHECK_EQ(f->sent_n, before);
    CHECK_EQ(f->told_n, 3);
    for (unsigned i = 0; i < f->told_n; i++) {
        check_told(f, i, t0 + 40 * SEC, TXN_TIMEOUT);
        CHECK_EQ(f->told[i].ev.timer, i ? TXN_TIMER_F : TXN_TIMER_B);
    }
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

static void test_slept_before_the_end(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    fix_start(f, SIP_M_NOTIFY, B1);
    fix_sleep(f, t0 + 31 * SEC);
    CHECK_EQ(f->sent_n, 2);
    CHECK_EQ(f->told_n, 0);
    fix_run(f, t0 + 100 * SEC);
    check_told(f, 0, t0 + 32 * SEC, TXN_TIMEOUT);
    fix_end(f);
}

static void test_timer_e_in_proceeding(void) {
    static const unsigned want[] = { 0, 500, 4500, 8500, 12500, 16500, 20500, 24500, 28500 };
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    fix_start(f, SIP_M_BYE, B1);
    fix_run(f, t0 + 200 * MS);
    CHECK_EQ(fix_recv(f, fix_response(100, "BYE", B1, "tt")).kind, TXN_PROVISIONAL);
    fix_run(f, t0 + 100 * SEC);
    check_times(f, t0, want, 9);
    check_told(f, 0, t0 + 32 * SEC, TXN_TIMEOUT);
    fix_end(f);
}

static void test_reliable(void) {
    struct fix *f = fix_new();
    f->far.transport = SIP_TCP;
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    handle bye = fix_start(f, SIP_M_BYE, "z9hG4bKtwo");
    fix_run(f, t0 + 20 * SEC);
    CHECK_EQ(f->sent_n, 2);
    CHECK_EQ(fix_recv(f, fix_response(486, "INVITE", B1, "tt")).kind, TXN_FINAL);
    CHECK_EQ(fix_recv(f, fix_response(200, "BYE", "z9hG4bKtwo", "tt")).kind, TXN_FINAL);
    fix_run(f, t0 + 21 * SEC);
    CHECK_TRUE(!txn_get(&f->layer, h) && !txn_get(&f->layer, bye));
    CHECK_EQ(f->sent_n, 3);
    fix_end(f);
}

static void test_provisional_stops_a_b(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    fix_run(f, t0 + 100 * MS);
    struct txn_event ev = fix_recv(f, fix_response(180, "INVITE", B1, "tt"));
    CHECK_EQ(ev.kind, TXN_PROVISIONAL);
    CHECK_TRUE(ev.txn == h);
    fix_run(f, t0 + 200 * SEC);
    CHECK_EQ(fix_recv(f, fix_response(183, "INVITE", B1, "tt")).kind, TXN_PROVISIONAL);
    CHECK_EQ(f->sent_n, 1);
    CHECK_EQ(f->told_n, 0);
    CHECK_EQ(txn_get(&f->layer, h)->status, 183);
    CHECK_FALSE(txn_is_done(&f->layer, h));
    fix_end(f);
}

static void test_failure_is_acked(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    CHECK_EQ(fix_recv(f, fix_response(486, "INVITE", B1, "theirs")).kind, TXN_FINAL);
    CHECK_TRUE(txn_is_done(&f->layer, h));
    const struct sip_msg *ack = fix_parse(fix_sent_at(f, 1));
    CHECK_EQ(ack->method, SIP_M_ACK);
    CHECK_SLICE(ack->ruri_text, "sip:bob@192.0.2.9");
    CHECK_SLICE(ack->via.branch, B1);
    CHECK_SLICE(ack->via.value, "SIP/2.0/UDP 192.0.2.1:5060;branch=" B1 ";rport");
    CHECK_SLICE(ack->from_tag, "ft");
    CHECK_SLICE(ack->to_tag, "theirs");
    CHECK_SLICE(ack->call_id, "call-1");
    CHECK_EQ(ack->cseq, 7);
    CHECK_EQ(ack->cseq_method, SIP_M_ACK);
    CHECK_EQ(ack->content_length, 0);
    struct sip_values cur = { 0 };
    struct slice route;
    unsigned routes = 0;
    while (sip_values_next(ack, SIP_H_ROUTE, &cur, &route))
        routes++;
    CHECK_EQ(routes, 3);
    CHECK_SLICE(route, "<sip:p3.example;lr>");
    CHECK_TRUE(sip_hdr_first(ack, SIP_H_CONTACT) == NULL);
    fix_run(f, t0 + 31 * SEC);
    CHECK_EQ(fix_recv(f, fix_response(486, "INVITE", B1, "theirs")).kind, TXN_NONE);
    CHECK_EQ(f->sent_n, 3);
    CHECK_TRUE(slice_eq(fix_sent_at(f, 1), fix_sent_at(f, 2)));
    fix_run(f, t0 + 31999 * MS);
    CHECK_TRUE(txn_get(&f->layer, h) != NULL);
    fix_run(f, t0 + 32 * SEC);
    CHECK_TRUE(txn_get(&f->layer, h) == NULL);
    CHECK_EQ(fix_recv(f, fix_response(486, "INVITE", B1, "theirs")).kind, TXN_STRAY);
    CHECK_EQ(f->told_n, 0);
    CHECK_EQ(metrics_get(&f->metrics, M_responses_stray), 1);
    fix_end(f);
}

/* T-9.6 and a repeated 2xx: each goes up, nothing is sent here. */
static void test_2xx_forked(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "fork1")).kind, TXN_FINAL);
    CHECK_TRUE(txn_get(&f->layer, h)->kept == NULL);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "fork1")).kind, TXN_2XX_AGAIN);
    struct txn_event ev = fix_recv(f, fix_response(200, "INVITE", B1, "fork2"));
    CHECK_EQ(ev.kind, TXN_2XX_AGAIN);
    CHECK_TRUE(ev.txn == h && ev.ctx == 77);
    CHECK_EQ(fix_recv(f, fix_response(183, "INVITE", B1, "fork3")).kind, TXN_NONE);
    CHECK_EQ(fix_recv(f, fix_response(486, "INVITE", B1, "fork3")).kind, TXN_NONE);
    CHECK_EQ(f->sent_n, 1);
    fix_run(f, t0 + 31999 * MS);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "fork1")).kind, TXN_2XX_AGAIN);
    fix_run(f, t0 + 32 * SEC);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "fork1")).kind, TXN_STRAY);
    CHECK_EQ(f->told_n, 0);
    fix_end(f);
}

/* Of a TU that is gone when the 2xx comes again: kept behind the 2xx alone, and as long as the transaction. */
static void test_ack_kept(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    struct addr other = f->far;
    other.port++;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    txn_keep_ack(&f->layer, h, buf_copy(&f->bufs, SL("too early")), &other);
    CHECK_TRUE(slice_has_prefix(txn_request_of(txn_get(&f->layer, h)), SL("INVITE")));
    CHECK_TRUE(addr_eq(&txn_get(&f->layer, h)->dst, &f->far));
    fix_recv(f, fix_response(200, "INVITE", B1, "tt"));
    txn_keep_ack(&f->layer, h, buf_copy(&f->bufs, SL("one")), &other);
    txn_keep_ack(&f->layer, h, buf_copy(&f->bufs, SL("two")), &other);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "tt")).kind, TXN_2XX_AGAIN);
    CHECK_TRUE(slice_eq(buf_slice(txn_get(&f->layer, h)->kept), SL("two")));
    CHECK_TRUE(addr_eq(&txn_get(&f->layer, h)->dst, &other));
    CHECK_EQ(f->sent_n, 1);
    fix_run(f, t0 + 32 * SEC);
    CHECK_TRUE(txn_get(&f->layer, h) == NULL);
    txn_keep_ack(&f->layer, h, buf_copy(&f->bufs, SL("too late")), &other);
    fix_end(f);
}

static void test_2xx_behind_failure(void) {
    struct fix *f = fix_new();
    fix_start(f, SIP_M_INVITE, B1);
    CHECK_EQ(fix_recv(f, fix_response(603, "INVITE", B1, "fork1")).kind, TXN_FINAL);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "fork2")).kind, TXN_2XX_AGAIN);
    CHECK_EQ(f->sent_n, 2);
    fix_end(f);
}

static void test_timer_k(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_BYE, B1);
    CHECK_EQ(fix_recv(f, fix_response(200, "BYE", B1, "tt")).kind, TXN_FINAL);
    fix_run(f, t0 + 4999 * MS);
    CHECK_EQ(fix_recv(f, fix_response(200, "BYE", B1, "tt")).kind, TXN_NONE);
    CHECK_TRUE(txn_is_done(&f->layer, h) && txn_get(&f->layer, h));
    fix_run(f, t0 + 5 * SEC);
    CHECK_EQ(fix_recv(f, fix_response(200, "BYE", B1, "tt")).kind, TXN_STRAY);
    CHECK_EQ(f->sent_n, 1);
    fix_end(f);
}

static void test_matching(void) {
    struct fix *f = fix_new();
    handle h = fix_start(f, SIP_M_INVITE, B1);
    CHECK_EQ(fix_recv(f, fix_response(200, "BYE", B1, "tt")).kind, TXN_STRAY);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1 "x", "tt")).kind, TXN_STRAY);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", "z9hG4bKONE", "tt")).kind, TXN_STRAY);
    CHECK_EQ(fix_start(f, SIP_M_INVITE, B1), HANDLE_NONE);
    CHECK_TRUE(fix_start(f, SIP_M_BYE, B1) != HANDLE_NONE);
    CHECK_EQ(txn_count(&f->layer), 2);
    CHECK_TRUE(fix_recv(f, fix_response(180, "INVITE", B1, "tt")).txn == h);
    fix_end(f);
}

static void check_cancel(const struct fix *f, unsigned i) {
    const struct sip_msg *m = fix_parse(fix_sent_at(f, i));
    CHECK_EQ(m->method, SIP_M_CANCEL);
    CHECK_SLICE(m->ruri_text, "sip:bob@192.0.2.9");
    CHECK_SLICE(m->via.value, "SIP/2.0/UDP 192.0.2.1:5060;branch=" B1 ";rport");
    CHECK_TRUE(m->to_tag.p == NULL);
    CHECK_SLICE(m->from_tag, "ft");
    CHECK_EQ(m->cseq, 7);
    CHECK_EQ(m->cseq_method, SIP_M_CANCEL);
    CHECK_SLICE(sip_hdr_value(m, SIP_H_REASON), "SIP;cause=200");
    CHECK_TRUE(sip_hdr_first(m, SIP_H_ROUTE) != NULL && sip_hdr_first(m, SIP_H_CONTACT) == NULL);
}

static handle cancel(struct fix *f, handle h) {
    handle c = txn_cancel(&f->layer, &f->outbox, f->now, h, SL("Reason: SIP;cause=200\r\n"));
    fix_collect(f);
    return c;
}

/* T-9.4 */
static void test_cancel_before_provisional(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    CHECK_EQ(cancel(f, h), HANDLE_NONE);
    CHECK_EQ(cancel(f, h), HANDLE_NONE);
    fix_run(f, t0 + 1 * SEC);
    CHECK_EQ(f->sent_n, 2);
    CHECK_EQ(fix_recv(f, fix_response(100, "INVITE", B1, "tt")).kind, TXN_PROVISIONAL);
    CU_ASSERT_FATAL(f->sent_n == 3);
    check_cancel(f, 2);
    struct txn_event ev = fix_recv(f, fix_response(200, "CANCEL", B1, "tt"));
    CHECK_EQ(ev.kind, TXN_FINAL);
    CHECK_EQ(ev.method, SIP_M_CANCEL);
    CHECK_EQ(ev.ctx, 77);
    ev = fix_recv(f, fix_response(487, "INVITE", B1, "tt"));
    CHECK_EQ(ev.kind, TXN_FINAL);
    CHECK_TRUE(ev.txn == h);
    CHECK_TRUE(fix_has(fix_sent_at(f, 3), "ACK sip:bob"));
    fix_run(f, t0 + 100 * SEC);
    CHECK_EQ(f->told_n, 0);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

static void test_cancel_never_answered(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    cancel(f, fix_start(f, SIP_M_INVITE, B1));
    fix_run(f, t0 + 100 * SEC);
    CHECK_EQ(f->sent_n, 7);
    CHECK_EQ(f->told_n, 1);
    CHECK_EQ(f->told[0].ev.timer, TXN_TIMER_B);
    fix_end(f);
}

static void test_cancel_held_then_final(void) {
    struct fix *f = fix_new();
    handle h = fix_start(f, SIP_M_INVITE, B1);
    cancel(f, h);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "tt")).kind, TXN_FINAL);
    CHECK_EQ(f->sent_n, 1);
    CHECK_TRUE(txn_open_of(txn_get(&f->layer, h)) == NULL);
    CHECK_EQ(cancel(f, h), HANDLE_NONE);
    CHECK_EQ(f->sent_n, 1);
    fix_end(f);
}

/* T-9.1: the 200 crosses the CANCEL. */
static void test_cancel_crosses_200(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    fix_recv(f, fix_response(180, "INVITE", B1, "tt"));
    handle c = cancel(f, h);
    CHECK_TRUE(c != HANDLE_NONE && c != h);
    CHECK_EQ(cancel(f, h), HANDLE_NONE);
    CHECK_EQ(f->sent_n, 2);
    check_cancel(f, 1);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "tt")).kind, TXN_FINAL);
    CHECK_EQ(fix_recv(f, fix_response(481, "CANCEL", B1, "tt")).kind, TXN_FINAL);
    fix_run(f, t0 + 100 * SEC);
    CHECK_EQ(f->told_n, 0);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

/* T-9.5: the 487 is lost every time. */
static void test_cancel_lost_487(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    fix_recv(f, fix_response(180, "INVITE", B1, "tt"));
    fix_run(f, t0 + 10 * SEC);
    cancel(f, h);
    CHECK_EQ(fix_recv(f, fix_response(200, "CANCEL", B1, "tt")).kind, TXN_FINAL);
    fix_run(f, t0 + 30 * SEC);
    CHECK_EQ(cancel(f, h), HANDLE_NONE); /* only the first counts */
    fix_run(f, t0 + 100 * SEC);
    CHECK_EQ(f->sent_n, 2);
    CHECK_EQ(f->told_n, 1);
    check_told(f, 0, t0 + 42 * SEC, TXN_TIMEOUT);
    CHECK_EQ(f->told[0].ev.timer, TXN_TIMER_CANCELLED);
    CHECK_TRUE(f->told[0].ev.txn == h);
    CHECK_EQ(txn_count(&f->layer), 0);
    CHECK_EQ(fix_recv(f, fix_response(200, "INVITE", B1, "tt")).kind, TXN_STRAY);
    fix_end(f);
}

/* No room for the CANCEL's own transaction: the INVITE still ends. */
static void test_cancel_without_room(void) {
    struct fix *f = fix_new_sized(1);
    uint64_t t0 = f->now;
    handle h = fix_start(f, SIP_M_INVITE, B1);
    fix_recv(f, fix_response(180, "INVITE", B1, "tt"));
    CHECK_EQ(cancel(f, h), HANDLE_NONE);
    fix_run(f, t0 + 32 * SEC);
    CHECK_EQ(f->told_n, 1);
    CHECK_EQ(f->told[0].ev.timer, TXN_TIMER_CANCELLED);
    fix_end(f);
}

static void test_transport_error(void) {
    struct fix *f = fix_new();
    struct addr other = f->far;
    other.port++;
    handle a = fix_start(f, SIP_M_INVITE, B1), b = fix_start(f, SIP_M_BYE, "z9hG4bKtwo");
    handle c = fix_start(f, SIP_M_INVITE, "z9hG4bKthree");
    fix_recv(f, fix_response(180, "INVITE", "z9hG4bKthree", "tt"));
    /* What is answered is not found any more; in the midst of the others. */
    handle d = fix_start(f, SIP_M_BYE, "z9hG4bKfour"), first = fix_start(f, SIP_M_BYE, "z9hG4bKfive");
    fix_recv(f, fix_response(200, "BYE", "z9hG4bKfour", "tt"));
    /* Sent on account of the error: it is not about that. */
    uint32_t started = f->layer.started;
    handle after = fix_start(f, SIP_M_INVITE, "z9hG4bKsix");
    CHECK_EQ(txn_transport_error(&f->layer, f->now, &other, started).kind, TXN_NONE);
    struct txn_event ev = txn_transport_error(&f->layer, f->now, &f->far, started);
    CHECK_TRUE(ev.kind == TXN_FAILED && ev.txn == first);
    ev = txn_transport_error(&f->layer, f->now, &f->far, started);
    CHECK_TRUE(ev.kind == TXN_FAILED && ev.txn == b && ev.method == SIP_M_BYE);
    ev = txn_transport_error(&f->layer, f->now, &f->far, started);
    CHECK_TRUE(ev.kind == TXN_FAILED && ev.txn == a && ev.txn_kind == TXN_ICT);
    CHECK_EQ(txn_transport_error(&f->layer, f->now, &f->far, started).kind, TXN_NONE);
    CHECK_TRUE(txn_get(&f->layer, c) && txn_get(&f->layer, d) && txn_get(&f->layer, after));
    CHECK_EQ(txn_count(&f->layer), 3);
    fix_end(f);
}

static void test_full(void) {
    struct fix *f = fix_new_sized(2);
    CHECK_TRUE(fix_start(f, SIP_M_INVITE, B1) && fix_start(f, SIP_M_BYE, B1));
    CHECK_EQ(fix_start(f, SIP_M_OPTIONS, B1), HANDLE_NONE);
    CHECK_EQ(f->sent_n, 2);
    CHECK_EQ(metrics_get(&f->metrics, M_pool_full), 1);
    fix_end(f);
}

/* A full outbox is a lost datagram; the timer sends it again. */
static void test_outbox_full(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    f->outbox.n = OUTBOX_MAX;
    struct txn_client c = { .request = buf_copy(&f->bufs, fix_request("INVITE", B1, "")), .method = SIP_M_INVITE,
                            .branch = SL(B1), .cseq = 7, .dst = &f->far };
    CHECK_TRUE(txn_client_start(&f->layer, &f->outbox, f->now, &c) != HANDLE_NONE);
    f->outbox.n = 0;
    fix_run(f, t0 + 600 * MS);
    CHECK_EQ(f->sent_n, 1);
    fix_end(f);
}

static void test_unknown_method(void) {
    struct fix *f = fix_new();
    struct txn_client c = { .request = buf_copy(&f->bufs, fix_request("FROB", B1, "")), .method_name = SL("FROB"),
                            .branch = SL(B1), .cseq = 7, .dst = &f->far };
    handle h = txn_client_start(&f->layer, &f->outbox, f->now, &c);
    fix_collect(f);
    c.request = NULL;
    c.branch = SL("z9hG4bKtwo");
    CHECK_EQ(txn_client_start(&f->layer, &f->outbox, f->now, &c), HANDLE_NONE);
    CHECK_EQ(fix_recv(f, fix_response(200, "FRIB", B1, "tt")).kind, TXN_STRAY);
    CHECK_TRUE(fix_recv(f, fix_response(200, "FROB", B1, "tt")).txn == h);
    fix_end(f);
}

static void test_trace(void) {
    struct fix *f = fix_new();
    fix_start(f, SIP_M_INVITE, B1);
    const struct trace_line *line = trace_at(&f->trace, f->trace.head - 1);
    struct slice text = slice_of(line->detail, line->n);
    CHECK_TRUE(fix_has(text, "ict ") && fix_has(text, " INVITE INIT START -> CALLING (17.1.1.2)"));
    fix_end(f);
}

int main(void) {
    return UNIT_RUN("txn_client", UNIT(test_timer_a_b), UNIT(test_timer_e_f), UNIT(test_timer_e_in_proceeding),
                    UNIT(test_slept_past_the_end), UNIT(test_slept_before_the_end),
                    UNIT(test_reliable), UNIT(test_provisional_stops_a_b), UNIT(test_failure_is_acked),
                    UNIT(test_2xx_forked), UNIT(test_ack_kept), UNIT(test_2xx_behind_failure), UNIT(test_timer_k),
                    UNIT(test_matching), UNIT(test_cancel_before_provisional), UNIT(test_cancel_never_answered),
                    UNIT(test_cancel_held_then_final), UNIT(test_cancel_crosses_200), UNIT(test_cancel_lost_487),
                    UNIT(test_cancel_without_room), UNIT(test_transport_error), UNIT(test_full), UNIT(test_outbox_full),
                    UNIT(test_unknown_method), UNIT(test_trace));
}
