/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which write of which record is stored, and what is written again. */
#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/owner.h"
#include "core/b2b/owner_over.h"
#include "core/b2b/record.h"
#include "core/b2b/recover.h"
#include "core/b2b/ticket.h"

#define WRITES_PER_CALL 2
#define FAILURES_DOWN 3 /* in a row: the store is down */
#define BACKOFF_FIRST_US 100000
#define BACKOFF_LAST_US 2000000
#define REWRITES_A_STEP 16
/* Of versions, when a record is there that is younger than what we know: a former owner's last ones. */
#define VERSION_GAP 1000

/* One operation that is not answered; its handle is the ticket. */
struct write {
    handle call; /* HANDLE_NONE: it is over */
    uint64_t id, version;
    uint64_t epoch;   /* of the bucket, when it was sent */
    uint64_t sent_us; /* last */
    uint16_t bucket;
    bool deletes;
    bool over;   /* ... the record of a call that has ended, not of one that has gone elsewhere */
    bool left;   /* ... or, of what is deleted again, of one that has */
    bool failed; /* a deletion, to be tried again */
    struct over_legs legs; /* of one that is `over` */
    struct chain_node by_id; /* of one that is `over` */
};

void barrier_init_store(struct engine *e, struct arena *a) {
    pool_init(&e->barrier.writes, a, WRITES_PER_CALL * e->cfg.calls_max + 64, sizeof(struct write));
    chain_init(&e->barrier.over, a, &e->barrier.writes, offsetof(struct write, by_id), e->cfg.calls_max / 8);
    barrier_lost_init(e, a);
}

uint32_t barrier_unprotected(const struct engine *e) {
    return e->barrier.unprotected + e->barrier.undeleted;
}

void barrier_mark_deleting(const struct engine *e, uint8_t busy[LIMIT_BUCKETS], uint8_t mark) {
    uint32_t cursor = 0;
    handle h;
    for (const struct write *w; (w = pool_next(&e->barrier.writes, &cursor, &h));)
        if (w->deletes)
            busy[w->bucket] = mark;
}

void barrier_mark(struct engine *e, struct call *c, bool unprotected) {
    if (c->unprotected == unprotected)
        return;
    c->unprotected = unprotected;
    e->barrier.unprotected += unprotected ? 1 : UINT32_MAX;
}

static void retry_later(struct engine *e) {
    struct barrier *b = &e->barrier;
    if (wheel_is_set(&b->retry))
        return;
    b->backoff_us = b->backoff_us ? b->backoff_us * 2 : BACKOFF_FIRST_US;
    if (b->backoff_us > BACKOFF_LAST_US)
        b->backoff_us = BACKOFF_LAST_US;
    wheel_set(&e->wheel, &b->retry, e->now + b->backoff_us);
}

void barrier_rewrite(struct engine *e, struct call *c) {
    c->rewrite = true;
    barrier_mark(e, c, true);
    retry_later(e);
}

/* ---- writing ---- */

static void fill(const struct engine *e, struct store_op *op, struct write *w, handle ticket) {
    w->epoch = owner_epoch(e, w->bucket);
    w->sent_us = e->now;
    op->ticket = ticket_of(TICKET_WRITE, ticket);
    op->bucket = w->bucket;
    op->version = w->version;
    owner_fence(e, op);
}

static bool is_over(const struct engine *e, const struct call *c) {
    for (unsigned i = 0; i < c->leg_count; i++)
        if (leg_is_live(leg_get(e, c->legs[i])))
            return false;
    return true;
}

bool barrier_write(struct engine *e, struct call *c, struct store_op *op) {
    handle ticket = HANDLE_NONE;
    struct write plain = { .bucket = c->bucket, .version = c->version };
    if (e->cfg.durability == DURABILITY_OFF) {
        c->stored = c->version;
        barrier_mark(e, c, false);
        fill(e, op, &plain, HANDLE_NONE);
        return true;
    }
    bool deletes = op->verb == STORE_DELETE;
    struct write *w = e->barrier.down && !deletes ? NULL : pool_alloc(&e->barrier.writes, &ticket);
    if (!w && !deletes) {
        barrier_rewrite(e, c);
        return false;
    }
    if (!w) {
        metrics_add(&e->metrics, M_store_lost, 1);
        fill(e, op, &plain, HANDLE_NONE);
        return true;
    }
    *w = (struct write){ .call = c->self, .id = c->id, .version = c->version, .bucket = c->bucket, .deletes = deletes };
    w->over = deletes && is_over(e, c);
    if (w->over) {
        chain_put(&e->barrier.over, w->id, ticket);
        w->legs = owner_over_legs(e, c);
    }
    c->rewrite = false; /* unless this fails too */
    fill(e, op, w, ticket);
    return true;
}

static void drop(struct engine *e, handle write) {
    chain_del(&e->barrier.over, write);
    pool_free(&e->barrier.writes, write);
}

/* ---- answers ---- */

/* Whether it has taken the write or not. */
static void reached(struct engine *e) {
    struct barrier *b = &e->barrier;
    b->failures = 0;
    if (b->down) {
        trace_text(&e->trace, TRACE_INFO, "store", 0, 0xff, SL("takes records again"));
        wheel_set(&e->wheel, &b->retry, e->now);
    }
    b->down = false;
}

static void back_up(struct engine *e) {
    struct barrier *b = &e->barrier;
    reached(e);
    b->backoff_us = 0;
    if (b->unprotected || b->undeleted)
        wheel_set(&e->wheel, &b->retry, e->now);
}

static void stored(struct engine *e, struct call *c, uint64_t version) {
    c->stored_us = e->now;
    if (version <= c->stored)
        return;
    c->stored = version;
    if (c->stored == c->version) {
        c->rewrite = false;
        barrier_mark(e, c, false);
    }
    barrier_stored(e, c);
}

static void note_down(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    if (e->barrier.down)
        return;
    e->barrier.down = true;
    trace_text(&e->trace, TRACE_WARN, "store", 0, 0xff, SL("takes no records: calls go on without"));
    for (struct call *c; (c = pool_next(&e->calls, &cursor, &h));)
        if (barrier_holds(c))
            wheel_set(&e->wheel, &c->held_timer, e->now);
}

static void delete_later(struct engine *e, struct write *w) {
    w->failed = true;
    e->barrier.undeleted++;
    retry_later(e);
}

static void failed(struct engine *e, struct write *w, struct call *c, handle self) {
    metrics_add(&e->metrics, M_store_failures, 1);
    if (++e->barrier.failures >= FAILURES_DOWN)
        note_down(e);
    if (c && w->version > c->refused) {
        c->refused = w->version;
        barrier_stored(e, c);
    }
    if (w->deletes) {
        delete_later(e, w);
        return;
    }
    drop(e, self);
    /* A later version is on its way, or will be. */
    if (c)
        barrier_rewrite(e, c);
}

/* Nobody's at an epoch of before: the server has forgotten that it is ours, and the lease claims it again. */
static bool is_others(const struct engine *e, uint16_t bucket, const struct event *ev) {
    uint32_t node = ev->u.store.node;
    return e->cfg.node && node != e->cfg.node && (node || ev->u.store.epoch >= owner_epoch(e, bucket));
}

/* What it says is of before our claim: so does a promoted server that has not seen it, until the lease claims again. */
static bool forgot_claim(const struct engine *e, uint16_t bucket, const struct event *ev) {
    return ev->u.store.epoch < owner_epoch(e, bucket);
}

/* If it is ours, by another epoch too than it was written by (the lease has claimed it again, and the engine was told
 * meanwhile, or is yet to be), or the record is a later one of a former owner's, the call stays, and is written once
 * more. What was to be deleted and is a later one of ours is of a call that has come back. */
static void fenced(struct engine *e, struct write *w, struct call *c, const struct event *ev) {
    bool others = is_others(e, w->bucket, ev);
    metrics_add(&e->metrics, M_calls_fenced, 1);
    reached(e);
    /* Nobody's bucket: who claims it next is told, or it is us. */
    bool later = forgot_claim(e, w->bucket, ev) || (!others && ev->u.store.epoch != w->epoch) ||
                 (w->over && e->cfg.node && !ev->u.store.node);
    if (w->deletes && later) {
        delete_later(e, w);
        return;
    }
    if (w->over && others && !w->left)
        owner_over_say_all(e, ev->u.store.node, w->bucket, w->id, &w->legs);
    c = w->deletes ? NULL : c;
    drop(e, ticket_handle(ev->u.store.ticket));
    if (c && others) {
        owner_over_say(e, ev->u.store.node, c);
        e->owners.reread[c->bucket] = forgot_claim(e, c->bucket, ev) ? REREAD_WANTED : REREAD_NOT;
        recover_forget(e, c);
    } else if (c) {
        c->version += VERSION_GAP;
        barrier_rewrite(e, c);
    }
}

static void note_deleted(struct engine *e, const struct write *w) {
    struct gone_record g = { w->id, w->version, w->bucket, w->left || !w->over, w->legs };
    barrier_lost_note(e, &g);
}

bool barrier_on_store(struct engine *e, const struct event *ev) {
    handle self = ticket_handle(ev->u.store.ticket);
    struct write *w = pool_get(&e->barrier.writes, self);
    if (!ev->u.store.ticket || ticket_part(ev->u.store.ticket) != TICKET_WRITE)
        return false;
    if (!w || w->failed)
        return true;
    struct call *c = call_get(e, w->call);
    struct write was = *w;
    if (ev->u.store.status == STORE_UNAVAILABLE || ev->u.store.status == STORE_REFUSED) {
        failed(e, w, c, self);
        return true;
    }
    if (ev->u.store.status == STORE_FENCED) {
        fenced(e, w, c, ev);
        return true;
    }
    drop(e, self);
    back_up(e);
    barrier_lost_said(e, was.sent_us);
    if (was.deletes)
        note_deleted(e, &was);
    if (c)
        stored(e, c, was.version);
    return true;
}

void barrier_store_down(struct engine *e, bool down) {
    if (e->cfg.durability == DURABILITY_OFF)
        return;
    if (down) {
        note_down(e);
        barrier_lost_begin(e);
        return;
    }
    barrier_lost_again(e);
    back_up(e);
}

/* ---- again ---- */

void barrier_delete(struct engine *e, const struct gone_record *g) {
    handle h;
    struct write *w = pool_alloc(&e->barrier.writes, &h);
    if (!w) {
        metrics_add(&e->metrics, M_store_lost, 1);
        return;
    }
    *w = (struct write){ .id = g->id, .version = g->version, .bucket = g->bucket, .deletes = true, .over = true,
                         .left = g->left, .legs = g->legs };
    chain_put(&e->barrier.over, w->id, h);
    delete_later(e, w);
}

bool barrier_is_deleting(const struct engine *e, uint64_t id) {
    uint32_t cursor = 0;
    for (const struct write *w; (w = chain_next(&e->barrier.over, id, &cursor));)
        if (w->id == id)
            return true;
    return false;
}

static void delete_again(struct engine *e, struct write *w, handle self) {
    char key[16];
    struct sbuf k = sbuf_on(key, sizeof key);
    struct out *o = outbox_add(e->out, OUT_STORE);
    if (!o)
        return;
    sbuf_hex(&k, w->id, 16);
    o->u.store.verb = STORE_DELETE;
    o->u.store.table = SL("call");
    o->u.store.key = buf_copy(&e->bufs, sbuf_slice(&k));
    w->failed = false;
    w->call = HANDLE_NONE;
    e->barrier.undeleted--;
    fill(e, &o->u.store, w, self);
    metrics_add(&e->metrics, M_store_rewrites, 1);
}

/* While the store is down one is tried: its answer tells. */
void barrier_on_retry(struct engine *e) {
    struct barrier *b = &e->barrier;
    uint32_t writes = 0, n = 0, most = b->down ? 1 : REWRITES_A_STEP;
    handle h;
    bool probe = b->down;
    b->down = false;
    for (struct write *w; n < most && b->undeleted && (w = pool_next(&b->writes, &writes, &h));) {
        if (!w->failed)
            continue;
        delete_again(e, w, h);
        n++;
    }
    for (struct call *c; n < most && (c = pool_next(&e->calls, &b->cursor, &h));) {
        if (!c->rewrite)
            continue;
        metrics_add(&e->metrics, M_store_rewrites, 1);
        /* Once: while this one is on its way another would only make it the older one. */
        c->rewrite = false;
        record_store(e, c);
        n++;
    }
    b->down = probe;
    if (n == most && !probe)
        wheel_set(&e->wheel, &b->retry, e->now);
    else if (b->unprotected || b->undeleted)
        retry_later(e);
    if (n < most)
        b->cursor = 0;
}
