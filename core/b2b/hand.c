/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/hand.h"

#include "core/b2b/anchor.h"
#include "core/b2b/owner.h"
#include "core/b2b/policy.h"
#include "core/b2b/recover.h"
#include "core/base/member.h"
#include "parser/sip_hdr.h"

#define WAYS 4
#define PLACES_MIN 16u
#define PLACES_MAX (1u << 16)
#define AT_SHIFT 20
/* Odd, so that it comes to each bucket once. */
#define STRIDE 1597
/* Nobody has room: not looked for again so soon. */
#define NOBODY_US 100000
/* Who was full has room again when such a part of the calls and legs is free, and no sooner. */
#define ROOM_AGAIN 64
#define ROOM_AGAIN_US 100000
#define LEGS_OF_CALL 2
#define PORTS_OF_CALL 2
#define FULL SL("full")
#define ROOM SL("room")

void hand_init(struct engine *e, struct arena *a, const struct engine_config *c) {
    uint32_t places = PLACES_MIN;
    if (!c->shared)
        return;
    while (places < PLACES_MAX && places * WAYS < c->calls_max)
        places *= 2;
    e->hand.items = arena_take(a, (size_t)places * WAYS * sizeof *e->hand.items);
    e->hand.mask = places - 1;
}

/* ---- is there room here? ---- */

static bool has_ports(const struct engine *e, bool emergency) {
    for (uint32_t k = 0; k < anchor_own_count(&e->cfg); k++)
        if (emergency ? port_pool_has_kept(&e->ports, k, PORTS_OF_CALL, e->now)
                      : port_pool_has(&e->ports, k, PORTS_OF_CALL, e->now))
            return true;
    return e->ports.used == 0; /* none are needed */
}

/* For one more call. `again`: for some. */
static bool has_room(const struct engine *e, bool emergency, bool again) {
    uint32_t kept_calls = emergency ? 0 : e->load.kept_calls, kept_legs = emergency ? 0 : e->load.kept_legs;
    kept_calls += again ? e->calls.count / ROOM_AGAIN : 0;
    kept_legs += again ? e->legs.count / ROOM_AGAIN : 0;
    return pool_has_more(&e->calls, kept_calls) && pool_has_more(&e->legs, kept_legs + LEGS_OF_CALL - 1) &&
           txn_has_room(&e->txns, 1, !emergency) && has_ports(e, emergency);
}

void hand_tell(struct engine *e) {
    struct hand *g = &e->hand;
    if (!owner_is_shared(e))
        return;
    bool full = e->draining || load_is_high(e) || !has_room(e, false, g->said);
    uint64_t rest = full == g->said ? HAND_SAID_US : full ? 0 : ROOM_AGAIN_US;
    if ((!full && !g->said) || e->now - g->said_us < rest)
        return;
    g->said = full;
    g->said_us = e->now;
    peer_send(e, PEER_FULL, PEER_NONE, 0, full ? FULL : ROOM);
}

/* ---- is there room elsewhere? ---- */

void hand_heard(struct engine *e, uint32_t from, struct slice word) {
    struct hand *g = &e->hand;
    uint32_t i = 0;
    while (i < g->full_n && g->full[i].peer != from)
        i++;
    g->nobody_us = 0;
    if (!slice_eq(word, FULL)) {
        if (i < g->full_n)
            g->full[i] = g->full[--g->full_n];
        return;
    }
    if (i == LIMIT_MEMBERS)
        return;
    g->full_n += i == g->full_n;
    g->full[i].peer = from;
    g->full[i].until_us = e->now + HAND_FULL_US;
}

static bool is_full(const struct engine *e, uint32_t peer) {
    for (uint32_t i = 0; i < e->hand.full_n; i++)
        if (e->hand.full[i].peer == peer)
            return e->now < e->hand.full[i].until_us;
    return false;
}

static uint16_t bucket_of_others(const struct engine *e, uint32_t from, bool full_too) {
    for (uint32_t i = 0, b = from % LIMIT_BUCKETS; i < LIMIT_BUCKETS; i++, b = (b + STRIDE) % LIMIT_BUCKETS) {
        uint32_t peer = owner_peer(e, (uint16_t)b);
        if (peer != PEER_NONE && (full_too || !is_full(e, peer)))
            return (uint16_t)b;
    }
    return TOKEN_BUCKETS;
}

/* A bucket of who has room, by chance, so that more goes to who has more of them; TOKEN_BUCKETS: nobody has. */
static uint16_t find_room(struct engine *e, uint32_t from) {
    if (e->now < e->hand.nobody_us)
        return TOKEN_BUCKETS;
    uint16_t b = bucket_of_others(e, from, false);
    if (b == TOKEN_BUCKETS)
        e->hand.nobody_us = e->now + NOBODY_US;
    return b;
}

static bool begins_call(const struct sip_msg *msg) {
    return msg->is_request && msg->method == SIP_M_INVITE && !msg->to_tag.p;
}

struct slice hand_retry_after(struct engine *e, const struct sip_msg *msg) {
    bool others = owner_is_shared(e) && begins_call(msg) && find_room(e, 0) != TOKEN_BUCKETS;
    return others ? SLICE_NONE : SL("Retry-After: 5\r\n");
}

/* ---- what was handed ---- */

static uint64_t key_of(const struct engine *e, const struct sip_msg *msg) {
    return recover_key(e, msg->call_id, msg->from_tag) | 1;
}

static struct handed *place_of(const struct engine *e, uint64_t key) {
    return &e->hand.items[(size_t)((key >> 32) & e->hand.mask) * WAYS];
}

static uint32_t time_of(const struct engine *e) {
    return (uint32_t)(e->now >> AT_SHIFT);
}

uint16_t hand_where(struct engine *e, const struct steer *s, const struct sip_msg *msg) {
    bool any = e->hand.last_us && e->now - e->hand.last_us < HAND_KEPT_US;
    bool of_invite = msg->method == SIP_M_INVITE || msg->method == SIP_M_ACK || msg->method == SIP_M_CANCEL;
    if (!any || !msg->is_request || !of_invite || s->by != STEER_HASH)
        return TOKEN_BUCKETS;
    uint64_t key = key_of(e, msg);
    struct handed *h = place_of(e, key);
    for (unsigned i = 0; i < WAYS; i++)
        if (h[i].key == key && time_of(e) - h[i].at <= HAND_KEPT_US >> AT_SHIFT)
            return txn_knows_invite(&e->txns, msg) ? TOKEN_BUCKETS : h[i].to;
    return TOKEN_BUCKETS;
}

/* In place of the oldest. */
static void note(struct engine *e, uint64_t key, uint16_t to) {
    struct handed *h = place_of(e, key), *at = h;
    for (unsigned i = 1; i < WAYS && at->key; i++)
        if (!h[i].key || h[i].at < at->at)
            at = &h[i];
    *at = (struct handed){ .key = key, .at = time_of(e), .to = to };
    e->hand.last_us = e->now;
}

/* In the bucket of its Call-ID, where nobody has handed it to; and not of a call that there is. */
static bool may_go(const struct engine *e, const struct sip_msg *msg) {
    struct steer s = steer_msg(&e->owners.steering, msg);
    return s.by == STEER_HASH && s.bucket == e->owners.here && !sip_hdr_first(msg, SIP_H_REPLACES) &&
           !txn_knows_invite(&e->txns, msg) && !recover_knows(e, msg);
}

static void trace_handed(struct engine *e, const struct sip_msg *msg, uint32_t peer) {
    if (!trace_on(&e->trace, TRACE_DEBUG) || !load_is_told(e))
        return;
    struct sbuf d = trace_begin(&e->trace, TRACE_DEBUG, "load", 0, 0xff);
    sbuf_lit(&d, "no room: node ");
    sbuf_u64(&d, member_node(peer));
    sbuf_lit(&d, " gets the call of ");
    sbuf_escaped(&d, msg->call_id, 60);
    trace_end(&e->trace, &d);
}

bool hand_to_another(struct engine *e, const struct event *in, const struct sip_msg *msg, bool too_much) {
    if (!owner_is_shared(e) || !begins_call(msg))
        return false;
    hand_tell(e);
    bool emergency = policy_is_emergency(e, &msg->ruri);
    if ((!too_much && !e->draining && has_room(e, emergency, false)) || !may_go(e, msg))
        return false;
    uint64_t key = key_of(e, msg);
    uint16_t to = find_room(e, (uint32_t)key);
    if (to == TOKEN_BUCKETS && emergency)
        to = bucket_of_others(e, (uint32_t)key, true); /* who is full has kept something for it */
    if (to == TOKEN_BUCKETS)
        return false;
    note(e, key, to);
    metrics_add(&e->metrics, M_calls_handed, 1);
    trace_handed(e, msg, owner_peer(e, to));
    peer_pass(e, in, owner_peer(e, to), to);
    return true;
}
