/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * member: who owns buckets in a cluster: one shard of one node. Its number is what the store, the links and the other
 * engines know it by. The first shard's is its node's own, so that a node of one shard is to all others what it was
 * before there were several.
 */
#ifndef REFEREE_BASE_MEMBER_H
#define REFEREE_BASE_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#define MEMBER_NODE_BITS 16

static inline uint32_t member_of(uint32_t node, uint32_t shard) {
    return shard << MEMBER_NODE_BITS | node;
}
static inline uint32_t member_node(uint32_t member) {
    return member & ((UINT32_C(1) << MEMBER_NODE_BITS) - 1);
}
static inline uint32_t member_shard(uint32_t member) {
    return member >> MEMBER_NODE_BITS;
}
/* Shards of one node: one process, which dies as a whole. */
static inline bool member_is_sibling(uint32_t a, uint32_t b) {
    return member_node(a) == member_node(b);
}

#endif
