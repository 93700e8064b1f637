/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * event: what an engine is stepped with. Each carries the time; the engine has no other clock.
 * Everything an event points to is borrowed for the one step.
 */
#ifndef REFEREE_BASE_EVENT_H
#define REFEREE_BASE_EVENT_H

#include "core/base/addr.h"
#include "core/base/media_flow.h"
#include "core/base/srtp.h"

enum event_kind {
    EV_DATAGRAM,   /* bytes arrived */
    EV_DEADLINE,   /* the time engine_deadline() named has come (or not: harmless) */
    EV_STORE,      /* a store ticket was answered */
    EV_STORE_DOWN, /* some buckets of the store cannot be reached from now on */
    EV_STORE_UP,   /* all can, for the first time or again: who owns what may have changed meanwhile (a server that was
                      promoted may have lost the last writes), so every bucket held is to be validated */
    EV_SEND_FAILED,/* the kernel refused or reported an error for a destination (ICMP) */
    EV_MEDIA,      /* the relay tells something about a stream */
    EV_ADMIN,      /* one line of an operator's order */
    EV_BUCKET,     /* who owns a bucket has changed, or a record of one that became ours; see core/b2b/owner.h */
    EV_ACT,        /* this node may not act for anything (a lease that ran out), or may again */
    EV_FORMAT,     /* the living nodes are others: up to which format all of them read records */
    EV_ADDRESS,    /* a media address that moves among the nodes has come here, or gone */
    EV_PEER,       /* from another engine of the cluster: what its OUT_PEER said */
    EV_RECORD,     /* a record of the table "call" of a bucket that this engine has: the call goes on here */
    EV_LOAD,       /* how busy the shell's loop was of late; see core/b2b/load.h */
    EV_DRAIN,      /* refuse new calls from now on; at `deadline_us` (mono) BYE what is left */
};

/* FENCED: somebody else owns the bucket, or a later version is there. REFUSED: the store is full or may not be written.
 * UNAVAILABLE: it cannot be reached or did not answer in time; whether the operation was done is not known. */
enum store_status { STORE_OK, STORE_MISSING, STORE_REFUSED, STORE_FENCED, STORE_UNAVAILABLE };

/* Decisions of the lease (store/lease.h), one bucket each. */
enum bucket_event {
    BUCKET_OWNER,  /* `peer` has it; PEER_NONE: nobody is known to */
    BUCKET_LOADING,/* it is ours since `epoch`; its records follow, and until BUCKET_MINE nothing else is done for it */
    BUCKET_RECORD, /* one of them */
    BUCKET_MINE,   /* act for it. For one that is ours already: by the new `epoch`; with `rewrite` all its records are
                      to be written again */
    BUCKET_GIVE,   /* finish with it, then say OUT_BUCKET given; `peer` has it next: when its calls are stable, one
                      bucket with calls after the other; or, with `live`, all at once, and none later than a bound */
    BUCKET_LOST,   /* `peer` has it: forget its calls without a word */
};

/* Another engine: a member of the cluster, by its number (member.h); without one a shard of this process, by a number
 * that only the shell understands. */
#define PEER_NONE 0
enum peer_kind {
    PEER_DATAGRAM, /* from the wire, for the owner of `bucket`: src, dst as they were there; `hops` engines had it */
    PEER_MOVE,     /* a call is to go on at the other engine; see core/b2b/move.h for this and the next three */
    PEER_ARRIVED,
    PEER_GO,
    PEER_NO,
    PEER_ENDED,    /* a leg that was moved away from `bucket` has ended: its stub may go; see core/b2b/moved.h */
    PEER_BINDING,  /* contacts of an address of record have changed; see core/b2b/registrar.h */
    PEER_OVER,     /* legs of a call have ended which its new owner may believe to live; see core/b2b/owner_over.h */
    PEER_FULL,     /* it has no room for new calls, or has again; see core/b2b/hand.h */
    PEER_LEFT,     /* a call that has left `bucket`, and may be read there again; see core/b2b/move_left.h */
    PEER_KINDS
};

/* ROC: rollover counters of SRTP, what comes from the party and what goes to it, are these now. RETURNED: a slot that
 * was left (MEDIA_LEAVE) is not used by another shard any more. FLOW: the party hears another source, under the SSRC of
 * the one before. */
enum media_event { MEDIA_EV_LATCHED, MEDIA_EV_SILENT, MEDIA_EV_ROC, MEDIA_EV_RETURNED, MEDIA_EV_FLOW };

struct event {
    enum event_kind kind;
    uint64_t mono_us;             /* CLOCK_BOOTTIME of the shell, microseconds */
    uint64_t wall_ms;             /* since 1970, for records and CDRs only */
    union {
        struct {
            struct slice bytes;
            struct addr src;
            struct addr dst;      /* our address it came to */
        } dgram;
        struct {
            uint64_t ticket;
            enum store_status status;
            struct slice key;     /* LOAD */
            struct slice value;   /* GET, LOAD, LEASE */
            bool more;            /* LOAD: further answers with this ticket follow */
            uint32_t node;        /* OWNER, CLAIM, fenced: who owns the bucket; 0: nobody */
            uint64_t epoch;       /* the same: since which epoch; GET, LOAD: by which it was written, 0: by nobody's */
        } store;
        struct {
            struct slice key, value;
        } record;
        struct {
            struct addr dst;
        } failed;
        struct {
            enum media_event what;
            uint32_t stream;
            uint32_t generation;
            struct addr addr;
            struct srtp_roc in, out;
            struct media_flow flow; /* FLOW: of what the party hears */
        } media;
        struct {
            uint64_t conn;        /* echoed in OUT_ADMIN */
            struct slice line;
        } admin;
        struct {
            enum bucket_event what;
            uint16_t bucket;
            uint32_t peer;
            uint64_t epoch;
            bool rewrite, live;
            struct slice table, key, value; /* RECORD */
            uint64_t written;     /* the same: by which epoch; 0: not known */
            uint64_t since;       /* LOADING: the first of our claims one after the other; 0: not known */
        } bucket;
        struct {
            bool suspended;
        } act;
        struct {
            uint32_t highest;
        } format;
        struct {
            uint32_t index;       /* of engine_config.media_vips */
            bool here;
        } address;
        struct {
            enum peer_kind what;
            uint32_t from;
            uint16_t bucket;
            uint8_t hops;
            struct addr src, dst;
            struct slice bytes;
        } peer;
        struct {
            uint64_t deadline_us;
            bool unknown;         /* only calls that no record knows: others can go on with what is in the store */
        } drain;
        struct {
            bool turn;            /* only how much waits, at this moment: more or less than a bound */
            uint16_t waiting;     /* of 1000 parts of the room for what has arrived, and is not dealt with */
            uint16_t busy;        /* of 1000 parts of the time it had something to do, and more waiting */
            uint64_t lag_us;      /* the longest that anything waited for its turn */
        } load;
    } u;
};

#endif
