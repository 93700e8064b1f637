/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * SipHash-2-4 (Aumasson, Bernstein 2012), 64 and 128 bits of output: for keys that an attacker may choose
 * (Call-ID, tags, branches) and as the PRF of branches and random tokens.
 */
#ifndef REFEREE_BASE_SIPHASH_H
#define REFEREE_BASE_SIPHASH_H

#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0, k1;
};

struct key128 {
    uint64_t a, b;
};

uint64_t siphash64(struct siphash_key key, const void *data, size_t n);
struct key128 siphash128(struct siphash_key key, const void *data, size_t n);
/* siphash64 and siphash128 of the eight bytes of a word, the lowest first. */
uint64_t siphash64_word(struct siphash_key key, uint64_t word);
struct key128 siphash128_word(struct siphash_key key, uint64_t word);

/* SipHash-1-3, which hash tables take elsewhere too: for the keys of maps of this process, of which nobody outside sees
 * anything. Not for what goes out or lasts. */
struct key128 siphash128_quick(struct siphash_key key, const void *data, size_t n);

/* As siphash128_quick of the pieces as if concatenated. Those with at most SIPHASH_AT_ONCE bytes together are, which is
 * much less than adding each. */
#define SIPHASH_AT_ONCE 256
struct key128 siphash128_quick_pieces(struct siphash_key key, const struct slice *pieces, unsigned count);

/* Incremental: several pieces as if concatenated. */
struct siphash {
    uint64_t v0, v1, v2, v3, tail;
    uint64_t total;
    bool wide, quick;
};
void siphash_init(struct siphash *s, struct siphash_key key, bool wide);
/* As siphash128_quick. */
void siphash_init_quick(struct siphash *s, struct siphash_key key);
void siphash_add(struct siphash *s, const void *data, size_t n);
/* b is 0 unless wide. */
struct key128 siphash_end(struct siphash *s);

static inline bool key128_eq(struct key128 x, struct key128 y) {
    return x.a == y.a && x.b == y.b;
}

#endif
