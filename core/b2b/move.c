/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The side that a call goes away from; move_arrive.c is the other one. */
#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/move_state.h"
#include "core/b2b/moved.h"
#include "core/b2b/owner.h"
#include "core/b2b/party.h"
#include "core/b2b/record.h"
#include "core/b2b/recover.h"
#include "core/b2b/transfer.h"
#include "core/b2b/wire.h"

#define LOOK_US 50000      /* is it stable now? */
#define LOOK_AT_READ_US 10000
#define ANSWER_US 1000000  /* of the other engine, which gives up later than we do (GO_US) */

void move_init(struct engine *e, struct arena *a) {
    pool_init(&e->moves, a, e->cfg.shared ? MOVES_MAX : 0, sizeof(struct move));
}

struct move *move_new(struct engine *e, enum move_state state) {
    handle h;
    struct move *m = pool_alloc(&e->moves, &h);
    if (!m)
        return NULL;
    m->self = m->timer.owner = h;
    m->timer.kind = TIMER_MOVE;
    m->state = (uint8_t)state;
    return m;
}

void move_free(struct engine *e, struct move *m) {
    wheel_cancel(&e->wheel, &m->timer);
    buf_unref(&e->bufs, &m->body);
    pool_free(&e->moves, m->self);
}

struct move *move_find(struct engine *e, uint64_t id) {
    uint32_t cursor = 0;
    handle h;
    for (struct move *m; (m = pool_next(&e->moves, &cursor, &h));)
        if (m->id == id)
            return m;
    return NULL;
}

void move_say(struct engine *e, enum peer_kind what, uint32_t to, uint64_t id) {
    char text[MOVE_ID_LEN];
    struct sbuf b = sbuf_on(text, sizeof text);
    sbuf_hex(&b, id, MOVE_ID_LEN);
    peer_send(e, what, to, 0, sbuf_slice(&b));
}

/* ---- when ---- */

/* Where the named dialog is. False: nowhere else. A REFER that has come here for its sake with its call goes on only
 * where a stub leads from here: its token names who has sent the call, and would for ever. */
static bool consult_bucket(struct engine *e, const struct leg *l, const struct sip_msg *msg,
                           const struct sip_replaces *p, uint16_t *bucket) {
    struct steer s = { .by = STEER_TAG };
    if (leg_find_named(e, p->call_id, p->to_tag, p->from_tag) ||
        leg_ended_lately(e, p->call_id, p->to_tag, p->from_tag))
        return false;
    if (!steer_token(&e->owners.steering, p->to_tag, &s.token) &&
        !steer_token(&e->owners.steering, p->from_tag, &s.token))
        return false;
    *bucket = s.bucket = e->move_body ? leg_call(e, l)->bucket : s.token.bucket;
    if (owner_is_mine(e, *bucket)) {
        uint16_t moved = moved_to(e, *bucket, &s, msg);
        *bucket = moved < TOKEN_BUCKETS ? moved : *bucket;
    }
    return !owner_is_mine(e, *bucket);
}

static void refuse(struct engine *e, struct move *m, uint16_t status) {
    struct leg *l = leg_get(e, m->leg);
    const struct sip_msg *msg = l ? wire_request_again(e, m->txn) : NULL;
    struct refer r = { .status = status };
    if (msg) {
        struct uas_response resp = { .status = status, .to_tag = leg_str(l, DLG_LOCAL_TAG),
                                     .extra = SL("Retry-After: 2\r\n") };
        refer_note_refusal(e, l, leg_str(l, LEG_PRINCIPAL), msg, &r);
        wire_respond(e, m->txn, msg, &resp, l);
    }
    move_free(e, m);
}

/* The consultation's bucket has come here meanwhile. */
static void handle_here(struct engine *e, struct move *m) {
    struct leg *l = leg_get(e, m->leg);
    const struct sip_msg *msg = wire_request_again(e, m->txn);
    handle txn = m->txn;
    move_free(e, m);
    if (l && msg)
        transfer_on_refer(e, l, msg, txn);
}

static bool encode(struct engine *e, const struct call *c, struct slice *out) {
    struct sbuf b = ua_body(&e->ua);
    bool ok = record_encode(e, c, &b) && !b.overflow;
    *out = sbuf_slice(&b);
    return ok;
}

static struct key128 digest(const struct engine *e, struct slice record) {
    return siphash128(e->map_key, record.p, record.n);
}

static bool offer(struct engine *e, struct move *m, const struct call *c) {
    struct slice record, request = m->as_read ? SLICE_NONE : txn_request(&e->txns, m->txn);
    if (!encode(e, c, &record))
        return false;
    struct buf *b = buf_get(&e->bufs, MOVE_HEAD_LEN + record.n + request.n);
    const struct txn *t = m->as_read ? NULL : txn_get(&e->txns, m->txn);
    struct out *o = b && (t || m->as_read) ? outbox_add(e->out, OUT_PEER) : NULL;
    if (!o) {
        buf_unref(&e->bufs, &b);
        return false;
    }
    struct sbuf s = sbuf_on(b->data, b->cap);
    m->id = rng_u64(&e->rng);
    m->digest = digest(e, record);
    m->offered_us = e->now;
    m->offered_ms = e->wall_ms;
    sbuf_hex(&s, m->id, MOVE_ID_LEN);
    sbuf_hex(&s, c->id, MOVE_ID_LEN);
    sbuf_hex(&s, c->bucket, LIMIT_BUCKET_DIGITS);
    sbuf_hex(&s, record.n, MOVE_SIZE_LEN);
    sbuf_put(&s, record);
    sbuf_put(&s, request);
    b->len = s.n;
    o->u.peer.what = PEER_MOVE;
    o->u.peer.to = owner_peer(e, m->bucket);
    o->u.peer.bucket = m->bucket;
    if (t) {
        o->u.peer.src = txn_src(t);
        o->u.peer.dst = t->local;
    }
    o->u.peer.buf = b;
    m->peer = o->u.peer.to;
    metrics_add(&e->metrics, M_peer_out, 1);
    return true;
}

/* The call is at rest: as its record says, and nothing else. */
static bool may_leave(struct engine *e, const struct move *m, const struct call *c) {
    if (!m->as_read)
        return !txn_is_done(&e->txns, m->txn) && owner_is_stable(e, c, m->txn);
    return c->resuming && !c->resume_ready && !c->dirty && !c->rewrite && !barrier_holds(c);
}

/* One that was read only follows: whose the bucket should be claims it by itself. */
static bool send_offer(struct engine *e, struct move *m, const struct call *c) {
    if (e->owners.of[m->bucket] == OWNER_NOBODY && !m->as_read)
        owner_ask(e, m->bucket);
    return owner_peer(e, m->bucket) != PEER_NONE && !e->barrier.down && may_leave(e, m, c) && offer(e, m, c);
}

/* It has just been read, and waits to go on at its transfer, or here. */
static void try_read(struct engine *e, struct move *m) {
    struct call *c = call_get(e, m->call);
    bool stays = e->now >= m->until_us || owner_is_mine(e, m->bucket) || e->owners.of[m->bucket] == OWNER_LOADING;
    if (!c || !c->resuming || stays) {
        move_free(e, m);
        if (c && c->resuming)
            recover_resume_here(e, c);
        return;
    }
    bool sent = send_offer(e, m, c);
    m->state = sent ? MOVE_OFFERED : MOVE_WAITS;
    wheel_set(&e->wheel, &m->timer, e->now + (sent ? ANSWER_US : LOOK_AT_READ_US));
}

static void try(struct engine *e, struct move *m) {
    const struct call *c = call_get(e, m->call);
    const struct leg *l = leg_get(e, m->leg);
    if (!c || !leg_is_up(l) || txn_is_done(&e->txns, m->txn)) {
        if (l && !leg_is_up(l))
            refuse(e, m, 481);
        else
            move_free(e, m);
        return;
    }
    if (owner_is_mine(e, m->bucket)) {
        handle_here(e, m);
        return;
    }
    if (e->now >= m->until_us) {
        refuse(e, m, 503);
        return;
    }
    bool sent = send_offer(e, m, c);
    m->state = sent ? MOVE_OFFERED : MOVE_WAITS;
    wheel_set(&e->wheel, &m->timer, e->now + (sent ? ANSWER_US : LOOK_US));
}

bool move_refer(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn, const struct refer *r) {
    uint16_t bucket;
    if (!owner_is_shared(e) || !r->has_replaces || !consult_bucket(e, l, msg, &r->replaces, &bucket))
        return false;
    struct move *m = move_new(e, MOVE_WAITS);
    if (!m) {
        metrics_add(&e->metrics, M_pool_full, 1);
        return false;
    }
    m->call = l->call;
    m->leg = l->self;
    m->txn = txn;
    m->bucket = bucket;
    m->until_us = e->now + MOVE_PATIENCE_US;
    wheel_set(&e->wheel, &m->timer, e->now); /* when this step's records are written */
    return true;
}

static bool is_leaving(struct engine *e, handle call) {
    uint32_t cursor = 0;
    handle h;
    for (const struct move *m; (m = pool_next(&e->moves, &cursor, &h));)
        if (m->as_read && m->call == call && m->state < MOVE_ARRIVING)
            return true;
    return false;
}

/* It has no transfer of its own, or one that nobody else has to do with any more. */
static bool is_free(const struct engine *e, const struct call *c) {
    const struct transfer *t = transfer_get(e, c->transfer);
    struct leg *legs[PARTY_LEGS_MAX];
    if (!t)
        return true;
    if (t->mode == MODE_RELAY || !transfer_is_decided(t) || transfer_awaits_party(t))
        return false;
    for (unsigned i = party_legs(e, t, legs); i; i--)
        if (legs[i - 1]->call != c->self)
            return false;
    return true;
}

bool move_to_transfer(struct engine *e, const struct call *c) {
    uint16_t bucket;
    if (!owner_is_shared(e) || !is_free(e, c) || !record_transfer_bucket(e, c, &bucket) ||
        owner_is_mine(e, bucket) || e->owners.of[bucket] == OWNER_LOADING)
        return false;
    struct move *m = is_leaving(e, c->self) ? NULL : move_new(e, MOVE_WAITS);
    if (!m)
        return is_leaving(e, c->self);
    m->as_read = true;
    m->call = c->self;
    m->bucket = bucket;
    m->until_us = e->now + MOVE_READ_US;
    wheel_set(&e->wheel, &m->timer, e->now); /* when this step's records are written */
    return true;
}

void move_told(struct engine *e, uint16_t bucket) {
    uint32_t cursor = 0;
    handle h;
    for (struct move *m; (m = pool_next(&e->moves, &cursor, &h));)
        if (m->state == MOVE_OFFERED && m->bucket == bucket && m->peer != owner_peer(e, bucket)) {
            m->state = MOVE_WAITS;
            wheel_set(&e->wheel, &m->timer, e->now);
        }
}

/* ---- away ---- */

static bool has_room_for_stubs(const struct engine *e, const struct call *c) {
    return e->moved.stubs.count - e->moved.stubs.used >= c->leg_count && e->out->n < OUTBOX_MAX / 2;
}

/* A record's times are of the wall's clock, to the millisecond: read at another moment they differ by one. */
static bool encodes_as_offered(struct engine *e, const struct move *m, const struct call *c) {
    struct slice record;
    uint64_t now = e->now, wall = e->wall_ms;
    e->now = m->offered_us;
    e->wall_ms = m->offered_ms;
    bool ok = encode(e, c, &record);
    e->now = now;
    e->wall_ms = wall;
    return ok && key128_eq(digest(e, record), m->digest);
}

/* As it was offered, and at rest. */
static bool is_unchanged(struct engine *e, const struct move *m, const struct call *c) {
    return c && may_leave(e, m, c) && encodes_as_offered(e, m, c);
}

/* The last stub's answer says that all are there. False: there is none. */
static bool put_stubs(struct engine *e, struct move *m, const struct call *c) {
    uint32_t first = e->out->n;
    m->stub_count = 0;
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        moved_put_leg(e, l, c->bucket, m->bucket, c->id);
        m->stubs[m->stub_count++] = moved_hold(e, l, c->bucket, e->now + MOVE_BUDGET_US);
    }
    if (e->out->n == first)
        return false;
    e->out->entries[e->out->n - 1].u.store.ticket = move_ticket(m);
    return true;
}

static void wait_again(struct engine *e, struct move *m) {
    m->state = MOVE_WAITS;
    wheel_set(&e->wheel, &m->timer, e->now + LOOK_US);
}

/* It stays, whatever the store did: our word not to go on with it is behind the stubs there. The next attempt has
 * another ticket. */
static void take_back(struct engine *e, struct move *m) {
    struct move was = *m;
    move_say(e, PEER_NO, m->peer, m->id);
    for (unsigned i = 0; i < m->stub_count; i++)
        moved_take_back(e, m->stubs[i]);
    move_free(e, m);
    m = move_new(e, MOVE_WAITS);
    m->as_read = was.as_read;
    m->call = was.call;
    m->leg = was.leg;
    m->txn = was.txn;
    m->bucket = was.bucket;
    m->until_us = was.until_us;
    wait_again(e, m);
}

void move_arrived(struct engine *e, struct move *m) {
    const struct call *c = call_get(e, m->call);
    if (m->state != MOVE_OFFERED)
        return;
    if (e->now > m->offered_us + ANSWER_US || !is_unchanged(e, m, c) || !has_room_for_stubs(e, c)) {
        move_say(e, PEER_NO, m->peer, m->id);
        wait_again(e, m);
        return;
    }
    m->state = MOVE_STUBBED;
    wheel_set(&e->wheel, &m->timer, e->now + MOVE_BUDGET_US);
    if (!put_stubs(e, m, c))
        take_back(e, m);
}

static void put_go(const struct engine *e, const struct move *m, const struct call *c, struct sbuf *b) {
    sbuf_hex(b, m->id, MOVE_ID_LEN);
    for (unsigned i = 0; owner_is_sibling(e, m->peer) && i < c->leg_count * LEG_STREAMS; i++) {
        const struct leg_stream *s = leg_get(e, c->legs[i / LEG_STREAMS])->media.streams[i % LEG_STREAMS];
        if (s->open)
            sbuf_hex(b, s->slot, MOVE_PAIR_LEN);
    }
}

static void go(struct engine *e, struct move *m, struct call *c) {
    char text[MOVE_GO_MAX];
    struct sbuf b = sbuf_on(text, sizeof text);
    put_go(e, m, c, &b);
    record_delete(e, c);
    trace_text(&e->trace, TRACE_INFO, "call", c->id, 0xff, SL("moved to another engine"));
    metrics_add(&e->metrics, M_calls_moved, 1);
    owner_forget_call(e, c, m->peer);
    peer_send(e, PEER_GO, m->peer, 0, sbuf_slice(&b));
    /* What follows it arrives behind it. */
    for (unsigned i = 0; i < m->stub_count; i++)
        moved_release(e, m->stubs[i]);
    move_free(e, m);
}

static void on_stubbed(struct engine *e, struct move *m, const struct event *ev) {
    enum store_status status = ev->u.store.status;
    if (status != STORE_OK)
        metrics_add(&e->metrics, M_store_failures, 1);
    call_reap(e);
    struct call *c = call_get(e, m->call);
    if (status == STORE_OK && is_unchanged(e, m, c)) {
        go(e, m, c);
        return;
    }
    take_back(e, m);
    /* Another owner of the old bucket has read the call's record. */
    if (status == STORE_FENCED && c && e->cfg.node && ev->u.store.node != e->cfg.node)
        recover_forget(e, c);
}

void move_refused(struct engine *e, struct move *m) {
    if (m->state == MOVE_OFFERED)
        wait_again(e, m);
}

/* ---- both sides ---- */

void move_on_timer(struct engine *e, handle h) {
    struct move *m = pool_get(&e->moves, h);
    if (!m)
        return;
    call_reap(e);
    bool is_here = m->state == MOVE_WAITS || m->state == MOVE_OFFERED;
    if (is_here && m->as_read)
        try_read(e, m);
    else if (is_here)
        try(e, m);
    else if (m->state == MOVE_STUBBED)
        take_back(e, m);
    else
        arrive_on_timer(e, m);
}

bool move_on_store(struct engine *e, const struct event *ev) {
    if (!ev->u.store.ticket || ticket_part(ev->u.store.ticket) != TICKET_OWNER)
        return false;
    struct move *m = pool_get(&e->moves, ticket_handle(ev->u.store.ticket));
    if (m && m->state == MOVE_STUBBED)
        on_stubbed(e, m, ev);
    else if (m)
        arrive_on_store(e, m, ev);
    return true;
}
