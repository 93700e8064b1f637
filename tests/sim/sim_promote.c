/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The store's server dies and its replica is promoted, which has not seen the last writes. It stands still for a while
 * before: where a write counts as stored when the replica has it (store.replicas), none does in that time, and nothing
 * that did is lost. Where the server alone says so, what it said last never was. */
#include "core/b2b/call.h"
#include "tests/sim/sim_cluster.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND 1000000ull

#define REWRITTEN_US (5 * SECOND)

enum { SERVER_DIES, REPLICA_SERVES, ALL_IS_THERE };

static void say(const struct world *w, const char *what) {
    if (w->opt.verbose)
        printf("%6llu.%06llu the store's %s\n", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), what);
}

void promote_act(struct world *w, const struct sim_event *ev) {
    static const uint32_t stands[] = { 0, 1000, 20000, 200000, 1000000, 3000000 };
    static const uint32_t away[] = { 300000, 2000000, 6000000, 15000000 };
    struct sim_store *s = &w->faults;
    uint64_t dies = w->now + stands[ev->other % 6];
    if (!cluster_on(w) || s->stands)
        return;
    if (!s->replica && !(s->replica = malloc(w->store_n)))
        abort();
    say(w, w->script.setup.replicas ? "replica stands still, and is waited for" : "replica stands still");
    memcpy(s->replica, w->memory + w->store_at, w->store_n);
    s->stands = true;
    s->serves = dies + away[ev->other / 6 % 4];
    cluster_stir(w);
    world_push(w, &(struct sim_item){ .at = dies, .kind = ITEM_PROMOTE, .arg = SERVER_DIES });
    world_push(w, &(struct sim_item){ .at = s->serves, .kind = ITEM_PROMOTE, .arg = REPLICA_SERVES });
}

/* As store/redis waits for replicas. */
bool promote_is_short(const struct world *w, const struct store_op *op) {
    bool changes = op->verb == STORE_PUT || op->verb == STORE_DELETE || op->verb == STORE_CLAIM ||
                   op->verb == STORE_RELEASE;
    return w->faults.stands && w->script.setup.replicas && changes && op->ticket;
}

static void dies(struct world *w) {
    struct sim_store *s = &w->faults;
    say(w, "server dies");
    if (s->down_until < s->serves)
        s->down_until = s->serves;
    cluster_stir(w);
    cluster_connection(w, false);
}

static void serves(struct world *w) {
    struct sim_store *s = &w->faults;
    say(w, "replica is promoted");
    memcpy(w->memory + w->store_at, s->replica, w->store_n);
    sim_store_promoted(w);
    s->stands = false;
    s->went_back = s->went_back || !w->script.setup.replicas;
    s->lost_some = s->lost_some || s->went_back;
    w->cluster->quiet_since = w->now;
    cluster_lose_unseen(w);
    cluster_stir(w);
    cluster_connection(w, true);
    world_push(w, &(struct sim_item){ .at = w->now, .kind = ITEM_STORE }); /* what waits for it */
    world_push(w, &(struct sim_item){ .at = w->now + REWRITTEN_US, .kind = ITEM_PROMOTE, .arg = ALL_IS_THERE });
}

/* ---- a claim that it has not seen ---- */

bool promote_undid_claim(const struct world *w, const struct call *c) {
    const struct sim_cluster *cl = w->cluster;
    for (unsigned i = 0; w->faults.went_back && i < cl->n; i++) {
        const struct call *k = i != cl->at && cl->node[i].runs ? call_find(cl->node[i].e, c->id) : NULL;
        if (k && k->taken_us > c->taken_us)
            return true;
    }
    return false;
}

void promote_arrived(struct world *w, uint64_t id) {
    struct sim_store *s = &w->faults;
    s->arrivals[s->arrival_n++ % SIM_ARRIVALS] = (struct sim_arrival){ id, w->now, w->cluster->at };
}

/* Since when that engine has it; now, where that is not known any more. */
static uint64_t here_since(const struct world *w, const struct call *c) {
    const struct sim_store *s = &w->faults;
    for (uint32_t i = s->arrival_n; c->arrived && i > 0 && i + SIM_ARRIVALS > s->arrival_n; i--) {
        const struct sim_arrival *a = &s->arrivals[(i - 1) % SIM_ARRIVALS];
        if (a->id == c->id && a->node == w->cluster->at)
            return a->at > c->taken_us ? a->at : c->taken_us;
    }
    return c->arrived ? w->now : c->taken_us;
}

bool promote_undid_notify(const struct world *w, const struct leg *l, const struct seen_sub *s) {
    const struct call *c = l ? call_get(w->e, l->call) : NULL;
    bool others = cluster_on(w) && s->sent_at && s->node != w->cluster->at;
    return c && others && w->faults.went_back && here_since(w, c) < s->sent_at;
}

/* ---- what an engine takes to be stored is ---- */

/* The record that the server has, borrowed until it is asked again. */
static struct slice record_there(struct world *w, uint64_t id, uint16_t bucket) {
    static char key_mem[sizeof(struct buf) + 16];
    struct buf *key = (struct buf *)(void *)key_mem;
    struct sbuf k = sbuf_on(key->data, 16);
    struct event ev = { 0 };
    sbuf_hex(&k, id, 16);
    key->len = k.n;
    struct store_op op = { .verb = STORE_GET, .ticket = 1, .bucket = bucket, .table = SL("call"), .key = key };
    store_submit(w->store, &op, SIM_WALL_MS + w->now / 1000);
    while (store_answer(w->store, &ev))
        ;
    return ev.u.store.status == STORE_OK ? ev.u.store.value : SLICE_NONE;
}

/* 0: it has none. */
static uint64_t version_there(struct world *w, uint64_t id, uint16_t bucket) {
    struct slice record = record_there(w, id, bucket);
    return record.p ? sim_record_version(w, record) : 0;
}

bool promote_lacks(struct world *w, uint64_t id, uint16_t bucket, uint64_t version) {
    return w->faults.went_back && version_there(w, id, bucket) < version;
}

bool promote_leaves_alone(struct world *w, uint64_t id, uint16_t bucket) {
    struct slice record = w->faults.went_back ? record_there(w, id, bucket) : SLICE_NONE;
    return record.p && sim_record_left_alone(w, record);
}

static void check_stored(struct world *w, const struct call *c) {
    if (version_there(w, c->id, c->bucket) < c->version)
        sim_fail(w, "a record counts as stored, and the promoted server has not got it");
}

static void check_all(struct world *w) {
    const struct sim_cluster *cl = w->cluster;
    handle h;
    if (w->now < cl->quiet_since + REWRITTEN_US)
        return;
    for (unsigned i = 0; i < cl->n; i++) {
        const struct sim_node *n = &cl->node[i];
        if (!n->runs || n->asleep || w->now < n->cut_until || n->e->owners.suspended)
            continue;
        uint32_t cursor = 0;
        for (const struct call *c; (c = pool_next(&n->e->calls, &cursor, &h));)
            if (c->record_stored && !c->unprotected && c->stored == c->version && !c->resuming)
                check_stored(w, c);
    }
}

void promote_item(struct world *w, const struct sim_item *item) {
    if (item->arg == SERVER_DIES)
        dies(w);
    else if (item->arg == REPLICA_SERVES)
        serves(w);
    else
        check_all(w);
}
