/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Nodes that come to others, which have something to give (lease_rig.h).
 */
#include "core/base/record_head.h"
#include "tests/unit/lease_rig.h"

/* The highest record format that all the living read: it falls when an older node comes, before that one gets buckets,
 * and rises when it has gone or says otherwise. Who drains does not count. */
static void test_format(void) {
    reads[0] = 2;
    reads[1] = 3;
    reads[2] = 1;
    world_new(2);
    CHECK_EQ(lease_format(w.nodes[1].l), 1);
    (void)until_all_owned(10 * SEC);
    CHECK_EQ(w.nodes[0].told, 2);
    CHECK_EQ(w.nodes[1].told, 2);
    start_node(2);
    for (uint64_t end = w.now + 5 * SEC; w.now < end && w.nodes[2].gained == 0;)
        run(50 * MS);
    CHECK_TRUE(w.nodes[2].gained > 0);
    CHECK_EQ(w.nodes[0].told, 1);
    CHECK_EQ(w.nodes[1].told, 1);
    lease_tell_format(w.nodes[2].l, 3);
    run(3 * SEC);
    CHECK_EQ(w.nodes[0].told + w.nodes[1].told + w.nodes[2].told, 6);
    lease_tell_format(w.nodes[2].l, 1);
    run(3 * SEC);
    CHECK_EQ(w.nodes[0].told + w.nodes[1].told + w.nodes[2].told, 3);
    struct lease_node n;
    CHECK_TRUE(lease_node(w.nodes[1].l, 0, &n) && n.format == 3);
    w.nodes[2].runs = false;
    run(5 * SEC);
    CHECK_EQ(w.nodes[1].told, 2);
    start_node(2);
    run(3 * SEC);
    CHECK_EQ(w.nodes[1].told, 1);
    input(2, (struct lease_input){ .kind = LEASE_IN_DRAIN });
    run(3 * SEC);
    CHECK_EQ(w.nodes[1].told, 2);
    memset(reads, 0, sizeof reads);
    world_end();
}

/* Who lets go of a bucket means the one that it tells to have it, also before that one knows that it drains. */
static void test_let_go(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    run(5 * SEC + 50 * MS); /* both have just renewed their leases */
    input(0, (struct lease_input){ .kind = LEASE_IN_DRAIN });
    run(300 * MS);
    struct lease_node n;
    CHECK_TRUE(lease_node(w.nodes[1].l, 1, &n) && !n.draining);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    run(3 * SEC);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    CHECK_EQ(w.nodes[1].lost, 0);
    world_end();
}

/* One that has just come takes at once what is left to it, since its calls are waiting. */
static void test_left_to_who_comes(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    start_node(2);
    run(LEASE_RENEW_US + 100 * MS); /* it is known */
    CHECK_EQ(owned(2), 0);
    input(0, (struct lease_input){ .kind = LEASE_IN_DRAIN });
    run(LEASE_GRACE_US - 200 * MS);
    CHECK_TRUE(owned(2) > LIMIT_BUCKETS / 8);
    CHECK_EQ(w.nodes[1].lost + w.nodes[2].lost, 0);
    world_end();
}

/* What a node had when it drained comes back when it does; what another does not give, since it has calls in the midst
 * of something, later. */
static void test_return(void) {
    world_new(3);
    (void)until_all_owned(10 * SEC);
    bool had[LIMIT_BUCKETS];
    memcpy(had, w.nodes[2].acts, sizeof had);
    input(2, (struct lease_input){ .kind = LEASE_IN_DRAIN });
    run(3 * SEC);
    CHECK_TRUE(w.nodes[2].drained && owned(2) == 0);
    w.nodes[2].runs = false;
    w.nodes[1].keeps = true;
    unsigned kept = 0, back = 0;
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
        kept += had[b] && w.nodes[1].acts[b];
    CHECK_TRUE(kept > 0);
    start_node(2);
    run(LEASE_SETTLE_US + 3 * SEC);
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
        back += had[b] && w.nodes[2].acts[b];
    CHECK_EQ(back, owned(2));
    CHECK_TRUE(back > LIMIT_BUCKETS / 8);
    CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
    CHECK_EQ(w.nodes[0].lost + w.nodes[1].lost, 0);
    world_end();
}

static bool has(unsigned i, unsigned bucket) {
    return acts(&w.nodes[i], bucket) && w.nodes[i].loaded[bucket];
}

/* What the survivor cannot read stays where it is, and goes to the first that can, be the bucket whosever. */
static void test_reader_comes(void) {
    reads[0] = reads[2] = 3;
    reads[1] = 2;
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned bucket = bucket_of(0), rest = 0;
    CHECK_TRUE(put(0, bucket, RECORD_MAGIC "\3"));
    w.nodes[0].runs = false;
    run(6 * SEC);
    CHECK_TRUE(has(1, bucket));
    CHECK_EQ(w.nodes[1].records, 1);
    start_node(2);
    for (uint64_t end = w.now + 20 * SEC; w.now < end && !has(2, bucket);)
        run(50 * MS);
    CHECK_TRUE(has(2, bucket));
    CHECK_TRUE(w.nodes[2].records >= 1);
    /* Nobody writes it again here: it comes back so often, and is not read. Then it is kept. */
    run(120 * SEC);
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
        rest += has(1, b) || has(2, b);
    CHECK_EQ(rest, LIMIT_BUCKETS);
    CHECK_TRUE(w.nodes[1].records + w.nodes[2].records <= 2 + 2 * LEASE_LEAVES_MAX);
    memset(reads, 0, sizeof reads);
    world_end();
}

int main(void) {
    return UNIT_RUN("lease_join", UNIT(test_format), UNIT(test_let_go), UNIT(test_left_to_who_comes),
                    UNIT(test_return), UNIT(test_reader_comes));
}
