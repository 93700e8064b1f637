/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Digest: the RFCs' examples, then server against client.
 */
#include "core/sip/auth.h"
#include "parser/sip_hdr.h"
#include "tests/unit/unit.h"

#define NOW UINT64_C(1700000000000)

static struct slice response(enum auth_algorithm alg, const struct auth_user *u, const struct auth_fields *f) {
    static char hex[AUTH_HEX_MAX];
    return slice_of(hex, auth_response(alg, u, f, hex));
}

/* RFC 7616 section 3.9.1. */
static void test_rfc7616(void) {
    struct auth_user u = { .username = SL("Mufasa"), .password = SL("Circle of Life") };
    struct auth_fields f = {
        .realm = SL("http-auth@example.org"), .nonce = SL("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
        .nc = SL("00000001"), .cnonce = SL("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"), .qop = SL("auth"),
        .method = SL("GET"), .uri = SL("/dir/index.html"),
    };
    CHECK_SLICE(response(AUTH_MD5, &u, &f), "8ca523f5e9506fed4657c9700eebdbec");
    CHECK_SLICE(response(AUTH_SHA256, &u, &f), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

/* RFC 2617 section 3.5; the same without qop is RFC 2069's form, and with HA1 instead of the password. */
static void test_rfc2617(void) {
    struct auth_user u = { .username = SL("Mufasa"), .password = SL("Circle Of Life") };
    struct auth_fields f = {
        .realm = SL("testrealm@host.com"), .nonce = SL("dcd98b7102dd2f0e8b11d0f600bfb0c093"), .nc = SL("00000001"),
        .cnonce = SL("0a4f113b"), .qop = SL("auth"), .method = SL("GET"), .uri = SL("/dir/index.html"),
    };
    CHECK_SLICE(response(AUTH_MD5, &u, &f), "6629fae49393a05397450978507c4ef1");
    struct auth_user h = { .username = SL("Mufasa") };
    CHECK_EQ(response(AUTH_MD5, &h, &f).n, 0);
    h.ha1[AUTH_MD5] = SL("939E7578ED9E3C518A452ACEE763BCE9");
    CHECK_SLICE(response(AUTH_MD5, &h, &f), "6629fae49393a05397450978507c4ef1");
    f.qop = SLICE_NONE;
    CHECK_SLICE(response(AUTH_MD5, &u, &f), "670fd8c2df070c60b045671b8b24ff02");
}

/* ---- a server and a client ---- */

struct world {
    struct auth_server server;
    void *mem;
    struct auth_user user;
    char challenge_text[1024], request_text[2048];
    struct sip_msg challenge, request;
    struct sip_digest offered, cred;
    struct slice uri;             /* the digest's; the Request-URI stays sip:example.com */
    uint32_t salt;
};

static void server_layout(struct world *w, struct arena *a, unsigned algorithms, uint32_t nonces) {
    struct auth_config c = { .realm = SL("example"), .secret = "0123456789abcdef0123456789abcde",
                             .algorithms = algorithms, .ttl_ms = 60000, .nonces = nonces };
    auth_server_init(&w->server, a, &c);
}

static struct world *world_new(unsigned algorithms, uint32_t nonces) {
    struct world *w = calloc(1, sizeof *w);
    struct arena a;
    arena_init(&a, NULL, 0);
    server_layout(w, &a, algorithms, nonces);
    size_t need = a.used;
    w->mem = aligned_alloc(64, (need + 63) / 64 * 64);
    arena_init(&a, w->mem, need);
    server_layout(w, &a, algorithms, nonces);
    w->user = (struct auth_user){ .username = SL("alice"), .password = SL("secret") };
    w->uri = SL("sip:example.com");
    return w;
}

static void world_end(struct world *w) {
    free(w->mem);
    free(w);
}

static void parse(struct sbuf *b, struct sip_msg *m) {
    struct sip_fault fault;
    CU_ASSERT_FATAL(!b->overflow && sip_parse(sbuf_slice(b), m, &fault) >= 0);
}

static void put_rest(struct sbuf *b) {
    sbuf_lit(b, "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@x>;tag=f\r\n"
                "To: <sip:a@x>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n");
}

static void challenge(struct world *w, uint64_t now, bool stale) {
    struct sbuf b = sbuf_on(w->challenge_text, sizeof w->challenge_text);
    sbuf_lit(&b, "SIP/2.0 401 Unauthorized\r\n");
    auth_challenge_put(&b, &w->server, &(struct auth_challenge){ .now_ms = now, .salt = ++w->salt, .stale = stale });
    put_rest(&b);
    parse(&b, &w->challenge);
    CU_ASSERT_FATAL(auth_pick(&w->challenge, &w->offered));
}

/* The client's request with credentials for w->offered, and what auth_find says of it. */
static enum auth_result answer_any(struct world *w, const struct auth_user *u, uint32_t nc) {
    struct sbuf b = sbuf_on(w->request_text, sizeof w->request_text);
    struct auth_answer a = { .challenge = &w->offered, .user = u, .method = SL("REGISTER"), .uri = w->uri,
                             .cnonce = SL("c0ffee"), .nc = nc };
    sbuf_lit(&b, "REGISTER sip:example.com SIP/2.0\r\n");
    CU_ASSERT_FATAL(auth_answer_put(&b, &a));
    put_rest(&b);
    parse(&b, &w->request);
    return auth_find(&w->server, &w->request, false, &w->cred);
}

static void answer(struct world *w, const struct auth_user *u, uint32_t nc) {
    CHECK_EQ(answer_any(w, u, nc), AUTH_OK);
}

static enum auth_result verify(struct world *w, uint64_t now) {
    return auth_verify(&w->server, &w->request, &w->cred, &w->user, now);
}

static void test_challenge(void) {
    struct world *w = world_new(0, 64);
    challenge(w, NOW, true);
    CHECK_SLICE(w->offered.algorithm, "SHA-256");
    CHECK_SLICE(w->offered.realm, "example");
    CHECK_SLICE(w->offered.qop, "auth");
    CHECK_SLICE(w->offered.stale, "true");
    CHECK_EQ(w->offered.nonce.n, AUTH_NONCE_LEN);
    const struct sip_hdr *h = sip_hdr_first(&w->challenge, SIP_H_WWW_AUTHENTICATE);
    h = sip_hdr_next(&w->challenge, h);
    CU_ASSERT_FATAL(h != NULL);
    struct sip_digest second;
    CHECK_TRUE(sip_digest_parse(h->value, &second) >= 0);
    CHECK_SLICE(second.algorithm, "MD5");
    CHECK_TRUE(sip_hdr_next(&w->challenge, h) == NULL);
    char mem[512];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    w->server.algorithms = AUTH_USE_MD5;
    w->server.realm = SL("a\"b\\c");
    auth_challenge_put(&b, &w->server, &(struct auth_challenge){ .now_ms = NOW, .proxy = true });
    CHECK_TRUE(slice_has_prefix(sbuf_slice(&b), SL("Proxy-Authenticate: Digest realm=\"a\\\"b\\\\c\", nonce=\"")));
    b = sbuf_on(mem, 60);
    auth_challenge_put(&b, &w->server, &(struct auth_challenge){ .now_ms = NOW });
    CHECK_TRUE(b.overflow);
    world_end(w);
}

static void round_trip(unsigned algorithms, const char *name) {
    struct world *w = world_new(algorithms, 64);
    challenge(w, NOW, false);
    CHECK_SLICE(w->offered.algorithm, name);
    CHECK_TRUE(w->offered.stale.p == NULL);
    answer(w, &w->user, 1);
    CHECK_EQ(verify(w, NOW + 100), AUTH_OK);
    world_end(w);
}

static void test_round_trip(void) {
    round_trip(AUTH_USE_MD5, "MD5");
    round_trip(AUTH_USE_SHA256, "SHA-256");
    round_trip(0, "SHA-256");
}

static void test_wrong(void) {
    struct world *w = world_new(0, 64);
    struct auth_user wrong = { .username = SL("alice"), .password = SL("Secret") };
    struct auth_user other = { .username = SL("bob"), .password = SL("secret") };
    challenge(w, NOW, false);
    answer(w, &wrong, 1);
    CHECK_EQ(verify(w, NOW), AUTH_BAD);
    answer(w, &other, 1);
    CHECK_EQ(verify(w, NOW), AUTH_BAD);
    answer(w, &w->user, 1);
    CHECK_EQ(auth_verify(&w->server, &w->request, &w->cred, NULL, NOW), AUTH_BAD);
    w->request.method_name = SL("INVITE");
    CHECK_EQ(verify(w, NOW), AUTH_BAD);
    w->request.method_name = SL("REGISTER");
    w->server.algorithms = AUTH_USE_MD5;
    CHECK_EQ(verify(w, NOW), AUTH_BAD);
    w->server.algorithms = AUTH_USE_SHA256;
    CHECK_EQ(verify(w, NOW), AUTH_OK);
    struct auth_user empty = { .username = SL(""), .password = SL("") };
    challenge(w, NOW, false);
    answer(w, &empty, 1);
    CHECK_EQ(auth_verify(&w->server, &w->request, &w->cred, NULL, NOW), AUTH_BAD);
    world_end(w);
}

/* What is missing or altered in right credentials. */
static void test_fields(void) {
    struct world *w = world_new(0, 64);
    challenge(w, NOW, false);
    answer(w, &w->user, 1);
    struct sip_digest good = w->cred;
#define ALTER(field, value, result)                                                                     \
    do {                                                                                                \
        w->cred = good;                                                                                 \
        w->cred.field = (value);                                                                        \
        CHECK_EQ(verify(w, NOW), result);                                                               \
    } while (0)
    ALTER(qop, SLICE_NONE, AUTH_BAD);
    ALTER(qop, SL("auth-int"), AUTH_BAD);
    ALTER(nc, SLICE_NONE, AUTH_BAD);
    ALTER(nc, SL("00000000"), AUTH_BAD);
    ALTER(nc, SL("0000000g"), AUTH_BAD);
    ALTER(nc, SL("1"), AUTH_BAD);
    ALTER(cnonce, SLICE_NONE, AUTH_BAD);
    ALTER(realm, SL("other"), AUTH_BAD);
    ALTER(algorithm, SL("SHA-256-sess"), AUTH_BAD);
    ALTER(algorithm, SLICE_NONE, AUTH_BAD);
    ALTER(response, SLICE_NONE, AUTH_BAD);
    ALTER(response, SL("00"), AUTH_BAD);
    ALTER(uri, SL("sip:example.org"), AUTH_BAD);
    ALTER(nonce, SLICE_NONE, AUTH_BAD);
    ALTER(realm, good.realm, AUTH_OK);
    answer(w, &w->user, 0);
    CHECK_EQ(verify(w, NOW), AUTH_BAD);
    w->offered.realm = SL("other");
    CHECK_EQ(answer_any(w, &w->user, 2), AUTH_NONE);
    CHECK_EQ(verify(w, NOW), AUTH_BAD);
    world_end(w);
}

static void test_uri(void) {
    struct world *w = world_new(0, 64);
    challenge(w, NOW, false);
    w->uri = SL("sip:EXAMPLE.com");
    answer(w, &w->user, 1);
    CHECK_EQ(verify(w, NOW), AUTH_OK);
    w->uri = SL("sip:victim@example.com");
    answer(w, &w->user, 2);
    CHECK_EQ(verify(w, NOW), AUTH_BAD);
    w->server.any_uri = true;
    CHECK_EQ(verify(w, NOW), AUTH_OK);
    world_end(w);
}

static void test_stale(void) {
    struct world *w = world_new(0, 64);
    challenge(w, NOW, false);
    answer(w, &w->user, 1);
    CHECK_EQ(verify(w, NOW + 60001), AUTH_STALE);
    CHECK_EQ(verify(w, NOW - 60001), AUTH_STALE);
    w->server.secret[0] ^= 1;
    CHECK_EQ(verify(w, NOW), AUTH_STALE);
    w->server.secret[0] ^= 1;
    CHECK_EQ(verify(w, NOW + 60000), AUTH_OK);
    struct auth_user wrong = { .username = SL("alice"), .password = SL("no") };
    answer(w, &wrong, 2);
    CHECK_EQ(verify(w, NOW + 60001), AUTH_BAD);
    world_end(w);
}

/* A nonce that somebody made up, with right credentials for it. */
static void test_forged_nonce(void) {
    struct world *w = world_new(0, 64);
    char nonce[AUTH_NONCE_LEN];
    challenge(w, NOW, false);
    memcpy(nonce, w->offered.nonce.p, sizeof nonce);
    nonce[15] = nonce[15] == '0' ? '1' : '0';
    w->offered.nonce = slice_of(nonce, sizeof nonce);
    answer(w, &w->user, 1);
    CHECK_EQ(verify(w, NOW), AUTH_STALE);
    w->offered.nonce = SL("abc");
    answer(w, &w->user, 1);
    CHECK_EQ(verify(w, NOW), AUTH_STALE);
    world_end(w);
}

static enum auth_result use(struct world *w, uint32_t nc) {
    answer(w, &w->user, nc);
    return verify(w, NOW);
}

static void test_replay(void) {
    struct world *w = world_new(0, 64);
    challenge(w, NOW, false);
    CHECK_EQ(use(w, 1), AUTH_OK);
    CHECK_EQ(use(w, 1), AUTH_REPLAY);
    CHECK_EQ(use(w, 3), AUTH_OK);
    CHECK_EQ(use(w, 2), AUTH_OK);
    CHECK_EQ(use(w, 2), AUTH_REPLAY);
    CHECK_EQ(use(w, 3), AUTH_REPLAY);
    CHECK_EQ(use(w, 66), AUTH_OK);
    CHECK_EQ(use(w, 3), AUTH_REPLAY);
    CHECK_EQ(use(w, 2), AUTH_REPLAY);
    CHECK_EQ(use(w, 4), AUTH_OK);
    CHECK_EQ(use(w, 0xffffffff), AUTH_OK);
    CHECK_EQ(use(w, 66), AUTH_REPLAY);
    CHECK_EQ(use(w, 0xffffffff), AUTH_REPLAY);
    CHECK_EQ(use(w, 0xfffffffe), AUTH_OK);
    challenge(w, NOW, false);
    CHECK_EQ(use(w, 1), AUTH_OK);
    CHECK_EQ(use(w, 2), AUTH_OK);
    CHECK_EQ(use(w, 66), AUTH_OK); /* by the width of the window */
    CHECK_EQ(use(w, 65), AUTH_OK);
    CHECK_EQ(use(w, 3), AUTH_OK);
    CHECK_EQ(use(w, 2), AUTH_REPLAY);
    world_end(w);
}

/* One bucket of eight, twenty nonces: what was forgotten is stale, never accepted a second time. */
static void test_table_full(void) {
    static struct sip_digest offered[20];
    static char texts[20][1024];
    struct world *w = world_new(0, 8);
    CHECK_EQ(w->server.mask, 0);
    for (unsigned i = 0; i < 20; i++) {
        challenge(w, NOW + i, false);
        memcpy(texts[i], w->challenge_text, sizeof texts[i]);
        offered[i] = w->offered;
        offered[i].nonce.p = texts[i] + (w->offered.nonce.p - w->challenge_text);
        CHECK_EQ(use(w, 1), AUTH_OK);
    }
    for (unsigned i = 0; i < 20; i++) {
        offered[i].scheme = SL("Digest");
        offered[i].realm = SL("example");
        offered[i].algorithm = SL("SHA-256");
        offered[i].qop = SL("auth");
        offered[i].opaque = SLICE_NONE;
        w->offered = offered[i];
        CHECK_EQ(use(w, 1), i < 12 ? AUTH_STALE : AUTH_REPLAY);
        CHECK_EQ(use(w, 2), i < 12 ? AUTH_STALE : AUTH_OK);
    }
    world_end(w);
}

/* Nonces of one millisecond, of which one had to go; and an older one that was never used. */
static void test_table_ties(void) {
    static char first_text[1024];
    struct world *w = world_new(0, 8);
    struct sip_digest first = { 0 };
    for (unsigned i = 0; i < 9; i++) {
        challenge(w, NOW, false);
        if (i == 0) {
            memcpy(first_text, w->challenge_text, sizeof first_text);
            first = (struct sip_digest){ .scheme = SL("Digest"), .realm = SL("example"), .algorithm = SL("SHA-256"),
                                         .qop = SL("auth") };
            first.nonce = slice_of(first_text + (w->offered.nonce.p - w->challenge_text), AUTH_NONCE_LEN);
        }
        CHECK_EQ(use(w, 1), AUTH_OK);
    }
    w->offered = first;
    CHECK_EQ(use(w, 1), AUTH_STALE);
    world_end(w);
    w = world_new(0, 8);
    for (unsigned i = 0; i < 8; i++) {
        challenge(w, NOW + 10, false);
        CHECK_EQ(use(w, 1), AUTH_OK);
    }
    challenge(w, NOW + 5, false);
    CHECK_EQ(use(w, 1), AUTH_STALE);
    world_end(w);
}

static enum auth_result find_in(struct world *w, const char *headers) {
    struct sbuf b = sbuf_on(w->request_text, sizeof w->request_text);
    sbuf_lit(&b, "REGISTER sip:example.com SIP/2.0\r\n");
    sbuf_str(&b, headers);
    put_rest(&b);
    parse(&b, &w->request);
    return auth_find(&w->server, &w->request, false, &w->cred);
}

static void test_find(void) {
    struct world *w = world_new(0, 8);
    CHECK_EQ(find_in(w, ""), AUTH_NONE);
    CHECK_EQ(find_in(w, "Authorization: Basic abc\r\n"), AUTH_NONE);
    CHECK_EQ(find_in(w, "Authorization: Digest username=\"a\", realm=\"other\", nonce=\"n\"\r\n"), AUTH_NONE);
    CHECK_EQ(find_in(w, "Proxy-Authorization: Digest username=\"a\", realm=\"example\"\r\n"), AUTH_NONE);
    CHECK_EQ(find_in(w, "Authorization: Digest username=\"a\", realm=\"other\"\r\n"
                        "Authorization: Digest username=\"b\", realm=\"example\", nonce=\"n\"\r\n"), AUTH_OK);
    CHECK_SLICE(w->cred.username, "b");
    CHECK_EQ(auth_find(&w->server, &w->request, true, &w->cred), AUTH_NONE);
    world_end(w);
}

static void test_client_refuses(void) {
    char mem[512];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct auth_user u = { .username = SL("a"), .password = SL("p") };
    struct sip_digest d = { .scheme = SL("Digest"), .realm = SL("r"), .nonce = SL("n"), .algorithm = SL("MD5"),
                            .qop = SL("auth-int") };
    struct auth_answer a = { .challenge = &d, .user = &u, .method = SL("INVITE"), .uri = SL("sip:x"), .cnonce = SL("c"),
                             .nc = 26, .proxy = true };
    CHECK_FALSE(auth_answer_put(&b, &a));
    d.qop = SL("auth");
    d.algorithm = SL("SHA-512-256");
    CHECK_FALSE(auth_answer_put(&b, &a));
    d.algorithm = SL("md5");
    u.password = SLICE_NONE;
    CHECK_FALSE(auth_answer_put(&b, &a));
    CHECK_EQ(b.n, 0);
    u.password = SL("p");
    d.opaque = SL("op");
    d.qop = SL("auth-int, auth");
    CHECK_TRUE(auth_answer_put(&b, &a));
    struct slice s = sbuf_slice(&b);
    struct slice begin = SL("Proxy-Authorization: Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:x\"");
    CHECK_TRUE(slice_has_prefix(s, begin));
    mem[b.n] = '\0';
    CHECK_TRUE(strstr(mem, "qop=auth, nc=0000001a, opaque=\"op\"\r\n") != NULL);
    d.qop = SLICE_NONE;
    b = sbuf_on(mem, sizeof mem);
    CHECK_TRUE(auth_answer_put(&b, &a));
    mem[b.n] = '\0';
    CHECK_TRUE(strstr(mem, "qop") == NULL && strstr(mem, "cnonce") == NULL);
}

int main(void) {
    return UNIT_RUN("auth", UNIT(test_rfc7616), UNIT(test_rfc2617), UNIT(test_challenge), UNIT(test_round_trip),
                    UNIT(test_wrong), UNIT(test_fields), UNIT(test_uri), UNIT(test_stale), UNIT(test_forged_nonce),
                    UNIT(test_replay), UNIT(test_table_full), UNIT(test_table_ties), UNIT(test_find),
                    UNIT(test_client_refuses));
}
