/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The store between the engine and its records: slow, out of reach, silent; and the engine's death. */
#include "core/base/limits.h"
#include "tests/ladder/ladder.h"

#include <stdio.h>
#include <stdlib.h>

/* An operation on its way. */
struct waiting {
    struct waiting *next;
    uint64_t due_us;
    struct store_op op;
    struct buf *key, *value; /* our own copies */
};

static struct buf *copy(const struct buf *b) {
    if (!b)
        return NULL;
    struct buf *c = malloc(sizeof *c + b->len);
    if (!c)
        abort();
    *c = (struct buf){ .cap = b->len, .len = b->len, .refs = 1 };
    memcpy(c->data, b->data, b->len);
    return c;
}

void store_later(struct world *w, const struct store_op *op) {
    struct waiting **at = &w->store_queue, *x = calloc(1, sizeof *x);
    if (!x)
        abort();
    x->op = *op;
    x->op.key = x->key = copy(op->key);
    x->op.value = x->value = copy(op->value);
    bool counted = w->store_first > 0;
    w->store_first -= counted;
    x->due_us = w->store_silent && !counted ? UINT64_MAX : w->now + w->store_delay_us;
    while (*at)
        at = &(*at)->next;
    *at = x;
}

uint64_t store_due(const struct world *w) {
    return w->store_queue ? w->store_queue->due_us : UINT64_MAX;
}

/* A record's key is its call's id in hex, which every tag of the engine's in that call has in it. */
static bool is_refused(const struct world *w, const struct store_op *op) {
    char id[17];
    if (op->verb != STORE_PUT || !w->store_refuses || op->key->len != sizeof id - 1)
        return false;
    memcpy(id, op->key->data, sizeof id - 1);
    id[sizeof id - 1] = 0;
    return strstr(w->store_refuses->remote_tag, id);
}

static void answer_of(struct world *w, const struct store_op *op, struct event *ev) {
    *ev = (struct event){ .kind = EV_STORE };
    ev->u.store.ticket = op->ticket;
    if (w->store_down) {
        ev->u.store.status = STORE_UNAVAILABLE;
        return;
    }
    if (is_refused(w, op)) {
        ev->u.store.status = STORE_REFUSED;
        return;
    }
    store_submit(w->store, op, world_wall_ms(w));
    struct event answer;
    while (store_answer(w->store, &answer))
        *ev = answer;
    if (w->store_mute)
        ev->u.store.ticket = 0;
}

/* False: nothing is due. *ev is the answer, with ticket 0 if none is wanted. */
bool store_take(struct world *w, struct event *ev) {
    struct waiting *x = w->store_queue;
    if (!x || x->due_us > w->now)
        return false;
    w->store_queue = x->next;
    answer_of(w, &x->op, ev);
    free(x->key);
    free(x->value);
    free(x);
    return true;
}

void store_step(struct world *w, const char *what, uint64_t n) {
    world_all_read(w);
    static const char *const words[] = { "slow", "up", "down", "silent", "mute", "first" };
    unsigned i = 0;
    while (i < 6 && strcmp(what, words[i]) != 0)
        i++;
    if (i == 6)
        fail(w, "store slow TIME|up|down|silent|mute|first N");
    uint64_t delay_us = i == 0 ? n : 0;
    w->store_refuses = NULL;
    w->store_first = i == 5 ? (uint32_t)n : 0;
    w->store_mute = i >= 4;
    w->store_delay_us = delay_us;
    w->store_down = strcmp(what, "down") == 0;
    w->store_silent = strcmp(what, "silent") == 0 || i == 5;
    for (struct waiting *x = w->store_queue; x && !w->store_silent; x = x->next)
        if (x->due_us == UINT64_MAX)
            x->due_us = w->now + delay_us;
    say(w, "store        %s", what);
}

void store_refuse(struct world *w, const struct dialog_side *d) {
    world_all_read(w);
    w->store_refuses = d;
    say(w, "store        refuses %s", d->name);
}

/* ---- the engine dies, and another one reads what it left */

static void read_bucket(struct world *w, uint16_t bucket, struct waiting **list) {
    struct store_op op = { .verb = STORE_LOAD, .bucket = bucket, .ticket = 1, .table = SL("call") };
    struct event ev;
    store_submit(w->store, &op, world_wall_ms(w));
    while (store_answer(w->store, &ev)) {
        if (ev.u.store.status != STORE_OK)
            continue;
        struct waiting *x = calloc(1, sizeof *x);
        struct buf *v = malloc(sizeof *v + ev.u.store.value.n);
        if (!x || !v)
            abort();
        v->len = ev.u.store.value.n;
        memcpy(v->data, ev.u.store.value.p, v->len);
        x->value = v;
        x->next = *list;
        *list = x;
    }
}

void store_forget_queue(struct world *w) {
    for (struct waiting *x = w->store_queue, *next; x; x = next) {
        next = x->next;
        free(x->key);
        free(x->value);
        free(x);
    }
    w->store_queue = NULL;
}

static struct waiting *take_unread(struct world *w) {
    struct waiting *x = w->unread;
    w->unread = x ? x->next : NULL;
    return x;
}

static void free_record(struct waiting *x) {
    free(x->value);
    free(x);
}

void store_forget_unread(struct world *w) {
    for (struct waiting *x; (x = take_unread(w));)
        free_record(x);
}

void store_read(struct world *w, uint32_t count) {
    struct waiting *x;
    while (count-- && (x = take_unread(w))) {
        struct event ev = { .kind = EV_RECORD };
        ev.u.record.key = SL("record");
        ev.u.record.value = slice_of(x->value->data, x->value->len);
        world_event(w, &ev);
        free_record(x);
    }
}

void store_restart(struct world *w, uint64_t dead_us, bool late) {
    struct waiting *list = NULL;
    world_all_read(w);
    store_forget_queue(w);
    for (uint32_t i = 0; i < LIMIT_BUCKETS; i++)
        read_bucket(w, (uint16_t)i, &list);
    say(w, "the engine dies; another one has its records");
    w->now += dead_us;
    world_renew(w);
    store_forget_unread(w);
    w->unread = list;
    store_read(w, late ? 1 : UINT32_MAX);
}

/* ---- what the engine says of it */

void store_unprotected(struct world *w, uint64_t n) {
    struct engine_census c;
    engine_census(w->engine, &c);
    if (c.unprotected != n)
        fail(w, "unprotected calls: %u", c.unprotected);
}

void store_metric(struct world *w, const char *name, uint64_t n) {
    static const char *const names[] = {
#define METRIC(name, help) #name,
#include "core/base/metrics.def"
#undef METRIC
    };
    unsigned i = 0;
    while (i < sizeof names / sizeof *names && strcmp(names[i], name) != 0)
        i++;
    if (i == sizeof names / sizeof *names)
        fail(w, "there is no counter %s", name);
    uint64_t is = metrics_get(engine_metrics(w->engine), (enum metric)i);
    if (is != n)
        fail(w, "%s is %lu, expected: %lu", name, (unsigned long)is, (unsigned long)n);
}
