/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * port_pool: pairs of ports (even: RTP, odd: RTCP; RFC 3550 section 11) from a range. A slot is the index of a pair
 * and the `stream` of media commands; each use of it has a generation. A released pair rests for the quarantine, so
 * that packets of its former call do not reach the next one; the one that was released first is taken first. One
 * shard owns a pool. Pools of several shards cover the same range, each with pairs of its own; a call that moves from
 * one shard to another takes its pairs along and they come home when it is over.
 *
 * A part of the pairs can be kept for who may not be refused: they have queues of their own.
 *
 * A pool may have the same range at further addresses: slots pairs * k and up are of address k. Each address has a
 * queue of its own; which of them a pair is taken of is for the caller to say.
 */
#ifndef REFEREE_RTP_PORT_POOL_H
#define REFEREE_RTP_PORT_POOL_H

#include "core/base/arena.h"

#include <stdbool.h>

#define PORT_POOL_NONE UINT32_MAX

struct port_slot {
    uint64_t free_at_us;          /* while released */
    uint32_t generation;          /* 0: never used */
    uint32_t next, prev;          /* in the queue of the released; PORT_POOL_NONE: none */
    bool taken, rests;
    bool kept;                    /* for good */
    uint8_t home;                 /* enum port_home */
};

enum port_home {
    PORT_OWN,
    PORT_LENT,                    /* of this pool, and another shard has it; taken */
    PORT_LENT_TAKEN,              /* a record wants it back; port_pool_settle, or released it is PORT_LENT again */
    PORT_FOREIGN,                 /* of another shard; taken */
    PORT_FOREIGN_TAKEN,           /* it came here with a call */
};

#define PORT_POOL_ADDRESSES 24
/* Of a pair that may still be in use: a transfer's time, 64*T1 and what goes before. No more than an eighth of the
 * pairs rest so. */
#define PORT_POOL_REST_US 40000000

struct port_queue {
    uint32_t head, tail;          /* released slots, oldest first */
};

struct port_pool {
    struct port_slot *slots;      /* NULL: only counted */
    uint64_t quarantine_us;
    uint32_t count;               /* slots: pairs, at each address */
    uint32_t pairs;               /* of one address */
    uint32_t used;                /* here: not those that are lent, or another shard's */
    uint32_t high_water;
    uint64_t exhausted;           /* refused takes */
    struct port_queue free[PORT_POOL_ADDRESSES]; /* by address */
    struct port_queue kept[PORT_POOL_ADDRESSES];
    struct port_queue resting[PORT_POOL_ADDRESSES]; /* for PORT_POOL_REST_US */
    uint32_t rest;                /* how many do, of all addresses */
    uint16_t first_port;          /* even */
};

/* Pairs that fit in [first, last], first rounded up to even; may be 0. */
uint32_t port_pool_pairs(uint16_t first, uint16_t last);
/* Lays out a pool over [first, last]; while `a` counts only the size is taken. */
void port_pool_init(struct port_pool *p, struct arena *a, uint16_t first, uint16_t last, uint64_t quarantine_us);
/* The same with `further` addresses more, PORT_POOL_ADDRESSES (CHECK) with the first. */
void port_pool_init_more(struct port_pool *p, struct arena *a, uint16_t first, uint16_t last, uint64_t quarantine_us,
                         uint32_t further);

/* Slot of address k, or PORT_POOL_NONE when all of it are taken or in quarantine. *generation is never 0. */
uint32_t port_pool_take_at(struct port_pool *p, uint32_t k, uint64_t now_us, uint32_t *generation);
/* ... of address 0. */
uint32_t port_pool_take(struct port_pool *p, uint64_t now_us, uint32_t *generation);
/* n slots of address k are free. Looks at n. */
bool port_pool_has(const struct port_pool *p, uint32_t k, uint32_t n, uint64_t now_us);
/* At start: of the free slots of each address so many percent, rounded down, are kept. */
void port_pool_keep(struct port_pool *p, uint32_t percent);
/* The same two for who may have what is kept, when there is nothing else. */
uint32_t port_pool_take_kept(struct port_pool *p, uint32_t k, uint64_t now_us, uint32_t *generation);
bool port_pool_has_kept(const struct port_pool *p, uint32_t k, uint32_t n, uint64_t now_us);
/* This very slot, for a call that comes with its ports. False: it is taken, in quarantine or not one of ours. */
bool port_pool_take_slot(struct port_pool *p, uint32_t slot, uint64_t now_us, uint32_t *generation);
/* False if this use of the slot is over already (nothing changes). Without quarantine: as of quarantine_us ago. */
bool port_pool_release(struct port_pool *p, uint32_t slot, uint32_t generation, uint64_t now_us);
/* The same, for a pair that the relay goes on with: it is not taken again before PORT_POOL_REST_US is over or, with too
 * many of those, the quarantine. */
bool port_pool_leave(struct port_pool *p, uint32_t slot, uint32_t generation, uint64_t now_us);
/* Nobody uses that pair any more: quarantine as ever. False: it does not rest. */
bool port_pool_rested(struct port_pool *p, uint32_t slot, uint32_t generation, uint64_t now_us);

/* At start, a free slot: another shard's. */
void port_pool_set_foreign(struct port_pool *p, uint32_t slot);
/* Another shard has it; or this one has what is another's. */
bool port_pool_is_elsewhere(const struct port_pool *p, uint32_t slot);
bool port_pool_is_guest(const struct port_pool *p, uint32_t slot);
/* This use is over here and goes on in another shard. */
void port_pool_lend(struct port_pool *p, uint32_t slot, uint32_t generation);
/* What port_pool_take_slot gave stays. */
void port_pool_settle(struct port_pool *p, uint32_t slot);
/* A slot that was lent is nobody's any more; quarantine as ever. */
void port_pool_returned(struct port_pool *p, uint32_t slot, uint64_t now_us);

/* slot < count (CHECK). RTCP is at the next port. */
uint16_t port_pool_rtp_port(const struct port_pool *p, uint32_t slot);
/* The first address's slot that an RTP or RTCP port belongs to, or PORT_POOL_NONE. */
uint32_t port_pool_slot_of(const struct port_pool *p, uint16_t port);

#endif
