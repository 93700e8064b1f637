/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * source: what may be said of a datagram by where it comes from, before a byte of it is read: peers that are denied,
 * and addresses that send more than limits.per_source (of IPv6 each /64 is one). A trusted peer may send any number.
 */
#ifndef REFEREE_B2B_SOURCE_H
#define REFEREE_B2B_SOURCE_H

#include "core/base/addr.h"
#include "core/base/arena.h"

struct engine;

/* Addresses known at a time, in sets of SOURCE_WAYS: who finds no place takes that of the one that sent the least. */
#define SOURCE_SETS 4096u
#define SOURCE_WAYS 2u
/* Bursts: this long a silence is made up for. */
#define SOURCE_BURST_US 2000000u

struct source_rate {
    uint64_t who[2];
    uint64_t due_us; /* when its last one would have been due at the rate that is allowed */
};

struct source_gate {
    struct source_rate (*sets)[SOURCE_WAYS];
    bool denies; /* some peer is denied */
};

void source_init(struct engine *e, struct arena *a);
/* False: it is dropped, counted. */
bool source_admits(struct engine *e, const struct addr *src);

#endif
