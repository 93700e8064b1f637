/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * transfer: one REFER being carried out. Decides who replaces whom; sends through leg.h only.
 *
 *   transfer_refer.c   a REFER arrives: is it right, may this party, what does it name; 202
 *   transfer_target.c  the target's side: new legs, Replaces, join
 *   transfer.c         the table's actions: splice, commit, roll back, end
 *   transfer_late.c    join the other way round: the transferee's fresh offer to the target (RFC 3725 flow IV)
 *   transfer_recall.c  the transferor is gone and the transfer has failed: somebody else for the transferee
 *   transfer_semi.c    the consultation still rings: its ringing legs become the target's
 *   transfer_relay.c   the REFER goes on to the transferee, who then calls through us
 *   transfer_takeover.c  INVITE with Replaces of a dialog of ours: the same table without a REFER (RFC 3891 section 3)
 *   transfer_notify.c  the implicit subscription (RFC 3515 section 2.4)
 *   transfer_resume.c  it goes on here after the death of who ran it
 *   transfer_explicit.c  the subscription that is made by a SUBSCRIBE of its own (RFC 7614)
 */
#ifndef REFEREE_B2B_TRANSFER_H
#define REFEREE_B2B_TRANSFER_H

#include "core/b2b/leg.h"
#include "core/b2b/transfer_fsm.h"
#include "parser/sip_hdr.h"

/* In front of a token that stands for a relayed transfer. */
#define TRANSFER_TOKEN_PREFIX "xfer."

/* Bytes of a Refer-To and what is unescaped from it: phones with long x- parameters send 8 KiB. */
#define REFER_TO_MAX 16384

/* A REFER in the dialog of leg l; answered here. */
void transfer_on_refer(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn);
/* SUBSCRIBE outside any dialog to a URI of ours: is it one where a transfer can be watched? Then it is answered
 * here. */
bool transfer_is_events_at(struct slice user);
void transfer_on_outside_subscribe(struct engine *e, const struct sip_msg *msg, handle txn, struct slice principal);

/* An event of a leg that takes part in a transfer. False: the bridge is to handle it. */
bool transfer_on_event(struct engine *e, struct leg *l, const struct leg_event *ev);
void transfer_on_timer(struct engine *e, struct transfer *t);
/* A NOTIFY before it and the final one, each with Timer F: NOTIFYING lasts no longer, in T1. Its leg may die first, and
 * nobody hears of it then. */
#define TRANSFER_NOTIFYING_T1 130ull
/* It is behind what its parties but the transferor have to do with. */
bool transfer_is_decided(const struct transfer *t);
/* Goes on from the state in which its record was read; waits for the records of its other parties, but not for ever. */
void transfer_resume(struct engine *e, struct transfer *t);
/* It waits for parties that are not here, or whose call has been read and does not go on yet. */
bool transfer_awaits(const struct engine *e, const struct transfer *t);
/* The call of one of them has been read, and its legs are not as they were left before it goes on. */
bool transfer_parties_come(const struct engine *e, const struct transfer *t);
/* The same, and its timer is set to what is to be done behind that: nothing can be done to such a leg before. */
bool transfer_looks_again(struct engine *e, struct transfer *t);
/* Something happens to a party: the wait for the others is over, and the timer is what it was. True: it had waited, and
 * behind that event transfer_resume_now is due; t may be NULL. */
bool transfer_wait_over(struct engine *e, struct transfer *t);
void transfer_resume_now(struct engine *e, struct transfer *t);
/* True: its call, or parties, are missing that this may be about; it comes again when they are here, or when they are
 * waited for no more. */
bool transfer_holds_event(const struct engine *e, struct transfer *t, enum transfer_event ev, uint16_t status);
/* Parties are not here any more, but in a call that goes on elsewhere, and perhaps soon here. */
void transfer_miss(struct engine *e, struct transfer *t);
/* A party of it, in another call, goes on here too. */
void transfer_party_resumed(struct engine *e, struct transfer *t, struct leg *l);
/* A REFER that was accepted before the call was taken over comes again: the same answer (race 12). False: another. */
bool transfer_accepted_again(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn);
/* The same of a SUBSCRIBE outside a dialog that made leg l. */
bool transfer_subscribed_again(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn);
/* Every leg is about to be ended: the transferor is told 503 if it can be, and the transfer is over. */
void transfer_shut_down(struct engine *e, struct transfer *t);
/* Whom leg l talked with is gone. True: l is a transferor that is still being told how its transfer failed; its BYE
 * follows when it has answered. */
bool transfer_holds_end(struct engine *e, struct leg *l);

/* An INVITE with Replaces from outside any dialog that names leg l, from a party with this principal: answered here, or
 * the start of a take-over. by_token: a token of ours has authorised it already. */
struct takeover {
    struct leg *replaced;
    struct slice principal;
    bool early_only, by_token;
};
void transfer_on_replaces(struct engine *e, const struct sip_msg *msg, handle txn, const struct takeover *o);

/* The relayed transfer whose token this Request-URI user part is, for who has this principal; NULL: none. It is used
 * up.
 * *status is what the INVITE gets if it is a token, but not this party's: 0, 403. */
struct transfer *transfer_use_token(struct engine *e, struct slice user, struct slice principal, uint16_t *status);
/* After the INVITE that used it. */
void transfer_token_used(struct engine *e, struct transfer *t);
/* "Replaces: ...\r\nRequire: replaces\r\n" of leg d's dialog, as its peer knows it. */
void transfer_put_replaces(struct sbuf *h, const struct leg *d);
/* A transferee that lost the token may still name what it was told to replace. */
bool transfer_may_replace(const struct engine *e, const struct leg *replaced, struct slice principal);

/* ---- private to the transfer*.c files ---- */

/* Allocated, with timer and call set; NULL: no room. */
struct transfer *transfer_new(struct engine *e, struct call *c);
void transfer_free(struct engine *e, struct transfer *t);

void transfer_step(struct engine *e, struct transfer *t, enum transfer_event ev, uint16_t status);
/* The transferee is not left in silence while somebody else is called. */
void transfer_play(struct engine *e, const struct transfer *t, enum media_source source);
void transfer_go(struct engine *e, struct transfer *t, enum transfer_state s);
void transfer_role(struct engine *e, struct transfer *t, handle leg, enum transfer_role role);
/* Ends in failure: releases the target, settles the consultation call, tells the transferor. */
void transfer_fail(struct engine *e, struct transfer *t, uint16_t status);
/* The target has accepted, on leg `target`. */
void transfer_answered(struct engine *e, struct transfer *t, struct leg *target, struct slice sdp);

/* First INVITEs to the target, or the re-INVITE of a join. */
void transfer_call_target(struct engine *e, struct transfer *t);
void transfer_join(struct engine *e, struct transfer *t);
/* True: the target's new leg is in the consultation's place, where it was brought by a roll-back of which the
 * transfer's record does not know, and is asked once more, as in a join: the transferee has agreed. */
bool transfer_join_again(struct engine *e, struct transfer *t);
/* The transferee is asked for a fresh offer, for the target's own leg (transfer_late.c). */
void transfer_ask(struct engine *e, struct transfer *t);
/* True: the transferor is gone, and the transferee waits for somebody else; nothing else is to be done now. */
bool transfer_recall(struct engine *e, struct transfer *t, uint16_t status);
/* The transfer has failed, and the transferee waits for the one who is rung in the target's place. */
bool transfer_is_recalling(const struct transfer *t);
void transfer_set_result(struct engine *e, struct transfer *t, uint16_t status);
/* One of the consultation's pair that is left alone is ended. */
void transfer_settle_consult(struct engine *e, struct transfer *t);
/* Its 2xx brought an offer, and its ACK waits for the transferee's answer. */
bool transfer_target_waits(const struct leg *target);
/* It gets that; nothing for any other. False: what the transferee said does not fit. */
bool transfer_answer_target(struct engine *e, struct transfer *t);
/* Both have agreed. */
void transfer_commit(struct engine *e, struct transfer *t);
/* Actions of the table. */
void transfer_roll_back(struct engine *e, struct transfer *t, uint16_t status);
void transfer_do_join_refused(struct engine *e, struct transfer *t, uint16_t status);
void transfer_do_offer(struct engine *e, struct transfer *t, uint16_t status);
void transfer_do_not_asked(struct engine *e, struct transfer *t, uint16_t status);
void transfer_do_late_commit(struct engine *e, struct transfer *t, uint16_t status);
void transfer_do_late_refused(struct engine *e, struct transfer *t, uint16_t status);
void transfer_do_announced(struct engine *e, struct transfer *t, uint16_t status);
/* The consultation's ringing legs become the target; the transferor's leg of it gets its 487. */
void transfer_semi(struct engine *e, struct transfer *t);
/* Whatever rings for d, which is told that it is over, rings for the transferee. False: nothing does. */
bool transfer_semi_take(struct engine *e, struct transfer *t, struct leg *d);
/* A 18x of a target with a description: the transferee hears it, if it can. */
void transfer_early_heard(struct engine *e, struct transfer *t, struct leg *l, const struct sip_msg *msg);
/* The same for what its LEG_SDP_REMOTE says already. */
void transfer_early_media(struct engine *e, struct transfer *t, struct leg *l);
/* A target that still rings is being heard. */
bool transfer_hears_early(const struct engine *e, const struct transfer *t);
/* Who the transferee talked with before: the transferor, or the leg that is being taken over. */
struct leg *transfer_former_peer(const struct engine *e, const struct transfer *t);
/* A take-over that failed: its INVITE gets the result. Nothing for any other transfer. */
void transfer_refuse_takeover(struct engine *e, struct transfer *t);
/* The transferee has agreed: the party that takes over gets its answer. False: it could not be written. */
bool transfer_takeover_answer(struct engine *e, struct transfer *t);
/* True while an INVITE to the target is open. */
bool transfer_target_rings(const struct engine *e, const struct transfer *t);
/* A target that has answered; NULL: none. In the transfer's own call, but where the consultation still rang: one of
 * another call is being joined, of which its own record may know before the transfer's does. */
struct leg *transfer_target_up(const struct engine *e, const struct transfer *t);
/* No leg of its calls is in it any more: phones that ring in parallel are more than it names. */
void transfer_release_legs(struct engine *e, struct transfer *t);
/* Ends every target leg but `keep` (NULL: all). */
void transfer_drop_targets(struct engine *e, struct transfer *t, const struct leg *keep);
/* What the transferee can do at all, and the direction it wants by itself. */
struct slice transfer_full_offer(const struct engine *e, const struct transfer *t, int *direction);

/* Passes the REFER on, if the transferee can do it. False: it is to be carried out here. */
bool transfer_relay(struct engine *e, struct transfer *t, const struct sip_msg *msg, handle txn);
/* An event of a leg in a relayed transfer. False: the bridge is to handle it. */
bool transfer_relay_event(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev);
/* The transferee has shown, by its answer, its INVITE or a NOTIFY, that it does what the REFER asks. */
bool transfer_relay_begun(const struct transfer *t);
void transfer_relay_timer(struct engine *e, struct transfer *t);
/* After a former owner's death: our REFER without answer goes out again. False: nobody is to hear of it any more. */
bool transfer_relay_resume(struct engine *e, struct transfer *t);
/* The same, while the leg is resumed: if the REFER was before its open re-INVITE, it goes out before that one too. By
 * its old CSeq it would be refused behind it. */
void transfer_relay_resume_first(struct engine *e, struct leg *a);
/* It is unanswered, and the transferor's own has not come again. */
bool transfer_relay_waits(const struct transfer *t);
/* Accepts the REFER and begins: 202 or 200, NOTIFY 100, then the target; result != 0: it has failed already. */
void transfer_begin(struct engine *e, struct transfer *t, const struct sip_msg *msg, handle txn, uint16_t result);
/* A REFER outside any dialog, from a party with this principal: in place of one in the dialog that its Target-Dialog
 * names, or click-to-dial: the user of the Request-URI is called and then transferred. */
void transfer_on_outside_refer(struct engine *e, const struct sip_msg *msg, handle txn, struct slice principal);
/* An operator's order: the leg goes to a URI, or to another call's leg (with != NULL). Absent: begun, and the result is
 * told to `conn`; else what is wrong. */
struct slice transfer_order(struct engine *e, uint64_t conn, struct leg *leg, struct slice uri, struct leg *with);
/* Click-to-dial: how many of the transferee's legs still ring; with a winner all others are ended and not counted. */
unsigned transfer_drop_dialled(struct engine *e, struct transfer *t, const struct leg *winner);
void transfer_tell_operator(struct engine *e, const struct transfer *t);
/* Another node has its call. What this one's death leaves untold, refereectl says by itself. */
void transfer_tell_lost(struct engine *e, const struct transfer *t);
/* Clears the roles, frees it. */
void transfer_release(struct engine *e, struct transfer *t);

/* Queues a NOTIFY with this status; one at a time is open. A final one ends the subscription. */
void transfer_notify(struct engine *e, struct transfer *t, uint16_t status);
/* The target's own words: a NOTIFY of this status says them (RFC 3515 section 2.4.5). */
void transfer_note_reason(struct engine *e, struct transfer *t, const struct sip_msg *response);
void transfer_on_notify_response(struct engine *e, struct transfer *t, uint16_t status);
/* Explicit subscription: the URI for it, in TRF_TOKEN; then its header, or nothing where there is none. */
bool transfer_make_events_at(struct engine *e, struct transfer *t);
void transfer_put_events_at(struct engine *e, struct sbuf *h, const struct transfer *t);
bool transfer_is_explicit(const struct transfer *t);
/* SUBSCRIBE in the dialog to the implicit subscription: refresh, or its end. */
void transfer_on_subscribe(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev);

#endif
