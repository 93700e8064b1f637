/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/branch.h"

#include "core/base/text.h"

#define DIGITS 32u

void branch_put(struct sbuf *b, struct slice token, struct siphash_key seed, uint32_t cseq, uint32_t attempt) {
    struct key128 h = siphash128_word(seed, (uint64_t)attempt << 32 | cseq);
    char *to = sbuf_room(b, sizeof BRANCH_COOKIE - 1 + (size_t)token.n + DIGITS);
    if (!to) {
        b->overflow = true;
        return;
    }
    to = text_put(text_lit(to, BRANCH_COOKIE), token);
    sbuf_wrote(b, text_hex16(text_hex16(to, h.a), h.b));
}

/* A token compares without case (section 7.3.1), and some senders do change the cookie's. */
bool branch_is_3261(struct slice branch) {
    struct slice cookie = SL(BRANCH_COOKIE);
    return branch.n > cookie.n && slice_ieq(slice_of(branch.p, cookie.n), cookie);
}

struct slice branch_token(struct slice branch) {
    uint32_t cookie = SL(BRANCH_COOKIE).n;
    if (!branch_is_3261(branch) || branch.n < cookie + DIGITS)
        return SLICE_NONE;
    return slice_of(branch.p + cookie, branch.n - cookie - DIGITS);
}
