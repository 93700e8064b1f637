/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Media addresses that move: a node's comes to another one some time after it is gone (VRRP, or whoever sees to it),
 * and goes back when it is there again. Each notices that somewhat later, by its sockets. */
#include "core/b2b/anchor.h"
#include "tests/sim/sim_cluster.h"

#include <stdio.h>

#define SECOND 1000000ull
#define NOTICED_US 100000
/* For who is told of another address: takeover, the wait for the address, glare, a re-INVITE that is not answered. */
#define TOLD_US (15 * SECOND)

/* Of the address in that node's configuration. */
static unsigned index_at(unsigned node, unsigned address) {
    return address < node ? address : address - 1;
}

void vip_config(const struct world *w, unsigned i, struct engine_config *config) {
    config->media_addr.ip[3] = vip_host(w->cluster->node[i].node);
    for (unsigned k = 0; w->script.setup.vips && k < w->cluster->n; k++) {
        if (k == i)
            continue;
        config->media_vips[index_at(i, k)] = config->media_addr;
        config->media_vips[index_at(i, k)].ip[3] = vip_host(k);
        config->media_vip_count++;
    }
}

void vip_begin(struct world *w) {
    for (unsigned i = 0; i < SIM_NODES; i++)
        w->cluster->address_at[i] = (uint8_t)i;
    w->cluster->address_moved = w->now;
    memset(w->cluster->away, 0, sizeof w->cluster->away);
}

static void tell(struct world *w, unsigned node, unsigned address, bool here) {
    struct event ev = { .kind = EV_ADDRESS };
    if (node == address || node == SIM_NODES || !w->cluster->node[node].runs)
        return;
    ev.u.address.index = index_at(node, address);
    ev.u.address.here = here;
    cluster_event(w, node, &ev, w->now + NOTICED_US);
}

static void moves(struct world *w, unsigned address, unsigned to) {
    struct sim_cluster *c = w->cluster;
    unsigned from = c->address_at[address];
    if (from == to)
        return;
    if (w->opt.verbose)
        printf("%6llu.%06llu the media address of node %u goes to node %u\n", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), address + 1, to + 1);
    c->address_at[address] = (uint8_t)to;
    c->address_moved = w->now;
    tell(w, from, address, false);
    tell(w, to, address, true);
}

void vip_starts(struct world *w, unsigned i) {
    if (w->script.setup.vips)
        moves(w, i, i);
}

void vip_stops(struct world *w, unsigned i) {
    static const uint32_t after[] = { 100000, 1000000, 3000000, 8000000 };
    for (unsigned k = 0; w->script.setup.vips && k < w->cluster->n; k++)
        if (w->cluster->address_at[k] == i)
            world_push(w, &(struct sim_item){ .at = w->now + after[sim_draw(w, 122, 4)], .kind = ITEM_ADDRESS,
                                              .who = (uint8_t)k });
}

void vip_item(struct world *w, const struct sim_item *item) {
    struct sim_cluster *c = w->cluster;
    unsigned first = sim_draw(w, 123, c->n), at = c->address_at[item->who];
    if (c->node[at].runs)
        return;
    for (unsigned k = 0; k < c->n; k++) {
        unsigned i = (first + k) % c->n;
        if (c->node[i].runs && !c->node[i].asleep) {
            moves(w, item->who, i);
            return;
        }
    }
    world_push(w, &(struct sim_item){ .at = w->now + SECOND, .kind = ITEM_ADDRESS, .who = item->who });
}

void vip_check(struct world *w, const struct leg *l, uint8_t host) {
    struct sim_cluster *c = w->cluster;
    uint64_t id = sim_mix(call_get(w->e, l->call)->id, l->number);
    struct sim_away *a = &c->away[id % SIM_AWAY];
    unsigned at = c->address_at[host - vip_host(0)];
    if (a->id != id)
        *a = (struct sim_away){ .id = id };
    if (at == c->node[c->at].node)
        a->since = 0;
    else if (!a->since || a->moved < c->address_moved)
        *a = (struct sim_away){ .id = id, .since = w->now, .moved = w->now };
    else if (w->now > a->since + TOLD_US)
        sim_fail(w, "a phone sends to an address of node %u, and its call is at node %s", at + 1,
                 shards_name(w, c->at));
}
