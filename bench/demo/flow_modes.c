/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Transfers of other kinds, carried out by the Referee: semi-attended, by an operator's order, and recall. */
#include "bench/demo/demo.h"
#include "bench/demo/rows.h"

#define RINGS_ON_US 60000000u

/* ---- C still rings */

static const struct want consult_rings[] = { CONSULT_RING_LINES };

static const struct want semi[] = {
    REFER_LINES(1),
    { B, RX, REPLY(487, INVITE), D2, .chain = 4, .after = 1, .text = "B's consultation is over" },
    { B, TX, REQUEST(ACK), D2, .chain = 4, .text = "ACK to it" },
};

static const struct want semi_answer[] = {
    { C, TX, REPLY(200, INVITE), D2, .chain = 1, DIRECTION(SDP_SENDRECV), .text = "C answers what was B's offer" },
    { C, RX, REQUEST(ACK), D2, .chain = 1, .text = "ACK to C's 200" },
    { C, RX, REQUEST(INVITE), D2, .chain = 1, .check = check_no_replaces, .arg = SDP_SENDRECV,
      .text = "re-INVITE with all that A can do" },
    { C, TX, REPLY(200, INVITE), D2, .chain = 1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C agrees" },
    { C, RX, REQUEST(ACK), D2, .chain = 1, .text = "ACK to it" },
    TRANSFEREE_LINES(2, 3),
    DONE_LINES(3),
};

bool flow_semi(struct demo *d) {
    char uri[96];
    if (!flow_call_a_b(d) || !flow_hold_a(d))
        return false;
    d->phones[C].config.answer_us = RINGS_ON_US;
    STAGE(d, "B calls C, who rings", consult_rings);
    if (phone_call(&d->phones[B], demo_uri(d, C, uri, sizeof uri), SLICE_NONE) < 0 || !stage_wait(d))
        return false;
    STAGE(d, "B does not wait and refers A to C (semi-attended transfer)", semi);
    if (!flow_refer(d, true))
        return false;
    demo_quiet(d, "C rings on: no CANCEL, no second INVITE", 500000);
    STAGE(d, "C answers", semi_answer);
    return phone_answer(&d->phones[C], d->bound[C][D2]) == 0 && stage_wait(d) && flow_talk(d, D2);
}

/* ---- an operator's order */

static const struct want order[] = {
    { C, RX, REQUEST(INVITE), D3, .chain = 1, .check = check_no_replaces, .arg = SDP_SENDRECV,
      .text = "a new INVITE to C with A's full offer" },
    { C, TX, REPLY(180, INVITE), D3, .chain = 1, .text = "C rings" },
    { C, TX, REPLY(200, INVITE), D3, .chain = 1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C answers" },
    { C, RX, REQUEST(ACK), D3, .chain = 1, .text = "ACK to C's 200" },
    TRANSFEREE_LINES(2, 3),
    { B, RX, REQUEST(BYE), D1, .after = 3, .text = "B's leg ends" },
    { B, TX, REPLY(200, BYE), D1, .text = "B's 200" },
};

/* "CALL LEG" of A's leg, of the only call that there is, as `calls` and `show` print them. */
static bool find_leg(struct demo *d, char *out, size_t cap) {
    char line[512], show[64], call[32] = "";
    int leg = -1;
    FILE *f = daemon_order(d->daemon.socket, "calls\n");
    if (f && (!fgets(line, sizeof line, f) || sscanf(line, "%31s", call) != 1))
        call[0] = 0;
    if (f)
        fclose(f);
    snprintf(show, sizeof show, "show %s\n", call);
    f = call[0] ? daemon_order(d->daemon.socket, show) : NULL;
    while (f && leg < 0 && fgets(line, sizeof line, f))
        if (strstr(line, "<sip:a@") && sscanf(line, " leg %d", &leg) != 1)
            leg = -1;
    if (f)
        fclose(f);
    snprintf(out, cap, "%s %d", call, leg);
    return leg >= 0;
}

static bool order_answered(struct demo *d, FILE *f) {
    char line[128] = "nothing\n";
    if (!fgets(line, sizeof line, f))
        demo_fail(d, "the daemon does not tell the result");
    fclose(f);
    line[strcspn(line, "\n")] = 0;
    bool good = strcmp(line, "done 200 OK") == 0;
    demo_say(d, good, "the daemon's answer to the order: %s", line);
    return good;
}

bool flow_order(struct demo *d) {
    char leg[64], uri[96], text[256];
    if (!flow_call_a_b(d))
        return false;
    STAGE(d, "refereectl orders the transfer of A to C", order);
    if (!find_leg(d, leg, sizeof leg)) {
        demo_fail(d, "the daemon does not tell A's leg");
        return false;
    }
    struct slice to = demo_uri(d, C, uri, sizeof uri);
    snprintf(text, sizeof text, "transfer %s %.*s\n", leg, SLICE_FMT(to));
    FILE *f = daemon_order(d->daemon.socket, text);
    printf("refereectl %s", text);
    return f && stage_wait(d) && order_answered(d, f) && flow_heard(d, C, D3, true) && flow_hang_up(d, D3);
}

/* ---- recall */

static const struct want ringing[] = { RINGING_LINES };

static const struct want transferor_gone[] = {
    { B, TX, REQUEST(BYE), D1, .text = "B hangs up while C rings" },
    { B, RX, REPLY(200, BYE), D1, .text = "200 to it" },
};

static const struct want recalled[] = {
    { C, TX, REPLY(486, INVITE), D3, .chain = 1, .label = 1, .text = "C refuses" },
    { C, RX, REQUEST(ACK), D_NONE, .chain = 1, .text = "ACK to the refusal" },
    { B, RX, REQUEST(NOTIFY), D_ANY, .chain = 5, .optional = true, .repeat = true, .text = "NOTIFY is still tried" },
    { B, TX, REPLY(481, NOTIFY), D_ANY, .chain = 5, .optional = true, .repeat = true, .text = "B knows it no more" },
    { B, RX, REQUEST(INVITE), D3, .after = 1, .check = check_no_replaces, .arg = SDP_SENDRECV,
      .text = "B is called, with A's full offer" },
    { B, TX, REPLY(180, INVITE), D3, .text = "B rings" },
    { B, TX, REPLY(200, INVITE), D3, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV), .text = "B answers" },
    { B, RX, REQUEST(ACK), D3, .text = "ACK to B's 200" },
    TRANSFEREE_LINES(2, 3),
};

static const struct want a_ends[] = { END_LINES(A, D1, B, D3) };

bool flow_recall(struct demo *d) {
    if (!flow_call_a_b(d) || !flow_hold_a(d))
        return false;
    d->phones[C].config.answer_us = RINGS_ON_US;
    STAGE(d, "B refers A to C (blind transfer); C rings", ringing);
    if (!flow_refer(d, false))
        return false;
    STAGE(d, "B leaves", transferor_gone);
    if (phone_hang_up(&d->phones[B], d->bound[B][D1]) < 0 || !stage_wait(d))
        return false;
    STAGE(d, "C is busy: B is rung again", recalled);
    if (phone_reject(&d->phones[C], d->bound[C][D3], 486) < 0 || !stage_wait(d) || !flow_heard(d, B, D3, true))
        return false;
    STAGE(d, "A hangs up", a_ends);
    return phone_hang_up(&d->phones[A], d->bound[A][D1]) == 0 && stage_wait(d) && flow_no_dialogs(d);
}
