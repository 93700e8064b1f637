/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * quality: what a party says of the stream that it hears (report blocks, RFC 3550 section 6.4.1), the round trip to it
 * by the sender reports that it was passed, and an estimate of how it sounds.
 *
 * The estimate is the E-model (ITU-T G.107) with its defaults and G.711's equipment impairment (Ie 0, Bpl 25.1:
 * concealed random loss, G.113): it says how much the network takes away, not what the codec does.
 */
#ifndef REFEREE_RTP_QUALITY_H
#define REFEREE_RTP_QUALITY_H

#include "rtp/rtp_packet.h"

#define QUALITY_REPORTS 4         /* sender reports whose time is kept */

struct quality {
    struct {
        uint32_t middle;          /* of its NTP timestamp; what LSR will be; 0: none */
        uint32_t sent_us;         /* modulo 2^32: over an hour, and a round trip is half a minute at most */
    } report[QUALITY_REPORTS];
    uint32_t rtt_us, rtt_max_us;  /* 0: not known */
    uint32_t jitter;              /* timestamp units */
    int32_t lost;                 /* cumulative, of the present SSRC */
    uint16_t blocks;              /* that the party has sent about what it hears; counted no further than this goes */
    uint8_t next;                 /* of report */
    uint8_t fraction;             /* lost since the report before, of 256 */
};

/* A compound packet goes to the party: the time of its sender report is kept. */
void quality_sent(struct quality *q, const uint8_t *p, size_t n, uint64_t now_us);
/* A compound packet came from the party, as it is on the wire. ssrc: of what the party hears. */
void quality_heard(struct quality *q, const uint8_t *p, size_t n, uint32_t ssrc, uint64_t now_us);

/* Mean opinion score times 100, 100 to 450, of a path with this one-way delay and this share of packets lost. */
uint32_t quality_mos(uint64_t delay_us, uint64_t lost, uint64_t expected);

#endif
