/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * udp: datagram sockets, and addresses between our form and the kernel's.
 */
#ifndef REFEREE_RUNTIME_UDP_H
#define REFEREE_RUNTIME_UDP_H

#include "core/base/addr.h"

#include <sys/socket.h>

#define UDP_NAME_MAX 32          /* sockaddr_in6 rounded up, so that what follows it is aligned */
#define UDP_CONTROL_MAX 64

struct udp_options {
    int rcvbuf, sndbuf;          /* bytes; 0: the system's */
    bool pktinfo;                /* tell our address with each datagram */
    bool report_errors;          /* ICMP errors are readable by udp_next_error */
    bool reuseport;
    bool freebind;               /* the address need not be at this machine yet */
};

/* A message to send with its address and source; never moves once filled. */
struct udp_msg {
    struct msghdr h;
    struct iovec iov;
    _Alignas(8) uint8_t name[UDP_NAME_MAX];
    _Alignas(8) uint8_t control[UDP_CONTROL_MAX];
};

/* A bound, non-blocking socket, or -errno. */
int udp_open(const struct addr *bind_to, const struct udp_options *o);
/* The same, but a port in use is tried again, 20 ms later, as long as *tries lasts: the ports of a killed daemon stay
 * taken until the kernel has put its ring away, a moment after its death. */
#define UDP_TRIES 50
int udp_open_patiently(const struct addr *bind_to, const struct udp_options *o, int *tries);
void udp_pause(void);
/* The address is one of this machine; what net.ipv4.ip_nonlocal_bind lets one bind to need not be. */
bool udp_is_here(const struct addr *ip);
/* Of 1000 parts of the room for what has arrived: how many are taken. */
unsigned udp_waiting(int fd);
/* Where a socket is bound to (its port when 0 was asked). */
bool udp_bound(int fd, struct addr *out);
/* Length of the filled sockaddr, 0 when a has no address. */
socklen_t udp_to_sockaddr(const struct addr *a, void *name);
bool udp_from_sockaddr(const void *name, socklen_t n, struct addr *out);
/* Our own address from the control data; ADDR_NONE when it is not there. Port 0. */
void udp_local(const struct msghdr *h, struct addr *out);
/* src->family ADDR_NONE: no source is forced. */
void udp_fill(struct udp_msg *m, const void *data, size_t n, const struct addr *dst, const struct addr *src);
/* A whole Ethernet frame, for a packet socket, by that device. */
void udp_fill_frame(struct udp_msg *m, const void *frame, size_t n, uint32_t ifindex);
/* Takes one reported error off the socket: the destination concerned and its errno. False: none is left. */
bool udp_next_error(int fd, struct addr *dst, int *error);
/* The address that this machine would use to reach the world, by the routing table; nothing is sent. */
bool udp_lan_address(uint8_t family, struct addr *out);

#endif
