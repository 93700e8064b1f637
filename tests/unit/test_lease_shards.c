/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Leases of nodes with several shards: each shard is a member, and a node is what dies, is cut off and drains.
 */
#include "tests/unit/lease_rig.h"

/* Member i is a shard of node nodes[i]. */
static void members_new(const uint32_t nodes[NODES]) {
    for (unsigned i = 0; i < NODES; i++) {
        uint32_t shard = 0;
        for (unsigned k = 0; k < i; k++)
            shard += nodes[k] == nodes[i];
        numbers[i] = member_of(nodes[i], shard);
    }
    world_new(NODES);
}

static void test_numbers(void) {
    CHECK_EQ(member_of(7, 0), 7);
    CHECK_EQ(member_node(member_of(65535, 63)), 65535);
    CHECK_EQ(member_shard(member_of(65535, 63)), 63);
    CHECK_TRUE(member_is_sibling(member_of(7, 1), 7) && !member_is_sibling(member_of(7, 1), member_of(8, 1)));
}

static void test_shared_evenly(void) {
    members_new((const uint32_t[]){ 1, 1, 2, 2 });
    (void)until_all_owned(10 * SEC);
    run(10 * SEC);
    for (unsigned i = 0; i < NODES; i++)
        CHECK_TRUE(owned(i) > LIMIT_BUCKETS / 5 && owned(i) < LIMIT_BUCKETS / 3);
    world_end();
}

/* Until some time has passed: who waits for the end of its sibling does not do so in a loop. */
static bool has_nothing_to_do(unsigned i) {
    for (unsigned k = 0; k < 100 && lease_deadline(w.nodes[i].l) <= w.now; k++)
        input(i, (struct lease_input){ .kind = LEASE_IN_TICK });
    return lease_deadline(w.nodes[i].l) > w.now;
}

/* What a shard lets go of goes to another node at once, though its sibling is not yet known to drain as well. */
static void test_drain(void) {
    members_new((const uint32_t[]){ 1, 1, 2, 2 });
    (void)until_all_owned(10 * SEC);
    run(10 * SEC);
    unsigned bucket = bucket_of(1), before = w.nodes[0].gained + w.nodes[1].gained;
    CHECK_TRUE(put(1, bucket, "d"));
    run(330 * MS); /* between two renewals */
    for (unsigned i = 0; i < 2; i++)
        input(i, (struct lease_input){ .kind = LEASE_IN_DRAIN });
    run(500 * MS);
    CHECK_EQ(owned(0) + owned(1), 0);
    CHECK_EQ(owned(2) + owned(3), LIMIT_BUCKETS);
    run(2 * SEC);
    CHECK_TRUE(w.nodes[0].drained && w.nodes[1].drained);
    for (unsigned i = 0; i < 2; i++)
        CHECK_TRUE(has_nothing_to_do(i));
    CHECK_EQ(w.nodes[0].gained + w.nodes[1].gained, before);
    CHECK_EQ(w.nodes[2].records + w.nodes[3].records, 1);
    world_end();
}

/* The last node: its shards end with what they have. */
static void test_drain_alone(void) {
    members_new((const uint32_t[]){ 1, 1, 1, 1 });
    (void)until_all_owned(10 * SEC);
    run(10 * SEC);
    unsigned before = 0, after = 0;
    for (unsigned i = 0; i < NODES; i++)
        before += w.nodes[i].gained;
    for (unsigned i = 0; i < NODES; i++)
        input(i, (struct lease_input){ .kind = LEASE_IN_DRAIN });
    run(2 * SEC);
    for (unsigned i = 0; i < NODES; i++) {
        CHECK_TRUE(w.nodes[i].drained && w.nodes[i].lost == 0);
        after += w.nodes[i].gained;
    }
    CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
    CHECK_EQ(after, before);
    world_end();
}

static void test_death(void) {
    members_new((const uint32_t[]){ 1, 1, 2, 2 });
    (void)until_all_owned(10 * SEC);
    unsigned bucket = bucket_of(1);
    CHECK_TRUE(put(1, bucket, "x"));
    w.nodes[0].runs = w.nodes[1].runs = false;
    uint64_t took = until_all_owned(10 * SEC);
    CHECK_TRUE(took <= LEASE_LIFE_US + LEASE_RENEW_US + LEASE_GRACE_US + SEC);
    CHECK_EQ(owned(2) + owned(3), LIMIT_BUCKETS);
    CHECK_EQ(w.nodes[2].records + w.nodes[3].records, 1);
    world_end();
}

/* A node with most of the shards is cut off: what its shards say to one another proves nothing. */
static void test_cut_from_all(void) {
    members_new((const uint32_t[]){ 1, 1, 1, 2 });
    (void)until_all_owned(10 * SEC);
    run(10 * SEC);
    for (unsigned i = 0; i < 3; i++)
        w.nodes[i].cut = w.nodes[i].link_cut = true;
    run(10 * SEC);
    for (unsigned i = 0; i < 3; i++)
        CHECK_TRUE(w.nodes[i].suspended);
    CHECK_EQ(owned(3), LIMIT_BUCKETS);
    world_end();
}

/* One shard alone has lost the store: its sibling, which has not, says so, and takes its part. */
static void test_one_is_cut(void) {
    members_new((const uint32_t[]){ 1, 1, 1, 1 });
    (void)until_all_owned(10 * SEC);
    w.nodes[0].cut = true;
    run(10 * SEC);
    CHECK_TRUE(w.nodes[0].suspended);
    CHECK_EQ(owned(1) + owned(2) + owned(3), LIMIT_BUCKETS);
    world_end();
}

static void outage(const uint32_t nodes[NODES]) {
    unsigned had[NODES];
    members_new(nodes);
    (void)until_all_owned(10 * SEC);
    run(10 * SEC);
    for (unsigned i = 0; i < NODES; i++) {
        had[i] = owned(i);
        w.nodes[i].cut = true;
    }
    run(60 * SEC);
    for (unsigned i = 0; i < NODES; i++)
        CHECK_EQ(owned(i), had[i]);
    for (unsigned i = 0; i < NODES; i++)
        w.nodes[i].cut = false;
    run(30 * SEC);
    for (unsigned i = 0; i < NODES; i++)
        CHECK_TRUE(owned(i) == had[i] && w.nodes[i].lost == 0);
    world_end();
}

/* The store is down for all: each shard keeps its calls, of one node as of several. */
static void test_outage(void) {
    outage((const uint32_t[]){ 1, 1, 2, 2 });
    outage((const uint32_t[]){ 1, 1, 1, 2 });
    outage((const uint32_t[]){ 1, 1, 1, 1 });
}

int main(void) {
    return UNIT_RUN("lease_shards", UNIT(test_numbers), UNIT(test_shared_evenly), UNIT(test_drain),
                    UNIT(test_drain_alone), UNIT(test_death), UNIT(test_cut_from_all), UNIT(test_one_is_cut),
                    UNIT(test_outage));
}
