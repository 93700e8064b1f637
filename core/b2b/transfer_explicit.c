/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RFC 7614: a REFER with explicitsub makes no subscription; its 2xx names a URI that can be subscribed to, in a dialog
 * of its own, by who sent the REFER. One subscriber a transfer. */
#include "core/b2b/call.h"
#include "core/b2b/transfer.h"
#include "core/b2b/wire.h"
#include "core/sip/token.h"
#include "parser/sip_hdr.h"

#define EVENTS_PREFIX "refer."

bool transfer_is_events_at(struct slice user) {
    return slice_has_prefix(user, SL(EVENTS_PREFIX));
}

bool transfer_is_explicit(const struct transfer *t) {
    return transfer_is_events_at(strs_get(&t->s, TRF_TOKEN));
}

bool transfer_make_events_at(struct engine *e, struct transfer *t) {
    char mem[TOKEN_LEN + sizeof EVENTS_PREFIX];
    const struct call *c = call_get(e, t->call);
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_lit(&b, EVENTS_PREFIX);
    token_put(&b, &(struct token){ (uint8_t)e->cfg.cluster_id, c->bucket, c->id, 0, rng_u64(&e->rng) });
    return strs_set(&t->s, &e->bufs, TRF_TOKEN, sbuf_slice(&b));
}

void transfer_put_events_at(struct engine *e, struct sbuf *h, const struct transfer *t) {
    if (!transfer_is_explicit(t))
        return;
    sbuf_lit(h, "Refer-Events-At: <sip:");
    sbuf_put(h, strs_get(&t->s, TRF_TOKEN));
    sbuf_char(h, '@');
    sbuf_put(h, e->ua.sent_by);
    sbuf_lit(h, ">\r\n");
}

/* A transfer that can still be watched. */
static struct transfer *watched(struct engine *e, struct slice user) {
    uint32_t cursor = 0;
    handle h;
    for (struct transfer *t; (t = pool_next(&e->transfers, &cursor, &h));)
        if (slice_eq(strs_get(&t->s, TRF_TOKEN), user) && !t->final_sent && t->state != TRANSFER_BYE_WAIT &&
            t->state != TRANSFER_DONE)
            return t;
    return NULL;
}

static uint16_t check(const struct transfer *t, const struct sip_msg *msg, struct slice principal) {
    struct sip_event package;
    if (sip_event_parse(sip_hdr_value(msg, SIP_H_EVENT), &package) < 0 || !slice_ieq(package.package, SL("refer")))
        return 489;
    if (!t)
        return 404;
    if (!principal.p || !slice_eq(principal, strs_get(&t->s, TRF_BY)) || t->subscriber != HANDLE_NONE || package.id.p)
        return 403;
    return 0;
}

static void refuse(struct engine *e, const struct sip_msg *msg, handle txn, uint16_t status) {
    struct uas_response r = { .status = status };
    if (status == 489)
        r.extra = SL("Allow-Events: refer\r\n");
    wire_answer(e, txn, msg, &r);
}

void transfer_on_outside_subscribe(struct engine *e, const struct sip_msg *msg, handle txn, struct slice principal) {
    struct transfer *t = watched(e, msg->ruri.user);
    uint16_t bad = check(t, msg, principal);
    struct leg *l = bad ? NULL : leg_subscriber(e, call_get(e, t->call), msg, txn);
    if (!l) {
        refuse(e, msg, txn, bad ? bad : 503);
        return;
    }
    t->subscriber = l->self;
    t->silent = false;
    transfer_role(e, t, l->self, TR_SUBSCRIBER);
    struct leg_event ev = { .kind = LEG_EV_REQUEST, .msg = msg, .txn = txn };
    handle self = t->self;
    transfer_on_subscribe(e, t, l, &ev);
    t = transfer_get(e, self);
    /* No longer the time that a SUBSCRIBE may take, but that of its NOTIFY. */
    if (t && t->state == TRANSFER_NOTIFYING && t->notifying)
        wheel_set(&e->wheel, &t->timer, e->now + TRANSFER_NOTIFYING_T1 * e->cfg.t1_us);
}

bool transfer_subscribed_again(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    struct transfer *t = transfer_get(e, l->transfer);
    struct leg_event ev = { .kind = LEG_EV_REQUEST, .msg = msg, .txn = txn };
    if (!t || l->self != t->subscriber)
        return false;
    transfer_on_subscribe(e, t, l, &ev);
    return true;
}
