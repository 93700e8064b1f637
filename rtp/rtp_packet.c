/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/rtp_packet.h"

bool rtp_is_rtcp(const uint8_t *p, size_t n) {
    return n >= 8 && p[0] >> 6 == RTP_VERSION && p[1] >= 192 && p[1] <= 223;
}

/* Fixed header, CSRCs, extension; 0 if they do not fit. */
static size_t header_len(const uint8_t *p, size_t n) {
    size_t len = RTP_HEADER_MIN + 4 * (size_t)(p[0] & 0x0f);
    if (p[0] & 0x10) {
        if (len + 4 > n)
            return 0;
        len += 4 + 4 * (size_t)rtp_get16(p + len + 2);
    }
    return len <= n ? len : 0;
}

bool rtp_parse(const uint8_t *p, size_t n, struct rtp_view *out) {
    if (n < RTP_HEADER_MIN || n > UINT16_MAX || p[0] >> 6 != RTP_VERSION || rtp_is_rtcp(p, n))
        return false;
    size_t header = header_len(p, n);
    if (header == 0)
        return false;
    *out = (struct rtp_view){
        .timestamp = rtp_get32(p + 4),
        .ssrc = rtp_get32(p + 8),
        .seq = rtp_get16(p + 2),
        .header_len = (uint16_t)header,
        .payload_len = (uint16_t)(n - header),
        .payload_type = p[1] & 0x7f,
        .marker = p[1] & 0x80,
    };
    return true;
}

static void find_blocks(struct rtcp_view *v) {
    size_t fixed = v->type == RTCP_SR ? RTCP_SR_LEN : RTCP_RR_LEN;
    if ((v->type != RTCP_SR && v->type != RTCP_RR) || v->len < fixed)
        return;
    size_t room = (v->len - fixed) / RTCP_BLOCK_LEN;
    v->blocks_at = v->at + fixed;
    v->blocks = (uint8_t)(v->count < room ? v->count : room);
}

bool rtcp_next(const uint8_t *p, size_t n, size_t *offset, struct rtcp_view *out) {
    size_t at = *offset;
    if (at > n || n - at < 4 || p[at] >> 6 != RTP_VERSION || p[at + 1] < 192 || p[at + 1] > 223)
        return false;
    size_t len = 4 * ((size_t)rtp_get16(p + at + 2) + 1);
    if (len > n - at)
        return false;
    *out = (struct rtcp_view){
        .at = at,
        .len = len,
        .ssrc = len >= 8 ? rtp_get32(p + at + RTCP_SSRC_AT) : 0,
        .type = p[at + 1],
        .count = p[at] & 0x1f,
    };
    find_blocks(out);
    *offset = at + len;
    return true;
}
