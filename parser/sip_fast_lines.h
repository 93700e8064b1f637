/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Line ends, header names and values by masks; see sip_fast.h.
 */
#ifndef REFEREE_PARSER_SIP_FAST_LINES_H
#define REFEREE_PARSER_SIP_FAST_LINES_H

#include "parser/sip_fast.h"

#define LINES_MAX 256u

/* Ends of lines up to the empty one: offsets of each LF, all with a CR before. */
struct lines {
    uint32_t count;
    bool ended;                   /* the last one is the empty line */
    uint32_t lf[LINES_MAX + 68];
};

/* The line ends of one block: a bit stands for a CR, `lf` is where the LF behind the first bit is. Three are written
 * always: a branch on how many there are would often be taken wrongly. */
ALWAYS uint32_t *put_lines(uint32_t *to, uint32_t lf, uint64_t ends) {
    uint32_t *behind = to + count_bits(ends);
    to[0] = lf + first_bit(ends);
    ends &= ends - 1;
    to[1] = lf + first_bit(ends);
    ends &= ends - 1;
    to[2] = lf + first_bit(ends);
    for (ends &= ends - 1, to += 3; __builtin_expect(ends != 0, 0); ends &= ends - 1)
        *to++ = lf + first_bit(ends);
    return behind;
}

/* CR LF CR LF: of CRs that are not alone, two at distance 2 have a LF between them. `before`: the last two CRs of the
 * block before. */
ALWAYS uint64_t empty_lines(uint64_t ends, uint64_t before) {
    return ends & (ends << 2 | before);
}

/* The block of p with something in it that is not the end of a line, or that is the last: up to that. */
static __attribute__((noinline)) uint32_t *last_lines(const char *p, size_t n, uint32_t lf, uint64_t before,
                                                      uint32_t *to, bool *ended) {
    uint64_t ends = win_eq(win_load(p, (uint32_t)n), '\r') & low_bits((uint32_t)n);
    uint64_t alone = ends;
    if (n > 1)
        alone ^= win_eq(win_load(p + 1, (uint32_t)n - 1), '\n') & low_bits((uint32_t)n - 1);
    uint64_t empty = empty_lines(ends, before), head = empty ^ (empty - 1);
    alone &= head;
    *ended = empty && !alone;
    return put_lines(to, lf, ends & head & (alone ? (alone & -alone) - 1 : head));
}

/* The one pass over the head of the message, 64 bytes a step and the LF behind them. Stops before a CR or LF alone. */
static __attribute__((noinline)) void find_lines(const char *p, size_t n, struct lines *out) {
    uint32_t *to = out->lf, *const end = to + LINES_MAX;
    uint64_t before = 0;
    size_t base = 0;
    out->ended = false;
    if (n && p[0] == '\n')
        n = 0;
    for (; base + 64 < n; base += 64) {
        struct line_ends at = line_ends_load(p + base);
        if (__builtin_expect(line_ends_alone(at), 0))
            break;
        uint64_t ends = line_ends_mask(at);
        if (__builtin_expect(empty_lines(ends, before) != 0, 0) || __builtin_expect(to >= end, 0))
            break;
        before = ends >> 62;
        to = put_lines(to, (uint32_t)base + 1, ends);
    }
    if (base < n && to < end)
        to = last_lines(p + base, n - base, (uint32_t)base + 1, before, to, &out->ended);
    out->count = (uint32_t)(to - out->lf);
}

/* The id of a known name of n bytes at p with a colon behind it, 0 < n < 32, h loaded there; 0: none. */
ALWAYS uint32_t known_name(const char *p, uint32_t n, struct half h) {
    if (n < 2) {
        uint32_t letter = ((uint8_t)p[0] | 0x20u) - 'a';
        return letter < 26 ? sip_compact_names[letter] : 0;
    }
    uint32_t id = sip_name_ids[sip_name_slot(p, n)];
    const struct sip_known_name *known = &sip_known_names[id];
    return half_differs(h, known->lower) & known->mask ? 0 : id;
}

/* The trimmed value between the colon and the line's CR, at which `end` is. */
ALWAYS struct slice trim_value(const char *begin, const char *end) {
    /* One SP before and a visible byte at both ends; the line has a CR and a LF to look at. */
    if (__builtin_expect(begin[0] == ' ' && (uint8_t)begin[1] > ' ' && (uint8_t)end[-1] > ' ', 1))
        return slice_of(begin + 1, (size_t)(end - begin - 1));
    return slice_trim(slice_of(begin, (size_t)(end + 2 - begin)));
}

/* Header `number`, from 1, out of the line from p to its LF, as sip_read_header reads it. False: not of the usual form,
 * nothing was done. */
ALWAYS bool fast_header(struct sip_reader *r, uint32_t number, const char *p, const char *lf, uint16_t *last) {
    struct half h = half_load(p, (uint32_t)(lf - p));
    uint32_t colon = first_bit(half_eq(h, ':'));
    if (colon - 1 >= 31)
        return false;
    /* A name that is known, or of the name class, has no LF in it: the colon lies in this line. */
    uint32_t id = known_name(p, colon, h);
    if (!id && (half_not_name(h) & below(colon)))
        return false;
    /* Field by field: a whole one would be zeroed first. */
    struct slice value = trim_value(p + colon + 1, lf - 1);
    struct sip_hdr *to = &r->msg->headers[number - 1];
    to->name.p = p;
    to->name.n = colon;
    to->value.p = value.p;
    to->value.n = value.n;
    to->id = (uint16_t)id;
    to->next = 0;
    sip_chain_header(r, number, id, last);
    return true;
}

/* All header lines behind the first one, l->count > 0. A line that is not of the usual form goes to the plain reader,
 * and so does all that is left when there is no empty line, or when there are too many. */
static __attribute__((noinline)) void fast_headers(struct sip_reader *r, const char *start, const struct lines *l) {
    uint16_t last[SIP_H_COUNT];
    const char *p = start + l->lf[0] + 1;
    uint32_t number = 0, end = l->count <= SIP_HEADERS_MAX ? l->count - 1 : 0;
    for (uint32_t i = 1; i < end; i++) {
        const char *lf = start + l->lf[i];
        /* A line that begins with a blank goes on with the one before. */
        if ((uint8_t)lf[1] <= ' ' && (lf[1] == ' ' || lf[1] == '\t'))
            continue;
        if (fast_header(r, number + 1, p, lf, last)) {
            number++;
        } else {
            r->msg->header_count = (uint16_t)number;
            scan_skip(&r->rest, (uint32_t)(p - r->rest.p));
            if (!sip_read_header(r, last))
                return;
            number = r->msg->header_count;
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
