/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What goes wrong, and who leaves when: nobody else's leg may fall, and the transferor is told. */
#include "bench/demo/demo.h"
#include "bench/demo/rows.h"

/* A new INVITE that C refuses: it makes no dialog at C. */
#define REFUSED_LINES(the_check, code)                                                                                \
    { C, RX, REQUEST(INVITE), D_NONE, .chain = 1, .after = 1, .check = the_check, .arg = SDP_SENDRECV,                 \
      .text = "a new INVITE to C" },                                                                                  \
    { C, TX, REPLY(code, INVITE), D_NONE, .chain = 1, .label = 2, .text = "C refuses it" },                            \
    { C, RX, REQUEST(ACK), D_NONE, .chain = 1, .text = "ACK to the refusal" }

#define FAILED_LINES(code)                                                                                            \
    { B, RX, REQUEST(NOTIFY), D1, .after = 2, NOTIFIED(-code), .text = "NOTIFY of the refusal, terminated" },         \
    { B, TX, REPLY(200, NOTIFY), D1, .text = "B's 200" }

static const struct want busy[] = { REFER_LINES(0), REFUSED_LINES(check_triggered, 486), FAILED_LINES(486) };
static const struct want declined[] = { REFER_LINES(1), REFUSED_LINES(check_replaces, 603), FAILED_LINES(603) };
static const struct want resumed[] = { CROSSING_LINES(D1, B, A, SDP_SENDRECV, SDP_SENDRECV) };
static const struct want resumed_c[] = { CROSSING_LINES(D2, B, C, SDP_SENDRECV, SDP_SENDRECV) };
static const struct want b_ends[] = { END_LINES(B, D1, A, D1) };

static const struct want b_ends_both[] = {
    END_LINES(B, D1, A, D1),
    { B, TX, REQUEST(BYE), D2, .chain = 1, .label = 2, .text = "and from C" },
    { B, RX, REPLY(200, BYE), D2, .chain = 1, .text = "200 to it" },
    { C, RX, REQUEST(BYE), D2, .chain = 1, .after = 2, .text = "C's leg ends" },
    { C, TX, REPLY(200, BYE), D2, .chain = 1, .text = "C's 200" },
};

/* C is busy: the blind transfer fails, A and B have never stopped talking. */
bool flow_busy(struct demo *d) {
    static const enum who pairs[][2] = { { A, B }, { B, A } };
    d->phones[C].config.refuse = 486;
    if (!flow_call_a_b(d))
        return false;
    STAGE(d, "B refers A to C, who is busy", busy);
    if (!flow_refer(d, false) || !audio_expect(d, 600000, pairs, 2, D1))
        return false;
    STAGE(d, "B hangs up", b_ends);
    return phone_hang_up(&d->phones[B], d->bound[B][D1]) == 0 && stage_wait(d) && flow_no_dialogs(d);
}

/* C declines the INVITE with Replaces: both calls stay as they were, and B takes both off hold. */
bool flow_decline(struct demo *d) {
    static const enum who with_a[][2] = { { A, B }, { B, A } }, with_c[][2] = { { C, B }, { B, C } };
    if (!flow_call_a_b(d) || !flow_hold_a(d) || !flow_consult(d))
        return false;
    d->phones[C].config.refuse = 603;
    STAGE(d, "B refers A to C, who declines", declined);
    if (!flow_refer(d, true))
        return false;
    STAGE(d, "B takes A off hold", resumed);
    if (phone_hold(&d->phones[B], d->bound[B][D1], false) < 0 || !stage_wait(d) ||
        !audio_expect(d, 600000, with_a, 2, D1))
        return false;
    STAGE(d, "B takes C off hold", resumed_c);
    if (phone_hold(&d->phones[B], d->bound[B][D2], false) < 0 || !stage_wait(d) ||
        !audio_expect(d, 600000, with_c, 2, D2))
        return false;
    STAGE(d, "B hangs up both", b_ends_both);
    return phone_hang_up(&d->phones[B], d->bound[B][D1]) == 0 && phone_hang_up(&d->phones[B], d->bound[B][D2]) == 0 &&
           stage_wait(d) && flow_no_dialogs(d);
}

/* ---- C lists replaces, but refuses that INVITE: joined instead */

static const struct want refused[] = {
    REFER_LINES(1),
    REFUSED_LINES(check_replaces, 500),
    { C, RX, REQUEST(INVITE), D2, .chain = 2, .after = 2, .check = check_no_replaces, .arg = SDP_SENDRECV,
      .text = "re-INVITE to C instead" },
    { C, TX, REPLY(200, INVITE), D2, .chain = 2, .label = 5, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C agrees" },
    { C, RX, REQUEST(ACK), D2, .chain = 2, .text = "ACK to C's 200" },
    TRANSFEREE_LINES(5, 3),
    { B, RX, REQUEST(BYE), D2, .chain = 4, .after = 3, .text = "the Referee ends B's consultation leg" },
    { B, TX, REPLY(200, BYE), D2, .chain = 4, .text = "B's 200" },
    DONE_LINES(3),
};

bool flow_refused(struct demo *d) {
    if (!flow_call_a_b(d) || !flow_hold_a(d) || !flow_consult(d))
        return false;
    d->phones[C].config.refuse = 500;
    STAGE(d, "B refers A to C, who fails at Replaces: joined by re-INVITE", refused);
    return flow_refer(d, true) && flow_talk(d, D2);
}

/* ---- somebody leaves while C rings */

static const struct want ringing[] = { RINGING_LINES };

static const struct want goes_on[] = {
    { B, TX, REQUEST(BYE), D1, .label = 1, .text = "B hangs up while C rings" },
    { B, RX, REPLY(200, BYE), D1, .text = "200 to it" },
    { B, RX, REQUEST(NOTIFY), D_ANY, .chain = 5, .optional = true, .repeat = true, .text = "NOTIFY is still tried" },
    { B, TX, REPLY(481, NOTIFY), D_ANY, .chain = 5, .optional = true, .repeat = true, .text = "B knows it no more" },
    { C, TX, REPLY(200, INVITE), D3, .chain = 1, .label = 2, .splice = true, .after = 1, .text = "C answers" },
    { C, RX, REQUEST(ACK), D3, .chain = 1, .text = "ACK to C's 200" },
    TRANSFEREE_LINES(2, 3),
};

bool flow_leave(struct demo *d) {
    if (!flow_call_a_b(d))
        return false;
    d->phones[C].config.answer_us = 1500000;
    STAGE(d, "B refers A to C (blind transfer); C rings", ringing);
    if (!flow_refer(d, false))
        return false;
    STAGE(d, "B does not wait: its leg ends, the transfer goes on (RFC 5589 section 6)", goes_on);
    if (phone_hang_up(&d->phones[B], d->bound[B][D1]) < 0 || !stage_wait(d))
        return false;
    return flow_heard(d, C, D3, true) && flow_hang_up(d, D3);
}

static const struct want given_up[] = {
    { A, TX, REQUEST(BYE), D1, .label = 1, .text = "A hangs up while C rings" },
    { A, RX, REPLY(200, BYE), D1, .text = "200 to it" },
    { C, RX, REQUEST(CANCEL), D3, .after = 1, .text = "CANCEL to C" },
    { C, TX, REPLY(200, CANCEL), D3, .text = "200 to it" },
    { C, TX, REPLY(487, INVITE), D3, .text = "C rings no more" },
    { C, RX, REQUEST(ACK), D_NONE, .text = "ACK to the 487" },
    { B, RX, REQUEST(NOTIFY), D1, .after = 1, NOTIFIED(-487), .text = "NOTIFY 487, terminated" },
    { B, TX, REPLY(200, NOTIFY), D1, .text = "B's 200" },
    { B, RX, REQUEST(BYE), D1, .text = "B's leg ends, after the NOTIFY" },
    { B, TX, REPLY(200, BYE), D1, .text = "B's 200" },
};

bool flow_gone(struct demo *d) {
    if (!flow_call_a_b(d))
        return false;
    d->phones[C].config.answer_us = 5000000;
    STAGE(d, "B refers A to C (blind transfer); C rings", ringing);
    if (!flow_refer(d, false))
        return false;
    STAGE(d, "A does not wait: C stops ringing, B is told", given_up);
    return phone_hang_up(&d->phones[A], d->bound[A][D1]) == 0 && stage_wait(d) && flow_no_dialogs(d);
}

/* ---- B ends the consultation itself, in the same breath as the REFER */

static const struct want early_bye[] = {
    REFER_LINES(1),
    { B, TX, REQUEST(BYE), D2, .chain = 4, .text = "B ends the consultation at once" },
    { B, RX, REPLY(200, BYE), D2, .chain = 4, .text = "200 to it" },
    { C, RX, REQUEST(INVITE), D3, .chain = 1, .after = 1, .check = check_replaces, .arg = SDP_SENDRECV,
      .text = "a new INVITE to C with Replaces of C's own dialog, which is still there" },
    { C, TX, REPLY(200, INVITE), D3, .chain = 1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C answers at once" },
    { C, RX, REQUEST(ACK), D3, .chain = 1, .text = "ACK to C's 200" },
    { C, TX, REQUEST(BYE), D2, .chain = 3, .after = 2, .text = "C ends its consultation dialog" },
    { C, RX, REPLY(200, BYE), D2, .chain = 3, .text = "200 to C's BYE" },
    TRANSFEREE_LINES(2, 3),
    DONE_LINES(3),
};

bool flow_early_bye(struct demo *d) {
    if (!flow_call_a_b(d) || !flow_hold_a(d) || !flow_consult(d))
        return false;
    STAGE(d, "B refers A to C and ends its consultation call in the same breath", early_bye);
    return flow_refer_start(d, true) && phone_hang_up(&d->phones[B], d->bound[B][D2]) == 0 && stage_wait(d) &&
           flow_talk(d, D3);
}
