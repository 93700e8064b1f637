/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Calls that a transfer binds together go on together: what it does to one of them needs that one's legs as they were
 * left, not as they are read. */
#include "core/b2b/agree.h"
#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "core/b2b/move.h"
#include "core/b2b/party.h"
#include "core/b2b/record.h"
#include "core/b2b/record_fields.h"
#include "core/b2b/recover.h"
#include "core/b2b/transfer.h"

/* Two of one transfer, and each of those in another at most. */
#define GROUP_MAX 8
#define LOOK_AGAIN_US 5000
#define STRAYS_LOOK_US 1000000

struct group {
    unsigned n;
    struct call *calls[GROUP_MAX];
};

static void add(const struct engine *e, struct group *g, handle call) {
    struct call *c = call_get(e, call);
    for (unsigned i = 0; i < g->n; i++)
        if (g->calls[i] == c)
            return;
    if (c && g->n < GROUP_MAX)
        g->calls[g->n++] = c;
}

static void add_leg(const struct engine *e, struct group *g, handle leg) {
    const struct leg *l = leg_get(e, leg);
    if (l)
        add(e, g, l->call);
}

static void add_bound(const struct engine *e, struct group *g, const struct transfer *t) {
    if (!t)
        return;
    const handle legs[] = { t->transferor, t->transferee, t->target, t->consult, t->replaced, t->subscriber };
    add(e, g, t->call);
    add(e, g, t->consult_call);
    for (unsigned i = 0; i < sizeof legs / sizeof *legs; i++)
        add_leg(e, g, legs[i]);
}

/* A transfer that is behind what they have to do with names them no more; their records, of before, name it. */
static void add_parties(const struct engine *e, struct group *g, const struct transfer *t) {
    struct leg *legs[PARTY_LEGS_MAX];
    unsigned n = t ? party_legs(e, t, legs) : 0;
    for (unsigned i = 0; i < n; i++)
        add(e, g, legs[i]->call);
}

static void fill(const struct engine *e, struct group *g, const struct call *first) {
    add(e, g, first->self);
    for (unsigned i = 0; i < g->n; i++) {
        const struct call *c = g->calls[i];
        const struct transfer *own = transfer_get(e, c->transfer);
        add_bound(e, g, own);
        add_parties(e, g, own);
        for (unsigned k = 0; k < c->leg_count; k++)
            add_bound(e, g, transfer_get(e, leg_get(e, c->legs[k])->transfer));
    }
}

void recover_resume(struct engine *e, struct call *c) {
    if (c->resume_ready || !move_to_transfer(e, c))
        recover_resume_here(e, c);
}

void recover_resume_here(struct engine *e, struct call *c) {
    struct group g = { 0 };
    unsigned n = 0;
    c->resume_ready = true;
    fill(e, &g, c);
    for (unsigned i = 0; i < g.n; i++) {
        if (g.calls[i]->resuming && !g.calls[i]->resume_ready) {
            /* That one's turn resumes this one, unless it is forgotten. */
            c->held_timer.kind = TIMER_HELD;
            c->held_timer.owner = c->self;
            wheel_set(&e->wheel, &c->held_timer, e->now + LOOK_AGAIN_US);
            return;
        }
        if (g.calls[i]->resume_ready)
            g.calls[n++] = g.calls[i];
    }
    for (unsigned i = 0; i < n; i++)
        record_resume_legs(e, g.calls[i]);
    for (unsigned i = 0; i < n; i++)
        record_resume_rest(e, g.calls[i]);
}

/* Who it was brought together with, early too, is not here any more. What is still being read is connected when it goes
 * on. */
static void back_to_peer(struct engine *e, struct leg *l) {
    struct leg *p = leg_peer(e, l);
    if (leg_call(e, l)->resuming)
        return;
    if (p && p->peer == l->self)
        media_connect(e, l, p);
    else
        media_mute(e, l);
}

static void leave(struct engine *e, struct leg *l, const struct call *c) {
    char mem[2 * 10];
    struct sbuf at = sbuf_on(mem, sizeof mem);
    record_name_call(&at, c);
    party_set(e, l, NULL);
    leg_set(e, l, LEG_TRANSFER_AT, sbuf_slice(&at));
    party_wait(e, l);
    back_to_peer(e, l);
    if (!wheel_is_set(&e->strays_timer))
        wheel_set(&e->wheel, &e->strays_timer, e->now + RECOVER_STRAY_US);
}

void recover_leave(struct engine *e, const struct transfer *t) {
    const struct call *c = call_get(e, t->call);
    struct leg *legs[PARTY_LEGS_MAX];
    unsigned n = party_legs(e, t, legs);
    for (unsigned i = 0; i < n; i++)
        if (legs[i]->call != c->self)
            leave(e, legs[i], c);
}

static void name(struct engine *e, struct transfer *t, unsigned field, const struct sbuf *at, handle *here) {
    if (strs_set(&t->s, &e->bufs, field, sbuf_slice(at)))
        *here = HANDLE_NONE;
}

/* By the names that a record has for it. */
static void name_all(struct engine *e, struct transfer *t, const struct call *c) {
    for (unsigned p = 0; p < PARTY_COUNT; p++) {
        handle *party = record_party(t, (enum transfer_party)p);
        const struct leg *l = leg_get(e, *party);
        struct sbuf at = ua_body(&e->ua);
        if (!record_has(l) || l->call != c->self)
            continue;
        record_name_leg(&at, l);
        name(e, t, TRF_AT + p, &at, party);
    }
    struct sbuf at = ua_body(&e->ua);
    record_name_call(&at, c);
    if (t->consult_call == c->self)
        name(e, t, TRF_CALL_AT, &at, &t->consult_call);
    party_await(e, t);
}

void recover_miss(struct engine *e, const struct call *c) {
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        struct transfer *t = l ? transfer_get(e, l->transfer) : NULL;
        if (!t || t->call == c->self)
            continue;
        name_all(e, t, c);
        transfer_miss(e, t);
    }
}

static bool forget_transfer(struct engine *e, struct leg *l, bool *target) {
    if (!leg_str(l, LEG_TRANSFER_AT).p)
        return false;
    leg_set(e, l, LEG_TRANSFER_AT, SLICE_NONE);
    party_set(e, l, NULL);
    *target = l->transfer_role == TR_TARGET;
    l->transfer_role = TR_NONE;
    return true;
}

/* A target's media goes the way of its consultation's again; what it was told meanwhile may be of the other way. */
static void agree_as_before(struct engine *e, struct leg *l, struct leg *p, struct leg *target) {
    if (!target || l->direct == p->direct) {
        agree(e, l, p);
        return;
    }
    target->direct = (target == l ? p : l)->direct;
    agree_anew(e, l, p);
}

static void leave_transfers(struct engine *e, struct call *c) {
    for (unsigned i = 0; i < c->leg_count; i++) {
        bool target = false, other = false;
        struct leg *l = leg_get(e, c->legs[i]);
        if (!forget_transfer(e, l, &target))
            continue;
        struct leg *p = leg_peer(e, l);
        if (!leg_is_up(l) || !leg_is_up(p) || p->peer != l->self)
            continue;
        /* Both at once: the second one to be left would be told what the first one is about to answer otherwise. */
        forget_transfer(e, p, &other);
        agree_as_before(e, l, p, target ? l : other ? p : NULL);
    }
    trace_text(&e->trace, TRACE_INFO, "call", c->id, 0xff, SL("the other call of its transfer has not come"));
    call_changed(e, c);
    record_end_alone(e, c);
}

void recover_on_timer(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    bool more = false;
    for (struct call *c; (c = pool_next(&e->calls, &cursor, &h));) {
        if (!record_awaits_transfer(e, c))
            continue;
        if (c->resuming || e->now - c->taken_us < RECOVER_STRAY_US)
            more = true;
        else
            leave_transfers(e, c);
    }
    if (more)
        wheel_set(&e->wheel, &e->strays_timer, e->now + STRAYS_LOOK_US);
}
