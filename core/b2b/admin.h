/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * admin: an operator's order, one line of text, and its answer as lines of text (OUT_ADMIN; the last one closes).
 *   calls             one line a call: number, state, age, who
 *   show CALL         its legs, streams, counters and ladder so far, and its transfers that failed; CALL as `calls`
 *                     prints it
 *   failures          one line for each failed transfer that is still kept
 *   failure NUMBER    the legs as they were when it failed, with their offer/answer states, and its ladder
 *   transfer CALL LEG URI              the leg goes to the URI; answered when it is done or has failed
 *   transfer CALL LEG with CALL2 LEG2  the two legs talk with each other; those they talked with are released
 *   registrations     one line a binding
 *   metrics           name value
 *   leftover          what is held now (engine_census)
 */
#ifndef REFEREE_B2B_ADMIN_H
#define REFEREE_B2B_ADMIN_H

#include "core/b2b/state.h"

void admin_on_line(struct engine *e, uint64_t conn, struct slice line);

#endif
