/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_msg: the three messages that the transaction layer makes itself.
 */
#include "core/sip/txn_table.h"
#include "parser/sip_write.h"

/* Fixed text of the headers below and start line, rounded up. */
#define FIXED 320u
/* "SIP/2.0 100 Trying", "Content-Length: 0" and line ends, rounded up. */
#define TRYING_FIXED 64u

/* The result, or NULL if it did not fit: then `need` was reckoned wrong or the buffers are used up. */
static struct buf *finish(struct txn_layer *l, struct buf *b, const struct sbuf *out) {
    b->len = out->n;
    if (out->overflow)
        buf_unref(l->bufs, &b);
    return b;
}

static uint32_t identity_length(const struct sip_msg *m) {
    return m->from.value.n + m->to.value.n + m->call_id.n + FIXED;
}

/* Section 8.2.6: 100 has no To tag of ours and copies Timestamp. */
struct buf *txn_make_trying(struct txn_layer *l, const struct sip_msg *request, const struct uas_head *head) {
    uint32_t timestamp = sip_copied_length(request, SIP_H_TIMESTAMP);
    struct buf *b = head ? buf_get(l->bufs, head->end + timestamp + TRYING_FIXED) : NULL;
    if (!b)
        return NULL;
    struct sbuf out = sbuf_on(b->data, b->cap);
    sip_put_status(&out, 100, SLICE_NONE);
    uas_head_put(&out, head, false, SLICE_NONE);
    sip_put_copy(&out, request, SIP_H_TIMESTAMP);
    sip_put_body(&out, SLICE_NONE, SLICE_NONE);
    return finish(l, b, &out);
}

/* What ACK and CANCEL have in common: Request-URI, the one Via, Route, From, Call-ID and CSeq number are the
 * INVITE's. */
static void put_of_invite(struct sbuf *out, const struct sip_msg *invite, struct slice method, struct slice to) {
    sip_put_request(out, method, invite->ruri_text);
    sip_put_hdr(out, SL("Via"), invite->via.value);
    sip_put_hdr_u64(out, SL("Max-Forwards"), 70);
    sip_put_copy(out, invite, SIP_H_ROUTE);
    sip_put_hdr(out, SL("From"), invite->from.value);
    sip_put_hdr(out, SL("To"), to);
    sip_put_hdr(out, SL("Call-ID"), invite->call_id);
    sip_put_cseq(out, invite->cseq, method);
}

static struct buf *make_of_invite(struct txn_layer *l, const struct buf *invite, const struct sip_msg *response,
                                  struct slice extra) {
    struct sip_msg req;
    struct sip_fault fault;
    if (!invite || sip_parse(buf_slice(invite), &req, &fault) < 0 || !req.is_request)
        return NULL;
    struct slice to = response ? response->to.value : req.to.value;
    uint32_t need = identity_length(&req) + to.n + req.ruri_text.n + req.via.value.n + extra.n +
                    sip_copied_length(&req, SIP_H_ROUTE);
    struct buf *b = buf_get(l->bufs, need);
    if (!b)
        return NULL;
    struct sbuf out = sbuf_on(b->data, b->cap);
    put_of_invite(&out, &req, response ? SL("ACK") : SL("CANCEL"), to);
    sbuf_put(&out, extra);
    sip_put_body(&out, SLICE_NONE, SLICE_NONE);
    return finish(l, b, &out);
}

struct buf *txn_make_ack(struct txn_layer *l, const struct buf *invite, const struct sip_msg *response) {
    return make_of_invite(l, invite, response, SLICE_NONE);
}

struct buf *txn_make_cancel(struct txn_layer *l, const struct buf *invite, struct slice extra) {
    return make_of_invite(l, invite, NULL, extra);
}
