/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/gather.h"
#include "tests/unit/unit.h"

static char text[512];

static struct slice merge(const char *order, const char *a, const char *b, const char *c) {
    struct slice answers[] = { slice_str(a), slice_str(b), slice_str(c) };
    struct sbuf out = sbuf_on(text, sizeof text);
    CHECK_TRUE(gather_merge(slice_str(order), answers, 3, &out));
    return sbuf_slice(&out);
}

static void test_sums(void) {
    CHECK_SLICE(merge("metrics", "a 1\nb 20\n", "a 2\nb 30\n", "a 3\nb 50\n"), "a 6\nb 100\n");
    CHECK_SLICE(merge("leftover", "calls 1\nbindings 7\n", "calls 2\nbindings 7\n", "calls 0\nbindings 7\n"),
                "calls 3\nbindings 7\n");
    /* One that has not answered, and lines that are none. */
    CHECK_SLICE(merge("metrics", "a 1\nnonsense\nb x\n", "", "a 3"), "a 4\n");
}

static void test_lists(void) {
    CHECK_SLICE(merge("calls", "one\n", "", "two\n"), "one\ntwo\n");
    CHECK_SLICE(merge("calls", "", "", ""), "");
    CHECK_SLICE(merge("registrations", "1001 x\n", "1001 x\n", "1001 x\n"), "1001 x\n");
}

static void test_one_knows(void) {
    CHECK_SLICE(merge("show 7", "error: no call 7\n", "7 up\n", "error: no call 7\n"), "7 up\n");
    CHECK_SLICE(merge("show 7", "error: no call 7\n", "error: no call 7\n", "error: no call 7\n"),
                "error: no call 7\n");
    CHECK_SLICE(merge("transfer 7 0 x", "error: no such call and leg\n", "error: no such call and leg\n",
                      "error: 486 Busy\n"), "error: 486 Busy\n");
}

static void test_too_small(void) {
    struct slice answers[] = { SL("one\n"), SL("two\n") };
    struct sbuf out = sbuf_on(text, 7);
    CHECK_FALSE(gather_merge(SL("calls"), answers, 2, &out));
}

int main(void) {
    return UNIT_RUN("gather", UNIT(test_sums), UNIT(test_lists), UNIT(test_one_knows), UNIT(test_too_small));
}
