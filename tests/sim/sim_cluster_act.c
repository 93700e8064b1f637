/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Nodes that die, sleep, are cut off, leave and come back; and the calls that must live through it. */
#include "core/b2b/owner.h"
#include "core/b2b/recover.h"
#include "tests/sim/sim_cluster.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND 1000000ull
/* A lease, its grace, the claims and loads of a slow store. */
#define TAKEN_OVER_US (25 * SECOND)

/* ---- life ---- */

static void lay_out_node(struct world *w, struct arena *a, unsigned i, struct sim_node *n) {
    struct lease_config lc = { .node = w->cluster->node[i].number, .lazy_seed = sim_mix(w->seed, 300 + i),
                               .format = RECORD_FORMAT };
    struct engine_config config = w->config;
    uint32_t life = n ? n->life : 0;
    vip_config(w, i, &config);
    config.seed.k0 = sim_mix(config.seed.k0, life * SIM_NODES + w->cluster->node[i].node);
    shards_config(w, i, &config);
    if (!n) { /* as much as any world's needs */
        config.media_vip_count = SIM_NODES - 1;
        config.media_port_max = SIM_PORT_MIN + 4 * SIM_PORT_PAIRS - 1;
    }
    struct engine *e = engine_new(a, &config, w->now, SIM_WALL_MS + w->now / 1000);
    struct relay *r = n ? &n->relay : w->relay;
    relay_init(r, a, SIM_PORT_PAIRS * SIM_NODES);
    struct lease *l = lease_new(a, &lc, cluster_lease_now(w));
    if (!n)
        return;
    n->e = e;
    n->l = l;
    engine_set_relay(e, r);
}

static bool some_run(const struct sim_cluster *c) {
    for (unsigned i = 0; i < c->n; i++)
        if (c->node[i].runs)
            return true;
    return false;
}

void cluster_start(struct world *w, unsigned i) {
    struct sim_cluster *c = w->cluster;
    struct sim_node *n = &c->node[i];
    struct arena a;
    if (!some_run(c))
        c->quiet_since = w->now; /* nobody was there to take anything over */
    if (!n->memory && !(n->memory = malloc(c->node_memory)))
        abort();
    arena_init(&a, n->memory, c->node_memory);
    cluster_stir(w);
    lay_out_node(w, &a, i, n);
    n->runs = true;
    n->asleep = n->leaves = n->drained = n->ends = false;
    n->first = n->waiting = n->doomed = 0;
    n->unprotected = n->orders = 0;
    n->gossip = cluster_lease_now(w);
    if (w->opt.verbose)
        printf("%6llu.%06llu node %s starts\n", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), shards_name(w, i));
    vip_starts(w, i);
    shards_divide(w, i);
}

static void stop(struct world *w, unsigned i) {
    struct sim_node *n = &w->cluster->node[i];
    cluster_stir(w);
    if (n->e->calls.used)
        w->orders_open &= ~n->orders; /* it drained, and there was nobody for them: who ordered sees it go */
    w->transfers += metrics_get(engine_metrics(n->e), M_transfers_started);
    w->faults.quarantined += (uint32_t)metrics_get(engine_metrics(n->e), M_calls_quarantined);
    n->runs = n->asleep = n->leaves = n->drained = n->ends = false;
    n->life++;
    vip_stops(w, i);
    if (w->opt.verbose)
        printf("%6llu.%06llu node %s is gone\n", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), shards_name(w, i));
}

void cluster_stop(struct world *w, unsigned i) {
    for (unsigned k = 0; k < w->cluster->n; k++)
        if (shards_are_siblings(w, i, k) && w->cluster->node[k].runs)
            stop(w, k);
}

static void start_at(struct world *w, unsigned i, uint64_t at) {
    for (unsigned k = 0; k < w->cluster->n; k++)
        if (shards_are_siblings(w, i, k))
            world_push(w, &(struct sim_item){ .at = at, .kind = ITEM_START, .who = (uint8_t)k });
}

uint32_t cluster_quarantined(const struct world *w) {
    uint32_t n = 0;
    for (unsigned i = 0; i < w->cluster->n; i++)
        if (w->cluster->node[i].runs)
            n += (uint32_t)metrics_get(engine_metrics(w->cluster->node[i].e), M_calls_quarantined);
    return n;
}

void cluster_begin(struct world *w) {
    struct sim_cluster *c = w->cluster;
    struct arena a;
    while (c->flies) {
        struct sim_fly *f = c->flies;
        c->flies = f->next;
        free(f);
    }
    for (unsigned i = 0; i < SIM_MEMBERS; i++) {
        uint8_t *memory = c->node[i].memory;
        memset(&c->node[i], 0, offsetof(struct sim_node, in));
        c->node[i].first = c->node[i].waiting = 0;
        c->node[i].memory = memory;
    }
    memset(c->link_cut, 0, sizeof c->link_cut);
    memset(c->link_last, 0, sizeof c->link_last);
    c->at = c->rest_n = 0;
    c->rests_since = c->rested_us = 0;
    c->landing = NULL;
    c->arriving = false;
    c->quiet_since = 0;
    memset(c->given_at, 0, sizeof c->given_at);
    memset(c->over, 0, sizeof c->over);
    c->over_next = 0;
    vip_begin(w);
    shards_begin(w);
    if (!c->n)
        return;
    w->config.shared = true;
    if (!c->node_memory) {
        arena_init(&a, NULL, 0);
        lay_out_node(w, &a, 0, NULL);
        c->node_memory = a.used;
    }
    for (unsigned i = 0; i < c->n; i++)
        cluster_start(w, i);
    cluster_use(w, 0);
}

/* ---- at rest ---- */

static bool is_at_rest(const struct engine *e, const struct call *c) {
    if (!c->answered || c->unprotected || c->stored != c->version || c->transfer != HANDLE_NONE || c->takeovers ||
        c->leg_count != 2)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        if (l->state != LEG_UP || l->transfer != HANDLE_NONE)
            return false;
    }
    return true;
}

static void note(struct world *w, const struct engine *e, const struct call *c) {
    struct sim_rest *r = &w->cluster->rest[w->cluster->rest_n++];
    r->id = c->id;
    r->version = c->stored;
    r->bucket = c->bucket;
    for (unsigned i = 0; i < 2; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        r->phone[i] = (uint8_t)(l->dlg.flow.ip[3] - 10);
        txt_set(&r->call_id[i], leg_str(l, DLG_CALL_ID));
        txt_set(&r->tag[i], leg_str(l, DLG_REMOTE_TAG));
    }
}

/* Its second owner dies with it: the next one may leave it alone. */
static void forget_rest(struct sim_cluster *c, uint64_t id) {
    for (uint32_t i = 0; i < c->rest_n; i++)
        if (c->rest[i].id == id)
            c->rest[i--] = c->rest[--c->rest_n];
}

void cluster_note_rest(struct world *w, unsigned i) {
    struct sim_cluster *c = w->cluster;
    const struct engine *e = c->node[i].e;
    uint32_t cursor = 0;
    handle h;
    for (const struct call *k; (k = pool_next(&e->calls, &cursor, &h));) {
        if (k->takeovers || sim_takeovers(w, k) >= RECOVER_TAKEOVERS_MAX)
            forget_rest(c, k->id);
        if (is_at_rest(e, k) && !promote_lacks(w, k->id, k->bucket, k->version) && c->rest_n < SIM_AT_REST)
            note(w, e, k);
    }
    world_push(w, &(struct sim_item){ .at = w->now + TAKEN_OVER_US, .kind = ITEM_SURVIVED });
}

/* Their next owner is the third, and may leave them alone. In all buckets: LIMIT_BUCKETS. */
static void forget_third(struct world *w, const struct engine *e, uint32_t bucket) {
    uint32_t cursor = 0;
    handle h;
    for (const struct call *k; (k = pool_next(&e->calls, &cursor, &h));)
        if ((bucket == LIMIT_BUCKETS || k->bucket == bucket) && sim_takeovers(w, k) >= RECOVER_TAKEOVERS_MAX)
            forget_rest(w->cluster, k->id);
}

/* Who has slept past its lease, or was cut from the store, is as good as dead for who goes on. */
void cluster_lose_rest(struct world *w, uint16_t bucket) {
    forget_third(w, w->e, bucket);
}

static bool is_somewhere(const struct world *w, uint64_t id) {
    for (unsigned i = 0; i < w->cluster->n; i++) {
        const struct sim_node *n = &w->cluster->node[i];
        uint32_t cursor = 0;
        handle h;
        for (const struct call *k; n->runs && (k = pool_next(&n->e->calls, &cursor, &h));)
            if (k->id == id)
                return true;
    }
    return false;
}

/* Nobody is left who could write it again. That may also be that its second owner did not die, but gave it away: by
 * what is left two have died with it, and who gets it leaves it alone. That its bucket was released does not tell: so
 * is, by who has started anew, what the life before had, which died with it. */
static bool is_unseen(struct world *w, const struct sim_rest *r) {
    return !is_somewhere(w, r->id) &&
           (promote_lacks(w, r->id, r->bucket, r->version) || promote_leaves_alone(w, r->id, r->bucket));
}

/* What that one has not seen of them died with their owners, or was given away. */
void cluster_lose_unseen(struct world *w) {
    struct sim_cluster *c = w->cluster;
    for (uint32_t i = 0; i < c->rest_n; i++)
        if (is_unseen(w, &c->rest[i]))
            c->rest[i--] = c->rest[--c->rest_n];
}

/* Not who has heard a BYE: its call was there, to be ended, whether it answers that or not. */
static bool is_up(struct world *w, const struct sim_rest *r, unsigned side) {
    const struct pdlg *d = r->phone[side] < SIM_PHONES
                               ? phone_dialog_find(&w->phones[r->phone[side]], txt_slice(&r->call_id[side]),
                                                   txt_slice(&r->tag[side]))
                               : NULL;
    return d && d->state == PH_UP && !d->bye_in;
}

/* Until when it may be nowhere: its record is there, and its bucket is between who gave it and who gets it. */
static uint64_t on_its_way(const struct world *w, uint64_t id) {
    const struct sim_cluster *c = w->cluster;
    const struct sim_kept *k = w->faults.kept, *end = k + w->faults.kept_n;
    while (k < end && (k->id != id || !k->value))
        k++;
    if (k == end || !c->given_at[k->bucket])
        return 0;
    for (unsigned i = 0; i < c->n; i++)
        if (c->node[i].runs && owner_is_mine(c->node[i].e, k->bucket))
            return 0;
    return c->given_at[k->bucket] + TAKEN_OVER_US;
}

/* Where the store has answered since; and somebody was there to go on. */
void cluster_check_rest(struct world *w) {
    struct sim_cluster *c = w->cluster;
    uint64_t quiet = (some_run(c) ? c->quiet_since : w->now) + TAKEN_OVER_US;
    if (w->now < quiet) {
        world_push(w, &(struct sim_item){ .at = quiet, .kind = ITEM_SURVIVED });
        return;
    }
    uint32_t n = 0;
    uint64_t again = 0;
    for (uint32_t i = 0; i < c->rest_n; i++) {
        if (is_somewhere(w, c->rest[i].id) || !is_up(w, &c->rest[i], 0) || !is_up(w, &c->rest[i], 1))
            continue;
        uint64_t until = on_its_way(w, c->rest[i].id);
        if (w->now >= until)
            sim_fail(w, "a call at rest did not survive its owner");
        again = until > again ? until : again;
        c->rest[n++] = c->rest[i];
    }
    c->rest_n = n;
    if (n)
        world_push(w, &(struct sim_item){ .at = again, .kind = ITEM_SURVIVED });
}

/* ---- death ---- */

bool cluster_dies(struct world *w) {
    struct sim_node *n = &w->cluster->node[w->cluster->at];
    if (!n->doomed || --n->doomed)
        return false;
    w->out.n = sim_draw(w, 111, w->out.n + 1);
    return true;
}

/* Whether it dies, or sleeps until somebody else has its calls. */
static void note_lost(struct world *w, const struct engine *e) {
    struct sim_store *s = &w->faults;
    s->lost_some = s->lost_some || metrics_get(&e->metrics, M_store_unprotected) ||
                   metrics_get(&e->metrics, M_store_failures) || w->now < s->down_until;
}

void cluster_dead(struct world *w) {
    static const uint32_t away[] = { 100000, 900000, 3500000, 9000000, 35000000, 12000000 };
    struct sim_cluster *c = w->cluster;
    unsigned i = c->at;
    w->faults.deaths++;
    w->faults.undeleted |= w->faults.stands && !w->script.setup.replicas;
    for (unsigned k = 0; k < c->n; k++) {
        if (!shards_are_siblings(w, i, k) || !c->node[k].runs)
            continue;
        note_lost(w, c->node[k].e);
        c->node[k].asleep = true; /* for good */
    }
    c->quiet_since = w->now;
    check_died(w);
    for (unsigned k = 0; k < c->n; k++) {
        if (!shards_are_siblings(w, i, k) || !c->node[k].runs)
            continue;
        w->orders_open &= ~c->node[k].orders; /* who ordered sees the node go, and asks the next one */
        cluster_note_rest(w, k);
    }
    cluster_stop(w, i);
    start_at(w, i, w->now + away[sim_draw(w, 112, 6)]);
}

/* ---- the end of a drain ---- */

/* What nobody was there for: its owner is as good as dead, too, for who goes on with it. But what counts as stored may
 * not be there when the server's replica has not seen it. */
static void note_left(struct world *w, unsigned i) {
    struct sim_cluster *c = w->cluster;
    w->faults.unended += c->node[i].e->barrier.undeleted;
    const struct engine *e = c->node[i].e;
    uint32_t cursor = 0, before = c->rest_n;
    handle h;
    if (!w->script.setup.replicas && (w->faults.stands || w->faults.went_back))
        return;
    for (const struct call *k; (k = pool_next(&e->calls, &cursor, &h));)
        if (is_at_rest(e, k) && c->rest_n < SIM_AT_REST)
            note(w, e, k);
    if (c->rest_n == before)
        return;
    c->quiet_since = c->quiet_since > w->now ? c->quiet_since : w->now;
    world_push(w, &(struct sim_item){ .at = w->now + TAKEN_OVER_US, .kind = ITEM_SURVIVED });
}

void cluster_leave(struct world *w, unsigned i) {
    for (unsigned k = 0; k < w->cluster->n; k++) {
        if (!shards_are_siblings(w, i, k) || !w->cluster->node[k].runs)
            continue;
        forget_third(w, w->cluster->node[k].e, LIMIT_BUCKETS);
        note_left(w, k);
        /* Somebody else goes on with its calls, by what is stored, as if it had died. */
        if (w->cluster->node[k].e->calls.used)
            note_lost(w, w->cluster->node[k].e);
    }
    cluster_stop(w, i);
    start_at(w, i, w->now + 2 * SECOND);
}

/* ---- what is done to them ---- */

/* The others sleep with it, but now and then: a thread may be held up by itself. */
static void put_to_sleep(struct world *w, unsigned i, uint64_t wakes) {
    struct sim_node *n = &w->cluster->node[i];
    n->asleep = true;
    note_lost(w, n->e);
    n->wakes = wakes;
    world_push(w, &(struct sim_item){ .at = wakes, .kind = ITEM_WAKE, .who = (uint8_t)i });
}

static void sleep_node(struct world *w, const bool whom[SIM_MEMBERS]) {
    static const uint32_t how_long[] = { 300000, 1500000, 4000000, 8000000, 20000000 };
    struct sim_cluster *c = w->cluster;
    bool any = false;
    for (unsigned k = 0; k < c->n; k++)
        any = any || (whom[k] && c->node[k].runs && !c->node[k].asleep);
    if (!any)
        return;
    cluster_stir(w);
    uint64_t wakes = w->now + how_long[sim_draw(w, 113, 5)];
    for (unsigned k = 0; k < c->n; k++)
        if (whom[k] && c->node[k].runs && !c->node[k].asleep)
            put_to_sleep(w, k, wakes);
    c->quiet_since = wakes;
    if (w->script.setup.lone)
        return; /* nobody goes on with its calls */
    w->faults.deaths++; /* as good as dead for who does */
    check_died(w);
}

static void cut_off(struct world *w, const bool whom[SIM_MEMBERS], uint64_t until) {
    struct sim_cluster *c = w->cluster;
    cluster_stir(w);
    for (unsigned k = 0; k < c->n; k++)
        if (whom[k])
            c->node[k].cut_until = until;
    c->quiet_since = until;
    w->faults.lost_some = true;
}

static void cut_links(struct world *w, const bool whom[SIM_MEMBERS], uint64_t until) {
    bool one_way = sim_draw(w, 115, 3) == 0;
    cluster_stir(w);
    for (unsigned i = 0; i < w->cluster->n; i++)
        for (unsigned k = 0; whom[i] && k < w->cluster->n; k++) {
            if (shards_are_siblings(w, i, k))
                continue;
            w->cluster->link_cut[i][k] = until;
            if (!one_way)
                w->cluster->link_cut[k][i] = until;
        }
}

/* The first shard hears of it, and tells the others. */
static void drain(struct world *w, unsigned first) {
    struct sim_cluster *c = w->cluster;
    struct lease_input in = { .kind = LEASE_IN_DRAIN };
    if (!c->node[first].runs || c->node[first].asleep)
        return;
    c->node[first].leaves = true;
    cluster_tell(w, first, LEASE_IN_DRAIN, 0);
    for (unsigned k = first + 1; k < c->n && shards_are_siblings(w, first, k); k++)
        shards_tell(w, first, k, &in);
}

/* Shards of that node; one alone, where that may be and is drawn. */
static unsigned choose(struct world *w, unsigned node, bool may_be_one, bool whom[SIM_MEMBERS]) {
    struct sim_cluster *c = w->cluster;
    unsigned first = 0;
    while (c->node[first].node != node)
        first++;
    unsigned shards = c->node[first].shards, one = shards > 1 && may_be_one ? sim_draw(w, 126, 4 * shards) : shards;
    for (unsigned k = 0; k < shards; k++)
        whom[first + k] = one >= shards || one == k;
    return first;
}

void cluster_act(struct world *w, const struct sim_event *ev) {
    struct sim_cluster *c = w->cluster;
    unsigned node = sim_draw(w, 116, w->script.setup.nodes), what = ev->other % 6;
    uint64_t until = w->now + 200000 + sim_draw(w, 117, 12 * SECOND);
    static const char *const names[] = { "dies", "dies", "sleeps", "is cut from the store", "is cut from its peers",
                                         "is drained" };
    bool whom[SIM_MEMBERS] = { false };
    unsigned first = choose(w, node, what == 2 || what == 3, whom);
    if (w->script.setup.lone && what != 2 && what != 3)
        return;
    if (w->opt.verbose)
        printf("%6llu.%06llu node %s %s\n", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), shards_name(w, whom[first] ? first : first + 1), names[what]);
    switch (what) {
    case 2: sleep_node(w, whom); break;
    case 3: cut_off(w, whom, until); break;
    case 4: cut_links(w, whom, until); break;
    case 5: drain(w, first); break;
    default:
        first += c->node[first].shards > 1 ? sim_draw(w, 127, c->node[first].shards) : 0;
        c->node[first].doomed = 1 + sim_draw(w, 110, 60);
        break;
    }
}
