/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a phone does with a response. */
#include "core/sip/auth.h"
#include "tests/sim/sim.h"

static struct pclient *client_find(struct phone *ph, const struct sip_msg *m) {
    struct slice b = m->via.branch;
    uint32_t branch = 0;
    if (b.n != 16)
        return NULL;
    for (unsigned i = 8; i < 16; i++) {
        char c = b.p[i];
        branch = branch << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    for (unsigned i = 0; i < PHONE_CLIENTS; i++) {
        struct pclient *c = &ph->client[i];
        if (c->used && c->branch == branch && c->method == m->cseq_method)
            return c;
    }
    return NULL;
}

static struct pdlg *dialog_of(struct phone *ph, const struct pclient *c) {
    return c->dlg < PHONE_DIALOGS && ph->dlg[c->dlg].gen == c->dlg_gen && ph->dlg[c->dlg].state != PH_FREE
               ? &ph->dlg[c->dlg]
               : NULL;
}

/* The request again with credentials: its CSeq line replaced by a higher one with the header behind it. */
static bool try_auth(struct world *w, struct phone *ph, struct pclient *c, const struct sip_msg *m) {
    struct sip_digest ch;
    const struct sip_msg *old = packet_read(c->req);
    char mem[700], cnonce[20];
    if (c->retried || !auth_pick(m, &ch) || !old)
        return false;
    struct auth_user user = { .username = txt_slice(&ph->user), .password = SL("secret") };
    struct sbuf n = sbuf_on(cnonce, sizeof cnonce), b = sbuf_on(mem, sizeof mem);
    sbuf_hex(&n, sim_mix(w->seed, ++ph->nc), 12);
    struct auth_answer a = { .challenge = &ch, .user = &user, .method = old->method_name, .uri = old->ruri_text,
                             .cnonce = sbuf_slice(&n), .nc = 1, .proxy = m->status == 407 };
    if (!auth_answer_put(&b, &a))
        return false;
    struct packet *p = packet_new(w);
    struct sbuf o = sbuf_on(p->data, sizeof p->data);
    const struct sip_hdr *h = sip_hdr_first(old, SIP_H_CSEQ);
    struct pdlg *d = dialog_of(ph, c);
    uint32_t cseq = d ? ++d->cseq : ++ph->register_cseq;
    sbuf_put(&o, slice_of(c->req->data, (uint32_t)(h->value.p - c->req->data)));
    sbuf_u64(&o, cseq);
    sbuf_char(&o, ' ');
    sbuf_put(&o, old->method_name);
    sbuf_lit(&o, "\r\n");
    b.n -= 2;
    sbuf_put(&o, sbuf_slice(&b));
    const char *rest = h->value.p + h->value.n;
    sbuf_put(&o, slice_of(rest, (uint32_t)(c->req->data + c->req->n - rest)));
    /* The branch is the only other thing that changes, in place. */
    char *branch = o.p + (old->via.branch.p - c->req->data) + 8;
    struct sbuf hex = sbuf_on(branch, 8);
    c->branch = ++ph->next_branch;
    sbuf_hex(&hex, c->branch, 8);
    p->n = o.n;
    p->from = ph->index;
    p->to = SIM_ENGINE;
    packet_free(w, c->req);
    c->req = p;
    c->cseq = cseq;
    c->retried = true;
    c->provisional = false;
    c->until = w->now + 32000000;
    c->interval = 500000;
    if (d && c->method == SIP_M_INVITE)
        d->invite_cseq = cseq;
    net_send(w, packet_copy(w, p));
    return true;
}

static void ack_failure(struct world *w, struct phone *ph, const struct pclient *c, const struct sip_msg *m) {
    struct packet *p = packet_new(w);
    const struct sip_msg *old = packet_read(c->req);
    struct sbuf b = sbuf_on(p->data, sizeof p->data);
    if (!old)
        sim_fail(w, "simulator: a phone's INVITE cannot be read");
    sbuf_lit(&b, "ACK ");
    sbuf_put(&b, old->ruri_text);
    sbuf_lit(&b, " SIP/2.0\r\nVia: ");
    sbuf_put(&b, old->via.value);
    sbuf_lit(&b, "\r\nFrom: ");
    sbuf_put(&b, old->from.value);
    sbuf_lit(&b, "\r\nTo: ");
    sbuf_put(&b, m->to.value);
    sbuf_lit(&b, "\r\nCall-ID: ");
    sbuf_put(&b, old->call_id);
    sbuf_lit(&b, "\r\nCSeq: ");
    sbuf_u64(&b, c->cseq);
    sbuf_lit(&b, " ACK\r\nContent-Length: 0\r\n\r\n");
    p->n = b.n;
    p->from = ph->index;
    p->to = SIM_ENGINE;
    net_send(w, p);
}

/* ---- INVITE ---- */

static void learn(struct pdlg *d, const struct sip_msg *m) {
    struct sip_nameaddr c;
    if (m->to_tag.p)
        txt_set(&d->remote_tag, m->to_tag);
    if (sip_nameaddr_parse(sip_hdr_value(m, SIP_H_CONTACT), &c) >= 0)
        txt_set(&d->target, c.uri.whole);
}

static void take_answer(struct world *w, struct pdlg *d, struct slice body) {
    struct phone_sdp s;
    if (!d->offer_open)
        return;
    d->offer_open = false;
    if (body.n && sdp_read(body, &s)) {
        sdp_check_answer(w, &d->offered, &s);
        d->theirs = s;
        d->mine = d->offered;
        d->stubborn = false;
    }
}

static void on_invite_ok(struct world *w, struct phone *ph, struct pdlg *d, const struct pclient *c,
                         const struct sip_msg *m) {
    char mem[1200];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct slice answer = SLICE_NONE;
    bool first = d->state == PH_CALLING, cancelled = c->cancelled;
    if (first) {
        extras_responded(w, d, m);
        extras_check_2xx(w, d, m);
    }
    d->invite_client = 0;
    learn(d, m);
    if (d->late) {
        struct phone_sdp offer, mine;
        if (m->body.n && sdp_read(m->body, &offer)) {
            bool fits = sdp_answer(w, ph, d, &offer, &mine);
            if (!fits)
                mine.live = 0, mine.codecs = mine.codecs ? mine.codecs : 1;
            d->theirs = offer;
            d->mine = mine;
            answer = sdp_write(&b, ph, d, &mine);
        }
    } else {
        take_answer(w, d, m->body);
    }
    d->no_ack = phone_quirk(w, ph, QUIRK_NO_ACK);
    if (!d->no_ack)
        phone_ack(w, ph, d, answer);
    if (first)
        d->state = PH_UP;
    if (first)
        phone_refer_result(w, ph, d, m->status);
    world_seen(w, ph, first ? SEEN_ANSWERED : SEEN_REANSWERED, d->scene);
    if (d->state == PH_UP && ((first && cancelled) || w->calm))
        phone_bye(w, ph, d);
}

/* A 2xx again: its ACK was lost, or never sent. */
static void on_stray(struct world *w, struct phone *ph, const struct sip_msg *m) {
    if (m->cseq_method != SIP_M_INVITE || m->status > 299 || m->status < 200)
        return;
    struct pdlg *d = phone_dialog_find(ph, m->call_id, m->from_tag);
    if (!d || d->no_ack || !txt_eq(&d->remote_tag, m->to_tag) || m->cseq != d->invite_cseq)
        return;
    char mem[1200];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    uint32_t version = d->sdp_version;
    phone_ack(w, ph, d, d->late ? sdp_write(&b, ph, d, &d->mine) : SLICE_NONE);
    d->sdp_version = version;
}

static void on_invite_failed(struct world *w, struct phone *ph, struct pdlg *d, const struct sip_msg *m) {
    d->invite_client = 0;
    d->offer_open = false;
    if (d->state == PH_CALLING) {
        phone_refer_result(w, ph, d, m->status);
        phone_dialog_over(w, ph, d);
        return;
    }
    if (m->status == 481 || m->status == 408) {
        if (d->state == PH_UP)
            phone_bye(w, ph, d);
    } else if (m->status == 491 && !w->calm && d->state == PH_UP) {
        struct sim_item again = { .at = w->now + 10000 * (1 + sim_draw(w, ph->index, 200)),
                                  .kind = ITEM_ACT,
                                  .who = ph->index,
                                  .index = phone_dialog_index(ph, d),
                                  .gen = d->gen,
                                  .arg = ACT_REOFFER };
        world_push(w, &again);
    }
}

static void on_invite_response(struct world *w, struct phone *ph, struct pclient *c, const struct sip_msg *m) {
    struct pdlg *d = dialog_of(ph, c);
    if (m->status < 200) {
        c->provisional = true;
        if (d && m->status > 100 && d->state == PH_CALLING) {
            extras_responded(w, d, m);
            learn(d, m);
            phone_refer_result(w, ph, d, m->status);
            extras_provisional(w, ph, d, m);
            world_seen(w, ph, SEEN_RINGING, d->scene);
        }
        if (d && w->calm && d->state == PH_CALLING)
            phone_cancel(w, ph, d);
        return;
    }
    if (m->status > 299)
        ack_failure(w, ph, c, m);
    if (c->completed)
        return;
    if ((m->status == 401 || m->status == 407) && d && try_auth(w, ph, c, m))
        return;
    if (m->status < 300) {
        if (d && !c->completed)
            on_invite_ok(w, ph, d, c, m);
        phone_client_free(w, c);
        return;
    }
    if (d)
        on_invite_failed(w, ph, d, m);
    /* Kept to ACK the answer again. */
    c->completed = true;
    c->gen++;
    struct sim_item end = { .at = w->now + 8000000, .kind = ITEM_CLIENT, .who = ph->index, .gen = c->gen,
                            .index = (uint8_t)(c - ph->client) };
    world_push(w, &end);
}

/* ---- the rest ---- */

static void on_refer_response(struct world *w, struct phone *ph, struct pdlg *d, const struct sip_msg *m) {
    if (d->state == PH_SUB) {
        learn(d, m);
        if (m->status > 299 || slice_has_prefix(sip_hdr_value(m, SIP_H_REFER_SUB), SL("false")))
            phone_dialog_over(w, ph, d);
        return;
    }
    if (m->status > 299)
        return;
    struct sip_nameaddr at;
    if (!w->calm && sip_nameaddr_parse(sim_header(m, SL("Refer-Events-At")), &at) >= 0 &&
        sim_draw_chance(w, ph->index, 70))
        phone_subscribe_at(w, ph, at.uri.whole);
    d->refer_open = m->status == 202;
    d->refer_cseq = m->cseq;
    world_seen(w, ph, SEEN_ACCEPTED, d->scene);
    if (phone_quirk(w, ph, QUIRK_EARLY_BYE))
        phone_end(w, ph, d);
}

/* An offer may be open that it did not carry: in a 2xx, which the ACK answers. */
static void on_update_response(struct world *w, struct pdlg *d, const struct sip_msg *m) {
    if (!d->offer_open || d->ok_offers || d->invite_client)
        return;
    if (m->status < 300)
        take_answer(w, d, m->body);
    d->offer_open = false;
}

void phone_on_response(struct world *w, struct phone *ph, const struct sip_msg *m) {
    struct pclient *c = client_find(ph, m);
    if (!c) {
        on_stray(w, ph, m);
        return;
    }
    if (c->method == SIP_M_INVITE) {
        on_invite_response(w, ph, c, m);
        return;
    }
    if (m->status < 200)
        return;
    if ((m->status == 401 || m->status == 407) && try_auth(w, ph, c, m))
        return;
    struct pdlg *d = dialog_of(ph, c);
    uint8_t method = c->method;
    phone_client_free(w, c);
    if (!d)
        return;
    if (method == SIP_M_BYE && d->state == PH_CALLING)
        return; /* the INVITE's 487 follows */
    if (method == SIP_M_BYE)
        phone_dialog_over(w, ph, d);
    else if (method == SIP_M_REFER || d->state == PH_SUB)
        on_refer_response(w, ph, d, m);
    else if (method == SIP_M_UPDATE)
        on_update_response(w, d, m);
}
