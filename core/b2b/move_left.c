/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/move_left.h"

#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/moved.h"
#include "core/b2b/owner.h"
#include "core/b2b/owner_over.h"
#include "core/b2b/record.h"
#include "core/b2b/recover.h"

/* Call, the version that left, and the bucket it is in. In hex. */
#define ID_LEN 16
#define TEXT_LEN (2 * ID_LEN + LIMIT_BUCKET_DIGITS)

#define HEARD_US 30000000 /* the bucket's records are read by then */
/* The link to who has just come may not be there yet. */
#define AGAIN 3
#define AGAIN_US 1000000

static void put(struct lefts *l, const struct left *x) {
    uint32_t at = 0;
    while (at < l->used && (l->items[at].call != x->call || l->items[at].from != x->from))
        at++;
    if (at == l->used)
        at = l->used < LEFTS_MAX ? l->used++ : l->oldest++ % LEFTS_MAX;
    l->items[at] = *x;
}

/* It is in that bucket again. */
static void drop(struct lefts *l, uint64_t call, uint16_t from) {
    uint32_t n = l->used;
    l->used = l->oldest = 0;
    for (uint32_t i = 0; i < n; i++)
        if (l->items[i].call != call || l->items[i].from != from)
            l->items[l->used++] = l->items[i];
}

void move_left_arrived(struct engine *e, const struct call *c, uint16_t from) {
    drop(&e->arrivals, c->id, c->bucket);
    drop(&e->left_elsewhere, c->id, c->bucket);
    struct left x = { .call = c->id, .version = c->version, .epoch = e->owners.told[from], .from = from };
    if (from != c->bucket)
        put(&e->arrivals, &x);
}

static void say(struct engine *e, const struct left *x) {
    char text[TEXT_LEN];
    struct sbuf b = sbuf_on(text, sizeof text);
    const struct call *c = call_find(e, x->call);
    uint32_t to = owner_peer(e, x->from);
    if (to == PEER_NONE || !c || c->bucket == x->from || !owner_is_mine(e, c->bucket))
        return;
    sbuf_hex(&b, x->call, ID_LEN);
    sbuf_hex(&b, x->version, ID_LEN);
    sbuf_hex(&b, c->bucket, LIMIT_BUCKET_DIGITS);
    peer_send(e, PEER_LEFT, to, x->from, sbuf_slice(&b));
}

/* Once for each epoch: what cannot be sent has us told once more who it is. */
void move_left_tell(struct engine *e, uint16_t bucket, uint64_t epoch, bool news) {
    for (uint32_t i = 0; i < e->arrivals.used; i++) {
        struct left *x = &e->arrivals.items[i];
        if (x->from != bucket || (!news && x->epoch == epoch))
            continue;
        x->epoch = epoch;
        say(e, x);
        x->again = AGAIN;
        if (!wheel_is_set(&e->left_timer))
            wheel_set(&e->wheel, &e->left_timer, e->now + AGAIN_US);
    }
}

void move_left_again(struct engine *e) {
    for (uint32_t i = 0; i < e->arrivals.used; i++) {
        const struct left *x = &e->arrivals.items[i];
        const struct call *c = call_find(e, x->call);
        if (!owner_is_mine(e, x->from))
            say(e, x);
        else if (!c || c->bucket != x->from)
            barrier_delete(e, &(struct gone_record){ .id = x->call, .version = x->version, .bucket = x->from,
                                                     .left = true });
    }
}

void move_left_on_timer(struct engine *e) {
    bool any = false;
    for (uint32_t i = 0; i < e->arrivals.used; i++) {
        struct left *x = &e->arrivals.items[i];
        if (!x->again)
            continue;
        x->again--;
        say(e, x);
        any = any || x->again;
    }
    if (any)
        wheel_set(&e->wheel, &e->left_timer, e->now + AGAIN_US);
}

/* What was done with it here its parties know; what was only read, nobody. */
static void yield(struct engine *e, struct call *c, uint32_t peer, const struct left *x) {
    if (!c->resuming)
        owner_over_say_twice(e, peer, c, x->to);
    for (unsigned i = 0; i < c->leg_count; i++)
        (void)moved_put_leg(e, leg_get(e, c->legs[i]), x->from, x->to, c->id);
    record_delete(e, c);
    recover_forget(e, c);
}

static bool read(struct slice in, struct left *x) {
    uint64_t to = 0;
    bool ok = in.n >= TEXT_LEN && slice_hex(slice_of(in.p, ID_LEN), &x->call) &&
              slice_hex(slice_of(in.p + ID_LEN, ID_LEN), &x->version) &&
              slice_hex(slice_of(in.p + 2 * ID_LEN, LIMIT_BUCKET_DIGITS), &to);
    x->to = (uint16_t)(to % LIMIT_BUCKETS);
    return ok && x->to != x->from;
}

void move_left_heard(struct engine *e, uint32_t peer, uint16_t bucket, struct slice bytes) {
    struct left x = { .from = bucket, .until_us = e->now + HEARD_US };
    if (!owner_is_shared(e) || !read(bytes, &x))
        return;
    put(&e->left_elsewhere, &x);
    struct call *c = call_find(e, x.call);
    bool held = owner_is_mine(e, bucket) || e->owners.of[bucket] == OWNER_LOADING;
    if (c && held && c->bucket == bucket && c->read_version && c->read_version <= x.version)
        yield(e, c, peer, &x);
}

uint16_t move_left_where(const struct engine *e, const struct call *c, uint16_t bucket) {
    for (uint32_t i = 0; i < e->left_elsewhere.used; i++) {
        const struct left *x = &e->left_elsewhere.items[i];
        if (x->call == c->id && x->from == bucket && c->version <= x->version && e->now < x->until_us)
            return x->to;
    }
    return TOKEN_BUCKETS;
}
