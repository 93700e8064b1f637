/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * leg_fsm: the life of a leg's INVITE usage (RFC 3261 sections 9, 12, 13, 15; RFC 5057 for what outlives it) as one
 * total table.
 */
#ifndef REFEREE_B2B_LEG_FSM_H
#define REFEREE_B2B_LEG_FSM_H

#include <stdint.h>

#define LEG_STATES(X)                                                                                     \
    X(IDLE)       /* made, nothing sent */                                                                \
    X(CALLING)    /* INVITE sent, no response that makes a dialog */                                      \
    X(EARLY)      /* INVITE sent, early dialog */                                                         \
    X(INCOMING)   /* INVITE received, no final response sent */                                           \
    X(ANSWERED)   /* 2xx sent, its ACK not seen */                                                        \
    X(UP)         /* confirmed */                                                                         \
    X(CANCELLING) /* CANCEL sent or waiting for a provisional response */                                 \
    X(ENDING)     /* BYE wanted; goes out when the ACK has come (section 15) */                           \
    X(BYE_SENT)   /* BYE sent, not answered */                                                            \
    X(LEFT)       /* the peer's BYE came; the dialog lives for the subscription (RFC 5057 section 4.1) */ \
    X(DEAD)       /* to be reaped at the end of the step */

#define LEG_INPUTS(X)                                                                                     \
    X(SEND_INVITE) X(RECV_INVITE) X(RECV_1XX) X(RECV_2XX) X(RECV_FAILURE) X(SEND_2XX) X(SEND_FAILURE)     \
    X(RECV_ACK) X(NO_ACK) X(SEND_CANCEL) X(RECV_CANCEL) X(END) X(SEND_BYE) X(RECV_BYE) X(RECV_BYE_KEEP)   \
    X(BYE_DONE) X(GONE) X(RECV_REFER)

enum leg_state {
#define X(n) LEG_##n,
    LEG_STATES(X)
#undef X
    LEG_STATE_COUNT
};
enum leg_input {
#define X(n) LEG_IN_##n,
    LEG_INPUTS(X)
#undef X
    LEG_INPUT_COUNT
};

/* MOVE: to `next`. IGNORE: legal, nothing changes. BUG: our own code would have to be wrong. */
enum leg_verdict { LEG_CELL_MISSING, LEG_MOVE, LEG_IGNORE, LEG_BUG };
struct leg_cell {
    uint8_t verdict;
    uint8_t next;
    const char *section;
};

const struct leg_cell *leg_fsm_cell(enum leg_state s, enum leg_input in);
const char *leg_state_name(unsigned s);
const char *leg_input_name(unsigned in);

#endif
