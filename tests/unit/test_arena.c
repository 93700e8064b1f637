/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/arena.h"
#include "tests/unit/dies.h"
#include "tests/unit/unit.h"

static const size_t sizes[] = { 1, 63, 64, 65, 0, 4096, 100 };
#define SIZES (sizeof sizes / sizeof sizes[0])

static uint8_t memory[8192] __attribute__((aligned(64)));

static size_t counted(void) {
    struct arena a;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < SIZES; i++)
        CHECK_TRUE(arena_take(&a, sizes[i]) == NULL);
    return a.used;
}

/* What was counted suffices wherever the memory begins. */
static void test_counting_suffices(void) {
    size_t need = counted();
    for (size_t shift = 0; shift < 64; shift += 7) {
        struct arena a;
        memset(memory, 0xaa, sizeof memory);
        arena_init(&a, memory + shift, need);
        uint8_t *end = memory + shift;
        for (size_t i = 0; i < SIZES; i++) {
            uint8_t *p = arena_take(&a, sizes[i]);
            CHECK_EQ((uintptr_t)p & 63, 0);
            CHECK_TRUE(p >= end);
            for (size_t k = 0; k < sizes[i]; k++)
                if (p[k])
                    CHECK_TRUE(!"not zeroed");
            end = p + sizes[i];
        }
        CHECK_TRUE(end <= memory + shift + need);
        CHECK_EQ(memory[shift + need], 0xaa);
    }
}

static void take_too_much(void) {
    struct arena a;
    arena_init(&a, memory, 128);
    arena_take(&a, 64);
    arena_take(&a, 65);
}

static void take_exactly(void) {
    struct arena a;
    arena_init(&a, memory, 128);
    arena_take(&a, 64);
    arena_take(&a, 64);
}

static void test_full_is_a_bug(void) {
    CHECK_TRUE(unit_dies(take_too_much));
    CHECK_FALSE(unit_dies(take_exactly));
}

/* What is known to be zero is not touched. */
static void test_zeroed(void) {
    struct arena a;
    memset(memory, 0xaa, sizeof memory);
    arena_init_zeroed(&a, memory, 128);
    CHECK_TRUE(arena_take(&a, 64) == memory);
    CHECK_EQ(memory[0], 0xaa);
}

int main(void) {
    return UNIT_RUN("arena", UNIT(test_zeroed), UNIT(test_counting_suffices), UNIT(test_full_is_a_bug));
}
