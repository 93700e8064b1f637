/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/phone/phone_int.h"

/* INVITE or re-INVITE with an offer of the present state. */
static int send_invite(struct phone *ph, int i, struct slice extra) {
    struct phone_dialog *d = &ph->dialogs[i];
    int k = txn_in_dialog(ph, SIP_M_INVITE, i);
    if (k < 0)
        return -1;
    struct phone_txn *t = &ph->txns[k];
    char mem[PHONE_SDP_MAX];
    struct sbuf b = sbuf_on(t->request, sizeof t->request), sdp = sbuf_on(mem, sizeof mem);
    d->invite_cseq = t->cseq;
    request_begin(ph, k, &b);
    put_capabilities(ph, &b);
    sbuf_put(&b, extra);
    sdp_put_offer(ph, i, &sdp);
    sip_put_body(&b, SL("application/sdp"), sbuf_slice(&sdp));
    if (b.overflow || sdp.overflow) {
        t->state = PHONE_T_FREE;
        return -1;
    }
    d->we_offered = true;
    d->invite_txn = k;
    txn_send_request(ph, k, &b, 0);
    return 0;
}

int call_start(struct phone *ph, struct slice to, struct slice extra) {
    int i = dialog_out(ph, to);
    if (i < 0 || send_invite(ph, i, extra) == 0)
        return i;
    ph->dialogs[i].state = PHONE_D_FREE;
    return -1;
}

int phone_call(struct phone *ph, struct slice to, struct slice replaces) {
    char mem[1024];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    if (replaces.p) {
        sip_put_hdr(&b, SL("Replaces"), replaces);
        sip_put_hdr(&b, SL("Require"), SL("replaces"));
    }
    return b.overflow ? -1 : call_start(ph, to, sbuf_slice(&b));
}

int phone_hold(struct phone *ph, int i, bool on) {
    struct phone_dialog *d = &ph->dialogs[i];
    if (d->state != PHONE_D_CONFIRMED || d->we_offered || d->invite_txn >= 0)
        return -1;
    d->held_by_us = on;
    return send_invite(ph, i, SLICE_NONE);
}

/* CANCEL has the INVITE's branch, target, From, To, Call-ID and CSeq number (RFC 3261 section 9.1). */
static int send_cancel(struct phone *ph, int i, const struct phone_txn *invite) {
    struct sip_msg m;
    int k = txn_request(invite, &m) ? txn_new(ph, true, SIP_M_CANCEL, i) : -1;
    if (k < 0)
        return -1;
    struct phone_txn *t = &ph->txns[k];
    struct sbuf b = sbuf_on(t->request, sizeof t->request);
    t->branch = invite->branch;
    t->cseq = invite->cseq;
    t->peer = invite->peer;
    sip_put_request(&b, SL("CANCEL"), m.ruri_text);
    sip_put_hdr(&b, SL("Via"), m.via.value);
    sip_put_hdr_u64(&b, SL("Max-Forwards"), 70);
    sip_put_copy(&b, &m, SIP_H_ROUTE);
    sip_put_hdr(&b, SL("From"), m.from.value);
    sip_put_hdr(&b, SL("To"), m.to.value);
    sip_put_hdr(&b, SL("Call-ID"), m.call_id);
    sip_put_cseq(&b, t->cseq, SL("CANCEL"));
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    txn_send_request(ph, k, &b, 0);
    return 0;
}

int phone_hang_up(struct phone *ph, int i) {
    struct phone_dialog *d = &ph->dialogs[i];
    if (d->state == PHONE_D_INCOMING)
        return phone_reject(ph, i, 603);
    if (d->state != PHONE_D_CONFIRMED)
        return d->state == PHONE_D_EARLY && d->invite_txn >= 0 ? send_cancel(ph, i, &ph->txns[d->invite_txn]) : -1;
    d->state = PHONE_D_ENDING;
    d->resend_at = 0;
    return request_simple(ph, i, SIP_M_BYE) < 0 ? -1 : 0;
}

/* The ACK to a 2xx is a transaction of its own and repeats its INVITE's credentials (RFC 3261 13.2.2.4, 22.1). */
static void send_ack(struct phone *ph, int i, const struct phone_txn *t) {
    struct phone_dialog *d = &ph->dialogs[i];
    struct phone_text branch;
    struct addr dest;
    struct sip_msg invite;
    struct sbuf b = sbuf_on(d->ack, sizeof d->ack);
    char mem[64];
    struct sbuf host = sbuf_on(mem, sizeof mem);
    text_token(ph, &branch, SL("z9hG4bK-"));
    addr_put(&host, &ph->config.local);
    sip_put_request(&b, SL("ACK"), phone_text_slice(&d->target));
    sip_put_via(&b, SIP_UDP, sbuf_slice(&host), phone_text_slice(&branch));
    sip_put_hdr_u64(&b, SL("Max-Forwards"), 70);
    request_put_dialog(d, &b);
    sip_put_cseq(&b, t->cseq, SL("ACK"));
    if (txn_request(t, &invite)) {
        sip_put_copy(&b, &invite, SIP_H_AUTHORIZATION);
        sip_put_copy(&b, &invite, SIP_H_PROXY_AUTHORIZATION);
    }
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    if (b.overflow || !dialog_dest(ph, d, &dest))
        return;
    d->ack_n = (uint16_t)b.n;
    d->ack_cseq = t->cseq;
    phone_transmit(ph, &dest, sbuf_slice(&b), i, 0);
}

bool call_again_2xx(struct phone *ph, const struct sip_msg *m) {
    if (m->cseq_method != SIP_M_INVITE || m->status / 100 != 2)
        return false;
    int i = dialog_find(ph, m->call_id, m->from_tag, m->to_tag);
    if (i < 0 || ph->dialogs[i].ack_cseq != m->cseq || !ph->dialogs[i].ack_n)
        return false;
    struct phone_dialog *d = &ph->dialogs[i];
    struct addr dest;
    phone_tell(ph, &(struct phone_in){ .msg = m }, i, PHONE_SEEN_AGAIN);
    if (dialog_dest(ph, d, &dest))
        phone_transmit(ph, &dest, slice_of(d->ack, d->ack_n), i, PHONE_SEEN_AGAIN);
    return true;
}

static void invite_provisional(struct phone *ph, int i, const struct sip_msg *m) {
    struct phone_dialog *d = &ph->dialogs[i];
    if (m->status == 100)
        return;
    if (d->state == PHONE_D_CALLING || d->state == PHONE_D_EARLY) {
        d->state = PHONE_D_EARLY;
        if (m->to_tag.p)
            dialog_from_response(ph, i, m);
    }
    phone_push(ph, (struct phone_event){ .kind = PHONE_EV_PROGRESS, .dialog = i, .status = m->status });
    refer_progress(ph, i, m->status);
}

static void invite_success(struct phone *ph, int i, struct phone_txn *t, const struct sip_msg *m) {
    struct phone_dialog *d = &ph->dialogs[i];
    if (d->state == PHONE_D_CALLING || d->state == PHONE_D_EARLY) {
        dialog_from_response(ph, i, m);
        d->state = PHONE_D_CONFIRMED;
    } else {
        dialog_refresh_target(ph, i, m);
    }
    d->we_offered = false;
    d->invite_txn = -1;
    send_ack(ph, i, t);
    if (!sdp_take_answer(ph, i, m->body)) {
        phone_push(ph, (struct phone_event){ .kind = PHONE_EV_FAILED, .dialog = i, .status = 488 });
        phone_hang_up(ph, i);
        return;
    }
    phone_push(ph, (struct phone_event){ .kind = PHONE_EV_ANSWERED, .dialog = i, .status = m->status });
    refer_progress(ph, i, m->status);
}

static void invite_failed(struct phone *ph, int i, uint16_t status) {
    struct phone_dialog *d = &ph->dialogs[i];
    d->we_offered = false;
    d->invite_txn = -1;
    phone_push(ph, (struct phone_event){ .kind = PHONE_EV_FAILED, .dialog = i, .status = status });
    refer_progress(ph, i, status ? status : 408);
    if (d->state == PHONE_D_CALLING || d->state == PHONE_D_EARLY)
        dialog_free(ph, i);
    else if (status == 0 || status == 481 || status == 408)
        phone_hang_up(ph, i);
}

/* m == NULL, status 0: none came. */
static void final_response(struct phone *ph, int txn, const struct sip_msg *m) {
    uint16_t status = m ? m->status : 0;
    struct phone_txn *t = &ph->txns[txn];
    int i = t->dialog;
    if (t->method == SIP_M_REFER) {
        refer_on_response(ph, i, m);
        return;
    }
    if (t->method == SIP_M_CANCEL)
        return;
    if (status < 200 || status >= 300)
        phone_push(ph, (struct phone_event){ .kind = PHONE_EV_REQUEST_FAILED, .dialog = i, .status = status });
    if (t->method == SIP_M_BYE)
        dialog_free(ph, i);
}

void call_on_response(struct phone *ph, int txn, const struct phone_in *in) {
    struct phone_txn *t = &ph->txns[txn];
    const struct sip_msg *m = in->msg;
    if (t->dialog < 0)
        return;
    if (t->method != SIP_M_INVITE) {
        if (m->status >= 200)
            final_response(ph, txn, m);
    } else if (m->status < 200) {
        invite_provisional(ph, t->dialog, m);
    } else if (m->status < 300) {
        invite_success(ph, t->dialog, t, m);
    } else {
        invite_failed(ph, t->dialog, m->status);
    }
}

void call_on_timeout(struct phone *ph, int txn) {
    struct phone_txn *t = &ph->txns[txn];
    if (t->method == SIP_M_REGISTER)
        phone_push(ph, (struct phone_event){ .kind = PHONE_EV_REGISTER_FAILED, .dialog = -1 });
    else if (t->dialog < 0)
        return;
    else if (t->method == SIP_M_INVITE)
        invite_failed(ph, t->dialog, 0);
    else
        final_response(ph, txn, NULL);
}
