/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/listen.h"

#include "core/runtime/udp.h"

#include <string.h>
#include <unistd.h>

#define SOURCE_US 1000000 /* an address may come to this machine, or go */

static bool open_one(struct listener *l, struct addr *at, const struct udp_options *o, struct log *log) {
    int tries = UDP_TRIES;
    char text[64];
    struct sbuf b = sbuf_on(text, sizeof text);
    l->fd = udp_open_patiently(at, o, &tries);
    addr_put(&b, at);
    if (l->fd < 0) {
        log_line(log, TRACE_ERROR, "listen", "%.*s cannot be bound: %s", SLICE_FMT(sbuf_slice(&b)), strerror(-l->fd));
        return false;
    }
    if (udp_bound(l->fd, &l->at))
        *at = l->at;
    b.n = 0;
    addr_put(&b, at);
    log_line(log, o->reuseport ? TRACE_DEBUG : TRACE_INFO, "listen", "udp %.*s", SLICE_FMT(sbuf_slice(&b)));
    return true;
}

bool listeners_open(struct listeners *ls, struct addr *addrs, uint32_t count, uint32_t rcvbuf, bool shared,
                    struct log *log) {
    /* Not shared where there is one shard: a second daemon on the same port is an error, not half of the calls. */
    struct udp_options o = { .rcvbuf = (int)rcvbuf, .sndbuf = (int)rcvbuf, .pktinfo = true, .report_errors = true,
                             .reuseport = shared };
    ls->count = ls->source_n = 0;
    ls->log = log;
    for (uint32_t i = 0; i < count && i < LISTEN_MAX; i++) {
        if (!open_one(&ls->l[i], &addrs[i], &o, log))
            return false;
        ls->count++;
    }
    return true;
}

bool listeners_start(struct listeners *ls, struct io *io, uint32_t tag_base) {
    for (uint32_t i = 0; i < ls->count; i++) {
        ls->l[i].slot = io_add_udp(io, ls->l[i].fd, IO_LARGE, tag_base + i);
        if (ls->l[i].slot < 0)
            return false;
    }
    return true;
}

unsigned listeners_waiting(const struct listeners *ls) {
    unsigned most = 0;
    for (uint32_t i = 0; i < ls->count; i++) {
        unsigned n = udp_waiting(ls->l[i].fd);
        most = n > most ? n : most;
    }
    return most;
}

void listeners_close(struct listeners *ls) {
    for (uint32_t i = 0; i < ls->count; i++)
        close(ls->l[i].fd);
    ls->count = 0;
}

/* 0: cannot be used; higher is better. */
static int fitness(const struct listener *l, const struct addr *dst, const struct addr *src) {
    if (l->at.family != dst->family)
        return 0;
    if (src->family == ADDR_NONE || l->at.port != src->port)
        return 1;
    return addr_eq_ip(&l->at, src) ? 3 : addr_is_any(&l->at) ? 2 : 1;
}

static void warn(const struct listeners *ls, const struct addr *src, bool here) {
    char text[64];
    struct sbuf b = sbuf_on(text, sizeof text);
    addr_put_ip(&b, src);
    if (here)
        log_line(ls->log, TRACE_INFO, "listen", "%.*s is an address of this machine now", SLICE_FMT(sbuf_slice(&b)));
    else
        log_line(ls->log, TRACE_WARN, "listen",
                 "%.*s, where messages come to, is no address of this machine: its own is what they are answered from, "
                 "which NAT in front of a phone does not let through; give it to every node, on the loopback interface",
                 SLICE_FMT(sbuf_slice(&b)));
}

static struct listen_source *source_of(struct listeners *ls, const struct addr *src) {
    struct listen_source *oldest = &ls->sources[0];
    for (uint32_t i = 0; i < ls->source_n; i++) {
        if (addr_eq_ip(&ls->sources[i].at, src))
            return &ls->sources[i];
        if (ls->sources[i].until_us < oldest->until_us)
            oldest = &ls->sources[i];
    }
    if (ls->source_n < LISTEN_MAX)
        oldest = &ls->sources[ls->source_n++];
    *oldest = (struct listen_source){ .at = *src, .here = true };
    return oldest;
}

bool listeners_have(struct listeners *ls, uint64_t mono_us, const struct addr *src) {
    struct listen_source *s = source_of(ls, src);
    if (mono_us < s->until_us)
        return s->here;
    bool was = s->here;
    s->here = udp_is_here(src);
    s->until_us = mono_us + SOURCE_US;
    if (s->here != was)
        warn(ls, src, s->here);
    return s->here;
}

bool listeners_send(struct listeners *ls, struct io *io, uint64_t mono_us, const struct addr *dst,
                    const struct addr *src, struct buf *buf) {
    static const struct addr kernels_choice;
    const struct listener *best = NULL;
    int best_fitness = 0;
    for (uint32_t i = 0; i < ls->count; i++) {
        int f = fitness(&ls->l[i], dst, src);
        if (f > best_fitness) {
            best = &ls->l[i];
            best_fitness = f;
        }
    }
    if (!best)
        return false;
    bool from_src = best_fitness == 2 && listeners_have(ls, mono_us, src);
    io_send(io, best->slot, dst, from_src ? src : &kernels_choice, buf);
    return true;
}

struct addr listeners_dst(const struct listeners *ls, uint32_t i, const struct io_event *ev) {
    struct addr dst = ev->dst.family != ADDR_NONE ? ev->dst : ls->l[i].at;
    dst.port = ls->l[i].at.port;
    return dst;
}
