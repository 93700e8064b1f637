/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench/store: what the redis store costs and does. client: one shard's store with its connections and nothing else;
 * server: a redis-server of our own; the measurements are in main.c and takeover.c.
 */
#ifndef REFEREE_BENCH_STORE_CLIENT_H
#define REFEREE_BENCH_STORE_CLIENT_H

#include "bench/store/server.h"
#include "core/runtime/stream.h"
#include "store/redis.h"

#include <sys/types.h>

struct client {
    struct store *store;
    struct io *io;
    struct buf_pool bufs;
    struct buf *key;                     /* of each write, in turn: the store takes copies */
    struct metrics metrics;
    struct stream streams[STORE_CONNS_MAX];
    struct io_event events[IO_EVENTS_MAX];
    char in[STORE_INPUT_MAX];
    uint64_t ok, bad, records, bytes;    /* answers by status; of LOAD */
    uint64_t loads_done;
    uint64_t version;
    bool up;
};

uint64_t bench_us(void);
uint64_t bench_cpu_us(void);
/* Of another process, by the kernel's account of its run time. */
uint64_t bench_cpu_of(pid_t pid);

bool client_open(struct client *c, uint16_t port, uint32_t queue);
void client_close(struct client *c);
/* One turn of a shard's loop: what arrived, its answers, then a batch out. */
void client_turn(struct client *c, uint64_t wait_us);
/* Until so many answers have come in all. */
void client_until(struct client *c, uint64_t answers);
/* A write of the record `key`, in the name of node 1 at epoch 1 if fenced; answered. The caller keeps `value`. */
void client_put(struct client *c, uint32_t key, struct buf *value, bool fenced);
/* A record of so many bytes to write. */
struct buf *client_record(struct client *c, uint32_t n);
void client_submit(struct client *c, const struct store_op *op);

int bench_takeover(struct server *s, uint32_t records, uint32_t survivors, uint32_t value_bytes);

#endif
