/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_scan: what the parsers of this folder share; no one else includes it. A cursor is a slice that shrinks from the
 * front; its p is never NULL once a scan has begun.
 */
#ifndef REFEREE_PARSER_SIP_SCAN_H
#define REFEREE_PARSER_SIP_SCAN_H

#include "parser/sip_msg.h"

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

#define SIP_NAME_HASH_SIZE 512u
struct sip_name_hash {
    uint8_t length, first, middle;
    uint8_t ids[SIP_NAME_HASH_SIZE];
};
extern const struct sip_name_hash sip_name_hash;
extern const uint8_t sip_compact_names[26];

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
/* Longest run of the class, may be empty. */
static inline struct slice scan_run(struct slice *s, uint8_t class) {
    struct slice run = { s->p, 0 };
    while (run.n < s->n && scan_is(s->p[run.n], class))
        run.n++;
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
void sip_read_headers(struct sip_reader *r);
/* "SIP/2.0 200 OK" without line end. */
enum sip_error sip_status_line(struct slice line, uint16_t *status, struct slice *reason);

#endif
