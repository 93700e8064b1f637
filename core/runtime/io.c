/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/epoll.h"
#include "core/runtime/uring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct io {
    struct io_common c;
    struct uring *u;          /* one of the two */
    struct epoll_io *e;
};

static bool open_backend(struct io *io, const char **why) {
    if (io->c.o.backend != IO_EPOLL)
        io->u = uring_new(&io->c, why);
    const char *no_ring = *why;
    if (!io->u && io->c.o.backend != IO_URING)
        io->e = epoll_new(&io->c, why);
    if (io->e && io->c.o.backend == IO_AUTO)
        snprintf(io->c.description, sizeof io->c.description, "epoll: %s", no_ring);
    return io->u || io->e;
}

struct io *io_new(const struct io_options *o, const char **why) {
    struct io *io = calloc(1, sizeof *io);
    *why = "out of memory";
    if (!io)
        return NULL;
    io->c.o = *o;
    io->c.sockets = calloc(o->sockets_max, sizeof *io->c.sockets);
    io->c.tx = calloc(IO_TX_MAX, sizeof *io->c.tx);
    if (io->c.sockets && io->c.tx) {
        for (uint32_t i = 0; i < o->sockets_max; i++)
            io->c.sockets[i].fd = -1;
        if (open_backend(io, why))
            return io;
    }
    io_free(io);
    return NULL;
}

void io_free(struct io *io) {
    if (!io)
        return;
    if (io->u)
        uring_free(io->u);
    if (io->e)
        epoll_free(io->e);
    free(io->c.sockets);
    free(io->c.tx);
    free(io);
}

const char *io_describe(const struct io *io) {
    return io->c.description;
}

enum use { USE_DATAGRAMS, USE_WATCH, USE_SEND };

static int add(struct io *io, int fd, enum io_class class, uint32_t tag, enum use use) {
    for (uint32_t i = 0; i < io->c.o.sockets_max; i++) {
        struct io_socket *s = &io->c.sockets[i];
        if (s->fd >= 0)
            continue;
        *s = (struct io_socket){
            .fd = fd, .tag = tag, .generation = s->generation, .class = class, .datagram = use != USE_WATCH
        };
        if (use == USE_SEND || (io->u ? uring_arm(io->u, i) : epoll_arm(io->e, i)))
            return (int)i;
        s->fd = -1;
        break;
    }
    return -1;
}

int io_add_udp(struct io *io, int fd, enum io_class class, uint32_t tag) {
    return add(io, fd, class, tag, USE_DATAGRAMS);
}

int io_watch(struct io *io, int fd, uint32_t tag) {
    return add(io, fd, IO_LARGE, tag, USE_WATCH);
}

int io_add_sender(struct io *io, int fd) {
    return add(io, fd, IO_SMALL, 0, USE_SEND);
}

void io_remove(struct io *io, int slot) {
    struct io_socket *s = &io->c.sockets[slot];
    if (io->u)
        uring_disarm(io->u, (uint32_t)slot);
    else
        epoll_disarm(io->e, (uint32_t)slot);
    s->generation++;
    s->fd = -1;
    s->armed = false;
}

static struct io_tx *take_tx(struct io *io, int slot) {
    struct io_tx *tx = io->u ? uring_tx(io->u) : epoll_tx(io->e);
    if (tx)
        *tx = (struct io_tx){ .slot = (uint32_t)slot, .rx = IO_NO_RX, .next_free = tx->next_free };
    return tx;
}

static void send_tx(struct io *io, struct io_tx *tx) {
    if (io->u)
        uring_send(io->u, tx);
    else
        epoll_send(io->e, tx);
}

/* All send slots are in flight, which happens with io_uring only: the kernel takes this one now, or never. */
static void send_now(struct io *io, int slot, struct udp_msg *m) {
    uring_push(io->u);
    ssize_t n = sendmsg(io->c.sockets[slot].fd, &m->h, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        metrics_add(io->c.o.metrics, M_send_errors, 1);
}

void io_send(struct io *io, int slot, const struct addr *dst, const struct addr *src, struct buf *buf) {
    struct io_tx *tx = take_tx(io, slot);
    if (tx) {
        tx->buf = buf;
        udp_fill(&tx->m, buf->data, buf->len, dst, src);
        send_tx(io, tx);
        return;
    }
    struct udp_msg m;
    udp_fill(&m, buf->data, buf->len, dst, src);
    send_now(io, slot, &m);
    buf_unref(io->c.o.bufs, &buf);
}

/* Sends what was filled into the message that begin_forward gave. */
static void end_forward(struct io *io, int slot, struct io_tx *tx, struct udp_msg *m) {
    if (tx)
        send_tx(io, tx);
    else
        send_now(io, slot, m);
}

static struct udp_msg *begin_forward(struct io *io, int slot, const struct io_event *ev, struct io_tx **tx,
                                     struct udp_msg *own) {
    *tx = take_tx(io, slot);
    if (!*tx)
        return own;
    (*tx)->rx = ev->rx;
    return &(*tx)->m;
}

void io_forward(struct io *io, int slot, const struct io_event *ev, uint32_t n, const struct addr *dst) {
    static const struct addr any_source;
    struct io_tx *tx;
    struct udp_msg own, *m = begin_forward(io, slot, ev, &tx, &own);
    udp_fill(m, ev->data, n, dst, &any_source);
    end_forward(io, slot, tx, m);
}

void io_forward_frame(struct io *io, int slot, const struct io_event *ev, uint32_t head, uint32_t n, uint32_t ifindex) {
    struct io_tx *tx;
    struct udp_msg own, *m = begin_forward(io, slot, ev, &tx, &own);
    udp_fill_frame(m, ev->data - head, head + n, ifindex);
    end_forward(io, slot, tx, m);
}

uint32_t io_turn(struct io *io, uint64_t timeout_us, struct io_event *events) {
    return io->u ? uring_turn(io->u, timeout_us, events) : epoll_turn(io->e, timeout_us, events);
}

bool io_received(struct io_common *c, const struct io_socket *s, const struct msghdr *msg, struct io_event *ev) {
    if (msg->msg_flags & MSG_TRUNC) {
        metrics_add(c->o.metrics, M_recv_truncated, 1);
        return false;
    }
    ev->kind = IO_DATAGRAM;
    ev->tag = s->tag;
    ev->error = 0;
    udp_local(msg, &ev->dst);
    return udp_from_sockaddr(msg->msg_name, msg->msg_namelen, &ev->src) && ev->src.port != 0;
}

uint32_t io_read_errors(const struct io_socket *s, struct io_event *events, uint32_t room) {
    uint32_t n = 0;
    struct addr dst;
    int error;
    while (n < room && udp_next_error(s->fd, &dst, &error))
        if (dst.family != ADDR_NONE)
            events[n++] = (struct io_event){ .kind = IO_UNREACHABLE, .tag = s->tag, .src = dst, .error = error };
    return n;
}

/* Errors that the kernel reports on whatever is sent next, though they concern an earlier datagram. */
static bool may_be_stale(int error) {
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == ENOPROTOOPT ||
           error == EHOSTDOWN || error == EPROTO || error == EMSGSIZE;
}

static bool is_destination_fault(int error) {
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN ||
           error == EACCES || error == EPERM || error == EINVAL || error == EMSGSIZE;
}

bool io_send_failed(struct io_common *c, const struct io_tx *tx, int error, struct io_event *ev, bool *told) {
    const struct io_socket *s = &c->sockets[tx->slot];
    *told = false;
    if (s->fd < 0)
        return false;
    for (int tries = 0; tries < 3 && may_be_stale(error); tries++) {
        if (sendmsg(s->fd, &tx->m.h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return true;
        error = errno;
    }
    metrics_add(c->o.metrics, M_send_errors, 1);
    if (is_destination_fault(error)) {
        *ev = (struct io_event){ .kind = IO_UNREACHABLE, .tag = s->tag, .error = error };
        *told = udp_from_sockaddr(tx->m.name, tx->m.h.msg_namelen, &ev->src);
    }
    return false;
}

void io_tx_done(struct io_common *c, struct io_tx *tx) {
    if (tx->buf)
        buf_unref(c->o.bufs, &tx->buf);
}
