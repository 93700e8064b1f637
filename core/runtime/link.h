/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * link: messages between the nodes of a cluster, over TCP: each node connects to each other one and sends on that
 * connection only. Of several shards each has a link, and is a node here, by its number as a member. Bounded: what a
 * peer does not take in time is dropped, as a network does; SIP sends it again. What is sent to one that has just
 * become known waits for the connection; if that fails, it is dropped.
 *
 * A connection is given up that does not get as far as the hello in LINK_HELLO_US, the oldest of them sooner if its
 * place is needed; so is one whose peer takes nothing for LINK_SILENT_MS, is gone from the network, or connects anew.
 *
 * Accepted: 16 random bytes go to who connected; back come its node (4 bytes, big endian) and HMAC-SHA256 under the
 * cluster's secret over those bytes, its node and ours. Then frames: length of the rest (4, big endian), kind, what,
 * hops, flags (1 each), bucket (2), node (4), epoch (8), PROXY protocol v2 header (of a datagram: the addresses it came
 * with; else of its command LOCAL), bytes.
 */
#ifndef REFEREE_RUNTIME_LINK_H
#define REFEREE_RUNTIME_LINK_H

#include "core/base/event.h"
#include "core/base/limits.h"
#include "core/runtime/io.h"
#include "core/runtime/log.h"

#define LINK_NODES_MAX LIMIT_MEMBERS
#define LINK_FRAME_MAX 100000
#define LINK_IN_BYTES (2 * LINK_FRAME_MAX)
#define LINK_OUT_BYTES (1 << 20)
#define LINK_TAGS (1 + 2 * LINK_NODES_MAX)   /* of io_watch, from tag_base on */
#define LINK_SECRET_LEN 32
#define LINK_HELLO_US 3000000
#define LINK_SILENT_MS 5000
#define LINK_GONE_US 60000000

enum link_kind {
    LINK_PEER,   /* an OUT_PEER: what, hops, bucket, src, dst, bytes */
    LINK_OWNER,  /* LEASE_IN_HEARD: bucket, node, epoch */
    LINK_STATE,  /* LEASE_IN_PEER: flag */
};

struct link_frame {
    enum link_kind kind;
    uint8_t what, hops;
    bool flag;
    uint16_t bucket;
    uint32_t node;
    uint64_t epoch;
    struct addr src, dst;
    struct slice bytes;
    uint32_t from;               /* who sent it; received frames only */
};

struct link_conn {
    int fd, slot;                /* fd -1: free */
    uint32_t node;               /* 0: not known yet */
    bool up, readable;
    struct addr to;              /* connections out */
    uint64_t again_us;           /* when to connect again */
    uint64_t first_us;           /* until then what is sent waits, while it has not failed */
    uint64_t since_us;           /* it is being opened, or was accepted, since then */
    uint64_t gone_us;            /* connections out: its node does not live any more, since then; 0: it does */
    bool leaves;                 /* ... and has said that it will not */
    uint32_t failures;
    uint8_t challenge[16];
    uint8_t *in;
    uint32_t in_n, in_at;
    uint8_t *out;
    uint32_t out_n, out_at;
};

struct link {
    uint32_t node;
    uint8_t secret[LINK_SECRET_LEN];
    int fd;                      /* listening; -1: not */
    struct io *io;
    uint32_t tag_base;
    struct log *log;
    uint64_t now_us;
    uint64_t due_us;             /* when link_tick has something to do; 0: not known */
    uint64_t dropped;            /* frames that a peer did not take, or for whom there is no connection */
    struct link_conn to[LINK_NODES_MAX], from[LINK_NODES_MAX];
};

/* *listen gets its port if it had none. False: the reason was logged. */
bool link_open(struct link *k, uint32_t node, const uint8_t secret[LINK_SECRET_LEN], struct addr *listen,
               struct log *log);
bool link_start(struct link *k, struct io *io, uint32_t tag_base);
void link_close(struct link *k);

/* A node that lives, and where; known ones change nothing. */
void link_peer(struct link *k, uint32_t node, const struct addr *at);
/* It does not live any more, or only sleeps: for LINK_GONE_US it is still connected to, but sent to by link_send_gone
 * only. At once forgotten is one that leaves, whose address another one has, or whose place a living one needs. */
void link_miss(struct link *k, uint32_t node);
/* True: a connection to it stands. */
bool link_is_up(const struct link *k, uint32_t node);
/* To one node, or to all with 0. False: not to a single one, nor does it wait for its first connection. */
bool link_send(struct link *k, uint32_t node, const struct link_frame *f);
/* To all that are missed, and reached. */
void link_send_gone(struct link *k, const struct link_frame *f);

/* A tag from tag_base on is ready; then link_next until there is none. */
void link_ready(struct link *k, uint32_t which);
/* Its bytes are good until the next call. */
bool link_next(struct link *k, struct link_frame *out);
void link_tick(struct link *k, uint64_t now_us);
uint64_t link_deadline(struct link *k);

/* link_frame.c: pure. Bytes written, 0: no room. Bytes read, 0: not whole yet, UINT32_MAX: nonsense. */
uint32_t link_frame_put(uint8_t *to, uint32_t cap, const struct link_frame *f);
uint32_t link_frame_get(const uint8_t *in, uint32_t n, struct link_frame *f);

#endif
