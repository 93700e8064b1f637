/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sim [--seed N] [--count N] [--seconds N] [--only 1,2,3] [--verbose] [--wire] [--hash] [--cover] [--no-shrink]
 *     [--survey] [--explained FILE]
 *
 *   --seed N      the first seed; without it fresh ones, printed
 *   --count N     so many seeds
 *   --seconds N   as many seeds as fit
 *   --survey      goes on behind a failure, which is not shrunk
 *   --only LIST   of that seed's events only these: what a failure prints
 *   --faults      in every world with confirmed durability the store is late, refuses and is down; engines die, and
 *                 others go on with their records: without it in two thirds of those worlds
 *   --nodes       several engines of a cluster in each world; --mix: in one of twenty
 *   --shards      ... and one of its nodes has two
 *   --mortal      the engine dies in the midst of every third scene or so
 *   --hot         more re-INVITEs, glare and direct media, and all of it closer together
 *   --verbose     the ladder; --wire: whole messages too
 *   --hash        the hash of all traces: the same on every machine
 *   --cover       rows of the tables that were never reached
 *   --explained FILE  those of them that stand there with a reason are expected; any other is a failure
 */
#include "tests/sim/sim_cluster.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Transfers behind which a row that is not rare has been reached. */
#define COVER_ENOUGH 40000

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void parse(struct sim_options *o, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : "0";
        if (!strcmp(a, "--seed"))
            o->seed = strtoull(v, NULL, 0), i++;
        else if (!strcmp(a, "--count"))
            o->count = strtoull(v, NULL, 0), i++;
        else if (!strcmp(a, "--seconds"))
            o->seconds = strtoull(v, NULL, 0), i++;
        else if (!strcmp(a, "--only"))
            o->only = v, i++;
        else if (!strcmp(a, "--faults"))
            o->faults = true;
        else if (!strcmp(a, "--nodes"))
            o->nodes = true;
        else if (!strcmp(a, "--shards"))
            o->shards = true;
        else if (!strcmp(a, "--hot"))
            o->hot = true;
        else if (!strcmp(a, "--mortal"))
            o->mortal = true;
        else if (!strcmp(a, "--mix"))
            o->mix = true;
        else if (!strcmp(a, "--verbose"))
            o->verbose = true;
        else if (!strcmp(a, "--wire"))
            o->verbose = o->engine_trace = true;
        else if (!strcmp(a, "--hash"))
            o->hash = true;
        else if (!strcmp(a, "--cover"))
            o->cover = true;
        else if (!strcmp(a, "--explained"))
            o->cover = true, o->explained = v, i++;
        else if (!strcmp(a, "--no-shrink"))
            o->no_shrink = true;
        else if (!strcmp(a, "--survey"))
            o->no_shrink = o->survey = true;
        else
            fprintf(stderr, "sim: %s?\n", a), exit(2);
    }
}

static void mask_all_but(struct world *w, const char *list) {
    for (uint32_t i = 0; i < SIM_EVENTS; i++)
        w->masked[i] = true;
    for (char *end; *list; list = *end ? end + 1 : end) {
        uint64_t i = strtoull(list, &end, 10);
        if (i < SIM_EVENTS)
            w->masked[i] = false;
        if (end == list)
            break;
    }
}

static void print_list(const struct world *w) {
    const char *comma = "";
    for (uint32_t i = 0; i < w->script.n; i++) {
        if (w->masked[i])
            continue;
        printf("%s%u", comma, i);
        comma = ",";
    }
    printf("\n");
}

static void on_failure(struct world *w, const char *program) {
    printf("FAIL seed %llu step %llu at %.6f s: %s\n", (unsigned long long)w->seed, (unsigned long long)w->steps,
           (double)w->now / 1e6, w->failure);
    fflush(stdout);
    if (w->opt.no_shrink || w->opt.only)
        return;
    sim_shrink(w);
    printf("shrunk; replay: %s%s%s%s%s --seed %llu --verbose --only ", program, w->opt.hot ? " --hot" : "",
           w->opt.mortal ? " --mortal" : "", w->opt.faults ? " --faults" : "",
           w->opt.shards ? " --shards" : w->opt.nodes ? " --nodes" : w->opt.mix ? " --mix" : "",
           (unsigned long long)w->seed);
    print_list(w);
    w->opt.verbose = true;
    if (world_run(w, w->seed))
        printf("simulator: the shrunk run does not fail\n");
    else
        printf("FAIL %s\n", w->failure);
}

static volatile sig_atomic_t told_to_stop;

static void on_signal(int signal) {
    (void)signal;
    told_to_stop = 1;
}

/* Behind the world that is being run: what was done so far is said. */
static void stop_by_signal(void) {
    struct sigaction stop = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
}

/* Seeds and seconds: whichever ends first, of those that were given. */
static bool is_over(const struct sim_options *o, uint64_t done, double begin) {
    return told_to_stop || (o->count && done >= o->count) ||
           (o->seconds && seconds_now() - begin >= (double)o->seconds);
}

int main(int argc, char **argv) {
    struct world *w = calloc(1, sizeof *w);
    if (!w || !(w->cluster = calloc(1, sizeof *w->cluster)))
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0); /* what a survey has said stands, whoever ends it */
    parse(&w->opt, argc, argv);
    if (w->opt.explained && !cover_load(w->opt.explained))
        fprintf(stderr, "sim: %s cannot be read\n", w->opt.explained), exit(2);
    stop_by_signal();
    if (!w->opt.count && !w->opt.seconds)
        w->opt.count = 1;
    uint64_t seed = w->opt.seed ? w->opt.seed : (uint64_t)time(NULL) * 1000003u % 1000000000u;
    uint64_t first = seed, done = 0, failed = 0, hash = 0;
    double begin = seconds_now(), cpu = cpu_now();
    if (w->opt.only)
        mask_all_but(w, w->opt.only);
    printf("sim: seeds from %llu\n", (unsigned long long)first);
    for (; !is_over(&w->opt, done, begin); done++, seed++) {
        if (!world_run(w, seed)) {
            on_failure(w, argv[0]);
            if (!w->opt.survey)
                return 1;
            failed++;
        }
        hash = sim_mix(hash, w->hash);
    }
    double took = cpu_now() - cpu;
    if (w->opt.hash)
        printf("hash %016llx\n", (unsigned long long)hash);
    printf("sim: %llu seeds, %llu transfers, %llu messages, %llu s simulated in %.1f s of one core: %.0f transfers a "
           "minute\n",
           (unsigned long long)done, (unsigned long long)w->transfers, (unsigned long long)w->messages,
           (unsigned long long)(w->virtual_us / 1000000), took, (double)w->transfers / took * 60);
    if (failed)
        printf("sim: %llu seeds failed\n", (unsigned long long)failed);
    bool covered = !w->opt.cover || cover_report(true, w->transfers >= COVER_ENOUGH) || !w->opt.explained;
    free(w->memory);
    free(w);
    return failed != 0 || !covered;
}
