/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/reception.h"

#include "rtp/reception_step.h"

void reception_add(struct reception *r, const struct rtp_view *v, uint32_t clock_rate, uint64_t now_us) {
    if (reception_count(r, v))
        reception_arrived(r, v, clock_rate, now_us);
}

uint64_t reception_expected(const struct reception *r) {
    return (uint64_t)r->expected_before + reception_expected_now(r);
}

int64_t reception_lost(const struct reception *r) {
    return (int64_t)reception_expected(r) - (int64_t)((uint64_t)r->received_before + r->received);
}

uint32_t reception_jitter(const struct reception *r) {
    return r->jitter_16 >> 4;
}
