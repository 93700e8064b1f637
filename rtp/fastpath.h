/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * fastpath: what the relay and the program in the kernel (rtp/fastpath) share: an entry for what arrives on a stream
 * and one for what leaves to its party. Both work on the same counters and the same continuity, so a packet may go
 * either way. The arrays lie in maps of the kernel that the daemon has mapped, or, without a fast path, in its arena.
 *
 * Who writes what. The lock of fast_out covers, while it is held, fast_out itself and the fast_in of the stream that
 * its party hears (that fast_in.target names it). The kernel only ever tries the lock; what it cannot have at once goes
 * to user space. A fast_in whose target is FAST_NOWHERE is user space's alone. Entries never move; a slot is the
 * relay's stream. Changes of the layout raise FAST_LAYOUT. Times of the kernel's are those of its last tick, so up to
 * some milliseconds early: it counts ticks, which costs it no call, and is told what they are (fast_set_clock).
 */
#ifndef REFEREE_RTP_FASTPATH_H
#define REFEREE_RTP_FASTPATH_H

#include "rtp/egress.h"
#include "rtp/reception.h"

#include <stddef.h>

#define FAST_LAYOUT 4
#define FAST_NOWHERE 0xffffffffu
#define FAST_TYPES 128
#define FAST_TYPE_UP 0xff          /* a payload type that is not the kernel's to judge */
#define FAST_LOCAL_MAX 8
#define FAST_DEAD_US 3000000u      /* without a heartbeat: what would go to user space is dropped ... */
#define FAST_ORPHAN_US 60000000u   /* ... and no packet is forwarded any more */

enum fast_family { FAST_NONE, FAST_V4, FAST_V6 };

struct fast_addr {
    uint64_t ip[2];                /* network order; IPv4 in the first 4 bytes, the rest zero */
    uint16_t port;                 /* host order */
    uint8_t family;                /* enum fast_family, which is enum addr_family */
    uint8_t pad[5];
};

/* Counted of what arrives. */
struct fast_heard {
    uint64_t packets, octets;      /* accepted from the party; RTP and RTCP, UDP payload octets */
    uint64_t last_us;              /* of RTP; 0: none */
    uint32_t clock_rate;           /* of the party's last packet */
    uint8_t type, to;              /* payload type of the last packet, if the kernel forwarded it, and the listener's
                                      number for it; else FAST_TYPE_UP */
    struct reception reception;    /* RTP only */
    uint32_t late;                 /* dropped in the kernel: older than the splice it belongs behind */
};

/* What arrives on the RTP port of a stream: of four lines of the cache a packet like the one before needs two. */
struct fast_in {
    struct fast_heard heard;       /* first: without a fast path there is no more of it */
    uint32_t target;               /* the stream that hears it, by the kernel's own doing; FAST_NOWHERE: goes up */
    uint32_t generation;           /* of the slot */
    struct fast_addr source;       /* the only one that the kernel believes */
    uint32_t negotiated_rate;      /* of dynamic payload types */
    uint8_t types[FAST_TYPES];     /* payload type as the listener numbers it, or FAST_TYPE_UP */
    uint8_t pad[12];
};

/* Counted of what leaves. */
struct fast_sent {
    uint64_t packets, octets;      /* forwarded to the party; RTP and RTCP, UDP payload octets */
    uint64_t last_us, first_us;    /* of RTP; first: since the last MEDIA_REMOTE; 0: none */
    uint32_t gap_us;               /* longest between two RTP packets to the party since it; UINT32_MAX: or more */
    uint32_t splices;              /* changes of source that the party did not hear */
};

/* What leaves to the party of a stream: three lines of the cache, and a packet needs them all. */
struct fast_out {
    struct egress egress;          /* first, with what is sent: without a fast path there is no more of it */
    struct fast_sent sent;
    uint32_t lock;                 /* 0: free */
    uint32_t ifindex;              /* of the next hop; 0: not known, all goes up */
    uint8_t hop_mac[6], our_mac[6];
    uint8_t mac_known;             /* both are there: XDP may send */
    uint8_t hop_family;
    uint8_t straight;              /* both are there, and tc may put it in at the other end of that veth device */
    uint8_t pad;
    struct fast_addr dst, src;     /* where RTP goes, and our own address and port */
    uint64_t hop_ip[2];            /* of the next hop, as in fast_addr */
};

/* One for all streams. Slots are pairs of ports: slot = local[i].base + (port - first_port) / 2. */
struct fast_config {
    uint64_t beat_us;              /* CLOCK_BOOTTIME of the daemon's last sign of life */
    uint64_t tick;                 /* jiffies64 when the daemon began ... */
    uint64_t tick_at_us;           /* ... and CLOCK_BOOTTIME then; what the machine has slept since is added here */
    uint64_t tick_us_16;           /* of a tick, times 65536 */
    uint64_t seen_tick, seen_ns;   /* by the kernel, asked last: jiffies64, and CLOCK_MONOTONIC at that tick */
    uint32_t layout;
    uint32_t pairs;                /* of ports, an address */
    uint16_t first_port;           /* even */
    uint8_t local_count;
    uint8_t pad[5];
    struct {
        uint64_t ip[2];
        uint32_t base;             /* its first slot */
        uint8_t family;
        uint8_t pad[3];
    } local[FAST_LOCAL_MAX];
};

_Static_assert(sizeof(struct fast_in) == 256 && offsetof(struct fast_in, types) <= 128, "an entry for what arrives");
_Static_assert(sizeof(struct fast_out) == 192, "an entry for what leaves");
_Static_assert(offsetof(struct fast_in, heard) == 0 && offsetof(struct fast_out, egress) == 0 &&
               offsetof(struct fast_out, sent) == sizeof(struct egress), "see relay_heard, relay_egress, relay_sent");

/* CLOCK_BOOTTIME at a tick. */
static inline uint64_t fast_tick_us(uint64_t began, uint64_t began_us, uint64_t us_16, uint64_t tick) {
    return began_us + ((tick - began) * us_16 >> 16);
}

/* By what the kernel has seen. slept_ns: CLOCK_BOOTTIME less CLOCK_MONOTONIC. Once it runs only tick_at_us changes,
 * so that the kernel never sees a half of it. */
static inline void fast_set_clock(struct fast_config *c, uint64_t tick_ns, uint64_t slept_ns) {
    if (c->tick == 0 || c->tick_us_16 != (tick_ns << 16) / 1000) {
        c->tick = c->seen_tick;
        c->tick_us_16 = (tick_ns << 16) / 1000;
    }
    uint64_t at = (c->seen_ns + slept_ns) / 1000 - fast_tick_us(c->tick, 0, c->tick_us_16, c->seen_tick);
    __atomic_store_n(&c->tick_at_us, at, __ATOMIC_RELEASE);
}

static inline bool fast_addr_eq(const struct fast_addr *a, const struct fast_addr *b) {
    return a->ip[0] == b->ip[0] && a->ip[1] == b->ip[1] && a->port == b->port && a->family == b->family;
}

/* What tells one party from another in an egress. */
static inline uint64_t fast_source_key(uint32_t stream, uint32_t generation) {
    return (uint64_t)stream << 32 | generation;
}

static inline void fast_count_in(struct fast_heard *in, uint32_t octets) {
    in->packets++;
    in->octets += octets;
}

static inline void fast_count_out(struct fast_sent *out, uint32_t octets, bool is_rtp, uint64_t now_us) {
    out->packets++;
    out->octets += octets;
    if (!is_rtp)
        return;
    if (out->first_us == 0)
        out->first_us = now_us;
    else if (now_us > out->last_us && now_us - out->last_us > out->gap_us)
        out->gap_us = now_us - out->last_us < UINT32_MAX ? (uint32_t)(now_us - out->last_us) : UINT32_MAX;
    out->last_us = now_us;
}

#endif
