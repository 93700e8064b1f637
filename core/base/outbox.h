/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * outbox: what the caller of engine_step must now do, in this order. Buffers in it carry one reference each, which
 * passes to the caller: buf_unref(engine_bufs(e), &entry->u.send.buf) when the kernel is done with it.
 */
#ifndef REFEREE_BASE_OUTBOX_H
#define REFEREE_BASE_OUTBOX_H

#include "core/base/addr.h"
#include "core/base/buf.h"
#include "core/base/event.h"
#include "core/base/media_flow.h"
#include "core/base/siphash.h"
#include "core/base/srtp.h"

#define OUTBOX_MAX 256

enum out_kind { OUT_SEND, OUT_STORE, OUT_MEDIA, OUT_ADMIN, OUT_CDR, OUT_PEER, OUT_BUCKET };

/* What a store does; store/store.h says how each is answered. */
enum store_verb {
    STORE_PUT,
    STORE_GET,
    STORE_DELETE,
    STORE_LOAD,
    STORE_OWNER,
    STORE_CLAIM,
    STORE_RELEASE,
    STORE_LEASE,
};

/* A key is a bucket, a table and an id: "call" / call id in hex, "aor" / user@domain. */
struct store_op {
    enum store_verb verb;
    uint64_t ticket;              /* answered by EV_STORE; 0: no answer wanted */
    uint16_t bucket;
    struct slice table;           /* static string */
    struct buf *key;
    struct buf *value;            /* PUT, LEASE */
    uint64_t expires_ms;          /* PUT: wall clock, 0: never; LEASE: how long it lasts, in milliseconds */
    uint32_t node;                /* who writes; 0: not fenced */
    uint32_t former;              /* CLAIM: who has it, as the claimer knows; 0: nobody */
    uint64_t epoch;               /* of the bucket, as its owner knows it */
    uint64_t version;             /* PUT, DELETE: of the record, rising within an epoch */
};

/* A stream is a slot of the relay: one port pair (RTP, RTCP) of ours that faces one party. */
enum media_verb {
    MEDIA_OPEN,    /* slot in use from now: counters zeroed, no remote, no route; `resume` as below */
    MEDIA_REMOTE,  /* where the party wants its packets (from its SDP); starts latching afresh */
    MEDIA_ROUTE,   /* what arrives on `stream` leaves through `to`; to == stream: echo; MEDIA_NOWHERE: dropped */
    MEDIA_PLAY,    /* the party on `stream` hears `source` instead of whom it heard, until a ROUTE to it or STOP */
    MEDIA_STOP,
    MEDIA_CLOSE,   /* packets dropped; the port goes into quarantine */
    MEDIA_SRTP,    /* what is spoken with the party from now on; where a key is as before, its counters go on */
    MEDIA_LEAVE,   /* the slot is another shard's from now on, which goes on with it: nothing of it is changed */
};
#define MEDIA_NOWHERE UINT32_MAX

/* What is played, in G.711: whose clock and bytes are the shell's business. */
enum media_source { MEDIA_SOURCE_MUSIC, MEDIA_SOURCE_RINGBACK, MEDIA_SOURCE_ANNOUNCEMENT, MEDIA_SOURCES };

/* Payload types on their way from one party to another, where they are not the same number at both. */
#define MEDIA_TYPES_MAX 16
#define MEDIA_TYPE_DROP 0xff
struct media_types {
    uint8_t count;                /* 0: every packet keeps its own */
    bool only;                    /* one that is not listed is dropped, else it keeps its own */
    struct {
        uint8_t from, to;         /* to may be MEDIA_TYPE_DROP: it means something else there */
    } pair[MEDIA_TYPES_MAX];
};

struct media_cmd {
    enum media_verb verb;
    uint32_t stream;
    uint32_t generation;          /* of the slot's use; a command for an older use is ignored */
    bool resume;                  /* MEDIA_OPEN: of a call that went on without us; what flows goes on as it did */
    uint32_t to;                  /* MEDIA_ROUTE */
    enum media_source source;     /* MEDIA_PLAY */
    uint8_t payload_type;         /* MEDIA_PLAY: of PCMA or PCMU at the party */
    bool alaw;                    /* MEDIA_PLAY: PCMA, else PCMU */
    bool nat;                     /* MEDIA_REMOTE: what is learned is the destination; rtp/relay.h, Source */
    bool strict;                  /* MEDIA_REMOTE: nothing is learned */
    bool rtcp_mux;
    uint32_t clock_rate;          /* MEDIA_REMOTE: of dynamic payload types, for timestamps at a splice; 0: 8000 */
    union {
        struct media_types types; /* MEDIA_ROUTE */
        struct {
            struct addr rtp, rtcp;    /* MEDIA_REMOTE; ADDR_NONE: nothing is sent */
            struct addr signalling;   /* MEDIA_REMOTE: where the party's signalling comes from; port of no meaning */
        };
        struct srtp_keys keys;    /* MEDIA_SRTP */
        struct media_flow flow;   /* MEDIA_OPEN with `resume`; clock_rate 0: none */
    };
};

/* What the engine says about a bucket. */
enum bucket_word {
    BUCKET_ASKED,  /* a message came for it, and nobody is known to own it */
    BUCKET_GIVEN,  /* after BUCKET_GIVE: whatever was to be written is in an outbox before this */
};

struct out {
    enum out_kind kind;
    union {
        struct {
            struct addr dst;
            struct addr src;      /* family ADDR_NONE: any of ours */
            struct buf *buf;
        } send;
        struct store_op store;
        struct media_cmd media;
        struct {
            uint64_t conn;
            struct buf *buf;      /* may be NULL */
            bool last;            /* the answer is complete */
        } admin;
        struct {
            struct buf *buf;      /* one line of JSON with its line end */
        } cdr;
        struct {
            enum peer_kind what;
            uint32_t to;          /* PEER_NONE: all engines of the cluster but this one */
            uint16_t bucket;
            uint8_t hops;
            struct addr src, dst;
            struct buf *buf;      /* may be NULL */
        } peer;
        struct {
            enum bucket_word what;
            uint16_t bucket;
        } bucket;
    } u;
};

struct outbox {
    uint32_t n;
    struct out entries[OUTBOX_MAX];
};

/* NULL when full. The engine keeps away from that: timers and drained calls wait for its next step once it is half
 * full. */
static inline struct out *outbox_add(struct outbox *o, enum out_kind kind) {
    if (o->n == OUTBOX_MAX)
        return (struct out *)0;
    struct out *e = &o->entries[o->n++];
    *e = (struct out){ .kind = kind };
    return e;
}

#endif
