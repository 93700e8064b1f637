/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_frame: where one message ends in a stream (RFC 3261 section 18.3, RFC 5626 section 4.4.1 keep-alives).
 */
#ifndef REFEREE_PARSER_SIP_FRAME_H
#define REFEREE_PARSER_SIP_FRAME_H

#include "parser/sip_msg.h"

enum sip_frame_kind { SIP_FRAME_MESSAGE, SIP_FRAME_PING /* CRLFCRLF */, SIP_FRAME_PONG /* CRLF before other bytes */ };

/* Bytes of the first complete frame in `bytes`, SIP_PARTIAL when more are needed, SIP_BAD when no framing is possible
 * any more (no or bad or conflicting Content-Length, headers over `max`): the connection is then closed. */
int32_t sip_frame(struct slice bytes, uint32_t max, enum sip_frame_kind *kind);

#endif
