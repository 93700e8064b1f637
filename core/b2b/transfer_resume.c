/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What its legs have in flight is theirs to resume (recover.h); here is what follows from the state alone. */
#include "core/b2b/agree.h"
#include "core/b2b/call.h"
#include "core/b2b/cdr.h"
#include "core/b2b/late.h"
#include "core/b2b/media.h"
#include "core/b2b/party.h"
#include "core/b2b/record.h"
#include "core/b2b/transfer.h"

#define PARTIES_WAIT_US 5000000
#define LOOK_AGAIN_US 2000
#define PARTIES_LOOK_US 20000

bool transfer_wait_over(struct engine *e, struct transfer *t) {
    bool waited = t->resuming;
    if (t->resuming && t->deadline_us)
        wheel_set(&e->wheel, &t->timer, t->deadline_us > e->now ? t->deadline_us : e->now);
    else if (t->resuming)
        wheel_cancel(&e->wheel, &t->timer);
    t->resuming = false;
    return waited;
}

static bool is_resuming(const struct engine *e, handle call) {
    const struct call *c = call_get(e, call);
    return c && c->resuming;
}

bool transfer_parties_come(const struct engine *e, const struct transfer *t) {
    struct leg *legs[PARTY_LEGS_MAX];
    bool any = is_resuming(e, t->consult_call);
    unsigned n = any ? 0 : party_legs(e, t, legs);
    for (unsigned i = 0; i < n; i++)
        any = any || is_resuming(e, legs[i]->call);
    return any;
}

bool transfer_awaits(const struct engine *e, const struct transfer *t) {
    return t->resuming && (transfer_awaits_party(t) || transfer_parties_come(e, t));
}

bool transfer_looks_again(struct engine *e, struct transfer *t) {
    bool come = transfer_parties_come(e, t);
    if (come)
        wheel_set(&e->wheel, &t->timer, e->now + PARTIES_LOOK_US);
    return come;
}

bool transfer_is_decided(const struct transfer *t) {
    return t->state == TRANSFER_NOTIFYING || t->state == TRANSFER_BYE_WAIT || t->state == TRANSFER_ANNOUNCE;
}

/* Records of its other parties may still come: nothing is decided without them before the wait is over. */
static bool waits_for_parties(struct engine *e, struct transfer *t) {
    bool come = t->resuming && transfer_parties_come(e, t), over = t->resuming && !come && !wheel_is_set(&t->timer);
    if (over || !(come || transfer_awaits_party(t)) || transfer_is_decided(t)) {
        transfer_wait_over(e, t);
        return false;
    }
    if (!t->resuming) {
        t->deadline_us = wheel_is_set(&t->timer) ? t->timer.deadline_us : 0;
        wheel_set(&e->wheel, &t->timer, e->now + PARTIES_WAIT_US);
    } else if (!wheel_is_set(&t->timer)) {
        wheel_set(&e->wheel, &t->timer, e->now + LOOK_AGAIN_US);
    }
    t->resuming = true;
    return true;
}

/* It is not known whether the last NOTIFY arrived. */
static void notify_again(struct engine *e, struct transfer *t) {
    uint16_t status = t->queued ? t->queued : t->progress ? t->progress : 100;
    t->notifying = false;
    t->queued = 0;
    t->silent = false; /* it may be the one that says that the subscription has run out */
    if (t->final_sent)
        status = t->result;
    t->final_sent = false;
    transfer_notify(e, t, status);
}

static bool is_named(const struct transfer *t, handle leg) {
    return leg == t->target || leg == t->consult || leg == t->replaced;
}

/* The transferee had agreed before the transferor's leg of the consultation was here, or could be ended; or the target
 * had left, and its own call's record does not say so; or both had, and their call's record is of before. */
static bool is_left_over(const struct engine *e, const struct transfer *t, const struct leg *l) {
    if (!leg_is_live(l) || l->transfer != t->self)
        return false;
    if (leg_is_up(l) && l->call != t->call && !is_named(t, l->self))
        return l->transfer_role == TR_CONSULT || l->transfer_role == TR_REPLACED || l->transfer_role == TR_TARGET;
    if (l->transfer_role == TR_CONSULT)
        return t->committed;
    return l->transfer_role == TR_TARGET && transfer_is_decided(t) && !leg_get(e, l->peer);
}

/* The transfer failed, and they talk with one another again, which their own call's record is from before. */
static bool is_given_back(const struct engine *e, const struct transfer *t, const struct leg *l) {
    bool given = l->transfer_role == TR_TARGET || l->transfer_role == TR_CONSULT;
    return given && l->transfer == t->self && leg_is_live(l) && leg_is_live(leg_get(e, l->peer)) &&
           transfer_is_decided(t) && !t->committed;
}

/* Its media goes the way of its consultation's again; what it is offered just then may be of the other way. */
static void give_back(struct engine *e, struct transfer *t, struct leg *l) {
    struct leg *p = leg_peer(e, l);
    bool other_way = l->transfer_role == TR_TARGET && p && p->peer == l->self && l->direct != p->direct;
    transfer_role(e, t, l->self, TR_NONE);
    if (!other_way)
        return;
    l->direct = p->direct;
    if (!is_resuming(e, l->call))
        agree(e, p, l);
}

static void end_left_over(struct engine *e, struct transfer *t, struct leg *l) {
    bool left = is_left_over(e, t, l);
    bool talks = left && t->recall_step && !is_named(t, l->self); /* settled before who is recalled was called */
    if (talks || is_given_back(e, t, l)) {
        give_back(e, t, l);
    } else if (left) {
        transfer_role(e, t, l->self, TR_NONE);
        leg_end(e, l, 487, SLICE_NONE);
    }
}

static void end_all_left_over(struct engine *e, struct transfer *t) {
    struct leg *legs[PARTY_LEGS_MAX];
    unsigned n = party_legs(e, t, legs);
    for (unsigned i = 0; i < n; i++)
        end_left_over(e, t, legs[i]);
}

static void take(struct engine *e, struct transfer *t, handle leg, enum transfer_role role) {
    const struct leg *l = leg_get(e, leg);
    if (leg_is_live(l) && l->transfer == HANDLE_NONE && !leg_str(l, LEG_TRANSFER_AT).p)
        transfer_role(e, t, leg, role);
}

/* The target has replaced its consultation, of which the transferor's leg was ended; the consultation's own record is
 * of before, and has both talk. */
static void take_consultation_back(struct engine *e, struct transfer *t) {
    const struct leg *c = leg_get(e, t->replaced);
    struct leg *b = t->mode == MODE_REPLACE && t->committed && leg_is_up(c) ? leg_peer(e, c) : NULL;
    if (leg_is_up(b) && b->peer == c->self && b->call != t->call && !leg_is_live(leg_get(e, t->consult)))
        t->consult = b->self;
}

/* Parties whose own call's record, of before, does not know of the transfer. The target of a join is asked once more
 * before. */
static void take_parties(struct engine *e, struct transfer *t) {
    if (t->result && !t->committed && t->state != TRANSFER_RESTORE_TARGET)
        return;
    take_consultation_back(e, t);
    take(e, t, t->consult, TR_CONSULT);
    if (t->replaced != t->target)
        take(e, t, t->replaced, TR_REPLACED);
    if (!t->committed && t->state != TRANSFER_JOIN)
        take(e, t, t->target, TR_TARGET);
}

/* Semi-attended: the consultation's record, of before, has all that rings ring for the transferor. */
static void take_ringing(struct engine *e, struct transfer *t) {
    const struct leg *l = leg_get(e, t->target);
    struct leg *d = leg_is_live(l) && l->transfer == t->self ? leg_peer(e, l) : NULL;
    if (d && d->state == LEG_INCOMING && t->mode == MODE_SEMI && t->state == TRANSFER_TARGET)
        transfer_semi_take(e, t, d);
}

/* The same, and the target has answered since, before this was known: it is a consultation like another. */
static void take_consultation(struct engine *e, struct transfer *t, const struct leg *target) {
    bool open = (t->mode == MODE_SEMI || t->mode == MODE_JOIN) && !t->result && !t->committed;
    struct leg *d = leg_is_up(target) && target->transfer == t->self ? leg_peer(e, target) : NULL;
    if (!open || !leg_is_up(d) || d->call == t->call || d->transfer != HANDLE_NONE ||
        leg_is_live(leg_get(e, t->consult)))
        return;
    t->consult = d->self;
    take(e, t, d->self, TR_CONSULT);
}

static bool in_flight(const struct engine *e, handle leg) {
    const struct leg *l = leg_get(e, leg);
    return leg_is_up(l) && (l->retry_until || l->invite_out != HANDLE_NONE);
}

/* A target whose own record has left the transfer, which this one's has not heard of, is asked once more. */
static bool target_left(struct engine *e, struct transfer *t) {
    const struct leg *l = leg_get(e, t->target);
    if (!leg_is_up(l) || l->transfer == t->self)
        return false;
    transfer_role(e, t, l->self, TR_TARGET);
    return true;
}

static void resume_join(struct engine *e, struct transfer *t) {
    if (!target_left(e, t) && in_flight(e, t->target))
        return;
    if (leg_is_up(leg_get(e, t->target)))
        transfer_join(e, t);
    else
        transfer_step(e, t, TRANSFER_EV_TARGET_NO, 481);
}

/* The target has answered. Semi-attended: by its own call's record, which this one's is from before. Else while this
 * one's parties were waited for by an owner that died too. */
static bool has_answered(struct engine *e, struct transfer *t) {
    struct leg *l = t->state == TRANSFER_TARGET ? transfer_target_up(e, t) : NULL;
    if (!l)
        return false;
    t->target = l->self;
    if (t->mode != MODE_SEMI) {
        transfer_step(e, t, TRANSFER_EV_TARGET_YES, 200);
        return true;
    }
    t->replaced = l->self;
    transfer_drop_targets(e, t, l);
    t->mode = MODE_JOIN;
    t->joined = in_flight(e, l->self);
    transfer_go(e, t, TRANSFER_JOIN);
    resume_join(e, t);
    return true;
}

static void resume_target(struct engine *e, struct transfer *t) {
    if (has_answered(e, t))
        return;
    if (!transfer_target_rings(e, t))
        transfer_step(e, t, TRANSFER_EV_TARGET_NO, 503);
    else if (!wheel_is_set(&t->timer) && t->state == TRANSFER_TARGET)
        wheel_set(&e->wheel, &t->timer, e->now + e->cfg.ring_timeout_us);
}

static void resume_transferee(struct engine *e, struct transfer *t) {
    struct leg *c = leg_get(e, t->target);
    if (!leg_is_live(c) && t->mode != MODE_ECHO)
        transfer_step(e, t, TRANSFER_EV_TARGET_GONE, 480);
    else if (!in_flight(e, t->transferee) && c && !transfer_join_again(e, t))
        transfer_answered(e, t, c, leg_str(c, LEG_SDP_REMOTE));
}

static void resume_notifying(struct engine *e, struct transfer *t) {
    /* The NOTIFY that has just been sent again has the whole of its time. */
    if (t->notifying)
        wheel_set(&e->wheel, &t->timer, e->now + TRANSFER_NOTIFYING_T1 * e->cfg.t1_us);
    if (!t->final_sent)
        transfer_notify(e, t, t->result);
    else if (!t->notifying)
        transfer_step(e, t, TRANSFER_EV_NOTIFIED, t->result);
}

static void resume_bye_wait(struct engine *e, struct transfer *t) {
    if (!leg_is_live(leg_get(e, t->transferor)))
        transfer_step(e, t, TRANSFER_EV_TRANSFEROR_GONE, 0);
    else if (!wheel_is_set(&t->timer))
        wheel_set(&e->wheel, &t->timer, e->now + e->cfg.bye_wait_us);
}

/* The call had its record written with the target's answer, and the target's own call had not: it answers once more.
 * What the transferee was asked for meanwhile it is asked for again then. */
static void back_to_ringing(struct engine *e, struct transfer *t) {
    t->held_event = 0;
    t->mode = MODE_SEMI;
    t->replaced = HANDLE_NONE;
    if (t->state == TRANSFER_ASK || t->state == TRANSFER_OFFERED) {
        t->asked = t->joined = false;
        late_decline(e, leg_get(e, t->transferee));
    }
    transfer_go(e, t, TRANSFER_TARGET);
}

static bool is_joining(const struct transfer *t) {
    return t->state == TRANSFER_JOIN || t->state == TRANSFER_TRANSFEREE || t->state == TRANSFER_ASK ||
           t->state == TRANSFER_OFFERED;
}

static void step_back(struct engine *e, struct transfer *t) {
    const struct leg *c = leg_get(e, t->target);
    bool asked_again = in_flight(e, t->target) || (leg_is_up(c) && c->transfer == HANDLE_NONE);
    bool rings = c && (c->state == LEG_CALLING || c->state == LEG_EARLY);
    if (t->mode != MODE_JOIN)
        return;
    if (is_joining(t) && rings) {
        back_to_ringing(e, t);
    } else if (t->state == TRANSFER_TRANSFEREE && asked_again) {
        t->held_event = 0;
        transfer_go(e, t, TRANSFER_JOIN);
    }
}

/* The target is being joined, by its own call's record; by this one's its INVITE with Replaces is still open: when that
 * is refused, it is asked to be joined. What it answers before is for nobody. */
static void join_later(struct engine *e, struct transfer *t) {
    const struct leg *l = leg_get(e, t->replaced);
    bool calls = t->state == TRANSFER_TARGET || t->state == TRANSFER_FALLBACK;
    if (t->mode == MODE_REPLACE && calls && l && l->transfer == t->self && l->transfer_role == TR_TARGET)
        transfer_role(e, t, l->self, TR_REPLACED);
}

static void resume_state(struct engine *e, struct transfer *t) {
    switch (t->state) {
    case TRANSFER_TARGET:
    case TRANSFER_FALLBACK:
        transfer_play(e, t, MEDIA_SOURCE_MUSIC);
        resume_target(e, t);
        break;
    case TRANSFER_JOIN:
        transfer_play(e, t, MEDIA_SOURCE_MUSIC);
        resume_join(e, t);
        break;
    case TRANSFER_ASK:
        transfer_play(e, t, MEDIA_SOURCE_MUSIC);
        if (!in_flight(e, t->transferee))
            transfer_step(e, t, TRANSFER_EV_TRANSFEREE_NO, 503);
        break;
    case TRANSFER_OFFERED:
        if (!in_flight(e, t->target))
            transfer_step(e, t, TRANSFER_EV_TARGET_NO, 503);
        break;
    case TRANSFER_TRANSFEREE: resume_transferee(e, t); break;
    case TRANSFER_RESTORE_TARGET:
        if (!in_flight(e, t->target))
            transfer_step(e, t, TRANSFER_EV_TARGET_YES, 200);
        break;
    case TRANSFER_RESTORE_TRANSFEREE:
        if (!in_flight(e, t->transferee))
            transfer_step(e, t, TRANSFER_EV_TRANSFEREE_YES, 200);
        break;
    case TRANSFER_NOTIFYING: resume_notifying(e, t); break;
    case TRANSFER_BYE_WAIT: resume_bye_wait(e, t); break;
    case TRANSFER_ANNOUNCE:
        if (leg_is_up(leg_get(e, t->transferee)))
            media_play(e, leg_get(e, t->transferee), MEDIA_SOURCE_ANNOUNCEMENT);
        break;
    default: break;
    }
}

/* It has hung up, and whatever else was held, or is to be resumed, is for nobody. */
static bool is_without_transferee(const struct engine *e, const struct transfer *t) {
    return transfer_action_at(t->state, TRANSFER_EV_TRANSFEREE_GONE) == TRANSFER_DO_ABANDON &&
           !leg_is_live(leg_get(e, t->transferee));
}

/* It answered meanwhile, and hung up again. */
static bool left_again(const struct engine *e, const struct transfer *t, enum transfer_event ev) {
    return t->state == TRANSFER_TARGET && ev == TRANSFER_EV_TARGET_YES && !leg_is_live(leg_get(e, t->target));
}

/* The transferee has agreed to talk with who did not come, or hung up meanwhile. */
static bool is_without_target(const struct engine *e, const struct transfer *t, enum transfer_event ev) {
    bool needed = t->state == TRANSFER_ASK || t->state == TRANSFER_TRANSFEREE;
    return needed && ev == TRANSFER_EV_TRANSFEREE_YES && t->mode != MODE_ECHO && !leg_is_live(leg_get(e, t->target));
}

static void resume_event(struct engine *e, struct transfer *t) {
    bool gone = is_without_transferee(e, t);
    enum transfer_event ev = gone ? TRANSFER_EV_TRANSFEREE_GONE : (enum transfer_event)(t->held_event - 1);
    t->held_event = 0;
    if (left_again(e, t, ev))
        transfer_fail(e, t, 480);
    else if (is_without_target(e, t, ev))
        transfer_step(e, t, TRANSFER_EV_TARGET_GONE, 480);
    else
        transfer_step(e, t, ev, gone ? 487 : t->held_status);
}

/* Its call came so late that a leg of another one, free meanwhile, takes part in another transfer by now. */
static void leave_taken(const struct engine *e, const struct transfer *t, handle *party) {
    const struct leg *l = leg_get(e, *party);
    if (l && l->call != t->call && l->transfer != HANDLE_NONE && l->transfer != t->self)
        *party = HANDLE_NONE;
}

static void leave_all_taken(const struct engine *e, struct transfer *t) {
    leave_taken(e, t, &t->consult);
    leave_taken(e, t, &t->replaced);
    leave_taken(e, t, &t->target);
}

static void resume(struct engine *e, struct transfer *t) {
    handle self = t->self;
    if (t->mode == MODE_RELAY) {
        /* One that was passed on, and nothing is heard of, has promised nothing: the transferor's REFER comes again. */
        if (!transfer_relay_resume(e, t))
            transfer_release(e, t);
        return;
    }
    leave_all_taken(e, t);
    if (!is_without_transferee(e, t))
        step_back(e, t);
    join_later(e, t);
    take_parties(e, t);
    take_ringing(e, t);
    take_consultation(e, t, leg_get(e, t->target));
    end_all_left_over(e, t);
    if (t->notifying && !t->notified_here)
        notify_again(e, t);
    if (!transfer_get(e, self))
        return;
    if (t->held_event || is_without_transferee(e, t))
        resume_event(e, t);
    else
        resume_state(e, t);
}

void transfer_resume(struct engine *e, struct transfer *t) {
    t->order_conn = 0;
    cdr_taken_over(e, t);
    if (t->subscriber == HANDLE_NONE && !t->outside && !transfer_is_explicit(t))
        t->subscriber = t->transferor;
    if (t->mode == MODE_RELAY || !waits_for_parties(e, t))
        resume(e, t);
}

void transfer_miss(struct engine *e, struct transfer *t) {
    if (t->mode != MODE_RELAY)
        waits_for_parties(e, t);
}

void transfer_resume_now(struct engine *e, struct transfer *t) {
    if (t)
        resume(e, t);
}

bool transfer_holds_event(const struct engine *e, struct transfer *t, enum transfer_event ev, uint16_t status) {
    bool about = ev == TRANSFER_EV_TARGET_YES || ev == TRANSFER_EV_TARGET_NO || ev == TRANSFER_EV_TARGET_GONE ||
                 ev == TRANSFER_EV_TRANSFEREE_YES || ev == TRANSFER_EV_TRANSFEREE_NO ||
                 ev == TRANSFER_EV_TRANSFEREE_GONE;
    const struct call *c = call_get(e, t->call);
    if (!(t->resuming || (c && c->resuming)) || !about || transfer_action_at(t->state, ev) == TRANSFER_DO_NONE)
        return false;
    t->held_event = (uint8_t)(ev + 1);
    t->held_status = status;
    return true;
}

void transfer_party_resumed(struct engine *e, struct transfer *t, struct leg *l) {
    if (t->resuming)
        transfer_resume(e, t);
    else
        end_left_over(e, t, l);
}
