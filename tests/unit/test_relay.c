/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/relay_rig.h"

static void test_forward_unchanged(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    uint8_t before[172];
    write_rtp(&r, (struct sent){ 7, 700, 0xaaaa });
    memcpy(before, r.packet, 172);
    CHECK_EQ(arrive(&r, 0, false, at(0, 4000)), RELAY_FORWARD);
    CHECK_EQ(memcmp(before, r.packet, 172), 0);
    CHECK_EQ(r.verdict.out_stream, 1);
    CHECK_FALSE(r.verdict.out_rtcp_port);
    CHECK_TRUE(addr_eq(&r.verdict.dst, &(struct addr){ .ip = { 192, 0, 2, 1 }, .port = 4000, .family = ADDR_V4 }));
    CHECK_EQ(say(&r, 1, (struct sent){ 1, 1, 0xbbbb }), RELAY_FORWARD);
    CHECK_EQ(r.verdict.out_stream, 0);
}

static void test_drops(void) {
    struct rig r = rig_new();
    struct sent s = { 1, 1, 1 };
    CHECK_EQ(say(&r, 0, s), RELAY_DROP_CLOSED);
    CHECK_EQ(say(&r, STREAMS, s), RELAY_DROP_CLOSED);
    CHECK_EQ(say(&r, UINT32_MAX, s), RELAY_DROP_CLOSED);
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = 0 }));
    CHECK_EQ(say(&r, 0, s), RELAY_DROP_NO_REMOTE);
    CHECK_TRUE(command(&r, remote_of(0)));
    CHECK_EQ(say(&r, 0, s), RELAY_DROP_NO_ROUTE);
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = 1 }));
    route(&r, 0, 1);
    CHECK_EQ(say(&r, 0, s), RELAY_DROP_NO_ADDRESS);
    struct media_cmd hold = remote_of(1);
    hold.rtp = at(1, 0);
    CHECK_TRUE(command(&r, hold));
    CHECK_EQ(say(&r, 0, s), RELAY_DROP_NO_ADDRESS);
    CHECK_TRUE(command(&r, remote_of(1)));
    CHECK_EQ(say(&r, 0, s), RELAY_FORWARD);
    r.packet[0] = 0;
    CHECK_EQ(arrive(&r, 0, false, at(0, 4000)), RELAY_DROP_MALFORMED);
    write_rtp(&r, s);
    CHECK_EQ(arrive(&r, 0, true, at(0, 4001)), RELAY_DROP_MALFORMED);
    route(&r, 0, MEDIA_NOWHERE);
    CHECK_EQ(say(&r, 0, s), RELAY_DROP_NO_ROUTE);
    CHECK_EQ(r.verdict.out_stream, MEDIA_NOWHERE);
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_CLOSE, .stream = 0 }));
    CHECK_EQ(say(&r, 0, s), RELAY_DROP_CLOSED);
    CHECK_EQ(r.relay.dropped[RELAY_DROP_CLOSED], 4);
    CHECK_EQ(relay_counters(&r.relay, 0).dropped[RELAY_DROP_NO_ROUTE], 2);
    CHECK_TRUE(strcmp(relay_drop_name(RELAY_DROP_NO_ADDRESS), "no_address") == 0);
    CHECK_TRUE(strcmp(relay_drop_name(RELAY_DROP_RTCP), "rtcp") == 0);
}

static void test_gaps_and_reordering_stay(void) {
    struct rig r = rig_new();
    open_parties(&r, 3);
    route(&r, 0, 2);
    CHECK_EQ(say(&r, 0, (struct sent){ 10, 1000, 5 }), RELAY_FORWARD);
    route(&r, 1, 2);
    r.now += FRAME_US;
    CHECK_EQ(say(&r, 1, (struct sent){ 500, 0, 6 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 11, 1160, 5, 1);
    CHECK_EQ(say(&r, 1, (struct sent){ 503, 480, 6 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 14, 1640, 5, 0);
    CHECK_EQ(say(&r, 1, (struct sent){ 502, 320, 6 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 13, 1480, 5, 0);
    CHECK_EQ(say(&r, 1, (struct sent){ 499, 0xffffff60, 6 }), RELAY_DROP_LATE);
    r.now += FRAME_US;
    CHECK_EQ(say(&r, 1, (struct sent){ 40, 9, 7 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 15, 1640 + 160, 5, 1);
    CHECK_EQ(relay_counters(&r.relay, 2).splices, 2);
}

static void test_former_source_is_not_heard(void) {
    struct rig r = rig_new();
    open_parties(&r, 3);
    join(&r, 0, 1);
    CHECK_EQ(say(&r, 1, (struct sent){ 1, 1, 1 }), RELAY_FORWARD);
    join(&r, 0, 2);
    CHECK_EQ(say(&r, 1, (struct sent){ 2, 161, 1 }), RELAY_DROP_NO_ROUTE);
    CHECK_EQ(say(&r, 2, (struct sent){ 90, 0, 3 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 2, 2, 1, 1);
    CHECK_EQ(say(&r, 0, (struct sent){ 1, 1, 2 }), RELAY_FORWARD);
    CHECK_EQ(r.verdict.out_stream, 2);
}

/* Party 0 is handed on ten times; sequence and timestamp wrap on the way. */
/* Row 42, T-7.1. */
static void test_ten_repoints(void) {
    struct rig r = rig_new();
    open_parties(&r, 11);
    uint16_t seq = 65500;
    uint32_t ts = 0xfffffa00;
    for (uint32_t party = 1; party <= 10; party++) {
        join(&r, 0, party);
        for (uint32_t i = 0; i < 10; i++) {
            struct sent s = { (uint16_t)(seq + i), ts + i * 160, 0x1111 };
            if (party > 1)
                s = (struct sent){ (uint16_t)(65533 + 7919 * party + i), 0xfffffff0u - 7777777 * party + i * 160,
                                   party };
            r.now += FRAME_US;
            CHECK_EQ(say(&r, party, s), RELAY_FORWARD);
            CHECK_HEARD(&r, seq + i, ts + i * 160, 0x1111, party > 1 && i == 0);
            CHECK_EQ(r.verdict.out_stream, 0);
        }
        seq = (uint16_t)(seq + 10);
        ts += 1600;
    }
    CHECK_TRUE(seq < 65500 && ts < 0xfffffa00);
    CHECK_EQ(relay_counters(&r.relay, 0).splices, 9);
    CHECK_EQ(relay_counters(&r.relay, 0).gap_us, FRAME_US);
}

static void test_source_back_from_hold(void) {
    struct rig r = rig_new();
    open_parties(&r, 3);
    route(&r, 1, 0);
    say(&r, 1, (struct sent){ 100, 8000, 1 });
    route(&r, 2, 0);
    r.now += 1000000;
    say(&r, 2, (struct sent){ 5, 5, 2 });
    CHECK_HEARD(&r, 101, 16000, 1, 1);
    route(&r, 1, 0);
    r.now += 1000000;
    say(&r, 1, (struct sent){ 200, 24000, 1 });
    CHECK_HEARD(&r, 102, 24000, 1, 1);
}

static void test_clock_rates_differ(void) {
    struct rig r = rig_new();
    open_parties(&r, 3);
    struct media_cmd opus = remote_of(2);
    opus.clock_rate = 48000;
    CHECK_TRUE(command(&r, opus));
    route(&r, 1, 0);
    say(&r, 1, (struct sent){ 100, 8000, 0xa });
    route(&r, 2, 0);
    r.payload_type = 111;
    say(&r, 2, (struct sent){ 5, 77, 0xb });
    CHECK_HEARD(&r, 5, 77, 0xb, 1);
    r.now += FRAME_US;
    say(&r, 2, (struct sent){ 900, 9, 0xc });
    CHECK_HEARD(&r, 6, 77 + 960, 0xb, 1);
    route(&r, 1, 0);
    r.payload_type = 0;
    say(&r, 1, (struct sent){ 101, 8160, 0xb });
    CHECK_HEARD(&r, 101, 8160, 0xc, 1);
}

/* A phone that offered Opus first and then speaks PCMU. */
static void test_static_type_has_its_rate(void) {
    struct rig r = rig_new();
    open_parties(&r, 3);
    struct media_cmd opus = remote_of(2);
    opus.clock_rate = 48000;
    CHECK_TRUE(command(&r, opus));
    route(&r, 2, 0);
    say(&r, 2, (struct sent){ 5, 77, 0xb });
    r.now += FRAME_US;
    route(&r, 1, 0);
    say(&r, 1, (struct sent){ 100, 8000, 0xa });
    CHECK_HEARD(&r, 6, 77 + 160, 0xb, 1);
}

static void test_echo(void) {
    struct rig r = rig_new();
    open_parties(&r, 1);
    route(&r, 0, 0);
    CHECK_EQ(say(&r, 0, (struct sent){ 7, 70, 0xaaaa }), RELAY_FORWARD);
    CHECK_EQ(r.verdict.out_stream, 0);
    CHECK_EQ(r.verdict.dst.port, 4000);
    uint32_t ours = heard(&r).ssrc;
    CHECK_TRUE(ours != 0xaaaa);
    CHECK_HEARD(&r, 7, 70, ours, 0);
    r.now += FRAME_US;
    CHECK_EQ(say(&r, 0, (struct sent){ 9000, 3, 0xbbbb }), RELAY_FORWARD);
    CHECK_HEARD(&r, 8, 230, ours, 1);
}

/* Who has the keys does the rest: what comes here is plain, and continues what the listener heard. */
static void test_srtp_is_continued(void) {
    struct rig r = rig_new();
    open_parties(&r, 3);
    struct media_cmd srtp = { .verb = MEDIA_SRTP, .stream = 0, .generation = 1 };
    srtp.keys.suite = SRTP_AES_CM_128_HMAC_SHA1_80;
    CHECK_TRUE(command(&r, srtp));
    join(&r, 0, 1);
    CHECK_EQ(say(&r, 1, (struct sent){ 100, 8000, 1 }), RELAY_FORWARD);
    join(&r, 0, 2);
    r.now += FRAME_US;
    CHECK_EQ(say(&r, 2, (struct sent){ 7, 9, 2 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 101, 8160, 1, 1);
    relay_dropped(&r.relay, 0, RELAY_DROP_SRTP);
    CHECK_EQ(relay_counters(&r.relay, 0).dropped[RELAY_DROP_SRTP], 1);
    CHECK_EQ(relay_counters(&r.relay, 0).packets_in, 0);
    srtp.generation = 9;
    CHECK_FALSE(command(&r, srtp));
}

static void test_generations(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    struct media_cmd close = { .verb = MEDIA_CLOSE, .stream = 1, .generation = 9 };
    CHECK_FALSE(command(&r, close));
    CHECK_EQ(say(&r, 0, (struct sent){ 1, 1, 1 }), RELAY_FORWARD);
    CHECK_FALSE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = 1, .generation = 1 }));
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = 1, .generation = 2 }));
    struct media_cmd remote = remote_of(1);
    CHECK_FALSE(command(&r, remote));
    remote.generation = 2;
    CHECK_TRUE(command(&r, remote));
    CHECK_EQ(say(&r, 0, (struct sent){ 2, 1, 1 }), RELAY_DROP_NO_ROUTE);
    CHECK_FALSE(command(&r, (struct media_cmd){ .verb = MEDIA_CLOSE, .stream = 1, .generation = 1 }));
    CHECK_FALSE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = STREAMS }));
    CHECK_FALSE(command(&r, (struct media_cmd){ .verb = MEDIA_ROUTE, .stream = 0, .to = STREAMS }));
    CHECK_EQ(r.relay.stale_commands, 6);
    route(&r, 0, 1);
    CHECK_EQ(say(&r, 0, (struct sent){ 3, 1, 1 }), RELAY_FORWARD);
}

static bool leave(struct rig *r, uint32_t generation) {
    return command(r, (struct media_cmd){ .verb = MEDIA_LEAVE, .stream = 1, .generation = generation });
}

/* Whose call went on elsewhere before it was opened here is left like one that was. */
static void test_left(void) {
    struct rig r = rig_new();
    CHECK_TRUE(leave(&r, 1));
    open_parties(&r, 2);
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_CLOSE, .stream = 1, .generation = 1 }));
    CHECK_FALSE(leave(&r, 1));
    CHECK_TRUE(leave(&r, 2));
    CHECK_EQ(r.relay.streams[1].generation, 0);
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = 1, .generation = 2 }));
    CHECK_FALSE(leave(&r, 1));
    CHECK_TRUE(leave(&r, 2));
    CHECK_FALSE(r.relay.streams[1].open);
}

/* The call before it went to another node, and nobody closed what the relay did for it: that is over now. */
static void test_left_over_an_older_use(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_PLAY, .stream = 1 }));
    CHECK_EQ(r.relay.player_count, 1);
    CHECK_TRUE(leave(&r, 3));
    CHECK_FALSE(r.relay.streams[1].open);
    CHECK_EQ(r.relay.streams[1].generation, 0);
    CHECK_EQ(r.relay.player_count, 0);
    CHECK_EQ(say(&r, 1, (struct sent){ 1, 1, 1 }), RELAY_DROP_CLOSED);
    CHECK_EQ(say(&r, 0, (struct sent){ 1, 1, 1 }), RELAY_DROP_NO_ROUTE);
    CHECK_EQ(r.relay.stale_commands, 0);
}

/* T-8.2, T-8.3: each side's own number, the marker untouched; the way back has its own table. */
static void test_types_are_translated(void) {
    struct rig r = rig_new();
    struct media_cmd there = { .verb = MEDIA_ROUTE, .stream = 0, .to = 1 }, back = there;
    there.types = (struct media_types){ 3, false, { { 101, 96 }, { 96, 111 }, { 97, MEDIA_TYPE_DROP } } };
    back.stream = 1;
    back.to = 0;
    back.types = (struct media_types){ 1, true, { { 96, 101 } } };
    open_parties(&r, 2);
    CHECK_TRUE(command(&r, there) && command(&r, back));
    const struct {
        uint32_t from;
        uint8_t type;
        enum relay_drop drop;
        uint8_t heard;
    } rows[] = {
        { 0, 101, RELAY_FORWARD, 96 },       { 0, 0x80 | 101, RELAY_FORWARD, 96 }, { 0, 96, RELAY_FORWARD, 111 },
        { 0, 0, RELAY_FORWARD, 0 },          { 0, 97, RELAY_DROP_TYPE, 0 },        { 1, 96, RELAY_FORWARD, 101 },
        { 1, 0, RELAY_DROP_TYPE, 0 },
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        r.payload_type = rows[i].type;
        CHECK_EQ(say(&r, rows[i].from, (struct sent){ (uint16_t)i, i * 160, rows[i].from + 5 }), rows[i].drop);
        if (rows[i].drop != RELAY_FORWARD)
            continue;
        CHECK_EQ(heard(&r).payload_type, rows[i].heard);
        CHECK_EQ(heard(&r).marker, rows[i].type >> 7);
    }
    route(&r, 0, 1);
    r.payload_type = 101;
    CHECK_EQ(say(&r, 0, (struct sent){ 9, 1440, 5 }), RELAY_FORWARD);
    CHECK_EQ(heard(&r).payload_type, 101);
    CHECK_TRUE(strcmp(relay_drop_name(RELAY_DROP_TYPE), "type") == 0);
    CHECK_TRUE(strcmp(relay_drop_name(RELAY_DROP_RTCP), "rtcp") == 0);
}

static bool play(struct rig *r, uint32_t stream) {
    static const uint8_t silence[160];
    struct relay_frame f = { .stream = stream, .payload = silence, .n = sizeof silence, .packet = r->packet };
    r->n = RTP_HEADER_MIN + sizeof silence;
    return relay_play(&r->relay, &f, r->now, &r->verdict);
}

/* What the listener hears goes on: talk, music, other music, talk. */
static void test_music(void) {
    struct rig r = rig_new();
    struct media_cmd music = { .verb = MEDIA_PLAY, .stream = 1, .payload_type = 8, .alaw = true };
    open_parties(&r, 3);
    join(&r, 0, 1);
    CHECK_FALSE(play(&r, 1));
    CHECK_EQ(say(&r, 0, (struct sent){ 10, 1000, 5 }), RELAY_FORWARD);
    CHECK_TRUE(command(&r, music));
    CHECK_EQ(r.relay.player_count, 1);
    r.now += FRAME_US;
    CHECK_TRUE(play(&r, 1));
    CHECK_HEARD(&r, 11, 1160, 5, 1);
    CHECK_EQ(heard(&r).payload_type, 8);
    CHECK_TRUE(r.verdict.out_stream == 1 && r.verdict.dst.ip[3] == 1 && r.verdict.dst.port == 4000);
    r.now += FRAME_US;
    CHECK_TRUE(play(&r, 1));
    CHECK_HEARD(&r, 12, 1320, 5, 0);
    CHECK_EQ(say(&r, 0, (struct sent){ 11, 1160, 5 }), RELAY_DROP_NO_ROUTE);
    CHECK_EQ(say(&r, 1, (struct sent){ 1, 0, 6 }), RELAY_FORWARD); /* the other way goes on */
    CHECK_EQ(relay_counters(&r.relay, 1).packets_out, 3);
    CHECK_TRUE(command(&r, music)); /* the same: where it was */
    CHECK_EQ(relay_extra(&r.relay, &r.relay.streams[1])->play.frames, 2);
    music.source = MEDIA_SOURCE_RINGBACK;
    CHECK_TRUE(command(&r, music));
    CHECK_EQ(relay_extra(&r.relay, &r.relay.streams[1])->play.frames, 0);
    route(&r, 2, 1);
    CHECK_FALSE(play(&r, 1));
    CHECK_EQ(r.relay.player_count, 0);
    r.now += FRAME_US;
    CHECK_EQ(say(&r, 2, (struct sent){ 700, 0, 9 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 13, 1480, 5, 1);
}

/* Several at a time; whoever ends is taken out of the list. */
static void test_players(void) {
    struct rig r = rig_new();
    open_parties(&r, 4);
    for (uint32_t s = 0; s < 4; s++)
        CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_PLAY, .stream = s }));
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_STOP, .stream = 1 }));
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_STOP, .stream = 1 }));
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_CLOSE, .stream = 3 }));
    CHECK_EQ(r.relay.player_count, 2);
    CHECK_TRUE(play(&r, 0) && play(&r, 2));
    CHECK_FALSE(play(&r, 1) || play(&r, 3) || play(&r, STREAMS));
    struct media_cmd deaf = { .verb = MEDIA_REMOTE, .stream = 2 };
    CHECK_TRUE(command(&r, deaf));
    CHECK_FALSE(play(&r, 2));
    CHECK_EQ(relay_extra(&r.relay, &r.relay.streams[2])->play.frames, 2); /* time goes on */
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = 3, .generation = 2 }));
    CHECK_EQ(r.relay.player_count, 2);
}

static void test_statistics(void) {
    struct rig r = rig_new();
    struct relay_stats s;
    open_parties(&r, 2);
    join(&r, 0, 1);
    for (uint32_t i = 0; i < 10; i++, r.now += FRAME_US)
        if (i < 3 || i > 5)
            say(&r, 0, (struct sent){ (uint16_t)i, i * 160, 5 });
    CHECK_TRUE(relay_stats(&r.relay, 1, &s));
    CHECK_EQ(s.counters.packets_out, 7);
    CHECK_EQ(s.counters.octets_out, 7 * 172);
    CHECK_EQ(s.counters.gap_us, 4 * FRAME_US);
    CHECK_EQ(s.counters.first_out_us, 1000000);
    CHECK_EQ(s.ssrc_out, 5);
    CHECK_TRUE(relay_stats(&r.relay, 0, &s));
    CHECK_EQ(s.counters.packets_in, 7);
    CHECK_EQ(s.rtp_expected, 10);
    CHECK_EQ(s.rtp_lost, 3);
    CHECK_EQ(s.jitter_us, 0);
    CHECK_EQ(s.ssrc_in, 5);
    CHECK_EQ(s.route, 1);
    CHECK_TRUE(s.open);
    CHECK_TRUE(command(&r, remote_of(1)));
    CHECK_TRUE(relay_stats(&r.relay, 1, &s));
    CHECK_EQ(s.counters.gap_us, 0);
    CHECK_EQ(s.counters.first_out_us, 0);
    CHECK_EQ(s.counters.remote_us, r.now);
    CHECK_FALSE(relay_stats(&r.relay, STREAMS, &s));
}

/* Of streams 0 to 2 the first sends RTP, the second RTCP, the third nothing. */
static void test_silence(void) {
    struct rig r = rig_new();
    uint32_t cursor = 0;
    const uint64_t second = 1000000;
    open_parties(&r, 3);
    join(&r, 0, 1);
    uint64_t begin = r.now;
    for (uint16_t i = 0; i < 100; i++, r.now += FRAME_US) {
        CHECK_EQ(say(&r, 0, (struct sent){ i, 160u * i, 1 }), RELAY_FORWARD);
        uint8_t report[8] = { 0x80, RTCP_RR, 0, 1, 0, 0, 0, 7 };
        memcpy(r.packet, report, r.n = sizeof report);
        CHECK_EQ(arrive(&r, 1, true, at(1, 4001)), RELAY_FORWARD);
    }
    CHECK_EQ(relay_silent(&r.relay, &cursor, second, r.now), 2);
    CHECK_EQ(relay_silent(&r.relay, &cursor, second, r.now), MEDIA_NOWHERE);
    cursor = 0;
    CHECK_EQ(relay_silent(&r.relay, &cursor, 3 * second, r.now), MEDIA_NOWHERE);
    cursor = 0;
    CHECK_EQ(relay_silent(&r.relay, &cursor, second, r.now + second / 8), MEDIA_NOWHERE);
    cursor = 0;
    r.now = begin + 10 * second;
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(relay_silent(&r.relay, &cursor, second, r.now), i);
    cursor = 0;
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_CLOSE, .stream = 0 }));
    CHECK_TRUE(command(&r, remote_of(1)));
    CHECK_EQ(relay_silent(&r.relay, &cursor, second, r.now + second / 2), 2);
    CHECK_EQ(relay_silent(&r.relay, &cursor, second, r.now + second / 2), MEDIA_NOWHERE);
}

int main(void) {
    return UNIT_RUN("relay", UNIT(test_forward_unchanged), UNIT(test_drops),
                    UNIT(test_gaps_and_reordering_stay), UNIT(test_former_source_is_not_heard),
                    UNIT(test_ten_repoints), UNIT(test_source_back_from_hold), UNIT(test_clock_rates_differ),
                    UNIT(test_static_type_has_its_rate),
                    UNIT(test_echo), UNIT(test_srtp_is_continued),
                    UNIT(test_generations), UNIT(test_left), UNIT(test_left_over_an_older_use),
                    UNIT(test_types_are_translated),
                    UNIT(test_music), UNIT(test_players), UNIT(test_statistics), UNIT(test_silence));
}
