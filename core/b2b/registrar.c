/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/registrar_int.h"

#include "core/b2b/wire.h"
#include "core/base/check.h"
#include "parser/sip_hdr.h"
#include "parser/sip_uri.h"
#include "parser/sip_write.h"

struct registrar *registrar_new(struct arena *a, uint32_t bindings) {
    struct registrar *r = arena_take(a, sizeof *r), counted;
    struct registrar *use = r ? r : &counted;
    pool_init(&use->bindings, a, bindings, sizeof(struct binding));
    map_init(&use->users, a, bindings);
    return r;
}

static struct key128 user_key(const struct engine *e, struct slice user) {
    return siphash128(e->map_key, user.p, user.n);
}

struct binding *registrar_get(const struct engine *e, handle h) {
    return pool_get(&e->registrar->bindings, h);
}

struct binding *registrar_first(const struct engine *e, struct slice user) {
    return registrar_get(e, map_get(&e->registrar->users, user_key(e, user)));
}

static void set_first(struct engine *e, struct slice user, handle h) {
    struct key128 k = user_key(e, user);
    map_del(&e->registrar->users, k);
    if (h != HANDLE_NONE)
        map_put(&e->registrar->users, k, h);
}

static void unlink_binding(struct engine *e, struct binding *b) {
    struct slice user = strs_get(&b->s, BIND_USER);
    struct binding *at = registrar_first(e, user);
    if (at == b) {
        set_first(e, user, b->next);
        return;
    }
    while (at && at->next != b->self)
        at = registrar_get(e, at->next);
    if (at)
        at->next = b->next;
}

void registrar_drop(struct engine *e, struct binding *b) {
    unlink_binding(e, b);
    wheel_cancel(&e->wheel, &b->timer);
    strs_free(&b->s, &e->bufs);
    pool_free(&e->registrar->bindings, b->self);
}

uint32_t registrar_find(struct engine *e, struct slice user, struct registrar_binding *out, uint32_t max) {
    uint32_t n = 0;
    for (struct binding *b = registrar_first(e, user); b && n < max; b = registrar_get(e, b->next))
        out[n++] = (struct registrar_binding){ strs_get(&b->s, BIND_CONTACT), b->flow };
    return n;
}

uint32_t registrar_count(const struct engine *e) {
    return e->registrar->bindings.used;
}

void registrar_on_timer(struct engine *e, struct wheel_node *n) {
    struct binding *b = registrar_get(e, n->owner);
    if (b)
        registrar_drop(e, b);
}

static void respond(struct engine *e, const struct sip_msg *msg, handle txn, uint16_t status, struct slice extra) {
    struct uas_response r = { .status = status, .extra = extra };
    wire_answer(e, txn, msg, &r);
}

static void respond_with_bindings(struct engine *e, const struct sip_msg *msg, handle txn, struct slice user) {
    struct sbuf h = ua_headers(&e->ua);
    for (struct binding *b = registrar_first(e, user); b; b = registrar_get(e, b->next)) {
        sbuf_lit(&h, "Contact: <");
        sbuf_put(&h, strs_get(&b->s, BIND_CONTACT));
        sbuf_lit(&h, ">;expires=");
        sbuf_u64(&h, b->expires_us > e->now ? (b->expires_us - e->now + 999999) / 1000000 : 0);
        sbuf_lit(&h, "\r\n");
    }
    metrics_add(&e->metrics, M_registrations, 1);
    respond(e, msg, txn, 200, sbuf_slice(&h));
}

static struct binding *same_contact(struct engine *e, struct slice user, const struct sip_uri *uri) {
    for (struct binding *b = registrar_first(e, user); b; b = registrar_get(e, b->next)) {
        struct sip_uri have;
        if (sip_uri_parse(strs_get(&b->s, BIND_CONTACT), &have) >= 0 && sip_uri_eq(&have, uri))
            return b;
    }
    return NULL;
}

struct binding *registrar_add(struct engine *e, struct slice user) {
    handle h;
    uint32_t n = 0;
    for (struct binding *b = registrar_first(e, user); b; b = registrar_get(e, b->next))
        n++;
    struct binding *b = n < LIMIT_BINDINGS_PER_AOR ? pool_alloc(&e->registrar->bindings, &h) : NULL;
    if (!b)
        return NULL;
    b->self = h;
    b->timer.owner = h;
    b->timer.kind = TIMER_BINDING;
    if (!strs_set(&b->s, &e->bufs, BIND_USER, user)) {
        pool_free(&e->registrar->bindings, h);
        return NULL;
    }
    b->next = map_get(&e->registrar->users, user_key(e, user));
    set_first(e, user, h);
    return b;
}

static uint32_t expires_of(const struct engine *e, const struct sip_msg *msg, const struct sip_contact *c) {
    uint32_t v;
    if (c->expires >= 0)
        return c->expires > UINT32_MAX ? UINT32_MAX : (uint32_t)c->expires;
    return sip_delta_seconds(sip_hdr_value(msg, SIP_H_EXPIRES), &v) ? v : e->cfg.expires_default_s;
}

/* Section 10.3 steps 6 and 7: an older CSeq of the same Call-ID changes nothing. */
static bool is_old(const struct binding *b, const struct sip_msg *msg) {
    return slice_eq(strs_get(&b->s, BIND_CALL_ID), msg->call_id) && msg->cseq <= b->cseq;
}

static void remove_all(struct engine *e, const struct sip_msg *msg, struct slice user) {
    for (struct binding *b = registrar_first(e, user), *next; b; b = next) {
        next = registrar_get(e, b->next);
        if (!is_old(b, msg))
            registrar_drop(e, b);
    }
}

static bool apply(struct engine *e, const struct sip_msg *msg, handle txn, struct slice user,
                  const struct sip_contact *c) {
    uint32_t seconds = expires_of(e, msg, c);
    struct binding *b = same_contact(e, user, &c->addr.uri);
    const struct txn *t = txn_get(&e->txns, txn);
    if (b && is_old(b, msg))
        return true;
    if (seconds == 0) {
        if (b)
            registrar_drop(e, b);
        return true;
    }
    if (!b)
        b = registrar_add(e, user);
    if (!b || !t || !strs_set(&b->s, &e->bufs, BIND_CONTACT, c->addr.uri.whole) ||
        !strs_set(&b->s, &e->bufs, BIND_CALL_ID, msg->call_id)) {
        if (b)
            registrar_drop(e, b);
        return false;
    }
    if (seconds > e->cfg.expires_max_s)
        seconds = e->cfg.expires_max_s;
    b->flow = txn_src(t);
    b->cseq = msg->cseq;
    b->q = c->q;
    b->expires_us = e->now + 1000000ull * seconds;
    b->expires_ms = e->wall_ms + 1000ull * seconds;
    wheel_set(&e->wheel, &b->timer, b->expires_us);
    return true;
}

/* Every Contact is checked before any binding changes: all or nothing (section 10.3 step 7). 0: fine. */
static uint16_t check_contacts(struct engine *e, const struct sip_msg *msg, bool *star, uint32_t *count) {
    struct sip_values cur = { 0 };
    struct slice value;
    *star = false;
    *count = 0;
    while (sip_values_next(msg, SIP_H_CONTACT, &cur, &value)) {
        struct sip_contact c;
        if (sip_contact_parse(value, &c) < 0)
            return 400;
        ++*count;
        *star = *star || c.star;
        if (c.star)
            continue;
        if (c.addr.uri.scheme != SIP_SCHEME_SIP && c.addr.uri.scheme != SIP_SCHEME_SIPS)
            return 400;
        uint32_t seconds = expires_of(e, msg, &c);
        if (seconds > 0 && seconds < e->cfg.expires_min_s)
            return 423;
    }
    uint32_t expires = 1;
    if (*star && (*count != 1 || !sip_delta_seconds(sip_hdr_value(msg, SIP_H_EXPIRES), &expires) || expires != 0))
        return 400;
    return 0;
}

static void refuse_contacts(struct engine *e, const struct sip_msg *msg, handle txn, uint16_t status) {
    struct sbuf h = ua_headers(&e->ua);
    if (status == 423) {
        sbuf_lit(&h, "Min-Expires: ");
        sbuf_u64(&h, e->cfg.expires_min_s);
        sbuf_lit(&h, "\r\n");
    }
    if (status == 400)
        sbuf_lit(&h, "Warning: 399 referee \"bad Contact\"\r\n");
    respond(e, msg, txn, status, sbuf_slice(&h));
}

void registrar_on_register(struct engine *e, const struct sip_msg *msg, handle txn, struct slice user) {
    bool star;
    uint32_t count;
    uint16_t bad = check_contacts(e, msg, &star, &count);
    if (bad) {
        refuse_contacts(e, msg, txn, bad);
        return;
    }
    if (star)
        remove_all(e, msg, user);
    struct sip_values cur = { 0 };
    struct slice value;
    while (!star && sip_values_next(msg, SIP_H_CONTACT, &cur, &value)) {
        struct sip_contact c;
        if (sip_contact_parse(value, &c) >= 0 && !apply(e, msg, txn, user, &c)) {
            registrar_share(e, user);
            respond(e, msg, txn, 503, SL("Retry-After: 5\r\n"));
            return;
        }
    }
    if (count)
        registrar_share(e, user);
    respond_with_bindings(e, msg, txn, user);
}
