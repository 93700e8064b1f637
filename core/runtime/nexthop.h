/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * nexthop: by which interface and neighbour a packet of ours would leave, as the kernel's routing table and neighbour
 * table say now (rtnetlink). Nothing is sent and nobody is asked for his MAC: a neighbour not known stays so until
 * somebody sends to it.
 */
#ifndef REFEREE_RUNTIME_NEXTHOP_H
#define REFEREE_RUNTIME_NEXTHOP_H

#include "core/base/addr.h"

#define NEXTHOP_DEVICES 8

/* An Ethernet device. */
struct nexthop_device {
    uint32_t ifindex;         /* 0: none */
    bool other;               /* no veth: it never is one, and is not asked about again */
    bool pair;                /* see nexthop_is_pair */
    uint64_t asked_ms;        /* CLOCK_MONOTONIC */
    uint8_t mac[6];
    uint64_t mac_ms;          /* when it was asked for */
};

/* The kernel's tables, as one thread asks them. */
struct nexthops {
    int fd;
    uint32_t number;          /* of the last request */
    struct nexthop_device devices[NEXTHOP_DEVICES];
    uint32_t next;            /* place of the next one */
};

struct nexthop {
    uint32_t ifindex;         /* an Ethernet device */
    struct addr hop, src;     /* the gateway, or the destination itself; our address; ports 0 */
};

/* fd -1: nothing will be found. */
void nexthop_open(struct nexthops *t);
void nexthop_close(struct nexthops *t);
/* src: the address it is to leave from; ADDR_NONE: the kernel's choice. False: no route, a route to this machine
 * itself, or one by a device that is not Ethernet. */
bool nexthop_find(struct nexthops *t, const struct addr *dst, const struct addr *src, struct nexthop *out);
/* It leaves by a veth device that queues nothing, and whose other end is in another network namespace: what is put in
 * at that end arrives as if it had been sent. As the kernel said within the last 2 s. */
bool nexthop_is_pair(struct nexthops *t, const struct nexthop *n);
/* Its MAC and our device's, which is as the kernel said within the last 2 s. False: not known. The kernel answers about
 * neighbours under a lock that whoever changes its networks holds, maybe for long: ask only where the MAC is needed. */
bool nexthop_mac(struct nexthops *t, const struct nexthop *n, uint8_t hop_mac[6], uint8_t our_mac[6]);

#endif
