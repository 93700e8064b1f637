/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "bench/demo/demo.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A lease of 3 s and its grace, the claim, and the next retransmission of whoever waits. */
#define GAP_LIMIT_US 9000000u

static bool read_node(struct demo_cluster *c, const char *line) {
    struct demo_node *n = &c->nodes[c->n];
    if (c->n == DEMO_NODES_MAX || sscanf(line, "node %u %d %255s", &n->number, &n->pid, n->socket) != 3 || n->pid <= 0)
        return false;
    c->n++;
    return true;
}

static bool read_line(struct demo *d, const char *line) {
    char text[DEMO_ADDR_MAX];
    unsigned first, last;
    if (sscanf(line, "phones %47s", text) == 1)
        return addr_parse_ip(slice_str(text), &d->local) && d->local.family == ADDR_V4;
    if (sscanf(line, "registrar %47s", text) == 1) {
        snprintf(d->domain, sizeof d->domain, "%s", text);
        return addr_parse(slice_str(text), 5060, &d->registrar) && d->registrar.family == ADDR_V4;
    }
    if (sscanf(line, "media %u %u", &first, &last) == 2 && first < last && last <= UINT16_MAX) {
        d->daemon.media_first = (uint16_t)first;
        d->daemon.media_last = (uint16_t)last;
        return true;
    }
    return read_node(&d->cluster, line);
}

bool cluster_read(struct demo *d, const char *path) {
    char line[512];
    FILE *f = fopen(path, "re");
    bool good = f != NULL;
    while (good && fgets(line, sizeof line, f)) {
        good = read_line(d, line);
        if (!good)
            fprintf(stderr, "%s: not understood: %s", path, line);
    }
    if (!f)
        perror(path);
    else
        fclose(f);
    if (good && (!d->cluster.n || !d->registrar.port || !d->daemon.media_last)) {
        fprintf(stderr, "%s: registrar, media and a node are needed\n", path);
        good = false;
    }
    d->gap_limit_us = d->flow.death ? GAP_LIMIT_US : d->gap_limit_us;
    return good;
}

static unsigned long long held(const struct demo_node *n, const char *what) {
    struct leftover l;
    if (!leftover_ask(n->socket, &l))
        return 0;
    for (unsigned i = 0; i < l.n; i++)
        if (strcmp(l.name[i], what) == 0)
            return l.value[i];
    return 0;
}

/* It does not even answer its admin socket. */
static bool is_gone(const struct demo_node *n) {
    struct leftover l;
    for (unsigned i = 0; i < 100; i++) {
        if (!leftover_ask(n->socket, &l))
            return true;
        usleep(10000);
    }
    return false;
}

void cluster_kill(struct demo *d, const char *what) {
    char text[96];
    for (unsigned i = 0; i < d->cluster.n; i++) {
        struct demo_node *n = &d->cluster.nodes[i];
        if (n->dead || !held(n, what))
            continue;
        n->dead = kill(n->pid, SIGKILL) == 0 && is_gone(n);
        d->cluster.died_us = clock_us();
        snprintf(text, sizeof text, "node %u, which has the %.*s, is killed (SIGKILL)", n->number,
                 (int)strlen(what) - 1, what);
        ladder_note(d, text);
        if (!n->dead)
            demo_say(d, false, "node %u cannot be killed", n->number);
        return;
    }
    demo_fail(d, "no node says that it has it");
}

void cluster_heard(struct demo *d) {
    char text[96];
    struct demo_cluster *c = &d->cluster;
    if (!c->died_us || c->back)
        return;
    c->back = true;
    snprintf(text, sizeof text, "another node goes on, %.0f ms later", (double)(clock_us() - c->died_us) / 1000);
    ladder_note(d, text);
}

static bool node_leftover(struct demo *d, const struct demo_node *n) {
    char name[32];
    struct leftover l = { 0 };
    uint64_t limit = clock_us() + 4 * DEMO_LIMIT_US;
    const char *left = "answer from the admin socket";
    while (left && clock_us() < limit && !demo_interrupted()) {
        if (leftover_ask(n->socket, &l))
            left = leftover_first(&l, !d->quick);
        if (left)
            demo_run(d, 200000);
    }
    snprintf(name, sizeof name, "node %u", n->number);
    leftover_print(&l, name);
    if (left)
        demo_say(d, false, "node %u: left over, or not told: %s", n->number, left);
    return !left;
}

bool cluster_leftover(struct demo *d) {
    unsigned living = 0;
    bool good = true;
    for (unsigned i = 0; i < d->cluster.n; i++) {
        if (d->cluster.nodes[i].dead)
            continue;
        living++;
        good = node_leftover(d, &d->cluster.nodes[i]) && good;
    }
    demo_say(d, good, "no dialog, %sport or record is left over in the %u nodes that live",
             d->quick ? "" : "timer, ", living);
    return good;
}
