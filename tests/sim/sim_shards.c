/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shards: engines that share a node. They die, sleep and leave together, have a part each of its media ports, and
 * speak by mailboxes, in order, which take their time. As core/runtime does it: shards.c, shard_mail.c, node.c,
 * steering.c, config_divide.c. */
#include "core/base/member.h"
#include "tests/sim/sim_cluster.h"

#include <stdio.h>

#define MAIL_US 5
#define SHARDS_SHARE 35 /* percent of worlds with nodes */
#define LONE_SHARE 15   /* of those */

/* ---- drawn with the world ---- */

void shards_setup(struct sim_setup *u, uint64_t seed, bool all) {
    static const uint32_t late[] = { 10, 200, 3000, 40000 }, lost[] = { 0, 0, 20 };
    struct sim_rng r = { sim_mix(seed, 97) };
    if (!sim_chance(&r, SHARDS_SHARE) && !all)
        return;
    u->lone = sim_chance(&r, LONE_SHARE);
    u->nodes = u->lone ? 1 : u->nodes;
    u->shards = u->nodes == 2 ? (uint8_t)(1 + sim_below(&r, 3)) : (uint8_t)(1 << sim_below(&r, u->nodes));
    u->steered = sim_chance(&r, 50);
    u->mail_us = late[sim_below(&r, 4)];
    u->mail_loss = lost[sim_below(&r, 3)];
    u->vips = false; /* refused with several shards */
}

static void add(struct sim_cluster *c, unsigned node, unsigned shard, unsigned shards) {
    struct sim_node *n = &c->node[c->n++];
    n->node = (uint8_t)node;
    n->shard = (uint8_t)shard;
    n->shards = (uint8_t)shards;
    n->number = member_of(node + 1, shard);
}

void shards_begin(struct world *w) {
    const struct sim_setup *u = &w->script.setup;
    struct sim_cluster *c = w->cluster;
    c->n = 0;
    for (unsigned node = 0; node < u->nodes; node++) {
        unsigned shards = 1 + (u->shards >> node & 1u);
        for (unsigned k = 0; k < shards; k++)
            add(c, node, k, shards);
    }
}

unsigned shards_pairs(const struct world *w) {
    return w->script.setup.shards ? 2 * SIM_PORT_PAIRS : SIM_PORT_PAIRS;
}

void shards_config(const struct world *w, unsigned i, struct engine_config *config) {
    const struct sim_node *n = &w->cluster->node[i];
    uint32_t pairs = shards_pairs(w);
    config->media_port_max = (uint16_t)(SIM_PORT_MIN + 2 * pairs - 1);
    config->node = w->script.setup.lone ? 0 : n->number;
    if (n->shards < 2)
        return;
    config->shard = n->shard;
    config->shards = n->shards;
    config->seed.k0 ^= (uint64_t)n->shard << 32;
    config->media_own_first = pairs * n->shard / n->shards;
    config->media_own_end = pairs * (n->shard + 1u) / n->shards;
}

/* ---- who is who ---- */

const char *shards_name(const struct world *w, unsigned i) {
    static const char *const names[SIM_NODES][2] = { { "1", "1b" }, { "2", "2b" }, { "3", "3b" } };
    return names[w->cluster->node[i].node][w->cluster->node[i].shard];
}

bool shards_are_siblings(const struct world *w, unsigned i, unsigned k) {
    return w->cluster->node[i].node == w->cluster->node[k].node;
}

unsigned shards_index(const struct world *w, uint32_t number) {
    unsigned i = 0;
    while (i + 1 < w->cluster->n && w->cluster->node[i].number != number)
        i++;
    return i;
}

/* As its siblings know it. */
uint32_t shards_peer(const struct world *w, unsigned i) {
    return w->script.setup.lone ? w->cluster->node[i].shard + 1u : w->cluster->node[i].number;
}

/* ---- which of them the kernel gives a message to ---- */

void shards_has(struct world *w, unsigned i, uint16_t bucket) {
    w->cluster->shard_of[w->cluster->node[i].node][bucket] = w->cluster->node[i].shard;
}

/* Each node's first shard, and its bucket's: what there is no bucket in goes by addresses alone, as all does where
 * nothing is steered. */
unsigned shards_pick(const struct world *w, unsigned node, const struct packet *p) {
    const struct sim_cluster *c = w->cluster;
    unsigned first = 0;
    while (c->node[first].node != node)
        first++;
    const struct sim_node *n = &c->node[first];
    if (n->shards < 2 || !n->runs)
        return first;
    struct steer s = steer_bytes(&n->e->owners.steering, slice_of(p->data, p->n));
    if (!w->script.setup.steered || s.by == STEER_NOTHING)
        return first + (unsigned)(sim_mix(w->seed, p->from) % n->shards);
    return first + c->shard_of[node][s.bucket];
}

/* ---- mail ---- */

static uint64_t arrival(struct world *w, unsigned from, unsigned to) {
    uint64_t *last = &w->cluster->link_last[from][to];
    uint64_t at = w->now + MAIL_US + sim_draw(w, 124, w->script.setup.mail_us + 1);
    *last = at > *last ? at : *last;
    return *last;
}

void shards_mail(struct world *w, unsigned from, unsigned to, const struct event *ev, struct slice bytes) {
    bool again = ev->kind == EV_PEER && ev->u.peer.what == PEER_DATAGRAM;
    if (!again || sim_draw(w, 125, 1000) >= w->script.setup.mail_loss)
        cluster_fly(w, to, ev, bytes, arrival(w, from, to));
}

void shards_tell(struct world *w, unsigned from, unsigned to, const struct lease_input *in) {
    struct event none = { .kind = EV_DEADLINE };
    struct sim_fly *f = cluster_fly(w, to, &none, SLICE_NONE, arrival(w, from, to));
    f->tells = true;
    f->in = *in;
}

/* The kernel tells one of the sockets of a port. */
void shards_unreachable(struct world *w, const struct event *ev) {
    unsigned from = w->cluster->at;
    for (unsigned k = 0; k < w->cluster->n; k++)
        if (k != from && shards_are_siblings(w, from, k) && w->cluster->node[k].runs)
            shards_mail(w, from, k, ev, SLICE_NONE);
}

/* ---- ports: they come with their call, and go home when it is over ---- */

static bool is_of(const struct sim_node *n, uint32_t pair) {
    return pair >= n->e->cfg.media_own_first && pair < n->e->cfg.media_own_end;
}

void shards_media(struct world *w, const struct media_cmd *cmd) {
    const struct sim_cluster *c = w->cluster;
    struct event ev = { .kind = EV_MEDIA };
    ev.u.media.what = MEDIA_EV_RETURNED;
    ev.u.media.stream = cmd->stream;
    for (unsigned k = 0; k < c->n; k++) {
        const struct sim_node *n = &c->node[k];
        if (k == c->at || !n->runs || !shards_are_siblings(w, c->at, k))
            continue;
        if (cmd->verb == MEDIA_OPEN && n->relay.streams[cmd->stream].open)
            sim_fail(w, "two shards have the pair of ports %u", (unsigned)cmd->stream);
        if (cmd->verb == MEDIA_CLOSE && is_of(n, cmd->stream))
            shards_mail(w, c->at, k, &ev, SLICE_NONE);
    }
}

void shards_check_ports(struct world *w) {
    const struct port_pool *p = &w->e->ports;
    for (uint32_t i = 0; cluster_on(w) && i < p->count; i++)
        if (p->slots[i].home == PORT_LENT || p->slots[i].home == PORT_LENT_TAKEN ||
            p->slots[i].home == PORT_FOREIGN_TAKEN)
            sim_fail(w, "a pair of ports has not come home: %u", (unsigned)i);
}

/* ---- a node that is in no cluster: its buckets are divided for good ---- */

unsigned shards_lone_owner(const struct world *w, uint16_t bucket) {
    return bucket % w->cluster->n;
}

void shards_divide(struct world *w, unsigned i) {
    struct sim_node *n = &w->cluster->node[i];
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
        w->cluster->shard_of[n->node][b] = (uint8_t)(b % n->shards);
    for (unsigned b = 0; w->script.setup.lone && b < LIMIT_BUCKETS; b++) {
        unsigned owner = shards_lone_owner(w, (uint16_t)b);
        struct event ev = { .kind = EV_BUCKET };
        ev.u.bucket.what = owner == i ? BUCKET_MINE : BUCKET_OWNER;
        ev.u.bucket.bucket = (uint16_t)b;
        ev.u.bucket.peer = owner == i ? PEER_NONE : shards_peer(w, owner);
        ev.mono_us = w->now;
        ev.wall_ms = SIM_WALL_MS + w->now / 1000;
        engine_step(n->e, &ev, &w->out);
        w->out.n = 0; /* nothing is there yet that it could be about */
    }
}

/* ---- the end of one that has been drained ---- */

#define PASS_US 500000 /* it passes on so long what comes late */

static bool are_drained(const struct world *w, unsigned i) {
    for (unsigned k = 0; k < w->cluster->n; k++)
        if (shards_are_siblings(w, i, k) && !w->cluster->node[k].drained)
            return false;
    return true;
}

void shards_drained(struct world *w, unsigned i) {
    struct sim_node *n = &w->cluster->node[i];
    if (n->ends || !are_drained(w, i))
        return;
    n->ends = true;
    world_push(w, &(struct sim_item){ .at = w->now + PASS_US, .kind = ITEM_ENDS, .who = (uint8_t)i, .gen = n->life });
}
