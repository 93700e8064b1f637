/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_msg: bytes -> view of one SIP message (RFC 3261 section 7, 25). No copy, no allocation, no state. Every slice of
 * the view points into the caller's bytes and lives as long as they do. Nearly all messages are read 64 bytes at a time
 * with the CPU's best instructions (sip_path.h, sip_fast.h); the results are the same whichever it has.
 *
 * Decoded at once: start line, top Via, From, To, Call-ID, CSeq, Max-Forwards, Content-Length, Content-Type. The rest
 * on demand, by the other headers of parser/.
 *
 * Refused (SIP_BAD): what the grammar forbids and a middlebox must not guess at: no SIP start line, a bare CR or LF in
 * a header, NUL in a name, a header without colon, a bad or missing mandatory header (section 8.1.1), a header that
 * must be single given twice, two different Content-Length, a number out of range, a body shorter than Content-Length.
 * Tolerated: see the list at the end of this file.
 */
#ifndef REFEREE_PARSER_SIP_MSG_H
#define REFEREE_PARSER_SIP_MSG_H

#include "core/base/slice.h"

#define SIP_HEADERS_MAX 192
#define SIP_MESSAGE_MAX 65535

/* Results of every parser: bytes consumed (>= 0), or */
#define SIP_BAD (-1)
#define SIP_PARTIAL (-2)          /* stream framing only: more bytes are needed */

enum sip_method {
    SIP_M_UNKNOWN,
    SIP_M_INVITE, SIP_M_ACK, SIP_M_BYE, SIP_M_CANCEL, SIP_M_REGISTER, SIP_M_OPTIONS, SIP_M_REFER, SIP_M_NOTIFY,
    SIP_M_SUBSCRIBE, SIP_M_INFO, SIP_M_UPDATE, SIP_M_PRACK, SIP_M_MESSAGE, SIP_M_PUBLISH,
    SIP_M_COUNT
};

enum sip_transport { SIP_UDP, SIP_TCP, SIP_TLS, SIP_SCTP, SIP_WS, SIP_WSS, SIP_TRANSPORT_OTHER };

/* Known header names: HDR(id, "Name", "compact or empty", flags) in sip_hdr.def; SIP_H_OTHER for all others. */
enum sip_hdr_id {
    SIP_H_OTHER,
#define HDR(id, name, compact, flags) SIP_H_##id,
#include "parser/sip_hdr.def"
#undef HDR
    SIP_H_COUNT
};

/* flags */
#define HDR_SINGLE 1u             /* at most once in a message */
#define HDR_LIST 2u               /* comma-separated values are as good as several headers (section 7.3.1) */

struct sip_hdr {
    struct slice name;            /* as written */
    struct slice value;           /* trimmed; line folds are still inside (CRLF LWS reads as one SP) */
    uint16_t id;                  /* enum sip_hdr_id */
    uint16_t next;                /* index + 1 of the next header with the same known id; 0: none */
};

struct sip_host {
    struct slice host;            /* without brackets for IPv6 */
    uint16_t port;                /* 0: not given */
    bool ipv6;                    /* was a bracketed IPv6 reference */
};

/* One Via value (section 20.42). */
struct sip_via {
    enum sip_transport transport;
    struct slice transport_name;
    struct sip_host sent_by;
    struct slice branch;          /* p == NULL: none (RFC 2543) */
    struct slice received;
    struct slice rport;           /* value; p != NULL and n == 0: given without value (RFC 3581) */
    struct slice value;           /* the whole value, trimmed */
};

enum sip_scheme { SIP_SCHEME_SIP, SIP_SCHEME_SIPS, SIP_SCHEME_TEL, SIP_SCHEME_URN, SIP_SCHEME_OTHER };

/* addr-spec (section 19.1). Nothing is unescaped: see parser/sip_uri.h. */
struct sip_uri {
    enum sip_scheme scheme;
    struct slice whole;
    struct slice user;            /* p == NULL: none. tel: the number. other schemes: all after the colon */
    struct slice password;        /* p == NULL: none */
    struct sip_host host;
    struct slice params;          /* ";a=b;c" without the first ';', or p == NULL */
    struct slice headers;         /* "Replaces=...&Require=..." without '?', or p == NULL */
};

/* name-addr or addr-spec with parameters: From, To, Contact, Refer-To, Route ... (section 20.10) */
struct sip_nameaddr {
    struct slice display;         /* quotes included when quoted; p == NULL: none */
    struct sip_uri uri;
    struct slice params;          /* header parameters: ";tag=x;q=1" without the first ';', or p == NULL */
    struct slice value;           /* the whole value, trimmed */
    bool brackets;
};

enum sip_error {
#define SIP_ERROR(id, status, text) SIP_E_##id,
#include "parser/sip_error.def"
#undef SIP_ERROR
    SIP_E_COUNT
};

struct sip_fault {
    enum sip_error error;
    uint32_t offset;              /* of the byte at which it was seen */
    uint16_t status;              /* what a request with it deserves: 400, 505, 416 ... */
    uint16_t hdr;                 /* enum sip_hdr_id at fault, SIP_H_OTHER: none */
};

struct sip_msg {
    bool is_request;
    enum sip_method method;       /* of the request line; of CSeq for a response */
    struct slice method_name;
    struct slice ruri_text;       /* request only */
    struct sip_uri ruri;          /* request only; scheme OTHER if not understood */
    uint16_t status;              /* response only: 100..699 */
    struct slice reason;

    struct sip_via via;           /* top */
    struct sip_nameaddr from, to;
    struct slice from_tag, to_tag;/* p == NULL: none */
    struct slice call_id;
    uint32_t cseq;
    enum sip_method cseq_method;
    struct slice cseq_method_name;
    int32_t max_forwards;         /* -1: absent; over 255: SIP_BAD */
    int32_t content_length;       /* -1: absent */
    struct slice content_type;    /* value, trimmed; p == NULL: absent */
    struct slice body;            /* Content-Length bytes, or the rest of the datagram */
    struct slice whole;           /* start line to end of body */

    uint16_t header_count;
    uint16_t first[SIP_H_COUNT];  /* index + 1 of the first header of each known id; 0: none */
    struct sip_hdr headers[SIP_HEADERS_MAX];
};

/* One datagram. Bytes behind the body are ignored (section 18.3); leading CRLFs are skipped. Returns the bytes
 * consumed, or SIP_BAD with *fault set to the first fault. Reading goes on behind a fault as far as line ends are sure,
 * so on SIP_BAD the view holds all that could be decoded (the rest absent) and an answer can be made when
 * sip_answerable(msg). A From or To that is malformed has only `value`; of a header wrongly given twice the first
 * counts and is alone in its chain. Never SIP_PARTIAL. */
int32_t sip_parse(struct slice bytes, struct sip_msg *msg, struct sip_fault *fault);

/* A refused request that still has what a response copies: sent-by of the top Via, and From, To, Call-ID, CSeq headers,
 * well formed or not (section 8.2.6.2); not ACK. Copy their values raw (sip_put_copy), answer without a transaction. */
bool sip_answerable(const struct sip_msg *msg);

enum sip_method sip_method_of(struct slice name);      /* case-sensitive, section 7.1 */
struct slice sip_method_name(enum sip_method m);
const char *sip_error_text(enum sip_error e);

/* First header of a known id, NULL if absent; then the next one. */
static inline const struct sip_hdr *sip_hdr_first(const struct sip_msg *m, enum sip_hdr_id id) {
    return m->first[id] ? &m->headers[m->first[id] - 1] : (const struct sip_hdr *)0;
}
static inline const struct sip_hdr *sip_hdr_next(const struct sip_msg *m, const struct sip_hdr *h) {
    return h->next ? &m->headers[h->next - 1] : (const struct sip_hdr *)0;
}
/* Value of the first one; p == NULL if absent. */
static inline struct slice sip_hdr_value(const struct sip_msg *m, enum sip_hdr_id id) {
    const struct sip_hdr *h = sip_hdr_first(m, id);
    return h ? h->value : SLICE_NONE;
}
enum sip_hdr_id sip_hdr_id_of(struct slice name);       /* any case, compact forms too */
struct slice sip_hdr_name(enum sip_hdr_id id);          /* canonical spelling; empty for OTHER */
unsigned sip_hdr_flags(enum sip_hdr_id id);

/* Tolerated against the grammar or the MUSTs of RFC 3261, because it is sent and can mean one thing only:
 *
 * Message
 * - CRLFs before the start line (section 7.5 has it as SHOULD; keep-alives of snom and Linphone run into requests)
 * - "sip/2.0" in any case; a status line that ends behind the code, without SP and reason (old gateways)
 * - bytes behind the body of a datagram (RFC 4475 3.1.1.8); no Content-Length: the body is the rest (RFC 2543, UDP)
 * - 8-bit and control bytes in header values that are not decoded; NUL too, but never in a name
 * - no Max-Forwards (RFC 2543 phones, 3.4.1 of RFC 4475)
 * - no Content-Type with a body: the layer above decides
 * - CSeq up to 2**32-1 though section 8.1.1.5 says 2**31; leading zeros in every number
 * - Call-ID of any visible ASCII (commas, '=' and several '@' are seen from gateways)
 * Lists and parameters
 * - empty elements between commas; one ';' too many at the end of a value (";tag=x;"), but not ";;"
 * - a parameter's value without quotes may hold all but LWS ; , < > " (IPv6 with or without brackets in received, RFC
 *   5118 4.5; '/', '@', ':' and 8-bit), and may be empty ("rport=")
 * - LWS and folds round ';' '=' ',' and round '/' in Via ("SIP / 2.0 / UDP": it is grammar, but few send it)
 * Via
 * - no branch (RFC 2543); one without the magic cookie or with only the cookie: the layer above tells them apart
 * - any protocol name and version before the transport; '_' in host names (Windows and Docker host names)
 * - received and rport in a request: sip_put_vias overwrites them
 * Addresses
 * - no From tag (RFC 2543); tags of more than token characters
 * - display names without quotes that are no tokens: UTF-8, '@', '(', ':' (many gateways put the number or name there
 *   raw); no comma, quote or '>' in it
 * - LWS inside <> round the URI (RFC 4475 3.1.2.14); no LWS between display name and '<' is grammar
 * - 8-bit bytes, '#', '[', '|', '^' and the like unescaped in user parts and parameters ('#' is dialled); empty user
 *   part ("sip:@host", Refer-To of some phones); in URI headers also ';', '=' and '@' unescaped (Replaces written raw)
 * - ":::" in IPv6 references (RFC 5118 4.10)
 * - any URI scheme anywhere: SIP_SCHEME_OTHER
 * Others
 * - "q=.7"; an unusable q or expires counts as not given; auth-params with stray commas, quoted or not
 *
 * Refused though RFC 4475 allows to be liberal: <> round the Request-URI (3.1.2.7), more than one SP or LWS in the
 * request line (3.1.2.8 to 10), headers in the Request-URI (3.1.2.11), open quotes (3.1.2.6), '?' or a comma in a URI
 * without <> (3.1.2.13), a comma in a display name (3.1.2.15), LF alone as line end.
 */

#endif
