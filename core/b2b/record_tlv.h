/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * record_tlv: the bytes of a record. A number is a varint: 7 bits a byte, lowest first, in as few bytes as it takes. A
 * field is tag, length and value, the first two varints; the lowest bit of a tag says that a reader who does not know
 * it must refuse the record.
 */
#ifndef REFEREE_B2B_RECORD_TLV_H
#define REFEREE_B2B_RECORD_TLV_H

#include "core/base/sbuf.h"

#define TLV_CRITICAL 1u
#define CRIT(number) ((number) << 1 | TLV_CRITICAL)
#define OPT(number) ((number) << 1)

void varint_put_long(struct sbuf *b, uint64_t v);
static inline void varint_put(struct sbuf *b, uint64_t v) {
    if (v <= 0x7f)
        sbuf_char(b, (char)v);
    else
        varint_put_long(b, v);
}
/* Takes it off the front. False: none there, not in its shortest form, or over 64 bits. */
bool varint_get(struct slice *in, uint64_t *v);

void tlv_put(struct sbuf *b, uint32_t tag, struct slice value);
void tlv_put_u64(struct sbuf *b, uint32_t tag, uint64_t v);
/* What is written between the two is the value; open's result is close's `from`. */
uint32_t tlv_open(struct sbuf *b, uint32_t tag);
void tlv_close(struct sbuf *b, uint32_t from);

struct tlv {
    uint32_t tag;
    struct slice value;
    struct slice whole;
};
/* Takes one field off the front of a non-empty slice. False: it is shorter than it says. */
bool tlv_next(struct slice *in, struct tlv *out);
/* The whole value is one number of at most `max`. */
bool tlv_u64(const struct tlv *t, uint64_t max, uint64_t *v);

#endif
