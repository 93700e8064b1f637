/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/owner_over_moved.h"

#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/b2b/moved.h"
#include "core/b2b/owner.h"
#include "core/b2b/recover.h"

static struct over_moved *at(const struct engine *e, handle leg) {
    return &e->over.moved[(uint32_t)leg];
}

void over_moved_since(struct engine *e, const struct leg *l, uint64_t version) {
    if (e->over.moved)
        *at(e, l->self) = (struct over_moved){ .leg = l->self, .since = version };
}

/* Of a call that has been read with it the first version was stored. */
static struct over_moved place_of(const struct engine *e, const struct leg *l) {
    const struct call *c = leg_call(e, l);
    struct over_moved x = { .leg = l->self, .call = c->id, .version = (uint32_t)l->media.version };
    x.since = at(e, l->self)->leg == l->self ? at(e, l->self)->since : 0;
    x.bucket = c->stored > x.since ? c->bucket : OVER_NOWHERE;
    return x;
}

void owner_over_forget(struct engine *e, const struct call *c) {
    for (unsigned i = 0; i < c->leg_count && e->over.moved; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        if (!l->moves || !leg_is_live(l))
            continue;
        *at(e, l->self) = place_of(e, l);
        at(e, l->self)->forgotten = true;
    }
}

bool over_moved_lives(const struct engine *e, handle leg, struct over_moved *x) {
    const struct leg *l = leg_get(e, leg);
    if (leg == HANDLE_NONE || !e->over.moved)
        return false;
    bool here = l && !l->elsewhere;
    *x = here ? place_of(e, l) : *at(e, leg);
    return here ? leg_is_live(l) : x->leg == leg && x->forgotten;
}

/* ---- a leg that another engine acts for ---- */

/* What it had open is that one's, and what has not gone out yet is not to. */
static void drop_open(struct engine *e, struct leg *l) {
    uint32_t cursor = 0;
    handle h;
    for (struct txn *t; (t = pool_next(&e->txns.pool, &cursor, &h));)
        if (t->ctx == l->self || h == l->invite_in || h == l->update_in)
            txn_drop(&e->txns, h);
    l->invite_in = l->invite_out = l->update_in = HANDLE_NONE;
    barrier_forget_leg(e, l);
}

static void leave(struct engine *e, struct leg *l) {
    drop_open(e, l);
    media_close(e, l);
    leg_session_stop(e, l);
    leg_stop_ok(e, l);
    leg_rel_stop(e, l);
    leg_early_free(e, l);
    wheel_cancel(&e->wheel, &l->timer);
    l->state = LEG_DEAD;
    l->elsewhere = true;
    call_changed(e, leg_call(e, l));
}

/* Where its call's bucket is ours the record has been read: it does not have the leg, or is settled with this one. */
bool over_moved_leave(struct engine *e, struct leg *l, const struct over_moved *x) {
    struct call *c = leg_call(e, l);
    bool here = x->bucket >= LIMIT_BUCKETS || owner_is_mine(e, x->bucket) ||
                e->owners.of[x->bucket] == OWNER_LOADING;
    if (here || !moved_put_leg(e, l, c->bucket, x->bucket, x->call))
        return false;
    owner_over_moved(e, c, l, l->self);
    *at(e, l->self) = (struct over_moved){ .leg = l->self, .forgotten = true, .bucket = x->bucket,
                                           .version = x->version, .call = x->call };
    trace_text(&e->trace, TRACE_INFO, "call", c->id, l->number, SL("in a call of another node, says its former owner"));
    leave(e, l);
    engine_leg_event(e, l, &(struct leg_event){ .kind = LEG_EV_GONE, .status = 408 });
    return true;
}
