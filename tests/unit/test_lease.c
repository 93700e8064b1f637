/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Whose a bucket is when nodes come, go, sleep, and lose the store or one another (lease_rig.h).
 */
#include "store/lease_state.h"
#include "tests/unit/lease_rig.h"

static void test_alone(void) {
    world_new(1);
    CHECK_TRUE(until_all_owned(10 * SEC) <= 2 * SEC);
    run(20 * SEC);
    CHECK_EQ(w.nodes[0].lost, 0);
    CHECK_EQ(w.nodes[0].gained, LIMIT_BUCKETS);
    CHECK_EQ(lease_count(w.nodes[0].l), LIMIT_BUCKETS);
    world_end();
}

static void test_shared_evenly(void) {
    world_new(3);
    (void)until_all_owned(10 * SEC);
    for (unsigned i = 0; i < 3; i++)
        CHECK_TRUE(owned(i) > LIMIT_BUCKETS / 4 && owned(i) < LIMIT_BUCKETS / 2);
    world_end();
}

/* Lease, grace, one renewal, and what the claims take. */
static void test_death(void) {
    world_new(3);
    (void)until_all_owned(10 * SEC);
    unsigned had = owned(0), bucket = bucket_of(0);
    CHECK_TRUE(put(0, bucket, "x"));
    uint64_t epoch = w.nodes[0].epoch[bucket];
    w.nodes[0].runs = false;
    CHECK_EQ(owned_by_all(), LIMIT_BUCKETS - had);
    uint64_t t = until_all_owned(10 * SEC);
    CHECK_TRUE(t > LEASE_LIFE_US - LEASE_RENEW_US && t <= 5 * SEC);
    CHECK_EQ(w.nodes[1].records + w.nodes[2].records, 1);
    CHECK_EQ(w.nodes[1].written + w.nodes[2].written, epoch);
    CHECK_FALSE(put(0, bucket, "x"));
    world_end();
}

/* Until somebody else has them, they are nobody's: nothing is to be passed to a node whose lease is gone. If it comes
 * back before that, they are its own again. */
static void test_orphaned(void) {
    for (unsigned back = 0; back < 2; back++) {
        world_new(3);
        (void)until_all_owned(10 * SEC);
        run(15 * SEC); /* each was looked at once more */
        unsigned bucket = bucket_of(0);
        CHECK_EQ(w.nodes[1].of[bucket], 1);
        CHECK_EQ(w.nodes[2].of[bucket], 1);
        w.nodes[0].runs = false;
        while (knows(&w.nodes[1], 1) || knows(&w.nodes[2], 1))
            run(10 * MS);
        run(200 * MS);
        CHECK_FALSE(acts(&w.nodes[1], bucket) || acts(&w.nodes[2], bucket));
        CHECK_EQ(w.nodes[1].of[bucket], 0);
        CHECK_EQ(w.nodes[2].of[bucket], 0);
        w.nodes[0].runs = back;
        if (back)
            input(0, (struct lease_input){ .kind = LEASE_IN_TICK });
        run(20 * SEC);
        CHECK_TRUE(acts(&w.nodes[1], bucket) || w.nodes[1].of[bucket] == (back ? 1 : 3));
        CHECK_TRUE(acts(&w.nodes[2], bucket) || w.nodes[2].of[bucket] == (back ? 1 : 2));
        world_end();
    }
}

/* A message makes the one it came to take over, though the bucket should be another's. */
static void test_lazy(void) {
    world_new(3);
    (void)until_all_owned(10 * SEC);
    unsigned bucket = bucket_of(0);
    w.nodes[0].runs = false;
    w.nodes[1].runs = w.nodes[2].runs = true;
    uint64_t from = w.now;
    while (!acts(&w.nodes[1], bucket) && !acts(&w.nodes[2], bucket) && w.now - from < 10 * SEC) {
        input(1, (struct lease_input){ .kind = LEASE_IN_ASK, .bucket = (uint16_t)bucket });
        run(100 * MS);
    }
    CHECK_TRUE(acts(&w.nodes[1], bucket));
    CHECK_TRUE(w.now - from < 4500 * MS);
    world_end();
}

/* Stopped past its lease, then woken: it sends nothing before it has asked, and drops what it lost. */
static void test_zombie(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned bucket = bucket_of(0), had = owned(0);
    w.nodes[0].runs = false;
    (void)until_all_owned(10 * SEC);
    w.nodes[0].runs = true;
    /* Its first step is a message, not a tick. */
    input(0, (struct lease_input){ .kind = LEASE_IN_PEER, .node = 2, .store_ok = true });
    CHECK_TRUE(w.nodes[0].suspended);
    CHECK_FALSE(put(0, bucket, "z"));
    run(SEC);
    CHECK_FALSE(w.nodes[0].suspended && lease_count(w.nodes[0].l));
    CHECK_EQ(w.nodes[0].lost, had);
    (void)until_all_owned(20 * SEC);
    run(10 * SEC);
    CHECK_TRUE(owned(0) > LIMIT_BUCKETS / 3); /* it got its share again */
    world_end();
}

/* Its lease is good again, but it has not found out what it lost when the store goes away: it does nothing yet. */
static void test_zombie_cut(void) {
    for (unsigned ops = 2; ops < 100; ops += 20) {
        world_new(3);
        (void)until_all_owned(10 * SEC);
        w.nodes[0].runs = false;
        (void)until_all_owned(10 * SEC);
        w.nodes[0].runs = true;
        w.nodes[0].cut_in = ops;
        input(0, (struct lease_input){ .kind = LEASE_IN_TICK });
        run(100 * MS);
        CHECK_TRUE(w.nodes[0].cut && w.nodes[0].suspended);
        w.nodes[0].cut = false;
        run(3 * SEC);
        CHECK_FALSE(w.nodes[0].suspended);
        world_end();
    }
}

/* Stopped for less than its lease: nothing is lost, but it asks. */
static void test_gap(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned had = owned(0);
    w.nodes[0].runs = false;
    run(700 * MS);
    w.nodes[0].runs = true;
    input(0, (struct lease_input){ .kind = LEASE_IN_PEER, .node = 2, .store_ok = true });
    CHECK_TRUE(w.nodes[0].suspended);
    run(200 * MS);
    CHECK_FALSE(w.nodes[0].suspended);
    CHECK_EQ(owned(0), had);
    CHECK_EQ(w.nodes[0].lost, 0);
    world_end();
}

/* One alone is cut from the store: it stops when its lease ends, the others take over. */
static void test_cut_from_store(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    w.nodes[0].cut = true;
    run(3100 * MS);
    CHECK_TRUE(w.nodes[0].suspended);
    run(5 * SEC);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    w.nodes[0].cut = false;
    run(20 * SEC);
    CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
    CHECK_TRUE(owned(0) > 0);
    world_end();
}

/* One is cut from the store, or sleeps, and the other takes its buckets; then the store is down for both. The first
 * does not go on with what is the other's. */
static void test_outage_behind_cut(void) {
    for (unsigned sleeps = 0; sleeps < 2; sleeps++) {
        world_new(2);
        (void)until_all_owned(10 * SEC);
        unsigned bucket = bucket_of(0);
        w.nodes[0].cut = !sleeps;
        w.nodes[0].runs = !sleeps;
        run(8 * SEC);
        CHECK_TRUE(acts(&w.nodes[1], bucket));
        w.nodes[0].runs = true;
        w.nodes[0].cut = w.nodes[1].cut = true;
        run(10 * SEC);
        CHECK_TRUE(w.nodes[0].suspended && acts(&w.nodes[1], bucket));
        w.nodes[0].cut = w.nodes[1].cut = false;
        run(5 * SEC);
        CHECK_FALSE(w.nodes[0].suspended);
        world_end();
    }
}

/* Nor when the other loses the store right behind its claims: what it says of the store then is of later. */
static void test_outage_at_takeover(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned bucket = bucket_of(0);
    w.nodes[0].cut = true;
    for (unsigned i = 0; i < 200 && !acts(&w.nodes[1], bucket); i++)
        run(50 * MS);
    CHECK_TRUE(acts(&w.nodes[1], bucket));
    w.nodes[1].cut = true;
    run(2 * SEC);
    CHECK_TRUE(w.nodes[0].suspended);
    world_end();
}

/* One that was asleep has not asked the store yet: it does not say that it is away, to one who is cut off and would go
 * on with what the other takes next. */
static void test_woken_at_cut(void) {
    for (unsigned cut = 0; cut < 2; cut++) {
        world_new(2);
        (void)until_all_owned(10 * SEC);
        w.nodes[0].cut = cut;
        run(cut * SEC); /* it was away for this one too, but that was before */
        w.nodes[0].cut = false;
        w.nodes[0].runs = false;
        w.nodes[1].cut = true;
        run(4 * SEC);
        CHECK_TRUE(w.nodes[1].suspended);
        w.nodes[0].runs = true;
        input(0, (struct lease_input){ .kind = LEASE_IN_PEER, .node = 2 });
        gossip(0);
        CHECK_TRUE(w.nodes[1].suspended);
        run(8 * SEC);
        CHECK_TRUE(w.nodes[1].suspended);
        CHECK_EQ(owned(0), LIMIT_BUCKETS);
        world_end();
    }
}

/* It has asked in vain: then the store is away for both, and both go on. */
static void test_woken_in_outage(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned had = owned(1);
    w.nodes[0].cut = w.nodes[1].cut = true;
    run(SEC);
    w.nodes[0].runs = false;
    run(4 * SEC);
    CHECK_TRUE(w.nodes[1].suspended);
    w.nodes[0].runs = true;
    run(6 * SEC);
    CHECK_EQ(owned(1), had);
    world_end();
}

/* The same with the peers cut as well: whether the store is down it cannot know. */
static void test_cut_from_all(void) {
    world_new(3);
    (void)until_all_owned(10 * SEC);
    w.nodes[0].cut = w.nodes[0].link_cut = true;
    run(10 * SEC);
    CHECK_TRUE(w.nodes[0].suspended);
    CHECK_EQ(owned(1) + owned(2), LIMIT_BUCKETS);
    world_end();
}

/* A lone node without its store. */
static void test_alone_in_outage(void) {
    world_new(1);
    (void)until_all_owned(10 * SEC);
    w.nodes[0].cut = true;
    run(30 * SEC);
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    w.nodes[0].cut = false;
    run(5 * SEC);
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    CHECK_EQ(w.nodes[0].gained, LIMIT_BUCKETS);
    world_end();
}

static void test_join(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned bucket = 0;
    start_node(2);
    run(LEASE_SETTLE_US + 3 * SEC);
    (void)until_all_owned(5 * SEC);
    CHECK_TRUE(owned(2) > LIMIT_BUCKETS / 4);
    CHECK_EQ(w.nodes[0].lost + w.nodes[1].lost, 0);
    bucket = bucket_of(2);
    CHECK_TRUE(put(2, bucket, "j"));
    world_end();
}

static void test_drain(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned bucket = bucket_of(0);
    CHECK_TRUE(put(0, bucket, "d"));
    input(0, (struct lease_input){ .kind = LEASE_IN_DRAIN });
    run(3 * SEC);
    CHECK_TRUE(w.nodes[0].drained);
    CHECK_EQ(owned(0), 0);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    CHECK_EQ(w.nodes[1].records, 1);
    world_end();
}

static void test_drain_alone(void) {
    world_new(1);
    (void)until_all_owned(10 * SEC);
    input(0, (struct lease_input){ .kind = LEASE_IN_DRAIN });
    run(SEC);
    CHECK_TRUE(w.nodes[0].drained);
    world_end();
}

/* The store comes back for it first: it does not leave before the other has said that it lives. */
static void test_drain_behind_outage(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    w.nodes[0].cut = w.nodes[1].cut = true;
    run(10 * SEC);
    input(0, (struct lease_input){ .kind = LEASE_IN_DRAIN });
    run(SEC);
    w.nodes[0].cut = false;
    for (unsigned i = 0; i < 500 && !w.nodes[0].drained; i++) {
        run(10 * MS);
        w.nodes[1].cut = w.nodes[1].cut && i < 40;
    }
    CHECK_TRUE(w.nodes[0].drained);
    CHECK_EQ(owned(0), 0);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    world_end();
}

/* Killed and started again at once, before anybody missed it: what it had it takes again, by a new epoch. */
static void test_restart(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned bucket = bucket_of(0);
    uint64_t epoch = w.nodes[0].epoch[bucket];
    CHECK_TRUE(put(0, bucket, "r"));
    start_node(0);
    (void)until_all_owned(10 * SEC);
    CHECK_TRUE(w.nodes[0].epoch[bucket] == epoch + 1);
    CHECK_EQ(w.nodes[0].records, 1);
    world_end();
}

/* Another server without our epochs: all is claimed again, nothing lost, and by no epoch that was there. */
static void test_forgetful_server(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned had = owned(0);
    free(w.store_mem);
    make_store();
    for (unsigned i = 0; i < 2; i++)
        input(i, (struct lease_input){ .kind = LEASE_IN_STORE_UP });
    CHECK_TRUE(w.nodes[0].suspended);
    run(10 * SEC);
    CHECK_EQ(owned(0), had);
    CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
    CHECK_EQ(w.nodes[0].lost + w.nodes[1].lost, 0);
    CHECK_TRUE(w.nodes[0].epoch[bucket_of(0)] >= 2);
    world_end();
}

static size_t store_size(void) {
    struct arena a;
    arena_init(&a, NULL, 0);
    store_memory_new(&a, STORE_ENTRIES, STORE_BYTES, (struct siphash_key){ 0, 0 });
    return a.used;
}

/* A replica is promoted that was made when it had `replica`. */
static void promote(void *replica) {
    memcpy(w.store_mem, replica, store_size());
    free(replica);
    memset(w.taken_epoch, 0, sizeof w.taken_epoch); /* what it has forgotten somebody else may use */
    for (unsigned i = 0; i < w.n; i++)
        if (w.nodes[i].runs)
            input(i, (struct lease_input){ .kind = LEASE_IN_STORE_UP });
}

static void *replica_of_now(void) {
    void *replica = memory(store_size());
    memcpy(replica, w.store_mem, store_size());
    return replica;
}

/* The promoted server has not seen that a dead node's buckets were claimed: they stay where they are. */
static void test_forgotten_claims(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    w.nodes[1].runs = false;
    void *replica = replica_of_now();
    (void)until_all_owned(10 * SEC);
    promote(replica);
    CHECK_TRUE(w.nodes[0].suspended);
    run(10 * SEC);
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    CHECK_EQ(w.nodes[0].lost, 0);
    world_end();
}

/* They are claimed anew, of which this node does not hear at first: by no epoch that was there, and what the server has
 * forgotten is written again all the same. */
static void test_forgotten_claims_unheard(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    w.nodes[1].runs = false;
    void *replica = replica_of_now();
    (void)until_all_owned(10 * SEC);
    w.nodes[0].unheard = true;
    promote(replica);
    run(20 * SEC);
    w.nodes[0].unheard = false;
    run(20 * SEC);
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    CHECK_EQ(w.nodes[0].lost, 0);
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++) {
        bool forgotten = w.nodes[0].epoch[b] > 1;
        CHECK_EQ(w.nodes[0].rewrites[b], forgotten);
        CHECK_TRUE(!forgotten || w.nodes[0].epoch[b] > 2);
    }
    world_end();
}

/* Nor that a dead node's were claimed by one that is cut off then, and they are claimed by another, by the same epoch:
 * the first one must not take them from who has them now. */
static void test_claimed_twice(void) {
    world_new(3);
    (void)until_all_owned(10 * SEC);
    w.nodes[2].runs = false;
    void *replica = replica_of_now();
    (void)until_all_owned(10 * SEC);
    w.nodes[0].cut = true;
    promote(replica);
    run(15 * SEC);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    w.nodes[1].keeps = true;
    w.nodes[0].cut = false;
    run(15 * SEC);
    CHECK_EQ(w.nodes[1].lost, 0);
    CHECK_EQ(owned(0), 0);
    world_end();
}

/* Nor that one that lives gave them; who comes first has them, and nobody else. */
static void test_forgotten_gifts(void) {
    world_new(1);
    (void)until_all_owned(10 * SEC);
    start_node(1);
    run(2 * SEC);
    void *replica = replica_of_now();
    run(8 * SEC);
    unsigned had = owned(1);
    CHECK_TRUE(had > 0);
    promote(replica);
    run(20 * SEC);
    CHECK_EQ(owned(1), had);
    CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
    CHECK_EQ(w.nodes[0].lost + w.nodes[1].lost, 0);
    world_end();
}

/* A write of ours was refused: what the store said in the answer is believed at once. */
static void test_fenced(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned bucket = bucket_of(0);
    uint64_t epoch = w.nodes[0].epoch[bucket];
    struct lease_input in = { .kind = LEASE_IN_FENCED, .bucket = (uint16_t)bucket, .node = 1, .epoch = epoch };
    input(0, in); /* by the version alone */
    CHECK_TRUE(acts(&w.nodes[0], bucket));
    in.node = 2;
    in.epoch++;
    input(0, in);
    CHECK_FALSE(acts(&w.nodes[0], bucket));
    CHECK_EQ(lease_owner(w.nodes[0].l, (uint16_t)bucket, NULL), 2);
    world_end();
}

/* Nodes die, wake, lose the store and each other, in any order. */
static void storm(uint64_t *seed) {
    for (unsigned k = 0; k < 40; k++) {
        *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        unsigned i = (unsigned)(*seed >> 33) % 3, what = (unsigned)(*seed >> 40) % 5;
        struct node *d = &w.nodes[i];
        if (what == 0 && (d->runs = !d->runs))
            input(i, (struct lease_input){ .kind = LEASE_IN_TICK });
        if (what == 1)
            d->cut = !d->cut;
        else if (what == 2)
            d->link_cut = !d->link_cut;
        else if (what == 3 && d->runs)
            start_node(i);
        else if (what == 4)
            d->unheard = !d->unheard;
        run((*seed >> 45) % 3000 * MS);
    }
    for (unsigned i = 0; i < 3; i++)
        if (!w.nodes[i].runs) {
            w.nodes[i].runs = true;
            input(i, (struct lease_input){ .kind = LEASE_IN_TICK });
        }
    for (unsigned i = 0; i < 3; i++)
        w.nodes[i].cut = w.nodes[i].link_cut = w.nodes[i].unheard = false;
    run(10 * SEC); /* who is excused learns better */
    (void)until_all_owned(20 * SEC);
}

static void test_storm(void) {
    uint64_t seed = 1;
    for (unsigned round = 0; round < 6; round++) {
        world_new(3);
        storm(&seed);
        CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
        world_end();
    }
}

static unsigned due(const struct lease *l) {
    unsigned n = 0;
    for (unsigned i = 0; i < LIMIT_BUCKETS / 64; i++)
        n += (unsigned)__builtin_popcountll(l->due[i]);
    return n;
}

/* Only buckets for which something may be to be done are looked at; the others would not have done anything. */
static void test_due(void) {
    world_new(3);
    run(10 * SEC);
    for (unsigned i = 0; i < 3; i++)
        CHECK_TRUE(due(w.nodes[i].l) <= LEASE_POLL);
    world_end();
    for (uint64_t round = 0; round < 2; round++) {
        uint64_t hash[2], seed;
        for (unsigned all = 0; all < 2; all++) {
            seed = 77 + round;
            world_new(3);
            w.looks_at_all = all;
            storm(&seed);
            hash[all] = w.hash;
            world_end();
        }
        CHECK_TRUE(hash[0] == hash[1]);
    }
}

static void test_nodes(void) {
    world_new(2);
    run(3 * SEC);
    struct lease_node n;
    CHECK_TRUE(lease_node(w.nodes[0].l, 0, &n) && n.node == 1);
    CHECK_TRUE(lease_node(w.nodes[0].l, 1, &n) && n.node == 2);
    CHECK_SLICE(n.value, "192.0.2.2:7000");
    CHECK_FALSE(lease_node(w.nodes[0].l, 2, &n));
    world_end();
}

int main(void) {
    return UNIT_RUN("lease", UNIT(test_alone), UNIT(test_shared_evenly), UNIT(test_death), UNIT(test_orphaned),
                    UNIT(test_lazy), UNIT(test_zombie), UNIT(test_zombie_cut), UNIT(test_gap),
                    UNIT(test_cut_from_store), UNIT(test_outage_behind_cut), UNIT(test_outage_at_takeover),
                    UNIT(test_woken_at_cut), UNIT(test_woken_in_outage), UNIT(test_cut_from_all),
                    UNIT(test_alone_in_outage), UNIT(test_join), UNIT(test_drain), UNIT(test_drain_alone),
                    UNIT(test_drain_behind_outage), UNIT(test_restart), UNIT(test_forgetful_server),
                    UNIT(test_forgotten_claims), UNIT(test_forgotten_claims_unheard), UNIT(test_claimed_twice),
                    UNIT(test_forgotten_gifts), UNIT(test_fenced), UNIT(test_storm), UNIT(test_due), UNIT(test_nodes));
}
