/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Two shards of a node, and another node: attended transfers under way between all of them while a node dies with its
 * shards, a shard loses the store, and a node drains. One owner acts for a call at any time, no call is lost, and every
 * pair of ports comes home.
 */
#include "tests/unit/cluster_talks.h"

static void start_world(uint64_t seed) {
    cluster_numbers[0] = member_of(1, 0);
    cluster_numbers[1] = member_of(1, 1);
    cluster_numbers[2] = member_of(2, 0);
    begin(3, seed);
}

static unsigned ports_away(unsigned i) {
    const struct port_pool *p = &w->c[i].e->ports;
    unsigned n = p->used;
    for (uint32_t k = 0; k < p->count; k++)
        n += p->slots[k].home == PORT_LENT || p->slots[k].home == PORT_LENT_TAKEN ||
             p->slots[k].home == PORT_FOREIGN_TAKEN;
    return n;
}

static void check_end(uint64_t seed) {
    unsigned bad = 0, away = 0;
    run(40000000);
    hang_up_all();
    run(70000000);
    for (unsigned i = 0; i < TALKS; i++)
        bad += talks[i].bye_status != 0 && talks[i].bye_status != 200;
    for (unsigned i = 0; i < w->n; i++)
        away += ports_away(i);
    if (w->wrong_owner || bad || calls_left() || timeouts || away)
        printf("\nseed %" PRIu64 ": wrong owner %u, BYEs refused %u, calls left %u, timeouts %u, ports away %u\n", seed,
               w->wrong_owner, bad, calls_left(), timeouts, away);
    CHECK_EQ(w->wrong_owner, 0);
    CHECK_EQ(bad, 0);
    CHECK_EQ(calls_left(), 0);
    CHECK_EQ(away, 0);
    CHECK_EQ(store_count(w->store, SL("call"), cluster_wall(w)), 0);
    cluster_end(w);
}

static void go_on(void) {
    while (talking())
        run(1000000);
}

static uint64_t moved(void) {
    uint64_t n = 0;
    for (unsigned i = 0; i < w->n; i++)
        n += metrics_get(engine_metrics(w->c[i].e), M_calls_moved);
    return n;
}

static void test_calm(void) {
    uint64_t all = 0;
    for (uint64_t seed = 1; seed <= unit_worlds(12); seed++) {
        start_world(700 + seed);
        for (unsigned i = 0; i < TALKS; i++) {
            start_talk(i);
            run(2500000);
        }
        go_on();
        CHECK_EQ(completed(), TALKS);
        CHECK_EQ(timeouts, 0);
        all += moved();
        check_end(seed);
    }
    CHECK_TRUE(all > unit_worlds(12) - 2);
}

/* A process is killed with all its shards in the midst of it, and starts again later. */
static void test_killed(void) {
    for (uint64_t seed = 1; seed <= unit_worlds(12); seed++) {
        start_world(800 + seed);
        start_talk(0);
        run(cluster_random(w, 3000) * CLUSTER_MS);
        uint32_t victim = 1 + cluster_random(w, 2);
        for (unsigned i = 0; i < w->n; i++)
            if (member_node(cluster_number(i)) == victim)
                cluster_stop(w, i);
        run(8000000);
        for (unsigned i = 0; i < w->n; i++)
            if (member_node(cluster_number(i)) == victim)
                cluster_start(w, i);
        go_on();
        check_end(seed);
    }
}

/* One shard alone loses the store: its sibling and the other node take its part. */
static void test_shard_is_cut(void) {
    for (uint64_t seed = 1; seed <= unit_worlds(12); seed++) {
        start_world(900 + seed);
        start_talk(0);
        run(cluster_random(w, 3000) * CLUSTER_MS);
        unsigned victim = cluster_random(w, 2);
        w->c[victim].cut = true;
        run(8000000);
        w->c[victim].cut = false;
        go_on();
        check_end(seed);
    }
}

/* In the midst of a transfer; or behind all, when calls have ports of their shard's sibling. */
static void test_drain(void) {
    for (uint64_t seed = 1; seed <= unit_worlds(12); seed++) {
        start_world(1000 + seed);
        for (unsigned i = 0; i < (seed & 1 ? TALKS : 1); i++) {
            start_talk(i);
            run(seed & 1 ? 4000000 : cluster_random(w, 3000) * CLUSTER_MS);
        }
        if (seed & 1)
            go_on();
        for (unsigned i = 0; i < 2; i++)
            cluster_tell_lease(w, i, LEASE_IN_DRAIN, 0);
        for (unsigned i = 0; i < 30 && !(w->c[0].drained && w->c[1].drained); i++)
            run(1000000);
        CHECK_TRUE(w->c[0].drained && w->c[1].drained);
        CHECK_EQ(ports_away(0) + ports_away(1), 0);
        for (unsigned i = 0; i < 2; i++)
            cluster_stop(w, i);
        run(1000000);
        for (unsigned i = 0; i < 2; i++)
            cluster_start(w, i);
        go_on();
        check_end(seed);
    }
}

int main(void) {
    return UNIT_RUN("cluster of shards", UNIT(test_calm), UNIT(test_killed), UNIT(test_shard_is_cut),
                    UNIT(test_drain));
}
