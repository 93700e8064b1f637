/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/owner.h"

#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/hand.h"
#include "core/b2b/media.h"
#include "core/b2b/media_ports.h"
#include "core/b2b/move.h"
#include "core/b2b/move_left.h"
#include "core/b2b/moved.h"
#include "core/b2b/owner_over.h"
#include "core/b2b/record.h"
#include "core/b2b/recover.h"
#include "core/b2b/registrar.h"
#include "core/b2b/transfer.h"
#include "core/b2b/unread.h"
#include "core/base/member.h"
#include "parser/sip_hdr.h"

void owner_init(struct engine *e) {
    struct owners *o = &e->owners;
    memcpy(&o->steering.key, e->cfg.secret, sizeof o->steering.key);
    o->steering.cluster = (uint8_t)e->cfg.cluster_id;
    o->shared = e->cfg.shared;
    o->timer.kind = TIMER_OWNER;
    e->reread_timer.kind = TIMER_REREAD;
    e->overs.timer.kind = TIMER_OVER;
    e->left_timer.kind = TIMER_LEFT;
    for (uint32_t i = 0; o->shared && i < LIMIT_BUCKETS; i++)
        o->of[i] = OWNER_NOBODY;
}

uint32_t owner_peer(const struct engine *e, uint16_t bucket) {
    uint32_t of = e->owners.of[bucket];
    return of == OWNER_NOBODY || of == OWNER_LOADING ? PEER_NONE : of;
}

/* ---- to other engines ---- */

static struct out *peer_out(struct engine *e, enum peer_kind what, uint32_t to, uint16_t bucket, struct slice bytes) {
    struct out *o = outbox_add(e->out, OUT_PEER);
    struct buf *b = o && bytes.n ? buf_copy(&e->bufs, bytes) : NULL;
    if (!o)
        return NULL;
    o->u.peer.what = what;
    o->u.peer.to = to;
    o->u.peer.bucket = bucket;
    o->u.peer.buf = b;
    if (bytes.n && !b) {
        metrics_add(&e->metrics, M_pool_full, 1);
        e->out->n--;
        return NULL;
    }
    metrics_add(&e->metrics, M_peer_out, 1);
    return o;
}

void peer_send(struct engine *e, enum peer_kind what, uint32_t to, uint16_t bucket, struct slice bytes) {
    (void)peer_out(e, what, to, bucket, bytes);
}

void peer_pass(struct engine *e, const struct event *in, uint32_t to, uint16_t bucket) {
    struct out *o = e->owners.hops < OWNER_HOPS_MAX
                        ? peer_out(e, PEER_DATAGRAM, to, bucket, in->u.dgram.bytes)
                        : NULL;
    if (!o) {
        metrics_add(&e->metrics, M_peer_dropped, 1);
        return;
    }
    o->u.peer.hops = (uint8_t)(e->owners.hops + 1);
    o->u.peer.src = in->u.dgram.src;
    o->u.peer.dst = in->u.dgram.dst;
}

/* ---- messages ---- */

void owner_ask(struct engine *e, uint16_t bucket) {
    struct out *o = outbox_add(e->out, OUT_BUCKET);
    if (!o)
        return;
    o->u.bucket.what = BUCKET_ASKED;
    o->u.bucket.bucket = bucket;
}

/* True: nothing else is to be done with it. */
static bool wait_or_drop(struct engine *e, const struct event *in) {
    if (!owner_wait_put(e, in))
        metrics_add(&e->metrics, M_peer_dropped, 1);
    return true;
}

/* What is loading, or asked for, waits. Who passes it on to who he is believed to be has given the bucket away, or is
 * about to get it: until there is word of either. */
static bool take_or_pass(struct engine *e, const struct event *in, uint16_t bucket) {
    uint32_t of = e->owners.of[bucket];
    bool gone = of != PEER_NONE && of == e->owners.from && bucket == e->owners.here;
    if (of == OWNER_MINE) {
        e->owners.here = bucket;
        return true;
    }
    if (of != OWNER_LOADING && of != OWNER_NOBODY && !gone) {
        e->owners.here = bucket;
        peer_pass(e, in, of, bucket);
        return false;
    }
    (void)wait_or_drop(e, in);
    if (of != OWNER_LOADING && !e->wait.tries)
        owner_ask(e, bucket);
    e->owners.here = bucket;
    return false;
}

/* The dialog that an INVITE outside of it is to replace, or a REFER is for (RFC 3891, 4538). */
static bool names_dialog(const struct engine *e, const struct sip_msg *msg, struct sip_replaces *r, struct steer *s) {
    const struct sip_hdr *h = NULL;
    bool ok = false;
    if (!msg->is_request || msg->to_tag.p)
        return false;
    if (msg->method == SIP_M_INVITE && (h = sip_hdr_first(msg, SIP_H_REPLACES)))
        ok = sip_replaces_parse(h->value, r) >= 0;
    else if (msg->method == SIP_M_REFER && (h = sip_hdr_first(msg, SIP_H_TARGET_DIALOG)))
        ok = sip_target_dialog_parse(h->value, r) >= 0;
    s->by = STEER_TAG;
    ok = ok && (steer_token(&e->owners.steering, r->to_tag, &s->token) ||
                steer_token(&e->owners.steering, r->from_tag, &s->token));
    s->bucket = s->token.bucket;
    return ok;
}

/* In which bucket it is looked for. `home`: that of the message without regard to the dialog. The dialog may have moved
 * here. Or the owner of its token's bucket has sent the message to another bucket, here, by a stub: then it is there or
 * nowhere, and back at that owner the message would only be sent here again. */
static uint16_t where_to_look(const struct engine *e, const struct sip_replaces *r, uint16_t bucket, uint16_t home) {
    const struct leg *l = leg_find_named(e, r->call_id, r->to_tag, r->from_tag);
    uint32_t from = e->owners.hops ? e->owners.from : PEER_NONE;
    uint16_t here = e->owners.here;
    if (l && owner_is_mine(e, leg_call(e, l)->bucket))
        return leg_call(e, l)->bucket;
    return from != PEER_NONE && e->owners.of[bucket] == from && here != bucket && here != home ? here : bucket;
}

/* Where such a dialog is, the whole message goes; what belongs to the same INVITE follows by its Call-ID. */
static bool goes_to_dialog(struct engine *e, const struct event *in, const struct sip_msg *msg, uint16_t home) {
    struct sip_replaces r;
    struct steer s;
    if (!names_dialog(e, msg, &r, &s))
        return false;
    uint16_t at = where_to_look(e, &r, s.bucket, home);
    uint16_t moved = owner_is_mine(e, at) ? moved_to(e, at, &s, msg) : TOKEN_BUCKETS;
    uint16_t bucket = moved < TOKEN_BUCKETS ? moved : at;
    if (moved == MOVED_HELD)
        return wait_or_drop(e, in);
    if (owner_is_mine(e, bucket))
        return false;
    if (msg->method == SIP_M_INVITE)
        moved_put_call_id(e, msg->call_id, e->owners.here, bucket);
    (void)take_or_pass(e, in, bucket);
    return true;
}

/* A probe asks about this node; a response without a token of ours is nobody's. */
static bool is_for_whoever_gets_it(const struct sip_msg *msg, const struct steer *s) {
    return s->by == STEER_HASH && (!msg->is_request || (msg->method == SIP_M_OPTIONS && !msg->to_tag.p));
}

static const struct leg *leg_of(const struct engine *e, const struct sip_msg *msg) {
    return msg->is_request ? leg_find_request(e, msg) : leg_find_local(e, msg->call_id, msg->from_tag);
}

/* Its own, but where somebody else has said whose it is, or the dialog is one that has moved here. That one's word
 * comes first of what is in no dialog. */
static uint16_t bucket_of(const struct engine *e, const struct steer *s, const struct sip_msg *msg) {
    bool said = e->owners.hops && owner_is_mine(e, e->owners.here);
    if (said && msg->is_request && (!msg->to_tag.p || s->by == STEER_HASH))
        return e->owners.here;
    if (owner_is_mine(e, s->bucket))
        return s->bucket;
    if (said)
        return e->owners.here;
    const struct leg *l = leg_of(e, msg);
    if (l)
        return leg_call(e, l)->bucket;
    /* Though that is not ours, or not yet: who has its own bucket, and said so, would only send it here again. */
    return e->owners.hops ? e->owners.here : s->bucket;
}

/* It has come back by way of another engine: the stub that leads there is of before. */
static bool is_here(const struct engine *e, const struct sip_msg *msg) {
    const struct leg *l = leg_find_local(e, msg->call_id, msg->is_request ? msg->to_tag : msg->from_tag);
    return l && owner_is_mine(e, leg_call(e, l)->bucket);
}

/* Its leg had moved here, and has ended, and its stubs have gone: nobody else knows what it is. */
static bool answers_ended(const struct engine *e, uint16_t bucket, const struct sip_msg *msg) {
    if (msg->is_request || owner_is_mine(e, bucket))
        return false;
    const struct txn *t = txn_find_client(&e->txns, msg);
    return t && !leg_get(e, t->ctx);
}

bool owner_takes(struct engine *e, const struct event *in, const struct sip_msg *msg) {
    struct owners *o = &e->owners;
    struct steer s = steer_msg(&o->steering, msg);
    if (o->suspended) {
        metrics_add(&e->metrics, M_peer_dropped, 1);
        return false;
    }
    if (is_for_whoever_gets_it(msg, &s) || answers_ended(e, s.bucket, msg))
        return true;
    uint16_t bucket = bucket_of(e, &s, msg);
    uint16_t moved = owner_is_mine(e, bucket) ? moved_to(e, bucket, &s, msg) : TOKEN_BUCKETS;
    if (moved == MOVED_HELD)
        return !wait_or_drop(e, in);
    if (moved < TOKEN_BUCKETS && moved != bucket)
        return is_here(e, msg) || take_or_pass(e, in, moved);
    uint16_t handed = bucket == s.bucket && owner_is_mine(e, bucket) ? hand_where(e, &s, msg) : TOKEN_BUCKETS;
    if (handed < TOKEN_BUCKETS)
        return take_or_pass(e, in, handed);
    return take_or_pass(e, in, bucket) && !goes_to_dialog(e, in, msg, s.bucket);
}

/* ---- buckets that are lost ---- */

static bool is_held(const struct engine *e, uint16_t bucket) {
    return owner_is_mine(e, bucket) || e->owners.of[bucket] == OWNER_LOADING;
}

/* The relay goes on as long as nobody else gets the ports: the new owner re-anchors meanwhile, once no transfer is in
 * its way. What came here with a call from another shard has to go home. */
static void leave_ports(struct engine *e, const struct call *c, struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        struct leg_stream *s = l->media.streams[i];
        if (!s->open)
            continue;
        if (port_pool_is_guest(&e->ports, s->slot))
            media_close_stream(e, s);
        else if (port_pool_leave(&e->ports, s->slot, s->generation, e->now))
            moved_left_port(e, l, c->bucket, s->slot, s->generation);
        s->open = false;
    }
}

/* `along`: its ports go with it. */
static void forget(struct engine *e, struct call *c, bool along) {
    const struct transfer *t = transfer_get(e, c->transfer);
    if (t)
        transfer_tell_lost(e, t);
    owner_over_forget(e, c);
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        if (along)
            media_leave(e, l);
        else
            leave_ports(e, c, l);
    }
    if (c->record_stored)
        e->records--;
    c->record_stored = false;
    if (e->owners.of[c->bucket] == OWNER_LOADING)
        e->owners.since[c->bucket] = 0;
    record_drop(e, c);
}

static const struct call *call_of_txn(const struct engine *e, const struct txn *t) {
    const struct leg *l = leg_get(e, t->ctx);
    return l ? leg_call(e, l) : NULL;
}

bool owner_is_sibling(const struct engine *e, uint32_t peer) {
    return e->cfg.shards > 1 && peer != PEER_NONE && (!e->cfg.node || member_is_sibling(e->cfg.node, peer));
}

void owner_forget_call(struct engine *e, struct call *c, uint32_t heir) {
    uint32_t cursor = 0;
    handle h;
    for (struct txn *t; (t = pool_next(&e->txns.pool, &cursor, &h));)
        if (call_of_txn(e, t) == c)
            txn_drop(&e->txns, h);
    forget(e, c, owner_is_sibling(e, heir));
}

/* It may have been sent before its leg was joined to a call of another bucket, which goes on with it. */
static void goes_with(struct txn *t, const struct call *c) {
    struct txn_open *o = txn_open_of(t);
    if (o && o->bucket)
        o->bucket = call_mark(c);
}

/* Of a leg that has ended what waits for an answer would be sent again, or cancelled, beside what the next owner sends
 * in the dialog, and the refusal of a re-INVITE beside what that one answers, until its ACK, which goes there. The ACK
 * to what has an answer is still given. */
static bool is_of_lost(const struct engine *e, const struct txn *t) {
    const struct call *c = call_of_txn(e, t);
    const struct txn_open *o = txn_open_of(t);
    if (c)
        return !is_held(e, c->bucket);
    return o && o->bucket && !is_held(e, (uint16_t)(o->bucket - 1));
}

void owner_forget_lost(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    e->owners.lost = false;
    for (struct txn *t; (t = pool_next(&e->txns.pool, &cursor, &h));) {
        const struct call *c = call_of_txn(e, t);
        if (is_of_lost(e, t))
            txn_drop(&e->txns, h);
        else if (c)
            goes_with(t, c);
    }
    cursor = 0;
    for (struct call *c; (c = pool_next(&e->calls, &cursor, &h));)
        if (!is_held(e, c->bucket)) {
            metrics_add(&e->metrics, M_calls_yielded, 1);
            if (c->stored != c->version)
                owner_over_say(e, owner_peer(e, c->bucket), c);
            forget(e, c, e->cfg.shards > 1 && !e->cfg.node);
        }
    moved_forget_lost(e);
    unread_forget_lost(e);
    move_forget_lost(e);
}

/* ---- decisions of the lease ---- */

static void keep(struct engine *e, uint16_t bucket) {
    struct owners *o = &e->owners;
    o->giving -= o->next[bucket] != PEER_NONE;
    o->next[bucket] = PEER_NONE;
}

static void not_ours(struct engine *e, uint16_t bucket, uint32_t peer, uint64_t epoch) {
    struct owners *o = &e->owners;
    bool news = peer != PEER_NONE && peer != o->of[bucket];
    o->lost = o->lost || is_held(e, bucket);
    keep(e, bucket);
    o->epoch[bucket] = 0;
    o->of[bucket] = peer == PEER_NONE ? OWNER_NOBODY : peer;
    if (peer != PEER_NONE && e->hang_ups.used)
        owner_over_tell(e, bucket, peer);
    if (peer != PEER_NONE && e->arrivals.used)
        move_left_tell(e, bucket, epoch, news);
}

/* By an epoch that is not above ours the bucket was not claimed behind us: a promoted server has not seen our claim,
 * and whose it is has read nothing that we have stored. Calls go on while the bucket's other records are still read. */
static void say_undone(struct engine *e, uint16_t bucket, uint64_t epoch, uint32_t peer) {
    uint32_t cursor = 0;
    if (!is_held(e, bucket) || epoch > owner_epoch(e, bucket))
        return;
    for (struct call *c; (c = chain_next(&e->calls_by_bucket, bucket, &cursor));)
        if (c->bucket == bucket && c->stored == c->version)
            owner_over_say(e, peer, c); /* of the others it is said in any case */
}

/* The call of this record, which is here by now, in another bucket. */
static struct call *elsewhere(const struct engine *e, struct slice key, uint16_t bucket) {
    uint32_t cursor = 0;
    uint64_t id;
    if (!slice_hex(key, &id))
        return NULL;
    for (struct call *c; (c = chain_next(&e->calls_by_id, id, &cursor));)
        if (c->bucket != bucket && c->id == id)
            return c;
    return NULL;
}

/* Stubs that its owner did not come to. */
static void complete_stubs(struct engine *e, const struct call *c, uint16_t from, uint16_t to) {
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        if (moved_where(e, l, from, c->id) == TOKEN_BUCKETS)
            moved_put_leg(e, l, from, to, c->id);
    }
}

static bool stubs_lead_away(struct engine *e, const struct event *ev) {
    uint16_t from = ev->u.bucket.bucket, to = TOKEN_BUCKETS;
    enum record_error r;
    struct call *c = elsewhere(e, ev->u.bucket.key, from);
    if (c) {
        complete_stubs(e, c, from, c->bucket);
        return true;
    }
    r = record_peek(e, ev->u.bucket.value, &c);
    if (r != RECORD_OK)
        return false;
    to = move_left_where(e, c, from);
    for (unsigned i = 0; i < c->leg_count && to == TOKEN_BUCKETS; i++)
        to = moved_where(e, leg_get(e, c->legs[i]), from, c->id);
    if (to != TOKEN_BUCKETS)
        complete_stubs(e, c, from, to);
    record_drop(e, c);
    return to != TOKEN_BUCKETS;
}

static void delete_record(struct engine *e, const struct event *ev) {
    struct out *o = outbox_add(e->out, OUT_STORE);
    if (!o)
        return;
    o->u.store = (struct store_op){ .verb = STORE_DELETE, .bucket = ev->u.bucket.bucket, .table = SL("call") };
    o->u.store.key = buf_copy(&e->bufs, ev->u.bucket.key);
    owner_fence(e, &o->u.store);
}

/* Its former owner died between the stubs and the end of the record, the call being where they lead; or it could write
 * neither, and the call is here, or where it has gone one says so. */
void owner_on_call_record(struct engine *e, const struct event *ev) {
    bool moved = (e->moved.stubs.used || e->left_elsewhere.used) && stubs_lead_away(e, ev);
    uint64_t written = ev->u.bucket.written;
    enum record_error r = moved ? RECORD_OK : recover_record(e, ev->u.bucket.key, ev->u.bucket.value, written);
    struct call *c = NULL;
    unread_note(e, ev->u.bucket.bucket, ev->u.bucket.key, r);
    if (r == RECORD_EXISTS)
        c = elsewhere(e, ev->u.bucket.key, ev->u.bucket.bucket);
    if (c)
        complete_stubs(e, c, ev->u.bucket.bucket, c->bucket);
    if (moved || c)
        delete_record(e, ev);
}

static void on_record(struct engine *e, const struct event *ev) {
    struct slice table = ev->u.bucket.table;
    if (slice_eq(table, SL("moved")))
        moved_on_record(e, ev->u.bucket.bucket, ev->u.bucket.key, ev->u.bucket.value);
    else if (slice_eq(table, SL("aor")))
        registrar_learn(e, ev->u.bucket.key, ev->u.bucket.value);
    else if (slice_eq(table, SL("arriving")))
        move_on_record(e, ev->u.bucket.bucket, ev->u.bucket.value, ev->u.bucket.written);
    else if (slice_eq(table, SL("call")))
        owner_on_call_record(e, ev);
}

static void rewrite_all(struct engine *e, uint16_t bucket) {
    uint32_t cursor = 0;
    for (struct call *c; (c = chain_next(&e->calls_by_bucket, bucket, &cursor));)
        if (c->bucket == bucket)
            call_changed(e, c);
    moved_rewrite(e, bucket);
}

/* Again, if it was so already: the epoch rose. */
static void on_loading(struct engine *e, const struct event *ev) {
    struct owners *o = &e->owners;
    uint16_t b = ev->u.bucket.bucket;
    if (o->of[b] != OWNER_LOADING || o->since[b])
        o->since[b] = ev->u.bucket.since;
    o->of[b] = OWNER_LOADING;
    o->epoch[b] = ev->u.bucket.epoch;
}

void owner_on_bucket(struct engine *e, const struct event *ev) {
    struct owners *o = &e->owners;
    uint16_t b = ev->u.bucket.bucket;
    uint64_t epoch = ev->u.bucket.epoch;
    bool held = false;
    if (!o->shared || b >= LIMIT_BUCKETS)
        return;
    if (o->lost && (ev->u.bucket.what == BUCKET_LOADING || ev->u.bucket.what == BUCKET_MINE))
        owner_forget_lost(e); /* what it held of it before is older than what it reads now */
    switch (ev->u.bucket.what) {
    case BUCKET_OWNER:
    case BUCKET_LOST:
        say_undone(e, b, epoch, ev->u.bucket.peer);
        not_ours(e, b, ev->u.bucket.peer, epoch);
        owner_wait_told(e, b, epoch);
        break;
    case BUCKET_LOADING: on_loading(e, ev); break;
    case BUCKET_RECORD: on_record(e, ev); break;
    case BUCKET_MINE:
        held = o->of[b] == OWNER_MINE;
        if (held && epoch > o->epoch[b])
            owner_over_reclaimed(e, b);
        o->of[b] = OWNER_MINE;
        o->epoch[b] = ev->u.bucket.epoch;
        o->since[b] = 0;
        keep(e, b);
        moved_loaded(e, b);
        if (ev->u.bucket.rewrite)
            rewrite_all(e, b);
        recover_reread(e, b, held, ev->u.bucket.rewrite);
        break;
    case BUCKET_GIVE: owner_on_give(e, ev); break;
    }
    o->told[b] = epoch > o->told[b] ? epoch : o->told[b];
    if (e->moves.used)
        move_told(e, b);
}
