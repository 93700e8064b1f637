/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/strs.h"

/* Offsets are 16 bits. */
#define STRS_BYTES_MAX 65535u

static void place(struct strs *s, unsigned field, uint32_t off, uint32_t len) {
    s->off[field] = (uint16_t)off;
    s->len[field] = (uint16_t)len;
    s->present |= UINT32_C(1) << field;
}

static void clear(struct strs *s, struct buf_pool *pool, unsigned field) {
    s->present &= ~(UINT32_C(1) << field);
    s->off[field] = s->len[field] = 0;
    if (!s->present)
        buf_unref(pool, &s->b);
}

/* A bit for each that is there, but for this one. */
static uint32_t others(const struct strs *s, unsigned field) {
    return s->present & ~(UINT32_C(1) << field);
}

static uint32_t bytes_without(const struct strs *s, unsigned field) {
    uint32_t n = 0;
    for (uint32_t rest = others(s, field); rest; rest &= rest - 1)
        n += s->len[__builtin_ctz(rest)];
    return n;
}

/* Everything packed anew into another buffer; the old one lives until value, which may point there, is copied. */
static bool repack(struct strs *s, struct buf_pool *pool, unsigned field, struct slice value) {
    uint32_t all = bytes_without(s, field) + value.n;
    struct buf *b = all <= STRS_BYTES_MAX ? buf_get(pool, all) : NULL;
    if (!b)
        return false;
    for (uint32_t rest = others(s, field); rest; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctz(rest);
        slice_copy(b->data + b->len, slice_of(s->b->data + s->off[i], s->len[i]));
        s->off[i] = (uint16_t)b->len;
        b->len += s->len[i];
    }
    slice_copy(b->data + b->len, value);
    place(s, field, b->len, value.n);
    b->len += value.n;
    buf_unref(pool, &s->b);
    s->b = b;
    return true;
}

bool strs_set(struct strs *s, struct buf_pool *pool, unsigned field, struct slice value) {
    CHECK(field < STRS_FIELDS);
    CHECK(!s->b == !s->present && (!s->b || s->b->refs == 1));
    if (!value.p) {
        clear(s, pool, field);
        return true;
    }
    if (value.n > STRS_BYTES_MAX)
        return false;
    /* A value of the same object never overlaps what is written, but for its own field: memmove. */
    if (strs_has(s, field) && value.n <= s->len[field]) {
        memmove(s->b->data + s->off[field], value.p, value.n);
        s->len[field] = (uint16_t)value.n;
        return true;
    }
    if (s->b && value.n <= s->b->cap - s->b->len && s->b->len + value.n <= STRS_BYTES_MAX) {
        slice_copy(s->b->data + s->b->len, value);
        place(s, field, s->b->len, value.n);
        s->b->len += value.n;
        return true;
    }
    return repack(s, pool, field, value);
}

void strs_free(struct strs *s, struct buf_pool *pool) {
    buf_unref(pool, &s->b);
    *s = (struct strs){ .b = NULL };
}
