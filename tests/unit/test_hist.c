/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/call/hist.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct hist h;

static void test_empty(void) {
    memset(&h, 0, sizeof h);
    CHECK_EQ(hist_at(&h, 500), 0);
}

/* Small values are exact, larger ones at most a 32nd too low. */
static void test_values(void) {
    for (uint64_t v = 1; v < UINT64_C(1) << 36; v = v * 3 / 2 + 1) {
        memset(&h, 0, sizeof h);
        hist_add(&h, v);
        uint64_t seen = hist_at(&h, 500);
        CHECK_TRUE(seen <= v && v - seen <= v / 32);
        CHECK_TRUE(v >= HIST_SUB || seen == v);
        CHECK_EQ(h.max, v);
    }
}

static void test_permilles(void) {
    memset(&h, 0, sizeof h);
    for (uint64_t v = 0; v < 1000; v++)
        hist_add(&h, v < 990 ? 10 : 50);
    CHECK_EQ(hist_at(&h, 500), 10);
    CHECK_EQ(hist_at(&h, 990), 10);
    CHECK_EQ(hist_at(&h, 991), 50);
    CHECK_EQ(hist_at(&h, 1000), 50);
}

int main(void) {
    return UNIT_RUN("hist", UNIT(test_empty), UNIT(test_values), UNIT(test_permilles));
}
