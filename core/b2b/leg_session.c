/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The session timer of a leg (RFC 4028): each leg has its own, whoever it talks with. */
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/base/check.h"
#include "core/sip/session_timer.h"
#include "parser/sdp.h"
#include "parser/sip_hdr.h"

#define SECOND_US 1000000ull

/* Not sooner than that again when a refresh could not be sent. */
#define RETRY_US (2 * SECOND_US)

void leg_session_stop(struct engine *e, struct leg *l) {
    wheel_cancel(&e->wheel, &l->session_timer);
    l->session_ends = 0;
}

static void arm(struct engine *e, struct leg *l, uint64_t at) {
    wheel_set(&e->wheel, &l->session_timer, at < l->session_ends ? at : l->session_ends);
}

/* A 2xx was sent or received: the session is good for another interval. */
static void start(struct engine *e, struct leg *l) {
    struct call *c = leg_call(e, l);
    leg_session_stop(e, l);
    if (!l->session.expires_s)
        return;
    l->session_ends = e->now + SECOND_US * session_end_after(&l->session);
    arm(e, l, l->session.ours ? e->now + SECOND_US * session_refresh_after(&l->session) : l->session_ends);
    if (c)
        call_changed(e, c);
}

bool leg_session_refused(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    char mem[SESSION_LINES_MAX];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    if (!session_is_too_short(&e->cfg.session, msg))
        return false;
    session_put_min_se(&b, &e->cfg.session);
    leg_respond(e, l, txn, msg, 422, sbuf_slice(&b));
    return true;
}

struct slice leg_session_request(struct engine *e, const struct leg *l, bool invite, char *mem) {
    struct sbuf b = sbuf_on(mem, SESSION_LINES_MAX);
    bool first = !leg_is_up(l);
    if (!first || invite)
        session_put_request(&b, &e->cfg.session, &l->session, first);
    return sbuf_slice(&b);
}

struct slice leg_session_answer(struct engine *e, struct leg *l, const struct session_asked *asked, char *mem) {
    struct sbuf b = sbuf_on(mem, SESSION_LINES_MAX);
    session_answer(&b, &e->cfg.session, &l->session, asked);
    start(e, l);
    return sbuf_slice(&b);
}

void leg_session_answered(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    session_answered(&e->cfg.session, &l->session, msg);
    if (leg_is_up(l))
        start(e, l);
}

/* ---- ours */

/* UPDATE needs no description (section 7.4: recommended where the peer allows it); else a re-INVITE with what the peer
 * has already, so that the version of o= stays. */
static bool send_refresh(struct engine *e, struct leg *l) {
    struct dialog_request r = { .contact = true };
    if (l->session_out)
        return true;
    if (l->allows_update) {
        l->heard = false;
        return (l->session_out = leg_request(e, l, SL("UPDATE"), FOR_REFRESH, &r) != HANDLE_NONE);
    }
    return leg_refresh(e, l);
}

/* Nobody refreshed it in time, or nobody answered. */
static struct leg_event expired(struct engine *e, struct leg *l) {
    metrics_add(&e->metrics, M_sessions_expired, 1);
    leg_session_stop(e, l);
    return leg_lost(e, l, SL("Reason: SIP;cause=408;text=\"Session expired\"\r\n"));
}

struct leg_event leg_session_on_timer(struct engine *e, struct leg *l) {
    if (!leg_is_up(l) || !l->session_ends)
        return (struct leg_event){ .kind = LEG_EV_NONE };
    if (e->now >= l->session_ends)
        return expired(e, l);
    bool sent = send_refresh(e, l);
    metrics_add(&e->metrics, M_sessions_refreshed, sent);
    arm(e, l, sent ? l->session_ends : e->now + RETRY_US);
    return (struct leg_event){ .kind = LEG_EV_NONE };
}

void leg_session_ask(struct engine *e, struct leg *l) {
    if (leg_is_up(l))
        (void)send_refresh(e, l);
}

/* Who refuses a refresh lives: whether the session is over is then for it to say, and it is asked again. */
void leg_session_refresh_refused(struct engine *e, struct leg *l, uint16_t status) {
    if (!l->session_ends)
        return;
    l->session_ends = e->now + SECOND_US * session_end_after(&l->session);
    arm(e, l, e->now + (status == 491 ? leg_glare_wait_us(e, l) : SECOND_US * session_refresh_after(&l->session)));
}

struct leg_event leg_session_on_response(struct engine *e, struct leg *l, uint16_t status) {
    l->session_out = false;
    if (!leg_is_up(l))
        return (struct leg_event){ .kind = LEG_EV_NONE };
    if (status == 481 || (status == 408 && !leg_is_there(l)))
        return leg_lost(e, l, SLICE_NONE);
    if (status >= 300) {
        /* It said that it allows UPDATE, and does not: the re-INVITE is left. */
        l->allows_update = l->allows_update && status != 405 && status != 501;
        leg_session_refresh_refused(e, l, l->allows_update ? status : 491);
    }
    return (struct leg_event){ .kind = LEG_EV_NONE };
}

/* ---- the peer's */

/* Line by line what we told it may stand as the answer to what it offers again. */
static bool lines_fit(const struct sdp *o, const struct sdp *t) {
    for (uint16_t i = 0; i < o->media_count; i++) {
        if (!o->media[i].port != !t->media[i].port ||
            (t->media[i].direction & ~(unsigned)sdp_reverse(o->media[i].direction)))
            return false;
    }
    return o->media_count == t->media_count;
}

/* What it was told; or, where that names formats which it does not offer, its own of them. Absent: that is not for us
 * alone to say. */
static struct slice answer_to(struct engine *e, struct leg *l, struct slice offer) {
    struct sdp o, t;
    struct slice told = leg_str(l, LEG_SDP_LOCAL);
    if (!told.p || sdp_parse(offer, &o) < 0 || sdp_parse(told, &t) < 0 || !lines_fit(&o, &t))
        return SLICE_NONE;
    if (sdp_formats_subset(&t, &o))
        return told;
    /* Where media does not come here, an answer made of its own offer would have it send to itself. */
    bool narrower = !l->direct && o.media_count == 1 && sdp_formats_subset(&o, &t);
    return narrower ? media_describe(e, l, offer, (int)t.media[0].direction) : SLICE_NONE;
}

static bool is_timed(const struct leg *l, const struct sip_msg *msg) {
    return leg_is_up(l) && (l->session.expires_s || sip_hdr_first(msg, SIP_H_SESSION_EXPIRES));
}

bool leg_session_refresh_update(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    if (msg->body.n || !is_timed(l, msg))
        return false;
    leg_answer_update(e, l, txn, &(struct uas_response){ .status = 200 });
    return true;
}

bool leg_session_refresh_invite(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    if (!is_timed(l, msg) || l->session_unsure || !msg->body.n || !slice_eq(leg_str(l, LEG_SDP_REMOTE), msg->body))
        return false;
    struct slice sdp = answer_to(e, l, msg->body);
    return sdp.p && leg_answer(e, l, sdp, SLICE_NONE);
}

static void go_on(struct engine *e, struct leg *l, uint64_t refresh_at) {
    uint64_t grace = e->now + SECOND_US * 32;
    if (l->session_ends && l->session_ends < grace)
        l->session_ends = grace;
    if (l->session_ends)
        arm(e, l, l->session.ours ? refresh_at : l->session_ends);
}

void leg_session_resume(struct engine *e, struct leg *l) {
    go_on(e, l, e->now + RETRY_US);
}

void leg_session_put_off(struct engine *e, struct leg *l, uint64_t until) {
    if (l->session_timer.deadline_us < until)
        go_on(e, l, until);
}
