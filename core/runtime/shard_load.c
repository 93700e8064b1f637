/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What the engine is told of the loop's load. Busy is the time between two turns that both found a queue: then nothing
 * was waited for in between, and more came than was dealt with. How long a turn took is how long the last of what it
 * found has waited. What waits in the sockets behind that is looked at in each turn that finds a queue once more, and
 * told at once when it is much: soon it would be lost, whatever it is.
 */
#include "core/runtime/shard.h"

#define WINDOW_US 100000
/* Events of one turn that are more than chance brought together. */
#define QUEUE_MIN 16
/* Of 1000 parts of the sockets' room: less is not worth telling. */
#define MUCH 100

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

/* In each turn while it is much, and once when it is no more. */
static void tell_waiting(struct shard *s, bool queue) {
    struct event ev = { .kind = EV_LOAD };
    unsigned waiting = queue ? listeners_waiting(&s->listeners) : 0;
    bool much = waiting > MUCH;
    if (!much && !s->load.much)
        return;
    s->load.much = much;
    ev.u.load.turn = true;
    ev.u.load.waiting = (uint16_t)(waiting < 1000 ? waiting : 1000);
    shard_step(s, &ev);
}

void shard_load_turn(struct shard *s, uint32_t events) {
    struct shard_load *l = &s->load;
    bool queue = events >= QUEUE_MIN;
    if (queue && l->queue)
        l->queued_us += s->mono_us - l->turn_us;
    tell_waiting(s, queue && l->queue);
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
