/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Buckets that are given up, with their calls. */
#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/owner.h"

/* A bucket is looked at so often while it is to be given up, and given up with whatever is in flight after so long, if
 * the store knows of it. */
#define GIVE_LOOK_US 100000
#define GIVE_PATIENCE_US 5000000
/* And so much later where something waits for its record, which is a matter of milliseconds: the next owner reads what
 * was promised, but has no transaction to answer, and who asked by TCP does not ask again. */
#define GIVE_HELD_US 1000000
/* Between two that have calls, when nobody leaves. */
#define GIVE_LIVE_US 100000
/* A bound on what one step writes. */
#define GIVE_BUCKETS 64

static const struct call *call_of_txn(const struct engine *e, const struct txn *t) {
    const struct leg *l = leg_get(e, t->ctx);
    return l ? leg_call(e, l) : NULL;
}

/* But for its transactions. */
static bool is_quiet(const struct engine *e, const struct call *c) {
    if (c->transfer != HANDLE_NONE || !c->answered || c->dirty || c->rewrite || c->resuming || barrier_holds(c))
        return false;
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        if (l->state != LEG_UP || l->transfer != HANDLE_NONE || l->ok_until || l->reoffer_waits || l->retry_until)
            return false;
    }
    return true;
}

bool owner_is_stable(const struct engine *e, const struct call *c, handle but) {
    uint32_t cursor = 0;
    handle h;
    if (!is_quiet(e, c))
        return false;
    for (const struct txn *t; (t = pool_next(&e->txns.pool, &cursor, &h));)
        if (h != but && call_of_txn(e, t) == c && !txn_is_done(&e->txns, h))
            return false;
    return true;
}

static void given(struct engine *e, uint16_t bucket) {
    struct owners *o = &e->owners;
    struct out *out = outbox_add(e->out, OUT_BUCKET);
    if (!out)
        return; /* next time */
    out->u.bucket.what = BUCKET_GIVEN;
    out->u.bucket.bucket = bucket;
    o->of[bucket] = o->next[bucket];
    o->next[bucket] = PEER_NONE;
    o->epoch[bucket] = 0;
    o->giving--;
    o->lost = true;
}

/* HOLDS: something is held until its record is stored (barrier.h).
 * UNSTORED: of a call that talks nobody else knows, or the store has not taken what was promised of one, or its end:
 * its next owner would go on with what is over. */
enum { IDLE, HAS_CALLS, IN_THE_MIDST, HOLDS, UNSTORED, GOES, GOES_IDLE };

/* Nobody dies of a call that is handed over (recover.h), and its record says so before it is: the last write before the
 * bucket goes may be refused, and be too late when it is done. */
static bool counts_as_fine(struct engine *e, struct call *c) {
    if (c->takeovers) {
        c->takeovers = 0;
        call_changed(e, c);
        return false;
    }
    return c->stored == c->version;
}

static void look_at_calls(struct engine *e, uint8_t busy[LIMIT_BUCKETS]) {
    uint32_t cursor = 0;
    handle h;
    for (struct call *c; (c = pool_next(&e->calls, &cursor, &h));) {
        uint8_t *b = &busy[c->bucket];
        if (e->owners.next[c->bucket] == PEER_NONE)
            continue;
        if ((c->unprotected && !c->resuming) || (c->answered && call_is_unknown(c)))
            *b = UNSTORED;
        else if (*b < HOLDS && barrier_holds(c))
            *b = HOLDS;
        else if (*b < IN_THE_MIDST)
            *b = is_quiet(e, c) && counts_as_fine(e, c) ? HAS_CALLS : IN_THE_MIDST;
    }
    cursor = 0;
    for (const struct txn *t; (t = pool_next(&e->txns.pool, &cursor, &h));) {
        const struct call *c = call_of_txn(e, t);
        if (c && busy[c->bucket] == HAS_CALLS && !txn_is_done(&e->txns, h))
            busy[c->bucket] = IN_THE_MIDST;
    }
}

/* To be rid of it, at once; else its parties may be told of other ports: one after the other. */
static bool may_go(struct owners *o, const struct engine *e, uint32_t bucket, uint8_t busy) {
    uint64_t until = o->give_until[bucket];
    if (busy == UNSTORED || (busy == HOLDS && e->now < until + GIVE_HELD_US))
        return false;
    if (busy == IDLE || (until && (busy == HAS_CALLS || e->now >= until)))
        return true;
    if (until || busy != HAS_CALLS || e->cfg.rebalance != REBALANCE_LIVE || e->now < o->live_us)
        return false;
    o->live_us = e->now + GIVE_LIVE_US;
    return true;
}

static unsigned choose(struct engine *e, uint8_t busy[LIMIT_BUCKETS]) {
    struct owners *o = &e->owners;
    unsigned n = 0;
    for (uint32_t i = 0; i < LIMIT_BUCKETS && o->giving && n < GIVE_BUCKETS; i++) {
        if (o->next[i] == PEER_NONE || !may_go(o, e, i, busy[i]))
            continue;
        busy[i] = busy[i] == IDLE ? GOES_IDLE : GOES;
        n++;
    }
    return n;
}

/* As they are now: what was not worth a record of its own (an ACK, CSeqs) need not be guessed. */
static void write_calls(struct engine *e, const uint8_t busy[LIMIT_BUCKETS]) {
    uint32_t cursor = 0;
    handle h;
    for (struct call *c; e->out->n < OUTBOX_MAX / 2 && (c = pool_next(&e->calls, &cursor, &h));) {
        if (busy[c->bucket] != GOES || c->resuming)
            continue;
        c->takeovers = 0;
        call_changed(e, c);
        call_reap(e);
    }
}

void owner_on_timer(struct engine *e) {
    struct owners *o = &e->owners;
    uint8_t busy[LIMIT_BUCKETS] = { IDLE };
    call_reap(e); /* what is to be written goes before what is given */
    look_at_calls(e, busy);
    barrier_mark_deleting(e, busy, UNSTORED);
    unsigned n = choose(e, busy);
    if (n)
        write_calls(e, busy);
    for (uint32_t i = 0; n && i < LIMIT_BUCKETS; i++)
        if (busy[i] >= GOES)
            given(e, (uint16_t)i);
    if (o->lost)
        owner_forget_lost(e);
    if (o->giving)
        wheel_set(&e->wheel, &o->timer, n == GIVE_BUCKETS ? e->now : e->now + GIVE_LOOK_US);
}

void owner_on_give(struct engine *e, const struct event *ev) {
    struct owners *o = &e->owners;
    uint16_t b = ev->u.bucket.bucket;
    if (!owner_is_mine(e, b) || ev->u.bucket.peer == PEER_NONE)
        return;
    o->giving += o->next[b] == PEER_NONE;
    o->next[b] = ev->u.bucket.peer;
    o->give_until[b] = ev->u.bucket.live ? e->now + GIVE_PATIENCE_US : 0;
    if (!wheel_is_set(&o->timer))
        wheel_set(&e->wheel, &o->timer, e->now);
}
