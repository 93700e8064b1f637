/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/metrics.h"

static const char *const names[METRIC_COUNT] = {
#define METRIC(name, help) #name,
#include "core/base/metrics.def"
#undef METRIC
};

static const char *const helps[METRIC_COUNT] = {
#define METRIC(name, help) help,
#include "core/base/metrics.def"
#undef METRIC
};

const char *metrics_name(enum metric which) {
    return names[which];
}

const char *metrics_help(enum metric which) {
    return helps[which];
}
