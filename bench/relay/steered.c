/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench/relay/steered: is one socket, to which SK_LOOKUP steers all media ports, cheaper to receive by than a socket
 * for each port? The daemon's own ring (core/runtime/io.h) on both, sending by the ports' sockets, batched each turn;
 * the relay's decisions left out. The steered socket is given for nothing what it would have to be told (which port a
 * packet came to): the packet says so itself. One CPU relays, another one sends and takes what comes back, in a network
 * namespace of its own; ways take turns, A B A B. Root, two CPUs.
 *
 *   bench-relay-steered [PORTS [RATE [SECONDS [PASSES]]]]     RATE: packets a second, 0: as many as go
 *
 * A line for each pass: ns of the relaying thread's CPU a packet, ns of the sender's (the kernel's receiving runs in
 * it), packets relayed, lost.
 */
#define _GNU_SOURCE
#include "core/base/arena.h"
#include "core/runtime/io.h"
#include "core/runtime/udp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <steer_one.skel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PORT 20000
#define PORTS_MAX 16000
#define BYTES 172
#define BATCH 64
#define RCVBUF (4 << 20)

struct bench {
    uint32_t ports, rate, seconds;
    int fd[PORTS_MAX], slot[PORTS_MAX], one, back;
    struct io *io;
    struct metrics metrics;
    struct buf_pool bufs;
    struct io_event events[IO_EVENTS_MAX];
    struct addr to;               /* where all goes that is relayed */
    struct steer_one_bpf *bpf;
    bool ends;
    uint64_t sent, heard, sender_ns;
};

static struct bench b;
static _Alignas(64) uint8_t memory[1 << 20];

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "steered: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ns(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        fail("two CPUs are needed");
}

static struct addr loopback(uint16_t port) {
    struct addr a;
    addr_parse_ip(SL("127.0.0.1"), &a);
    a.port = port;
    return a;
}

static int open_at(uint16_t port) {
    struct addr a = loopback(port);
    int fd = udp_open(&a, &(struct udp_options){ .rcvbuf = RCVBUF, .sndbuf = RCVBUF });
    if (fd < 0)
        errno = -fd, fail("a socket");
    return fd;
}

/* ---- the world */

static void own_namespace(void) {
    struct ifreq r = { .ifr_name = "lo" };
    int s = unshare(CLONE_NEWNET) < 0 ? -1 : socket(AF_INET, SOCK_DGRAM, 0);
    if (s < 0 || ioctl(s, SIOCGIFFLAGS, &r) < 0)
        fail("a network namespace (root is needed)");
    r.ifr_flags |= IFF_UP;
    if (ioctl(s, SIOCSIFFLAGS, &r) < 0)
        fail("lo");
    close(s);
}

static void open_sockets(void) {
    struct rlimit r = { 3 * PORTS_MAX, 3 * PORTS_MAX };
    (void)setrlimit(RLIMIT_NOFILE, &r);
    for (uint32_t i = 0; i < b.ports; i++)
        b.fd[i] = open_at((uint16_t)(FIRST_PORT + i));
    b.one = open_at(0);
    b.back = open_at(0);
    if (!udp_bound(b.back, &b.to))
        fail("a port");
}

static struct bpf_link *steer(void) {
    int space = open("/proc/self/ns/net", O_RDONLY);
    uint32_t zero = 0;
    uint64_t fd = (uint64_t)b.one;
    struct bpf_link *link;
    if (bpf_map_update_elem(bpf_map__fd(b.bpf->maps.one), &zero, &fd, BPF_ANY))
        fail("the map of sockets");
    link = bpf_program__attach_netns(b.bpf->progs.to_one, space);
    close(space);
    return link ? link : (fail("SK_LOOKUP"), NULL);
}

static void load(void) {
    libbpf_set_print(NULL);
    b.bpf = steer_one_bpf__open();
    if (!b.bpf)
        fail("the BPF program");
    b.bpf->rodata->first_port = FIRST_PORT;
    b.bpf->rodata->last_port = FIRST_PORT + b.ports - 1;
    if (steer_one_bpf__load(b.bpf))
        fail("the kernel takes no BPF program from us");
}

/* ---- the relay */

static void open_ring(bool steered) {
    struct arena a;
    const char *why = "";
    arena_init(&a, memory, sizeof memory);
    buf_pool_init(&b.bufs, &a, (const uint32_t[BUF_CLASSES]){ 64 });
    b.io = io_new(&(struct io_options){ IO_AUTO, b.ports + 1, &b.metrics, &b.bufs }, &why);
    if (!b.io)
        fail(why);
    /* The ports' sockets send in both ways; where one receives for all they get nothing. */
    for (uint32_t i = 0; i < b.ports; i++)
        b.slot[i] = io_add_udp(b.io, b.fd[i], IO_SMALL, i);
    if (steered && io_add_udp(b.io, b.one, IO_SMALL, b.ports) < 0)
        fail("the ring");
}

/* What is left of this pass is not the next one's. */
static void forget_rest(void) {
    while (io_turn(b.io, 50000, b.events))
        ;
}

static uint64_t relay(void) {
    uint64_t relayed = 0;
    while (!__atomic_load_n(&b.ends, __ATOMIC_ACQUIRE)) {
        uint32_t n = io_turn(b.io, 2000, b.events);
        for (uint32_t i = 0; i < n; i++) {
            const struct io_event *ev = &b.events[i];
            uint32_t port;
            if (ev->kind != IO_DATAGRAM || ev->n != BYTES)
                continue;
            memcpy(&port, ev->data, sizeof port);
            if (port >= b.ports)
                continue;
            io_forward(b.io, b.slot[port ^ (port + 1 < b.ports)], ev, ev->n, &b.to);
            relayed++;
        }
    }
    return relayed;
}

/* ---- who sends, and takes what comes back */

static void drain(struct mmsghdr *in) {
    int n;
    while ((n = recvmmsg(b.back, in, BATCH, MSG_DONTWAIT, NULL)) > 0)
        b.heard += (unsigned)n;
}

static void send_batch(int fd, uint32_t *next) {
    static uint8_t bytes[BATCH][BYTES];
    static struct udp_msg msgs[BATCH];
    static struct mmsghdr out[BATCH];
    for (uint32_t i = 0; i < BATCH; i++, *next = (*next + 1) % b.ports) {
        struct addr to = loopback((uint16_t)(FIRST_PORT + *next));
        memcpy(bytes[i], next, sizeof *next);
        udp_fill(&msgs[i], bytes[i], BYTES, &to, &(struct addr){ 0 });
        out[i].msg_hdr = msgs[i].h;
    }
    int n = sendmmsg(fd, out, BATCH, 0);
    b.sent += n > 0 ? (unsigned)n : 0;
}

static void *sender(void *unused) {
    static uint8_t bytes[BATCH][256];
    static struct iovec iov[BATCH];
    static struct mmsghdr in[BATCH];
    uint64_t start = clock_ns(CLOCK_MONOTONIC), end = start + b.seconds * UINT64_C(1000000000), now;
    uint32_t next = 0;
    int fd = open_at(0);
    (void)unused;
    pin(1);
    for (uint32_t i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){ bytes[i], sizeof bytes[i] };
        in[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
    }
    while ((now = clock_ns(CLOCK_MONOTONIC)) < end) {
        if (!b.rate || b.sent * UINT64_C(1000000000) / b.rate < now - start)
            send_batch(fd, &next);
        drain(in);
    }
    b.sender_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (clock_ns(CLOCK_MONOTONIC) < end + 200000000)
        drain(in);
    __atomic_store_n(&b.ends, true, __ATOMIC_RELEASE);
    close(fd);
    return NULL;
}

static void pass(bool steered) {
    struct bpf_link *link = steered ? steer() : NULL;
    pthread_t other;
    b.sent = b.heard = 0;
    b.ends = false;
    open_ring(steered);
    uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (pthread_create(&other, NULL, sender, NULL))
        fail("a thread");
    uint64_t relayed = relay(), spent = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
    pthread_join(other, NULL);
    forget_rest();
    printf("%-8s %6lu ns a packet, sender %6lu, relayed %9lu, lost %lu\n", steered ? "steered" : "plain",
           relayed ? spent / relayed : 0, b.sent ? b.sender_ns / b.sent : 0, relayed,
           b.sent > b.heard ? b.sent - b.heard : 0);
    fflush(stdout);
    io_free(b.io);
    if (link)
        bpf_link__destroy(link);
}

static uint32_t argument(int argc, char **argv, int i, uint32_t standard, uint32_t max) {
    long n = i < argc ? strtol(argv[i], NULL, 10) : (long)standard;
    if (n >= 0 && n <= (long)max)
        return (uint32_t)n;
    fprintf(stderr, "steered: argument %d: 0 to %u\n", i, max);
    exit(2);
}

int main(int argc, char **argv) {
    double now = 0;
    b.ports = argument(argc, argv, 1, 400, PORTS_MAX);
    b.rate = argument(argc, argv, 2, 50000, 100000000);
    b.seconds = argument(argc, argv, 3, 2, 60);
    uint32_t passes = argument(argc, argv, 4, 3, 100);
    if (!b.ports || !b.seconds)
        return 2;
    own_namespace();
    load();
    open_sockets();
    pin(0);
    (void)getloadavg(&now, 1);
    printf("%u ports, %u packets a second (0: as many as go), %u s a pass, load %.1f\n", b.ports, b.rate, b.seconds,
           now);
    for (uint32_t i = 0; i < passes; i++) {
        pass(false);
        pass(true);
    }
    steer_one_bpf__destroy(b.bpf);
    return 0;
}
