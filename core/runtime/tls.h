/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * tls: OpenSSL between buffers: ciphertext in and out by the caller, who has the socket. Client side.
 */
#ifndef REFEREE_RUNTIME_TLS_H
#define REFEREE_RUNTIME_TLS_H

#include "core/base/slice.h"

struct tls_context;
struct tls;

/* ca: file of certificates that are trusted, or empty: the system's. cert, key: our own, or empty. The server's
 * certificate must be signed by one that is trusted; its name is not compared unless `host` is not empty. NULL: *why
 * (size n) tells. */
struct tls_context *tls_context_new(const char *ca, const char *cert, const char *key, const char *host, char *why,
                                    size_t n);
void tls_context_free(struct tls_context *c);

/* The texts of `why` are static or last until the next call. */
struct tls *tls_new(struct tls_context *c, const char **why);
void tls_free(struct tls *t);
/* One more step of it. False: it has failed. */
bool tls_handshake(struct tls *t, const char **why);
bool tls_is_open(const struct tls *t);
/* Ciphertext to send, and how much of it was. */
struct slice tls_output(struct tls *t);
void tls_sent(struct tls *t, uint32_t n);
/* Little enough of it waits to be decrypted. */
bool tls_wants_input(const struct tls *t);
bool tls_input(struct tls *t, struct slice bytes);
/* Plain text: bytes read or taken; 0: none now; -1: ended. */
int tls_read(struct tls *t, void *to, uint32_t n, const char **why);
int tls_write(struct tls *t, struct slice bytes, const char **why);

#endif
