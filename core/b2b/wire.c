/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/wire.h"

#include "core/b2b/barrier.h"
#include "core/b2b/leg.h"
#include "core/base/check.h"

void wire_send(struct engine *e, struct buf *b, const struct addr *dst, const struct addr *src) {
    if (!b)
        return;
    struct out *o = outbox_add(e->out, OUT_SEND);
    if (!o) {
        metrics_add(&e->metrics, M_pool_full, 1);
        return;
    }
    buf_ref(b);
    o->u.send.buf = b;
    o->u.send.dst = *dst;
    o->u.send.src = *src;
    metrics_add(&e->metrics, M_datagrams_out, 1);
}

int32_t wire_parse_again(struct engine *e, struct slice bytes, struct sip_fault *fault) {
    e->again_of = HANDLE_NONE;
    return sip_parse(bytes, &e->again, fault);
}

const struct sip_msg *wire_request_again(struct engine *e, handle txn) {
    struct slice bytes = txn_request(&e->txns, txn);
    struct sip_fault fault;
    if (!bytes.p)
        return NULL;
    if (e->again_of == txn)
        return &e->again;
    if (wire_parse_again(e, bytes, &fault) < 0)
        return NULL;
    e->again_of = txn;
    return &e->again;
}

static bool is_open(const struct leg *l, handle txn) {
    return l && leg_is_up(l) && l->invite_in == txn;
}

/* What a response promises; barrier.h. */
static enum hold promise_of(unsigned method, const struct uas_response *r, const struct leg *l, handle txn) {
    bool ok = r->status >= 200 && r->status < 300;
    switch (method) {
    /* A re-INVITE that is refused is open in the record until then. */
    case SIP_M_INVITE: return ok || r->body.n || (r->status >= 300 && is_open(l, txn)) ? HOLD_RECORD : HOLD_NEVER;
    case SIP_M_REFER:
    case SIP_M_SUBSCRIBE: return ok ? HOLD_RECORD : HOLD_NEVER;
    case SIP_M_BYE: return ok && leg_is_up(l) ? HOLD_RECORD : HOLD_NEVER;
    case SIP_M_PRACK: return ok ? HOLD_RECORD : HOLD_NEVER;
    case SIP_M_UPDATE: return ok && r->body.n ? HOLD_RECORD : HOLD_NEVER;
    default: return HOLD_NEVER;
    }
}

bool wire_respond(struct engine *e, handle txn, const struct sip_msg *req, const struct uas_response *r,
                  const struct leg *leg) {
    const struct txn *t = txn_get(&e->txns, txn);
    const struct uas_head *head = req ? NULL : txn_head(&e->txns, txn);
    if (!t)
        return false;
    if (!req && !head)
        req = wire_request_again(e, txn);
    if (!req && !head)
        return false;
    struct addr src = txn_src(t);
    struct buf *b = head ? uas_build_on(&e->ua, head, r) : uas_build(&e->ua, req, &src, r);
    if (!b) {
        metrics_add(&e->metrics, M_pool_full, 1);
        return false;
    }
    barrier_respond(e, leg, promise_of(head ? head->method : req->method, r, leg, txn), txn, b, r->status);
    return true;
}

void wire_answer(struct engine *e, handle txn, const struct sip_msg *req, const struct uas_response *r) {
    char tag[16];
    struct sbuf t = sbuf_on(tag, sizeof tag);
    struct uas_response tagged = *r;
    sbuf_hex(&t, rng_u64(&e->rng), 16);
    tagged.to_tag = sbuf_slice(&t);
    wire_respond(e, txn, req, &tagged, NULL);
}

void wire_respond_stateless(struct engine *e, const struct sip_msg *req, const struct addr *src, const struct addr *dst,
                            const struct uas_response *r, bool told) {
    struct addr to;
    txn_response_dst(req, src, &to);
    struct buf *b = uas_build(&e->ua, req, src, r);
    if (!b)
        return;
    if (told)
        wire_trace(e, "send", NULL, buf_slice(b), &to);
    wire_send(e, b, &to, dst);
    buf_unref(&e->bufs, &b);
}

/* What a trace tells of a message, found in one go over its lines: most messages are told to the flight recorder. */
struct gist {
    struct slice cseq, direction; /* the latter is absent without a description */
};

static void read_gist(struct slice message, struct gist *g) {
    static const struct slice words[] = { { "a=sendonly", 10 }, { "a=recvonly", 10 }, { "a=inactive", 10 } };
    unsigned best = 3;
    *g = (struct gist){ 0 };
    for (int32_t end; (end = slice_find(message, '\n')) >= 0;) {
        message = slice_of(message.p + end + 1, message.n - (uint32_t)end - 1);
        char c = message.n ? message.p[0] : 0;
        if (c == 'C' && !g->cseq.p && slice_has_prefix(message, SL("CSeq:")))
            g->cseq = slice_of(message.p + 5, message.n - 5);
        else if (c == 'm' && !g->direction.p && slice_has_prefix(message, SL("m=")))
            g->direction = SL("sendrecv");
        for (unsigned i = 0; c == 'a' && i < best; i++)
            if (slice_has_prefix(message, words[i]))
                best = i;
    }
    if (best < 3)
        g->direction = slice_of(words[best].p + 2, words[best].n - 2);
    int32_t end = slice_find(g->cseq, '\r');
    g->cseq = slice_trim(slice_of(g->cseq.p, end < 0 ? g->cseq.n : (uint32_t)end));
}

/* Keys are for nobody who reads a trace (RFC 4568 section 9): the line ends where one begins. */
static struct slice without_key(struct slice line) {
    static const char name[] = "inline:";
    for (uint32_t i = 0; i + sizeof name - 1 <= line.n; i++)
        if (slice_ieq(slice_of(line.p + i, sizeof name - 1), slice_str(name)))
            return slice_of(line.p, i + sizeof name - 1);
    return line;
}

/* One line of the trace for each line of the message. */
static void trace_whole(struct engine *e, const char *what, uint64_t call, uint8_t leg, struct slice message) {
    while (message.n) {
        int32_t end = slice_find(message, '\n');
        uint32_t n = end < 0 ? message.n : (uint32_t)end + 1;
        struct sbuf d = trace_begin(&e->trace, TRACE_WIRE, what, call, leg);
        sbuf_lit(&d, "| ");
        struct slice line = slice_trim(slice_of(message.p, n)), told = without_key(line);
        sbuf_escaped(&d, told, TRACE_DETAIL_MAX);
        sbuf_str(&d, told.n < line.n ? "..." : "");
        trace_end(&e->trace, &d);
        message = slice_of(message.p + n, message.n - n);
    }
}

void wire_trace(struct engine *e, const char *what, const struct leg *leg, struct slice message,
                const struct addr *other) {
    if (!trace_on(&e->trace, TRACE_DEBUG))
        return;
    const struct call *c = leg ? leg_call(e, leg) : NULL;
    int32_t end = slice_find(message, '\r');
    struct sbuf d = trace_begin(&e->trace, TRACE_DEBUG, what, c ? c->id : 0, leg ? leg->number : 0xff);
    sbuf_escaped(&d, slice_of(message.p, end < 0 ? message.n : (uint32_t)end), 90);
    struct gist g;
    read_gist(message, &g);
    if (slice_has_prefix(message, SL("SIP/2.0 "))) {
        sbuf_lit(&d, " | ");
        sbuf_escaped(&d, g.cseq, 24);
    }
    if (g.direction.p) {
        sbuf_lit(&d, " | ");
        sbuf_put(&d, g.direction);
    }
    sbuf_lit(&d, " | ");
    addr_put(&d, other);
    trace_end(&e->trace, &d);
    if (trace_on(&e->trace, TRACE_WIRE))
        trace_whole(e, what, c ? c->id : 0, leg ? leg->number : 0xff, message);
}
