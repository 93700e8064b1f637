/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Relayed transfer: the REFER crosses to the transferee with a Refer-To that leads back to us: a token of ours as user
 * part, good once, for a minute, for that party only. Its INVITE then is an ordinary call to the Refer-To URI, or takes
 * over the consultation. NOTIFYs cross back with the id of the transferor's REFER. */
#include "core/b2b/barrier.h"
#include "core/b2b/bridge.h"
#include "core/b2b/call.h"
#include "core/b2b/cdr.h"
#include "core/b2b/policy.h"
#include "core/b2b/record_open.h"
#include "core/b2b/replaces.h"
#include "core/b2b/transfer.h"
#include "core/b2b/wire.h"
#include "core/sip/token.h"
#include "parser/sip_frag.h"
#include "parser/sip_uri.h"
#include "parser/sip_write.h"

#define TOKEN_LIFE_US 60000000

static bool can_relay(const struct leg *a, bool replaces) {
    return a->allows_refer && (!replaces || a->supports_replaces);
}

/* The target's leg, where the transferee is to replace that itself; else NULL. */
static const struct leg *far_leg(const struct engine *e, const struct transfer *t) {
    return e->cfg.relay_replaces == RELAY_FAR_LEG ? leg_get(e, t->replaced) : NULL;
}

/* The Replaces that the transferee is to send. Kept as the transferor wrote it, it names our own dialog with the
 * transferor: the INVITE comes to us. */
static void put_replaces(const struct engine *e, struct sbuf *b, const struct transfer *t) {
    const struct leg *d = leg_get(e, t->consult), *far = far_leg(e, t);
    if (far)
        replaces_put_far(b, far);
    else if (e->cfg.relay_replaces == RELAY_OPAQUE && d)
        replaces_put(b, d, strs_get(&t->s, TRF_TOKEN));
    else
        sbuf_put(b, strs_get(&t->s, TRF_REPLACES));
}

/* To us by a token; or to the target itself, if the transferee is to go there past us. */
static void put_uri(const struct engine *e, struct sbuf *h, const struct transfer *t) {
    const struct leg *far = far_leg(e, t);
    if (far) {
        sbuf_put(h, leg_str(far, DLG_TARGET));
        return;
    }
    sbuf_lit(h, "sip:");
    sbuf_put(h, strs_get(&t->s, TRF_TOKEN));
    sbuf_char(h, '@');
    sbuf_put(h, e->ua.sent_by);
}

static void put_refer_to(const struct engine *e, struct sbuf *h, const struct transfer *t) {
    char mem[REFER_TO_MAX / 4];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_lit(h, "Refer-To: <");
    put_uri(e, h, t);
    if (strs_get(&t->s, TRF_REPLACES).p) {
        put_replaces(e, &b, t);
        sbuf_lit(h, "?Replaces=");
        sip_escape_hvalue(h, sbuf_slice(&b));
        sbuf_lit(h, "&Require=replaces");
        h->overflow |= b.overflow;
    }
    sbuf_lit(h, ">\r\n");
}

/* Of a dialog of ours it says which one that is for the transferee (RFC 4538 section 7: by its own view). */
static void put_target_dialog(const struct engine *e, struct sbuf *h, const struct sip_msg *msg) {
    struct sip_replaces r;
    struct slice value = sip_hdr_value(msg, SIP_H_TARGET_DIALOG);
    if (!value.p)
        return;
    bool readable = sip_target_dialog_parse(value, &r) >= 0;
    struct leg *l = readable ? leg_find(e, r.call_id, r.to_tag, r.from_tag) : NULL, *far = l ? leg_peer(e, l) : NULL;
    if (!far) {
        sip_put_copy(h, msg, SIP_H_TARGET_DIALOG);
        return;
    }
    sbuf_lit(h, "Target-Dialog: ");
    sbuf_put(h, leg_str(far, DLG_CALL_ID));
    sbuf_lit(h, ";local-tag=");
    sbuf_put(h, leg_str(far, DLG_REMOTE_TAG));
    sbuf_lit(h, ";remote-tag=");
    sbuf_put(h, leg_str(far, DLG_LOCAL_TAG));
    sbuf_lit(h, "\r\n");
}

static bool make_token(struct engine *e, struct transfer *t) {
    char mem[TOKEN_LEN + sizeof TRANSFER_TOKEN_PREFIX];
    const struct call *c = call_get(e, t->call);
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_lit(&b, TRANSFER_TOKEN_PREFIX);
    token_put(&b, &(struct token){ (uint8_t)e->cfg.cluster_id, c->bucket, c->id, 0, rng_u64(&e->rng) });
    return strs_set(&t->s, &e->bufs, TRF_TOKEN, sbuf_slice(&b));
}

bool transfer_relay(struct engine *e, struct transfer *t, const struct sip_msg *msg, handle txn) {
    struct leg *a = leg_get(e, t->transferee), *b = leg_get(e, t->transferor);
    enum refer_mode mode = policy_refer_mode(e, leg_str(b, LEG_PRINCIPAL));
    bool wanted = mode == REFER_RELAY || mode == REFER_AUTO;
    /* What RFC 7614 promises is ours to keep. */
    bool unusual = sip_list_has(msg, SIP_H_REQUIRE, SL("nosub")) || transfer_is_explicit(t);
    if (!wanted || unusual || t->mode == MODE_ECHO || t->mode == MODE_SEMI ||
        !can_relay(a, strs_get(&t->s, TRF_REPLACES).p != NULL))
        return false;
    if (!make_token(e, t) || !strs_set(&t->s, &e->bufs, TRF_PRINCIPAL, leg_str(a, LEG_PRINCIPAL)))
        return false;
    struct sbuf h = ua_headers(&e->ua);
    put_refer_to(e, &h, t);
    put_target_dialog(e, &h, msg);
    sip_put_copy(&h, msg, SIP_H_REFERRED_BY);
    sip_put_copy(&h, msg, SIP_H_REFER_SUB);
    sip_put_copy(&h, msg, SIP_H_MIME_VERSION);
    struct dialog_request r = {
        .contact = true,
        .max_forwards = t->max_forwards,
        .extra = sbuf_slice(&h),
        .content_type = msg->content_type,
        .body = msg->body,
    };
    t->relay_txn = h.overflow ? HANDLE_NONE : leg_request(e, a, SL("REFER"), FOR_REFER, &r);
    if (t->relay_txn == HANDLE_NONE)
        return false;
    t->mode = MODE_RELAY;
    t->token_used = far_leg(e, t) != NULL;
    t->relay_auto = mode == REFER_AUTO;
    t->relay_cseq = a->dlg.local_cseq;
    t->relay_behind = a->heard_cseq > a->dlg.remote_cseq ? a->heard_cseq : a->dlg.remote_cseq;
    t->refer_txn = txn;
    b->keep_on_bye = false;
    /* What the consultation's legs do is none of ours until the INVITE comes. */
    transfer_role(e, t, t->consult, TR_NONE);
    transfer_role(e, t, t->replaced, TR_NONE);
    wheel_set(&e->wheel, &t->timer, e->now + TOKEN_LIFE_US);
    return true;
}

bool transfer_relay_begun(const struct transfer *t) {
    return t->token_used || t->relay_answered;
}

/* What the transferor is told of it is what the transferee answers: with the same branch that one takes it as sent
 * again. */
static void send_again(struct engine *e, struct transfer *t, struct leg *a) {
    struct record_open o;
    bool open = record_open_read(e, strs_get(&t->s, TRF_OPEN_REFER), &o);
    strs_set(&t->s, &e->bufs, TRF_OPEN_REFER, SLICE_NONE);
    if (open)
        t->relay_txn = record_open_send(e, a, &o, SIP_M_REFER, FOR_REFER);
}

void transfer_relay_resume_first(struct engine *e, struct leg *a) {
    struct transfer *t = transfer_get(e, leg_call(e, a)->transfer);
    if (t && t->mode == MODE_RELAY && t->transferee == a->self && t->relay_cseq < a->invite_cseq)
        send_again(e, t, a);
}

bool transfer_relay_resume(struct engine *e, struct transfer *t) {
    struct leg *a = leg_get(e, t->transferee);
    if (!leg_is_live(a))
        return false;
    send_again(e, t, a);
    t->relay_again = t->relay_txn != HANDLE_NONE;
    return t->relay_again || transfer_relay_begun(t);
}

bool transfer_relay_waits(const struct transfer *t) {
    return t->mode == MODE_RELAY && t->relay_txn != HANDLE_NONE && t->refer_txn == HANDLE_NONE;
}

/* It lives as long as its token may be used or its NOTIFYs cross. */
static void release_if_over(struct engine *e, struct transfer *t) {
    bool token_over = t->token_used || !wheel_is_set(&t->timer);
    bool notify_over = t->relay_ended || !leg_is_live(leg_get(e, t->transferee));
    if (t->refer_txn == HANDLE_NONE && token_over && notify_over)
        transfer_release(e, t);
}

/* NOTIFY of the transferor's subscription, with what is in h and body behind Event. */
static handle notify(struct engine *e, struct transfer *t, struct leg *b, struct slice state, struct slice body) {
    struct sbuf h = ua_headers(&e->ua);
    sbuf_lit(&h, "Event: refer;id=");
    sbuf_u64(&h, t->refer_cseq);
    sbuf_lit(&h, "\r\n");
    sip_put_hdr(&h, SL("Subscription-State"), state);
    struct dialog_request r = {
        .contact = true,
        .extra = sbuf_slice(&h),
        .content_type = body.n ? SL("message/sipfrag;version=2.0") : SLICE_NONE,
        .body = body,
    };
    return leg_request(e, b, SL("NOTIFY"), FOR_BRIDGED, &r);
}

/* Whatever the transferee had made of the REFER, it would have used its token by now. */
static void tell_unknown(struct engine *e, struct transfer *t) {
    struct leg *b = leg_get(e, t->transferor);
    struct sbuf body = ua_body(&e->ua);
    if (!t->relay_unsure || !leg_is_up(b) || (t->quirks & QUIRK_NO_NOTIFY))
        return;
    t->relay_unsure = false;
    sip_frag_put(&body, 503, sip_reason(503));
    t->relay_last = notify(e, t, b, SL("terminated;reason=noresource"), sbuf_slice(&body)) != HANDLE_NONE;
    cdr_result(e, t, 503);
    metrics_add(&e->metrics, M_transfers_failed, 1);
    call_promised(e, call_get(e, t->call));
}

/* First its token is over, then the time that a subscription lasts: a transferee that never sends its final NOTIFY does
 * not keep the call from being transferred again. */
void transfer_relay_timer(struct engine *e, struct transfer *t) {
    t->token_used = true;
    /* Longer than a request lasts: who is still to answer our REFER has no dialog any more. */
    t->refer_txn = HANDLE_NONE;
    tell_unknown(e, t);
    if (e->now < t->expires_us)
        wheel_set(&e->wheel, &t->timer, t->expires_us);
    else
        t->relay_ended = true;
    release_if_over(e, t);
}

void transfer_token_used(struct engine *e, struct transfer *t) {
    release_if_over(e, t);
}

/* One that is passed on itself has nothing of ours open with the leg, and does without it. */
static bool is_busy(const struct engine *e, const struct leg *l) {
    const struct transfer *t = transfer_get(e, l->transfer);
    return t && t->mode != MODE_RELAY;
}

/* The consultation has gone on since the REFER came: its party may be gone, another one, or in another transfer. 0: as
 * the REFER means it. */
static uint16_t consult_by_now(const struct engine *e, struct transfer *t) {
    const struct leg *d = leg_get(e, t->consult), *c = d ? leg_peer(e, d) : NULL;
    uint16_t bad = 0;
    if (!leg_is_up(d) || !leg_is_up(c))
        bad = 603;
    else if (d->call == t->call)
        bad = 403;
    else if (is_busy(e, d) || is_busy(e, c))
        bad = 491;
    t->consult = bad ? HANDLE_NONE : d->self;
    t->consult_call = bad ? HANDLE_NONE : d->call;
    t->replaced = bad ? HANDLE_NONE : c->self;
    return bad;
}

/* Back to what a REFER without relay would have been. */
static void carry_out_here(struct engine *e, struct transfer *t) {
    const struct sip_msg *msg = wire_request_again(e, t->refer_txn);
    struct leg *b = leg_get(e, t->transferor);
    handle txn = t->refer_txn;
    t->refer_txn = HANDLE_NONE;
    wheel_cancel(&e->wheel, &t->timer);
    if (!msg || !leg_is_up(leg_get(e, t->transferee)) || !leg_is_up(b)) {
        transfer_release(e, t);
        return;
    }
    bool ours = t->consult != HANDLE_NONE;
    uint16_t result = ours ? consult_by_now(e, t) : 0;
    t->mode = ours ? MODE_REPLACE : strs_get(&t->s, TRF_REPLACES).p ? MODE_FOREIGN : MODE_BLIND;
    transfer_role(e, t, t->consult, TR_CONSULT);
    transfer_role(e, t, t->replaced, TR_REPLACED);
    b->keep_on_bye = !t->silent;
    transfer_begin(e, t, msg, txn, result);
}

/* A former owner's REFER that has an old CSeq by now was answered before: the transferee's INVITE and NOTIFYs tell what
 * it said, or nothing does. */
static uint16_t said_before(struct transfer *t, uint16_t status) {
    t->relay_unsure = t->relay_again && status == 500;
    return t->relay_unsure ? 202 : status;
}

/* The transferee's answer is the transferor's (FEATURES R34, R35); never 408 (RFC 4320). */
static void on_refer_response(struct engine *e, struct transfer *t, const struct leg_event *ev) {
    struct leg *b = leg_get(e, t->transferor);
    uint16_t status = ev->status == 401 || ev->status == 407 ? 403 : ev->status;
    /* It has begun, by its INVITE or a NOTIFY: then it is not done a second time, and its 2xx was lost. */
    bool begun = transfer_relay_begun(t);
    t->relay_txn = HANDLE_NONE;
    status = said_before(t, status);
    if (status >= 300 && t->relay_auto && !begun) {
        carry_out_here(e, t);
        return;
    }
    if (begun && !ev->msg)
        status = 202;
    const struct sip_msg *said = t->relay_unsure ? NULL : ev->msg;
    struct sbuf h = ua_headers(&e->ua);
    if (status == 202 && (t->quirks & QUIRK_ACCEPT_200))
        status = 200;
    if (said)
        sip_put_copy(&h, said, SIP_H_REFER_SUB);
    struct uas_response r = { .status = status == 408 ? 504 : status, .extra = sbuf_slice(&h) };
    if (b) {
        r.to_tag = leg_str(b, DLG_LOCAL_TAG);
        r.contact_user = status < 300 ? r.to_tag : SLICE_NONE;
    }
    wire_respond(e, t->refer_txn, NULL, &r, b);
    t->refer_txn = HANDLE_NONE;
    t->relay_answered = status < 300;
    call_promised(e, call_get(e, t->call));
    if (t->relay_answered)
        cdr_step(e, t, STEP_ACCEPTED);
    else
        cdr_result(e, t, status);
    t->relay_ended = !t->relay_answered ||
                     (said && slice_has_prefix(sip_hdr_value(said, SIP_H_REFER_SUB), SL("false")));
    if (!t->relay_answered) {
        wheel_cancel(&e->wheel, &t->timer);
        metrics_add(&e->metrics, M_transfers_failed, 1);
    }
    release_if_over(e, t);
}

static void answer_notify(struct engine *e, struct leg *a, handle txn, uint16_t status) {
    struct uas_response r = { .status = status, .to_tag = leg_str(a, DLG_LOCAL_TAG) };
    wire_respond(e, txn, NULL, &r, a);
}

/* Our REFER waits for its record: the transferee has not got it. */
static bool is_held(const struct engine *e, const struct transfer *t, const struct leg *a) {
    const struct txn *x = txn_get(&e->txns, t->relay_txn);
    const struct txn_open *o = x ? txn_open_of(x) : NULL;
    return o && barrier_has(e, a, o->request);
}

/* 0, or what it is answered with. Without an id it may be of a REFER of before (RFC 3515, 2.4.6): a copy of what
 * another owner has answered, or of one that has failed here though the transferee carries it out: its answer was lost,
 * or the network said that nobody was there. */
static uint16_t notify_refused(const struct engine *e, const struct transfer *t, const struct leg *a,
                               const struct sip_msg *msg) {
    struct sip_event package;
    uint64_t id = t->relay_cseq;
    if (sip_event_parse(sip_hdr_value(msg, SIP_H_EVENT), &package) < 0 || !slice_ieq(package.package, SL("refer")))
        return 481;
    if (!package.id.p && t->relay_behind && msg->cseq <= t->relay_behind) /* a first one may be 0 */
        return 200;
    if (!package.id.p)
        return is_held(e, t, a) ? 481 : 0;
    return slice_u64(package.id, UINT32_MAX, &id) && id == t->relay_cseq ? 0 : 481;
}

/* The body keeps its status line only: what else a sipfrag may hold would tell the one side about the other. */
static void pass_notify(struct engine *e, struct transfer *t, struct leg *a, const struct leg_event *ev) {
    struct leg *b = leg_get(e, t->transferor);
    uint16_t status = 0, refused = leg_is_up(b) ? notify_refused(e, t, a, ev->msg) : 481;
    struct slice reason, state = sip_hdr_value(ev->msg, SIP_H_SUBSCRIPTION_STATE);
    if (refused) {
        answer_notify(e, a, ev->txn, refused);
        return;
    }
    struct sbuf body = ua_body(&e->ua);
    if (sip_frag_status(ev->msg->body, &status, &reason))
        sip_frag_put(&body, status, reason);
    bool wanted = !(t->quirks & QUIRK_NO_NOTIFY);
    struct txn *out = wanted ? txn_get(&e->txns, notify(e, t, b, state, sbuf_slice(&body))) : NULL;
    if (out)
        txn_set_peer(out, ev->txn);
    else
        answer_notify(e, a, ev->txn, wanted ? 503 : 200);
    if (wanted && !out)
        return;
    t->relay_answered = true;
    t->relay_unsure = false;
    if (status > 100 && status < 200)
        cdr_step(e, t, STEP_RINGING);
    if (slice_has_prefix(state, SL("terminated"))) {
        /* Not over before the transferor has it: who takes over from us may have to pass it on once more. */
        t->relay_last = out != NULL;
        t->relay_ended = !out;
        cdr_result(e, t, status);
        metrics_add(&e->metrics, status >= 200 && status < 300 ? M_transfers_done : M_transfers_failed, 1);
    }
}

bool transfer_relay_event(struct engine *e, struct transfer *t, struct leg *l, const struct leg_event *ev) {
    bool transferee = l->self == t->transferee;
    if (transferee && ev->kind == LEG_EV_SENT_AGAIN && ev->purpose == FOR_REFER) {
        t->relay_cseq = l->dlg.local_cseq; /* the id of its NOTIFYs is the CSeq that was accepted */
        t->relay_txn = ev->txn;
        call_promised(e, call_get(e, t->call));
        return true;
    }
    if (transferee && ev->kind == LEG_EV_RESPONSE && ev->purpose == FOR_REFER) {
        on_refer_response(e, t, ev);
        return true;
    }
    if (transferee && ev->kind == LEG_EV_REQUEST && ev->msg->method == SIP_M_NOTIFY) {
        pass_notify(e, t, l, ev);
        release_if_over(e, t);
        return true;
    }
    if (!transferee && t->relay_last && ev->kind == LEG_EV_RESPONSE && ev->purpose == FOR_BRIDGED) {
        t->relay_ended = true;
        release_if_over(e, t);
        return false;
    }
    if (ev->kind == LEG_EV_BYE || ev->kind == LEG_EV_GONE) {
        t->relay_ended = true;
        if (t->refer_txn != HANDLE_NONE) {
            /* Section 15.1.2: what a BYE leaves pending gets 487. The transferee's answer may find no leg any more. */
            struct uas_response r = { .status = transferee ? 481 : 487 };
            wire_respond(e, t->refer_txn, NULL, &r, leg_get(e, t->transferor));
            t->refer_txn = HANDLE_NONE;
        }
        transfer_role(e, t, l->self, TR_NONE);
        release_if_over(e, t);
    }
    return false;
}

struct transfer *transfer_use_token(struct engine *e, struct slice user, struct slice principal, uint16_t *status) {
    uint32_t cursor = 0;
    handle h;
    *status = 0;
    if (!slice_has_prefix(user, SL(TRANSFER_TOKEN_PREFIX)))
        return NULL;
    *status = 403;
    for (struct transfer *t; (t = pool_next(&e->transfers, &cursor, &h));) {
        if (t->mode != MODE_RELAY || t->token_used || !slice_eq(strs_get(&t->s, TRF_TOKEN), user))
            continue;
        if (!wheel_is_set(&t->timer) || !slice_eq(strs_get(&t->s, TRF_PRINCIPAL), principal))
            return NULL;
        *status = 0;
        t->token_used = true;
        t->relay_unsure = false;
        call_promised(e, call_get(e, t->call));
        return t;
    }
    return NULL;
}

bool transfer_may_replace(const struct engine *e, const struct leg *replaced, struct slice principal) {
    uint32_t cursor = 0;
    handle h;
    for (struct transfer *t; (t = pool_next(&e->transfers, &cursor, &h));)
        if (t->mode == MODE_RELAY && t->consult == replaced->self && principal.p &&
            slice_eq(strs_get(&t->s, TRF_PRINCIPAL), principal))
            return true;
    return false;
}
