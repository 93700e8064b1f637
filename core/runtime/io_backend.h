/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * io_backend: what both backends of io share. Seen by io.c, uring.c and epoll.c only.
 */
#ifndef REFEREE_RUNTIME_IO_BACKEND_H
#define REFEREE_RUNTIME_IO_BACKEND_H

#include "core/runtime/io.h"
#include "core/runtime/udp.h"

#define IO_TX_MAX 1024
#define IO_NO_RX UINT32_MAX

struct io_socket {
    int fd;                  /* -1: free slot */
    uint32_t tag;
    uint32_t generation;     /* rises when the slot is freed: completions of its former use are dropped */
    enum io_class class;
    bool datagram;
    bool armed;
};

/* One datagram on its way out. msg points into the same struct: it does not move while it is in use. */
struct io_tx {
    struct udp_msg m;
    struct buf *buf;         /* or NULL: a received buffer */
    uint32_t rx;
    uint32_t slot;
    uint32_t next_free;
};

struct io_common {
    struct io_options o;
    struct io_socket *sockets;
    struct io_tx *tx;
    char description[128];
};

struct uring;
struct epoll_io;

/* Fills *ev from a received message. False: to be dropped (truncated, no usable source), counted. */
bool io_received(struct io_common *c, const struct io_socket *s, const struct msghdr *msg, struct io_event *ev);
/* Reads reported network errors of a socket into events; returns how many, at most `room`. */
uint32_t io_read_errors(const struct io_socket *s, struct io_event *events, uint32_t room);
/* A send failed with `error` (positive). True: it was the report of an earlier datagram's fate, and this one has been
 * sent after all. Else it is counted and, when the destination is at fault, *ev tells it (ev->kind set, else
 * untouched). */
bool io_send_failed(struct io_common *c, const struct io_tx *tx, int error, struct io_event *ev, bool *told);
void io_tx_done(struct io_common *c, struct io_tx *tx);

#endif
