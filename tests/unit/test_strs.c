/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/strs.h"
#include "core/base/rng.h"
#include "tests/unit/dies.h"
#include "tests/unit/unit.h"

static uint8_t memory[1 << 19] __attribute__((aligned(64)));
static char big[70000];

static struct buf_pool fresh(uint32_t small, uint32_t large) {
    const uint32_t counts[BUF_CLASSES] = { small, 0, small, 0, small, 0, large, large };
    struct arena a;
    struct buf_pool p;
    arena_init(&a, memory, sizeof memory);
    buf_pool_init(&p, &a, counts);
    return p;
}

static uint32_t bufs_used(const struct buf_pool *p) {
    uint32_t n = 0;
    for (int c = 0; c < BUF_CLASSES; c++)
        n += p->used[c];
    return n;
}

static void test_set_get_clear(void) {
    struct buf_pool p = fresh(4, 1);
    struct strs s = { .b = NULL };
    CHECK_TRUE(strs_get(&s, 0).p == NULL);
    CHECK_TRUE(strs_set(&s, &p, 0, SLICE_NONE));
    CHECK_EQ(bufs_used(&p), 0);
    CHECK_TRUE(strs_set(&s, &p, 0, SL("call-id")));
    CHECK_TRUE(strs_set(&s, &p, STRS_FIELDS - 1, SL("")));
    CHECK_SLICE(strs_get(&s, 0), "call-id");
    CHECK_SLICE(strs_get(&s, STRS_FIELDS - 1), "");
    CHECK_TRUE(strs_get(&s, 1).p == NULL);
    CHECK_TRUE(strs_set(&s, &p, 0, SL("id")));
    CHECK_SLICE(strs_get(&s, 0), "id");
    CHECK_TRUE(strs_set(&s, &p, 0, SLICE_NONE));
    CHECK_TRUE(strs_get(&s, 0).p == NULL);
    CHECK_EQ(bufs_used(&p), 1);
    CHECK_TRUE(strs_set(&s, &p, STRS_FIELDS - 1, SLICE_NONE));
    CHECK_EQ(bufs_used(&p), 0);
    CHECK_TRUE(s.b == NULL);
}

static void test_aliasing(void) {
    struct buf_pool p = fresh(4, 1);
    struct strs s = { .b = NULL };
    CHECK_TRUE(strs_set(&s, &p, 0, SL("abcdefgh")));
    CHECK_TRUE(strs_set(&s, &p, 1, strs_get(&s, 0)));
    CHECK_SLICE(strs_get(&s, 1), "abcdefgh");
    /* A part of itself, forwards and overlapping. */
    CHECK_TRUE(strs_set(&s, &p, 0, slice_of(strs_get(&s, 0).p + 2, 6)));
    CHECK_SLICE(strs_get(&s, 0), "cdefgh");
    CHECK_TRUE(strs_set(&s, &p, 2, SL("x")));
    CHECK_TRUE(strs_set(&s, &p, 2, strs_get(&s, 1)));
    CHECK_SLICE(strs_get(&s, 2), "abcdefgh");
    /* So long that all is packed anew, and the source is in the buffer that goes. */
    CHECK_TRUE(strs_set(&s, &p, 3, slice_of(big, 401)));
    CHECK_TRUE(strs_set(&s, &p, 4, slice_of(strs_get(&s, 3).p, 400)));
    CHECK_EQ(s.b->cap, 1024);
    CHECK_TRUE(slice_eq(strs_get(&s, 4), slice_of(big, 400)));
    CHECK_TRUE(slice_eq(strs_get(&s, 3), slice_of(big, 401)));
    CHECK_SLICE(strs_get(&s, 0), "cdefgh");
    strs_free(&s, &p);
    CHECK_EQ(bufs_used(&p), 0);
    CHECK_TRUE(strs_get(&s, 1).p == NULL);
}

static void test_same_bytes_are_kept_once(void) {
    struct buf_pool p = fresh(4, 1);
    struct strs s = { .b = NULL };
    CHECK_TRUE(strs_set(&s, &p, 0, slice_of(big, 200)));
    CHECK_TRUE(strs_set(&s, &p, 5, strs_get(&s, 0)));
    CHECK_TRUE(strs_set(&s, &p, 3, strs_get(&s, 5)));
    CHECK_EQ(s.b->len, 200);
    /* Packed anew: once still. */
    CHECK_TRUE(strs_set(&s, &p, 2, slice_of(big, 400)));
    CHECK_EQ(s.b->len, 600);
    CHECK_TRUE(strs_get(&s, 0).p == strs_get(&s, 3).p && strs_get(&s, 0).p == strs_get(&s, 5).p);
    /* One of them changes, the others do not. */
    CHECK_TRUE(strs_set(&s, &p, 5, SL("short")));
    CHECK_TRUE(strs_set(&s, &p, 0, SLICE_NONE));
    CHECK_SLICE(strs_get(&s, 5), "short");
    CHECK_TRUE(slice_eq(strs_get(&s, 3), slice_of(big, 200)));
    CHECK_TRUE(strs_set(&s, &p, 3, strs_get(&s, 3)));
    CHECK_TRUE(slice_eq(strs_get(&s, 3), slice_of(big, 200)));
    strs_free(&s, &p);
    CHECK_EQ(bufs_used(&p), 0);
}

static void test_full_pool_changes_nothing(void) {
    struct buf_pool p = fresh(1, 0);
    struct strs s = { .b = NULL };
    struct buf *taken[2] = { buf_get(&p, 1024), buf_get(&p, 2048) };
    CHECK_TRUE(strs_set(&s, &p, 0, slice_of(big, 300)));
    CHECK_TRUE(strs_set(&s, &p, 1, SL("one")));
    CHECK_FALSE(strs_set(&s, &p, 1, slice_of(big, 301)));
    CHECK_FALSE(strs_set(&s, &p, 2, slice_of(big, 301)));
    CHECK_SLICE(strs_get(&s, 1), "one");
    CHECK_TRUE(strs_get(&s, 2).p == NULL);
    CHECK_TRUE(slice_eq(strs_get(&s, 0), slice_of(big, 300)));
    buf_unref(&p, &taken[0]);
    CHECK_TRUE(strs_set(&s, &p, 2, slice_of(big, 301)));
    CHECK_EQ(bufs_used(&p), 2);
    buf_unref(&p, &taken[1]);
    strs_free(&s, &p);
    CHECK_EQ(bufs_used(&p), 0);
}

static void test_bytes_bound(void) {
    struct buf_pool p = fresh(1, 2);
    struct strs s = { .b = NULL };
    CHECK_FALSE(strs_set(&s, &p, 0, slice_of(big, 65536)));
    CHECK_TRUE(strs_set(&s, &p, 0, slice_of(big, 65530)));
    CHECK_TRUE(strs_set(&s, &p, 1, SL("12345")));
    CHECK_TRUE(strs_set(&s, &p, 2, SL("")));
    CHECK_FALSE(strs_set(&s, &p, 3, SL("1")));
    CHECK_TRUE(strs_set(&s, &p, 1, SLICE_NONE));
    CHECK_TRUE(strs_set(&s, &p, 3, SL("67890")));
    CHECK_SLICE(strs_get(&s, 3), "67890");
    CHECK_SLICE(strs_get(&s, 2), "");
    CHECK_TRUE(slice_eq(strs_get(&s, 0), slice_of(big, 65530)));
    strs_free(&s, &p);
    /* What a field held before does not count against its new value. */
    CHECK_TRUE(strs_set(&s, &p, 0, slice_of(big, 40000)));
    CHECK_TRUE(strs_set(&s, &p, 0, slice_of(big + 1, 50000)));
    CHECK_TRUE(slice_eq(strs_get(&s, 0), slice_of(big + 1, 50000)));
    strs_free(&s, &p);
}

static void test_random_against_model(void) {
    struct buf_pool p = fresh(4, 2);
    struct strs s = { .b = NULL };
    struct slice model[STRS_FIELDS] = { { NULL, 0 } };
    struct rng r;
    rng_init(&r, (struct siphash_key){ 3, 4 });
    for (uint32_t step = 0; step < 20000; step++) {
        unsigned field = (unsigned)rng_below(&r, STRS_FIELDS), other = (unsigned)rng_below(&r, STRS_FIELDS);
        uint64_t what = rng_below(&r, 10);
        uint32_t n = (uint32_t)rng_below(&r, rng_below(&r, 8) ? 40 : 2000);
        struct slice value = slice_of(big + rng_below(&r, 9000), n), want = value;
        if (what == 0)
            value = want = SLICE_NONE;
        if (what == 1) {
            value = strs_get(&s, other);
            want = model[other];
        }
        CU_ASSERT_FATAL(strs_set(&s, &p, field, value));
        model[field] = want;
        for (unsigned i = 0; i < STRS_FIELDS; i++) {
            struct slice got = strs_get(&s, i);
            CU_ASSERT_FATAL(!got.p == !model[i].p && slice_eq(got, model[i]));
        }
        CU_ASSERT_FATAL(bufs_used(&p) == (s.b != NULL));
    }
    strs_free(&s, &p);
}

static void no_such_field(void) {
    struct strs s = { .b = NULL };
    strs_get(&s, STRS_FIELDS);
}

static void test_field_bound(void) {
    CHECK_TRUE(unit_dies(no_such_field));
}

int main(void) {
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)('a' + i * i % 23);
    return UNIT_RUN("strs", UNIT(test_set_get_clear), UNIT(test_aliasing), UNIT(test_same_bytes_are_kept_once),
                    UNIT(test_full_pool_changes_nothing), UNIT(test_bytes_bound), UNIT(test_random_against_model),
                    UNIT(test_field_bound));
}
