/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/owner_over.h"

#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/b2b/media_ports.h"
#include "core/b2b/owner.h"
#include "core/b2b/owner_over_kept.h"
#include "core/b2b/owner_over_moved.h"
#include "core/b2b/owner_over_word.h"
#include "core/b2b/owner_wait.h"
#include "core/b2b/reanchor.h"
#include "core/b2b/record.h"
#include "core/b2b/recover.h"
#include "core/b2b/transfer.h"

#define WAIT_US 5000000 /* for a bucket's records */
#define LOOK_US 20000
#define WORD_US 2000000 /* for that of a claim that was undone: its owner hears of that when we do */
#define BEHIND_US 200000 /* what parties say meanwhile goes so long before what we have for them: as long as it may take
                            until all that waits was tried */

static bool is_said(const struct leg *l) {
    return leg_is_live(l) || l->state == LEG_IDLE || l->state == LEG_LEFT || l->state == LEG_ENDING;
}

/* ---- said ---- */

static void send(struct engine *e, uint32_t to, uint16_t bucket, const struct over_said *s) {
    char text[OVER_LEN];
    struct sbuf b = sbuf_on(text, sizeof text);
    over_said_write(s, &b);
    peer_send(e, PEER_OVER, to, bucket, sbuf_slice(&b));
}

static void say_ended(const struct engine *e, struct over_said *s, unsigned number, struct over_was was) {
    struct over_ended *x = &s->ended[s->ended_n++];
    x->number = (uint8_t)number;
    x->is_moved = over_moved_lives(e, was.moved, &x->there);
    x->dialog = x->is_moved ? over_moved_mask(was.dialog) : was.dialog;
}

/* Of the legs up to that one. */
static void say(struct engine *e, uint32_t to, const struct call *c, uint8_t next_leg, uint16_t bucket,
                uint64_t epoch) {
    struct over_said s = { .call = c->id, .next_leg = next_leg, .unwritten = c->unwritten, .since = epoch };
    if (to == PEER_NONE)
        return;
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        if (is_said(l))
            s.living[s.living_n++] = (struct over_living){ l->number, (uint32_t)l->media.version };
    }
    for (unsigned n = next_leg; n-- > 0 && s.ended_n < LIMIT_LEGS_PER_CALL;)
        if (!over_said_lives(&s, n))
            say_ended(e, &s, n, over_leg_was(e, c, n));
    send(e, to, bucket, &s);
}

void owner_over_say(struct engine *e, uint32_t to, const struct call *c) {
    say(e, to, c, c->next_leg, c->bucket, c->epoch);
}

/* Epochs of two buckets say nothing of each other. */
void owner_over_say_twice(struct engine *e, uint32_t to, const struct call *c, uint16_t bucket) {
    say(e, to, c, c->read_next_leg, bucket, UINT64_MAX);
}

void owner_over_say_all(struct engine *e, uint32_t to, uint16_t bucket, uint64_t id, const struct over_legs *legs) {
    const struct over_moved_legs *moved = pool_get(&e->over.moved_legs, legs->moved);
    struct over_said s = { .call = id, .all = true, .next_leg = legs->next_leg };
    if (to == PEER_NONE)
        return;
    for (unsigned i = 0; i < LIMIT_LEGS_PER_CALL && i < legs->next_leg; i++) {
        struct over_was was = { legs->dialogs[i], moved ? moved->legs[i] : HANDLE_NONE };
        say_ended(e, &s, legs->next_leg - 1 - i, was);
    }
    send(e, to, bucket, &s);
}

/* ---- of a call that was never known ---- */

void owner_over_note(struct engine *e, const struct sip_msg *msg) {
    struct hang_ups *h = &e->hang_ups;
    struct steer s = steer_msg(&e->owners.steering, msg);
    bool has_token = s.by == STEER_RURI || s.by == STEER_TAG || s.by == STEER_CALL_ID;
    if (!owner_is_shared(e) || msg->method != SIP_M_BYE || !has_token || !owner_is_mine(e, s.bucket) ||
        call_find(e, s.token.call))
        return;
    for (uint32_t i = 0; i < h->used; i++)
        if (h->items[i].call == s.token.call && h->items[i].bucket == s.bucket)
            return;
    uint32_t at = h->used < HANG_UPS_MAX ? h->used++ : h->oldest++ % HANG_UPS_MAX;
    h->items[at] = (struct hang_up){ .call = s.token.call, .bucket = s.bucket };
}

void owner_over_tell(struct engine *e, uint16_t bucket, uint32_t to) {
    struct hang_ups *h = &e->hang_ups;
    uint32_t n = h->used;
    h->used = h->oldest = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct hang_up x = h->items[i];
        if (x.bucket != bucket)
            h->items[h->used++] = x;
        else
            send(e, to, bucket, &(struct over_said){ .call = x.call, .unknown = true });
    }
}

/* ---- heard ---- */

/* Whose end was stored, and whose record a promoted server has all the same; it is of an epoch of before ours. */
static void delete_record(struct engine *e, uint16_t bucket, const struct over_said *s) {
    if (s->all && owner_is_mine(e, bucket))
        barrier_delete(e, &(struct gone_record){ .id = s->call, .bucket = bucket });
}

/* Of the leg that is over. 0: it is not said. */
static uint16_t dialog_said(const struct over_said *s, const struct leg *l) {
    const struct over_ended *x = over_said_ended(s, l->number);
    return x ? x->dialog : 0;
}

/* Where the leg lives in another call there. NULL: it does not. */
static const struct over_moved *moved_said(const struct over_said *s, const struct leg *l) {
    const struct over_ended *x = over_said_ended(s, l->number);
    return x && x->is_moved ? &x->there : NULL;
}

/* It was called anew here, and another phone has answered, or the same one once more; or both have given the number to
 * a new leg. What still rings has no tag yet that is sure to be its last. */
static bool is_another(const struct engine *e, const struct leg *l, const struct over_said *s) {
    bool rings = l->state == LEG_CALLING || l->state == LEG_EARLY;
    uint16_t said = rings ? 0 : dialog_said(s, l);
    return said && said != over_dialog(e, l);
}

/* A transferor that is still being told here how its transfer ended: its BYE follows when it has answered, as if the
 * other party alone were gone. That one does not wait. */
static bool ends_later(struct engine *e, struct leg *l) {
    struct leg *p = leg_peer(e, l);
    if (!transfer_holds_end(e, l))
        return false;
    if (p && p->peer == l->self)
        p->peer = HANDLE_NONE;
    call_changed(e, leg_call(e, l));
    return true;
}

/* What it had open is answered, and not known here: an INVITE of ours is cancelled, and its final response tells the
 * rest; that to one of the peer's is none of ours any more. */
static struct leg_event over(struct engine *e, struct leg *l) {
    if (l->state == LEG_CALLING || l->state == LEG_EARLY) {
        l->refused_status = 480;
        leg_cancel(e, l, SLICE_NONE);
        return (struct leg_event){ .kind = LEG_EV_NONE };
    }
    if (l->state == LEG_INCOMING) {
        txn_drop(&e->txns, l->invite_in);
        l->invite_in = HANDLE_NONE;
    }
    if (ends_later(e, l))
        return (struct leg_event){ .kind = LEG_EV_GONE, .status = 408 };
    return leg_lost(e, l, SLICE_NONE);
}

static void end_leg(struct engine *e, struct leg *l) {
    trace_text(&e->trace, TRACE_INFO, "call", leg_call(e, l)->id, l->number, SL("over, says its former owner"));
    metrics_add(&e->metrics, M_legs_over, 1);
    struct leg_event ev = over(e, l);
    engine_leg_event(e, l, &ev);
}

/* True: it is not over, but in another call there. It goes if that one is another engine's, and the dialog is the same;
 * what still rings is none that is in any call. */
static bool is_moved(struct engine *e, struct leg *l, const struct over_said *s) {
    const struct over_moved *x = moved_said(s, l);
    if (!leg_is_live(l) || !x)
        return false;
    if (over_moved_unmask(dialog_said(s, l)) == over_dialog(e, l))
        (void)over_moved_leave(e, l, x);
    return true;
}

static void end_those(struct engine *e, const struct call *c, const struct over_said *s) {
    handle legs[LIMIT_LEGS_PER_CALL];
    unsigned n = 0;
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        if (leg_is_live(l) && l->number < s->next_leg && !over_said_lives(s, l->number))
            legs[n++] = l->self;
    }
    for (unsigned i = 0; i < n; i++) /* before a peer ends, which would hang up on it */
        if (is_moved(e, leg_get(e, legs[i]), s))
            legs[i] = HANDLE_NONE;
    for (unsigned i = 0; i < n; i++) {
        struct leg *l = leg_get(e, legs[i]);
        if (leg_is_live(l) && !is_another(e, l, s))
            end_leg(e, l);
    }
}

/* One that has hung up does not know the dialog any more, and says so. */
static void ask(struct engine *e, const struct call *c) {
    trace_text(&e->trace, TRACE_INFO, "call", c->id, 0xff, SL("hung up at another node: are its parties there"));
    for (unsigned i = 0; i < c->leg_count; i++)
        leg_session_ask(e, leg_get(e, c->legs[i]));
}

/* ---- who says it had claimed the call, and nobody knows of the claim any more ---- */

/* That owner began at one gap above what our record said, and one more for each that had written nothing before it. */
#define CSEQ_JUMP (2 * RECORD_CSEQ_GAP)
/* Only the word says how many those are. A promoted server lacks claims of the last 10 s at most, and each takes about
 * 2 s or more. */
#define UNWRITTEN_MAX 8

/* Its ports are others than before. */
static bool come_back(struct engine *e, struct leg *l) {
    struct leg *p = leg_peer(e, l);
    if (!media_come_home(e, l))
        return false;
    if (l->echo)
        media_echo(e, l);
    else if (p && p->peer == l->self)
        media_connect(e, l, p);
    return true;
}

/* Its description to the party is behind what that owner has told it; a release that does not say what was has told of
 * its ports, in the next version of ours, behind a gap for each that had written nothing. */
static void outrun_version(struct leg *l, const struct over_said *s) {
    if (!s->has_more && media_open_count(l))
        l->media.version += 1 + s->unwritten * RECORD_VERSION_GAP;
    for (unsigned i = 0; i < s->living_n; i++)
        if (s->living[i].number == l->number && s->living[i].version > l->media.version)
            l->media.version = s->living[i].version;
}

/* It has been here since before that owner had it, and that one's claim is not known any more: a promoted server has
 * not seen it. By one epoch two may have claimed it, before that server and at it. Where nothing is said of epochs it
 * must have begun here; had it arrived, the word might be that of one that it was sent to before. */
static bool is_undone(const struct engine *e, uint16_t bucket, const struct call *c, const struct over_said *s) {
    bool before = s->since ? c->epoch <= s->since : !c->taken_us && !c->arrived;
    return before && c->bucket == bucket && owner_is_mine(e, bucket);
}

bool owner_over_undoes(const struct engine *e, uint16_t bucket, struct slice bytes) {
    struct over_said s;
    const struct call *c = over_said_read(bytes, &s) && !s.unknown ? call_find(e, s.call) : NULL;
    return c && is_undone(e, bucket, c, &s);
}

/* Its parties have had that one's requests: a BYE that ends a leg here is to be above them too. */
static void outrun(struct engine *e, const struct call *c, uint32_t unwritten) {
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        if (leg_is_live(l))
            record_outrun(l, CSEQ_JUMP + unwritten * RECORD_CSEQ_GAP);
    }
}

/* What is due at once has waited while we were suspended. Its o= version would be none above that one's, and by how
 * much it is to be above only the word says. */
static void wait_for_word(struct engine *e, struct call *c) {
    c->word_until = e->owners.word_until = e->now + WORD_US;
    c->word_holds = false;
    for (unsigned i = 0; i < c->leg_count; i++)
        leg_session_put_off(e, leg_get(e, c->legs[i]), c->word_until);
}

void owner_over_reclaimed(struct engine *e, uint16_t bucket) {
    uint32_t cursor = 0;
    for (struct call *c; (c = chain_next(&e->calls_by_bucket, bucket, &cursor));)
        if (c->bucket == bucket) {
            outrun(e, c, e->owners.suspended ? UNWRITTEN_MAX : 0); /* else nobody else could claim it */
            if (e->owners.suspended)
                wait_for_word(e, c);
            call_changed(e, c); /* a next owner begins one gap above what is stored */
        }
}

/* Its answer, and what is passed on of it, is described. */
static bool is_described(const struct sip_msg *msg) {
    return msg->method == SIP_M_INVITE || (msg->method == SIP_M_UPDATE && msg->body.n);
}

/* What has a later CSeq than the one that waits waits too: that one would be refused. */
bool owner_over_awaits(struct engine *e, const struct event *in, const struct sip_msg *msg) {
    bool never = msg->method == SIP_M_ACK || msg->method == SIP_M_CANCEL || msg->method == SIP_M_BYE;
    if (e->now >= e->owners.word_until || !msg->is_request || never)
        return false;
    const struct leg *l = leg_find_request(e, msg);
    struct call *c = leg_is_up(l) ? leg_call(e, l) : NULL;
    bool waits = c && e->now + BEHIND_US < c->word_until && (c->word_holds || is_described(msg));
    if (!waits || !owner_wait_put_able(e, in))
        return false;
    c->word_holds = true;
    return true;
}

/* They were told to send to that one's ports. */
static void tell_again(struct engine *e, struct call *c, const struct over_said *s) {
    trace_text(&e->trace, TRACE_INFO, "call", c->id, 0xff, SL("was another node's: its parties are told again"));
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        if (!leg_is_up(l))
            continue;
        const struct over_moved *x = moved_said(s, l);
        outrun_version(l, s);
        if (x && x->version > l->media.version)
            l->media.version = x->version;
        if (media_open_count(l) && come_back(e, l))
            reanchor(e, l);
    }
    call_changed(e, c);
}

/* ---- when it is sure whose the call is ---- */

/* It is not sure what is ours, or its record may be still to be read, or the call to go on from it. */
static bool is_early(const struct engine *e, uint16_t bucket, const struct call *c) {
    uint16_t at = c ? c->bucket : bucket;
    return e->owners.suspended || e->owners.of[at] == OWNER_LOADING || (c && c->resuming && owner_is_mine(e, at));
}

/* Asked by a re-INVITE they are told once more what they go by; another engine may have told them otherwise. */
static bool asks_later(const struct engine *e, const struct call *c) {
    return c && owner_is_mine(e, c->bucket) && e->now < c->word_until;
}

static void heed(struct engine *e, uint16_t bucket, struct call *c, const struct over_said *s) {
    bool undone = c && is_undone(e, bucket, c, s);
    if (undone) {
        c->word_until = c->word_holds ? e->now + BEHIND_US : 0;
        c->word_holds = false;
        outrun(e, c, s->unwritten);
    }
    if (!c)
        delete_record(e, bucket, s);
    else if (!c->resuming && owner_is_mine(e, c->bucket))
        end_those(e, c, s);
    c = undone ? call_find(e, s->call) : NULL;
    if (c)
        tell_again(e, c, s);
}

/* False: not yet. */
static bool take(struct engine *e, uint16_t bucket, struct slice bytes) {
    struct over_said s;
    if (!over_said_read(bytes, &s))
        return true;
    struct call *c = call_find(e, s.call);
    if (is_early(e, bucket, c) || (s.unknown && asks_later(e, c)))
        return false;
    if (!s.unknown)
        heed(e, bucket, c, &s);
    else if (c && owner_is_mine(e, c->bucket))
        ask(e, c);
    return true;
}

void owner_over_heard(struct engine *e, uint16_t bucket, struct slice bytes) {
    struct overs *o = &e->overs;
    if (take(e, bucket, bytes) || o->used == OVERS_MAX || bytes.n > OVER_LEN)
        return;
    struct over *x = &o->items[o->used++];
    *x = (struct over){ .until_us = e->now + WAIT_US, .bucket = bucket, .len = (uint8_t)bytes.n };
    memcpy(x->text, bytes.p, bytes.n);
    if (!wheel_is_set(&o->timer))
        wheel_set(&e->wheel, &o->timer, e->now + LOOK_US);
}

void owner_over_on_timer(struct engine *e) {
    struct overs *o = &e->overs;
    uint32_t n = o->used;
    o->used = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct over x = o->items[i];
        if (e->now < x.until_us && !take(e, x.bucket, slice_of(x.text, x.len)))
            o->items[o->used++] = x;
    }
    if (o->used)
        wheel_set(&e->wheel, &o->timer, e->now + LOOK_US);
}
