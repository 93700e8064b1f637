/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which cells of the engine's tables were reached. The linker puts these in front of the tables' own look-ups
 * (--wrap), so the engine's objects are the ones that everybody links. */
#include "core/b2b/bridge.h"
#include "core/b2b/transfer_fsm.h"
#include "core/sip/txn_table.h"
#include "tests/sim/sim.h"

#include <stdio.h>

#define CELLS 32

static uint64_t txn_hits[TXN_KIND_COUNT][CELLS][CELLS], leg_hits[CELLS][CELLS], transfer_hits[CELLS][CELLS],
    oa_hits[CELLS][CELLS], header_hits[SIP_H_COUNT][2], method_hits[SIP_M_COUNT];

const struct leg_cell *__real_leg_fsm_cell(enum leg_state s, enum leg_input in);
const struct transfer_cell *__real_transfer_cell(enum transfer_state s, enum transfer_event ev);
enum oa_verdict __real_oa_step(uint8_t *state, enum oa_event ev);
void __real_txn_run(struct txn_step *s, unsigned event);
enum bridge_action __real_bridge_method(enum sip_method m);
struct slice __real_bridge_headers(struct engine *e, const struct sip_msg *msg);
const struct leg_cell *__wrap_leg_fsm_cell(enum leg_state s, enum leg_input in);
const struct transfer_cell *__wrap_transfer_cell(enum transfer_state s, enum transfer_event ev);
enum oa_verdict __wrap_oa_step(uint8_t *state, enum oa_event ev);
void __wrap_txn_run(struct txn_step *s, unsigned event);
enum bridge_action __wrap_bridge_method(enum sip_method m);
struct slice __wrap_bridge_headers(struct engine *e, const struct sip_msg *msg);

const struct leg_cell *__wrap_leg_fsm_cell(enum leg_state s, enum leg_input in) {
    leg_hits[s][in]++;
    return __real_leg_fsm_cell(s, in);
}

const struct transfer_cell *__wrap_transfer_cell(enum transfer_state s, enum transfer_event ev) {
    transfer_hits[s][ev]++;
    return __real_transfer_cell(s, ev);
}

enum oa_verdict __wrap_oa_step(uint8_t *state, enum oa_event ev) {
    oa_hits[*state][ev]++;
    return __real_oa_step(state, ev);
}

void __wrap_txn_run(struct txn_step *s, unsigned event) {
    txn_hits[s->txn->kind][s->txn->state][event]++;
    __real_txn_run(s, event);
}

enum bridge_action __wrap_bridge_method(enum sip_method m) {
    method_hits[m]++;
    return __real_bridge_method(m);
}

struct slice __wrap_bridge_headers(struct engine *e, const struct sip_msg *msg) {
    for (unsigned i = 0; i < msg->header_count; i++)
        header_hits[msg->headers[i].id][!msg->is_request]++;
    return __real_bridge_headers(e, msg);
}

/* ---- the report ---- */

#define KNOWN_MAX 256

/* A line of the file that explains rows: "never|rare TABLE ROW + COLUMN: reason". */
struct known {
    char row[96];
    bool rare, met;
};
static struct known known[KNOWN_MAX];
static unsigned known_n, unexplained, wrong;

bool cover_load(const char *path) {
    char line[400];
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    while (fgets(line, sizeof line, f) && known_n < KNOWN_MAX) {
        char *space = strchr(line, ' '), *colon = strstr(line, ": ");
        if (line[0] == '#' || !space || !colon || colon < space)
            continue;
        *colon = '\0';
        struct known *k = &known[known_n++];
        k->rare = !strncmp(line, "rare ", 5);
        snprintf(k->row, sizeof k->row, "%.95s", space + 1);
    }
    fclose(f);
    return true;
}

static struct known *find_known(const char *row) {
    for (unsigned i = 0; i < known_n; i++)
        if (!strcmp(known[i].row, row))
            return &known[i];
    return NULL;
}

struct tally {
    const char *name;
    unsigned reached, explained, all;
    bool rows;
};

static void one(struct tally *t, uint64_t hits, bool possible, const char *row, const char *column) {
    char name[96];
    if (!possible)
        return;
    snprintf(name, sizeof name, "%s %s + %s", t->name, row, column);
    struct known *k = find_known(name);
    if (k)
        k->met = true;
    t->all++;
    t->reached += hits != 0;
    t->explained += !hits && k;
    if (!hits && !k)
        unexplained++;
    if (!hits && !k && t->rows)
        printf("  never: %s\n", name);
    if (hits && hits < 10 && t->rows && !known_n)
        printf("  rarely: %s: %llu\n", name, (unsigned long long)hits);
    if (hits && k && !k->rare) {
        printf("  reached %llu times, though it is said to be never: %s\n", (unsigned long long)hits, name);
        wrong++;
    }
}

/* Rows of the file that no table has. */
static void check_known(void) {
    for (unsigned i = 0; i < known_n; i++) {
        if (known[i].met)
            continue;
        printf("  no such row: %s\n", known[i].row);
        wrong++;
    }
}

static void sum(const struct tally *t) {
    printf("cover: %-14s %3u of %3u reached, %3u explained, %u not\n", t->name, t->reached, t->all, t->explained,
           t->all - t->reached - t->explained);
}

static void report_txn(bool rows) {
    for (unsigned k = 0; k < TXN_KIND_COUNT; k++) {
        const struct txn_machine *m = txn_machine(k);
        struct tally t = { .name = m->name, .rows = rows };
        for (unsigned s = 0; s < m->states; s++)
            for (unsigned ev = 0; ev < m->events; ev++)
                one(&t, txn_hits[k][s][ev], txn_row(k, s, ev)->what != TXN_ROW_BUG, m->state_names[s],
                    m->event_names[ev]);
        sum(&t);
    }
}

bool cover_report(bool rows, bool enough) {
    struct tally leg = { .name = "leg", .rows = rows }, tr = { .name = "transfer", .rows = rows },
                 oa = { .name = "offer/answer", .rows = rows }, h = { .name = "bridge header", .rows = rows },
                 m = { .name = "bridge method", .rows = rows };
    static const char *const oa_events[] = {
#define X(n) #n,
        OA_EVENTS(X)
#undef X
    };
    report_txn(rows);
    for (unsigned s = 0; s < LEG_STATE_COUNT; s++)
        for (unsigned in = 0; in < LEG_INPUT_COUNT; in++)
            one(&leg, leg_hits[s][in],
                s != LEG_DEAD && __real_leg_fsm_cell((enum leg_state)s, (enum leg_input)in)->verdict != LEG_BUG,
                leg_state_name(s), leg_input_name(in));
    sum(&leg);
    for (unsigned s = 0; s < TRANSFER_STATE_COUNT; s++)
        for (unsigned ev = 0; ev < TRANSFER_EVENT_COUNT; ev++)
            one(&tr, transfer_hits[s][ev],
                s != TRANSFER_DONE &&
                    __real_transfer_cell((enum transfer_state)s, (enum transfer_event)ev)->verdict != TRANSFER_BUG,
                transfer_state_name(s), transfer_event_name(ev));
    sum(&tr);
    for (unsigned s = 0; s < OA_STATE_COUNT; s++)
        for (unsigned ev = 0; ev < OA_EVENT_COUNT; ev++)
            one(&oa, oa_hits[s][ev], oa_cell((enum oa_state)s, (enum oa_event)ev)->verdict != OA_BUG,
                oa_state_name((enum oa_state)s), oa_events[ev]);
    sum(&oa);
    for (unsigned i = 0; i < SIP_H_COUNT; i++)
        for (unsigned r = 0; r < 2; r++)
            one(&h, header_hits[i][r], true, i ? sip_hdr_name((enum sip_hdr_id)i).p : "other",
                r ? "response" : "request");
    sum(&h);
    for (unsigned i = 1; i < SIP_M_COUNT; i++)
        one(&m, method_hits[i], true, "method", sip_method_name((enum sip_method)i).p);
    sum(&m);
    check_known();
    if (unexplained && known_n && !enough)
        printf("cover: too few transfers to say that a row is not reached\n");
    return !wrong && !(unexplained && enough);
}
