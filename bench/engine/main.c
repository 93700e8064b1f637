/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench-engine SCENARIO CALLS [records]: that many calls, one after the other in virtual time; what they take within
 * engine_step; with records as where the store is Redis, else as where it is the memory. The instructions of that:
 * under `valgrind --tool=callgrind --toggle-collect=engine_step`.
 *
 * bench-engine takeover TRANSFERS: see takeover.c. bench-engine held CALLS: see held.c.
 */
#include "bench/call/call.h"
#include "bench/engine/bench_engine.h"

#include <stdlib.h>
#include <string.h>

#define CALLS_A_SECOND 1000

static bool read_scenario(const char *name, enum scenario *out) {
    for (int i = 0; i < SC_REGISTER; i++) {
        *out = (enum scenario)i;
        if (strcmp(scenario_names[i], name) == 0)
            return true;
    }
    return false;
}

static int takeover(uint32_t transfers) {
    static struct load l;
    struct load_options o = { .rate = 1000000, .calls_max = transfers, .scenario = SC_ATTENDED };
    o.seconds_us = transfers;
    bench_engine_records(true);
    bench_engine_withhold(transfers);
    if (!load_open(&l, &o) || !wire_open(&l))
        return 1;
    load_run(&l);
    return bench_engine_takeover(transfers);
}

int main(int argc, char **argv) {
    static struct load l;
    struct load_options o = { .rate = CALLS_A_SECOND, .calls_max = 4096 };
    struct engine_cost cost;
    long calls = argc >= 3 ? strtol(argv[2], NULL, 10) : 0;
    if (argc == 3 && strcmp(argv[1], "takeover") == 0 && calls >= 1 && calls <= 4000)
        return takeover((uint32_t)calls);
    if (argc >= 3 && strcmp(argv[1], "held") == 0 && calls >= 2 && calls <= 12000) /* two pairs of ports each */
        return bench_engine_held((uint32_t)calls, argc == 4 && strcmp(argv[3], "phones") == 0);
    if (calls < 1 || calls > 1000000 || !read_scenario(argv[1], &o.scenario)) {
        fprintf(stderr, "usage: bench-engine call|hold|blind|attended CALLS [records], or: takeover TRANSFERS, "
                        "held CALLS [phones]\n");
        return 2;
    }
    bench_engine_records(argc == 4 && strcmp(argv[3], "records") == 0);
    o.seconds_us = (uint64_t)calls * 1000000 / CALLS_A_SECOND;
    if (!load_open(&l, &o) || !wire_open(&l))
        return 1;
    load_run(&l);
    bench_engine_cost(&cost);
    printf("%s: %lu calls, %lu failed, %.0f ns a call in the engine, %.1f steps a call; left: calls %u, legs %u\n",
           argv[1], (unsigned long)l.t.done, (unsigned long)l.t.failed, (double)cost.ns / (double)l.t.done,
           (double)cost.steps / (double)l.t.done, cost.census.calls, cost.census.legs);
    if (l.t.first_fault[0])
        printf("  first failure: %s\n", l.t.first_fault);
    bool ok = l.t.failed == 0 && l.t.done == (uint64_t)calls && cost.census.calls == 0;
    load_close(&l);
    return ok ? 0 : 1;
}
