/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/strs.h"

/* Offsets are 16 bits. */
#define STRS_BYTES_MAX 65535u

static uint32_t bit(unsigned field) {
    return UINT32_C(1) << field;
}

static void place(struct strs *s, unsigned field, uint32_t off, uint32_t len) {
    s->off[field] = (uint16_t)off;
    s->len[field] = (uint16_t)len;
    s->present |= bit(field);
    s->shared &= ~bit(field);
}

static void clear(struct strs *s, struct buf_pool *pool, unsigned field) {
    s->present &= ~bit(field);
    s->shared &= ~bit(field);
    s->off[field] = s->len[field] = 0;
    if (!s->present)
        buf_unref(pool, &s->b);
}

/* A bit for each that is there, but for this one. */
static uint32_t others(const struct strs *s, unsigned field) {
    return s->present & ~bit(field);
}

/* Of the fields of `among` the first one whose bytes are i's: i itself, unless they share. */
static unsigned first_of(const struct strs *s, uint32_t among, unsigned i) {
    for (uint32_t rest = among & s->shared & (bit(i) - 1); rest; rest &= rest - 1)
        if (s->off[__builtin_ctz(rest)] == s->off[i])
            return (unsigned)__builtin_ctz(rest);
    return i;
}

/* Those of `among` whose bytes are those of one before them. */
static uint32_t repeated(const struct strs *s, uint32_t among) {
    uint32_t all = 0;
    for (uint32_t rest = among & s->shared; rest; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctz(rest);
        all |= first_of(s, among, i) != i ? bit(i) : 0;
    }
    return all;
}

static uint32_t bytes_of(const struct strs *s, uint32_t fields) {
    uint32_t n = 0;
    for (; fields; fields &= fields - 1)
        n += s->len[__builtin_ctz(fields)];
    return n;
}

static void copy_fields(struct strs *s, struct buf *to, uint32_t fields) {
    for (; fields; fields &= fields - 1) {
        unsigned i = (unsigned)__builtin_ctz(fields);
        slice_copy(to->data + to->len, slice_of(s->b->data + s->off[i], s->len[i]));
        s->off[i] = (uint16_t)to->len;
        to->len += s->len[i];
    }
}

/* Everything packed anew into another buffer; the old one lives until value, which may point there, is copied. */
static bool repack(struct strs *s, struct buf_pool *pool, unsigned field, struct slice value) {
    uint32_t again = repeated(s, others(s, field)), once = others(s, field) & ~again;
    uint32_t all = bytes_of(s, once) + value.n;
    struct buf *b = all <= STRS_BYTES_MAX ? buf_get(pool, all) : NULL;
    if (!b)
        return false;
    for (uint32_t rest = again; rest; rest &= rest - 1) /* whose they are, until those have moved */
        s->off[__builtin_ctz(rest)] = (uint16_t)first_of(s, once, (unsigned)__builtin_ctz(rest));
    copy_fields(s, b, once);
    for (uint32_t rest = again; rest; rest &= rest - 1)
        s->off[__builtin_ctz(rest)] = s->off[s->off[__builtin_ctz(rest)]];
    slice_copy(b->data + b->len, value);
    place(s, field, b->len, value.n);
    b->len += value.n;
    buf_unref(pool, &s->b);
    s->b = b;
    return true;
}

static bool is_inside(const struct strs *s, struct slice value) {
    return s->b && (uintptr_t)value.p - (uintptr_t)s->b->data < s->b->len;
}

/* The value is another field's, whole: its bytes are of both from now on. */
static bool share(struct strs *s, unsigned field, struct slice value) {
    if (!value.n || !is_inside(s, value))
        return false;
    uintptr_t off = (uintptr_t)value.p - (uintptr_t)s->b->data;
    for (uint32_t rest = others(s, field); rest; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctz(rest);
        if (s->off[i] != off || s->len[i] != value.n)
            continue;
        place(s, field, s->off[i], s->len[i]);
        s->shared |= bit(i) | bit(field);
        return true;
    }
    return false;
}

static bool has_room(const struct buf *b, uint32_t n) {
    return n <= b->cap - b->len && b->len + n <= STRS_BYTES_MAX;
}

static void append(struct strs *s, unsigned field, struct slice value) {
    slice_copy(s->b->data + s->b->len, value);
    place(s, field, s->b->len, value.n);
    s->b->len += value.n;
}

bool strs_reserve(struct strs *s, struct buf_pool *pool, uint32_t bytes) {
    CHECK(!s->b);
    s->b = buf_get(pool, bytes);
    return s->b != NULL;
}

/* Of a value that may be its own, or another's, or for which there is no room behind the others. */
static __attribute__((noinline)) bool set_slowly(struct strs *s, struct buf_pool *pool, unsigned field,
                                                 struct slice value) {
    if (value.n > STRS_BYTES_MAX)
        return false;
    if (share(s, field, value))
        return true;
    /* A value of the same object never overlaps what is written, but for its own field: memmove. */
    if (strs_has(s, field) && value.n <= s->len[field] && !(s->shared & bit(field))) {
        memmove(s->b->data + s->off[field], value.p, value.n);
        s->len[field] = (uint16_t)value.n;
        return true;
    }
    if (s->b && has_room(s->b, value.n)) {
        append(s, field, value);
        return true;
    }
    return repack(s, pool, field, value);
}

/* Mostly a field is set for the first time, to what is not here yet, and there is room. */
bool strs_set(struct strs *s, struct buf_pool *pool, unsigned field, struct slice value) {
    CHECK(field < STRS_FIELDS);
    CHECK(s->b ? s->b->refs == 1 : !s->present);
    if (!value.p) {
        if (strs_has(s, field) || !s->present)
            clear(s, pool, field);
        return true;
    }
    if (!s->b || strs_has(s, field) || is_inside(s, value) || !has_room(s->b, value.n))
        return set_slowly(s, pool, field, value);
    append(s, field, value);
    return true;
}

void strs_free(struct strs *s, struct buf_pool *pool) {
    buf_unref(pool, &s->b);
    *s = (struct strs){ .b = NULL };
}
