/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/redis.h"

#include "core/base/check.h"
#include "store/redis_int.h"

#define SUBMITS_BEFORE_ANSWERS 4096   /* that found no room, at most, before their answers are taken */

static struct redis *of(struct store *base) {
    return (struct redis *)base;
}

/* ---- health */

void redis_health(struct redis *s) {
    s->whole = s->c.topology == REDIS_CLUSTER ? redis_cluster_whole(s) : s->conns[0].state == CONN_READY;
    if (s->whole) {
        s->ever_up = true;
        s->rejected = false;
    }
}

static enum store_health health(const struct store *base) {
    const struct redis *s = (const struct redis *)base;
    if (s->whole)
        return STORE_UP;
    if (s->rejected)
        return STORE_REJECTS;
    return s->ever_up ? STORE_DOWN : STORE_CONNECTING;
}

/* ---- operations */

static bool is_too_long(const struct store_op *op) {
    uint32_t key = buf_slice(op->key).n, value = buf_slice(op->value).n;
    return key > REDIS_KEY_MAX || key + value > 65536 || (op->verb == STORE_LEASE && value > REDIS_LEASE_VALUE_MAX);
}

static void answer_now(struct redis *s, const struct store_op *op, enum store_status status) {
    if (!op->ticket)
        return;
    CHECK(s->answer_n < s->answer_max);
    s->answers[(s->answer_first + s->answer_n++) % s->answer_max] =
        (struct redis_answer){ .ticket = op->ticket, .status = (uint8_t)status };
}

static void submit(struct store *base, const struct store_op *from, uint64_t wall_ms) {
    struct redis *s = of(base);
    CHECK(from->bucket < LIMIT_BUCKETS);
    s->wall_ms = wall_ms;
    if (is_too_long(from)) {
        answer_now(s, from, STORE_REFUSED);
        return;
    }
    struct redis_op *op = redis_op_new(s, from);
    if (!op) {
        s->dropped++;
        redis_count(s, M_store_full);
        answer_now(s, from, STORE_UNAVAILABLE);
        return;
    }
    redis_op_queue(s, redis_lane_of(s, op), op);
}

/* ---- answers */

static bool tell_health(struct redis *s, struct event *ev) {
    if (s->told_up && (!s->whole || s->bounced)) {
        *ev = (struct event){ .kind = EV_STORE_DOWN };
        s->told_up = s->bounced = false;
        return true;
    }
    if (s->told_up || !s->whole)
        return false;
    *ev = (struct event){ .kind = EV_STORE_UP };
    s->told_up = true;
    s->bounced = false;
    return true;
}

static bool next_answer(struct redis *s, struct event *ev) {
    if (s->answer_n == 0)
        return false;
    const struct redis_answer *a = &s->answers[s->answer_first];
    s->answer_first = (s->answer_first + 1) % s->answer_max;
    s->answer_n--;
    *ev = (struct event){ .kind = EV_STORE };
    ev->u.store.ticket = a->ticket;
    ev->u.store.status = (enum store_status)a->status;
    ev->u.store.node = a->node;
    ev->u.store.epoch = a->epoch;
    return true;
}

static void end_reading(struct redis *s) {
    struct redis_conn *c = s->reading;
    struct slice error = resp_error(&c->resp);
    s->reading = NULL;
    if (error.p)
        redis_conn_fail(s, c, error);
}

static bool answer(struct store *base, struct event *ev) {
    struct redis *s = of(base);
    struct resp_item item;
    for (;;) {
        if (tell_health(s, ev) || next_answer(s, ev))
            return true;
        if (!s->reading)
            return false;
        if (redis_conn_digits(s, s->reading))
            continue;
        if (!resp_next(&s->reading->resp, &item))
            end_reading(s);
        else if (redis_conn_item(s, s->reading, &item, ev))
            return true;
    }
}

/* ---- bytes and time */

static void input(struct store *base, uint32_t conn, struct slice bytes) {
    struct redis *s = of(base);
    struct redis_conn *c = &s->conns[conn];
    CHECK(conn < STORE_CONNS_MAX && bytes.n <= STORE_INPUT_MAX && !s->reading);
    if (c->state < CONN_GREETING)
        return;
    c->heard_us = s->now_us;
    if (!resp_feed(&c->resp, bytes)) {
        struct slice error = resp_error(&c->resp);
        redis_conn_fail(s, c, error.p ? error : SL("no memory"));
        return;
    }
    s->reading = c;
}

static struct slice output(struct store *base, uint32_t conn) {
    struct redis *s = of(base);
    struct redis_conn *c = &s->conns[conn];
    if (c->state < CONN_GREETING)
        return SLICE_NONE;
    redis_conn_fill(s, c);
    return slice_of(c->out.p + c->out_sent, c->out.n - c->out_sent);
}

static void sent(struct store *base, uint32_t conn, uint32_t n) {
    struct redis_conn *c = &of(base)->conns[conn];
    CHECK(n <= c->out.n - c->out_sent);
    c->out_sent += n;
    if (c->out_sent < c->out.n / 2)
        return;
    c->out.n -= c->out_sent;
    if (c->out.n)
        memmove(c->out.p, c->out.p + c->out_sent, c->out.n);
    c->out_sent = 0;
}

static void tick(struct store *base, uint64_t mono_us, uint64_t wall_ms) {
    struct redis *s = of(base);
    s->now_us = mono_us > s->now_us ? mono_us : s->now_us;
    s->wall_ms = wall_ms;
    redis_queue_expire(s);
    if (s->c.topology == REDIS_CLUSTER)
        redis_cluster_tick(s);
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++)
        if (s->conns[i].role != ROLE_UNUSED)
            redis_conn_tick(s, &s->conns[i]);
}

static uint64_t deadline(const struct store *base) {
    const struct redis *s = (const struct redis *)base;
    uint64_t at = s->timed_first ? s->timed_first->due_us : UINT64_MAX;
    if (s->answer_n)
        return s->now_us;
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++) {
        uint64_t then = s->conns[i].role == ROLE_UNUSED ? UINT64_MAX : redis_conn_deadline(s, &s->conns[i]);
        at = then < at ? then : at;
    }
    uint64_t map = s->c.topology == REDIS_CLUSTER ? redis_cluster_deadline(s) : UINT64_MAX;
    return map < at ? map : at;
}

static bool wants(struct store *base, struct store_want *w) {
    struct redis *s = of(base);
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++) {
        struct redis_conn *c = &s->conns[i];
        if (!c->close && !c->open)
            continue;
        *w = (struct store_want){ .conn = i, .open = !c->close, .to = c->addr };
        *(c->close ? &c->close : &c->open) = false;
        return true;
    }
    return false;
}

static void opened(struct store *base, uint32_t conn) {
    redis_conn_opened(of(base), &of(base)->conns[conn]);
}

static void lost(struct store *base, uint32_t conn, struct slice why) {
    struct redis *s = of(base);
    struct redis_conn *c = &s->conns[conn];
    if (c->state < CONN_OPENING)
        return;
    redis_conn_fail(s, c, why);
    c->close = false;
}

static bool notice(struct store *base, struct sbuf *line) {
    return redis_notice_pop(of(base), line);
}

static void describe(const struct store *base, struct sbuf *text) {
    redis_describe((const struct redis *)base, text);
}

static void free_readers(struct store *base) {
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++)
        resp_close(&of(base)->conns[i].resp);
}

/* ---- layout */

static const struct store_kind kind_redis = {
    .submit = submit, .answer = answer, .tick = tick, .deadline = deadline, .wants = wants, .opened = opened,
    .lost = lost, .input = input, .output = output, .sent = sent, .health = health, .notice = notice,
    .describe = describe, .free = free_readers,
};

struct layout {
    struct pool ops;
    struct redis_unsent unsent;
    struct buf_pool bufs;
    struct resp_row *row;
    struct redis_answer *answers;
    char *out[STORE_CONNS_MAX];
};

static uint32_t answers_of(uint32_t queue) {
    return queue + SUBMITS_BEFORE_ANSWERS;
}

/* The same calls count and lay out. */
static struct layout lay_out(struct arena *a, uint32_t queue) {
    uint32_t sizes[BUF_CLASSES] = {
        queue, queue / 2, queue / 2, queue / 4, queue / 4 + 8, queue / 4 + 8, queue / 32 + 8, 8,
    };
    struct layout l;
    pool_init(&l.ops, a, queue, sizeof(struct redis_op));
    redis_unsent_init(&l.unsent, a, queue);
    buf_pool_init(&l.bufs, a, sizes);
    l.row = resp_row_new(a);
    l.answers = arena_take(a, answers_of(queue) * sizeof *l.answers);
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++)
        l.out[i] = arena_take(a, REDIS_OUT_BYTES);
    return l;
}

struct store *store_redis_new(struct arena *a, const struct store_redis_config *config) {
    struct redis *s = arena_take(a, sizeof *s);
    struct layout l = lay_out(a, config->queue);
    if (!s)
        return NULL;
    s->base.kind = &kind_redis;
    s->c = *config;
    s->ops = l.ops;
    s->unsent = l.unsent;
    s->bufs = l.bufs;
    s->row = l.row;
    s->answers = l.answers;
    s->answer_max = answers_of(config->queue);
    s->rng = config->key.k0;
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++) {
        s->conns[i].out = sbuf_on(l.out[i], REDIS_OUT_BYTES);
        s->conns[i].lane = &s->lanes[i];
    }
    redis_scripts_init(s);
    if (config->topology == REDIS_CLUSTER)
        redis_cluster_init(s);
    else if (config->topology == REDIS_SENTINEL)
        redis_conn_use(s, &s->conns[1], ROLE_SENTINEL, &config->servers[0]);
    else
        redis_conn_use(s, &s->conns[0], ROLE_DATA, &config->servers[0]);
    return &s->base;
}
