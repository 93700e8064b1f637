/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_table: the four state machines of section 17 as total tables, and what their actions share. Private to the
 * transaction layer and its tests.
 *
 * Every state x event is one row. DO: action, next state, the section that says so. IGNORE: legal and without effect.
 * BUG: cannot happen unless this program is wrong (a timer that was not running; an event for a transaction that was
 * freed). INIT is before the first event; TERMINATED is never seen from outside: entering it frees the transaction.
 */
#ifndef REFEREE_SIP_TXN_TABLE_H
#define REFEREE_SIP_TXN_TABLE_H

#include "core/sip/txn.h"

/* R1XX: a response arrived. CANCEL: the TU wants one. ERROR: of the transport. */
#define ICT_STATES(X) X(INIT) X(CALLING) X(PROCEEDING) X(COMPLETED) X(ACCEPTED) X(TERMINATED)
#define ICT_EVENTS(X)                                                                                                 \
    X(START) X(R1XX) X(R2XX) X(R3XX_6XX) X(TIMER_A) X(TIMER_B) X(TIMER_D) X(TIMER_M) X(CANCEL)       \
    X(TIMER_CANCELLED) X(ERROR)

#define NICT_STATES(X) X(INIT) X(TRYING) X(PROCEEDING) X(COMPLETED) X(TERMINATED)
#define NICT_EVENTS(X) X(START) X(R1XX) X(R2XX_6XX) X(TIMER_E) X(TIMER_F) X(TIMER_K) X(ERROR)

/* REQUEST: the same request again. TU_*: a response of the TU. */
#define IST_STATES(X) X(INIT) X(PROCEEDING) X(COMPLETED) X(CONFIRMED) X(ACCEPTED) X(TERMINATED)
#define IST_EVENTS(X)                                                                                                 \
    X(START) X(REQUEST) X(ACK) X(TU_1XX) X(TU_2XX) X(TU_3XX_6XX) X(TIMER_G) X(TIMER_H) X(TIMER_I) X(TIMER_L)

#define NIST_STATES(X) X(INIT) X(TRYING) X(PROCEEDING) X(COMPLETED) X(TERMINATED)
#define NIST_EVENTS(X)                                                                                                \
    X(START) X(REQUEST) X(TU_1XX) X(TU_408) X(TU_FINAL) X(TIMER_J) X(TIMER_TRYING) X(TIMER_EXPIRED)

#define X(name) ICT_##name,
enum ict_state { ICT_STATES(X) ICT_STATE_COUNT };
#undef X
#define X(name) ICT_EV_##name,
enum ict_event { ICT_EVENTS(X) ICT_EVENT_COUNT };
#undef X
#define X(name) NICT_##name,
enum nict_state { NICT_STATES(X) NICT_STATE_COUNT };
#undef X
#define X(name) NICT_EV_##name,
enum nict_event { NICT_EVENTS(X) NICT_EVENT_COUNT };
#undef X
#define X(name) IST_##name,
enum ist_state { IST_STATES(X) IST_STATE_COUNT };
#undef X
#define X(name) IST_EV_##name,
enum ist_event { IST_EVENTS(X) IST_EVENT_COUNT };
#undef X
#define X(name) NIST_##name,
enum nist_state { NIST_STATES(X) NIST_STATE_COUNT };
#undef X
#define X(name) NIST_EV_##name,
enum nist_event { NIST_EVENTS(X) NIST_EVENT_COUNT };
#undef X

/* One event on its way through a machine. */
struct txn_step {
    struct txn_layer *layer;
    struct outbox *outbox;
    uint64_t now;
    struct txn *txn;
    struct txn_event *ev;         /* never NULL; TXN_NONE until an action says more */
    const struct sip_msg *msg;    /* what arrived, or NULL */
    struct buf *response;         /* TU_*: the action moves it into the transaction or leaves it */
    uint16_t status;              /* of response or msg */
    struct slice extra;           /* CANCEL: header lines */
    handle created;               /* CANCEL: its own transaction */
};

typedef void txn_action(struct txn_step *s);

enum txn_row_what { TXN_ROW_MISSING, TXN_ROW_DO, TXN_ROW_IGNORE, TXN_ROW_BUG };

struct txn_row {
    txn_action *action;           /* DO only; NULL: just the change of state */
    const char *rfc;              /* section, of RFC 3261 when no other is named; BUG: why it cannot be */
    uint8_t what;                 /* enum txn_row_what */
    uint8_t next;
};
#define DO(act, to, section) { .action = (act), .rfc = (section), .what = TXN_ROW_DO, .next = (to) }
#define IGNORE(section) { .rfc = (section), .what = TXN_ROW_IGNORE }
#define BUG(why) { .rfc = (why), .what = TXN_ROW_BUG }
#define NO_TIMER "this timer does not run here"
#define FREED "freed"
#define STARTED "starts once"
#define NOT_STARTED "not started"

struct txn_machine {
    const char *name;
    const struct txn_row *rows;   /* states x events */
    const char *const *state_names;
    const char *const *event_names;
    uint8_t states, events;
    uint8_t terminated;           /* that state */
    uint8_t lingers[6];           /* of each state in which nothing of struct txn_open is needed: its timer; else 0 */
    uint8_t timers[TXN_TIMER_END];/* event + 1 of each timer of this machine, 0: not of it */
};
extern const struct txn_machine txn_machine_ict, txn_machine_nict, txn_machine_ist, txn_machine_nist;
const struct txn_machine *txn_machine(unsigned kind);
const struct txn_row *txn_row(unsigned kind, unsigned state, unsigned event);

/* The event of a timer of this machine (CHECK). */
unsigned txn_timer_event(unsigned kind, unsigned timer);

/* Runs one event. A BUG row is a CHECK. s->txn is gone when its new state is TERMINATED. */
void txn_run(struct txn_step *s, unsigned event);

/* ---- for actions ---- */

static inline bool txn_reliable(const struct txn *t) {
    return t->dst.transport != SIP_UDP;
}
static inline uint64_t txn_64t1(const struct txn_step *s) {
    return 64 * s->layer->times.t1;
}
/* NULL b: nothing is sent. */
void txn_send(const struct txn_step *s, struct buf *b);
/* txn_send, counted as a retransmission of ours. */
void txn_send_again(const struct txn_step *s, struct buf *b);
void txn_set_retransmit(struct txn_step *s, enum txn_timer_kind k, uint64_t after);
void txn_set_life(struct txn_step *s, enum txn_timer_kind k, uint64_t after);
void txn_stop_timers(struct txn_step *s);
/* Gives one event to the TU, filled from the transaction. */
void txn_tell(struct txn_step *s, enum txn_event_kind kind);
/* txn_tell TXN_TIMEOUT with the timer. */
void txn_tell_timeout(struct txn_step *s, enum txn_timer_kind timer);
/* Gives TXN_FINAL, with what a TU asks of the request. */
void txn_tell_final(struct txn_step *s);
/* The request is kept for the TU where its answer asks for another try (txn_refused). */
void txn_keep_refused(struct txn_step *s);
/* Replaces the kept response by the step's and sends it. */
void txn_send_response(struct txn_step *s);
/* Frees the transaction with its buffers, timers and keys. */
void txn_free(struct txn_layer *l, struct txn *t);
/* txn_linger.c: t has given up what is open and waits for the time of its timer; it waits no longer; those of a queue
 * that are due go on, some at a time. */
void txn_linger(struct txn_step *s, enum txn_timer_kind timer);
void txn_linger_end(struct txn_layer *l, struct txn *t);
void txn_linger_due(struct txn_step *s, struct wheel_node *n);
/* txn_dst.c */
void txn_dst_link(struct txn_layer *l, struct txn *t);
void txn_dst_unlink(struct txn_layer *l, struct txn *t);
/* A new one: zeroed but for self, kind and key, by which it is found; no other has it. NULL: no room. */
struct txn *txn_new(struct txn_layer *l, enum txn_kind kind, struct key128 key);

/* ---- messages of the layer itself (txn_msg.c); NULL: no buffer, or our own request cannot be read ---- */

/* head: the request's. NULL as well when there is none. */
struct buf *txn_make_trying(struct txn_layer *l, const struct sip_msg *request, const struct uas_head *head);
/* Section 17.1.1.3. */
struct buf *txn_make_ack(struct txn_layer *l, const struct buf *invite, const struct sip_msg *response);
/* Section 9.1. */
struct buf *txn_make_cancel(struct txn_layer *l, const struct buf *invite, struct slice extra);

/* ---- keys (txn_key.c) ---- */

struct key128 txn_key_client(const struct txn_layer *l, struct slice branch, enum sip_method method,
                             struct slice method_name);
/* Section 17.2.3. method_name: that of the transaction looked for (INVITE for an ACK). */
struct key128 txn_key_server(const struct txn_layer *l, const struct sip_msg *msg, struct slice method_name);
/* Section 8.2.2.2: From tag, Call-ID, CSeq. */
uint64_t txn_key_merge(const struct txn_layer *l, const struct sip_msg *msg);

#endif
