/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench/relay/price: ns a packet of the program in the kernel alone (BPF_PROG_TEST_RUN, one hot stream), with the
 * features of the relay and with them taken out one by one (bare.bpf.c). Rounds of all, one after the other, so that a
 * busy machine meets all alike; of each the best and the median. Needs root.
 */
#define _GNU_SOURCE
#include "rtp/fastpath.h"
#include "rtp/rtp_packet.h"

#include <bare.skel.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_MAX 1001
#define REPEAT 50000          /* some milliseconds: a busy machine leaves some rounds whole */
#define PORT 30000
#define PAYLOAD 160
#define SSRC 7

struct frame {
    uint8_t bytes[14 + 40 + 8 + RTP_HEADER_MIN + PAYLOAD];
    uint32_t n;
};

enum { BARE, LATCH, LOCK, REPORT, REWRITE, WHOLE, CLOCK, PROGRAMS };
static const char *const names[PROGRAMS] = {
    [BARE] = "bare: slot, next hop, headers and their checksums",
    [LATCH] = "... and the latch: source, clock, heartbeat",
    [LOCK] = "... and the lock of the listener",
    [REPORT] = "... and reception: loss and jitter for RTCP",
    [REWRITE] = "... and the rest: payload types, SSRC, sequence, timestamp, counters",
    [WHOLE] = "the product's program",
    [CLOCK] = "beside it: with the clock itself read for each packet, not the last tick",
};

static struct bare_bpf *bpf;
static uint32_t found[PROGRAMS][ROUNDS_MAX];

static struct fast_addr address(bool v6, uint8_t host, uint16_t port) {
    struct fast_addr a = { .port = port, .family = v6 ? FAST_V6 : FAST_V4 };
    uint8_t ip[16] = { v6 ? 0xfd : 10 };
    ip[v6 ? 15 : 3] = host;
    memcpy(a.ip, ip, sizeof ip);
    return a;
}

static void put(const struct bpf_map *map, uint32_t key, const void *value) {
    if (bpf_map_update_elem(bpf_map__fd(map), &key, value, BPF_ANY))
        perror("map"), exit(1);
}

/* The kernel's ticks, as the daemon asks for them. */
static void see_clock(struct fast_config *c) {
    uint8_t frame[64] = { 0 };
    struct bpf_test_run_opts o = { .sz = sizeof o, .data_in = frame, .data_size_in = sizeof frame, .repeat = 1 };
    struct timespec tick, running, since_boot;
    uint32_t key = 0;
    clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    clock_gettime(CLOCK_MONOTONIC, &running);
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    if (bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.referee_tick), &o) || o.retval != 1 ||
        bpf_map_lookup_elem(bpf_map__fd(bpf->maps.settings), &key, c))
        perror("clock"), exit(1);
    fast_set_clock(c, (uint64_t)tick.tv_nsec, (uint64_t)(since_boot.tv_sec - running.tv_sec) * 1000000000);
}

/* What leaves is what came: our address and the party's change places, and what the listener hears is one packet
 * further on, so that the next run meets the next packet. */
static void talk(bool v6) {
    struct timespec t;
    struct fast_in party = { .target = 1, .generation = 1, .source = address(v6, 2, 4000), .negotiated_rate = 8000 };
    struct fast_out listener = { .ifindex = 1, .dst = address(v6, 1, PORT), .src = address(v6, 2, 4000),
                                 .mac_known = 1, .hop_mac = { 2 }, .our_mac = { 2 } };
    struct fast_config c = { 0 };
    struct fast_addr here = address(v6, 1, 0);
    see_clock(&c);
    c.layout = FAST_LAYOUT;
    c.pairs = 2;
    c.first_port = PORT;
    c.local_count = 1;
    listener.egress = (struct egress){ .source = fast_source_key(0, 1), .ssrc = SSRC, .source_ssrc = SSRC,
                                       .clock_rate = 8000, .seq_offset = 1, .ts_offset = PAYLOAD, .started = true };
    clock_gettime(CLOCK_BOOTTIME, &t);
    c.beat_us = (uint64_t)t.tv_sec * 1000000 + 3600ull * 1000000; /* of an hour ahead: it never stops */
    memcpy(c.local[0].ip, here.ip, sizeof here.ip);
    c.local[0].family = here.family;
    for (uint32_t i = 0; i < FAST_TYPES; i++)
        party.types[i] = (uint8_t)i;
    put(bpf->maps.streams_in, 0, &party);
    put(bpf->maps.streams_out, 1, &listener);
    put(bpf->maps.settings, 0, &c);
}

static struct frame frame_of(bool v6) {
    struct frame f = { .n = 14 + (v6 ? 40u : 20u) + 8 + RTP_HEADER_MIN + PAYLOAD };
    struct fast_addr src = address(v6, 2, 4000), dst = address(v6, 1, PORT);
    uint8_t *ip = f.bytes + 14, *udp = ip + (v6 ? 40 : 20), *rtp = udp + 8;
    rtp_put16(f.bytes + 12, v6 ? 0x86dd : 0x0800);
    ip[0] = v6 ? 0x60 : 0x45;
    rtp_put16(ip + (v6 ? 4 : 2), (uint16_t)(f.n - (v6 ? 54 : 14)));
    ip[v6 ? 6 : 9] = 17;
    ip[v6 ? 7 : 8] = 61;
    memcpy(ip + (v6 ? 8 : 12), src.ip, v6 ? 16 : 4);
    memcpy(ip + (v6 ? 24 : 16), dst.ip, v6 ? 16 : 4);
    rtp_put16(udp, src.port);
    rtp_put16(udp + 2, dst.port);
    rtp_put16(udp + 4, 8 + RTP_HEADER_MIN + PAYLOAD);
    rtp_put16(udp + 6, 1);
    rtp[0] = 0x80;
    rtp_put16(rtp + 2, 1);
    rtp_put32(rtp + 8, SSRC);
    return f;
}

static uint32_t run(const struct bpf_program *program, const struct frame *f) {
    uint8_t out[sizeof f->bytes];
    struct bpf_test_run_opts o = { .sz = sizeof o, .data_in = f->bytes, .data_size_in = f->n, .data_out = out,
                                   .data_size_out = sizeof out, .repeat = REPEAT };
    int error = bpf_prog_test_run_opts(bpf_program__fd(program), &o);
    if (error || o.retval != XDP_TX) {
        fprintf(stderr, "price: %s: error %d, verdict %u\n", bpf_program__name(program), error, o.retval);
        exit(1);
    }
    return o.duration;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The goal names the counters, the latch, the rewriting and the payload types. Loss and jitter are beside it. */
static void print_goals(int at, const char *which) {
    int whole = (int)found[WHOLE][at], all = whole - (int)found[BARE][at];
    int reception = (int)found[REPORT][at] - (int)found[LOCK][at];
    printf("  %s: features %d, of them loss and jitter %d, the rest %d (goal: under 10); whole %d (goal: 60)\n", which,
           all, reception, all - reception, whole);
}

static void measure(bool v6, int rounds) {
    const struct bpf_program *const programs[PROGRAMS] = {
        [BARE] = bpf->progs.bare,     [LATCH] = bpf->progs.latch,     [LOCK] = bpf->progs.lock,
        [REPORT] = bpf->progs.report, [REWRITE] = bpf->progs.rewrite, [WHOLE] = bpf->progs.referee_xdp,
        [CLOCK] = bpf->progs.clock,
    };
    struct frame f = frame_of(v6);
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < PROGRAMS; i++) {
            talk(v6);
            found[i][r] = run(programs[i], &f);
        }
    printf("%s, %d rounds of %d packets; ns a packet: best, median\n", v6 ? "IPv6" : "IPv4", rounds, REPEAT);
    for (int i = 0; i < PROGRAMS; i++) {
        qsort(found[i], (size_t)rounds, sizeof found[i][0], by_size);
        printf("  %4u %4u  %s\n", found[i][0], found[i][rounds / 2], names[i]);
    }
    print_goals(0, "best");
    print_goals(rounds / 2, "median");
}

int main(int argc, char **argv) {
    double load = 0;
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 100;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: price [ROUNDS], 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    libbpf_set_print(NULL);
    bpf = bare_bpf__open();
    if (bpf) {
        bpf_map__set_max_entries(bpf->maps.streams_in, 2);
        bpf_map__set_max_entries(bpf->maps.streams_out, 2);
    }
    if (!bpf || bare_bpf__load(bpf)) {
        fprintf(stderr, "price: the kernel takes no BPF program from us: %s\n", strerror(errno));
        return 1;
    }
    (void)getloadavg(&load, 1);
    printf("load %.1f\n", load);
    measure(false, (int)rounds);
    measure(true, (int)rounds);
    bare_bpf__destroy(bpf);
    return 0;
}
