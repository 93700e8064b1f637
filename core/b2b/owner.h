/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * owner: whether a message is for this engine. An engine alone owns every bucket and is asked nothing. One of several
 * (engine_config.shared) owns what the shell's lease has said (EV_BUCKET): it handles what belongs to its own buckets
 * and passes the rest to their owners (OUT_PEER), unless it came from one already.
 *
 * A bucket that is lost is forgotten at the beginning of the next step that is not about buckets: its calls,
 * transactions and stubs go without a word and without a record of their end, since somebody else goes on with them.
 */
#ifndef REFEREE_B2B_OWNER_H
#define REFEREE_B2B_OWNER_H

#include "core/b2b/state.h"

/* Hops between engines: to the owner of the bucket, and from there to where a call has moved. */
#define OWNER_HOPS_MAX 3

void owner_init(struct engine *e);
/* True: to be handled here, and e->bucket is what new calls are made in. False: passed on, or dropped. */
bool owner_takes(struct engine *e, const struct event *in, const struct sip_msg *msg);
void owner_on_bucket(struct engine *e, const struct event *ev);
/* BUCKET_RECORD of the table "call", also of a bucket that is ours and read again. Within a step. */
void owner_on_call_record(struct engine *e, const struct event *ev);
void owner_on_timer(struct engine *e);
/* BUCKET_GIVE (owner_give.c). */
void owner_on_give(struct engine *e, const struct event *ev);
/* Before a step that is not about buckets. */
void owner_forget_lost(struct engine *e);

static inline bool owner_is_shared(const struct engine *e) {
    return e->owners.shared;
}
static inline bool owner_is_mine(const struct engine *e, uint16_t bucket) {
    return e->owners.of[bucket] == OWNER_MINE;
}
/* The engine that owns it; PEER_NONE: this one, or nobody is known to. */
uint32_t owner_peer(const struct engine *e, uint16_t bucket);
/* Nobody is known to own it: the shell finds out, or has it claimed. */
void owner_ask(struct engine *e, uint16_t bucket);
/* Since when it is ours; 0: it is not, or nobody asks. */
static inline uint64_t owner_epoch(const struct engine *e, uint16_t bucket) {
    return e->owners.epoch[bucket];
}
/* Of a bucket that is being read: by this epoch and each one up to ours it was claimed here, and nothing was done yet
 * for what is not here. What is told of before is another owner's. */
static inline uint64_t owner_since(const struct engine *e, uint16_t bucket) {
    uint64_t since = e->owners.since[bucket], epoch = owner_epoch(e, bucket);
    return since && since < epoch ? since : epoch;
}
/* In whose name, and since when, something is written to a bucket of ours. */
static inline void owner_fence(const struct engine *e, struct store_op *op) {
    op->node = owner_is_shared(e) ? e->cfg.node : 0;
    op->epoch = owner_epoch(e, op->bucket);
}
/* Another shard of this process: a call may take its ports there, if it is sent there (move.h). What changes hands by
 * the lease gets others, between shards as between nodes: who had it may not know yet that it has lost it. */
bool owner_is_sibling(const struct engine *e, uint32_t peer);
/* Forgets a call with all that is in flight for it; `heir` goes on with it (PEER_NONE: whoever has it). */
void owner_forget_call(struct engine *e, struct call *c, uint32_t heir);
/* No transaction of its legs, but for `but`, and no transfer is open: its record is all there is of it. */
bool owner_is_stable(const struct engine *e, const struct call *c, handle but);

/* A message to another engine; takes no reference. */
void peer_send(struct engine *e, enum peer_kind what, uint32_t to, uint16_t bucket, struct slice bytes);
void peer_pass(struct engine *e, const struct event *in, uint32_t to, uint16_t bucket);

#endif
