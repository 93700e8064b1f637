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

/* Of two nodes; how many buckets the first one has, and goes on with. */
static unsigned outage_begin(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    unsigned had = owned(0);
    w.nodes[0].cut = w.nodes[1].cut = true;
    run(10 * SEC);
    CHECK_EQ(owned(0), had);
    return had;
}

/* Connected again behind an outage of many renewals, nobody acts before the store has said what is his: for want of an
 * answer to those it is not away again, but for want of one to the next. */
static void test_up_behind_outage(void) {
    unsigned had = outage_begin();
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
    unsigned had = outage_begin();
    input(0, (struct lease_input){ .kind = LEASE_IN_STORE_UP });
    CHECK_TRUE(w.nodes[0].suspended);
    run(20 * MS);
    CHECK_TRUE(w.nodes[0].suspended);
    run(3 * SEC);
    CHECK_EQ(owned(0), had);
    world_end();
}

/* One slept beyond its lease, so that the other was alone when it was cut from the store, and goes on. Woken, and asked
 * at once for what is the other's, it claims nothing before that one has heard that it reaches the store. */
static void test_woken_beside_cut(void) {
    world_new(2);
    (void)until_all_owned(10 * SEC);
    run(15 * SEC); /* each knows all the other's epochs, and is not surprised by one */
    w.nodes[1].runs = false;
    run(8 * SEC);
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    w.nodes[0].cut = true;
    run(9 * SEC - w.now % SEC + 10 * MS); /* they have just said it, and do in a second again */
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    w.nodes[1].runs = true;
    run(200 * MS);
    CHECK_TRUE(lease_store_ok(w.nodes[1].l) && !w.nodes[1].suspended);
    for (unsigned b = 0; b < 8; b++)
        input(1, (struct lease_input){ .kind = LEASE_IN_ASK, .bucket = (uint16_t)b });
    for (unsigned i = 0; i < 800 && owned(1) < LIMIT_BUCKETS; i++) {
        run(10 * MS);
        for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
            CHECK_FALSE(acts(&w.nodes[0], b) && acts(&w.nodes[1], b));
    }
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    CHECK_TRUE(w.nodes[0].suspended);
    world_end();
}

/* It is alone, and sleeps; another one starts meanwhile, and has it all. */
static void passed_asleep(void) {
    world_new(1);
    (void)until_all_owned(10 * SEC);
    w.nodes[0].runs = false;
    run(SEC);
    start_node(1);
    run(8 * SEC);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
}

/* Then the store is down for both: who slept has not heard of the other before, but does now. */
static void test_passed_by_newcomer(void) {
    passed_asleep();
    w.nodes[0].cut = w.nodes[1].cut = true;
    w.nodes[0].runs = true;
    run(10 * SEC);
    CHECK_TRUE(w.nodes[0].suspended);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    w.nodes[0].cut = w.nodes[1].cut = false;
    run(5 * SEC);
    CHECK_FALSE(w.nodes[0].suspended);
    world_end();
}

/* The same when it has renewed its lease, and not asked for all that was its own yet. */
static void test_passed_and_renewed(void) {
    for (unsigned ops = 2; ops < 100; ops += 20) {
        passed_asleep();
        w.nodes[0].runs = true;
        w.nodes[0].cut_in = ops;
        input(0, (struct lease_input){ .kind = LEASE_IN_TICK });
        run(100 * MS);
        CHECK_TRUE(w.nodes[0].cut && lease_count(w.nodes[0].l));
        w.nodes[1].cut = true;
        run(10 * SEC);
        CHECK_TRUE(w.nodes[0].suspended);
        CHECK_EQ(owned(1), LIMIT_BUCKETS);
        world_end();
    }
}

/* Nobody came: it goes on, also when the store was there again for one renewal. */
static void test_slept_alone(void) {
    for (unsigned answers = 0; answers < 2; answers++) {
        world_new(1);
        (void)until_all_owned(10 * SEC);
        w.nodes[0].runs = false;
        w.nodes[0].cut = true;
        run(8 * SEC);
        w.nodes[0].runs = true;
        run(900 * MS);
        w.nodes[0].cut = !answers;
        w.nodes[0].cut_in = answers ? 2 : 0;
        run(SEC);
        CHECK_TRUE(w.nodes[0].cut && w.nodes[0].suspended);
        run(SEC);
        CHECK_EQ(owned(0), LIMIT_BUCKETS);
        world_end();
    }
}

/* One is cut from the store; the other claims what it had. */
static void passed_at_once(void) {
    world_new(1);
    run(100 * MS);
    start_node(1); /* its renewals come right behind the first one's, whose end it learns at once */
    (void)until_all_owned(10 * SEC);
    run(10 * SEC);
    w.nodes[0].cut = true;
    for (unsigned i = 0; i < 500 && owned(1) < LIMIT_BUCKETS; i++)
        run(10 * MS);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    CHECK_TRUE(w.nodes[0].suspended);
    CHECK_FALSE(w.nodes[0].l->passed); /* it has been told no more of the store than anybody is in an outage */
}

/* Who was cut reaches the store again right then, renews its lease and hears of some buckets, or of none, that they are
 * the other's; then the store is away for both. Of the rest it does not know, by whatever lease. */
static void test_passed_and_back(void) {
    for (unsigned ops = 2; ops < 100; ops += 20) {
        passed_at_once();
        w.nodes[0].cut = false;
        w.nodes[0].cut_in = ops;
        if (ops % 40 == 2)
            input(0, (struct lease_input){ .kind = LEASE_IN_STORE_UP });
        run(SEC);
        CHECK_TRUE(w.nodes[0].cut && lease_count(w.nodes[0].l) && w.now < w.nodes[0].l->until_us);
        w.nodes[1].cut = true;
        run(10 * SEC);
        CHECK_FALSE(lease_store_ok(w.nodes[1].l));
        CHECK_TRUE(w.nodes[0].suspended);
        CHECK_EQ(owned(1), LIMIT_BUCKETS);
        w.nodes[0].cut = w.nodes[1].cut = false;
        run(10 * SEC);
        CHECK_FALSE(w.nodes[0].suspended);
        CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
        world_end();
    }
}

/* Nobody could pass who went on in an outage, and renewed its lease when it was over: nor if it was not over. */
static void test_renewed_and_away(void) {
    for (unsigned up = 0; up < 2; up++) {
        unsigned had = outage_begin();
        w.nodes[0].cut = false;
        w.nodes[0].cut_in = 2;
        if (up)
            input(0, (struct lease_input){ .kind = LEASE_IN_STORE_UP });
        run(SEC);
        CHECK_TRUE(w.nodes[0].cut && w.nodes[0].l->unsure && w.now < w.nodes[0].l->until_us);
        run(5 * SEC);
        CHECK_EQ(owned(0), had);
        world_end();
    }
}

/* The other one goes right when it has claimed what the first one had, and starts again. */
static void passed_and_restarted(void) {
    passed_at_once();
    start_node(1);
}

/* It has not asked the store yet, and does not say to the first one that it is away. */
static void test_restarted_at_cut(void) {
    passed_and_restarted();
    gossip(1);
    CHECK_TRUE(w.nodes[0].suspended);
    run(8 * SEC);
    CHECK_TRUE(w.nodes[0].suspended);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    w.nodes[0].cut = false;
    run(8 * SEC);
    CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
    world_end();
}

/* The store is away for both by then, from the start or behind its first answer: what the life before took, this one
 * does not know. */
static void test_restarted_in_outage(void) {
    for (unsigned answers = 0; answers < 2; answers++) {
        passed_and_restarted();
        w.nodes[1].cut = !answers;
        w.nodes[1].cut_in = answers ? 2 : 0;
        run(10 * MS);
        CHECK_TRUE(w.nodes[1].cut && lease_store_ok(w.nodes[1].l) == answers);
        gossip(1);
        CHECK_TRUE(w.nodes[0].suspended);
        run(10 * SEC);
        CHECK_TRUE(w.nodes[0].suspended);
        w.nodes[0].cut = w.nodes[1].cut = false;
        run(8 * SEC);
        CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
        world_end();
    }
}

/* It was alone when it was cut from the store; another one has come since, and says that it reaches it. */
static void cut_beside_newcomer(void) {
    world_new(1);
    (void)until_all_owned(10 * SEC);
    w.nodes[0].cut = true;
    run(500 * MS);
    start_node(1);
    for (unsigned i = 0; i < 500 && !w.nodes[0].suspended; i++)
        run(10 * MS);
    CHECK_TRUE(w.nodes[0].suspended);
    CHECK_FALSE(w.nodes[0].l->passed);
}

/* Then the link between them is cut, too: that it is heard no more does not make the first one alone. */
static void test_newcomer_falls_silent(void) {
    cut_beside_newcomer();
    w.nodes[0].link_cut = true;
    run(20 * SEC);
    CHECK_TRUE(w.nodes[0].suspended);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    w.nodes[0].cut = w.nodes[0].link_cut = false;
    run(10 * SEC);
    CHECK_FALSE(w.nodes[0].suspended);
    CHECK_EQ(owned_by_all(), LIMIT_BUCKETS);
    world_end();
}

/* The store is away for it as well before it has claimed anything: it says so, and the first one goes on, also when it
 * is gone; and so does one that found in the list that who had come is gone. */
static void test_newcomer_without_store(void) {
    cut_beside_newcomer();
    w.nodes[1].cut = true;
    run(5 * SEC);
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    w.nodes[1].runs = false;
    run(5 * SEC);
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    world_end();
    world_new(2);
    (void)until_all_owned(10 * SEC);
    w.nodes[1].runs = false;
    run(8 * SEC);
    w.nodes[0].cut = true;
    run(8 * SEC);
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    world_end();
}

/* Who is first to come back to the store finds nobody else's lease there; and is cut from it again, and from the other
 * one, who comes back and takes all. It was not alone. */
static void test_first_behind_outage(void) {
    (void)outage_begin();
    w.nodes[0].cut = false;
    run(1500 * MS);
    CHECK_FALSE(w.nodes[0].suspended);
    w.nodes[0].cut = w.nodes[0].link_cut = true;
    w.nodes[1].cut = false;
    run(20 * SEC);
    CHECK_TRUE(w.nodes[0].suspended);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    w.nodes[0].cut = w.nodes[0].link_cut = false;
    run(10 * SEC);
    CHECK_FALSE(w.nodes[0].suspended);
    world_end();
}

/* Whom the store has not heard of for long is dead: the one that is left goes on without it. */
static void test_left_behind_outage(void) {
    unsigned had = outage_begin();
    w.nodes[1].runs = false;
    w.nodes[0].cut = false;
    run(6 * SEC);
    CHECK_TRUE(owned(0) > had);
    w.nodes[0].cut = true;
    run(20 * SEC);
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    CHECK_FALSE(w.nodes[0].suspended);
    world_end();
}

int main(void) {
    return UNIT_RUN("lease in an outage", UNIT(test_outage), UNIT(test_up_behind_outage), UNIT(test_up_and_away),
                    UNIT(test_woken_beside_cut), UNIT(test_passed_by_newcomer), UNIT(test_passed_and_renewed),
                    UNIT(test_slept_alone), UNIT(test_passed_and_back), UNIT(test_renewed_and_away),
                    UNIT(test_restarted_at_cut), UNIT(test_restarted_in_outage),
                    UNIT(test_newcomer_falls_silent), UNIT(test_newcomer_without_store),
                    UNIT(test_first_behind_outage), UNIT(test_left_behind_outage));
}
