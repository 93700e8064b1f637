/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX 65536          /* ciphertext that waits */
#define OUTPUT_MAX 262144

struct tls_context {
    SSL_CTX *ctx;
    char host[256];
};

struct tls {
    SSL *ssl;
    BIO *in, *out;
    char why[160];
};

static const char *error_text(char *to, size_t n) {
    unsigned long e = ERR_get_error();
    snprintf(to, n, "TLS: %s", e ? ERR_reason_error_string(e) : "failed");
    ERR_clear_error();
    return to;
}

static bool trust(SSL_CTX *ctx, const char *ca) {
    return *ca ? SSL_CTX_load_verify_locations(ctx, ca, NULL) == 1 : SSL_CTX_set_default_verify_paths(ctx) == 1;
}

static bool identify(SSL_CTX *ctx, const char *cert, const char *key) {
    return !*cert || (SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 &&
                      SSL_CTX_use_PrivateKey_file(ctx, *key ? key : cert, SSL_FILETYPE_PEM) == 1);
}

struct tls_context *tls_context_new(const char *ca, const char *cert, const char *key, const char *host, char *why,
                                    size_t n) {
    struct tls_context *c = calloc(1, sizeof *c);
    const char *what = "";
    if (!c)
        return NULL;
    c->ctx = SSL_CTX_new(TLS_client_method());
    if (!c->ctx || SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) != 1)
        what = "OpenSSL";
    else if (!trust(c->ctx, ca))
        what = *ca ? ca : "the system's certificates";
    else if (!identify(c->ctx, cert, key))
        what = cert;
    else
        return SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL), snprintf(c->host, sizeof c->host, "%s", host), c;
    char text[160];
    snprintf(why, n, "%s: %s", what, error_text(text, sizeof text));
    tls_context_free(c);
    return NULL;
}

void tls_context_free(struct tls_context *c) {
    if (!c)
        return;
    SSL_CTX_free(c->ctx);
    free(c);
}

struct tls *tls_new(struct tls_context *c, const char **why) {
    struct tls *t = calloc(1, sizeof *t);
    *why = "out of memory";
    if (!t)
        return NULL;
    t->ssl = SSL_new(c->ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out || (c->host[0] && SSL_set1_host(t->ssl, c->host) != 1)) {
        BIO_free(t->in);
        BIO_free(t->out);
        SSL_free(t->ssl);
        free(t);
        return NULL;
    }
    BIO_set_mem_eof_return(t->in, -1);
    SSL_set_bio(t->ssl, t->in, t->out);
    if (c->host[0])
        SSL_set_tlsext_host_name(t->ssl, c->host);
    SSL_set_connect_state(t->ssl);
    SSL_set_mode(t->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return t;
}

void tls_free(struct tls *t) {
    if (!t)
        return;
    SSL_free(t->ssl);
    free(t);
}

/* 0: goes on; -1: ended, *why tells. */
static int outcome(struct tls *t, int rc, const char **why) {
    int e = SSL_get_error(t->ssl, rc);
    long verified = SSL_get_verify_result(t->ssl);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return 0;
    if (e == SSL_ERROR_ZERO_RETURN)
        *why = "closed by the server";
    else if (verified != X509_V_OK)
        *why = X509_verify_cert_error_string(verified);
    else
        *why = error_text(t->why, sizeof t->why);
    ERR_clear_error();
    return -1;
}

bool tls_handshake(struct tls *t, const char **why) {
    ERR_clear_error();
    int rc = SSL_do_handshake(t->ssl);
    return rc == 1 || outcome(t, rc, why) == 0;
}

bool tls_is_open(const struct tls *t) {
    return SSL_is_init_finished(t->ssl);
}

struct slice tls_output(struct tls *t) {
    char *p = NULL;
    long n = BIO_get_mem_data(t->out, &p);
    return n > 0 ? slice_of(p, (size_t)n) : slice_of("", 0);
}

void tls_sent(struct tls *t, uint32_t n) {
    char gone[4096];
    while (n) {
        int part = BIO_read(t->out, gone, n < sizeof gone ? (int)n : (int)sizeof gone);
        if (part <= 0)
            return;
        n -= (uint32_t)part;
    }
}

bool tls_wants_input(const struct tls *t) {
    return BIO_ctrl_pending(t->in) < INPUT_MAX;
}

bool tls_input(struct tls *t, struct slice bytes) {
    return BIO_write(t->in, bytes.p, (int)bytes.n) == (int)bytes.n;
}

int tls_read(struct tls *t, void *to, uint32_t n, const char **why) {
    ERR_clear_error();
    int got = SSL_read(t->ssl, to, (int)n);
    return got > 0 ? got : outcome(t, got, why);
}

int tls_write(struct tls *t, struct slice bytes, const char **why) {
    if (bytes.n == 0 || BIO_ctrl_pending(t->out) > OUTPUT_MAX)
        return 0;
    ERR_clear_error();
    int put = SSL_write(t->ssl, bytes.p, (int)bytes.n);
    return put > 0 ? put : outcome(t, put, why);
}
