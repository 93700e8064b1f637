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

static struct port_queue *queue_of(struct port_pool *p, uint32_t slot) {
    const struct port_slot *s = &p->slots[slot];
    return (s->rests ? p->resting : s->kept ? p->kept : p->free) + slot / p->pairs;
}

static void push(struct port_pool *p, uint32_t slot) {
    struct port_queue *q = queue_of(p, slot);
    p->slots[slot].next = PORT_POOL_NONE;
    p->slots[slot].prev = q->tail;
    if (q->tail == PORT_POOL_NONE)
        q->head = slot;
    else
        p->slots[q->tail].next = slot;
    q->tail = slot;
}

static void push_front(struct port_pool *p, uint32_t slot) {
    struct port_queue *q = queue_of(p, slot);
    p->slots[slot].prev = PORT_POOL_NONE;
    p->slots[slot].next = q->head;
    p->slots[q->head].prev = slot;
    q->head = slot;
}

void port_pool_init_more(struct port_pool *p, struct arena *a, uint16_t first, uint16_t last, uint64_t quarantine_us,
                         uint32_t further) {
    uint32_t count = port_pool_pairs(first, last);
    CHECK(further < PORT_POOL_ADDRESSES);
    *p = (struct port_pool){
        .slots = arena_take(a, (size_t)count * (1 + further) * sizeof(struct port_slot)),
        .quarantine_us = quarantine_us,
        .count = count * (1 + further),
        .pairs = count,
        .first_port = (uint16_t)(first + (first & 1)),
    };
    for (uint32_t k = 0; k < PORT_POOL_ADDRESSES; k++)
        p->free[k] = p->kept[k] = p->resting[k] = (struct port_queue){ PORT_POOL_NONE, PORT_POOL_NONE };
    for (uint32_t i = 0; p->slots && i < p->count; i++)
        push(p, i);
}

static void unlink_slot(struct port_pool *p, uint32_t slot) {
    struct port_queue *q = queue_of(p, slot);
    struct port_slot *s = &p->slots[slot];
    if (s->prev == PORT_POOL_NONE)
        q->head = s->next;
    else
        p->slots[s->prev].next = s->next;
    if (s->next == PORT_POOL_NONE)
        q->tail = s->prev;
    else
        p->slots[s->next].prev = s->prev;
    s->next = s->prev = PORT_POOL_NONE;
    p->rest -= s->rests;
    s->rests = false;
}

/* Those whose rest is over are free before those in quarantine. */
static void wake(struct port_pool *p, uint32_t k, uint64_t now_us) {
    uint32_t slot;
    while ((slot = p->resting[k].head) != PORT_POOL_NONE && p->slots[slot].free_at_us <= now_us) {
        unlink_slot(p, slot);
        if (queue_of(p, slot)->head == PORT_POOL_NONE)
            push(p, slot);
        else
            push_front(p, slot);
    }
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
    if (free)
        unlink_slot(p, slot);
    s->taken = true;
    if (++s->generation == 0)
        s->generation = 1;
    if (++p->used > p->high_water)
        p->high_water = p->used;
    *generation = s->generation;
    return true;
}

/* The quarantine is one length for all, so the head is free if any is. */
static uint32_t take_head(struct port_pool *p, const struct port_queue *q, uint64_t now_us, uint32_t *generation) {
    uint32_t slot = q->head;
    return slot != PORT_POOL_NONE && port_pool_take_slot(p, slot, now_us, generation) ? slot : PORT_POOL_NONE;
}

uint32_t port_pool_take_at(struct port_pool *p, uint32_t k, uint64_t now_us, uint32_t *generation) {
    wake(p, k, now_us);
    uint32_t slot = take_head(p, &p->free[k], now_us, generation);
    p->exhausted += slot == PORT_POOL_NONE;
    return slot;
}

uint32_t port_pool_take_kept(struct port_pool *p, uint32_t k, uint64_t now_us, uint32_t *generation) {
    wake(p, k, now_us);
    uint32_t slot = take_head(p, &p->free[k], now_us, generation);
    if (slot == PORT_POOL_NONE)
        slot = take_head(p, &p->kept[k], now_us, generation);
    p->exhausted += slot == PORT_POOL_NONE;
    return slot;
}

uint32_t port_pool_take(struct port_pool *p, uint64_t now_us, uint32_t *generation) {
    return port_pool_take_at(p, 0, now_us, generation);
}

/* How many of n are missing still, behind those of the queue that are free. */
static uint32_t missing(const struct port_pool *p, const struct port_queue *q, uint32_t n, uint64_t now_us, bool kept) {
    for (uint32_t i = q->head; n && i != PORT_POOL_NONE && p->slots[i].free_at_us <= now_us; i = p->slots[i].next)
        n -= kept || !p->slots[i].kept;
    return n;
}

bool port_pool_has(const struct port_pool *p, uint32_t k, uint32_t n, uint64_t now_us) {
    n = missing(p, &p->free[k], n, now_us, false);
    return missing(p, &p->resting[k], n, now_us, false) == 0;
}

bool port_pool_has_kept(const struct port_pool *p, uint32_t k, uint32_t n, uint64_t now_us) {
    n = missing(p, &p->free[k], n, now_us, true);
    n = missing(p, &p->kept[k], n, now_us, true);
    return missing(p, &p->resting[k], n, now_us, true) == 0;
}

static void keep_at(struct port_pool *p, uint32_t k, uint32_t percent) {
    uint32_t n = 0;
    for (uint32_t i = p->free[k].head; i != PORT_POOL_NONE; i = p->slots[i].next)
        n++;
    for (n = n * percent / 100; n; n--) {
        uint32_t slot = p->free[k].tail;
        unlink_slot(p, slot);
        p->slots[slot].kept = true;
        push(p, slot);
    }
}

void port_pool_keep(struct port_pool *p, uint32_t percent) {
    for (uint32_t k = 0; k < PORT_POOL_ADDRESSES; k++)
        keep_at(p, k, percent);
}

/* One that was released as of before is free before those released meanwhile. */
static void free_slot(struct port_pool *p, uint32_t slot, uint64_t now_us) {
    uint32_t tail = queue_of(p, slot)->tail;
    p->slots[slot].taken = false;
    p->slots[slot].free_at_us = now_us + p->quarantine_us;
    if (tail != PORT_POOL_NONE && p->slots[tail].free_at_us > p->slots[slot].free_at_us)
        push_front(p, slot);
    else
        push(p, slot);
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

bool port_pool_leave(struct port_pool *p, uint32_t slot, uint32_t generation, uint64_t now_us) {
    struct port_slot *s = is_use(p, slot, generation) ? &p->slots[slot] : NULL;
    if (!s || s->home != PORT_OWN || p->rest >= p->count / 8)
        return port_pool_release(p, slot, generation, now_us);
    p->used--;
    p->rest++;
    s->taken = false;
    s->rests = true;
    s->free_at_us = now_us + PORT_POOL_REST_US;
    push(p, slot);
    return true;
}

bool port_pool_rested(struct port_pool *p, uint32_t slot, uint32_t generation, uint64_t now_us) {
    if (slot >= p->count || !p->slots[slot].rests || p->slots[slot].generation != generation)
        return false;
    unlink_slot(p, slot);
    free_slot(p, slot, now_us);
    return true;
}

void port_pool_set_foreign(struct port_pool *p, uint32_t slot) {
    unlink_slot(p, slot);
    p->slots[slot].taken = true;
    p->slots[slot].home = PORT_FOREIGN;
}

bool port_pool_is_elsewhere(const struct port_pool *p, uint32_t slot) {
    return slot < p->count && (p->slots[slot].home == PORT_LENT || p->slots[slot].home == PORT_FOREIGN);
}

bool port_pool_is_guest(const struct port_pool *p, uint32_t slot) {
    return slot < p->count && p->slots[slot].home == PORT_FOREIGN_TAKEN;
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
