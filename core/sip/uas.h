/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * uas: responses built from their request (RFC 3261 section 8.2.6), and the checks that every request passes before
 * anyone looks at what it wants (section 8.2).
 */
#ifndef REFEREE_SIP_UAS_H
#define REFEREE_SIP_UAS_H

#include "core/sip/ua.h"
#include "core/sip/uas_head.h"

struct uas_response {
    uint16_t status;
    struct slice reason;       /* absent: the RFC's phrase */
    struct slice to_tag;       /* put in when the request's To has none; absent: none */
    struct slice contact_user; /* present: Contact, Allow, Supported are written, Record-Route is copied */
    struct slice extra;        /* header lines with CRLF, or absent */
    struct slice own;          /* more of them: those of the dialog itself */
    struct slice content_type;
    struct slice body;
};

/* src: where the request came from (received, rport). NULL: no buffer, or too long. */
struct buf *uas_build(struct ua *ua, const struct sip_msg *request, const struct addr *src,
                      const struct uas_response *r);
/* The same from the request's head. */
struct buf *uas_build_on(struct ua *ua, const struct uas_head *h, const struct uas_response *r);

/* A refusal: status 0 means the request is fine. `extra` lies in ua->headers. */
struct uas_refusal {
    uint16_t status;
    struct slice reason;
    struct slice extra;
};
/* Method known and allowed (501, 405), scheme of the Request-URI (416), Max-Forwards (483), Require and Proxy-Require
 * (420), Content-Encoding and Content-Type (415), Accept (406). ACK and CANCEL are never refused for Require
 * (8.2.2.3). */
struct uas_refusal uas_check(struct ua *ua, const struct sip_msg *msg);

#endif
