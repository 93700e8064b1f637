/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/record.h"

#include "core/b2b/call.h"

static struct out *operation(struct engine *e, const struct call *c, enum store_verb verb) {
    struct out *o = outbox_add(e->out, OUT_STORE);
    char key[16];
    struct sbuf k = sbuf_on(key, sizeof key);
    if (!o) {
        metrics_add(&e->metrics, M_store_failures, 1);
        return NULL;
    }
    sbuf_hex(&k, c->id, 16);
    o->u.store.verb = verb;
    o->u.store.bucket = c->bucket;
    o->u.store.table = SL("call");
    o->u.store.key = buf_copy(&e->bufs, sbuf_slice(&k));
    return o;
}

void record_store(struct engine *e, struct call *c) {
    struct sbuf b = ua_body(&e->ua);
    c->record_changed = false;
    if (!record_encode(e, c, &b)) {
        metrics_add(&e->metrics, M_store_failures, 1);
        return;
    }
    struct out *o = operation(e, c, STORE_PUT);
    if (!o)
        return;
    o->u.store.value = buf_copy(&e->bufs, sbuf_slice(&b));
    metrics_add(&e->metrics, M_store_writes, 1);
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

/* The INVITE that brought an open offer is not part of the record: it comes again, if it still matters. */
static void forget_offer(struct engine *e, struct leg *l) {
    struct slice before = leg_str(l, LEG_SDP_BEFORE);
    if (!before.p || !leg_set(e, l, LEG_SDP_REMOTE, before))
        return;
    l->media.own_direction = l->media.own_before;
    l->media.own_before = 0;
    leg_set(e, l, LEG_SDP_BEFORE, SLICE_NONE);
}

static void resume_leg(struct engine *e, struct leg *l) {
    l->dlg.local_cseq = l->dlg.local_cseq < INT32_MAX - RECORD_CSEQ_GAP ? l->dlg.local_cseq + RECORD_CSEQ_GAP
                                                                        : l->dlg.local_cseq;
    l->auth_nc += l->auth_nc ? RECORD_CSEQ_GAP : 0;
    if (l->state != LEG_ANSWERED && l->state != LEG_UP)
        return;
    forget_offer(e, l);
    leg_stop_ok(e, l);
    leg_session_resume(e, l);
    leg_step(e, l, LEG_IN_RECV_ACK);
}

void record_resume(struct engine *e, struct call *c) {
    for (unsigned i = 0; i < c->leg_count; i++)
        resume_leg(e, leg_get(e, c->legs[i]));
    if (!c->record_stored)
        e->records++;
    c->record_stored = true;
    call_changed(e, c);
}
