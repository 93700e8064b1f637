/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * io: datagrams in and out, and readiness of other descriptors, of one thread. Two backends behind the same calls:
 * io_uring (uring.c) and epoll with recvmmsg and sendmmsg (epoll.c). What happened comes back by value from io_turn,
 * never by a callback. All memory is taken by io_new; nothing is allocated later.
 *
 * Lifetimes: bytes of an IO_DATAGRAM live until the next io_turn. io_forward keeps them alive until they are sent. In
 * front of them IO_HEADROOM bytes are the reader's to write.
 */
#ifndef REFEREE_RUNTIME_IO_H
#define REFEREE_RUNTIME_IO_H

#include "core/base/addr.h"
#include "core/base/buf.h"
#include "core/base/metrics.h"

enum io_backend { IO_AUTO, IO_URING, IO_EPOLL };

/* Of a datagram socket: the size of its receive buffers. Longer datagrams are dropped and counted. */
enum io_class { IO_LARGE, IO_SMALL };
#define IO_LARGE_BYTES 8192
#define IO_SMALL_BYTES 2048
#define IO_HEADROOM 64

#define IO_EVENTS_MAX 256

enum io_event_kind {
    IO_DATAGRAM,
    IO_READY,        /* a descriptor given to io_watch may be readable or writable: try until EAGAIN */
    IO_UNREACHABLE,  /* a datagram to `src` was refused by the network or the kernel; `error` says why */
};

struct io_event {
    enum io_event_kind kind;
    uint32_t tag;            /* of the socket, as given when it was added */
    uint8_t *data;           /* writable: a relay patches headers in place */
    uint32_t n;
    uint32_t rx;             /* for io_forward */
    int error;
    struct addr src;
    struct addr dst;         /* our address; port untouched when the kernel did not tell (then ADDR_NONE) */
};

struct io_options {
    enum io_backend backend;
    uint32_t sockets_max;
    struct metrics *metrics;
    struct buf_pool *bufs;   /* where io_send returns its references */
};

struct io;

/* Must be called by the thread that will use it. NULL: *why is a static text. */
struct io *io_new(const struct io_options *o, const char **why);
void io_free(struct io *io);
/* "io_uring" with the flags that the kernel took, or "epoll". */
const char *io_describe(const struct io *io);

/* The slot of the socket from now on, or -1 when sockets_max is reached. The descriptor stays the caller's. */
int io_add_udp(struct io *io, int fd, enum io_class class, uint32_t tag);
/* A packet socket that only sends. */
int io_add_sender(struct io *io, int fd);
/* Edge triggered, for reading and writing. */
int io_watch(struct io *io, int fd, uint32_t tag);
/* No event of this socket comes any more. Before the descriptor is closed. */
void io_remove(struct io *io, int slot);

/* Takes over the caller's reference of `buf`. src: ADDR_NONE lets the kernel choose; needed on sockets bound to any
 * address. */
void io_send(struct io *io, int slot, const struct addr *dst, const struct addr *src, struct buf *buf);
/* Sends n bytes of a datagram that this turn delivered, without a copy. At most once an event. */
void io_forward(struct io *io, int slot, const struct io_event *ev, uint32_t n, const struct addr *dst);

/* The same by a packet socket, with `head` bytes that were written in front of it, by that device. */
void io_forward_frame(struct io *io, int slot, const struct io_event *ev, uint32_t head, uint32_t n, uint32_t ifindex);

/* Sends what waits, then waits at most timeout_us for events (0: only looks; UINT64_MAX: for ever). Returns their
 * number, at most IO_EVENTS_MAX. */
uint32_t io_turn(struct io *io, uint64_t timeout_us, struct io_event *events);

#endif
