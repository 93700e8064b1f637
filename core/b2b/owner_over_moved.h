/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * owner_over_moved: a leg that went from its call to another one, before the call that it left was stored without it.
 * That call's next owner has it still, by the record of before, and it is not over. Where a record of the other call
 * has it, whoever has that one goes on with the dialog, and nobody else may: the leg goes without a word to its party,
 * and what comes for it is sent there. Where no record has it (the store was away for both), the dialog lives by the
 * record of before alone: the leg stays. It may be left by its peer, who is over: of the transfer nobody knows there.
 *
 * The word (owner_over_word.h) says where such a leg is. Among the dialogs stands of it what it is not, so that a
 * release that reads those only leaves it alone; one that reads none ends it. Both keep no word of more than 85 bytes,
 * or 53, that comes before they know whose the call is.
 */
#ifndef REFEREE_B2B_OWNER_OVER_MOVED_H
#define REFEREE_B2B_OWNER_OVER_MOVED_H

#include "core/b2b/owner_over.h"

/* The leg comes to another call, whose record is at that version. */
void over_moved_since(struct engine *e, const struct leg *l, uint64_t version);
/* True: that leg, by the handle that was kept of it, lives as `x` says. */
bool over_moved_lives(const struct engine *e, handle leg, struct over_moved *x);
/* The leg is not to be acted for here: it goes, and its peer is left by it. False: it stays. */
bool over_moved_leave(struct engine *e, struct leg *l, const struct over_moved *x);
/* What stands among the dialogs, and which it is: never 0. */
static inline uint16_t over_moved_mask(uint16_t dialog) {
    return (uint16_t)(dialog % UINT16_MAX + 1);
}
static inline uint16_t over_moved_unmask(uint16_t dialog) {
    return dialog > 1 ? (uint16_t)(dialog - 1) : (uint16_t)(dialog * UINT16_MAX);
}

#endif
