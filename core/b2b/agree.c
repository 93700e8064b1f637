/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/agree.h"

#include "core/b2b/call.h"
#include "core/b2b/late.h"
#include "core/b2b/media.h"
#include "core/b2b/reanchor.h"

/* What one leg's peer said last, and what it was told last. */
struct view {
    struct leg *leg;
    struct sdp said, told;
};

static bool view_of(const struct engine *e, struct leg *l, struct view *v) {
    struct slice said = leg_str(l, LEG_SDP_REMOTE), told = leg_str(l, LEG_SDP_LOCAL);
    v->leg = l;
    return said.p && told.p && engine_sdp(e, said, &v->said) >= 0 && engine_sdp(e, told, &v->told) >= 0;
}

/* A line with port 0 is rejected, whatever direction stands beside it. */
static bool sends(const struct sdp_media *m) {
    return m->port && (m->direction & SDP_SENDONLY);
}

static bool takes(const struct sdp_media *m) {
    return m->port && (m->direction & SDP_RECVONLY);
}

/* Who is to be told about what flows from u to v; NULL: nobody. */
static struct leg *uninformed(const struct view *u, const struct view *v) {
    uint16_t n = u->said.media_count < v->said.media_count ? u->said.media_count : v->said.media_count;
    for (uint16_t i = 0; i < n && i < u->told.media_count && i < v->told.media_count; i++) {
        bool would_send = sends(&u->said.media[i]);
        bool would_take = takes(&v->said.media[i]) && !v->said.media[i].zero_hold;
        bool flows = would_send && takes(&u->told.media[i]), expected = would_take && sends(&v->told.media[i]);
        if (flows && !expected)
            return would_take ? v->leg : u->leg;
        if (expected && !flows)
            return would_send ? u->leg : v->leg;
    }
    /* It sends what it named itself and was told of. */
    bool fits = sdp_formats_subset(&u->said, &v->said) || sdp_formats_subset(&u->told, &v->said);
    return fits ? NULL : u->leg;
}

/* It could not hear of it just then, and has refused nothing. */
static bool is_to_be_told(const struct leg *l) {
    return l->session_unsure && !leg_has_refused(l);
}

static struct leg *who(const struct engine *e, struct leg *a, struct leg *b) {
    struct view va, vb;
    if (is_to_be_told(a) || is_to_be_told(b))
        return is_to_be_told(a) ? a : b;
    if ((a->session_unsure && b->session_unsure) || !view_of(e, a, &va) || !view_of(e, b, &vb))
        return NULL;
    /* One that has just refused to hear of anything else keeps what it has. What it says the other one hears. */
    if (a->session_unsure)
        va.told = vb.said;
    if (b->session_unsure)
        vb.told = va.said;
    struct leg *l = uninformed(&va, &vb);
    if (!l || l->session_unsure)
        l = uninformed(&vb, &va);
    return l && !l->session_unsure ? l : NULL;
}

/* Who has it not yet is told of the new owner's media address when its turn comes. */
static void look_for_media(struct engine *e, struct leg *l) {
    if (leg_is_up(l) && !media_is_here(e, l) && !leg_is_transferred(e, l))
        reanchor(e, l);
}

static void tell(struct engine *e, struct leg *a, struct leg *b, uint8_t rounds) {
    struct leg *l = rounds && leg_is_up(a) && leg_is_up(b) ? who(e, a, b) : NULL;
    a->agreeing = b->agreeing = 0;
    if (!l || leg_is_transferred(e, l) || leg_str(l, LEG_TRANSFER_AT).p)
        return;
    struct leg *other = l == a ? b : a;
    l->agreeing = rounds;
    leg_reoffer(e, l, leg_str(other, LEG_SDP_REMOTE), -1);
}

void agree(struct engine *e, struct leg *a, struct leg *b) {
    if (a->direct) {
        late_agree(e, a, b);
        return;
    }
    if (!leg_is_up(a) || !leg_is_up(b) || (media_is_here(e, a) && media_is_here(e, b))) {
        tell(e, a, b, AGREE_ROUNDS);
        return;
    }
    /* Behind a transfer: at once, the other one when this one has answered. */
    struct leg *l = media_is_here(e, a) ? b : a;
    l->agreeing = AGREE_ROUNDS;
    leg_reoffer(e, l, leg_str(l == a ? b : a, LEG_SDP_REMOTE), -1);
}

void agree_anew(struct engine *e, struct leg *l, struct leg *other) {
    struct slice said = leg_str(other, LEG_SDP_REMOTE);
    if (!leg_is_up(l) || !leg_is_up(other) || leg_is_transferred(e, l) || !said.p)
        return;
    if (media_is_same(e, l, said, -1)) {
        /* It is the other one that may not know what l has agreed to. */
        if (!leg_is_transferred(e, other))
            agree(e, l, other);
        return;
    }
    if (l->direct) {
        late_ask(e, l, other);
        return;
    }
    l->agreeing = AGREE_ROUNDS;
    leg_reoffer(e, l, said, -1);
}

void agree_on_answer(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    struct leg *other = leg_peer(e, l);
    uint8_t rounds = l->agreeing;
    if (media_in(e, l, msg))
        media_received(e, l, msg->body, false);
    l->agreeing = 0;
    /* It asked for a transfer whose record has not come yet: that says who it talks with. */
    if (!other || other->peer != l->self || leg_str(l, LEG_TRANSFER_AT).p)
        return;
    media_connect(e, l, other);
    call_changed(e, leg_call(e, l));
    /* None: the re-INVITE was of a transfer that has ended meanwhile. */
    rounds = rounds ? rounds - 1 : AGREE_ROUNDS;
    /* It is to be told something else already: what it says to that is what the other one hears of. */
    l->untold = l->reoffer_waits;
    if (l->untold) {
        l->agreeing = rounds ? rounds : 1;
    } else if (!l->direct) {
        look_for_media(e, other);
        tell(e, l, other, rounds);
    } else if (rounds) {
        l->agreeing = rounds;
        late_agree(e, l, other);
    }
}

void agree_on_late_answer(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    struct leg *other = leg_peer(e, l);
    l->not_now = true; /* in a transfer: when that has failed */
    if (media_in(e, l, msg) && media_received(e, l, msg->body, false) && other && other->peer == l->self)
        agree_anew(e, l, other);
    call_changed(e, leg_call(e, l));
}

void agree_if_unsure(struct engine *e, struct leg *l) {
    struct leg *other = leg_peer(e, l);
    if (is_to_be_told(l) && other && other->peer == l->self)
        agree_anew(e, l, other);
}

void agree_on_late_2xx(struct engine *e, struct leg *l) {
    l->quiet_until = 0; /* it is there */
    if (l->reoffer_waits && l->asks_offer && !leg_is_transferred(e, l))
        leg_ask_offer(e, l);
    else
        agree_if_unsure(e, l);
}

void agree_on_refusal(struct engine *e, struct leg *l, bool own) {
    struct leg *other = leg_peer(e, l);
    uint8_t rounds = l->agreeing ? l->agreeing - 1 : AGREE_ROUNDS;
    bool untold = l->untold;
    l->untold = false;
    if (!other || other->peer != l->self || leg_is_transferred(e, l))
        return;
    /* With what waits for its turn l is told something else: its answer to that is still to come. */
    if (untold)
        agree_anew(e, other, l);
    else if (own && leg_has_refused(l) && !l->direct && !l->reoffer_waits)
        tell(e, l, other, rounds);
}
