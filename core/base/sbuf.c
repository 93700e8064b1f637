/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/sbuf.h"

#include "core/base/check.h"
#include "core/base/text.h"

static const char hex_digits[] = "0123456789abcdef";

void sbuf_put_bytes(struct sbuf *b, struct slice s) {
    uint32_t at = b->n;
    if (s.n > b->cap - at) {
        b->overflow = true;
        return;
    }
    b->n = at + s.n;
    slice_copy(b->p + at, s);
}

void sbuf_str(struct sbuf *b, const char *nul_terminated) {
    sbuf_put(b, slice_str(nul_terminated));
}

void sbuf_u64(struct sbuf *b, uint64_t v) {
    unsigned digits = text_digits(v);
    char *to = sbuf_room(b, digits);
    if (to)
        sbuf_wrote(b, text_decimal(to, v, digits));
    else
        b->overflow = true;
}

void sbuf_i64(struct sbuf *b, int64_t v) {
    if (v < 0)
        sbuf_char(b, '-');
    sbuf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void sbuf_hex(struct sbuf *b, uint64_t v, unsigned digits) {
    char text[16];
    CHECK(digits <= sizeof text);
    text_hex16(text, v);
    sbuf_put(b, slice_of(text + sizeof text - digits, digits));
}

static void put_escaped_byte(struct sbuf *b, uint8_t c) {
    if (c == '"' || c == '\\') {
        const char pair[2] = { '\\', (char)c };
        sbuf_put(b, slice_of(pair, sizeof pair));
    } else if (c >= 0x20 && c < 0x7f) {
        sbuf_char(b, (char)c);
    } else {
        const char quad[4] = { '\\', 'x', hex_digits[c >> 4], hex_digits[c & 15] };
        sbuf_put(b, slice_of(quad, sizeof quad));
    }
}

void sbuf_escaped(struct sbuf *b, struct slice s, uint32_t max) {
    uint32_t n = s.n < max ? s.n : max;
    for (uint32_t i = 0; i < n && !b->overflow; i++)
        put_escaped_byte(b, (uint8_t)s.p[i]);
    if (s.n > max)
        sbuf_lit(b, "...");
}
