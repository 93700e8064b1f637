/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/engine.h"

#include "core/b2b/admin.h"
#include "core/b2b/agree.h"
#include "core/b2b/anchor.h"
#include "core/b2b/barrier.h"
#include "core/b2b/bridge.h"
#include "core/b2b/call.h"
#include "core/b2b/cdr.h"
#include "core/b2b/hand.h"
#include "core/b2b/load.h"
#include "core/b2b/media_flow.h"
#include "core/b2b/media_srtp.h"
#include "core/b2b/move.h"
#include "core/b2b/move_left.h"
#include "core/b2b/moved.h"
#include "core/b2b/orphan.h"
#include "core/b2b/owner.h"
#include "core/b2b/owner_over.h"
#include "core/b2b/policy.h"
#include "core/b2b/reanchor.h"
#include "core/b2b/recover.h"
#include "core/b2b/registrar.h"
#include "core/b2b/setup.h"
#include "core/b2b/silence.h"
#include "core/b2b/state.h"
#include "core/b2b/transfer.h"
#include "core/b2b/unread.h"
#include "core/b2b/wire.h"
#include "core/base/check.h"
#include "parser/sip_hdr.h"

/* Of malformed messages: more are a flood, and are counted only. */
#define FAULTS_TOLD_A_SECOND 100
#define FAULTS_ANSWERED_A_SECOND 1000

void engine_leg_event(struct engine *e, struct leg *l, const struct leg_event *ev) {
    if (ev->kind == LEG_EV_NONE)
        return;
    cdr_note_event(e, l, ev);
    if (ev->kind == LEG_EV_REQUEST && ev->msg->method == SIP_M_REFER) {
        transfer_on_refer(e, l, ev->msg, ev->txn);
        return;
    }
    if (!transfer_on_event(e, l, ev))
        bridge_on_event(e, l, ev);
    leg_early_settle(e, l, ev);
}

/* ---- requests ---- */

static void refuse(struct engine *e, const struct sip_msg *msg, handle txn, const struct uas_refusal *r) {
    struct uas_response resp = { .status = r->status, .reason = r->reason, .extra = r->extra };
    metrics_add(&e->metrics, M_requests_refused, 1);
    wire_answer(e, txn, msg, &resp);
}

/* No transaction is made: a flood of refusals must not hold what the calls need. */
static void refuse_for_room(struct engine *e, const struct sip_msg *msg, const struct event *in, bool told) {
    char tag[LOAD_TAG_LEN];
    struct uas_response r = { .status = 503, .to_tag = load_tag(e, msg, tag), .extra = hand_retry_after(e, msg) };
    wire_respond_stateless(e, msg, &in->u.dgram.src, &in->u.dgram.dst, &r, told);
}

/* The last eighth of the transactions is for the calls there are: their BYE must find room. A REFER asks for a new one.
 */
static bool is_short_of_room(const struct engine *e) {
    return !txn_has_room(&e->txns, 0, true);
}

/* While calls are being taken over it may name a dialog of one of them, which is not as its party knows it yet. */
static bool names_dialogs(const struct sip_msg *msg) {
    return msg->method == SIP_M_REFER || msg->method == SIP_M_SUBSCRIBE || sip_hdr_first(msg, SIP_H_REPLACES);
}

static bool is_of_one_to_come(const struct engine *e, const struct sip_msg *msg) {
    if (!e->resuming && !e->moves.used)
        return false;
    const struct leg *l = leg_find_request(e, msg);
    if (!l)
        return (e->resuming && names_dialogs(msg)) || (msg->to_tag.p && move_is_coming(e, msg));
    return e->resuming && (names_dialogs(msg) || leg_call(e, l)->resuming);
}

/* Of a call that is being taken over: it waits, or is dropped before it has a transaction, and with it a 100; then it
 * comes again. */
static bool is_too_early(struct engine *e, const struct sip_msg *msg, const struct event *in) {
    if (msg->method == SIP_M_ACK || !is_of_one_to_come(e, msg))
        return false;
    if (owner_is_shared(e))
        owner_wait_put(e, in);
    return true;
}

static void on_new_request(struct engine *e, const struct sip_msg *msg, const struct txn_event *t) {
    struct uas_refusal r = uas_check(&e->ua, msg);
    struct leg *l = leg_find_request(e, msg);
    if (t->merged && !r.status)
        r.status = 482;
    else if (msg->to_tag.p && !l && !r.status) {
        unread_on_request(e, msg);
        owner_over_note(e, msg);
        r.status = 481;
    }
    if (r.status) {
        refuse(e, msg, t->txn, &r);
        return;
    }
    if (!l) {
        if (!recover_repeated(e, msg, t->txn))
            setup_on_request(e, msg, t->txn);
        return;
    }
    leg_own_request(e, l, t->txn);
    if (recover_refer_again(e, l, msg, t->txn))
        return;
    struct leg_event ev = leg_on_request(e, l, msg, t->txn);
    engine_leg_event(e, l, &ev);
}

/* The INVITE's transaction tells the leg only through the leg's own invite_in. */
static struct leg *leg_of_invite(const struct engine *e, handle invite) {
    const struct txn *t = txn_get(&e->txns, invite);
    return t ? leg_get(e, t->ctx) : NULL;
}

static void on_cancel(struct engine *e, const struct sip_msg *msg, const struct txn_event *t) {
    struct leg *l = leg_of_invite(e, t->other);
    struct uas_refusal r = { .status = t->other == HANDLE_NONE ? 481 : 200 };
    struct uas_response resp = { .status = r.status, .to_tag = l ? leg_str(l, DLG_LOCAL_TAG) : SL("0") };
    wire_respond(e, t->txn, msg, &resp, l);
    if (!l)
        return;
    struct leg_event ev = leg_on_cancel(e, l, t->other);
    ev.msg = msg;
    engine_leg_event(e, l, &ev);
}

static void on_request(struct engine *e, const struct sip_msg *msg, const struct event *in) {
    if (is_too_early(e, msg, in))
        return;
    struct txn_event t = txn_recv_request(&e->txns, e->out, e->now, msg, &in->u.dgram.src, &in->u.dgram.dst);
    struct leg *l;
    switch (t.kind) {
    case TXN_NEW_REQUEST:
        if ((!msg->to_tag.p || msg->method == SIP_M_REFER) && is_short_of_room(e) &&
            !policy_asks_for_emergency(e, msg)) {
            metrics_add(&e->metrics, M_pool_full, 1);
            txn_drop(&e->txns, t.txn);
            refuse_for_room(e, msg, in, true);
        } else {
            on_new_request(e, msg, &t);
        }
        break;
    case TXN_CANCEL: on_cancel(e, msg, &t); break;
    case TXN_ACK_2XX:
        l = leg_find_request(e, msg);
        if (!l || leg_call(e, l)->resuming) { /* of the latter the 2xx is repeated, and so is this */
            metrics_add(&e->metrics, M_acks_stray, 1);
            break;
        }
        struct leg_event ev = leg_on_ack(e, l, msg);
        engine_leg_event(e, l, &ev);
        break;
    case TXN_FULL: refuse_for_room(e, msg, in, true); break;
    default: break;
    }
}

/* ---- responses ---- */

/* Section 18.1.2: the top Via must be one that we wrote. */
static bool is_our_via(const struct engine *e, const struct sip_msg *msg) {
    return slice_ieq(msg->via.sent_by.host, e->ua.host) ||
           (e->ua.host.n > 2 && e->ua.host.p[0] == '[' &&
            slice_ieq(msg->via.sent_by.host, slice_of(e->ua.host.p + 1, e->ua.host.n - 2)));
}

/* Also of another fork than the one that we hold: its transaction may have been a former owner's. */
static void on_stray_response(struct engine *e, const struct sip_msg *msg) {
    bool update = msg->cseq_method == SIP_M_UPDATE && msg->body.n && msg->status / 100 == 2;
    if ((msg->cseq_method != SIP_M_INVITE && !update) || msg->status < 200)
        return;
    struct leg *l = leg_find_local(e, msg->call_id, msg->from_tag);
    if (!l || leg_call(e, l)->resuming)
        return;
    if (update) {
        agree_on_late_2xx(e, l);
    } else if (recover_answers_retry(e, l, msg)) {
        struct leg_event ev = leg_on_answer(e, l, msg);
        engine_leg_event(e, l, &ev);
    } else if (msg->status < 300 && leg_on_stray_2xx(e, l, msg)) {
        bridge_came_late(e, l, msg);
    }
}

static void client_event(struct engine *e, const struct txn_event *t, const struct sip_msg *msg) {
    struct leg *l = leg_get(e, t->ctx);
    if (t->kind == TXN_TIMEOUT && t->txn_kind != TXN_ICT && t->txn_kind != TXN_NICT) {
        if (l && t->method == SIP_M_UPDATE)
            bridge_update_expired(e, l);
        return;
    }
    if (!l && t->ctx_kind == FOR_REINVITE && t->method == SIP_M_INVITE && msg && msg->status / 100 == 2)
        leg_ack_ended(e, t->txn, msg);
    if (!l || t->ctx_kind == FOR_NONE)
        return;
    struct leg_event ev = leg_on_response(e, l, t, msg);
    engine_leg_event(e, l, &ev);
}

static void on_response(struct engine *e, const struct sip_msg *msg) {
    if (!is_our_via(e, msg)) {
        metrics_add(&e->metrics, M_responses_dropped, 1);
        return;
    }
    struct txn_event t = txn_recv_response(&e->txns, e->out, e->now, msg);
    if (t.kind == TXN_STRAY)
        on_stray_response(e, msg);
    else if (t.kind != TXN_NONE)
        client_event(e, &t, msg);
    txn_forget_refused(&e->txns);
}

/* ---- datagrams ---- */

static bool is_keepalive(struct slice b) {
    if (b.n && (uint8_t)b.p[0] > ' ')
        return false;
    return slice_trim(b).n == 0 || (b.n >= 20 && (uint8_t)b.p[0] < 2); /* empty, CRLF (RFC 5626), STUN */
}

/* The how manieth of this second, from 0. */
static uint64_t count_fault(struct engine *e) {
    uint64_t second = e->now / 1000000;
    if (second != e->faults_second) {
        e->faults_second = second;
        e->faults = 0;
    }
    return e->faults++;
}

static void trace_fault(struct engine *e, const struct sip_fault *f, const struct event *in) {
    struct sbuf d = trace_begin(&e->trace, TRACE_INFO, "refused", 0, 0xff);
    sbuf_str(&d, sip_error_text(f->error));
    sbuf_lit(&d, " at byte ");
    sbuf_u64(&d, f->offset);
    if (f->hdr != SIP_H_OTHER) {
        sbuf_lit(&d, " in ");
        sbuf_put(&d, sip_hdr_name((enum sip_hdr_id)f->hdr));
    }
    sbuf_lit(&d, " from ");
    addr_put(&d, &in->u.dgram.src);
    sbuf_lit(&d, ": ");
    sbuf_escaped(&d, in->u.dgram.bytes, 60);
    trace_end(&e->trace, &d);
}

static void on_fault(struct engine *e, const struct sip_msg *msg, const struct sip_fault *f, const struct event *in) {
    metrics_add(&e->metrics, f->error == SIP_E_NOT_SIP ? M_not_sip : M_parse_errors, 1);
    uint64_t number = count_fault(e);
    if (number < FAULTS_TOLD_A_SECOND)
        trace_fault(e, f, in);
    if (number >= FAULTS_ANSWERED_A_SECOND || f->status < 400 || !msg->is_request || !sip_answerable(msg))
        return;
    char reason[96];
    struct sbuf r = sbuf_on(reason, sizeof reason);
    sbuf_str(&r, sip_error_text(f->error));
    if (f->hdr != SIP_H_OTHER) {
        sbuf_lit(&r, ": ");
        sbuf_put(&r, sip_hdr_name((enum sip_hdr_id)f->hdr));
    }
    struct uas_response resp = { .status = f->status,
                                 .reason = f->status == 400 ? sbuf_slice(&r) : SLICE_NONE,
                                 .to_tag = SL("bad") };
    metrics_add(&e->metrics, M_requests_refused, 1);
    wire_respond_stateless(e, msg, &in->u.dgram.src, &in->u.dgram.dst, &resp, true);
}

static const struct leg *leg_of_message(const struct engine *e, const struct sip_msg *msg) {
    if (msg->is_request)
        return leg_find_request(e, msg);
    const struct leg *l = leg_find(e, msg->call_id, msg->from_tag, msg->to_tag);
    return l ? l : leg_find(e, msg->call_id, msg->from_tag, SLICE_NONE);
}

static void trace_received(struct engine *e, const struct event *in) {
    if (trace_on(&e->trace, TRACE_DEBUG))
        wire_trace(e, "recv", leg_of_message(e, &e->msg), e->msg.whole, &in->u.dgram.src);
}

/* What there is no time or room for, and the ACK to that answer: before anything else is done for it. */
static bool turns_away(struct engine *e, const struct sip_msg *msg, const struct event *in) {
    bool is_ack = load_is_ack(e, msg);
    bool waits = e->resuming && names_dialogs(msg);
    enum load_verdict v = is_ack || waits ? LOAD_ADMITS : load_judge(e, msg);
    if (!is_ack && !waits && v != LOAD_AGAIN && hand_to_another(e, in, msg, v == LOAD_REFUSES))
        return true;
    if (!is_ack && v == LOAD_ADMITS)
        return false;
    bool told = load_is_told(e);
    if (told)
        trace_received(e, in);
    if (is_ack)
        return true;
    metrics_add(&e->metrics, M_overload_refused, 1);
    load_note_refused(e, msg);
    refuse_for_room(e, msg, in, told);
    return true;
}

static void on_datagram(struct engine *e, const struct event *in) {
    struct sip_fault f;
    metrics_add(&e->metrics, M_datagrams_in, !e->wait.tries);
    if (!e->owners.hops && !e->wait.tries && !source_admits(e, &in->u.dgram.src))
        return;
    e->here = in->u.dgram.dst;
    if (is_keepalive(in->u.dgram.bytes)) {
        metrics_add(&e->metrics, M_keepalives_in, 1);
        return;
    }
    if (sip_parse(in->u.dgram.bytes, &e->msg, &f) < 0) {
        on_fault(e, &e->msg, &f, in);
        return;
    }
    if (owner_is_shared(e) && (!owner_takes(e, in, &e->msg) || owner_over_awaits(e, in, &e->msg)))
        return;
    if (e->msg.is_request && turns_away(e, &e->msg, in))
        return;
    trace_received(e, in);
    if (e->msg.is_request)
        on_request(e, &e->msg, in);
    else
        on_response(e, &e->msg);
}

/* ---- other engines ---- */

static void on_peer(struct engine *e, const struct event *ev) {
    struct event in = { .kind = EV_DATAGRAM, .mono_us = ev->mono_us, .wall_ms = ev->wall_ms };
    metrics_add(&e->metrics, M_peer_in, 1);
    switch (ev->u.peer.what) {
    case PEER_DATAGRAM:
        e->owners.hops = ev->u.peer.hops ? ev->u.peer.hops : 1;
        e->owners.from = ev->u.peer.from;
        e->owners.here = ev->u.peer.bucket % LIMIT_BUCKETS;
        in.u.dgram.bytes = ev->u.peer.bytes;
        in.u.dgram.src = ev->u.peer.src;
        in.u.dgram.dst = ev->u.peer.dst;
        on_datagram(e, &in);
        break;
    case PEER_ENDED: moved_on_ended(e, ev->u.peer.bytes); break;
    case PEER_OVER: owner_over_heard(e, ev->u.peer.bucket % LIMIT_BUCKETS, ev->u.peer.bytes); break;
    case PEER_LEFT:
        move_left_heard(e, ev->u.peer.from, ev->u.peer.bucket % LIMIT_BUCKETS, ev->u.peer.bytes);
        break;
    case PEER_BINDING: registrar_on_peer(e, ev->u.peer.bytes); break;
    case PEER_FULL: hand_heard(e, ev->u.peer.from, ev->u.peer.bytes); break;
    default:
        if (move_on_peer(e, ev, &in))
            on_datagram(e, &in);
        move_handled(e);
    }
}

/* ---- time ---- */

/* A bound on what one step sends. */
#define WAITING_A_STEP 8

static void try_waiting(struct engine *e) {
    struct event in;
    uint32_t n = owner_wait_count(e);
    for (n = n < WAITING_A_STEP ? n : WAITING_A_STEP; n; n--) {
        owner_wait_try(e, &in);
        on_datagram(e, &in);
        owner_wait_tried(e);
    }
}

/* A step's worth of BYEs; the rest follows at once in the next step. */
#define DRAIN_CALLS_A_STEP 16
#define DRAIN_LOOK_US 20000

/* A transfer whose own parties have left may still wait for the target, a leg of another call. */
static bool is_to_be_drained(const struct engine *e, const struct call *c) {
    bool live = c->transfer != HANDLE_NONE;
    for (unsigned i = 0; i < c->leg_count; i++)
        live = live || leg_is_live(leg_get(e, c->legs[i]));
    return live && (!e->drain_unknown || call_is_unknown(c));
}

/* Its legs, or those of its transfer, are as a record has them: nothing can be sent to them, and the relay does not
 * know of them, before their call goes on. */
static bool is_being_read(const struct engine *e, const struct call *c) {
    const struct transfer *t = transfer_get(e, c->transfer);
    return c->resuming || (t && transfer_parties_come(e, t));
}

static void drain_call(struct engine *e, struct call *c) {
    struct transfer *t = transfer_get(e, c->transfer);
    if (t)
        transfer_shut_down(e, t);
    c->history.end = CALL_END_DRAIN;
    call_end(e, c, 503, SL("Reason: SIP;cause=503;text=\"Shutting down\"\r\n"));
}

static void drain_calls(struct engine *e) {
    uint32_t cursor = 0, n = 0;
    bool early = false;
    handle h;
    for (struct call *c; n < DRAIN_CALLS_A_STEP && (c = pool_next(&e->calls, &cursor, &h));) {
        if (!is_to_be_drained(e, c))
            continue;
        if (is_being_read(e, c)) {
            early = true;
            continue;
        }
        drain_call(e, c);
        n++;
    }
    if (n == DRAIN_CALLS_A_STEP || early)
        wheel_set(&e->wheel, &e->drain_timer, e->now + (n == DRAIN_CALLS_A_STEP ? 0 : DRAIN_LOOK_US));
}

/* Read from a record, whose attempt is still being counted. */
static bool is_resuming(const struct engine *e, handle call) {
    const struct call *c = call_get(e, call);
    return c && c->resuming;
}
#define RESUME_WAIT_US 2000

static void on_timer(struct engine *e, struct wheel_node *n) {
    if (txn_is_timer(n)) {
        struct txn_event t = txn_timer(&e->txns, e->out, e->now, n);
        if (t.kind == TXN_TIMEOUT)
            metrics_add(&e->metrics, M_timeouts, 1);
        if (t.kind != TXN_NONE)
            client_event(e, &t, NULL);
        return;
    }
    struct leg *l = n->kind <= TIMER_LEG || n->kind == TIMER_SESSION ? leg_get(e, n->owner) : NULL;
    struct transfer *t = n->kind == TIMER_TRANSFER ? transfer_get(e, n->owner) : NULL;
    struct leg_event ev;
    if ((l && is_resuming(e, l->call)) || (t && is_resuming(e, t->call))) {
        wheel_set(&e->wheel, n, e->now + RESUME_WAIT_US);
        return;
    }
    switch (n->kind) {
    case TIMER_LEG_OK:
    case TIMER_LEG:
        if (!l)
            break;
        ev = leg_on_timer(e, l, (enum engine_timer)n->kind);
        engine_leg_event(e, l, &ev);
        break;
    case TIMER_SESSION:
        if (!l)
            break;
        ev = leg_session_on_timer(e, l);
        engine_leg_event(e, l, &ev);
        break;
    case TIMER_TRANSFER:
        if (t)
            transfer_on_timer(e, t);
        break;
    case TIMER_BINDING: registrar_on_timer(e, n); break;
    case TIMER_DRAIN: drain_calls(e); break;
    case TIMER_OWNER: owner_on_timer(e); break;
    case TIMER_MOVE: move_on_timer(e, n->owner); break;
    case TIMER_MOVED: moved_on_timer(e); break;
    case TIMER_UNREAD: unread_on_timer(e); break;
    case TIMER_STORE: barrier_on_retry(e); break;
    case TIMER_STRAYS: recover_on_timer(e); break;
    case TIMER_REANCHOR: reanchor_on_timer(e); break;
    case TIMER_WAIT: try_waiting(e); break;
    case TIMER_REREAD: recover_on_reread_timer(e); break;
    case TIMER_LEFT: move_left_on_timer(e); break;
    case TIMER_OVER: owner_over_on_timer(e); break;
    case TIMER_HELD:
        if (call_get(e, n->owner))
            barrier_on_timer(e, call_get(e, n->owner));
        break;
    default: CHECK(n->kind == TIMER_LEG);
    }
}

/* Timers stop firing while the outbox fills: what is due then fires in the next step, which follows at once. */
static void run_timers(struct engine *e) {
    struct wheel_node *n;
    while (!e->owners.suspended && e->out->n < OUTBOX_MAX / 2 && (n = wheel_pop(&e->wheel, e->now)))
        on_timer(e, n);
}

static void on_send_failed(struct engine *e, const struct addr *dst) {
    struct txn_event t;
    uint32_t started = e->txns.started;
    while (e->out->n < OUTBOX_MAX / 2 && (t = txn_transport_error(&e->txns, e->now, dst, started)).kind != TXN_NONE)
        client_event(e, &t, NULL);
}

static void on_store(struct engine *e, const struct event *ev) {
    if (recover_on_store(e, ev) || barrier_on_store(e, ev) || move_on_store(e, ev) || moved_on_store(e, ev))
        return;
    if (ev->u.store.status != STORE_OK && ev->u.store.status != STORE_MISSING)
        metrics_add(&e->metrics, M_store_failures, 1);
}

static void on_drain(struct engine *e, const struct event *ev) {
    e->draining = true;
    e->drain_until = ev->u.drain.deadline_us;
    e->drain_unknown = ev->u.drain.unknown;
    wheel_set(&e->wheel, &e->drain_timer, e->drain_until);
    trace_text(&e->trace, TRACE_INFO, "drain", 0, 0xff, SL("no new calls from now on"));
}

/* A refusal of a request: its record forgets the request, so that nobody could refuse it again. */
static bool is_refusal(const struct out *o) {
    struct slice text = o->kind == OUT_SEND ? buf_slice(o->u.send.buf) : SLICE_NONE;
    return slice_has_prefix(text, SL("SIP/2.0 ")) && text.n > 8 && text.p[8] >= '3';
}

/* Records before what they are about: the next owner of a call knows whatever anybody has seen of this step. The end of
 * a record stays behind the answers that it is the end of. */
static void put_records_first(struct outbox *out) {
    uint32_t to = 0;
    for (uint32_t i = 0; i < out->n; i++) {
        const struct out *o = &out->entries[i];
        if (is_refusal(o))
            to = i + 1;
        if (o->kind != OUT_STORE || o->u.store.verb != STORE_PUT)
            continue;
        struct out put = *o;
        memmove(&out->entries[to + 1], &out->entries[to], (i - to) * sizeof *o);
        out->entries[to++] = put;
    }
}

void engine_step(struct engine *e, const struct event *ev, struct outbox *out) {
    CHECK(out->n == 0);
    e->out = out;
    e->now = ev->mono_us > e->now ? ev->mono_us : e->now;
    e->wall_ms = ev->wall_ms;
    e->trace.now_us = e->now;
    e->owners.hops = 0;
    e->again_of = HANDLE_NONE;
    sdp_memo_begin(e->descriptions);
    e->owners.from = PEER_NONE;
    if (e->owners.lost && ev->kind != EV_BUCKET)
        owner_forget_lost(e);
    switch (ev->kind) {
    case EV_DATAGRAM: on_datagram(e, ev); break;
    case EV_STORE: on_store(e, ev); break;
    case EV_SEND_FAILED:
        if (!e->owners.suspended)
            on_send_failed(e, &ev->u.failed.dst);
        break;
    case EV_ADMIN: admin_on_line(e, ev->u.admin.conn, ev->u.admin.line); break;
    case EV_RECORD: (void)recover_record(e, ev->u.record.key, ev->u.record.value, 0); break;
    case EV_LOAD:
        load_on_event(e, ev);
        hand_tell(e);
        break;
    case EV_DRAIN: on_drain(e, ev); break;
    case EV_STORE_DOWN: barrier_store_down(e, true); break;
    case EV_STORE_UP: barrier_store_down(e, false); break;
    case EV_BUCKET: owner_on_bucket(e, ev); break;
    case EV_PEER: on_peer(e, ev); break;
    case EV_ADDRESS: anchor_on_address(e, ev); break;
    case EV_FORMAT: record_format_told(e, ev->u.format.highest); break;
    case EV_ACT: e->owners.suspended = ev->u.act.suspended; break;
    case EV_MEDIA:
        if (ev->u.media.what == MEDIA_EV_SILENT && !e->owners.suspended)
            silence_noted(e, ev->u.media.stream, ev->u.media.generation);
        else if (ev->u.media.what == MEDIA_EV_ROC)
            media_srtp_rolled(e, ev);
        else if (ev->u.media.what == MEDIA_EV_FLOW)
            media_flow_noted(e, ev);
        else if (ev->u.media.what == MEDIA_EV_RETURNED)
            port_pool_returned(&e->ports, ev->u.media.stream, e->now);
        break;
    case EV_DEADLINE: break;
    }
    run_timers(e);
    orphan_settle(e);
    call_reap(e);
    put_records_first(out);
    e->out = NULL;
}

uint64_t engine_deadline(const struct engine *e) {
    return e->owners.suspended ? WHEEL_NEVER : wheel_next(&e->wheel);
}
