/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/sbuf.h"

#include "core/base/check.h"

static const char hex_digits[] = "0123456789abcdef";

void sbuf_put_bytes(struct sbuf *b, struct slice s) {
    if (s.n > b->cap - b->n) {
        b->overflow = true;
        return;
    }
    slice_copy(b->p + b->n, s);
    b->n += s.n;
}

void sbuf_str(struct sbuf *b, const char *nul_terminated) {
    sbuf_put(b, slice_str(nul_terminated));
}

void sbuf_u64(struct sbuf *b, uint64_t v) {
    char digits[20];   /* of 2^64 - 1 */
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    sbuf_put(b, slice_of(digits + at, sizeof digits - at));
}

void sbuf_i64(struct sbuf *b, int64_t v) {
    if (v < 0)
        sbuf_char(b, '-');
    sbuf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* Eight digits at once: each half byte goes to a byte of its own; those over 9 are the ones that 6 more carry. */
static void hex_8(uint32_t v, char out[8]) {
    uint64_t x = v;
    x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
    x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    uint64_t letters = (x + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
    x += UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    memcpy(out, &x, sizeof x);
}

void sbuf_hex(struct sbuf *b, uint64_t v, unsigned digits) {
    char text[16];
    CHECK(digits <= sizeof text);
    hex_8((uint32_t)(v >> 32), text);
    hex_8((uint32_t)v, text + 8);
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
