/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What arrives on a leg. */
#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/b2b/reanchor.h"
#include "core/b2b/wire.h"
#include "core/base/check.h"
#include "parser/sip_hdr.h"

static const struct leg_event nothing = { .kind = LEG_EV_NONE };

void leg_respond(struct engine *e, struct leg *l, handle txn, const struct sip_msg *msg, uint16_t status,
                 struct slice extra) {
    struct uas_response r = { .status = status, .to_tag = leg_str(l, DLG_LOCAL_TAG), .extra = extra };
    wire_respond(e, txn, msg, &r, l);
}

/* One in a 2xx of before has its answer. */
static void note_offer(struct leg *l, const struct sip_msg *msg) {
    if (msg->body.n && leg_is_up(l) && l->invite_out == HANDLE_NONE)
        l->late_offer = false;
}

bool leg_answered_before(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    if (!l->ok || l->ok_cseq != msg->cseq)
        return false;
    buf_ref(l->ok);
    barrier_respond(e, l, barrier_has(e, l, l->ok) ? HOLD_BEHIND : HOLD_NEVER, txn, l->ok, 200);
    return true;
}

/* Section 14.2: 500 with Retry-After while the last one is unanswered, 491 while ours is open. */
static struct leg_event on_reinvite(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    if (leg_answered_before(e, l, msg, txn))
        return nothing;
    if (l->invite_in != HANDLE_NONE || l->state == LEG_INCOMING) {
        struct sbuf b = ua_headers(&e->ua);
        sbuf_lit(&b, "Retry-After: ");
        sbuf_u64(&b, rng_below(&e->rng, 11));
        sbuf_lit(&b, "\r\n");
        leg_respond(e, l, txn, msg, 500, sbuf_slice(&b));
        return nothing;
    }
    if (l->invite_out != HANDLE_NONE || l->oa != OA_STABLE) {
        leg_respond(e, l, txn, msg, 491, SLICE_NONE);
        return nothing;
    }
    if (!leg_is_up(l)) {
        leg_respond(e, l, txn, msg, 481, SLICE_NONE);
        return nothing;
    }
    if (leg_session_refused(e, l, msg, txn))
        return nothing;
    dialog_refresh(&l->dlg, &e->ua, msg);
    leg_note_abilities(e, l, msg);
    l->invite_in = txn;
    l->read_late = false;
    note_offer(l, msg);
    if (msg->body.n)
        leg_take_offer(l);
    if (leg_session_refresh_invite(e, l, msg))
        return nothing;
    return (struct leg_event){ .kind = LEG_EV_REINVITE, .msg = msg, .txn = txn };
}

static struct leg_event on_bye(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    leg_respond(e, l, txn, msg, 200, SLICE_NONE);
    if (l->invite_in != HANDLE_NONE) {
        /* Section 15.1.2: an INVITE that is still open gets 487. */
        struct uas_response r = { .status = 487, .to_tag = leg_str(l, DLG_LOCAL_TAG) };
        wire_respond(e, l->invite_in, NULL, &r, l);
        l->invite_in = HANDLE_NONE;
    }
    bool was_live = leg_is_live(l);
    l->final_status = l->final_status ? l->final_status : 487;
    leg_ack_late_offer(e, l);
    leg_step(e, l, l->keep_on_bye ? LEG_IN_RECV_BYE_KEEP : LEG_IN_RECV_BYE);
    if (l->state == LEG_CANCELLING) {
        /* The final response to our INVITE tells the rest: the other forks may still ring. */
        l->refused_status = 480;
        txn_cancel(&e->txns, e->out, e->now, l->invite_out, SLICE_NONE);
        return nothing;
    }
    return was_live ? (struct leg_event){ .kind = LEG_EV_BYE, .msg = msg } : nothing;
}

static struct leg_event on_update(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    bool before_answer = !leg_is_up(l) && !l->early_answer;
    if (msg->body.n && (l->oa != OA_STABLE || before_answer)) {
        leg_respond(e, l, txn, msg, l->oa == OA_OFFER_SENT ? 491 : 500,
                    l->oa == OA_OFFER_SENT ? SLICE_NONE : SL("Retry-After: 2\r\n"));
        return nothing;
    }
    if (leg_is_up(l) && leg_session_refused(e, l, msg, txn))
        return nothing;
    dialog_refresh(&l->dlg, &e->ua, msg);
    note_offer(l, msg);
    if (leg_session_refresh_update(e, l, msg, txn))
        return nothing;
    return (struct leg_event){ .kind = LEG_EV_REQUEST, .msg = msg, .txn = txn };
}

void leg_own_request(const struct engine *e, const struct leg *l, handle txn) {
    struct txn *t = txn_get(&e->txns, txn);
    t->ctx = l->self;
    t->u.open->bucket = call_mark(leg_call(e, l));
}

struct leg_event leg_on_request(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    const struct txn *t = txn_get(&e->txns, txn);
    if (!dialog_accept_cseq(&l->dlg, msg)) {
        leg_respond(e, l, txn, msg, 500, SLICE_NONE);
        return nothing;
    }
    if (t)
        l->dlg.flow = txn_src(t);
    if (msg->method != SIP_M_PRACK)
        leg_note_there(l);
    switch (msg->method) {
    case SIP_M_INVITE: return on_reinvite(e, l, msg, txn);
    case SIP_M_BYE: return on_bye(e, l, msg, txn);
    case SIP_M_UPDATE: return on_update(e, l, msg, txn);
    case SIP_M_PRACK: return leg_rel_on_prack(e, l, msg, txn);
    case SIP_M_OPTIONS:
        leg_respond(e, l, txn, msg, 200,
                SL("Accept: application/sdp\r\nAllow: " UA_ALLOW "\r\nSupported: " UA_SUPPORTED "\r\n"));
        return nothing;
    default: return (struct leg_event){ .kind = LEG_EV_REQUEST, .msg = msg, .txn = txn };
    }
}

/* What came 64*T1 late it ACKs, but goes by what held before. */
static void ask_what_holds(struct engine *e, struct leg *l) {
    l->read_late = false;
    l->session_unsure = true;
    reanchor(e, l);
}

struct leg_event leg_on_ack(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    if (!l->ok || msg->cseq != l->ok_cseq)
        return nothing;
    bool again = l->state == LEG_UP, adopted = l->ok_adopted;
    leg_stop_ok(e, l);
    if (again) {
        /* That re-INVITE is none that a former owner may have left unanswered. */
        l->ok_cseq = msg->cseq;
        dialog_accept_cseq(&l->dlg, msg);
    }
    leg_step(e, l, LEG_IN_RECV_ACK);
    /* An UPDATE of ours may be open, too. */
    if (l->ok_offers && l->oa == OA_OFFER_SENT) {
        /* A former owner's offer names its ports, and ours those of then. */
        l->session_unsure = l->session_unsure && (!msg->body.n || adopted || !media_is_here(e, l));
        oa_step(&l->oa, msg->body.n ? OA_EV_RECV_ANSWER : OA_EV_ABORT);
    }
    if (again && l->read_late)
        ask_what_holds(e, l);
    if (l->state == LEG_ENDING) {
        leg_send_bye(e, l, SLICE_NONE);
        return nothing;
    }
    return (struct leg_event){ .kind = LEG_EV_ACK, .msg = msg };
}

struct leg_event leg_on_cancel(struct engine *e, struct leg *l, handle invite) {
    if (l->invite_in != invite || invite == HANDLE_NONE)
        return nothing;
    struct uas_response r = { .status = 487, .to_tag = leg_str(l, DLG_LOCAL_TAG) };
    wire_respond(e, invite, NULL, &r, l);
    l->invite_in = HANDLE_NONE;
    oa_step(&l->oa, OA_EV_ABORT);
    bool first = l->state == LEG_INCOMING;
    l->final_status = first ? 487 : l->final_status;
    media_offer_settled(e, l, false);
    leg_step(e, l, LEG_IN_RECV_CANCEL);
    return (struct leg_event){ .kind = first ? LEG_EV_CANCELLED : LEG_EV_RECANCELLED };
}
