/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench/store: what the redis store costs and does. client: one shard's store with its connections and nothing else;
 * server: a redis-server of our own; the measurements are in main.c and takeover.c.
 */
#ifndef REFEREE_BENCH_STORE_CLIENT_H
#define REFEREE_BENCH_STORE_CLIENT_H

#include "core/runtime/stream.h"
#include "store/redis.h"

#include <sys/types.h>

struct client {
    struct store *store;
    struct io *io;
    struct buf_pool bufs;
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
void bench_pin(int cpu);

bool client_open(struct client *c, uint16_t port, uint32_t queue);
void client_close(struct client *c);
/* One turn of a shard's loop: what arrived, its answers, then a batch out. */
void client_turn(struct client *c, uint64_t wait_us);
/* Until so many answers have come in all. */
void client_until(struct client *c, uint64_t answers);
/* A write of the record `key`, in the name of node 1 at epoch 1 if fenced; answered. */
void client_put(struct client *c, uint32_t key, struct slice value, bool fenced);
void client_submit(struct client *c, struct store_op *op);

struct server {
    uint16_t port;
    pid_t pid;
    char folder[64];
};
/* A redis-server on processor 1, where there are two. */
bool server_start(struct server *s);
void server_stop(struct server *s);
/* The number after "name:" of INFO; 0: none. */
uint64_t server_info(const struct server *s, const char *section, const char *name);
void server_flush(const struct server *s);
/* Owners of the buckets that redis-benchmark writes to. */
void server_own(const struct server *s);
/* What redis-benchmark gets for that command, pipelined on one connection; requests a second. */
double server_benchmark(const struct server *s, uint32_t batch, uint32_t n, const char *command);

int bench_takeover(struct server *s, uint32_t records, uint32_t survivors, uint32_t value_bytes);

#endif
