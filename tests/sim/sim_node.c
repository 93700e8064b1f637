/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The engine's death at any step, and another one that goes on with its records. */
#include "core/b2b/recover.h"
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND 1000000ull

/* ---- who must survive: calls at rest whose record is stored ---- */

static bool is_at_rest(const struct engine *e, const struct call *c) {
    if (!c->answered || c->unprotected || c->stored != c->version || c->transfer != HANDLE_NONE ||
        c->leg_count != 2 || c->takeovers >= RECOVER_TAKEOVERS_MAX)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        if (l->state != LEG_UP || l->transfer != HANDLE_NONE)
            return false;
    }
    return true;
}

static void note_survivors(struct world *w) {
    struct sim_store *s = &w->faults;
    uint32_t cursor = 0;
    handle h;
    s->survivor_n = 0;
    for (const struct call *c; (c = pool_next(&w->e->calls, &cursor, &h));)
        if (is_at_rest(w->e, c) && s->survivor_n < SIM_SURVIVORS)
            s->survivors[s->survivor_n++] = c->id;
}

static void check_survivors(struct world *w) {
    const struct sim_store *s = &w->faults;
    for (uint32_t i = 0; i < s->survivor_n; i++) {
        uint32_t cursor = 0;
        handle h;
        const struct call *c;
        while ((c = pool_next(&w->e->calls, &cursor, &h)) && c->id != s->survivors[i])
            ;
        if (!c)
            sim_fail(w, "an established call did not survive its owner");
    }
}

/* ---- death ---- */

/* In the midst of some step soon. */
void sim_node_doom(struct world *w, unsigned how) {
    w->faults.doomed = 1 + sim_draw(w, 110, 60);
    w->faults.how = (uint8_t)how;
}

/* True: it dies behind this step, with so many entries of its outbox done. */
bool sim_node_dies(struct world *w) {
    if (!w->faults.doomed || --w->faults.doomed)
        return false;
    w->out.n = sim_draw(w, 111, w->out.n + 1);
    return true;
}

void sim_node_dead(struct world *w) {
    static const uint32_t away[] = { 0, 100000, 900000, 3500000, 9000000, 35000000 };
    struct sim_store *s = &w->faults;
    uint64_t back = w->now + away[s->how % 6];
    note_survivors(w);
    w->transfers += metrics_get(engine_metrics(w->e), M_transfers_started);
    s->deaths++;
    sim_note_lost(w);
    s->life++;
    /* Who ordered something sees the node go, and asks the next one. */
    w->orders_open = 0;
    w->dead = true;
    if (s->how & 0x80)
        sim_store_forget(w);
    if (w->opt.verbose)
        printf("%6llu.%06llu the engine dies, for %u ms\n", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), away[s->how % 6] / 1000);
    check_died(w);
    world_push(w, &(struct sim_item){ .at = back, .kind = ITEM_RISE });
}

/* ---- another one ---- */

static void load(struct world *w) {
    struct sim_store *s = &w->faults;
    for (uint32_t i = 0; i < s->kept_n; i++)
        s->kept[i].loaded = false;
    for (uint32_t b = 0; b < LIMIT_BUCKETS; b++) {
        struct store_op op = { .verb = STORE_LOAD, .ticket = 1, .bucket = (uint16_t)b, .table = SL("call") };
        struct event got;
        store_submit(w->store, &op, SIM_WALL_MS + w->now / 1000);
        while (store_answer(w->store, &got)) {
            if (got.u.store.status != STORE_OK)
                continue;
            struct sim_op_record *x = malloc(sizeof *x + got.u.store.value.n);
            if (!x)
                abort();
            x->next = s->records;
            x->n = got.u.store.value.n;
            memcpy(x->bytes, got.u.store.value.p, x->n);
            s->records = x;
        }
    }
}

void sim_node_rise(struct world *w) {
    struct sim_store *s = &w->faults;
    /* What its predecessor still had on the way is of another epoch by now: refused. */
    sim_store_forget(w);
    load(w);
    world_renew(w);
    w->dead = false;
    s->unprotected = 0;
    while (s->records) {
        struct sim_op_record *x = s->records;
        struct event ev = { .kind = EV_RECORD };
        s->records = x->next;
        ev.u.record.key = SL("record");
        ev.u.record.value = slice_of(x->bytes, x->n);
        if (!w->dead)
            world_step_engine(w, &ev);
        free(x);
    }
    s->quarantined += (uint32_t)metrics_get(engine_metrics(w->e), M_calls_quarantined);
    if (w->dead)
        return;
    if (metrics_get(engine_metrics(w->e), M_records_unreadable))
        sim_fail(w, "a record of ours that cannot be read");
    check_survivors(w);
    for (unsigned i = 0; i < SIM_PHONES - 1; i++)
        phone_register(w, &w->phones[i], 7000, false);
}
