/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/chain.h"

#include "core/base/check.h"

void chain_init(struct chain *c, struct arena *a, const struct pool *pool, uint32_t node, uint32_t count) {
    uint32_t heads = 1;
    CHECK(count <= UINT32_C(1) << 30);
    while (heads < count)
        heads *= 2;
    *c = (struct chain){ .pool = pool, .node = node, .mask = heads - 1 };
    c->heads = arena_take(a, (size_t)heads * sizeof *c->heads);
}

static void *object_of(const struct chain *c, uint32_t place) {
    return c->pool->objects + (size_t)(place - 1) * c->pool->size;
}

static struct chain_node *node_of(const struct chain *c, uint32_t place) {
    return (struct chain_node *)((uint8_t *)object_of(c, place) + c->node);
}

void chain_put(struct chain *c, uint64_t hash, handle h) {
    uint32_t place = (uint32_t)h + 1, at = (uint32_t)hash & c->mask, *head = &c->heads[at];
    CHECK(pool_get(c->pool, h) != NULL);
    struct chain_node *n = node_of(c, place);
    CHECK(!chain_has(n));
    *n = (struct chain_node){ .next = *head, .prev = CHAIN_HEAD | at };
    if (*head)
        node_of(c, *head)->prev = place;
    *head = place;
    c->used++;
}

void chain_del(struct chain *c, handle h) {
    CHECK(pool_get(c->pool, h) != NULL);
    struct chain_node *n = node_of(c, (uint32_t)h + 1);
    if (!chain_has(n))
        return;
    *(n->prev & CHAIN_HEAD ? &c->heads[n->prev & ~CHAIN_HEAD] : &node_of(c, n->prev)->next) = n->next;
    if (n->next)
        node_of(c, n->next)->prev = n->prev;
    *n = (struct chain_node){ .next = 0 };
    c->used--;
}

void *chain_next(const struct chain *c, uint64_t hash, uint32_t *cursor) {
    uint32_t place = *cursor ? node_of(c, *cursor)->next : c->heads[hash & c->mask];
    if (!place)
        return NULL;
    *cursor = place;
    return object_of(c, place);
}
