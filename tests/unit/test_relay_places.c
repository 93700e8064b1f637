/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What a stream has beside its entry in the table: only while it needs it, and then there always is some.
 */
#include "tests/unit/relay_rig.h"

#define ELSEWHERE 77

static const struct media_types other_numbers = { 1, true, { { 0, 96 } } };

static bool has_place(const struct rig *r, uint32_t stream) {
    return r->relay.streams[stream].extra != 0;
}

static enum relay_drop report_from(struct rig *r, uint32_t stream, struct addr src) {
    memset(r->packet, 0, 8);
    r->packet[0] = 0x80;
    r->packet[1] = RTCP_RR;
    r->packet[3] = 1;
    r->n = 8;
    return arrive(r, stream, true, src);
}

static bool route_as(struct rig *r, uint32_t from, uint32_t to, uint32_t generation, struct media_types types) {
    return command(r, (struct media_cmd){ .verb = MEDIA_ROUTE, .stream = from, .to = to, .generation = generation,
                                          .types = types });
}

static bool tell(struct rig *r, enum media_verb verb, uint32_t stream, uint32_t generation) {
    return command(r, (struct media_cmd){ .verb = verb, .stream = stream, .generation = generation });
}

/* Parties behind NAT, with RTCP. */
static void test_most_need_none(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    for (uint32_t s = 0; s < 2; s++) {
        struct media_cmd nat = remote_of(s);
        nat.nat = true;
        nat.signalling = at(50 + s, 5060);
        CHECK_TRUE(command(&r, nat));
        CHECK_EQ(rtp_from(&r, s, at(50 + s, 999), (struct sent){ 1, 160, s + 1 }), RELAY_DROP_SOURCE);
        CHECK_EQ(rtp_from(&r, s, at(50 + s, 999), (struct sent){ 2, 320, s + 1 }), RELAY_FORWARD);
        CHECK_EQ(report_from(&r, s, at(50 + s, 1001)), RELAY_FORWARD);
    }
    CHECK_EQ(report_from(&r, 0, at(50, 1001)), RELAY_FORWARD);
    CHECK_TRUE(r.verdict.dst.ip[3] == 51 && r.verdict.dst.port == 1001);
    CHECK_EQ(r.relay.extras.fresh, 0);
    CHECK_EQ(r.relay.probations.fresh, 1); /* one after the other */
}

static void test_for_other_numbers(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    CHECK_TRUE(route_as(&r, 0, 1, 1, other_numbers));
    CHECK_TRUE(has_place(&r, 0) && !has_place(&r, 1));
    CHECK_EQ(say(&r, 0, (struct sent){ 1, 160, 5 }), RELAY_FORWARD);
    CHECK_EQ(heard(&r).payload_type, 96);
    CHECK_TRUE(route_as(&r, 0, 1, 1, (struct media_types){ .only = true }));
    CHECK_TRUE(has_place(&r, 0));
    CHECK_EQ(say(&r, 0, (struct sent){ 2, 320, 5 }), RELAY_DROP_TYPE);
    route(&r, 0, 1);
    CHECK_FALSE(has_place(&r, 0));
    CHECK_EQ(say(&r, 0, (struct sent){ 3, 480, 5 }), RELAY_FORWARD);
    CHECK_EQ(heard(&r).payload_type, 0);
}

static void test_for_what_is_played(void) {
    struct rig r = rig_new();
    open_parties(&r, 3);
    for (uint32_t s = 0; s < 3; s++)
        CHECK_TRUE(tell(&r, MEDIA_PLAY, s, 1));
    CHECK_TRUE(tell(&r, MEDIA_STOP, 0, 1)); /* the last one takes its place in the list */
    CHECK_TRUE(!has_place(&r, 0) && has_place(&r, 1) && has_place(&r, 2));
    CHECK_TRUE(tell(&r, MEDIA_STOP, 2, 1));
    CHECK_TRUE(!has_place(&r, 2) && r.relay.player_count == 1 && r.relay.players[0] == 1);
    route(&r, 0, 1);
    CHECK_FALSE(has_place(&r, 1));
}

/* RTCP that the description has at another host. */
static void test_for_rtcp_elsewhere(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    struct media_cmd apart = remote_of(1);
    apart.rtcp = at(ELSEWHERE, 7001);
    CHECK_TRUE(command(&r, apart));
    CHECK_TRUE(has_place(&r, 1));
    CHECK_EQ(report_from(&r, 0, at(0, 4001)), RELAY_FORWARD);
    CHECK_TRUE(r.verdict.dst.ip[3] == ELSEWHERE && r.verdict.dst.port == 7001);
    CHECK_EQ(report_from(&r, 1, at(1, 7001)), RELAY_DROP_SOURCE);
    CHECK_EQ(report_from(&r, 1, at(ELSEWHERE, 7001)), RELAY_FORWARD);
    CHECK_TRUE(command(&r, remote_of(1)));
    CHECK_FALSE(has_place(&r, 1));
    CHECK_EQ(report_from(&r, 0, at(0, 4001)), RELAY_FORWARD);
    CHECK_TRUE(r.verdict.dst.ip[3] == 1 && r.verdict.dst.port == 4001);
}

/* ... that was heard before RTP was, and where RTP then comes from, too: it stays known. */
static void test_for_rtcp_before_rtp(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    put_behind_nat(&r);
    CHECK_EQ(report_from(&r, 0, at(50, 1001)), RELAY_FORWARD);
    CHECK_TRUE(has_place(&r, 0));
    CHECK_EQ(report_from(&r, 1, at(1, 4001)), RELAY_FORWARD);
    CHECK_TRUE(r.verdict.dst.ip[3] == 50 && r.verdict.dst.port == 1001);
    for (uint16_t i = 1; i <= 2; i++)
        CHECK_EQ(rtp_from(&r, 0, at(50, 999), (struct sent){ i, 160, 5 }), i == 2 ? RELAY_FORWARD : RELAY_DROP_SOURCE);
    CHECK_FALSE(has_place(&r, 0));
    CHECK_EQ(report_from(&r, 1, at(1, 4001)), RELAY_FORWARD);
    CHECK_TRUE(r.verdict.dst.ip[3] == 50 && r.verdict.dst.port == 1001);
    CHECK_EQ(report_from(&r, 0, at(50, 1003)), RELAY_DROP_SOURCE);
}

/* All that a stream can have beside, of every stream. */
static void take_all(struct rig *r, uint32_t generation) {
    for (uint32_t s = 0; s < STREAMS; s++) {
        struct media_cmd apart = remote_of(s);
        apart.generation = generation;
        apart.rtcp = at(ELSEWHERE, 7001);
        CHECK_TRUE(tell(r, MEDIA_OPEN, s, generation));
        CHECK_TRUE(command(r, apart));
    }
    for (uint32_t s = 0; s < STREAMS; s++) {
        CHECK_TRUE(route_as(r, s, (s + 1) % STREAMS, generation, other_numbers));
        CHECK_EQ(rtp_from(r, s, at(s, 5000), (struct sent){ 1, 160, 5 }), RELAY_DROP_SOURCE);
    }
    for (uint32_t s = 0; s < STREAMS; s++) {
        CHECK_TRUE(tell(r, MEDIA_PLAY, s, generation));
        CHECK_TRUE(has_place(r, s) && r->relay.streams[s].probation);
    }
}

/* There is one for each, and whoever has had one gives it back, however its stream ends. */
static void test_one_for_each(void) {
    struct rig r = rig_new();
    static const enum media_verb ends[] = { MEDIA_CLOSE, MEDIA_LEAVE, MEDIA_OPEN };
    for (uint32_t g = 1; g < 7; g++) {
        enum media_verb end = ends[g % 3];
        take_all(&r, 2 * g);
        for (uint32_t s = 0; s < STREAMS; s++)
            CHECK_TRUE(tell(&r, end, s, end == MEDIA_OPEN ? 2 * g + 1 : 2 * g));
        for (uint32_t s = 0; s < STREAMS; s++)
            CHECK_FALSE(has_place(&r, s) || r.relay.streams[s].probation);
        CHECK_EQ(r.relay.extras.fresh, STREAMS);
        CHECK_EQ(r.relay.probations.fresh, STREAMS);
        CHECK_EQ(r.relay.player_count, 0);
    }
}

/* What the one before had in it is gone. */
static void test_clean(void) {
    struct rig r = rig_new();
    take_all(&r, 1);
    for (uint32_t s = 0; s < STREAMS; s++)
        CHECK_TRUE(tell(&r, MEDIA_CLOSE, s, 1));
    for (uint32_t s = 0; s < 2; s++) {
        struct media_cmd now = remote_of(s);
        now.generation = 2;
        CHECK_TRUE(tell(&r, MEDIA_OPEN, s, 2));
        CHECK_TRUE(command(&r, now));
        CHECK_TRUE(tell(&r, MEDIA_PLAY, s, 2));
        CHECK_TRUE(has_place(&r, s));
    }
    CHECK_TRUE(route_as(&r, 0, 1, 2, (struct media_types){ 0 }));
    CHECK_TRUE(has_place(&r, 0) && !has_place(&r, 1));
    CHECK_EQ(say(&r, 0, (struct sent){ 1, 160, 5 }), RELAY_FORWARD);
    CHECK_EQ(heard(&r).payload_type, 0);
    CHECK_EQ(report_from(&r, 0, at(0, 4001)), RELAY_FORWARD);
    CHECK_TRUE(r.verdict.dst.ip[3] == 1 && r.verdict.dst.port == 4001);
}

/* RTCP counts as life, also just before and behind where its time of 32 bits goes over. */
static void test_life_at_the_turn(void) {
    const uint64_t second = 1000000, turn = (UINT64_C(1) << 32) * 1000;
    for (uint64_t at_us = turn - second; at_us <= turn + second; at_us += second / 2) {
        struct rig r = rig_new();
        uint32_t cursor = 0;
        open_parties(&r, 2);
        join(&r, 0, 1);
        r.now = at_us + second / 4;
        CHECK_EQ(report_from(&r, 0, at(0, 4001)), RELAY_FORWARD);
        CHECK_EQ(relay_silent(&r.relay, &cursor, 3 * second, r.now + 2 * second), 1);
        CHECK_EQ(relay_silent(&r.relay, &cursor, 3 * second, r.now + 2 * second), MEDIA_NOWHERE);
        cursor = 0;
        CHECK_EQ(relay_silent(&r.relay, &cursor, 3 * second, r.now + 3 * second), 0);
    }
}

int main(void) {
    return UNIT_RUN("relay_places", UNIT(test_most_need_none), UNIT(test_for_other_numbers),
                    UNIT(test_for_what_is_played), UNIT(test_for_rtcp_elsewhere), UNIT(test_for_rtcp_before_rtp),
                    UNIT(test_one_for_each), UNIT(test_clean), UNIT(test_life_at_the_turn));
}
