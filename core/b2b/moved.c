/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/moved.h"

#include "core/b2b/owner.h"

struct stub {
    handle self;
    struct key128 key;
    uint16_t from, to;
    uint64_t until_us, held_us;
};

void moved_init(struct engine *e, struct arena *a) {
    uint32_t n = e->cfg.shared ? e->cfg.calls_max * 2 : 0;
    pool_init(&e->moved.stubs, a, n, sizeof(struct stub));
    map_init(&e->moved.by_key, a, n);
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
    s->self = h;
    s->key = k;
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

static void store(struct engine *e, enum store_verb verb, uint16_t from, struct slice token, uint16_t to) {
    struct out *o = outbox_add(e->out, OUT_STORE);
    char text[LIMIT_BUCKET_DIGITS];
    struct sbuf v = sbuf_on(text, sizeof text);
    if (!o) {
        metrics_add(&e->metrics, M_store_failures, 1);
        return;
    }
    sbuf_hex(&v, to, LIMIT_BUCKET_DIGITS);
    o->u.store.verb = verb;
    o->u.store.bucket = from;
    o->u.store.table = SL("moved");
    o->u.store.key = buf_copy(&e->bufs, token);
    o->u.store.value = verb == STORE_PUT ? buf_copy(&e->bufs, sbuf_slice(&v)) : NULL;
    o->u.store.expires_ms = verb == STORE_PUT ? e->wall_ms + MOVED_LEG_MS : 0;
    owner_fence(e, &o->u.store);
}

bool moved_put_leg(struct engine *e, const struct leg *l, uint16_t from, uint16_t to) {
    struct token t;
    struct slice token = leg_token(l, &t);
    if (!owner_is_shared(e) || from == to || !token.p)
        return true;
    struct stub *s = put(e, 't', token);
    if (!s)
        return false;
    s->from = from;
    s->to = to;
    s->until_us = e->now + 1000ull * MOVED_LEG_MS;
    store(e, STORE_PUT, from, token, to);
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

bool moved_has(const struct engine *e, const struct leg *l, uint16_t from) {
    struct token t;
    struct slice token = leg_token(l, &t);
    const struct stub *s = token.p ? find(e, 't', token) : NULL;
    return s && s->from == from && s->to != from;
}

/* As far as it is known here: stubs that others have are told by moved_on_ended. */
static void remove_leg(struct engine *e, struct slice token) {
    struct stub *s = find(e, 't', token);
    if (!s)
        return;
    store(e, STORE_DELETE, s->from, token, 0);
    drop(e, s);
}

void moved_leg_ended(struct engine *e, const struct leg *l) {
    struct token t;
    const struct call *c = leg_call(e, l);
    struct slice token = leg_token(l, &t);
    if (!owner_is_shared(e) || !token.p || !c || t.bucket == c->bucket)
        return;
    remove_leg(e, token);
    if (owner_peer(e, t.bucket) != PEER_NONE)
        peer_send(e, PEER_ENDED, owner_peer(e, t.bucket), t.bucket, token);
}

void moved_on_ended(struct engine *e, struct slice key) {
    remove_leg(e, key);
}

void moved_on_record(struct engine *e, uint16_t bucket, struct slice key, struct slice value) {
    struct token t;
    uint32_t to = 0;
    for (uint32_t i = 0; i < value.n && i < LIMIT_BUCKET_DIGITS; i++)
        to = to << 4 | (uint32_t)((value.p[i] & 0xf) + (value.p[i] > '9' ? 9 : 0));
    struct stub *s = value.n == LIMIT_BUCKET_DIGITS && key.n == TOKEN_LEN && token_parse(key, &t) ? put(e, 't', key)
                                                                                                  : NULL;
    if (!s)
        return;
    s->from = bucket;
    s->to = (uint16_t)(to % LIMIT_BUCKETS);
    s->until_us = e->now + 1000ull * MOVED_LEG_MS;
}

void moved_put_call_id(struct engine *e, struct slice call_id, uint16_t from, uint16_t to) {
    struct stub *s = put(e, 'c', call_id);
    if (!s)
        return;
    s->from = from;
    s->to = to;
    s->until_us = e->now + MOVED_INVITE_US;
}

void moved_forget_lost(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    for (struct stub *s; (s = pool_next(&e->moved.stubs, &cursor, &h));)
        if (!owner_is_mine(e, s->from) && e->owners.of[s->from] != OWNER_LOADING)
            drop(e, s);
}
