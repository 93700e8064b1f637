/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/nexthop.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REPLY_BYTES 4096
#define DEVICE_MS 2000 /* a device's kind and MAC are believed: somebody may queue there, or move the other end */
#define ANSWER_US 100000
#define USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

struct request {
    struct nlmsghdr h;
    union {
        struct rtmsg route;
        struct ndmsg neighbour;
        struct ifinfomsg device;
    } u;
    uint8_t attributes[64];
};

void nexthop_open(struct nexthops *t) {
    struct timeval limit = { .tv_usec = ANSWER_US };
    *t = (struct nexthops){ .fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) };
    if (t->fd >= 0)
        setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

void nexthop_close(struct nexthops *t) {
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

static size_t ip_bytes(const struct addr *a) {
    return a->family == ADDR_V6 ? 16 : 4;
}

static uint8_t family_of(const struct addr *a) {
    return a->family == ADDR_V6 ? AF_INET6 : AF_INET;
}

static void put_ip(struct request *q, uint16_t type, const struct addr *a) {
    struct rtattr *t = (struct rtattr *)(void *)((uint8_t *)q + NLMSG_ALIGN(q->h.nlmsg_len));
    t->rta_type = type;
    t->rta_len = (uint16_t)RTA_LENGTH(ip_bytes(a));
    memcpy(RTA_DATA(t), a->ip, ip_bytes(a));
    q->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->h.nlmsg_len) + RTA_ALIGN(t->rta_len));
}

/* The answer, of the wanted type, in `reply`; NULL: an error, or none. */
static struct nlmsghdr *ask(struct nexthops *tables, struct request *q, uint16_t want, uint8_t *reply) {
    q->h.nlmsg_seq = ++tables->number;
    if (send(tables->fd, q, q->h.nlmsg_len, 0) < 0)
        return NULL;
    for (;;) {
        ssize_t n = recv(tables->fd, reply, REPLY_BYTES, 0);
        struct nlmsghdr *h = (struct nlmsghdr *)(void *)reply;
        if (n < (ssize_t)sizeof *h || !NLMSG_OK(h, (size_t)n))
            return NULL;
        /* An answer to one that we gave up waiting for. */
        if (h->nlmsg_seq != tables->number)
            continue;
        return h->nlmsg_type == want ? h : NULL;
    }
}

static bool get_ip(const struct rtattr *t, uint8_t family, struct addr *out) {
    size_t n = RTA_PAYLOAD(t);
    *out = (struct addr){ .family = family };
    if (n != ip_bytes(out))
        return false;
    memcpy(out->ip, RTA_DATA(t), n);
    return true;
}

static bool find_route(struct nexthops *tables, const struct addr *dst, const struct addr *src, struct nexthop *out) {
    _Alignas(8) uint8_t reply[REPLY_BYTES];
    struct request q = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_type = RTM_GETROUTE,
                                .nlmsg_flags = NLM_F_REQUEST } };
    q.u.route = (struct rtmsg){ .rtm_family = family_of(dst), .rtm_dst_len = (uint8_t)(8 * ip_bytes(dst)) };
    put_ip(&q, RTA_DST, dst);
    if (src->family == dst->family) {
        q.u.route.rtm_src_len = (uint8_t)(8 * ip_bytes(src));
        put_ip(&q, RTA_SRC, src);
    }
    struct nlmsghdr *h = ask(tables, &q, RTM_NEWROUTE, reply);
    if (!h)
        return false;
    struct rtmsg *r = NLMSG_DATA(h);
    int left = (int)RTM_PAYLOAD(h);
    bool ok = r->rtm_type == RTN_UNICAST;
    out->hop = *dst;
    out->src = *src;
    for (struct rtattr *t = RTM_RTA(r); ok && RTA_OK(t, left); t = RTA_NEXT(t, left)) {
        if (t->rta_type == RTA_OIF)
            memcpy(&out->ifindex, RTA_DATA(t), sizeof out->ifindex);
        else if (t->rta_type == RTA_GATEWAY)
            ok = get_ip(t, dst->family, &out->hop);
        else if (t->rta_type == RTA_VIA)
            ok = false;
        else if (t->rta_type == RTA_PREFSRC && src->family == ADDR_NONE)
            ok = get_ip(t, dst->family, &out->src);
    }
    out->hop.port = out->src.port = 0;
    return ok && out->ifindex && out->src.family == dst->family;
}

static bool ask_mac(uint32_t ifindex, uint8_t mac[6]) {
    struct ifreq r = { 0 };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && if_indextoname(ifindex, r.ifr_name) && ioctl(fd, SIOCGIFHWADDR, &r) == 0 &&
              r.ifr_hwaddr.sa_family == ARPHRD_ETHER;
    if (ok)
        memcpy(mac, r.ifr_hwaddr.sa_data, 6);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool find_neighbour(struct nexthops *tables, const struct nexthop *n, uint8_t mac[6]) {
    _Alignas(8) uint8_t reply[REPLY_BYTES];
    struct request q = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg)), .nlmsg_type = RTM_GETNEIGH,
                                .nlmsg_flags = NLM_F_REQUEST } };
    q.u.neighbour = (struct ndmsg){ .ndm_family = family_of(&n->hop), .ndm_ifindex = (int)n->ifindex };
    put_ip(&q, NDA_DST, &n->hop);
    struct nlmsghdr *h = ask(tables, &q, RTM_NEWNEIGH, reply);
    if (!h)
        return false;
    struct ndmsg *m = NLMSG_DATA(h);
    int left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof *m));
    if (!(m->ndm_state & USABLE))
        return false;
    for (struct rtattr *t = (struct rtattr *)(void *)((uint8_t *)m + NLMSG_ALIGN(sizeof *m)); RTA_OK(t, left);
         t = RTA_NEXT(t, left))
        if (t->rta_type == NDA_LLADDR && RTA_PAYLOAD(t) == 6) {
            memcpy(mac, RTA_DATA(t), 6);
            return true;
        }
    return false;
}

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A device's number is not used again. */
static struct nexthop_device *device_of(struct nexthops *tables, uint32_t ifindex) {
    struct nexthop_device new = { .ifindex = ifindex, .mac_ms = now_ms() };
    for (unsigned i = 0; i < NEXTHOP_DEVICES; i++)
        if (tables->devices[i].ifindex == ifindex)
            return &tables->devices[i];
    if (!ask_mac(ifindex, new.mac))
        return NULL;
    struct nexthop_device *d = &tables->devices[tables->next++ % NEXTHOP_DEVICES];
    *d = new;
    return d;
}

static bool is_text(const struct rtattr *t, const char *text) {
    return RTA_PAYLOAD(t) >= strlen(text) + 1 && memcmp(RTA_DATA(t), text, strlen(text) + 1) == 0;
}

static bool is_veth(const struct rtattr *info) {
    int left = (int)RTA_PAYLOAD(info);
    for (struct rtattr *t = RTA_DATA(info); RTA_OK(t, left); t = RTA_NEXT(t, left))
        if (t->rta_type == IFLA_INFO_KIND)
            return is_text(t, "veth");
    return false;
}

/* No answer: it may be one, as far as is known. */
static void ask_pair(struct nexthops *tables, struct nexthop_device *d) {
    _Alignas(8) uint8_t reply[REPLY_BYTES];
    struct request q = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_GETLINK,
                                .nlmsg_flags = NLM_F_REQUEST } };
    q.u.device = (struct ifinfomsg){ .ifi_index = (int)d->ifindex };
    struct nlmsghdr *h = ask(tables, &q, RTM_NEWLINK, reply);
    d->pair = false;
    if (!h)
        return;
    struct ifinfomsg *m = NLMSG_DATA(h);
    int left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof *m));
    bool veth = false, elsewhere = false, queues = true;
    for (struct rtattr *t = IFLA_RTA(m); RTA_OK(t, left); t = RTA_NEXT(t, left)) {
        if (t->rta_type == IFLA_LINKINFO)
            veth = is_veth(t);
        else if (t->rta_type == IFLA_LINK_NETNSID)
            elsewhere = true;
        else if (t->rta_type == IFLA_QDISC)
            queues = !is_text(t, "noqueue");
    }
    d->other = !veth;
    d->pair = veth && elsewhere && !queues;
}

/* It takes a socket and two requests: not for each of many streams by one device. */
static bool mac_of(struct nexthops *tables, uint32_t ifindex, uint8_t mac[6]) {
    struct nexthop_device *d = device_of(tables, ifindex);
    uint64_t now = now_ms();
    if (d && now - d->mac_ms >= DEVICE_MS) {
        d->mac_ms = now;
        if (!ask_mac(ifindex, d->mac)) {
            *d = (struct nexthop_device){ 0 };
            return false;
        }
    }
    if (d)
        memcpy(mac, d->mac, sizeof d->mac);
    return d;
}

bool nexthop_find(struct nexthops *t, const struct addr *dst, const struct addr *src, struct nexthop *out) {
    *out = (struct nexthop){ 0 };
    return t->fd >= 0 && find_route(t, dst, src, out) && device_of(t, out->ifindex);
}

bool nexthop_is_pair(struct nexthops *t, const struct nexthop *n) {
    struct nexthop_device *d = t->fd >= 0 && n->ifindex ? device_of(t, n->ifindex) : NULL;
    uint64_t now = now_ms();
    if (!d)
        return false;
    if (!d->other && (!d->asked_ms || now - d->asked_ms >= DEVICE_MS)) {
        ask_pair(t, d);
        d->asked_ms = now;
    }
    return d->pair;
}

bool nexthop_mac(struct nexthops *t, const struct nexthop *n, uint8_t hop_mac[6], uint8_t our_mac[6]) {
    return t->fd >= 0 && n->ifindex && mac_of(t, n->ifindex, our_mac) && find_neighbour(t, n, hop_mac);
}
