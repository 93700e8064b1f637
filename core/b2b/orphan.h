/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * orphan: re-INVITEs, and UPDATEs with an offer, that were passed on to a leg which will not bring the answer any more:
 * it has ended, or somebody else has taken its place. Their sender would wait until it gives up, and so would all that
 * waits for its turn with it. They are answered by us alone, as a re-INVITE would be if it came now. So is an offer
 * that a re-INVITE without one has brought, when the ACK of who sent that will not come.
 */
#ifndef REFEREE_B2B_ORPHAN_H
#define REFEREE_B2B_ORPHAN_H

#include "core/b2b/state.h"

/* Those of the calls that this step has touched; before call_reap. */
void orphan_settle(struct engine *e);
/* An early UPDATE of l's, if it is open: somebody else than who has it is about to take the call. */
void orphan_settle_early(struct engine *e, struct leg *l);

#endif
