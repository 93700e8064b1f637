/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/check.h"
#include "store/redis_int.h"

/* ---- lists */

void redis_list_push(struct redis_list *l, struct redis_op *op) {
    op->list = l;
    op->prev = l->last;
    op->next = NULL;
    *(l->last ? &l->last->next : &l->first) = op;
    l->last = op;
    l->n++;
}

void redis_list_push_front(struct redis_list *l, struct redis_op *op) {
    op->list = l;
    op->prev = NULL;
    op->next = l->first;
    *(l->first ? &l->first->prev : &l->last) = op;
    l->first = op;
    l->n++;
}

void redis_list_remove(struct redis_op *op) {
    struct redis_list *l = op->list;
    if (!l)
        return;
    *(op->prev ? &op->prev->next : &l->first) = op->next;
    *(op->next ? &op->next->prev : &l->last) = op->prev;
    op->prev = op->next = NULL;
    op->list = NULL;
    l->n--;
}

void redis_list_splice_front(struct redis_list *to, struct redis_list *from) {
    struct redis_op *op;
    while ((op = from->last)) {
        redis_list_remove(op);
        redis_list_push_front(to, op);
    }
}

/* ---- operations */

bool redis_is_write(const struct redis_op *op) {
    return op->verb == STORE_PUT || op->verb == STORE_DELETE;
}

struct slice redis_op_key(const struct redis_op *op) {
    return op->payload ? slice_of(op->payload->data, op->key_n) : slice_of("", 0);
}

struct slice redis_op_value(const struct redis_op *op) {
    return op->payload ? slice_of(op->payload->data + op->key_n, op->payload->len - op->key_n) : slice_of("", 0);
}

static void time_op(struct redis *s, struct redis_op *op) {
    op->timed = true;
    op->due_us = s->now_us + s->c.timeout_us;
    op->timed_prev = s->timed_last;
    op->timed_next = NULL;
    *(s->timed_last ? &s->timed_last->timed_next : &s->timed_first) = op;
    s->timed_last = op;
}

static void untime(struct redis *s, struct redis_op *op) {
    if (!op->timed)
        return;
    *(op->timed_prev ? &op->timed_prev->timed_next : &s->timed_first) = op->timed_next;
    *(op->timed_next ? &op->timed_next->timed_prev : &s->timed_last) = op->timed_prev;
    op->timed = false;
}

void redis_op_extend(struct redis *s, struct redis_op *op) {
    if (!op->timed)
        return;
    untime(s, op);
    time_op(s, op);
}

struct redis_op *redis_op_new(struct redis *s, const struct store_op *from) {
    struct slice key = buf_slice(from->key), value = buf_slice(from->value);
    handle h;
    struct redis_op *op = pool_alloc(&s->ops, &h);
    if (!op)
        return NULL;
    if (key.n + value.n && !(op->payload = buf_get(&s->bufs, (size_t)key.n + value.n))) {
        pool_free(&s->ops, h);
        return NULL;
    }
    if (key.n)
        memcpy(op->payload->data, key.p, key.n);
    if (value.n)
        memcpy(op->payload->data + key.n, value.p, value.n);
    if (op->payload)
        op->payload->len = key.n + value.n;
    op->self = h;
    op->key_n = key.n;
    op->verb = (uint8_t)from->verb;
    op->ticket = from->ticket;
    op->bucket = from->bucket;
    op->table = from->table;
    op->node = from->node;
    op->former = from->former;
    op->epoch = from->epoch;
    op->version = from->version;
    op->expires_ms = from->expires_ms;
    if (redis_is_write(op))
        op->hash = redis_unsent_hash(s, op);
    if (op->ticket)
        time_op(s, op);
    return op;
}

static void free_op(struct redis *s, struct redis_op *op) {
    redis_unsent_remove(&s->unsent, op);
    untime(s, op);
    buf_unref(&s->bufs, &op->payload);
    pool_free(&s->ops, op->self);
}

/* ---- a later one of the same key takes its place */

static void follow(struct redis *s, struct redis_op *earlier, struct redis_op *later) {
    struct redis_op *f;
    s->coalesced++;
    later->probe |= earlier->probe;
    while ((f = earlier->followers.first)) {
        redis_list_remove(f);
        redis_list_push(&later->followers, f);
        f->leader = later;
    }
    redis_unsent_remove(&s->unsent, earlier);
    if (!earlier->ticket) {
        free_op(s, earlier);
        return;
    }
    buf_unref(&s->bufs, &earlier->payload);
    earlier->leader = later;
    redis_list_push(&later->followers, earlier);
}

/* What one owner writes is ordered by epoch, then by version. */
static bool is_older(const struct redis_op *a, const struct redis_op *b) {
    return a->node && (a->epoch < b->epoch || (a->epoch == b->epoch && a->version < b->version));
}

/* Where the earlier one stands, so that nothing between the two sees neither; but not before a change of owner. */
static void replace(struct redis_lane *lane, struct redis_op *earlier, struct redis_op *op) {
    bool same_owner = earlier->node == op->node && earlier->epoch == op->epoch;
    struct redis_list *l = earlier->list;
    if (!same_owner || (l != &lane->queue && l != &lane->redo)) {
        redis_list_push(&lane->queue, op);
        return;
    }
    op->list = l;
    op->prev = earlier->prev;
    op->next = earlier;
    *(op->prev ? &op->prev->next : &l->first) = op;
    earlier->prev = op;
    l->n++;
}

void redis_op_queue(struct redis *s, struct redis_lane *lane, struct redis_op *op) {
    struct redis_op *earlier = redis_is_write(op) ? redis_unsent_find(&s->unsent, op) : NULL;
    if (earlier && is_older(op, earlier)) {
        redis_op_done(s, op, STORE_FENCED, op->node, op->epoch);
        return;
    }
    if (earlier) {
        replace(lane, earlier, op);
        redis_list_remove(earlier);
        follow(s, earlier, op);
    } else {
        redis_list_push(&lane->queue, op);
    }
    if (redis_is_write(op))
        redis_unsent_add(&s->unsent, op);
}

bool redis_op_unsend(struct redis *s, struct redis_op *op) {
    if (!redis_is_write(op))
        return true;
    struct redis_op *later = redis_unsent_find(&s->unsent, op);
    if (later) {
        follow(s, op, later);
        return false;
    }
    redis_unsent_add(&s->unsent, op);
    return true;
}

void redis_op_outrun(struct redis *s, struct redis_op *op, uint32_t node, uint64_t epoch) {
    struct redis_op *waits = redis_unsent_find(&s->unsent, op);
    if (!waits || !is_older(waits, op))
        return;
    redis_list_remove(waits);
    redis_op_done(s, waits, STORE_OK, node, epoch);
}

/* ---- answers */

static void tell(struct redis *s, struct redis_op *op, enum store_status status, uint32_t node, uint64_t epoch) {
    uint64_t ticket = op->ticket;
    if (!ticket)
        return;
    untime(s, op);
    op->ticket = 0;
    CHECK(s->answer_n < s->answer_max);
    s->unavailable += status == STORE_UNAVAILABLE;
    s->answers[(s->answer_first + s->answer_n++) % s->answer_max] =
        (struct redis_answer){ .ticket = ticket, .epoch = epoch, .node = node, .status = (uint8_t)status };
}

void redis_op_answer(struct redis *s, struct redis_op *op, enum store_status status, uint32_t node, uint64_t epoch) {
    struct redis_op *f;
    while ((f = op->followers.first)) {
        redis_list_remove(f);
        tell(s, f, status, node, epoch);
        free_op(s, f);
    }
    tell(s, op, status, node, epoch);
}

void redis_op_done(struct redis *s, struct redis_op *op, enum store_status status, uint32_t node, uint64_t epoch) {
    redis_op_answer(s, op, status, node, epoch);
    free_op(s, op);
}

/* A write goes on without its ticket; so does what has been sent. */
void redis_queue_expire(struct redis *s) {
    struct redis_op *op;
    while ((op = s->timed_first) && op->due_us <= s->now_us) {
        bool gone = op->leader || (op->list && !redis_is_write(op));
        s->late++;
        redis_count(s, M_store_late);
        tell(s, op, STORE_UNAVAILABLE, 0, 0);
        if (gone) {
            redis_list_remove(op);
            free_op(s, op);
        }
    }
}

/* ---- lanes */

struct redis_lane *redis_lane_of(struct redis *s, const struct redis_op *op) {
    if (s->c.topology != REDIS_CLUSTER)
        return &s->lanes[0];
    if (op->ask_conn)
        return &s->lanes[op->ask_conn - 1];
    return &s->lanes[s->map[s->slot[op->verb == STORE_LEASE ? REDIS_BUCKET_LEASES : op->bucket]]];
}

static void reroute_list(struct redis *s, struct redis_list *l) {
    struct redis_op *next;
    for (struct redis_op *op = l->first; op; op = next) {
        op->ask_conn = 0;
        next = op->next;
        struct redis_lane *to = redis_lane_of(s, op);
        if (l == &to->queue || l == &to->parked)
            continue;
        redis_list_remove(op);
        redis_list_push(&to->queue, op);
    }
}

void redis_queue_reroute(struct redis *s) {
    for (uint32_t i = 0; i <= STORE_CONNS_MAX; i++) {
        redis_list_splice_front(&s->lanes[i].queue, &s->lanes[i].redo);
        reroute_list(s, &s->lanes[i].parked);
        reroute_list(s, &s->lanes[i].queue);
    }
}
