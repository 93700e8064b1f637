/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/store_io.h"

void store_io_init(struct store_io *s, struct store *store, struct tls_context *tls, struct log *log) {
    s->store = store;
    s->log = log;
    s->tls = tls;
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++)
        s->streams[i] = (struct stream){ .fd = -1, .slot = -1 };
}

void store_io_start(struct store_io *s, struct io *io, uint32_t tag_base) {
    s->io = io;
    s->tag_base = tag_base;
}

void store_io_close(struct store_io *s) {
    for (uint32_t i = 0; s->io && i < STORE_CONNS_MAX; i++)
        stream_close(&s->streams[i], s->io);
    tls_context_free(s->tls);
    s->tls = NULL;
}

static void lose(struct store_io *s, uint32_t conn) {
    const char *why = s->streams[conn].why;
    stream_close(&s->streams[conn], s->io);
    store_lost(s->store, conn, slice_str(why ? why : "lost"));
}

bool store_io_read(struct store_io *s, uint32_t conn) {
    struct stream *c = &s->streams[conn];
    if (c->state == STREAM_CLOSED)
        return false;
    if (c->state == STREAM_OPENING) {
        if (!stream_finish(c)) {
            lose(s, conn);
            return true;
        }
        if (c->state == STREAM_OPEN)
            store_opened(s->store, conn);
        return c->state == STREAM_OPEN;
    }
    int n = stream_read(c, s->in, sizeof s->in);
    if (n > 0)
        store_input(s->store, conn, slice_of(s->in, (size_t)n));
    else if (n < 0)
        lose(s, conn);
    return n != 0;
}

static void connect_to(struct store_io *s, const struct store_want *w) {
    struct stream *c = &s->streams[w->conn];
    if (!stream_connect(c, s->io, &w->to, s->tls, s->tag_base + w->conn))
        store_lost(s->store, w->conn, slice_str(c->why ? c->why : "no connection"));
}

static void send_all(struct store_io *s, uint32_t conn) {
    struct slice out;
    while (s->streams[conn].state == STREAM_OPEN && (out = store_output(s->store, conn)).n) {
        int n = stream_write(&s->streams[conn], out);
        if (n < 0)
            lose(s, conn);
        if (n <= 0)
            return;
        store_sent(s->store, conn, (uint32_t)n);
        if ((uint32_t)n < out.n)
            return;
    }
}

static void tell(struct store_io *s) {
    char text[256];
    struct sbuf b = sbuf_on(text, sizeof text);
    while (store_notice(s->store, &b)) {
        log_line(s->log, TRACE_WARN, "store", "%.*s", (int)b.n, b.p);
        b.n = 0;
    }
}

void store_io_turn(struct store_io *s) {
    struct store_want w;
    while (store_wants(s->store, &w)) {
        stream_close(&s->streams[w.conn], s->io);
        if (w.open)
            connect_to(s, &w);
    }
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++)
        send_all(s, i);
    tell(s);
}
