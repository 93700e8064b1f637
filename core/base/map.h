/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * map: fixed-capacity hash map from a 128-bit keyed hash to a handle. The key is SipHash-128 of the real key with
 * a secret, so two keys never meet in practice; whoever finds an object still compares what it must (tags).
 * Open addressing, linear probing with backward-shift deletion; no tombstones, no rehash.
 */
#ifndef REFEREE_BASE_MAP_H
#define REFEREE_BASE_MAP_H

#include "core/base/pool.h"
#include "core/base/siphash.h"

struct map_slot {
    struct key128 key;
    handle value;                 /* HANDLE_NONE: empty */
};

struct map {
    struct map_slot *slots;
    uint32_t mask;
    uint32_t used;
    uint32_t capacity;            /* entries allowed: half of the slots */
};

void map_init(struct map *m, struct arena *a, uint32_t capacity);
/* HANDLE_NONE when absent. */
handle map_get(const struct map *m, struct key128 key);
/* False when the key is present already (nothing changes) or the map is full. value != HANDLE_NONE. */
bool map_put(struct map *m, struct key128 key, handle value);
/* False when absent. */
bool map_del(struct map *m, struct key128 key);

#endif
