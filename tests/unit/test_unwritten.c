/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Owners who have written nothing: each goes on above what those before it may have used, as far as the store says how
 * many there were.
 */
#include "tests/unit/over_rig.h"
#include "tests/unit/pair_scene.h"

static struct engine_config config;

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
    struct pair *p = over_begin(&o, &config, 2);
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

/* One of them could count its attempt, but nothing else. */
static void test_unwritten_but_for_the_attempt(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    struct told before[2], now[2];
    p->e[0]->cfg.durability = DURABILITY_CONFIRMED;
    pair_wait(p, 70000000);
    for (unsigned n = 0; n < 3; n++) {
        p->takes_none = n == 0;
        p->takes_first = 1;
        next_owner(&o, now);
        CHECK_EQ(p->takes_first, n > 0);
        for (unsigned i = 0; i < 2; i++) {
            CHECK_TRUE(n == 0 || now[i].cseq >= before[i].cseq + RECORD_CSEQ_GAP);
            CHECK_TRUE(n == 0 || now[i].version == before[i].version + (n == 1 ? RECORD_VERSION_GAP : 1));
            before[i] = now[i];
        }
        pair_wait(p, 70000000);
    }
    pair_end(p);
}

/* Who goes on by the ports that the record says tells nobody, unless an owner in between may have told them of its
 * own. */
static void test_unwritten_by_the_same_ports(void) {
    for (unsigned between = 0; between < 2; between++) {
        struct over_word o;
        struct pair *p = over_begin(&o, &config, 2);
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

/* The second engine is to read the bucket, by a claim that the store grants from `former` if that is not 0. */
static void begin_reading(const struct over_word *o, uint32_t former, uint64_t epoch, uint64_t since) {
    struct event ev = { .kind = EV_BUCKET };
    ev.u.bucket.what = BUCKET_LOADING;
    ev.u.bucket.bucket = o->bucket;
    ev.u.bucket.epoch = epoch;
    ev.u.bucket.since = since;
    if (former)
        store_claim_from(o->p, former, 1, o->bucket, epoch - 1);
    pair_step(o->p, 1, &ev);
}

/* What BOB is told by who has read the bucket, in more than what he was told `before`. */
static struct told told_more(const struct over_word *o, const struct told *before) {
    struct pair *p = o->p;
    pair_wait(p, 400000);
    struct told now = told_of(p, BOB);
    CHECK_EQ(pair_calls(p, 1), 1);
    CHECK_TRUE(now.version > before->version && now.cseq > before->cseq);
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    return now;
}

static struct told read_and_told(const struct over_word *o, const struct told *before) {
    pair_load(o->p, 1, o->bucket, SL("call"));
    return told_more(o, before);
}

static struct pair *reading_begin(struct over_word *o, struct told *before) {
    struct pair *p = over_begin(o, &config, 2);
    pair_wait(p, 70000000);
    *before = told_of(p, BOB);
    p->e[1]->cfg.media_addr = rig_addr(201, 0);
    p->lose = PEER_OVER + 1;
    pair_bucket(p, 0, BUCKET_LOST, o->bucket, p->number[1], 2);
    return p;
}

/* Claims of its own, one after the other, before it has read anything are one owner's; not so those of others before
 * that. `others`: so many. */
static void claimed_in_a_row(unsigned others) {
    struct over_word o;
    struct told before, now;
    struct pair *p = reading_begin(&o, &before);
    uint64_t since = 2 + others;
    for (unsigned i = 0; i < others; i++)
        store_claim_from(p, p->number[0], 0, o.bucket, 1 + i);
    begin_reading(&o, p->number[0], since, since);
    begin_reading(&o, p->number[1], since + 1, since);
    begin_reading(&o, p->number[1], since + 2, since);
    now = read_and_told(&o, &before);
    CHECK_EQ(now.version, before.version + 1 + others * RECORD_VERSION_GAP);
    CHECK_TRUE(now.cseq < before.cseq + (2 + others) * RECORD_CSEQ_GAP);
    /* What is here already is not read again. */
    begin_reading(&o, p->number[1], since + 3, since);
    pair_load(p, 1, o.bucket, SL("call"));
    pair_bucket(p, 1, BUCKET_MINE, o.bucket, 0, since + 3);
    pair_wait(p, 1000000);
    CHECK_EQ(told_of(p, BOB).cseq, now.cseq);
    CHECK_EQ(pair_calls(p, 1), 1);
    pair_end(p);
}

static void test_claimed_in_a_row(void) {
    for (unsigned others = 0; others < 3; others++)
        claimed_in_a_row(others);
}

/* The bucket is claimed once more, at a server that has seen none of the claims, and was all the time held. */
static void reclaim_and_reread(const struct over_word *o) {
    struct event ev = { .kind = EV_BUCKET };
    ev.u.bucket.what = BUCKET_MINE;
    ev.u.bucket.bucket = o->bucket;
    ev.u.bucket.epoch = 3;
    ev.u.bucket.rewrite = true;
    store_claim(o->p, 1, o->bucket, 1);
    store_claim_from(o->p, o->p->number[1], 1, o->bucket, 2);
    pair_step(o->p, 1, &ev);
}

/* It went on with the call by the first of the claims, could write nothing of it, and took it for another's then, since
 * a promoted server had not seen that claim: by the next one it reads what is older than what BOB was told. `mine`: all
 * had been read before that. */
static void forgotten(bool mine) {
    struct over_word o;
    struct told before;
    struct pair *p = reading_begin(&o, &before);
    p->takes_none = true;
    begin_reading(&o, 0, 2, 2);
    before = read_and_told(&o, &before);
    if (mine)
        pair_bucket(p, 1, BUCKET_MINE, o.bucket, 0, 2);
    p->takes_none = false;
    pair_wait(p, 4000000);
    CHECK_EQ(pair_calls(p, 1), 0);
    if (mine) {
        reclaim_and_reread(&o);
        (void)told_more(&o, &before);
    } else {
        begin_reading(&o, p->number[0], 2, 2);
        begin_reading(&o, p->number[1], 3, 2);
        (void)read_and_told(&o, &before);
    }
    pair_end(p);
}

static void test_claimed_in_a_row_and_forgotten(void) {
    forgotten(false);
    forgotten(true);
}

/* The first engine has only counted an attempt, and an older release behind it has kept what says so in its own record:
 * nobody is missing. */
static void test_attempt_kept_by_older_reader(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    struct told before = told_of(p, BOB);
    struct store_op put = { .verb = STORE_PUT, .bucket = o.bucket, .table = SL("call"), .node = p->number[0] };
    p->e[0]->cfg.durability = DURABILITY_CONFIRMED;
    pair_wait(p, 70000000);
    p->takes_none = true;
    p->takes_first = 1;
    pair_taken_over(p, 0, o.bucket);
    p->takes_none = false;
    CHECK_TRUE(keep_record(p, o.bucket, false));
    put.epoch = owner_epoch(p->e[0], o.bucket) + 1;
    put.key = (struct buf *)(void *)kept[0];
    put.value = (struct buf *)(void *)kept[1];
    p->lose = PEER_OVER + 1;
    pair_bucket(p, 0, BUCKET_LOST, o.bucket, 0, 0);
    store_claim_from(p, p->number[0], 0, o.bucket, put.epoch - 1);
    store_submit(p->store, &put, rig_wall_ms(&p->r));
    begin_reading(&o, p->number[0], put.epoch + 1, put.epoch + 1);
    CHECK_EQ(read_and_told(&o, &before).version, before.version + 1);
    pair_end(p);
}

/* What ALICE was told last; she agrees, and so do the others, in either call. */
static struct told all_told(struct pair *p) {
    for (unsigned i = 0; i < 4; i++) {
        rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
        rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
        rig_reply(&p->r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), NULL);
        pair_wait(p, 300000);
    }
    return told_of(p, ALICE);
}

/* A call has moved for its transfer, and who has it now goes before the store has taken anything of it: the next one,
 * which has it as it left, tells ALICE of its ports by what is later than what she heard. Behind one who could write,
 * by the next version. */
static void test_unwritten_behind_move(void) {
    struct scene s = scene_at(&config, 0, 0);
    unsigned bucket = pair_hash(&config, s.c.call_id);
    struct told before, now;
    s.p->takes_none = true;
    s.p->e[1]->cfg.media_addr = rig_addr(200, 0);
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 50000);
    s.p->keeps_records = true; /* ... and it does not forget as what the call came */
    CHECK_EQ(pair_calls(s.p, 1), 2);
    rig_reply(&s.p->r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&s.p->r, CAROL, "INVITE", 603, "", NULL);
    before = all_told(s.p);
    CHECK_EQ(before.host, 200);
    for (unsigned n = 0; n < 3; n++) {
        s.p->takes_none = s.p->keeps_records = n < 1;
        s.p->e[1]->cfg.media_addr = rig_addr(201 + n, 0);
        pair_taken_over(s.p, 1, bucket);
        pair_wait(s.p, 400000);
        CHECK_EQ(pair_calls(s.p, 1), 2);
        now = all_told(s.p);
        CHECK_EQ(now.host, 201 + n);
        CHECK_TRUE(now.cseq >= before.cseq + RECORD_CSEQ_GAP);
        CHECK_TRUE(n == 2 ? now.version == before.version + 1 : now.version > before.version);
        before = now;
        pair_wait(s.p, n ? 70000000 : 100000);
    }
    pair_hang_up(s.p, &s.a, BOB);
    pair_hang_up(s.p, &s.c, CAROL);
    pair_wait(s.p, 120000000);
    CHECK_TRUE(pair_is_quiet(s.p));
    pair_end(s.p);
}

int main(void) {
    return UNIT_RUN("unwritten", UNIT(test_unwritten), UNIT(test_unwritten_by_the_same_ports),
                    UNIT(test_unwritten_but_for_the_attempt), UNIT(test_attempt_kept_by_older_reader),
                    UNIT(test_claimed_in_a_row), UNIT(test_claimed_in_a_row_and_forgotten),
                    UNIT(test_unwritten_behind_move));
}
