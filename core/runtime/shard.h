/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * shard: one thread's shell around one engine. Gathers what happened, steps the engine, does what its outbox says.
 * Everything it needs is opened and laid out by shard_open; nothing is shared with another shard.
 */
#ifndef REFEREE_RUNTIME_SHARD_H
#define REFEREE_RUNTIME_SHARD_H

#include "core/b2b/engine.h"
#include "core/runtime/admin.h"
#include "core/runtime/cdr_file.h"
#include "core/runtime/config.h"
#include "core/runtime/listen.h"
#include "core/runtime/log.h"
#include "core/runtime/media_io.h"
#include "core/runtime/node.h"
#include "core/runtime/store_io.h"

#define DRAIN_GRACE_US UINT64_C(5000000)   /* after the deadline, for the BYEs' answers */

enum shard_state { SHARD_RUNNING, SHARD_DRAINING, SHARD_STOPPED };

struct shard {
    struct config *config;
    const char *config_path;      /* NULL: defaults, nothing to reload */
    const char *version;
    enum shard_state state;
    uint64_t stop_us;             /* while draining: the end, whatever is left */
    uint64_t mono_us, wall_ms;    /* of this turn */

    struct io *io;
    struct engine *engine;
    struct store *store;
    struct store_io store_io;
    bool rejected;                /* by the store's server: who runs us must mend the configuration */
    struct listeners listeners;
    struct media_io media;
    struct admin admin;
    struct node node;
    bool told;                    /* the engine, that it ends */
    uint32_t vips_here;           /* of cluster.media_vips, as the engine was told */
    uint64_t vips_us;             /* of the next look at them */
    int signal_fd;
    void *memory;
    size_t memory_bytes;
    struct log log;
    struct cdr_file cdr;
    struct outbox out;
    struct io_event events[IO_EVENTS_MAX];
};

/* config is resolved, and the shard's from now on (also when this fails). traced: as struct log. SIGTERM, SIGINT and
 * SIGHUP are blocked from now on and read by the shard. False: the reason was logged; shard_close is still due. */
bool shard_open(struct shard *s, struct config *config, const char *config_path, const char *traced);
/* Until it was drained or told to stop. */
void shard_run(struct shard *s);
void shard_close(struct shard *s);
/* The flight recorder, to stderr. */
void shard_dump(struct shard *s);

/* ---- private to shard*.c */
/* One event; and with the store's answers to what it asked. */
void shard_step_once(struct shard *s, struct event *ev);
void shard_step(struct shard *s, struct event *ev);
void shard_answers(struct shard *s);
/* In shard_node.c: the node's part. */
void shard_on_answer(struct shard *s, struct event *answer);
void shard_work(struct shard *s);
void shard_on_link(struct shard *s, uint32_t which);
/* False: it is alone. */
bool shard_leave(struct shard *s);
void shard_look_for_addresses(struct shard *s);
/* In shard_store.c: lays the configured kind out; NULL while `a` counts. */
struct store *shard_store_new(struct shard *s, struct arena *a);
/* Before laying out; false: wrong files for TLS, the reason was logged. */
bool shard_store_open(struct shard *s);
/* Until the store is there or, where it is not required, was tried. False: it refuses us, or we are to stop. */
bool shard_store_wait(struct shard *s);
/* Begin and end of a turn; what arrived on connection i. */
void shard_store_tick(struct shard *s);
void shard_store_flush(struct shard *s);
void shard_store_ready(struct shard *s, uint32_t conn);
/* One event of the ring. */
void shard_event(struct shard *s, const struct io_event *ev);
void shard_tell_time(struct shard *s);

/* In shard_order.c: orders that the shell answers itself. False: the engine's. */
bool shard_order(struct shard *s, const struct admin_order *order);
/* Refuses new calls and ends in the configuration's time. */
void shard_drain(struct shard *s);
/* Users, routes, peers of the file; a wrong file is named in the log and changes nothing. */
void shard_reload(struct shard *s);

#endif
