/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_hdr.h"
#include "parser/sip_scan.h"
#include "parser/sip_write.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A byte of the word is zero: only there taking 1 away turns the top bit on, or below such a byte. */
static inline uint64_t has_zero(uint64_t word) {
    return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}
static inline uint64_t has_line_end(const char *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return has_zero(word ^ UINT64_C(0x0a0a0a0a0a0a0a0a)) | has_zero(word ^ UINT64_C(0x0d0d0d0d0d0d0d0d));
}
#ifdef __SSE2__
static inline __m128i line_ends(const char *p) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\n')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\r')));
}
#endif
/* Neither CR nor LF, as in nearly every value. The last bytes are looked at twice. */
static bool is_one_line(struct slice s) {
    uint32_t i = 0;
    if (s.n < 8) {
        while (i < s.n && s.p[i] != '\r' && s.p[i] != '\n')
            i++;
        return i == s.n;
    }
#ifdef __SSE2__
    if (s.n >= 16) {
        __m128i any = line_ends(s.p + s.n - 16);
        for (; i + 16 < s.n; i += 16)
            any = _mm_or_si128(any, line_ends(s.p + i));
        return _mm_movemask_epi8(any) == 0;
    }
#endif
    uint64_t found = has_line_end(s.p + s.n - 8);
    for (; i + 8 <= s.n; i += 8)
        found |= has_line_end(s.p + i);
    return found == 0;
}

/* A value on one line: each run of LWS with a CR or LF in it becomes one SP, so that nothing can begin a new header. */
static void put_value(struct sbuf *b, struct slice s) {
    if (is_one_line(s)) {
        sbuf_put(b, s);
        return;
    }
    while (s.n) {
        struct slice word = s;
        while (s.n && !scan_is(s.p[0], CH_LWS))
            scan_skip(&s, 1);
        sbuf_put(b, scan_since(word, &s));
        struct slice space = s;
        scan_lws(&s);
        space = scan_since(space, &s);
        if (slice_find(space, '\r') >= 0 || slice_find(space, '\n') >= 0)
            sbuf_char(b, ' ');
        else
            sbuf_put(b, space);
    }
}

void sip_put_request(struct sbuf *b, struct slice method, struct slice ruri) {
    sbuf_put(b, method);
    sbuf_char(b, ' ');
    put_value(b, ruri);
    sbuf_lit(b, " SIP/2.0\r\n");
}

void sip_put_status(struct sbuf *b, uint16_t status, struct slice reason) {
    sbuf_lit(b, "SIP/2.0 ");
    sbuf_u64(b, status);
    sbuf_char(b, ' ');
    put_value(b, reason.p ? reason : sip_reason(status));
    sbuf_lit(b, "\r\n");
}

static void put_name(struct sbuf *b, struct slice name) {
    sbuf_put(b, name);
    sbuf_lit(b, ": ");
}

void sip_put_hdr(struct sbuf *b, struct slice name, struct slice value) {
    put_name(b, name);
    put_value(b, value);
    sbuf_lit(b, "\r\n");
}

void sip_put_hdr_u64(struct sbuf *b, struct slice name, uint64_t value) {
    put_name(b, name);
    sbuf_u64(b, value);
    sbuf_lit(b, "\r\n");
}

void sip_put_cseq(struct sbuf *b, uint32_t cseq, struct slice method) {
    sbuf_lit(b, "CSeq: ");
    sbuf_u64(b, cseq);
    sbuf_char(b, ' ');
    sbuf_put(b, method);
    sbuf_lit(b, "\r\n");
}

void sip_put_via(struct sbuf *b, enum sip_transport t, struct slice sent_by, struct slice branch) {
    static const char *const names[] = {
        [SIP_UDP] = "UDP",   [SIP_TCP] = "TCP", [SIP_TLS] = "TLS",
        [SIP_SCTP] = "SCTP", [SIP_WS] = "WS",   [SIP_WSS] = "WSS",
    };
    sbuf_lit(b, "Via: SIP/2.0/");
    sbuf_put(b, slice_str(names[t < SIP_TRANSPORT_OTHER ? t : SIP_UDP]));
    sbuf_char(b, ' ');
    sbuf_put(b, sent_by);
    sbuf_lit(b, ";branch=");
    sbuf_put(b, branch);
    sbuf_lit(b, ";rport\r\n");
}

void sip_put_from_to(struct sbuf *b, struct slice name, struct slice value, struct slice tag) {
    put_name(b, name);
    put_value(b, value);
    if (tag.p) {
        sbuf_lit(b, ";tag=");
        sbuf_put(b, tag);
    }
    sbuf_lit(b, "\r\n");
}

static bool sent_by_is(const struct sip_via *via, const struct addr *src) {
    struct addr a = { .port = 0 };
    return addr_parse_ip(via->sent_by.host, &a) && addr_eq_ip(&a, src);
}

/* received: section 18.2.1; with rport always, and rport filled, RFC 3581 section 4. */
static void put_source(struct sbuf *b, const struct sip_via *via, const struct addr *src) {
    if (via->rport.p || !sent_by_is(via, src)) {
        sbuf_lit(b, ";received=");
        addr_put_ip(b, src);
    }
    if (via->rport.p) {
        sbuf_lit(b, ";rport=");
        sbuf_u64(b, src->port);
    }
}

/* What the peer wrote there is dropped. */
static void put_top_via(struct sbuf *b, struct slice value, const struct addr *src) {
    struct sip_via via;
    if (sip_via_parse(value, &via) < 0) {
        put_value(b, value);
        return;
    }
    int32_t semicolon = slice_find(value, ';');
    struct slice rest = semicolon < 0 ? slice_of(value.p + value.n, 0) : value, name, param;
    if (semicolon >= 0)
        scan_skip(&rest, (uint32_t)semicolon + 1);
    put_value(b, slice_trim(slice_of(value.p, semicolon < 0 ? value.n : (uint32_t)semicolon)));
    while (sip_param_next(&rest, &name, &param)) {
        if (slice_ieq(name, SL("received")) || slice_ieq(name, SL("rport")))
            continue;
        sbuf_char(b, ';');
        sbuf_put(b, name);
        if (param.p) {
            sbuf_char(b, '=');
            put_value(b, param);
        }
    }
    put_source(b, &via, src);
}

/* A byte of the word is below '#': controls, blanks and quotes are. */
static inline uint64_t has_odd(uint64_t word) {
    return (word - UINT64_C(0x2323232323232323)) & ~word & UINT64_C(0x8080808080808080);
}
static bool is_even(const char *p, uint32_t n) {
    uint64_t word, found = 0;
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        found |= has_odd(word);
    }
    for (; i < n; i++)
        found |= (uint8_t)p[i] < '#';
    return !found;
}

/* As most are: one blank, behind "SIP/2.0/UDP", no quotes, no received, nothing open at the end. */
static bool is_compact(const struct sip_via *via) {
    struct slice v = via->value;
    return v.n > 12 && v.p[11] == ' ' && v.p[v.n - 1] != ';' && !via->received.p && is_even(v.p, 11) &&
           is_even(v.p + 12, v.n - 12);
}

/* The same result for a value that is compact, which the message's reader has decoded: it goes as it is, but for rport.
 */
static void put_compact_via(struct sbuf *b, const struct sip_via *via, const struct addr *src) {
    struct slice v = via->value;
    uint32_t rport = v.n, behind = v.n;
    if (via->rport.p) {
        behind = (uint32_t)(via->rport.p + via->rport.n - v.p);
        rport = (uint32_t)(via->rport.p - v.p) - (via->rport.p[-1] == '=') - 6;
    }
    sbuf_put(b, slice_of(v.p, rport));
    sbuf_put(b, slice_of(v.p + behind, v.n - behind));
    put_source(b, via, src);
}

/* The first one. True: it was the whole of its header. */
static bool put_decoded_via(struct sbuf *b, const struct sip_msg *request, const struct sip_hdr *h,
                            const struct addr *src) {
    const struct sip_via *via = &request->via;
    if (!h || !src || via->value.p != h->value.p || via->value.n != h->value.n || !is_compact(via))
        return false;
    sbuf_lit(b, "Via: ");
    put_compact_via(b, via, src);
    sbuf_lit(b, "\r\n");
    return true;
}

void sip_put_vias(struct sbuf *b, const struct sip_msg *request, const struct addr *src) {
    struct sip_values cur = { .h = sip_hdr_first(request, SIP_H_VIA), .started = true };
    struct slice value;
    bool top = !put_decoded_via(b, request, cur.h, src);
    if (!top)
        cur.h = sip_hdr_next(request, cur.h);
    cur.rest = cur.h ? cur.h->value : SLICE_NONE;
    while (sip_values_next(request, SIP_H_VIA, &cur, &value)) {
        sbuf_lit(b, "Via: ");
        if (top && src)
            put_top_via(b, value, src);
        else
            put_value(b, value);
        sbuf_lit(b, "\r\n");
        top = false;
    }
}

void sip_put_copy(struct sbuf *b, const struct sip_msg *m, enum sip_hdr_id id) {
    for (const struct sip_hdr *h = sip_hdr_first(m, id); h; h = sip_hdr_next(m, h))
        sip_put_hdr(b, sip_hdr_name(id), h->value);
}

void sip_put_body(struct sbuf *b, struct slice content_type, struct slice body) {
    if (body.n && content_type.p)
        sip_put_hdr(b, SL("Content-Type"), content_type);
    sip_put_hdr_u64(b, SL("Content-Length"), body.n);
    sbuf_lit(b, "\r\n");
    sbuf_put(b, body);
}
