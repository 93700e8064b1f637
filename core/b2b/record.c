/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/record.h"

#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/owner.h"
#include "core/b2b/recover.h"

/* Nobody asks for the versions of a store that nobody else writes to. */
static unsigned step(const struct engine *e) {
    return e->cfg.durability != DURABILITY_OFF || owner_is_shared(e);
}

/* The operation on the call's record, in the outbox; NULL: not now. */
static struct out *operation(struct engine *e, struct call *c, enum store_verb verb) {
    char key[16];
    struct sbuf k = sbuf_on(key, sizeof key);
    struct store_op op = { .verb = verb, .bucket = c->bucket, .table = SL("call") };
    c->version += step(e);
    if (e->out->n == OUTBOX_MAX) {
        barrier_rewrite(e, c);
        return NULL;
    }
    if (!barrier_write(e, c, &op))
        return NULL;
    struct out *o = outbox_add(e->out, OUT_STORE);
    sbuf_hex(&k, c->id, 16);
    o->u.store = op;
    o->u.store.key = buf_copy(&e->bufs, sbuf_slice(&k));
    return o;
}

void record_store(struct engine *e, struct call *c) {
    struct sbuf b = ua_body(&e->ua);
    c->record_changed = false;
    c->version += step(e); /* the one that it will have */
    if (!record_encode(e, c, &b)) {
        metrics_add(&e->metrics, M_store_failures, 1);
        return;
    }
    c->version -= step(e);
    struct out *o = operation(e, c, STORE_PUT);
    if (!o)
        return;
    o->u.store.value = buf_copy(&e->bufs, sbuf_slice(&b));
    metrics_add(&e->metrics, M_store_writes, 1);
    metrics_add(&e->metrics, M_records_older, e->format.now < RECORD_FORMAT);
    if (!c->record_stored)
        e->records++;
    c->record_stored = true;
}

void record_delete(struct engine *e, struct call *c) {
    if (!c->record_stored)
        return;
    operation(e, c, STORE_DELETE);
    c->record_stored = false;
    e->records--;
}
