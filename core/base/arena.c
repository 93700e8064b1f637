/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/arena.h"

#include "core/base/check.h"
#include "core/base/poison.h"

#include <string.h>

#define ARENA_ALIGN ((size_t)64)

static size_t round_up(size_t n) {
    return (n + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
}

void arena_init(struct arena *a, void *mem, size_t size) {
    *a = (struct arena){ .mem = mem, .size = size };
    if (!mem) {
        /* The memory that comes later may lie anywhere: room to align its start. */
        a->used = ARENA_ALIGN;
        return;
    }
    a->used = (ARENA_ALIGN - ((uintptr_t)mem & (ARENA_ALIGN - 1))) & (ARENA_ALIGN - 1);
    /* Pools of an earlier use of the same memory may have left it poisoned. */
    unpoison(mem, size);
}

void arena_init_zeroed(struct arena *a, void *mem, size_t size) {
    arena_init(a, mem, size);
    a->zeroed = true;
}

void *arena_take_raw(struct arena *a, size_t n) {
    CHECK(n <= SIZE_MAX / 2 && a->used <= SIZE_MAX / 2 - ARENA_ALIGN);
    size_t at = a->used;
    if (!a->mem) {
        a->used += round_up(n);
        return NULL;
    }
    CHECK(at <= a->size && n <= a->size - at);
    a->used += round_up(n);
    return a->mem + at;
}

void *arena_take(struct arena *a, size_t n) {
    void *mem = arena_take_raw(a, n);
    if (mem && !a->zeroed)
        memset(mem, 0, n);
    return mem;
}
