/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * srtp_io against libsrtp2 at the other end, as a phone has it.
 */
#include "core/runtime/srtp_io.h"
#include "parser/sdp_crypto.h"
#include "rtp/rtp_packet.h"
#include "tests/unit/unit.h"

#include <srtp2/srtp.h>

#define STREAM 1
#define PAYLOAD 20
#define PLAIN (RTP_HEADER_MIN + PAYLOAD)

static const uint8_t report[8] = { 0x80, RTCP_RR, 0, 1, 0, 0, 0, 9 };

/* What a phone is told of one suite. */
static void policy_of(srtp_policy_t *p, enum srtp_suite suite, uint8_t *key, bool sends) {
    *p = (srtp_policy_t){ .key = key, .window_size = 128 };
    p->ssrc.type = sends ? ssrc_any_outbound : ssrc_any_inbound;
    switch (suite) {
    case SRTP_AES_CM_128_HMAC_SHA1_32: srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&p->rtp); break;
    case SRTP_AES_256_CM_HMAC_SHA1_80: srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&p->rtp); break;
    case SRTP_AES_256_CM_HMAC_SHA1_32: srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(&p->rtp); break;
    case SRTP_AEAD_AES_128_GCM: srtp_crypto_policy_set_aes_gcm_128_16_auth(&p->rtp); break;
    case SRTP_AEAD_AES_256_GCM: srtp_crypto_policy_set_aes_gcm_256_16_auth(&p->rtp); break;
    default: srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p->rtp);
    }
    p->rtcp = p->rtp;
    if (p->rtp.auth_tag_len == 4)
        p->rtcp.auth_tag_len = 10;
}

struct rig {
    struct srtp_io x;
    struct media_cmd cmd;
    uint8_t theirs[SRTP_KEY_MAX], ours[SRTP_KEY_MAX];
    srtp_t sends, hears;          /* the phone's */
    uint8_t bytes[2048];
    size_t n;
};

static void phone_begins(struct rig *r) {
    srtp_policy_t p;
    enum srtp_suite suite = (enum srtp_suite)r->cmd.keys.suite;
    policy_of(&p, suite, r->theirs, true);
    CHECK_EQ(srtp_create(&r->sends, &p), srtp_err_status_ok);
    policy_of(&p, suite, r->ours, false);
    CHECK_EQ(srtp_create(&r->hears, &p), srtp_err_status_ok);
}

static void phone_ends(struct rig *r) {
    srtp_dealloc(r->sends);
    srtp_dealloc(r->hears);
}

static void command(struct rig *r, enum media_verb verb) {
    r->cmd.verb = verb;
    r->cmd.stream = STREAM;
    memcpy(r->cmd.keys.in, r->theirs, sizeof r->theirs);
    memcpy(r->cmd.keys.out, r->ours, sizeof r->ours);
    srtp_io_command(&r->x, &r->cmd);
}

static void rig_begin(struct rig *r, enum srtp_suite suite) {
    memset(r, 0, sizeof *r);
    CHECK_TRUE(srtp_io_open(&r->x, 3));
    for (unsigned i = 0; i < srtp_key_bytes(suite); i++) {
        r->theirs[i] = (uint8_t)(i + 1);
        r->ours[i] = (uint8_t)(200 - i);
    }
    r->cmd.keys.suite = (uint8_t)suite;
    phone_begins(r);
    command(r, MEDIA_SRTP);
}

static void rig_end(struct rig *r) {
    phone_ends(r);
    srtp_io_close(&r->x);
}

static void packet(struct rig *r, uint32_t ssrc, uint16_t seq) {
    memset(r->bytes, 0x55, PLAIN);
    r->bytes[0] = 0x80;
    r->bytes[1] = 0;
    rtp_put16(r->bytes + 2, seq);
    rtp_put32(r->bytes + 4, seq * 160u);
    rtp_put32(r->bytes + 8, ssrc);
    r->n = PLAIN;
}

static bool is_plain(const struct rig *r, uint16_t seq) {
    bool same = r->n == PLAIN && rtp_get16(r->bytes + 2) == seq;
    for (unsigned i = RTP_HEADER_MIN; same && i < PLAIN; i++)
        same = r->bytes[i] == 0x55;
    return same;
}

/* A packet of the phone, as it is on the wire. */
static void from_phone(struct rig *r, uint32_t ssrc, uint16_t seq) {
    packet(r, ssrc, seq);
    int n = (int)r->n;
    CHECK_EQ(srtp_protect(r->sends, r->bytes, &n), srtp_err_status_ok);
    r->n = (size_t)n;
}

static bool heard_from_phone(struct rig *r, uint32_t ssrc, uint16_t seq) {
    from_phone(r, ssrc, seq);
    return srtp_io_in(&r->x, STREAM, r->bytes, &r->n) && is_plain(r, seq);
}

static bool phone_hears(struct rig *r, uint32_t ssrc, uint16_t seq) {
    packet(r, ssrc, seq);
    if (!srtp_io_out(&r->x, STREAM, r->bytes, &r->n) || is_plain(r, seq))
        return false;
    int n = (int)r->n;
    if (srtp_unprotect(r->hears, r->bytes, &n) != srtp_err_status_ok)
        return false;
    r->n = (size_t)n;
    return is_plain(r, seq);
}

/* What the stream is to go on from, as the engine would have it in its record. */
static bool told(struct rig *r) {
    uint32_t stream;
    return srtp_io_changed(&r->x, &stream, &r->cmd.keys.in_roc, &r->cmd.keys.out_roc) && stream == STREAM;
}

static void test_suites(void) {
    static const uint8_t tag[] = { [SRTP_AES_CM_128_HMAC_SHA1_80] = 10, [SRTP_AES_CM_128_HMAC_SHA1_32] = 4,
                                   [SRTP_AES_256_CM_HMAC_SHA1_80] = 10, [SRTP_AES_256_CM_HMAC_SHA1_32] = 4,
                                   [SRTP_AEAD_AES_128_GCM] = 16, [SRTP_AEAD_AES_256_GCM] = 16 };
    for (unsigned suite = SRTP_NONE + 1; suite < SRTP_BROKEN; suite++) {
        struct rig r;
        rig_begin(&r, (enum srtp_suite)suite);
        from_phone(&r, 7, 1);
        CHECK_EQ(r.n, PLAIN + tag[suite]);
        CHECK_TRUE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n) && is_plain(&r, 1));
        CHECK_TRUE(heard_from_phone(&r, 7, 2));
        CHECK_TRUE(phone_hears(&r, 9, 65535));
        CHECK_TRUE(phone_hears(&r, 9, 0));
        rig_end(&r);
    }
}

static void test_plain(void) {
    struct rig r;
    rig_begin(&r, SRTP_AES_CM_128_HMAC_SHA1_80);
    packet(&r, 7, 1);
    CHECK_TRUE(srtp_io_in(&r.x, 0, r.bytes, &r.n) && is_plain(&r, 1));
    CHECK_TRUE(srtp_io_out(&r.x, 0, r.bytes, &r.n) && is_plain(&r, 1));
    CHECK_FALSE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n));
    r.cmd.keys.suite = SRTP_BROKEN;
    command(&r, MEDIA_SRTP);
    packet(&r, 7, 1);
    CHECK_FALSE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n));
    CHECK_FALSE(srtp_io_out(&r.x, STREAM, r.bytes, &r.n));
    r.cmd.keys.suite = SRTP_NONE;
    command(&r, MEDIA_SRTP);
    CHECK_TRUE(srtp_io_out(&r.x, STREAM, r.bytes, &r.n) && is_plain(&r, 1));
    r.cmd.keys.suite = SRTP_AES_CM_128_HMAC_SHA1_80;
    command(&r, MEDIA_SRTP);
    CHECK_FALSE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n));
    command(&r, MEDIA_CLOSE);
    CHECK_TRUE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n) && is_plain(&r, 1));
    rig_end(&r);
}

/* Wrong key, a bit turned, sent again, cut short, too long: none passes, and the next good one does. */
static void test_forged(void) {
    struct rig r;
    rig_begin(&r, SRTP_AES_CM_128_HMAC_SHA1_80);
    CHECK_TRUE(heard_from_phone(&r, 7, 1));
    from_phone(&r, 7, 2);
    uint8_t copy[128];
    size_t n = r.n;
    memcpy(copy, r.bytes, n);
    for (size_t i = 0; i < n; i++) {
        memcpy(r.bytes, copy, n);
        r.bytes[i] ^= 0x40;
        r.n = n;
        CHECK_FALSE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n));
    }
    for (r.n = 0; r.n < n; r.n++) {
        size_t left = r.n;
        memcpy(r.bytes, copy, n);
        CHECK_FALSE(srtp_io_in(&r.x, STREAM, r.bytes, &left));
    }
    memcpy(r.bytes, copy, n);
    CHECK_TRUE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n) && is_plain(&r, 2));
    memcpy(r.bytes, copy, n);
    r.n = n;
    CHECK_FALSE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n));
    packet(&r, 7, 3);
    r.n = SRTP_IO_PACKET_MAX + 1;
    CHECK_FALSE(srtp_io_out(&r.x, STREAM, r.bytes, &r.n));
    CHECK_TRUE(heard_from_phone(&r, 7, 4));
    rig_end(&r);
}

static void test_rtcp(void) {
    struct rig r;
    rig_begin(&r, SRTP_AES_CM_128_HMAC_SHA1_32);
    int n = sizeof report;
    memcpy(r.bytes, report, sizeof report);
    CHECK_EQ(srtp_protect_rtcp(r.sends, r.bytes, &n), srtp_err_status_ok);
    CHECK_EQ(n, 8 + 4 + 10);
    r.n = (size_t)n;
    CHECK_TRUE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n));
    CHECK_TRUE(r.n == sizeof report && memcmp(r.bytes, report, sizeof report) == 0);
    CHECK_TRUE(srtp_io_out(&r.x, STREAM, r.bytes, &r.n));
    CHECK_EQ(r.n, 8 + 4 + 10);
    n = (int)r.n;
    CHECK_EQ(srtp_unprotect_rtcp(r.hears, r.bytes, &n), srtp_err_status_ok);
    CHECK_TRUE(n == sizeof report && memcmp(r.bytes, report, sizeof report) == 0);
    memcpy(r.bytes, report, sizeof report);
    r.n = sizeof report;
    CHECK_FALSE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n));
    rig_end(&r);
}

/* The same keys once more: what was heard is not heard again. */
static void test_same_keys_go_on(void) {
    struct rig r;
    rig_begin(&r, SRTP_AES_CM_128_HMAC_SHA1_80);
    uint8_t copy[128];
    from_phone(&r, 7, 1);
    size_t n = r.n;
    memcpy(copy, r.bytes, n);
    CHECK_TRUE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n));
    command(&r, MEDIA_SRTP);
    memcpy(r.bytes, copy, n);
    r.n = n;
    CHECK_FALSE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n));
    CHECK_TRUE(heard_from_phone(&r, 7, 2));
    rig_end(&r);
}

static bool phone_hears_report(struct rig *r) {
    memcpy(r->bytes, report, sizeof report);
    r->n = sizeof report;
    if (!srtp_io_out(&r->x, STREAM, r->bytes, &r->n))
        return false;
    int n = (int)r->n;
    return srtp_unprotect_rtcp(r->hears, r->bytes, &n) == srtp_err_status_ok;
}

/* The index of a report is not used again: for a phone that has heard some, what a new owner sends is new. */
static void test_reports_resumed(void) {
    struct rig r;
    rig_begin(&r, SRTP_AES_CM_128_HMAC_SHA1_80);
    CHECK_TRUE(phone_hears(&r, 9, 1));
    for (unsigned i = 0; i < 1000; i++)
        CHECK_TRUE(phone_hears_report(&r));
    srtp_io_close(&r.x);
    CHECK_TRUE(srtp_io_open(&r.x, 3));
    r.cmd.keys.resumed = true;
    command(&r, MEDIA_SRTP);
    unsigned packets = 0;
    while (packets < 1000 && !phone_hears_report(&r))
        CHECK_TRUE(phone_hears(&r, 9, (uint16_t)(2 + packets++)));
    CHECK_TRUE(packets > 0 && packets <= SRTP_IO_RTCP_SKIP / 8);
    CHECK_TRUE(phone_hears_report(&r));
    rig_end(&r);
}

static void wrap(struct rig *r, unsigned times) {
    for (unsigned i = 0; i <= times * 4; i++) {
        CHECK_TRUE(heard_from_phone(r, 7, (uint16_t)(i * 16384)));
        CHECK_TRUE(phone_hears(r, 9, (uint16_t)(i * 16384)));
    }
}

/* A daemon that dies and comes back, or another that takes the call: what is told in time is enough, and so is what was
 * told one round too early. */
static void test_counters_survive(void) {
    for (unsigned behind = 0; behind < 2; behind++) {
        struct rig r;
        rig_begin(&r, SRTP_AES_CM_128_HMAC_SHA1_80);
        CHECK_TRUE(heard_from_phone(&r, 7, 1));
        CHECK_FALSE(told(&r));
        wrap(&r, 3);
        CHECK_TRUE(told(&r));
        CHECK_FALSE(told(&r));
        CHECK_EQ(r.cmd.keys.in_roc.ssrc, 7);
        CHECK_EQ(r.cmd.keys.in_roc.roc, 3);
        CHECK_EQ(r.cmd.keys.out_roc.ssrc, 9);
        CHECK_EQ(r.cmd.keys.out_roc.roc, 3);
        srtp_io_close(&r.x);
        CHECK_TRUE(srtp_io_open(&r.x, 3));
        r.cmd.keys.in_roc.roc -= behind;
        command(&r, MEDIA_SRTP);
        CHECK_TRUE(heard_from_phone(&r, 7, 20));
        CHECK_TRUE(heard_from_phone(&r, 7, 19));
        CHECK_TRUE(phone_hears(&r, 9, 20));
        CHECK_EQ(told(&r), behind == 1);
        CHECK_TRUE(heard_from_phone(&r, 8, 40000));
        rig_end(&r);
    }
}

/* Without what was told, a source that is further than its first round is not understood. */
static void test_counters_lost(void) {
    struct rig r;
    rig_begin(&r, SRTP_AES_CM_128_HMAC_SHA1_80);
    wrap(&r, 1);
    srtp_io_close(&r.x);
    CHECK_TRUE(srtp_io_open(&r.x, 3));
    command(&r, MEDIA_SRTP);
    CHECK_FALSE(heard_from_phone(&r, 7, 20));
    CHECK_FALSE(phone_hears(&r, 9, 20));
    rig_end(&r);
}

/* A new key of the phone: it begins at 0 again, or goes on with the round it is in; ours go on. */
static void test_new_key(void) {
    for (unsigned goes_on = 0; goes_on < 2; goes_on++) {
        struct rig r;
        rig_begin(&r, SRTP_AEAD_AES_128_GCM);
        wrap(&r, 2);
        CHECK_TRUE(told(&r));
        r.theirs[0] ^= 1;
        srtp_dealloc(r.sends);
        srtp_policy_t p;
        policy_of(&p, SRTP_AEAD_AES_128_GCM, r.theirs, true);
        CHECK_EQ(srtp_create(&r.sends, &p), srtp_err_status_ok);
        if (goes_on) {
            p.ssrc = (srtp_ssrc_t){ .type = ssrc_specific, .value = 7 };
            CHECK_EQ(srtp_add_stream(r.sends, &p), srtp_err_status_ok);
            CHECK_EQ(srtp_set_stream_roc(r.sends, 7, 2), srtp_err_status_ok);
        }
        command(&r, MEDIA_SRTP);
        CHECK_TRUE(heard_from_phone(&r, 7, 5));
        CHECK_TRUE(phone_hears(&r, 9, 5));
        CHECK_EQ(told(&r), goes_on);
        CHECK_EQ(r.cmd.keys.in_roc.roc, 2);
        rig_end(&r);
    }
}

static void test_mki(void) {
    struct rig r;
    rig_begin(&r, SRTP_AES_CM_128_HMAC_SHA1_80);
    r.cmd.keys.mki_n = 2;
    r.cmd.keys.mki[1] = 5;
    command(&r, MEDIA_SRTP);
    srtp_master_key_t key = { .key = r.theirs, .mki_id = (unsigned char *)"\0\5", .mki_size = 2 }, *keys[] = { &key };
    srtp_policy_t p;
    policy_of(&p, SRTP_AES_CM_128_HMAC_SHA1_80, NULL, true);
    p.keys = keys;
    p.num_master_keys = 1;
    srtp_dealloc(r.sends);
    CHECK_EQ(srtp_create(&r.sends, &p), srtp_err_status_ok);
    packet(&r, 7, 1);
    int n = (int)r.n;
    CHECK_EQ(srtp_protect_mki(r.sends, r.bytes, &n, 1, 0), srtp_err_status_ok);
    r.n = (size_t)n;
    CHECK_EQ(r.n, PLAIN + 2 + 10);
    CHECK_TRUE(srtp_io_in(&r.x, STREAM, r.bytes, &r.n) && is_plain(&r, 1));
    CHECK_TRUE(phone_hears(&r, 9, 1));
    CHECK_FALSE(heard_from_phone(&r, 7, 2));
    rig_end(&r);
}

static void test_many_sources(void) {
    struct rig r;
    rig_begin(&r, SRTP_AES_CM_128_HMAC_SHA1_80);
    for (uint32_t ssrc = 1; ssrc < 5 * SRTP_IO_SOURCES; ssrc++) {
        CHECK_TRUE(heard_from_phone(&r, ssrc, 1));
        CHECK_TRUE(phone_hears(&r, ssrc, 1));
    }
    CHECK_FALSE(told(&r));
    rig_end(&r);
}

int main(void) {
    return UNIT_RUN("srtp_io", UNIT(test_suites), UNIT(test_plain), UNIT(test_forged), UNIT(test_rtcp),
                    UNIT(test_same_keys_go_on), UNIT(test_counters_survive), UNIT(test_counters_lost),
                    UNIT(test_reports_resumed), UNIT(test_new_key), UNIT(test_mki), UNIT(test_many_sources));
}
