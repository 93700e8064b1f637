/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* INVITE with Replaces of a dialog of ours: pickup, take-over, or a REFER that another box carries out (RFC 3891
 * section 3). The one who talks with the replaced leg is re-INVITEd with the newcomer's offer; only when it has agreed
 * does the newcomer get its answer and the replaced leg its BYE. A leg that only rings is picked up: both offers are
 * answered with what they have in common, and nobody else is asked. */
#include "core/b2b/bridge.h"
#include "core/b2b/call.h"
#include "core/b2b/cdr.h"
#include "core/b2b/media.h"
#include "core/b2b/orphan.h"
#include "core/b2b/party.h"
#include "core/b2b/transfer.h"
#include "core/b2b/wire.h"

static void answer(struct engine *e, const struct sip_msg *msg, handle txn, uint16_t status) {
    struct uas_response r = { .status = status };
    metrics_add(&e->metrics, M_replaces_refused, 1);
    wire_answer(e, txn, msg, &r);
}

static bool rings_for(const struct leg *o, const struct leg *caller) {
    return o && o->peer == caller->self && (o->state == LEG_CALLING || o->state == LEG_EARLY);
}

/* A caller that waits: by the letter an early dialog that we did not initiate is none to be replaced (RFC 3891 section
 * 3), unless the configuration says that those who may are let. */
static uint16_t decide_waiting(const struct engine *e, const struct leg *l, bool offer) {
    const struct call *c = leg_call(e, l);
    bool rings = false, fits = offer && !l->direct && leg_str(l, LEG_SDP_REMOTE).p;
    if (!e->cfg.early_uas_replace)
        return 481;
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *o = leg_get(e, c->legs[i]);
        rings |= rings_for(o, l);
        fits &= !(rings_for(o, l) && o->late_offer);
    }
    if (party_is_busy(e, l) || c->transfer != HANDLE_NONE)
        return 491;
    return !rings ? 481 : fits ? 0 : 488;
}

/* An early dialog may be replaced where we called (RFC 3891 section 3): there the one who waits has an offer open.
 * offer: the newcomer has one that we can answer in somebody's name. */
static uint16_t decide_early(const struct engine *e, const struct leg *l, bool offer) {
    const struct leg *peer = leg_peer(e, l);
    if (l->state == LEG_INCOMING)
        return decide_waiting(e, l, offer);
    if (l->state != LEG_EARLY || !peer || peer->state != LEG_INCOMING)
        return 481;
    if (l->direct)
        return 488; /* two offers, and nobody between to answer them */
    if (party_is_busy(e, l) || party_is_busy(e, peer) || leg_call(e, peer)->transfer != HANDLE_NONE)
        return 491;
    return offer && leg_str(peer, LEG_SDP_REMOTE).p ? 0 : 488;
}

/* The decision table of RFC 3891 section 3; 0: go on. Authorisation comes first, so that a stranger learns nothing. */
static uint16_t decide(const struct engine *e, const struct takeover *o, const struct sip_msg *msg) {
    const struct leg *l = o->replaced, *peer = leg_peer(e, l);
    bool same = o->principal.p && slice_eq(o->principal, leg_str(l, LEG_PRINCIPAL)), offer = msg->body.n != 0;
    if (!same && !o->by_token)
        return 403;
    if (!leg_is_live(l))
        return 603;
    if (!leg_is_up(l))
        return decide_early(e, l, offer && !media_goes_direct(e, o->principal, msg->body));
    if (o->early_only)
        return 486;
    if (party_is_busy(e, l) || party_is_busy(e, peer))
        return 491;
    if (!peer || !leg_is_up(peer) || leg_call(e, peer)->transfer != HANDLE_NONE)
        return 603;
    return offer ? 0 : 488; /* a late offer would need the newcomer's answer before the other's */
}

static struct transfer *start(struct engine *e, struct leg *newcomer, struct leg *replaced, struct leg *peer) {
    struct transfer *t = transfer_new(e, leg_call(e, peer));
    if (!t)
        return NULL;
    t->mode = MODE_TAKEOVER;
    t->silent = true;
    t->transferee = peer->self;
    t->target = newcomer->self;
    t->consult = replaced->self;
    t->consult_call = replaced->call;
    transfer_role(e, t, t->transferee, TR_TRANSFEREE);
    transfer_role(e, t, t->target, TR_TARGET);
    transfer_role(e, t, t->consult, TR_CONSULT);
    return t;
}

static void refuse_newcomer(struct engine *e, struct leg *newcomer, uint16_t status) {
    struct uas_response r = { .status = status };
    if (status == 503)
        r.extra = SL("Retry-After: 5\r\n");
    metrics_add(&e->metrics, M_replaces_refused, 1);
    leg_respond_invite(e, newcomer, &r);
}

/* The caller gets the newcomer, and what rings for it is cancelled. Where a reliable 18x has answered it, the two are
 * brought together when it is up. */
static void pick_up(struct engine *e, struct leg *newcomer, struct leg *caller) {
    newcomer->role = ROLE_CALLEE;
    orphan_settle_early(e, caller);
    bool open = leg_may_describe_early(caller);
    if (!media_answer_common(e, newcomer, leg_str(caller, LEG_SDP_REMOTE)).p ||
        (open && !media_answer_common(e, caller, leg_str(newcomer, LEG_SDP_REMOTE)).p)) {
        refuse_newcomer(e, newcomer, 488);
        return;
    }
    if (!leg_answer(e, newcomer, leg_str(newcomer, LEG_SDP_LOCAL), SLICE_NONE)) {
        refuse_newcomer(e, newcomer, 503);
        return;
    }
    if (!leg_answer(e, caller, leg_str(caller, LEG_SDP_LOCAL), SLICE_NONE)) {
        leg_end(e, newcomer, 503, SLICE_NONE);
        return;
    }
    bridge_connect(e, caller, newcomer);
}

/* The newcomer waits in the caller's place; what rings, rings on. */
static void take_place(struct engine *e, struct leg *newcomer, struct leg *caller) {
    const struct call *c = leg_call(e, caller);
    uint16_t told = 0;
    newcomer->role = ROLE_CALLER;
    newcomer->adopts = true;
    newcomer->refused_status = caller->refused_status;
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *o = leg_get(e, c->legs[i]);
        if (!rings_for(o, caller))
            continue;
        o->peer = newcomer->self;
        told = o->state == LEG_EARLY ? 180 : told;
    }
    leg_end(e, caller, 487, SLICE_NONE);
    if (told)
        leg_respond_invite(e, newcomer, &(struct uas_response){ .status = told });
}

void transfer_on_replaces(struct engine *e, const struct sip_msg *msg, handle txn, const struct takeover *o) {
    uint16_t bad = decide(e, o, msg);
    if (bad) {
        cdr_refused(e, &(struct cdr_refusal){ "replaces", NULL, o->principal, msg, bad, SLICE_NONE });
        answer(e, msg, txn, bad);
        return;
    }
    struct leg *l = o->replaced, *peer = leg_peer(e, l);
    struct leg *newcomer = leg_incoming(e, leg_call(e, peer ? peer : l), msg, txn);
    if (!newcomer) {
        answer(e, msg, txn, 503);
        return;
    }
    newcomer->direct = media_goes_direct(e, o->principal, msg->body);
    if (peer)
        media_pair(newcomer, peer);
    bool room =
        leg_set(e, newcomer, LEG_PRINCIPAL, o->principal) && media_received(e, newcomer, msg->body, true);
    if (room && l->state == LEG_INCOMING) {
        take_place(e, newcomer, l);
        return;
    }
    if (room && l->state == LEG_EARLY) {
        pick_up(e, newcomer, peer);
        return;
    }
    struct transfer *t = room ? start(e, newcomer, l, peer) : NULL;
    if (!t) {
        refuse_newcomer(e, newcomer, 503);
        return;
    }
    metrics_add(&e->metrics, M_transfers_started, 1);
    transfer_answered(e, t, newcomer, leg_str(newcomer, LEG_SDP_REMOTE));
}

bool transfer_takeover_answer(struct engine *e, struct transfer *t) {
    struct leg *n = leg_get(e, t->target), *a = leg_get(e, t->transferee);
    if (!n || n->state != LEG_INCOMING)
        return false;
    /* The far end may not have been asked: what it offered once can be more than the newcomer offers now. What passes
     * from party to party stays what it is. */
    struct slice said = leg_str(a, LEG_SDP_REMOTE);
    struct slice sdp = n->direct ? media_describe(e, n, said, -1) : media_answer_common(e, n, said);
    return sdp.p && leg_answer(e, n, sdp, SLICE_NONE);
}

void transfer_refuse_takeover(struct engine *e, struct transfer *t) {
    struct leg *n = leg_get(e, t->target);
    if (t->mode != MODE_TAKEOVER || !n || n->state != LEG_INCOMING)
        return;
    struct uas_response r = { .status = t->result };
    transfer_role(e, t, t->target, TR_NONE);
    leg_respond_invite(e, n, &r);
}
