/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The store between engine and records: late, refusing, losing answers, out of reach. What it has said counts: what is
 * promised on the wires must be in a record that it has acknowledged. */
#include "core/b2b/record.h"
#include "core/b2b/record_fields.h"
#include "core/b2b/record_pack.h"
#include "core/b2b/recover.h"
#include "core/sip/token.h"
#include "tests/sim/sim_cluster.h"

#include <stdio.h>
#include <stdlib.h>

#define FAULTS_SHARE 66 /* percent of durable worlds: with --faults all */
#define PROMOTIONS_SHARE 40 /* of those with nodes */
#define SECOND 1000000ull
#define ANSWER_LOST_US 500000 /* the client gives up waiting */
#define LEASE_OPS_A_FAILURE 20000

enum fate { FATE_DONE, FATE_REFUSED, FATE_ANSWER_LOST };

struct sim_op {
    struct sim_op *next;
    uint64_t at;   /* it arrives */
    struct store_op op;
    struct buf *key, *value;
    uint32_t life; /* of the engine that asked */
    uint8_t node;  /* whose, in a cluster */
    uint8_t fate;
};

/* ---- drawn with the world ---- */

void sim_store_setup(struct sim_setup *u, uint64_t seed, bool nodes) {
    static const uint32_t delays[] = { 0, 200, 2000, 12000, 100000 }, failing[] = { 0, 0, 0, 10, 200 };
    struct sim_rng r = { sim_mix(seed, 83) };
    u->durable = sim_chance(&r, 50);
    u->store_delay_us = delays[sim_below(&r, 5)];
    u->store_fails = failing[sim_below(&r, 5)];
    u->faults = u->durable && sim_chance(&r, FAULTS_SHARE);
    if (!nodes)
        return;
    u->durable = u->faults = true;
    cluster_setup(u, seed);
}

/* --mortal: in the midst of a scene. No more often than a call bears without being taken for what kills nodes. */
static void add_deaths(struct sim_script *s, struct sim_rng *r) {
    uint64_t next = 0;
    for (uint32_t i = 0; i < SIM_SCENES && s->n < SIM_EVENTS; i++) {
        uint64_t at = s->first[i] < s->first[i + 1] ? s->ev[s->first[i]].at + sim_below(r, 6 * SECOND) : 0;
        if (at < next)
            continue;
        next = at + RECOVER_FINE_US / RECOVER_TAKEOVERS_MAX;
        s->ev[s->n++] = (struct sim_event){ .at = at, .action = ACT_DIE, .other = (uint8_t)sim_below(r, 256) };
    }
}

/* Behind the scenes, so that their events keep their numbers. */
void sim_store_script(struct sim_script *s, uint64_t seed) {
    struct sim_rng r = { sim_mix(seed, 87) };
    uint64_t begin = SIM_START_US + 5 * SECOND, span = s->setup.end - begin;
    uint32_t outages = sim_chance(&r, 30) ? 1 + sim_below(&r, 3) : 0, deaths = sim_below(&r, 5);
    uint32_t others = outages + deaths;
    bool may = s->setup.nodes && !s->setup.lone;
    uint32_t promotions = may && sim_chance(&r, PROMOTIONS_SHARE) ? 1 + sim_below(&r, 2) : 0;
    for (uint32_t i = 0; s->setup.durable && i < others + promotions && s->n < SIM_EVENTS; i++)
        s->ev[s->n++] = (struct sim_event){ .at = begin + sim_next(&r) % span,
                                            .action = i < outages ? ACT_STORE_DOWN : i < others ? ACT_DIE : ACT_PROMOTE,
                                            .other = (uint8_t)sim_below(&r, 256) };
    if (s->mortal && s->setup.durable)
        add_deaths(s, &r);
}

/* ---- operations ---- */

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

static void op_free(struct sim_op *x) {
    free(x->key);
    free(x->value);
    free(x);
}

static void ops_free(struct sim_op *x) {
    for (struct sim_op *next; x; x = next) {
        next = x->next;
        op_free(x);
    }
}

void sim_store_begin(struct world *w) {
    struct sim_store *s = &w->faults;
    ops_free(s->first);
    ops_free(s->late);
    for (uint32_t i = 0; i < s->kept_n; i++)
        free(s->kept[i].value);
    uint8_t *replica = s->replica;
    memset(s, 0, sizeof *s);
    s->last = &s->first;
    s->replica = replica;
}

static struct sim_kept *kept_of(struct world *w, uint64_t id, bool make) {
    struct sim_store *s = &w->faults;
    for (uint32_t i = 0; i < s->kept_n; i++)
        if (s->kept[i].id == id)
            return &s->kept[i];
    if (!make)
        return NULL;
    if (s->kept_n == SIM_KEPT)
        sim_fail(w, "simulator: too many records");
    s->kept[s->kept_n] = (struct sim_kept){ .id = id };
    return &s->kept[s->kept_n++];
}

static uint64_t id_of(struct slice key) {
    uint64_t id = 0;
    for (uint32_t i = 0; i < key.n; i++)
        id = id << 4 | (uint64_t)(key.p[i] <= '9' ? key.p[i] - '0' : key.p[i] - 'a' + 10);
    return id;
}

/* The engine knows that this is stored. */
static void acknowledged(struct world *w, const struct store_op *op) {
    struct sim_kept *k = kept_of(w, id_of(buf_slice(op->key)), true);
    bool moved = k->value && !op->value && op->bucket != k->bucket; /* what it left behind goes */
    if (op->version < k->version || moved)
        return;
    free(k->value);
    k->value = copy(op->value);
    k->version = op->version;
    k->known = true;
    k->bucket = op->bucket;
}

static void submit(struct world *w, const struct store_op *op) {
    uint64_t now = op->verb == STORE_LEASE ? cluster_lease_now(w) : w->now;
    store_submit(w->store, op, SIM_WALL_MS + now / 1000);
}

void sim_store_op(struct world *w, const struct store_op *op) {
    struct sim_store *s = &w->faults;
    const struct sim_setup *u = &w->script.setup;
    struct event ignored;
    if (!op->key && !cluster_on(w))
        sim_fail(w, "a store operation without a key");
    if (!op->ticket && !cluster_on(w)) {
        submit(w, op);
        while (store_answer(w->store, &ignored))
            ;
        return;
    }
    struct sim_op *x = calloc(1, sizeof *x);
    if (!x)
        abort();
    x->op = *op;
    x->op.key = x->key = copy(op->key);
    x->op.value = x->value = copy(op->value);
    x->life = cluster_on(w) ? w->cluster->node[w->cluster->at].life : s->life;
    x->node = (uint8_t)w->cluster->at;
    /* A lease asks for so much that one of a hundred would mean a store that is never there. */
    uint32_t of = op->ticket & LEASE_TICKET ? LEASE_OPS_A_FAILURE * u->store_fails : 1000;
    if (u->store_fails && sim_draw(w, 100, of) < u->store_fails)
        x->fate = sim_draw(w, 101, 2) ? FATE_REFUSED : FATE_ANSWER_LOST;
    *s->last = x;
    s->last = &x->next;
    uint64_t at = w->now + u->store_delay_us;
    /* One item takes all along that arrive at a time. */
    bool now = w->cluster->arriving && at <= w->now;
    s->due = at > s->due ? at : s->due;
    x->at = s->due;
    if (cluster_on(w) && (now || s->item_at == s->due))
        return;
    s->item_at = s->due;
    world_push(w, &(struct sim_item){ .at = s->due, .kind = ITEM_STORE });
}

static void answer(struct world *w, const struct sim_op *x, enum store_status status) {
    struct event ev = { .kind = EV_STORE };
    ev.u.store.ticket = x->op.ticket;
    ev.u.store.status = status;
    if (status == STORE_OK)
        acknowledged(w, &x->op);
    if (!w->dead && x->life == w->faults.life)
        world_step_engine(w, &ev);
}

static void say(const struct world *w, const struct sim_op *x, enum store_status status) {
    static const char *const names[] = { "done", "missing", "refused", "fenced", "unavailable" };
    if (w->opt.verbose && x->key && (x->op.verb == STORE_PUT || x->op.verb == STORE_DELETE))
        printf("%6llu.%06llu store: %s %.*s %03x/%.*s version %llu: %s\n", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), x->op.verb == STORE_PUT ? "put" : "delete", (int)x->op.table.n,
               x->op.table.p, x->op.bucket, (int)buf_slice(x->key).n, buf_slice(x->key).p,
               (unsigned long long)x->op.version, names[status]);
}

/* Of a cluster's node: what the store itself says, for a LOAD many times. */
static void answer_node(struct world *w, const struct sim_op *x, enum store_status status) {
    struct event ev = { .kind = EV_STORE };
    bool record = !(x->op.ticket & LEASE_TICKET) && x->op.key && slice_eq(x->op.table, SL("call"));
    if (status == STORE_OK) {
        submit(w, &x->op);
        while (store_answer(w->store, &ev)) {
            if (ev.u.store.status == STORE_OK && promote_is_short(w, &x->op))
                ev.u.store.status = STORE_UNAVAILABLE;
            if (record && ev.u.store.status == STORE_OK)
                acknowledged(w, &x->op);
            if (x->fate == FATE_DONE)
                cluster_answer(w, x->node, x->life, &ev);
        }
        say(w, x, ev.u.store.status);
        if (x->fate == FATE_DONE || !x->op.ticket)
            return;
        status = STORE_UNAVAILABLE;
    }
    w->cluster->quiet_since = w->now;
    if (!x->op.ticket)
        return;
    ev = (struct event){ .kind = EV_STORE };
    ev.u.store.ticket = x->op.ticket;
    ev.u.store.status = x->op.ticket & LEASE_TICKET ? STORE_UNAVAILABLE : status;
    cluster_answer(w, x->node, x->life, &ev);
}

static struct sim_op *take_first(struct sim_store *s) {
    struct sim_op *x = s->first;
    s->first = x->next;
    if (!s->first)
        s->last = &s->first;
    return x;
}

/* ---- what the client does behind an answer that a write was not done: it does it as soon as it can ---- */

static bool is_write(const struct sim_op *x) {
    return x->op.verb == STORE_PUT || x->op.verb == STORE_DELETE;
}

static bool is_of_same(const struct sim_op *a, const struct sim_op *b) {
    return a->node == b->node && a->op.bucket == b->op.bucket && slice_eq(a->op.table, b->op.table) &&
           slice_eq(buf_slice(a->key), buf_slice(b->key));
}

/* Those before it of the same record are not done any more. */
static void replace_late(struct sim_store *s, const struct sim_op *by) {
    for (struct sim_op **at = &s->late; *at;) {
        struct sim_op *x = *at;
        if (!is_of_same(x, by)) {
            at = &x->next;
            continue;
        }
        *at = x->next;
        op_free(x);
    }
}

static void put_late(struct world *w, struct sim_op *x) {
    struct sim_store *s = &w->faults;
    uint64_t cut = w->cluster->node[x->node].cut_until, at = s->down_until > cut ? s->down_until : cut;
    struct sim_op **end = &s->late;
    while (*end)
        end = &(*end)->next;
    x->op.ticket = 0;
    x->fate = FATE_DONE;
    x->next = NULL;
    *end = x;
    world_push(w, &(struct sim_item){ .at = at > w->now ? at : w->now, .kind = ITEM_STORE });
}

static void do_late(struct world *w) {
    struct sim_op **at = &w->faults.late;
    while (*at) {
        struct sim_op *x = *at;
        const struct sim_node *n = &w->cluster->node[x->node];
        bool gone = n->life != x->life;
        if (!gone && (w->now < w->faults.down_until || cluster_is_cut(w, x->node) || n->asleep)) {
            at = &x->next;
            continue;
        }
        *at = x->next;
        if (!gone)
            answer_node(w, x, STORE_OK);
        op_free(x);
    }
}

/* All operations of nodes that arrive now. */
static void arrive_of_nodes(struct world *w) {
    struct sim_store *s = &w->faults;
    w->cluster->arriving = true;
    do_late(w);
    while (s->first && s->first->at <= w->now) {
        struct sim_op *x = take_first(s);
        bool away = w->now < s->down_until || cluster_is_cut(w, x->node);
        enum store_status status = away ? STORE_UNAVAILABLE : x->fate == FATE_REFUSED ? STORE_REFUSED : STORE_OK;
        if (is_write(x))
            replace_late(s, x);
        answer_node(w, x, status);
        if (is_write(x) && status != STORE_OK)
            put_late(w, x);
        else
            op_free(x);
        cluster_land(w);
    }
    w->cluster->arriving = false;
}

/* The oldest operation has arrived. */
void sim_store_arrives(struct world *w) {
    struct sim_store *s = &w->faults;
    struct event ignored;
    s->item_at = s->item_at > w->now ? s->item_at : 0;
    if (cluster_on(w))
        arrive_of_nodes(w);
    if (cluster_on(w) || !s->first)
        return;
    struct sim_op *x = take_first(s);
    bool away = w->now < s->down_until;
    enum store_status status = away ? STORE_UNAVAILABLE : x->fate == FATE_REFUSED ? STORE_REFUSED : STORE_OK;
    if (status == STORE_OK) {
        store_submit(w->store, &x->op, SIM_WALL_MS + w->now / 1000);
        while (store_answer(w->store, &ignored))
            ;
    }
    if (status == STORE_OK && x->fate == FATE_ANSWER_LOST)
        status = STORE_UNAVAILABLE; /* done, and nobody knows */
    say(w, x, status);
    answer(w, x, status);
    op_free(x);
}

void sim_store_down(struct world *w, unsigned how) {
    uint64_t until = w->now + (how & 3) * (how & 3) * 3 * SECOND + 200000;
    /* No sooner than its replica is promoted. */
    w->faults.down_until = w->faults.stands && w->faults.down_until > until ? w->faults.down_until : until;
    cluster_stir(w);
}

/* A server that is promoted has not seen the last writes. */
void sim_store_forget(struct world *w) {
    struct sim_store *s = &w->faults;
    ops_free(s->first);
    s->first = NULL;
    s->last = &s->first;
}

/* What it says from now on is the record, at whatever version: it may have lost later ones. */
void sim_store_promoted(struct world *w) {
    struct sim_store *s = &w->faults;
    for (uint32_t i = 0; i < s->kept_n; i++)
        s->kept[i].version = 0;
}

/* ---- what was promised ---- */

/* The value of the first field with this tag; absent: none. */
static struct slice field(struct slice in, uint32_t tag) {
    struct tlv t;
    while (in.n && tlv_next(&in, &t))
        if (t.tag == tag)
            return t.value;
    return SLICE_NONE;
}

static uint64_t number(struct slice v) {
    uint64_t n = 0;
    return v.p && varint_get(&v, &n) ? n : 0;
}

static uint64_t record_number(struct world *w, struct slice record, uint32_t tag) {
    static char mem[PACK_MAX];
    struct sbuf plain = sbuf_on(mem, sizeof mem);
    struct slice all;
    return record_fields(w->e, record, &plain, &all) == RECORD_OK ? number(field(all, tag)) : 0;
}

uint64_t sim_record_version(struct world *w, struct slice record) {
    return record_number(w, record, REC_VERSION);
}

uint64_t sim_takeovers(struct world *w, const struct call *c) {
    const struct sim_kept *k = c->takeovers || c->stored == c->version ? NULL : kept_of(w, c->id, false);
    return k && k->value ? record_number(w, buf_slice(k->value), REC_TAKEOVERS) : c->takeovers;
}

/* As recover_record says, without its time in the store. */
bool sim_record_left_alone(struct world *w, struct slice record) {
    uint64_t owners = record_number(w, record, REC_TAKEOVERS), taken_ms = record_number(w, record, REC_TAKEN);
    bool fine = SIM_WALL_MS + w->now / 1000 > taken_ms + RECOVER_FINE_US / 1000;
    return owners > RECOVER_TAKEOVERS_MAX || (owners == RECOVER_TAKEOVERS_MAX && !fine);
}

static bool says_answered(struct slice in, unsigned leg) {
    struct tlv t;
    uint64_t n;
    while (in.n && tlv_next(&in, &t)) {
        if (t.tag != REC_LEG || !varint_get(&t.value, &n) || n != leg)
            continue;
        uint64_t state = number(field(t.value, LEG_TAG_STATE));
        return state >= LEG_ANSWERED && state != LEG_CANCELLING;
    }
    return false;
}

/* By the call's token in the tag that the engine wrote; but for its own word that it did not wait. */
void sim_store_check(struct world *w, const struct sip_msg *m) {
    static char mem[PACK_MAX];
    struct sbuf plain = sbuf_on(mem, sizeof mem);
    struct slice all;
    struct token t;
    bool ok = !m->is_request && m->status >= 200 && m->status < 300 && m->to_tag.p;
    bool refer = ok && m->cseq_method == SIP_M_REFER, invite = ok && m->cseq_method == SIP_M_INVITE;
    uint64_t unprotected = metrics_get(engine_metrics(w->e), M_store_unprotected);
    bool excused = unprotected != w->faults.unprotected;
    w->faults.unprotected = unprotected;
    /* One that is repeated promises nothing new; its leg may have gone over to another call meanwhile. */
    if (!w->script.setup.durable || (!refer && !invite) || excused || !token_parse(m->to_tag, &t) ||
        (invite && check_is_repeated(w, m)))
        return;
    const struct leg *l = leg_of_tag(w->e, m->call_id, m->to_tag);
    const struct call *c = l ? call_get(w->e, l->call) : NULL;
    if (!c || c->unprotected)
        return;
    const struct sim_kept *k = kept_of(w, c->id, false);
    if (!k || record_fields(w->e, buf_slice(k->value), &plain, &all) != RECORD_OK)
        sim_fail(w, "a %d that no record promises", (int)m->status);
    if (invite && !says_answered(all, l->number))
        sim_fail(w, "a 200 to INVITE, and the record does not say so");
    const struct transfer *tr = transfer_get(w->e, l->transfer);
    bool asked = tr && (tr->subscriber == HANDLE_NONE ? tr->transferor : tr->subscriber) == l->self;
    /* The answer to an earlier REFER that came again promises nothing new; nor one in this dialog, when the transfer is
     * of a REFER outside of it with the same CSeq. */
    if (refer && asked && tr->call == c->self && tr->refer_cseq == m->cseq &&
        number(field(field(all, REC_TRANSFER), TRF_TAG_REFER_CSEQ)) != m->cseq)
        sim_fail(w, "a 202, and the record does not say so");
}

/* Nothing is kept of calls that are over. */
void sim_store_check_end(struct world *w) {
    uint32_t n = store_count(w->store, SL("call"), SIM_WALL_MS + w->now / 1000);
    if (n > w->faults.quarantined + w->faults.unended + cluster_quarantined(w) && !w->lost_peer && !w->faults.undeleted)
        sim_fail(w, "records left in the store: %u", n);
}
