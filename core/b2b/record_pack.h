/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * record_pack: a record says much twice: URIs of both legs, routes, descriptions that differ in ports. Packed, a
 * repetition is where it stood before (LZ77). A run is headed by a varint, its length << 1 | kind: 0, own bytes: they
 * follow; 1, a repetition, whose length is 4 more than that: a varint follows, how many bytes back it begins. A text
 * that writer and reader know beforehand counts as what stood before everything.
 */
#ifndef REFEREE_B2B_RECORD_PACK_H
#define REFEREE_B2B_RECORD_PACK_H

#include "core/base/sbuf.h"

#define PACK_MAX 65535 /* bytes unpacked */

struct pack_known {
    struct slice text;
    uint16_t head[1 << 11]; /* where its repetitions are looked for */
};
/* Borrows `text`, which may be empty. */
void pack_know(struct pack_known *k, struct slice text);

/* `in` begins with the known text; in.n <= PACK_MAX (CHECK). Appends; the same bytes in give the same bytes out. */
void pack_put(struct sbuf *out, struct slice in, const struct pack_known *k);
/* Behind the known text, which is all that is in *out. False: not packed bytes, or more than fit. */
bool pack_get(struct sbuf *out, struct slice in);

#endif
