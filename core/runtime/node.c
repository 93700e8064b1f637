/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/node.h"

#include "core/b2b/record_format.h"
#include "core/base/member.h"

#include <string.h>

#define FENCED_US 1000000   /* refused writes make it ask no more often */
#define STATE_US 500000     /* what a node says about its store, so often */
#define LOOK_US 50000       /* ... while that is not known yet */
#define PASS_US 500000      /* who has drained passes on so long what comes late: who is later than that is suspended */
#define HEIRS_US 2000000    /* so long it waits to hear who has its buckets */

bool node_open(struct node *n, const struct config *c, struct log *log) {
    n->log = log;
    n->link.fd = -1;
    n->on = c->engine.node != 0;
    if (!n->on)
        return true;
    n->at = c->cluster_listen;
    return link_open(&n->link, c->engine.node, c->engine.secret, &n->at, log);
}

void node_share(struct node *n, struct mailbox *mailbox, uint32_t shard, uint32_t shards) {
    n->mailbox = mailbox;
    n->shard = shard;
    n->shards = shards;
}

void node_lay_out(struct node *n, struct arena *a, const struct config *c, uint64_t mono_us) {
    struct lease_config lc = { .node = c->engine.node, .lazy_seed = c->engine.seed.k0,
                               .format = record_format_allowed(&c->engine), .reads = RECORD_FORMAT };
    struct addr at = n->at;
    if (!n->on)
        return;
    if (c->cluster_advertise.family != ADDR_NONE) {
        at = c->cluster_advertise;
        at.port = at.port ? at.port : n->at.port;
    }
    struct sbuf b = sbuf_on(lc.value, sizeof lc.value - 1);
    addr_put(&b, &at);
    n->lease = lease_new(a, &lc, mono_us);
}

bool node_is_sibling(const struct node *n, uint32_t peer) {
    return n->on && peer != PEER_NONE && member_is_sibling(n->link.node, peer);
}

bool node_start(struct node *n, struct io *io, uint32_t tag_base) {
    return !n->on || link_start(&n->link, io, tag_base);
}

void node_close(struct node *n) {
    if (n->on)
        link_close(&n->link);
}

/* ---- the lease's inputs ---- */

/* What is dropped here is asked for again, or found by the lease itself. */
static struct lease_input *wait_for_lease(struct node *n, enum lease_input_kind kind, uint16_t bucket) {
    static const struct lease_input none;
    if (n->waiting_n == NODE_WAITING_MAX)
        return NULL;
    struct lease_input *in = &n->waiting[(n->first + n->waiting_n++) % NODE_WAITING_MAX];
    *in = none;
    in->kind = kind;
    in->bucket = bucket;
    return in;
}

bool node_work(struct node *n) {
    n->out.n = n->out.op_n = 0;
    if (!n->waiting_n)
        return false;
    struct lease_input in = n->waiting[n->first];
    n->first = (n->first + 1) % NODE_WAITING_MAX;
    n->waiting_n--;
    in.now_us = n->mono_us;
    lease_step(n->lease, &in, &n->out);
    return true;
}

bool node_on_store(struct node *n, const struct event *ev) {
    struct lease_input in = { .kind = LEASE_IN_STORE, .now_us = n->mono_us, .store = ev };
    n->out.n = n->out.op_n = 0;
    if (!n->on)
        return false;
    if (ev->kind == EV_STORE_UP) {
        in.kind = LEASE_IN_STORE_UP;
        lease_step(n->lease, &in, &n->out);
        return false;
    }
    /* Somebody else has a bucket that the engine wrote to: which, the store says when all are asked for. */
    if (ev->kind == EV_STORE && ev->u.store.status == STORE_FENCED && !(ev->u.store.ticket & LEASE_TICKET) &&
        n->mono_us >= n->fenced_us) {
        n->fenced_us = n->mono_us + FENCED_US;
        wait_for_lease(n, LEASE_IN_STORE_UP, 0);
    }
    if (ev->kind != EV_STORE || !(ev->u.store.ticket & LEASE_TICKET))
        return false;
    lease_step(n->lease, &in, &n->out);
    return true;
}

/* What is lost here is found by the lease itself. */
static void mail(struct node *n, uint32_t shard, const struct link_frame *f) {
    struct mail m = { .kind = NODE_MAIL, .what = (uint8_t)f->kind, .flag = f->flag, .bucket = f->bucket,
                      .size = f->node, .number = f->epoch };
    if (shard != n->shard && shard < n->shards)
        (void)mailbox_put(n->mailbox, n->shard, shard, &m, true);
}

/* To one member, or to all with 0. */
static void say(struct node *n, uint32_t to, const struct link_frame *f) {
    if (node_is_sibling(n, to)) {
        mail(n, member_shard(to), f);
        return;
    }
    for (uint32_t i = 0; !to && n->mailbox && i < n->shards; i++)
        mail(n, i, f);
    (void)link_send(&n->link, to, f);
}

/* Whose lease we have seen gone may have been passed, by us or another one: for it the store was there, though it may
 * not be any more, so that our word is none for going on without. Who is not sure of its own does not say so. */
static void say_to_gone(struct node *n) {
    struct link_frame f = { .kind = LINK_STATE, .flag = true };
    if (!lease_is_suspended(n->lease))
        link_send_gone(&n->link, &f);
}

/* What has changed at once: who goes on without the store waits for the word of all. */
static void say_state(struct node *n) {
    struct link_frame f = { .kind = LINK_STATE, .flag = lease_store_ok(n->lease) };
    if (n->mono_us < n->state_us && f.flag == n->said_ok)
        return;
    if (!lease_knows_store(n->lease)) {
        n->state_us = n->mono_us + LOOK_US;
        return;
    }
    n->state_us = n->mono_us + STATE_US;
    n->said_ok = f.flag;
    say(n, 0, &f);
    say_to_gone(n);
}

/* The lease first: after a gap it must know before anything is done. */
void node_tell_time(struct node *n, uint64_t mono_us, uint64_t wall_ms) {
    n->mono_us = mono_us;
    n->wall_ms = wall_ms;
    if (!n->on)
        return;
    if (lease_deadline(n->lease) <= mono_us)
        wait_for_lease(n, LEASE_IN_TICK, 0);
    link_tick(&n->link, mono_us);
    say_state(n);
}

uint64_t node_deadline(struct node *n) {
    if (!n->on)
        return UINT64_MAX;
    uint64_t a = lease_deadline(n->lease), b = link_deadline(&n->link), at = a < b ? a : b;
    return n->state_us < at ? n->state_us : at;
}

void node_drain(struct node *n) {
    n->draining = true;
    if (n->on)
        wait_for_lease(n, LEASE_IN_DRAIN, 0);
}

/* Who has each bucket has told all nodes at once: those that have heard it send nothing here any more. */
static bool have_all_owners(const struct node *n) {
    for (uint32_t b = 0; b < LIMIT_BUCKETS; b++)
        if (!lease_owner(n->lease, (uint16_t)b, NULL))
            return false;
    return true;
}

static bool has_successor(const struct node *n) {
    struct lease_node other;
    for (uint32_t i = 1; lease_node(n->lease, i, &other); i++)
        if (!other.draining && !node_is_sibling(n, other.node))
            return true;
    return false;
}

bool node_may_end(struct node *n) {
    if (!n->on || !has_successor(n))
        return true;
    if (!n->drained)
        return false;
    if (!n->end_us)
        n->end_us = n->mono_us + HEIRS_US + PASS_US;
    if (n->end_us > n->mono_us + PASS_US && have_all_owners(n))
        n->end_us = n->mono_us + PASS_US;
    return n->mono_us >= n->end_us;
}

/* ---- out ---- */

static void pass_on(struct node *n, const struct out *o) {
    struct link_frame f = { .kind = LINK_PEER, .what = (uint8_t)o->u.peer.what, .hops = o->u.peer.hops,
                            .bucket = o->u.peer.bucket, .src = o->u.peer.src, .dst = o->u.peer.dst,
                            .bytes = buf_slice(o->u.peer.buf) };
    /* Its owner may be dead: then it is for the lease to find another. */
    if (!link_send(&n->link, o->u.peer.to, &f) && o->u.peer.to != PEER_NONE)
        wait_for_lease(n, LEASE_IN_ASK, o->u.peer.bucket);
}

void node_on_out(struct node *n, const struct out *o) {
    if (!n->on)
        return;
    if (o->kind == OUT_PEER)
        pass_on(n, o);
    else if (o->kind == OUT_BUCKET)
        wait_for_lease(n, o->u.bucket.what == BUCKET_GIVEN ? LEASE_IN_GIVEN : LEASE_IN_ASK, o->u.bucket.bucket);
}

/* ---- decisions ---- */

static void update_links(struct node *n) {
    struct lease_node other;
    struct addr at;
    bool lives[LINK_NODES_MAX] = { false };
    for (uint32_t i = 1; lease_node(n->lease, i, &other); i++) {
        if (!node_is_sibling(n, other.node) && addr_parse(other.value, 0, &at) && at.port)
            link_peer(&n->link, other.node, &at);
        for (uint32_t k = 0; k < LINK_NODES_MAX; k++)
            if (n->link.to[k].node == other.node) {
                lives[k] = true;
                n->link.to[k].leaves = other.draining;
            }
        log_line(n->log, TRACE_INFO, "cluster", "node %u lives at %.*s%s, shard %u", member_node(other.node),
                 SLICE_FMT(other.value), other.draining ? ", draining" : "", member_shard(other.node));
    }
    for (uint32_t k = 0; k < LINK_NODES_MAX; k++)
        if (!lives[k] && n->link.to[k].node)
            link_miss(&n->link, n->link.to[k].node);
}

static void tell(struct node *n, const struct lease_decision *d, uint32_t to, uint32_t owner) {
    struct link_frame f = { .kind = LINK_OWNER, .bucket = d->bucket, .node = owner, .epoch = d->epoch };
    say(n, to, &f);
    if (!to)
        link_send_gone(&n->link, &f);
}

static bool bucket_event(const struct node *n, const struct lease_decision *d, struct event *ev) {
    bool is_one = lease_event(d, ev);
    ev->u.bucket.live = n->draining;
    return is_one;
}

static bool act_event(struct node *n, bool suspended, struct event *ev) {
    *ev = (struct event){ .kind = EV_ACT, .u.act = { .suspended = suspended } };
    log_line(n->log, suspended ? TRACE_WARN : TRACE_INFO, "cluster", "%s",
             suspended ? "nothing is handled until it is sure what is ours" : "acting");
    return true;
}

bool node_event(struct node *n, uint32_t i, struct event *ev) {
    const struct lease_decision *d = &n->out.d[i];
    switch (d->verdict) {
    case LEASE_MINE: tell(n, d, 0, n->link.node); return bucket_event(n, d, ev);
    case LEASE_LOADING:
    case LEASE_RECORD:
    case LEASE_GIVE:
    case LEASE_LOST:
    case LEASE_OWNER: return bucket_event(n, d, ev);
    case LEASE_SUSPEND: return act_event(n, true, ev);
    case LEASE_RESUME: return act_event(n, false, ev);
    case LEASE_FORMAT: return lease_event(d, ev);
    case LEASE_TELL: tell(n, d, d->node, d->owner); break;
    case LEASE_NODES: update_links(n); break;
    case LEASE_DRAINED:
        n->drained = true;
        log_line(n->log, TRACE_INFO, "cluster", "drained: the others have all buckets");
        break;
    }
    return false;
}

/* ---- in ---- */

static void heard(struct node *n, const struct link_frame *f) {
    struct lease_input *in = f->bucket < LIMIT_BUCKETS ? wait_for_lease(n, LEASE_IN_HEARD, f->bucket) : NULL;
    if (!in)
        return;
    in->node = f->node;
    in->epoch = f->epoch;
}

static void state_of(struct node *n, const struct link_frame *f) {
    struct lease_input *in = wait_for_lease(n, LEASE_IN_PEER, 0);
    if (!in)
        return;
    in->node = f->from;
    in->store_ok = f->flag;
}

void node_on_mail(struct node *n, const struct mail *m) {
    struct link_frame f = { .kind = (enum link_kind)m->what, .flag = m->flag, .bucket = m->bucket, .node = m->size,
                            .epoch = m->number, .from = member_of(member_node(n->link.node), m->from) };
    if (!n->on)
        return;
    if (f.kind == LINK_OWNER)
        heard(n, &f);
    else if (f.kind == LINK_STATE)
        state_of(n, &f);
}

bool node_next(struct node *n, struct event *ev) {
    struct link_frame f;
    while (n->on && link_next(&n->link, &f)) {
        if (f.kind == LINK_OWNER)
            heard(n, &f);
        else if (f.kind == LINK_STATE)
            state_of(n, &f);
        else if (f.what < PEER_KINDS) {
            *ev = (struct event){ .kind = EV_PEER };
            ev->u.peer.what = (enum peer_kind)f.what;
            ev->u.peer.from = f.from;
            ev->u.peer.bucket = f.bucket;
            ev->u.peer.hops = f.hops;
            ev->u.peer.src = f.src;
            ev->u.peer.dst = f.dst;
            ev->u.peer.bytes = f.bytes;
            return true;
        }
    }
    return false;
}

/* ---- for people ---- */

/* All shards of a node together. */
struct whole {
    uint32_t node, shards;
    struct slice at;             /* of its first shard */
    bool linked, draining;
    uint8_t format;              /* that all of them read */
};

static struct whole *find_whole(struct whole all[], uint32_t count, uint32_t node) {
    for (uint32_t i = 0; i < count; i++)
        if (all[i].node == node)
            return &all[i];
    return NULL;
}

/* The own one first. */
static uint32_t whole_nodes(const struct node *n, struct whole all[static LEASE_NODES_MAX + 1]) {
    struct lease_node m;
    uint32_t count = 0;
    for (uint32_t i = 0; n->on && lease_node(n->lease, i, &m); i++) {
        struct whole *w = find_whole(all, count, member_node(m.node));
        if (!w) {
            w = &all[count++];
            *w = (struct whole){ .node = member_node(m.node), .at = m.value, .linked = true, .format = UINT8_MAX };
        }
        w->shards++;
        w->at = member_shard(m.node) == 0 ? m.value : w->at;
        w->linked = w->linked && link_is_up(&n->link, m.node);
        w->draining = w->draining || m.draining;
        if (w != all || w->shards == 1) /* an order to the own node is an order to all its shards */
            w->format = m.format < w->format ? m.format : w->format;
    }
    return count;
}

static uint32_t owner_node(const struct node *n, uint32_t bucket) {
    return member_node(lease_owner(n->lease, (uint16_t)bucket, NULL));
}

static uint32_t buckets_of(const struct node *n, uint32_t node) {
    uint32_t count = 0;
    for (uint32_t b = 0; b < LIMIT_BUCKETS; b++)
        count += owner_node(n, b) == node;
    return count;
}

void node_describe(const struct node *n, struct sbuf *text) {
    struct whole all[LEASE_NODES_MAX + 1];
    uint32_t count = whole_nodes(n, all);
    if (!n->on) {
        sbuf_lit(text, "alone: cluster.node is 0\n");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct whole *w = &all[i];
        sbuf_lit(text, "node ");
        sbuf_u64(text, w->node);
        sbuf_lit(text, " at ");
        sbuf_escaped(text, w->at, 64);
        if (w->shards > 1) {
            sbuf_lit(text, ", shards ");
            sbuf_u64(text, w->shards);
        }
        sbuf_lit(text, ", buckets ");
        sbuf_u64(text, buckets_of(n, w->node));
        if (i == 0)
            sbuf_str(text, lease_is_suspended(n->lease) ? ", this one, suspended"
                           : lease_store_ok(n->lease)   ? ", this one"
                                                        : ", this one, without its store");
        else
            sbuf_str(text, w->linked ? ", linked" : ", no link");
        sbuf_str(text, w->draining ? ", draining\n" : "\n");
    }
}

void node_describe_records(const struct node *n, struct sbuf *text) {
    struct whole all[LEASE_NODES_MAX + 1];
    uint32_t count = whole_nodes(n, all);
    sbuf_lit(text, "newest format ");
    sbuf_u64(text, RECORD_FORMAT);
    if (n->on) {
        sbuf_lit(text, "\nwritten format ");
        sbuf_u64(text, lease_format(n->lease));
    }
    for (uint32_t i = 0; i < count; i++) {
        sbuf_lit(text, "\nnode ");
        sbuf_u64(text, all[i].node);
        sbuf_lit(text, " takes up to ");
        sbuf_u64(text, all[i].format);
    }
    sbuf_char(text, '\n');
}

bool node_hold_format(struct node *n, struct slice which) {
    uint64_t format = RECORD_FORMAT;
    if (!n->on || (!slice_eq(which, SL("auto")) && !slice_u64(which, RECORD_FORMAT, &format)) || !format)
        return false;
    lease_tell_format(n->lease, (uint8_t)format);
    log_line(n->log, TRACE_INFO, "cluster", "records of format %u and lower are taken here, as ordered",
             (unsigned)format);
    return true;
}

void node_describe_buckets(const struct node *n, struct sbuf *text) {
    for (uint32_t from = 0, b = 1; n->on && from < LIMIT_BUCKETS; from = b++) {
        uint32_t owner = owner_node(n, from);
        while (b < LIMIT_BUCKETS && owner_node(n, b) == owner)
            b++;
        sbuf_hex(text, from, LIMIT_BUCKET_DIGITS);
        if (b - from > 1) {
            sbuf_char(text, '-');
            sbuf_hex(text, b - 1, LIMIT_BUCKET_DIGITS);
        }
        sbuf_char(text, ' ');
        sbuf_u64(text, owner);
        sbuf_char(text, '\n');
    }
}
