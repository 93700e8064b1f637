/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Line ends, header names and values by masks; see sip_fast.h.
 */
#ifndef REFEREE_PARSER_SIP_FAST_LINES_H
#define REFEREE_PARSER_SIP_FAST_LINES_H

#include "parser/sip_fast.h"

#define LINES_MAX 256u

_Static_assert(offsetof(struct sip_hdr, next) == offsetof(struct sip_hdr, id) + 2, "both are written as one word");

/* Ends of lines up to the empty one: each LF, all with a CR before. */
struct lines {
    uint32_t count;
    bool ended;                   /* the last one is the empty line */
    const char *lf[LINES_MAX + 68];
};

/* The line ends of one block: a bit stands for a CR, `lf` is where the LF behind the first bit is. Three are written
 * always: a branch on how many there are would often be taken wrongly. */
ALWAYS const char **put_lines(const char **to, const char *lf, uint64_t ends) {
    const char **behind = to + count_bits(ends);
    to[0] = at_first_bit(lf, ends);
    ends &= ends - 1;
    to[1] = at_first_bit(lf, ends);
    ends &= ends - 1;
    to[2] = at_first_bit(lf, ends);
    ends &= ends - 1;
    for (unsigned i = 3; __builtin_expect(ends != 0, 0); ends &= ends - 1)
        to[i++] = at_first_bit(lf, ends);
    return behind;
}

/* CR LF CR LF: of CRs that are not alone, two at distance 2 have a LF between them. `before`: the last two CRs of the
 * block before. */
ALWAYS uint64_t empty_lines(uint64_t ends, uint64_t before) {
    return ends & (ends << 2 | before);
}

/* The block of p with a CR or LF alone in it, or the last: up to that, or to the empty line. */
static __attribute__((noinline)) const char **last_lines(const char *p, size_t n, uint64_t before, const char **to,
                                                         bool *ended) {
    uint64_t ends = win_eq(win_load(p, (uint32_t)n), '\r') & low_bits((uint32_t)n);
    uint64_t alone = ends;
    if (n > 1)
        alone ^= win_eq(win_load(p + 1, (uint32_t)n - 1), '\n') & low_bits((uint32_t)n - 1);
    uint64_t empty = empty_lines(ends, before), head = empty ^ (empty - 1);
    alone &= head;
    *ended = empty && !alone;
    return put_lines(to, p + 1, ends & head & (alone ? (alone & -alone) - 1 : head));
}

/* The one pass over the head of the message, 64 bytes a step and the LF behind them. Stops before a CR or LF alone. */
static __attribute__((noinline)) void find_lines(const char *p, size_t n, struct lines *out) {
    const char **to = out->lf, **const end = to + LINES_MAX;
    const char *const stop = p + n;
    uint64_t before = 0;
    out->ended = false;
    out->count = 0;
    if (n && p[0] == '\n')
        return;
    for (; stop - p > 64; p += 64) {
        struct line_ends at = line_ends_load(p);
        if (__builtin_expect(line_ends_alone(at), 0) || __builtin_expect(to >= end, 0))
            break;
        uint64_t ends = line_ends_mask(at), empty = empty_lines(ends, before);
        if (__builtin_expect(empty != 0, 0)) {
            to = put_lines(to, p + 1, ends & (empty ^ (empty - 1)));
            out->ended = true;
            break;
        }
        before = ends >> 62;
        to = put_lines(to, p + 1, ends);
    }
    if (!out->ended && p != stop && to < end)
        to = last_lines(p, (size_t)(stop - p), before, to, &out->ended);
    out->count = (uint32_t)(to - out->lf);
}

/* The id of a name of one letter; 0: none. */
ALWAYS uint32_t compact_name(const char *p) {
    uint32_t letter = ((uint8_t)p[0] | 0x20u) - 'a';
    return letter < 26 ? sip_compact_names[letter] : 0;
}

/* The id of a known name of n bytes at p with a colon behind it, 1 < n < 32, h loaded there; 0: none. */
ALWAYS uint32_t known_name(const char *p, uint32_t n, struct half h) {
    size_t id = sip_name_ids[sip_name_slot(p, n)];
    const struct sip_known_name *known = &sip_known_names[id];
    if (half_differs(h, known->lower) & known->mask)
        return SIP_H_OTHER;
    /* The table has it so. */
    if (id == SIP_H_OTHER)
        __builtin_unreachable();
    return (uint32_t)id;
}

/* The trimmed value between the colon and the line's CR, at which `end` is. */
ALWAYS struct slice trim_value(const char *begin, const char *end) {
    /* One SP before and a visible byte at both ends; the line has a CR and a LF to look at. */
    if (__builtin_expect(begin[0] == ' ' && (uint8_t)begin[1] > ' ' && (uint8_t)end[-1] > ' ', 1))
        return slice_of(begin + 1, (size_t)(end - begin - 1));
    return slice_trim(slice_of(begin, (size_t)(end + 2 - begin)));
}

/* Header `number`, from 1, which goes to `to`, out of the line from p to its LF, as sip_read_header reads it; h: loaded
 * at p. False: not of the usual form, nothing was done. */
ALWAYS bool fast_header(struct sip_reader *r, struct sip_hdr *to, uint32_t number, const char *p, const char *lf,
                        struct half h, uint16_t *last) {
    uint32_t colon = first_bit(half_eq(h, ':')), id;
    if (__builtin_expect(colon - 2 < 30, 1))
        id = known_name(p, colon, h);
    else if (colon == 1)
        id = compact_name(p);
    else
        return false;
    /* A name that is known, or of the name class, has no LF in it: the colon lies in this line. */
    if (__builtin_expect(id == SIP_H_OTHER, 0) && (half_not_name(h) & below(colon)))
        return false;
    /* Field by field: a whole one would be zeroed first. */
    to->name.p = p;
    to->name.n = colon;
    struct slice value = trim_value(p + colon + 1, lf - 1);
    to->value.p = value.p;
    to->value.n = value.n;
    /* id, and next, which is 0. */
    memcpy(&to->id, &id, sizeof id);
    if (__builtin_expect(id != SIP_H_OTHER, 1))
        sip_chain_header(r, number, id, last);
    return true;
}

/* All header lines behind the first one, l->count > 0. A line that is not of the usual form goes to the plain reader,
 * and so does all that is left when there is no empty line, or when there are too many. */
static __attribute__((noinline)) void fast_headers(struct sip_reader *r, const struct lines *l) {
    uint16_t last[SIP_H_COUNT];
    struct sip_hdr *to = r->msg->headers;
    const char *p = l->lf[0] + 1;
    /* Up to here half a window is of the message. */
    const char *whole = r->rest.n >= 32 ? r->rest.p + r->rest.n - 32 : NULL;
    uint32_t number = 0, end = l->count <= SIP_HEADERS_MAX ? l->count - 1 : 0;
    for (uint32_t i = 1; i < end; i++) {
        const char *lf = l->lf[i];
        /* A line that begins with a blank goes on with the one before. */
        if ((uint8_t)lf[1] <= ' ' && (lf[1] == ' ' || lf[1] == '\t'))
            continue;
        bool fits = __builtin_expect(p <= whole, 1);
        struct half h = fits ? half_load_whole(p) : half_load(p, (uint32_t)(lf - p));
        if (fast_header(r, to, number + 1, p, lf, h, last)) {
            number++;
            to++;
        } else {
            r->msg->header_count = (uint16_t)number;
            scan_skip(&r->rest, (uint32_t)(p - r->rest.p));
            if (!sip_read_header(r, last))
                return;
            number = r->msg->header_count;
            to = r->msg->headers + number;
        }
        p = lf + 1;
    }
    r->msg->header_count = (uint16_t)number;
    scan_skip(&r->rest, (uint32_t)(p - r->rest.p));
    if (l->ended && end) {
        scan_skip(&r->rest, 2);
        r->headers_ended = true;
        return;
    }
    while (sip_read_header(r, last))
        continue;
}

#endif
