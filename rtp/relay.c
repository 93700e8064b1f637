/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/relay.h"

#include "core/base/check.h"
#include "rtp/relay_fast.h"
#include "rtp/relay_places.h"
#include "rtp/relay_source.h"

size_t relay_bytes(uint32_t streams) {
    struct arena a;
    struct relay r;
    arena_init(&a, NULL, 0);
    relay_init(&r, &a, streams);
    return a.used;
}

void relay_init(struct relay *r, struct arena *a, uint32_t streams) {
    *r = (struct relay){ .streams = arena_take(a, streams * sizeof(struct relay_stream)), .count = streams };
    r->players = arena_take(a, streams * sizeof *r->players);
    r->in = arena_take(a, streams * sizeof *r->in);
    r->out = arena_take(a, streams * sizeof *r->out);
    relay_places_init(&r->extras, a, sizeof(struct relay_extra), streams);
    relay_places_init(&r->probations, a, sizeof(struct relay_probation), streams);
}

void relay_share(struct relay *r, struct fast_in *in, struct fast_out *out) {
    r->in = in;
    r->out = out;
    r->shared = true;
}

/* A packet on its way through. */
struct passage {
    struct relay *relay;
    const struct relay_in *in;
    uint64_t now_us;
    struct relay_stream *from, *to;
    struct fast_heard *heard;     /* what arrives from `from` */
    struct egress *egress;        /* what leaves to `to` */
    struct fast_sent *sent;
    struct rtp_view rtp;
    bool is_rtcp;
};

static bool is_well_formed(struct passage *p) {
    struct rtcp_view first;
    size_t at = 0;
    p->is_rtcp = rtp_is_rtcp(p->in->bytes, p->in->n);
    if (p->is_rtcp)
        return rtcp_next(p->in->bytes, p->in->n, &at, &first) &&
               first.len >= (first.type == RTCP_SR ? RTCP_SR_LEN : RTCP_RR_LEN);
    return !p->in->rtcp_port && rtp_parse(p->in->bytes, p->in->n, &p->rtp);
}

static bool accept_source(const struct passage *p) {
    struct relay_arrival a = { .src = &p->in->src, .rtp = p->is_rtcp ? NULL : &p->rtp, .rtcp_port = p->in->rtcp_port,
                               .last_us = p->heard->last_us, .now_us = p->now_us };
    return relay_accepts(p->relay, p->from, &a);
}

/* A listener that was closed and opened again has forgotten whom it heard. */
struct relay_stream *relay_listener(const struct relay *r, uint32_t stream) {
    const struct relay_stream *s = &r->streams[stream];
    if (s->route == MEDIA_NOWHERE)
        return NULL;
    struct relay_stream *to = &r->streams[s->route];
    return to->heard == stream && to->heard_generation == s->generation ? to : NULL;
}

bool relay_rtp_destination(const struct relay_stream *to, struct addr *dst) {
    *dst = to->nat && to->rtp.learned.family != ADDR_NONE ? to->rtp.learned : to->rtp.signalled;
    return to->open && relay_can_be_sent_to(&to->rtp.signalled);
}

/* False: there is nowhere to send it. */
static bool choose_destination(const struct relay *r, const struct relay_stream *to, bool is_rtcp,
                               struct relay_verdict *out) {
    if (!to->open)
        return false;
    out->out_rtcp_port = is_rtcp && !to->rtcp_mux;
    if (!out->out_rtcp_port)
        return relay_rtp_destination(to, &out->dst);
    struct relay_latch latch = relay_rtcp(r, to);
    out->dst = to->nat && latch.learned.family != ADDR_NONE ? latch.learned : latch.signalled;
    return relay_can_be_sent_to(&latch.signalled);
}

static uint64_t source_key(const struct passage *p) {
    return fast_source_key(p->in->stream, p->from->generation);
}

uint8_t relay_type(const struct media_types *types, uint8_t own) {
    for (uint32_t i = 0; i < types->count; i++)
        if (types->pair[i].from == own)
            return types->pair[i].to;
    return types->only ? MEDIA_TYPE_DROP : own;
}

static enum relay_drop patch_rtp(const struct passage *p, const struct reception *before) {
    uint8_t type = relay_type(&relay_extra(p->relay, p->from)->types, p->rtp.payload_type);
    bool known = before->started && before->ssrc == p->rtp.ssrc;
    struct egress_source source = {
        .key = source_key(p),
        .clock_rate = p->heard->clock_rate,
        .packets = known ? before->received : 0,
        .octets = known ? before->octets : 0,
        .echo = p->from == p->to,
    };
    if (type == MEDIA_TYPE_DROP)
        return RELAY_DROP_TYPE;
    rtp_patch_type(p->in->bytes, type);
    switch (egress_rtp(p->egress, &source, p->in->bytes, &p->rtp, p->now_us)) {
    case EGRESS_LATE:
        return RELAY_DROP_LATE;
    case EGRESS_SPLICED:
        p->sent->splices++;
        p->relay->spliced = true;
        break;
    case EGRESS_SAME:
        break;
    }
    return RELAY_FORWARD;
}

static enum relay_drop patch_rtcp(const struct passage *p) {
    const struct egress *heard = relay_egress(p->relay, p->in->stream);
    bool passes = egress_rtcp(p->egress, heard, source_key(p), p->in->bytes, p->in->n);
    if (passes)
        quality_sent(&p->to->quality, p->in->bytes, p->in->n, p->now_us);
    return passes ? RELAY_FORWARD : RELAY_DROP_RTCP;
}

static void count_in(const struct passage *p) {
    struct fast_heard *in = p->heard;
    fast_count_in(in, (uint32_t)p->in->n);
    if (p->is_rtcp) {
        p->from->rtcp_ms = (uint32_t)(p->now_us / 1000);
        quality_heard(&p->from->quality, p->in->bytes, p->in->n, relay_egress(p->relay, p->in->stream)->ssrc,
                      p->now_us);
        return;
    }
    in->last_us = p->now_us;
    in->type = FAST_TYPE_UP;
    in->clock_rate = rtp_clock_rate(p->rtp.payload_type, p->from->negotiated_rate);
    reception_add(&in->reception, &p->rtp, in->clock_rate, p->now_us);
}

static enum relay_drop judge(struct passage *p, struct relay_verdict *out) {
    if (!p->from || !p->from->open)
        return RELAY_DROP_CLOSED;
    if (!is_well_formed(p))
        return RELAY_DROP_MALFORMED;
    if (!p->from->remote)
        return RELAY_DROP_NO_REMOTE;
    if (!accept_source(p))
        return RELAY_DROP_SOURCE;
    struct reception before = p->heard->reception;
    count_in(p);
    p->to = relay_listener(p->relay, p->in->stream);
    if (!p->to)
        return RELAY_DROP_NO_ROUTE;
    out->out_stream = p->from->route;
    if (!choose_destination(p->relay, p->to, p->is_rtcp, out))
        return RELAY_DROP_NO_ADDRESS;
    if (!p->is_rtcp)
        return patch_rtp(p, &before);
    return patch_rtcp(p);
}

/* The kernel may be at work on the same two entries. */
static enum relay_drop judge_locked(struct passage *p, struct relay_verdict *out) {
    uint32_t stream = p->in->stream, route = p->from ? p->from->route : MEDIA_NOWHERE;
    if (p->from) {
        p->heard = relay_heard(p->relay, stream);
        p->egress = route == MEDIA_NOWHERE ? NULL : relay_egress(p->relay, route);
        p->sent = route == MEDIA_NOWHERE ? NULL : relay_sent(p->relay, route);
    }
    relay_lock(p->relay, route);
    enum relay_drop drop = judge(p, out);
    if (drop == RELAY_FORWARD)
        fast_count_out(p->sent, (uint32_t)p->in->n, !p->is_rtcp, p->now_us);
    relay_unlock(p->relay, route);
    return drop;
}

static bool same_latches(const struct relay_stream *s, const struct addr *rtp) {
    return relay_same_endpoint(&s->rtp.learned, rtp);
}

void relay_packet(struct relay *r, const struct relay_in *in, uint64_t now_us, struct relay_verdict *out) {
    struct passage p = { .relay = r, .in = in, .now_us = now_us };
    p.from = in->stream < r->count ? &r->streams[in->stream] : NULL;
    struct addr before = p.from ? p.from->rtp.learned : (struct addr){ 0 };
    *out = (struct relay_verdict){ .out_stream = MEDIA_NOWHERE };
    out->drop = judge_locked(&p, out);
    if (p.from && !same_latches(p.from, &before))
        relay_fast_sync(r, in->stream);
    if (out->drop == RELAY_FORWARD)
        return;
    *out = (struct relay_verdict){ .drop = out->drop, .out_stream = MEDIA_NOWHERE };
    relay_dropped(r, in->stream, out->drop);
}

void relay_dropped(struct relay *r, uint32_t stream, enum relay_drop why) {
    r->dropped[why]++;
    if (stream < r->count)
        r->streams[stream].dropped[why - 1]++;
}

/* No stream of a party has this bit. */
#define PLAYER_KEY ((uint64_t)1 << 63)

static void write_frame(const struct relay_play *play, uint32_t generation, const struct relay_frame *f) {
    f->packet[0] = RTP_VERSION << 6;
    f->packet[1] = play->payload_type & 0x7f;
    rtp_put16(f->packet + 2, (uint16_t)play->frames);
    rtp_put32(f->packet + 4, play->timestamp);
    rtp_put32(f->packet + 8, 0x50000000u ^ f->stream << 8 ^ generation);
    memcpy(f->packet + RTP_HEADER_MIN, f->payload, f->n);
}

bool relay_play(struct relay *r, const struct relay_frame *f, uint64_t now_us, struct relay_verdict *out) {
    *out = (struct relay_verdict){ .drop = RELAY_DROP_NO_ADDRESS, .out_stream = f->stream };
    struct relay_stream *s = f->stream < r->count ? &r->streams[f->stream] : NULL;
    if (!s || !relay_extra(r, s)->play.on)
        return false;
    struct relay_play *play = &relay_extra_take(r, s)->play;
    struct egress_source source = {
        .key = PLAYER_KEY | (uint64_t)f->stream << 32 | s->generation,
        .clock_rate = 8000,
        .packets = play->frames,
        .octets = play->timestamp,
    };
    struct rtp_view v;
    write_frame(play, s->generation, f);
    play->frames++;
    play->timestamp += (uint32_t)f->n;
    if (!choose_destination(r, s, false, out) || !rtp_parse(f->packet, RTP_HEADER_MIN + f->n, &v))
        return false;
    struct fast_sent *sent = relay_sent(r, f->stream);
    relay_lock(r, f->stream);
    if (egress_rtp(relay_egress(r, f->stream), &source, f->packet, &v, now_us) == EGRESS_SPLICED)
        sent->splices++, r->spliced = true;
    fast_count_out(sent, (uint32_t)(RTP_HEADER_MIN + f->n), true, now_us);
    relay_unlock(r, f->stream);
    out->drop = RELAY_FORWARD;
    return true;
}

static bool is_silent(const struct relay_stream *s, const struct fast_heard *in, uint64_t timeout_us, uint64_t now_us) {
    uint64_t last = s->remote_us;
    if (in->last_us > last)
        last = in->last_us;
    uint64_t rtcp_ago_us = 1000 * (uint64_t)((uint32_t)(now_us / 1000) - s->rtcp_ms);
    if (s->rtcp_ms && now_us > last && rtcp_ago_us < now_us - last)
        last = now_us - rtcp_ago_us;
    return now_us > last && now_us - last >= timeout_us &&
           (uint32_t)(now_us / 1000) - s->told_ms >= timeout_us / 4000;
}

uint32_t relay_silent(struct relay *r, uint32_t *cursor, uint64_t timeout_us, uint64_t now_us) {
    while (*cursor < r->count) {
        uint32_t i = (*cursor)++;
        struct relay_stream *s = &r->streams[i];
        if (!s->open || !s->remote || !is_silent(s, relay_heard(r, i), timeout_us, now_us))
            continue;
        s->told_ms = (uint32_t)(now_us / 1000);
        return i;
    }
    return MEDIA_NOWHERE;
}

struct relay_counters relay_counters(const struct relay *r, uint32_t stream) {
    const struct relay_stream *s = &r->streams[stream];
    const struct fast_heard *in = relay_heard(r, stream);
    const struct fast_sent *to = relay_sent(r, stream);
    struct relay_counters c = {
        .packets_in = in->packets,
        .octets_in = in->octets,
        .packets_out = to->packets,
        .octets_out = to->octets,
        .splices = to->splices,
        .last_in_us = in->last_us,
        .last_out_us = to->last_us,
        .remote_us = s->remote_us,
        .first_out_us = to->first_us,
        .gap_us = to->gap_us,
    };
    for (int i = 1; i < RELAY_DROPS; i++)
        c.dropped[i] = s->dropped[i - 1];
    c.dropped[RELAY_DROP_LATE] += in->late;
    return c;
}

static uint32_t units_us(uint32_t units, uint32_t clock_rate) {
    return clock_rate ? (uint32_t)((uint64_t)units * 1000000 / clock_rate) : 0;
}

/* A jitter buffer holds twice the jitter; a frame and the look ahead take another 25 ms. */
static void judge_quality(const struct relay_stream *s, const struct egress *to, struct relay_stats *out) {
    const struct quality *q = &s->quality;
    out->reported = q->blocks > 0;
    out->heard_lost = q->lost;
    out->heard_jitter_us = units_us(q->jitter, to->clock_rate);
    out->rtt_us = q->rtt_us;
    if (out->rtp_expected)
        out->mos = quality_mos(25000 + 2 * (uint64_t)out->jitter_us + q->rtt_us / 2,
                               out->rtp_lost > 0 ? (uint64_t)out->rtp_lost : 0, out->rtp_expected);
}

bool relay_stats(const struct relay *r, uint32_t stream, struct relay_stats *out) {
    if (stream >= r->count)
        return false;
    const struct relay_stream *s = &r->streams[stream];
    const struct fast_heard *in = relay_heard(r, stream);
    const struct egress *egress = relay_egress(r, stream);
    *out = (struct relay_stats){
        .counters = relay_counters(r, stream),
        .open = s->open,
        .generation = s->generation,
        .route = s->generation ? s->route : MEDIA_NOWHERE,
        .signalled = s->rtp.signalled,
        .learned = s->rtp.learned,
        .ssrc_in = in->reception.ssrc,
        .ssrc_out = egress->ssrc,
        .rtp_expected = reception_expected(&in->reception),
        .rtp_lost = reception_lost(&in->reception),
    };
    out->jitter_us = units_us(reception_jitter(&in->reception), in->clock_rate);
    judge_quality(s, egress, out);
    return true;
}

const char *relay_drop_name(enum relay_drop drop) {
    static const char *const names[RELAY_DROPS] = { "forward",   "closed",   "malformed",  "source", "no_remote",
                                                    "no_route", "no_address", "late", "type", "rtcp", "srtp" };
    CHECK(drop < RELAY_DROPS);
    return names[drop];
}
