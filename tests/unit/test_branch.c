/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/branch.h"
#include "tests/unit/unit.h"

static struct slice branch(char *mem, const char *token, struct siphash_key seed, uint32_t cseq, uint32_t attempt) {
    struct sbuf b = sbuf_on(mem, BRANCH_MAX);
    branch_put(&b, slice_str(token), seed, cseq, attempt);
    CHECK_FALSE(b.overflow);
    return sbuf_slice(&b);
}

static void test_form(void) {
    char mem[BRANCH_MAX];
    struct slice s = branch(mem, "rf1abc", (struct siphash_key){ 1, 2 }, 7, 0);
    CHECK_EQ(s.n, 7 + 6 + 32);
    CHECK_TRUE(slice_has_prefix(s, SL("z9hG4bKrf1abc")));
    CHECK_SLICE(branch_token(s), "rf1abc");
    for (uint32_t i = 13; i < s.n; i++)
        CHECK_TRUE((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'));
}

/* Same inputs, same branch, on every machine: another node rebuilds it. The digits are pinned for that. */
static void test_inputs(void) {
    char m0[BRANCH_MAX], m1[BRANCH_MAX], m2[BRANCH_MAX], m3[BRANCH_MAX], m4[BRANCH_MAX];
    struct siphash_key k = { 1, 2 }, k2 = { 1, 3 };
    struct slice s = branch(m0, "t", k, 7, 0);
    CHECK_TRUE(slice_eq(s, branch(m1, "t", k, 7, 0)));
    CHECK_FALSE(slice_eq(s, branch(m2, "t", k, 8, 0)));
    CHECK_FALSE(slice_eq(s, branch(m3, "t", k, 7, 1)));
    CHECK_FALSE(slice_eq(s, branch(m4, "t", k2, 7, 0)));
    CHECK_FALSE(slice_eq(branch(m1, "t", k, 0, 7), branch(m2, "t", k, 7, 0)));
    struct key128 h = siphash128(k, "\7\0\0\0\0\0\0", 8);
    char digits[33];
    snprintf(digits, sizeof digits, "%016" PRIx64 "%016" PRIx64, h.a, h.b);
    CHECK_SLICE(slice_of(s.p + 8, 32), digits);
}

static void test_overflow(void) {
    char mem[20];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    branch_put(&b, SL("token"), (struct siphash_key){ 1, 2 }, 1, 0);
    CHECK_TRUE(b.overflow);
}

static void test_cookie(void) {
    CHECK_TRUE(branch_is_3261(SL("z9hG4bK1")));
    CHECK_TRUE(branch_is_3261(SL("Z9HG4BK1")));
    CHECK_FALSE(branch_is_3261(SL("z9hG4bK")));
    CHECK_FALSE(branch_is_3261(SL("z9hG4b1")));
    CHECK_FALSE(branch_is_3261(SLICE_NONE));
    CHECK_TRUE(branch_token(SL("z9hG4bKshort")).p == NULL);
    CHECK_TRUE(branch_token(SL("1")).p == NULL);
    CHECK_EQ(branch_token(SL("z9hG4bK0123456789abcdef0123456789abcdef")).n, 0);
}

int main(void) {
    return UNIT_RUN("branch", UNIT(test_form), UNIT(test_inputs), UNIT(test_overflow), UNIT(test_cookie));
}
