/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_uri: parts of a URI on demand, escapes, comparison (RFC 3261 section 19.1). '+' stays '+'.
 */
#ifndef REFEREE_PARSER_SIP_URI_H
#define REFEREE_PARSER_SIP_URI_H

#include "core/base/sbuf.h"
#include "parser/sip_hdr.h"

/* Next "name=value" of uri.headers, split on '&' (section 19.1.1), still escaped. False at the end or when malformed
 * (then *rest is left non-empty). */
bool sip_uri_header_next(struct slice *rest, struct slice *name, struct slice *value);

/* %XX to bytes, once, hex in either case. False: a bad escape, an escaped NUL, CR or LF, or no room (out->overflow). */
bool sip_unescape(struct sbuf *out, struct slice text);
/* Escapes all but hnv-unreserved, unreserved of hvalue (section 25.1): for a value of a URI header. */
void sip_escape_hvalue(struct sbuf *out, struct slice text);
/* Escapes all but what a user part may hold. */
void sip_escape_user(struct sbuf *out, struct slice text);

/* Section 19.1.4: schemes, user (case), host (no case), port, the parameters that count, headers in any order. With
 * over 1024 bytes of parameters or headers only identical bytes are equal: the work stays bounded. */
bool sip_uri_eq(const struct sip_uri *a, const struct sip_uri *b);
/* Parameter of uri.params without case; as sip_param. */
struct slice sip_uri_param(const struct sip_uri *u, struct slice name);

#endif
