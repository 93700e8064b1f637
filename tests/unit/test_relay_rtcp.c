/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/relay_rig.h"

#define BLOCK 28                  /* of the first report block of a sender report */

static void put_header(struct rig *r, uint8_t count, uint8_t type, uint32_t words, uint32_t ssrc) {
    uint8_t *p = r->packet + r->n;
    memset(p, 0, 4 + 4 * words);
    p[0] = (uint8_t)(0x80 | count);
    p[1] = type;
    rtp_put16(p + 2, (uint16_t)words);
    rtp_put32(p + RTCP_SSRC_AT, ssrc);
    r->n += 4 + 4 * words;
}

/* A sender report with one block about `about`, and SDES. */
static void write_sr(struct rig *r, uint32_t ssrc, uint32_t ts, uint32_t about) {
    r->n = 0;
    put_header(r, 1, RTCP_SR, 12, ssrc);
    rtp_put32(r->packet + RTCP_SR_TIMESTAMP_AT, ts);
    rtp_put32(r->packet + RTCP_SR_PACKETS_AT, 50);
    rtp_put32(r->packet + RTCP_SR_OCTETS_AT, 8000);
    rtp_put32(r->packet + BLOCK, about);
    rtp_put32(r->packet + BLOCK + RTCP_BLOCK_SEQ_AT, 0x00020003);
    put_header(r, 1, RTCP_SDES, 3, ssrc);
}

static enum relay_drop report(struct rig *r, uint32_t stream) {
    return arrive(r, stream, true, at(stream, 4001));
}

static uint32_t word(const struct rig *r, size_t offset) {
    return rtp_get32(r->packet + offset);
}

static void test_first_source_is_untouched(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    uint8_t before[512];
    for (int heard_rtp = 0; heard_rtp < 2; heard_rtp++) {
        write_sr(&r, 0xa, 160, 0xb);
        memcpy(before, r.packet, r.n);
        CHECK_EQ(report(&r, 0), RELAY_FORWARD);
        CHECK_EQ(memcmp(before, r.packet, r.n), 0);
        CHECK_EQ(r.verdict.out_stream, 1);
        CHECK_TRUE(r.verdict.out_rtcp_port);
        CHECK_EQ(r.verdict.dst.port, 4001);
        say(&r, 0, (struct sent){ 1, 160, 0xa });
        say(&r, 1, (struct sent){ 1, 160, 0xb });
    }
    CHECK_EQ(relay_counters(&r.relay, 1).packets_out, 4);
    CHECK_EQ(relay_counters(&r.relay, 1).first_out_us, r.now);
}

/* 0 talked with 1 and then talks with 2. */
static struct rig spliced(void) {
    struct rig r = rig_new();
    open_parties(&r, 3);
    join(&r, 0, 1);
    for (uint16_t i = 0; i < 10; i++) {
        say(&r, 0, (struct sent){ i, i * 160u, 0xa });
        say(&r, 1, (struct sent){ (uint16_t)(100 + i), i * 160u, 0xb });
        r.now += FRAME_US;
    }
    join(&r, 0, 2);
    return r;
}

/* T-7.7: RTCP follows the splice. */
static void test_sender_report_after_splice(void) {
    struct rig r = spliced();
    write_sr(&r, 0xc, 5000, 0xa);
    CHECK_EQ(report(&r, 2), RELAY_DROP_RTCP);
    write_sr(&r, 0xb, 5000, 0xa);
    CHECK_EQ(report(&r, 2), RELAY_DROP_RTCP);
    say(&r, 2, (struct sent){ 7000, 5000, 0xc });
    CHECK_HEARD(&r, 110, 1600, 0xb, 1);
    say(&r, 0, (struct sent){ 10, 1600, 0xa });
    write_sr(&r, 0xc, 5160, 0xa);
    CHECK_EQ(report(&r, 2), RELAY_FORWARD);
    CHECK_EQ(word(&r, RTCP_SSRC_AT), 0xb);
    CHECK_EQ(word(&r, RTCP_SR_TIMESTAMP_AT), 1760);
    CHECK_EQ(word(&r, RTCP_SR_PACKETS_AT), 60);
    CHECK_EQ(word(&r, RTCP_SR_OCTETS_AT), 8000 + 10 * 160);
    CHECK_EQ(word(&r, BLOCK), 0xa);
    CHECK_EQ(word(&r, 52 + RTCP_SSRC_AT), 0xb);
    write_sr(&r, 0xdead, 5160, 0xa);
    CHECK_EQ(report(&r, 2), RELAY_DROP_RTCP);
}

/* What 0 says about 0xb is about what 2 really sends. */
static void test_report_block_is_mapped_back(void) {
    struct rig r = spliced();
    say(&r, 2, (struct sent){ 7000, 5000, 0xc });
    say(&r, 0, (struct sent){ 10, 1600, 0xa });
    write_sr(&r, 0xa, 1600, 0xb);
    rtp_put32(r.packet + BLOCK + RTCP_BLOCK_SEQ_AT, 110);
    CHECK_EQ(report(&r, 0), RELAY_FORWARD);
    CHECK_EQ(r.verdict.out_stream, 2);
    CHECK_EQ(word(&r, RTCP_SSRC_AT), 0xa);
    CHECK_EQ(word(&r, BLOCK), 0xc);
    CHECK_EQ(word(&r, BLOCK + RTCP_BLOCK_SEQ_AT), 7000);
    write_sr(&r, 0xa, 1600, 0x999);
    CHECK_EQ(report(&r, 0), RELAY_FORWARD);
    CHECK_EQ(word(&r, BLOCK), 0x999);
    CHECK_EQ(word(&r, BLOCK + RTCP_BLOCK_SEQ_AT), 0x00020003);
}

static void test_receiver_report_and_feedback(void) {
    struct rig r = spliced();
    r.n = 0;
    put_header(&r, 0, RTCP_RR, 1, 0x77);
    CHECK_EQ(report(&r, 2), RELAY_FORWARD);
    CHECK_EQ(word(&r, RTCP_SSRC_AT), 0xb);
    say(&r, 2, (struct sent){ 7000, 5000, 0xc });
    r.n = 0;
    put_header(&r, 1, RTCP_PSFB, 2, 0xa);
    rtp_put32(r.packet + 8, 0xb);
    CHECK_EQ(report(&r, 0), RELAY_FORWARD);
    CHECK_EQ(word(&r, RTCP_SSRC_AT), 0xa);
    CHECK_EQ(word(&r, 8), 0xc);
}

static void test_bye(void) {
    struct rig r = spliced();
    say(&r, 2, (struct sent){ 7000, 5000, 0xc });
    r.n = 0;
    put_header(&r, 0, RTCP_RR, 1, 0xc);
    put_header(&r, 2, RTCP_BYE, 2, 0x123);
    rtp_put32(r.packet + 16, 0xc);
    CHECK_EQ(report(&r, 2), RELAY_FORWARD);
    CHECK_EQ(word(&r, 8 + RTCP_SSRC_AT), 0x123);
    CHECK_EQ(word(&r, 16), 0xb);
    r.n = 0;
    put_header(&r, 0, RTCP_RR, 1, 0xb);
    put_header(&r, 1, RTCP_BYE, 1, 0xb);
    CHECK_EQ(report(&r, 1), RELAY_DROP_NO_ROUTE);
}

static void test_mux(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    struct media_cmd mux = remote_of(1);
    mux.rtcp_mux = true;
    mux.rtcp = (struct addr){ 0 };
    CHECK_TRUE(command(&r, mux));
    write_sr(&r, 0xa, 1, 0xb);
    CHECK_EQ(report(&r, 0), RELAY_FORWARD);
    CHECK_FALSE(r.verdict.out_rtcp_port);
    CHECK_EQ(r.verdict.dst.port, 4000);
    write_sr(&r, 0xb, 1, 0xa);
    CHECK_EQ(arrive(&r, 1, false, at(1, 4000)), RELAY_FORWARD);
    CHECK_TRUE(r.verdict.out_rtcp_port);
    CHECK_EQ(r.verdict.dst.port, 4001);
    CHECK_EQ(report(&r, 1), RELAY_DROP_SOURCE);
}

static void test_latch_of_rtcp(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    put_behind_nat(&r);
    write_sr(&r, 0xa, 1, 0xb);
    CHECK_EQ(arrive(&r, 0, false, at(50, 4001)), RELAY_DROP_SOURCE);
    CHECK_EQ(arrive(&r, 0, true, at(66, 4001)), RELAY_DROP_SOURCE);
    CHECK_EQ(arrive(&r, 0, true, at(0, 4003)), RELAY_FORWARD);
    CHECK_EQ(rtp_from(&r, 0, at(50, 999), (struct sent){ 0, 1, 0xa }), RELAY_DROP_SOURCE);
    CHECK_EQ(rtp_from(&r, 0, at(50, 999), (struct sent){ 1, 1, 0xa }), RELAY_FORWARD);
    write_sr(&r, 0xa, 1, 0xb);
    CHECK_EQ(arrive(&r, 0, true, at(0, 4003)), RELAY_DROP_SOURCE);
    CHECK_EQ(arrive(&r, 0, true, at(50, 1000)), RELAY_FORWARD);
    CHECK_EQ(arrive(&r, 0, true, at(50, 1001)), RELAY_DROP_SOURCE);
    write_sr(&r, 0xb, 1, 0xa);
    CHECK_EQ(report(&r, 1), RELAY_FORWARD);
    CHECK_EQ(r.verdict.dst.ip[3], 50);
    CHECK_EQ(r.verdict.dst.port, 1000);
}

/* RTCP on the RTP port is no reason to believe that RTP comes from there. */
static void test_stray_rtcp_teaches_nothing(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    write_sr(&r, 0xa, 1, 0xb);
    CHECK_EQ(arrive(&r, 0, false, at(0, 4001)), RELAY_DROP_SOURCE);
    CHECK_EQ(arrive(&r, 0, false, at(0, 4000)), RELAY_FORWARD);
    CHECK_EQ(rtp_from(&r, 0, at(0, 5000), (struct sent){ 0, 1, 0xa }), RELAY_DROP_SOURCE);
    CHECK_EQ(rtp_from(&r, 0, at(0, 5000), (struct sent){ 1, 1, 0xa }), RELAY_FORWARD);
}

static void test_echo_report(void) {
    struct rig r = rig_new();
    open_parties(&r, 1);
    route(&r, 0, 0);
    say(&r, 0, (struct sent){ 7, 70, 0xa });
    uint32_t ours = heard(&r).ssrc;
    write_sr(&r, 0xa, 70, ours);
    CHECK_EQ(report(&r, 0), RELAY_FORWARD);
    CHECK_EQ(word(&r, RTCP_SSRC_AT), ours);
    CHECK_EQ(word(&r, BLOCK), 0xa);
}

static void test_truncated(void) {
    struct rig r = spliced();
    say(&r, 2, (struct sent){ 7000, 5000, 0xc });
    for (size_t n = 0; n < 68; n++) {
        write_sr(&r, 0xc, 5000, 0xa);
        r.n = n;
        CHECK_EQ(report(&r, 2), n < 52 ? RELAY_DROP_MALFORMED : RELAY_FORWARD);
    }
    r.n = 0;
    put_header(&r, 0, RTCP_SR, 1, 0xc);
    CHECK_EQ(report(&r, 2), RELAY_DROP_MALFORMED);
}

int main(void) {
    return UNIT_RUN("relay_rtcp", UNIT(test_first_source_is_untouched), UNIT(test_sender_report_after_splice),
                    UNIT(test_report_block_is_mapped_back), UNIT(test_receiver_report_and_feedback), UNIT(test_bye),
                    UNIT(test_mux), UNIT(test_latch_of_rtcp), UNIT(test_stray_rtcp_teaches_nothing),
                    UNIT(test_echo_report), UNIT(test_truncated));
}
