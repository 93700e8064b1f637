/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * leg: one dialog with one remote user agent, as a full user agent of our own: Call-ID, tags, CSeq, Via, Contact, route
 * set. What happens on it goes up as one struct leg_event; what is wanted of it comes down by the functions here. A leg
 * knows nothing of calls' other legs, bridges or transfers.
 */
#ifndef REFEREE_B2B_LEG_H
#define REFEREE_B2B_LEG_H

#include "core/b2b/state.h"
#include "core/sip/uas.h"

enum leg_event_kind {
    LEG_EV_NONE,
    LEG_EV_PROGRESS,    /* 101..199 to our INVITE */
    LEG_EV_ANSWERED,    /* 2xx to our INVITE: leg_ack is owed */
    LEG_EV_REFUSED,     /* our INVITE failed: status; msg NULL on a time-out. The leg is dead, or ending when a 2xx
                           crossed our CANCEL */
    LEG_EV_PRACK,       /* for our offer in a 18x; msg brings the answer, or not. Answered with 200 here */
    LEG_EV_REINVITE,    /* txn = invite_in is to be answered */
    LEG_EV_ACK,         /* to our 2xx; msg may bring an answer */
    LEG_EV_CANCELLED,   /* the peer's INVITE is gone; 487 was sent. The leg is dead */
    LEG_EV_RECANCELLED, /* the same for a re-INVITE; the leg lives */
    LEG_EV_REANSWERED,  /* 2xx to our re-INVITE: leg_ack is owed unless it was our own */
    LEG_EV_REFRESHED,   /* 2xx to the session timer's own re-INVITE; ACKed. Its answer is what the session is now */
    LEG_EV_REREFUSED,   /* our re-INVITE failed; the session is as before. status; msg may be NULL */
    LEG_EV_BYE,         /* answered with 200 here. The leg is dead or LEFT */
    LEG_EV_REQUEST,     /* another request: txn is to be answered */
    LEG_EV_SENT_AGAIN,  /* a request of `purpose` was refused for want of credentials and is on its way with them */
    LEG_EV_RESPONSE,    /* final response to a request of `purpose`; msg NULL on a time-out */
    LEG_EV_GONE,        /* the dialog is gone without BYE (481, 408, no ACK). The leg is dead or ending */
};

struct leg_event {
    enum leg_event_kind kind;
    bool own; /* REANSWERED, REREFUSED: of leg_reoffer, not of leg_reinvite */
    const struct sip_msg *msg;
    uint16_t status;
    handle txn;       /* server transaction to answer */
    handle peer_txn;  /* RESPONSE for FOR_BRIDGED: the other side's transaction */
    uint32_t purpose; /* enum txn_purpose */
};

/* ---- making ---- */

/* One that nothing is known of, and no call has. NULL: no room. */
struct leg *leg_alloc(struct engine *e);
/* From an INVITE without To tag. NULL: no room. */
struct leg *leg_incoming(struct engine *e, struct call *c, const struct sip_msg *invite, handle txn);

/* From a REFER outside any dialog: a leg for its subscription alone, in state LEFT. NULL: no room. */
struct leg *leg_subscriber(struct engine *e, struct call *c, const struct sip_msg *refer, handle txn);

struct leg_target {
    struct slice local_uri, remote_uri; /* name-addr of who calls and of who is called */
    struct slice uri;                   /* Request-URI */
    struct slice routes;                /* absent: none */
    struct slice principal;             /* absent: nobody we know */
    struct addr dst;
};
/* In state IDLE: nothing is sent yet. NULL: no room. */
struct leg *leg_outgoing(struct engine *e, struct call *c, const struct leg_target *t, enum leg_role role);

/* ---- down ---- */

/* The first INVITE. sdp absent: late offer. False: no room; the leg is dead. */
bool leg_invite(struct engine *e, struct leg *l, struct slice sdp, struct slice extra, uint32_t max_forwards);
/* Nothing is open on it: leg_reinvite will send. */
bool leg_may_reinvite(const struct leg *l);
/* A re-INVITE that carries the other leg's; its answer comes up with `own` false. False: busy or no room. */
bool leg_reinvite(struct engine *e, struct leg *l, struct slice sdp, struct slice extra);
/* A re-INVITE of ours with a description made from another leg's text, as media_describe does. Waits while the leg is
 * busy and through 491 and 500 (section 14.1), at most 64*T1 in all; then REANSWERED (ACKed here) or REREFUSED comes
 * up. False: no ports or no memory; nothing comes up. */
bool leg_reoffer(struct engine *e, struct leg *l, struct slice text, int direction);
/* The same without a description, for the leg's own offer: REANSWERED comes up without its ACK while leg_owes_answer
 * (late.h). */
void leg_ask_offer(struct engine *e, struct leg *l);
/* What l was to be told to agree with the other party is void: they have just agreed anew by themselves. */
void leg_drop_reoffer(struct engine *e, struct leg *l);
/* ACK to the 2xx of our last INVITE. */
void leg_ack(struct engine *e, struct leg *l, struct slice sdp);
/* 2xx to the open INVITE; repeated until its ACK. */
bool leg_answer(struct engine *e, struct leg *l, struct slice sdp, struct slice extra);
/* A response of 101..199 to the first INVITE of the leg, reliably where the peer wants it or, if it can, where there is
 * a description to it or it came so from the other side (RFC 3262). True: it is reliable. */
bool leg_progress(struct engine *e, struct leg *l, const struct uas_response *r, bool reliably);
/* A description may stand in it: none has been given yet. */
bool leg_may_describe_early(const struct leg *l);
/* PRACK for the 18x whose offer this answers; prack_rseq is not 0. False: no room. */
bool leg_prack(struct engine *e, struct leg *l, struct slice sdp);
/* Any response to the open INVITE but 2xx. A final one ends a leg that never was answered. */
void leg_respond_invite(struct engine *e, struct leg *l, const struct uas_response *r);
/* Another request in the dialog. HANDLE_NONE: no room. */
handle leg_request(struct engine *e, struct leg *l, struct slice method, enum txn_purpose purpose,
                   const struct dialog_request *content);
/* Ends it whatever its state: final response `status`, CANCEL or BYE. extra: header lines, or absent. */
void leg_end(struct engine *e, struct leg *l, uint16_t status, struct slice extra);
/* Cancels an open INVITE or re-INVITE of ours and stays. extra: header lines, or absent. */
void leg_cancel(struct engine *e, struct leg *l, struct slice extra);
/* A 2xx to an UPDATE that was passed on: as wire_respond, with the session timer's lines. */
void leg_answer_update(struct engine *e, struct leg *l, handle txn, const struct uas_response *r);
/* A LEFT leg whose subscription has ended. */
void leg_subscription_ended(struct engine *e, struct leg *l);

/* ---- up ---- */

/* A request in its dialog is the leg's; when that has ended, it goes with its call's bucket. */
void leg_own_request(const struct engine *e, const struct leg *l, handle txn);
struct leg_event leg_on_request(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn);
struct leg_event leg_on_ack(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* The CANCEL's own transaction is answered by the caller. */
struct leg_event leg_on_cancel(struct engine *e, struct leg *l, handle invite);
/* For a client transaction's event whose ctx is this leg; msg NULL unless a response came. */
struct leg_event leg_on_response(struct engine *e, struct leg *l, const struct txn_event *t, const struct sip_msg *msg);
/* A 2xx to a re-INVITE of ours whose leg has ended meanwhile: its ACK (section 13.2.2.4), the same each time. */
void leg_ack_ended(struct engine *e, handle invite, const struct sip_msg *msg);
/* A 2xx to INVITE for which no transaction is left: ACKed again. True: its re-INVITE was given up meanwhile, and it
 * brings the offer that this had asked for, taken as open, and the ACK is owed; or the answer to what was
 * offered, which has its ACK (bridge_came_late). */
bool leg_on_stray_2xx(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* The final response to its first INVITE, whatever became of that one's transaction. */
struct leg_event leg_on_answer(struct engine *e, struct leg *l, const struct sip_msg *msg);
struct leg_event leg_on_timer(struct engine *e, struct leg *l, enum engine_timer kind);

/* ---- state ---- */

/* Moves by the table; a BUG cell is CHECKed. Entering an ending state closes the media. */
void leg_step(struct engine *e, struct leg *l, enum leg_input in);
/* Between its first INVITE and its end, seen from us. */
static inline bool leg_is_live(const struct leg *l) {
    return l && (l->state == LEG_CALLING || l->state == LEG_EARLY || l->state == LEG_INCOMING ||
                 l->state == LEG_ANSWERED || l->state == LEG_UP);
}
static inline bool leg_is_up(const struct leg *l) {
    return l && (l->state == LEG_UP || l->state == LEG_ANSWERED);
}
/* What it and we have said last is agreed: no offer is open or asked for. */
static inline bool leg_is_settled(const struct leg *l) {
    return l->oa == OA_STABLE && l->invite_in == HANDLE_NONE && l->invite_out == HANDLE_NONE;
}
/* A request of the peer's has brought an offer: what is open is not that of a 2xx to us, which the ACK answers. */
static inline void leg_take_offer(struct leg *l) {
    oa_step(&l->oa, OA_EV_RECV_OFFER);
    l->late_offer = l->late_offer && l->invite_out != HANDLE_NONE;
}
/* It has answered leg_ask_offer with an offer, and waits for its ACK. */
static inline bool leg_owes_answer(const struct leg *l) {
    return l->own_invite && l->late_offer && l->oa == OA_OFFER_RCVD && l->invite_out == HANDLE_NONE;
}
/* Its re-INVITEs are a transfer's. */
static inline bool leg_is_transferred(const struct engine *e, const struct leg *l) {
    const struct transfer *t = transfer_get(e, l->transfer);
    return t && t->mode != MODE_RELAY && (l->transfer_role == TR_TRANSFEREE || l->transfer_role == TR_TARGET);
}
/* It would not have what it was told last; one that could not hear of it just then has refused nothing. */
static inline bool leg_has_refused(const struct leg *l) {
    return l->session_unsure && !l->not_now;
}
/* An offer of its own has its answer: it goes by that, whatever it was offered before. */
static inline void leg_offer_answered(struct leg *l) {
    l->session_unsure = l->offer_lost = false;
}
/* The live leg it talks with, or NULL. */
static inline struct leg *leg_peer(const struct engine *e, const struct leg *l) {
    struct leg *p = leg_get(e, l->peer);
    return leg_is_live(p) ? p : NULL;
}
/* What holds for it: what it was told last or, where it has refused that, what its party says. */
static inline struct slice leg_told(const struct engine *e, const struct leg *l) {
    const struct leg *p = l->session_unsure ? leg_peer(e, l) : NULL;
    struct slice said = p && p->peer == l->self ? leg_str(p, LEG_SDP_REMOTE) : SLICE_NONE;
    return said.p ? said : leg_str(l, LEG_SDP_LOCAL);
}
/* By Call-ID, local tag and remote tag. */
struct leg *leg_find(const struct engine *e, struct slice call_id, struct slice local_tag, struct slice remote_tag);
/* The same for tags as a header names them: "0" is also the one that a peer of RFC 2543 does not have (RFC 3891 section
 * 3). */
struct leg *leg_find_named(const struct engine *e, struct slice call_id, struct slice local_tag,
                           struct slice remote_tag);
struct leg *leg_find_request(const struct engine *e, const struct sip_msg *msg);
/* By our side alone: for references between records. */
/* Of our tag, as others of this engine's tables have it. */
uint64_t leg_tag_hash(const struct engine *e, struct slice local_tag);
struct leg *leg_find_local(const struct engine *e, struct slice call_id, struct slice local_tag);
bool leg_ended_lately(const struct engine *e, struct slice call_id, struct slice local_tag, struct slice remote_tag);
/* Frees a DEAD leg; called by call_reap only. */
void leg_free(struct engine *e, struct leg *l);

/* Makes the leg findable by its Call-ID and local tag. False: another one has that tag. */
bool leg_index(struct engine *e, struct leg *l);
void leg_unindex(struct engine *e, struct leg *l);

/* ---- reliable provisional responses (leg_rel100.c) ---- */

/* A 18x to our INVITE. False: repeated or too early, and of no consequence. */
bool leg_early_heard(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* Its PRACK, unless it has an offer that somebody else has to answer. The dialog is that of the message. */
void leg_early_acknowledge(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* Called when the event of a 18x has been dealt with: an offer in it that nobody took is answered by us. */
void leg_early_settle(struct engine *e, struct leg *l, const struct leg_event *ev);
/* The 2xx came: LEG_SDP_REMOTE is what its sender said, in it or before. */
void leg_early_won(struct engine *e, struct leg *l, const struct sip_msg *msg);
void leg_early_free(struct engine *e, struct leg *l);
struct leg_event leg_rel_on_prack(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn);
struct leg_event leg_rel_on_timer(struct engine *e, struct leg *l);
/* An 18x of ours with a description waits for its PRACK. */
bool leg_rel_describes(const struct leg *l);
/* True: the 2xx waits for a PRACK (section 3), and the reference has been taken. */
bool leg_rel_holds_2xx(struct leg *l, struct buf *b);
void leg_rel_stop(struct engine *e, struct leg *l);
/* The 18x that a former owner has sent, and whose PRACK has not come, goes out again. */
void leg_rel_resume(struct engine *e, struct leg *l, struct slice bytes, const struct addr *dst);
/* LEG_SDP_REMOTE is what the 2xx describes, or a 18x answered before. False: neither. */
bool leg_take_description(struct engine *e, struct leg *l, const struct sip_msg *ok);

/* ---- session timer (leg_session.c) ---- */

/* The request asks for too short an interval: 422 was sent. */
bool leg_session_refused(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn);
/* A request that changes nothing but the time is answered here: the other side has a session timer of its own. False:
 * it is not one. The re-INVITE is the leg's open one. */
bool leg_session_refresh_update(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn);
bool leg_session_refresh_invite(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* Header lines of an INVITE or UPDATE of ours; mem: SESSION_LINES_MAX bytes. */
struct slice leg_session_request(struct engine *e, const struct leg *l, bool invite, char *mem);
/* The same of our 2xx to one; the timer starts. */
struct slice leg_session_answer(struct engine *e, struct leg *l, const struct session_asked *asked, char *mem);
/* A 2xx to one of ours: the timer starts. */
void leg_session_answered(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* Our refresh was answered: by UPDATE; refused: by re-INVITE. */
struct leg_event leg_session_on_response(struct engine *e, struct leg *l, uint16_t status);
void leg_session_refresh_refused(struct engine *e, struct leg *l, uint16_t status);
struct leg_event leg_session_on_timer(struct engine *e, struct leg *l);
/* A refresh, whether the leg has a timer or not: whoever is not there any more says so. Nothing if it is busy. */
void leg_session_ask(struct engine *e, struct leg *l);
/* Its owner died: the refreshes since its last record are not known here, so nobody is hung up on at once. */
void leg_session_resume(struct engine *e, struct leg *l);
/* The same of one that another engine may have had meanwhile: what is due before then waits until then. */
void leg_session_put_off(struct engine *e, struct leg *l, uint64_t until);
void leg_session_stop(struct engine *e, struct leg *l);

/* ---- digest as a client (leg_auth.c) ---- */

#define AUTH_LINE_MAX 1536 /* bytes of one header line with credentials */

/* A 401 or 407 to this request of ours, as ev tells: kept, and to be answered. False: we cannot, or did. */
bool leg_auth_challenged(struct engine *e, struct leg *l, const struct sip_msg *msg, const struct sip_msg *request,
                         const struct txn_event *ev);
/* The header line for a new request, if its party has challenged us before; uri: its Request-URI. */
void leg_auth_put(struct engine *e, struct leg *l, struct slice method, struct slice uri, const struct addr *dst,
                  struct sbuf *b);
/* The line is Proxy-Authorization. */
bool leg_auth_is_proxys(const struct leg *l);

/* private to the leg_*.c files */
/* Header lines that a request of the leg has by itself: session timer, credentials. mem: LEG_LINES_MAX bytes. */
#define LEG_LINES_MAX (SESSION_LINES_MAX + AUTH_LINE_MAX)
struct slice leg_own_lines(struct engine *e, struct leg *l, struct slice method, struct slice uri,
                           const struct addr *dst, char *mem);
/* Of an INVITE's: what its ACK repeats. Moves the leg's texts. */
void leg_keep_credentials(struct engine *e, struct leg *l, struct slice lines);
/* A response to a request in the dialog. */
void leg_respond(struct engine *e, struct leg *l, handle txn, const struct sip_msg *msg, uint16_t status,
                 struct slice extra);
/* The 2xx to the open INVITE goes out; takes the reference. */
void leg_send_ok(struct engine *e, struct leg *l, struct buf *b);
/* A re-INVITE with what the peer was told last. False: busy, or no room. */
bool leg_refresh(struct engine *e, struct leg *l);
/* Section 14.1: 2.1 to 4 s if the Call-ID is ours, else 0 to 2 s. */
uint64_t leg_glare_wait_us(struct engine *e, const struct leg *l);
/* No response came to a re-INVITE or refresh of ours, and the party of a subscription has answered another request of
 * ours meanwhile: it has not gone, and the dialog does not end (RFC 5057 section 5.2). Who sent the REFER is still to
 * be told what came of it, and behind our BYE it would not listen. */
bool leg_is_there(const struct leg *l);
/* The dialog is over without the peer's word: BYE goes out, LEG_EV_GONE comes up. */
struct leg_event leg_lost(struct engine *e, struct leg *l, struct slice extra);
/* Sends a refused request again, with what the refusal asks for (leg_retry.c). The new transaction; HANDLE_NONE: the
 * refusal stands. */
handle leg_retry(struct engine *e, struct leg *l, const struct txn_event *t, const struct sip_msg *msg);
/* The leg is freed: the transaction of its last re-INVITE has the ACK from now on. */
void leg_give_ack(struct engine *e, struct leg *l);
/* The ACK has gone out: unless it brought an answer it is made again where it is asked for again. */
void leg_ack_sent(struct engine *e, struct leg *l);
/* ACK to a 2xx that comes again; what it had to say about media, if anything, was said long ago. */
void leg_ack_again(struct engine *e, struct leg *l, uint32_t cseq);
handle leg_send(struct engine *e, struct leg *l, enum sip_method method, const struct dialog_request *r,
                enum txn_purpose purpose);
void leg_send_bye(struct engine *e, struct leg *l, struct slice extra);
/* A 2xx whose offer waits for the other side's answer is ACKed, whatever becomes of that (section 13.2.2.4). */
void leg_ack_late_offer(struct engine *e, struct leg *l);
void leg_reoffer_decided(struct engine *e, struct leg *l);
void leg_stop_ok(struct engine *e, struct leg *l);
/* It speaks in its dialog: it is there, and may have ACKed to its former owner the 2xx that we repeat. */
void leg_note_there(struct leg *l);
/* An INVITE whose CSeq is not too low, since it may be one that a former owner left unanswered: that one answered it,
 * and it is a copy that comes late. It gets the same 2xx, behind that one if its record is awaited. */
bool leg_answered_before(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn);
/* Takes the reference of a response that is to be repeated until it is acknowledged: from leg_ok_sent on. */
void leg_keep_ok(struct engine *e, struct leg *l, struct buf *b, const struct addr *dst);
/* Now, and after so long. */
void leg_repeat_ok(struct engine *e, struct leg *l, uint64_t interval);
/* Our 2xx has gone out: it is repeated from now on. */
void leg_ok_sent(struct engine *e, struct leg *l);
/* Supported and Allow of an INVITE or its 2xx; what is not in the message stays as it was. */
void leg_note_abilities(struct engine *e, struct leg *l, const struct sip_msg *msg);

#endif
