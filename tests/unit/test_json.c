/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/json.h"
#include "tests/unit/unit.h"

static char mem[512];

static struct slice text(struct slice s, uint32_t max) {
    static struct sbuf b;
    b = sbuf_on(mem, sizeof mem);
    json_text(&b, s, max);
    CHECK_FALSE(b.overflow);
    return sbuf_slice(&b);
}

static void test_escapes(void) {
    CHECK_SLICE(text(SL("plain <sip:a@b>"), 100), "\"plain <sip:a@b>\"");
    CHECK_SLICE(text(SL("\"\\/"), 100), "\"\\\"\\\\/\"");
    CHECK_SLICE(text(SL("a\r\n\t\x7f\x01"), 100), "\"a\\u000d\\u000a\\u0009\\u007f\\u0001\"");
    CHECK_SLICE(text(slice_of("\0", 1), 100), "\"\\u0000\"");
    CHECK_SLICE(text(SL(""), 100), "\"\"");
    CHECK_SLICE(text(SLICE_NONE, 100), "null");
}

static void test_utf8(void) {
    CHECK_SLICE(text(SL("J\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x98\x80"), 100),
                "\"J\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x98\x80\"");
    CHECK_SLICE(text(SL("\xff"), 100), "\"\\u00ff\"");
    CHECK_SLICE(text(SL("\x80z"), 100), "\"\\u0080z\"");
    /* Overlong, surrogate, above U+10FFFF, cut off, broken off. */
    CHECK_SLICE(text(SL("\xc0\xaf"), 100), "\"\\u00c0\\u00af\"");
    CHECK_SLICE(text(SL("\xe0\x80\xaf"), 100), "\"\\u00e0\\u0080\\u00af\"");
    CHECK_SLICE(text(SL("\xed\xa0\x80"), 100), "\"\\u00ed\\u00a0\\u0080\"");
    CHECK_SLICE(text(SL("\xf4\x90\x80\x80"), 100), "\"\\u00f4\\u0090\\u0080\\u0080\"");
    CHECK_SLICE(text(SL("\xf0\x8f\x80\x80"), 100), "\"\\u00f0\\u008f\\u0080\\u0080\"");
    CHECK_SLICE(text(SL("\xe2\x82"), 100), "\"\\u00e2\\u0082\"");
    CHECK_SLICE(text(SL("\xc3\""), 100), "\"\\u00c3\\\"\"");
}

static void test_cut(void) {
    CHECK_SLICE(text(SL("abcdef"), 6), "\"abcdef\"");
    CHECK_SLICE(text(SL("abcdefg"), 6), "\"abcdef...\"");
    /* Never within a character. */
    CHECK_SLICE(text(SL("ab\xe2\x82\xac"), 4), "\"ab...\"");
    CHECK_SLICE(text(SL("ab\xe2\x82\xac"), 5), "\"ab\xe2\x82\xac\"");
}

static void test_overflow(void) {
    struct sbuf b = sbuf_on(mem, 6);
    mem[6] = '#';
    json_text(&b, SL("abcdefgh"), 100);
    CHECK_TRUE(b.overflow);
    CHECK_EQ(mem[6], '#');
}

static void test_members(void) {
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_char(&b, '{');
    json_member(&b, "a", SL("x"), 10);
    json_member_u64(&b, "n", 7);
    json_name(&b, "o");
    sbuf_char(&b, '{');
    json_member_bool(&b, "t", true);
    sbuf_char(&b, '}');
    json_member_bool(&b, "f", false);
    sbuf_char(&b, '}');
    CHECK_SLICE(sbuf_slice(&b), "{\"a\":\"x\",\"n\":7,\"o\":{\"t\":true},\"f\":false}");
}

int main(void) {
    return UNIT_RUN("json", UNIT(test_escapes), UNIT(test_utf8), UNIT(test_cut), UNIT(test_overflow),
                    UNIT(test_members));
}
