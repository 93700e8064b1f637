/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What a call that is up takes of the engine's memory: what of it the kernel has had to provide, with none, with half
 * of the calls and with all of them. The first part of each table and pool is touched by few calls as by many, so that
 * a further call takes less than the first ones. Their transactions are over when it is looked; what they took is still
 * the engine's, for the next calls.
 */
#include "bench/engine/bench_engine.h"

#include "bench/call/call.h"
#include "core/base/limits.h"

#define RATE 1000
#define FOR_EVER_US 3600000000u
/* With these a description has 414 bytes: an offer of snom's or Polycom's has 400 to 420. */
#define PHONE_LINES                                                                                                   \
    "a=maxptime:150\r\na=silenceSupp:off - - - -\r\n"                                                                 \
    "a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r\n"                                    \
    "a=ssrc:1138723 cname:5f2c6e1a@192.168.0.17 mid:audio\r\n"

static void be_up(struct load *l, uint32_t calls, struct engine_memory *out) {
    load_phase(l, RATE, (uint64_t)calls * 1000000 / RATE);
    load_drain(l, SIP_64_T1_US + 1000000);
    bench_engine_memory(out);
}

static double kib(uint64_t bytes, uint32_t calls) {
    return (double)bytes / 1024 / calls;
}

int bench_engine_held(uint32_t calls, bool phones) {
    static struct load l;
    struct load_options o = { .rate = RATE, .calls_max = calls, .scenario = SC_CALL, .hold_us = FOR_EVER_US };
    struct engine_memory none, half, all;
    struct engine_cost cost;
    if (phones)
        o.sdp_lines = SL(PHONE_LINES);
    bench_engine_calls_max(calls + calls / 4);
    if (!load_open(&l, &o) || !wire_open(&l))
        return 1;
    bench_engine_memory(&none);
    be_up(&l, calls / 2, &half);
    be_up(&l, calls - calls / 2, &all);
    bench_engine_cost(&cost);
    printf("held: %u calls, %u legs, %u transactions, %lu failed; %.2f KiB a call, %.2f a further one; of that in "
           "buffers %.2f\n",
           cost.census.calls, cost.census.legs, cost.census.transactions, (unsigned long)l.t.failed,
           kib(all.resident - none.resident, calls), kib(all.resident - half.resident, calls - calls / 2),
           kib(all.bufs - none.bufs, calls));
    return cost.census.calls == calls && cost.census.transactions == 0 && l.t.failed == 0 ? 0 : 1;
}
