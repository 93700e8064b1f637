/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * ticket: which part of the engine an answer of the store is for. A ticket is a handle, whose index never needs the
 * bits 28 to 31, with the part in them; parts that need no state put a number of 28 bits there instead.
 */
#ifndef REFEREE_B2B_TICKET_H
#define REFEREE_B2B_TICKET_H

#include "core/base/pool.h"

enum ticket_part {
    TICKET_WRITE, /* barrier_store.c: a record, written or deleted */
    TICKET_LOAD,  /* recover.c: the records of a bucket; the number is the bucket + 1 */
    TICKET_OWNER, /* who owns a bucket, claims, leases */
    TICKET_MOVED, /* moved.c: whether what a stub leads to is there still */
};

static inline uint64_t ticket_of(enum ticket_part part, uint64_t h) {
    return h ? h | (uint64_t)part << 28 : 0;
}
static inline enum ticket_part ticket_part(uint64_t ticket) {
    return (enum ticket_part)(ticket >> 28 & 15);
}
static inline uint64_t ticket_handle(uint64_t ticket) {
    return ticket & ~(UINT64_C(15) << 28);
}

#endif
