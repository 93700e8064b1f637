/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Every cell of the four tables: against a second statement of the RFCs' figures, and by running it.
 * In a row: the next state, - for IGNORE, ! for BUG.
 */
#include "core/base/check.h"
#include "tests/unit/txn_fixture.h"

#include <setjmp.h>

/*                          START R1XX R2XX R3XX_6XX TIMER_A TIMER_B TIMER_D TIMER_M CANCEL TIMER_CANCELLED ERROR */
static const char *const want_ict[] = {
    "INIT CALLING ! ! ! ! ! ! ! INIT ! -",
    "CALLING ! PROCEEDING ACCEPTED COMPLETED CALLING TERMINATED ! ! CALLING ! TERMINATED",
    "PROCEEDING ! PROCEEDING ACCEPTED COMPLETED ! ! ! ! PROCEEDING TERMINATED -",
    "COMPLETED ! - COMPLETED COMPLETED ! ! TERMINATED ! - ! TERMINATED",
    "ACCEPTED ! - ACCEPTED - ! ! ! TERMINATED - ! -",
    "TERMINATED ! ! ! ! ! ! ! ! ! ! !",
};
/*                           START R1XX R2XX_6XX TIMER_E TIMER_F TIMER_K ERROR */
static const char *const want_nict[] = {
    "INIT TRYING ! ! ! ! ! -",
    "TRYING ! PROCEEDING COMPLETED TRYING TERMINATED ! TERMINATED",
    "PROCEEDING ! PROCEEDING COMPLETED PROCEEDING TERMINATED ! TERMINATED",
    "COMPLETED ! - - ! ! TERMINATED -",
    "TERMINATED ! ! ! ! ! ! !",
};
/*                          START REQUEST ACK TU_1XX TU_2XX TU_3XX_6XX TIMER_G TIMER_H TIMER_I TIMER_L */
static const char *const want_ist[] = {
    "INIT PROCEEDING ! ! ! ! ! ! ! ! !",
    "PROCEEDING ! PROCEEDING - PROCEEDING ACCEPTED COMPLETED ! ! ! !",
    "COMPLETED ! COMPLETED CONFIRMED - - - COMPLETED TERMINATED ! !",
    "CONFIRMED ! - - - - - ! ! TERMINATED !",
    "ACCEPTED ! - ACCEPTED - ACCEPTED - ! ! ! TERMINATED",
    "TERMINATED ! ! ! ! ! ! ! ! ! !",
};
/*                           START REQUEST TU_1XX TU_408 TU_FINAL TIMER_J TIMER_TRYING TIMER_EXPIRED */
static const char *const want_nist[] = {
    "INIT TRYING ! ! ! ! ! ! !",
    "TRYING ! - - TERMINATED COMPLETED ! PROCEEDING TERMINATED",
    "PROCEEDING ! PROCEEDING - TERMINATED COMPLETED ! ! TERMINATED",
    "COMPLETED ! COMPLETED - - - TERMINATED ! !",
    "TERMINATED ! ! ! ! ! ! ! !",
};

static const char *const *const want[TXN_KIND_COUNT] = { want_ict, want_nict, want_ist, want_nist };
static const unsigned want_states[TXN_KIND_COUNT] = { 6, 5, 6, 5 };
static const unsigned want_events[TXN_KIND_COUNT] = { 11, 7, 10, 8 };

static jmp_buf check_jump;
static void jump_out(void *arg, const char *file, int line, const char *expr) {
    (void)arg, (void)file, (void)line, (void)expr;
    longjmp(check_jump, 1);
}

static struct slice next_word(struct slice *rest) {
    int32_t at = slice_find(*rest, ' ');
    struct slice word = at < 0 ? *rest : slice_of(rest->p, (size_t)at);
    *rest = at < 0 ? SLICE_NONE : slice_of(rest->p + at + 1, rest->n - (uint32_t)at - 1);
    return word;
}

static handle make(struct fix *f, unsigned kind) {
    if (kind == TXN_ICT || kind == TXN_NICT)
        return fix_start(f, kind == TXN_ICT ? SIP_M_INVITE : SIP_M_BYE, "z9hG4bKx");
    return fix_recv(f, fix_request(kind == TXN_IST ? "INVITE" : "BYE", "z9hG4bKx", "")).txn;
}

/* True: the cell ran; false: it was a CHECK. */
static bool fire(struct fix *f, struct txn *t, unsigned event) {
    bool invite = t->kind == TXN_ICT || t->kind == TXN_IST;
    struct txn_event ev = { .kind = TXN_NONE };
    struct slice answer = fix_response(486, invite ? "INVITE" : "BYE", "z9hG4bKx", "tt");
    struct txn_step s = {
        .layer = &f->layer, .outbox = &f->outbox, .now = f->now, .txn = t, .ev = &ev, .status = 486,
    };
    struct slice request = fix_request(invite ? "INVITE" : "BYE", "z9hG4bKx", "");
    s.msg = fix_parse(t->kind >= TXN_IST && event == 0 ? request : answer);
    bool of_tu = slice_has_prefix(slice_str(txn_machine(t->kind)->event_names[event]), SL("TU_"));
    s.response = of_tu ? buf_copy(&f->bufs, answer) : NULL;
    struct buf *volatile response = s.response;
    check_set_hook(jump_out, NULL); /* a hook that fired is gone */
    if (setjmp(check_jump)) {
        struct buf *left = response;
        buf_unref(&f->bufs, &left);
        return false;
    }
    txn_run(&s, event);
    check_set_hook(NULL, NULL);
    buf_unref(&f->bufs, &s.response);
    fix_collect(f);
    return true;
}

static void walk_cell(unsigned kind, unsigned state, unsigned event, struct slice expect) {
    const struct txn_machine *m = txn_machine(kind);
    const struct txn_row *row = txn_row(kind, state, event);
    CU_ASSERT_FATAL(row->what != TXN_ROW_MISSING);
    CHECK_TRUE(row->rfc != NULL && *row->rfc);
    struct fix *f = fix_new();
    handle h = make(f, kind);
    struct txn *t = txn_get(&f->layer, h);
    CU_ASSERT_FATAL(t != NULL);
    t->state = (uint8_t)state;
    bool ran = fire(f, t, event);
    t = txn_get(&f->layer, h);
    const char *now = t ? txn_state_name(kind, t->state) : "TERMINATED";
    const char *full = !ran ? "!" : row->what == TXN_ROW_IGNORE ? "-" : now;
    if (!slice_eq(expect, slice_str(full)))
        printf("\n%s %s %s: is %s, want %.*s\n", m->name, m->state_names[state], m->event_names[event], full,
               SLICE_FMT(expect));
    CHECK_TRUE(slice_eq(expect, slice_str(full)));
    if (row->what == TXN_ROW_IGNORE)
        CHECK_TRUE(slice_eq(slice_str(now), slice_str(m->state_names[state])));
    fix_end(f);
}

static void walk(unsigned kind) {
    const struct txn_machine *m = txn_machine(kind);
    CU_ASSERT_FATAL(m->states == want_states[kind] && m->events == want_events[kind]);
    for (unsigned state = 0; state < m->states; state++) {
        struct slice rest = slice_str(want[kind][state]);
        CHECK_TRUE(slice_eq(next_word(&rest), slice_str(m->state_names[state])));
        for (unsigned event = 0; event < m->events; event++)
            walk_cell(kind, state, event, next_word(&rest));
        CHECK_EQ(rest.n, 0);
    }
}

static void test_ict(void) { walk(TXN_ICT); }
static void test_nict(void) { walk(TXN_NICT); }
static void test_ist(void) { walk(TXN_IST); }
static void test_nist(void) { walk(TXN_NIST); }

static void test_names(void) {
    CHECK_SLICE(slice_str(txn_kind_name(TXN_NIST)), "nist");
    CHECK_SLICE(slice_str(txn_kind_name(9)), "?");
    CHECK_SLICE(slice_str(txn_state_name(TXN_ICT, ICT_ACCEPTED)), "ACCEPTED");
    CHECK_SLICE(slice_str(txn_state_name(TXN_ICT, 99)), "?");
    CHECK_SLICE(slice_str(txn_timer_name(TXN_TIMER_CANCELLED)), "CANCELLED");
    CHECK_SLICE(slice_str(txn_event_name(TXN_FULL)), "full");
}

int main(void) {
    return UNIT_RUN("txn_tables", UNIT(test_ict), UNIT(test_nict), UNIT(test_ist), UNIT(test_nist), UNIT(test_names));
}
