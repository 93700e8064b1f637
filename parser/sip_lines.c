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

/* A second header that must be single is a fault and stays out of the chain, so that a copy of the id copies one. */
static void add_header(struct sip_reader *r, const struct sip_hdr *h, uint16_t *last) {
    struct sip_msg *m = r->msg;
    uint16_t number = (uint16_t)(m->header_count + 1);
    m->headers[m->header_count++] = *h;
    if (h->id == SIP_H_OTHER)
        return;
    if (!m->first[h->id]) {
        m->first[h->id] = number;
    } else if (sip_hdr_flags((enum sip_hdr_id)h->id) & HDR_SINGLE) {
        sip_reader_fault(r, SIP_E_HEADER_TWICE, h->name.p, (enum sip_hdr_id)h->id);
        return;
    } else {
        m->headers[last[h->id] - 1].next = number;
    }
    last[h->id] = number;
}

void sip_read_headers(struct sip_reader *r) {
    uint16_t last[SIP_H_COUNT] = { 0 };
    struct sip_hdr h = { .next = 0 };
    for (;;) {
        const char *at = r->rest.p;
        switch (sip_line_next(&r->rest, &h.name, &h.value)) {
        case SIP_LINE_END:
            r->headers_ended = true;
            return;
        case SIP_LINE_SKIP:
            sip_reader_fault(r, SIP_E_HEADER_LINE, at, SIP_H_OTHER);
            continue;
        case SIP_LINE_BARE:
            sip_reader_fault(r, SIP_E_HEADER_LINE, at, SIP_H_OTHER);
            return;
        case SIP_LINE_CUT:
            sip_reader_fault(r, SIP_E_HEADER_END, at, SIP_H_OTHER);
            return;
        case SIP_LINE_HEADER:
            break;
        }
        if (r->msg->header_count == SIP_HEADERS_MAX) {
            sip_reader_fault(r, SIP_E_TOO_MANY_HEADERS, at, SIP_H_OTHER);
            return;
        }
        h.id = (uint16_t)sip_hdr_id_of(h.name);
        add_header(r, &h, last);
    }
}
