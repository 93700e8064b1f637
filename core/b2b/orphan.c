/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/orphan.h"

#include "core/b2b/agree.h"
#include "core/b2b/call.h"
#include "core/b2b/late.h"
#include "core/b2b/media.h"
#include "core/b2b/wire.h"

/* Whoever takes its place agrees with the other party anew. */
static bool is_taken_over(const struct engine *e, const struct leg *l) {
    const struct transfer *t = transfer_get(e, l->transfer);
    return t && t->mode == MODE_TAKEOVER && l->transfer_role == TR_CONSULT;
}

/* p has l's re-INVITE, and brings its answer. */
static bool answers(const struct engine *e, const struct leg *p, const struct leg *l) {
    return leg_is_up(p) && p->peer == l->self && p->invite_out != HANDLE_NONE && !p->own_invite &&
           !is_taken_over(e, p);
}

/* Its offer was taken when it came. Refused for now where what was agreed before does not fit it. */
static void answer_invite(struct engine *e, struct leg *l) {
    const struct sip_msg *msg = wire_request_again(e, l->invite_in);
    struct slice sdp = SLICE_NONE;
    if (msg)
        sdp = msg->body.n ? media_answer_alone(e, l, msg->body) : media_describe(e, l, leg_told(e, l), -1);
    if (!sdp.p || !leg_answer(e, l, sdp, SLICE_NONE))
        leg_respond_invite(e, l, &(struct uas_response){ .status = 491 });
}

static void answer_update(struct engine *e, struct leg *l) {
    const struct sip_msg *msg = wire_request_again(e, l->update_in);
    handle txn = l->update_in;
    bool ok = msg && media_answer_alone(e, l, msg->body).p;
    struct uas_response r = { .status = ok ? 200 : 491, .to_tag = leg_str(l, DLG_LOCAL_TAG) };
    l->update_in = HANDLE_NONE;
    media_offer_settled(e, l, ok);
    oa_step(&l->oa, ok ? OA_EV_SEND_ANSWER : OA_EV_ABORT);
    if (!ok) {
        wire_respond(e, txn, NULL, &r, l);
        return;
    }
    leg_offer_answered(l);
    r.content_type = SL("application/sdp");
    r.body = leg_str(l, LEG_SDP_LOCAL);
    leg_answer_update(e, l, txn, &r);
}

/* Nobody who has it will answer it. */
static bool is_orphan(const struct engine *e, const struct leg *l) {
    const struct txn *in = txn_get(&e->txns, l->update_in), *out = in ? txn_get(&e->txns, txn_peer(in)) : NULL;
    const struct leg *p = out ? leg_get(e, out->ctx) : NULL;
    if (l->invite_in != HANDLE_NONE)
        return !answers(e, leg_peer(e, l), l);
    return in && l->oa == OA_OFFER_RCVD && !(leg_is_up(p) && !is_taken_over(e, p));
}

/* Its 2xx has brought an offer that was passed on, in a 2xx whose ACK will not come, or not from whom it talks with.
 * One that was called without an offer has no session as before, and waits for whoever it is to talk with; but not a
 * target that is being given back, and told of that in its turn. */
static bool owes_ack(const struct engine *e, const struct leg *l) {
    if (!l->late_offer || l->own_invite || l->oa != OA_OFFER_RCVD || l->invite_out != HANDLE_NONE || !leg_is_up(l))
        return false;
    const struct leg *p = leg_peer(e, l);
    bool waits = p && p->peer == l->self && (p->ok || p->state == LEG_INCOMING);
    return !waits && (leg_str(l, LEG_SDP_LOCAL).p || (l->transfer_role == TR_TARGET && l->retry_until));
}

static void answer_offer(struct engine *e, struct leg *l) {
    struct leg *p = leg_peer(e, l);
    l->own_invite = true;
    bool as_before = late_decline(e, l);
    call_changed(e, leg_call(e, l));
    if (!leg_is_up(p) || p->peer != l->self || leg_is_transferred(e, l) || leg_is_transferred(e, p))
        return;
    if (as_before)
        agree(e, l, p);
    else
        leg_reoffer(e, l, leg_str(p, LEG_SDP_REMOTE), -1);
}

static void look_at(struct engine *e, struct leg *l) {
    if (owes_ack(e, l))
        answer_offer(e, l);
    bool open = l->invite_in != HANDLE_NONE || l->update_in != HANDLE_NONE;
    if (!open || !leg_is_up(l) || !is_orphan(e, l))
        return;
    struct leg *p = leg_peer(e, l);
    if (l->invite_in != HANDLE_NONE)
        answer_invite(e, l);
    else
        answer_update(e, l);
    call_changed(e, leg_call(e, l));
    if (leg_is_up(p) && p->peer == l->self && !leg_is_transferred(e, l) && !leg_is_transferred(e, p))
        agree(e, l, p);
}

void orphan_settle(struct engine *e) {
    const struct call *next;
    for (const struct call *c = call_get(e, e->dirty); c; c = next) {
        next = call_get(e, c->next_dirty);
        for (unsigned i = 0; !c->resuming && i < c->leg_count; i++)
            look_at(e, leg_get(e, c->legs[i]));
    }
}

void orphan_settle_early(struct engine *e, struct leg *l) {
    if (l->early_answer && l->oa == OA_OFFER_RCVD && txn_get(&e->txns, l->update_in))
        answer_update(e, l);
}
