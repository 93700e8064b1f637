/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sim_cluster: worlds of several engines, each with a lease of its own (store/lease.h) on the one store: phones send to
 * whichever the network picks, what is another's is passed on over links that take their time; engines die in the midst
 * of their outbox, sleep past their lease, are cut from the store or from each other, leave and come back.
 *
 * Beside what holds for one engine: who sends for a call is, by the store, the owner of its bucket at that moment; a
 * call that was at rest when its owner died is soon somebody else's; nothing is left in any engine.
 */
#ifndef REFEREE_SIM_CLUSTER_H
#define REFEREE_SIM_CLUSTER_H

#include "store/lease.h"
#include "tests/sim/sim.h"

#define SIM_NODES 3
#define SIM_MEMBERS 4 /* engines of all nodes */
#define SIM_INPUTS 16384
#define SIM_AT_REST 64
#define SIM_OVERS 16
#define SIM_AWAY 1024

/* Something for a node, with its bytes. */
struct sim_fly {
    struct sim_fly *next, *prev, *behind; /* behind: of those that land now */
    uint32_t life;       /* of the node it is for */
    uint8_t node;
    bool tells;          /* a sibling's word for the lease, and no event */
    struct lease_input in;
    struct event ev;     /* EV_STORE, EV_PEER; its slices are offsets into bytes until it arrives */
    uint32_t key_n, n;
    char bytes[];
};

/* A call that must survive; its record as its owner died. */
struct sim_rest {
    uint64_t id, version;
    uint16_t bucket;
    struct txt call_id[2], tag[2];
    uint8_t phone[2];
};

/* A leg whose party sends to another node; by call and number. */
struct sim_away {
    uint64_t id, since, moved;
};

/* An engine: a node, or one of its shards. */
struct sim_node {
    bool runs, asleep, leaves, drained, ends;
    uint8_t node, shard, shards; /* which shard of how many of which node */
    uint32_t number;     /* as a member, and as a peer */
    uint32_t life, doomed;
    uint64_t wakes, cut_until, unprotected, fenced;
    uint64_t orders;     /* of an operator, that it was given; bits as in world.orders_open */
    uint64_t gossip;     /* when it speaks to its peers, by the leases' clock */
    struct engine *e;
    struct relay relay;
    struct lease *l;
    uint8_t *memory;
    struct lease_input in[SIM_INPUTS];
    uint32_t first, waiting;
    struct lease_out out;
};

struct sim_cluster {
    unsigned n;          /* engines; 0: one, without a lease */
    unsigned at;         /* the node whose engine w->e is */
    bool passed_on;      /* what is handled now has been to another node */
    bool arriving;       /* the store works at all that has arrived */
    size_t node_memory;
    uint64_t link_cut[SIM_MEMBERS][SIM_MEMBERS], link_last[SIM_MEMBERS][SIM_MEMBERS];
    uint8_t shard_of[SIM_NODES][LIMIT_BUCKETS]; /* in the kernel */
    uint8_t address_at[SIM_NODES]; /* of each node's media address: which node has it; SIM_NODES: none */
    uint64_t address_moved;
    struct sim_away away[SIM_AWAY];
    uint64_t quiet_since; /* the store has answered everybody since */
    uint64_t given_at[LIMIT_BUCKETS]; /* for the last time, by an engine that lives */
    uint64_t ticked_at;  /* that often at that time: */
    uint32_t ticks;
    uint64_t rests_since, rested_us, stirred_at; /* the leases' clock: stands since, 0: it goes; stood before */
    struct sim_node node[SIM_MEMBERS];
    struct sim_fly *flies, *landing, **landing_end;
    struct sim_rest rest[SIM_AT_REST];
    uint32_t rest_n;
    struct {
        uint64_t call, until;
    } over[SIM_OVERS];   /* of which one owner has told another */
    unsigned over_next;
};

/* ---- for the world ---- */

void cluster_setup(struct sim_setup *u, uint64_t seed);
/* Lays the engines out, and starts them. */
void cluster_begin(struct world *w);
static inline bool cluster_on(const struct world *w) {
    return w->cluster->n != 0;
}
/* w->e is node i's engine from now on. False: none runs there. */
bool cluster_use(struct world *w, unsigned i);
/* w->e is one that runs and is awake: the last one still, if it is. True without nodes, too. */
bool cluster_use_any(struct world *w);
/* The next time at which some node does something by itself; and that. */
uint64_t cluster_due(const struct world *w);
void cluster_tick(struct world *w);
/* From a phone. True: it is dealt with, else it is for w->e. */
bool cluster_picks(struct world *w, const struct sim_item *item);
void cluster_item(struct world *w, const struct sim_item *item);
/* OUT_PEER, OUT_BUCKET; the reference stays the caller's. */
void cluster_out(struct world *w, const struct out *o);
/* w->e is being told that another one had this call, or thinks about it still. */
bool cluster_hears_over(const struct world *w, uint64_t call);
/* The store's answer to what a node asked in that life of it; and those answers arrive. */
void cluster_land(struct world *w);
void cluster_answer(struct world *w, unsigned node, uint32_t life, const struct event *ev);
bool cluster_is_cut(const struct world *w, unsigned node);
/* Something without bytes for a node that runs, when it is awake. */
void cluster_event(struct world *w, unsigned i, const struct event *ev, uint64_t at);
/* Each node's connection to the store is lost, or there is another one. */
void cluster_connection(struct world *w, bool up);
/* Before m goes out: may the node that sends it? */
void cluster_check_send(struct world *w, const struct sip_msg *m);
void cluster_act(struct world *w, const struct sim_event *ev);
/* Of the leases: their time, and what the store takes for the time of their lives. Something has happened to them. */
uint64_t cluster_lease_now(const struct world *w);
void cluster_stir(struct world *w);
/* Calls that those who run have left alone for good. */
uint32_t cluster_quarantined(const struct world *w);
/* Behind a step of w->e: it dies now. */
bool cluster_dies(struct world *w);
void cluster_dead(struct world *w);

/* ---- sim_shards ---- */

/* all: some node has several in each world, else in a third of them. */
void shards_setup(struct sim_setup *u, uint64_t seed, bool all);
/* Which engine is which shard of which node. */
void shards_begin(struct world *w);
/* Of the ports of a media address. */
unsigned shards_pairs(const struct world *w);
/* Its number, its part of the ports. */
void shards_config(const struct world *w, unsigned i, struct engine_config *config);
/* Engine i has just been laid out. */
void shards_divide(struct world *w, unsigned i);
const char *shards_name(const struct world *w, unsigned i);
/* Of one node; each is its own, too. */
bool shards_are_siblings(const struct world *w, unsigned i, unsigned k);
unsigned shards_index(const struct world *w, uint32_t number);
uint32_t shards_peer(const struct world *w, unsigned i);
unsigned shards_lone_owner(const struct world *w, uint16_t bucket);
/* The bucket is engine i's from now on; and which engine of the node gets a phone's packet. */
void shards_has(struct world *w, unsigned i, uint16_t bucket);
unsigned shards_pick(const struct world *w, unsigned node, const struct packet *p);
/* By a mailbox, to a sibling: an event, a word for its lease. */
void shards_mail(struct world *w, unsigned from, unsigned to, const struct event *ev, struct slice bytes);
void shards_tell(struct world *w, unsigned from, unsigned to, const struct lease_input *in);
/* EV_SEND_FAILED of w->e, for its siblings. */
void shards_unreachable(struct world *w, const struct event *ev);
/* Before w->e's relay does it. */
void shards_media(struct world *w, const struct media_cmd *cmd);
/* At the end, of w->e. */
void shards_check_ports(struct world *w);
void shards_drained(struct world *w, unsigned i);

/* ---- sim_vip ---- */

/* Media addresses of node i's configuration: its own, and the others' that may come to it. */
void vip_config(const struct world *w, unsigned i, struct engine_config *config);
static inline uint8_t vip_host(unsigned node) {
    return (uint8_t)(101 + node);
}
void vip_begin(struct world *w);
/* Node i has come, is gone. */
void vip_starts(struct world *w, unsigned i);
void vip_stops(struct world *w, unsigned i);
void vip_item(struct world *w, const struct sim_item *item);
/* A leg at rest whose party sends there: somebody listens, or it is told soon. */
void vip_check(struct world *w, const struct leg *l, uint8_t host);

/* ---- sim_promote ---- */

/* The replica stands still from now on; then the server dies, and the replica is the server. */
void promote_act(struct world *w, const struct sim_event *ev);
void promote_item(struct world *w, const struct sim_item *item);
/* What is done now counts as not done, since no replica has it. */
bool promote_is_short(const struct world *w, const struct store_op *op);
/* Another one has taken this call of w->e's over, by a claim that a promoted server has not seen, and has it still: it
 * has not found that out, or could not say so. */
bool promote_undid_claim(const struct world *w, const struct call *c);
/* A call has moved to the engine that is stepped. */
void promote_arrived(struct world *w, uint64_t id);
/* The last NOTIFY was sent by such a one, while w->e had the leg's call as well: it does not know of it. */
bool promote_undid_notify(const struct world *w, const struct leg *l, const struct seen_sub *s);
/* A server was promoted that has not got that version of a call's record, though it had counted as stored. */
bool promote_lacks(struct world *w, uint64_t id, uint16_t bucket, uint64_t version);
/* ... that has a record by which two owners have died with the call. */
bool promote_leaves_alone(struct world *w, uint64_t id, uint16_t bucket);

/* ---- private ---- */

/* Something for engine i that is there at that time. */
struct sim_fly *cluster_fly(struct world *w, unsigned i, const struct event *ev, struct slice bytes, uint64_t at);
void cluster_start(struct world *w, unsigned i);
/* With its siblings; what has drained comes again. */
void cluster_stop(struct world *w, unsigned i);
void cluster_leave(struct world *w, unsigned i);
/* Whatever the node's lease has been told is worked off. */
void cluster_work(struct world *w, unsigned i);
struct lease_input *cluster_tell(struct world *w, unsigned i, enum lease_input_kind kind, uint16_t bucket);
/* When node i's lease is to be stepped; the clock stands still if nothing is to be done. */
uint64_t cluster_lease_due(const struct world *w, unsigned i);
void cluster_rest(struct world *w);
void cluster_note_rest(struct world *w, unsigned i);
/* w->e loses the bucket: somebody else has it, by the store. */
void cluster_lose_rest(struct world *w, uint16_t bucket);
/* A server has just been promoted. */
void cluster_lose_unseen(struct world *w);
void cluster_check_rest(struct world *w);

#endif
