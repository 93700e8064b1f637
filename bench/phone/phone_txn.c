/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/phone/phone_int.h"

uint32_t txn_t1(const struct phone *ph) {
    return ph->config.t1_us;
}

uint64_t txn_due(const struct phone_txn *t) {
    if (t->state == PHONE_T_FREE)
        return UINT64_MAX;
    return t->resend_at && t->resend_at < t->until ? t->resend_at : t->until;
}

static void txn_free(struct phone_txn *t) {
    t->state = PHONE_T_FREE;
}

/* A free slot, else the completed one that would go first: losing it costs an answer to a late retransmission. */
static int txn_slot(const struct phone *ph) {
    int best = -1;
    for (int i = 0; i < PHONE_TXNS; i++) {
        const struct phone_txn *t = &ph->txns[i];
        if (t->state == PHONE_T_FREE)
            return i;
        if (t->state == PHONE_T_COMPLETED && (best < 0 || t->until < ph->txns[best].until))
            best = i;
    }
    return best;
}

int txn_new(struct phone *ph, bool client, enum sip_method method, int dialog) {
    int i = txn_slot(ph);
    if (i < 0)
        return -1;
    struct phone_txn *t = &ph->txns[i];
    t->state = client ? PHONE_T_CALLING : PHONE_T_PROCEEDING;
    t->client = client;
    t->challenged = false;
    t->method = method;
    t->dialog = dialog;
    t->resend_at = 0;
    t->until = ph->now + 64ull * txn_t1(ph);
    t->request_n = t->reply_n = 0;
    if (client)
        text_token(ph, &t->branch, SL("z9hG4bK-"));
    return i;
}

void txn_send_request(struct phone *ph, int i, const struct sbuf *b, unsigned flags) {
    struct phone_txn *t = &ph->txns[i];
    t->request_n = (uint16_t)b->n;
    t->interval = txn_t1(ph);
    t->resend_at = ph->now + t->interval;
    t->until = ph->now + 64ull * txn_t1(ph);
    phone_transmit(ph, &t->peer, slice_of(t->request, t->request_n), t->dialog, flags);
}

void txn_send_reply(struct phone *ph, int i, const struct sbuf *b, uint16_t status) {
    struct phone_txn *t = &ph->txns[i];
    t->reply_n = (uint16_t)b->n;
    phone_transmit(ph, &t->peer, slice_of(t->reply, t->reply_n), t->dialog, 0);
    if (status < 200)
        return;
    t->state = PHONE_T_COMPLETED;
    t->until = ph->now + 64ull * txn_t1(ph);
    if (t->method == SIP_M_INVITE && status >= 300) {
        t->interval = txn_t1(ph);
        t->resend_at = ph->now + t->interval;
    }
}

int txn_client_find(const struct phone *ph, const struct sip_msg *m) {
    for (int i = 0; i < PHONE_TXNS; i++) {
        const struct phone_txn *t = &ph->txns[i];
        if (t->state != PHONE_T_FREE && t->client && t->method == m->cseq_method && m->via.branch.p &&
            slice_eq(phone_text_slice(&t->branch), m->via.branch))
            return i;
    }
    return -1;
}

int txn_server_find(const struct phone *ph, const struct sip_msg *m, enum sip_method method) {
    for (int i = 0; i < PHONE_TXNS; i++) {
        const struct phone_txn *t = &ph->txns[i];
        if (t->state != PHONE_T_FREE && !t->client && t->method == method && t->cseq == m->cseq && m->via.branch.p &&
            slice_eq(phone_text_slice(&t->branch), m->via.branch))
            return i;
    }
    return -1;
}

int txn_server_new(struct phone *ph, const struct phone_in *in, int dialog) {
    const struct sip_msg *m = in->msg;
    if (m->whole.n > PHONE_MSG_MAX || !m->via.branch.p)
        return -1;
    int i = txn_new(ph, false, m->method, dialog);
    if (i < 0)
        return -1;
    struct phone_txn *t = &ph->txns[i];
    if (!text_set(&t->branch, m->via.branch)) {
        txn_free(t);
        return -1;
    }
    memcpy(t->request, m->whole.p, m->whole.n);
    t->request_n = (uint16_t)m->whole.n;
    t->peer = in->src;
    t->cseq = m->cseq;
    if (m->method == SIP_M_INVITE)
        t->until = ph->now + PHONE_RING_LIMIT_US;
    return i;
}

bool txn_request(const struct phone_txn *t, struct sip_msg *m) {
    struct sip_fault fault;
    return t->request_n && sip_parse(slice_of(t->request, t->request_n), m, &fault) >= 0;
}

/* ACK to a non-2xx: inside the transaction, with its branch (RFC 3261 section 17.1.1.3). */
static void ack_refusal(struct phone *ph, struct phone_txn *t, const struct sip_msg *m) {
    struct sip_msg request;
    if (!txn_request(t, &request))
        return;
    struct sbuf b = sbuf_on(t->reply, sizeof t->reply);
    sip_put_request(&b, SL("ACK"), request.ruri_text);
    sip_put_hdr(&b, SL("Via"), request.via.value);
    sip_put_hdr_u64(&b, SL("Max-Forwards"), 70);
    sip_put_copy(&b, &request, SIP_H_ROUTE);
    sip_put_hdr(&b, SL("From"), request.from.value);
    sip_put_hdr(&b, SL("To"), m->to.value);
    sip_put_hdr(&b, SL("Call-ID"), request.call_id);
    sip_put_cseq(&b, t->cseq, SL("ACK"));
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    if (b.overflow)
        return;
    t->reply_n = (uint16_t)b.n;
    unsigned flags = m->status == 401 || m->status == 407 ? PHONE_SEEN_AUTH : 0;
    phone_transmit(ph, &t->peer, sbuf_slice(&b), t->dialog, flags);
}

static void response_again(struct phone *ph, struct phone_txn *t, const struct phone_in *in) {
    phone_tell(ph, in, t->dialog, PHONE_SEEN_AGAIN);
    if (t->method == SIP_M_INVITE && in->msg->status >= 300 && t->reply_n)
        phone_transmit(ph, &t->peer, slice_of(t->reply, t->reply_n), t->dialog, PHONE_SEEN_AGAIN);
}

static void provisional(struct phone *ph, struct phone_txn *t) {
    t->state = PHONE_T_PROCEEDING;
    if (t->method == SIP_M_INVITE) {
        t->resend_at = 0;
        t->until = ph->now + PHONE_RING_LIMIT_US;
    } else {
        t->interval = PHONE_T2_US;
        t->resend_at = ph->now + t->interval;
    }
}

void txn_on_response(struct phone *ph, int i, const struct phone_in *in) {
    struct phone_txn *t = &ph->txns[i];
    const struct sip_msg *m = in->msg;
    if (t->state == PHONE_T_COMPLETED) {
        response_again(ph, t, in);
        return;
    }
    bool challenge = (m->status == 401 || m->status == 407) && !t->challenged;
    phone_tell(ph, in, t->dialog, challenge ? PHONE_SEEN_AUTH : 0);
    if (m->status < 200) {
        provisional(ph, t);
    } else {
        t->state = PHONE_T_COMPLETED;
        t->resend_at = 0;
        bool invite = t->method == SIP_M_INVITE;
        t->until = ph->now + (invite ? 64ull * txn_t1(ph) : PHONE_T4_US);
        if (invite && m->status >= 300)
            ack_refusal(ph, t, m);
        if (challenge && auth_retry(ph, i, m))
            return;
    }
    if (t->method == SIP_M_REGISTER)
        register_on_response(ph, i, m);
    else
        call_on_response(ph, i, in);
    /* Later copies of a 2xx belong to the dialog, which keeps its ACK. */
    if (t->method == SIP_M_INVITE && m->status / 100 == 2)
        txn_free(t);
}

void txn_on_again(struct phone *ph, int i) {
    struct phone_txn *t = &ph->txns[i];
    if (t->reply_n)
        phone_transmit(ph, &t->peer, slice_of(t->reply, t->reply_n), t->dialog, PHONE_SEEN_AGAIN);
}

void txn_on_ack(struct phone *ph, int i) {
    struct phone_txn *t = &ph->txns[i];
    t->resend_at = 0;
    t->until = ph->now + PHONE_T4_US;
}

static void resend(struct phone *ph, struct phone_txn *t) {
    bool capped = !(t->client && t->method == SIP_M_INVITE);
    t->interval *= 2;
    if (capped && t->interval > PHONE_T2_US)
        t->interval = PHONE_T2_US;
    t->resend_at = ph->now + t->interval;
    struct slice bytes = t->client ? slice_of(t->request, t->request_n) : slice_of(t->reply, t->reply_n);
    phone_transmit(ph, &t->peer, bytes, t->dialog, PHONE_SEEN_AGAIN);
}

void txn_tick(struct phone *ph, int i) {
    struct phone_txn *t = &ph->txns[i];
    if (t->state == PHONE_T_FREE)
        return;
    if (ph->now >= t->until) {
        bool unanswered = t->client && t->state != PHONE_T_COMPLETED;
        txn_free(t);
        if (unanswered)
            call_on_timeout(ph, i);
    } else if (t->resend_at && ph->now >= t->resend_at) {
        resend(ph, t);
    }
}
