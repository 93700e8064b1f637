/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/branch.h"

#define DIGITS 32u

void branch_put(struct sbuf *b, struct slice token, struct siphash_key seed, uint32_t cseq, uint32_t attempt) {
    uint8_t in[8];
    for (unsigned i = 0; i < 4; i++) {
        in[i] = (uint8_t)(cseq >> (8 * i));
        in[4 + i] = (uint8_t)(attempt >> (8 * i));
    }
    struct key128 h = siphash128(seed, in, sizeof in);
    sbuf_lit(b, BRANCH_COOKIE);
    sbuf_put(b, token);
    sbuf_hex(b, h.a, DIGITS / 2);
    sbuf_hex(b, h.b, DIGITS / 2);
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
