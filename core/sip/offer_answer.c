/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/offer_answer.h"

#include "core/base/check.h"

static const struct oa_cell table[OA_STATE_COUNT][OA_EVENT_COUNT] = {
    [OA_STABLE] = {
        [OA_EV_SEND_OFFER] = { OA_OK, OA_OFFER_SENT, "RFC 3264 5" },
        [OA_EV_RECV_OFFER] = { OA_OK, OA_OFFER_RCVD, "RFC 3264 5" },
        [OA_EV_SEND_ANSWER] = { OA_BUG, OA_STABLE, "RFC 3264 6" },
        [OA_EV_RECV_ANSWER] = { OA_PROTOCOL, OA_STABLE, "RFC 3261 13.2.1: the same SDP again in a later 1xx or 2xx" },
        [OA_EV_ABORT] = { OA_OK, OA_STABLE, "RFC 6337 3.4" },
    },
    [OA_OFFER_SENT] = {
        [OA_EV_SEND_OFFER] = { OA_BUG, OA_OFFER_SENT, "RFC 3264 4: no second offer" },
        [OA_EV_RECV_OFFER] = { OA_GLARE, OA_OFFER_SENT, "RFC 3261 14.2, RFC 3311 5.2" },
        [OA_EV_SEND_ANSWER] = { OA_BUG, OA_OFFER_SENT, "RFC 3264 6" },
        [OA_EV_RECV_ANSWER] = { OA_OK, OA_STABLE, "RFC 3264 7" },
        [OA_EV_ABORT] = { OA_OK, OA_STABLE, "RFC 6337 3.4" },
    },
    [OA_OFFER_RCVD] = {
        [OA_EV_SEND_OFFER] = { OA_BUG, OA_OFFER_RCVD, "RFC 3264 4" },
        [OA_EV_RECV_OFFER] = { OA_GLARE, OA_OFFER_RCVD, "RFC 3261 14.2" },
        [OA_EV_SEND_ANSWER] = { OA_OK, OA_STABLE, "RFC 3264 6" },
        [OA_EV_RECV_ANSWER] = { OA_PROTOCOL, OA_OFFER_RCVD, "RFC 3264 4" },
        [OA_EV_ABORT] = { OA_OK, OA_STABLE, "RFC 6337 3.4" },
    },
};

const struct oa_cell *oa_cell(enum oa_state s, enum oa_event ev) {
    return &table[s][ev];
}

enum oa_verdict oa_step(uint8_t *state, enum oa_event ev) {
    CHECK(*state < OA_STATE_COUNT && ev < OA_EVENT_COUNT);
    const struct oa_cell *c = &table[*state][ev];
    CHECK(c->verdict != OA_BUG);
    if (c->verdict == OA_OK)
        *state = c->next;
    return (enum oa_verdict)c->verdict;
}

const char *oa_state_name(enum oa_state s) {
    static const char *const names[] = {
#define X(n) #n,
        OA_STATES(X)
#undef X
    };
    return names[s];
}
