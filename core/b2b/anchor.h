/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * anchor: the addresses that media comes to. First this node's own (engine_config.media_addr, media_more), then those
 * of other nodes (media_vips) that move here when their node dies: what its calls had there is taken over with the same
 * ports of the same address, and no party is told anything. A leg's streams are all at one of them.
 *
 * New legs take the own addresses in turn, of those that are of the leg's family: what its description names, or before
 * there is one, what its signalling goes by. Where none is of it, any is. One that has no ports left is passed over.
 *
 * A party that goes over to the other family in the midst of a call is told of an address of that in our next
 * description, and where there is none its offer is refused.
 *
 * A call that comes without its address waits for it (media_vip_wait_us), then its parties are told of other ports; and
 * so they are when an address leaves.
 */
#ifndef REFEREE_B2B_ANCHOR_H
#define REFEREE_B2B_ANCHOR_H

#include "core/b2b/state.h"

#define ANCHOR_NOWHERE UINT32_MAX

static inline uint32_t anchor_of_slot(const struct engine *e, uint32_t slot) {
    return slot == PORT_POOL_NONE ? 0 : slot / e->ports.pairs;
}
static inline uint32_t anchor_own_count(const struct engine_config *c) {
    return 1 + c->media_more_count;
}
static inline uint32_t anchor_count(const struct engine_config *c) {
    return anchor_own_count(c) + c->media_vip_count;
}
/* Of a leg's streams; ANCHOR_NOWHERE if it has no port. */
uint32_t anchor_of(const struct engine *e, const struct leg *l);
/* An own address with ports for so many streams of a leg that has none yet. ANCHOR_NOWHERE: there is none, which is
 * counted. */
uint32_t anchor_choose(struct engine *e, const struct leg *l, uint32_t streams);
/* A pair of that address, or PORT_POOL_NONE. */
uint32_t anchor_take(struct engine *e, const struct leg *l, uint32_t at, uint32_t *generation);
/* The leg is at an address of another family than its peer's description is of, though there would be one. */
bool anchor_is_other_family(const struct engine *e, const struct leg *l);
/* With this description of its peer's the leg would be talking to another family than before, of which no own address
 * is. */
bool anchor_is_lost_by(const struct engine *e, const struct leg *l, struct slice text);
const struct addr *anchor_addr(const struct engine *e, uint32_t k);
/* ANCHOR_NOWHERE: not one of ours. */
uint32_t anchor_index(const struct engine *e, const struct addr *a);
bool anchor_is_here(const struct engine *e, uint32_t k);
/* EV_ADDRESS. */
void anchor_on_address(struct engine *e, const struct event *ev);

#endif
