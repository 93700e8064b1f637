/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Three engines with leases on one store; phones that reach any of them; attended transfers under way while engines
 * die, sleep, lose the store and drain. One owner acts for a call at any time, and no call is lost.
 */
#include "tests/unit/cluster_talks.h"

static void check_end(uint64_t seed) {
    run(40000000);
    hang_up_all();
    run(70000000);
    unsigned bad = 0;
    for (unsigned i = 0; i < TALKS; i++)
        bad += talks[i].bye_status != 0 && talks[i].bye_status != 200;
    if (w->wrong_owner || bad || calls_left() || timeouts)
        printf("\nseed %" PRIu64 ": wrong owner %u, BYEs refused %u, calls left %u, timeouts %u\n", seed,
               w->wrong_owner, bad, calls_left(), timeouts);
    CHECK_EQ(w->wrong_owner, 0);
    CHECK_EQ(bad, 0);
    CHECK_EQ(calls_left(), 0);
    CHECK_EQ(store_count(w->store, SL("call"), cluster_wall(w)), 0);
    cluster_end(w);
}

/* Without faults every transfer completes, wherever its calls are. */
static void test_calm(void) {
    for (uint64_t seed = 1; seed <= unit_worlds(3); seed++) {
        begin(3, seed);
        for (unsigned i = 0; i < TALKS; i++) {
            start_talk(i);
            run(2500000);
        }
        while (talking())
            run(1000000);
        CHECK_EQ(completed(), TALKS);
        CHECK_EQ(timeouts, 0);
        check_end(seed);
    }
}

/* One engine is killed in the midst of it and starts again later, without its memory. */
static void test_killed(void) {
    for (uint64_t seed = 1; seed <= unit_worlds(6); seed++) {
        begin(3, 100 + seed);
        start_talk(0);
        run(cluster_random(w, 3000) * CLUSTER_MS);
        unsigned victim = cluster_random(w, 3);
        cluster_stop(w, victim);
        run(8000000);
        cluster_start(w, victim);
        while (talking())
            run(1000000);
        check_end(seed);
    }
}

/* One sleeps past its lease and wakes. */
static void test_zombie(void) {
    for (uint64_t seed = 1; seed <= unit_worlds(4); seed++) {
        begin(3, 200 + seed);
        start_talk(0);
        run(cluster_random(w, 3000) * CLUSTER_MS);
        unsigned victim = cluster_random(w, 3);
        w->c[victim].runs = false;
        run(6000000);
        w->c[victim].runs = true;
        while (talking())
            run(1000000);
        check_end(seed);
    }
}

/* What the one that is cut off ends and cannot write it tells the new owner (owner_over.h). */
static void test_cut_from_store(void) {
    for (uint64_t seed = 1; seed <= unit_worlds(80); seed++) {
        begin(3, 300 + seed);
        start_talk(0);
        run(cluster_random(w, 3000) * CLUSTER_MS);
        unsigned victim = cluster_random(w, 3);
        w->c[victim].cut = true;
        run(8000000);
        w->c[victim].cut = false;
        while (talking())
            run(1000000);
        check_end(seed);
    }
}

/* One leaves and a new one comes, while transfers run; nobody is hung up on. */
static void test_drain_and_join(void) {
    for (uint64_t seed = 1; seed <= unit_worlds(3); seed++) {
        begin(3, 400 + seed);
        start_talk(0);
        run(cluster_random(w, 3000) * CLUSTER_MS);
        unsigned leaver = cluster_random(w, 3);
        cluster_tell_lease(w, leaver, LEASE_IN_DRAIN, 0);
        for (unsigned i = 0; i < 30 && !w->c[leaver].drained; i++)
            run(1000000);
        CHECK_TRUE(w->c[leaver].drained);
        cluster_stop(w, leaver);
        run(1000000);
        cluster_start(w, leaver);
        while (talking())
            run(1000000);
        check_end(seed);
    }
}

static unsigned calls_of(unsigned i) {
    struct engine_census c;
    engine_census(w->c[i].e, &c);
    return c.calls;
}

/* Each party asks something all the time, and is answered as quickly as ever. */
static void ask_for(unsigned seconds) {
    for (unsigned k = 0; k < seconds * 20; k++) {
        struct side *s = k & 1 ? talks[k % TALKS].a : talks[k % TALKS].b;
        request(s, "OPTIONS", "", "");
        run(50000);
    }
}

/* A node comes: calls go over to it, one bucket after the other. It leaves, and they come back; it returns. */
static void test_calls_go_over(void) {
    unsigned moved = 0;
    for (uint64_t seed = 1; seed <= unit_worlds(4); seed++) {
        begin(2, 600 + seed);
        for (unsigned i = 0; i < TALKS; i++) {
            talks[i].a = call(ALICE, BOB);
            run(1000000);
            CHECK_TRUE((talks[i].b = other_side(BOB)) != NULL);
        }
        w->n = 3;
        unsigned taken = 0;
        for (unsigned round = 0; round < 2; round++) {
            cluster_start(w, 2);
            ask_for(10);
            taken += calls_of(2);
            CHECK_EQ(lease_count(w->c[0].l) + lease_count(w->c[1].l) + lease_count(w->c[2].l), LIMIT_BUCKETS);
            CHECK_EQ(calls_of(0) + calls_of(1) + calls_of(2), TALKS);
            cluster_tell_lease(w, 2, LEASE_IN_DRAIN, 0);
            ask_for(10);
            CHECK_TRUE(w->c[2].drained);
            CHECK_EQ(calls_of(0) + calls_of(1), TALKS);
            cluster_stop(w, 2);
        }
        moved += taken;
        if (slowest >= 500000)
            printf("\nseed %" PRIu64 ": an answer took %" PRIu64 " ms\n", seed, slowest / 1000);
        CHECK_TRUE(slowest < 500000);
        for (unsigned i = 0; i < TALKS; i++)
            go(&talks[i], 5);
        check_end(seed);
    }
    CHECK_TRUE(moved >= 4);
}

/* The formats of all records of calls, a bit each. */
static unsigned formats_stored(void) {
    unsigned seen = 0;
    struct event ev;
    for (uint32_t b = 0; b < LIMIT_BUCKETS; b++) {
        struct store_op op = { .verb = STORE_LOAD, .ticket = CLUSTER_TRUTH, .bucket = (uint16_t)b,
                               .table = SL("call") };
        store_submit(w->store, &op, cluster_wall(w));
        while (store_answer(w->store, &ev))
            if (ev.u.store.more)
                seen |= 1u << (uint8_t)ev.u.store.value.p[3];
    }
    return seen;
}

/* A node of an older release comes back into a cluster of newer ones, with calls up: it reads whatever it gets. */
static void test_older_node(void) {
    begin(2, 500);
    for (unsigned i = 0; i < TALKS; i++) {
        talks[i].a = call(ALICE, BOB);
        run(1000000);
        CHECK_TRUE(talks[i].a->up);
    }
    CHECK_EQ(formats_stored(), 1u << RECORD_FORMAT);
    w->c[2].format = 1;
    w->n = 3;
    cluster_start(w, 2);
    for (unsigned i = 0; i < 60 && lease_count(w->c[2].l) == 0; i++)
        run(100000);
    CHECK_TRUE(lease_count(w->c[2].l) > 0);
    CHECK_EQ(formats_stored(), 1u << 1);
    CHECK_TRUE(metrics_get(engine_metrics(w->c[0].e), M_store_rewrites) +
                   metrics_get(engine_metrics(w->c[1].e), M_store_rewrites) >= TALKS);
    struct engine_census c;
    for (unsigned i = 0; i < 3; i++) {
        engine_census(w->c[i].e, &c);
        CHECK_EQ(c.unprotected, 0);
    }
    for (unsigned i = 0; i < TALKS; i++)
        go(&talks[i], 5);
    check_end(500);
}

static unsigned recovered(unsigned i) {
    return (unsigned)metrics_get(engine_metrics(w->c[i].e), M_calls_recovered);
}

/* An older node comes, and a newer one dies before it has heard of that: nothing is written again. What the older one
 * would take and cannot read it leaves to the survivor, which writes it again and gives it back. */
static void test_older_node_at_a_death(void) {
    unsigned given = 0;
    for (uint64_t seed = 1; seed <= unit_worlds(4); seed++) {
        begin(2, 700 + seed);
        for (unsigned i = 0; i < TALKS; i++) {
            talks[i].a = call(ALICE, BOB);
            run(1000000);
            CHECK_TRUE(talks[i].a->up && (talks[i].b = other_side(BOB)) != NULL);
        }
        w->c[2].format = 1;
        w->n = 3;
        cluster_start(w, 2);
        unsigned dead = calls_of(0), before = recovered(1);
        cluster_stop(w, 0);
        run(6000000);
        CHECK_EQ(lease_count(w->c[1].l) + lease_count(w->c[2].l), LIMIT_BUCKETS);
        CHECK_EQ(recovered(1) - before, dead);
        for (unsigned i = 0; i < 100 && formats_stored() != 1u << 1; i++)
            run(100000);
        CHECK_EQ(formats_stored(), 1u << 1);
        run(10000000);
        CHECK_EQ(calls_of(1) + calls_of(2), TALKS);
        given += calls_of(2);
        CHECK_EQ(w->unread, 0);
        for (unsigned i = 0; i < TALKS; i++)
            go(&talks[i], 5);
        check_end(700 + seed);
    }
    CHECK_TRUE(given > 0);
}

int main(void) {
    return UNIT_RUN("cluster", UNIT(test_calm), UNIT(test_killed), UNIT(test_zombie), UNIT(test_cut_from_store),
                    UNIT(test_drain_and_join), UNIT(test_older_node), UNIT(test_older_node_at_a_death),
                    UNIT(test_calls_go_over));
}
