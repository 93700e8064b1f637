/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_scan: what the parsers of this folder share; no one else includes it. A cursor is a slice that shrinks from the
 * front; its p is never NULL once a scan has begun.
 */
#ifndef REFEREE_PARSER_SIP_SCAN_H
#define REFEREE_PARSER_SIP_SCAN_H

#include "parser/sip_hdr.h"
#include "parser/sip_tables.h"

/* Byte classes (RFC 3261 section 25.1, widened as sip_msg.h says). */
#define CH_TOKEN 0x01u
#define CH_HOST 0x02u             /* alphanum "-" "." and "_" */
#define CH_HEX 0x04u
#define CH_LWS 0x08u              /* SP HTAB, and CR LF, which in a header's value belong to a fold */
#define CH_URI 0x10u              /* visible and 8-bit, but < > " */
#define CH_VALUE 0x20u            /* a parameter's value without quotes: visible and 8-bit, but ; , < > " */
#define CH_WORD 0x40u             /* visible ASCII: Call-ID */
#define CH_DIGIT 0x80u
extern const uint8_t sip_class[256];

/* The byte c four times, for a vector of it. */
extern const uint32_t sip_equal_bytes[128];

/* Header names: perfect hash -> id -> name, as parser/sip_tables.py has written them. */
extern const uint8_t sip_name_ids[1u << SIP_NAME_HASH_BITS];
extern const uint8_t sip_compact_names[26];
struct sip_known_name {
    char lower[24];               /* with a colon behind it, then zeros */
    uint32_t mask;                /* a bit for each byte, and for the colon */
    uint32_t flags;
};                                /* 32 bytes: looked at as a vector */
extern const struct sip_known_name sip_known_names[SIP_H_COUNT];
/* Of a name of two bytes or more: its length, first two and middle two bytes; | 0x20 makes letters lower. */
static inline uint32_t sip_name_slot(const char *p, uint32_t n) {
    uint16_t first, middle;
    memcpy(&first, p, 2);
    memcpy(&middle, p + (n - 1) / 2, 2);
    uint32_t key = (first | (uint32_t)middle << 16) | 0x20202020u;
    return (key + n) * SIP_NAME_HASH_FACTOR >> (32 - SIP_NAME_HASH_BITS);
}

static inline bool scan_is(char c, uint8_t class) {
    return sip_class[(uint8_t)c] & class;
}
static inline void scan_skip(struct slice *s, uint32_t n) {
    s->p += n;
    s->n -= n;
}
static inline bool scan_at(const struct slice *s, char c) {
    return s->n && s->p[0] == c;
}
static inline bool scan_char(struct slice *s, char c) {
    if (!scan_at(s, c))
        return false;
    scan_skip(s, 1);
    return true;
}
/* Bytes of the longest run of the class at p, of n bytes; the end is asked for once in four. */
static inline uint32_t scan_length(const char *p, uint32_t n, uint8_t class) {
    uint32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        if (!scan_is(p[i], class))
            return i;
        if (!scan_is(p[i + 1], class))
            return i + 1;
        if (!scan_is(p[i + 2], class))
            return i + 2;
        if (!scan_is(p[i + 3], class))
            return i + 3;
    }
    while (i < n && scan_is(p[i], class))
        i++;
    return i;
}
/* Longest run of the class, may be empty. */
static inline struct slice scan_run(struct slice *s, uint8_t class) {
    struct slice run = { s->p, scan_length(s->p, s->n, class) };
    scan_skip(s, run.n);
    return run;
}
static inline void scan_lws(struct slice *s) {
    while (s->n && scan_is(s->p[0], CH_LWS))
        scan_skip(s, 1);
}
/* [LWS] c [LWS] */
static inline bool scan_separator(struct slice *s, char c) {
    scan_lws(s);
    if (!scan_char(s, c))
        return false;
    scan_lws(s);
    return true;
}
static inline bool scan_all(struct slice s, uint8_t class) {
    return scan_run(&s, class).n && s.n == 0;
}
/* What lies between from->p and the cursor. */
static inline struct slice scan_since(struct slice from, const struct slice *s) {
    return slice_of(from.p, (size_t)(s->p - from.p));
}

/* A quoted-string with its quotes; a backslash hides the next byte. False: none or without end. */
bool scan_quoted(struct slice *s, struct slice *out);
/* Digits only; a number over 2**40 reads as 2**40. False: empty or another byte. */
bool scan_number(struct slice s, uint64_t *out);
/* hostname, IPv4address or IPv6reference, then ':' port; LWS round the colon only where `lws`. */
bool scan_hostport(struct slice *s, bool lws, struct sip_host *out);

/* One header line with its folds. */
enum sip_line {
    SIP_LINE_HEADER,              /* name and value are set */
    SIP_LINE_END,                 /* the empty line, stepped over */
    SIP_LINE_SKIP,                /* no name or no colon; stepped over */
    SIP_LINE_BARE,                /* CR or LF alone: no sure line end */
    SIP_LINE_CUT                  /* the bytes end first */
};
enum sip_line sip_line_next(struct slice *rest, struct slice *name, struct slice *value);

/* One sip_parse under way. */
struct sip_reader {
    const char *begin;
    struct slice rest;            /* not read yet */
    struct sip_msg *msg;
    struct sip_fault *fault;
    bool headers_ended;           /* the empty line was found */
};
/* Keeps the first fault. */
void sip_reader_fault(struct sip_reader *r, enum sip_error e, const char *at, enum sip_hdr_id id);
/* False: not a SIP message, or a response that cannot be used: stop. */
bool sip_read_start_line(struct sip_reader *r);
/* One header line; `last` is the reader's memory of chains, not set at first. False: the headers are over. */
bool sip_read_header(struct sip_reader *r, uint16_t *last);
void sip_header_twice(struct sip_reader *r, const struct sip_hdr *h);

/* Header `number` counts from 1 and is in its place, id is known. A second one that must be single is a fault and stays
 * out of the chain, so that a copy of the id copies one. last[id] is set from the second one on. */
static inline void sip_chain_header(struct sip_reader *r, uint32_t number, uint32_t id, uint16_t *last) {
    struct sip_msg *m = r->msg;
    uint32_t first = m->first[id];
    if (__builtin_expect(!first, 1)) {
        m->first[id] = (uint16_t)number;
    } else if (sip_known_names[id].flags & HDR_SINGLE) {
        sip_header_twice(r, &m->headers[number - 1]);
    } else {
        uint32_t tail = m->headers[first - 1].next ? last[id] : first;
        m->headers[tail - 1].next = last[id] = (uint16_t)number;
    }
}

/* The fields of a message, each from its header, in the order of faults. */
void sip_read_via(struct sip_reader *r);
void sip_read_from_to(struct sip_reader *r, enum sip_hdr_id id, struct sip_nameaddr *out, struct slice *tag);
void sip_read_call_id(struct sip_reader *r);
void sip_read_cseq(struct sip_reader *r);
int32_t sip_read_number(struct sip_reader *r, enum sip_hdr_id id, uint32_t max);
void sip_read_body(struct sip_reader *r, const char *start);
#define SIP_MAX_FORWARDS_MAX 255u

/* Begins a message that was cleared up to its headers: steps over leading CRLFs. False: too long. */
static inline bool sip_reader_begin(struct sip_reader *r, struct slice bytes, struct sip_msg *msg,
                                    struct sip_fault *fault) {
    *r = (struct sip_reader){ .begin = bytes.p, .rest = bytes, .msg = msg, .fault = fault };
    msg->max_forwards = msg->content_length = -1;
    *fault = (struct sip_fault){ .error = SIP_E_NONE };
    if (bytes.n > INT32_MAX) {
        sip_reader_fault(r, SIP_E_TOO_LONG, bytes.p, SIP_H_OTHER);
        return false;
    }
    while (r->rest.n >= 2 && r->rest.p[0] == '\r' && r->rest.p[1] == '\n')
        scan_skip(&r->rest, 2);
    return true;
}

/* The plain twins of the public parsers: byte by byte, in any C. */
int32_t sip_plain_parse(struct slice bytes, struct sip_msg *msg, struct sip_fault *fault);
int32_t sip_plain_headers(struct slice bytes, struct sip_msg *msg);
int32_t sip_plain_uri(struct slice text, struct sip_uri *out);
int32_t sip_plain_nameaddr(struct slice value, struct sip_nameaddr *out);
int32_t sip_plain_contact(struct slice value, struct sip_contact *out);
int32_t sip_plain_via(struct slice value, struct sip_via *out);
/* expires and q of a Contact, p == NULL: not given. */
void sip_contact_params(struct sip_contact *out, struct slice expires, struct slice q);
/* "SIP/2.0 200 OK" without line end. */
enum sip_error sip_status_line(struct slice line, uint16_t *status, struct slice *reason);

#endif
