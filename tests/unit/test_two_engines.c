/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Two engines that share the buckets of one cluster: a message is handled by the owner of its bucket, wherever it
 * arrived, and what is lost is forgotten without a word.
 */
#include "core/b2b/leg.h"
#include "core/b2b/recover.h"
#include "core/b2b/transfer_fsm.h"
#include "tests/unit/pair_calls.h"

static struct engine_config config;

/* Wherever the phones' messages arrive. */
static void test_call_from_anywhere(void) {
    for (unsigned entry = 0; entry < 3; entry++)
        for (unsigned owner = 0; owner < 2; owner++) {
            struct pair *p = pair_new(&config);
            struct rig_dialog a, b;
            pair_entry(p, entry);
            pair_call_at(p, &a, &b, owner, ALICE, BOB);
            CHECK_EQ(pair_calls(p, owner), 1);
            CHECK_EQ(pair_calls(p, !owner), 0);
            CHECK_TRUE(entry == owner ? p->peer_n == 0 : p->peer_n > 0);
            pair_hang_up(p, &a, BOB);
            pair_wait(p, 60000000);
            CHECK_TRUE(pair_is_quiet(p));
            pair_end(p);
        }
}

/* CANCEL and the ACK to the 487 have no token; they follow their INVITE. */
static void test_cancel(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    pair_entry(p, 2);
    pair_invite_at(p, &a, 1, ALICE, BOB);
    rig_reply(&p->r, BOB, "INVITE", 180, "", &b);
    rig_request(&p->r, &a, "CANCEL", "", "");
    CHECK_TRUE(*rig_last(&p->r, BOB, "CANCEL", NULL) != '\0');
    CHECK_TRUE(*rig_last(&p->r, ALICE, "SIP/2.0 487", "INVITE") != '\0');
    pair_end(p);
}

/* Nobody is known to own it: the shell is asked, nothing is answered. */
static void test_asked(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a;
    rig_dialog_new(&a, ALICE, BOB);
    unsigned bucket = pair_hash(&config, a.call_id);
    pair_bucket(p, 0, BUCKET_OWNER, bucket, PEER_NONE, 0);
    rig_request(&p->r, &a, "INVITE", "", rig_sdp("0", "sendrecv", 40000));
    CHECK_EQ(p->asked_n, 1);
    CHECK_EQ(p->asked, bucket);
    CHECK_EQ(p->sends, 0);
    CHECK_EQ(p->peer_n, 0);
    pair_end(p);
}

/* Each thinks that the other has it: the second knows by then that the first has not, asks, and keeps it until it knows
 * more, or for a while. It may be the first that is about to get it. */
static void test_hop_limit(void) {
    enum { NOBODY_COMES, COMES_HERE, COMES_LATE, COMES_THERE, CASES };
    for (unsigned comes = 0; comes < CASES; comes++) {
        struct pair *p = pair_new(&config);
        struct rig_dialog a;
        rig_dialog_new(&a, ALICE, BOB);
        unsigned bucket = pair_hash(&config, a.call_id);
        pair_bucket(p, 0, BUCKET_OWNER, bucket, 2, 1);
        pair_bucket(p, 1, BUCKET_OWNER, bucket, 1, 1);
        p->r.e = p->e[0];
        rig_request(&p->r, &a, "INVITE", "", rig_sdp("0", "sendrecv", 40000));
        CHECK_EQ(p->peer_n, 1);
        CHECK_EQ(p->asked_n, 1);
        CHECK_EQ(p->sends, 0);
        if (comes == COMES_LATE) { /* what was known before is no word that it has gone there */
            pair_bucket(p, 1, BUCKET_OWNER, bucket, 1, 1);
            pair_wait(p, 20000);
            CHECK_EQ(p->peer_n, 1);
        }
        if (comes) {
            pair_bucket(p, comes == COMES_THERE ? 0 : 1, BUCKET_MINE, bucket, 0, 2);
            if (comes == COMES_THERE)
                pair_bucket(p, 1, BUCKET_OWNER, bucket, 1, 2);
            pair_wait(p, 20000);
            CHECK_EQ(p->sends, 2); /* 100, and the INVITE to BOB */
            CHECK_EQ(pair_calls(p, comes != COMES_THERE), 1);
        } else {
            pair_wait(p, OWNER_WAIT_US + 20000);
            CHECK_EQ(p->sends, 0);
            CHECK_EQ(metrics_get(engine_metrics(p->e[1]), M_peer_dropped), 1);
            CHECK_TRUE(record_nothing_left(p->e[1]));
        }
        CHECK_EQ(p->asked_n, 1);
        pair_end(p);
    }
}

/* Who has nothing any more does not end before what waits there has gone on. */
static void test_drained_with_waiting(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a;
    struct event drain = { .kind = EV_DRAIN, .u.drain.deadline_us = RIG_START_US + 30000000 };
    rig_dialog_new(&a, ALICE, BOB);
    unsigned bucket = pair_hash(&config, a.call_id);
    pair_bucket(p, 0, BUCKET_OWNER, bucket, PEER_NONE, 0);
    pair_bucket(p, 1, BUCKET_MINE, bucket, 0, 2);
    pair_step(p, 0, &drain);
    CHECK_TRUE(engine_drained(p->e[0]));
    p->r.e = p->e[0];
    rig_request(&p->r, &a, "INVITE", "", rig_sdp("0", "sendrecv", 40000));
    CHECK_FALSE(engine_drained(p->e[0]));
    pair_bucket(p, 0, BUCKET_OWNER, bucket, 2, 0);
    pair_wait(p, 20000);
    CHECK_TRUE(engine_drained(p->e[0]));
    CHECK_EQ(pair_calls(p, 1), 1);
    pair_end(p);
}

/* However many wait, there is a bound, and the same one waits once. */
static void test_waits_bounded(void) {
    struct pair *p = pair_new(&config);
    char text[512], call_id[32];
    pair_entry(p, 0);
    for (unsigned i = 0; i < OWNER_WAITS_MAX + 5; i++) {
        snprintf(call_id, sizeof call_id, "waits-%u", i);
        snprintf(text, sizeof text,
                 "INVITE sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK%u\r\n"
                 "From: <sip:alice@192.0.2.1>;tag=1\r\nTo: <sip:bob@192.0.2.1>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\n"
                 "Max-Forwards: 70\r\nContact: <sip:alice@192.0.2.10>\r\n\r\n", i, call_id);
        pair_bucket(p, 0, BUCKET_LOADING, pair_hash(&config, call_id), 0, 2);
        for (unsigned k = 0; k < 1 + (i < 5); k++)
            rig_recv(&p->r, ALICE, text);
    }
    CHECK_EQ(metrics_get(engine_metrics(p->e[0]), M_peer_waited), OWNER_WAITS_MAX);
    CHECK_EQ(metrics_get(engine_metrics(p->e[0]), M_peer_dropped), 5);
    pair_wait(p, OWNER_WAIT_US + 1000000);
    CHECK_TRUE(record_nothing_left(p->e[0]));
    pair_end(p);
}

/* No BYE, no record of its end, nothing sent again; and the new owner, which has the record, goes on. */
static void test_lost(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    struct call *c;
    uint32_t cdrs;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    unsigned bucket = pair_hash(&config, a.call_id);
    struct record_bytes rec = record_of(p->e[0], rig_only_call(p->e[0]));
    /* A BYE under way, so that there is something to send again. */
    rig_request(&p->r, &a, "BYE", "", "");
    cdrs = p->r.cdr_n;
    pair_bucket(p, 0, BUCKET_LOST, bucket, 2, 0);
    p->sends = 0;
    pair_wait(p, 60000000);
    CHECK_EQ(p->sends, 0);
    CHECK_EQ(p->r.cdr_n, cdrs);
    CHECK_EQ(pair_calls(p, 0), 0);
    CHECK_EQ(metrics_get(engine_metrics(p->e[0]), M_calls_yielded), 1);
    CHECK_TRUE(record_nothing_left(p->e[0]));

    pair_bucket(p, 1, BUCKET_LOADING, bucket, 0, 2);
    CHECK_EQ(record_decode(p->e[1], rec.slice, &c), RECORD_OK);
    pair_entry(p, 1);
    pair_bucket(p, 1, BUCKET_MINE, bucket, 0, 2);
    a.cseq += 10;
    pair_hang_up(p, &a, BOB);
    pair_wait(p, 60000000);
    CHECK_EQ(pair_calls(p, 1), 0);
    record_free(&rec);
    pair_end(p);
}

/* What comes while the records are being read is handled when they have been. */
static void test_loading(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a;
    rig_dialog_new(&a, ALICE, BOB);
    unsigned bucket = pair_hash(&config, a.call_id);
    pair_bucket(p, 0, BUCKET_LOADING, bucket, 0, 2);
    rig_request(&p->r, &a, "INVITE", "", rig_sdp("0", "sendrecv", 40000));
    CHECK_EQ(p->sends + p->asked_n + p->peer_n, 0);
    pair_bucket(p, 0, BUCKET_MINE, bucket, 0, 2);
    pair_wait(p, 20000);
    CHECK_EQ(p->sends, 2); /* 100, and the INVITE to BOB */
    pair_end(p);
}

/* A ringing call holds its bucket back until it is answered, a talking one does not. */
static void test_give(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    pair_invite_at(p, &a, 0, ALICE, BOB);
    rig_reply(&p->r, BOB, "INVITE", 180, "", &b);
    unsigned bucket = pair_hash(&config, a.call_id), idle = bucket ^ 1;
    pair_bucket(p, 0, BUCKET_GIVE, bucket, 2, 0);
    pair_bucket(p, 0, BUCKET_GIVE, idle, 2, 0);
    pair_wait(p, 1000000);
    CHECK_EQ(p->given_n, 1);
    CHECK_EQ(owner_peer(p->e[0], (uint16_t)idle), 2);
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_learn(&p->r, &a, "SIP/2.0 200");
    rig_request(&p->r, &a, "ACK", "", "");
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 1);
    pair_wait(p, 1000000);
    CHECK_EQ(p->given_n, 2);
    CHECK_EQ(pair_calls(p, 0), 0);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 1);
    pair_end(p);
}

/* A record that is still to be deleted holds its bucket back: the next owner would take the call up again. */
static void test_give_undeleted(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    p->e[0]->cfg.durability = DURABILITY_CONFIRMED;
    p->e[0]->cfg.durability_budget_us = 30000;
    pair_invite_at(p, &a, 0, ALICE, BOB);
    p->keeps_records = true;
    rig_reply(&p->r, BOB, "INVITE", 486, "", &b);
    CHECK_EQ(pair_calls(p, 0), 0);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 1);
    pair_bucket(p, 0, BUCKET_GIVE, pair_hash(&config, a.call_id), 2, 0);
    pair_wait(p, 20000000);
    CHECK_EQ(p->given_n, 0);
    p->keeps_records = false;
    pair_wait(p, 3000000);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
    CHECK_EQ(p->given_n, 1);
    pair_end(p);
}

/* ALICE and BOB talk at engine 0, whose records wait for nothing. */
static struct pair *pair_async(struct rig_dialog *a, struct rig_dialog *b, bool takes_none) {
    struct pair *p = pair_new(&config);
    p->e[0]->cfg.durability = p->e[1]->cfg.durability = DURABILITY_ASYNC;
    p->takes_none = takes_none;
    pair_call_at(p, a, b, 0, ALICE, BOB);
    return p;
}

/* The store takes records again: the bucket goes, and the call with it. */
static void goes_when_stored(struct pair *p, unsigned bucket) {
    CHECK_EQ(p->given_n, 0);
    p->takes_none = false;
    pair_wait(p, 6000000);
    CHECK_EQ(p->given_n, 1);
    pair_taken_by(p, 1, bucket);
    CHECK_EQ(pair_calls(p, 1), 1);
    pair_end(p);
}

/* A call that two owners were to go on with is handed over when its record says that nobody has died of it. */
static void test_give_unstored(void) {
    struct rig_dialog a, b;
    struct pair *p = pair_async(&a, &b, false);
    unsigned bucket = pair_hash(&config, a.call_id);
    struct call *c = rig_only_call(p->e[0]);
    c->takeovers = RECOVER_TAKEOVERS_MAX;
    p->takes_none = true;
    pair_bucket(p, 0, BUCKET_GIVE, bucket, 2, 0);
    pair_wait(p, 2000000);
    goes_when_stored(p, bucket);
}

/* What was promised of a call that is known is not stored: until it is, the bucket stays, or its next owner would go on
 * with what is over. */
static void test_give_unprotected(void) {
    struct rig_dialog a, b;
    struct pair *p = pair_async(&a, &b, false);
    unsigned bucket = pair_hash(&config, a.call_id);
    p->takes_none = true;
    rig_request(&p->r, &a, "INVITE", "", rig_sdp("0", "sendonly", 40000));
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "recvonly", 41000), &b);
    rig_request(&p->r, &a, "ACK", "", "");
    pair_bucket(p, 0, BUCKET_GIVE, bucket, 2, 0);
    pair_wait(p, 20000000);
    CHECK_EQ(pair_calls(p, 0), 1);
    goes_when_stored(p, bucket);
}

/* Who ordered a transfer whose call goes to another node is told. */
static void test_order_lost(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    char line[96];
    pair_invite_at(p, &a, 0, ALICE, BOB);
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_learn(&p->r, &a, "SIP/2.0 200");
    rig_request(&p->r, &a, "ACK", "", "");
    const struct call *c = rig_only_call(p->e[0]);
    snprintf(line, sizeof line, "transfer %016" PRIx64 " 0 sip:carol@192.0.2.1", c->id);
    CHECK_SLICE(slice_str(rig_order(&p->r, line)), "");
    pair_bucket(p, 0, BUCKET_LOST, pair_hash(&config, a.call_id), 2, 0);
    pair_wait(p, 600000);
    CHECK_SLICE(slice_str(p->r.admin), "error: another node has the call now, and goes on with the transfer\n");
    pair_end(p);
}

/* Of two calls in a transfer, the one that it belongs to goes to another node: the other does without it. */
static void test_transfer_lost(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b, c, d;
    uint32_t cursor = 0;
    handle h;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    pair_call_at(p, &c, &d, 0, BOB, CAROL);
    rig_refer(&p->r, &b, CAROL, &c);
    pair_bucket(p, 0, BUCKET_LOST, pair_hash(&config, a.call_id), 2, 0);
    pair_wait(p, 600000);
    CHECK_EQ(pair_calls(p, 0), 1);
    for (const struct leg *l; (l = pool_next(&p->e[0]->legs, &cursor, &h));)
        CHECK_TRUE(l->transfer == HANDLE_NONE && leg_is_up(l));
    pair_wait(p, 20000000);
    cursor = 0;
    for (const struct leg *l; (l = pool_next(&p->e[0]->legs, &cursor, &h));)
        CHECK_TRUE(l->transfer_role == TR_NONE && !leg_str(l, LEG_TRANSFER_AT).p);
    pair_hang_up(p, &c, CAROL);
    pair_end(p);
}

static const struct transfer *only_transfer(const struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    return pool_next(&e->transfers, &cursor, &h);
}

/* To engine 1, in whatever it is in the midst of. */
static void go_over(struct pair *p, unsigned bucket) {
    unsigned before = p->given_n;
    while (p->given_n == before)
        pair_wait(p, 10000);
    pair_taken_by(p, 1, bucket);
}

/* Of two calls in a transfer, the consultation is given to another node, from where it comes back to its transfer, and
 * then the transfer's is: they find each other there, also when one of the move's messages is lost, so that it is in
 * the midst of it. */
static void test_consultation_then_transfer(void) {
    static const unsigned lost[] = { 0, PEER_MOVE + 1, PEER_ARRIVED + 1, PEER_GO + 1 };
    for (unsigned i = 0; i < sizeof lost / sizeof *lost; i++) {
        struct pair *p = pair_new(&config);
        struct rig_dialog a, b, c, d;
        p->e[0]->cfg.durability = p->e[1]->cfg.durability = DURABILITY_ASYNC;
        pair_call_at(p, &a, &b, 0, ALICE, BOB);
        pair_invite_at(p, &c, 0, BOB, CAROL);
        rig_reply(&p->r, CAROL, "INVITE", 180, "", &d);
        rig_learn(&p->r, &c, "SIP/2.0 180");
        rig_refer(&p->r, &b, CAROL, &c);
        rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
        unsigned first = pair_hash(&config, c.call_id), second = pair_hash(&config, a.call_id);
        pair_bucket(p, 0, BUCKET_GIVE, first, 2, 0);
        pair_wait(p, 150000);
        pair_bucket(p, 0, BUCKET_GIVE, second, 2, 0);
        p->lose = lost[i];
        go_over(p, first);
        CHECK_TRUE(only_transfer(p->e[0]) && only_transfer(p->e[0])->state == TRANSFER_TARGET);
        CHECK_EQ(pair_calls(p, 0), i ? 1 : 2);
        go_over(p, second);
        pair_wait(p, 100000);
        const struct transfer *t = only_transfer(p->e[1]);
        CHECK_TRUE(t && t->state == TRANSFER_TARGET && !t->resuming);
        CHECK_TRUE(t && call_get(p->e[1], t->consult_call) != NULL);
        CHECK_EQ(pair_calls(p, 0), 0);
        CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 2);
        pair_end(p);
    }
}

/* The target is being given its session back when its call goes to another node: the transfer ends without it. */
static void test_target_lost(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b, c, d;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    pair_call_at(p, &c, &d, 0, BOB, CAROL);
    rig_refer(&p->r, &b, CAROL, &c);
    rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&p->r, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 41000), NULL);
    rig_reply(&p->r, ALICE, "INVITE", 603, "", NULL);
    CHECK_TRUE(only_transfer(p->e[0]) && only_transfer(p->e[0])->state == TRANSFER_RESTORE_TARGET);
    pair_bucket(p, 0, BUCKET_LOST, pair_hash(&config, c.call_id), 2, 0);
    for (unsigned i = 0; i < 3; i++) {
        rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
        pair_wait(p, 3000000);
    }
    CHECK_EQ(p->e[0]->transfers.used, 0);
    CHECK_EQ(pair_calls(p, 0), 1);
    pair_end(p);
}

/* One that rings for ever holds nobody up for ever. */
static void test_give_patience(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a;
    pair_invite_at(p, &a, 0, ALICE, BOB);
    pair_bucket(p, 0, BUCKET_GIVE, pair_hash(&config, a.call_id), 2, 0);
    pair_wait(p, 4000000);
    CHECK_EQ(p->given_n, 0);
    pair_wait(p, 2000000);
    CHECK_EQ(p->given_n, 1);
    pair_end(p);
}

/* ALICE's INFO has no answer, so that the patience with her call's bucket is almost over when she transfers BOB; the
 * store takes the record at once, and is slow to say so. */
static struct pair *refer_at_last(struct rig_dialog *a, uint64_t budget_us) {
    struct pair *p = pair_new(&config);
    struct rig_dialog b;
    p->e[0]->cfg.durability = p->e[1]->cfg.durability = DURABILITY_CONFIRMED;
    p->e[0]->cfg.durability_budget_us = budget_us;
    pair_call_at(p, a, &b, 0, ALICE, BOB);
    rig_request(&p->r, a, "INFO", "", "");
    pair_bucket(p, 0, BUCKET_GIVE, pair_hash(&config, a->call_id), 2, 0);
    pair_wait(p, 4990000);
    CHECK_EQ(p->given_n, 0);
    p->slow = true;
    rig_refer(&p->r, a, CAROL, NULL);
    CHECK_FALSE(*rig_last(&p->r, ALICE, "SIP/2.0 202", "REFER"));
    pair_wait(p, 20000);
    return p;
}

/* What waits for a record that is being written is said before the bucket goes: its next owner could not say it, and
 * who asked by TCP does not ask again. */
static void test_give_held(void) {
    struct rig_dialog a;
    struct pair *p = refer_at_last(&a, 30000);
    CHECK_EQ(p->given_n, 0);
    p->slow = false;
    pair_answers(p, 0);
    CHECK_TRUE(*rig_last(&p->r, ALICE, "SIP/2.0 202", "REFER") != '\0');
    CHECK_EQ(p->given_n, 0);
    pair_wait(p, 100000);
    CHECK_EQ(p->given_n, 1);
    pair_taken_by(p, 1, pair_hash(&config, a.call_id));
    CHECK_EQ(pair_calls(p, 1), 1);
    pair_end(p);
}

/* That is not waited for without an end, either. */
static void test_give_held_patience(void) {
    struct rig_dialog a;
    struct pair *p = refer_at_last(&a, 10000000);
    pair_wait(p, 900000);
    CHECK_EQ(p->given_n, 0);
    pair_wait(p, 200000);
    CHECK_EQ(p->given_n, 1);
    CHECK_FALSE(*rig_last(&p->r, ALICE, "SIP/2.0 202", "REFER"));
    pair_end(p);
}

/* But a call that talks, of which the store has never taken a record, goes to nobody: it would be lost in silence. */
static void test_give_unknown(void) {
    struct rig_dialog a, b;
    struct pair *p = pair_async(&a, &b, true);
    unsigned bucket = pair_hash(&config, a.call_id);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
    struct event ev = { .kind = EV_BUCKET, .u.bucket = { .what = BUCKET_GIVE, .bucket = (uint16_t)bucket } };
    ev.u.bucket.peer = 2;
    ev.u.bucket.live = true;
    pair_step(p, 0, &ev);
    pair_wait(p, 20000000);
    CHECK_EQ(pair_calls(p, 0), 1);
    goes_when_stored(p, bucket);
}

/* A node that ends while the store takes nothing ends such calls, and leaves alone what others will go on with. */
static void test_drain_unknown(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b, known[2];
    p->e[0]->cfg.durability = p->e[1]->cfg.durability = DURABILITY_ASYNC;
    pair_call_at(p, &known[0], &known[1], 0, CAROL, BOB);
    p->takes_none = true;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    CHECK_EQ(pair_calls(p, 0), 2);
    struct event ev = { .kind = EV_DRAIN, .u.drain = { p->r.now, .unknown = true } };
    pair_step(p, 0, &ev);
    pair_wait(p, 20000);
    CHECK_TRUE(*rig_last(&p->r, ALICE, "BYE", NULL) && *rig_last(&p->r, BOB, "BYE", NULL));
    CHECK_FALSE(*rig_last(&p->r, CAROL, "BYE", NULL));
    rig_reply(&p->r, ALICE, "BYE", 200, "", NULL);
    rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
    CHECK_EQ(pair_calls(p, 0), 1);
    ev.u.drain.unknown = false;
    pair_step(p, 0, &ev);
    pair_wait(p, 20000);
    CHECK_TRUE(*rig_last(&p->r, CAROL, "BYE", NULL));
    pair_end(p);
}

/* A node that may not act is silent, and its timers fire when it may again. */
static void test_suspended(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a;
    struct event ev = { .kind = EV_ACT, .u.act = { .suspended = true } };
    pair_invite_at(p, &a, 0, ALICE, BOB);
    p->sends = 0;
    pair_step(p, 0, &ev);
    pair_wait(p, 3000000);
    rig_request(&p->r, &a, "CANCEL", "", "");
    CHECK_EQ(p->sends, 0);
    ev.u.act.suspended = false;
    pair_step(p, 0, &ev);
    CHECK_TRUE(p->sends > 0);
    pair_end(p);
}

/* A probe is about the node that it reaches. */
static void test_options(void) {
    struct pair *p = pair_new(&config);
    for (unsigned i = 0; i < 2; i++) {
        struct rig_dialog a;
        pair_entry(p, i);
        rig_dialog_new(&a, ALICE, BOB);
        rig_request(&p->r, &a, "OPTIONS", "", "");
        CHECK_EQ(p->peer_n, 0);
        CHECK_EQ(p->sends, i + 1);
    }
    pair_end(p);
}

int main(void) {
    return UNIT_RUN("two engines", UNIT(test_call_from_anywhere), UNIT(test_cancel), UNIT(test_asked),
                    UNIT(test_hop_limit), UNIT(test_drained_with_waiting), UNIT(test_waits_bounded),
                    UNIT(test_lost), UNIT(test_loading),
                    UNIT(test_give), UNIT(test_give_undeleted), UNIT(test_give_unstored), UNIT(test_give_unprotected),
                    UNIT(test_order_lost), UNIT(test_transfer_lost),
                    UNIT(test_consultation_then_transfer), UNIT(test_target_lost),
                    UNIT(test_give_patience), UNIT(test_give_held), UNIT(test_give_held_patience),
                    UNIT(test_give_unknown), UNIT(test_drain_unknown),
                    UNIT(test_suspended), UNIT(test_options));
}
