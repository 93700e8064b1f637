/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/auth.h"

#include "core/sip/auth_digest.h"
#include "parser/sip_uri.h"

#define DEFAULT_TTL_MS (5u * 60 * 1000)
#define WINDOW 64u
/* A nonce: time, salt, MAC; all hex. */
#define TIME_DIGITS 16u
#define SALT_DIGITS 16u
#define MAC_DIGITS 32u

void auth_server_init(struct auth_server *s, struct arena *a, const struct auth_config *c) {
    uint32_t buckets = 1;
    while (buckets * AUTH_WAYS < c->nonces && buckets < 1u << 24)
        buckets *= 2;
    *s = (struct auth_server){
        .realm = c->realm,
        .algorithms = c->algorithms ? c->algorithms : AUTH_USE_SHA256 | AUTH_USE_MD5,
        .ttl_ms = c->ttl_ms ? c->ttl_ms : DEFAULT_TTL_MS,
        .any_uri = c->any_uri,
        .buckets = arena_take(a, (size_t)buckets * sizeof(struct auth_bucket)),
        .mask = buckets - 1,
    };
    memcpy(s->secret, c->secret, AUTH_SECRET_LEN);
    memcpy(&s->key, c->secret, sizeof s->key);
}

/* ---- nonces ---- */

static void put_nonce(struct sbuf *b, const struct auth_server *s, uint64_t now_ms, uint64_t salt) {
    char text[TIME_DIGITS + SALT_DIGITS], mac[MAC_DIGITS];
    struct sbuf t = sbuf_on(text, sizeof text);
    sbuf_hex(&t, now_ms, TIME_DIGITS);
    sbuf_hex(&t, salt, SALT_DIGITS);
    auth_mac(s->secret, sbuf_slice(&t), s->realm, mac);
    sbuf_put(b, sbuf_slice(&t));
    sbuf_put(b, slice_of(mac, sizeof mac));
}

/* Ours, by this secret and realm; *issued_ms is told then. */
static bool nonce_ours(const struct auth_server *s, struct slice nonce, uint64_t *issued_ms) {
    char mac[MAC_DIGITS];
    if (nonce.n != AUTH_NONCE_LEN)
        return false;
    struct slice signed_part = slice_of(nonce.p, TIME_DIGITS + SALT_DIGITS);
    auth_mac(s->secret, signed_part, s->realm, mac);
    if (!auth_hex_equal(slice_of(nonce.p + signed_part.n, MAC_DIGITS), slice_of(mac, sizeof mac)))
        return false;
    return slice_hex(slice_of(nonce.p, TIME_DIGITS), issued_ms);
}

/* ---- nonce counts ---- */

/* A client may have several requests on their way, so counts may come out of order within a window. */
static enum auth_result count_take(struct auth_nonce *n, uint32_t nc) {
    if (nc > n->highest) {
        uint32_t ahead = nc - n->highest;
        n->seen = ahead < WINDOW ? n->seen << ahead | 1 : 1;
        n->highest = nc;
        return AUTH_OK;
    }
    uint32_t behind = n->highest - nc;
    if (behind >= WINDOW || n->seen >> behind & 1)
        return AUTH_REPLAY;
    n->seen |= UINT64_C(1) << behind;
    return AUTH_OK;
}

static struct auth_nonce *oldest(struct auth_bucket *b) {
    struct auth_nonce *best = &b->way[0];
    for (unsigned i = 1; i < AUTH_WAYS && best->highest; i++)
        if (!b->way[i].highest || b->way[i].issued_ms < best->issued_ms)
            best = &b->way[i];
    return best;
}

static enum auth_result nonce_take(struct auth_server *s, struct slice nonce, uint64_t issued_ms, uint32_t nc) {
    struct key128 key = siphash128(s->key, nonce.p, nonce.n);
    struct auth_bucket *b = &s->buckets[key.a & s->mask];
    for (unsigned i = 0; i < AUTH_WAYS; i++)
        if (b->way[i].highest && key128_eq(b->way[i].key, key))
            return count_take(&b->way[i], nc);
    if (issued_ms <= b->floor_ms)
        return AUTH_STALE;
    struct auth_nonce *n = oldest(b);
    if (n->highest && issued_ms < n->issued_ms)
        return AUTH_STALE; /* older than all that are kept: a fresh one costs the client one round trip */
    if (n->highest)
        b->floor_ms = n->issued_ms;
    *n = (struct auth_nonce){ .key = key, .issued_ms = issued_ms };
    return count_take(n, nc);
}

/* ---- server ---- */

static void put_quoted(struct sbuf *b, struct slice s) {
    sbuf_char(b, '"');
    for (uint32_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            sbuf_char(b, '\\');
        sbuf_char(b, s.p[i]);
    }
    sbuf_char(b, '"');
}

void auth_challenge_put(struct sbuf *b, const struct auth_server *s, const struct auth_challenge *c) {
    for (unsigned alg = 0; alg < AUTH_ALGORITHM_COUNT; alg++) {
        if (!(s->algorithms >> alg & 1))
            continue;
        sbuf_put(b, c->proxy ? SL("Proxy-Authenticate: Digest realm=") : SL("WWW-Authenticate: Digest realm="));
        put_quoted(b, s->realm);
        sbuf_lit(b, ", nonce=\"");
        put_nonce(b, s, c->now_ms, c->salt);
        sbuf_lit(b, "\", algorithm=");
        sbuf_put(b, auth_algorithm_name((enum auth_algorithm)alg));
        sbuf_lit(b, ", qop=\"auth\"");
        if (c->stale)
            sbuf_lit(b, ", stale=true");
        sbuf_lit(b, "\r\n");
    }
}

enum auth_result auth_find(const struct auth_server *s, const struct sip_msg *msg, bool proxy, struct sip_digest *out) {
    enum auth_result result = AUTH_NONE;
    enum sip_hdr_id id = proxy ? SIP_H_PROXY_AUTHORIZATION : SIP_H_AUTHORIZATION;
    for (const struct sip_hdr *h = sip_hdr_first(msg, id); h; h = sip_hdr_next(msg, h)) {
        bool parsed = sip_digest_parse(h->value, out) >= 0;
        if (parsed && slice_ieq(out->scheme, SL("Digest")) && slice_eq(out->realm, s->realm))
            return AUTH_OK;
        if (!parsed && slice_ieq(out->scheme, SL("Digest")))
            result = AUTH_BAD;
    }
    return result;
}

static bool uri_matches(const struct auth_server *s, const struct sip_msg *msg, struct slice uri) {
    struct sip_uri parsed;
    if (s->any_uri || slice_eq(uri, msg->ruri_text))
        return true;
    return sip_uri_parse(uri, &parsed) >= 0 && sip_uri_eq(&parsed, &msg->ruri);
}

/* Everything but nonce and count. The response is reckoned even for a user that does not exist. */
static bool response_right(const struct sip_msg *msg, const struct sip_digest *cred, const struct auth_user *user,
                           enum auth_algorithm alg) {
    static const struct auth_user nobody = { .password = { "", 0 } };
    struct auth_fields f = {
        .realm = cred->realm, .nonce = cred->nonce, .nc = cred->nc, .cnonce = cred->cnonce, .qop = cred->qop,
        .method = msg->method_name, .uri = cred->uri,
    };
    char want[AUTH_HEX_MAX];
    uint32_t n = auth_response(alg, user ? user : &nobody, &f, want);
    bool same = n && auth_hex_equal(cred->response, slice_of(want, n));
    return same && user && slice_eq(user->username, cred->username);
}

enum auth_result auth_verify(struct auth_server *s, const struct sip_msg *msg, const struct sip_digest *cred,
                             const struct auth_user *user, uint64_t now_ms) {
    uint64_t nc, issued;
    enum auth_algorithm alg = auth_algorithm_of(cred->algorithm);
    if (alg == AUTH_ALGORITHM_COUNT || !(s->algorithms >> alg & 1))
        return AUTH_BAD;
    if (!slice_ieq(cred->qop, SL("auth")) || cred->nc.n != 8 || !slice_hex(cred->nc, &nc) || nc == 0 || !cred->cnonce.n)
        return AUTH_BAD;
    if (!slice_eq(cred->realm, s->realm) || !uri_matches(s, msg, cred->uri))
        return AUTH_BAD;
    if (!response_right(msg, cred, user, alg))
        return AUTH_BAD;
    if (!nonce_ours(s, cred->nonce, &issued))
        return AUTH_STALE;
    uint64_t apart = now_ms > issued ? now_ms - issued : issued - now_ms; /* nodes' clocks differ a little */
    if (apart > s->ttl_ms)
        return AUTH_STALE;
    return nonce_take(s, cred->nonce, issued, (uint32_t)nc);
}

/* ---- client ---- */

/* "auth" in a list such as "auth,auth-int"; an absent qop is RFC 2069's. */
static bool qop_usable(struct slice qop) {
    struct slice item;
    if (!qop.p)
        return true;
    while (sip_list_next(&qop, &item))
        if (slice_ieq(item, SL("auth")))
            return true;
    return false;
}

static bool answerable(const struct sip_digest *d) {
    return slice_ieq(d->scheme, SL("Digest")) && d->realm.p && d->nonce.p && qop_usable(d->qop) &&
           auth_algorithm_of(d->algorithm) != AUTH_ALGORITHM_COUNT;
}

bool auth_pick(const struct sip_msg *response, struct sip_digest *challenge) {
    enum sip_hdr_id id = response->status == 407 ? SIP_H_PROXY_AUTHENTICATE : SIP_H_WWW_AUTHENTICATE;
    for (const struct sip_hdr *h = sip_hdr_first(response, id); h; h = sip_hdr_next(response, h))
        if (sip_digest_parse(h->value, challenge) >= 0 && answerable(challenge))
            return true;
    return false;
}

/* Values of the challenge go back as they were quoted, escapes and all. */
static void put_field(struct sbuf *b, struct slice name, struct slice value) {
    sbuf_put(b, name);
    sbuf_lit(b, "=\"");
    sbuf_put(b, value);
    sbuf_char(b, '"');
}

static void put_credentials(struct sbuf *b, const struct auth_answer *a, const struct auth_fields *f,
                            struct slice response) {
    const struct sip_digest *c = a->challenge;
    sbuf_put(b, a->proxy ? SL("Proxy-Authorization: Digest ") : SL("Authorization: Digest "));
    put_field(b, SL("username"), a->user->username);
    put_field(b, SL(", realm"), f->realm);
    put_field(b, SL(", nonce"), f->nonce);
    put_field(b, SL(", uri"), f->uri);
    put_field(b, SL(", response"), response);
    sbuf_lit(b, ", algorithm=");
    sbuf_put(b, auth_algorithm_name(auth_algorithm_of(c->algorithm)));
    if (f->qop.p) {
        put_field(b, SL(", cnonce"), f->cnonce);
        sbuf_lit(b, ", qop=auth, nc=");
        sbuf_put(b, f->nc);
    }
    if (c->opaque.p)
        put_field(b, SL(", opaque"), c->opaque);
    sbuf_lit(b, "\r\n");
}

bool auth_answer_put(struct sbuf *b, const struct auth_answer *a) {
    char nc[8], hex[AUTH_HEX_MAX];
    struct sbuf count = sbuf_on(nc, sizeof nc);
    const struct sip_digest *c = a->challenge;
    if (!answerable(c))
        return false;
    sbuf_hex(&count, a->nc, sizeof nc);
    struct auth_fields f = {
        .realm = c->realm, .nonce = c->nonce, .nc = sbuf_slice(&count), .cnonce = a->cnonce,
        .qop = c->qop.p ? SL("auth") : SLICE_NONE, .method = a->method, .uri = a->uri,
    };
    uint32_t n = auth_response(auth_algorithm_of(c->algorithm), a->user, &f, hex);
    if (!n)
        return false;
    put_credentials(b, a, &f, slice_of(hex, n));
    return true;
}

/* ---- shared ---- */

uint32_t auth_response(enum auth_algorithm alg, const struct auth_user *user, const struct auth_fields *f,
                       char out[AUTH_HEX_MAX]) {
    char ha1_mem[AUTH_HEX_MAX], ha2_mem[AUTH_HEX_MAX];
    uint32_t digits = auth_hex_len(alg);
    struct slice ha1 = user->ha1[alg];
    if (ha1.p && ha1.n == digits) {
        for (uint32_t i = 0; i < digits; i++)
            ha1_mem[i] = (char)ascii_lower((uint8_t)ha1.p[i]);
        ha1 = slice_of(ha1_mem, digits);
    } else if (user->password.p) {
        ha1 = auth_hash(alg, (struct slice[]){ user->username, f->realm, user->password }, 3, ha1_mem);
    } else {
        return 0;
    }
    struct slice ha2 = auth_hash(alg, (struct slice[]){ f->method, f->uri }, 2, ha2_mem);
    if (f->qop.p)
        auth_hash(alg, (struct slice[]){ ha1, f->nonce, f->nc, f->cnonce, f->qop, ha2 }, 6, out);
    else
        auth_hash(alg, (struct slice[]){ ha1, f->nonce, ha2 }, 3, out);
    return digits;
}
