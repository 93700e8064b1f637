/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/reanchor.h"

#include "core/b2b/agree.h"
#include "core/b2b/anchor.h"
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "parser/sdp.h"

#define LOOK_MAX 64         /* legs a step */
#define SETTLE_US 100000    /* other calls come from the store meanwhile, which may talk */
#define AGAIN_US 100000     /* while none of those that wait can be told */
#define BURST_US 20000      /* what is missed of the pace is caught up with for so long */
#define FOREIGN_US 6000000  /* of a transfer that another node may carry out, then it is told all the same */

static void init_queue(struct reanchor_queue *q, struct arena *a, uint32_t count) {
    *q = (struct reanchor_queue){ .legs = arena_take(a, count * sizeof *q->legs), .count = count };
}

void reanchor_init(struct engine *e, struct arena *a, uint32_t legs_max) {
    struct reanchor *r = &e->reanchor;
    init_queue(&r->talking, a, legs_max);
    init_queue(&r->others, a, legs_max);
    r->next_us = 0;
    r->timer = (struct wheel_node){ .kind = TIMER_REANCHOR };
}

/* False: it is full, of legs that have ended by now. */
static bool put(struct reanchor_queue *q, handle leg) {
    if (q->used == q->count)
        return false;
    q->legs[(q->first + q->used++) % q->count] = leg;
    return true;
}

static handle take(struct reanchor_queue *q) {
    handle h = q->legs[q->first];
    q->first = (q->first + 1) % q->count;
    q->used--;
    return h;
}

/* Whose description it is offered: an echo is its own. */
static struct leg *other_of(const struct engine *e, struct leg *l) {
    return l->echo ? l : leg_peer(e, l);
}

static bool goes_both_ways(const struct leg *l) {
    struct sdp s;
    struct slice told = leg_str(l, LEG_SDP_LOCAL);
    return told.p && sdp_parse(told, &s) >= 0 && s.media_count && s.media[0].direction == SDP_SENDRECV;
}

static bool talks(const struct engine *e, struct leg *l) {
    const struct leg *p = other_of(e, l);
    return p && leg_is_up(l) && leg_is_up(p) && goes_both_ways(l) && goes_both_ways(p);
}

void reanchor(struct engine *e, struct leg *l) {
    struct reanchor *r = &e->reanchor;
    if (l->reanchors)
        return;
    if (!r->talking.used && !r->others.used && e->cfg.reinvites_per_second && r->next_us < e->now + SETTLE_US)
        r->next_us = e->now + SETTLE_US;
    l->reanchors = put(talks(e, l) ? &r->talking : &r->others, l->self);
    if (!l->reanchors)
        agree_anew(e, l, other_of(e, l));
    else if (!wheel_is_set(&r->timer) || r->timer.deadline_us > e->now + AGAIN_US)
        wheel_set(&e->wheel, &r->timer, r->next_us > e->now ? r->next_us : e->now);
}

static bool is_away(const struct engine *e, const struct leg *l) {
    return !anchor_is_here(e, anchor_of(e, l));
}

/* Nobody is to be told any more, or somebody has been. */
static bool is_settled(const struct engine *e, const struct leg *l) {
    return !l || !leg_is_live(l) || (!l->session_unsure && !is_away(e, l));
}

/* Its address may still come. */
static bool waits_for_address(const struct engine *e, const struct leg *l) {
    return is_away(e, l) && e->now < leg_call(e, l)->taken_us + e->cfg.media_vip_wait_us;
}

static bool is_in_transfer(const struct engine *e, const struct leg *l) {
    bool foreign = leg_str(l, LEG_TRANSFER_AT).p != NULL;
    return l->transfer != HANDLE_NONE || (foreign && e->now < leg_call(e, l)->taken_us + FOREIGN_US);
}

static bool can_be_told(const struct engine *e, struct leg *l) {
    const struct leg *p = other_of(e, l);
    return p && leg_is_up(l) && leg_is_up(p) && !leg_call(e, l)->resuming && !is_in_transfer(e, l) &&
           !waits_for_address(e, l) && !l->retry_until && leg_str(p, LEG_SDP_REMOTE).p &&
           e->now >= leg_call(e, l)->word_until;
}

/* The first of the queue that can be told; those before it go to its end. */
static struct leg *next(struct engine *e, struct reanchor_queue *q, unsigned *looks) {
    for (uint32_t n = q->used; n && *looks; n--) {
        struct leg *l = leg_get(e, take(q));
        --*looks;
        if (l && is_settled(e, l))
            l->reanchors = false;
        if (!l || !l->reanchors)
            continue;
        if (can_be_told(e, l))
            return l;
        (void)put(q, l->self);
    }
    return NULL;
}

static bool come_home(struct engine *e, struct leg *l) {
    struct leg *p = leg_peer(e, l);
    if (!media_come_home(e, l))
        return false;
    if (l->echo)
        media_echo(e, l);
    else if (p)
        media_connect(e, l, p);
    call_changed(e, leg_call(e, l));
    return true;
}

static void tell(struct engine *e, struct leg *l) {
    l->reanchors = false;
    if (is_away(e, l) && !come_home(e, l))
        return;
    metrics_add(&e->metrics, M_reanchored, 1);
    agree_anew(e, l, other_of(e, l));
}

void reanchor_on_timer(struct engine *e) {
    struct reanchor *r = &e->reanchor;
    uint32_t rate = e->cfg.reinvites_per_second;
    unsigned looks = LOOK_MAX;
    struct leg *l = NULL;
    if (r->next_us + BURST_US < e->now)
        r->next_us = e->now - BURST_US;
    /* One of them may fill a good part of the outbox: the others are told in steps that follow. */
    while (looks && e->out->n < OUTBOX_MAX / 2 && r->next_us <= e->now &&
           ((l = next(e, &r->talking, &looks)) || (l = next(e, &r->others, &looks)))) {
        tell(e, l);
        r->next_us += rate ? 1000000u / rate : 0;
    }
    if (!r->talking.used && !r->others.used)
        return;
    /* One that waits for its pace, or for room in the outbox, is near; else something has to change first. */
    uint64_t at = r->next_us > e->now ? r->next_us : e->now + (l || !looks ? 1000 : AGAIN_US);
    wheel_set(&e->wheel, &r->timer, at);
}
