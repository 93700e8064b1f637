/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/bridge.h"

#include "core/b2b/agree.h"
#include "core/b2b/bridge_int.h"
#include "core/b2b/call.h"
#include "core/b2b/late.h"
#include "core/b2b/media.h"
#include "core/b2b/reanchor.h"
#include "core/b2b/policy.h"
#include "core/b2b/transfer.h"
#include "core/b2b/wire.h"
#include "core/sip/rel100.h"
#include "parser/sip_hdr.h"
#include "parser/sip_write.h"

static void refuse_invite(struct engine *e, struct leg *l, uint16_t status, const struct sip_msg *msg) {
    struct uas_response r = { .status = status };
    if (msg) {
        r.reason = msg->reason;
        r.extra = bridge_headers(e, msg);
    }
    leg_respond_invite(e, l, &r);
}

/* ---- set-up ---- */

static void on_progress(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct leg *caller = leg_get(e, l->peer);
    if (!caller || caller->state != LEG_INCOMING)
        return;
    struct uas_response r = { .status = ev->status, .reason = ev->msg->reason, .content_type = SL("application/sdp") };
    bool offer = l->prack_rseq != 0;
    /* Who has taken a caller's place is told when the 2xx comes, which need not say again what a reliable 18x did. */
    bool counts = !caller->adopts || (l->early_answer && rel100_rseq(ev->msg));
    bool described = counts && l->late_offer == offer && media_in(e, l, ev->msg);
    if (described && media_received(e, l, ev->msg->body, offer) && !caller->adopts) {
        if (leg_may_describe_early(caller))
            r.body = media_describe(e, caller, ev->msg->body, -1);
        media_connect(e, caller, l);
    }
    r.extra = bridge_headers(e, ev->msg);
    bool reliable = leg_progress(e, caller, &r, rel100_rseq(ev->msg) != 0);
    l->prack_waits = offer && reliable && r.body.n;
}

/* The caller has answered the offer of a 18x: that is the answer to whoever made it. */
static void on_prack(struct engine *e, struct leg *l, const struct leg_event *ev) {
    const struct call *c = leg_call(e, l);
    bool answered = media_in(e, l, ev->msg) && media_received(e, l, ev->msg->body, true);
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *o = leg_get(e, c->legs[i]);
        if (!o || o->peer != l->self || !o->prack_waits)
            continue;
        struct slice sdp = answered ? media_describe(e, o, ev->msg->body, -1) : SLICE_NONE;
        leg_prack(e, o, sdp);
        media_connect(e, l, o);
    }
}

/* The first 2xx wins; what else rings is cancelled (section 16.7). */
static void cancel_forks(struct engine *e, struct leg *caller, const struct leg *winner) {
    struct call *c = leg_call(e, caller);
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        if (l && l != winner && l->peer == caller->self && l->role == ROLE_CALLEE && leg_is_live(l))
            leg_end(e, l, 487, SL("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"));
    }
}

void bridge_connect(struct engine *e, struct leg *caller, struct leg *l) {
    struct call *c = leg_call(e, caller);
    l->peer = caller->self;
    caller->peer = l->self;
    cancel_forks(e, caller, l);
    media_connect(e, caller, l);
    c->answered = true;
    c->answered_ms = e->wall_ms;
    metrics_add(&e->metrics, M_calls_answered, 1);
    call_changed(e, c);
}

/* What l has said last, as the answer to its caller's offer. */
static struct slice for_caller_of(struct engine *e, struct leg *caller, const struct leg *l) {
    struct slice said = leg_str(l, LEG_SDP_REMOTE);
    return caller->adopts ? media_answer_common(e, caller, said) : media_describe(e, caller, said, -1);
}

static void on_answered(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct leg *caller = leg_get(e, l->peer);
    if (!l->late_offer || l->early_answer)
        leg_ack(e, l, SLICE_NONE);
    if (!caller || caller->state != LEG_INCOMING) {
        leg_end(e, l, 487, SLICE_NONE);
        return;
    }
    /* A gateway that described itself in a 18x may leave it out of the 2xx. */
    struct slice sdp = SLICE_NONE, answer = ev->msg->body.n ? ev->msg->body : leg_str(l, LEG_SDP_REMOTE);
    bool known = answer.p && (!ev->msg->body.n || (media_check(e, l, answer) == 0 &&
                                                   media_received(e, l, answer, l->late_offer)));
    if (known)
        sdp = leg_may_describe_early(caller) ? for_caller_of(e, caller, l) : leg_str(caller, LEG_SDP_LOCAL);
    if (!sdp.p || !leg_answer(e, caller, sdp, bridge_headers(e, ev->msg))) {
        if (l->late_offer && !l->early_answer)
            leg_ack(e, l, SLICE_NONE);
        refuse_invite(e, caller, caller->adopts ? 488 : 502, NULL);
        leg_end(e, l, 0, SL("Reason: SIP;cause=488\r\n"));
        return;
    }
    bridge_connect(e, caller, l);
    if (caller->adopts)
        agree(e, caller, l);
    caller->adopts = false;
}

/* Section 16.7 step 6: 6xx first, else the lowest class. */
static unsigned rank(uint16_t status) {
    return status >= 600 ? 0 : status / 100;
}

static bool still_rings(const struct engine *e, const struct leg *caller, const struct leg *but) {
    const struct call *c = leg_call(e, caller);
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *o = leg_get(e, c->legs[i]);
        if (o && o != but && o->peer == caller->self && o->role == ROLE_CALLEE && leg_is_live(o))
            return true;
    }
    return false;
}

static void on_refused(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct leg *caller = leg_get(e, l->peer);
    if (!caller || caller->state != LEG_INCOMING)
        return;
    bool best = !caller->refused_status || rank(ev->status) < rank(caller->refused_status);
    if (best)
        caller->refused_status = ev->status;
    if (still_rings(e, caller, l)) {
        if (ev->status < 600)
            return;
        cancel_forks(e, caller, l);
    }
    uint16_t status = bridge_status(caller->refused_status);
    refuse_invite(e, caller, status, best && status == ev->status ? ev->msg : NULL);
    metrics_add(&e->metrics, M_calls_refused, 1);
}

/* ---- re-INVITE ---- */

static void answer_alone(struct engine *e, struct leg *l, const struct sip_msg *msg, bool mirrored) {
    struct slice sdp;
    if (!msg->body.n) {
        sdp = media_describe(e, l, leg_told(e, l), -1);
    } else {
        if (media_check_offer(e, l, msg->body) != 0 || !media_offered(e, l, msg->body)) {
            refuse_invite(e, l, 488, NULL);
            return;
        }
        sdp = mirrored ? media_describe(e, l, msg->body, sdp_reverse((enum sdp_direction)l->media.own_direction))
                      : media_answer_alone(e, l, msg->body);
    }
    if (!sdp.p || !leg_answer(e, l, sdp, SLICE_NONE))
        refuse_invite(e, l, 488, NULL);
}

void bridge_answer_alone(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    answer_alone(e, l, msg, l->echo);
}

/* From what the leg was told, or from its own offer, whichever is the smaller set of formats: the other party has those
 * of what was told, and is not asked. False: neither is part of the other. */
static bool may_answer_alone(const struct leg *l, struct slice offer, struct sdp *o, bool *mirrored) {
    struct sdp told;
    struct slice local = leg_str(l, LEG_SDP_LOCAL);
    if (!offer.n || !local.p || l->session_unsure || sdp_parse(offer, o) < 0 ||
        sdp_parse(local, &told) < 0 || !o->media_count)
        return false;
    *mirrored = !sdp_formats_subset(&told, o);
    return !*mirrored || sdp_formats_subset(o, &told);
}

static bool is_talking(const struct leg *l) {
    struct sdp s;
    struct slice remote = leg_str(l, LEG_SDP_REMOTE);
    return remote.p && sdp_parse(remote, &s) >= 0 && s.media_count && s.media[0].direction == SDP_SENDRECV;
}

/* Hold that is answered here: the other party keeps the session it has, and hears music. */
static bool hold_here(struct engine *e, struct leg *l, struct leg *other, const struct sip_msg *msg) {
    struct sdp o;
    bool mirrored = false;
    bool wanted = !l->direct && policy_hold_mode(e, leg_str(l, LEG_PRINCIPAL)) == HOLD_LOCAL;
    if (!wanted || !may_answer_alone(l, msg->body, &o, &mirrored))
        return false;
    bool holds = o.media[0].zero_hold || !(o.media[0].direction & SDP_RECVONLY);
    bool resumes = !holds && l->holds_here && is_talking(other);
    l->holds_here = holds;
    if (!holds && !resumes)
        return false;
    answer_alone(e, l, msg, mirrored);
    if (holds)
        media_play(e, other, MEDIA_SOURCE_MUSIC);
    else
        media_connect(e, l, other);
    call_changed(e, leg_call(e, l));
    return true;
}

static void on_reinvite(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct leg *other = leg_peer(e, l);
    struct slice body = ev->msg->body, sdp = SLICE_NONE;
    uint16_t bad = body.n ? media_check_offer(e, l, body) : 0;
    if (bad) {
        refuse_invite(e, l, bad, NULL);
        return;
    }
    if (!other) {
        bridge_answer_alone(e, l, ev->msg);
        return;
    }
    if (hold_here(e, l, other, ev->msg))
        return;
    if (!leg_may_reinvite(other)) {
        refuse_invite(e, l, 491, NULL);
        return;
    }
    if (body.n) {
        if (!media_offered(e, l, body) || !(sdp = media_describe(e, other, body, -1)).p) {
            refuse_invite(e, l, 488, NULL);
            return;
        }
    }
    if (!leg_reinvite(e, other, sdp, bridge_headers(e, ev->msg))) {
        other->session_unsure = true;
        refuse_invite(e, l, 491, NULL);
    }
}

/* The offer that l was asked for is of no use to the other one: l goes on with what it had. */
static void decline(struct engine *e, struct leg *l, struct leg *other) {
    bool as_before = late_decline(e, l);
    if (!leg_is_up(other) || leg_is_transferred(e, l) || leg_is_transferred(e, other))
        return;
    if (!as_before)
        leg_reoffer(e, l, leg_str(other, LEG_SDP_REMOTE), -1);
    else if (!l->direct)
        agree(e, l, other);
}

/* It was asked for by late_agree, or by a transfer that is over: where media is not relayed the other one is to hear of
 * it. */
static void offered(struct engine *e, struct leg *l, struct leg *other, const struct sip_msg *msg) {
    /* It was to be told of the other one's fresh offer, and a transfer asked it for its own in the place of that. */
    if (other && leg_owes_answer(other))
        late_decline(e, other);
    bool busy = !leg_is_up(other) || leg_is_transferred(e, l) || leg_is_transferred(e, other);
    if (!late_offered(e, l, msg) || !l->direct || busy ||
        !leg_reoffer(e, other, leg_str(l, LEG_SDP_REMOTE), -1))
        decline(e, l, other);
}

/* The answer in l's 2xx cannot be passed on; an offer has its ACK all the same. */
static void refuse_answer(struct engine *e, struct leg *l, struct leg *other, const struct sip_msg *msg) {
    refuse_invite(e, other, 488, NULL);
    if (!l->late_offer)
        return;
    l->own_invite = true;
    late_offered(e, l, msg);
    decline(e, l, other);
}

static void on_reanswered(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct leg *other = leg_peer(e, l);
    struct slice sdp = SLICE_NONE;
    bool alone = !other || other->invite_in == HANDLE_NONE;
    /* Who wanted to see its offer is gone, or has given up: it is ours to answer. */
    bool own_late = l->late_offer && (ev->own || alone);
    l->own_invite = l->own_invite || own_late;
    if (own_late && !ev->own && !leg_owes_answer(l))
        leg_ack(e, l, SLICE_NONE);
    if (own_late) {
        offered(e, l, other, ev->msg);
        return;
    }
    if (ev->own && other && leg_owes_answer(other)) {
        bool said = ev->msg->body.n && media_received(e, l, ev->msg->body, false);
        /* It answers what l was offered before: the other one's offer waits for its turn. */
        if (!l->reoffer_waits && (!said || !late_answer(e, other, l)))
            decline(e, other, l);
        call_changed(e, leg_call(e, l));
        return;
    }
    if (ev->own) {
        agree_on_answer(e, l, ev->msg);
        return;
    }
    if (!l->late_offer)
        leg_ack(e, l, SLICE_NONE);
    if (alone) {
        /* Whose offer it answers is gone, or was cancelled: now it has what nobody else has. */
        if (media_in(e, l, ev->msg) && media_received(e, l, ev->msg->body, false) && other)
            agree_anew(e, l, other);
        return;
    }
    bool said = l->late_offer ? media_in(e, l, ev->msg) : media_answered(e, l, ev->msg);
    if (said && media_received(e, l, ev->msg->body, l->late_offer))
        sdp = media_describe(e, other, ev->msg->body, -1);
    if (!sdp.p || !leg_answer(e, other, sdp, bridge_headers(e, ev->msg)))
        refuse_answer(e, l, other, ev->msg);
    else
        media_connect(e, l, other); /* a stream may be new */
    call_changed(e, leg_call(e, l));
}

/* The re-INVITEs of a transfer are its own, and when it is decided its parties are brought together by it. */
static void agree_unless_transferred(struct engine *e, struct leg *l, struct leg *other) {
    if (!leg_is_transferred(e, l) && !leg_is_transferred(e, other))
        agree(e, l, other);
}

/* The same description went out, to refresh the session or as an offer that l asked us for (bridge_answer_alone); what
 * came back may be less than was said before. */
static void on_refreshed(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct leg *other = leg_peer(e, l);
    if (!media_in(e, l, ev->msg) || slice_eq(ev->msg->body, leg_str(l, LEG_SDP_REMOTE)) ||
        !media_received(e, l, ev->msg->body, false) || !other || other->peer != l->self)
        return;
    /* What the network did not deliver is not sent again and again, but there is something new to be told. */
    other->not_now = other->not_now || other->offer_lost;
    media_connect(e, l, other);
    agree_unless_transferred(e, l, other);
    call_changed(e, leg_call(e, l));
}

void bridge_came_late(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    if (leg_owes_answer(l)) {
        offered(e, l, leg_peer(e, l), msg);
        call_changed(e, leg_call(e, l));
        return;
    }
    struct leg_event ev = { .kind = LEG_EV_REFRESHED, .own = true, .msg = msg, .status = msg->status };
    if (msg->cseq != l->invite_cseq)
        agree_on_late_2xx(e, l);
    else if (l->session_unsure)
        agree_on_late_answer(e, l, msg);
    else
        on_refreshed(e, l, &ev);
}

static void on_rerefused(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct leg *other = leg_peer(e, l);
    agree_on_refusal(e, l, ev->own);
    if (ev->own && other && leg_owes_answer(other))
        decline(e, other, l);
    if (!ev->own && other && other->invite_in != HANDLE_NONE)
        refuse_invite(e, other, bridge_status(ev->status), bridge_status(ev->status) == ev->status ? ev->msg : NULL);
}

/* What was said before the answer, to one party or to both, may not be what the two have come to. */
static void settle_early(struct engine *e, struct leg *l, struct leg *other, const struct sip_msg *ack) {
    if (!l->early_answer && media_in(e, l, ack))
        media_received(e, l, ack->body, false);
    l->early_answer = other->early_answer = false;
    late_take_answer(e, other, l); /* it rang beside the one whose offer l has answered */
    media_connect(e, l, other);
    agree_unless_transferred(e, l, other);
    call_changed(e, leg_call(e, l));
}

/* It took our 2xx for a copy of a former owner's, which that one could not store: see late_unread. Who answers loosely
 * without that is left to whom it talks with. */
static bool answers_former_owner(const struct engine *e, struct leg *l, const struct sip_msg *ack) {
    return l->direct && leg_call(e, l)->taken_us && media_answered(e, l, ack) &&
           !media_is_answer(e, ack->body, leg_str(l, LEG_SDP_LOCAL));
}

static void pass_late_answer(struct engine *e, struct leg *l, struct leg *other, const struct sip_msg *ack) {
    struct slice sdp = SLICE_NONE;
    if (media_answered(e, l, ack) && media_received(e, l, ack->body, false))
        sdp = media_describe(e, other, ack->body, -1);
    leg_ack(e, other, sdp);
    if (!sdp.n)
        oa_step(&other->oa, OA_EV_ABORT);
}

/* The answer to a late offer comes in the ACK (section 13.2.1). */
static void on_ack(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct leg *other = leg_peer(e, l);
    /* A picked-up caller whose 2xx waits for a PRACK is not there yet: its own ACK settles it. */
    if (leg_is_up(other) && !l->ok_offers && (l->early_answer || other->early_answer)) {
        settle_early(e, l, other, ev->msg);
        return;
    }
    /* An offer that was asked for by us is told to l by a re-INVITE, and answered with that one's answer. */
    if (!other || !other->late_offer || other->oa != OA_OFFER_RCVD || other->own_invite) {
        if (l->ok_offers)
            on_refreshed(e, l, ev);
        /* The node that called the one died before the other answered. */
        if (other && leg_is_up(other) && !media_is_here(e, other))
            reanchor(e, other);
        return;
    }
    if (answers_former_owner(e, l, ev->msg))
        late_unread(e, l, other, ev->msg->body);
    else
        pass_late_answer(e, l, other, ev->msg);
    media_connect(e, l, other);
    call_changed(e, leg_call(e, l));
}

/* ---- the end ---- */

void bridge_end_peers(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    struct call *c = leg_call(e, l);
    struct sbuf b = ua_headers(&e->ua);
    if (msg)
        sip_put_copy(&b, msg, SIP_H_REASON);
    struct slice reason = b.overflow ? SLICE_NONE : sbuf_slice(&b);
    struct leg *direct = leg_peer(e, l);
    l->peer = HANDLE_NONE;
    /* A transfer decides what becomes of its parties, also when l was one of them and is gone a second time. */
    if (direct && direct->peer == l->self && !leg_is_transferred(e, direct) && !transfer_holds_end(e, direct))
        leg_end(e, direct, 480, reason);
    for (unsigned i = 0; c && i < c->leg_count; i++) {
        struct leg *o = leg_get(e, c->legs[i]);
        if (o && o != l && o->peer == l->self && leg_is_live(o) && !leg_is_transferred(e, o) &&
            !transfer_holds_end(e, o))
            leg_end(e, o, 480, reason);
    }
}

void bridge_on_event(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct leg *other = leg_peer(e, l);
    switch (ev->kind) {
    case LEG_EV_PROGRESS: on_progress(e, l, ev); break;
    case LEG_EV_ANSWERED: on_answered(e, l, ev); break;
    case LEG_EV_REFUSED: on_refused(e, l, ev); break;
    case LEG_EV_PRACK: on_prack(e, l, ev); break;
    case LEG_EV_REINVITE: on_reinvite(e, l, ev); break;
    case LEG_EV_REANSWERED: on_reanswered(e, l, ev); break;
    case LEG_EV_REFRESHED: on_refreshed(e, l, ev); break;
    case LEG_EV_REREFUSED: on_rerefused(e, l, ev); break;
    case LEG_EV_ACK: on_ack(e, l, ev); break;
    case LEG_EV_RECANCELLED:
        if (other && other->invite_out != HANDLE_NONE && !other->own_invite)
            leg_cancel(e, other, SLICE_NONE);
        break;
    case LEG_EV_CANCELLED:
    case LEG_EV_BYE:
    case LEG_EV_GONE: bridge_end_peers(e, l, ev->msg); break;
    case LEG_EV_REQUEST: bridge_on_request(e, l, ev); break;
    case LEG_EV_RESPONSE: bridge_on_response(e, l, ev); break;
    case LEG_EV_SENT_AGAIN:
    case LEG_EV_NONE: break;
    }
}
