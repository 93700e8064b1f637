/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What the relay lets the kernel do, and that a packet may go either way. The kernel is played by fast_step, the code
 * that it runs.
 */
#include "rtp/fastpath_step.h"
#include "tests/unit/relay_rig.h"

static struct fast_in shared_in[STREAMS];
static struct fast_out shared_out[STREAMS];
static uint32_t times_taken;

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
    enum fast_verdict verdict = fast_step(in, &shared_out[k.target], &k);
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

int main(void) {
    return UNIT_RUN("relay_fast", UNIT(is_known_from_the_answer_on), UNIT(behind_nat_from_the_latch_on),
                    UNIT(either_way_without_a_jump), UNIT(jitter_of_a_sample), UNIT(a_transfer_goes_on_in_the_kernel),
                    UNIT(what_ends_it), UNIT(payload_types), UNIT(another_use_of_the_slot), UNIT(resumed));
}
