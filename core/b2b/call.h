/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * call: the legs that belong together. Owns and ends them; decides nothing about what crosses between them (bridge.h),
 * who replaces whom (transfer.h) or where a new call goes (policy.h).
 */
#ifndef REFEREE_B2B_CALL_H
#define REFEREE_B2B_CALL_H

#include "core/b2b/leg.h"

/* NULL: no room. */
struct call *call_new(struct engine *e, struct slice call_id);
/* To be found by its id and its bucket, which do not change meanwhile; unindex: nothing where it is not. */
void call_index(struct engine *e, const struct call *c);
void call_unindex(struct engine *e, const struct call *c);
/* NULL: none is here. */
struct call *call_find(const struct engine *e, uint64_t id);
/* What a transaction that goes with it keeps of its bucket (struct txn_open). NULL: of none. */
static inline uint16_t call_mark(const struct call *c) {
    return c ? (uint16_t)(c->bucket + 1) : 0;
}
/* Looked at by call_reap at the end of the step. */
void call_touch(struct engine *e, struct call *c);
/* The record of the call is to be written at the end of the step. */
void call_changed(struct engine *e, struct call *c);
/* The same, and of those that are to be written so far this one is the first. */
void call_changed_first(struct engine *e, struct call *c);
/* The same where records are kept with care (durability), for what would be lost with us: an INVITE that was sent, a
 * change of role. NULL: nothing. */
void call_promised(struct engine *e, struct call *c);
/* No record of it has ever been in the store: with us it is gone. */
bool call_is_unknown(const struct call *c);
/* Ends every leg that still lives. */
void call_end(struct engine *e, struct call *c, uint16_t status, struct slice extra);
/* A leg goes over to another call: it keeps its token and dialog. False: no room there. */
bool call_move_leg(struct engine *e, struct leg *l, struct call *to);
/* Without its legs, which are freed already, and its transfer: it is not looked at any more by call_reap. */
void call_free(struct engine *e, struct call *c);
/* Frees dead legs and empty calls, writes changed records. */
void call_reap(struct engine *e);

#endif
