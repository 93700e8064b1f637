/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reliable provisional responses of a leg (RFC 3262), in both roles. Each leg acknowledges and is acknowledged by
 * itself: only an offer in a 18x whose answer is the other party's waits for that one's PRACK. */
#include "core/b2b/barrier.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/b2b/wire.h"
#include "core/base/check.h"
#include "core/sip/rel100.h"
#include "parser/sip_hdr.h"

static const struct slice sdp_type = { "application/sdp", 15 };

/* ---- UAC: early dialogs of our INVITE ---- */

/* Only while it rings: in a buffer, not in the leg. */
static struct rel100_early *early_all(struct engine *e, struct leg *l) {
    if (!l->early) {
        l->early = buf_get(&e->bufs, sizeof(struct rel100_early));
        if (!l->early)
            return NULL;
        memset(l->early->data, 0, sizeof(struct rel100_early));
    }
    return (struct rel100_early *)(void *)l->early->data;
}

static struct rel100_dialog *early_dialog(struct engine *e, struct leg *l, struct slice tag) {
    struct rel100_early *all = early_all(e, l);
    struct rel100_dialog *d = all ? rel100_dialog(all, siphash64(e->map_key, tag.p, tag.n)) : NULL;
    if (!d)
        metrics_add(&e->metrics, M_pool_full, 1);
    return d;
}

void leg_early_free(struct engine *e, struct leg *l) {
    l->forked = false;
    if (!l->early)
        return;
    struct rel100_early *all = early_all(e, l);
    for (uint32_t i = 0; i < all->n; i++)
        buf_unref(&e->bufs, &all->dialogs[i].sdp);
    buf_unref(&e->bufs, &l->early);
}

/* Another one than d has answered, too. */
static bool is_forked(const struct leg *l, const struct rel100_dialog *d) {
    const struct rel100_early *all = l->early ? (const void *)l->early->data : NULL;
    bool any = false;
    for (uint32_t i = 0; all && i < all->n; i++)
        any = any || (&all->dialogs[i] != d && all->dialogs[i].sdp);
    return any && !l->late_offer;
}

/* An offer in a 18x of another fork has to wait: one at a time goes to the caller. */
static bool offer_must_wait(const struct leg *l, const struct sip_msg *msg, uint32_t rseq) {
    return rseq && msg->body.n && l->late_offer && (l->oa != OA_STABLE || l->early_answer) &&
           !slice_eq(msg->to_tag, leg_str(l, DLG_REMOTE_TAG));
}

bool leg_early_heard(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    uint32_t rseq = rel100_rseq(msg);
    if (!msg->to_tag.p || (!rseq && !msg->body.n))
        return true;
    struct rel100_dialog *d = early_dialog(e, l, msg->to_tag);
    if (!d)
        return !rseq; /* it is repeated, and may find room then */
    if (offer_must_wait(l, msg, rseq) || (rseq && rel100_hear(d, rseq) != REL100_NEW))
        return false;
    if (msg->body.n) {
        l->forked = l->forked || is_forked(l, d);
        buf_unref(&e->bufs, &d->sdp);
        d->sdp = buf_copy(&e->bufs, msg->body);
    }
    return true;
}

static bool send_prack(struct engine *e, struct leg *l, struct slice sdp, bool described) {
    char lines[REL100_LINES_MAX];
    struct sbuf b = sbuf_on(lines, sizeof lines);
    rel100_put_rack(&b, l->prack_rseq, l->invite_cseq);
    struct dialog_request r = { .extra = sbuf_slice(&b), .content_type = sdp_type, .body = sdp };
    l->prack_rseq = 0;
    l->prack_waits = false;
    if (sdp.n && l->oa == OA_OFFER_RCVD) {
        oa_step(&l->oa, OA_EV_SEND_ANSWER);
        l->early_answer = true;
    }
    return leg_request(e, l, SL("PRACK"), described ? FOR_PRACK_SDP : FOR_PRACK, &r) != HANDLE_NONE;
}

bool leg_prack(struct engine *e, struct leg *l, struct slice sdp) {
    return send_prack(e, l, sdp, true);
}

void leg_early_acknowledge(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    uint32_t rseq = rel100_rseq(msg);
    bool described = media_in(e, l, msg);
    if (!rseq)
        return;
    l->prack_rseq = rseq;
    if (described && l->oa == OA_OFFER_SENT) {
        oa_step(&l->oa, OA_EV_RECV_ANSWER);
        l->early_answer = true;
    } else if (described && l->late_offer && l->oa == OA_STABLE && !l->early_answer) {
        oa_step(&l->oa, OA_EV_RECV_OFFER);
        return; /* whoever the event goes to says what the answer is */
    }
    send_prack(e, l, SLICE_NONE, described);
}

/* Nobody has an answer to its offer: it is answered with silence, and re-offered when the call is up. */
void leg_early_settle(struct engine *e, struct leg *l, const struct leg_event *ev) {
    if (ev->kind != LEG_EV_PROGRESS || !l->prack_rseq || l->prack_waits || !leg_is_live(l))
        return;
    struct slice sdp = SLICE_NONE;
    if (media_received(e, l, ev->msg->body, true))
        sdp = media_describe(e, l, ev->msg->body, SDP_INACTIVE);
    leg_prack(e, l, sdp);
}

/* What the winner said in its own 18x counts, not what another fork said last. If that was to a former owner, it is
 * asked for it by a re-INVITE. */
void leg_early_won(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    struct rel100_early *all = l->early ? early_all(e, l) : NULL;
    if (!msg->body.n && leg_is_live(l)) {
        struct rel100_dialog *d =
            all ? rel100_dialog(all, siphash64(e->map_key, msg->to_tag.p, msg->to_tag.n)) : NULL;
        if (d && d->sdp && media_check(e, l, buf_slice(d->sdp)) == 0)
            media_received(e, l, buf_slice(d->sdp), l->late_offer);
        else if (l->forked || is_forked(l, d))
            l->session_unsure = l->not_now = true;
    }
    leg_early_free(e, l);
}

bool leg_take_description(struct engine *e, struct leg *l, const struct sip_msg *ok) {
    if (!ok->body.n)
        return l->early_answer && leg_str(l, LEG_SDP_REMOTE).p;
    return media_in(e, l, ok) && media_received(e, l, ok->body, l->late_offer);
}

/* ---- UAS: 18x to the peer's INVITE ---- */

/* The first reliable one must bring the offer that the INVITE did not (RFC 3261 section 13.2.1). */
static bool may_be_reliable(const struct leg *l, const struct uas_head *invite, const struct uas_response *r) {
    return invite->described || l->early_answer || l->oa != OA_STABLE || r->body.n;
}

static void repeat(struct engine *e, struct leg *l, struct buf *b, const struct addr *dst, bool sdp) {
    buf_ref(b);
    leg_keep_ok(e, l, b, dst);
    l->rel_sdp = sdp;
}

/* Its number must be known to the next owner of the call before the peer hears it: the one after it is one more. */
static void send_first(struct engine *e, struct leg *l, struct buf *b, bool sdp, uint16_t status) {
    const struct txn *t = txn_get(&e->txns, l->invite_in);
    repeat(e, l, b, &t->dst, sdp);
    l->rseq++;
    barrier_respond(e, l, HOLD_RECORD, l->invite_in, b, status);
    if (!barrier_has(e, l, b))
        leg_ok_sent(e, l);
}

/* One at a time is unacknowledged; of those that wait the latest counts, unless it would take a description away. */
static void send_or_wait(struct engine *e, struct leg *l, struct buf *b, const struct uas_response *r) {
    if (l->ok && l->rel_wait && l->rel_wait_sdp && !r->body.n) {
        buf_unref(&e->bufs, &b);
        return;
    }
    if (l->ok) {
        buf_unref(&e->bufs, &l->rel_wait);
        l->rel_wait = b;
        l->rel_wait_sdp = r->body.n != 0;
        l->rel_wait_status = r->status;
        return;
    }
    send_first(e, l, b, r->body.n != 0, r->status);
}

static void send_reliably(struct engine *e, struct leg *l, const struct uas_head *invite, struct uas_response *r) {
    char lines[REL100_LINES_MAX];
    struct sbuf own = sbuf_on(lines, sizeof lines);
    if (!l->rseq)
        l->rseq = rel100_first(&e->rng) - 1;
    rel100_put_rseq(&own, l->rseq + 1);
    r->to_tag = r->contact_user = leg_str(l, DLG_LOCAL_TAG);
    r->own = sbuf_slice(&own);
    struct buf *b = uas_build_on(&e->ua, invite, r);
    if (!b) {
        metrics_add(&e->metrics, M_pool_full, 1);
        return;
    }
    if (r->body.n) {
        oa_step(&l->oa, l->oa == OA_OFFER_RCVD ? OA_EV_SEND_ANSWER : OA_EV_SEND_OFFER);
        l->early_answer = l->oa == OA_STABLE;
    }
    send_or_wait(e, l, b, r);
}

bool leg_may_describe_early(const struct leg *l) {
    return !l->early_answer && l->oa != OA_OFFER_SENT;
}

bool leg_progress(struct engine *e, struct leg *l, const struct uas_response *r, bool reliably) {
    const struct uas_head *invite = txn_head(&e->txns, l->invite_in);
    struct uas_response full = *r;
    if (!invite)
        return false;
    bool required = invite->rel100_required;
    bool wanted = required || (invite->rel100_supported && (full.body.n || reliably));
    if (wanted && may_be_reliable(l, invite, r)) {
        send_reliably(e, l, invite, &full);
        return true;
    }
    /* What must be reliable and cannot be is not sent: a provisional response is no promise. */
    if (required)
        return false;
    if (!invite->described)
        full.body = SLICE_NONE;
    leg_respond_invite(e, l, &full);
    return false;
}

/* "the UAS SHOULD reject the original request with a 5xx response" (section 3). */
struct leg_event leg_rel_on_timer(struct engine *e, struct leg *l) {
    if (e->now >= l->ok_until) {
        struct uas_response r = { .status = 504, .reason = SL("No PRACK") };
        leg_respond_invite(e, l, &r);
        return (struct leg_event){ .kind = LEG_EV_GONE, .status = 504 };
    }
    leg_repeat_ok(e, l, 2 * l->repeat->interval);
    return (struct leg_event){ .kind = LEG_EV_NONE };
}

bool leg_rel_describes(const struct leg *l) {
    return l->state == LEG_INCOMING && l->ok && (l->rel_sdp || (l->rel_wait && l->rel_wait_sdp));
}

bool leg_rel_holds_2xx(struct leg *l, struct buf *b) {
    if (l->rel_ok || !leg_rel_describes(l))
        return false;
    l->rel_ok = b;
    return true;
}

void leg_rel_stop(struct engine *e, struct leg *l) {
    buf_unref(&e->bufs, &l->rel_wait);
    buf_unref(&e->bufs, &l->rel_ok);
}

/* What waited for the PRACK goes out: another 18x first, the 2xx when none with a description is left. */
static void send_waiting(struct engine *e, struct leg *l) {
    struct buf *wait = l->rel_wait, *ok = l->rel_ok;
    const struct txn *t = txn_get(&e->txns, l->invite_in);
    if (wait && t) {
        l->rel_wait = NULL;
        send_first(e, l, wait, l->rel_wait_sdp, l->rel_wait_status);
    } else if (ok && t) {
        l->rel_ok = NULL;
        leg_send_ok(e, l, ok);
    }
}

/* An offer in the PRACK has to be answered here and now: with what the other party has agreed to, which hears of the
 * rest when the call is up (RFC 6337 section 3.2.1: it cannot be refused). */
static struct slice answer_offer(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    if (l->oa != OA_STABLE || media_check_offer(e, l, msg->body) != 0 || !media_offered(e, l, msg->body))
        return SLICE_NONE;
    oa_step(&l->oa, OA_EV_RECV_OFFER);
    struct slice sdp = media_answer_alone(e, l, msg->body);
    media_offer_settled(e, l, sdp.p != NULL);
    oa_step(&l->oa, sdp.p ? OA_EV_SEND_ANSWER : OA_EV_ABORT);
    return sdp;
}

/* Its owner died before the 200: what the PRACK says is in the record. */
static bool prack_again(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    const struct txn *t = txn_get(&e->txns, l->invite_in);
    const struct uas_head *invite = txn_head(&e->txns, l->invite_in);
    struct uas_response r = { .status = 200, .to_tag = leg_str(l, DLG_LOCAL_TAG), .content_type = sdp_type };
    if (!leg_call(e, l)->taken_us || !l->rseq || (l->state == LEG_INCOMING && l->ok) ||
        !rel100_matches(msg, l->rseq, t ? t->cseq : l->ok_cseq))
        return false;
    if (msg->body.n && invite && invite->described)
        r.body = answer_offer(e, l, msg);
    wire_respond(e, txn, msg, &r, l);
    return true;
}

struct leg_event leg_rel_on_prack(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    const struct txn *t = txn_get(&e->txns, l->invite_in);
    struct uas_response r = { .status = 200, .to_tag = leg_str(l, DLG_LOCAL_TAG), .content_type = sdp_type };
    struct leg_event ev = { .kind = LEG_EV_NONE, .msg = msg };
    if (prack_again(e, l, msg, txn))
        return ev;
    if (l->state != LEG_INCOMING || !l->ok || !t || !rel100_matches(msg, l->rseq, t->cseq)) {
        leg_respond(e, l, txn, msg, 481, SLICE_NONE);
        return ev;
    }
    if (l->oa == OA_OFFER_SENT && l->rel_sdp) {
        oa_step(&l->oa, msg->body.n ? OA_EV_RECV_ANSWER : OA_EV_ABORT);
        l->early_answer = msg->body.n != 0;
        ev.kind = LEG_EV_PRACK;
    } else if (msg->body.n) {
        r.body = answer_offer(e, l, msg);
        r.status = r.body.n ? 200 : 488;
    }
    leg_stop_ok(e, l);
    wire_respond(e, txn, msg, &r, l);
    send_waiting(e, l);
    return ev;
}

/* ---- a former owner's ---- */

void leg_rel_resume(struct engine *e, struct leg *l, struct slice bytes, const struct addr *dst) {
    struct sip_fault f;
    struct buf *b = wire_parse_again(e, bytes, &f) >= 0 ? buf_copy(&e->bufs, bytes) : NULL;
    uint16_t status = e->again.status;
    if (!b) {
        leg_rel_stop(e, l);
        return;
    }
    repeat(e, l, b, dst, e->again.body.n != 0);
    wire_trace(e, "send", l, bytes, dst);
    txn_respond(&e->txns, e->out, e->now, l->invite_in, b, status);
    leg_ok_sent(e, l);
    if (!l->rel_wait || wire_parse_again(e, buf_slice(l->rel_wait), &f) < 0) {
        buf_unref(&e->bufs, &l->rel_wait);
        return;
    }
    l->rel_wait_sdp = e->again.body.n != 0;
    l->rel_wait_status = e->again.status;
}
