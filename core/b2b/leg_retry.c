/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A request that was refused and is sent once more with what the refusal asked for: 422 (RFC 4028 section 7.3). The
 * other side of the call never hears of it. */
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/wire.h"
#include "core/sip/branch.h"
#include "parser/sip_hdr.h"
#include "parser/sip_write.h"

#define TRIES_MAX 3

/* What is written anew. */
static bool is_replaced(uint8_t id) {
    return id == SIP_H_VIA || id == SIP_H_CSEQ || id == SIP_H_SESSION_EXPIRES || id == SIP_H_MIN_SE ||
           id == SIP_H_CONTENT_TYPE || id == SIP_H_CONTENT_LENGTH;
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
        if (!is_replaced(h->id))
            sip_put_hdr(&b, h->name, h->value);
    }
    sbuf_put(&b, lines);
    sip_put_body(&b, req->content_type, req->body);
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

static void note_sent(struct engine *e, struct leg *l, const struct txn *old, handle h, uint32_t cseq) {
    struct txn *t = txn_get(&e->txns, h);
    t->tries = (uint8_t)(old->tries + 1);
    t->peer = old->peer;
    l->dlg.local_cseq = cseq;
    if (t->method != SIP_M_INVITE)
        return;
    l->invite_cseq = cseq;
    l->invite_out = h;
}

static bool send(struct engine *e, struct leg *l, const struct txn_event *ev, const struct txn *old,
                 struct slice lines) {
    char mem[DIALOG_BRANCH_MAX];
    struct slice branch;
    struct sip_fault fault;
    struct sip_msg *req = &e->again;
    uint32_t cseq = l->dlg.local_cseq + 1;
    if (sip_parse(txn_refused(&e->txns), req, &fault) < 0)
        return false;
    struct addr dst = old->dst, local = old->local;
    struct buf *b = build(e, l, req, cseq, lines, mem, &branch);
    if (!b)
        return false;
    wire_trace(e, "send", l, buf_slice(b), &dst);
    struct txn_client c = {
        .request = b,
        .method = req->method,
        .method_name = req->method_name,
        .branch = branch,
        .cseq = cseq,
        .dst = &dst,
        .local = &local,
        .ctx_kind = ev->ctx_kind,
        .ctx = l->self,
        .trace_call = old->trace_call,
        .trace_leg = l->number,
    };
    handle h = txn_client_start(&e->txns, e->out, e->now, &c);
    old = txn_get(&e->txns, ev->txn);
    if (h == HANDLE_NONE || !old)
        return false;
    note_sent(e, l, old, h, cseq);
    return true;
}

bool leg_retry(struct engine *e, struct leg *l, const struct txn_event *ev, const struct sip_msg *msg) {
    char mem[SESSION_LINES_MAX];
    const struct txn *old = txn_get(&e->txns, ev->txn);
    if (ev->kind != TXN_FINAL || msg->status != 422 || !old || old->tries >= TRIES_MAX || !txn_refused(&e->txns).p ||
        !is_wanted(l, ev) || !session_raise(&e->cfg.session, &l->session, msg))
        return false;
    return send(e, l, ev, old, leg_session_request(e, l, old->kind == TXN_ICT, mem));
}
