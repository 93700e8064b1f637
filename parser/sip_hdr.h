/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_hdr: header values decoded on demand. Same rules as sip_msg.h: views, nothing kept, nothing allocated.
 * "Parameters" are the text behind the first ';', as name[=value] separated by ';', quoted strings respected, LWS and
 * folds allowed round ';' and '=' (section 25.1). Names compare without case.
 */
#ifndef REFEREE_PARSER_SIP_HDR_H
#define REFEREE_PARSER_SIP_HDR_H

#include "parser/sip_msg.h"

/* Next value of a comma list: *rest shrinks; commas in quotes and <> do not count; empty elements are skipped. False at
 * the end. The value is trimmed. */
bool sip_list_next(struct slice *rest, struct slice *value);

/* Next parameter. False at the end or when malformed (then *rest is left non-empty). value->p == NULL: no '='.
 * A quoted value keeps its quotes. */
bool sip_param_next(struct slice *rest, struct slice *name, struct slice *value);
/* Value of the named parameter: found without value gives p != NULL, n == 0; absent p == NULL. */
struct slice sip_param(struct slice params, struct slice name);

/* Walks the values of all headers of one id, several headers and comma lists alike, in order. Start with a zeroed
 * cursor. */
struct sip_values {
    const struct sip_hdr *h;
    struct slice rest;
    bool started;
};
bool sip_values_next(const struct sip_msg *m, enum sip_hdr_id id, struct sip_values *cur, struct slice *value);
/* A token is in the list header(s) id, without case (Supported, Require, Allow ...). */
bool sip_list_has(const struct sip_msg *m, enum sip_hdr_id id, struct slice token);

/* Via value (section 20.42). SIP_BAD or bytes. */
int32_t sip_via_parse(struct slice value, struct sip_via *out);
/* name-addr / addr-spec with parameters (section 20.10). With no <>, ';' begins header parameters and a '?' is
 * refused. */
int32_t sip_nameaddr_parse(struct slice value, struct sip_nameaddr *out);
int32_t sip_uri_parse(struct slice text, struct sip_uri *out);

/* Contact: "*" gives star = true. */
struct sip_contact {
    struct sip_nameaddr addr;
    bool star;
    int64_t expires;              /* -1: not given or unusable */
    uint16_t q;                   /* 0..1000; 1000 if not given */
};
int32_t sip_contact_parse(struct slice value, struct sip_contact *out);

/* "callid;to-tag=x;from-tag=y;early-only" (RFC 3891 section 6.1); also Target-Dialog with local-tag and remote-tag (RFC
 * 4538 section 7): `to_tag` holds local-tag then. Case of Call-ID and tags is kept; parameter names any case. SIP_BAD:
 * a tag missing or given twice. */
struct sip_replaces {
    struct slice call_id, to_tag, from_tag;
    bool early_only;
};
int32_t sip_replaces_parse(struct slice value, struct sip_replaces *out);
/* The same of a user agent that leaves tags out: they are absent then. */
int32_t sip_replaces_parse_loosely(struct slice value, struct sip_replaces *out);
int32_t sip_target_dialog_parse(struct slice value, struct sip_replaces *out);

/* "refer;id=2" (RFC 6665 section 8.2.1). id.p == NULL: none. */
struct sip_event {
    struct slice package, id;
};
int32_t sip_event_parse(struct slice value, struct sip_event *out);

/* "active;expires=60;reason=..." */
struct sip_sub_state {
    struct slice state, reason;
    int64_t expires, retry_after; /* -1: absent */
};
int32_t sip_sub_state_parse(struct slice value, struct sip_sub_state *out);

/* Digest credentials or challenge (RFC 3261 section 25, RFC 8760). Values without quotes; absent: p == NULL. scheme is
 * as written; SIP_BAD only when malformed, also for another scheme than Digest (then scheme is still set). */
struct sip_digest {
    struct slice scheme, username, realm, nonce, uri, response, cnonce, opaque, algorithm, qop, nc, domain, stale;
};
int32_t sip_digest_parse(struct slice value, struct sip_digest *out);

/* "application/sdp;charset=x": type and subtype compare without case. */
struct sip_media_type {
    struct slice type, subtype, params;
};
int32_t sip_media_type_parse(struct slice value, struct sip_media_type *out);
bool sip_is_media_type(struct slice value, struct slice type, struct slice subtype);

/* delta-seconds of Expires, Min-Expires, Retry-After; more than 2**32-1 is cut to it (section 20.19). False: not a
 * number. */
bool sip_delta_seconds(struct slice value, uint32_t *out);

#endif
