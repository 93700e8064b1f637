/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * transfer: one REFER being carried out. Decides who replaces whom; sends through leg.h only.
 *
 *   transfer_refer.c   a REFER arrives: is it right, may this party, what does it name; 202
 *   transfer_target.c  the target's side: new legs, Replaces, join
 *   transfer.c         the table's actions: splice, commit, roll back, end
 *   transfer_semi.c    the consultation still rings: its ringing legs become the target's
 *   transfer_takeover.c  INVITE with Replaces of a dialog of ours: the same table without a REFER (RFC 3891 section 3)
 *   transfer_notify.c  the implicit subscription (RFC 3515 section 2.4)
 */
#ifndef REFEREE_B2B_TRANSFER_H
#define REFEREE_B2B_TRANSFER_H

#include "core/b2b/leg.h"
#include "core/b2b/transfer_fsm.h"
#include "parser/sip_hdr.h"

/* A REFER in the dialog of leg l; answered here. */
void transfer_on_refer(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn);
/* An event of a leg that takes part in a transfer. False: the bridge is to handle it. */
bool transfer_on_event(struct engine *e, struct leg *l, const struct leg_event *ev);
void transfer_on_timer(struct engine *e, struct transfer *t);

/* An INVITE with Replaces from outside any dialog that names leg l, from a party with this principal: answered here, or
 * the start of a take-over. */
void transfer_on_replaces(struct engine *e, const struct sip_msg *msg, handle txn, struct leg *l, struct slice principal);

/* ---- private to the transfer*.c files ---- */

/* Allocated, with timer and call set; NULL: no room. */
struct transfer *transfer_new(struct engine *e, struct call *c);
void transfer_free(struct engine *e, struct transfer *t);

void transfer_step(struct engine *e, struct transfer *t, enum transfer_event ev, uint16_t status);
void transfer_go(struct engine *e, struct transfer *t, enum transfer_state s);
void transfer_role(struct engine *e, struct transfer *t, handle leg, enum transfer_role role);
/* Ends in failure: releases the target, settles the consultation call, tells the transferor. */
void transfer_fail(struct engine *e, struct transfer *t, uint16_t status);
/* The target has accepted, on leg `target`. */
void transfer_answered(struct engine *e, struct transfer *t, struct leg *target, struct slice sdp);

/* First INVITEs to the target, or the re-INVITE of a join. */
void transfer_call_target(struct engine *e, struct transfer *t);
void transfer_join(struct engine *e, struct transfer *t);
/* The consultation's ringing legs become the target; the transferor's leg of it gets its 487. */
void transfer_semi(struct engine *e, struct transfer *t);
/* Who the transferee talked with before: the transferor, or the leg that is being taken over. */
struct leg *transfer_former_peer(const struct engine *e, const struct transfer *t);
/* A take-over that failed: its INVITE gets the result. Nothing for any other transfer. */
void transfer_refuse_takeover(struct engine *e, struct transfer *t);
/* The transferee has agreed: the party that takes over gets its answer. False: it could not be written. */
bool transfer_takeover_answer(struct engine *e, struct transfer *t);
/* True while an INVITE to the target is open. */
bool transfer_target_rings(const struct engine *e, const struct transfer *t);
/* Ends every target leg but `keep` (NULL: all). */
void transfer_drop_targets(struct engine *e, struct transfer *t, const struct leg *keep);
/* What the transferee can do at all, and the direction it wants by itself. */
struct slice transfer_full_offer(const struct engine *e, const struct transfer *t, int *direction);

/* Queues a NOTIFY with this status; one at a time is open. A final one ends the subscription. */
void transfer_notify(struct engine *e, struct transfer *t, uint16_t status);
void transfer_on_notify_response(struct engine *e, struct transfer *t, uint16_t status);
/* SUBSCRIBE in the dialog to the implicit subscription: refresh, or its end. */
void transfer_on_subscribe(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev);

#endif
