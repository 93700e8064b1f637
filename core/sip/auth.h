/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * auth: digest authentication, as server (RFC 3261 section 22, RFC 7616, RFC 8760) and as client. qop is always "auth".
 * Not offered and refused: -sess algorithms, SHA-512-256, userhash, auth-int, credentials without qop.
 *
 * The server keeps nothing for a challenge: a nonce is time, salt and HMAC-SHA256 over them and the realm. Only a
 * nonce that was used with right credentials enters the table of nonce counts; that table is bounded, and what it had
 * to forget is answered as stale, never accepted twice.
 *
 * Order of use:  auth_find (AUTH_NONE: challenge) -> look the user up by digest.username -> auth_verify -> on
 * anything but AUTH_OK challenge again, with stale for AUTH_STALE and AUTH_REPLAY, or answer 403.
 */
#ifndef REFEREE_SIP_AUTH_H
#define REFEREE_SIP_AUTH_H

#include "core/base/arena.h"
#include "core/base/sbuf.h"
#include "core/base/siphash.h"
#include "parser/sip_hdr.h"

/* In the order of preference (RFC 8760 section 2.4). */
enum auth_algorithm { AUTH_SHA256, AUTH_MD5, AUTH_ALGORITHM_COUNT };
#define AUTH_USE_SHA256 (1u << AUTH_SHA256)
#define AUTH_USE_MD5 (1u << AUTH_MD5)

#define AUTH_HEX_MAX 64           /* digits of the longest digest */
#define AUTH_NONCE_LEN 64         /* characters of a nonce of ours */
#define AUTH_WAYS 8
#define AUTH_SECRET_LEN 32

enum auth_result {
    AUTH_OK,
    AUTH_NONE,                    /* no Digest credentials for our realm */
    AUTH_STALE,                   /* right, but the nonce is not ours, too old or forgotten */
    AUTH_BAD,                     /* wrong password, unknown user, other URI, malformed, or an algorithm not offered */
    AUTH_REPLAY                   /* right, but this nonce count was used before */
};

/* Nonce counts seen: one nonce. */
struct auth_nonce {
    struct key128 key;
    uint64_t issued_ms;
    uint64_t seen;                /* bit i: count highest - i was used */
    uint32_t highest;             /* 0: slot free */
};

struct auth_bucket {
    uint64_t floor_ms;            /* a nonce issued up to then and not in here was forgotten */
    struct auth_nonce way[AUTH_WAYS];
};

struct auth_server {
    struct slice realm;           /* borrowed for the server's life */
    uint8_t secret[AUTH_SECRET_LEN];
    struct siphash_key key;
    unsigned algorithms;          /* AUTH_USE_* */
    uint64_t ttl_ms;
    bool any_uri;
    struct auth_bucket *buckets;
    uint32_t mask;
};

struct auth_config {
    struct slice realm;
    uint8_t secret[AUTH_SECRET_LEN]; /* one for the whole cluster */
    unsigned algorithms;          /* AUTH_USE_*; 0: both */
    uint64_t ttl_ms;              /* of a nonce; 0: 5 minutes */
    uint32_t nonces;              /* in use at a time that can be told apart; rounded up to a power of two */
    bool any_uri;                 /* the digest's uri need not be the Request-URI: a proxy in front rewrites it */
};

/* While `a` counts, only the size is taken. */
void auth_server_init(struct auth_server *s, struct arena *a, const struct auth_config *c);

/* Header lines with CRLF: one a configured algorithm, SHA-256 first (RFC 8760 section 2.3). */
struct auth_challenge {
    uint64_t now_ms;              /* wall clock: nonces hold between nodes */
    uint64_t salt;                /* random: two challenges of one millisecond must differ */
    bool proxy;                   /* Proxy-Authenticate (407) instead of WWW-Authenticate (401) */
    bool stale;
};
void auth_challenge_put(struct sbuf *b, const struct auth_server *s, const struct auth_challenge *c);

/* The first Digest credentials for our realm in Authorization, or in Proxy-Authorization. AUTH_OK: found, not verified;
 * AUTH_NONE; AUTH_BAD: found, malformed. *out is views into msg. */
enum auth_result auth_find(const struct auth_server *s, const struct sip_msg *msg, bool proxy, struct sip_digest *out);

/* What is known of a user: a password, or H(username:realm:password) in hex of either case. p == NULL: not known. */
struct auth_user {
    struct slice username;
    struct slice password;
    struct slice ha1[AUTH_ALGORITHM_COUNT];
};

/* Verifies credentials that auth_find gave for msg, a request. user == NULL: no such user; costs the same, gives
 * AUTH_BAD. AUTH_OK takes the nonce count: call it once for each request, and not for retransmissions. */
enum auth_result auth_verify(struct auth_server *s, const struct sip_msg *msg, const struct sip_digest *cred,
                             const struct auth_user *user, uint64_t now_ms);

/* ---- client ---- */

/* The first challenge of a 401 or 407 that we can answer: SHA-256 or MD5, qop auth or none. */
bool auth_pick(const struct sip_msg *response, struct sip_digest *challenge);

struct auth_answer {
    const struct sip_digest *challenge;
    const struct auth_user *user;
    struct slice method;
    struct slice uri;             /* the Request-URI of the new request */
    struct slice cnonce;          /* random; characters that need no quoting */
    uint32_t nc;                  /* 1 for the first request with this nonce, then one more each */
    bool proxy;                   /* Proxy-Authorization */
};
/* "Authorization: Digest ...\r\n". False and nothing written: a challenge that auth_pick would not have given, or no
 * secret for its algorithm. */
bool auth_answer_put(struct sbuf *b, const struct auth_answer *a);

/* ---- shared ---- */

/* The fields of RFC 7616 section 3.4.1, without quotes. qop.p == NULL: RFC 2069's form, without nc and cnonce. */
struct auth_fields {
    struct slice realm, nonce, nc, cnonce, qop, method, uri;
};
/* Writes the response, lower-case hex, and returns its digits; 0: no secret of the user for this algorithm. */
uint32_t auth_response(enum auth_algorithm alg, const struct auth_user *user, const struct auth_fields *f,
                       char out[AUTH_HEX_MAX]);

#endif
