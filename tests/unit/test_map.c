/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/map.h"
#include "core/base/rng.h"
#include "tests/unit/unit.h"

#define CAPACITY 100
#define KEYS 300

static uint8_t memory[16384] __attribute__((aligned(64)));

static struct map fresh(uint32_t capacity) {
    struct arena a;
    struct map m;
    arena_init(&a, memory, sizeof memory);
    map_init(&m, &a, capacity);
    return m;
}

static void test_basics(void) {
    struct map m = fresh(3);
    struct key128 k1 = { 1, 1 }, k2 = { 1, 2 }, k3 = { UINT64_MAX, 0 }, k4 = { 9, 9 };
    CHECK_EQ(map_get(&m, k1), HANDLE_NONE);
    CHECK_FALSE(map_del(&m, k1));
    CHECK_TRUE(map_put(&m, k1, 11));
    CHECK_TRUE(map_put(&m, k2, 12));
    CHECK_FALSE(map_put(&m, k2, 99));
    CHECK_EQ(map_get(&m, k2), 12);
    CHECK_TRUE(map_put(&m, k3, 13));
    CHECK_FALSE(map_put(&m, k4, 14));
    CHECK_EQ(map_get(&m, k4), HANDLE_NONE);
    CHECK_TRUE(map_del(&m, k1));
    CHECK_FALSE(map_del(&m, k1));
    CHECK_EQ(map_get(&m, k2), 12);
    CHECK_EQ(map_get(&m, k3), 13);
    CHECK_TRUE(map_put(&m, k4, 14));
    CHECK_EQ(m.used, 3);
}

static void test_counts_only(void) {
    struct arena a;
    struct map m;
    arena_init(&a, NULL, 0);
    map_init(&m, &a, 1000);
    CHECK_TRUE(a.used >= 2000 * sizeof(struct map_slot));
    CHECK_FALSE(map_put(&m, (struct key128){ 1, 2 }, 1));
    CHECK_EQ(map_get(&m, (struct key128){ 1, 2 }), HANDLE_NONE);
}

/* Keys of few home slots, so that runs grow long, meet and wrap around the end. */
static void run_model(uint64_t homes, uint64_t seed) {
    struct map m = fresh(CAPACITY);
    struct rng r;
    handle model[KEYS] = { 0 };
    uint32_t used = 0;
    rng_init(&r, (struct siphash_key){ seed, 0 });
    for (uint32_t step = 0; step < 30000; step++) {
        uint32_t i = (uint32_t)rng_below(&r, KEYS);
        struct key128 key = { (0 - homes / 2) + i % homes, i };
        if (rng_below(&r, 2)) {
            bool want = !model[i] && used < CAPACITY;
            handle value = rng_u64(&r) | 1;
            CU_ASSERT_FATAL(map_put(&m, key, value) == want);
            if (want) {
                model[i] = value;
                used++;
            }
        } else {
            CU_ASSERT_FATAL(map_del(&m, key) == (model[i] != 0));
            used -= model[i] != 0;
            model[i] = 0;
        }
        CU_ASSERT_FATAL(m.used == used);
        if (step % 64 == 0)
            for (uint32_t k = 0; k < KEYS; k++)
                CU_ASSERT_FATAL(map_get(&m, (struct key128){ (0 - homes / 2) + k % homes, k }) == model[k]);
    }
}

static void test_random_against_model(void) {
    run_model(1, 1);
    run_model(7, 2);
    run_model(1000, 3);
}

int main(void) {
    return UNIT_RUN("map", UNIT(test_basics), UNIT(test_counts_only), UNIT(test_random_against_model));
}
