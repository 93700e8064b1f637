/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * rows: how the first columns of a table of expected lines are written: who, TX or RX, REQUEST or REPLY, dialog.
 */
#ifndef REFEREE_BENCH_ROWS_H
#define REFEREE_BENCH_ROWS_H

#define TX true
#define RX false
#define REQUEST(m) SIP_M_##m, 0
#define REPLY(code, m) SIP_M_##m, code
/* What the description in it has to say; ANCHORED and OWN_DIALOG take SDP_... as well. */
#define DIRECTION(dir) .check = check_direction, .arg = dir
#define ANCHORED(dir) .check = check_anchored, .arg = dir
#define OWN_DIALOG(dir) .check = check_own_dialog, .arg = dir
/* Status of the sipfrag; negative: and the subscription ends with it. */
#define NOTIFIED(status) .check = check_notify, .arg = status

/* A re-INVITE of `from` that crosses to `to` with the same direction, and its answer back. */
#define CROSSING_LINES(n, from, to, wish, answer)                                                                     \
    { from, TX, REQUEST(INVITE), n, .label = 1, DIRECTION(wish), .text = "re-INVITE" },                               \
    { from, RX, REPLY(100, INVITE), n, .optional = true, .text = "100 Trying" },                                      \
    { to, RX, REQUEST(INVITE), n, .after = 1, ANCHORED(wish), .text = "it crosses" },                                 \
    { to, TX, REPLY(200, INVITE), n, .label = 2, DIRECTION(answer), .text = "200" },                                  \
    { to, RX, REQUEST(ACK), n, .text = "ACK to it" },                                                                 \
    { from, RX, REPLY(200, INVITE), n, .after = 2, ANCHORED(answer), .text = "the answer crosses back" },             \
    { from, TX, REQUEST(ACK), n, .text = "ACK" }

/* `from` hangs up; the other side's leg ends too. */
#define END_LINES(from, from_n, to, to_n)                                                                             \
    { from, TX, REQUEST(BYE), from_n, .label = 1, .text = "it hangs up" },                                            \
    { from, RX, REPLY(200, BYE), from_n, .text = "200 to it" },                                                       \
    { to, RX, REQUEST(BYE), to_n, .after = 1, .text = "the other leg ends" },                                         \
    { to, TX, REPLY(200, BYE), to_n, .text = "200" }

/* B calls C, who rings. */
#define CONSULT_RING_LINES                                                                                            \
    { B, TX, REQUEST(INVITE), D2, .text = "B's offer" },                                                              \
    { B, RX, REPLY(401, INVITE), D2, .check = check_challenge, .text = "a digest challenge" },                        \
    { B, TX, REQUEST(ACK), D2, .text = "ACK to the 401" },                                                            \
    { B, TX, REQUEST(INVITE), D2, .check = check_credentials, .label = 1, .text = "INVITE with credentials" },        \
    { B, RX, REPLY(100, INVITE), D2, .chain = 1, .repeat = true, .text = "100 Trying" },                              \
    { C, RX, REQUEST(INVITE), D2, .after = 1, OWN_DIALOG(SDP_SENDRECV), .text = "C is called, a dialog of its own" }, \
    { C, TX, REPLY(180, INVITE), D2, .label = 2, .text = "C rings" },                                                 \
    { B, RX, REPLY(180, INVITE), D2, .after = 2, .text = "B hears that C rings" }

/* Chains: 0 what B hears of the REFER, 1 the target's leg, 2 the transferee's, 3 the consultation dialog's end. */

/* A is taken off hold with what C answered; only then is the transfer done. `from` is the label of C's 200. */
#define TRANSFEREE_LINES(from, done)                                                                                  \
    { A, RX, REQUEST(INVITE), D1, .chain = 2, .after = from, ANCHORED(SDP_SENDRECV), .text = "A is taken off hold" }, \
    { A, TX, REPLY(200, INVITE), D1, .chain = 2, .label = done, DIRECTION(SDP_SENDRECV), .text = "A agrees" },        \
    { A, RX, REQUEST(ACK), D1, .chain = 2, .text = "ACK to A's 200" }

#define REFER_LINES(replaces)                                                                                         \
    { B, TX, REQUEST(REFER), D1, .label = 1, .check = check_refer, .arg = replaces, .text = "B asks for it" },         \
    { B, RX, REPLY(202, REFER), D1, .text = "202 Accepted" },                                                         \
    { B, RX, REQUEST(NOTIFY), D1, NOTIFIED(100), .text = "NOTIFY 100 Trying, active" },                               \
    { B, TX, REPLY(200, NOTIFY), D1, .text = "B's 200" }

/* A blind transfer, until C rings. */
#define RINGING_LINES                                                                                                 \
    REFER_LINES(0),                                                                                                   \
    { C, RX, REQUEST(INVITE), D3, .chain = 1, .after = 1, .check = check_triggered, .arg = SDP_SENDRECV,              \
      .text = "a new INVITE to C" },                                                                                  \
    { C, TX, REPLY(180, INVITE), D3, .chain = 1, .label = 4, .text = "C rings" },                                     \
    { B, RX, REQUEST(NOTIFY), D1, .after = 4, NOTIFIED(180), .text = "NOTIFY 180 Ringing" },                          \
    { B, TX, REPLY(200, NOTIFY), D1, .text = "B's 200" }

#define DONE_LINES(from)                                                                                              \
    { B, RX, REQUEST(NOTIFY), D1, .after = from, NOTIFIED(-200), .text = "NOTIFY 200 OK, terminated" },               \
    { B, TX, REPLY(200, NOTIFY), D1, .text = "B's 200" }

#endif
