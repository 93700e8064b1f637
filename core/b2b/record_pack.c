/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/record_pack.h"

#include "core/b2b/record_tlv.h"
#include "core/base/check.h"

enum { RUN_OWN, RUN_AGAIN };
#define AGAIN_MIN 4
#define HEAD_BITS 11

/* Bytes in one order on every machine: the same record everywhere. */
static uint32_t hash_at(const char *p) {
    uint32_t v = slice_load32(p);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v * UINT32_C(2654435761) >> (32 - HEAD_BITS);
}

/* What lies at `before` and at `at` is the same for so many bytes, AGAIN_MIN or more; else less. before < at, and so
 * many are there. */
static uint32_t match_length(struct slice in, uint32_t before, uint32_t at) {
    const char *p = in.p + before, *q = in.p + at;
    /* As mostly: only their hash is the same. */
    return slice_load32(p) == slice_load32(q) ? slice_alike(p, q, in.n - at) : 0;
}

/* Positions from `from` on are where their four bytes stood last; to + AGAIN_MIN - 1 bytes are there. */
static void note(uint16_t *head, const char *p, uint32_t from, uint32_t to) {
    for (; from + 4 <= to; from += 4) {
        const char *at = p + from;
        head[hash_at(at)] = (uint16_t)(from + 1);
        head[hash_at(at + 1)] = (uint16_t)(from + 2);
        head[hash_at(at + 2)] = (uint16_t)(from + 3);
        head[hash_at(at + 3)] = (uint16_t)(from + 4);
    }
    for (; from < to; from++)
        head[hash_at(p + from)] = (uint16_t)(from + 1);
}

static void put_own(struct sbuf *out, struct slice in, uint32_t from, uint32_t to) {
    if (from == to)
        return;
    varint_put(out, (uint64_t)(to - from) << 1 | RUN_OWN);
    sbuf_put(out, slice_of(in.p + from, to - from));
}

void pack_know(struct pack_known *k, struct slice text) {
    *k = (struct pack_known){ .text = text };
    for (uint32_t at = 0; at + AGAIN_MIN <= text.n; at++)
        k->head[hash_at(text.p + at)] = (uint16_t)(at + 1);
}

void pack_put(struct sbuf *out, struct slice in, const struct pack_known *k) {
    uint16_t head[1 << HEAD_BITS]; /* position + 1 of the last four bytes of that hash */
    uint32_t own = k->text.n, at = own;
    CHECK(in.n <= PACK_MAX && slice_has_prefix(in, k->text));
    _Static_assert(sizeof head == sizeof k->head, "heads of one size");
    memcpy(head, k->head, sizeof head);
    while (at + AGAIN_MIN <= in.n) {
        uint16_t *h = &head[hash_at(in.p + at)];
        uint32_t before = *h, n = before ? match_length(in, before - 1, at) : 0;
        *h = (uint16_t)(at + 1);
        if (n < AGAIN_MIN) {
            at++;
            continue;
        }
        put_own(out, in, own, at);
        varint_put(out, (uint64_t)(n - AGAIN_MIN) << 1 | RUN_AGAIN);
        varint_put(out, at - (before - 1));
        own = at + n;
        note(head, in.p, at + 1, own + AGAIN_MIN <= in.n ? own : in.n - AGAIN_MIN + 1);
        at = own;
    }
    put_own(out, in, own, in.n);
}

/* May overlap what it repeats, so byte by byte. */
static bool repeat(struct sbuf *out, uint64_t n, uint64_t back) {
    if (back == 0 || back > out->n || n > out->cap - out->n)
        return false;
    for (; n; n--, out->n++)
        out->p[out->n] = out->p[out->n - back];
    return true;
}

bool pack_get(struct sbuf *out, struct slice in) {
    uint64_t head, back;
    while (in.n) {
        if (!varint_get(&in, &head))
            return false;
        uint64_t n = head >> 1;
        if ((head & 1) == RUN_AGAIN) {
            if (n > PACK_MAX || !varint_get(&in, &back) || !repeat(out, n + AGAIN_MIN, back))
                return false;
            continue;
        }
        if (n > in.n || n > out->cap - out->n)
            return false;
        sbuf_put(out, slice_of(in.p, n));
        in = slice_of(in.p + n, in.n - n);
    }
    return true;
}
