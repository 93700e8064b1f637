/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/wheel.h"
#include "core/base/rng.h"
#include "tests/unit/unit.h"

#define NODES 400
#define MS UINT64_C(1000)
#define SECOND (1000 * MS)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
/* A turn of the last level. */
#define TURN ((UINT64_C(1) << 32) * MS)

static struct wheel wheel;

/* The model: each node's state in plain arrays, searched from end to end. */
struct model {
    struct wheel_node node[NODES];
    bool set[NODES];
    uint64_t deadline[NODES];
    uint64_t order[NODES];
    uint64_t sets;
    uint64_t now;
    uint64_t popped;
    struct rng r;
};
static struct model model;

static int model_first(const struct model *m) {
    int best = -1;
    for (int i = 0; i < NODES; i++) {
        if (!m->set[i])
            continue;
        if (best < 0 || m->deadline[i] < m->deadline[best] ||
            (m->deadline[i] == m->deadline[best] && m->order[i] < m->order[best]))
            best = i;
    }
    return best;
}

static uint64_t random_span(struct rng *r) {
    static const uint64_t spans[] = { 1, 10, 900, 3 * MS, 300 * MS, 2 * SECOND, 100 * SECOND, 6 * HOUR, 20 * DAY };
    return rng_below(r, spans[rng_below(r, sizeof spans / sizeof spans[0])]);
}

static void set_one(struct model *m, int i, uint64_t deadline) {
    wheel_set(&wheel, &m->node[i], deadline);
    m->set[i] = true;
    m->deadline[i] = deadline;
    m->order[i] = m->sets++;
}

static void random_change(struct model *m) {
    int i = (int)rng_below(&m->r, NODES);
    uint64_t what = rng_below(&m->r, 16);
    if (what == 0) {
        wheel_cancel(&wheel, &m->node[i]);
        m->set[i] = false;
    } else if (what == 1) {
        set_one(m, i, m->now - rng_below(&m->r, m->now < SECOND ? m->now + 1 : SECOND));
    } else if (what == 2) {
        int other = (int)rng_below(&m->r, NODES);
        set_one(m, i, m->set[other] ? m->deadline[other] : m->now);
    } else {
        set_one(m, i, m->now + random_span(&m->r));
    }
}

static void check_state(struct model *m) {
    uint32_t armed = 0;
    for (int i = 0; i < NODES; i++) {
        CU_ASSERT_FATAL(wheel_is_set(&m->node[i]) == m->set[i]);
        armed += m->set[i];
    }
    CU_ASSERT_FATAL(wheel.armed == armed);
    int first = model_first(m);
    uint64_t next = wheel_next(&wheel);
    CU_ASSERT_FATAL(first < 0 ? next == WHEEL_NEVER : next <= m->deadline[first]);
}

/* Takes out all that is due; now and then a handler sets or cancels others meanwhile. */
static void pop_due(struct model *m) {
    for (;;) {
        int want = model_first(m);
        struct wheel_node *n = wheel_pop(&wheel, m->now);
        if (want < 0 || m->deadline[want] > m->now) {
            CU_ASSERT_FATAL(n == NULL);
            return;
        }
        CU_ASSERT_FATAL(n == &m->node[want]);
        m->set[want] = false;
        m->popped++;
        if (rng_below(&m->r, 4) == 0)
            random_change(m);
    }
}

static void run_model(uint64_t start, uint64_t seed, uint32_t steps) {
    struct model *m = &model;
    *m = (struct model){ .now = start };
    rng_init(&m->r, (struct siphash_key){ seed, 0 });
    wheel_init(&wheel, start);
    for (uint32_t step = 0; step < steps; step++) {
        for (uint64_t i = rng_below(&m->r, 12); i > 0; i--)
            random_change(m);
        check_state(m);
        m->now += random_span(&m->r);
        if (rng_below(&m->r, 3) == 0 && wheel_next(&wheel) > m->now && wheel_next(&wheel) != WHEEL_NEVER)
            m->now = wheel_next(&wheel);
        pop_due(m);
        check_state(m);
    }
    CHECK_TRUE(m->popped > steps);
}

static void test_model_from_zero(void) {
    run_model(0, 1, 4000);
}

static void test_model_over_a_turn(void) {
    run_model(TURN - 5 * SECOND, 2, 4000);
    run_model(3 * TURN - 1, 3, 1000);
}

static void test_never_early_never_late(void) {
    struct wheel_node n = { .next = NULL };
    wheel_init(&wheel, 0);
    for (uint64_t deadline = 1; deadline < 400 * DAY; deadline = deadline * 3 + 7) {
        wheel_init(&wheel, 0);
        n = (struct wheel_node){ .kind = 9, .owner = 77 };
        wheel_set(&wheel, &n, deadline);
        CHECK_TRUE(wheel_pop(&wheel, deadline - 1) == NULL);
        CHECK_TRUE(wheel_pop(&wheel, deadline) == &n);
        CHECK_TRUE(n.kind == 9 && n.owner == 77 && !wheel_is_set(&n));
        CHECK_TRUE(wheel_pop(&wheel, deadline) == NULL);
        CHECK_EQ(wheel.armed, 0);
    }
}

static void test_past_and_time_going_back(void) {
    struct wheel_node a = { .next = NULL }, b = a, c = a;
    wheel_init(&wheel, 10 * SECOND);
    wheel_set(&wheel, &a, 10 * SECOND);
    wheel_set(&wheel, &b, 0);
    wheel_set(&wheel, &c, 10 * SECOND + 1);
    CHECK_EQ(wheel_next(&wheel), 0);
    CHECK_TRUE(wheel_pop(&wheel, 0) == &b);
    CHECK_TRUE(wheel_pop(&wheel, 5 * SECOND) == &a);
    CHECK_TRUE(wheel_pop(&wheel, 10 * SECOND) == NULL);
    CHECK_EQ(wheel_next(&wheel), 10 * SECOND + 1);
    CHECK_TRUE(wheel_pop(&wheel, 10 * SECOND + 1) == &c);
    CHECK_TRUE(wheel_next(&wheel) == WHEEL_NEVER);
}

static void test_ties_in_order_of_setting(void) {
    static struct wheel_node n[1000];
    memset(n, 0, sizeof n);
    wheel_init(&wheel, 123);
    for (int i = 0; i < 1000; i++)
        wheel_set(&wheel, &n[i * 7 % 1000], 3 * HOUR);
    /* Moved to where it was: last now. */
    wheel_set(&wheel, &n[7], 3 * HOUR);
    CHECK_TRUE(wheel_pop(&wheel, 2 * HOUR) == NULL);
    for (int i = 0; i < 1000; i++)
        if (i != 1)
            CU_ASSERT_FATAL(wheel_pop(&wheel, 4 * HOUR) == &n[i * 7 % 1000]);
    CHECK_TRUE(wheel_pop(&wheel, 4 * HOUR) == &n[7]);
}

/* A shell that sleeps until wheel_next wakes a few times a node, not once a tick, and always at the very time. */
static void test_next_makes_progress(void) {
    static struct wheel_node n[2000];
    struct rng r;
    uint64_t now = 55 * SECOND;
    uint32_t wakes = 0, fired = 0;
    memset(n, 0, sizeof n);
    rng_init(&r, (struct siphash_key){ 9, 9 });
    wheel_init(&wheel, now);
    for (int i = 0; i < 2000; i++)
        wheel_set(&wheel, &n[i], now + (i % 2 ? rng_below(&r, 90 * DAY) : rng_below(&r, 50 * MS)));
    for (; wheel_next(&wheel) != WHEEL_NEVER; wakes++) {
        CU_ASSERT_FATAL(wheel_next(&wheel) >= now && wakes < 10000);
        now = wheel_next(&wheel);
        for (struct wheel_node *f; (f = wheel_pop(&wheel, now)) != NULL; fired++)
            CU_ASSERT_FATAL(f->deadline_us == now);
    }
    CHECK_EQ(fired, 2000);
    CHECK_TRUE(wakes < 2 * 2000);
}

static void test_never_cancels(void) {
    struct wheel_node a = { .next = NULL };
    wheel_init(&wheel, 0);
    wheel_cancel(&wheel, &a);
    wheel_set(&wheel, &a, 5);
    wheel_set(&wheel, &a, WHEEL_NEVER);
    CHECK_FALSE(wheel_is_set(&a));
    CHECK_EQ(wheel.armed, 0);
    CHECK_TRUE(wheel_next(&wheel) == WHEEL_NEVER);
    wheel_set(&wheel, &a, WHEEL_NEVER - 1);
    CHECK_TRUE(wheel_next(&wheel) <= WHEEL_NEVER - 1);
    CHECK_TRUE(wheel_pop(&wheel, 1000 * DAY) == NULL);
    CHECK_EQ(wheel.armed, 1);
}

int main(void) {
    return UNIT_RUN("wheel", UNIT(test_model_from_zero), UNIT(test_model_over_a_turn),
                    UNIT(test_never_early_never_late), UNIT(test_past_and_time_going_back),
                    UNIT(test_ties_in_order_of_setting), UNIT(test_next_makes_progress), UNIT(test_never_cancels));
}
