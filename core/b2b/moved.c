/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/moved.h"

#include "core/b2b/owner.h"
#include "core/b2b/ticket.h"

#define VALUE_LEN (LIMIT_BUCKET_DIGITS + 16)
#define LOOKS_A_TURN 16
#define TURN_US 5000000

enum look { LOOK_NOT, LOOK_CALL, LOOK_STUB };

struct stub {
    handle self;
    struct key128 key;
    uint16_t from, to;
    uint64_t call;           /* that the leg is in, 0: not known */
    uint64_t until_us, held_us;
    uint64_t look_us;        /* is the call there? 0: nobody looks */
    uint8_t looks;           /* enum look */
    uint16_t was_from, was_to; /* of the stub in whose place it came; equal: none */
    uint64_t was_call;
    char token[TOKEN_LEN];
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

static struct stub *find(const struct engine *e, char kind, struct slice text) {
    struct stub *s = pool_get(&e->moved.stubs, map_get(&e->moved.by_key, key_of(e, kind, text)));
    return s && s->until_us > e->now ? s : NULL;
}

static void drop(struct engine *e, struct stub *s) {
    if (s->look_us && --e->moved.looked_at == 0)
        wheel_cancel(&e->wheel, &e->moved.timer);
    map_del(&e->moved.by_key, s->key);
    pool_free(&e->moved.stubs, s->self);
}

static void drop_old(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    for (struct stub *s; (s = pool_next(&e->moved.stubs, &cursor, &h));)
        if (s->until_us <= e->now)
            drop(e, s);
}

static struct stub *put(struct engine *e, char kind, struct slice text) {
    struct key128 k = key_of(e, kind, text);
    handle h = map_get(&e->moved.by_key, k);
    struct stub *s = pool_get(&e->moved.stubs, h);
    if (s)
        return s;
    if (e->moved.stubs.used == e->moved.stubs.count)
        drop_old(e);
    s = pool_alloc(&e->moved.stubs, &h);
    if (!s)
        return NULL;
    if (!map_put(&e->moved.by_key, k, h)) {
        pool_free(&e->moved.stubs, h);
        return NULL;
    }
    *s = (struct stub){ .self = h, .key = k };
    return s;
}

/* ---- look-up ---- */

static uint16_t follow(const struct engine *e, char kind, struct slice text) {
    const struct stub *s = find(e, kind, text);
    if (!s)
        return TOKEN_BUCKETS;
    return s->held_us > e->now ? MOVED_HELD : s->to;
}

static struct slice token_text(const struct token *t, char mem[TOKEN_LEN]) {
    struct sbuf b = sbuf_on(mem, TOKEN_LEN);
    token_put(&b, t);
    return sbuf_slice(&b);
}

uint16_t moved_to(const struct engine *e, const struct steer *s, const struct sip_msg *msg) {
    char mem[TOKEN_LEN];
    if (!e->moved.stubs.used)
        return TOKEN_BUCKETS;
    if (s->by == STEER_HASH)
        return follow(e, 'c', msg->call_id);
    if (s->by == STEER_AOR || s->by == STEER_NOTHING)
        return TOKEN_BUCKETS;
    return follow(e, 't', token_text(&s->token, mem));
}

/* ---- legs ---- */

/* The token that a leg's messages are found by. */
static struct slice leg_token(const struct leg *l, struct token *t) {
    struct slice tag = leg_str(l, DLG_LOCAL_TAG);
    return tag.n == TOKEN_LEN && token_parse(tag, t) ? tag : SLICE_NONE;
}

static void store(struct engine *e, enum store_verb verb, const struct stub *s) {
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
    o->u.store.bucket = s->from;
    o->u.store.table = SL("moved");
    o->u.store.key = buf_copy(&e->bufs, slice_of(s->token, TOKEN_LEN));
    o->u.store.value = verb == STORE_PUT ? buf_copy(&e->bufs, sbuf_slice(&v)) : NULL;
    o->u.store.expires_ms = verb == STORE_PUT ? e->wall_ms + MOVED_LEG_MS : 0;
    owner_fence(e, &o->u.store);
}

/* Of a leg. */
static struct stub *put_token(struct engine *e, struct slice token) {
    struct stub *s = put(e, 't', token);
    if (!s)
        return NULL;
    memcpy(s->token, token.p, TOKEN_LEN);
    s->until_us = e->now + 1000ull * MOVED_LEG_MS;
    e->moved.looked_at += s->look_us == 0;
    s->look_us = e->now + MOVED_LOOK_US;
    if (!wheel_is_set(&e->moved.timer))
        wheel_set(&e->wheel, &e->moved.timer, s->look_us);
    return s;
}

bool moved_put_leg(struct engine *e, const struct leg *l, uint16_t from, uint16_t to, uint64_t call) {
    struct token t;
    struct slice token = leg_token(l, &t);
    if (!owner_is_shared(e) || from == to || !token.p)
        return true;
    struct stub *s = put_token(e, token);
    if (!s)
        return false;
    s->was_from = s->from;
    s->was_to = s->to;
    s->was_call = s->call;
    s->from = from;
    s->to = to;
    s->call = call;
    store(e, STORE_PUT, s);
    return true;
}

handle moved_hold(struct engine *e, const struct leg *l, uint64_t until_us) {
    struct token t;
    struct slice token = leg_token(l, &t);
    struct stub *s = token.p ? find(e, 't', token) : NULL;
    if (s)
        s->held_us = until_us;
    return s ? s->self : HANDLE_NONE;
}

void moved_release(struct engine *e, handle stub) {
    struct stub *s = pool_get(&e->moved.stubs, stub);
    if (s)
        s->held_us = 0;
}

/* One that leads here, from another bucket of ours, does so again. */
void moved_take_back(struct engine *e, handle stub) {
    struct stub *s = pool_get(&e->moved.stubs, stub);
    if (!s)
        return;
    store(e, STORE_DELETE, s);
    if (s->was_from == s->was_to || s->was_from == s->from) {
        drop(e, s);
        return;
    }
    s->from = s->was_from;
    s->to = s->was_to;
    s->call = s->was_call;
    s->held_us = 0;
}

uint16_t moved_where(const struct engine *e, const struct leg *l, uint16_t from, uint64_t call) {
    struct token t;
    struct slice token = leg_token(l, &t);
    const struct stub *s = token.p ? find(e, 't', token) : NULL;
    return s && s->from == from && s->to != from && (!s->call || s->call == call) ? s->to : TOKEN_BUCKETS;
}

/* Of two buckets of ours that the leg has left only the last one's stub is known here. */
static void remove_stub(struct engine *e, struct stub *s) {
    struct token t;
    store(e, STORE_DELETE, s);
    if (token_parse(slice_of(s->token, TOKEN_LEN), &t) && t.bucket != s->from && owner_is_mine(e, t.bucket)) {
        s->from = t.bucket;
        store(e, STORE_DELETE, s);
    }
    drop(e, s);
}

/* As far as it is known here: stubs that others have are told by moved_on_ended. */
static void remove_leg(struct engine *e, struct slice token) {
    struct stub *s = find(e, 't', token);
    if (s)
        remove_stub(e, s);
}

void moved_leg_ended(struct engine *e, const struct leg *l) {
    struct token t;
    const struct call *c = leg_call(e, l);
    struct slice token = leg_token(l, &t);
    if (!owner_is_shared(e) || !token.p || !c || t.bucket == c->bucket)
        return;
    moved_on_ended(e, token);
    peer_send(e, PEER_ENDED, PEER_NONE, t.bucket, token);
}

/* The bucket may be about to come here. */
void moved_on_ended(struct engine *e, struct slice key) {
    struct moved *m = &e->moved;
    remove_leg(e, key);
    m->ended[m->ended_next++ % MOVED_ENDED_MAX] = key_of(e, 't', key);
}

static bool has_ended(const struct engine *e, struct slice token) {
    struct key128 k = key_of(e, 't', token);
    for (unsigned i = 0; i < MOVED_ENDED_MAX; i++)
        if (key128_eq(e->moved.ended[i], k))
            return true;
    return false;
}

void moved_arrived(struct engine *e, const struct leg *l, uint16_t bucket) {
    struct token t;
    struct slice token = leg_token(l, &t);
    struct stub *s = token.p ? find(e, 't', token) : NULL;
    if (!s)
        return;
    if (s->from == bucket) {
        remove_stub(e, s);
        return;
    }
    s->to = bucket;
    store(e, STORE_PUT, s);
}

static bool hex(struct slice text, uint64_t *out) {
    *out = 0;
    for (uint32_t i = 0; i < text.n; i++) {
        uint8_t c = ascii_lower((uint8_t)text.p[i]);
        if ((uint8_t)(c - '0') > 9 && (uint8_t)(c - 'a') > 5)
            return false;
        *out = *out << 4 | (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

/* The value is the bucket, and in newer ones the call. */
void moved_on_record(struct engine *e, uint16_t bucket, struct slice key, struct slice value) {
    struct token t;
    uint64_t to, call;
    if ((value.n != VALUE_LEN && value.n != LIMIT_BUCKET_DIGITS) || key.n != TOKEN_LEN || !token_parse(key, &t) ||
        !hex(slice_of(value.p, LIMIT_BUCKET_DIGITS), &to) ||
        !hex(slice_of(value.p + LIMIT_BUCKET_DIGITS, value.n - LIMIT_BUCKET_DIGITS), &call))
        return;
    struct stub *s = find(e, 't', key);
    if (s && s->from == to % LIMIT_BUCKETS)
        return; /* from there it went on, as is known */
    s = put_token(e, key);
    if (!s)
        return;
    s->from = bucket;
    s->to = (uint16_t)(to % LIMIT_BUCKETS);
    s->call = call;
    if (has_ended(e, key))
        remove_stub(e, s);
}

void moved_put_call_id(struct engine *e, struct slice call_id, uint16_t from, uint16_t to) {
    struct stub *s = put(e, 'c', call_id);
    if (!s)
        return;
    s->from = from;
    s->to = to;
    s->until_us = e->now + MOVED_INVITE_US;
}

static bool is_kept(const struct engine *e, uint16_t bucket) {
    return owner_is_mine(e, bucket) || e->owners.of[bucket] == OWNER_LOADING;
}

/* That of the token's own bucket is followed by all that comes for the leg; what is known of a later one serves it. */
void moved_forget_lost(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    struct token t;
    for (struct stub *s; (s = pool_next(&e->moved.stubs, &cursor, &h));) {
        if (is_kept(e, s->from))
            continue;
        bool serves = s->call && token_parse(slice_of(s->token, TOKEN_LEN), &t) && t.bucket != s->to;
        if (serves && owner_is_mine(e, t.bucket)) {
            s->from = t.bucket;
            store(e, STORE_PUT, s);
        } else {
            drop(e, s);
        }
    }
}

/* ---- stubs of legs whose end nobody told of ---- */

/* The call's record, then a stub of the leg where it was moved to: one of them is there while the leg lives. */
static void look(struct engine *e, struct stub *s, enum look what) {
    struct out *o = outbox_add(e->out, OUT_STORE);
    char text[16];
    struct sbuf id = sbuf_on(text, sizeof text);
    s->looks = (uint8_t)what;
    s->look_us = e->now + MOVED_LOOK_US;
    if (!o)
        return;
    sbuf_hex(&id, s->call, 16);
    o->u.store.verb = STORE_GET;
    o->u.store.ticket = ticket_of(TICKET_MOVED, s->self);
    o->u.store.bucket = s->to;
    o->u.store.table = what == LOOK_CALL ? SL("call") : SL("moved");
    o->u.store.key = buf_copy(&e->bufs, what == LOOK_CALL ? sbuf_slice(&id) : slice_of(s->token, TOKEN_LEN));
}

/* The leg is back where its token says. */
static bool is_needless(const struct stub *s) {
    struct token t;
    return token_parse(slice_of(s->token, TOKEN_LEN), &t) && t.bucket == s->to;
}

void moved_on_timer(struct engine *e) {
    uint32_t cursor = 0, n = 0;
    bool any = false;
    handle h;
    for (struct stub *s; n < LOOKS_A_TURN && (s = pool_next(&e->moved.stubs, &cursor, &h));) {
        any = any || s->call;
        if (s->call && s->look_us <= e->now && owner_is_mine(e, s->from) && is_needless(s)) {
            remove_stub(e, s);
            n++;
            continue;
        }
        if (!s->call || s->look_us > e->now || !owner_is_mine(e, s->from))
            continue;
        look(e, s, LOOK_CALL);
        n++;
    }
    if (any)
        wheel_set(&e->wheel, &e->moved.timer, e->now + TURN_US);
}

bool moved_on_store(struct engine *e, const struct event *ev) {
    if (!ev->u.store.ticket || ticket_part(ev->u.store.ticket) != TICKET_MOVED)
        return false;
    struct stub *s = pool_get(&e->moved.stubs, ticket_handle(ev->u.store.ticket));
    enum look was = s ? (enum look)s->looks : LOOK_NOT;
    if (!s || was == LOOK_NOT || !owner_is_mine(e, s->from))
        return true;
    s->looks = LOOK_NOT;
    if (ev->u.store.status == STORE_MISSING && was == LOOK_CALL) {
        look(e, s, LOOK_STUB);
    } else if (ev->u.store.status == STORE_MISSING) {
        store(e, STORE_DELETE, s);
        drop(e, s);
    }
    return true;
}
