/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * hand: new calls that this engine has no room or no time for, and another one of the cluster has. The INVITE is passed
 * on (OUT_PEER) under a bucket of the other's, in which the call is made: what belongs to it names that bucket by its
 * tokens. What has no token, the same INVITE again, its CANCEL and the ACK to a refusal, comes to the bucket of the
 * Call-ID, so here, and goes the same way: Call-ID and From-tag of each is remembered for HAND_KEPT_US. If more are
 * handed meanwhile than there is room for, the oldest are forgotten.
 *
 * Never handed: what belongs to a call that there is, an INVITE with Replaces or to a token, and what another engine
 * has handed to this one. So it goes over once, and cannot go round.
 *
 * Engines that are full say so to all others, again and again while they are (PEER_FULL); who says nothing is taken to
 * have room. Retry-After is for when nobody has: clients shun the whole address for it.
 */
#ifndef REFEREE_B2B_HAND_H
#define REFEREE_B2B_HAND_H

#include "core/base/arena.h"
#include "core/base/event.h"
#include "core/base/limits.h"
#include "core/sip/steer.h"

struct engine;
struct engine_config;

/* Longer than an INVITE may ring. */
#define HAND_KEPT_US 360000000
/* How long a peer's word holds that it is full, and how often it is said. */
#define HAND_FULL_US 3000000
#define HAND_SAID_US 500000

/* Of four, which share a place: key 0: none. */
struct handed {
    uint64_t key;
    uint32_t at;                 /* when it came last, in units of 2^20 us */
    uint16_t to;                 /* bucket */
};

struct hand {
    struct handed *items;
    uint32_t mask;               /* of places */
    uint64_t last_us;            /* when something was handed last; 0: never */
    uint64_t nobody_us;          /* until then nobody has room */
    uint64_t said_us;
    bool said;                   /* that this one is full */
    uint32_t full_n;
    struct {
        uint32_t peer;
        uint64_t until_us;
    } full[LIMIT_MEMBERS];
};

/* While `a` counts only the size is taken; nothing where there is one engine alone. */
void hand_init(struct engine *e, struct arena *a, const struct engine_config *c);
/* A request that is to be handled here, with a bucket of this engine's: where such a one was handed before.
 * TOKEN_BUCKETS: nowhere. */
uint16_t hand_where(struct engine *e, const struct steer *s, const struct sip_msg *msg);
/* A request that is to be handled here. True: it begins a call that another engine has now, since there was no room for
 * it, or `too_much` to do. */
bool hand_to_another(struct engine *e, const struct event *in, const struct sip_msg *msg, bool too_much);
/* The header line for a request that is refused for want of room; absent if it begins a call, and others have room. */
struct slice hand_retry_after(struct engine *e, const struct sip_msg *msg);
/* Says what has changed. */
void hand_tell(struct engine *e);
/* PEER_FULL. */
void hand_heard(struct engine *e, uint32_t from, struct slice word);

#endif
