/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The transfer of a record, and what ties records together: whichever of a transfer's two calls is decoded last finds
 * the other by Call-ID and local tag, which a leg keeps when it moves.
 */
#include "core/b2b/call.h"
#include "core/b2b/party.h"
#include "core/b2b/record_read.h"
#include "core/b2b/transfer_fsm.h"

bool record_party_at(struct slice in, struct slice *call_id, struct slice *local_tag) {
    uint64_t n;
    if (!varint_get(&in, &n) || n == 0 || n >= in.n)
        return false;
    *call_id = slice_of(in.p, n);
    *local_tag = slice_of(in.p + n, in.n - n);
    return true;
}

/* Of a leg that another record has too, the one that lives. */
static const struct leg *living(const struct engine *e, const struct leg *l) {
    return l && l->state == LEG_DEAD ? leg_find_local(e, leg_str(l, DLG_CALL_ID), leg_str(l, DLG_LOCAL_TAG)) : l;
}

static enum read_result read_party(struct decoder *x, struct transfer *t, unsigned p, struct slice in) {
    struct slice call_id, local_tag;
    uint64_t number;
    if (!varint_get(&in, &number))
        return read_fail(x, RECORD_VALUE);
    if (number) {
        const struct leg *l = living(x->e, read_leg_of_number(x, number - 1));
        *record_party(t, (enum transfer_party)p) = l ? l->self : HANDLE_NONE;
        return l && !in.n ? READ_TAKEN : read_fail(x, RECORD_VALUE);
    }
    if (!record_party_at(in, &call_id, &local_tag))
        return read_fail(x, RECORD_VALUE);
    return strs_set(&t->s, &x->e->bufs, TRF_AT + p, in) ? READ_TAKEN : read_fail(x, RECORD_NO_ROOM);
}

static enum read_result read_consult_call(struct decoder *x, struct transfer *t, struct slice in) {
    uint64_t bucket, id;
    if (!in.n) {
        t->consult_call = x->c->self;
        return READ_TAKEN;
    }
    if (!read_call_name(in, &bucket, &id))
        return read_fail(x, RECORD_VALUE);
    return strs_set(&t->s, &x->e->bufs, TRF_CALL_AT, in) ? READ_TAKEN : read_fail(x, RECORD_NO_ROOM);
}

static enum read_result read_subscriber(struct decoder *x, struct transfer *t, const struct tlv *v) {
    uint64_t number;
    const struct leg *l = tlv_u64(v, UINT8_MAX + 1, &number) && number ? read_leg_of_number(x, number - 1) : NULL;
    t->subscriber = l ? l->self : HANDLE_NONE;
    return l ? READ_TAKEN : read_fail(x, RECORD_VALUE);
}

static enum read_result set_text(struct decoder *x, struct transfer *t, unsigned field, struct slice v) {
    return strs_set(&t->s, &x->e->bufs, field, v) ? READ_TAKEN : read_fail(x, RECORD_NO_ROOM);
}

static enum read_result transfer_field(struct decoder *x, void *object, const struct tlv *v) {
    struct transfer *t = object;
    switch (v->tag) {
    case TRF_TAG_FLAGS: return read_flags(x, record_transfer_flags, t, v);
    case TRF_TAG_TIMER: return read_timer(x, &t->timer, v);
    case TRF_TAG_SUBSCRIBER: return read_subscriber(x, t, v);
    case TRF_TAG_BY: return set_text(x, t, TRF_BY, v->value);
    case TRF_TAG_RECALL: return set_text(x, t, TRF_RECALL, v->value);
    case TRF_TAG_OPEN_REFER: return set_text(x, t, TRF_OPEN_REFER, v->value);
    case TRF_TAG_CONSULT_CALL: return read_consult_call(x, t, v->value);
    default: break;
    }
    for (unsigned p = 0; p < PARTY_COUNT; p++)
        if (v->tag == TRF_TAG_PARTY(p))
            return read_party(x, t, p, v->value);
    for (unsigned i = 0; i < RECORD_TRANSFER_TEXTS; i++)
        if (v->tag == TRF_TAG_TEXT(i))
            return set_text(x, t, record_transfer_texts[i], v->value);
    return read_field(x, record_transfer_fields, t, v);
}

bool read_transfer(struct decoder *x, struct slice in) {
    handle h;
    if (x->c->transfer != HANDLE_NONE)
        return read_fail(x, RECORD_VALUE) == READ_TAKEN;
    struct transfer *t = pool_alloc(&x->e->transfers, &h);
    if (!t)
        return read_fail(x, RECORD_NO_ROOM) == READ_TAKEN;
    t->self = t->timer.owner = x->c->transfer = h;
    t->timer.kind = TIMER_TRANSFER;
    t->call = x->c->self;
    if (!read_object(x, in, (struct record_where){ IN_TRANSFER, 0, 0 }, transfer_field, t))
        return false;
    return t->state != TRANSFER_DONE || read_fail(x, RECORD_VALUE) == READ_TAKEN;
}

/* ---- links; nothing here can fail once the first loop is over ---- */

static bool resolve_numbers(struct decoder *x) {
    for (unsigned i = 0; i < x->c->leg_count; i++) {
        struct leg *l = leg_get(x->e, x->c->legs[i]);
        const struct leg *peer = x->peer[i] ? read_leg_of_number(x, x->peer[i] - 1u) : NULL;
        bool own = l->transfer_role != TR_NONE && !leg_str(l, LEG_TRANSFER_AT).p;
        if ((x->peer[i] && !peer) || (own && x->c->transfer == HANDLE_NONE))
            return read_fail(x, RECORD_VALUE) == READ_TAKEN;
        l->peer = peer ? peer->self : HANDLE_NONE;
        party_set(x->e, l, own ? transfer_get(x->e, x->c->transfer) : NULL);
    }
    return true;
}

bool record_transfer_bucket(const struct engine *e, const struct call *c, uint16_t *bucket) {
    uint64_t at, id;
    for (unsigned i = 0; i < c->leg_count; i++)
        if (read_call_name(leg_str(leg_get(e, c->legs[i]), LEG_TRANSFER_AT), &at, &id)) {
            *bucket = (uint16_t)at;
            return true;
        }
    return false;
}

bool transfer_awaits_party(const struct transfer *t) {
    return (t->s.present >> TRF_AT & ((1u << (TRF_CALL_AT + 1 - TRF_AT)) - 1)) != 0;
}

bool record_link(struct decoder *x) {
    if (!resolve_numbers(x))
        return false;
    if (x->peeks)
        return true;
    call_index(x->e, x->c);
    party_meet(x->e, x->c);
    return true;
}
