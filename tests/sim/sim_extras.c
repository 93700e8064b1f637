/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Phones that know session timers (RFC 4028) and reliable provisional responses (RFC 3262). */
#include "core/sip/rel100.h"
#include "core/sip/session_timer.h"
#include "parser/sip_write.h"
#include "tests/sim/sim.h"

#define RSEQ 7

static bool knows(const struct phone *ph, enum sim_extra x) {
    return ph->extras & x;
}

void extras_make(struct sim_setup *u, uint64_t seed) {
    uint64_t m = sim_mix(seed, 81);
    for (unsigned i = 0; i < SIM_PHONES; i++)
        u->extras[i] = (uint8_t)(m >> 4 * i & (m >> 60 & 1 ? 15 : 0));
    u->session_s = m >> 61 & 1 ? (uint8_t)(30 + (m >> 50) % 90) : 0;
    u->session_us = m >> 62 & 1;
}

void extras_config(struct engine_config *c, const struct sim_setup *u) {
    c->session.expires_s = u->session_s;
    c->session.min_se_s = 2;
    c->session.refresher = u->session_us ? SESSION_US : SESSION_AUTO;
}

/* A request or response of the phone: what it supports, and the session timer, which we are always asked to keep. */
void extras_put(const struct phone *ph, struct sbuf *b, bool request, enum sip_method method, uint16_t status) {
    bool session = method == SIP_M_INVITE || method == SIP_M_UPDATE;
    if (knows(ph, EXTRA_TIMER))
        sip_put_hdr(b, SL("Supported"), SL("timer"));
    if (knows(ph, EXTRA_RELIABLE))
        sip_put_hdr(b, SL("Supported"), SL("100rel"));
    if (session && knows(ph, EXTRA_TIMER) && request)
        sbuf_lit(b, "Session-Expires: 60;refresher=uas\r\n");
    else if (session && knows(ph, EXTRA_TIMER) && status >= 200 && status < 300)
        sbuf_lit(b, "Require: timer\r\nSession-Expires: 60;refresher=uac\r\n");
}

/* ---- who is called ---- */

bool extras_rings(struct world *w, struct phone *ph, struct pdlg *d, struct pserver *s, const struct sip_msg *m) {
    char mem[1200];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct phone_response r = { .status = 183, .tag = txt_slice(&d->local_tag), .contact = true, .repeats = true };
    struct phone_sdp offer, mine;
    bool other = phone_quirk(w, ph, QUIRK_FORKS) || phone_quirk(w, ph, QUIRK_EARLY_MEDIA);
    if (!knows(ph, EXTRA_RELIABLE) || other || !m->body.n || !rel100_is_supported(m) || !sdp_read(m->body, &offer) ||
        !sdp_answer(w, ph, d, &offer, &mine))
        return false;
    r.body = sdp_write(&b, ph, d, &mine);
    r.extra = SL("Require: 100rel\r\nRSeq: 7\r\n");
    d->theirs = offer;
    d->mine = mine;
    d->early = true;
    d->unacknowledged = true;
    phone_respond(w, ph, s, m, &r);
    return true;
}

uint16_t extras_on_prack(struct phone *ph, struct pdlg *d, const struct sip_msg *m) {
    struct pserver *s = d->invite_server ? &ph->server[d->invite_server - 1] : NULL;
    if (!d->unacknowledged || !s || !s->used || !rel100_matches(m, RSEQ, s->cseq))
        return 481;
    d->unacknowledged = false;
    s->repeats = false;
    return 200;
}

/* ---- who calls ---- */

/* Its INVITE has come again behind a death, to an owner that knows nothing of it: its response makes another early
 * dialog, which counts its RSeq from anew (RFC 3262 section 3) and answers the offer for itself. */
void extras_responded(const struct world *w, struct pdlg *d, const struct sip_msg *m) {
    if (!m->to_tag.p || !d->remote_tag.n || txt_eq(&d->remote_tag, m->to_tag) ||
        !sim_is_lost_tag(w, txt_slice(&d->remote_tag)))
        return;
    d->offer_open = d->offer_open || (d->early && !d->late);
    d->early = false;
    d->rseq = 0;
}

void extras_provisional(struct world *w, struct phone *ph, struct pdlg *d, const struct sip_msg *m) {
    char line[REL100_LINES_MAX], mem[1200];
    struct sbuf b = sbuf_on(line, sizeof line), sdp = sbuf_on(mem, sizeof mem);
    uint32_t rseq = rel100_rseq(m);
    if (!rseq)
        return;
    if (!knows(ph, EXTRA_RELIABLE))
        sim_fail(w, "a reliable provisional response to a phone that does not know them");
    /* Of an owner that died with something unprotected the next one may not know that it sent any. */
    if (d->rseq && rseq > d->rseq + 1 && !sim_is_lost_tag(w, m->to_tag))
        sim_fail(w, "RSeq %u behind %u", (unsigned)rseq, (unsigned)d->rseq);
    if (d->rseq && rseq != d->rseq + 1)
        return;
    d->rseq = rseq;
    rel100_put_rack(&b, rseq, m->cseq);
    struct phone_request r = { .method = SL("PRACK"), .extra = sbuf_slice(&b), .type = SL("application/sdp") };
    struct phone_sdp theirs, mine;
    if (m->body.n && sdp_read(m->body, &theirs)) {
        if (d->offer_open) {
            sdp_check_answer(w, &d->offered, &theirs);
            d->offer_open = false;
            d->mine = d->offered;
        } else if (!d->late || d->early) {
            sim_fail(w, "a description in a reliable 18x that nobody asked for");
        } else {
            if (!sdp_answer(w, ph, d, &theirs, &mine))
                mine.live = 0, mine.codecs = mine.codecs ? mine.codecs : 1;
            d->mine = mine;
            r.body = sdp_write(&sdp, ph, d, &mine);
        }
        d->theirs = theirs;
        d->early = true;
    }
    phone_send(w, ph, d, &r);
}

void extras_check_2xx(struct world *w, const struct pdlg *d, const struct sip_msg *m) {
    /* An owner that died with something unprotected may have said it in the 18x, and the next one does not know. */
    if (d->early && m->body.n && !sim_is_lost_tag(w, m->to_tag))
        sim_fail(w, "a description in the 2xx behind one in a reliable 18x");
}
