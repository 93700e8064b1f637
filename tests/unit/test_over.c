/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Word between two engines that a call, or legs of it, are over (core/b2b/owner_over.h): what still rings ends, a
 * record that is there again goes, and the parties of a call whose owner by a lost claim has said so are told of its
 * ports again, or asked whether they are there. And what of a bucket that is claimed anew is read and written, also
 * where owners in between have written nothing.
 */
#include "core/b2b/leg.h"
#include "tests/unit/pair_calls.h"

static struct engine_config config;

/* The former owner says that a leg, or the call, is over, which here still rings: what rings is cancelled, its INVITE's
 * end tells the rest, and nothing stays. */
static void over(bool all) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    char text[20];
    struct sbuf s = sbuf_on(text, sizeof text);
    uint32_t cursor = 0;
    handle h;
    pair_invite_at(p, &a, 0, ALICE, BOB);
    rig_reply(&p->r, BOB, "INVITE", 180, "", &b);
    const struct call *c = pool_next(&p->e[0]->calls, &cursor, &h);
    struct event ev = { .kind = EV_PEER, .u.peer = { .what = PEER_OVER, .from = 2, .bucket = c->bucket } };
    sbuf_hex(&s, c->id, 16);
    sbuf_hex(&s, UINT8_MAX, 2);
    if (!all)
        sbuf_hex(&s, leg_get(p->e[0], c->legs[0])->number, 2);
    ev.u.peer.bytes = sbuf_slice(&s);
    pair_step(p, 0, &ev);
    CHECK_TRUE(*rig_last(&p->r, BOB, "CANCEL", NULL) != '\0');
    rig_reply(&p->r, BOB, "CANCEL", 481, "", NULL);
    pair_wait(p, 70000000);
    if (!all)
        rig_request(&p->r, &a, "ACK", "", "");
    CHECK_EQ(*rig_last(&p->r, ALICE, "SIP/2.0 480", "INVITE") != '\0', !all);
    pair_wait(p, 70000000);
    CHECK_TRUE(pair_is_quiet(p));
    pair_end(p);
}

static void test_over(void) {
    over(true);
    over(false);
}

/* A call at the first engine, and word that all of it is over. */
struct over_word {
    struct pair *p;
    struct rig_dialog a, b;
    uint16_t bucket;
    char text[22 + 1]; /* ... or what lives of it */
    struct event ev;
    bool between; /* another one claimed the bucket meanwhile, and wrote nothing */
};

/* Its sessions expire, if they do, and are refreshed by us. */
static struct pair *over_begin_timed(struct over_word *o, uint32_t from, uint32_t expires_s) {
    uint32_t cursor = 0;
    handle h;
    struct pair *p = o->p = pair_new(&config);
    o->between = false;
    for (unsigned i = 0; i < 2; i++) {
        p->e[i]->cfg.durability = DURABILITY_ASYNC;
        p->e[i]->cfg.session = (struct session_config){ .expires_s = expires_s, .refresher = SESSION_US };
    }
    pair_call_at(p, &o->a, &o->b, 0, ALICE, BOB);
    const struct call *c = pool_next(&p->e[0]->calls, &cursor, &h);
    o->bucket = c->bucket;
    snprintf(o->text, sizeof o->text, "%016" PRIx64 "ff", c->id);
    o->ev = (struct event){ .kind = EV_PEER, .u.peer = { .what = PEER_OVER, .from = from, .bucket = o->bucket } };
    o->ev.u.peer.bytes = slice_str(o->text);
    return p;
}

static struct pair *over_begin(struct over_word *o, uint32_t from) {
    return over_begin_timed(o, from, 0);
}

/* Who has lost the bucket says so while its successor is still reading it. */
static void test_over_while_loading(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, 1);
    pair_entry(p, 1);
    pair_bucket(p, 1, BUCKET_LOADING, o.bucket, 0, 2);
    pair_step(p, 1, &o.ev);
    pair_taken_by(p, 1, o.bucket);
    CHECK_EQ(pair_calls(p, 1), 1);
    pair_wait(p, 300000);
    rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
    pair_wait(p, 70000000);
    CHECK_EQ(metrics_get(engine_metrics(p->e[1]), M_legs_over), 1); /* the other one by that */
    CHECK_TRUE(pair_is_quiet(p));
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
    pair_end(p);
}

static void act(struct pair *p, unsigned i, bool suspended) {
    pair_step(p, i, &(struct event){ .kind = EV_ACT, .u.act = { .suspended = suspended } });
}

/* Who has slept hears it before it knows whether the bucket is still its own. */
static void test_over_while_suspended(void) {
    for (unsigned lost = 0; lost < 2; lost++) {
        struct over_word o;
        struct pair *p = over_begin(&o, 2);
        act(p, 0, true);
        pair_step(p, 0, &o.ev);
        CHECK_TRUE(*rig_last(&p->r, BOB, "BYE", NULL) == '\0');
        if (lost)
            pair_bucket(p, 0, BUCKET_OWNER, o.bucket, 2, 2);
        act(p, 0, false);
        pair_wait(p, 300000);
        CHECK_EQ(*rig_last(&p->r, BOB, "BYE", NULL) != '\0', !lost);
        pair_end(p);
    }
}

static char kept[2][1 << 14];

/* The first record of the table "call" in the bucket; stored anew when `again`. */
static bool keep_record(struct pair *p, unsigned bucket, bool again) {
    struct buf *key = (struct buf *)(void *)kept[0], *value = (struct buf *)(void *)kept[1];
    struct store_op op = { .verb = again ? STORE_PUT : STORE_LOAD, .ticket = !again, .bucket = (uint16_t)bucket,
                           .table = SL("call"), .key = again ? key : NULL, .value = again ? value : NULL };
    struct event ev = { 0 };
    store_submit(p->store, &op, rig_wall_ms(&p->r));
    if (again || !store_answer(p->store, &ev) || !ev.u.store.more)
        return again;
    key->len = ev.u.store.key.n;
    memcpy(key->data, ev.u.store.key.p, key->len);
    value->len = ev.u.store.value.n;
    memcpy(value->data, ev.u.store.value.p, value->len);
    return store_answer(p->store, &ev) && !ev.u.store.more;
}

/* A promoted server has the record of a call that is over, and whose bucket has gone to another node since: that one
 * deletes it, but not if it has the call. */
static void test_over_and_there_again(void) {
    for (unsigned knows = 0; knows < 2; knows++) {
        struct over_word o;
        struct pair *p = over_begin(&o, 2);
        CHECK_TRUE(keep_record(p, o.bucket, false));
        if (!knows) {
            pair_hang_up(p, &o.a, BOB);
            CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
            CHECK_TRUE(keep_record(p, o.bucket, true));
        }
        pair_step(p, 0, &o.ev);
        CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 1);
        pair_wait(p, 300000);
        CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), knows);
        pair_end(p);
    }
}

/* The bucket's one record of a call is gone from the store. */
static void lose_record(struct pair *p, unsigned bucket) {
    struct store_op gone = { .verb = STORE_DELETE, .bucket = (uint16_t)bucket, .table = SL("call") };
    gone.key = (struct buf *)(void *)kept[0];
    CHECK_TRUE(keep_record(p, bucket, false));
    store_submit(p->store, &gone, rig_wall_ms(&p->r));
}

/* A bucket that is read again while the record of a call that is over is still to be deleted: it is not taken up. */
static void test_over_and_read_again(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    p->e[0]->cfg.durability = DURABILITY_ASYNC;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    unsigned bucket = pair_hash(&config, a.call_id);
    p->keeps_records = true;
    pair_hang_up(p, &a, BOB);
    CHECK_EQ(pair_calls(p, 0), 0);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 1);
    pair_taken_over(p, 0, bucket);
    CHECK_EQ(pair_calls(p, 0), 0);
    p->keeps_records = false;
    pair_wait(p, 3000000);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
    pair_end(p);
}

/* Version of the call that is in another bucket. */
static uint64_t version_of_other(const struct engine *e, unsigned first, unsigned *bucket) {
    uint32_t cursor = 0;
    handle h;
    for (const struct call *c; (c = pool_next(&e->calls, &cursor, &h));)
        if (c->bucket != first) {
            *bucket = c->bucket;
            return c->version;
        }
    return 0;
}

/* A bucket that was claimed anew: the records of its calls are written, and those of no other. */
static void test_written_again(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b, c, d;
    unsigned first, other = 0;
    p->e[0]->cfg.durability = DURABILITY_ASYNC;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    pair_call_at(p, &c, &d, 0, ALICE, CAROL);
    first = pair_hash(&config, a.call_id);
    uint64_t version = version_of_other(p->e[0], first, &other);
    CHECK_TRUE(version > 0);
    lose_record(p, first);
    lose_record(p, other);
    struct event ev = { .kind = EV_BUCKET, .u.bucket = { .what = BUCKET_MINE, .bucket = (uint16_t)first } };
    ev.u.bucket.epoch = owner_epoch(p->e[0], (uint16_t)first);
    ev.u.bucket.rewrite = true;
    pair_step(p, 0, &ev);
    pair_wait(p, 300000);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 1);
    CHECK_EQ(version_of_other(p->e[0], first, &other), version);
    pair_end(p);
}

/* ---- a claim that a promoted server has not seen ---- */

struct told {
    unsigned cseq, port, host;
    unsigned long long version;
};

/* By the last INVITE. */
static struct told told_of(const struct pair *p, enum rig_name who) {
    const char *text = rig_last(&p->r, who, "INVITE", NULL);
    const char *cseq = strstr(text, "\nCSeq: "), *o = strstr(text, "\no="), *c = strstr(text, "\nc=");
    const char *m = strstr(text, "\nm=audio ");
    struct told t = { 0 };
    CHECK_TRUE(cseq && o && c && m);
    if (!cseq || !o || !c || !m)
        return t;
    CHECK_EQ(sscanf(cseq, "\nCSeq: %u", &t.cseq), 1);
    CHECK_EQ(sscanf(o, "\no=%*s %*u %llu", &t.version), 1);
    CHECK_EQ(sscanf(c, "\nc=IN IP4 192.0.2.%u", &t.host), 1);
    CHECK_EQ(sscanf(m, "\nm=audio %u", &t.port), 1);
    return t;
}

static void store_claim_from(struct pair *p, uint32_t former, unsigned to, uint16_t bucket, uint64_t epoch) {
    struct store_op claim = { .verb = STORE_CLAIM, .bucket = bucket, .node = p->number[to],
                              .former = former, .epoch = epoch };
    store_submit(p->store, &claim, rig_wall_ms(&p->r));
}

static void store_claim(struct pair *p, unsigned to, uint16_t bucket, uint64_t epoch) {
    store_claim_from(p, p->number[!to], to, bucket, epoch);
}

/* The first one has the bucket again, which it had to claim anew. */
static void wake(struct over_word *o, uint64_t epoch) {
    store_claim(o->p, 0, o->bucket, epoch - 1);
    pair_bucket(o->p, 0, BUCKET_MINE, o->bucket, 0, epoch);
    act(o->p, 0, false);
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
    pair_bucket(p, 1, BUCKET_MINE, o->bucket, 0, epoch + 1);
    pair_wait(p, 300000);
    pair_entry(p, 1);
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    if (later) {
        rig_reply(&p->r, BOB, "INVITE", 491, "", NULL);
        pair_wait(p, 4500000);
    }
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
 * `by_lease`: that the claim is none the other one hears from the lease, and not when it cannot write. */
static void undone(bool by_lease, bool taken, bool between) {
    static const enum rig_name both[] = { ALICE, BOB };
    struct over_word o;
    struct pair *p = over_begin(&o, 2);
    struct told before[2];
    o.between = between;
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
        undone(i & 1, i & 2, i & 4);
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
    struct pair *p = over_begin(&o, 2);
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

/* What the first one sends before it has that one's word is later, too: here a BYE to BOB, since ALICE hangs up. */
static void test_claim_undone_before_the_word(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, 2);
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
    struct pair *p = over_begin_timed(&o, 2, 142);
    p->e[1]->cfg.media_addr = rig_addr(201, 0);
    pair_wait(p, 900000);
    claim_undone(&o);
    only_behind_the_word(&o);
}

/* Or what BOB could not be told just then, when the first one had taken the call over from another. */
static void test_claim_undone_and_offer_due(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, 2);
    p->e[1]->cfg.media_addr = rig_addr(201, 0);
    pair_wait(p, 70000000);
    pair_taken_over(p, 0, o.bucket);
    pair_wait(p, 300000);
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    rig_reply(&p->r, BOB, "INVITE", 491, "", NULL);
    claim_undone_now(&o, true);
    only_behind_the_word(&o);
}

/* Nobody has claimed it: the refresh is late, and says what was said. Nor has the session expired that was to be
 * refreshed long ago. */
static void refresh_without_word(uint64_t sleep_us) {
    struct over_word o;
    struct pair *p = over_begin_timed(&o, 2, 142);
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

/* ---- owners who have written nothing ---- */

/* Its next owner, which tells them of other ports, and their answers. */
static void next_owner(struct over_word *o, struct told now[2]) {
    struct pair *p = o->p;
    pair_taken_over(p, 0, o->bucket);
    pair_wait(p, 400000);
    for (unsigned i = 0; i < 2; i++) {
        now[i] = told_of(p, i ? BOB : ALICE);
        rig_reply(&p->r, i ? BOB : ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", i ? 41000 : 40000), NULL);
    }
}

/* Owners one after the other tell the parties of their ports, and the store takes nothing of it: each by what is later
 * than what they heard, though both go on from one record. Behind one who could write, by the next version. */
static void test_unwritten(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, 2);
    struct told before[2], now[2];
    pair_wait(p, 70000000);
    p->takes_none = true;
    next_owner(&o, before);
    for (unsigned n = 0; n < 3; n++) {
        p->takes_none = n < 1;
        next_owner(&o, now);
        for (unsigned i = 0; i < 2; i++) {
            CHECK_TRUE(now[i].port != before[i].port);
            CHECK_TRUE(now[i].cseq >= before[i].cseq + RECORD_CSEQ_GAP);
            CHECK_TRUE(n == 2 ? now[i].version == before[i].version + 1 : now[i].version > before[i].version);
            before[i] = now[i];
        }
        pair_wait(p, 70000000);
    }
    pair_hang_up(p, &o.a, BOB);
    pair_wait(p, 120000000);
    CHECK_TRUE(pair_is_quiet(p));
    pair_end(p);
}

/* Who goes on by the ports that the record says tells nobody, unless an owner in between may have told them of its
 * own. */
static void test_unwritten_by_the_same_ports(void) {
    for (unsigned between = 0; between < 2; between++) {
        struct over_word o;
        struct pair *p = over_begin(&o, 2);
        uint64_t epoch = owner_epoch(p->e[0], o.bucket);
        pair_wait(p, 70000000);
        store_claim(p, 1, o.bucket, epoch);
        if (between)
            store_claim_from(p, p->number[1], 1, o.bucket, ++epoch);
        pair_bucket(p, 0, BUCKET_OWNER, o.bucket, p->number[1], epoch + 1);
        pair_bucket(p, 1, BUCKET_LOADING, o.bucket, 0, epoch + 1);
        pair_load(p, 1, o.bucket, SL("call"));
        pair_bucket(p, 1, BUCKET_MINE, o.bucket, 0, epoch + 1);
        pair_wait(p, 400000);
        CHECK_EQ(pair_calls(p, 1), 1);
        CHECK_EQ(metrics_get(engine_metrics(p->e[1]), M_reanchored), between ? 2 : 0);
        pair_end(p);
    }
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
    struct pair *p = over_begin(o, 2);
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
    pair_wait(p, 300000);
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
    struct pair *p = over_begin(&o, 2);
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

/* ---- of a transferor that is being told how its transfer ended ---- */

enum outcome { REFUSED, LEFT, DONE, OUTCOMES };

static bool was_told(const struct pair *p, enum rig_name who, const char *what) {
    return *rig_last(&p->r, who, what, NULL) != '\0';
}

/* It transfers the other party to CAROL, who does not want to; or leaves while the other party is asked; or does. */
static struct pair *begin_told(struct over_word *o, enum rig_name who, enum outcome how) {
    struct pair *p = over_begin(o, 2);
    struct rig_dialog c = { .cseq = 1 };
    rig_refer(&p->r, who == ALICE ? &o->a : &o->b, CAROL, NULL);
    rig_reply(&p->r, who, "NOTIFY", 200, "", NULL);
    rig_reply(&p->r, CAROL, "INVITE", how == REFUSED ? 603 : 200, rig_sdp("0", "sendonly", 43000), &c);
    if (how == LEFT)
        rig_request(&p->r, &c, "BYE", "", "");
    if (how == DONE)
        rig_reply(&p->r, who == ALICE ? BOB : ALICE, "INVITE", 200, rig_sdp("0", "recvonly", 40000), NULL);
    CHECK_TRUE(strstr(rig_last(&p->r, who, "NOTIFY", NULL), "terminated") != NULL);
    return p;
}

/* Meanwhile it hears that its call is over, or its leg alone: the other party is hung up on at once, if it was not to
 * stay, and who is being told when it has answered, also if it does not know of it. */
static void over_while_told(enum rig_name who, enum outcome how, bool alone, unsigned status) {
    struct over_word o;
    struct pair *p = begin_told(&o, who, how);
    enum rig_name other = who == ALICE ? BOB : ALICE;
    bool stays = alone && how == DONE;
    if (alone)
        snprintf(o.text + 16, 7, "ff%02x02", who == ALICE); /* the other's number, and CAROL's */
    o.ev.u.peer.bytes = slice_str(o.text);
    pair_step(p, 0, &o.ev);
    CHECK_EQ(was_told(p, other, "BYE"), !stays);
    CHECK_TRUE(!was_told(p, who, "BYE"));
    rig_reply(&p->r, who, "NOTIFY", status, "", NULL);
    pair_wait(p, how == DONE ? 10000000 : 0);
    CHECK_TRUE(was_told(p, who, "BYE"));
    rig_reply(&p->r, who, "BYE", status, "", NULL);
    CHECK_EQ(was_told(p, CAROL, "BYE"), how == DONE && !alone);
    pair_wait(p, 140000000); /* who stays is told of ports again, and does not answer */
    CHECK_TRUE(pair_is_quiet(p));
    pair_end(p);
}

static void test_over_while_told(void) {
    for (unsigned i = 0; i < 8 * OUTCOMES; i++)
        over_while_told(i & 1 ? ALICE : BOB, (enum outcome)(i / 8), i & 2, i & 4 ? 481 : 200);
}

int main(void) {
    return UNIT_RUN("over", UNIT(test_over), UNIT(test_over_while_loading), UNIT(test_over_while_suspended),
                    UNIT(test_over_and_there_again), UNIT(test_over_and_read_again), UNIT(test_written_again),
                    UNIT(test_claim_undone), UNIT(test_claim_undone_of_what_is_over),
                    UNIT(test_claim_undone_before_the_word), UNIT(test_claim_undone_and_refresh_due),
                    UNIT(test_claim_undone_and_offer_due), UNIT(test_refresh_without_word),
                    UNIT(test_unwritten), UNIT(test_unwritten_by_the_same_ports),
                    UNIT(test_hung_up_where_unknown), UNIT(test_not_hung_up), UNIT(test_word_of_one_taken_over),
                    UNIT(test_over_while_told));
}
