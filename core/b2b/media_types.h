/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * media_types: payload types of a codec, which are each leg's own (RFC 3264 section 8.3.2): what a leg has called them
 * stands in its descriptions, last sent, last received and last full offer.
 */
#ifndef REFEREE_B2B_MEDIA_TYPES_H
#define REFEREE_B2B_MEDIA_TYPES_H

#include "core/b2b/state.h"
#include "parser/sdp.h"

/* How m-line i of text is to be renumbered for l. count 0: it stands as it is. */
void media_types_keep(const struct engine *e, const struct leg *l, const struct sdp *text, unsigned i,
                      struct sdp_renumber *out);

/* What a leg was told last and what it said itself; media_count 0 where nothing was. */
struct media_types_leg {
    struct sdp told, said;
};
void media_types_read(const struct engine *e, const struct leg *l, struct media_types_leg *out);
/* Of stream i from the one to the other. Who sends goes by what it was told; numbers of its own that were not told to
 * it are understood too, since there are phones that answer with others and then send them.
 * only: nothing but what the listener's session has. */
void media_types_route(const struct engine *e, const struct media_types_leg *sender,
                       const struct media_types_leg *listener, unsigned i, bool only, struct media_types *out);

#endif
