/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* REFER (RFC 3515): sent in a dialog and outside one, received in a dialog; Refer-To with Replaces (RFC 3891). */
#include "bench/phone/phone_int.h"

static int send_refer(struct phone *ph, int i, struct slice refer_to) {
    int k = txn_in_dialog(ph, SIP_M_REFER, i);
    if (k < 0)
        return -1;
    struct phone_txn *t = &ph->txns[k];
    struct sbuf b = sbuf_on(t->request, sizeof t->request);
    char mem[1024];
    struct sbuf value = sbuf_on(mem, sizeof mem);
    sbuf_char(&value, '<');
    sbuf_put(&value, refer_to);
    sbuf_char(&value, '>');
    request_begin(ph, k, &b);
    put_capabilities(ph, &b);
    sip_put_hdr(&b, SL("Refer-To"), sbuf_slice(&value));
    sip_put_hdr(&b, SL("Referred-By"), phone_text_slice(&ph->aor));
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    if (b.overflow || value.overflow) {
        t->state = PHONE_T_FREE;
        return -1;
    }
    txn_send_request(ph, k, &b, 0);
    return 0;
}

int phone_refer(struct phone *ph, int i, struct slice refer_to) {
    return ph->dialogs[i].state == PHONE_D_CONFIRMED ? send_refer(ph, i, refer_to) : -1;
}

int phone_refer_outside(struct phone *ph, struct slice to, struct slice refer_to) {
    int i = dialog_out(ph, to);
    if (i < 0)
        return -1;
    ph->dialogs[i].subscription = true;
    if (send_refer(ph, i, refer_to) == 0)
        return i;
    ph->dialogs[i].state = PHONE_D_FREE;
    return -1;
}

void refer_on_response(struct phone *ph, int i, const struct sip_msg *m) {
    struct phone_dialog *d = &ph->dialogs[i];
    uint16_t status = m ? m->status : 0;
    phone_push(ph, (struct phone_event){ .kind = PHONE_EV_REFER_ANSWERED, .dialog = i, .status = status });
    if (!d->subscription)
        return;
    if (status / 100 != 2) {
        dialog_free(ph, i);
        return;
    }
    dialog_from_response(ph, i, m);
    d->state = PHONE_D_CONFIRMED;
}

void phone_put_replaces(const struct phone *ph, int i, struct sbuf *out) {
    const struct phone_dialog *d = &ph->dialogs[i];
    sbuf_put(out, phone_text_slice(&d->call_id));
    sbuf_lit(out, ";to-tag=");
    sbuf_put(out, phone_text_slice(&d->remote_tag));
    sbuf_lit(out, ";from-tag=");
    sbuf_put(out, phone_text_slice(&d->local_tag));
}

void phone_put_refer_to(const struct phone *ph, int i, struct slice uri, struct sbuf *out) {
    char mem[3 * PHONE_TEXT_MAX + 32];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    phone_put_replaces(ph, i, &b);
    sbuf_put(out, uri);
    sbuf_lit(out, "?Replaces=");
    sip_escape_hvalue(out, sbuf_slice(&b));
}

/* ---- as the one that is asked */

static bool notify(struct phone *ph, int i, uint32_t refer_cseq, uint16_t status) {
    int k = txn_in_dialog(ph, SIP_M_NOTIFY, i);
    if (k < 0)
        return false;
    struct phone_txn *t = &ph->txns[k];
    char mem[128];
    struct sbuf b = sbuf_on(t->request, sizeof t->request), frag = sbuf_on(mem, sizeof mem);
    request_begin(ph, k, &b);
    sbuf_lit(&b, "Event: refer;id=");
    sbuf_u64(&b, refer_cseq);
    sbuf_lit(&b, "\r\n");
    sip_put_hdr(&b, SL("Subscription-State"),
                status < 200 ? SL("active;expires=60") : SL("terminated;reason=noresource"));
    sip_frag_put(&frag, status, sip_reason(status));
    sip_put_body(&b, SL("message/sipfrag"), sbuf_slice(&frag));
    txn_send_request(ph, k, &b, 0);
    return true;
}

void refer_progress(struct phone *ph, int i, uint16_t status) {
    struct phone_dialog *d = &ph->dialogs[i];
    if (d->referred < 0)
        return;
    notify(ph, d->referred, d->refer_cseq, status);
    if (status >= 200)
        d->referred = -1;
}

/* Replaces and Require out of the URI's headers, unescaped once; Referred-By as it came (RFC 3892). */
static bool put_extra(const struct sip_msg *m, const struct sip_uri *uri, struct sbuf *b) {
    struct slice rest = uri->headers, name, value;
    while (rest.n && sip_uri_header_next(&rest, &name, &value)) {
        if (!slice_ieq(name, SL("Replaces")) && !slice_ieq(name, SL("Require")))
            continue;
        sbuf_put(b, name);
        sbuf_lit(b, ": ");
        if (!sip_unescape(b, value))
            return false;
        sbuf_lit(b, "\r\n");
    }
    sip_put_copy(b, m, SIP_H_REFERRED_BY);
    return !rest.n && !b->overflow;
}

static void accept_refer(struct phone *ph, int i, int txn, const struct sip_msg *m) {
    struct phone_txn *t = &ph->txns[txn];
    struct sbuf b = sbuf_on(t->reply, sizeof t->reply);
    reply_begin(ph, m, &t->peer, 202, phone_text_slice(&ph->dialogs[i].local_tag), &b);
    sip_put_hdr(&b, SL("Contact"), phone_text_slice(&ph->contact));
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    txn_send_reply(ph, txn, &b, 202);
}

void serve_refer(struct phone *ph, int i, int txn, const struct sip_msg *m) {
    struct sip_nameaddr to;
    char mem[1024];
    struct sbuf extra = sbuf_on(mem, sizeof mem);
    bool sound = sip_nameaddr_parse(sip_hdr_value(m, SIP_H_REFER_TO), &to) >= 0 && put_extra(m, &to.uri, &extra);
    if (!sound || ph->dialogs[i].state != PHONE_D_CONFIRMED) {
        reply_simple(ph, txn, m, sound ? 481 : 400);
        return;
    }
    struct slice uri = to.uri.whole;
    if (to.uri.headers.p)
        uri.n = (uint32_t)(to.uri.headers.p - 1 - uri.p);
    accept_refer(ph, i, txn, m);
    notify(ph, i, m->cseq, 100);
    int call = call_start(ph, uri, sbuf_slice(&extra));
    if (call < 0) {
        notify(ph, i, m->cseq, 503);
        return;
    }
    ph->dialogs[call].referred = i;
    ph->dialogs[call].refer_cseq = m->cseq;
}
