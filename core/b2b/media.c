/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/media.h"

#include "core/b2b/anchor.h"
#include "core/b2b/call.h"
#include "core/b2b/media_flow.h"
#include "core/b2b/media_ports.h"
#include "core/b2b/media_srtp.h"
#include "core/b2b/media_types.h"
#include "core/b2b/policy.h"
#include "core/base/check.h"

/* Who reads it knows; it is read next anyhow. */
static bool has_fingerprint(const struct engine *e, struct slice text) {
    struct sdp s;
    bool any = engine_sdp(e, text, &s) < 0 || !s.media_count;
    for (unsigned i = 0; !any && i < s.media_count; i++)
        any = s.media[i].dtls;
    return any && sdp_has_fingerprint(text);
}

bool media_goes_direct(const struct engine *e, struct slice principal, struct slice text) {
    enum anchor_mode m = policy_anchor_mode(e, principal);
    return m == ANCHOR_NO || (m == ANCHOR_AUTO && has_fingerprint(e, text));
}

void media_pair(struct leg *a, struct leg *b) {
    a->direct = b->direct = a->direct || b->direct;
}

static uint16_t check(const struct engine *e, enum srtp_mode mode, bool direct, struct slice text, struct slice *why) {
    struct sdp s;
    *why = SLICE_NONE;
    if (engine_sdp(e, text, &s) < 0) {
        *why = SL("Bad session description");
        return 400;
    }
    if (direct)
        return s.media_count ? 0 : 488;
    for (unsigned i = 0; i < s.media_count && i < LEG_STREAMS; i++)
        if (media_srtp_fits(mode, &s.media[i]))
            return 0;
    *why = media_srtp_refusal(mode, &s);
    return 488;
}

uint16_t media_check(const struct engine *e, struct leg *l, struct slice text) {
    struct slice why;
    return check(e, media_srtp_mode(e, l), l->direct, text, &why);
}

uint16_t media_check_offer(const struct engine *e, struct leg *l, struct slice text) {
    uint16_t bad = media_check(e, l, text);
    return bad ? bad : !l->direct && anchor_is_lost_by(e, l, text) ? 488 : 0;
}

uint16_t media_check_new(const struct engine *e, struct slice principal, bool direct, struct slice text,
                         struct slice *why) {
    return check(e, policy_srtp_mode(e, principal), direct, text, why);
}

struct leg *media_leg(const struct engine *e, uint32_t stream, uint32_t generation, unsigned *index) {
    uint32_t cursor = 0;
    handle h;
    for (struct leg *l; (l = pool_next(&e->legs, &cursor, &h));)
        for (*index = 0; *index < LEG_STREAMS; ++*index) {
            const struct leg_stream *s = l->media.streams[*index];
            if (s->open && s->slot == stream && s->generation == generation)
                return l;
        }
    return NULL;
}

bool media_tell_keys(struct engine *e, const struct leg_stream *s, const struct srtp_keys *keys) {
    struct media_cmd *c = media_command(e, MEDIA_SRTP, s);
    if (c)
        c->keys = *keys;
    return c != NULL;
}

/* Where the peer wants RTCP: a=rtcp (RFC 3605), else the next port. */
static struct addr rtcp_of(const struct sdp_media *m, const struct addr *rtp) {
    struct addr a = *rtp;
    if (m->rtcp_mux)
        return a;
    a.port = (uint16_t)(rtp->port + 1);
    if (m->rtcp.port) {
        if (m->rtcp.family != ADDR_NONE)
            a = m->rtcp;
        a.port = m->rtcp.port;
    }
    return a;
}

/* Told only when it changed: telling starts latching afresh. 0.0.0.0 is told too: it is sent nothing. */
static void tell_remote(struct engine *e, const struct leg *l, struct leg_stream *s, const struct sdp_media *m) {
    struct addr rtp = m->connection, rtcp;
    rtp.port = m->port;
    if (rtp.family == ADDR_NONE)
        return;
    rtcp = rtcp_of(m, &rtp);
    if (addr_eq(&rtp, &s->rtp) && addr_eq(&rtcp, &s->rtcp))
        return;
    struct media_cmd *c = media_command(e, MEDIA_REMOTE, s);
    if (!c)
        return;
    s->rtp = c->rtp = rtp;
    s->rtcp = c->rtcp = rtcp;
    c->nat = e->cfg.media_nat;
    c->signalling = l->dlg.flow;
    c->strict = policy_media_strict(e, leg_str(l, LEG_PRINCIPAL));
    c->rtcp_mux = m->rtcp_mux;
    c->clock_rate = sdp_clock_rate(m);
}

static uint32_t live_lines(const struct sdp *s) {
    uint32_t n = 0;
    for (unsigned i = 0; i < s->media_count && i < LEG_STREAMS; i++)
        n += media_srtp_is_live(&s->media[i]);
    return n;
}

static void tell_remotes(struct engine *e, struct leg *l, const struct sdp *s) {
    for (unsigned i = 0; i < s->media_count && i < LEG_STREAMS; i++)
        if (l->media.streams[i]->open && media_srtp_is_live(&s->media[i]))
            tell_remote(e, l, l->media.streams[i], &s->media[i]);
}

bool media_received(struct engine *e, struct leg *l, struct slice text, bool offer) {
    struct sdp s;
    if (engine_sdp(e, text, &s) < 0 || !leg_set(e, l, LEG_SDP_REMOTE, text))
        return false;
    l->media.said_srtp = media_srtp_spoken(&s);
    l->media.agreed_us = e->now;
    if (!leg_str(l, LEG_SDP_LOCAL).p && anchor_is_other_family(e, l))
        media_close(e, l);
    if (offer) {
        if (!leg_set(e, l, LEG_SDP_FULL, leg_str(l, LEG_SDP_REMOTE)))
            return false;
        if (s.media_count)
            l->media.own_direction = (uint8_t)s.media[0].direction;
    }
    for (unsigned i = 0; i < s.media_count && i < LEG_STREAMS; i++)
        if (!l->direct && media_srtp_is_live(&s.media[i]))
            (void)media_open(e, l, i, live_lines(&s));
    /* Keys before addresses: nothing of a party passes as plain RTP that is not. */
    if (!offer && l->oa != OA_OFFER_RCVD && !leg_str(l, LEG_SDP_BEFORE).p)
        media_srtp_settle(e, l, leg_str(l, LEG_SDP_REMOTE));
    tell_remotes(e, l, &s);
    return true;
}

void media_take_up(struct engine *e, struct leg *l) {
    media_srtp_reopen(l);
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        struct leg_stream *s = l->media.streams[i];
        if (!s->open)
            continue;
        s->rtp = s->rtcp = (struct addr){ 0 };
        port_pool_settle(&e->ports, s->slot);
        struct media_cmd *c = media_command(e, MEDIA_OPEN, s);
        if (c)
            media_flow_resume(e, l, i, c);
    }
}

void media_resume(struct engine *e, struct leg *l) {
    struct sbuf b = ua_body(&e->ua);
    struct slice remote = leg_str(l, LEG_SDP_REMOTE), before = leg_str(l, LEG_SDP_BEFORE);
    /* Of an offer that is open the keys are not in force yet. */
    media_srtp_settle(e, l, before.p ? before : remote);
    if (!remote.p || !l->media.streams[0]->open)
        return;
    /* Copied: setting a text of the leg moves the others. */
    sbuf_put(&b, remote);
    media_received(e, l, sbuf_slice(&b), false);
}

/* An answer has the m-lines of its offer, rejected where that rejects them, an offer all that there were before (RFC
 * 3264 sections 6 and 8). What is missing is there, rejected; what is too many and rejected comes from lines that were
 * put in here, and goes. */
static void fit_lines(const struct engine *e, const struct leg *to, struct sdp *s) {
    struct sdp model;
    bool answer = to->oa == OA_OFFER_RCVD;
    struct slice text = leg_str(to, answer ? LEG_SDP_REMOTE : LEG_SDP_LOCAL);
    if (!text.p || engine_sdp(e, text, &model) < 0)
        return;
    while (s->media_count > model.media_count && (answer || s->media[s->media_count - 1].port == 0))
        s->media_count--;
    for (; s->media_count < model.media_count; s->media_count++) {
        s->media[s->media_count] = model.media[s->media_count];
        s->media[s->media_count].port = 0;
    }
    /* With a=bundle-only a line of an offer has port 0 and is none that is rejected (RFC 8843 section 6). */
    for (unsigned i = 0; answer && !to->direct && i < s->media_count; i++)
        if (model.media[i].port == 0)
            s->media[i].port = 0;
}

bool media_offered(struct engine *e, struct leg *l, struct slice text) {
    struct sdp s;
    media_offer_settled(e, l, true);
    if (!leg_str(l, LEG_SDP_REMOTE).p)
        return media_received(e, l, text, true);
    l->media.own_before = l->media.own_direction;
    /* What it can do at all is what it offered last and was not refused: told when it is settled. */
    if (!leg_set(e, l, LEG_SDP_BEFORE, leg_str(l, LEG_SDP_REMOTE)) || !media_received(e, l, text, false) ||
        engine_sdp(e, text, &s) < 0)
        return false;
    if (s.media_count)
        l->media.own_direction = (uint8_t)s.media[0].direction;
    return true;
}

void media_offer_settled(struct engine *e, struct leg *l, bool accepted) {
    struct sbuf b = ua_body(&e->ua);
    struct slice before = leg_str(l, LEG_SDP_BEFORE);
    if (!before.p)
        return;
    /* Copied: setting a text of the leg moves the others. */
    if (!accepted)
        sbuf_put(&b, before);
    leg_set(e, l, LEG_SDP_BEFORE, SLICE_NONE);
    if (!accepted)
        l->media.own_direction = l->media.own_before;
    l->media.own_before = 0;
    if (accepted) {
        leg_set(e, l, LEG_SDP_FULL, leg_str(l, LEG_SDP_REMOTE));
        media_srtp_settle(e, l, leg_str(l, LEG_SDP_REMOTE));
    } else {
        media_received(e, l, sbuf_slice(&b), false);
    }
}

/* A description and what of it is changed. */
struct rewrite {
    struct sdp from;
    struct sdp_patch patch;
    struct sdp_renumber types[LEG_STREAMS];
    struct media_srtp_line srtp[LEG_STREAMS];
    bool srtp_concerned;
};

/* Profile and keys of m-line i, of those that are relayed. False: it is rejected. */
static bool secure_line(struct engine *e, const struct media_srtp *x, struct rewrite *r, unsigned i) {
    const struct sdp_media *m = &r->from.media[i];
    struct media_srtp_line *line = &r->srtp[i];
    bool live = media_srtp_is_live(m);
    if (!live && !x->answer)
        return false;
    bool taken = media_srtp_line(e, x, i, m, line);
    r->patch.media[i].proto = line->proto;
    r->patch.media[i].crypto = line->crypto;
    return live && taken;
}

/* Ports, directions, payload types and keys of a patch; streams are opened where needed. */
static bool fill_patch(struct engine *e, struct leg *to, int direction, struct rewrite *r) {
    const struct sdp *s = &r->from;
    struct sdp_patch *p = &r->patch;
    struct media_srtp x;
    media_srtp_begin(e, to, s, &x);
    r->srtp_concerned = x.concerned;
    *p = (struct sdp_patch){ .username = SL("referee"),
                             .session_id = to->media.session_id,
                             .version = to->media.version,
                             .pass = to->direct,
                             .strip_ice = !to->direct,
                             .strip_crypto = !to->direct };
    for (unsigned i = 0; i < s->media_count; i++) {
        p->media[i].direction = direction;
        if (to->direct) {
            p->media[i].port = s->media[i].port;
            continue;
        }
        if (i >= LEG_STREAMS || !secure_line(e, &x, r, i))
            continue;
        if (!media_open(e, to, i, live_lines(s)))
            return false;
        p->media[i].port = port_pool_rtp_port(&e->ports, to->media.streams[i]->slot);
        p->media[i].rtcp_port = s->media[i].rtcp_mux ? 0 : (uint16_t)(p->media[i].port + 1);
        media_types_keep(e, to, s, i, &r->types[i]);
        p->media[i].types = r->types[i].count ? &r->types[i] : NULL;
    }
    p->address = *media_address(e, to);
    return true;
}

/* o= gets the address of the session's first description: it may differ by its version only (RFC 3264 section 8), also
 * when another node goes on with it. A view of the leg's text, so that it is looked for when no more of them is set. */
static struct slice rewritten(struct engine *e, const struct leg *to, struct rewrite *r) {
    struct sbuf b = ua_body(&e->ua);
    r->patch.origin_at = sdp_origin_at(leg_str(to, LEG_SDP_LOCAL));
    sdp_rewrite(&b, &r->from, &r->patch);
    return b.overflow ? SLICE_NONE : sbuf_slice(&b);
}

/* Its party has gone over to the other family: so do its ports. No text of the leg is set, and whom it talks with stays
 * as it is. False: there are none. */
static bool follow_family(struct engine *e, struct leg *to) {
    struct sdp s;
    struct leg *p = leg_peer(e, to);
    struct slice before = leg_str(to, LEG_SDP_BEFORE), remote = leg_str(to, LEG_SDP_REMOTE);
    if (!anchor_is_other_family(e, to))
        return true;
    if (engine_sdp(e, remote, &s) < 0 || !media_move(e, to))
        return false;
    media_srtp_settle(e, to, before.p ? before : remote);
    tell_remotes(e, to, &s);
    if (to->echo)
        media_echo(e, to);
    else if (p && !to->holds_here && !leg_is_transferred(e, to))
        media_connect(e, to, p);
    return true;
}

/* With the o= line that it gets if it is not what `to` had last, which any version compares alike with. */
static struct slice written_anew(struct engine *e, const struct leg *to, struct rewrite *r) {
    r->patch.version = to->media.version + (leg_str(to, LEG_SDP_LOCAL).p ? 1 : 0);
    return rewritten(e, to, r);
}

/* The description for `to` in e->ua.body. */
static struct slice write_for(struct engine *e, struct leg *to, struct slice text, int direction, struct rewrite *r) {
    if (!follow_family(e, to) || engine_sdp(e, text, &r->from) < 0)
        return SLICE_NONE;
    fit_lines(e, to, &r->from);
    return fill_patch(e, to, direction, r) ? written_anew(e, to, r) : SLICE_NONE;
}

/* What it was told last: else the version of o= is ahead, since it may have been told something else meanwhile. */
static bool is_latest(const struct leg *to, struct slice text) {
    char mem[24];
    struct sbuf version = sbuf_on(mem, sizeof mem);
    struct slice at = sdp_origin_at(text);
    sbuf_char(&version, ' ');
    sbuf_u64(&version, to->media.version);
    sbuf_char(&version, ' ');
    return at.p && (size_t)(at.p - text.p) > version.n &&
           slice_eq(slice_of(at.p - version.n, version.n), sbuf_slice(&version));
}

bool media_is_same(struct engine *e, struct leg *l, struct slice text, int direction) {
    struct rewrite r;
    if (anchor_is_other_family(e, l))
        return false;
    struct slice now = write_for(e, l, text, direction, &r);
    struct slice told = leg_str(l, LEG_SDP_LOCAL);
    return now.p && !l->session_unsure && told.p && sdp_same_but_origin(now, told) && is_latest(l, told);
}

struct slice media_compose(struct engine *e, struct leg *to, struct slice text, int direction) {
    struct rewrite r;
    /* Its lines are fitted when it is sent: what it follows is not known yet. */
    if (engine_sdp(e, text, &r.from) < 0 || !fill_patch(e, to, direction, &r))
        return SLICE_NONE;
    return rewritten(e, to, &r);
}

/* For media_is_here, which then need not read it. */
static void note_told(struct leg *to, const struct sdp_patch *p) {
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        if (to->media.streams[i]->open)
            to->media.streams[i]->told = !p->pass && p->media[i].port != 0;
}

/* `now` is what r says, by written_anew. */
static struct slice keep(struct engine *e, struct leg *to, const struct rewrite *r, struct slice now) {
    struct slice before = leg_str(to, LEG_SDP_LOCAL);
    if (!now.p)
        return SLICE_NONE;
    if (before.p && sdp_same_but_origin(now, before) && is_latest(to, before))
        return before;
    to->media.version = r->patch.version;
    if (!leg_set(e, to, LEG_SDP_LOCAL, now))
        return SLICE_NONE;
    to->media.told_srtp = r->srtp_concerned;
    note_told(to, &r->patch);
    return leg_str(to, LEG_SDP_LOCAL);
}

static struct slice settle(struct engine *e, struct leg *to, const struct rewrite *r, struct slice now) {
    struct slice kept = keep(e, to, r, now);
    if (kept.p && to->oa == OA_OFFER_RCVD)
        media_srtp_settle(e, to, leg_str(to, LEG_SDP_REMOTE));
    return kept;
}

struct slice media_describe(struct engine *e, struct leg *to, struct slice text, int direction) {
    struct rewrite r;
    struct slice now = write_for(e, to, text, direction, &r);
    return settle(e, to, &r, now);
}

bool media_is_answer(const struct engine *e, struct slice answer, struct slice offer) {
    struct sdp a, o;
    bool all = engine_sdp(e, answer, &a) >= 0 && engine_sdp(e, offer, &o) >= 0;
    for (unsigned i = 0; all && i < a.media_count && i < o.media_count; i++)
        all = slice_ieq(a.media[i].proto, o.media[i].proto);
    return all;
}

/* An answer is of its offer's transport (RFC 3264 section 6); feedback or none is no matter to a relay. */
static bool same_transport(const struct sdp_media *a, const struct sdp_media *b) {
    return slice_ieq(a->proto, b->proto) || (media_srtp_is_live(a) && media_srtp_is_live(b));
}

/* 0.0.0.0 takes nothing, whatever direction stands beside it (RFC 2543's hold). */
static enum sdp_direction wanted(const struct sdp_media *m) {
    return m->zero_hold ? m->direction & SDP_SENDONLY : m->direction;
}

/* False: nothing remains. */
static bool keep_common(struct rewrite *r, const struct sdp *offer) {
    bool any = false;
    for (unsigned i = 0; i < r->from.media_count; i++) {
        const struct sdp_media *m = &r->from.media[i], *o = &offer->media[i];
        bool fits = i < offer->media_count && same_transport(m, o);
        uint32_t drop = fits ? sdp_foreign_formats(m, o) : UINT32_MAX;
        if (drop == UINT32_MAX) {
            r->patch.media[i].port = 0;
            continue;
        }
        r->patch.media[i].drop = drop;
        int direction = (int)(m->direction & sdp_reverse(wanted(o)));
        /* What is so already is not said in other words, which would be another description. */
        if (r->patch.media[i].direction >= 0 || direction != (int)m->direction)
            r->patch.media[i].direction = direction;
        any |= r->patch.media[i].port != 0;
    }
    return any;
}

struct slice media_answer_common(struct engine *e, struct leg *to, struct slice text) {
    struct rewrite r;
    struct sdp offer;
    if (!write_for(e, to, text, -1, &r).p || engine_sdp(e, leg_str(to, LEG_SDP_REMOTE), &offer) < 0 ||
        !keep_common(&r, &offer))
        return SLICE_NONE;
    return settle(e, to, &r, written_anew(e, to, &r));
}

struct slice media_answer_as_before(struct engine *e, struct leg *l) {
    struct slice before = leg_told(e, l);
    return before.p ? media_answer_common(e, l, before) : SLICE_NONE;
}

struct slice media_refuse_all(struct engine *e, struct leg *l, struct slice offer) {
    struct rewrite r;
    /* As many lines as it has, and of its transport, whatever was said before: it is not kept. */
    if (engine_sdp(e, offer, &r.from) < 0 || !fill_patch(e, l, -1, &r))
        return SLICE_NONE;
    for (unsigned i = 0; i < r.from.media_count; i++) {
        r.patch.media[i].port = 0;
        r.patch.media[i].proto = SLICE_NONE;
    }
    return settle(e, l, &r, written_anew(e, l, &r));
}

/* A line that has none of the codecs of its offer is no answer to that (RFC 3264 section 6.1). */
static bool can_answer(const struct sdp *told, const struct sdp *offer) {
    bool all = true;
    for (unsigned i = 0; i < told->media_count && i < offer->media_count; i++) {
        const struct sdp_media *m = &told->media[i], *o = &offer->media[i];
        all &= !m->port || !o->port || sdp_common_formats(m, o) != 0;
    }
    return all;
}

struct slice media_answer_alone(struct engine *e, struct leg *l, struct slice offer) {
    struct sdp o, told;
    struct slice before = leg_told(e, l);
    if (engine_sdp(e, offer, &o) < 0 || !before.p || engine_sdp(e, before, &told) < 0 || o.media_count == 0)
        return SLICE_NONE;
    /* Nobody translates between the two, or it has refused what it was told: no more than what both have said. */
    if (l->direct || l->session_unsure || !can_answer(&told, &o))
        return media_answer_common(e, l, before);
    return media_describe(e, l, before, sdp_reverse(wanted(&o.media[0])));
}

static void route(struct engine *e, const struct leg_stream *from, const struct leg_stream *to,
                  const struct media_types *types) {
    if (!from->open)
        return;
    struct media_cmd *c = media_command(e, MEDIA_ROUTE, from);
    if (!c || !to || !to->open)
        return;
    c->to = to->slot;
    if (types)
        c->types = *types;
}

/* One leg of a bridge, its descriptions read once for both ways. */
struct side {
    const struct leg *leg;
    struct media_types_leg types;
};

static void route_all(struct engine *e, const struct side *from, const struct side *to, bool only) {
    struct media_types types;
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        if (!from->leg->media.streams[i]->open)
            continue;
        media_types_route(e, &from->types, &to->types, i, only, &types);
        route(e, from->leg->media.streams[i], to->leg->media.streams[i], &types);
    }
}

static void read_sides(const struct engine *e, const struct leg *a, const struct leg *b, struct side *x,
                       struct side *y) {
    x->leg = a;
    y->leg = b;
    media_types_read(e, a, &x->types);
    media_types_read(e, b, &y->types);
}

static void connect(struct engine *e, const struct leg *a, const struct leg *b, bool early) {
    struct side x, y;
    read_sides(e, a, b, &x, &y);
    route_all(e, &x, &y, false);
    route_all(e, &y, &x, early);
}

void media_connect(struct engine *e, struct leg *a, struct leg *b) {
    if (a->direct && b->direct) {
        media_close(e, a);
        media_close(e, b);
        return;
    }
    connect(e, a, b, false);
}

void media_connect_early(struct engine *e, struct leg *a, struct leg *b) {
    connect(e, a, b, true);
}

void media_listen(struct engine *e, struct leg *a, struct leg *b) {
    struct side x, y;
    read_sides(e, a, b, &x, &y);
    route_all(e, &y, &x, true);
}

void media_mute(struct engine *e, struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        route(e, l->media.streams[i], NULL, NULL);
}

static const struct sdp_codec *g711_of(const struct sdp_media *m, struct sdp_codec *codecs, bool *alaw) {
    uint32_t n = sdp_codecs(m, codecs);
    for (uint32_t i = 0; i < n; i++) {
        *alaw = slice_ieq(codecs[i].map, SL("PCMA/8000"));
        if (*alaw || slice_ieq(codecs[i].map, SL("PCMU/8000")))
            return &codecs[i];
    }
    return NULL;
}

/* By what both last said of it: the stream is sent, is taken, and there is G.711 in it. */
static const struct sdp_codec *playable(const struct sdp_media *theirs, const struct sdp_media *ours,
                                        struct sdp_codec *codecs, bool *alaw) {
    bool flows = media_srtp_is_live(theirs) && ours->port && (theirs->direction & SDP_RECVONLY) &&
                 (ours->direction & SDP_SENDONLY);
    return flows && slice_ieq(theirs->kind, SL("audio")) ? g711_of(theirs, codecs, alaw) : NULL;
}

bool media_play(struct engine *e, struct leg *l, enum media_source source) {
    struct sdp theirs, ours;
    struct sdp_codec codecs[SDP_FORMATS_MAX];
    struct slice remote = leg_str(l, LEG_SDP_REMOTE), local = leg_str(l, LEG_SDP_LOCAL);
    bool alaw = false;
    if (!remote.p || !local.p || engine_sdp(e, remote, &theirs) < 0 || engine_sdp(e, local, &ours) < 0)
        return false;
    for (unsigned i = 0; i < theirs.media_count && i < ours.media_count && i < LEG_STREAMS; i++) {
        const struct sdp_codec *c = playable(&theirs.media[i], &ours.media[i], codecs, &alaw);
        const struct leg_stream *stream = l->media.streams[i];
        struct media_cmd *cmd = c && stream->open ? media_command(e, MEDIA_PLAY, stream) : NULL;
        if (!cmd)
            continue;
        cmd->source = source;
        cmd->payload_type = c->number;
        cmd->alaw = alaw;
        return true;
    }
    return false;
}

void media_echo(struct engine *e, struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        route(e, l->media.streams[i], l->media.streams[i], NULL);
}
