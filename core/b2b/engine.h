/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * engine: a shard's protocol core. It is stepped; it never calls the system, has no clock, no thread and no heap: all
 * memory is laid out at start from one arena, so the same object code runs under io_uring and under the simulator.
 *
 * One step takes one event and leaves in the outbox what the caller must do now, in order. The outbox is emptied by the
 * caller before the next step. Between steps the caller waits for bytes or for engine_deadline(), whichever is first.
 */
#ifndef REFEREE_B2B_ENGINE_H
#define REFEREE_B2B_ENGINE_H

#include "core/b2b/config.h"
#include "core/base/event.h"
#include "core/base/metrics.h"
#include "core/base/outbox.h"

struct engine;
struct relay;

/* Lays the engine out in `a`; NULL while `a` counts (see arena.h). The configuration is copied, what it points to is
 * not. */
struct engine *engine_new(struct arena *a, const struct engine_config *config, uint64_t mono_us, uint64_t wall_ms);
/* outbox->n must be 0. */
void engine_step(struct engine *e, const struct event *ev, struct outbox *out);
/* Monotonic microseconds at which EV_DEADLINE is due; WHEEL_NEVER: none. */
uint64_t engine_deadline(const struct engine *e);
/* New routes, users, peers; the old arrays are not read any more after the return. Live calls go on as they are. */
void engine_reload(struct engine *e, const struct policy_config *policy);
/* Read by `show` for counters of the streams; may be NULL. */
void engine_set_relay(struct engine *e, const struct relay *relay);
/* After EV_DRAIN: no call is left, and no message waits for whoever is to have its call. */
bool engine_drained(const struct engine *e);

struct buf_pool *engine_bufs(struct engine *e);
struct trace *engine_trace(struct engine *e);
struct metrics *engine_metrics(struct engine *e);

/* What is held now: all but `transactions`, `timers`, `bindings` are 0 when no call is left and the store has answered.
 * `held`: messages that wait for a record; `unprotected`: calls whose latest record is not stored. For tests, demo and
 * `leftover`. */
struct engine_census {
    uint32_t calls, legs, transfers, transactions, timers, ports, records, bindings, bufs, held, unprotected;
};
void engine_census(const struct engine *e, struct engine_census *out);

#endif
