/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/media_ports.h"

#include "core/b2b/anchor.h"
#include "core/b2b/cdr_media.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/b2b/media_srtp.h"
#include "core/base/check.h"

struct media_cmd *media_command(struct engine *e, enum media_verb verb, const struct leg_stream *s) {
    struct out *o = outbox_add(e->out, OUT_MEDIA);
    if (!o) {
        metrics_add(&e->metrics, M_pool_full, 1);
        return NULL;
    }
    o->u.media.verb = verb;
    o->u.media.stream = s->slot;
    o->u.media.generation = s->generation;
    o->u.media.to = MEDIA_NOWHERE;
    return &o->u.media;
}

const struct leg_stream leg_no_stream = { 0 };

void media_streams_none(struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        l->media.streams[i] = (struct leg_stream *)(uintptr_t)&leg_no_stream;
}

struct leg_stream *media_stream(struct engine *e, struct leg *l, unsigned i) {
    handle h;
    if (l->media.streams[i] == &leg_no_stream) {
        l->media.streams[i] = pool_alloc(&e->streams, &h);
        CHECK(l->media.streams[i]);
    }
    return l->media.streams[i];
}

void media_streams_free(struct engine *e, struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        if (l->media.streams[i] != &leg_no_stream)
            pool_free(&e->streams, pool_handle(&e->streams, l->media.streams[i]));
    media_streams_none(l);
}

const struct addr *media_address(const struct engine *e, const struct leg *l) {
    uint32_t at = anchor_of(e, l);
    return anchor_addr(e, at == ANCHOR_NOWHERE ? 0 : at);
}

bool media_open(struct engine *e, struct leg *l, unsigned i, uint32_t streams) {
    uint32_t at = anchor_of(e, l), generation;
    if (l->media.streams[i]->open)
        return true;
    if (at == ANCHOR_NOWHERE)
        at = anchor_choose(e, l, streams);
    uint32_t slot = at == ANCHOR_NOWHERE ? PORT_POOL_NONE : anchor_take(e, l, at, &generation);
    if (slot == PORT_POOL_NONE)
        return false;
    struct leg_stream *s = media_stream(e, l, i);
    *s = (struct leg_stream){ .slot = slot, .generation = generation, .open = true };
    media_command(e, MEDIA_OPEN, s);
    return true;
}

bool media_reserve(struct engine *e, struct leg *l) {
    return l->direct || media_open(e, l, 0, 1);
}

bool media_has_ports(const struct engine *e, const struct leg *l, struct slice text) {
    struct sdp s;
    if (l->direct || engine_sdp(e, text, &s) < 0)
        return true;
    for (unsigned i = 0; i < s.media_count && i < LEG_STREAMS; i++)
        if (media_srtp_is_live(&s.media[i]) && !l->media.streams[i]->open)
            return false;
    return true;
}

void media_leave(struct engine *e, struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        struct leg_stream *s = l->media.streams[i];
        if (!s->open)
            continue;
        media_command(e, MEDIA_LEAVE, s);
        port_pool_lend(&e->ports, s->slot, s->generation);
        s->open = false;
    }
}

static bool is_told(const struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        if (l->media.streams[i]->open && !l->media.streams[i]->told)
            return false;
    return true;
}

static bool reads_here(const struct engine *e, const struct leg *l) {
    struct sdp told;
    if (!leg_str(l, LEG_SDP_LOCAL).p || engine_sdp(e, leg_str(l, LEG_SDP_LOCAL), &told) < 0)
        return true;
    for (unsigned i = 0; i < told.media_count && i < LEG_STREAMS; i++) {
        const struct leg_stream *s = l->media.streams[i];
        const struct sdp_media *m = &told.media[i];
        if (s->open && m->port && (m->port != port_pool_rtp_port(&e->ports, s->slot) ||
                                   !addr_eq_ip(&m->connection, media_address(e, l))))
            return false;
    }
    return true;
}

bool media_is_here(const struct engine *e, const struct leg *l) {
    if (l->direct)
        return true;
    if (!is_told(l))
        return reads_here(e, l);
    CHECK_SLOW(reads_here(e, l));
    return true;
}

void media_close_stream(struct engine *e, const struct leg_stream *s) {
    media_command(e, MEDIA_CLOSE, s);
    port_pool_release(&e->ports, s->slot, s->generation, e->now);
}

/* Who closes a pair gives it back. */
void media_return(struct engine *e, uint32_t slot) {
    struct leg_stream s = { .slot = slot };
    if (!port_pool_is_elsewhere(&e->ports, slot) || !port_pool_take_slot(&e->ports, slot, e->now, &s.generation))
        return;
    port_pool_settle(&e->ports, slot);
    media_command(e, MEDIA_OPEN, &s);
    media_close_stream(e, &s);
}

static void close_streams(struct engine *e, struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        if (l->media.streams[i]->open)
            media_close_stream(e, l->media.streams[i]);
}

uint32_t media_open_count(const struct leg *l) {
    uint32_t n = 0;
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        n += l->media.streams[i]->open;
    return n;
}

bool media_move(struct engine *e, struct leg *l) {
    struct leg_stream streams[LEG_STREAMS];
    uint32_t at = anchor_choose(e, l, media_open_count(l));
    if (at == ANCHOR_NOWHERE)
        return false;
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        streams[i] = *l->media.streams[i];
        streams[i].told = false;
        if (streams[i].open)
            streams[i].slot = anchor_take(e, l, at, &streams[i].generation);
    }
    close_streams(e, l);
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        if (streams[i].open)
            *l->media.streams[i] = streams[i];
    media_take_up(e, l);
    return true;
}

bool media_come_home(struct engine *e, struct leg *l) {
    if (!media_move(e, l))
        return false;
    l->session_unsure = true;
    media_resume(e, l);
    return true;
}

void media_close(struct engine *e, struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        struct leg_stream *s = l->media.streams[i];
        if (!s->open)
            continue;
        cdr_count_media(e, l, i);
        media_close_stream(e, s);
        s->open = false;
    }
}
