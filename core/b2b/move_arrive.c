/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The side that a call comes to. */
#include "core/b2b/call.h"
#include "core/b2b/media_ports.h"
#include "core/b2b/move_left.h"
#include "core/b2b/move_state.h"
#include "core/b2b/moved.h"
#include "core/b2b/owner.h"
#include "core/b2b/party.h"
#include "core/b2b/record.h"
#include "core/b2b/wire.h"

#define GO_US 2000000          /* of the other engine; then the store is asked */
#define ASK_AGAIN_US 500000    /* while the store does not answer */
#define LOADING_US 20000       /* while the bucket's records are being read */
#define ASK_US 60000000        /* then the call is taken to have stayed where it was */
#define ARRIVING_MS 120000     /* of the record, for the case that nobody deletes it */
#define SETTLED_US 100000      /* the call's own record is in the store by then, or before it in the queue */

static bool hex(struct slice s, uint32_t at, uint32_t digits, uint64_t *out) {
    return s.n >= at + digits && slice_hex(slice_of(s.p + at, digits), out);
}

struct parts {
    uint64_t id, from;
    struct slice record, request;
};

static bool read_parts(struct slice body, struct parts *p) {
    uint64_t n;
    if (!hex(body, 0, MOVE_ID_LEN, &p->id) || !hex(body, MOVE_BUCKET_AT, LIMIT_BUCKET_DIGITS, &p->from) ||
        !hex(body, MOVE_SIZE_AT, MOVE_SIZE_LEN, &n) || n > body.n - MOVE_HEAD_LEN)
        return false;
    p->record = slice_of(body.p + MOVE_HEAD_LEN, n);
    p->request = slice_of(body.p + MOVE_HEAD_LEN + n, body.n - MOVE_HEAD_LEN - n);
    return true;
}

/* It could be taken now. *token: of its first leg, whose stub decides. */
static bool is_readable(struct engine *e, struct slice record, struct slice *token, char mem[TOKEN_LEN]) {
    struct call *c;
    struct token t;
    if (record_peek(e, record, &c) != RECORD_OK)
        return false;
    struct slice tag = c->leg_count ? leg_str(leg_get(e, c->legs[0]), DLG_LOCAL_TAG) : SLICE_NONE;
    bool ok = tag.n == TOKEN_LEN && token_parse(tag, &t);
    if (ok) {
        memcpy(mem, tag.p, TOKEN_LEN);
        *token = slice_of(mem, TOKEN_LEN);
    }
    record_drop(e, c);
    return ok;
}

static struct out *operation(struct engine *e, const struct move *m, enum store_verb verb, struct slice table) {
    struct out *o = outbox_add(e->out, OUT_STORE);
    if (!o) {
        metrics_add(&e->metrics, M_store_failures, 1);
        return NULL;
    }
    o->u.store.verb = verb;
    o->u.store.ticket = move_ticket(m);
    o->u.store.bucket = m->bucket;
    o->u.store.table = table;
    return o;
}

static void store_arriving(struct engine *e, const struct move *m, const struct parts *p) {
    struct out *o = operation(e, m, STORE_PUT, SL("arriving"));
    struct slice body = buf_slice(m->body);
    if (!o)
        return;
    o->u.store.key = buf_copy(&e->bufs, slice_of(m->key, MOVE_ID_LEN));
    o->u.store.value = buf_copy(&e->bufs, slice_of(body.p, MOVE_HEAD_LEN + p->record.n));
    o->u.store.expires_ms = e->wall_ms + ARRIVING_MS;
    owner_fence(e, &o->u.store);
}

static struct move *arrival(struct engine *e, enum move_state state, uint16_t bucket, struct slice body,
                            const struct parts *p, uint64_t written) {
    struct move *m = move_new(e, state);
    if (!m)
        return NULL;
    m->id = p->id;
    m->bucket = bucket;
    m->written = written;
    m->until_us = e->now + ASK_US;
    m->body = buf_copy(&e->bufs, body);
    memcpy(m->key, body.p + MOVE_ID_LEN, MOVE_ID_LEN);
    if (m->body)
        return m;
    move_free(e, m);
    return NULL;
}

/* ---- it is decided ---- */

static void settle(struct engine *e, struct move *m) {
    buf_unref(&e->bufs, &m->body);
    m->state = MOVE_SETTLED;
    wheel_set(&e->wheel, &m->timer, e->now + SETTLED_US);
}

/* A further attempt with the same call: what it writes is in the place of what those before it wrote. */
static void forget_former(struct engine *e, const struct move *m) {
    uint32_t cursor = 0;
    handle h;
    for (struct move *o; (o = pool_next(&e->moves, &cursor, &h));)
        if (o != m && o->state >= MOVE_ARRIVING && o->bucket == m->bucket && memcmp(o->key, m->key, MOVE_ID_LEN) == 0)
            move_free(e, o);
}

static void delete_arriving(struct engine *e, struct move *m) {
    struct out *o = operation(e, m, STORE_DELETE, SL("arriving"));
    if (o) {
        o->u.store.ticket = 0;
        o->u.store.key = buf_copy(&e->bufs, slice_of(m->key, MOVE_ID_LEN));
        owner_fence(e, &o->u.store);
    }
    move_free(e, m);
}

static void on_move(struct engine *e, const struct event *ev) {
    struct parts p = { 0 };
    struct slice token;
    char mem[TOKEN_LEN];
    uint16_t bucket = ev->u.peer.bucket % LIMIT_BUCKETS;
    struct move *m = NULL;
    e->ports_come = owner_is_sibling(e, ev->u.peer.from);
    if (read_parts(ev->u.peer.bytes, &p) && owner_is_mine(e, bucket) && is_readable(e, p.record, &token, mem))
        m = arrival(e, MOVE_ARRIVING, bucket, ev->u.peer.bytes, &p, owner_epoch(e, bucket));
    e->ports_come = false;
    if (!m) {
        move_say(e, PEER_NO, ev->u.peer.from, p.id);
        return;
    }
    m->peer = ev->u.peer.from;
    m->src = ev->u.peer.src;
    m->dst = ev->u.peer.dst;
    forget_former(e, m);
    store_arriving(e, m, &p);
    wheel_set(&e->wheel, &m->timer, e->now + MOVE_BUDGET_US);
}

/* ---- it is ours ---- */

/* The record is of a call that has seen the REFER; here it has not come yet. */
static void unsee(struct engine *e, struct slice request) {
    struct sip_fault fault;
    struct leg *l = request.n && wire_parse_again(e, request, &fault) >= 0 ? leg_find_request(e, &e->again) : NULL;
    if (l)
        l->dlg.remote_cseq = e->again.cseq - 1;
}

/* Its call's record names the bucket that this one has come from. */
static void tell_transfers(struct engine *e, const struct call *c) {
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct transfer *t = transfer_get(e, leg_get(e, c->legs[i])->transfer);
        if (t && t->call != c->self)
            call_changed(e, call_get(e, t->call));
    }
}

/* Each owner of the bucket since "arriving" was stored, also who stored it, may have gone on with the call: what they
 * could write of it would be here. */
static uint64_t unwritten(const struct engine *e, const struct move *m) {
    uint64_t epoch = owner_epoch(e, m->bucket);
    return m->written && epoch > m->written ? epoch - m->written : 0;
}

/* One that lives in another call here has been in two records: of its stubs the one that brought it here names the call
 * that it has left, which may end before it does. */
static void leg_arrived(struct engine *e, const struct leg *l, uint16_t bucket) {
    if (l->state != LEG_DEAD) {
        moved_arrived(e, l, bucket);
        return;
    }
    const struct leg *living = leg_find_local(e, leg_str(l, DLG_CALL_ID), leg_str(l, DLG_LOCAL_TAG));
    const struct call *c = living ? leg_call(e, living) : NULL;
    if (c)
        (void)moved_put_leg(e, living, bucket, c->bucket, c->id);
}

static bool activate(struct engine *e, const struct move *m) {
    struct parts p = { 0 };
    struct call *c;
    if (!owner_is_mine(e, m->bucket) || !read_parts(buf_slice(m->body), &p) ||
        record_decode(e, p.record, &c) != RECORD_OK) {
        metrics_add(&e->metrics, M_store_failures, 1);
        return false;
    }
    if (move_left_where(e, c, m->bucket) != TOKEN_BUCKETS) {
        record_drop(e, c); /* it was activated, and has gone on since, before "arriving" went */
        return false;
    }
    call_unindex(e, c);
    c->bucket = m->bucket;
    c->arrived = true;
    c->epoch = owner_epoch(e, c->bucket);
    record_pass_unwritten(e, c, unwritten(e, m));
    call_index(e, c);
    move_left_arrived(e, c, (uint16_t)(p.from % LIMIT_BUCKETS));
    party_meet(e, c); /* by its name of now */
    for (unsigned i = 0; i < c->leg_count; i++)
        leg_arrived(e, leg_get(e, c->legs[i]), c->bucket);
    trace_text(&e->trace, TRACE_INFO, "call", c->id, 0xff, SL("moved here for a transfer"));
    metrics_add(&e->metrics, M_calls_arrived, 1);
    tell_transfers(e, c);
    record_resume(e, c);
    unsee(e, p.request);
    return true;
}

/* The buffer lives until move_handled. */
static bool on_go(struct engine *e, struct move *m, struct event *in) {
    struct parts p = { 0 };
    if (m->state < MOVE_HERE || m->state == MOVE_SETTLED)
        return false;
    e->ports_come = owner_is_sibling(e, m->peer);
    bool ok = activate(e, m) && read_parts(buf_slice(m->body), &p) && p.request.n;
    e->ports_come = false;
    e->owners.hops = 1;
    e->owners.here = m->bucket;
    in->u.dgram.bytes = p.request;
    in->u.dgram.src = m->src;
    in->u.dgram.dst = m->dst;
    buf_unref(&e->bufs, &e->move_body);
    e->move_body = m->body;
    m->body = NULL;
    settle(e, m);
    return ok;
}

void move_handled(struct engine *e) {
    buf_unref(&e->bufs, &e->move_body);
}

/* ---- nobody says so ---- */

/* The record first: who has the stub taken back, and the call end, does the one before the other. */
static void ask(struct engine *e, struct move *m, const struct parts *p, struct slice token) {
    bool stub = m->state == MOVE_ASKS_STUB;
    struct out *o = operation(e, m, STORE_GET, stub ? SL("moved") : SL("call"));
    if (!o)
        return;
    o->u.store.bucket = (uint16_t)(p->from % LIMIT_BUCKETS);
    o->u.store.key = buf_copy(&e->bufs, stub ? token : slice_of(m->key, MOVE_ID_LEN));
}

static void ask_store(struct engine *e, struct move *m, enum move_state what) {
    struct parts p = { 0 };
    struct slice token;
    char mem[TOKEN_LEN];
    if (e->now >= m->until_us || !read_parts(buf_slice(m->body), &p) || !is_readable(e, p.record, &token, mem)) {
        settle(e, m); /* it is here already, or never will be */
        return;
    }
    if (!owner_is_mine(e, m->bucket)) {
        wheel_set(&e->wheel, &m->timer, e->now + LOADING_US); /* or move_forget_lost ends it */
        return;
    }
    m->state = (uint8_t)what;
    wheel_set(&e->wheel, &m->timer, e->now + ASK_AGAIN_US);
    ask(e, m, &p, token);
}

static void refuse(struct engine *e, struct move *m) {
    move_say(e, PEER_NO, m->peer, m->id);
    settle(e, m);
}

void arrive_on_timer(struct engine *e, struct move *m) {
    if (m->state == MOVE_ARRIVING)
        refuse(e, m);
    else if (m->state == MOVE_SETTLED)
        delete_arriving(e, m);
    else
        ask_store(e, m, MOVE_ASKS);
}

static void on_arriving(struct engine *e, struct move *m, enum store_status status) {
    if (status != STORE_OK) {
        refuse(e, m);
        return;
    }
    m->state = MOVE_HERE;
    move_say(e, PEER_ARRIVED, m->peer, m->id);
    wheel_set(&e->wheel, &m->timer, e->now + GO_US);
}

/* With both there it is asked again: one of them is about to go. One that leads elsewhere is none, nor is one that has
 * led here with another call before. */
static void on_stub(struct engine *e, struct move *m, const struct event *ev) {
    enum store_status status = ev->u.store.status;
    uint64_t call = 0;
    bool ok = status == STORE_OK && hex(slice_of(m->key, MOVE_ID_LEN), 0, MOVE_ID_LEN, &call);
    if (status == STORE_MISSING || (ok && !moved_leads_to(ev->u.store.value, m->bucket, call))) {
        settle(e, m);
    } else if (ok && m->left) {
        (void)activate(e, m);
        settle(e, m);
    }
}

void arrive_on_store(struct engine *e, struct move *m, const struct event *ev) {
    enum store_status status = ev->u.store.status;
    if (m->state == MOVE_ARRIVING) {
        on_arriving(e, m, status);
    } else if (m->state == MOVE_ASKS && (status == STORE_OK || status == STORE_MISSING)) {
        m->left = status == STORE_MISSING;
        ask_store(e, m, MOVE_ASKS_STUB);
    } else if (m->state == MOVE_ASKS_STUB) {
        on_stub(e, m, ev);
    }
}

void move_on_record(struct engine *e, uint16_t bucket, struct slice value, uint64_t written) {
    struct parts p = { 0 };
    if (!read_parts(value, &p) || move_find(e, p.id))
        return;
    struct move *m = arrival(e, MOVE_ASKS, bucket, value, &p, written);
    if (m)
        wheel_set(&e->wheel, &m->timer, e->now);
}

void move_forget_lost(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    for (struct move *m; (m = pool_next(&e->moves, &cursor, &h));)
        if (m->state >= MOVE_ARRIVING && !owner_is_mine(e, m->bucket) && e->owners.of[m->bucket] != OWNER_LOADING)
            move_free(e, m);
}

bool move_is_coming(const struct engine *e, const struct sip_msg *msg) {
    struct steer at = steer_msg(&e->owners.steering, msg);
    char text[MOVE_ID_LEN];
    struct sbuf id = sbuf_on(text, sizeof text);
    uint32_t cursor = 0;
    handle h;
    if (at.by != STEER_RURI && at.by != STEER_TAG)
        return false;
    sbuf_hex(&id, at.token.call, MOVE_ID_LEN);
    for (const struct move *m; (m = pool_next(&e->moves, &cursor, &h));)
        if (m->state >= MOVE_ARRIVING && m->state < MOVE_SETTLED && memcmp(m->key, text, MOVE_ID_LEN) == 0)
            return true;
    return false;
}

/* ---- messages ---- */

/* What its call did not take: that has got others by now, since nobody said so, or is not to be ours any more. */
static void return_pairs(struct engine *e, const struct event *ev) {
    uint64_t pair;
    for (uint32_t at = MOVE_ID_LEN; hex(ev->u.peer.bytes, at, MOVE_PAIR_LEN, &pair); at += MOVE_PAIR_LEN)
        media_return(e, (uint32_t)pair);
}

bool move_on_peer(struct engine *e, const struct event *ev, struct event *in) {
    uint64_t id;
    if (ev->u.peer.what == PEER_MOVE) {
        on_move(e, ev);
        return false;
    }
    struct move *m = hex(ev->u.peer.bytes, 0, MOVE_ID_LEN, &id) ? move_find(e, id) : NULL;
    m = m && m->peer == ev->u.peer.from ? m : NULL;
    if (ev->u.peer.what == PEER_GO) {
        bool here = m && on_go(e, m, in);
        if (owner_is_sibling(e, ev->u.peer.from))
            return_pairs(e, ev);
        return here;
    }
    if (!m)
        return false;
    if (ev->u.peer.what == PEER_ARRIVED)
        move_arrived(e, m);
    else if (m->state == MOVE_HERE)
        ask_store(e, m, MOVE_ASKS); /* the stubs may have reached the store, and who took them back die */
    else if (m->state < MOVE_ARRIVING)
        move_refused(e, m);
    return false;
}
