/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/relay_places.h"

const struct relay_extra relay_no_extra;

void relay_places_init(struct relay_places *p, struct arena *a, uint32_t size, uint32_t streams) {
    *p = (struct relay_places){ .mem = arena_take(a, (size_t)streams * size), .size = size };
}

static char *place_at(const struct relay_places *p, uint32_t at) {
    return p->mem + (size_t)(at - 1) * p->size;
}

/* A free one begins with the number of the next. */
void *relay_place_take(struct relay_places *p, uint32_t *at) {
    if (*at)
        return place_at(p, *at);
    *at = p->free ? p->free : ++p->fresh;
    char *place = place_at(p, *at);
    if (p->free)
        memcpy(&p->free, place, sizeof p->free);
    return memset(place, 0, p->size);
}

void relay_place_give(struct relay_places *p, uint32_t *at) {
    if (!*at)
        return;
    memcpy(place_at(p, *at), &p->free, sizeof p->free);
    p->free = *at;
    *at = 0;
}

struct relay_extra *relay_extra_take(struct relay *r, struct relay_stream *s) {
    return relay_place_take(&r->extras, &s->extra);
}

static bool is_one(const struct addr *a) {
    return a->family != ADDR_NONE || a->port;
}

void relay_extra_trim(struct relay *r, struct relay_stream *s) {
    const struct relay_extra *x = relay_extra(r, s);
    if (!x->types.count && !x->types.only && !is_one(&x->rtcp.signalled) && !is_one(&x->rtcp.learned) && !x->play.on)
        relay_place_give(&r->extras, &s->extra);
}

/* ---- RTCP */

static struct addr with_port(struct addr a, uint16_t port) {
    a.port = port;
    return a;
}

struct relay_latch relay_rtcp(const struct relay *r, const struct relay_stream *s) {
    struct relay_latch latch = relay_extra(r, s)->rtcp;
    if (s->rtcp.signalled)
        latch.signalled = with_port(s->rtp.signalled, s->rtcp.signalled);
    if (s->rtcp.learned)
        latch.learned = with_port(s->rtp.learned, s->rtcp.learned);
    return latch;
}

/* The port, if all else is as with RTP; else 0. */
static uint16_t port_beside(const struct addr *rtp, const struct addr *rtcp) {
    struct addr beside = with_port(*rtp, rtcp->port);
    return memcmp(&beside, rtcp, sizeof beside) == 0 ? rtcp->port : 0;
}

void relay_set_rtcp_signalled(struct relay *r, struct relay_stream *s, struct addr a) {
    s->rtcp.signalled = port_beside(&s->rtp.signalled, &a);
    bool apart = !s->rtcp.signalled && is_one(&a);
    if (apart || s->extra)
        relay_extra_take(r, s)->rtcp.signalled = apart ? a : (struct addr){ 0 };
    relay_extra_trim(r, s);
}

void relay_set_rtcp_learned(struct relay *r, struct relay_stream *s, struct addr a) {
    s->rtcp.learned = port_beside(&s->rtp.learned, &a);
    bool apart = !s->rtcp.learned && is_one(&a);
    if (apart || s->extra)
        relay_extra_take(r, s)->rtcp.learned = apart ? a : (struct addr){ 0 };
    relay_extra_trim(r, s);
}
