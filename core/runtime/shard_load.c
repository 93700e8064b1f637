/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What the engine is told of the loop's load. Busy is the time between two turns that both found a queue: then nothing
 * was waited for in between, and more came than was dealt with. How long a turn took is how long the last of what it
 * found has waited.
 */
#include "core/runtime/shard.h"

#define WINDOW_US 100000
/* Events of one turn that are more than chance brought together. */
#define QUEUE_MIN 16

static void tell(struct shard *s, uint64_t window_us) {
    struct shard_load *l = &s->load;
    struct event ev = { .kind = EV_LOAD };
    uint64_t busy = l->queued_us * 1000 / window_us;
    ev.u.load.busy = (uint16_t)(busy < 1000 ? busy : 1000);
    ev.u.load.lag_us = l->longest_us;
    l->since_us = s->mono_us;
    l->queued_us = l->longest_us = 0;
    shard_step(s, &ev);
}

void shard_load_turn(struct shard *s, uint32_t events) {
    struct shard_load *l = &s->load;
    bool queue = events >= QUEUE_MIN;
    if (queue && l->queue)
        l->queued_us += s->mono_us - l->turn_us;
    l->queue = queue;
    l->turn_us = s->mono_us;
    if (s->mono_us - l->since_us >= WINDOW_US)
        tell(s, s->mono_us - l->since_us);
}

void shard_load_turned(struct shard *s) {
    uint64_t took = clock_mono_us() - s->load.turn_us;
    if (took > s->load.longest_us)
        s->load.longest_us = took;
}
