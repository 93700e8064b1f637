/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/check.h"
#include "store/redis_int.h"

#define LATER_US UINT64_C(30000)
#define PROBE_US UINT64_C(250000)

/* ---- errors */

static bool contains(struct slice s, struct slice word) {
    for (uint32_t i = 0; i + word.n <= s.n; i++)
        if (memcmp(s.p + i, word.p, word.n) == 0)
            return true;
    return false;
}

static const struct {
    struct slice word;
    enum redis_fault fault;
} faults[] = {
    { { "MOVED ", 6 }, FAULT_MOVED },         { { "ASK ", 4 }, FAULT_ASK },
    { { "NOSCRIPT", 8 }, FAULT_SCRIPTS },     { { "READONLY", 8 }, FAULT_REPLICA },
    { { "LOADING", 7 }, FAULT_LATER },        { { "TRYAGAIN", 8 }, FAULT_LATER },
    { { "CLUSTERDOWN", 11 }, FAULT_LATER },   { { "MASTERDOWN", 10 }, FAULT_LATER },
    { { "BUSY ", 5 }, FAULT_LATER },          { { "OOM ", 4 }, FAULT_REFUSES },
    { { "MISCONF", 7 }, FAULT_REFUSES },      { { "NOREPLICAS", 10 }, FAULT_REFUSES },
    { { "NOAUTH", 6 }, FAULT_ACCESS },        { { "WRONGPASS", 9 }, FAULT_ACCESS },
    { { "NOPERM", 6 }, FAULT_ACCESS },        { { "DENIED", 6 }, FAULT_ACCESS },
    { { "ERR invalid password", 20 }, FAULT_ACCESS },
    { { "ERR AUTH ", 9 }, FAULT_ACCESS },     { { "ERR Client sent AUTH", 20 }, FAULT_ACCESS },
    { { "ERR DB index", 12 }, FAULT_ACCESS }, { { "ERR invalid DB", 14 }, FAULT_ACCESS },
    { { "ERR SELECT", 10 }, FAULT_ACCESS },
};

/* Before Redis 7 an error within a script stands behind words about the script. */
enum redis_fault redis_fault_of(struct slice error) {
    bool in_script = slice_has_prefix(error, SL("ERR Error running script"));
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (in_script ? contains(error, faults[i].word) : slice_has_prefix(error, faults[i].word))
            return faults[i].fault;
    return FAULT_OTHER;
}

/* ---- what becomes of the operation */

static void foreign(struct redis *s, const struct redis_op *op, struct slice key) {
    char text[160];
    struct sbuf b = sbuf_on(text, sizeof text);
    s->foreign++;
    redis_count(s, M_store_foreign);
    sbuf_put(&b, op->table);
    sbuf_lit(&b, " in bucket ");
    sbuf_hex(&b, op->bucket, LIMIT_BUCKET_DIGITS);
    sbuf_lit(&b, ": ");
    sbuf_put(&b, slice_of(key.p, key.n < 100 ? key.n : 100));
    redis_notice(s, "skipped what is not ours,", NULL, sbuf_slice(&b));
}

static struct redis_pending *pending(struct redis_conn *c) {
    return &c->pending[c->first];
}

static struct redis_op *take(struct redis_conn *c) {
    struct redis_op *op = pending(c)->op;
    pending(c)->op = NULL;
    return op;
}

static void note_latency(struct redis *s, const struct redis_op *op) {
    uint64_t us = s->now_us - op->sent_us;
    uint32_t step = 63u - (uint32_t)__builtin_clzll(us | 1);
    s->latency[step < REDIS_LATENCY_STEPS ? step : REDIS_LATENCY_STEPS - 1]++;
    s->done++;
}

static void writes_again(struct redis *s, struct redis_conn *c) {
    c->refusing = c->probing = false;
    redis_notice(s, "takes writes again", &c->addr, SLICE_NONE);
    redis_list_splice_front(&c->lane->queue, &c->lane->parked);
}

static void done(struct redis *s, struct redis_conn *c, enum store_status status, uint32_t node, uint64_t epoch) {
    struct redis_op *op = take(c);
    note_latency(s, op);
    if (status == STORE_OK && redis_is_write(op))
        redis_op_outrun(s, op, node, epoch);
    if (op->probe && c->refusing)
        writes_again(s, c);
    if (status == STORE_FENCED)
        redis_count(s, M_store_fenced);
    if (status == STORE_OK && op->waits) {
        op->answer_node = node;
        op->answer_epoch = epoch;
        redis_list_push(&c->waiting, op);
        return;
    }
    redis_op_done(s, op, status, node, epoch);
}

void redis_reply_replicas(struct redis *s, struct redis_conn *c, int64_t have) {
    bool enough = have >= 0 && (uint64_t)have >= s->c.replicas;
    struct redis_op *op;
    if (!enough)
        redis_count(s, M_store_replicas_short);
    while ((op = c->waiting.first)) {
        redis_list_remove(op);
        redis_op_done(s, op, enough ? STORE_OK : STORE_UNAVAILABLE, op->answer_node, op->answer_epoch);
    }
}

/* To be sent again when all that was sent before has been answered: an order among operations of one key is kept. */
static void redo(struct redis *s, struct redis_conn *c, uint64_t after_us) {
    struct redis_op *op = take(c);
    s->redone++;
    op->ask_conn = 0;
    if (!op->ticket && !redis_is_write(op))
        redis_op_done(s, op, STORE_UNAVAILABLE, 0, 0);
    else if (redis_op_unsend(s, op))
        redis_list_push(&c->lane->redo, op);
    if (!c->hold || c->resume_us < s->now_us + after_us)
        c->resume_us = s->now_us + after_us;
    c->hold = true;
}

static void refused(struct redis *s, struct redis_conn *c, struct slice error) {
    struct redis_op *op = take(c);
    redis_count(s, M_store_refused);
    if (!redis_is_write(op)) {
        redis_op_done(s, op, STORE_REFUSED, 0, 0);
        return;
    }
    if (!c->refusing)
        redis_notice(s, "takes no writes", &c->addr, error);
    c->refusing = true;
    c->probing = false;
    c->probe_us = s->now_us + PROBE_US;
    if (redis_op_unsend(s, op))
        redis_park(s, c, op);
}

static void moved(struct redis *s, struct redis_conn *c, struct slice error, bool ask) {
    struct redis_conn *to = redis_cluster_redirect(s, c, error, ask);
    redis_count(s, M_store_redirects);
    if (!ask || !to) {
        redo(s, c, ask ? LATER_US : 0);
        return;
    }
    struct redis_op *op = take(c);
    op->ask_conn = (uint8_t)(to - s->conns + 1);
    if (redis_op_unsend(s, op))
        redis_list_push(&to->lane->queue, op);
}

static void reload_scripts(struct redis_conn *c) {
    if (c->out.cap - c->out.n < 4096 || c->pending_n + SCRIPTS > REDIS_PENDING_MAX)
        return;
    for (int i = 0; i < SCRIPTS; i++) {
        redis_write_script_load(&c->out, (enum redis_script)i);
        redis_conn_pend(c, PENDING_IGNORED, NULL);
    }
}

/* Somebody else's key of our name holds nothing of ours. */
static void on_own_error(struct redis *s, struct redis_conn *c, struct slice error) {
    const struct redis_op *op = pending(c)->op;
    bool reads = op->verb == STORE_GET || op->verb == STORE_LOAD;
    bool other_type = slice_has_prefix(error, SL("WRONGTYPE"));
    redis_count(s, M_store_errors);
    redis_notice(s, "error of", &c->addr, error);
    if (other_type)
        foreign(s, op, SL("(the whole key)"));
    done(s, c, reads && other_type ? STORE_MISSING : STORE_REFUSED, 0, 0);
}

static void on_error(struct redis *s, struct redis_conn *c, struct slice error) {
    enum redis_fault fault = redis_fault_of(error);
    c->errors++;
    if (s->c.topology != REDIS_CLUSTER && (fault == FAULT_MOVED || fault == FAULT_ASK))
        fault = FAULT_OTHER;
    switch (fault) {
    case FAULT_LATER:
        if (s->c.topology == REDIS_CLUSTER)
            s->map_wanted = true;
        redo(s, c, LATER_US);
        break;
    case FAULT_REFUSES: refused(s, c, error); break;
    case FAULT_REPLICA:
        redo(s, c, 0);
        redis_conn_fail(s, c, error);
        break;
    case FAULT_SCRIPTS:
        if (!c->hold)
            reload_scripts(c);
        redo(s, c, 0);
        break;
    case FAULT_MOVED: moved(s, c, error, false); break;
    case FAULT_ASK: moved(s, c, error, true); break;
    default: on_own_error(s, c, error);
    }
}

/* ---- answers */

/* "node.epoch" */
static bool read_owner(struct slice text, uint32_t *node, uint64_t *epoch) {
    int32_t dot = slice_find(text, '.');
    uint64_t n;
    if (dot < 0 || !slice_u64(slice_of(text.p, (uint32_t)dot), UINT32_MAX, &n) ||
        !slice_u64(slice_of(text.p + dot + 1, text.n - (uint32_t)dot - 1), INT64_MAX, epoch))
        return false;
    *node = (uint32_t)n;
    return true;
}

static void on_owner(struct redis *s, struct redis_conn *c, const struct resp_item *item, enum store_status status) {
    const struct redis_op *op = pending(c)->op;
    uint32_t node = 0;
    uint64_t epoch = 0;
    if (item->type != RESP_NIL && !read_owner(item->text, &node, &epoch)) {
        foreign(s, op, SL("(owner)"));
        status = STORE_REFUSED;
    }
    done(s, c, status, node, epoch);
}

/* Of a script: see redis_script.c. A write of ours that was sent twice may find a later one of ours. */
void redis_reply_number(struct redis *s, struct redis_conn *c, int64_t number) {
    const struct redis_op *op = pending(c)->op;
    if (op->node == 0 && redis_is_write(op))
        done(s, c, STORE_OK, 0, 0);
    else if (number == 1)
        done(s, c, STORE_OK, op->node, op->epoch + (op->verb == STORE_CLAIM));
    else
        done(s, c, op->tries > 1 ? STORE_OK : STORE_FENCED, op->node, op->epoch);
}

bool redis_reply_may_be_number(const struct redis_op *op) {
    return redis_is_write(op) || op->verb == STORE_CLAIM || op->verb == STORE_RELEASE;
}

static void on_script(struct redis *s, struct redis_conn *c, const struct resp_item *item) {
    if (item->type == RESP_INTEGER)
        redis_reply_number(s, c, item->number);
    else
        on_owner(s, c, item, STORE_FENCED);
}

/* Fills *ev and ends the operation. */
static bool answer_value(struct redis *s, struct redis_conn *c, struct event *ev, enum store_status status,
                         struct slice value, uint64_t epoch) {
    struct redis_op *op = take(c);
    uint64_t ticket = op->ticket;
    note_latency(s, op);
    op->ticket = 0;
    redis_op_done(s, op, STORE_OK, 0, 0);
    if (!ticket)
        return false;
    *ev = (struct event){ .kind = EV_STORE };
    ev->u.store.ticket = ticket;
    ev->u.store.status = status;
    ev->u.store.value = value;
    ev->u.store.epoch = epoch;
    return true;
}

/* Without its header. False: not ours, or over. */
static bool live_value(struct redis *s, const struct redis_op *op, struct slice key, const struct resp_item *item,
                       struct slice *value, uint64_t *epoch) {
    uint64_t expires, version;
    if (item->type != RESP_STRING || item->cut || !redis_header_read(item->text, &expires, epoch, &version)) {
        foreign(s, op, key);
        return false;
    }
    *value = slice_of(item->text.p + REDIS_HEADER, item->text.n - REDIS_HEADER);
    return !expires || expires > s->wall_ms;
}

static bool on_get(struct redis *s, struct redis_conn *c, const struct resp_item *item, struct event *ev) {
    struct redis_op *op = pending(c)->op;
    struct slice value;
    uint64_t epoch;
    bool found = item->type != RESP_NIL && live_value(s, op, redis_op_key(op), item, &value, &epoch);
    return answer_value(s, c, ev, found ? STORE_OK : STORE_MISSING, found ? value : SLICE_NONE, found ? epoch : 0);
}

/* Key, value, key, value, ...: each pair is an answer. */
static bool on_load(struct redis *s, struct redis_conn *c, const struct resp_item *item, struct event *ev) {
    struct redis_op *op = pending(c)->op;
    struct slice value, key;
    uint64_t epoch;
    if (item->type == RESP_END)
        return answer_value(s, c, ev, STORE_MISSING, SLICE_NONE, 0);
    if (item->index % 2 == 0) {
        c->load_key_bad = item->type != RESP_STRING || item->cut || item->text.n > sizeof c->load_key;
        c->load_key_n = c->load_key_bad ? 0 : item->text.n;
        if (c->load_key_n)
            memcpy(c->load_key, item->text.p, c->load_key_n);
        return false;
    }
    key = slice_of(c->load_key, c->load_key_n);
    if (c->load_key_bad) {
        foreign(s, op, SL("(no key of ours)"));
        return false;
    }
    if (!live_value(s, op, key, item, &value, &epoch) || !op->ticket)
        return false;
    redis_op_extend(s, op);
    *ev = (struct event){ .kind = EV_STORE };
    ev->u.store.ticket = op->ticket;
    ev->u.store.status = STORE_OK;
    ev->u.store.more = true;
    ev->u.store.key = key;
    ev->u.store.value = value;
    ev->u.store.epoch = epoch;
    return true;
}

/* Node, value, node, value, ...; told in rising order of nodes. */
static void keep_lease(struct redis *s, const struct resp_item *item) {
    uint64_t node;
    if (item->index % 2 == 0) {
        s->lease_node_known = s->lease_n < REDIS_LEASES_MAX && slice_u64(item->text, UINT32_MAX, &node);
        if (s->lease_node_known)
            s->lease[s->lease_n].node = (uint32_t)node;
    } else if (s->lease_node_known && item->text.n <= REDIS_LEASE_VALUE_MAX) {
        s->lease[s->lease_n].n = (uint8_t)item->text.n;
        if (item->text.n)
            memcpy(s->lease[s->lease_n].value, item->text.p, item->text.n);
        s->lease_n++;
    }
}

static struct slice list_leases(struct redis *s) {
    struct sbuf b = sbuf_on(s->leases, sizeof s->leases);
    for (uint64_t from = 0; from <= UINT32_MAX;) {
        uint64_t node = UINT64_MAX, at = 0;
        for (uint32_t i = 0; i < s->lease_n; i++)
            if (s->lease[i].node >= from && s->lease[i].node < node)
                node = s->lease[at = i].node;
        if (node == UINT64_MAX)
            break;
        for (int shift = 24; shift >= 0; shift -= 8)
            sbuf_char(&b, (char)(node >> shift));
        sbuf_char(&b, 0);
        sbuf_char(&b, (char)s->lease[at].n);
        sbuf_put(&b, slice_of(s->lease[at].value, s->lease[at].n));
        from = node + 1;
    }
    s->lease_n = 0;
    return sbuf_slice(&b);
}

static bool on_lease(struct redis *s, struct redis_conn *c, const struct resp_item *item, struct event *ev) {
    if (item->type == RESP_END)
        return answer_value(s, c, ev, STORE_OK, list_leases(s), 0);
    if (item->depth == 1)
        keep_lease(s, item);
    return false;
}

bool redis_reply_op(struct redis *s, struct redis_conn *c, const struct resp_item *item, struct event *ev) {
    struct redis_op *op = pending(c)->op;
    if (!op)
        return false;
    if (item->type == RESP_ERROR && item->depth == 0) {
        on_error(s, c, item->text);
        return false;
    }
    switch (op->verb) {
    case STORE_GET: return on_get(s, c, item, ev);
    case STORE_LOAD: return on_load(s, c, item, ev);
    case STORE_LEASE: return on_lease(s, c, item, ev);
    case STORE_OWNER: on_owner(s, c, item, STORE_OK); return false;
    case STORE_PUT:
    case STORE_DELETE:
        if (op->node == 0)
            done(s, c, STORE_OK, 0, 0);
        else
            on_script(s, c, item);
        return false;
    default: on_script(s, c, item); return false;
    }
}
