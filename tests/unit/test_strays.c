/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The call of a transfer goes to another node, and a party of it is in a call that stays (recover_leave): BOB asks
 * CAROL, and has her talk with ALICE. Who is in that call waits for the transfer, and until it comes the two hear each
 * other; if it does not, they are told what holds.
 */
#include "core/b2b/leg.h"
#include "tests/unit/over_rig.h"

#define STRAY_US 13000000 /* a little more than RECOVER_STRAY_US */

static struct engine_config config;

enum goes { BY_STORE, BY_LEASE, WAYS };

struct world {
    struct pair *p;
    struct rig_dialog a, b, c, d;
    uint16_t call, consult; /* buckets */
};

/* Where the first engine's streams go. */
static uint32_t routes[64];

static void note_route(struct rig *r, const struct out *o) {
    const struct media_cmd *m = &o->u.media;
    if (o->kind == OUT_MEDIA && pair_current(pair_of(r)) == 0) {
        CHECK(m->stream < 64);
        if (m->verb == MEDIA_ROUTE)
            routes[m->stream] = m->to;
        else if (m->verb == MEDIA_OPEN || m->verb == MEDIA_CLOSE)
            routes[m->stream] = MEDIA_NOWHERE;
    }
    pair_on_out(r, o);
}

static const struct leg *leg_of(const struct world *w, const struct rig_dialog *d) {
    const struct leg *l = leg_find(w->p->e[0], slice_str(d->call_id), slice_str(d->remote_tag),
                                   slice_str(d->local_tag));
    CHECK(l != NULL);
    return l;
}

static uint32_t slot_of(const struct world *w, const struct rig_dialog *d) {
    const struct leg_stream *s = leg_of(w, d)->media.streams[0];
    CHECK_TRUE(s->open);
    return s->slot;
}

static bool hear_each_other(const struct world *w, const struct rig_dialog *x, const struct rig_dialog *y) {
    return routes[slot_of(w, x)] == slot_of(w, y) && routes[slot_of(w, y)] == slot_of(w, x);
}

/* CAROL rings, with early media, or is up. */
static struct world begin(bool rings) {
    struct world w = { .p = pair_new(&config) };
    struct pair *p = w.p;
    for (unsigned i = 0; i < 2; i++) {
        p->e[i]->cfg.attended = ATTENDED_JOIN;
        p->e[i]->cfg.durability = DURABILITY_ASYNC;
    }
    memset(routes, 0xff, sizeof routes);
    p->r.on_out = note_route;
    pair_entry(p, 0);
    pair_call_at(p, &w.a, &w.b, 0, ALICE, BOB);
    if (rings) {
        pair_invite_at(p, &w.c, 0, BOB, CAROL);
        rig_reply(&p->r, CAROL, "INVITE", 183, rig_sdp("0", "sendrecv", 43000), &w.d);
        rig_learn(&p->r, &w.c, "SIP/2.0 183");
    } else {
        pair_call_at(p, &w.c, &w.d, 0, BOB, CAROL);
        CHECK_TRUE(hear_each_other(&w, &w.c, &w.d));
    }
    w.call = (uint16_t)pair_hash(&config, w.a.call_id);
    w.consult = (uint16_t)pair_hash(&config, w.c.call_id);
    CHECK_TRUE(w.call != w.consult);
    rig_refer(&p->r, &w.b, CAROL, &w.c);
    CHECK_TRUE(*rig_last(&p->r, BOB, "SIP/2.0 202", "REFER") != '\0');
    return w;
}

/* She has agreed to be joined, and hears ALICE, who is being told. */
static struct world begin_joined(void) {
    struct world w = begin(false);
    rig_reply(&w.p->r, CAROL, "INVITE", 200, rig_sdp("0", "recvonly", 43000), NULL);
    CHECK_EQ(leg_of(&w, &w.d)->transfer_role, TR_TARGET);
    CHECK_TRUE(strstr(rig_last(&w.p->r, ALICE, "INVITE", NULL), "a=recvonly") != NULL);
    CHECK_EQ(routes[slot_of(&w, &w.d)], slot_of(&w, &w.a));
    return w;
}

/* The store refuses the next record of ALICE's call; or the lease knows first. */
static void go(struct world *w, enum goes how) {
    struct pair *p = w->p;
    p->linked = false;
    store_claim(p, 1, w->call, 1);
    if (how == BY_STORE)
        rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
    else
        pair_bucket(p, 0, BUCKET_OWNER, w->call, p->number[1], 2);
    pair_step(p, 0, &(struct event){ .kind = EV_DEADLINE });
    CHECK_EQ(pair_calls(p, 0), 1);
    CHECK_EQ(leg_of(w, &w->d)->transfer, HANDLE_NONE);
}

/* The first engine has it once more, as it was. */
static void come_back(struct world *w) {
    struct pair *p = w->p;
    pair_bucket(p, 0, BUCKET_LOST, w->call, 0, 0);
    store_claim_from(p, p->number[1], 0, w->call, 2);
    pair_bucket(p, 0, BUCKET_LOADING, w->call, 0, 3);
    pair_load(p, 0, w->call, SL("call"));
    pair_bucket(p, 0, BUCKET_MINE, w->call, 0, 3);
    CHECK_EQ(pair_calls(p, 0), 2);
}

static void hang_up(struct world *w, struct rig_dialog *d, enum rig_name other) {
    struct pair *p = w->p;
    pair_hang_up(p, d, other);
    pair_wait(p, 140000000);
    CHECK_EQ(pair_calls(p, 0), 0);
    pair_end(p);
}

/* The transfer does not come: BOB hears that CAROL only listens. */
static void test_consultation_stays(void) {
    for (unsigned how = 0; how < WAYS; how++) {
        struct world w = begin_joined();
        struct pair *p = w.p;
        go(&w, (enum goes)how);
        CHECK_TRUE(hear_each_other(&w, &w.c, &w.d));
        p->r.sent_n = 0;
        pair_wait(p, STRAY_US);
        CHECK_TRUE(strstr(rig_last(&p->r, BOB, "INVITE", NULL), "a=recvonly") != NULL);
        rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendonly", 40000), NULL);
        CHECK_TRUE(hear_each_other(&w, &w.c, &w.d));
        CHECK_EQ(leg_of(&w, &w.d)->transfer_role, TR_NONE);
        hang_up(&w, &w.c, CAROL);
    }
}

/* It comes, and goes on: CAROL talks with ALICE, and BOB is told so. */
static void test_transfer_comes_back(void) {
    for (unsigned how = 0; how < WAYS; how++) {
        struct world w = begin_joined();
        struct pair *p = w.p;
        go(&w, (enum goes)how);
        come_back(&w);
        CHECK_TRUE(leg_of(&w, &w.d)->transfer != HANDLE_NONE);
        rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendonly", 40000), NULL);
        pair_wait(p, 200000);
        CHECK_TRUE(hear_each_other(&w, &w.a, &w.d));
        CHECK_TRUE(leg_of(&w, &w.a)->call == leg_of(&w, &w.d)->call);
        CHECK_EQ(metrics_get(engine_metrics(p->e[0]), M_transfers_done), 1);
        rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
        rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
        pair_wait(p, 4000000);
        rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
        hang_up(&w, &w.a, CAROL);
    }
}

/* Who rings for ALICE, and is heard by her, rings for nobody. */
static void test_target_rings(void) {
    for (unsigned how = 0; how < WAYS; how++) {
        struct world w = begin(true);
        struct pair *p = w.p;
        CHECK_EQ(routes[slot_of(&w, &w.d)], slot_of(&w, &w.a));
        go(&w, (enum goes)how);
        CHECK_EQ(routes[slot_of(&w, &w.d)], MEDIA_NOWHERE);
        pair_wait(p, STRAY_US);
        CHECK_TRUE(*rig_last(&p->r, CAROL, "CANCEL", NULL) != '\0');
        rig_reply(&p->r, CAROL, "CANCEL", 200, "", NULL);
        rig_reply(&p->r, CAROL, "INVITE", 487, "", NULL);
        pair_wait(p, 140000000);
        CHECK_EQ(pair_calls(p, 0), 0);
        pair_end(p);
    }
}

int main(void) {
    return UNIT_RUN("strays", UNIT(test_consultation_stays), UNIT(test_transfer_comes_back), UNIT(test_target_rings));
}
