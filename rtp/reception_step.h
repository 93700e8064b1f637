/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * What reception.h does with a packet, inline: the program in the kernel (rtp/fastpath) counts by the same lines.
 */
#ifndef REFEREE_RTP_RECEPTION_STEP_H
#define REFEREE_RTP_RECEPTION_STEP_H

#include "rtp/reception.h"

/* RFC 3550 appendix A.1 */
#define RECEPTION_MAX_DROPOUT 3000
#define RECEPTION_MAX_MISORDER 100
#define RECEPTION_SEQ_MOD (1u << 16)
#define RECEPTION_NO_BAD_SEQ (RECEPTION_SEQ_MOD + 1)

static RTP_IN_KERNEL uint64_t reception_expected_now(const struct reception *r) {
    return r->started ? (uint64_t)r->cycles + r->max_seq - r->base_seq + 1 : 0;
}

static RTP_IN_KERNEL void reception_restart(struct reception *r, const struct rtp_view *v) {
    r->expected_before += (uint32_t)reception_expected_now(r);
    r->received_before += r->received;
    r->ssrc = v->ssrc;
    r->base_seq = r->max_seq = v->seq;
    r->cycles = r->received = r->octets = 0;
    r->bad_seq = RECEPTION_NO_BAD_SEQ;
    r->started = true;
}

/* False: an implausible jump; counted only when the next packet confirms it. */
static RTP_IN_KERNEL bool reception_update_seq(struct reception *r, const struct rtp_view *v) {
    uint16_t delta = (uint16_t)(v->seq - r->max_seq);
    if (delta < RECEPTION_MAX_DROPOUT) {
        if (v->seq < r->max_seq)
            r->cycles += RECEPTION_SEQ_MOD;
        r->max_seq = v->seq;
    } else if (delta <= RECEPTION_SEQ_MOD - RECEPTION_MAX_MISORDER) {
        if (v->seq != r->bad_seq) {
            r->bad_seq = (v->seq + 1u) & (RECEPTION_SEQ_MOD - 1);
            return false;
        }
        reception_restart(r, v);
    }
    return true;
}

/* RFC 3550 appendix A.8 */
static RTP_IN_KERNEL void reception_update_jitter(struct reception *r, uint32_t transit) {
    int32_t d = (int32_t)(transit - r->transit);
    uint32_t distance = d < 0 ? 0u - (uint32_t)d : (uint32_t)d;
    r->transit = transit;
    r->jitter_16 += distance - ((r->jitter_16 + 8) >> 4);
}

/* False: the packet counts for nothing yet. */
static RTP_IN_KERNEL bool reception_count(struct reception *r, const struct rtp_view *v) {
    if (!r->started || r->ssrc != v->ssrc)
        reception_restart(r, v);
    else if (!reception_update_seq(r, v))
        return false;
    r->received++;
    r->octets += v->payload_len;
    return true;
}

/* The packet that was counted last arrived then. */
static RTP_IN_KERNEL void reception_arrived(struct reception *r, const struct rtp_view *v, uint32_t clock_rate,
                                     uint64_t now_us) {
    uint32_t transit = rtp_units(now_us, clock_rate) - v->timestamp;
    if (r->received == 1)
        r->transit = transit;
    reception_update_jitter(r, transit);
}

/* Where the clock is dear: of the packet that was counted last, whether its time is wanted. After the first ones two
 * neighbours of each RECEPTION_SPAN are a sample; the first of them is only where the second is measured from. */
#define RECEPTION_ALL 32
#define RECEPTION_SPAN 64
static RTP_IN_KERNEL bool reception_wants_time(const struct reception *r) {
    return r->received <= RECEPTION_ALL || r->received % RECEPTION_SPAN <= 1;
}

static RTP_IN_KERNEL void reception_sampled(struct reception *r, const struct rtp_view *v, uint32_t clock_rate,
                                     uint64_t now_us) {
    if (r->received > RECEPTION_ALL && r->received % RECEPTION_SPAN == 0)
        r->transit = rtp_units(now_us, clock_rate) - v->timestamp;
    else
        reception_arrived(r, v, clock_rate, now_us);
}

#endif
