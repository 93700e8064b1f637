/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn: matching (sections 17.1.3, 17.2.3, 9.2, 8.2.2.2) and the doors into the tables.
 */
#include "core/sip/txn.h"

#include "core/base/check.h"
#include "core/sip/branch.h"
#include "core/sip/txn_table.h"

#define DEFAULT_PORT 5060

void txn_layer_init(struct txn_layer *l, struct arena *a, const struct txn_layer_config *c) {
    *l = (struct txn_layer){
        .key = c->key, .times = c->times, .wheel = c->wheel, .bufs = c->bufs, .metrics = c->metrics, .trace = c->trace,
    };
    struct txn_times *t = &l->times;
    t->t1 = t->t1 ? t->t1 : 500000;
    t->t2 = t->t2 ? t->t2 : 4000000;
    t->t4 = t->t4 ? t->t4 : 5000000;
    t->d = t->d ? t->d : 32000000;
    pool_init(&l->pool, a, c->count, sizeof(struct txn));
    pool_init(&l->open, a, c->open && c->open < c->count ? c->open : c->count, sizeof(struct txn_open));
    chain_init(&l->by_key, a, &l->pool, offsetof(struct txn, by_key), c->count);
    pool_init(&l->merges, a, c->count, sizeof(struct txn_merge));
    chain_init(&l->by_merge, a, &l->merges, offsetof(struct txn_merge, by_key), c->count / 2);
    for (unsigned i = 0; i < TXN_WAITS; i++)
        l->queues[i].timer = (struct wheel_node){ .kind = TXN_TIMER_LINGER, .owner = i };
}

static struct txn *find(const struct txn_layer *l, struct key128 key) {
    uint32_t cursor = 0;
    struct txn *t;
    while ((t = chain_next(&l->by_key, key.a, &cursor)) && !key128_eq(t->key, key))
        ;
    return t;
}

/* ---- client ---- */

handle txn_client_make(struct txn_layer *l, const struct txn_client *c) {
    enum txn_kind kind = c->method == SIP_M_INVITE ? TXN_ICT : TXN_NICT;
    struct buf *request = c->request;
    struct key128 key = txn_key_client(l, c->branch, c->method, c->method_name);
    bool again = find(l, key) != NULL;
    struct txn *t = request && !again ? txn_new(l, kind, key) : NULL;
    if (!t) {
        metrics_add(l->metrics, M_pool_full, !again);
        buf_unref(l->bufs, &request);
        return HANDLE_NONE;
    }
    t->method = (uint8_t)c->method;
    t->cseq = c->cseq;
    t->u.open->request = request;
    t->dst = *c->dst;
    if (c->local)
        t->local = *c->local;
    t->ctx = c->ctx;
    t->ctx_kind = c->ctx_kind;
    t->u.open->bucket = c->bucket;
    t->u.open->trace_call = c->trace_call;
    t->u.open->trace_leg = c->trace_leg;
    txn_dst_link(l, t);
    return t->self;
}

static bool is_unsent(const struct txn *t) {
    return t->kind <= TXN_NICT && t->state == (t->kind == TXN_ICT ? (unsigned)ICT_INIT : (unsigned)NICT_INIT);
}

void txn_client_send(struct txn_layer *l, struct outbox *o, uint64_t now, handle txn) {
    struct txn_event ev = { .kind = TXN_NONE };
    struct txn *t = txn_get(l, txn);
    struct txn_step s = { .layer = l, .outbox = o, .now = now, .txn = t, .ev = &ev };
    if (t && is_unsent(t))
        txn_run(&s, t->kind == TXN_ICT ? (unsigned)ICT_EV_START : (unsigned)NICT_EV_START);
}

void txn_client_adopt(struct txn_layer *l, handle txn) {
    struct txn *t = txn_get(l, txn);
    if (!t || t->kind != TXN_ICT || !is_unsent(t))
        return;
    t->state = ICT_PROCEEDING;
    t->status = 100;
}

handle txn_client_start(struct txn_layer *l, struct outbox *o, uint64_t now, const struct txn_client *c) {
    handle h = txn_client_make(l, c);
    txn_client_send(l, o, now, h);
    return h;
}

static unsigned response_event(const struct txn *t, uint16_t status) {
    if (t->kind == TXN_NICT)
        return status < 200 ? NICT_EV_R1XX : NICT_EV_R2XX_6XX;
    return status < 200 ? ICT_EV_R1XX : status < 300 ? ICT_EV_R2XX : ICT_EV_R3XX_6XX;
}

static struct txn *find_client(const struct txn_layer *l, const struct sip_msg *msg) {
    struct txn *t = NULL;
    if (msg->via.branch.n)
        t = find(l, txn_key_client(l, msg->via.branch, msg->cseq_method, msg->cseq_method_name));
    return t && !is_unsent(t) ? t : NULL;
}

const struct txn *txn_find_client(const struct txn_layer *l, const struct sip_msg *msg) {
    return find_client(l, msg);
}

struct txn_event txn_recv_response(struct txn_layer *l, struct outbox *o, uint64_t now, const struct sip_msg *msg) {
    struct txn_event ev = { .kind = TXN_STRAY, .method = (uint8_t)msg->cseq_method };
    struct txn *t = find_client(l, msg);
    if (!t) {
        metrics_add(l->metrics, M_responses_stray, 1);
        return ev;
    }
    ev.kind = TXN_NONE;
    struct txn_step s = {
        .layer = l, .outbox = o, .now = now, .txn = t, .ev = &ev, .msg = msg, .status = msg->status,
    };
    txn_run(&s, response_event(t, msg->status));
    return ev;
}

handle txn_cancel(struct txn_layer *l, struct outbox *o, uint64_t now, handle invite, struct slice extra) {
    struct txn_event ev = { .kind = TXN_NONE };
    struct txn *t = txn_get(l, invite);
    if (!t || t->kind != TXN_ICT || t->cancelled)
        return HANDLE_NONE;
    struct txn_step s = { .layer = l, .outbox = o, .now = now, .txn = t, .ev = &ev, .extra = extra };
    txn_run(&s, ICT_EV_CANCEL);
    return s.created;
}

void txn_keep_ack(struct txn_layer *l, handle invite, struct buf *ack, const struct addr *dst) {
    struct txn *t = txn_get(l, invite);
    if (t && t->kind == TXN_ICT && t->state == ICT_ACCEPTED) {
        buf_unref(l->bufs, &t->kept);
        t->kept = ack;
        t->dst = *dst;
        return;
    }
    buf_unref(l->bufs, &ack);
}

bool txn_heard_nothing(const struct txn_layer *l, handle invite) {
    const struct txn *t = txn_get(l, invite);
    return t && t->kind == TXN_ICT && t->state == ICT_CALLING;
}

/* ---- server ---- */

void txn_response_dst(const struct sip_msg *request, const struct addr *src, struct addr *out) {
    *out = *src;
    if (src->transport != SIP_UDP || request->via.rport.p)
        return;
    out->port = request->via.sent_by.port ? request->via.sent_by.port : DEFAULT_PORT;
}

/* Section 8.2.2.2: no To tag, and From tag, Call-ID and CSeq of another transaction that is going on. */
static bool note_merge(struct txn_layer *l, struct txn *t, const struct sip_msg *msg) {
    if (msg->to_tag.n)
        return false;
    uint64_t key = txn_key_merge(l, msg);
    uint32_t cursor = 0;
    handle h;
    struct txn_merge *m;
    while ((m = chain_next(&l->by_merge, key, &cursor)))
        if (m->key == key)
            return true;
    m = pool_alloc(&l->merges, &h); /* as many as transactions: there is one */
    CHECK(m);
    m->key = key;
    t->merge = (uint32_t)h + 1;
    chain_put(&l->by_merge, key, h);
    return false;
}

/* What arrived with a message and where. */
struct arrival {
    const struct sip_msg *msg;
    const struct addr *src, *dst;
};

static struct txn *server_new(struct txn_step *s, struct key128 key, const struct arrival *in) {
    const struct sip_msg *msg = in->msg;
    struct txn_layer *l = s->layer;
    struct txn *t = txn_new(l, msg->method == SIP_M_INVITE ? TXN_IST : TXN_NIST, key);
    struct buf *copy = t ? buf_copy(l->bufs, msg->whole) : NULL;
    if (!copy) {
        if (t)
            txn_free(l, t);
        metrics_add(l->metrics, M_pool_full, 1);
        s->ev->kind = TXN_FULL;
        return NULL;
    }
    t->u.open->request = copy;
    t->method = (uint8_t)msg->method;
    t->cseq = msg->cseq;
    t->u.open->legacy = !branch_is_3261(msg->via.branch);
    t->u.open->src_port = in->src->port;
    t->local = *in->dst;
    txn_response_dst(msg, in->src, &t->dst);
    if (t->kind == TXN_IST)
        t->u.open->head = uas_head_make(l->bufs, msg, in->src);
    s->txn = t;
    s->msg = msg;
    txn_run(s, t->kind == TXN_IST ? (unsigned)IST_EV_START : (unsigned)NIST_EV_START);
    return t;
}

static void again(struct txn_step *s, struct txn *t) {
    metrics_add(s->layer->metrics, M_retransmissions_in, 1);
    s->txn = t;
    txn_run(s, t->kind == TXN_IST ? (unsigned)IST_EV_REQUEST : (unsigned)NIST_EV_REQUEST);
}

/* RFC 2543's ACK must carry the To tag of the response that it acknowledges (section 17.2.3). */
static bool legacy_ack_matches(const struct txn *t, const struct sip_msg *ack) {
    struct sip_msg response;
    struct sip_fault fault;
    if (t->lingers || !t->u.open->legacy || !t->kept)
        return true;
    return sip_parse(buf_slice(t->kept), &response, &fault) >= 0 && slice_eq(response.to_tag, ack->to_tag);
}

static void recv_ack(struct txn_step *s, const struct arrival *in) {
    struct txn *t = find(s->layer, txn_key_server(s->layer, in->msg, SL("INVITE")));
    s->ev->method = SIP_M_ACK;
    if (!t || (t->state == IST_COMPLETED && !legacy_ack_matches(t, in->msg))) {
        s->ev->kind = TXN_ACK_2XX;
        return;
    }
    s->txn = t;
    txn_run(s, IST_EV_ACK);
}

static void recv_cancel(struct txn_step *s, const struct arrival *in) {
    struct key128 key = txn_key_server(s->layer, in->msg, SL("CANCEL"));
    struct txn *t = find(s->layer, key);
    if (t) {
        again(s, t);
        return;
    }
    if (!server_new(s, key, in))
        return;
    txn_tell(s, TXN_CANCEL);
    struct txn *invite = find(s->layer, txn_key_server(s->layer, in->msg, SL("INVITE")));
    if (!invite)
        return;
    invite->cancelled = true;
    s->ev->other = invite->self;
    s->ev->ctx = invite->ctx;
    s->ev->ctx_kind = invite->ctx_kind;
}

static void recv_other(struct txn_step *s, const struct arrival *in) {
    struct key128 key = txn_key_server(s->layer, in->msg, in->msg->cseq_method_name);
    struct txn *t = find(s->layer, key);
    if (t) {
        again(s, t);
        return;
    }
    t = server_new(s, key, in);
    if (!t)
        return;
    bool merged = note_merge(s->layer, t, in->msg);
    txn_tell(s, TXN_NEW_REQUEST);
    s->ev->merged = merged;
}

struct txn_event txn_recv_request(struct txn_layer *l, struct outbox *o, uint64_t now, const struct sip_msg *msg,
                                  const struct addr *src, const struct addr *dst) {
    struct txn_event ev = { .kind = TXN_NONE, .method = (uint8_t)msg->method };
    struct txn_step s = { .layer = l, .outbox = o, .now = now, .ev = &ev };
    struct arrival in = { .msg = msg, .src = src, .dst = dst };
    if (msg->method == SIP_M_ACK)
        recv_ack(&s, &in);
    else if (msg->method == SIP_M_CANCEL)
        recv_cancel(&s, &in);
    else
        recv_other(&s, &in);
    return ev;
}

bool txn_knows(const struct txn_layer *l, const struct sip_msg *request, uint64_t *mark) {
    struct key128 key = txn_key_server(l, request, request->cseq_method_name);
    *mark = key.a;
    return find(l, key) != NULL;
}

bool txn_knows_invite(const struct txn_layer *l, const struct sip_msg *request) {
    return find(l, txn_key_server(l, request, SL("INVITE"))) != NULL;
}

static unsigned answer_event(const struct txn *t, uint16_t status) {
    if (t->kind == TXN_IST)
        return status < 200 ? IST_EV_TU_1XX : status < 300 ? IST_EV_TU_2XX : IST_EV_TU_3XX_6XX;
    return status < 200 ? NIST_EV_TU_1XX : status == 408 ? NIST_EV_TU_408 : NIST_EV_TU_FINAL;
}

void txn_respond(struct txn_layer *l, struct outbox *o, uint64_t now, handle txn, struct buf *response,
                 uint16_t status) {
    struct txn_event ev = { .kind = TXN_NONE };
    struct txn *t = txn_get(l, txn);
    struct txn_step s = {
        .layer = l, .outbox = o, .now = now, .txn = t, .ev = &ev, .response = response, .status = status,
    };
    if (t && response && t->kind >= TXN_IST)
        txn_run(&s, answer_event(t, status));
    buf_unref(l->bufs, &s.response);
}

/* ---- both ---- */

/* Its end is due as well, since nobody has looked for so long: what would go out now has no answer that counts. */
static bool is_past(const struct txn *t, const struct wheel_node *n, uint64_t now) {
    const struct txn_open *o = t->u.open;
    return n == &o->retransmit && wheel_is_set(&o->life) && o->life.deadline_us <= now;
}

struct txn_event txn_timer(struct txn_layer *l, struct outbox *o, uint64_t now, struct wheel_node *n) {
    struct txn_event ev = { .kind = TXN_NONE };
    struct txn_step s = { .layer = l, .outbox = o, .now = now, .ev = &ev };
    if (n->kind == TXN_TIMER_LINGER) {
        txn_linger_due(&s, n);
        return ev;
    }
    s.txn = txn_get(l, n->owner);
    CHECK(s.txn && !s.txn->lingers && n->kind < TXN_TIMER_END);
    CHECK(n == &s.txn->u.open->life || n == &s.txn->u.open->retransmit);
    if (!is_past(s.txn, n, now))
        txn_run(&s, txn_timer_event(s.txn->kind, n->kind));
    return ev;
}

/* There was no buffer when the INVITE came. */
static void make_head(const struct txn_layer *l, struct txn *t) {
    struct sip_msg msg;
    struct sip_fault fault;
    struct addr src = txn_src(t);
    if (sip_parse(buf_slice(t->u.open->request), &msg, &fault) >= 0)
        t->u.open->head = uas_head_make(l->bufs, &msg, &src);
}

const struct uas_head *txn_head(const struct txn_layer *l, handle h) {
    struct txn *t = txn_get(l, h);
    if (!t || t->lingers)
        return NULL;
    if (t->kind == TXN_IST && t->u.open->request && !t->u.open->head)
        make_head(l, t);
    return uas_head_in(t->u.open->head);
}

bool txn_is_done(const struct txn_layer *l, handle h) {
    const struct txn *t = txn_get(l, h);
    return !t || t->status >= 200;
}

/* Credentials, a longer session interval, another offer. */
static bool may_ask_again(uint16_t status) {
    return status == 401 || status == 407 || status == 422 || status == 488 || status == 606;
}

void txn_keep_refused(struct txn_step *s) {
    struct txn_open *o = s->txn->u.open;
    if (!may_ask_again(s->status))
        return;
    buf_unref(s->layer->bufs, &s->layer->refused);
    s->layer->refused = o->request;
    o->request = NULL;
}

void txn_forget_refused(struct txn_layer *l) {
    buf_unref(l->bufs, &l->refused);
}

void txn_drop(struct txn_layer *l, handle h) {
    struct txn *t = txn_get(l, h);
    if (t)
        txn_free(l, t);
}
