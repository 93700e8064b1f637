/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* kill [--flow NAME] [--cell FLOW/VARIANT/N]: the matrix, or a part of it. Exit status 0: nothing was lost. */
#include "tests/kill/kill.h"

#include <malloc.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CELLS_MAX 4096
#define RUNNING_MAX 3
#define FLOW_LIMIT (900 * SEC)

static const struct flow flows[] = {
    { .name = "replace", .kind = ATTENDED },
    { .name = "join", .kind = ATTENDED, .no_replaces = true },
    { .name = "blind", .kind = BLIND },
    { .name = "semi", .kind = SEMI },
    { .name = "relay-splice", .kind = ATTENDED, .refer = REFER_RELAY },
    { .name = "relay-forward", .kind = ATTENDED, .refer = REFER_RELAY, .relay = RELAY_FORWARD_REPLACES },
    { .name = "relay-blind", .kind = BLIND, .refer = REFER_RELAY },
    { .name = "late-offer", .kind = ATTENDED, .no_replaces = true, .splice = SPLICE_LATE },
    { .name = "busy", .kind = ATTENDED, .target_says = 486, .must_fail = true },
    { .name = "blind-busy", .kind = BLIND, .target_says = 486, .must_fail = true },
    { .name = "refused", .kind = ATTENDED, .transferee_says = 488, .must_fail = true },
    { .name = "join-refused", .kind = ATTENDED, .no_replaces = true, .transferee_says = 488, .must_fail = true },
};

struct variant {
    const char *name;
    unsigned nodes;
    bool split, own_media;
};
static const struct variant variants[] = {
    { "2-one-vip", 2, false, false },
    { "2-two-own", 2, true, true },
    { "3-one-own", 3, false, true },
    { "3-two-vip", 3, true, false },
};

struct cell {
    bool ran;
    enum outcome outcome;
    unsigned redialled;
    char at[80], why[300];
};

/* What the copies write. */
static struct cell *cells;
static unsigned cell_n, running, only;
static bool in_step;
static int cell = -1; /* this copy's */

static void reap(unsigned most) {
    int status;
    while (running > most && wait(&status) > 0)
        running--;
}

bool matrix_fork(void) {
    int status = 0;
    if (cell < 0)
        return false;
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        return true;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status))
        lost("when the far end hangs up: %s", cells[cell].why[0] ? cells[cell].why : "the engine died of it");
    return false;
}

static void describe_point(const struct out *next, char *out, size_t cap) {
    const char *text = "";
    int n = 0;
    if (next && next->kind == OUT_SEND) {
        text = (const char *)next->u.send.buf->data;
        n = (int)strcspn(text, "\r");
    }
    static const char *const verbs[] = { "put", "get", "delete", "load", "owner", "claim", "release", "lease" };
    const char *what = !next ? "behind all" : next->kind == OUT_SEND ? "before " : next->kind == OUT_STORE ?
                       "before the write " : "before a word to a peer";
    snprintf(out, cap, "%.3f s: %s%.*s%s", (double)(K.w->now - RIG_START_US) / 1e6, what, n > 40 ? 40 : n, text,
             next && next->kind == OUT_STORE ? verbs[next->u.store.verb] : "");
}

/* The copy of this process in which the engine dies here goes on from there. */
static bool cell_begins(unsigned engine, const struct out *next) {
    CHECK(cell_n < CELLS_MAX);
    unsigned mine = cell_n++;
    describe_point(next, cells[mine].at, sizeof cells[mine].at);
    if (only && only != mine + 1)
        return false;
    reap(RUNNING_MAX - 1);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    running++;
    if (child)
        return false;
    cell = (int)mine;
    K.dead = (int)engine;
    K.died_at = K.w->now;
    return true;
}

/* Each message and each write: before it, and behind the last one of the step. */
static bool dies(struct cluster *w, unsigned engine, const struct out *next) {
    (void)w;
    if (K.dead >= 0 || !P.step)
        return false;
    bool visible = next && (next->kind == OUT_SEND || next->kind == OUT_STORE || next->kind == OUT_PEER);
    bool ours = has_calls(engine) || (next && next->kind == OUT_STORE) || (!next && in_step);
    bool point = ours && (visible || (!next && in_step));
    in_step = next ? in_step || (visible && ours) : false;
    return point && cell_begins(engine, next);
}

static void cell_ends(void) {
    struct cell *c = &cells[cell];
    c->ran = true;
    c->redialled = K.redialled;
    c->outcome = K.why[0] ? OUT_LOST : P.outcome;
    snprintf(c->why, sizeof c->why, "%s", K.why);
    if (verbose && K.why[0])
        print_traces();
    fflush(NULL);
    _exit(K.why[0] != '\0');
}

/* The flow without a death; false: it does not even go so. */
static bool walk(const struct flow *f, const struct variant *v) {
    memset(cells, 0, CELLS_MAX * sizeof *cells);
    cell_n = 0;
    world_begin(f, v->nodes, v->split, v->own_media);
    K.w->dies = dies;
    people_begin();
    world_run_until(K.w->now + FLOW_LIMIT);
    if (!people_are_done() && !K.why[0])
        lost("it takes too long");
    if (cell >= 0)
        cell_ends();
    reap(0);
    if (!K.why[0] && P.outcome != (f->must_fail ? OUT_BACK : OUT_DONE))
        lost("the outcome is another one");
    if (K.why[0])
        printf("%s %s, nobody dies: %s\n", f->name, v->name, K.why);
    bool good = !K.why[0];
    world_end();
    return good;
}

struct sum {
    unsigned cells, ran, outcomes[OUTCOMES], redialled;
};

static void add_up(const struct flow *f, const struct variant *v, struct sum *all) {
    struct sum s = { .cells = only ? 1 : cell_n };
    for (unsigned i = 0; i < cell_n; i++) {
        const struct cell *c = &cells[i];
        if (only && only != i + 1)
            continue;
        bool is_lost = !c->ran || c->outcome == OUT_LOST;
        s.ran++;
        s.redialled += c->redialled > 0;
        s.outcomes[is_lost ? OUT_LOST : c->outcome]++;
        if (is_lost)
            printf("LOST %s/%s/%u, death at %s: %s\n", f->name, v->name, i + 1, c->at,
                   c->why[0] ? c->why : "the engine died of it");
        else if (c->outcome == OUT_BACK && !f->must_fail)
            printf("rolled back, the REFER refused: %s/%s/%u, death at %s\n", f->name, v->name, i + 1, c->at);
    }
    printf("%-14s %-10s %5u %5u %9u %11u %5u %13u\n", f->name, v->name, s.cells, s.ran, s.outcomes[OUT_DONE],
           s.outcomes[OUT_BACK], s.outcomes[OUT_LOST], s.redialled);
    all->cells += s.cells;
    all->ran += s.ran;
    for (unsigned i = 0; i < OUTCOMES; i++)
        all->outcomes[i] += s.outcomes[i];
}

static void say_check(void *arg, const char *file, int line, const char *expr) {
    (void)arg;
    printf("%s:%d: CHECK(%s) failed\n", file, line, expr);
    if (cell >= 0)
        snprintf(cells[cell].why, sizeof cells[cell].why, "%s:%d: CHECK(%s)", file, line, expr);
}

int main(int argc, char **argv) {
    const char *flow = argc > 2 ? argv[2] : NULL;
    char part_name[3][40] = { "", "", "" };
    struct sum all = { 0 };
    bool good = true;
    if (flow)
        sscanf(flow, "%39[^/]/%39[^/]/%39s", part_name[0], part_name[1], part_name[2]);
    only = (unsigned)strtoul(part_name[2], NULL, 10);
    verbose = only > 0;
    check_set_hook(say_check, NULL);
    /* What a world had goes back to the kernel with it: each cell is a copy of all that this process holds. */
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    cells = mmap(NULL, CELLS_MAX * sizeof *cells, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(cells != MAP_FAILED);
    printf("%-14s %-10s %5s %5s %9s %11s %5s %13s\n", "flow", "nodes", "cells", "run", "completed", "rolled back",
           "lost", "dialled again");
    for (unsigned i = 0; i < sizeof flows / sizeof *flows; i++)
        for (unsigned k = 0; k < sizeof variants / sizeof *variants; k++) {
            if (flows[i].must_fail && k % 2) /* what fails is moved as what succeeds is */
                continue;
            if ((part_name[0][0] && strcmp(part_name[0], flows[i].name) != 0) ||
                (part_name[1][0] && strcmp(part_name[1], variants[k].name) != 0))
                continue;
            good = walk(&flows[i], &variants[k]) && good;
            add_up(&flows[i], &variants[k], &all);
            fflush(NULL);
        }
    printf("kill matrix: enumerated %u, run %u, skipped %u, completed %u, rolled back %u, lost %u\n", all.cells,
           all.ran, all.cells - all.ran, all.outcomes[OUT_DONE], all.outcomes[OUT_BACK], all.outcomes[OUT_LOST]);
    return !good || all.outcomes[OUT_LOST] || !all.ran;
}
