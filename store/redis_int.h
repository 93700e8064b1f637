/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * redis_int: the parts of the redis store, for its own files.
 *
 *   redis.c         the interface, time, answers            redis_queue.c   operations: queued, coalesced, timed
 *   redis_conn.c    connections: greeting, batches, loss    redis_reply.c   what a reply means to its operation
 *   redis_script.c  scripts, and how commands are written   redis_tell.c    what people are told
 *   redis_put.c     the same for the most frequent one      redis_unsent.c  writes that are not sent yet, by key
 *   sentinel.c      where the master is                     cluster.c       which server has which bucket
 *
 * An operation is in one of: a lane's queue (not sent), a lane's `parked` (the server refuses writes), a connection's
 * row of pending commands (sent), a lane's `redo` (to be sent again, once all that was sent has been answered), or it
 * follows a later one of the same key. A lane is a connection's; one more is for buckets that no server is known for.
 */
#ifndef REFEREE_STORE_REDIS_INT_H
#define REFEREE_STORE_REDIS_INT_H

#include "core/base/limits.h"
#include "core/base/pool.h"
#include "store/kind.h"
#include "store/redis.h"
#include "store/resp.h"

#define REDIS_PENDING_MAX 2048
#define REDIS_OUT_BYTES (256u << 10)
#define REDIS_HEADER 20
#define REDIS_KEY_MAX 512            /* of a record; RFC 3261 knows no bound, so longer ones are refused */
#define REDIS_NOTICES 16
#define REDIS_BUCKET_LEASES LIMIT_BUCKETS  /* stands for the key of leases where a bucket stands for its keys */
#define REDIS_LEASES_MAX LIMIT_MEMBERS
#define REDIS_LEASE_VALUE_MAX 64
#define REDIS_LANE_NONE STORE_CONNS_MAX
#define REDIS_LATENCY_STEPS 32

enum redis_script { SCRIPT_PUT, SCRIPT_DELETE, SCRIPT_CLAIM, SCRIPT_RELEASE, SCRIPT_LEASE, SCRIPTS };

struct redis_op;
struct redis_list {
    struct redis_op *first, *last;
    uint32_t n;
};

struct redis_op {
    struct redis_op *prev, *next;
    struct redis_list *list;              /* it is in; NULL: none */
    struct redis_op *timed_prev, *timed_next;
    struct redis_list followers;          /* earlier ones of the same key, answered with this one */
    struct redis_op *leader;              /* whom it follows */
    struct buf *payload;                  /* key, value; NULL: both empty */
    handle self;
    uint64_t hash;                        /* PUT, DELETE: of its key */
    struct redis_op *unsent_next;         /* with the same head */
    struct slice table;                   /* static string */
    uint64_t ticket, expires_ms, epoch, version;
    uint64_t due_us;                      /* of its ticket */
    uint64_t sent_us;
    uint32_t node, former, key_n;
    uint32_t answer_node;                 /* while it waits for replicas */
    uint64_t answer_epoch;
    uint16_t bucket;
    uint8_t verb;
    uint8_t tries;
    uint8_t ask_conn;                     /* conn + 1 that a cluster in motion told to ask; 0: none */
    bool timed;
    bool keyed;                           /* a PUT or DELETE that is not sent yet: found by its key */
    bool waits;                           /* for the replicas too */
    bool probe;                           /* tries whether the server takes writes again */
};

struct redis_unsent {
    struct redis_op **heads;
    uint32_t mask;
};

struct redis_lane {
    struct redis_list queue, parked, redo;
};

enum pending_kind {
    PENDING_OP,
    PENDING_IGNORED,
    PENDING_ALLOWED,              /* of the greeting: what a server without this right may refuse */
    PENDING_ACCESS,               /* of the greeting: an error is who runs us to mend */
    PENDING_ROLE,
    PENDING_ID,
    PENDING_GREETED,              /* the last one of the greeting */
    PENDING_PING,
    PENDING_REPLICAS,
    PENDING_SLOTS,
    PENDING_MASTER,
    PENDING_SUBSCRIBED,
};

struct redis_pending {
    uint8_t kind;
    struct redis_op *op;          /* NULL: it is not waited for any more */
};

enum redis_role { ROLE_UNUSED, ROLE_DATA, ROLE_SENTINEL };
enum conn_state { CONN_IDLE, CONN_RETRY, CONN_OPENING, CONN_GREETING, CONN_READY };

struct redis_conn {
    uint8_t role, state;
    bool close, open;             /* orders that the shell has not had yet */
    bool hold;                    /* nothing is sent until all is answered; then what is in redo goes first */
    bool refusing;                /* the server takes no writes: one is tried now and then */
    bool probing;                 /* that one is on its way */
    bool subscribed;              /* a Sentinel's: nothing else can be asked there */
    bool asked;                   /* for the map */
    struct addr addr;
    uint64_t since_us;            /* of this state */
    uint64_t heard_us;            /* last byte, or first command after silence */
    uint64_t retry_us, resume_us, probe_us;
    uint32_t failures;            /* in a row */
    uint64_t client_id, former_id; /* the server's number for this connection, and for the one before */
    struct addr former_addr;
    struct redis_lane *lane;
    struct redis_list waiting;    /* done, but for the replicas */
    struct resp resp;
    struct sbuf out;
    uint32_t out_sent;
    uint32_t first, pending_n;
    struct redis_pending pending[REDIS_PENDING_MAX];
    /* Of the reply that is being read. */
    char load_key[REDIS_KEY_MAX];
    uint32_t load_key_n;
    bool load_key_bad;
    uint64_t replies, errors;
};

struct redis_answer {
    uint64_t ticket, epoch;
    uint32_t node;
    uint8_t status;
};

struct redis_notices {
    uint32_t first, n;
    char line[REDIS_NOTICES][200];
    uint16_t len[REDIS_NOTICES];
};

/* What is the same in each fenced PUT of a call's record, but for the bucket's digits. */
struct redis_head {
    uint32_t n, records, owner;   /* where those of the two keys are */
    char text[3 * REDIS_TEXT_MAX + 256];
};

/* "node.epoch" and the field's length as they were sent last: most buckets of a node have had few owners. */
struct redis_owner {
    uint32_t node, key_n, n;
    uint64_t epoch;
    char text[72];
};

/* A key of a bucket as it is sent. */
struct redis_key {
    uint16_t n, digits;           /* where the bucket's begin */
    char text[REDIS_TEXT_MAX + 64];
};

struct redis {
    struct store base;
    struct store_redis_config c;
    uint64_t now_us, wall_ms;
    struct pool ops;
    struct buf_pool bufs;
    struct redis_unsent unsent;
    struct redis_op *timed_first, *timed_last;
    struct redis_conn conns[STORE_CONNS_MAX];
    struct redis_lane lanes[STORE_CONNS_MAX + 1];
    struct resp_row *row;
    struct redis_conn *reading;   /* whose input is not all read */
    struct redis_answer *answers;
    uint32_t answer_first, answer_n, answer_max;
    bool told_up, bounced, ever_up, whole, rejected;
    char reason[160];             /* of the last failure */
    uint32_t reason_n;
    struct redis_notices notices;
    uint64_t notice_second;
    uint32_t notice_count;

    uint32_t server_next;         /* of c.servers, tried next */
    uint64_t rng;
    uint64_t ttl_us;              /* until then no time to live is renewed twice */
    uint64_t ttl_fresh[LIMIT_BUCKETS / 64]; /* buckets whose was, a bit each */
    char sha[SCRIPTS][40];
    struct redis_key call_key, owner_key;
    struct redis_head put_head;
    struct redis_owner owner;

    /* Cluster. */
    uint16_t slot[LIMIT_BUCKETS + 1];    /* of each bucket */
    uint8_t map[16384];                  /* conn of each slot; REDIS_LANE_NONE: unknown */
    uint8_t new_map[16384];
    bool map_wanted, map_asked, map_new;
    uint64_t map_us;                     /* not asked for before this */
    uint32_t slots_from, slots_to;       /* of the row being read */
    struct addr slots_addr;

    /* Sentinel. */
    struct addr master;
    char told_host[64];
    uint32_t told_host_n;

    uint64_t latency[REDIS_LATENCY_STEPS]; /* operations by log2 of their microseconds */
    uint64_t done, late, coalesced, redone, foreign, refused, fenced, unavailable, dropped, opened, lost;
    struct {                      /* the leases that are being read */
        uint32_t node;
        uint8_t n;
        char value[REDIS_LEASE_VALUE_MAX];
    } lease[REDIS_LEASES_MAX];
    uint32_t lease_n;
    bool lease_node_known;
    char leases[REDIS_LEASES_MAX * (REDIS_LEASE_VALUE_MAX + 6)];
};

/* ---- redis_queue.c */

void redis_list_push(struct redis_list *l, struct redis_op *op);
void redis_list_push_front(struct redis_list *l, struct redis_op *op);
void redis_list_remove(struct redis_op *op);
/* All of `from` to the front of `to`, in their order. */
void redis_list_splice_front(struct redis_list *to, struct redis_list *from);
/* Takes a copy into the queue. NULL: no room. */
struct redis_op *redis_op_new(struct redis *s, const struct store_op *op);
/* Puts it at a lane's end; an unsent one of the same key follows it from now on. */
void redis_op_queue(struct redis *s, struct redis_lane *lane, struct redis_op *op);
/* From redo, parked or a lost connection back among the unsent. False: a later one is there; it follows that. */
bool redis_op_unsend(struct redis *s, struct redis_op *op);
/* The server has done this write; an earlier one of its key that it had refused, and that waits, is done with it. */
void redis_op_outrun(struct redis *s, struct redis_op *op, uint32_t node, uint64_t epoch);
/* Answers its ticket and those of its followers, if they still wait. It lives on. */
void redis_op_answer(struct redis *s, struct redis_op *op, enum store_status status, uint32_t node, uint64_t epoch);
/* The same; then it is gone. It is in no list. */
void redis_op_done(struct redis *s, struct redis_op *op, enum store_status status, uint32_t node, uint64_t epoch);
void redis_op_extend(struct redis *s, struct redis_op *op);
/* Whose time is up. */
void redis_queue_expire(struct redis *s);
struct redis_lane *redis_lane_of(struct redis *s, const struct redis_op *op);
/* Every unsent operation to the lane that is its own now. */
void redis_queue_reroute(struct redis *s);
bool redis_is_write(const struct redis_op *op);
struct slice redis_op_key(const struct redis_op *op);
struct slice redis_op_value(const struct redis_op *op);

/* ---- redis_unsent.c */

void redis_unsent_init(struct redis_unsent *u, struct arena *a, uint32_t queue);
uint64_t redis_unsent_hash(const struct redis *s, const struct redis_op *op);
/* The one of the same table, bucket and key. NULL: none. */
struct redis_op *redis_unsent_find(struct redis_unsent *u, const struct redis_op *op);
/* None of its key is there. */
void redis_unsent_add(struct redis_unsent *u, struct redis_op *op);
/* If it is there. */
void redis_unsent_remove(struct redis_unsent *u, struct redis_op *op);

/* ---- redis_conn.c */

void redis_conn_use(struct redis *s, struct redis_conn *c, enum redis_role role, const struct addr *to);
void redis_conn_unuse(struct redis *s, struct redis_conn *c);
/* Ends it and tries again later. */
void redis_conn_fail(struct redis *s, struct redis_conn *c, struct slice why);
void redis_conn_tick(struct redis *s, struct redis_conn *c);
uint64_t redis_conn_deadline(const struct redis *s, const struct redis_conn *c);
/* Operations of its lane into its output, as far as there is room. */
void redis_conn_fill(struct redis *s, struct redis_conn *c);
/* One item of what arrived. True: *ev is an answer. */
bool redis_conn_item(struct redis *s, struct redis_conn *c, const struct resp_item *item, struct event *ev);
/* The same of the next replies, as far as each is a digit that says all: their answers are queued. False: none was. */
bool redis_conn_digits(struct redis *s, struct redis_conn *c);
void redis_conn_pend(struct redis_conn *c, enum pending_kind kind, struct redis_op *op);
bool redis_conn_has_room(const struct redis_conn *c);
void redis_conn_reset(struct redis *s, struct redis_conn *c);
void redis_conn_opened(struct redis *s, struct redis_conn *c);
/* To wait until the server takes writes again. */
void redis_park(struct redis *s, struct redis_conn *c, struct redis_op *op);

/* ---- redis_reply.c */

/* An item of the reply to c's first pending operation. True: *ev is an answer. */
bool redis_reply_op(struct redis *s, struct redis_conn *c, const struct resp_item *item, struct event *ev);
/* Whether the operation's reply may be a number alone, and what that says. */
bool redis_reply_may_be_number(const struct redis_op *op);
void redis_reply_number(struct redis *s, struct redis_conn *c, int64_t number);
void redis_reply_replicas(struct redis *s, struct redis_conn *c, int64_t have);

enum redis_fault {
    FAULT_OTHER,                  /* the operation's own */
    FAULT_LATER,                  /* the server is not ready: LOADING, TRYAGAIN, CLUSTERDOWN, BUSY, MASTERDOWN */
    FAULT_REFUSES,                /* takes no writes: OOM, MISCONF, NOREPLICAS */
    FAULT_REPLICA,                /* READONLY */
    FAULT_SCRIPTS,                /* NOSCRIPT */
    FAULT_MOVED,
    FAULT_ASK,
    FAULT_ACCESS,                 /* NOAUTH, WRONGPASS, NOPERM, ... */
};
enum redis_fault redis_fault_of(struct slice error);

/* ---- redis_script.c */

void redis_scripts_init(struct redis *s);
const char *redis_script_text(enum redis_script which);
/* False: does not fit, nothing was written. */
bool redis_write_op(struct redis *s, struct sbuf *out, struct redis_op *op);
/* Time to live that a PUT is to renew; 0: not now. */
uint32_t redis_ttl_due(struct redis *s, const struct redis_op *op);
void redis_header_put(char to[REDIS_HEADER], const struct redis_op *op);
void redis_write_script_load(struct sbuf *out, enum redis_script which);
bool redis_header_read(struct slice v, uint64_t *expires_ms, uint64_t *epoch, uint64_t *version);

/* ---- redis_put.c */

void redis_put_init(struct redis *s);
/* A fenced PUT of the table "call", nearly all that is ever written. False: does not fit, nothing was written. */
bool redis_put(struct redis *s, struct sbuf *out, const struct redis_op *op);

/* ---- redis_tell.c */

void redis_notice(struct redis *s, const char *what, const struct addr *where, struct slice text);
void redis_reason(struct redis *s, const struct addr *where, struct slice text);
bool redis_notice_pop(struct redis *s, struct sbuf *line);
void redis_describe(const struct redis *s, struct sbuf *b);
void redis_count(struct redis *s, enum metric which);

/* ---- redis.c */

/* After a change of connections or map: whether every bucket can be reached. */
void redis_health(struct redis *s);

/* ---- sentinel.c, cluster.c */

void redis_sentinel_greet(struct redis *s, struct redis_conn *c);
void redis_sentinel_item(struct redis *s, struct redis_conn *c, enum pending_kind kind, const struct resp_item *item);
/* The master was lost, or the Sentinel: another one is asked. */
void redis_sentinel_again(struct redis *s, struct redis_conn *lost);

/* Of a key, by what stands in its braces. */
uint32_t redis_slot_of(struct slice key);
void redis_cluster_init(struct redis *s);
void redis_cluster_tick(struct redis *s);
uint64_t redis_cluster_deadline(const struct redis *s);
void redis_cluster_item(struct redis *s, struct redis_conn *c, const struct resp_item *item);
/* MOVED and ASK: the connection to the server that the error names. NULL: none. */
struct redis_conn *redis_cluster_redirect(struct redis *s, struct redis_conn *from, struct slice error, bool ask);
bool redis_cluster_whole(const struct redis *s);

#endif
