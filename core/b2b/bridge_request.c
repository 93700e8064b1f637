/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/agree.h"
#include "core/b2b/bridge_int.h"
#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "core/b2b/reanchor.h"
#include "core/b2b/wire.h"

uint16_t bridge_status(uint16_t status) {
    return status == 401 || status == 407 ? 403 : status;
}

static void respond(struct engine *e, struct leg *l, handle txn, uint16_t status, struct slice extra) {
    struct uas_response r = { .status = status, .to_tag = leg_str(l, DLG_LOCAL_TAG), .extra = extra };
    wire_respond(e, txn, NULL, &r, l);
}

/* Who it talks with; of those who ring for a caller, one with whom offer and answer are done. */
static struct leg *partner(const struct engine *e, const struct leg *l) {
    const struct call *c = leg_call(e, l);
    struct leg *p = leg_peer(e, l);
    for (unsigned i = 0; !p && l->state == LEG_INCOMING && i < c->leg_count; i++) {
        struct leg *o = leg_get(e, c->legs[i]);
        if (o && o->peer == l->self && o->state == LEG_EARLY && o->early_answer)
            p = o;
    }
    return p;
}

static void pass_request(struct engine *e, struct leg *l, const struct leg_event *ev) {
    struct leg *other = partner(e, l);
    bool offer = ev->msg->method == SIP_M_UPDATE && ev->msg->body.n;
    struct dialog_request r = { .content_type = ev->msg->content_type, .body = ev->msg->body };
    if (!other) {
        respond(e, l, ev->txn, ev->msg->method == SIP_M_INFO ? 200 : 480, SLICE_NONE);
        return;
    }
    if (offer) {
        /* An open INVITE without offer has one in its 2xx: it would meet that of the UPDATE (RFC 3311 section 5); nor
         * may one go out before the PRACK to an early answer. */
        bool open = other->oa != OA_STABLE ||
                    (leg_is_up(other) ? other->invite_in != HANDLE_NONE || other->invite_out != HANDLE_NONE
                                      : !other->early_answer || leg_rel_describes(other));
        uint16_t bad = open ? 491 : media_check_offer(e, l, ev->msg->body);
        if (!bad &&
            (!media_offered(e, l, ev->msg->body) || !(r.body = media_describe(e, other, ev->msg->body, -1)).p))
            bad = 488;
        if (bad) {
            media_offer_settled(e, l, false);
            respond(e, l, ev->txn, bad, SLICE_NONE);
            return;
        }
    }
    r.extra = bridge_headers(e, ev->msg);
    r.contact = ev->msg->method == SIP_M_UPDATE;
    if (ev->msg->max_forwards > 0)
        r.max_forwards = (uint32_t)ev->msg->max_forwards - 1;
    handle h = leg_request(e, other, ev->msg->method_name, FOR_BRIDGED, &r);
    struct txn *t = txn_get(&e->txns, h);
    if (!t) {
        media_offer_settled(e, l, false);
        respond(e, l, ev->txn, 503, SL("Retry-After: 2\r\n"));
        return;
    }
    txn_set_peer(t, ev->txn);
    if (offer) {
        l->update_in = ev->txn;
        txn_set_peer(txn_get(&e->txns, ev->txn), h);
        leg_take_offer(l);
        oa_step(&other->oa, OA_EV_SEND_OFFER);
    }
}

void bridge_on_request(struct engine *e, struct leg *l, const struct leg_event *ev) {
    switch (bridge_method(ev->msg->method)) {
    case BRIDGE_PASS: pass_request(e, l, ev); break;
    default:
        /* NOTIFY and SUBSCRIBE: we hold no subscription of that kind in this dialog (RFC 6665 sections 4.1.3, 4.2.1).
         */
        respond(e, l, ev->txn,
                ev->msg->method == SIP_M_NOTIFY      ? 481
                : ev->msg->method == SIP_M_SUBSCRIBE ? 489
                                                     : 405,
                ev->msg->method == SIP_M_SUBSCRIBE ? SL("Allow-Events: refer\r\n") : SL("Allow: " UA_ALLOW "\r\n"));
        break;
    }
}

/* The UPDATE's answer settles the offers of both sides (RFC 3311 section 5). other: who sent it, whoever l talks with
 * by now. */
static struct slice pass_update_answer(struct engine *e, struct leg *l, struct leg *other, const struct sip_msg *msg) {
    struct slice sdp = SLICE_NONE;
    if (l->oa == OA_OFFER_SENT)
        oa_step(&l->oa, msg && msg->status < 300 && msg->body.n ? OA_EV_RECV_ANSWER : OA_EV_ABORT);
    bool answered = msg && msg->status < 300 && msg->body.n && media_received(e, l, msg->body, false);
    /* It was told of our ports of then. */
    l->session_unsure = l->session_unsure && !(answered && media_is_here(e, l));
    if (!other)
        return SLICE_NONE;
    if (answered)
        sdp = media_describe(e, other, msg->body, -1);
    if (sdp.n && l->peer == other->self)
        media_connect(e, l, other);
    media_offer_settled(e, other, sdp.n != 0);
    if (other->oa == OA_OFFER_RCVD)
        oa_step(&other->oa, sdp.n ? OA_EV_SEND_ANSWER : OA_EV_ABORT);
    if (sdp.n)
        leg_offer_answered(other);
    if (sdp.n && l->peer == other->self) {
        leg_drop_reoffer(e, l);
        leg_drop_reoffer(e, other);
        if (l->session_unsure)
            reanchor(e, l);
    }
    return sdp.n ? leg_str(other, LEG_SDP_LOCAL) : SLICE_NONE;
}

void bridge_update_expired(struct engine *e, struct leg *l) {
    if (l->oa != OA_OFFER_RCVD || l->invite_in != HANDLE_NONE || l->late_offer)
        return;
    media_offer_settled(e, l, false);
    oa_step(&l->oa, OA_EV_ABORT);
}

/* An UPDATE that only refreshes leaves an offer alone that is open for another reason. */
static bool brought_offer(struct engine *e, const struct leg *l, handle txn) {
    const struct sip_msg *req = wire_request_again(e, txn);
    return req ? req->body.n != 0 : l->oa == OA_OFFER_SENT;
}

/* A refusal: as for a re-INVITE. Without a response nobody knows whether it goes by the offer, nor will it say so by
 * itself, as who answers an INVITE does. It is told what holds: soon, if the network would not deliver that either. */
static void not_told(struct engine *e, struct leg *l, const struct leg_event *ev) {
    l->session_unsure = true;
    l->not_now = !ev->msg || ev->msg->status == 491;
    if (!ev->msg && ev->status == 503)
        l->quiet_until = e->now + 8ull * e->cfg.t1_us;
    call_changed(e, leg_call(e, l));
}

/* The UPDATE is over, and whoever sent it has its answer. If a transfer went on meanwhile, l has what was meant for
 * another, and who sent it has what another said. */
static void agree_behind_update(struct engine *e, struct leg *l, struct leg *other, const struct sip_msg *msg) {
    struct leg *peer = leg_peer(e, l);
    if (other != peer && peer && msg && msg->status < 300 && msg->body.n)
        agree_anew(e, l, peer);
    if (other && other->peer != l->self && leg_peer(e, other))
        agree_anew(e, other, leg_peer(e, other));
}

void bridge_on_response(struct engine *e, struct leg *l, const struct leg_event *ev) {
    const struct txn *asked = txn_get(&e->txns, ev->peer_txn);
    struct leg *other = asked ? leg_get(e, asked->ctx) : NULL, *peer = leg_peer(e, l);
    if (ev->purpose != FOR_BRIDGED)
        return;
    if (!leg_is_live(other))
        other = NULL;
    bool reinvite = leg_is_up(l) && l->invite_out != HANDLE_NONE, agreed = ev->msg && ev->msg->status < 300;
    bool update = l->oa == OA_OFFER_SENT && !reinvite, lost = false;
    if (ev->msg || asked)
        update = ev->msg ? ev->msg->cseq_method == SIP_M_UPDATE : asked->method == SIP_M_UPDATE;
    struct uas_response r = { .status = bridge_status(ev->status) };
    if (update && !reinvite && brought_offer(e, l, ev->peer_txn)) {
        bool answered = other && other->update_in != ev->peer_txn; /* by orphan.c, meanwhile */
        r.body = pass_update_answer(e, l, answered ? NULL : other, ev->msg);
        lost = leg_is_up(l) && !ev->msg;
        if (lost || (other && !answered && leg_is_up(l) && !agreed))
            not_told(e, l, ev);
        if (answered && agreed && peer)
            agree_anew(e, l, peer);
        else if (answered && lost)
            agree_if_unsure(e, l);
        if (answered)
            return;
        if (other)
            other->update_in = HANDLE_NONE;
        r.content_type = SL("application/sdp");
    } else if (ev->msg) {
        r.body = ev->msg->body;
        r.content_type = ev->msg->content_type;
    }
    if (ev->msg) {
        r.reason = ev->msg->reason;
        r.extra = bridge_headers(e, ev->msg);
    }
    if (other)
        r.to_tag = leg_str(other, DLG_LOCAL_TAG);
    if (other && update && r.status < 300)
        leg_answer_update(e, other, ev->peer_txn, &r);
    else
        wire_respond(e, ev->peer_txn, NULL, &r, other);
    if (lost)
        agree_if_unsure(e, l);
    if (update)
        agree_behind_update(e, l, other, ev->msg);
}
