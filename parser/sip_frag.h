/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_frag: message/sipfrag bodies (RFC 3420): at least a start line.
 */
#ifndef REFEREE_PARSER_SIP_FRAG_H
#define REFEREE_PARSER_SIP_FRAG_H

#include "core/base/sbuf.h"
#include "parser/sip_msg.h"

/* Status line of a sipfrag: status and reason; lenient about a missing final CRLF. False: no status line. */
bool sip_frag_status(struct slice body, uint16_t *status, struct slice *reason);
/* "SIP/2.0 200 OK\r\n" */
void sip_frag_put(struct sbuf *out, uint16_t status, struct slice reason);

#endif
