/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/pool.h"
#include "core/base/poison.h"
#include "core/base/rng.h"
#include "tests/unit/dies.h"
#include "tests/unit/unit.h"

#define COUNT 40

struct thing {
    uint64_t value;
    char pad[13];
};

static uint8_t memory[16384] __attribute__((aligned(64)));

static struct pool fresh(uint32_t count) {
    struct arena a;
    struct pool p;
    arena_init(&a, memory, sizeof memory);
    pool_init(&p, &a, count, sizeof(struct thing));
    return p;
}

static void test_counts_only(void) {
    struct arena a;
    struct pool p;
    handle h = 7;
    arena_init(&a, NULL, 0);
    pool_init(&p, &a, 100, sizeof(struct thing));
    CHECK_TRUE(a.used >= 100 * (sizeof(struct thing) + 8));
    CHECK_TRUE(pool_alloc(&p, &h) == NULL);
    CHECK_EQ(h, HANDLE_NONE);
}

static void test_fill_and_exhaust(void) {
    struct pool p = fresh(COUNT);
    handle h[COUNT], none = 1;
    for (uint32_t i = 0; i < COUNT; i++) {
        struct thing *t = pool_alloc(&p, &h[i]);
        CHECK_TRUE(t != NULL && t->value == 0 && t->pad[12] == 0);
        CHECK_EQ((uintptr_t)t & 15, 0);
        CHECK_TRUE(h[i] != HANDLE_NONE);
        t->value = i + 1000;
        memset(t->pad, 0xff, sizeof t->pad);
    }
    CHECK_TRUE(pool_alloc(&p, &none) == NULL);
    CHECK_EQ(none, HANDLE_NONE);
    CHECK_EQ(p.used, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        CHECK_EQ(((struct thing *)pool_get(&p, h[i]))->value, i + 1000);
    for (uint32_t i = 0; i < COUNT; i++)
        pool_free(&p, h[i]);
    CHECK_EQ(p.used, 0);
    CHECK_EQ(p.high_water, COUNT);
}

static void test_stale_and_foreign_handles(void) {
    struct pool p = fresh(2);
    handle a, b;
    struct thing *first = pool_alloc(&p, &a);
    first->value = 5;
    CHECK_TRUE(pool_get(&p, HANDLE_NONE) == NULL);
    CHECK_TRUE(pool_get(&p, a ^ 1) == NULL);
    CHECK_TRUE(pool_get(&p, a + (UINT64_C(1) << 32)) == NULL);
    CHECK_TRUE(pool_get(&p, UINT64_MAX) == NULL);
    pool_free(&p, a);
    CHECK_TRUE(pool_get(&p, a) == NULL);
    /* The generation a free object has now is even: no handle. */
    CHECK_TRUE(pool_get(&p, a + (UINT64_C(1) << 32)) == NULL);
    struct thing *second = pool_alloc(&p, &b);
    CHECK_TRUE(second == first);
    CHECK_TRUE(b != a);
    CHECK_EQ(second->value, 0);
    CHECK_TRUE(pool_get(&p, a) == NULL);
    CHECK_TRUE(pool_get(&p, b) == second);
}

static void test_next_is_in_index_order(void) {
    struct pool p = fresh(COUNT);
    handle h[COUNT], got;
    for (uint32_t i = 0; i < COUNT; i++)
        ((struct thing *)pool_alloc(&p, &h[i]))->value = i;
    for (uint32_t i = 0; i < COUNT; i += 3)
        pool_free(&p, h[i]);
    uint32_t cursor = 0;
    struct thing *t;
    for (uint32_t i = 0; i < COUNT; i++) {
        if (i % 3 == 0)
            continue;
        t = pool_next(&p, &cursor, &got);
        CHECK_TRUE(t != NULL);
        CHECK_EQ(t->value, i);
        CHECK_EQ(got, h[i]);
    }
    CHECK_TRUE(pool_next(&p, &cursor, &got) == NULL);
    CHECK_EQ(got, HANDLE_NONE);
    CHECK_TRUE(pool_next(&p, &cursor, &got) == NULL);
}

static void test_random_against_model(void) {
    struct pool p = fresh(COUNT);
    struct rng r;
    handle live[COUNT], dead = HANDLE_NONE;
    uint64_t value[COUNT];
    uint32_t n = 0;
    rng_init(&r, (struct siphash_key){ 1, 2 });
    for (uint32_t step = 0; step < 20000; step++) {
        if (rng_below(&r, 2) && n < COUNT) {
            struct thing *t = pool_alloc(&p, &live[n]);
            CU_ASSERT_FATAL(t != NULL && t->value == 0);
            t->value = value[n++] = rng_u64(&r) | 1;
        } else if (n) {
            uint32_t i = (uint32_t)rng_below(&r, n);
            CU_ASSERT_FATAL(((struct thing *)pool_get(&p, live[i]))->value == value[i]);
            dead = live[i];
            pool_free(&p, dead);
            live[i] = live[--n];
            value[i] = value[n];
        }
        CU_ASSERT_FATAL(p.used == n && pool_get(&p, dead) == NULL);
    }
}

static void free_twice(void) {
    struct pool p = fresh(2);
    handle h;
    pool_alloc(&p, &h);
    pool_free(&p, h);
    pool_free(&p, h);
}

static void free_none(void) {
    struct pool p = fresh(2);
    pool_free(&p, HANDLE_NONE);
}

static void test_wrong_free_is_a_bug(void) {
    CHECK_TRUE(unit_dies(free_twice));
    CHECK_TRUE(unit_dies(free_none));
}

static void test_free_objects_are_poisoned(void) {
#ifdef POISON_ON
    struct pool p = fresh(2);
    handle h;
    struct thing *t = pool_alloc(&p, &h);
    CHECK_FALSE(__asan_address_is_poisoned(&t->value));
    pool_free(&p, h);
    CHECK_TRUE(__asan_address_is_poisoned(&t->value));
    CHECK_TRUE(__asan_address_is_poisoned(t + 1));
    p = fresh(2);
    CHECK_TRUE(pool_alloc(&p, &h) == t);
    CHECK_FALSE(__asan_address_is_poisoned(&t->value));
#endif
}

int main(void) {
    return UNIT_RUN("pool", UNIT(test_counts_only), UNIT(test_fill_and_exhaust), UNIT(test_stale_and_foreign_handles),
                    UNIT(test_next_is_in_index_order), UNIT(test_random_against_model),
                    UNIT(test_wrong_free_is_a_bug), UNIT(test_free_objects_are_poisoned));
}
