/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/admin.h"

#include "core/b2b/anchor.h"
#include "core/b2b/cdr.h"
#include "core/b2b/cdr_media.h"
#include "core/b2b/failure.h"
#include "core/b2b/leg.h"
#include "core/b2b/media_srtp.h"
#include "core/b2b/registrar.h"
#include "core/b2b/transfer.h"
#include "rtp/relay.h"

/* One answer is put together in pieces of this size, so that a step's output stays bounded. */
#define ADMIN_PIECE 15000

struct answer {
    struct engine *e;
    uint64_t conn;
    struct sbuf b;
};

static void flush(struct answer *a, bool last) {
    struct out *o = outbox_add(a->e->out, OUT_ADMIN);
    if (!o)
        return;
    o->u.admin.conn = a->conn;
    o->u.admin.buf = buf_copy(&a->e->bufs, slice_of(a->b.p, a->b.n));
    o->u.admin.last = last;
    a->b.n = 0;
    a->b.overflow = false;
}

static void end_line(struct answer *a) {
    sbuf_char(&a->b, '\n');
    if (a->b.n > ADMIN_PIECE - 1000 && a->e->out->n < OUTBOX_MAX - 8)
        flush(a, false);
}

static void put_leg_name(struct sbuf *b, const struct leg *l) {
    struct slice uri = leg_str(l, DLG_REMOTE_URI);
    int32_t at = slice_find(uri, '<');
    sbuf_escaped(b, at >= 0 ? slice_of(uri.p + at, uri.n - (uint32_t)at) : uri, 80);
}

static void put_call_line(struct answer *a, const struct call *c) {
    const struct transfer *t = transfer_get(a->e, c->transfer);
    sbuf_hex(&a->b, c->id, 16);
    sbuf_str(&a->b, t ? " transfer " : c->answered ? " up " : " setup ");
    sbuf_u64(&a->b, (a->e->wall_ms - c->created_ms) / 1000);
    sbuf_lit(&a->b, "s");
    for (unsigned i = 0; i < c->leg_count; i++) {
        const struct leg *l = leg_get(a->e, c->legs[i]);
        sbuf_lit(&a->b, " ");
        put_leg_name(&a->b, l);
    }
    end_line(a);
}

static void list_calls(struct answer *a) {
    uint32_t cursor = 0;
    handle h;
    for (const struct call *c; (c = pool_next(&a->e->calls, &cursor, &h));)
        put_call_line(a, c);
}

static void put_quality(struct answer *a, uint32_t slot) {
    struct relay_stats s;
    if (!relay_stats(a->e->relay, slot, &s) || !s.mos)
        return;
    sbuf_lit(&a->b, " lost ");
    sbuf_u64(&a->b, s.rtp_lost > 0 ? (uint64_t)s.rtp_lost : 0);
    sbuf_lit(&a->b, " jitter_ms ");
    sbuf_u64(&a->b, s.jitter_us / 1000);
    if (s.rtt_us) {
        sbuf_lit(&a->b, " rtt_ms ");
        sbuf_u64(&a->b, s.rtt_us / 1000);
    }
    sbuf_lit(&a->b, " mos ");
    cdr_put_mos(&a->b, s.mos);
}

static void put_stream(struct answer *a, const struct leg_stream *s) {
    const struct relay_stream *r = a->e->relay && s->slot < a->e->relay->count ? &a->e->relay->streams[s->slot] : NULL;
    struct addr at = *anchor_addr(a->e, anchor_of_slot(a->e, s->slot));
    at.port = port_pool_rtp_port(&a->e->ports, s->slot);
    sbuf_lit(&a->b, "    stream ");
    if (anchor_count(&a->e->cfg) > 1)
        addr_put(&a->b, &at);
    else
        sbuf_u64(&a->b, at.port);
    sbuf_lit(&a->b, " to ");
    addr_put(&a->b, &s->rtp);
    if (s->suite) {
        sbuf_lit(&a->b, " srtp ");
        sbuf_put(&a->b, media_srtp_name(s));
    }
    if (r) {
        struct relay_counters k = relay_counters(a->e->relay, s->slot);
        sbuf_lit(&a->b, " in ");
        sbuf_u64(&a->b, k.packets_in);
        sbuf_lit(&a->b, " out ");
        sbuf_u64(&a->b, k.packets_out);
        sbuf_lit(&a->b, " gap_ms ");
        sbuf_u64(&a->b, k.gap_us / 1000);
        put_quality(a, s->slot);
        if (r->rtp.learned.family != ADDR_NONE) {
            sbuf_lit(&a->b, " latched ");
            addr_put(&a->b, &r->rtp.learned);
        }
    }
    end_line(a);
}

static void put_leg(struct answer *a, const struct leg *l) {
    const struct leg *peer = leg_get(a->e, l->peer);
    sbuf_lit(&a->b, "  leg ");
    sbuf_u64(&a->b, l->number);
    sbuf_char(&a->b, ' ');
    sbuf_str(&a->b, leg_state_name(l->state));
    sbuf_char(&a->b, ' ');
    sbuf_str(&a->b, oa_state_name((enum oa_state)l->oa));
    sbuf_char(&a->b, ' ');
    put_leg_name(&a->b, l);
    if (peer) {
        sbuf_lit(&a->b, " with leg ");
        sbuf_u64(&a->b, peer->number);
    }
    sbuf_str(&a->b, l->echo ? " echo" : "");
    sbuf_lit(&a->b, " call-id ");
    sbuf_escaped(&a->b, leg_str(l, DLG_CALL_ID), 80);
    sbuf_lit(&a->b, " as ");
    sbuf_escaped(&a->b, leg_str(l, LEG_PRINCIPAL), 64);
    sbuf_lit(&a->b, " agent ");
    sbuf_escaped(&a->b, leg_str(l, LEG_AGENT), 60);
    end_line(a);
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        if (l->media.streams[i]->open)
            put_stream(a, l->media.streams[i]);
}

static void put_transfer(struct answer *a, const struct transfer *t) {
    sbuf_lit(&a->b, "  transfer ");
    sbuf_str(&a->b, cdr_mode_name(t->mode));
    sbuf_char(&a->b, ' ');
    sbuf_str(&a->b, transfer_state_name(t->state));
    sbuf_lit(&a->b, " result ");
    sbuf_u64(&a->b, t->result);
    end_line(a);
}

/* The ladder is what the trace ring still holds of the call. */
static void put_ladder(struct answer *a, const struct call *c) {
    const struct trace *tr = &a->e->trace;
    uint64_t from = tr->head > (uint64_t)tr->mask + 1 ? tr->head - tr->mask - 1 : 0;
    for (uint64_t i = from; i < tr->head; i++) {
        const struct trace_line *line = trace_at(tr, i);
        if (!line || line->call != c->id)
            continue;
        sbuf_lit(&a->b, "  | ");
        trace_format(&a->b, line, tr->shard);
        end_line(a);
    }
}

static struct call *find_call(struct engine *e, struct slice id) {
    uint32_t cursor = 0;
    handle h;
    char hex[16];
    for (struct call *c; (c = pool_next(&e->calls, &cursor, &h));) {
        struct sbuf b = sbuf_on(hex, sizeof hex);
        sbuf_hex(&b, c->id, 16);
        if (slice_eq(sbuf_slice(&b), id))
            return c;
    }
    return NULL;
}

/* ---- failed transfers */

static void put_failure_line(struct answer *a, const struct failure *f) {
    sbuf_lit(&a->b, "failure ");
    sbuf_u64(&a->b, f->number);
    sbuf_lit(&a->b, " at ");
    sbuf_u64(&a->b, f->wall_ms);
    sbuf_lit(&a->b, " call ");
    sbuf_hex(&a->b, f->call_id, 16);
    if (f->consult_id) {
        sbuf_lit(&a->b, " consultation ");
        sbuf_hex(&a->b, f->consult_id, 16);
    }
    sbuf_char(&a->b, ' ');
    sbuf_str(&a->b, cdr_mode_name(f->mode));
    sbuf_lit(&a->b, " in ");
    sbuf_str(&a->b, transfer_state_name(f->state));
    sbuf_lit(&a->b, " result ");
    sbuf_u64(&a->b, f->result);
    end_line(a);
}

/* Its legs as they were then, and its ladder. */
static void put_failure(struct answer *a, const struct failure *f) {
    struct slice rest = slice_of(f->text, f->text_n);
    put_failure_line(a, f);
    for (int32_t end; (end = slice_find(rest, '\n')) >= 0;
         rest = slice_of(rest.p + end + 1, rest.n - (uint32_t)end - 1)) {
        sbuf_lit(&a->b, "  ");
        sbuf_put(&a->b, slice_of(rest.p, (uint32_t)end));
        end_line(a);
    }
    if (f->lines_before) {
        sbuf_lit(&a->b, "  | ... lines before: ");
        sbuf_u64(&a->b, f->lines_before);
        end_line(a);
    }
    for (uint16_t i = 0; i < f->line_count; i++) {
        sbuf_lit(&a->b, "  | ");
        trace_format(&a->b, &f->lines[i], a->e->trace.shard);
        end_line(a);
    }
    if (!f->complete) {
        sbuf_lit(&a->b, "  | the transfer is not over yet");
        end_line(a);
    }
}

static void list_failures(struct answer *a) {
    for (uint64_t n = failure_first(a->e); n <= a->e->failures.last; n++)
        if (failure_nth(a->e, n))
            put_failure_line(a, failure_nth(a->e, n));
}

static void show_failure(struct answer *a, struct slice text) {
    uint64_t number = 0;
    const struct failure *f = slice_u64(text, UINT64_MAX, &number) ? failure_get(a->e, number) : NULL;
    if (f) {
        put_failure(a, f);
        return;
    }
    sbuf_lit(&a->b, "error: no failure ");
    sbuf_escaped(&a->b, text, 40);
    sbuf_lit(&a->b, "; `failures` lists them");
    end_line(a);
}

/* Of this call, which may be over. False: none. */
static bool put_failures_of(struct answer *a, struct slice id) {
    bool any = false;
    for (uint64_t n = failure_first(a->e); n <= a->e->failures.last; n++) {
        const struct failure *f = failure_nth(a->e, n);
        char hex[32];
        struct sbuf b = sbuf_on(hex, sizeof hex);
        sbuf_hex(&b, f ? f->call_id : 0, 16);
        sbuf_hex(&b, f ? f->consult_id : 0, 16);
        if (!f || (!slice_eq(slice_of(hex, 16), id) && !slice_eq(slice_of(hex + 16, 16), id)))
            continue;
        put_failure(a, f);
        any = true;
    }
    return any;
}

static void show(struct answer *a, struct slice id) {
    const struct call *c = find_call(a->e, id);
    if (!c && put_failures_of(a, id))
        return;
    if (!c) {
        sbuf_lit(&a->b, "error: no call ");
        sbuf_escaped(&a->b, id, 40);
        sbuf_lit(&a->b, "; `calls` lists them");
        end_line(a);
        return;
    }
    put_call_line(a, c);
    for (unsigned i = 0; i < c->leg_count; i++)
        put_leg(a, leg_get(a->e, c->legs[i]));
    if (transfer_get(a->e, c->transfer))
        put_transfer(a, transfer_get(a->e, c->transfer));
    put_ladder(a, c);
    put_failures_of(a, id);
}

static struct slice next_word(struct slice *line) {
    *line = slice_trim(*line);
    int32_t end = slice_find(*line, ' ');
    uint32_t n = end < 0 ? line->n : (uint32_t)end;
    struct slice word = slice_of(line->p, n);
    *line = slice_of(line->p + n, line->n - n);
    return word;
}

/* "CALL LEG" as `calls` and `show` print them. */
static struct leg *find_leg(struct engine *e, struct slice *line) {
    const struct call *c = find_call(e, next_word(line));
    uint64_t number = 0;
    if (!slice_u64(next_word(line), 255, &number) || !c)
        return NULL;
    for (unsigned i = 0; i < c->leg_count; i++) {
        struct leg *l = leg_get(e, c->legs[i]);
        if (l->number == number)
            return l;
    }
    return NULL;
}

/* transfer CALL LEG URI, or transfer CALL LEG with CALL2 LEG2. False: answered with an error; else the answer comes
 * later. */
static bool order_transfer(struct answer *a, struct slice line) {
    struct leg *l = find_leg(a->e, &line), *with = NULL;
    struct slice to = next_word(&line), wrong = SL("no such call and leg; `calls` and `show CALL` list them");
    bool attended = slice_eq(to, SL("with")), suspended = a->e->owners.suspended;
    if (attended)
        with = find_leg(a->e, &line);
    if (l && attended && !with && a->e->cfg.shards > 1)
        wrong = SL("the other call and leg are not in the shard of the first one, where they have to be so far");
    if (suspended)
        wrong = SL("this node does nothing until it is sure again which calls are its own");
    else if (l && (!attended || with))
        wrong = transfer_order(a->e, a->conn, l, attended ? SLICE_NONE : to, with);
    if (!wrong.p)
        return true;
    sbuf_lit(&a->b, "error: ");
    sbuf_put(&a->b, wrong);
    end_line(a);
    return false;
}

static void put_count(struct answer *a, const char *name, uint64_t n) {
    sbuf_str(&a->b, name);
    sbuf_char(&a->b, ' ');
    sbuf_u64(&a->b, n);
    end_line(a);
}

static void leftover(struct answer *a) {
    struct engine_census c;
    engine_census(a->e, &c);
    put_count(a, "calls", c.calls);
    put_count(a, "legs", c.legs);
    put_count(a, "transfers", c.transfers);
    put_count(a, "transactions", c.transactions);
    put_count(a, "timers", c.timers);
    put_count(a, "ports", c.ports);
    put_count(a, "records", c.records);
    put_count(a, "bindings", c.bindings);
    put_count(a, "bufs", c.bufs);
}

static void registrations(struct answer *a) {
    for (uint32_t i = 0; i < a->e->policy.user_count; i++) {
        struct registrar_binding b[LIMIT_BINDINGS_PER_AOR];
        struct slice user = slice_str(a->e->policy.users[i].name);
        uint32_t n = registrar_find(a->e, user, b, LIMIT_BINDINGS_PER_AOR);
        for (uint32_t k = 0; k < n; k++) {
            sbuf_put(&a->b, user);
            sbuf_char(&a->b, ' ');
            sbuf_escaped(&a->b, b[k].contact, 120);
            sbuf_lit(&a->b, " from ");
            addr_put(&a->b, &b[k].flow);
            end_line(a);
        }
    }
}

void admin_on_line(struct engine *e, uint64_t conn, struct slice line) {
    struct answer a = { .e = e, .conn = conn, .b = sbuf_on(e->ua.body, ADMIN_PIECE) };
    line = slice_trim(line);
    if (slice_eq(line, SL("calls"))) {
        list_calls(&a);
    } else if (slice_has_prefix(line, SL("show "))) {
        show(&a, slice_trim(slice_of(line.p + 5, line.n - 5)));
    } else if (slice_has_prefix(line, SL("transfer "))) {
        if (order_transfer(&a, slice_of(line.p + 9, line.n - 9)))
            return;
    } else if (slice_eq(line, SL("failures"))) {
        list_failures(&a);
    } else if (slice_has_prefix(line, SL("failure "))) {
        show_failure(&a, slice_trim(slice_of(line.p + 8, line.n - 8)));
    } else if (slice_eq(line, SL("registrations"))) {
        registrations(&a);
    } else if (slice_eq(line, SL("metrics"))) {
        for (unsigned i = 0; i < METRIC_COUNT; i++)
            put_count(&a, metrics_name((enum metric)i), metrics_get(&e->metrics, (enum metric)i));
    } else if (slice_eq(line, SL("leftover"))) {
        leftover(&a);
    } else {
        sbuf_lit(&a.b, "error: unknown order; known: calls, show CALL, transfer CALL LEG URI, failures, failure "
                      "NUMBER, registrations, metrics, leftover");
        end_line(&a);
    }
    flush(&a, true);
}
