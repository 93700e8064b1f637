/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The tables of offer/answer, legs and transfers: total, every cell with its reason, every state and action reached. */
#include "core/b2b/leg_fsm.h"
#include "core/b2b/transfer_fsm.h"
#include "core/sip/offer_answer.h"
#include "tests/unit/dies.h"
#include "tests/unit/unit.h"

#include <string.h>

static void say(const char *what, unsigned s, unsigned in) {
    printf("\n%s: state %u, input %u\n", what, s, in);
}

/* ---- legs ---- */

static void test_leg_cells(void) {
    for (unsigned s = 0; s < LEG_STATE_COUNT; s++)
        for (unsigned in = 0; in < LEG_INPUT_COUNT; in++) {
            const struct leg_cell *c = leg_fsm_cell((enum leg_state)s, (enum leg_input)in);
            bool good = c->verdict >= LEG_MOVE && c->verdict <= LEG_BUG && c->next < LEG_STATE_COUNT && c->section &&
                        (c->verdict == LEG_BUG || *c->section);
            if (!good)
                say("leg", s, in);
            CHECK_TRUE(good);
        }
}

/* States entered from IDLE over legal cells. */
static void test_leg_states_are_reached(void) {
    unsigned reached = 1u << LEG_IDLE, before;
    do {
        before = reached;
        for (unsigned s = 0; s < LEG_STATE_COUNT; s++)
            for (unsigned in = 0; in < LEG_INPUT_COUNT && (reached >> s & 1); in++) {
                const struct leg_cell *c = leg_fsm_cell((enum leg_state)s, (enum leg_input)in);
                if (c->verdict == LEG_MOVE)
                    reached |= 1u << c->next;
            }
    } while (before != reached);
    CHECK_EQ(reached, (1u << LEG_STATE_COUNT) - 1);
}

/* Whatever state a leg is in, an order to end it and the loss of its dialog lead to DEAD. */
static void test_leg_always_ends(void) {
    for (unsigned s = 0; s < LEG_STATE_COUNT; s++) {
        unsigned at = s;
        static const enum leg_input way[] = { LEG_IN_END, LEG_IN_RECV_FAILURE, LEG_IN_SEND_BYE, LEG_IN_BYE_DONE };
        for (unsigned i = 0; i < 4 && at != LEG_DEAD; i++) {
            const struct leg_cell *c = leg_fsm_cell((enum leg_state)at, way[i]);
            at = c->verdict == LEG_MOVE ? c->next : at;
        }
        if (at != LEG_DEAD)
            printf("\nfrom %s only to %s\n", leg_state_name(s), leg_state_name(at));
        CHECK_EQ(at, LEG_DEAD);
    }
}

static void test_leg_dead_stays(void) {
    for (unsigned in = 0; in < LEG_INPUT_COUNT; in++)
        CHECK_TRUE(leg_fsm_cell(LEG_DEAD, (enum leg_input)in)->verdict != LEG_MOVE);
}

/* The life of a caller's leg, of a callee's, and of one that is cancelled. */
static void walk_leg(const enum leg_input *in, unsigned n, const enum leg_state *want) {
    enum leg_state s = LEG_IDLE;
    for (unsigned i = 0; i < n; i++) {
        const struct leg_cell *c = leg_fsm_cell(s, in[i]);
        CHECK_TRUE(c->verdict == LEG_MOVE || c->verdict == LEG_IGNORE);
        s = c->verdict == LEG_MOVE ? (enum leg_state)c->next : s;
        CHECK_EQ(s, want[i]);
    }
}

static void test_leg_lives(void) {
    walk_leg((const enum leg_input[]){ LEG_IN_RECV_INVITE, LEG_IN_SEND_2XX, LEG_IN_RECV_ACK, LEG_IN_RECV_BYE }, 4,
             (const enum leg_state[]){ LEG_INCOMING, LEG_ANSWERED, LEG_UP, LEG_DEAD });
    walk_leg(
        (const enum leg_input[]){ LEG_IN_SEND_INVITE, LEG_IN_RECV_1XX, LEG_IN_RECV_2XX, LEG_IN_END, LEG_IN_SEND_BYE,
                                  LEG_IN_RECV_BYE, LEG_IN_BYE_DONE },
        7,
        (const enum leg_state[]){ LEG_CALLING, LEG_EARLY, LEG_UP, LEG_ENDING, LEG_BYE_SENT, LEG_BYE_SENT, LEG_DEAD });
    walk_leg((const enum leg_input[]){ LEG_IN_SEND_INVITE, LEG_IN_SEND_CANCEL, LEG_IN_RECV_2XX, LEG_IN_SEND_BYE,
                                       LEG_IN_GONE, LEG_IN_BYE_DONE },
             6,
             (const enum leg_state[]){ LEG_CALLING, LEG_CANCELLING, LEG_ENDING, LEG_BYE_SENT, LEG_BYE_SENT, LEG_DEAD });
    walk_leg(
        (const enum leg_input[]){ LEG_IN_RECV_INVITE, LEG_IN_SEND_2XX, LEG_IN_END, LEG_IN_RECV_ACK, LEG_IN_SEND_BYE },
        5, (const enum leg_state[]){ LEG_INCOMING, LEG_ANSWERED, LEG_ENDING, LEG_ENDING, LEG_BYE_SENT });
    walk_leg((const enum leg_input[]){ LEG_IN_SEND_INVITE, LEG_IN_RECV_1XX, LEG_IN_RECV_BYE, LEG_IN_RECV_FAILURE }, 4,
             (const enum leg_state[]){ LEG_CALLING, LEG_EARLY, LEG_CANCELLING, LEG_DEAD });
}

static void test_leg_names(void) {
    CHECK_TRUE(strcmp(leg_state_name(LEG_ANSWERED), "ANSWERED") == 0);
    CHECK_TRUE(strcmp(leg_input_name(LEG_IN_NO_ACK), "NO_ACK") == 0);
    CHECK_TRUE(strcmp(leg_state_name(LEG_STATE_COUNT), "?") == 0);
    CHECK_TRUE(strcmp(leg_input_name(LEG_INPUT_COUNT), "?") == 0);
}

/* ---- transfers ---- */

static void test_transfer_cells(void) {
    unsigned actions = 0;
    for (unsigned s = 0; s < TRANSFER_STATE_COUNT; s++)
        for (unsigned ev = 0; ev < TRANSFER_EVENT_COUNT; ev++) {
            const struct transfer_cell *c = transfer_cell((enum transfer_state)s, (enum transfer_event)ev);
            bool good = c->verdict >= TRANSFER_ACT && c->verdict <= TRANSFER_BUG && c->action < TRANSFER_ACTION_COUNT &&
                        c->why && *c->why && (c->verdict == TRANSFER_ACT) == (c->action != TRANSFER_DO_NONE);
            if (!good)
                printf("\n%s + %s\n", transfer_state_name(s), transfer_event_name(ev));
            CHECK_TRUE(good);
            actions |= 1u << c->action;
        }
    CHECK_EQ(actions, (1u << TRANSFER_ACTION_COUNT) - 1);
}

/* Whoever of the two that talk hangs up: nothing is decided by a cell that cannot be. */
static void test_transfer_hang_ups(void) {
    static const enum transfer_event gone[] = { TRANSFER_EV_TRANSFEREE_GONE, TRANSFER_EV_TRANSFEROR_GONE,
                                                TRANSFER_EV_TARGET_GONE,     TRANSFER_EV_CONSULT_GONE,
                                                TRANSFER_EV_REPLACED_GONE,   TRANSFER_EV_TIMER };
    for (unsigned s = 0; s < TRANSFER_STATE_COUNT; s++)
        for (unsigned i = 0; i < sizeof gone / sizeof *gone; i++)
            CHECK_TRUE(transfer_cell((enum transfer_state)s, gone[i])->verdict != TRANSFER_BUG);
    for (unsigned ev = 0; ev < TRANSFER_EVENT_COUNT; ev++)
        CHECK_EQ(transfer_cell(TRANSFER_DONE, (enum transfer_event)ev)->verdict, TRANSFER_IGNORE);
}

static void test_transfer_names(void) {
    CHECK_TRUE(strcmp(transfer_state_name(TRANSFER_BYE_WAIT), "BYE_WAIT") == 0);
    CHECK_TRUE(strcmp(transfer_event_name(TRANSFER_EV_NOTIFIED), "NOTIFIED") == 0);
    CHECK_TRUE(strcmp(transfer_state_name(TRANSFER_STATE_COUNT), "?") == 0);
    CHECK_TRUE(strcmp(transfer_event_name(TRANSFER_EVENT_COUNT), "?") == 0);
}

/* ---- offer/answer ---- */

static void test_oa_cells(void) {
    for (unsigned s = 0; s < OA_STATE_COUNT; s++)
        for (unsigned ev = 0; ev < OA_EVENT_COUNT; ev++) {
            const struct oa_cell *c = oa_cell((enum oa_state)s, (enum oa_event)ev);
            CHECK_TRUE(c->section && *c->section);
            CHECK_TRUE(c->verdict == OA_OK || c->next == s);
            uint8_t state = (uint8_t)s;
            if (c->verdict == OA_BUG)
                continue;
            CHECK_EQ(oa_step(&state, (enum oa_event)ev), c->verdict);
            CHECK_EQ(state, c->next);
        }
}

static void test_oa_rules(void) {
    uint8_t s = OA_STABLE;
    CHECK_EQ(oa_step(&s, OA_EV_SEND_OFFER), OA_OK);
    CHECK_EQ(s, OA_OFFER_SENT);
    CHECK_EQ(oa_step(&s, OA_EV_RECV_OFFER), OA_GLARE);
    CHECK_EQ(s, OA_OFFER_SENT);
    CHECK_EQ(oa_step(&s, OA_EV_RECV_ANSWER), OA_OK);
    CHECK_EQ(s, OA_STABLE);
    CHECK_EQ(oa_step(&s, OA_EV_RECV_ANSWER), OA_PROTOCOL);
    CHECK_EQ(oa_step(&s, OA_EV_RECV_OFFER), OA_OK);
    CHECK_EQ(oa_step(&s, OA_EV_SEND_ANSWER), OA_OK);
    CHECK_EQ(s, OA_STABLE);
    oa_step(&s, OA_EV_RECV_OFFER);
    CHECK_EQ(oa_step(&s, OA_EV_ABORT), OA_OK);
    CHECK_EQ(s, OA_STABLE);
    CHECK_TRUE(strcmp(oa_state_name(OA_OFFER_RCVD), "OFFER_RCVD") == 0);
}

static void answer_nothing(void) {
    uint8_t s = OA_STABLE;
    oa_step(&s, OA_EV_SEND_ANSWER);
}

static void test_oa_bug_dies(void) {
    CHECK_TRUE(unit_dies(answer_nothing));
}

int main(void) {
    return UNIT_RUN("fsm", UNIT(test_leg_cells), UNIT(test_leg_states_are_reached), UNIT(test_leg_always_ends),
                    UNIT(test_leg_dead_stays), UNIT(test_leg_lives), UNIT(test_leg_names), UNIT(test_transfer_cells),
                    UNIT(test_transfer_hang_ups), UNIT(test_transfer_names), UNIT(test_oa_cells), UNIT(test_oa_rules),
                    UNIT(test_oa_bug_dies));
}
