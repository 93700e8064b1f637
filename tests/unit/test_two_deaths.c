/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The owner of both calls of a transfer dies, and they go to two engines: the call that waits for the other one's
 * transfer moves to it.
 */
#include "core/b2b/leg.h"
#include "core/b2b/move.h"
#include "core/b2b/moved.h"
#include "tests/unit/over_rig.h"
#include "tests/unit/pair_scene.h"

static struct engine_config config;

/* Semi-attended: CAROL rings for BOB when he refers ALICE to her, and has answered; her re-INVITE is under way. */
static struct scene scene_joined(void) {
    struct scene s = { .p = pair_new(&config) };
    struct rig *r = &s.p->r;
    s.p->e[0]->cfg.durability = s.p->e[1]->cfg.durability = DURABILITY_CONFIRMED;
    pair_entry(s.p, 0);
    pair_call_at(s.p, &s.a, &s.b, 0, ALICE, BOB);
    do
        pair_invite_at(s.p, &s.c, 0, BOB, CAROL);
    while (pair_hash(&config, s.c.call_id) == pair_hash(&config, s.a.call_id));
    rig_reply(r, CAROL, "INVITE", 180, "", &s.d);
    rig_learn(r, &s.c, "SIP/2.0 180");
    rig_refer(r, &s.b, CAROL, &s.c);
    rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 202", "REFER") != '\0');
    rig_reply(r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), &s.d);
    CHECK_TRUE(strstr(last_to(&s, CAROL, "INVITE", NULL), "a=sendrecv") != NULL);
    return s;
}

static void die(struct scene *s) {
    pair_bucket(s->p, 0, BUCKET_LOST, pair_hash(&config, s->a.call_id), 0, 0);
    pair_bucket(s->p, 0, BUCKET_LOST, pair_hash(&config, s->c.call_id), 0, 0);
}

static void check_joined_at(struct scene *s, unsigned i) {
    struct rig *r = &s->p->r;
    rig_empty(r);
    pair_wait(s->p, 1000000);
    rig_reply(r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), NULL);
    if (*last_to(s, ALICE, "INVITE", NULL)) /* her media has another relay now */
        rig_reply(r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    CHECK_TRUE(strstr(last_to(s, BOB, "NOTIFY", NULL), "SIP/2.0 200") != NULL);
    rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    rig_request(r, &s->b, "BYE", "", "");
    pair_wait(s->p, 3000000);
    CHECK_EQ(metrics_get(engine_metrics(s->p->e[i]), M_transfers_done), 1);
    pair_hang_up(s->p, &s->a, CAROL);
    pair_wait(s->p, 120000000);
    CHECK_TRUE(pair_is_quiet(s->p));
    CHECK_EQ(store_count(s->p->store, SL("call"), rig_wall_ms(r)), 0);
    CHECK_EQ(store_count(s->p->store, SL("moved"), rig_wall_ms(r)), 0);
    CHECK_EQ(store_count(s->p->store, SL("arriving"), rig_wall_ms(r)), 0);
    pair_end(s->p);
}

static void check_joined(struct scene *s) {
    check_joined_at(s, 0);
}

/* The owner of both calls dies, and they go to two engines, whichever is the first to have read its own. */
static void test_death_parts_calls(void) {
    for (unsigned target_first = 0; target_first < 2; target_first++) {
        struct scene s = scene_joined();
        unsigned mine = pair_hash(&config, s.a.call_id), others = pair_hash(&config, s.c.call_id);
        die(&s);
        if (!target_first)
            pair_taken_over(s.p, 0, mine);
        pair_taken_by(s.p, 1, others);
        pair_wait(s.p, target_first ? 1500000 : 0);
        if (target_first)
            pair_taken_by(s.p, 0, mine);
        pair_wait(s.p, 300000);
        CHECK_EQ(pair_calls(s.p, 0), 2);
        CHECK_EQ(pair_calls(s.p, 1), 0);
        check_joined(&s);
    }
}

/* Nobody dies: the target's call alone goes to the other engine, and comes back to its transfer. */
static void test_party_goes(void) {
    struct scene s = scene_joined();
    pair_bucket(s.p, 0, BUCKET_OWNER, pair_hash(&config, s.c.call_id), 2, 2);
    pair_taken_by(s.p, 1, pair_hash(&config, s.c.call_id));
    pair_wait(s.p, 300000);
    CHECK_EQ(pair_calls(s.p, 0), 2);
    CHECK_EQ(pair_calls(s.p, 1), 0);
    check_joined(&s);
}

/* Both go to the same one, which reads the target's call before it knows who is to have the other: an owner whose lease
 * is gone is offered nothing, nor is its bucket claimed for that; and if it was, its answer is not waited for. */
static void test_death_of_one_owner(void) {
    for (unsigned known = 0; known < 2; known++) {
        struct scene s = scene_joined();
        unsigned mine = pair_hash(&config, s.a.call_id), others = pair_hash(&config, s.c.call_id);
        unsigned offers = s.p->kinds[PEER_MOVE], asked = s.p->asked_n;
        die(&s);
        s.p->linked = false;
        pair_bucket(s.p, 1, BUCKET_OWNER, mine, known ? PEER_NONE : 1, 1);
        pair_taken_by(s.p, 1, others);
        pair_wait(s.p, 100000);
        CHECK_EQ(s.p->kinds[PEER_MOVE] - offers, known ? 0 : 1);
        CHECK_EQ(s.p->asked_n, asked);
        CHECK_EQ(s.p->e[1]->resuming, 1);
        pair_taken_by(s.p, 1, mine);
        pair_wait(s.p, 50000);
        CHECK_EQ(s.p->e[1]->resuming, 0);
        CHECK_EQ(pair_calls(s.p, 1), 2);
        pair_entry(s.p, 1);
        check_joined_at(&s, 1);
    }
}

/* What is sent, or sent again, to anybody is answered with 200. */
static void all_agree(struct scene *s) {
    struct rig *r = &s->p->r;
    rig_empty(r);
    pair_wait(s->p, 1000000);
    for (unsigned who = ALICE; who <= CAROL; who++) {
        if (*last_to(s, (enum rig_name)who, "INVITE", NULL))
            rig_reply(r, (enum rig_name)who, "INVITE", 200, rig_sdp("0", "sendrecv", 40000 + 1000 * who), NULL);
        if (*last_to(s, (enum rig_name)who, "NOTIFY", NULL))
            rig_reply(r, (enum rig_name)who, "NOTIFY", 200, "", NULL);
        if (*last_to(s, (enum rig_name)who, "BYE", NULL))
            rig_reply(r, (enum rig_name)who, "BYE", 200, "", NULL);
    }
}

/* BOB got to CAROL by a transfer that is over but for ALICE's goodbye, and refers her other call to CAROL: the call of
 * CAROL has a transfer of its own, and is party to that one. It moves with it, and ALICE's BYE ends that one there. */
static void test_death_parts_with_own_transfer(void) {
    struct scene s = { .p = pair_new(&config) };
    struct rig *r = &s.p->r;
    struct rig_dialog x;
    s.p->e[0]->cfg.durability = s.p->e[1]->cfg.durability = DURABILITY_CONFIRMED;
    s.p->e[0]->cfg.attended = s.p->e[1]->cfg.attended = ATTENDED_JOIN;
    pair_entry(s.p, 0);
    pair_call_at(s.p, &s.a, &s.b, 0, ALICE, BOB);
    do
        pair_call_at(s.p, &x, &s.c, 0, ALICE, BOB);
    while (pair_hash(&config, x.call_id) == pair_hash(&config, s.a.call_id));
    rig_refer(r, &x, CAROL, NULL);
    rig_reply(r, ALICE, "NOTIFY", 200, "", NULL);
    rig_reply(r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), &s.d);
    rig_reply(r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    rig_reply(r, ALICE, "NOTIFY", 200, "", NULL);
    CHECK_TRUE(strstr(last_to(&s, ALICE, "NOTIFY", NULL), "SIP/2.0 200") != NULL);
    rig_refer(r, &s.b, CAROL, &s.c);
    CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 202", "REFER") != '\0');
    rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    unsigned mine = pair_hash(&config, s.a.call_id), others = pair_hash(&config, x.call_id);
    pair_bucket(s.p, 0, BUCKET_LOST, mine, 0, 0);
    pair_bucket(s.p, 0, BUCKET_LOST, others, 0, 0);
    pair_taken_over(s.p, 0, mine);
    pair_taken_by(s.p, 1, others);
    pair_wait(s.p, 300000);
    CHECK_EQ(pair_calls(s.p, 0), 2);
    CHECK_EQ(pair_calls(s.p, 1), 0);
    all_agree(&s);
    rig_request(r, &x, "BYE", "", "");
    CHECK_TRUE(*last_to(&s, ALICE, "SIP/2.0 200", "BYE") != '\0');
    for (unsigned i = 0; i < 5; i++)
        all_agree(&s);
    CHECK_EQ(metrics_get(engine_metrics(s.p->e[0]), M_transfers_done), 2);
    pair_hang_up(s.p, &s.a, CAROL);
    pair_wait(s.p, 120000000);
    CHECK_TRUE(pair_is_quiet(s.p));
    CHECK_EQ(store_count(s.p->store, SL("call"), rig_wall_ms(r)), 0);
    pair_end(s.p);
}

/* The transfer's engine cannot be reached: the call that waits for it goes on where it is, and nobody is left. */
static void test_death_parts_calls_for_good(void) {
    struct scene s = scene_joined();
    s.p->linked = false;
    die(&s);
    pair_taken_over(s.p, 0, pair_hash(&config, s.a.call_id));
    pair_taken_by(s.p, 1, pair_hash(&config, s.c.call_id));
    pair_wait(s.p, MOVE_READ_US + 1000000);
    CHECK_EQ(pair_calls(s.p, 0), 1);
    CHECK_EQ(pair_calls(s.p, 1), 1);
    CHECK_EQ(s.p->e[1]->resuming, 0);
    pair_wait(s.p, 20000000);
    CHECK_TRUE(strstr(last_to(&s, BOB, "NOTIFY", NULL), "SIP/2.0 200") == NULL);
    CHECK_TRUE(*last_to(&s, CAROL, "BYE", NULL) != '\0');
    rig_reply(&s.p->r, CAROL, "BYE", 200, "", NULL);
    rig_reply(&s.p->r, BOB, "NOTIFY", 200, "", NULL);
    pair_hang_up(s.p, &s.a, BOB);
    pair_end(s.p);
}

/* ---- the target is in both records ---- */

/* Her re-INVITE was answered, she talks with ALICE in the call of that one; before her own call was written without her
 * its owner died. */
static struct scene scene_in_two(void) {
    struct scene s = { .p = pair_new(&config) };
    struct rig *r = &s.p->r;
    for (unsigned i = 0; i < 2; i++) {
        s.p->e[i]->cfg.attended = ATTENDED_JOIN;
        s.p->e[i]->cfg.durability = DURABILITY_CONFIRMED;
    }
    s.p->e[1]->cfg.media_addr = rig_addr(201, 0);
    pair_entry(s.p, 0);
    pair_call_at(s.p, &s.a, &s.b, 0, ALICE, BOB);
    do
        pair_call_at(s.p, &s.c, &s.d, 0, BOB, CAROL);
    while (pair_hash(&config, s.c.call_id) == pair_hash(&config, s.a.call_id));
    rig_refer(r, &s.b, CAROL, &s.c);
    rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    CHECK_TRUE(keep_record(s.p, pair_hash(&config, s.c.call_id), false));
    rig_reply(r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), NULL);
    pair_wait(s.p, 100000);
    CHECK_TRUE(strstr(last_to(&s, BOB, "NOTIFY", NULL), "SIP/2.0 200") != NULL);
    CHECK_TRUE(keep_record(s.p, pair_hash(&config, s.c.call_id), true));
    die(&s);
    return s;
}

static const struct leg *leg_of(const struct scene *s, unsigned i) {
    const struct rig_dialog *d = &s->d;
    return leg_find(s->p->e[i], slice_str(d->call_id), slice_str(d->remote_tag), slice_str(d->local_tag));
}

static bool is_in(const struct scene *s, const struct rig_dialog *d) {
    const struct leg *l = leg_of(s, 0);
    return l && leg_is_up(l) && leg_call(s->p->e[0], l)->bucket == pair_hash(&config, d->call_id);
}

/* BOB has hung up on both; what CAROL says where her call has been reaches her leg, however long ago that has ended. */
static void check_talk_on(struct scene *s) {
    struct rig *r = &s->p->r;
    uint64_t dead = metrics_get(engine_metrics(s->p->e[0]), M_calls_ended);
    rig_request(r, &s->b, "BYE", "", "");
    for (unsigned i = 0; i < 8; i++)
        all_agree(s);
    rig_request(r, &s->c, "BYE", "", "");
    all_agree(s);
    CHECK_EQ(metrics_get(engine_metrics(s->p->e[0]), M_calls_ended) - dead, 1);
    pair_wait(s->p, 3 * MOVED_LOOK_US);
    CHECK_EQ(pair_calls(s->p, 0), 1);
    CHECK_TRUE(is_in(s, &s->a));
    pair_entry(s->p, 1);
    rig_request(r, &s->d, "BYE", "", "");
    CHECK_TRUE(*last_to(s, CAROL, "SIP/2.0 200", "BYE") != '\0');
    CHECK_TRUE(*last_to(s, ALICE, "BYE", NULL) != '\0');
    rig_reply(r, ALICE, "BYE", 200, "", NULL);
    pair_wait(s->p, 140000000);
    CHECK_TRUE(pair_is_quiet(s->p));
    CHECK_EQ(store_count(s->p->store, SL("call"), rig_wall_ms(r)), 0);
    CHECK_EQ(store_count(s->p->store, SL("moved"), rig_wall_ms(r)), 0);
    CHECK_EQ(store_count(s->p->store, SL("arriving"), rig_wall_ms(r)), 0);
    pair_end(s->p);
}

/* The call that she has left goes to the one that she is in, and without her: nobody else acts for her. Where the store
 * does not take the stubs at once, its record's owner still knows where she is. */
static void test_death_parts_joined(void) {
    for (unsigned away = 0; away < 2; away++) {
        struct scene s = scene_in_two();
        uint16_t mine = (uint16_t)pair_hash(&config, s.a.call_id), others = (uint16_t)pair_hash(&config, s.c.call_id);
        pair_taken_over(s.p, 0, mine);
        pair_wait(s.p, 300000);
        all_agree(&s);
        CHECK_TRUE(is_in(&s, &s.a));
        s.p->stubs = away ? STUBS_AWAY : STUBS_TAKEN;
        pair_taken_by(s.p, 1, others);
        pair_wait(s.p, 300000);
        if (away) {
            CHECK_EQ(pair_calls(s.p, 1), 1);
            const struct leg *l = leg_of(&s, 1);
            CHECK_EQ(l ? moved_where(s.p->e[1], l, others, leg_call(s.p->e[0], leg_of(&s, 0))->id) : 0, mine);
            s.p->stubs = STUBS_TAKEN;
            pair_wait(s.p, 500000);
        }
        CHECK_EQ(pair_calls(s.p, 0), 2);
        CHECK_EQ(pair_calls(s.p, 1), 0);
        CHECK_TRUE(is_in(&s, &s.a));
        CHECK_FALSE(leg_of(&s, 0)->session_unsure);
        check_talk_on(&s);
    }
}

int main(void) {
    return UNIT_RUN("transfers whose owner dies", UNIT(test_death_parts_calls), UNIT(test_death_of_one_owner),
                    UNIT(test_party_goes), UNIT(test_death_parts_with_own_transfer),
                    UNIT(test_death_parts_calls_for_good), UNIT(test_death_parts_joined));
}
