/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/phone/phone_int.h"

#define SIP_PORT 5060

/* Slots go round, so that a call's ports are not those of the one before it. */
int dialog_new(struct phone *ph) {
    for (unsigned k = 0; k < PHONE_DIALOGS; k++) {
        unsigned i = (ph->next_slot + k) % PHONE_DIALOGS;
        struct phone_dialog *d = &ph->dialogs[i];
        if (d->state != PHONE_D_FREE)
            continue;
        memset(d, 0, offsetof(struct phone_dialog, ok));
        ph->next_slot = i + 1;
        d->born = ++ph->born;
        d->invite_txn = d->replaces = d->referred = -1;
        d->cseq = (uint32_t)rng_below(&ph->rng, 1000);
        d->sdp_id = rng_u64(&ph->rng) >> 2;
        d->audio.local_port = (uint16_t)(ph->config.media_port + 2 * i);
        text_token(ph, &d->local_tag, SLICE_NONE);
        return (int)i;
    }
    return -1;
}

int dialog_out(struct phone *ph, struct slice to) {
    int i = dialog_new(ph);
    if (i < 0)
        return -1;
    struct phone_dialog *d = &ph->dialogs[i];
    d->state = PHONE_D_CALLING;
    text_token(ph, &d->call_id, SL("phone-"));
    d->local_uri = ph->aor;
    struct sbuf b = sbuf_on(d->remote_uri.s, sizeof d->remote_uri.s);
    sbuf_char(&b, '<');
    sbuf_put(&b, to);
    sbuf_char(&b, '>');
    d->remote_uri.n = (uint16_t)b.n;
    if (!b.overflow && text_set(&d->target, to))
        return i;
    d->state = PHONE_D_FREE;
    return -1;
}

void dialog_free(struct phone *ph, int i) {
    for (int k = 0; k < PHONE_TXNS; k++)
        if (ph->txns[k].state != PHONE_T_FREE && ph->txns[k].dialog == i)
            ph->txns[k].dialog = -1;
    for (int k = 0; k < PHONE_DIALOGS; k++)
        if (ph->dialogs[k].referred == i)
            ph->dialogs[k].referred = -1;
    ph->dialogs[i].state = PHONE_D_FREE;
    phone_push(ph, (struct phone_event){ .kind = PHONE_EV_ENDED, .dialog = i });
}

int dialog_find(const struct phone *ph, struct slice call_id, struct slice local_tag, struct slice remote_tag) {
    for (int i = 0; i < PHONE_DIALOGS; i++) {
        const struct phone_dialog *d = &ph->dialogs[i];
        if (d->state != PHONE_D_FREE && slice_eq(phone_text_slice(&d->call_id), call_id) &&
            slice_eq(phone_text_slice(&d->local_tag), local_tag) &&
            slice_eq(phone_text_slice(&d->remote_tag), remote_tag))
            return i;
    }
    return -1;
}

void dialog_refresh_target(struct phone *ph, int i, const struct sip_msg *m) {
    struct sip_values cur = { 0 };
    struct slice value;
    struct sip_contact c;
    if (sip_values_next(m, SIP_H_CONTACT, &cur, &value) && sip_contact_parse(value, &c) >= 0 && !c.star)
        text_set(&ph->dialogs[i].target, c.addr.uri.whole);
}

static void route_add(struct phone_dialog *d, struct slice value, bool front) {
    uint32_t need = value.n + (d->route_n ? 2 : 0);
    if (d->route_n + need > sizeof d->route)
        return;
    char *at = d->route + (front ? 0 : d->route_n);
    if (front)
        memmove(d->route + need, d->route, d->route_n);
    else if (d->route_n)
        memcpy(at, ", ", 2), at += 2;
    memcpy(at, value.p, value.n);
    if (front && d->route_n)
        memcpy(d->route + value.n, ", ", 2);
    d->route_n = (uint16_t)(d->route_n + need);
}

/* Record-Route as it stands for the server, reversed for the client (RFC 3261 sections 12.1.1, 12.1.2). */
static void route_set(struct phone_dialog *d, const struct sip_msg *m, bool reversed) {
    struct sip_values cur = { 0 };
    struct slice value;
    d->route_n = 0;
    while (sip_values_next(m, SIP_H_RECORD_ROUTE, &cur, &value))
        route_add(d, value, reversed);
}

static void set_remote_uri(struct phone_text *t, const struct sip_nameaddr *a) {
    struct sbuf b = sbuf_on(t->s, sizeof t->s);
    sbuf_char(&b, '<');
    sbuf_put(&b, a->uri.whole);
    sbuf_char(&b, '>');
    t->n = (uint16_t)(b.overflow ? 0 : b.n);
}

void dialog_from_request(struct phone *ph, int i, const struct sip_msg *m) {
    struct phone_dialog *d = &ph->dialogs[i];
    text_set(&d->call_id, m->call_id);
    text_set(&d->remote_tag, m->from_tag);
    set_remote_uri(&d->remote_uri, &m->from);
    set_remote_uri(&d->local_uri, &m->to);
    route_set(d, m, false);
    dialog_refresh_target(ph, i, m);
    d->remote_cseq = m->cseq;
    d->peer_replaces = sip_list_has(m, SIP_H_SUPPORTED, SL("replaces"));
}

void dialog_from_response(struct phone *ph, int i, const struct sip_msg *m) {
    struct phone_dialog *d = &ph->dialogs[i];
    text_set(&d->remote_tag, m->to_tag);
    route_set(d, m, true);
    dialog_refresh_target(ph, i, m);
    d->peer_replaces = sip_list_has(m, SIP_H_SUPPORTED, SL("replaces"));
}

bool uri_dest(const struct phone *ph, struct slice text, struct addr *out) {
    struct sip_uri uri;
    *out = ph->config.proxy;
    if (sip_uri_parse(text, &uri) >= 0 && addr_parse_ip(uri.host.host, out))
        out->port = uri.host.port ? uri.host.port : SIP_PORT;
    return out->family != ADDR_NONE;
}

/* First route, else the remote target; before there is a dialog the proxy, if there is one. */
bool dialog_dest(const struct phone *ph, const struct phone_dialog *d, struct addr *out) {
    struct slice rest = slice_of(d->route, d->route_n), first;
    struct sip_nameaddr a;
    if (!d->remote_tag.n && ph->config.proxy.family != ADDR_NONE) {
        *out = ph->config.proxy;
        return true;
    }
    if (d->route_n && sip_list_next(&rest, &first) && sip_nameaddr_parse(first, &a) >= 0)
        return uri_dest(ph, a.uri.whole, out);
    return uri_dest(ph, phone_text_slice(&d->target), out);
}

void put_capabilities(const struct phone *ph, struct sbuf *b) {
    sip_put_hdr(b, SL("Allow"), SL("INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER"));
    if (ph->config.replaces)
        sip_put_hdr(b, SL("Supported"), SL("replaces"));
}

void request_put_dialog(const struct phone_dialog *d, struct sbuf *b) {
    if (d->route_n)
        sip_put_hdr(b, SL("Route"), slice_of(d->route, d->route_n));
    sip_put_from_to(b, SL("From"), phone_text_slice(&d->local_uri), phone_text_slice(&d->local_tag));
    sip_put_from_to(b, SL("To"), phone_text_slice(&d->remote_uri),
                    d->remote_tag.n ? phone_text_slice(&d->remote_tag) : SLICE_NONE);
    sip_put_hdr(b, SL("Call-ID"), phone_text_slice(&d->call_id));
}

static void put_via(const struct phone *ph, struct slice branch, struct sbuf *b) {
    char mem[64];
    struct sbuf host = sbuf_on(mem, sizeof mem);
    addr_put(&host, &ph->config.local);
    sip_put_via(b, SIP_UDP, sbuf_slice(&host), branch);
}

void request_begin(struct phone *ph, int txn, struct sbuf *b) {
    struct phone_txn *t = &ph->txns[txn];
    const struct phone_dialog *d = &ph->dialogs[t->dialog];
    sip_put_request(b, sip_method_name(t->method), phone_text_slice(&d->target));
    put_via(ph, phone_text_slice(&t->branch), b);
    sip_put_hdr_u64(b, SL("Max-Forwards"), 70);
    request_put_dialog(d, b);
    sip_put_cseq(b, t->cseq, sip_method_name(t->method));
    if (t->method != SIP_M_BYE && t->method != SIP_M_CANCEL)
        sip_put_hdr(b, SL("Contact"), phone_text_slice(&ph->contact));
}

int txn_in_dialog(struct phone *ph, enum sip_method method, int i) {
    struct phone_dialog *d = &ph->dialogs[i];
    struct addr dest;
    int k = dialog_dest(ph, d, &dest) ? txn_new(ph, true, method, i) : -1;
    if (k < 0)
        return -1;
    ph->txns[k].peer = dest;
    ph->txns[k].cseq = ++d->cseq;
    return k;
}

int request_simple(struct phone *ph, int i, enum sip_method method) {
    int k = txn_in_dialog(ph, method, i);
    if (k < 0)
        return -1;
    struct phone_txn *t = &ph->txns[k];
    struct sbuf b = sbuf_on(t->request, sizeof t->request);
    request_begin(ph, k, &b);
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    txn_send_request(ph, k, &b, 0);
    return k;
}

void reply_begin(struct phone *ph, const struct sip_msg *request, const struct addr *src, uint16_t status,
                 struct slice tag, struct sbuf *b) {
    (void)ph;
    sip_put_status(b, status, SLICE_NONE);
    sip_put_vias(b, request, src);
    sip_put_hdr(b, SL("From"), request->from.value);
    if (request->to_tag.p || !tag.p)
        sip_put_hdr(b, SL("To"), request->to.value);
    else
        sip_put_from_to(b, SL("To"), request->to.value, tag);
    sip_put_hdr(b, SL("Call-ID"), request->call_id);
    sip_put_cseq(b, request->cseq, request->method_name);
}

void reply_simple(struct phone *ph, int txn, const struct sip_msg *request, uint16_t status) {
    struct phone_txn *t = &ph->txns[txn];
    struct phone_text tag;
    struct sbuf b = sbuf_on(t->reply, sizeof t->reply);
    text_token(ph, &tag, SLICE_NONE);
    reply_begin(ph, request, &t->peer, status, phone_text_slice(&tag), &b);
    if (status == 405 || request->method == SIP_M_OPTIONS)
        put_capabilities(ph, &b);
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    txn_send_reply(ph, txn, &b, status);
}
