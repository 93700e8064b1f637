/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What we send on a leg. */
#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/b2b/reanchor.h"
#include "core/b2b/wire.h"
#include "core/base/check.h"

static const struct slice sdp_type = { "application/sdp", 15 };

/* What a request promises; barrier.h. The first INVITE to who is called does not wait: nobody was told anything. What a
 * reliable 18x has said does not come again behind its PRACK, nor need the 2xx say it. */
static enum hold promise_of(const struct leg *l, enum sip_method method, const struct dialog_request *r,
                            enum txn_purpose purpose) {
    if (method == SIP_M_INVITE)
        return purpose == FOR_REINVITE || l->transfer != HANDLE_NONE ? HOLD_RECORD : HOLD_BEHIND;
    if ((method == SIP_M_UPDATE && r->body.n) || purpose == FOR_PRACK_SDP)
        return HOLD_RECORD;
    return purpose == FOR_NOTIFY || purpose == FOR_REFER ? HOLD_RECORD : HOLD_BEHIND;
}

handle leg_send(struct engine *e, struct leg *l, enum sip_method method, const struct dialog_request *r,
                enum txn_purpose purpose) {
    char mem[DIALOG_BRANCH_MAX];
    struct slice branch;
    struct addr dst;
    char lines[LEG_LINES_MAX];
    struct dialog_request full = *r;
    dialog_next_hop(&l->dlg, &e->ua, &dst);
    full.own = leg_own_lines(e, l, r->method, dialog_request_uri(&l->dlg), &dst, lines);
    struct buf *b = dialog_build(&l->dlg, &e->ua, &full, mem, &branch);
    if (!b) {
        metrics_add(&e->metrics, M_pool_full, 1);
        return HANDLE_NONE;
    }
    if (method == SIP_M_INVITE)
        leg_keep_credentials(e, l, full.own);
    const struct call *c = leg_call(e, l);
    struct txn_client t = {
        .request = b,
        .method = method,
        .method_name = r->method,
        .branch = branch,
        .cseq = r->cseq,
        .dst = &dst,
        .local = &l->dlg.local,
        .ctx_kind = purpose,
        .bucket = call_mark(c),
        .ctx = l->self,
        .trace_call = c ? c->id : 0,
        .trace_leg = l->number,
    };
    handle h = barrier_request(e, l, promise_of(l, method, r, purpose), &t);
    if (h == HANDLE_NONE)
        metrics_add(&e->metrics, M_pool_full, 1);
    return h;
}

static bool send_invite(struct engine *e, struct leg *l, struct slice sdp, struct slice extra, uint32_t max_forwards,
                        enum txn_purpose purpose) {
    struct dialog_request r = {
        .method = SL("INVITE"),
        .cseq = ++l->dlg.local_cseq,
        .max_forwards = max_forwards,
        .contact = true,
        .no_rel100 = l->no_rel100,
        .extra = extra,
        .content_type = sdp_type,
        .body = sdp,
    };
    leg_early_free(e, l);
    l->early_answer = false;
    l->invite_cseq = r.cseq;
    l->late_offer = sdp.n == 0;
    l->offer_lost = l->heard = false;
    l->invite_out = leg_send(e, l, SIP_M_INVITE, &r, purpose);
    if (l->invite_out == HANDLE_NONE)
        return false;
    if (sdp.n)
        oa_step(&l->oa, OA_EV_SEND_OFFER);
    return true;
}

bool leg_invite(struct engine *e, struct leg *l, struct slice sdp, struct slice extra, uint32_t max_forwards) {
    leg_step(e, l, LEG_IN_SEND_INVITE);
    if (!send_invite(e, l, sdp, extra, max_forwards, FOR_INVITE)) {
        leg_step(e, l, LEG_IN_GONE);
        return false;
    }
    wheel_set(&e->wheel, &l->timer, e->now + e->cfg.invite_timeout_us);
    call_promised(e, leg_call(e, l));
    return true;
}

static bool leg_is_busy(const struct leg *l) {
    return l->state != LEG_UP || l->invite_out != HANDLE_NONE || l->invite_in != HANDLE_NONE || l->oa != OA_STABLE ||
           l->ok;
}

static bool send_reinvite(struct engine *e, struct leg *l, struct slice sdp, struct slice extra, uint64_t limit) {
    if (!send_invite(e, l, sdp, extra, LIMIT_HOPS_MAX, FOR_REINVITE))
        return false;
    l->invite_until = e->now + limit;
    wheel_set(&e->wheel, &l->timer, l->invite_until);
    return true;
}

bool leg_may_reinvite(const struct leg *l) {
    return !leg_is_busy(l) && !l->retry_until;
}

bool leg_reinvite(struct engine *e, struct leg *l, struct slice sdp, struct slice extra) {
    if (!leg_may_reinvite(l))
        return false;
    l->own_invite = false;
    return send_reinvite(e, l, sdp, extra, e->cfg.invite_timeout_us);
}

/* There is to be word first, or the network has just not delivered what a transfer had for it. */
static bool is_too_soon(const struct engine *e, const struct leg *l) {
    return e->now < leg_call(e, l)->word_until || (e->now < l->quiet_until && !leg_is_transferred(e, l));
}

/* Busy, or too soon: looked at again soon; the wait is bounded by retry_until. */
static void try_reoffer(struct engine *e, struct leg *l) {
    if (!leg_is_busy(l) && !is_too_soon(e, l)) {
        l->own_invite = true;
        l->reoffer_waits = false;
        struct slice wanted = leg_str(l, LEG_SDP_WANTED), sdp = SLICE_NONE;
        /* Described only now: an offer that was open meanwhile may have been answered with another description. */
        if (!l->asks_offer)
            sdp = media_describe(e, l, wanted.p ? wanted : leg_str(l, LEG_SDP_LOCAL), -1);
        if ((sdp.p || l->asks_offer) && send_reinvite(e, l, sdp, SLICE_NONE, 64ull * e->cfg.t1_us)) {
            leg_set(e, l, LEG_SDP_WANTED, SLICE_NONE);
            return;
        }
        l->own_invite = false;
    }
    l->reoffer_waits = true;
    wheel_set(&e->wheel, &l->timer, e->now + e->cfg.t1_us / 5);
}

bool leg_reoffer(struct engine *e, struct leg *l, struct slice text, int direction) {
    struct slice sdp = media_compose(e, l, text, direction);
    if (!sdp.p || !leg_set(e, l, LEG_SDP_WANTED, sdp))
        return false;
    l->asks_offer = false;
    l->retry_until = e->now + 64ull * e->cfg.t1_us;
    try_reoffer(e, l);
    return true;
}

bool leg_refresh(struct engine *e, struct leg *l) {
    /* The description first: a leg is not to be left with an INVITE half written. */
    struct slice sdp = leg_may_reinvite(l) ? media_describe(e, l, leg_told(e, l), -1) : SLICE_NONE;
    if (!sdp.p || !send_reinvite(e, l, sdp, SLICE_NONE, 64ull * e->cfg.t1_us))
        return false;
    l->own_invite = l->refreshing = true;
    return true;
}

void leg_ask_offer(struct engine *e, struct leg *l) {
    leg_set(e, l, LEG_SDP_WANTED, SLICE_NONE);
    l->asks_offer = true;
    l->retry_until = e->now + 64ull * e->cfg.t1_us;
    try_reoffer(e, l);
}

void leg_reoffer_decided(struct engine *e, struct leg *l) {
    l->retry_until = 0;
    l->asks_offer = false;
    leg_set(e, l, LEG_SDP_WANTED, SLICE_NONE);
}

/* Waiting for its turn or for its final response, ours is given up in the end; so is one that crosses the bridge. */
static struct leg_event on_reinvite_timer(struct engine *e, struct leg *l) {
    struct leg_event ev = { .kind = LEG_EV_NONE };
    bool open = l->invite_out != HANDLE_NONE;
    if (open && e->now >= l->invite_until)
        txn_cancel(&e->txns, e->out, e->now, l->invite_out, SLICE_NONE);
    if (l->retry_until && !(open && l->own_invite)) {
        if (e->now < l->retry_until) {
            try_reoffer(e, l);
        } else {
            leg_reoffer_decided(e, l);
            l->reoffer_waits = false;
            ev = (struct leg_event){ .kind = LEG_EV_REREFUSED, .own = true, .status = 491 };
        }
    }
    if (l->invite_out != HANDLE_NONE && e->now < l->invite_until && !wheel_is_set(&l->timer))
        wheel_set(&e->wheel, &l->timer, l->invite_until);
    return ev;
}

/* Section 13.3.1.4. Who may have ACKed it before does not have to again, behind 64*T1, and does not when another INVITE
 * of its own has come after it: asked by a re-INVITE it shows what it goes by, and whether its dialog lives. */
static struct leg_event on_no_ack(struct engine *e, struct leg *l) {
    bool doubtful = l->ok_doubtful && leg_is_up(l);
    leg_stop_ok(e, l);
    if (doubtful) {
        leg_step(e, l, LEG_IN_RECV_ACK);
        l->session_unsure = true;
        reanchor(e, l);
        return (struct leg_event){ 0 };
    }
    leg_step(e, l, LEG_IN_NO_ACK);
    leg_send_bye(e, l, SL("Reason: SIP;cause=408;text=\"No ACK\"\r\n"));
    return (struct leg_event){ .kind = LEG_EV_GONE, .status = 408 };
}

struct leg_event leg_on_timer(struct engine *e, struct leg *l, enum engine_timer kind) {
    if (kind == TIMER_LEG_OK && l->state == LEG_INCOMING)
        return leg_rel_on_timer(e, l);
    if (kind == TIMER_LEG_OK) {
        if (e->now >= l->ok_until)
            return on_no_ack(e, l);
        uint64_t next = 2 * l->repeat->interval;
        leg_repeat_ok(e, l, next < e->cfg.t2_us ? next : e->cfg.t2_us);
        return (struct leg_event){ 0 };
    }
    if (l->state == LEG_CALLING || l->state == LEG_EARLY) {
        l->refused_status = 408;
        leg_cancel(e, l, SLICE_NONE);
    } else if (leg_is_up(l)) {
        return on_reinvite_timer(e, l);
    }
    return (struct leg_event){ 0 };
}

void leg_ack(struct engine *e, struct leg *l, struct slice sdp) {
    char mem[DIALOG_BRANCH_MAX];
    struct slice branch;
    struct addr dst;
    /* Its branch is its own (section 13.2.2.4): attempt 1 keeps it apart from the INVITE's. */
    struct dialog_request r = {
        .method = SL("ACK"),
        .cseq = l->invite_cseq,
        .attempt = 1,
        .max_forwards = LIMIT_HOPS_MAX,
        .own = leg_str(l, LEG_CREDENTIALS),
        .content_type = sdp_type,
        .body = sdp,
    };
    buf_unref(&e->bufs, &l->ack);
    l->ack = dialog_build(&l->dlg, &e->ua, &r, mem, &branch);
    if (!l->ack) {
        metrics_add(&e->metrics, M_pool_full, 1);
        return;
    }
    l->ack_cseq = l->invite_cseq;
    l->ack_answers = sdp.n != 0;
    dialog_next_hop(&l->dlg, &e->ua, &dst);
    buf_ref(l->ack);
    barrier_send(e, l, HOLD_RECORD, l->ack, &dst);
    if (!barrier_has(e, l, l->ack))
        leg_ack_sent(e, l);
    if (sdp.n && l->oa == OA_OFFER_RCVD) {
        l->session_unsure = false;
        oa_step(&l->oa, OA_EV_SEND_ANSWER);
    }
}

void leg_ack_sent(struct engine *e, struct leg *l) {
    if (!l->ack_answers)
        buf_unref(&e->bufs, &l->ack);
}

void leg_ack_again(struct engine *e, struct leg *l, uint32_t cseq) {
    char mem[DIALOG_BRANCH_MAX];
    struct slice branch;
    struct addr dst;
    struct dialog_request r = { .method = SL("ACK"), .cseq = cseq, .attempt = 1, .max_forwards = LIMIT_HOPS_MAX };
    if (cseq == l->invite_cseq)
        r.own = leg_str(l, LEG_CREDENTIALS);
    bool kept = l->ack && cseq == l->ack_cseq;
    if (kept)
        buf_ref(l->ack);
    struct buf *b = kept ? l->ack : dialog_build(&l->dlg, &e->ua, &r, mem, &branch);
    if (!b) {
        metrics_add(&e->metrics, M_pool_full, 1);
        return;
    }
    dialog_next_hop(&l->dlg, &e->ua, &dst);
    wire_trace(e, "send", l, buf_slice(b), &dst);
    wire_send(e, b, &dst, &l->dlg.local);
    buf_unref(&e->bufs, &b);
}

void leg_stop_ok(struct engine *e, struct leg *l) {
    if (l->repeat) {
        wheel_cancel(&e->wheel, &l->repeat->timer);
        pool_free(&e->repeats, pool_handle(&e->repeats, l->repeat));
        l->repeat = NULL;
    }
    buf_unref(&e->bufs, &l->ok);
    l->ok_until = 0;
    l->ok_cseq = 0;
    l->ok_adopted = l->ok_doubtful = false;
}

void leg_note_there(struct leg *l) {
    l->ok_doubtful = l->ok_doubtful || (l->ok_adopted && !l->ok_offers);
}

/* The 2xx is repeated by us, not by the transaction (section 13.3.1.4): at T1, doubling to T2, for 64*T1. */
void leg_keep_ok(struct engine *e, struct leg *l, struct buf *b, const struct addr *dst) {
    handle h;
    leg_stop_ok(e, l);
    l->ok = b;
    l->ok_until = e->now + 64ull * e->cfg.t1_us;
    l->repeat = pool_alloc(&e->repeats, &h);
    CHECK(l->repeat);
    l->repeat->dst = *dst;
    l->repeat->interval = e->cfg.t1_us;
    l->repeat->timer.owner = l->self;
    l->repeat->timer.kind = TIMER_LEG_OK;
}

void leg_repeat_ok(struct engine *e, struct leg *l, uint64_t interval) {
    wire_send(e, l->ok, &l->repeat->dst, &l->dlg.local);
    metrics_add(&e->metrics, M_retransmissions_out, 1);
    l->repeat->interval = interval;
    uint64_t next = e->now + interval;
    wheel_set(&e->wheel, &l->repeat->timer, next < l->ok_until ? next : l->ok_until);
}

void leg_ok_sent(struct engine *e, struct leg *l) {
    l->ok_until = e->now + 64ull * e->cfg.t1_us;
    wheel_set(&e->wheel, &l->repeat->timer, e->now + l->repeat->interval);
}

void leg_send_ok(struct engine *e, struct leg *l, struct buf *b) {
    const struct txn *t = txn_get(&e->txns, l->invite_in);
    CHECK(t);
    buf_ref(b);
    leg_keep_ok(e, l, b, &t->dst);
    l->ok_cseq = t->cseq;
    barrier_respond(e, l, HOLD_RECORD, l->invite_in, b, 200);
    if (!barrier_has(e, l, b))
        leg_ok_sent(e, l);
    l->invite_in = HANDLE_NONE;
    if (!l->answered_us) {
        l->answered_us = e->now;
        l->final_status = 200;
    }
    media_offer_settled(e, l, true);
    leg_step(e, l, LEG_IN_SEND_2XX);
}

static void settle_offer(struct leg *l, struct slice sdp, bool early) {
    l->ok_offers = !early && sdp.n && l->oa != OA_OFFER_RCVD;
    if (early)
        return;
    if (sdp.n && l->oa == OA_OFFER_RCVD)
        leg_offer_answered(l);
    if (sdp.n)
        oa_step(&l->oa, l->oa == OA_OFFER_RCVD ? OA_EV_SEND_ANSWER : OA_EV_SEND_OFFER);
    else
        oa_step(&l->oa, OA_EV_ABORT);
}

void leg_drop_reoffer(struct engine *e, struct leg *l) {
    if (!l->retry_until || l->direct || l->asks_offer || l->invite_out != HANDLE_NONE || leg_is_transferred(e, l))
        return;
    l->agreeing = 0;
    l->untold = false;
    l->reoffer_waits = false;
    leg_reoffer_decided(e, l);
    wheel_cancel(&e->wheel, &l->timer);
}

bool leg_answer(struct engine *e, struct leg *l, struct slice sdp, struct slice extra) {
    const struct uas_head *invite = txn_head(&e->txns, l->invite_in);
    char lines[SESSION_LINES_MAX];
    if (!invite)
        return false;
    /* All has been said in a reliable 18x, or will be in its PRACK. */
    bool early = l->state == LEG_INCOMING && (l->early_answer || l->oa == OA_OFFER_SENT);
    struct uas_response r = {
        .status = 200,
        .to_tag = leg_str(l, DLG_LOCAL_TAG),
        .contact_user = leg_str(l, DLG_LOCAL_TAG),
        .extra = extra,
        .own = leg_session_answer(e, l, &invite->session, lines),
        .content_type = sdp_type,
        .body = early ? SLICE_NONE : sdp,
    };
    struct buf *b = uas_build_on(&e->ua, invite, &r);
    if (!b) {
        metrics_add(&e->metrics, M_pool_full, 1);
        return false;
    }
    settle_offer(l, sdp, early);
    leg_drop_reoffer(e, l);
    if (!leg_rel_holds_2xx(l, b))
        leg_send_ok(e, l, b);
    return true;
}

void leg_answer_update(struct engine *e, struct leg *l, handle txn, const struct uas_response *r) {
    const struct sip_msg *req = wire_request_again(e, txn);
    struct uas_response full = *r;
    char lines[SESSION_LINES_MAX];
    if (req && leg_is_up(l)) {
        struct session_asked asked = session_asked(req, session_is_known(req));
        full.own = leg_session_answer(e, l, &asked, lines);
    }
    full.contact_user = full.to_tag = leg_str(l, DLG_LOCAL_TAG);
    wire_respond(e, txn, req, &full, l);
}

void leg_respond_invite(struct engine *e, struct leg *l, const struct uas_response *r) {
    struct uas_response full = *r;
    full.to_tag = leg_str(l, DLG_LOCAL_TAG);
    if (r->status > 100 && r->status < 200)
        full.contact_user = leg_str(l, DLG_LOCAL_TAG);
    bool sent = wire_respond(e, l->invite_in, NULL, &full, l);
    if (r->status < 300)
        return;
    if (!l->final_status)
        l->final_status = r->status;
    if (!sent)
        txn_drop(&e->txns, l->invite_in);
    l->invite_in = HANDLE_NONE;
    oa_step(&l->oa, OA_EV_ABORT);
    media_offer_settled(e, l, false);
    leg_step(e, l, LEG_IN_SEND_FAILURE);
}

handle leg_request(struct engine *e, struct leg *l, struct slice method, enum txn_purpose purpose,
                   const struct dialog_request *content) {
    struct dialog_request r = *content;
    r.method = method;
    r.cseq = ++l->dlg.local_cseq;
    if (!r.max_forwards)
        r.max_forwards = LIMIT_HOPS_MAX;
    return leg_send(e, l, sip_method_of(method), &r, purpose);
}

void leg_send_bye(struct engine *e, struct leg *l, struct slice extra) {
    if (l->state != LEG_ENDING || l->ok)
        return;
    leg_step(e, l, LEG_IN_SEND_BYE);
    struct dialog_request r = { .extra = extra };
    if (leg_request(e, l, SL("BYE"), FOR_BYE, &r) == HANDLE_NONE)
        leg_step(e, l, LEG_IN_BYE_DONE);
    call_promised(e, leg_call(e, l));
}

void leg_cancel(struct engine *e, struct leg *l, struct slice extra) {
    call_promised(e, leg_call(e, l));
    txn_cancel(&e->txns, e->out, e->now, l->invite_out, extra);
    leg_step(e, l, LEG_IN_SEND_CANCEL);
}

/* A re-INVITE that was not answered ends with its dialog (section 15.1.2). */
static void refuse_open_invite(struct engine *e, struct leg *l, uint16_t status, struct slice extra) {
    if (l->invite_in == HANDLE_NONE)
        return;
    struct uas_response r = { .status = status, .extra = extra };
    leg_respond_invite(e, l, &r);
}

void leg_ack_late_offer(struct engine *e, struct leg *l) {
    if (!l->late_offer || l->oa != OA_OFFER_RCVD || l->invite_out != HANDLE_NONE)
        return;
    leg_ack(e, l, SLICE_NONE);
    oa_step(&l->oa, OA_EV_ABORT);
}

struct leg_event leg_lost(struct engine *e, struct leg *l, struct slice extra) {
    leg_ack_late_offer(e, l);
    leg_step(e, l, LEG_IN_END);
    leg_send_bye(e, l, extra);
    return (struct leg_event){ .kind = LEG_EV_GONE, .status = 408 };
}

void leg_end(struct engine *e, struct leg *l, uint16_t status, struct slice extra) {
    l->peer = HANDLE_NONE;
    switch (l->state) {
    case LEG_INCOMING: refuse_open_invite(e, l, status, extra); break;
    case LEG_CALLING:
    case LEG_EARLY: leg_cancel(e, l, extra); break;
    case LEG_UP:
    case LEG_ANSWERED:
        refuse_open_invite(e, l, 487, SLICE_NONE);
        leg_ack_late_offer(e, l);
        leg_step(e, l, LEG_IN_END);
        leg_send_bye(e, l, extra);
        break;
    default: leg_step(e, l, LEG_IN_END); break;
    }
}

void leg_subscription_ended(struct engine *e, struct leg *l) {
    l->keep_on_bye = false;
    if (l->state == LEG_LEFT)
        leg_step(e, l, LEG_IN_END);
}
