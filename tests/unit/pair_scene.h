/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Two calls of a pair_rig that a transfer is to bring together.
 */
#ifndef REFEREE_TESTS_PAIR_SCENE_H
#define REFEREE_TESTS_PAIR_SCENE_H

#include "tests/unit/pair_calls.h"

struct scene {
    struct pair *p;
    struct rig_dialog a, b; /* ALICE talks with BOB */
    struct rig_dialog c, d; /* BOB asks CAROL */
};

/* The first call at that engine, the other one at the other. */
static inline struct scene scene_at(struct engine_config *config, unsigned first, unsigned entry) {
    struct scene s = { .p = pair_new(config) };
    pair_entry(s.p, entry);
    pair_call_at(s.p, &s.a, &s.b, first, ALICE, BOB);
    pair_call_at(s.p, &s.c, &s.d, !first, BOB, CAROL);
    return s;
}

static inline const char *last_to(struct scene *s, enum rig_name who, const char *start, const char *method) {
    return rig_last(&s->p->r, who, start, method);
}

#endif
