/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench_engine: the engine alone under the load generator's calls, without sockets.
 */
#ifndef REFEREE_BENCH_ENGINE_H
#define REFEREE_BENCH_ENGINE_H

#include "core/b2b/engine.h"

/* Before the calls: whether theirs go to the store. */
void bench_engine_records(bool on);

struct engine_cost {
    uint64_t ns, steps;         /* within engine_step */
    struct engine_census census;
};
void bench_engine_cost(struct engine_cost *out);

#endif
