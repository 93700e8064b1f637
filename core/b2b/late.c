/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/late.h"

#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "core/b2b/record.h"

static void ack(struct engine *e, struct leg *l, struct slice sdp) {
    leg_ack(e, l, sdp);
    if (!sdp.n)
        oa_step(&l->oa, OA_EV_ABORT);
    media_offer_settled(e, l, true);
}

bool late_offered(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    if (!leg_owes_answer(l))
        return false;
    if (media_check_offer(e, l, msg->body) == 0 && media_offered(e, l, msg->body))
        return true;
    ack(e, l, media_refuse_all(e, l, msg->body));
    return false;
}

bool late_answer(struct engine *e, struct leg *l, const struct leg *other) {
    struct slice said = leg_str(other, LEG_SDP_REMOTE);
    struct slice sdp = leg_owes_answer(l) && said.p ? media_describe(e, l, said, -1) : SLICE_NONE;
    if (!sdp.p)
        return false;
    ack(e, l, sdp);
    return true;
}

/* A re-INVITE that shows it the other one's offer is unanswered, or waits for its turn. */
static bool is_being_shown(const struct leg *other) {
    return other->retry_until && !other->asks_offer;
}

void late_take_answer(struct engine *e, struct leg *l, const struct leg *other) {
    if (!leg_is_up(l) || !l->late_offer || l->oa != OA_OFFER_RCVD || l->invite_out != HANDLE_NONE)
        return;
    /* What it has said meanwhile is no answer to that: an offer of its own, perhaps, which was answered here. */
    if (leg_owes_answer(l) && is_being_shown(other))
        return;
    l->own_invite = true;
    if (other->session_unsure || !late_answer(e, l, other))
        late_decline(e, l);
    call_changed(e, leg_call(e, l));
}

void late_unread(struct engine *e, struct leg *l, struct leg *other, struct slice answer) {
    media_received(e, l, answer, false);
    /* That owner may have described more to it. */
    l->media.version += RECORD_VERSION_GAP;
    l->session_unsure = l->not_now = true;
    ack(e, other, media_refuse_all(e, other, leg_str(other, LEG_SDP_REMOTE)));
    late_agree(e, other, l);
}

void late_unanswered(struct engine *e, struct leg *l, const struct leg *other) {
    if (leg_is_up(l) && !leg_owes_answer(l) && leg_is_up(other) && !other->ok)
        leg_ack_late_offer(e, l);
}

static bool is_asked(const struct leg *l) {
    return l->asks_offer || leg_owes_answer(l);
}

void late_ask(struct engine *e, struct leg *l, const struct leg *other) {
    if (!is_asked(l) && !is_asked(other))
        leg_ask_offer(e, l);
}

void late_agree(struct engine *e, struct leg *a, struct leg *b) {
    struct slice of_a = leg_str(a, LEG_SDP_REMOTE), of_b = leg_str(b, LEG_SDP_REMOTE);
    /* One that has just refused to hear of anything else keeps what it has. */
    if (leg_has_refused(a) || leg_has_refused(b) || leg_is_transferred(e, a) || leg_is_transferred(e, b))
        return;
    bool known = of_a.p && of_b.p && media_is_same(e, b, of_a, -1) && media_is_same(e, a, of_b, -1);
    if (!known && leg_is_up(a) && leg_is_up(b))
        late_ask(e, a, b);
}

/* Its offer was one that nothing here can carry, and the ACK said so: it has no session at all. */
static bool was_refused(const struct engine *e, const struct leg *l) {
    struct sdp s;
    struct slice told = leg_str(l, LEG_SDP_LOCAL);
    bool any = !told.p || engine_sdp(e, told, &s) < 0;
    for (unsigned i = 0; !any && i < s.media_count; i++)
        any = s.media[i].port != 0;
    return !any;
}

bool late_decline(struct engine *e, struct leg *l) {
    if (!leg_owes_answer(l))
        return !was_refused(e, l);
    uint64_t version = l->media.version;
    struct slice sdp = media_answer_as_before(e, l);
    bool same = sdp.p && l->media.version == version;
    ack(e, l, sdp.p ? sdp : media_refuse_all(e, l, leg_str(l, LEG_SDP_REMOTE)));
    return same;
}
