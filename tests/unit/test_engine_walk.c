/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Phones that do anything at any time: the engine neither dies nor keeps anything of it. */
#include "tests/unit/engine_walk.h"
#include "tests/unit/unit.h"

static const struct rig *walking;
static uint32_t trace_lines = 64;

/* Over all walks of this program: they must get somewhere. */
static struct { uint64_t answered, transferred, failed; } reached;

static bool walk_run(uint64_t seed, unsigned steps, unsigned mutate_percent, bool join) {
    struct engine_config c;
    struct walk *w = calloc(1, sizeof *w);
    CHECK(w);
    walk_config(&c);
    c.seed.k0 = seed;
    c.trace_lines = trace_lines;
    c.attended = join ? ATTENDED_JOIN : ATTENDED_REPLACE;
    rng_init(&w->rng, (struct siphash_key){ seed, 99 });
    struct rig *r = rig_new(&c);
    walking = r;
    walk_start(w, r);
    w->mutate_percent = mutate_percent;
    w->willing_percent = seed % 3 ? 85 : 0;
    for (unsigned i = 0; i < steps; i++)
        walk_step(w);
    bool quiet = walk_end(w);
    if (!quiet)
        rig_print_trace(r, trace_lines);
    reached.answered += metrics_get(engine_metrics(r->e), M_calls_answered);
    reached.transferred += metrics_get(engine_metrics(r->e), M_transfers_done);
    reached.failed += metrics_get(engine_metrics(r->e), M_transfers_failed);
    rig_free(r);
    free(w);
    return quiet;
}

static void walks(uint64_t from, unsigned count, unsigned mutate_percent) {
    for (uint64_t seed = from; seed < from + count; seed++) {
        bool quiet = walk_run(seed, 250, mutate_percent, seed % 2);
        if (!quiet)
            printf("seed %" PRIu64 " leaves something\n", seed);
        CHECK_TRUE(quiet);
    }
}

static void test_wellformed(void) {
    walks(1, 60, 0);
    CHECK_TRUE(reached.answered > 400 && reached.transferred > 30 && reached.failed > 50);
}

static void test_mutated(void) {
    walks(1001, 60, 15);
}

static void tell(void *arg, const char *file, int line, const char *expr) {
    (void)arg;
    rig_print_trace(walking, trace_lines);
    printf("%s:%d: CHECK(%s) failed\n", file, line, expr);
    fflush(stdout);
}

/* test_engine_walk SEED COUNT MUTATE_PERCENT STEPS: the walks of these seeds alone, with what led to their end. */
static int by_hand(char **argv) {
    unsigned bad = 0;
    check_set_hook(tell, NULL);
    trace_lines = 65536;
    for (uint64_t seed = strtoull(argv[1], NULL, 10), n = strtoull(argv[2], NULL, 10); n; n--, seed++) {
        printf("seed %" PRIu64 "\n", seed);
        bad += !walk_run(seed, (unsigned)strtoul(argv[4], NULL, 10), (unsigned)strtoul(argv[3], NULL, 10), seed % 2);
    }
    printf("%" PRIu64 " calls answered, %" PRIu64 " transfers done, %" PRIu64 " failed\n", reached.answered,
           reached.transferred, reached.failed);
    return bad != 0;
}

int main(int argc, char **argv) {
    if (argc == 5)
        return by_hand(argv);
    return UNIT_RUN("engine_walk", UNIT(test_wellformed), UNIT(test_mutated));
}
