/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Semi-attended: the REFER names a consultation that still rings. What rings goes on ringing, now for the transferee; a
 * leg with an open INVITE is never moved, so it stays in its call until it has answered. */
#include "core/b2b/call.h"
#include "core/b2b/transfer.h"

/* Of an owner that dies between the two writes the next one knows whom the target rings for: it takes it once more. The
 * other way round the target would be of a transfer that nobody knows, and its 2xx get a BYE. */
bool transfer_semi_take(struct engine *e, struct transfer *t, struct leg *d) {
    struct call *c = leg_call(e, d);
    bool ringing = false;
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        if (!l || l->peer != d->self || !leg_is_live(l))
            continue;
        l->peer = HANDLE_NONE;
        t->target = l->self;
        transfer_role(e, t, l->self, TR_TARGET);
        if (l->state == LEG_EARLY && !l->late_offer)
            transfer_early_media(e, t, l);
        ringing = true;
    }
    transfer_role(e, t, d->self, TR_NONE);
    leg_end(e, d, 487, SLICE_NONE);
    call_changed_first(e, call_get(e, t->call));
    return ringing;
}

void transfer_semi(struct engine *e, struct transfer *t) {
    if (!transfer_semi_take(e, t, leg_get(e, t->consult))) {
        transfer_fail(e, t, 480);
        return;
    }
    wheel_set(&e->wheel, &t->timer, e->now + e->cfg.ring_timeout_us);
}
