/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/pool.h"

#include "core/base/check.h"
#include "core/base/poison.h"

#include <stdbool.h>
#include <string.h>

/* A live generation is odd, so a handle of a live object is never 0. */
static handle handle_of(uint32_t generation, uint32_t index) {
    return (handle)generation << 32 | index;
}

static uint8_t *object_at(const struct pool *p, uint32_t index) {
    return p->objects + (size_t)index * p->size;
}

static bool is_live(const struct pool *p, uint32_t index) {
    return p->generation[index] & 1;
}

void pool_init(struct pool *p, struct arena *a, uint32_t count, uint32_t size) {
    CHECK(size > 0 && size <= UINT32_MAX - 15 && count < UINT32_MAX);
    *p = (struct pool){ .size = (size + 15) & ~15u };
    p->objects = arena_take(a, (size_t)count * p->size);
    p->generation = arena_take(a, (size_t)count * sizeof *p->generation);
    p->next_free = arena_take(a, (size_t)count * sizeof *p->next_free);
    if (!a->mem)
        return;
    p->count = count;
    for (uint32_t i = 0; i < count; i++)
        p->next_free[i] = i + 1 < count ? i + 2 : 0;
    p->free_head = count ? 1 : 0;
    poison(p->objects, (size_t)count * p->size);
}

void *pool_alloc(struct pool *p, handle *h) {
    *h = HANDLE_NONE;
    if (!p->free_head)
        return NULL;
    uint32_t index = p->free_head - 1;
    CHECK(index < p->count && !is_live(p, index));
    p->free_head = p->next_free[index];
    p->generation[index]++;
    p->used++;
    if (p->used > p->high_water)
        p->high_water = p->used;
    *h = handle_of(p->generation[index], index);
    uint8_t *object = object_at(p, index);
    unpoison(object, p->size);
    memset(object, 0, p->size);
    return object;
}

handle pool_handle(const struct pool *p, const void *object) {
    uint32_t index = (uint32_t)((size_t)((const uint8_t *)object - p->objects) / p->size);
    CHECK(index < p->count && object_at(p, index) == object && is_live(p, index));
    return handle_of(p->generation[index], index);
}

void pool_free(struct pool *p, handle h) {
    uint8_t *object = pool_get(p, h);
    CHECK(object != NULL);
    CHECK(p->used > 0);
    uint32_t index = (uint32_t)h;
    poison(object, p->size);
    p->generation[index]++;
    p->next_free[index] = p->free_head;
    p->free_head = index + 1;
    p->used--;
}

void *pool_next(const struct pool *p, uint32_t *cursor, handle *h) {
    /* What was never taken lies behind the most that were at once: the free are taken last in, first out. */
    for (uint32_t i = *cursor; i < p->high_water; i++) {
        if (!is_live(p, i))
            continue;
        *cursor = i + 1;
        *h = handle_of(p->generation[i], i);
        return object_at(p, i);
    }
    *cursor = p->count;
    *h = HANDLE_NONE;
    return NULL;
}
