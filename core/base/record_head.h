/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * record_head: how the record of a call begins in every format (core/b2b/record_format.h), so that who owns a bucket
 * is decided by who can read what is in it.
 */
#ifndef REFEREE_BASE_RECORD_HEAD_H
#define REFEREE_BASE_RECORD_HEAD_H

#include "core/base/slice.h"

#define RECORD_MAGIC "RFR" /* then the format, one byte */
/* In the table "arriving" it stands behind so many digits (core/b2b/move_state.h). */
#define RECORD_ARRIVING_AT 43

/* Of a stored value. 0: of no record of a call, or cut short. */
static inline uint8_t record_head_format(struct slice table, struct slice value) {
    const uint32_t magic = sizeof RECORD_MAGIC - 1;
    uint32_t at = slice_eq(table, SL("arriving")) ? RECORD_ARRIVING_AT : 0;
    if (value.n <= at + magic || memcmp(value.p + at, RECORD_MAGIC, magic) != 0)
        return 0;
    return (uint8_t)value.p[at + magic];
}

#endif
