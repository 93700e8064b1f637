/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/quality.h"

/* Offsets in a report block and in a sender report. */
enum { BLOCK_FRACTION_AT = 4, BLOCK_JITTER_AT = 12, BLOCK_LSR_AT = 16, BLOCK_DLSR_AT = 20, SR_NTP_MIDDLE_AT = 10 };

/* A round trip beyond that is a clock's fault. */
#define RTT_MAX_US 30000000u

void quality_sent(struct quality *q, const uint8_t *p, size_t n, uint64_t now_us) {
    struct rtcp_view v;
    size_t at = 0;
    if (!rtcp_next(p, n, &at, &v) || v.type != RTCP_SR || v.len < RTCP_SR_LEN)
        return;
    q->report[q->next].middle = rtp_get32(p + v.at + SR_NTP_MIDDLE_AT);
    q->report[q->next].sent_us = (uint32_t)now_us;
    q->next = (uint8_t)((q->next + 1) % QUALITY_REPORTS);
}

/* RFC 3550 section 6.4.1: now - LSR - DLSR, by our clock for the first two. */
static void take_round_trip(struct quality *q, uint32_t lsr, uint32_t dlsr, uint64_t now_us) {
    uint64_t held_us = (uint64_t)dlsr * 1000000 >> 16;
    for (uint32_t i = 0; lsr && i < QUALITY_REPORTS; i++) {
        if (q->report[i].middle != lsr)
            continue;
        uint32_t took = (uint32_t)now_us - q->report[i].sent_us;
        if (took < held_us || took - held_us > RTT_MAX_US)
            return;
        q->rtt_us = (uint32_t)(took - held_us) + !(took - held_us);
        if (q->rtt_us > q->rtt_max_us)
            q->rtt_max_us = q->rtt_us;
        return;
    }
}

static void take_block(struct quality *q, const uint8_t *b, uint64_t now_us) {
    uint32_t lost = rtp_get32(b + BLOCK_FRACTION_AT) & 0xffffff;
    q->blocks += q->blocks < UINT16_MAX;
    q->fraction = b[BLOCK_FRACTION_AT];
    q->lost = lost & 0x800000 ? (int32_t)(lost | 0xff000000) : (int32_t)lost;
    q->jitter = rtp_get32(b + BLOCK_JITTER_AT);
    take_round_trip(q, rtp_get32(b + BLOCK_LSR_AT), rtp_get32(b + BLOCK_DLSR_AT), now_us);
}

void quality_heard(struct quality *q, const uint8_t *p, size_t n, uint32_t ssrc, uint64_t now_us) {
    struct rtcp_view v;
    size_t at = 0;
    while (rtcp_next(p, n, &at, &v))
        for (uint8_t i = 0; i < v.blocks; i++) {
            const uint8_t *block = p + v.blocks_at + (size_t)i * RTCP_BLOCK_LEN;
            if (rtp_get32(block) == ssrc)
                take_block(q, block, now_us);
        }
}

uint32_t quality_mos(uint64_t delay_us, uint64_t lost, uint64_t expected) {
    double delay = (double)delay_us / 1000.0, share = expected ? 100.0 * (double)lost / (double)expected : 0;
    if (share > 100)
        share = 100;
    double r = 93.2 - 0.024 * delay - (delay > 177.3 ? 0.11 * (delay - 177.3) : 0) - 95.0 * share / (share + 25.1);
    if (r <= 0)
        return 100;
    double mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;
    return mos < 1 ? 100 : mos > 4.5 ? 450 : (uint32_t)(100 * mos + 0.5);
}
