/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A call at the first of two engines (pair_rig.h), of which word is to come that it is over, or another one had it.
 */
#ifndef REFEREE_TESTS_OVER_RIG_H
#define REFEREE_TESTS_OVER_RIG_H

#include "core/b2b/leg.h"
#include "tests/unit/pair_calls.h"

/* A call at the first engine, and word that all of it is over. */
struct over_word {
    struct pair *p;
    struct rig_dialog a, b;
    uint16_t bucket;
    char text[22 + 1]; /* ... or what lives of it */
    struct event ev;
    bool between; /* another one claimed the bucket meanwhile, and wrote nothing */
    bool loads;   /* another one does not come to the end of its records */
    bool holds;   /* ALICE, while another one has the bucket */
};

static char kept[2][1 << 14];

/* Its sessions expire, if they do, and are refreshed by us. */
static inline struct pair *over_begin_timed(struct over_word *o, struct engine_config *config, uint32_t from,
                                            uint32_t expires_s) {
    struct pair *p = o->p = pair_new(config);
    o->between = o->loads = o->holds = false;
    for (unsigned i = 0; i < 2; i++) {
        p->e[i]->cfg.durability = DURABILITY_ASYNC;
        p->e[i]->cfg.session = (struct session_config){ .expires_s = expires_s, .refresher = SESSION_US };
    }
    pair_call_at(p, &o->a, &o->b, 0, ALICE, BOB);
    const struct call *c = rig_only_call(p->e[0]);
    o->bucket = c->bucket;
    snprintf(o->text, sizeof o->text, "%016" PRIx64 "ff", c->id);
    o->ev = (struct event){ .kind = EV_PEER, .u.peer = { .what = PEER_OVER, .from = from, .bucket = o->bucket } };
    o->ev.u.peer.bytes = slice_str(o->text);
    return p;
}

static inline struct pair *over_begin(struct over_word *o, struct engine_config *config, uint32_t from) {
    return over_begin_timed(o, config, from, 0);
}

static inline void act(struct pair *p, unsigned i, bool suspended) {
    pair_step(p, i, &(struct event){ .kind = EV_ACT, .u.act = { .suspended = suspended } });
}

/* The first record of the table "call" in the bucket; stored anew when `again`. */
static inline bool keep_record(struct pair *p, unsigned bucket, bool again) {
    struct buf *key = (struct buf *)(void *)kept[0], *value = (struct buf *)(void *)kept[1];
    struct store_op op = { .verb = again ? STORE_PUT : STORE_LOAD, .ticket = !again, .bucket = (uint16_t)bucket,
                           .table = SL("call"), .key = again ? key : NULL, .value = again ? value : NULL };
    struct event ev = { 0 };
    store_submit(p->store, &op, rig_wall_ms(&p->r));
    if (again || !store_answer(p->store, &ev) || !ev.u.store.more)
        return again;
    key->len = ev.u.store.key.n;
    memcpy(key->data, ev.u.store.key.p, key->len);
    value->len = ev.u.store.value.n;
    memcpy(value->data, ev.u.store.value.p, value->len);
    return store_answer(p->store, &ev) && !ev.u.store.more;
}

/* The bucket's one record of a call is gone from the store. */
static inline void lose_record(struct pair *p, unsigned bucket) {
    struct store_op gone = { .verb = STORE_DELETE, .bucket = (uint16_t)bucket, .table = SL("call") };
    gone.key = (struct buf *)(void *)kept[0];
    CHECK_TRUE(keep_record(p, bucket, false));
    store_submit(p->store, &gone, rig_wall_ms(&p->r));
}

struct told {
    unsigned cseq, port, host;
    unsigned long long version;
};

static inline struct told told_by(const char *text) {
    const char *cseq = strstr(text, "\nCSeq: "), *o = strstr(text, "\no="), *c = strstr(text, "\nc=");
    const char *m = strstr(text, "\nm=audio ");
    struct told t = { 0 };
    CHECK_TRUE(cseq && o && c && m);
    if (!cseq || !o || !c || !m)
        return t;
    CHECK_EQ(sscanf(cseq, "\nCSeq: %u", &t.cseq), 1);
    CHECK_EQ(sscanf(o, "\no=%*s %*u %llu", &t.version), 1);
    CHECK_EQ(sscanf(c, "\nc=IN IP4 192.0.2.%u", &t.host), 1);
    CHECK_EQ(sscanf(m, "\nm=audio %u", &t.port), 1);
    return t;
}

/* By the last INVITE. */
static inline struct told told_of(const struct pair *p, enum rig_name who) {
    return told_by(rig_last(&p->r, who, "INVITE", NULL));
}

static inline void store_claim_from(struct pair *p, uint32_t former, unsigned to, uint16_t bucket, uint64_t epoch) {
    struct store_op claim = { .verb = STORE_CLAIM, .bucket = bucket, .node = p->number[to],
                              .former = former, .epoch = epoch };
    store_submit(p->store, &claim, rig_wall_ms(&p->r));
}

static inline void store_claim(struct pair *p, unsigned to, uint16_t bucket, uint64_t epoch) {
    store_claim_from(p, p->number[!to], to, bucket, epoch);
}

#endif
