/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * rng: the engine's only source of randomness: SipHash of a counter under an injected key. Unpredictable without
 * the key (tags and tokens rest on it, RFC 3261 section 19.3), and the same seed gives the same run.
 */
#ifndef REFEREE_BASE_RNG_H
#define REFEREE_BASE_RNG_H

#include "core/base/siphash.h"

struct rng {
    struct siphash_key key;
    uint64_t counter;
};

void rng_init(struct rng *r, struct siphash_key key);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, bound); bound > 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);

#endif
