/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A target that is called anew for media that does not come here gets an INVITE without an offer, and its own goes to
 * the transferee (RFC 3725 section 4.3, flow III).
 * Join by late offer (RFC 3725 section 4.4, flow IV): the transferee is asked for a fresh offer, the target's leg is
 * offered that, and the answer goes into the transferee's ACK. Where what is on record of the transferee was refused
 * (488, 606), or cannot be offered to anybody else. */
#include "core/b2b/late.h"
#include "core/b2b/media.h"
#include "core/b2b/transfer.h"

void transfer_ask(struct engine *e, struct transfer *t) {
    struct leg *a = leg_get(e, t->transferee);
    t->asked = true;
    strs_set(&t->s, &e->bufs, TRF_TRANSFEREE_SDP, leg_str(a, LEG_SDP_LOCAL));
    transfer_go(e, t, TRANSFER_ASK);
    leg_ask_offer(e, a);
}

/* Another refusal than of what it was offered is the target's last word. */
static bool may_ask(const struct engine *e, const struct transfer *t, uint16_t status) {
    return (status == 488 || status == 606) && !t->asked && leg_is_up(leg_get(e, t->replaced)) &&
           leg_is_up(leg_get(e, t->transferee));
}

void transfer_do_join_refused(struct engine *e, struct transfer *t, uint16_t status) {
    if (may_ask(e, t, status)) {
        transfer_ask(e, t);
        return;
    }
    transfer_role(e, t, t->target, TR_NONE);
    t->target = HANDLE_NONE;
    transfer_fail(e, t, status);
}

void transfer_do_offer(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *a = leg_get(e, t->transferee), *c = leg_get(e, t->target);
    (void)status;
    transfer_go(e, t, TRANSFER_OFFERED);
    /* The transferee repeats its 2xx for 64*T1 and then hangs up (RFC 3261 section 13.3.1.4). */
    wheel_set(&e->wheel, &t->timer, e->now + 48ull * e->cfg.t1_us);
    if (!a || !leg_is_up(c) || !leg_reoffer(e, c, leg_str(a, LEG_SDP_REMOTE), -1))
        transfer_fail(e, t, 503);
}

/* What it was asked for it did not give: what is on record of it may do, but for media that does not come here. */
void transfer_do_not_asked(struct engine *e, struct transfer *t, uint16_t status) {
    const struct leg *a = leg_get(e, t->transferee);
    /* None: its call did not come behind a death. */
    if (!a || t->joined || a->direct)
        transfer_fail(e, t, status);
    else
        transfer_join(e, t);
}

void transfer_do_late_commit(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *a = leg_get(e, t->transferee), *c = leg_get(e, t->target);
    (void)status;
    if (late_answer(e, a, c))
        transfer_commit(e, t);
    else
        transfer_roll_back(e, t, 488);
}

bool transfer_target_waits(const struct leg *target) {
    return target->late_offer && target->oa == OA_OFFER_RCVD && target->invite_out == HANDLE_NONE;
}

bool transfer_answer_target(struct engine *e, struct transfer *t) {
    struct leg *a = leg_get(e, t->transferee), *c = leg_get(e, t->target);
    if (!c || !transfer_target_waits(c))
        return true;
    struct slice sdp = media_describe(e, c, leg_str(a, LEG_SDP_REMOTE), -1);
    if (!sdp.p)
        return false;
    leg_ack(e, c, sdp);
    return true;
}

void transfer_do_late_refused(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *c = leg_get(e, t->target);
    if (c && c->invite_out != HANDLE_NONE)
        leg_cancel(e, c, SLICE_NONE);
    transfer_role(e, t, t->target, TR_NONE);
    t->target = HANDLE_NONE;
    transfer_fail(e, t, status);
}
