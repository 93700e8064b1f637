/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The writes that are not sent yet, by table, bucket and key. They are few while the server answers, and each is looked
 * up once: so these are heads of chains, which a processor's cache holds all of, and not a map of the whole queue. */
#include "core/base/check.h"
#include "store/redis_int.h"

#define CALL_KEY 16 /* bytes: a call's number in hex */

__extension__ typedef unsigned __int128 product;

void redis_unsent_init(struct redis_unsent *u, struct arena *a, uint32_t queue) {
    uint32_t heads = 2;
    while (heads < queue / 2)
        heads *= 2;
    *u = (struct redis_unsent){ .heads = arena_take(a, heads * sizeof *u->heads), .mask = heads - 1 };
}

/* A call's key is a number that we drew: two secret words and a product spread it well enough. What others may choose
 * gets what others cannot foresee. */
uint64_t redis_unsent_hash(const struct redis *s, const struct redis_op *op) {
    struct slice key = redis_op_key(op);
    uint64_t words[2];
    if (key.n != CALL_KEY)
        return siphash128_quick(s->c.key, key.p, key.n).a;
    memcpy(words, key.p, sizeof words);
    product p = (product)(words[0] ^ s->c.key.k0) * (words[1] ^ s->c.key.k1);
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static struct redis_op **head_of(struct redis_unsent *u, const struct redis_op *op) {
    return &u->heads[op->hash & u->mask];
}

static bool is_same(const struct redis_op *a, const struct redis_op *b) {
    return a->hash == b->hash && a->bucket == b->bucket && slice_eq(redis_op_key(a), redis_op_key(b)) &&
           slice_eq(a->table, b->table);
}

struct redis_op *redis_unsent_find(struct redis_unsent *u, const struct redis_op *op) {
    struct redis_op *x = *head_of(u, op);
    while (x && !is_same(x, op))
        x = x->unsent_next;
    return x;
}

void redis_unsent_add(struct redis_unsent *u, struct redis_op *op) {
    struct redis_op **head = head_of(u, op);
    op->unsent_next = *head;
    op->keyed = true;
    *head = op;
}

void redis_unsent_remove(struct redis_unsent *u, struct redis_op *op) {
    struct redis_op **at = head_of(u, op);
    if (!op->keyed)
        return;
    while (*at != op) {
        CHECK(*at);
        at = &(*at)->unsent_next;
    }
    *at = op->unsent_next;
    op->keyed = false;
}
