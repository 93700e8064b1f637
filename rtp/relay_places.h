/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * relay_places: what a stream has beside its entry in the table, while it has any. Private to the relay.
 */
#ifndef REFEREE_RTP_RELAY_PLACES_H
#define REFEREE_RTP_RELAY_PLACES_H

#include "rtp/relay.h"

void relay_places_init(struct relay_places *p, struct arena *a, uint32_t size, uint32_t streams);
/* The place of *at, index + 1; 0: another one, all zero. A stream has one of each kind at most, so there is one. */
void *relay_place_take(struct relay_places *p, uint32_t *at);
/* *at is 0 from now on. */
void relay_place_give(struct relay_places *p, uint32_t *at);

/* To write to it; relay_extra to read. */
struct relay_extra *relay_extra_take(struct relay *r, struct relay_stream *s);
/* The stream has it no longer than there is something in it. */
void relay_extra_trim(struct relay *r, struct relay_stream *s);

/* Where RTCP is, which nearly always is RTP's host. */
struct relay_latch relay_rtcp(const struct relay *r, const struct relay_stream *s);
/* Behind a change of the RTP address of that kind it has to be set again. */
void relay_set_rtcp_signalled(struct relay *r, struct relay_stream *s, struct addr a);
void relay_set_rtcp_learned(struct relay *r, struct relay_stream *s, struct addr a);

#endif
