/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sdp_line: lines, attributes and words of a session description, for who reads them by lines. All views.
 */
#ifndef REFEREE_PARSER_SDP_LINE_H
#define REFEREE_PARSER_SDP_LINE_H

#include "core/base/slice.h"

/* Next line of *rest without its CRLF or LF, empty ones skipped. False at the end. */
static inline bool sdp_next_line(struct slice *rest, struct slice *line) {
    if (!rest->p)
        return false;
    const char *p = rest->p, *end = rest->p + rest->n;
    while (p != end) {
        const char *begin = p, *stop = p + slice_until(p, (uint32_t)(end - p), '\n');
        p = stop == end ? end : stop + 1;
        if (stop != begin && stop[-1] == '\r')
            stop--;
        if (stop != begin) {
            *line = slice_of(begin, (size_t)(stop - begin));
            *rest = slice_of(p, (size_t)(end - p));
            return true;
        }
    }
    *rest = slice_of(end, 0);
    return false;
}

/* Next word of *rest; spaces between words. False at the end. */
static inline bool sdp_next_word(struct slice *rest, struct slice *word) {
    const char *p = rest->p, *end = rest->p + rest->n;
    while (p != end && *p == ' ')
        p++;
    const char *begin = p;
    if (end - p >= 16)
        p += slice_until(p, (uint32_t)(end - p), ' ');
    else
        while (p != end && *p != ' ')
            p++;
    *word = slice_of(begin, (size_t)(p - begin));
    *rest = slice_of(p, (size_t)(end - p));
    return p != begin;
}

static inline struct slice sdp_skip(struct slice s, uint32_t n) {
    return slice_of(s.p + n, s.n - n);
}

/* "a=name" or "a=name:value", of a name of four letters or more. *value is empty without a colon. False: another line,
 * which four letters tell mostly. */
static inline __attribute__((always_inline)) bool sdp_attribute(struct slice line, struct slice name,
                                                                struct slice *value) {
    if (line.n < 2 + name.n || line.p[0] != 'a' ||
        ((slice_load32(line.p + 2) ^ slice_load32(name.p)) & 0xdfdfdfdf) != 0 ||
        !slice_same_letters(line.p + 2, name.p, name.n))
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
