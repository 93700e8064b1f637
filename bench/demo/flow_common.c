/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/demo/demo.h"
#include "bench/demo/rows.h"

#include <stdio.h>

#define REGISTER_LINES(w)                                                                                             \
    { w, TX, REQUEST(REGISTER), .chain = w, .text = "REGISTER without credentials" },                                 \
    { w, RX, REPLY(401, REGISTER), .chain = w, .check = check_challenge, .text = "a digest challenge" },              \
    { w, TX, REQUEST(REGISTER), .chain = w, .check = check_credentials, .text = "REGISTER with credentials" },        \
    { w, RX, REPLY(200, REGISTER), .chain = w, .text = "the binding is taken" }

static const struct want registering[] = { REGISTER_LINES(A), REGISTER_LINES(B), REGISTER_LINES(C) };

bool flow_register(struct demo *d, bool on) {
    const char *name = on ? "A, B and C register (RFC 3261 section 10, digest)" : "A, B and C end their registrations";
    STAGE(d, name, registering);
    for (int w = 0; w < P; w++)
        if (phone_register(&d->phones[w], on ? d->phones[w].config.expires : 0) < 0)
            return false;
    return stage_wait(d);
}

/* ---- the first call */

static const struct want call_a_b[] = {
    { A, TX, REQUEST(INVITE), D1, .check = check_offer_full, .text = "A's full offer" },
    { A, RX, REPLY(401, INVITE), D1, .check = check_challenge, .text = "a digest challenge" },
    { A, TX, REQUEST(ACK), D1, .text = "ACK to the 401" },
    { A, TX, REQUEST(INVITE), D1, .check = check_credentials, .label = 1, .text = "INVITE with credentials" },
    { A, RX, REPLY(100, INVITE), D1, .chain = 1, .repeat = true, .text = "100 Trying" },
    { B, RX, REQUEST(INVITE), D1, .after = 1, OWN_DIALOG(SDP_SENDRECV), .text = "B is called, a dialog of its own" },
    { B, TX, REPLY(180, INVITE), D1, .label = 2, .text = "B rings" },
    { A, RX, REPLY(180, INVITE), D1, .after = 2, .text = "A hears that B rings" },
    { B, TX, REPLY(200, INVITE), D1, .label = 3, DIRECTION(SDP_SENDRECV), .text = "B answers" },
    { B, RX, REQUEST(ACK), D1, .text = "ACK to B's 200" },
    { A, RX, REPLY(200, INVITE), D1, .after = 3, ANCHORED(SDP_SENDRECV), .text = "B's answer, anchored" },
    { A, TX, REQUEST(ACK), D1, .text = "A's ACK" },
};

bool flow_call_a_b(struct demo *d) {
    static const enum who pairs[][2] = { { A, B }, { B, A } };
    char uri[96];
    STAGE(d, "A calls B", call_a_b);
    if (phone_call(&d->phones[A], demo_uri(d, B, uri, sizeof uri), SLICE_NONE) < 0 || !stage_wait(d))
        return false;
    return audio_expect(d, 1000000, pairs, 2, D1);
}

/* ---- B holds A */

static const struct want hold_a[] = { CROSSING_LINES(D1, B, A, SDP_SENDONLY, SDP_RECVONLY) };
static const struct want hold_c[] = { CROSSING_LINES(D2, B, C, SDP_SENDONLY, SDP_RECVONLY) };

bool flow_hold_a(struct demo *d) {
    STAGE(d, "B holds A", hold_a);
    if (phone_hold(&d->phones[B], d->bound[B][D1], true) < 0 || !stage_wait(d))
        return false;
    return audio_silence(d, B, D1);
}

/* ---- the consultation call */

#define CONSULT_LINES(lists_replaces)                                                                                 \
    CONSULT_RING_LINES,                                                                                               \
    { C, TX, REPLY(200, INVITE), D2, .label = 3, .check = check_supported, .arg = lists_replaces,                     \
      .text = "C answers" },                                                                                          \
    { C, RX, REQUEST(ACK), D2, .text = "ACK to C's 200" },                                                            \
    { B, RX, REPLY(200, INVITE), D2, .after = 3, ANCHORED(SDP_SENDRECV), .text = "C's answer, anchored" },            \
    { B, TX, REQUEST(ACK), D2, .text = "B's ACK" }

static const struct want consult[] = { CONSULT_LINES(1) };
static const struct want consult_plain[] = { CONSULT_LINES(0) };

bool flow_consult(struct demo *d) {
    static const enum who pairs[][2] = { { B, C }, { C, B } };
    char uri[96];
    if (d->phones[C].config.replaces)
        STAGE(d, "B calls C", consult);
    else
        STAGE(d, "B calls C, who does not list replaces", consult_plain);
    if (phone_call(&d->phones[B], demo_uri(d, C, uri, sizeof uri), SLICE_NONE) < 0 || !stage_wait(d) ||
        !audio_expect(d, 1000000, pairs, 2, D2))
        return false;
    STAGE(d, "B holds C", hold_c);
    if (phone_hold(&d->phones[B], d->bound[B][D2], true) < 0 || !stage_wait(d))
        return false;
    return audio_silence(d, B, D2);
}

/* ---- the end */

static const struct want end_new[] = { END_LINES(A, D1, C, D3) };
static const struct want end_joined[] = { END_LINES(A, D1, C, D2) };

bool flow_hang_up(struct demo *d, enum dlg at_c) {
    if (at_c == D3)
        STAGE(d, "A hangs up", end_new);
    else
        STAGE(d, "A hangs up", end_joined);
    return phone_hang_up(&d->phones[A], d->bound[A][D1]) == 0 && stage_wait(d) && flow_no_dialogs(d);
}

bool flow_no_dialogs(struct demo *d) {
    unsigned left = 0;
    for (int w = 0; w < WHO_COUNT; w++)
        left += phone_dialog_count(&d->phones[w]);
    demo_say(d, left == 0, "dialogs left at the phones: %u", left);
    return left == 0;
}

bool flow_heard(struct demo *d, enum who far, enum dlg far_dlg, bool goes_on) {
    demo_quiet(d, "nothing else reaches anybody while they talk", audio_time(d, 2000000));
    /* The stream of a node that has died does not go on: its last SSRC and sequence number died with it. */
    return audio_report(d, far, far_dlg, goes_on && !d->cluster.died_us);
}
