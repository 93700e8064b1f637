/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * text: bytes at a cursor, into room that the caller has made sure of once for several pieces (sbuf_room). Each returns
 * the byte behind what it has written.
 */
#ifndef REFEREE_BASE_TEXT_H
#define REFEREE_BASE_TEXT_H

#include "core/base/slice.h"

#define TEXT_U64_MAX 20u          /* digits of 2^64 - 1 */

static inline char *text_put(char *to, struct slice s) {
    slice_copy(to, s);
    return to + s.n;
}
#define text_lit(to, lit) ((char *)memcpy((to), (lit), sizeof(lit) - 1) + sizeof(lit) - 1)

/* Decimal digits of v, 1 to TEXT_U64_MAX. */
unsigned text_digits(uint64_t v);
/* v in so many decimal digits, as text_digits counts them. */
char *text_decimal(char *to, uint64_t v, unsigned digits);
static inline char *text_u64(char *to, uint64_t v) {
    return text_decimal(to, v, text_digits(v));
}
/* 16 lower-case hex digits. */
char *text_hex16(char *to, uint64_t v);

#endif
