/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/call.h"
#include "core/b2b/cdr.h"
#include "core/b2b/party.h"
#include "core/b2b/transfer.h"

struct transfer *transfer_new(struct engine *e, struct call *c) {
    handle h;
    struct transfer *t = pool_alloc(&e->transfers, &h);
    if (!t) {
        metrics_add(&e->metrics, M_pool_full, 1);
        return NULL;
    }
    t->self = t->timer.owner = c->transfer = h;
    t->timer.kind = TIMER_TRANSFER;
    t->state = TRANSFER_TARGET;
    t->call = c->self;
    t->started_us = e->now;
    t->history.call_id = c->id;
    call_changed(e, c);
    return t;
}

void transfer_free(struct engine *e, struct transfer *t) {
    struct call *c = call_get(e, t->call);
    if (c) {
        c->transfer = HANDLE_NONE;
        call_changed(e, c);
    }
    strs_free(&t->s, &e->bufs);
    cdr_transfer_free(e, t);
    party_forget_transfer(e, t);
    pool_free(&e->transfers, t->self);
}
