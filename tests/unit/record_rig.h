/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Records of the calls of an call_rig, and second engines that read them. r->arg is the engine's configuration.
 */
#ifndef REFEREE_TESTS_RECORD_RIG_H
#define REFEREE_TESTS_RECORD_RIG_H

#include "core/b2b/record.h"
#include "tests/unit/call_rig.h"

/* In a heap block of exactly its size. */
struct record_bytes {
    char *p;
    uint32_t n;
    struct slice slice;
};

static inline struct record_bytes record_copy(struct slice s) {
    struct record_bytes r = { .p = malloc(s.n ? s.n : 1), .n = s.n };
    memcpy(r.p, s.p, s.n);
    r.slice = slice_of(r.p, r.n);
    return r;
}

static inline struct record_bytes record_of(struct engine *e, const struct call *c) {
    static char mem[1 << 16];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    CHECK_TRUE(record_encode(e, c, &b));
    return record_copy(sbuf_slice(&b));
}

static inline void record_free(struct record_bytes *r) {
    free(r->p);
}

/* Another node: the same cluster's configuration, its own seed, another uptime, the same time of day. */
struct record_twin {
    struct engine *e;
    void *mem;
};
static inline struct record_twin record_twin_of(const struct rig *r) {
    struct record_twin t;
    struct engine_config c = *(const struct engine_config *)r->arg;
    c.seed.k0 ^= 99;
    t.e = rig_engine(&c, 777777000000, rig_wall_ms(r), &t.mem);
    return t;
}
static inline void record_twin_free(struct record_twin *t) {
    free(t->mem);
}

/* ---- what nobody answers but the test ---- */

/* c is the test's, until the end. */
static inline void record_start(struct rig *r, struct engine_config *c, enum durability d) {
    rig_config(c);
    c->durability = d;
    rig_start(r, c);
    r->arg = c;
}

/* Every write so far is stored. */
static inline void record_store_all(struct rig *r) {
    for (uint32_t i = 0; i < r->op_n; i++)
        rig_answer(r, r->ops[i].ticket, STORE_OK);
    r->op_n = 0;
}

/* A call where records are waited for: up, and nothing of it unanswered. */
static inline void record_call(struct rig *r, struct engine_config *c, struct rig_dialog *a, struct rig_dialog *b) {
    record_start(r, c, DURABILITY_CONFIRMED);
    rig_invite(r, a, ALICE, BOB, rig_sdp("0", "sendrecv", 40000));
    rig_reply(r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), b);
    record_store_all(r);
    rig_learn(r, a, "SIP/2.0 200");
    rig_request(r, a, "ACK", "", "");
    record_store_all(r);
}

/* No call, leg, transfer, timer, port or buffer is held. */
static inline bool record_nothing_left(const struct engine *e) {
    struct engine_census now;
    engine_census(e, &now);
    return now.calls + now.legs + now.transfers + now.transactions + now.timers + now.ports + now.records + now.bufs ==
               0 && e->leg_map.used == 0 && e->over.kept.used == 0;
}

#endif
