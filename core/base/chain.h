/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * chain: objects of a pool by a hash, as many by one as there are: whoever looks compares what it must. Intrusive, each
 * object has a struct chain_node for each chain that it can be in, so that nothing is ever full. The hash is the
 * caller's: keyed or random where others choose what is hashed.
 */
#ifndef REFEREE_BASE_CHAIN_H
#define REFEREE_BASE_CHAIN_H

#include "core/base/pool.h"

#include <stdbool.h>

/* Zero: in no chain. Neighbours are indices in the pool and 1 more; before the first one is the place of its head, with
 * CHAIN_HEAD. */
struct chain_node {
    uint32_t next, prev;
};
#define CHAIN_HEAD (UINT32_C(1) << 31)
static inline bool chain_has(const struct chain_node *n) {
    return n->prev != 0;
}

struct chain {
    const struct pool *pool;
    uint32_t node;                /* where in an object, bytes */
    uint32_t mask;
    uint32_t used;
    uint32_t *heads;
};

/* For so many objects; `pool` is laid out already and outlives it. */
void chain_init(struct chain *c, struct arena *a, const struct pool *pool, uint32_t node, uint32_t count);
/* A live object that is not in it (CHECK). It comes before the others of its hash. */
void chain_put(struct chain *c, uint64_t hash, handle h);
/* Before it is freed. Nothing when it is not in it. */
void chain_del(struct chain *c, handle h);
/* Those of this hash, and others whose hash is near it; *cursor begins as 0. NULL at the end. The object that came last
 * may be taken out or freed behind the next call only. */
void *chain_next(const struct chain *c, uint64_t hash, uint32_t *cursor);

#endif
