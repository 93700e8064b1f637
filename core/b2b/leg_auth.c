/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Digest as a client (RFC 3261 section 22.2, RFC 7616): who challenges us and is a peer with a password of ours is
 * answered, and from then on before it asks again. */
#include "core/b2b/leg.h"
#include "core/b2b/policy.h"
#include "core/sip/auth.h"
#include "parser/sip_hdr.h"

/* LEG_CHALLENGE: 'P' or 'W' (Proxy- or WWW-Authenticate), then the value. */
static bool challenge_of(const struct leg *l, struct sip_digest *d, bool *proxy) {
    struct slice text = leg_str(l, LEG_CHALLENGE);
    if (text.n < 2)
        return false;
    *proxy = text.p[0] == 'P';
    return sip_digest_parse(slice_of(text.p + 1, text.n - 1), d) >= 0;
}

static void put_quoted(struct sbuf *b, struct slice name, struct slice value) {
    if (!value.p)
        return;
    sbuf_put(b, name);
    sbuf_lit(b, "=\"");
    sbuf_put(b, value);
    sbuf_char(b, '"');
}

/* What is needed of it, so that a long list of what is not is not carried through the call. */
static bool keep_challenge(struct engine *e, struct leg *l, const struct sip_digest *d, bool proxy) {
    char mem[AUTH_LINE_MAX];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_put(&b, proxy ? SL("PDigest realm=\"") : SL("WDigest realm=\""));
    sbuf_put(&b, d->realm);
    sbuf_char(&b, '"');
    put_quoted(&b, SL(", nonce"), d->nonce);
    put_quoted(&b, SL(", opaque"), d->opaque);
    put_quoted(&b, SL(", qop"), d->qop.p ? SL("auth") : SLICE_NONE);
    if (d->algorithm.p) {
        sbuf_lit(&b, ", algorithm=");
        sbuf_put(&b, d->algorithm);
    }
    l->auth_nc = 0;
    return !b.overflow && leg_set(e, l, LEG_CHALLENGE, sbuf_slice(&b));
}

/* The request had credentials for this realm already, and they were not merely too old: that is what another nonce
 * means the first time, since not everybody says stale. */
static bool was_refused(const struct sip_msg *request, const struct sip_digest *asked, bool proxy, bool first) {
    enum sip_hdr_id id = proxy ? SIP_H_PROXY_AUTHORIZATION : SIP_H_AUTHORIZATION;
    struct sip_digest had;
    for (const struct sip_hdr *h = sip_hdr_first(request, id); h; h = sip_hdr_next(request, h)) {
        if (sip_digest_parse(h->value, &had) < 0 || !slice_eq(had.realm, asked->realm))
            continue;
        bool old = !slice_eq(had.nonce, asked->nonce) && (first || slice_ieq(asked->stale, SL("true")));
        return !old;
    }
    return false;
}

bool leg_auth_challenged(struct engine *e, struct leg *l, const struct sip_msg *msg, const struct sip_msg *request,
                         const struct txn_event *ev) {
    struct sip_digest d;
    struct auth_user user;
    bool proxy = msg->status == 407;
    const struct txn *t = txn_get(&e->txns, ev->txn);
    if (!t || !auth_pick(msg, &d) || was_refused(request, &d, proxy, ev->tries == 0) ||
        !policy_credentials(e, leg_str(l, LEG_PRINCIPAL), &t->dst, d.realm, &user))
        return false;
    return keep_challenge(e, l, &d, proxy);
}

void leg_auth_put(struct engine *e, struct leg *l, struct slice method, struct slice uri, const struct addr *dst,
                  struct sbuf *b) {
    struct sip_digest d;
    struct auth_user user;
    char cnonce[16];
    bool proxy;
    uint32_t from = b->n;
    if (!challenge_of(l, &d, &proxy) || !policy_credentials(e, leg_str(l, LEG_PRINCIPAL), dst, d.realm, &user))
        return;
    struct sbuf n = sbuf_on(cnonce, sizeof cnonce);
    sbuf_hex(&n, rng_u64(&e->rng), sizeof cnonce);
    struct auth_answer a = { .challenge = &d, .user = &user, .method = method, .uri = uri, .cnonce = sbuf_slice(&n),
                             .nc = ++l->auth_nc, .proxy = proxy };
    if (!auth_answer_put(b, &a) || b->overflow)
        b->n = from;
}

bool leg_auth_is_proxys(const struct leg *l) {
    struct slice text = leg_str(l, LEG_CHALLENGE);
    return text.n && text.p[0] == 'P';
}

struct slice leg_own_lines(struct engine *e, struct leg *l, struct slice method, struct slice uri,
                           const struct addr *dst, char *mem) {
    char session[SESSION_LINES_MAX];
    struct sbuf b = sbuf_on(mem, LEG_LINES_MAX);
    bool invite = slice_eq(method, SL("INVITE"));
    if (invite || slice_eq(method, SL("UPDATE")))
        sbuf_put(&b, leg_session_request(e, l, invite, session));
    leg_auth_put(e, l, method, uri, dst, &b);
    return sbuf_slice(&b);
}

void leg_keep_credentials(struct engine *e, struct leg *l, struct slice lines) {
    struct slice credentials = SLICE_NONE;
    struct slice name = leg_auth_is_proxys(l) ? SL("Proxy-Authorization:") : SL("Authorization:");
    /* They are the last line. */
    while (lines.n) {
        int32_t end = slice_find(lines, '\n');
        uint32_t n = end < 0 ? lines.n : (uint32_t)end + 1;
        if (slice_has_prefix(lines, name))
            credentials = lines;
        lines = slice_of(lines.p + n, lines.n - n);
    }
    if (credentials.p || leg_str(l, LEG_CREDENTIALS).p)
        leg_set(e, l, LEG_CREDENTIALS, credentials);
}
