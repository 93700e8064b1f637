/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/stream.h"

#include "core/runtime/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static bool failed(struct stream *s, int error) {
    s->why = strerrordesc_np(error);
    return false;
}

void stream_tune(int fd) {
    const int on = 1, idle = 10, interval = 5, count = 3;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static bool begin(struct stream *s, struct io *io, const struct addr *to, uint32_t tag) {
    _Alignas(8) uint8_t name[UDP_NAME_MAX];
    socklen_t n = udp_to_sockaddr(to, name);
    stream_tune(s->fd);
    if (connect(s->fd, (struct sockaddr *)name, n) < 0 && errno != EINPROGRESS)
        return failed(s, errno);
    s->slot = io_watch(io, s->fd, tag);
    return s->slot >= 0 || failed(s, EMFILE);
}

bool stream_connect(struct stream *s, struct io *io, const struct addr *to, struct tls_context *tls, uint32_t tag) {
    *s = (struct stream){ .fd = -1, .slot = -1 };
    s->fd = socket(to->family == ADDR_V6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return failed(s, errno);
    if (begin(s, io, to, tag) && (!tls || (s->tls = tls_new(tls, &s->why)))) {
        s->state = STREAM_OPENING;
        return true;
    }
    const char *why = s->why;
    stream_close(s, io);
    s->why = why;
    return false;
}

/* Ciphertext, as far as the kernel takes it. */
static bool push(struct stream *s) {
    struct slice out;
    while ((out = tls_output(s->tls)).n) {
        ssize_t n = send(s->fd, out.p, out.n, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR || failed(s, errno);
        tls_sent(s->tls, (uint32_t)n);
    }
    return true;
}

/* What the kernel has, into TLS. */
static bool pull(struct stream *s) {
    char bytes[16384];
    ssize_t n;
    while (tls_wants_input(s->tls) && (n = recv(s->fd, bytes, sizeof bytes, 0)) != 0) {
        if (n < 0)
            return errno == EAGAIN || errno == EINTR || failed(s, errno);
        if (!tls_input(s->tls, slice_of(bytes, (size_t)n)))
            return failed(s, ENOMEM);
    }
    if (!tls_wants_input(s->tls))
        return true;
    s->why = "closed by the server";
    return false;
}

static bool shake_hands(struct stream *s) {
    bool pulled = pull(s);
    bool going_on = tls_handshake(s->tls, &s->why);
    if (!push(s) || !going_on || !pulled)
        return false;
    if (tls_is_open(s->tls))
        s->state = STREAM_OPEN;
    return true;
}

bool stream_finish(struct stream *s) {
    int error = 0;
    socklen_t n = sizeof error;
    struct sockaddr_storage peer;
    socklen_t peer_n = sizeof peer;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error)
        return failed(s, error ? error : errno);
    if (getpeername(s->fd, (struct sockaddr *)&peer, &peer_n) < 0)
        return errno == ENOTCONN || failed(s, errno);
    if (s->tls)
        return shake_hands(s);
    s->state = STREAM_OPEN;
    return true;
}

static int read_tls(struct stream *s, void *to, uint32_t n) {
    int got = tls_read(s->tls, to, n, &s->why);
    if (got)
        return got;
    bool pulled = pull(s);
    got = tls_read(s->tls, to, n, &s->why);
    if (!push(s))
        return -1;
    return got || pulled ? got : -1;
}

int stream_read(struct stream *s, void *to, uint32_t n) {
    if (s->tls)
        return read_tls(s, to, n);
    ssize_t got = recv(s->fd, to, n, 0);
    if (got > 0)
        return (int)got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    s->why = got == 0 ? "closed by the server" : strerrordesc_np(errno);
    return -1;
}

int stream_write(struct stream *s, struct slice bytes) {
    if (s->tls) {
        int taken = push(s) ? tls_write(s->tls, bytes, &s->why) : -1;
        return taken >= 0 && push(s) ? taken : -1;
    }
    ssize_t n = bytes.n ? send(s->fd, bytes.p, bytes.n, MSG_NOSIGNAL) : 0;
    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    failed(s, errno);
    return -1;
}

void stream_close(struct stream *s, struct io *io) {
    tls_free(s->tls);
    if (s->slot >= 0 && s->fd >= 0)
        io_remove(io, s->slot);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct stream){ .fd = -1, .slot = -1 };
}
