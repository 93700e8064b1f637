/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The leases' clock. It stands still while no lease has anything to do: every bucket is where it should be, every node
 * lives and reaches the store and the others, and all that a lease would do is to renew itself and to look whether
 * all is as it was. Whatever happens to a node, a link or the store makes it go on where it stood, for all of them and
 * for the store's own view of their lives; engines and phones do not notice. */
#include "store/lease_state.h"
#include "tests/sim/sim_cluster.h"

#define STIRS_US 6000000ull /* at least so long behind whatever happened: renewals come at any moment of that */

uint64_t cluster_lease_now(const struct world *w) {
    const struct sim_cluster *c = w->cluster;
    return (c->rests_since ? c->rests_since : w->now) - c->rested_us;
}

uint64_t cluster_lease_due(const struct world *w, unsigned i) {
    const struct sim_cluster *c = w->cluster;
    uint64_t due = lease_deadline(c->node[i].l);
    due = c->node[i].gossip < due ? c->node[i].gossip : due;
    return c->rests_since || w->script.setup.lone ? UINT64_MAX : due + c->rested_us;
}

void cluster_stir(struct world *w) {
    struct sim_cluster *c = w->cluster;
    if (c->rests_since)
        c->rested_us += w->now - c->rests_since;
    c->rests_since = 0;
    c->stirred_at = w->now;
}

/* One that is being given waits for the end of its calls: that is told. */
static bool is_at_home(const struct lease *l, const struct lease_bucket *b) {
    if (b->asked || b->reclaim)
        return false;
    switch ((enum bucket_state)b->state) {
    case AT_MINE: return b->target == l->cfg.node;
    case AT_GIVING: return b->target != l->cfg.node;
    case AT_OTHERS: return b->read && b->owner && b->owner != l->cfg.node && !lease_is_dead(l, b->owner, 0);
    case AT_UNKNOWN:
    case AT_CLAIMING:
    case AT_LOADING:
    case AT_RELEASING: break;
    }
    return false;
}

static bool is_settled(const struct lease *l) {
    if (l->suspended || l->draining || l->unsure || !lease_store_ok(l) || l->nodes_changed)
        return false;
    for (unsigned i = 0; i < LIMIT_BUCKETS; i++)
        if (!is_at_home(l, &l->buckets[i]))
            return false;
    return true;
}

static bool is_disturbed(const struct world *w, unsigned i) {
    const struct sim_cluster *c = w->cluster;
    const struct sim_node *n = &c->node[i];
    for (unsigned k = 0; k < c->n; k++)
        if (w->now < c->link_cut[i][k])
            return true;
    return !n->runs || n->asleep || n->leaves || n->waiting || w->now < n->cut_until;
}

void cluster_rest(struct world *w) {
    struct sim_cluster *c = w->cluster;
    bool rests = w->now >= c->stirred_at + STIRS_US && w->now >= w->faults.down_until;
    for (unsigned i = 0; i < c->n; i++)
        rests = rests && !is_disturbed(w, i);
    for (unsigned i = 0; i < c->n; i++)
        rests = rests && is_settled(c->node[i].l);
    if (rests)
        c->rests_since = w->now;
}
