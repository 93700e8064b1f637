/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/call.h"

#include "core/b2b/barrier.h"
#include "core/b2b/cdr.h"
#include "core/b2b/moved.h"
#include "core/b2b/owner.h"
#include "core/b2b/owner_over_moved.h"
#include "core/b2b/record.h"
#include "core/base/check.h"
#include "core/sip/steer.h"

/* The same bucket for the same Call-ID in the whole cluster, so a new call's INVITE finds it without asking anyone.
 * Among several engines: the one that the INVITE was brought here by. */
static uint16_t bucket_of(const struct engine *e, struct slice call_id) {
    return owner_is_shared(e) ? e->owners.here : steer_hash(&e->owners.steering, call_id);
}

void call_index(struct engine *e, const struct call *c) {
    chain_put(&e->calls_by_id, c->id, c->self);
    chain_put(&e->calls_by_bucket, c->bucket, c->self);
}

void call_unindex(struct engine *e, const struct call *c) {
    chain_del(&e->calls_by_id, c->self);
    chain_del(&e->calls_by_bucket, c->self);
}

struct call *call_find(const struct engine *e, uint64_t id) {
    uint32_t cursor = 0;
    for (struct call *c; (c = chain_next(&e->calls_by_id, id, &cursor));)
        if (c->id == id)
            return c;
    return NULL;
}

struct call *call_new(struct engine *e, struct slice call_id) {
    handle h;
    struct call *c = pool_alloc(&e->calls, &h);
    if (!c)
        return NULL;
    c->self = h;
    c->id = rng_u64(&e->rng);
    c->bucket = bucket_of(e, call_id);
    c->epoch = owner_epoch(e, c->bucket);
    call_index(e, c);
    c->created_ms = e->wall_ms;
    metrics_add(&e->metrics, M_calls_started, 1);
    call_touch(e, c);
    return c;
}

void call_touch(struct engine *e, struct call *c) {
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = e->dirty;
    e->dirty = c->self;
}

void call_changed(struct engine *e, struct call *c) {
    c->record_changed = true;
    call_touch(e, c);
}

void call_changed_first(struct engine *e, struct call *c) {
    handle *at = &e->dirty;
    call_changed(e, c);
    while (*at != c->self)
        at = &call_get(e, *at)->next_dirty;
    *at = c->next_dirty;
    c->next_dirty = e->dirty;
    e->dirty = c->self;
}

void call_promised(struct engine *e, struct call *c) {
    if (c && e->cfg.durability != DURABILITY_OFF)
        call_changed(e, c);
}

bool call_is_unknown(const struct call *c) {
    return !c->stored && !c->resuming;
}

void call_end(struct engine *e, struct call *c, uint16_t status, struct slice extra) {
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        CHECK(l);
        if (leg_is_live(l) || l->state == LEG_IDLE || l->state == LEG_LEFT)
            leg_end(e, l, status, extra);
    }
}

static void drop_leg(struct call *c, unsigned i) {
    c->leg_count--;
    for (; i < c->leg_count; i++)
        c->legs[i] = c->legs[i + 1];
}

/* Who takes over from who died between the two writes finds the leg twice, not nowhere: record_decode_leg.c. */
bool call_move_leg(struct engine *e, struct leg *l, struct call *to) {
    struct call *from = leg_call(e, l);
    if (from == to)
        return true;
    if (to->leg_count == LIMIT_LEGS_PER_CALL || !moved_put_leg(e, l, from->bucket, to->bucket, to->id))
        return false;
    cdr_leg(e, from, l, to);
    for (unsigned i = 0; i < from->leg_count; i++) {
        if (from->legs[i] != l->self)
            continue;
        drop_leg(from, i);
        break;
    }
    to->legs[to->leg_count++] = l->self;
    owner_over_moved(e, from, l, l->self);
    barrier_move(e, l, from, to);
    l->call = to->self;
    l->number = to->next_leg++;
    l->moves += l->moves < UINT8_MAX;
    over_moved_since(e, l, to->version);
    call_changed(e, from);
    call_changed_first(e, to);
    return true;
}

static void reap_legs(struct engine *e, struct call *c) {
    for (unsigned i = 0; i < c->leg_count;) {
        struct leg *l = leg_get(e, c->legs[i]);
        CHECK(l);
        if (l->state != LEG_DEAD) {
            i++;
            continue;
        }
        cdr_leg(e, c, l, NULL);
        owner_over_keep(e, c, l);
        leg_free(e, l);
        drop_leg(c, i);
        c->record_changed = true;
    }
}

static void untouch(struct engine *e, struct call *c) {
    handle *at = &e->dirty;
    while (*at != c->self)
        at = &call_get(e, *at)->next_dirty;
    *at = c->next_dirty;
}

void call_free(struct engine *e, struct call *c) {
    if (c->dirty)
        untouch(e, c);
    buf_unref(&e->bufs, &c->kept);
    owner_over_free(e, c);
    call_unindex(e, c);
    pool_free(&e->calls, c->self);
}

static void finish(struct engine *e, struct call *c) {
    barrier_mark(e, c, false);
    wheel_cancel(&e->wheel, &c->held_timer);
    cdr_call(e, c);
    metrics_add(&e->metrics, M_calls_ended, 1);
    trace_text(&e->trace, TRACE_INFO, "call", c->id, 0xff, SL("ended"));
    call_free(e, c);
}

/* One that nobody was called for yet is not worth a record. */
static bool is_kept(const struct engine *e, const struct call *c) {
    if (!e->cfg.records && !owner_is_shared(e))
        return false;
    return c->answered || (e->cfg.durability != DURABILITY_OFF &&
                           (c->leg_count > 1 || c->transfer != HANDLE_NONE || c->record_stored));
}

void call_reap(struct engine *e) {
    while (e->dirty != HANDLE_NONE) {
        struct call *c = call_get(e, e->dirty);
        CHECK(c);
        e->dirty = c->next_dirty;
        c->dirty = false;
        cdr_note_legs(e, c);
        reap_legs(e, c);
        bool over = c->leg_count == 0 && c->transfer == HANDLE_NONE;
        if (over)
            record_delete(e, c);
        else if (c->record_changed && is_kept(e, c))
            record_store(e, c);
        barrier_settle(e, c);
        if (over && !barrier_holds(c))
            finish(e, c);
    }
}
