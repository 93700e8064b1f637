/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How an engine is laid out, and what can be asked of it between steps. */
#include "core/b2b/anchor.h"
#include "core/b2b/barrier.h"
#include "core/b2b/failure.h"
#include "core/b2b/move.h"
#include "core/b2b/moved.h"
#include "core/b2b/owner.h"
#include "core/b2b/owner_over.h"
#include "core/b2b/party.h"
#include "core/b2b/policy.h"
#include "core/b2b/reanchor.h"
#include "core/b2b/registrar.h"
#include "core/b2b/state.h"
#include "core/b2b/unread.h"
#include "core/base/check.h"

void engine_config_defaults(struct engine_config *c) {
    *c = (struct engine_config){
        .realm = "referee",
        .user_agent = "referee",
        .sip_host = "",
        .t1_us = SIP_T1_US,
        .t2_us = SIP_T2_US,
        .t4_us = SIP_T4_US,
        .auth_required = true,
        .auth_md5 = true,
        .nonce_lifetime_s = 300,
        .expires_min_s = 60,
        .expires_max_s = 7200,
        .expires_default_s = 3600,
        .session = { .expires_s = 1800, .min_se_s = SESSION_MIN_SE, .refresher = SESSION_AUTO },
        .media_port_min = 30000,
        .media_port_max = 30999,
        .media_quarantine_us = 5000000,
        .media_nat = true,
        .media_timeout_us = 60000000,
        .refer = REFER_LOCAL,
        .hold = HOLD_PASS,
        .attended = ATTENDED_REPLACE,
        .splice = SPLICE_OFFER,
        .transfer_early_media = true,
        .anchor = ANCHOR_AUTO,
        .srtp = SRTP_MODE_ACCEPT,
        .notify_progress = true,
        .replace_timeout_us = 8000000,
        .ring_timeout_us = 120000000,
        .bye_wait_us = 3000000,
        .recall_time_us = 30000000,
        .subscription_s = 180,
        .max_depth = LIMIT_TRANSFER_DEPTH,
        .records = true,
        .rebalance = REBALANCE_LIVE,
        .durability_budget_us = 30000,
        .invite_timeout_us = 180000000,
        .busy_percent = 100,
        .lag_us = 250000,
        .emergency_reserve = 2,
        .calls_max = LIMIT_CALLS_DEFAULT,
        .bindings_max = 4096,
        .failures = 32,
        .trace_lines = 4096,
        .trace_level = TRACE_DEBUG,
    };
}

/* A call has two legs, three in a transfer; each may have a transaction or two open and several lingering. */
static uint32_t txn_count_of(const struct engine_config *c) {
    return c->txns_max ? c->txns_max : c->calls_max * LIMIT_TXN_PER_CALL;
}

static void layout_buffers(struct engine *e, struct arena *a, const struct engine_config *c) {
    uint32_t legs = c->calls_max * 3, txns = txn_count_of(c);
    const uint32_t count[BUF_CLASSES] = { txns * 2, txns, txns, legs, txns, legs + 256, 256, 64 };
    buf_pool_init(&e->bufs, a, count);
}

static void layout_pools(struct engine *e, struct arena *a, const struct engine_config *c) {
    uint32_t legs = c->calls_max * 3;
    pool_init(&e->calls, a, c->calls_max, sizeof(struct call));
    chain_init(&e->calls_by_id, a, &e->calls, offsetof(struct call, by_id), c->calls_max);
    chain_init(&e->calls_by_bucket, a, &e->calls, offsetof(struct call, by_bucket), LIMIT_BUCKETS);
    pool_init(&e->legs, a, legs, sizeof(struct leg));
    pool_init(&e->repeats, a, legs, sizeof(struct leg_repeat));
    pool_init(&e->streams, a, legs * LEG_STREAMS, sizeof(struct leg_stream));
    pool_init(&e->transfers, a, c->calls_max / 2 + 1, sizeof(struct transfer));
    party_init(e, a, c);
    chain_init(&e->by_remote, a, &e->legs, offsetof(struct leg, by_remote), c->calls_max);
    chain_init(&e->leg_map, a, &e->legs, offsetof(struct leg, by_tag), legs);
    port_pool_init_more(&e->ports, a, c->media_port_min, c->media_port_max, c->media_quarantine_us,
                        anchor_count(c) - 1);
    e->registrar = registrar_new(a, c->bindings_max);
    trace_init(&e->trace, a, c->trace_lines, c->shard, c->trace_level);
    failure_init(e, a, c->failures);
    moved_init(e, a);
    owner_over_init(e, a, c, legs);
    unread_init(e, a);
    move_init(e, a);
    owner_wait_init(e, a);
    barrier_init(e, a);
    reanchor_init(e, a, legs);
    e->descriptions = sdp_memo_new(a);
    source_init(e, a);
    layout_buffers(e, a, c);
}

/* Who counts a nonce's uses is who gave it: another engine's is stale here, and the next round is with one of ours. */
static void own_nonces(const struct engine_config *c, uint8_t secret[AUTH_SECRET_LEN]) {
    for (unsigned i = 0; c->shared && i < 4; i++)
        secret[i] ^= (uint8_t)(c->node >> (8 * i));
    for (unsigned i = 0; c->shared && i < 2; i++)
        secret[4 + i] ^= (uint8_t)(c->shard >> (8 * i));
}

static void layout_protocol(struct engine *e, struct arena *a, const struct engine_config *c) {
    struct txn_layer_config t = {
        .count = txn_count_of(c),
        .open = txn_count_of(c) / LIMIT_TXN_PER_OPEN + LIMIT_TXN_OPEN_MORE,
        .key = e->map_key,
        .times = { .t1 = c->t1_us, .t2 = c->t2_us, .t4 = c->t4_us, .d = 64ull * c->t1_us },
        .wheel = &e->wheel,
        .bufs = &e->bufs,
        .metrics = &e->metrics,
        .trace = &e->trace,
    };
    txn_layer_init(&e->txns, a, &t);
    struct auth_config auth = {
        .realm = slice_str(e->cfg.realm),
        .ttl_ms = 1000ull * c->nonce_lifetime_s,
        .nonces = c->bindings_max,
        .algorithms = (c->auth_md5 ? AUTH_USE_MD5 : 0) | (c->auth_sha256 ? AUTH_USE_SHA256 : 0),
    };
    memcpy(auth.secret, c->secret, sizeof auth.secret);
    own_nonces(c, auth.secret);
    auth_server_init(&e->auth, a, &auth);
    load_init(e, a, c, txn_count_of(c));
    hand_init(e, a, c);
}

/* host:port for Via and Contact, kept behind the configuration's own text. */
static void name_ourselves(struct engine *e) {
    struct sbuf host = sbuf_on(e->host_text, sizeof e->host_text);
    if (e->cfg.sip_host[0])
        sbuf_str(&host, e->cfg.sip_host);
    else
        addr_put_host(&host, &e->cfg.sip_addr);
    e->ua.host = sbuf_slice(&host);
    sbuf_char(&host, ':');
    sbuf_u64(&host, e->cfg.sip_addr.port);
    CHECK(!host.overflow);
    e->ua.sent_by = sbuf_slice(&host);
    e->ua.agent = slice_str(e->cfg.user_agent);
    e->ua.bufs = &e->bufs;
    memcpy(&e->ua.branch_key, e->cfg.secret + 16, sizeof e->ua.branch_key);
}

static bool is_own_port(const struct engine *e, uint32_t slot) {
    uint32_t pair = slot % e->ports.pairs;
    return !e->cfg.media_own_end || (pair >= e->cfg.media_own_first && pair < e->cfg.media_own_end);
}

/* Pairs that the shell could not bind are taken for good. Of the others some are kept. */
static void withhold_ports(struct engine *e, uint64_t now) {
    const bool *usable = e->cfg.media_port_usable;
    uint32_t generation;
    e->ports_withheld = 0;
    for (uint32_t i = 0; i < e->ports.count; i++)
        if (!is_own_port(e, i))
            port_pool_set_foreign(&e->ports, i);
        else if (usable && !usable[i] && port_pool_take_slot(&e->ports, i, now, &generation))
            e->ports_withheld++;
    port_pool_keep(&e->ports, e->cfg.emergency_reserve);
}

/* What every part asks of the arena, in the order of the layout. */
static void layout(struct engine *e, struct arena *a) {
    layout_pools(e, a, &e->cfg);
    layout_protocol(e, a, &e->cfg);
}

/* While counting there is no engine yet: the parts are laid out of one on the stack, which is forgotten. */
static __attribute__((noinline)) void count_layout(struct arena *a, const struct engine_config *config) {
    struct engine counted;
    counted.cfg = *config;
    layout(&counted, a);
}

struct engine *engine_new(struct arena *a, const struct engine_config *config, uint64_t mono_us, uint64_t wall_ms) {
    struct engine *e = arena_take(a, sizeof *e);
    if (!e) {
        count_layout(a, config);
        return NULL;
    }
    e->cfg = *config;
    engine_reload(e, &config->policy);
    e->now = mono_us;
    e->wall_ms = wall_ms;
    rng_init(&e->rng, config->seed);
    e->map_key.k0 = rng_u64(&e->rng);
    e->map_key.k1 = rng_u64(&e->rng);
    wheel_init(&e->wheel, mono_us);
    layout(e, a);
    name_ourselves(e);
    withhold_ports(e, mono_us);
    e->drain_timer.kind = TIMER_DRAIN;
    owner_init(e);
    record_format_init(e);
    e->barrier.retry.kind = TIMER_STORE;
    e->strays_timer.kind = TIMER_STRAYS;
    return e;
}

void engine_reload(struct engine *e, const struct policy_config *policy) {
    e->policy = *policy;
    e->own_srtp = policy_has_own_srtp(policy);
    e->sources.denies = false;
    for (uint32_t i = 0; i < policy->peer_count; i++)
        e->sources.denies = e->sources.denies || policy->peers[i].deny;
}

void engine_set_relay(struct engine *e, const struct relay *relay) {
    e->relay = relay;
}

bool engine_drained(const struct engine *e) {
    return e->draining && e->calls.used == 0 && e->moves.used == 0 && e->wait.used == 0;
}

struct buf_pool *engine_bufs(struct engine *e) {
    return &e->bufs;
}

struct trace *engine_trace(struct engine *e) {
    return &e->trace;
}

struct metrics *engine_metrics(struct engine *e) {
    return &e->metrics;
}

void engine_census(const struct engine *e, struct engine_census *out) {
    uint32_t bufs = 0;
    for (unsigned i = 0; i < BUF_CLASSES; i++)
        bufs += e->bufs.used[i];
    *out = (struct engine_census){
        .calls = e->calls.used,
        .legs = e->legs.used,
        .transfers = e->transfers.used,
        .transactions = txn_count(&e->txns),
        .timers = e->wheel.armed,
        .ports = e->ports.used - e->ports_withheld,
        .records = e->records,
        .held = e->barrier.held.used,
        .unprotected = barrier_unprotected(e),
        .bindings = registrar_count(e),
        .bufs = bufs,
    };
}
