/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/text.h"
#include "parser/sip_hdr.h"
#include "parser/sip_scan.h"
#include "parser/sip_write.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#ifdef __SSE2__
static inline __m128i load_16(const char *p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
static inline bool all_above_cr(__m128i v) {
    return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8('\r')), v)) == 0;
}
/* 16 bytes or more. */
static inline bool copy_line_by_16(char *to, const char *p, uint32_t n) {
    __m128i last = load_16(p + n - 16), least = last;
    for (uint32_t i = 0; i + 16 < n; i += 16) {
        __m128i v = load_16(p + i);
        _mm_storeu_si128((__m128i *)(void *)(to + i), v);
        least = _mm_min_epu8(least, v);
    }
    _mm_storeu_si128((__m128i *)(void *)(to + n - 16), last);
    return all_above_cr(least);
}
/* 8 to 16 bytes. */
static inline bool copy_line_by_8(char *to, const char *p, uint32_t n) {
    uint64_t begin = slice_load64(p), end = slice_load64(p + n - 8);
    memcpy(to, &begin, 8);
    memcpy(to + n - 8, &end, 8);
    return all_above_cr(_mm_set_epi64x((long long)begin, (long long)end));
}
/* 4 to 8 bytes. */
static inline bool copy_line_by_4(char *to, const char *p, uint32_t n) {
    uint32_t begin = slice_load32(p), end = slice_load32(p + n - 4);
    memcpy(to, &begin, 4);
    memcpy(to + n - 4, &end, 4);
    return all_above_cr(_mm_set_epi32((int)begin, (int)end, (int)begin, (int)end));
}
#endif

/* Copied, and looked at on the way. True: neither CR nor LF is in it, as in nearly every value; no byte up to CR is. */
static inline bool copy_line(char *to, struct slice s) {
    bool above = true;
#ifdef __SSE2__
    if (s.n >= 16)
        return copy_line_by_16(to, s.p, s.n);
    if (s.n >= 8)
        return copy_line_by_8(to, s.p, s.n);
    if (s.n >= 4)
        return copy_line_by_4(to, s.p, s.n);
#endif
    for (uint32_t i = 0; i < s.n; i++) {
        to[i] = s.p[i];
        above = above && (uint8_t)s.p[i] > '\r';
    }
    return above;
}

/* A value on one line: each run of LWS with a CR or LF in it becomes one SP, so that nothing can begin a new header. */
static void put_folded(struct sbuf *b, struct slice s) {
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

static void put_value(struct sbuf *b, struct slice s) {
    char *to = sbuf_room(b, s.n);
    if (to && copy_line(to, s))
        b->n += s.n;
    else
        put_folded(b, s);
}

/* What slice_copy copies without a call: who calls nothing needs no frame. */
#define SHORT 64

void sip_put_request(struct sbuf *b, struct slice method, struct slice ruri) {
    char *to = sbuf_room(b, (size_t)method.n + ruri.n + sizeof "  SIP/2.0\r\n");
    if (to && method.n <= SHORT) {
        to = text_lit(text_put(to, method), " ");
        if (copy_line(to, ruri)) {
            sbuf_wrote(b, text_lit(to + ruri.n, " SIP/2.0\r\n"));
            return;
        }
    }
    sbuf_put(b, method);
    sbuf_char(b, ' ');
    put_folded(b, ruri);
    sbuf_lit(b, " SIP/2.0\r\n");
}

void sip_put_status(struct sbuf *b, uint16_t status, struct slice reason) {
    struct slice text = reason.p ? reason : sip_reason(status);
    char *to = sbuf_room(b, text.n + sizeof "SIP/2.0 12345 \r\n");
    if (to) {
        to = text_lit(text_u64(text_lit(to, "SIP/2.0 "), status), " ");
        if (copy_line(to, text)) {
            sbuf_wrote(b, text_lit(to + text.n, "\r\n"));
            return;
        }
    }
    sbuf_lit(b, "SIP/2.0 ");
    sbuf_u64(b, status);
    sbuf_char(b, ' ');
    put_folded(b, text);
    sbuf_lit(b, "\r\n");
}

static __attribute__((noinline)) void put_folded_line(struct sbuf *b, struct slice name, struct slice value,
                                                      struct slice tag) {
    sbuf_put(b, name);
    sbuf_lit(b, ": ");
    put_folded(b, value);
    if (tag.p) {
        sbuf_lit(b, ";tag=");
        sbuf_put(b, tag);
    }
    sbuf_lit(b, "\r\n");
}

/* At once, where there is room for all of it and the value is on one line. */
static inline __attribute__((always_inline)) void put_line(struct sbuf *b, struct slice name, struct slice value,
                                                           struct slice tag) {
    char *to = sbuf_room(b, (size_t)name.n + value.n + tag.n + sizeof ": ;tag=\r\n");
    if (to && name.n <= SHORT && tag.n <= SHORT) {
        to = text_lit(text_put(to, name), ": ");
        if (copy_line(to, value)) {
            to += value.n;
            if (tag.p)
                to = text_put(text_lit(to, ";tag="), tag);
            sbuf_wrote(b, text_lit(to, "\r\n"));
            return;
        }
    }
    put_folded_line(b, name, value, tag);
}

void sip_put_hdr(struct sbuf *b, struct slice name, struct slice value) {
    put_line(b, name, value, SLICE_NONE);
}

void sip_put_from_to(struct sbuf *b, struct slice name, struct slice value, struct slice tag) {
    put_line(b, name, value, tag);
}

/* As sbuf_room for the last pieces, none of which can become shorter. */
static inline char *room(struct sbuf *b, size_t n) {
    char *to = sbuf_room(b, n);
    if (!to)
        b->overflow = true;
    return to;
}

void sip_put_hdr_u64(struct sbuf *b, struct slice name, uint64_t value) {
    unsigned digits = text_digits(value);
    char *to = room(b, (size_t)name.n + digits + 4);
    if (!to)
        return;
    to = text_lit(text_put(to, name), ": ");
    sbuf_wrote(b, text_lit(text_decimal(to, value, digits), "\r\n"));
}

void sip_put_cseq(struct sbuf *b, uint32_t cseq, struct slice method) {
    unsigned digits = text_digits(cseq);
    char *to = room(b, (size_t)method.n + digits + sizeof "CSeq:  \r\n" - 1);
    if (!to)
        return;
    to = text_decimal(text_lit(to, "CSeq: "), cseq, digits);
    to = text_put(text_lit(to, " "), method);
    sbuf_wrote(b, text_lit(to, "\r\n"));
}

void sip_put_via(struct sbuf *b, enum sip_transport t, struct slice sent_by, struct slice branch) {
    static const struct slice names[] = {
        [SIP_UDP] = { "UDP", 3 },   [SIP_TCP] = { "TCP", 3 }, [SIP_TLS] = { "TLS", 3 },
        [SIP_SCTP] = { "SCTP", 4 }, [SIP_WS] = { "WS", 2 },   [SIP_WSS] = { "WSS", 3 },
    };
    struct slice name = names[t < SIP_TRANSPORT_OTHER ? t : SIP_UDP];
    char *to = room(b, (size_t)name.n + sent_by.n + branch.n + sizeof "Via: SIP/2.0/ ;branch=;rport\r\n" - 1);
    if (!to)
        return;
    to = text_put(text_lit(to, "Via: SIP/2.0/"), name);
    to = text_put(text_lit(to, " "), sent_by);
    to = text_put(text_lit(to, ";branch="), branch);
    sbuf_wrote(b, text_lit(to, ";rport\r\n"));
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
    uint64_t found = 0;
    uint32_t i = 0;
#ifdef __SSE2__
    if (n >= 16) {
        __m128i least = load_16(p + n - 16);
        for (; i + 16 < n; i += 16)
            least = _mm_min_epu8(least, load_16(p + i));
        return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(least, _mm_set1_epi8('#' - 1)), least)) == 0;
    }
#endif
    for (; i + 8 <= n; i += 8)
        found |= has_odd(slice_load64(p + i));
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

uint32_t sip_copied_length(const struct sip_msg *m, enum sip_hdr_id id) {
    uint32_t n = 0;
    for (const struct sip_hdr *h = sip_hdr_first(m, id); h; h = sip_hdr_next(m, h))
        n += h->name.n + h->value.n + 4;
    return n;
}

void sip_put_body_head(struct sbuf *b, struct slice content_type, uint32_t length) {
    unsigned digits = text_digits(length);
    if (length && content_type.p)
        sip_put_hdr(b, SL("Content-Type"), content_type);
    char *to = room(b, digits + sizeof "Content-Length: \r\n\r\n" - 1);
    if (!to)
        return;
    to = text_decimal(text_lit(to, "Content-Length: "), length, digits);
    sbuf_wrote(b, text_lit(to, "\r\n\r\n"));
}

void sip_put_body(struct sbuf *b, struct slice content_type, struct slice body) {
    sip_put_body_head(b, content_type, body.n);
    sbuf_put(b, body);
}
