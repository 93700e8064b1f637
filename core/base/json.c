/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/json.h"

/* Bytes of the character at s.p (2 to 4), or 0: not valid there (RFC 3629 section 4). */
static uint32_t utf8_length(struct slice s) {
    uint8_t a = (uint8_t)s.p[0], low = 0x80, high = 0xbf;
    uint32_t n = a >= 0xc2 && a <= 0xdf ? 2 : (a & 0xf0) == 0xe0 ? 3 : a >= 0xf0 && a <= 0xf4 ? 4 : 0;
    if (n == 0 || s.n < n)
        return 0;
    if (a == 0xe0)
        low = 0xa0;
    else if (a == 0xed)
        high = 0x9f;
    else if (a == 0xf0)
        low = 0x90;
    else if (a == 0xf4)
        high = 0x8f;
    for (uint32_t i = 1; i < n; i++, low = 0x80, high = 0xbf)
        if ((uint8_t)s.p[i] < low || (uint8_t)s.p[i] > high)
            return 0;
    return n;
}

static void put_unicode(struct sbuf *b, uint8_t c) {
    sbuf_lit(b, "\\u");
    sbuf_hex(b, c, 4);
}

void json_text(struct sbuf *b, struct slice s, uint32_t max) {
    uint32_t i = 0;
    if (!s.p) {
        sbuf_lit(b, "null");
        return;
    }
    sbuf_char(b, '"');
    while (i < s.n && !b->overflow) {
        uint8_t c = (uint8_t)s.p[i];
        uint32_t n = c < 0x80 ? 1 : utf8_length(slice_of(s.p + i, s.n - i));
        if (i + (n ? n : 1) > max)
            break;
        if (c == '"' || c == '\\')
            sbuf_char(b, '\\');
        if (n == 0 || c < 0x20 || c == 0x7f)
            put_unicode(b, c);
        else
            sbuf_put(b, slice_of(s.p + i, n));
        i += n ? n : 1;
    }
    if (i < s.n)
        sbuf_lit(b, "...");
    sbuf_char(b, '"');
}

void json_name(struct sbuf *b, const char *name) {
    if (b->n && b->p[b->n - 1] != '{')
        sbuf_char(b, ',');
    sbuf_char(b, '"');
    sbuf_str(b, name);
    sbuf_lit(b, "\":");
}

void json_member(struct sbuf *b, const char *name, struct slice s, uint32_t max) {
    json_name(b, name);
    json_text(b, s, max);
}

void json_member_u64(struct sbuf *b, const char *name, uint64_t v) {
    json_name(b, name);
    sbuf_u64(b, v);
}

void json_member_bool(struct sbuf *b, const char *name, bool v) {
    json_name(b, name);
    sbuf_str(b, v ? "true" : "false");
}
