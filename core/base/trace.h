/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * trace: one line format, four uses: log, ladder of one call, golden test, flight recorder. The engine writes lines
 * into a ring in its memory; the shell reads them out after the step. A line that was overwritten before it was read
 * is counted by the reader. What overflows a line is cut and ends in "...".
 *
 * Text form (trace_format):  SECONDS.MICROS LEVEL shard call leg what: details
 * Details were escaped where they hold bytes from the wire; they have no line ends.
 */
#ifndef REFEREE_BASE_TRACE_H
#define REFEREE_BASE_TRACE_H

#include "core/base/arena.h"
#include "core/base/sbuf.h"

enum trace_level { TRACE_ERROR, TRACE_WARN, TRACE_INFO, TRACE_DEBUG, TRACE_WIRE };

#define TRACE_WHAT_MAX 16
#define TRACE_DETAIL_MAX 220

struct trace_line {
    uint64_t mono_us;
    uint64_t call;                /* call id, 0: none */
    uint8_t leg;                  /* leg number in its call, 0xff: none */
    uint8_t level;
    uint16_t n;                   /* bytes of detail */
    char what[TRACE_WHAT_MAX];    /* NUL-terminated: "recv", "send", "txn", "leg", "transfer", "media", ... */
    char detail[TRACE_DETAIL_MAX];
};

struct trace {
    struct trace_line *ring;
    uint32_t mask;
    uint16_t shard;
    uint8_t level;                /* lines above it are not written */
    uint64_t head;                /* lines ever written */
    uint64_t now_us;
};

/* lines: a power of two. */
void trace_init(struct trace *t, struct arena *a, uint32_t lines, uint16_t shard, enum trace_level level);
static inline bool trace_on(const struct trace *t, enum trace_level level) {
    return level <= t->level;
}
/* Begins a line: sets *detail on the line's own space. NULL-free: call only if trace_on. End with trace_end. */
struct sbuf trace_begin(struct trace *t, enum trace_level level, const char *what, uint64_t call, uint8_t leg);
void trace_end(struct trace *t, const struct sbuf *detail);
/* One call for a plain text; writes nothing when the level is off. */
void trace_text(struct trace *t, enum trace_level level, const char *what, uint64_t call, uint8_t leg,
                struct slice text);
/* Line number i (0 = first ever); NULL if overwritten or not yet written. */
const struct trace_line *trace_at(const struct trace *t, uint64_t i);
void trace_format(struct sbuf *out, const struct trace_line *line, uint16_t shard);

#endif
