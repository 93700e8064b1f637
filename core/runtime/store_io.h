/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * store_io: moves the bytes of a store with a server (store.h). For one without, nothing happens here.
 */
#ifndef REFEREE_RUNTIME_STORE_IO_H
#define REFEREE_RUNTIME_STORE_IO_H

#include "core/runtime/log.h"
#include "core/runtime/stream.h"
#include "store/store.h"

struct store_io {
    struct store *store;
    struct io *io;
    struct log *log;
    struct tls_context *tls;         /* NULL: none */
    uint32_t tag_base;
    struct stream streams[STORE_CONNS_MAX];
    char in[STORE_INPUT_MAX];
};

/* Connection i has the tag tag_base + i. */
void store_io_init(struct store_io *s, struct store *store, struct tls_context *tls, struct log *log);
void store_io_start(struct store_io *s, struct io *io, uint32_t tag_base);
void store_io_close(struct store_io *s);
/* After IO_READY of connection i: gives the store something of what happened. True: something was; take the store's
 * answers, then call again. */
bool store_io_read(struct store_io *s, uint32_t conn);
/* Opens and closes what the store wants, sends what it has to say, logs what it has to tell. */
void store_io_turn(struct store_io *s);

#endif
