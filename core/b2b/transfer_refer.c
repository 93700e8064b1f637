/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/transfer_refer.h"
#include "core/b2b/call.h"
#include "core/b2b/cdr.h"
#include "core/b2b/move.h"
#include "core/b2b/party.h"
#include "core/b2b/policy.h"
#include "core/b2b/replaces.h"
#include "core/b2b/wire.h"
#include "core/sip/token.h"
#include "parser/sip_hdr.h"
#include "parser/sip_uri.h"
#include "parser/sip_write.h"

bool refer_allowed(const struct engine *e, struct slice principal, const struct call *c, struct refer *r) {
    if (policy_refer_mode(e, principal) == REFER_REJECT)
        return refer_bad(r, 403, SL("Transfer not allowed"));
    if (c && c->depth >= e->cfg.max_depth)
        return refer_bad(r, 403, SL("Too many transfers of this call"));
    return true;
}

/* Where it leads: whom the consultation talks with, whatever the Refer-To says; else the Refer-To. */
bool refer_within_rules(struct engine *e, struct slice principal, const struct leg *consult, struct refer *r) {
    const struct leg *far = consult ? leg_get(e, consult->peer) : NULL;
    struct sip_nameaddr other;
    bool named = far && sip_nameaddr_parse(leg_str(far, DLG_REMOTE_URI), &other) >= 0;
    struct slice why = policy_transfer_denied(e, principal, named ? &other.uri : &r->to.uri);
    r->by = principal;
    if (!why.p)
        why = policy_transfer_limited(e, principal);
    if (!why.p)
        return true;
    metrics_add(&e->metrics, M_transfers_denied, 1);
    return refer_bad(r, 403, why);
}

static void trace_refusal(struct engine *e, const struct cdr_refusal *f, const struct refer *r,
                          enum trace_level level) {
    const struct call *c = f->leg ? leg_call(e, f->leg) : NULL;
    if (!trace_on(&e->trace, level))
        return;
    struct sbuf d = trace_begin(&e->trace, level, "transfer", c ? c->id : 0, f->leg ? f->leg->number : 0xff);
    sbuf_lit(&d, "refused with ");
    sbuf_u64(&d, r->status);
    sbuf_char(&d, ' ');
    sbuf_put(&d, r->reason.p ? r->reason : sip_reason(r->status));
    sbuf_lit(&d, ": ");
    sbuf_escaped(&d, f->principal, 64);
    if (r->to.uri.whole.p) {
        sbuf_lit(&d, " to ");
        sbuf_escaped(&d, r->to.uri.whole, 80);
    }
    trace_end(&e->trace, &d);
}

uint8_t refer_quirks(const struct engine *e, const struct sip_msg *msg, const struct leg *l, struct slice principal) {
    struct slice agent = sip_hdr_value(msg, SIP_H_USER_AGENT);
    return (uint8_t)policy_quirks(e, agent.p || !l ? agent : leg_str(l, LEG_AGENT), principal);
}

void refer_note_refusal(struct engine *e, const struct leg *l, struct slice principal, const struct sip_msg *msg,
                        const struct refer *r) {
    struct cdr_refusal f = { "refer", l, principal, msg, r->status, r->reason };
    metrics_add(&e->metrics, M_transfers_refused, 1);
    trace_refusal(e, &f, r, cdr_refused(e, &f) ? TRACE_INFO : TRACE_DEBUG);
}

/* May this party transfer, and is this call in a state for it? */
static bool check_party(const struct engine *e, struct leg *l, struct refer *r) {
    struct leg *peer = leg_peer(e, l);
    const struct call *c = leg_call(e, l);
    if (l->state == LEG_ENDING || l->state == LEG_BYE_SENT)
        return refer_bad(r, 481, SLICE_NONE); /* it crossed our BYE: RFC 5407 section 3.3.3 */
    if (!refer_allowed(e, leg_str(l, LEG_PRINCIPAL), c, r))
        return false;
    if (party_is_busy(e, l) || party_is_busy(e, peer) || c->transfer != HANDLE_NONE)
        return refer_bad(r, 491, SLICE_NONE);
    if (!leg_is_up(l) || (peer && !leg_is_up(peer)))
        return refer_bad(r, 491, SLICE_NONE);
    if (!peer)
        return refer_bad(r, 403, SL("Nobody to transfer"));
    return true;
}

/* One of its tags is a token of ours: no other user agent can have that dialog. */
static bool is_of_ours(const struct engine *e, const struct sip_replaces *p) {
    struct token t;
    return (token_parse(p->to_tag, &t) && t.cluster == (uint8_t)e->cfg.cluster_id) ||
           (token_parse(p->from_tag, &t) && t.cluster == (uint8_t)e->cfg.cluster_id);
}

bool refer_replaces_whole(struct refer *r) {
    const struct sip_replaces *p = &r->replaces;
    bool whole = !r->has_replaces || (p->to_tag.p && p->from_tag.p) || (r->quirks & QUIRK_REPLACES_TAGLESS);
    return whole || refer_bad(r, 400, SL("Bad Replaces in Refer-To"));
}

/* Passed on, it stands as it should. False: no room. */
static bool put_right(struct refer *r, const struct leg *d) {
    char mem[sizeof r->replaces_text];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    replaces_put(&b, d, leg_str(d, DLG_CALL_ID));
    sbuf_str(&b, r->replaces.early_only ? ";early-only" : "");
    if (b.overflow)
        return false;
    memcpy(r->replaces_text, mem, b.n);
    r->replaces_n = b.n;
    return sip_replaces_parse(slice_of(r->replaces_text, b.n), &r->replaces) >= 0;
}

/* The dialog that Replaces names. False: the REFER is refused. *result != 0: accepted, and then told to have failed. */
static bool find_consult(struct engine *e, struct leg *l, struct refer *r, struct leg **consult, uint16_t *result) {
    const struct sip_replaces *p = &r->replaces;
    struct leg *d = replaces_find(e, p, r->quirks, leg_str(l, LEG_PRINCIPAL));
    *consult = NULL;
    if (d && !replaces_is_right(p, d) && !put_right(r, d))
        return refer_bad(r, 400, SL("Bad Replaces in Refer-To"));
    if (!d || !(leg_is_live(d))) {
        bool ended = d || leg_ended_lately(e, p->call_id, p->to_tag, p->from_tag);
        if (!d && !(p->to_tag.p && p->from_tag.p)) /* it cannot be told to anybody else */
            ended = true;
        if (ended)
            *result = 603;
        else if (policy_is_our_host(e, r->to.uri.host.host) && is_of_ours(e, p))
            *result = 481;
        return true;
    }
    if (d == l || d->call == l->call)
        return refer_bad(r, 403, SL("Replaces names the same call"));
    if (!leg_str(d, LEG_PRINCIPAL).p || !slice_eq(leg_str(d, LEG_PRINCIPAL), leg_str(l, LEG_PRINCIPAL))) {
        metrics_add(&e->metrics, M_replaces_refused, 1);
        return refer_bad(r, 403, SL("Replaces names another party's dialog"));
    }
    if (p->early_only && leg_is_up(d)) {
        *result = 486;
        return true;
    }
    if (d->state != LEG_INCOMING && !leg_is_up(d))
        return refer_bad(r, 491, SLICE_NONE);
    if (party_is_busy(e, d) || party_is_busy(e, leg_peer(e, d)))
        return refer_bad(r, 491, SLICE_NONE);
    if (leg_is_up(d) && !leg_peer(e, d) && !d->echo)
        *result = 603;
    *consult = d;
    return true;
}

static void refuse(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn, const struct refer *r) {
    struct uas_response resp = { .status = r->status, .reason = r->reason, .to_tag = leg_str(l, DLG_LOCAL_TAG) };
    if (r->status == 420)
        resp.extra = SL("Unsupported: *\r\n");
    refer_note_refusal(e, l, leg_str(l, LEG_PRINCIPAL), msg, r);
    wire_respond(e, txn, msg, &resp, l);
}

uint16_t refer_accept_code(const struct engine *e, const struct transfer *t, bool in_dialog) {
    bool none = t->silent && !(t->quirks & QUIRK_NO_NOTIFY);
    if (t->quirks & QUIRK_ACCEPT_200 || e->cfg.accept == ACCEPT_200)
        return 200;
    return (in_dialog && !none) || e->cfg.accept == ACCEPT_202 ? 202 : 200;
}

void refer_put_accepted(struct engine *e, struct sbuf *h, const struct transfer *t, const struct sip_msg *msg) {
    transfer_put_events_at(e, h, t);
    if (slice_has_prefix(sip_hdr_value(msg, SIP_H_REFER_SUB), SL("false")))
        sbuf_lit(h, "Refer-Sub: false\r\n");
}

bool refer_keep(struct engine *e, struct transfer *t, const struct sip_msg *msg, const struct refer *r) {
    struct slice uri = r->to.uri.whole;
    call_get(e, t->call)->emergency |= policy_is_emergency(e, &r->to.uri);
    if (r->to.uri.headers.p)
        uri.n = (uint32_t)(r->to.uri.headers.p - 1 - uri.p);
    t->refer_cseq = msg->cseq;
    t->max_forwards = msg->max_forwards > 0 ? (uint32_t)msg->max_forwards - 1 : LIMIT_HOPS_MAX;
    t->quirks = r->quirks;
    if (r->no_subscription)
        t->quirks &= (uint8_t)~QUIRK_NO_NOTIFY;
    t->silent = r->no_subscription || (t->quirks & QUIRK_NO_NOTIFY);
    t->require_replaces = r->require_replaces;
    t->expires_us = e->now + 1000000ull * e->cfg.subscription_s;
    if (r->explicit_sub && !transfer_make_events_at(e, t))
        return false;
    return strs_set(&t->s, &e->bufs, TRF_REFER_TO, uri) && strs_set(&t->s, &e->bufs, TRF_REFERRED_BY, r->referred_by) &&
           strs_set(&t->s, &e->bufs, TRF_BY, r->by) &&
           strs_set(&t->s, &e->bufs, TRF_EXTRA, r->extra.n ? sbuf_slice(&r->extra) : SLICE_NONE) &&
           strs_set(&t->s, &e->bufs, TRF_REPLACES,
                    r->has_replaces ? slice_of(r->replaces_text, r->replaces_n) : SLICE_NONE);
}

/* The URI alone of who transfers, to ring it again if all fails. */
static bool keep_recall(struct engine *e, struct transfer *t, const struct leg *b) {
    struct sip_nameaddr na;
    if (!e->cfg.recall || sip_nameaddr_parse(leg_str(b, DLG_REMOTE_URI), &na) < 0)
        return true;
    return strs_set(&t->s, &e->bufs, TRF_RECALL, na.uri.whole);
}

static enum transfer_mode mode_of(const struct refer *r, const struct leg *consult) {
    if (!r->has_replaces)
        return MODE_BLIND;
    if (!consult)
        return MODE_FOREIGN;
    if (consult->state == LEG_INCOMING)
        return MODE_SEMI;
    return consult->echo ? MODE_ECHO : MODE_REPLACE;
}

static struct transfer *start(struct engine *e, struct leg *l, const struct sip_msg *msg, const struct refer *r,
                              struct leg *consult) {
    struct leg *a = leg_peer(e, l);
    struct transfer *t = transfer_new(e, leg_call(e, a));
    if (!t)
        return NULL;
    if (!refer_keep(e, t, msg, r) || !keep_recall(e, t, l)) {
        transfer_free(e, t);
        return NULL;
    }
    t->transferor = l->self;
    t->subscriber = r->explicit_sub ? HANDLE_NONE : l->self;
    t->transferee = a->self;
    t->mode = (uint8_t)mode_of(r, consult);
    transfer_role(e, t, l->self, TR_TRANSFEROR);
    transfer_role(e, t, a->self, TR_TRANSFEREE);
    if (consult) {
        t->consult = consult->self;
        t->consult_call = consult->call;
        leg_call(e, a)->emergency |= leg_call(e, consult)->emergency;
        transfer_role(e, t, t->consult, TR_CONSULT);
        t->replaced = consult->peer;
        transfer_role(e, t, t->replaced, TR_REPLACED);
    }
    leg_call(e, a)->depth++;
    l->keep_on_bye = !t->silent;
    return t;
}

void transfer_begin(struct engine *e, struct transfer *t, const struct sip_msg *msg, handle txn, uint16_t result) {
    struct leg *l = leg_get(e, t->transferor);
    struct sbuf h = ua_headers(&e->ua);
    refer_put_accepted(e, &h, t, msg);
    struct uas_response r = { .status = refer_accept_code(e, t, true),
                              .to_tag = leg_str(l, DLG_LOCAL_TAG),
                              .contact_user = leg_str(l, DLG_LOCAL_TAG),
                              .extra = sbuf_slice(&h) };
    wire_respond(e, txn, msg, &r, l);
    cdr_step(e, t, STEP_ACCEPTED);
    transfer_notify(e, t, 100);
    if (result)
        transfer_fail(e, t, result);
    else
        transfer_call_target(e, t);
}

/* Its transfer is over: carried to its end by the next owner, where one died before the 202; or where its call was
 * before it moved here, and the 202 was lost. */
static bool answer_done(struct engine *e, const struct leg *l, const struct sip_msg *msg, handle txn) {
    bool quiet = slice_has_prefix(sip_hdr_value(msg, SIP_H_REFER_SUB), SL("false"));
    struct uas_response r = { .status = quiet || e->cfg.accept == ACCEPT_200 ? 200 : 202,
                              .to_tag = leg_str(l, DLG_LOCAL_TAG),
                              .contact_user = leg_str(l, DLG_LOCAL_TAG),
                              .extra = quiet ? SL("Refer-Sub: false\r\n") : SLICE_NONE };
    return wire_respond(e, txn, msg, &r, l);
}

bool transfer_accepted_again(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    struct transfer *t = transfer_get(e, l->transfer);
    bool in_dialog = msg->to_tag.p != NULL;
    /* Only on a leg that was read from a record does its CSeq let it come here again: in a call taken over, in one that
     * has moved, or in one that such a leg was joined to. */
    if (in_dialog && l->refer_done && l->refer_done == msg->cseq)
        return answer_done(e, l, msg, txn);
    if (!t || !leg_call(e, l)->taken_us || t->refer_cseq != msg->cseq)
        return false;
    if (transfer_relay_waits(t) && in_dialog && l->self == t->transferor) {
        t->refer_txn = txn; /* the transferee's answer to ours, sent again, is the answer */
        return true;
    }
    if (t->mode == MODE_RELAY && !transfer_relay_begun(t))
        return false;
    /* The numbers are those of the dialog that it came in. */
    if (l->self != (t->outside ? t->subscriber : t->transferor))
        return false;
    struct sbuf h = ua_headers(&e->ua);
    refer_put_accepted(e, &h, t, msg);
    struct uas_response r = { .status = refer_accept_code(e, t, in_dialog),
                              .to_tag = leg_str(l, DLG_LOCAL_TAG),
                              .contact_user = leg_str(l, DLG_LOCAL_TAG),
                              .extra = sbuf_slice(&h) };
    return wire_respond(e, txn, msg, &r, l);
}

void transfer_on_refer(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    if (transfer_accepted_again(e, l, msg, txn))
        return;
    struct refer r;
    struct leg *consult = NULL;
    uint16_t result = 0;
    bool ok = refer_read(msg, &r) && check_party(e, l, &r);
    if (ok && move_refer(e, l, msg, txn, &r))
        return;
    r.quirks = refer_quirks(e, msg, l, leg_str(l, LEG_PRINCIPAL));
    ok = ok && refer_replaces_whole(&r) &&
              (!r.has_replaces || find_consult(e, l, &r, &consult, &result)) &&
              refer_within_rules(e, leg_str(l, LEG_PRINCIPAL), consult, &r);
    struct transfer *t = ok ? start(e, l, msg, &r, result ? NULL : consult) : NULL;
    if (ok && !t)
        r.status = 503;
    if (!t) {
        refuse(e, l, msg, txn, &r);
        return;
    }
    metrics_add(&e->metrics, M_transfers_started, 1);
    if (result || !transfer_relay(e, t, msg, txn))
        transfer_begin(e, t, msg, txn, result);
}
