/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/phone/phone_int.h"

/* Status to refuse a new INVITE with, or 0; *replaced gets the dialog that its Replaces names (RFC 3891 section 3). */
static uint16_t check_invite(const struct phone *ph, const struct sip_msg *m, int *replaced) {
    struct sip_values cur = { 0 };
    struct slice option;
    struct sip_replaces r;
    const struct sip_hdr *h = sip_hdr_first(m, SIP_H_REPLACES);
    *replaced = -1;
    while (sip_values_next(m, SIP_H_REQUIRE, &cur, &option))
        if (!ph->config.replaces || !slice_ieq(option, SL("replaces")))
            return 420;
    if (!h || !ph->config.replaces)
        return 0;
    if (sip_hdr_next(m, h) || sip_replaces_parse(h->value, &r) < 0)
        return 400;
    int i = dialog_find(ph, r.call_id, r.to_tag, r.from_tag);
    if (i < 0)
        return 481;
    if (ph->dialogs[i].state == PHONE_D_ENDING)
        return 603;
    if (ph->dialogs[i].state != PHONE_D_CONFIRMED)
        return 481;
    if (r.early_only)
        return 486;
    *replaced = i;
    return 0;
}

static void refuse(struct phone *ph, const struct phone_in *in, uint16_t status) {
    const struct sip_msg *m = in->msg;
    int k = txn_server_new(ph, in, -1);
    if (k < 0)
        return;
    if (status != 420) {
        reply_simple(ph, k, m, status);
        return;
    }
    struct phone_text tag;
    struct sbuf b = sbuf_on(ph->txns[k].reply, sizeof ph->txns[k].reply);
    text_token(ph, &tag, SLICE_NONE);
    reply_begin(ph, m, &in->src, 420, phone_text_slice(&tag), &b);
    sip_put_hdr(&b, SL("Unsupported"), sip_hdr_value(m, SIP_H_REQUIRE));
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    txn_send_reply(ph, k, &b, 420);
}

static void serve_new_invite(struct phone *ph, const struct phone_in *in) {
    const struct sip_msg *m = in->msg;
    int replaced;
    uint16_t status = m->to_tag.p ? 481 : check_invite(ph, m, &replaced);
    if (!status)
        status = ph->config.refuse;
    int i = status ? -1 : dialog_new(ph);
    int k = i < 0 ? -1 : txn_server_new(ph, in, i);
    if (i < 0 || k < 0) {
        phone_tell(ph, in, -1, 0);
        refuse(ph, in, status ? status : 486);
        return;
    }
    struct phone_dialog *d = &ph->dialogs[i];
    d->state = PHONE_D_INCOMING;
    dialog_from_request(ph, i, m);
    d->invite_txn = k;
    d->replaces = replaced;
    phone_tell(ph, in, i, 0);
    phone_push(ph, (struct phone_event){ .kind = PHONE_EV_INCOMING, .dialog = i, .other = replaced });
    if (replaced >= 0) {
        phone_answer(ph, i);
    } else if (!ph->config.manual) {
        phone_ring(ph, i);
        d->answer_at = ph->now + ph->config.answer_us;
    }
}

int phone_ring(struct phone *ph, int i) {
    struct phone_dialog *d = &ph->dialogs[i];
    struct sip_msg m;
    if (d->state != PHONE_D_INCOMING || d->invite_txn < 0 || !txn_request(&ph->txns[d->invite_txn], &m))
        return -1;
    struct phone_txn *t = &ph->txns[d->invite_txn];
    struct sbuf b = sbuf_on(t->reply, sizeof t->reply);
    reply_begin(ph, &m, &t->peer, 180, phone_text_slice(&d->local_tag), &b);
    sip_put_copy(&b, &m, SIP_H_RECORD_ROUTE);
    sip_put_hdr(&b, SL("Contact"), phone_text_slice(&ph->contact));
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    txn_send_reply(ph, d->invite_txn, &b, 180);
    return 0;
}

int phone_reject(struct phone *ph, int i, uint16_t status) {
    struct phone_dialog *d = &ph->dialogs[i];
    struct sip_msg m;
    if (d->state != PHONE_D_INCOMING || d->invite_txn < 0 || !txn_request(&ph->txns[d->invite_txn], &m))
        return -1;
    reply_simple(ph, d->invite_txn, &m, status);
    dialog_free(ph, i);
    return 0;
}

/* 200 with an answer to the offer, or with an offer of our own when the INVITE had none. */
static bool put_description(struct phone *ph, int i, const struct sip_msg *m, struct sbuf *sdp) {
    struct phone_dialog *d = &ph->dialogs[i];
    if (m->body.n)
        return sdp_put_answer(ph, i, m->body, sdp);
    sdp_put_offer(ph, i, sdp);
    d->we_offered = true;
    return true;
}

static int accept_invite(struct phone *ph, int i) {
    struct phone_dialog *d = &ph->dialogs[i];
    struct sip_msg m;
    if (d->invite_txn < 0 || !txn_request(&ph->txns[d->invite_txn], &m))
        return -1;
    struct phone_txn *t = &ph->txns[d->invite_txn];
    char mem[PHONE_SDP_MAX];
    struct sbuf b = sbuf_on(t->reply, sizeof t->reply), sdp = sbuf_on(mem, sizeof mem);
    if (!put_description(ph, i, &m, &sdp)) {
        reply_simple(ph, d->invite_txn, &m, 488);
        d->invite_txn = -1;
        return -1;
    }
    reply_begin(ph, &m, &t->peer, 200, phone_text_slice(&d->local_tag), &b);
    if (!m.to_tag.p)
        sip_put_copy(&b, &m, SIP_H_RECORD_ROUTE);
    sip_put_hdr(&b, SL("Contact"), phone_text_slice(&ph->contact));
    put_capabilities(ph, &b);
    sip_put_body(&b, SL("application/sdp"), sbuf_slice(&sdp));
    memcpy(d->ok, b.p, b.n);
    d->ok_n = (uint16_t)b.n;
    d->ok_to = t->peer;
    d->state = PHONE_D_CONFIRMED;
    d->resend_interval = txn_t1(ph);
    d->resend_at = ph->now + d->resend_interval;
    d->resend_until = ph->now + 64ull * txn_t1(ph);
    txn_send_reply(ph, d->invite_txn, &b, 200);
    return 0;
}

int phone_answer(struct phone *ph, int i) {
    struct phone_dialog *d = &ph->dialogs[i];
    if (d->state != PHONE_D_INCOMING)
        return -1;
    d->answer_at = 0;
    if (accept_invite(ph, i) < 0) {
        dialog_free(ph, i);
        return -1;
    }
    if (d->replaces >= 0) {
        phone_push(ph, (struct phone_event){ .kind = PHONE_EV_REPLACED, .dialog = i, .other = d->replaces });
        phone_hang_up(ph, d->replaces);
        d->replaces = -1;
    }
    return 0;
}

static void serve_reinvite(struct phone *ph, const struct phone_in *in, int i) {
    struct phone_dialog *d = &ph->dialogs[i];
    int k = txn_server_new(ph, in, i);
    if (k < 0)
        return;
    if (d->we_offered || d->invite_txn >= 0 || d->state != PHONE_D_CONFIRMED) {
        reply_simple(ph, k, in->msg, d->state == PHONE_D_ENDING ? 481 : 491);
        return;
    }
    d->invite_txn = k;
    dialog_refresh_target(ph, i, in->msg);
    accept_invite(ph, i);
}

static void serve_ack(struct phone *ph, const struct phone_in *in) {
    const struct sip_msg *m = in->msg;
    int k = txn_server_find(ph, m, SIP_M_INVITE);
    if (k >= 0 && ph->txns[k].resend_at) {
        phone_tell(ph, in, ph->txns[k].dialog, 0);
        txn_on_ack(ph, k);
        return;
    }
    int i = dialog_find(ph, m->call_id, m->to_tag, m->from_tag);
    struct phone_dialog *d = i < 0 ? NULL : &ph->dialogs[i];
    bool first = d && d->resend_at;
    phone_tell(ph, in, i, first ? 0 : PHONE_SEEN_AGAIN);
    if (!first)
        return;
    d->resend_at = 0;
    d->invite_txn = -1;
    if (d->we_offered) {
        d->we_offered = false;
        sdp_take_answer(ph, i, m->body);
    }
    phone_push(ph, (struct phone_event){ .kind = PHONE_EV_CONFIRMED, .dialog = i });
}

static void serve_cancel(struct phone *ph, const struct phone_in *in) {
    int invite = txn_server_find(ph, in->msg, SIP_M_INVITE);
    int i = invite < 0 ? -1 : ph->txns[invite].dialog;
    phone_tell(ph, in, i, 0);
    int k = txn_server_new(ph, in, i);
    if (k < 0)
        return;
    reply_simple(ph, k, in->msg, invite < 0 ? 481 : 200);
    if (i >= 0 && ph->dialogs[i].state == PHONE_D_INCOMING)
        phone_reject(ph, i, 487);
}

static void serve_bye(struct phone *ph, int i, int txn, const struct sip_msg *m) {
    if (ph->dialogs[i].state == PHONE_D_INCOMING)
        phone_reject(ph, i, 487);
    reply_simple(ph, txn, m, 200);
    if (ph->dialogs[i].state != PHONE_D_FREE)
        dialog_free(ph, i);
}

static void serve_notify(struct phone *ph, int i, int txn, const struct sip_msg *m) {
    struct sip_event event;
    struct sip_sub_state sub;
    struct phone_event e = { .kind = PHONE_EV_NOTIFY, .dialog = i };
    struct slice reason;
    bool sound = sip_event_parse(sip_hdr_value(m, SIP_H_EVENT), &event) >= 0 && slice_ieq(event.package, SL("refer")) &&
                 sip_sub_state_parse(sip_hdr_value(m, SIP_H_SUBSCRIPTION_STATE), &sub) >= 0 &&
                 sip_frag_status(m->body, &e.status, &reason);
    reply_simple(ph, txn, m, sound ? 200 : 400);
    if (!sound)
        return;
    e.final = slice_ieq(sub.state, SL("terminated"));
    phone_push(ph, e);
    if (e.final && ph->dialogs[i].subscription)
        dialog_free(ph, i);
}

/* A request in a dialog, CSeq in order (RFC 3261 section 12.2.2). */
static void serve_in_dialog(struct phone *ph, const struct phone_in *in, int i) {
    const struct sip_msg *m = in->msg;
    bool old = m->cseq <= ph->dialogs[i].remote_cseq;
    if (!old)
        ph->dialogs[i].remote_cseq = m->cseq;
    if (m->method == SIP_M_INVITE && !old) {
        serve_reinvite(ph, in, i);
        return;
    }
    int k = txn_server_new(ph, in, i);
    if (k < 0)
        return;
    if (old)
        reply_simple(ph, k, m, 500);
    else if (m->method == SIP_M_BYE)
        serve_bye(ph, i, k, m);
    else if (m->method == SIP_M_NOTIFY)
        serve_notify(ph, i, k, m);
    else if (m->method == SIP_M_REFER)
        serve_refer(ph, i, k, m);
    else
        reply_simple(ph, k, m, m->method == SIP_M_OPTIONS ? 200 : 405);
}

static void serve_out_of_dialog(struct phone *ph, const struct phone_in *in) {
    const struct sip_msg *m = in->msg;
    phone_tell(ph, in, -1, 0);
    int k = txn_server_new(ph, in, -1);
    if (k < 0)
        return;
    if (m->method == SIP_M_OPTIONS && !m->to_tag.p)
        reply_simple(ph, k, m, 200);
    else
        reply_simple(ph, k, m, m->to_tag.p || m->method == SIP_M_NOTIFY || m->method == SIP_M_BYE ? 481 : 405);
}

void serve_request(struct phone *ph, const struct phone_in *in) {
    const struct sip_msg *m = in->msg;
    if (m->method == SIP_M_ACK) {
        serve_ack(ph, in);
        return;
    }
    int again = txn_server_find(ph, m, m->method);
    if (again >= 0) {
        phone_tell(ph, in, ph->txns[again].dialog, PHONE_SEEN_AGAIN);
        txn_on_again(ph, again);
        return;
    }
    if (m->method == SIP_M_CANCEL) {
        serve_cancel(ph, in);
        return;
    }
    int i = m->to_tag.p ? dialog_find(ph, m->call_id, m->to_tag, m->from_tag) : -1;
    if (i >= 0) {
        phone_tell(ph, in, i, 0);
        serve_in_dialog(ph, in, i);
    } else if (m->method == SIP_M_INVITE) {
        serve_new_invite(ph, in);
    } else {
        serve_out_of_dialog(ph, in);
    }
}
