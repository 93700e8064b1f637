/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A phone's dialogs, and what it sends: its own small transaction layer. */
#include "parser/sip_write.h"
#include "tests/sim/sim.h"

#define T1 500000ull
#define T2 4000000ull

static const struct slice engine_host = { "10.0.0.1:5060", 13 };

void phone_init(struct world *w, unsigned index) {
    struct phone *ph = &w->phones[index];
    memset(ph, 0, sizeof *ph);
    ph->index = (uint8_t)index;
    ph->quirks = w->script.setup.quirks[index];
    ph->extras = w->script.setup.extras[index];
    ph->speaks = w->script.setup.speaks[index];
    ph->srtp = w->script.setup.srtp[index];
    ph->addr = (struct addr){ .ip = { 10, 0, 0, (uint8_t)(10 + index) }, .port = 5060, .family = ADDR_V4 };
    struct sbuf b = sbuf_on(ph->user.p, sizeof ph->user.p);
    /* The last one but one is the second phone of the first one's user; the last one is the gateway. */
    sbuf_lit(&b, "u");
    sbuf_u64(&b, index == SIM_PHONES - 2 ? 0 : index);
    ph->user.n = (uint16_t)b.n;
    b = sbuf_on(ph->sent_by.p, sizeof ph->sent_by.p);
    addr_put(&b, &ph->addr);
    ph->sent_by.n = (uint16_t)b.n;
    b = sbuf_on(ph->uri.p, sizeof ph->uri.p);
    sbuf_lit(&b, "sip:");
    sbuf_put(&b, txt_slice(&ph->user));
    sbuf_lit(&b, "@10.0.0.1");
    ph->uri.n = (uint16_t)b.n;
    b = sbuf_on(ph->contact.p, sizeof ph->contact.p);
    sbuf_lit(&b, "<sip:");
    sbuf_put(&b, txt_slice(&ph->user));
    sbuf_char(&b, '@');
    sbuf_put(&b, txt_slice(&ph->sent_by));
    sbuf_char(&b, '>');
    ph->contact.n = (uint16_t)b.n;
}

/* ---- dialogs ---- */

uint8_t phone_dialog_index(const struct phone *ph, const struct pdlg *d) {
    return (uint8_t)(d - ph->dlg);
}

struct pdlg *phone_dialog_new(struct world *w, struct phone *ph) {
    for (unsigned i = 0; i < PHONE_DIALOGS; i++) {
        struct pdlg *d = &ph->dlg[i];
        if (d->state != PH_FREE)
            continue;
        uint32_t gen = d->gen + 1;
        memset(d, 0, sizeof *d);
        d->gen = gen;
        d->state = PH_CALLING;
        d->scene = 0xff;
        d->port = (uint16_t)(20000 + ph->index * 1000 + i * 80 + (gen % 20) * 4);
        struct sbuf b = sbuf_on(d->local_tag.p, sizeof d->local_tag.p);
        sbuf_hex(&b, sim_mix(w->seed, ph->index * 4096ull + ++ph->next_tag), 12);
        d->local_tag.n = (uint16_t)b.n;
        return d;
    }
    return NULL;
}

void phone_dialog_over(struct world *w, struct phone *ph, struct pdlg *d) {
    uint8_t index = phone_dialog_index(ph, d);
    for (unsigned i = 0; i < PHONE_CLIENTS; i++)
        if (ph->client[i].used && ph->client[i].dlg == index && !ph->client[i].completed &&
            ph->client[i].method != SIP_M_BYE && ph->client[i].method != SIP_M_CANCEL)
            phone_client_free(w, &ph->client[i]);
    for (unsigned i = 0; i < PHONE_SERVERS; i++)
        if (ph->server[i].used && ph->server[i].dlg == index && ph->server[i].ok)
            phone_server_free(w, &ph->server[i]);
    ph->over[ph->over_n++ % 32] = sim_hash(txt_slice(&d->call_id));
    d->gen++;
    d->state = PH_FREE;
}

struct pdlg *phone_dialog_find(struct phone *ph, struct slice call_id, struct slice local_tag) {
    for (unsigned i = 0; i < PHONE_DIALOGS; i++) {
        struct pdlg *d = &ph->dlg[i];
        if (d->state != PH_FREE && txt_eq(&d->call_id, call_id) && (!local_tag.p || txt_eq(&d->local_tag, local_tag)))
            return d;
    }
    return NULL;
}

bool phone_is_idle(const struct phone *ph) {
    for (unsigned i = 0; i < PHONE_DIALOGS; i++)
        if (ph->dlg[i].state != PH_FREE)
            return false;
    return true;
}

/* ---- requests ---- */

void phone_client_free(struct world *w, struct pclient *c) {
    packet_free(w, c->req);
    c->req = NULL;
    c->used = false;
    c->gen++;
}

static struct pclient *client_new(struct phone *ph) {
    for (unsigned i = 0; i < PHONE_CLIENTS; i++) {
        struct pclient *c = &ph->client[i];
        if (c->used)
            continue;
        uint32_t gen = c->gen;
        memset(c, 0, sizeof *c);
        c->gen = gen + 1;
        c->used = true;
        c->dlg = 0xff;
        return c;
    }
    return NULL;
}

static void transmit(struct world *w, const struct packet *p) {
    net_send(w, packet_copy(w, p));
}

static void arm(struct world *w, struct phone *ph, enum sim_item_kind kind, unsigned index, uint32_t gen, uint64_t at) {
    struct sim_item item = { .at = at, .kind = (uint8_t)kind, .who = ph->index, .index = (uint8_t)index, .gen = gen };
    world_push(w, &item);
}

static void put_branch(struct sbuf *b, struct slice sent_by, uint32_t branch) {
    char mem[32];
    struct sbuf t = sbuf_on(mem, sizeof mem);
    sbuf_lit(&t, "z9hG4bKp");
    sbuf_hex(&t, branch, 8);
    sip_put_via(b, SIP_UDP, sent_by, sbuf_slice(&t));
}

static void put_abilities(const struct phone *ph, struct sbuf *b) {
    if (!(ph->quirks >> QUIRK_NO_REPLACES & 1))
        sip_put_hdr(b, SL("Supported"), SL("replaces, norefersub"));
    sbuf_lit(b, "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, PRACK");
    sbuf_put(b, ph->extras & EXTRA_NO_UPDATE ? SL("") : SL(", UPDATE"));
    sbuf_put(b, ph->quirks >> QUIRK_NO_ALLOW_REFER & 1 ? SL("\r\n") : SL(", REFER, NOTIFY\r\n"));
    if (ph->quirks >> QUIRK_ODD_AGENT & 1)
        sip_put_hdr(b, SL("User-Agent"), SL("Odd/1.0"));
}

/* No header of it is read by anyone but for its own sake. */
static bool is_plain(struct slice method) {
    return slice_eq(method, SL("INVITE")) || slice_eq(method, SL("INFO")) || slice_eq(method, SL("UPDATE")) ||
           slice_eq(method, SL("MESSAGE"));
}

/* The message of a request of dialog d into p. */
static void write_request(struct world *w, struct phone *ph, const struct pdlg *d, const struct phone_request *r,
                          uint32_t branch, struct packet *p) {
    char mem[200];
    struct sbuf b = sbuf_on(p->data, sizeof p->data), from = sbuf_on(mem, sizeof mem);
    sip_put_request(&b, r->method, r->ruri.p ? r->ruri : txt_slice(&d->target));
    put_branch(&b, txt_slice(&ph->sent_by), branch);
    sbuf_char(&from, '<');
    sbuf_put(&from, txt_slice(&ph->uri));
    sbuf_char(&from, '>');
    sip_put_from_to(&b, SL("From"), sbuf_slice(&from), txt_slice(&d->local_tag));
    sip_put_from_to(&b, SL("To"), txt_slice(&d->remote_uri), d->remote_tag.n ? txt_slice(&d->remote_tag) : SLICE_NONE);
    sip_put_hdr(&b, SL("Call-ID"), txt_slice(&d->call_id));
    sip_put_cseq(&b, r->cseq, r->method);
    sip_put_hdr_u64(&b, SL("Max-Forwards"), 70);
    if (!r->no_contact)
        sip_put_hdr(&b, SL("Contact"), txt_slice(&ph->contact));
    if (!slice_eq(r->method, SL("ACK")))
        put_abilities(ph, &b);
    enum sip_method method = sip_method_of(r->method);
    if (method != SIP_M_ACK)
        extras_put(ph, &b, true, method, 0);
    if (r->extra.n)
        sbuf_put(&b, r->extra);
    if (is_plain(r->method) && phone_quirk(w, ph, QUIRK_VERBOSE))
        headers_put(w, ph, &b);
    sip_put_body(&b, r->type, r->body);
    p->n = b.n;
    p->from = ph->index;
    p->to = SIM_ENGINE;
}

struct pclient *phone_send(struct world *w, struct phone *ph, struct pdlg *d, const struct phone_request *r) {
    struct phone_request full = *r;
    struct pclient *c = client_new(ph);
    if (!c)
        return NULL;
    if (!full.cseq)
        full.cseq = ++d->cseq;
    c->method = (uint8_t)sip_method_of(r->method);
    c->cseq = full.cseq;
    c->branch = ++ph->next_branch;
    c->dlg = phone_dialog_index(ph, d);
    c->dlg_gen = d->gen;
    c->req = packet_new(w);
    write_request(w, ph, d, &full, c->branch, c->req);
    c->interval = T1;
    c->until = w->now + 64 * T1;
    transmit(w, c->req);
    if (phone_quirk(w, ph, QUIRK_RETRANSMITS))
        arm(w, ph, ITEM_CLIENT, (unsigned)(c - ph->client), c->gen, w->now + sim_draw(w, ph->index, 1500) + 1);
    else
        arm(w, ph, ITEM_CLIENT, (unsigned)(c - ph->client), c->gen, w->now + T1);
    return c;
}

void phone_ack(struct world *w, struct phone *ph, struct pdlg *d, struct slice sdp) {
    struct phone_request r = {
        .method = SL("ACK"), .type = SL("application/sdp"), .body = sdp, .cseq = d->invite_cseq
    };
    struct packet *p = packet_new(w);
    write_request(w, ph, d, &r, ++ph->next_branch, p);
    net_send(w, p);
}

void phone_bye(struct world *w, struct phone *ph, struct pdlg *d) {
    if (d->state != PH_UP && d->state != PH_ANSWERED)
        return;
    struct phone_request r = { .method = SL("BYE") };
    if (phone_send(w, ph, d, &r))
        d->state = PH_ENDING;
}

/* Section 9.1: only after a provisional response, and once. */
void phone_cancel(struct world *w, struct phone *ph, struct pdlg *d) {
    struct pclient *c = d->invite_client ? &ph->client[d->invite_client - 1] : NULL;
    if (!c || !c->used || c->completed || !c->provisional || c->cancelled)
        return;
    c->cancelled = true;
    struct pclient *own = client_new(ph);
    if (!own)
        return;
    own->method = SIP_M_CANCEL;
    own->branch = c->branch;
    own->cseq = c->cseq;
    own->req = packet_new(w);
    const struct sip_msg *m = packet_read(c->req);
    if (!m)
        sim_fail(w, "simulator: a phone's INVITE cannot be read");
    struct sbuf b = sbuf_on(own->req->data, SIM_PACKET_MAX);
    sip_put_request(&b, SL("CANCEL"), m->ruri_text);
    put_branch(&b, txt_slice(&ph->sent_by), c->branch);
    sip_put_hdr(&b, SL("From"), m->from.value);
    sip_put_hdr(&b, SL("To"), m->to.value);
    sip_put_hdr(&b, SL("Call-ID"), m->call_id);
    sip_put_cseq(&b, c->cseq, SL("CANCEL"));
    sip_put_hdr_u64(&b, SL("Max-Forwards"), 70);
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    own->req->n = b.n;
    own->req->from = ph->index;
    own->req->to = SIM_ENGINE;
    own->interval = T1;
    own->until = w->now + 64 * T1;
    transmit(w, own->req);
    arm(w, ph, ITEM_CLIENT, (unsigned)(own - ph->client), own->gen, w->now + T1);
}

struct pclient *phone_client_of(struct phone *ph, const struct pdlg *d) {
    return d->invite_client ? &ph->client[d->invite_client - 1] : NULL;
}

/* The first INVITE, or a re-INVITE. */
bool phone_invite(struct world *w, struct phone *ph, struct pdlg *d, struct slice extra, bool late) {
    char mem[1200];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct phone_request r = { .method = SL("INVITE"), .extra = extra, .type = SL("application/sdp") };
    d->late = late;
    if (!late) {
        sdp_offer(w, ph, d, &d->offered);
        r.body = sdp_write(&b, ph, d, &d->offered);
    }
    struct pclient *c = phone_send(w, ph, d, &r);
    if (!c)
        return false;
    d->offer_open = !late;
    d->invite_client = (uint8_t)(c - ph->client + 1);
    d->invite_cseq = c->cseq;
    return true;
}

void phone_register(struct world *w, struct phone *ph, uint32_t expires, bool star) {
    char mem[256];
    struct pdlg d = { 0 };
    struct sbuf b = sbuf_on(mem, sizeof mem);
    txt_set(&d.local_tag, SL("reg"));
    txt_set(&d.target, SL("sip:10.0.0.1"));
    b = sbuf_on(d.remote_uri.p, sizeof d.remote_uri.p);
    sbuf_char(&b, '<');
    sbuf_put(&b, txt_slice(&ph->uri));
    sbuf_char(&b, '>');
    d.remote_uri.n = (uint16_t)b.n;
    b = sbuf_on(d.call_id.p, sizeof d.call_id.p);
    sbuf_lit(&b, "reg-");
    sbuf_u64(&b, ph->index);
    d.call_id.n = (uint16_t)b.n;
    b = sbuf_on(mem, sizeof mem);
    if (star)
        sbuf_lit(&b, "Contact: *\r\n");
    sbuf_lit(&b, "Expires: ");
    sbuf_u64(&b, expires);
    sbuf_lit(&b, "\r\n");
    struct phone_request r = {
        .method = SL("REGISTER"), .extra = sbuf_slice(&b), .cseq = ++ph->register_cseq, .no_contact = star
    };
    struct pclient *c = client_new(ph);
    if (!c)
        return;
    c->method = SIP_M_REGISTER;
    c->cseq = r.cseq;
    c->branch = ++ph->next_branch;
    c->req = packet_new(w);
    write_request(w, ph, &d, &r, c->branch, c->req);
    c->interval = T1;
    c->until = w->now + 64 * T1;
    transmit(w, c->req);
    arm(w, ph, ITEM_CLIENT, (unsigned)(c - ph->client), c->gen, w->now + T1);
}

/* ---- responses ---- */

void phone_server_free(struct world *w, struct pserver *s) {
    packet_free(w, s->req);
    packet_free(w, s->rsp);
    s->req = s->rsp = NULL;
    s->used = false;
    s->gen++;
}

void phone_respond(struct world *w, struct phone *ph, struct pserver *s, const struct sip_msg *req,
                   const struct phone_response *r) {
    if (!s->rsp)
        s->rsp = packet_new(w);
    struct sbuf b = sbuf_on(s->rsp->data, SIM_PACKET_MAX);
    sip_put_status(&b, r->status, SLICE_NONE);
    sip_put_vias(&b, req, &sim_engine_addr);
    sip_put_hdr(&b, SL("From"), req->from.value);
    sip_put_from_to(&b, SL("To"), req->to.value, req->to_tag.p || r->status == 100 ? SLICE_NONE : r->tag);
    sip_put_hdr(&b, SL("Call-ID"), req->call_id);
    sip_put_cseq(&b, req->cseq, req->cseq_method_name);
    if (r->contact) {
        sip_put_hdr(&b, SL("Contact"), txt_slice(&ph->contact));
        put_abilities(ph, &b);
        extras_put(ph, &b, false, req->method, r->status);
    }
    if (r->extra.n)
        sbuf_put(&b, r->extra);
    if (req->cseq_method != SIP_M_REFER && phone_quirk(w, ph, QUIRK_VERBOSE))
        headers_put(w, ph, &b);
    sip_put_body(&b, SL("application/sdp"), r->body);
    s->rsp->n = b.n;
    s->rsp->from = ph->index;
    s->rsp->to = SIM_ENGINE;
    s->interval = T1;
    s->until = w->now + 64 * T1;
    s->repeats = r->repeats;
    transmit(w, s->rsp);
    if (r->repeats)
        arm(w, ph, ITEM_SERVER, (unsigned)(s - ph->server), s->gen, w->now + T1);
}

/* ---- timers ---- */

static void client_gave_up(struct world *w, struct phone *ph, struct pclient *c) {
    struct pdlg *d = c->dlg < PHONE_DIALOGS && ph->dlg[c->dlg].gen == c->dlg_gen ? &ph->dlg[c->dlg] : NULL;
    uint8_t method = c->method;
    phone_client_free(w, c);
    if (method == SIP_M_BYE || method == SIP_M_INVITE)
        w->lost_peer = true;
    if (!d || d->state == PH_FREE)
        return;
    if (method == SIP_M_INVITE && d->state == PH_CALLING)
        phone_refer_result(w, ph, d, 408);
    if (method == SIP_M_BYE || (method == SIP_M_INVITE && d->state == PH_CALLING) || d->state == PH_SUB)
        phone_dialog_over(w, ph, d);
    else if (method == SIP_M_INVITE)
        d->invite_client = 0, d->offer_open = false;
}

static void client_timer(struct world *w, struct phone *ph, const struct sim_item *item) {
    struct pclient *c = &ph->client[item->index];
    if (!c->used || c->gen != item->gen)
        return;
    if (c->completed) {
        phone_client_free(w, c);
        return;
    }
    bool waits = c->method == SIP_M_INVITE && c->provisional;
    if (waits && w->now >= c->until + 200000000ull) {
        client_gave_up(w, ph, c);
        return;
    }
    if (!waits && w->now >= c->until) {
        client_gave_up(w, ph, c);
        return;
    }
    if (!waits)
        transmit(w, c->req);
    c->interval = c->interval * 2 > T2 && c->method != SIP_M_INVITE ? T2 : c->interval * 2;
    arm(w, ph, ITEM_CLIENT, item->index, c->gen, w->now + (waits ? 20000000 : c->interval));
}

/* What is registered in its name behind a death is not sent again; it is not to fill the phone for ever. */
static void client_off(struct world *w, struct phone *ph, const struct sim_item *item) {
    struct pclient *c = &ph->client[item->index];
    if (c->used && c->gen == item->gen)
        phone_client_free(w, c);
}

/* Final responses to INVITE, until their ACK. */
static void server_timer(struct world *w, struct phone *ph, const struct sim_item *item) {
    struct pserver *s = &ph->server[item->index];
    if (!s->used || s->gen != item->gen || !s->repeats || !s->rsp)
        return;
    if (w->now >= s->until) {
        struct pdlg *d = s->dlg < PHONE_DIALOGS && ph->dlg[s->dlg].gen == s->dlg_gen ? &ph->dlg[s->dlg] : NULL;
        bool ok = s->ok;
        s->repeats = false;
        if (ok && d)
            phone_bye(w, ph, d);
        return;
    }
    transmit(w, s->rsp);
    s->interval = s->interval * 2 > T2 ? T2 : s->interval * 2;
    arm(w, ph, ITEM_SERVER, item->index, s->gen, w->now + s->interval);
}

void phone_timer(struct world *w, const struct sim_item *item) {
    struct phone *ph = &w->phones[item->who];
    struct pdlg *d = &ph->dlg[item->index < PHONE_DIALOGS ? item->index : 0];
    if (ph->off) {
        if (item->kind == ITEM_CLIENT)
            client_off(w, ph, item);
        return;
    }
    switch (item->kind) {
    case ITEM_CLIENT: client_timer(w, ph, item); break;
    case ITEM_SERVER: server_timer(w, ph, item); break;
    case ITEM_ANSWER:
        if (d->state != PH_FREE && d->gen == item->gen)
            phone_answer(w, ph, d);
        break;
    case ITEM_BYE:
        if (d->state != PH_FREE && d->gen == item->gen)
            phone_end(w, ph, d);
        break;
    default: break;
    }
}

void phone_recv(struct world *w, struct phone *ph, struct packet *p) {
    const struct sip_msg *m = packet_read(p);
    if (ph->off || !m)
        return;
    if (m->is_request)
        phone_on_request(w, ph, p, m);
    else
        phone_on_response(w, ph, m);
}

/* Ends a dialog in whatever way its state allows. */
void phone_end(struct world *w, struct phone *ph, struct pdlg *d) {
    switch (d->state) {
    case PH_CALLING:
        /* Section 15: a caller may end its early dialog by BYE; the INVITE gets 487. */
        if (d->remote_tag.n && !w->calm && sim_draw_chance(w, ph->index, 25)) {
            d->hung_up = true;
            phone_send(w, ph, d, &(struct phone_request){ .method = SL("BYE") });
        } else {
            phone_cancel(w, ph, d);
        }
        break;
    case PH_RINGING:
        d->outcome = 486;
        phone_answer(w, ph, d);
        break;
    case PH_ANSWERED:
        /* Section 15: no BYE before the ACK. */
        break;
    case PH_UP: phone_bye(w, ph, d); break;
    case PH_SUB: phone_dialog_over(w, ph, d); break;
    default: break;
    }
}

void phone_hangup_all(struct world *w, struct phone *ph) {
    for (unsigned i = 0; i < PHONE_DIALOGS; i++)
        phone_end(w, ph, &ph->dlg[i]);
    (void)engine_host;
}
