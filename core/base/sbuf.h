/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sbuf: append to caller's memory, no printf, no allocation. What does not fit sets `overflow` and is dropped, and the
 * whole result is then to be thrown away; nothing is ever written past `cap`. Behind `n` the memory stays as it was:
 * cleared before, with one byte more than `cap`, it holds a C string. Only a header's value that is folded may leave
 * more there (sip_write.h).
 */
#ifndef REFEREE_BASE_SBUF_H
#define REFEREE_BASE_SBUF_H

#include "core/base/slice.h"

struct sbuf {
    char *p;
    uint32_t n;
    uint32_t cap;
    bool overflow;
};

static inline struct sbuf sbuf_on(char *mem, size_t cap) {
    return (struct sbuf){ mem, 0, (uint32_t)cap, false };
}
static inline struct slice sbuf_slice(const struct sbuf *b) {
    return slice_of(b->p, b->n);
}
/* Where n more bytes go, for sbuf_wrote to take them in; NULL: no room for them, which is not marked. */
static inline char *sbuf_room(const struct sbuf *b, size_t n) {
    return n <= b->cap - b->n ? b->p + b->n : NULL;
}
static inline void sbuf_wrote(struct sbuf *b, const char *behind) {
    b->n = (uint32_t)(behind - b->p);
}
/* Of a length that the compiler does not know. */
void sbuf_put_bytes(struct sbuf *b, struct slice s);
static inline void sbuf_put(struct sbuf *b, struct slice s) {
    if (!__builtin_constant_p(s.n)) {
        sbuf_put_bytes(b, s);
        return;
    }
    if (s.n > b->cap - b->n) {
        b->overflow = true;
        return;
    }
    if (s.n)
        memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
}
#define sbuf_lit(b, lit) sbuf_put((b), SL(lit))
static inline void sbuf_char(struct sbuf *b, char c) {
    if (b->n == b->cap)
        b->overflow = true;
    else
        b->p[b->n++] = c;
}
void sbuf_str(struct sbuf *b, const char *nul_terminated);
void sbuf_u64(struct sbuf *b, uint64_t v);
void sbuf_i64(struct sbuf *b, int64_t v);
/* Exactly `digits` lower-case hex digits, most significant first. */
void sbuf_hex(struct sbuf *b, uint64_t v, unsigned digits);
/* Bytes of the wire for people: printable ASCII as it is, all else as \xHH, `"` and `\` escaped; at most max bytes
 * read, then "...". */
void sbuf_escaped(struct sbuf *b, struct slice s, uint32_t max);

#endif
