/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * auth_digest: the hashes under auth.h, behind one shape. Private to core/sip/auth*.c.
 */
#ifndef REFEREE_SIP_AUTH_DIGEST_H
#define REFEREE_SIP_AUTH_DIGEST_H

#include "core/sip/auth.h"

/* AUTH_ALGORITHM_COUNT: a name that we do not do. name.p == NULL: MD5 (RFC 7616 section 3.3). */
enum auth_algorithm auth_algorithm_of(struct slice name);
struct slice auth_algorithm_name(enum auth_algorithm alg);
uint32_t auth_hex_len(enum auth_algorithm alg);

/* Hex of H(piece ":" piece ...). An absent piece counts as empty. */
struct slice auth_hash(enum auth_algorithm alg, const struct slice *pieces, unsigned n, char out[AUTH_HEX_MAX]);
/* First 16 bytes of HMAC-SHA256 as 32 hex digits. */
void auth_mac(const uint8_t secret[AUTH_SECRET_LEN], struct slice a, struct slice b, char out[32]);
/* Time depends on the lengths only. Hex digits of either case. */
bool auth_hex_equal(struct slice a, struct slice b);

#endif
