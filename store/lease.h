/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * lease: which buckets this node owns, which another one, which nobody. One a node, stepped: time, the store's answers
 * and what peers say go in; operations for the store and decisions come out. Pure. Where a node has several shards each
 * of them is a node here, by its number as a member (core/base/member.h), but for two things: they drain together, and
 * whether the store is down for all each process says once.
 *
 * A node lives as long as it renews its lease (DESIGN: 3 s, each second). By the store's clock for the others; for
 * itself from when it asked, so that it ends no later here than there. Each living node knows by rendezvous hashing
 * which buckets should be its own: those it takes when nobody who lives has them, and gives up what should be
 * another's. A bucket is owned from LEASE_MINE to LEASE_LOST or lease_given(), by the epoch that the store gave.
 *
 * - A dead node's bucket is claimed once the store has been reachable for a lease and its grace, so that the store's
 *   own outage is nobody's death, and where our own lease had run out, since it was renewed; one that nobody has, after
 *   a renewal and its grace; one that its owner has let go of, and says so, at once. Lazily when it is asked for,
 *   eagerly by whose it should be.
 * - A bucket with a record of a format that this node does not read, and a living one says that it does, is left to
 *   that one: before anything is acted on where such a node lives at the claim, else as soon as one comes. (A newer
 *   node may die before it has written again what an older one is to take over.)
 * - After a gap of the loop over LEASE_GAP_US, a lease that ran out, a reconnected or promoted store: LEASE_SUSPEND
 *   at once, and LEASE_RESUME only when every own bucket was found to be ours still. After a lease that ran out, by a
 *   new epoch, since somebody may be about to claim it by the old one. What was not ours is LEASE_LOST before.
 * - With a lease that has run out, a node acts only if it was alone when it last heard (but whom it misses so soon
 *   behind an outage may be about to come back), or if most of its peers say that the store is down for them too, who
 *   has come since and said that it is not being one of them; never if one says that it is not, nor if one could have
 *   taken a bucket since: who said so long after that lease, or was there while this node slept beyond it, by the last
 *   list or as one who has spoken since; or while it might not act, if it has reached the store again, and then not for
 *   so long as to find all that was its own. (Who starts while a node is cut off from the store and from the newcomer,
 *   that node does not see: the price of going on without the store.)
 */
#ifndef REFEREE_STORE_LEASE_H
#define REFEREE_STORE_LEASE_H

#include "core/base/limits.h"
#include "store/store.h"

#define LEASE_LIFE_US 3000000
#define LEASE_RENEW_US 1000000
#define LEASE_GRACE_US 500000
#define LEASE_GAP_US 500000
#define LEASE_TICK_US 100000      /* it wants to be stepped at least as often */
#define LEASE_SETTLE_US 2000000   /* nothing is given up before the living have been the same for so long */
#define LEASE_FORMAT_MAX 15
#define LEASE_LEAVES_MAX 8        /* so often, one after the other, a bucket is left to who reads more */
#define LEASE_NODES_MAX LIMIT_MEMBERS
#define LEASE_VALUE_MAX 60
#define LEASE_OUT_MAX 64

/* Tickets of its operations; the engine's have this bit clear. */
#define LEASE_TICKET (UINT64_C(1) << 63)

struct lease;

struct lease_config {
    uint32_t node;                /* not 0; no two of a cluster may have the same */
    char value[LEASE_VALUE_MAX];  /* where it is reached, for the others */
    uint8_t format;               /* of records, the highest that it writes, for the others too; 0: 1 */
    uint8_t reads;                /* the highest that it reads; 0: as `format` */
    uint64_t lazy_seed;           /* of back-off; any */
};

enum lease_input_kind {
    LEASE_IN_TICK,
    LEASE_IN_STORE,       /* `store`: an answer whose ticket has LEASE_TICKET */
    LEASE_IN_STORE_UP,    /* connected again, or another server was promoted */
    LEASE_IN_ASK,         /* a message for `bucket` came and nobody is known to own it */
    LEASE_IN_HEARD,       /* a peer says that `node` (0: nobody) owns `bucket` since `epoch` */
    LEASE_IN_PEER,        /* `node` is there and says whether it reaches the store */
    LEASE_IN_FENCED,      /* a write was: `bucket`, `node`, `epoch` as in its answer */
    LEASE_IN_GIVEN,       /* what LEASE_GIVE asked for is done: its last write was put before this */
    LEASE_IN_DRAIN,       /* all buckets go to others; LEASE_DRAINED at the end */
};

struct lease_input {
    enum lease_input_kind kind;
    uint64_t now_us;              /* CLOCK_BOOTTIME */
    const struct event *store;
    uint16_t bucket;
    uint32_t node;
    uint64_t epoch;
    bool store_ok;
};

enum lease_verdict {
    LEASE_LOADING,        /* ours since `epoch`; its records follow. Again while they do: the epoch rose. By claims one
                             after the other since the epoch `since`: nobody else had it in between, nor was it
                             LEASE_MINE or LEASE_LOST */
    LEASE_RECORD,         /* `table`, `key`, `value`: borrowed until the next step; may come twice. `written`: by which
                             epoch. Of a bucket that is not ours: of the table "aor" only, once, since every node looks
                             users up by itself */
    LEASE_MINE,           /* all records were there: act for it, from now on by `epoch`. Again for one that is ours
                             already: the epoch rose; with `rewrite` all its records are to be written again */
    LEASE_GIVE,           /* finish with it, then say LEASE_IN_GIVEN; `node` is to have it next */
    LEASE_LOST,           /* forget it silently, at once; `node` has it (0: nobody, or not known), since `epoch` */
    LEASE_OWNER,          /* not ours: `node` has it, since `epoch`; 0: nobody, or one whose lease is gone. Again, when
                             it is asked for, and when that node has claimed it anew: it may have started meanwhile */
    LEASE_TELL,           /* say LEASE_IN_HEARD to the peer `node`: `bucket`, owner `owner`, `epoch` */
    LEASE_SUSPEND,        /* handle and send nothing for any bucket, until */
    LEASE_RESUME,
    LEASE_FORMAT,         /* `format`: the highest record format that all the living read is this, from now on */
    LEASE_NODES,          /* the living are others than before; see lease_node */
    LEASE_DRAINED,
};

struct lease_decision {
    enum lease_verdict verdict;
    uint16_t bucket;
    uint32_t node, owner;
    uint8_t format;
    bool rewrite;
    uint64_t epoch, written, since;
    struct slice table, key, value;
};

struct lease_out {
    uint32_t op_n, n;
    struct store_op ops[LEASE_OUT_MAX];   /* values: one reference each to a buffer that is never freed */
    struct lease_decision d[LEASE_OUT_MAX];
};

/* What the engine is to be told of a decision; borrows what that borrows. Time, and bucket.live, are the caller's.
 * False: it is none of the engine's. */
bool lease_event(const struct lease_decision *d, struct event *ev);

struct lease *lease_new(struct arena *a, const struct lease_config *config, uint64_t now_us);
/* Fills *out anew. Decisions are in the order in which they must be carried out; the operations come after them. */
void lease_step(struct lease *l, const struct lease_input *in, struct lease_out *out);
/* When a LEASE_IN_TICK is due. */
uint64_t lease_deadline(const struct lease *l);

/* What the others are told of lease_config.format, from now on. */
void lease_tell_format(struct lease *l, uint8_t format);
/* As LEASE_FORMAT said last; 1 before. */
uint8_t lease_format(const struct lease *l);

/* The store answered within the lease, or this node set out to take another's buckets so lately, or may have before it
 * started: what LEASE_IN_PEER of the others is told. */
bool lease_store_ok(const struct lease *l);
/* False: it slept, and whether the store answers is still to be seen; or it has started, and had no answer yet: that
 * the store is away says nothing then of what the life before this one took. The others are told nothing until then. */
bool lease_knows_store(const struct lease *l);
bool lease_is_suspended(const struct lease *l);
/* Living nodes of the last answer, this one too; false: no such index. */
struct lease_node {
    uint32_t node;
    bool draining;
    uint8_t format;
    struct slice value;
};
bool lease_node(const struct lease *l, uint32_t index, struct lease_node *out);
/* Owner by what is known here, 0: nobody or not known. *epoch may be NULL. */
uint32_t lease_owner(const struct lease *l, uint16_t bucket, uint64_t *epoch);
/* Buckets that are ours, loading ones too. */
uint32_t lease_count(const struct lease *l);

#endif
