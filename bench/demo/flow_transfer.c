/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/demo/demo.h"
#include "bench/demo/rows.h"

static const struct want attended[] = {
    REFER_LINES(1),
    { C, RX, REQUEST(INVITE), D3, .chain = 1, .after = 1, .check = check_replaces, .arg = SDP_SENDRECV,
      .text = "a new INVITE to C with Replaces of C's own dialog" },
    { C, TX, REPLY(200, INVITE), D3, .chain = 1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C answers at once" },
    { C, RX, REQUEST(ACK), D3, .chain = 1, .text = "ACK to C's 200" },
    { C, TX, REQUEST(BYE), D2, .chain = 3, .after = 2, .label = 4, .text = "C ends its consultation dialog" },
    { C, RX, REPLY(200, BYE), D2, .chain = 3, .text = "200 to C's BYE" },
    TRANSFEREE_LINES(2, 3),
    { B, RX, REQUEST(BYE), D2, .chain = 4, .after = 3, .text = "B's consultation leg ends once A has agreed" },
    { B, TX, REPLY(200, BYE), D2, .chain = 4, .text = "B's 200" },
    DONE_LINES(3),
};

static const struct want joined[] = {
    REFER_LINES(1),
    { C, RX, REQUEST(INVITE), D2, .chain = 1, .after = 1, .check = check_no_replaces, .arg = SDP_SENDRECV,
      .text = "re-INVITE to C, the target first" },
    { C, TX, REPLY(200, INVITE), D2, .chain = 1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C agrees" },
    { C, RX, REQUEST(ACK), D2, .chain = 1, .text = "ACK to C's 200" },
    TRANSFEREE_LINES(2, 3),
    { B, RX, REQUEST(BYE), D2, .chain = 4, .after = 3, .text = "the Referee ends B's consultation leg" },
    { B, TX, REPLY(200, BYE), D2, .chain = 4, .text = "B's 200" },
    DONE_LINES(3),
};

static const struct want blind[] = {
    REFER_LINES(0),
    { C, RX, REQUEST(INVITE), D3, .chain = 1, .after = 1, .check = check_triggered, .arg = SDP_SENDRECV,
      .text = "a new INVITE to C with A's full offer" },
    { C, TX, REPLY(180, INVITE), D3, .chain = 1, .label = 4, .text = "C rings" },
    { C, TX, REPLY(200, INVITE), D3, .chain = 1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV),
      .text = "C answers" },
    { C, RX, REQUEST(ACK), D3, .chain = 1, .text = "ACK to C's 200" },
    { B, RX, REQUEST(NOTIFY), D1, .after = 4, NOTIFIED(180), .text = "NOTIFY 180 Ringing" },
    { B, TX, REPLY(200, NOTIFY), D1, .text = "B's 200" },
    TRANSFEREE_LINES(2, 3),
    DONE_LINES(3),
};

static const struct want transferor_leaves[] = {
    { B, TX, REQUEST(BYE), D1, .text = "B leaves its call with A" },
    { B, RX, REPLY(200, BYE), D1, .text = "the Referee answers it" },
};

/* REFER, with Replaces naming B's consultation dialog when there is one. */
bool flow_refer_start(struct demo *d, bool with_replaces) {
    char uri[96], mem[1024];
    struct sbuf to = sbuf_on(mem, sizeof mem);
    struct slice target = demo_uri(d, C, uri, sizeof uri);
    if (with_replaces)
        phone_put_refer_to(&d->phones[B], d->bound[B][D2], target, &to);
    else
        sbuf_put(&to, target);
    return phone_refer(&d->phones[B], d->bound[B][D1], sbuf_slice(&to)) == 0;
}

bool flow_refer(struct demo *d, bool with_replaces) {
    return flow_refer_start(d, with_replaces) && stage_wait(d);
}

/* The transferor hangs up; the transferee must not notice. Then the two are heard. */
bool flow_talk(struct demo *d, enum dlg at_c) {
    STAGE(d, "B leaves: its BYE is answered and goes no further", transferor_leaves);
    if (phone_hang_up(&d->phones[B], d->bound[B][D1]) < 0 || !stage_wait(d))
        return false;
    return flow_heard(d, C, at_c, true) && flow_hang_up(d, at_c);
}

bool flow_attended(struct demo *d) {
    if (!flow_call_a_b(d) || !flow_hold_a(d) || !flow_consult(d))
        return false;
    STAGE(d, "B refers A to C, in place of its consultation call (attended transfer)", attended);
    return flow_refer(d, true) && flow_talk(d, D3);
}

bool flow_join(struct demo *d) {
    if (!flow_call_a_b(d) || !flow_hold_a(d) || !flow_consult(d))
        return false;
    STAGE(d, "B refers A to C: both legs are joined by re-INVITE", joined);
    return flow_refer(d, true) && flow_talk(d, D2);
}

bool flow_blind(struct demo *d) {
    if (!flow_call_a_b(d))
        return false;
    STAGE(d, "B refers A to C (blind transfer)", blind);
    return flow_refer(d, false) && flow_talk(d, D3);
}
