/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/map.h"

#include "core/base/check.h"

/* The key is a hash already: its low bits are the home slot. */
static uint32_t home_of(const struct map *m, struct key128 key) {
    return (uint32_t)key.a & m->mask;
}

/* The slot of the key, or the empty one where it would go. Ends: half of the slots are always empty. */
static uint32_t find(const struct map *m, struct key128 key) {
    uint32_t i = home_of(m, key);
    while (m->slots[i].value != HANDLE_NONE && !key128_eq(m->slots[i].key, key))
        i = (i + 1) & m->mask;
    return i;
}

void map_init(struct map *m, struct arena *a, uint32_t capacity) {
    CHECK(capacity <= UINT32_C(1) << 30);
    uint32_t slots = 2;
    while (slots < 2 * capacity)
        slots *= 2;
    *m = (struct map){ .slots = arena_take(a, (size_t)slots * sizeof *m->slots) };
    if (!m->slots)
        return;
    m->mask = slots - 1;
    m->capacity = capacity;
}

handle map_get(const struct map *m, struct key128 key) {
    if (m->used == 0)
        return HANDLE_NONE;
    return m->slots[find(m, key)].value;
}

bool map_put(struct map *m, struct key128 key, handle value) {
    CHECK(value != HANDLE_NONE);
    if (m->used == m->capacity)
        return false;
    struct map_slot *slot = &m->slots[find(m, key)];
    if (slot->value != HANDLE_NONE)
        return false;
    *slot = (struct map_slot){ key, value };
    m->used++;
    return true;
}

bool map_del(struct map *m, struct key128 key) {
    if (m->used == 0)
        return false;
    uint32_t hole = find(m, key);
    if (m->slots[hole].value == HANDLE_NONE)
        return false;
    /* Whoever could have lived in the hole moves back into it; so a search may stop at the first empty slot. */
    for (uint32_t i = (hole + 1) & m->mask; m->slots[i].value != HANDLE_NONE; i = (i + 1) & m->mask) {
        uint32_t from_home = (i - home_of(m, m->slots[i].key)) & m->mask;
        uint32_t from_hole = (i - hole) & m->mask;
        if (from_home >= from_hole) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){ .value = HANDLE_NONE };
    m->used--;
    return true;
}
