/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/rng.h"
#include "tests/unit/unit.h"

static void test_same_seed_same_run(void) {
    struct rng a, b, c;
    rng_init(&a, (struct siphash_key){ 1, 2 });
    rng_init(&b, (struct siphash_key){ 1, 2 });
    rng_init(&c, (struct siphash_key){ 1, 3 });
    unsigned same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rng_u64(&a);
        CHECK_TRUE(x == rng_u64(&b));
        same += x == rng_u64(&c);
    }
    CHECK_EQ(same, 0);
}

/* The first value is SipHash of eight zero bytes: the published vector's key and our fixed byte order. */
static void test_is_siphash_of_the_counter(void) {
    struct rng r;
    struct siphash_key key = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
    const uint8_t one[8] = { 1 };
    rng_init(&r, key);
    CHECK_TRUE(rng_u64(&r) == siphash64(key, "\0\0\0\0\0\0\0", 8));
    CHECK_TRUE(rng_u64(&r) == siphash64(key, one, 8));
}

static void test_below(void) {
    struct rng r;
    unsigned hits[10] = { 0 };
    rng_init(&r, (struct siphash_key){ 5, 6 });
    for (int i = 0; i < 100000; i++) {
        uint64_t v = rng_below(&r, 10);
        CU_ASSERT_FATAL(v < 10);
        hits[v]++;
    }
    for (int i = 0; i < 10; i++)
        CHECK_TRUE(hits[i] > 9500 && hits[i] < 10500);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(rng_below(&r, 1), 0);
    CHECK_TRUE(rng_below(&r, UINT64_MAX) < UINT64_MAX);
}

/* With a bound of 3 * 2^62 a plain remainder would give the lowest third twice as often. */
static void test_below_is_uniform(void) {
    struct rng r;
    unsigned low = 0;
    rng_init(&r, (struct siphash_key){ 7, 8 });
    for (int i = 0; i < 30000; i++)
        low += rng_below(&r, UINT64_C(3) << 62) < UINT64_C(1) << 62;
    CHECK_TRUE(low > 9500 && low < 10500);
}

int main(void) {
    return UNIT_RUN("rng", UNIT(test_same_seed_same_run), UNIT(test_is_siphash_of_the_counter), UNIT(test_below),
                    UNIT(test_below_is_uniform));
}
