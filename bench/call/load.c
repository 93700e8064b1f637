/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/call/call.h"

#include <stdlib.h>
#include <string.h>

#define CALL_LIMIT_US 40000000ull /* of a call without its holding time: more than Timer B */
#define DRAIN_US 45000000ull
#define TURN_US 1000
#define GENERATIONS 0x7fffff /* half of what a name has room for */

bool load_open(struct load *l, const struct load_options *o) {
    l->o = *o;
    l->now = clock_us();
    wheel_init(&l->wheel, l->now);
    l->calls = calloc(o->calls_max, sizeof *l->calls);
    l->free_calls = calloc(o->calls_max, sizeof *l->free_calls);
    if (!l->calls || !l->free_calls)
        return false;
    for (uint32_t i = 0; i < o->calls_max; i++) {
        l->free_calls[l->free_n++] = o->calls_max - 1 - i;
        l->calls[i].gen = (uint32_t)(l->now >> 10) & GENERATIONS; /* else than of a run before, which a target knows */
    }
    memset(&l->t, 0, sizeof l->t);
    return true;
}

void load_close(struct load *l) {
    for (uint32_t i = 0; l->calls && i < l->o.calls_max; i++)
        for (unsigned j = 0; j < l->calls[i].dialogs; j++)
            free(l->calls[i].dlg[j].ok);
    free(l->calls);
    free(l->free_calls);
    l->calls = NULL;
    l->free_calls = NULL;
    l->free_n = 0;
}

/* One in ten is transferred either way, two are held. */
static enum scenario mixed(struct load *l) {
    static const uint8_t of[10] = { SC_CALL, SC_CALL, SC_HOLD, SC_CALL, SC_CALL, SC_BLIND, SC_CALL, SC_HOLD, SC_CALL,
                                    SC_ATTENDED };
    return (enum scenario)of[l->seed++ % 10];
}

static void begin(struct load *l, uint64_t due) {
    if (l->free_n == 0) {
        l->t.busy++;
        return;
    }
    struct bcall *c = &l->calls[l->free_calls[--l->free_n]];
    uint32_t gen = c->gen + 1;
    memset(c, 0, sizeof *c);
    c->gen = gen;
    c->used = true;
    c->due_us = due;
    c->emergency = l->o.emergency_of && l->t.started % l->o.emergency_of == 0;
    c->scenario = (uint8_t)(l->o.scenario == SC_MIXED ? mixed(l) : l->o.scenario);
    c->media.wanted = l->o.rtp_of && l->t.started % l->o.rtp_of == 0 && c->scenario != SC_REGISTER;
    if (c->scenario == SC_REGISTERED)
        c->user = l->seed++ % l->o.users;
    c->timer.owner = (handle)(c - l->calls) << 8;
    l->t.started++;
    hist_add(&l->t.late, l->now - due);
    struct bin *b = load_bin(l);
    if (b)
        b->started++;
    scenario_go(l, c, NULL, H_START);
    if (!wheel_is_set(&c->timer))
        wheel_set(&l->wheel, &c->timer, l->now + CALL_LIMIT_US + l->o.hold_us);
}

static void finish(struct load *l, struct bcall *c) {
    wheel_cancel(&l->wheel, &c->timer);
    media_forget(l, c);
    for (unsigned i = 0; i < c->dialogs; i++)
        dialog_forget(l, &c->dlg[i]);
    l->t.done += !c->failed;
    l->t.emergencies += !c->failed && c->emergency;
    struct bin *b = load_bin(l);
    if (b)
        b->done += !c->failed;
    c->used = false;
    l->free_calls[l->free_n++] = (uint32_t)(c - l->calls);
}

/* The holding time is over, or, if A has hung up, the call's whole time. */
static void call_timer(struct load *l, struct bcall *c) {
    bool late = l->now - c->due_us >= CALL_LIMIT_US + l->o.hold_us;
    if (late)
        call_fail(l, c, 0, "it does not come to an end");
    if (late && c->dlg[0].bye_sent) {
        finish(l, c);
        return;
    }
    wheel_set(&l->wheel, &c->timer, l->now + CALL_LIMIT_US);
    scenario_go(l, c, NULL, H_TIMER);
}

static void run_timers(struct load *l) {
    struct wheel_node *n;
    l->now = clock_us();
    while ((n = wheel_pop(&l->wheel, l->now))) {
        struct bcall *c = &l->calls[n->owner >> 8];
        if ((n->owner & 0xff) == MEDIA_TIMER)
            media_timer(l, c);
        else if (n->owner & 0xff)
            dialog_timer(l, &c->dlg[(n->owner & 0xff) - 1]);
        else
            call_timer(l, c);
    }
}

void load_call_ended(struct load *l, struct bcall *c) {
    if (l->ended_n < sizeof l->ended / sizeof *l->ended)
        l->ended[l->ended_n++] = (uint32_t)(c - l->calls);
}

/* A call is never freed under who works on it. */
static void sweep(struct load *l) {
    for (uint32_t i = 0; i < l->ended_n; i++) {
        struct bcall *c = &l->calls[l->ended[i]];
        if (c->used && c->live == 0)
            finish(l, c);
    }
    l->ended_n = 0;
}

struct bin *load_bin(struct load *l) {
    uint64_t i = l->bins ? (l->now - l->bins_from) / BIN_US : BINS_MAX;
    return i < BINS_MAX ? &l->bins[i] : NULL;
}

static void turn(struct load *l, uint64_t next) {
    uint64_t timer = wheel_next(&l->wheel);
    if (timer < next)
        next = timer;
    wire_turn(l, next > l->now ? next - l->now : 0);
    sweep(l);
}

/* No call is to begin any more, whatever the time. */
static bool is_enough(const struct load *l) {
    return l->stop || (l->o.stop && *l->o.stop) || (l->o.calls && l->t.started >= l->o.calls);
}

void load_phase(struct load *l, double rate, uint64_t us) {
    uint64_t from = clock_us(), until = from + us, due = from;
    double gap = 1e6 / rate;
    for (uint64_t n = 0; (l->o.at_once ? l->now : due) < until && !is_enough(l);) {
        run_timers(l);
        if (l->o.at_once)
            for (due = l->now; l->o.calls_max - l->free_n < l->o.at_once && !is_enough(l);)
                begin(l, due);
        else
            for (; due <= l->now && due < until && !is_enough(l); due = from + (uint64_t)(gap * (double)++n))
                begin(l, due);
        turn(l, l->o.at_once ? l->now + TURN_US : due < until ? due : l->now + TURN_US);
    }
}

void load_drain(struct load *l, uint64_t limit_us) {
    uint64_t until = clock_us() + limit_us;
    do {
        run_timers(l);
        turn(l, l->now + TURN_US);
    } while (!l->over && l->free_n < l->o.calls_max && l->now < until);
}

void load_give_up(struct load *l) {
    for (uint32_t i = 0; i < l->o.calls_max; i++)
        if (l->calls[i].used)
            call_fail(l, &l->calls[i], 0, "it does not come to an end");
}

void load_run(struct load *l) {
    uint64_t from = clock_us();
    load_phase(l, l->o.rate, l->o.seconds_us);
    if (is_enough(l))
        l->o.seconds_us = clock_us() - from;
    load_drain(l, (l->o.drain_us ? l->o.drain_us : DRAIN_US) + l->o.hold_us);
    if (l->o.drain_us)
        load_give_up(l);
}
