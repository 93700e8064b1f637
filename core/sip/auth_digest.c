/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/auth_digest.h"

#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>

union context {
    struct md5_ctx md5;
    struct sha256_ctx sha256;
};

enum auth_algorithm auth_algorithm_of(struct slice name) {
    if (!name.p || slice_ieq(name, SL("MD5")))
        return AUTH_MD5;
    return slice_ieq(name, SL("SHA-256")) ? AUTH_SHA256 : AUTH_ALGORITHM_COUNT;
}

struct slice auth_algorithm_name(enum auth_algorithm alg) {
    return alg == AUTH_MD5 ? SL("MD5") : SL("SHA-256");
}

uint32_t auth_hex_len(enum auth_algorithm alg) {
    return alg == AUTH_MD5 ? 2 * MD5_DIGEST_SIZE : 2 * SHA256_DIGEST_SIZE;
}

static void put_hex(char *out, const uint8_t *bytes, uint32_t n) {
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static void update(enum auth_algorithm alg, union context *c, struct slice s) {
    if (s.n == 0)
        return;
    if (alg == AUTH_MD5)
        md5_update(&c->md5, s.n, (const uint8_t *)s.p);
    else
        sha256_update(&c->sha256, s.n, (const uint8_t *)s.p);
}

struct slice auth_hash(enum auth_algorithm alg, const struct slice *pieces, unsigned n, char out[AUTH_HEX_MAX]) {
    union context c;
    uint8_t digest[SHA256_DIGEST_SIZE];
    if (alg == AUTH_MD5)
        md5_init(&c.md5);
    else
        sha256_init(&c.sha256);
    for (unsigned i = 0; i < n; i++) {
        if (i)
            update(alg, &c, SL(":"));
        update(alg, &c, pieces[i]);
    }
    if (alg == AUTH_MD5)
        md5_digest(&c.md5, MD5_DIGEST_SIZE, digest);
    else
        sha256_digest(&c.sha256, SHA256_DIGEST_SIZE, digest);
    put_hex(out, digest, auth_hex_len(alg) / 2);
    return slice_of(out, auth_hex_len(alg));
}

void auth_mac(const uint8_t secret[AUTH_SECRET_LEN], struct slice a, struct slice b, char out[32]) {
    struct hmac_sha256_ctx c;
    uint8_t mac[16];
    hmac_sha256_set_key(&c, AUTH_SECRET_LEN, secret);
    hmac_sha256_update(&c, a.n, (const uint8_t *)a.p);
    hmac_sha256_update(&c, b.n, (const uint8_t *)b.p);
    hmac_sha256_digest(&c, sizeof mac, mac);
    put_hex(out, mac, sizeof mac);
}

bool auth_hex_equal(struct slice a, struct slice b) {
    unsigned diff = 0;
    if (a.n != b.n)
        return false;
    for (uint32_t i = 0; i < a.n; i++)
        diff |= (unsigned)(ascii_lower((uint8_t)a.p[i]) ^ ascii_lower((uint8_t)b.p[i]));
    return diff == 0;
}
