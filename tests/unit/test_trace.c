/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/trace.h"
#include "tests/unit/dies.h"
#include "tests/unit/unit.h"

static uint8_t memory[16384] __attribute__((aligned(64)));

static struct trace fresh(uint32_t lines) {
    struct arena a;
    struct trace t;
    arena_init(&a, memory, sizeof memory);
    trace_init(&t, &a, lines, 3, TRACE_INFO);
    return t;
}

static void test_format(void) {
    char mem[512];
    struct trace t = fresh(4);
    struct sbuf out = sbuf_on(mem, sizeof mem);
    t.now_us = 12000345;
    trace_text(&t, TRACE_INFO, "recv", 0xab12, 1, SL("INVITE from 192.0.2.1:5060"));
    trace_format(&out, trace_at(&t, 0), t.shard);
    CHECK_SLICE(sbuf_slice(&out), "12.000345 INFO 3 000000000000ab12 1 recv: INVITE from 192.0.2.1:5060");
    out = sbuf_on(mem, sizeof mem);
    t.now_us = 999999;
    trace_text(&t, TRACE_ERROR, "a name longer than sixteen", 0, 0xff, SL(""));
    trace_format(&out, trace_at(&t, 1), 0);
    CHECK_SLICE(sbuf_slice(&out), "0.999999 ERROR 0 - - a name longer t: ");
}

static void test_levels(void) {
    struct trace t = fresh(4);
    CHECK_TRUE(trace_on(&t, TRACE_ERROR));
    CHECK_TRUE(trace_on(&t, TRACE_INFO));
    CHECK_FALSE(trace_on(&t, TRACE_DEBUG));
    trace_text(&t, TRACE_DEBUG, "x", 1, 1, SL("not written"));
    CHECK_EQ(t.head, 0);
    CHECK_TRUE(trace_at(&t, 0) == NULL);
}

static void test_begin_end(void) {
    struct trace t = fresh(4);
    struct sbuf d = trace_begin(&t, TRACE_WARN, "txn", 7, 2);
    CHECK_TRUE(trace_at(&t, 0) == NULL);
    sbuf_lit(&d, "timer B at ");
    sbuf_u64(&d, 32000);
    trace_end(&t, &d);
    const struct trace_line *line = trace_at(&t, 0);
    CHECK_TRUE(line != NULL);
    CHECK_SLICE(slice_of(line->detail, line->n), "timer B at 32000");
    CHECK_EQ(line->level, TRACE_WARN);
    CHECK_EQ(line->leg, 2);
    CHECK_SLICE(slice_str(line->what), "txn");
}

static void test_ring_overwrites(void) {
    struct trace t = fresh(4);
    for (uint64_t i = 0; i < 10; i++)
        trace_text(&t, TRACE_INFO, i < 6 ? "transfer" : "n", i + 1, 0, SL("line"));
    CHECK_SLICE(slice_str(trace_at(&t, 9)->what), "n");
    for (uint64_t i = 0; i < 6; i++)
        CHECK_TRUE(trace_at(&t, i) == NULL);
    for (uint64_t i = 6; i < 10; i++)
        CHECK_EQ(trace_at(&t, i)->call, i + 1);
    CHECK_TRUE(trace_at(&t, 10) == NULL);
    CHECK_TRUE(trace_at(&t, UINT64_MAX) == NULL);
}

static void test_long_detail_is_cut(void) {
    char text[300];
    struct trace t = fresh(4);
    memset(text, 'x', sizeof text);
    trace_text(&t, TRACE_INFO, "n", 1, 0, slice_of(text, TRACE_DETAIL_MAX));
    trace_text(&t, TRACE_INFO, "n", 1, 0, slice_of(text, TRACE_DETAIL_MAX + 1));
    struct sbuf d = trace_begin(&t, TRACE_INFO, "n", 1, 0);
    sbuf_lit(&d, "head ");
    sbuf_put(&d, slice_of(text, sizeof text));
    trace_end(&t, &d);
    d = trace_begin(&t, TRACE_INFO, "n", 1, 0);
    sbuf_put(&d, slice_of(text, TRACE_DETAIL_MAX - 1));
    sbuf_lit(&d, "xx");
    trace_end(&t, &d);
    CHECK_EQ(trace_at(&t, 3)->n, TRACE_DETAIL_MAX);
    const struct trace_line *whole = trace_at(&t, 0), *cut = trace_at(&t, 1), *short_cut = trace_at(&t, 2);
    CHECK_EQ(whole->n, TRACE_DETAIL_MAX);
    CHECK_TRUE(whole->detail[TRACE_DETAIL_MAX - 1] == 'x');
    CHECK_EQ(cut->n, TRACE_DETAIL_MAX);
    CHECK_SLICE(slice_of(cut->detail + TRACE_DETAIL_MAX - 4, 4), "x...");
    CHECK_SLICE(slice_of(short_cut->detail, short_cut->n), "head ...");
}

static void seven_lines(void) {
    fresh(7);
}

static void test_power_of_two_only(void) {
    CHECK_TRUE(unit_dies(seven_lines));
}

int main(void) {
    return UNIT_RUN("trace", UNIT(test_format), UNIT(test_levels), UNIT(test_begin_end), UNIT(test_ring_overwrites),
                    UNIT(test_long_detail_is_cut), UNIT(test_power_of_two_only));
}
