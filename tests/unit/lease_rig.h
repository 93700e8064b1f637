/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Several nodes' leases on one embedded store, in virtual time. After every step of anybody: no two that may act have
 * the same bucket; and who reads one has claimed it by each epoch since the one that it says.
 */
#ifndef REFEREE_TESTS_LEASE_RIG_H
#define REFEREE_TESTS_LEASE_RIG_H

#include "core/base/check.h"
#include "core/base/member.h"
#include "store/lease_state.h"
#include "tests/unit/unit.h"

#define NODES 4
#define EPOCHS 64 /* of a bucket, as far as they are looked at */
#define SEC UINT64_C(1000000)
#define MS UINT64_C(1000)
#define START (1000 * SEC)
#define STORE_ENTRIES 512
#define STORE_BYTES (1 << 18)

struct node {
    struct lease *l;
    void *mem;
    bool runs, cut, link_cut, drained;  /* cut: from the store */
    bool unanswered;                    /* what it asks of the store is on its way for ever */
    bool unheard;                       /* what the store says to its claims, which are done, is lost */
    bool acts[LIMIT_BUCKETS], loaded[LIMIT_BUCKETS];
    uint64_t epoch[LIMIT_BUCKETS];
    uint64_t since[LIMIT_BUCKETS];      /* of what it reads: as LEASE_LOADING said last */
    uint32_t before[LIMIT_BUCKETS];     /* claims of anybody, when it was last its own, or lost */
    uint32_t of[LIMIT_BUCKETS];         /* whose a bucket is that is not its own, as it was told last */
    uint64_t by[LIMIT_BUCKETS];         /* ... and by which epoch */
    uint32_t orphans;                   /* so often it was told that one is nobody's */
    bool suspended;
    uint32_t records, lost, gained, tells;
    uint32_t read[LIMIT_BUCKETS];       /* records, since it was told last that they are read */
    bool rewrites[LIMIT_BUCKETS];       /* its records, as it was told when it was last its own */
    uint64_t written;                   /* by which epoch the last one was, as its engine hears */
    bool keeps;                         /* does not give */
    uint64_t lag_us;                    /* its clock behind the others' */
    uint8_t told;                       /* the record format that all read */
    uint32_t cut_in;                    /* operations until it is cut from the store; 0: never */
    uint32_t life;                      /* the how manieth that was started */
};

static struct world {
    struct store *store;
    void *store_mem;
    uint64_t now;
    struct node nodes[NODES];
    unsigned n;
    uint64_t taken_epoch[LIMIT_BUCKETS]; /* highest ever owned */
    struct { uint32_t life, number; } claims[LIMIT_BUCKETS][EPOCHS]; /* whose, by these epochs; the how manieth */
    uint32_t started, claimed;
    bool looks_at_all;                   /* each bucket is looked at in each tick, as if it were due */
    uint64_t hash;                       /* of what leases decided and asked, and when */
} w;

static inline uint64_t wall(void) {
    return 1700000000000 + w.now / 1000;
}

static inline void *memory(size_t n) {
    void *p = calloc(1, n + 64);
    CHECK(p);
    return p;
}

static inline void make_store(void) {
    struct arena a;
    struct siphash_key key = { 3, 4 };
    arena_init(&a, NULL, 0);
    store_memory_new(&a, STORE_ENTRIES, STORE_BYTES, key);
    size_t n = a.used;
    w.store_mem = aligned_alloc(64, (n + 63) / 64 * 64);
    arena_init(&a, w.store_mem, n);
    w.store = store_memory_new(&a, STORE_ENTRIES, STORE_BYTES, key);
}

static uint8_t reads[NODES]; /* record formats; 0: the first */
static uint32_t numbers[NODES]; /* of nodes, or of shards of nodes; 0: one more than the index */

static inline uint32_t number_of(unsigned i) {
    return numbers[i] ? numbers[i] : i + 1;
}
static inline unsigned index_of(uint32_t number) {
    unsigned i = 0;
    while (i < NODES - 1 && number_of(i) != number)
        i++;
    return i;
}

static inline void start_node(unsigned i) {
    struct node *d = &w.nodes[i];
    struct lease_config c = { .node = number_of(i), .lazy_seed = i, .format = reads[i] };
    struct arena a;
    snprintf(c.value, sizeof c.value, "192.0.2.%u:7000", i + 1);
    arena_init(&a, NULL, 0);
    lease_new(&a, &c, w.now);
    size_t n = a.used;
    free(d->mem);
    memset(d, 0, sizeof *d);
    d->mem = aligned_alloc(64, (n + 63) / 64 * 64);
    arena_init(&a, d->mem, n);
    d->l = lease_new(&a, &c, w.now);
    d->runs = true;
    d->life = ++w.started;
    w.n = i >= w.n ? i + 1 : w.n;
}

static inline void world_new(unsigned nodes) {
    memset(&w, 0, sizeof w);
    w.now = START;
    make_store();
    for (unsigned i = 0; i < nodes; i++)
        start_node(i);
}

static inline void world_end(void) {
    for (unsigned i = 0; i < NODES; i++)
        free(w.nodes[i].mem);
    free(w.store_mem);
}

static inline bool knows(const struct node *d, uint32_t node) {
    struct lease_node n;
    for (uint32_t i = 0; lease_node(d->l, i, &n); i++)
        if (n.node == node)
            return true;
    return false;
}

/* The one exception, see lease.h: it goes on without the store, and somebody has started whom it cannot see. */
static inline bool is_excused(const struct node *d) {
    for (unsigned i = 0; !lease_store_ok(d->l) && i < w.n; i++)
        if (w.nodes[i].runs && !knows(d, number_of(i)))
            return true;
    return false;
}

static inline bool acts(const struct node *d, unsigned bucket) {
    return d->runs && !d->suspended && d->acts[bucket];
}

/* The invariant; a node that is paused cannot act. */
static inline void check_one_owner(unsigned bucket) {
    unsigned n = 0;
    for (unsigned i = 0; i < w.n; i++)
        n += acts(&w.nodes[i], bucket) && !is_excused(&w.nodes[i]);
    if (n > 1)
        printf("\nbucket %03x has %u owners at %" PRIu64 " ms\n", bucket, n, (w.now - START) / MS);
    CHECK_TRUE(n <= 1);
}

static inline void input(unsigned i, struct lease_input in);

static inline void check_since(const struct node *n, unsigned bucket) {
    CHECK_TRUE(n->since[bucket] && n->since[bucket] <= n->epoch[bucket]);
    for (uint64_t e = n->since[bucket]; e <= n->epoch[bucket] && e < EPOCHS; e++)
        CHECK_TRUE(w.claims[bucket][e].life == n->life && w.claims[bucket][e].number > n->before[bucket]);
}

static inline void carry_out(unsigned i, const struct lease_decision *d) {
    struct node *n = &w.nodes[i];
    struct event ev;
    switch (d->verdict) {
    case LEASE_LOADING:
        CHECK_TRUE(d->epoch > w.taken_epoch[d->bucket]);
        w.taken_epoch[d->bucket] = d->epoch;
        n->acts[d->bucket] = true;
        n->loaded[d->bucket] = false;
        n->read[d->bucket] = 0;
        n->epoch[d->bucket] = d->epoch;
        n->gained++;
        CHECK_TRUE(lease_event(d, &ev));
        n->since[d->bucket] = ev.u.bucket.since;
        check_since(n, d->bucket);
        break;
    case LEASE_MINE:
        n->before[d->bucket] = w.claimed;
        n->acts[d->bucket] = n->loaded[d->bucket] = true;
        n->rewrites[d->bucket] = d->rewrite;
        n->epoch[d->bucket] = d->epoch;
        if (d->epoch > w.taken_epoch[d->bucket])
            w.taken_epoch[d->bucket] = d->epoch;
        break;
    case LEASE_RECORD:
        n->records++;
        n->read[d->bucket]++;
        CHECK_TRUE(lease_event(d, &ev));
        n->written = ev.u.bucket.written;
        CHECK_TRUE(!n->acts[d->bucket] || d->epoch == n->epoch[d->bucket]);
        break;
    case LEASE_OWNER:
        n->of[d->bucket] = d->node;
        n->by[d->bucket] = d->epoch;
        n->orphans += !d->node;
        break;
    case LEASE_LOST:
        n->of[d->bucket] = d->node;
        n->lost++;
        n->before[d->bucket] = w.claimed;
        n->acts[d->bucket] = false;
        break;
    case LEASE_SUSPEND: n->suspended = true; break;
    case LEASE_RESUME:
        n->suspended = false;
        for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
            check_one_owner(b);
        break;
    case LEASE_DRAINED: n->drained = true; break;
    case LEASE_FORMAT: n->told = d->format; break;
    default: break;
    }
    check_one_owner(d->bucket);
}

static inline void note_claim(unsigned i, const struct store_op *op, const struct event *ev) {
    bool claimed = op->verb == STORE_CLAIM && ev->u.store.ticket == op->ticket && ev->u.store.status == STORE_OK;
    w.claimed += claimed;
    if (claimed && ev->u.store.epoch < EPOCHS) {
        w.claims[op->bucket][ev->u.store.epoch].life = w.nodes[i].life;
        w.claims[op->bucket][ev->u.store.epoch].number = w.claimed;
    }
}

static inline void lose_answer(struct event *ev) {
    uint64_t ticket = ev->u.store.ticket;
    *ev = (struct event){ .kind = EV_STORE };
    ev->u.store.ticket = ticket;
    ev->u.store.status = STORE_UNAVAILABLE;
}

/* Operations reach the store at once; answers come in the same turn. */
static inline void submit(unsigned i, const struct store_op *ops, uint32_t n) {
    struct event ev;
    for (uint32_t k = 0; k < n && !w.nodes[i].unanswered; k++) {
        w.nodes[i].cut = w.nodes[i].cut || (w.nodes[i].cut_in && !--w.nodes[i].cut_in);
        if (!w.nodes[i].cut)
            store_submit(w.store, &ops[k], wall());
        else if (ops[k].ticket) {
            ev = (struct event){ .kind = EV_STORE };
            ev.u.store.ticket = ops[k].ticket;
            ev.u.store.status = STORE_UNAVAILABLE;
            input(i, (struct lease_input){ .kind = LEASE_IN_STORE, .store = &ev });
        }
        while (store_answer(w.store, &ev)) {
            note_claim(i, &ops[k], &ev);
            if (w.nodes[i].unheard && ops[k].verb == STORE_CLAIM)
                lose_answer(&ev);
            input(i, (struct lease_input){ .kind = LEASE_IN_STORE, .store = &ev });
        }
    }
}

static inline void give(unsigned i, const struct lease_decision *d) {
    struct node *n = &w.nodes[i];
    if (n->keeps)
        return;
    n->acts[d->bucket] = false;
    input(i, (struct lease_input){ .kind = LEASE_IN_GIVEN, .bucket = d->bucket });
}

static inline void tell(unsigned i, const struct lease_decision *d) {
    struct node *to = &w.nodes[index_of(d->node)];
    w.nodes[i].tells++;
    if (to->runs && !to->link_cut && !w.nodes[i].link_cut)
        input(index_of(d->node),
              (struct lease_input){ .kind = LEASE_IN_HEARD, .bucket = d->bucket, .node = d->owner, .epoch = d->epoch });
}

static inline void note(unsigned i, const struct lease_out *out) {
    for (uint32_t k = 0; k < out->n; k++)
        w.hash = (w.hash ^ w.now ^ i ^ out->d[k].verdict << 8 ^ (uint64_t)out->d[k].bucket << 16 ^
                  (uint64_t)out->d[k].node << 32 ^ out->d[k].epoch << 40) * UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t k = 0; k < out->op_n; k++)
        w.hash = (w.hash ^ w.now ^ i ^ out->ops[k].ticket ^ out->ops[k].epoch << 40) * UINT64_C(0xff51afd7ed558ccd);
}

static inline void input(unsigned i, struct lease_input in) {
    struct lease_out *out = memory(sizeof *out);
    in.now_us = w.now - w.nodes[i].lag_us;
    if (w.looks_at_all)
        memset(w.nodes[i].l->due, 0xff, sizeof w.nodes[i].l->due);
    lease_step(w.nodes[i].l, &in, out);
    note(i, out);
    for (uint32_t k = 0; k < out->n; k++)
        carry_out(i, &out->d[k]);
    submit(i, out->ops, out->op_n);
    for (uint32_t k = 0; k < out->n; k++) {
        if (out->d[k].verdict == LEASE_GIVE)
            give(i, &out->d[k]);
        else if (out->d[k].verdict == LEASE_TELL)
            tell(i, &out->d[k]);
    }
    free(out);
}

/* Shards of a node need no link. */
static inline bool can_talk(unsigned i, unsigned k) {
    return member_is_sibling(number_of(i), number_of(k)) || (!w.nodes[k].link_cut && !w.nodes[i].link_cut);
}

static inline void gossip(unsigned i) {
    for (unsigned k = 0; k < w.n; k++)
        if (k != i && w.nodes[k].runs && can_talk(i, k) && lease_knows_store(w.nodes[i].l))
            input(k, (struct lease_input){ .kind = LEASE_IN_PEER, .node = number_of(i),
                                           .store_ok = lease_store_ok(w.nodes[i].l) });
}

static inline void run(uint64_t us) {
    for (uint64_t end = w.now + us; w.now < end; w.now += 10 * MS)
        for (unsigned i = 0; i < w.n; i++) {
            struct node *d = &w.nodes[i];
            for (unsigned k = 0; d->runs && k < 100 && lease_deadline(d->l) <= w.now - d->lag_us; k++)
                input(i, (struct lease_input){ .kind = LEASE_IN_TICK });
            if (d->runs && w.now % SEC == 0)
                gossip(i);
        }
}

static inline unsigned owned(unsigned i) {
    unsigned n = 0;
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
        n += acts(&w.nodes[i], b) && w.nodes[i].loaded[b];
    return n;
}

static inline unsigned owned_by_all(void) {
    unsigned n = 0;
    for (unsigned i = 0; i < w.n; i++)
        n += owned(i);
    return n;
}

/* Time until all are owned; at most `bound`. */
static inline uint64_t until_all_owned(uint64_t bound) {
    uint64_t from = w.now;
    while (owned_by_all() < LIMIT_BUCKETS && w.now - from < bound)
        run(100 * MS);
    CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
    return w.now - from;
}

static inline bool put(unsigned i, unsigned bucket, const char *key) {
    static char mem[2][sizeof(struct buf) + 64];
    struct buf *b = (struct buf *)(void *)mem[0];
    struct event ev = { 0 };
    b->len = (uint32_t)strlen(key);
    memcpy(b->data, key, b->len);
    struct store_op op = { .verb = STORE_PUT, .ticket = 1, .bucket = (uint16_t)bucket, .table = SL("call"), .key = b,
                           .value = b, .node = number_of(i), .epoch = w.nodes[i].epoch[bucket], .version = 1 };
    store_submit(w.store, &op, wall());
    CHECK_TRUE(store_answer(w.store, &ev));
    return ev.u.store.status == STORE_OK;
}

static inline unsigned bucket_of(unsigned i) {
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
        if (acts(&w.nodes[i], b))
            return b;
    return 0;
}

#endif
