/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_nict: non-INVITE client transaction, RFC 3261 section 17.1.2.
 */
#include "core/sip/txn_table.h"

static void start(struct txn_step *s) {
    txn_send(s, s->txn->u.open->request);
    if (!txn_reliable(s->txn))
        txn_set_retransmit(s, TXN_TIMER_E, s->layer->times.t1);
    txn_set_life(s, TXN_TIMER_F, txn_64t1(s));
}

/* "the timer is reset, but this time with a value of MIN(2*T1, T2)" */
static void retransmit_trying(struct txn_step *s) {
    uint64_t t2 = s->layer->times.t2, next = 2 * s->txn->u.open->interval;
    txn_send_again(s, s->txn->u.open->request);
    txn_set_retransmit(s, TXN_TIMER_E, next < t2 ? next : t2);
}

/* "timer E MUST be reset with a value of T2 seconds" */
static void retransmit_proceeding(struct txn_step *s) {
    txn_send_again(s, s->txn->u.open->request);
    txn_set_retransmit(s, TXN_TIMER_E, s->layer->times.t2);
}

static void pass_provisional(struct txn_step *s) {
    s->txn->status = s->status;
    txn_tell(s, TXN_PROVISIONAL);
}

static void complete(struct txn_step *s) {
    s->txn->status = s->status;
    txn_keep_refused(s);
    txn_tell_final(s);
}

static void timeout(struct txn_step *s) {
    metrics_add(s->layer->metrics, M_timeouts, 1);
    txn_tell_timeout(s, TXN_TIMER_F);
}

static void fail(struct txn_step *s) {
    txn_tell(s, TXN_FAILED);
    s->ev->other = s->txn->u.open->peer; /* still to be answered */
}

#define STATE(name) [NICT_##name]
#define ON(name) [NICT_EV_##name]

static const struct txn_row rows[NICT_STATE_COUNT][NICT_EVENT_COUNT] = {
    STATE(INIT) = {
        ON(START) = DO(start, NICT_TRYING, "17.1.2.2"),
        ON(R1XX) = BUG(NOT_STARTED),
        ON(R2XX_6XX) = BUG(NOT_STARTED),
        ON(TIMER_E) = BUG(NOT_STARTED),
        ON(TIMER_F) = BUG(NOT_STARTED),
        ON(TIMER_K) = BUG(NOT_STARTED),
        ON(ERROR) = IGNORE("held back: nothing of ours is in flight"),
    },
    STATE(TRYING) = {
        ON(START) = BUG(STARTED),
        ON(R1XX) = DO(pass_provisional, NICT_PROCEEDING, "17.1.2.2"),
        ON(R2XX_6XX) = DO(complete, NICT_COMPLETED, "17.1.2.2"),
        ON(TIMER_E) = DO(retransmit_trying, NICT_TRYING, "17.1.2.2"),
        ON(TIMER_F) = DO(timeout, NICT_TERMINATED, "17.1.2.2"),
        ON(TIMER_K) = BUG(NO_TIMER),
        ON(ERROR) = DO(fail, NICT_TERMINATED, "17.1.4"),
    },
    STATE(PROCEEDING) = {
        ON(START) = BUG(STARTED),
        ON(R1XX) = DO(pass_provisional, NICT_PROCEEDING, "17.1.2.2"),
        ON(R2XX_6XX) = DO(complete, NICT_COMPLETED, "17.1.2.2"),
        ON(TIMER_E) = DO(retransmit_proceeding, NICT_PROCEEDING, "17.1.2.2"),
        ON(TIMER_F) = DO(timeout, NICT_TERMINATED, "17.1.2.2"),
        ON(TIMER_K) = BUG(NO_TIMER),
        ON(ERROR) = DO(fail, NICT_TERMINATED, "17.1.4"),
    },
    STATE(COMPLETED) = {
        ON(START) = BUG(STARTED),
        ON(R1XX) = IGNORE("17.1.2.2"),
        ON(R2XX_6XX) = IGNORE("17.1.2.2"),
        ON(TIMER_E) = BUG(NO_TIMER),
        ON(TIMER_F) = BUG(NO_TIMER),
        ON(TIMER_K) = DO(NULL, NICT_TERMINATED, "17.1.2.2"),
        ON(ERROR) = IGNORE("figure 6: nothing of ours is in flight"),
    },
    STATE(TERMINATED) = {
        ON(START) = BUG(FREED),
        ON(R1XX) = BUG(FREED),
        ON(R2XX_6XX) = BUG(FREED),
        ON(TIMER_E) = BUG(FREED),
        ON(TIMER_F) = BUG(FREED),
        ON(TIMER_K) = BUG(FREED),
        ON(ERROR) = BUG(FREED),
    },
};

#define X(name) #name,
static const char *const state_names[] = { NICT_STATES(X) };
static const char *const event_names[] = { NICT_EVENTS(X) };
#undef X

const struct txn_machine txn_machine_nict = {
    .name = "nict",
    .rows = &rows[0][0],
    .state_names = state_names,
    .event_names = event_names,
    .states = NICT_STATE_COUNT,
    .events = NICT_EVENT_COUNT,
    .terminated = NICT_TERMINATED,
    .lingers = { [NICT_COMPLETED] = TXN_TIMER_K },
    .timers = {
        [TXN_TIMER_E] = NICT_EV_TIMER_E + 1,
        [TXN_TIMER_F] = NICT_EV_TIMER_F + 1,
        [TXN_TIMER_K] = NICT_EV_TIMER_K + 1,
    },
};
