/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/record.h"

#include "core/b2b/anchor.h"
#include "core/b2b/owner.h"
#include "core/b2b/record_fields.h"
#include "core/b2b/record_pack.h"
#include "core/base/check.h"
#include "core/sip/token.h"

struct encoder {
    const struct engine *e;
    const struct call *c;
    struct sbuf *out;
};

static void put_fields(const struct encoder *x, const struct record_field *f, const void *object) {
    for (; f->tag; f++) {
        uint64_t v = record_field_get(x->e, f, object);
        if (v)
            tlv_put_u64(x->out, f->tag, v);
    }
}

static void put_flags(const struct encoder *x, uint32_t tag, const uint16_t *flags, const void *object) {
    uint64_t v = record_flags_get(flags, object);
    if (v)
        tlv_put_u64(x->out, tag, v);
}

static void put_timer(const struct encoder *x, uint32_t tag, const struct wheel_node *n) {
    if (wheel_is_set(n))
        tlv_put_u64(x->out, tag, record_wall_ms(x->e, n->deadline_us));
}

/* What was unknown when this object was read. */
static void put_kept(const struct encoder *x, struct record_where w) {
    struct slice in = buf_slice(x->c->kept);
    struct tlv t;
    while (in.n > 3) {
        struct record_where at = { (uint8_t)in.p[0], (uint8_t)in.p[1], (uint8_t)in.p[2] };
        in = slice_of(in.p + 3, in.n - 3);
        bool whole = tlv_next(&in, &t);
        CHECK(whole);
        if (at.place == w.place && at.leg == w.leg && at.stream == w.stream)
            sbuf_put(x->out, t.whole);
    }
}

/* ---- legs ---- */

static bool put_token(const struct encoder *x, const struct leg *l, struct slice tag) {
    struct token t;
    char mem[TOKEN_LEN];
    struct sbuf again = sbuf_on(mem, sizeof mem);
    if (tag.n != TOKEN_LEN || !token_parse(tag, &t))
        return false;
    if (t.call != x->c->id || t.bucket != x->c->bucket || t.leg != (l->number & 15))
        return false;
    token_put(&again, &t);
    if (!slice_eq(sbuf_slice(&again), tag))
        return false;
    uint32_t from = tlv_open(x->out, LEG_TAG_TOKEN);
    sbuf_char(x->out, (char)t.cluster);
    varint_put(x->out, t.random);
    tlv_close(x->out, from);
    return true;
}

static void put_leg_texts(const struct encoder *x, const struct leg *l) {
    for (unsigned i = 0; i < RECORD_LEG_TEXTS; i++) {
        struct slice text = leg_str(l, record_leg_texts[i]);
        if (text.p && !(record_leg_texts[i] == DLG_LOCAL_TAG && put_token(x, l, text)))
            tlv_put(x->out, LEG_TAG_TEXT(i), text);
    }
}

static void put_roc(struct sbuf *out, uint32_t tag, const struct srtp_roc *r) {
    if (!r->roc)
        return;
    uint32_t from = tlv_open(out, tag);
    varint_put(out, r->ssrc);
    varint_put(out, r->roc);
    tlv_close(out, from);
}

static void put_streams(const struct encoder *x, const struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        const struct leg_stream *s = l->media.streams[i];
        struct addr next = s->rtp;
        next.port++;
        if (!s->open)
            continue;
        uint32_t from = tlv_open(x->out, LEG_TAG_STREAM);
        varint_put(x->out, i);
        tlv_put_u64(x->out, STREAM_TAG_PORT, port_pool_rtp_port(&x->e->ports, s->slot));
        record_addr_put(x->out, STREAM_TAG_RTP, &s->rtp);
        if (anchor_of_slot(x->e, s->slot))
            record_addr_put(x->out, STREAM_TAG_ADDR, anchor_addr(x->e, anchor_of_slot(x->e, s->slot)));
        if (!addr_eq(&next, &s->rtcp))
            record_addr_put(x->out, STREAM_TAG_RTCP, &s->rtcp);
        put_roc(x->out, STREAM_TAG_IN_ROC, &s->in_roc);
        put_roc(x->out, STREAM_TAG_OUT_ROC, &s->out_roc);
        put_kept(x, (struct record_where){ IN_STREAM, l->number, (uint8_t)i });
        tlv_close(x->out, from);
    }
}

static void put_leg_transfer(const struct encoder *x, const struct leg *l) {
    const struct transfer *t = transfer_get(x->e, l->transfer);
    const struct call *c = t ? call_get(x->e, t->call) : NULL;
    struct slice at = leg_str(l, LEG_TRANSFER_AT);
    if (l->transfer_role == TR_NONE || (!c && !at.p))
        return;
    uint32_t from = tlv_open(x->out, LEG_TAG_TRANSFER);
    varint_put(x->out, l->transfer_role);
    if (!c)
        sbuf_put(x->out, at);
    else if (c != x->c)
        record_name_call(x->out, c);
    tlv_close(x->out, from);
}

/* ---- what is in flight ---- */

struct open {
    struct slice bytes, kept; /* kept: as it was read, and nothing has been done with it yet */
    const struct addr *addr;
    uint64_t state;
};

static void put_open(const struct encoder *x, uint32_t tag, const struct open *o) {
    if (!o->bytes.p && !o->kept.p)
        return;
    uint32_t from = tlv_open(x->out, tag);
    if (o->kept.p) {
        sbuf_put(x->out, o->kept);
    } else {
        tlv_put(x->out, OPEN_TAG_BYTES, o->bytes);
        record_addr_put(x->out, OPEN_TAG_ADDR, o->addr);
        if (o->state)
            tlv_put_u64(x->out, OPEN_TAG_STATE, o->state);
    }
    tlv_close(x->out, from);
}

/* The next owner goes on with it: only where one may be wanted. */
static void put_in_flight(const struct encoder *x, const struct leg *l) {
    const struct txn *out = txn_get(&x->e->txns, l->invite_out), *in = txn_get(&x->e->txns, l->invite_in);
    if (x->e->cfg.durability == DURABILITY_OFF)
        return;
    struct open o = { .kept = leg_str(l, LEG_OPEN_OUT) };
    if (out)
        o = (struct open){ txn_request_of(out), SLICE_NONE, &out->dst, out->status > 0 };
    put_open(x, LEG_TAG_OPEN_OUT, &o);
    struct addr src = in ? txn_src(in) : (struct addr){ .family = ADDR_NONE };
    o = (struct open){ .kept = leg_str(l, LEG_OPEN_IN) };
    if (in)
        o = (struct open){ txn_request_of(in), SLICE_NONE, &src, 0 };
    put_open(x, LEG_TAG_OPEN_IN, &o);
    o = (struct open){ .kept = leg_str(l, LEG_OPEN_OK) };
    if (l->ok)
        o = (struct open){ buf_slice(l->ok), SLICE_NONE, &l->repeat->dst, 0 };
    put_open(x, LEG_TAG_OK, &o);
    if (l->rel_wait)
        tlv_put(x->out, LEG_TAG_REL_WAIT, buf_slice(l->rel_wait));
    if (l->rel_ok)
        tlv_put(x->out, LEG_TAG_REL_OK, buf_slice(l->rel_ok));
}

/* One whose BYE is out ends again. */
static void put_state(const struct encoder *x, const struct leg *l) {
    struct leg ends;
    if (l->state != LEG_BYE_SENT) {
        put_fields(x, record_leg_fields, l);
        return;
    }
    memcpy(&ends, l, sizeof ends);
    ends.state = LEG_ENDING;
    put_fields(x, record_leg_fields, &ends);
}

static void put_leg(const struct encoder *x, const struct leg *l) {
    const struct leg *peer = leg_get(x->e, l->peer);
    uint32_t from = tlv_open(x->out, REC_LEG);
    varint_put(x->out, l->number);
    put_state(x, l);
    put_flags(x, LEG_TAG_FLAGS, record_leg_flags, l);
    if (record_has(peer) && peer->call == l->call)
        tlv_put_u64(x->out, LEG_TAG_PEER, peer->number + 1u);
    record_addr_put(x->out, LEG_TAG_FLOW, &l->dlg.flow);
    record_addr_put(x->out, LEG_TAG_LOCAL, &l->dlg.local);
    put_timer(x, LEG_TAG_TIMER, &l->timer);
    put_timer(x, LEG_TAG_SESSION_TIMER, &l->session_timer);
    if (leg_str(l, LEG_CHALLENGE).p)
        tlv_put(x->out, LEG_TAG_CHALLENGE, leg_str(l, LEG_CHALLENGE));
    if (leg_str(l, LEG_MEDIA_FLOWS).p)
        tlv_put(x->out, LEG_TAG_MEDIA_FLOWS, leg_str(l, LEG_MEDIA_FLOWS));
    put_leg_transfer(x, l);
    put_leg_texts(x, l);
    put_streams(x, l);
    put_in_flight(x, l);
    put_kept(x, (struct record_where){ IN_LEG, l->number, 0 });
    tlv_close(x->out, from);
}

/* ---- transfer ---- */

static void put_party(const struct encoder *x, struct transfer *t, enum transfer_party p) {
    const struct leg *l = leg_get(x->e, *record_party(t, p));
    struct slice at = strs_get(&t->s, TRF_AT + p);
    if (!record_has(l) && !at.p)
        return;
    uint32_t from = tlv_open(x->out, TRF_TAG_PARTY(p));
    if (record_has(l) && l->call == x->c->self) {
        varint_put(x->out, l->number + 1u);
    } else {
        varint_put(x->out, 0);
        if (record_has(l))
            record_name_leg(x->out, l);
        else
            sbuf_put(x->out, at);
    }
    tlv_close(x->out, from);
}

static void put_consult_call(const struct encoder *x, const struct transfer *t) {
    const struct call *c = call_get(x->e, t->consult_call);
    struct slice at = strs_get(&t->s, TRF_CALL_AT);
    if (!c && !at.p)
        return;
    uint32_t from = tlv_open(x->out, TRF_TAG_CONSULT_CALL);
    if (c && c != x->c) {
        varint_put(x->out, c->bucket);
        varint_put(x->out, c->id);
    } else if (!c) {
        sbuf_put(x->out, at);
    }
    tlv_close(x->out, from);
}

static void put_open_refer(const struct encoder *x, const struct transfer *t) {
    const struct txn *out = txn_get(&x->e->txns, t->relay_txn);
    struct open o = { .kept = strs_get(&t->s, TRF_OPEN_REFER) };
    if (out)
        o = (struct open){ txn_request_of(out), SLICE_NONE, &out->dst, 0 };
    put_open(x, TRF_TAG_OPEN_REFER, &o);
}

/* What the next owner would miss. */
static void put_care(const struct encoder *x, const struct transfer *t) {
    const struct leg *l = t->subscriber != t->transferor ? leg_get(x->e, t->subscriber) : NULL;
    struct slice by = strs_get(&t->s, TRF_BY), recall = strs_get(&t->s, TRF_RECALL);
    if (record_has(l) && l->call == x->c->self)
        tlv_put_u64(x->out, TRF_TAG_SUBSCRIBER, l->number + 1u);
    if (by.p)
        tlv_put(x->out, TRF_TAG_BY, by);
    if (recall.p)
        tlv_put(x->out, TRF_TAG_RECALL, recall);
    put_open_refer(x, t);
}

static void put_transfer(const struct encoder *x, struct transfer *t) {
    uint32_t from = tlv_open(x->out, REC_TRANSFER);
    put_fields(x, record_transfer_fields, t);
    put_flags(x, TRF_TAG_FLAGS, record_transfer_flags, t);
    if (!t->resuming)
        put_timer(x, TRF_TAG_TIMER, &t->timer);
    else if (t->deadline_us)
        tlv_put_u64(x->out, TRF_TAG_TIMER, record_wall_ms(x->e, t->deadline_us));
    for (unsigned p = 0; p < PARTY_COUNT; p++)
        put_party(x, t, (enum transfer_party)p);
    put_consult_call(x, t);
    for (unsigned i = 0; i < RECORD_TRANSFER_TEXTS; i++) {
        struct slice text = strs_get(&t->s, record_transfer_texts[i]);
        if (text.p)
            tlv_put(x->out, TRF_TAG_TEXT(i), text);
    }
    if (x->e->cfg.durability != DURABILITY_OFF)
        put_care(x, t);
    put_kept(x, (struct record_where){ IN_TRANSFER, 0, 0 });
    tlv_close(x->out, from);
}

/* Its BYE may be lost with us. */
static bool ends(const struct engine *e, const struct leg *l) {
    return l->state == LEG_BYE_SENT && e->cfg.durability != DURABILITY_OFF;
}

static void put_call(const struct encoder *x) {
    struct transfer *t = transfer_get(x->e, x->c->transfer);
    put_fields(x, record_call_fields, x->c);
    if (x->c->resuming && owner_epoch(x->e, x->c->bucket))
        tlv_put_u64(x->out, REC_ATTEMPT, owner_epoch(x->e, x->c->bucket));
    record_addr_put(x->out, REC_MEDIA_ADDR, &x->e->cfg.media_addr);
    for (unsigned i = 0; i < x->c->leg_count; i++) {
        const struct leg *l = leg_get(x->e, x->c->legs[i]);
        CHECK(l);
        if (record_has(l) || ends(x->e, l))
            put_leg(x, l);
    }
    if (t)
        put_transfer(x, t);
    put_kept(x, (struct record_where){ IN_CALL, 0, 0 });
}

bool record_encode(struct engine *e, const struct call *c, struct sbuf *out) {
    struct sbuf plain = sbuf_on(e->ua.scratch, sizeof e->ua.scratch < PACK_MAX ? sizeof e->ua.scratch : PACK_MAX);
    const struct pack_known *known = &e->format.known[e->format.now];
    sbuf_put(&plain, known->text);
    put_call(&(struct encoder){ .e = e, .c = c, .out = &plain });
    if (plain.overflow)
        return false;
    sbuf_lit(out, RECORD_MAGIC);
    uint32_t from = tlv_open(out, e->format.now);
    pack_put(out, sbuf_slice(&plain), known);
    tlv_close(out, from);
    return !out->overflow;
}
