/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * egress: what one listener hears as one RTP stream, whoever sends it. Its SSRC is the first one it heard; when the
 * source changes, sequence and timestamp go on from the last packet. Within one source gaps and reordering stay as
 * they are: only offsets are added. RTCP is made to match. As long as the first source sends, all offsets are zero
 * and no byte changes. Exception: a new source with another clock rate cannot continue the timestamps and begins a
 * new SSRC.
 */
#ifndef REFEREE_RTP_EGRESS_H
#define REFEREE_RTP_EGRESS_H

#include "rtp/rtp_packet.h"

struct egress {
    uint64_t source;              /* who sends now: any number that tells one party from another */
    uint64_t last_us;             /* of the newest packet (by sequence) */
    uint32_t ssrc;                /* that the listener hears */
    uint32_t source_ssrc;         /* that the source sends */
    uint32_t ts_offset;
    uint32_t last_ts;
    uint32_t clock_rate;
    uint32_t packets, octets;     /* sent under `ssrc` */
    uint32_t packets_offset;      /* added to the source's sender reports */
    uint32_t octets_offset;
    uint16_t seq_offset;
    uint16_t last_seq;
    uint16_t splice_seq;          /* first number of the present source, while `guard` counts down */
    uint8_t guard;
    bool started;
};

enum egress_result {
    EGRESS_LATE,                  /* overtaken by the first packet of its source: its number is taken; drop it */
    EGRESS_SAME,
    EGRESS_SPLICED,               /* the source changed with this packet */
};

struct egress_source {
    uint64_t key;
    uint32_t clock_rate;          /* > 0 */
    uint32_t packets, octets;     /* came with this SSRC before this packet */
    bool echo;                    /* to the source itself: under an SSRC that is not its own (RFC 3550 section 8.2) */
};

/* Patches the packet (v = its view), unless it is late. */
enum egress_result egress_rtp(struct egress *e, const struct egress_source *source, uint8_t *p,
                              const struct rtp_view *v, uint64_t now_us);

/* Patches a compound packet from `source` for the listener of `e`. `heard` is what the sender hears itself: its
 * report blocks speak of that, and are mapped back to what the other side really sends. False: must not be passed (a
 * sender report whose timestamps have no mapping yet). */
bool egress_rtcp(const struct egress *e, const struct egress *heard, uint64_t source, uint8_t *p, size_t n);

#endif
