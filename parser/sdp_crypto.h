/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sdp_crypto: a=crypto (RFC 4568): tag, suite and one inline key. A line that means more than that (several keys, a
 * session parameter other than WSH) is refused, as section 6.3.7 wants it.
 */
#ifndef REFEREE_PARSER_SDP_CRYPTO_H
#define REFEREE_PARSER_SDP_CRYPTO_H

#include "core/base/sbuf.h"
#include "core/base/srtp.h"

#define SDP_CRYPTO_LINE_MAX 160 /* bytes that sdp_crypto_put writes at most */

struct sdp_crypto {
    uint32_t tag;                 /* 0 to 999999999 */
    enum srtp_suite suite;
    uint8_t key[SRTP_KEY_MAX];    /* master key and salt, as long as the suite wants them */
    uint8_t mki_n;                /* 0: none */
    uint8_t mki[SRTP_MKI_MAX];
};

enum sdp_crypto_result {
    SDP_CRYPTO_OK,
    SDP_CRYPTO_SUITE,             /* one we do not know */
    SDP_CRYPTO_PARAMETER,         /* understood, but not to be had: several keys, a long MKI, a session parameter */
    SDP_CRYPTO_MALFORMED,
};

/* The value of an a=crypto line. */
enum sdp_crypto_result sdp_crypto_parse(struct slice value, struct sdp_crypto *out);
/* Takes lines off *rest, which are those of an m-line, up to the next a=crypto that is SDP_CRYPTO_OK. False: none. */
bool sdp_crypto_next(struct slice *rest, struct sdp_crypto *out);
/* The best that can be said of the a=crypto lines in `lines`: the lowest result of any. MALFORMED if there are none. */
enum sdp_crypto_result sdp_crypto_best(struct slice lines);

/* "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:..." with its line end. */
void sdp_crypto_put(struct sbuf *out, const struct sdp_crypto *c);

/* Bytes of the master key with its salt; 0 for what is no suite. */
uint8_t srtp_key_bytes(enum srtp_suite suite);
/* "AES_CM_128_HMAC_SHA1_80"; "" for what is no suite. */
struct slice srtp_suite_name(enum srtp_suite suite);

#endif
