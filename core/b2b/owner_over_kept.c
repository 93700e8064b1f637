/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/owner_over_kept.h"

#include "core/b2b/leg.h"
#include "core/b2b/owner.h"
#include "core/b2b/owner_over_moved.h"

#include <string.h>

#define MOVED_LEGS_DIVISOR 8 /* of calls_max: of so many calls that are over it is known which legs are in another */

void owner_over_init(struct engine *e, struct arena *a, const struct engine_config *c, uint32_t legs) {
    uint32_t calls = c->shared ? c->calls_max : 0;
    pool_init(&e->over.kept, a, calls, sizeof(struct over_kept));
    pool_init(&e->over.moved_legs, a, calls ? calls / MOVED_LEGS_DIVISOR + 64 : 0, sizeof(struct over_moved_legs));
    e->over.moved_legs_next = 0;
    e->over.moved = calls ? arena_take(a, legs * sizeof *e->over.moved) : NULL;
}

/* NULL: of no leg. */
static struct over_kept *kept_of(const struct engine *e, const struct call *c) {
    const struct pool *p = &e->over.kept;
    return c->over ? (struct over_kept *)(void *)(p->objects + (size_t)(c->over - 1) * p->size) : NULL;
}

static struct over_kept *kept_for(struct engine *e, struct call *c) {
    struct over_kept *k = kept_of(e, c);
    handle h;
    if (!k && (k = pool_alloc(&e->over.kept, &h)))
        c->over = (uint32_t)h + 1;
    return k;
}

uint16_t over_dialog(const struct engine *e, const struct leg *l) {
    struct slice local = leg_str(l, DLG_LOCAL_TAG), remote = leg_str(l, DLG_REMOTE_TAG);
    struct siphash s;
    siphash_init(&s, e->owners.steering.key, false);
    siphash_add(&s, local.p, local.n);
    siphash_add(&s, remote.p, remote.n);
    return (uint16_t)(1 + siphash_end(&s).a % UINT16_MAX);
}

void owner_over_keep(struct engine *e, struct call *c, const struct leg *l) {
    const struct over_kept *k = kept_of(e, c);
    unsigned at = l->number % LIMIT_LEGS_PER_CALL;
    bool lives = k && k->numbers[at] == l->number && k->moved[at] != HANDLE_NONE; /* it was in two calls */
    if (!lives)
        owner_over_moved(e, c, l, HANDLE_NONE);
}

void owner_over_moved(struct engine *e, struct call *c, const struct leg *l, handle to) {
    unsigned at = l->number % LIMIT_LEGS_PER_CALL;
    if (!owner_is_shared(e))
        return;
    struct over_kept *k = kept_for(e, c);
    if (!k)
        return;
    k->moved[at] = to;
    k->dialogs[at] = over_dialog(e, l);
    k->numbers[at] = l->number;
}

void owner_over_free(struct engine *e, struct call *c) {
    if (c->over)
        pool_free(&e->over.kept, pool_handle(&e->over.kept, kept_of(e, c)));
    c->over = 0;
}

/* Of one that is being cancelled it is not known whether it is over: its party may pick up all the same, and the answer
 * reach who hears this. So what stands there is what it is not, which ends it only where it rings. */
static uint16_t dialog_now(const struct engine *e, const struct leg *l) {
    return l->state == LEG_CANCELLING ? over_moved_mask(over_dialog(e, l)) : over_dialog(e, l);
}

struct over_was over_leg_was(const struct engine *e, const struct call *c, uint64_t number) {
    const struct over_kept *k = kept_of(e, c);
    unsigned at = number % LIMIT_LEGS_PER_CALL;
    for (unsigned i = 0; i < c->leg_count; i++)
        if (leg_get(e, c->legs[i])->number == number)
            return (struct over_was){ .dialog = dialog_now(e, leg_get(e, c->legs[i])) };
    return k && k->numbers[at] == number ? (struct over_was){ k->dialogs[at], k->moved[at] } : (struct over_was){ 0 };
}

/* Nobody frees them: the handle of one that has made room finds nothing. */
static handle keep_moved(struct engine *e, const struct over_moved_legs *legs) {
    struct over_all *o = &e->over;
    handle self;
    if (!o->moved_legs.count)
        return HANDLE_NONE;
    const uint8_t *oldest = o->moved_legs.objects;
    oldest += (size_t)(o->moved_legs_next++ % o->moved_legs.count) * o->moved_legs.size;
    if (!pool_has_more(&o->moved_legs, 0))
        pool_free(&o->moved_legs, pool_handle(&o->moved_legs, oldest));
    memcpy(pool_alloc(&o->moved_legs, &self), legs, sizeof *legs);
    return self;
}

struct over_legs owner_over_legs(struct engine *e, const struct call *c) {
    struct over_legs legs = { .next_leg = owner_is_shared(e) ? c->next_leg : 0 };
    struct over_moved_legs moved = { 0 };
    struct over_moved x;
    bool any = false;
    for (unsigned i = 0; i < LIMIT_LEGS_PER_CALL && i < legs.next_leg; i++) {
        struct over_was w = over_leg_was(e, c, legs.next_leg - 1 - i);
        legs.dialogs[i] = w.dialog;
        moved.legs[i] = w.moved;
        any = any || over_moved_lives(e, w.moved, &x);
    }
    if (any)
        legs.moved = keep_moved(e, &moved);
    return legs;
}
