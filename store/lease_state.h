/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * lease_state: what lease.c (this node, the living, when it may act) and lease_bucket.c (one bucket's way) share.
 */
#ifndef REFEREE_STORE_LEASE_STATE_H
#define REFEREE_STORE_LEASE_STATE_H

#include "core/base/buf.h"
#include "core/base/rng.h"
#include "store/lease.h"

#define LEASE_ASKED_MAX 8         /* renewals that are not answered yet, by their number */
#define LEASE_IN_FLIGHT 256       /* operations on buckets at a time */
#define LEASE_POLL 32             /* buckets looked at again a tick: all of them in 13 s */

enum bucket_state {
    AT_UNKNOWN,   /* nobody was asked yet, or the answer was lost */
    AT_OTHERS,    /* `owner` has it, or nobody */
    AT_CLAIMING,
    AT_LOADING,
    AT_MINE,
    AT_GIVING,    /* the engine finishes with it */
    AT_RELEASING,
};

struct lease_bucket {
    uint64_t epoch;
    uint64_t not_before_us;       /* of the next claim; of one that is ours: of giving it away */
    uint32_t owner, target;       /* as the store or a peer said; by rendezvous */
    uint64_t since;               /* of the first of our claims one after the other, as LEASE_LOADING says; 0: none */
    uint64_t former_epoch;
    uint32_t former;              /* who had it before us, by which epoch */
    uint16_t number;              /* of its last operation */
    uint8_t state;
    uint8_t table;                /* LOADING: which */
    uint8_t failures;             /* claims that were fenced, one after the other */
    bool in_flight;
    bool asked;                   /* by a message: claim it whoever it should be */
    bool left;                    /* to us, by who had it: nobody is to be waited for */
    bool orphaned;                /* told so: the lease of `owner` is gone */
    bool unsure;                  /* ours, but to be found so again before anything is sent */
    bool reclaim;                 /* by a new epoch: the lease had run out, so a claim of it may be under way */
    bool rewrite;                 /* the server has forgotten its records as well */
    bool read;                    /* its bindings are known: read once, told by its owner since */
    bool look;                    /* to be asked for */
    bool peeks;                   /* LOADING: only to see whether its records can be read here */
    uint8_t newer;                /* the highest format in it that cannot; 0: all can */
    uint8_t leaves;               /* since it was found readable */
    uint32_t heir;                /* it is left to this one, for what cannot be read here; 0: to `target` */
};

struct lease_peer {
    uint32_t node;
    bool alive, draining, store_ok;
    bool missed;                  /* not alive only as the store said soon behind its outage: it may not be back yet */
    uint8_t format;               /* as it said last that it reads; what drains says nothing of it any more */
    uint64_t heard_us;            /* LEASE_IN_PEER; 0: never */
    uint64_t gone_us;             /* since when it is not alive; may be a little ahead, see others() */
    uint8_t value_n;
    char value[LEASE_VALUE_MAX];
};

struct lease {
    struct lease_config cfg;
    struct rng rng;
    struct buf *value;            /* of this node's lease */
    uint64_t now, last_us;
    uint64_t until_us;            /* own lease, by own clock */
    uint64_t woken_us;            /* last gap of the loop */
    uint32_t asked_before;        /* asked_n at that time */
    bool woken;                   /* it has heard nothing of the store since, nor asked it in vain */
    bool heard;                   /* the store has answered a renewal of this life */
    uint64_t took_us;             /* when it last set out to claim another's bucket, or was first heard; 0: never */
    uint64_t renew_us;            /* when the next renewal is due */
    uint64_t asked_us[LEASE_ASKED_MAX];
    uint32_t asked_n, answered_n;
    uint64_t tick_us;             /* the next one */
    uint64_t reachable_us;        /* since when the store answers without a break; LEASE_NEVER: it does not */
    uint64_t settled_us;          /* since when the living are the same */
    struct lease_peer peers[LEASE_NODES_MAX]; /* others, and those that lived once */
    uint32_t peer_n;
    bool suspended, draining, drained, nodes_changed, targets_set;
    bool ran_out;                 /* the lease, since it was renewed last: what was ours is to be found so again */
    bool more;                    /* buckets wait to be worked at */
    uint8_t format;               /* that all the living read; 1 until they are known */
    bool slept;                   /* beyond the lease, and what was ours was not all found to be so again since */
    bool passed;                  /* others may have taken what is ours, the store must say; see may_act() */
    uint32_t in_flight, unsure, mine, polled, scanned;
    uint64_t due[LIMIT_BUCKETS / 64]; /* a bit each: something may be to be done for it, now or by time alone */
    struct lease_out *out;
    struct lease_bucket buckets[LIMIT_BUCKETS];
};
#define LEASE_NEVER UINT64_MAX

static inline bool lease_has_room(const struct lease *l) {
    return l->out->n < LEASE_OUT_MAX - 4 && l->out->op_n < LEASE_OUT_MAX - 4;
}

/* Whatever changed of it: it is to be looked at again. */
static inline void lease_touch(struct lease *l, uint32_t bucket) {
    l->due[bucket / 64] |= UINT64_C(1) << bucket % 64;
}

/* lease.c */
struct lease_decision *lease_decide(struct lease *l, enum lease_verdict v, uint16_t bucket);
struct lease_peer *lease_peer(struct lease *l, uint32_t node);
/* Not alive for so long that even its own clock must agree; a node never heard of is dead. */
bool lease_is_dead(const struct lease *l, uint32_t node, uint64_t grace_us);
enum lease_claim { CLAIM_LEFT, CLAIM_NOBODYS, CLAIM_SOMEBODYS };
bool lease_may_claim(const struct lease *l, enum lease_claim what);
/* The living node that is to read what is in this bucket of that format; 0: none does. */
uint32_t lease_reader(const struct lease *l, uint32_t bucket, uint8_t format);

/* lease_bucket.c */
void lease_bucket_answer(struct lease *l, const struct event *ev);
void lease_bucket_heard(struct lease *l, uint16_t bucket, uint32_t node, uint64_t epoch);
void lease_bucket_asked(struct lease *l, uint16_t bucket);
void lease_bucket_lost(struct lease *l, uint16_t bucket, uint32_t node, uint64_t epoch);
void lease_bucket_given(struct lease *l, uint16_t bucket);
/* What is due for it. Afterwards it is no longer marked as due, unless it waits for time, the living or the store. */
void lease_bucket_work(struct lease *l, uint16_t bucket);
bool lease_bucket_is_ours(const struct lease_bucket *b);
/* Ours or nobody's: the store is to be asked, and until then we are not sure of it. */
void lease_bucket_doubt(struct lease *l, uint16_t bucket);

#endif
