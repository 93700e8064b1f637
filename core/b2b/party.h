/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * party: which legs are parties of which transfer, and who waits for whom while the two calls of a transfer come from
 * the store one by one; found without a walk over all legs, calls or transfers. A party is found by the id of the call
 * whose transfer it is, which its record names too, so also before that call is here.
 */
#ifndef REFEREE_B2B_PARTY_H
#define REFEREE_B2B_PARTY_H

#include "core/b2b/state.h"

/* More than the legs of four calls: those of a transfer are of two, or were when they became parties. */
#define PARTY_LEGS_MAX 32

/* The leg is a party of t, or with NULL of none. Its role is the caller's. */
void party_set(struct engine *e, struct leg *l, const struct transfer *t);
/* Its parties; their number. */
unsigned party_legs(const struct engine *e, const struct transfer *t, struct leg *legs[PARTY_LEGS_MAX]);

/* The leg names a transfer that is not here: LEG_TRANSFER_AT. */
void party_wait(struct engine *e, struct leg *l);
/* The leg takes part in a transfer, and so in no other: one that is here, or one that may still come, since the leg's
 * record names it and that call has not been read. NULL: no. */
bool party_is_busy(const struct engine *e, const struct leg *l);
/* The transfer names parties, and the call of its consultation, that are not here, or are about to be forgotten. */
void party_await(struct engine *e, struct transfer *t);
/* A call that has been read, in its bucket: it finds those whom it names and is found by those who name it. Who is not
 * here yet is waited for. */
void party_meet(struct engine *e, struct call *c);
/* Before they are freed. */
void party_forget_leg(struct engine *e, const struct leg *l);
void party_forget_transfer(struct engine *e, const struct transfer *t);

/* For engine_new. */
void party_init(struct engine *e, struct arena *a, const struct engine_config *c);

#endif
