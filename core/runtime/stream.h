/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * stream: a TCP connection of ours to a server, over io's readiness: the same under both backends. Never blocks. With
 * a tls_context the bytes go through TLS (tls.h).
 */
#ifndef REFEREE_RUNTIME_STREAM_H
#define REFEREE_RUNTIME_STREAM_H

#include "core/runtime/io.h"
#include "core/runtime/tls.h"

enum stream_state { STREAM_CLOSED, STREAM_OPENING, STREAM_OPEN };

struct stream {
    enum stream_state state;
    int fd;
    int slot;
    struct tls *tls;              /* NULL: none */
    const char *why;              /* it could not be opened, or has ended: a static text, or the system's */
};

/* Of any TCP socket: small batches do not wait for each other, and a peer whose machine is gone is noticed though
 * nothing is sent. */
void stream_tune(int fd);
/* Begins to connect; IO_READY with `tag` tells how it goes on. False: s->why tells. */
bool stream_connect(struct stream *s, struct io *io, const struct addr *to, struct tls_context *tls, uint32_t tag);
/* After IO_READY while STREAM_OPENING: state says whether it is open now. False: it failed. */
bool stream_finish(struct stream *s);
/* Bytes read, at most n; 0: none now, the next IO_READY tells of more; -1: it has ended. */
int stream_read(struct stream *s, void *to, uint32_t n);
/* Bytes taken, maybe 0: the next IO_READY says when to try again. -1: it has ended. */
int stream_write(struct stream *s, struct slice bytes);
/* Harmless on one that is closed. */
void stream_close(struct stream *s, struct io *io);

#endif
