/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a listener hears behind the death of the relay that changed its source. */
#include "tests/unit/relay_rig.h"

/* Party 0 has heard party 1, and hears party 2 since. */
static struct media_flow spliced(struct rig *r) {
    uint32_t cursor = 0;
    struct media_flow flow;
    open_parties(r, 3);
    join(r, 0, 1);
    CHECK_EQ(say(r, 1, (struct sent){ 100, 1000, 0x1111 }), RELAY_FORWARD);
    CHECK_EQ(relay_spliced(&r->relay, &cursor, &flow), MEDIA_NOWHERE);
    CHECK_TRUE(!r->relay.spliced);
    r->now += FRAME_US;
    join(r, 0, 2);
    CHECK_EQ(say(r, 2, (struct sent){ 65535, 77000, 0x2222 }), RELAY_FORWARD);
    CHECK_HEARD(r, 101, 1160, 0x1111, true);
    CHECK_TRUE(r->relay.spliced);
    cursor = 0;
    CHECK_EQ(relay_spliced(&r->relay, &cursor, &flow), 0);
    CHECK_EQ(flow.ssrc, 0x1111);
    CHECK_EQ(flow.source_ssrc, 0x2222);
    CHECK_EQ(flow.last_seq, 101);
    CHECK_EQ(flow.last_ts, 1160);
    CHECK_EQ(relay_spliced(&r->relay, &cursor, &flow), MEDIA_NOWHERE);
    struct media_flow again;
    cursor = 0;
    CHECK_EQ(relay_spliced(&r->relay, &cursor, &again), MEDIA_NOWHERE);
    return flow;
}

/* The next relay, where the same two are streams 5 and 6, and party 3 is stream 7. */
static struct rig next_relay(const struct rig *was, const struct media_flow *flow) {
    struct rig r = rig_new();
    r.now = was->now + 3000000;
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = 5, .resume = true, .flow = *flow }));
    CHECK_TRUE(command(&r, remote_of(5)));
    for (uint32_t s = 6; s < 8; s++) {
        CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = s, .resume = true }));
        CHECK_TRUE(command(&r, remote_of(s)));
    }
    return r;
}

static void test_goes_on(void) {
    struct rig was = rig_new();
    struct media_flow flow = spliced(&was);
    struct rig r = next_relay(&was, &flow);
    join(&r, 5, 6);
    /* 150 frames later: exactly where the former relay would be. */
    CHECK_EQ(say(&r, 6, (struct sent){ 149, 77000 + 150 * 160, 0x2222 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 251, 1160 + 150 * 160, 0x1111, false);
    CHECK_EQ(relay_counters(&r.relay, 5).splices, 0);
    /* And from there on as ever. */
    r.now += FRAME_US;
    join(&r, 5, 7);
    CHECK_EQ(say(&r, 7, (struct sent){ 9, 9, 0x3333 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 252, 1160 + 151 * 160, 0x1111, true);
}

/* By then another one sends: behind what the engine says was the last number at most. */
static void test_another_source(void) {
    struct rig was = rig_new();
    struct media_flow flow = spliced(&was);
    flow.last_seq += 300;
    flow.last_ts += 24000;
    struct rig r = next_relay(&was, &flow);
    join(&r, 5, 6);
    CHECK_EQ(say(&r, 6, (struct sent){ 40000, 40000, 0x5555 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 402, 25161, 0x1111, true);
}

int main(void) {
    return UNIT_RUN("relay_flow", UNIT(test_goes_on), UNIT(test_another_source));
}
