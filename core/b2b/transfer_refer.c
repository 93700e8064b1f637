/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/call.h"
#include "core/b2b/cdr.h"
#include "core/b2b/policy.h"
#include "core/b2b/transfer.h"
#include "core/b2b/wire.h"
#include "core/sip/token.h"
#include "parser/sip_hdr.h"
#include "parser/sip_uri.h"
#include "parser/sip_write.h"

/* What a REFER says, before it is decided on. status != 0: refused with it. */
struct refer {
    uint16_t status;
    struct slice reason;
    struct sip_nameaddr to;
    struct slice referred_by;
    bool has_replaces, require_replaces, no_subscription;
    struct sip_replaces replaces;
    char replaces_text[512];
    uint32_t replaces_n;
    struct sbuf extra; /* other URI headers, as header lines */
    char extra_mem[2048];
};

static bool bad(struct refer *r, uint16_t status, struct slice reason) {
    r->status = status;
    r->reason = reason;
    return false;
}

/* Section 19.1.5 of RFC 3261: these would let a REFER forge our INVITE. */
static bool is_forbidden(enum sip_hdr_id id) {
    static const uint8_t list[] = {
        SIP_H_FROM,
        SIP_H_TO,
        SIP_H_CALL_ID,
        SIP_H_CSEQ,
        SIP_H_VIA,
        SIP_H_RECORD_ROUTE,
        SIP_H_ROUTE,
        SIP_H_CONTACT,
        SIP_H_MAX_FORWARDS,
        SIP_H_CONTENT_LENGTH,
        SIP_H_CONTENT_TYPE,
        SIP_H_AUTHORIZATION,
        SIP_H_PROXY_AUTHORIZATION,
        SIP_H_P_ASSERTED_IDENTITY,
        SIP_H_PATH,
        SIP_H_PROXY_REQUIRE,
        SIP_H_SUPPORTED,
        SIP_H_ALLOW,
        SIP_H_REFERRED_BY,
        SIP_H_REFER_TO,
        SIP_H_IDENTITY,
    };
    for (unsigned i = 0; i < sizeof list; i++)
        if (list[i] == id)
            return true;
    return false;
}

static bool take_replaces(struct refer *r, struct slice escaped) {
    struct sbuf b = sbuf_on(r->replaces_text, sizeof r->replaces_text);
    if (r->has_replaces)
        return bad(r, 400, SL("Replaces twice in Refer-To"));
    if (!sip_unescape(&b, escaped) || b.overflow || sip_replaces_parse(sbuf_slice(&b), &r->replaces) < 0)
        return bad(r, 400, SL("Bad Replaces in Refer-To"));
    r->replaces_n = b.n;
    r->has_replaces = true;
    return true;
}

static bool has_line_end(struct slice s) {
    return slice_find(s, '\r') >= 0 || slice_find(s, '\n') >= 0;
}

static bool take_uri_header(struct refer *r, struct slice name, struct slice value) {
    enum sip_hdr_id id = sip_hdr_id_of(name);
    if (id == SIP_H_REPLACES)
        return take_replaces(r, value);
    if (id == SIP_H_REQUIRE) {
        r->require_replaces = slice_ieq(value, SL("replaces"));
        return r->require_replaces || bad(r, 420, SL("Require in Refer-To"));
    }
    if (is_forbidden(id) || slice_ieq(name, SL("body")))
        return bad(r, 403, SL("Forbidden header in Refer-To"));
    uint32_t from = r->extra.n;
    sbuf_put(&r->extra, name);
    sbuf_lit(&r->extra, ": ");
    if (slice_find(name, '%') >= 0 || !sip_unescape(&r->extra, value) ||
        has_line_end(slice_of(r->extra.p + from, r->extra.n - from)))
        return bad(r, 400, SL("Bad header in Refer-To"));
    sbuf_lit(&r->extra, "\r\n");
    return !r->extra.overflow || bad(r, 400, SL("Refer-To too long"));
}

static bool read_refer_to(const struct sip_msg *msg, struct refer *r) {
    struct sip_values cur = { 0 };
    struct slice value, second, rest, name, v;
    if (!sip_values_next(msg, SIP_H_REFER_TO, &cur, &value))
        return bad(r, 400, SL("Missing Refer-To"));
    if (sip_values_next(msg, SIP_H_REFER_TO, &cur, &second))
        return bad(r, 400, SL("More than one Refer-To"));
    if (sip_nameaddr_parse(value, &r->to) < 0)
        return bad(r, 400, SL("Bad Refer-To"));
    const struct sip_uri *u = &r->to.uri;
    if (u->scheme != SIP_SCHEME_SIP && u->scheme != SIP_SCHEME_SIPS && u->scheme != SIP_SCHEME_TEL)
        return bad(r, 416, SL("Unsupported scheme in Refer-To"));
    struct slice method = sip_uri_param(u, SL("method"));
    if (method.p && !slice_eq(method, SL("INVITE")))
        return bad(r, 403, SL("Refer-To with another method"));
    rest = u->headers;
    while (rest.n && sip_uri_header_next(&rest, &name, &v))
        if (!take_uri_header(r, name, v))
            return false;
    return rest.n == 0 || bad(r, 400, SL("Bad header in Refer-To"));
}

static bool read_refer(const struct sip_msg *msg, struct refer *r) {
    memset(r, 0, offsetof(struct refer, replaces_text));
    r->extra = sbuf_on(r->extra_mem, sizeof r->extra_mem);
    const struct sip_hdr *by = sip_hdr_first(msg, SIP_H_REFERRED_BY);
    if (by && sip_hdr_next(msg, by))
        return bad(r, 400, SL("More than one Referred-By"));
    r->referred_by = by ? by->value : SLICE_NONE;
    if (msg->max_forwards == 0)
        return bad(r, 483, SLICE_NONE); /* it would be forwarded as our INVITE */
    struct slice sub = sip_hdr_value(msg, SIP_H_REFER_SUB);
    r->no_subscription = slice_has_prefix(sub, SL("false"));
    return read_refer_to(msg, r);
}

/* May this party transfer, and is this call in a state for it? */
static bool check_party(const struct engine *e, struct leg *l, struct refer *r) {
    struct leg *peer = leg_peer(e, l);
    const struct call *c = leg_call(e, l);
    if (policy_refer_mode(e, leg_str(l, LEG_PRINCIPAL)) == REFER_REJECT)
        return bad(r, 403, SL("Transfer not allowed"));
    if (l->transfer != HANDLE_NONE || (peer && peer->transfer != HANDLE_NONE) || c->transfer != HANDLE_NONE)
        return bad(r, 491, SLICE_NONE);
    if (!leg_is_up(l) || (peer && !leg_is_up(peer)))
        return bad(r, 491, SLICE_NONE);
    if (!peer)
        return bad(r, 403, SL("Nobody to transfer"));
    if (c->depth >= e->cfg.max_depth)
        return bad(r, 403, SL("Too many transfers of this call"));
    return true;
}

/* One of its tags is a token of ours: no other user agent can have that dialog. */
static bool is_of_ours(const struct engine *e, const struct sip_replaces *p) {
    struct token t;
    return (token_parse(p->to_tag, &t) && t.cluster == (uint8_t)e->cfg.cluster_id) ||
           (token_parse(p->from_tag, &t) && t.cluster == (uint8_t)e->cfg.cluster_id);
}

/* The dialog that Replaces names. False: the REFER is refused. *result != 0: accepted, and then told to have failed. */
static bool find_consult(struct engine *e, struct leg *l, struct refer *r, struct leg **consult, uint16_t *result) {
    const struct sip_replaces *p = &r->replaces;
    struct leg *d = leg_find(e, p->call_id, p->to_tag, p->from_tag);
    *consult = NULL;
    if (!d || !(leg_is_live(d))) {
        bool ended = d || leg_ended_lately(e, p->call_id, p->to_tag, p->from_tag);
        if (ended)
            *result = 603;
        else if (policy_is_our_host(e, r->to.uri.host.host) && is_of_ours(e, p))
            *result = 481;
        return true;
    }
    if (d == l || d->call == l->call)
        return bad(r, 403, SL("Replaces names the same call"));
    if (!leg_str(d, LEG_PRINCIPAL).p || !slice_eq(leg_str(d, LEG_PRINCIPAL), leg_str(l, LEG_PRINCIPAL))) {
        metrics_add(&e->metrics, M_replaces_refused, 1);
        return bad(r, 403, SL("Replaces names another party's dialog"));
    }
    if (p->early_only && leg_is_up(d)) {
        *result = 486;
        return true;
    }
    if (d->state != LEG_INCOMING && !leg_is_up(d))
        return bad(r, 491, SLICE_NONE);
    if (d->transfer != HANDLE_NONE || (leg_peer(e, d) && leg_peer(e, d)->transfer != HANDLE_NONE))
        return bad(r, 491, SLICE_NONE);
    if (leg_is_up(d) && !leg_peer(e, d) && !d->echo)
        *result = 603;
    *consult = d;
    return true;
}

static void respond(struct engine *e, struct leg *l, handle txn, const struct sip_msg *msg, const struct refer *r) {
    struct uas_response resp = { .status = r->status, .reason = r->reason, .to_tag = leg_str(l, DLG_LOCAL_TAG) };
    if (r->status < 300)
        resp.contact_user = leg_str(l, DLG_LOCAL_TAG);
    if (r->status < 300 && r->no_subscription)
        resp.extra = SL("Refer-Sub: false\r\n");
    if (r->status == 420)
        resp.extra = SL("Unsupported: *\r\n");
    wire_respond(e, txn, msg, &resp, l);
}

static void refuse(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn, const struct refer *r) {
    struct cdr_refusal record = { "refer", l, SLICE_NONE, msg, r->status, r->reason };
    metrics_add(&e->metrics, M_transfers_refused, 1);
    cdr_refused(e, &record);
    respond(e, l, txn, msg, r);
}

static bool fill(struct engine *e, struct transfer *t, const struct refer *r) {
    struct slice uri = r->to.uri.whole;
    if (r->to.uri.headers.p)
        uri.n = (uint32_t)(r->to.uri.headers.p - 1 - uri.p);
    return strs_set(&t->s, &e->bufs, TRF_REFER_TO, uri) && strs_set(&t->s, &e->bufs, TRF_REFERRED_BY, r->referred_by) &&
           strs_set(&t->s, &e->bufs, TRF_EXTRA, r->extra.n ? sbuf_slice(&r->extra) : SLICE_NONE) &&
           strs_set(&t->s, &e->bufs, TRF_REPLACES,
                    r->has_replaces ? slice_of(r->replaces_text, r->replaces_n) : SLICE_NONE);
}

static enum transfer_mode mode_of(const struct refer *r, const struct leg *consult) {
    if (!r->has_replaces)
        return MODE_BLIND;
    if (!consult)
        return MODE_FOREIGN;
    if (consult->state == LEG_INCOMING)
        return MODE_SEMI;
    return consult->echo ? MODE_ECHO : MODE_REPLACE;
}

static struct transfer *start(struct engine *e, struct leg *l, const struct sip_msg *msg, const struct refer *r,
                              struct leg *consult) {
    struct leg *a = leg_peer(e, l);
    struct transfer *t = transfer_new(e, leg_call(e, a));
    if (!t)
        return NULL;
    if (!fill(e, t, r)) {
        transfer_free(e, t);
        return NULL;
    }
    t->refer_cseq = msg->cseq;
    t->max_forwards = msg->max_forwards > 0 ? (uint32_t)msg->max_forwards - 1 : LIMIT_HOPS_MAX;
    t->silent = r->no_subscription;
    t->require_replaces = r->require_replaces;
    t->expires_us = e->now + 1000000ull * e->cfg.subscription_s;
    t->started_us = e->now;
    t->transferor = l->self;
    t->transferee = a->self;
    t->mode = (uint8_t)mode_of(r, consult);
    transfer_role(e, t, l->self, TR_TRANSFEROR);
    transfer_role(e, t, a->self, TR_TRANSFEREE);
    if (consult) {
        t->consult = consult->self;
        t->consult_call = consult->call;
        transfer_role(e, t, t->consult, TR_CONSULT);
        t->replaced = consult->peer;
        transfer_role(e, t, t->replaced, TR_REPLACED);
    }
    leg_call(e, a)->depth++;
    l->keep_on_bye = !t->silent;
    return t;
}

void transfer_begin(struct engine *e, struct transfer *t, const struct sip_msg *msg, handle txn, uint16_t result) {
    struct leg *l = leg_get(e, t->transferor);
    struct refer r = { .status = t->silent ? 200 : 202, .no_subscription = t->silent };
    respond(e, l, txn, msg, &r);
    cdr_step(e, t, STEP_ACCEPTED);
    transfer_notify(e, t, 100);
    if (result)
        transfer_fail(e, t, result);
    else
        transfer_call_target(e, t);
}

void transfer_on_refer(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    struct refer r;
    struct leg *consult = NULL;
    uint16_t result = 0;
    bool ok =
        read_refer(msg, &r) && check_party(e, l, &r) && (!r.has_replaces || find_consult(e, l, &r, &consult, &result));
    struct transfer *t = ok ? start(e, l, msg, &r, result ? NULL : consult) : NULL;
    if (ok && !t)
        r.status = 503;
    if (!t) {
        refuse(e, l, msg, txn, &r);
        return;
    }
    metrics_add(&e->metrics, M_transfers_started, 1);
    if (result || !transfer_relay(e, t, msg, txn))
        transfer_begin(e, t, msg, txn, result);
}
