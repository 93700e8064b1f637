/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * offer_answer: whose offer is open in a dialog (RFC 3264 section 4, RFC 3261 section 13.2.1, RFC 6337 section 2.2).
 * One total table. A dialog that is not stable cannot be offered to by us, and an offer it sends then gets 491.
 */
#ifndef REFEREE_SIP_OFFER_ANSWER_H
#define REFEREE_SIP_OFFER_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#define OA_STATES(X) X(STABLE) X(OFFER_SENT) X(OFFER_RCVD)
#define OA_EVENTS(X) X(SEND_OFFER) X(RECV_OFFER) X(SEND_ANSWER) X(RECV_ANSWER) X(ABORT)

enum oa_state {
#define X(n) OA_##n,
    OA_STATES(X)
#undef X
    OA_STATE_COUNT
};
enum oa_event {
#define X(n) OA_EV_##n,
    OA_EVENTS(X)
#undef X
    OA_EVENT_COUNT
};

/* GLARE: the peer's offer meets ours: 491. PROTOCOL: an answer nobody asked for: ignored by the caller. BUG: we never
 * do that. */
enum oa_verdict { OA_OK, OA_GLARE, OA_PROTOCOL, OA_BUG };

struct oa_cell {
    uint8_t verdict;
    uint8_t next;
    const char *section;
};

const struct oa_cell *oa_cell(enum oa_state s, enum oa_event ev);
/* Moves *state when the verdict is OA_OK. OA_BUG is CHECKed. */
enum oa_verdict oa_step(uint8_t *state, enum oa_event ev);
const char *oa_state_name(enum oa_state s);

#endif
