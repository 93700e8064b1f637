/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * branch: the Via branch of our requests (RFC 3261 section 8.1.1.7). "z9hG4bK" TOKEN 32-hex-digits: the token in
 * front lets a response be steered to its shard; the digits are SipHash-128 of (CSeq, attempt) under the dialog's
 * seed, so another node that holds the record rebuilds the same branch. CANCEL and the ACK to a non-2xx take the
 * INVITE's CSeq and attempt.
 */
#ifndef REFEREE_SIP_BRANCH_H
#define REFEREE_SIP_BRANCH_H

#include "core/base/sbuf.h"
#include "core/base/siphash.h"

#define BRANCH_COOKIE "z9hG4bK"
#define BRANCH_MAX 128            /* bytes, for a token of up to 89 */

/* token: token characters only (section 25.1), may be empty. attempt: 0, one more with each fail-over or retry with the
 * same CSeq. Bytes that do not fit set b->overflow. */
void branch_put(struct sbuf *b, struct slice token, struct siphash_key seed, uint32_t cseq, uint32_t attempt);
/* Begins with the magic cookie of section 8.1.1.7 and has more behind it; else section 17.2.3 matches by RFC 2543's
 * rules. */
bool branch_is_3261(struct slice branch);
/* What stands between cookie and digits; p == NULL: not of this form. The token itself is not checked. */
struct slice branch_token(struct slice branch);

#endif
