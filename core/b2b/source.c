/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/source.h"

#include "core/b2b/policy.h"
#include "core/b2b/state.h"

#define SECOND_US 1000000u

void source_init(struct engine *e, struct arena *a) {
    if (e->cfg.per_source)
        e->sources.sets = arena_take(a, SOURCE_SETS * sizeof *e->sources.sets);
}

/* Which set cannot be foreseen from outside; the address itself is compared. */
static struct source_rate *rate_of(struct engine *e, const struct addr *src) {
    uint64_t who[2];
    memcpy(who, src->ip, sizeof who);
    if (src->family == ADDR_V6)
        who[1] = 0;
    uint64_t h = ((who[0] ^ e->map_key.k0) + who[1]) * (e->map_key.k1 | 1);
    struct source_rate *set = e->sources.sets[(h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 52];
    struct source_rate *least = &set[0];
    _Static_assert(SOURCE_SETS == 1u << 12, "bits of the hash that are left");
    for (unsigned i = 0; i < SOURCE_WAYS; i++) {
        if (set[i].who[0] == who[0] && set[i].who[1] == who[1])
            return &set[i];
        if (set[i].due_us < least->due_us)
            least = &set[i];
    }
    *least = (struct source_rate){ .who = { who[0], who[1] } };
    return least;
}

static bool is_within_rate(struct engine *e, const struct addr *src) {
    struct source_rate *r = rate_of(e, src);
    uint64_t due = r->due_us > e->now ? r->due_us : e->now;
    if (due > e->now + SOURCE_BURST_US)
        return false;
    r->due_us = due + SECOND_US / e->cfg.per_source;
    return true;
}

bool source_admits(struct engine *e, const struct addr *src) {
    if (e->sources.denies) {
        const struct peer_config *p = policy_peer(e, src);
        if (p && p->deny) {
            metrics_add(&e->metrics, M_source_denied, 1);
            return false;
        }
    }
    if (!e->sources.sets || is_within_rate(e, src))
        return true;
    const struct peer_config *p = policy_peer(e, src);
    if (p && p->trusted)
        return true;
    metrics_add(&e->metrics, M_source_limited, 1);
    return false;
}
