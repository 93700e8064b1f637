/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Two engines of one cluster in virtual time, the phones of a call_rig around them, and one embedded store. A message
 * of a phone reaches the engine `entry`, or each in turn. What one engine has for the other arrives when its step is
 * over, in order, while `linked`. The buckets below PAIR_SPLIT belong to the first. pair_shards: two shards of one
 * process, which write in nobody's name and have each a part of the media ports; pair_siblings: the same in a cluster,
 * each a member of it.
 */
#ifndef REFEREE_TESTS_PAIR_RIG_H
#define REFEREE_TESTS_PAIR_RIG_H

#include "core/b2b/owner.h"
#include "core/base/member.h"
#include "store/store.h"
#include "tests/unit/record_rig.h"

#define PAIR_SPLIT (LIMIT_BUCKETS / 2)
#define PAIR_QUEUE 64

/* Two nodes, two shards of a lone node, two shards of a node of a cluster. */
enum pair_kind { PAIR_NODES, PAIR_SHARDS, PAIR_SIBLINGS };

struct pair_message {
    struct out o;
    unsigned from, to;
    char *bytes;
};

/* What the store does with stubs: takes them; is away; takes them while its answers, and what follows, are lost. */
enum pair_stubs { STUBS_TAKEN, STUBS_AWAY, STUBS_UNHEARD };

struct pair {
    struct rig r;
    struct engine *e[2];
    uint32_t number[2];          /* as a peer */
    void *mem[2], *store_mem;
    struct store *store;
    struct pair_message queue[PAIR_QUEUE];
    unsigned queued, taken;
    unsigned entry;              /* 0, 1; 2: each in turn */
    unsigned turn;
    bool linked, pumping;
    uint64_t link_us;            /* what a message takes from one engine to the other */
    uint64_t loading_us;         /* pair_taken_over: between the records and the word that there are no more */
    uint32_t peer_n, asked_n, given_n, sends;
    uint32_t returned;           /* pairs of ports of the other shard, closed here */
    uint16_t asked;
    uint32_t home[PAIR_QUEUE], home_n; /* on their way */
    unsigned kinds[PEER_KINDS];
    bool keeps_records;          /* the store is away whenever one is to be deleted */
    bool takes_none;             /* ... and one of a call is to be written */
    unsigned takes_first;        /* ... after so many more that it takes */
    bool slow;                   /* ... or is there, but answers nothing yet */
    enum pair_stubs stubs;
    uint64_t failed[8];          /* tickets of those, to be answered */
    unsigned failed_n;
    unsigned lose;               /* kind + 1 of messages that are lost on the way; 0: none */
};

static inline struct pair *pair_of(struct rig *r) {
    return (struct pair *)(void *)r;
}

static inline unsigned pair_owner(unsigned bucket) {
    return bucket >= PAIR_SPLIT;
}

static inline unsigned pair_current(const struct pair *p) {
    return p->r.e == p->e[1];
}

/* The shell gives a pair back to the shard that it belongs to. */
static inline void pair_closed(struct pair *p, uint32_t slot) {
    const struct engine_config *c = &p->e[pair_current(p)]->cfg;
    if (!c->media_own_end || (slot >= c->media_own_first && slot < c->media_own_end))
        return;
    p->returned++;
    CHECK(p->home_n < PAIR_QUEUE);
    p->home[p->home_n++] = slot;
}

/* False: the store is not there for it. */
static inline bool pair_takes(struct pair *p, struct store_op *op) {
    bool stub = slice_eq(op->table, SL("moved")) && (op->verb == STORE_PUT || op->verb == STORE_DELETE);
    bool call = slice_eq(op->table, SL("call")) && op->verb == STORE_PUT;
    bool first = call && p->takes_none && p->takes_first && p->takes_first--;
    bool away = (op->verb == STORE_DELETE && p->keeps_records) || (call && p->takes_none && !first) ||
                (stub && p->stubs != STUBS_TAKEN);
    if (away && op->ticket && p->failed_n < 8)
        p->failed[p->failed_n++] = op->ticket;
    op->ticket = away ? 0 : op->ticket;
    return !away || (stub && p->stubs == STUBS_UNHEARD && op->verb == STORE_PUT);
}

static inline void pair_on_out(struct rig *r, const struct out *o) {
    struct pair *p = pair_of(r);
    p->sends += o->kind == OUT_SEND;
    struct store_op op = o->u.store;
    if (o->kind == OUT_STORE && pair_takes(p, &op))
        store_submit(p->store, &op, rig_wall_ms(r));
    if (o->kind == OUT_BUCKET && o->u.bucket.what == BUCKET_ASKED) {
        p->asked_n++;
        p->asked = o->u.bucket.bucket;
    }
    if (o->kind == OUT_MEDIA && o->u.media.verb == MEDIA_CLOSE)
        pair_closed(p, o->u.media.stream);
    p->given_n += o->kind == OUT_BUCKET && o->u.bucket.what == BUCKET_GIVEN;
    if (o->kind != OUT_PEER)
        return;
    p->peer_n++;
    p->kinds[o->u.peer.what]++;
    if (!p->linked || p->lose == o->u.peer.what + 1u)
        return;
    struct pair_message *m = &p->queue[p->queued++ % PAIR_QUEUE];
    struct slice bytes = buf_slice(o->u.peer.buf);
    CHECK(p->queued - p->taken <= PAIR_QUEUE);
    *m = (struct pair_message){ .o = *o, .from = pair_current(p), .to = !pair_current(p) };
    m->bytes = malloc(bytes.n ? bytes.n : 1);
    if (bytes.n)
        memcpy(m->bytes, bytes.p, bytes.n);
    m->o.u.peer.dst = o->u.peer.dst;
    m->o.u.peer.buf = NULL;
    m->o.u.peer.src = o->u.peer.src;
    m->to = !m->from;
    m->o.kind = (enum out_kind)bytes.n; /* its length, from here on */
}

static inline void pair_step(struct pair *p, unsigned i, struct event *ev) {
    p->r.e = p->e[i];
    rig_step(&p->r, ev);
}

static inline void pair_answers(struct pair *p, unsigned i) {
    struct event ev = { 0 };
    while (!p->slow && store_answer(p->store, &ev))
        pair_step(p, i, &ev);
    while (p->failed_n) {
        ev = (struct event){ .kind = EV_STORE, .u.store = { .ticket = p->failed[--p->failed_n] } };
        ev.u.store.status = STORE_UNAVAILABLE;
        pair_step(p, i, &ev);
    }
}

/* The other's messages, and the store's answers, until there is none. */
static inline void pair_after(struct rig *r) {
    struct pair *p = pair_of(r);
    if (p->pumping)
        return;
    p->pumping = true;
    pair_answers(p, pair_current(p));
    while (p->taken < p->queued) {
        struct pair_message m = p->queue[p->taken++ % PAIR_QUEUE];
        struct event ev = { .kind = EV_PEER };
        p->r.now += p->link_us;
        ev.u.peer.what = m.o.u.peer.what;
        ev.u.peer.from = p->number[m.from];
        ev.u.peer.bucket = m.o.u.peer.bucket;
        ev.u.peer.hops = m.o.u.peer.hops;
        ev.u.peer.src = m.o.u.peer.src;
        ev.u.peer.dst = m.o.u.peer.dst;
        ev.u.peer.bytes = slice_of(m.bytes, (uint32_t)m.o.kind);
        pair_step(p, m.to, &ev);
        free(m.bytes);
        pair_answers(p, m.to);
    }
    while (p->home_n) {
        struct event ev = { .kind = EV_MEDIA, .u.media.what = MEDIA_EV_RETURNED };
        ev.u.media.stream = p->home[--p->home_n];
        pair_step(p, ev.u.media.stream >= p->e[0]->cfg.media_own_end, &ev);
    }
    p->pumping = false;
    p->turn++;
    r->e = p->e[p->entry < 2 ? p->entry : p->turn & 1];
}

/* Where the phones' messages arrive from now on. */
static inline void pair_entry(struct pair *p, unsigned entry) {
    p->entry = entry;
    p->r.e = p->e[entry & 1];
}

static inline void pair_bucket(struct pair *p, unsigned i, enum bucket_event what, unsigned bucket, unsigned peer,
                               uint64_t epoch) {
    struct event ev = { .kind = EV_BUCKET };
    ev.u.bucket.what = what;
    ev.u.bucket.bucket = (uint16_t)bucket;
    ev.u.bucket.peer = peer;
    ev.u.bucket.epoch = epoch;
    ev.u.bucket.live = true;
    pair_step(p, i, &ev);
}

#define PAIR_LOAD UINT64_MAX /* no ticket of an engine's */

/* Every record that the store has of the table in the bucket; and what it answers meanwhile to what they cause. */
static inline void pair_load(struct pair *p, unsigned i, unsigned bucket, struct slice table) {
    static char copy[1 << 16];
    struct store_op op = { .verb = STORE_LOAD, .ticket = PAIR_LOAD, .bucket = (uint16_t)bucket, .table = table };
    struct event got, ev;
    store_submit(p->store, &op, rig_wall_ms(&p->r));
    p->pumping = true;
    while (store_answer(p->store, &got) && (got.u.store.ticket != PAIR_LOAD || got.u.store.more)) {
        if (got.u.store.ticket != PAIR_LOAD) {
            pair_step(p, i, &got);
            continue;
        }
        struct slice k = got.u.store.key, v = got.u.store.value;
        memcpy(copy, k.p, k.n);
        memcpy(copy + k.n, v.p, v.n);
        ev = (struct event){ .kind = EV_BUCKET, .u.bucket.what = BUCKET_RECORD };
        ev.u.bucket.bucket = (uint16_t)bucket;
        ev.u.bucket.table = table;
        ev.u.bucket.key = slice_of(copy, k.n);
        ev.u.bucket.value = slice_of(copy + k.n, v.n);
        ev.u.bucket.written = got.u.store.epoch;
        pair_step(p, i, &ev);
    }
    p->pumping = false;
}

static inline void pair_wait(struct pair *p, uint64_t us) {
    uint64_t until = p->r.now + us;
    for (;;) {
        uint64_t a = engine_deadline(p->e[0]), b = engine_deadline(p->e[1]), next = a < b ? a : b;
        if (next > until)
            break;
        struct event ev = { .kind = EV_DEADLINE };
        p->r.now = next > p->r.now ? next : p->r.now + 1000;
        pair_step(p, b < a, &ev);
    }
    p->r.now = until;
}

/* The engine dies and another one, without its memory, takes the bucket over from what the store has. */
static inline void pair_taken_over(struct pair *p, unsigned i, unsigned bucket) {
    uint64_t epoch = owner_epoch(p->e[i], (uint16_t)bucket) + 1;
    struct store_op claim = { .verb = STORE_CLAIM, .bucket = (uint16_t)bucket, .epoch = epoch - 1 };
    claim.node = claim.former = p->number[i];
    store_submit(p->store, &claim, rig_wall_ms(&p->r));
    pair_bucket(p, i, BUCKET_LOST, bucket, 0, 0);
    pair_bucket(p, i, BUCKET_LOADING, bucket, 0, epoch);
    pair_load(p, i, bucket, SL("moved"));
    pair_load(p, i, bucket, SL("call"));
    pair_load(p, i, bucket, SL("arriving"));
    pair_wait(p, p->loading_us);
    pair_bucket(p, i, BUCKET_MINE, bucket, 0, epoch);
}

/* From its first owner, which lives, and knows: by a claim that the store grants, as it does each write that
 * follows. */
static inline void pair_taken_by(struct pair *p, unsigned i, unsigned bucket) {
    struct store_op claim = { .verb = STORE_CLAIM, .bucket = (uint16_t)bucket, .node = p->number[i],
                              .former = p->number[pair_owner(bucket)], .epoch = 1 };
    store_submit(p->store, &claim, rig_wall_ms(&p->r));
    pair_bucket(p, !i, BUCKET_OWNER, bucket, p->number[i], 2);
    pair_bucket(p, i, BUCKET_LOADING, bucket, 0, 2);
    pair_load(p, i, bucket, SL("moved"));
    pair_load(p, i, bucket, SL("call"));
    pair_load(p, i, bucket, SL("arriving"));
    pair_bucket(p, i, BUCKET_MINE, bucket, 0, 2);
}

static inline void pair_own(struct pair *p) {
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++) {
        struct store_op op = { .verb = STORE_CLAIM, .bucket = (uint16_t)b, .node = p->number[pair_owner(b)] };
        if (p->e[0]->cfg.node)
            store_submit(p->store, &op, RIG_START_MS);
        pair_bucket(p, pair_owner(b), BUCKET_MINE, b, 0, p->e[0]->cfg.node ? 1 : 0);
        pair_bucket(p, !pair_owner(b), BUCKET_OWNER, b, p->number[pair_owner(b)], 0);
    }
}

static inline void pair_as_shard(struct engine_config *c, unsigned i) {
    uint32_t pairs = (c->media_port_max - c->media_port_min + 1u) / 2;
    c->shard = (uint16_t)i;
    c->shards = 2;
    c->media_own_first = pairs * i / 2;
    c->media_own_end = pairs * (i + 1) / 2;
}

static inline struct pair *pair_new_as(struct engine_config *c, const struct user_config *users, uint32_t n,
                                       enum pair_kind kind) {
    struct pair *p = calloc(1, sizeof *p);
    struct siphash_key key = { 3, 4 };
    struct arena a;
    CHECK(p);
    rig_config(c);
    c->shared = true;
    c->policy.users = users;
    c->policy.user_count = n;
    p->linked = true;
    p->r.now = RIG_START_US;
    p->r.arg = c;
    for (unsigned i = 0; i < 2; i++) {
        c->seed.k0 = 77 + i;
        p->number[i] = kind == PAIR_SIBLINGS ? member_of(1, i) : i + 1;
        c->node = kind == PAIR_SHARDS ? 0 : p->number[i];
        if (kind != PAIR_NODES)
            pair_as_shard(c, i);
        p->e[i] = rig_engine(c, p->r.now, RIG_START_MS, &p->mem[i]);
    }
    arena_init(&a, NULL, 0);
    store_memory_new(&a, 256, 1 << 20, key);
    p->store_mem = aligned_alloc(64, (a.used + 63) / 64 * 64);
    arena_init(&a, p->store_mem, a.used);
    p->store = store_memory_new(&a, 256, 1 << 20, key);
    p->r.on_out = pair_on_out;
    p->r.after = pair_after;
    p->r.e = p->e[0];
    pair_own(p);
    return p;
}

static inline struct pair *pair_new_with(struct engine_config *c, const struct user_config *users, uint32_t n) {
    return pair_new_as(c, users, n, PAIR_NODES);
}

static inline struct pair *pair_new(struct engine_config *c) {
    return pair_new_with(c, NULL, 0);
}

static inline struct pair *pair_shards(struct engine_config *c) {
    return pair_new_as(c, NULL, 0, PAIR_SHARDS);
}

static inline struct pair *pair_siblings(struct engine_config *c) {
    return pair_new_as(c, NULL, 0, PAIR_SIBLINGS);
}

static inline void pair_end(struct pair *p) {
    for (unsigned i = 0; i < 2; i++)
        free(p->mem[i]);
    free(p->store_mem);
    free(p);
}

static inline unsigned pair_calls(const struct pair *p, unsigned i) {
    struct engine_census c;
    engine_census(p->e[i], &c);
    return c.calls;
}

static inline bool pair_is_quiet(const struct pair *p) {
    return record_nothing_left(p->e[0]) && record_nothing_left(p->e[1]) && p->e[0]->moved.stubs.used == 0 &&
           p->e[1]->moved.stubs.used == 0;
}

#endif
