/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * cdr_media: how a leg's first stream went, for call records and refereectl.
 */
#ifndef REFEREE_B2B_CDR_MEDIA_H
#define REFEREE_B2B_CDR_MEDIA_H

#include "core/b2b/state.h"
#include "rtp/relay.h"

/* Also when it is closed already, as long as its ports have no other use. False: there is none. */
bool cdr_media_stats(const struct engine *e, const struct leg *l, unsigned stream, struct relay_stats *out);
/* The member "media" of a leg's record; cdr.h. */
void cdr_put_media(const struct engine *e, struct sbuf *b, const struct leg *l);
/* Adds a stream that ends to the counters. */
void cdr_count_media(struct engine *e, const struct leg *l, unsigned stream);
/* "4.37" */
void cdr_put_mos(struct sbuf *b, uint32_t mos);

#endif
