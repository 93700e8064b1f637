/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What only lingers waits in queues: all of one queue wait as long, so that who came first goes first, and one timer
 * serves them all.
 */
#include "core/base/check.h"
#include "core/sip/txn_table.h"

#define DUE_AT_ONCE 64

static struct txn *at(const struct txn_layer *l, uint32_t place) {
    return (struct txn *)(l->pool.objects + (size_t)(place - 1) * l->pool.size);
}

static enum txn_wait wait_of(enum txn_timer_kind timer, bool reliable) {
    switch (timer) {
    case TXN_TIMER_L:
    case TXN_TIMER_M: return TXN_WAIT_64T1;
    case TXN_TIMER_J: return reliable ? TXN_WAIT_NONE : TXN_WAIT_64T1;
    case TXN_TIMER_D: return reliable ? TXN_WAIT_NONE : TXN_WAIT_D;
    default: return reliable ? TXN_WAIT_NONE : TXN_WAIT_T4;
    }
}

static uint64_t length_of(const struct txn_times *t, enum txn_wait w) {
    const uint64_t length[TXN_WAITS] = { [TXN_WAIT_T4] = t->t4, [TXN_WAIT_64T1] = 64 * t->t1, [TXN_WAIT_D] = t->d };
    return length[w];
}

void txn_linger(struct txn_step *s, enum txn_timer_kind timer) {
    struct txn_layer *l = s->layer;
    struct txn *t = s->txn;
    uint32_t place = (uint32_t)t->self + 1;
    enum txn_wait w = wait_of(timer, txn_reliable(t));
    struct txn_queue *q = &l->queues[w];
    t->lingers = true;
    t->wait = (uint8_t)(w & 3);
    t->ends_us = s->now + length_of(&l->times, w);
    t->u.queue.next = 0;
    t->u.queue.prev = q->last;
    if (q->last)
        at(l, q->last)->u.queue.next = place;
    else
        q->first = place;
    q->last = place;
    if (!wheel_is_set(&q->timer))
        wheel_set(l->wheel, &q->timer, t->ends_us);
}

void txn_linger_end(struct txn_layer *l, struct txn *t) {
    struct txn_queue *q = &l->queues[t->wait];
    uint32_t next = t->u.queue.next, prev = t->u.queue.prev;
    *(next ? &at(l, next)->u.queue.prev : &q->last) = prev;
    *(prev ? &at(l, prev)->u.queue.next : &q->first) = next;
    if (!q->first)
        wheel_cancel(l->wheel, &q->timer);
}

void txn_linger_due(struct txn_step *s, struct wheel_node *n) {
    struct txn_layer *l = s->layer;
    CHECK(n->owner < TXN_WAITS);
    struct txn_queue *q = &l->queues[n->owner];
    for (unsigned i = 0; i < DUE_AT_ONCE && q->first && at(l, q->first)->ends_us <= s->now; i++) {
        s->txn = at(l, q->first);
        txn_run(s, txn_timer_event(s->txn->kind, txn_machine(s->txn->kind)->lingers[s->txn->state]));
    }
    if (q->first)
        wheel_set(l->wheel, &q->timer, at(l, q->first)->ends_us);
}
