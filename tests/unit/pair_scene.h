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

static inline const char *last_to(struct scene *s, enum rig_name who, const char *start, const char *method) {
    return rig_last(&s->p->r, who, start, method);
}

#endif
