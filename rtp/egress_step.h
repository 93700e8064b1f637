/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * What egress_rtp of egress.h does with a packet, inline: the program in the kernel (rtp/fastpath) continues a stream
 * by the same lines.
 */
#ifndef REFEREE_RTP_EGRESS_STEP_H
#define REFEREE_RTP_EGRESS_STEP_H

#include "rtp/egress.h"
#include "rtp/reception.h"

#define EGRESS_ECHO_MASK 0x5a5a5a5au
/* A packet this far behind is late; one further behind means that the source jumped. */
#define EGRESS_MISORDER_MAX 100

static RTP_IN_KERNEL void egress_begin(struct egress *e, const struct egress_source *source, const struct rtp_view *v,
                                uint32_t ssrc) {
    *e = (struct egress){
        .source = source->key,
        .ssrc = ssrc,
        .source_ssrc = v->ssrc,
        .clock_rate = source->clock_rate,
        .last_seq = (uint16_t)(v->seq - 1),
        .started = true,
    };
}

static RTP_IN_KERNEL void egress_splice(struct egress *e, const struct egress_source *source, const struct rtp_view *v,
                                 uint64_t now_us) {
    uint32_t elapsed = rtp_units(now_us > e->last_us ? now_us - e->last_us : 0, source->clock_rate);
    e->source = source->key;
    e->source_ssrc = v->ssrc;
    e->splice_seq = (uint16_t)(e->last_seq + 1);
    e->guard = EGRESS_MISORDER_MAX;
    e->seq_offset = (uint16_t)(e->splice_seq - v->seq);
    /* At least 1: two frames with one timestamp are one to the listener. */
    e->ts_offset = e->last_ts + (elapsed ? elapsed : 1) - v->timestamp;
    e->packets_offset = e->packets - source->packets;
    e->octets_offset = e->octets - source->octets;
}

/* True if the packet's source is not the one before. */
static RTP_IN_KERNEL bool egress_follow(struct egress *e, const struct egress_source *source, const struct rtp_view *v,
                                 uint64_t now_us) {
    if (!e->started) {
        egress_begin(e, source, v, source->echo ? v->ssrc ^ EGRESS_ECHO_MASK : v->ssrc);
        return false;
    }
    bool same = e->source == source->key && e->source_ssrc == v->ssrc;
    if (!same && e->clock_rate != source->clock_rate)
        egress_begin(e, source, v, v->ssrc != e->ssrc && !source->echo ? v->ssrc : e->ssrc + 1);
    else if (!same)
        egress_splice(e, source, v, now_us);
    e->clock_rate = source->clock_rate;
    return !same;
}

/* Before its splice point, the numbers belong to the former source. */
static RTP_IN_KERNEL bool egress_is_late(struct egress *e, uint16_t seq) {
    if (e->guard == 0)
        return false;
    e->guard--;
    int16_t ahead = (int16_t)(seq - e->splice_seq);
    return ahead < 0 && ahead >= -EGRESS_MISORDER_MAX;
}

static RTP_IN_KERNEL void egress_sent(struct egress *e, const struct rtp_view *v, uint16_t seq, uint64_t now_us) {
    int16_t ahead = (int16_t)(seq - e->last_seq);
    if (ahead > 0 || ahead < -EGRESS_MISORDER_MAX) {
        e->last_seq = seq;
        e->last_ts = v->timestamp + e->ts_offset;
        e->last_us = now_us;
    }
    e->packets++;
    e->octets += v->payload_len;
}

/* What the listener hears of a packet. */
struct egress_numbers {
    uint32_t timestamp, ssrc;
    uint16_t seq;
};

static RTP_IN_KERNEL enum egress_result egress_step(struct egress *e, const struct egress_source *source,
                                                    const struct rtp_view *v, uint64_t now_us,
                                                    struct egress_numbers *out) {
    bool changed = egress_follow(e, source, v, now_us);
    uint16_t seq = (uint16_t)(v->seq + e->seq_offset);
    if (egress_is_late(e, seq))
        return EGRESS_LATE;
    egress_sent(e, v, seq, now_us);
    *out = (struct egress_numbers){ .timestamp = v->timestamp + e->ts_offset, .ssrc = e->ssrc, .seq = seq };
    return changed ? EGRESS_SPLICED : EGRESS_SAME;
}

#endif
