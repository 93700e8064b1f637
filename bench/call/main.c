/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench-call [--target NAME]... [--scenario NAME]... [--rate N] [--seconds N] [--hold MS]
 *            [--max | --held N | --curve FOLDER | --suite FOLDER]
 *
 * Each target in turn, on core 0, this program on core 2, or where there is none on core 1. `referee-2` has two shards,
 * on cores 0 and 1. `referee-redis` has its records in a redis-server that is started with it, on core 0, too, and what
 * it promises waits for them. `direct` has the parties call each other with nothing between, `sipp` is SIPp's caller
 * and SIPp's callee: what the wire takes by itself. Exit status 1: a run could not be made.
 */
#define _GNU_SOURCE
#include "bench/call/call.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define TARGETS_MAX 8

struct options {
    struct target targets[TARGETS_MAX];
    unsigned target_n;
    enum scenario scenarios[SCENARIOS];
    unsigned scenario_n;
    struct load_options load;
    bool max;
    uint32_t held;
    const char *daemon, *extra, *curve, *suite;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    stopped = number;
}

/* One start for all of it: what one load leaves behind is the next one's. */
static bool draw(const struct options *o, struct target *t) {
    static struct load l;
    bool ok = load_begin(&l, t, &o->load) && curve_run(&l, t, o->load.seconds_us, o->curve);
    load_end(&l, t);
    return ok;
}

static bool find_max(struct target *t, const struct load_options *o) {
    static struct result best;
    if (!run_max(t, o, t->kind == T_SIPP ? o->rate : 0, &best, print_result))
        return false;
    printf("%s: at most %.0f %s/s with under 0.1 %% failed, %.1f us of CPU each%s\n", t->name, best.carried,
           scenario_names[o->scenario], best.cpu_us, t->kind == T_REFEREE_REDIS ? ", without its redis-server's" : "");
    return true;
}

static bool once(struct target *t, const struct load_options *o) {
    static struct result r;
    if (!run_once(t, o, &r))
        return false;
    print_result(t, o, &r);
    return true;
}

static bool hold(struct target *t, const struct load_options *o, uint32_t calls) {
    static struct held h;
    if (!run_held(t, o, calls, &h))
        return false;
    print_held(t, &h);
    return true;
}

static bool run_targets(struct options *o) {
    if (o->suite)
        return suite_run(&o->load, o->daemon, o->suite);
    if (o->held)
        print_media(&o->load, o->held);
    else if (!o->curve)
        print_head();
    for (unsigned i = 0; i < o->target_n * o->scenario_n; i++) {
        struct target *t = &o->targets[i / o->scenario_n];
        t->program = o->daemon;
        t->extra = o->extra;
        o->load.scenario = o->scenarios[i % o->scenario_n];
        if (o->curve ? !draw(o, t) : o->held ? !hold(t, &o->load, o->held)
            : o->max ? !find_max(t, &o->load) : !once(t, &o->load))
            return false;
    }
    return true;
}

/* ---- options */

static bool add_scenario(struct options *o, const char *name) {
    for (int i = 0; i < SCENARIOS && o->scenario_n < SCENARIOS; i++)
        if (strcmp(scenario_names[i], name) == 0) {
            o->scenarios[o->scenario_n++] = (enum scenario)i;
            return true;
        }
    fprintf(stderr, "bench-call: no scenario '%s'; there are", name);
    for (int i = 0; i < SCENARIOS; i++)
        fprintf(stderr, "%s%s", i ? ", " : " ", scenario_names[i]);
    fputs(", each once\n", stderr);
    return false;
}

static bool add_target(struct options *o, const char *name) {
    if (o->target_n < TARGETS_MAX && target_is(&o->targets[o->target_n], name)) {
        o->target_n++;
        return true;
    }
    fprintf(stderr, "bench-call: no target '%s', or too many; there are", name);
    for (int i = 0; i < T_ADDRESS; i++)
        fprintf(stderr, "%s%s", i ? ", " : " ", target_names[i]);
    fputs(" and IP:PORT\n", stderr);
    return false;
}

/* What was asked for exists together. */
static bool fits(const struct options *o) {
    for (unsigned i = 0; i < o->target_n * o->scenario_n; i++) {
        const struct target *t = &o->targets[i / o->scenario_n];
        enum scenario s = o->scenarios[i % o->scenario_n];
        const char *why = target_refuses(t, s);
        if (!why && (o->held || o->curve || o->load.at_once || o->load.calls) && t->kind == T_SIPP)
            why = "it takes --rate, --seconds, --hold and --max only";
        if (!why && o->held && (t->kind == T_DIRECT || t->kind == T_ADDRESS || s == SC_REGISTER))
            why = "nothing to measure is held there";
        if (why) {
            fprintf(stderr, "bench-call: %s and %s: %s\n", t->name, scenario_names[s], why);
            return false;
        }
    }
    if ((o->max != 0) + (o->held != 0) + (o->curve != NULL) + (o->suite != NULL) <= 1)
        return true;
    fputs("bench-call: --max, --held, --curve and --suite exclude each other\n", stderr);
    return false;
}

static double number(const char *name, const char *text, double min, double max) {
    char *end;
    double v = strtod(text, &end);
    if (*end || end == text || !(v >= min && v <= max)) {
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
    { "calls", required_argument, NULL, 'l' },   { "rtp", required_argument, NULL, 'p' },
    { "held", required_argument, NULL, 'k' },    { "suite", required_argument, NULL, 'w' },
    { NULL, 0, NULL, 0 },
};

static bool read_options(struct options *o, int argc, char **argv) {
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 't':
            if (!add_target(o, optarg))
                exit(2);
            break;
        case 's':
            if (!add_scenario(o, optarg))
                exit(2);
            break;
        case 'p': o->load.rtp_of = (uint32_t)number("rtp", optarg, 0, 1e6); break;
        case 'k': o->held = (uint32_t)number("held", optarg, 100, 1e6); break;
        case 'w': o->suite = optarg; break;
        case 'r': o->load.rate = number("rate", optarg, 1, 1e6); break;
        case 'n': o->load.seconds_us = (uint64_t)(1e6 * number("seconds", optarg, 0.1, 3600)); break;
        case 'h': o->load.hold_us = (uint64_t)(1e3 * number("hold", optarg, 0, 3.6e6)); break;
        case 'c': o->load.calls_max = (uint32_t)number("slots", optarg, 1, CALLS_MAX); break;
        case 'u': o->load.users = (uint32_t)number("users", optarg, 1, 10000); break;
        case 'a':
            if (!addr_parse(slice_str(optarg), 0, &o->load.at)) {
                fprintf(stderr, "bench-call: --at takes IP or IP:PORT, not '%s'\n", optarg);
                exit(2);
            }
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
    if (optind < argc)
        fprintf(stderr, "bench-call: no argument is known without its option: '%s'\n", argv[optind]);
    else if (o->suite && (o->target_n || o->scenario_n || o->extra))
        fputs("bench-call: --suite has its own targets, scenarios and configuration\n", stderr);
    else
        return true;
    return false;
}

static const char usage[] =
    "usage: bench-call [--target referee|referee-2|referee-redis|kamailio|direct|sipp|IP:PORT]... [--scenario S]...\n"
    "  [--rate N] [--seconds N] [--hold MS] [--slots N] [--users N] [--daemon FILE] [--extra YAML]\n"
    "  [--at IP[:PORT]] (the parties; PORT, PORT + 1, PORT + 2) [--tell] (each call that fails)\n"
    "  [--rtp N] every so manieth call has RTP, which is checked (100; 0: none)\n"
    "  [--at-once N] so many calls at a time, whatever the rate; [--calls N] not more than that\n"
    "and one of:\n"
    "  --max            the highest rate with under 0.1 % failed\n"
    "  --held N         memory of a held call, with so many\n"
    "  --curve FOLDER   goodput by offered load, phases of so many seconds; data for plots in FOLDER\n"
    "  --suite FOLDER   all targets beside each other, in one run; data for plots in FOLDER\n"
    "SIGTERM: no call begins any more.\n";

int main(int argc, char **argv) {
    static struct options o = { .load = { .rate = 1000, .seconds_us = 5000000, .calls_max = 65536, .users = 1000,
                                          .rtp_of = 100,
                                          .stop = &stopped, .at = { .ip = { 127, 0, 0, 1 }, .family = ADDR_V4 } },
                                .daemon = "build/gcc/refereed" };
    if (!read_options(&o, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    if (o.target_n == 0)
        add_target(&o, "referee");
    if (o.scenario_n == 0)
        add_scenario(&o, "call");
    if (!fits(&o))
        return 2;
    sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
    target_pin_generator();
    return run_targets(&o) ? 0 : 1;
}
