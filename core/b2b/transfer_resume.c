/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What its legs have in flight is theirs to resume (recover.h); here is what follows from the state alone. */
#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "core/b2b/record.h"
#include "core/b2b/transfer.h"

#define PARTIES_WAIT_US 5000000

bool transfer_wait_over(struct engine *e, struct transfer *t) {
    bool waited = t->resuming;
    if (t->resuming && t->deadline_us)
        wheel_set(&e->wheel, &t->timer, t->deadline_us > e->now ? t->deadline_us : e->now);
    else if (t->resuming)
        wheel_cancel(&e->wheel, &t->timer);
    t->resuming = false;
    return waited;
}

/* Records of its other parties may still come: nothing is decided without them before the wait is over. */
static bool waits_for_parties(struct engine *e, struct transfer *t) {
    bool missing = transfer_awaits_party(t);
    if (!missing || (t->resuming && !wheel_is_set(&t->timer))) {
        transfer_wait_over(e, t);
        return false;
    }
    if (!t->resuming) {
        t->deadline_us = wheel_is_set(&t->timer) ? t->timer.deadline_us : 0;
        wheel_set(&e->wheel, &t->timer, e->now + PARTIES_WAIT_US);
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

static bool in_flight(const struct engine *e, handle leg) {
    const struct leg *l = leg_get(e, leg);
    return leg_is_up(l) && (l->retry_until || l->invite_out != HANDLE_NONE);
}

static void resume_target(struct engine *e, struct transfer *t) {
    if (!transfer_target_rings(e, t))
        transfer_step(e, t, TRANSFER_EV_TARGET_NO, 503);
    else if (!wheel_is_set(&t->timer) && t->state == TRANSFER_TARGET)
        wheel_set(&e->wheel, &t->timer, e->now + e->cfg.ring_timeout_us);
}

static void resume_join(struct engine *e, struct transfer *t) {
    if (in_flight(e, t->target))
        return;
    if (leg_is_up(leg_get(e, t->target)))
        transfer_join(e, t);
    else
        transfer_step(e, t, TRANSFER_EV_TARGET_NO, 481);
}

static void resume_transferee(struct engine *e, struct transfer *t) {
    struct leg *c = leg_get(e, t->target);
    if (!leg_is_up(leg_get(e, t->transferee)))
        transfer_step(e, t, TRANSFER_EV_TRANSFEREE_GONE, 487);
    else if (!leg_is_live(c) && t->mode != MODE_ECHO)
        transfer_step(e, t, TRANSFER_EV_TARGET_GONE, 480);
    else if (!in_flight(e, t->transferee) && c)
        transfer_answered(e, t, c, leg_str(c, LEG_SDP_REMOTE));
}

/* The record of the consultation is older than that of the transfer: its end was not stored. */
static void end_consult(struct engine *e, struct transfer *t) {
    const struct call *c = t->committed ? call_get(e, t->consult_call) : NULL;
    for (unsigned i = 0; c && i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        if (l->transfer != t->self || l->transfer_role != TR_CONSULT)
            continue;
        transfer_role(e, t, l->self, TR_NONE);
        if (leg_is_live(l))
            leg_end(e, l, 487, SLICE_NONE);
    }
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

/* One that was passed on and not answered has promised nothing: the REFER comes again. */
static void resume_relayed(struct engine *e, struct transfer *t) {
    if (!t->relay_answered || !leg_is_live(leg_get(e, t->transferee)))
        transfer_release(e, t);
}

/* unsure: a NOTIFY was unanswered when its owner died, and not one that has been sent here. */
static void resume(struct engine *e, struct transfer *t, bool unsure) {
    handle self = t->self;
    if (t->mode == MODE_RELAY) {
        resume_relayed(e, t);
        return;
    }
    if (t->state == TRANSFER_NOTIFYING || t->state == TRANSFER_BYE_WAIT)
        end_consult(e, t);
    if (unsure && t->notifying)
        notify_again(e, t);
    if (transfer_get(e, self))
        resume_state(e, t);
}

void transfer_resume(struct engine *e, struct transfer *t) {
    t->order_conn = 0;
    if (t->subscriber == HANDLE_NONE && !transfer_is_explicit(t))
        t->subscriber = t->transferor;
    if (!waits_for_parties(e, t))
        resume(e, t, t->notifying);
}

void transfer_resume_now(struct engine *e, struct transfer *t, bool unsure) {
    if (t)
        resume(e, t, unsure);
}
