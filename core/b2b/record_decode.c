/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/call.h"
#include "core/b2b/barrier.h"
#include "core/b2b/cdr.h"
#include "core/b2b/leg.h"
#include "core/b2b/media_ports.h"
#include "core/b2b/owner_over.h"
#include "core/b2b/party.h"
#include "core/b2b/record_pack.h"
#include "core/b2b/record_read.h"
#include "core/b2b/recover.h"
#include "core/base/check.h"

/* ---- what every object is read with ---- */

static bool keep(struct decoder *x, struct record_where w, const struct tlv *t) {
    sbuf_char(&x->kept, (char)w.place);
    sbuf_char(&x->kept, (char)w.leg);
    sbuf_char(&x->kept, (char)w.stream);
    sbuf_put(&x->kept, t->whole);
    return !x->kept.overflow || read_fail(x, RECORD_NO_ROOM) == READ_TAKEN;
}

bool read_object(struct decoder *x, struct slice in, struct record_where w, read_fn *fn, void *object) {
    struct tlv t;
    while (in.n) {
        if (!tlv_next(&in, &t)) {
            read_fail(x, RECORD_TRUNCATED);
            return false;
        }
        enum read_result r = fn(x, object, &t);
        if (r == READ_UNKNOWN && t.tag & TLV_CRITICAL)
            r = read_fail(x, RECORD_CRITICAL);
        if (r == READ_FAILED || (r == READ_UNKNOWN && !keep(x, w, &t)))
            return false;
    }
    return true;
}

enum read_result read_field(struct decoder *x, const struct record_field *f, void *object, const struct tlv *t) {
    uint64_t v;
    while (f->tag && f->tag != t->tag)
        f++;
    if (!f->tag)
        return READ_UNKNOWN;
    if (!tlv_u64(t, f->max, &v))
        return read_fail(x, RECORD_VALUE);
    record_field_set(x->e, f, object, v);
    return READ_TAKEN;
}

enum read_result read_flags(struct decoder *x, const uint16_t *flags, void *object, const struct tlv *t) {
    uint64_t v;
    if (!tlv_u64(t, UINT64_MAX, &v) || !record_flags_set(flags, object, v))
        return read_fail(x, RECORD_VALUE);
    return READ_TAKEN;
}

enum read_result read_timer(struct decoder *x, struct wheel_node *n, const struct tlv *t) {
    uint64_t v;
    if (!tlv_u64(t, RECORD_TIME_MAX, &v))
        return read_fail(x, RECORD_VALUE);
    wheel_set(&x->e->wheel, n, record_mono_us(x->e, v, KIND_DEADLINE));
    return READ_TAKEN;
}

bool read_call_name(struct slice in, uint64_t *bucket, uint64_t *id) {
    return varint_get(&in, bucket) && *bucket < LIMIT_BUCKETS && varint_get(&in, id) && in.n == 0;
}

struct leg *read_leg_of_number(const struct decoder *x, uint64_t number) {
    for (unsigned i = 0; i < x->c->leg_count; i++) {
        struct leg *l = leg_get(x->e, x->c->legs[i]);
        if (l->number == number)
            return l;
    }
    return NULL;
}

/* ---- the call ---- */

static enum read_result call_field(struct decoder *x, void *object, const struct tlv *t) {
    struct call *c = object;
    switch (t->tag) {
    case REC_MEDIA_ADDR:
        return record_addr_get(t->value, &x->media_addr) ? READ_TAKEN : read_fail(x, RECORD_VALUE);
    case REC_ATTEMPT: return tlv_u64(t, UINT64_MAX, &c->attempt) ? READ_TAKEN : read_fail(x, RECORD_VALUE);
    case REC_LEG: return read_leg(x, t->value) ? READ_TAKEN : READ_FAILED;
    case REC_TRANSFER: return read_transfer(x, t->value) ? READ_TAKEN : READ_FAILED;
    default: return read_field(x, record_call_fields, c, t);
    }
}

static bool keep_unknown(struct decoder *x) {
    if (!x->kept.n)
        return true;
    x->c->kept = buf_copy(&x->e->bufs, sbuf_slice(&x->kept));
    return x->c->kept || read_fail(x, RECORD_NO_ROOM) == READ_TAKEN;
}

/* ---- nothing is left behind ---- */

/* Without quarantine: no packet has come to these ports here, or its call comes back with them. */
static void drop_leg(struct engine *e, struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        const struct leg_stream *s = l->media.streams[i];
        if (s->open)
            port_pool_release(&e->ports, s->slot, s->generation, e->now - e->ports.quarantine_us);
    }
    media_streams_free(e, l);
    leg_stop_ok(e, l);
    leg_rel_stop(e, l);
    leg_early_free(e, l);
    wheel_cancel(&e->wheel, &l->timer);
    wheel_cancel(&e->wheel, &l->session_timer);
    buf_unref(&e->bufs, &l->ack);
    recover_unindex(e, l);
    if (leg_str(l, DLG_CALL_ID).p)
        leg_unindex(e, l);
    dialog_free(&l->dlg, &e->ua);
    party_forget_leg(e, l);
    pool_free(&e->legs, l->self);
}

void record_drop(struct engine *e, struct call *c) {
    struct transfer *t = transfer_get(e, c->transfer);
    barrier_forget(e, c);
    recover_miss(e, c);
    e->resuming -= c->resuming;
    for (unsigned i = 0; i < c->leg_count; i++)
        drop_leg(e, leg_get(e, c->legs[i]));
    if (t) {
        recover_leave(e, t);
        wheel_cancel(&e->wheel, &t->timer);
        strs_free(&t->s, &e->bufs);
        strs_free(&t->history.who, &e->bufs);
        party_forget_transfer(e, t);
        pool_free(&e->transfers, t->self);
    }
    cdr_call_free(e, c);
    call_free(e, c);
}

/* ---- */

static enum record_error read_header(struct slice *in, uint8_t *format) {
    const uint32_t magic = sizeof RECORD_MAGIC - 1;
    uint64_t n;
    if (in->n < magic && slice_has_prefix(slice_of(RECORD_MAGIC, magic), *in))
        return RECORD_TRUNCATED;
    if (!slice_has_prefix(*in, SL(RECORD_MAGIC)))
        return RECORD_NOT_OURS;
    if (in->n == magic)
        return RECORD_TRUNCATED;
    *format = (uint8_t)in->p[magic];
    if (*format < RECORD_FORMAT_FIRST || *format > RECORD_FORMAT)
        return RECORD_VERSION;
    *in = slice_of(in->p + magic + 1, in->n - magic - 1);
    if (!varint_get(in, &n) || n > in->n)
        return RECORD_TRUNCATED;
    return n < in->n ? RECORD_VALUE : RECORD_OK;
}

static bool read_call(struct decoder *x, struct slice in) {
    if (!read_object(x, in, (struct record_where){ IN_CALL, 0, 0 }, call_field, x->c))
        return false;
    if (!x->c->id)
        return read_fail(x, RECORD_VALUE) == READ_TAKEN;
    return take_other_ports(x) && keep_unknown(x) && record_link(x);
}

enum record_error record_fields(const struct engine *e, struct slice bytes, struct sbuf *mem, struct slice *fields) {
    uint8_t format;
    enum record_error r = read_header(&bytes, &format);
    if (r != RECORD_OK)
        return r;
    struct slice known = e->format.known[format].text;
    sbuf_put(mem, known);
    if (!pack_get(mem, bytes))
        return RECORD_VALUE;
    *fields = slice_of(mem->p + known.n, mem->n - known.n);
    return RECORD_OK;
}

static enum record_error decode(struct engine *e, struct slice bytes, bool peeks, struct call **out) {
    struct decoder x = { .e = e, .peeks = peeks };
    handle h;
    struct slice fields;
    struct sbuf plain = sbuf_on(e->ua.scratch, sizeof e->ua.scratch);
    enum record_error r = record_fields(e, bytes, &plain, &fields);
    if (r != RECORD_OK)
        return r;
    x.kept = sbuf_on(x.kept_mem, sizeof x.kept_mem);
    x.c = pool_alloc(&e->calls, &h);
    if (!x.c)
        return RECORD_NO_ROOM;
    x.c->self = h;
    if (!read_call(&x, fields)) {
        CHECK(x.error != RECORD_OK);
        record_drop(e, x.c);
        return x.error;
    }
    x.c->stored = x.c->version;
    *out = x.c;
    return RECORD_OK;
}

enum record_error record_decode(struct engine *e, struct slice bytes, struct call **out) {
    return decode(e, bytes, false, out);
}

enum record_error record_peek(struct engine *e, struct slice bytes, struct call **out) {
    return decode(e, bytes, true, out);
}

const char *record_error_text(enum record_error r) {
    static const char *const texts[] = {
#define X(name, text) text,
        RECORD_ERRORS(X)
#undef X
    };
    return texts[r];
}
