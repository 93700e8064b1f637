/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/cdr.h"

#include "core/b2b/cdr_media.h"
#include "core/b2b/failure.h"
#include "core/base/json.h"
#include "parser/sip_hdr.h"
#include "rtp/relay.h"

/* Bytes of the wire that one member takes at most. */
#define TEXT_BYTES 128
#define URI_BYTES 256
#define LEGS_BYTES 6000
#define LEG_BYTES 3000

enum cdr_field { CDR_CALLER, CDR_CALLEE, CDR_LEGS };
struct call_texts {
    struct strs s; /* enum cdr_field */
    char reason[CALL_REASON_MAX];
};

/* ---- small things */

/* The wall clock of a moment of the monotonic one. */
static uint64_t wall_of(const struct engine *e, uint64_t us) {
    return e->wall_ms - (e->now - us) / 1000;
}

static void put_time(struct sbuf *b, const char *name, uint64_t ms) {
    json_name(b, name);
    if (ms)
        sbuf_u64(b, ms);
    else
        sbuf_lit(b, "null");
}

static void put_when(const struct engine *e, struct sbuf *b, const char *name, uint64_t us) {
    put_time(b, name, us ? wall_of(e, us) : 0);
}

static void put_call_number(struct sbuf *b, const char *name, uint64_t id) {
    json_name(b, name);
    if (!id) {
        sbuf_lit(b, "null");
        return;
    }
    sbuf_char(b, '"');
    sbuf_hex(b, id, 16);
    sbuf_char(b, '"');
}

static void put_string(struct sbuf *b, const char *name, const char *value) {
    json_member(b, name, slice_str(value), TEXT_BYTES);
}

/* The address of a name-addr header value, without display name and parameters. */
static struct slice uri_of(struct slice name_addr) {
    int32_t from = slice_find(name_addr, '<');
    if (from < 0)
        return name_addr;
    struct slice uri = slice_of(name_addr.p + from + 1, name_addr.n - (uint32_t)from - 1);
    int32_t to = slice_find(uri, '>');
    return to < 0 ? uri : slice_of(uri.p, (uint32_t)to);
}

static void put_who(struct sbuf *b, const char *name, struct slice uri, struct slice principal) {
    json_name(b, name);
    if (!uri.p) {
        sbuf_lit(b, "null");
        return;
    }
    sbuf_char(b, '{');
    json_member(b, "uri", uri, URI_BYTES);
    json_member(b, "as", principal, TEXT_BYTES);
    sbuf_char(b, '}');
}

static void write_out(struct engine *e, struct sbuf *b) {
    sbuf_lit(b, "}\n");
    struct buf *line = b->overflow ? NULL : buf_copy(&e->bufs, sbuf_slice(b));
    struct out *o = line ? outbox_add(e->out, OUT_CDR) : NULL;
    if (!o) {
        buf_unref(&e->bufs, &line);
        metrics_add(&e->metrics, M_cdr_lost, 1);
        return;
    }
    o->u.cdr.buf = line;
    metrics_add(&e->metrics, M_cdr_lines, 1);
}

/* ---- a call */

static const char *role_name(unsigned role) {
    static const char *const names[] = { "caller", "callee", "target" };
    return role < sizeof names / sizeof *names ? names[role] : "?";
}

static enum call_end_kind end_of(const struct engine *e, const struct leg *l, const struct leg_event *ev) {
    const struct leg *caller = leg_get(e, l->peer);
    bool talks = leg_peer(e, l) || l->echo;
    switch (ev->kind) {
    case LEG_EV_BYE: return talks ? CALL_END_BYE : CALL_END_LOCAL;
    case LEG_EV_GONE: return talks ? CALL_END_LOST : CALL_END_LOCAL;
    case LEG_EV_CANCELLED: return CALL_END_CANCEL;
    case LEG_EV_REFUSED:
        if (l->role != ROLE_CALLEE || !caller || caller->state != LEG_INCOMING)
            return CALL_END_LOCAL;
        return ev->msg ? CALL_END_REFUSED : CALL_END_LOST;
    default: return CALL_END_LOCAL;
    }
}

/* NULL: no buffer. */
static struct call_texts *texts_of(struct engine *e, struct call_history *h) {
    if (!h->texts && (h->texts = buf_get(&e->bufs, sizeof(struct call_texts))))
        memset(h->texts->data, 0, sizeof(struct call_texts));
    return h->texts ? (struct call_texts *)(void *)h->texts->data : NULL;
}

void cdr_call_free(struct engine *e, struct call *c) {
    struct call_texts *t = c->history.texts ? texts_of(e, &c->history) : NULL;
    if (t)
        strs_free(&t->s, &e->bufs);
    buf_unref(&e->bufs, &c->history.texts);
}

void cdr_note_event(struct engine *e, const struct leg *l, const struct leg_event *ev) {
    struct call *c = leg_call(e, l);
    enum call_end_kind end = e->cfg.cdr && c ? end_of(e, l, ev) : CALL_END_LOCAL;
    if (end == CALL_END_LOCAL)
        return;
    struct call_history *h = &c->history;
    struct slice reason = ev->msg ? sip_hdr_value(ev->msg, SIP_H_REASON) : SLICE_NONE;
    h->end = (uint8_t)end;
    h->end_role = l->role;
    struct call_texts *t = reason.n ? texts_of(e, h) : NULL;
    h->reason_n = (uint8_t)(!t ? 0 : reason.n < CALL_REASON_MAX ? reason.n : CALL_REASON_MAX);
    if (t)
        memcpy(t->reason, reason.p, h->reason_n);
}

static void put_leg(const struct engine *e, struct sbuf *b, const struct leg *l, const struct call *to) {
    sbuf_char(b, '{');
    json_member_u64(b, "leg", l->number);
    put_string(b, "role", role_name(l->role));
    json_member(b, "call_id", leg_str(l, DLG_CALL_ID), TEXT_BYTES);
    json_member(b, "uri", uri_of(leg_str(l, DLG_REMOTE_URI)), TEXT_BYTES);
    json_member(b, "as", leg_str(l, LEG_PRINCIPAL), TEXT_BYTES);
    json_member(b, "agent", leg_str(l, LEG_AGENT), TEXT_BYTES / 2);
    put_when(e, b, "start", l->created_us);
    put_when(e, b, "answer", l->answered_us);
    put_when(e, b, "end", to ? e->now : l->ended_us);
    json_member_u64(b, "status", l->final_status);
    cdr_put_media(e, b, l);
    if (to)
        put_call_number(b, "moved_to", to->id);
    sbuf_char(b, '}');
}

void cdr_leg(struct engine *e, struct call *c, const struct leg *l, const struct call *to) {
    char mem[LEGS_BYTES + LEG_BYTES];
    struct call_history *h = &c->history;
    if (!e->cfg.cdr)
        return;
    struct call_texts *t = texts_of(e, h);
    if (!t) {
        h->legs_cut = true;
        return;
    }
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct slice before = strs_get(&t->s, CDR_LEGS);
    if (before.n) {
        sbuf_put(&b, before);
        sbuf_char(&b, ',');
    }
    put_leg(e, &b, l, to);
    if (b.overflow || b.n > LEGS_BYTES || !strs_set(&t->s, &e->bufs, CDR_LEGS, sbuf_slice(&b)))
        h->legs_cut = true;
    bool in = l->role == ROLE_CALLER;
    if (in)
        h->status = l->final_status;
    if (strs_get(&t->s, CDR_CALLER).p || l->role == ROLE_TARGET)
        return;
    strs_set(&t->s, &e->bufs, CDR_CALLER, uri_of(leg_str(l, in ? DLG_REMOTE_URI : DLG_LOCAL_URI)));
    strs_set(&t->s, &e->bufs, CDR_CALLEE, uri_of(leg_str(l, in ? DLG_LOCAL_URI : DLG_REMOTE_URI)));
}

void cdr_note_legs(struct engine *e, struct call *c) {
    bool live = false;
    for (unsigned i = 0; i < c->leg_count && !live; i++)
        live = leg_is_live(leg_get(e, c->legs[i]));
    if (live)
        c->history.ended_ms = 0;
    else if (!c->history.ended_ms)
        c->history.ended_ms = e->wall_ms;
}

static void put_end(struct sbuf *b, const struct call_history *h, const char *reason) {
    static const char *const causes[] = { "local", "bye", "cancel", "lost", "refused", "drain", "media" };
    bool ours = h->end == CALL_END_LOCAL || h->end == CALL_END_DRAIN;
    json_member_u64(b, "status", h->status);
    put_string(b, "ended_by", ours ? "us" : role_name(h->end_role));
    put_string(b, "cause", causes[h->end]);
    json_member(b, "reason", h->reason_n ? slice_of(reason, h->reason_n) : SLICE_NONE, CALL_REASON_MAX);
}

void cdr_call(struct engine *e, struct call *c) {
    char mem[CDR_LINE_MAX];
    static const struct call_texts nothing;
    struct call_history *h = &c->history;
    const struct call_texts *t = h->texts ? texts_of(e, h) : &nothing;
    if (!e->cfg.cdr)
        return;
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_lit(&b, "{\"type\":\"call\"");
    put_call_number(&b, "call", c->id);
    json_member_u64(&b, "bucket", c->bucket);
    put_time(&b, "start", c->created_ms);
    put_time(&b, "answer", c->answered_ms);
    put_time(&b, "end", h->ended_ms ? h->ended_ms : e->wall_ms);
    json_member(&b, "caller", strs_get(&t->s, CDR_CALLER), URI_BYTES);
    json_member(&b, "callee", strs_get(&t->s, CDR_CALLEE), URI_BYTES);
    put_end(&b, h, t->reason);
    json_member_u64(&b, "transfers", c->depth);
    json_name(&b, "legs");
    sbuf_char(&b, '[');
    sbuf_put(&b, strs_get(&t->s, CDR_LEGS));
    sbuf_char(&b, ']');
    if (h->legs_cut)
        json_member_bool(&b, "legs_cut", true);
    cdr_call_free(e, c);
    write_out(e, &b);
}

/* ---- a transfer */

enum cdr_party {
    WHO_TRANSFEROR,
    WHO_TRANSFEREE,
    WHO_TARGET,
    WHO_COUNT,
    WHO_PRINCIPAL = WHO_COUNT, /* of the same, WHO_COUNT further on */
};

void cdr_step(struct engine *e, struct transfer *t, enum cdr_step step) {
    if (!t->history.at_us[step])
        t->history.at_us[step] = e->now;
}

void cdr_party(struct engine *e, struct transfer *t, const struct leg *l, enum transfer_role role) {
    static const uint8_t of_role[] = {
        [TR_TRANSFEROR] = WHO_TRANSFEROR, [TR_TRANSFEREE] = WHO_TRANSFEREE, [TR_TARGET] = WHO_TARGET
    };
    struct transfer_history *h = &t->history;
    const struct call *c = leg_call(e, l);
    if (role == TR_CONSULT)
        h->consult_id = c ? c->id : 0;
    if (!e->cfg.cdr || (role != TR_TRANSFEROR && role != TR_TRANSFEREE && role != TR_TARGET))
        return;
    strs_set(&h->who, &e->bufs, of_role[role], uri_of(leg_str(l, DLG_REMOTE_URI)));
    strs_set(&h->who, &e->bufs, of_role[role] + (unsigned)WHO_PRINCIPAL, leg_str(l, LEG_PRINCIPAL));
}

void cdr_taken_over(struct engine *e, struct transfer *t) {
    const struct call *c = call_get(e, t->call);
    /* Not by what the leg says: it may be the party of another transfer by now, or of none any more. */
    const struct {
        handle leg;
        enum transfer_role role;
    } parties[] = { { t->transferor, TR_TRANSFEROR },
                    { t->transferee, TR_TRANSFEREE },
                    { t->target, TR_TARGET },
                    { t->consult, TR_CONSULT } };
    t->history.call_id = c ? c->id : 0;
    t->history.result = t->result; /* when that was is not known here */
    for (unsigned i = 0; i < sizeof parties / sizeof *parties; i++) {
        const struct leg *l = leg_get(e, parties[i].leg);
        if (l)
            cdr_party(e, t, l, parties[i].role);
    }
}

void cdr_state(struct engine *e, struct transfer *t, enum transfer_state to) {
    switch (to) {
    case TRANSFER_TARGET: cdr_step(e, t, STEP_TARGET_OFFER); break;
    case TRANSFER_JOIN:
        cdr_step(e, t, STEP_TARGET_OFFER);
        t->history.reinvites++;
        break;
    case TRANSFER_TRANSFEREE:
        cdr_step(e, t, STEP_TRANSFEREE_OFFER);
        t->history.reinvites++;
        break;
    case TRANSFER_RESTORE_TARGET:
    case TRANSFER_RESTORE_TRANSFEREE: t->history.reinvites++; break;
    default: break;
    }
}

void cdr_event(struct engine *e, struct transfer *t, enum transfer_event ev) {
    bool target = t->state == TRANSFER_TARGET || t->state == TRANSFER_JOIN;
    bool told = t->state == TRANSFER_NOTIFYING || t->history.result;
    if (ev == TRANSFER_EV_PROGRESS && target)
        cdr_step(e, t, STEP_RINGING);
    else if (ev == TRANSFER_EV_TARGET_YES && target)
        cdr_step(e, t, STEP_TARGET_OK);
    else if (ev == TRANSFER_EV_TRANSFEREE_YES && t->state == TRANSFER_TRANSFEREE)
        cdr_step(e, t, STEP_TRANSFEREE_OK);
    else if (ev == TRANSFER_EV_NOTIFIED && told)
        cdr_step(e, t, STEP_NOTIFIED);
}

void cdr_result(struct engine *e, struct transfer *t, uint16_t status) {
    cdr_step(e, t, STEP_RESULT);
    t->history.result = status;
    if (status >= 300)
        failure_note(e, t, status);
}

/* All zero where there is no stream. */
static struct relay_counters counters_of(const struct engine *e, handle leg) {
    const struct leg *l = leg_get(e, leg);
    if (!e->relay || !l || !l->media.streams[0]->open || l->media.streams[0]->slot >= e->relay->count)
        return (struct relay_counters){ 0 };
    return relay_counters(e->relay, l->media.streams[0]->slot);
}

void cdr_commit(struct engine *e, struct transfer *t) {
    cdr_step(e, t, STEP_COMMIT);
    t->history.heard_us = counters_of(e, t->transferee).last_out_us;
}

/* What the transferee did not hear between its last packet of before and the target's first. */
static void put_gap(const struct engine *e, struct sbuf *b, const struct transfer *t) {
    struct relay_counters k = counters_of(e, t->transferee);
    uint64_t before = t->history.at_us[STEP_COMMIT] ? t->history.heard_us : 0;
    json_name(b, "gap_ms");
    if (before && k.first_out_us > before)
        sbuf_u64(b, (k.first_out_us - before) / 1000);
    else if (before && k.last_out_us > before)
        sbuf_u64(b, k.gap_us / 1000);
    else
        sbuf_lit(b, "null");
}

static void put_steps(const struct engine *e, struct sbuf *b, const struct transfer_history *h) {
    static const char *const names[STEP_COUNT] = { "accepted",      "target_offer", "ringing", "target_ok",
                                                   "transferee_offer", "transferee_ok", "commit",  "result",
                                                   "notified",      "done" };
    json_name(b, "steps");
    sbuf_char(b, '{');
    for (unsigned i = 0; i < STEP_COUNT; i++)
        if (h->at_us[i])
            put_when(e, b, names[i], h->at_us[i]);
    sbuf_char(b, '}');
}

const char *cdr_mode_name(unsigned mode) {
    static const char *const names[] = {
        [MODE_BLIND] = "blind",     [MODE_REPLACE] = "replace", [MODE_JOIN] = "join",   [MODE_SEMI] = "semi",
        [MODE_FOREIGN] = "foreign", [MODE_ECHO] = "echo",       [MODE_RELAY] = "relay", [MODE_TAKEOVER] = "takeover",
    };
    return mode < sizeof names / sizeof *names && names[mode] ? names[mode] : "?";
}

static void put_party(struct sbuf *b, const char *name, const struct transfer *t, unsigned who) {
    put_who(b, name, strs_get(&t->history.who, who), strs_get(&t->history.who, who + (unsigned)WHO_PRINCIPAL));
}

void cdr_transfer(struct engine *e, struct transfer *t) {
    char mem[CDR_LINE_MAX];
    struct transfer_history *h = &t->history;
    const struct call *c = call_get(e, t->call);
    cdr_step(e, t, STEP_DONE);
    failure_finish(e, t);
    if (!e->cfg.cdr)
        return;
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_lit(&b, "{\"type\":\"transfer\"");
    put_call_number(&b, "call", h->call_id);
    put_call_number(&b, "consult_call", h->consult_id);
    json_member_u64(&b, "refer", t->refer_cseq);
    put_string(&b, "mode", cdr_mode_name(t->mode));
    put_party(&b, "transferor", t, WHO_TRANSFEROR);
    put_party(&b, "transferee", t, WHO_TRANSFEREE);
    put_party(&b, "target", t, WHO_TARGET);
    json_member(&b, "refer_to", strs_get(&t->s, TRF_REFER_TO), URI_BYTES);
    json_member(&b, "referred_by", strs_get(&t->s, TRF_REFERRED_BY), TEXT_BYTES);
    put_when(e, &b, "start", t->started_us);
    put_steps(e, &b, h);
    json_name(&b, "result");
    if (h->result)
        sbuf_u64(&b, h->result);
    else
        sbuf_lit(&b, "null");
    json_member_u64(&b, "reinvites", h->reinvites);
    put_gap(e, &b, t);
    json_member_u64(&b, "depth", c ? c->depth : 0);
    write_out(e, &b);
}

void cdr_transfer_free(struct engine *e, struct transfer *t) {
    strs_free(&t->history.who, &e->bufs);
}

/* ---- what was refused */

static bool refusals_full(struct engine *e) {
    uint64_t second = e->now / 1000000;
    if (second != e->cdr_second)
        e->cdr_refusals = 0;
    e->cdr_second = second;
    return e->cdr_refusals++ >= CDR_REFUSALS_A_SECOND;
}

bool cdr_refused(struct engine *e, const struct cdr_refusal *r) {
    char mem[CDR_LINE_MAX];
    const struct call *c = r->leg ? leg_call(e, r->leg) : NULL;
    bool full = refusals_full(e);
    if (full && e->cfg.cdr)
        metrics_add(&e->metrics, M_cdr_lost, 1);
    if (full || !e->cfg.cdr)
        return !full;
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sbuf_lit(&b, "{\"type\":\"refused\"");
    put_string(&b, "what", r->what);
    put_call_number(&b, "call", c ? c->id : 0);
    put_time(&b, "at", e->wall_ms);
    if (r->leg)
        put_who(&b, "by", uri_of(leg_str(r->leg, DLG_REMOTE_URI)), leg_str(r->leg, LEG_PRINCIPAL));
    else
        put_who(&b, "by", r->msg->from.uri.whole, r->principal);
    json_member(&b, "refer_to", sip_hdr_value(r->msg, SIP_H_REFER_TO), URI_BYTES);
    json_member(&b, "replaces", sip_hdr_value(r->msg, SIP_H_REPLACES), URI_BYTES);
    json_member_u64(&b, "status", r->status);
    json_member(&b, "reason", r->reason, TEXT_BYTES);
    write_out(e, &b);
    return true;
}
