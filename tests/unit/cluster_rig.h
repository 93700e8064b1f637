/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Engines of one cluster, each with its lease, on one embedded store, in virtual time: messages take their time,
 * engines die, sleep, lose the store, come back, drain. A test gives the phones. Whatever an engine sends for a leg of
 * a call is checked: the store has the call's bucket for that engine. A test may have an engine die in the midst of its
 * outbox. Some may be shards of one node (cluster_numbers), which have a part each of its media ports.
 */
#ifndef REFEREE_TESTS_CLUSTER_RIG_H
#define REFEREE_TESTS_CLUSTER_RIG_H

#include "core/b2b/owner.h"
#include "core/base/member.h"
#include "core/base/record_head.h"
#include "store/lease.h"
#include "tests/unit/call_rig.h"

#define CLUSTER_MAX 3
#define CLUSTER_FLIES 4096
#define CLUSTER_INPUTS 16384
#define CLUSTER_RECORDS 256 /* of the store: of each bucket that is taken over all are looked at */
#define CLUSTER_MS UINT64_C(1000)
#define CLUSTER_SEC UINT64_C(1000000)
#define CLUSTER_TRUTH 77 /* ticket of the check's own question */

struct cluster_engine {
    struct engine *e;
    struct lease *l;
    void *mem, *lease_mem;
    bool runs, cut, drained;
    bool leaves;             /* it is told to drain */
    uint8_t format;          /* of records, the highest that its lease says it reads; 0: the newest. `unread` counts
                                what such an engine was given of a higher one: a real one would lose it */
    uint64_t gossip_us;
    struct lease_input in[CLUSTER_INPUTS];
    uint32_t first, waiting;
    struct lease_out out;
    struct outbox box;
};

/* Something on its way. */
struct cluster_fly {
    bool used;
    uint64_t at, seq;
    int engine;              /* -1: to a phone */
    struct event ev;         /* its bytes in `bytes` */
    struct addr to;
    char *bytes;
};

struct cluster {
    struct cluster_engine c[CLUSTER_MAX];
    unsigned n;
    struct engine_config config;
    struct store *store;
    void *store_mem;
    uint64_t now, seq, random;
    unsigned loss;           /* of 1000 datagrams */
    uint64_t delay, jitter;  /* of a datagram to a phone: delay and up to so much more */
    struct cluster_fly fly[CLUSTER_FLIES];
    unsigned heap[CLUSTER_FLIES], heap_n; /* those in use, the next one first */
    unsigned spare[CLUSTER_FLIES], spare_n, high; /* used before; none in use from `high` on */
    uint32_t wrong_owner, sends, unread;
    void (*at_phone)(struct cluster *w, const struct addr *phone, char *text);
    void (*on_media)(struct cluster *w, unsigned engine, const struct media_cmd *cmd);
    /* Asked before each entry of an outbox, and with NULL behind the last one. */
    bool (*dies)(struct cluster *w, unsigned engine, const struct out *next);
};

/* As members; 0: one more than the index. */
static uint32_t cluster_numbers[CLUSTER_MAX];

static inline uint32_t cluster_number(unsigned i) {
    return cluster_numbers[i] ? cluster_numbers[i] : i + 1;
}

static inline unsigned cluster_index(uint32_t number) {
    unsigned i = 0;
    while (i < CLUSTER_MAX - 1 && cluster_number(i) != number)
        i++;
    return i;
}

static inline uint64_t cluster_wall(const struct cluster *w) {
    return RIG_START_MS + (w->now - RIG_START_US) / 1000;
}

static inline uint32_t cluster_random(struct cluster *w, uint32_t below) {
    w->random = w->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(w->random >> 33) % below;
}

/* ---- what is on its way, by time and then in the order of sending ---- */

static inline bool cluster_before(const struct cluster *w, unsigned x, unsigned y) {
    const struct cluster_fly *a = &w->fly[x], *b = &w->fly[y];
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static inline void cluster_rise(struct cluster *w, unsigned i) {
    for (unsigned up; i && cluster_before(w, w->heap[i], w->heap[up = (i - 1) / 2]); i = up) {
        unsigned x = w->heap[i];
        w->heap[i] = w->heap[up];
        w->heap[up] = x;
    }
}

static inline void cluster_sink(struct cluster *w, unsigned i) {
    for (unsigned low; (low = 2 * i + 1) < w->heap_n; i = low) {
        low += low + 1 < w->heap_n && cluster_before(w, w->heap[low + 1], w->heap[low]);
        if (!cluster_before(w, w->heap[low], w->heap[i]))
            return;
        unsigned x = w->heap[i];
        w->heap[i] = w->heap[low];
        w->heap[low] = x;
    }
}

static inline struct cluster_fly *cluster_fly_new(struct cluster *w, struct slice bytes, uint64_t delay) {
    CHECK(w->spare_n || w->high < CLUSTER_FLIES);
    unsigned i = w->spare_n ? w->spare[--w->spare_n] : w->high++;
    struct cluster_fly *f = &w->fly[i];
    *f = (struct cluster_fly){ .used = true, .at = w->now + delay, .seq = w->seq++ };
    f->bytes = calloc(1, bytes.n + 1);
    if (bytes.n)
        memcpy(f->bytes, bytes.p, bytes.n);
    w->heap[w->heap_n] = i;
    cluster_rise(w, w->heap_n++);
    return f;
}

/* It is not used any more; its bytes are the caller's. */
static inline void cluster_fly_end(struct cluster *w, unsigned i) {
    w->fly[i].used = false;
    w->spare[w->spare_n++] = i;
}

/* From a phone: to whichever engine the network picks. */
static inline void cluster_send(struct cluster *w, const struct addr *from, const char *text) {
    if (cluster_random(w, 1000) < w->loss)
        return;
    struct cluster_fly *f = cluster_fly_new(w, slice_str(text), 1 + cluster_random(w, 4000));
    f->engine = (int)cluster_random(w, w->n);
    f->ev.kind = EV_DATAGRAM;
    f->ev.u.dgram.src = *from;
    f->ev.u.dgram.dst = w->config.sip_addr;
    f->ev.u.dgram.bytes.n = (uint32_t)strlen(text);
}

/* ---- the invariant ---- */

static inline uint32_t cluster_owner(struct cluster *w, uint16_t bucket) {
    struct store_op op = { .verb = STORE_OWNER, .ticket = CLUSTER_TRUTH, .bucket = bucket };
    struct event ev = { 0 };
    store_submit(w->store, &op, cluster_wall(w));
    while (store_answer(w->store, &ev))
        CHECK(ev.u.store.ticket == CLUSTER_TRUTH);
    return ev.u.store.node;
}

static inline const struct leg *cluster_leg_of(const struct engine *e, struct slice text) {
    struct token t;
    char mem[TOKEN_LEN];
    uint32_t cursor = 0;
    handle h;
    if (!steer_token(&e->owners.steering, text, &t))
        return NULL;
    struct sbuf b = sbuf_on(mem, sizeof mem);
    token_put(&b, &t);
    for (const struct leg *l; (l = pool_next(&e->legs, &cursor, &h));)
        if (slice_eq(leg_str(l, DLG_LOCAL_TAG), sbuf_slice(&b)))
            return l;
    return NULL;
}

static inline void cluster_check_send(struct cluster *w, unsigned i, struct slice text) {
    const struct leg *l = cluster_leg_of(w->c[i].e, text);
    w->sends++;
    if (!l || w->c[i].cut)
        return;
    uint16_t bucket = leg_call(w->c[i].e, l)->bucket;
    if (cluster_owner(w, bucket) != cluster_number(i)) {
        w->wrong_owner++;
        printf("\nengine %u sends for bucket %03x of engine %u: %.40s\n", cluster_number(i), bucket,
               cluster_owner(w, bucket), text.p);
    }
}

/* ---- what an engine says ---- */

static inline struct lease_input *cluster_tell_lease(struct cluster *w, unsigned i, enum lease_input_kind kind,
                                                     uint16_t bucket) {
    struct cluster_engine *c = &w->c[i];
    CHECK(c->waiting < CLUSTER_INPUTS);
    struct lease_input *in = &c->in[(c->first + c->waiting++) % CLUSTER_INPUTS];
    *in = (struct lease_input){ .kind = kind, .bucket = bucket };
    c->leaves = c->leaves || kind == LEASE_IN_DRAIN;
    return in;
}

static inline void cluster_peer(struct cluster *w, unsigned from, const struct out *o) {
    for (unsigned k = 0; k < w->n; k++) {
        if (k == from || (o->u.peer.to && o->u.peer.to != cluster_number(k)))
            continue;
        if (!w->c[k].runs) {
            if (o->u.peer.to)
                cluster_tell_lease(w, from, LEASE_IN_ASK, o->u.peer.bucket);
            continue;
        }
        struct slice bytes = buf_slice(o->u.peer.buf);
        struct cluster_fly *f = cluster_fly_new(w, bytes, 300); /* in order, as TCP */
        f->engine = (int)k;
        f->ev.kind = EV_PEER;
        f->ev.u.peer.what = o->u.peer.what;
        f->ev.u.peer.from = cluster_number(from);
        f->ev.u.peer.bucket = o->u.peer.bucket;
        f->ev.u.peer.hops = o->u.peer.hops;
        f->ev.u.peer.src = o->u.peer.src;
        f->ev.u.peer.dst = o->u.peer.dst;
        f->ev.u.peer.bytes.n = bytes.n;
    }
}

static inline void cluster_store(struct cluster *w, unsigned i, const struct store_op *op);

/* The shell gives a pair of ports back to the sibling that it belongs to. */
static inline void cluster_go_home(struct cluster *w, unsigned i, const struct media_cmd *cmd) {
    for (unsigned k = 0; cmd->verb == MEDIA_CLOSE && k < w->n; k++) {
        const struct engine_config *c = w->c[k].runs ? &w->c[k].e->cfg : NULL;
        if (k == i || !c || !member_is_sibling(cluster_number(k), cluster_number(i)) ||
            cmd->stream < c->media_own_first || cmd->stream >= c->media_own_end)
            continue;
        struct cluster_fly *f = cluster_fly_new(w, SLICE_NONE, 1);
        f->engine = (int)k;
        f->ev.kind = EV_MEDIA;
        f->ev.u.media.what = MEDIA_EV_RETURNED;
        f->ev.u.media.stream = cmd->stream;
    }
}

static inline void cluster_out(struct cluster *w, unsigned i, struct out *o) {
    struct buf_pool *p = engine_bufs(w->c[i].e);
    switch (o->kind) {
    case OUT_SEND: {
        struct slice text = buf_slice(o->u.send.buf);
        cluster_check_send(w, i, text);
        if (cluster_random(w, 1000) >= w->loss) {
            uint64_t more = w->jitter ? cluster_random(w, (uint32_t)w->jitter) : 0;
            struct cluster_fly *f = cluster_fly_new(w, text, w->delay + more);
            f->engine = -1;
            f->to = o->u.send.dst;
        }
        buf_unref(p, &o->u.send.buf);
        break;
    }
    case OUT_STORE:
        cluster_store(w, i, &o->u.store);
        buf_unref(p, &o->u.store.key);
        buf_unref(p, &o->u.store.value);
        break;
    case OUT_PEER:
        cluster_peer(w, i, o);
        buf_unref(p, &o->u.peer.buf);
        break;
    case OUT_BUCKET:
        cluster_tell_lease(w, i, o->u.bucket.what == BUCKET_GIVEN ? LEASE_IN_GIVEN : LEASE_IN_ASK, o->u.bucket.bucket);
        break;
    case OUT_CDR: buf_unref(p, &o->u.cdr.buf); break;
    case OUT_ADMIN: buf_unref(p, &o->u.admin.buf); break;
    case OUT_MEDIA:
        cluster_go_home(w, i, &o->u.media);
        if (w->on_media)
            w->on_media(w, i, &o->u.media);
        break;
    default: break;
    }
}

static inline void cluster_stop(struct cluster *w, unsigned i);

static inline bool cluster_dies(struct cluster *w, unsigned i, const struct out *next) {
    if (!w->dies || !w->dies(w, i, next))
        return false;
    cluster_stop(w, i);
    return true;
}

static inline void cluster_step(struct cluster *w, unsigned i, struct event *ev) {
    struct cluster_engine *c = &w->c[i];
    if (!c->e)
        return; /* it died in this turn */
    ev->mono_us = w->now;
    ev->wall_ms = cluster_wall(w);
    engine_step(c->e, ev, &c->box);
    for (uint32_t k = 0; k < c->box.n; k++) {
        if (cluster_dies(w, i, &c->box.entries[k]))
            return;
        cluster_out(w, i, &c->box.entries[k]);
    }
    c->box.n = 0;
    cluster_dies(w, i, NULL);
}

/* ---- the lease ---- */

static inline void cluster_decision(struct cluster *w, unsigned i, const struct lease_decision *d) {
    struct event ev;
    if (!lease_event(d, &ev)) {
        w->c[i].drained = w->c[i].drained || d->verdict == LEASE_DRAINED;
        if (d->verdict == LEASE_TELL && w->c[cluster_index(d->node)].runs) {
            struct lease_input *in = cluster_tell_lease(w, cluster_index(d->node), LEASE_IN_HEARD, d->bucket);
            in->node = d->owner;
            in->epoch = d->epoch;
        }
        return;
    }
    if (ev.kind == EV_BUCKET)
        ev.u.bucket.live = w->c[i].leaves;
    if (w->c[i].format && d->verdict == LEASE_RECORD)
        w->unread += record_head_format(d->table, d->value) > w->c[i].format;
    cluster_step(w, i, &ev);
    for (unsigned k = 0; w->c[i].e && d->verdict == LEASE_MINE && k < w->n; k++)
        if (k != i && w->c[k].runs) {
            struct lease_input *in = cluster_tell_lease(w, k, LEASE_IN_HEARD, d->bucket);
            in->node = cluster_number(i);
            in->epoch = d->epoch;
        }
}

static inline void cluster_carry_out(struct cluster *w, unsigned i) {
    struct lease_out *out = malloc(sizeof *out);
    memcpy(out, &w->c[i].out, sizeof *out);
    for (uint32_t k = 0; k < out->n; k++)
        cluster_decision(w, i, &out->d[k]);
    for (uint32_t k = 0; w->c[i].e && k < out->op_n; k++)
        cluster_store(w, i, &out->ops[k]);
    free(out);
}

static inline void cluster_answer(struct cluster *w, unsigned i, struct event *ev) {
    struct cluster_engine *c = &w->c[i];
    if (!(ev->u.store.ticket & LEASE_TICKET)) {
        cluster_step(w, i, ev);
        return;
    }
    struct lease_input in = { .kind = LEASE_IN_STORE, .now_us = w->now, .store = ev };
    lease_step(c->l, &in, &c->out);
    cluster_carry_out(w, i);
}

/* Answers are queued, so that a step of the engine is over before the next one begins. */
static inline void cluster_store(struct cluster *w, unsigned i, const struct store_op *op) {
    struct event ev;
    if (w->c[i].cut) {
        if (!op->ticket)
            return;
        ev = (struct event){ .kind = EV_STORE };
        ev.u.store.ticket = op->ticket;
        ev.u.store.status = STORE_UNAVAILABLE;
        struct cluster_fly *f = cluster_fly_new(w, SLICE_NONE, 500);
        f->engine = (int)i;
        f->ev = ev;
        return;
    }
    store_submit(w->store, op, cluster_wall(w));
    while (store_answer(w->store, &ev)) {
        char both[1 << 16];
        struct slice k = ev.u.store.key, v = ev.u.store.value;
        if (k.n)
            memcpy(both, k.p, k.n);
        if (v.n)
            memcpy(both + k.n, v.p, v.n);
        struct cluster_fly *f = cluster_fly_new(w, slice_of(both, k.n + v.n), 200);
        f->engine = (int)i;
        f->ev = ev;
        f->ev.u.store.key.n = k.n;
        f->ev.u.store.value.n = v.n;
    }
}

static inline void cluster_work(struct cluster *w, unsigned i) {
    struct cluster_engine *c = &w->c[i];
    while (c->runs && c->waiting) {
        struct lease_input in = c->in[c->first];
        c->first = (c->first + 1) % CLUSTER_INPUTS;
        c->waiting--;
        in.now_us = w->now;
        lease_step(c->l, &in, &c->out);
        cluster_carry_out(w, i);
    }
}

/* ---- time ---- */

static inline void cluster_arrive(struct cluster *w, struct cluster_fly *f) {
    struct cluster_fly got = *f;
    cluster_fly_end(w, (unsigned)(f - w->fly));
    if (got.engine < 0) {
        w->at_phone(w, &got.to, got.bytes);
    } else if (w->c[got.engine].runs) {
        unsigned i = (unsigned)got.engine;
        cluster_work(w, i); /* the lease first, as a shell's turn does */
        if (got.ev.kind == EV_DATAGRAM)
            got.ev.u.dgram.bytes.p = got.bytes;
        else if (got.ev.kind == EV_PEER)
            got.ev.u.peer.bytes.p = got.bytes;
        else {
            got.ev.u.store.key.p = got.bytes;
            got.ev.u.store.value.p = got.bytes + got.ev.u.store.key.n;
        }
        if (w->c[i].e && got.ev.kind == EV_STORE)
            cluster_answer(w, i, &got.ev);
        else
            cluster_step(w, i, &got.ev);
        cluster_work(w, i);
    }
    free(got.bytes);
}

/* What is due; the next one, if it is. */
static inline struct cluster_fly *cluster_next(struct cluster *w) {
    if (!w->heap_n || w->fly[w->heap[0]].at > w->now)
        return NULL;
    unsigned i = w->heap[0];
    w->heap[0] = w->heap[--w->heap_n];
    cluster_sink(w, 0);
    return &w->fly[i];
}

static inline void cluster_gossip(struct cluster *w, unsigned i) {
    for (unsigned k = 0; k < w->n; k++)
        if (k != i && w->c[k].runs && lease_knows_store(w->c[i].l)) {
            struct lease_input *in = cluster_tell_lease(w, k, LEASE_IN_PEER, 0);
            in->node = cluster_number(i);
            in->store_ok = lease_store_ok(w->c[i].l);
        }
}

/* Whatever is due now. */
static inline void cluster_turn(struct cluster *w) {
    for (unsigned i = 0; i < w->n; i++) {
        struct cluster_engine *c = &w->c[i];
        for (unsigned k = 0; c->runs && k < 64 && lease_deadline(c->l) <= w->now; k++) {
            cluster_tell_lease(w, i, LEASE_IN_TICK, 0);
            cluster_work(w, i);
        }
        cluster_work(w, i);
        for (unsigned k = 0; c->runs && k < 16 && engine_deadline(c->e) <= w->now; k++)
            cluster_step(w, i, &(struct event){ .kind = EV_DEADLINE });
        if (c->runs && w->now >= c->gossip_us) {
            c->gossip_us = w->now + 500 * CLUSTER_MS;
            cluster_gossip(w, i);
        }
    }
    for (struct cluster_fly *f; (f = cluster_next(w));)
        cluster_arrive(w, f);
}

static inline void cluster_run(struct cluster *w, uint64_t us) {
    for (uint64_t end = w->now + us; w->now < end; w->now += w->heap_n ? CLUSTER_MS : 5 * CLUSTER_MS)
        cluster_turn(w);
}

/* When something is due. */
static inline uint64_t cluster_due(const struct cluster *w) {
    uint64_t due = w->heap_n ? w->fly[w->heap[0]].at : UINT64_MAX;
    for (unsigned i = 0; i < w->n; i++) {
        const struct cluster_engine *c = &w->c[i];
        if (!c->runs)
            continue;
        uint64_t lease = lease_deadline(c->l), engine = engine_deadline(c->e);
        due = lease < due ? lease : due;
        due = engine < due ? engine : due;
        due = c->gossip_us < due ? c->gossip_us : due;
    }
    return due;
}

/* ---- life and death ---- */

static inline void cluster_stop(struct cluster *w, unsigned i) {
    struct cluster_engine *c = &w->c[i];
    free(c->mem);
    free(c->lease_mem);
    memset(c, 0, sizeof *c);
    unsigned kept = 0;
    for (unsigned k = 0; k < w->heap_n; k++) {
        struct cluster_fly *f = &w->fly[w->heap[k]];
        if (f->engine != (int)i) {
            w->heap[kept++] = w->heap[k];
            continue;
        }
        free(f->bytes);
        cluster_fly_end(w, w->heap[k]);
    }
    w->heap_n = kept;
    for (unsigned k = kept / 2; k-- > 0;)
        cluster_sink(w, k);
}

static inline unsigned cluster_siblings(const struct cluster *w, unsigned i) {
    unsigned n = 0;
    for (unsigned k = 0; k < w->n; k++)
        n += member_is_sibling(cluster_number(k), cluster_number(i));
    return n;
}

static inline void cluster_configure(struct cluster *w, unsigned i) {
    struct engine_config *c = &w->config;
    uint32_t pairs = (c->media_port_max - c->media_port_min + 1u) / 2, n = cluster_siblings(w, i);
    c->node = cluster_number(i);
    c->shard = (uint16_t)member_shard(c->node);
    c->shards = (uint16_t)n;
    c->media_own_first = n > 1 ? pairs * c->shard / n : 0;
    c->media_own_end = n > 1 ? pairs * (c->shard + 1u) / n : 0;
}

static inline void cluster_start(struct cluster *w, unsigned i) {
    struct cluster_engine *c = &w->c[i];
    struct lease_config lc = { .node = cluster_number(i), .lazy_seed = w->seq };
    struct arena a;
    if (c->e)
        cluster_stop(w, i);
    lc.format = c->format ? c->format : RECORD_FORMAT;
    cluster_configure(w, i);
    w->config.seed.k0 = 1000 + w->seq++;
    c->e = rig_engine(&w->config, w->now, cluster_wall(w), &c->mem);
    arena_init(&a, NULL, 0);
    lease_new(&a, &lc, w->now);
    c->lease_mem = aligned_alloc(64, (a.used + 63) / 64 * 64);
    arena_init(&a, c->lease_mem, a.used);
    c->l = lease_new(&a, &lc, w->now);
    c->runs = true;
    c->leaves = c->drained = false;
}

static inline struct cluster *cluster_new(unsigned n, uint64_t seed) {
    struct cluster *w = calloc(1, sizeof *w);
    struct siphash_key key = { 3, 4 };
    struct arena a;
    CHECK(w);
    w->now = RIG_START_US;
    w->random = seed;
    w->n = n;
    w->delay = 1;
    w->jitter = 4 * CLUSTER_MS;
    rig_config(&w->config);
    w->config.shared = true;
    w->config.calls_max = 64;
    w->config.durability = DURABILITY_CONFIRMED;
    arena_init(&a, NULL, 0);
    store_memory_new(&a, CLUSTER_RECORDS, 1 << 20, key);
    w->store_mem = aligned_alloc(64, (a.used + 63) / 64 * 64);
    arena_init(&a, w->store_mem, a.used);
    w->store = store_memory_new(&a, CLUSTER_RECORDS, 1 << 20, key);
    for (unsigned i = 0; i < n; i++)
        cluster_start(w, i);
    return w;
}

static inline void cluster_end(struct cluster *w) {
    for (unsigned i = 0; i < w->n; i++)
        cluster_stop(w, i);
    for (unsigned k = 0; k < CLUSTER_FLIES; k++)
        if (w->fly[k].used)
            free(w->fly[k].bytes);
    free(w->store_mem);
    free(w);
}

#endif
