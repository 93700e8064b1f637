/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * resp: the Redis protocol (RESP2). Commands are written by ourselves, straight into the caller's memory; replies are
 * read by hiredis's reader, the one thing here that allocates, and come out as a flat row of items: each scalar of a
 * reply with its place in its array, then RESP_END. An array of any length is never held: its items come as its bytes
 * do.
 */
#ifndef REFEREE_STORE_RESP_H
#define REFEREE_STORE_RESP_H

#include "core/base/arena.h"
#include "core/base/sbuf.h"

/* "*n", then n times "$len data". */
void resp_array(struct sbuf *b, uint32_t n);
void resp_bulk(struct sbuf *b, struct slice s);
void resp_bulk_u64(struct sbuf *b, uint64_t v);
/* A whole command of words separated by single blanks. */
void resp_words(struct sbuf *b, const char *words);

enum resp_type { RESP_STRING, RESP_STATUS, RESP_ERROR, RESP_INTEGER, RESP_NIL, RESP_END };

struct resp_item {
    uint8_t type;                 /* enum resp_type */
    uint8_t depth;                /* 0: the reply itself; 1: element of its array; ... */
    bool cut;                     /* longer than there is room for: text is empty */
    uint32_t index;               /* in its array */
    uint32_t of;                  /* elements of that array */
    uint32_t parent;              /* index of that array in the one around it */
    int64_t number;
    struct slice text;            /* valid until the next resp_next of any reader with the same row, or resp_feed */
};

#define RESP_FEED_MAX 16384
#define RESP_VALUE_MAX (80 << 10)          /* a longer string is cut */
#define RESP_BUFFERED_MAX (16u << 20)      /* a longer one than this is a fault of the server */

/* Where readers put their items: one for all of them, since one is read at a time. */
struct resp_row;
struct resp_row *resp_row_new(struct arena *a);

struct resp {
    struct redisReader *reader;   /* NULL: closed */
    struct resp_row *row;
};

/* False: no memory. A reader that is open is closed first: nothing of an old connection is left. */
bool resp_open(struct resp *r, struct resp_row *row);
void resp_close(struct resp *r);
/* At most RESP_FEED_MAX bytes, when resp_next has said false. False: the peer speaks no RESP, or too much of it. */
bool resp_feed(struct resp *r, struct slice bytes);
/* False: more bytes are needed, or resp_error is not absent. */
bool resp_next(struct resp *r, struct resp_item *item);
/* The next reply, if it is a number of one digit and nothing of it was read: the same as resp_next twice, for less. */
bool resp_digit(struct resp *r, uint32_t *number);
/* Absent: none so far. */
struct slice resp_error(const struct resp *r);

#endif
