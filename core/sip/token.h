/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * token: what Referee writes into every Call-ID, tag, branch and Contact user that it makes. From a packet that answers
 * or addresses us it alone gives the bucket, so node and shard; no table is asked, and it stays true after a takeover.
 *
 *   ~ cluster(2) bucket(3) call(16) leg(1) random(16)      hex digits, 39 characters
 *
 * All characters are legal in a tag, a branch, a Call-ID word and a user part (RFC 3261 section 25.1). A wrong or
 * forged token costs a look-up that fails, never correctness: dialogs are matched by Call-ID and both tags.
 */
#ifndef REFEREE_SIP_TOKEN_H
#define REFEREE_SIP_TOKEN_H

#include "core/base/limits.h"
#include "core/base/sbuf.h"

#define TOKEN_LEN 39
#define TOKEN_MARK '~'
#define TOKEN_BUCKETS LIMIT_BUCKETS

struct token {
    uint8_t cluster;
    uint16_t bucket; /* 0 .. TOKEN_BUCKETS - 1 */
    uint64_t call;
    uint8_t leg; /* 0 .. 15 */
    uint64_t random;
};

void token_put(struct sbuf *b, const struct token *t);
/* At the front of s; what follows is not looked at. False: no token there. */
bool token_parse(struct slice s, struct token *out);

#endif
