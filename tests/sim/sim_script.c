/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What happens in a world, drawn from its seed before anything runs: scenes of two or three people, each a template of
 * a call or transfer with disturbances at any moment. */
#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_direct.h"
#include "tests/sim/sim_srtp.h"

#define SECOND 1000000u
#define MS 1000u

const char *sim_action_name(unsigned a) {
    static const char *const names[] = {
#define X(n) #n,
        SIM_ACTIONS(X)
#undef X
    };
    return a < SIM_ACTION_COUNT ? names[a] : "?";
}

const char *sim_seen_name(unsigned s) {
    static const char *const names[] = {
#define X(n) #n,
        SIM_SEEN(X)
#undef X
    };
    return s < SIM_SEEN_COUNT ? names[s] : "?";
}

struct scene {
    struct sim_script *s;
    struct sim_rng *r;
    uint8_t number, a, b, c;      /* transferee, transferor, target */
    uint64_t at;
};

static struct sim_event *add(struct scene *sc, uint64_t at, enum sim_action action, uint8_t phone, uint8_t call) {
    static struct sim_event nowhere;
    if (sc->s->n == SIM_EVENTS)
        return &nowhere;
    struct sim_event *ev = &sc->s->ev[sc->s->n++];
    *ev = (struct sim_event){ .at = at, .action = (uint8_t)action, .phone = phone, .scene = sc->number, .call = call };
    return ev;
}

static void add_to(struct scene *sc, uint64_t at, enum sim_action action, uint8_t phone, uint8_t other, uint8_t call) {
    add(sc, at, action, phone, call)->other = other;
}

static uint64_t between(struct scene *sc, uint32_t low, uint32_t high) {
    return low + sim_below(sc->r, high - low);
}

/* ---- templates; sc->at moves on ---- */

static void pass(struct scene *sc, uint32_t low, uint32_t high) {
    sc->at += between(sc, low, high);
}

static void first_call(struct scene *sc) {
    bool late = sim_chance(sc->r, 8), back = sim_chance(sc->r, 25);
    add_to(sc, sc->at, late ? ACT_LATE_CALL : ACT_CALL, back ? sc->b : sc->a, back ? sc->a : sc->b, 1);
    pass(sc, 300 * MS, 4 * SECOND);
}

static void second_call(struct scene *sc) {
    bool late = sim_chance(sc->r, 8), back = sim_chance(sc->r, 20);
    add_to(sc, sc->at, late ? ACT_LATE_CALL : ACT_CALL, back ? sc->c : sc->b, back ? sc->b : sc->c, 2);
}

static void hold(struct scene *sc, uint8_t call, uint32_t percent) {
    if (!sim_chance(sc->r, percent))
        return;
    add(sc, sc->at, ACT_HOLD, sc->b, call);
    pass(sc, 50 * MS, 2 * SECOND);
}

static void refer_blind(struct scene *sc) {
    /* 0..199 the phone of that number; above: see the action. */
    add_to(sc, sc->at, ACT_BLIND, sc->b, sim_chance(sc->r, 80) ? sc->c : (uint8_t)(200 + sim_below(sc->r, 6)), 1);
}

static void scene_blind(struct scene *sc) {
    first_call(sc);
    hold(sc, 1, 60);
    refer_blind(sc);
}

static void scene_attended(struct scene *sc) {
    first_call(sc);
    hold(sc, 1, 80);
    second_call(sc);
    pass(sc, 500 * MS, 5 * SECOND);
    hold(sc, 2, 40);
    add(sc, sc->at, ACT_ATTENDED, sc->b, 1);
}

static void scene_semi(struct scene *sc) {
    first_call(sc);
    hold(sc, 1, 60);
    second_call(sc);
    pass(sc, 20 * MS, 600 * MS);
    add(sc, sc->at, ACT_ATTENDED, sc->b, 1);
}

static void scene_talk(struct scene *sc) {
    static const uint8_t what[] = { ACT_HOLD,   ACT_RESUME, ACT_REOFFER, ACT_LATE_REINVITE, ACT_UPDATE,
                                    ACT_INFO,   ACT_MESSAGE, ACT_OPTIONS };
    first_call(sc);
    for (uint32_t n = sim_below(sc->r, 4); n; n--) {
        uint8_t who = sim_chance(sc->r, 50) ? sc->a : sc->b;
        add(sc, sc->at, (enum sim_action)what[sim_below(sc->r, sizeof what)], who, 1);
        pass(sc, 1 * MS, 2 * SECOND);
    }
}

static void scene_chain(struct scene *sc) {
    scene_attended(sc);
    pass(sc, 2 * SECOND, 5 * SECOND);
    add_to(sc, sc->at, ACT_BLIND, sc->c, sc->b, 2);
    add_to(sc, sc->at, ACT_BLIND, sc->a, sc->b, 1);
}

static void scene_crossed(struct scene *sc) {
    first_call(sc);
    add_to(sc, sc->at, ACT_BLIND, sc->a, sc->c, 1);
    add_to(sc, sc->at + sim_below(sc->r, 40 * MS), ACT_BLIND, sc->b, sc->c, 1);
}

static void scene_twice(struct scene *sc) {
    scene_attended(sc);
    uint64_t at = sc->at + sim_below(sc->r, 2 * SECOND);
    add_to(sc, at, sim_chance(sc->r, 50) ? ACT_ATTENDED : ACT_BLIND, sc->b, sc->c, 1);
}

static void scene_odd(struct scene *sc) {
    static const uint8_t what[] = { ACT_ODD_REFER, ACT_FORGED_REFER, ACT_INVITE_REPLACES, ACT_ODD_REQUEST };
    scene_attended(sc);
    sc->s->n--;
    add(sc, sc->at, (enum sim_action)what[sim_below(sc->r, sizeof what)], sc->b, 1)->other =
        (uint8_t)sim_below(sc->r, 32);
    pass(sc, 100 * MS, 2 * SECOND);
    if (sim_chance(sc->r, 60))
        add(sc, sc->at, ACT_ATTENDED, sc->b, 1);
}

/* Each target refers on, to whom it talks with no more. */
static void scene_round(struct scene *sc) {
    uint8_t who[] = { sc->b, sc->c }, call = 1;
    first_call(sc);
    for (uint32_t n = 2 + sim_below(sc->r, 7); n; n--) {
        add_to(sc, sc->at, ACT_BLIND, who[0], who[1], call);
        pass(sc, 2 * SECOND, 6 * SECOND);
        call = call % 3 + 1;
        who[0] ^= who[1], who[1] ^= who[0], who[0] ^= who[1];
    }
}

static void scene_outside(struct scene *sc) {
    if (sim_chance(sc->r, 60)) {
        first_call(sc);
        add_to(sc, sc->at, ACT_TARGET_DIALOG, sc->b, sc->c, 1);
        return;
    }
    add_to(sc, sc->at, ACT_OUTSIDE_REFER, sc->a, sc->c, (uint8_t)sim_below(sc->r, SIM_PHONES));
    pass(sc, 1 * SECOND, 6 * SECOND);
}

static void scene_quiet(struct scene *sc) {
    first_call(sc);
    hold(sc, 1, 40);
    add_to(sc, sc->at, ACT_QUIET_REFER, sc->b, sc->c, 1);
    if (sim_chance(sc->r, 30))
        add(sc, sc->at + between(sc, 1 * MS, 3 * SECOND), ACT_SUBSCRIBE, sc->b, 1);
}

/* The first user has two phones. */
static void scene_pickup(struct scene *sc) {
    sc->b = 0;
    sc->a = (uint8_t)(1 + sim_below(sc->r, 5));
    sc->c = SIM_PHONES - 2;
    add_to(sc, sc->at, sim_chance(sc->r, 8) ? ACT_LATE_CALL : ACT_CALL, sc->a, sc->b, 1);
    pass(sc, 20 * MS, 900 * MS);
    add(sc, sc->at, ACT_PICKUP, sim_chance(sc->r, 50) ? sc->b : sc->c, 2);
    if (sim_chance(sc->r, 50)) {
        pass(sc, 300 * MS, 3 * SECOND);
        add_to(sc, sc->at, ACT_BLIND, sim_chance(sc->r, 50) ? sc->b : sc->c, 4, 2);
    }
}

static void scene_order(struct scene *sc) {
    scene_attended(sc);
    sc->s->n--;
    add_to(sc, sc->at, ACT_ORDER, sc->b, sim_chance(sc->r, 60) ? 0 : 16 + sc->c % 4, 1);
}

/* The transfer fails behind the transferor's BYE, and it cannot be called any more. */
static void scene_recall(struct scene *sc) {
    first_call(sc);
    hold(sc, 1, 50);
    add(sc, sc->at, ACT_UNREGISTER, sc->b, 0)->other = 1;
    struct sim_event *bye = add(sc, sc->at, ACT_BYE, sc->b, 1);
    bye->seen = SEEN_ACCEPTED;
    bye->delay = sim_below(sc->r, 2) * sim_below(sc->r, 300 * MS);
    add_to(sc, sc->at + 20 * MS, ACT_BLIND, sc->b, sim_chance(sc->r, 60) ? 201 : sc->c, 1);
    pass(sc, 1 * SECOND, 12 * SECOND);
    add(sc, sc->at + 15 * SECOND, ACT_REGISTER, sc->b, 0);
}

/* ---- disturbances ---- */

static const uint8_t usual[] = {
    ACT_BYE,    ACT_BYE,     ACT_BYE,       ACT_CANCEL,      ACT_HOLD,        ACT_RESUME,      ACT_REOFFER,
    ACT_LATE_REINVITE, ACT_BLIND, ACT_ATTENDED, ACT_UPDATE,  ACT_INFO,        ACT_OPTIONS,     ACT_SUBSCRIBE,
    ACT_UNSUBSCRIBE, ACT_ODD_REFER, ACT_FORGED_REFER, ACT_INVITE_REPLACES, ACT_ODD_REQUEST, ACT_REGISTER,
    ACT_UNREGISTER, ACT_GARBAGE, ACT_CLOG, ACT_RELOAD, ACT_ADMIN, ACT_MESSAGE,     ACT_TARGET_DIALOG,
    ACT_QUIET_REFER, ACT_PICKUP, ACT_ORDER, ACT_OUTSIDE_REFER,
};
/* With --hot more of what meets offers and answers, among those. */
static const uint8_t heated[] = {
    ACT_HOLD, ACT_RESUME, ACT_REOFFER,       ACT_LATE_REINVITE, ACT_UPDATE, ACT_CANCEL,   ACT_HOLD,  ACT_RESUME,
    ACT_REOFFER, ACT_LATE_REINVITE, ACT_UPDATE, ACT_BYE, ACT_ATTENDED, ACT_BLIND, ACT_INVITE_REPLACES, ACT_ORDER,
};
static const uint8_t rough[] = { ACT_POWER_OFF, ACT_CUT, ACT_ICMP, ACT_POWER_OFF };

#define HEATED_AT 20

static uint8_t usual_action(struct scene *sc) {
    bool hot = sc->s->setup.hot;
    uint32_t i = sim_below(sc->r, sizeof usual + (hot ? sizeof heated : 0));
    if (!hot || i < HEATED_AT)
        return usual[i];
    return i < HEATED_AT + sizeof heated ? heated[i - HEATED_AT] : usual[i - sizeof heated];
}

static void disturb(struct scene *sc, uint64_t begin) {
    static const uint32_t delays[] = { 0, 0, 1 * MS, 10 * MS, 60 * MS, 280 * MS, 1 * SECOND, 4 * SECOND };
    uint8_t who[] = { sc->a, sc->b, sc->c };
    bool hard = sc->s->setup.hard && sim_chance(sc->r, 20);
    uint8_t action = hard ? rough[sim_below(sc->r, sizeof rough)] : usual_action(sc);
    uint64_t span = sc->at - begin + 3 * SECOND;
    uint64_t at = begin + sim_next(sc->r) % span;
    struct sim_event *ev = add(sc, at, (enum sim_action)action, who[sim_below(sc->r, 3)], 0);
    ev->call = (uint8_t)(1 + sim_below(sc->r, 2));
    ev->other = action == ACT_BLIND || action == ACT_CALL ? who[sim_below(sc->r, 3)] : (uint8_t)sim_below(sc->r, 32);
    if (sim_chance(sc->r, 55)) {
        ev->seen = (uint8_t)(1 + sim_below(sc->r, SIM_SEEN_COUNT - 1));
        ev->delay = delays[sim_below(sc->r, sizeof delays / sizeof *delays)];
    }
    if (action == ACT_POWER_OFF)
        add(sc, at + between(sc, 1 * SECOND, 60 * SECOND), ACT_POWER_ON, ev->phone, 0);
}

static void hang_up(struct scene *sc) {
    uint8_t who[] = { sc->a, sc->b, sc->c };
    uint32_t patience = sim_chance(sc->r, 80) ? 6 : 40;
    for (unsigned i = 0; i < 3; i++)
        for (uint8_t call = 1; call < 3; call++)
            if (sim_chance(sc->r, 60))
                add(sc, sc->at + between(sc, 200 * MS, patience * SECOND), ACT_BYE, who[i], call);
    /* Calls do not pile up: phones would be busy. */
    if (sim_chance(sc->r, 80))
        add(sc, sc->at + between(sc, 8 * SECOND, 20 * SECOND), ACT_SCENE_OVER, sc->a, 0);
    sc->at += 200 * MS;
}

static void make_some_scene(struct scene *sc) {
    static void (*const kinds[])(struct scene *) = {
        scene_blind,    scene_blind, scene_attended, scene_attended, scene_attended, scene_attended,
        scene_semi,     scene_semi,  scene_talk,     scene_chain,    scene_crossed,  scene_twice, scene_odd,
        scene_round,    scene_round, scene_outside,  scene_quiet,    scene_pickup,   scene_order,
    };
    enum { TALK = 8, MORE_TALK = 2 };
    bool hot = sc->s->setup.hot;
    uint32_t i = sim_below(sc->r, sizeof kinds / sizeof *kinds + (hot ? MORE_TALK : 0));
    if (hot && i > TALK)
        i = i > TALK + MORE_TALK ? i - MORE_TALK : TALK;
    kinds[i](sc);
}

static uint32_t calm(const struct sim_setup *u) {
    if (u->hot)
        return u->storm ? 4 : 9;
    return u->storm ? 8 : 25;
}

static void make_scene(struct sim_script *s, struct sim_rng *r, uint8_t number, uint64_t at) {
    struct scene sc = { .s = s, .r = r, .number = number, .at = at };
    sc.a = (uint8_t)sim_below(r, SIM_PHONES);
    sc.b = (uint8_t)((sc.a + 1 + sim_below(r, SIM_PHONES - 1)) % SIM_PHONES);
    do
        sc.c = (uint8_t)sim_below(r, SIM_PHONES);
    while (sc.c == sc.b || (sc.c == sc.a && !sim_chance(r, 5)));
    if (s->setup.announces && sim_chance(r, 25))
        scene_recall(&sc);
    else
        make_some_scene(&sc);
    for (uint32_t n = sim_below(r, 100); n < 60; n += calm(&s->setup))
        disturb(&sc, at);
    hang_up(&sc);
    if (s->setup.end < sc.at + 8 * SECOND)
        s->setup.end = sc.at + 8 * SECOND;
}

/* What is rarely configured otherwise. */
static void make_policy(struct sim_setup *u, struct sim_rng *r) {
    static const uint8_t modes[] = { REFER_LOCAL, REFER_LOCAL, REFER_LOCAL, REFER_RELAY, REFER_AUTO };
    u->refer = modes[sim_below(r, sizeof modes)];
    u->relay = (uint8_t)sim_below(r, 2);
    u->music = sim_chance(r, 25);
    u->ringback = sim_chance(r, 25);
    u->fallback = sim_chance(r, 50);
    u->rules = sim_chance(r, 10);
    u->depth = sim_chance(r, 10) ? (uint8_t)(1 + sim_below(r, 4)) : 0;
    u->per_minute = sim_chance(r, 5) ? (uint8_t)(1 + sim_below(r, 6)) : 0;
    u->pending = sim_chance(r, 5) ? 1 : 0;
    u->odd_agents = sim_chance(r, 30) ? (uint8_t)(1 + sim_below(r, 15)) : 0;
    bool mixed = sim_chance(r, 20), local = sim_chance(r, 8);
    for (unsigned i = 0; i < SIM_PHONES; i++) {
        u->users_refer[i] = mixed ? (uint8_t)sim_below(r, 5) : REFER_DEFAULT;
        u->users_hold[i] = local && sim_chance(r, 30) ? HOLD_LOCAL : HOLD_DEFAULT;
    }
}

static void make_hot_phones(struct sim_setup *u, struct sim_rng *r, bool tame) {
    static const uint8_t hot[] = { QUIRK_GLARE, QUIRK_REFUSE_REINVITE, QUIRK_LATE_OFFER, QUIRK_NARROW,
                                   QUIRK_VIDEO, QUIRK_REOFFERS,        QUIRK_SLOW };
    for (unsigned i = 0; i < SIM_PHONES; i++)
        for (unsigned q = 0; q < sizeof hot; q++)
            u->quirks[i] |= (uint64_t)(!tame && sim_chance(r, 12)) << hot[q];
}

static void make_setup(struct sim_setup *u, struct sim_rng *r, bool hot) {
    const uint32_t losses[] = { 0, 0, 0, 5, 20, hot ? 60 : 100 };
    /* One by one: the order within an initialiser is the compiler's. */
    *u = (struct sim_setup){ .hot = hot };
    u->loss = losses[sim_below(r, 6)];
    u->dup = losses[sim_below(r, 6)];
    u->reorder = losses[sim_below(r, 6)];
    u->delay_us = sim_chance(r, 92) ? 1 * MS + sim_below(r, 20 * MS) : sim_below(r, 400 * MS);
    u->jitter_us = sim_chance(r, 50) ? 1 : 1 + sim_below(r, 60 * MS);
    u->auth = sim_chance(r, 15);
    u->join = sim_chance(r, 25);
    u->progress = sim_chance(r, 75);
    u->hard = sim_chance(r, 25);
    u->recall = sim_chance(r, 25);
    u->hold_local = sim_chance(r, 15);
    u->accept = (uint8_t)sim_below(r, 3);
    bool tame = sim_chance(r, 20);
    u->storm = sim_chance(r, 20);
    uint32_t odd = sim_chance(r, 15) ? 15 : 5;
    for (unsigned i = 0; i < SIM_PHONES; i++)
        for (unsigned q = 0; q < SIM_QUIRK_COUNT; q++)
            u->quirks[i] |= (uint64_t)(!tame && sim_chance(r, odd)) << q;
    if (hot)
        make_hot_phones(u, r, tame);
    make_policy(u, r);
}

void sim_script_make(struct sim_script *s, uint64_t seed) {
    struct sim_rng r = { sim_mix(seed, 77) };
    uint64_t at = SIM_START_US + 4 * SECOND;
    s->n = 0;
    make_setup(&s->setup, &r, s->hot);
    extras_make(&s->setup, seed);
    direct_make(&s->setup, seed);
    srtp_make(&s->setup, seed);
    /* Of the seed alone: what is drawn afterwards stays as it was. */
    s->setup.late_offer = sim_mix(seed, 79) % 4 == 0;
    sim_store_setup(&s->setup, seed, s->nodes);
    if (s->nodes)
        shards_setup(&s->setup, seed, s->shards);
    uint32_t scenes = SIM_SCENES - sim_below(&r, 60);
    for (uint32_t i = 0; i < scenes; i++) {
        s->first[i] = s->n;
        make_scene(s, &r, (uint8_t)i, at);
        at += (sim_chance(&r, 40) ? sim_below(&r, 3 * SECOND) : sim_below(&r, 25 * SECOND)) / (s->nodes ? 3 : 1);
    }
    for (uint32_t i = scenes; i <= SIM_SCENES; i++)
        s->first[i] = s->n;
    if (sim_chance(&r, 5) && s->n < SIM_EVENTS)
        s->ev[s->n++] = (struct sim_event){
            .at = at - sim_below(&r, 60 * SECOND), .action = ACT_DRAIN, .other = (uint8_t)sim_below(&r, 20)
        };
    sim_store_script(s, seed);
}
