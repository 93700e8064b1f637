/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/unread.h"

#include "core/b2b/owner.h"

#define KEY_LEN 16 /* the call's id, in hex */

struct unread {
    uint64_t call, until_us;
    uint16_t bucket;
};

void unread_init(struct engine *e, struct arena *a) {
    pool_init(&e->unread, a, UNREAD_MAX, sizeof(struct unread));
    e->unread_timer.kind = TIMER_UNREAD;
}

static bool call_of(struct slice key, uint64_t *call) {
    return key.n == KEY_LEN && slice_hex(key, call);
}

static struct unread *find(const struct engine *e, uint64_t call, handle *h) {
    uint32_t cursor = 0;
    for (struct unread *u; (u = pool_next(&e->unread, &cursor, h));)
        if (u->call == call)
            return u;
    return NULL;
}

void unread_note(struct engine *e, uint16_t bucket, struct slice key, enum record_error why) {
    uint64_t call;
    handle h;
    if ((why != RECORD_VERSION && why != RECORD_CRITICAL) || !call_of(key, &call) || find(e, call, &h))
        return;
    struct unread *u = pool_alloc(&e->unread, &h);
    if (!u)
        return;
    *u = (struct unread){ call, e->now + UNREAD_KEEP_US, bucket };
    if (!wheel_is_set(&e->unread_timer))
        wheel_set(&e->wheel, &e->unread_timer, u->until_us);
}

static void delete_it(struct engine *e, struct unread *u, handle h, const char *why) {
    char key[KEY_LEN];
    struct sbuf k = sbuf_on(key, sizeof key);
    struct out *o = outbox_add(e->out, OUT_STORE);
    if (!o)
        return; /* another time */
    sbuf_hex(&k, u->call, KEY_LEN);
    o->u.store = (struct store_op){ .verb = STORE_DELETE, .bucket = u->bucket, .table = SL("call") };
    o->u.store.key = buf_copy(&e->bufs, sbuf_slice(&k));
    owner_fence(e, &o->u.store);
    trace_text(&e->trace, TRACE_WARN, "record", u->call, 0xff, slice_str(why));
    metrics_add(&e->metrics, M_records_unread_deleted, 1);
    pool_free(&e->unread, h);
}

static bool is_ours(const struct engine *e, const struct unread *u) {
    return !owner_is_shared(e) || owner_is_mine(e, u->bucket);
}

void unread_on_request(struct engine *e, const struct sip_msg *msg) {
    handle h;
    if (!e->unread.used || msg->method != SIP_M_BYE)
        return;
    struct steer s = steer_msg(&e->owners.steering, msg);
    if (s.by == STEER_AOR || s.by == STEER_HASH || s.by == STEER_NOTHING)
        return;
    struct unread *u = find(e, s.token.call, &h);
    if (u && is_ours(e, u))
        delete_it(e, u, h, "deleted unread: a party has hung up");
}

void unread_on_timer(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    uint64_t next = UINT64_MAX;
    for (struct unread *u; (u = pool_next(&e->unread, &cursor, &h));)
        if (u->until_us <= e->now && is_ours(e, u) && e->out->n < OUTBOX_MAX / 2)
            delete_it(e, u, h, "deleted unread: nobody has come who can read it");
        else
            next = u->until_us < next ? u->until_us : next;
    if (next != UINT64_MAX)
        wheel_set(&e->wheel, &e->unread_timer, next > e->now ? next : e->now + SIP_T1_US);
}

void unread_forget_lost(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    for (struct unread *u; (u = pool_next(&e->unread, &cursor, &h));)
        if (!owner_is_mine(e, u->bucket) && e->owners.of[u->bucket] != OWNER_LOADING)
            pool_free(&e->unread, h);
}
