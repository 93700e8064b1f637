/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The curve of goodput. First the capacity: calls a second that are done while so many are always under way that the
 * target has no idle moment, and never more. Then calls are offered at parts and multiples of that, whatever becomes of
 * them; and last half of it, three times it, and half again, without a pause, in pieces of 100 ms.
 *
 * How busy a program is: what it ran, and with what it waited for the CPU that others had (which the kernel may count
 * twice). A target that wants less than all of it is not saturated. A generator that is the limit shows by how late its
 * calls begin, 99 of 100, and on a machine of its own by what it ran. The goodput for a second of the target's CPU does
 * not depend on the others.
 */
#include "bench/call/call.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 200
#define EMERGENCY_OF 50
#define DRAIN_US 2500000u /* the first repetition of a BYE and of its repetition among it */
#define OVERLOAD 3.0
#define HALF 0.5
#define GOODPUT_GOAL 80
#define CALM_BINS 5         /* so many good ones in a row are a recovery */

struct mark {
    struct tally t;
    struct sched target, own;
    uint64_t us;
};

/* Between two marks. */
struct point {
    double offered, rate;   /* as a part of the capacity; calls a second */
    double goodput, refused, failed, resent, emergencies;
    uint64_t wrongly[WRONGS];
    uint32_t left;          /* calls that had not ended a while after */
    double cpu;             /* of the target, us a call done */
    double target_ran, target_wants, own_ran, own_wants; /* of all the time */
    uint64_t setup_p50, setup_p99, late_p99;
};

static void mark(const struct load *l, const struct target *t, struct mark *m) {
    m->t = l->t;
    target_sched(t, &m->target);
    own_sched(&m->own);
    m->us = clock_us();
}

static double part(uint64_t ran_us, uint64_t waited_us, uint64_t of_us) {
    double all = (double)(ran_us + waited_us) / (double)of_us;
    return all < 1 ? all : 1;
}

static void between(const struct mark *a, const struct mark *b, struct point *p) {
    uint64_t us = b->us - a->us;
    double seconds = (double)us / 1e6;
    uint64_t ran = b->target.ran_us - a->target.ran_us, done = b->t.done - a->t.done;
    p->goodput = (double)done / seconds;
    p->refused = (double)(b->t.refused - a->t.refused) / seconds;
    p->failed = (double)(b->t.failed - a->t.failed) / seconds - p->refused;
    p->resent = (double)(b->t.resent - a->t.resent) / seconds;
    p->cpu = done ? (double)ran / (double)done : 0;
    p->target_ran = part(ran, 0, us);
    p->target_wants = part(ran, b->target.waited_us - a->target.waited_us, us);
    p->own_ran = part(b->own.ran_us - a->own.ran_us, 0, us);
    p->own_wants = part(b->own.ran_us - a->own.ran_us, b->own.waited_us - a->own.waited_us, us);
}

/* What is under way when a load begins is not its own: a quarter of the time goes by before it is looked at. */
static void measure(struct load *l, struct target *t, uint64_t us, struct point *p) {
    static struct mark a, b;
    memset(&l->t, 0, sizeof l->t);
    load_phase(l, p->rate, us / 4);
    mark(l, t, &a);
    load_phase(l, p->rate, us);
    mark(l, t, &b);
    between(&a, &b, p);
    load_drain(l, DRAIN_US);
    p->left = l->o.calls_max - l->free_n;
    load_give_up(l);
    memcpy(p->wrongly, l->t.wrongly, sizeof p->wrongly);
    p->emergencies = (double)l->t.emergencies * EMERGENCY_OF / (double)(l->t.started ? l->t.started : 1);
    p->setup_p50 = hist_at(&l->t.setup, 500);
    p->setup_p99 = hist_at(&l->t.setup, 990);
    p->late_p99 = hist_at(&l->t.late, 990);
}

static void measure_capacity(struct load *l, struct target *t, uint64_t us, struct point *p) {
    *p = (struct point){ .rate = 1000 };
    l->o.at_once = AT_ONCE;
    measure(l, t, us, p);
    l->o.at_once = 0;
    printf("capacity, %u calls at a time: %.0f calls/s, %.1f us of CPU each; the target ran %.0f %% of the time and\n"
           "wanted %.0f %%, the generator ran %.0f %% and wanted %.0f %%; set-up p50 %.1f ms, p99 %.1f ms\n",
           AT_ONCE, p->goodput, p->cpu, 100 * p->target_ran, 100 * p->target_wants, 100 * p->own_ran,
           100 * p->own_wants, (double)p->setup_p50 / 1e3, (double)p->setup_p99 / 1e3);
    if (l->t.first_fault[0])
        printf("  first failure: %s\n", l->t.first_fault);
    fflush(stdout);
}

/* ---- the curve */

static void print_point(FILE *data, const struct point *p, const struct point *c) {
    double of = 100 * p->goodput / c->goodput, of_cpu = p->cpu > 0 ? 100 * c->cpu / p->cpu : 0;
    uint64_t wrong = p->wrongly[WRONG_EMERGENCY] + p->wrongly[WRONG_DIALOG] + p->wrongly[WRONG_NO_TIME];
    printf("%6.2f %9.0f %9.0f %8.0f %9.0f %8.0f %7.0f %7.0f %8.1f %8.1f %8.1f %5.0f/%-4.0f %5.0f/%-4.0f %8.1f %8lu\n",
           p->offered, p->rate, p->goodput, of, of_cpu, p->refused, p->failed, p->resent, (double)p->setup_p50 / 1e3,
           (double)p->setup_p99 / 1e3, (double)p->late_p99 / 1e3, 100 * p->target_ran, 100 * p->target_wants,
           100 * p->own_ran, 100 * p->own_wants, 100 * p->emergencies, (unsigned long)wrong);
    if (wrong)
        printf("  wrong: %lu to emergency calls, %lu within a dialog, %lu without Retry-After\n",
               (unsigned long)p->wrongly[WRONG_EMERGENCY], (unsigned long)p->wrongly[WRONG_DIALOG],
               (unsigned long)p->wrongly[WRONG_NO_TIME]);
    if (p->left)
        printf("  %u of its calls had not ended %.1f s later\n", p->left, DRAIN_US / 1e6);
    fprintf(data, "%.2f %.1f %.1f %.1f %.3f %.3f\n", 100 * p->offered, of, of_cpu,
            100 * p->refused / c->goodput, (double)p->setup_p50 / 1e3, (double)p->setup_p99 / 1e3);
    fflush(stdout);
}

static void run_curve(struct load *l, struct target *t, uint64_t us, const struct point *c, FILE *data) {
    static const double offered[] = { HALF, 0.8, 1, 1.25, 1.5, 2, OVERLOAD };
    printf("\n%6s %9s %9s %8s %9s %8s %7s %7s %8s %8s %8s %10s %10s %8s %8s\n", "load", "offered/s", "goodput/s",
           "% of it", "% by CPU", "503/s", "fail/s", "resent/s", "p50 ms", "p99 ms", "late ms", "target %", "gener. %",
           "emerg. %", "wrong");
    for (unsigned i = 0; i < sizeof offered / sizeof *offered; i++) {
        struct point p = { .offered = offered[i], .rate = offered[i] * c->goodput };
        measure(l, t, us, &p);
        print_point(data, &p, c);
    }
}

/* ---- recovery */

/* As before the overload: next to nothing fails, and set-up is not slower than twice what it was, or 10 ms. */
static bool is_calm(const struct bin *b, uint64_t p99_us) {
    return (uint64_t)(b->failed) * 1000 <= b->started && hist_at(&b->setup, 990) <= p99_us;
}

static uint64_t p99_of(const struct bin *bins, unsigned from, unsigned to) {
    static struct hist sum;
    memset(&sum, 0, sizeof sum);
    for (unsigned i = from; i < to; i++)
        hist_merge(&sum, &bins[i].setup);
    return hist_at(&sum, 990);
}

static void print_recovery(const struct bin *bins, unsigned n, unsigned over, unsigned half) {
    uint64_t before = p99_of(bins, over / 4, over), limit = before * 2 > 10000 ? before * 2 : 10000;
    unsigned calm = 0, i;
    for (i = half; i < n && calm < CALM_BINS; i++)
        calm = is_calm(&bins[i], limit) ? calm + 1 : 0;
    printf("\nhalf load, %.0f times, half again: set-up p99 before %.1f ms; ", OVERLOAD, (double)before / 1e3);
    if (calm < CALM_BINS)
        printf("NOT as before within %.1f s after the overload", (double)(n - half) * BIN_US / 1e6);
    else
        printf("as before (under %.1f ms, under 0.1 %% failed) %.1f s after the overload", (double)limit / 1e3,
               (double)(i - CALM_BINS - half) * BIN_US / 1e6);
    printf("; p99 of the rest %.1f ms\n", (double)p99_of(bins, i < n ? i : n - 1, n) / 1e3);
}

static void run_recovery(struct load *l, struct target *t, uint64_t us, const struct point *c, FILE *data) {
    unsigned over = (unsigned)(us / BIN_US), half = 2 * over, n = 4 * over;
    (void)t;
    memset(&l->t, 0, sizeof l->t);
    memset(l->bins, 0, BINS_MAX * sizeof *l->bins);
    l->bins_from = clock_us();
    load_phase(l, HALF * c->goodput, us);
    load_phase(l, OVERLOAD * c->goodput, us);
    load_phase(l, HALF * c->goodput, 2 * us);
    load_drain(l, DRAIN_US);
    for (unsigned i = 0; i < n; i++) {
        const struct bin *b = &l->bins[i];
        fprintf(data, "%.1f %.1f %.1f %.1f %.3f %.3f\n", (double)i * BIN_US / 1e6,
                100 * (double)b->started * 1e6 / BIN_US / c->goodput, 100 * (double)b->done * 1e6 / BIN_US / c->goodput,
                100 * (double)b->refused * 1e6 / BIN_US / c->goodput, (double)hist_at(&b->setup, 500) / 1e3,
                (double)hist_at(&b->setup, 990) / 1e3);
    }
    print_recovery(l->bins, n, over, half);
    load_give_up(l);
}

/* ---- all of it */

static FILE *open_data(const char *folder, const char *name, const char *head) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    if (!f)
        fprintf(stderr, "bench-call: %s cannot be written\n", path);
    else
        fputs(head, f);
    return f;
}

bool curve_run(struct load *l, struct target *t, uint64_t seconds_us, const char *folder) {
    struct point first, last;
    FILE *curve = open_data(folder, "curve.dat", "# load, goodput, goodput by CPU, 503: % of capacity; p50, p99: ms\n");
    FILE *recovery = open_data(folder, "recovery.dat", "# s; offered, goodput, 503: % of capacity; p50, p99: ms\n");
    struct bin *bins = calloc(BINS_MAX, sizeof *bins);
    bool ok = curve && recovery && bins && 4 * seconds_us <= (uint64_t)BINS_MAX * BIN_US;
    l->o.emergency_of = EMERGENCY_OF;
    if (ok) {
        measure_capacity(l, t, seconds_us, &first);
        run_curve(l, t, seconds_us, &first, curve);
        l->bins = bins;
        run_recovery(l, t, seconds_us, &first, recovery);
        l->bins = NULL;
        printf("\nonce more, ");
        measure_capacity(l, t, seconds_us, &last);
        printf("The goal: at %.0f times the capacity a goodput of %u %% of it or more; no 503 without Retry-After,\n"
               "within a dialog or to an emergency call (\"wrong\").\n",
               OVERLOAD, GOODPUT_GOAL);
    }
    if (curve)
        fclose(curve);
    if (recovery)
        fclose(recovery);
    free(bins);
    return ok;
}
