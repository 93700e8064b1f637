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
    struct buf *b;                   /* NULL: all fields are absent */
    uint16_t off[STRS_FIELDS];
    uint16_t len[STRS_FIELDS];
    uint32_t present, shared;        /* bit per field; shared: its bytes are, or have been, another's too */
};

static inline bool strs_has(const struct strs *s, unsigned field) {
    return s->present >> field & 1;
}
/* The slice stays valid until the next strs_set or strs_free of the same object. Absent: p == NULL. */
static inline struct slice strs_get(const struct strs *s, unsigned field) {
    CHECK(field < STRS_FIELDS);
    return strs_has(s, field) ? slice_of(s->b->data + s->off[field], s->len[field]) : SLICE_NONE;
}
/* value.p == NULL clears the field. value may point into the same object; where it is another field it is kept once.
 * False: no buffer, or more than 65535 bytes in all; the object is unchanged then. */
bool strs_set(struct strs *s, struct buf_pool *pool, unsigned field, struct slice value);
/* Of one without fields, that is to have so many bytes of them: the buffer is taken now. False: there is none. */
bool strs_reserve(struct strs *s, struct buf_pool *pool, uint32_t bytes);
void strs_free(struct strs *s, struct buf_pool *pool);

#endif
