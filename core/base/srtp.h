/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * srtp: the crypto suites of SRTP that we speak (RFC 3711, 6188, 7714) by their names in SDP (RFC 4568 section 6.2),
 * and what goes between who negotiates them and who applies them. No code that uses a key is here.
 */
#ifndef REFEREE_BASE_SRTP_H
#define REFEREE_BASE_SRTP_H

#include <stdbool.h>
#include <stdint.h>

/* Name, bytes of the master key and of its salt. */
#define SRTP_SUITES(X)                  \
    X(AES_CM_128_HMAC_SHA1_80, 16, 14)  \
    X(AES_CM_128_HMAC_SHA1_32, 16, 14)  \
    X(AES_256_CM_HMAC_SHA1_80, 32, 14)  \
    X(AES_256_CM_HMAC_SHA1_32, 32, 14)  \
    X(AEAD_AES_128_GCM, 16, 12)         \
    X(AEAD_AES_256_GCM, 32, 12)

/* NONE: plain RTP. BROKEN: both sides speak of SRTP, but have no key in common: nothing passes. */
enum srtp_suite {
    SRTP_NONE,
#define X(name, key, salt) SRTP_##name,
    SRTP_SUITES(X)
#undef X
    SRTP_BROKEN,
};

#define SRTP_KEY_MAX 46 /* master key and salt */
#define SRTP_MKI_MAX 8

/* How often the sequence numbers of a source have begun anew (RFC 3711 section 3.2.1). ssrc 0 and roc 0: nothing is
 * known. */
struct srtp_roc {
    uint32_t ssrc, roc;
};

/* What a stream is protected with: what the party sends, and what it is sent. */
struct srtp_keys {
    uint8_t suite;              /* enum srtp_suite */
    uint8_t mki_n;              /* bytes that each packet of the party carries to name its key; 0: none */
    uint8_t mki[SRTP_MKI_MAX];
    uint8_t in[SRTP_KEY_MAX], out[SRTP_KEY_MAX];
    bool resumed;               /* a former owner of the stream has used them, and was there: */
    struct srtp_roc in_roc, out_roc;
};

#endif
