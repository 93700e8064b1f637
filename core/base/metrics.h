/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * metrics: counters of one shard; written by its thread only, read by anyone with relaxed loads. The list is one
 * X-macro in metrics.def: METRIC(name, "help").
 */
#ifndef REFEREE_BASE_METRICS_H
#define REFEREE_BASE_METRICS_H

#include <stdint.h>

enum metric {
#define METRIC(name, help) M_##name,
#include "core/base/metrics.def"
#undef METRIC
    METRIC_COUNT
};

struct metrics {
    uint64_t v[METRIC_COUNT];
};

static inline void metrics_add(struct metrics *m, enum metric which, uint64_t n) {
    __atomic_store_n(&m->v[which], m->v[which] + n, __ATOMIC_RELAXED);
}
static inline uint64_t metrics_get(const struct metrics *m, enum metric which) {
    return __atomic_load_n(&m->v[which], __ATOMIC_RELAXED);
}
const char *metrics_name(enum metric which);
const char *metrics_help(enum metric which);

#endif
