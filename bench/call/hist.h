/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * hist: a histogram of latencies with a relative error below 1/64 from 1 us to 2^40 us. What is recorded is counted
 * from the moment at which something was due, not at which it was done, so that a generator that falls behind shows it
 * (coordinated omission).
 */
#ifndef REFEREE_BENCH_CALL_HIST_H
#define REFEREE_BENCH_CALL_HIST_H

#include <stdint.h>

#define HIST_SUB 64
#define HIST_BUCKETS (HIST_SUB * 36)

struct hist {
    uint64_t n, max;
    uint64_t counts[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t us);
void hist_merge(struct hist *h, const struct hist *other);
/* The value below which `permille` of 1000 lie, in microseconds; 0 when nothing was recorded. */
uint64_t hist_at(const struct hist *h, unsigned permille);

#endif
