/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Stubs of a leg that has moved more than once, all of whose buckets one engine has: each is followed from its own
 * bucket, and is written and deleted by itself.
 */
#include "core/b2b/call.h"
#include "core/b2b/moved.h"
#include "tests/unit/pair_calls.h"

static struct engine_config config;

/* Buckets of the first engine; HOME is that of the leg's token. */
enum { HOME, SECOND, THIRD, LAST, PLACES };

struct scene {
    struct pair *p;
    struct engine *e;
    struct rig_dialog a, b;
    struct leg *leg;
    struct call *call;
    uint16_t at[PLACES];
};

static struct scene scene_new(void) {
    struct scene s = { .p = pair_new(&config) };
    struct token t;
    pair_entry(s.p, 0);
    pair_call_at(s.p, &s.a, &s.b, 0, ALICE, BOB);
    s.e = s.p->e[0];
    uint32_t cursor = 0;
    handle h;
    s.call = pool_next(&s.e->calls, &cursor, &h);
    s.leg = leg_get(s.e, s.call->legs[0]);
    CHECK_TRUE(token_parse(leg_str(s.leg, DLG_LOCAL_TAG), &t));
    for (unsigned i = 0; i < PLACES; i++)
        s.at[i] = (uint16_t)((t.bucket + 7 * i) % PAIR_SPLIT);
    s.e->out = &s.p->r.out;
    return s;
}

/* Outside of a step: what it wrote reaches the store. */
static void settle(struct scene *s) {
    struct event ev;
    s->p->r.e = s->e;
    rig_empty(&s->p->r);
    while (store_answer(s->p->store, &ev))
        moved_on_store(s->e, &ev);
}

static void scene_end(struct scene *s) {
    settle(s);
    s->e->out = NULL;
    pair_end(s->p);
}

static unsigned stored(struct scene *s) {
    settle(s);
    return store_count(s->p->store, SL("moved"), rig_wall_ms(&s->p->r));
}

static bool is_stored(struct scene *s, unsigned place) {
    struct store_op op = { .verb = STORE_LOAD, .ticket = 1, .bucket = s->at[place], .table = SL("moved") };
    struct event ev = { 0 };
    bool any = false;
    settle(s);
    store_submit(s->p->store, &op, rig_wall_ms(&s->p->r));
    while (store_answer(s->p->store, &ev))
        any = any || ev.u.store.more;
    return any;
}

static void go(struct scene *s, unsigned from, unsigned to) {
    CHECK_TRUE(moved_put_leg(s->e, s->leg, s->at[from], s->at[to], s->call->id));
}

/* The place where what comes for the leg goes on from there; PLACES: it stays. */
static unsigned where(const struct scene *s, unsigned from) {
    struct steer x = { .by = STEER_TAG };
    struct sip_msg none = { 0 };
    CHECK_TRUE(steer_token(&s->e->owners.steering, leg_str(s->leg, DLG_LOCAL_TAG), &x.token));
    uint16_t to = moved_to(s->e, s->at[from], &x, &none);
    unsigned i = 0;
    while (i < PLACES && s->at[i] != to)
        i++;
    return i;
}

static void test_in_a_row(void) {
    struct scene s = scene_new();
    go(&s, HOME, SECOND);
    go(&s, SECOND, THIRD);
    go(&s, THIRD, LAST);
    CHECK_EQ(stored(&s), 3);
    for (unsigned from = HOME; from < LAST; from++)
        CHECK_EQ(where(&s, from), LAST);
    CHECK_EQ(where(&s, LAST), PLACES);
    moved_on_ended(s.e, leg_str(s.leg, DLG_LOCAL_TAG));
    CHECK_EQ(stored(&s), 0);
    CHECK_EQ(s.e->moved.stubs.used, 0);
    scene_end(&s);
}

/* To where it was on its way: who knows only its first bucket still finds it. */
static void test_back_on_its_way(void) {
    struct scene s = scene_new();
    go(&s, HOME, SECOND);
    go(&s, SECOND, THIRD);
    moved_arrived(s.e, s.leg, s.at[SECOND]);
    CHECK_EQ(stored(&s), 1);
    CHECK_TRUE(is_stored(&s, HOME));
    CHECK_EQ(where(&s, HOME), SECOND);
    moved_on_ended(s.e, leg_str(s.leg, DLG_LOCAL_TAG));
    CHECK_EQ(stored(&s), 0);
    scene_end(&s);
}

/* In whatever order they are read by who takes the buckets over. */
static void test_read_in_any_order(void) {
    static const uint8_t orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    for (unsigned o = 0; o < sizeof orders / sizeof orders[0]; o++) {
        struct scene s = scene_new();
        for (unsigned i = 0; i < 3; i++) {
            char text[32];
            struct sbuf v = sbuf_on(text, sizeof text);
            unsigned from = orders[o][i];
            sbuf_hex(&v, s.at[from + 1], LIMIT_BUCKET_DIGITS);
            sbuf_hex(&v, s.call->id, 16);
            moved_on_record(s.e, s.at[from], leg_str(s.leg, DLG_LOCAL_TAG), sbuf_slice(&v));
        }
        for (unsigned from = HOME; from < LAST; from++)
            CHECK_EQ(where(&s, from), LAST);
        scene_end(&s);
    }
}

/* A move that came to nothing takes its own stub back, and none of those before it. */
static void test_taken_back(void) {
    struct scene s = scene_new();
    go(&s, HOME, SECOND);
    go(&s, SECOND, THIRD);
    go(&s, THIRD, LAST);
    handle held = moved_hold(s.e, s.leg, s.at[THIRD], s.e->now + 1000000);
    struct steer x = { .by = STEER_TAG };
    struct sip_msg none = { 0 };
    CHECK_TRUE(steer_token(&s.e->owners.steering, leg_str(s.leg, DLG_LOCAL_TAG), &x.token));
    CHECK_EQ(moved_to(s.e, s.at[HOME], &x, &none), MOVED_HELD);
    moved_take_back(s.e, held);
    CHECK_EQ(stored(&s), 2);
    CHECK_EQ(where(&s, HOME), THIRD);
    CHECK_EQ(where(&s, THIRD), PLACES);
    scene_end(&s);
}

/* The bucket between is lost: its new owner is not needed on the way. */
static void test_lost_between(void) {
    struct scene s = scene_new();
    go(&s, HOME, SECOND);
    go(&s, SECOND, THIRD);
    s.e->owners.of[s.at[SECOND]] = 2;
    moved_forget_lost(s.e);
    CHECK_EQ(s.e->moved.stubs.used, 1);
    CHECK_EQ(where(&s, HOME), THIRD);
    scene_end(&s);
}

/* Its owner has died, and the record of its call is read. By a stub of that call, the call has gone, and the record is
 * what was left of it. But one leg that was joined into another call takes nothing else along. */
static void test_whose_stub(void) {
    for (unsigned joined = 0; joined < 2; joined++) {
        struct scene s = scene_new();
        CHECK_TRUE(moved_put_leg(s.e, s.leg, s.at[HOME], PAIR_SPLIT, s.call->id + joined));
        settle(&s);
        s.e->out = NULL;
        pair_taken_over(s.p, 0, s.at[HOME]);
        CHECK_EQ(pair_calls(s.p, 0), joined);
        CHECK_EQ(store_count(s.p->store, SL("call"), rig_wall_ms(&s.p->r)), joined);
        CHECK_EQ(store_count(s.p->store, SL("moved"), rig_wall_ms(&s.p->r)), joined ? 1 : 2);
        pair_end(s.p);
    }
}

/* The call is here, in another bucket, when a record of it is read: its owner died between the two. */
static void test_record_left_behind(void) {
    struct scene s = scene_new();
    settle(&s);
    s.e->out = NULL;
    s.call->bucket = s.at[SECOND];
    pair_taken_over(s.p, 0, s.at[HOME]);
    CHECK_EQ(pair_calls(s.p, 0), 1);
    s.e->out = &s.p->r.out;
    CHECK_EQ(where(&s, HOME), SECOND);
    CHECK_EQ(stored(&s), 2);
    CHECK_EQ(store_count(s.p->store, SL("call"), rig_wall_ms(&s.p->r)), 0);
    scene_end(&s);
}

static void put_call(struct scene *s, uint16_t bucket, uint64_t id) {
    struct store_op op = { .verb = STORE_PUT, .bucket = bucket, .table = SL("call") };
    char text[16];
    struct sbuf b = sbuf_on(text, sizeof text);
    sbuf_hex(&b, id, sizeof text);
    op.key = op.value = buf_copy(&s->e->bufs, sbuf_slice(&b));
    store_submit(s->p->store, &op, rig_wall_ms(&s->p->r));
    buf_unref(&s->e->bufs, &op.key);
}

/* Nobody says when the leg has ended: the call is looked for where the stub leads, and without it the stub goes. */
static void test_looked_for(void) {
    for (unsigned lives = 0; lives < 2; lives++) {
        struct scene s = scene_new();
        CHECK_TRUE(moved_put_leg(s.e, s.leg, s.at[HOME], PAIR_SPLIT, s.call->id + 1));
        if (lives)
            put_call(&s, PAIR_SPLIT, s.call->id + 1);
        settle(&s);
        s.e->out = NULL;
        pair_wait(s.p, 2 * MOVED_LOOK_US);
        CHECK_EQ(store_count(s.p->store, SL("moved"), rig_wall_ms(&s.p->r)), lives);
        CHECK_EQ(s.e->moved.stubs.used, lives);
        pair_end(s.p);
    }
}

/* ---- the call that a stub names is over, and its leg lives in another one ---- */

static void leave(struct scene *s, unsigned from, unsigned to, uint64_t call) {
    CHECK_TRUE(moved_put_leg(s->e, s->leg, s->at[from], s->at[to], call));
}

/* Longer than it takes to be looked for; `lives`: with that call there, at `place`. */
static void look(struct scene *s, bool lives, unsigned place, uint64_t call) {
    if (lives)
        put_call(s, s->at[place], call);
    settle(s);
    s->e->out = NULL;
    pair_wait(s->p, 3 * MOVED_LOOK_US);
    s->e->out = &s->p->r.out;
}

/* Joined into a call of another bucket, and from there into a second one of that bucket. */
static void test_joined_twice(void) {
    for (unsigned lives = 0; lives < 2; lives++) {
        struct scene s = scene_new();
        uint64_t id = s.call->id;
        leave(&s, HOME, SECOND, id + 1);
        leave(&s, SECOND, SECOND, id + 2);
        CHECK_EQ(stored(&s), 2);
        CHECK_EQ(where(&s, HOME), SECOND);
        look(&s, lives, SECOND, id + 2);
        CHECK_EQ(stored(&s), 2 * lives);
        CHECK_EQ(where(&s, HOME), lives ? SECOND : PLACES);
        moved_on_ended(s.e, leg_str(s.leg, DLG_LOCAL_TAG));
        CHECK_EQ(stored(&s), 0);
        scene_end(&s);
    }
}

/* By calls: the stub of the first join leads to the leg when the call that it names has ended. */
static void test_calls_joined_twice(void) {
    struct scene s = scene_new();
    struct call *calls[2];
    uint32_t cursor = 0;
    handle h;
    settle(&s);
    s.e->out = NULL;
    for (unsigned i = 0; i < 2; i++) {
        struct rig_dialog a, b;
        pair_call_at(s.p, &a, &b, 0, ALICE, BOB);
    }
    s.e->out = &s.p->r.out;
    (void)pool_next(&s.e->calls, &cursor, &h);
    for (unsigned i = 0; i < 2; i++) {
        calls[i] = pool_next(&s.e->calls, &cursor, &h);
        call_unindex(s.e, calls[i]);
        calls[i]->bucket = s.at[SECOND];
        call_index(s.e, calls[i]);
        CHECK_TRUE(call_move_leg(s.e, s.leg, calls[i]));
    }
    call_end(s.e, s.call, 0, SLICE_NONE);
    call_end(s.e, calls[0], 0, SLICE_NONE);
    call_reap(s.e);
    look(&s, false, SECOND, 0);
    CHECK_EQ(leg_call(s.e, s.leg), calls[1]);
    CHECK_EQ(where(&s, HOME), SECOND);
    CHECK_TRUE(is_stored(&s, HOME));
    scene_end(&s);
}

/* In its first bucket there is nobody to lead there. */
static void test_joined_at_home(void) {
    struct scene s = scene_new();
    leave(&s, HOME, HOME, s.call->id + 1);
    CHECK_EQ(stored(&s), 0);
    CHECK_EQ(s.e->moved.stubs.used, 0);
    scene_end(&s);
}

/* What was to go on from there stays: so does the mark. */
static void test_mark_taken_back(void) {
    struct scene s = scene_new();
    uint64_t id = s.call->id;
    leave(&s, HOME, SECOND, id + 1);
    leave(&s, SECOND, SECOND, id + 2);
    leave(&s, SECOND, THIRD, id + 2);
    moved_take_back(s.e, moved_hold(s.e, s.leg, s.at[SECOND], s.e->now + 1000000));
    CHECK_EQ(where(&s, HOME), SECOND);
    look(&s, true, SECOND, id + 2);
    CHECK_EQ(stored(&s), 2);
    CHECK_EQ(where(&s, HOME), SECOND);
    scene_end(&s);
}

/* The leg is in two records, and the call that it has left was about to go the same way, or another one: with that one
 * it has gone nowhere. */
static void test_another_taken_back(void) {
    for (unsigned to = SECOND; to <= THIRD; to++) {
        struct scene s = scene_new();
        uint64_t id = s.call->id;
        leave(&s, HOME, SECOND, id + 1);
        leave(&s, HOME, to, id);
        CHECK_EQ(where(&s, HOME), to);
        moved_take_back(s.e, moved_hold(s.e, s.leg, s.at[HOME], s.e->now + 1000000));
        CHECK_EQ(where(&s, HOME), SECOND);
        CHECK_EQ(stored(&s), 1);
        look(&s, true, SECOND, id + 1);
        CHECK_EQ(where(&s, HOME), SECOND);
        scene_end(&s);
    }
}

/* What brought it with the one call does not say that the other one has come. */
static void test_leads_with_call(void) {
    char text[LIMIT_BUCKET_DIGITS + 16];
    for (unsigned known = 0; known < 2; known++) {
        struct sbuf v = sbuf_on(text, sizeof text);
        sbuf_hex(&v, 7, LIMIT_BUCKET_DIGITS);
        if (known)
            sbuf_hex(&v, 5, 16);
        CHECK_TRUE(moved_leads_to(sbuf_slice(&v), 7, 5));
        CHECK_FALSE(moved_leads_to(sbuf_slice(&v), 8, 5));
        CHECK_EQ(moved_leads_to(sbuf_slice(&v), 7, 6), !known);
    }
}

/* The bucket between is lost: who leads on from there names the call of now. */
static void test_led_on(void) {
    struct scene s = scene_new();
    uint64_t id = s.call->id;
    leave(&s, HOME, SECOND, id + 1);
    leave(&s, SECOND, THIRD, id + 2);
    s.e->owners.of[s.at[SECOND]] = 2;
    moved_forget_lost(s.e);
    look(&s, true, THIRD, id + 2);
    CHECK_EQ(where(&s, HOME), THIRD);
    CHECK_TRUE(is_stored(&s, HOME));
    scene_end(&s);
}

/* It comes with another call to where it has been: whose token's bucket is here leads there, else a mark is left for
 * who has that. */
static void test_arrived_with_another(void) {
    for (unsigned mine = 0; mine < 2; mine++) {
        struct scene s = scene_new();
        uint64_t id = s.call->id;
        if (mine)
            leave(&s, HOME, SECOND, id + 1);
        leave(&s, SECOND, THIRD, id + 2);
        s.e->owners.of[s.at[HOME]] = mine ? OWNER_MINE : 2;
        moved_arrived(s.e, s.leg, s.at[SECOND]);
        look(&s, true, SECOND, id);
        CHECK_EQ(stored(&s), 1);
        CHECK_TRUE(is_stored(&s, mine ? HOME : SECOND));
        CHECK_EQ(where(&s, mine ? HOME : SECOND), SECOND);
        scene_end(&s);
    }
}

static void forget_stub(struct scene *s, unsigned place) {
    struct store_op op = { .verb = STORE_DELETE, .bucket = s->at[place], .table = SL("moved") };
    settle(s);
    op.key = buf_copy(&s->e->bufs, leg_str(s->leg, DLG_LOCAL_TAG));
    store_submit(s->p->store, &op, rig_wall_ms(&s->p->r));
    CHECK_FALSE(is_stored(s, place));
}

/* Another server was promoted, and has not got them: what was stored lately is stored again; or all of one bucket. */
static void test_promoted(void) {
    struct scene s = scene_new();
    go(&s, HOME, SECOND);
    go(&s, SECOND, THIRD);
    forget_stub(&s, HOME);
    forget_stub(&s, SECOND);
    moved_lost_again(s.e, s.e->now + 1);
    moved_on_timer(s.e);
    CHECK_EQ(stored(&s), 0);
    moved_lost_again(s.e, s.e->now);
    moved_on_timer(s.e);
    CHECK_EQ(stored(&s), 2);
    forget_stub(&s, HOME);
    forget_stub(&s, SECOND);
    moved_rewrite(s.e, s.at[SECOND]);
    moved_on_timer(s.e);
    CHECK_EQ(stored(&s), 1);
    CHECK_TRUE(is_stored(&s, SECOND));
    CHECK_EQ(s.e->moved.again, 0);
    moved_on_ended(s.e, leg_str(s.leg, DLG_LOCAL_TAG));
    scene_end(&s);
}

/* The store has not deleted it: the epoch was not its owner's any more, or it was away, or says nothing. It leads
 * nowhere all the same, and goes as soon as it can. */
static void test_not_deleted(void) {
    static const int said[] = { STORE_FENCED, STORE_UNAVAILABLE, -1 };
    for (unsigned i = 0; i < sizeof said / sizeof said[0]; i++) {
        struct scene s = scene_new();
        go(&s, HOME, SECOND);
        settle(&s);
        s.p->stubs = STUBS_AWAY;
        moved_on_ended(s.e, leg_str(s.leg, DLG_LOCAL_TAG));
        CHECK_EQ(stored(&s), 1);
        CHECK_EQ(where(&s, HOME), PLACES);
        s.p->stubs = STUBS_TAKEN;
        s.e->out = NULL;
        CHECK_EQ(s.p->failed_n, 1);
        struct event ev = { .kind = EV_STORE, .u.store.ticket = s.p->failed[0] };
        ev.u.store.status = (enum store_status)said[i];
        if (said[i] >= 0)
            pair_step(s.p, 0, &ev);
        CHECK_EQ(s.e->moved.stubs.used, 1);
        pair_wait(s.p, 2000000);
        CHECK_EQ(store_count(s.p->store, SL("moved"), rig_wall_ms(&s.p->r)), 0);
        CHECK_EQ(s.e->moved.stubs.used, 0);
        pair_end(s.p);
    }
}

/* The leg goes the same way again before the store has deleted the stub of the first time. */
static void test_gone_again(void) {
    struct scene s = scene_new();
    go(&s, HOME, SECOND);
    moved_take_back(s.e, moved_hold(s.e, s.leg, s.at[HOME], s.e->now + 1000000));
    CHECK_EQ(where(&s, HOME), PLACES);
    go(&s, HOME, THIRD);
    CHECK_EQ(where(&s, HOME), THIRD);
    CHECK_EQ(stored(&s), 1);
    CHECK_EQ(where(&s, HOME), THIRD);
    scene_end(&s);
}

int main(void) {
    return UNIT_RUN("moved", UNIT(test_in_a_row), UNIT(test_back_on_its_way), UNIT(test_read_in_any_order),
                    UNIT(test_taken_back), UNIT(test_lost_between), UNIT(test_whose_stub),
                    UNIT(test_record_left_behind), UNIT(test_looked_for), UNIT(test_promoted),
                    UNIT(test_not_deleted), UNIT(test_gone_again), UNIT(test_joined_twice),
                    UNIT(test_calls_joined_twice), UNIT(test_joined_at_home), UNIT(test_mark_taken_back),
                    UNIT(test_another_taken_back), UNIT(test_leads_with_call), UNIT(test_led_on),
                    UNIT(test_arrived_with_another));
}
