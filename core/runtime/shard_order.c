/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/gather.h"
#include "core/runtime/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- an answer on its way */

static struct shard_reply *reply_to(struct shard *s, uint64_t conn) {
    struct shard_reply *r = &s->replies[(uint32_t)conn % ADMIN_CONNS_MAX];
    if (r->conn == conn)
        return r;
    free(r->text); /* nobody waits for that one any more */
    *r = (struct shard_reply){ .conn = conn };
    return r;
}

static bool make_room(struct shard_reply *r, uint32_t n) {
    if (n > ADMIN_ANSWER_MAX - r->n)
        return false;
    if (n <= r->cap - r->n)
        return true;
    uint32_t cap = (r->n + n) * 2 + 4096;
    char *grown = realloc(r->text, cap);
    if (!grown)
        return false;
    r->text = grown;
    r->cap = cap;
    return true;
}

static void append(struct shard_reply *r, struct slice text) {
    r->lost = r->lost || !make_room(r, text.n);
    if (r->lost || !text.n)
        return;
    memcpy(r->text + r->n, text.p, text.n);
    r->n += text.n;
}

void shard_answer(struct shard *s, uint64_t conn, struct slice text, bool last) {
    if (shard_is_alone(s)) {
        admin_answer(&s->admin, conn, text, last);
        return;
    }
    struct shard_reply *r = reply_to(s, conn);
    append(r, text);
    if (!last)
        return;
    struct shard_reply whole = *r;
    *r = (struct shard_reply){ .conn = UINT64_MAX };
    struct mail m = { .kind = MAIL_ANSWER, .number = conn, .pointer = whole.text, .size = whole.n };
    if (s->o.index == 0)
        shard_answered(s, 0, conn, whole.text, whole.n);
    else if (!shard_tell(s, 0, &m, true))
        free(whole.text);
}

/* ---- an order to all */

static void forget_question(struct shard_question *q) {
    for (uint32_t i = 0; i < MAILBOX_SHARDS_MAX; i++)
        free((void *)(uintptr_t)q->answers[i].p);
    *q = (struct shard_question){ .conn = UINT64_MAX };
}

void shard_forget_orders(struct shard *s) {
    for (uint32_t i = 0; i < ADMIN_CONNS_MAX; i++) {
        forget_question(&s->questions[i]);
        free(s->replies[i].text);
        s->replies[i] = (struct shard_reply){ 0 };
    }
}

static void put_together(struct shard *s, const struct shard_question *q) {
    size_t total = 1;
    for (uint32_t i = 0; i < s->o.count; i++)
        total += q->answers[i].n;
    char *text = malloc(total);
    struct sbuf b = sbuf_on(text, text ? total : 0);
    bool ok = text && gather_merge(slice_of(q->line, q->line_n), q->answers, s->o.count, &b);
    admin_answer(&s->admin, q->conn, ok ? sbuf_slice(&b) : SL("error: out of memory\n"), true);
    free(text);
}

void shard_answered(struct shard *s, uint32_t from, uint64_t conn, char *text, uint32_t n) {
    struct shard_question *q = &s->questions[(uint32_t)conn % ADMIN_CONNS_MAX];
    if (q->conn != conn || !q->waiting || from >= s->o.count || q->answers[from].p) {
        free(text);
        return;
    }
    q->answers[from] = slice_of(text, text ? n : 0);
    if (--q->waiting)
        return;
    put_together(s, q);
    forget_question(q);
}

static void ask_all(struct shard *s, uint64_t conn, struct slice line) {
    struct shard_question *q = &s->questions[(uint32_t)conn % ADMIN_CONNS_MAX];
    forget_question(q);
    q->conn = conn;
    q->waiting = s->o.count;
    q->line_n = line.n < sizeof q->line ? line.n : sizeof q->line;
    memcpy(q->line, line.p, q->line_n);
    struct mail m = { .kind = MAIL_ORDER, .number = conn, .bytes = slice_of(q->line, q->line_n) };
    for (uint32_t i = 1; i < s->o.count; i++)
        if (!shard_tell(s, i, &m, true))
            shard_answered(s, i, conn, NULL, 0);
    shard_obey(s, conn, m.bytes);
}

/* ---- orders */

static void put_count(struct sbuf *b, const char *name, uint64_t n) {
    sbuf_str(b, name);
    sbuf_u64(b, n);
}

static void describe_shard(const struct shard *s, struct sbuf *b) {
    const struct metrics *m = engine_metrics(s->engine);
    struct engine_census c;
    engine_census(s->engine, &c);
    put_count(b, "shard ", s->o.index);
    put_count(b, " calls ", c.calls);
    put_count(b, " transfers ", c.transfers);
    put_count(b, " transactions ", c.transactions);
    put_count(b, " ports ", c.ports);
    put_count(b, " memory_kib ", s->memory_bytes >> 10);
    put_count(b, " cpu_ms ", clock_thread_us() / 1000);
    put_count(b, " datagrams_in ", metrics_get(m, M_datagrams_in));
    put_count(b, " from_others ", metrics_get(m, M_peer_in));
    put_count(b, " to_others ", metrics_get(m, M_peer_out));
    put_count(b, " calls_moved ", metrics_get(m, M_calls_moved));
    put_count(b, " mail_full ", metrics_get(m, M_mail_full));
    if (s->node.on)
        put_count(b, " buckets ", lease_count(s->node.lease));
    sbuf_char(b, '\n');
}

static void describe_store(const struct shard *s, struct sbuf *b) {
    if (!shard_is_alone(s)) {
        put_count(b, "shard ", s->o.index);
        sbuf_lit(b, ":\n");
    }
    store_describe(s->store, b);
}

void shard_obey(struct shard *s, uint64_t conn, struct slice line) {
    char text[4096];
    struct sbuf b = sbuf_on(text, sizeof text);
    struct event ev = { .kind = EV_ADMIN };
    if (slice_eq(line, SL("shards"))) {
        describe_shard(s, &b);
        shard_answer(s, conn, sbuf_slice(&b), true);
    } else if (slice_eq(line, SL("store"))) {
        describe_store(s, &b);
        shard_answer(s, conn, sbuf_slice(&b), true);
    } else {
        ev.u.admin.conn = conn;
        ev.u.admin.line = line;
        shard_step(s, &ev);
    }
}

static void answer(struct shard *s, uint64_t conn, const char *text) {
    admin_answer(&s->admin, conn, slice_str(text), true);
}

static void answer_node(struct shard *s, uint64_t conn, void (*describe)(const struct node *n, struct sbuf *text)) {
    static char text[LIMIT_BUCKETS * 16];
    struct sbuf b = sbuf_on(text, sizeof text);
    describe(&s->node, &b);
    admin_answer(&s->admin, conn, sbuf_slice(&b), true);
}

static void hold_format(struct shard *s, const struct admin_order *order) {
    struct mail m = { .kind = MAIL_FORMAT, .bytes = slice_of(order->line.p + 8, order->line.n - 8) };
    if (!node_hold_format(&s->node, m.bytes)) {
        answer(s, order->conn, "error: records auto, or records with a format of a node of a cluster, see `records`\n");
        return;
    }
    shard_tell_others(s, &m, true);
    answer_node(s, order->conn, node_describe_records);
}

/* Those that concern the process are for shard 0 alone. */
void shard_order(struct shard *s, const struct admin_order *order) {
    char text[256];
    if (slice_eq(order->line, SL("version"))) {
        snprintf(text, sizeof text, "refereed %s, %s, %s\n", s->o.version, s->config->node_name, io_describe(s->io));
        answer(s, order->conn, text);
    } else if (slice_eq(order->line, SL("nodes"))) {
        answer_node(s, order->conn, node_describe);
    } else if (slice_eq(order->line, SL("records"))) {
        answer_node(s, order->conn, node_describe_records);
    } else if (slice_has_prefix(order->line, SL("records "))) {
        hold_format(s, order);
    } else if (slice_eq(order->line, SL("buckets"))) {
        answer_node(s, order->conn, node_describe_buckets);
    } else if (slice_eq(order->line, SL("drain"))) {
        answer(s, order->conn, "draining\n");
        shard_drain(s);
    } else if (slice_eq(order->line, SL("reload"))) {
        answer(s, order->conn, "reloading; the log tells\n");
        shard_reload(s);
    } else if (shard_is_alone(s)) {
        shard_obey(s, order->conn, order->line);
    } else {
        ask_all(s, order->conn, order->line);
    }
}

/* ---- reload */

void shard_reload(struct shard *s) {
    struct config_error e;
    if (!s->o.config_path) {
        log_line(&s->log, TRACE_WARN, "reload", "there is no configuration file");
        return;
    }
    struct config *new = config_load(s->o.config_path, &e);
    if (!new || !config_resolve(new, &e)) {
        log_line(&s->log, TRACE_ERROR, "reload", "nothing was changed: %s", e.text);
        config_free(new);
        return;
    }
    for (uint32_t i = 1; i < s->o.count; i++) {
        struct mail m = { .kind = MAIL_RELOAD, .pointer = config_for_shard(new, i) };
        if (m.pointer && shard_tell(s, i, &m, true))
            continue;
        log_line(&s->log, TRACE_ERROR, "reload", "shard %u goes on with the old lists: no memory", i);
        config_free(m.pointer);
    }
    log_line(&s->log, TRACE_INFO, "reload", "%u users, %u routes, %u peers; all other keys need a restart",
             new->users.count, new->routes.count, new->peers.count);
    shard_reloaded(s, new);
}

void shard_reloaded(struct shard *s, struct config *new) {
    engine_reload(s->engine, &new->engine.policy);
    /* The engine reads the new lists from now on; the rest of the old configuration stays in force. */
    struct config *old = s->config;
    struct config_list *lists[][2] = { { &old->users, &new->users }, { &old->routes, &new->routes },
                                       { &old->peers, &new->peers }, { &old->domains, &new->domains },
                                       { &old->echo, &new->echo },
                                       { &old->rules, &new->rules }, { &old->quirks, &new->quirks } };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct config_list swapped = *lists[i][0];
        *lists[i][0] = *lists[i][1];
        *lists[i][1] = swapped;
    }
    config_free(new);
}
