/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/relay_fast.h"

static struct fast_addr fast_addr_of(const struct addr *a) {
    struct fast_addr f = { .port = a->port, .family = a->family };
    memcpy(f.ip, a->ip, sizeof f.ip);
    return f;
}

void relay_fast_off(struct relay *r, uint32_t stream) {
    uint32_t target = r->shared ? r->in[stream].target : FAST_NOWHERE;
    if (target == FAST_NOWHERE)
        return;
    relay_lock(r, target);
    r->in[stream].target = FAST_NOWHERE;
    relay_unlock(r, target);
}

void relay_fast_unhear(struct relay *r, uint32_t listener) {
    uint32_t heard = r->streams[listener].heard;
    bool never = r->streams[listener].generation == 0;
    r->streams[listener].heard = MEDIA_NOWHERE;
    /* It may be heard by another one by now. */
    if (r->shared && !never && heard < r->count && r->in[heard].target == listener)
        relay_fast_off(r, heard);
}

void relay_fast_clear(struct relay *r, uint32_t stream, uint32_t generation) {
    relay_fast_off(r, stream);
    if (!r->shared) {
        *relay_heard(r, stream) = (struct fast_heard){ 0 };
        *relay_egress(r, stream) = (struct egress){ 0 };
        *relay_sent(r, stream) = (struct fast_sent){ 0 };
        return;
    }
    struct fast_out *out = &r->out[stream];
    r->in[stream] = (struct fast_in){ .target = FAST_NOWHERE, .generation = generation };
    relay_lock(r, stream);
    uint32_t held = out->lock;
    *out = (struct fast_out){ .lock = held };
    relay_unlock(r, stream);
}

bool relay_fast_resume(struct relay *r, uint32_t stream, uint32_t generation) {
    uint32_t target = r->shared ? r->in[stream].target : FAST_NOWHERE;
    if (target >= r->count)
        return false;
    struct fast_in *in = &r->in[stream];
    struct egress *egress = &r->out[target].egress;
    relay_lock(r, target);
    /* The listener knows the source by its use of the slot. */
    if (egress->source == fast_source_key(stream, in->generation))
        egress->source = fast_source_key(stream, generation);
    in->generation = generation;
    relay_unlock(r, target);
    return true;
}

struct addr relay_fast_source(const struct relay *r, uint32_t stream) {
    const struct fast_addr *f = &r->in[stream].source;
    struct addr a = { .port = f->port, .family = f->family };
    memcpy(a.ip, f->ip, sizeof a.ip);
    return a;
}

void relay_fast_restart(struct relay *r, uint32_t stream) {
    struct fast_sent *sent = relay_sent(r, stream);
    relay_lock(r, stream);
    sent->first_us = 0;
    sent->gap_us = 0;
    relay_unlock(r, stream);
}

/* The shell finds the next hop of a new destination (ifindex 0). */
static void set_destination(struct relay *r, uint32_t stream) {
    struct addr to;
    struct fast_out *out = &r->out[stream];
    struct fast_addr dst = { 0 };
    if (relay_rtp_destination(&r->streams[stream], &to))
        dst = fast_addr_of(&to);
    if (fast_addr_eq(&dst, &out->dst))
        return;
    relay_lock(r, stream);
    out->dst = dst;
    out->ifindex = 0;
    out->mac_known = 0;
    relay_unlock(r, stream);
}

/* Whom to believe without asking the relay. False: it has not been learned yet. */
static bool known_source(const struct relay_stream *s, struct fast_addr *source) {
    bool learned = s->rtp.learned.family != ADDR_NONE;
    *source = fast_addr_of(learned ? &s->rtp.learned : &s->rtp.signalled);
    return learned || (!s->nat && !addr_is_any(&s->rtp.signalled) && s->rtp.signalled.port);
}

static bool is_for_kernel(const struct relay *r, uint32_t stream, struct fast_addr *source) {
    const struct relay_stream *s = &r->streams[stream], *to = relay_listener(r, stream);
    struct addr dst;
    return s->open && s->remote && !s->srtp && to && !to->srtp && relay_rtp_destination(to, &dst) &&
           known_source(s, source);
}

static void set_types(struct fast_in *in, const struct media_types *types) {
    for (uint32_t i = 0; i < FAST_TYPES; i++) {
        uint8_t to = relay_type(types, (uint8_t)i);
        in->types[i] = to == MEDIA_TYPE_DROP ? FAST_TYPE_UP : to & 0x7f;
    }
}

void relay_fast_sync(struct relay *r, uint32_t stream) {
    struct fast_addr source;
    if (!r->shared)
        return;
    struct fast_in *in = &r->in[stream];
    set_destination(r, stream);
    relay_fast_off(r, stream);
    if (!is_for_kernel(r, stream, &source))
        return;
    in->heard.type = FAST_TYPE_UP;
    in->source = source;
    in->negotiated_rate = r->streams[stream].negotiated_rate;
    set_types(in, &relay_extra(r, &r->streams[stream])->types);
    __atomic_store_n(&in->target, r->streams[stream].route, __ATOMIC_RELEASE);
}
