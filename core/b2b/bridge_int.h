/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bridge_int: shared by the files of bridge alone. bridge.c has INVITE and the end, bridge_request.c the other requests
 * in a dialog, bridge_table.c what crosses.
 */
#ifndef REFEREE_B2B_BRIDGE_INT_H
#define REFEREE_B2B_BRIDGE_INT_H

#include "core/b2b/bridge.h"

/* As it is told to the other side: 401 and 407 as 403, since nobody behind us could answer them (section 16.7). */
uint16_t bridge_status(uint16_t status);
/* LEG_EV_REQUEST: passed on, or refused by the table of methods. */
void bridge_on_request(struct engine *e, struct leg *l, const struct leg_event *ev);
/* LEG_EV_RESPONSE to what was passed on; no message: none came in its time. */
void bridge_on_response(struct engine *e, struct leg *l, const struct leg_event *ev);

#endif
