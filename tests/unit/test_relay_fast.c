/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What the relay lets the kernel do, and that a packet may go either way. The kernel is played by fast_step, the code
 * that it runs.
 */
#include "rtp/fastpath_step.h"
#include "tests/unit/relay_rig.h"

static struct fast_in shared_in[STREAMS];
static struct fast_out shared_out[STREAMS];
static uint32_t times_taken, went_on;

#define TICK_US 4000

static struct rig shared_rig(void) {
    struct rig r = rig_new();
    for (uint32_t i = 0; i < STREAMS; i++) {
        shared_in[i] = (struct fast_in){ .target = FAST_NOWHERE };
        shared_out[i] = (struct fast_out){ 0 };
    }
    relay_share(&r.relay, shared_in, shared_out);
    return r;
}

static bool from_known_source(const struct fast_in *in, const struct addr *src) {
    struct fast_addr a = { .port = src->port, .family = src->family };
    memcpy(a.ip, src->ip, sizeof a.ip);
    return fast_addr_eq(&in->source, &a);
}

/* The short way of a packet like the one before comes to what the long way would have. */
static enum fast_verdict step_both_ways(struct fast_in *in, struct fast_out *out, struct fast_packet *k) {
    struct fast_in long_in;
    struct fast_out long_out;
    struct fast_packet long_k = *k;
    if (!fast_goes_on(in, out, k))
        return fast_step(in, out, k);
    memcpy(&long_in, in, sizeof long_in);
    memcpy(&long_out, out, sizeof long_out);
    CHECK_EQ(fast_step_any(&long_in, &long_out, &long_k), FAST_SEND);
    enum fast_verdict verdict = fast_step(in, out, k);
    CHECK_EQ(memcmp(&long_in, in, sizeof long_in), 0);
    CHECK_EQ(memcmp(&long_out, out, sizeof long_out), 0);
    CHECK_EQ(memcmp(long_k.header, k->header, sizeof k->header), 0);
    CHECK_EQ(long_k.counted, k->counted);
    went_on++;
    return verdict;
}

/* As the kernel judges it; the header is patched in r->packet. */
static enum fast_verdict in_kernel(struct rig *r, uint32_t stream, struct addr src, struct sent s) {
    struct fast_in *in = &shared_in[stream];
    struct fast_packet k = { .slot = stream, .target = in->target, .now_us = r->now / TICK_US * TICK_US };
    write_rtp(r, s);
    k.octets = (uint32_t)r->n;
    memcpy(k.header, r->packet, sizeof k.header);
    if (in->target == FAST_NOWHERE || !from_known_source(in, &src) || !fast_parse(&k))
        return FAST_UP;
    k.rtp.payload_len = (uint16_t)(k.octets - k.rtp.header_len);
    enum fast_verdict verdict = step_both_ways(in, &shared_out[k.target], &k);
    if (fast_wants_time(in, &k)) {
        fast_arrived(in, &k, r->now);
        times_taken++;
    }
    memcpy(r->packet, k.header, sizeof k.header);
    return verdict;
}

static void is_known_from_the_answer_on(void) {
    struct rig r = shared_rig();
    open_parties(&r, 2);
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 1, 1, 1 }), FAST_UP);
    join(&r, 0, 1);
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 1, 1, 1 }), FAST_SEND);
    CHECK_EQ(in_kernel(&r, 0, at(0, 4002), (struct sent){ 1, 1, 1 }), FAST_UP);
    CHECK_EQ(in_kernel(&r, 0, at(9, 4000), (struct sent){ 1, 1, 1 }), FAST_UP);
    CHECK_EQ(shared_out[1].dst.port, 4000);
    CHECK_EQ(relay_counters(&r.relay, 1).packets_out, 1);
    CHECK_EQ(relay_counters(&r.relay, 0).packets_in, 1);
}

static void behind_nat_from_the_latch_on(void) {
    struct rig r = shared_rig();
    open_parties(&r, 2);
    struct media_cmd nat = remote_of(0);
    nat.nat = true;
    CHECK_TRUE(command(&r, nat));
    join(&r, 0, 1);
    CHECK_EQ(in_kernel(&r, 0, at(0, 5000), (struct sent){ 1, 1, 1 }), FAST_UP);
    CHECK_EQ(rtp_from(&r, 0, at(0, 5000), (struct sent){ 0, 1, 1 }), RELAY_DROP_SOURCE);
    CHECK_EQ(rtp_from(&r, 0, at(0, 5000), (struct sent){ 1, 1, 1 }), RELAY_FORWARD);
    CHECK_EQ(in_kernel(&r, 0, at(0, 5000), (struct sent){ 2, 161, 1 }), FAST_SEND);
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 3, 321, 1 }), FAST_UP);
    CHECK_EQ(shared_out[0].dst.port, 5000);
}

static void either_way_without_a_jump(void) {
    struct rig r = shared_rig();
    struct relay_stats stats;
    open_parties(&r, 2);
    join(&r, 0, 1);
    for (uint16_t i = 0; i < 20; i++, r.now += FRAME_US) {
        struct sent s = { (uint16_t)(100 + i), 160u * i, 7 };
        if (i % 3)
            CHECK_EQ(in_kernel(&r, 0, at(0, 4000), s), FAST_SEND);
        else
            CHECK_EQ(say(&r, 0, s), RELAY_FORWARD);
        CHECK_HEARD(&r, 100 + i, 160u * i, 7, false);
    }
    CHECK_TRUE(relay_stats(&r.relay, 0, &stats));
    CHECK_EQ(stats.rtp_expected, 20);
    CHECK_EQ(stats.rtp_lost, 0);
    CHECK_EQ(stats.jitter_us, 0);
    CHECK_EQ(stats.counters.octets_in, 20 * 172);
    CHECK_EQ(relay_counters(&r.relay, 1).gap_us, FRAME_US);
}

/* Every other packet comes 5 ms late: 40 units. A few packets by user space between change nothing. */
static void jitter_of_a_sample(void) {
    struct rig r = shared_rig();
    struct relay_stats stats;
    open_parties(&r, 2);
    join(&r, 0, 1);
    times_taken = 0;
    uint64_t begin = r.now + 1700;
    for (uint32_t i = 0; i < 3200; i++) {
        struct sent s = { (uint16_t)i, 160 * i, 7 };
        r.now = begin + (uint64_t)i * FRAME_US + (i & 1) * 5000;
        if (i % 1000 == 501)
            CHECK_EQ(say(&r, 0, s), RELAY_FORWARD);
        else
            CHECK_EQ(in_kernel(&r, 0, at(0, 4000), s), FAST_SEND);
    }
    CHECK_TRUE(times_taken <= 32 + 2 * 100);
    CHECK_TRUE(relay_stats(&r.relay, 0, &stats));
    CHECK_EQ(stats.rtp_lost, 0);
    CHECK_TRUE(stats.jitter_us >= 4500 && stats.jitter_us <= 5000);
    CHECK_TRUE(relay_counters(&r.relay, 0).last_in_us + TICK_US > r.now);
}

static void a_transfer_goes_on_in_the_kernel(void) {
    struct rig r = shared_rig();
    open_parties(&r, 3);
    join(&r, 0, 1);
    CHECK_EQ(in_kernel(&r, 1, at(1, 4000), (struct sent){ 10, 1000, 5 }), FAST_SEND);
    join(&r, 0, 2);
    r.now += FRAME_US;
    CHECK_EQ(in_kernel(&r, 1, at(1, 4000), (struct sent){ 11, 1160, 5 }), FAST_UP);
    CHECK_EQ(say(&r, 1, (struct sent){ 11, 1160, 5 }), RELAY_DROP_NO_ROUTE);
    CHECK_EQ(in_kernel(&r, 2, at(2, 4000), (struct sent){ 500, 9, 6 }), FAST_SEND);
    CHECK_HEARD(&r, 11, 1160, 5, true);
    CHECK_EQ(in_kernel(&r, 2, at(2, 4000), (struct sent){ 499, 8, 6 }), FAST_DROP);
    CHECK_EQ(relay_counters(&r.relay, 2).dropped[RELAY_DROP_LATE], 1);
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 1, 1, 1 }), FAST_SEND);
    CHECK_EQ(relay_counters(&r.relay, 2).packets_out, 1);
    /* The end of the former party changes nothing for who was heard by it. */
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_CLOSE, .stream = 1 }));
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 2, 161, 1 }), FAST_SEND);
}

static void what_ends_it(void) {
    struct rig r = shared_rig();
    struct sent s = { 1, 1, 1 };
    open_parties(&r, 2);
    join(&r, 0, 1);
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_PLAY, .stream = 1 }));
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), s), FAST_UP);
    route(&r, 0, 1);
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), s), FAST_SEND);
    route(&r, 0, MEDIA_NOWHERE);
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), s), FAST_UP);
    route(&r, 0, 1);
    for (uint32_t side = 0; side < 2; side++) {
        struct media_cmd srtp = { .verb = MEDIA_SRTP, .stream = side };
        srtp.keys.suite = SRTP_BROKEN;
        CHECK_TRUE(command(&r, srtp));
        CHECK_EQ(in_kernel(&r, 0, at(0, 4000), s), FAST_UP);
        srtp.keys.suite = SRTP_NONE;
        CHECK_TRUE(command(&r, srtp));
        CHECK_EQ(in_kernel(&r, 0, at(0, 4000), s), FAST_SEND);
    }
    struct media_cmd remote = remote_of(1);
    remote.rtp = (struct addr){ 0 };
    CHECK_TRUE(command(&r, remote));
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), s), FAST_UP);
    CHECK_TRUE(command(&r, remote_of(1)));
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_CLOSE, .stream = 1 }));
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), s), FAST_UP);
}

static void payload_types(void) {
    struct rig r = shared_rig();
    open_parties(&r, 2);
    struct media_cmd cmd = { .verb = MEDIA_ROUTE, .stream = 0, .to = 1 };
    cmd.types.count = 2;
    cmd.types.pair[0].from = 101;
    cmd.types.pair[0].to = 96;
    cmd.types.pair[1].from = 97;
    cmd.types.pair[1].to = MEDIA_TYPE_DROP;
    CHECK_TRUE(command(&r, cmd));
    r.payload_type = 101;
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 1, 1, 1 }), FAST_SEND);
    CHECK_EQ(heard(&r).payload_type, 96);
    r.payload_type = 97;
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 2, 1, 1 }), FAST_UP);
    r.payload_type = 0;
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 2, 1, 1 }), FAST_SEND);
    CHECK_EQ(heard(&r).payload_type, 0);
}

/* As the kernel has it at hand from the packet before: a route with other numbers, and a packet that came up. */
static void other_numbers_for_the_next_packet(void) {
    struct rig r = shared_rig();
    struct media_cmd cmd = { .verb = MEDIA_ROUTE, .stream = 0, .to = 1 };
    open_parties(&r, 2);
    route(&r, 0, 1);
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 1, 160, 1 }), FAST_SEND);
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 2, 320, 1 }), FAST_SEND);
    cmd.types.count = 1;
    cmd.types.pair[0].to = 8;
    CHECK_TRUE(command(&r, cmd));
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 3, 480, 1 }), FAST_SEND);
    CHECK_EQ(heard(&r).payload_type, 8);
    r.payload_type = 14; /* of another clock rate */
    CHECK_EQ(say(&r, 0, (struct sent){ 4, 640, 1 }), RELAY_FORWARD);
    CHECK_EQ(shared_in[0].heard.clock_rate, 90000);
    r.payload_type = 0;
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 5, 800, 1 }), FAST_SEND);
    CHECK_EQ(shared_in[0].heard.clock_rate, 8000);
}

static uint32_t dice(uint32_t *state, uint32_t sides) {
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % sides;
}

/* Two parties in turn on one listener, with gaps, repetitions, wraps, jumps, other SSRCs and types. */
static void whatever_comes(void) {
    struct rig r = shared_rig();
    struct sent s[2] = { { 65000, 0, 5 }, { 100, 7000, 6 } };
    uint32_t state = 1, all = 0, talks = 0;
    open_parties(&r, 3);
    went_on = 0;
    for (uint32_t i = 0; i < 20000; i++, r.now += FRAME_US) {
        uint32_t d = dice(&state, 400);
        if (d == 0 || i == 0)
            route(&r, talks = dice(&state, 2), 2);
        struct sent *next = &s[talks];
        r.payload_type = d < 8 ? 101 : d < 10 ? 14 : 0;
        int step = d >= 32 ? 1 : d >= 24 ? 0 : d >= 20 ? 5 : d >= 16 ? -3 : d == 15 ? 9000 : 1;
        next->seq = (uint16_t)(next->seq + step);
        next->ssrc += d == 14;
        next->ts += 160;
        if (d >= 390)
            say(&r, talks, *next);
        else
            in_kernel(&r, talks, at(talks, 4000), *next);
        all += d < 390;
    }
    CHECK_TRUE(went_on > all / 2 && went_on < all);
}

/* Ticks of 1/300 s, which are no whole microseconds; at the daemon's next look the machine has slept for an hour. */
static void ticks(void) {
    struct fast_config c = { .seen_tick = 4294900000, .seen_ns = 7000000000 };
    uint64_t day = 86400 * 300, tick_ns = 3333333;
    fast_set_clock(&c, tick_ns, 0);
    CHECK_EQ(fast_tick_us(c.tick, c.tick_at_us, c.tick_us_16, c.seen_tick), 7000000);
    uint64_t later = fast_tick_us(c.tick, c.tick_at_us, c.tick_us_16, c.seen_tick + day);
    CHECK_TRUE(later <= 7000000 + day * tick_ns / 1000 && later + 1000 > 7000000 + day * tick_ns / 1000);
    uint64_t began = c.tick;
    c.seen_tick += day;
    c.seen_ns += day * tick_ns;
    fast_set_clock(&c, tick_ns, 3600000000000);
    CHECK_EQ(c.tick, began);
    CHECK_EQ(fast_tick_us(c.tick, c.tick_at_us, c.tick_us_16, c.seen_tick), c.seen_ns / 1000 + 3600000000);
}

static void another_use_of_the_slot(void) {
    struct rig r = shared_rig();
    open_parties(&r, 2);
    join(&r, 0, 1);
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 1, 1, 1 }), FAST_SEND);
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = 1, .generation = 2 }));
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 2, 2, 1 }), FAST_UP);
    CHECK_EQ(relay_counters(&r.relay, 1).packets_out, 0);
    CHECK_FALSE(shared_out[1].egress.started);
}

/* Another process takes the arrays over: not a packet is other than it would have been. */
static void resumed(void) {
    struct rig old = shared_rig();
    struct media_cmd nat = remote_of(0);
    open_parties(&old, 3);
    nat.nat = true;
    CHECK_TRUE(command(&old, nat));
    join(&old, 2, 1);
    CHECK_EQ(in_kernel(&old, 2, at(2, 4000), (struct sent){ 40, 4000, 9 }), FAST_SEND);
    join(&old, 0, 1);
    old.now += FRAME_US;
    CHECK_EQ(rtp_from(&old, 0, at(0, 5000), (struct sent){ 6, 0, 1 }), RELAY_DROP_SOURCE);
    CHECK_EQ(rtp_from(&old, 0, at(0, 5000), (struct sent){ 7, 0, 1 }), RELAY_FORWARD);
    CHECK_HEARD(&old, 41, 4160, 9, true);
    struct rig r = rig_new();
    relay_share(&r.relay, shared_in, shared_out);
    r.now = old.now;
    for (uint32_t i = 0; i < 2; i++)
        CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = i, .generation = 3, .resume = true }));
    CHECK_EQ(in_kernel(&r, 0, at(0, 5000), (struct sent){ 8, 160, 1 }), FAST_SEND);
    CHECK_HEARD(&r, 42, 4320, 9, false);
    nat.generation = 3;
    CHECK_TRUE(command(&r, nat));
    nat = remote_of(1);
    nat.generation = 3;
    CHECK_TRUE(command(&r, nat));
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_ROUTE, .stream = 0, .to = 1, .generation = 3 }));
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_ROUTE, .stream = 1, .to = 0, .generation = 3 }));
    CHECK_EQ(in_kernel(&r, 0, at(0, 5000), (struct sent){ 9, 320, 1 }), FAST_SEND);
    CHECK_HEARD(&r, 43, 4480, 9, false);
    CHECK_EQ(rtp_from(&r, 0, at(0, 5000), (struct sent){ 10, 480, 1 }), RELAY_FORWARD);
    CHECK_HEARD(&r, 44, 4640, 9, false);
    CHECK_EQ(in_kernel(&r, 1, at(1, 4000), (struct sent){ 1, 1, 2 }), FAST_SEND);
    /* A slot that nothing flows on is as new. */
    CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = 5, .generation = 3, .resume = true }));
    CHECK_EQ(shared_in[5].target, FAST_NOWHERE);
}

/* The kernel goes on for a call that went to another node. The next one on its pairs was read and sent on to a sibling,
 * which begins anew: it neither believes nor sends to who had the pairs before. */
static void left_over_an_older_use(void) {
    struct rig old = shared_rig();
    open_parties(&old, 2);
    join(&old, 0, 1);
    CHECK_EQ(in_kernel(&old, 0, at(0, 4000), (struct sent){ 1, 1, 1 }), FAST_SEND);
    for (uint32_t i = 0; i < 2; i++)
        CHECK_TRUE(command(&old, (struct media_cmd){ .verb = MEDIA_LEAVE, .stream = i, .generation = 2 }));
    struct rig r = rig_new();
    relay_share(&r.relay, shared_in, shared_out);
    for (uint32_t i = 0; i < 2; i++)
        CHECK_TRUE(command(&r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = i, .resume = true }));
    CHECK_EQ(in_kernel(&r, 0, at(0, 4000), (struct sent){ 2, 161, 1 }), FAST_UP);
    CHECK_FALSE(shared_out[1].egress.started);
    struct media_cmd nat = remote_of(0);
    nat.nat = true;
    CHECK_TRUE(command(&r, nat));
    CHECK_EQ(r.relay.streams[0].rtp.learned.family, ADDR_NONE);
}

int main(void) {
    return UNIT_RUN("relay_fast", UNIT(is_known_from_the_answer_on), UNIT(behind_nat_from_the_latch_on),
                    UNIT(either_way_without_a_jump), UNIT(jitter_of_a_sample), UNIT(a_transfer_goes_on_in_the_kernel),
                    UNIT(what_ends_it), UNIT(payload_types), UNIT(other_numbers_for_the_next_packet),
                    UNIT(whatever_comes), UNIT(ticks), UNIT(another_use_of_the_slot), UNIT(resumed),
                    UNIT(left_over_an_older_use));
}
