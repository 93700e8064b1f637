/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/call/hist.h"

/* Values below HIST_SUB have a bucket each; above, each doubling has HIST_SUB / 2. */
static unsigned bucket_of(uint64_t v) {
    if (v < HIST_SUB)
        return (unsigned)v;
    unsigned shift = 63u - (unsigned)__builtin_clzll(v) - 5;
    unsigned b = (shift + 1) * (HIST_SUB / 2) + (unsigned)(v >> shift) - HIST_SUB / 2;
    return b < HIST_BUCKETS ? b : HIST_BUCKETS - 1;
}

static uint64_t value_of(unsigned b) {
    if (b < HIST_SUB)
        return b;
    unsigned shift = b / (HIST_SUB / 2) - 1;
    return (uint64_t)(b % (HIST_SUB / 2) + HIST_SUB / 2) << shift;
}

void hist_add(struct hist *h, uint64_t us) {
    h->counts[bucket_of(us)]++;
    h->n++;
    if (us > h->max)
        h->max = us;
}

void hist_merge(struct hist *h, const struct hist *other) {
    for (unsigned b = 0; b < HIST_BUCKETS; b++)
        h->counts[b] += other->counts[b];
    h->n += other->n;
    if (other->max > h->max)
        h->max = other->max;
}

uint64_t hist_at(const struct hist *h, unsigned permille) {
    uint64_t want = (h->n * permille + 999) / 1000, seen = 0;
    for (unsigned b = 0; b < HIST_BUCKETS && h->n; b++) {
        seen += h->counts[b];
        if (seen >= want)
            return value_of(b);
    }
    return 0;
}
