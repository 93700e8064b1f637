/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/owner_wait.h"

#include "core/b2b/state.h"
#include "core/base/check.h"

#define TRY_US 10000

void owner_wait_init(struct engine *e, struct arena *a) {
    e->wait = (struct owner_wait){ .timer.kind = TIMER_WAIT };
    if (e->cfg.shared)
        e->wait.items = arena_take(a, OWNER_WAITS_MAX * sizeof *e->wait.items);
}

static struct owner_waiting *at(const struct owner_wait *w, uint32_t i) {
    return &w->items[(w->first + i) % OWNER_WAITS_MAX];
}

static bool has(const struct owner_wait *w, const struct event *in) {
    for (uint32_t i = 0; i < w->used; i++)
        if (slice_eq(buf_slice(at(w, i)->bytes), in->u.dgram.bytes) && addr_eq(&at(w, i)->src, &in->u.dgram.src))
            return true;
    return false;
}

static void look_later(struct engine *e) {
    if (!wheel_is_set(&e->wait.timer))
        wheel_set(&e->wheel, &e->wait.timer, e->now + TRY_US);
}

static bool put(struct engine *e, const struct event *in, uint32_t most) {
    struct owner_wait *w = &e->wait;
    if (w->tries) {
        w->again = e->now < at(w, 0)->until_us;
        return w->again;
    }
    if (has(w, in))
        return true;
    struct buf *b = w->used < most ? buf_copy(&e->bufs, in->u.dgram.bytes) : NULL;
    if (!b)
        return false;
    *at(w, w->used++) = (struct owner_waiting){ b,
                                                in->u.dgram.src,
                                                in->u.dgram.dst,
                                                e->now + OWNER_WAIT_US,
                                                e->owners.told[e->owners.here],
                                                e->owners.from,
                                                e->owners.here,
                                                e->owners.hops };
    metrics_add(&e->metrics, M_peer_waited, 1);
    look_later(e);
    return true;
}

bool owner_wait_put(struct engine *e, const struct event *in) {
    return put(e, in, OWNER_WAITS_MAX);
}

bool owner_wait_put_able(struct engine *e, const struct event *in) {
    return put(e, in, OWNER_WAITS_MAX / 2);
}

void owner_wait_told(struct engine *e, uint16_t bucket, uint64_t epoch) {
    for (uint32_t i = 0; i < e->wait.used; i++) {
        struct owner_waiting *x = at(&e->wait, i);
        if (x->here == bucket && x->epoch < epoch)
            x->from = PEER_NONE;
    }
}

uint32_t owner_wait_count(const struct engine *e) {
    return e->wait.used;
}

void owner_wait_try(struct engine *e, struct event *in) {
    struct owner_wait *w = &e->wait;
    const struct owner_waiting *x = at(w, 0);
    CHECK(w->used && !w->tries);
    w->tries = true;
    w->again = false;
    e->owners.from = x->from;
    e->owners.here = x->here;
    e->owners.hops = x->hops;
    *in = (struct event){ .kind = EV_DATAGRAM, .mono_us = e->now, .wall_ms = e->wall_ms };
    in->u.dgram.bytes = buf_slice(x->bytes);
    in->u.dgram.src = x->src;
    in->u.dgram.dst = x->dst;
}

/* Behind the others, which so keep their order. */
void owner_wait_tried(struct engine *e) {
    struct owner_wait *w = &e->wait;
    struct owner_waiting x = *at(w, 0);
    w->tries = false;
    w->first = (w->first + 1) % OWNER_WAITS_MAX;
    w->used--;
    if (w->again)
        *at(w, w->used++) = x;
    else
        buf_unref(&e->bufs, &x.bytes);
    e->owners.hops = 0;
    e->owners.from = PEER_NONE;
    if (w->used)
        look_later(e);
}
