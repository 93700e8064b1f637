/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * silence: a party that should send media and does not. The shell tells of streams (MEDIA_EV_SILENT) again and again;
 * whether one is missed is decided here.
 */
#ifndef REFEREE_B2B_SILENCE_H
#define REFEREE_B2B_SILENCE_H

#include "core/b2b/state.h"

/* Ends the call of the leg that has this stream, with Reason, unless that leg is on hold by either side, has agreed on
 * something lately, or takes part in a transfer. */
void silence_noted(struct engine *e, uint32_t stream, uint32_t generation);

#endif
