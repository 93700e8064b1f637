/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * anchor: the addresses that media comes to. 0 is this node's own (engine_config.media_addr), 1 and up are those of
 * other nodes (media_vips) that move here when their node dies: what its calls had there is taken over with the same
 * ports of the same address, and no party is told anything. A leg's streams are all at one of them; new legs are at 0.
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
/* Of a leg's streams; 0 if it has none. */
uint32_t anchor_of(const struct engine *e, const struct leg *l);
const struct addr *anchor_addr(const struct engine *e, uint32_t k);
/* ANCHOR_NOWHERE: not one of ours. */
uint32_t anchor_index(const struct engine *e, const struct addr *a);
bool anchor_is_here(const struct engine *e, uint32_t k);
/* EV_ADDRESS. */
void anchor_on_address(struct engine *e, const struct event *ev);

#endif
