/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * record_format: in which format records are written. A node reads every format up to RECORD_FORMAT and writes the
 * highest that all living nodes read, so that nodes of two releases work together while one replaces the other, node by
 * node. Formats:
 *
 *   1  record_fields.h, packed (record_pack.h)
 *   2  the same fields, packed as if the text of record_known(2) stood in front: about 80 bytes less
 *
 * Within a format only optional tags are added (record_tlv.h): a reader without them keeps them. What would be refused
 * (a critical tag, a flag, a value out of a former range, another packing) belongs to the next format, and is written
 * only when that one is.
 *
 * A format that is told down (an older node has come, or an operator holds it back) has every record written again, a
 * few at a time (barrier.h), until then counted as unprotected; buckets of calls that wait for it are not given away.
 */
#ifndef REFEREE_B2B_RECORD_FORMAT_H
#define REFEREE_B2B_RECORD_FORMAT_H

#include "core/base/record_head.h"
#include "core/b2b/config.h"
#include "core/b2b/record_pack.h"

#define RECORD_FORMAT_FIRST 1
#define RECORD_FORMAT_NEWEST 2
/* That is known here: a build may be as a release was that knew no newer one (refereed-older). */
#ifndef RECORD_FORMAT
#define RECORD_FORMAT RECORD_FORMAT_NEWEST
#endif

struct engine;

struct record_format {
    uint8_t now; /* that is written */
    struct pack_known known[RECORD_FORMAT_NEWEST + 1];
};

/* By engine_config.record_format. */
uint8_t record_format_allowed(const struct engine_config *c);
/* Of a node of a cluster: the first until it is told that all read a higher one. Else the highest allowed. */
void record_format_init(struct engine *e);
/* All living nodes read formats up to `format`. Within a step. */
void record_format_told(struct engine *e, uint32_t format);

#endif
