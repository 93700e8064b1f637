/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/demo/demo.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "referee-demo --daemon PATH [--flow FLOW] [--store YAML] [--shards N] [--lose N] [--quick] [--verbose] [--keep]\n"
    "referee-demo --cluster FILE [--flow FLOW] [--quick] [--verbose]\n"
    "referee-demo --self-test [--verbose]\n"
    "  Starts PATH (refereed) on loopback with a configuration of its own, and three phones A, B, C that walk a call\n"
    "  transfer through it. Prints each message, ticks each expected line, listens whether A and C hear each other.\n"
    "  --flow FLOW   attended (default): B consults C first; blind: B does not; join: C knows no Replaces\n"
    "                busy, decline: C refuses; refused: C fails at Replaces; leave: B hangs up while C rings;\n"
    "                gone: A does; early-bye: B ends its consultation call with the REFER\n"
    "                relay, relay-forward, relay-blind: the REFER is passed to A, who calls\n"
    "                semi: B refers A to C, who rings and rings on; order: nobody refers, refereectl does\n"
    "                pickup: P, another phone of B's user, takes B's call; click: A has B call C\n"
    "                recall: B has left when C refuses: it is rung again\n"
    "                death (with --cluster only): as attended, and the node that has the transfer is killed in it\n"
    "                vip (with --cluster only): a call's node is killed, and its media address moves\n"
    "  --cluster FILE  through several refereed that run already; FILE, by deploy/demo-cluster.sh, says where\n"
    "  --store YAML  instead of { kind: memory }\n"
    "  --shards N    of the daemon, instead of one\n"
    "  --lose N      every N-th SIP datagram is lost, either way (not early-bye, semi, click: they need order)\n"
    "  --quick       tones are listened to for less time; with --cluster ended transactions are not waited for\n"
    "  --self-test   no daemon: the phones call each other directly\n"
    "  --verbose     whole messages too; the daemon logs them as well\n"
    "  --keep        keeps the daemon's configuration and log\n"
    "  Exit code: 0 when everything held, 1 when something did not, 2 for a wrong command line.\n";

static const struct flow flows[] = {
    { .name = "attended", .walk = flow_attended },
    { .name = "blind", .walk = flow_blind },
    { .name = "join", .walk = flow_join },
    { .name = "busy", .walk = flow_busy },
    { .name = "decline", .walk = flow_decline },
    { .name = "refused", .walk = flow_refused },
    { .name = "leave", .walk = flow_leave },
    { .name = "gone", .walk = flow_gone },
    { .name = "early-bye", .walk = flow_early_bye },
    { .name = "semi", .walk = flow_semi },
    { .name = "relay", .walk = flow_relay, .config = "transfer:\n  mode: relay\n  relay: splice\n" },
    { .name = "relay-blind", .walk = flow_relay_blind, .config = "transfer:\n  mode: relay\n" },
    { .name = "relay-forward", .walk = flow_relay_forward,
      .config = "transfer:\n  mode: relay\n  relay: forward\n" },
    { .name = "pickup", .walk = flow_pickup, .with_p = true },
    { .name = "click", .walk = flow_click },
    { .name = "order", .walk = flow_order },
    { .name = "death", .walk = flow_death, .death = true },
    { .name = "vip", .walk = flow_vip, .death = true },
    { .name = "recall", .walk = flow_recall, .config = "transfer:\n  recall: true\n" },
};

static bool flow_named(struct demo *d, const char *name) {
    for (size_t i = 0; i < sizeof flows / sizeof *flows; i++)
        if (strcmp(flows[i].name, name) == 0) {
            d->flow = flows[i];
            return true;
        }
    return false;
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    interrupted = number;
}

bool demo_interrupted(void) {
    return interrupted != 0;
}

/* SIGINT and SIGTERM: the daemon is stopped and its files are removed, then the signal does what it means. */
static void catch_signals(void) {
    struct sigaction sa = { .sa_handler = on_signal };
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void die_of_signal(void) {
    if (!interrupted)
        return;
    signal(interrupted, SIG_DFL);
    raise(interrupted);
}

static bool run_direct(struct demo *d) {
    bool good = demo_phones_open(d, true);
    if (!good)
        demo_fail(d, "cannot open the phones' sockets");
    else
        good = flow_direct(d);
    demo_phones_close(d);
    return demo_summary(d) && good;
}

static bool walk_with_daemon(struct demo *d) {
    if (!demo_phones_open(d, false)) {
        demo_fail(d, "cannot open the phones' sockets");
        return false;
    }
    bool good = flow_register(d, true) && d->flow.walk(d) && flow_register(d, false);
    return good && demo_counters(d) && (d->cluster.n ? cluster_leftover(d) : daemon_leftover(d));
}

static bool run_with_cluster(struct demo *d) {
    bool good = walk_with_daemon(d);
    demo_phones_close(d);
    return demo_summary(d) && good;
}

static bool run_with_daemon(struct demo *d, const char *program) {
    bool good = daemon_start(d, program) && walk_with_daemon(d);
    bool stopped = daemon_stop(d);
    demo_phones_close(d);
    return demo_summary(d) && good && stopped;
}

static int finish(const struct demo *d, bool good) {
    good = good && d->failures == 0;
    printf("\n%s: %s\n", d->flow.name, good ? "everything held" : "NOT everything held");
    return good ? 0 : 1;
}

static struct demo demo;

/* 0: go on; else the exit code, plus one. */
static int read_options(struct demo *d, int argc, char **argv, const char **program) {
    static const struct option options[] = {
        { "flow", required_argument, NULL, 'f' }, { "daemon", required_argument, NULL, 'd' },
        { "lose", required_argument, NULL, 'l' }, { "keep", no_argument, NULL, 'k' },
        { "quick", no_argument, NULL, 'q' }, { "verbose", no_argument, NULL, 'v' },
        { "self-test", no_argument, NULL, 's' }, { "cluster", required_argument, NULL, 'c' },
        { "store", required_argument, NULL, 'y' }, { "shards", required_argument, NULL, 'n' },
        { "help", no_argument, NULL, 'h' }, { 0 } };
    const char *flow = "attended", *cluster = NULL;
    bool direct = false;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'f')
            flow = optarg;
        else if (c == 'd')
            *program = optarg;
        else if (c == 'l')
            d->drop_every = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'y')
            d->store = optarg;
        else if (c == 'n')
            d->shards = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'k')
            d->keep = true;
        else if (c == 'q')
            d->quick = true;
        else if (c == 'v')
            d->verbose = true;
        else if (c == 's')
            direct = true;
        else if (c == 'c')
            cluster = optarg;
        else
            return fputs(usage, c == 'h' ? stdout : stderr), c == 'h' ? 1 : 3;
    }
    if (direct)
        d->flow.name = "self-test";
    bool none = !direct && (!!*program == !!cluster || !flow_named(d, flow));
    if (optind != argc || none || (d->flow.death && !cluster))
        return fputs(usage, stderr), 3;
    return !cluster || cluster_read(d, cluster) ? 0 : 3;
}

int main(int argc, char **argv) {
    struct demo *d = &demo;
    const char *program = NULL;
    *d = (struct demo){ .store = "{ kind: memory }", .shards = 1, .colour = isatty(1), .start_us = clock_us(),
                        .gap_limit_us = DEMO_GAP_LIMIT_US,
                        .local = { .ip = { 127, 0, 0, 1 }, .family = ADDR_V4 }, .fds = { -1, -1, -1, -1 },
                        .notify_final = -1, .near = A, .near_dlg = D1 };
    int code = read_options(d, argc, argv, &program);
    if (code)
        return code - 1;
    catch_signals();
    bool good = !d->flow.walk ? run_direct(d) : d->cluster.n ? run_with_cluster(d) : run_with_daemon(d, program);
    die_of_signal();
    return finish(d, good);
}
