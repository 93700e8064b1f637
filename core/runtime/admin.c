/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/admin.h"

#include "core/runtime/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void admin_default_path(char *to, size_t n) {
    const char *const dirs[] = { getenv("RUNTIME_DIRECTORY"), "/run/referee", "/run", getenv("XDG_RUNTIME_DIR") };
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        if (dirs[i] && *dirs[i] && access(dirs[i], W_OK) == 0) {
            snprintf(to, n, "%s/refereed.sock", dirs[i]);
            return;
        }
    snprintf(to, n, "/tmp/refereed-%u.sock", (unsigned)geteuid());
}

static struct sockaddr_un name_of(const char *path) {
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    return sa;
}

/* A socket that nobody listens on is left over from a daemon that was killed; and for a moment the kernel still holds
 * that daemon's end of it. */
static bool is_served(const char *path) {
    struct sockaddr_un sa = name_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool served = fd >= 0 && (connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return served;
}

static bool stays_served(const char *path) {
    for (int tries = 0; tries < UDP_TRIES; tries++) {
        if (!is_served(path))
            return false;
        udp_pause();
    }
    return true;
}

static int bind_private(int fd, const char *path) {
    struct sockaddr_un sa = name_of(path);
    mode_t mask = umask(0177);
    int rc = bind(fd, (struct sockaddr *)&sa, sizeof sa);
    umask(mask);
    return rc == 0 ? listen(fd, 8) : rc;
}

bool admin_open(struct admin *a, const char *path, struct log *log) {
    a->fd = -1;
    for (uint32_t i = 0; i < ADMIN_CONNS_MAX; i++)
        a->conns[i].fd = -1;
    if (strcmp(path, "off") == 0)
        return true;
    bool is_auto = strcmp(path, "auto") == 0;
    if (is_auto)
        admin_default_path(a->path, sizeof a->path);
    else
        snprintf(a->path, sizeof a->path, "%s", path);
    if (stays_served(a->path)) {
        log_line(log, TRACE_ERROR, "admin", "%s: another daemon listens there", a->path);
        return is_auto;
    }
    unlink(a->path);
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd >= 0 && bind_private(a->fd, a->path) == 0)
        return true;
    log_line(log, TRACE_ERROR, "admin", "%s: %s", a->path, strerror(errno));
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
    return is_auto;
}

bool admin_start(struct admin *a, struct io *io, uint32_t tag_base) {
    a->io = io;
    a->tag_base = tag_base;
    a->slot = a->fd >= 0 ? io_watch(io, a->fd, tag_base) : -1;
    return a->fd < 0 || a->slot >= 0;
}

static void close_conn(struct admin *a, struct admin_conn *c) {
    if (c->fd < 0)
        return;
    io_remove(a->io, c->slot);
    close(c->fd);
    free(c->out);
    *c = (struct admin_conn){ .fd = -1, .generation = c->generation + 1 };
}

void admin_close(struct admin *a) {
    for (uint32_t i = 0; i < ADMIN_CONNS_MAX; i++)
        close_conn(a, &a->conns[i]);
    if (a->fd < 0)
        return;
    close(a->fd);
    unlink(a->path);
    a->fd = -1;
}

static void take_conn(struct admin *a, int fd) {
    for (uint32_t i = 0; i < ADMIN_CONNS_MAX; i++) {
        struct admin_conn *c = &a->conns[i];
        if (c->fd >= 0)
            continue;
        c->slot = io_watch(a->io, fd, a->tag_base + 1 + i);
        if (c->slot < 0)
            break;
        c->fd = fd;
        return;
    }
    close(fd);
}

static void accept_all(struct admin *a) {
    int fd;
    while ((fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        take_conn(a, fd);
}

static void write_out(struct admin *a, struct admin_conn *c) {
    while (c->out_at < c->out_n) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            close_conn(a, c);
            return;
        }
        c->out_at += (uint32_t)n;
    }
    if (c->answered)
        close_conn(a, c);
}

/* Until the line's end; what follows it is not read. A peer that only closes gets no answer. */
static bool read_line(struct admin *a, struct admin_conn *c) {
    while (c->in_n < ADMIN_LINE_MAX) {
        ssize_t n = recv(c->fd, c->in + c->in_n, ADMIN_LINE_MAX - c->in_n, 0);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n <= 0)
            break;
        char *end = memchr(c->in + c->in_n, '\n', (size_t)n);
        c->in_n = end ? (uint32_t)(end - c->in) : c->in_n + (uint32_t)n;
        if (end)
            return c->asked = true;
    }
    close_conn(a, c);
    return false;
}

bool admin_ready(struct admin *a, uint32_t which, struct admin_order *order) {
    if (which == 0) {
        accept_all(a);
        return false;
    }
    struct admin_conn *c = &a->conns[which - 1];
    if (c->fd < 0)
        return false;
    if (c->asked) {
        write_out(a, c);
        return false;
    }
    if (!read_line(a, c))
        return false;
    order->conn = (uint64_t)c->generation << 32 | (which - 1);
    order->line = slice_trim(slice_of(c->in, c->in_n));
    return true;
}

static bool append(struct admin_conn *c, struct slice text) {
    if (text.n > ADMIN_ANSWER_MAX - c->out_n)
        return false;
    if (text.n > c->out_cap - c->out_n) {
        uint32_t cap = (c->out_n + text.n) * 2 + 4096;
        char *grown = realloc(c->out, cap);
        if (!grown)
            return false;
        c->out = grown;
        c->out_cap = cap;
    }
    if (text.n)
        memcpy(c->out + c->out_n, text.p, text.n);
    c->out_n += text.n;
    return true;
}

void admin_answer(struct admin *a, uint64_t conn, struct slice text, bool last) {
    struct admin_conn *c = (uint32_t)conn < ADMIN_CONNS_MAX ? &a->conns[(uint32_t)conn] : NULL;
    if (!c || c->fd < 0 || c->generation != conn >> 32)
        return;
    if (!append(c, text)) {
        close_conn(a, c);
        return;
    }
    c->answered = last;
    write_out(a, c);
}
