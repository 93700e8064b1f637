/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The phones among themselves: that they and their ears can be trusted before they judge the Referee. */
#include "bench/demo/demo.h"
#include "bench/demo/rows.h"

#include <stdio.h>

#define CALL_LINES(n, from, to, chain_to)                                                                             \
    { from, TX, REQUEST(INVITE), n, .label = 1, .text = "an offer" },                                                 \
    { to, RX, REQUEST(INVITE), n, .chain = chain_to, .after = 1, .text = "INVITE" },                                  \
    { to, TX, REPLY(180, INVITE), n, .chain = chain_to, .label = 2, .text = "it rings" },                             \
    { from, RX, REPLY(180, INVITE), n, .after = 2, .optional = true, .text = "180" },                                 \
    { to, TX, REPLY(200, INVITE), n, .chain = chain_to, .label = 3, .text = "it answers" },                           \
    { from, RX, REPLY(200, INVITE), n, .after = 3, .text = "200" },                                                   \
    { from, TX, REQUEST(ACK), n, .label = 4, .text = "ACK" },                                                         \
    { to, RX, REQUEST(ACK), n, .chain = chain_to, .after = 4, .text = "ACK" }

#define REOFFER_LINES(n, from, to, wish, answer)                                                                      \
    { from, TX, REQUEST(INVITE), n, .label = 1, DIRECTION(wish), .text = "re-INVITE" },                               \
    { to, RX, REQUEST(INVITE), n, .after = 1, DIRECTION(wish), .text = "re-INVITE" },                                 \
    { to, TX, REPLY(200, INVITE), n, .label = 2, DIRECTION(answer), .text = "200" },                                  \
    { from, RX, REPLY(200, INVITE), n, .after = 2, DIRECTION(answer), .text = "200" },                                \
    { from, TX, REQUEST(ACK), n, .label = 3, .text = "ACK" },                                                         \
    { to, RX, REQUEST(ACK), n, .after = 3, .text = "ACK" }

#define BYE_LINES(from, from_n, to, to_n, chain_no)                                                                   \
    { from, TX, REQUEST(BYE), from_n, .chain = chain_no, .text = "BYE" },                                             \
    { to, RX, REQUEST(BYE), to_n, .chain = chain_no, .text = "BYE" },                                                 \
    { to, TX, REPLY(200, BYE), to_n, .chain = chain_no, .text = "200" },                                              \
    { from, RX, REPLY(200, BYE), from_n, .chain = chain_no, .text = "200" }

static const struct want a_calls_b[] = { CALL_LINES(D1, A, B, 0) };
static const struct want b_holds_a[] = { REOFFER_LINES(D1, B, A, SDP_SENDONLY, SDP_RECVONLY) };
static const struct want b_resumes_a[] = { REOFFER_LINES(D1, B, A, SDP_SENDRECV, SDP_SENDRECV) };
static const struct want b_calls_c[] = { CALL_LINES(D2, B, C, 0) };

static const struct want wrong_replaces[] = {
    { A, TX, REQUEST(INVITE), D2, .text = "INVITE with Replaces of no dialog" },
    { C, RX, REQUEST(INVITE), D_NONE, .text = "INVITE" },
    { C, TX, REPLY(481, INVITE), D_NONE, .text = "481" },
    { A, RX, REPLY(481, INVITE), D2, .text = "481" },
    { A, TX, REQUEST(ACK), D2, .text = "ACK to the 481" },
    { C, RX, REQUEST(ACK), D_NONE, .text = "ACK to the 481" },
};

static const struct want a_replaces_b[] = {
    { A, TX, REQUEST(INVITE), D3, .text = "INVITE with Replaces" },
    { C, RX, REQUEST(INVITE), D3, .chain = 1, .text = "INVITE with Replaces of C's dialog with B" },
    { C, TX, REPLY(200, INVITE), D3, .chain = 1, .splice = true, .text = "C answers at once" },
    { A, RX, REPLY(200, INVITE), D3, .text = "200" },
    { A, TX, REQUEST(ACK), D3, .text = "ACK" },
    { C, RX, REQUEST(ACK), D3, .chain = 1, .text = "ACK" },
    BYE_LINES(C, D2, B, D2, 2),
};

static const struct want ends[] = { BYE_LINES(A, D1, B, D1, 0), BYE_LINES(C, D3, A, D3, 1) };

static bool call(struct demo *d, enum who from, enum who to, struct slice replaces) {
    char uri[96];
    return phone_call(&d->phones[from], demo_uri(d, to, uri, sizeof uri), replaces) >= 0 && stage_wait(d);
}

static bool replace(struct demo *d) {
    const struct phone_dialog *own = &d->phones[C].dialogs[d->bound[C][D2]];
    static const enum who pairs[][2] = { { A, C }, { C, A } };
    char mem[1024];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    STAGE(d, "A asks C to replace a dialog that is not there: 481 (RFC 3891 section 3)", wrong_replaces);
    if (!call(d, A, C, SL("nobody@nowhere;to-tag=1;from-tag=2")))
        return false;
    sbuf_put(&b, phone_text_slice(&own->call_id));
    sbuf_lit(&b, ";from-tag=");
    sbuf_put(&b, phone_text_slice(&own->remote_tag));
    sbuf_lit(&b, ";to-tag=");
    sbuf_put(&b, phone_text_slice(&own->local_tag));
    STAGE(d, "A takes B's place in the call with C (RFC 3891)", a_replaces_b);
    return call(d, A, C, sbuf_slice(&b)) && audio_expect(d, 600000, pairs, 2, D3);
}

static bool call_and_hold(struct demo *d) {
    static const enum who pairs[][2] = { { A, B }, { B, A } };
    STAGE(d, "A calls B", a_calls_b);
    if (!call(d, A, B, SLICE_NONE) || !audio_expect(d, 600000, pairs, 2, D1))
        return false;
    STAGE(d, "B holds A", b_holds_a);
    if (phone_hold(&d->phones[B], d->bound[B][D1], true) < 0 || !stage_wait(d) || !audio_silence(d, B, D1))
        return false;
    STAGE(d, "B takes A off hold", b_resumes_a);
    return phone_hold(&d->phones[B], d->bound[B][D1], false) == 0 && stage_wait(d) &&
           audio_expect(d, 600000, pairs, 2, D1);
}

static bool one_round(struct demo *d) {
    static const enum who pairs[][2] = { { B, C }, { C, B } };
    for (int w = 0; w < WHO_COUNT; w++)
        for (int k = 0; k < DLG_COUNT; k++)
            d->bound[w][k] = -1;
    if (!call_and_hold(d))
        return false;
    STAGE(d, "B calls C", b_calls_c);
    if (!call(d, B, C, SLICE_NONE) || !audio_expect(d, 600000, pairs, 2, D2) || !replace(d))
        return false;
    STAGE(d, "both calls end", ends);
    phone_hang_up(&d->phones[A], d->bound[A][D1]);
    phone_hang_up(&d->phones[C], d->bound[C][D3]);
    if (!stage_wait(d))
        return false;
    unsigned left = 0;
    for (int w = 0; w < WHO_COUNT; w++)
        left += phone_dialog_count(&d->phones[w]);
    demo_say(d, left == 0, "dialogs left at the phones: %u", left);
    return left == 0;
}

bool flow_direct(struct demo *d) {
    if (!one_round(d))
        return false;
    printf("\nonce more, with every fourth datagram lost\n");
    d->drop_every = 4;
    bool good = one_round(d) && d->retransmissions > 0;
    d->drop_every = 0;
    return good;
}
