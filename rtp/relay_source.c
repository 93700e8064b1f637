/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/relay_source.h"

#include "rtp/relay_places.h"

bool relay_same_endpoint(const struct addr *a, const struct addr *b) {
    return addr_eq_ip(a, b) && a->port == b->port;
}

bool relay_can_be_sent_to(const struct addr *a) {
    return !addr_is_any(a) && a->port != 0;
}

/* All of 127/8 is one host (RFC 1122 section 3.2.1.3): phones there send from another address than they name. */
static bool is_same_host(const struct addr *a, const struct addr *b) {
    return addr_eq_ip(a, b) || (a->family == ADDR_V4 && b->family == ADDR_V4 && a->ip[0] == 127 && b->ip[0] == 127);
}

/* Whose other ports may be believed: the SDP's address, and where the signalling came from behind NAT. */
static bool is_allowed(const struct relay_stream *s, const struct addr *signalled, const struct addr *src) {
    if (s->strict || addr_is_any(src))
        return false;
    struct addr signalling = { .family = s->signalling_family };
    memcpy(signalling.ip, s->signalling_ip, sizeof signalling.ip);
    return is_same_host(src, signalled) || (s->nat && is_same_host(src, &signalling));
}

/* ---- probation: two packets that follow each other (RFC 3550 appendix A.1), from few sources at a time */

static bool follows(const struct relay_candidate *c, const struct rtp_view *v) {
    return v->ssrc == c->ssrc && v->seq == (uint16_t)(c->seq + 1) && v->payload_type == c->payload_type &&
           v->timestamp - c->timestamp < RELAY_PROBATION_UNITS;
}

static void note(struct relay_candidate *c, const struct relay_arrival *a) {
    *c = (struct relay_candidate){
        .src = *a->src,
        .at_us = a->now_us,
        .ssrc = a->rtp->ssrc,
        .timestamp = a->rtp->timestamp,
        .seq = a->rtp->seq,
        .payload_type = a->rtp->payload_type,
    };
}

void relay_end_probation(struct relay *r, struct relay_stream *s) {
    relay_place_give(&r->probations, &s->probation);
}

/* A source in probation keeps its place for a while: a spray of packets from ever new ports takes few places, and the
 * true one, which comes again and again, gets its turn. */
static bool passes_probation(struct relay *r, struct relay_stream *s, const struct relay_arrival *a) {
    struct relay_probation *in = relay_place_take(&r->probations, &s->probation);
    struct relay_candidate *place = NULL, *candidates = in->candidate;
    for (uint32_t i = 0; i < RELAY_CANDIDATES; i++) {
        struct relay_candidate *c = &candidates[i];
        bool stale = c->src.family == ADDR_NONE || a->now_us - c->at_us > RELAY_PROBATION_US;
        if (!stale && relay_same_endpoint(&c->src, a->src)) {
            bool passed = follows(c, a->rtp);
            note(c, a);
            return passed;
        }
        if (stale && !place)
            place = c;
    }
    if (place)
        note(place, a);
    return false;
}

/* ---- RTP */

static void learn(struct relay *r, struct relay_stream *s, const struct addr *src) {
    struct addr rtcp = relay_rtcp(r, s).learned;
    relay_end_probation(r, s);
    s->rtp.learned = *src;
    /* RTCP from elsewhere was believed too early. */
    bool too_early = s->nat && rtcp.family != ADDR_NONE && !is_same_host(src, &rtcp);
    relay_set_rtcp_learned(r, s, too_early ? (struct addr){ 0 } : rtcp);
}

/* Nobody is, while there is one to be heard. A party that falls silent may have got another port from its NAT. */
static bool may_learn(const struct relay_stream *s, const struct relay_arrival *a) {
    bool heard = s->rtp.learned.family != ADDR_NONE || a->last_us >= s->remote_us;
    return !heard || a->now_us - a->last_us >= RELAY_SILENCE_US;
}

static bool accept_rtp(struct relay *r, struct relay_stream *s, const struct relay_arrival *a) {
    bool learned = s->rtp.learned.family != ADDR_NONE;
    if (learned && relay_same_endpoint(a->src, &s->rtp.learned))
        return true;
    bool named = relay_same_endpoint(a->src, &s->rtp.signalled) && relay_can_be_sent_to(a->src);
    if (named && !s->nat)
        return true;
    if (named && !learned) {
        learn(r, s, a->src);
        return true;
    }
    if (!(named || is_allowed(s, &s->rtp.signalled, a->src)) || !may_learn(s, a) ||
        !passes_probation(r, s, a))
        return false;
    learn(r, s, a->src);
    return true;
}

/* ---- RTCP: has no numbers to follow, so it goes by what RTP has taught */

static bool accept_rtcp(struct relay *r, struct relay_stream *s, const struct relay_arrival *a) {
    struct relay_latch latch = relay_rtcp(r, s);
    bool rtp_known = s->rtp.learned.family != ADDR_NONE;
    if (latch.learned.family != ADDR_NONE)
        return relay_same_endpoint(a->src, &latch.learned) ||
               (!s->nat && relay_same_endpoint(a->src, &latch.signalled));
    if (relay_same_endpoint(a->src, &latch.signalled) && relay_can_be_sent_to(a->src) &&
        !(s->nat && rtp_known && !is_same_host(a->src, &s->rtp.learned)))
        return true;
    bool allowed = s->nat && rtp_known ? !s->strict && is_same_host(a->src, &s->rtp.learned)
                                       : is_allowed(s, &latch.signalled, a->src);
    if (allowed)
        relay_set_rtcp_learned(r, s, *a->src);
    return allowed;
}

/* RTCP on the RTP port is believed only from where RTP comes. */
static bool accept_muxed(const struct relay_stream *s, const struct relay_arrival *a) {
    const struct relay_latch *latch = &s->rtp;
    return latch->learned.family != ADDR_NONE && relay_same_endpoint(a->src, &latch->learned)
               ? true
               : relay_same_endpoint(a->src, &latch->signalled) && relay_can_be_sent_to(a->src) &&
                     (!s->nat || latch->learned.family == ADDR_NONE);
}

bool relay_accepts(struct relay *r, struct relay_stream *s, const struct relay_arrival *a) {
    if (a->rtp)
        return accept_rtp(r, s, a);
    return a->rtcp_port ? accept_rtcp(r, s, a) : accept_muxed(s, a);
}
