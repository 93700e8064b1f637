/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Every engine holds every binding, so that a look-up asks nobody. The owner of the bucket of the address of record is
 * the one that changes them; it tells the store and the other engines. One value a user: its contacts, latest first,
 * one a line: URI, flow, expiry, CSeq, q, Call-ID. (Lines that end behind the expiry are of an earlier version.) */
#include "core/b2b/owner.h"
#include "core/b2b/registrar_int.h"

#define USER_END '\n'

static void put_line(struct sbuf *v, const struct binding *b) {
    sbuf_put(v, strs_get(&b->s, BIND_CONTACT));
    sbuf_char(v, ' ');
    addr_put(v, &b->flow);
    sbuf_char(v, ' ');
    sbuf_u64(v, b->expires_ms);
    sbuf_char(v, ' ');
    sbuf_u64(v, b->cseq);
    sbuf_char(v, ' ');
    sbuf_u64(v, b->q);
    sbuf_char(v, ' ');
    sbuf_put(v, strs_get(&b->s, BIND_CALL_ID));
    sbuf_char(v, '\n');
}

static void store(struct engine *e, struct slice user, struct slice value, uint64_t last_ms) {
    struct out *o = outbox_add(e->out, OUT_STORE);
    if (!o) {
        metrics_add(&e->metrics, M_store_failures, 1);
        return;
    }
    o->u.store.verb = value.n ? STORE_PUT : STORE_DELETE;
    o->u.store.bucket = steer_hash(&e->owners.steering, user);
    o->u.store.table = SL("aor");
    o->u.store.key = buf_copy(&e->bufs, user);
    o->u.store.value = value.n ? buf_copy(&e->bufs, value) : NULL;
    o->u.store.expires_ms = last_ms;
    owner_fence(e, &o->u.store);
}

void registrar_share(struct engine *e, struct slice user) {
    struct sbuf v = ua_body(&e->ua);
    uint64_t last = 0;
    sbuf_put(&v, user);
    sbuf_char(&v, USER_END);
    uint32_t head = v.n;
    for (struct binding *b = registrar_first(e, user); b; b = registrar_get(e, b->next)) {
        put_line(&v, b);
        last = b->expires_ms > last ? b->expires_ms : last;
    }
    if (v.overflow) {
        metrics_add(&e->metrics, M_store_failures, 1);
        return;
    }
    store(e, user, slice_of(v.p + head, v.n - head), last);
    if (owner_is_shared(e))
        peer_send(e, PEER_BINDING, PEER_NONE, steer_hash(&e->owners.steering, user), sbuf_slice(&v));
}

/* ---- what others have written ---- */

static struct slice next_word(struct slice *line) {
    int32_t at = slice_find(*line, ' ');
    struct slice word = slice_of(line->p, at < 0 ? line->n : (uint32_t)at);
    uint32_t used = at < 0 ? line->n : (uint32_t)at + 1;
    *line = slice_of(line->p + used, line->n - used);
    return word;
}

static void add_line(struct engine *e, struct slice user, struct slice line) {
    uint64_t expires, cseq = 0, q = 1000;
    struct addr flow;
    struct slice uri = next_word(&line);
    if (!uri.n || !addr_parse(next_word(&line), 5060, &flow) || !slice_u64(next_word(&line), UINT64_MAX, &expires) ||
        expires <= e->wall_ms)
        return;
    (void)slice_u64(next_word(&line), UINT32_MAX, &cseq);
    (void)slice_u64(next_word(&line), 1000, &q);
    struct binding *b = registrar_add(e, user);
    if (!b)
        return;
    if (!strs_set(&b->s, &e->bufs, BIND_CONTACT, uri) || (line.n && !strs_set(&b->s, &e->bufs, BIND_CALL_ID, line))) {
        registrar_drop(e, b);
        return;
    }
    b->flow = flow;
    b->cseq = (uint32_t)cseq;
    b->q = (uint16_t)q;
    b->expires_ms = expires;
    b->expires_us = e->now + 1000 * (expires - e->wall_ms);
    wheel_set(&e->wheel, &b->timer, b->expires_us);
}

void registrar_learn(struct engine *e, struct slice user, struct slice value) {
    struct slice lines[LIMIT_BINDINGS_PER_AOR];
    uint32_t n = 0;
    if (!user.n || user.n >= CONFIG_NAME_MAX)
        return;
    for (struct binding *b; (b = registrar_first(e, user));)
        registrar_drop(e, b);
    while (value.n && n < LIMIT_BINDINGS_PER_AOR) {
        int32_t end = slice_find(value, '\n');
        uint32_t len = end < 0 ? value.n : (uint32_t)end;
        lines[n++] = slice_of(value.p, len);
        value = end < 0 ? SLICE_NONE : slice_of(value.p + len + 1, value.n - len - 1);
    }
    while (n-- > 0) /* each is put in front of the others */
        add_line(e, user, lines[n]);
}

void registrar_on_peer(struct engine *e, struct slice bytes) {
    int32_t end = slice_find(bytes, USER_END);
    if (end > 0)
        registrar_learn(e, slice_of(bytes.p, (uint32_t)end),
                        slice_of(bytes.p + end + 1, bytes.n - (uint32_t)end - 1));
}
