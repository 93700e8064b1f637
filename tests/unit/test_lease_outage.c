/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Whose a bucket is when the store is away for all nodes, and comes back (lease_rig.h).
 */
#include "tests/unit/lease_rig.h"

/* Nobody reaches the store: everybody goes on with what he has, also when it comes back. */
static void test_outage(void) {
    world_new(3);
    (void)until_all_owned(10 * SEC);
    unsigned had[3];
    for (unsigned i = 0; i < 3; i++) {
        had[i] = owned(i);
        w.nodes[i].cut = true;
    }
    run(60 * SEC);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(owned(i), had[i]);
        w.nodes[i].cut = false;
    }
    run(30 * SEC);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(owned(i), had[i]);
        CHECK_EQ(w.nodes[i].lost, 0);
        CHECK_EQ(w.nodes[i].gained, had[i]);
    }
    world_end();
}

/* Connected again behind an outage of many renewals, nobody acts before the store has said what is his: for want of an
 * answer to those it is not away again, but for want of one to the next. */
static void test_up_behind_outage(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned had = owned(0);
    w.nodes[0].cut = w.nodes[1].cut = true;
    run(10 * SEC);
    CHECK_EQ(owned(0), had);
    w.nodes[0].unanswered = true;
    input(0, (struct lease_input){ .kind = LEASE_IN_STORE_UP });
    run(1900 * MS);
    CHECK_TRUE(w.nodes[0].suspended);
    run(1100 * MS);
    CHECK_EQ(owned(0), had);
    w.nodes[0].unanswered = w.nodes[0].cut = w.nodes[1].cut = false;
    for (unsigned i = 0; i < 2; i++)
        input(i, (struct lease_input){ .kind = LEASE_IN_STORE_UP });
    CHECK_TRUE(w.nodes[0].suspended);
    run(5 * SEC);
    CHECK_EQ(owned(0), had);
    CHECK_EQ(w.nodes[0].lost + w.nodes[1].lost, 0);
    world_end();
}

/* It answers no more right after that: the others' word that it is away for all of them was of before. */
static void test_up_and_away(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned had = owned(0);
    w.nodes[0].cut = w.nodes[1].cut = true;
    run(10 * SEC);
    CHECK_EQ(owned(0), had);
    input(0, (struct lease_input){ .kind = LEASE_IN_STORE_UP });
    CHECK_TRUE(w.nodes[0].suspended);
    run(20 * MS);
    CHECK_TRUE(w.nodes[0].suspended);
    run(3 * SEC);
    CHECK_EQ(owned(0), had);
    world_end();
}

int main(void) {
    return UNIT_RUN("lease in an outage", UNIT(test_outage), UNIT(test_up_behind_outage), UNIT(test_up_and_away));
}
