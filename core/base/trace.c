/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/trace.h"

#include "core/base/check.h"

static const char *const level_names[] = { "ERROR", "WARN", "INFO", "DEBUG", "WIRE" };

void trace_init(struct trace *t, struct arena *a, uint32_t lines, uint16_t shard, enum trace_level level) {
    CHECK(lines > 0 && (lines & (lines - 1)) == 0);
    *t = (struct trace){ .mask = lines - 1, .shard = shard, .level = (uint8_t)level };
    t->ring = arena_take(a, (size_t)lines * sizeof *t->ring);
}

static struct trace_line *line_at(const struct trace *t, uint64_t i) {
    return &t->ring[i & t->mask];
}

struct sbuf trace_begin(struct trace *t, enum trace_level level, const char *what, uint64_t call, uint8_t leg) {
    struct trace_line *line = line_at(t, t->head);
    size_t n = strlen(what);
    if (n > TRACE_WHAT_MAX - 1)
        n = TRACE_WHAT_MAX - 1;
    line->mono_us = t->now_us;
    line->call = call;
    line->leg = leg;
    line->level = (uint8_t)level;
    line->n = 0;
    memcpy(line->what, what, n);
    line->what[n] = 0;
    return sbuf_on(line->detail, TRACE_DETAIL_MAX);
}

void trace_end(struct trace *t, const struct sbuf *detail) {
    struct trace_line *line = line_at(t, t->head);
    CHECK(detail->p == line->detail && detail->n <= TRACE_DETAIL_MAX);
    uint32_t n = detail->n;
    if (detail->overflow) {
        /* A cut line is still worth reading, unlike other overflowed texts. */
        n = n < TRACE_DETAIL_MAX - 3 ? n : TRACE_DETAIL_MAX - 3;
        memcpy(line->detail + n, "...", 3);
        n += 3;
    }
    line->n = (uint16_t)n;
    t->head++;
}

void trace_text(struct trace *t, enum trace_level level, const char *what, uint64_t call, uint8_t leg,
                struct slice text) {
    if (!trace_on(t, level))
        return;
    struct sbuf detail = trace_begin(t, level, what, call, leg);
    if (text.n > TRACE_DETAIL_MAX) {
        text.n = TRACE_DETAIL_MAX;
        detail.overflow = true;
    }
    sbuf_put(&detail, text);
    trace_end(t, &detail);
}

const struct trace_line *trace_at(const struct trace *t, uint64_t i) {
    if (i >= t->head || t->head - i > (uint64_t)t->mask + 1)
        return NULL;
    return line_at(t, i);
}

void trace_format(struct sbuf *out, const struct trace_line *line, uint16_t shard) {
    uint32_t micros = (uint32_t)(line->mono_us % 1000000);
    sbuf_u64(out, line->mono_us / 1000000);
    sbuf_char(out, '.');
    for (uint32_t unit = 100000; unit; unit /= 10)
        sbuf_char(out, (char)('0' + micros / unit % 10));
    sbuf_char(out, ' ');
    sbuf_str(out, line->level <= TRACE_WIRE ? level_names[line->level] : "?");
    sbuf_char(out, ' ');
    sbuf_u64(out, shard);
    sbuf_char(out, ' ');
    if (line->call)
        sbuf_hex(out, line->call, 16);
    else
        sbuf_char(out, '-');
    sbuf_char(out, ' ');
    if (line->leg != 0xff)
        sbuf_u64(out, line->leg);
    else
        sbuf_char(out, '-');
    sbuf_char(out, ' ');
    sbuf_str(out, line->what);
    sbuf_lit(out, ": ");
    sbuf_put(out, slice_of(line->detail, line->n));
}
