/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * media_ports: the port pairs of a leg's streams, from the pool until they are given back. Private to media*.c,
 * owner.c and move_arrive.c.
 */
#ifndef REFEREE_B2B_MEDIA_PORTS_H
#define REFEREE_B2B_MEDIA_PORTS_H

#include "core/b2b/state.h"

/* A command about stream s; to nowhere as yet. NULL: no room in the outbox. */
struct media_cmd *media_command(struct engine *e, enum media_verb verb, const struct leg_stream *s);
/* Of a new leg: no m-line has had ports. Of one that is freed next, whose ports are given back. */
void media_streams_none(struct leg *l);
void media_streams_free(struct engine *e, struct leg *l);
/* The stream of m-line i < LEG_STREAMS, to be written. There is always one left. */
struct leg_stream *media_stream(struct engine *e, struct leg *l, unsigned i);
/* The stream of m-line i < LEG_STREAMS has ports, of a description that wants so many. False: there are none left. */
bool media_open(struct engine *e, struct leg *l, unsigned i, uint32_t streams);
/* Streams that are open. */
uint32_t media_open_count(const struct leg *l);
/* The streams of l that are open get other ports, where anchor_choose says; where its party is the relay is still to be
 * told. False: there are none; nothing has changed. */
bool media_move(struct engine *e, struct leg *l);
/* Its ports are given back. */
void media_close_stream(struct engine *e, const struct leg_stream *s);
/* A pair that a sibling has left to this engine, and no call has here: back to whose it is. */
void media_return(struct engine *e, uint32_t slot);
/* Where the leg's streams are; its first address while it has none. */
const struct addr *media_address(const struct engine *e, const struct leg *l);

#endif
