/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * moved: stubs for what lives in another bucket than its token says: a leg that was joined into a call of another
 * bucket, every leg of a call that was moved for a transfer; and, by Call-ID, an INVITE that was passed on to where the
 * dialog is that it replaces. A message that names such a leg goes where the stub says. Kept by the owner of the
 * token's bucket, in memory and in the store (table "moved"), until the leg has ended: all engines are told, since a
 * leg may have moved more than once, and the bucket of a stub may be on its way to another owner, who then reads what
 * is to go. Who died may not have told: from time to time the store is asked whether the call is there still, or a stub
 * of the leg where it was; one that went on to another call of that bucket has one that leads to the bucket itself, a
 * mark. What is left for all that expires after a day (MOVED_LEG_MS), and in Redis with its bucket's hash.
 */
#ifndef REFEREE_B2B_MOVED_H
#define REFEREE_B2B_MOVED_H

#include "core/b2b/state.h"

/* Of an INVITE that was passed on: longer than it may ring. */
#define MOVED_INVITE_US 360000000
/* Of a leg's, for the case that nobody says when it ends. */
#define MOVED_LEG_MS 86400000
/* Longer than a call is on its way from one bucket to another. */
#define MOVED_LOOK_US 120000000

void moved_init(struct engine *e, struct arena *a);
/* Where it went from that bucket of ours, by token, else by Call-ID. TOKEN_BUCKETS: it has not moved. MOVED_HELD: it
 * has, but is not there yet; what comes for it waits. */
#define MOVED_HELD (TOKEN_BUCKETS + 1)
uint16_t moved_to(const struct engine *e, uint16_t from, const struct steer *s, const struct sip_msg *msg);
/* The leg, which lived in `from`, lives in `to` from now on, in that call. False: no room; nothing has changed. Where
 * both are the same, a leg that came from elsewhere gets a mark: its stubs name the call that it was in before. */
bool moved_put_leg(struct engine *e, const struct leg *l, uint16_t from, uint16_t to, uint64_t call);
/* A pair of ports that it had there, and left: it rests until the leg has ended, and no longer. */
void moved_left_port(struct engine *e, const struct leg *l, uint16_t from, uint32_t slot, uint32_t generation);
/* What comes for it in `from` before `until_us` is held off, or until moved_release of what this returned. */
handle moved_hold(struct engine *e, const struct leg *l, uint16_t from, uint64_t until_us);
void moved_release(struct engine *e, handle stub);
/* The leg stays where it was, whatever the store has done with the stub; a mark says so where it had been before. One
 * that led to another call leads there again. */
void moved_take_back(struct engine *e, handle stub);
void moved_put_call_id(struct engine *e, struct slice call_id, uint16_t from, uint16_t to);
/* Where the call went from `from` with this leg, by what is known here; TOKEN_BUCKETS: it has not moved. */
uint16_t moved_where(const struct engine *e, const struct leg *l, uint16_t from, uint64_t call);
/* The leg has ended: its stubs go, wherever they are; those of a bucket that is being read when that is done. */
void moved_leg_ended(struct engine *e, const struct leg *l);
void moved_on_ended(struct engine *e, struct slice key);
/* The leg has come to `bucket`, which is ours: what led away from there goes, or becomes a mark for stubs of others;
 * and ours of its token leads there. */
void moved_arrived(struct engine *e, const struct leg *l, uint16_t bucket);
/* A record of the table "moved". */
void moved_on_record(struct engine *e, uint16_t bucket, struct slice key, struct slice value);
/* Does such a record lead there, with that call? */
bool moved_leads_to(struct slice value, uint16_t bucket, uint64_t call);
/* All of the bucket has been read. */
void moved_loaded(struct engine *e, uint16_t bucket);
void moved_on_timer(struct engine *e);
/* False: not one of its tickets. */
bool moved_on_store(struct engine *e, const struct event *ev);
/* Another server was promoted: what was stored since then, or all of a bucket, is stored once more. */
void moved_lost_again(struct engine *e, uint64_t since_us);
void moved_rewrite(struct engine *e, uint16_t bucket);
/* Those of buckets that are not ours any more go. */
void moved_forget_lost(struct engine *e);

#endif
