/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * strs: a few named strings of one object, packed into one pooled buffer. This is the one border at which bytes of a
 * datagram are copied to live longer than a step. Field numbers are the caller's enum, 0 to STRS_FIELDS - 1.
 */
#ifndef REFEREE_BASE_STRS_H
#define REFEREE_BASE_STRS_H

#include "core/base/buf.h"
#include "core/base/check.h"

#define STRS_FIELDS 24

struct strs {
    struct buf *b;                   /* NULL: all fields absent */
    uint16_t off[STRS_FIELDS];
    uint16_t len[STRS_FIELDS];
    uint32_t present;                /* bit per field */
};

static inline bool strs_has(const struct strs *s, unsigned field) {
    return s->present >> field & 1;
}
/* The slice stays valid until the next strs_set or strs_free of the same object. Absent: p == NULL. */
static inline struct slice strs_get(const struct strs *s, unsigned field) {
    CHECK(field < STRS_FIELDS);
    return strs_has(s, field) ? slice_of(s->b->data + s->off[field], s->len[field]) : SLICE_NONE;
}
/* value.p == NULL clears the field. value may point into the same object. False: no buffer, or more than 65535
 * bytes in all; the object is unchanged then. */
bool strs_set(struct strs *s, struct buf_pool *pool, unsigned field, struct slice value);
void strs_free(struct strs *s, struct buf_pool *pool);

#endif
