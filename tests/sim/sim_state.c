/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What must hold of the engine's own objects, and of the media. */
#include "core/b2b/anchor.h"
#include "core/b2b/engine.h"
#include "core/b2b/leg.h"
#include "core/b2b/transfer_fsm.h"
#include "parser/sdp.h"
#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_direct.h"
#include "tests/sim/sim_srtp.h"

#include <stdio.h>

/* Every wait of a transfer's states, one after the other, with the world's configuration: Timer C and a CANCEL that is
 * not answered of who is dialled first, then as much and the NOTIFYs of the target. */
#define TRANSFER_LIFE_US 500000000ull

/* Those that live in a pool; no further than there are any. */
struct walk {
    const struct pool *pool;
    uint32_t at, left;
};

static void *walk_next(struct walk *k) {
    handle h;
    return k->left-- ? pool_next(k->pool, &k->at, &h) : NULL;
}

#define EACH(type, x, in)                                                             \
    for (struct walk x##_walk = { in, 0, (in)->used }; x##_walk.pool; x##_walk.pool = NULL) \
        for (const struct type *x; (x = walk_next(&x##_walk));)

static bool has_txn(const struct engine *e, handle leg, enum sip_method method) {
    EACH(txn, t, &e->txns.pool)
        if (t->ctx == leg && t->method == method)
            return true;
    return false;
}

/* An ACK, or the answer to a re-INVITE, goes on to l as its own ACK; or a transfer decides. */
static bool brings_answer(const struct engine *e, const struct leg *l, const struct leg *p) {
    if (l->transfer != HANDLE_NONE || !leg_is_up(l) || leg_call(e, l)->resuming || leg_str(l, LEG_TRANSFER_AT).p)
        return true;
    return leg_is_live(p) && (p->ok || p->state == LEG_INCOMING || p->invite_out != HANDLE_NONE || p->retry_until);
}

/* An offer is open exactly as long as something may still close it. */
static void check_offer(struct world *w, const struct leg *l) {
    const struct engine *e = w->e;
    if (l->oa == OA_STABLE || l->invite_in != HANDLE_NONE || l->invite_out != HANDLE_NONE || l->ok ||
        has_txn(e, l->self, SIP_M_UPDATE))
        return;
    const struct leg *p = leg_get(e, l->peer);
    if (l->oa == OA_OFFER_RCVD && l->late_offer && brings_answer(e, l, p))
        return;
    if (p && has_txn(e, p->self, SIP_M_UPDATE))
        return;
    sim_fail(w, "an offer stays open for ever: leg in %s, offer/answer %s", leg_state_name(l->state),
             oa_state_name((enum oa_state)l->oa));
}

static void check_leg(struct world *w, const struct leg *l) {
    const struct engine *e = w->e;
    const struct call *c = call_get(e, l->call);
    unsigned listed = 0;
    if (!c)
        sim_fail(w, "a leg without a call, in %s", leg_state_name(l->state));
    for (unsigned i = 0; i < c->leg_count; i++)
        listed += c->legs[i] == l->self;
    if (listed != 1)
        sim_fail(w, "a leg that its call lists %u times", listed);
    if (l->state == LEG_DEAD || l->state == LEG_IDLE)
        sim_fail(w, "a leg in %s behind a step", leg_state_name(l->state));
    if (l->transfer != HANDLE_NONE && !transfer_get(e, l->transfer))
        sim_fail(w, "a leg in a transfer that is over, in %s", leg_state_name(l->state));
    if (!leg_is_live(l))
        return;
    if (l->invite_in != HANDLE_NONE && !txn_get(&e->txns, l->invite_in))
        sim_fail(w, "a leg waits to answer an INVITE that is over, in %s", leg_state_name(l->state));
    if (l->invite_out != HANDLE_NONE && !txn_get(&e->txns, l->invite_out))
        sim_fail(w, "a leg waits for the answer to an INVITE that is over, in %s", leg_state_name(l->state));
    check_offer(w, l);
    const struct leg *p = leg_get(e, l->peer);
    /* The last: its transfer's call has not been taken over yet, which is waited for. */
    if (l->transfer != HANDLE_NONE || l->echo || !leg_is_up(l) || leg_str(l, LEG_TRANSFER_AT).p)
        return;
    /* Its transfer's record has not come yet, and is waited for. */
    if (leg_str(l, LEG_TRANSFER_AT).p)
        return;
    /* The deadline of draining ends calls a few at a step. */
    if (!leg_is_live(p) && !(e->draining && w->now >= e->drain_until))
        sim_fail(w, "a leg that talks with nobody and is in no transfer: role %u", l->role);
    if (p && leg_is_up(p) && p->transfer == HANDLE_NONE && p->peer != l->self)
        sim_fail(w, "two legs that do not agree on who talks with whom");
}

void check_dump(const struct world *w) {
    EACH(leg, l, &w->e->legs) {
        const struct leg *p = leg_get(w->e, l->peer);
        const struct call *c = call_get(w->e, l->call);
        printf("    leg %016llx %u of phone%u: %s, role %u, %s, transfer role %u, peer %d, invite %s%s%s%s%s%s\n",
               c ? (unsigned long long)c->id : 0, l->number, l->dlg.flow.ip[3] - 10u, leg_state_name(l->state), l->role,
               oa_state_name((enum oa_state)l->oa), l->transfer_role, p ? (int)p->number : -1,
               l->invite_in ? "in " : "", l->invite_out ? "out " : "", l->ok ? "unacked " : "",
               l->retry_until ? "waits " : "", l->late_offer ? "late " : "", l->session_unsure ? "unsure" : "");
    }
}

/* ---- media ---- */

/* It waits for nothing: nor for its turn to be told, or its transfer's record behind a death. */
static bool is_idle(const struct leg *l) {
    return l->state == LEG_UP && l->oa == OA_STABLE && l->invite_in == HANDLE_NONE && l->invite_out == HANDLE_NONE &&
           !l->ok && !l->retry_until && !l->reanchors && l->transfer == HANDLE_NONE && !leg_str(l, LEG_TRANSFER_AT).p;
}

static struct phone *phone_of(struct world *w, const struct leg *l) {
    unsigned i = (unsigned)l->dlg.flow.ip[3] - 10;
    return i < SIM_PHONES ? &w->phones[i] : NULL;
}

static const struct pdlg *phone_side(struct world *w, const struct leg *l) {
    struct phone *ph = phone_of(w, l);
    if (!ph)
        return NULL;
    const struct pdlg *d = phone_dialog_find(ph, leg_str(l, DLG_CALL_ID), leg_str(l, DLG_REMOTE_TAG));
    bool idle = d && d->state == PH_UP && !d->offer_open && !d->invite_client && !d->invite_server && !d->ok_cseq &&
                !d->no_ack && d->mine.lines;
    return idle ? d : NULL;
}

/* A stream that only a refused offer named goes nowhere. */
static uint8_t lines_in_use(struct world *w, const struct leg *l) {
    const struct pdlg *d = phone_side(w, l);
    return d ? d->mine.live & d->theirs.live : 0;
}

static void check_routes(struct world *w, const struct leg *l, const struct leg *p) {
    uint8_t used = lines_in_use(w, l) & lines_in_use(w, p);
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        const struct leg_stream *a = l->media.streams[i], *b = p->media.streams[i];
        if (!a->open)
            continue;
        const struct relay_stream *r = &w->relay->streams[a->slot];
        if (!r->open || r->generation != a->generation)
            sim_fail(w, "a leg's stream that is not open in the relay");
        if (b->open && r->route != b->slot && (used >> i & 1))
            sim_fail(w, "media of stream %u does not go to the leg it talks with", i);
    }
}

static bool sends(const struct phone_sdp *mine, const struct phone_sdp *theirs) {
    return (mine->live & theirs->live & 1) && (mine->dir & SDP_SENDONLY) && (theirs->dir & SDP_RECVONLY);
}

/* Its phone sends to where the leg's stream is. */
static void check_heard(struct world *w, const struct leg *l, const struct pdlg *d) {
    uint32_t slot = l->media.streams[0]->slot, port = SIM_PORT_MIN + 2 * (slot % shards_pairs(w));
    uint8_t host = anchor_addr(w->e, anchor_of_slot(w->e, slot))->ip[3];
    const struct call *c = leg_call(w->e, l);
    if (cluster_hears_over(w, c->id) || promote_undid_claim(w, c))
        return; /* it does not know yet what another owner has told the phone */
    if (d->theirs.host != host || d->theirs.port != port)
        sim_fail(w, "a phone sends to port %u of %u, its leg is at port %u of %u", d->theirs.port, d->theirs.host, port,
                 host);
    if (cluster_on(w))
        vip_check(w, l, host);
}

/* a has refused to be told. What it says itself, b, which has refused nothing, has heard. */
static void check_heard_of(struct world *w, const struct leg *la, const struct pdlg *a, const struct leg *lb,
                           const struct pdlg *b) {
    if (la->direct || !la->session_unsure || lb->session_unsure || b->stubborn)
        return;
    if (sends(&b->mine, &b->theirs) && !(a->mine.dir & SDP_RECVONLY))
        sim_fail(w, "one-way audio to who has refused: A has %u/%u, B has %u/%u", a->mine.dir, a->theirs.dir,
                 b->mine.dir, b->theirs.dir);
    uint8_t may_send = b->mine.codecs & b->theirs.codecs;
    if (sends(&b->mine, &b->theirs) && (may_send & ~a->mine.codecs))
        sim_fail(w, "B may send codecs %x, A, which has refused, named %x", may_send, a->mine.codecs);
}

/* What one sends the other expects, in a codec that it named. */
static void check_views(struct world *w, const struct leg *la, const struct leg *lb) {
    const struct pdlg *a = phone_side(w, la), *b = phone_side(w, lb);
    if (!a || !b)
        return;
    /* Who has refused to be told, or asked for an offer, cannot be told. */
    if ((la->direct || la->session_unsure || lb->session_unsure) && (a->stubborn || b->stubborn)) {
        check_heard_of(w, la, a, lb, b);
        return;
    }
    bool to_b = sends(&a->mine, &a->theirs), at_b = sends(&b->theirs, &b->mine);
    if (to_b != at_b)
        sim_fail(w, "one-way audio: A has %u/%u, B has %u/%u", a->mine.dir, a->theirs.dir, b->mine.dir, b->theirs.dir);
    uint8_t may_send = a->mine.codecs & a->theirs.codecs;
    if (to_b && (may_send & ~b->mine.codecs))
        sim_fail(w, "A may send codecs %x, B named %x", may_send, b->mine.codecs);
    if (la->direct)
        direct_check_views(w, phone_of(w, la), a, phone_of(w, lb), b);
    srtp_check(w, la, phone_of(w, la), a);
    const struct leg_stream *s = la->media.streams[0];
    if (s->open && (a->mine.live & 1) && w->relay->streams[s->slot].rtp.signalled.port != a->port)
        sim_fail(w, "the relay sends to port %u, the phone is at %u", w->relay->streams[s->slot].rtp.signalled.port,
                 a->port);
    /* Who is still to be told of other ports sends to those of before. */
    if (s->open && (a->mine.live & a->theirs.live & 1) && !la->session_unsure)
        check_heard(w, la, a);
}

/* Of a record that has just been read. */
static bool is_resuming(const struct engine *e, const struct leg *l) {
    const struct call *c = call_get(e, l->call);
    return c && c->resuming;
}

static bool held_locally(const struct world *w) {
    bool any = false;
    for (unsigned i = 0; i < SIM_PHONES; i++)
        any = any || w->script.setup.users_hold[i] == HOLD_LOCAL;
    return any;
}

void check_media(struct world *w) {
    EACH(leg, l, &w->e->legs) {
        const struct leg *p = leg_get(w->e, l->peer);
        if (!p || p->peer != l->self || !is_idle(l) || !is_idle(p) || is_resuming(w->e, l))
            continue;
        check_routes(w, l, p);
        direct_check(w, l, p);
        const struct call *c = call_get(w->e, l->call);
        /* What was last agreed to may have died unstored with the owner that was told. */
        if (c->taken_us && sim_is_lost(w, c->id))
            continue;
        /* With hold = local nobody is told. */
        if (!w->script.setup.hold_local && !held_locally(w))
            check_views(w, l, p);
    }
}

/* ---- what became of a transfer ---- */

/* Told to have succeeded: the transferee talks with somebody new. Told to have failed: with the transferor, as before.
 * Or who is missing has hung up. */
void check_outcome(struct world *w, const struct transfer *t, uint16_t status) {
    const struct leg *a = leg_get(w->e, t->transferee), *b = leg_get(w->e, t->transferor);
    const struct leg *p = a ? leg_get(w->e, a->peer) : NULL;
    if (!leg_is_live(a) || a->echo || t->recall_step)
        return;
    /* It was decided before the NOTIFY before was answered, and others have begun to transfer it since. */
    if (a->transfer != HANDLE_NONE && a->transfer != t->self)
        return;
    if (status < 300 && (!leg_is_live(p) || p == b || p->peer != a->self))
        sim_fail(w, "a transfer is told to have succeeded, and the transferee does not talk with the target");
    if (status >= 300 && leg_is_live(b) && p != b)
        sim_fail(w, "a transfer is told to have failed, and the transferee does not talk with the transferor");
}

/* ---- every step ---- */

static uint32_t timers_of(const struct engine *e) {
    uint32_t n = wheel_is_set(&e->drain_timer) + wheel_is_set(&e->barrier.retry) + wheel_is_set(&e->strays_timer) +
                 wheel_is_set(&e->reanchor.timer);
    EACH(call, c, &e->calls)
        n += wheel_is_set(&c->held_timer);
    EACH(txn_open, o, &e->txns.open)
        n += wheel_is_set(&o->retransmit) + wheel_is_set(&o->life);
    for (unsigned i = 0; i < TXN_WAITS; i++)
        n += wheel_is_set(&e->txns.queues[i].timer);
    EACH(leg, l, &e->legs)
        n += (l->repeat && wheel_is_set(&l->repeat->timer)) + wheel_is_set(&l->timer) + wheel_is_set(&l->session_timer);
    EACH(transfer, t, &e->transfers)
        n += wheel_is_set(&t->timer);
    return n;
}

static void check_owners(struct world *w) {
    const struct engine *e = w->e;
    struct engine_census c;
    uint32_t legs = 0, ports = 0, records = 0;
    engine_census(e, &c);
    EACH(leg, l, &e->legs) {
        legs++;
        for (unsigned i = 0; i < LEG_STREAMS; i++)
            ports += l->media.streams[i]->open;
    }
    EACH(call, k, &e->calls) {
        records += k->record_stored;
        legs -= k->leg_count;
        if (k->leg_count == 0 && k->transfer == HANDLE_NONE && k->held_first == HANDLE_NONE)
            sim_fail(w, "a call without legs");
    }
    if (legs)
        sim_fail(w, "legs that no call lists: %u", legs);
    if (ports != c.ports)
        sim_fail(w, "ports taken %u, held by legs %u", c.ports, ports);
    bool same = w->script.setup.durable || store_count(w->store, SL("call"), SIM_WALL_MS + w->now / 1000) == records;
    if (records != c.records || !same)
        sim_fail(w, "records of calls %u, counted %u, in the store %u", records, c.records,
                 store_count(w->store, SL("call"), SIM_WALL_MS + w->now / 1000));
    if (timers_of(e) + c.bindings != c.timers && !w->script.setup.nodes)
        sim_fail(w, "timers set %u, owned %u", c.timers, timers_of(e) + c.bindings);
    EACH(transfer, t, &e->transfers) {
        const struct call *k = call_get(e, t->call);
        /* In a record that nobody took up it lasts for nobody. */
        uint64_t since = k && k->taken_us > t->started_us ? k->taken_us : t->started_us;
        if (w->now - since > TRANSFER_LIFE_US)
            sim_fail(w, "a transfer does not end: in %s", transfer_state_name(t->state));
        direct_check_announced(w, t);
        if (!k || k->transfer != t->self)
            sim_fail(w, "a transfer that its call does not know");
    }
}

void check_step(struct world *w) {
    EACH(leg, l, &w->e->legs)
        if (!is_resuming(w->e, l))
            check_leg(w, l);
    if ((w->steps & 15) == 0)
        check_owners(w);
    if ((w->steps & 31) == 0 && !w->e->owners.suspended) /* who is may be behind what its next owner has agreed to */
        check_media(w);
    /* Who goes on from a record of before may come to a CSeq of which it has a transaction still: not sent, and counted
     * so. */
    if (metrics_get(engine_metrics(w->e), M_pool_full) && !w->faults.went_back)
        sim_fail(w, "something of the engine is full");
}

/* ---- the end ---- */

static void expect_none(struct world *w, bool drained) {
    struct engine_census c;
    engine_census(w->e, &c);
    uint32_t spare = drained ? 0 : c.bindings;
    /* A call that was over where no server took that, when its node left: its next owner has the parties' media by the
     * same ports, and asks nobody. Their silence, of which there is none here, or the session's end is its end. */
    bool excused = c.calls && c.calls <= w->faults.unended;
    if (!excused && (c.calls || c.legs || c.transfers || c.ports || c.records))
        sim_fail(w, "left over: calls %u, legs %u, transfers %u, ports %u, records %u", c.calls, c.legs, c.transfers,
                 c.ports, c.records);
    if (w->e->over.kept.used)
        sim_fail(w, "left over: what %u calls kept of their legs", w->e->over.kept.used);
    if (w->script.setup.nodes) { /* what nodes know of each other, and each has all bindings */
        if (c.transactions)
            sim_fail(w, "left over: transactions %u", c.transactions);
        return;
    }
    if (c.transactions || c.timers != spare || c.bufs > spare)
        sim_fail(w, "left over: transactions %u, timers %u, buffers %u, bindings %u", c.transactions, c.timers, c.bufs,
                 c.bindings);
    if (drained && c.bindings)
        sim_fail(w, "bindings left over: %u", c.bindings);
}

/* Both hung up while the store took no record of that call, and the engine died: the next one does not know. */
static bool only_ghosts(struct world *w) {
    EACH(leg, l, &w->e->legs) {
        unsigned i = (unsigned)l->dlg.flow.ip[3] - 10;
        const struct call *c = call_get(w->e, l->call);
        if (!c->taken_us || !sim_is_lost(w, c->id) || !leg_is_up(l) || l->transfer != HANDLE_NONE || i >= SIM_PHONES ||
            phone_dialog_find(&w->phones[i], leg_str(l, DLG_CALL_ID), leg_str(l, DLG_REMOTE_TAG)))
            return false;
    }
    return w->e->legs.used > 0;
}

void check_end(struct world *w) {
    check_owners(w);
    if (!w->lost_peer) {
        for (unsigned i = 0; i < SIM_PHONES; i++)
            if (!phone_is_idle(&w->phones[i]))
                sim_fail(w, "a phone's call does not end");
        if (!only_ghosts(w))
            expect_none(w, false);
    }
    if (w->orders_open)
        sim_fail(w, "an operator's order is not answered");
    check_wires_end(w);
}

void check_drained(struct world *w) {
    check_owners(w);
    sim_store_check_end(w);
    expect_none(w, true);
}
