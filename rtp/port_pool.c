/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/port_pool.h"

#include "core/base/check.h"

uint32_t port_pool_pairs(uint16_t first, uint16_t last) {
    uint32_t even = (uint32_t)first + (first & 1);
    return last > even ? (last - even + 1) / 2 : 0;
}

void port_pool_init(struct port_pool *p, struct arena *a, uint16_t first, uint16_t last, uint64_t quarantine_us) {
    port_pool_init_more(p, a, first, last, quarantine_us, 0);
}

void port_pool_init_more(struct port_pool *p, struct arena *a, uint16_t first, uint16_t last, uint64_t quarantine_us,
                         uint32_t further) {
    uint32_t count = port_pool_pairs(first, last);
    *p = (struct port_pool){
        .slots = arena_take(a, (size_t)count * (1 + further) * sizeof(struct port_slot)),
        .quarantine_us = quarantine_us,
        .count = count * (1 + further),
        .pairs = count,
        .first_port = (uint16_t)(first + (first & 1)),
        .head = count ? 0 : PORT_POOL_NONE,
        .tail = count ? count - 1 : PORT_POOL_NONE,
    };
    for (uint32_t i = 0; p->slots && i < count; i++) {
        p->slots[i].next = i + 1 < count ? i + 1 : PORT_POOL_NONE;
        p->slots[i].prev = i ? i - 1 : PORT_POOL_NONE;
    }
}

static void unlink_slot(struct port_pool *p, struct port_slot *s) {
    if (s->prev == PORT_POOL_NONE)
        p->head = s->next;
    else
        p->slots[s->prev].next = s->next;
    if (s->next == PORT_POOL_NONE)
        p->tail = s->prev;
    else
        p->slots[s->next].prev = s->prev;
    s->next = s->prev = PORT_POOL_NONE;
}

/* Taken already, but not by anybody here. */
static bool comes_along(struct port_slot *s) {
    if (s->home != PORT_LENT && s->home != PORT_FOREIGN)
        return false;
    s->home++;
    return true;
}

bool port_pool_take_slot(struct port_pool *p, uint32_t slot, uint64_t now_us, uint32_t *generation) {
    struct port_slot *s = slot < p->count ? &p->slots[slot] : NULL;
    bool free = s && !s->taken && s->free_at_us <= now_us;
    if (!s || (!free && !comes_along(s)))
        return false;
    if (free && slot < p->pairs)
        unlink_slot(p, s);
    s->taken = true;
    if (++s->generation == 0)
        s->generation = 1;
    if (++p->used > p->high_water)
        p->high_water = p->used;
    *generation = s->generation;
    return true;
}

uint32_t port_pool_take(struct port_pool *p, uint64_t now_us, uint32_t *generation) {
    uint32_t slot = p->head;
    /* The quarantine is one length for all, so the head is the first to be free. */
    if (slot != PORT_POOL_NONE && port_pool_take_slot(p, slot, now_us, generation))
        return slot;
    p->exhausted++;
    return PORT_POOL_NONE;
}

uint32_t port_pool_take_at(struct port_pool *p, uint32_t k, uint64_t now_us, uint32_t *generation) {
    for (uint32_t i = 0; i < p->pairs; i++)
        if (port_pool_take_slot(p, p->pairs * k + i, now_us, generation))
            return p->pairs * k + i;
    p->exhausted++;
    return PORT_POOL_NONE;
}

static void free_slot(struct port_pool *p, uint32_t slot, uint64_t now_us) {
    struct port_slot *s = &p->slots[slot];
    s->taken = false;
    s->free_at_us = now_us + p->quarantine_us;
    if (slot >= p->pairs)
        return;
    s->next = PORT_POOL_NONE;
    s->prev = p->tail;
    if (p->tail == PORT_POOL_NONE)
        p->head = slot;
    else
        p->slots[p->tail].next = slot;
    p->tail = slot;
}

static bool is_use(const struct port_pool *p, uint32_t slot, uint32_t generation) {
    const struct port_slot *s = slot < p->count ? &p->slots[slot] : NULL;
    return s && s->taken && s->generation == generation && s->home != PORT_LENT && s->home != PORT_FOREIGN;
}

bool port_pool_release(struct port_pool *p, uint32_t slot, uint32_t generation, uint64_t now_us) {
    if (!is_use(p, slot, generation))
        return false;
    struct port_slot *s = &p->slots[slot];
    p->used--;
    if (s->home == PORT_OWN)
        free_slot(p, slot, now_us);
    else
        s->home--;
    return true;
}

void port_pool_set_foreign(struct port_pool *p, uint32_t slot) {
    struct port_slot *s = &p->slots[slot];
    if (slot < p->pairs)
        unlink_slot(p, s);
    s->taken = true;
    s->home = PORT_FOREIGN;
}

void port_pool_lend(struct port_pool *p, uint32_t slot, uint32_t generation) {
    if (!is_use(p, slot, generation))
        return;
    struct port_slot *s = &p->slots[slot];
    s->home = s->home == PORT_FOREIGN_TAKEN ? PORT_FOREIGN : PORT_LENT;
    p->used--;
}

void port_pool_settle(struct port_pool *p, uint32_t slot) {
    if (slot < p->count && p->slots[slot].home == PORT_LENT_TAKEN)
        p->slots[slot].home = PORT_OWN;
}

void port_pool_returned(struct port_pool *p, uint32_t slot, uint64_t now_us) {
    if (slot >= p->count || p->slots[slot].home != PORT_LENT)
        return;
    p->slots[slot].home = PORT_OWN;
    free_slot(p, slot, now_us);
}

uint16_t port_pool_rtp_port(const struct port_pool *p, uint32_t slot) {
    CHECK(slot < p->count);
    return (uint16_t)(p->first_port + 2 * (slot % p->pairs));
}

uint32_t port_pool_slot_of(const struct port_pool *p, uint16_t port) {
    if (port < p->first_port || (uint32_t)(port - p->first_port) / 2 >= p->pairs)
        return PORT_POOL_NONE;
    return (uint32_t)(port - p->first_port) / 2;
}
