/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/reception.h"
#include "rtp/rtp_packet.h"
#include "tests/unit/unit.h"

static void test_parse(void) {
    uint8_t p[32] = { 0x80, 0x80 | 8, 0x12, 0x34, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef };
    struct rtp_view v;
    CHECK_TRUE(rtp_parse(p, 32, &v));
    CHECK_EQ(v.payload_type, 8);
    CHECK_TRUE(v.marker);
    CHECK_EQ(v.seq, 0x1234);
    CHECK_EQ(v.timestamp, 0x01020304);
    CHECK_EQ(v.ssrc, 0xdeadbeef);
    CHECK_EQ(v.header_len, 12);
    CHECK_EQ(v.payload_len, 20);
    CHECK_TRUE(rtp_parse(p, 12, &v));
    CHECK_FALSE(rtp_parse(p, 11, &v));
    p[0] = 0x40;
    CHECK_FALSE(rtp_parse(p, 32, &v));
}

static void test_parse_variable_header(void) {
    uint8_t p[32] = { 0x82, 0 };
    struct rtp_view v;
    CHECK_TRUE(rtp_parse(p, 20, &v));
    CHECK_EQ(v.header_len, 20);
    CHECK_FALSE(rtp_parse(p, 19, &v));
    p[0] = 0x92;
    p[23] = 2;
    CHECK_TRUE(rtp_parse(p, 32, &v));
    CHECK_EQ(v.header_len, 32);
    CHECK_FALSE(rtp_parse(p, 31, &v));
    CHECK_FALSE(rtp_parse(p, 23, &v));
}

static void test_patch(void) {
    uint8_t p[13] = { 0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x77 };
    struct rtp_view v;
    rtp_patch(p, 0xfffe, 0xfffffffd, 0x80000001, true);
    CHECK_TRUE(rtp_parse(p, sizeof p, &v));
    CHECK_EQ(v.seq, 0xfffe);
    CHECK_EQ(v.timestamp, 0xfffffffd);
    CHECK_EQ(v.ssrc, 0x80000001);
    CHECK_EQ(v.payload_type, 96);
    CHECK_TRUE(v.marker);
    rtp_patch(p, 1, 2, 3, false);
    CHECK_TRUE(rtp_parse(p, sizeof p, &v) && v.marker);
    CHECK_EQ(p[0], 0x80);
    CHECK_EQ(p[12], 0x77);
}

static void test_is_rtcp(void) {
    uint8_t p[12] = { 0x80 };
    struct rtp_view v;
    for (unsigned type = 0; type < 256; type++) {
        p[1] = (uint8_t)type;
        CHECK_TRUE(rtp_is_rtcp(p, 12) == (type >= 192 && type <= 223));
        CHECK_TRUE(rtp_parse(p, 12, &v) == !rtp_is_rtcp(p, 12));
    }
    p[1] = 200;
    CHECK_FALSE(rtp_is_rtcp(p, 7));
    p[0] = 0;
    CHECK_FALSE(rtp_is_rtcp(p, 12));
}

static void test_rtcp_walk(void) {
    uint8_t p[28 + 24 + 8 + 8 + 24 + 4] = { 0x81, RTCP_SR, 0, 12, 0, 0, 0, 7 };
    struct rtcp_view v;
    size_t at = 0;
    memcpy(p + 52, (uint8_t[]){ 0x81, RTCP_BYE, 0, 1, 0, 0, 0, 8 }, 8);
    memcpy(p + 60, (uint8_t[]){ 0x9f, RTCP_RR, 0, 7, 0, 0, 0, 9 }, 8);
    CHECK_TRUE(rtcp_next(p, sizeof p, &at, &v));
    CHECK_EQ(v.type, RTCP_SR);
    CHECK_EQ(v.ssrc, 7);
    CHECK_EQ(v.len, 52);
    CHECK_EQ(v.blocks, 1);
    CHECK_EQ(v.blocks_at, 28);
    CHECK_TRUE(rtcp_next(p, sizeof p, &at, &v));
    CHECK_EQ(v.type, RTCP_BYE);
    CHECK_EQ(v.ssrc, 8);
    CHECK_EQ(v.blocks, 0);
    CHECK_TRUE(rtcp_next(p, sizeof p, &at, &v));
    CHECK_EQ(v.type, RTCP_RR);
    CHECK_EQ(v.count, 31);
    CHECK_EQ(v.blocks, 1);
    CHECK_EQ(v.blocks_at, 68);
    CHECK_FALSE(rtcp_next(p, sizeof p, &at, &v));
    at = 0;
    CHECK_FALSE(rtcp_next(p, 51, &at, &v));
    CHECK_EQ(at, 0);
}

static void receive(struct reception *r, uint32_t ssrc, uint16_t seq, uint32_t ts, uint64_t now_us) {
    struct rtp_view v = { .ssrc = ssrc, .seq = seq, .timestamp = ts, .payload_len = 160 };
    reception_add(r, &v, 8000, now_us);
}

static void test_loss(void) {
    struct reception r = { .started = false };
    CHECK_EQ(reception_lost(&r), 0);
    for (uint32_t i = 0; i < 10; i++)
        if (i != 4 && i != 7)
            receive(&r, 1, (uint16_t)(65530 + i), i * 160, 1000000 + i * 20000);
    CHECK_EQ(reception_expected(&r), 10);
    CHECK_EQ(reception_lost(&r), 2);
    receive(&r, 1, (uint16_t)(65530 + 7), 7 * 160, 1300000);
    CHECK_EQ(reception_lost(&r), 1);
    receive(&r, 1, 30000, 0, 1300000);
    CHECK_EQ(reception_expected(&r), 10);
    receive(&r, 1, 30001, 160, 1320000);
    receive(&r, 2, 5, 0, 1340000);
    receive(&r, 2, 8, 480, 1400000);
    CHECK_EQ(reception_expected(&r), 10 + 1 + 4);
    CHECK_EQ(reception_lost(&r), 1 + 2);
    CHECK_EQ(r.octets, 320);
}

static void test_jitter(void) {
    struct reception r = { .started = false };
    for (uint32_t i = 0; i < 50; i++)
        receive(&r, 1, (uint16_t)i, 0xfffff000u + i * 160, 5000000 + i * 20000);
    CHECK_EQ(reception_jitter(&r), 0);
    for (uint32_t i = 50; i < 350; i++)
        receive(&r, 1, (uint16_t)i, 0xfffff000u + i * 160, 5000000 + i * 20000 + (i & 1) * 5000);
    CHECK_TRUE(reception_jitter(&r) >= 38 && reception_jitter(&r) <= 40);
}

static void test_units(void) {
    CHECK_EQ(rtp_units(20000, 8000), 160);
    CHECK_EQ(rtp_units(125, 8000), 1);
    CHECK_EQ(rtp_units(1000000ull * 1000000000, 90000), (uint32_t)(1000000000ull * 90000));
}

static void test_clock_rate(void) {
    CHECK_EQ(rtp_clock_rate(0, 48000), 8000);
    CHECK_EQ(rtp_clock_rate(9, 48000), 8000);
    CHECK_EQ(rtp_clock_rate(18, 48000), 8000);
    CHECK_EQ(rtp_clock_rate(6, 8000), 16000);
    CHECK_EQ(rtp_clock_rate(10, 8000), 44100);
    CHECK_EQ(rtp_clock_rate(34, 8000), 90000);
    CHECK_EQ(rtp_clock_rate(19, 48000), 48000);
    CHECK_EQ(rtp_clock_rate(96, 48000), 48000);
    CHECK_EQ(rtp_clock_rate(127, 16000), 16000);
}

int main(void) {
    return UNIT_RUN("rtp_packet", UNIT(test_parse), UNIT(test_parse_variable_header), UNIT(test_patch),
                    UNIT(test_is_rtcp), UNIT(test_rtcp_walk), UNIT(test_loss), UNIT(test_jitter), UNIT(test_units),
                    UNIT(test_clock_rate));
}
