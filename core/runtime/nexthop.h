/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * nexthop: by which interface and neighbour a packet of ours would leave, as the kernel's routing table and neighbour
 * table say now (rtnetlink). Nothing is sent and nobody is asked for his MAC: a neighbour not known stays so until
 * somebody sends to it.
 */
#ifndef REFEREE_RUNTIME_NEXTHOP_H
#define REFEREE_RUNTIME_NEXTHOP_H

#include "core/base/addr.h"

struct nexthop {
    uint32_t ifindex;         /* an Ethernet device */
    struct addr hop, src;     /* the gateway, or the destination itself; our address; ports 0 */
    bool mac_known;
    uint8_t hop_mac[6], our_mac[6];
};

/* A socket for the calls below, or -1. */
int nexthop_open(void);
/* src: the address it is to leave from; ADDR_NONE: the kernel's choice. False: no route, a route to this machine
 * itself, or one by a device that is not Ethernet. */
bool nexthop_find(int fd, const struct addr *dst, const struct addr *src, struct nexthop *out);

#endif
