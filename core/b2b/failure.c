/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/failure.h"

#include "core/b2b/leg.h"

void failure_init(struct engine *e, struct arena *a, uint32_t count) {
    e->failures.items = arena_take(a, (size_t)count * sizeof *e->failures.items);
    e->failures.count = count;
    e->failures.last = 0;
}

uint64_t failure_first(const struct engine *e) {
    const struct failure_ring *r = &e->failures;
    return r->last > r->count ? r->last - r->count + 1 : 1;
}

/* Shards of one process count in turn, so that a number is one of them. */
static uint64_t stride(const struct engine *e) {
    return e->cfg.shards > 1 ? e->cfg.shards : 1;
}

static uint64_t number_of(const struct engine *e, uint64_t nth) {
    return (nth - 1) * stride(e) + e->cfg.shard % stride(e) + 1;
}

static struct failure *find(const struct engine *e, uint64_t number) {
    const struct failure_ring *r = &e->failures;
    uint64_t nth = number ? (number - 1) / stride(e) + 1 : 0;
    struct failure *f = r->count ? &r->items[nth % r->count] : NULL;
    return f && number && f->number == number ? f : NULL;
}

const struct failure *failure_nth(const struct engine *e, uint64_t nth) {
    return find(e, number_of(e, nth));
}

const struct failure *failure_get(const struct engine *e, uint64_t number) {
    return find(e, number);
}

/* ---- legs */

static const char *part_name(unsigned role) {
    static const char *const names[] = { "-", "transferor", "transferee", "target", "consult", "replaced" };
    return role < sizeof names / sizeof *names ? names[role] : "other";
}

static void put_leg(const struct engine *e, struct sbuf *b, const struct call *c, const struct leg *l) {
    const struct leg *peer = leg_get(e, l->peer);
    sbuf_hex(b, c->id, 16);
    sbuf_lit(b, " leg ");
    sbuf_u64(b, l->number);
    sbuf_char(b, ' ');
    sbuf_str(b, part_name(l->transfer_role));
    sbuf_char(b, ' ');
    sbuf_str(b, leg_state_name(l->state));
    sbuf_char(b, ' ');
    sbuf_str(b, oa_state_name((enum oa_state)l->oa));
    sbuf_str(b, l->invite_out != HANDLE_NONE ? " invite-out" : "");
    sbuf_str(b, l->invite_in != HANDLE_NONE ? " invite-in" : "");
    sbuf_char(b, ' ');
    sbuf_escaped(b, leg_str(l, DLG_REMOTE_URI), 60);
    if (peer) {
        sbuf_lit(b, " with leg ");
        sbuf_u64(b, peer->number);
    }
    sbuf_lit(b, " agent ");
    sbuf_escaped(b, leg_str(l, LEG_AGENT), 30);
    sbuf_char(b, '\n');
}

/* A leg that finds no room is left out whole. */
static void put_legs(const struct engine *e, struct sbuf *b, handle call) {
    const struct call *c = call_get(e, call);
    for (unsigned i = 0; c && i < c->leg_count; i++) {
        const struct leg *l = leg_get(e, c->legs[i]);
        uint32_t before = b->n;
        if (l)
            put_leg(e, b, c, l);
        if (b->overflow)
            b->n = before;
        b->overflow = false;
    }
}

void failure_note(struct engine *e, struct transfer *t, uint16_t status) {
    struct failure_ring *r = &e->failures;
    if (!r->count || t->history.failure)
        return;
    struct failure *f = &r->items[++r->last % r->count];
    f->number = t->history.failure = number_of(e, r->last);
    f->wall_ms = e->wall_ms;
    f->call_id = t->history.call_id;
    f->consult_id = t->history.consult_id;
    f->result = status;
    f->mode = t->mode;
    f->state = t->state;
    f->complete = false;
    f->line_count = 0;
    f->lines_before = 0;
    struct sbuf b = sbuf_on(f->text, sizeof f->text);
    put_legs(e, &b, t->call);
    if (t->consult_call != t->call)
        put_legs(e, &b, t->consult_call);
    f->text_n = (uint16_t)b.n;
}

/* ---- the ladder */

static bool belongs(const struct trace_line *line, const struct failure *f) {
    return line->call && (line->call == f->call_id || line->call == f->consult_id) &&
           !slice_eq(slice_str(line->what), SL("txn"));
}

/* Lines of the REFER's time are the newest of the ring: it is read backwards, as far as they go. */
static uint64_t first_line(const struct trace *tr, const struct failure *f, uint64_t since_us, uint32_t *count) {
    uint64_t i = tr->head;
    const struct trace_line *line;
    *count = 0;
    while (i && (line = trace_at(tr, i - 1)) && line->mono_us >= since_us) {
        *count += belongs(line, f);
        i--;
    }
    return i;
}

void failure_finish(struct engine *e, struct transfer *t) {
    struct failure *f = find(e, t->history.failure);
    const struct trace *tr = &e->trace;
    uint32_t count;
    if (!f)
        return;
    uint64_t i = first_line(tr, f, t->started_us, &count);
    f->lines_before = count > FAILURE_LINES ? count - FAILURE_LINES : 0;
    f->line_count = 0;
    for (uint32_t skip = f->lines_before; i < tr->head; i++) {
        const struct trace_line *line = trace_at(tr, i);
        if (!line || !belongs(line, f))
            continue;
        if (skip)
            skip--;
        else
            f->lines[f->line_count++] = *line;
    }
    f->complete = true;
}
