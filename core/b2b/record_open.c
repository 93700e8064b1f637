/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/record_open.h"

#include "core/b2b/call.h"
#include "core/b2b/record_fields.h"
#include "core/b2b/wire.h"

bool record_open_read(struct engine *e, struct slice in, struct record_open *o) {
    struct sbuf copy = ua_headers(&e->ua);
    struct tlv t;
    uint64_t v;
    *o = (struct record_open){ .addr.family = ADDR_NONE };
    while (in.n && tlv_next(&in, &t)) {
        if (t.tag == OPEN_TAG_BYTES) {
            sbuf_put(&copy, t.value);
            o->bytes = sbuf_slice(&copy);
        } else if (t.tag == OPEN_TAG_ADDR) {
            record_addr_get(t.value, &o->addr);
        } else if (t.tag == OPEN_TAG_STATE) {
            o->provisional = tlv_u64(&t, 1, &v) && v;
        }
    }
    return o->bytes.n && o->addr.family != ADDR_NONE && !copy.overflow;
}

handle record_open_send(struct engine *e, struct leg *l, const struct record_open *o, enum sip_method method,
                        enum txn_purpose purpose) {
    const struct call *c = leg_call(e, l);
    struct sip_fault fault;
    if (wire_parse_again(e, o->bytes, &fault) < 0 || !e->again.is_request || e->again.method != method)
        return HANDLE_NONE;
    struct txn_client t = {
        .request = buf_copy(&e->bufs, o->bytes),
        .method = method,
        .branch = e->again.via.branch,
        .cseq = e->again.cseq,
        .dst = &o->addr,
        .local = &l->dlg.local,
        .ctx_kind = purpose,
        .bucket = call_mark(c),
        .ctx = l->self,
        .trace_call = c->id,
        .trace_leg = l->number,
    };
    handle h = txn_client_make(&e->txns, &t);
    if (o->provisional) {
        txn_client_adopt(&e->txns, h);
    } else if (h != HANDLE_NONE) {
        wire_trace(e, "send", l, o->bytes, &o->addr);
        txn_client_send(&e->txns, e->out, e->now, h);
    }
    return h;
}
