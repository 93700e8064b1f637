/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * owner_over: legs whose end their owner could not write, because it had lost the store, and which its successor has
 * from an older record. A dialog that has ended does not come back, so who ended it may say so whenever it learns who
 * has its bucket now: when it forgets the call, or when the store refuses what it has tried to write since. Its
 * successor may have called a phone anew by that record, and have another dialog with it under the same number: by the
 * tags of what is over, which the word tells by a hash of them, that one is left alone. So is what has gone to another
 * call meanwhile (owner_over_moved.h), and whom the former owner was only cancelling, if it has picked up here: nobody
 * has hung up on it, and of its answer that owner knows nothing. Where it still rings it is cancelled here, too.
 *
 * The same word tells who owns a call that it has known since before that another engine has had it meanwhile, by a
 * claim that a promoted server had not seen. What that one told the parties is undone: each leg goes on
 * above its CSeqs and, if it is up, with other ports, of which its party is told (reanchor.h) in the version of the
 * session behind the last one of that one's.
 *
 * Such an engine may not have known the call either, whose owner could not store it, and have answered 481 to a BYE. It
 * remembers that, and says so to whoever has the bucket next; who has the call then asks its parties by a refresh
 * whether they are there, behind the word of one that had told them something, while that may be on its way. A BYE is
 * not believed where its dialog is not known: asked in vain, a call goes on.
 */
#ifndef REFEREE_B2B_OWNER_OVER_H
#define REFEREE_B2B_OWNER_OVER_H

#include "core/b2b/state.h"

void owner_over_init(struct engine *e, struct arena *a, const struct engine_config *c, uint32_t legs);
/* A leg of the call that is freed, and is over: what it was is kept for the word. */
void owner_over_keep(struct engine *e, struct call *c, const struct leg *l);
/* The leg leaves the call, and is in another one, by that handle; HANDLE_NONE: it is over. */
void owner_over_moved(struct engine *e, struct call *c, const struct leg *l, handle to);
/* Of a call that is freed. */
void owner_over_free(struct engine *e, struct call *c);
/* The call goes from here, and another engine has it, by its record. */
void owner_over_forget(struct engine *e, const struct call *c);
/* What it was, for its word when it is not here any more. */
struct over_legs owner_over_legs(struct engine *e, const struct call *c);
/* To engine `to`, if one is known: of this call those legs are over that are not there any more, nor in another. */
void owner_over_say(struct engine *e, uint32_t to, const struct call *c);
/* Engine `to` has the call in that bucket, and it has been gone on with here too, from a record of before: what was
 * told its parties here is undone there, whatever the epochs. */
void owner_over_say_twice(struct engine *e, uint32_t to, const struct call *c, uint16_t bucket);
/* Does this word say so of a call that is here? */
bool owner_over_undoes(const struct engine *e, uint16_t bucket, struct slice bytes);
/* A call is over in whole. It is not here any more: `legs` are what owner_over_legs said of it. */
void owner_over_say_all(struct engine *e, uint32_t to, uint16_t bucket, uint64_t id, const struct over_legs *legs);
/* The bucket is ours as before, and had to be claimed anew: our lease had run out, and such a claim may have been made
 * and undone meanwhile. We may send before that one's word of it has come, and do so above its CSeqs. Where we are
 * suspended, what we would offer the parties by ourselves waits for that word, for 2 s at most: the o= version of what
 * that one has told them is not known before. */
void owner_over_reclaimed(struct engine *e, uint16_t bucket);
/* A re-INVITE of a party's, or an UPDATE with a description, is answered, and passed on, in such a version. True: it
 * waits for that word, too, if there is room (owner_wait.h), and goes before what is offered behind it. */
bool owner_over_awaits(struct engine *e, const struct event *in, const struct sip_msg *msg);
/* A request in a dialog that is not here is answered 481. */
void owner_over_note(struct engine *e, const struct sip_msg *msg);
/* The bucket is engine `to`'s now. Within a step. */
void owner_over_tell(struct engine *e, uint16_t bucket, uint32_t to);
/* PEER_OVER: they end here as if their party were gone; the record of a call that is over and not known here goes. Who
 * has lost the bucket may say so before its successor has read it: kept until then, if there is room. Within a step. */
void owner_over_heard(struct engine *e, uint16_t bucket, struct slice bytes);
void owner_over_on_timer(struct engine *e);

#endif
