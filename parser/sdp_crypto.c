/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sdp_crypto.h"

#include "parser/sdp_line.h"

#include <nettle/base64.h>

#define TAG_MAX 999999999
#define LIFETIME_BITS_MAX 48 /* of SRTP packets under one key (RFC 3711 section 9.2) */
#define MKI_BYTES_MAX 128
#define WSH_MIN 64

static const struct {
    struct slice name;
    uint8_t key;
} suites[] = {
#define X(text, key_n, salt_n) [SRTP_##text] = { { #text, sizeof #text - 1 }, (key_n) + (salt_n) },
    SRTP_SUITES(X)
#undef X
};
#define SUITES (sizeof suites / sizeof *suites)

#define X(text, key_n, salt_n) _Static_assert((key_n) + (salt_n) <= SRTP_KEY_MAX, #text);
SRTP_SUITES(X)
#undef X

uint8_t srtp_key_bytes(enum srtp_suite suite) {
    return suite < SUITES ? suites[suite].key : 0;
}

struct slice srtp_suite_name(enum srtp_suite suite) {
    return suite < SUITES && suites[suite].name.p ? suites[suite].name : SL("");
}

static enum srtp_suite suite_named(struct slice name) {
    for (unsigned i = SRTP_NONE + 1; i < SUITES; i++)
        if (slice_ieq(name, suites[i].name))
            return (enum srtp_suite)i;
    return SRTP_NONE;
}

/* Takes what is in front of `at` off *rest, and `at` with it. */
static struct slice take_until(struct slice *rest, char at) {
    int32_t end = slice_find(*rest, at);
    struct slice part = slice_of(rest->p, end < 0 ? rest->n : (uint32_t)end);
    *rest = end < 0 ? slice_of(rest->p + rest->n, 0) : sdp_skip(*rest, (uint32_t)end + 1);
    return part;
}

/* Padding may be missing: some phones leave it out. */
static bool read_key(struct slice text, struct sdp_crypto *out) {
    struct base64_decode_ctx ctx;
    uint8_t bytes[BASE64_DECODE_LENGTH(96)];
    size_t n = sizeof bytes, want = srtp_key_bytes(out->suite);
    if (text.n > 96)
        return false;
    base64_decode_init(&ctx);
    if (!base64_decode_update(&ctx, &n, bytes, text.n, text.p) || n != want)
        return false;
    memcpy(out->key, bytes, n);
    return true;
}

/* "2^20" or "1048576": how long the key is good is its owner's to watch. */
static bool is_lifetime(struct slice text) {
    uint64_t v;
    if (slice_has_prefix(text, SL("2^")))
        return slice_u64(sdp_skip(text, 2), LIFETIME_BITS_MAX, &v);
    return slice_u64(text, UINT64_C(1) << LIFETIME_BITS_MAX, &v) && v > 0;
}

/* "1:4": value and bytes of the master key identifier. */
static enum sdp_crypto_result read_mki(struct slice text, struct sdp_crypto *out) {
    uint64_t value, bytes;
    struct slice number = take_until(&text, ':');
    if (!slice_u64(text, MKI_BYTES_MAX, &bytes) || bytes == 0 || !slice_u64(number, UINT64_MAX, &value))
        return SDP_CRYPTO_MALFORMED;
    if (bytes > SRTP_MKI_MAX)
        return SDP_CRYPTO_PARAMETER;
    if (bytes < 8 && value >> (8 * bytes))
        return SDP_CRYPTO_MALFORMED;
    out->mki_n = (uint8_t)bytes;
    for (unsigned i = 0; i < bytes; i++)
        out->mki[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    return SDP_CRYPTO_OK;
}

/* inline:<key||salt>["|" lifetime]["|" MKI ":" length] */
static enum sdp_crypto_result read_key_params(struct slice text, struct sdp_crypto *out) {
    if (slice_find(text, ';') >= 0)
        return SDP_CRYPTO_PARAMETER;
    if (text.n < 7 || !slice_ieq(slice_of(text.p, 7), SL("inline:")))
        return SDP_CRYPTO_MALFORMED;
    text = sdp_skip(text, 7);
    if (!read_key(take_until(&text, '|'), out))
        return SDP_CRYPTO_MALFORMED;
    if (text.n && slice_find(text, ':') < 0)
        return is_lifetime(text) ? SDP_CRYPTO_OK : SDP_CRYPTO_MALFORMED;
    if (slice_find(text, '|') >= 0 && !is_lifetime(take_until(&text, '|')))
        return SDP_CRYPTO_MALFORMED;
    return text.n ? read_mki(text, out) : SDP_CRYPTO_OK;
}

/* A hint of the replay window's size changes nothing; the others change what a packet looks like. */
static bool is_known_parameter(struct slice word) {
    uint64_t size;
    return slice_has_prefix(word, SL("WSH=")) && slice_u64(sdp_skip(word, 4), UINT32_MAX, &size) && size >= WSH_MIN;
}

enum sdp_crypto_result sdp_crypto_parse(struct slice value, struct sdp_crypto *out) {
    struct slice tag, suite, keys, word;
    uint64_t number;
    *out = (struct sdp_crypto){ .suite = SRTP_NONE };
    if (!sdp_next_word(&value, &tag) || !slice_u64(tag, TAG_MAX, &number) || !sdp_next_word(&value, &suite) ||
        !sdp_next_word(&value, &keys))
        return SDP_CRYPTO_MALFORMED;
    out->tag = (uint32_t)number;
    out->suite = suite_named(suite);
    if (out->suite == SRTP_NONE)
        return SDP_CRYPTO_SUITE;
    enum sdp_crypto_result r = read_key_params(keys, out);
    while (r == SDP_CRYPTO_OK && sdp_next_word(&value, &word))
        r = is_known_parameter(word) ? SDP_CRYPTO_OK : SDP_CRYPTO_PARAMETER;
    return r;
}

bool sdp_crypto_next(struct slice *rest, struct sdp_crypto *out) {
    struct slice line, value;
    while (sdp_next_line(rest, &line))
        if (sdp_attribute(line, SL("crypto"), &value) && sdp_crypto_parse(value, out) == SDP_CRYPTO_OK)
            return true;
    return false;
}

enum sdp_crypto_result sdp_crypto_best(struct slice lines) {
    enum sdp_crypto_result best = SDP_CRYPTO_MALFORMED;
    struct slice line, value;
    struct sdp_crypto c;
    while (sdp_next_line(&lines, &line)) {
        if (!sdp_attribute(line, SL("crypto"), &value))
            continue;
        enum sdp_crypto_result r = sdp_crypto_parse(value, &c);
        best = r < best ? r : best;
    }
    return best;
}

void sdp_crypto_put(struct sbuf *out, const struct sdp_crypto *c) {
    char text[BASE64_ENCODE_RAW_LENGTH(SRTP_KEY_MAX)];
    uint8_t n = srtp_key_bytes(c->suite);
    base64_encode_raw(text, n, c->key);
    sbuf_lit(out, "a=crypto:");
    sbuf_u64(out, c->tag);
    sbuf_char(out, ' ');
    sbuf_put(out, srtp_suite_name(c->suite));
    sbuf_lit(out, " inline:");
    sbuf_put(out, slice_of(text, BASE64_ENCODE_RAW_LENGTH(n)));
    sbuf_lit(out, "\r\n");
}
