/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/own_hash.h"
#include "core/base/sbuf.h"
#include "core/sip/branch.h"
#include "core/sip/token.h"
#include "tests/unit/unit.h"

#define MANY 65536u
#define SLOTS (2 * MANY)

static const struct siphash_key key = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };

static struct key128 hash_of(struct slice s) {
    struct own_hash h = own_hash_begin(key);
    own_hash_add(&h, s);
    return own_hash_end(h);
}

static int by_value(const void *x, const void *y) {
    const struct key128 *a = x, *b = y;
    return a->a < b->a ? -1 : a->a > b->a ? 1 : a->b < b->b ? -1 : a->b > b->b;
}

/* As many as a shard may have: none meet, in either half, and few share a home slot, as by chance: of n in 2n slots a
 * share of 1 - (1 - 1 / 2n)^n = 39 % of the slots is taken. */
static void check_spread(struct key128 *keys) {
    static uint8_t taken[SLOTS];
    unsigned homes = 0, meet = 0;
    memset(taken, 0, sizeof taken);
    for (unsigned i = 0; i < MANY; i++) {
        homes += !taken[keys[i].a % SLOTS];
        taken[keys[i].a % SLOTS] = 1;
    }
    CHECK_TRUE(homes > SLOTS * 38 / 100 && homes < SLOTS * 41 / 100);
    qsort(keys, MANY, sizeof *keys, by_value);
    for (unsigned i = 1; i < MANY; i++)
        meet += keys[i].a == keys[i - 1].a;
    CHECK_EQ(meet, 0);
    for (unsigned i = 0; i < MANY; i++)
        keys[i] = (struct key128){ keys[i].b, 0 };
    qsort(keys, MANY, sizeof *keys, by_value);
    for (unsigned i = 1; i < MANY; i++)
        meet += keys[i].a == keys[i - 1].a;
    CHECK_EQ(meet, 0);
}

static void test_tokens(void) {
    static struct key128 keys[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        char mem[TOKEN_LEN];
        struct sbuf b = sbuf_on(mem, sizeof mem);
        uint64_t call = siphash64(key, &i, sizeof i), random = siphash64(key, &call, sizeof call);
        token_put(&b, &(struct token){ 1, (uint16_t)(call % TOKEN_BUCKETS), call, 0, random });
        keys[i] = hash_of(sbuf_slice(&b));
    }
    check_spread(keys);
}

static void test_branches(void) {
    static struct key128 keys[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        char mem[BRANCH_MAX];
        struct sbuf b = sbuf_on(mem, sizeof mem);
        branch_put(&b, SL("~01abc0123456789abcdef0fedcba9876543210"), key, i, 0);
        keys[i] = hash_of(sbuf_slice(&b));
    }
    check_spread(keys);
}

/* Each byte counts, wherever it is, and where one piece ends and the next begins. */
static void test_bytes_and_pieces(void) {
    char text[40] = "0123456789abcdef0123456789abcdef0123456";
    for (uint32_t n = 0; n <= sizeof text; n++) {
        struct key128 whole = hash_of(slice_of(text, n));
        for (uint32_t i = 0; i < n; i++) {
            text[i] ^= 1;
            struct key128 other = hash_of(slice_of(text, n));
            CHECK_TRUE(other.a != whole.a && other.b != whole.b);
            text[i] ^= 1;
        }
        for (uint32_t cut = 0; cut <= n; cut++) {
            struct own_hash h = own_hash_begin(key);
            own_hash_add(&h, slice_of(text, cut));
            own_hash_add(&h, slice_of(text + cut, n - cut));
            CHECK_TRUE(own_hash_end(h).a != whole.a);
        }
    }
    CHECK_TRUE(key128_eq(hash_of(SLICE_NONE), hash_of(SL(""))));
}

int main(void) {
    return UNIT_RUN("own_hash", UNIT(test_tokens), UNIT(test_branches), UNIT(test_bytes_and_pieces));
}
