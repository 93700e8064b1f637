/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Start line, Via, From, To, Call-ID, CSeq and numbers by masks; see sip_fast.h.
 */
#ifndef REFEREE_PARSER_SIP_FAST_FIELDS_H
#define REFEREE_PARSER_SIP_FAST_FIELDS_H

#include "parser/sip_fast_uri.h"

#define VERSION_BEHIND WORD_8(' ', 'S', 'I', 'P', '/', '2', '.', '0')
#define VERSION_BEFORE WORD_8('S', 'I', 'P', '/', '2', '.', '0', ' ')
#define PROTOCOL WORD_8('S', 'I', 'P', '/', '2', '.', '0', '/')
/* "SIP/2.0/UDP " from its fourth byte on. */
#define BEHIND_SIP(a, b, c) WORD_8('2', '.', '0', '/', a, b, c, ' ')

/* By a perfect hash of the first four bytes; the other slots hold no method. */
#define METHOD_SLOTS 16u
#define METHOD_SLOT(word) ((uint32_t)(word) * 0x5b177a39u >> 28)
static const struct {
    uint64_t word;                /* the first 8 bytes */
    uint8_t length, method;
} fast_methods[METHOD_SLOTS] = {
#define M(id, ...) [METHOD_SLOT(WORD_8(__VA_ARGS__))] = { WORD_8(__VA_ARGS__), sizeof(#id) - 1, SIP_M_##id }
    M(INVITE, 'I', 'N', 'V', 'I', 'T', 'E', 0, 0),      M(ACK, 'A', 'C', 'K', 0, 0, 0, 0, 0),
    M(BYE, 'B', 'Y', 'E', 0, 0, 0, 0, 0),               M(CANCEL, 'C', 'A', 'N', 'C', 'E', 'L', 0, 0),
    M(REGISTER, 'R', 'E', 'G', 'I', 'S', 'T', 'E', 'R'), M(OPTIONS, 'O', 'P', 'T', 'I', 'O', 'N', 'S', 0),
    M(REFER, 'R', 'E', 'F', 'E', 'R', 0, 0, 0),         M(NOTIFY, 'N', 'O', 'T', 'I', 'F', 'Y', 0, 0),
    M(INFO, 'I', 'N', 'F', 'O', 0, 0, 0, 0),            M(UPDATE, 'U', 'P', 'D', 'A', 'T', 'E', 0, 0),
    M(PRACK, 'P', 'R', 'A', 'C', 'K', 0, 0, 0),         M(MESSAGE, 'M', 'E', 'S', 'S', 'A', 'G', 'E', 0),
    M(PUBLISH, 'P', 'U', 'B', 'L', 'I', 'S', 'H', 0),
#undef M
};

/* Of a name of 8 bytes or fewer, one at least. */
ALWAYS enum sip_method fast_method(uint64_t word, uint32_t n) {
    uint32_t slot = METHOD_SLOT(word);
    bool known = fast_methods[slot].word == word && fast_methods[slot].length == n;
    return known ? (enum sip_method)fast_methods[slot].method : SIP_M_UNKNOWN;
}

ALWAYS bool fast_status_line(struct sip_msg *m, const char *p, uint32_t n) {
    uint32_t digits;
    if (n < 12 || slice_load64(p) != VERSION_BEFORE || p[11] != ' ')
        return false;
    uint32_t status = read_digits(p + 8, n - 8, &digits);
    if (digits != 3 || status < 100 || status > 699)
        return false;
    m->status = (uint16_t)status;
    m->reason = slice_of(p + 12, n - 12);
    return true;
}

/* Not so: m->ruri may have been written. */
ALWAYS bool fast_request_line(struct sip_msg *m, const char *p, uint32_t n) {
    if (n < 16 || slice_load64(p + n - 8) != VERSION_BEHIND)
        return false;
    struct half h = half_load(p, n);
    uint32_t method = first_bit(half_not_name(h));
    if (method == 0 || method > 8 || p[method] != ' ')
        return false;
    const char *text = p + method + 1;
    uint32_t length = n - 8 - (method + 1);
    if (method + 1 + 8 >= n || length > 64 ||
        !fast_uri(text, length, win_load(text, length), low_bits(length), &m->ruri) || m->ruri.headers.p)
        return false;
    m->is_request = true;
    m->method_name = slice_of(p, method);
    m->method = fast_method(word_low(slice_load64(p), method), method);
    if (m->method == SIP_M_UNKNOWN)
        m->method = sip_method_of(m->method_name);
    m->ruri_text = slice_of(text, length);
    return true;
}

/* Of a start line; false: it is for the plain reader. */
ALWAYS bool fast_start_line(struct sip_msg *m, const char *p, uint32_t n) {
    if (fast_request_line(m, p, n))
        return true;
    m->ruri = (struct sip_uri){ .scheme = SIP_SCHEME_SIP };
    return fast_status_line(m, p, n);
}

/* "SIP/2.0/UDP host:port;branch=..." `v` is trimmed and holds one value; *out is zero. */
ALWAYS bool fast_via(struct slice v, struct sip_via *out) {
    if (v.n < 14 || slice_load64(v.p) != PROTOCOL)
        return false;
    const char *p = v.p + 12;
    uint64_t transport = slice_load64(v.p + 4);
    if (transport == BEHIND_SIP('U', 'D', 'P'))
        out->transport = SIP_UDP;
    else if (transport == BEHIND_SIP('T', 'C', 'P'))
        out->transport = SIP_TCP;
    else if (transport == BEHIND_SIP('T', 'L', 'S'))
        out->transport = SIP_TLS;
    else
        return false;
    out->transport_name = slice_of(v.p + 8, 3);
    out->value = v;
    struct slice rest = slice_of(p, v.n - 12);
    uint32_t used = fast_hostport(p, rest.n, win_not_name(win_load(p, rest.n)), 0, &out->sent_by);
    if (used == 0 || (used < rest.n && p[used] != ';'))
        return false;
    scan_skip(&rest, used < rest.n ? used + 1 : used);
    while (rest.n) {
        struct fast_param param;
        uint32_t n = fast_param(rest.p, rest.n, &param);
        if (n == 0)
            return false;
        scan_skip(&rest, n);
        struct slice *field = param.key == KEY_BRANCH     ? &out->branch
                              : param.key == KEY_RPORT    ? &out->rport
                              : param.key == KEY_RECEIVED ? &out->received
                                                          : NULL;
        if (!field)
            continue;
        if (field->p || (field == &out->branch && !param.value.n))
            return false;
        *field = param.value.p ? param.value : slice_of(param.name.p + param.name.n, 0);
    }
    return true;
}

/* The value of a header's first line, p == NULL: none. */
ALWAYS struct slice first_value(const struct sip_msg *m, enum sip_hdr_id id) {
    size_t first = m->first[id];
    return first ? m->headers[first - 1].value : SLICE_NONE;
}

ALWAYS void take_via(struct sip_reader *r) {
    struct sip_via *via = &r->msg->via;
    if (fast_via(first_value(r->msg, SIP_H_VIA), via))
        return;
    *via = (struct sip_via){ .transport = 0 };
    sip_read_via(r);
}

/* ";tag=..." and nothing else: what nearly every From and To has. */
ALWAYS bool fast_tag(struct slice params, struct slice *tag) {
    if (!params.n)
        return true;
    if (params.n < 5 || (slice_load32(params.p) | 0x00202020) != (uint32_t)WORD_8('t', 'a', 'g', '=', 0, 0, 0, 0))
        return false;
    struct slice value = slice_of(params.p + 4, params.n - 4);
    if (fast_value(value.p, value.n) != value.n)
        return false;
    *tag = value;
    return true;
}

static __attribute__((noinline)) void take_from_to(struct sip_reader *r, enum sip_hdr_id id,
                                                   struct sip_nameaddr *out, struct slice *tag) {
    struct slice v = first_value(r->msg, id);
    if (v.n && fast_addr(v, out) && fast_tag(out->params, tag))
        return;
    *out = (struct sip_nameaddr){ .brackets = false };
    sip_read_from_to(r, id, out, tag);
}

ALWAYS void take_call_id(struct sip_reader *r) {
    struct slice v = first_value(r->msg, SIP_H_CALL_ID);
    if (v.n && v.n <= 64 && !(win_not_visible(win_load(v.p, v.n)) & low_bits(v.n)))
        r->msg->call_id = v;
    else
        sip_read_call_id(r);
}

/* Request: the method of the request line, checked to be the same; more than eight bytes are behind it. */
ALWAYS bool fast_cseq(struct sip_msg *m, struct slice v) {
    uint32_t digits, number = read_digits(v.p, v.n, &digits);
    if (digits == 0 || digits > 7 || digits + 1 >= v.n || v.p[digits] != ' ')
        return false;
    struct slice name = slice_of(v.p + digits + 1, v.n - digits - 1);
    if (name.n > 8)
        return false;
    uint64_t word = word_low(load_8(name.p, name.n), name.n);
    if (m->is_request) {
        if (m->method_name.n != name.n || word_low(slice_load64(m->method_name.p), name.n) != word)
            return false;
        m->cseq_method = m->method;
    } else {
        m->cseq_method = fast_method(word, name.n);
        if (m->cseq_method == SIP_M_UNKNOWN)
            return false;
        m->method = m->cseq_method;
        m->method_name = name;
    }
    m->cseq = number;
    m->cseq_method_name = name;
    return true;
}

ALWAYS void take_cseq(struct sip_reader *r) {
    struct slice v = first_value(r->msg, SIP_H_CSEQ);
    if (!v.n || !fast_cseq(r->msg, v))
        sip_read_cseq(r);
}

ALWAYS int32_t take_number(struct sip_reader *r, enum sip_hdr_id id, uint32_t max) {
    struct slice v = first_value(r->msg, id);
    if (v.n && v.n < 8) {
        uint32_t digits, number = read_digits(v.p, v.n, &digits);
        if (digits == v.n && number <= max)
            return (int32_t)number;
    }
    return sip_read_number(r, id, max);
}

ALWAYS void take_fields(struct sip_reader *r) {
    struct sip_msg *m = r->msg;
    take_via(r);
    take_from_to(r, SIP_H_FROM, &m->from, &m->from_tag);
    take_from_to(r, SIP_H_TO, &m->to, &m->to_tag);
    take_call_id(r);
    take_cseq(r);
    m->max_forwards = take_number(r, SIP_H_MAX_FORWARDS, SIP_MAX_FORWARDS_MAX);
    m->content_length = take_number(r, SIP_H_CONTENT_LENGTH, INT32_MAX);
    m->content_type = first_value(m, SIP_H_CONTENT_TYPE);
}

#endif
