/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/egress.h"

static void add32(uint8_t *p, uint32_t offset) {
    rtp_put32(p, rtp_get32(p) + offset);
}

static void map32(uint8_t *p, uint32_t from, uint32_t to) {
    if (rtp_get32(p) == from)
        rtp_put32(p, to);
}

/* What is said about the stream the sender hears is said about the stream its counterpart sends. */
static void map_block(const struct egress *heard, uint8_t *block) {
    if (!heard->started || rtp_get32(block) != heard->ssrc)
        return;
    rtp_put32(block, heard->source_ssrc);
    uint8_t *seq = block + RTCP_BLOCK_SEQ_AT + 2;
    rtp_put16(seq, (uint16_t)(rtp_get16(seq) - heard->seq_offset));
}

/* A second report in a compound packet may be the ciphertext of SRTCP: nothing but our own SSRCs is touched in it. */
static bool is_ours(const struct egress *e, const struct rtcp_view *v) {
    return e->started && (v->at == 0 || v->ssrc == e->source_ssrc);
}

static void map_report(const struct egress *e, const struct egress *heard, uint8_t *p, const struct rtcp_view *v) {
    if (is_ours(e, v)) {
        rtp_put32(p + v->at + RTCP_SSRC_AT, e->ssrc);
        if (v->type == RTCP_SR && v->len >= RTCP_SR_LEN) {
            add32(p + v->at + RTCP_SR_TIMESTAMP_AT, e->ts_offset);
            add32(p + v->at + RTCP_SR_PACKETS_AT, e->packets_offset);
            add32(p + v->at + RTCP_SR_OCTETS_AT, e->octets_offset);
        }
    }
    for (uint8_t i = 0; i < v->blocks; i++)
        map_block(heard, p + v->blocks_at + (size_t)i * RTCP_BLOCK_LEN);
}

/* BYE lists SSRCs (RFC 3550 section 6.6). */
static void map_bye(const struct egress *e, uint8_t *p, const struct rtcp_view *v) {
    for (size_t i = 0; i < v->count && RTCP_SSRC_AT + 4 * (i + 1) <= v->len; i++)
        map32(p + v->at + RTCP_SSRC_AT + 4 * i, e->source_ssrc, e->ssrc);
}

/* SDES with its first chunk, APP, XR and feedback (RFC 4585 section 6.1: sender, then media source). */
static void map_other(const struct egress *e, const struct egress *heard, uint8_t *p, const struct rtcp_view *v) {
    if (v->type == RTCP_SDES && v->count == 0)
        return;
    if (e->started)
        map32(p + v->at + RTCP_SSRC_AT, e->source_ssrc, e->ssrc);
    if (heard->started && v->len >= 12 && (v->type == RTCP_RTPFB || v->type == RTCP_PSFB))
        map32(p + v->at + 8, heard->ssrc, heard->source_ssrc);
}

/* A sender report tells wall clock by RTP timestamp: without the offset of its own source it would lie. */
static bool has_mapping(const struct egress *e, uint64_t source, const struct rtcp_view *v) {
    return v->type != RTCP_SR || !e->started || (e->source == source && e->source_ssrc == v->ssrc);
}

static void map_packet(const struct egress *e, const struct egress *heard, uint8_t *p, const struct rtcp_view *v) {
    if (v->len < 8)
        return;
    if (v->type == RTCP_SR || v->type == RTCP_RR)
        map_report(e, heard, p, v);
    else if (v->type != RTCP_BYE)
        map_other(e, heard, p, v);
    else if (e->started)
        map_bye(e, p, v);
}

bool egress_rtcp(const struct egress *e, const struct egress *heard, uint64_t source, uint8_t *p, size_t n) {
    struct rtcp_view v;
    size_t at = 0;
    if (!rtcp_next(p, n, &at, &v) || !has_mapping(e, source, &v))
        return false;
    do
        map_packet(e, heard, p, &v);
    while (rtcp_next(p, n, &at, &v));
    return true;
}
