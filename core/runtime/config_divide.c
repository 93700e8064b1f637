/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/member.h"
#include "core/runtime/config_schema.h"
#include "rtp/port_pool.h"

#include <stdlib.h>
#include <string.h>

static struct config_list *list_at(struct config *c, const struct config_list_def *d) {
    return (struct config_list *)(void *)((uint8_t *)c + d->offset);
}

static struct config *copy_of(const struct config *c) {
    struct config *copy = malloc(sizeof *copy);
    bool ok = true;
    if (!copy)
        return NULL;
    *copy = *c;
    for (uint32_t i = 0; i < config_list_count; i++) {
        struct config_list *l = list_at(copy, &config_lists[i]);
        size_t n = config_lists[i].item_size * l->count;
        void *items = n ? malloc(n) : NULL;
        if (items)
            memcpy(items, l->items, n);
        ok = ok && (items || !n);
        l->items = items;
    }
    if (ok)
        return copy;
    config_free(copy);
    return NULL;
}

static uint32_t share(uint32_t whole, uint32_t shards) {
    return (whole + shards - 1) / shards;
}

static void divide_ports(struct engine_config *n, uint32_t shard, uint32_t shards) {
    uint32_t pairs = port_pool_pairs(n->media_port_min, n->media_port_max);
    n->media_own_first = pairs * shard / shards;
    n->media_own_end = pairs * (shard + 1) / shards;
}

/* Each listens for the other nodes by itself, one port after the other. */
static void become_member(struct config *own, uint32_t shard) {
    own->engine.node = member_of(own->engine.node, shard);
    if (own->cluster_listen.port)
        own->cluster_listen.port = (uint16_t)(own->cluster_listen.port + shard);
    if (own->cluster_advertise.port)
        own->cluster_advertise.port = (uint16_t)(own->cluster_advertise.port + shard);
}

struct config *config_for_shard(const struct config *c, uint32_t shard) {
    struct config *own = copy_of(c);
    if (!own)
        return NULL;
    struct engine_config *n = &own->engine;
    config_point_policy(own);
    n->shard = (uint16_t)shard;
    n->seed.k0 ^= (uint64_t)shard << 32;
    if (n->node)
        become_member(own, shard);
    divide_ports(n, shard, c->shards);
    n->calls_max = share(n->calls_max, c->shards);
    n->txns_max = share(n->txns_max, c->shards);
    n->failures = share(n->failures, c->shards);
    own->store_records = share(own->store_records, c->shards);
    return own;
}

struct fastpath_options config_fastpath(const struct config *c) {
    const struct engine_config *n = &c->engine;
    return (struct fastpath_options){ .mode = (enum fastpath_mode)c->fastpath,
                                      .addresses = c->media_bind,
                                      .address_count = c->media_address.count,
                                      .first_port = n->media_port_min,
                                      .last_port = n->media_port_max,
                                      .pairs = port_pool_pairs(n->media_port_min, n->media_port_max),
                                      .pins = c->fastpath_pins };
}
