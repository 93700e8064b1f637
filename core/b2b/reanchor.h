/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * reanchor: legs whose party sends its media to where nobody listens any more, since the call was taken over with other
 * ports or by a node with another address. Each is told by a re-INVITE with what the leg that it talks with said last;
 * not all at once, so that thousands of calls of a dead node do not make a storm: engine_config.reinvites_per_second.
 * Legs that talk, both ways, come first; one on hold hears nothing anyway. A leg that takes part in a transfer is told
 * by the transfer, or when that is over.
 */
#ifndef REFEREE_B2B_REANCHOR_H
#define REFEREE_B2B_REANCHOR_H

#include "core/b2b/state.h"

/* While `a` counts only the size is taken. */
void reanchor_init(struct engine *e, struct arena *a, uint32_t legs_max);
/* The leg is to be told when its turn comes; no effect if it waits already. Its media has been reopened by now. */
void reanchor(struct engine *e, struct leg *l);
void reanchor_on_timer(struct engine *e);

#endif
