/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench_engine: the engine alone under the load generator's calls, without sockets.
 */
#ifndef REFEREE_BENCH_ENGINE_H
#define REFEREE_BENCH_ENGINE_H

#include "core/b2b/engine.h"
#include "store/store.h"

/* Before the calls: whether theirs go to the store; for how many there is room. */
void bench_engine_records(bool on);
void bench_engine_calls_max(uint32_t calls);

struct engine_cost {
    uint64_t ns, steps;         /* within engine_step */
    struct engine_census census;
};
void bench_engine_cost(struct engine_cost *out);

/* Of the engine's memory: what the kernel has had to provide; buffers in use. Bytes. */
struct engine_memory {
    uint64_t resident, bufs;
};
void bench_engine_memory(struct engine_memory *out);

/* So many calls that stay up: what each takes; with descriptions as long as phones' are. 0: all came about. */
int bench_engine_held(uint32_t calls, bool phones);

/* Messages to the target that name another dialog in Replaces are kept from it; behind so many the run is over. */
void bench_engine_withhold(uint32_t transfers);
/* What that run has written, and an engine beside it that owns buckets. */
struct store *bench_engine_store(void);
struct engine *bench_engine_heir(void);
void bench_engine_step(struct engine *e, struct event *ev);

/* So many transfers of two calls each, whose owner dies while their targets are called: what another engine takes to
 * read their records. 0: all are there. */
int bench_engine_takeover(uint32_t transfers);

#endif
