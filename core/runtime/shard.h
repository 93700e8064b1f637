/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * shard: one thread's shell around one engine. Gathers what happened, steps the engine, does what its outbox says.
 * Everything it needs is opened and laid out by shard_open; nothing is shared with another shard but the mailbox. What
 * is there once for the whole process (signals, the socket for orders, call data records) is with shard 0.
 */
#ifndef REFEREE_RUNTIME_SHARD_H
#define REFEREE_RUNTIME_SHARD_H

#include "core/b2b/engine.h"
#include "core/runtime/admin.h"
#include "core/runtime/cdr_file.h"
#include "core/runtime/config.h"
#include "core/runtime/listen.h"
#include "core/runtime/log.h"
#include "core/runtime/mailbox.h"
#include "core/runtime/media_io.h"
#include "core/runtime/node.h"
#include "core/runtime/steering.h"
#include "core/runtime/store_io.h"

#define DRAIN_GRACE_US UINT64_C(5000000)   /* after the deadline, for the BYEs' answers */
#define LEAVE_GRACE_US UINT64_C(10000000)  /* ... of a node: what is in the midst goes last, then heirs are awaited */

enum shard_state { SHARD_RUNNING, SHARD_DRAINING, SHARD_STOPPED };

struct shard_options {
    struct config *config;        /* resolved; the shard's from now on, also when shard_open fails */
    const char *config_path;      /* NULL: defaults, nothing to reload */
    const char *traced;           /* as struct log */
    const char *version;
    struct mailbox *mailbox;      /* NULL: the only shard */
    uint32_t index, count;        /* which one of how many */
    const struct steering_maps *steering; /* NULL: the only shard */
    const struct listeners *listeners; /* bound already, and the shard's from now on; NULL: it binds them */
    struct media_share media;     /* without a mailbox: nothing */
};

/* An answer that is being put together; shard_order.c. */
struct shard_reply {
    uint64_t conn;
    char *text;
    uint32_t n, cap;
    bool lost;                    /* no memory, or too long */
};

/* An order that every shard is to answer: of shard 0. */
struct shard_question {
    uint64_t conn;
    uint32_t waiting;             /* shards that have not answered yet */
    uint32_t line_n;
    char line[ADMIN_LINE_MAX];
    struct slice answers[MAILBOX_SHARDS_MAX]; /* malloc'ed */
};

/* In microseconds, of the window that began at since_us. */
struct shard_load {
    uint64_t since_us;
    uint64_t turn_us;             /* when this turn began */
    uint64_t queued_us, longest_us;
    bool queue;                   /* it found one */
    bool much;                    /* so much waited that the engine was told */
};

struct shard {
    struct shard_options o;
    struct config *config;
    enum shard_state state;
    uint64_t drain_us;            /* while draining: its deadline */
    uint64_t stop_us;             /* ... and the end, whatever is left */
    uint64_t mono_us, wall_ms;    /* of this turn */
    struct shard_load load;

    struct io *io;
    struct engine *engine;
    struct store *store;
    struct store_io store_io;
    bool rejected;                /* by the store's server: who runs us must mend the configuration */
    struct listeners listeners;
    struct media_io media;
    struct admin admin;
    struct node node;
    uint32_t vips_here;           /* of cluster.media_vips, as the engine was told */
    uint64_t vips_us;             /* of the next look at them */
    bool ends;                    /* the engine was told so: nobody has taken what is left */
    bool ends_unknown;            /* ... of calls that no record knows: the store stays away */
    bool told;                    /* in several shards: shard 0, that it is done */
    uint32_t opened, failed, done; /* other shards, of which shard 0 has heard so */
    bool others_rejected;
    struct shard_reply replies[ADMIN_CONNS_MAX];
    struct shard_question questions[ADMIN_CONNS_MAX];
    int signal_fd;
    void *memory;
    size_t memory_bytes;
    struct log log;
    struct cdr_file cdr;
    struct outbox out;
    struct io_event events[IO_EVENTS_MAX];
};

/* By the thread that runs it. SIGTERM, SIGINT and SIGHUP are blocked from now on and read by shard 0. False: the reason
 * was logged; shard_close is still due. */
bool shard_open(struct shard *s, const struct shard_options *o);
/* Until it was drained or told to stop. */
void shard_run(struct shard *s);
/* Of shard 0: serves until every other one is open. False: one could not be, or the daemon is to stop. */
bool shard_await_others(struct shard *s);
/* Of shard 0: all others end now. */
void shard_stop_others(struct shard *s);
/* Of another: says to shard 0 whether it could be opened. */
void shard_say_opened(struct shard *s, bool ok);
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
/* In shard_load.c: a turn has begun with so many events; it is at its end. */
void shard_load_turn(struct shard *s, uint32_t events);
void shard_load_turned(struct shard *s);
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

/* Refuses new calls and ends in the configuration's time. */
void shard_drain(struct shard *s);

/* In shard_order.c: an operator's order, which all shards obey where it concerns all. */
void shard_order(struct shard *s, const struct admin_order *order);
void shard_obey(struct shard *s, uint64_t conn, struct slice line);
/* A piece of the answer, on its way to the operator. */
void shard_answer(struct shard *s, uint64_t conn, struct slice text, bool last);
/* Of shard 0: shard `from` has answered all; takes `text`, which was malloc'ed. */
void shard_answered(struct shard *s, uint32_t from, uint64_t conn, char *text, uint32_t n);
void shard_forget_orders(struct shard *s);
/* Users, routes, peers of the file; a wrong file is named in the log and changes nothing. Then for this shard alone. */
void shard_reload(struct shard *s);
void shard_reloaded(struct shard *s, struct config *new);

/* In shard_mail.c: between shards. */
enum shard_mail_kind {
    MAIL_PEER = 1,                /* an OUT_PEER */
    MAIL_UNREACHABLE,             /* dst, for EV_SEND_FAILED: the kernel tells any of the sockets of a port */
    MAIL_CDR,                     /* to shard 0: one line */
    MAIL_ORDER,                   /* from shard 0: number (connection), bytes */
    MAIL_ANSWER,                  /* to shard 0: number (connection), pointer and size (text) */
    MAIL_RELOAD,                  /* from shard 0: pointer (struct config) */
    MAIL_DRAIN,                   /* from shard 0 */
    MAIL_STOP,                    /* from shard 0: at once */
    MAIL_OPENED,                  /* to shard 0; flag: it is; hops: rejected by the store */
    MAIL_PORTS,                   /* to who bound the pair `number`: it is not used any more */
    MAIL_DONE,                    /* to shard 0, while draining; flag: no call is left, else there is one again */
    MAIL_FORMAT,                  /* from shard 0: bytes, for node_hold_format */
};                                /* and NODE_MAIL */
/* `urgent` as mailbox_put. False: no room, which was counted. */
bool shard_tell(struct shard *s, uint32_t to, const struct mail *mail, bool urgent);
void shard_tell_others(struct shard *s, const struct mail *mail, bool urgent);
void shard_peer_out(struct shard *s, const struct out *o);
void shard_cdr_out(struct shard *s, struct slice line);
/* A command to the relay: pairs of ports come and go with their calls. */
void shard_media_out(struct shard *s, const struct media_cmd *cmd);
/* What the others have for us; what we have for them, at the end of a turn. */
void shard_read_mail(struct shard *s);
void shard_flush_mail(struct shard *s);
/* When no shard runs any more. */
void shard_last_mail(struct shard *s);
/* Where there is no cluster the buckets are divided: the engine is told which ones are its own. */
void shard_divide_buckets(struct shard *s);
static inline bool shard_is_alone(const struct shard *s) {
    return !s->o.mailbox;
}

#endif
