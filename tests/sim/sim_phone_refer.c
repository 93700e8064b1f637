/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The parts of REFER that are not a transferor's in its own dialog: the transferee that carries it out (RFC 3515), and
 * who sends it, or subscribes to its end, from outside (RFC 4538, 7614). */
#include "parser/sip_frag.h"
#include "parser/sip_uri.h"
#include "parser/sip_write.h"
#include "tests/sim/sim.h"

static void notify(struct world *w, struct phone *ph, struct pdlg *d, uint32_t id, uint16_t status) {
    char mem[160], text[60];
    struct sbuf b = sbuf_on(mem, sizeof mem), body = sbuf_on(text, sizeof text);
    sbuf_lit(&b, "Event: refer");
    /* The first REFER of a dialog may go without. */
    if (id & 1) {
        sbuf_lit(&b, ";id=");
        sbuf_u64(&b, id);
    }
    sbuf_str(&b, status < 200 ? "\r\nSubscription-State: active;expires=60\r\n"
                              : "\r\nSubscription-State: terminated;reason=noresource\r\n");
    sip_frag_put(&body, status, SL("Whatever"));
    struct phone_request r = { .method = SL("NOTIFY"),
                               .extra = sbuf_slice(&b),
                               .type = SL("message/sipfrag;version=2.0"),
                               .body = sbuf_slice(&body) };
    phone_send(w, ph, d, &r);
}

/* The headers of the Refer-To's URI become those of the INVITE. */
static bool put_headers(struct sbuf *b, struct slice rest, uint8_t *call) {
    struct slice name, value;
    uint64_t n;
    while (rest.n && sip_uri_header_next(&rest, &name, &value)) {
        if (slice_ieq(name, SL("X-Scene"))) {
            if (slice_u64(value, 10 * SIM_SCENES, &n))
                *call = (uint8_t)(n % 10);
            continue;
        }
        sbuf_put(b, name);
        sbuf_lit(b, ": ");
        if (!sip_unescape(b, value))
            return false;
        sbuf_lit(b, "\r\n");
    }
    return !b->overflow;
}

static void carry_out(struct world *w, struct phone *ph, struct pdlg *d, const struct sip_msg *m,
                      const struct sip_nameaddr *to) {
    char mem[800];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct phone_call c = { .scene = d->scene, .call = 4, .target = to->uri.whole };
    if (!put_headers(&b, to->uri.headers, &c.call))
        return;
    if (to->uri.headers.p)
        c.target.n = (uint32_t)(to->uri.headers.p - 1 - c.target.p);
    /* It calls whom it thinks it is, not where it was told. */
    if (phone_quirk(w, ph, QUIRK_FORGETS_TOKEN))
        c.target = SL("sip:u1@10.0.0.1");
    sip_put_copy(&b, m, SIP_H_REFERRED_BY);
    c.extra = b.overflow ? SLICE_NONE : sbuf_slice(&b);
    struct pdlg *made = phone_call(w, ph, &c);
    if (!made) {
        notify(w, ph, d, d->refer_in, 503);
        d->refer_in = 0;
        return;
    }
    made->for_dlg = (uint8_t)(phone_dialog_index(ph, d) + 1);
    made->for_gen = d->gen;
}

void phone_on_refer(struct world *w, struct phone *ph, struct pdlg *d, struct pserver *s, const struct sip_msg *m) {
    static const uint16_t codes[] = { 405, 603, 501, 420, 500, 481, 404, 401, 407, 408, 302 };
    struct sip_nameaddr to;
    bool quiet = slice_has_prefix(sip_hdr_value(m, SIP_H_REFER_SUB), SL("false"));
    if (w->calm || d->state != PH_UP || d->refer_in || phone_quirk(w, ph, QUIRK_REFUSES_REFER)) {
        phone_answer_plain(w, ph, s, m, w->calm ? 603 : codes[sim_draw(w, ph->index, sizeof codes / sizeof *codes)]);
        return;
    }
    if (sip_nameaddr_parse(sip_hdr_value(m, SIP_H_REFER_TO), &to) < 0)
        sim_fail(w, "a REFER without a readable Refer-To");
    bool first = phone_quirk(w, ph, QUIRK_NOTIFY_FIRST);
    d->refer_in = quiet ? 0 : m->cseq;
    if (first && !quiet)
        notify(w, ph, d, d->refer_in, 100);
    struct phone_response r = { .status = sim_draw_chance(w, ph->index, 80) ? 202 : 200, .contact = true };
    if (quiet)
        r.extra = SL("Refer-Sub: false\r\n");
    phone_respond(w, ph, s, m, &r);
    if (!first && !quiet)
        notify(w, ph, d, d->refer_in, 100);
    carry_out(w, ph, d, m, &to);
}

void phone_refer_result(struct world *w, struct phone *ph, const struct pdlg *made, uint16_t status) {
    struct pdlg *d = made->for_dlg ? &ph->dlg[made->for_dlg - 1] : NULL;
    if (!d || d->gen != made->for_gen || d->state != PH_UP || !d->refer_in)
        return;
    if (status < 200 && !sim_draw_chance(w, ph->index, 40))
        return;
    if (status < 200 || !phone_quirk(w, ph, QUIRK_NO_FINAL_NOTIFY))
        notify(w, ph, d, d->refer_in, status);
    if (status >= 200)
        d->refer_in = 0;
}

/* ---- from outside ---- */

static struct pdlg *outside(struct world *w, struct phone *ph, struct slice target) {
    struct pdlg *d = phone_dialog_new(w, ph);
    if (!d)
        return NULL;
    d->state = PH_SUB;
    d->call = 0xff;
    txt_set(&d->target, target);
    struct sbuf b = sbuf_on(d->remote_uri.p, sizeof d->remote_uri.p);
    sbuf_char(&b, '<');
    sbuf_put(&b, target);
    sbuf_char(&b, '>');
    d->remote_uri.n = (uint16_t)b.n;
    b = sbuf_on(d->call_id.p, sizeof d->call_id.p);
    sbuf_lit(&b, "s");
    sbuf_hex(&b, sim_mix(w->seed, ph->index * 4096ull + ++ph->next_call), 8);
    sbuf_lit(&b, "@phone");
    d->call_id.n = (uint16_t)b.n;
    return d;
}

static void put_target_dialog(struct sbuf *b, const struct pdlg *o) {
    sbuf_lit(b, "Target-Dialog: ");
    sbuf_put(b, txt_slice(&o->call_id));
    sbuf_lit(b, ";local-tag=");
    sbuf_put(b, txt_slice(&o->remote_tag));
    sbuf_lit(b, ";remote-tag=");
    sbuf_put(b, txt_slice(&o->local_tag));
    sbuf_lit(b, "\r\n");
}

void phone_refer_outside(struct world *w, struct phone *ph, const struct sim_event *ev, const struct pdlg *o) {
    char mem[700], text[80];
    struct sbuf b = sbuf_on(mem, sizeof mem), t = sbuf_on(text, sizeof text);
    /* Without a dialog: somebody is called first. */
    if (o)
        sbuf_lit(&t, "sip:10.0.0.1");
    else
        phone_put_user(w, &t, ev->call ? (ev->other + ev->call) % SIM_PHONES : 203);
    struct pdlg *d = outside(w, ph, sbuf_slice(&t));
    if (!d)
        return;
    sbuf_lit(&b, "Refer-To: <");
    phone_put_user(w, &b, ev->other);
    if (ev->scene < SIM_SCENES) {
        sbuf_lit(&b, "?X-Scene=");
        sbuf_u64(&b, ev->scene * 10u + 3);
    }
    sbuf_lit(&b, ">\r\nReferred-By: <");
    sbuf_put(&b, txt_slice(&ph->uri));
    sbuf_lit(&b, ">\r\n");
    if (o)
        put_target_dialog(&b, o);
    if (phone_quirk(w, ph, QUIRK_NO_REFER_SUB))
        sbuf_lit(&b, "Refer-Sub: false\r\n");
    struct phone_request r = { .method = SL("REFER"), .extra = sbuf_slice(&b) };
    if (!phone_send(w, ph, d, &r))
        phone_dialog_over(w, ph, d);
}

void phone_subscribe_at(struct world *w, struct phone *ph, struct slice uri) {
    struct pdlg *d = outside(w, ph, uri);
    struct phone_request r = { .method = SL("SUBSCRIBE"), .extra = SL("Event: refer\r\nExpires: 60\r\n") };
    if (d && !phone_send(w, ph, d, &r))
        phone_dialog_over(w, ph, d);
}
