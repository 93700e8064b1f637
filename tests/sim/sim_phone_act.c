/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a phone is made to do. */
#include "parser/sip_uri.h"
#include "tests/sim/sim.h"

struct pdlg *phone_dialog_at(struct phone *ph, unsigned scene, unsigned call) {
    for (unsigned i = 0; i < PHONE_DIALOGS; i++)
        if (ph->dlg[i].state != PH_FREE && ph->dlg[i].scene == scene && ph->dlg[i].call == call)
            return &ph->dlg[i];
    return NULL;
}

/* "sip:USER@10.0.0.1" of a phone, or one of the odd ones. */
void phone_put_user(struct world *w, struct sbuf *b, unsigned who) {
    static const char *const odd[] = { "sip:echo@10.0.0.1", "sip:nobody@10.0.0.1", "sip:9123@10.0.0.1",
                                       "tel:+4912345",      "sip:x@nowhere.example", "sips:u1@10.0.0.1" };
    if (who >= 200)
        sbuf_str(b, odd[(who - 200) % 6]);
    else if (who == SIM_PHONES - 1)
        sbuf_lit(b, "sip:9123@10.0.0.1");
    else
        sbuf_put(b, txt_slice(&w->phones[who % SIM_PHONES].uri));
}

struct pdlg *phone_call(struct world *w, struct phone *ph, const struct phone_call *c) {
    char mem[1000];
    struct sbuf h = sbuf_on(mem, sizeof mem);
    struct pdlg *d = phone_dialog_new(w, ph);
    if (!d)
        return NULL;
    d->uac = true;
    d->scene = c->scene;
    d->call = c->call;
    txt_set(&d->target, c->target);
    struct sbuf b = sbuf_on(d->remote_uri.p, sizeof d->remote_uri.p);
    sbuf_char(&b, '<');
    sbuf_put(&b, txt_slice(&d->target));
    sbuf_char(&b, '>');
    d->remote_uri.n = (uint16_t)b.n;
    b = sbuf_on(d->call_id.p, sizeof d->call_id.p);
    sbuf_lit(&b, "c");
    sbuf_hex(&b, sim_mix(w->seed, ph->index * 4096ull + ++ph->next_call), 8);
    sbuf_char(&b, '-');
    sbuf_u64(&b, ph->index);
    sbuf_lit(&b, "@phone");
    d->call_id.n = (uint16_t)b.n;
    sbuf_lit(&h, "X-Scene: ");
    sbuf_u64(&h, c->scene * 10u + c->call);
    sbuf_lit(&h, "\r\n");
    sbuf_put(&h, c->extra);
    if (!h.overflow && phone_invite(w, ph, d, sbuf_slice(&h), c->late))
        return d;
    phone_dialog_over(w, ph, d);
    return NULL;
}

static void call(struct world *w, struct phone *ph, const struct sim_event *ev, struct slice extra) {
    char mem[80];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    if (phone_dialog_at(ph, ev->scene, ev->call))
        return;
    phone_put_user(w, &b, ev->other);
    struct phone_call c = { .scene = ev->scene,
                            .call = ev->call,
                            .late = ev->action == ACT_LATE_CALL || phone_quirk(w, ph, QUIRK_LATE_OFFER),
                            .target = sbuf_slice(&b),
                            .extra = extra };
    phone_call(w, ph, &c);
}

static void reinvite(struct world *w, struct phone *ph, struct pdlg *d, enum sim_action action) {
    if (d->state != PH_UP || d->invite_client || d->invite_server || d->offer_open)
        return;
    if (action == ACT_HOLD)
        d->held = true;
    if (action == ACT_RESUME)
        d->held = false;
    phone_invite(w, ph, d, SLICE_NONE, action == ACT_LATE_REINVITE);
}

static void update(struct world *w, struct phone *ph, struct pdlg *d, unsigned variant) {
    char mem[1200];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    if (d->state != PH_UP || d->invite_client || d->invite_server || d->offer_open)
        return;
    struct phone_request r = { .method = SL("UPDATE"), .type = SL("application/sdp") };
    if (variant & 1) {
        sdp_offer(w, ph, d, &d->offered);
        r.body = sdp_write(&b, ph, d, &d->offered);
    }
    if (phone_send(w, ph, d, &r))
        d->offer_open = r.body.n > 0;
}

static void plain(struct world *w, struct phone *ph, struct pdlg *d, struct slice method, struct slice extra) {
    struct phone_request r = { .method = method, .extra = extra };
    if (d->state != PH_UP)
        return;
    if (slice_eq(method, SL("INFO")))
        r.type = SL("application/dtmf-relay"), r.body = SL("Signal=1\r\nDuration=100\r\n");
    if (slice_eq(method, SL("MESSAGE")))
        r.type = SL("text/plain"), r.body = SL("hello");
    phone_send(w, ph, d, &r);
}

/* ---- REFER ---- */

static void refer(struct world *w, struct phone *ph, struct pdlg *d, struct slice refer_to, struct slice more) {
    char mem[1400];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    if (d->state != PH_UP)
        return;
    sbuf_lit(&b, "Refer-To: ");
    sbuf_put(&b, refer_to);
    sbuf_lit(&b, "\r\nReferred-By: <");
    sbuf_put(&b, txt_slice(&ph->uri));
    sbuf_lit(&b, ">\r\n");
    if (phone_quirk(w, ph, QUIRK_NO_REFER_SUB))
        sbuf_lit(&b, "Refer-Sub: false\r\n");
    sbuf_put(&b, more);
    struct phone_request r = { .method = SL("REFER"), .extra = sbuf_slice(&b) };
    if (phone_quirk(w, ph, QUIRK_ODD_URI))
        r.ruri = SL("sip:somebody@10.0.0.1");
    phone_send(w, ph, d, &r);
}

/* The call that it makes is the scene's too, by the number behind that of this dialog. */
static void blind(struct world *w, struct phone *ph, struct pdlg *d, unsigned other, struct slice more) {
    char mem[256];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_char(&b, '<');
    phone_put_user(w, &b, other);
    if (other < 200 && sim_draw_chance(w, ph->index, 80)) {
        sbuf_lit(&b, "?X-Scene=");
        sbuf_u64(&b, d->scene * 10u + d->call % 3 + 1);
    }
    sbuf_char(&b, '>');
    refer(w, ph, d, sbuf_slice(&b), more);
}

/* "CALL-ID;to-tag=REMOTE;from-tag=LOCAL" as the phone that owns o knows its dialog. */
static void put_replaces(struct sbuf *b, const struct pdlg *o, bool swapped, bool early) {
    char mem[400];
    struct sbuf r = sbuf_on(mem, sizeof mem);
    sbuf_put(&r, txt_slice(&o->call_id));
    sbuf_lit(&r, ";to-tag=");
    sbuf_put(&r, txt_slice(swapped ? &o->local_tag : &o->remote_tag));
    sbuf_lit(&r, ";from-tag=");
    sbuf_put(&r, txt_slice(swapped ? &o->remote_tag : &o->local_tag));
    if (early)
        sbuf_lit(&r, ";early-only");
    sip_escape_hvalue(b, sbuf_slice(&r));
}

static void attended(struct world *w, struct phone *ph, struct pdlg *d, const struct pdlg *o, unsigned variant) {
    char mem[700];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_char(&b, '<');
    if (variant & 1)
        sbuf_put(&b, txt_slice(&o->target));
    else
        sbuf_put(&b, slice_of(o->remote_uri.p + 1, o->remote_uri.n > 2 ? o->remote_uri.n - 2u : 0));
    sbuf_lit(&b, "?Replaces=");
    put_replaces(&b, o, phone_quirk(w, ph, QUIRK_SWAPS_TAGS), variant == 31);
    if (variant & 2)
        sbuf_lit(&b, "&Require=replaces");
    sbuf_char(&b, '>');
    if (!b.overflow)
        refer(w, ph, d, sbuf_slice(&b), SL(""));
}

/* REFERs that are refused, or should be. */
static void odd_refer(struct world *w, struct phone *ph, struct pdlg *d, unsigned variant) {
    static const char *const to[] = {
        "sip:u1@10.0.0.1?Replaces=x",
        "<sip:u1@10.0.0.1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>",
        "<sip:u1@10.0.0.1;method=BYE>",
        "<mailto:x@y>",
        "<sip:u1@10.0.0.1?From=evil>",
        "<sip:u1@10.0.0.1>, <sip:u2@10.0.0.1>",
        "<sip:u2@10.0.0.1?X-Any=thing&Require=replaces>",
        "<sip:u3@10.0.0.1?Replaces=gone%40x%3Bto-tag%3D~1%3Bfrom-tag%3D2>",
        "<sip:u4@10.0.0.1?Require=timer>",
        "<sip:@10.0.0.1>",
        "<sip:u2@10.0.0.1?Replaces=gone%40x%3Bto-tag%3D7%3Bfrom-tag%3D2&Require=replaces>",
        "not a uri at all",
    };
    refer(w, ph, d, slice_str(to[variant % 12]), variant & 16 ? SL("Refer-To: <sip:u2@10.0.0.1>\r\n") : SL(""));
}

/* Somebody else's dialog in Replaces. */
static void forged(struct world *w, struct phone *ph, struct pdlg *d, unsigned variant) {
    for (unsigned n = 0; n < SIM_PHONES; n++) {
        struct phone *victim = &w->phones[(variant + n) % SIM_PHONES];
        for (unsigned i = 0; i < PHONE_DIALOGS; i++) {
            if (victim->dlg[i].state == PH_UP && victim->dlg[i].scene != d->scene) {
                if (d->state == PH_UP && !slice_eq(txt_slice(&victim->user), txt_slice(&ph->user)))
                    d->forged_cseq = d->cseq + 1;
                attended(w, ph, d, &victim->dlg[i], variant);
                return;
            }
        }
    }
}

static void invite_replaces(struct world *w, struct phone *ph, const struct sim_event *ev) {
    char mem[500], text[400];
    struct sbuf b = sbuf_on(mem, sizeof mem), t = sbuf_on(text, sizeof text);
    struct phone *victim = &w->phones[ev->other % 2 ? ph->index : ev->other % SIM_PHONES];
    for (unsigned i = 0; i < PHONE_DIALOGS; i++) {
        const struct pdlg *o = &victim->dlg[i];
        if (o->state == PH_FREE)
            continue;
        put_replaces(&t, o, false, ev->other & 8);
        sbuf_lit(&b, "Replaces: ");
        if (!sip_unescape(&b, sbuf_slice(&t)))
            return;
        sbuf_str(&b, ev->other & 4 ? "\r\nRequire: replaces\r\n" : "\r\n");
        struct sim_event mine = *ev;
        mine.call = 3;
        mine.other = (uint8_t)(ev->other % (SIM_PHONES - 1));
        call(w, ph, &mine, b.overflow ? SLICE_NONE : sbuf_slice(&b));
        return;
    }
}

/* A call that rings at another phone of the same user. */
static void pickup(struct world *w, struct phone *ph, const struct sim_event *ev) {
    char mem[500], text[400];
    struct sbuf b = sbuf_on(mem, sizeof mem), t = sbuf_on(text, sizeof text);
    for (unsigned n = 0; n < SIM_PHONES * PHONE_DIALOGS; n++) {
        const struct phone *other = &w->phones[n / PHONE_DIALOGS];
        const struct pdlg *o = &other->dlg[n % PHONE_DIALOGS];
        if (o->state != PH_RINGING || other == ph || !txt_eq(&ph->user, txt_slice(&other->user)))
            continue;
        put_replaces(&t, o, false, ev->other & 1);
        sbuf_lit(&b, "Replaces: ");
        if (!sip_unescape(&b, sbuf_slice(&t)))
            return;
        sbuf_lit(&b, "\r\nRequire: replaces\r\n");
        struct sim_event mine = *ev;
        mine.other = other->index;
        call(w, ph, &mine, b.overflow ? SLICE_NONE : sbuf_slice(&b));
        return;
    }
}

static void odd_request(struct world *w, struct phone *ph, struct pdlg *d, unsigned variant) {
    static const struct slice methods[] = {
        { "PRACK", 5 }, { "PUBLISH", 7 }, { "NOTIFY", 6 }, { "FOO", 3 }, { "SUBSCRIBE", 9 }, { "INFO", 4 },
        { "BYE", 3 }, { "INVITE", 6 }
    };
    struct phone_request r = { .method = methods[variant % 8] };
    struct pdlg ghost = *d;
    if (variant % 8 == 2)
        r.extra = SL("Event: refer\r\nSubscription-State: active\r\n");
    if (variant % 8 == 4)
        r.extra = SL("Event: presence\r\n");
    if (variant % 8 == 5)
        r.extra = SL("Require: magic\r\n");
    if (variant % 8 >= 6) {
        /* In a dialog that is nobody's, or with a CSeq that is not new. */
        if (variant & 8)
            txt_set(&ghost.remote_tag, SL("nobody"));
        else if (!d->cseq)
            d->cseq = 1; /* its own first request: the next one, perhaps its BYE, has another number */
        r.cseq = 1;
        ghost.gen++;
        phone_send(w, ph, &ghost, &r);
        return;
    }
    if (d->state == PH_UP)
        phone_send(w, ph, d, &r);
}

static void subscribe(struct world *w, struct phone *ph, struct pdlg *d, bool end) {
    char mem[120];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_lit(&b, "Event: refer;id=");
    sbuf_u64(&b, d->refer_cseq);
    sbuf_str(&b, end ? "\r\nExpires: 0\r\n" : "\r\nExpires: 60\r\n");
    plain(w, ph, d, SL("SUBSCRIBE"), sbuf_slice(&b));
}

/* ---- power ---- */

static void power(struct world *w, struct phone *ph, bool on) {
    if (on && ph->off) {
        ph->off = false;
        phone_register(w, ph, 3600, false);
        return;
    }
    if (on || ph->off)
        return;
    w->lost_peer = true;
    for (unsigned i = 0; i < PHONE_CLIENTS; i++)
        phone_client_free(w, &ph->client[i]);
    for (unsigned i = 0; i < PHONE_SERVERS; i++)
        phone_server_free(w, &ph->server[i]);
    for (unsigned i = 0; i < PHONE_DIALOGS; i++) {
        ph->dlg[i].gen++;
        ph->dlg[i].state = PH_FREE;
    }
    ph->off = true;
}

static void scene_over(struct world *w, struct phone *ph, unsigned scene) {
    for (unsigned i = 0; i < PHONE_DIALOGS; i++)
        if (ph->dlg[i].state != PH_FREE && ph->dlg[i].scene == scene)
            phone_end(w, ph, &ph->dlg[i]);
}

static void act_in_dialog(struct world *w, struct phone *ph, struct pdlg *d, const struct sim_event *ev) {
    switch (ev->action) {
    case ACT_HOLD:
    case ACT_RESUME:
    case ACT_REOFFER:
    case ACT_LATE_REINVITE: reinvite(w, ph, d, (enum sim_action)ev->action); break;
    case ACT_BLIND: blind(w, ph, d, ev->other, SL("")); break;
    case ACT_QUIET_REFER:
        blind(w, ph, d, ev->other, ev->call & 1 ? SL("Require: explicitsub\r\n") : SL("Require: nosub\r\n"));
        break;
    case ACT_ODD_REFER: odd_refer(w, ph, d, ev->other); break;
    case ACT_FORGED_REFER: forged(w, ph, d, ev->other); break;
    case ACT_BYE: phone_end(w, ph, d); break;
    case ACT_CANCEL: phone_cancel(w, ph, d); break;
    case ACT_UPDATE: update(w, ph, d, ev->other); break;
    case ACT_INFO: plain(w, ph, d, SL("INFO"), SLICE_NONE); break;
    case ACT_MESSAGE: plain(w, ph, d, SL("MESSAGE"), SLICE_NONE); break;
    case ACT_OPTIONS: plain(w, ph, d, SL("OPTIONS"), SLICE_NONE); break;
    case ACT_SUBSCRIBE: subscribe(w, ph, d, false); break;
    case ACT_UNSUBSCRIBE: subscribe(w, ph, d, true); break;
    case ACT_ODD_REQUEST: odd_request(w, ph, d, ev->other); break;
    default: break;
    }
}

void phone_act(struct world *w, struct phone *ph, const struct sim_event *ev) {
    struct pdlg *d = phone_dialog_at(ph, ev->scene, ev->call), *o;
    if (ph->off && ev->action != ACT_POWER_ON)
        return;
    switch (ev->action) {
    case ACT_CALL:
    case ACT_LATE_CALL: call(w, ph, ev, SLICE_NONE); return;
    case ACT_SCENE_OVER: scene_over(w, ph, ev->scene); return;
    case ACT_PICKUP: pickup(w, ph, ev); return;
    case ACT_OUTSIDE_REFER: phone_refer_outside(w, ph, ev, NULL); return;
    case ACT_TARGET_DIALOG:
        if (d && d->state == PH_UP)
            phone_refer_outside(w, ph, ev, d);
        return;
    case ACT_INVITE_REPLACES: invite_replaces(w, ph, ev); return;
    case ACT_REGISTER: phone_register(w, ph, ev->other & 1 ? 20 : 3600, false); return;
    case ACT_UNREGISTER: phone_register(w, ph, 0, ev->other & 1); return;
    case ACT_POWER_OFF: power(w, ph, false); return;
    case ACT_POWER_ON: power(w, ph, true); return;
    case ACT_ATTENDED:
        o = phone_dialog_at(ph, ev->scene, ev->call == 1 ? 2 : 1);
        if (d && o)
            attended(w, ph, d, o, ev->other);
        return;
    default: break;
    }
    if (d)
        act_in_dialog(w, ph, d, ev);
}
