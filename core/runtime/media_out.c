/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/media_out.h"

#include "core/runtime/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUTE_S 16            /* a way is believed so long, and up to as much again by the stream's number */
#define NEIGHBOUR_S 2         /* a neighbour's MAC */
#define IDLE_S 120            /* a hop unused for so long may become another one: no way is believed as long */
#define MOMENT_US 50000       /* in which the kernel is asked ... */
#define QUESTIONS 128         /* ... so often at most: each takes it some microseconds */
#define SNDBUF (4 << 20)

bool media_out_open(struct media_out *o, const struct media_out_options *options, uint64_t now_us, struct log *log) {
    int room = SNDBUF;
    *o = (struct media_out){ .tables.fd = -1, .slot = -1, .per_address = options->per_address,
                             .first_port = options->first_port,
                             .streams = options->address_count * options->per_address, .born_us = now_us };
    memcpy(o->from, options->addresses, options->address_count * sizeof *o->from);
    /* Protocol 0: it hears nothing. */
    o->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (o->fd < 0) {
        log_line(log, TRACE_INFO, "media", "relayed media leaves by its ports' sockets: no packet socket: %s",
                 strerror(errno));
        return false;
    }
    if (setsockopt(o->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
        setsockopt(o->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    o->on = true;
    o->ways = calloc(o->streams, sizeof *o->ways);
    nexthop_open(&o->tables);
    if (!o->ways || o->tables.fd < 0) {
        log_line(log, TRACE_WARN, "media", "relayed media leaves by its ports' sockets: out of memory or descriptors");
        media_out_close(o);
    } else {
        log_line(log, TRACE_INFO, "media", "relayed media leaves by a packet socket");
    }
    return o->on;
}

void media_out_start(struct media_out *o, struct io *io) {
    o->io = io;
    o->slot = o->on ? io_add_sender(io, o->fd) : -1;
}

void media_out_close(struct media_out *o) {
    if (o->on) {
        close(o->fd);
        nexthop_close(&o->tables);
        free(o->ways);
    }
    *o = (struct media_out){ 0 };
}

/* IPv4's address itself; of IPv6 a sum that another one can share: then its packets take that one's way until it is
 * asked for again, which who sends there has chosen himself. */
static uint32_t name_of(const struct addr *a) {
    uint32_t words[4], all = 0;
    memcpy(words, a->ip, sizeof words);
    for (unsigned i = 0; i < 4; i++)
        all = all * 0x9e3779b1u + words[3 - i];
    return all;
}

/* Seconds since the beginning and one, so that 0 is never. */
static uint32_t seconds(const struct media_out *o, uint64_t now_us) {
    return (uint32_t)((now_us - o->born_us) / 1000000 + 1) & 0xffffff;
}

static bool may_ask(struct media_out *o, uint64_t now_us) {
    uint32_t moment = (uint32_t)(now_us / MOMENT_US);
    if (moment != o->asked_at) {
        o->asked_at = moment;
        o->asked = 0;
    }
    return o->asked++ < QUESTIONS;
}

static bool is_same(const struct nexthop *a, const struct nexthop *b) {
    return a->ifindex == b->ifindex && addr_eq_ip(&a->hop, &b->hop) && addr_eq_ip(&a->src, &b->src);
}

/* Index + 1; 0: there is no place for it. */
static uint32_t hop_of(struct media_out *o, const struct nexthop *to, uint32_t now_s) {
    uint32_t place = 0;
    for (uint32_t i = 0; i < MEDIA_OUT_HOPS; i++) {
        struct media_out_hop *h = &o->hops[i];
        if (h->to.ifindex && is_same(&h->to, to))
            return i + 1;
        if (!place && (!h->to.ifindex || now_s - h->used_s > IDLE_S))
            place = i + 1;
    }
    if (place)
        o->hops[place - 1] = (struct media_out_hop){ .to = *to, .used_s = now_s };
    return place;
}

static void find_way(struct media_out *o, uint32_t stream, const struct addr *dst, uint32_t now_s) {
    const struct addr *bound = &o->from[stream / o->per_address];
    struct media_out_way *w = &o->ways[stream];
    struct addr src = addr_is_any(bound) ? (struct addr){ 0 } : *bound;
    struct nexthop to;
    *w = (struct media_out_way){ .dst = name_of(dst), .asked_s = now_s };
    if (dst->scope == 0 && nexthop_find(&o->tables, dst, &src, &to))
        w->hop = hop_of(o, &to, now_s);
}

/* The way is known, or is now. */
static bool has_way(struct media_out *o, uint32_t stream, const struct addr *dst, uint64_t now_us) {
    struct media_out_way *w = &o->ways[stream];
    uint32_t now_s = seconds(o, now_us);
    bool known = w->asked_s && w->dst == name_of(dst) && now_s - w->asked_s <= ROUTE_S + stream % ROUTE_S;
    if (!known && may_ask(o, now_us)) {
        find_way(o, stream, dst, now_s);
        known = true;
    }
    return known && w->hop;
}

/* Its MAC is known. When it is asked for, one packet goes by its socket: the kernel, which probes only the neighbours
 * that it sends to itself, looks after this one. */
static bool has_neighbour(struct media_out *o, struct media_out_hop *h, uint64_t now_us) {
    uint32_t now_s = seconds(o, now_us);
    h->used_s = now_s;
    if (h->asked_s && now_s - h->asked_s < NEIGHBOUR_S)
        return h->known;
    if (!may_ask(o, now_us))
        return false;
    h->asked_s = now_s;
    h->known = nexthop_mac(&o->tables, &h->to, h->hop_mac, h->our_mac);
    return false;
}

bool media_out_send(struct media_out *o, uint32_t stream, const struct io_event *ev, uint32_t n,
                    const struct addr *dst, uint64_t now_us) {
    if (!o->on || o->slot < 0 || stream >= o->streams || n > MEDIA_OUT_LONGEST ||
        !has_way(o, stream, dst, now_us))
        return false;
    struct media_out_hop *h = &o->hops[o->ways[stream].hop - 1];
    if (!has_neighbour(o, h, now_us))
        return false;
    struct frame_ends e = { .src = h->to.src, .dst = *dst, .id = o->id++ };
    memcpy(e.hop_mac, h->hop_mac, sizeof e.hop_mac);
    memcpy(e.our_mac, h->our_mac, sizeof e.our_mac);
    e.src.port = (uint16_t)(o->first_port + 2 * (stream % o->per_address));
    uint32_t head = frame_put(ev->data, n, &e);
    io_forward_frame(o->io, o->slot, ev, head, n, h->to.ifindex);
    return true;
}
