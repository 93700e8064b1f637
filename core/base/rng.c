/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/rng.h"

#include "core/base/check.h"

void rng_init(struct rng *r, struct siphash_key key) {
    *r = (struct rng){ .key = key };
}

uint64_t rng_u64(struct rng *r) {
    return siphash64_word(r->key, r->counter++);
}

uint64_t rng_below(struct rng *r, uint64_t bound) {
    CHECK(bound > 0);
    /* 2^64 mod bound values are thrown away: what is left is a multiple of bound, so the remainder is uniform. */
    uint64_t skip = (0 - bound) % bound;
    uint64_t v;
    do
        v = rng_u64(r);
    while (v < skip);
    return v % bound;
}
