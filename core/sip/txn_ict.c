/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_ict: INVITE client transaction, RFC 3261 section 17.1.1 with RFC 6026 section 7.2, and its CANCEL (section 9.1).
 */
#include "core/sip/txn_table.h"

/* "For unreliable transports, the client transaction MUST start timer A with a value of T1" */
static void start(struct txn_step *s) {
    txn_send(s, s->txn->u.open->request);
    if (!txn_reliable(s->txn))
        txn_set_retransmit(s, TXN_TIMER_A, s->layer->times.t1);
    txn_set_life(s, TXN_TIMER_B, txn_64t1(s));
}

static void retransmit(struct txn_step *s) {
    txn_send_again(s, s->txn->u.open->request);
    txn_set_retransmit(s, TXN_TIMER_A, 2 * s->txn->u.open->interval);
}

static void pass_provisional(struct txn_step *s) {
    s->txn->status = s->status;
    txn_tell(s, TXN_PROVISIONAL);
}

static void make_cancel(struct txn_step *s) {
    struct txn *t = s->txn;
    t->cancelled = true;
    if (!t->u.open->cancel)
        t->u.open->cancel = txn_make_cancel(s->layer, t->u.open->request, s->extra);
}

/* The give-up timer runs even if there was no room for the CANCEL: the INVITE ends in any case. */
static void send_cancel(struct txn_step *s) {
    struct txn *t = s->txn;
    struct txn_open *o = t->u.open;
    struct sip_msg msg;
    struct sip_fault fault;
    make_cancel(s);
    txn_set_life(s, TXN_TIMER_CANCELLED, txn_64t1(s));
    if (!o->cancel || sip_parse(buf_slice(o->cancel), &msg, &fault) < 0)
        return;
    struct txn_client c = {
        .request = o->cancel, .method = SIP_M_CANCEL, .branch = msg.via.branch, .cseq = t->cseq,
        .dst = &t->dst, .local = &t->local, .ctx_kind = t->ctx_kind, .ctx = t->ctx,
        .bucket = o->bucket, .trace_call = o->trace_call, .trace_leg = o->trace_leg,
    };
    o->cancel = NULL;
    s->created = txn_client_start(s->layer, s->outbox, s->now, &c);
}

static void first_provisional(struct txn_step *s) {
    txn_stop_timers(s);
    pass_provisional(s);
    if (s->txn->cancelled)
        send_cancel(s);
}

/* Of a 2xx: the ACK is the TU's. */
static void pass_final(struct txn_step *s) {
    s->txn->status = s->status;
    buf_unref(s->layer->bufs, &s->txn->u.open->cancel);
    txn_tell_final(s);
}


static void reject(struct txn_step *s) {
    struct txn *t = s->txn;
    pass_final(s);
    t->kept = txn_make_ack(s->layer, t->u.open->request, s->msg);
    txn_keep_refused(s);
    txn_send(s, t->kept);
}

static void ack_again(struct txn_step *s) {
    txn_send(s, s->txn->kept);
}

static void pass_2xx(struct txn_step *s) {
    txn_tell(s, TXN_2XX_AGAIN);
}

static void timeout_b(struct txn_step *s) {
    metrics_add(s->layer->metrics, M_timeouts, 1);
    txn_tell_timeout(s, TXN_TIMER_B);
}

static void timeout_cancelled(struct txn_step *s) {
    metrics_add(s->layer->metrics, M_timeouts, 1);
    txn_tell_timeout(s, TXN_TIMER_CANCELLED);
}

static void fail(struct txn_step *s) {
    txn_tell(s, TXN_FAILED);
}

#define STATE(name) [ICT_##name]
#define ON(name) [ICT_EV_##name]

static const struct txn_row rows[ICT_STATE_COUNT][ICT_EVENT_COUNT] = {
    STATE(INIT) = {
        ON(START) = DO(start, ICT_CALLING, "17.1.1.2"),
        ON(R1XX) = BUG(NOT_STARTED),
        ON(R2XX) = BUG(NOT_STARTED),
        ON(R3XX_6XX) = BUG(NOT_STARTED),
        ON(TIMER_A) = BUG(NOT_STARTED),
        ON(TIMER_B) = BUG(NOT_STARTED),
        ON(TIMER_D) = BUG(NOT_STARTED),
        ON(TIMER_M) = BUG(NOT_STARTED),
        ON(CANCEL) = DO(make_cancel, ICT_INIT, "9.1: held back; goes out behind it"),
        ON(TIMER_CANCELLED) = BUG(NOT_STARTED),
        ON(ERROR) = IGNORE("held back: nothing of ours is in flight"),
    },
    STATE(CALLING) = {
        ON(START) = BUG(STARTED),
        ON(R1XX) = DO(first_provisional, ICT_PROCEEDING, "17.1.1.2"),
        ON(R2XX) = DO(pass_final, ICT_ACCEPTED, "RFC 6026 7.2"),
        ON(R3XX_6XX) = DO(reject, ICT_COMPLETED, "17.1.1.2"),
        ON(TIMER_A) = DO(retransmit, ICT_CALLING, "17.1.1.2"),
        ON(TIMER_B) = DO(timeout_b, ICT_TERMINATED, "17.1.1.2"),
        ON(TIMER_D) = BUG(NO_TIMER),
        ON(TIMER_M) = BUG(NO_TIMER),
        ON(CANCEL) = DO(make_cancel, ICT_CALLING, "9.1"),
        ON(TIMER_CANCELLED) = BUG(NO_TIMER),
        ON(ERROR) = DO(fail, ICT_TERMINATED, "17.1.4"),
    },
    STATE(PROCEEDING) = {
        ON(START) = BUG(STARTED),
        ON(R1XX) = DO(pass_provisional, ICT_PROCEEDING, "17.1.1.2"),
        ON(R2XX) = DO(pass_final, ICT_ACCEPTED, "RFC 6026 7.2"),
        ON(R3XX_6XX) = DO(reject, ICT_COMPLETED, "17.1.1.2"),
        ON(TIMER_A) = BUG(NO_TIMER),
        ON(TIMER_B) = BUG(NO_TIMER),
        ON(TIMER_D) = BUG(NO_TIMER),
        ON(TIMER_M) = BUG(NO_TIMER),
        ON(CANCEL) = DO(send_cancel, ICT_PROCEEDING, "9.1"),
        ON(TIMER_CANCELLED) = DO(timeout_cancelled, ICT_TERMINATED, "9.1"),
        ON(ERROR) = IGNORE("figure 5: nothing of ours is in flight"),
    },
    STATE(COMPLETED) = {
        ON(START) = BUG(STARTED),
        ON(R1XX) = IGNORE("17.1.1.2"),
        ON(R2XX) = DO(pass_2xx, ICT_COMPLETED, "16.7 step 5: a fork's 2xx may follow; 13.2.2.4"),
        ON(R3XX_6XX) = DO(ack_again, ICT_COMPLETED, "17.1.1.2"),
        ON(TIMER_A) = BUG(NO_TIMER),
        ON(TIMER_B) = BUG(NO_TIMER),
        ON(TIMER_D) = DO(NULL, ICT_TERMINATED, "17.1.1.2"),
        ON(TIMER_M) = BUG(NO_TIMER),
        ON(CANCEL) = IGNORE("9.1: a final response came"),
        ON(TIMER_CANCELLED) = BUG(NO_TIMER),
        ON(ERROR) = DO(NULL, ICT_TERMINATED, "17.1.1.2: the TU has its response already"),
    },
    STATE(ACCEPTED) = {
        ON(START) = BUG(STARTED),
        ON(R1XX) = IGNORE("RFC 6026 7.2"),
        ON(R2XX) = DO(pass_2xx, ICT_ACCEPTED, "RFC 6026 7.2"),
        ON(R3XX_6XX) = IGNORE("RFC 6026 7.2"),
        ON(TIMER_A) = BUG(NO_TIMER),
        ON(TIMER_B) = BUG(NO_TIMER),
        ON(TIMER_D) = BUG(NO_TIMER),
        ON(TIMER_M) = DO(NULL, ICT_TERMINATED, "RFC 6026 7.2"),
        ON(CANCEL) = IGNORE("9.1: a final response came"),
        ON(TIMER_CANCELLED) = BUG(NO_TIMER),
        ON(ERROR) = IGNORE("RFC 6026 7.2: the ACK is the TU's"),
    },
    STATE(TERMINATED) = {
        ON(START) = BUG(FREED),
        ON(R1XX) = BUG(FREED),
        ON(R2XX) = BUG(FREED),
        ON(R3XX_6XX) = BUG(FREED),
        ON(TIMER_A) = BUG(FREED),
        ON(TIMER_B) = BUG(FREED),
        ON(TIMER_D) = BUG(FREED),
        ON(TIMER_M) = BUG(FREED),
        ON(CANCEL) = BUG(FREED),
        ON(TIMER_CANCELLED) = BUG(FREED),
        ON(ERROR) = BUG(FREED),
    },
};

#define X(name) #name,
static const char *const state_names[] = { ICT_STATES(X) };
static const char *const event_names[] = { ICT_EVENTS(X) };
#undef X

const struct txn_machine txn_machine_ict = {
    .name = "ict",
    .rows = &rows[0][0],
    .state_names = state_names,
    .event_names = event_names,
    .states = ICT_STATE_COUNT,
    .events = ICT_EVENT_COUNT,
    .terminated = ICT_TERMINATED,
    .lingers = { [ICT_ACCEPTED] = TXN_TIMER_M, [ICT_COMPLETED] = TXN_TIMER_D },
    .timers = {
        [TXN_TIMER_A] = ICT_EV_TIMER_A + 1,
        [TXN_TIMER_B] = ICT_EV_TIMER_B + 1,
        [TXN_TIMER_D] = ICT_EV_TIMER_D + 1,
        [TXN_TIMER_M] = ICT_EV_TIMER_M + 1,
        [TXN_TIMER_CANCELLED] = ICT_EV_TIMER_CANCELLED + 1,
    },
};
