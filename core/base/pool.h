/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * pool: a fixed number of equal objects, found by handle. A handle is index and generation: it crosses steps,
 * may be stale, and then finds nothing. Handles never leave the process.
 * Objects are zeroed on allocation. Not thread-safe: a pool belongs to one shard.
 */
#ifndef REFEREE_BASE_POOL_H
#define REFEREE_BASE_POOL_H

#include "core/base/arena.h"

#include <stdint.h>

typedef uint64_t handle;          /* 0 is never a live object */
#define HANDLE_NONE ((handle)0)

struct pool {
    uint8_t *objects;
    uint32_t *generation;         /* odd: live */
    uint32_t *next_free;
    uint32_t size;                /* of one object, bytes, rounded up to 16 */
    uint32_t count;
    uint32_t used;
    uint32_t high_water;
    uint32_t free_head;           /* index + 1; 0: none */
};

/* Lays the pool out in `a`; while `a` counts, only the size is taken and the pool stays unusable. */
void pool_init(struct pool *p, struct arena *a, uint32_t count, uint32_t size);
/* NULL and *h = HANDLE_NONE when all are taken. LIFO reuse; deterministic. */
void *pool_alloc(struct pool *p, handle *h);
/* NULL for HANDLE_NONE, a stale handle or one that was never given out. */
static inline void *pool_get(const struct pool *p, handle h) {
    uint32_t index = (uint32_t)h, generation = (uint32_t)(h >> 32);
    if (index >= p->count || !(generation & 1) || p->generation[index] != generation)
        return NULL;
    return p->objects + (size_t)index * p->size;
}
/* More than `kept` are free. */
static inline bool pool_has_more(const struct pool *p, uint32_t kept) {
    return p->count - p->used > kept;
}
/* Of a live object. */
handle pool_handle(const struct pool *p, const void *object);
/* A live handle only (CHECK). */
void pool_free(struct pool *p, handle h);
/* Iteration in index order: next live object after *cursor (start with 0), or NULL at the end. */
void *pool_next(const struct pool *p, uint32_t *cursor, handle *h);

#endif
