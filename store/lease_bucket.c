/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One bucket's way from somebody to us and on to somebody else. */
#include "core/base/check.h"
#include "core/base/record_head.h"
#include "store/lease_state.h"

#define CLAIM_RETRY_US 200000
#define CLAIM_RETRY_MAX 5         /* doublings */
#define RECLAIM_MAX 64            /* epochs that a promoted server may be behind */

/* What is read of a bucket that became ours. Moved calls before the rest: what has gone is not to be brought up. */
static const struct slice tables[] = { { "moved", 5 }, { "call", 4 }, { "arriving", 8 }, { "aor", 3 } };
#define TABLES (sizeof tables / sizeof tables[0])
#define TABLE_AOR 3 /* the bindings of all buckets are wanted, once */

enum op_kind { OP_OWNER, OP_CLAIM, OP_LOAD, OP_RELEASE };

static bool is_wanted(const struct lease *l, const struct lease_bucket *b) {
    return (b->asked || b->target == l->cfg.node) && !l->draining;
}

bool lease_bucket_is_ours(const struct lease_bucket *b) {
    return b->state == AT_LOADING || b->state == AT_MINE || b->state == AT_GIVING;
}

static void sure(struct lease *l, struct lease_bucket *b) {
    l->unsure -= b->unsure;
    b->unsure = b->reclaim = false;
}

static void enter(struct lease *l, struct lease_bucket *b, enum bucket_state state) {
    bool was = lease_bucket_is_ours(b);
    b->state = (uint8_t)state;
    bool is = lease_bucket_is_ours(b);
    l->mine = l->mine - was + is;
    if (!is)
        sure(l, b);
    b->rewrite = b->rewrite && is;
    if (was && !is)
        b->since = 0;
    if (was != is)
        b->not_before_us = is ? l->now + LEASE_SETTLE_US : 0;
}

void lease_bucket_doubt(struct lease *l, uint16_t bucket) {
    struct lease_bucket *b = &l->buckets[bucket];
    b->look = true;
    lease_touch(l, bucket);
    b->number++; /* an answer under way is of before */
    l->in_flight -= b->in_flight;
    b->in_flight = false;
    if (b->state == AT_UNKNOWN)
        return;
    l->unsure += !b->unsure;
    b->unsure = true;
}

static struct store_op *submit(struct lease *l, uint16_t bucket, enum op_kind kind, enum store_verb verb) {
    struct lease_bucket *b = &l->buckets[bucket];
    struct store_op *op = &l->out->ops[l->out->op_n++];
    b->number++;
    b->in_flight = true;
    l->in_flight++;
    *op = (struct store_op){ .verb = verb,
                             .ticket = LEASE_TICKET | (uint64_t)kind << 48 | (uint64_t)bucket << 32 | b->number,
                             .bucket = bucket,
                             .epoch = b->epoch };
    if (kind == OP_CLAIM || kind == OP_RELEASE)
        op->node = l->cfg.node;
    return op;
}

/* From who had it last by the store: nobody else may have come since. */
static void submit_claim(struct lease *l, uint16_t bucket, uint32_t former, uint64_t epoch) {
    struct store_op *op = submit(l, bucket, OP_CLAIM, STORE_CLAIM);
    op->former = former;
    op->epoch = epoch;
}

static void load(struct lease *l, uint16_t bucket) {
    submit(l, bucket, OP_LOAD, STORE_LOAD)->table = tables[l->buckets[bucket].table];
}

/* What can be read here by all means is not looked at twice. */
static void load_all(struct lease *l, uint16_t bucket) {
    struct lease_bucket *b = &l->buckets[bucket];
    b->table = 0;
    b->newer = 0;
    if (!b->peeks) {
        struct lease_decision *d = lease_decide(l, LEASE_LOADING, bucket);
        d->epoch = b->epoch;
        d->since = b->since;
    }
    load(l, bucket);
}

/* It may be ours already by a claim of which we have had no answer: nobody else had it in between. */
static void claim(struct lease *l, uint16_t bucket) {
    struct lease_bucket *b = &l->buckets[bucket];
    uint32_t owner = b->owner;
    bool goes_on = b->since && owner == l->cfg.node && b->epoch >= b->since;
    b->since = goes_on ? b->since : b->epoch + 1;
    l->took_us = owner && owner != l->cfg.node ? l->now : l->took_us;
    enter(l, b, AT_CLAIMING);
    submit_claim(l, bucket, owner, b->epoch);
}

/* One that was thought dead and has a later epoch is back: the next list of the living will say so. */
static void note_life(struct lease *l, const struct lease_bucket *b, uint32_t node, uint64_t epoch) {
    struct lease_peer *p = lease_peer(l, node); /* from now on it is missed */
    if (p && !p->alive && epoch > b->epoch)
        p->gone_us = l->now + LEASE_RENEW_US;
}

static void release(struct lease *l, uint16_t bucket) {
    enter(l, &l->buckets[bucket], AT_RELEASING);
    submit(l, bucket, OP_RELEASE, STORE_RELEASE);
}

/* Nobody acts for it. */
static bool is_orphaned(const struct lease *l, uint32_t node) {
    return node && node != l->cfg.node && lease_is_dead(l, node, 0);
}

/* Who has it is told when it is news, also that it was claimed anew, maybe by another life of the same node; one whose
 * lease is gone has nothing. */
static void others(struct lease *l, uint16_t bucket, uint32_t node, uint64_t epoch) {
    struct lease_bucket *b = &l->buckets[bucket];
    if (node && node != l->cfg.node)
        note_life(l, b, node, epoch);
    bool orphaned = is_orphaned(l, node);
    bool anew = b->state != AT_OTHERS || b->owner != node || b->epoch != epoch;
    bool news = anew || b->orphaned != orphaned || b->asked;
    if (node && node != l->cfg.node) {
        b->former = node;
        b->former_epoch = epoch;
    }
    b->orphaned = orphaned;
    b->owner = node;
    b->epoch = epoch;
    b->left = b->left && !node;
    enter(l, b, AT_OTHERS);
    if (news) {
        struct lease_decision *d = lease_decide(l, LEASE_OWNER, bucket);
        d->node = node == l->cfg.node || orphaned ? 0 : node;
        d->epoch = epoch;
    }
    if (node && node != l->cfg.node)
        b->asked = b->asked && lease_is_dead(l, node, 0);
}

static void lost(struct lease *l, uint16_t bucket, uint32_t node, uint64_t epoch) {
    struct lease_bucket *b = &l->buckets[bucket];
    struct lease_decision *d = lease_decide(l, LEASE_LOST, bucket);
    d->node = node == l->cfg.node ? 0 : node;
    d->epoch = epoch;
    b->owner = node;
    b->epoch = epoch;
    b->orphaned = false;
    enter(l, b, AT_OTHERS);
}

/* ---- answers ---- */

/* As whoever had it before us had it: what we claimed then was later. Whether that one acts for it still is for the
 * store to say: only one of us can claim it by that epoch. */
static bool is_of_former(const struct lease_bucket *b, uint32_t node, uint64_t epoch) {
    return node == b->former && epoch == b->former_epoch;
}

/* Ours by the store too, but by another epoch: an answer was lost; or the server has forgotten: a promoted one that was
 * behind, or an empty one. That it has is known from here on: the claim may be done, and its answer lost. */
static void claim_again_or_lose(struct lease *l, uint16_t bucket, uint32_t node, uint64_t epoch) {
    struct lease_bucket *b = &l->buckets[bucket];
    bool behind = epoch < b->epoch;
    bool ours = node == l->cfg.node || (behind && (node == 0 || is_of_former(b, node, epoch)));
    b->rewrite = b->rewrite || (ours && behind);
    if (ours)
        submit_claim(l, bucket, node, epoch);
    else
        lost(l, bucket, node, epoch);
}

static void on_owner(struct lease *l, uint16_t bucket, const struct event *ev) {
    struct lease_bucket *b = &l->buckets[bucket];
    uint32_t node = ev->u.store.node;
    uint64_t epoch = ev->u.store.epoch;
    b->look = false;
    if (!lease_bucket_is_ours(b)) {
        others(l, bucket, node, epoch);
        return;
    }
    if (node == l->cfg.node && epoch == b->epoch && !b->rewrite)
        sure(l, b);
    else
        claim_again_or_lose(l, bucket, node, epoch);
}

/* Once more, of what is ours. An epoch that was used is not used again. */
static void claimed_again(struct lease *l, uint16_t bucket, uint64_t epoch) {
    struct lease_bucket *b = &l->buckets[bucket];
    bool forgot = epoch <= b->epoch;
    if (forgot && b->epoch - epoch < RECLAIM_MAX) {
        b->rewrite = true;
        submit_claim(l, bucket, l->cfg.node, epoch);
        return;
    }
    b->epoch = epoch;
    sure(l, b);
    if (b->state == AT_LOADING) {
        /* What was read of it already is written by the new epoch; or was taken for another's since, a write by the one
         * before having been refused, and is read once more. */
        b->rewrite = false;
        load_all(l, bucket);
        return;
    }
    struct lease_decision *d = lease_decide(l, LEASE_MINE, bucket);
    d->epoch = epoch;
    d->rewrite = b->rewrite || forgot;
    b->rewrite = false;
}

static void claimed(struct lease *l, uint16_t bucket, uint64_t epoch) {
    struct lease_bucket *b = &l->buckets[bucket];
    b->failures = 0;
    b->asked = b->look = b->left = false;
    b->owner = l->cfg.node;
    if (lease_bucket_is_ours(b)) {
        claimed_again(l, bucket, epoch);
        return;
    }
    b->epoch = epoch;
    b->heir = 0;
    b->peeks = b->leaves < LEASE_LEAVES_MAX && lease_reader(l, bucket, l->cfg.reads + 1);
    enter(l, b, AT_LOADING);
    load_all(l, bucket);
}

static void on_claim(struct lease *l, uint16_t bucket, const struct event *ev) {
    struct lease_bucket *b = &l->buckets[bucket];
    if (ev->u.store.status == STORE_OK) {
        claimed(l, bucket, ev->u.store.epoch);
        return;
    }
    if (ev->u.store.status != STORE_FENCED) {
        if (!lease_bucket_is_ours(b))
            enter(l, b, AT_UNKNOWN); /* whether it was done is not known */
        return;
    }
    if (lease_bucket_is_ours(b)) {
        claim_again_or_lose(l, bucket, ev->u.store.node, ev->u.store.epoch);
        return;
    }
    unsigned n = b->failures < CLAIM_RETRY_MAX ? b->failures++ : CLAIM_RETRY_MAX;
    b->not_before_us = l->now + (CLAIM_RETRY_US << n) + rng_below(&l->rng, CLAIM_RETRY_US);
    others(l, bucket, ev->u.store.node, ev->u.store.epoch);
}

static void on_stored(struct lease *l, uint16_t bucket, const struct event *ev) {
    struct lease_bucket *b = &l->buckets[bucket];
    uint8_t format = record_head_format(tables[b->table], ev->u.store.value);
    if (format > l->cfg.reads && format > b->newer)
        b->newer = format;
    if (b->peeks)
        return;
    struct lease_decision *d = lease_decide(l, LEASE_RECORD, bucket);
    d->epoch = b->epoch;
    d->written = ev->u.store.epoch;
    d->table = tables[b->table];
    d->key = ev->u.store.key;
    d->value = ev->u.store.value;
}

/* All of it was looked at. */
static void on_peeked(struct lease *l, uint16_t bucket) {
    struct lease_bucket *b = &l->buckets[bucket];
    b->peeks = false;
    b->heir = b->newer ? lease_reader(l, bucket, b->newer) : 0;
    if (b->heir)
        release(l, bucket);
    else
        load_all(l, bucket);
}

static void on_load(struct lease *l, uint16_t bucket, const struct event *ev) {
    struct lease_bucket *b = &l->buckets[bucket];
    if (ev->u.store.more) {
        on_stored(l, bucket, ev);
        return;
    }
    if (ev->u.store.status != STORE_MISSING)
        return; /* once more, by lease_bucket_work */
    b->read = b->read || b->table == TABLE_AOR;
    if (b->state != AT_LOADING)
        return;
    if (++b->table < (b->peeks ? TABLE_AOR : TABLES)) {
        load(l, bucket);
        return;
    }
    if (b->peeks) {
        on_peeked(l, bucket);
        return;
    }
    b->leaves = b->newer ? b->leaves : 0;
    enter(l, b, AT_MINE);
    lease_decide(l, LEASE_MINE, bucket)->epoch = b->epoch;
}

static void on_release(struct lease *l, uint16_t bucket, const struct event *ev) {
    struct lease_bucket *b = &l->buckets[bucket];
    if (ev->u.store.status != STORE_OK) {
        enter(l, b, AT_UNKNOWN);
        return;
    }
    uint32_t to = b->heir ? b->heir : b->target;
    others(l, bucket, 0, b->epoch);
    if (b->heir) {
        b->not_before_us = l->now + LEASE_SETTLE_US; /* unless that one does not take it */
        b->asked = false;
        b->leaves++;
        b->heir = 0;
    }
    if (!to || to == l->cfg.node)
        return;
    struct lease_decision *d = lease_decide(l, LEASE_TELL, bucket);
    d->node = to;
    d->epoch = b->epoch;
}

/* Not at the next tick: a message waits, or a call whose owner has just let go of it. */
static void hurry(struct lease *l, uint16_t bucket) {
    const struct lease_bucket *b = &l->buckets[bucket];
    bool room = !b->in_flight && lease_has_room(l) && (b->asked || l->in_flight < LEASE_IN_FLIGHT);
    if (room && is_wanted(l, b) && l->reachable_us != LEASE_NEVER)
        lease_bucket_work(l, bucket);
}

void lease_bucket_answer(struct lease *l, const struct event *ev) {
    uint64_t ticket = ev->u.store.ticket;
    uint16_t bucket = (uint16_t)(ticket >> 32) % LIMIT_BUCKETS;
    enum op_kind kind = (enum op_kind)(ticket >> 48 & 0xf);
    struct lease_bucket *b = &l->buckets[bucket];
    if (!b->in_flight || b->number != (uint16_t)ticket)
        return;
    if (!(kind == OP_LOAD && ev->u.store.more)) {
        b->in_flight = false;
        l->in_flight--;
    }
    lease_touch(l, bucket);
    switch (kind) {
    case OP_OWNER:
        if (ev->u.store.status == STORE_OK)
            on_owner(l, bucket, ev);
        break;
    case OP_CLAIM: on_claim(l, bucket, ev); break;
    case OP_LOAD: on_load(l, bucket, ev); break;
    case OP_RELEASE: on_release(l, bucket, ev); break;
    }
    if (kind == OP_OWNER)
        hurry(l, bucket);
}

/* ---- what others say ---- */

/* A hint: that somebody else has what is ours is for the store to say, and until then it is not acted for. */
void lease_bucket_heard(struct lease *l, uint16_t bucket, uint32_t node, uint64_t epoch) {
    struct lease_bucket *b = &l->buckets[bucket];
    lease_touch(l, bucket);
    if (lease_bucket_is_ours(b) && node && node != l->cfg.node && epoch > b->epoch) {
        l->passed = true;
        lease_bucket_doubt(l, bucket);
    }
    if (lease_bucket_is_ours(b) || b->in_flight || epoch < b->epoch) {
        b->look = b->look || epoch >= b->epoch;
        return;
    }
    b->left = !node; /* who lets go of it means this one to have it, maybe before we know that it drains */
    b->asked = b->asked || b->left;
    others(l, bucket, node, epoch);
    hurry(l, bucket);
}

void lease_bucket_asked(struct lease *l, uint16_t bucket) {
    struct lease_bucket *b = &l->buckets[bucket];
    if (lease_bucket_is_ours(b))
        return;
    lease_touch(l, bucket);
    b->asked = true;
    b->look = b->look || b->state != AT_OTHERS || b->owner != 0;
    if (!b->in_flight && lease_has_room(l) && l->reachable_us != LEASE_NEVER)
        lease_bucket_work(l, bucket);
}

/* A write was refused. By the version alone, the bucket is ours still. */
void lease_bucket_lost(struct lease *l, uint16_t bucket, uint32_t node, uint64_t epoch) {
    struct lease_bucket *b = &l->buckets[bucket];
    if (!lease_bucket_is_ours(b) || (node == l->cfg.node && epoch == b->epoch))
        return;
    lease_touch(l, bucket);
    if (epoch < b->epoch)
        b->look = true;
    else
        lost(l, bucket, node, epoch);
}

void lease_bucket_given(struct lease *l, uint16_t bucket) {
    struct lease_bucket *b = &l->buckets[bucket];
    if (b->state != AT_GIVING)
        return;
    if (b->in_flight) { /* its answer does not matter any more */
        b->in_flight = false;
        l->in_flight--;
    }
    release(l, bucket);
}

/* ---- what is due ---- */

static bool is_to_be_claimed(const struct lease *l, const struct lease_bucket *b) {
    if (!is_wanted(l, b) || l->now < b->not_before_us)
        return false;
    if (!b->owner || b->owner == l->cfg.node)
        return lease_may_claim(l, b->left ? CLAIM_LEFT : CLAIM_NOBODYS);
    return lease_may_claim(l, CLAIM_SOMEBODYS) && lease_is_dead(l, b->owner, b->asked ? 0 : LEASE_GRACE_US);
}

static uint32_t heir_of(const struct lease *l, uint16_t bucket) {
    const struct lease_bucket *b = &l->buckets[bucket];
    return b->newer && b->leaves < LEASE_LEAVES_MAX ? lease_reader(l, bucket, b->newer) : 0;
}

static void work_at_ours(struct lease *l, uint16_t bucket) {
    struct lease_bucket *b = &l->buckets[bucket];
    uint32_t heir = heir_of(l, bucket), to = heir ? heir : b->target;
    bool leave = to && to != l->cfg.node && !l->suspended && !b->unsure &&
                 l->now - l->settled_us >= LEASE_SETTLE_US && (l->draining || l->now >= b->not_before_us);
    if (b->state == AT_MINE && leave) {
        b->heir = heir;
        enter(l, b, AT_GIVING);
        struct lease_decision *d = lease_decide(l, LEASE_GIVE, bucket);
        d->node = to;
        d->epoch = b->epoch;
    } else if (b->state == AT_GIVING && to == l->cfg.node) {
        b->heir = 0;
        enter(l, b, AT_MINE);
        lease_decide(l, LEASE_MINE, bucket)->epoch = b->epoch;
    } else if (b->state == AT_LOADING && !b->look) {
        load(l, bucket);
    }
}

static void work_at(struct lease *l, uint16_t bucket) {
    struct lease_bucket *b = &l->buckets[bucket];
    if (b->reclaim)
        submit_claim(l, bucket, l->cfg.node, b->epoch);
    else if (b->look || b->state == AT_UNKNOWN)
        submit(l, bucket, OP_OWNER, STORE_OWNER);
    else if (lease_bucket_is_ours(b))
        work_at_ours(l, bucket);
    else if (b->state == AT_OTHERS && is_to_be_claimed(l, b))
        claim(l, bucket);
    else if (b->state == AT_OTHERS && b->owner == l->cfg.node && b->target && b->target != l->cfg.node)
        release(l, bucket); /* from before a restart, and another's by now */
    else if (b->state == AT_OTHERS && !b->read) {
        b->table = TABLE_AOR;
        load(l, bucket);
    }
}

/* It is as it should be, and only what touches it can change that. One that is under way is touched by its answer. */
static bool is_settled(const struct lease *l, const struct lease_bucket *b) {
    if (b->in_flight)
        return true;
    if (b->look || b->reclaim)
        return false;
    switch ((enum bucket_state)b->state) {
    case AT_MINE: return !b->newer && (!b->target || b->target == l->cfg.node);
    case AT_GIVING: return !b->newer && b->target != l->cfg.node;
    case AT_OTHERS: return !is_wanted(l, b) && b->owner != l->cfg.node && b->read;
    case AT_UNKNOWN:
    case AT_CLAIMING:
    case AT_LOADING:
    case AT_RELEASING: break;
    }
    return false;
}

void lease_bucket_work(struct lease *l, uint16_t bucket) {
    if (!l->buckets[bucket].in_flight)
        work_at(l, bucket);
    if (is_settled(l, &l->buckets[bucket]))
        l->due[bucket / 64] &= ~(UINT64_C(1) << bucket % 64);
}
