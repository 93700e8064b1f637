/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Messages of real phones and of the torture sets with some bytes changed, 20000 of them: the engine neither dies nor
 * keeps anything of it. */
#include "tests/unit/engine_walk.h"
#include "tests/unit/sip_files.h"

#include <dirent.h>

#define FILES_MAX 128

static struct slice files[FILES_MAX];
static unsigned file_count;

static void load(const char *folder) {
    char path[256];
    snprintf(path, sizeof path, "tests/data/sip/%s", folder);
    DIR *d = opendir(path);
    CHECK(d);
    for (const struct dirent *e; (e = readdir(d)) && file_count < FILES_MAX;) {
        struct slice s = e->d_name[0] != '.' ? sip_file(folder, e->d_name) : SLICE_NONE;
        if (s.p && s.n < WALK_TEXT - 64)
            files[file_count++] = s;
        else
            free((void *)(uintptr_t)s.p);
    }
    closedir(d);
}

static int by_content(const void *a, const void *b) {
    const struct slice *x = a, *y = b;
    int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return c ? c : (int)x->n - (int)y->n;
}

/* The order of a directory differs from machine to machine. */
static void load_all(void) {
    load("corpus");
    load("torture");
    qsort(files, file_count, sizeof *files, by_content);
}

static void step(struct walk *w) {
    static char text[WALK_TEXT + 64];
    const struct slice *s = &files[walk_pick(w, file_count)];
    uint32_t n = s->n;
    memcpy(text, s->p, n);
    if (walk_pick(w, 8))
        walk_mutate(w, text, &n);
    rig_recv(w->r, slice_of(text, n), walk_address(walk_pick(w, WALK_PHONES)));
    rig_clear(w->r);
    if (walk_pick(w, 4) == 0)
        rig_advance(w->r, (1 + walk_pick(w, 100)) * (walk_pick(w, 10) ? 10 : 1000) * RIG_MS);
    rig_clear(w->r);
}

static void run(uint64_t seed, bool auth) {
    struct engine_config c;
    struct walk *w = calloc(1, sizeof *w);
    CU_ASSERT_FATAL(w != NULL);
    walk_config(&c);
    c.auth_required = auth;
    struct route_config any = { .name = "any", .next_hop = rig_addr(walk_address(2)) };
    c.policy.routes = &any;
    rng_init(&w->rng, (struct siphash_key){ seed, 5 });
    w->r = rig_new(&c);
    for (unsigned i = 0; i < 10000; i++)
        step(w);
    bool quiet = walk_end(w);
    CHECK_TRUE(quiet);
    CHECK_TRUE(metrics_get(engine_metrics(w->r->e), M_calls_started) >= (auth ? 0 : 100));
    rig_free(w->r);
    free(w);
}

static void test_open_engine(void) {
    run(1, false);
}

static void test_engine_that_challenges(void) {
    run(2, true);
}

int main(void) {
    load_all();
    int status = UNIT_RUN("engine_mutate", UNIT(test_open_engine), UNIT(test_engine_that_challenges));
    while (file_count)
        free((void *)(uintptr_t)files[--file_count].p);
    return status;
}
