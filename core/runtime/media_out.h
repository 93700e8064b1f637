/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * media_out: relayed RTP leaves as a frame, by one packet socket of the thread's, instead of by its port's socket: less
 * of the kernel's work. What is known of ways out is the kernel's word (nexthop.h), asked for again after some seconds;
 * all that is not plain goes by the port's socket as ever: RTCP, what another way is not known for yet, this machine's
 * own addresses and link-local ones, long packets, and one packet of each next hop in a while, so that the kernel goes
 * on looking after that neighbour.
 *
 * Frames go past the filters and the address translation of what leaves this machine, and past policy routes by port or
 * mark; queues (tc qdisc) and captures see them. It wants the right to open a packet socket (CAP_NET_RAW).
 */
#ifndef REFEREE_RUNTIME_MEDIA_OUT_H
#define REFEREE_RUNTIME_MEDIA_OUT_H

#include "core/runtime/io.h"
#include "core/runtime/log.h"
#include "core/runtime/nexthop.h"

#define MEDIA_OUT_HOPS 255
#define MEDIA_OUT_ADDRESSES 8
#define MEDIA_OUT_LONGEST 1200    /* octets of a datagram: a frame is not divided here */

/* A neighbour that some party's packets leave by. */
struct media_out_hop {
    struct nexthop to;            /* ifindex 0: free */
    uint8_t hop_mac[6], our_mac[6];
    bool known;                   /* the MACs are there */
    uint32_t asked_s, used_s;     /* for them; when a packet left by it last */
};

/* Of a stream. */
struct media_out_way {
    uint32_t dst;                 /* of the address that it holds for; see media_out.c */
    uint32_t hop : 8, asked_s : 24; /* index + 1, 0: by the socket; 0: never asked */
};

struct media_out {
    bool on;                      /* else all goes by the ports' sockets */
    int fd;
    int slot;                     /* of io */
    struct io *io;
    struct nexthops tables;
    struct addr from[MEDIA_OUT_ADDRESSES]; /* of the ports; may be any */
    uint32_t streams, per_address;
    uint16_t first_port;
    uint16_t id;                  /* of the next packet */
    struct media_out_way *ways;   /* by stream */
    struct media_out_hop hops[MEDIA_OUT_HOPS];
    uint32_t asked_at, asked;     /* a moment, and questions since it */
    uint64_t born_us;
};

struct media_out_options {
    const struct addr *addresses; /* MEDIA_OUT_ADDRESSES at most; stream i is of address i / per_address */
    uint32_t address_count, per_address;
    uint16_t first_port;          /* even */
};

/* False: by sockets; the log says why. */
bool media_out_open(struct media_out *o, const struct media_out_options *options, uint64_t now_us, struct log *log);
void media_out_start(struct media_out *o, struct io *io);
/* Behind io_free. All zero: nothing is done. */
void media_out_close(struct media_out *o);

/* n octets of the event, from the stream's RTP port to dst. False: nothing was done, send by the port's socket. */
bool media_out_send(struct media_out *o, uint32_t stream, const struct io_event *ev, uint32_t n,
                    const struct addr *dst, uint64_t now_us);

#endif
