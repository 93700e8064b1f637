/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench-parse CORPUS [ROUNDS]: CORPUS is what gen_corpus.py wrote. Every parser walks MIXED, shuffled, once to warm up
 * and once a round; the parsers take turns within a round, so that what slows the machine down slows them all. Printed
 * are medians over the rounds and the best of them; a ratio is the median of the rounds' own ratios to our best path.
 */
#include "bench/parse/bench.h"
#include "bench/parse/rivals.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS_MAX 1001
#define CONTENDERS_MAX 16
#define REPEATS 16

struct row {
    const struct contender *who;
    bool fields_equal;
    bool whole;                   /* decodes the fields; else headers only */
    double ns[ROUNDS_MAX];
};

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *v, unsigned n) {
    static double sorted[ROUNDS_MAX];
    memcpy(sorted, v, n * sizeof *v);
    qsort(sorted, n, sizeof *sorted, by_value);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static const struct contender *const rivals[] = { &osip, &sofia };

static unsigned enter(struct row *rows, const struct corpus *mixed, const struct corpus *twelve) {
    const struct contender *all[CONTENDERS_MAX];
    unsigned n = 0, used = 0;
    for (unsigned p = SIP_PATH_COUNT; p-- > 0;)
        all[n++] = &ours[p];
    for (unsigned p = SIP_PATH_COUNT; p-- > 0;)
        all[n++] = &ours_headers[p];
    for (unsigned r = 0; r < sizeof rivals / sizeof *rivals; r++)
        all[n++] = rivals[r];
    for (unsigned i = 0; i < n; i++) {
        if (!all[i]->usable()) {
            printf("%-24s not on this machine\n", all[i]->name);
            continue;
        }
        bool whole = i < SIP_PATH_COUNT || i >= 2 * SIP_PATH_COUNT;
        unsigned wrong = whole ? corpus_differences(mixed, all[i]) + corpus_differences(twelve, all[i]) : 0;
        if (wrong)
            printf("%-24s differs from the oracle on %u messages\n", all[i]->name, wrong);
        rows[used++] = (struct row){ .who = all[i], .fields_equal = !wrong, .whole = whole };
    }
    return used;
}

static void run(struct row *rows, unsigned n, const struct corpus *c, unsigned rounds) {
    for (unsigned r = 0; r < rounds; r++)
        for (unsigned i = 0; i < n; i++) {
            corpus_walk(c, rows[i].who);
            uint64_t begin = now_ns();
            corpus_walk(c, rows[i].who);
            rows[i].ns[r] = (double)(now_ns() - begin) / c->count;
        }
}

static void print(const struct row *rows, unsigned n, const struct corpus *c, unsigned rounds) {
    printf("%-24s %10s %10s %10s %10s\n", "", "ns/message", "best", "MB/s", "ratio");
    for (unsigned i = 0; i < n; i++) {
        static double ratio[ROUNDS_MAX];
        double ns = median(rows[i].ns, rounds), best = ns;
        for (unsigned r = 0; r < rounds; r++)
            best = rows[i].ns[r] < best ? rows[i].ns[r] : best;
        for (unsigned r = 0; r < rounds; r++)
            ratio[r] = rows[i].ns[r] / rows[0].ns[r];
        printf("%-24s %10.1f %10.1f %10.0f ", rows[i].who->name, ns, best, (double)c->bytes / c->count / ns * 1000);
        if (rows[i].fields_equal && rows[0].fields_equal)
            printf("%10.2f\n", median(ratio, rounds));
        else
            printf("%10s\n", "refused");
    }
}

/* Where the time goes: each message REPEATS times in a row, so that its branches are foretold and its bytes are near.
 * What a walk of MIXED takes above this is the price of the next message being another one. */
static void run_repeated(const struct corpus *c, unsigned rounds) {
    static double ns[SIP_PATH_COUNT][ROUNDS_MAX];
    for (unsigned r = 0; r < rounds; r++)
        for (unsigned p = 0; p < SIP_PATH_COUNT; p++) {
            if (!ours[p].usable())
                continue;
            uint64_t begin = now_ns();
            corpus_walk_repeated(c, &ours[p], REPEATS);
            ns[p][r] = (double)(now_ns() - begin) / c->count / REPEATS;
        }
    printf("\neach message %d times in a row\n", REPEATS);
    for (unsigned p = SIP_PATH_COUNT; p-- > 0;)
        if (ours[p].usable())
            printf("%-24s %10.1f\n", ours[p].name, median(ns[p], rounds));
}

/* Each a thousand times a round, in turn. */
static void run_writers(unsigned rounds) {
    static double ns[8][ROUNDS_MAX];
    for (unsigned r = 0; r < rounds; r++)
        for (unsigned i = 0; i < writer_count; i++) {
            uint64_t begin = now_ns();
            for (unsigned k = 0; k < 1000; k++)
                writers[i].write();
            ns[i][r] = (double)(now_ns() - begin) / 1000;
        }
    printf("\n%-24s %10s %10s %10s\n", "", "ns/message", "best", "bytes");
    for (unsigned i = 0; i < writer_count; i++) {
        double best = ns[i][0];
        for (unsigned r = 1; r < rounds; r++)
            best = ns[i][r] < best ? ns[i][r] : best;
        printf("%-24s %10.1f %10.1f %10u\n", writers[i].name, median(ns[i], rounds), best, writers[i].write());
    }
}

static struct corpus load(const char *folder, const char *part) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, part);
    return corpus_load(path);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench-parse CORPUS [ROUNDS]\n");
        return 2;
    }
    struct corpus mixed = load(argv[1], "mixed"), twelve = load(argv[1], "corpus");
    corpus_shuffle(&mixed, 7);
    unsigned rounds = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 101;
    rounds = rounds == 0 || rounds > ROUNDS_MAX ? 101 : rounds;
    static struct row rows[CONTENDERS_MAX];
    printf("MIXED: %u messages, mean %.0f bytes, %u rounds\n", mixed.count, (double)mixed.bytes / mixed.count, rounds);
    unsigned n = enter(rows, &mixed, &twelve), bad = 0;
    run(rows, n, &mixed, rounds);
    print(rows, n, &mixed, rounds);
    run_repeated(&mixed, rounds);
    if (!writers_begin(twelve.samples[0].message))
        return 1;
    run_writers(rounds);
    for (unsigned i = 0; i < n; i++)
        bad += !rows[i].fields_equal;
    return bad != 0;
}
