/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An attended transfer through several nodes, the one that has it dies when C has the INVITE. */
#include "bench/demo/demo.h"
#include "bench/demo/rows.h"

/* The node that goes on has another media address: a party whose leg was not in the transfer, or is not any more, is
 * told by a re-INVITE. Which ones that are, and when, depends on which node has which call; each may come once. */
#define TOLD_LINES(who, n)                                                                                            \
    { who, RX, REQUEST(INVITE), n, .chain = 9, .optional = true, .check = check_anchored, .arg = -1,                  \
      .text = "media is elsewhere now" },                                                                             \
    { who, TX, REPLY(200, INVITE), n, .chain = 9, .optional = true, .text = "200" },                                  \
    { who, RX, REQUEST(ACK), n, .chain = 9, .optional = true, .text = "ACK" }

static const struct want attended[] = {
    REFER_LINES(1),
    { C, RX, REQUEST(INVITE), D3, .chain = 1, .after = 1, .check = check_replaces, .arg = SDP_SENDRECV, .dies = true,
      .text = "a new INVITE to C with Replaces of C's own dialog" },
    { C, TX, REPLY(200, INVITE), D3, .chain = 1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C answers at once" },
    { C, RX, REQUEST(ACK), D3, .chain = 1, .text = "ACK to C's 200" },
    { C, TX, REQUEST(BYE), D2, .chain = 3, .after = 2, .label = 4, .text = "C ends its consultation dialog" },
    { C, RX, REPLY(200, BYE), D2, .chain = 3, .text = "200 to C's BYE" },
    TRANSFEREE_LINES(2, 3),
    /* Once A has agreed; or earlier, where another node has the consultation and C's BYE comes there first. */
    { B, RX, REQUEST(BYE), D2, .chain = 4, .text = "B's consultation leg ends" },
    { B, TX, REPLY(200, BYE), D2, .chain = 4, .text = "B's 200" },
    DONE_LINES(3),
    { B, RX, REQUEST(NOTIFY), D1, .chain = 8, .optional = true, NOTIFIED(100), .text = "again: did it arrive?" },
    { B, TX, REPLY(200, NOTIFY), D1, .chain = 8, .optional = true, .text = "B's 200" },
    TOLD_LINES(A, D1),
    TOLD_LINES(C, D3),
    TOLD_LINES(B, D1),
    TOLD_LINES(B, D2),
    TOLD_LINES(C, D2),
};

static const struct want end_of_call[] = { END_LINES(A, D1, B, D1) };

/* The node dies while A and B talk, and its media address goes to the one that has the call then: nobody is told
 * anything, and the streams go on. */
bool flow_vip(struct demo *d) {
    static const enum who pairs[][2] = { { A, B }, { B, A } };
    struct media *a, *b;
    if (!flow_call_a_b(d))
        return false;
    a = d->media[A][d->bound[A][D1]], b = d->media[B][d->bound[B][D1]];
    media_mark(a, clock_us());
    media_mark(b, clock_us());
    demo_run(d, 200000);
    cluster_kill(d, "calls");
    demo_quiet(d, "no message reaches anybody while another node takes over", 8000000);
    uint64_t gap_a = media_heard(a)->gap_us, gap_b = media_heard(b)->gap_us;
    demo_say(d, gap_a < d->gap_limit_us && gap_b < d->gap_limit_us, "longest gap of the audio: %.0f ms at A, %.0f at B",
             (double)gap_a / 1000, (double)gap_b / 1000);
    if (!audio_expect(d, 1000000, pairs, 2, D1))
        return false;
    STAGE(d, "A hangs up", end_of_call);
    return phone_hang_up(&d->phones[A], d->bound[A][D1]) == 0 && stage_wait(d) && flow_no_dialogs(d);
}

bool flow_death(struct demo *d) {
    if (!flow_call_a_b(d) || !flow_hold_a(d) || !flow_consult(d))
        return false;
    STAGE(d, "B refers A to C, and the node that carries it out dies in the midst of it", attended);
    if (!flow_refer(d, true))
        return false;
    demo_quiet(d, "and nothing but what was expected, until all are told where media is", 1000000);
    return flow_talk(d, D3);
}
