/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/buf.h"
#include "core/base/poison.h"
#include "tests/unit/dies.h"
#include "tests/unit/unit.h"

static uint8_t memory[1 << 19] __attribute__((aligned(64)));
static const uint32_t counts[BUF_CLASSES] = { 3, 0, 2, 0, 0, 1, 1, 2 };

static struct buf_pool fresh(void) {
    struct arena count, a;
    struct buf_pool p;
    arena_init(&count, NULL, 0);
    buf_pool_init(&p, &count, counts);
    CHECK_TRUE(buf_get(&p, 1) == NULL);
    CU_ASSERT_FATAL(count.used <= sizeof memory);
    arena_init(&a, memory, count.used);
    buf_pool_init(&p, &a, counts);
    return p;
}

static void test_classes(void) {
    static const struct { size_t need; uint32_t cap; } rows[] = {
        { 0, 512 }, { 512, 512 }, { 513, 1024 }, { 1, 512 }, { 2, 1024 },      /* 512s are gone: the next class */
        { 3, 4096 },                                                            /* so are the 1024s; no 2048s */
        { 4097, 16384 }, { 16385, 65536 }, { 65536, 65536 }, { 65536, 0 }, { 1, 0 }, { 65537, 0 },
    };
    struct buf_pool p = fresh();
    struct buf *got[12];
    for (size_t i = 0; i < 12; i++) {
        got[i] = buf_get(&p, rows[i].need);
        CHECK_EQ(got[i] ? got[i]->cap : 0, rows[i].cap);
        if (!got[i])
            continue;
        CHECK_EQ(got[i]->refs, 1);
        CHECK_EQ(got[i]->len, 0);
        memset(got[i]->data, (int)i, got[i]->cap);
    }
    for (size_t i = 0; i < 12; i++) {
        if (got[i])
            CHECK_TRUE(got[i]->data[0] == (char)i && got[i]->data[got[i]->cap - 1] == (char)i);
        buf_unref(&p, &got[i]);
        CHECK_TRUE(got[i] == NULL);
    }
    for (int c = 0; c < BUF_CLASSES; c++) {
        CHECK_EQ(p.used[c], 0);
        CHECK_EQ(p.count[c], counts[c]);
    }
}

/* The pages of buffers that are never needed are never written to. */
static void test_untouched(void) {
    struct arena a;
    struct buf_pool p;
    unpoison(memory, sizeof memory);
    memset(memory, 0xaa, sizeof memory);
    arena_init_zeroed(&a, memory, sizeof memory);
    buf_pool_init(&p, &a, counts);
    struct buf *b = buf_get(&p, 1);
    uint32_t written = 0;
    unpoison(memory, sizeof memory);
    for (size_t i = 0; i < sizeof memory; i++)
        written += memory[i] != 0xaa;
    CHECK_TRUE(b != NULL && written <= sizeof *b);
}

static void test_too_large(void) {
    struct buf_pool p = fresh();
    CHECK_TRUE(buf_get(&p, 65537) == NULL);
    CHECK_TRUE(buf_get(&p, SIZE_MAX) == NULL);
}

static void test_references(void) {
    struct buf_pool p = fresh();
    struct buf *b = buf_copy(&p, SL("hello")), *first = b, *second = b;
    CHECK_SLICE(buf_slice(b), "hello");
    buf_ref(b);
    buf_unref(&p, &first);
    CHECK_SLICE(buf_slice(b), "hello");
    CHECK_EQ(p.used[0], 1);
    buf_unref(&p, &second);
    CHECK_EQ(p.used[0], 0);
    buf_unref(&p, &second);
    b = buf_get(&p, 1);
    CHECK_EQ(b->len, 0);
    buf_unref(&p, &b);
    CHECK_TRUE(buf_slice(NULL).p == NULL);
    b = buf_copy(&p, SLICE_NONE);
    CHECK_TRUE(b != NULL && b->len == 0 && b->refs == 1);
    buf_unref(&p, &b);
}

static void ref_of_a_free_one(void) {
    struct buf_pool p = fresh();
    struct buf *b = buf_get(&p, 1), *stale = b;
    buf_unref(&p, &b);
    unpoison(stale, sizeof *stale);
    buf_ref(stale);
}

static void unref_twice(void) {
    struct buf_pool p = fresh();
    struct buf *b = buf_get(&p, 1), *stale = b;
    buf_unref(&p, &b);
    unpoison(stale, sizeof *stale);
    buf_unref(&p, &stale);
}

static void test_misuse_is_a_bug(void) {
    CHECK_TRUE(unit_dies(ref_of_a_free_one));
    CHECK_TRUE(unit_dies(unref_twice));
}

static void test_free_bufs_are_poisoned(void) {
#ifdef POISON_ON
    struct buf_pool p = fresh();
    struct buf *b = buf_get(&p, 1), *stale = b;
    CHECK_FALSE(__asan_address_is_poisoned(&b->len));
    CHECK_FALSE(__asan_address_is_poisoned(b->data + b->cap - 1));
    CHECK_TRUE(__asan_address_is_poisoned(b->data + b->cap));
    buf_unref(&p, &b);
    CHECK_TRUE(__asan_address_is_poisoned(&stale->len));
    CHECK_TRUE(__asan_address_is_poisoned(stale->data));
    CHECK_TRUE(__asan_address_is_poisoned(stale->data + 511));
#endif
}

int main(void) {
    return UNIT_RUN("buf", UNIT(test_classes), UNIT(test_untouched), UNIT(test_too_large), UNIT(test_references),
                    UNIT(test_misuse_is_a_bug), UNIT(test_free_bufs_are_poisoned));
}
