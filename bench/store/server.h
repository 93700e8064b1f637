/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A redis-server of its own, with nothing saved, on a free port of 127.0.0.1. It dies with who started it.
 */
#ifndef REFEREE_BENCH_STORE_SERVER_H
#define REFEREE_BENCH_STORE_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

void bench_pin(int cpu);

struct server {
    uint16_t port;
    pid_t pid;
    char folder[64];
};
/* A redis-server on that processor, where there are so many. */
bool server_start(struct server *s, int cpu);
void server_stop(struct server *s);
/* The number after "name:" of INFO; 0: none. */
uint64_t server_info(const struct server *s, const char *section, const char *name);
void server_flush(const struct server *s);
/* Owners of the buckets that redis-benchmark writes to. */
void server_own(const struct server *s);
/* What redis-benchmark gets for that command, pipelined on one connection; requests a second. */
double server_benchmark(const struct server *s, uint32_t batch, uint32_t n, const char *command);

#endif
