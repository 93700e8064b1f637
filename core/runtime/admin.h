/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * admin: the operator's UNIX socket. One line in, an answer out, then the connection is closed. Only the user that
 * runs the daemon can connect. What a line means is decided elsewhere.
 */
#ifndef REFEREE_RUNTIME_ADMIN_H
#define REFEREE_RUNTIME_ADMIN_H

#include "core/runtime/config.h"
#include "core/runtime/io.h"
#include "core/runtime/log.h"

#define ADMIN_CONNS_MAX 16
#define ADMIN_LINE_MAX 1024
#define ADMIN_ANSWER_MAX (16u << 20)

struct admin_conn {
    int fd;                       /* -1: free */
    int slot;
    uint32_t generation;
    bool asked;                   /* the line is complete */
    bool answered;                /* so is the answer */
    uint32_t in_n;
    char in[ADMIN_LINE_MAX];
    char *out;
    uint32_t out_n, out_at, out_cap;
};

struct admin {
    int fd;                       /* -1: none */
    int slot;
    struct io *io;
    uint32_t tag_base;            /* of the listening socket; connection i has tag_base + 1 + i */
    char path[CONFIG_PATH_MAX];
    struct admin_conn conns[ADMIN_CONNS_MAX];
};

struct admin_order {
    uint64_t conn;
    struct slice line;            /* without its end; valid until the connection's answer is complete */
};

/* The path that "auto" stands for: in the first of $RUNTIME_DIRECTORY, /run/referee, /run and $XDG_RUNTIME_DIR that we
 * may write to, else in /tmp with the user's number. */
void admin_default_path(char *to, size_t n);

/* path "off": none, and true. False: named in the log. */
bool admin_open(struct admin *a, const char *path, struct log *log);
bool admin_start(struct admin *a, struct io *io, uint32_t tag_base);
void admin_close(struct admin *a);
/* A descriptor is ready (tag minus tag_base). True: an order is complete. */
bool admin_ready(struct admin *a, uint32_t which, struct admin_order *order);
/* A stale conn is ignored. `last` closes the connection once everything is written. */
void admin_answer(struct admin *a, uint64_t conn, struct slice text, bool last);

#endif
