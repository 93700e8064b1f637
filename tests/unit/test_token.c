/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/token.h"
#include "tests/unit/unit.h"

static void test_written_form(void) {
    char mem[TOKEN_LEN + 1];
    struct sbuf b = sbuf_on(mem, TOKEN_LEN);
    token_put(&b, &(struct token){ 0xab, 0xfff, 0x0123456789abcdef, 15, 0xfedcba9876543210 });
    CHECK_FALSE(b.overflow);
    CHECK_SLICE(sbuf_slice(&b), "~abfff0123456789abcdefffedcba9876543210");
}

static void test_round_trip(void) {
    static const struct token all[] = {
        { 0, 0, 0, 0, 0 },
        { 255, TOKEN_BUCKETS - 1, UINT64_MAX, 15, UINT64_MAX },
        { 1, 0x80, 1, 7, 42 },
    };
    for (unsigned i = 0; i < 3; i++) {
        char mem[TOKEN_LEN + 8];
        struct token t;
        struct sbuf b = sbuf_on(mem, sizeof mem);
        token_put(&b, &all[i]);
        CHECK_EQ(b.n, TOKEN_LEN);
        sbuf_lit(&b, ".1234");
        CHECK_TRUE(token_parse(sbuf_slice(&b), &t));
        CHECK_EQ(t.cluster, all[i].cluster);
        CHECK_EQ(t.bucket, all[i].bucket);
        CHECK_TRUE(t.call == all[i].call && t.random == all[i].random);
        CHECK_EQ(t.leg, all[i].leg);
    }
}

/* Each character of a good one, replaced by what is no hex digit of ours. */
static void test_forged(void) {
    const char *good = "~abfff0123456789abcdefffedcba9876543210";
    struct token t;
    CHECK_TRUE(token_parse(slice_str(good), &t));
    for (unsigned i = 0; i < TOKEN_LEN; i++)
        for (const char *c = "gGAF /:@`\x7f\xff"; *c; c++) {
            char mem[TOKEN_LEN];
            memcpy(mem, good, TOKEN_LEN);
            mem[i] = *c;
            CHECK_FALSE(token_parse(slice_of(mem, TOKEN_LEN), &t));
        }
    for (unsigned n = 0; n < TOKEN_LEN; n++)
        CHECK_FALSE(token_parse(slice_of(good, n), &t));
}

static void test_no_room(void) {
    char mem[TOKEN_LEN - 1];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    token_put(&b, &(struct token){ 0 });
    CHECK_TRUE(b.overflow);
}

int main(void) {
    return UNIT_RUN("token", UNIT(test_written_form), UNIT(test_round_trip), UNIT(test_forged), UNIT(test_no_room));
}
