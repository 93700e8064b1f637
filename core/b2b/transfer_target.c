/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "core/b2b/policy.h"
#include "core/b2b/transfer.h"
#include "parser/sip_uri.h"
#include "parser/sip_write.h"

struct slice transfer_full_offer(const struct engine *e, const struct transfer *t, int *direction) {
    const struct leg *a = leg_get(e, t->transferee);
    struct slice full = leg_str(a, LEG_SDP_FULL);
    /* Its offer says of each stream what it wants by itself; its answer, what was imposed on it too. */
    *direction = full.p ? -1 : a->media.own_direction;
    return full.p ? full : leg_str(a, LEG_SDP_REMOTE);
}

/* Next target leg of the transfer's two calls, from *cursor (start with 0); NULL at the end. */
static struct leg *next_target(const struct engine *e, const struct transfer *t, unsigned *cursor) {
    const handle calls[] = { t->call, t->consult_call };
    for (; *cursor < 2 * LIMIT_LEGS_PER_CALL; ++*cursor) {
        const struct call *c = call_get(e, calls[*cursor / LIMIT_LEGS_PER_CALL]);
        unsigned i = *cursor % LIMIT_LEGS_PER_CALL;
        struct leg *l = c && i < c->leg_count ? leg_get(e, c->legs[i]) : NULL;
        if (l && l->transfer == t->self && l->transfer_role == TR_TARGET) {
            ++*cursor;
            return l;
        }
    }
    return NULL;
}

static void release_legs(struct engine *e, struct transfer *t, const struct call *c) {
    for (unsigned i = 0; c && i < c->leg_count; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        if (l && l->transfer == t->self)
            transfer_role(e, t, l->self, TR_NONE);
    }
}

void transfer_release_legs(struct engine *e, struct transfer *t) {
    release_legs(e, t, call_get(e, t->call));
    release_legs(e, t, call_get(e, t->consult_call));
}

bool transfer_target_rings(const struct engine *e, const struct transfer *t) {
    unsigned cursor = 0;
    for (const struct leg *l; (l = next_target(e, t, &cursor));)
        if (l->state == LEG_CALLING || l->state == LEG_EARLY || l->state == LEG_CANCELLING)
            return true;
    return false;
}

struct leg *transfer_target_up(const struct engine *e, const struct transfer *t) {
    unsigned cursor = 0;
    for (struct leg *l; (l = next_target(e, t, &cursor));)
        if (leg_is_up(l) && (t->mode == MODE_SEMI || l->call == t->call))
            return l;
    return NULL;
}

void transfer_drop_targets(struct engine *e, struct transfer *t, const struct leg *keep) {
    unsigned cursor = 0;
    for (struct leg *l; (l = next_target(e, t, &cursor));) {
        if (l == keep || l->self == t->replaced)
            continue;
        transfer_role(e, t, l->self, TR_NONE);
        if (leg_is_live(l) || l->state == LEG_IDLE)
            leg_end(e, l, 487, SLICE_NONE);
    }
}

/* Who the target sees calling: the transferee, by the name its own dialog has. */
static struct slice caller_identity(const struct engine *e, const struct transfer *t) {
    return leg_str(leg_get(e, t->transferee), DLG_REMOTE_URI);
}

/* Its own dialog, as the target knows it: to-tag is the target's tag, from-tag ours (RFC 3891 section 3); "0" is that
 * of a peer without one. */
void transfer_put_replaces(struct sbuf *h, const struct leg *d) {
    struct slice theirs = leg_str(d, DLG_REMOTE_TAG);
    sbuf_lit(h, "Replaces: ");
    sbuf_put(h, leg_str(d, DLG_CALL_ID));
    sbuf_lit(h, ";to-tag=");
    sbuf_put(h, theirs.n ? theirs : SL("0"));
    sbuf_lit(h, ";from-tag=");
    sbuf_put(h, leg_str(d, DLG_LOCAL_TAG));
    sbuf_lit(h, "\r\nRequire: replaces\r\n");
}

/* Referred-By goes through unmodified (RFC 3892 section 2.2). */
static struct slice invite_headers(struct engine *e, const struct transfer *t, const struct leg *replaced) {
    struct sbuf h = ua_headers(&e->ua);
    struct slice by = strs_get(&t->s, TRF_REFERRED_BY), extra = strs_get(&t->s, TRF_EXTRA),
                 foreign = strs_get(&t->s, TRF_REPLACES);
    if (by.p)
        sip_put_hdr(&h, SL("Referred-By"), by);
    if (extra.p)
        sbuf_put(&h, extra);
    if (replaced) {
        transfer_put_replaces(&h, replaced);
    } else if (foreign.p) {
        sip_put_hdr(&h, SL("Replaces"), foreign);
        if (t->require_replaces)
            sbuf_lit(&h, "Require: replaces\r\n");
    }
    return h.overflow ? SLICE_NONE : sbuf_slice(&h);
}

static bool invite_target(struct engine *e, struct transfer *t, const struct leg_target *to,
                          const struct leg *replaced) {
    int direction;
    struct leg *l = leg_outgoing(e, call_get(e, t->call), to, ROLE_TARGET);
    if (!l)
        return false;
    struct slice offer = transfer_full_offer(e, t, &direction), sdp = SLICE_NONE;
    l->direct = media_goes_direct(e, to->principal, SLICE_NONE);
    media_pair(l, leg_get(e, t->transferee));
    /* What the transferee said last is of the association that it has with somebody else. */
    l->no_rel100 |= l->direct; /* an offer in a 18x would have to be answered before the transferee is asked */
    if (!l->direct)
        sdp = media_describe(e, l, offer, direction);
    transfer_role(e, t, l->self, TR_TARGET);
    if (!(sdp.p || l->direct) || !leg_invite(e, l, sdp, invite_headers(e, t, replaced), t->max_forwards)) {
        transfer_role(e, t, l->self, TR_NONE);
        leg_end(e, l, 503, SLICE_NONE);
        return false;
    }
    t->target = l->self;
    return true;
}

/* INVITE with Replaces to the remote target of the consultation's far leg (RFC 3891 section 4: over the same route). */
static void call_replaced(struct engine *e, struct transfer *t) {
    struct leg *d = leg_get(e, t->replaced);
    struct leg_target to = {
        .local_uri = caller_identity(e, t),
        .remote_uri = leg_str(d, DLG_REMOTE_URI),
        .uri = leg_str(d, DLG_TARGET),
        .routes = leg_str(d, DLG_ROUTES),
        .principal = leg_str(d, LEG_PRINCIPAL),
        .dst = d->dlg.flow,
    };
    if (!invite_target(e, t, &to, d)) {
        transfer_fail(e, t, 503);
        return;
    }
    call_changed(e, leg_call(e, d));
    wheel_set(&e->wheel, &t->timer, e->now + e->cfg.replace_timeout_us);
}

/* Transferring somebody to itself, or back to who asked for it, makes no call. */
static bool names_a_party(const struct engine *e, const struct transfer *t, const struct leg_target *to) {
    const struct leg *a = leg_get(e, t->transferee), *b = leg_get(e, t->transferor);
    struct slice who = to->principal;
    if (t->recall_step || !slice_has_prefix(who, SL("user:")))
        return false;
    return slice_eq(who, leg_str(a, LEG_PRINCIPAL)) || (b && slice_eq(who, leg_str(b, LEG_PRINCIPAL)));
}

/* Its media comes here now, if it may: what it sends is to go back to it. */
static bool anchor_for_echo(struct engine *e, struct leg *a, struct slice offer) {
    bool direct = a->direct;
    a->direct = false;
    if (direct && media_check(e, a, offer))
        a->direct = true;
    return !a->direct;
}

static void begin_echo(struct engine *e, struct transfer *t) {
    int direction;
    struct slice offer = transfer_full_offer(e, t, &direction);
    if (!anchor_for_echo(e, leg_get(e, t->transferee), offer)) {
        transfer_fail(e, t, 488);
        return;
    }
    t->mode = MODE_ECHO;
    transfer_answered(e, t, NULL, offer);
}

/* By the same policy as a new call. */
static void call_by_policy(struct engine *e, struct transfer *t) {
    struct policy_choice choice;
    struct sip_uri uri;
    struct slice text = strs_get(&t->s, TRF_REFER_TO);
    char mem[REFER_TO_MAX];
    if (sip_uri_parse(text, &uri) < 0) {
        transfer_fail(e, t, 400);
        return;
    }
    policy_route(e, &uri, &choice);
    if (choice.kind == POLICY_ECHO) {
        begin_echo(e, t);
        return;
    }
    if (choice.kind == POLICY_REFUSED || names_a_party(e, t, &choice.targets[0])) {
        transfer_fail(e, t, choice.kind == POLICY_REFUSED ? choice.status : 482);
        return;
    }
    struct sbuf to = sbuf_on(mem, sizeof mem);
    sbuf_char(&to, '<');
    sbuf_put(&to, text);
    sbuf_char(&to, '>');
    unsigned sent = 0;
    for (uint32_t i = 0; i < choice.count && !to.overflow; i++) {
        choice.targets[i].local_uri = caller_identity(e, t);
        choice.targets[i].remote_uri = sbuf_slice(&to);
        sent += invite_target(e, t, &choice.targets[i], NULL);
    }
    if (!sent) {
        transfer_fail(e, t, 503);
        return;
    }
    wheel_set(&e->wheel, &t->timer, e->now + (t->recall_step ? e->cfg.recall_time_us : e->cfg.ring_timeout_us));
}

static bool must_join(const struct engine *e, const struct transfer *t) {
    const struct leg *d = leg_get(e, t->replaced);
    return e->cfg.attended == ATTENDED_JOIN || !d->supports_replaces || d->direct ||
           leg_get(e, t->transferee)->direct;
}

void transfer_call_target(struct engine *e, struct transfer *t) {
    if (t->mode == MODE_ECHO) {
        begin_echo(e, t);
        return;
    }
    if (t->mode == MODE_REPLACE && must_join(e, t)) {
        transfer_join(e, t);
        return;
    }
    transfer_go(e, t, TRANSFER_TARGET);
    if (t->mode == MODE_REPLACE)
        call_replaced(e, t);
    else if (t->mode == MODE_SEMI)
        transfer_semi(e, t);
    else
        call_by_policy(e, t);
}

/* The target's own leg is offered the transferee's media; it moves into the transferee's call when all have agreed. */
void transfer_join(struct engine *e, struct transfer *t) {
    struct leg *c = leg_get(e, t->replaced);
    int direction;
    if (!leg_is_up(c)) {
        transfer_fail(e, t, 481);
        return;
    }
    t->mode = MODE_JOIN;
    t->target = c->self;
    strs_set(&t->s, &e->bufs, TRF_TARGET_SDP, leg_str(c, LEG_SDP_LOCAL));
    transfer_role(e, t, c->self, TR_TARGET);
    media_pair(leg_get(e, t->transferee), c);
    if ((e->cfg.splice == SPLICE_LATE || c->direct) && !t->asked) {
        transfer_ask(e, t);
        return;
    }
    t->joined = true;
    struct slice offer = transfer_full_offer(e, t, &direction);
    transfer_go(e, t, TRANSFER_JOIN);
    if (!leg_reoffer(e, c, offer, direction))
        transfer_fail(e, t, 503);
}

bool transfer_join_again(struct engine *e, struct transfer *t) {
    const struct leg *c = leg_get(e, t->target);
    if (t->mode != MODE_REPLACE || !leg_is_up(c) || c->call == t->call)
        return false;
    t->replaced = c->self;
    transfer_join(e, t);
    return true;
}
