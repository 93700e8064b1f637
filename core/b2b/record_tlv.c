/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/record_tlv.h"

void varint_put_long(struct sbuf *b, uint64_t v) {
    for (; v > 0x7f; v >>= 7)
        sbuf_char(b, (char)(v | 0x80));
    sbuf_char(b, (char)v);
}

bool varint_get(struct slice *in, uint64_t *v) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < in->n && i < 10; i++) {
        uint8_t c = (uint8_t)in->p[i];
        if (i == 9 && c > 1)
            return false;
        sum |= (uint64_t)(c & 0x7f) << (7 * i);
        if (c & 0x80)
            continue;
        if (c == 0 && i > 0)
            return false;
        *in = slice_of(in->p + i + 1, in->n - i - 1);
        *v = sum;
        return true;
    }
    return false;
}

void tlv_put(struct sbuf *b, uint32_t tag, struct slice value) {
    varint_put(b, tag);
    varint_put(b, value.n);
    sbuf_put(b, value);
}

void tlv_put_u64(struct sbuf *b, uint32_t tag, uint64_t v) {
    char mem[10];
    struct sbuf value = sbuf_on(mem, sizeof mem);
    varint_put(&value, v);
    tlv_put(b, tag, sbuf_slice(&value));
}

uint32_t tlv_open(struct sbuf *b, uint32_t tag) {
    varint_put(b, tag);
    sbuf_char(b, 0);
    return b->n;
}

void tlv_close(struct sbuf *b, uint32_t from) {
    char mem[10];
    struct sbuf length = sbuf_on(mem, sizeof mem);
    uint32_t n = b->n - from;
    if (b->overflow)
        return;
    varint_put(&length, n);
    uint32_t more = length.n - 1;
    if (more > b->cap - b->n) {
        b->overflow = true;
        return;
    }
    memmove(b->p + from + more, b->p + from, n);
    memcpy(b->p + from - 1, length.p, length.n);
    b->n += more;
}

bool tlv_next(struct slice *in, struct tlv *out) {
    struct slice rest = *in;
    const char *start = in->p;
    uint64_t tag, n;
    if (!varint_get(&rest, &tag) || tag > UINT32_MAX || !varint_get(&rest, &n) || n > rest.n)
        return false;
    out->tag = (uint32_t)tag;
    out->value = slice_of(rest.p, n);
    *in = slice_of(rest.p + n, rest.n - n);
    out->whole = slice_of(start, (size_t)(in->p - start));
    return true;
}

bool tlv_u64(const struct tlv *t, uint64_t max, uint64_t *v) {
    struct slice in = t->value;
    return varint_get(&in, v) && in.n == 0 && *v <= max;
}
