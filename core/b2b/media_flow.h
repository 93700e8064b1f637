/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * media_flow: SSRC, sequence numbers and timestamps of what a leg's party hears go on with the next owner of the call.
 * Only streams whose source has changed (a transfer, music) need it: the others are passed on as they are. It is kept
 * in LEG_MEDIA_FLOWS, as the record has it: index, the fields of struct media_flow but clock_rate 0, and the wall-clock
 * milliseconds of last_seq and last_ts, all varints, for each stream that has one.
 */
#ifndef REFEREE_B2B_MEDIA_FLOW_H
#define REFEREE_B2B_MEDIA_FLOW_H

#include "core/b2b/leg.h"

/* A stream's source has changed: MEDIA_EV_FLOW. */
void media_flow_noted(struct engine *e, const struct event *ev);
/* Stream i of a call that was taken over is opened by *c: it goes on as it did, or ahead of that. */
void media_flow_resume(const struct engine *e, const struct leg *l, unsigned i, struct media_cmd *c);

#endif
