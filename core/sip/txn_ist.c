/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_ist: INVITE server transaction, RFC 3261 section 17.2.1 with RFC 6026 section 7.1.
 */
#include "core/sip/txn_table.h"

/* "The server transaction MUST generate a 100 (Trying) response unless it knows that the TU will generate a
 * provisional or final response within 200 ms": a B2BUA never knows. */
static void start(struct txn_step *s) {
    s->response = txn_make_trying(s->layer, s->msg, uas_head_in(s->txn->u.open->head));
    s->status = 100;
    if (s->response)
        txn_send_response(s);
}

static void respond_again(struct txn_step *s) {
    txn_send_again(s, s->txn->kept);
}

static void respond_final(struct txn_step *s) {
    txn_send_response(s);
    buf_unref(s->layer->bufs, &s->txn->u.open->request);
    buf_unref(s->layer->bufs, &s->txn->u.open->head);
}

/* The TU repeats the 2xx until the ACK (section 13.3.1.4), so no copy of it is kept here. */
static void accept(struct txn_step *s) {
    respond_final(s);
    buf_unref(s->layer->bufs, &s->txn->kept);
}

static void accept_again(struct txn_step *s) {
    txn_send_again(s, s->response);
}

static void reject(struct txn_step *s) {
    respond_final(s);
    if (!txn_reliable(s->txn))
        txn_set_retransmit(s, TXN_TIMER_G, s->layer->times.t1);
    txn_set_life(s, TXN_TIMER_H, txn_64t1(s));
}

static void reject_again(struct txn_step *s) {
    uint64_t t2 = s->layer->times.t2, next = 2 * s->txn->u.open->interval;
    txn_send_again(s, s->txn->kept);
    txn_set_retransmit(s, TXN_TIMER_G, next < t2 ? next : t2);
}

static void confirm(struct txn_step *s) {
    buf_unref(s->layer->bufs, &s->txn->kept);
    txn_tell(s, TXN_ACK_FAILURE);
}

static void pass_ack(struct txn_step *s) {
    txn_tell(s, TXN_ACK_2XX);
}

static void no_ack(struct txn_step *s) {
    txn_tell_timeout(s, TXN_TIMER_H);
}

#define STATE(name) [IST_##name]
#define ON(name) [IST_EV_##name]

static const struct txn_row rows[IST_STATE_COUNT][IST_EVENT_COUNT] = {
    STATE(INIT) = {
        ON(START) = DO(start, IST_PROCEEDING, "17.2.1"),
        ON(REQUEST) = BUG(NOT_STARTED),
        ON(ACK) = BUG(NOT_STARTED),
        ON(TU_1XX) = BUG(NOT_STARTED),
        ON(TU_2XX) = BUG(NOT_STARTED),
        ON(TU_3XX_6XX) = BUG(NOT_STARTED),
        ON(TIMER_G) = BUG(NOT_STARTED),
        ON(TIMER_H) = BUG(NOT_STARTED),
        ON(TIMER_I) = BUG(NOT_STARTED),
        ON(TIMER_L) = BUG(NOT_STARTED),
    },
    STATE(PROCEEDING) = {
        ON(START) = BUG(STARTED),
        ON(REQUEST) = DO(respond_again, IST_PROCEEDING, "17.2.1"),
        ON(ACK) = IGNORE("17.2.1: an ACK before a final response"),
        ON(TU_1XX) = DO(txn_send_response, IST_PROCEEDING, "17.2.1"),
        ON(TU_2XX) = DO(accept, IST_ACCEPTED, "RFC 6026 7.1"),
        ON(TU_3XX_6XX) = DO(reject, IST_COMPLETED, "17.2.1"),
        ON(TIMER_G) = BUG(NO_TIMER),
        ON(TIMER_H) = BUG(NO_TIMER),
        ON(TIMER_I) = BUG(NO_TIMER),
        ON(TIMER_L) = BUG(NO_TIMER),
    },
    STATE(COMPLETED) = {
        ON(START) = BUG(STARTED),
        ON(REQUEST) = DO(respond_again, IST_COMPLETED, "17.2.1"),
        ON(ACK) = DO(confirm, IST_CONFIRMED, "17.2.1"),
        ON(TU_1XX) = IGNORE("17.2.1: behind the final response"),
        ON(TU_2XX) = IGNORE("17.2.1: behind the final response"),
        ON(TU_3XX_6XX) = IGNORE("17.2.1: behind the final response"),
        ON(TIMER_G) = DO(reject_again, IST_COMPLETED, "17.2.1"),
        ON(TIMER_H) = DO(no_ack, IST_TERMINATED, "17.2.1"),
        ON(TIMER_I) = BUG(NO_TIMER),
        ON(TIMER_L) = BUG(NO_TIMER),
    },
    STATE(CONFIRMED) = {
        ON(START) = BUG(STARTED),
        ON(REQUEST) = IGNORE("17.2.1: late on the wire"),
        ON(ACK) = IGNORE("17.2.1: absorbs further ACKs"),
        ON(TU_1XX) = IGNORE("17.2.1: behind the final response"),
        ON(TU_2XX) = IGNORE("17.2.1: behind the final response"),
        ON(TU_3XX_6XX) = IGNORE("17.2.1: behind the final response"),
        ON(TIMER_G) = BUG(NO_TIMER),
        ON(TIMER_H) = BUG(NO_TIMER),
        ON(TIMER_I) = DO(NULL, IST_TERMINATED, "17.2.1"),
        ON(TIMER_L) = BUG(NO_TIMER),
    },
    STATE(ACCEPTED) = {
        ON(START) = BUG(STARTED),
        ON(REQUEST) = IGNORE("RFC 6026 7.1: absorbed"),
        ON(ACK) = DO(pass_ack, IST_ACCEPTED, "RFC 6026 7.1"),
        ON(TU_1XX) = IGNORE("RFC 6026 7.1: behind the final response"),
        ON(TU_2XX) = DO(accept_again, IST_ACCEPTED, "RFC 6026 7.1"),
        ON(TU_3XX_6XX) = IGNORE("RFC 6026 7.1: behind the final response"),
        ON(TIMER_G) = BUG(NO_TIMER),
        ON(TIMER_H) = BUG(NO_TIMER),
        ON(TIMER_I) = BUG(NO_TIMER),
        ON(TIMER_L) = DO(NULL, IST_TERMINATED, "RFC 6026 7.1"),
    },
    STATE(TERMINATED) = {
        ON(START) = BUG(FREED),
        ON(REQUEST) = BUG(FREED),
        ON(ACK) = BUG(FREED),
        ON(TU_1XX) = BUG(FREED),
        ON(TU_2XX) = BUG(FREED),
        ON(TU_3XX_6XX) = BUG(FREED),
        ON(TIMER_G) = BUG(FREED),
        ON(TIMER_H) = BUG(FREED),
        ON(TIMER_I) = BUG(FREED),
        ON(TIMER_L) = BUG(FREED),
    },
};

#define X(name) #name,
static const char *const state_names[] = { IST_STATES(X) };
static const char *const event_names[] = { IST_EVENTS(X) };
#undef X

const struct txn_machine txn_machine_ist = {
    .name = "ist",
    .rows = &rows[0][0],
    .state_names = state_names,
    .event_names = event_names,
    .states = IST_STATE_COUNT,
    .events = IST_EVENT_COUNT,
    .terminated = IST_TERMINATED,
    .lingers = { [IST_CONFIRMED] = TXN_TIMER_I, [IST_ACCEPTED] = TXN_TIMER_L },
    .timers = {
        [TXN_TIMER_G] = IST_EV_TIMER_G + 1,
        [TXN_TIMER_H] = IST_EV_TIMER_H + 1,
        [TXN_TIMER_I] = IST_EV_TIMER_I + 1,
        [TXN_TIMER_L] = IST_EV_TIMER_L + 1,
    },
};
