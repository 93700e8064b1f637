/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(struct sockaddr_in6) <= UDP_NAME_MAX, "room for a name");
_Static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) <= UDP_CONTROL_MAX, "room for the source");

static int set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

/* The privileged call passes the system's limit; the plain one is cut to it. Neither failing is an error. */
static void set_buffers(int fd, const struct udp_options *o) {
    if (o->rcvbuf && set(fd, SOL_SOCKET, SO_RCVBUFFORCE, o->rcvbuf) < 0)
        (void)set(fd, SOL_SOCKET, SO_RCVBUF, o->rcvbuf);
    if (o->sndbuf && set(fd, SOL_SOCKET, SO_SNDBUFFORCE, o->sndbuf) < 0)
        (void)set(fd, SOL_SOCKET, SO_SNDBUF, o->sndbuf);
}

static int configure(int fd, bool v6, const struct udp_options *o) {
    int rc = 0;
    set_buffers(fd, o);
    if (v6)
        rc = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (rc == 0 && o->freebind)
        rc = set(fd, IPPROTO_IP, IP_FREEBIND, 1);
    if (rc == 0 && o->reuseport)
        rc = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0 && o->pktinfo)
        rc = v6 ? set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : set(fd, IPPROTO_IP, IP_PKTINFO, 1);
    if (rc == 0 && o->report_errors)
        rc = v6 ? set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1) : set(fd, IPPROTO_IP, IP_RECVERR, 1);
    return rc;
}

int udp_open(const struct addr *bind_to, const struct udp_options *o) {
    _Alignas(8) uint8_t name[UDP_NAME_MAX];
    socklen_t n = udp_to_sockaddr(bind_to, name);
    if (!n)
        return -EINVAL;
    bool v6 = bind_to->family == ADDR_V6;
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = configure(fd, v6, o);
    if (rc == 0 && bind(fd, (struct sockaddr *)name, n) < 0)
        rc = -errno;
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

void udp_pause(void) {
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

int udp_open_patiently(const struct addr *bind_to, const struct udp_options *o, int *tries) {
    int fd = udp_open(bind_to, o);
    while (fd == -EADDRINUSE && (*tries)-- > 0) {
        udp_pause();
        fd = udp_open(bind_to, o);
    }
    return fd;
}

unsigned udp_waiting(int fd) {
    uint32_t m[SK_MEMINFO_VARS];
    socklen_t n = sizeof m;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, m, &n) < 0 || n < sizeof m || m[SK_MEMINFO_RCVBUF] == 0)
        return 0;
    return (unsigned)((uint64_t)m[SK_MEMINFO_RMEM_ALLOC] * 1000 / m[SK_MEMINFO_RCVBUF]);
}

bool udp_bound(int fd, struct addr *out) {
    _Alignas(8) uint8_t name[UDP_NAME_MAX];
    socklen_t n = sizeof name;
    return getsockname(fd, (struct sockaddr *)name, &n) == 0 && udp_from_sockaddr(name, n, out);
}

socklen_t udp_to_sockaddr(const struct addr *a, void *name) {
    if (a->family == ADDR_V4) {
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(a->port) };
        memcpy(&v4.sin_addr, a->ip, 4);
        memcpy(name, &v4, sizeof v4);
        return sizeof v4;
    }
    if (a->family == ADDR_V6) {
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope };
        memcpy(&v6.sin6_addr, a->ip, 16);
        memcpy(name, &v6, sizeof v6);
        return sizeof v6;
    }
    return 0;
}

bool udp_from_sockaddr(const void *name, socklen_t n, struct addr *out) {
    sa_family_t family = AF_UNSPEC;
    *out = (struct addr){ 0 };
    if (n >= sizeof family)
        memcpy(&family, name, sizeof family);
    if (family == AF_INET && n >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, name, sizeof v4);
        memcpy(out->ip, &v4.sin_addr, 4);
        out->port = ntohs(v4.sin_port);
        out->family = ADDR_V4;
    } else if (family == AF_INET6 && n >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 v6;
        memcpy(&v6, name, sizeof v6);
        memcpy(out->ip, &v6.sin6_addr, 16);
        out->port = ntohs(v6.sin6_port);
        out->family = ADDR_V6;
        out->scope = v6.sin6_scope_id;
    }
    return out->family != ADDR_NONE;
}

void udp_local(const struct msghdr *h, struct addr *out) {
    *out = (struct addr){ 0 };
    struct msghdr m = *h;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(out->ip, &info.ipi_addr, 4);
            out->family = ADDR_V4;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(out->ip, &info.ipi6_addr, 16);
            out->family = ADDR_V6;
            /* A global address has no scope: it would not compare equal to a configured one. */
            out->scope = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? (uint32_t)info.ipi6_ifindex : 0;
        }
    }
}

static void put_control(struct udp_msg *m, int level, int type, const void *info, size_t n) {
    memset(m->control, 0, sizeof m->control);
    m->h.msg_control = m->control;
    m->h.msg_controllen = CMSG_SPACE(n);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m->h);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(n);
    memcpy(CMSG_DATA(c), info, n);
}

void udp_fill(struct udp_msg *m, const void *data, size_t n, const struct addr *dst, const struct addr *src) {
    m->iov = (struct iovec){ (void *)(uintptr_t)data, n };
    m->h = (struct msghdr){ .msg_name = m->name, .msg_iov = &m->iov, .msg_iovlen = 1 };
    m->h.msg_namelen = udp_to_sockaddr(dst, m->name);
    if (src->family == ADDR_V4 && dst->family == ADDR_V4 && !addr_is_any(src)) {
        struct in_pktinfo info = { 0 };
        memcpy(&info.ipi_spec_dst, src->ip, 4);
        put_control(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else if (src->family == ADDR_V6 && dst->family == ADDR_V6 && !addr_is_any(src)) {
        struct in6_pktinfo info = { .ipi6_ifindex = src->scope };
        memcpy(&info.ipi6_addr, src->ip, 16);
        put_control(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

void udp_fill_frame(struct udp_msg *m, const void *frame, size_t n, uint32_t ifindex) {
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex };
    m->iov = (struct iovec){ (void *)(uintptr_t)frame, n };
    m->h = (struct msghdr){ .msg_name = m->name, .msg_namelen = sizeof to, .msg_iov = &m->iov, .msg_iovlen = 1 };
    memcpy(m->name, &to, sizeof to);
}

static int error_of(struct msghdr *h) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
        bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
        if (v4 || v6) {
            struct sock_extended_err e;
            memcpy(&e, CMSG_DATA(c), sizeof e);
            return (int)e.ee_errno;
        }
    }
    return EIO;
}

bool udp_next_error(int fd, struct addr *dst, int *error) {
    _Alignas(8) uint8_t name[UDP_NAME_MAX];
    _Alignas(8) uint8_t control[512];
    char byte;
    struct iovec iov = { &byte, 1 };
    struct msghdr h = { .msg_name = name, .msg_namelen = sizeof name, .msg_iov = &iov, .msg_iovlen = 1,
                        .msg_control = control, .msg_controllen = sizeof control };
    if (recvmsg(fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return false;
    *error = error_of(&h);
    udp_from_sockaddr(name, h.msg_namelen, dst);
    return true;
}

/* The kernel's choice of a source on the way to it: itself, or one of the loopback network's. */
bool udp_is_here(const struct addr *ip) {
    struct addr to = *ip, from = { 0 };
    _Alignas(8) uint8_t name[UDP_NAME_MAX];
    to.port = 9;
    socklen_t n = udp_to_sockaddr(&to, name);
    int fd = socket(ip->family == ADDR_V6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    bool ok = connect(fd, (struct sockaddr *)name, n) == 0 && udp_bound(fd, &from);
    close(fd);
    return ok && (addr_eq_ip(&from, ip) || (ip->family == ADDR_V4 && ip->ip[0] == 127));
}

bool udp_lan_address(uint8_t family, struct addr *out) {
    struct addr world = { .family = family, .port = 9 };
    if (!addr_parse_ip(family == ADDR_V6 ? SL("2001:db8::1") : SL("192.0.2.1"), &world))
        return false;
    _Alignas(8) uint8_t name[UDP_NAME_MAX];
    socklen_t n = udp_to_sockaddr(&world, name);
    int fd = socket(family == ADDR_V6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool ok = connect(fd, (struct sockaddr *)name, n) == 0 && udp_bound(fd, out) && !addr_is_any(out);
    close(fd);
    out->port = 0;
    return ok;
}
