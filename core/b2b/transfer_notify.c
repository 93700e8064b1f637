/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/transfer.h"
#include "core/b2b/call.h"
#include "core/b2b/wire.h"
#include "parser/sip_frag.h"
#include "parser/sip_hdr.h"
#include "parser/sip_write.h"

#define REASON_MAX 64 /* a longer phrase gives way to ours */

static void put_subscription_state(struct engine *e, struct sbuf *h, const struct transfer *t, uint16_t status) {
    if (status >= 200 || t->expires_us <= e->now) {
        sbuf_str(h, status >= 200 ? "Subscription-State: terminated;reason=noresource\r\n"
                                  : "Subscription-State: terminated;reason=timeout\r\n");
        return;
    }
    sbuf_lit(h, "Subscription-State: active;expires=");
    sbuf_u64(h, (t->expires_us - e->now) / 1000000);
    sbuf_lit(h, "\r\n");
}

void transfer_note_reason(struct engine *e, struct transfer *t, const struct sip_msg *response) {
    bool kept = response && !response->is_request && response->reason.n && response->reason.n <= REASON_MAX &&
                strs_set(&t->s, &e->bufs, TRF_REASON, response->reason);
    t->reason_of = kept ? response->status : 0;
}

static struct slice reason_for(const struct transfer *t, uint16_t status) {
    return t->reason_of == status ? strs_get(&t->s, TRF_REASON) : sip_reason(status);
}

static bool send_notify(struct engine *e, struct transfer *t, struct leg *l, uint16_t status) {
    struct sbuf h = ua_headers(&e->ua), b = ua_body(&e->ua);
    sbuf_lit(&h, "Event: refer");
    /* The id is legal on the first subscription of a dialog too, and needed from the second on (RFC 3515
     * section 2.4.6). */
    if (!transfer_is_explicit(t)) {
        sbuf_lit(&h, ";id=");
        sbuf_u64(&h, t->refer_cseq);
    }
    sbuf_lit(&h, "\r\n");
    put_subscription_state(e, &h, t, status);
    sip_frag_put(&b, status, reason_for(t, status));
    if (status == 488 || status == 606) {
        /* Why, for whoever looks at it: one of the two could not take what the other sends (section 20.43). */
        sbuf_lit(&b, "Warning: 305 ");
        sbuf_put(&b, e->ua.host);
        sbuf_lit(&b, " \"Incompatible media format\"\r\n");
    }
    struct dialog_request r = {
        .contact = true,
        .extra = sbuf_slice(&h),
        .content_type = SL("message/sipfrag;version=2.0"),
        .body = sbuf_slice(&b),
    };
    return leg_request(e, l, SL("NOTIFY"), FOR_NOTIFY, &r) != HANDLE_NONE;
}

/* A phone may answer 491 to a NOTIFY that meets another: one at a time. A queued progress gives way to what is newer, a
 * final one to nothing. */
void transfer_notify(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *l = leg_get(e, t->subscriber);
    if (t->final_sent)
        return;
    if (t->silent || !l || !(leg_is_up(l) || l->state == LEG_LEFT)) {
        if (status >= 200 && transfer_is_explicit(t) && t->subscriber == HANDLE_NONE &&
            t->state == TRANSFER_NOTIFYING) {
            /* Its SUBSCRIBE may still come. */
            wheel_set(&e->wheel, &t->timer, e->now + e->cfg.bye_wait_us);
        } else if (status >= 200) {
            t->final_sent = true;
            /* The NOTIFY that ended the subscription is still to be answered. */
            if (!t->notifying || !l || !(leg_is_up(l) || l->state == LEG_LEFT))
                transfer_step(e, t, TRANSFER_EV_NOTIFIED, status);
        }
        return;
    }
    if (t->notifying) {
        if (t->queued < 200)
            t->queued = status;
        return;
    }
    bool last = status >= 200;
    bool ran_out = !last && t->expires_us <= e->now;
    t->notifying = t->notified_here = send_notify(e, t, l, status);
    t->final_sent = last;
    call_promised(e, call_get(e, t->call));
    if (ran_out)
        t->silent = true;
    if (last && !t->notifying)
        transfer_step(e, t, TRANSFER_EV_NOTIFIED, status);
}

void transfer_on_notify_response(struct engine *e, struct transfer *t, uint16_t status) {
    t->notifying = false;
    call_promised(e, call_get(e, t->call));
    if (t->final_sent) {
        transfer_step(e, t, TRANSFER_EV_NOTIFIED, t->result);
        return;
    }
    /* RFC 6665 section 4.2.2: a failed NOTIFY ends the subscription, not the transfer (RFC 5057 section 5.1). */
    if (status >= 400 && status != 491 && status != 500)
        t->silent = true;
    uint16_t next = t->queued;
    t->queued = 0;
    if (next)
        transfer_notify(e, t, next);
}

void transfer_on_subscribe(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev) {
    struct sip_event package;
    uint64_t id = t->refer_cseq;
    uint32_t expires = e->cfg.subscription_s;
    struct uas_response r = { .to_tag = leg_str(l, DLG_LOCAL_TAG) };
    struct sbuf h = ua_headers(&e->ua);
    if (sip_event_parse(sip_hdr_value(ev->msg, SIP_H_EVENT), &package) < 0 ||
        !slice_ieq(package.package, SL("refer"))) {
        r.status = 489;
        r.extra = SL("Allow-Events: refer\r\n");
    } else if ((package.id.p && !slice_u64(package.id, UINT32_MAX, &id)) || id != t->refer_cseq || t->final_sent ||
               t->silent || l->self != t->subscriber) {
        r.status = 403; /* RFC 3515 section 2.4.4: nobody else may subscribe */
    } else {
        sip_delta_seconds(sip_hdr_value(ev->msg, SIP_H_EXPIRES), &expires);
        if (expires > e->cfg.subscription_s)
            expires = e->cfg.subscription_s;
        r.status = 200;
        r.contact_user = leg_str(l, DLG_LOCAL_TAG);
        sbuf_lit(&h, "Expires: ");
        sbuf_u64(&h, expires);
        sbuf_lit(&h, "\r\n");
        r.extra = sbuf_slice(&h);
        t->expires_us = e->now + 1000000ull * expires;
    }
    wire_respond(e, ev->txn, ev->msg, &r, l);
    if (r.status == 200)
        transfer_notify(e, t, t->result ? t->result : t->progress ? t->progress : 100);
}
