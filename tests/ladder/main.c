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
    free(w->memory);
    free(w);
}

int main(int argc, char **argv) {
    struct world *w = calloc(1, sizeof *w);
    if (argc != 2 || !w) {
        fprintf(stderr, "usage: ladder FILE\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    world_init(w, argv[1]);
    check_set_hook(on_check, w);
    play(w, argv[1]);
    if (!w->ended)
        world_leftover(w);
    world_free(w);
    return 0;
}
