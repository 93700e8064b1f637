/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_scan.h"

/* Finds the end of a line and of its folds; *n is set to the bytes up to and with the last CRLF. */
static enum sip_line line_end(struct slice rest, uint32_t *n) {
    uint32_t begin = 0;
    for (;;) {
        const char *lf = memchr(rest.p + begin, '\n', rest.n - begin);
        if (!lf)
            return SIP_LINE_CUT;
        uint32_t end = (uint32_t)(lf - rest.p);
        const char *cr = memchr(rest.p + begin, '\r', end - begin);
        if (!cr || cr != lf - 1)
            return SIP_LINE_BARE;
        begin = end + 1;
        if (begin == rest.n || (rest.p[begin] != ' ' && rest.p[begin] != '\t')) {
            *n = begin;
            return SIP_LINE_HEADER;
        }
    }
}

enum sip_line sip_line_next(struct slice *rest, struct slice *name, struct slice *value) {
    uint32_t n = 0;
    if (!rest->n)
        return SIP_LINE_CUT;
    if (rest->n >= 2 && rest->p[0] == '\r' && rest->p[1] == '\n') {
        scan_skip(rest, 2);
        return SIP_LINE_END;
    }
    enum sip_line kind = line_end(*rest, &n);
    if (kind != SIP_LINE_HEADER)
        return kind;

    struct slice line = slice_of(rest->p, n);
    scan_skip(rest, n);
    *name = scan_run(&line, CH_TOKEN);
    while (scan_at(&line, ' ') || scan_at(&line, '\t'))
        scan_skip(&line, 1);
    if (!name->n || !scan_char(&line, ':'))
        return SIP_LINE_SKIP;
    *value = slice_trim(line);
    return SIP_LINE_HEADER;
}

void sip_header_twice(struct sip_reader *r, const struct sip_hdr *h) {
    sip_reader_fault(r, SIP_E_HEADER_TWICE, h->name.p, (enum sip_hdr_id)h->id);
}

bool sip_read_header(struct sip_reader *r, uint16_t *last) {
    struct sip_hdr h = { .next = 0 };
    const char *at = r->rest.p;
    switch (sip_line_next(&r->rest, &h.name, &h.value)) {
    case SIP_LINE_END:
        r->headers_ended = true;
        return false;
    case SIP_LINE_SKIP:
        sip_reader_fault(r, SIP_E_HEADER_LINE, at, SIP_H_OTHER);
        return true;
    case SIP_LINE_BARE:
        sip_reader_fault(r, SIP_E_HEADER_LINE, at, SIP_H_OTHER);
        return false;
    case SIP_LINE_CUT:
        sip_reader_fault(r, SIP_E_HEADER_END, at, SIP_H_OTHER);
        return false;
    case SIP_LINE_HEADER:
        break;
    }
    struct sip_msg *m = r->msg;
    if (m->header_count == SIP_HEADERS_MAX) {
        sip_reader_fault(r, SIP_E_TOO_MANY_HEADERS, at, SIP_H_OTHER);
        return false;
    }
    h.id = (uint16_t)sip_hdr_id_of(h.name);
    m->headers[m->header_count++] = h;
    if (h.id != SIP_H_OTHER)
        sip_chain_header(r, m->header_count, h.id, last);
    return true;
}
