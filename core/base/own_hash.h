/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * own_hash: keys of maps into which go only texts of our own making, with enough in them that nobody can guess: tokens,
 * branches. Who does not know such a text does not find its entry, and nobody outside can have two of them meet or lie
 * side by side, so that a hash of a tenth of SipHash's price will do. Not for what a peer may choose: siphash.h.
 */
#ifndef REFEREE_BASE_OWN_HASH_H
#define REFEREE_BASE_OWN_HASH_H

#include "core/base/siphash.h"

/* Two halves that know nothing of each other, each of 64 bits. */
struct own_hash {
    uint64_t a, b;
};

static inline struct own_hash own_hash_begin(struct siphash_key key) {
    return (struct own_hash){ key.k0, key.k1 };
}

/* Odd, as many ones as zeros; turned, since a product tells nothing of its upper bits to the lower ones. */
static inline void own_hash_word(struct own_hash *h, uint64_t w) {
    h->a = (h->a ^ w) * UINT64_C(0x9e3779b97f4a7c15);
    h->a = h->a << 29 | h->a >> 35;
    h->b = (h->b + w) * UINT64_C(0xd6e8feb86659fd93);
    h->b = h->b << 37 | h->b >> 27;
}

/* Its length counts, so that pieces of a text are not taken for others. */
static inline void own_hash_add(struct own_hash *h, struct slice s) {
    uint32_t i = 0;
    own_hash_word(h, s.n);
    for (; i + 8 <= s.n; i += 8)
        own_hash_word(h, slice_load64(s.p + i));
    if (i == s.n)
        return;
    uint64_t last = 0;
    if (s.n >= 8)
        last = slice_load64(s.p + s.n - 8);
    else
        memcpy(&last, s.p, s.n);
    own_hash_word(h, last);
}

/* The low bits of `a` are a map's home slot. */
static inline struct key128 own_hash_end(struct own_hash h) {
    h.a = (h.a ^ h.a >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    h.b = (h.b ^ h.b >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (struct key128){ h.a ^ h.a >> 29, h.b ^ h.b >> 31 };
}

#endif
