/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/barrier.h"

#include "core/b2b/call.h"
#include "core/b2b/recover.h"
#include "core/b2b/wire.h"
#include "core/base/check.h"

#define HELD_PER_CALL 2 /* an average of those that may wait at a time */

enum held_what { HELD_RESPONSE, HELD_REQUEST, HELD_DATAGRAM, HELD_RESUME };

struct held {
    handle next;
    handle leg;
    uint8_t what;  /* enum held_what */
    bool waits;    /* for the record; else behind what does */
    bool sealed;   /* version is known */
    bool other_sealed;
    uint16_t status;
    uint64_t version;
    handle other;  /* a call whose record is waited for as well: the other one of a transfer; HANDLE_NONE: none */
    uint64_t other_version;
    uint64_t deadline;
    handle txn;
    struct buf *buf;
    struct addr dst, src;
};

void barrier_init(struct engine *e, struct arena *a) {
    pool_init(&e->barrier.held, a, HELD_PER_CALL * e->cfg.calls_max + 64, sizeof(struct held));
    barrier_init_store(e, a);
}

static struct held *held_get(const struct engine *e, handle h) {
    return pool_get(&e->barrier.held, h);
}

/* ---- release ---- */

/* The 2xx is repeated from now on; the ACK may be sent again. */
static void release(struct engine *e, struct call *c, struct held *h) {
    struct leg *l = leg_get(e, h->leg);
    switch (h->what) {
    case HELD_RESPONSE:
        if (txn_get(&e->txns, h->txn))
            wire_trace(e, "send", l, buf_slice(h->buf), &h->dst);
        buf_ref(h->buf);
        txn_respond(&e->txns, e->out, e->now, h->txn, h->buf, h->status);
        if (l && l->ok == h->buf)
            leg_ok_sent(e, l);
        break;
    case HELD_REQUEST:
        if (txn_get(&e->txns, h->txn))
            wire_trace(e, "send", l, buf_slice(h->buf), &h->dst);
        txn_client_send(&e->txns, e->out, e->now, h->txn);
        break;
    case HELD_DATAGRAM:
        wire_trace(e, "send", l, buf_slice(h->buf), &h->dst);
        wire_send(e, h->buf, &h->dst, &h->src);
        if (l && l->ack == h->buf)
            leg_ack_sent(e, l);
        break;
    case HELD_RESUME: recover_resume(e, c); break;
    }
}

static void drop(struct engine *e, handle self, struct held *h) {
    buf_unref(&e->bufs, &h->buf);
    pool_free(&e->barrier.held, self);
}

static void unlink(const struct engine *e, struct call *c, handle self, handle before) {
    struct held *h = held_get(e, self), *b = held_get(e, before);
    if (b)
        b->next = h->next;
    else
        c->held_first = h->next;
    if (c->held_last == self)
        c->held_last = before;
}

static bool is_stored(const struct engine *e, const struct call *c, const struct held *h) {
    const struct call *other = call_get(e, h->other);
    return h->sealed && c->stored >= h->version && (!other || (h->other_sealed && other->stored >= h->other_version));
}

/* Unsealed: this step's write is still to come. */
static bool is_over(const struct engine *e, const struct call *c, const struct held *h) {
    return h->sealed && (e->barrier.down || e->now >= h->deadline || c->refused >= h->version);
}

static bool may_go(struct engine *e, struct call *c, const struct held *h, bool force) {
    if (!h->waits || is_stored(e, c, h))
        return true;
    if (!force && !is_over(e, c, h))
        return false;
    metrics_add(&e->metrics, M_store_unprotected, 1);
    barrier_mark(e, c, true);
    return true;
}

/* In the order of sending; what waits holds back the rest of its leg. While nothing may be sent all waits: the timer
 * looks again behind that. */
static void run(struct engine *e, struct call *c, bool force) {
    handle blocked[2 * LIMIT_LEGS_PER_CALL], before = HANDLE_NONE, next;
    unsigned n = 0;
    if (e->owners.suspended)
        return;
    for (handle self = c->held_first; self != HANDLE_NONE; self = next) {
        struct held *h = held_get(e, self);
        bool behind = n == sizeof blocked / sizeof *blocked;
        next = h->next;
        for (unsigned i = 0; i < n; i++)
            behind = behind || blocked[i] == h->leg;
        if (behind || !may_go(e, c, h, force)) {
            if (!behind)
                blocked[n++] = h->leg;
            before = self;
            continue;
        }
        struct held gone = *h;
        unlink(e, c, self, before);
        pool_free(&e->barrier.held, self);
        release(e, c, &gone);
        buf_unref(&e->bufs, &gone.buf);
        next = before == HANDLE_NONE ? c->held_first : held_get(e, before)->next;
    }
    const struct held *first = held_get(e, c->held_first);
    if (!first && !c->resume_ready)
        wheel_cancel(&e->wheel, &c->held_timer);
    else if (first && first->sealed)
        wheel_set(&e->wheel, &c->held_timer, first->deadline > e->now ? first->deadline : e->now + 1000);
}

/* The call may be over, but for what it held. */
static void run_and_look(struct engine *e, struct call *c) {
    if (!c || !barrier_holds(c))
        return;
    run(e, c, false);
    if (!barrier_holds(c))
        call_touch(e, c);
}

void barrier_on_timer(struct engine *e, struct call *c) {
    if (c->resume_ready)
        recover_resume(e, c);
    run_and_look(e, c);
}

void barrier_stored(struct engine *e, struct call *c) {
    run_and_look(e, c);
    run_and_look(e, call_get(e, c->awaited_by));
}

/* ---- hold ---- */

/* The other call of the transfer that the leg takes part in. */
static struct call *other_call(const struct engine *e, const struct leg *l) {
    const struct transfer *t = l ? transfer_get(e, l->transfer) : NULL;
    handle other = !t ? HANDLE_NONE : t->call != l->call ? t->call : t->consult_call;
    return l && other != l->call ? call_get(e, other) : NULL;
}

static bool waits_behind(const struct engine *e, const struct call *c, handle leg) {
    for (const struct held *h = held_get(e, c->held_first); h; h = held_get(e, h->next))
        if (h->leg == leg)
            return true;
    return false;
}

static void append(struct engine *e, struct call *c, handle self) {
    struct held *last = held_get(e, c->held_last);
    if (last)
        last->next = self;
    else
        c->held_first = self;
    c->held_last = self;
    if (!wheel_is_set(&c->held_timer)) {
        c->held_timer.kind = TIMER_HELD;
        c->held_timer.owner = c->self;
        wheel_set(&e->wheel, &c->held_timer, held_get(e, self)->deadline);
    }
}

/* NULL: it goes at once. */
static struct held *hold(struct engine *e, const struct leg *l, enum hold how, enum held_what what) {
    if (how == HOLD_NEVER || e->cfg.durability != DURABILITY_CONFIRMED)
        return NULL;
    struct call *c = l ? leg_call(e, l) : NULL, *other = other_call(e, l);
    handle self;
    if (!c)
        return NULL;
    if (how == HOLD_BEHIND && !waits_behind(e, c, l->self))
        return NULL;
    struct held *h = pool_alloc(&e->barrier.held, &self);
    if (!h) {
        /* As if the budget were over: the order stays. */
        run(e, c, true);
        metrics_add(&e->metrics, M_store_unprotected, how == HOLD_RECORD);
        return NULL;
    }
    h->leg = l->self;
    h->what = (uint8_t)what;
    h->waits = how == HOLD_RECORD;
    h->deadline = e->now + e->cfg.durability_budget_us;
    append(e, c, self);
    if (!h->waits)
        return h;
    call_changed(e, c);
    if (other) {
        h->other = other->self;
        other->awaited_by = c->self;
        call_touch(e, other);
    }
    return h;
}

static void note_promise(struct engine *e, const struct leg *l, enum hold how) {
    struct call *c = l ? leg_call(e, l) : NULL;
    if (c && how == HOLD_RECORD && e->cfg.durability == DURABILITY_ASYNC)
        call_changed(e, c);
}

void barrier_respond(struct engine *e, const struct leg *l, enum hold how, handle txn, struct buf *b, uint16_t status) {
    const struct txn *t = txn_get(&e->txns, txn);
    struct held *h = t && b ? hold(e, l, how, HELD_RESPONSE) : NULL;
    note_promise(e, l, how);
    if (h) {
        h->txn = txn;
        h->buf = b;
        h->status = status;
        h->dst = t->dst;
        return;
    }
    if (t && b)
        wire_trace(e, "send", l, buf_slice(b), &t->dst);
    txn_respond(&e->txns, e->out, e->now, txn, b, status);
}

handle barrier_request(struct engine *e, const struct leg *l, enum hold how, const struct txn_client *c) {
    struct buf *b = c->request;
    handle txn = txn_client_make(&e->txns, c);
    if (txn == HANDLE_NONE)
        return txn;
    note_promise(e, l, how);
    struct held *h = hold(e, l, how, HELD_REQUEST);
    if (h) {
        buf_ref(b);
        h->txn = txn;
        h->buf = b;
        h->dst = *c->dst;
        return txn;
    }
    wire_trace(e, "send", l, buf_slice(b), c->dst);
    txn_client_send(&e->txns, e->out, e->now, txn);
    return txn;
}

void barrier_send(struct engine *e, const struct leg *l, enum hold how, struct buf *b, const struct addr *dst) {
    struct held *h = b ? hold(e, l, how, HELD_DATAGRAM) : NULL;
    note_promise(e, l, how);
    if (h) {
        h->buf = b;
        h->dst = *dst;
        h->src = l->dlg.local;
        return;
    }
    if (b)
        wire_trace(e, "send", l, buf_slice(b), dst);
    wire_send(e, b, dst, &l->dlg.local);
    buf_unref(&e->bufs, &b);
}

void barrier_resume(struct engine *e, struct call *c) {
    const struct leg *l = leg_get(e, c->legs[0]);
    c->resuming = true;
    e->resuming++;
    if (!hold(e, l, HOLD_RECORD, HELD_RESUME))
        recover_resume(e, c);
}

bool barrier_has(const struct engine *e, const struct leg *l, const struct buf *b) {
    const struct call *c = leg_call(e, l);
    for (const struct held *h = c ? held_get(e, c->held_first) : NULL; h; h = held_get(e, h->next))
        if (h->buf == b)
            return true;
    return false;
}

/* ---- the end of a step ---- */

static void seal_other(struct engine *e, const struct call *c) {
    const struct call *other = call_get(e, c->awaited_by);
    for (struct held *h = other ? held_get(e, other->held_first) : NULL; h; h = held_get(e, h->next)) {
        if (h->other != c->self || h->other_sealed)
            continue;
        h->other_version = c->version;
        h->other_sealed = true;
    }
}

void barrier_settle(struct engine *e, struct call *c) {
    for (struct held *h = held_get(e, c->held_first); h; h = held_get(e, h->next)) {
        if (h->sealed)
            continue;
        h->version = c->version;
        h->sealed = true;
    }
    seal_other(e, c);
    if (barrier_holds(c))
        run(e, c, false);
    run_and_look(e, call_get(e, c->awaited_by));
}

/* The next one that is held of the leg, out of the list. `before`: the last one that was passed, and stays. */
static handle take_next(const struct engine *e, struct call *c, handle leg, handle *before) {
    const struct held *passed = held_get(e, *before);
    const struct held *h;
    for (handle self = passed ? passed->next : c->held_first; (h = held_get(e, self)); self = h->next) {
        if (h->leg == leg) {
            unlink(e, c, self, *before);
            return self;
        }
        *before = self;
    }
    return HANDLE_NONE;
}

void barrier_move(struct engine *e, const struct leg *l, struct call *from, struct call *to) {
    handle before = HANDLE_NONE;
    for (handle self; (self = take_next(e, from, l->self, &before)) != HANDLE_NONE;) {
        struct held *h = held_get(e, self);
        h->next = HANDLE_NONE;
        h->sealed = h->other_sealed = false;
        h->other = from->self;
        from->awaited_by = to->self;
        append(e, to, self);
    }
}

void barrier_forget_leg(struct engine *e, const struct leg *l) {
    handle before = HANDLE_NONE;
    for (handle self; (self = take_next(e, leg_call(e, l), l->self, &before)) != HANDLE_NONE;)
        drop(e, self, held_get(e, self));
}

void barrier_forget(struct engine *e, struct call *c) {
    handle next;
    for (handle self = c->held_first; self != HANDLE_NONE; self = next) {
        struct held *h = held_get(e, self);
        next = h->next;
        drop(e, self, h);
    }
    c->held_first = c->held_last = HANDLE_NONE;
    wheel_cancel(&e->wheel, &c->held_timer);
    barrier_mark(e, c, false);
}
