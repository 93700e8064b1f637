/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/sim/sim.h"

uint64_t sim_mix(uint64_t a, uint64_t b) {
    uint64_t z = a + 0x9e3779b97f4a7c15ull * (b + 1);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t sim_next(struct sim_rng *r) {
    r->s += 0x9e3779b97f4a7c15ull;
    return sim_mix(r->s, 0);
}

uint32_t sim_below(struct sim_rng *r, uint32_t n) {
    return (uint32_t)(sim_next(r) % n);
}

bool sim_chance(struct sim_rng *r, uint32_t percent) {
    return sim_below(r, 100) < percent;
}

/* Keyed by the time and by how many draws there were at it: what happens at other times does not matter. */
uint32_t sim_draw(struct world *w, uint32_t who, uint32_t n) {
    if (w->draw_at != w->now) {
        w->draw_at = w->now;
        w->draw_n = 0;
    }
    return (uint32_t)(sim_mix(sim_mix(w->seed, w->now), ((uint64_t)who << 32) + w->draw_n++) % n);
}

bool sim_draw_chance(struct world *w, uint32_t who, uint32_t percent) {
    return sim_draw(w, who, 100) < percent;
}

void txt_set(struct txt *t, struct slice s) {
    t->n = (uint16_t)(s.n < sizeof t->p ? s.n : sizeof t->p);
    if (t->n)
        memmove(t->p, s.p, t->n);
}
