/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What a call does next. In every scenario the last thing is that A hangs up, and a call is done when all its dialogs
 * have ended.
 */
#include "bench/call/call.h"
#include "parser/sip_uri.h"

#include <string.h>

const char *const scenario_names[SCENARIOS] = {
    "call", "registered", "trunk", "hold", "blind", "attended", "register", "mixed"
};

static struct dlg *of_party(struct bcall *c, enum party p, unsigned nth) {
    for (unsigned i = 0; i < c->dialogs; i++)
        if (c->dlg[i].party == p && nth-- == 0)
            return &c->dlg[i];
    return NULL;
}

static void setup_done(struct load *l, struct bcall *c) {
    struct bin *b = load_bin(l);
    hist_add(&l->t.setup, l->now - c->due_us);
    if (b)
        hist_add(&b->setup, l->now - c->due_us);
}

/* A hangs up, at once or after the holding time. */
void scenario_media_done(struct load *l, struct bcall *c) {
    if (l->o.hold_us)
        wheel_set(&l->wheel, &c->timer, l->now + l->o.hold_us);
    else
        dialog_bye(l, &c->dlg[0]);
}

/* The same; first A talks with that party, if it is one of those calls. */
static void end_later(struct load *l, struct bcall *c, const struct dlg *peer) {
    if (c->media.wanted && !c->media.begun && peer)
        media_begin(l, c, peer);
    else if (!c->media.busy)
        scenario_media_done(l, c);
}

/* ---- REFER */

static void refer(struct load *l, struct bcall *c, struct dlg *d, const struct dlg *consult) {
    char line[400], replaces[200];
    struct sbuf b = sbuf_on(line, sizeof line), r = sbuf_on(replaces, sizeof replaces);
    sbuf_lit(&b, "Refer-To: <sip:c@");
    sbuf_put(&b, line_slice(&l->domain));
    if (consult) {
        sbuf_put(&r, line_slice(&consult->call_id));
        sbuf_lit(&r, ";to-tag=");
        sbuf_put(&r, line_slice(&consult->remote_tag));
        sbuf_lit(&r, ";from-tag=");
        message_put_name(&r, PARTY_B, l, consult->call, consult->index);
        sbuf_lit(&b, "?Replaces=");
        sip_escape_hvalue(&b, sbuf_slice(&r));
    }
    sbuf_lit(&b, ">\r\n");
    c->refer_us = l->now;
    c->referred = true;
    dialog_request(l, d, SIP_M_REFER, sbuf_slice(&b));
}

/* The transferor hangs up once it was told; A, once it talks with C. */
static void transfer_end(struct load *l, struct bcall *c) {
    struct dlg *b = of_party(c, PARTY_B, 0);
    if (!c->notified || !b || b->state != DLG_OVER)
        return;
    struct dlg *target = of_party(c, PARTY_C, c->scenario == SC_ATTENDED);
    if (target && target->state == DLG_UP)
        end_later(l, c, target);
}

static void on_notified(struct load *l, struct bcall *c, struct dlg *d) {
    if (c->notified)
        return;
    c->notified = true;
    l->t.transfers++;
    hist_add(&l->t.transfer, l->now - c->refer_us);
    dialog_bye(l, d);
}

static void go_blind(struct load *l, struct bcall *c, struct dlg *d, enum happened h) {
    if (h == H_UP && d->party == PARTY_A)
        setup_done(l, c);
    if (h == H_UP && d->party == PARTY_B)
        refer(l, c, d, NULL);
    else if (h == H_NOTIFIED)
        on_notified(l, c, d);
    if (h != H_NOTIFIED)
        transfer_end(l, c);
}

/* B: holds A, calls C, holds C, refers. */
static void go_attended(struct load *l, struct bcall *c, struct dlg *d, enum happened h) {
    if (h == H_UP && d->party == PARTY_A)
        setup_done(l, c);
    if (h == H_UP && d->party == PARTY_B && !d->uac) {
        dialog_reinvite(l, d, true);
    } else if (h == H_REOK && d->party == PARTY_B && !d->uac) {
        struct dlg *consult = dialog_new(l, d->call, PARTY_B);
        if (consult)
            dialog_invite(l, consult, PARTY_C);
    } else if (h == H_UP && d->party == PARTY_B) {
        dialog_reinvite(l, d, true);
    } else if (h == H_REOK && d->party == PARTY_B) {
        refer(l, c, of_party(c, PARTY_B, 0), d);
    } else if (h == H_NOTIFIED) {
        on_notified(l, c, d);
    }
    if (h != H_NOTIFIED)
        transfer_end(l, c);
}

static void go_hold(struct load *l, struct bcall *c, struct dlg *d, enum happened h) {
    if (d->party != PARTY_A || (h != H_UP && h != H_REOK))
        return;
    if (h == H_UP)
        setup_done(l, c);
    if (h == H_UP || d->held)
        dialog_reinvite(l, d, h == H_UP);
    else
        end_later(l, c, of_party(c, PARTY_B, 0));
}

static void go_call(struct load *l, struct bcall *c, struct dlg *d, enum happened h) {
    if (h != H_UP || d->party != PARTY_A)
        return;
    setup_done(l, c);
    end_later(l, c, of_party(c, PARTY_B, 0));
}

static void start(struct load *l, struct bcall *c) {
    uint32_t call = (uint32_t)(c - l->calls);
    struct dlg *d = dialog_new(l, call, c->scenario == SC_REGISTER ? PARTY_B : PARTY_A);
    if (c->scenario == SC_REGISTER)
        dialog_register(l, d, l->seed++ % l->o.users);
    else
        dialog_invite(l, d, PARTY_B);
}

void call_fail(struct load *l, struct bcall *c, unsigned status, const char *why) {
    if (c->failed)
        return;
    struct bin *b = load_bin(l);
    c->failed = true;
    media_forget(l, c);
    l->t.failed++;
    if (b)
        b->failed++;
    l->t.by_status[status / 100 & 7]++;
    if (l->o.tell)
        fprintf(stderr, "%.3f %s, step %u: %u %s, Call-ID %.*s\n", (double)l->now / 1e6, scenario_names[c->scenario],
                c->step, status, why, SLICE_FMT(line_slice(&c->dlg[0].call_id)));
    if (!l->t.first_fault[0])
        snprintf(l->t.first_fault, sizeof l->t.first_fault, "%s, step %u: %u %s", scenario_names[c->scenario],
                 c->step, status, why);
    for (unsigned i = 0; i < c->dialogs; i++)
        dialog_bye(l, &c->dlg[i]);
}

void scenario_go(struct load *l, struct bcall *c, struct dlg *d, enum happened h) {
    c->step++;
    if (h == H_START) {
        start(l, c);
        return;
    }
    if (h == H_TIMER && !d) {
        dialog_bye(l, &c->dlg[0]);
        return;
    }
    if (c->failed) {
        if (h == H_UP)
            dialog_bye(l, d);
        return;
    }
    switch (c->scenario) {
    case SC_REGISTERED:
    case SC_TRUNK:
    case SC_CALL: go_call(l, c, d, h); break;
    case SC_HOLD: go_hold(l, c, d, h); break;
    case SC_BLIND: go_blind(l, c, d, h); break;
    case SC_ATTENDED: go_attended(l, c, d, h); break;
    case SC_REGISTER: setup_done(l, c); break;
    default: break;
    }
}
