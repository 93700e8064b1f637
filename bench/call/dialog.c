/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/call/call.h"
#include "parser/sdp.h"
#include "parser/sip_hdr.h"

#include <stdlib.h>
#include <string.h>

#define T1_US 500000u
#define T2_US 4000000u
#define GIVE_UP_US (64 * T1_US)
#define GLARE_US 50000u         /* shorter than RFC 3261 section 14.1 has it, so that a run ends in time */

struct dlg *dialog_new(struct load *l, uint32_t call, enum party p) {
    struct bcall *c = &l->calls[call];
    if (c->dialogs == CALL_DIALOGS)
        return NULL;
    struct dlg *d = &c->dlg[c->dialogs];
    *d = (struct dlg){ .party = (uint8_t)p, .index = c->dialogs, .call = call, .direction = SDP_SENDRECV };
    d->timer.owner = (handle)call << 8 | (handle)(c->dialogs + 1);
    c->dialogs++;
    c->live++;
    d->state = DLG_CALLING;
    return d;
}

void dialog_forget(struct load *l, struct dlg *d) {
    wheel_cancel(&l->wheel, &d->timer);
    free(d->ok);
    d->ok = NULL;
}

/* The last thing of a dialog: its call may be over with it. */
static void over(struct load *l, struct dlg *d) {
    struct bcall *c = call_of(l, d);
    if (d->state == DLG_OVER)
        return;
    d->state = DLG_OVER;
    d->open = 0;
    dialog_forget(l, d);
    c->live--;
    scenario_go(l, c, d, H_OVER);
    if (c->live == 0)
        load_call_ended(l, c);
}

static void fail(struct load *l, struct dlg *d, unsigned status, const char *why) {
    call_fail(l, call_of(l, d), status, why);
    over(l, d);
}

/* ---- what it sends */

void dialog_put_out(struct load *l, struct dlg *d, const struct request *r) {
    d->open = (uint8_t)r->method;
    d->open_cseq = r->cseq;
    d->sent_us = l->now;
    d->interval = T1_US;
    d->extra_n = r->extra.n <= sizeof d->extra ? (uint16_t)r->extra.n : 0;
    if (d->extra_n)
        memcpy(d->extra, r->extra.p, d->extra_n);
    wheel_set(&l->wheel, &d->timer, l->now + d->interval);
    message_request(l, d, r);
}

static void new_invite(struct load *l, struct dlg *d, enum party callee) {
    struct request r = { .method = SIP_M_INVITE, .cseq = d->cseq, .sdp = true, .callee = callee };
    d->invite_cseq = d->cseq;
    dialog_put_out(l, d, &r);
}

void dialog_invite(struct load *l, struct dlg *d, enum party callee) {
    struct sbuf id = sbuf_on(d->call_id.s, sizeof d->call_id.s);
    message_put_name(&id, (enum party)d->party, l, d->call, d->index);
    sbuf_lit(&id, "@bench");
    d->call_id.n = (uint16_t)id.n;
    d->uac = true;
    d->cseq = 1;
    d->sdp_version = 1;
    new_invite(l, d, callee);
}

void dialog_request(struct load *l, struct dlg *d, enum sip_method m, struct slice extra) {
    struct request r = { .method = m, .cseq = ++d->cseq, .extra = extra };
    dialog_put_out(l, d, &r);
}

void dialog_reinvite(struct load *l, struct dlg *d, bool held) {
    struct request r = { .method = SIP_M_INVITE, .cseq = ++d->cseq, .sdp = true };
    d->held = held;
    d->direction = held ? SDP_SENDONLY : SDP_SENDRECV;
    d->sdp_version++;
    d->invite_cseq = d->cseq;
    dialog_put_out(l, d, &r);
}

void dialog_bye(struct load *l, struct dlg *d) {
    if (d->state != DLG_UP || d->bye_sent)
        return;
    d->bye_sent = true;
    free(d->ok);
    d->ok = NULL;
    dialog_request(l, d, SIP_M_BYE, SLICE_NONE);
}

static void send_again(struct load *l, struct dlg *d) {
    struct request r = { .method = (enum sip_method)d->open, .cseq = d->open_cseq,
                         .sdp = d->open == SIP_M_INVITE, .callee = (enum party)(d->party + 1) };
    r.extra = slice_of(d->extra, d->extra_n);
    message_request(l, d, &r);
}

static void send_ok_again(struct load *l, struct dlg *d) {
    memcpy(wire_room(), d->ok, d->ok_n);
    wire_sent(l, (enum party)d->party, &l->o.target[d->party], d->ok_n);
}

void dialog_timer(struct load *l, struct dlg *d) {
    if (d->glare && d->state == DLG_UP) {
        d->glare = false;
        dialog_reinvite(l, d, d->held);
        return;
    }
    if (d->state == DLG_OVER || (!d->open && !d->ok))
        return;
    if (l->now - d->sent_us >= GIVE_UP_US) {
        fail(l, d, 0, d->open ? "no answer to a request" : "no ACK");
        return;
    }
    l->t.resent++;
    d->interval = d->interval * 2 > T2_US && d->open != SIP_M_INVITE ? T2_US : d->interval * 2;
    wheel_set(&l->wheel, &d->timer, l->now + d->interval);
    if (d->open)
        send_again(l, d);
    else
        send_ok_again(l, d);
}

/* ---- what it makes of a description */

/* RFC 3264: one audio line with a port; o= of the same session, its version never falling. */
static bool take_sdp(struct load *l, struct dlg *d, const struct sip_msg *m, const char **why) {
    static const uint8_t answer[] = { SDP_INACTIVE, SDP_RECVONLY, SDP_SENDONLY, SDP_SENDRECV };
    struct sdp s;
    uint64_t session, version;
    (void)l;
    *why = "a description that cannot be read";
    if (sdp_parse(m->body, &s) < 0 || s.media_count != 1 || !slice_u64(s.session_id, INT64_MAX, &session) ||
        !slice_u64(s.session_version, INT64_MAX, &version))
        return false;
    *why = "a description without audio";
    if (s.media[0].port == 0 || s.media[0].connection.family == ADDR_NONE || s.media[0].format_count == 0)
        return false;
    *why = "an o= line that is another session's or older";
    if (d->their_session && (d->their_session != session || version < d->their_version))
        return false;
    d->their_session = session;
    d->their_version = version;
    d->media = s.media[0].connection;
    d->media.port = s.media[0].port;
    d->direction = m->is_request ? answer[s.media[0].direction] : (uint8_t)SDP_SENDRECV;
    return true;
}

/* ---- responses */

static void take_route(struct dlg *d, const struct sip_msg *m, bool reversed) {
    struct sip_values cur = { 0 };
    struct slice v, all[8];
    unsigned n = 0;
    struct sbuf b = sbuf_on(d->route.s, sizeof d->route.s);
    while (n < 8 && sip_values_next(m, SIP_H_RECORD_ROUTE, &cur, &v))
        all[n++] = v;
    for (unsigned i = 0; i < n; i++) {
        if (i)
            sbuf_lit(&b, ", ");
        sbuf_put(&b, all[reversed ? n - 1 - i : i]);
    }
    d->route.n = b.overflow ? 0 : (uint16_t)b.n;
}

static bool take_contact(struct dlg *d, const struct sip_msg *m) {
    struct sip_contact c;
    return sip_contact_parse(sip_hdr_value(m, SIP_H_CONTACT), &c) >= 0 && !c.star &&
           line_set(&d->target, c.addr.uri.whole);
}

static void ack(struct load *l, struct dlg *d, const struct sip_msg *m) {
    struct request r = { .method = SIP_M_ACK, .cseq = m->cseq, .of_invite = m->status > 299,
                         .callee = (enum party)(d->party + 1) };
    if (!d->remote_tag.n)
        line_set(&d->remote_tag, m->to_tag);
    message_request(l, d, &r);
}

static void on_invite_ok(struct load *l, struct dlg *d, const struct sip_msg *m) {
    const char *why = "a 200 without a Contact that can be used";
    bool first = d->state == DLG_CALLING;
    if (!take_contact(d, m) || !line_set(&d->remote_tag, m->to_tag)) {
        fail(l, d, m->status, why);
        return;
    }
    if (first)
        take_route(d, m, true);
    ack(l, d, m);
    if (!take_sdp(l, d, m, &why)) {
        fail(l, d, m->status, why);
        return;
    }
    d->state = DLG_UP;
    scenario_go(l, call_of(l, d), d, first ? H_UP : H_REOK);
}

static void wait_for_turn(struct load *l, struct dlg *d) {
    l->t.glares++;
    d->glare = true;
    wheel_set(&l->wheel, &d->timer, l->now + GLARE_US);
}

/* An overloaded target may refuse what begins a call, and says when to come again. */
static void note_refusal(struct load *l, const struct dlg *d, enum sip_method method, const struct sip_msg *m) {
    bool begins = (method == SIP_M_INVITE && d->state == DLG_CALLING) || method == SIP_M_REGISTER;
    struct bin *b = load_bin(l);
    if (begins && !call_of(l, d)->emergency && sip_hdr_first(m, SIP_H_RETRY_AFTER)) {
        l->t.refused++;
        if (b)
            b->refused++;
    } else {
        l->t.wrongly[!begins ? WRONG_DIALOG : call_of(l, d)->emergency ? WRONG_EMERGENCY : WRONG_NO_TIME]++;
    }
}

static void on_final(struct load *l, struct dlg *d, const struct sip_msg *m) {
    enum sip_method method = (enum sip_method)d->open;
    d->open = 0;
    wheel_cancel(&l->wheel, &d->timer);
    if (method == SIP_M_INVITE && m->status > 299)
        ack(l, d, m);
    if (m->status == 503)
        note_refusal(l, d, method, m);
    if (method == SIP_M_REGISTER && m->status <= 299 && !d->was_up)
        fail(l, d, m->status, "registered without digest");
    else if (method == SIP_M_BYE || (method == SIP_M_REGISTER && m->status <= 299))
        over(l, d);
    else if (method == SIP_M_REGISTER && m->status == 401 && !d->was_up && register_again(l, d, m))
        d->was_up = true;
    else if (method == SIP_M_INVITE && m->status == 491 && d->state == DLG_UP)
        wait_for_turn(l, d);
    else if (m->status > 299)
        fail(l, d, m->status, "refused");
    else if (method == SIP_M_INVITE)
        on_invite_ok(l, d, m);
    else
        scenario_go(l, call_of(l, d), d, H_ACCEPTED);
}

static void on_response(struct load *l, enum party p, const struct sip_msg *m) {
    uint32_t call;
    unsigned i;
    struct dlg *d;
    if (!message_read_name(l, m->from_tag, &call, &i) || (d = &l->calls[call].dlg[i])->party != p) {
        l->t.stray++;
        return;
    }
    bool expected = d->open && m->cseq == d->open_cseq && m->cseq_method == (enum sip_method)d->open;
    if (expected && m->status >= 200)
        on_final(l, d, m);
    else if (expected && d->open == SIP_M_INVITE)
        wheel_set(&l->wheel, &d->timer, l->now + GIVE_UP_US); /* it rings */
    else if (m->cseq_method == SIP_M_INVITE && m->status >= 200 && m->status <= 299 && d->state != DLG_FREE)
        ack(l, d, m);
}

/* ---- requests */

static struct dlg *dialog_of_request(struct load *l, enum party p, const struct sip_msg *m) {
    uint32_t call;
    unsigned i;
    if (!message_read_name(l, m->to_tag, &call, &i) || l->calls[call].dlg[i].party != p ||
        l->calls[call].dlg[i].state == DLG_FREE || !slice_eq(line_slice(&l->calls[call].dlg[i].call_id), m->call_id))
        return NULL;
    return &l->calls[call].dlg[i];
}

/* The call is named by the caller's From, or where it replaces one, by our Contact. */
static struct dlg *dialog_for_invite(struct load *l, enum party p, const struct sip_msg *m) {
    uint32_t call;
    unsigned i;
    if (!message_read_name(l, m->from.uri.user, &call, &i) && !message_read_name(l, m->ruri.user, &call, &i))
        return NULL;
    for (unsigned k = 0; k < l->calls[call].dialogs; k++) {
        struct dlg *d = &l->calls[call].dlg[k];
        if (d->party == p && !d->uac && slice_eq(line_slice(&d->call_id), m->call_id))
            return d;
    }
    return dialog_new(l, call, p);
}

static struct dlg *replaced(struct load *l, const struct sip_msg *m) {
    struct sip_replaces r;
    uint32_t call;
    unsigned i;
    struct slice v = sip_hdr_value(m, SIP_H_REPLACES);
    if (!v.p || sip_replaces_parse(v, &r) < 0 || !message_read_name(l, r.to_tag, &call, &i))
        return NULL;
    return &l->calls[call].dlg[i];
}

static void answer(struct load *l, struct dlg *d, const struct sip_msg *m) {
    const char *why;
    if (!take_sdp(l, d, m, &why)) {
        message_refuse(l, (enum party)d->party, m, 488);
        fail(l, d, 488, why);
        return;
    }
    d->sdp_version++;
    d->invite_cseq = m->cseq;
    d->sent_us = l->now;
    d->interval = T1_US;
    wheel_set(&l->wheel, &d->timer, l->now + d->interval);
    message_response(l, d, m, 200, true);
}

static bool set_remote_uri(struct dlg *d, struct slice uri) {
    struct sbuf b = sbuf_on(d->remote_uri.s, sizeof d->remote_uri.s);
    sbuf_char(&b, '<');
    sbuf_put(&b, uri);
    sbuf_char(&b, '>');
    d->remote_uri.n = (uint16_t)b.n;
    return !b.overflow;
}

/* It comes from no trunk, or from one that lets it in. */
static bool is_admitted(struct load *l, enum party p, const struct sip_msg *m) {
    uint32_t call;
    unsigned i;
    return !message_read_name(l, m->from.uri.user, &call, &i) || l->calls[call].scenario != SC_TRUNK ||
           trunk_admits(l, p, m, &l->calls[call]);
}

static void on_new_invite(struct load *l, enum party p, const struct sip_msg *m) {
    if (!is_admitted(l, p, m))
        return;
    struct dlg *d = dialog_for_invite(l, p, m), *old = replaced(l, m);
    if (!d) {
        l->t.stray++;
        message_refuse(l, p, m, 481);
        return;
    }
    if (d->ok) { /* it comes again */
        send_ok_again(l, d);
        return;
    }
    if (!line_set(&d->call_id, m->call_id) || !line_set(&d->remote_tag, m->from_tag) || !take_contact(d, m) ||
        !set_remote_uri(d, m->from.uri.whole)) {
        message_refuse(l, p, m, 400);
        fail(l, d, 400, "an INVITE that cannot be answered");
        return;
    }
    d->remote_cseq = m->cseq;
    take_route(d, m, false);
    d->cseq = 100;
    if (!old)
        message_response(l, d, m, 180, false);
    answer(l, d, m);
    if (old)
        dialog_bye(l, old);
}

static void on_ack(struct load *l, struct dlg *d) {
    bool first = d->state == DLG_CALLING;
    if (!d->ok)
        return;
    free(d->ok);
    d->ok = NULL;
    if (!d->open)
        wheel_cancel(&l->wheel, &d->timer);
    d->state = DLG_UP;
    scenario_go(l, call_of(l, d), d, first ? H_UP : H_TIMER);
}

static void on_notify(struct load *l, struct dlg *d, const struct sip_msg *m) {
    struct slice state = sip_hdr_value(m, SIP_H_SUBSCRIPTION_STATE);
    message_response(l, d, m, 200, false);
    if (!slice_has_prefix(state, SL("terminated")))
        return;
    if (!slice_has_prefix(m->body, SL("SIP/2.0 2")))
        call_fail(l, call_of(l, d), 0, "the transfer failed");
    scenario_go(l, call_of(l, d), d, H_NOTIFIED);
}

static void on_request(struct load *l, struct dlg *d, const struct sip_msg *m) {
    bool again = m->cseq <= d->remote_cseq && m->method != SIP_M_ACK;
    if (!again && m->method != SIP_M_ACK)
        d->remote_cseq = m->cseq;
    switch (m->method) {
    case SIP_M_ACK: on_ack(l, d); break;
    case SIP_M_INVITE:
        if (again && d->ok)
            send_ok_again(l, d);
        else if (d->open == SIP_M_INVITE)
            message_response(l, d, m, 491, false);
        else
            answer(l, d, m);
        break;
    case SIP_M_BYE:
        message_response(l, d, m, 200, false);
        over(l, d);
        break;
    case SIP_M_NOTIFY:
        if (again)
            message_response(l, d, m, 200, false);
        else
            on_notify(l, d, m);
        break;
    default: message_response(l, d, m, 200, false);
    }
}

void dialog_receive(struct load *l, enum party p, const struct sip_msg *m) {
    if (!m->is_request) {
        on_response(l, p, m);
        return;
    }
    struct dlg *d = m->to_tag.p ? dialog_of_request(l, p, m) : NULL;
    if (d) {
        on_request(l, d, m);
    } else if (!m->to_tag.p && m->method == SIP_M_INVITE) {
        on_new_invite(l, p, m);
    } else {
        l->t.stray++;
        if (m->method != SIP_M_ACK)
            message_refuse(l, p, m, m->method == SIP_M_BYE || m->method == SIP_M_NOTIFY ? 481 : 200);
    }
}
