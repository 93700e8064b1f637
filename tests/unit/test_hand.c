/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What a full engine of a cluster hands to another, what follows it there, and when Retry-After is said.
 */
#include "core/b2b/hand.h"
#include "tests/unit/pair_calls.h"

static struct engine_config config;
static const char emergency[][CONFIG_NAME_MAX] = { "carol" };

/* The messages of phones reach each engine in turn; calls to CAROL are emergency calls, for which some is kept. */
static struct pair *new_pair(void) {
    struct pair *p = pair_new(&config);
    struct policy_config policy = config.policy;
    policy.emergency = emergency;
    policy.emergency_count = 1;
    for (unsigned i = 0; i < 2; i++) {
        engine_reload(p->e[i], &policy);
        p->e[i]->load.kept_calls = 2;
        p->e[i]->load.kept_legs = 4;
        port_pool_keep(&p->e[i]->ports, 10);
    }
    pair_entry(p, 2);
    return p;
}

/* All of it is taken but for so much. */
static void fill(struct pool *pool, uint32_t left) {
    handle h;
    while (pool->count - pool->used > left)
        CHECK_TRUE(pool_alloc(pool, &h) != NULL);
}

/* What has arrived and waits: new calls are refused meanwhile. */
static void tell_waiting(struct pair *p, unsigned i, uint16_t waiting) {
    struct event ev = { .kind = EV_LOAD, .u.load = { .turn = true, .waiting = waiting } };
    pair_step(p, i, &ev);
}

static uint64_t count(const struct pair *p, unsigned i, enum metric m) {
    return metrics_get(engine_metrics(p->e[i]), m);
}

/* With the branch of its INVITE, as it has to be for a refusal. */
static void ack_refusal(struct pair *p, struct rig_dialog *d, const char *tag) {
    char text[1024];
    snprintf(text, sizeof text,
             "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.%u:5060;branch=z9hG4bK%s%u\r\nFrom: <%s>;tag=%s\r\n"
             "To: <%s>;tag=%s\r\nCall-ID: %s\r\nCSeq: %u ACK\r\nMax-Forwards: 70\r\n\r\n",
             d->target, rig_phone(d->who).ip[3], d->local_tag, d->cseq, d->local, d->local_tag, d->remote, tag,
             d->call_id, d->cseq);
    rig_recv(&p->r, d->who, text);
}

static void invite_again(struct pair *p, struct rig_dialog *d) {
    d->cseq--;
    rig_request(&p->r, d, "INVITE", "Supported: replaces\r\n", rig_sdp("0 8", "sendrecv", 40000));
}

/* Whoever has it says once that it rings; either side hangs up. */
static void talk_and_hang_up(struct pair *p, struct rig_dialog *a, bool caller) {
    struct rig_dialog b;
    rig_reply(&p->r, BOB, "INVITE", 180, "", &b);
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_learn(&p->r, a, "SIP/2.0 200");
    rig_request(&p->r, a, "ACK", "", "");
    CHECK_EQ(pair_calls(p, 1), 1);
    pair_hang_up(p, caller ? a : &b, caller ? BOB : ALICE);
    pair_wait(p, 60000000);
    CHECK_EQ(pair_calls(p, 1), 0);
}

static void test_calls_go_over(void) {
    for (unsigned caller = 0; caller < 2; caller++) {
        struct pair *p = new_pair();
        struct rig_dialog a;
        tell_waiting(p, 0, 900);
        CHECK_EQ(p->kinds[PEER_FULL], 1);
        pair_invite_at(p, &a, 0, ALICE, BOB);
        CHECK_EQ(pair_calls(p, 0), 0);
        CHECK_EQ(count(p, 0, M_calls_handed), 1);
        CHECK_EQ(count(p, 0, M_overload_refused), 0);
        for (unsigned i = 0; i < 2; i++) /* by way of either engine */
            invite_again(p, &a);
        CHECK_EQ(pair_calls(p, 1), 1);
        CHECK_EQ(count(p, 0, M_calls_handed), 1);
        CHECK_EQ(count(p, 1, M_retransmissions_in), 2);
        talk_and_hang_up(p, &a, caller);
        CHECK_TRUE(pair_is_quiet(p));
        pair_end(p);
    }
}

/* No token in them; they come to either engine, and when the full one has room again. */
static void test_cancel_and_ack(void) {
    struct pair *p = new_pair();
    struct rig_dialog a;
    char tag[64];
    tell_waiting(p, 0, 900);
    for (unsigned i = 0; i < 2; i++) {
        pair_invite_at(p, &a, 0, ALICE, BOB);
        rig_reply(&p->r, BOB, "INVITE", 180, "", NULL);
        tell_waiting(p, 0, 0);
        rig_request(&p->r, &a, "CANCEL", "", "");
        CHECK_TRUE(*rig_last(&p->r, ALICE, "SIP/2.0 200", "CANCEL") != '\0');
        CHECK_TRUE(*rig_last(&p->r, BOB, "CANCEL", NULL) != '\0');
        rig_reply(&p->r, BOB, "CANCEL", 200, "", NULL);
        rig_reply(&p->r, BOB, "INVITE", 487, "", NULL);
        rig_part(rig_last(&p->r, ALICE, "SIP/2.0 487", "INVITE"), "To", ";tag=", ";\r", tag);
        ack_refusal(p, &a, i ? tag : "none-of-ours");
        uint64_t again = count(p, 1, M_retransmissions_out);
        pair_wait(p, 20000000);
        CHECK_EQ(count(p, 1, M_retransmissions_out), again);
        tell_waiting(p, 0, 900);
    }
    CHECK_EQ(pair_calls(p, 1), 0);
    CHECK_EQ(count(p, 0, M_acks_stray) + count(p, 1, M_acks_stray), 0);
    pair_end(p);
}

/* What is dealt with here stays here, though the same Call-ID and From-tag go over afterwards. */
static void test_own_transactions_stay(void) {
    struct pair *p = new_pair();
    struct rig_dialog a;
    pair_invite_at(p, &a, 0, ALICE, BOB);
    tell_waiting(p, 0, 900);
    invite_again(p, &a);
    CHECK_EQ(count(p, 0, M_calls_handed), 0);
    CHECK_EQ(count(p, 0, M_retransmissions_in), 1);
    a.cseq++;
    invite_again(p, &a); /* of another branch: merged, by RFC 3261, had it come here */
    a.cseq++;
    invite_again(p, &a);
    CHECK_EQ(count(p, 0, M_calls_handed), 1);
    a.cseq -= 2;
    invite_again(p, &a); /* the first one: it is known here, and not where the others went */
    CHECK_EQ(count(p, 0, M_retransmissions_in), 2);
    a.cseq++;
    rig_request(&p->r, &a, "CANCEL", "", "");
    CHECK_EQ(count(p, 0, M_retransmissions_in), 2);
    CHECK_TRUE(*rig_last(&p->r, ALICE, "SIP/2.0 200", "CANCEL") != '\0');
    pair_end(p);
}

/* The transaction has died with its owner, the call has not. */
static void test_taken_over_stays(void) {
    struct pair *p = new_pair();
    struct rig_dialog a, b;
    pair_invite_at(p, &a, 0, ALICE, BOB);
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    pair_taken_over(p, 0, pair_hash(&config, a.call_id));
    tell_waiting(p, 0, 900);
    pair_wait(p, 100000);
    invite_again(p, &a);
    CHECK_EQ(count(p, 0, M_calls_handed), 0);
    CHECK_EQ(count(p, 0, M_overload_refused), 0);
    pair_end(p);
}

/* Each of the bounds; what is kept for emergency calls is for those only. */
static void test_each_bound(void) {
    for (unsigned what = 0; what < 5; what++) {
        struct pair *p = new_pair();
        struct engine *e = p->e[0];
        struct rig_dialog a;
        uint32_t generation;
        fill(what == 0 ? &e->calls : what == 1 ? &e->legs : &e->transfers,
             what == 0 ? e->load.kept_calls : what == 1 ? e->load.kept_legs + 1 : 0);
        while (what == 2 && txn_count(&e->txns) < e->txns.pool.count - e->txns.pool.count / 8)
            fill(&e->txns.pool, e->txns.pool.count / 8);
        while (what == 3 && port_pool_take(&e->ports, p->r.now, &generation) != PORT_POOL_NONE)
            continue;
        if (what == 4)
            fill(&e->txns.open, e->txns.open.count / 8);
        pair_invite_at(p, &a, 0, ALICE, BOB);
        CHECK_EQ(count(p, 0, M_calls_handed), 1);
        CHECK_EQ(pair_calls(p, 1), 1);
        pair_invite_at(p, &a, 0, ALICE, CAROL); /* has what is kept */
        CHECK_EQ(count(p, 0, M_calls_handed), 1);
        CHECK_TRUE(*rig_last(&p->r, CAROL, "INVITE", NULL) != '\0');
        pair_end(p);
    }
}

/* When all are full: Retry-After; as soon as one says that it has room, or has said nothing for long, it gets calls. */
static void test_all_full(void) {
    struct pair *p = new_pair();
    struct rig_dialog a;
    tell_waiting(p, 0, 900);
    tell_waiting(p, 1, 900);
    pair_invite_at(p, &a, 0, ALICE, BOB);
    CHECK_EQ(count(p, 0, M_calls_handed) + count(p, 1, M_calls_handed), 0);
    CHECK_TRUE(strstr(rig_last(&p->r, ALICE, "SIP/2.0 503", "INVITE"), "\r\nRetry-After: 5\r\n") != NULL);
    pair_wait(p, 1000000);
    tell_waiting(p, 1, 0);
    CHECK_EQ(p->kinds[PEER_FULL], 3);
    invite_again(p, &a); /* its sender has had an answer */
    CHECK_EQ(count(p, 0, M_calls_handed), 0);
    CHECK_FALSE(strstr(rig_last(&p->r, ALICE, "SIP/2.0 503", "INVITE"), "Retry-After") != NULL);
    pair_invite_at(p, &a, 0, ALICE, BOB);
    CHECK_EQ(count(p, 0, M_calls_handed), 1);
    CHECK_EQ(pair_calls(p, 1), 1);
    tell_waiting(p, 1, 900);
    pair_invite_at(p, &a, 0, ALICE, BOB);
    CHECK_EQ(count(p, 0, M_calls_handed), 1);
    pair_wait(p, HAND_FULL_US);
    pair_invite_at(p, &a, 0, ALICE, BOB);
    CHECK_EQ(count(p, 0, M_calls_handed), 2);
    pair_end(p);
}

/* Who was believed to have room and has none refuses it: it is not handed back, nor on. By its word the first knows. */
static void test_not_twice(void) {
    struct pair *p = new_pair();
    struct rig_dialog a;
    char tag[64];
    p->lose = PEER_FULL + 1;
    tell_waiting(p, 0, 900);
    tell_waiting(p, 1, 900);
    pair_wait(p, 1000000);
    pair_invite_at(p, &a, 0, ALICE, BOB);
    CHECK_EQ(count(p, 0, M_calls_handed), 1);
    CHECK_EQ(count(p, 1, M_calls_handed), 0);
    CHECK_EQ(count(p, 1, M_overload_refused), 1);
    rig_part(rig_last(&p->r, ALICE, "SIP/2.0 503", "INVITE"), "To", ";tag=", ";\r", tag);
    ack_refusal(p, &a, tag);
    CHECK_EQ(count(p, 0, M_acks_stray) + count(p, 1, M_acks_stray), 0);
    p->lose = 0;
    pair_wait(p, 1000000);
    pair_invite_at(p, &a, 0, ALICE, BOB);
    pair_invite_at(p, &a, 0, ALICE, BOB);
    CHECK_EQ(count(p, 0, M_calls_handed), 2);
    CHECK_EQ(count(p, 0, M_overload_refused), 1);
    pair_end(p);
}

/* For one that has no room at all anybody is asked: what is kept there is for it. */
static void test_emergency(void) {
    struct pair *p = new_pair();
    struct rig_dialog a;
    tell_waiting(p, 1, 900);
    fill(&p->e[0]->calls, 0);
    pair_invite_at(p, &a, 0, ALICE, BOB);
    CHECK_EQ(count(p, 0, M_calls_handed), 0);
    CHECK_TRUE(*rig_last(&p->r, ALICE, "SIP/2.0 503", "INVITE") != '\0');
    pair_invite_at(p, &a, 0, ALICE, CAROL);
    CHECK_EQ(count(p, 0, M_calls_handed), 1);
    CHECK_EQ(pair_calls(p, 1), 1);
    pair_end(p);
}

/* What names a dialog, or asks for something else than a call. */
static void test_never(void) {
    struct pair *p = new_pair();
    struct rig_dialog a;
    tell_waiting(p, 0, 900);
    do
        rig_dialog_new(&a, ALICE, BOB);
    while (pair_owner(pair_hash(&config, a.call_id)) != 0);
    rig_request(&p->r, &a, "INVITE", "Replaces: x;to-tag=y;from-tag=z\r\n", rig_sdp("0", "sendrecv", 40000));
    rig_request(&p->r, &a, "REFER", "Refer-To: <sip:bob@192.0.2.1>\r\n", "");
    CHECK_TRUE(strstr(rig_last(&p->r, ALICE, "SIP/2.0 503", "REFER"), "Retry-After") != NULL);
    CHECK_EQ(count(p, 0, M_calls_handed), 0);
    CHECK_EQ(pair_calls(p, 1), 0);
    pair_end(p);
}

/* More than are remembered: the oldest are forgotten, and the calls go on. */
static void test_many(void) {
    struct pair *p = new_pair();
    struct rig_dialog a;
    tell_waiting(p, 0, 900);
    for (unsigned i = 0; i < 200; i++) {
        pair_invite_at(p, &a, 0, ALICE, BOB);
        rig_reply(&p->r, BOB, "INVITE", 486, "", NULL);
        pair_wait(p, 1100000);
        tell_waiting(p, 0, 900);
    }
    CHECK_EQ(count(p, 0, M_calls_handed), 200);
    CHECK_TRUE(*rig_last(&p->r, ALICE, "SIP/2.0 486", "INVITE") != '\0');
    pair_end(p);
}

int main(void) {
    return UNIT_RUN("hand", UNIT(test_calls_go_over), UNIT(test_cancel_and_ack), UNIT(test_own_transactions_stay),
                    UNIT(test_taken_over_stays), UNIT(test_each_bound), UNIT(test_all_full), UNIT(test_not_twice),
                    UNIT(test_emergency), UNIT(test_never), UNIT(test_many));
}
