/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/transfer_fsm.h"

#define DO(action, why) { TRANSFER_ACT, TRANSFER_DO_##action, why }
#define PASS(why) { TRANSFER_IGNORE, TRANSFER_DO_NONE, why }
#define NEVER(why) { TRANSFER_BUG, TRANSFER_DO_NONE, why }

#define EV(name) [TRANSFER_EV_##name]

/* The usages that may end at any time without deciding the transfer (RFC 5589 section 6, RFC 3515 section 2.4.4). */
#define BYSTANDERS                                                                                        \
    EV(TRANSFEROR_GONE) = DO(NOTE_TRANSFEROR, "RFC 5589 6: the transfer goes on"),                        \
    EV(CONSULT_GONE) = DO(NOTE_CONSULT, "must not end the target's dialog"),                              \
    EV(REPLACED_GONE) = DO(NOTE_REPLACED, "RFC 3891 3: the transferor's leg stays until the end")

static const struct transfer_cell table[TRANSFER_STATE_COUNT][TRANSFER_EVENT_COUNT] = {
    [TRANSFER_DIAL] = {
        EV(PROGRESS) = PASS("nobody is told that the transferee rings"),
        EV(TARGET_YES) = NEVER("no target yet"),
        EV(TARGET_NO) = NEVER("no target yet"),
        EV(TARGET_GONE) = PASS("no target yet"),
        EV(TRANSFEREE_YES) = DO(DIALLED, "now the target, as in a blind transfer"),
        EV(TRANSFEREE_NO) = DO(NOT_DIALLED, "RFC 3515 2.4.5: told"),
        EV(TRANSFEREE_GONE) = DO(NOT_DIALLED, "a BYE before the 2xx"),
        EV(TRANSFEROR_GONE) = PASS("there is none"),
        EV(CONSULT_GONE) = PASS("there is none"),
        EV(REPLACED_GONE) = PASS("there is none"),
        EV(NOTIFIED) = PASS("of NOTIFY 100"),
        EV(TIMER) = PASS("the INVITE's own timers end it"),
    },
    [TRANSFER_TARGET] = {
        EV(PROGRESS) = DO(TELL_PROGRESS, "RFC 3515 2.4.4"),
        EV(TARGET_YES) = DO(ANSWERED, "target first"),
        EV(TARGET_NO) = DO(REFUSED, "join, or tell"),
        EV(TARGET_GONE) = PASS("a BYE before the 2xx ends one fork only; TARGET_NO follows"),
        EV(TRANSFEREE_YES) = PASS("a re-INVITE from before the REFER"),
        EV(TRANSFEREE_NO) = PASS("a re-INVITE from before the REFER"),
        EV(TRANSFEREE_GONE) = DO(ABANDON, "RFC 5589 6.3.2"),
        BYSTANDERS,
        EV(NOTIFIED) = PASS("of NOTIFY 100 or 18x"),
        EV(TIMER) = DO(GIVE_UP_TARGET, "join after the wait for Replaces, else 408"),
    },
    [TRANSFER_FALLBACK] = {
        EV(PROGRESS) = PASS("it is being cancelled"),
        EV(TARGET_YES) = NEVER("the leg turns a crossing 2xx into a refusal"),
        EV(TARGET_NO) = DO(FALL_BACK, "now join"),
        EV(TARGET_GONE) = PASS("TARGET_NO follows"),
        EV(TRANSFEREE_YES) = PASS("from before"),
        EV(TRANSFEREE_NO) = PASS("from before"),
        EV(TRANSFEREE_GONE) = DO(ABANDON, "RFC 5589 6.3.2"),
        BYSTANDERS,
        EV(NOTIFIED) = PASS("of NOTIFY 100 or 18x"),
        EV(TIMER) = PASS("the INVITE's own timers end it"),
    },
    [TRANSFER_JOIN] = {
        EV(PROGRESS) = PASS("re-INVITE"),
        EV(TARGET_YES) = DO(ANSWERED, "target first"),
        EV(TARGET_NO) = DO(JOIN_REFUSED, "RFC 3261 14.1: its session is as before"),
        EV(TARGET_GONE) = DO(TARGET_LEFT, "RFC 5407 3.2.2"),
        EV(TRANSFEREE_YES) = PASS("from before"),
        EV(TRANSFEREE_NO) = PASS("from before"),
        EV(TRANSFEREE_GONE) = DO(ABANDON, "RFC 5589 6.3.2"),
        BYSTANDERS,
        EV(NOTIFIED) = PASS("of NOTIFY 100 or 18x"),
        EV(TIMER) = PASS("the re-INVITE has its own limit"),
    },
    [TRANSFER_ASK] = {
        EV(PROGRESS) = PASS("re-INVITE"),
        EV(TARGET_YES) = PASS("late"),
        EV(TARGET_NO) = PASS("late"),
        EV(TARGET_GONE) = DO(TARGET_LEFT, "nobody to talk with"),
        EV(TRANSFEREE_YES) = DO(OFFER, "RFC 3725 4.4: its offer goes to the target"),
        EV(TRANSFEREE_NO) = DO(NOT_ASKED, "RFC 3261 14.1: its session is as before"),
        EV(TRANSFEREE_GONE) = DO(ABANDON, "RFC 5589 6.3.2"),
        BYSTANDERS,
        EV(NOTIFIED) = PASS("of NOTIFY 100 or 18x"),
        EV(TIMER) = PASS("the re-INVITE has its own limit"),
    },
    [TRANSFER_OFFERED] = {
        EV(PROGRESS) = PASS("re-INVITE"),
        EV(TARGET_YES) = DO(LATE_COMMIT, "RFC 3725 4.4: the answer goes into the ACK"),
        EV(TARGET_NO) = DO(LATE_REFUSED, "RFC 6337 3.1.2: the ACK needs an answer all the same"),
        EV(TARGET_GONE) = DO(TARGET_LEFT, "RFC 5407 3.2.2"),
        EV(TRANSFEREE_YES) = PASS("late"),
        EV(TRANSFEREE_NO) = PASS("late"),
        EV(TRANSFEREE_GONE) = DO(ABANDON, "RFC 5589 6.3.2"),
        BYSTANDERS,
        EV(NOTIFIED) = PASS("of NOTIFY 100 or 18x"),
        EV(TIMER) = DO(LATE_REFUSED, "RFC 3261 13.3.1.4: the transferee gives up without ACK"),
    },
    [TRANSFER_ANNOUNCE] = {
        EV(PROGRESS) = PASS("late"),
        EV(TARGET_YES) = PASS("late"),
        EV(TARGET_NO) = PASS("late"),
        EV(TARGET_GONE) = PASS("late"),
        EV(TRANSFEREE_YES) = PASS("late"),
        EV(TRANSFEREE_NO) = PASS("late"),
        EV(TRANSFEREE_GONE) = DO(ABANDON, "it has heard enough"),
        EV(TRANSFEROR_GONE) = PASS("it was before"),
        EV(CONSULT_GONE) = PASS("settled"),
        EV(REPLACED_GONE) = PASS("settled"),
        EV(NOTIFIED) = PASS("the transferee hears to the end"),
        EV(TIMER) = DO(ANNOUNCED, "all of it was heard"),
    },
    [TRANSFER_TRANSFEREE] = {
        EV(PROGRESS) = PASS("late"),
        EV(TARGET_YES) = PASS("late"),
        EV(TARGET_NO) = PASS("another fork"),
        EV(TARGET_GONE) = DO(TARGET_LEFT, "nobody to talk with"),
        EV(TRANSFEREE_YES) = DO(COMMIT, "both have agreed"),
        EV(TRANSFEREE_NO) = DO(ROLL_BACK, "RFC 3261 14.1: its session is as before"),
        EV(TRANSFEREE_GONE) = DO(ABANDON, "RFC 5589 6.3.2"),
        BYSTANDERS,
        EV(NOTIFIED) = PASS("of NOTIFY 100 or 18x"),
        EV(TIMER) = PASS("the re-INVITE has its own limit"),
    },
    [TRANSFER_RESTORE_TARGET] = {
        EV(PROGRESS) = PASS("late"),
        EV(TARGET_YES) = DO(RESTORED, "as it was"),
        EV(TARGET_NO) = DO(RESTORED, "it keeps what it has"),
        EV(TARGET_GONE) = DO(RESTORED, "nothing to restore"),
        EV(TRANSFEREE_YES) = PASS("late"),
        EV(TRANSFEREE_NO) = PASS("late"),
        EV(TRANSFEREE_GONE) = PASS("its call ends by the bridge"),
        EV(TRANSFEROR_GONE) = DO(NOTE_TRANSFEROR, "RFC 5589 6"),
        EV(CONSULT_GONE) = DO(NOTE_CONSULT, "settled when restored"),
        EV(REPLACED_GONE) = DO(NOTE_REPLACED, "settled when restored"),
        EV(NOTIFIED) = DO(NOTE_NOTIFIED, "waits for the restoring"),
        EV(TIMER) = PASS("the re-INVITE has its own limit"),
    },
    [TRANSFER_RESTORE_TRANSFEREE] = {
        EV(PROGRESS) = PASS("late"),
        EV(TARGET_YES) = PASS("late"),
        EV(TARGET_NO) = PASS("late"),
        EV(TARGET_GONE) = PASS("it left before"),
        EV(TRANSFEREE_YES) = DO(RESTORED, "as it was"),
        EV(TRANSFEREE_NO) = DO(RESTORED, "it keeps what it has"),
        EV(TRANSFEREE_GONE) = DO(ABANDON, "RFC 5589 6.3.2"),
        EV(TRANSFEROR_GONE) = DO(NOTE_TRANSFEROR, "the transferee is left alone"),
        EV(CONSULT_GONE) = DO(NOTE_CONSULT, "settled when restored"),
        EV(REPLACED_GONE) = DO(NOTE_REPLACED, "settled when restored"),
        EV(NOTIFIED) = DO(NOTE_NOTIFIED, "waits for the restoring"),
        EV(TIMER) = PASS("the re-INVITE has its own limit"),
    },
    [TRANSFER_NOTIFYING] = {
        EV(PROGRESS) = PASS("late"),
        EV(TARGET_YES) = PASS("late"),
        EV(TARGET_NO) = PASS("late"),
        EV(TARGET_GONE) = PASS("an ordinary call by now"),
        EV(TRANSFEREE_YES) = PASS("late"),
        EV(TRANSFEREE_NO) = PASS("late"),
        EV(TRANSFEREE_GONE) = PASS("an ordinary call by now"),
        EV(TRANSFEROR_GONE) = DO(NOTE_TRANSFEROR, "RFC 5057 4.1: the subscription still lives"),
        EV(CONSULT_GONE) = PASS("settled"),
        EV(REPLACED_GONE) = PASS("settled"),
        EV(NOTIFIED) = DO(FINISH, "no BYE before the NOTIFY is answered"),
        EV(TIMER) = DO(FINISH, "the leg of the NOTIFY died before its answer came"),
    },
    [TRANSFER_BYE_WAIT] = {
        EV(PROGRESS) = PASS("late"),
        EV(TARGET_YES) = PASS("late"),
        EV(TARGET_NO) = PASS("late"),
        EV(TARGET_GONE) = PASS("an ordinary call by now"),
        EV(TRANSFEREE_YES) = PASS("late"),
        EV(TRANSFEREE_NO) = PASS("late"),
        EV(TRANSFEREE_GONE) = PASS("an ordinary call by now"),
        EV(TRANSFEROR_GONE) = DO(LEAVE, "RFC 5589 6.1"),
        EV(CONSULT_GONE) = PASS("settled"),
        EV(REPLACED_GONE) = PASS("settled"),
        EV(NOTIFIED) = PASS("once"),
        EV(TIMER) = DO(END_TRANSFEROR, "it did not send its BYE"),
    },
    [TRANSFER_DONE] = {
        EV(PROGRESS) = PASS("over"), EV(TARGET_YES) = PASS("over"), EV(TARGET_NO) = PASS("over"),
        EV(TARGET_GONE) = PASS("over"), EV(TRANSFEREE_YES) = PASS("over"), EV(TRANSFEREE_NO) = PASS("over"),
        EV(TRANSFEREE_GONE) = PASS("over"), EV(TRANSFEROR_GONE) = PASS("over"), EV(CONSULT_GONE) = PASS("over"),
        EV(REPLACED_GONE) = PASS("over"), EV(NOTIFIED) = PASS("over"), EV(TIMER) = PASS("over"),
    },
};

const struct transfer_cell *transfer_cell(enum transfer_state s, enum transfer_event ev) {
    return &table[s][ev];
}

enum transfer_action transfer_action_at(enum transfer_state s, enum transfer_event ev) {
    return (enum transfer_action)table[s][ev].action;
}

const char *transfer_state_name(unsigned s) {
    static const char *const names[] = {
#define X(n) #n,
        TRANSFER_STATES(X)
#undef X
    };
    return s < TRANSFER_STATE_COUNT ? names[s] : "?";
}

const char *transfer_event_name(unsigned ev) {
    static const char *const names[] = {
#define X(n) #n,
        TRANSFER_EVENTS(X)
#undef X
    };
    return ev < TRANSFER_EVENT_COUNT ? names[ev] : "?";
}
