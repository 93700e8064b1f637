/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/party.h"

#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/record_read.h"

#define AWAITS_CALL PARTY_COUNT

void party_init(struct engine *e, struct arena *a, const struct engine_config *c) {
    chain_init(&e->parties, a, &e->legs, offsetof(struct leg, party), c->calls_max);
    for (unsigned i = 0; i < PARTY_COUNT + 1; i++) {
        uint32_t node = (uint32_t)(offsetof(struct transfer, awaits) + i * sizeof(struct chain_node));
        chain_init(&e->awaited[i], a, &e->transfers, node, c->calls_max / 8);
    }
}

/* ---- parties of a transfer ---- */

void party_set(struct engine *e, struct leg *l, const struct transfer *t) {
    const struct call *c = t ? call_get(e, t->call) : NULL;
    chain_del(&e->parties, l->self);
    l->transfer = c ? t->self : HANDLE_NONE;
    if (c)
        chain_put(&e->parties, c->id, l->self);
}

unsigned party_legs(const struct engine *e, const struct transfer *t, struct leg *legs[PARTY_LEGS_MAX]) {
    const struct call *c = call_get(e, t->call);
    uint32_t cursor = 0;
    unsigned n = 0;
    for (struct leg *l; c && n < PARTY_LEGS_MAX && (l = chain_next(&e->parties, c->id, &cursor));)
        if (l->transfer == t->self)
            legs[n++] = l;
    return n;
}

void party_forget_leg(struct engine *e, const struct leg *l) {
    chain_del(&e->parties, l->self);
}

/* ---- a leg that names its transfer ---- */

static bool names(const struct leg *l, const struct call *c) {
    uint64_t bucket, id;
    return l->transfer == HANDLE_NONE && read_call_name(leg_str(l, LEG_TRANSFER_AT), &bucket, &id) &&
           bucket == c->bucket && id == c->id;
}

static void join(struct engine *e, struct leg *l, const struct transfer *t) {
    party_set(e, l, t);
    leg_set(e, l, LEG_TRANSFER_AT, SLICE_NONE);
}

/* Those who wait for this call's transfer. */
static void take_waiting(struct engine *e, const struct call *c, const struct transfer *t) {
    struct leg *legs[PARTY_LEGS_MAX];
    uint32_t cursor = 0;
    unsigned n = 0;
    for (struct leg *l; n < PARTY_LEGS_MAX && (l = chain_next(&e->parties, c->id, &cursor));)
        if (names(l, c))
            legs[n++] = l;
    for (unsigned i = 0; i < n; i++)
        join(e, legs[i], t);
}

void party_wait(struct engine *e, struct leg *l) {
    uint64_t bucket, id;
    if (!read_call_name(leg_str(l, LEG_TRANSFER_AT), &bucket, &id))
        return;
    chain_del(&e->parties, l->self);
    chain_put(&e->parties, id, l->self);
}

/* It finds its transfer, or waits for it. */
static void find_transfer(struct engine *e, struct leg *l) {
    uint32_t cursor = 0;
    uint64_t bucket, id;
    if (!read_call_name(leg_str(l, LEG_TRANSFER_AT), &bucket, &id))
        return;
    party_wait(e, l);
    for (const struct call *c; (c = chain_next(&e->calls_by_id, id, &cursor));) {
        const struct transfer *t = transfer_get(e, c->transfer);
        if (!t || !names(l, c))
            continue;
        join(e, l, t);
        return;
    }
}

bool party_is_busy(const struct engine *e, const struct leg *l) {
    uint64_t bucket, id;
    if (!l || l->transfer != HANDLE_NONE || !read_call_name(leg_str(l, LEG_TRANSFER_AT), &bucket, &id))
        return l && l->transfer != HANDLE_NONE;
    return !call_find(e, id);
}

/* ---- a transfer that names its parties ---- */

static struct slice named(const struct transfer *t, unsigned p) {
    return strs_get(&t->s, TRF_AT + p);
}

static void found(struct engine *e, struct transfer *t, unsigned p) {
    strs_set(&t->s, &e->bufs, TRF_AT + p, SLICE_NONE);
    chain_del(&e->awaited[p], t->self);
}

void party_await(struct engine *e, struct transfer *t) {
    struct slice call_id, local_tag;
    uint64_t bucket, id;
    for (unsigned p = 0; p < PARTY_COUNT; p++)
        if (!chain_has(&t->awaits[p]) && record_party_at(named(t, p), &call_id, &local_tag))
            chain_put(&e->awaited[p], leg_tag_hash(e, local_tag), t->self);
    if (!chain_has(&t->awaits[AWAITS_CALL]) && read_call_name(named(t, AWAITS_CALL), &bucket, &id))
        chain_put(&e->awaited[AWAITS_CALL], id, t->self);
}

static void find_party(struct engine *e, struct transfer *t, unsigned p) {
    struct slice call_id, local_tag;
    if (!record_party_at(named(t, p), &call_id, &local_tag))
        return;
    const struct leg *l = leg_find_local(e, call_id, local_tag);
    if (!l)
        return;
    *record_party(t, (enum transfer_party)p) = l->self;
    found(e, t, p);
}

static void find_consult_call(struct engine *e, struct transfer *t) {
    uint32_t cursor = 0;
    uint64_t bucket, id;
    if (!read_call_name(named(t, AWAITS_CALL), &bucket, &id))
        return;
    for (const struct call *c; (c = chain_next(&e->calls_by_id, id, &cursor));)
        if (c->id == id && c->bucket == bucket) {
            t->consult_call = c->self;
            found(e, t, AWAITS_CALL);
            return;
        }
}

/* At most one is found by each look, so that it may leave the chain. */
static bool is_awaited_leg(struct engine *e, const struct leg *l, unsigned p, uint64_t hash) {
    uint32_t cursor = 0;
    struct slice call_id, local_tag;
    for (struct transfer *t; (t = chain_next(&e->awaited[p], hash, &cursor));) {
        if (!record_party_at(named(t, p), &call_id, &local_tag) || !slice_eq(local_tag, leg_str(l, DLG_LOCAL_TAG)) ||
            !slice_eq(call_id, leg_str(l, DLG_CALL_ID)))
            continue;
        *record_party(t, (enum transfer_party)p) = l->self;
        found(e, t, p);
        return true;
    }
    return false;
}

static bool is_awaited_call(struct engine *e, const struct call *c) {
    uint32_t cursor = 0;
    uint64_t bucket, id;
    for (struct transfer *t; (t = chain_next(&e->awaited[AWAITS_CALL], c->id, &cursor));) {
        if (!read_call_name(named(t, AWAITS_CALL), &bucket, &id) || id != c->id || bucket != c->bucket)
            continue;
        t->consult_call = c->self;
        found(e, t, AWAITS_CALL);
        return true;
    }
    return false;
}

static void meet_leg(struct engine *e, struct leg *l) {
    find_transfer(e, l);
    for (unsigned p = 0; p < PARTY_COUNT; p++) {
        if (!e->awaited[p].used)
            continue;
        uint64_t hash = leg_tag_hash(e, leg_str(l, DLG_LOCAL_TAG));
        while (is_awaited_leg(e, l, p, hash))
            continue;
    }
}

void party_meet(struct engine *e, struct call *c) {
    struct transfer *own = transfer_get(e, c->transfer);
    if (own)
        take_waiting(e, c, own);
    for (unsigned p = 0; own && p < PARTY_COUNT; p++)
        find_party(e, own, p);
    if (own) {
        find_consult_call(e, own);
        party_await(e, own);
    }
    for (unsigned i = 0; i < c->leg_count; i++)
        meet_leg(e, leg_get(e, c->legs[i]));
    while (is_awaited_call(e, c))
        continue;
}

void party_forget_transfer(struct engine *e, const struct transfer *t) {
    for (unsigned i = 0; i < PARTY_COUNT + 1; i++)
        chain_del(&e->awaited[i], t->self);
}
