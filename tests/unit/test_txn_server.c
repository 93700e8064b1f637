/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Server transactions in virtual time: schedules, matching by RFC 3261 and RFC 2543, CANCEL, merged requests.
 */
#include "tests/unit/txn_fixture.h"

#define B1 "z9hG4bKone"
#define B2 "z9hG4bKtwo"

static void check_times(const struct fix *f, unsigned from, uint64_t t0, const unsigned *want_ms, unsigned n) {
    CHECK_EQ(f->sent_n - from, n);
    for (unsigned i = 0; i < n && from + i < f->sent_n; i++)
        CHECK_EQ((f->sent[from + i].at - t0) / MS, want_ms[i]);
}

static handle invite(struct fix *f, const char *branch) {
    struct txn_event ev = fix_recv(f, fix_request("INVITE", branch, ""));
    CHECK_EQ(ev.kind, TXN_NEW_REQUEST);
    CHECK_EQ(ev.txn_kind, TXN_IST);
    CHECK_EQ(ev.method, SIP_M_INVITE);
    return ev.txn;
}

static void test_trying_at_once(void) {
    struct fix *f = fix_new();
    handle h = invite(f, B1);
    CU_ASSERT_FATAL(f->sent_n == 1);
    const struct sip_msg *m = fix_parse(fix_sent_at(f, 0));
    CHECK_EQ(m->status, 100);
    CHECK_TRUE(m->to_tag.p == NULL);
    CHECK_SLICE(m->from.value, "\"A\" <sip:alice@example.com>;tag=ft");
    CHECK_SLICE(m->call_id, "call-1");
    CHECK_EQ(m->cseq, 7);
    CHECK_EQ(m->cseq_method, SIP_M_INVITE);
    CHECK_SLICE(m->via.branch, B1);
    CHECK_SLICE(m->via.received, "192.0.2.9");
    CHECK_SLICE(m->via.rport, "5070");
    CHECK_TRUE(addr_eq(&f->sent[0].dst, &f->far));
    CHECK_TRUE(slice_eq(txn_request(&f->layer, h), fix_request("INVITE", B1, "")));
    fix_end(f);
}

static void test_repeats_last_response(void) {
    struct fix *f = fix_new();
    handle h = invite(f, B1);
    CHECK_EQ(fix_recv(f, fix_request("INVITE", B1, "")).kind, TXN_NONE);
    CHECK_TRUE(fix_has(fix_sent_at(f, 1), "SIP/2.0 100"));
    fix_respond(f, h, 180, "INVITE", B1);
    CHECK_EQ(fix_recv(f, fix_request("INVITE", B1, "")).kind, TXN_NONE);
    CHECK_EQ(f->sent_n, 4);
    CHECK_TRUE(fix_has(fix_sent_at(f, 3), "SIP/2.0 180"));
    CHECK_EQ(fix_recv(f, fix_request("ACK", B1, "us")).kind, TXN_NONE);
    CHECK_EQ(metrics_get(&f->metrics, M_retransmissions_in), 2);
    CHECK_EQ(txn_get(&f->layer, h)->status, 180);
    fix_end(f);
}

/* Where there was no buffer for it when the INVITE came it is made when it is asked for. */
static void test_head(void) {
    struct fix *f = fix_new();
    handle h = invite(f, B1);
    CU_ASSERT_FATAL(txn_head(&f->layer, h) != NULL);
    buf_unref(f->layer.bufs, &txn_get(&f->layer, h)->u.open->head);
    const struct uas_head *head = txn_head(&f->layer, h);
    CU_ASSERT_FATAL(head != NULL);
    CHECK_EQ(head->method, SIP_M_INVITE);
    CHECK_TRUE(slice_has_prefix(slice_of(head->text, head->end), SL("Via: SIP/2.0/UDP ")));
    fix_respond(f, h, 180, "INVITE", B1);
    CHECK_TRUE(txn_head(&f->layer, h) == head);
    fix_respond(f, h, 200, "INVITE", B1);
    CHECK_TRUE(txn_head(&f->layer, h) == NULL);
    CHECK_TRUE(txn_head(&f->layer, HANDLE_NONE) == NULL);
    fix_end(f);
}

static void test_timer_g_h(void) {
    static const unsigned want[] = { 0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500 };
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = invite(f, B1);
    fix_respond(f, h, 486, "INVITE", B1);
    CHECK_TRUE(txn_is_done(&f->layer, h));
    CHECK_TRUE(txn_request(&f->layer, h).p == NULL);
    fix_run(f, t0 + 100 * SEC);
    check_times(f, 1, t0, want, 11);
    CHECK_TRUE(slice_eq(fix_sent_at(f, 1), fix_sent_at(f, 11)));
    CHECK_EQ(f->told_n, 1);
    CHECK_EQ(f->told[0].at, t0 + 32 * SEC);
    CHECK_EQ(f->told[0].ev.kind, TXN_TIMEOUT);
    CHECK_EQ(f->told[0].ev.timer, TXN_TIMER_H);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

static void test_slept_past_timer_h(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = invite(f, B1);
    fix_respond(f, h, 486, "INVITE", B1);
    unsigned before = f->sent_n;
    fix_sleep(f, t0 + 40 * SEC);
    CHECK_EQ(f->sent_n, before);
    CHECK_EQ(f->told_n, 1);
    CHECK_EQ(f->told[0].ev.timer, TXN_TIMER_H);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

static void test_failure_acked_timer_i(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = invite(f, B1);
    fix_respond(f, h, 486, "INVITE", B1);
    fix_run(f, t0 + 1 * SEC);
    CHECK_EQ(fix_recv(f, fix_request("INVITE", B1, "")).kind, TXN_NONE);
    CHECK_EQ(f->sent_n, 4);
    struct txn_event ev = fix_recv(f, fix_request("ACK", B1, "us"));
    CHECK_TRUE(ev.kind == TXN_ACK_FAILURE && ev.txn == h);
    CHECK_TRUE(txn_get(&f->layer, h)->kept == NULL);
    CHECK_EQ(fix_recv(f, fix_request("ACK", B1, "us")).kind, TXN_NONE);
    CHECK_EQ(fix_recv(f, fix_request("INVITE", B1, "")).kind, TXN_NONE);
    fix_respond(f, h, 200, "INVITE", B1);
    fix_run(f, t0 + 5999 * MS);
    CHECK_TRUE(txn_get(&f->layer, h) != NULL);
    fix_run(f, t0 + 6 * SEC);
    CHECK_TRUE(txn_get(&f->layer, h) == NULL);
    CHECK_EQ(fix_recv(f, fix_request("ACK", B1, "us")).kind, TXN_ACK_2XX);
    CHECK_EQ(f->sent_n, 4);
    CHECK_EQ(f->told_n, 0);
    fix_end(f);
}

/* RFC 6026: the 2xx is the TU's; INVITEs are absorbed in silence for 64*T1; ACKs go up. */
static void test_accepted_timer_l(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = invite(f, B1);
    fix_respond(f, h, 200, "INVITE", B1);
    CHECK_EQ(f->sent_n, 2);
    CHECK_TRUE(txn_get(&f->layer, h)->kept == NULL);
    CHECK_EQ(fix_recv(f, fix_request("INVITE", B1, "")).kind, TXN_NONE);
    fix_run(f, t0 + 20 * SEC);
    CHECK_EQ(f->sent_n, 2);
    fix_respond(f, h, 200, "INVITE", B1);
    CHECK_EQ(f->sent_n, 3);
    fix_respond(f, h, 487, "INVITE", B1);
    fix_respond(f, h, 180, "INVITE", B1);
    CHECK_EQ(f->sent_n, 3);
    struct txn_event ev = fix_recv(f, fix_request("ACK", B1, "us"));
    CHECK_TRUE(ev.kind == TXN_ACK_2XX && ev.txn == h);
    ev = fix_recv(f, fix_request("ACK", B2, "us"));
    CHECK_TRUE(ev.kind == TXN_ACK_2XX && ev.txn == HANDLE_NONE);
    fix_run(f, t0 + 31999 * MS);
    CHECK_EQ(fix_recv(f, fix_request("INVITE", B1, "")).kind, TXN_NONE);
    fix_run(f, t0 + 32 * SEC);
    CHECK_EQ(txn_count(&f->layer), 0);
    CHECK_EQ(f->told_n, 0);
    fix_respond(f, h, 200, "INVITE", B1);
    CHECK_EQ(f->sent_n, 3);
    fix_end(f);
}

static void test_reliable(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    f->far.transport = SIP_TCP;
    handle h = invite(f, B1);
    fix_respond(f, h, 486, "INVITE", B1);
    fix_run(f, t0 + 20 * SEC);
    CHECK_EQ(f->sent_n, 2);
    fix_recv(f, fix_request("ACK", B1, "us"));
    fix_run(f, t0 + 21 * SEC);
    CHECK_EQ(txn_count(&f->layer), 0);
    handle bye = fix_recv(f, fix_request("BYE", B2, "us")).txn;
    fix_respond(f, bye, 200, "BYE", B2);
    fix_run(f, t0 + 22 * SEC);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

static void test_nist_timer_j(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    struct txn_event ev = fix_recv(f, fix_request("BYE", B1, "us"));
    CHECK_TRUE(ev.kind == TXN_NEW_REQUEST && ev.txn_kind == TXN_NIST && !ev.merged);
    CHECK_EQ(f->sent_n, 0);
    CHECK_EQ(fix_recv(f, fix_request("BYE", B1, "us")).kind, TXN_NONE);
    CHECK_EQ(f->sent_n, 0);
    fix_respond(f, ev.txn, 200, "BYE", B1);
    CHECK_EQ(fix_recv(f, fix_request("BYE", B1, "us")).kind, TXN_NONE);
    CHECK_EQ(f->sent_n, 2);
    fix_respond(f, ev.txn, 500, "BYE", B1);
    CHECK_EQ(f->sent_n, 2);
    fix_run(f, t0 + 31999 * MS);
    CHECK_EQ(fix_recv(f, fix_request("BYE", B1, "us")).kind, TXN_NONE);
    CHECK_TRUE(slice_eq(fix_sent_at(f, 0), fix_sent_at(f, 2)));
    fix_run(f, t0 + 32 * SEC);
    CHECK_EQ(fix_recv(f, fix_request("BYE", B1, "us")).kind, TXN_NEW_REQUEST);
    fix_end(f);
}

/* RFC 4320: 100 after 3.5 s and not before, no other 1xx, no 408; then nothing is said at all. */
static void test_nist_rfc4320(void) {
    static const unsigned want[] = { 3500 };
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = fix_recv(f, fix_request("REFER", B1, "us")).txn;
    fix_respond(f, h, 100, "REFER", B1);
    fix_respond(f, h, 183, "REFER", B1);
    fix_run(f, t0 + 10 * SEC);
    check_times(f, 0, t0, want, 1);
    CHECK_TRUE(fix_has(fix_sent_at(f, 0), "SIP/2.0 100"));
    CHECK_TRUE(fix_has(fix_sent_at(f, 0), "CSeq: 7 REFER"));
    fix_respond(f, h, 183, "REFER", B1);
    CHECK_EQ(f->sent_n, 1);
    fix_recv(f, fix_request("REFER", B1, "us"));
    CHECK_EQ(f->sent_n, 2);
    handle h2 = fix_recv(f, fix_request("INFO", B2, "us")).txn;
    fix_respond(f, h2, 408, "INFO", B2);
    CHECK_TRUE(txn_get(&f->layer, h2) == NULL);
    fix_run(f, t0 + 100 * SEC);
    CHECK_EQ(f->sent_n, 2);
    CHECK_EQ(f->told_n, 1);
    CHECK_EQ(f->told[0].at, t0 + 32 * SEC);
    CHECK_EQ(f->told[0].ev.timer, TXN_TIMER_EXPIRED);
    CHECK_TRUE(f->told[0].ev.txn == h);
    fix_end(f);
}

static void test_cancel(void) {
    struct fix *f = fix_new();
    handle h = invite(f, B1);
    txn_get(&f->layer, h)->ctx = 55;
    txn_get(&f->layer, h)->ctx_kind = 4;
    struct txn_event ev = fix_recv(f, fix_request("CANCEL", B1, ""));
    CHECK_EQ(ev.kind, TXN_CANCEL);
    CHECK_TRUE(ev.txn != h && ev.other == h && ev.ctx == 55 && ev.ctx_kind == 4);
    CHECK_EQ(txn_get(&f->layer, ev.txn)->kind, TXN_NIST);
    CHECK_TRUE(txn_get(&f->layer, h)->cancelled);
    fix_respond(f, ev.txn, 200, "CANCEL", B1);
    fix_respond(f, h, 487, "INVITE", B1);
    CHECK_EQ(fix_recv(f, fix_request("CANCEL", B1, "")).kind, TXN_NONE);
    CHECK_EQ(f->sent_n, 4);
    CHECK_TRUE(slice_eq(fix_sent_at(f, 1), fix_sent_at(f, 3)));
    CHECK_EQ(fix_recv(f, fix_request("ACK", B1, "us")).kind, TXN_ACK_FAILURE);
    ev = fix_recv(f, fix_request("CANCEL", B2, ""));
    CHECK_TRUE(ev.kind == TXN_CANCEL && ev.txn != HANDLE_NONE && ev.other == HANDLE_NONE);
    fix_end(f);
}

static struct slice with_sent_by(const char *method, const char *sent_by) {
    static char ring[4][1024];
    static unsigned at;
    char *mem = ring[at++ % 4];
    int n = snprintf(mem, sizeof ring[0], "%s sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=" B1 "\r\n"
                     "Max-Forwards: 70\r\nFrom: <sip:a@x>;tag=%s\r\nTo: <sip:b@x>\r\nCall-ID: %s\r\nCSeq: 1 %s\r\n\r\n",
                     method, sent_by, sent_by, sent_by, method);
    return slice_of(mem, (size_t)n);
}

/* Section 17.2.3, rule 2: the same branch of another sender is another transaction. */
static void test_sent_by(void) {
    struct fix *f = fix_new();
    CHECK_EQ(fix_recv(f, with_sent_by("INVITE", "h1.example:5062")).kind, TXN_NEW_REQUEST);
    CHECK_EQ(f->sent[0].dst.port, 5062);
    CHECK_EQ(fix_recv(f, with_sent_by("INVITE", "h2.example:5062")).kind, TXN_NEW_REQUEST);
    CHECK_EQ(fix_recv(f, with_sent_by("INVITE", "h1.example")).kind, TXN_NEW_REQUEST);
    CHECK_EQ(f->sent[2].dst.port, 5060);
    CHECK_EQ(fix_recv(f, with_sent_by("BYE", "h1.example")).kind, TXN_NEW_REQUEST);
    CHECK_EQ(fix_recv(f, with_sent_by("INVITE", "H1.Example")).kind, TXN_NONE);
    CHECK_EQ(txn_count(&f->layer), 4);
    fix_end(f);
}

/* Section 8.2.2.2: the same request over another path. */
static void test_merged(void) {
    struct fix *f = fix_new();
    handle h = invite(f, B1);
    struct txn_event ev = fix_recv(f, fix_request("INVITE", B2, ""));
    CHECK_TRUE(ev.kind == TXN_NEW_REQUEST && ev.merged && ev.txn != h);
    CHECK_FALSE(fix_recv(f, fix_request("OPTIONS", "z9hG4bKthree", "")).merged);
    CHECK_FALSE(fix_recv(f, fix_request("INVITE", "z9hG4bKfour", "us")).merged);
    txn_drop(&f->layer, ev.txn);
    CHECK_TRUE(fix_recv(f, fix_request("INVITE", "z9hG4bKfive", "")).merged);
    txn_drop(&f->layer, h);
    CHECK_FALSE(fix_recv(f, fix_request("INVITE", "z9hG4bKsix", "")).merged);
    fix_end(f);
}

/* Section 17.2.3: no magic cookie. */
static void test_rfc2543(void) {
    struct fix *f = fix_new();
    handle h = invite(f, "1");
    CHECK_TRUE(txn_get(&f->layer, h)->u.open->legacy);
    CHECK_EQ(fix_recv(f, fix_request("INVITE", "1", "")).kind, TXN_NONE);
    struct txn_event ev = fix_recv(f, fix_request("CANCEL", "1", ""));
    CHECK_TRUE(ev.kind == TXN_CANCEL && ev.other == h);
    CHECK_TRUE(fix_recv(f, fix_request("CANCEL", "2", "")).other == HANDLE_NONE);
    fix_respond(f, h, 487, "INVITE", "1");
    ev = fix_recv(f, fix_request("ACK", "1", "another"));
    CHECK_TRUE(ev.kind == TXN_ACK_2XX && ev.txn == HANDLE_NONE);
    ev = fix_recv(f, fix_request("ACK", "1", "us"));
    CHECK_TRUE(ev.kind == TXN_ACK_FAILURE && ev.txn == h);
    CHECK_EQ(fix_recv(f, fix_request("BYE", "1", "us")).kind, TXN_NEW_REQUEST);
    CHECK_EQ(fix_recv(f, fix_request("BYE", "1", "us")).kind, TXN_NONE);
    CHECK_EQ(fix_recv(f, fix_request("BYE", "1", "us2")).kind, TXN_NEW_REQUEST);
    fix_end(f);
}

static void test_response_dst(void) {
    struct fix *f = fix_new();
    struct addr out;
    txn_response_dst(fix_parse(fix_request("OPTIONS", B1, "")), &f->far, &out);
    CHECK_TRUE(addr_eq(&out, &f->far));
    const struct sip_msg *no_rport = fix_parse(with_sent_by("OPTIONS", "10.0.0.1:5099"));
    txn_response_dst(no_rport, &f->far, &out);
    CHECK_TRUE(addr_eq_ip(&out, &f->far));
    CHECK_EQ(out.port, 5099);
    f->far.transport = SIP_TCP;
    txn_response_dst(no_rport, &f->far, &out);
    CHECK_EQ(out.port, 5070);
    fix_end(f);
}

static void test_full(void) {
    struct fix *f = fix_new_sized(1);
    handle h = invite(f, B1);
    CHECK_EQ(fix_recv(f, fix_request("BYE", B2, "us")).kind, TXN_FULL);
    CHECK_EQ(fix_recv(f, fix_request("CANCEL", B1, "")).kind, TXN_FULL);
    CHECK_EQ(fix_recv(f, fix_request("INVITE", B1, "")).kind, TXN_NONE);
    CHECK_EQ(fix_recv(f, fix_request("ACK", B2, "us")).kind, TXN_ACK_2XX);
    CHECK_EQ(metrics_get(&f->metrics, M_pool_full), 2);
    CHECK_EQ(txn_count(&f->layer), 1);
    txn_drop(&f->layer, h);
    CHECK_EQ(fix_recv(f, fix_request("BYE", B2, "us")).kind, TXN_NEW_REQUEST);
    fix_end(f);
}

/* No buffer for the request's copy is no room too, and nothing stays behind. */
static void test_no_buffers(void) {
    struct fix *f = fix_new();
    struct buf *held[256];
    unsigned n = 0;
    while (n < 256 && (held[n] = buf_get(&f->bufs, 1)) != NULL)
        n++;
    CHECK_EQ(fix_recv(f, fix_request("INVITE", B1, "")).kind, TXN_FULL);
    CHECK_EQ(txn_count(&f->layer), 0);
    CHECK_EQ(f->layer.by_key.used, 0);
    buf_unref(&f->bufs, &held[--n]);
    struct txn_event ev = fix_recv(f, fix_request("INVITE", B1, ""));
    CHECK_EQ(ev.kind, TXN_NEW_REQUEST);
    CHECK_EQ(f->sent_n, 0); /* no buffer for the 100 */
    CHECK_EQ(fix_recv(f, fix_request("INVITE", B1, "")).kind, TXN_NONE);
    txn_respond(&f->layer, &f->outbox, f->now, ev.txn, NULL, 200);
    CHECK_FALSE(txn_is_done(&f->layer, ev.txn));
    while (n)
        buf_unref(&f->bufs, &held[--n]);
    fix_end(f);
}

/* T-9.2 at this layer: 200s lost, the peer repeats its INVITE; T-9.3: no ACK ever; the transaction ends in silence. */
static void test_200_lost(void) {
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    handle h = invite(f, B1);
    fix_respond(f, h, 200, "INVITE", B1);
    for (unsigned i = 1; i < 60; i++) {
        fix_run(f, t0 + i * 500 * MS);
        CHECK_EQ(fix_recv(f, fix_request("INVITE", B1, "")).kind, TXN_NONE);
    }
    CHECK_EQ(f->sent_n, 2);
    fix_run(f, t0 + 40 * SEC);
    CHECK_EQ(f->told_n, 0);
    CHECK_EQ(txn_count(&f->layer), 0);
    fix_end(f);
}

static void test_configured_times(void) {
    static const unsigned want[] = { 0, 100, 300, 500, 700 };
    struct fix *f = fix_new();
    uint64_t t0 = f->now;
    f->layer.times.t1 = 100 * MS;
    f->layer.times.t2 = 200 * MS;
    handle h = invite(f, B1);
    fix_respond(f, h, 500, "INVITE", B1);
    fix_run(f, t0 + 800 * MS);
    check_times(f, 1, t0, want, 5);
    fix_run(f, t0 + 6400 * MS);
    CHECK_EQ(f->told_n, 1);
    CHECK_EQ(f->told[0].at, t0 + 6400 * MS);
    fix_end(f);
}

int main(void) {
    return UNIT_RUN("txn_server", UNIT(test_trying_at_once), UNIT(test_repeats_last_response), UNIT(test_head),
                    UNIT(test_timer_g_h), UNIT(test_slept_past_timer_h),
                    UNIT(test_failure_acked_timer_i), UNIT(test_accepted_timer_l), UNIT(test_reliable),
                    UNIT(test_nist_timer_j), UNIT(test_nist_rfc4320), UNIT(test_cancel), UNIT(test_sent_by),
                    UNIT(test_merged), UNIT(test_rfc2543), UNIT(test_response_dst), UNIT(test_full),
                    UNIT(test_no_buffers), UNIT(test_200_lost), UNIT(test_configured_times));
}
