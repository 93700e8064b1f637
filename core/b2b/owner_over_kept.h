/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * owner_over_kept: what a call keeps of the legs that are not in it any more. A call takes room for that when it loses
 * the first one, and has it until it is freed: one whose legs are all there takes none. Where there is no room, nothing
 * is known of them. Private to owner_over.h.
 */
#ifndef REFEREE_B2B_OWNER_OVER_KEPT_H
#define REFEREE_B2B_OWNER_OVER_KEPT_H

#include "core/b2b/owner_over.h"

/* Which dialog the leg is: the same at each node, and not 0. */
uint16_t over_dialog(const struct engine *e, const struct leg *l);

struct over_was {
    uint16_t dialog; /* 0: not known, since it was over long ago; another one: it is being cancelled */
    handle moved;    /* the leg, if it went to another call */
};
/* What the call's leg of that number is, or was. */
struct over_was over_leg_was(const struct engine *e, const struct call *c, uint64_t number);

#endif
