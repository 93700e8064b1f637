/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A call goes on from its record; recover.h says what becomes of what was in flight. */
#include "core/b2b/anchor.h"
#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/late.h"
#include "core/b2b/media.h"
#include "core/b2b/media_ports.h"
#include "core/b2b/reanchor.h"
#include "core/b2b/record.h"
#include "core/b2b/record_open.h"
#include "core/b2b/recover.h"
#include "core/b2b/transfer.h"
#include "core/b2b/wire.h"
#include "core/base/check.h"
#include "parser/sip_hdr.h"

/* What the record says was in flight. False: nothing. */
static bool take_open(struct engine *e, struct leg *l, unsigned field, struct record_open *o) {
    bool found = record_open_read(e, leg_str(l, field), o);
    leg_set(e, l, field, SLICE_NONE);
    return found;
}

/* ---- transactions ---- */

/* As if the INVITE came again: 100, and it waits for its answer. */
static handle adopt_server(struct engine *e, struct leg *l, const struct record_open *o) {
    struct sip_fault fault;
    if (wire_parse_again(e, o->bytes, &fault) < 0 || !e->again.is_request || e->again.method != SIP_M_INVITE)
        return HANDLE_NONE;
    struct txn_event t = txn_recv_request(&e->txns, e->out, e->now, &e->again, &o->addr, &l->dlg.local);
    if (t.kind != TXN_NEW_REQUEST)
        return HANDLE_NONE;
    if (e->again.to_tag.p)
        leg_own_request(e, l, t.txn);
    else
        txn_get(&e->txns, t.txn)->ctx = l->self;
    return t.txn;
}

/* An ACK changes no record, so most calls at rest have one. Of times before this machine's start no more is known. */
static bool is_of_long_ago(const struct engine *e, const struct leg *l) {
    return l->ok_until <= 1 || l->ok_until + 64ull * e->cfg.t1_us <= e->now;
}

/* It has asked in the dialog that its call made: not PRACKed alone, and its ACK may have been before that. */
static bool has_asked_since(const struct leg *l, uint32_t ok_cseq) {
    return l->dlg.remote_cseq_known && l->heard_cseq > ok_cseq && !l->rseq;
}

/* The 2xx goes out again, and is repeated. False: there is none, or its ACK must have come. */
static bool restore_ok(struct engine *e, struct leg *l) {
    struct record_open o;
    struct buf *b = take_open(e, l, LEG_OPEN_OK, &o) && !is_of_long_ago(e, l) ? buf_copy(&e->bufs, o.bytes) : NULL;
    uint32_t cseq = l->ok_cseq;
    bool over = l->ok_until <= e->now;
    if (!b)
        return false;
    leg_keep_ok(e, l, b, &o.addr);
    l->ok_cseq = cseq;
    l->ok_offers = l->oa == OA_OFFER_SENT;
    l->ok_adopted = true;
    l->ok_doubtful = !l->ok_offers && (over || l->state == LEG_UP || has_asked_since(l, cseq));
    wire_trace(e, "send", l, o.bytes, &o.addr);
    wire_send(e, l->ok, &o.addr, &l->dlg.local);
    leg_ok_sent(e, l); /* for the whole of its time: it may not have been sent before */
    return true;
}

/* ---- legs ---- */

/* An offer whose INVITE is not part of the record: it comes again, if it still matters. */
static void forget_offer(struct engine *e, struct leg *l) {
    struct slice before = leg_str(l, LEG_SDP_BEFORE);
    if (!before.p || !leg_set(e, l, LEG_SDP_REMOTE, before))
        return;
    l->media.own_direction = l->media.own_before;
    l->media.own_before = 0;
    leg_set(e, l, LEG_SDP_BEFORE, SLICE_NONE);
}

/* A re-INVITE of ours is to follow the one that is open. */
static bool has_next(const struct leg *l) {
    bool asking = l->own_invite && l->late_offer;
    return l->retry_until && (leg_str(l, LEG_SDP_WANTED).p || (l->asks_offer && !asking));
}

static void resume_reinvite(struct engine *e, struct leg *l, const struct record_open *o) {
    l->invite_out = o->bytes.n ? record_open_send(e, l, o, SIP_M_INVITE, FOR_REINVITE) : HANDLE_NONE;
    if (l->invite_out != HANDLE_NONE) {
        l->adopted = !o->provisional;
        l->reoffer_waits = has_next(l);
        if (l->invite_until <= e->now)
            l->invite_until = e->now + 64ull * e->cfg.t1_us;
        if (l->retry_until && l->retry_until < l->invite_until)
            l->retry_until = l->invite_until;
        wheel_set(&e->wheel, &l->timer, l->invite_until);
    } else if (l->retry_until) {
        if (!leg_str(l, LEG_SDP_WANTED).p && !l->asks_offer)
            leg_set(e, l, LEG_SDP_WANTED, leg_str(l, LEG_SDP_LOCAL));
        l->reoffer_waits = true;
        wheel_set(&e->wheel, &l->timer, e->now + e->cfg.t1_us / 5);
    }
}

/* Nothing that could close it is in flight. A late offer of the peer's waits for the answer in the other leg's ACK. */
static void close_offer(struct leg *l) {
    bool open = l->oa == OA_OFFER_SENT ? l->invite_out != HANDLE_NONE || l->ok
                                       : l->invite_in != HANDLE_NONE || l->late_offer;
    if (l->oa != OA_STABLE && !open)
        oa_step(&l->oa, OA_EV_ABORT);
}

/* The answer to an offer in a 2xx, which its ACK may have taken along into nothing: what is offered from here on is
 * newer, and may not overtake it. */
static void answer_again(struct engine *e, struct leg *l) {
    if (l->state == LEG_UP && l->late_offer && l->oa == OA_STABLE && l->invite_out == HANDLE_NONE &&
        leg_str(l, LEG_SDP_LOCAL).p)
        leg_ack(e, l, leg_str(l, LEG_SDP_LOCAL));
}

static void resume_up(struct engine *e, struct leg *l) {
    struct record_open o;
    uint32_t acked = l->ok_cseq;
    if (!restore_ok(e, l)) {
        leg_stop_ok(e, l);
        l->ok_cseq = acked;
        leg_step(e, l, LEG_IN_RECV_ACK);
    }
    leg_session_resume(e, l);
    if (take_open(e, l, LEG_OPEN_IN, &o))
        l->invite_in = adopt_server(e, l, &o);
    /* One in a 2xx that we have not ACKed stands: the ACK is its answer. */
    if (l->invite_in == HANDLE_NONE && !(l->oa == OA_OFFER_RCVD && l->late_offer))
        forget_offer(e, l);
    transfer_relay_resume_first(e, l);
    take_open(e, l, LEG_OPEN_OUT, &o);
    resume_reinvite(e, l, &o);
    close_offer(l);
    answer_again(e, l);
}

/* Nobody would ever answer it. */
static void give_up(struct engine *e, struct leg *l, enum leg_event_kind kind) {
    struct leg_event ev = { .kind = kind, .status = 503 };
    wheel_cancel(&e->wheel, &l->timer);
    oa_step(&l->oa, OA_EV_ABORT);
    l->final_status = 503;
    leg_step(e, l, LEG_IN_GONE);
    engine_leg_event(e, l, &ev);
}

static void resume_calling(struct engine *e, struct leg *l) {
    struct record_open o;
    if (take_open(e, l, LEG_OPEN_OUT, &o))
        l->invite_out = record_open_send(e, l, &o, SIP_M_INVITE, FOR_INVITE);
    /* An offer in a reliable 18x comes again, until its PRACK. */
    if (l->oa == OA_OFFER_RCVD)
        oa_step(&l->oa, OA_EV_ABORT);
    if (l->invite_out == HANDLE_NONE)
        give_up(e, l, LEG_EV_REFUSED);
    else if (l->state == LEG_CANCELLING)
        txn_cancel(&e->txns, e->out, e->now, l->invite_out, SLICE_NONE);
    else if (!wheel_is_set(&l->timer))
        wheel_set(&e->wheel, &l->timer, e->now + e->cfg.invite_timeout_us);
}

static void resume_incoming(struct engine *e, struct leg *l) {
    struct record_open o;
    if (take_open(e, l, LEG_OPEN_IN, &o))
        l->invite_in = adopt_server(e, l, &o);
    if (l->invite_in == HANDLE_NONE)
        give_up(e, l, LEG_EV_GONE);
    else if (l->rseq && take_open(e, l, LEG_OPEN_OK, &o))
        leg_rel_resume(e, l, o.bytes, &o.addr);
}

void record_outrun(struct leg *l, uint32_t gap) {
    struct dialog *d = &l->dlg;
    d->local_cseq = d->local_cseq < INT32_MAX - gap ? d->local_cseq + gap : d->local_cseq;
    l->auth_nc += l->auth_nc ? gap : 0;
}

void record_pass_unwritten(struct engine *e, struct call *c, uint64_t owners) {
    c->unwritten = (uint8_t)(owners < RECORD_UNWRITTEN_MAX ? owners : RECORD_UNWRITTEN_MAX);
    for (unsigned i = 0; c->unwritten && i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        record_outrun(l, c->unwritten * RECORD_CSEQ_GAP);
        l->media.version += c->unwritten * RECORD_VERSION_GAP;
        l->session_unsure = l->session_unsure || (leg_is_up(l) && media_open_count(l));
    }
}

/* Its re-INVITE was passed on 64*T1 ago: without the 100, which may have died with who was to send it, it has given up
 * by now. */
static void note_late(const struct engine *e, struct leg *l) {
    const struct leg *p = leg_peer(e, l);
    if (l->state == LEG_UP && l->oa == OA_OFFER_RCVD && leg_str(l, LEG_OPEN_IN).p && p && !p->own_invite &&
        leg_str(p, LEG_OPEN_OUT).p && p->invite_until + 64ull * e->cfg.t1_us <= e->now + e->cfg.invite_timeout_us)
        l->read_late = true;
}

/* Its last request: not a re-INVITE whose 2xx has been ACKed. A copy of that is late, and was carried out by then. */
static bool may_come_again(const struct leg *l) {
    return l->ok_cseq != l->dlg.remote_cseq || leg_str(l, LEG_OPEN_OK).p;
}

static void resume_leg(struct engine *e, struct leg *l) {
    struct dialog *d = &l->dlg;
    l->taken_cseq = d->local_cseq;
    l->heard_cseq = d->remote_cseq;
    record_outrun(l, RECORD_CSEQ_GAP);
    /* The answer to its last request may be lost: that comes again. */
    if (d->remote_cseq_known && d->remote_cseq && may_come_again(l))
        d->remote_cseq--;
    recover_index(e, l);
    switch (l->state) {
    case LEG_CALLING:
    case LEG_EARLY:
    case LEG_CANCELLING: resume_calling(e, l); break;
    case LEG_INCOMING: resume_incoming(e, l); break;
    case LEG_ANSWERED:
    case LEG_UP: resume_up(e, l); break;
    case LEG_ENDING:
        if (!restore_ok(e, l))
            leg_stop_ok(e, l);
        leg_send_bye(e, l, SLICE_NONE);
        break;
    case LEG_IDLE: leg_step(e, l, LEG_IN_GONE); break;
    default: break;
    }
    for (unsigned f = LEG_OPEN_OUT; f <= LEG_OPEN_OK; f++)
        leg_set(e, l, f, SLICE_NONE);
}

/* ---- who talks with whom ---- */

static void resume_media(struct engine *e, struct call *c) {
    for (unsigned i = 0; i < c->leg_count; i++)
        media_resume(e, leg_get(e, c->legs[i]));
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]), *p = leg_peer(e, l);
        if (leg_is_live(l) && l->echo)
            media_echo(e, l);
        else if (p && p->peer == l->self && p->number > l->number)
            media_connect(e, l, p);
        if (leg_is_live(l) && (l->session_unsure || !anchor_is_here(e, anchor_of(e, l))))
            reanchor(e, l);
    }
}

static bool rings_for(const struct engine *e, const struct call *c, const struct leg *caller) {
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        if (l->peer == caller->self && leg_is_live(l))
            return true;
    }
    return false;
}

/* The other's end was under way. */
static bool is_alone(const struct engine *e, const struct call *c, const struct leg *l) {
    bool in_transfer = l->transfer != HANDLE_NONE || leg_str(l, LEG_TRANSFER_AT).p;
    if (!leg_is_live(l) || in_transfer || l->echo)
        return false;
    return l->state == LEG_INCOMING ? !rings_for(e, c, l) : !leg_peer(e, l);
}

/* A 2xx with an offer whose answer is not on its way from anybody. A transfer answers it, or when it has failed: not
 * one that is only passed on. */
static bool owes_nobody(const struct engine *e, const struct leg *l) {
    const struct leg *p = leg_peer(e, l);
    const struct transfer *t = transfer_get(e, l->transfer);
    return l->oa == OA_OFFER_RCVD && l->late_offer && (!t || t->mode == MODE_RELAY) && !(p && p->ok);
}

void record_end_alone(struct engine *e, struct call *c) {
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        if (is_alone(e, c, l))
            leg_end(e, l, 480, SLICE_NONE);
        else if (leg_owes_answer(l) && owes_nobody(e, l))
            late_decline(e, l);
        else if (owes_nobody(e, l))
            leg_ack_late_offer(e, l);
    }
}

static void resume_transfers(struct engine *e, const struct call *c) {
    struct transfer *own = transfer_get(e, c->transfer);
    if (own)
        transfer_resume(e, own);
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        struct transfer *t = transfer_get(e, l->transfer);
        if (t && t != own)
            transfer_party_resumed(e, t, leg_get(e, c->legs[i]));
    }
}

void record_resume_legs(struct engine *e, struct call *c) {
    e->resuming -= c->resuming;
    c->resuming = c->resume_ready = false;
    if (!c->record_stored)
        e->records++;
    c->record_stored = true;
    call_changed(e, c);
    /* Before any of them may end. */
    for (unsigned i = 0; i < c->leg_count; i++)
        media_take_up(e, leg_get(e, c->legs[i]));
    for (unsigned i = 0; i < c->leg_count; i++)
        note_late(e, leg_get(e, c->legs[i]));
    for (unsigned i = 0; i < c->leg_count; i++)
        resume_leg(e, leg_get(e, c->legs[i]));
    resume_media(e, c);
}

bool record_awaits_transfer(const struct engine *e, const struct call *c) {
    for (unsigned i = 0; i < c->leg_count; i++)
        if (leg_str(leg_get(e, c->legs[i]), LEG_TRANSFER_AT).p)
            return true;
    return false;
}

void record_resume_rest(struct engine *e, struct call *c) {
    if (record_awaits_transfer(e, c) && !wheel_is_set(&e->strays_timer))
        wheel_set(&e->wheel, &e->strays_timer, e->now + RECOVER_STRAY_US);
    resume_transfers(e, c);
    record_end_alone(e, c);
}

void record_resume(struct engine *e, struct call *c) {
    record_resume_legs(e, c);
    record_resume_rest(e, c);
}
