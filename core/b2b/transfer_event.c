/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a leg's event means for the transfer it takes part in. */
#include "core/b2b/bridge.h"
#include "core/b2b/call.h"
#include "core/b2b/late.h"
#include "core/b2b/media.h"
#include "core/b2b/record.h"
#include "core/b2b/transfer.h"

static bool is_end(const struct leg_event *ev) {
    return ev->kind == LEG_EV_BYE || ev->kind == LEG_EV_GONE || ev->kind == LEG_EV_CANCELLED;
}

static bool subscriber_event(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev) {
    if (ev->kind == LEG_EV_RESPONSE && ev->purpose == FOR_NOTIFY) {
        transfer_on_notify_response(e, t, ev->status);
        return true;
    }
    if (ev->kind == LEG_EV_REQUEST && ev->msg->method == SIP_M_SUBSCRIBE) {
        transfer_on_subscribe(e, t, l, ev);
        return true;
    }
    return false;
}

static bool transferor_event(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev) {
    if (subscriber_event(e, t, l, ev))
        return true;
    if (is_end(ev)) {
        transfer_step(e, t, TRANSFER_EV_TRANSFEROR_GONE, ev->status);
        return true;
    }
    if (ev->kind == LEG_EV_REINVITE && !(t->result && !t->succeeded)) {
        bridge_answer_alone(e, l, ev->msg);
        return true;
    }
    return false;
}

/* Click-to-dial: the transferee's phones ring; the first that answers is it. */
static bool dialled_event(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev) {
    if (ev->kind == LEG_EV_ANSWERED) {
        leg_ack(e, l, SLICE_NONE);
        bool ok = leg_take_description(e, l, ev->msg);
        t->transferee = l->self;
        transfer_drop_dialled(e, t, l);
        if (!ok)
            leg_end(e, l, 488, SLICE_NONE);
        transfer_step(e, t, ok ? TRANSFER_EV_TRANSFEREE_YES : TRANSFER_EV_TRANSFEREE_NO, ok ? 200 : 488);
        return true;
    }
    /* In a reliable one: its 2xx need not say it again. */
    if (ev->kind == LEG_EV_PROGRESS && l->early_answer && media_in(e, l, ev->msg))
        return media_received(e, l, ev->msg->body, false);
    if (ev->kind == LEG_EV_REFUSED || is_end(ev)) {
        transfer_role(e, t, l->self, TR_NONE);
        if (!transfer_drop_dialled(e, t, NULL))
            transfer_step(e, t, TRANSFER_EV_TRANSFEREE_NO, ev->status);
        return true;
    }
    return false;
}

/* The end of a re-INVITE of ours from before: the transfer's own still waits for its turn, or the other party of that
 * time waits for this answer in its ACK (late.h). False: it is the transfer's. */
static bool earlier_event(struct engine *e, const struct transfer *t, struct leg *l, const struct leg_event *ev) {
    struct leg *other = leg_peer(e, l);
    bool answered = ev->kind == LEG_EV_REANSWERED, owed = other && leg_owes_answer(other);
    /* No transfer asks its target for an offer. */
    bool fresh = answered && l->late_offer && l->transfer_role == TR_TARGET;
    if (!ev->own || !(answered || ev->kind == LEG_EV_REREFUSED) || !(owed || l->reoffer_waits || fresh))
        return false;
    /* The transfer asks for an offer, or makes its own, in the place of one that waited to be tried again, and will not
     * be. */
    bool asked = t->state == TRANSFER_ASK && l->late_offer && !fresh;
    bool offered = (t->state == TRANSFER_OFFERED && l->transfer_role == TR_TARGET) ||
                   (t->state == TRANSFER_TRANSFEREE && l->transfer_role == TR_TRANSFEREE);
    if ((asked || offered) && !l->reoffer_waits && !fresh) {
        late_decline(e, other);
        return false;
    }
    if (answered && l->late_offer && late_offered(e, l, ev->msg))
        late_decline(e, l);
    bool said = answered && !l->late_offer && media_in(e, l, ev->msg) && media_received(e, l, ev->msg->body, false);
    if (owed && !(said && late_answer(e, other, l)))
        late_decline(e, other);
    call_changed(e, leg_call(e, l));
    /* What restores the target's session tells it of what that party offers, and its answer is for both. */
    return l->reoffer_waits || t->state != TRANSFER_RESTORE_TARGET || l->transfer_role != TR_TARGET;
}

/* Its call was lost, or is another node's, since an owner died. While it may still come, nothing is decided. */
static bool is_without_target(const struct engine *e, const struct transfer *t) {
    bool needed = t->state == TRANSFER_ASK || t->state == TRANSFER_TRANSFEREE;
    return needed && !t->resuming && t->mode != MODE_ECHO && !leg_get(e, t->target);
}

static void transferee_answered(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev) {
    bool ok = true;
    if (l->late_offer)
        ok = late_offered(e, l, ev->msg);
    else if (ev->msg->body.n)
        media_received(e, l, ev->msg->body, false);
    if (t->state != TRANSFER_ASK)
        late_decline(e, l); /* it was asked for what nobody wants any more */
    if (ok && is_without_target(e, t))
        transfer_step(e, t, TRANSFER_EV_TARGET_GONE, 480);
    else
        transfer_step(e, t, ok ? TRANSFER_EV_TRANSFEREE_YES : TRANSFER_EV_TRANSFEREE_NO, ok ? ev->status : 488);
}

static bool transferee_event(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev) {
    if (t->state == TRANSFER_DIAL)
        return dialled_event(e, t, l, ev);
    if (is_end(ev)) {
        transfer_step(e, t, TRANSFER_EV_TRANSFEREE_GONE, ev->status);
        return true;
    }
    if (earlier_event(e, t, l, ev))
        return true;
    if (ev->kind == LEG_EV_REANSWERED && ev->own) {
        transferee_answered(e, t, l, ev);
        return true;
    }
    if (ev->kind == LEG_EV_REREFUSED && ev->own) {
        transfer_step(e, t, TRANSFER_EV_TRANSFEREE_NO, ev->status);
        return true;
    }
    if (ev->kind == LEG_EV_REINVITE) {
        bridge_answer_alone(e, l, ev->msg);
        return true;
    }
    return false;
}

/* A consultation that was called without an offer (semi-attended) brings one: it is answered with silence, and the
 * transferee's own offer follows by re-INVITE. */
static void ack(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    struct slice sdp = SLICE_NONE;
    bool offer = l->late_offer && !l->early_answer;
    if (offer && media_in(e, l, msg) && media_received(e, l, msg->body, true))
        sdp = media_describe(e, l, msg->body, SDP_INACTIVE);
    leg_ack(e, l, sdp);
    if (l->oa == OA_OFFER_RCVD)
        oa_step(&l->oa, OA_EV_ABORT);
}

static void target_answered(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev) {
    if (ev->kind == LEG_EV_ANSWERED && !(l->direct && t->mode != MODE_SEMI && transfer_target_waits(l)))
        ack(e, l, ev->msg);
    if (t->state != TRANSFER_TARGET && t->state != TRANSFER_JOIN && t->state != TRANSFER_OFFERED) {
        if (media_in(e, l, ev->msg))
            media_received(e, l, ev->msg->body, false);
        transfer_step(e, t, TRANSFER_EV_TARGET_YES, ev->status);
        return;
    }
    if (!leg_take_description(e, l, ev->msg)) {
        transfer_fail(e, t, 488);
        return;
    }
    t->target = l->self;
    transfer_step(e, t, TRANSFER_EV_TARGET_YES, ev->status);
}

static bool target_event(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev) {
    if (earlier_event(e, t, l, ev))
        return true;
    if (ev->msg && !ev->msg->is_request)
        transfer_note_reason(e, t, ev->msg);
    switch (ev->kind) {
    case LEG_EV_PROGRESS:
        transfer_early_heard(e, t, l, ev->msg);
        transfer_step(e, t, TRANSFER_EV_PROGRESS, ev->status);
        return true;
    case LEG_EV_ANSWERED: target_answered(e, t, l, ev); return true;
    case LEG_EV_REFUSED:
        transfer_role(e, t, l->self, TR_NONE);
        /* One that has answered may be held (transfer_holds_event). */
        if (!transfer_target_rings(e, t) && !transfer_target_up(e, t))
            transfer_step(e, t, TRANSFER_EV_TARGET_NO, ev->status);
        return true;
    case LEG_EV_REANSWERED:
        if (!ev->own)
            return false;
        target_answered(e, t, l, ev);
        return true;
    case LEG_EV_REREFUSED:
        if (!ev->own)
            return false;
        transfer_step(e, t, TRANSFER_EV_TARGET_NO, ev->status);
        return true;
    case LEG_EV_CANCELLED: /* a newcomer that gives up */
    case LEG_EV_BYE:
    case LEG_EV_GONE: transfer_step(e, t, TRANSFER_EV_TARGET_GONE, ev->status); return true;
    case LEG_EV_REINVITE: bridge_answer_alone(e, l, ev->msg); return true;
    default: return false;
    }
}

static bool on_event(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev) {
    if (t->mode == MODE_RELAY)
        return transfer_relay_event(e, t, l, ev);
    switch (l->transfer_role) {
    case TR_SUBSCRIBER: return subscriber_event(e, t, l, ev);
    case TR_TRANSFEROR: return transferor_event(e, t, l, ev);
    case TR_TRANSFEREE: return transferee_event(e, t, l, ev);
    case TR_TARGET: return target_event(e, t, l, ev);
    case TR_CONSULT:
    case TR_REPLACED:
        /* The target is being offered somebody else's media (race 11). */
        if (ev->kind == LEG_EV_REINVITE && l->transfer_role == TR_CONSULT && t->mode == MODE_JOIN) {
            struct uas_response r = { .status = 491 };
            leg_respond_invite(e, l, &r);
            return true;
        }
        if (!is_end(ev))
            return false;
        transfer_step(e, t, l->transfer_role == TR_CONSULT ? TRANSFER_EV_CONSULT_GONE : TRANSFER_EV_REPLACED_GONE,
                      ev->status);
        return true;
    default: return false;
    }
}

bool transfer_on_event(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct transfer *t = transfer_get(e, l->transfer);
    if (!t)
        return false;
    handle self = t->self;
    /* While parties are missing what decides is held: transfer_holds_event. */
    bool waited = !transfer_awaits(e, t) && transfer_wait_over(e, t);
    bool done = on_event(e, t, l, ev);
    if (waited)
        transfer_resume_now(e, transfer_get(e, self));
    return done;
}
