/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * An engine claims a bucket, and nobody knows any more (core/b2b/owner_over.h): a promoted server has not seen the
 * claim, and who has the bucket again tells the parties of its ports in what is above that one's CSeqs and versions, or
 * asks whether they are there. Owners who could write nothing: test_unwritten.
 */
#include "tests/unit/over_rig.h"

static struct engine_config config;
static const char *const describing[] = { "INVITE", "UPDATE" };

/* ---- a claim that a promoted server has not seen ---- */

/* The first one has the bucket again, which it had to claim anew. */
static void wake(struct over_word *o, uint64_t epoch) {
    store_claim(o->p, 0, o->bucket, epoch - 1);
    pair_bucket(o->p, 0, BUCKET_MINE, o->bucket, 0, epoch);
    act(o->p, 0, false);
}

/* Who has the call tells BOB of ALICE's hold. */
static void hold(struct over_word *o) {
    struct pair *p = o->p;
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    rig_request(&p->r, &o->a, "INVITE", "", rig_sdp("0", "sendonly", 40000));
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "recvonly", 41000), NULL);
    rig_request(&p->r, &o->a, "ACK", "", "");
}

/* The second engine claims the bucket of the first one, which the store does not reach, and tells the call's parties of
 * its own address; ALICE answers; so does BOB, if he cannot just then, and is told when he can. Then the claim is none,
 * and the first one has the bucket as before. */
static void claim_undone_now(struct over_word *o, bool later) {
    struct pair *p = o->p;
    uint64_t epoch = owner_epoch(p->e[0], o->bucket);
    act(p, 0, true);
    store_claim(p, 1, o->bucket, epoch);
    if (o->between)
        store_claim_from(p, p->number[1], 1, o->bucket, ++epoch);
    pair_bucket(p, 1, BUCKET_LOADING, o->bucket, 0, epoch + 1);
    pair_load(p, 1, o->bucket, SL("call"));
    if (!o->loads)
        pair_bucket(p, 1, BUCKET_MINE, o->bucket, 0, epoch + 1);
    pair_wait(p, 300000);
    pair_entry(p, 1);
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    if (later) {
        rig_reply(&p->r, BOB, "INVITE", 491, "", NULL);
        pair_wait(p, 4500000);
    }
    if (o->holds)
        hold(o);
    wake(o, epoch + 2);
}

static void claim_undone(struct over_word *o) {
    pair_wait(o->p, 70000000); /* no 200 is in doubt any more */
    claim_undone_now(o, false);
}

static bool has_port(const struct engine *e, struct told t) {
    uint32_t cursor = 0;
    handle h;
    for (const struct leg *l; (l = pool_next(&e->legs, &cursor, &h));)
        if (port_pool_rtp_port(&e->ports, l->media.streams[0]->slot) == t.port)
            return true;
    return false;
}

/* Its own owner before, too, took it over from another, and told its parties. */
static void take_over_first(struct over_word *o) {
    struct pair *p = o->p;
    pair_wait(p, 70000000);
    pair_taken_over(p, 0, o->bucket);
    pair_wait(p, 300000);
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
}

/* Who has had the call all the time tells its parties of its ports again, with what is later than what they heard.
 * `by_lease`: that the claim is none the other one hears from the lease, and not when it cannot write. `loads`: it has
 * not come to the end of the bucket's records by then. */
static void undone(bool by_lease, bool taken, bool between, bool loads) {
    static const enum rig_name both[] = { ALICE, BOB };
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    struct told before[2];
    o.between = between;
    o.loads = loads;
    if (taken)
        take_over_first(&o);
    p->e[1]->cfg.media_addr = rig_addr(201, 0);
    claim_undone(&o);
    for (unsigned i = 0; i < 2; i++) {
        before[i] = told_of(p, both[i]);
        CHECK_EQ(before[i].host, 201);
    }
    if (by_lease)
        pair_bucket(p, 1, BUCKET_LOST, o.bucket, p->number[0], owner_epoch(p->e[1], o.bucket));
    else
        rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL); /* which it cannot write */
    pair_entry(p, 0);
    pair_wait(p, 400000);
    CHECK_EQ(pair_calls(p, 1), 0);
    CHECK_EQ(p->kinds[PEER_OVER], 1);
    for (unsigned i = 0; i < 2; i++) {
        struct told now = told_of(p, both[i]);
        CHECK_TRUE(now.host != 201 && has_port(p->e[0], now));
        CHECK_EQ(now.version, before[i].version + 1);
        CHECK_TRUE(now.cseq > before[i].cseq);
        rig_reply(&p->r, both[i], "INVITE", 200, rig_sdp("0", "sendrecv", i ? 41000 : 40000), NULL);
    }
    pair_hang_up(p, &o.a, BOB);
    pair_wait(p, 120000000);
    CHECK_TRUE(pair_is_quiet(p));
    pair_end(p);
}

static void test_claim_undone(void) {
    for (unsigned i = 0; i < 8; i++)
        undone(i & 1, i & 2, i & 4, false);
    for (unsigned i = 0; i < 4; i++)
        undone(true, i & 1, i & 2, true);
}

/* That one has told them more than where its ports are. */
static void test_claim_undone_and_held(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    p->e[1]->cfg.media_addr = rig_addr(201, 0);
    o.holds = true;
    claim_undone(&o);
    struct told before[2] = { told_by(rig_last(&p->r, ALICE, "SIP/2.0 200", "INVITE")), told_of(p, BOB) };
    CHECK_TRUE(before[0].host == 201 && before[1].host == 201);
    pair_bucket(p, 1, BUCKET_LOST, o.bucket, p->number[0], owner_epoch(p->e[1], o.bucket));
    pair_entry(p, 0);
    pair_wait(p, 400000);
    for (unsigned i = 0; i < 2; i++) {
        struct told now = told_of(p, i ? BOB : ALICE);
        CHECK_TRUE(now.host == 1 && has_port(p->e[0], now));
        CHECK_EQ(now.version, before[i].version + 1);
    }
    pair_end(p);
}

/* That one has told them nothing yet, when it hears that the claim is none. They are told all the same, not at once. */
static void nobody_told(struct over_word *o) {
    struct pair *p = o->p;
    uint64_t epoch = owner_epoch(p->e[0], o->bucket);
    p->e[0]->cfg.reinvites_per_second = 200;
    act(p, 0, true);
    store_claim(p, 1, o->bucket, epoch);
    pair_bucket(p, 1, BUCKET_LOADING, o->bucket, 0, epoch + 1);
    pair_load(p, 1, o->bucket, SL("call"));
    pair_bucket(p, 1, BUCKET_MINE, o->bucket, 0, epoch + 1);
    CHECK_EQ(pair_calls(p, 1), 1);
    wake(o, epoch + 2);
    pair_bucket(p, 1, BUCKET_LOST, o->bucket, p->number[0], epoch + 1);
    pair_entry(p, 0);
}

static void test_claim_undone_and_nobody_told(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    struct told before = told_of(p, BOB), now;
    pair_wait(p, 70000000);
    nobody_told(&o);
    pair_wait(p, 400000);
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    now = told_of(p, BOB);
    CHECK_TRUE(now.port != before.port && now.cseq > before.cseq);
    CHECK_EQ(now.version, before.version + 1);
    pair_end(p);
}

/* BOB agrees to an offer from before, which names our ports of then, and is told when it is his turn. */
static void test_claim_undone_and_offer_open(void) {
    for (unsigned i = 0; i < 2; i++) {
        struct over_word o;
        struct pair *p = over_begin(&o, &config, 2);
        pair_wait(p, 70000000);
        rig_request(&p->r, &o.a, describing[i], "", rig_sdp("0", "sendonly", 40000));
        struct told before = told_by(rig_last(&p->r, BOB, describing[i], NULL));
        CHECK_TRUE(has_port(p->e[0], before));
        nobody_told(&o);
        CHECK_TRUE(!has_port(p->e[0], before));
        rig_reply(&p->r, BOB, describing[i], 200, rig_sdp("0", "recvonly", 41000), NULL);
        pair_wait(p, 400000);
        struct told now = told_of(p, BOB);
        CHECK_TRUE(now.cseq > before.cseq && has_port(p->e[0], now));
        CHECK_TRUE(strstr(rig_last(&p->r, BOB, "INVITE", NULL), "a=sendonly") != NULL);
        pair_end(p);
    }
}

/* The same for ALICE, who answers with her ACK. */
static void test_claim_undone_and_ack_due(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    pair_wait(p, 70000000);
    rig_request(&p->r, &o.a, "INVITE", "", "");
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    struct told before = told_by(rig_last(&p->r, ALICE, "SIP/2.0 200", "INVITE"));
    CHECK_TRUE(has_port(p->e[0], before));
    nobody_told(&o);
    CHECK_TRUE(!has_port(p->e[0], before));
    rig_request(&p->r, &o.a, "ACK", "", rig_sdp("0", "sendrecv", 40000));
    pair_wait(p, 400000);
    struct told now = told_of(p, ALICE);
    CHECK_TRUE(now.version > before.version && has_port(p->e[0], now));
    pair_end(p);
}

static unsigned cseq_of(const struct pair *p, enum rig_name who, const char *method) {
    const char *cseq = strstr(rig_last(&p->r, who, method, NULL), "\nCSeq: ");
    unsigned n = 0;
    CHECK_TRUE(cseq && sscanf(cseq, "\nCSeq: %u", &n) == 1);
    return n;
}

/* That one's call is over, which has it end here: with a BYE that is later than what the parties heard. */
static void test_claim_undone_of_what_is_over(void) {
    static const enum rig_name both[] = { ALICE, BOB };
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    unsigned heard[2];
    p->e[1]->cfg.media_addr = rig_addr(201, 0);
    claim_undone(&o);
    for (unsigned i = 0; i < 2; i++)
        heard[i] = cseq_of(p, both[i], "INVITE");
    pair_entry(p, 0);
    pair_step(p, 0, &o.ev);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_TRUE(cseq_of(p, both[i], "BYE") > heard[i]);
        rig_reply(&p->r, both[i], "BYE", 200, "", NULL);
    }
    pair_wait(p, 120000000);
    CHECK_EQ(pair_calls(p, 0), 0);
    pair_end(p);
}

/* What the first one sends before it has that one's word is later, too, whoever had it between the two: here a BYE to
 * BOB, since ALICE hangs up, which does not wait. */
static void test_claim_undone_before_the_word(void) {
    for (unsigned between = 0; between < 2; between++) {
        struct over_word o;
        struct pair *p = over_begin(&o, &config, 2);
        o.between = between;
        p->e[1]->cfg.media_addr = rig_addr(201, 0);
        claim_undone(&o);
        unsigned heard = cseq_of(p, BOB, "INVITE");
        CHECK_EQ(told_of(p, BOB).host, 201);
        pair_entry(p, 0);
        pair_hang_up(p, &o.a, BOB);
        CHECK_EQ(p->kinds[PEER_OVER], 0);
        CHECK_TRUE(cseq_of(p, BOB, "BYE") > heard);
        pair_wait(p, 120000000);
        CHECK_EQ(pair_calls(p, 0), 0);
        pair_end(p);
    }
}

/* BOB heard last of the second engine; of the first one he hears behind the word, in the next version. */
static void only_behind_the_word(struct over_word *o) {
    struct pair *p = o->p;
    struct told before = told_of(p, BOB), now;
    CHECK_EQ(before.host, 201);
    pair_bucket(p, 1, BUCKET_LOST, o->bucket, p->number[0], owner_epoch(p->e[1], o->bucket));
    pair_entry(p, 0);
    pair_wait(p, 400000);
    now = told_of(p, BOB);
    CHECK_TRUE(now.host != 201 && now.cseq > before.cseq);
    CHECK_EQ(now.version, before.version + 1);
    pair_end(p);
}

/* A refresh of the first one's is due meanwhile. */
static void test_claim_undone_and_refresh_due(void) {
    struct over_word o;
    struct pair *p = over_begin_timed(&o, &config, 2, 142);
    p->e[1]->cfg.media_addr = rig_addr(201, 0);
    pair_wait(p, 900000);
    claim_undone(&o);
    only_behind_the_word(&o);
}

/* Or what BOB could not be told just then, when the first one had taken the call over from another. */
static void test_claim_undone_and_offer_due(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    p->e[1]->cfg.media_addr = rig_addr(201, 0);
    pair_wait(p, 70000000);
    pair_taken_over(p, 0, o.bucket);
    pair_wait(p, 300000);
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    rig_reply(&p->r, BOB, "INVITE", 491, "", NULL);
    claim_undone_now(&o, true);
    only_behind_the_word(&o);
}

/* A party had hung up at that one, which did not know its call any more, and tells that first: it is asked behind the
 * word that tells what it heard, or not at all when the call is over. */
static void test_claim_undone_and_hung_up(void) {
    for (unsigned over = 0; over < 2; over++) {
        struct over_word o;
        struct pair *p = over_begin(&o, &config, 2);
        p->e[1]->cfg.media_addr = rig_addr(201, 0);
        claim_undone(&o);
        rig_reply(&p->r, BOB, "INVITE", 100, "", NULL); /* so that it does not come again */
        pair_entry(p, 0);
        p->sends = 0;
        snprintf(o.text + 16, 3, "00");
        o.ev.u.peer.bytes = slice_str(o.text);
        pair_step(p, 0, &o.ev);
        pair_wait(p, 300000);
        CHECK_EQ(p->sends, 0);
        if (!over) {
            only_behind_the_word(&o);
            continue;
        }
        snprintf(o.text + 16, 3, "ff");
        pair_step(p, 0, &o.ev);
        pair_wait(p, 300000);
        CHECK_EQ(p->sends, 2);
        rig_reply(&p->r, ALICE, "BYE", 481, "", NULL);
        rig_reply(&p->r, BOB, "BYE", 481, "", NULL);
        pair_wait(p, 120000000);
        CHECK_EQ(pair_calls(p, 0), 0);
        pair_end(p);
    }
}

/* Nobody has claimed it: the refresh is late, and says what was said. Nor has the session expired that was to be
 * refreshed long ago. */
static void refresh_without_word(uint64_t sleep_us) {
    struct over_word o;
    struct pair *p = over_begin_timed(&o, &config, 2, 142);
    struct told before = told_of(p, BOB), now;
    pair_wait(p, 70900000);
    act(p, 0, true);
    pair_wait(p, sleep_us);
    p->sends = 0;
    wake(&o, owner_epoch(p->e[0], o.bucket) + 1);
    pair_wait(p, 1900000);
    CHECK_EQ(p->sends, 0);
    pair_wait(p, 200000);
    now = told_of(p, BOB);
    CHECK_TRUE(now.cseq > before.cseq);
    CHECK_EQ(now.version, before.version);
    CHECK_EQ(now.port, before.port);
    pair_end(p);
}

static void test_refresh_without_word(void) {
    refresh_without_word(300000);
    refresh_without_word(100000000);
}

/* ALICE holds, at the first one, in a request that waits, and what she sends behind it does; their copies are none. */
static void hold_waits(struct over_word *o, const char *method) {
    struct pair *p = o->p;
    pair_entry(p, 0);
    p->sends = 0;
    for (unsigned copy = 0; copy < 2; copy++) {
        o->a.cseq -= 2 * copy;
        rig_request(&p->r, &o->a, method, "", rig_sdp("0", "sendonly", 40000));
        rig_request(&p->r, &o->a, "INFO", "", "");
        pair_wait(p, 480000);
    }
    CHECK_EQ(p->sends, 0);
}

/* It is passed on, in that version, and answered; once, and before what is behind it. */
static void hold_goes(struct over_word *o, const char *method, const struct told before[2]) {
    struct pair *p = o->p;
    struct told now = told_by(rig_last(&p->r, BOB, method, NULL));
    CHECK_TRUE(now.host == 1 && has_port(p->e[0], now));
    CHECK_TRUE(now.cseq > before[1].cseq);
    CHECK_EQ(now.version, before[1].version + 1);
    CHECK_EQ(cseq_of(p, BOB, "INFO"), now.cseq + 1);
    rig_reply(&p->r, BOB, method, 200, rig_sdp("0", "recvonly", 41000), NULL);
    now = told_by(rig_last(&p->r, ALICE, "SIP/2.0 200", method));
    CHECK_TRUE(now.host == 1 && has_port(p->e[0], now));
    CHECK_EQ(now.version, before[0].version + 1);
    CHECK_TRUE(*rig_last(&p->r, ALICE, "SIP/2.0 500", NULL) == '\0');
    rig_reply(&p->r, BOB, "INFO", 200, "", NULL);
    o->a.cseq--;
    if (method == describing[0])
        rig_request(&p->r, &o->a, "ACK", "", "");
    o->a.cseq++;
    p->sends = 0;
    pair_wait(p, 5000000);
    CHECK_EQ(p->sends, 0); /* they know all by now */
    pair_hang_up(p, &o->a, BOB);
    pair_wait(p, 120000000);
    CHECK_TRUE(pair_is_quiet(p));
}

/* A party says meanwhile what it goes by from now on. */
static void test_claim_undone_and_hold(void) {
    static const enum rig_name both[] = { ALICE, BOB };
    for (unsigned i = 0; i < 2; i++) {
        struct over_word o;
        struct pair *p = over_begin(&o, &config, 2);
        struct told before[2];
        p->e[1]->cfg.media_addr = rig_addr(201, 0);
        claim_undone(&o);
        rig_reply(&p->r, BOB, "INVITE", 100, "", NULL); /* so that it does not come again */
        for (unsigned k = 0; k < 2; k++) {
            before[k] = told_of(p, both[k]);
            CHECK_EQ(before[k].host, 201);
        }
        hold_waits(&o, describing[i]);
        pair_bucket(p, 1, BUCKET_LOST, o.bucket, p->number[0], owner_epoch(p->e[1], o.bucket));
        CHECK_EQ(p->kinds[PEER_OVER], 1);
        pair_wait(p, 30000);
        hold_goes(&o, describing[i], before);
        pair_end(p);
    }
}

/* Nor does a party wait for ever, and is told nothing new. */
static void test_hold_without_word(void) {
    for (unsigned i = 0; i < 2; i++) {
        struct over_word o;
        struct pair *p = over_begin(&o, &config, 2);
        struct told before[2] = { told_by(rig_last(&p->r, ALICE, "SIP/2.0 200", "INVITE")), told_of(p, BOB) };
        pair_wait(p, 70000000);
        act(p, 0, true);
        store_claim_from(p, p->number[0], 0, o.bucket, owner_epoch(p->e[0], o.bucket));
        wake(&o, owner_epoch(p->e[0], o.bucket) + 1);
        hold_waits(&o, describing[i]);
        pair_wait(p, 1050000);
        hold_goes(&o, describing[i], before);
        pair_end(p);
    }
}

/* There is room for so many; what there is none for is handled as it comes. */
static void test_waits_are_bounded(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    act(p, 0, true);
    wake(&o, owner_epoch(p->e[0], o.bucket) + 1);
    pair_entry(p, 0);
    p->sends = 0;
    for (unsigned i = 0; i < OWNER_WAITS_MAX / 2; i++)
        rig_request(&p->r, &o.a, "INVITE", "", rig_sdp("0", "sendonly", 40000));
    CHECK_EQ(p->sends, 0);
    CHECK_EQ(owner_wait_count(p->e[0]), OWNER_WAITS_MAX / 2);
    rig_request(&p->r, &o.a, "INVITE", "", rig_sdp("0", "recvonly", 40000));
    CHECK_TRUE(strstr(rig_last(&p->r, BOB, "INVITE", NULL), "a=recvonly") != NULL);
    CHECK_EQ(owner_wait_count(p->e[0]), OWNER_WAITS_MAX / 2);
    pair_wait(p, 2000000);
    CHECK_EQ(owner_wait_count(p->e[0]), 0);
    pair_end(p);
}

/* ALICE's call, and what BOB was told in it first. */
struct unknown {
    struct over_word o;
    struct told first;
};

/* The second engine claims the bucket of a call that no record knows, has a BYE of ALICE's, if she hangs up, and loses
 * the bucket to the first one again. */
static struct pair *unknown_begin(struct unknown *u, bool hangs_up) {
    struct over_word *o = &u->o;
    struct pair *p = over_begin(o, &config, 2);
    u->first = told_of(p, BOB);
    act(p, 0, true);
    lose_record(p, o->bucket);
    store_claim(p, 1, o->bucket, 1);
    pair_bucket(p, 1, BUCKET_LOADING, o->bucket, 0, 2);
    pair_load(p, 1, o->bucket, SL("call"));
    pair_bucket(p, 1, BUCKET_MINE, o->bucket, 0, 2);
    CHECK_EQ(pair_calls(p, 1), 0);
    pair_entry(p, 1);
    if (hangs_up) {
        rig_request(&p->r, &o->a, "BYE", "", "");
        CHECK_TRUE(*rig_last(&p->r, ALICE, "SIP/2.0 481", "BYE") != '\0');
    }
    store_claim(p, 0, o->bucket, 2);
    pair_bucket(p, 0, BUCKET_MINE, o->bucket, 0, 3);
    p->sends = 0;
    pair_bucket(p, 1, BUCKET_LOST, o->bucket, p->number[0], 3);
    CHECK_EQ(p->kinds[PEER_OVER], hangs_up);
    CHECK_EQ(p->sends, 0);
    act(p, 0, false);
    pair_entry(p, 0);
    pair_wait(p, 2100000); /* it might have told them something */
    return p;
}

/* Who has had the call all the time asks whether its parties are there: ALICE is not, and BOB is told. */
static void test_hung_up_where_unknown(void) {
    struct unknown u;
    struct pair *p = unknown_begin(&u, true);
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    CHECK_TRUE(*rig_last(&p->r, BOB, "BYE", NULL) == '\0');
    rig_reply(&p->r, ALICE, "INVITE", 481, "", NULL);
    CHECK_TRUE(*rig_last(&p->r, BOB, "BYE", NULL) != '\0');
    rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
    rig_reply(&p->r, ALICE, "BYE", 481, "", NULL);
    pair_wait(p, 70000000);
    CHECK_TRUE(pair_is_quiet(p));
    pair_end(p);
}

/* The BYE may have been made up: who is there says so, and the call goes on with the session as it was. Nobody is asked
 * where nobody hung up. */
static void test_not_hung_up(void) {
    struct unknown u;
    struct pair *p = unknown_begin(&u, true);
    struct told again = told_of(p, BOB);
    CHECK_TRUE(again.cseq > u.first.cseq);
    CHECK_EQ(again.version, u.first.version);
    CHECK_EQ(again.port, u.first.port);
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    pair_wait(p, 70000000);
    CHECK_EQ(pair_calls(p, 0), 1);
    CHECK_EQ(told_of(p, BOB).cseq, again.cseq);
    pair_hang_up(p, &u.o.a, BOB);
    pair_wait(p, 70000000);
    CHECK_TRUE(pair_is_quiet(p));
    pair_end(p);
    p = unknown_begin(&u, false);
    CHECK_EQ(p->sends, 0);
    pair_end(p);
}

/* One that was read from its record is told of nothing: what it goes by is newer. */
static void test_word_of_one_taken_over(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    pair_wait(p, 70000000);
    pair_taken_over(p, 0, o.bucket);
    pair_wait(p, 300000);
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    snprintf(o.text + 16, 7, "%s", "ff0001");
    o.ev.u.peer.bytes = slice_str(o.text);
    p->sends = 0;
    pair_step(p, 0, &o.ev);
    pair_wait(p, 1000000);
    CHECK_EQ(p->sends, 0);
    CHECK_EQ(pair_calls(p, 0), 1);
    pair_end(p);
}

/* The second engine has what the first one, which has gone, let go of: all of it, by a claim that a promoted server has
 * not seen, and is done anew. */
static void claimed_anew(struct over_word *o) {
    struct event ev = { .kind = EV_BUCKET, .u.bucket = { .what = BUCKET_MINE, .epoch = 3, .rewrite = true } };
    ev.u.bucket.bucket = o->bucket;
    store_claim_from(o->p, o->p->number[1], 1, o->bucket, 2);
    pair_step(o->p, 1, &ev);
    pair_wait(o->p, 300000);
}

/* The server has the record again of a call that was over: it is read once more, and ends. */
static void test_deletion_forgotten(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    p->linked = false;
    p->e[1]->cfg.media_addr = rig_addr(201, 0);
    CHECK_TRUE(keep_record(p, o.bucket, false));
    pair_hang_up(p, &o.a, BOB);
    pair_wait(p, 120000000);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
    pair_taken_by(p, 1, o.bucket);
    CHECK_TRUE(keep_record(p, o.bucket, true));
    pair_entry(p, 1);
    for (unsigned k = 0; k < 2; k++) {
        claimed_anew(&o);
        CHECK_EQ(pair_calls(p, 1), 1);
        CHECK_EQ(metrics_get(engine_metrics(p->e[1]), M_calls_recovered), 1);
    }
    rig_reply(&p->r, ALICE, "INVITE", 481, "", NULL);
    rig_reply(&p->r, BOB, "INVITE", 481, "", NULL);
    pair_wait(p, 120000000);
    CHECK_EQ(pair_calls(p, 1), 0);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
    pair_end(p);
}

int main(void) {
    return UNIT_RUN("undone", UNIT(test_claim_undone), UNIT(test_claim_undone_and_held),
                    UNIT(test_claim_undone_and_nobody_told), UNIT(test_claim_undone_of_what_is_over),
                    UNIT(test_claim_undone_and_offer_open), UNIT(test_claim_undone_and_ack_due),
                    UNIT(test_claim_undone_before_the_word), UNIT(test_claim_undone_and_refresh_due),
                    UNIT(test_claim_undone_and_offer_due), UNIT(test_claim_undone_and_hung_up),
                    UNIT(test_refresh_without_word),
                    UNIT(test_claim_undone_and_hold), UNIT(test_hold_without_word), UNIT(test_waits_are_bounded),
                    UNIT(test_hung_up_where_unknown), UNIT(test_not_hung_up), UNIT(test_word_of_one_taken_over),
                    UNIT(test_deletion_forgotten));
}
