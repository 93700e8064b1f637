/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Nodes with their leases: what they say to each other and to the store, and when. */
#include "core/b2b/owner.h"
#include "core/b2b/owner_over.h"
#include "core/b2b/ticket.h"
#include "core/sip/txn_table.h"
#include "tests/sim/sim_cluster.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND 1000000ull
#define GOSSIP_US 500000
#define LINK_US 300
#define OVER_US 30000 /* word of a call that is over is taken up as soon as it is sure whose the call is */
#define FENCED_US SECOND    /* refused writes make it ask no more often */
#define TICKS_AT_ONCE 20000 /* of all leases */
#define TRUTH 77 /* ticket of the check's own question */

void cluster_setup(struct sim_setup *u, uint64_t seed) {
    struct sim_rng r = { sim_mix(seed, 91) };
    u->nodes = (uint8_t)(2 + sim_below(&r, 2));
    u->balance = (uint8_t)sim_below(&r, 2);
    u->replicas = sim_chance(&r, 50);
    u->vips = sim_chance(&r, 50);
}

bool cluster_use(struct world *w, unsigned i) {
    struct sim_cluster *c = w->cluster;
    if (!c->node[i].runs)
        return false;
    c->node[c->at].unprotected = w->faults.unprotected;
    c->at = i;
    w->e = c->node[i].e;
    w->relay = &c->node[i].relay;
    w->faults.unprotected = c->node[i].unprotected;
    w->trace_seen = engine_trace(w->e)->head;
    return true;
}

bool cluster_use_any(struct world *w) {
    struct sim_cluster *c = w->cluster;
    for (unsigned k = 0; k < c->n; k++) {
        unsigned i = (c->at + k) % c->n;
        if (c->node[i].runs && !c->node[i].asleep)
            return cluster_use(w, i);
    }
    return !c->n;
}

/* ---- on its way ---- */

static struct sim_fly *fly_new(struct world *w, unsigned node, const struct event *ev, struct slice key,
                               struct slice value) {
    struct sim_fly *f = malloc(sizeof *f + key.n + value.n + 1);
    if (!f)
        abort();
    *f = (struct sim_fly){ .node = (uint8_t)node, .life = w->cluster->node[node].life, .ev = *ev, .key_n = key.n,
                           .n = key.n + value.n, .next = w->cluster->flies };
    if (key.n)
        memcpy(f->bytes, key.p, key.n);
    if (value.n)
        memcpy(f->bytes + key.n, value.p, value.n);
    if (f->next)
        f->next->prev = f;
    w->cluster->flies = f;
    return f;
}

static void fly_free(struct world *w, struct sim_fly *f) {
    if (f->prev)
        f->prev->next = f->next;
    else
        w->cluster->flies = f->next;
    if (f->next)
        f->next->prev = f->prev;
    free(f);
}

static void fly_push(struct world *w, struct sim_fly *f, uint64_t at) {
    world_push(w, &(struct sim_item){ .at = at, .kind = ITEM_FLY, .fly = f });
}

struct sim_fly *cluster_fly(struct world *w, unsigned i, const struct event *ev, struct slice bytes, uint64_t at) {
    struct sim_fly *f = fly_new(w, i, ev, SLICE_NONE, bytes);
    fly_push(w, f, at);
    return f;
}

/* ---- the lease ---- */

struct lease_input *cluster_tell(struct world *w, unsigned i, enum lease_input_kind kind, uint16_t bucket) {
    struct sim_node *n = &w->cluster->node[i];
    if (n->waiting == SIM_INPUTS)
        sim_fail(w, "simulator: the lease has too much to hear");
    if (kind != LEASE_IN_PEER && kind != LEASE_IN_TICK)
        cluster_stir(w);
    struct lease_input *in = &n->in[(n->first + n->waiting++) % SIM_INPUTS];
    *in = (struct lease_input){ .kind = kind, .bucket = bucket };
    return in;
}

static void tell_heard(struct world *w, unsigned from, unsigned to, uint16_t bucket, uint32_t owner, uint64_t epoch) {
    struct sim_node *n = &w->cluster->node[to];
    struct lease_input heard = { .kind = LEASE_IN_HEARD, .bucket = bucket, .node = owner, .epoch = epoch };
    if (shards_are_siblings(w, from, to)) {
        shards_tell(w, from, to, &heard);
        return;
    }
    if (!n->runs || n->asleep || w->now < w->cluster->link_cut[w->cluster->at][to])
        return;
    *cluster_tell(w, to, LEASE_IN_HEARD, bucket) = heard;
}

/* Of buckets with calls, or of all. */
static void say_decision(const struct world *w, unsigned i, const struct lease_decision *d) {
    static const char *const names[] = { "loads", "has a record of", "has", "is to give", "lost", "knows the owner of",
                                         "tells of", "is suspended", "resumes", "has heard which records all read",
                                         "sees others", "is drained" };
    const struct sim_store *s = &w->faults;
    bool of_call = d->verdict >= LEASE_SUSPEND;
    for (uint32_t k = 0; k < s->kept_n; k++)
        of_call = of_call || (s->kept[k].value && s->kept[k].bucket == d->bucket);
    if (w->opt.verbose && of_call)
        printf("%6llu.%06llu node %s %s bucket %03x: %u, epoch %llu\n", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), shards_name(w, i), names[d->verdict], d->bucket, d->node,
               (unsigned long long)d->epoch);
}

static bool has_calls(const struct engine *e, uint16_t bucket) {
    uint32_t cursor = 0;
    handle h;
    for (const struct call *c; (c = pool_next(&e->calls, &cursor, &h));)
        if (c->bucket == bucket)
            return true;
    return false;
}

static void decision(struct world *w, unsigned i, const struct lease_decision *d) {
    struct event ev;
    say_decision(w, i, d);
    if (!lease_event(d, &ev)) {
        w->cluster->node[i].drained |= d->verdict == LEASE_DRAINED;
        if (d->verdict == LEASE_TELL)
            tell_heard(w, i, shards_index(w, d->node), d->bucket, d->owner, d->epoch);
        return;
    }
    if (!cluster_use(w, i))
        return;
    if (ev.kind == EV_BUCKET)
        ev.u.bucket.live = w->cluster->node[i].leaves;
    /* What its former owner had open is not known, whatever became of that one. */
    if (d->verdict == LEASE_RECORD && slice_eq(d->table, SL("call")))
        check_died(w);
    bool loses = d->verdict == LEASE_LOST && has_calls(w->e, d->bucket);
    if (loses)
        cluster_lose_rest(w, d->bucket);
    world_step_engine(w, &ev);
    if (loses)
        check_died(w); /* its next owner goes on with what is stored */
    if (d->verdict == LEASE_MINE)
        shards_has(w, i, d->bucket);
    for (unsigned k = 0; d->verdict == LEASE_MINE && k < w->cluster->n; k++)
        if (k != i)
            tell_heard(w, i, k, d->bucket, w->cluster->node[i].number, d->epoch);
}

static void carry_out(struct world *w, unsigned i) {
    static struct lease_out out;
    const struct lease_out *from = &w->cluster->node[i].out;
    out.n = from->n;
    out.op_n = from->op_n;
    memcpy(out.d, from->d, from->n * sizeof *out.d);
    memcpy(out.ops, from->ops, from->op_n * sizeof *out.ops);
    uint32_t life = w->cluster->node[i].life;
    for (uint32_t k = 0; k < out.n && life == w->cluster->node[i].life; k++)
        decision(w, i, &out.d[k]);
    for (uint32_t k = 0; k < out.op_n && cluster_use(w, i) && life == w->cluster->node[i].life; k++)
        sim_store_op(w, &out.ops[k]);
}

void cluster_work(struct world *w, unsigned i) {
    struct sim_node *n = &w->cluster->node[i];
    n->waiting = w->script.setup.lone ? 0 : n->waiting;
    while (n->runs && !n->asleep && n->waiting) {
        struct lease_input in = n->in[n->first];
        n->first = (n->first + 1) % SIM_INPUTS;
        n->waiting--;
        in.now_us = cluster_lease_now(w);
        lease_step(n->l, &in, &n->out);
        carry_out(w, i);
    }
}

/* ---- messages between nodes ---- */

static bool link_is_cut(const struct world *w, unsigned a, unsigned b) {
    return w->now < w->cluster->link_cut[a][b];
}

/* The call that a former owner has word of; 0: this is none. Nor is that of one which has never known it. */
static uint64_t over_of(const struct event *ev, struct slice bytes) {
    uint64_t id = 0;
    if (ev->kind == EV_PEER && ev->u.peer.what == PEER_OVER && bytes.n >= 18 && memcmp(bytes.p + 16, "00", 2) != 0)
        (void)slice_hex(slice_of(bytes.p, 16), &id);
    return id;
}

static void note_over(struct world *w, const struct event *ev, struct slice bytes, uint64_t at) {
    struct sim_cluster *c = w->cluster;
    uint64_t id = over_of(ev, bytes);
    if (!id)
        return;
    c->over[c->over_next].call = id;
    c->over[c->over_next].until = at + OVER_US;
    c->over_next = (c->over_next + 1) % SIM_OVERS;
}

bool cluster_hears_over(const struct world *w, uint64_t call) {
    const struct sim_cluster *c = w->cluster;
    uint64_t id = 0;
    for (unsigned i = 0; i < SIM_OVERS; i++)
        if (c->over[i].call == call && c->over[i].until > w->now)
            return true;
    for (uint32_t i = 0; i < w->e->overs.used; i++)
        if (slice_hex(slice_of(w->e->overs.items[i].text, 16), &id) && id == call)
            return true;
    return false;
}

static void peer_out(struct world *w, unsigned from, unsigned to, const struct out *o) {
    struct sim_cluster *c = w->cluster;
    struct event ev = { .kind = EV_PEER };
    if (o->u.peer.what == PEER_DATAGRAM && o->u.peer.hops > OWNER_HOPS_MAX)
        sim_fail(w, "a forward loop: a message goes round between nodes");
    if (!c->node[to].runs || link_is_cut(w, from, to)) {
        if (o->u.peer.to)
            cluster_tell(w, from, LEASE_IN_ASK, o->u.peer.bucket);
        return;
    }
    ev.u.peer.what = o->u.peer.what;
    ev.u.peer.from = shards_peer(w, from);
    ev.u.peer.bucket = o->u.peer.bucket;
    ev.u.peer.hops = o->u.peer.hops;
    ev.u.peer.src = o->u.peer.src;
    ev.u.peer.dst = o->u.peer.dst;
    static const char *const names[] = { "datagram", "move", "arrived", "go", "no", "ended", "binding",
                                         "over", "full", "left" };
    if (w->opt.verbose && o->u.peer.what != PEER_DATAGRAM && o->u.peer.what != PEER_BINDING)
        printf("%6llu.%06llu node %s -> node %s %s, bucket %03x\n", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), shards_name(w, from), shards_name(w, to), names[o->u.peer.what],
               o->u.peer.bucket);
    struct slice bytes = o->u.peer.buf ? buf_slice(o->u.peer.buf) : SLICE_NONE;
    if (shards_are_siblings(w, from, to)) {
        note_over(w, &ev, bytes, w->now);
        shards_mail(w, from, to, &ev, bytes);
        return;
    }
    uint64_t at = w->now + LINK_US + sim_draw(w, 120, w->script.setup.delay_us + 1);
    /* A stream: in order. */
    at = at > c->link_last[from][to] ? at : c->link_last[from][to];
    c->link_last[from][to] = at;
    note_over(w, &ev, bytes, at);
    cluster_fly(w, to, &ev, bytes, at);
}

void cluster_out(struct world *w, const struct out *o) {
    unsigned at = w->cluster->at;
    if (o->kind == OUT_BUCKET && w->script.setup.lone)
        return;
    if (o->kind == OUT_BUCKET) {
        if (o->u.bucket.what == BUCKET_GIVEN)
            w->cluster->given_at[o->u.bucket.bucket] = w->now;
        cluster_tell(w, at, o->u.bucket.what == BUCKET_GIVEN ? LEASE_IN_GIVEN : LEASE_IN_ASK, o->u.bucket.bucket);
        return;
    }
    for (unsigned k = 0; k < w->cluster->n; k++)
        if (k != at && (!o->u.peer.to || o->u.peer.to == shards_peer(w, k)))
            peer_out(w, at, k, o);
}

/* ---- what arrives ---- */

bool cluster_is_cut(const struct world *w, unsigned node) {
    return w->now < w->cluster->node[node].cut_until;
}

void cluster_answer(struct world *w, unsigned node, uint32_t life, const struct event *ev) {
    struct sim_node *n = &w->cluster->node[node];
    if (!n->runs || n->life != life)
        return;
    struct sim_fly *f = fly_new(w, node, ev, ev->u.store.key, ev->u.store.value);
    struct sim_cluster *c = w->cluster;
    *(c->landing ? c->landing_end : &c->landing) = f;
    c->landing_end = &f->behind;
}

void cluster_event(struct world *w, unsigned i, const struct event *ev, uint64_t at) {
    cluster_fly(w, i, ev, SLICE_NONE, at);
}

void cluster_connection(struct world *w, bool up) {
    struct event ev = { .kind = up ? EV_STORE_UP : EV_STORE_DOWN };
    for (unsigned i = 0; i < w->cluster->n; i++) {
        const struct sim_node *n = &w->cluster->node[i];
        uint64_t at = n->cut_until > w->now ? n->cut_until : w->now;
        if (up && at < w->faults.down_until)
            at = w->faults.down_until;
        if (n->runs)
            cluster_event(w, i, &ev, at);
    }
}

/* What the shell makes of it for the lease. */
static void hear_store(struct world *w, unsigned i, const struct event *ev) {
    struct sim_node *n = &w->cluster->node[i];
    bool fenced = ev->kind == EV_STORE && ev->u.store.status == STORE_FENCED && !(ev->u.store.ticket & LEASE_TICKET);
    if (ev->kind != EV_STORE_UP && (!fenced || w->now < n->fenced))
        return;
    n->fenced = fenced ? w->now + FENCED_US : n->fenced;
    cluster_tell(w, i, LEASE_IN_STORE_UP, 0);
}

/* A record that the engine reads by itself, as the lease does: of before what was last said of the call. */
static bool is_record(const struct event *ev) {
    bool own = ev->kind == EV_STORE && !(ev->u.store.ticket & LEASE_TICKET);
    return own && ev->u.store.more && ticket_part(ev->u.store.ticket) == TICKET_LOAD;
}

static void arrive(struct world *w, struct sim_fly *f) {
    struct sim_node *n = &w->cluster->node[f->node];
    struct event ev = f->ev;
    if (ev.kind == EV_PEER) {
        ev.u.peer.bytes = slice_of(f->bytes, f->n);
    } else if (ev.kind == EV_STORE) {
        ev.u.store.key = slice_of(f->bytes, f->key_n);
        ev.u.store.value = slice_of(f->bytes + f->key_n, f->n - f->key_n);
    }
    if (f->tells) {
        *cluster_tell(w, f->node, f->in.kind, f->in.bucket) = f->in;
        n->leaves = n->leaves || f->in.kind == LEASE_IN_DRAIN;
        cluster_work(w, f->node);
        return;
    }
    cluster_work(w, f->node); /* the lease first, as in a shell's turn */
    hear_store(w, f->node, &ev);
    if (ev.kind == EV_STORE_UP)
        cluster_work(w, f->node);
    if (ev.kind == EV_STORE && (ev.u.store.ticket & LEASE_TICKET)) {
        struct lease_input in = { .kind = LEASE_IN_STORE, .now_us = cluster_lease_now(w), .store = &ev };
        ev.mono_us = w->now;
        lease_step(n->l, &in, &n->out);
        carry_out(w, f->node);
    } else if (cluster_use(w, f->node) && n->life == f->life) {
        if (is_record(&ev))
            check_died(w);
        if (ev.kind == EV_SEND_FAILED)
            check_excuse(w);
        uint64_t over = over_of(&ev, ev.u.peer.bytes);
        if (over && owner_over_undoes(w->e, ev.u.peer.bucket, ev.u.peer.bytes))
            check_undone(w, over);
        if (over)
            check_over_begins(w, over);
        w->cluster->passed_on = ev.kind == EV_PEER && ev.u.peer.what == PEER_DATAGRAM;
        world_step_engine(w, &ev);
        if (over && n->runs && n->life == f->life)
            check_over_ends(w);
    }
    cluster_work(w, f->node);
}

static void land(struct world *w, struct sim_fly *f) {
    struct sim_node *n = &w->cluster->node[f->node];
    if (n->asleep && n->life == f->life) {
        fly_push(w, f, n->wakes);
        return;
    }
    if (n->runs && n->life == f->life)
        arrive(w, f);
    fly_free(w, f);
}

void cluster_land(struct world *w) {
    struct sim_cluster *c = w->cluster;
    while (c->landing) {
        struct sim_fly *f = c->landing;
        c->landing = f->behind;
        land(w, f);
    }
}

/* ---- which node a phone's packet gets to ---- */

/* A balancer learns that a node is away, and sends its share to the next. */
static unsigned pick(struct world *w, const struct packet *p) {
    struct sim_cluster *c = w->cluster;
    unsigned nodes = w->script.setup.nodes;
    if (!w->script.setup.balance)
        return shards_pick(w, sim_draw(w, 121, nodes), p);
    const struct sip_msg *m = packet_read((struct packet *)p);
    unsigned first = m ? (unsigned)(sim_hash(m->call_id) % nodes) : 0;
    for (unsigned k = 0; k < nodes; k++) {
        unsigned i = shards_pick(w, (first + k) % nodes, p);
        if (c->node[i].runs && !c->node[i].asleep)
            return i;
    }
    return shards_pick(w, first, p);
}

bool cluster_picks(struct world *w, const struct sim_item *item) {
    unsigned i = item->gen ? item->gen - 1 : pick(w, item->packet); /* gen: it waits in that node's socket */
    struct sim_node *n = &w->cluster->node[i];
    if (n->runs && n->asleep) {
        struct sim_item later = *item;
        later.gen = i + 1;
        later.at = n->wakes;
        world_push(w, &later);
        return true;
    }
    if (!n->runs) {
        world_say(w, "nobody is there: ", item->packet);
        packet_free(w, item->packet);
        return true;
    }
    cluster_work(w, i);
    return !cluster_use(w, i);
}

/* ---- time ---- */

static uint64_t due_of(const struct world *w, unsigned i) {
    const struct sim_node *n = &w->cluster->node[i];
    if (!n->runs || n->asleep)
        return UINT64_MAX;
    uint64_t due = n->waiting ? 0 : cluster_lease_due(w, i), engine = engine_deadline(n->e);
    return engine < due ? engine : due;
}

uint64_t cluster_due(const struct world *w) {
    uint64_t due = UINT64_MAX;
    for (unsigned i = 0; i < w->cluster->n; i++) {
        uint64_t d = due_of(w, i);
        due = d < due ? d : due;
    }
    return due;
}

static void gossip(struct world *w, unsigned i) {
    struct sim_cluster *c = w->cluster;
    c->node[i].gossip = cluster_lease_now(w) + GOSSIP_US;
    for (unsigned k = 0; k < c->n; k++) {
        struct lease_input in = { .kind = LEASE_IN_PEER, .node = c->node[i].number };
        in.store_ok = lease_store_ok(c->node[i].l);
        if (k == i || !c->node[k].runs || !lease_knows_store(c->node[i].l))
            continue;
        if (shards_are_siblings(w, i, k))
            shards_tell(w, i, k, &in);
        else if (!c->node[k].asleep && !link_is_cut(w, i, k))
            *cluster_tell(w, k, LEASE_IN_PEER, 0) = in;
    }
}

static void count_tick(struct world *w) {
    struct sim_cluster *c = w->cluster;
    c->ticks = c->ticked_at == w->now ? c->ticks + 1 : 0;
    c->ticked_at = w->now;
    if (c->ticks > TICKS_AT_ONCE)
        sim_fail(w, "a lease spins: time does not move");
}

/* What the leases do by themselves. */
static bool lease_tick(struct world *w, unsigned i) {
    struct sim_node *n = &w->cluster->node[i];
    if (!n->waiting && cluster_lease_due(w, i) > w->now)
        return false;
    count_tick(w);
    if (!n->waiting && n->gossip <= cluster_lease_now(w)) {
        if (i == 0)
            cluster_rest(w);
        gossip(w, i);
        return true;
    }
    if (!n->waiting)
        cluster_tell(w, i, LEASE_IN_TICK, 0);
    cluster_work(w, i);
    return true;
}

void cluster_tick(struct world *w) {
    unsigned i = 0;
    for (unsigned k = 1; k < w->cluster->n; k++)
        if (due_of(w, k) < due_of(w, i))
            i = k;
    struct sim_node *n = &w->cluster->node[i];
    struct event tick = { .kind = EV_DEADLINE };
    if (!lease_tick(w, i) && cluster_use(w, i))
        world_step_engine(w, &tick);
    if (n->drained && n->runs && n->shards > 1) {
        shards_drained(w, i);
    } else if (n->drained && n->runs) {
        cluster_leave(w, i);
    }
}

void cluster_item(struct world *w, const struct sim_item *item) {
    struct sim_node *n = &w->cluster->node[item->who];
    switch (item->kind) {
    case ITEM_FLY: land(w, item->fly); break;
    case ITEM_START:
        if (!n->runs)
            cluster_start(w, item->who);
        break;
    case ITEM_WAKE:
        /* Its turn begins with the time. */
        n->asleep = false;
        check_woken(w, n->e);
        cluster_stir(w);
        cluster_tell(w, item->who, LEASE_IN_TICK, 0);
        cluster_work(w, item->who);
        break;
    case ITEM_SURVIVED: cluster_check_rest(w); break;
    case ITEM_ADDRESS: vip_item(w, item); break;
    case ITEM_ENDS:
        if (n->runs && n->life == item->gen)
            cluster_leave(w, item->who);
        break;
    default: break;
    }
}

/* ---- one owner acts ---- */

static uint32_t owner_in_store(struct world *w, uint16_t bucket) {
    if (w->script.setup.lone)
        return w->cluster->node[shards_lone_owner(w, bucket)].number;
    struct store_op op = { .verb = STORE_OWNER, .ticket = TRUTH, .bucket = bucket };
    struct event ev = { 0 };
    store_submit(w->store, &op, SIM_WALL_MS + w->now / 1000);
    while (store_answer(w->store, &ev))
        ;
    return ev.u.store.node;
}

static const struct txn *server_of(const struct engine *e, const struct sip_msg *response) {
    const struct txn_layer *l = &e->txns;
    struct key128 key = txn_key_server(l, response, response->cseq_method_name);
    uint32_t cursor = 0;
    for (const struct txn *t; (t = chain_next(&l->by_key, key.a, &cursor));)
        if (key128_eq(t->key, key))
            return t;
    return NULL;
}

/* Of the call that it is sent for; LIMIT_BUCKETS: of none. What is sent again may be of one that is over. */
static uint16_t sent_for(const struct world *w, const struct sip_msg *m) {
    const struct leg *l = leg_of_tag(w->e, m->call_id, m->is_request ? m->from_tag : m->to_tag);
    const struct call *c = l ? call_get(w->e, l->call) : NULL;
    const struct txn *t = !m->is_request            ? server_of(w->e, m)
                          : m->method == SIP_M_ACK ? NULL
                                                   : txn_find_client(&w->e->txns, m);
    const struct txn_open *o = t ? txn_open_of(t) : NULL;
    if (c)
        return c->bucket;
    return o && o->bucket ? (uint16_t)(o->bucket - 1) : LIMIT_BUCKETS;
}

void cluster_check_send(struct world *w, const struct sip_msg *m) {
    uint16_t bucket = sent_for(w, m);
    uint32_t owner = bucket < LIMIT_BUCKETS ? owner_in_store(w, bucket) : 0;
    if (w->faults.went_back && w->now < w->faults.down_until)
        return; /* what the promoted server says nobody has heard: it is away for all */
    if (bucket < LIMIT_BUCKETS && owner != w->cluster->node[w->cluster->at].number)
        sim_fail(w, "node %s sends for a call of node %u", shards_name(w, w->cluster->at), owner);
}
