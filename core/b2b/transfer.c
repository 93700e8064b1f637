/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/party.h"
#include "core/b2b/transfer.h"

#include "core/b2b/agree.h"
#include "core/b2b/bridge.h"
#include "core/b2b/call.h"
#include "core/b2b/cdr.h"
#include "core/b2b/failure.h"
#include "core/b2b/late.h"
#include "core/b2b/media.h"
#include "core/b2b/policy.h"
#include "core/b2b/wire.h"
#include "core/base/check.h"
#include "parser/sdp.h"

void transfer_role(struct engine *e, struct transfer *t, handle leg, enum transfer_role role) {
    struct leg *l = leg_get(e, leg);
    if (!l)
        return;
    party_set(e, l, role == TR_NONE ? NULL : t);
    l->transfer_role = (uint8_t)role;
    leg_set(e, l, LEG_TRANSFER_AT, SLICE_NONE); /* one that it may have waited for was never stored */
    call_promised(e, leg_call(e, l));
    cdr_party(e, t, l, role);
}

void transfer_play(struct engine *e, const struct transfer *t, enum media_source source) {
    struct leg *a = leg_get(e, t->transferee);
    if (transfer_hears_early(e, t))
        return;
    bool wanted = source == MEDIA_SOURCE_MUSIC ? e->cfg.transfer_music : e->cfg.transfer_ringback;
    if (wanted && leg_is_up(a) && t->mode != MODE_RELAY)
        media_play(e, a, source);
}

void transfer_go(struct engine *e, struct transfer *t, enum transfer_state s) {
    const struct call *c = call_get(e, t->call);
    if (trace_on(&e->trace, TRACE_INFO)) {
        struct sbuf d = trace_begin(&e->trace, TRACE_INFO, "transfer", c ? c->id : 0, 0xff);
        sbuf_str(&d, transfer_state_name(t->state));
        sbuf_lit(&d, " -> ");
        sbuf_str(&d, transfer_state_name(s));
        trace_end(&e->trace, &d);
    }
    cdr_state(e, t, s);
    call_promised(e, call_get(e, t->call));
    t->state = (uint8_t)s;
    wheel_cancel(&e->wheel, &t->timer);
    if (s == TRANSFER_TARGET || s == TRANSFER_JOIN || s == TRANSFER_ASK)
        transfer_play(e, t, MEDIA_SOURCE_MUSIC);
    if (s == TRANSFER_NOTIFYING)
        wheel_set(&e->wheel, &t->timer, e->now + TRANSFER_NOTIFYING_T1 * e->cfg.t1_us);
}

struct leg *transfer_former_peer(const struct engine *e, const struct transfer *t) {
    return leg_get(e, t->mode == MODE_TAKEOVER ? t->consult : t->transferor);
}

/* ---- the end ---- */

void transfer_release(struct engine *e, struct transfer *t) {
    struct leg *listener = leg_get(e, t->subscriber), *b = leg_get(e, t->transferor);
    const handle parties[] = { t->transferor, t->subscriber, t->transferee, t->target, t->consult, t->replaced };
    for (unsigned i = 0; i < sizeof parties / sizeof *parties; i++) {
        struct leg *l = leg_get(e, parties[i]);
        if (l && l->transfer == t->self)
            transfer_role(e, t, parties[i], TR_NONE);
    }
    transfer_release_legs(e, t);
    /* One that was passed on and not accepted comes again as it was. One that waited for its call to move may be done
     * behind a later one. */
    bool done = b && !t->outside && (t->mode != MODE_RELAY || transfer_relay_begun(t));
    if (done && t->refer_cseq > b->refer_done)
        b->refer_done = t->refer_cseq;
    transfer_go(e, t, TRANSFER_DONE);
    if (listener)
        leg_subscription_ended(e, listener);
    cdr_transfer(e, t);
    transfer_tell_operator(e, t);
    transfer_free(e, t);
}

void transfer_shut_down(struct engine *e, struct transfer *t) {
    struct uas_response r = { .status = 503 };
    wire_respond(e, t->refer_txn, NULL, &r, leg_get(e, t->transferor));
    if (!t->result && t->mode != MODE_RELAY) {
        t->result = 503;
        transfer_notify(e, t, t->result);
    }
    transfer_release(e, t);
}

/* It talked with c; or with the target that had taken c's place, in a roll-back of which only its own call's record was
 * written before an owner died. */
static bool is_left(const struct engine *e, const struct leg *b, const struct leg *c) {
    const struct leg *peer = b ? leg_get(e, b->peer) : NULL;
    return leg_is_live(b) && (peer == c || (leg_is_up(b) && !leg_is_live(peer)));
}

/* One of a consultation pair that is left alone has nobody to talk with. */
void transfer_settle_consult(struct engine *e, struct transfer *t) {
    struct leg *b = leg_get(e, t->consult), *c = leg_get(e, t->replaced);
    transfer_role(e, t, t->consult, TR_NONE);
    transfer_role(e, t, t->replaced, TR_NONE);
    if (leg_is_live(b) && leg_is_live(c) && b->peer == c->self && c->peer == b->self) {
        c->direct = b->direct;
        if (t->replaced == t->target)
            late_take_answer(e, b, c);
        /* A target that was joined already may be heard by the transferee. */
        if (t->mode == MODE_JOIN)
            media_connect(e, b, c);
        agree(e, b, c);
    }
    bool both = (leg_is_live(b) && leg_is_live(c)) || (b && b->echo);
    struct leg *left = is_left(e, b, c) ? b : leg_is_live(c) && !t->committed ? c : NULL;
    if (left && !both)
        leg_end(e, left, 480, SLICE_NONE);
}

/* The transferee talks with whom it talked before, if that one is still there. */
static void back_to_former(struct engine *e, struct transfer *t) {
    struct leg *a = leg_get(e, t->transferee), *b = transfer_former_peer(e, t);
    transfer_role(e, t, t->transferee, TR_NONE);
    if (!leg_is_live(a))
        return;
    if (leg_is_live(b)) {
        a->direct = b->direct;
        a->peer = b->self;
        b->peer = a->self;
        media_connect(e, a, b);
        late_unanswered(e, a, b);
        late_unanswered(e, b, a);
        if (late_decline(e, a))
            agree(e, a, b);
        else if (!leg_reoffer(e, a, strs_get(&t->s, TRF_TRANSFEREE_SDP), -1))
            agree_anew(e, a, b);
    } else {
        leg_end(e, a, 480, SL("Reason: SIP;cause=480;text=\"Transfer failed\"\r\n"));
    }
}

static void told(struct engine *e, struct transfer *t) {
    bool restoring = t->state == TRANSFER_RESTORE_TARGET || t->state == TRANSFER_RESTORE_TRANSFEREE;
    if (!restoring)
        transfer_go(e, t, TRANSFER_NOTIFYING);
    if (!t->final_sent)
        transfer_notify(e, t, t->result);
    else if (!restoring && !t->notifying)
        transfer_step(e, t, TRANSFER_EV_NOTIFIED, t->result);
}

void transfer_set_result(struct engine *e, struct transfer *t, uint16_t status) {
    bool first = !t->result;
    t->result = status < 200 ? 500 : status;
    t->succeeded = status < 300;
    cdr_result(e, t, t->result);
    if (first)
        metrics_add(&e->metrics, t->succeeded ? M_transfers_done : M_transfers_failed, 1);
}

void transfer_fail(struct engine *e, struct transfer *t, uint16_t status) {
    if (transfer_recall(e, t, status))
        return;
    transfer_set_result(e, t, status >= 300 ? status : 500);
    transfer_refuse_takeover(e, t);
    transfer_drop_targets(e, t, NULL);
    back_to_former(e, t);
    transfer_settle_consult(e, t);
    told(e, t);
}

bool transfer_holds_end(struct engine *e, struct leg *l) {
    struct transfer *t = transfer_get(e, l->transfer);
    if (!t || l->transfer_role != TR_TRANSFEROR || !t->result || !t->notifying)
        return false;
    l->peer = HANDLE_NONE;
    t->end_transferor = true;
    return true;
}

/* ---- the splice ---- */

static void commit_target(struct engine *e, struct transfer *t, struct leg *a) {
    struct leg *c = leg_get(e, t->target);
    a->echo = t->mode == MODE_ECHO;
    if (a->echo) {
        a->peer = HANDLE_NONE;
        media_echo(e, a);
        return;
    }
    if (t->mode == MODE_JOIN)
        call_move_leg(e, c, leg_call(e, a));
    a->peer = c->self;
    c->peer = a->self;
    media_connect(e, a, c);
    transfer_role(e, t, t->target, TR_NONE);
    transfer_role(e, t, t->transferee, TR_NONE);
    agree(e, a, c);
}

/* Both have agreed: from here on the transferee's call is the target's, and the transferor is only told. */
void transfer_commit(struct engine *e, struct transfer *t) {
    struct leg *a = leg_get(e, t->transferee), *b = leg_get(e, t->transferor), *d = leg_get(e, t->consult);
    if (t->mode == MODE_TAKEOVER && !transfer_takeover_answer(e, t)) {
        transfer_fail(e, t, 488);
        return;
    }
    cdr_commit(e, t);
    t->committed = true;
    t->end_transferor = true;
    if (b)
        b->peer = HANDLE_NONE;
    commit_target(e, t, a);
    transfer_role(e, t, t->transferee, TR_NONE);
    transfer_role(e, t, t->consult, TR_NONE);
    if (d && (leg_is_live(d)))
        leg_end(e, d, 487, SLICE_NONE);
    leg_call(e, a)->answered = true;
    transfer_set_result(e, t, 200);
    call_changed(e, leg_call(e, a));
    told(e, t);
}

/* The transferee can take what the target answered before it has said so itself: then nobody waits for its 200. */
static bool fits_now(const struct engine *e, const struct leg *a, struct slice sdp) {
    struct sdp answer, session;
    struct slice local = leg_str(a, LEG_SDP_LOCAL);
    return local.p && engine_sdp(e, sdp, &answer) >= 0 && engine_sdp(e, local, &session) >= 0 &&
           sdp_formats_subset(&answer, &session);
}

/* It has been offered this, and has not answered: since a death the target has been asked once more. */
static bool is_being_told(struct engine *e, struct leg *a, struct slice sdp) {
    return a->invite_out != HANDLE_NONE && a->own_invite && !a->refreshing && !a->late_offer && !a->reoffer_waits &&
           media_is_same(e, a, sdp, -1);
}

void transfer_answered(struct engine *e, struct transfer *t, struct leg *target, struct slice sdp) {
    struct leg *a = leg_get(e, t->transferee);
    if (target) {
        t->target = target->self;
        transfer_drop_targets(e, t, target);
    }
    /* Who takes over is answered with what the transferee says: that must stand. */
    bool stands = t->mode == MODE_TAKEOVER ? leg_is_settled(a) : !(target && transfer_target_waits(target));
    bool told = is_being_told(e, a, sdp);
    if (stands && !told && media_is_same(e, a, sdp, -1)) {
        transfer_commit(e, t);
        return;
    }
    if (target && !a->direct && !told && fits_now(e, a, sdp))
        media_connect_early(e, a, target);
    if (!told || !strs_get(&t->s, TRF_TRANSFEREE_SDP).p)
        strs_set(&t->s, &e->bufs, TRF_TRANSFEREE_SDP, leg_str(a, LEG_SDP_LOCAL));
    transfer_go(e, t, TRANSFER_TRANSFEREE);
    if (!told && !leg_reoffer(e, a, sdp, -1))
        transfer_fail(e, t, 503);
}

/* ---- the table's actions ---- */

static void do_none(struct engine *e, struct transfer *t, uint16_t status) {
    (void)e, (void)t, (void)status;
}

static void do_tell_progress(struct engine *e, struct transfer *t, uint16_t status) {
    if (status >= 180)
        transfer_play(e, t, MEDIA_SOURCE_RINGBACK);
    if (!e->cfg.notify_progress || status <= 100 || status == t->progress)
        return;
    t->progress = status;
    transfer_notify(e, t, status);
}

/* The answer itself was handed to transfer_answered by the event's translation. */
static void do_answered(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *target = leg_get(e, t->target);
    (void)status;
    if (t->mode == MODE_SEMI) {
        /* What it answered was the transferor's offer; now it gets the transferee's. */
        t->replaced = t->target;
        transfer_drop_targets(e, t, target);
        transfer_join(e, t);
        return;
    }
    transfer_answered(e, t, target, leg_str(target, LEG_SDP_REMOTE));
}

/* Click-to-dial: the one who was called first has answered. */
static void do_dialled(struct engine *e, struct transfer *t, uint16_t status) {
    (void)status;
    leg_call(e, leg_get(e, t->transferee))->answered = true;
    transfer_call_target(e, t);
}

static void do_not_dialled(struct engine *e, struct transfer *t, uint16_t status) {
    transfer_role(e, t, t->transferee, TR_NONE);
    transfer_set_result(e, t, status >= 300 ? status : 480);
    told(e, t);
}

/* 486, 600 and 603 are the target's own word; anything else may be about Replaces, and join does without it. */
static void do_refused(struct engine *e, struct transfer *t, uint16_t status) {
    bool final = status == 486 || status == 600 || status == 603;
    transfer_role(e, t, t->target, TR_NONE);
    if (t->mode == MODE_REPLACE && !final && leg_is_up(leg_get(e, t->replaced)))
        transfer_join(e, t);
    else
        transfer_fail(e, t, status == 401 || status == 407 ? 403 : status);
}

static void do_fall_back(struct engine *e, struct transfer *t, uint16_t status) {
    (void)status;
    transfer_role(e, t, t->target, TR_NONE);
    transfer_join(e, t);
}

static void do_give_up_target(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *target = leg_get(e, t->target);
    if (t->mode != MODE_REPLACE || !target) {
        transfer_fail(e, t, 408);
        return;
    }
    /* Without any response no CANCEL may go out (section 9.1 of RFC 3261), so no end of it is waited for: a late 2xx
     * gets ACK and BYE. */
    bool silent = txn_heard_nothing(&e->txns, target->invite_out);
    leg_cancel(e, target, SLICE_NONE);
    if (!silent) {
        transfer_go(e, t, TRANSFER_FALLBACK);
        return;
    }
    do_fall_back(e, t, status);
}

static void do_commit(struct engine *e, struct transfer *t, uint16_t status) {
    (void)status;
    if (t->mode != MODE_ECHO && !leg_is_live(leg_get(e, t->target)))
        transfer_fail(e, t, 480); /* its record never came here */
    else if (transfer_join_again(e, t))
        return;
    else if (transfer_answer_target(e, t))
        transfer_commit(e, t);
    else
        transfer_roll_back(e, t, 488);
}

static bool restore(struct engine *e, struct transfer *t, struct leg *c, struct leg *d, struct slice former) {
    c->direct = d->direct;
    if (!leg_reoffer(e, c, former, -1))
        return false;
    media_connect(e, c, d);
    transfer_go(e, t, TRANSFER_RESTORE_TARGET);
    return true;
}

/* Join: the target goes back to the session it had with the transferor. */
static bool restore_joined(struct engine *e, struct transfer *t) {
    struct leg *c = leg_get(e, t->target);
    struct slice former = strs_get(&t->s, TRF_TARGET_SDP);
    struct leg *d = leg_get(e, t->consult);
    /* Called without an offer and transferred before its ACK: it had no description when the transfer began. */
    if (!former.p && d)
        former = leg_str(d, LEG_SDP_REMOTE);
    return t->mode == MODE_JOIN && leg_is_up(c) && leg_is_up(d) && former.p && restore(e, t, c, d, former);
}

/* Replace: the target has given up its consultation dialog already, so its new leg takes that one's place. */
static bool restore_replaced(struct engine *e, struct transfer *t) {
    struct leg *c = leg_get(e, t->target), *d = leg_get(e, t->consult), *old = leg_get(e, t->replaced);
    if (t->mode != MODE_REPLACE || !leg_is_up(c) || !leg_is_up(d) || !call_move_leg(e, c, leg_call(e, d)) ||
        !restore(e, t, c, d, leg_str(d, LEG_SDP_REMOTE)))
        return false;
    transfer_role(e, t, t->replaced, TR_NONE);
    if (old && leg_is_live(old))
        leg_end(e, old, 480, SLICE_NONE);
    c->peer = d->self;
    d->peer = c->self;
    t->replaced = c->self;
    return true;
}

void transfer_roll_back(struct engine *e, struct transfer *t, uint16_t status) {
    failure_note(e, t, status);
    if (!restore_joined(e, t) && !restore_replaced(e, t)) {
        transfer_fail(e, t, status);
        return;
    }
    transfer_set_result(e, t, status);
    back_to_former(e, t);
    told(e, t);
}

/* The transferee hung up. The transferor hears why before its BYE (no BYE before the NOTIFY is answered). */
static void do_abandon(struct engine *e, struct transfer *t, uint16_t status) {
    (void)status;
    struct leg *b = leg_get(e, t->transferor);
    if (!t->result)
        failure_note(e, t, 487);
    bool restoring = (t->state == TRANSFER_TRANSFEREE && (restore_joined(e, t) || restore_replaced(e, t))) ||
                     ((t->state == TRANSFER_JOIN || t->state == TRANSFER_OFFERED) && restore_joined(e, t));
    t->end_transferor = true;
    if (b)
        b->peer = HANDLE_NONE;
    /* Whom it talked with, and would have talked with again. */
    if (t->mode == MODE_TAKEOVER && leg_is_live(leg_get(e, t->consult)))
        leg_end(e, leg_get(e, t->consult), 480, SLICE_NONE);
    if (t->result) {
        /* Whoever was being recalled has nobody to talk with either. */
        transfer_drop_targets(e, t, NULL);
        transfer_settle_consult(e, t);
        transfer_go(e, t, TRANSFER_NOTIFYING);
        if (t->final_sent && !t->notifying)
            transfer_step(e, t, TRANSFER_EV_NOTIFIED, t->result);
        return;
    }
    transfer_set_result(e, t, 487);
    transfer_refuse_takeover(e, t);
    if (!restoring) {
        transfer_drop_targets(e, t, NULL);
        transfer_settle_consult(e, t);
    }
    told(e, t);
}

/* The target hung up after its yes. The transferee may have been told of it already: it gets its former session back.
 */
static void do_target_left(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *a = leg_get(e, t->transferee), *b = transfer_former_peer(e, t);
    struct slice former = strs_get(&t->s, TRF_TRANSFEREE_SDP);
    (void)status;
    failure_note(e, t, 480);
    if (leg_is_up(a) && leg_is_up(b))
        a->direct = b->direct;
    if (t->state != TRANSFER_TRANSFEREE || !leg_is_up(a) || !leg_is_up(b) || !former.p ||
        !leg_reoffer(e, a, former, -1)) {
        transfer_fail(e, t, 480);
        return;
    }
    transfer_set_result(e, t, 480);
    transfer_refuse_takeover(e, t);
    transfer_drop_targets(e, t, NULL);
    transfer_go(e, t, TRANSFER_RESTORE_TRANSFEREE);
    media_connect(e, a, b);
    /* Who was to be replaced is whom it goes back to: it may leave before that. */
    if (t->mode != MODE_TAKEOVER)
        transfer_settle_consult(e, t);
    told(e, t);
}

static void do_note_transferor(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *a = leg_get(e, t->transferee);
    (void)status;
    t->transferor_gone = true;
    /* Failed and nobody left: the transferee is not kept waiting for anyone. */
    if (t->result && !t->succeeded && leg_is_live(a) && !leg_peer(e, a) && !transfer_is_recalling(t)) {
        transfer_role(e, t, t->transferee, TR_NONE);
        leg_end(e, a, 480, SLICE_NONE);
        if (t->state == TRANSFER_RESTORE_TRANSFEREE)
            transfer_go(e, t, TRANSFER_NOTIFYING);
    }
    if (t->state == TRANSFER_NOTIFYING && t->final_sent && !t->notifying)
        transfer_step(e, t, TRANSFER_EV_NOTIFIED, t->result);
}

/* The pair's other leg is settled when the transfer is decided; until then it is ours to use. */
static void do_note_consult(struct engine *e, struct transfer *t, uint16_t status) {
    (void)status;
    transfer_role(e, t, t->consult, TR_NONE);
}

static void do_note_replaced(struct engine *e, struct transfer *t, uint16_t status) {
    (void)status;
    if (t->replaced != t->target)
        transfer_role(e, t, t->replaced, TR_NONE);
}

static bool still_busy(const struct engine *e, handle leg) {
    const struct leg *l = leg_get(e, leg);
    return leg_is_up(l) && (l->retry_until || l->invite_out != HANDLE_NONE);
}

static void do_restored(struct engine *e, struct transfer *t, uint16_t status) {
    bool target = t->state == TRANSFER_RESTORE_TARGET;
    (void)status;
    /* The answer to the offer that was rolled back comes first; the restoring one is still out. */
    if (still_busy(e, target ? t->target : t->transferee))
        return;
    transfer_role(e, t, t->target, TR_NONE);
    transfer_go(e, t, TRANSFER_NOTIFYING);
    if (target)
        transfer_settle_consult(e, t);
    else
        back_to_former(e, t);
    if (t->final_sent && !t->notifying)
        transfer_step(e, t, TRANSFER_EV_NOTIFIED, t->result);
}

/* do_restored looks at final_sent and notifying. */
static void do_note_notified(struct engine *e, struct transfer *t, uint16_t status) {
    (void)e, (void)t, (void)status;
}

static void do_leave(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *old = leg_get(e, t->replaced);
    (void)status;
    if (transfer_looks_again(e, t))
        return;
    /* A target that never ended the dialog it replaced (RFC 3891 section 3 says it must). */
    if (t->committed && old && old->self != t->target && leg_is_live(old))
        leg_end(e, old, 480, SLICE_NONE);
    transfer_release(e, t);
}

static void do_end_transferor(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *b = leg_get(e, t->transferor);
    if (transfer_looks_again(e, t))
        return;
    if (b && leg_is_live(b))
        leg_end(e, b, 480, SLICE_NONE);
    do_leave(e, t, status);
}

static void do_finish(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *b = leg_get(e, t->transferor);
    if (!leg_is_live(b)) {
        do_leave(e, t, status);
    } else if (t->succeeded && (t->quirks & QUIRK_BYE_AT_ONCE)) {
        do_end_transferor(e, t, status);
    } else if (t->succeeded) {
        transfer_go(e, t, TRANSFER_BYE_WAIT);
        wheel_set(&e->wheel, &t->timer, e->now + e->cfg.bye_wait_us);
    } else if (t->end_transferor) {
        do_end_transferor(e, t, status);
    } else {
        do_leave(e, t, status);
    }
}

typedef void transfer_fn(struct engine *e, struct transfer *t, uint16_t status);

static transfer_fn *const actions[TRANSFER_ACTION_COUNT] = {
    [TRANSFER_DO_NONE] = do_none,
    [TRANSFER_DO_TELL_PROGRESS] = do_tell_progress,
    [TRANSFER_DO_ANSWERED] = do_answered,
    [TRANSFER_DO_REFUSED] = do_refused,
    [TRANSFER_DO_FALL_BACK] = do_fall_back,
    [TRANSFER_DO_GIVE_UP_TARGET] = do_give_up_target,
    [TRANSFER_DO_JOIN_REFUSED] = transfer_do_join_refused,
    [TRANSFER_DO_COMMIT] = do_commit,
    [TRANSFER_DO_ROLL_BACK] = transfer_roll_back,
    [TRANSFER_DO_ABANDON] = do_abandon,
    [TRANSFER_DO_TARGET_LEFT] = do_target_left,
    [TRANSFER_DO_NOTE_TRANSFEROR] = do_note_transferor,
    [TRANSFER_DO_NOTE_CONSULT] = do_note_consult,
    [TRANSFER_DO_NOTE_REPLACED] = do_note_replaced,
    [TRANSFER_DO_RESTORED] = do_restored,
    [TRANSFER_DO_OFFER] = transfer_do_offer,
    [TRANSFER_DO_NOT_ASKED] = transfer_do_not_asked,
    [TRANSFER_DO_LATE_COMMIT] = transfer_do_late_commit,
    [TRANSFER_DO_LATE_REFUSED] = transfer_do_late_refused,
    [TRANSFER_DO_ANNOUNCED] = transfer_do_announced,
    [TRANSFER_DO_DIALLED] = do_dialled,
    [TRANSFER_DO_NOT_DIALLED] = do_not_dialled,
    [TRANSFER_DO_NOTE_NOTIFIED] = do_note_notified,
    [TRANSFER_DO_FINISH] = do_finish,
    [TRANSFER_DO_END_TRANSFEROR] = do_end_transferor,
    [TRANSFER_DO_LEAVE] = do_leave,
};

void transfer_step(struct engine *e, struct transfer *t, enum transfer_event ev, uint16_t status) {
    const struct transfer_cell *cell = transfer_cell(t->state, ev);
    const struct call *c = call_get(e, t->call);
    CHECK(cell->verdict == TRANSFER_ACT || cell->verdict == TRANSFER_IGNORE);
    if (trace_on(&e->trace, TRACE_DEBUG)) {
        struct sbuf d = trace_begin(&e->trace, TRACE_DEBUG, "transfer", c ? c->id : 0, 0xff);
        sbuf_str(&d, transfer_state_name(t->state));
        sbuf_lit(&d, " + ");
        sbuf_str(&d, transfer_event_name(ev));
        sbuf_lit(&d, " ");
        sbuf_u64(&d, status);
        trace_end(&e->trace, &d);
    }
    if (transfer_holds_event(e, t, ev, status))
        return;
    cdr_event(e, t, ev);
    if (cell->verdict == TRANSFER_ACT)
        actions[cell->action](e, t, status);
}

void transfer_on_timer(struct engine *e, struct transfer *t) {
    if (t->resuming)
        transfer_resume(e, t);
    else if (t->mode == MODE_RELAY)
        transfer_relay_timer(e, t);
    else if (!transfer_looks_again(e, t))
        transfer_step(e, t, TRANSFER_EV_TIMER, 408);
}
