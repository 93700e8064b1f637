/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/moved.h"

#include "core/b2b/owner.h"
#include "core/b2b/ticket.h"

#define VALUE_LEN (LIMIT_BUCKET_DIGITS + 16)
#define LOOKS_A_TURN 16
#define TURN_US 5000000
#define AGAIN_US 20000       /* between turns while stubs are to be written again */
#define DELETE_AGAIN_US 500000 /* while the store does not say that it has deleted one */
#define MOVES_IN_A_ROW 16    /* a bound on what is followed, should stubs lead round */

enum look { LOOK_NOT, LOOK_CALL, LOOK_STUB };

/* A leg has one in each bucket that it has left: who knows only that bucket follows it from there. */
struct stub {
    handle self;
    struct key128 key;
    handle next;             /* of the same key, and another bucket */
    uint16_t from, to;
    uint64_t call;           /* that the leg is in, 0: not known */
    uint64_t until_us, held_us;
    uint64_t look_us;        /* is the call there? 0: nobody looks */
    uint8_t looks;           /* enum look */
    bool again;              /* to be written once more */
    bool over;               /* its leg has ended: it goes when its bucket has been read */
    bool gone;               /* leads nowhere: here only until the store has deleted it, which is seen to at look_us */
    bool stale;              /* when it went a look was on its way: that answer is the next */
    bool before;             /* the leg had one in this bucket when it left: it has been here more than once */
    uint16_t to_before;      /* ... and where that led */
    uint64_t call_before;
    char token[TOKEN_LEN];
    uint8_t ports;           /* pairs that rest for it */
    struct {
        uint32_t slot, generation;
    } port[LEG_STREAMS];
};

void moved_init(struct engine *e, struct arena *a) {
    uint32_t n = e->cfg.shared ? e->cfg.calls_max * 2 : 0;
    pool_init(&e->moved.stubs, a, n, sizeof(struct stub));
    map_init(&e->moved.by_key, a, n);
    e->moved.timer.kind = TIMER_MOVED;
}

static struct key128 key_of(const struct engine *e, char kind, struct slice text) {
    struct siphash h;
    siphash_init(&h, e->map_key, true);
    siphash_add(&h, &kind, 1);
    siphash_add(&h, text.p, text.n);
    return siphash_end(&h);
}

static struct stub *next_of(const struct engine *e, const struct stub *s) {
    return pool_get(&e->moved.stubs, s->next);
}

static struct stub *first_of(const struct engine *e, char kind, struct slice text) {
    return pool_get(&e->moved.stubs, map_get(&e->moved.by_key, key_of(e, kind, text)));
}

/* From that bucket. */
static struct stub *find_of(const struct engine *e, char kind, struct slice text, uint16_t from) {
    struct stub *s = first_of(e, kind, text);
    while (s && (s->from != from || s->gone || s->until_us <= e->now))
        s = next_of(e, s);
    return s;
}

static struct stub *find(const struct engine *e, struct slice token, uint16_t from) {
    return find_of(e, 't', token, from);
}

static void unlink_stub(struct engine *e, const struct stub *s) {
    struct stub *before = pool_get(&e->moved.stubs, map_get(&e->moved.by_key, s->key));
    if (before == s) {
        map_del(&e->moved.by_key, s->key);
        if (next_of(e, s))
            (void)map_put(&e->moved.by_key, s->key, s->next); /* in the place of what went */
        return;
    }
    while (next_of(e, before) != s)
        before = next_of(e, before);
    before->next = s->next;
}

static void end_marks(struct engine *e, struct stub *s) {
    e->moved.again -= s->again;
    e->moved.over -= s->over;
    s->again = s->over = false;
}

static void drop(struct engine *e, struct stub *s) {
    end_marks(e, s);
    if (s->look_us && --e->moved.looked_at == 0)
        wheel_cancel(&e->wheel, &e->moved.timer);
    unlink_stub(e, s);
    pool_free(&e->moved.stubs, s->self);
}

static void drop_old(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    for (struct stub *s; (s = pool_next(&e->moved.stubs, &cursor, &h));)
        if (s->gone || s->until_us <= e->now)
            drop(e, s);
}

static struct stub *put(struct engine *e, char kind, struct slice text, uint16_t from) {
    handle h;
    if (e->moved.stubs.used == e->moved.stubs.count)
        drop_old(e);
    struct stub *before = first_of(e, kind, text), *s;
    struct key128 k = key_of(e, kind, text);
    for (s = before; s; s = next_of(e, s))
        if (s->from == from)
            return s;
    s = pool_alloc(&e->moved.stubs, &h);
    if (!s)
        return NULL;
    if (!before && !map_put(&e->moved.by_key, k, h)) {
        pool_free(&e->moved.stubs, h);
        return NULL;
    }
    *s = (struct stub){ .self = h, .key = k, .next = before ? before->next : HANDLE_NONE, .from = from };
    if (before)
        before->next = h;
    return s;
}

/* ---- look-up ---- */

/* Of the bucket that its leg is in, joined from call to call there: it says to who has an older one, which names a call
 * of before, that the leg lives. */
static bool is_mark(const struct stub *s) {
    return s->from == s->to;
}

/* From bucket to bucket of ours, as far as it is known here. */
static uint16_t follow(const struct engine *e, struct slice token, uint16_t from) {
    const struct stub *s = find(e, token, from);
    uint16_t at = TOKEN_BUCKETS;
    for (unsigned i = 0; s && i < MOVES_IN_A_ROW; i++) {
        if (s->held_us > e->now)
            return MOVED_HELD;
        at = s->to;
        s = !is_mark(s) && owner_is_mine(e, at) ? find(e, token, at) : NULL;
    }
    return at;
}

static struct slice token_text(const struct token *t, char mem[TOKEN_LEN]) {
    struct sbuf b = sbuf_on(mem, TOKEN_LEN);
    token_put(&b, t);
    return sbuf_slice(&b);
}

uint16_t moved_to(const struct engine *e, uint16_t from, const struct steer *s, const struct sip_msg *msg) {
    char mem[TOKEN_LEN];
    if (!e->moved.stubs.used)
        return TOKEN_BUCKETS;
    if (s->by == STEER_HASH) {
        const struct stub *invite = find_of(e, 'c', msg->call_id, from);
        return invite ? invite->to : TOKEN_BUCKETS;
    }
    if (s->by == STEER_AOR || s->by == STEER_NOTHING)
        return TOKEN_BUCKETS;
    return follow(e, token_text(&s->token, mem), from);
}

/* ---- legs ---- */

/* The token that a leg's messages are found by. */
static struct slice leg_token(const struct leg *l, struct token *t) {
    struct slice tag = leg_str(l, DLG_LOCAL_TAG);
    return tag.n == TOKEN_LEN && token_parse(tag, t) ? tag : SLICE_NONE;
}

static void store(struct engine *e, enum store_verb verb, struct stub *s) {
    struct out *o = outbox_add(e->out, OUT_STORE);
    char text[VALUE_LEN];
    struct sbuf v = sbuf_on(text, sizeof text);
    if (!o) {
        metrics_add(&e->metrics, M_store_failures, 1);
        return;
    }
    sbuf_hex(&v, s->to, LIMIT_BUCKET_DIGITS);
    sbuf_hex(&v, s->call, 16);
    o->u.store.verb = verb;
    o->u.store.ticket = verb == STORE_DELETE ? ticket_of(TICKET_MOVED, s->self) : 0;
    o->u.store.bucket = s->from;
    o->u.store.table = SL("moved");
    o->u.store.key = buf_copy(&e->bufs, slice_of(s->token, TOKEN_LEN));
    o->u.store.value = verb == STORE_PUT ? buf_copy(&e->bufs, sbuf_slice(&v)) : NULL;
    o->u.store.expires_ms = verb == STORE_PUT ? e->wall_ms + MOVED_LEG_MS : 0;
    if (verb == STORE_PUT)
        s->until_us = e->now + 1000ull * MOVED_LEG_MS;
    owner_fence(e, &o->u.store);
}

static void look_at(struct engine *e, struct stub *s, uint64_t us) {
    struct wheel_node *t = &e->moved.timer;
    e->moved.looked_at += s->look_us == 0;
    s->look_us = e->now + us;
    if (!wheel_is_set(t) || t->deadline_us > s->look_us)
        wheel_set(&e->wheel, t, s->look_us);
}

/* Of a leg. */
static struct stub *put_token(struct engine *e, struct slice token, uint16_t from) {
    struct stub *s = put(e, 't', token, from);
    if (!s)
        return NULL;
    memcpy(s->token, token.p, TOKEN_LEN);
    end_marks(e, s);
    s->before = !s->gone && s->until_us > e->now;
    s->to_before = s->to;
    s->call_before = s->call;
    s->gone = false;
    s->until_us = e->now + 1000ull * MOVED_LEG_MS;
    look_at(e, s, MOVED_LOOK_US);
    return s;
}

/* A write of the epoch before a claim is refused, one that a dead server has done is lost: the store's word counts. */
static void remove_stub(struct engine *e, struct stub *s) {
    end_marks(e, s);
    s->stale = !s->gone && s->looks != LOOK_NOT;
    s->looks = LOOK_NOT;
    s->gone = true;
    s->held_us = 0;
    look_at(e, s, DELETE_AGAIN_US);
    store(e, STORE_DELETE, s);
}

/* The leg is back where its token says. */
static bool is_needless(const struct stub *s) {
    struct token t;
    return token_parse(slice_of(s->token, TOKEN_LEN), &t) && t.bucket == s->to;
}

bool moved_put_leg(struct engine *e, const struct leg *l, uint16_t from, uint16_t to, uint64_t call) {
    struct token t;
    struct slice token = leg_token(l, &t);
    if (!owner_is_shared(e) || !token.p || (from == to && t.bucket == to))
        return true;
    struct stub *s = put_token(e, token, from);
    if (!s)
        return from == to; /* a mark is worth no leg */
    s->to = to;
    s->call = call;
    store(e, STORE_PUT, s);
    return true;
}

void moved_left_port(struct engine *e, const struct leg *l, uint16_t from, uint32_t slot, uint32_t generation) {
    struct token t;
    struct slice token = leg_token(l, &t);
    struct stub *s = token.p ? find(e, token, from) : NULL;
    if (!s || s->ports == LEG_STREAMS)
        return;
    s->port[s->ports].slot = slot;
    s->port[s->ports++].generation = generation;
}

static void give_ports_back(struct engine *e, const struct stub *s) {
    for (unsigned i = 0; i < s->ports; i++)
        (void)port_pool_rested(&e->ports, s->port[i].slot, s->port[i].generation, e->now);
}

handle moved_hold(struct engine *e, const struct leg *l, uint16_t from, uint64_t until_us) {
    struct token t;
    struct slice token = leg_token(l, &t);
    struct stub *s = token.p ? find(e, token, from) : NULL;
    if (s)
        s->held_us = until_us;
    return s ? s->self : HANDLE_NONE;
}

void moved_release(struct engine *e, handle stub) {
    struct stub *s = pool_get(&e->moved.stubs, stub);
    if (s)
        s->held_us = 0;
}

/* The leg is in two records (record_decode_leg.c), and the one here is the one that it has left. */
static bool led_to_another(const struct stub *s) {
    return s->to_before != s->from && s->call_before && s->call_before != s->call;
}

void moved_take_back(struct engine *e, handle stub) {
    struct stub *s = pool_get(&e->moved.stubs, stub);
    if (!s)
        return;
    bool leads = s->before && led_to_another(s);
    s->to = leads ? s->to_before : s->from;
    s->call = leads ? s->call_before : s->call;
    s->held_us = 0;
    if (s->before && !is_needless(s))
        store(e, STORE_PUT, s);
    else
        remove_stub(e, s);
}

uint16_t moved_where(const struct engine *e, const struct leg *l, uint16_t from, uint64_t call) {
    struct token t;
    struct slice token = leg_token(l, &t);
    const struct stub *s = token.p ? find(e, token, from) : NULL;
    return s && s->to != from && (!s->call || s->call == call) ? s->to : TOKEN_BUCKETS;
}

/* While its bucket is being read it says which of the records there are of a call that has moved away. */
static void end_stub(struct engine *e, struct stub *s) {
    give_ports_back(e, s);
    if (e->owners.of[s->from] != OWNER_LOADING) {
        remove_stub(e, s);
        return;
    }
    e->moved.over += !s->over;
    s->over = true;
}

/* As far as it is known here: stubs that others have are told by moved_on_ended. */
static void end_leg(struct engine *e, struct slice token) {
    for (struct stub *next, *s = first_of(e, 't', token); s; s = next) {
        next = next_of(e, s);
        if (!s->gone)
            end_stub(e, s);
    }
}

void moved_leg_ended(struct engine *e, const struct leg *l) {
    struct token t;
    const struct call *c = leg_call(e, l);
    if (!owner_is_shared(e))
        return;
    struct slice token = leg_token(l, &t);
    if (!token.p || !c || t.bucket == c->bucket)
        return;
    moved_on_ended(e, token);
    peer_send(e, PEER_ENDED, PEER_NONE, t.bucket, token);
}

/* The bucket may be about to come here. */
void moved_on_ended(struct engine *e, struct slice key) {
    struct moved *m = &e->moved;
    end_leg(e, key);
    m->ended[m->ended_next++ % MOVED_ENDED_MAX] = key_of(e, 't', key);
}

static bool has_ended(const struct engine *e, struct slice token) {
    struct key128 k = key_of(e, 't', token);
    for (unsigned i = 0; i < MOVED_ENDED_MAX; i++)
        if (key128_eq(e->moved.ended[i], k))
            return true;
    return false;
}

/* Those of the buckets behind it lead here at once, not by way of where it has been meanwhile, and know its call. Where
 * its token's is another engine's, what led away from here becomes a mark. */
void moved_arrived(struct engine *e, const struct leg *l, uint16_t bucket) {
    struct token t;
    struct slice token = leg_token(l, &t);
    struct stub *s = token.p ? find(e, token, bucket) : NULL;
    if (s && owner_is_mine(e, t.bucket))
        remove_stub(e, s);
    for (s = token.p ? first_of(e, 't', token) : NULL; s; s = next_of(e, s)) {
        if (s->gone)
            continue;
        s->to = bucket;
        s->call = leg_call(e, l)->id;
        store(e, STORE_PUT, s);
    }
}

/* The value is the bucket, and in newer ones the call. */
static bool read_value(struct slice value, uint64_t *to, uint64_t *call) {
    *call = 0;
    if (value.n == LIMIT_BUCKET_DIGITS)
        return slice_hex(value, to);
    return value.n == VALUE_LEN && slice_hex(slice_of(value.p, LIMIT_BUCKET_DIGITS), to) &&
           slice_hex(slice_of(value.p + LIMIT_BUCKET_DIGITS, VALUE_LEN - LIMIT_BUCKET_DIGITS), call);
}

bool moved_leads_to(struct slice value, uint16_t bucket, uint64_t call) {
    uint64_t to, of;
    return read_value(value, &to, &of) && to == bucket && (!of || of == call);
}

void moved_on_record(struct engine *e, uint16_t bucket, struct slice key, struct slice value) {
    struct token t;
    uint64_t to, call;
    if (key.n != TOKEN_LEN || !token_parse(key, &t) || !read_value(value, &to, &call))
        return;
    struct stub *s = put_token(e, key, bucket);
    if (!s)
        return;
    s->to = (uint16_t)(to % LIMIT_BUCKETS);
    s->call = call;
    if (has_ended(e, key))
        end_stub(e, s);
}

void moved_loaded(struct engine *e, uint16_t bucket) {
    uint32_t cursor = 0;
    handle h;
    for (struct stub *s; e->moved.over && (s = pool_next(&e->moved.stubs, &cursor, &h));)
        if (s->over && s->from == bucket)
            remove_stub(e, s);
}

void moved_put_call_id(struct engine *e, struct slice call_id, uint16_t from, uint16_t to) {
    struct stub *s = put(e, 'c', call_id, from);
    if (!s)
        return;
    s->to = to;
    s->until_us = e->now + MOVED_INVITE_US;
}

static bool is_kept(const struct engine *e, uint16_t bucket) {
    return owner_is_mine(e, bucket) || e->owners.of[bucket] == OWNER_LOADING;
}

/* What of ours has led to the bucket that goes leads on to where the leg went from there. */
static void lead_on(struct engine *e, const struct stub *gone) {
    struct stub *s = first_of(e, 't', slice_of(gone->token, TOKEN_LEN));
    for (; s && gone->call; s = next_of(e, s))
        if (!s->gone && s->to == gone->from && s->from != gone->to && owner_is_mine(e, s->from)) {
            s->to = gone->to;
            s->call = gone->call;
            store(e, STORE_PUT, s);
        }
}

void moved_forget_lost(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    for (struct stub *s; (s = pool_next(&e->moved.stubs, &cursor, &h));) {
        if (is_kept(e, s->from))
            continue;
        if (!s->gone)
            lead_on(e, s);
        drop(e, s);
    }
}

/* ---- what a promoted server may not have ---- */

static void again(struct engine *e, struct stub *s) {
    e->moved.again += !s->again;
    s->again = true;
    wheel_set(&e->wheel, &e->moved.timer, e->now);
}

void moved_lost_again(struct engine *e, uint64_t since_us) {
    uint32_t cursor = 0;
    handle h;
    for (struct stub *s; (s = pool_next(&e->moved.stubs, &cursor, &h));)
        if (s->look_us && s->until_us >= since_us + 1000ull * MOVED_LEG_MS)
            again(e, s);
}

void moved_rewrite(struct engine *e, uint16_t bucket) {
    uint32_t cursor = 0;
    handle h;
    for (struct stub *s; (s = pool_next(&e->moved.stubs, &cursor, &h));)
        if (s->look_us && s->from == bucket)
            again(e, s);
}

static bool write_again(struct engine *e, struct stub *s) {
    if (!s->again)
        return false;
    e->moved.again--;
    s->again = false;
    if (owner_is_mine(e, s->from))
        store(e, s->gone ? STORE_DELETE : STORE_PUT, s);
    return true;
}

/* ---- stubs of legs whose end nobody told of ---- */

/* The call's record, then a stub of the leg where it was moved to: one of them is there while the leg lives. A mark is
 * that stub: the call's once more, since what was asked may be of before it was one. */
static void look(struct engine *e, struct stub *s, enum look what) {
    struct out *o = outbox_add(e->out, OUT_STORE);
    char text[16];
    struct sbuf id = sbuf_on(text, sizeof text);
    bool call = what == LOOK_CALL || is_mark(s);
    s->looks = (uint8_t)what;
    s->look_us = e->now + MOVED_LOOK_US;
    if (!o)
        return;
    sbuf_hex(&id, s->call, 16);
    o->u.store.verb = STORE_GET;
    o->u.store.ticket = ticket_of(TICKET_MOVED, s->self);
    o->u.store.bucket = s->to;
    o->u.store.table = call ? SL("call") : SL("moved");
    o->u.store.key = buf_copy(&e->bufs, call ? sbuf_slice(&id) : slice_of(s->token, TOKEN_LEN));
}

/* True: it was to be done. */
static bool tend(struct engine *e, struct stub *s) {
    if (write_again(e, s))
        return true;
    if ((!s->call && !s->gone) || s->look_us > e->now || !owner_is_mine(e, s->from))
        return false;
    if (s->gone || is_needless(s))
        remove_stub(e, s);
    else
        look(e, s, LOOK_CALL);
    return true;
}

void moved_on_timer(struct engine *e) {
    uint32_t cursor = 0, n = 0;
    uint64_t next = TURN_US;
    bool any = false;
    handle h;
    for (struct stub *s; n < LOOKS_A_TURN && (s = pool_next(&e->moved.stubs, &cursor, &h));) {
        any = any || s->call || s->gone;
        next = s->gone ? DELETE_AGAIN_US : next;
        n += tend(e, s);
    }
    if (any || e->moved.again)
        wheel_set(&e->wheel, &e->moved.timer, e->now + (e->moved.again ? AGAIN_US : next));
}

bool moved_on_store(struct engine *e, const struct event *ev) {
    if (!ev->u.store.ticket || ticket_part(ev->u.store.ticket) != TICKET_MOVED)
        return false;
    struct stub *s = pool_get(&e->moved.stubs, ticket_handle(ev->u.store.ticket));
    enum look was = s ? (enum look)s->looks : LOOK_NOT;
    if (s && s->gone) {
        bool done = ev->u.store.status == STORE_OK || ev->u.store.status == STORE_MISSING;
        if (done && !s->stale)
            drop(e, s);
        else
            s->stale = false;
        return true;
    }
    if (!s || was == LOOK_NOT || !owner_is_mine(e, s->from))
        return true;
    s->looks = LOOK_NOT;
    if (ev->u.store.status == STORE_MISSING && was == LOOK_CALL) {
        look(e, s, LOOK_STUB);
    } else if (ev->u.store.status == STORE_MISSING) {
        give_ports_back(e, s);
        remove_stub(e, s);
    }
    return true;
}
