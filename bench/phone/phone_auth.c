/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Digest as a client (RFC 3261 section 22, RFC 7616, RFC 8760): qop=auth or none, MD5 and SHA-256. Written apart from
 * the server's own, so that each checks the other. */
#include "bench/phone/phone_int.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>

#define HEX_MAX (2 * SHA256_DIGEST_SIZE)

struct hash {
    bool sha256;
    union {
        struct md5_ctx md5;
        struct sha256_ctx sha;
    } ctx;
};

static void hash_begin(struct hash *h, bool sha256) {
    h->sha256 = sha256;
    if (sha256)
        sha256_init(&h->ctx.sha);
    else
        md5_init(&h->ctx.md5);
}

static void hash_add(struct hash *h, struct slice s) {
    if (h->sha256)
        sha256_update(&h->ctx.sha, s.n, (const uint8_t *)s.p);
    else
        md5_update(&h->ctx.md5, s.n, (const uint8_t *)s.p);
}

static struct slice hash_end(struct hash *h, char out[HEX_MAX]) {
    uint8_t digest[SHA256_DIGEST_SIZE];
    size_t n = h->sha256 ? SHA256_DIGEST_SIZE : MD5_DIGEST_SIZE;
    struct sbuf b = sbuf_on(out, HEX_MAX);
    if (h->sha256)
        sha256_digest(&h->ctx.sha, n, digest);
    else
        md5_digest(&h->ctx.md5, n, digest);
    for (size_t i = 0; i < n; i++)
        sbuf_hex(&b, digest[i], 2);
    return sbuf_slice(&b);
}

/* H(a ":" b ":" c ...), */
static struct slice hash_joined(bool sha256, const struct slice *parts, unsigned n, char out[HEX_MAX]) {
    struct hash h;
    hash_begin(&h, sha256);
    for (unsigned i = 0; i < n; i++) {
        if (i)
            hash_add(&h, SL(":"));
        hash_add(&h, parts[i]);
    }
    return hash_end(&h, out);
}

struct answer {
    struct sip_digest challenge;
    struct slice uri, method, nc, cnonce;
    bool sha256, qop;
};

static struct slice response(const struct phone *ph, const struct answer *a, char out[HEX_MAX]) {
    char h1[HEX_MAX], h2[HEX_MAX];
    struct slice a1[] = { slice_str(ph->config.name), a->challenge.realm, slice_str(ph->config.password) };
    struct slice a2[] = { a->method, a->uri };
    struct slice ha1 = hash_joined(a->sha256, a1, 3, h1), ha2 = hash_joined(a->sha256, a2, 2, h2);
    struct slice plain[] = { ha1, a->challenge.nonce, ha2 };
    struct slice with_qop[] = { ha1, a->challenge.nonce, a->nc, a->cnonce, SL("auth"), ha2 };
    return a->qop ? hash_joined(a->sha256, with_qop, 6, out) : hash_joined(a->sha256, plain, 3, out);
}

static void put_quoted(struct sbuf *b, const char *name, struct slice value) {
    sbuf_str(b, name);
    sbuf_lit(b, "=\"");
    sbuf_put(b, value);
    sbuf_char(b, '"');
}

static void put_credentials(const struct phone *ph, const struct answer *a, struct sbuf *b) {
    char hex[HEX_MAX];
    put_quoted(b, "Digest username", slice_str(ph->config.name));
    put_quoted(b, ", realm", a->challenge.realm);
    put_quoted(b, ", nonce", a->challenge.nonce);
    put_quoted(b, ", uri", a->uri);
    put_quoted(b, ", response", response(ph, a, hex));
    sbuf_lit(b, ", algorithm=");
    sbuf_str(b, a->sha256 ? "SHA-256" : "MD5");
    if (a->challenge.opaque.p)
        put_quoted(b, ", opaque", a->challenge.opaque);
    if (!a->qop)
        return;
    sbuf_lit(b, ", qop=auth, nc=");
    sbuf_put(b, a->nc);
    put_quoted(b, ", cnonce", a->cnonce);
}

/* The topmost challenge that we understand (RFC 8760 section 2.4). */
static bool choose_challenge(const struct sip_msg *m, enum sip_hdr_id id, struct answer *a) {
    for (const struct sip_hdr *h = sip_hdr_first(m, id); h; h = sip_hdr_next(m, h)) {
        struct sip_digest d;
        if (sip_digest_parse(h->value, &d) < 0 || !slice_ieq(d.scheme, SL("Digest")) || !d.nonce.p || !d.realm.p)
            continue;
        a->sha256 = d.algorithm.p && slice_ieq(d.algorithm, SL("SHA-256"));
        if (d.algorithm.p && !a->sha256 && !slice_ieq(d.algorithm, SL("MD5")))
            continue;
        a->challenge = d;
        a->qop = d.qop.p != NULL;
        return true;
    }
    return false;
}

static bool left_out(const struct sip_hdr *h) {
    return h->id == SIP_H_VIA || h->id == SIP_H_CSEQ || h->id == SIP_H_CONTENT_LENGTH || h->id == SIP_H_CONTENT_TYPE ||
           h->id == SIP_H_AUTHORIZATION || h->id == SIP_H_PROXY_AUTHORIZATION;
}

static void put_again(const struct phone *ph, struct phone_txn *t, const struct sip_msg *old, struct sbuf *b) {
    char mem[64];
    struct sbuf host = sbuf_on(mem, sizeof mem);
    addr_put(&host, &ph->config.local);
    sip_put_request(b, old->method_name, old->ruri_text);
    sip_put_via(b, SIP_UDP, sbuf_slice(&host), phone_text_slice(&t->branch));
    for (unsigned i = 0; i < old->header_count; i++)
        if (!left_out(&old->headers[i]))
            sip_put_hdr(b, old->headers[i].name, old->headers[i].value);
    sip_put_cseq(b, t->cseq, old->method_name);
}

static uint32_t next_cseq(struct phone *ph, const struct phone_txn *old) {
    if (old->method == SIP_M_REGISTER)
        return ++ph->register_cseq;
    struct phone_dialog *d = &ph->dialogs[old->dialog];
    return ++d->cseq;
}

bool auth_retry(struct phone *ph, int txn, const struct sip_msg *m) {
    struct phone_txn *old = &ph->txns[txn];
    struct sip_msg request;
    struct answer a = { .method = sip_method_name(old->method) };
    bool proxy = m->status == 407;
    char nc[8], cnonce[16], value[1024];
    struct sbuf ncb = sbuf_on(nc, sizeof nc), cb = sbuf_on(cnonce, sizeof cnonce), v = sbuf_on(value, sizeof value);
    if ((old->method != SIP_M_REGISTER && old->dialog < 0) || !txn_request(old, &request) ||
        !choose_challenge(m, proxy ? SIP_H_PROXY_AUTHENTICATE : SIP_H_WWW_AUTHENTICATE, &a))
        return false;
    sbuf_hex(&ncb, 1, 8);
    sbuf_hex(&cb, rng_u64(&ph->rng), 16);
    a.uri = request.ruri_text;
    a.nc = sbuf_slice(&ncb);
    a.cnonce = sbuf_slice(&cb);
    put_credentials(ph, &a, &v);
    int k = txn_new(ph, true, old->method, old->dialog);
    if (k < 0 || k == txn || v.overflow)
        return false;
    struct phone_txn *t = &ph->txns[k];
    struct sbuf b = sbuf_on(t->request, sizeof t->request);
    t->challenged = true;
    t->peer = old->peer;
    t->cseq = next_cseq(ph, old);
    put_again(ph, t, &request, &b);
    sip_put_hdr(&b, proxy ? SL("Proxy-Authorization") : SL("Authorization"), sbuf_slice(&v));
    sip_put_body(&b, request.content_type, request.body);
    if (b.overflow) {
        t->state = PHONE_T_FREE;
        return false;
    }
    if (t->method == SIP_M_INVITE) {
        ph->dialogs[t->dialog].invite_txn = k;
        ph->dialogs[t->dialog].invite_cseq = t->cseq;
    }
    txn_send_request(ph, k, &b, PHONE_SEEN_AUTH);
    return true;
}
