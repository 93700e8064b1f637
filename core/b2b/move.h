/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * move: an attended transfer whose two calls are owned by two engines. The call of the REFER is moved whole to the
 * engine of the consultation, which then handles the REFER as if both had been its own all the time. The call keeps its
 * id and its legs their tokens, and gets the consultation's bucket; stubs (moved.h) lead there what its old tokens
 * bring.
 *
 *   engine of the REFER                       engine of the consultation
 *   holds the REFER's transaction until the
 *   call is stable (owner_is_stable)
 *   --------- PEER_MOVE: record, REFER ------> it could be decoded: store "arriving" in its bucket
 *   <------------ PEER_ARRIVED ---------------
 *   nothing has changed meanwhile: stubs,
 *   no record of the call any more
 *   --------------- PEER_GO -----------------> decodes, stores it as a call of its own; handles the REFER
 *
 * A call whose transfer belongs to another call, and goes on at another engine after their owner's death, moves the
 * same way to the bucket of that one, without a REFER and before anything is done with it: as it was read. It goes on
 * here if that does not succeed within MOVE_READ_US, or if it has a transfer of its own that other calls may have to do
 * with still; then that other transfer goes on without it. A leg that has been joined into that call already, by that
 * one's newer record, stays there, and what it has left comes without it (record_decode_leg.c).
 *
 * Each step is durable before the next message. What decides, whoever dies, is the store: where the first leg's stub
 * is and the call's record in the old bucket is not, the call is the second engine's (or its next owner's, by
 * "arriving"); where the stub is not, the first one's. With both of them it is not decided: the first one, or its next
 * owner, takes one of them back. Whoever gets no GO asks the store, record first.
 * A store that does not say yes to the stubs in time: they are taken back and the call stays. PEER_NO, or no answer:
 * tried again until MOVE_PATIENCE_US is over, then 503.
 */
#ifndef REFEREE_B2B_MOVE_H
#define REFEREE_B2B_MOVE_H

#include "core/b2b/transfer_refer.h"

#define MOVES_MAX 256
/* Of the REFER, which may wait as long as any request (64*T1): the other owner may have just died, and is missed and
 * followed within LEASE_LIFE_US, its grace and a claim; or a party is slow to answer a re-INVITE, INFO or the like. */
#define MOVE_PATIENCE_US 12000000
#define MOVE_READ_US 3000000       /* of a call that has just been read; its transfer waits longer for it */
#define MOVE_BUDGET_US 400000      /* of the store, for each step; then the call stays */

void move_init(struct engine *e, struct arena *a);
/* A REFER within a dialog whose Replaces names one that another engine has. True: it is dealt with, now or later. */
bool move_refer(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn, const struct refer *r);
/* A call that was read from its record, and nothing done yet. True: it moves to its transfer, or recover_resume_here
 * follows. */
bool move_to_transfer(struct engine *e, const struct call *c);
/* Who has this bucket has changed: nobody waits for an answer of who had it. */
void move_told(struct engine *e, uint16_t bucket);
/* PEER_MOVE, ARRIVED, GO, NO. True: *in is a datagram to be handled now; then move_handled. */
bool move_on_peer(struct engine *e, const struct event *ev, struct event *in);
void move_handled(struct engine *e);
void move_on_timer(struct engine *e, handle h);
/* False: not one of its tickets. */
bool move_on_store(struct engine *e, const struct event *ev);
/* Arrivals of buckets that are not ours any more: their next owner reads of them. */
void move_forget_lost(struct engine *e);
/* The dialog's call is to be this engine's, if it has left where it was: that is being found out. */
bool move_is_coming(const struct engine *e, const struct sip_msg *msg);
/* A record of the table "arriving", of a bucket that became ours; `written`: by that epoch of it (0: not known). */
void move_on_record(struct engine *e, uint16_t bucket, struct slice value, uint64_t written);

#endif
