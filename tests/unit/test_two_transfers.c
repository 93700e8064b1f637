/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Row 6. Attended transfers whose two calls are owned by two engines: the call of the REFER goes over to the engine
 * of the consultation, and everything is as if one engine had had both.
 */
#include "core/b2b/move.h"
#include "tests/unit/pair_scene.h"

static struct engine_config config;

static struct scene scene_new(unsigned first, unsigned entry) {
    return scene_at(&config, first, entry);
}

/* CAROL takes the INVITE with Replaces, ends what it replaced; ALICE takes her re-INVITE; BOB says goodbye. */
static void complete(struct scene *s, struct rig_dialog *a_now, struct rig_dialog *carol) {
    struct rig *r = &s->p->r;
    CHECK_TRUE(*last_to(s, BOB, "SIP/2.0 202", "REFER") != '\0');
    CHECK_TRUE(strstr(last_to(s, CAROL, "INVITE", NULL), "Replaces: ") != NULL);
    rig_reply(r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), carol);
    CHECK_TRUE(*last_to(s, CAROL, "ACK", NULL) != '\0');
    rig_request(r, &s->d, "BYE", "", "");
    /* Her media has another relay now: that re-INVITE may be out, and the transfer's waits for its answer. */
    for (unsigned i = 0; i < 2 && *last_to(s, ALICE, "INVITE", NULL); i++) {
        rig_reply(r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
        pair_wait(s->p, 150000);
    }
    rig_reply(r, BOB, "BYE", 200, "", NULL); /* of the consultation */
    for (unsigned i = 0; i < 3; i++)
        rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    pair_wait(s->p, 4000000);
    rig_reply(r, BOB, "BYE", 200, "", NULL);
    *a_now = s->a;
}

static void test_attended(void) {
    for (unsigned entry = 0; entry < 3; entry++)
        for (unsigned first = 0; first < 2; first++) {
            struct scene s = scene_new(first, entry);
            struct rig_dialog a, carol;
            rig_refer(&s.p->r, &s.b, CAROL, &s.c);
            pair_wait(s.p, 100000);
            CHECK_EQ(pair_calls(s.p, first), 0);
            CHECK_EQ(pair_calls(s.p, !first), 2);
            complete(&s, &a, &carol);
            pair_wait(s.p, 1000000);
            CHECK_EQ(store_count(s.p->store, SL("arriving"), rig_wall_ms(&s.p->r)), 0);
            CHECK_EQ(metrics_get(engine_metrics(s.p->e[!first]), M_transfers_done), 1);
            CHECK_EQ(metrics_get(engine_metrics(s.p->e[first]), M_calls_yielded), 0);
            /* What talks now ends as any call does, by who has only the old token. */
            rig_request(&s.p->r, &a, "BYE", "", "");
            CHECK_TRUE(*last_to(&s, ALICE, "SIP/2.0 200", "BYE") != '\0');
            rig_reply(&s.p->r, CAROL, "BYE", 200, "", NULL);
            pair_wait(s.p, 120000000);
            CHECK_TRUE(pair_is_quiet(s.p));
            CHECK_EQ(store_count(s.p->store, SL("call"), rig_wall_ms(&s.p->r)), 0);
            CHECK_EQ(store_count(s.p->store, SL("moved"), rig_wall_ms(&s.p->r)), 0);
            pair_end(s.p);
        }
}

/* Messages that take their time, at whatever part of a millisecond: nothing has changed meanwhile. */
static void test_slow_link(void) {
    for (unsigned us = 100; us < 1000; us += 100) {
        struct scene s = scene_new(0, 0);
        s.p->link_us = us;
        rig_refer(&s.p->r, &s.b, CAROL, &s.c);
        pair_wait(s.p, 200000);
        CHECK_EQ(pair_calls(s.p, 0), 0);
        CHECK_EQ(s.p->kinds[PEER_MOVE], 1);
        pair_end(s.p);
    }
}

/* Refused by the target: both calls are as before, at the engine that has both now. */
static void test_refused(void) {
    struct scene s = scene_new(0, 0);
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 100000);
    rig_reply(&s.p->r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&s.p->r, CAROL, "INVITE", 603, "", NULL);
    CHECK_TRUE(strstr(last_to(&s, BOB, "NOTIFY", NULL), "SIP/2.0 603") != NULL);
    rig_reply(&s.p->r, BOB, "NOTIFY", 200, "", NULL);
    pair_wait(s.p, 2000000);
    pair_hang_up(s.p, &s.a, BOB);
    pair_hang_up(s.p, &s.c, CAROL);
    pair_wait(s.p, 120000000);
    CHECK_TRUE(pair_is_quiet(s.p));
    pair_end(s.p);
}

static unsigned stubs(const struct scene *s) {
    return store_count(s->p->store, SL("moved"), rig_wall_ms(&s->p->r));
}

/* A call that has moved goes back to its first engine for another transfer: what comes for it is not sent round. */
static void test_back(void) {
    for (unsigned entry = 0; entry < 2; entry++) {
        struct scene s = scene_moved(&config, entry);
        struct rig_dialog e, f;
        pair_call_at(s.p, &e, &f, 0, BOB, CAROL);
        rig_refer(&s.p->r, &s.b, CAROL, &e);
        pair_wait(s.p, 3000000);
        CHECK_EQ(pair_calls(s.p, 1), 1);
        CHECK_EQ(pair_calls(s.p, 0), 2);
        unsigned before = s.p->peer_n;
        rig_request(&s.p->r, &s.a, "OPTIONS", "", "");
        CHECK_TRUE(*last_to(&s, ALICE, "SIP/2.0 200", "OPTIONS") != '\0');
        CHECK_TRUE(s.p->peer_n - before <= entry);
        /* Two buckets have stubs of each leg; all go with it. */
        CHECK_EQ(stubs(&s), 4);
        rig_reply(&s.p->r, CAROL, "INVITE", 603, "", NULL);
        for (unsigned i = 0; i < 3; i++) {
            rig_reply(&s.p->r, BOB, "NOTIFY", 200, "", NULL);
            rig_reply(&s.p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
            rig_reply(&s.p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
            pair_wait(s.p, 300000);
        }
        pair_hang_up(s.p, &s.a, BOB);
        pair_wait(s.p, 1000000);
        CHECK_EQ(stubs(&s), 0);
        pair_end(s.p);
    }
}

static void is_refused_and_resumed(struct scene *s) {
    struct rig *r = &s->p->r;
    rig_refer(r, &s->b, CAROL, &s->c);
    pair_wait(s->p, 100000);
    rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(r, CAROL, "INVITE", 603, "", NULL);
    rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    for (unsigned i = 0; i < 4; i++) {
        rig_reply(r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
        rig_reply(r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
        pair_wait(s->p, 300000);
    }
}

/* BOB's REFER names a dialog of a call that has moved, by its tag alone: a stub leads to who has that call, where no
 * such dialog is, and the tag back to who has sent the REFER's. It stays where the stub led. */
static void test_sent_back(void) {
    struct scene s = scene_new(0, 0);
    struct rig_dialog e, f;
    is_refused_and_resumed(&s);
    pair_wait(s.p, 4000000);
    CHECK_EQ(pair_calls(s.p, 1), 2);
    pair_call_at(s.p, &e, &f, 0, BOB, CAROL);
    struct rig_dialog named = s.b;
    named.call_id[0] = 'x';
    unsigned before = s.p->kinds[PEER_MOVE];
    rig_refer(&s.p->r, &e, CAROL, &named);
    for (unsigned i = 0; i < 10; i++) {
        rig_reply(&s.p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
        rig_reply(&s.p->r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), NULL);
        pair_wait(s.p, 300000);
    }
    CHECK_EQ(s.p->kinds[PEER_MOVE] - before, 1);
    CHECK_EQ(pair_calls(s.p, 1), 3);
    CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 ", "REFER") != '\0');
    pair_end(s.p);
}

/* The legs of a call that has moved end while the bucket that they came from is being read by its next owner: behind
 * the claim, or when the stubs have been read. It may have the call's record of before still. */
static void ended_meanwhile(bool stubs_read, bool left_behind) {
    struct scene s = scene_new(0, 1);
    uint16_t bucket = rig_only_call(s.p->e[0])->bucket;
    uint64_t epoch = owner_epoch(s.p->e[0], bucket) + 1;
    s.p->keeps_records = left_behind;
    is_refused_and_resumed(&s);
    s.p->keeps_records = false;
    CHECK_EQ(stubs(&s), 2);
    CHECK_EQ(pair_calls(s.p, 0), 0);
    struct store_op claim = { .verb = STORE_CLAIM, .bucket = bucket, .node = 1, .former = 1,
                              .epoch = epoch - 1 };
    store_submit(s.p->store, &claim, rig_wall_ms(&s.p->r));
    pair_bucket(s.p, 0, BUCKET_LOST, bucket, 0, 0);
    pair_bucket(s.p, 0, BUCKET_LOADING, bucket, 0, epoch);
    if (stubs_read)
        pair_load(s.p, 0, bucket, SL("moved"));
    pair_entry(s.p, 1);
    pair_hang_up(s.p, &s.a, BOB);
    pair_wait(s.p, 40000000); /* as long as anything of it may take */
    CHECK_EQ(stubs(&s), 2);
    if (!stubs_read)
        pair_load(s.p, 0, bucket, SL("moved"));
    pair_load(s.p, 0, bucket, SL("call"));
    pair_bucket(s.p, 0, BUCKET_MINE, bucket, 0, epoch);
    CHECK_EQ(stubs(&s), 0);
    CHECK_EQ(pair_calls(s.p, 0), 0);
    CHECK_EQ(store_count(s.p->store, SL("call"), rig_wall_ms(&s.p->r)), 1); /* the consultation's */
    pair_end(s.p);
}

static void test_ended_meanwhile(void) {
    for (unsigned i = 0; i < 4; i++)
        ended_meanwhile(i & 1, i & 2);
}

/* A re-INVITE is under way when the REFER comes: it is waited for. */
static void test_unstable(void) {
    struct scene s = scene_new(0, 0);
    rig_request(&s.p->r, &s.a, "INVITE", "", rig_sdp("0", "sendonly", 40000));
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 500000);
    CHECK_EQ(pair_calls(s.p, 0), 1);
    CHECK_EQ(*last_to(&s, BOB, "SIP/2.0 202", "REFER"), '\0');
    rig_reply(&s.p->r, BOB, "INVITE", 200, rig_sdp("0", "recvonly", 41000), NULL);
    rig_request(&s.p->r, &s.a, "ACK", "", "");
    pair_wait(s.p, 500000);
    CHECK_EQ(pair_calls(s.p, 0), 0);
    CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 202", "REFER") != '\0');
    pair_end(s.p);
}

/* The consultation's owner has died when the REFER comes, and is followed before the transferor has lost patience. */
static void test_owner_followed(void) {
    struct scene s = scene_new(0, 0);
    uint16_t bucket = rig_only_call(s.p->e[1])->bucket;
    pair_bucket(s.p, 1, BUCKET_LOST, bucket, 0, 0);
    pair_bucket(s.p, 0, BUCKET_OWNER, bucket, 0, 0);
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 6000000);
    CHECK_TRUE(strncmp(last_to(&s, BOB, "SIP/2.0", "REFER"), "SIP/2.0 100", 11) == 0); /* RFC 4320 */
    CHECK_TRUE(s.p->asked_n > 0 && s.p->asked == bucket);
    pair_taken_over(s.p, 0, bucket);
    pair_wait(s.p, 500000);
    CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 202", "REFER") != '\0');
    CHECK_EQ(s.p->e[0]->transfers.used, 1);
    pair_end(s.p);
}

/* The other engine cannot be reached: 503, and both calls go on. */
static void test_no_link(void) {
    struct scene s = scene_new(0, 0);
    s.p->linked = false;
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, MOVE_PATIENCE_US + 2000000);
    CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 503", "REFER") != '\0');
    CHECK_EQ(pair_calls(s.p, 0), 1);
    s.p->linked = true;
    pair_hang_up(s.p, &s.a, BOB);
    pair_end(s.p);
}

/* Messages on the way, one after the other lost: whoever decides, exactly one has the call in the end. */
static void test_lost_messages(void) {
    static const enum peer_kind kinds[] = { PEER_MOVE, PEER_ARRIVED, PEER_GO };
    for (unsigned i = 0; i < 3; i++) {
        struct scene s = scene_new(0, 0);
        s.p->lose = kinds[i] + 1;
        rig_refer(&s.p->r, &s.b, CAROL, &s.c);
        pair_wait(s.p, 200000);
        s.p->lose = 0;
        pair_wait(s.p, 5000000);
        CHECK_EQ(pair_calls(s.p, 0), 0);
        CHECK_EQ(pair_calls(s.p, 1), 2);
        if (kinds[i] == PEER_GO) { /* the REFER was not answered, and would come again */
            pair_hang_up(s.p, &s.a, BOB);
        } else {
            CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 202", "REFER") != '\0');
        }
        pair_end(s.p);
    }
}

/* The second engine dies with the call in its hands: whether it was ours is what the stub says. Its bucket may be long
 * in loading. */
static void test_death_on_arrival(void) {
    static const enum peer_kind kinds[] = { PEER_ARRIVED, PEER_GO };
    for (unsigned n = 0; n < 4; n++) {
        unsigned i = n & 1;
        struct scene s = scene_new(0, 0);
        s.p->loading_us = n >= 2 ? 700000 : 0;
        unsigned bucket = pair_hash(&config, s.c.call_id);
        s.p->lose = kinds[i] + 1;
        rig_refer(&s.p->r, &s.b, CAROL, &s.c);
        pair_wait(s.p, 100000);
        CHECK_EQ(pair_calls(s.p, 0), kinds[i] == PEER_ARRIVED);
        CHECK_EQ(store_count(s.p->store, SL("arriving"), rig_wall_ms(&s.p->r)), 1);
        pair_taken_over(s.p, 1, bucket);
        s.p->linked = false;
        pair_wait(s.p, 5000000);
        s.p->linked = true;
        uint32_t arrived = (uint32_t)metrics_get(engine_metrics(s.p->e[1]), M_calls_arrived);
        CHECK_EQ(arrived, kinds[i] == PEER_GO);
        CHECK_EQ(pair_calls(s.p, 0), kinds[i] == PEER_ARRIVED);
        pair_hang_up(s.p, &s.a, BOB);
        pair_end(s.p);
    }
}

/* What comes for the call that has left and not come, when somebody else takes over where it was to come to: it waits
 * until the store has said so. */
static void test_message_before_arrival(void) {
    struct scene s = scene_new(0, 0);
    pair_entry(s.p, 0);
    s.p->lose = PEER_GO + 1;
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 100000);
    CHECK_EQ(pair_calls(s.p, 0), 0);
    pair_taken_over(s.p, 1, pair_hash(&config, s.c.call_id));
    rig_request(&s.p->r, &s.b, "INFO", "", "");
    CHECK_EQ(pair_calls(s.p, 1), 1);
    pair_wait(s.p, 100000);
    CHECK_EQ(pair_calls(s.p, 1), 2);
    CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 481", NULL) == '\0');
    CHECK_TRUE(*last_to(&s, ALICE, "INFO", NULL) != '\0');
    pair_hang_up(s.p, &s.a, BOB);
    pair_end(s.p);
}

/* The first engine dies between its stubs and the end of its record: the record does not bring the call back. */
static void death_behind_stubs(unsigned next) {
    static char value[1 << 14];
    struct scene s = scene_new(0, 0);
    struct buf *key = calloc(1, sizeof *key + 64), *copy = (struct buf *)(void *)value;
    unsigned bucket = pair_hash(&config, s.a.call_id);
    struct store_op op = { .verb = STORE_LOAD, .ticket = 1, .bucket = (uint16_t)bucket, .table = SL("call") };
    struct event ev = { 0 };
    store_submit(s.p->store, &op, rig_wall_ms(&s.p->r));
    CHECK_TRUE(store_answer(s.p->store, &ev) && ev.u.store.more);
    key->len = ev.u.store.key.n;
    memcpy(key->data, ev.u.store.key.p, key->len);
    copy->len = ev.u.store.value.n;
    memcpy(copy->data, ev.u.store.value.p, copy->len);
    CHECK_TRUE(store_answer(s.p->store, &ev) && !ev.u.store.more);
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 100000);
    CHECK_EQ(pair_calls(s.p, 1), 2);
    op = (struct store_op){ .verb = STORE_PUT, .bucket = (uint16_t)bucket, .table = SL("call"), .key = key,
                            .value = copy };
    store_submit(s.p->store, &op, rig_wall_ms(&s.p->r));
    if (next == 0) {
        pair_taken_over(s.p, 0, bucket);
    } else {
        struct store_op claim = { .verb = STORE_CLAIM, .bucket = (uint16_t)bucket, .node = 2, .former = 1,
                                  .epoch = 1 };
        store_submit(s.p->store, &claim, rig_wall_ms(&s.p->r));
        pair_bucket(s.p, 1, BUCKET_LOADING, bucket, 0, 2);
        pair_load(s.p, 1, bucket, SL("moved"));
        pair_load(s.p, 1, bucket, SL("call"));
        pair_bucket(s.p, 1, BUCKET_MINE, bucket, 0, 2);
    }
    CHECK_EQ(pair_calls(s.p, 0), 0);
    CHECK_EQ(pair_calls(s.p, 1), 2);
    CHECK_EQ(store_count(s.p->store, SL("call"), rig_wall_ms(&s.p->r)), 2);
    free(key);
    pair_end(s.p);
}

/* Whoever takes the bucket over: one that knows nothing, or the one that the call has come to. */
static void test_death_behind_stubs(void) {
    death_behind_stubs(0);
    death_behind_stubs(1);
}

static uint32_t stored(struct scene *s, struct slice table) {
    return store_count(s->p->store, table, rig_wall_ms(&s->p->r));
}

/* The store does not say yes to the stubs: the call stays. Later it does; or the REFER's patience is over. */
static void test_stubs_away(void) {
    for (unsigned comes = 0; comes < 2; comes++) {
        struct scene s = scene_new(0, 0);
        s.p->stubs = STUBS_AWAY;
        rig_refer(&s.p->r, &s.b, CAROL, &s.c);
        pair_wait(s.p, 1000000);
        CHECK_EQ(pair_calls(s.p, 0), 1);
        CHECK_EQ(pair_calls(s.p, 1), 1);
        CHECK_EQ(s.p->kinds[PEER_GO], 0);
        s.p->stubs = comes ? STUBS_TAKEN : STUBS_AWAY;
        pair_wait(s.p, MOVE_PATIENCE_US);
        CHECK_EQ(pair_calls(s.p, 0), !comes);
        CHECK_TRUE(*last_to(&s, BOB, comes ? "SIP/2.0 202" : "SIP/2.0 503", "REFER") != '\0');
        CHECK_EQ(stored(&s, SL("call")), 2);
        s.p->stubs = STUBS_TAKEN;
        if (!comes) {
            CHECK_EQ(stored(&s, SL("moved")), 0);
            pair_hang_up(s.p, &s.a, BOB);
            pair_hang_up(s.p, &s.c, CAROL);
            pair_wait(s.p, 70000000);
            CHECK_EQ(stored(&s, SL("arriving")), 0);
            CHECK_TRUE(pair_is_quiet(s.p));
        }
        pair_end(s.p);
    }
}

/* The stubs are stored, and the first engine, cut off from the store, does not hear it and dies: whoever has the bucket
 * next finds stub and record, and the second engine, which was told that the call stays, finds out that it does not. */
static void test_stubs_unheard(void) {
    struct scene s = scene_new(0, 0);
    unsigned bucket = pair_hash(&config, s.a.call_id);
    s.p->stubs = STUBS_UNHEARD;
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 1000000);
    CHECK_EQ(pair_calls(s.p, 0), 1);
    CHECK_EQ(pair_calls(s.p, 1), 1);
    CHECK_TRUE(s.p->kinds[PEER_NO] > 0);
    CHECK_EQ(stored(&s, SL("moved")), 2);
    s.p->linked = false;
    pair_taken_over(s.p, 0, bucket);
    pair_wait(s.p, 2000000);
    s.p->linked = true;
    CHECK_EQ(pair_calls(s.p, 0), 0);
    CHECK_EQ(pair_calls(s.p, 1), 2);
    CHECK_EQ(stored(&s, SL("call")), 2);
    s.p->stubs = STUBS_TAKEN;
    pair_hang_up(s.p, &s.a, BOB);
    pair_end(s.p);
}

/* It has not come when the other engine's GO is lost, and what the store has of its leg leads nowhere: it ends where it
 * was. */
static void test_stub_is_a_mark(void) {
    struct scene s = scene_new(0, 0);
    unsigned bucket = pair_hash(&config, s.a.call_id);
    struct store_op op = { .verb = STORE_LOAD, .ticket = 1, .bucket = (uint16_t)bucket, .table = SL("moved") };
    struct event ev = { 0 };
    s.p->lose = PEER_GO + 1;
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 200000);
    CHECK_EQ(pair_calls(s.p, 0), 0);
    struct buf *keys[2], *value = calloc(1, sizeof *value + 64);
    store_submit(s.p->store, &op, rig_wall_ms(&s.p->r));
    for (unsigned i = 0; i < 2; i++) {
        CHECK_TRUE(store_answer(s.p->store, &ev) && ev.u.store.more);
        keys[i] = calloc(1, sizeof *keys[i] + 64);
        memcpy(keys[i]->data, ev.u.store.key.p, keys[i]->len = ev.u.store.key.n);
        memcpy(value->data, ev.u.store.value.p, value->len = ev.u.store.value.n);
    }
    CHECK_TRUE(store_answer(s.p->store, &ev) && !ev.u.store.more);
    struct sbuf b = sbuf_on(value->data, LIMIT_BUCKET_DIGITS);
    sbuf_hex(&b, bucket, LIMIT_BUCKET_DIGITS);
    op.verb = STORE_PUT;
    op.ticket = 0;
    op.node = 1;
    op.epoch = 1;
    op.value = value;
    for (unsigned i = 0; i < 2; i++) {
        op.key = keys[i];
        store_submit(s.p->store, &op, rig_wall_ms(&s.p->r));
        free(keys[i]);
    }
    free(value);
    pair_wait(s.p, 5000000);
    CHECK_EQ(pair_calls(s.p, 1), 1);
    CHECK_EQ(metrics_get(engine_metrics(s.p->e[1]), M_calls_arrived), 0);
    pair_end(s.p);
}

/* BOB hangs up between the record and its arrival: what went over is void. */
static void test_changed_meanwhile(void) {
    struct scene s = scene_new(0, 0);
    s.p->lose = PEER_ARRIVED + 1;
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 100000);
    s.p->lose = 0;
    rig_request(&s.p->r, &s.b, "BYE", "", "");
    rig_reply(&s.p->r, ALICE, "BYE", 200, "", NULL);
    pair_wait(s.p, 70000000);
    CHECK_EQ(pair_calls(s.p, 0), 0);
    CHECK_EQ(pair_calls(s.p, 1), 1);
    CHECK_EQ(metrics_get(engine_metrics(s.p->e[1]), M_calls_arrived), 0);
    pair_end(s.p);
}

/* Who takes a call over that had moved asks its parties before all of its bucket has been read. Their answers get to
 * the owner of their legs' tokens, whose stubs lead there, and wait until it has been. */
static void test_answer_while_read(void) {
    struct scene s = scene_new(0, 0);
    is_refused_and_resumed(&s);
    pair_wait(s.p, 4000000);
    CHECK_EQ(pair_calls(s.p, 1), 2);
    uint16_t bucket = rig_only_call(s.p->e[1])->bucket;
    uint64_t epoch = owner_epoch(s.p->e[1], bucket) + 1;
    struct store_op claim = { .verb = STORE_CLAIM, .bucket = bucket, .node = 2, .former = 2, .epoch = epoch - 1 };
    store_submit(s.p->store, &claim, rig_wall_ms(&s.p->r));
    pair_bucket(s.p, 1, BUCKET_LOST, bucket, 0, 0);
    pair_bucket(s.p, 1, BUCKET_LOADING, bucket, 0, epoch);
    pair_load(s.p, 1, bucket, SL("moved"));
    pair_load(s.p, 1, bucket, SL("call"));
    pair_wait(s.p, 500000);
    CHECK_TRUE(*last_to(&s, ALICE, "INVITE", NULL) != '\0');
    unsigned before = s.p->kinds[PEER_DATAGRAM];
    rig_reply(&s.p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    CHECK_EQ(s.p->kinds[PEER_DATAGRAM] - before, 1);
    s.p->r.sent_n = 0;
    memset(s.p->r.sent, 0, sizeof s.p->r.sent);
    pair_bucket(s.p, 1, BUCKET_MINE, bucket, 0, epoch);
    pair_wait(s.p, 100000);
    CHECK_TRUE(*last_to(&s, ALICE, "ACK", NULL) != '\0');
    CHECK_EQ(metrics_get(engine_metrics(s.p->e[0]), M_peer_dropped), 0);
    CHECK_EQ(metrics_get(engine_metrics(s.p->e[1]), M_peer_dropped), 0);
    pair_end(s.p);
}

/* ALICE's transfer is over, of whose REFER she has no answer, and her call has moved for BOB's: her REFER, sent again
 * where that came to, is answered as it was, and no second one begins. Nor is one that has not been carried out
 * taken for it. */
static void test_refer_again_behind_move(void) {
    struct scene s = scene_new(0, 1);
    pair_entry(s.p, 0);
    rig_refer(&s.p->r, &s.a, CAROL, NULL);
    rig_reply(&s.p->r, ALICE, "NOTIFY", 200, "", NULL);
    rig_reply(&s.p->r, CAROL, "INVITE", 603, "", NULL);
    rig_reply(&s.p->r, ALICE, "NOTIFY", 200, "", NULL);
    pair_wait(s.p, 1000000);
    is_refused_and_resumed(&s);
    CHECK_EQ(pair_calls(s.p, 0), 0);
    pair_entry(s.p, 1);
    s.p->r.sent_n = 0;
    memset(s.p->r.sent, 0, sizeof s.p->r.sent);
    s.a.cseq--;
    rig_refer(&s.p->r, &s.a, CAROL, NULL);
    pair_wait(s.p, 100000);
    CHECK_TRUE(*last_to(&s, ALICE, "SIP/2.0 202", "REFER") != '\0');
    CHECK_TRUE(*last_to(&s, ALICE, "NOTIFY", NULL) == '\0');
    CHECK_TRUE(*last_to(&s, CAROL, "INVITE", NULL) == '\0');
    CHECK_EQ(metrics_get(engine_metrics(s.p->e[1]), M_transfers_started), 1);
    rig_refer(&s.p->r, &s.a, CAROL, NULL);
    CHECK_TRUE(*last_to(&s, ALICE, "NOTIFY", NULL) != '\0');
    CHECK_TRUE(*last_to(&s, CAROL, "INVITE", NULL) != '\0');
    pair_end(s.p);
}

static unsigned long cseq_of(const char *msg) {
    const char *at = strstr(msg, "CSeq: ");
    return at ? strtoul(at + 6, NULL, 10) : 0;
}

/* What a call that has moved asks is answered at the node that asked, which does not know just now who has the buckets
 * that the legs' tokens name: it needs nobody for that. `ended`: the leg has gone, and its stubs with it. */
static void answer_at_asker(bool ended) {
    struct scene s = scene_new(0, 0);
    is_refused_and_resumed(&s);
    pair_wait(s.p, 4000000);
    pair_entry(s.p, 1);
    rig_request(&s.p->r, &s.b, "INVITE", "", rig_sdp("0", "sendonly", 41000));
    unsigned long invite = cseq_of(last_to(&s, ALICE, "INVITE", NULL));
    CHECK_TRUE(invite > cseq_of(last_to(&s, ALICE, "ACK", NULL)));
    if (ended) {
        rig_request(&s.p->r, &s.b, "BYE", "", "");
        rig_reply(&s.p->r, ALICE, "BYE", 200, "", NULL);
        pair_wait(s.p, 200000);
        CHECK_EQ(pair_calls(s.p, 1), 1);
    }
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
        if (pair_owner(b) == 0)
            pair_bucket(s.p, 1, BUCKET_OWNER, b, PEER_NONE, 0);
    rig_reply(&s.p->r, ALICE, "INVITE", 200, rig_sdp("0", "recvonly", 40000), NULL);
    CHECK_EQ(cseq_of(last_to(&s, ALICE, "ACK", NULL)), invite);
    CHECK_EQ(metrics_get(engine_metrics(s.p->e[1]), M_peer_waited), 0);
    pair_end(s.p);
}

static void test_answer_at_asker(void) {
    answer_at_asker(false);
    answer_at_asker(true);
}

int main(void) {
    return UNIT_RUN("transfers over two engines", UNIT(test_attended), UNIT(test_slow_link), UNIT(test_refused),
                    UNIT(test_back), UNIT(test_sent_back), UNIT(test_ended_meanwhile), UNIT(test_owner_followed),
                    UNIT(test_unstable), UNIT(test_no_link), UNIT(test_lost_messages),
                    UNIT(test_death_on_arrival), UNIT(test_message_before_arrival),
                    UNIT(test_death_behind_stubs), UNIT(test_stubs_away),
                    UNIT(test_stubs_unheard), UNIT(test_stub_is_a_mark), UNIT(test_changed_meanwhile),
                    UNIT(test_answer_while_read), UNIT(test_refer_again_behind_move),
                    UNIT(test_answer_at_asker));
}
