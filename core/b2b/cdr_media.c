/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/cdr_media.h"

#include "core/b2b/media_srtp.h"
#include "core/base/json.h"

#define MOS_POOR 360
#define SUITE_BYTES 40

bool cdr_media_stats(const struct engine *e, const struct leg *l, unsigned stream, struct relay_stats *out) {
    const struct leg_stream *s = l->media.streams[stream];
    return e->relay && s->generation && relay_stats(e->relay, s->slot, out) && out->generation == s->generation;
}

void cdr_put_mos(struct sbuf *b, uint32_t mos) {
    sbuf_u64(b, mos / 100);
    sbuf_char(b, '.');
    sbuf_u64(b, mos / 10 % 10);
    sbuf_u64(b, mos % 10);
}

void cdr_count_media(struct engine *e, const struct leg *l, unsigned stream) {
    struct relay_stats s;
    if (!cdr_media_stats(e, l, stream, &s))
        return;
    if (s.rtp_lost > 0)
        metrics_add(&e->metrics, M_rtp_lost, (uint64_t)s.rtp_lost);
    if (s.mos && s.mos < MOS_POOR)
        metrics_add(&e->metrics, M_media_poor, 1);
}

static void put_known(struct sbuf *b, const char *name, bool known, int64_t v) {
    json_name(b, name);
    if (!known) {
        sbuf_lit(b, "null");
        return;
    }
    if (v < 0)
        sbuf_char(b, '-');
    sbuf_u64(b, (uint64_t)(v < 0 ? -v : v));
}

void cdr_put_media(const struct engine *e, struct sbuf *b, const struct leg *l) {
    struct relay_stats s;
    json_name(b, "media");
    if (!cdr_media_stats(e, l, 0, &s)) {
        sbuf_lit(b, "null");
        return;
    }
    sbuf_char(b, '{');
    json_member(b, "srtp", media_srtp_name(l->media.streams[0]), SUITE_BYTES);
    json_member_u64(b, "in", s.counters.packets_in);
    json_member_u64(b, "out", s.counters.packets_out);
    put_known(b, "lost", true, s.rtp_lost);
    json_member_u64(b, "jitter_ms", s.jitter_us / 1000);
    json_name(b, "mos");
    if (s.mos)
        cdr_put_mos(b, s.mos);
    else
        sbuf_lit(b, "null");
    put_known(b, "rtt_ms", s.rtt_us, s.rtt_us / 1000);
    put_known(b, "heard_lost", s.reported, s.heard_lost);
    put_known(b, "heard_jitter_ms", s.reported, s.heard_jitter_us / 1000);
    sbuf_char(b, '}');
}
