/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/check.h"
#include "core/base/metrics.h"
#include "tests/unit/dies.h"
#include "tests/unit/unit.h"

#include <sys/mman.h>

struct seen {
    int calls;
    int line;
    char file[64];
    char expr[64];
};

/* Shared with the child, which dies before it could tell. */
static struct seen *seen;

static void record(void *arg, const char *file, int line, const char *expr) {
    struct seen *s = arg;
    s->calls++;
    s->line = line;
    snprintf(s->file, sizeof s->file, "%s", file);
    snprintf(s->expr, sizeof s->expr, "%s", expr);
}

static void record_and_fail_again(void *arg, const char *file, int line, const char *expr) {
    record(arg, file, line, expr);
    CHECK(!"inside the hook");
}

static void fail_plain(void) {
    check_set_hook(NULL, NULL);
    CHECK(1 + 1 == 3);
}

static void fail_with_hook(void) {
    check_set_hook(record, seen);
    CHECK(2 + 2 == 5);
}

static void fail_twice(void) {
    check_set_hook(record_and_fail_again, seen);
    CHECK(0);
}

static void pass(void) {
    check_set_hook(record, seen);
    CHECK(1 + 1 == 2);
}

static void test_dies(void) {
    CHECK_TRUE(unit_dies(fail_plain));
    CHECK_FALSE(unit_dies(pass));
}

static void test_hook(void) {
    memset(seen, 0, sizeof *seen);
    CHECK_FALSE(unit_dies(pass));
    CHECK_EQ(seen->calls, 0);
    CHECK_TRUE(unit_dies(fail_with_hook));
    CHECK_EQ(seen->calls, 1);
    CHECK_TRUE(seen->line > 0);
    CHECK_SLICE(slice_str(seen->expr), "2 + 2 == 5");
    CHECK_TRUE(strstr(seen->file, "test_check.c") != NULL);
}

static void test_hook_is_called_once(void) {
    memset(seen, 0, sizeof *seen);
    CHECK_TRUE(unit_dies(fail_twice));
    CHECK_EQ(seen->calls, 1);
}

static void test_expect(void) {
    struct metrics m = { .v = { 0 } };
    CHECK_EQ(EXPECT(&m, M_not_sip, 1 == 1), 1);
    CHECK_EQ(metrics_get(&m, M_not_sip), 0);
    CHECK_EQ(EXPECT(&m, M_not_sip, 1 == 2), 0);
    CHECK_EQ(metrics_get(&m, M_not_sip), 1);
    CHECK_SLICE(slice_str(metrics_name(M_not_sip)), "not_sip");
    for (int i = 0; i < METRIC_COUNT; i++)
        CHECK_TRUE(metrics_help((enum metric)i)[0] != 0);
}

int main(void) {
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        return 2;
    return UNIT_RUN("check", UNIT(test_dies), UNIT(test_hook), UNIT(test_hook_is_called_once), UNIT(test_expect));
}
