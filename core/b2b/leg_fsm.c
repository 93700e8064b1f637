/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/leg_fsm.h"

#define GO(next, section) { LEG_MOVE, LEG_##next, section }
#define STAY(section) { LEG_IGNORE, 0, section }
#define NEVER { LEG_BUG, 0, "" }

/* One row a state, in the order of LEG_INPUTS:
 * SEND_INVITE RECV_INVITE RECV_1XX RECV_2XX RECV_FAILURE SEND_2XX SEND_FAILURE RECV_ACK NO_ACK
 * SEND_CANCEL RECV_CANCEL END SEND_BYE RECV_BYE RECV_BYE_KEEP BYE_DONE GONE RECV_REFER */
static const struct leg_cell table[LEG_STATE_COUNT][LEG_INPUT_COUNT] = {
    [LEG_IDLE] = {
        GO(CALLING, "13.2.1"), GO(INCOMING, "13.3.1"), NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER,
        NEVER, NEVER, GO(DEAD, "no INVITE left"), NEVER, NEVER, NEVER, NEVER, GO(DEAD, "no INVITE left"),
        GO(LEFT, "RFC 6665: a subscription, no INVITE usage"),
    },
    [LEG_CALLING] = {
        NEVER, NEVER, GO(EARLY, "12.1"), GO(UP, "13.2.2.4"), GO(DEAD, "13.2.2.3"), NEVER, NEVER, NEVER, NEVER,
        GO(CANCELLING, "9.1"), NEVER, GO(CANCELLING, "9.1"), NEVER, GO(CANCELLING, "15: no BYE on an early dialog"),
        GO(LEFT, "RFC 5057 4.1"), NEVER, GO(DEAD, "13.2.2.3"),
        NEVER,
    },
    [LEG_EARLY] = {
        NEVER, NEVER, STAY("13.2.2.1"), GO(UP, "13.2.2.4"), GO(DEAD, "13.2.2.3"), NEVER, NEVER, NEVER, NEVER,
        GO(CANCELLING, "9.1"), NEVER, GO(CANCELLING, "9.1"), NEVER, GO(CANCELLING, "15: no BYE on an early dialog"),
        GO(LEFT, "RFC 5057 4.1"), NEVER, GO(DEAD, "13.2.2.3"),
        NEVER,
    },
    [LEG_INCOMING] = {
        NEVER, NEVER, NEVER, NEVER, NEVER, GO(ANSWERED, "13.3.1.4"), GO(DEAD, "13.3.1.3"), STAY("no 2xx, no ACK"),
        NEVER,
        NEVER, GO(DEAD, "9.2"), GO(DEAD, "13.3.1.3"), NEVER, GO(DEAD, "15.1.2: 487 to the INVITE"),
        GO(LEFT, "RFC 5057 4.1"), NEVER, GO(DEAD, "17.2"),
        NEVER,
    },
    [LEG_ANSWERED] = {
        NEVER, NEVER, NEVER, NEVER, NEVER, STAY("2xx again"), STAY("RFC 5407 3.1.4: a re-INVITE before the ACK"),
        GO(UP, "13.3.1.4"), GO(ENDING, "13.3.1.4: BYE"), NEVER, STAY("9.2: no effect after the final response"),
        GO(ENDING, "15: no BYE before the ACK"), NEVER, GO(DEAD, "15.1.2"), GO(LEFT, "RFC 5057 4.1"), NEVER,
        GO(DEAD, "12.2.1.2"),
        NEVER,
    },
    [LEG_UP] = {
        NEVER, NEVER, STAY("re-INVITE"), STAY("re-INVITE"), STAY("re-INVITE"), STAY("re-INVITE"), STAY("re-INVITE"),
        STAY("re-INVITE's ACK, or repeated"), GO(ENDING, "13.3.1.4: BYE"), STAY("re-INVITE"), STAY("re-INVITE"),
        GO(ENDING, "15"), GO(BYE_SENT, "15.1.1"), GO(DEAD, "15.1.2"), GO(LEFT, "RFC 5057 4.1"), NEVER,
        GO(DEAD, "12.2.1.2"),
        NEVER,
    },
    [LEG_CANCELLING] = {
        NEVER, NEVER, STAY("9.1: CANCEL goes out now"), GO(ENDING, "9.1: ACK, then BYE"), GO(DEAD, "9.1"), NEVER, NEVER,
        NEVER, NEVER, STAY("once"), NEVER, STAY("under way"), NEVER, STAY("the INVITE's own end decides"),
        GO(LEFT, "RFC 5057 4.1"), NEVER, GO(DEAD, "9.1: 64*T1 passed"),
        NEVER,
    },
    [LEG_ENDING] = {
        NEVER, NEVER, STAY("late"), STAY("late"), STAY("late"), STAY("late"), STAY("late"), STAY("BYE follows"),
        STAY("BYE follows"), STAY("late"), STAY("late"), STAY("under way"), GO(BYE_SENT, "15.1.1"),
        GO(DEAD, "15.1.2"), GO(LEFT, "RFC 5057 4.1"), NEVER, GO(DEAD, "12.2.1.2"),
        NEVER,
    },
    [LEG_BYE_SENT] = {
        NEVER, NEVER, STAY("late"), STAY("late: ACK only"), STAY("late"), STAY("late"), STAY("late"), STAY("late"),
        STAY("late"), STAY("late"), STAY("late"), STAY("under way"), NEVER,
        STAY("RFC 5407 3.2.1: BYE meets BYE; ours is still to be answered"), STAY("RFC 5407 3.2.1"),
        GO(DEAD, "15.1.1"), STAY("15.1.1: the BYE's own end decides"),
        NEVER,
    },
    [LEG_LEFT] = {
        NEVER, NEVER, STAY("late"), STAY("late: ACK only"), STAY("late"), STAY("late"), STAY("late"), STAY("late"),
        STAY("late"), STAY("late"), STAY("late"), GO(DEAD, "RFC 5057 4.2: last usage"), NEVER, STAY("BYE again"),
        STAY("BYE again"), NEVER, GO(DEAD, "RFC 5057 5.1"),
        NEVER,
    },
    [LEG_DEAD] = {
        NEVER, NEVER, STAY("over"), STAY("over"), STAY("over"), STAY("over"), STAY("over"), STAY("over"), STAY("over"),
        STAY("over"), STAY("over"), STAY("over"), NEVER, STAY("over"), STAY("over"), STAY("over"), STAY("over"),
        NEVER,
    },
};

const struct leg_cell *leg_fsm_cell(enum leg_state s, enum leg_input in) {
    return &table[s][in];
}

const char *leg_state_name(unsigned s) {
    static const char *const names[] = {
#define X(n) #n,
        LEG_STATES(X)
#undef X
    };
    return s < LEG_STATE_COUNT ? names[s] : "?";
}

const char *leg_input_name(unsigned in) {
    static const char *const names[] = {
#define X(n) #n,
        LEG_INPUTS(X)
#undef X
    };
    return in < LEG_INPUT_COUNT ? names[in] : "?";
}
