/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ladder FILE: plays it; exit status 0: as expected, 1: not (the ladder so far, the difference and the engine's trace
 * are printed), 2: wrong call. */
#include "core/base/check.h"
#include "tests/ladder/ladder.h"

#include <stdio.h>
#include <stdlib.h>

static void on_check(void *arg, const char *file, int line, const char *expr) {
    fail(arg, "the engine died: %s:%d: CHECK(%s)", file, line, expr);
}

static void world_free(struct world *w) {
    for (struct packet *p = w->seen; p;) {
        struct packet *next = p->next;
        free(p);
        p = next;
    }
    for (unsigned i = 0; i < w->phone_count; i++)
        for (unsigned j = 0; j < w->phones[i].dialog_count; j++)
            dialog_reset(w, &w->phones[i].dialogs[j]);
    store_forget_queue(w);
    store_forget_unread(w);
    free(w->store_memory);
    free(w->memory);
    free(w);
}

int main(int argc, char **argv) {
    struct world *w = calloc(1, sizeof *w);
    bool durable = argc == 3 && strcmp(argv[1], "--durable") == 0;
    if ((argc != 2 && !durable) || !w) {
        fprintf(stderr, "usage: ladder [--durable] FILE     durable: everything that promises waits for its record\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    world_init(w, argv[argc - 1]);
    w->cfg.durability = durable ? DURABILITY_CONFIRMED : DURABILITY_OFF;
    check_set_hook(on_check, w);
    play(w, argv[argc - 1]);
    if (!w->ended)
        world_leftover(w);
    world_free(w);
    return 0;
}
