/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The entry points of one path; see sip_fast.h. The file that includes it names FAST_OPS.
 */
#ifndef REFEREE_PARSER_SIP_FAST_OPS_H
#define REFEREE_PARSER_SIP_FAST_OPS_H

#include "parser/sip_fast_fields.h"
#include "parser/sip_fast_lines.h"
#include "parser/sip_path.h"

/* Start line and headers. False: stop, as sip_read_start_line. */
ALWAYS bool take_head(struct sip_reader *r) {
    struct lines lines;
    const char *start = r->rest.p;
    find_lines(start, r->rest.n, &lines);
    uint32_t n = lines.count ? (uint32_t)(lines.lf[0] - start) - 1 : 0;
    if (n && fast_start_line(r->msg, start, n))
        scan_skip(&r->rest, n + 2);
    else if (!sip_read_start_line(r))
        return false;
    if (lines.count) {
        fast_headers(r, &lines);
    } else {
        uint16_t last[SIP_H_COUNT];
        while (sip_read_header(r, last))
            continue;
    }
    return true;
}

static int32_t fast_parse(struct slice bytes, struct sip_msg *msg, struct sip_fault *fault) {
    struct sip_reader r;
    clear(msg, offsetof(struct sip_msg, headers));
    if (!sip_reader_begin(&r, bytes, msg, fault))
        return SIP_BAD;
    const char *start = r.rest.p;
    if (!take_head(&r))
        return SIP_BAD;
    take_fields(&r);
    sip_read_body(&r, start);
    return fault->error ? SIP_BAD : (int32_t)(r.rest.p - bytes.p);
}

static int32_t fast_headers_only(struct slice bytes, struct sip_msg *msg) {
    struct sip_fault fault;
    struct sip_reader r;
    clear(msg, offsetof(struct sip_msg, headers));
    if (!sip_reader_begin(&r, bytes, msg, &fault) || !take_head(&r))
        return SIP_BAD;
    return fault.error ? SIP_BAD : (int32_t)(r.rest.p - bytes.p);
}

static int32_t fast_uri_parse(struct slice text, struct sip_uri *out) {
    clear(out, sizeof *out);
    out->scheme = SIP_SCHEME_OTHER;
    if (text.n && text.n <= 64 && fast_uri(text.p, text.n, win_load(text.p, text.n), low_bits(text.n), out))
        return (int32_t)text.n;
    return sip_plain_uri(text, out);
}

static int32_t fast_nameaddr_parse(struct slice value, struct sip_nameaddr *out) {
    return fast_nameaddr(value, out) ? (int32_t)value.n : sip_plain_nameaddr(value, out);
}

static int32_t fast_contact_parse(struct slice value, struct sip_contact *out) {
    return fast_contact(value, out) ? (int32_t)value.n : sip_plain_contact(value, out);
}

static int32_t fast_via_parse(struct slice value, struct sip_via *out) {
    clear(out, sizeof *out);
    return fast_via(slice_trim(value), out) ? (int32_t)value.n : sip_plain_via(value, out);
}

const struct sip_ops FAST_OPS = {
    .parse = fast_parse,
    .headers = fast_headers_only,
    .uri = fast_uri_parse,
    .nameaddr = fast_nameaddr_parse,
    .contact = fast_contact_parse,
    .via = fast_via_parse,
};

#endif
