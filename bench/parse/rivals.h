/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What the other parsers' adaptors share: their results are NUL-terminated strings.
 */
#ifndef REFEREE_BENCH_PARSE_RIVALS_H
#define REFEREE_BENCH_PARSE_RIVALS_H

#include "bench/parse/fields.h"

static inline struct slice text_of(const char *s) {
    return s ? slice_str(s) : SLICE_NONE;
}

/* What does not fit goes round: they keep any digits as a port. */
static inline uint32_t number_of(const char *s) {
    uint32_t v = 0;
    for (; s && *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (uint32_t)(*s - '0');
    return v;
}

static inline struct slice keep(struct sbuf *b, struct slice s) {
    struct slice kept = slice_of(b->p + b->n, s.n);
    sbuf_put(b, s);
    return kept;
}

/* "call-id;to-tag=x;from-tag=y", by our parser: neither library unescapes and splits it in one go. */
void replaces_split(struct slice text, struct fields *out);

extern const struct contender osip, sofia;

#endif
