/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/relay_flow.h"

#include "rtp/relay_fast.h"

bool relay_flow_resume(struct relay *r, const struct media_cmd *cmd, uint64_t now_us) {
    struct fast_out *out = &r->out[cmd->stream];
    const struct media_flow *f = &cmd->flow;
    relay_lock(r, out);
    out->egress = (struct egress){
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
    relay_unlock(r, out);
    return true;
}

void relay_flow_source(struct relay *r, uint32_t listener, uint64_t key) {
    struct fast_out *out = &r->out[listener];
    relay_lock(r, out);
    out->egress.source = key;
    relay_unlock(r, out);
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
        struct fast_out *out = &r->out[i];
        if (!s->open || s->told_splices == (uint32_t)out->splices)
            continue;
        relay_lock(r, out);
        s->told_splices = (uint32_t)out->splices;
        *flow = flow_of(&out->egress);
        relay_unlock(r, out);
        return i;
    }
    return MEDIA_NOWHERE;
}
