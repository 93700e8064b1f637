/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Buckets that a node claims anew before it has read them, or has heard that they are its own (lease_rig.h).
 */
#include "tests/unit/lease_rig.h"

/* Buckets that were claimed anew before all of them was read. */
static unsigned claims_in_a_row(unsigned i) {
    unsigned n = 0;
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
        n += w.nodes[i].since[b] < w.nodes[i].epoch[b];
    return n;
}

/* Its lease runs out while it reads a bucket, which it claims anew then: who writes what was read is to know by which
 * epoch (LEASE_RECORD in the rig). And all of it is read again: what was read may have been given up for another's, a
 * write by the epoch of before having been refused. */
static void test_claimed_while_loading(void) {
    for (unsigned ops = 9000; ops < 9010; ops++) {
        world_new(1);
        (void)until_all_owned(10 * SEC);
        for (unsigned b = 0; b < 400; b++)
            CHECK_TRUE(put(0, b, "l"));
        start_node(0);
        w.nodes[0].cut_in = ops;
        run(8 * SEC);
        CHECK_TRUE(w.nodes[0].cut);
        w.nodes[0].cut = false;
        (void)until_all_owned(10 * SEC);
        CHECK_TRUE(w.nodes[0].records >= 400);
        for (unsigned b = 0; b < 400; b++)
            CHECK_EQ(w.nodes[0].read[b], 1);
        CHECK_TRUE(claims_in_a_row(0) > 0);
        world_end();
    }
}

/* The store has it claimed anew, of which this node has not heard, and says so when it refuses a write. What the engine
 * has done for the bucket it has forgotten then, and reads it as another's. */
static void fenced_by_own_claim(unsigned bucket, bool loading) {
    struct node *d = &w.nodes[0];
    uint64_t epoch = d->epoch[bucket];
    struct store_op op = { .verb = STORE_CLAIM, .ticket = 1, .bucket = (uint16_t)bucket, .node = 1, .former = 1,
                           .epoch = epoch };
    struct event ev = { 0 };
    store_submit(w.store, &op, wall());
    CHECK_TRUE(store_answer(w.store, &ev) && ev.u.store.status == STORE_OK);
    CHECK_EQ(d->loaded[bucket], !loading);
    struct lease_input in = { .kind = LEASE_IN_FENCED, .bucket = op.bucket, .node = 1, .epoch = epoch + 1 };
    input(0, in);
    CHECK_FALSE(acts(d, bucket));
    (void)until_all_owned(20 * SEC);
    CHECK_EQ(d->epoch[bucket], epoch + 2);
    CHECK_EQ(d->since[bucket], epoch + 2);
}

static void test_fenced_by_own_claim(void) {
    unsigned bucket = 0;
    world_new(1);
    (void)until_all_owned(10 * SEC);
    fenced_by_own_claim(7, false);
    start_node(0);
    w.nodes[0].cut_in = 9000;
    run(8 * SEC);
    w.nodes[0].cut = false;
    while (bucket < LIMIT_BUCKETS && (w.nodes[0].loaded[bucket] || !w.nodes[0].acts[bucket]))
        bucket++;
    CHECK_TRUE(bucket < LIMIT_BUCKETS);
    fenced_by_own_claim(bucket % LIMIT_BUCKETS, true);
    world_end();
}

/* It does not hear that it has claimed a bucket, and claims it anew. */
static void test_claimed_unheard(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    w.nodes[1].runs = false;
    w.nodes[0].unheard = true;
    for (uint32_t before = w.claimed; w.claimed == before;)
        run(10 * MS);
    CHECK_EQ(claims_in_a_row(0), 0);
    w.nodes[0].unheard = false;
    (void)until_all_owned(20 * SEC);
    CHECK_TRUE(claims_in_a_row(0) > 0);
    world_end();
}

/* A node is back before anybody has missed it, and claims its own buckets anew: the other one is told, though whose
 * they are has not changed. */
static void test_started_again(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    run(15 * SEC); /* each was looked at once more */
    unsigned bucket = bucket_of(0);
    uint32_t orphans = w.nodes[1].orphans;
    uint64_t epoch = w.nodes[0].epoch[bucket];
    CHECK_EQ(w.nodes[1].by[bucket], epoch);
    start_node(0);
    (void)until_all_owned(10 * SEC);
    run(15 * SEC);
    CHECK_EQ(w.nodes[0].epoch[bucket], epoch + 1);
    CHECK_EQ(w.nodes[1].orphans, orphans);
    CHECK_EQ(w.nodes[1].of[bucket], 1);
    CHECK_EQ(w.nodes[1].by[bucket], epoch + 1);
    world_end();
}

int main(void) {
    return UNIT_RUN("lease_anew", UNIT(test_claimed_while_loading), UNIT(test_claimed_unheard),
                    UNIT(test_fenced_by_own_claim), UNIT(test_started_again));
}
