/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Nodes that come to others, which have something to give (lease_rig.h).
 */
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

int main(void) {
    return UNIT_RUN("lease_join", UNIT(test_format));
}
