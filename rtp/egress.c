/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/egress.h"

#include "rtp/egress_step.h"

enum egress_result egress_rtp(struct egress *e, const struct egress_source *source, uint8_t *p,
                              const struct rtp_view *v, uint64_t now_us) {
    return egress_step(e, source, p, v, now_us);
}

enum egress_result egress_pass(struct egress *e, const struct egress_source *source, const struct rtp_view *v,
                               uint64_t now_us) {
    bool first = !e->started;
    bool same = !first && e->source == source->key && e->ssrc == v->ssrc && e->source_ssrc == v->ssrc;
    if (!same || e->seq_offset || e->ts_offset)
        egress_begin(e, source, v, v->ssrc);
    egress_sent(e, v, v->seq, now_us);
    return first || same ? EGRESS_SAME : EGRESS_SPLICED;
}
