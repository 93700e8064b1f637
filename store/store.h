/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * store: where records live. Stepped: operations in, answers out; no I/O here. Kinds: `memory` (lives and dies with the
 * process) and `redis`. The engine sees tickets only.
 *
 * A record is named by bucket, table and key. A bucket has at most one owner: a node, since an epoch that rises by one
 * with each change of owner and is never given twice. What is written in the name of an owner (op->node not 0) is done
 * only if that is still the owner, else it is answered STORE_FENCED and nothing has changed; so a node that was paused
 * and woke up writes nothing.
 *
 *   PUT      value under the key until expires_ms. A PUT or DELETE that is older than what is there, by (epoch,
 *            version), is STORE_FENCED. OK, REFUSED, FENCED, UNAVAILABLE.
 *   GET      OK with the value and the epoch by which it was written (0: in nobody's name), MISSING, UNAVAILABLE. Not
 *            fenced.
 *   DELETE   OK, also when nothing was there; FENCED, UNAVAILABLE.
 *   LOAD     every record of op->table in the bucket: one answer each, OK with key, value, epoch as above and `more`;
 *            the last answer is MISSING, without a record. Anything else ends it as well.
 *   OWNER    OK with node (0: nobody) and epoch (0: there never was one).
 *   CLAIM    makes op->node the owner if op->former still is, by op->epoch: OK with the new epoch, which is op->epoch
 *            + 1; else FENCED with node and epoch as they are. (By the epoch alone, one whose claim a promoted server
 *            has not seen would take the bucket from who has claimed it there since, by the same epoch.)
 *   RELEASE  of the owner's own accord: nobody has it from now on, at the same epoch. OK, FENCED.
 *   LEASE    op->node lives for another op->expires_ms by the store's own clock; op->value says where it is reached.
 *            With expires_ms 0 it ends. OK with a value that lists every live lease, this one too: for each
 *            node (4 bytes, big endian), length of its value (2), value; in rising order of nodes.
 *
 * The operations of one bucket are done in the order in which they were taken, and answered in that order unless they
 * were lost (UNAVAILABLE), which may be said later. A server gets a PUT or DELETE that was answered UNAVAILABLE or
 * REFUSED when it can be reached and lets it, unless a later one of the same key comes first.
 */
#ifndef REFEREE_STORE_STORE_H
#define REFEREE_STORE_STORE_H

#include "core/base/event.h"
#include "core/base/outbox.h"

struct store;

/* Bounds: entries and bytes of values held. Memory comes from `a` (counting allowed, see arena.h: result is NULL
 * then). */
struct store *store_memory_new(struct arena *a, uint32_t entries, size_t bytes, struct siphash_key key);
/* Takes the operation; its key and value are copied, the caller keeps its references. The answer, if op->ticket != 0,
 * is queued. PUT over the bounds: STORE_REFUSED. */
void store_submit(struct store *s, const struct store_op *op, uint64_t wall_ms);
/* Next answer into *ev (kind EV_STORE, EV_STORE_DOWN, EV_STORE_UP; mono_us and wall_ms left to the caller); its value
 * is valid until the next call of any function of the store but store_submit. False: none. */
bool store_answer(struct store *s, struct event *ev);
/* Live entries, of one table, or of all with table.p == NULL; expired ones are removed first. 0 where a server holds
 * them. */
uint32_t store_count(struct store *s, struct slice table, uint64_t wall_ms);

/* ---- Kinds with a server: the caller has the connections and the clock, the store has the bytes. `memory` wants
 * nothing of all this, and it is harmless.
 *
 * One turn of the caller: store_tick; for what arrived store_opened, store_lost, store_input, after each of them
 * store_answer until there is none; then what store_wants says, and store_output of each connection, once, so that the
 * operations of a turn leave together. */

#define STORE_CONNS_MAX 16        /* connections of one store, numbered from 0 */
#define STORE_INPUT_MAX 16384     /* bytes of one store_input */

struct store_want {
    uint32_t conn;
    bool open;                    /* else: close it, or give up opening it; store_lost is not called for that */
    struct addr to;               /* TCP */
};

enum store_health {
    STORE_CONNECTING,             /* never reached yet */
    STORE_UP,
    STORE_DOWN,
    STORE_REJECTS,                /* wrong password, rights or database: who runs it must do something */
};

/* Time is mono_us of events. */
void store_tick(struct store *s, uint64_t mono_us, uint64_t wall_ms);
/* When store_tick is due; UINT64_MAX: never. */
uint64_t store_deadline(const struct store *s);
/* Next order about a connection. False: none. */
bool store_wants(struct store *s, struct store_want *w);
void store_opened(struct store *s, uint32_t conn);
/* It could not be opened, or has ended; `why` is for people. */
void store_lost(struct store *s, uint32_t conn, struct slice why);
/* At most STORE_INPUT_MAX bytes. */
void store_input(struct store *s, uint32_t conn, struct slice bytes);
/* What is to be sent on an open connection, valid until the next call; then how much of it was. */
struct slice store_output(struct store *s, uint32_t conn);
void store_sent(struct store *s, uint32_t conn, uint32_t n);

enum store_health store_health(const struct store *s);
/* For people: a line for the log (false: none), and how the store is, as lines of text. */
bool store_notice(struct store *s, struct sbuf *line);
void store_describe(const struct store *s, struct sbuf *text);
/* Gives back what is not of its arena. */
void store_free(struct store *s);

#endif
