/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Transfers that no party asked for in its own dialog: REFER outside a dialog (RFC 3515, 4538, 7647) and an operator's
 * order. The same table carries them out; only who hears the result differs. */
#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "core/b2b/party.h"
#include "core/b2b/policy.h"
#include "core/b2b/transfer_refer.h"
#include "core/b2b/wire.h"
#include "parser/sip_uri.h"
#include "parser/sip_write.h"

/* What a phone is offered that is called before there is anybody it could talk with. */
static const char plain_offer[] = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                                  "m=audio 9 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
                                  "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";

static void refuse(struct engine *e, const struct sip_msg *msg, handle txn, struct slice principal,
                   const struct refer *r) {
    struct uas_response resp = { .status = r->status, .reason = r->reason };
    refer_note_refusal(e, NULL, principal, msg, r);
    wire_answer(e, txn, msg, &resp);
}

/* Without a subscription no dialog is made by it (RFC 4488 section 4). */
static void accept(struct engine *e, const struct transfer *t, const struct sip_msg *msg, handle txn) {
    struct leg *l = leg_get(e, t->subscriber);
    struct sbuf h = ua_headers(&e->ua);
    refer_put_accepted(e, &h, t, msg);
    struct uas_response r = { .status = refer_accept_code(e, t, false), .extra = sbuf_slice(&h) };
    if (l) {
        r.to_tag = r.contact_user = leg_str(l, DLG_LOCAL_TAG);
        wire_respond(e, txn, msg, &r, l);
    } else {
        wire_answer(e, txn, msg, &r);
    }
    metrics_add(&e->metrics, M_transfers_started, 1);
}

/* The leg for the subscription, in the call that is being worked on. */
static bool subscribe(struct engine *e, struct transfer *t, const struct sip_msg *msg, handle txn) {
    if (t->silent)
        return true;
    struct leg *l = leg_subscriber(e, call_get(e, t->call), msg, txn);
    if (!l)
        return false;
    t->subscriber = l->self;
    transfer_role(e, t, l->self, TR_SUBSCRIBER);
    return true;
}

/* ---- Target-Dialog ---- */

static struct leg *target_dialog(struct engine *e, const struct sip_msg *msg, struct slice principal, struct refer *r) {
    struct sip_replaces d;
    if (sip_target_dialog_parse(sip_hdr_value(msg, SIP_H_TARGET_DIALOG), &d) < 0) {
        refer_bad(r, 400, SL("Bad Target-Dialog"));
        return NULL;
    }
    struct leg *l = leg_find_named(e, d.call_id, d.to_tag, d.from_tag);
    if (!l || !leg_is_up(l) || !leg_is_up(leg_peer(e, l))) {
        refer_bad(r, 481, SLICE_NONE);
        return NULL;
    }
    /* RFC 4538 section 5 lets knowledge of the dialog suffice; a stranger that overheard it is still a stranger. */
    if (!principal.p || !slice_eq(principal, leg_str(l, LEG_PRINCIPAL)))
        refer_bad(r, 403, SL("Target-Dialog of another party"));
    else if (party_is_busy(e, l) || party_is_busy(e, leg_peer(e, l)) ||
             leg_call(e, leg_peer(e, l))->transfer != HANDLE_NONE)
        refer_bad(r, 491, SLICE_NONE);
    else if (refer_allowed(e, principal, leg_call(e, l), r) && refer_within_rules(e, principal, NULL, r))
        return l;
    return NULL;
}

static bool begin_in_dialog(struct engine *e, const struct sip_msg *msg, handle txn, struct leg *l, struct refer *r) {
    struct leg *a = leg_peer(e, l);
    struct transfer *t = transfer_new(e, leg_call(e, a));
    if (!t)
        return refer_bad(r, 503, SLICE_NONE);
    t->mode = r->has_replaces ? MODE_FOREIGN : MODE_BLIND;
    t->outside = true;
    t->transferor = l->self;
    t->transferee = a->self;
    if (!refer_keep(e, t, msg, r) || !subscribe(e, t, msg, txn)) {
        transfer_free(e, t);
        return refer_bad(r, 503, SLICE_NONE);
    }
    transfer_role(e, t, t->transferor, TR_TRANSFEROR);
    transfer_role(e, t, t->transferee, TR_TRANSFEREE);
    leg_call(e, a)->depth++;
    accept(e, t, msg, txn);
    transfer_notify(e, t, 100);
    transfer_call_target(e, t);
    return true;
}

/* ---- click-to-dial ---- */

unsigned transfer_drop_dialled(struct engine *e, struct transfer *t, const struct leg *winner) {
    const struct call *c = call_get(e, t->call);
    unsigned ringing = 0;
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        if (!l || l == winner || l->transfer != t->self || l->transfer_role != TR_TRANSFEREE || !leg_is_live(l))
            continue;
        if (!winner) {
            ringing++;
            continue;
        }
        transfer_role(e, t, l->self, TR_NONE);
        leg_end(e, l, 487, SLICE_NONE);
    }
    return ringing;
}

static bool dial(struct engine *e, struct transfer *t, struct leg_target *to, struct slice remote_uri,
                 struct slice local_uri) {
    to->local_uri = local_uri;
    to->remote_uri = remote_uri;
    struct leg *l = leg_outgoing(e, call_get(e, t->call), to, ROLE_CALLEE);
    if (!l)
        return false;
    struct slice sdp = media_describe(e, l, slice_str(plain_offer), SDP_SENDRECV);
    transfer_role(e, t, l->self, TR_TRANSFEREE);
    if (sdp.p && leg_invite(e, l, sdp, SLICE_NONE, t->max_forwards))
        return true;
    transfer_role(e, t, l->self, TR_NONE);
    leg_end(e, l, 503, SLICE_NONE);
    return false;
}

/* The phone that is called sees the target as caller: that is whom it will talk with. */
static unsigned dial_all(struct engine *e, struct transfer *t, const struct sip_msg *msg,
                         struct policy_choice *choice) {
    char mem[REFER_TO_MAX];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    unsigned n = 0;
    sbuf_char(&b, '<');
    sbuf_put(&b, strs_get(&t->s, TRF_REFER_TO));
    sbuf_char(&b, '>');
    struct slice caller = sbuf_slice(&b);
    uint32_t from = b.n;
    nameaddr_put_bare(&b, &msg->to);
    struct slice called = slice_of(b.p + from, b.n - from);
    for (uint32_t i = 0; i < choice->count && !b.overflow; i++)
        n += dial(e, t, &choice->targets[i], called, caller);
    return n;
}

static bool begin_dial(struct engine *e, const struct sip_msg *msg, handle txn, struct refer *r) {
    struct policy_choice choice;
    policy_route(e, &msg->ruri, &choice);
    if (choice.kind == POLICY_REFUSED)
        return refer_bad(r, choice.status, choice.reason);
    if (choice.kind == POLICY_ECHO)
        return refer_bad(r, 403, SL("Nobody to call"));
    struct call *c = call_new(e, msg->call_id);
    struct transfer *t = c ? transfer_new(e, c) : NULL;
    if (!t)
        return refer_bad(r, 503, SLICE_NONE);
    t->mode = r->has_replaces ? MODE_FOREIGN : MODE_BLIND;
    t->outside = true;
    t->state = TRANSFER_DIAL;
    if (!refer_keep(e, t, msg, r) || !subscribe(e, t, msg, txn)) {
        transfer_free(e, t);
        return refer_bad(r, 503, SLICE_NONE);
    }
    accept(e, t, msg, txn);
    transfer_notify(e, t, 100);
    if (!dial_all(e, t, msg, &choice))
        transfer_step(e, t, TRANSFER_EV_TRANSFEREE_NO, 503);
    return true;
}

void transfer_on_outside_refer(struct engine *e, const struct sip_msg *msg, handle txn, struct slice principal) {
    struct refer r;
    bool ok = refer_read(msg, &r);
    r.quirks = refer_quirks(e, msg, NULL, principal);
    r.quirks &= (uint8_t)~QUIRK_REPLACES_TAGLESS; /* it is passed on as it stands */
    ok = ok && refer_replaces_whole(&r);
    if (ok && sip_hdr_first(msg, SIP_H_TARGET_DIALOG)) {
        struct leg *l = target_dialog(e, msg, principal, &r);
        ok = l && begin_in_dialog(e, msg, txn, l, &r);
    } else if (ok) {
        ok = refer_allowed(e, principal, NULL, &r) && refer_within_rules(e, principal, NULL, &r) &&
             begin_dial(e, msg, txn, &r);
    }
    if (!ok)
        refuse(e, msg, txn, principal, &r);
}

/* ---- an operator's order ---- */

static struct slice check_order(const struct engine *e, const struct leg *a, const struct leg *with) {
    const struct leg *b = leg_peer(e, a), *d = with ? leg_peer(e, with) : NULL;
    if (leg_call(e, a)->resuming || (with && leg_call(e, with)->resuming))
        return SL("the call is just being taken over from another node; try again");
    if (!leg_is_up(a) || !leg_is_up(b))
        return SL("that leg talks with nobody");
    if (with && (!leg_is_up(with) || !leg_is_up(d)))
        return SL("the other leg talks with nobody");
    if (with && with->call == a->call)
        return SL("both legs are of one call");
    if (party_is_busy(e, a) || party_is_busy(e, b) || leg_call(e, a)->transfer != HANDLE_NONE ||
        party_is_busy(e, with) || party_is_busy(e, d))
        return SL("a transfer runs already");
    return SLICE_NONE;
}

struct slice transfer_order(struct engine *e, uint64_t conn, struct leg *a, struct slice uri, struct leg *with) {
    struct sip_uri parsed;
    struct slice wrong = check_order(e, a, with);
    if (wrong.p)
        return wrong;
    if (!with && (sip_uri_parse(uri, &parsed) < 0 || parsed.scheme == SIP_SCHEME_OTHER))
        return SL("not a URI that can be called");
    struct transfer *t = transfer_new(e, leg_call(e, a));
    if (!t || (uri.p && !strs_set(&t->s, &e->bufs, TRF_REFER_TO, uri))) {
        if (t)
            transfer_free(e, t);
        return SL("no room");
    }
    t->mode = with ? MODE_REPLACE : MODE_BLIND;
    leg_call(e, a)->emergency |= with ? leg_call(e, with)->emergency : policy_is_emergency(e, &parsed);
    t->silent = t->outside = true;
    t->order_conn = conn;
    t->quirks = QUIRK_BYE_AT_ONCE; /* who asked for nothing will not hang up by itself */
    t->max_forwards = LIMIT_HOPS_MAX;
    t->transferee = a->self;
    t->transferor = a->peer;
    transfer_role(e, t, t->transferor, TR_TRANSFEROR);
    transfer_role(e, t, t->transferee, TR_TRANSFEREE);
    if (with) {
        t->replaced = with->self;
        t->consult = with->peer;
        t->consult_call = with->call;
        transfer_role(e, t, t->consult, TR_CONSULT);
        transfer_role(e, t, t->replaced, TR_REPLACED);
    }
    leg_call(e, a)->depth++;
    metrics_add(&e->metrics, M_transfers_started, 1);
    transfer_call_target(e, t);
    return SLICE_NONE;
}

static void tell(struct engine *e, const struct transfer *t, struct slice text) {
    struct out *o = t->order_conn ? outbox_add(e->out, OUT_ADMIN) : NULL;
    if (!o)
        return;
    o->u.admin.conn = t->order_conn;
    o->u.admin.buf = buf_copy(&e->bufs, text);
    o->u.admin.last = true;
}

void transfer_tell_operator(struct engine *e, const struct transfer *t) {
    char text[96];
    struct sbuf b = sbuf_on(text, sizeof text);
    sbuf_str(&b, t->succeeded ? "done " : "error: ");
    sbuf_u64(&b, t->result);
    sbuf_char(&b, ' ');
    sbuf_put(&b, sip_reason(t->result));
    sbuf_char(&b, '\n');
    tell(e, t, sbuf_slice(&b));
}

void transfer_tell_lost(struct engine *e, const struct transfer *t) {
    tell(e, t, SL("error: another node has the call now, and goes on with the transfer\n"));
}
