/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_hdr.h"
#include "parser/sip_scan.h"

/* SIP-Version (section 7.1: without case). */
static enum sip_error check_version(struct slice text) {
    if (slice_ieq(text, SL("SIP/2.0")))
        return SIP_E_NONE;
    scan_skip(&text, 4);
    if (!scan_run(&text, CH_DIGIT).n || !scan_char(&text, '.') || !scan_all(text, CH_DIGIT))
        return SIP_E_START_LINE;
    return SIP_E_VERSION;
}

static bool is_version(struct slice text) {
    return text.n >= 4 && slice_ieq(slice_of(text.p, 4), SL("SIP/"));
}

static struct slice until_space(struct slice *line) {
    int32_t space = slice_find(*line, ' ');
    struct slice word = slice_of(line->p, space < 0 ? line->n : (uint32_t)space);
    scan_skip(line, word.n);
    return word;
}

enum sip_error sip_status_line(struct slice line, uint16_t *status, struct slice *reason) {
    struct slice version = until_space(&line);
    if (!is_version(version))
        return SIP_E_NOT_SIP;
    enum sip_error e = check_version(version);
    if (e)
        return e;
    scan_char(&line, ' ');
    struct slice code = until_space(&line);
    uint64_t v;
    if (code.n != 3 || !scan_number(code, &v) || v < 100 || v > 699)
        return SIP_E_STATUS_CODE;
    scan_char(&line, ' ');
    *status = (uint16_t)v;
    *reason = line;
    return SIP_E_NONE;
}

/* The Request-URI may not carry headers (section 19.1.1, table): they must never become headers of a request. */
static void read_ruri(struct sip_reader *r, struct slice text) {
    struct sip_msg *m = r->msg;
    m->ruri_text = text;
    if (sip_uri_parse(text, &m->ruri) < 0) {
        m->ruri = (struct sip_uri){ .scheme = SIP_SCHEME_OTHER, .whole = text };
        sip_reader_fault(r, SIP_E_URI, text.p, SIP_H_OTHER);
    } else if (m->ruri.headers.p) {
        sip_reader_fault(r, SIP_E_URI, m->ruri.headers.p, SIP_H_OTHER);
    }
}

/* Method SP Request-URI SP SIP-Version, single spaces: what has others is refused, not repaired (RFC 4475
 * section 3.1.2.9). */
static bool read_request_line(struct sip_reader *r, struct slice line) {
    struct sip_msg *m = r->msg;
    struct slice head = slice_trim(line);
    uint32_t cut = head.n;
    while (cut && head.p[cut - 1] != ' ')
        cut--;
    struct slice version = slice_of(head.p + cut, head.n - cut);
    if (!is_version(version) || cut == 0)
        return false;

    m->is_request = true;
    m->ruri.scheme = SIP_SCHEME_OTHER;
    struct slice rest = slice_of(line.p, (size_t)(version.p - line.p));
    struct slice method = scan_run(&rest, CH_TOKEN);
    if (!method.n || !scan_char(&rest, ' ') || head.n != line.n) {
        sip_reader_fault(r, SIP_E_START_LINE, line.p, SIP_H_OTHER);
    }
    m->method_name = method.n ? method : SLICE_NONE;
    m->method = sip_method_of(method);

    enum sip_error e = check_version(version);
    if (e)
        sip_reader_fault(r, e, version.p, SIP_H_OTHER);
    struct slice uri = slice_of(rest.p, rest.n ? rest.n - 1 : 0);
    if (!uri.n || slice_find(uri, ' ') >= 0)
        sip_reader_fault(r, SIP_E_START_LINE, uri.p, SIP_H_OTHER);
    else
        read_ruri(r, uri);
    return true;
}

bool sip_read_start_line(struct sip_reader *r) {
    struct sip_msg *m = r->msg;
    const char *lf = r->rest.n ? memchr(r->rest.p, '\n', r->rest.n) : NULL;
    const char *cr = lf ? memchr(r->rest.p, '\r', (size_t)(lf - r->rest.p)) : NULL;
    if (!cr || cr != lf - 1) {
        sip_reader_fault(r, SIP_E_NOT_SIP, r->rest.p, SIP_H_OTHER);
        return false;
    }
    struct slice line = slice_of(r->rest.p, (size_t)(cr - r->rest.p));
    scan_skip(&r->rest, line.n + 2);
    if (is_version(line)) {
        enum sip_error e = sip_status_line(line, &m->status, &m->reason);
        if (e)
            sip_reader_fault(r, e, line.p, SIP_H_OTHER);
        return !e;
    }
    if (!read_request_line(r, line)) {
        sip_reader_fault(r, SIP_E_NOT_SIP, line.p, SIP_H_OTHER);
        return false;
    }
    return true;
}
