/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench-call [--target NAME]... [--scenario NAME] [--rate N] [--seconds N] [--hold MS] [--max | --curve FOLDER]
 *
 * Each target in turn, on core 0, this program on core 1. `referee-redis` has its records in a redis-server that is
 * started with it, on core 0, too, and what it promises waits for them. `direct` has the parties call each other with
 * nothing between: what the wire and this program take by themselves. Exit status 1: a run could not be made.
 */
#define _GNU_SOURCE
#include "bench/call/call.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define TARGETS_MAX 8
#define FAILED_PERMILLE_OF_MAX 1 /* a rate counts as carried with less than 0.1 % failed */

struct options {
    struct target targets[TARGETS_MAX];
    unsigned target_n;
    struct load_options load;
    bool max;
    const char *daemon, *extra, *curve;
};

/* One run: what came of it, and what it cost. */
struct result {
    double offered, carried;    /* calls a second */
    double cpu_us, redis_us;    /* a call; of the target alone, of its redis-server */
    uint64_t rss_kib;
    struct tally t;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    stopped = number;
}

static void aim(struct load *l, const struct target *t) {
    struct sbuf d = sbuf_on(l->domain.s, sizeof l->domain.s);
    bool direct = strcmp(t->name, "direct") == 0;
    for (int p = 0; p < PARTIES; p++)
        l->o.target[p] = direct ? l->addr[p == PARTY_A ? PARTY_B : PARTY_A] : t->addr;
    addr_put(&d, direct ? &l->addr[PARTY_B] : &t->addr);
    l->domain.n = (uint16_t)d.n;
}

static bool run(const struct options *o, struct target *t, double rate, uint64_t seconds_us, struct result *r) {
    static struct load l;
    struct load_options lo = o->load;
    uint64_t cpu, redis;
    lo.rate = rate;
    lo.seconds_us = seconds_us;
    if (!load_open(&l, &lo) || !wire_open(&l))
        return false;
    bool ok = target_start(t, &l);
    if (ok) {
        aim(&l, t);
        cpu = target_cpu_us(t);
        redis = target_redis_cpu_us(t);
        load_run(&l);
        r->cpu_us = l.t.done ? (double)(target_cpu_us(t) - cpu) / (double)l.t.done : 0;
        r->redis_us = l.t.done ? (double)(target_redis_cpu_us(t) - redis) / (double)l.t.done : 0;
        r->rss_kib = target_rss_kib(t);
        r->offered = rate;
        r->carried = (double)l.t.done * 1e6 / (double)l.o.seconds_us;
        r->t = l.t;
    }
    target_stop(t);
    wire_close();
    load_close(&l);
    return ok;
}

/* One start for all of it: what one load leaves behind is the next one's. */
static bool draw(const struct options *o, struct target *t) {
    static struct load l;
    if (!load_open(&l, &o->load) || !wire_open(&l))
        return false;
    bool ok = target_start(t, &l);
    if (ok) {
        aim(&l, t);
        ok = curve_run(&l, t, o->load.seconds_us, o->curve);
    }
    target_stop(t);
    wire_close();
    load_close(&l);
    return ok;
}

static bool is_clean(const struct result *r) {
    return r->t.busy == 0 && r->t.failed * 1000 < r->t.started * FAILED_PERMILLE_OF_MAX + 1000 * (r->t.started == 0) &&
           r->carried > 0.98 * r->offered;
}

static void print_head(void) {
    printf("%-13s %-9s %9s %9s %8s %8s %8s %8s %8s %8s %9s %8s\n", "target", "scenario", "offered/s", "done/s",
           "failed", "resent", "p50 us", "p99 us", "p99.9 us", "CPU us", "transfers", "xfer p99");
}

static void print_result(const struct options *o, const struct target *t, const struct result *r) {
    printf("%-13s %-9s %9.0f %9.0f %8lu %8lu %8lu %8lu %8lu %8.1f %9lu %8lu\n", t->name,
           scenario_names[o->load.scenario], r->offered, r->carried, (unsigned long)r->t.failed,
           (unsigned long)r->t.resent, (unsigned long)hist_at(&r->t.setup, 500),
           (unsigned long)hist_at(&r->t.setup, 990), (unsigned long)hist_at(&r->t.setup, 999), r->cpu_us,
           (unsigned long)r->t.transfers, (unsigned long)hist_at(&r->t.transfer, 990));
    if (r->t.first_fault[0])
        printf("  first failure: %s\n", r->t.first_fault);
    if (r->redis_us > 0)
        printf("  redis-server, on the target's core, took %.1f us a call besides\n", r->redis_us);
    if (r->t.busy || r->t.bad)
        printf("  %lu calls were due with all slots taken, %lu messages could not be read\n", (unsigned long)r->t.busy,
               (unsigned long)r->t.bad);
    fflush(stdout);
}

/* Upwards by half until it is not carried, then halving the rest. */
static bool find_max(const struct options *o, struct target *t, struct result *best) {
    double low = 0, high = 0, rate = o->load.rate;
    memset(best, 0, sizeof *best);
    for (int i = 0; i < 14 && (high == 0 || high - low > 0.04 * high); i++) {
        static struct result r;
        memset(&r, 0, sizeof r);
        if (!run(o, t, rate, o->load.seconds_us, &r))
            return false;
        print_result(o, t, &r);
        if (is_clean(&r)) {
            low = rate;
            *best = r;
        } else {
            high = rate;
        }
        rate = high == 0 ? rate * 1.5 : (low + high) / 2;
    }
    printf("%s: at most %.0f calls/s with under 0.1 %% failed, %.1f us of CPU each%s\n", t->name, best->carried,
           best->cpu_us, t->redis.port ? " and its redis-server's" : "");
    return true;
}

static bool run_targets(struct options *o) {
    static struct result r;
    if (!o->curve)
        print_head();
    for (unsigned i = 0; i < o->target_n; i++) {
        struct target *t = &o->targets[i];
        t->program = o->daemon;
        t->extra = o->extra;
        memset(&r, 0, sizeof r);
        if (o->curve ? !draw(o, t)
            : o->max ? !find_max(o, t, &r)
                     : !run(o, t, o->load.rate, o->load.seconds_us, &r))
            return false;
        if (!o->max && !o->curve)
            print_result(o, t, &r);
    }
    return true;
}

/* ---- options */

static bool scenario_of(const char *name, enum scenario *out) {
    for (int i = 0; i < SCENARIOS; i++)
        if (strcmp(scenario_names[i], name) == 0) {
            *out = (enum scenario)i;
            return true;
        }
    fprintf(stderr, "bench-call: no scenario '%s'; there are call, hold, blind, attended, register, mixed\n", name);
    return false;
}

static double number(const char *name, const char *text, double min, double max) {
    char *end;
    double v = strtod(text, &end);
    if (*end || end == text || v < min || v > max) {
        fprintf(stderr, "bench-call: --%s takes a number from %.0f to %.0f, not '%s'\n", name, min, max, text);
        exit(2);
    }
    return v;
}

static const struct option known[] = {
    { "target", required_argument, NULL, 't' },  { "scenario", required_argument, NULL, 's' },
    { "rate", required_argument, NULL, 'r' },    { "seconds", required_argument, NULL, 'n' },
    { "hold", required_argument, NULL, 'h' },    { "slots", required_argument, NULL, 'c' },
    { "users", required_argument, NULL, 'u' },   { "max", no_argument, NULL, 'm' },
    { "at", required_argument, NULL, 'a' },      { "tell", no_argument, NULL, 'v' },
    { "daemon", required_argument, NULL, 'd' },  { "extra", required_argument, NULL, 'e' },
    { "curve", required_argument, NULL, 'g' },   { "at-once", required_argument, NULL, 'o' },
    { "calls", required_argument, NULL, 'l' },
    { NULL, 0, NULL, 0 },
};

static bool read_options(struct options *o, int argc, char **argv) {
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 't':
            if (o->target_n == TARGETS_MAX)
                return false;
            o->targets[o->target_n++].name = optarg;
            break;
        case 's':
            if (!scenario_of(optarg, &o->load.scenario))
                return false;
            break;
        case 'r': o->load.rate = number("rate", optarg, 1, 1e6); break;
        case 'n': o->load.seconds_us = (uint64_t)(1e6 * number("seconds", optarg, 0.1, 3600)); break;
        case 'h': o->load.hold_us = (uint64_t)(1e3 * number("hold", optarg, 0, 3.6e6)); break;
        case 'c': o->load.calls_max = (uint32_t)number("slots", optarg, 1, CALLS_MAX); break;
        case 'u': o->load.users = (uint32_t)number("users", optarg, 1, 10000); break;
        case 'a':
            if (!addr_parse(slice_str(optarg), 0, &o->load.at))
                return false;
            break;
        case 'm': o->max = true; break;
        case 'v': o->load.tell = true; break;
        case 'd': o->daemon = optarg; break;
        case 'e': o->extra = optarg; break;
        case 'g': o->curve = optarg; break;
        case 'o': o->load.at_once = (uint32_t)number("at-once", optarg, 1, 10000); break;
        case 'l': o->load.calls = (uint64_t)number("calls", optarg, 1, 1e9); break;
        default: return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv) {
    static struct options o = { .load = { .rate = 1000, .seconds_us = 5000000, .calls_max = 65536, .users = 1000,
                                          .stop = &stopped, .at = { .ip = { 127, 0, 0, 1 }, .family = ADDR_V4 } },
                                .daemon = "build/gcc/refereed" };
    if (!read_options(&o, argc, argv)) {
        fprintf(stderr, "usage: bench-call [--target referee|referee-redis|kamailio|direct|IP:PORT]...\n"
                        "  [--scenario S] [--rate N] [--seconds N] [--hold MS] [--slots N] [--users N]\n"
                        "  [--max] [--daemon FILE] [--extra YAML]\n"
                        "  [--at IP[:PORT]] (the parties; PORT, PORT + 1, PORT + 2) [--tell] (each call that fails)\n"
                        "--at-once N: so many calls at a time, whatever the rate; --calls N: not more than that\n"
                        "--curve FOLDER: goodput by offered load, phases of so many seconds; data for plots in FOLDER\n"
                        "SIGTERM: no call begins any more.\n");
        return 2;
    }
    if (o.target_n == 0)
        o.targets[o.target_n++].name = "referee";
    sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
    bench_pin(1);
    return run_targets(&o) ? 0 : 1;
}
