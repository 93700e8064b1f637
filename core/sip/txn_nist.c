/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_nist: non-INVITE server transaction, RFC 3261 section 17.2.2 with RFC 4320.
 */
#include "core/sip/txn_table.h"

/* "the amount of time it takes a client transaction's Timer E to be reset to T2": 0.5 + 1 + 2 s. */
static uint64_t trying_delay(const struct txn_times *t) {
    uint64_t total = 0, e = t->t1;
    do {
        total += e;
        e *= 2;
    } while (e < t->t2);
    return total;
}

/* The client gives up at 64*T1 (Timer F), and so does this. */
static void start(struct txn_step *s) {
    txn_set_retransmit(s, TXN_TIMER_TRYING, trying_delay(&s->layer->times));
    txn_set_life(s, TXN_TIMER_EXPIRED, txn_64t1(s));
}

static void send_trying(struct txn_step *s) {
    struct sip_msg msg;
    struct sip_fault fault;
    if (sip_parse(buf_slice(s->txn->u.open->request), &msg, &fault) < 0)
        return;
    struct addr src = txn_src(s->txn);
    struct buf *head = uas_head_make(s->layer->bufs, &msg, &src);
    s->response = txn_make_trying(s->layer, &msg, uas_head_in(head));
    buf_unref(s->layer->bufs, &head);
    s->status = 100;
    if (s->response)
        txn_send_response(s);
}

static void respond_again(struct txn_step *s) {
    txn_send_again(s, s->txn->kept);
}

static void complete(struct txn_step *s) {
    txn_send_response(s);
}

static void expire(struct txn_step *s) {
    txn_tell_timeout(s, TXN_TIMER_EXPIRED);
}

#define STATE(name) [NIST_##name]
#define ON(name) [NIST_EV_##name]

static const struct txn_row rows[NIST_STATE_COUNT][NIST_EVENT_COUNT] = {
    STATE(INIT) = {
        ON(START) = DO(start, NIST_TRYING, "17.2.2"),
        ON(REQUEST) = BUG(NOT_STARTED),
        ON(TU_1XX) = BUG(NOT_STARTED),
        ON(TU_408) = BUG(NOT_STARTED),
        ON(TU_FINAL) = BUG(NOT_STARTED),
        ON(TIMER_J) = BUG(NOT_STARTED),
        ON(TIMER_TRYING) = BUG(NOT_STARTED),
        ON(TIMER_EXPIRED) = BUG(NOT_STARTED),
    },
    STATE(TRYING) = {
        ON(START) = BUG(STARTED),
        ON(REQUEST) = IGNORE("17.2.2"),
        ON(TU_1XX) = IGNORE("RFC 4320 4.1: 100 at its time only, no other"),
        ON(TU_408) = DO(NULL, NIST_TERMINATED, "RFC 4320 4.2"),
        ON(TU_FINAL) = DO(complete, NIST_COMPLETED, "17.2.2"),
        ON(TIMER_J) = BUG(NO_TIMER),
        ON(TIMER_TRYING) = DO(send_trying, NIST_PROCEEDING, "RFC 4320 4.1"),
        ON(TIMER_EXPIRED) = DO(expire, NIST_TERMINATED, "RFC 4320 4.2"),
    },
    STATE(PROCEEDING) = {
        ON(START) = BUG(STARTED),
        ON(REQUEST) = DO(respond_again, NIST_PROCEEDING, "17.2.2"),
        ON(TU_1XX) = IGNORE("RFC 4320 4.1: 100 was sent, no other"),
        ON(TU_408) = DO(NULL, NIST_TERMINATED, "RFC 4320 4.2"),
        ON(TU_FINAL) = DO(complete, NIST_COMPLETED, "17.2.2"),
        ON(TIMER_J) = BUG(NO_TIMER),
        ON(TIMER_TRYING) = BUG(NO_TIMER),
        ON(TIMER_EXPIRED) = DO(expire, NIST_TERMINATED, "RFC 4320 4.2"),
    },
    STATE(COMPLETED) = {
        ON(START) = BUG(STARTED),
        ON(REQUEST) = DO(respond_again, NIST_COMPLETED, "17.2.2"),
        ON(TU_1XX) = IGNORE("17.2.2: behind the final response"),
        ON(TU_408) = IGNORE("17.2.2: behind the final response"),
        ON(TU_FINAL) = IGNORE("17.2.2: behind the final response"),
        ON(TIMER_J) = DO(NULL, NIST_TERMINATED, "17.2.2"),
        ON(TIMER_TRYING) = BUG(NO_TIMER),
        ON(TIMER_EXPIRED) = BUG(NO_TIMER),
    },
    STATE(TERMINATED) = {
        ON(START) = BUG(FREED),
        ON(REQUEST) = BUG(FREED),
        ON(TU_1XX) = BUG(FREED),
        ON(TU_408) = BUG(FREED),
        ON(TU_FINAL) = BUG(FREED),
        ON(TIMER_J) = BUG(FREED),
        ON(TIMER_TRYING) = BUG(FREED),
        ON(TIMER_EXPIRED) = BUG(FREED),
    },
};

#define X(name) #name,
static const char *const state_names[] = { NIST_STATES(X) };
static const char *const event_names[] = { NIST_EVENTS(X) };
#undef X

const struct txn_machine txn_machine_nist = {
    .name = "nist",
    .rows = &rows[0][0],
    .state_names = state_names,
    .event_names = event_names,
    .states = NIST_STATE_COUNT,
    .events = NIST_EVENT_COUNT,
    .terminated = NIST_TERMINATED,
    .lingers = { [NIST_COMPLETED] = TXN_TIMER_J },
    .timers = {
        [TXN_TIMER_J] = NIST_EV_TIMER_J + 1,
        [TXN_TIMER_TRYING] = NIST_EV_TIMER_TRYING + 1,
        [TXN_TIMER_EXPIRED] = NIST_EV_TIMER_EXPIRED + 1,
    },
};
