/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/call/call.h"
#include "parser/sip_hdr.h"
#include "parser/sip_write.h"

#include <stdlib.h>
#include <string.h>

#define NO_RTP_PORT 20000u      /* of calls whose parties are silent */

static const char party_letter[PARTIES] = { 'a', 'b', 'c' };

bool line_set(struct line *l, struct slice s) {
    bool fits = s.n <= sizeof l->s;
    l->n = fits ? (uint16_t)s.n : 0;
    if (l->n)
        memcpy(l->s, s.p, s.n);
    return fits;
}

void message_put_name(struct sbuf *b, enum party p, const struct load *l, uint32_t call, unsigned dlg) {
    sbuf_char(b, party_letter[p]);
    sbuf_hex(b, call, 6);
    sbuf_hex(b, l->calls[call].gen & 0xffffff, 6);
    sbuf_hex(b, dlg, 1);
}

static bool hex(struct slice s, uint32_t *out) {
    *out = 0;
    for (uint32_t i = 0; i < s.n; i++) {
        uint8_t c = ascii_lower((uint8_t)s.p[i]);
        uint32_t v = c <= '9' ? (uint32_t)c - '0' : (uint32_t)c - 'a' + 10;
        if (v > 15)
            return false;
        *out = *out << 4 | v;
    }
    return true;
}

bool message_read_name(const struct load *l, struct slice s, uint32_t *call, unsigned *dlg) {
    uint32_t gen, d;
    if (s.n < NAME_LEN || !hex(slice_of(s.p + 1, 6), call) || !hex(slice_of(s.p + 7, 6), &gen) ||
        !hex(slice_of(s.p + 13, 1), &d) || *call >= l->o.calls_max || d >= CALL_DIALOGS)
        return false;
    *dlg = d;
    return l->calls[*call].used && (l->calls[*call].gen & 0xffffff) == gen;
}

/* ---- parts */

static void put_contact(struct sbuf *b, const struct load *l, const struct dlg *d) {
    sbuf_lit(b, "<sip:");
    message_put_name(b, (enum party)d->party, l, d->call, d->index);
    sbuf_char(b, '@');
    sbuf_put(b, line_slice(&l->host[d->party]));
    sbuf_lit(b, ">");
}

static const char *const directions[] = { "a=inactive\r\n", "a=sendonly\r\n", "a=recvonly\r\n", "a=sendrecv\r\n" };

/* What a desk phone says: three codecs and events. */
static void put_sdp(struct sbuf *b, const struct load *l, struct dlg *d) {
    static const char lines[] = " RTP/AVP 0 8 9 101\r\na=rtpmap:0 PCMU/8000\r\n"
                                "a=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
                                "a=fmtp:101 0-15\r\na=ptime:20\r\n";
    struct slice host = line_slice(&l->host[d->party]);
    host.n = (uint32_t)slice_find(host, ':');
    sbuf_lit(b, "v=0\r\no=- ");
    sbuf_u64(b, 1000000 + d->call);
    sbuf_char(b, ' ');
    sbuf_u64(b, d->sdp_version);
    sbuf_lit(b, " IN IP4 ");
    sbuf_put(b, host);
    sbuf_lit(b, "\r\ns=-\r\nc=IN IP4 ");
    sbuf_put(b, host);
    sbuf_lit(b, "\r\nt=0 0\r\nm=audio ");
    sbuf_u64(b, l->calls[d->call].media.wanted ? l->rtp_port[d->party] : NO_RTP_PORT);
    sbuf_lit(b, lines);
    sbuf_put(b, l->o.sdp_lines);
    sbuf_put(b, slice_str(directions[d->direction & 3]));
}

static void put_body(struct sbuf *b, const struct load *l, struct dlg *d, bool sdp) {
    char text[512];
    struct sbuf s = sbuf_on(text, sizeof text);
    if (!sdp) {
        sip_put_body(b, SLICE_NONE, SLICE_NONE);
        return;
    }
    put_sdp(&s, l, d);
    sip_put_body(b, SL("application/sdp"), sbuf_slice(&s));
}

static void send_now(struct load *l, enum party p, const struct sbuf *b, const struct addr *dst) {
    if (b->overflow)
        l->t.bad++;
    else
        wire_sent(l, p, dst, b->n);
}

/* ---- requests */

static void put_number(struct sbuf *u, const struct bcall *c, enum party callee) {
    if (callee == PARTY_B && c->emergency) {
        sbuf_lit(u, EMERGENCY_NUMBER);
    } else if (callee == PARTY_B && c->scenario == SC_REGISTERED) {
        sbuf_char(u, 'u');
        sbuf_u64(u, c->user);
    } else {
        if (c->scenario == SC_TRUNK)
            sbuf_lit(u, TRUNK_DIALLED);
        sbuf_char(u, party_letter[callee]);
    }
}

/* "sip:b@target". */
static void put_called(struct sbuf *u, struct load *l, const struct dlg *d, enum party callee) {
    sbuf_lit(u, "sip:");
    put_number(u, call_of(l, d), callee);
    sbuf_char(u, '@');
    sbuf_put(u, line_slice(&l->domain));
}

static void put_request_uri(struct sbuf *b, struct load *l, const struct dlg *d, const struct request *r) {
    char uri[256];
    struct sbuf u = sbuf_on(uri, sizeof uri);
    if (d->target.n)
        sbuf_put(&u, line_slice(&d->target));
    else
        put_called(&u, l, d, r->callee);
    sip_put_request(b, sip_method_name(r->method), sbuf_slice(&u));
}

static void put_branch(struct sbuf *b, const struct load *l, const struct dlg *d, const struct request *r) {
    char branch[64];
    struct sbuf s = sbuf_on(branch, sizeof branch);
    sbuf_lit(&s, "z9hG4bK");
    message_put_name(&s, (enum party)d->party, l, d->call, d->index);
    sbuf_hex(&s, r->of_invite ? SIP_M_INVITE : r->method, 2);
    sbuf_hex(&s, r->cseq, 8);
    sip_put_via(b, SIP_UDP, line_slice(&l->host[d->party]), sbuf_slice(&s));
}

/* The From of a caller says which call it is; of who was called, what the INVITE's To was. */
static void put_parties(struct sbuf *b, struct load *l, const struct dlg *d, const struct request *r) {
    char tag[16], uri[128];
    struct sbuf t = sbuf_on(tag, sizeof tag), u = sbuf_on(uri, sizeof uri);
    struct slice remote_tag = d->remote_tag.n ? line_slice(&d->remote_tag) : SLICE_NONE;
    message_put_name(&t, (enum party)d->party, l, d->call, d->index);
    sbuf_lit(&u, "<sip:");
    message_put_name(&u, (enum party)d->party, l, d->call, d->index);
    sbuf_char(&u, '@');
    sbuf_put(&u, line_slice(&l->domain));
    sbuf_char(&u, '>');
    sip_put_from_to(b, SL("From"), sbuf_slice(&u), sbuf_slice(&t));
    if (d->remote_uri.n) {
        sip_put_from_to(b, SL("To"), line_slice(&d->remote_uri), remote_tag);
        return;
    }
    u.n = 0;
    sbuf_char(&u, '<');
    put_called(&u, l, d, r->callee);
    sbuf_char(&u, '>');
    sip_put_from_to(b, SL("To"), sbuf_slice(&u), remote_tag);
}

/* Over the target always; with no proxy between, to the other party itself. */
void message_request(struct load *l, struct dlg *d, const struct request *r) {
    struct sbuf b = sbuf_on(wire_room(), WIRE_MESSAGE_MAX);
    put_request_uri(&b, l, d, r);
    put_branch(&b, l, d, r);
    sip_put_hdr_u64(&b, SL("Max-Forwards"), 70);
    if (d->route.n)
        sip_put_hdr(&b, SL("Route"), line_slice(&d->route));
    put_parties(&b, l, d, r);
    sip_put_hdr(&b, SL("Call-ID"), line_slice(&d->call_id));
    sip_put_cseq(&b, r->cseq, sip_method_name(r->method));
    sbuf_lit(&b, "Contact: ");
    put_contact(&b, l, d);
    sbuf_lit(&b, "\r\n");
    if (r->method == SIP_M_INVITE)
        sbuf_lit(&b, "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY, MESSAGE\r\n"
                     "Supported: replaces, norefersub\r\nUser-Agent: bench-call\r\n");
    sbuf_put(&b, r->extra);
    put_body(&b, l, d, r->sdp);
    send_now(l, (enum party)d->party, &b, &l->o.target[d->party]);
}

/* ---- responses */

static void response_dst(const struct sip_msg *req, struct addr *dst) {
    const struct sip_via *v = &req->via;
    *dst = (struct addr){ .family = ADDR_NONE };
    addr_parse_ip(v->sent_by.host, dst);
    dst->port = v->sent_by.port ? v->sent_by.port : 5060;
}

static void put_response(struct sbuf *b, const struct sip_msg *req, uint16_t status, struct slice tag) {
    static const struct addr unknown;
    sip_put_status(b, status, SLICE_NONE);
    sip_put_vias(b, req, &unknown);
    sip_put_copy(b, req, SIP_H_RECORD_ROUTE);
    sip_put_copy(b, req, SIP_H_FROM);
    if (req->to_tag.p)
        sip_put_copy(b, req, SIP_H_TO);
    else
        sip_put_from_to(b, SL("To"), req->to.value, tag);
    sip_put_copy(b, req, SIP_H_CALL_ID);
    sip_put_copy(b, req, SIP_H_CSEQ);
}

static void keep_ok(struct dlg *d, const struct sbuf *b) {
    free(d->ok);
    d->ok = malloc(b->n);
    if (!d->ok)
        return;
    memcpy(d->ok, b->p, b->n);
    d->ok_n = (uint16_t)b->n;
}

void message_response(struct load *l, struct dlg *d, const struct sip_msg *req, uint16_t status, bool sdp) {
    struct sbuf b = sbuf_on(wire_room(), WIRE_MESSAGE_MAX);
    struct addr dst;
    char tag[16];
    struct sbuf t = sbuf_on(tag, sizeof tag);
    message_put_name(&t, (enum party)d->party, l, d->call, d->index);
    response_dst(req, &dst);
    put_response(&b, req, status, sbuf_slice(&t));
    if (req->method == SIP_M_INVITE) {
        sbuf_lit(&b, "Contact: ");
        put_contact(&b, l, d);
        sbuf_lit(&b, "\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY, MESSAGE\r\n"
                     "Supported: replaces, norefersub\r\n");
    }
    put_body(&b, l, d, sdp);
    if (req->method == SIP_M_INVITE && status >= 200 && status <= 299)
        keep_ok(d, &b);
    send_now(l, (enum party)d->party, &b, &dst);
}

static void refuse(struct load *l, enum party p, const struct sip_msg *req, uint16_t status, struct slice challenge) {
    struct sbuf b = sbuf_on(wire_room(), WIRE_MESSAGE_MAX);
    struct addr dst;
    response_dst(req, &dst);
    put_response(&b, req, status, SL("none"));
    if (challenge.p)
        sip_put_hdr(&b, SL("Proxy-Authenticate"), challenge);
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    send_now(l, p, &b, &dst);
}

void message_refuse(struct load *l, enum party p, const struct sip_msg *req, uint16_t status) {
    refuse(l, p, req, status, SLICE_NONE);
}

void message_challenge(struct load *l, enum party p, const struct sip_msg *req, struct slice challenge) {
    refuse(l, p, req, 407, challenge);
}
