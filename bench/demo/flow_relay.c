/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Relayed transfer: the REFER crosses to A, whose INVITE comes back by a token; A's NOTIFYs cross to B. */
#include "bench/demo/demo.h"
#include "bench/demo/rows.h"

/* Chains: 0 REFER and NOTIFYs, 1 C's legs, 2 A's new call, 3 C ends what was replaced, 4 B's consultation leg. */

#define RELAYED_LINES(replaces)                                                                                       \
    { B, TX, REQUEST(REFER), D1, .label = 1, .check = check_refer, .arg = replaces, .text = "B asks for it" },        \
    { A, RX, REQUEST(REFER), D1, .after = 1, .check = check_relayed, .arg = replaces, .text = "it crosses to A" },    \
    { A, TX, REPLY(202, REFER), D1, .label = 5, .text = "A accepts" },                                                \
    { B, RX, REPLY(202, REFER), D1, .after = 5, .text = "A's answer is B's" },                                        \
    CROSSING_NOTIFY_LINES(100)

#define CROSSING_NOTIFY_LINES(status)                                                                                 \
    { A, TX, REQUEST(NOTIFY), D1, NOTIFIED(status), .text = "A tells" },                                              \
    { B, RX, REQUEST(NOTIFY), D1, NOTIFIED(status), .text = "B is told" },                                            \
    { B, TX, REPLY(200, NOTIFY), D1, .text = "B's 200" },                                                             \
    { A, RX, REPLY(200, NOTIFY), D1, .text = "it crosses back" }

#define FOLLOWING_LINES(n, replaces)                                                                                  \
    { A, TX, REQUEST(INVITE), n, .chain = 2, .after = 1, .check = check_follows, .arg = replaces,                     \
      .text = "A calls the Refer-To URI" },                                                                           \
    { A, RX, REPLY(401, INVITE), n, .chain = 2, .check = check_challenge, .text = "a digest challenge" },             \
    { A, TX, REQUEST(ACK), n, .chain = 2, .text = "ACK to the 401" },                                                 \
    { A, TX, REQUEST(INVITE), n, .chain = 2, .label = 6, .check = check_credentials,                                  \
      .text = "INVITE with credentials" },                                                                            \
    { A, RX, REPLY(100, INVITE), n, .chain = 5, .repeat = true, .text = "100 Trying" }

#define FOLLOWED_LINES(n)                                                                                             \
    { A, RX, REPLY(200, INVITE), n, .chain = 2, .after = 2, .label = 3, ANCHORED(SDP_SENDRECV),                       \
      .text = "C's answer, anchored" },                                                                               \
    { A, TX, REQUEST(ACK), n, .chain = 2, .text = "A's ACK" },                                                        \
    CROSSING_NOTIFY_LINES(-200)

#define CONSULT_OVER_LINES                                                                                            \
    { B, RX, REQUEST(BYE), D2, .chain = 4, .after = 2, .text = "B's consultation leg ends" },                         \
    { B, TX, REPLY(200, BYE), D2, .chain = 4, .text = "B's 200" }

static const struct want splice[] = {
    RELAYED_LINES(1),
    FOLLOWING_LINES(D2, 1),
    { C, RX, REQUEST(INVITE), D2, .chain = 1, .after = 6, .check = check_no_replaces, .arg = SDP_SENDRECV,
      .text = "re-INVITE to C in its consultation dialog" },
    { C, TX, REPLY(200, INVITE), D2, .chain = 1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C agrees" },
    { C, RX, REQUEST(ACK), D2, .chain = 1, .text = "ACK to C's 200" },
    FOLLOWED_LINES(D2),
    CONSULT_OVER_LINES,
};

static const struct want forward[] = {
    RELAYED_LINES(1),
    FOLLOWING_LINES(D3, 1),
    { C, RX, REQUEST(INVITE), D3, .chain = 1, .after = 6, .check = check_replaces, .arg = SDP_SENDRECV,
      .text = "a new INVITE to C with Replaces of C's own dialog" },
    { C, TX, REPLY(200, INVITE), D3, .chain = 1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C answers at once" },
    { C, RX, REQUEST(ACK), D3, .chain = 1, .text = "ACK to C's 200" },
    { C, TX, REQUEST(BYE), D2, .chain = 3, .after = 2, .text = "C ends its consultation dialog" },
    { C, RX, REPLY(200, BYE), D2, .chain = 3, .text = "200 to C's BYE" },
    FOLLOWED_LINES(D3),
    CONSULT_OVER_LINES,
};

static const struct want blind[] = {
    RELAYED_LINES(0),
    FOLLOWING_LINES(D3, 0),
    { C, RX, REQUEST(INVITE), D3, .chain = 1, .after = 6, .check = check_triggered, .arg = SDP_SENDRECV,
      .text = "a new INVITE to C with A's full offer" },
    { C, TX, REPLY(180, INVITE), D3, .chain = 1, .label = 4, .text = "C rings" },
    { A, RX, REPLY(180, INVITE), D3, .chain = 2, .after = 4, .text = "A hears that C rings" },
    CROSSING_NOTIFY_LINES(180),
    { C, TX, REPLY(200, INVITE), D3, .chain = 1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C answers" },
    { C, RX, REQUEST(ACK), D3, .chain = 1, .text = "ACK to C's 200" },
    FOLLOWED_LINES(D3),
};

static const struct want b_leaves[] = { END_LINES(B, D1, A, D1) };
static const struct want end_joined[] = { END_LINES(A, D2, C, D2) };
static const struct want end_new[] = { END_LINES(A, D3, C, D3) };

/* B hangs up: A's first call, which nobody needs any more, ends too. `n` is A's new one, and C's. */
static bool relayed_talk(struct demo *d, enum dlg n) {
    STAGE(d, "B leaves: its call with A ends at both", b_leaves);
    if (phone_hang_up(&d->phones[B], d->bound[B][D1]) < 0 || !stage_wait(d) || !flow_heard(d, C, n, false))
        return false;
    if (n == D2)
        STAGE(d, "A hangs up", end_joined);
    else
        STAGE(d, "A hangs up", end_new);
    return phone_hang_up(&d->phones[A], d->bound[A][n]) == 0 && stage_wait(d) && flow_no_dialogs(d);
}

bool flow_relay(struct demo *d) {
    if (!flow_call_a_b(d) || !flow_hold_a(d) || !flow_consult(d))
        return false;
    d->near_dlg = D2;
    STAGE(d, "B refers A to C; the REFER is relayed (attended transfer, splice)", splice);
    return flow_refer(d, true) && relayed_talk(d, D2);
}

bool flow_relay_forward(struct demo *d) {
    if (!flow_call_a_b(d) || !flow_hold_a(d) || !flow_consult(d))
        return false;
    d->near_dlg = D3;
    STAGE(d, "B refers A to C; the REFER is relayed (attended transfer, Replaces forwarded)", forward);
    return flow_refer(d, true) && relayed_talk(d, D3);
}

bool flow_relay_blind(struct demo *d) {
    if (!flow_call_a_b(d))
        return false;
    d->near_dlg = D3;
    STAGE(d, "B refers A to C; the REFER is relayed (blind transfer)", blind);
    return flow_refer(d, false) && relayed_talk(d, D3);
}
