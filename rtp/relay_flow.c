/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/relay_flow.h"

#include "rtp/relay_fast.h"

bool relay_flow_resume(struct relay *r, const struct media_cmd *cmd, uint64_t now_us) {
    const struct media_flow *f = &cmd->flow;
    relay_lock(r, cmd->stream);
    *relay_egress(r, cmd->stream) = (struct egress){
        .ssrc = f->ssrc,
        .source_ssrc = f->source_ssrc,
        .seq_offset = f->seq_offset,
        .ts_offset = f->ts_offset,
        .last_seq = f->last_seq,
        .last_ts = f->last_ts,
        .last_us = now_us,
        .clock_rate = f->clock_rate,
        .started = true,
    };
    relay_unlock(r, cmd->stream);
    return true;
}

void relay_flow_source(struct relay *r, uint32_t listener, uint64_t key) {
    relay_lock(r, listener);
    relay_egress(r, listener)->source = key;
    relay_unlock(r, listener);
}

static struct media_flow flow_of(const struct egress *e) {
    return (struct media_flow){
        .ssrc = e->ssrc,
        .source_ssrc = e->source_ssrc,
        .ts_offset = e->ts_offset,
        .last_ts = e->last_ts,
        .clock_rate = e->clock_rate,
        .seq_offset = e->seq_offset,
        .last_seq = e->last_seq,
    };
}

uint32_t relay_spliced(struct relay *r, uint32_t *cursor, struct media_flow *flow) {
    while (*cursor < r->count) {
        uint32_t i = (*cursor)++;
        struct relay_stream *s = &r->streams[i];
        const struct fast_sent *sent = relay_sent(r, i);
        if (!s->open || s->told_splices == (uint16_t)sent->splices)
            continue;
        relay_lock(r, i);
        s->told_splices = (uint16_t)sent->splices;
        *flow = flow_of(relay_egress(r, i));
        relay_unlock(r, i);
        return i;
    }
    return MEDIA_NOWHERE;
}
