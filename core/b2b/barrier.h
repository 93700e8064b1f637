/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * barrier: durable before visible. What promises something leaves only when the record that holds the promise is
 * stored; what is sent behind it on the same leg waits behind it. Three classes:
 *
 *   HOLD_RECORD   waits for the record that is written at the end of this step: 2xx to INVITE, REFER, SUBSCRIBE, BYE,
 *                 PRACK; ACK to a 2xx; PRACK where it or its 18x has a description; INVITE to the target of a transfer;
 *                 re-INVITE, UPDATE and provisional responses with a description or RSeq (o= and RSeq must rise by
 *                 exactly one, also for the next owner of the call); NOTIFY
 *   HOLD_BEHIND   other requests, and a copy of a 2xx that waits: behind what waits on the same leg
 *   HOLD_NEVER    100, retransmissions, CANCEL, ACK to a non-2xx, other responses
 *
 * What waits is released by the store's answer, when its budget is over, or at once while the store is known to be
 * down; then the call goes on, is counted (store_unprotected) and its record written again until it is stored. What is
 * held back is the operation of the transaction layer, so transaction timers start when it is released. With
 * durability = off nothing waits and no ticket is asked for.
 *
 * A store that comes back may be another server, a replica that has not seen the last writes (unless store.replicas are
 * waited for): what was stored or deleted within BARRIER_LAG_US before it went is written, or deleted, once more, and
 * counts as unprotected until then. It is known to have been there when the last write was sent that it took; an engine
 * that was stopped meanwhile hears long after that it went. Stubs of legs that have moved (moved.h) are written once
 * more too: nothing waits for those.
 *
 * One write of a call is not waited for by the next: versions rise, the store keeps their order. While the store is
 * down changes of a call are not written one by one: the latest is when it is back.
 */
#ifndef REFEREE_B2B_BARRIER_H
#define REFEREE_B2B_BARRIER_H

#include "core/b2b/owner_over.h"

#define BARRIER_LAG_US 10000000 /* a replica that is further behind is not to be promoted: min-replicas-max-lag */

enum hold { HOLD_NEVER, HOLD_BEHIND, HOLD_RECORD };

void barrier_init(struct engine *e, struct arena *a);

/* ---- what is held; each takes the reference of its buffer. leg NULL: nothing is waited for ---- */

/* A response on a server transaction. */
void barrier_respond(struct engine *e, const struct leg *l, enum hold how, handle txn, struct buf *b, uint16_t status);
/* A client transaction, sent now or later; cancelled meanwhile, it is cancelled when it was sent. */
handle barrier_request(struct engine *e, const struct leg *l, enum hold how, const struct txn_client *c);
/* A datagram without a transaction. */
void barrier_send(struct engine *e, const struct leg *l, enum hold how, struct buf *b, const struct addr *dst);
/* record_resume of a call that has just been read, behind the record that counts the attempt. */
void barrier_resume(struct engine *e, struct call *c);

/* True while a datagram or a request like this of the leg is held. */
bool barrier_has(const struct engine *e, const struct leg *l, const struct buf *b);
/* At the end of the step, when the call's record was written if it had changed: what waits knows for which version, and
 * what may go goes. */
void barrier_settle(struct engine *e, struct call *c);
/* A leg goes over to another call, and what is held of it. */
void barrier_move(struct engine *e, const struct leg *l, struct call *from, struct call *to);
/* What is held of the leg is forgotten, unsent. */
void barrier_forget_leg(struct engine *e, const struct leg *l);
/* Whatever is held of the call is forgotten, unsent. */
void barrier_forget(struct engine *e, struct call *c);
static inline bool barrier_holds(const struct call *c) {
    return c->held_first != HANDLE_NONE;
}
void barrier_on_timer(struct engine *e, struct call *c);

/* ---- writes (barrier_store.c) ---- */

/* The operation gets version, fence and ticket. False: it is not to be submitted now, but comes again (barrier_store.c
 * sees to it). verb: PUT, or DELETE of a call that is over. */
bool barrier_write(struct engine *e, struct call *c, struct store_op *op);
/* The record could not be written now. */
void barrier_rewrite(struct engine *e, struct call *c);
/* An answer to one of our tickets. False: not ours. */
bool barrier_on_store(struct engine *e, const struct event *ev);
/* The store cannot be reached, or can again: without waiting for answers that say so. */
void barrier_store_down(struct engine *e, bool down);
void barrier_on_retry(struct engine *e);
/* Calls whose latest record is not stored, and records that are still to be deleted. */
uint32_t barrier_unprotected(const struct engine *e);
/* `mark` for each bucket in which a record is still to be deleted: its next owner would take the call up again. */
void barrier_mark_deleting(const struct engine *e, uint8_t busy[LIMIT_BUCKETS], uint8_t mark);

/* private */
void barrier_init_store(struct engine *e, struct arena *a);
struct gone_record {
    uint64_t id, version;
    uint16_t bucket;
    bool left;             /* the call has gone elsewhere, and is not over */
    struct over_legs legs; /* else */
};
/* A record that is to be deleted, as soon as may be. */
void barrier_delete(struct engine *e, const struct gone_record *g);
/* The call is over, and its record is still to be deleted. */
bool barrier_is_deleting(const struct engine *e, uint64_t id);

/* ---- what a promoted server may not have (barrier_lost.c) ---- */

void barrier_lost_init(struct engine *e, struct arena *a);
/* A write was taken that was sent then. */
void barrier_lost_said(struct engine *e, uint64_t sent_us);
/* A record was deleted. */
void barrier_lost_note(struct engine *e, const struct gone_record *g);
/* The store is known to have gone. */
void barrier_lost_begin(struct engine *e);
/* The store is there again: what it said shortly before it went is done once more. */
void barrier_lost_again(struct engine *e);

/* private */
/* what a version that is stored lets go */
void barrier_stored(struct engine *e, struct call *c);
void barrier_mark(struct engine *e, struct call *c, bool unprotected);

#endif
