/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_table: walking a row, and what the actions of all four machines share.
 */
#include "core/sip/txn_table.h"

#include "core/base/check.h"

static const struct txn_machine *const machines[TXN_KIND_COUNT] = {
    [TXN_ICT] = &txn_machine_ict,
    [TXN_NICT] = &txn_machine_nict,
    [TXN_IST] = &txn_machine_ist,
    [TXN_NIST] = &txn_machine_nist,
};

const struct txn_machine *txn_machine(unsigned kind) {
    CHECK(kind < TXN_KIND_COUNT);
    return machines[kind];
}

unsigned txn_timer_event(unsigned kind, unsigned timer) {
    unsigned event = txn_machine(kind)->timers[timer];
    CHECK(event);
    return event - 1;
}

static const struct txn_row *row_of(const struct txn_machine *m, unsigned state, unsigned event) {
    CHECK(state < m->states && event < m->events);
    return &m->rows[state * m->events + event];
}

const struct txn_row *txn_row(unsigned kind, unsigned state, unsigned event) {
    return row_of(txn_machine(kind), state, event);
}

/* Out of line: it is rare, and what it needs would burden each event. */
static __attribute__((noinline)) void trace_row(const struct txn_step *s, const struct txn_row *row, unsigned event) {
    static const char *const what[] = { " missing ", " -> ", " ignored ", " BUG " };
    const struct txn *t = s->txn;
    const struct txn_machine *m = machines[t->kind];
    const struct txn_open *o = txn_open_of(t);
    struct sbuf b = trace_begin(s->layer->trace, TRACE_DEBUG, "txn", o ? o->trace_call : 0,
                                o ? o->trace_leg : 0xff);
    sbuf_str(&b, m->name);
    sbuf_char(&b, ' ');
    sbuf_hex(&b, t->self, 16);
    sbuf_char(&b, ' ');
    sbuf_put(&b, sip_method_name((enum sip_method)t->method));
    sbuf_char(&b, ' ');
    sbuf_str(&b, m->state_names[t->state]);
    sbuf_char(&b, ' ');
    sbuf_str(&b, m->event_names[event]);
    sbuf_str(&b, what[row->what]);
    if (row->what == TXN_ROW_DO)
        sbuf_str(&b, m->state_names[row->next]);
    sbuf_lit(&b, " (");
    sbuf_str(&b, row->rfc);
    sbuf_char(&b, ')');
    trace_end(s->layer->trace, &b);
}

static void close_open(struct txn_layer *l, struct txn *t) {
    struct txn_open *o = t->u.open;
    txn_dst_unlink(l, t);
    wheel_cancel(l->wheel, &o->retransmit);
    wheel_cancel(l->wheel, &o->life);
    buf_unref(l->bufs, &o->request);
    buf_unref(l->bufs, &o->head);
    buf_unref(l->bufs, &o->cancel);
    pool_free(&l->open, o->self);
}

void txn_run(struct txn_step *s, unsigned event) {
    struct txn *t = s->txn;
    const struct txn_machine *m = txn_machine(t->kind);
    const struct txn_row *row = row_of(m, t->state, event);
    if (trace_on(s->layer->trace, TRACE_DEBUG))
        trace_row(s, row, event);
    CHECK(row->what == TXN_ROW_DO || row->what == TXN_ROW_IGNORE);
    if (row->what == TXN_ROW_IGNORE)
        return;
    t->state = row->next;
    if (row->action)
        row->action(s);
    if (row->next == m->terminated) {
        txn_free(s->layer, t);
    } else if (!t->lingers && m->lingers[row->next]) {
        close_open(s->layer, t);
        txn_linger(s, (enum txn_timer_kind)m->lingers[row->next]);
    }
}

void txn_send(const struct txn_step *s, struct buf *b) {
    struct out *out = b ? outbox_add(s->outbox, OUT_SEND) : NULL;
    if (!out)
        return;
    buf_ref(b);
    out->u.send.dst = s->txn->dst;
    out->u.send.src = s->txn->local;
    out->u.send.buf = b;
}

void txn_send_again(const struct txn_step *s, struct buf *b) {
    if (!b)
        return;
    metrics_add(s->layer->metrics, M_retransmissions_out, 1);
    txn_send(s, b);
}

static void set_timer(struct txn_step *s, struct wheel_node *n, enum txn_timer_kind k, uint64_t after) {
    n->owner = s->txn->self;
    n->kind = (uint16_t)k;
    wheel_set(s->layer->wheel, n, s->now + after);
}

void txn_set_retransmit(struct txn_step *s, enum txn_timer_kind k, uint64_t after) {
    s->txn->u.open->interval = after;
    set_timer(s, &s->txn->u.open->retransmit, k, after);
}

void txn_set_life(struct txn_step *s, enum txn_timer_kind k, uint64_t after) {
    set_timer(s, &s->txn->u.open->life, k, after);
}

void txn_stop_timers(struct txn_step *s) {
    wheel_cancel(s->layer->wheel, &s->txn->u.open->retransmit);
    wheel_cancel(s->layer->wheel, &s->txn->u.open->life);
}

void txn_tell(struct txn_step *s, enum txn_event_kind kind) {
    const struct txn *t = s->txn;
    *s->ev = (struct txn_event){
        .kind = kind,
        .txn = t->self,
        .ctx = t->ctx,
        .ctx_kind = t->ctx_kind,
        .txn_kind = t->kind,
        .method = t->method,
    };
}

void txn_tell_final(struct txn_step *s) {
    txn_tell(s, TXN_FINAL);
    s->ev->other = s->txn->u.open->peer;
    s->ev->tries = s->txn->u.open->tries;
}

void txn_tell_timeout(struct txn_step *s, enum txn_timer_kind timer) {
    txn_tell(s, TXN_TIMEOUT);
    s->ev->timer = (uint8_t)timer;
}

void txn_send_response(struct txn_step *s) {
    struct txn *t = s->txn;
    buf_unref(s->layer->bufs, &t->kept);
    t->kept = s->response;
    s->response = NULL;
    t->status = s->status;
    txn_send(s, t->kept);
}

struct txn *txn_new(struct txn_layer *l, enum txn_kind kind, struct key128 key) {
    handle h, o;
    struct txn_open *open = pool_alloc(&l->open, &o);
    struct txn *t = open ? pool_alloc(&l->pool, &h) : NULL;
    if (!t) {
        if (open)
            pool_free(&l->open, o);
        return NULL;
    }
    open->self = o;
    open->trace_leg = 0xff;
    t->self = h;
    t->u.open = open;
    t->kind = (uint8_t)kind;
    t->key = key;
    chain_put(&l->by_key, key.a, h);
    return t;
}

static void free_merge(struct txn_layer *l, uint32_t index) {
    handle h = pool_handle(&l->merges, l->merges.objects + (size_t)index * l->merges.size);
    chain_del(&l->by_merge, h);
    pool_free(&l->merges, h);
}

void txn_free(struct txn_layer *l, struct txn *t) {
    if (t->lingers)
        txn_linger_end(l, t);
    else
        close_open(l, t);
    buf_unref(l->bufs, &t->kept);
    chain_del(&l->by_key, t->self);
    if (t->merge)
        free_merge(l, t->merge - 1);
    pool_free(&l->pool, t->self);
}

const char *txn_kind_name(unsigned kind) {
    return kind < TXN_KIND_COUNT ? machines[kind]->name : "?";
}

const char *txn_state_name(unsigned kind, unsigned state) {
    return kind < TXN_KIND_COUNT && state < machines[kind]->states ? machines[kind]->state_names[state] : "?";
}

const char *txn_timer_name(unsigned timer) {
    static const char *const names[TXN_TIMER_END] = {
        "none",
#define X(name) #name,
        TXN_TIMERS(X)
#undef X
    };
    return timer < TXN_TIMER_END ? names[timer] : "?";
}

const char *txn_event_name(enum txn_event_kind kind) {
    static const char *const names[] = {
        [TXN_NONE] = "none",
        [TXN_STRAY] = "stray",
        [TXN_PROVISIONAL] = "provisional",
        [TXN_FINAL] = "final",
        [TXN_2XX_AGAIN] = "2xx again",
        [TXN_TIMEOUT] = "timeout",
        [TXN_FAILED] = "failed",
        [TXN_NEW_REQUEST] = "new request",
        [TXN_CANCEL] = "cancel",
        [TXN_ACK_2XX] = "ack to 2xx",
        [TXN_ACK_FAILURE] = "ack to failure",
        [TXN_FULL] = "full",
    };
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}
