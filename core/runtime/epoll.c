/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/epoll.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READY_MAX 64
#define BURST_MAX 32          /* datagrams of one socket before the next one's turn */
#define TOLD_MAX 64

struct epoll_io {
    int fd;
    struct io_common *c;
    uint8_t (*data)[IO_LARGE_BYTES];
    struct mmsghdr in[IO_EVENTS_MAX];
    struct udp_msg frame[IO_EVENTS_MAX];       /* name, control data and iovec of `in` */
    struct mmsghdr out[IO_TX_MAX];
    uint32_t out_n;
    uint32_t in_n;                             /* receive buffers used in this turn */
    struct io_event told[TOLD_MAX];            /* send failures, for the next turn */
    uint32_t told_n;
};

struct epoll_io *epoll_new(struct io_common *c, const char **why) {
    struct epoll_io *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->c = c;
    e->data = malloc(sizeof *e->data * IO_EVENTS_MAX);
    e->fd = epoll_create1(EPOLL_CLOEXEC);
    if (!e->data || e->fd < 0) {
        *why = "no epoll";
        epoll_free(e);
        return NULL;
    }
    snprintf(c->description, sizeof c->description, "epoll");
    return e;
}

void epoll_free(struct epoll_io *e) {
    if (e->fd >= 0)
        close(e->fd);
    free(e->data);
    free(e);
}

bool epoll_arm(struct epoll_io *e, uint32_t slot) {
    struct io_socket *s = &e->c->sockets[slot];
    struct epoll_event ev = { .events = s->datagram ? EPOLLIN : EPOLLIN | EPOLLOUT | EPOLLET };
    ev.data.u64 = (uint64_t)s->generation << 32 | slot;
    s->armed = epoll_ctl(e->fd, EPOLL_CTL_ADD, s->fd, &ev) == 0;
    return s->armed;
}

void epoll_disarm(struct epoll_io *e, uint32_t slot) {
    epoll_ctl(e->fd, EPOLL_CTL_DEL, e->c->sockets[slot].fd, NULL);
}

static void note_failure(struct epoll_io *e, struct io_tx *tx, int error) {
    struct io_event ev;
    bool told = false;
    (void)io_send_failed(e->c, tx, error, &ev, &told);
    if (told && e->told_n < TOLD_MAX)
        e->told[e->told_n++] = ev;
}

/* Sends entries [from, to) of one socket; a refused one is passed over. */
static void send_run(struct epoll_io *e, uint32_t from, uint32_t to) {
    int fd = e->c->sockets[e->c->tx[from].slot].fd;
    while (from < to) {
        int n = fd < 0 ? -1 : sendmmsg(fd, &e->out[from], to - from, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            from += (uint32_t)n;
            continue;
        }
        note_failure(e, &e->c->tx[from], fd < 0 ? EBADF : errno);
        from++;
    }
}

static void flush(struct epoll_io *e) {
    uint32_t from = 0;
    while (from < e->out_n) {
        uint32_t to = from + 1;
        while (to < e->out_n && e->c->tx[to].slot == e->c->tx[from].slot)
            to++;
        send_run(e, from, to);
        from = to;
    }
    for (uint32_t i = 0; i < e->out_n; i++)
        io_tx_done(e->c, &e->c->tx[i]);
    e->out_n = 0;
}

struct io_tx *epoll_tx(struct epoll_io *e) {
    if (e->out_n == IO_TX_MAX)
        flush(e);
    return &e->c->tx[e->out_n];
}

void epoll_send(struct epoll_io *e, struct io_tx *tx) {
    e->out[e->out_n++] = (struct mmsghdr){ .msg_hdr = tx->m.h };
}

static void prepare(struct epoll_io *e, uint32_t i, uint32_t size) {
    struct udp_msg *f = &e->frame[i];
    f->iov = (struct iovec){ e->data[i] + IO_HEADROOM, size - IO_HEADROOM };
    e->in[i].msg_hdr = (struct msghdr){ .msg_name = f->name, .msg_namelen = sizeof f->name, .msg_iov = &f->iov,
                                        .msg_iovlen = 1, .msg_control = f->control,
                                        .msg_controllen = sizeof f->control };
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static uint32_t receive(struct epoll_io *e, const struct io_socket *s, struct io_event *events, uint32_t n) {
    uint32_t first = e->in_n;
    uint32_t want = smaller(BURST_MAX, smaller(IO_EVENTS_MAX - n, IO_EVENTS_MAX - first));
    for (uint32_t i = first; i < first + want; i++)
        prepare(e, i, s->class == IO_LARGE ? IO_LARGE_BYTES : IO_SMALL_BYTES);
    int got = want ? recvmmsg(s->fd, &e->in[first], want, MSG_DONTWAIT, NULL) : 0;
    for (uint32_t i = first; got > 0 && i < first + (uint32_t)got; i++) {
        events[n].data = e->data[i] + IO_HEADROOM;
        events[n].n = e->in[i].msg_len;
        events[n].rx = i;
        n += io_received(e->c, s, &e->in[i].msg_hdr, &events[n]);
    }
    e->in_n += got > 0 ? (uint32_t)got : 0;
    return n;
}

static uint32_t on_ready(struct epoll_io *e, const struct epoll_event *ready, struct io_event *events, uint32_t n) {
    struct io_socket *s = &e->c->sockets[(uint32_t)ready->data.u64];
    if (s->fd < 0 || s->generation != ready->data.u64 >> 32)
        return n;
    if (!s->datagram) {
        events[n] = (struct io_event){ .kind = IO_READY, .tag = s->tag };
        return n + 1;
    }
    if (ready->events & EPOLLERR)
        n += io_read_errors(s, events + n, IO_EVENTS_MAX - n);
    return n < IO_EVENTS_MAX ? receive(e, s, events, n) : n;
}

static int timeout_ms(uint64_t timeout_us) {
    if (timeout_us == UINT64_MAX)
        return -1;
    return timeout_us > 3600000000u ? 3600000 : (int)((timeout_us + 999) / 1000);
}

uint32_t epoll_turn(struct epoll_io *e, uint64_t timeout_us, struct io_event *events) {
    struct epoll_event ready[READY_MAX];
    flush(e);
    e->in_n = 0;
    uint32_t n = e->told_n;
    memcpy(events, e->told, n * sizeof *events);
    e->told_n = 0;
    int got = epoll_wait(e->fd, ready, READY_MAX, n ? 0 : timeout_ms(timeout_us));
    for (int i = 0; i < got; i++) {
        /* What finds no room is level-triggered and comes again; the few watched descriptors go first for that
         * reason. */
        bool watched = !e->c->sockets[(uint32_t)ready[i].data.u64].datagram;
        if (watched && n < IO_EVENTS_MAX)
            n = on_ready(e, &ready[i], events, n);
    }
    for (int i = 0; i < got && n < IO_EVENTS_MAX; i++)
        if (e->c->sockets[(uint32_t)ready[i].data.u64].datagram)
            n = on_ready(e, &ready[i], events, n);
    return n;
}
