/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/call/call.h"
#include "core/sip/auth_digest.h"
#include "parser/sip_hdr.h"

#define PASSWORD SL("secret")

static struct slice user_of(const struct dlg *d, struct sbuf *b) {
    sbuf_char(b, 'u');
    sbuf_u64(b, d->invite_cseq);
    return sbuf_slice(b);
}

static void name(struct load *l, struct dlg *d) {
    char user[16];
    struct sbuf u = sbuf_on(user, sizeof user);
    struct sbuf uri = sbuf_on(d->remote_uri.s, sizeof d->remote_uri.s), t = sbuf_on(d->target.s, sizeof d->target.s);
    struct sbuf id = sbuf_on(d->call_id.s, sizeof d->call_id.s);
    message_put_name(&id, (enum party)d->party, l, d->call, d->index);
    sbuf_lit(&id, "@bench");
    d->call_id.n = (uint16_t)id.n;
    sbuf_lit(&uri, "<sip:");
    sbuf_put(&uri, user_of(d, &u));
    sbuf_char(&uri, '@');
    sbuf_put(&uri, line_slice(&l->domain));
    sbuf_char(&uri, '>');
    d->remote_uri.n = (uint16_t)uri.n;
    sbuf_lit(&t, "sip:");
    sbuf_put(&t, line_slice(&l->domain));
    d->target.n = (uint16_t)t.n;
}

void dialog_register(struct load *l, struct dlg *d, uint32_t user) {
    d->uac = true;
    d->invite_cseq = user;
    name(l, d);
    dialog_request(l, d, SIP_M_REGISTER, SL("Expires: 3600\r\n"));
}

static void put_field(struct sbuf *b, struct slice name, struct slice value) {
    sbuf_put(b, name);
    sbuf_lit(b, "=\"");
    sbuf_put(b, value);
    sbuf_lit(b, "\"");
}

/* RFC 7616 section 3.4, MD5 with qop=auth; each nonce is used once. */
static void put_credentials(struct sbuf *b, const struct load *l, const struct dlg *d, const struct sip_digest *c) {
    char user[16], ha1[AUTH_HEX_MAX], ha2[AUTH_HEX_MAX], response[AUTH_HEX_MAX];
    struct sbuf u = sbuf_on(user, sizeof user);
    struct slice who = user_of(d, &u), uri = line_slice(&d->target);
    struct slice a1[] = { who, c->realm, PASSWORD }, a2[] = { SL("REGISTER"), uri };
    struct slice h1 = auth_hash(AUTH_MD5, a1, 3, ha1), h2 = auth_hash(AUTH_MD5, a2, 2, ha2);
    struct slice all[] = { h1, c->nonce, SL("00000001"), SL("bench"), SL("auth"), h2 };
    (void)l;
    sbuf_lit(b, "Expires: 3600\r\nAuthorization: Digest ");
    put_field(b, SL("username"), who);
    put_field(b, SL(",realm"), c->realm);
    put_field(b, SL(",nonce"), c->nonce);
    put_field(b, SL(",uri"), uri);
    put_field(b, SL(",response"), auth_hash(AUTH_MD5, all, 6, response));
    sbuf_lit(b, ",algorithm=MD5,qop=auth,nc=00000001,cnonce=\"bench\"");
    if (c->opaque.p)
        put_field(b, SL(",opaque"), c->opaque);
    sbuf_lit(b, "\r\n");
}

bool register_again(struct load *l, struct dlg *d, const struct sip_msg *m) {
    char lines[1024];
    struct sbuf b = sbuf_on(lines, sizeof lines);
    struct sip_digest c;
    if (sip_digest_parse(sip_hdr_value(m, SIP_H_WWW_AUTHENTICATE), &c) < 0 || !c.nonce.p || !c.realm.p)
        return false;
    put_credentials(&b, l, d, &c);
    struct request r = { .method = SIP_M_REGISTER, .cseq = ++d->cseq, .extra = sbuf_slice(&b) };
    dialog_put_out(l, d, &r);
    return !b.overflow;
}
