/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * transfer_fsm: one transfer from the accepted REFER to its end, as one total table (RFC 3515, 5589, 3891):
 * the transferee is not touched until the target has said yes.
 */
#ifndef REFEREE_B2B_TRANSFER_FSM_H
#define REFEREE_B2B_TRANSFER_FSM_H

#include <stdint.h>

#define TRANSFER_STATES(X)                                                                                \
    X(TARGET)             /* INVITE to the target is open */                                              \
    X(FALLBACK)           /* INVITE with Replaces was cancelled; join follows its final response */       \
    X(JOIN)               /* re-INVITE to the target's own leg is open */                                 \
    X(TRANSFEREE)         /* the target said yes; re-INVITE to the transferee is open */                  \
    X(RESTORE_TARGET)     /* failed; the target gets its former session back */                           \
    X(RESTORE_TRANSFEREE) /* failed; the transferee gets its former session back */                       \
    X(NOTIFYING)          /* decided; the final NOTIFY is on its way */                                   \
    X(BYE_WAIT)           /* done; the transferor may send its BYE */                                     \
    X(DONE)               /* to be freed */                                                               \
    X(DIAL)               /* the transferee itself is being called: REFER outside a dialog */             \
    X(ASK)                /* re-INVITE without a description to the transferee is open: RFC 3725 flow IV */ \
    X(OFFERED)            /* its offer is with the target, and its ACK waits for the answer */            \
    X(ANNOUNCE)           /* recalled in vain: the transferee hears why, and then its BYE */

#define TRANSFER_EVENTS(X)                                                                                \
    X(PROGRESS)           /* 18x of the target */                                                         \
    X(TARGET_YES)         /* 2xx of the target */                                                         \
    X(TARGET_NO)          /* every INVITE to the target was refused, or its re-INVITE */                  \
    X(TARGET_GONE)        /* BYE of the target */                                                         \
    X(TRANSFEREE_YES)                                                                                     \
    X(TRANSFEREE_NO)                                                                                      \
    X(TRANSFEREE_GONE)                                                                                    \
    X(TRANSFEROR_GONE)                                                                                    \
    X(CONSULT_GONE)       /* the transferor ended its consultation leg */                                 \
    X(REPLACED_GONE)      /* the target ended the dialog that is being replaced */                        \
    X(NOTIFIED)           /* the final NOTIFY was answered, or nobody hears it */                         \
    X(TIMER)

#define TRANSFER_ACTIONS(X)                                                                               \
    X(NONE) X(TELL_PROGRESS) X(ANSWERED) X(REFUSED) X(FALL_BACK) X(GIVE_UP_TARGET) X(JOIN_REFUSED)        \
    X(COMMIT) X(ROLL_BACK) X(ABANDON) X(TARGET_LEFT) X(NOTE_TRANSFEROR) X(NOTE_CONSULT) X(NOTE_REPLACED)  \
    X(RESTORED) X(DIALLED) X(NOT_DIALLED) X(NOTE_NOTIFIED) X(FINISH) X(END_TRANSFEROR) X(LEAVE)           \
    X(OFFER) X(NOT_ASKED) X(LATE_COMMIT) X(LATE_REFUSED) X(ANNOUNCED)

enum transfer_state {
#define X(n) TRANSFER_##n,
    TRANSFER_STATES(X)
#undef X
    TRANSFER_STATE_COUNT
};
enum transfer_event {
#define X(n) TRANSFER_EV_##n,
    TRANSFER_EVENTS(X)
#undef X
    TRANSFER_EVENT_COUNT
};
enum transfer_action {
#define X(n) TRANSFER_DO_##n,
    TRANSFER_ACTIONS(X)
#undef X
    TRANSFER_ACTION_COUNT
};

/* ACT: the action is done and sets the next state. IGNORE: legal and of no consequence. BUG: cannot be. */
enum transfer_verdict { TRANSFER_CELL_MISSING, TRANSFER_ACT, TRANSFER_IGNORE, TRANSFER_BUG };
struct transfer_cell {
    uint8_t verdict;
    uint8_t action;
    const char *why;
};

/* Of an event that has come. */
const struct transfer_cell *transfer_cell(enum transfer_state s, enum transfer_event ev);
/* What would be done if it came: nothing counts it as having come. */
enum transfer_action transfer_action_at(enum transfer_state s, enum transfer_event ev);
const char *transfer_state_name(unsigned s);
const char *transfer_event_name(unsigned ev);

#endif
