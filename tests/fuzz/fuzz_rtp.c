/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A relay of four streams under a script of commands and packets taken from the input: nothing is read or written
 * outside a packet, a forwarded one goes to an open listener's address, and counters agree with verdicts. Script: one
 * byte of what to do and one of arguments; a packet follows as length and bytes.
 */
#include "core/base/check.h"
#include "rtp/relay.h"

#define STREAMS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t mem[1 << 14] __attribute__((aligned(64)));

struct script {
    const uint8_t *p;
    size_t n;
};

static uint8_t next(struct script *s) {
    if (s->n == 0)
        return 0;
    s->n--;
    return *s->p++;
}

static struct addr party(uint8_t host, uint16_t port) {
    return (struct addr){ .ip = { 192, 0, 2, host & 3 }, .port = port, .family = ADDR_V4 };
}

static void give_command(struct relay *r, uint8_t what, uint8_t argument, uint64_t now_us) {
    struct media_cmd cmd = {
        .verb = (enum media_verb)(what & 3),
        .stream = argument & 7,
        .generation = 1 + (argument >> 3 & 1),
        .to = argument >> 4 & 7,
        .nat = what & 32,
        .rtcp_mux = what & 64,
        .clock_rate = argument & 128 ? 48000 : 0,
    };
    if (cmd.verb == MEDIA_REMOTE) {
        cmd.rtp = party(argument, what & 16 ? 4000 : 0);
        cmd.rtcp = party(argument, 4001);
    }
    relay_command(r, &cmd, now_us);
}

static void give_packet(struct relay *r, struct script *s, uint8_t argument, uint64_t now_us) {
    uint8_t bytes[256];           /* guarded behind its end by ASan when n is the whole of it */
    size_t n = next(s);
    for (size_t i = 0; i < n; i++)
        bytes[sizeof bytes - n + i] = next(s);
    struct relay_in in = { argument & 7, argument & 8, party(argument >> 4, argument & 64 ? 4001 : 4000),
                           bytes + sizeof bytes - n, n };
    uint64_t dropped[RELAY_DROPS];
    memcpy(dropped, r->dropped, sizeof dropped);
    struct relay_verdict v;
    relay_packet(r, &in, now_us, &v);
    CHECK(v.drop < RELAY_DROPS);
    if (v.drop != RELAY_FORWARD) {
        CHECK(r->dropped[v.drop] == dropped[v.drop] + 1 && v.out_stream == MEDIA_NOWHERE);
        return;
    }
    CHECK(v.out_stream < STREAMS && r->streams[v.out_stream].open);
    CHECK(v.dst.port != 0 && !addr_is_any(&v.dst));
    CHECK(relay_counters(r, v.out_stream).packets_out > 0);
    struct rtp_view rtp;
    if (rtp_parse(in.bytes, n, &rtp))
        CHECK(rtp.ssrc == r->out[v.out_stream].egress.ssrc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct script s = { data, size };
    struct arena a;
    struct relay r;
    struct relay_stats stats;
    uint64_t now_us = 1;
    arena_init(&a, mem, sizeof mem);
    relay_init(&r, &a, STREAMS);
    for (uint32_t i = 0; i < STREAMS; i++)
        r.in[i].target = FAST_NOWHERE;
    relay_share(&r, r.in, r.out);
    while (s.n) {
        uint8_t what = next(&s), argument = next(&s);
        now_us += (uint64_t)what * 1000;
        if (what & 128)
            give_packet(&r, &s, argument, now_us);
        else
            give_command(&r, what, argument, now_us);
    }
    for (uint32_t i = 0; i < STREAMS; i++) {
        CHECK(relay_stats(&r, i, &stats));
        CHECK(r.out[i].lock == 0 && (r.in[i].target == FAST_NOWHERE || r.in[i].target == r.streams[i].route));
    }
    return 0;
}
