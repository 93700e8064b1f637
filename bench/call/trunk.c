/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The other end of a trunk: it wants its numbers with the prefix of its side, and digest of each caller (RFC 3261
 * section 22.3).
 */
#include "bench/call/call.h"
#include "core/sip/auth_digest.h"
#include "parser/sip_hdr.h"

#define REALM "trunk"
#define NONCE "5f2c9a"

static bool knows_password(const struct sip_digest *d) {
    char ha1[AUTH_HEX_MAX], ha2[AUTH_HEX_MAX], response[AUTH_HEX_MAX];
    struct slice a1[] = { SL(TRUNK_USER), SL(REALM), SL(TRUNK_PASSWORD) }, a2[] = { SL("INVITE"), d->uri };
    struct slice h1 = auth_hash(AUTH_MD5, a1, 3, ha1), h2 = auth_hash(AUTH_MD5, a2, 2, ha2);
    struct slice all[] = { h1, d->nonce, d->nc, d->cnonce, d->qop, h2 };
    return slice_eq(d->username, SL(TRUNK_USER)) && slice_eq(d->realm, SL(REALM)) && slice_eq(d->nonce, SL(NONCE)) &&
           slice_eq(d->response, auth_hash(AUTH_MD5, all, 6, response));
}

static bool refuse(struct load *l, enum party p, const struct sip_msg *m, struct bcall *c, const char *why) {
    message_refuse(l, p, m, 403);
    call_fail(l, c, 403, why);
    return false;
}

bool trunk_admits(struct load *l, enum party p, const struct sip_msg *m, struct bcall *c) {
    struct slice v = sip_hdr_value(m, SIP_H_PROXY_AUTHORIZATION);
    struct sip_digest d;
    if (!slice_has_prefix(m->ruri.user, SL(TRUNK_PREFIX "b")))
        return refuse(l, p, m, c, "a number that the trunk does not have");
    if (!v.p) {
        message_challenge(l, p, m, SL("Digest realm=\"" REALM "\", nonce=\"" NONCE "\", algorithm=MD5, qop=\"auth\""));
        return false;
    }
    if (sip_digest_parse(v, &d) < 0 || !knows_password(&d))
        return refuse(l, p, m, c, "credentials that are not the trunk's");
    return true;
}
