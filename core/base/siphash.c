/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/siphash.h"

#include <string.h>

static inline uint64_t rotl(uint64_t x, unsigned by) {
    return x << by | x >> (64 - by);
}

static inline uint64_t load_le64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline uint64_t load_le32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

/* n bytes, fewer than eight, by loads that may overlap. */
static inline uint64_t load_few(const uint8_t *p, size_t n) {
    if (n >= 4)
        return load_le32(p) | load_le32(p + n - 4) << (8 * (n - 4));
    if (n == 0)
        return 0;
    return (uint64_t)p[0] | (uint64_t)p[n / 2] << (8 * (n / 2)) | (uint64_t)p[n - 1] << (8 * (n - 1));
}

/* What is no whole word; an empty slice may have no address to add to. */
static inline const uint8_t *last_of(const uint8_t *p, size_t n) {
    return n < 8 ? p : p + (n & ~(size_t)7);
}

/* The state in locals, hence registers: in memory it might be what `data` points to, for all the compiler knows. */
struct words {
    uint64_t v0, v1, v2, v3;
};

static inline struct words one_round(struct words w) {
    w.v0 += w.v1;
    w.v2 += w.v3;
    w.v1 = rotl(w.v1, 13) ^ w.v0;
    w.v3 = rotl(w.v3, 16) ^ w.v2;
    w.v0 = rotl(w.v0, 32);
    w.v2 += w.v1;
    w.v0 += w.v3;
    w.v1 = rotl(w.v1, 17) ^ w.v2;
    w.v3 = rotl(w.v3, 21) ^ w.v0;
    w.v2 = rotl(w.v2, 32);
    return w;
}

/* quick: 1 round a word and 3 at the end, not 2 and 4; always a constant. */
static inline struct words absorb(struct words w, uint64_t word, bool quick) {
    w.v3 ^= word;
    w = one_round(w);
    if (!quick)
        w = one_round(w);
    w.v0 ^= word;
    return w;
}

static inline struct words last_rounds(struct words w, bool quick) {
    w = one_round(one_round(one_round(w)));
    return quick ? w : one_round(w);
}

static inline struct words absorb_all(struct words w, const uint8_t *p, size_t n, bool quick) {
    for (; n >= 8; p += 8, n -= 8)
        w = absorb(w, load_le64(p), quick);
    return w;
}

/* last: what is left of the bytes, and their number in the top byte. In line: `w` would go through memory. */
static inline __attribute__((always_inline)) struct key128 finish(struct words w, uint64_t last, bool wide,
                                                                  bool quick) {
    struct key128 out = { 0, 0 };
    w = absorb(w, last, quick);
    w.v2 ^= wide ? 0xee : 0xff;
    w = last_rounds(w, quick);
    out.a = w.v0 ^ w.v1 ^ w.v2 ^ w.v3;
    if (wide) {
        w.v1 ^= 0xdd;
        w = last_rounds(w, quick);
        out.b = w.v0 ^ w.v1 ^ w.v2 ^ w.v3;
    }
    return out;
}

/* The four constants spell "somepseudorandomlygeneratedbytes". */
static inline struct words begin(struct siphash_key key, bool wide) {
    return (struct words){
        .v0 = key.k0 ^ 0x736f6d6570736575u,
        .v1 = key.k1 ^ 0x646f72616e646f6du ^ (wide ? 0xee : 0),
        .v2 = key.k0 ^ 0x6c7967656e657261u,
        .v3 = key.k1 ^ 0x7465646279746573u,
    };
}

static inline struct key128 hash(struct siphash_key key, const uint8_t *p, size_t n, bool wide, bool quick) {
    struct words w = absorb_all(begin(key, wide), p, n, quick);
    return finish(w, load_few(last_of(p, n), n & 7) | (uint64_t)n << 56, wide, quick);
}

uint64_t siphash64(struct siphash_key key, const void *data, size_t n) {
    return hash(key, data, n, false, false).a;
}

struct key128 siphash128(struct siphash_key key, const void *data, size_t n) {
    return hash(key, data, n, true, false);
}

uint64_t siphash64_word(struct siphash_key key, uint64_t word) {
    return finish(absorb(begin(key, false), word, false), UINT64_C(8) << 56, false, false).a;
}

struct key128 siphash128_word(struct siphash_key key, uint64_t word) {
    return finish(absorb(begin(key, true), word, false), UINT64_C(8) << 56, true, false);
}

struct key128 siphash128_quick(struct siphash_key key, const void *data, size_t n) {
    return hash(key, data, n, true, true);
}

void siphash_init(struct siphash *s, struct siphash_key key, bool wide) {
    struct words w = begin(key, wide);
    *s = (struct siphash){ .v0 = w.v0, .v1 = w.v1, .v2 = w.v2, .v3 = w.v3, .wide = wide };
}

void siphash_init_quick(struct siphash *s, struct siphash_key key) {
    siphash_init(s, key, true);
    s->quick = true;
}

static inline struct words words_of(const struct siphash *s) {
    return (struct words){ s->v0, s->v1, s->v2, s->v3 };
}

static inline void add(struct siphash *s, const uint8_t *p, size_t n, bool quick) {
    if (!n)
        return; /* an empty slice may have no address to add to */
    struct words w = words_of(s);
    size_t have = (size_t)(s->total & 7), first = have ? (n < 8 - have ? n : 8 - have) : 0;
    s->total += n;
    if (first) {
        s->tail |= load_few(p, first) << (8 * have);
        if (have + first < 8)
            return;
        w = absorb(w, s->tail, quick);
        s->tail = 0;
    }
    n -= first;
    w = absorb_all(w, p + first, n, quick);
    s->tail |= load_few(last_of(p + first, n), n & 7);
    s->v0 = w.v0;
    s->v1 = w.v1;
    s->v2 = w.v2;
    s->v3 = w.v3;
}

void siphash_add(struct siphash *s, const void *data, size_t n) {
    if (s->quick)
        add(s, data, n, true);
    else
        add(s, data, n, false);
}

struct key128 siphash_end(struct siphash *s) {
    uint64_t last = s->tail | s->total << 56;
    return s->quick ? finish(words_of(s), last, s->wide, true) : finish(words_of(s), last, s->wide, false);
}

static struct key128 add_pieces(struct siphash_key key, const struct slice *pieces, unsigned count) {
    struct siphash h;
    siphash_init_quick(&h, key);
    for (unsigned i = 0; i < count; i++)
        siphash_add(&h, pieces[i].p, pieces[i].n);
    return siphash_end(&h);
}

struct key128 siphash128_quick_pieces(struct siphash_key key, const struct slice *pieces, unsigned count) {
    char all[SIPHASH_AT_ONCE];
    uint32_t n = 0;
    for (unsigned i = 0; i < count; i++) {
        if (pieces[i].n > sizeof all - n)
            return add_pieces(key, pieces, count);
        slice_copy(all + n, pieces[i]);
        n += pieces[i].n;
    }
    return siphash128_quick(key, all, n);
}
