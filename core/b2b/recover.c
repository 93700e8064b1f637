/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/recover.h"

#include "core/b2b/barrier.h"
#include "core/b2b/call.h"
#include "core/b2b/owner.h"
#include "core/b2b/record.h"
#include "core/b2b/ticket.h"
#include "core/b2b/transfer.h"
#include "core/b2b/wire.h"

#define REREAD_US 500000 /* after a failure */

static void skip(struct engine *e, struct slice key, const char *why) {
    struct sbuf d = trace_begin(&e->trace, TRACE_WARN, "record", 0, 0xff);
    sbuf_escaped(&d, key, 64);
    sbuf_lit(&d, " is left alone: ");
    sbuf_str(&d, why);
    trace_end(&e->trace, &d);
}

static const char *unreadable(struct slice value, enum record_error r, char why[static 80]) {
    if (r != RECORD_VERSION)
        return record_error_text(r);
    struct sbuf b = sbuf_on(why, 79);
    sbuf_lit(&b, "of format ");
    sbuf_u64(&b, (uint8_t)value.p[sizeof RECORD_MAGIC - 1]);
    sbuf_lit(&b, ", and this one reads up to ");
    sbuf_u64(&b, RECORD_FORMAT);
    why[b.n] = '\0';
    return why;
}

/* Counted once more, so that it is left alone however long ago it was taken over. */
static void quarantine(struct engine *e, struct slice key, struct call *c) {
    skip(e, key, "two owners have died with it");
    if (c->takeovers == RECOVER_TAKEOVERS_MAX) {
        metrics_add(&e->metrics, M_calls_quarantined, 1);
        c->takeovers++;
        c->record_stored = true;
        e->records++;
        record_store(e, c);
        e->records--;
    }
    record_drop(e, c);
}

/* Each owner writes what it reads, so that its epoch is the last one before ours: of those in between nothing is
 * stored. None of them was us, who have claimed it anew since, but not read this yet. Nor has one written anything that
 * has only counted its attempt, as it does before it sends what its next record says: that one is missing. */
static uint64_t unwritten(const struct engine *e, const struct call *c, uint64_t written) {
    uint64_t since = owner_since(e, c->bucket), n = written && since > written ? since - written - 1 : 0;
    return n + (written && c->attempt == written);
}

enum record_error recover_record(struct engine *e, struct slice key, struct slice value, uint64_t written) {
    struct call *c = NULL;
    char why[80];
    uint64_t id;
    /* Not even read: what is read has its legs' ports at once, and theirs of an older word, too. */
    if (slice_hex(key, &id) && barrier_is_deleting(e, id))
        return RECORD_EXISTS;
    enum record_error r = record_decode(e, value, &c);
    if (r != RECORD_OK) {
        skip(e, key, unreadable(value, r, why));
        metrics_add(&e->metrics, M_records_unreadable, r != RECORD_EXISTS);
        return r;
    }
    if (e->now - c->taken_us > RECOVER_FINE_US && c->takeovers <= RECOVER_TAKEOVERS_MAX)
        c->takeovers = 0;
    if (c->takeovers >= RECOVER_TAKEOVERS_MAX) {
        quarantine(e, key, c);
        return r;
    }
    c->takeovers++;
    c->taken_us = e->now;
    c->read_version = c->version;
    c->read_next_leg = c->next_leg;
    c->epoch = owner_epoch(e, c->bucket);
    record_pass_unwritten(e, c, unwritten(e, c, written));
    c->record_stored = true;
    e->records++;
    metrics_add(&e->metrics, M_calls_recovered, 1);
    trace_text(&e->trace, TRACE_INFO, "call", c->id, 0xff, SL("taken over"));
    for (unsigned i = 0; i < c->leg_count; i++)
        recover_index(e, leg_get(e, c->legs[i]));
    call_changed(e, c);
    barrier_resume(e, c);
    return r;
}

static void load_failed(struct engine *e, uint16_t bucket) {
    metrics_add(&e->metrics, M_store_failures, 1);
    if (e->owners.reread[bucket] != REREAD_ASKED)
        return; /* by a later claim, or nobody's matter any more */
    e->owners.reread[bucket] = REREAD_FAILED;
    if (!wheel_is_set(&e->reread_timer))
        wheel_set(&e->wheel, &e->reread_timer, e->now + REREAD_US);
}

static void load(struct engine *e, uint16_t bucket) {
    struct out *o = outbox_add(e->out, OUT_STORE);
    e->owners.reread[bucket] = REREAD_ASKED;
    if (!o) {
        load_failed(e, bucket);
        return;
    }
    o->u.store.verb = STORE_LOAD;
    o->u.store.ticket = ticket_of(TICKET_LOAD, bucket + 1u);
    o->u.store.bucket = bucket;
    o->u.store.table = SL("call");
}

void recover_reread(struct engine *e, uint16_t bucket, bool held, bool forgotten) {
    uint8_t *state = &e->owners.reread[bucket];
    if (!held)
        *state = REREAD_NOT;
    else if (forgotten || *state == REREAD_WANTED || *state == REREAD_FAILED)
        load(e, bucket);
}

void recover_on_reread_timer(struct engine *e) {
    for (uint32_t i = 0; i < LIMIT_BUCKETS; i++) {
        if (e->owners.reread[i] != REREAD_FAILED || !owner_is_mine(e, (uint16_t)i))
            continue;
        if (e->out->n >= OUTBOX_MAX / 2) {
            wheel_set(&e->wheel, &e->reread_timer, e->now + REREAD_US);
            return;
        }
        load(e, (uint16_t)i);
    }
}

static bool is_here(const struct engine *e, uint16_t bucket, struct slice key) {
    uint32_t cursor = 0;
    uint64_t id;
    if (!slice_hex(key, &id))
        return false;
    for (const struct call *c; (c = chain_next(&e->calls_by_id, id, &cursor));)
        if (c->bucket == bucket && c->id == id)
            return true;
    return false;
}

/* The bucket may have gone since it was asked for. */
static void on_reread(struct engine *e, uint16_t bucket, const struct event *ev) {
    struct event in = { .kind = EV_BUCKET, .u.bucket = { .what = BUCKET_RECORD, .bucket = bucket } };
    if (!owner_is_mine(e, bucket) || is_here(e, bucket, ev->u.store.key))
        return;
    in.u.bucket.key = ev->u.store.key;
    in.u.bucket.value = ev->u.store.value;
    in.u.bucket.written = ev->u.store.epoch;
    owner_on_call_record(e, &in);
}

bool recover_on_store(struct engine *e, const struct event *ev) {
    if (!ev->u.store.ticket || ticket_part(ev->u.store.ticket) != TICKET_LOAD)
        return false;
    uint16_t bucket = (uint16_t)(ticket_handle(ev->u.store.ticket) - 1);
    if (ev->u.store.status == STORE_OK)
        on_reread(e, bucket, ev);
    else if (ev->u.store.status != STORE_MISSING)
        load_failed(e, bucket);
    else if (e->owners.reread[bucket] == REREAD_ASKED)
        e->owners.reread[bucket] = REREAD_NOT;
    return true;
}

/* ---- a call that another node has ---- */

void recover_forget(struct engine *e, struct call *c) {
    trace_text(&e->trace, TRACE_INFO, "call", c->id, 0xff, SL("another node has it"));
    owner_forget_call(e, c, PEER_NONE);
}

/* ---- requests without To tag that come again ---- */

uint64_t recover_key(const struct engine *e, struct slice call_id, struct slice tag) {
    struct slice pieces[] = { call_id, tag };
    return siphash128_quick_pieces(e->map_key, pieces, 2).a;
}

void recover_index(struct engine *e, struct leg *l) {
    if (!l->dlg.uac && !chain_has(&l->by_remote))
        chain_put(&e->by_remote, recover_key(e, leg_str(l, DLG_CALL_ID), leg_str(l, DLG_REMOTE_TAG)), l->self);
}

void recover_unindex(struct engine *e, struct leg *l) {
    chain_del(&e->by_remote, l->self);
}

static struct leg *find_remote(const struct engine *e, struct slice call_id, struct slice tag) {
    uint32_t cursor = 0;
    uint64_t hash = recover_key(e, call_id, tag);
    for (struct leg *l; (l = chain_next(&e->by_remote, hash, &cursor));)
        if (slice_eq(leg_str(l, DLG_CALL_ID), call_id) && slice_eq(leg_str(l, DLG_REMOTE_TAG), tag))
            return l;
    return NULL;
}

bool recover_knows(const struct engine *e, const struct sip_msg *msg) {
    return e->by_remote.used && find_remote(e, msg->call_id, msg->from_tag);
}

bool recover_repeated(struct engine *e, const struct sip_msg *msg, handle txn) {
    if (!e->by_remote.used)
        return false;
    struct leg *l = find_remote(e, msg->call_id, msg->from_tag);
    if (l && leg_call(e, l)->resuming) {
        txn_drop(&e->txns, txn); /* the record has it, or it comes again */
        return true;
    }
    if (!l || (msg->cseq != l->dlg.remote_cseq && msg->cseq != l->dlg.remote_cseq + 1))
        return false;
    if (msg->method == SIP_M_REFER)
        return transfer_accepted_again(e, l, msg, txn);
    if (msg->method == SIP_M_SUBSCRIBE)
        return transfer_subscribed_again(e, l, msg, txn);
    return msg->method == SIP_M_INVITE && leg_answered_before(e, l, msg, txn);
}

bool recover_refer_again(struct engine *e, struct leg *l, const struct sip_msg *msg, handle txn) {
    return msg->method == SIP_M_REFER && msg->cseq < l->heard_cseq && transfer_accepted_again(e, l, msg, txn);
}

bool recover_answers_retry(const struct engine *e, const struct leg *l, const struct sip_msg *msg) {
    bool calls = l->state == LEG_CALLING || l->state == LEG_EARLY || l->state == LEG_CANCELLING;
    return leg_call(e, l)->taken_us && calls && msg->cseq > l->invite_cseq && msg->cseq < l->dlg.local_cseq;
}
