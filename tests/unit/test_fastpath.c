/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The program in the kernel, run there on frames of our own (BPF_PROG_TEST_RUN): what it sends on and how, what it
 * leaves. Needs root; without, it says so and passes nothing.
 */
#define _GNU_SOURCE
#include "rtp/fastpath.h"
#include "tests/unit/unit.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fastpath.skel.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 8
#define FIRST_PORT 30000
#define PARTY 0      /* slots */
#define LISTENER 1
#define PAYLOAD 160

struct frame {
    uint8_t bytes[512];
    uint32_t n;
    bool v6;
};

static struct fastpath_bpf *bpf;
static struct fast_in party;
static struct fast_out listener;
static struct frame out;
static uint64_t slept_us;

static uint64_t clock_us(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t now_us(void) {
    return clock_us(CLOCK_BOOTTIME);
}

/* ---- the world: our address ends with 1, the party's with 2, the listener's with 3 */

static struct fast_addr address(bool v6, uint8_t host, uint16_t port) {
    struct fast_addr a = { .port = port, .family = v6 ? FAST_V6 : FAST_V4 };
    uint8_t ip[16] = { 10, 9, 0, host };
    if (v6) {
        ip[0] = 0xfd;
        ip[3] = 0;
        ip[15] = host;
    }
    memcpy(a.ip, ip, sizeof ip);
    return a;
}

static void put(const struct bpf_map *map, uint32_t key, const void *value) {
    CHECK_EQ(bpf_map_update_elem(bpf_map__fd(map), &key, value, BPF_ANY), 0);
}

/* The kernel's ticks, as the daemon asks for them. */
static void see_clock(struct fast_config *c) {
    uint8_t frame[64] = { 0 };
    struct bpf_test_run_opts o = { .sz = sizeof o, .data_in = frame, .data_size_in = sizeof frame, .repeat = 1 };
    struct timespec tick;
    uint32_t key = 0;
    struct fast_config seen;
    CHECK_EQ(clock_getres(CLOCK_MONOTONIC_COARSE, &tick), 0);
    CHECK_EQ(bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.referee_tick), &o), 0);
    CHECK_EQ(o.retval, 1);
    CHECK_EQ(bpf_map_lookup_elem(bpf_map__fd(bpf->maps.settings), &key, &seen), 0);
    c->seen_tick = seen.seen_tick;
    c->seen_ns = seen.seen_ns;
    fast_set_clock(c, (uint64_t)tick.tv_nsec, slept_us * 1000);
}

static void put_settings(bool v6, uint64_t beat_us) {
    struct fast_config c = { .beat_us = beat_us, .layout = FAST_LAYOUT, .pairs = SLOTS, .first_port = FIRST_PORT,
                             .local_count = 1 };
    see_clock(&c);
    struct fast_addr here = address(v6, 1, 0);
    memcpy(c.local[0].ip, here.ip, sizeof here.ip);
    c.local[0].family = here.family;
    put(bpf->maps.settings, 0, &c);
}

static void put_streams(void) {
    put(bpf->maps.streams_in, PARTY, &party);
    put(bpf->maps.streams_out, LISTENER, &listener);
}

static void look(void) {
    uint32_t in = PARTY, to = LISTENER;
    CHECK_EQ(bpf_map_lookup_elem(bpf_map__fd(bpf->maps.streams_in), &in, &party), 0);
    CHECK_EQ(bpf_map_lookup_elem(bpf_map__fd(bpf->maps.streams_out), &to, &listener), 0);
}

static void talk(bool v6) {
    party = (struct fast_in){ .target = LISTENER, .generation = 1, .source = address(v6, 2, 4000),
                              .negotiated_rate = 8000 };
    for (uint32_t i = 0; i < FAST_TYPES; i++)
        party.types[i] = (uint8_t)i;
    listener = (struct fast_out){ .ifindex = 1, .dst = address(v6, 3, 5000), .src = address(v6, 1, FIRST_PORT + 2),
                                  .hop_family = v6 ? FAST_V6 : FAST_V4, .mac_known = 1, .hop_mac = { 2, 0, 0, 0, 0, 3 },
                                  .our_mac = { 2, 0, 0, 0, 0, 1 } };
    memcpy(listener.hop_ip, listener.dst.ip, sizeof listener.hop_ip);
    put_settings(v6, now_us());
    put_streams();
}

/* ---- frames */

static uint32_t add_words(const uint8_t *p, size_t n, uint32_t sum) {
    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return sum;
}

static uint16_t folded(uint32_t sum) {
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint8_t *udp_of(struct frame *f) {
    return f->bytes + 14 + (f->v6 ? 40 : 20);
}

/* Over the pseudo header; 0 if what stands there fits. */
static uint16_t udp_sum(struct frame *f) {
    uint8_t *ip = f->bytes + 14, *udp = udp_of(f);
    size_t n = rtp_get16(udp + 4);
    uint32_t sum = f->v6 ? add_words(ip + 8, 32, 0) : add_words(ip + 12, 8, 0);
    return folded(add_words(udp, n, sum + 17 + (uint32_t)n));
}

static void put_addresses(struct frame *f, const struct fast_addr *src, const struct fast_addr *dst) {
    uint8_t *ip = f->bytes + 14;
    memcpy(ip + (f->v6 ? 8 : 12), src->ip, f->v6 ? 16 : 4);
    memcpy(ip + (f->v6 ? 24 : 16), dst->ip, f->v6 ? 16 : 4);
    rtp_put16(udp_of(f), src->port);
    rtp_put16(udp_of(f) + 2, dst->port);
}

static void put_checksums(struct frame *f) {
    uint8_t *ip = f->bytes + 14, *udp = udp_of(f);
    if (!f->v6) {
        rtp_put16(ip + 10, 0);
        rtp_put16(ip + 10, folded(add_words(ip, 20, 0)));
    }
    rtp_put16(udp + 6, 0);
    rtp_put16(udp + 6, udp_sum(f));
}

/* RTP from the party to our port. */
static struct frame rtp_frame(bool v6, uint16_t seq, uint32_t stamp, uint32_t ssrc) {
    struct frame f = { .n = 14 + (v6 ? 40u : 20u) + 8 + RTP_HEADER_MIN + PAYLOAD, .v6 = v6 };
    struct fast_addr src = address(v6, 2, 4000), dst = address(v6, 1, FIRST_PORT);
    uint8_t *ip = f.bytes + 14, *udp = udp_of(&f), *rtp = udp + 8;
    rtp_put16(f.bytes + 12, v6 ? 0x86dd : 0x0800);
    ip[0] = v6 ? 0x60 : 0x45;
    rtp_put16(ip + (v6 ? 4 : 2), v6 ? (uint16_t)(f.n - 54) : (uint16_t)(f.n - 14));
    ip[v6 ? 6 : 9] = 17;
    ip[v6 ? 7 : 8] = 61;
    rtp_put16(udp + 4, (uint16_t)(8 + RTP_HEADER_MIN + PAYLOAD));
    rtp[0] = 0x80;
    rtp_put16(rtp + 2, seq);
    rtp_put32(rtp + 4, stamp);
    rtp_put32(rtp + 8, ssrc);
    for (uint32_t i = 0; i < PAYLOAD; i++)
        rtp[RTP_HEADER_MIN + i] = (uint8_t)(i * 7);
    put_addresses(&f, &src, &dst);
    put_checksums(&f);
    return f;
}

enum { LEFT, SENT, DROPPED };

static int run_with(struct bpf_program *program, const struct frame *f, uint32_t repeat, uint32_t *ns) {
    struct bpf_test_run_opts o = { .sz = sizeof o, .data_in = f->bytes, .data_size_in = f->n, .data_out = out.bytes,
                                   .data_size_out = sizeof out.bytes, .repeat = (int)repeat };
    CHECK_EQ(bpf_prog_test_run_opts(bpf_program__fd(program), &o), 0);
    out.n = o.data_size_out;
    out.v6 = f->v6;
    if (ns)
        *ns = o.duration;
    return (int)o.retval;
}

static int by_tc(const struct frame *f) {
    int verdict = run_with(bpf->progs.referee_tc, f, 1, NULL);
    return verdict == TC_ACT_REDIRECT ? SENT : verdict == TC_ACT_SHOT ? DROPPED : LEFT;
}

static int by_xdp(const struct frame *f) {
    int verdict = run_with(bpf->progs.referee_xdp, f, 1, NULL);
    return verdict == XDP_TX || verdict == XDP_REDIRECT ? SENT : verdict == XDP_DROP ? DROPPED : LEFT;
}

/* ---- cases; each by both hooks */

typedef int (*hook)(const struct frame *f);
static const hook hooks[] = { by_tc, by_xdp };

/* From us to the listener, with sums that fit, and the payload as it was. */
static void check_out(const struct frame *in, uint16_t seq, uint32_t stamp, uint32_t ssrc) {
    struct frame want = *in;
    struct fast_addr src = listener.src, dst = listener.dst;
    uint8_t *rtp = udp_of(&want) + 8;
    want.bytes[14 + (in->v6 ? 7 : 8)] = 64;
    rtp_put16(rtp + 2, seq);
    rtp_put32(rtp + 4, stamp);
    rtp_put32(rtp + 8, ssrc);
    rtp[1] = out.bytes[rtp - want.bytes + 1];
    put_addresses(&want, &src, &dst);
    put_checksums(&want);
    CHECK_EQ(out.n, in->n);
    CHECK_EQ(memcmp(out.bytes + 14, want.bytes + 14, want.n - 14), 0);
    CHECK_EQ(udp_sum(&out), 0);
}

static bool has_macs(void) {
    return memcmp(out.bytes, listener.hop_mac, 6) == 0 && memcmp(out.bytes + 6, listener.our_mac, 6) == 0;
}

static void forwards(bool v6) {
    for (size_t h = 0; h < 2; h++) {
        struct frame f = rtp_frame(v6, 65535, 160, 7);
        talk(v6);
        CHECK_EQ(hooks[h](&f), SENT);
        check_out(&f, 65535, 160, 7);
        f = rtp_frame(v6, 0, 320, 7);
        CHECK_EQ(hooks[h](&f), SENT);
        check_out(&f, 0, 320, 7);
        look();
        CHECK_EQ(party.heard.packets, 2);
        CHECK_EQ(party.heard.octets, 2 * (RTP_HEADER_MIN + PAYLOAD));
        CHECK_EQ(listener.sent.packets, 2);
        CHECK_EQ(listener.lock, 0);
        CHECK_EQ(party.heard.reception.cycles, 65536);
    }
    CHECK_TRUE(has_macs());
}

static void ipv4(void) {
    forwards(false);
}

static void ipv6(void) {
    forwards(true);
}

/* To the other end of a veth tc writes the MACs itself; else they are the neighbour table's business. */
static void straight_to_the_other_end(void) {
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame f = rtp_frame(v6, 1, 160, 7);
        talk(v6);
        CHECK_EQ(by_tc(&f), SENT);
        CHECK_TRUE(!has_macs());
        talk(v6);
        listener.straight = 1;
        listener.mac_known = 0; /* XDP's business alone */
        put_streams();
        CHECK_EQ(by_tc(&f), SENT);
        check_out(&f, 1, 160, 7);
        CHECK_TRUE(has_macs());
        CHECK_EQ(by_xdp(&f), LEFT);
    }
}

/* Sequence and time go on where another source stopped; the type is the listener's. */
static void splices(void) {
    for (size_t h = 0; h < 2; h++) {
        struct frame f = rtp_frame(false, 500, 9000, 7);
        talk(false);
        listener.egress = (struct egress){ .source = 99, .ssrc = 5, .source_ssrc = 5, .clock_rate = 8000,
                                           .last_seq = 10, .last_ts = 1000, .last_us = now_us(), .started = true };
        party.types[0] = 8;
        put_streams();
        CHECK_EQ(hooks[h](&f), SENT);
        look();
        check_out(&f, 11, listener.egress.last_ts, 5);
        CHECK_EQ(udp_of(&out)[9], 0x80 | 8);
        CHECK_TRUE(listener.egress.last_ts > 1000 && listener.egress.last_ts < 1000 + 8000 * 5);
        CHECK_EQ(listener.sent.splices, 1);
        f = rtp_frame(false, 499, 8840, 7);
        CHECK_EQ(hooks[h](&f), DROPPED);
        look();
        CHECK_EQ(party.heard.late, 1);
    }
}

static void no_checksum_stays_none(void) {
    for (size_t h = 0; h < 2; h++) {
        struct frame f = rtp_frame(false, 1, 160, 7);
        talk(false);
        rtp_put16(udp_of(&f) + 6, 0);
        CHECK_EQ(hooks[h](&f), SENT);
        CHECK_EQ(rtp_get16(udp_of(&out) + 6), 0);
    }
}

static void extensions_and_sources(void) {
    struct frame f = rtp_frame(false, 1, 160, 7);
    uint8_t *rtp = udp_of(&f) + 8;
    talk(false);
    rtp[0] = 0x92;                 /* X, two CSRCs */
    rtp_put16(rtp + 22, 3);        /* words of extension */
    put_checksums(&f);
    CHECK_EQ(by_tc(&f), SENT);
    look();
    CHECK_EQ(party.heard.reception.octets, PAYLOAD - 8 - 4 - 12);
    rtp_put16(rtp + 22, 300);
    put_checksums(&f);
    CHECK_EQ(by_tc(&f), LEFT);
}

static void change(struct frame *f, uint32_t at, uint8_t to) {
    *f = rtp_frame(false, 1, 160, 7);
    f->bytes[at] = to;
}

/* Byte `at` of a good frame made `to`: for the relay. */
static void what_is_left(void) {
    static const struct { uint32_t at; uint8_t to; const char *what; } cases[] = {
        { 12, 0x81, "a VLAN tag" }, { 14, 0x46, "IP options" }, { 20, 0x20, "a fragment" }, { 21, 1, "its rest" },
        { 22, 1, "TTL 1" }, { 23, 6, "TCP" }, { 29, 9, "another source" }, { 33, 9, "another address" },
        { 35, 0xa1, "another source port" }, { 37, 0x31, "our RTCP port" }, { 36, 0x74, "no port of ours" },
        { 38, 0x7f, "longer than the frame" }, { 39, 9, "too short for RTP" }, { 42, 0x40, "RTP version 1" },
        { 43, 200, "RTCP" }, { 43, 223, "RTCP" } };
    struct frame f;
    for (size_t h = 0; h < 2; h++) {
        talk(false);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            change(&f, cases[i].at, cases[i].to);
            int verdict = hooks[h](&f);
            CHECK_EQ(verdict, LEFT);
            if (verdict != LEFT)
                printf("    %s\n", cases[i].what);
        }
        look();
        CHECK_EQ(party.heard.packets, 0);
        /* A shorter one no device hands over. */
        for (f = rtp_frame(false, 1, 160, 7); f.n > 14 + 20 + 8; f.n--)
            CHECK_EQ(f.n == 14 + 20 + 8 + RTP_HEADER_MIN + PAYLOAD ? SENT : LEFT, hooks[h](&f));
    }
}

/* `tags` tags behind the addresses, the outermost with this protocol and control information. */
static struct frame tagged(bool v6, uint32_t tags, uint16_t protocol, uint16_t control) {
    struct frame f = rtp_frame(v6, 1, 160, 7);
    for (uint32_t i = 0; i < tags; i++) {
        memmove(f.bytes + 16, f.bytes + 12, f.n - 12);
        rtp_put16(f.bytes + 12, i + 1 == tags ? protocol : 0x8100);
        rtp_put16(f.bytes + 14, control);
        f.n += 4;
    }
    return f;
}

/* IEEE 802.1Q, 802.1ad, both, and a tag that has a priority only. */
static void of_a_vlan_below_it(void) {
    static const struct { uint32_t tags; uint16_t protocol, control; } cases[] = {
        { 1, 0x8100, 7 }, { 1, 0x8100, 0xe000 }, { 1, 0x88a8, 7 },
        { 2, 0x88a8, 7 }, { 2, 0x8100, 7 }, { 3, 0x8100, 7 } };
    for (int v6 = 0; v6 < 2; v6++)
        for (size_t h = 0; h < 2; h++) {
            talk(v6);
            for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct frame f = tagged(v6, cases[i].tags, cases[i].protocol, cases[i].control);
                CHECK_EQ(hooks[h](&f), LEFT);
                CHECK_EQ(out.n, f.n);
                CHECK_EQ(memcmp(out.bytes, f.bytes, f.n), 0);
            }
            look();
            CHECK_EQ(party.heard.packets, 0);
            struct frame plain = tagged(v6, 0, 0, 0);
            CHECK_EQ(hooks[h](&plain), SENT);
        }
}

static void what_the_relay_wants_itself(void) {
    struct frame f = rtp_frame(false, 1, 160, 7);
    for (size_t h = 0; h < 2; h++) {
        talk(false);
        party.target = FAST_NOWHERE;
        put_streams();
        CHECK_EQ(hooks[h](&f), LEFT);
        talk(false);
        party.types[0] = FAST_TYPE_UP;
        put_streams();
        CHECK_EQ(hooks[h](&f), LEFT);
        talk(false);
        listener.ifindex = 0;
        put_streams();
        CHECK_EQ(hooks[h](&f), LEFT);
        talk(false);
        listener.lock = 1;
        put_streams();
        CHECK_EQ(hooks[h](&f), LEFT);
        talk(false);
        listener.dst = address(true, 3, 5000);
        put_streams();
        CHECK_EQ(hooks[h](&f), LEFT);
    }
    talk(false);
    listener.mac_known = 0;
    put_streams();
    CHECK_EQ(by_xdp(&f), LEFT);
    CHECK_EQ(by_tc(&f), SENT);
}

/* Without a heartbeat: what is known flows, what would go up is dropped; and after a while nothing flows. */
static void without_a_daemon(void) {
    struct frame f = rtp_frame(false, 1, 160, 7), rtcp = f;
    udp_of(&rtcp)[9] = 200;
    for (size_t h = 0; h < 2; h++) {
        talk(false);
        put_settings(false, now_us() - 2 * FAST_DEAD_US);
        CHECK_EQ(hooks[h](&f), SENT);
        CHECK_EQ(hooks[h](&rtcp), DROPPED);
        put_settings(false, now_us() - FAST_ORPHAN_US - FAST_DEAD_US);
        CHECK_EQ(hooks[h](&f), LEFT);
    }
}

/* The kernel is told how long the machine has slept, and its tick is not far behind the clock. */
static void time_of_a_packet(void) {
    struct frame f = rtp_frame(false, 1, 160, 7);
    uint64_t here = slept_us;
    for (size_t h = 0; h < 2; h++) {
        talk(false);
        slept_us = here + 100000000;
        put_settings(false, now_us() + 100000000);
        CHECK_EQ(hooks[h](&f), SENT);
        look();
        CHECK_TRUE(party.heard.last_us <= now_us() + 100000000);
        CHECK_TRUE(party.heard.last_us > now_us() + 100000000 - 1000000);
        slept_us = here;
    }
}

/* No bound is checked: a machine of tests is no measure. The number is for the reader. */
static void price(void) {
    struct frame f = rtp_frame(false, 1, 160, 7);
    uint32_t ns = 0;
    talk(false);
    /* The frame is not put back between the runs: what leaves is what comes. */
    listener.src = address(false, 2, 4000);
    listener.dst = address(false, 1, FIRST_PORT);
    put_streams();
    CHECK_EQ(run_with(bpf->progs.referee_xdp, &f, 1000000, &ns), XDP_TX);
    printf("    XDP program alone, hot, everything on: %u ns a packet\n", ns);
    look();
    CHECK_EQ(listener.sent.packets, 1000000);
}

static bool load(void) {
    bpf = fastpath_bpf__open();
    if (!bpf)
        return false;
    bpf_map__set_max_entries(bpf->maps.streams_in, SLOTS);
    bpf_map__set_max_entries(bpf->maps.streams_out, SLOTS);
    return fastpath_bpf__load(bpf) == 0;
}

int main(void) {
    libbpf_set_print(NULL);
    if (!load()) {
        printf("skip: the kernel takes no BPF program from us: %s\n", strerror(errno));
        return 77;
    }
    uint64_t running = clock_us(CLOCK_MONOTONIC);
    slept_us = now_us() - running;
    return UNIT_RUN("fastpath", UNIT(ipv4), UNIT(ipv6), UNIT(straight_to_the_other_end), UNIT(splices),
                    UNIT(no_checksum_stays_none), UNIT(extensions_and_sources), UNIT(what_is_left),
                    UNIT(of_a_vlan_below_it), UNIT(what_the_relay_wants_itself), UNIT(without_a_daemon),
                    UNIT(time_of_a_packet), UNIT(price));
}
