/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * node: a shard as a member of a cluster (core/base/member.h): its lease (store/lease.h) over the shard's store, and
 * its links to the other nodes. Gives the engine the decisions of the lease, and to the other nodes what the engine has
 * for them. Without cluster.node there is none of all this, and the engine owns everything, or its part by number.
 *
 * Shards of a process are members like any others, with a lease and links each; but what they say to one another goes
 * by mail.
 */
#ifndef REFEREE_RUNTIME_NODE_H
#define REFEREE_RUNTIME_NODE_H

#include "core/runtime/config.h"
#include "core/runtime/link.h"
#include "core/runtime/mailbox.h"
#include "store/lease.h"

#define NODE_WAITING_MAX 4096
/* Kind of mail: what others are told by a link, `what` as its kind. Not one of shard.h's. */
#define NODE_MAIL 0x80
#define NODE_EVENTS_MAX (LEASE_OUT_MAX + 1)

struct node {
    bool on;
    bool drained;
    bool draining;
    bool said_ok;                /* LINK_STATE, as it was said last */
    struct lease *lease;
    struct link link;
    struct mailbox *mailbox;     /* NULL: the only shard */
    uint32_t shard, shards;
    struct log *log;
    struct addr at;              /* where the link listens */
    uint64_t mono_us, wall_ms, state_us, fenced_us;
    uint64_t end_us;             /* drained: when it may end; 0: not known yet */
    struct lease_input waiting[NODE_WAITING_MAX]; /* what the lease is still to be told */
    uint32_t first, waiting_n;
    struct lease_out out;
};

/* Before engine and store are laid out: listens. The configuration is the shard's own, whose engine.node is the
 * member's number. False: the reason was logged. */
bool node_open(struct node *n, const struct config *c, struct log *log);
/* One of several shards, which speak by this mailbox. */
void node_share(struct node *n, struct mailbox *mailbox, uint32_t shard, uint32_t shards);
void node_lay_out(struct node *n, struct arena *a, const struct config *c, uint64_t mono_us);
bool node_start(struct node *n, struct io *io, uint32_t tag_base);
void node_close(struct node *n);

/* ---- One turn: node_tell_time, first of all; node_tick whenever it is due. After each of these, and of what follows:
 * node_work until false; each time it was true, the events in order, then the operations. */

void node_tell_time(struct node *n, uint64_t mono_us, uint64_t wall_ms);
uint64_t node_deadline(struct node *n);
/* An answer of the store, dealt with at once; what the lease says is in n->out, and comes first. False: the engine's,
 * too: where the store is there again it must not act in that same step for what may be another's by now. */
bool node_on_store(struct node *n, const struct event *ev);
void node_on_out(struct node *n, const struct out *o);
void node_drain(struct node *n);
/* After `drained`: nobody sends anything here any more that is for its buckets' new owners. */
bool node_may_end(struct node *n);
/* A step of the lease that is waiting; what it says is in n->out. False: none waits. */
bool node_work(struct node *n);
/* Decision i of n->out as an event for the engine. False: it was none for the engine. */
bool node_event(struct node *n, uint32_t i, struct event *ev);

/* A sibling's word, of kind NODE_MAIL. */
void node_on_mail(struct node *n, const struct mail *m);
/* To a member that is a sibling; PEER_NONE: to all that are none, too. */
bool node_is_sibling(const struct node *n, uint32_t peer);
/* A frame from another node: *ev is an event for the engine. False: none is left. */
bool node_next(struct node *n, struct event *ev);

/* In place of cluster.record_format until the next start: "auto", or a number. False: there is no such format, or no
 * cluster. */
bool node_hold_format(struct node *n, struct slice which);

/* `nodes`, `records` and `buckets` of refereectl: by node, whose shards are one to who asks. */
void node_describe(const struct node *n, struct sbuf *text);
void node_describe_records(const struct node *n, struct sbuf *text);
void node_describe_buckets(const struct node *n, struct sbuf *text);

#endif
