/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * redis: the store in Redis 5 or later: one server, the master that Sentinel names, or Redis Cluster.
 *
 *   c:{hhh}   hash: the bucket's calls, field: key, value: header and record. Other tables have their own name.
 *   b:{hhh}   the bucket's owner, "node.epoch"; node 0: nobody. Never deleted: an epoch is never given twice.
 *   n:{n}     hash: leases, field: node, value: end in ms of the server's clock, a blank, and the lease's value.
 *
 * hhh is the bucket in hex, all keys have the prefix. A write in the name of an owner is one script (redis_script.c).
 * A value begins with 20 bytes: "RF", expiry in ms, epoch, version (6 bytes each, big endian). What does not is not
 * ours: skipped, counted and named in the log. A bucket's hash has a time to live, renewed by writes, so that what
 * nobody ever takes over goes by itself.
 *
 * PUT and DELETE stay in a queue until the server has done them, the latest of each key; it is bounded, and what finds
 * no room is STORE_UNAVAILABLE. All else is tried until the timeout.
 */
#ifndef REFEREE_STORE_REDIS_H
#define REFEREE_STORE_REDIS_H

#include "core/base/metrics.h"
#include "core/base/siphash.h"
#include "store/store.h"

#define REDIS_SERVERS_MAX 8
#define REDIS_TEXT_MAX 128

enum redis_topology { REDIS_SINGLE, REDIS_SENTINEL, REDIS_CLUSTER };

struct store_redis_config {
    enum redis_topology topology;
    struct addr servers[REDIS_SERVERS_MAX]; /* of Sentinel: the Sentinels; of a cluster: any of its nodes */
    uint32_t server_count;
    char master[REDIS_TEXT_MAX];     /* Sentinel's name of it */
    char user[REDIS_TEXT_MAX];       /* empty: none, and without password no AUTH at all */
    char password[REDIS_TEXT_MAX];
    char sentinel_password[REDIS_TEXT_MAX];
    char prefix[REDIS_TEXT_MAX];     /* without '{' and '}' */
    uint32_t db;
    uint32_t replicas;               /* that must have a write before it is answered OK; else UNAVAILABLE */
    uint64_t replica_wait_ms;
    uint64_t timeout_us;             /* of an operation; and of a server that says nothing */
    uint32_t queue;                  /* operations held */
    struct siphash_key key;
    struct metrics *metrics;         /* may be NULL while the arena counts */
};

/* The configuration is copied. NULL while `a` counts. */
struct store *store_redis_new(struct arena *a, const struct store_redis_config *config);
/* SHA-1, in hex, of the script of a fenced PUT: for who measures the server with it. */
void store_redis_put_digest(char to[40]);

#endif
