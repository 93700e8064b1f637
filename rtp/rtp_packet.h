/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * rtp_packet: views of RTP and RTCP packets and patches in place (RFC 3550 sections 5.1 and 6.4, RFC 5761 section 4).
 * Payload and header extensions are never looked into, so SRTP has the same views. What is inline here is also
 * compiled for the kernel (rtp/fastpath).
 */
#ifndef REFEREE_RTP_RTP_PACKET_H
#define REFEREE_RTP_RTP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the kernel's program shares with us is inlined there: a call costs it more than most of these do. */
#define RTP_IN_KERNEL inline __attribute__((always_inline))

#define RTP_HEADER_MIN 12
#define RTP_VERSION 2

enum rtcp_type { RTCP_SR = 200, RTCP_RR = 201, RTCP_SDES = 202, RTCP_BYE = 203, RTCP_APP = 204, RTCP_RTPFB = 205,
                 RTCP_PSFB = 206, RTCP_XR = 207 };

struct rtp_view {
    uint32_t timestamp;
    uint32_t ssrc;
    uint16_t seq;
    uint16_t header_len;          /* with CSRCs and extension */
    uint16_t payload_len;         /* with padding */
    uint8_t payload_type;         /* 0 to 127 */
    bool marker;
};

/* Offsets in an RTCP packet, from its first byte. */
enum {
    RTCP_SSRC_AT = 4,
    RTCP_SR_TIMESTAMP_AT = 16,
    RTCP_SR_PACKETS_AT = 20,
    RTCP_SR_OCTETS_AT = 24,
    RTCP_SR_LEN = 28,
    RTCP_RR_LEN = 8,
    RTCP_BLOCK_LEN = 24,
    RTCP_BLOCK_SEQ_AT = 8,        /* extended highest sequence number, in a report block */
};

/* One packet of a compound one. */
struct rtcp_view {
    size_t at;                    /* offset in the compound packet */
    size_t len;                   /* bytes, header included; lies inside the compound packet */
    size_t blocks_at;             /* of SR and RR: offset of the first report block */
    uint32_t ssrc;                /* of the sender; 0 if too short to have one */
    uint8_t type;
    uint8_t count;                /* RC, SC or FMT as written */
    uint8_t blocks;               /* report blocks that really are in it */
};

static inline uint16_t rtp_get16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t rtp_get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void rtp_put16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void rtp_put32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* True for what RFC 5761 section 4 takes for RTCP on a shared port: version 2, second byte 192 to 223. */
bool rtp_is_rtcp(const uint8_t *p, size_t n);

/* False: not version 2, RTCP, shorter than its own header says, over 65535 bytes. The padding count is not looked at:
 * SRTP encrypts it. */
bool rtp_parse(const uint8_t *p, size_t n, struct rtp_view *out);

/* For bytes that rtp_parse took. A marker that is there is kept. */
static inline void rtp_patch(uint8_t *p, uint16_t seq, uint32_t timestamp, uint32_t ssrc, bool marker) {
    if (marker)
        p[1] |= 0x80;
    rtp_put16(p + 2, seq);
    rtp_put32(p + 4, timestamp);
    rtp_put32(p + 8, ssrc);
}

/* The marker stays. */
static inline void rtp_patch_type(uint8_t *p, uint8_t payload_type) {
    p[1] = (uint8_t)((p[1] & 0x80) | (payload_type & 0x7f));
}

/* Units a second of a packet's timestamp: fixed for static payload types (RFC 3551 section 6), else as negotiated. */
static inline uint32_t rtp_clock_rate(uint8_t payload_type, uint32_t negotiated) {
    switch (payload_type) {
    case 6: /* DVI4 */
        return 16000;
    case 10: /* L16 */
    case 11:
        return 44100;
    case 14: /* MPA */
        return 90000;
    case 16: /* DVI4 */
        return 11025;
    case 17:
        return 22050;
    default:
        if (payload_type <= 18)
            return 8000;
        return payload_type >= 25 && payload_type <= 34 ? 90000 : negotiated;
    }
}

/* The packets of a compound one in order: start with *offset = 0. False at the end and at bytes that are no RTCP (the
 * tail of SRTCP, say). The first one must be there for the whole to be worth anything. */
bool rtcp_next(const uint8_t *p, size_t n, size_t *offset, struct rtcp_view *out);

#endif
