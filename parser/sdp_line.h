/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sdp_line: lines, attributes and words of a session description, for sdp.c and sdp_rewrite.c only. All views.
 */
#ifndef REFEREE_PARSER_SDP_LINE_H
#define REFEREE_PARSER_SDP_LINE_H

#include "core/base/slice.h"

/* Next line of *rest without its CRLF or LF, empty ones skipped. False at the end. */
static inline bool sdp_next_line(struct slice *rest, struct slice *line) {
    while (rest->n) {
        int32_t lf = slice_find(*rest, '\n');
        uint32_t n = lf < 0 ? rest->n : (uint32_t)lf;
        uint32_t skip = lf < 0 ? n : n + 1;
        *line = slice_of(rest->p, n && rest->p[n - 1] == '\r' ? n - 1 : n);
        rest->p += skip;
        rest->n -= skip;
        if (line->n)
            return true;
    }
    return false;
}

/* Next word of *rest; spaces between words. False at the end. */
static inline bool sdp_next_word(struct slice *rest, struct slice *word) {
    while (rest->n && rest->p[0] == ' ')
        rest->p++, rest->n--;
    int32_t sp = slice_find(*rest, ' ');
    uint32_t n = sp < 0 ? rest->n : (uint32_t)sp;
    *word = slice_of(rest->p, n);
    rest->p += n;
    rest->n -= n;
    return n > 0;
}

static inline struct slice sdp_skip(struct slice s, uint32_t n) {
    return slice_of(s.p + n, s.n - n);
}

/* "a=name" or "a=name:value". *value is empty without a colon. False: another line. */
static inline bool sdp_attribute(struct slice line, struct slice name, struct slice *value) {
    if (line.n < 2 + name.n || line.p[0] != 'a' || ((line.p[2] ^ name.p[0]) & 0xdf) != 0 ||
        !slice_ieq(slice_of(line.p + 2, name.n), name))
        return false;
    struct slice rest = sdp_skip(line, 2 + name.n);
    if (rest.n && rest.p[0] != ':')
        return false;
    *value = rest.n ? sdp_skip(rest, 1) : rest;
    return true;
}

/* enum sdp_direction of an a=sendrecv and so on; -1: another line. */
int sdp_line_direction(struct slice line);

#endif
