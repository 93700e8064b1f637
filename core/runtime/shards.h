/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * shards: the shards of a process. The first one runs on the thread that calls this, each other one on its own; where
 * there are as many cores each is pinned to one. With runtime.shards 1 there is one shard and nothing else.
 */
#ifndef REFEREE_RUNTIME_SHARDS_H
#define REFEREE_RUNTIME_SHARDS_H

#include "core/runtime/shard.h"

struct shards;

/* The configuration is resolved, and ours from now on, also when this fails. NULL: out of memory. */
struct shards *shards_new(struct config *config, const char *config_path, const char *traced, const char *version);
/* False: something could not be had, the log says what; or the daemon was told to stop meanwhile. */
bool shards_open(struct shards *all);
/* Addresses and ports as they were bound. */
const struct config *shards_config(const struct shards *all);
/* Until it was drained or told to stop. */
void shards_run(struct shards *all);
/* Also after shards_open has failed. Returns the exit status: 0, 1 it could not start, 2 the store's server refuses
 * us. */
int shards_close(struct shards *all);
/* The flight recorder of the calling thread's shard, to stderr. */
void shards_dump(void);

#endif
