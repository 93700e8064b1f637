/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A relay of 16 streams with parties at 192.0.2.STREAM, ports 4000 and 4001, for test_relay.c and test_relay_rtcp.c.
 */
#ifndef REFEREE_TESTS_RELAY_RIG_H
#define REFEREE_TESTS_RELAY_RIG_H

#include "rtp/relay.h"
#include "tests/unit/unit.h"

#define STREAMS 16
#define FRAME_US 20000

static uint8_t rig_mem[1 << 16] __attribute__((aligned(64)));

struct rig {
    struct relay relay;
    uint64_t now;
    uint8_t packet[512];          /* the last one that went in, as it came out */
    size_t n;
    struct relay_verdict verdict;
    uint8_t payload_type;
};

static inline struct rig rig_new(void) {
    struct rig r = { .now = 1000000 };
    struct arena a;
    CHECK_TRUE(relay_bytes(STREAMS) <= sizeof rig_mem);
    arena_init(&a, rig_mem, sizeof rig_mem);
    relay_init(&r.relay, &a, STREAMS);
    CHECK_TRUE(a.used <= relay_bytes(STREAMS));
    return r;
}

static inline struct addr at(unsigned host, uint16_t port) {
    return (struct addr){ .ip = { 192, 0, 2, (uint8_t)host }, .port = port, .family = ADDR_V4 };
}

static inline bool command(struct rig *r, struct media_cmd cmd) {
    if (cmd.generation == 0)
        cmd.generation = 1;
    return relay_command(&r->relay, &cmd, r->now);
}

static inline void route(struct rig *r, uint32_t from, uint32_t to) {
    CHECK_TRUE(command(r, (struct media_cmd){ .verb = MEDIA_ROUTE, .stream = from, .to = to }));
}

static inline struct media_cmd remote_of(uint32_t s) {
    return (struct media_cmd){ .verb = MEDIA_REMOTE, .stream = s, .rtp = at(s, 4000), .rtcp = at(s, 4001),
                               .clock_rate = 8000 };
}

static inline void join(struct rig *r, uint32_t a, uint32_t b) {
    route(r, a, b);
    route(r, b, a);
}

/* Streams 0 to n - 1 open, each with its party. */
static inline void open_parties(struct rig *r, uint32_t n) {
    for (uint32_t s = 0; s < n; s++) {
        CHECK_TRUE(command(r, (struct media_cmd){ .verb = MEDIA_OPEN, .stream = s }));
        CHECK_TRUE(command(r, remote_of(s)));
    }
}

/* Party 0 signals from somewhere else than where its description says. */
static inline void put_behind_nat(struct rig *r) {
    struct media_cmd nat = remote_of(0);
    nat.nat = true;
    nat.signalling = at(50, 5060);
    CHECK_TRUE(command(r, nat));
}

static inline enum relay_drop arrive(struct rig *r, uint32_t stream, bool rtcp_port, struct addr src) {
    struct relay_in in = { stream, rtcp_port, src, r->packet, r->n };
    relay_packet(&r->relay, &in, r->now, &r->verdict);
    return r->verdict.drop;
}

struct sent {
    uint16_t seq;
    uint32_t ts, ssrc;
};

static inline void write_rtp(struct rig *r, struct sent s) {
    memset(r->packet, 0xd5, 172);
    r->packet[0] = 0x80;
    r->packet[1] = r->payload_type;
    rtp_put16(r->packet + 2, s.seq);
    rtp_put32(r->packet + 4, s.ts);
    rtp_put32(r->packet + 8, s.ssrc);
    r->n = 172;
}

static inline enum relay_drop rtp_from(struct rig *r, uint32_t stream, struct addr src, struct sent s) {
    write_rtp(r, s);
    return arrive(r, stream, false, src);
}

/* From the party itself. */
static inline enum relay_drop say(struct rig *r, uint32_t stream, struct sent s) {
    return rtp_from(r, stream, at(stream, 4000), s);
}

static inline struct rtp_view heard(const struct rig *r) {
    struct rtp_view v = { 0 };
    CHECK_TRUE(rtp_parse(r->packet, r->n, &v));
    return v;
}

#define CHECK_HEARD(r, want_seq, want_ts, want_ssrc, want_marker)                                       \
    do {                                                                                                \
        struct rtp_view h_ = heard(r);                                                                  \
        CHECK_EQ(h_.seq, (uint16_t)(want_seq));                                                         \
        CHECK_EQ(h_.timestamp, (uint32_t)(want_ts));                                                    \
        CHECK_EQ(h_.ssrc, (uint32_t)(want_ssrc));                                                       \
        CHECK_EQ(h_.marker, want_marker);                                                               \
    } while (0)

#endif
