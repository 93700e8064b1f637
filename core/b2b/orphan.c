/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/orphan.h"

#include "core/b2b/agree.h"
#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "core/b2b/wire.h"

/* Whoever takes its place agrees with the other party anew. */
static bool is_taken_over(const struct engine *e, const struct leg *l) {
    const struct transfer *t = transfer_get(e, l->transfer);
    return t && t->mode == MODE_TAKEOVER && l->transfer_role == TR_CONSULT;
}

/* p has l's re-INVITE, and brings its answer. */
static bool answers(const struct engine *e, const struct leg *p, const struct leg *l) {
    return leg_is_up(p) && p->peer == l->self && p->invite_out != HANDLE_NONE && !p->own_invite &&
           !is_taken_over(e, p);
}

/* Its offer was taken when it came. Refused for now where what was agreed before does not fit it. */
static void answer(struct engine *e, struct leg *l) {
    const struct sip_msg *msg = wire_request_again(e, l->invite_in);
    struct slice sdp = SLICE_NONE;
    if (msg)
        sdp = msg->body.n ? media_answer_alone(e, l, msg->body) : leg_str(l, LEG_SDP_LOCAL);
    if (!sdp.p || !leg_answer(e, l, sdp, SLICE_NONE))
        leg_respond_invite(e, l, &(struct uas_response){ .status = 491 });
    call_changed(e, leg_call(e, l));
}

static void look_at(struct engine *e, struct leg *l) {
    struct leg *p = leg_peer(e, l);
    if (!leg_is_up(l) || l->invite_in == HANDLE_NONE || answers(e, p, l))
        return;
    answer(e, l);
    if (leg_is_up(p) && p->peer == l->self && !leg_is_transferred(e, l) && !leg_is_transferred(e, p))
        agree(e, l, p);
}

void orphan_settle(struct engine *e) {
    const struct call *next;
    for (const struct call *c = call_get(e, e->dirty); c; c = next) {
        next = call_get(e, c->next_dirty);
        for (unsigned i = 0; !c->resuming && i < c->leg_count; i++)
            look_at(e, leg_get(e, c->legs[i]));
    }
}
