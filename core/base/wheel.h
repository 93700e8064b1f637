/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * wheel: hierarchical timer wheel, intrusive, told the time. 1 ms ticks; 4 levels of 256 slots; what lies beyond is
 * kept at the last level and re-filed. A node fires at the first wheel_pop whose time is its deadline or later.
 * Nodes that fall due together come out by deadline, ties in the order they were set (a sequence number): the
 * same calls give the same order on every machine.
 */
#ifndef REFEREE_BASE_WHEEL_H
#define REFEREE_BASE_WHEEL_H

#include "core/base/pool.h"

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_NEVER UINT64_MAX

struct wheel_node {
    struct wheel_node *next, *prev;  /* NULL: not set */
    uint64_t deadline_us;
    handle owner;                    /* the caller's, untouched by the wheel */
    uint32_t seq;                    /* of nodes that fall due together, it wraps */
    uint16_t kind;                   /* the caller's, untouched by the wheel */
    uint16_t slot;
};

struct wheel {
    struct wheel_node slots[4][256]; /* list heads */
    struct wheel_node due;           /* expired, in order, waiting to be popped */
    uint64_t busy[4][4];             /* a bit per slot that has nodes */
    uint64_t now_us;                 /* the latest time told */
    uint64_t now_tick;               /* the same in ms */
    uint32_t seq;
    uint32_t armed;
};

void wheel_init(struct wheel *w, uint64_t now_us);
/* Sets or moves the node. A deadline in the past fires at the next wheel_pop; WHEEL_NEVER cancels. */
void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t deadline_us);
/* No effect on a node that is not set. */
void wheel_cancel(struct wheel *w, struct wheel_node *n);
static inline bool wheel_is_set(const struct wheel_node *n) {
    return n->next != NULL;
}
/* Moves time to now_us (never back) and takes out one node that is due, or NULL when none is left. */
struct wheel_node *wheel_pop(struct wheel *w, uint64_t now_us);
/* A time at or before the earliest deadline, at which wheel_pop should be called again; WHEEL_NEVER when empty. */
uint64_t wheel_next(const struct wheel *w);

#endif
