/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_hdr.h"
#include "parser/sip_scan.h"

static const uint16_t error_status[SIP_E_COUNT] = {
#define SIP_ERROR(id, status, text) [SIP_E_##id] = status,
#include "parser/sip_error.def"
#undef SIP_ERROR
};

void sip_reader_fault(struct sip_reader *r, enum sip_error e, const char *at, enum sip_hdr_id id) {
    if (r->fault->error)
        return;
    r->fault->error = e;
    r->fault->offset = at ? (uint32_t)(at - r->begin) : 0;
    r->fault->status = error_status[e];
    r->fault->hdr = (uint16_t)id;
}

static void bad_value(struct sip_reader *r, const struct sip_hdr *h) {
    sip_reader_fault(r, SIP_E_HEADER_VALUE, h->value.p, (enum sip_hdr_id)h->id);
}

/* A mandatory header (section 8.1.1), NULL and a fault if it is not there. */
static const struct sip_hdr *mandatory(struct sip_reader *r, enum sip_hdr_id id) {
    const struct sip_hdr *h = sip_hdr_first(r->msg, id);
    if (!h)
        sip_reader_fault(r, SIP_E_HEADER_MISSING, r->rest.p, id);
    return h;
}

void sip_read_via(struct sip_reader *r) {
    const struct sip_hdr *h = mandatory(r, SIP_H_VIA);
    struct slice rest, top;
    if (!h)
        return;
    rest = h->value;
    if (!sip_list_next(&rest, &top) || sip_plain_via(top, &r->msg->via) < 0)
        bad_value(r, h);
}

/* On a fault the raw value stays, an answer copies it. */
void sip_read_from_to(struct sip_reader *r, enum sip_hdr_id id, struct sip_nameaddr *out, struct slice *tag) {
    const struct sip_hdr *h = mandatory(r, id);
    if (!h)
        return;
    if (sip_plain_nameaddr(h->value, out) < 0) {
        *out = (struct sip_nameaddr){ .value = h->value };
        bad_value(r, h);
        return;
    }
    struct slice rest = out->params, name, value;
    while (sip_param_next(&rest, &name, &value)) {
        if (!slice_ieq(name, SL("tag")))
            continue;
        if (tag->p || !value.n || value.p[0] == '"') {
            bad_value(r, h);
            return;
        }
        *tag = value;
    }
}

void sip_read_call_id(struct sip_reader *r) {
    const struct sip_hdr *h = mandatory(r, SIP_H_CALL_ID);
    if (!h)
        return;
    if (scan_all(h->value, CH_WORD))
        r->msg->call_id = h->value;
    else
        bad_value(r, h);
}

void sip_read_cseq(struct sip_reader *r) {
    struct sip_msg *m = r->msg;
    const struct sip_hdr *h = mandatory(r, SIP_H_CSEQ);
    uint64_t number;
    if (!h)
        return;
    struct slice rest = h->value;
    struct slice digits = scan_run(&rest, CH_DIGIT);
    struct slice name = slice_trim(rest);
    if (!scan_number(digits, &number) || number > UINT32_MAX || name.n == rest.n || !scan_all(name, CH_TOKEN)) {
        bad_value(r, h);
        return;
    }
    m->cseq = (uint32_t)number;
    m->cseq_method_name = name;
    m->cseq_method = sip_method_of(name);
    if (!m->is_request) {
        m->method = m->cseq_method;
        m->method_name = name;
    } else if (m->method_name.p && !slice_eq(m->method_name, name)) {
        sip_reader_fault(r, SIP_E_CSEQ_MISMATCH, name.p, SIP_H_CSEQ);
        if (r->fault->error == SIP_E_CSEQ_MISMATCH && m->method == SIP_M_UNKNOWN)
            r->fault->status = 501;
    }
}

/* -1: absent. */
int32_t sip_read_number(struct sip_reader *r, enum sip_hdr_id id, uint32_t max) {
    const struct sip_hdr *h = sip_hdr_first(r->msg, id);
    uint64_t number;
    if (!h)
        return -1;
    if (!scan_number(h->value, &number) || number > max) {
        bad_value(r, h);
        return -1;
    }
    return (int32_t)number;
}

void sip_read_body(struct sip_reader *r, const char *start) {
    struct sip_msg *m = r->msg;
    uint32_t length = r->rest.n;
    if (!r->headers_ended)
        return;
    if (m->content_length > (int64_t)length) {
        sip_reader_fault(r, SIP_E_BODY_SHORT, r->rest.p + length, SIP_H_CONTENT_LENGTH);
        return;
    }
    if (m->content_length >= 0)
        length = (uint32_t)m->content_length;
    m->body = slice_of(r->rest.p, length);
    scan_skip(&r->rest, length);
    m->whole = slice_of(start, (size_t)(r->rest.p - start));
    if (m->whole.n > SIP_MESSAGE_MAX)
        sip_reader_fault(r, SIP_E_TOO_LONG, start, SIP_H_OTHER);
}

static void read_fields(struct sip_reader *r) {
    struct sip_msg *m = r->msg;
    sip_read_via(r);
    sip_read_from_to(r, SIP_H_FROM, &m->from, &m->from_tag);
    sip_read_from_to(r, SIP_H_TO, &m->to, &m->to_tag);
    sip_read_call_id(r);
    sip_read_cseq(r);
    m->max_forwards = sip_read_number(r, SIP_H_MAX_FORWARDS, SIP_MAX_FORWARDS_MAX);
    m->content_length = sip_read_number(r, SIP_H_CONTENT_LENGTH, INT32_MAX);
    m->content_type = sip_hdr_value(m, SIP_H_CONTENT_TYPE);
}

static void read_headers(struct sip_reader *r) {
    uint16_t last[SIP_H_COUNT];
    while (sip_read_header(r, last))
        continue;
}

int32_t sip_plain_parse(struct slice bytes, struct sip_msg *msg, struct sip_fault *fault) {
    struct sip_reader r;
    memset(msg, 0, offsetof(struct sip_msg, headers));
    if (!sip_reader_begin(&r, bytes, msg, fault))
        return SIP_BAD;
    const char *start = r.rest.p;
    if (!sip_read_start_line(&r))
        return SIP_BAD;
    read_headers(&r);
    read_fields(&r);
    sip_read_body(&r, start);
    return fault->error ? SIP_BAD : (int32_t)(r.rest.p - bytes.p);
}

int32_t sip_plain_headers(struct slice bytes, struct sip_msg *msg) {
    struct sip_fault fault;
    struct sip_reader r;
    memset(msg, 0, offsetof(struct sip_msg, headers));
    if (!sip_reader_begin(&r, bytes, msg, &fault) || !sip_read_start_line(&r))
        return SIP_BAD;
    read_headers(&r);
    return fault.error ? SIP_BAD : (int32_t)(r.rest.p - bytes.p);
}

bool sip_answerable(const struct sip_msg *m) {
    return m->is_request && m->method != SIP_M_ACK && m->via.sent_by.host.n && m->first[SIP_H_FROM] &&
           m->first[SIP_H_TO] && m->first[SIP_H_CALL_ID] && m->first[SIP_H_CSEQ];
}
