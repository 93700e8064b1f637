/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/phone/phone_int.h"

bool text_set(struct phone_text *t, struct slice s) {
    if (s.n > sizeof t->s)
        return false;
    if (s.n)
        memcpy(t->s, s.p, s.n);
    t->n = (uint16_t)s.n;
    return true;
}

void text_token(struct phone *ph, struct phone_text *t, struct slice prefix) {
    struct sbuf b = sbuf_on(t->s, sizeof t->s);
    sbuf_put(&b, prefix);
    sbuf_hex(&b, rng_u64(&ph->rng), 16);
    t->n = (uint16_t)b.n;
}

static void put_aor(struct phone *ph) {
    struct sbuf b = sbuf_on(ph->aor.s, sizeof ph->aor.s);
    sbuf_lit(&b, "<sip:");
    sbuf_str(&b, ph->config.name);
    sbuf_char(&b, '@');
    sbuf_str(&b, ph->config.domain);
    sbuf_char(&b, '>');
    ph->aor.n = (uint16_t)b.n;
    b = sbuf_on(ph->contact.s, sizeof ph->contact.s);
    sbuf_lit(&b, "<sip:");
    sbuf_str(&b, ph->config.name);
    sbuf_char(&b, '@');
    addr_put(&b, &ph->config.local);
    sbuf_char(&b, '>');
    ph->contact.n = (uint16_t)b.n;
}

void phone_init(struct phone *ph, const struct phone_config *c, const struct phone_io *io) {
    memset(ph, 0, sizeof *ph);
    ph->config = *c;
    ph->io = *io;
    rng_init(&ph->rng, c->seed);
    if (!ph->config.t1_us)
        ph->config.t1_us = PHONE_T1_US;
    put_aor(ph);
    text_token(ph, &ph->register_call_id, SL("reg-"));
    text_token(ph, &ph->register_tag, SLICE_NONE);
}

void phone_push(struct phone *ph, struct phone_event e) {
    if (ph->event_count == PHONE_EVENTS) {
        ph->event_head = (ph->event_head + 1) % PHONE_EVENTS;
        ph->event_count--;
    }
    ph->events[(ph->event_head + ph->event_count++) % PHONE_EVENTS] = e;
}

bool phone_event_next(struct phone *ph, struct phone_event *out) {
    if (!ph->event_count)
        return false;
    *out = ph->events[ph->event_head];
    ph->event_head = (ph->event_head + 1) % PHONE_EVENTS;
    ph->event_count--;
    return true;
}

void phone_tell(struct phone *ph, const struct phone_in *in, int dialog, unsigned flags) {
    struct phone_seen seen = { .flags = flags, .dialog = dialog, .msg = in->msg };
    if (ph->io.seen)
        ph->io.seen(ph->io.arg, ph, &seen);
}

/* Our own bytes go through the parser as well when somebody looks: what we send is then known to be sound. */
void phone_transmit(struct phone *ph, const struct addr *to, struct slice bytes, int dialog, unsigned flags) {
    struct sip_msg m;
    struct sip_fault fault;
    ph->counters.sent++;
    if (flags & PHONE_SEEN_AGAIN)
        ph->counters.resent++;
    if (ph->io.seen && sip_parse(bytes, &m, &fault) >= 0) {
        struct phone_seen seen = { .sent = true, .flags = flags, .dialog = dialog, .msg = &m };
        ph->io.seen(ph->io.arg, ph, &seen);
    }
    ph->io.send(ph->io.arg, ph, to, bytes);
}

void phone_input(struct phone *ph, struct slice bytes, const struct addr *src, uint64_t now) {
    struct sip_msg m;
    struct sip_fault fault;
    ph->now = now;
    if (slice_trim(bytes).n == 0)
        return;
    ph->counters.received++;
    if (sip_parse(bytes, &m, &fault) < 0) {
        ph->counters.bad++;
        return;
    }
    struct phone_in in = { .msg = &m, .src = *src };
    if (m.is_request) {
        serve_request(ph, &in);
        return;
    }
    int i = txn_client_find(ph, &m);
    if (i >= 0)
        txn_on_response(ph, i, &in);
    else if (!call_again_2xx(ph, &m))
        ph->counters.stray++;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return b && b < a ? b : a;
}

uint64_t phone_due(const struct phone *ph) {
    uint64_t due = UINT64_MAX;
    for (int i = 0; i < PHONE_TXNS; i++)
        due = earlier(due, txn_due(&ph->txns[i]));
    for (int i = 0; i < PHONE_DIALOGS; i++) {
        const struct phone_dialog *d = &ph->dialogs[i];
        if (d->state == PHONE_D_FREE)
            continue;
        due = earlier(due, d->answer_at);
        due = earlier(due, d->resend_at);
    }
    return due;
}

/* A 2xx is sent again by the user agent, not by the transaction, until its ACK comes (RFC 3261 section 13.3.1.4). */
static void dialog_tick(struct phone *ph, int i) {
    struct phone_dialog *d = &ph->dialogs[i];
    if (d->state == PHONE_D_FREE)
        return;
    if (d->answer_at && d->answer_at <= ph->now) {
        d->answer_at = 0;
        phone_answer(ph, i);
    }
    if (!d->resend_at || d->resend_at > ph->now)
        return;
    if (ph->now >= d->resend_until) {
        d->resend_at = 0;
        phone_push(ph, (struct phone_event){ .kind = PHONE_EV_REQUEST_FAILED, .dialog = i });
        phone_hang_up(ph, i);
        return;
    }
    d->resend_interval = d->resend_interval * 2 > PHONE_T2_US ? PHONE_T2_US : d->resend_interval * 2;
    d->resend_at = ph->now + d->resend_interval;
    phone_transmit(ph, &d->ok_to, slice_of(d->ok, d->ok_n), i, PHONE_SEEN_AGAIN);
}

void phone_tick(struct phone *ph, uint64_t now) {
    ph->now = now;
    for (int i = 0; i < PHONE_TXNS; i++)
        txn_tick(ph, i);
    for (int i = 0; i < PHONE_DIALOGS; i++)
        dialog_tick(ph, i);
}

unsigned phone_dialog_count(const struct phone *ph) {
    unsigned n = 0;
    for (int i = 0; i < PHONE_DIALOGS; i++)
        n += ph->dialogs[i].state != PHONE_D_FREE;
    return n;
}
