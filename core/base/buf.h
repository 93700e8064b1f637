/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * buf: reference-counted, size-classed byte buffers of one shard. A transaction keeps one for retransmission while
 * the same one is in flight in the kernel: nothing is copied between them.
 * buf_pool_get takes the smallest class with room; a full class falls through to the next larger.
 */
#ifndef REFEREE_BASE_BUF_H
#define REFEREE_BASE_BUF_H

#include "core/base/arena.h"
#include "core/base/slice.h"

#define BUF_CLASSES 8

struct buf {
    struct buf *next;
    uint32_t cap;
    uint32_t len;
    uint32_t refs;
    uint32_t class_index;
    char data[];
};

/* Buffers are carved off `fresh` when one is first needed: memory that no load has asked for stays untouched. */
struct buf_pool {
    struct buf *free[BUF_CLASSES];
    char *fresh[BUF_CLASSES];
    uint32_t fresh_n[BUF_CLASSES];
    uint32_t cap[BUF_CLASSES];      /* 512, 768, 1024, 1536, 2048, 4096, 16384, 65536 */
    uint32_t count[BUF_CLASSES];
    uint32_t used[BUF_CLASSES];
};

/* count[i] buffers of class i. */
void buf_pool_init(struct buf_pool *p, struct arena *a, const uint32_t count[BUF_CLASSES]);
/* One reference, len 0; NULL when no buffer with `need` bytes of room is left (or need > 65536). */
struct buf *buf_get(struct buf_pool *p, size_t need);
/* buf_get plus a copy of s; NULL as above. */
struct buf *buf_copy(struct buf_pool *p, struct slice s);
/* The same of one slice and another behind it. */
struct buf *buf_copy_two(struct buf_pool *p, struct slice head, struct slice tail);
void buf_ref(struct buf *b);
/* NULL is allowed; *b is set to NULL. */
void buf_unref(struct buf_pool *p, struct buf **b);
static inline struct slice buf_slice(const struct buf *b) {
    return b ? slice_of(b->data, b->len) : SLICE_NONE;
}

#endif
