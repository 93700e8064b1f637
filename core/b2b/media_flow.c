/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/media_flow.h"

#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "core/b2b/record_tlv.h"

#define FIELDS 9
#define TEXT_MAX (LEG_STREAMS * FIELDS * 10)
/* A frame of 10 ms: nobody sends faster, so that the next number is ahead of all that were used meanwhile. */
#define FRAMES_PER_SECOND 100

/* In the order of the text. */
struct entry {
    uint64_t v[FIELDS];
};
enum { AT_INDEX, AT_SSRC, AT_SOURCE, AT_TS_OFFSET, AT_LAST_TS, AT_RATE, AT_SEQ_OFFSET, AT_LAST_SEQ, AT_WALL };

static bool next(struct slice *in, struct entry *x) {
    for (unsigned i = 0; i < FIELDS; i++)
        if (!varint_get(in, &x->v[i]))
            return false;
    return true;
}

static void put(struct sbuf *b, const struct entry *x) {
    for (unsigned i = 0; i < FIELDS; i++)
        varint_put(b, x->v[i]);
}

void media_flow_noted(struct engine *e, const struct event *ev) {
    const struct media_flow *f = &ev->u.media.flow;
    char mem[TEXT_MAX];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    unsigned index;
    struct leg *l = media_leg(e, ev->u.media.stream, ev->u.media.generation, &index);
    if (!l || !leg_call(e, l) || !f->clock_rate)
        return;
    struct slice in = leg_str(l, LEG_MEDIA_FLOWS);
    struct entry now = { { index, f->ssrc, f->source_ssrc, f->ts_offset, f->last_ts, f->clock_rate, f->seq_offset,
                           f->last_seq, e->wall_ms } };
    for (struct entry x; next(&in, &x);)
        if (x.v[AT_INDEX] != index)
            put(&b, &x);
    put(&b, &now);
    if (!b.overflow && leg_set(e, l, LEG_MEDIA_FLOWS, sbuf_slice(&b)))
        call_promised(e, leg_call(e, l));
}

static struct media_flow flow_of(const struct engine *e, const struct entry *x) {
    uint64_t ms = e->wall_ms > x->v[AT_WALL] ? e->wall_ms - x->v[AT_WALL] : 0;
    return (struct media_flow){
        .ssrc = (uint32_t)x->v[AT_SSRC],
        .source_ssrc = (uint32_t)x->v[AT_SOURCE],
        .ts_offset = (uint32_t)x->v[AT_TS_OFFSET],
        .last_ts = (uint32_t)(x->v[AT_LAST_TS] + ms * (uint32_t)x->v[AT_RATE] / 1000),
        .clock_rate = (uint32_t)x->v[AT_RATE],
        .seq_offset = (uint16_t)x->v[AT_SEQ_OFFSET],
        .last_seq = (uint16_t)(x->v[AT_LAST_SEQ] + ms * FRAMES_PER_SECOND / 1000),
    };
}

void media_flow_resume(const struct engine *e, const struct leg *l, unsigned i, struct media_cmd *c) {
    struct slice in = leg_str(l, LEG_MEDIA_FLOWS);
    c->resume = true;
    for (struct entry x; next(&in, &x);)
        if (x.v[AT_INDEX] == i)
            c->flow = flow_of(e, &x);
}
