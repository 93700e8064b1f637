/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A request that was refused and is sent once more with what the refusal asked for: a longer session interval (422, RFC
 * 4028 section 7.3), credentials (401, 407, RFC 3261 section 22.2), or an offer without keys (488, 606). The other side
 * of the call never hears of it. */
#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/b2b/media_srtp.h"
#include "core/b2b/wire.h"
#include "core/sip/branch.h"
#include "parser/sip_hdr.h"
#include "parser/sip_write.h"

#define TRIES_MAX 3

/* What is written anew. */
static bool is_replaced(const struct leg *l, uint8_t id) {
    uint8_t credentials = leg_auth_is_proxys(l) ? SIP_H_PROXY_AUTHORIZATION : SIP_H_AUTHORIZATION;
    return id == credentials || id == SIP_H_VIA || id == SIP_H_CSEQ || id == SIP_H_SESSION_EXPIRES ||
           id == SIP_H_MIN_SE || id == SIP_H_CONTENT_TYPE || id == SIP_H_CONTENT_LENGTH;
}

static struct buf *build(struct engine *e, struct leg *l, const struct sip_msg *req, uint32_t cseq,
                         struct slice lines, char *mem, struct slice *branch) {
    struct sbuf br = sbuf_on(mem, DIALOG_BRANCH_MAX), b = sbuf_on(e->ua.scratch, SIP_MESSAGE_MAX);
    branch_put(&br, leg_str(l, DLG_LOCAL_TAG), l->dlg.branch_seed, cseq, 0);
    *branch = sbuf_slice(&br);
    sip_put_request(&b, req->method_name, req->ruri_text);
    sip_put_via(&b, SIP_UDP, e->ua.sent_by, *branch);
    sip_put_cseq(&b, cseq, req->method_name);
    for (unsigned i = 0; i < req->header_count; i++) {
        const struct sip_hdr *h = &req->headers[i];
        if (!is_replaced(l, h->id))
            sip_put_hdr(&b, h->name, h->value);
    }
    sbuf_put(&b, lines);
    sip_put_body(&b, req->content_type, l->keys_withdrawn && req->body.n ? leg_str(l, LEG_SDP_LOCAL) : req->body);
    return b.overflow ? NULL : buf_copy(&e->bufs, sbuf_slice(&b));
}

/* Nobody has given it up meanwhile. */
static bool is_wanted(const struct leg *l, const struct txn_event *t) {
    switch (t->ctx_kind) {
    case FOR_INVITE: return l->state == LEG_CALLING || l->state == LEG_EARLY;
    case FOR_REINVITE: return leg_is_up(l) && l->invite_out == t->txn;
    case FOR_BYE: return l->state == LEG_BYE_SENT;
    default: return l->state != LEG_DEAD;
    }
}

/* What was agreed on in a reliable 18x was so with the one that was refused. */
static void begin_anew(struct leg *l) {
    l->early_answer = l->prack_waits = false;
    l->prack_rseq = 0;
    oa_step(&l->oa, OA_EV_ABORT);
    if (!l->late_offer)
        oa_step(&l->oa, OA_EV_SEND_OFFER);
}

/* old: of the one that was refused. */
static void note_sent(struct engine *e, struct leg *l, const struct txn_event *old, handle h, uint32_t cseq) {
    struct txn *t = txn_get(&e->txns, h), *asked = txn_get(&e->txns, old->other);
    t->u.open->tries = (uint8_t)(old->tries + 1);
    txn_set_peer(t, old->other);
    if (asked)
        txn_set_peer(asked, h);
    l->dlg.local_cseq = cseq;
    if (t->method != SIP_M_INVITE)
        return;
    l->invite_cseq = cseq;
    l->invite_out = h;
    if (t->ctx_kind == FOR_INVITE)
        begin_anew(l);
    call_promised(e, leg_call(e, l));
}

/* req: the one that was refused. */
static handle send(struct engine *e, struct leg *l, const struct txn_event *ev, const struct txn *old,
                   const struct sip_msg *req) {
    char mem[DIALOG_BRANCH_MAX], own[LEG_LINES_MAX];
    struct slice branch;
    const struct call *call = leg_call(e, l);
    struct addr dst = old->dst, local = old->local;
    uint32_t cseq = l->dlg.local_cseq + 1;
    struct slice lines = leg_own_lines(e, l, req->method_name, req->ruri_text, &dst, own);
    struct buf *b = build(e, l, req, cseq, lines, mem, &branch);
    if (!b)
        return HANDLE_NONE;
    if (req->method == SIP_M_INVITE)
        leg_keep_credentials(e, l, lines);
    struct txn_client c = {
        .request = b,
        .method = req->method,
        .method_name = req->method_name,
        .branch = branch,
        .cseq = cseq,
        .dst = &dst,
        .local = &local,
        .ctx_kind = ev->ctx_kind,
        .bucket = call_mark(call),
        .ctx = l->self,
        .trace_call = call ? call->id : 0,
        .trace_leg = l->number,
    };
    handle h = barrier_request(e, l, HOLD_BEHIND, &c);
    if (h == HANDLE_NONE)
        return HANDLE_NONE;
    note_sent(e, l, ev, h, cseq);
    return h;
}

static bool offers_plain(struct engine *e, struct leg *l, const struct sip_msg *req) {
    return req->body.n && media_srtp_withdraw(e, l) && media_describe(e, l, leg_str(l, LEG_SDP_LOCAL), -1).p;
}

static bool can_be_met(struct engine *e, struct leg *l, const struct txn_event *ev, const struct sip_msg *req,
                       const struct sip_msg *msg) {
    switch (msg->status) {
    case 401:
    case 407: return leg_auth_challenged(e, l, msg, req, ev);
    case 422: return session_raise(&e->cfg.session, &l->session, msg);
    case 488:
    case 606: return ev->ctx_kind == FOR_INVITE && offers_plain(e, l, req);
    default: return false;
    }
}

handle leg_retry(struct engine *e, struct leg *l, const struct txn_event *ev, const struct sip_msg *msg) {
    const struct txn *old = txn_get(&e->txns, ev->txn);
    struct sip_fault fault;
    struct slice bytes = txn_refused(&e->txns);
    if (ev->kind != TXN_FINAL || !old || ev->tries >= TRIES_MAX || !bytes.p || !is_wanted(l, ev) ||
        wire_parse_again(e, bytes, &fault) < 0 || !can_be_met(e, l, ev, &e->again, msg))
        return HANDLE_NONE;
    leg_early_free(e, l);
    return send(e, l, ev, old, &e->again);
}
