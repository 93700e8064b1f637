/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a phone does with a request. */
#include "parser/sip_frag.h"
#include "tests/sim/sim.h"

#define MS 1000ull

static uint64_t server_key(const struct sip_msg *m) {
    bool invite = m->method == SIP_M_INVITE || m->method == SIP_M_ACK;
    return sim_mix(sim_hash(m->via.branch), invite ? SIP_M_INVITE : m->method) | 1;
}

static struct pserver *server_find(struct phone *ph, const struct sip_msg *m) {
    uint64_t key = server_key(m);
    for (unsigned i = 0; i < PHONE_SERVERS; i++)
        if (ph->server[i].used && ph->server[i].key == key)
            return &ph->server[i];
    return NULL;
}

/* The oldest one that is done gives way. */
static struct pserver *server_new(struct world *w, struct phone *ph, const struct sip_msg *m) {
    struct pserver *best = NULL;
    for (unsigned i = 0; i < PHONE_SERVERS; i++) {
        struct pserver *s = &ph->server[i];
        if (!s->used) {
            best = s;
            break;
        }
        if (!s->repeats && !s->req && (!best || s->until < best->until))
            best = s;
    }
    if (!best)
        return NULL;
    phone_server_free(w, best);
    uint32_t gen = best->gen;
    memset(best, 0, sizeof *best);
    best->gen = gen + 1;
    best->used = true;
    best->key = server_key(m);
    best->method = (uint8_t)m->method;
    best->cseq = m->cseq;
    best->dlg = 0xff;
    best->until = w->now + 32000 * MS;
    return best;
}

static void keep_request(struct world *w, struct pserver *s, const struct packet *p) {
    s->req = packet_copy(w, p);
}

static void tie(const struct phone *ph, struct pserver *s, const struct pdlg *d) {
    s->dlg = phone_dialog_index(ph, d);
    s->dlg_gen = d->gen;
}

void phone_answer_plain(struct world *w, struct phone *ph, struct pserver *s, const struct sip_msg *m,
                        uint16_t status) {
    struct phone_response r = { .status = status, .tag = SL("nobody") };
    /* Not in its time (RFC 4320 section 4.1), and now and then alone. */
    if (m->method != SIP_M_INVITE && m->method != SIP_M_CANCEL && phone_quirk(w, ph, QUIRK_TRYING)) {
        struct phone_response trying = { .status = 100 };
        phone_respond(w, ph, s, m, &trying);
        if (m->method != SIP_M_BYE && m->method != SIP_M_NOTIFY && sim_draw_chance(w, ph->index, 30))
            return;
    }
    phone_respond(w, ph, s, m, &r);
}

static void later(struct world *w, struct phone *ph, const struct pdlg *d, enum sim_item_kind kind, uint64_t wait) {
    struct sim_item item = { .at = w->now + wait,
                             .kind = (uint8_t)kind,
                             .who = ph->index,
                             .index = phone_dialog_index(ph, d),
                             .gen = d->gen };
    world_push(w, &item);
}

/* ---- the answer to an INVITE: first or re-INVITE ---- */

static const struct sip_msg *request_again(struct world *w, const struct pserver *s) {
    const struct sip_msg *m = s->req ? packet_read(s->req) : NULL;
    if (s->req && !m)
        sim_fail(w, "simulator: a kept request cannot be read");
    return m;
}

/* The description of a 2xx; false: none fits. */
static bool describe(struct world *w, struct phone *ph, struct pdlg *d, const struct sip_msg *m, struct sbuf *b) {
    if (!m->body.n) {
        sdp_offer(w, ph, d, &d->offered);
        d->offer_open = d->ok_offers = true;
        sdp_write(b, ph, d, &d->offered);
        return true;
    }
    struct phone_sdp offer, mine;
    if (!sdp_read(m->body, &offer) || !sdp_answer(w, ph, d, &offer, &mine))
        return false;
    d->theirs = offer;
    d->mine = mine;
    d->stubborn = false;
    sdp_write(b, ph, d, &mine);
    return true;
}

static void refuse(struct world *w, struct phone *ph, struct pdlg *d, struct pserver *s, const struct sip_msg *m,
                   uint16_t status) {
    struct phone_response r = { .status = status, .tag = txt_slice(&d->local_tag), .repeats = true };
    if (status == 302)
        r.extra = SL("Contact: <sip:u1@10.0.0.1>\r\n");
    if (status == 500)
        r.extra = SL("Retry-After: 1\r\n");
    if (status == 401)
        r.extra = SL("WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\n");
    if (status == 422)
        r.extra = SL("Min-SE: 1800\r\n");
    phone_respond(w, ph, s, m, &r);
    packet_free(w, s->req);
    s->req = NULL;
    d->invite_server = 0;
    d->stubborn = true;
    if (d->state == PH_RINGING)
        phone_dialog_over(w, ph, d);
}

/* A 2xx of another fork of the same call: another dialog of this phone's, which is up until it hears a BYE. */
static void fork_answer(struct world *w, struct phone *ph, const struct pdlg *of, const struct sip_msg *m) {
    char mem[1200];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct pdlg *d = phone_dialog_new(w, ph);
    struct pserver *s = d ? server_new(w, ph, m) : NULL;
    if (!d)
        return;
    d->call_id = of->call_id;
    d->remote_tag = of->remote_tag;
    d->remote_uri = of->remote_uri;
    d->target = of->target;
    d->remote_cseq = m->cseq;
    if (!s || !describe(w, ph, d, m, &b)) {
        phone_dialog_over(w, ph, d);
        return;
    }
    d->scene = of->scene;
    d->call = of->call;
    d->state = PH_ANSWERED;
    d->ok_cseq = m->cseq;
    tie(ph, s, d);
    s->key ^= 2;
    s->ok = true;
    struct phone_response r = {
        .status = 200, .tag = txt_slice(&d->local_tag), .contact = true, .body = sbuf_slice(&b), .repeats = true
    };
    phone_respond(w, ph, s, m, &r);
}

static void accept(struct world *w, struct phone *ph, struct pdlg *d, struct pserver *s, const struct sip_msg *m) {
    char mem[1200];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    bool first = d->state == PH_RINGING;
    if (!(first && d->early) && !describe(w, ph, d, m, &b)) {
        refuse(w, ph, d, s, m, 488);
        return;
    }
    if (first && phone_quirk(w, ph, QUIRK_FORKS) && sim_draw_chance(w, ph->index, 40))
        fork_answer(w, ph, d, m);
    struct phone_response r = {
        .status = 200, .tag = txt_slice(&d->local_tag), .contact = true, .body = sbuf_slice(&b), .repeats = true
    };
    s->ok = true;
    phone_respond(w, ph, s, m, &r);
    packet_free(w, s->req);
    s->req = NULL;
    d->invite_server = 0;
    d->ok_cseq = m->cseq;
    if (first)
        d->state = PH_ANSWERED;
    if (d->replaces.n && !phone_quirk(w, ph, QUIRK_KEEPS_REPLACED)) {
        struct pdlg *old = phone_dialog_find(ph, txt_slice(&d->replaces), SLICE_NONE);
        if (old)
            later(w, ph, old, ITEM_BYE, sim_draw(w, ph->index, 60000));
    }
    d->replaces.n = 0;
}

void phone_answer(struct world *w, struct phone *ph, struct pdlg *d) {
    struct pserver *s = d->invite_server ? &ph->server[d->invite_server - 1] : NULL;
    const struct sip_msg *m = s && s->used ? request_again(w, s) : NULL;
    if (!m)
        return;
    uint16_t outcome = d->outcome;
    if (d->unacknowledged && outcome == 200 && !w->calm) {
        later(w, ph, d, ITEM_ANSWER, 200 * MS);
        return;
    }
    if (w->calm && d->state == PH_RINGING)
        outcome = 480;
    if (outcome == 0)
        return;
    if (outcome != 200)
        refuse(w, ph, d, s, m, outcome);
    else
        accept(w, ph, d, s, m);
}

/* ---- a new call ---- */

static uint16_t draw_outcome(struct world *w, struct phone *ph, bool replaces) {
    static const uint16_t refusals[] = { 486, 603, 480, 503, 404, 600, 488, 0, 500, 408 };
    if (w->calm)
        return 480;
    if (replaces && phone_quirk(w, ph, QUIRK_REFUSE_REPLACES)) {
        static const uint16_t codes[] = { 420, 481, 501, 486, 603, 500 };
        return codes[sim_draw(w, ph->index, 6)];
    }
    if (phone_quirk(w, ph, QUIRK_REDIRECTS))
        return 302;
    if (phone_quirk(w, ph, QUIRK_CHALLENGES))
        return 401;
    if (phone_quirk(w, ph, QUIRK_SESSION_422))
        return 422;
    if (!replaces && sim_draw_chance(w, ph->index, 12))
        return refusals[sim_draw(w, ph->index, sizeof refusals / sizeof *refusals)];
    return 200;
}

static void ring(struct world *w, struct phone *ph, struct pdlg *d, struct pserver *s, const struct sip_msg *m) {
    char mem[1200];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct phone_response r = { .status = 180, .tag = txt_slice(&d->local_tag), .contact = true };
    if (phone_quirk(w, ph, QUIRK_NO_PROVISIONAL) || extras_rings(w, ph, d, s, m))
        return;
    if (phone_quirk(w, ph, QUIRK_FORKS)) {
        struct phone_response other = { .status = 180, .tag = SL("fork1"), .contact = true };
        phone_respond(w, ph, s, m, &other);
    }
    if (m->body.n && phone_quirk(w, ph, QUIRK_EARLY_MEDIA)) {
        struct phone_sdp offer, mine;
        r.status = 183;
        if (sdp_read(m->body, &offer) && sdp_answer(w, ph, d, &offer, &mine))
            r.body = sdp_write(&b, ph, d, &mine);
    }
    phone_respond(w, ph, s, m, &r);
}

static bool take_replaces(struct world *w, struct phone *ph, struct pserver *s, const struct sip_msg *m,
                          struct pdlg **old) {
    struct sip_replaces r;
    struct slice v = sip_hdr_value(m, SIP_H_REPLACES);
    *old = NULL;
    if (!v.p || phone_quirk(w, ph, QUIRK_IGNORE_REPLACES))
        return true;
    if (sip_replaces_parse(v, &r) < 0) {
        phone_answer_plain(w, ph, s, m, 400);
        return false;
    }
    struct pdlg *d = phone_dialog_find(ph, r.call_id, r.to_tag);
    if (!d || !txt_eq(&d->remote_tag, r.from_tag)) {
        phone_answer_plain(w, ph, s, m, 481);
        return false;
    }
    *old = d;
    return true;
}

static void scene_of(struct pdlg *d, const struct sip_msg *m) {
    for (unsigned i = 0; i < m->header_count; i++) {
        struct slice v = m->headers[i].value;
        uint64_t n;
        bool named = m->headers[i].id == SIP_H_OTHER && slice_ieq(m->headers[i].name, SL("X-Scene"));
        if (named && slice_u64(v, 10 * SIM_SCENES, &n)) {
            d->scene = (uint8_t)(n / 10);
            d->call = (uint8_t)(n % 10);
        }
    }
}

static void start_dialog(struct phone *ph, struct pdlg *d, const struct sip_msg *m) {
    struct sip_nameaddr c;
    txt_set(&d->call_id, m->call_id);
    txt_set(&d->remote_tag, m->from_tag);
    txt_set(&d->remote_uri, m->from.value);
    int32_t at = slice_find(m->from.value, '>');
    if (at >= 0)
        txt_set(&d->remote_uri, slice_of(m->from.value.p, (uint32_t)at + 1));
    if (sip_nameaddr_parse(sip_hdr_value(m, SIP_H_CONTACT), &c) >= 0)
        txt_set(&d->target, c.uri.whole);
    d->remote_cseq = m->cseq;
    d->state = PH_RINGING;
    (void)ph;
}

static void on_new_invite(struct world *w, struct phone *ph, struct packet *p, struct pserver *s,
                          const struct sip_msg *m) {
    struct pdlg *old, *d;
    if (w->calm) {
        phone_answer_plain(w, ph, s, m, 480);
        s->repeats = true;
        return;
    }
    if (!take_replaces(w, ph, s, m, &old))
        return;
    d = phone_dialog_new(w, ph);
    if (!d) {
        phone_answer_plain(w, ph, s, m, 486);
        return;
    }
    start_dialog(ph, d, m);
    scene_of(d, m);
    tie(ph, s, d);
    keep_request(w, s, p);
    d->invite_server = (uint8_t)(s - ph->server + 1);
    d->outcome = draw_outcome(w, ph, old != NULL);
    if (old) {
        txt_set(&d->replaces, txt_slice(&old->call_id));
        d->scene = old->scene;
        d->call = old->call;
    }
    world_seen(w, ph, old ? SEEN_REPLACES : SEEN_INVITE, d->scene);
    if (!old)
        ring(w, ph, d, s, m);
    uint64_t wait = old ? sim_draw(w, ph->index, 30000) : 1 + sim_draw(w, ph->index, 1500) * MS;
    if (phone_quirk(w, ph, QUIRK_SLOW))
        wait *= old ? 200 : 8;
    later(w, ph, d, ITEM_ANSWER, wait);
}

/* ---- in a dialog ---- */

static uint16_t draw_reinvite(struct world *w, struct phone *ph, const struct pdlg *d) {
    if (d->offer_open || d->invite_client)
        return 491;
    if (!w->calm && (ph->quirks >> QUIRK_GLARE_ALWAYS & 1))
        return 491;
    if (phone_quirk(w, ph, QUIRK_GLARE))
        return sim_draw_chance(w, ph->index, 70) ? 491 : 500;
    if (phone_quirk(w, ph, QUIRK_REFUSE_REINVITE)) {
        static const uint16_t codes[] = { 488, 603, 401, 481, 408, 606 };
        return codes[sim_draw(w, ph->index, 6)];
    }
    return 200;
}

static void on_reinvite(struct world *w, struct phone *ph, struct pdlg *d, struct packet *p, struct pserver *s,
                        const struct sip_msg *m) {
    struct sip_nameaddr c;
    tie(ph, s, d);
    if (d->invite_server || d->state == PH_RINGING) {
        struct phone_response r = { .status = 500, .extra = SL("Retry-After: 1\r\n"), .repeats = true };
        phone_respond(w, ph, s, m, &r);
        return;
    }
    if (sip_nameaddr_parse(sip_hdr_value(m, SIP_H_CONTACT), &c) >= 0)
        txt_set(&d->target, c.uri.whole);
    keep_request(w, s, p);
    d->invite_server = (uint8_t)(s - ph->server + 1);
    d->outcome = draw_reinvite(w, ph, d);
    world_seen(w, ph, SEEN_REINVITE, d->scene);
    uint64_t wait = phone_quirk(w, ph, QUIRK_SLOW) ? sim_draw(w, ph->index, 8000) * MS : sim_draw(w, ph->index, 3000);
    later(w, ph, d, ITEM_ANSWER, wait);
}

static void on_notify(struct world *w, struct phone *ph, struct pdlg *d, struct pserver *s, const struct sip_msg *m) {
    struct sip_sub_state state;
    bool last = sip_sub_state_parse(sip_hdr_value(m, SIP_H_SUBSCRIPTION_STATE), &state) >= 0 &&
                slice_eq(state.state, SL("terminated"));
    if (d)
        world_seen(w, ph, SEEN_NOTIFY, d->scene);
    if (phone_quirk(w, ph, QUIRK_NO_NOTIFY_ANSWER))
        return;
    if (phone_quirk(w, ph, QUIRK_NOTIFY_481) || (!d && sim_draw_chance(w, ph->index, 70))) {
        phone_answer_plain(w, ph, s, m, 481);
        return;
    }
    phone_answer_plain(w, ph, s, m, 200);
    if (!d)
        return;
    uint16_t status = 0;
    struct slice reason;
    if (!sip_frag_status(m->body, &status, &reason) && m->content_type.p)
        sim_fail(w, "a NOTIFY without a status line in its sipfrag");
    struct sip_event ev = { .package = SLICE_NONE };
    uint64_t id = 0;
    bool named = sip_event_parse(sip_hdr_value(m, SIP_H_EVENT), &ev) >= 0 && slice_u64(ev.id, UINT32_MAX, &id);
    if (named && id == d->forged_cseq && status >= 200 && status < 300)
        sim_fail(w, "a transfer with somebody else's dialog has succeeded");
    if (last)
        d->refer_open = false;
    if (last && d->state == PH_SUB)
        phone_dialog_over(w, ph, d);
    if ((last || phone_quirk(w, ph, QUIRK_BYE_AT_NOTIFY)) && d->state == PH_UP && !phone_quirk(w, ph, QUIRK_NO_BYE)) {
        if (status < 300 && sim_draw_chance(w, ph->index, 80))
            later(w, ph, d, ITEM_BYE, sim_draw(w, ph->index, 3) * 20000);
    }
}

static void on_update(struct world *w, struct phone *ph, struct pdlg *d, struct pserver *s, const struct sip_msg *m) {
    char mem[1200];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    if (m->body.n && (d->offer_open || d->invite_server)) {
        phone_answer_plain(w, ph, s, m, 491);
        return;
    }
    if (m->body.n && (phone_quirk(w, ph, QUIRK_REFUSE_REINVITE) || !describe(w, ph, d, m, &b))) {
        d->stubborn = true;
        phone_answer_plain(w, ph, s, m, 488);
        return;
    }
    struct phone_response r = { .status = 200, .contact = true, .body = b.n ? sbuf_slice(&b) : SLICE_NONE };
    phone_respond(w, ph, s, m, &r);
}

static void on_bye(struct world *w, struct phone *ph, struct pdlg *d, struct pserver *s, const struct sip_msg *m) {
    d->bye_in = true;
    if (phone_quirk(w, ph, QUIRK_NO_BYE_ANSWER))
        return;
    phone_answer_plain(w, ph, s, m, 200);
    world_seen(w, ph, SEEN_BYE, d->scene);
    if (d->invite_server) {
        struct pserver *open = &ph->server[d->invite_server - 1];
        const struct sip_msg *invite = open->used ? request_again(w, open) : NULL;
        if (invite) {
            struct phone_response r = { .status = 487, .tag = txt_slice(&d->local_tag), .repeats = true };
            phone_respond(w, ph, open, invite, &r);
            packet_free(w, open->req);
            open->req = NULL;
        }
    }
    phone_dialog_over(w, ph, d);
}

static void on_cancel(struct world *w, struct phone *ph, struct pserver *s, const struct sip_msg *m) {
    uint64_t key = sim_mix(sim_hash(m->via.branch), SIP_M_INVITE) | 1;
    struct pserver *open = NULL;
    for (unsigned i = 0; i < PHONE_SERVERS; i++)
        if (ph->server[i].used && ph->server[i].key == key)
            open = &ph->server[i];
    phone_answer_plain(w, ph, s, m, open ? 200 : 481);
    if (!open || !open->req || open->dlg >= PHONE_DIALOGS || ph->dlg[open->dlg].gen != open->dlg_gen)
        return;
    struct pdlg *d = &ph->dlg[open->dlg];
    refuse(w, ph, d, open, request_again(w, open), 487);
}

/* ACK to our final answer. */
static void on_ack(struct world *w, struct phone *ph, const struct sip_msg *m) {
    struct pserver *s = server_find(ph, m);
    if (s) {
        s->repeats = false;
        return;
    }
    struct pdlg *d = m->to_tag.p ? phone_dialog_find(ph, m->call_id, m->to_tag) : NULL;
    if (!d)
        return;
    for (unsigned i = 0; i < PHONE_SERVERS; i++) {
        s = &ph->server[i];
        if (s->used && s->ok && s->dlg == phone_dialog_index(ph, d) && s->dlg_gen == d->gen && s->cseq == m->cseq)
            s->repeats = false;
    }
    if (m->cseq != d->ok_cseq)
        return;
    d->ok_cseq = 0;
    if (d->state == PH_ANSWERED)
        d->state = PH_UP;
    if (d->ok_offers && !d->invite_client) {
        d->offer_open = d->ok_offers = false;
        if (m->body.n && sdp_read(m->body, &d->theirs)) {
            sdp_check_answer(w, &d->offered, &d->theirs);
            d->mine = d->offered;
            d->stubborn = false;
        }
    }
    world_seen(w, ph, SEEN_ACK, d->scene);
    if (w->calm)
        phone_end(w, ph, d);
    else if (phone_quirk(w, ph, QUIRK_REOFFERS) && d->state == PH_UP && !d->invite_client && !d->invite_server &&
             !d->offer_open)
        phone_invite(w, ph, d, SLICE_NONE, false);
}

static bool was_ours(const struct phone *ph, struct slice call_id) {
    uint64_t h = sim_hash(call_id);
    for (unsigned i = 0; i < 32; i++)
        if (ph->over[i] == h)
            return true;
    return false;
}

static void on_dialog_request(struct world *w, struct phone *ph, struct packet *p, struct pserver *s,
                              const struct sip_msg *m) {
    struct pdlg *d = phone_dialog_find(ph, m->call_id, m->to_tag);
    /* A NOTIFY may come before the 2xx to what it is for (RFC 6665 section 4.1.2.4). */
    if (d && d->state == PH_SUB && !d->remote_tag.n)
        txt_set(&d->remote_tag, m->from_tag);
    if (!d || !txt_eq(&d->remote_tag, m->from_tag)) {
        if (m->method == SIP_M_NOTIFY && was_ours(ph, m->call_id))
            on_notify(w, ph, NULL, s, m);
        else
            phone_answer_plain(w, ph, s, m, 481);
        return;
    }
    if (m->cseq < d->remote_cseq) {
        d->stubborn = d->stubborn || m->method == SIP_M_INVITE || m->method == SIP_M_UPDATE;
        phone_answer_plain(w, ph, s, m, 500);
        return;
    }
    d->remote_cseq = m->cseq;
    switch (m->method) {
    case SIP_M_INVITE: on_reinvite(w, ph, d, p, s, m); break;
    case SIP_M_BYE: on_bye(w, ph, d, s, m); break;
    case SIP_M_NOTIFY: on_notify(w, ph, d, s, m); break;
    case SIP_M_PRACK: phone_answer_plain(w, ph, s, m, extras_on_prack(ph, d, m)); break;
    case SIP_M_UPDATE: on_update(w, ph, d, s, m); break;
    case SIP_M_REFER: phone_on_refer(w, ph, d, s, m); break;
    default: phone_answer_plain(w, ph, s, m, 200); break;
    }
}

void phone_on_request(struct world *w, struct phone *ph, struct packet *p, const struct sip_msg *m) {
    if (m->method == SIP_M_ACK) {
        on_ack(w, ph, m);
        return;
    }
    struct pserver *s = server_find(ph, m);
    if (s) {
        if (s->rsp)
            net_send(w, packet_copy(w, s->rsp));
        return;
    }
    s = server_new(w, ph, m);
    if (!s)
        return;
    if (m->method == SIP_M_CANCEL)
        on_cancel(w, ph, s, m);
    else if (m->to_tag.p)
        on_dialog_request(w, ph, p, s, m);
    else if (m->method == SIP_M_INVITE)
        on_new_invite(w, ph, p, s, m);
    else
        phone_answer_plain(w, ph, s, m, m->method == SIP_M_OPTIONS ? 200 : 481);
}
