/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A call that has moved to another engine, and a server that was promoted and has seen nothing of it (move_left.h): who
 * had it is gone, and the next owner of its bucket reads the record of before. One of the two goes on with it.
 */
#include "tests/unit/pair_scene.h"

static struct engine_config config;

static char kept[2][1 << 14];

static struct buf *kept_buf(unsigned i, struct slice s) {
    struct buf *b = (struct buf *)(void *)kept[i];
    b->len = s.n;
    memcpy(b->data, s.p, s.n);
    return b;
}

static void submit(struct pair *p, struct store_op op) {
    store_submit(p->store, &op, rig_wall_ms(&p->r));
}

/* One record of the table in the bucket, kept. False: there is none. */
static bool keep(struct pair *p, uint16_t bucket, struct slice table) {
    struct event ev = { 0 };
    submit(p, (struct store_op){ .verb = STORE_LOAD, .ticket = 1, .bucket = bucket, .table = table });
    bool any = store_answer(p->store, &ev) && ev.u.store.more;
    if (any) {
        kept_buf(0, ev.u.store.key);
        kept_buf(1, ev.u.store.value);
    }
    for (bool more = any; more; more = ev.u.store.more)
        CHECK_TRUE(store_answer(p->store, &ev));
    return any;
}

static void change(struct pair *p, uint16_t bucket, struct slice table, enum store_verb verb) {
    struct store_op op = { .verb = verb, .bucket = bucket, .table = table };
    op.key = (struct buf *)(void *)kept[0];
    op.value = verb == STORE_PUT ? (struct buf *)(void *)kept[1] : NULL;
    submit(p, op);
}

static struct call *call_in(const struct engine *e, uint16_t bucket) {
    uint32_t cursor = 0;
    handle h;
    struct call *c;
    while ((c = pool_next(&e->calls, &cursor, &h)) && c->bucket != bucket)
        ;
    return c;
}

/* ALICE's call with BOB moves from the first to the second engine, where its transfer is refused. */
static void move(struct scene *s) {
    rig_refer(&s->p->r, &s->b, CAROL, &s->c);
    pair_wait(s->p, 100000);
    rig_reply(&s->p->r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&s->p->r, CAROL, "INVITE", 603, "", NULL);
    for (unsigned i = 0; i < 3; i++) {
        rig_reply(&s->p->r, BOB, "NOTIFY", 200, "", NULL);
        rig_reply(&s->p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
        rig_reply(&s->p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
        pair_wait(s->p, 300000);
    }
    pair_wait(s->p, 4000000);
    CHECK_EQ(pair_calls(s->p, 0), 0);
    CHECK_EQ(pair_calls(s->p, 1), 2);
}

/* It has moved, and the promoted server has what was there before, and the first engine nothing. */
static struct scene moved_unseen(uint16_t *bucket) {
    static char key[64], value[1 << 14];
    struct scene s = scene_at(&config, 0, 1);
    *bucket = (uint16_t)pair_hash(&config, s.a.call_id);
    CHECK_TRUE(keep(s.p, *bucket, SL("call")));
    struct slice k = buf_slice((struct buf *)(void *)kept[0]), v = buf_slice((struct buf *)(void *)kept[1]);
    memcpy(key, k.p, k.n);
    memcpy(value, v.p, v.n);
    move(&s);
    pair_bucket(s.p, 0, BUCKET_LOST, *bucket, 0, 0);
    pair_wait(s.p, 1000);
    while (keep(s.p, *bucket, SL("moved")))
        change(s.p, *bucket, SL("moved"), STORE_DELETE);
    kept_buf(0, slice_of(key, k.n));
    kept_buf(1, slice_of(value, v.n));
    change(s.p, *bucket, SL("call"), STORE_PUT);
    s.p->r.sent_n = 0;
    memset(s.p->r.sent, 0, sizeof s.p->r.sent);
    return s;
}

static void told_of_owner(struct pair *p, uint16_t bucket) {
    pair_bucket(p, 1, BUCKET_OWNER, bucket, PEER_NONE, 1);
    pair_bucket(p, 1, BUCKET_OWNER, bucket, p->number[0], 1);
    CHECK_EQ(p->kinds[PEER_LEFT], 1);
    pair_bucket(p, 1, BUCKET_OWNER, bucket, p->number[0], 1); /* whoever asked: who cannot send does */
    CHECK_EQ(p->kinds[PEER_LEFT], 1);
    pair_wait(p, 100000);
}

/* It is where it went, and found there by who has its old token only. */
static void ends_as_any(struct scene *s) {
    CHECK_EQ(pair_calls(s->p, 0), 0);
    CHECK_EQ(pair_calls(s->p, 1), 2);
    pair_entry(s->p, 0);
    pair_hang_up(s->p, &s->a, BOB);
    pair_hang_up(s->p, &s->c, CAROL);
    pair_wait(s->p, 120000000);
    CHECK_TRUE(pair_is_quiet(s->p));
    CHECK_EQ(store_count(s->p->store, SL("call"), rig_wall_ms(&s->p->r)), 0);
    CHECK_EQ(store_count(s->p->store, SL("moved"), rig_wall_ms(&s->p->r)), 0);
    pair_end(s->p);
}

/* Word of it comes first: it is not taken up. */
static void test_before_it_is_read(void) {
    uint16_t bucket;
    struct scene s = moved_unseen(&bucket);
    told_of_owner(s.p, bucket);
    s.p->sends = 0;
    pair_taken_over(s.p, 0, bucket);
    pair_wait(s.p, 1000000);
    CHECK_EQ(s.p->sends, 0);
    CHECK_TRUE(call_in(s.p->e[0], bucket) == NULL);
    ends_as_any(&s);
}

/* The first word was lost, and it is said again; but not for ever. */
static void test_said_again(void) {
    uint16_t bucket;
    struct scene s = moved_unseen(&bucket);
    s.p->lose = PEER_LEFT + 1;
    told_of_owner(s.p, bucket);
    s.p->lose = 0;
    pair_wait(s.p, 1500000);
    CHECK_TRUE(s.p->kinds[PEER_LEFT] > 1);
    pair_taken_over(s.p, 0, bucket);
    CHECK_TRUE(call_in(s.p->e[0], bucket) == NULL);
    pair_wait(s.p, 10000000);
    CHECK_EQ(s.p->kinds[PEER_LEFT], 4);
    ends_as_any(&s);
}

static unsigned long cseq_of(const char *msg) {
    const char *at = strstr(msg, "CSeq: ");
    return at ? strtoul(at + 6, NULL, 10) : 0;
}

static unsigned long version_of(const char *msg) {
    unsigned long v = 0;
    const char *o = strstr(msg, "\no=");
    return o && sscanf(o, "\no=%*s %*u %lu", &v) == 1 ? v : 0;
}

static void accept_again(struct scene *s) {
    for (unsigned i = 0; i < 2; i++) {
        rig_reply(&s->p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
        rig_reply(&s->p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
        pair_wait(s->p, 500000);
    }
}

/* It was gone on with meanwhile: it is forgotten, and its parties are told once more by who has it, above what they
 * were told here. */
static void test_behind(void) {
    uint16_t bucket;
    struct scene s = moved_unseen(&bucket);
    pair_taken_over(s.p, 0, bucket);
    pair_wait(s.p, 300000);
    CHECK_TRUE(call_in(s.p->e[0], bucket) != NULL);
    pair_entry(s.p, 0);
    rig_reply(&s.p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    rig_reply(&s.p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    pair_wait(s.p, 100000);
    unsigned long cseq = cseq_of(last_to(&s, ALICE, "ACK", NULL));
    unsigned long version = version_of(last_to(&s, ALICE, "INVITE", NULL));
    told_of_owner(s.p, bucket);
    CHECK_EQ(s.p->kinds[PEER_OVER], 1);
    CHECK_TRUE(cseq_of(last_to(&s, ALICE, "INVITE", NULL)) > cseq);
    CHECK_TRUE(version_of(last_to(&s, ALICE, "INVITE", NULL)) > version);
    accept_again(&s);
    ends_as_any(&s);
}

/* It is back so soon, under its number, that nobody has missed it: whose the bucket is has not changed, but that one
 * has claimed it anew, and gone on with the call. */
static void test_started_again(void) {
    uint16_t bucket;
    struct scene s = moved_unseen(&bucket);
    pair_taken_over(s.p, 0, bucket);
    pair_wait(s.p, 300000);
    CHECK_TRUE(call_in(s.p->e[0], bucket) != NULL);
    pair_bucket(s.p, 1, BUCKET_OWNER, bucket, s.p->number[0], 0); /* as it was when the call came */
    CHECK_EQ(s.p->kinds[PEER_LEFT], 0);
    for (unsigned i = 0; i < 2; i++) {
        pair_bucket(s.p, 1, BUCKET_OWNER, bucket, s.p->number[0], 1);
        CHECK_EQ(s.p->kinds[PEER_LEFT], 1);
    }
    CHECK_TRUE(call_in(s.p->e[0], bucket) == NULL);
    accept_again(&s);
    ends_as_any(&s);
}

/* It was gone on with, and one of them has hung up there. */
static void test_hung_up_there(void) {
    uint16_t bucket;
    struct scene s = moved_unseen(&bucket);
    pair_taken_over(s.p, 0, bucket);
    pair_wait(s.p, 300000);
    pair_entry(s.p, 0);
    rig_request(&s.p->r, &s.a, "BYE", "", "");
    CHECK_TRUE(*last_to(&s, ALICE, "SIP/2.0 200", "BYE") != '\0');
    CHECK_TRUE(call_in(s.p->e[0], bucket) != NULL); /* BOB has not answered */
    told_of_owner(s.p, bucket);
    CHECK_TRUE(call_in(s.p->e[0], bucket) == NULL);
    rig_reply(&s.p->r, BOB, "BYE", 200, "", NULL);
    pair_wait(s.p, 70000000);
    CHECK_EQ(pair_calls(s.p, 1), 1);
    pair_hang_up(s.p, &s.c, CAROL);
    pair_wait(s.p, 120000000);
    CHECK_TRUE(pair_is_quiet(s.p));
    CHECK_EQ(store_count(s.p->store, SL("call"), rig_wall_ms(&s.p->r)), 0);
    pair_end(s.p);
}

/* Word of another bucket's, of an older version than what was read, or that is none: the call stays. So does one that
 * was not read. */
static void test_no_word_of_it(void) {
    for (unsigned i = 0; i < 5; i++) {
        uint16_t bucket, at;
        char text[36];
        struct rig_dialog a, b;
        struct pair *p = pair_new(&config);
        pair_call_at(p, &a, &b, 0, ALICE, BOB);
        at = bucket = (uint16_t)pair_hash(&config, a.call_id);
        if (i != 3)
            pair_taken_over(p, 0, bucket);
        pair_wait(p, 300000);
        const struct call *c = call_in(p->e[0], bucket);
        CHECK_EQ(c->read_version != 0, i != 3);
        snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64 "%03x", c->id, c->read_version - (i == 1),
                 PAIR_SPLIT + 1u);
        at = i == 0 ? bucket + 1 : bucket;
        struct event ev = { .kind = EV_PEER, .u.peer = { .what = PEER_LEFT, .from = 2, .bucket = at } };
        ev.u.peer.bytes = slice_of(text, i == 2 ? 34 : 35);
        pair_step(p, 0, &ev);
        CHECK_EQ(pair_calls(p, 0), i != 4);
        pair_end(p);
    }
}

/* Who had it deletes its old record once more, of a bucket that the other one has by now: the call is not over. */
static void test_deleted_again(void) {
    struct scene s = scene_at(&config, 0, 1);
    uint16_t bucket = (uint16_t)pair_hash(&config, s.a.call_id);
    struct event down = { .kind = EV_STORE_DOWN }, up = { .kind = EV_STORE_UP };
    s.p->e[0]->cfg.durability = DURABILITY_ASYNC;
    move(&s);
    submit(s.p, (struct store_op){ .verb = STORE_CLAIM, .bucket = bucket, .node = 2, .former = 1, .epoch = 1 });
    pair_bucket(s.p, 1, BUCKET_MINE, bucket, 0, 2);
    pair_step(s.p, 0, &down);
    pair_step(s.p, 0, &up);
    pair_wait(s.p, 1000);
    CHECK_TRUE(metrics_get(engine_metrics(s.p->e[0]), M_calls_fenced) > 0);
    CHECK_EQ(s.p->kinds[PEER_OVER], 0);
    CHECK_EQ(pair_calls(s.p, 1), 2);
    pair_end(s.p);
}

/* It was known that it had left, and now a promoted server has its record again. Whose bucket that is by now deletes
 * it, if it is who the call has come to, or is told once more. */
static void test_there_again(void) {
    for (unsigned own = 0; own < 2; own++) {
        uint16_t bucket;
        struct scene s = moved_unseen(&bucket);
        struct event down = { .kind = EV_STORE_DOWN }, up = { .kind = EV_STORE_UP };
        s.p->e[1]->cfg.durability = DURABILITY_ASYNC;
        if (own)
            pair_bucket(s.p, 1, BUCKET_MINE, bucket, 0, 2);
        else
            pair_bucket(s.p, 1, BUCKET_OWNER, bucket, s.p->number[0], 1);
        pair_wait(s.p, 10000000);
        unsigned said = s.p->kinds[PEER_LEFT];
        CHECK_TRUE(keep(s.p, bucket, SL("call")));
        struct store_op claim = { .verb = STORE_CLAIM, .bucket = bucket, .node = 2 - !own, .former = 1, .epoch = 1 };
        submit(s.p, claim);
        pair_step(s.p, 1, &down);
        pair_step(s.p, 1, &up);
        pair_wait(s.p, 1000000);
        CHECK_EQ(keep(s.p, bucket, SL("call")), !own);
        CHECK_EQ(s.p->kinds[PEER_LEFT], said + !own);
        CHECK_EQ(pair_calls(s.p, 1), 2);
        pair_end(s.p);
    }
}

static void drop_all(struct pair *p, uint16_t bucket, struct slice table) {
    while (keep(p, bucket, table))
        change(p, bucket, table, STORE_DELETE);
}

/* What leads to the call is there, and it has gone on from there: as the bucket's next owner is told, or is not. */
static void test_gone_on_before_arrived(void) {
    for (unsigned told = 0; told < 2; told++) {
        char text[36];
        struct scene s = scene_at(&config, 0, 1);
        uint16_t from = (uint16_t)pair_hash(&config, s.a.call_id);
        uint16_t to = (uint16_t)pair_hash(&config, s.c.call_id);
        uint64_t id = call_in(s.p->e[0], from)->id;
        struct event ev = { .kind = EV_PEER, .u.peer = { .what = PEER_LEFT, .from = 2, .bucket = to } };
        s.p->keeps_records = true;
        move(&s);
        drop_all(s.p, from, SL("call"));
        drop_all(s.p, to, SL("call"));
        CHECK_TRUE(keep(s.p, to, SL("arriving")));
        pair_bucket(s.p, 1, BUCKET_LOST, to, 0, 0);
        s.p->keeps_records = false;
        snprintf(text, sizeof text, "%016" PRIx64 "%016x%03x", id, 0xffff, (to + 1u) % LIMIT_BUCKETS);
        ev.u.peer.bytes = slice_str(text);
        if (told)
            pair_step(s.p, 0, &ev);
        pair_taken_over(s.p, 0, to);
        pair_wait(s.p, 1000000);
        CHECK_EQ(pair_calls(s.p, 0), !told);
        pair_end(s.p);
    }
}

/* Its former bucket has gone to where it is, by a claim that the promoted server has not seen either, and is done anew:
 * the record of before goes, and nobody hears of it. */
static void test_claimed_where_it_is(void) {
    uint16_t bucket;
    struct scene s = moved_unseen(&bucket);
    struct event ev = { .kind = EV_BUCKET, .u.bucket = { .what = BUCKET_MINE, .bucket = bucket, .epoch = 3 } };
    struct store_op claim = { .verb = STORE_CLAIM, .bucket = bucket, .node = s.p->number[1] };
    s.p->linked = false;
    for (claim.epoch = 1; claim.epoch < 3; claim.epoch++) {
        claim.former = s.p->number[claim.epoch - 1];
        submit(s.p, claim);
    }
    pair_bucket(s.p, 1, BUCKET_LOADING, bucket, 0, 2);
    pair_bucket(s.p, 1, BUCKET_MINE, bucket, 0, 2);
    CHECK_TRUE(keep(s.p, bucket, SL("call")));
    s.p->sends = 0;
    ev.u.bucket.rewrite = true;
    pair_step(s.p, 1, &ev);
    CHECK_FALSE(keep(s.p, bucket, SL("call")));
    pair_wait(s.p, 1000000);
    CHECK_EQ(s.p->sends, 0);
    CHECK_EQ(pair_calls(s.p, 1), 2);
    pair_end(s.p);
}

int main(void) {
    return UNIT_RUN("calls that have left, and are read again", UNIT(test_before_it_is_read), UNIT(test_said_again),
                    UNIT(test_behind), UNIT(test_started_again), UNIT(test_hung_up_there), UNIT(test_no_word_of_it),
                    UNIT(test_deleted_again), UNIT(test_there_again), UNIT(test_gone_on_before_arrived),
                    UNIT(test_claimed_where_it_is));
}
