/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * steering: has the kernel give each SIP message to the socket of the shard that has its bucket, by a BPF program on
 * the sockets that share a port. Without the right to load one the kernel chooses by addresses and ports, and the shard
 * that was chosen hands the message over. Nothing else depends on it.
 */
#ifndef REFEREE_RUNTIME_STEERING_H
#define REFEREE_RUNTIME_STEERING_H

#include "core/base/siphash.h"
#include "core/runtime/listen.h"

struct steer_bpf;
struct steering_maps {
    struct steer_bpf *bpf[LISTEN_MAX]; /* one for each address listened on */
    uint32_t count;
};

struct steering_options {
    struct siphash_key key;
    uint8_t cluster;
    uint32_t shards;
    const struct listeners *const *listeners; /* by shard; the same addresses in all of them */
};

/* Bucket b belongs to shard b % shards, until steering_give says otherwise. False: nothing is attached; the log says
 * why. */
bool steering_open(struct steering_maps *m, const struct steering_options *o, struct log *log);
/* From now on the bucket is that shard's, in whatever way buckets change hands. By any thread. */
void steering_give(const struct steering_maps *m, uint16_t bucket, uint32_t shard);
/* When no shard runs any more. */
void steering_close(struct steering_maps *m);

#endif
