/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/anchor.h"
#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/b2b/media_ports.h"
#include "core/b2b/owner_over.h"
#include "core/b2b/record_read.h"
#include "core/sip/token.h"

/* ---- streams ---- */

struct stream {
    uint64_t port;
    struct addr rtp, rtcp, at;
    struct srtp_roc in, out;
};

static bool read_roc(struct slice in, struct srtp_roc *out) {
    uint64_t ssrc, roc;
    if (!varint_get(&in, &ssrc) || !varint_get(&in, &roc) || in.n || ssrc > UINT32_MAX || roc > UINT32_MAX)
        return false;
    *out = (struct srtp_roc){ (uint32_t)ssrc, (uint32_t)roc };
    return true;
}

static enum read_result stream_field(struct decoder *x, void *object, const struct tlv *t) {
    struct stream *s = object;
    bool ok;
    switch (t->tag) {
    case STREAM_TAG_PORT: ok = tlv_u64(t, UINT16_MAX, &s->port); break;
    case STREAM_TAG_RTP: ok = record_addr_get(t->value, &s->rtp); break;
    case STREAM_TAG_ADDR: ok = record_addr_get(t->value, &s->at); break;
    case STREAM_TAG_RTCP: ok = record_addr_get(t->value, &s->rtcp); break;
    case STREAM_TAG_IN_ROC: ok = read_roc(t->value, &s->in); break;
    case STREAM_TAG_OUT_ROC: ok = read_roc(t->value, &s->out); break;
    default: return READ_UNKNOWN;
    }
    return ok ? READ_TAKEN : read_fail(x, RECORD_VALUE);
}

/* The same pair where it is free here; the peer sends there already. Else one that no other stream of the record has,
 * so later. A pair that another shard of a node has comes only with a call that this shard sends (ports_come). */
static void take_ports(struct decoder *x, struct leg *l, struct leg_stream *s, const struct stream *was) {
    struct port_pool *p = &x->e->ports;
    const struct addr *at = was->at.family != ADDR_NONE ? &was->at : &x->media_addr;
    uint32_t slot = port_pool_slot_of(p, (uint16_t)was->port), k = anchor_index(x->e, at);
    bool same = slot != PORT_POOL_NONE && port_pool_rtp_port(p, slot) == was->port;
    l->session_unsure = l->session_unsure || (k == ANCHOR_NOWHERE && at->family != ADDR_NONE);
    slot += same && k != ANCHOR_NOWHERE ? k * p->pairs : 0;
    bool may = !x->e->cfg.node || x->e->ports_come || !port_pool_is_elsewhere(p, slot);
    s->slot = same && may && port_pool_take_slot(p, slot, x->e->now, &s->generation) ? slot : PORT_POOL_NONE;
}

bool take_other_ports(struct decoder *x) {
    for (unsigned i = 0; i < x->c->leg_count * LEG_STREAMS; i++) {
        struct leg *l = leg_get(x->e, x->c->legs[i / LEG_STREAMS]);
        struct leg_stream *s = l->media.streams[i % LEG_STREAMS];
        if (!s->open || s->slot != PORT_POOL_NONE)
            continue;
        uint32_t at = anchor_of(x->e, l);
        at = at == ANCHOR_NOWHERE ? anchor_choose(x->e, l, media_open_count(l)) : at;
        s->slot = at == ANCHOR_NOWHERE ? at : anchor_take(x->e, l, at, &s->generation);
        if (s->slot == PORT_POOL_NONE)
            return read_fail(x, RECORD_NO_ROOM) == READ_TAKEN;
        l->session_unsure = true;
    }
    return true;
}

static enum read_result read_stream(struct decoder *x, struct leg *l, struct slice in) {
    struct stream s = { 0 };
    uint64_t index;
    if (!varint_get(&in, &index) || index >= LEG_STREAMS || l->media.streams[index]->open)
        return read_fail(x, RECORD_VALUE);
    if (!read_object(x, in, (struct record_where){ IN_STREAM, l->number, (uint8_t)index }, stream_field, &s))
        return READ_FAILED;
    if (!s.port)
        return read_fail(x, RECORD_VALUE);
    struct leg_stream *to = media_stream(x->e, l, (unsigned)index);
    take_ports(x, l, to, &s);
    to->open = true;
    to->rtp = s.rtp;
    to->rtcp = s.rtcp;
    to->in_roc = s.in;
    to->out_roc = s.out;
    if (s.rtp.family != ADDR_NONE && s.rtcp.family == ADDR_NONE) {
        to->rtcp = s.rtp;
        to->rtcp.port++;
    }
    return READ_TAKEN;
}

/* ---- texts ---- */

static enum read_result set_text(struct decoder *x, struct leg *l, unsigned field, struct slice v) {
    return leg_set(x->e, l, field, v) ? READ_TAKEN : read_fail(x, RECORD_NO_ROOM);
}

/* Bucket and id of the call stand in front of the legs. */
static enum read_result read_token(struct decoder *x, struct leg *l, struct slice in) {
    char mem[TOKEN_LEN];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct token t = { .bucket = x->c->bucket, .call = x->c->id, .leg = l->number & 15 };
    if (in.n < 2)
        return read_fail(x, RECORD_VALUE);
    t.cluster = (uint8_t)in.p[0];
    in = slice_of(in.p + 1, in.n - 1);
    if (!varint_get(&in, &t.random) || in.n)
        return read_fail(x, RECORD_VALUE);
    token_put(&b, &t);
    return set_text(x, l, DLG_LOCAL_TAG, sbuf_slice(&b));
}

/* Empty behind the role: the transfer of this call. */
static enum read_result read_leg_transfer(struct decoder *x, struct leg *l, struct slice in) {
    uint64_t role, bucket, id;
    if (!varint_get(&in, &role) || role == TR_NONE || role > TR_SUBSCRIBER)
        return read_fail(x, RECORD_VALUE);
    l->transfer_role = (uint8_t)role;
    if (!in.n)
        return READ_TAKEN;
    if (!read_call_name(in, &bucket, &id))
        return read_fail(x, RECORD_VALUE);
    return set_text(x, l, LEG_TRANSFER_AT, in);
}

/* ---- the leg ---- */

static enum read_result read_peer(struct decoder *x, const struct tlv *t) {
    uint64_t v;
    if (!tlv_u64(t, UINT8_MAX + 1, &v))
        return read_fail(x, RECORD_VALUE);
    x->peer[x->c->leg_count - 1] = (uint16_t)v;
    return READ_TAKEN;
}

static enum read_result read_addr(struct decoder *x, struct addr *a, const struct tlv *t) {
    return record_addr_get(t->value, a) ? READ_TAKEN : read_fail(x, RECORD_VALUE);
}

static enum read_result read_buf(struct decoder *x, struct buf **to, struct slice v) {
    if (*to)
        return read_fail(x, RECORD_VALUE);
    *to = buf_copy(&x->e->bufs, v);
    return *to ? READ_TAKEN : read_fail(x, RECORD_NO_ROOM);
}

static enum read_result leg_field(struct decoder *x, void *object, const struct tlv *t) {
    struct leg *l = object;
    switch (t->tag) {
    case LEG_TAG_PEER: return read_peer(x, t);
    case LEG_TAG_FLAGS: return read_flags(x, record_leg_flags, l, t);
    case LEG_TAG_FLOW: return read_addr(x, &l->dlg.flow, t);
    case LEG_TAG_LOCAL: return read_addr(x, &l->dlg.local, t);
    case LEG_TAG_TIMER: return read_timer(x, &l->timer, t);
    case LEG_TAG_CHALLENGE: return set_text(x, l, LEG_CHALLENGE, t->value);
    case LEG_TAG_MEDIA_FLOWS: return set_text(x, l, LEG_MEDIA_FLOWS, t->value);
    case LEG_TAG_SESSION_TIMER: return read_timer(x, &l->session_timer, t);
    case LEG_TAG_STREAM: return read_stream(x, l, t->value);
    case LEG_TAG_TRANSFER: return read_leg_transfer(x, l, t->value);
    case LEG_TAG_TOKEN: return read_token(x, l, t->value);
    case LEG_TAG_OPEN_OUT: return set_text(x, l, LEG_OPEN_OUT, t->value);
    case LEG_TAG_OPEN_IN: return set_text(x, l, LEG_OPEN_IN, t->value);
    case LEG_TAG_OK: return set_text(x, l, LEG_OPEN_OK, t->value);
    case LEG_TAG_REL_WAIT: return read_buf(x, &l->rel_wait, t->value);
    case LEG_TAG_REL_OK: return read_buf(x, &l->rel_ok, t->value);
    default: break;
    }
    for (unsigned i = 0; i < RECORD_LEG_TEXTS; i++)
        if (t->tag == LEG_TAG_TEXT(i))
            return set_text(x, l, record_leg_texts[i], t->value);
    return read_field(x, record_leg_fields, l, t);
}

static struct leg *make_leg(struct decoder *x, uint8_t number) {
    struct leg *l = leg_alloc(x->e);
    if (!l)
        return NULL;
    l->call = x->c->self;
    l->number = number;
    x->c->legs[x->c->leg_count++] = l->self;
    return l;
}

/* Its token names the call that it began in. */
static bool is_native(const struct engine *e, const struct leg *l) {
    struct token t;
    const struct call *c = call_get(e, l->call);
    return token_parse(leg_str(l, DLG_LOCAL_TAG), &t) && c && t.call == c->id;
}

/* The relay knows nothing of it. What the other one lacks because this one has it, it gets. */
static void hand_over(struct engine *e, struct leg *from, struct leg *to) {
    to->session_unsure = to->session_unsure || from->session_unsure;
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        struct leg_stream *s = from->media.streams[i], *t = to->media.streams[i];
        if (!s->open)
            continue;
        if (t->open && t->slot == PORT_POOL_NONE) {
            t->slot = s->slot;
            t->generation = s->generation;
        } else if (s->slot != PORT_POOL_NONE) {
            port_pool_release(&e->ports, s->slot, s->generation, e->now - e->ports.quarantine_us);
        }
        s->open = false;
    }
}

static void bury(struct engine *e, struct leg *l, const struct leg *living) {
    struct call *c = leg_call(e, l);
    leg_stop_ok(e, l);
    wheel_cancel(&e->wheel, &l->timer);
    wheel_cancel(&e->wheel, &l->session_timer);
    l->state = LEG_DEAD;
    l->elsewhere = true; /* its stubs are the other one's */
    if (c) {
        owner_over_moved(e, c, l, living->self);
        call_changed(e, c);
    }
}

static void name_instead(struct transfer *t, handle from, handle to) {
    for (unsigned p = 0; t && p < PARTY_COUNT; p++) {
        handle *party = record_party(t, (enum transfer_party)p);
        *party = *party == from ? to : *party;
    }
}

/* What has been read, and names the one that is left. */
static void follow(struct engine *e, const struct leg *from, const struct leg *to) {
    const struct call *c = leg_call(e, from);
    name_instead(c ? transfer_get(e, c->transfer) : NULL, from->self, to->self);
    name_instead(transfer_get(e, from->transfer), from->self, to->self);
}

/* What that one goes by with its party is not told by a record of before, once it goes on. */
static void leave_to(struct engine *e, struct leg *l, struct leg *living) {
    bool unsure = living->session_unsure, goes_on = !leg_call(e, living)->resuming;
    hand_over(e, l, living);
    living->session_unsure = goes_on ? unsure : living->session_unsure;
    bury(e, l, living);
}

/* A leg in two records: it was moved, and its owner died before the call that it left was written again. True: the one
 * that was left is dead. A look sees that of what it looks at, and leaves the other one alone. */
static bool is_settled(struct decoder *x, struct leg *l, struct leg *other) {
    bool here = other && is_native(x->e, l), there = other && is_native(x->e, other);
    if (other && l->moves != other->moves) {
        here = l->moves < other->moves;
        there = !here;
    }
    if (here == there || (x->peeks && there))
        return false;
    if (x->peeks) {
        l->state = LEG_DEAD;
        return true;
    }
    if (here) {
        leave_to(x->e, l, other);
        return true;
    }
    if (leg_call(x->e, other)->resuming)
        hand_over(x->e, other, l);
    else
        media_close(x->e, other);
    leg_unindex(x->e, other);
    follow(x->e, other, l);
    bury(x->e, other, l);
    return leg_index(x->e, l);
}

static bool finish_leg(struct decoder *x, struct leg *l) {
    struct slice call_id = leg_str(l, DLG_CALL_ID), tag = leg_str(l, DLG_LOCAL_TAG);
    if (!call_id.p || !tag.p || l->state == LEG_BYE_SENT)
        return read_fail(x, RECORD_VALUE) == READ_TAKEN;
    if (!leg_index(x->e, l)) {
        struct leg *other = leg_find_local(x->e, call_id, tag);
        if (!is_settled(x, l, other))
            return read_fail(x, other ? RECORD_EXISTS : RECORD_NO_ROOM) == READ_TAKEN;
    }
    dialog_seed_branch(&l->dlg, &x->e->ua);
    l->media.said_srtp = l->media.told_srtp = true; /* maybe */
    return true;
}

bool read_leg(struct decoder *x, struct slice in) {
    uint64_t number;
    if (!varint_get(&in, &number) || number > UINT8_MAX || read_leg_of_number(x, number) ||
        x->c->leg_count == LIMIT_LEGS_PER_CALL)
        return read_fail(x, RECORD_VALUE) == READ_TAKEN;
    struct leg *l = make_leg(x, (uint8_t)number);
    if (!l)
        return read_fail(x, RECORD_NO_ROOM) == READ_TAKEN;
    return read_object(x, in, (struct record_where){ IN_LEG, l->number, 0 }, leg_field, l) && finish_leg(x, l);
}
