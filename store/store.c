/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The functions of store.h, each handed to its kind.
 */
#include "store/store.h"

#include "store/kind.h"

void store_submit(struct store *s, const struct store_op *op, uint64_t wall_ms) {
    s->kind->submit(s, op, wall_ms);
}

bool store_answer(struct store *s, struct event *ev) {
    return s->kind->answer(s, ev);
}

uint32_t store_count(struct store *s, struct slice table, uint64_t wall_ms) {
    return s->kind->count ? s->kind->count(s, table, wall_ms) : 0;
}

void store_tick(struct store *s, uint64_t mono_us, uint64_t wall_ms) {
    if (s->kind->tick)
        s->kind->tick(s, mono_us, wall_ms);
}

uint64_t store_deadline(const struct store *s) {
    return s->kind->tick ? s->kind->deadline(s) : UINT64_MAX;
}

bool store_wants(struct store *s, struct store_want *w) {
    return s->kind->tick && s->kind->wants(s, w);
}

void store_opened(struct store *s, uint32_t conn) {
    if (s->kind->tick)
        s->kind->opened(s, conn);
}

void store_lost(struct store *s, uint32_t conn, struct slice why) {
    if (s->kind->tick)
        s->kind->lost(s, conn, why);
}

void store_input(struct store *s, uint32_t conn, struct slice bytes) {
    if (s->kind->tick)
        s->kind->input(s, conn, bytes);
}

struct slice store_output(struct store *s, uint32_t conn) {
    return s->kind->tick ? s->kind->output(s, conn) : SLICE_NONE;
}

void store_sent(struct store *s, uint32_t conn, uint32_t n) {
    if (s->kind->tick)
        s->kind->sent(s, conn, n);
}

enum store_health store_health(const struct store *s) {
    return s->kind->tick ? s->kind->health(s) : STORE_UP;
}

bool store_notice(struct store *s, struct sbuf *line) {
    return s->kind->tick && s->kind->notice(s, line);
}

void store_describe(const struct store *s, struct sbuf *text) {
    if (s->kind->tick)
        s->kind->describe(s, text);
    else
        sbuf_lit(text, "memory\n");
}

void store_free(struct store *s) {
    if (s && s->kind->tick)
        s->kind->free(s);
}
