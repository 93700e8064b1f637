/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Durable before visible: what waits for which write, in which order, and for how long; what is written again.
 */
#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/recover.h"
#include "tests/unit/record_rig.h"

static struct rig r;
static struct engine_config config;
static struct rig_dialog a, b;

static struct engine_census census(void) {
    struct engine_census c;
    engine_census(r.e, &c);
    return c;
}

static uint64_t counted(enum metric m) {
    return metrics_get(engine_metrics(r.e), m);
}

/* Messages sent since the last look. */
static uint32_t news(void) {
    static uint32_t seen;
    uint32_t n = r.sent_n < seen ? r.sent_n : r.sent_n - seen;
    seen = r.sent_n;
    return n;
}

static void start_call(void) {
    record_call(&r, &config, &a, &b);
    news();
}

static void test_off(void) {
    record_start(&r, &config, DURABILITY_OFF);
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0", "sendrecv", 40000));
    CHECK_EQ(r.op_n, 0);
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    CHECK_TRUE(rig_last(&r, ALICE, "SIP/2.0 200", "INVITE") != NULL);
    CHECK_EQ(r.op_n, 1);
    CHECK_EQ(r.ops[0].ticket, 0);
    rig_stop(&r);
}

/* The early record goes out with the INVITE; the 200 and the ACK wait for the write of the same step, and no other. */
static void test_order(void) {
    record_start(&r, &config, DURABILITY_CONFIRMED);
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0", "sendrecv", 40000));
    CHECK_TRUE(rig_last(&r, BOB, "INVITE", NULL) != NULL);
    CHECK_EQ(r.op_n, 1);
    CHECK_EQ(r.ops[0].version, 1);
    news();
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    CHECK_EQ(r.op_n, 2);
    CHECK_EQ(r.ops[1].version, 2);
    CHECK_EQ(news(), 0);
    CHECK_EQ(census().held, 2);
    rig_answer(&r, r.ops[0].ticket, STORE_OK);
    CHECK_EQ(news(), 0);
    rig_answer(&r, r.ops[1].ticket, STORE_OK);
    CHECK_EQ(news(), 2);
    CHECK_EQ(census().held, 0);
    /* A ticket that is over, and one that never was. */
    rig_answer(&r, r.ops[1].ticket, STORE_UNAVAILABLE);
    rig_answer(&r, 12345, STORE_OK);
    CHECK_EQ(census().unprotected, 0);
    CHECK_EQ(counted(M_store_unprotected), 0);
    rig_stop(&r);
}

/* Timers start when it leaves: the 200 that was held for 20 ms is repeated 500 ms after that. */
static void test_timers(void) {
    record_start(&r, &config, DURABILITY_CONFIRMED);
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0", "sendrecv", 40000));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_wait(&r, 20000);
    record_store_all(&r);
    news();
    rig_wait(&r, 495000);
    CHECK_EQ(news(), 0);
    rig_wait(&r, 10000);
    CHECK_EQ(news(), 1);
    rig_stop(&r);
}

/* A request of the same leg stays behind what waits; another call's does not. */
static void test_behind(void) {
    start_call();
    rig_request(&r, &a, "REFER", "Refer-To: <sip:carol@192.0.2.1>\r\n", "");
    CHECK_EQ(news(), 0);
    CHECK_EQ(census().held, 3); /* 202, NOTIFY behind it, INVITE to Carol */
    rig_request(&r, &b, "INFO", "", "");
    CHECK_EQ(news(), 0); /* passed on to Alice, behind her 202 and NOTIFY */
    CHECK_EQ(census().held, 4);
    rig_request(&r, &b, "OPTIONS", "", "");
    CHECK_EQ(news(), 1); /* answers to other transactions do not wait */
    uint32_t before = r.sent_n;
    record_store_all(&r);
    CHECK_EQ(r.sent_n - before, 4);
    unsigned order = 0;
    for (uint32_t i = before; i < r.sent_n; i++) {
        const char *t = r.sent[i % RIG_SENT].text;
        order = order * 10 + (strncmp(t, "SIP/2.0 202", 11) == 0 ? 1
                              : strncmp(t, "NOTIFY", 6) == 0     ? 2
                              : strncmp(t, "INFO", 4) == 0       ? 4
                                                                 : 3);
    }
    CHECK_TRUE(order == 1234 || order == 1324 || order == 1243);
    rig_stop(&r);
}

static struct leg *leg_of(const struct rig_dialog *d) {
    return leg_find(r.e, slice_str(d->call_id), slice_str(d->remote_tag), slice_str(d->local_tag));
}

static bool was_sent(enum rig_name to, const char *start) {
    return *rig_last(&r, to, start, NULL) != '\0';
}

/* A leg that is not ours any more says nothing of what waited; the others do, in order, and so does what waits behind
 * that. */
static void test_forget_leg(void) {
    start_call();
    r.e->cfg.durability_budget_us = 1000000;
    rig_request(&r, &a, "REFER", "Refer-To: <sip:carol@192.0.2.1>\r\n", "");
    rig_request(&r, &b, "INFO", "", "");
    CHECK_EQ(census().held, 4); /* of ALICE's leg 202, NOTIFY and, the last of all, INFO; INVITE to CAROL */
    uint32_t bufs = census().bufs;
    const struct leg *l = leg_of(&a);
    CHECK_TRUE(l != NULL);
    for (unsigned again = 0; l && again < 2; again++) {
        barrier_forget_leg(r.e, l);
        CHECK_EQ(census().held, 1);
    }
    CHECK_EQ(census().bufs, bufs - 1); /* of the 202; transactions keep the requests */
    CHECK_EQ(news(), 0);
    rig_request(&r, &b, "INFO", "", "");
    CHECK_EQ(news(), 1); /* nothing of ALICE's leg waits any more that it would be behind */
    rig_request(&r, &b, "BYE", "", "");
    CHECK_EQ(census().held, 2); /* its 200 is the last of all */
    CHECK_EQ(news(), 0);
    record_store_all(&r);
    CHECK_EQ(news(), 2);
    CHECK_EQ(census().held, 0);
    CHECK_TRUE(was_sent(CAROL, "INVITE") && was_sent(BOB, "SIP/2.0 200"));
    CHECK_FALSE(was_sent(ALICE, "SIP/2.0 202") || was_sent(ALICE, "NOTIFY"));
    rig_stop(&r);
}

static void suspend(bool suspended) {
    struct event ev = { .kind = EV_ACT, .u.act.suspended = suspended };
    rig_step(&r, &ev);
}

/* A node that is not sure of its buckets sends nothing, whatever becomes stored, fails or is ordered meanwhile. */
static void test_suspended(void) {
    record_start(&r, &config, DURABILITY_CONFIRMED);
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0", "sendrecv", 40000));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    news();
    suspend(true);
    record_store_all(&r);
    rig_wait(&r, 2 * r.e->cfg.durability_budget_us);
    struct event failed = { .kind = EV_SEND_FAILED, .u.failed.dst = rig_phone(BOB) };
    rig_step(&r, &failed);
    CHECK_EQ(news(), 0);
    CHECK_EQ(census().held, 2);
    CHECK_TRUE(strstr(rig_order(&r, "transfer 0 0 sip:carol@192.0.2.1"), "error: this node does nothing") != NULL);
    suspend(false);
    rig_wait(&r, 2000);
    CHECK_EQ(news(), 2);
    CHECK_EQ(counted(M_store_unprotected), 0);
    rig_stop(&r);
}

static void test_budget(void) {
    record_start(&r, &config, DURABILITY_CONFIRMED);
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0", "sendrecv", 40000));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    news();
    rig_wait(&r, r.e->cfg.durability_budget_us - 2000);
    CHECK_EQ(news(), 0);
    rig_wait(&r, 4000);
    CHECK_EQ(news(), 2);
    CHECK_EQ(census().unprotected, 1);
    CHECK_EQ(counted(M_store_unprotected), 2);
    /* Late, but stored. */
    record_store_all(&r);
    CHECK_EQ(census().unprotected, 0);
    CHECK_EQ(r.op_n, 0);
    rig_stop(&r);
}

/* Refused: it goes on at once, and the record is written again until it is stored. */
static void test_refused(void) {
    record_start(&r, &config, DURABILITY_CONFIRMED);
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0", "sendrecv", 40000));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_answer(&r, r.ops[0].ticket, STORE_OK);
    news();
    rig_answer(&r, r.ops[1].ticket, STORE_REFUSED);
    CHECK_EQ(news(), 2);
    CHECK_EQ(census().unprotected, 1);
    r.op_n = 0;
    rig_wait(&r, 110000);
    CHECK_EQ(r.op_n, 1);
    CHECK_EQ(r.ops[0].version, 3);
    rig_answer(&r, r.ops[0].ticket, STORE_UNAVAILABLE);
    r.op_n = 0;
    rig_wait(&r, 150000);
    CHECK_EQ(r.op_n, 0); /* the back-off doubles */
    rig_wait(&r, 60000);
    CHECK_EQ(r.op_n, 1);
    record_store_all(&r);
    CHECK_EQ(census().unprotected, 0);
    CHECK_EQ(counted(M_store_rewrites), 2);
    rig_wait(&r, 10000000);
    CHECK_EQ(r.op_n, 0);
    rig_stop(&r);
}

/* Three in a row: nothing waits any more, and changes are not written one by one; the first success brings the rest. */
static void test_down(void) {
    start_call();
    for (unsigned i = 0; i < 3; i++) {
        rig_request(&r, &a, "INVITE", "", rig_sdp("0", i & 1 ? "sendrecv" : "sendonly", 40000 + i));
        for (uint32_t k = 0; k < r.op_n; k++)
            rig_answer(&r, r.ops[k].ticket, STORE_UNAVAILABLE);
        r.op_n = 0;
        rig_reply(&r, BOB, "INVITE", 491, "", NULL);
        rig_request(&r, &a, "ACK", "", "");
    }
    CHECK_TRUE(r.e->barrier.down);
    CHECK_EQ(census().unprotected, 1);
    news();
    r.op_n = 0;
    rig_request(&r, &a, "BYE", "", "");
    CHECK_EQ(news(), 2); /* BYE to Bob, 200 to Alice: at once */
    CHECK_EQ(r.op_n, 0);
    rig_reply(&r, BOB, "BYE", 200, "", NULL);
    CHECK_TRUE(r.op_n >= 1); /* perhaps the next try, and the end */
    CHECK_EQ(r.ops[r.op_n - 1].verb, STORE_DELETE);
    for (uint32_t k = 0; k < r.op_n; k++)
        rig_answer(&r, r.ops[k].ticket, STORE_UNAVAILABLE);
    CHECK_EQ(census().calls, 0);
    CHECK_EQ(census().unprotected, 1); /* its record is still there */
    r.op_n = 0;
    rig_wait(&r, 3000000);
    CHECK_TRUE(r.op_n >= 1);
    CHECK_EQ(r.ops[0].verb, STORE_DELETE);
    record_store_all(&r);
    CHECK_EQ(census().unprotected, 0);
    CHECK_FALSE(r.e->barrier.down);
    rig_wait(&r, 64000000);
    CHECK_TRUE(record_nothing_left(r.e));
    rig_stop(&r);
}

/* More is held than there is room for: the rest goes on, in order. */
static void test_full(void) {
    start_call();
    r.e->barrier.held.free_head = 0;
    rig_request(&r, &a, "REFER", "Refer-To: <sip:carol@192.0.2.1>\r\n", "");
    CHECK_EQ(news(), 3);
    CHECK_EQ(census().held, 0);
    CHECK_TRUE(counted(M_store_unprotected) > 0);
    rig_stop(&r);
}

/* Somebody else has the call: it is gone here, and nobody hears of it. */
static void test_fenced(void) {
    record_start(&r, &config, DURABILITY_CONFIRMED);
    r.e->cfg.node = 1;
    r.e->owners.shared = true;
    for (uint32_t i = 0; i < LIMIT_BUCKETS; i++)
        r.e->owners.of[i] = OWNER_MINE;
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0", "sendrecv", 40000));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    news();
    struct event ev = { .kind = EV_STORE };
    ev.u.store.ticket = r.ops[0].ticket;
    ev.u.store.status = STORE_FENCED;
    ev.u.store.node = 2;
    ev.u.store.epoch = 7;
    rig_step(&r, &ev);
    CHECK_EQ(news(), 0);
    CHECK_EQ(counted(M_calls_fenced), 1);
    CHECK_TRUE(rig_only_call(r.e) == NULL);
    rig_wait(&r, 64000000);
    CHECK_EQ(news(), 0);
    CHECK_TRUE(record_nothing_left(r.e));
    rig_stop(&r);
}

static void fence(uint32_t node, uint64_t epoch) {
    struct event ev = { .kind = EV_STORE };
    ev.u.store.ticket = r.ops[r.op_n - 1].ticket;
    ev.u.store.status = STORE_FENCED;
    ev.u.store.node = node;
    ev.u.store.epoch = epoch;
    r.op_n = 0;
    rig_step(&r, &ev);
}

/* ALICE and BOB talk, and all buckets are ours by epoch 7. */
static void start_owned_call(void) {
    start_call();
    r.e->cfg.node = 1;
    r.e->owners.shared = true;
    for (uint32_t k = 0; k < LIMIT_BUCKETS; k++) {
        r.e->owners.of[k] = OWNER_MINE;
        r.e->owners.epoch[k] = 7;
    }
}

/* The bucket is ours all the same, by an epoch that we are about to hear of, or the server has forgotten whose it is:
 * what was written is written again, and what was deleted is deleted, without haste. */
static void test_fenced_by_us(void) {
    static const struct { uint32_t node; uint64_t epoch; } says[] = { { 1, 8 }, { 1, 6 }, { 0, 0 }, { 1, 8 } };
    for (unsigned i = 0; i < sizeof says / sizeof *says; i++) {
        start_owned_call();
        call_changed(r.e, rig_only_call(r.e));
        rig_step(&r, &(struct event){ .kind = EV_DEADLINE });
        for (unsigned k = 0; k < 2; k++) {
            CHECK_EQ(r.op_n, 1);
            fence(says[i].node, says[i].epoch);
            CHECK_TRUE(rig_only_call(r.e) && rig_only_call(r.e)->unprotected);
            CHECK_EQ(r.op_n, 0);
            rig_wait(&r, 1000000);
        }
        record_store_all(&r);
        CHECK_TRUE(rig_only_call(r.e) && !rig_only_call(r.e)->unprotected);
        rig_request(&r, &a, "BYE", "", "");
        record_store_all(&r);
        rig_reply(&r, BOB, "BYE", 200, "", NULL);
        CHECK_TRUE(rig_only_call(r.e) == NULL);
        CHECK_TRUE(r.op_n && r.ops[r.op_n - 1].verb == STORE_DELETE);
        for (uint32_t k = 0; i == 3 && k < LIMIT_BUCKETS; k++)
            r.e->owners.epoch[k] = 8; /* heard of before the answer */
        fence(says[i].node, says[i].epoch);
        rig_wait(&r, 1000000);
        CHECK_TRUE(r.op_n == 1 && r.ops[0].verb == STORE_DELETE);
        record_store_all(&r);
        rig_wait(&r, 64000000);
        CHECK_TRUE(record_nothing_left(r.e));
        rig_stop(&r);
    }
}

/* The bucket went to somebody whose claim a promoted server has not seen, and is nobody's by that one: the record of a
 * call that has ended is tried to be deleted until somebody has it, who is told. */
static void test_deleted_for_nobody(void) {
    start_owned_call();
    rig_request(&r, &a, "BYE", "", "");
    record_store_all(&r);
    rig_reply(&r, BOB, "BYE", 200, "", NULL);
    CHECK_TRUE(rig_only_call(r.e) == NULL);
    for (uint32_t k = 0; k < LIMIT_BUCKETS; k++) {
        r.e->owners.of[k] = OWNER_NOBODY;
        r.e->owners.epoch[k] = 0;
    }
    for (unsigned k = 0; k < 3; k++) {
        CHECK_TRUE(r.op_n && r.ops[r.op_n - 1].verb == STORE_DELETE);
        if (r.op_n)
            fence(0, 7);
        CHECK_EQ(r.op_n, 0);
        rig_wait(&r, 4000000);
    }
    CHECK_TRUE(r.op_n && r.ops[r.op_n - 1].verb == STORE_DELETE);
    uint64_t said = counted(M_peer_out);
    if (r.op_n)
        fence(2, 8);
    CHECK_EQ(counted(M_peer_out), said + 1);
    rig_wait(&r, 64000000);
    CHECK_EQ(r.op_n, 0);
    CHECK_TRUE(record_nothing_left(r.e));
    rig_stop(&r);
}

/* A promoted server that has not seen our claim names who had the bucket before: what is to be deleted is deleted when
 * the claim is there again; only word of a later epoch than ours is another node's. */
static void test_deleted_before_claim(void) {
    for (uint64_t epoch = 6; epoch < 9; epoch += 2) {
        start_owned_call();
        rig_request(&r, &a, "BYE", "", "");
        record_store_all(&r);
        rig_reply(&r, BOB, "BYE", 200, "", NULL);
        CHECK_TRUE(r.op_n && r.ops[r.op_n - 1].verb == STORE_DELETE);
        fence(2, epoch);
        rig_wait(&r, 1000000);
        CHECK_EQ(r.op_n, epoch < 7);
        record_store_all(&r);
        rig_wait(&r, 64000000);
        CHECK_TRUE(record_nothing_left(r.e));
        rig_stop(&r);
    }
}

/* A call that was given up for it comes back from its record then, whatever the server has forgotten besides. */
static void test_written_before_claim(void) {
    for (uint64_t epoch = 6; epoch < 9; epoch += 2) {
        start_owned_call();
        uint16_t bucket = rig_only_call(r.e)->bucket;
        call_changed(r.e, rig_only_call(r.e));
        rig_step(&r, &(struct event){ .kind = EV_DEADLINE });
        fence(2, epoch);
        CHECK_TRUE(rig_only_call(r.e) == NULL);
        struct event ev = { .kind = EV_BUCKET, .u.bucket = { .what = BUCKET_MINE, .bucket = bucket, .epoch = 9 } };
        for (unsigned k = 0; k < 2; k++) {
            r.op_n = 0;
            rig_step(&r, &ev);
            CHECK_EQ(r.op_n, epoch < 7 && k == 0);
            CHECK_TRUE(!r.op_n || r.ops[0].verb == STORE_LOAD);
        }
        rig_stop(&r);
    }
}

/* Until the store has told all of them. */
static void test_read_fails(void) {
    start_owned_call();
    struct event ev = { .kind = EV_BUCKET, .u.bucket = { .what = BUCKET_MINE, .epoch = 9, .rewrite = true } };
    ev.u.bucket.bucket = rig_only_call(r.e)->bucket;
    call_changed(r.e, rig_only_call(r.e));
    rig_step(&r, &(struct event){ .kind = EV_DEADLINE });
    fence(2, 6);
    rig_step(&r, &ev);
    for (unsigned k = 0; k < 3; k++) {
        CHECK_TRUE(r.op_n == 1 && r.ops[0].verb == STORE_LOAD);
        uint64_t ticket = r.ops[0].ticket;
        r.op_n = 0;
        rig_answer(&r, ticket, k < 2 ? STORE_UNAVAILABLE : STORE_MISSING);
        CHECK_EQ(r.op_n, 0);
        rig_wait(&r, 1000000);
    }
    CHECK_EQ(r.op_n, 0);
    rig_stop(&r);
}

static void test_quarantine(void) {
    start_call();
    struct call *c = rig_only_call(r.e);
    c->taken_us = r.now - 1000000;
    c->takeovers = RECOVER_TAKEOVERS_MAX - 1;
    struct record_bytes once = record_of(r.e, c);
    c->takeovers = RECOVER_TAKEOVERS_MAX;
    struct record_bytes poison = record_of(r.e, c);
    c->takeovers = RECOVER_TAKEOVERS_MAX + 1;
    c->taken_us = r.now - 2 * RECOVER_FINE_US;
    struct record_bytes marked = record_of(r.e, c);
    struct record_twin twin = record_twin_of(&r);
    void *old = r.mem;
    r.e = twin.e;
    r.mem = twin.mem;
    struct event ev = { .kind = EV_RECORD };
    ev.u.record.key = SL("00");
    ev.u.record.value = poison.slice;
    r.op_n = 0;
    rig_step(&r, &ev);
    CHECK_EQ(counted(M_calls_quarantined), 1);
    /* Written with that mark: however long ago it was taken over, nobody tries again. */
    CHECK_EQ(r.op_n, 1);
    record_store_all(&r);
    CHECK_TRUE(record_nothing_left(r.e));
    ev.u.record.value = marked.slice;
    rig_step(&r, &ev);
    CHECK_EQ(counted(M_calls_quarantined), 1);
    CHECK_TRUE(record_nothing_left(r.e));
    CHECK_EQ(r.op_n, 0);
    ev.u.record.value = SL("garbage");
    rig_step(&r, &ev);
    CHECK_EQ(counted(M_records_unreadable), 1);
    ev.u.record.value = once.slice;
    rig_step(&r, &ev);
    CHECK_TRUE(rig_only_call(r.e) && rig_only_call(r.e)->resuming);
    /* The attempt is in the store before anything is done with the call. */
    CHECK_EQ(r.op_n, 1);
    record_store_all(&r);
    CHECK_TRUE(rig_only_call(r.e) && !rig_only_call(r.e)->resuming);
    record_free(&once);
    record_free(&poison);
    record_free(&marked);
    free(old);
    rig_stop(&r);
}

/* Of each step's outbox: P a record, D the end of one, S what is sent, R a refusal. */
static char outbox[64];

static void note(struct rig *x, const struct out *o) {
    size_t n = strlen(outbox);
    CHECK(x == &r && n + 1 < sizeof outbox);
    if (o->kind == OUT_SEND)
        outbox[n] = slice_has_prefix(buf_slice(o->u.send.buf), SL("SIP/2.0 4")) ? 'R' : 'S';
    else if (o->kind == OUT_STORE && slice_eq(o->u.store.table, SL("call")))
        outbox[n] = o->u.store.verb == STORE_PUT ? 'P' : 'D';
}

static const char *outbox_of(void (*step)(void)) {
    memset(outbox, 0, sizeof outbox);
    r.on_out = note;
    step();
    r.on_out = NULL;
    return outbox;
}

static void invite(void) {
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0", "sendrecv", 40000));
}

static void reinvite(void) {
    rig_request(&r, &a, "INVITE", "", rig_sdp("0", "sendonly", 40000));
}

static void refuse(void) {
    rig_reply(&r, BOB, "INVITE", 488, "", NULL);
}

static void hang_up(void) {
    rig_request(&r, &a, "BYE", "", "");
}

static void answer(void) {
    rig_reply(&r, BOB, "BYE", 200, "", NULL);
}

/* A node may die in the midst of an outbox: what anybody has seen of the step is in the record by then. But who was
 * refused may be refused again, if the record knows of the request still; and the end comes last. */
static void test_outbox(void) {
    record_start(&r, &config, DURABILITY_ASYNC);
    CHECK_TRUE(strcmp(outbox_of(invite), "PSS") == 0);
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_learn(&r, &a, "SIP/2.0 200");
    rig_request(&r, &a, "ACK", "", "");
    CHECK_TRUE(strcmp(outbox_of(reinvite), "PSS") == 0);
    CHECK_TRUE(strcmp(outbox_of(refuse), "SRP") == 0);
    CHECK_TRUE(strcmp(outbox_of(hang_up), "PSS") == 0);
    CHECK_TRUE(strcmp(outbox_of(answer), "D") == 0);
    rig_stop(&r);
}

int main(void) {
    return UNIT_RUN("barrier", UNIT(test_off), UNIT(test_order), UNIT(test_timers), UNIT(test_behind),
                    UNIT(test_forget_leg), UNIT(test_suspended), UNIT(test_budget), UNIT(test_refused), UNIT(test_down),
                    UNIT(test_full), UNIT(test_fenced), UNIT(test_fenced_by_us), UNIT(test_deleted_for_nobody),
                    UNIT(test_deleted_before_claim),
                    UNIT(test_written_before_claim), UNIT(test_read_fails), UNIT(test_quarantine), UNIT(test_outbox));
}
