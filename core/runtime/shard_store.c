/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/shard.h"

#define STORE_VALUE_BYTES 2048    /* a record with its SDP */
#define WAIT_STEP_US 100000

bool shard_store_open(struct shard *s) {
    const struct config *c = s->config;
    char why[300] = "out of memory";
    struct tls_context *tls = NULL;
    if (c->store_kind == STORE_KIND_REDIS && c->store_tls) {
        tls = tls_context_new(c->store_tls_ca, c->store_tls_cert, c->store_tls_key, c->store_tls_name, why, sizeof why);
        s->rejected = !tls;
    }
    if (s->rejected)
        log_line(&s->log, TRACE_ERROR, "store", "store.tls: %s", why);
    store_io_init(&s->store_io, NULL, tls, &s->log);
    return !s->rejected;
}

struct store *shard_store_new(struct shard *s, struct arena *a) {
    struct config *c = s->config;
    size_t records = c->store_records;
    if (c->store_kind == STORE_KIND_REDIS) {
        c->redis.metrics = s->engine ? engine_metrics(s->engine) : NULL;
        s->store_io.store = store_redis_new(a, &c->redis);
    } else {
        s->store_io.store = store_memory_new(a, (uint32_t)records, records * STORE_VALUE_BYTES, c->engine.seed);
    }
    return s->store_io.store;
}

void shard_store_tick(struct shard *s) {
    store_tick(s->store, s->mono_us, s->wall_ms);
    shard_answers(s);
}

void shard_store_ready(struct shard *s, uint32_t conn) {
    while (store_io_read(&s->store_io, conn))
        shard_answers(s);
}

void shard_store_flush(struct shard *s) {
    store_io_turn(&s->store_io);
}

static void say_reason(struct shard *s, enum trace_level level, const char *what) {
    char text[1024];
    struct sbuf b = sbuf_on(text, sizeof text);
    store_describe(s->store, &b);
    int32_t end = slice_find(sbuf_slice(&b), '\n');
    log_line(&s->log, level, "store", "%.*s; %s", end < 0 ? (int)b.n : (int)end, b.p, what);
}

static void wait_once(struct shard *s) {
    uint64_t at = store_deadline(s->store), now = clock_mono_us();
    uint64_t us = at <= now ? 0 : at - now < WAIT_STEP_US ? at - now : WAIT_STEP_US;
    uint32_t n = io_turn(s->io, us, s->events);
    shard_tell_time(s);
    shard_store_tick(s);
    for (uint32_t i = 0; i < n; i++)
        if (s->events[i].kind == IO_READY)
            shard_event(s, &s->events[i]);
    shard_read_mail(s);
    shard_flush_mail(s);
    shard_store_flush(s);
}

/* Nobody is served meanwhile; what phones sent they send again. */
bool shard_store_wait(struct shard *s) {
    const struct config *c = s->config;
    bool required = c->store_required, said = false;
    uint64_t until = clock_mono_us() + c->redis.timeout_us;
    while (s->state == SHARD_RUNNING) {
        uint64_t failures = metrics_get(engine_metrics(s->engine), M_store_reconnects);
        bool tried = clock_mono_us() >= until || failures >= (c->redis.server_count ? c->redis.server_count : 1);
        enum store_health health = store_health(s->store);
        if (health == STORE_UP)
            return true;
        if (health == STORE_REJECTS) {
            say_reason(s, TRACE_ERROR, "see store.user, store.password and store.db");
            s->rejected = true;
            return false;
        }
        if (tried && !said) {
            say_reason(s, TRACE_WARN, required ? "waiting for it" : "starting without it");
            said = true;
        }
        if (tried && !required)
            return true;
        wait_once(s);
    }
    return false;
}
