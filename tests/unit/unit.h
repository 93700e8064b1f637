/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Thin macros over CUnit for the module tests. A test program:
 *     static void test_x(void) { CHECK_EQ(1 + 1, 2); }
 *     int main(void) { return UNIT_RUN("pool", UNIT(test_x), UNIT(test_y)); }
 */
#ifndef REFEREE_TESTS_UNIT_H
#define REFEREE_TESTS_UNIT_H

#include "core/base/check.h"
#include "core/base/slice.h"

#include <CUnit/Basic.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK_TRUE(c) CU_ASSERT(c)
#define CHECK_FALSE(c) CU_ASSERT(!(c))

#define CHECK_EQ(got, want)                                                                             \
    do {                                                                                                \
        long long got_ = (long long)(got), want_ = (long long)(want);                                   \
        if (got_ != want_)                                                                              \
            printf("\n%s:%d: %s is %lld, want %lld\n", __FILE__, __LINE__, #got, got_, want_);          \
        CU_ASSERT(got_ == want_);                                                                       \
    } while (0)

/* want: a string literal. An absent slice (p == NULL) equals nothing, not even "". */
#define CHECK_SLICE(got, want) unit_check_slice(__FILE__, __LINE__, #got, (got), slice_str(want))

static inline void unit_check_slice(const char *file, unsigned line, const char *text, struct slice got,
                                    struct slice want) {
    bool same = got.p && slice_eq(got, want);
    if (!same && !got.p)
        printf("\n%s:%u: %s is absent, want \"%.*s\"\n", file, line, text, SLICE_FMT(want));
    else if (!same)
        printf("\n%s:%u: %s is \"%.*s\", want \"%.*s\"\n", file, line, text, SLICE_FMT(got), SLICE_FMT(want));
    CU_assertImplementation(same, line, text, file, "", CU_FALSE);
}

/* So many worlds of a simulation; under ThreadSanitizer a sixth of them: they are one thread, and take thirty times as
 * long. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define UNIT_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNIT_TSAN 1
#endif
static inline uint64_t unit_worlds(uint64_t n) {
#ifdef UNIT_TSAN
    n = n / 6 + 1;
#endif
    return n;
}

struct unit_case {
    const char *name;
    void (*run)(void);
};
#define UNIT(fn) { #fn, fn }

static inline void unit_say_failed_check(void *arg, const char *file, int line, const char *expr) {
    (void)arg;
    fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, expr);
}

static inline int unit_run(const char *suite, const struct unit_case *cases, size_t n) {
    check_set_hook(unit_say_failed_check, NULL);
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    CU_pSuite s = CU_add_suite(suite, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        if (!CU_add_test(s, cases[i].name, cases[i].run))
            return 2;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    unsigned run = CU_get_number_of_asserts();
    CU_cleanup_registry();
    if (run == 0)
        printf("%s: no assertion was run\n", suite);
    return failed || run == 0;
}
#define UNIT_RUN(suite, ...)                                                                            \
    unit_run(suite, (const struct unit_case[]){ __VA_ARGS__ },                                          \
             sizeof((const struct unit_case[]){ __VA_ARGS__ }) / sizeof(struct unit_case))

#endif
