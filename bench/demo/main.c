/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/demo/demo.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "referee-demo --daemon PATH [--flow FLOW] [--lose N] [--verbose] [--keep]\n"
    "referee-demo --self-test [--verbose]\n"
    "  Starts PATH (refereed) on loopback with a configuration of its own, and three phones A, B, C that walk a call\n"
    "  transfer through it. Prints each message, ticks each expected line, listens whether A and C hear each other.\n"
    "  --flow FLOW   attended (default): B consults C first; blind: B does not; join: C knows no Replaces\n"
    "                busy, decline: C refuses; refused: C fails at Replaces; leave: B hangs up while C rings;\n"
    "                gone: A does; early-bye: B ends its consultation call with the REFER\n"
    "  --lose N      every N-th SIP datagram is lost, either way (early-bye needs its order: not with that)\n"
    "  --self-test   no daemon: the phones call each other directly\n"
    "  --verbose     whole messages too; the daemon logs them as well\n"
    "  --keep        keeps the daemon's configuration and log\n"
    "  Exit code: 0 when everything held, 1 when something did not, 2 for a wrong command line.\n";

struct flow {
    const char *name;
    bool (*walk)(struct demo *d);
};
static const struct flow flows[] = {
    { "attended", flow_attended }, { "blind", flow_blind }, { "join", flow_join },
    { "busy", flow_busy }, { "decline", flow_decline }, { "refused", flow_refused },
    { "leave", flow_leave }, { "gone", flow_gone }, { "early-bye", flow_early_bye },
};

static bool (*flow_named(const char *name))(struct demo *) {
    for (size_t i = 0; i < sizeof flows / sizeof *flows; i++)
        if (strcmp(flows[i].name, name) == 0)
            return flows[i].walk;
    return NULL;
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
    bool good = flow_register(d, true) && flow_named(d->flow)(d) && flow_register(d, false);
    return good && demo_counters(d) && daemon_leftover(d);
}

static bool run_with_daemon(struct demo *d, const char *program) {
    bool good = daemon_start(d, program) && walk_with_daemon(d);
    bool stopped = daemon_stop(d);
    demo_phones_close(d);
    return demo_summary(d) && good && stopped;
}

static int finish(const struct demo *d, bool good) {
    good = good && d->failures == 0;
    printf("\n%s: %s\n", d->flow, good ? "everything held" : "NOT everything held");
    return good ? 0 : 1;
}

static struct demo demo;

int main(int argc, char **argv) {
    static const struct option options[] = {
        { "flow", required_argument, NULL, 'f' }, { "daemon", required_argument, NULL, 'd' },
        { "lose", required_argument, NULL, 'l' }, { "keep", no_argument, NULL, 'k' },
        { "verbose", no_argument, NULL, 'v' },
        { "self-test", no_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' }, { 0 } };
    struct demo *d = &demo;
    const char *program = NULL;
    bool direct = false;
    int c;
    *d = (struct demo){ .flow = "attended", .colour = isatty(1), .start_us = clock_us(), .fds = { -1, -1, -1 },
                        .notify_final = -1 };
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'f')
            d->flow = optarg;
        else if (c == 'd')
            program = optarg;
        else if (c == 'l')
            d->drop_every = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'k')
            d->keep = true;
        else if (c == 'v')
            d->verbose = true;
        else if (c == 's')
            direct = true;
        else
            return fputs(usage, c == 'h' ? stdout : stderr), c == 'h' ? 0 : 2;
    }
    if (optind != argc || (!direct && (!program || !flow_named(d->flow))))
        return fputs(usage, stderr), 2;
    signal(SIGPIPE, SIG_IGN);
    if (direct)
        d->flow = "self-test";
    return finish(d, direct ? run_direct(d) : run_with_daemon(d, program));
}
