/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * reception: what was received from one party: loss and jitter (RFC 3550 appendix A.1, A.3, A.8). It goes on over
 * changes of the party's SSRC; the totals are of all of them.
 */
#ifndef REFEREE_RTP_RECEPTION_H
#define REFEREE_RTP_RECEPTION_H

#include "rtp/rtp_packet.h"

/* What each packet changes stands first. */
struct reception {
    uint32_t ssrc;
    uint32_t received;            /* of this SSRC */
    uint32_t octets;              /* payload, of this SSRC */
    uint16_t max_seq;
    uint16_t base_seq;
    uint32_t cycles;              /* sequence wraps, counted in 65536 */
    uint32_t transit;             /* of the last packet, timestamp units */
    uint32_t jitter_16;           /* timestamp units times 16 */
    uint32_t bad_seq;             /* the number after the last implausible one */
    uint32_t expected_before;     /* of former SSRCs and restarts; of 50 packets a second, good for two years */
    uint32_t received_before;
    bool started;
};

void reception_add(struct reception *r, const struct rtp_view *v, uint32_t clock_rate, uint64_t now_us);
uint64_t reception_expected(const struct reception *r);
/* Expected less received; negative when duplicates came. */
int64_t reception_lost(const struct reception *r);
/* In timestamp units. */
uint32_t reception_jitter(const struct reception *r);

/* Microseconds in units of a clock, modulo 2^32 and without overflow between. Two divisions: the kernel does it for
 * each packet. */
static inline uint32_t rtp_units(uint64_t us, uint32_t clock_rate) {
    uint64_t seconds = us / 1000000, rest = us - seconds * 1000000;
    return (uint32_t)(seconds * clock_rate + rest * clock_rate / 1000000);
}

#endif
