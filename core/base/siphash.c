/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/siphash.h"

#include <string.h>

static uint64_t rotl(uint64_t x, unsigned by) {
    return x << by | x >> (64 - by);
}

static uint64_t load_le64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static void rounds(struct siphash *s, unsigned n) {
    while (n--) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotl(s->v1, 13) ^ s->v0;
        s->v3 = rotl(s->v3, 16) ^ s->v2;
        s->v0 = rotl(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotl(s->v1, 17) ^ s->v2;
        s->v3 = rotl(s->v3, 21) ^ s->v0;
        s->v2 = rotl(s->v2, 32);
    }
}

static void absorb(struct siphash *s, uint64_t word) {
    s->v3 ^= word;
    rounds(s, 2);
    s->v0 ^= word;
}

void siphash_init(struct siphash *s, struct siphash_key key, bool wide) {
    /* The four constants spell "somepseudorandomlygeneratedbytes". */
    *s = (struct siphash){
        .v0 = key.k0 ^ 0x736f6d6570736575u,
        .v1 = key.k1 ^ 0x646f72616e646f6du ^ (wide ? 0xee : 0),
        .v2 = key.k0 ^ 0x6c7967656e657261u,
        .v3 = key.k1 ^ 0x7465646279746573u,
        .wide = wide,
    };
}

void siphash_add(struct siphash *s, const void *data, size_t n) {
    const uint8_t *p = data;
    unsigned have = (unsigned)(s->total & 7);
    s->total += n;
    while (n && have) {
        s->tail |= (uint64_t)*p++ << (8 * have);
        n--;
        have = (have + 1) & 7;
        if (!have) {
            absorb(s, s->tail);
            s->tail = 0;
        }
    }
    for (; n >= 8; p += 8, n -= 8)
        absorb(s, load_le64(p));
    /* What is left is shorter than a word, and the tail is empty or has taken everything. */
    for (; n; n--)
        s->tail |= (uint64_t)*p++ << (8 * have++);
}

struct key128 siphash_end(struct siphash *s) {
    struct key128 out = { 0, 0 };
    absorb(s, s->tail | s->total << 56);
    s->v2 ^= s->wide ? 0xee : 0xff;
    rounds(s, 4);
    out.a = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
    if (s->wide) {
        s->v1 ^= 0xdd;
        rounds(s, 4);
        out.b = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
    }
    return out;
}

uint64_t siphash64(struct siphash_key key, const void *data, size_t n) {
    struct siphash s;
    siphash_init(&s, key, false);
    siphash_add(&s, data, n);
    return siphash_end(&s).a;
}

struct key128 siphash128(struct siphash_key key, const void *data, size_t n) {
    struct siphash s;
    siphash_init(&s, key, true);
    siphash_add(&s, data, n);
    return siphash_end(&s);
}
