/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the store said shortly before it went, and what a promoted server may not have. */
#include "core/b2b/barrier.h"
#include "core/b2b/move_left.h"
#include "core/b2b/moved.h"

#define GONE_PER_CALL_DIVISOR 2 /* of calls_max: of so many calls the end is remembered */

struct gone {
    struct gone_record record;
    uint64_t at_us;
};

void barrier_lost_init(struct engine *e, struct arena *a) {
    struct barrier *b = &e->barrier;
    b->gone_max = e->cfg.calls_max / GONE_PER_CALL_DIVISOR + 64;
    b->gone = arena_take(a, b->gone_max * sizeof *b->gone);
}

void barrier_lost_said(struct engine *e, uint64_t sent_us) {
    struct barrier *b = &e->barrier;
    if (sent_us > b->said_us)
        b->said_us = sent_us;
}

void barrier_lost_note(struct engine *e, const struct gone_record *g) {
    struct barrier *b = &e->barrier;
    b->gone[b->gone_n++ % b->gone_max] = (struct gone){ *g, e->now };
}

/* When it went is not known, only when it was there still; between the two it has said nothing. */
void barrier_lost_begin(struct engine *e) {
    struct barrier *b = &e->barrier;
    if (!b->lost_us)
        b->lost_us = b->said_us ? b->said_us : e->now;
}

static bool may_be_lost(const struct barrier *b, uint64_t at_us) {
    return at_us && at_us + BARRIER_LAG_US >= b->lost_us;
}

void barrier_lost_again(struct engine *e) {
    struct barrier *b = &e->barrier;
    uint32_t cursor = 0, n = b->gone_n < b->gone_max ? b->gone_n : b->gone_max;
    handle h;
    if (!b->lost_us)
        return;
    for (struct call *c; (c = pool_next(&e->calls, &cursor, &h));)
        if (may_be_lost(b, c->stored_us) && c->record_stored)
            barrier_rewrite(e, c);
    for (uint32_t i = 0; i < n; i++) {
        const struct gone *g = &b->gone[(b->gone_n - 1 - i) % b->gone_max];
        if (!may_be_lost(b, g->at_us))
            break;
        barrier_delete(e, &g->record);
    }
    moved_lost_again(e, b->lost_us > BARRIER_LAG_US ? b->lost_us - BARRIER_LAG_US : 0);
    move_left_again(e);
    b->gone_n = 0;
    b->lost_us = 0;
}
