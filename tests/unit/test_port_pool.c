/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/port_pool.h"
#include "tests/unit/unit.h"

#include <string.h>

#define QUARANTINE 1000

static uint8_t mem[1 << 16] __attribute__((aligned(64)));

static struct port_pool pool_of(uint16_t first, uint16_t last) {
    struct arena a;
    struct port_pool p;
    arena_init(&a, NULL, 0);
    port_pool_init(&p, &a, first, last, QUARANTINE);
    CHECK_TRUE(p.slots == NULL && a.used <= sizeof mem);
    arena_init(&a, mem, sizeof mem);
    port_pool_init(&p, &a, first, last, QUARANTINE);
    return p;
}

static void test_pairs(void) {
    CHECK_EQ(port_pool_pairs(10000, 10001), 1);
    CHECK_EQ(port_pool_pairs(10000, 10002), 1);
    CHECK_EQ(port_pool_pairs(10000, 10003), 2);
    CHECK_EQ(port_pool_pairs(10001, 10003), 1);
    CHECK_EQ(port_pool_pairs(10001, 10002), 0);
    CHECK_EQ(port_pool_pairs(10000, 10000), 0);
    CHECK_EQ(port_pool_pairs(10000, 9000), 0);
    CHECK_EQ(port_pool_pairs(65535, 65535), 0);
    CHECK_EQ(port_pool_pairs(0, 65535), 32768);
}

static void test_ports(void) {
    struct port_pool p = pool_of(10001, 10009);
    CHECK_EQ(p.count, 4);
    CHECK_EQ(port_pool_rtp_port(&p, 0), 10002);
    CHECK_EQ(port_pool_rtp_port(&p, 3), 10008);
    CHECK_EQ(port_pool_slot_of(&p, 10008), 3);
    CHECK_EQ(port_pool_slot_of(&p, 10009), 3);
    CHECK_EQ(port_pool_slot_of(&p, 10010), PORT_POOL_NONE);
    CHECK_EQ(port_pool_slot_of(&p, 10001), PORT_POOL_NONE);
    p = pool_of(65000, 65535);
    CHECK_EQ(port_pool_slot_of(&p, 65535), p.count - 1);
    CHECK_EQ(port_pool_rtp_port(&p, p.count - 1), 65534);
}

static void test_take_release(void) {
    struct port_pool p = pool_of(10000, 10005);
    uint32_t g[3], s[3], none = 0;
    for (int i = 0; i < 3; i++) {
        s[i] = port_pool_take(&p, 5, &g[i]);
        CHECK_EQ(s[i], i);
        CHECK_TRUE(g[i] != 0);
    }
    CHECK_EQ(port_pool_take(&p, 5, &none), PORT_POOL_NONE);
    CHECK_EQ(p.exhausted, 1);
    CHECK_EQ(p.high_water, 3);
    CHECK_TRUE(port_pool_release(&p, 1, g[1], 100));
    CHECK_FALSE(port_pool_release(&p, 1, g[1], 100));
    CHECK_TRUE(port_pool_release(&p, 0, g[0], 200));
    CHECK_FALSE(port_pool_release(&p, 2, g[2] + 1, 200));
    CHECK_FALSE(port_pool_release(&p, 3, 1, 200));
    CHECK_EQ(p.used, 1);
    CHECK_EQ(port_pool_take(&p, 99 + QUARANTINE, &none), PORT_POOL_NONE);
    CHECK_EQ(port_pool_take(&p, 100 + QUARANTINE, &g[1]), 1);
    CHECK_EQ(g[1], 2);
    CHECK_EQ(port_pool_take(&p, 100 + QUARANTINE, &none), PORT_POOL_NONE);
    CHECK_EQ(port_pool_take(&p, 9999, &g[0]), 0);
    CHECK_FALSE(port_pool_release(&p, 1, 1, 10000));
    CHECK_EQ(p.used, 3);
}

/* One that was only looked at is not held up by the quarantine of those released before it. */
static void test_without_quarantine(void) {
    struct port_pool p = pool_of(10000, 10003);
    uint32_t g[2];
    CHECK_EQ(port_pool_take(&p, 5000, &g[0]), 0);
    CHECK_EQ(port_pool_take(&p, 5000, &g[1]), 1);
    CHECK_TRUE(port_pool_release(&p, 0, g[0], 5000));
    CHECK_TRUE(port_pool_release(&p, 1, g[1], 5001 - QUARANTINE));
    CHECK_EQ(port_pool_take(&p, 5001, &g[1]), 1);
    CHECK_EQ(port_pool_take(&p, 5001, &g[0]), PORT_POOL_NONE);
    CHECK_EQ(port_pool_take(&p, 5000 + QUARANTINE, &g[0]), 0);
}

/* What may still be in use is taken last of all; no more than an eighth of the pairs rest so. */
static void test_left(void) {
    struct port_pool p = pool_of(10000, 10031);
    uint32_t g[16], none = 0;
    for (uint32_t i = 0; i < 16; i++)
        CHECK_EQ(port_pool_take(&p, 0, &g[i]), i);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_TRUE(port_pool_leave(&p, i, g[i], 10));
    CHECK_FALSE(port_pool_leave(&p, 0, g[0], 10));
    CHECK_EQ(p.used, 13);
    CHECK_TRUE(port_pool_release(&p, 3, g[3], 20));
    CHECK_EQ(port_pool_take(&p, 20 + QUARANTINE, &g[2]), 2);
    CHECK_EQ(port_pool_take(&p, 20 + QUARANTINE, &g[3]), 3);
    CHECK_EQ(port_pool_take(&p, 9 + PORT_POOL_REST_US, &none), PORT_POOL_NONE);
    CHECK_FALSE(port_pool_take_slot(&p, 1, 9 + PORT_POOL_REST_US, &none));
    CHECK_FALSE(port_pool_has(&p, 0, 1, 9 + PORT_POOL_REST_US));
    CHECK_TRUE(port_pool_has(&p, 0, 2, 10 + PORT_POOL_REST_US));
    CHECK_FALSE(port_pool_has(&p, 0, 3, 10 + PORT_POOL_REST_US));
    CHECK_TRUE(port_pool_take_slot(&p, 1, 10 + PORT_POOL_REST_US, &g[1]));
    CHECK_TRUE(port_pool_release(&p, 3, g[3], PORT_POOL_REST_US)); /* in quarantine: not in its way */
    CHECK_EQ(port_pool_take(&p, 10 + PORT_POOL_REST_US, &g[0]), 0);
    CHECK_EQ(port_pool_take(&p, 10 + PORT_POOL_REST_US, &none), PORT_POOL_NONE);
    CHECK_EQ(p.rest, 0);
}

/* Its call has ended before that: quarantine as ever, and room for others to rest. */
static void test_rested(void) {
    struct port_pool p = pool_of(10000, 10015);
    uint32_t g[8], none = 0;
    for (uint32_t i = 0; i < 8; i++)
        CHECK_EQ(port_pool_take(&p, 0, &g[i]), i);
    CHECK_FALSE(port_pool_rested(&p, 2, g[2], 10));
    CHECK_TRUE(port_pool_leave(&p, 2, g[2], 10));
    CHECK_EQ(p.rest, 1);
    CHECK_FALSE(port_pool_rested(&p, 2, g[2] + 1, 20));
    CHECK_FALSE(port_pool_rested(&p, 8, g[2], 20));
    CHECK_TRUE(port_pool_rested(&p, 2, g[2], 20));
    CHECK_FALSE(port_pool_rested(&p, 2, g[2], 20));
    CHECK_EQ(p.rest, 0);
    CHECK_EQ(p.used, 7);
    CHECK_EQ(port_pool_take(&p, 19 + QUARANTINE, &none), PORT_POOL_NONE);
    CHECK_EQ(port_pool_take(&p, 20 + QUARANTINE, &g[2]), 2);
    CHECK_TRUE(port_pool_leave(&p, 3, g[3], 20 + QUARANTINE));
    CHECK_EQ(p.rest, 1);
}

static void test_many_rounds(void) {
    struct port_pool p = pool_of(10000, 10199);
    uint64_t now = 0;
    uint32_t generation[100], queue[1000], heads = 0, tails = 0;
    for (int round = 0; round < 900; round++, now += 20) {
        uint32_t g, s = port_pool_take(&p, now, &g);
        CHECK_TRUE(s != PORT_POOL_NONE);
        generation[s] = g;
        queue[heads++] = s;
        if (heads - tails > 40) {
            CHECK_TRUE(port_pool_release(&p, queue[tails], generation[queue[tails]], now));
            tails++;
        }
    }
    CHECK_EQ(p.used, heads - tails);
    CHECK_EQ(p.high_water, 41);
    CHECK_EQ(p.exhausted, 0);
    CHECK_EQ(generation[0], 9);
}

/* In the middle, at both ends, then the rest in the order of the queue. */
static void test_take_slot(void) {
    struct port_pool p = pool_of(10000, 10009);
    uint32_t g = 0;
    CHECK_TRUE(port_pool_take_slot(&p, 2, 5, &g));
    CHECK_EQ(g, 1);
    CHECK_FALSE(port_pool_take_slot(&p, 2, 5, &g));
    CHECK_FALSE(port_pool_take_slot(&p, 5, 5, &g));
    CHECK_FALSE(port_pool_take_slot(&p, PORT_POOL_NONE, 5, &g));
    CHECK_TRUE(port_pool_take_slot(&p, 4, 5, &g));
    CHECK_TRUE(port_pool_take_slot(&p, 0, 5, &g));
    CHECK_EQ(p.used, 3);
    CHECK_TRUE(port_pool_release(&p, 2, 1, 10));
    CHECK_FALSE(port_pool_take_slot(&p, 2, 9 + QUARANTINE, &g));
    CHECK_EQ(port_pool_take(&p, 5, &g), 1);
    CHECK_EQ(port_pool_take(&p, 5, &g), 3);
    CHECK_EQ(port_pool_take(&p, 5, &g), PORT_POOL_NONE);
    CHECK_TRUE(port_pool_take_slot(&p, 2, 10 + QUARANTINE, &g));
    CHECK_EQ(g, 2);
    CHECK_EQ(p.free[0].head, PORT_POOL_NONE);
    CHECK_EQ(p.free[0].tail, PORT_POOL_NONE);
    CHECK_TRUE(port_pool_release(&p, 0, 1, 20));
    CHECK_EQ(port_pool_take(&p, 20 + QUARANTINE, &g), 0);
}

/* Slots 0 and 1 of one pool go to another one with a call and come home. */
static void test_lent(void) {
    static struct port_slot slots[4];
    struct port_pool home = pool_of(30000, 30007), other = home;
    uint32_t g[2], h[2], again;
    memcpy(slots, home.slots, sizeof slots);
    other.slots = slots;
    for (uint32_t i = 0; i < 4; i++)
        port_pool_set_foreign(i < 2 ? &other : &home, i);
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(port_pool_take(&home, 0, &g[i]), i);
    CHECK_EQ(port_pool_take(&home, 0, &again), PORT_POOL_NONE);
    for (unsigned i = 0; i < 2; i++) {
        /* Looked at, and put back. */
        CHECK_TRUE(port_pool_take_slot(&other, i, 0, &h[i]) && port_pool_release(&other, i, h[i], 0));
        CHECK_TRUE(port_pool_take_slot(&other, i, 0, &h[i]));
        CHECK_FALSE(port_pool_take_slot(&other, i, 0, &again));
        port_pool_lend(&home, i, g[i]);
        CHECK_FALSE(port_pool_release(&home, i, g[i], 0));
    }
    CHECK_EQ(home.used, 0);
    CHECK_EQ(other.used, 2);
    /* One by the end of its call. */
    CHECK_TRUE(port_pool_release(&other, 0, h[0], 500));
    CHECK_EQ(port_pool_take(&home, 5000, &again), PORT_POOL_NONE);
    port_pool_returned(&home, 0, 500);
    CHECK_EQ(port_pool_take(&home, 1499, &again), PORT_POOL_NONE);
    CHECK_EQ(port_pool_take(&home, 1500, &again), 0);
    port_pool_returned(&home, 0, 500); /* it is not lent */
    CHECK_FALSE(port_pool_take_slot(&home, 0, 5000, &again));
    /* The other with its call, which comes back; looked at before. */
    CHECK_TRUE(port_pool_take_slot(&home, 1, 0, &g[1]) && port_pool_release(&home, 1, g[1], 0));
    CHECK_EQ(port_pool_take(&home, 5000, &again), PORT_POOL_NONE);
    CHECK_TRUE(port_pool_take_slot(&home, 1, 0, &g[1]));
    port_pool_settle(&home, 1);
    port_pool_lend(&other, 1, h[1]);
    CHECK_EQ(other.used, 0);
    CHECK_TRUE(port_pool_release(&home, 1, g[1], 6000));
    CHECK_EQ(port_pool_take(&home, 7000, &again), 1);
}

static void test_empty(void) {
    struct port_pool p = pool_of(10000, 10000);
    uint32_t g;
    CHECK_EQ(port_pool_take(&p, 1, &g), PORT_POOL_NONE);
    CHECK_EQ(port_pool_slot_of(&p, 10000), PORT_POOL_NONE);
}

/* The range at further addresses, each a queue of its own. */
static void test_further_addresses(void) {
    static _Alignas(64) unsigned char memory[4096];
    struct port_pool q;
    struct arena b;
    uint32_t generation;
    arena_init(&b, memory, sizeof memory);
    port_pool_init_more(&q, &b, 20000, 20003, 1000, 2);
    CHECK_EQ(q.count, 6);
    CHECK_EQ(port_pool_rtp_port(&q, 5), 20002);
    CHECK_EQ(port_pool_slot_of(&q, 20003), 1);
    CHECK_EQ(port_pool_slot_of(&q, 20004), PORT_POOL_NONE);
    CHECK_TRUE(port_pool_take(&q, 1, &generation) < 2 && port_pool_take(&q, 1, &generation) < 2);
    CHECK_EQ(port_pool_take(&q, 1, &generation), PORT_POOL_NONE);
    CHECK_TRUE(port_pool_take_slot(&q, 4, 1, &generation));
    CHECK_FALSE(port_pool_take_slot(&q, 4, 1, &generation));
    CHECK_TRUE(port_pool_has(&q, 1, 2, 1));
    CHECK_FALSE(port_pool_has(&q, 1, 3, 1));
    CHECK_TRUE(port_pool_has(&q, 2, 1, 1));
    CHECK_FALSE(port_pool_has(&q, 2, 2, 1) || port_pool_has(&q, 0, 1, 1));
    CHECK_EQ(port_pool_take_at(&q, 2, 1, &generation), 5);
    CHECK_EQ(port_pool_take_at(&q, 2, 1, &generation), PORT_POOL_NONE);
    CHECK_TRUE(port_pool_release(&q, 5, generation, 1));
    CHECK_EQ(port_pool_take(&q, 5000, &generation), PORT_POOL_NONE);
    CHECK_EQ(port_pool_take_at(&q, 2, 900, &generation), PORT_POOL_NONE);
    CHECK_FALSE(port_pool_has(&q, 2, 1, 900));
    CHECK_TRUE(port_pool_has(&q, 2, 1, 1001));
    CHECK_EQ(port_pool_take_at(&q, 2, 5000, &generation), 5);
    CHECK_EQ(q.used, 4);
    /* One that is another's is not in the queue that it would leave. */
    port_pool_init_more(&q, &b, 20000, 20003, 1000, 1);
    port_pool_set_foreign(&q, 3);
    CHECK_EQ(port_pool_take_at(&q, 1, 1, &generation), 2);
    CHECK_EQ(port_pool_take(&q, 1, &generation), 0);
    CHECK_EQ(port_pool_take(&q, 1, &generation), 1);
    CHECK_EQ(q.used, 3);
}

/* Of four pairs one is kept: it is taken last, and goes back to where it was. */
static void test_kept(void) {
    struct port_pool p = pool_of(30000, 30007);
    uint32_t g[4], none;
    port_pool_keep(&p, 25);
    CHECK_FALSE(port_pool_has(&p, 0, 4, 0));
    CHECK_TRUE(port_pool_has(&p, 0, 3, 0) && port_pool_has_kept(&p, 0, 4, 0));
    CHECK_EQ(port_pool_take_kept(&p, 0, 0, &g[0]), 0);
    CHECK_EQ(port_pool_take(&p, 0, &g[1]), 1);
    CHECK_EQ(port_pool_take(&p, 0, &g[2]), 2);
    CHECK_EQ(port_pool_take(&p, 0, &none), PORT_POOL_NONE);
    CHECK_EQ(port_pool_take_kept(&p, 0, 0, &g[3]), 3);
    CHECK_EQ(port_pool_take_kept(&p, 0, 0, &none), PORT_POOL_NONE);
    CHECK_TRUE(port_pool_release(&p, 3, g[3], 0));
    CHECK_FALSE(port_pool_has_kept(&p, 0, 1, QUARANTINE - 1) || port_pool_has(&p, 0, 1, QUARANTINE));
    CHECK_EQ(port_pool_take(&p, QUARANTINE, &none), PORT_POOL_NONE);
    CHECK_EQ(port_pool_take_kept(&p, 0, QUARANTINE, &g[3]), 3);
    /* One that rests is not another's for that. */
    uint64_t over = QUARANTINE + PORT_POOL_REST_US;
    p.count *= 8;
    CHECK_TRUE(port_pool_leave(&p, 3, g[3], QUARANTINE));
    CHECK_FALSE(port_pool_has(&p, 0, 1, over) || port_pool_has_kept(&p, 0, 1, over - 1));
    CHECK_TRUE(port_pool_has_kept(&p, 0, 1, over));
    CHECK_EQ(port_pool_take(&p, over, &none), PORT_POOL_NONE);
    CHECK_EQ(port_pool_take_kept(&p, 0, over, &g[3]), 3);
}

int main(void) {
    return UNIT_RUN("port_pool", UNIT(test_pairs), UNIT(test_ports), UNIT(test_take_release),
                    UNIT(test_without_quarantine), UNIT(test_left), UNIT(test_rested), UNIT(test_many_rounds),
                    UNIT(test_take_slot), UNIT(test_lent), UNIT(test_empty),
                    UNIT(test_further_addresses), UNIT(test_kept));
}
