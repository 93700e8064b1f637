/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * arena: memory laid out once, at start. With mem == NULL it only counts, so that a size is asked with the
 * same code that later lays it out:  arena_init(&a, NULL, 0); engine_layout(&a, ...); need = a.used.
 */
#ifndef REFEREE_BASE_ARENA_H
#define REFEREE_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena {
    uint8_t *mem;   /* NULL: counting */
    size_t size;
    size_t used;
    bool zeroed;    /* the memory is known to be zero, and is not touched to make it so */
};

void arena_init(struct arena *a, void *mem, size_t size);
/* The same on memory that holds only zeros, as the kernel gives it. */
void arena_init_zeroed(struct arena *a, void *mem, size_t size);
/* Zeroed bytes aligned to 64; NULL while counting. A full arena is a bug (CHECK): sizes come from counting. */
void *arena_take(struct arena *a, size_t n);
/* The same bytes as they are, for who sets what it reads. */
void *arena_take_raw(struct arena *a, size_t n);

#endif
