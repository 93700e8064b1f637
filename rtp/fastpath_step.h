/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * What the kernel does with one RTP packet of a known source, once the packet is parsed and the lock is held: the
 * relay's own steps in the relay's order. Inline for rtp/fastpath, and for tests that stand in for the kernel.
 */
#ifndef REFEREE_RTP_FASTPATH_STEP_H
#define REFEREE_RTP_FASTPATH_STEP_H

#include "rtp/egress_step.h"
#include "rtp/fastpath.h"
#include "rtp/reception_step.h"

enum fast_verdict { FAST_UP, FAST_SEND, FAST_DROP };

struct fast_packet {
    uint32_t slot, target;
    uint32_t octets;               /* UDP payload */
    struct rtp_view rtp;
    _Alignas(4) uint8_t header[RTP_HEADER_MIN]; /* patched */
    uint64_t now_us;               /* of the kernel's last tick: milliseconds late */
    bool counted;                  /* by fast_step, for reception */
};

/* False: not RTP, or something that the relay should look at. header_len without the extension: that is beyond the
 * bytes here. */
static RTP_IN_KERNEL bool fast_parse(struct fast_packet *k) {
    const uint8_t *p = k->header;
    if (p[0] >> 6 != RTP_VERSION || (p[1] >= 192 && p[1] <= 223))
        return false;
    k->rtp.header_len = (uint16_t)(RTP_HEADER_MIN + 4 * (p[0] & 0x0f));
    k->rtp.timestamp = rtp_get32(p + 4);
    k->rtp.ssrc = rtp_get32(p + 8);
    k->rtp.seq = rtp_get16(p + 2);
    k->rtp.payload_type = p[1] & 0x7f;
    k->rtp.marker = p[1] & 0x80;
    return true;
}

static RTP_IN_KERNEL uint32_t fast_net32(uint32_t v) {
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap32(v) : v;
}

/* By whole words: a part that is written just before the whole is read holds the processor up. */
static RTP_IN_KERNEL void fast_write(struct fast_packet *k, const struct egress_numbers *n, uint8_t type, bool marker) {
    uint32_t second = (uint32_t)(marker ? 0x80 : 0) | (type & 0x7f);
    uint32_t words[RTP_HEADER_MIN / 4] = {
        fast_net32((uint32_t)k->header[0] << 24 | second << 16 | n->seq),
        fast_net32(n->timestamp),
        fast_net32(n->ssrc),
    };
    __builtin_memcpy(k->header, words, sizeof words);
}

/* The next packet of a stream like the one before, which the kernel forwarded, too: from the same source to the same
 * listener, under the same payload type, in order. All but a few are. */
static RTP_IN_KERNEL bool fast_goes_on(const struct fast_in *in, const struct fast_out *out,
                                       const struct fast_packet *k) {
    const struct reception *r = &in->heard.reception;
    const struct egress *e = &out->egress;
    return in->heard.type == k->rtp.payload_type && r->ssrc == k->rtp.ssrc && e->source_ssrc == k->rtp.ssrc &&
           e->source == fast_source_key(k->slot, in->generation) && e->guard == 0 &&
           (uint16_t)(k->rtp.seq - r->max_seq - 1) < RECEPTION_MAX_DROPOUT - 1 &&
           (int16_t)(k->rtp.seq + e->seq_offset - e->last_seq) > 0;
}

/* What fast_step comes to then. */
static RTP_IN_KERNEL void fast_go_on(struct fast_in *in, struct fast_out *out, struct fast_packet *k) {
    struct reception *r = &in->heard.reception;
    struct egress *e = &out->egress;
    const struct egress_numbers heard = { .timestamp = k->rtp.timestamp + e->ts_offset, .ssrc = e->ssrc,
                                          .seq = (uint16_t)(k->rtp.seq + e->seq_offset) };
    fast_count_in(&in->heard, k->octets);
    in->heard.last_us = k->now_us;
    if (k->rtp.seq < r->max_seq)
        r->cycles += RECEPTION_SEQ_MOD;
    r->max_seq = k->rtp.seq;
    r->received++;
    r->octets += k->rtp.payload_len;
    k->counted = true;
    e->last_seq = heard.seq;
    e->last_ts = heard.timestamp;
    e->last_us = k->now_us;
    e->packets++;
    e->octets += k->rtp.payload_len;
    fast_write(k, &heard, in->heard.to, k->rtp.marker);
    fast_count_out(&out->sent, k->octets, true, k->now_us);
}

static RTP_IN_KERNEL enum fast_verdict fast_step_any(struct fast_in *in, struct fast_out *out,
                                                     struct fast_packet *k) {
    uint8_t type = in->types[k->rtp.payload_type & (FAST_TYPES - 1)];
    bool known = in->heard.reception.started && in->heard.reception.ssrc == k->rtp.ssrc;
    struct egress_source source = {
        .key = fast_source_key(k->slot, in->generation),
        .packets = known ? in->heard.reception.received : 0,
        .octets = known ? in->heard.reception.octets : 0,
        .echo = k->slot == k->target,
    };
    struct egress_numbers heard;
    in->heard.type = FAST_TYPE_UP;
    if (type == FAST_TYPE_UP)
        return FAST_UP;
    source.clock_rate = rtp_clock_rate(k->rtp.payload_type, in->negotiated_rate);
    fast_count_in(&in->heard, k->octets);
    in->heard.last_us = k->now_us;
    in->heard.clock_rate = source.clock_rate;
    k->counted = reception_count(&in->heard.reception, &k->rtp);
    enum egress_result result = egress_step(&out->egress, &source, &k->rtp, k->now_us, &heard);
    if (result == EGRESS_LATE) {
        in->heard.late++;
        return FAST_DROP;
    }
    if (result == EGRESS_SPLICED)
        out->sent.splices++;
    fast_write(k, &heard, type, k->rtp.marker || result == EGRESS_SPLICED);
    fast_count_out(&out->sent, k->octets, true, k->now_us);
    in->heard.type = k->rtp.payload_type;
    in->heard.to = type;
    return FAST_SEND;
}

static RTP_IN_KERNEL enum fast_verdict fast_step(struct fast_in *in, struct fast_out *out, struct fast_packet *k) {
    if (!fast_goes_on(in, out, k))
        return fast_step_any(in, out, k);
    fast_go_on(in, out, k);
    return FAST_SEND;
}

/* Behind fast_step: a clock that is good for jitter costs the kernel as much as half of all else, so only a sample of
 * the packets has its time taken. */
static RTP_IN_KERNEL bool fast_wants_time(const struct fast_in *in, const struct fast_packet *k) {
    return k->counted && reception_wants_time(&in->heard.reception);
}

static RTP_IN_KERNEL void fast_arrived(struct fast_in *in, const struct fast_packet *k, uint64_t now_us) {
    reception_sampled(&in->heard.reception, &k->rtp, in->heard.clock_rate, now_us);
}

#endif
