/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * steer: the bucket that a message belongs to, so who in the cluster handles it. Pure, and the same everywhere: asked
 * twice, on any node and of any shard, a message gives the same bucket.
 *
 *   request    token in the Request-URI's user part (behind any prefix), then token as To tag, then Call-ID that begins
 *              with a token, then keyed hash of the Call-ID
 *   REGISTER   keyed hash of the user part of the address of record, without escapes
 *   response   token in the branch of the top Via, then as for a request (its To and From change places)
 *
 * Tokens of another cluster do not count. A CANCEL and the ACK to a non-2xx give the bucket of their INVITE, since they
 * have its Request-URI and Call-ID, and a To tag that is either none of ours or of the same call.
 */
#ifndef REFEREE_SIP_STEER_H
#define REFEREE_SIP_STEER_H

#include "core/base/siphash.h"
#include "core/sip/token.h"
#include "parser/sip_msg.h"

/* key: the same in the whole cluster. */
struct steering {
    struct siphash_key key;
    uint8_t cluster;
};

enum steer_by { STEER_RURI, STEER_TAG, STEER_CALL_ID, STEER_BRANCH, STEER_AOR, STEER_HASH, STEER_NOTHING };

struct steer {
    uint16_t bucket;
    uint8_t by;          /* enum steer_by */
    struct token token;  /* by RURI, TAG, CALL_ID, BRANCH */
};

uint16_t steer_hash(const struct steering *s, struct slice text);
/* The first token of ours in the text. */
bool steer_token(const struct steering *s, struct slice text, struct token *out);
struct steer steer_msg(const struct steering *s, const struct sip_msg *msg);
/* The same from the bytes of a datagram, without parsing more of it than needed. What sip_parse refuses may give any
 * bucket, or STEER_NOTHING (bucket 0). */
struct steer steer_bytes(const struct steering *s, struct slice datagram);

#endif
