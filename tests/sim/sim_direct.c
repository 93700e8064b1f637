/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Media that goes from party to party: phones with DTLS and ICE, users who want no relay, and what must hold of such a
 * call. Beside it the other thing that media alone shows: the announcement at the end of a recall in vain. */
#include "core/b2b/transfer_fsm.h"
#include "tests/sim/sim_direct.h"

#include <stdio.h>

#define SECOND 1000000ull
#define ANNOUNCEMENT_US (3 * SECOND)

/* Of the seed alone: what other draws give stays as it was. */
void direct_make(struct sim_setup *u, uint64_t seed) {
    static const uint8_t modes[] = { ANCHOR_AUTO, ANCHOR_AUTO, ANCHOR_AUTO, ANCHOR_NO, ANCHOR_YES };
    struct sim_rng r = { sim_mix(seed, 91) };
    bool on = sim_chance(&r, u->hot ? 60 : 25), mixed = sim_chance(&r, 50);
    bool users = sim_chance(&r, 40), plain = sim_chance(&r, 50);
    u->announces = sim_chance(&r, 12);
    u->recall = u->recall || u->announces;
    u->anchor = on ? modes[sim_below(&r, sizeof modes)] : ANCHOR_AUTO;
    for (unsigned i = 0; i < SIM_PHONES; i++) {
        uint8_t kind = sim_chance(&r, 40) ? SPEAKS_RTP | SPEAKS_DTLS : SPEAKS_DTLS;
        bool rtp = !on || (plain && u->anchor == ANCHOR_NO) || (mixed && sim_chance(&r, 40));
        u->speaks[i] = rtp ? SPEAKS_RTP : kind;
        u->users_anchor[i] = on && users && sim_chance(&r, 30) ? (uint8_t)sim_below(&r, 4) : ANCHOR_DEFAULT;
    }
}

void direct_config(struct world *w) {
    const struct sim_setup *u = &w->script.setup;
    w->config.anchor = (enum anchor_mode)u->anchor;
    w->config.announcement_us = u->announces ? ANNOUNCEMENT_US : 0;
}

/* ---- descriptions ---- */

struct slice direct_proto(bool dtls) {
    return dtls ? SL("UDP/TLS/RTP/SAVPF") : SL("RTP/AVP");
}

void direct_put(struct sbuf *b, const struct phone *ph, uint16_t port) {
    sbuf_lit(b, "a=fingerprint:sha-256 0A:0B:0C:0");
    sbuf_u64(b, ph->index);
    sbuf_lit(b, "\r\na=setup:actpass\r\na=ice-ufrag:u");
    sbuf_u64(b, ph->index);
    sbuf_lit(b, "\r\na=ice-pwd:0123456789012345678901\r\na=candidate:1 1 UDP 1 ");
    addr_put_ip(b, &ph->addr);
    sbuf_char(b, ' ');
    sbuf_u64(b, port);
    sbuf_lit(b, " typ host\r\n");
}

/* By what it can do; who can do both now and then changes its mind. */
bool direct_offers(struct world *w, const struct phone *ph, const struct pdlg *d) {
    if (ph->speaks != (SPEAKS_RTP | SPEAKS_DTLS))
        return ph->speaks == SPEAKS_DTLS;
    return d->mine.lines && sim_draw_chance(w, ph->index, 70) ? d->mine.dtls : true;
}

bool direct_takes(const struct phone *ph, const struct phone_sdp *offer) {
    return ph->speaks & (offer->dtls ? SPEAKS_DTLS : SPEAKS_RTP);
}

void direct_read(const struct sdp *s, struct phone_sdp *out) {
    const char *end = s->session.p + s->session.n, *behind = s->origin.p + s->origin.n;
    uint64_t h = sim_mix(sim_hash(slice_of(s->session.p, (uint32_t)(s->origin.p - s->session.p))),
                         sim_hash(slice_of(behind, (uint32_t)(end - behind))));
    /* Of a rejected line nothing counts but that it is one. */
    for (unsigned i = 0; i < s->media_count; i++)
        if (s->media[i].port)
            h = sim_mix(h + i, sim_hash(s->media[i].lines));
    out->text = h;
    out->dtls = slice_eq(s->media[0].proto, direct_proto(true));
}

/* ---- what must hold ---- */

/* What a phone's description says but for its o= line. */
static uint64_t text_of(const struct phone *ph, const struct pdlg *d, const struct phone_sdp *as) {
    char mem[1200];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct pdlg again = *d;
    struct phone_sdp read;
    return sdp_read(sdp_write(&b, ph, &again, as), &read) ? read.text : 0;
}

void direct_check_views(struct world *w, const struct phone *pa, const struct pdlg *a, const struct phone *pb,
                        const struct pdlg *b) {
    if (a->theirs.text != text_of(pb, b, &b->mine))
        sim_fail(w, "media goes from party to party, and phone#%u was told something else than phone#%u says",
                 pa->index, pb->index);
}

void direct_check(struct world *w, const struct leg *l, const struct leg *p) {
    if (l->direct != p->direct)
        sim_fail(w, "media that one leg relays and the other does not");
    for (unsigned i = 0; l->direct && i < LEG_STREAMS; i++)
        if (l->media.streams[i]->open)
            sim_fail(w, "a port is held for media that goes from party to party");
}

/* To whoever is brought into such a call goes what somebody says now, not what was said of another association. */
void direct_check_out(struct world *w, const struct sip_msg *m) {
    const struct leg *l = m->method == SIP_M_INVITE ? leg_of_tag(w->e, m->call_id, m->from_tag) : NULL;
    const struct transfer *t = l && l->direct ? transfer_get(w->e, l->transfer) : NULL;
    if (!t || l->transfer_role != TR_TARGET || !m->body.n)
        return;
    if (!m->to_tag.p && (t->mode == MODE_BLIND || t->mode == MODE_REPLACE || t->mode == MODE_FOREIGN))
        sim_fail(w, "a target whose media is not relayed is called with an offer");
    if (m->to_tag.p && t->mode == MODE_JOIN && !t->asked)
        sim_fail(w, "a target whose media is not relayed is offered what is on record");
}

/* Until it ends: it is not left to hear nothing, nor for ever. */
void direct_check_announced(struct world *w, const struct transfer *t) {
    const struct leg *a = leg_get(w->e, t->transferee);
    const struct call *c = call_get(w->e, t->call);
    bool taken = t->resuming || (c && c->resuming); /* over, and does not go on yet */
    if (t->state != TRANSFER_ANNOUNCE || taken || w->faults.deaths)
        return;
    const struct leg_stream *s = a ? a->media.streams[0] : NULL;
    const struct relay_play *p = s && s->open ? &relay_extra(w->relay, &w->relay->streams[s->slot])->play : NULL;
    if (!p || !p->on || p->source != MEDIA_SOURCE_ANNOUNCEMENT)
        sim_fail(w, "who is recalled in vain does not hear the announcement");
    if (!wheel_is_set(&t->timer) || t->timer.deadline_us > w->now + ANNOUNCEMENT_US)
        sim_fail(w, "an announcement without an end");
}
