/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_write: messages out, appended once into the send buffer; no printf, no allocation. The caller writes a start
 * line, then headers in the order it wants, then ends with sip_put_body. Values are written as given: what comes from
 * the wire must have been a parsed view (a slice of a header's value holds no bare CR or LF; folds are rewritten to one
 * SP here).
 */
#ifndef REFEREE_PARSER_SIP_WRITE_H
#define REFEREE_PARSER_SIP_WRITE_H

#include "core/base/addr.h"
#include "parser/sip_msg.h"

void sip_put_request(struct sbuf *b, struct slice method, struct slice ruri);
/* reason.p == NULL: the RFC's own phrase for the status. */
void sip_put_status(struct sbuf *b, uint16_t status, struct slice reason);
struct slice sip_reason(uint16_t status);

/* "Name: value\r\n"; folds in the value become SP. */
void sip_put_hdr(struct sbuf *b, struct slice name, struct slice value);
void sip_put_hdr_u64(struct sbuf *b, struct slice name, uint64_t value);
void sip_put_cseq(struct sbuf *b, uint32_t cseq, struct slice method);
/* "Via: SIP/2.0/UDP host:port;branch=BRANCH;rport\r\n" */
void sip_put_via(struct sbuf *b, enum sip_transport t, struct slice sent_by, struct slice branch);
/* From or To: `value` is name-addr without tag; tag.p == NULL: none. */
void sip_put_from_to(struct sbuf *b, struct slice name, struct slice value, struct slice tag);
/* All Via of a request copied for a response, received and rport filled into the top one (section 18.2.1, RFC 3581). */
void sip_put_vias(struct sbuf *b, const struct sip_msg *request, const struct addr *src);
/* Every header of one known id, copied as they are. */
void sip_put_copy(struct sbuf *b, const struct sip_msg *m, enum sip_hdr_id id);
/* Bytes of those lines as they came: a compact name is longer in the copy. */
uint32_t sip_copied_length(const struct sip_msg *m, enum sip_hdr_id id);
/* "Content-Type", "Content-Length", the empty line and the body; an empty body writes only Content-Length: 0. */
void sip_put_body(struct sbuf *b, struct slice content_type, struct slice body);
/* All of that before the body. */
void sip_put_body_head(struct sbuf *b, struct slice content_type, uint32_t length);

#endif
