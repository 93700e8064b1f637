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

/* The first call has moved from the first to the second engine, where its transfer was refused, and talks on; its media
 * has another relay now. */
static inline struct scene scene_moved(struct engine_config *config, unsigned entry) {
    struct scene s = scene_at(config, 0, entry);
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 100000);
    rig_reply(&s.p->r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&s.p->r, CAROL, "INVITE", 603, "", NULL);
    for (unsigned i = 0; i < 2; i++) {
        rig_reply(&s.p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
        rig_reply(&s.p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
        rig_reply(&s.p->r, BOB, "NOTIFY", 200, "", NULL);
        pair_wait(s.p, 300000);
    }
    pair_wait(s.p, 4000000);
    CHECK_EQ(pair_calls(s.p, 1), 2);
    return s;
}

static inline const char *last_to(struct scene *s, enum rig_name who, const char *start, const char *method) {
    return rig_last(&s->p->r, who, start, method);
}

#endif
