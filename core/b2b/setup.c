/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/setup.h"

#include "core/b2b/admission.h"
#include "core/b2b/bridge.h"
#include "core/b2b/call.h"
#include "core/b2b/cdr.h"
#include "core/b2b/media.h"
#include "core/b2b/policy.h"
#include "core/b2b/registrar.h"
#include "core/b2b/replaces.h"
#include "core/b2b/transfer.h"
#include "core/b2b/wire.h"
#include "core/sip/rel100.h"
#include "parser/sdp.h"
#include "parser/sip_hdr.h"
#include "parser/sip_uri.h"
#include "parser/sip_write.h"

static void answer(struct engine *e, const struct sip_msg *msg, handle txn, uint16_t status, struct slice reason,
                   struct slice extra) {
    struct uas_response r = { .status = status, .reason = reason, .extra = extra };
    wire_answer(e, txn, msg, &r);
}

static void refuse(struct engine *e, struct leg *l, uint16_t status, struct slice reason) {
    struct uas_response r = { .status = status, .reason = reason };
    metrics_add(&e->metrics, M_calls_refused, 1);
    leg_respond_invite(e, l, &r);
}

/* The caller hears itself: for the first hour with one phone, and as a target that always answers. */
static void start_echo(struct engine *e, struct leg *caller, const struct sip_msg *msg) {
    struct slice sdp = SLICE_NONE;
    caller->echo = true;
    /* What was to go from party to party comes here, if we can have it. */
    struct slice why;
    if (caller->direct && msg->body.n &&
        media_check_new(e, leg_str(caller, LEG_PRINCIPAL), false, msg->body, &why) == 0) {
        caller->direct = false;
        media_received(e, caller, msg->body, true);
    }
    if (msg->body.n && !caller->direct)
        sdp = media_describe(e, caller, msg->body, sdp_reverse((enum sdp_direction)caller->media.own_direction));
    if (!sdp.p || !leg_answer(e, caller, sdp, SLICE_NONE)) {
        refuse(e, caller, msg->body.n ? 503 : 488, SLICE_NONE);
        return;
    }
    media_echo(e, caller);
    leg_call(e, caller)->answered = true;
    leg_call(e, caller)->answered_ms = e->wall_ms;
    metrics_add(&e->metrics, M_calls_answered, 1);
    call_changed(e, leg_call(e, caller));
}

static bool ring(struct engine *e, struct leg *caller, const struct sip_msg *msg, const struct leg_target *to,
                 const struct leg *replaces) {
    struct leg_target full = *to;
    struct slice sdp = SLICE_NONE;
    full.local_uri = leg_str(caller, DLG_REMOTE_URI);
    full.remote_uri = leg_str(caller, DLG_LOCAL_URI);
    struct leg *l = leg_outgoing(e, leg_call(e, caller), &full, ROLE_CALLEE);
    if (!l)
        return false;
    l->peer = caller->self;
    l->direct = caller->direct;
    /* An offer in a 18x would have to be answered by a caller that cannot be asked. */
    l->no_rel100 = !msg->body.n && !rel100_is_supported(msg);
    if (msg->body.n)
        sdp = media_has_ports(e, caller, msg->body) ? media_describe(e, l, msg->body, -1) : SLICE_NONE;
    bool has_ports = msg->body.n ? sdp.p != NULL : media_reserve(e, caller) && media_reserve(e, l);
    if (!has_ports) {
        leg_end(e, l, 503, SLICE_NONE);
        return false;
    }
    uint32_t hops = msg->max_forwards > 0 ? (uint32_t)msg->max_forwards - 1 : LIMIT_HOPS_MAX;
    if (!replaces)
        return leg_invite(e, l, sdp, bridge_headers(e, msg), hops);
    struct sbuf h = ua_headers(&e->ua);
    transfer_put_replaces(&h, replaces);
    sip_put_copy(&h, msg, SIP_H_REFERRED_BY);
    return leg_invite(e, l, sdp, sbuf_slice(&h), hops);
}

/* One that wants no relay is among those who are to ring. */
static bool wants_direct(const struct engine *e, const struct policy_choice *choice) {
    for (uint32_t i = 0; i < choice->count; i++)
        if (media_goes_direct(e, choice->targets[i].principal, SLICE_NONE))
            return true;
    return false;
}

static void route_call(struct engine *e, struct leg *caller, const struct sip_msg *msg, const struct sip_uri *uri) {
    struct policy_choice choice;
    unsigned ringing = 0;
    struct slice denied = policy_call_denied(e, leg_str(caller, LEG_PRINCIPAL), uri);
    if (denied.p) {
        refuse(e, caller, 403, denied);
        return;
    }
    policy_route(e, uri, &choice);
    if (choice.kind == POLICY_REFUSED) {
        refuse(e, caller, choice.status, choice.reason);
        return;
    }
    if (choice.kind == POLICY_ECHO) {
        start_echo(e, caller, msg);
        return;
    }
    if (wants_direct(e, &choice) && !caller->direct) {
        caller->direct = true;
        media_close(e, caller);
    }
    for (uint32_t i = 0; i < choice.count; i++)
        ringing += ring(e, caller, msg, &choice.targets[i], NULL);
    if (!ringing) {
        metrics_add(&e->metrics, M_pool_full, 1);
        struct uas_response r = { .status = 503, .extra = hand_retry_after(e, msg) };
        leg_respond_invite(e, caller, &r);
    }
}

static bool is_whole(const struct sip_replaces *r, unsigned quirks) {
    return (r->to_tag.p && r->from_tag.p) || (quirks & QUIRK_REPLACES_TAGLESS);
}

/* Which of our dialogs an INVITE is to replace, by its Replaces or by the token it was sent to. False: it is answered.
 */
static bool find_replaced(struct engine *e, const struct sip_msg *msg, handle txn, const struct transfer *relayed,
                          struct takeover *o) {
    const struct sip_hdr *h = sip_hdr_first(msg, SIP_H_REPLACES);
    struct sip_replaces r;
    unsigned quirks = policy_quirks(e, sip_hdr_value(msg, SIP_H_USER_AGENT), o->principal);
    if (!h) {
        o->replaced = relayed ? leg_get(e, relayed->consult) : NULL;
        return true;
    }
    if (sip_hdr_next(msg, h) || sip_replaces_parse_loosely(h->value, &r) < 0 || !is_whole(&r, quirks)) {
        answer(e, msg, txn, 400, SL("Bad Replaces"), SLICE_NONE);
        return false;
    }
    o->early_only = r.early_only;
    o->replaced = replaces_find(e, &r, quirks, o->principal);
    if (o->replaced)
        return true;
    uint16_t bad = 0;
    if (leg_ended_lately(e, r.call_id, r.to_tag, r.from_tag))
        bad = 603;
    else if (sip_list_has(msg, SIP_H_REQUIRE, SL("replaces")) && policy_is_our_host(e, msg->ruri.host.host))
        bad = 481; /* what must be replaced does not become a new call (RFC 3891 section 3) */
    if (bad) {
        cdr_refused(e, &(struct cdr_refusal){ "replaces", NULL, o->principal, msg, bad, SLICE_NONE });
        answer(e, msg, txn, bad, SLICE_NONE, SLICE_NONE);
    }
    return !bad;
}

static struct leg *new_caller(struct engine *e, const struct sip_msg *msg, const struct sip_uri *to, handle txn,
                              struct slice principal, bool direct) {
    struct call *c = call_new(e, msg->call_id);
    if (c)
        c->emergency = policy_is_emergency(e, to);
    struct leg *l = c ? leg_incoming(e, c, msg, txn) : NULL;
    if (l)
        l->direct = direct;
    if (l && leg_set(e, l, LEG_PRINCIPAL, principal) && (!msg->body.n || media_received(e, l, msg->body, true)))
        return l;
    metrics_add(&e->metrics, M_pool_full, 1);
    answer(e, msg, txn, 503, SLICE_NONE, hand_retry_after(e, msg));
    if (l && l->state == LEG_INCOMING) {
        l->invite_in = HANDLE_NONE;
        leg_step(e, l, LEG_IN_GONE);
    }
    return NULL;
}

/* The far leg of the replaced dialog is asked to replace its own one (FEATURES R42'): an ordinary call from there on,
 * and the BYE that its user agent sends for what it replaced ends the consultation by the bridge. */
static void forward_replaces(struct engine *e, const struct sip_msg *msg, handle txn, const struct takeover *o) {
    struct leg *d = leg_peer(e, o->replaced), *l;
    l = new_caller(e, msg, &msg->ruri, txn, o->principal, media_goes_direct(e, o->principal, msg->body));
    if (!l)
        return;
    l->direct = l->direct || d->direct;
    struct leg_target to = { .uri = leg_str(d, DLG_TARGET),
                             .routes = leg_str(d, DLG_ROUTES),
                             .principal = leg_str(d, LEG_PRINCIPAL),
                             .dst = d->dlg.flow };
    if (!ring(e, l, msg, &to, d))
        refuse(e, l, 503, SLICE_NONE);
}

/* An INVITE that replaces a dialog of ours, or was sent to a token of ours. True: it is dealt with. *relayed: the
 * transfer of its token, or NULL. */
static bool on_replaces(struct engine *e, const struct sip_msg *msg, handle txn, const struct admission *who,
                        struct transfer **relayed) {
    uint16_t bad = 0;
    struct takeover o = { .principal = who->principal };
    *relayed = transfer_use_token(e, msg->ruri.user, who->principal, &bad);
    if (bad) {
        cdr_refused(e, &(struct cdr_refusal){ "replaces", NULL, o.principal, msg, bad, SL("Not its token") });
        answer(e, msg, txn, bad, SLICE_NONE, SLICE_NONE);
        return true;
    }
    if (!find_replaced(e, msg, txn, *relayed, &o))
        return true;
    if (!o.replaced)
        return false;
    o.by_token =
        (*relayed && (*relayed)->consult == o.replaced->self) || transfer_may_replace(e, o.replaced, who->principal);
    if (o.by_token && e->cfg.relay == RELAY_FORWARD_REPLACES && !o.early_only && leg_is_up(leg_peer(e, o.replaced)))
        forward_replaces(e, msg, txn, &o);
    else
        transfer_on_replaces(e, msg, txn, &o);
    return true;
}

/* relayed: the transfer whose token it was sent to, or NULL; then the call goes where the REFER said. */
static void start_call(struct engine *e, const struct sip_msg *msg, handle txn, const struct admission *who,
                       const struct transfer *relayed) {
    struct sip_uri uri = msg->ruri;
    if (relayed && sip_uri_parse(strs_get(&relayed->s, TRF_REFER_TO), &uri) < 0)
        uri = msg->ruri;
    struct leg *l = new_caller(e, msg, &uri, txn, who->principal, who->direct);
    if (l)
        route_call(e, l, msg, &uri);
}

static void on_invite(struct engine *e, const struct sip_msg *msg, handle txn) {
    struct admission who;
    if (e->draining) {
        answer(e, msg, txn, 503, SL("Draining"), SL("Retry-After: 30\r\n"));
        return;
    }
    admission_check(e, msg, txn, &who);
    if (!who.admitted)
        return;
    who.direct = media_goes_direct(e, who.principal, msg->body);
    struct slice why;
    uint16_t bad = msg->body.n ? media_check_new(e, who.principal, who.direct, msg->body, &why) : 0;
    if (bad) {
        answer(e, msg, txn, bad, why, SLICE_NONE);
        return;
    }
    if (session_is_too_short(&e->cfg.session, msg)) {
        char mem[SESSION_LINES_MAX];
        struct sbuf b = sbuf_on(mem, sizeof mem);
        session_put_min_se(&b, &e->cfg.session);
        answer(e, msg, txn, 422, SLICE_NONE, sbuf_slice(&b));
        return;
    }
    struct transfer *relayed;
    if (!on_replaces(e, msg, txn, &who, &relayed))
        start_call(e, msg, txn, &who, relayed);
    if (relayed)
        transfer_token_used(e, relayed);
}

/* Only a user's own address of record (section 10.3 step 4). */
static void on_register(struct engine *e, const struct sip_msg *msg, handle txn) {
    struct admission who;
    admission_check(e, msg, txn, &who);
    if (!who.admitted)
        return;
    /* Its canonical form has no escapes (section 10.3 step 5). */
    char plain[CONFIG_NAME_MAX];
    struct sbuf user = sbuf_on(plain, sizeof plain);
    bool readable = msg->to.uri.user.p && sip_unescape(&user, msg->to.uri.user);
    struct slice aor = sbuf_slice(&user);
    if (!policy_is_our_host(e, msg->to.uri.host.host) || !readable || user.overflow) {
        answer(e, msg, txn, msg->to.uri.scheme == SIP_SCHEME_OTHER ? 400 : 404, SLICE_NONE, SLICE_NONE);
        return;
    }
    if (who.user.p && !slice_eq(who.user, aor)) {
        answer(e, msg, txn, 403, SL("Not your address of record"), SLICE_NONE);
        return;
    }
    if (!policy_user(e, aor)) {
        answer(e, msg, txn, 404, SLICE_NONE, SLICE_NONE);
        return;
    }
    registrar_on_register(e, msg, txn, aor);
}

static void on_refer(struct engine *e, const struct sip_msg *msg, handle txn) {
    struct admission who;
    if (e->draining) {
        answer(e, msg, txn, 503, SL("Draining"), SL("Retry-After: 30\r\n"));
        return;
    }
    admission_check(e, msg, txn, &who);
    if (who.admitted)
        transfer_on_outside_refer(e, msg, txn, who.principal);
}

static void on_subscribe(struct engine *e, const struct sip_msg *msg, handle txn) {
    struct admission who;
    if (!transfer_is_events_at(msg->ruri.user)) {
        answer(e, msg, txn, 489, SLICE_NONE, SL("Allow-Events: refer\r\n"));
        return;
    }
    admission_check(e, msg, txn, &who);
    if (who.admitted)
        transfer_on_outside_subscribe(e, msg, txn, who.principal);
}

void setup_on_request(struct engine *e, const struct sip_msg *msg, handle txn) {
    switch (msg->method) {
    case SIP_M_INVITE: on_invite(e, msg, txn); break;
    case SIP_M_REGISTER: on_register(e, msg, txn); break;
    case SIP_M_OPTIONS:
        answer(e, msg, txn, e->draining ? 503 : 200, SLICE_NONE,
               SL("Accept: application/sdp\r\nAllow: " UA_ALLOW "\r\nSupported: " UA_SUPPORTED "\r\n"));
        break;
    case SIP_M_SUBSCRIBE: on_subscribe(e, msg, txn); break;
    case SIP_M_REFER: on_refer(e, msg, txn); break;
    case SIP_M_BYE:
    case SIP_M_NOTIFY:
    case SIP_M_INFO:
    case SIP_M_PRACK:
    case SIP_M_UPDATE: answer(e, msg, txn, 481, SLICE_NONE, SLICE_NONE); break;
    default: answer(e, msg, txn, 405, SLICE_NONE, SL("Allow: " UA_ALLOW ", REGISTER\r\n")); break;
    }
}
