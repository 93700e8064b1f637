/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/chain.h"
#include "core/base/rng.h"
#include "tests/unit/unit.h"

#include <stddef.h>

#define COUNT 60

struct thing {
    handle self;
    uint64_t hash;
    struct chain_node by_hash;
};

static uint8_t memory[16384] __attribute__((aligned(64)));
static struct pool pool;
static struct chain chain;

static void lay_out(uint32_t heads) {
    struct arena a;
    arena_init(&a, memory, sizeof memory);
    pool_init(&pool, &a, COUNT, sizeof(struct thing));
    chain_init(&chain, &a, &pool, offsetof(struct thing, by_hash), heads);
}

static handle put(uint64_t hash) {
    handle h;
    struct thing *t = pool_alloc(&pool, &h);
    t->self = h;
    t->hash = hash;
    chain_put(&chain, hash, h);
    return h;
}

static unsigned count_of(uint64_t hash) {
    uint32_t cursor = 0;
    unsigned n = 0;
    for (struct thing *t; (t = chain_next(&chain, hash, &cursor));)
        n += t->hash == hash;
    return n;
}

static void test_several_of_one_hash(void) {
    lay_out(16);
    handle a = put(5), b = put(5), c = put(5 + 16);
    CHECK_EQ(count_of(5), 2);
    CHECK_EQ(count_of(21), 1);
    CHECK_EQ(count_of(6), 0);
    chain_del(&chain, b);
    CHECK_EQ(count_of(5), 1);
    CHECK_EQ(count_of(21), 1);
    chain_del(&chain, b);
    CHECK_EQ(chain.used, 2);
    chain_put(&chain, 6, b);
    CHECK_EQ(count_of(5), 1);
    chain_del(&chain, c);
    chain_del(&chain, a);
    CHECK_EQ(count_of(5), 0);
    CHECK_EQ(count_of(21), 0);
    CHECK_EQ(chain.used, 1);
}

/* The one that came last may go, once the next one is asked for. */
static void test_taken_out_on_the_way(void) {
    uint32_t cursor = 0;
    lay_out(1);
    for (unsigned i = 0; i < 8; i++)
        put(i);
    struct thing *t = chain_next(&chain, 0, &cursor), *next;
    for (unsigned n = 1;; n++) {
        next = chain_next(&chain, 0, &cursor);
        chain_del(&chain, t->self);
        CHECK_EQ(chain.used, 8 - n);
        if (!next)
            break;
        t = next;
    }
    CHECK_EQ(chain.used, 0);
}

/* Beside a plain list. */
static void test_any_order(void) {
    handle live[COUNT];
    unsigned n = 0;
    struct rng r;
    rng_init(&r, (struct siphash_key){ 3, 4 });
    lay_out(4);
    for (unsigned k = 0; k < 5000; k++) {
        if (n < COUNT && rng_u64(&r) % 2) {
            live[n++] = put(rng_u64(&r) % 7);
        } else if (n) {
            unsigned i = (unsigned)(rng_u64(&r) % n);
            chain_del(&chain, live[i]);
            pool_free(&pool, live[i]);
            live[i] = live[--n];
        }
        uint64_t hash = rng_u64(&r) % 7;
        unsigned expected = 0;
        for (unsigned i = 0; i < n; i++)
            expected += ((struct thing *)pool_get(&pool, live[i]))->hash == hash;
        if (count_of(hash) != expected || chain.used != n)
            CHECK_EQ(count_of(hash), expected);
    }
    CHECK_EQ(chain.used, n);
}

int main(void) {
    return UNIT_RUN("chain", UNIT(test_several_of_one_hash), UNIT(test_taken_out_on_the_way), UNIT(test_any_order));
}
