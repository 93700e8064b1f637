/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/quality.h"
#include "tests/unit/unit.h"

#define HEARD 0x11223344u

/* SR of ssrc 7 with this NTP middle. */
static size_t sender_report(uint8_t *p, uint32_t middle) {
    memset(p, 0, RTCP_SR_LEN);
    p[0] = 0x80;
    p[1] = RTCP_SR;
    rtp_put16(p + 2, RTCP_SR_LEN / 4 - 1);
    rtp_put32(p + 4, 7);
    rtp_put32(p + 10, middle);
    return RTCP_SR_LEN;
}

struct block {
    uint32_t ssrc, lost, jitter, lsr, dlsr;
};

static size_t receiver_report(uint8_t *p, const struct block *b, uint32_t count) {
    p[0] = (uint8_t)(0x80 | count);
    p[1] = RTCP_RR;
    rtp_put16(p + 2, (uint16_t)((RTCP_RR_LEN + count * RTCP_BLOCK_LEN) / 4 - 1));
    rtp_put32(p + 4, 9);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *at = p + RTCP_RR_LEN + i * RTCP_BLOCK_LEN;
        rtp_put32(at, b[i].ssrc);
        rtp_put32(at + 4, b[i].lost);
        rtp_put32(at + 8, 0);
        rtp_put32(at + 12, b[i].jitter);
        rtp_put32(at + 16, b[i].lsr);
        rtp_put32(at + 20, b[i].dlsr);
    }
    return RTCP_RR_LEN + count * RTCP_BLOCK_LEN;
}

static void what_is_heard(void) {
    struct quality q = { .next = 0 };
    uint8_t p[256];
    const struct block blocks[] = { { 5, 0x01000001, 1, 0, 0 }, { HEARD, 0x40fffffe, 80, 0, 0 } };
    quality_heard(&q, p, receiver_report(p, blocks, 1), HEARD, 1);
    CHECK_EQ(q.blocks, 0);
    size_t n = receiver_report(p, blocks, 2);
    quality_heard(&q, p, n, HEARD, 1);
    CHECK_EQ(q.blocks, 1);
    CHECK_EQ(q.fraction, 64);
    CHECK_EQ(q.lost, -2);
    CHECK_EQ(q.jitter, 80);
    CHECK_EQ(q.rtt_us, 0);
    /* A block that is announced and not there. */
    p[0] = 0x83;
    quality_heard(&q, p, n, HEARD, 1);
    CHECK_EQ(q.blocks, 2);
    quality_heard(&q, p, n - 1, HEARD, 1);
    CHECK_EQ(q.blocks, 2);
}

static void round_trip(void) {
    struct quality q = { .next = 0 };
    uint8_t p[256];
    for (uint32_t i = 0; i < 6; i++)
        quality_sent(&q, p, sender_report(p, 1000 + i), 1000000 * (i + 1));
    /* Held for half a second by the party; the one of i = 3 was sent at 4 s. */
    const struct block late = { HEARD, 0, 0, 1003, 0x8000 };
    quality_heard(&q, p, receiver_report(p, &late, 1), HEARD, 4000000 + 500000 + 42000);
    CHECK_EQ(q.rtt_us, 42000);
    CHECK_EQ(q.rtt_max_us, 42000);
    const struct block forgotten = { HEARD, 0, 0, 1001, 0x8000 }, none = { HEARD, 0, 0, 0, 0 };
    quality_heard(&q, p, receiver_report(p, &forgotten, 1), HEARD, 9000000);
    quality_heard(&q, p, receiver_report(p, &none, 1), HEARD, 9000000);
    /* It claims to have held it for longer than it can have. */
    const struct block liar = { HEARD, 0, 0, 1005, 0xffffffff };
    quality_heard(&q, p, receiver_report(p, &liar, 1), HEARD, 9000000);
    CHECK_EQ(q.rtt_us, 42000);
    const struct block quick = { HEARD, 0, 0, 1005, 0x10000 };
    quality_heard(&q, p, receiver_report(p, &quick, 1), HEARD, 7010000);
    CHECK_EQ(q.rtt_us, 10000);
    CHECK_EQ(q.rtt_max_us, 42000);
}

/* G.107's own values for G.711 (R 93.2 is 4.41), and that each impairment only takes away. */
static void mos(void) {
    CHECK_EQ(quality_mos(0, 0, 0), 441);
    CHECK_EQ(quality_mos(25000, 0, 1000), 440);
    CHECK_EQ(quality_mos(0, 50, 1000), 392);
    CHECK_EQ(quality_mos(0, 1000, 1000), 118);
    CHECK_EQ(quality_mos(5000000, 0, 10), 100);
    for (uint64_t lost = 1; lost < 1000; lost++)
        CHECK_TRUE(quality_mos(20000, lost, 1000) <= quality_mos(20000, lost - 1, 1000));
    for (uint64_t ms = 1; ms < 700; ms++)
        CHECK_TRUE(quality_mos(ms * 1000, 0, 1000) <= quality_mos(ms * 1000 - 1000, 0, 1000));
}

int main(void) {
    return UNIT_RUN("quality", UNIT(what_is_heard), UNIT(round_trip), UNIT(mos));
}
