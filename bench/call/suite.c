/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Everything in one run, one after the other: each target at the same rate, twice around so that what else the machine
 * does meets all of them; every scenario; the highest rates; two shards beside one; memory of held calls.
 */
#include "bench/call/call.h"

#include <string.h>

#define RATE 1000
#define ROUNDS 2
#define SCENARIO_RATE 500
#define SIPP_GUESS 6000         /* it cannot be asked for so many calls at a time */
#define HELD 10000
#define HELD_BY_REFEREE 100000  /* the number of the goal */
#define HELD_RATE_MIN 500
#define HELD_RATE_MAX 5000
#define HELD_SECONDS 20         /* for them to begin, and as long to end */
#define SLOTS 65536
#define OWN_LIMIT 0.95

struct row {
    struct target t;
    double cpu, redis;          /* sums of the rounds */
    struct hist setup;
    struct result best, attended, blind;
    double kib;
    bool held;
};
enum { SIPP, REFEREE, REDIS, KAMAILIO, TWO, ROWS };

struct suite {
    struct load_options o;
    struct row rows[ROWS];
    double one_us, two_us;      /* a call of one shard's and of two's, at the same load; sums of the rounds */
    double half_rate;
    uint64_t half_p99;
};

static void head(const char *what) {
    printf("\n%s\n", what);
    fflush(stdout);
}

static bool rounds(struct suite *s) {
    static struct result r;
    struct load_options o = s->o;
    o.rate = RATE;
    head("Each at 1000 calls/s, twice around:");
    print_head();
    for (unsigned i = 0; i < ROUNDS * ROWS; i++) {
        struct row *row = &s->rows[i % ROWS];
        if (!run_once(&row->t, &o, &r))
            return false;
        print_result(&row->t, &o, &r);
        row->cpu += r.cpu_us;
        row->redis += r.redis_us;
        hist_merge(&row->setup, &r.t.setup);
    }
    return true;
}

static bool scenarios(struct suite *s) {
    static const enum scenario all[] = { SC_REGISTERED, SC_TRUNK, SC_HOLD, SC_BLIND, SC_ATTENDED, SC_REGISTER,
                                         SC_MIXED };
    static struct result r;
    struct load_options o = s->o;
    o.rate = SCENARIO_RATE;
    head("The other scenarios at 500/s:");
    print_head();
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        o.scenario = all[i];
        if (!run_once(&s->rows[REFEREE].t, &o, &r))
            return false;
        print_result(&s->rows[REFEREE].t, &o, &r);
    }
    return true;
}

static bool highest(struct suite *s, struct row *row, enum scenario scenario, struct result *best) {
    struct load_options o = s->o;
    o.scenario = scenario;
    return run_max(&row->t, &o, row->t.kind == T_SIPP ? SIPP_GUESS : 0, best, print_result);
}

static bool maxima(struct suite *s) {
    head("Looking for the highest rate with under 0.1 % failed:");
    print_head();
    for (unsigned i = 0; i <= KAMAILIO; i++)
        if (!highest(s, &s->rows[i], SC_CALL, &s->rows[i].best))
            return false;
    for (unsigned i = REFEREE; i <= REDIS; i++)
        if (!highest(s, &s->rows[i], SC_ATTENDED, &s->rows[i].attended) ||
            !highest(s, &s->rows[i], SC_BLIND, &s->rows[i].blind))
            return false;
    return true;
}

/* Below saturation: half of what one shard carries. */
static bool shards(struct suite *s) {
    static struct result r;
    struct load_options o = s->o;
    s->half_rate = o.rate = s->rows[REFEREE].best.offered / 2;
    if (o.rate < 1)
        return true;
    head("One shard and two, at half of what one carries, twice around:");
    print_head();
    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
        struct row *row = &s->rows[i % 2 ? TWO : REFEREE];
        if (!run_once(&row->t, &o, &r))
            return false;
        print_result(&row->t, &o, &r);
        *(i % 2 ? &s->two_us : &s->one_us) += r.cpu_us;
        if (i % 2 == 0)
            s->half_p99 = hist_at(&r.t.setup, 990);
    }
    return true;
}

/* Half of what it carries. */
static double held_rate(const struct row *r) {
    double rate = r->best.carried / 2;
    return rate < HELD_RATE_MIN ? HELD_RATE_MIN : rate > HELD_RATE_MAX ? HELD_RATE_MAX : rate;
}

static bool memory(struct suite *s) {
    struct load_options o = s->o;
    head("Held calls:");
    for (unsigned i = REFEREE; i <= KAMAILIO; i++) {
        static struct held h;
        o.rate = held_rate(&s->rows[i]);
        uint32_t most = i == REFEREE ? HELD_BY_REFEREE : HELD, in_time = (uint32_t)(o.rate * HELD_SECONDS);
        uint32_t calls = in_time < most ? in_time : most;
        if (i <= REDIS)
            print_media(&o, calls);
        if (!run_held(&s->rows[i].t, &o, calls, &h))
            return false;
        print_held(&s->rows[i].t, &h);
        s->rows[i].kib = h.kib;
        s->rows[i].held = h.up == h.calls;
    }
    return true;
}

/* ---- what came of it */

static void number(char to[16], bool is, double v, int digits) {
    if (is)
        snprintf(to, 16, "%.*f", digits, v);
    else
        snprintf(to, 16, "-");
}

static void print_row(FILE *data, const struct row *r) {
    char most[16], kib[16], attended[16], blind[16], with[24] = "";
    number(most, r->best.carried > 0, r->best.carried, 0);
    number(kib, r->held, r->kib, 2);
    number(attended, r->attended.carried > 0, r->attended.carried, 0);
    number(blind, r->blind.carried > 0, r->blind.carried, 0);
    unsigned long p50 = hist_at(&r->setup, 500), p99 = hist_at(&r->setup, 990), p999 = hist_at(&r->setup, 999);
    if (r->redis > 0)
        snprintf(with, sizeof with, " + %.1f", r->redis / ROUNDS);
    printf("%-13s %8.1f%-8s %9s %9.1f %8lu %8lu %8lu %10s %11s %9s\n", r->t.name, r->cpu / ROUNDS, with, most,
           r->best.cpu_us, p50, p99, p999, kib, attended, blind);
    fprintf(data, "%s %.1f %s %lu %lu %lu %s %s %s\n", r->t.name, r->cpu / ROUNDS, most, p50, p99, p999, kib, attended,
            blind);
}

static void goal(const char *what, double is, double want, bool at_most) {
    bool met = is > 0 && (at_most ? is <= want : is >= want);
    printf("%-72s %9.2f  goal %7.1f  %s\n", what, is, want, met ? "held" : "MISSED");
}

static void print_goals(const struct suite *s) {
    const struct row *r = &s->rows[REFEREE];
    printf("\n");
    goal("referee: calls/s, one shard on one core", r->best.carried, 20000, false);
    goal("referee: CPU us a call at that rate", r->best.cpu_us, 50, true);
    goal("referee: calls/s, as many times as kamailio",
         s->rows[KAMAILIO].best.carried > 0 ? r->best.carried / s->rows[KAMAILIO].best.carried : 0, 1.8, false);
    goal("referee-redis: calls/s with confirmed writes", s->rows[REDIS].best.carried, 5000, false);
    goal("referee: set-up p99 at half of that load, ms", (double)s->half_p99 / 1e3, 1, true);
    goal("referee: whole attended transfers/s", r->attended.carried, 4000, false);
    goal("referee: KiB a held call", r->held ? r->kib : 0, 4, true);
    goal("referee-2: CPU a call, as many times as referee's at the same load",
         s->one_us > 0 ? s->two_us / s->one_us : 0, 1.1, true);
}

/* A target may carry more than a generator that has no time left. */
static void print_doubts(const struct suite *s) {
    for (unsigned i = 0; i <= KAMAILIO; i++)
        if (s->rows[i].best.own > OWN_LIMIT)
            printf("%s: the generator ran %.0f %% of the time at its calls/s, and may have been the limit.\n",
                   s->rows[i].t.name, 100 * s->rows[i].best.own);
}

static void print_all(const struct suite *s, FILE *data) {
    fprintf(data, "# target; CPU us a call at 1000/s; calls/s; set-up p50 p99 p99.9 us at 1000/s; KiB; attended/s; "
                  "blind/s\n");
    printf("\n%-13s %-16s %9s %9s %8s %8s %8s %10s %11s %9s\n", "", "CPU us at 1000/s", "calls/s", "CPU us so",
           "p50 us", "p99 us", "p99.9 us", "KiB held", "attended/s", "blind/s");
    for (unsigned i = 0; i <= KAMAILIO; i++)
        print_row(data, &s->rows[i]);
    printf("The set-up is that at 1000/s; sipp's clock has milliseconds, and its CPU is its callee's.%s\n"
           "A dash: nothing was carried cleanly, or that is none of the target's.\n",
           s->rows[REDIS].redis > 0 ? " After the +: redis-server." : "");
    print_doubts(s);
    print_goals(s);
}

static bool run_all(struct suite *s, FILE *data) {
    print_media(&s->o, 0);
    if (!rounds(s) || !scenarios(s) || !maxima(s) || !shards(s) || !memory(s))
        return false;
    print_all(s, data);
    return true;
}

bool suite_run(const struct load_options *o, const char *program, const char *folder) {
    static const char *const names[ROWS] = { "sipp", "referee", "referee-redis", "kamailio", "referee-2" };
    static struct suite s;
    s.o = *o;
    s.o.scenario = SC_CALL;
    s.o.calls_max = SLOTS;
    for (unsigned i = 0; i < ROWS; i++) {
        target_is(&s.rows[i].t, names[i]);
        s.rows[i].t.program = program;
    }
    char path[256];
    snprintf(path, sizeof path, "%s/call.dat", folder);
    FILE *data = fopen(path, "we");
    if (!data) {
        fprintf(stderr, "bench-call: %s cannot be written\n", path);
        return false;
    }
    bool ok = run_all(&s, data);
    return fclose(data) == 0 && ok;
}
