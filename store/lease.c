/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* This node's lease, the living, and when it may act. */
#include "core/base/check.h"
#include "core/base/member.h"
#include "store/lease_state.h"

#define TICKET_LEASE (LEASE_TICKET | UINT64_C(1) << 62)
#define DRAINING_MARK 'd'
#define LIVING_MARK 'l'           /* and one more for each record format behind the first */
#define RENEWALS_LOST 2           /* so many without an answer: the store is not reachable */
#define STATEMENT_LIFE_US 2000000 /* of a peer's word on the store */

struct lease *lease_new(struct arena *a, const struct lease_config *config, uint64_t now_us) {
    struct lease *l = arena_take(a, sizeof *l);
    struct buf *value = arena_take(a, sizeof *value + 1 + LEASE_VALUE_MAX);
    if (!l)
        return NULL;
    CHECK(config->node);
    l->cfg = *config;
    l->now = l->last_us = l->renew_us = l->settled_us = now_us;
    l->until_us = now_us;
    l->reachable_us = LEASE_NEVER;
    l->value = value;
    value->cap = 1 + LEASE_VALUE_MAX;
    value->refs = 1;
    l->format = 1;
    lease_tell_format(l, config->format ? config->format : 1);
    l->cfg.reads = config->reads ? config->reads : l->cfg.format;
    while (value->len < LEASE_VALUE_MAX && config->value[value->len]) {
        value->data[value->len + 1] = config->value[value->len];
        value->len++;
    }
    value->len++;
    rng_init(&l->rng, (struct siphash_key){ config->lazy_seed, config->node });
    return l;
}

struct lease_decision *lease_decide(struct lease *l, enum lease_verdict v, uint16_t bucket) {
    CHECK(l->out->n < LEASE_OUT_MAX);
    struct lease_decision *d = &l->out->d[l->out->n++];
    *d = (struct lease_decision){ .verdict = v, .bucket = bucket };
    return d;
}

/* ---- the others ---- */

static struct lease_peer *find_peer(struct lease *l, uint32_t node) {
    for (uint32_t i = 0; i < l->peer_n; i++)
        if (l->peers[i].node == node)
            return &l->peers[i];
    return NULL;
}

/* In the place of one that is dead longest, when there are too many. */
struct lease_peer *lease_peer(struct lease *l, uint32_t node) {
    struct lease_peer *p = find_peer(l, node);
    if (p)
        return p;
    if (l->peer_n < LEASE_NODES_MAX) {
        p = &l->peers[l->peer_n++];
    } else {
        for (uint32_t i = 0; i < l->peer_n; i++)
            if (!l->peers[i].alive && (!p || l->peers[i].gone_us < p->gone_us))
                p = &l->peers[i];
        if (!p)
            return NULL;
    }
    *p = (struct lease_peer){ .node = node, .gone_us = l->now };
    return p;
}

bool lease_is_dead(const struct lease *l, uint32_t node, uint64_t grace_us) {
    for (uint32_t i = 0; i < l->peer_n; i++)
        if (l->peers[i].node == node)
            return !l->peers[i].alive && l->now >= l->peers[i].gone_us + grace_us;
    return true;
}

bool lease_may_claim(const struct lease *l, enum lease_claim what) {
    static const uint64_t waits[] = { [CLAIM_NOBODYS] = LEASE_RENEW_US + LEASE_GRACE_US,
                                      [CLAIM_SOMEBODYS] = LEASE_LIFE_US + LEASE_GRACE_US };
    uint64_t wait = waits[what];
    return l->reachable_us != LEASE_NEVER && l->now - l->reachable_us >= wait && l->now < l->until_us && !l->suspended;
}

static uint64_t weight(uint32_t node, uint32_t bucket) {
    uint64_t x = ((uint64_t)node << 16 | bucket) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static bool is_sibling(const struct lease *l, const struct lease_peer *p) {
    return member_is_sibling(p->node, l->cfg.node);
}

/* It takes buckets. The shards of a node drain together, and their marks come one after the other. */
static bool takes(const struct lease *l, const struct lease_peer *p) {
    return p->alive && !p->draining && !(l->draining && is_sibling(l, p));
}

/* Rendezvous: the living node with the greatest weight; one that drains has none. */
static uint32_t target_of(const struct lease *l, uint32_t bucket) {
    uint32_t best = l->draining ? 0 : l->cfg.node;
    for (uint32_t i = 0; i < l->peer_n; i++) {
        const struct lease_peer *p = &l->peers[i];
        if (takes(l, p) && (!best || weight(p->node, bucket) > weight(best, bucket)))
            best = p->node;
    }
    return best;
}

/* Each bucket's in the same way, so that they are spread. */
uint32_t lease_reader(const struct lease *l, uint32_t bucket, uint8_t format) {
    uint32_t best = 0;
    for (uint32_t i = 0; i < l->peer_n; i++) {
        const struct lease_peer *p = &l->peers[i];
        if (takes(l, p) && p->format >= format &&
            (!best || weight(p->node, bucket) > weight(best, bucket)))
            best = p->node;
    }
    return best;
}

static void set_targets(struct lease *l) {
    for (uint32_t i = 0; i < LIMIT_BUCKETS; i++) {
        l->buckets[i].target = target_of(l, i);
        l->buckets[i].look = true;
        lease_touch(l, i);
    }
    l->settled_us = l->draining ? 0 : l->now; /* who leaves does not wait, whoever comes and goes meanwhile */
    l->nodes_changed = l->targets_set = true;
}

/* One that drains takes no calls any more, whatever it reads. */
static uint8_t common_format(const struct lease *l) {
    uint8_t least = l->cfg.format;
    for (uint32_t i = 0; i < l->peer_n; i++) {
        const struct lease_peer *p = &l->peers[i];
        if (p->alive && !p->draining && p->format < least)
            least = p->format;
    }
    return least;
}

static uint8_t format_of_mark(uint8_t mark) {
    return mark > LIVING_MARK && mark < LIVING_MARK + LEASE_FORMAT_MAX ? mark - LIVING_MARK + 1 : 1;
}

void lease_tell_format(struct lease *l, uint8_t format) {
    CHECK(format >= 1 && format <= LEASE_FORMAT_MAX);
    l->cfg.format = format;
    if (!l->draining)
        l->value->data[0] = (char)(LIVING_MARK + format - 1);
    l->renew_us = l->now;
}

uint8_t lease_format(const struct lease *l) {
    return l->format;
}

static bool note_living(struct lease *l, uint32_t node, struct slice value) {
    struct lease_peer *p = node == l->cfg.node ? NULL : lease_peer(l, node);
    bool draining = value.n && value.p[0] == DRAINING_MARK;
    if (!p)
        return false;
    bool changed = !p->alive || p->draining != draining;
    p->alive = true;
    p->missed = false;
    p->draining = draining;
    p->format = draining || !value.n ? 1 : format_of_mark((uint8_t)value.p[0]);
    p->gone_us = LEASE_NEVER;
    p->value_n = 0;
    if (value.n > 1 && value.n - 1 <= LEASE_VALUE_MAX) {
        p->value_n = (uint8_t)(value.n - 1);
        memcpy(p->value, value.p + 1, p->value_n);
    }
    return changed;
}

/* store.h: node (4), length (2), value. */
static bool next_living(struct slice *list, uint32_t *node, struct slice *value) {
    const uint8_t *p = (const uint8_t *)list->p;
    if (list->n < 6)
        return false;
    *node = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    uint32_t n = (uint32_t)p[4] << 8 | p[5];
    if (list->n - 6 < n)
        return false;
    *value = slice_of(list->p + 6, n);
    *list = slice_of(list->p + 6 + n, list->n - 6 - n);
    return true;
}

/* Who was there before it has not said yet that it lives. */
static bool is_behind_outage(const struct lease *l) {
    return l->reachable_us != LEASE_NEVER && l->now - l->reachable_us < LEASE_LIFE_US + LEASE_GRACE_US;
}

static void note_list(struct lease *l, struct slice list) {
    struct slice value;
    uint32_t node;
    bool changed = false, early = is_behind_outage(l);
    for (uint32_t i = 0; i < l->peer_n; i++)
        if (l->peers[i].alive)
            l->peers[i].gone_us = l->now; /* unless it is in the list */
    while (next_living(&list, &node, &value))
        changed |= note_living(l, node, value);
    for (uint32_t i = 0; i < l->peer_n; i++) {
        struct lease_peer *p = &l->peers[i];
        bool gone = p->alive && p->gone_us == l->now;
        changed |= gone;
        p->alive = p->alive && !gone;
        p->missed = early && (p->missed || gone);
    }
    if (changed || !l->targets_set)
        set_targets(l);
}

/* ---- own lease ---- */

static void make_unsure(struct lease *l) {
    for (uint32_t i = 0; i < LIMIT_BUCKETS; i++) {
        struct lease_bucket *b = &l->buckets[i];
        if (b->state == AT_CLAIMING)
            b->state = AT_UNKNOWN; /* what was won so long ago may be lost again */
        else if (!lease_bucket_is_ours(b))
            continue;
        lease_bucket_doubt(l, (uint16_t)i);
        b->reclaim = b->reclaim || (b->unsure && l->ran_out);
    }
}

static void unreachable(struct lease *l) {
    l->reachable_us = LEASE_NEVER;
}

static void on_renewed(struct lease *l, const struct event *ev) {
    uint32_t number = (uint32_t)ev->u.store.ticket;
    l->woken = l->woken && (int32_t)(number - l->asked_before) < 0;
    if (ev->u.store.status != STORE_OK) {
        unreachable(l);
        return;
    }
    if (l->asked_n - number > LEASE_ASKED_MAX)
        return;
    l->answered_n = number + 1;
    uint64_t until = l->asked_us[number % LEASE_ASKED_MAX] + LEASE_LIFE_US;
    l->until_us = until > l->until_us ? until : l->until_us;
    /* Who has slept beyond its lease does not know that it was reachable meanwhile, and who is cut off from it, and was
     * alone by that, is still to hear from here. */
    if (l->reachable_us == LEASE_NEVER || l->ran_out)
        l->reachable_us = l->now;
    l->ran_out = l->now >= l->until_us;
    if (!l->heard)
        l->took_us = l->now; /* as far as it knows of the life before this one */
    l->heard = true;
    note_list(l, ev->u.store.value);
}

static void renew(struct lease *l) {
    if (l->now < l->renew_us || l->drained)
        return;
    if (l->asked_n - l->answered_n >= RENEWALS_LOST)
        unreachable(l);
    l->woken = l->woken && l->asked_n - l->asked_before < RENEWALS_LOST;
    l->renew_us = l->now + LEASE_RENEW_US;
    l->asked_us[l->asked_n % LEASE_ASKED_MAX] = l->now;
    buf_ref(l->value);
    l->out->ops[l->out->op_n++] = (struct store_op){ .verb = STORE_LEASE,
                                                     .ticket = TICKET_LEASE | l->asked_n++,
                                                     .node = l->cfg.node,
                                                     .value = l->value,
                                                     .expires_ms = LEASE_LIFE_US / 1000 };
}

/* ---- when it may act ---- */

/* Its word that it reached the store came behind our last renewal, and that it does not any more it has not said. */
static bool has_come(const struct lease *l, const struct lease_peer *p) {
    return !p->alive && p->heard_us && p->store_ok && p->heard_us + LEASE_LIFE_US >= l->until_us;
}

/* Most of the nodes that lived when it last heard, or have come since by their own word, cannot reach the store either,
 * or there was none; and none says that it can. Nodes of many shards have one voice, that of the first; what cuts this
 * one off cuts off its siblings, so that they have none here. */
static bool is_down_for_all(const struct lease *l) {
    unsigned living = 0, down = 0;
    if (l->now - l->woken_us < STATEMENT_LIFE_US)
        return false; /* what they said while it slept it has not heard */
    for (uint32_t i = 0; i < l->peer_n; i++) {
        const struct lease_peer *p = &l->peers[i];
        bool said = p->heard_us && l->now - p->heard_us < STATEMENT_LIFE_US;
        if (said && p->store_ok)
            return false;
        bool speaks = (p->alive || p->missed || has_come(l, p)) && member_shard(p->node) == 0 && !is_sibling(l, p);
        living += speaks;
        down += speaks && said;
    }
    return 2 * down > living || !living;
}

/* That the store is down for all by now does not help where one who reached it longer may have claimed meanwhile. */
static bool may_act(const struct lease *l) {
    bool down = l->reachable_us == LEASE_NEVER && !l->passed && is_down_for_all(l);
    return down || (l->now < l->until_us && !l->unsure);
}

static void suspend_or_resume(struct lease *l) {
    bool act = may_act(l) || !l->mine;
    if (l->suspended == !act)
        return;
    l->suspended = !act;
    lease_decide(l, act ? LEASE_RESUME : LEASE_SUSPEND, 0);
    if (!act)
        make_unsure(l);
}

/* Who was not there when it last heard, and speaks now, has come while it slept, or right before. */
static bool has_others(const struct lease *l) {
    for (uint32_t i = 0; i < l->peer_n; i++)
        if (l->peers[i].alive || l->peers[i].heard_us >= l->woken_us)
            return true;
    return false;
}

/* Its lease has run out, and it may not go on without the store. */
static bool is_left_out(const struct lease *l) {
    return l->reachable_us == LEASE_NEVER && l->ran_out && l->suspended;
}

/* As long as not all that was ours is found to be so again by a lease that is. Of who took what while it was left out
 * the others' words behind its new lease say nothing: it takes them for those of nodes that see it live. */
static void look_who_passed(struct lease *l, bool was_left_out) {
    bool sure = !l->unsure && l->now < l->until_us;
    bool away = l->slept || (was_left_out && l->reachable_us != LEASE_NEVER);
    l->passed = !sure && (l->passed || (away && has_others(l)));
    l->slept = !sure && l->slept;
}

/* Before anything else of a step. */
static void look_at_clock(struct lease *l, uint64_t now) {
    l->now = now > l->now ? now : l->now;
    uint64_t since = l->now - l->last_us;
    bool gap = since > LEASE_GAP_US;
    bool ran_out = l->now >= l->until_us && !l->ran_out;
    l->slept |= gap && l->now >= l->until_us && (ran_out || since >= LEASE_LIFE_US);
    l->last_us = l->now;
    l->ran_out = l->ran_out || ran_out;
    if (gap) {
        l->woken_us = l->now;
        l->asked_before = l->asked_n;
        l->woken = true;
    }
    if (gap || ran_out) {
        make_unsure(l);
        l->renew_us = l->now;
    }
    suspend_or_resume(l);
}

static void on_peer(struct lease *l, const struct lease_input *in) {
    struct lease_peer *p = in->node == l->cfg.node ? NULL : lease_peer(l, in->node);
    if (!p)
        return;
    p->heard_us = l->now;
    p->store_ok = in->store_ok;
    /* Later than any of them may take to see an outage. */
    l->passed |= in->store_ok && l->now >= l->until_us + LEASE_RENEW_US + LEASE_GRACE_US;
}

/* ---- the end ---- */

static void on_drain(struct lease *l) {
    if (l->draining)
        return;
    l->draining = true;
    l->value->data[0] = DRAINING_MARK;
    l->renew_us = l->now;
    set_targets(l);
}

/* Behind an outage as long as nobody claims what somebody had. */
static void end_if_drained(struct lease *l) {
    bool successor = l->peer_n && is_behind_outage(l);
    for (uint32_t i = 0; i < l->peer_n; i++)
        successor = successor || takes(l, &l->peers[i]);
    if (!l->draining || l->drained || (successor && l->mine))
        return;
    l->drained = true;
    l->out->ops[l->out->op_n++] = (struct store_op){ .verb = STORE_LEASE, .node = l->cfg.node };
    lease_decide(l, LEASE_DRAINED, 0);
}

/* ---- a step ---- */

/* The first that is due at or after `from`, round once; as far as the round goes when none is. */
static uint32_t next_due(const struct lease *l, uint32_t from, uint32_t end) {
    while (from < end) {
        uint64_t word = l->due[from % LIMIT_BUCKETS / 64] >> from % 64;
        if (word)
            return from + (uint32_t)__builtin_ctzll(word);
        from += 64 - from % 64;
    }
    return end;
}

static bool may_work(const struct lease *l) {
    return lease_has_room(l) && l->in_flight < LEASE_IN_FLIGHT;
}

/* Round those that are due until the outbox is full or enough is under way; the next step goes on. */
static void work(struct lease *l) {
    uint32_t begin = l->scanned % LIMIT_BUCKETS, end = begin + LIMIT_BUCKETS;
    for (uint32_t i = next_due(l, begin, end); i < end && may_work(l); i = next_due(l, i + 1, end)) {
        lease_bucket_work(l, (uint16_t)(i % LIMIT_BUCKETS));
        l->scanned = i + 1;
    }
    l->more = !may_work(l);
    if (!l->more)
        l->scanned = begin;
}

static void poll_some(struct lease *l) {
    for (uint32_t i = 0; i < LEASE_POLL; i++) {
        uint32_t bucket = l->polled++ % LIMIT_BUCKETS;
        l->buckets[bucket].look = true;
        lease_touch(l, bucket);
    }
}

static void tick(struct lease *l) {
    renew(l);
    if (l->now >= l->tick_us) {
        l->tick_us = l->now + LEASE_TICK_US;
        poll_some(l);
        l->more = true;
    }
    if (l->more && !l->drained && l->reachable_us != LEASE_NEVER)
        work(l);
    end_if_drained(l);
}

/* It answers: renewals of before, that it did not answer, are not counted any more, nor what others said of them. */
static void on_store_up(struct lease *l) {
    for (uint32_t i = 0; i < l->peer_n; i++)
        if (!l->peers[i].store_ok)
            l->peers[i].heard_us = 0;
    l->reachable_us = l->now;
    l->renew_us = l->now;
    l->answered_n = l->asked_n;
    make_unsure(l);
}

static void on_answer(struct lease *l, const struct event *ev) {
    if ((ev->u.store.ticket & TICKET_LEASE) == TICKET_LEASE) {
        on_renewed(l, ev);
        return;
    }
    if (ev->u.store.status == STORE_UNAVAILABLE)
        unreachable(l);
    lease_bucket_answer(l, ev);
}

static void dispatch(struct lease *l, const struct lease_input *in) {
    switch (in->kind) {
    case LEASE_IN_TICK: break;
    case LEASE_IN_STORE: on_answer(l, in->store); break;
    case LEASE_IN_STORE_UP: on_store_up(l); break;
    case LEASE_IN_ASK: lease_bucket_asked(l, in->bucket); break;
    case LEASE_IN_HEARD: lease_bucket_heard(l, in->bucket, in->node, in->epoch); break;
    case LEASE_IN_PEER: on_peer(l, in); break;
    case LEASE_IN_FENCED: lease_bucket_lost(l, in->bucket, in->node, in->epoch); break;
    case LEASE_IN_GIVEN: lease_bucket_given(l, in->bucket); break;
    case LEASE_IN_DRAIN: on_drain(l); break;
    }
}

void lease_step(struct lease *l, const struct lease_input *in, struct lease_out *out) {
    l->out = out;
    out->n = out->op_n = 0;
    look_at_clock(l, in->now_us);
    bool was_left_out = is_left_out(l);
    dispatch(l, in);
    look_who_passed(l, was_left_out);
    suspend_or_resume(l);
    if (in->kind == LEASE_IN_TICK)
        tick(l);
    if (l->targets_set && l->format != common_format(l) && lease_has_room(l)) {
        l->format = common_format(l);
        lease_decide(l, LEASE_FORMAT, 0)->format = l->format;
    }
    if (l->nodes_changed && lease_has_room(l)) {
        l->nodes_changed = false;
        lease_decide(l, LEASE_NODES, 0);
    }
    l->out = NULL;
}

uint64_t lease_deadline(const struct lease *l) {
    bool works = l->more && !l->drained && l->in_flight < LEASE_IN_FLIGHT && l->reachable_us != LEASE_NEVER;
    return works ? l->last_us : l->tick_us;
}

/* ---- questions ---- */

/* Who has taken somebody's buckets must not say right after it that the store is away for all. */
bool lease_store_ok(const struct lease *l) {
    bool took = l->took_us && l->now - l->took_us < LEASE_LIFE_US;
    return took || (l->reachable_us != LEASE_NEVER && l->now < l->until_us);
}

/* Who has started may have taken buckets in the life before, and knows that as little as one that slept. */
bool lease_knows_store(const struct lease *l) {
    return (l->heard && !l->woken) || lease_store_ok(l);
}

bool lease_is_suspended(const struct lease *l) {
    return l->suspended;
}

bool lease_node(const struct lease *l, uint32_t index, struct lease_node *out) {
    if (index == 0) {
        struct slice at = slice_of(l->value->data + 1, l->value->len - 1);
        *out = (struct lease_node){ l->cfg.node, l->draining, l->cfg.format, at };
        return true;
    }
    for (uint32_t i = 0; i < l->peer_n; i++) {
        const struct lease_peer *p = &l->peers[i];
        if (!p->alive || --index)
            continue;
        *out = (struct lease_node){ p->node, p->draining, p->format, slice_of(p->value, p->value_n) };
        return true;
    }
    return false;
}

uint32_t lease_owner(const struct lease *l, uint16_t bucket, uint64_t *epoch) {
    const struct lease_bucket *b = &l->buckets[bucket];
    if (epoch)
        *epoch = b->epoch;
    return lease_bucket_is_ours(b) ? l->cfg.node : b->state == AT_OTHERS ? b->owner : 0;
}

uint32_t lease_count(const struct lease *l) {
    return l->mine;
}

bool lease_event(const struct lease_decision *d, struct event *ev) {
    static const uint8_t what[] = { [LEASE_LOADING] = BUCKET_LOADING, [LEASE_RECORD] = BUCKET_RECORD,
                                    [LEASE_MINE] = BUCKET_MINE, [LEASE_GIVE] = BUCKET_GIVE,
                                    [LEASE_LOST] = BUCKET_LOST, [LEASE_OWNER] = BUCKET_OWNER };
    *ev = (struct event){ .kind = EV_BUCKET };
    if (d->verdict == LEASE_SUSPEND || d->verdict == LEASE_RESUME) {
        ev->kind = EV_ACT;
        ev->u.act.suspended = d->verdict == LEASE_SUSPEND;
        return true;
    }
    if (d->verdict == LEASE_FORMAT) {
        ev->kind = EV_FORMAT;
        ev->u.format.highest = d->format;
        return true;
    }
    if (d->verdict > LEASE_OWNER)
        return false;
    ev->u.bucket.what = (enum bucket_event)what[d->verdict];
    ev->u.bucket.bucket = d->bucket;
    ev->u.bucket.peer = d->node;
    ev->u.bucket.epoch = d->epoch;
    ev->u.bucket.written = d->written;
    ev->u.bucket.since = d->since;
    ev->u.bucket.rewrite = d->rewrite;
    ev->u.bucket.table = d->table;
    ev->u.bucket.key = d->key;
    ev->u.bucket.value = d->value;
    return true;
}
