/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * mailbox: messages between the shards of a process. For each ordered pair of shards there is a ring of bytes with one
 * writer and one reader, so nothing is written by two threads but a shard's mark that it sleeps. What is put becomes
 * visible with mailbox_flush, once a turn; the reader's eventfd is rung only if it sleeps.
 *
 * Bounded: what finds no room is refused, and the caller counts it. Memory is mapped by mailbox_new and touched as it
 * is used.
 */
#ifndef REFEREE_RUNTIME_MAILBOX_H
#define REFEREE_RUNTIME_MAILBOX_H

#include "core/base/addr.h"

#define MAILBOX_SHARDS_MAX 64
/* Of one ring; a message, all included, may take a quarter. A call that moves takes up to 70 000 bytes. */
#define MAILBOX_RING_BYTES (512u << 10)

struct mail {
    uint8_t kind;                 /* the caller's, as are the others; not 0 */
    uint8_t what, hops;
    bool flag;
    uint16_t bucket;
    uint32_t from;                /* set by mailbox_put */
    uint32_t size;                /* of what `pointer` points to */
    uint64_t number;
    void *pointer;                /* what it points to belongs to the reader from now on */
    struct addr src, dst;
    struct slice bytes;
};

struct mailbox;

/* NULL: no memory, or no descriptors. */
struct mailbox *mailbox_new(uint32_t shards);
/* When every thread has ended. */
void mailbox_free(struct mailbox *m);

/* ---- by the thread of shard `me` */

/* To be watched for reading, edge triggered; never read. */
int mailbox_fd(const struct mailbox *m, uint32_t me);
/* False: no room. The last quarter of a ring is for what is `urgent`: what would not come again. */
bool mailbox_put(struct mailbox *m, uint32_t me, uint32_t to, const struct mail *mail, bool urgent);
/* What was put since the last flush can be read from now on. */
void mailbox_flush(struct mailbox *m, uint32_t me);
/* A message from each other shard in turn; its bytes are good until the next call. False: there is none now. */
bool mailbox_next(struct mailbox *m, uint32_t me, struct mail *out);
/* Before waiting. False: something is there, wait for nothing. After it, mailbox_awake. */
bool mailbox_sleep(struct mailbox *m, uint32_t me);
void mailbox_awake(struct mailbox *m, uint32_t me);

#endif
