/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/sim/sim.h"

#include <stdio.h>

#define RUNS 3000

/* Runs without the masked events: does it fail in the same way? */
static bool still_fails(struct world *w, uint32_t kind) {
    return !world_run(w, w->seed) && w->failure_kind == kind;
}

/* Leaves out events in chunks, from halves down to single ones, as long as it goes on failing. */
void sim_shrink(struct world *w) {
    static bool before[SIM_EVENTS];
    char text[sizeof w->failure];
    uint32_t kind = w->failure_kind, n = w->script.n, runs = 0;
    bool verbose = w->opt.verbose, changed = true;
    w->opt.verbose = false;
    memcpy(text, w->failure, sizeof text);
    for (uint32_t chunk = n / 2 ? n / 2 : 1; chunk && runs < RUNS; chunk = changed && chunk == 1 ? 1 : chunk / 2) {
        changed = false;
        for (uint32_t at = 0; at < n && runs < RUNS; at += chunk) {
            bool any = false;
            memcpy(before, w->masked, sizeof before);
            for (uint32_t i = at; i < at + chunk && i < n; i++) {
                any = any || !w->masked[i];
                w->masked[i] = true;
            }
            if (!any)
                continue;
            runs++;
            if (still_fails(w, kind))
                changed = true;
            else
                memcpy(w->masked, before, sizeof before);
        }
    }
    memcpy(w->failure, text, sizeof text);
    w->failure_kind = kind;
    w->opt.verbose = verbose;
}
