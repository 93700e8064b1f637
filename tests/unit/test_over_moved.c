/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Word that a call is over from which a leg has gone to another one (core/b2b/owner_over_moved.h): BOB asks CAROL and
 * has her talk with ALICE, in the call that is ALICE's. Who has BOB's consultation next, by the record of before, does
 * not hang up on her.
 */
#include "core/b2b/owner_over_moved.h"
#include "core/b2b/leg.h"
#include "tests/unit/over_rig.h"

static struct engine_config config;

struct joined {
    struct pair *p;
    struct rig_dialog a, b, c, d;
    uint16_t call, consult; /* buckets */
};

/* The last word of the consultation, as it was sent. */
static char said[256];
static uint32_t said_n;
static uint16_t said_of;

static void keep_word(struct rig *r, const struct out *o) {
    if (o->kind == OUT_PEER && o->u.peer.what == PEER_OVER && o->u.peer.bucket == said_of) {
        struct slice bytes = buf_slice(o->u.peer.buf);
        CHECK_TRUE(bytes.n <= OVER_LEN);
        said_n = bytes.n <= OVER_LEN ? bytes.n : 0;
        memcpy(said, bytes.p, said_n);
    }
    pair_on_out(r, o);
}

static struct joined begin(void) {
    struct joined j = { .p = pair_new(&config) };
    struct pair *p = j.p;
    for (unsigned i = 0; i < 2; i++) {
        p->e[i]->cfg.attended = ATTENDED_JOIN;
        p->e[i]->cfg.durability = DURABILITY_ASYNC;
    }
    pair_entry(p, 0);
    pair_call_at(p, &j.a, &j.b, 0, ALICE, BOB);
    pair_call_at(p, &j.c, &j.d, 0, BOB, CAROL);
    j.call = (uint16_t)pair_hash(&config, j.a.call_id);
    j.consult = (uint16_t)pair_hash(&config, j.c.call_id);
    CHECK_TRUE(j.call != j.consult);
    p->r.on_out = keep_word;
    said_of = j.consult;
    said_n = 0;
    return j;
}

/* CAROL is asked, and says yes; the consultation ends with the BYE that BOB gets in it. */
static void join(struct joined *j, bool stored, bool answered) {
    struct pair *p = j->p;
    rig_refer(&p->r, &j->b, CAROL, &j->c);
    rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
    p->takes_none = p->keeps_records = !stored;
    rig_reply(&p->r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), NULL);
    rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
    if (answered)
        rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
    pair_wait(p, 100000);
    CHECK_EQ(metrics_get(engine_metrics(p->e[0]), M_transfers_done), 1);
    CHECK_EQ(pair_calls(p, 0), answered ? 1 : 2);
}

static void read_by_other(struct pair *p, uint16_t bucket) {
    pair_bucket(p, 1, BUCKET_LOADING, bucket, 0, 2);
    pair_load(p, 1, bucket, SL("moved"));
    pair_load(p, 1, bucket, SL("call"));
    pair_bucket(p, 1, BUCKET_MINE, bucket, 0, 2);
}

/* CAROL's at the second engine, by the record of the consultation; NULL: she is not there. */
static const struct leg *carols(const struct joined *j) {
    const struct leg *l = leg_find(j->p->e[1], slice_str(j->d.call_id), slice_str(j->d.remote_tag),
                                   slice_str(j->d.local_tag));
    return l && leg_call(j->p->e[1], l)->bucket == j->consult ? l : NULL;
}

static void hear(struct pair *p, uint16_t bucket) {
    struct event ev = { .kind = EV_PEER, .u.peer = { .what = PEER_OVER, .from = 1, .bucket = bucket } };
    ev.u.peer.bytes = slice_of(said, said_n);
    pair_step(p, 1, &ev);
}

/* ---- of the call that she is in nothing was stored ---- */

enum after { LIVES, HANGS_UP, AFTERS };

/* All goes to the second engine while the first one can store nothing: it goes on with the transfer itself, by the
 * records of before, and CAROL is a party of that, unless she has hung up in the call that she was in. */
static void over_unstored(enum after how) {
    struct joined j = begin();
    struct pair *p = j.p;
    join(&j, false, true);
    if (how == HANGS_UP) {
        rig_request(&p->r, &j.d, "BYE", "", "");
        CHECK_TRUE(*rig_last(&p->r, CAROL, "SIP/2.0 200", "BYE") != '\0');
    }
    p->linked = false;
    store_claim(p, 1, j.consult, 1);
    store_claim(p, 1, j.call, 1);
    read_by_other(p, j.consult);
    read_by_other(p, j.call);
    CHECK_EQ(pair_calls(p, 1), 2);
    CHECK_TRUE(leg_is_up(carols(&j)));
    p->takes_none = p->keeps_records = false;
    pair_bucket(p, 0, BUCKET_OWNER, j.call, p->number[1], 2);
    pair_bucket(p, 0, BUCKET_OWNER, j.consult, p->number[1], 2);
    pair_wait(p, 3000000); /* the end of its record is tried once more, and refused */
    CHECK_EQ(pair_calls(p, 0), 0);
    const char *tail = said + said_n - OVER_MOVED_LEN - 1;
    CHECK_TRUE(said_n > OVER_MOVED_LEN);
    CHECK_EQ(*tail == '>' && tail[2] == (char)0xff && tail[3] == (char)0xff, how == LIVES);
    p->r.sent_n = 0;
    hear(p, j.consult);
    CHECK_EQ(leg_is_up(carols(&j)), how == LIVES);
    CHECK_EQ(*rig_last(&p->r, CAROL, "BYE", NULL) != '\0', how != LIVES);
    CHECK_TRUE(*rig_last(&p->r, BOB, "BYE", NULL) != '\0');
    pair_end(p);
}

static void test_over_unstored(void) {
    for (unsigned i = 0; i < AFTERS; i++)
        over_unstored((enum after)i);
}

/* ---- it was stored, and the first engine has it ---- */

/* A promoted server has not seen the end of the consultation, nor whose it is: the second engine has it by the record
 * of before. */
static struct joined begin_promoted(bool answered) {
    struct joined j = begin();
    struct pair *p = j.p;
    CHECK_TRUE(keep_record(p, j.consult, false));
    join(&j, true, answered);
    p->linked = false;
    store_claim(p, 1, j.consult, 1);
    CHECK_TRUE(keep_record(p, j.consult, true));
    read_by_other(p, j.consult);
    pair_entry(p, 1);
    rig_request(&p->r, &j.c, "ACK", "", ""); /* the record is of before */
    CHECK_TRUE(leg_is_up(carols(&j)));
    if (answered) {
        pair_step(p, 0, &(struct event){ .kind = EV_STORE_DOWN });
        pair_step(p, 0, &(struct event){ .kind = EV_STORE_UP });
    }
    pair_bucket(p, 0, BUCKET_OWNER, j.consult, p->number[1], 1);
    pair_step(p, 0, &(struct event){ .kind = EV_DEADLINE });
    pair_wait(p, 3000000);
    CHECK_TRUE(said_n > 0);
    p->r.sent_n = 0;
    return j;
}

/* She is not the second engine's, which hears nothing of her and sends her nothing; what she says goes to the first. */
static void over_stored(bool answered) {
    struct joined j = begin_promoted(answered);
    struct pair *p = j.p;
    hear(p, j.consult);
    CHECK_TRUE(!carols(&j));
    CHECK_TRUE(!leg_ended_lately(p->e[1], slice_str(j.d.call_id), slice_str(j.d.remote_tag), slice_str(j.d.local_tag)));
    CHECK_TRUE(*rig_last(&p->r, CAROL, "BYE", NULL) == '\0');
    CHECK_TRUE(*rig_last(&p->r, BOB, "BYE", NULL) != '\0');
    CHECK_EQ(pair_calls(p, 0), 1);
    p->linked = true;
    pair_entry(p, 1);
    rig_request(&p->r, &j.d, "BYE", "", "");
    CHECK_TRUE(*rig_last(&p->r, CAROL, "SIP/2.0 200", "BYE") != '\0');
    CHECK_TRUE(*rig_last(&p->r, ALICE, "BYE", NULL) != '\0');
    rig_reply(&p->r, ALICE, "BYE", 200, "", NULL);
    rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
    pair_wait(p, 140000000);
    CHECK_TRUE(pair_is_quiet(p));
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
    pair_end(p);
}

static void test_over_stored(void) {
    over_stored(true);
    over_stored(false);
}

/* Of her the second engine says the same to who has the consultation next: she is in the call that she was said to be
 * in. */
static void test_said_on(void) {
    struct joined j = begin_promoted(false);
    struct pair *p = j.p;
    struct slice was;
    char text[sizeof said];
    hear(p, j.consult);
    was = slice_of(text, OVER_MOVED_LEN + 1);
    memcpy(text, said + said_n - was.n, was.n);
    CHECK_EQ(text[0], '>');
    said_n = 0;
    pair_bucket(p, 1, BUCKET_OWNER, j.consult, p->number[0], 1);
    pair_step(p, 1, &(struct event){ .kind = EV_DEADLINE });
    CHECK_TRUE(said_n > was.n && slice_eq(slice_of(said + said_n - was.n, was.n), was));
    pair_end(p);
}

/* The first engine has read the consultation once more, by the record of before: she was found in both, and is in the
 * one that she went to. */
static void test_read_again(void) {
    struct joined j = begin();
    struct pair *p = j.p;
    CHECK_TRUE(keep_record(p, j.consult, false));
    join(&j, true, true);
    CHECK_TRUE(keep_record(p, j.consult, true));
    p->takes_none = true;
    p->linked = false;
    pair_bucket(p, 0, BUCKET_LOST, j.consult, 0, 0);
    pair_bucket(p, 0, BUCKET_LOADING, j.consult, 0, 2);
    pair_load(p, 0, j.consult, SL("call"));
    pair_bucket(p, 0, BUCKET_MINE, j.consult, 0, 2);
    CHECK_EQ(pair_calls(p, 0), 2);
    pair_bucket(p, 0, BUCKET_OWNER, j.consult, p->number[1], 3);
    pair_step(p, 0, &(struct event){ .kind = EV_DEADLINE });
    CHECK_EQ(pair_calls(p, 0), 1);
    const char *tail = said + said_n - OVER_MOVED_LEN - 1;
    CHECK_TRUE(said_n > OVER_MOVED_LEN && *tail == '>' && (uint8_t)tail[3] == (j.call & 0xff));
    pair_end(p);
}

/* What is another dialog there stays; and so does she where the call is that she is in, or no record has her. */
static void stays(bool other, bool nowhere) {
    struct joined j = begin_promoted(false);
    struct pair *p = j.p;
    char *tail = said + said_n - OVER_MOVED_LEN - 1;
    tail[-1] ^= 0x55; /* BOB, who is the first of two, has called anew: else she would have lost him */
    if (other)
        tail[-3] ^= 0x55;
    if (nowhere)
        tail[2] = tail[3] = (char)0xff;
    if (!other && !nowhere)
        pair_bucket(p, 1, BUCKET_LOADING, j.call, 0, 2);
    hear(p, j.consult);
    CHECK_TRUE(leg_is_up(carols(&j)));
    pair_end(p);
}

static void test_stays(void) {
    stays(true, false);
    stays(false, true);
    stays(false, false);
}

/* The second engine has had the consultation since before, and no record has her: she is told again, above what she was
 * told in the call that she was in. */
static void test_undone(void) {
    struct joined j = begin_promoted(false);
    struct pair *p = j.p;
    char *tail = said + said_n - OVER_MOVED_LEN - 1, *epoch = memchr(said, '@', said_n);
    CHECK_TRUE(epoch != NULL && *tail == '>');
    if (epoch)
        memset(epoch + 1, 'f', 16);
    tail[-1] ^= 0x55; /* BOB stays */
    tail[2] = tail[3] = (char)0xff;
    tail[OVER_MOVED_LEN - 1] = 77; /* 77 * 256 */
    hear(p, j.consult);
    pair_wait(p, 300000);
    CHECK_EQ(told_of(p, CAROL).version, 77 * 256 + 1);
    pair_end(p);
}

/* ---- room ---- */

static struct call *consultation(const struct joined *j) {
    struct engine *e = j->p->e[0];
    const struct leg *l = leg_find(e, slice_str(j->c.call_id), slice_str(j->c.remote_tag), slice_str(j->c.local_tag));
    CHECK_TRUE(l != NULL);
    return l ? leg_call(e, l) : NULL;
}

/* A call whose legs are all there keeps nothing of any, and one that has lost some does until it is freed. */
static void test_kept(void) {
    struct joined j = begin();
    struct pair *p = j.p;
    const struct pool *pool = &p->e[0]->over.kept;
    CHECK_EQ(pair_calls(p, 0), 2);
    CHECK_EQ(pool->used, 0);
    join(&j, true, false);
    CHECK_TRUE(consultation(&j)->over != 0);
    CHECK_EQ(pool->used, 1);
    rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
    CHECK_EQ(pair_calls(p, 0), 1);
    CHECK_EQ(pool->used, 0);
    rig_request(&p->r, &j.b, "BYE", "", "");
    CHECK_EQ(pair_calls(p, 0), 1);
    CHECK_EQ(pool->used, 1);
    pair_bucket(p, 0, BUCKET_LOST, j.call, 0, 0);
    pair_bucket(p, 0, BUCKET_OWNER, j.call, p->number[1], 3);
    pair_step(p, 0, &(struct event){ .kind = EV_DEADLINE });
    CHECK_EQ(pair_calls(p, 0), 0);
    CHECK_EQ(pool->used, 0);
    pair_end(p);
}

/* With no room for it the word tells of no dialog, and of no leg that it is in another call. */
static void test_no_room(void) {
    static const char unknown[] = { '#', 0, 0, 0, 0 }; /* BOB's and hers */
    struct joined j = begin();
    struct pair *p = j.p;
    uint32_t calls = 0;
    for (handle h; pool_alloc(&p->e[0]->over.kept, &h);)
        calls++;
    CHECK_EQ(calls, p->e[0]->calls.count);
    join(&j, false, true);
    store_claim(p, 1, j.consult, 1);
    p->takes_none = p->keeps_records = false;
    pair_bucket(p, 0, BUCKET_OWNER, j.consult, p->number[1], 2);
    pair_wait(p, 3000000);
    CHECK_TRUE(said_n > sizeof unknown && memcmp(said + said_n - sizeof unknown, unknown, sizeof unknown) == 0);
    pair_end(p);
}

/* Of what is kept of calls that are over the oldest makes room: of its legs none is known to be in another call. */
static void test_oldest_goes(void) {
    struct joined j = begin();
    struct pair *p = j.p;
    const struct pool *pool = &p->e[0]->over.moved_legs;
    CHECK_EQ(owner_over_legs(p->e[0], consultation(&j)).moved, HANDLE_NONE);
    join(&j, true, false);
    const struct call *c = consultation(&j);
    struct over_legs first = owner_over_legs(p->e[0], c), second = owner_over_legs(p->e[0], c), last = second;
    CHECK_TRUE(pool->count > 2);
    for (uint32_t i = 2; i <= pool->count; i++) {
        CHECK_TRUE(pool_get(pool, first.moved) != NULL);
        last = owner_over_legs(p->e[0], c);
    }
    CHECK_TRUE(pool_get(pool, first.moved) == NULL);
    CHECK_TRUE(pool_get(pool, second.moved) != NULL && pool_get(pool, last.moved) != NULL);
    CHECK_EQ(pool->used, pool->count);
    (void)owner_over_legs(p->e[0], c);
    CHECK_TRUE(pool_get(pool, second.moved) == NULL && pool_get(pool, last.moved) != NULL);
    pair_end(p);
}

static void test_mask(void) {
    for (unsigned dialog = 1; dialog <= UINT16_MAX; dialog++) {
        uint16_t masked = over_moved_mask((uint16_t)dialog);
        if (!masked || masked == dialog || over_moved_unmask(masked) != dialog)
            CHECK_EQ(masked, dialog);
    }
    CHECK_EQ(over_moved_unmask(0), 0);
}

int main(void) {
    return UNIT_RUN("over, and moved", UNIT(test_over_unstored), UNIT(test_over_stored), UNIT(test_said_on),
                    UNIT(test_read_again), UNIT(test_stays), UNIT(test_undone), UNIT(test_kept), UNIT(test_no_room),
                    UNIT(test_oldest_goes), UNIT(test_mask));
}
