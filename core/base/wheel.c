/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A node lies at the level of the highest byte in which its tick and now_tick differ, in the slot that byte names. So
 * on each level only slots after the current one are in use, and all of a level falls due before the next level
 * begins. Slot 0 of the last level can hold nothing else and keeps what lies beyond its turn (2^32 ms).
 * `due` holds, sorted, every node whose tick has come; of the current tick some may still lie up to 1 ms ahead.
 */
#include "core/base/wheel.h"

#include "core/base/check.h"

#define LEVELS 4
#define LEVEL_BITS 8
#define SLOT_MASK 255u
#define BEYOND_SHIFT (LEVELS * LEVEL_BITS)
#define DUE_SLOT UINT16_MAX
#define TICK_US 1000

/* Nodes of one slot that wheel_next looks at for the exact time; a fuller slot is named by its start. */
#define NEXT_SCAN_MAX 16

struct slot_ref {
    unsigned level, index;
    uint64_t tick;      /* when the slot begins */
};

static bool is_before(const struct wheel_node *a, const struct wheel_node *b) {
    return a->deadline_us != b->deadline_us ? a->deadline_us < b->deadline_us : (int32_t)(a->seq - b->seq) < 0;
}

static void list_init(struct wheel_node *head) {
    head->next = head->prev = head;
}

static void link_after(struct wheel_node *at, struct wheel_node *n) {
    n->prev = at;
    n->next = at->next;
    at->next->prev = n;
    at->next = n;
}

static void busy_set(struct wheel *w, unsigned level, unsigned index, bool on) {
    uint64_t bit = UINT64_C(1) << (index & 63);
    if (on)
        w->busy[level][index >> 6] |= bit;
    else
        w->busy[level][index >> 6] &= ~bit;
}

static void insert_due(struct wheel *w, struct wheel_node *n) {
    struct wheel_node *at = w->due.prev;
    while (at != &w->due && is_before(n, at))
        at = at->prev;
    link_after(at, n);
    n->slot = DUE_SLOT;
}

/* For a tick that is still to come. */
static void insert_slot(struct wheel *w, struct wheel_node *n, uint64_t tick) {
    uint64_t differs = tick ^ w->now_tick;
    unsigned level = LEVELS - 1, index = 0;
    if (differs >> BEYOND_SHIFT == 0) {
        level = (63 - (unsigned)__builtin_clzll(differs)) / LEVEL_BITS;
        index = (unsigned)(tick >> (level * LEVEL_BITS)) & SLOT_MASK;
    }
    link_after(w->slots[level][index].prev, n);
    n->slot = (uint16_t)(level << LEVEL_BITS | index);
    busy_set(w, level, index, true);
}

static void unlink_node(struct wheel *w, struct wheel_node *n) {
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = NULL;
    w->armed--;
    if (n->slot == DUE_SLOT)
        return;
    unsigned level = n->slot >> LEVEL_BITS, index = n->slot & SLOT_MASK;
    if (w->slots[level][index].next == &w->slots[level][index])
        busy_set(w, level, index, false);
}

void wheel_init(struct wheel *w, uint64_t now_us) {
    *w = (struct wheel){ .now_us = now_us, .now_tick = now_us / TICK_US };
    for (unsigned level = 0; level < LEVELS; level++)
        for (unsigned i = 0; i <= SLOT_MASK; i++)
            list_init(&w->slots[level][i]);
    list_init(&w->due);
}

void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t deadline_us) {
    wheel_cancel(w, n);
    if (deadline_us == WHEEL_NEVER)
        return;
    n->deadline_us = deadline_us;
    n->seq = w->seq++;
    w->armed++;
    uint64_t tick = deadline_us / TICK_US;
    if (tick <= w->now_tick)
        insert_due(w, n);
    else
        insert_slot(w, n, tick);
}

void wheel_cancel(struct wheel *w, struct wheel_node *n) {
    if (!wheel_is_set(n))
        return;
    CHECK(w->armed > 0);
    CHECK_SLOW(n->next->prev == n && n->prev->next == n);
    unlink_node(w, n);
}

/* First busy slot of a level from index `from`, or -1. */
static int first_busy(const struct wheel *w, unsigned level, unsigned from) {
    uint64_t word = w->busy[level][0] >> from << from;
    for (unsigned i = 0;; word = w->busy[level][++i]) {
        if (word)
            return (int)(i * 64 + (unsigned)__builtin_ctzll(word));
        if (i == 3)
            return -1;
    }
}

/* The slot that falls due next; false: none is in use. */
static bool next_slot(const struct wheel *w, struct slot_ref *r) {
    for (unsigned level = 0; level < LEVELS; level++) {
        int index = first_busy(w, level, level == LEVELS - 1 ? 1 : 0);
        if (index < 0)
            continue;
        unsigned shift = level * LEVEL_BITS;
        uint64_t turn = w->now_tick >> (shift + LEVEL_BITS) << (shift + LEVEL_BITS);
        *r = (struct slot_ref){ level, (unsigned)index, turn | (uint64_t)index << shift };
        CHECK(r->tick > w->now_tick);
        return true;
    }
    *r = (struct slot_ref){ LEVELS - 1, 0, ((w->now_tick >> BEYOND_SHIFT) + 1) << BEYOND_SHIFT };
    return w->busy[LEVELS - 1][0] & 1;
}

/* Lists of merge and sort end with NULL and use `next` alone. */
static struct wheel_node *merge(struct wheel_node *a, struct wheel_node *b) {
    struct wheel_node head = { .next = NULL }, *tail = &head;
    while (a && b) {
        struct wheel_node **least = is_before(b, a) ? &b : &a;
        tail->next = *least;
        tail = *least;
        *least = (*least)->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static struct wheel_node *sort(struct wheel_node *list) {
    struct wheel_node *runs[32] = { NULL }, *all = NULL;   /* runs[i]: 2^i nodes in order, or none */
    while (list) {
        struct wheel_node *run = list;
        list = list->next;
        run->next = NULL;
        unsigned i = 0;
        for (; runs[i]; i++) {
            run = merge(runs[i], run);
            runs[i] = NULL;
        }
        runs[i] = run;
    }
    for (unsigned i = 0; i < 32; i++)
        all = merge(runs[i], all);
    return all;
}

/* Time is at the slot's beginning: what is due goes, in order, to `due`; the rest to lower levels. Sorted first, since
 * inserting a slot full of nodes one by one in any order would take the square of their number. */
static void open_slot(struct wheel *w, const struct slot_ref *r) {
    struct wheel_node *head = &w->slots[r->level][r->index];
    struct wheel_node *n = head->next, *due = NULL;
    head->prev->next = NULL;
    list_init(head);
    busy_set(w, r->level, r->index, false);
    while (n) {
        struct wheel_node *next = n->next;
        uint64_t tick = n->deadline_us / TICK_US;
        CHECK(tick >= w->now_tick);
        if (tick == w->now_tick) {
            n->next = due;
            due = n;
        } else {
            insert_slot(w, n, tick);
        }
        n = next;
    }
    for (due = sort(due); due; due = n) {
        n = due->next;
        insert_due(w, due);
    }
}

static void advance(struct wheel *w, uint64_t now_us) {
    struct slot_ref r;
    if (now_us <= w->now_us)
        return;
    w->now_us = now_us;
    while (next_slot(w, &r) && r.tick <= now_us / TICK_US) {
        w->now_tick = r.tick;
        open_slot(w, &r);
    }
    w->now_tick = now_us / TICK_US;
}

struct wheel_node *wheel_pop(struct wheel *w, uint64_t now_us) {
    advance(w, now_us);
    struct wheel_node *n = w->due.next;
    if (n == &w->due || n->deadline_us > w->now_us)
        return NULL;
    unlink_node(w, n);
    return n;
}

uint64_t wheel_next(const struct wheel *w) {
    struct slot_ref r;
    if (w->due.next != &w->due)
        return w->due.next->deadline_us;
    if (!next_slot(w, &r))
        return WHEEL_NEVER;
    const struct wheel_node *head = &w->slots[r.level][r.index], *n = head->next;
    uint64_t least = WHEEL_NEVER;
    for (unsigned i = 0; i < NEXT_SCAN_MAX && n != head; i++, n = n->next)
        least = n->deadline_us < least ? n->deadline_us : least;
    return n == head ? least : r.tick * TICK_US;
}
