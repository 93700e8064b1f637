/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What leaves by a packet socket and what does not, on a veth into another network namespace of this test's own, with
 * both backends. Needs root; without, it says so and passes nothing.
 */
#define _GNU_SOURCE
#include "core/runtime/media_out.h"
#include "core/runtime/udp.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WAIT_MS 5000
#define SECOND UINT64_C(1000000)

static int far;                       /* socket in the other namespace, at 10.1.0.2:4000 */
static int far6;                      /* at [fd99::2]:4000 */
static struct log quiet;

struct rig {
    struct media_out out;
    struct io *io;
    struct metrics metrics;
    struct buf_pool bufs;
    int in, from;                     /* where a packet comes in, and who sends it there */
    struct addr in_at;
    struct io_event events[IO_EVENTS_MAX];
    uint64_t now;
};

static struct rig r;
static uint8_t memory[1 << 20];

static struct addr address(const char *text) {
    struct addr a = { 0 };
    CHECK_TRUE(addr_parse(slice_str(text), 0, &a));
    return a;
}

static int open_at(const char *text) {
    struct addr a = { 0 };
    return addr_parse(slice_str(text), 0, &a) ? udp_open(&a, &(struct udp_options){ 0 }) : -1;
}

static bool rig_open(enum io_backend backend) {
    struct addr from[2] = { address("10.1.0.1"), address("fd99::1") };
    struct media_out_options o = { .addresses = from, .address_count = 2, .per_address = 4, .first_port = 30000 };
    struct arena a;
    const char *why;
    memset(&r, 0, sizeof r);
    arena_init(&a, memory, sizeof memory);
    buf_pool_init(&r.bufs, &a, (const uint32_t[BUF_CLASSES]){ 16, 0, 4, 0, 4, 4, 1, 0 });
    r.io = io_new(&(struct io_options){ backend, 16, &r.metrics, &r.bufs }, &why);
    if (!r.io)
        return false;
    r.now = 1000 * SECOND;
    r.in = open_at("127.0.0.1:0");
    r.from = open_at("127.0.0.1:0");
    CHECK_TRUE(r.in >= 0 && r.from >= 0 && udp_bound(r.in, &r.in_at) && io_add_udp(r.io, r.in, IO_SMALL, 1) >= 0);
    CHECK_TRUE(media_out_open(&r.out, &o, r.now, &quiet));
    media_out_start(&r.out, r.io);
    return true;
}

static void rig_close(void) {
    io_free(r.io);
    media_out_close(&r.out);
    close(r.in);
    close(r.from);
}

/* A packet that has come in. */
static const struct io_event *packet(const void *data, size_t n) {
    struct udp_msg m;
    udp_fill(&m, data, n, &r.in_at, &(struct addr){ 0 });
    CHECK_EQ(sendmsg(r.from, &m.h, 0), n);
    for (int i = 0; i < 100; i++)
        if (io_turn(r.io, 50000, r.events) > 0)
            return &r.events[0];
    CHECK_TRUE(false);
    return NULL;
}

static bool send_to(uint32_t stream, const char *dst, const void *data, size_t n) {
    struct addr to = address(dst);
    const struct io_event *ev = packet(data, n);
    return ev && media_out_send(&r.out, stream, ev, (uint32_t)n, &to, r.now);
}

static bool sends(uint32_t stream, const char *dst) {
    return send_to(stream, dst, "a packet", 8);
}

/* What the far socket hears, from where. */
static void check_heard(int fd, const char *text, const char *from) {
    struct pollfd p = { .fd = fd, .events = POLLIN };
    struct addr want = address(from), source;
    uint8_t name[UDP_NAME_MAX];
    socklen_t length = sizeof name;
    char data[2048];
    io_turn(r.io, 0, r.events);
    CHECK_EQ(poll(&p, 1, WAIT_MS), 1);
    ssize_t n = recvfrom(fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)(void *)name, &length);
    CHECK_TRUE(n == (ssize_t)strlen(text) && memcmp(data, text, (size_t)n) == 0);
    CHECK_TRUE(udp_from_sockaddr(name, length, &source) && addr_eq(&source, &want));
}

/* The first packet of a hop goes by its socket, so that the kernel looks after the neighbour. */
static void leaves_as_a_frame(void) {
    CHECK_TRUE(!sends(2, "10.1.0.2:4000"));
    CHECK_TRUE(sends(2, "10.1.0.2:4000"));
    check_heard(far, "a packet", "10.1.0.1:30004");
    CHECK_TRUE(sends(3, "10.1.0.2:4000")); /* another stream's way is by the same hop */
    check_heard(far, "a packet", "10.1.0.1:30006");
    CHECK_TRUE(!sends(5, "[fd99::2]:4000"));
    CHECK_TRUE(sends(5, "[fd99::2]:4000"));
    check_heard(far6, "a packet", "[fd99::1]:30002");
}

static void leaves_by_its_socket(void) {
    static char longest[MEDIA_OUT_LONGEST + 1];
    memset(longest, 'x', sizeof longest);
    CHECK_TRUE(!sends(2, "127.0.0.1:4000"));    /* this machine */
    CHECK_TRUE(!sends(2, "10.1.0.1:4000"));
    CHECK_TRUE(!sends(2, "192.0.2.1:4000"));    /* nowhere */
    CHECK_TRUE(!sends(2, "10.1.0.77:4000"));    /* nobody there */
    CHECK_TRUE(!sends(2, "10.1.0.77:4000"));
    CHECK_TRUE(!sends(8, "10.1.0.2:4000"));     /* no stream */
    CHECK_TRUE(!send_to(2, "10.1.0.2:4000", longest, sizeof longest));
    (void)sends(2, "10.1.0.2:4000");
    CHECK_TRUE(send_to(2, "10.1.0.2:4000", longest, sizeof longest - 1));
    longest[sizeof longest - 1] = 0;
    check_heard(far, longest, "10.1.0.1:30004");
}

/* A stream whose party has moved does not go where the former one was. */
static void follows_its_destination(void) {
    (void)sends(2, "10.1.0.2:4000");
    CHECK_TRUE(sends(2, "10.1.0.2:4000"));
    check_heard(far, "a packet", "10.1.0.1:30004");
    CHECK_TRUE(!sends(2, "10.1.0.77:4000"));
    CHECK_TRUE(!sends(2, "192.0.2.1:4000"));
    CHECK_TRUE(sends(2, "10.1.0.2:4000"));
    check_heard(far, "a packet", "10.1.0.1:30004");
}

/* The neighbour's MAC is asked for every two seconds, the route later. */
static void is_asked_again(void) {
    (void)sends(2, "10.1.0.2:4000");
    CHECK_TRUE(sends(2, "10.1.0.2:4000"));
    check_heard(far, "a packet", "10.1.0.1:30004");
    r.now += 3 * SECOND;
    CHECK_TRUE(!sends(2, "10.1.0.2:4000"));
    CHECK_TRUE(sends(2, "10.1.0.2:4000"));
    check_heard(far, "a packet", "10.1.0.1:30004");
    CHECK_EQ(system("ip route add unreachable 10.1.0.2/32"), 0);
    CHECK_TRUE(sends(2, "10.1.0.2:4000"));
    check_heard(far, "a packet", "10.1.0.1:30004");
    r.now += 40 * SECOND;
    CHECK_TRUE(!sends(2, "10.1.0.2:4000"));
    CHECK_TRUE(!sends(2, "10.1.0.2:4000"));
    CHECK_EQ(system("ip route del unreachable 10.1.0.2/32"), 0);
}

/* More neighbours than there is room for: the others leave by their sockets. Those that nobody uses make room. */
static void has_room_for_so_many(void) {
    char text[32];
    for (unsigned i = 0; i < MEDIA_OUT_HOPS; i++) {
        r.now += 2 * SECOND / 10;
        snprintf(text, sizeof text, "10.1.%u.%u:4000", 1 + i / 200, 1 + i % 200);
        CHECK_TRUE(!sends(0, text));
    }
    CHECK_TRUE(!sends(2, "10.1.0.2:4000"));
    CHECK_TRUE(!sends(2, "10.1.0.2:4000"));
    r.now += 100 * SECOND;
    (void)sends(2, "10.1.0.2:4000");
    CHECK_TRUE(sends(2, "10.1.0.2:4000"));
    check_heard(far, "a packet", "10.1.0.1:30004");
}

/* So many questions at a time, and no more. */
static void asks_in_measure(void) {
    char text[32];
    for (unsigned i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "10.1.1.%u:4000", 1 + i);
        CHECK_TRUE(!sends(0, text));
    }
    CHECK_TRUE(!sends(2, "10.1.0.2:4000"));
    CHECK_TRUE(!sends(2, "10.1.0.2:4000"));
    r.now += SECOND / 10;
    CHECK_TRUE(!sends(2, "10.1.0.2:4000"));
    CHECK_TRUE(sends(2, "10.1.0.2:4000"));
    check_heard(far, "a packet", "10.1.0.1:30004");
}

static void both(void (*test)(void)) {
    static const enum io_backend backends[] = { IO_URING, IO_EPOLL };
    for (int i = 0; i < 2; i++) {
        if (!rig_open(backends[i])) {
            CHECK_TRUE(backends[i] == IO_URING);
            continue;
        }
        test();
        rig_close();
    }
}

static void test_frames(void) { both(leaves_as_a_frame); }
static void test_sockets(void) { both(leaves_by_its_socket); }
static void test_moved(void) { both(follows_its_destination); }
static void test_again(void) { both(is_asked_again); }
static void test_room(void) { both(has_room_for_so_many); }
static void test_measure(void) { both(asks_in_measure); }

static bool run(const char *command) {
    return system(command) == 0;
}

/* A namespace for the far end, with its sockets, and one for us. */
static bool begin(void) {
    if (unshare(CLONE_NEWNET))
        return false;
    char command[128];
    int pipes[2];
    pid_t there = pipe(pipes) ? -1 : fork();
    if (there < 0)
        return false;
    if (there == 0) { /* keeps this namespace until we have one, and the veth's end is here */
        char byte;
        close(pipes[1]);
        _exit(read(pipes[0], &byte, 1) != 0);
    }
    if (!run("ip link set lo up && ip link add far type veth peer name near && ip addr add 10.1.0.2/16 dev far && "
             "ip addr add fd99::2/64 dev far nodad && ip link set far up"))
        return false;
    far = open_at("10.1.0.2:4000");
    far6 = open_at("[fd99::2]:4000");
    if (far < 0 || far6 < 0 || unshare(CLONE_NEWNET))
        return false;
    snprintf(command, sizeof command, "nsenter -t %d -n ip link set near netns %d", (int)there, (int)getpid());
    bool ok = run(command) && run("ip link set lo up && ip addr add 10.1.0.1/16 dev near && "
                                  "ip addr add fd99::1/64 dev near nodad && ip link set near up");
    close(pipes[1]);
    return ok;
}

static void make_neighbours(void) {
    struct udp_msg m;
    int fd = open_at("10.1.0.1:0"), fd6 = open_at("[fd99::1]:0");
    struct addr to = address("10.1.0.2:9"), to6 = address("[fd99::2]:9");
    udp_fill(&m, "", 0, &to, &(struct addr){ 0 });
    CHECK_EQ(sendmsg(fd, &m.h, 0), 0);
    udp_fill(&m, "", 0, &to6, &(struct addr){ 0 });
    CHECK_EQ(sendmsg(fd6, &m.h, 0), 0);
    for (int i = 0; i < 500 && !run("ip neigh | grep '^10.1.0.2 .*lladdr' | grep -q . && ip -6 neigh | "
                                    "grep -q '^fd99::2 .*lladdr'");
         i++)
        usleep(10000);
    close(fd);
    close(fd6);
}

int main(void) {
    if (geteuid() != 0 || !begin()) {
        printf("skip: no network namespaces here (root, iproute2)\n");
        return 77;
    }
    log_init(&quiet, TRACE_ERROR, false);
    return UNIT_RUN("media_out", UNIT(make_neighbours), UNIT(test_frames), UNIT(test_sockets), UNIT(test_moved),
                    UNIT(test_again), UNIT(test_room), UNIT(test_measure));
}
