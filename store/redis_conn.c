/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/check.h"
#include "store/redis_int.h"

#define RETRY_MIN_US UINT64_C(20000)
#define RETRY_STEPS 6                /* doublings: 1.28 s */
#define DIGITS_AT_ONCE 64            /* replies, before their answers are taken */
#define PENDING_SPARE 8              /* kept free of operations */

/* Up to a quarter more, so that shards and nodes do not all come back in one moment. */
static uint64_t with_jitter(struct redis *s, uint64_t us) {
    s->rng = s->rng * 6364136223846793005u + 1442695040888963407u;
    return us + us / 4 * (s->rng >> 56) / 256;
}

/* ---- pending commands */

bool redis_conn_has_room(const struct redis_conn *c) {
    return c->pending_n < REDIS_PENDING_MAX - PENDING_SPARE;
}

void redis_conn_pend(struct redis_conn *c, enum pending_kind kind, struct redis_op *op) {
    CHECK(c->pending_n < REDIS_PENDING_MAX);
    c->pending[(c->first + c->pending_n++) % REDIS_PENDING_MAX] = (struct redis_pending){ (uint8_t)kind, op };
}

static struct redis_pending pop(struct redis_conn *c) {
    struct redis_pending p = c->pending[c->first];
    c->first = (c->first + 1) % REDIS_PENDING_MAX;
    c->pending_n--;
    return p;
}

/* ---- opening */

void redis_conn_use(struct redis *s, struct redis_conn *c, enum redis_role role, const struct addr *to) {
    c->role = (uint8_t)role;
    c->addr = *to;
    c->failures = 0;
    c->state = CONN_RETRY;
    c->retry_us = s->now_us;
}

static void greet_data(struct redis *s, struct redis_conn *c) {
    struct sbuf *out = &c->out;
    if (c->former_id && addr_eq(&c->former_addr, &c->addr)) {
        /* What the server has not read yet of the connection before must not be done after what comes now. */
        resp_array(out, 4);
        resp_bulk(out, SL("CLIENT"));
        resp_bulk(out, SL("KILL"));
        resp_bulk(out, SL("ID"));
        resp_bulk_u64(out, c->former_id);
        redis_conn_pend(c, PENDING_ALLOWED, NULL);
    }
    if (s->c.db && s->c.topology != REDIS_CLUSTER) {
        resp_array(out, 2);
        resp_bulk(out, SL("SELECT"));
        resp_bulk_u64(out, s->c.db);
        redis_conn_pend(c, PENDING_ACCESS, NULL);
    }
    resp_words(out, "CLIENT SETNAME referee");
    redis_conn_pend(c, PENDING_ALLOWED, NULL);
    resp_words(out, "CLIENT ID");
    redis_conn_pend(c, PENDING_ID, NULL);
    if (s->c.topology != REDIS_CLUSTER) {
        resp_words(out, "ROLE");
        redis_conn_pend(c, PENDING_ROLE, NULL);
    }
    for (int i = 0; i < SCRIPTS; i++) {
        redis_write_script_load(out, (enum redis_script)i);
        redis_conn_pend(c, PENDING_ACCESS, NULL);
    }
    resp_words(out, "PING");
    redis_conn_pend(c, PENDING_GREETED, NULL);
}

static void authenticate(struct redis *s, struct redis_conn *c) {
    bool sentinel = c->role == ROLE_SENTINEL;
    const char *password = sentinel ? s->c.sentinel_password : s->c.password;
    bool user = s->c.user[0] && !sentinel;
    if (!*password && !user)
        return;
    resp_array(&c->out, user ? 3 : 2);
    resp_bulk(&c->out, SL("AUTH"));
    if (user)
        resp_bulk(&c->out, slice_str(s->c.user));
    resp_bulk(&c->out, slice_str(password));
    redis_conn_pend(c, PENDING_ACCESS, NULL);
}

static void opened(struct redis *s, struct redis_conn *c) {
    c->state = CONN_GREETING;
    c->since_us = c->heard_us = s->now_us;
    c->client_id = 0;
    if (!resp_open(&c->resp, s->row)) {
        redis_conn_fail(s, c, SL("no memory"));
        return;
    }
    authenticate(s, c);
    if (c->role == ROLE_SENTINEL)
        redis_sentinel_greet(s, c);
    else
        greet_data(s, c);
}

void redis_conn_opened(struct redis *s, struct redis_conn *c) {
    if (c->state == CONN_OPENING)
        opened(s, c);
}

static void ready(struct redis *s, struct redis_conn *c) {
    c->state = CONN_READY;
    c->since_us = s->now_us;
    c->failures = 0;
    c->hold = c->refusing = c->probing = false;
    s->opened++;
    redis_notice(s, "connected", &c->addr, SLICE_NONE);
    redis_health(s);
}

/* ---- losing */

/* What was sent and not answered: a write is sent again, before all that was not sent yet; nobody knows whether the
 * rest was done. */
static void take_back(struct redis *s, struct redis_conn *c) {
    struct redis_list back = { 0 };
    struct redis_op *op;
    while ((op = c->waiting.first)) {
        redis_list_remove(op);
        redis_list_push(&back, op);
    }
    while (c->pending_n) {
        struct redis_pending p = pop(c);
        if (p.kind == PENDING_OP && p.op)
            redis_list_push(&back, p.op);
    }
    while ((op = back.first)) {
        redis_list_remove(op);
        op->ask_conn = 0;
        if (!redis_is_write(op))
            redis_op_done(s, op, STORE_UNAVAILABLE, 0, 0);
        else if (redis_op_unsend(s, op))
            redis_list_push(&c->lane->redo, op);
    }
}

void redis_conn_reset(struct redis *s, struct redis_conn *c) {
    if (c->state >= CONN_OPENING) {
        c->close = !c->open;
        c->open = false;
    }
    if (c->state == CONN_READY)
        s->lost++;
    s->bounced |= c->state == CONN_READY && c->role == ROLE_DATA;
    if (c->client_id) {
        c->former_id = c->client_id;
        c->former_addr = c->addr;
    }
    c->client_id = 0;
    take_back(s, c);
    redis_list_splice_front(&c->lane->queue, &c->lane->redo);
    c->hold = c->refusing = c->probing = false;
    redis_list_splice_front(&c->lane->queue, &c->lane->parked);
    c->out.n = c->out_sent = 0;
    c->first = c->pending_n = 0;
    resp_close(&c->resp);
    if (s->reading == c)
        s->reading = NULL;
    s->map_asked &= !c->asked;
    c->asked = c->subscribed = false;
    s->lease_n = 0;
    c->state = CONN_IDLE;
}

void redis_conn_unuse(struct redis *s, struct redis_conn *c) {
    redis_conn_reset(s, c);
    c->role = ROLE_UNUSED;
    redis_health(s);
}

static void look_elsewhere(struct redis *s, struct redis_conn *c) {
    if (s->c.topology == REDIS_SENTINEL)
        redis_sentinel_again(s, c);
    else if (s->c.topology == REDIS_CLUSTER)
        s->map_wanted = true;
    else
        c->addr = s->c.servers[++s->server_next % s->c.server_count];
}

void redis_conn_fail(struct redis *s, struct redis_conn *c, struct slice why) {
    uint32_t steps = c->failures < RETRY_STEPS ? c->failures : RETRY_STEPS;
    bool was_ready = c->state == CONN_READY;
    if (was_ready || c->failures == 0)
        redis_notice(s, was_ready ? "lost" : "no connection", &c->addr, why);
    redis_reason(s, &c->addr, why);
    redis_conn_reset(s, c);
    c->failures++;
    c->state = CONN_RETRY;
    c->retry_us = s->now_us + with_jitter(s, RETRY_MIN_US << steps);
    redis_count(s, M_store_reconnects);
    look_elsewhere(s, c);
    redis_health(s);
}

/* ---- time */

static void retry(struct redis *s, struct redis_conn *c) {
    c->state = CONN_OPENING;
    c->since_us = s->now_us;
    c->open = true;
}

static void end_hold(struct redis *s, struct redis_conn *c) {
    if (!c->hold || c->pending_n || c->resume_us > s->now_us || s->map_new)
        return;
    c->hold = false;
    redis_list_splice_front(&c->lane->queue, &c->lane->redo);
}

static void probe(struct redis *s, struct redis_conn *c) {
    struct redis_op *op = c->lane->parked.first;
    if (!c->refusing || c->probing || !op || c->probe_us > s->now_us)
        return;
    redis_list_remove(op);
    redis_list_push_front(&c->lane->queue, op);
    op->probe = c->probing = true;
}

static void ping(struct redis *s, struct redis_conn *c) {
    resp_words(&c->out, "PING");
    if (!c->subscribed)
        redis_conn_pend(c, PENDING_PING, NULL);
    c->heard_us = c->subscribed ? c->heard_us : s->now_us;
    c->since_us = s->now_us;
}

static uint64_t idle_since(const struct redis_conn *c) {
    return c->heard_us > c->since_us ? c->heard_us : c->since_us;
}

static bool waits_for_server(const struct redis_conn *c) {
    return c->state == CONN_GREETING || (c->state == CONN_READY && (c->pending_n > c->subscribed));
}

static uint64_t silence_end(const struct redis *s, const struct redis_conn *c) {
    if (c->state == CONN_OPENING)
        return c->since_us + s->c.timeout_us;
    if (c->state == CONN_READY && c->subscribed)
        return c->heard_us + 2 * s->c.timeout_us;
    return waits_for_server(c) ? c->heard_us + s->c.timeout_us : UINT64_MAX;
}

static uint64_t ping_due(const struct redis *s, const struct redis_conn *c) {
    bool idle = c->state == CONN_READY && !waits_for_server(c) && !c->hold;
    return idle ? idle_since(c) + s->c.timeout_us / 2 : UINT64_MAX;
}

void redis_conn_tick(struct redis *s, struct redis_conn *c) {
    if (c->state == CONN_RETRY && c->retry_us <= s->now_us)
        retry(s, c);
    if (silence_end(s, c) <= s->now_us) {
        redis_conn_fail(s, c, SL("it does not answer"));
        return;
    }
    if (c->state != CONN_READY)
        return;
    if (ping_due(s, c) <= s->now_us)
        ping(s, c);
    end_hold(s, c);
    probe(s, c);
}

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t redis_conn_deadline(const struct redis *s, const struct redis_conn *c) {
    uint64_t at = sooner(silence_end(s, c), ping_due(s, c));
    if (c->state == CONN_RETRY)
        at = sooner(at, c->retry_us);
    if (c->state != CONN_READY)
        return at;
    if (c->hold && c->pending_n == 0)
        at = sooner(at, c->resume_us);
    if (c->refusing && !c->probing && c->lane->parked.n)
        at = sooner(at, c->probe_us);
    return at;
}

/* ---- a batch */

static bool is_waited(const struct redis_op *op) {
    bool changes = redis_is_write(op) || op->verb == STORE_CLAIM || op->verb == STORE_RELEASE;
    return changes && (op->ticket || op->followers.n);
}

void redis_park(struct redis *s, struct redis_conn *c, struct redis_op *op) {
    redis_op_answer(s, op, STORE_REFUSED, 0, 0);
    op->probe = false;
    redis_list_push(&c->lane->parked, op);
}

static bool send_op(struct redis *s, struct redis_conn *c, struct redis_op *op) {
    uint32_t before = c->out.n;
    if (op->ask_conn)
        resp_words(&c->out, "ASKING");
    if (c->out.overflow || !redis_write_op(s, &c->out, op)) {
        c->out.n = before;
        c->out.overflow = false;
        return false;
    }
    if (op->ask_conn)
        redis_conn_pend(c, PENDING_IGNORED, NULL);
    redis_list_remove(op);
    redis_unsent_remove(&s->unsent, op);
    op->waits = s->c.replicas && is_waited(op);
    op->sent_us = s->now_us;
    op->tries += op->tries < UINT8_MAX;
    if (c->pending_n == 0)
        c->heard_us = s->now_us;
    redis_conn_pend(c, PENDING_OP, op);
    return true;
}

static void send_wait(struct redis *s, struct redis_conn *c) {
    resp_array(&c->out, 3);
    resp_bulk(&c->out, SL("WAIT"));
    resp_bulk_u64(&c->out, s->c.replicas);
    resp_bulk_u64(&c->out, s->c.replica_wait_ms);
    redis_conn_pend(c, PENDING_REPLICAS, NULL);
}

void redis_conn_fill(struct redis *s, struct redis_conn *c) {
    struct redis_op *op, *next;
    bool waits = false;
    uint32_t cap = c->out.cap;
    if (c->state != CONN_READY || c->role != ROLE_DATA || c->hold || c->resume_us > s->now_us)
        return;
    c->out.cap -= 128;   /* for WAIT */
    for (op = c->lane->queue.first; op && redis_conn_has_room(c); op = next) {
        next = op->next;
        if (c->refusing && op->verb == STORE_PUT && !op->probe) {
            redis_list_remove(op);
            redis_park(s, c, op);
        } else if (!send_op(s, c, op)) {
            break;
        } else {
            waits |= op->waits;
        }
    }
    c->out.cap = cap;
    if (waits)
        send_wait(s, c);
}

/* ---- what arrives */

static void on_access(struct redis *s, struct redis_conn *c, const struct resp_item *item) {
    if (item->type != RESP_ERROR)
        return;
    s->rejected = redis_fault_of(item->text) == FAULT_ACCESS;
    redis_conn_fail(s, c, item->text);
}

static void on_role(struct redis *s, struct redis_conn *c, const struct resp_item *item) {
    if (item->depth == 1 && item->index == 0 && !slice_eq(item->text, SL("master")))
        redis_conn_fail(s, c, SL("it is no master"));
}

static void on_greeted(struct redis *s, struct redis_conn *c, const struct resp_item *item) {
    if (item->type == RESP_ERROR)
        on_access(s, c, item);
    else if (item->type != RESP_END)
        ready(s, c);
}

static void on_other(struct redis *s, struct redis_conn *c, enum pending_kind kind, const struct resp_item *item) {
    switch (kind) {
    case PENDING_ACCESS: on_access(s, c, item); break;
    case PENDING_ROLE: on_role(s, c, item); break;
    case PENDING_GREETED: on_greeted(s, c, item); break;
    case PENDING_ID:
        if (item->type == RESP_INTEGER)
            c->client_id = (uint64_t)item->number;
        break;
    case PENDING_REPLICAS:
        if (item->type != RESP_END)
            redis_reply_replicas(s, c, item->type == RESP_INTEGER ? item->number : 0);
        break;
    case PENDING_SLOTS: redis_cluster_item(s, c, item); break;
    case PENDING_MASTER:
    case PENDING_SUBSCRIBED: redis_sentinel_item(s, c, kind, item); break;
    default: break;
    }
}

static bool take_digit(struct redis *s, struct redis_conn *c) {
    const struct redis_pending *p = &c->pending[c->first];
    uint32_t number;
    if (c->pending_n == 0 || p->kind != PENDING_OP || !p->op || !redis_reply_may_be_number(p->op) ||
        !resp_digit(&c->resp, &number))
        return false;
    redis_reply_number(s, c, number);
    c->replies++;
    pop(c);
    return true;
}

bool redis_conn_digits(struct redis *s, struct redis_conn *c) {
    uint32_t n = 0;
    while (n < DIGITS_AT_ONCE && take_digit(s, c))
        n++;
    return n;
}

bool redis_conn_item(struct redis *s, struct redis_conn *c, const struct resp_item *item, struct event *ev) {
    if (c->pending_n == 0) {
        redis_conn_fail(s, c, item->type == RESP_ERROR ? item->text : SL("it answers what nobody asked"));
        return false;
    }
    enum pending_kind kind = (enum pending_kind)c->pending[c->first].kind;
    bool answered = false;
    if (kind == PENDING_OP)
        answered = redis_reply_op(s, c, item, ev);
    else
        on_other(s, c, kind, item);
    /* A connection that failed meanwhile has nothing pending. */
    if (item->type == RESP_END && c->pending_n && kind != PENDING_SUBSCRIBED) {
        c->replies++;
        pop(c);
    }
    return answered;
}
