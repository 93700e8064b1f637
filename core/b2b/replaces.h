/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * replaces: which leg of ours a Replaces names (RFC 3891 section 3), and how one is written for whom. By Call-ID and
 * both tags; never by less, but for a user agent that is known to write it wrongly, and then only among its own
 * dialogs.
 */
#ifndef REFEREE_B2B_REPLACES_H
#define REFEREE_B2B_REPLACES_H

#include "core/b2b/leg.h"
#include "parser/sip_hdr.h"

/* NULL: none of ours. quirks: enum quirk of who wrote it; principal: who that is. */
struct leg *replaces_find(const struct engine *e, const struct sip_replaces *r, unsigned quirks,
                          struct slice principal);
/* It says what replaces_find found, as leg l's peer has to say it. */
bool replaces_is_right(const struct sip_replaces *r, const struct leg *l);
/* "ID;to-tag=T;from-tag=T": leg l for a party that means our side of it (the tags from our view), or for l's peer, who
 * means its own. */
void replaces_put(struct sbuf *b, const struct leg *l, struct slice call_id);
void replaces_put_far(struct sbuf *b, const struct leg *l);

#endif
