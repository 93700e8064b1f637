/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/reception.h"

/* RFC 3550 appendix A.1 */
#define MAX_DROPOUT 3000
#define MAX_MISORDER 100
#define SEQ_MOD (1u << 16)
#define NO_BAD_SEQ (SEQ_MOD + 1)

static uint64_t expected_now(const struct reception *r) {
    return r->started ? (uint64_t)r->cycles + r->max_seq - r->base_seq + 1 : 0;
}

static void restart(struct reception *r, const struct rtp_view *v) {
    r->expected_before += expected_now(r);
    r->received_before += r->received;
    r->ssrc = v->ssrc;
    r->base_seq = r->max_seq = v->seq;
    r->cycles = r->received = r->octets = 0;
    r->bad_seq = NO_BAD_SEQ;
    r->started = true;
}

/* False: an implausible jump; counted only when the next packet confirms it. */
static bool update_seq(struct reception *r, const struct rtp_view *v) {
    uint16_t delta = (uint16_t)(v->seq - r->max_seq);
    if (delta < MAX_DROPOUT) {
        if (v->seq < r->max_seq)
            r->cycles += SEQ_MOD;
        r->max_seq = v->seq;
    } else if (delta <= SEQ_MOD - MAX_MISORDER) {
        if (v->seq != r->bad_seq) {
            r->bad_seq = (v->seq + 1u) & (SEQ_MOD - 1);
            return false;
        }
        restart(r, v);
    }
    return true;
}

/* RFC 3550 appendix A.8 */
static void update_jitter(struct reception *r, uint32_t transit) {
    int32_t d = (int32_t)(transit - r->transit);
    uint32_t distance = d < 0 ? 0u - (uint32_t)d : (uint32_t)d;
    r->transit = transit;
    r->jitter_16 += distance - ((r->jitter_16 + 8) >> 4);
}

void reception_add(struct reception *r, const struct rtp_view *v, uint32_t clock_rate, uint64_t now_us) {
    uint32_t transit = rtp_units(now_us, clock_rate) - v->timestamp;
    bool fresh = !r->started || r->ssrc != v->ssrc;
    if (fresh) {
        restart(r, v);
        r->transit = transit;
    } else if (!update_seq(r, v)) {
        return;
    }
    r->received++;
    r->octets += v->payload_len;
    update_jitter(r, transit);
}

uint64_t reception_expected(const struct reception *r) {
    return r->expected_before + expected_now(r);
}

int64_t reception_lost(const struct reception *r) {
    return (int64_t)reception_expected(r) - (int64_t)(r->received_before + r->received);
}

uint32_t reception_jitter(const struct reception *r) {
    return r->jitter_16 >> 4;
}
