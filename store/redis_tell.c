/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/redis_int.h"

#define NOTICES_A_SECOND 20
#define TEXT_SHOWN 120

void redis_count(struct redis *s, enum metric which) {
    if (s->c.metrics)
        metrics_add(s->c.metrics, which, 1);
}

static void put_where(struct sbuf *b, const struct addr *where, struct slice text) {
    if (where) {
        sbuf_char(b, ' ');
        addr_put(b, where);
    }
    if (text.n) {
        sbuf_put(b, where ? SL(": ") : SL(" "));
        sbuf_escaped(b, text, TEXT_SHOWN);
    }
}

/* A server that says the same of each record shall not fill the disk. */
void redis_notice(struct redis *s, const char *what, const struct addr *where, struct slice text) {
    struct redis_notices *q = &s->notices;
    if (s->now_us - s->notice_second >= 1000000) {
        s->notice_second = s->now_us;
        s->notice_count = 0;
    }
    if (q->n == REDIS_NOTICES || s->notice_count++ >= NOTICES_A_SECOND)
        return;
    uint32_t at = (q->first + q->n++) % REDIS_NOTICES;
    struct sbuf b = sbuf_on(q->line[at], sizeof q->line[at]);
    sbuf_str(&b, what);
    put_where(&b, where, text);
    q->len[at] = (uint16_t)b.n;
}

bool redis_notice_pop(struct redis *s, struct sbuf *line) {
    struct redis_notices *q = &s->notices;
    if (q->n == 0)
        return false;
    sbuf_put(line, slice_of(q->line[q->first], q->len[q->first]));
    q->first = (q->first + 1) % REDIS_NOTICES;
    q->n--;
    return true;
}

void redis_reason(struct redis *s, const struct addr *where, struct slice text) {
    struct sbuf b = sbuf_on(s->reason, sizeof s->reason);
    addr_put(&b, where);
    sbuf_lit(&b, ": ");
    sbuf_escaped(&b, text, TEXT_SHOWN);
    s->reason_n = b.n;
}

/* Upper end of the step in which that part of the operations lies. */
static uint64_t quantile(const struct redis *s, uint32_t percent) {
    uint64_t all = 0, n = 0;
    for (uint32_t i = 0; i < REDIS_LATENCY_STEPS; i++)
        all += s->latency[i];
    for (uint32_t i = 0; i < REDIS_LATENCY_STEPS; i++) {
        n += s->latency[i];
        if (all && n * 100 >= all * percent)
            return (UINT64_C(2) << i) - 1;
    }
    return 0;
}

static void put(struct sbuf *b, const char *name, uint64_t v) {
    sbuf_char(b, ' ');
    sbuf_str(b, name);
    sbuf_char(b, ' ');
    sbuf_u64(b, v);
}

static void describe_conn(const struct redis *s, const struct redis_conn *c, struct sbuf *b) {
    static const char *const states[] = { "idle", "waits", "opens", "greets", "ready" };
    sbuf_str(b, c->role == ROLE_SENTINEL ? "sentinel " : "server ");
    addr_put(b, &c->addr);
    sbuf_char(b, ' ');
    sbuf_str(b, c->refusing ? "takes no writes" : states[c->state]);
    put(b, "queued", c->lane->queue.n + c->lane->redo.n);
    put(b, "parked", c->lane->parked.n);
    put(b, "sent", c->pending_n);
    put(b, "replies", c->replies);
    put(b, "errors", c->errors);
    if (s->c.topology == REDIS_CLUSTER) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < LIMIT_BUCKETS; i++)
            n += s->map[s->slot[i]] == (uint8_t)(c - s->conns);
        put(b, "buckets", n);
    }
    sbuf_char(b, '\n');
}

void redis_describe(const struct redis *s, struct sbuf *b) {
    static const char *const kinds[] = { "redis", "redis by sentinel", "redis cluster" };
    static const char *const healths[] = { "connecting", "up", "down", "refused" };
    sbuf_str(b, kinds[s->c.topology]);
    sbuf_lit(b, ": ");
    sbuf_str(b, healths[store_health(&s->base)]);
    if (store_health(&s->base) != STORE_UP && s->reason_n) {
        sbuf_lit(b, ", ");
        sbuf_put(b, slice_of(s->reason, s->reason_n));
    }
    sbuf_char(b, '\n');
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++)
        if (s->conns[i].role != ROLE_UNUSED)
            describe_conn(s, &s->conns[i], b);
    sbuf_lit(b, "operations");
    put(b, "held", s->ops.used);
    put(b, "of", s->ops.count);
    put(b, "answered", s->done);
    put(b, "late", s->late);
    put(b, "unavailable", s->unavailable);
    put(b, "coalesced", s->coalesced);
    put(b, "redone", s->redone);
    put(b, "dropped", s->dropped);
    put(b, "foreign", s->foreign);
    sbuf_lit(b, "\nlatency us");
    put(b, "p50", quantile(s, 50));
    put(b, "p99", quantile(s, 99));
    sbuf_lit(b, "\n");
}
