/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Transfers by one who is in no dialog of the call: INVITE with Replaces, and REFER outside a dialog. */
#include "bench/demo/demo.h"
#include "bench/demo/rows.h"

/* ---- P takes over what B's user has at another phone */

static const struct want pickup[] = {
    { P, TX, REQUEST(INVITE), D1, .text = "P's offer, with Replaces of B's dialog" },
    { P, RX, REPLY(401, INVITE), D1, .check = check_challenge, .text = "a digest challenge" },
    { P, TX, REQUEST(ACK), D1, .text = "ACK to the 401" },
    { P, TX, REQUEST(INVITE), D1, .check = check_credentials, .label = 1, .text = "INVITE with credentials" },
    { P, RX, REPLY(100, INVITE), D1, .chain = 1, .repeat = true, .text = "100 Trying" },
    { A, RX, REQUEST(INVITE), D1, .after = 1, ANCHORED(SDP_SENDRECV), .text = "A is taken off hold with P's offer" },
    { A, TX, REPLY(200, INVITE), D1, .label = 2, .splice = true, DIRECTION(SDP_SENDRECV), .text = "A agrees" },
    { A, RX, REQUEST(ACK), D1, .text = "ACK to A's 200" },
    { P, RX, REPLY(200, INVITE), D1, .after = 2, ANCHORED(SDP_SENDRECV), .text = "A's answer, anchored" },
    { P, TX, REQUEST(ACK), D1, .text = "P's ACK" },
    { B, RX, REQUEST(BYE), D1, .after = 2, .text = "B's leg ends" },
    { B, TX, REPLY(200, BYE), D1, .text = "B's 200" },
};

static const struct want a_ends[] = { END_LINES(A, D1, P, D1) };

bool flow_pickup(struct demo *d) {
    char uri[96], mem[1024];
    struct sbuf replaces = sbuf_on(mem, sizeof mem);
    if (!flow_call_a_b(d) || !flow_hold_a(d))
        return false;
    phone_put_replaces(&d->phones[B], d->bound[B][D1], &replaces);
    STAGE(d, "P, another phone of B's user, takes B's call over (RFC 3891)", pickup);
    if (phone_call(&d->phones[P], demo_uri(d, A, uri, sizeof uri), sbuf_slice(&replaces)) < 0 || !stage_wait(d) ||
        !flow_heard(d, P, D1, true))
        return false;
    STAGE(d, "A hangs up", a_ends);
    return phone_hang_up(&d->phones[A], d->bound[A][D1]) == 0 && stage_wait(d) && flow_no_dialogs(d);
}

/* ---- click-to-dial. A's dialog is only the subscription; B's is D1, C's is D2. */

static const struct want click[] = {
    { A, TX, REQUEST(REFER), D1, .check = check_refer, .arg = 0, .text = "A asks that B calls C" },
    { A, RX, REPLY(401, REFER), D1, .check = check_challenge, .text = "a digest challenge" },
    { A, TX, REQUEST(REFER), D1, .check = check_credentials, .label = 1, .text = "REFER with credentials" },
    { A, RX, REPLY(200, REFER), D1, .text = "200 (RFC 7647 section 5)" },
    { A, RX, REQUEST(NOTIFY), D1, NOTIFIED(100), .text = "NOTIFY 100 Trying, active" },
    { A, TX, REPLY(200, NOTIFY), D1, .text = "A's 200" },
    { B, RX, REQUEST(INVITE), D1, .after = 1, ANCHORED(SDP_SENDRECV), .text = "B is called" },
    { B, TX, REPLY(180, INVITE), D1, .text = "B rings" },
    { B, TX, REPLY(200, INVITE), D1, .label = 2, DIRECTION(SDP_SENDRECV), .text = "B answers" },
    { B, RX, REQUEST(ACK), D1, .text = "ACK to B's 200" },
    { C, RX, REQUEST(INVITE), D2, .after = 2, .check = check_clicked, .arg = SDP_SENDRECV,
      .text = "now C is called, as A asked" },
    { C, TX, REPLY(180, INVITE), D2, .label = 4, .text = "C rings" },
    { C, TX, REPLY(200, INVITE), D2, .label = 3, .splice = true, DIRECTION(SDP_SENDRECV), .text = "C answers" },
    { C, RX, REQUEST(ACK), D2, .text = "ACK to C's 200" },
    { A, RX, REQUEST(NOTIFY), D1, .after = 4, NOTIFIED(180), .text = "NOTIFY 180 Ringing" },
    { A, TX, REPLY(200, NOTIFY), D1, .text = "A's 200" },
    { B, RX, REQUEST(INVITE), D1, .chain = 2, .after = 3, ANCHORED(SDP_SENDRECV),
      .text = "B is told where C's audio comes from" },
    { B, TX, REPLY(200, INVITE), D1, .chain = 2, .label = 5, DIRECTION(SDP_SENDRECV), .text = "B agrees" },
    { B, RX, REQUEST(ACK), D1, .chain = 2, .text = "ACK to it" },
    { A, RX, REQUEST(NOTIFY), D1, .after = 5, NOTIFIED(-200), .text = "NOTIFY 200 OK, terminated" },
    { A, TX, REPLY(200, NOTIFY), D1, .text = "A's 200" },
};

static const struct want b_ends[] = { END_LINES(B, D1, C, D2) };

bool flow_click(struct demo *d) {
    char who[96], whom[96];
    struct slice to = demo_uri(d, B, who, sizeof who), refer_to = demo_uri(d, C, whom, sizeof whom);
    d->near = B;
    STAGE(d, "A has B call C (REFER outside a dialog)", click);
    if (phone_refer_outside(&d->phones[A], to, refer_to) < 0 || !stage_wait(d) || !flow_heard(d, C, D2, false))
        return false;
    STAGE(d, "B hangs up", b_ends);
    return phone_hang_up(&d->phones[B], d->bound[B][D1]) == 0 && stage_wait(d) && flow_no_dialogs(d);
}
