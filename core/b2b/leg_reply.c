/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Responses to what we sent on a leg. */
#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/b2b/wire.h"
#include "core/base/check.h"
#include "parser/sip_hdr.h"

#define NAME_ADDR_MAX 512 /* of a From or To; what is longer gets no ACK behind its leg's end */

static const struct leg_event nothing = { .kind = LEG_EV_NONE };

/* A 2xx from another fork than the one we hold: ACK, then BYE (section 13.2.2.4). */
static void refuse_fork(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    char mem[DIALOG_BRANCH_MAX];
    struct slice branch;
    struct dialog d;
    struct dialog_uac u = {
        .call_id = leg_str(l, DLG_CALL_ID),
        .local_tag = leg_str(l, DLG_LOCAL_TAG),
        .local_uri = leg_str(l, DLG_LOCAL_URI),
        .remote_uri = leg_str(l, DLG_REMOTE_URI),
        .target = leg_str(l, DLG_TARGET),
        .dst = l->dlg.flow,
    };
    if (!dialog_init_uac(&d, &e->ua, &u))
        return;
    struct addr dst;
    struct dialog_request ack = {
        .method = SL("ACK"), .cseq = msg->cseq, .attempt = 2, .max_forwards = LIMIT_HOPS_MAX
    };
    /* Behind any PRACK that went there. */
    struct dialog_request bye = {
        .method = SL("BYE"), .cseq = ++l->dlg.local_cseq, .attempt = 2, .max_forwards = LIMIT_HOPS_MAX
    };
    if (dialog_from_response(&d, &e->ua, msg)) {
        dialog_next_hop(&d, &e->ua, &dst);
        struct buf *b = dialog_build(&d, &e->ua, &ack, mem, &branch);
        wire_send(e, b, &dst, &l->dlg.local);
        buf_unref(&e->bufs, &b);
        b = dialog_build(&d, &e->ua, &bye, mem, &branch);
        if (b) {
            struct txn_client t = { .request = b,
                                    .method = SIP_M_BYE,
                                    .branch = branch,
                                    .cseq = bye.cseq,
                                    .dst = &dst,
                                    .local = &l->dlg.local,
                                    .ctx_kind = FOR_NONE };
            txn_client_start(&e->txns, e->out, e->now, &t);
        }
    }
    dialog_free(&d, &e->ua);
}

void leg_give_ack(struct engine *e, struct leg *l) {
    const struct txn *t = l->ack ? txn_get(&e->txns, l->ack_invite) : NULL;
    struct addr dst;
    if (t && t->cseq == l->ack_cseq) {
        dialog_next_hop(&l->dlg, &e->ua, &dst);
        txn_keep_ack(&e->txns, l->ack_invite, l->ack, &dst);
        l->ack = NULL;
    }
    buf_unref(&e->bufs, &l->ack);
}

/* The dialog of a 2xx, made from that alone. */
static bool dialog_of(struct engine *e, struct dialog *d, const struct sip_msg *msg, const struct addr *dst) {
    char local[NAME_ADDR_MAX], remote[NAME_ADDR_MAX];
    struct sbuf l = sbuf_on(local, sizeof local), r = sbuf_on(remote, sizeof remote);
    nameaddr_put_bare(&l, &msg->from);
    nameaddr_put_bare(&r, &msg->to);
    struct dialog_uac u = {
        .call_id = msg->call_id,
        .local_tag = msg->from_tag,
        .local_uri = sbuf_slice(&l),
        .remote_uri = sbuf_slice(&r),
        .target = msg->to.uri.whole,
        .dst = *dst,
    };
    if (l.overflow || r.overflow || !dialog_init_uac(d, &e->ua, &u))
        return false;
    if (dialog_from_response(d, &e->ua, msg))
        return true;
    dialog_free(d, &e->ua);
    return false;
}

static void make_ack(struct engine *e, handle invite, const struct sip_msg *msg) {
    char mem[DIALOG_BRANCH_MAX];
    struct slice branch;
    struct dialog d;
    struct addr dst;
    struct dialog_request ack = {
        .method = SL("ACK"), .cseq = msg->cseq, .attempt = 1, .max_forwards = LIMIT_HOPS_MAX
    };
    if (!dialog_of(e, &d, msg, &txn_get(&e->txns, invite)->dst))
        return;
    dialog_next_hop(&d, &e->ua, &dst);
    txn_keep_ack(&e->txns, invite, dialog_build(&d, &e->ua, &ack, mem, &branch), &dst);
    dialog_free(&d, &e->ua);
}

void leg_ack_ended(struct engine *e, handle invite, const struct sip_msg *msg) {
    const struct txn *t = txn_get(&e->txns, invite);
    if (!t)
        return;
    if (!t->kept)
        make_ack(e, invite, msg);
    if (t->kept && t->kept->refs == 1) /* else it is still held back, and goes out soon */
        wire_send(e, t->kept, &t->dst, &t->local);
}

/* RFC 3264 section 6: an answer has as many lines as its offer, so that one cannot be answered unread. */
static bool is_given_up_offer(const struct leg *l, const struct sip_msg *msg) {
    return l->late_offer && msg->body.n && l->oa == OA_STABLE && l->invite_out == HANDLE_NONE && leg_is_up(l);
}

/* It has agreed to what we offered then, which nothing has replaced since. */
static bool answers_lost(struct leg *l, const struct sip_msg *msg) {
    bool lost = l->offer_lost && msg->body.n && l->oa == OA_STABLE && leg_is_up(l);
    l->offer_lost = false;
    l->quiet_until = 0;
    return lost;
}

/* The same of an INVITE before the last one, which it has refused since it was still at that one. */
static bool answers_former(struct leg *l, const struct sip_msg *msg) {
    bool lost = l->lost_cseq == msg->cseq && msg->cseq != l->invite_cseq && msg->body.n && l->session_unsure &&
                l->oa == OA_STABLE && leg_is_up(l);
    if (lost) {
        l->lost_cseq = 0;
        l->not_now = true;
    }
    return lost;
}

bool leg_on_stray_2xx(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    if (!slice_eq(msg->to_tag, leg_str(l, DLG_REMOTE_TAG)))
        refuse_fork(e, l, msg);
    else if (l->ack && l->ack_cseq == msg->cseq && barrier_has(e, l, l->ack))
        return false; /* its ACK waits, and goes out soon */
    else if (l->late_offer && l->invite_out != HANDLE_NONE && msg->cseq == l->invite_cseq)
        return false; /* a former owner's, which goes out once more soon: so does its 2xx, until it has its ACK */
    else if (l->ack_cseq == msg->cseq || msg->cseq != l->invite_cseq) {
        leg_ack_again(e, l, msg->cseq); /* its ACK was lost; a later INVITE of ours may have gone its way since */
        return answers_former(l, msg);
    } else if (is_given_up_offer(l, msg)) {
        l->own_invite = true; /* nobody else waits for it any more */
        return oa_step(&l->oa, OA_EV_RECV_OFFER) == OA_OK;
    } else if (!l->late_offer || l->oa != OA_OFFER_RCVD) {
        /* Its transaction was given up, or was a former owner's: its offer is answered unread. */
        leg_ack(e, l, l->late_offer ? leg_str(l, LEG_SDP_LOCAL) : SLICE_NONE);
        l->session_unsure = l->session_unsure || l->late_offer;
        return answers_lost(l, msg);
    }
    return false;
}

static void take_answer(struct leg *l, const struct sip_msg *msg) {
    if (l->oa == OA_OFFER_SENT)
        oa_step(&l->oa, msg->body.n ? OA_EV_RECV_ANSWER : OA_EV_ABORT);
    else if (l->late_offer && msg->body.n)
        oa_step(&l->oa, OA_EV_RECV_OFFER);
}

static void note_peer(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    leg_note_abilities(e, l, msg);
    struct slice agent = sip_hdr_value(msg, SIP_H_SERVER);
    if (!agent.p)
        agent = sip_hdr_value(msg, SIP_H_USER_AGENT);
    if (agent.p)
        leg_set(e, l, LEG_AGENT, agent);
}

static struct leg_event on_invite_2xx(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    wheel_cancel(&e->wheel, &l->timer);
    l->invite_out = HANDLE_NONE;
    if (!dialog_from_response(&l->dlg, &e->ua, msg))
        metrics_add(&e->metrics, M_pool_full, 1);
    note_peer(e, l, msg);
    leg_early_won(e, l, msg);
    if (!l->early_answer)
        take_answer(l, msg);
    leg_step(e, l, LEG_IN_RECV_2XX);
    l->final_status = msg->status;
    leg_session_answered(e, l, msg);
    if (l->state == LEG_UP) {
        l->answered_us = e->now;
        return (struct leg_event){ .kind = LEG_EV_ANSWERED, .msg = msg, .status = msg->status };
    }
    /* Our CANCEL crossed it: ACK, then BYE. */
    leg_ack(e, l, SLICE_NONE);
    leg_send_bye(e, l, SLICE_NONE);
    return (struct leg_event){ .kind = LEG_EV_REFUSED, .status = l->refused_status ? l->refused_status : 487 };
}

static struct leg_event refused(struct engine *e, struct leg *l, const struct sip_msg *msg, uint16_t status) {
    wheel_cancel(&e->wheel, &l->timer);
    l->invite_out = HANDLE_NONE;
    oa_step(&l->oa, OA_EV_ABORT);
    if (l->refused_status) {
        status = l->refused_status;
        msg = NULL;
    }
    l->final_status = status;
    leg_step(e, l, LEG_IN_RECV_FAILURE);
    return (struct leg_event){ .kind = LEG_EV_REFUSED, .msg = msg, .status = status };
}

static struct leg_event on_invite_response(struct engine *e, struct leg *l, const struct txn_event *t,
                                           const struct sip_msg *msg) {
    switch (t->kind) {
    case TXN_PROVISIONAL:
        if (msg->status == 100 || !leg_early_heard(e, l, msg))
            return nothing;
        if (msg->to_tag.p && !dialog_from_response(&l->dlg, &e->ua, msg))
            metrics_add(&e->metrics, M_pool_full, 1);
        leg_step(e, l, LEG_IN_RECV_1XX);
        leg_early_acknowledge(e, l, msg);
        return l->state == LEG_EARLY ? (struct leg_event){ .kind = LEG_EV_PROGRESS, .msg = msg, .status = msg->status }
                                     : nothing;
    case TXN_FINAL:
        if (msg->status < 300)
            return on_invite_2xx(e, l, msg);
        if (leg_retry(e, l, t, msg))
            return nothing;
        return refused(e, l, msg, msg->status);
    case TXN_2XX_AGAIN: leg_on_stray_2xx(e, l, msg); return nothing;
    case TXN_TIMEOUT: return refused(e, l, NULL, 408);
    case TXN_FAILED: return refused(e, l, NULL, 503);
    default: return nothing;
    }
}

/* Who answers in the dialog that it rang in was sent a re-INVITE by the former owner, or several, each of which may
 * have had a description: what comes next gets a version behind all of those, even if it is what the record has. */
static void pass_versions(struct leg *l, const struct sip_msg *msg) {
    struct slice tag = leg_str(l, DLG_REMOTE_TAG);
    uint32_t known = l->taken_cseq > l->invite_cseq ? l->taken_cseq : l->invite_cseq;
    if (msg->status < 300 && tag.p && slice_eq(msg->to_tag, tag) && msg->cseq > known)
        l->media.version += msg->cseq - known + !leg_str(l, LEG_SDP_LOCAL).p;
}

struct leg_event leg_on_answer(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    pass_versions(l, msg);
    txn_drop(&e->txns, l->invite_out);
    l->invite_cseq = msg->cseq;
    return msg->status < 300 ? on_invite_2xx(e, l, msg) : refused(e, l, msg, msg->status);
}

/* Section 14.1: 2.1 to 4 s if the Call-ID is ours, else 0 to 2 s, in steps of 10 ms. */
uint64_t leg_glare_wait_us(struct engine *e, const struct leg *l) {
    return l->dlg.uac ? 2100000 + 10000 * rng_below(&e->rng, 191) : 10000 * rng_below(&e->rng, 201);
}

/* The network did not deliver its offer. That decides a transfer, but its party has refused nothing: when the transfer
 * is over it is told what holds, as late as what is not a transfer's is tried again. After any other of ours it is told
 * only when there is something new. */
static bool is_transfers_lost(const struct engine *e, const struct leg *l, const struct sip_msg *msg, uint16_t status) {
    return !msg && status == 503 && !l->late_offer && leg_is_transferred(e, l);
}

/* It may be told what the other one says. Who was asked for an offer and did not hear of it is as before. */
static bool is_not_now(const struct engine *e, const struct leg *l, const struct sip_msg *msg, uint16_t status) {
    if (!l->own_invite)
        return !msg || status == 491;
    if (!msg && status == 503 && l->late_offer)
        return l->not_now;
    return !l->refreshing && is_transfers_lost(e, l, msg, status);
}

/* 491 and 500 with Retry-After: ours waits and tries again; the cap is retry_until. So does what the network did not
 * deliver, but for a transfer's. */
static bool wait_for_retry(struct engine *e, struct leg *l, const struct sip_msg *msg, uint16_t status) {
    uint32_t after = 0;
    uint64_t wait = leg_glare_wait_us(e, l);
    bool undelivered = !msg && status == 503 && !leg_is_transferred(e, l);
    if (status == 500 && !(msg && sip_delta_seconds(sip_hdr_value(msg, SIP_H_RETRY_AFTER), &after)))
        return false;
    if (status == 500)
        wait = 1000000ull * (after < 10 ? after : 10);
    else if (undelivered)
        wait = 8ull * e->cfg.t1_us;
    else if (status != 491)
        return false;
    if (e->now + wait >= l->retry_until)
        return false;
    wheel_set(&e->wheel, &l->timer, e->now + wait);
    return true;
}

/* The open re-INVITE is over; one of ours that still waits for its turn (leg_reoffer) goes on waiting. */
static void close_reinvite(struct engine *e, struct leg *l) {
    l->invite_out = HANDLE_NONE;
    if (l->reoffer_waits)
        wheel_set(&e->wheel, &l->timer, e->now + e->cfg.t1_us / 5);
    else if (l->own_invite || !l->retry_until)
        wheel_cancel(&e->wheel, &l->timer);
}

static struct leg_event reinvite_failed(struct engine *e, struct leg *l, const struct sip_msg *msg, uint16_t status) {
    bool own = l->own_invite, refresh = l->refreshing;
    l->not_now = is_not_now(e, l, msg, status);
    close_reinvite(e, l);
    l->refreshing = false;
    l->offer_lost = !msg && !l->late_offer;
    if (!msg)
        l->lost_cseq = l->invite_cseq;
    if (own && l->not_now)
        l->quiet_until = e->now + 8ull * e->cfg.t1_us;
    l->session_unsure = l->session_unsure || !(refresh || (own && l->late_offer));
    if (l->oa == OA_OFFER_SENT)
        oa_step(&l->oa, OA_EV_ABORT);
    if (!leg_is_up(l))
        return nothing;
    if (status == 481 || (status == 408 && !msg)) {
        /* Section 12.2.1.2: the dialog is gone; 408 still deserves a BYE. */
        leg_step(e, l, LEG_IN_END);
        leg_send_bye(e, l, SLICE_NONE);
        return (struct leg_event){ .kind = LEG_EV_GONE, .msg = msg, .status = status };
    }
    if (refresh) {
        leg_session_refresh_refused(e, l, status);
        return nothing;
    }
    if (own && wait_for_retry(e, l, msg, status)) {
        /* What waits for its turn has taken the place of what was refused. */
        if (!l->asks_offer && !l->reoffer_waits)
            leg_set(e, l, LEG_SDP_WANTED, leg_str(l, LEG_SDP_LOCAL));
        return nothing;
    }
    if (own && !l->reoffer_waits)
        leg_reoffer_decided(e, l);
    return (struct leg_event){ .kind = LEG_EV_REREFUSED, .own = own, .msg = msg, .status = status };
}

static struct leg_event reinvite_answered(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    struct leg_event ev = { .kind = l->refreshing ? LEG_EV_REFRESHED : LEG_EV_REANSWERED,
                            .own = l->own_invite,
                            .msg = msg,
                            .status = msg->status };
    close_reinvite(e, l);
    /* It was offered ports that were ours, or a former owner's, by then. An offer of its own settles nothing yet: its
     * answer does (leg_ack), and that may not come. */
    l->session_unsure = l->session_unsure && (l->late_offer || !media_is_here(e, l));
    l->refreshing = false;
    dialog_refresh(&l->dlg, &e->ua, msg);
    note_peer(e, l, msg);
    take_answer(l, msg);
    if (!leg_is_up(l) || (l->own_invite && !leg_owes_answer(l)))
        leg_ack(e, l, SLICE_NONE);
    if (l->own_invite && !l->reoffer_waits)
        leg_reoffer_decided(e, l);
    leg_session_answered(e, l, msg);
    return leg_is_up(l) ? ev : nothing;
}

bool leg_is_there(const struct leg *l) {
    return l->heard && l->keep_on_bye;
}

static struct leg_event on_reinvite_response(struct engine *e, struct leg *l, const struct txn_event *t,
                                             const struct sip_msg *msg) {
    bool adopted = l->adopted;
    l->adopted = false;
    switch (t->kind) {
    case TXN_FINAL:
        if (leg_retry(e, l, t, msg))
            return nothing;
        l->ack_invite = t->txn;
        /* The peer may have answered it before, to its former owner: then our copy has an old CSeq. */
        if (msg->status >= 300)
            return reinvite_failed(e, l, msg, adopted && msg->status == 500 ? 491 : msg->status);
        return reinvite_answered(e, l, msg);
    case TXN_2XX_AGAIN: leg_on_stray_2xx(e, l, msg); return nothing;
    case TXN_TIMEOUT: return reinvite_failed(e, l, NULL, adopted ? 491 : leg_is_there(l) ? 503 : 408);
    case TXN_FAILED: return reinvite_failed(e, l, NULL, 503);
    default: return nothing;
    }
}

static struct leg_event on_other_response(struct engine *e, struct leg *l, const struct txn_event *t,
                                          const struct sip_msg *msg) {
    uint16_t status = msg ? msg->status : t->kind == TXN_FAILED ? 503 : 408;
    if (t->kind != TXN_FINAL && t->kind != TXN_TIMEOUT && t->kind != TXN_FAILED)
        return nothing;
    handle again = leg_retry(e, l, t, msg);
    if (again != HANDLE_NONE)
        return (struct leg_event){ .kind = LEG_EV_SENT_AGAIN, .msg = msg, .purpose = t->ctx_kind, .txn = again };
    l->heard = l->heard || (msg && status != 481 && status != 408);
    if (t->method == SIP_M_UPDATE && status < 300)
        leg_session_answered(e, l, msg);
    if (t->ctx_kind == FOR_REFRESH)
        return leg_session_on_response(e, l, status);
    if (t->ctx_kind == FOR_BYE) {
        leg_step(e, l, LEG_IN_BYE_DONE);
        return nothing;
    }
    return (struct leg_event){ .kind = LEG_EV_RESPONSE,
                               .msg = msg,
                               .status = status,
                               .purpose = t->ctx_kind,
                               .peer_txn = t->other };
}

struct leg_event leg_on_response(struct engine *e, struct leg *l, const struct txn_event *t,
                                 const struct sip_msg *msg) {
    if (t->method == SIP_M_CANCEL)
        return nothing;
    if (t->ctx_kind != FOR_INVITE && msg && msg->status / 100 == 2)
        leg_note_there(l);
    switch (t->ctx_kind) {
    case FOR_INVITE: return on_invite_response(e, l, t, msg);
    case FOR_REINVITE: return on_reinvite_response(e, l, t, msg);
    default: return on_other_response(e, l, t, msg);
    }
}
