/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/sbuf.h"
#include "tests/unit/dies.h"
#include "tests/unit/unit.h"

#include <inttypes.h>

static void test_numbers(void) {
    char mem[128];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_u64(&b, 0);
    sbuf_char(&b, ' ');
    sbuf_u64(&b, UINT64_MAX);
    sbuf_char(&b, ' ');
    sbuf_i64(&b, INT64_MIN);
    sbuf_char(&b, ' ');
    sbuf_i64(&b, -42);
    CHECK_SLICE(sbuf_slice(&b), "0 18446744073709551615 -9223372036854775808 -42");
    CHECK_FALSE(b.overflow);
}

/* Each power of ten, what is before and behind it, and all small ones: as printf has them. */
static void check_number(uint64_t v) {
    char mem[32], want[32];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    int n = snprintf(want, sizeof want, "%" PRIu64, v);
    sbuf_u64(&b, v);
    CHECK_SLICE(sbuf_slice(&b), want);
    b = sbuf_on(mem, (size_t)n);
    sbuf_u64(&b, v);
    CHECK_EQ(b.n, n);
    b = sbuf_on(mem, (size_t)n - 1);
    sbuf_u64(&b, v);
    CHECK_TRUE(b.overflow && b.n == 0);
}

static void test_numbers_of_every_length(void) {
    uint64_t power = 1;
    for (unsigned i = 0; i < 20; i++, power *= 10)
        for (uint64_t v = power - 1; v <= power + 1; v++)
            check_number(v);
    for (unsigned bit = 0; bit < 64; bit++)
        for (uint64_t v = (UINT64_C(1) << bit) - 1, i = 0; i < 3; v++, i++)
            check_number(v);
    for (uint64_t v = 0; v < 11000; v++)
        check_number(v);
}

static void test_hex(void) {
    char mem[64];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_hex(&b, 0xabcdef, 3);
    sbuf_char(&b, ' ');
    sbuf_hex(&b, 0x1f, 16);
    sbuf_hex(&b, 1, 0);
    CHECK_SLICE(sbuf_slice(&b), "def 000000000000001f");
    b.n = 0;
    sbuf_hex(&b, UINT64_C(0x0123456789abcdef), 16);
    sbuf_hex(&b, UINT64_C(0xfedcba9876543210), 15);
    CHECK_SLICE(sbuf_slice(&b), "0123456789abcdefedcba9876543210");
}

static void hex_of_17(void) {
    char mem[64];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_hex(&b, 1, 17);
}

static void test_overflow(void) {
    char mem[9];
    memset(mem, '#', sizeof mem);
    struct sbuf b = sbuf_on(mem, 8);
    sbuf_str(&b, "12345");
    sbuf_lit(&b, "6789");
    CHECK_TRUE(b.overflow);
    CHECK_SLICE(sbuf_slice(&b), "12345");
    b = sbuf_on(mem, 8);
    sbuf_lit(&b, "12345678");
    CHECK_FALSE(b.overflow);
    sbuf_put(&b, SL(""));
    CHECK_FALSE(b.overflow);
    sbuf_char(&b, '9');
    CHECK_TRUE(b.overflow);
    b = sbuf_on(mem, 8);
    sbuf_u64(&b, 123456789);
    CHECK_TRUE(b.overflow);
    CHECK_EQ(b.n, 0);
    CHECK_EQ(mem[8], '#');
    CHECK_TRUE(unit_dies(hex_of_17));
}

static void test_escaped(void) {
    char mem[64];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_escaped(&b, SL("a\"b\\c\r\n\0 \x7f\xff~"), 100);
    CHECK_SLICE(sbuf_slice(&b), "a\\\"b\\\\c\\x0d\\x0a\\x00 \\x7f\\xff~");
    b = sbuf_on(mem, sizeof mem);
    sbuf_escaped(&b, SL("abcdef"), 6);
    sbuf_char(&b, '|');
    sbuf_escaped(&b, SL("abcdef"), 5);
    CHECK_SLICE(sbuf_slice(&b), "abcdef|abcde...");
    /* Never half an escape. */
    b = sbuf_on(mem, 6);
    sbuf_escaped(&b, SL("abc\nd"), 100);
    CHECK_TRUE(b.overflow);
    CHECK_SLICE(sbuf_slice(&b), "abc");
}

/* By loads of several widths: a difference is seen at each place of each length, and so is a case at each. */
static void test_compared(void) {
    char a[80], b[80], big[80];
    for (uint32_t n = 0; n <= sizeof a; n++) {
        for (uint32_t i = 0; i < n; i++)
            big[i] = (char)ascii_lower((uint8_t)(a[i] = b[i] = (char)('A' + i % 26)));
        slice_copy(b, slice_of(a, n));
        CHECK_TRUE(slice_eq(slice_of(a, n), slice_of(b, n)));
        CHECK_TRUE(slice_ieq(slice_of(a, n), slice_of(big, n)));
        CHECK_FALSE(n && slice_eq(slice_of(a, n), slice_of(big, n)));
        for (uint32_t i = 0; i < n; i++) {
            b[i] = '-';
            CHECK_FALSE(slice_eq(slice_of(a, n), slice_of(b, n)));
            CHECK_FALSE(slice_ieq(slice_of(big, n), slice_of(b, n)));
            slice_copy(b, slice_of(a, n));
            CHECK_TRUE(b[i] == a[i]);
        }
    }
}

int main(void) {
    return UNIT_RUN("sbuf", UNIT(test_compared), UNIT(test_numbers), UNIT(test_numbers_of_every_length),
                    UNIT(test_hex), UNIT(test_overflow), UNIT(test_escaped));
}
