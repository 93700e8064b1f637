/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * recover: calls that go on here after their owner's death, from their records. What was in flight then:
 *
 *   INVITE of ours, unanswered     sent again, byte by byte the same, unless a provisional response had come; then its
 *                                  transaction waits for the final one. CANCEL and ACK are made from those bytes
 *   re-INVITE of ours              the same; 500 (its CSeq is old, so it was answered before) or no response at all is
 *                                  as 491: offered anew after section 14.1's wait, or told to who waits for it
 *   INVITE or re-INVITE of theirs  its server transaction lives again: a retransmission or CANCEL finds it. Who had no
 *                                  100 of a re-INVITE has given it up 64*T1 later, and still ACKs its 2xx: behind that
 *                                  it is asked by a re-INVITE
 *   2xx of ours without ACK        repeated until the ACK comes; the same for a reliable 18x without PRACK. An INVITE
 *                                  that has a 100 waits for it for ever: so too when the 2xx is up to 64*T1 over its
 *                                  time. But then its ACK may have come before, and so may that of a re-INVITE, whose
 *                                  peer has sent another one since, and that of who speaks in its dialog all the same:
 *                                  no BYE for want of it, but a re-INVITE
 *   2xx to us without our ACK      the peer repeats it, and gets its ACK
 *   BYE of ours                    sent again under a new CSeq (a second one gets 481)
 *   NOTIFY of ours                 again under a new CSeq
 *   other requests of theirs       they come again; the CSeq of the last one is accepted once more. A REFER that was
 *                                  accepted gets its 202 again, also when its transfer is over, or when a request
 *                                  has come behind it
 *   deadlines that have passed     fire at once
 *
 * A call that two owners have died with is not touched by the third, nor by anybody after it.
 */
#ifndef REFEREE_B2B_RECOVER_H
#define REFEREE_B2B_RECOVER_H

#include "core/b2b/leg.h"
#include "core/b2b/record.h"

#define RECOVER_TAKEOVERS_MAX 2
/* A call that has been fine for so long starts to be counted anew. */
#define RECOVER_FINE_US 60000000
/* A leg of a transfer in another call waits so long for that one: longer than a transfer does for its parties. */
#define RECOVER_STRAY_US 12000000

/* One record of the table "call". What cannot be read, is here already or is in quarantine is skipped, traced and
 * counted. Else its attempt is counted in the store first, then record_resume. `written`: the epoch of its bucket by
 * which it was (0: not known); where it is not the one before ours (owner_since), what goes on is above what owners in
 * between may have used (record_pass_unwritten). Within a step. */
enum record_error recover_record(struct engine *e, struct slice key, struct slice value, uint64_t written);
/* The bucket is ours by a claim; `held`: as it was all the time, so that nobody else reads its records for us. What is
 * to be read again is; and all of it where the server has `forgotten` the claim before: what who had the bucket then
 * deleted last it has again, and that one may be gone. */
void recover_reread(struct engine *e, uint16_t bucket, bool held, bool forgotten);
/* The store has failed to give them: again. */
void recover_on_reread_timer(struct engine *e);
/* An answer to that. False: not ours. */
bool recover_on_store(struct engine *e, const struct event *ev);
/* That record is stored, or will not be: the call goes on, once those that a transfer binds it to may as well; at the
 * engine of its transfer, where that is another. */
void recover_resume(struct engine *e, struct call *c);
/* The same, wherever the transfer is. */
void recover_resume_here(struct engine *e, struct call *c);
/* Legs whose transfer, in another call, has not come: what they are without it. */
void recover_on_timer(struct engine *e);
/* The transfer's call goes to another node: legs of calls that stay wait for it as if they had just been read, and hear
 * whom they heard before it meanwhile. */
void recover_leave(struct engine *e, const struct transfer *t);
/* The call goes to another node: transfers of calls that stay wait for those of their parties that are its legs, as if
 * they had just been read; and so does who gets their calls next. */
void recover_miss(struct engine *e, const struct call *c);
/* Another node owns the call: it is gone here, nothing is sent and nobody is told. Between or within steps. */
void recover_forget(struct engine *e, struct call *c);

/* ---- private to record_resume.c and engine.c ---- */

/* A leg's event goes to the transfer it takes part in, else across the bridge. */
void engine_leg_event(struct engine *e, struct leg *l, const struct leg_event *ev);
/* An INVITE, REFER or SUBSCRIBE without To tag that made a leg of a call which was taken over: its answer is given
 * again. */
bool recover_repeated(struct engine *e, const struct sip_msg *msg, handle txn);
/* A REFER in the leg's dialog comes again, which was heard before its last request: it was sent before that one, and
 * its answer is lost. False: it is like another request by its CSeq. */
bool recover_refer_again(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn);
/* Of who asks for a dialog: its Call-ID and tag. */
uint64_t recover_key(const struct engine *e, struct slice call_id, struct slice tag);
/* It may be such a one. */
bool recover_knows(const struct engine *e, const struct sip_msg *msg);
/* A final response to an INVITE that a former owner had sent again, with credentials or another Session-Expires, when
 * it died: the record has the one before, which nobody will answer any more. */
bool recover_answers_retry(const struct engine *e, const struct leg *l, const struct sip_msg *msg);
/* Makes a leg that the peer began findable for recover_repeated, or not any more. */
void recover_index(struct engine *e, struct leg *l);
void recover_unindex(struct engine *e, struct leg *l);

#endif
