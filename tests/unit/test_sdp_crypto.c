/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sdp.h"
#include "parser/sdp_crypto.h"
#include "tests/unit/unit.h"

/* 30, 28, 44 and 46 bytes. */
#define KEY "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
#define GCM "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nw=="
#define GCM256 "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM="
#define CM256 "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NQ=="
#define S80 "AES_CM_128_HMAC_SHA1_80"

static struct sdp_crypto is(const char *value, enum sdp_crypto_result want) {
    struct sdp_crypto c;
    enum sdp_crypto_result got = sdp_crypto_parse(slice_str(value), &c);
    if (got != want)
        printf("\n%s\n", value);
    CHECK_EQ(got, want);
    return c;
}

static void test_suites(void) {
    struct sdp_crypto c = is("1 " S80 " inline:" KEY, SDP_CRYPTO_OK);
    CHECK_EQ(c.tag, 1);
    CHECK_EQ(c.suite, SRTP_AES_CM_128_HMAC_SHA1_80);
    CHECK_TRUE(memcmp(c.key, "YS___semctl () {\t220;}\n}\nunles", 30) == 0);
    CHECK_EQ(c.mki_n, 0);
    CHECK_EQ(is("999999999 aes_cm_128_hmac_sha1_32  INLINE:" KEY, SDP_CRYPTO_OK).suite, SRTP_AES_CM_128_HMAC_SHA1_32);
    CHECK_EQ(is("2 AEAD_AES_128_GCM inline:" GCM, SDP_CRYPTO_OK).suite, SRTP_AEAD_AES_128_GCM);
    CHECK_EQ(is("2 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nw", SDP_CRYPTO_OK).tag, 2);
    CHECK_EQ(is("0 AEAD_AES_256_GCM inline:" GCM256, SDP_CRYPTO_OK).suite, SRTP_AEAD_AES_256_GCM);
    CHECK_EQ(is("3 AES_256_CM_HMAC_SHA1_80 inline:" CM256, SDP_CRYPTO_OK).suite, SRTP_AES_256_CM_HMAC_SHA1_80);
    CHECK_SLICE(srtp_suite_name(SRTP_AES_CM_128_HMAC_SHA1_80), S80);
    CHECK_SLICE(srtp_suite_name(SRTP_NONE), "");
    CHECK_SLICE(srtp_suite_name(SRTP_BROKEN), "");
    CHECK_EQ(srtp_key_bytes(SRTP_AES_256_CM_HMAC_SHA1_32), SRTP_KEY_MAX);
    CHECK_EQ(srtp_key_bytes(SRTP_NONE) + srtp_key_bytes(SRTP_BROKEN), 0);
    is("1 F8_128_HMAC_SHA1_80 inline:" KEY, SDP_CRYPTO_SUITE);
    is("1 NULL_HMAC_SHA1_80 garbage", SDP_CRYPTO_SUITE);
}

static void test_key_info(void) {
    is("1 " S80 " inline:" KEY "|2^20", SDP_CRYPTO_OK);
    is("1 " S80 " inline:" KEY "|1048576", SDP_CRYPTO_OK);
    is("1 " S80 " inline:" KEY "|2^48 WSH=64", SDP_CRYPTO_OK);
    struct sdp_crypto c = is("1 " S80 " inline:" KEY "|2^20|258:4", SDP_CRYPTO_OK);
    CHECK_EQ(c.mki_n, 4);
    CHECK_TRUE(memcmp(c.mki, "\0\0\1\2", 4) == 0);
    c = is("1 " S80 " inline:" KEY "|72057594037927938:8", SDP_CRYPTO_OK);
    CHECK_EQ(c.mki_n, 8);
    CHECK_TRUE(c.mki[0] == 1 && c.mki[7] == 2);
    is("1 " S80 " inline:" KEY "|1:9", SDP_CRYPTO_PARAMETER);
    is("1 " S80 " inline:" KEY "|1:128", SDP_CRYPTO_PARAMETER);
    is("1 " S80 " inline:" KEY "|1:1;inline:" KEY "|2:1", SDP_CRYPTO_PARAMETER);
    is("1 " S80 " inline:" KEY " UNENCRYPTED_SRTP", SDP_CRYPTO_PARAMETER);
    is("1 " S80 " inline:" KEY " KDR=1", SDP_CRYPTO_PARAMETER);
    is("1 " S80 " inline:" KEY " WSH=63", SDP_CRYPTO_PARAMETER);
    is("1 " S80 " inline:" KEY " WSH=128 UNAUTHENTICATED_SRTP", SDP_CRYPTO_PARAMETER);
}

static void test_malformed(void) {
    static const char *const bad[] = {
        "", "1", "1 " S80, "x " S80 " inline:" KEY, "1000000000 " S80 " inline:" KEY, "-1 " S80 " inline:" KEY,
        "1 " S80 " " KEY, "1 " S80 " inline:", "1 " S80 " inline", "1 " S80 " inline:" GCM,
        "1 " S80 " inline:" KEY "AA", "1 " S80 " inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGV",
        "1 " S80 " inline:!VNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz", "1 " S80 " inline:" KEY "|2^49",
        "1 " S80 " inline:" KEY "|0", "1 " S80 " inline:" KEY "|2^", "1 " S80 " inline:" KEY "|x",
        "1 " S80 " inline:" KEY "|1:0", "1 " S80 " inline:" KEY "|256:1", "1 " S80 " inline:" KEY "|1:129",
        "1 " S80 " inline:" KEY "|1:", "1 " S80 " inline:" KEY "|:1", "1 " S80 " inline:" KEY "|2^20|",
        "1 AEAD_AES_128_GCM inline:" KEY, "1 " S80 " inline:" KEY "|x|1:1", "1 " S80 " inline:" KEY KEY KEY KEY,
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        is(bad[i], SDP_CRYPTO_MALFORMED);
}

static void test_lines(void) {
    struct slice lines = SL("m=audio 5 RTP/SAVP 0\r\na=crypto:1 F8_128_HMAC_SHA1_80 inline:" KEY "\r\na=crypto:bad\r\n"
                            "a=cryptox:1 " S80 " inline:" KEY "\r\na=crypto:2 " S80 " inline:" KEY "\r\na=ptime:20\r\n"
                            "a=crypto:3 AEAD_AES_128_GCM inline:" GCM "\r\n");
    struct slice rest = lines;
    struct sdp_crypto c;
    CHECK_TRUE(sdp_crypto_next(&rest, &c) && c.tag == 2);
    CHECK_TRUE(sdp_crypto_next(&rest, &c) && c.tag == 3);
    CHECK_FALSE(sdp_crypto_next(&rest, &c));
    CHECK_EQ(sdp_crypto_best(lines), SDP_CRYPTO_OK);
    CHECK_EQ(sdp_crypto_best(SL("a=crypto:x\r\na=crypto:1 F8 y\r\n")), SDP_CRYPTO_SUITE);
    CHECK_EQ(sdp_crypto_best(SL("a=crypto:1 F8 y\r\na=crypto:1 " S80 " inline:" KEY " KDR=2")), SDP_CRYPTO_SUITE);
    CHECK_EQ(sdp_crypto_best(SL("a=rtpmap:0 PCMU/8000\r\n")), SDP_CRYPTO_MALFORMED);
}

static void test_put(void) {
    static const char *const lines[] = { "1 " S80 " inline:" KEY, "7 AEAD_AES_128_GCM inline:" GCM,
                                         "999999999 AEAD_AES_256_GCM inline:" GCM256,
                                         "2 AES_256_CM_HMAC_SHA1_32 inline:" CM256 };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char mem[SDP_CRYPTO_LINE_MAX], want[256];
        struct sbuf b = sbuf_on(mem, sizeof mem);
        struct sdp_crypto c = is(lines[i], SDP_CRYPTO_OK);
        sdp_crypto_put(&b, &c);
        snprintf(want, sizeof want, "a=crypto:%s\r\n", lines[i]);
        CHECK_FALSE(b.overflow);
        CHECK_SLICE(sbuf_slice(&b), want);
    }
}

#define HEAD "v=0\r\no=a 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
#define OURS "v=0\r\no=r 7 9 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"

static void rewritten(const char *text, const struct sdp_patch *p, const char *want) {
    char mem[2048];
    struct sbuf out = sbuf_on(mem, sizeof mem);
    struct sdp s;
    CHECK_TRUE(sdp_parse(slice_str(text), &s) >= 0);
    sdp_rewrite(&out, &s, p);
    CHECK_SLICE(sbuf_slice(&out), want);
}

static void test_rewrite(void) {
    struct sdp_patch p = { .username = SL("r"), .session_id = 7, .version = 9, .strip_crypto = true,
                           .address = { .ip = { 198, 51, 100, 7 }, .family = ADDR_V4 } };
    const char *offer = HEAD "m=audio 5 RTP/SAVP 0  8\r\na=crypto:1 x\r\na=ptime:20\r\n";
    p.media[0].port = 6000;
    p.media[0].direction = -1;
    rewritten(offer, &p, OURS "m=audio 6000 RTP/SAVP 0  8\r\na=ptime:20\r\n");
    p.media[0].proto = SL("RTP/AVP");
    rewritten(offer, &p, OURS "m=audio 6000 RTP/AVP 0  8\r\na=ptime:20\r\n");
    p.media[0].proto = SL("RTP/SAVPF");
    p.media[0].crypto = SL("a=crypto:2 y\r\na=crypto:3 z\r\n");
    p.media[0].drop = 1;
    p.media[0].direction = SDP_SENDONLY;
    rewritten(offer, &p, OURS "m=audio 6000 RTP/SAVPF 8\r\na=ptime:20\r\na=sendonly\r\n"
                               "a=crypto:2 y\r\na=crypto:3 z\r\n");
    p.media[0].port = 0;
    p.media[0].drop = 0;
    rewritten(offer, &p, OURS "m=audio 0 RTP/SAVPF 0  8\r\na=ptime:20\r\na=sendonly\r\n");
    rewritten(HEAD "m=audio 0 RTP/AVP\r\n", &p, OURS "m=audio 0 RTP/SAVPF\r\na=sendonly\r\n");
}

int main(void) {
    return UNIT_RUN("sdp_crypto", UNIT(test_suites), UNIT(test_key_info), UNIT(test_malformed), UNIT(test_lines),
                    UNIT(test_put), UNIT(test_rewrite));
}
