/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * io on real sockets of loopback, each test with both backends.
 */
#define _GNU_SOURCE
#include "core/runtime/io.h"
#include "core/runtime/udp.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define WAIT_US 2000000

static uint8_t memory[1 << 20];

/* One io with two sockets bound to any address, tags 10 (large) and 11 (small), and a plain socket as the peer. */
struct rig {
    struct io *io;
    struct buf_pool bufs;
    struct metrics metrics;
    int fd[2], slot[2], peer;
    struct addr at[2], peer_at;
    struct io_event events[IO_EVENTS_MAX];
    bool absent;                 /* the kernel gives no io_uring: not a failure */
};

static int open_any(struct addr *at) {
    struct addr any = { .family = ADDR_V4 };
    struct udp_options o = { .rcvbuf = 4 << 20, .pktinfo = true, .report_errors = true };
    int fd = udp_open(&any, &o);
    CHECK_TRUE(fd >= 0 && udp_bound(fd, at));
    addr_parse_ip(SL("127.0.0.1"), at);
    return fd;
}

static void rig_open(struct rig *r, enum io_backend backend) {
    struct arena a;
    const char *why;
    memset(r, 0, sizeof *r);
    arena_init(&a, memory, sizeof memory);
    buf_pool_init(&r->bufs, &a, (const uint32_t[BUF_CLASSES]){ 1200, 0, 4, 0, 4, 4, 1, 0 });
    r->io = io_new(&(struct io_options){ backend, 16, &r->metrics, &r->bufs }, &why);
    r->absent = !r->io && backend == IO_URING;
    CHECK_TRUE(r->io || r->absent);
    if (!r->io)
        return;
    for (int i = 0; i < 2; i++) {
        r->fd[i] = open_any(&r->at[i]);
        r->slot[i] = io_add_udp(r->io, r->fd[i], i ? IO_SMALL : IO_LARGE, 10u + (uint32_t)i);
        CHECK_TRUE(r->slot[i] >= 0);
    }
    r->peer = open_any(&r->peer_at);
}

static void rig_close(struct rig *r) {
    if (!r->io)
        return;
    io_free(r->io);
    close(r->fd[0]);
    close(r->fd[1]);
    close(r->peer);
    for (int i = 0; i < BUF_CLASSES; i++)
        CHECK_EQ(r->bufs.used[i], 0);
}

static void peer_sends(struct rig *r, int to, const void *data, size_t n) {
    struct udp_msg m;
    udp_fill(&m, data, n, &r->at[to], &(struct addr){ 0 });
    CHECK_EQ(sendmsg(r->peer, &m.h, 0), n);
}

static ssize_t peer_gets(struct rig *r, void *to, size_t n, struct addr *from) {
    uint8_t name[UDP_NAME_MAX];
    socklen_t len = sizeof name;
    ssize_t got = recvfrom(r->peer, to, n, 0, (struct sockaddr *)(void *)name, &len);
    if (got >= 0)
        udp_from_sockaddr(name, len, from);
    return got;
}

/* Turns until an event comes, or a second without any. */
static uint32_t turn(struct rig *r) {
    uint32_t n = 0;
    for (int i = 0; i < 50 && n == 0; i++)
        n = io_turn(r->io, WAIT_US / 50, r->events);
    return n;
}

static void send_text(struct rig *r, int from, const struct addr *dst, const struct addr *src, const char *text) {
    struct buf *b = buf_copy(&r->bufs, slice_str(text));
    CHECK_TRUE(b != NULL);
    if (b)
        io_send(r->io, r->slot[from], dst, src, b);
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A turn may end early for reasons of the kernel's, but it neither spins nor oversleeps. */
static void waits_as_told(struct rig *r) {
    int64_t end = now_ms() + 200;
    int turns = 0;
    for (; now_ms() < end; turns++)
        CHECK_EQ(io_turn(r->io, 20000, r->events), 0);
    CHECK_TRUE(turns >= 2 && turns <= 15);
}

static void receives(struct rig *r) {
    peer_sends(r, 0, "hello", 5);
    CHECK_EQ(turn(r), 1);
    const struct io_event *ev = &r->events[0];
    CHECK_EQ(ev->kind, IO_DATAGRAM);
    CHECK_EQ(ev->tag, 10);
    CHECK_TRUE(ev->n == 5 && memcmp(ev->data, "hello", 5) == 0);
    CHECK_TRUE(addr_eq(&ev->src, &r->peer_at));
    CHECK_TRUE(addr_eq_ip(&ev->dst, &r->at[0]));
}

static void sends_from_the_named_source(struct rig *r) {
    char text[16];
    struct addr from, src = { 0 };
    addr_parse_ip(SL("127.0.0.2"), &src);
    send_text(r, 0, &r->peer_at, &src, "out");
    CHECK_EQ(io_turn(r->io, 0, r->events), 0);
    CHECK_EQ(peer_gets(r, text, sizeof text, &from), 3);
    CHECK_TRUE(addr_eq_ip(&from, &src));
    CHECK_EQ(from.port, r->at[0].port);
}

static void forwards_without_a_copy(struct rig *r) {
    char text[16];
    struct addr from;
    peer_sends(r, 1, "abcdef", 6);
    CHECK_EQ(turn(r), 1);
    r->events[0].data[0] = 'X';
    io_forward(r->io, r->slot[0], &r->events[0], 4, &r->peer_at);
    io_turn(r->io, 0, r->events);
    CHECK_EQ(peer_gets(r, text, sizeof text, &from), 4);
    CHECK_TRUE(memcmp(text, "Xbcd", 4) == 0);
    CHECK_EQ(from.port, r->at[0].port);
}

static void takes_empty_and_drops_long(struct rig *r) {
    static char big[IO_SMALL_BYTES + 100];
    peer_sends(r, 1, "", 0);
    CHECK_EQ(turn(r), 1);
    CHECK_EQ(r->events[0].n, 0);
    peer_sends(r, 1, big, sizeof big);
    peer_sends(r, 1, "after", 5);
    CHECK_EQ(turn(r), 1);
    CHECK_EQ(r->events[0].n, 5);
    CHECK_EQ(metrics_get(&r->metrics, M_recv_truncated), 1);
}

/* Of a buffer IO_HEADROOM bytes are the reader's: what would fill it whole does not fit. */
static void drops_what_leaves_no_headroom(struct rig *r) {
    static char whole[IO_LARGE_BYTES];
    peer_sends(r, 0, whole, sizeof whole);
    peer_sends(r, 0, "after", 5);
    CHECK_EQ(turn(r), 1);
    CHECK_EQ(r->events[0].n, 5);
    memset(r->events[0].data - IO_HEADROOM, 'h', IO_HEADROOM);
    CHECK_TRUE(memcmp(r->events[0].data, "after", 5) == 0);
    CHECK_EQ(metrics_get(&r->metrics, M_recv_truncated), 1);
}

/* More than all buffers of the class at once: what the kernel kept comes, and receiving goes on. */
static void survives_a_flood(struct rig *r) {
    uint32_t got = 0;
    for (uint32_t i = 0; i < 3000; i++)
        peer_sends(r, 1, &i, sizeof i);
    for (uint32_t n = 1; n; got += n)
        n = io_turn(r->io, 100000, r->events);
    CHECK_TRUE(got > 200);
    peer_sends(r, 1, "x", 1);
    CHECK_EQ(turn(r), 1);
}

static void reports_the_unreachable(struct rig *r) {
    struct addr gone;
    char text[16];
    int fd = open_any(&gone);
    close(fd);
    send_text(r, 0, &gone, &(struct addr){ 0 }, "anyone?");
    CHECK_EQ(turn(r), 1);
    CHECK_EQ(r->events[0].kind, IO_UNREACHABLE);
    CHECK_EQ(r->events[0].error, ECONNREFUSED);
    CHECK_TRUE(addr_eq(&r->events[0].src, &gone));
    /* Neither what is sent next nor receiving suffers from it. */
    for (int i = 0; i < 20; i++) {
        send_text(r, 0, &gone, &(struct addr){ 0 }, "anyone?");
        send_text(r, 0, &r->peer_at, &(struct addr){ 0 }, "good");
        io_turn(r->io, 0, r->events);
        CHECK_EQ(peer_gets(r, text, sizeof text, &gone), 4);
        gone.port = 1;
    }
    while (io_turn(r->io, 50000, r->events))
        ;
    waits_as_told(r);
    peer_sends(r, 0, "still", 5);
    CHECK_EQ(turn(r), 1);
    CHECK_EQ(r->events[0].n, 5);
}

/* More than there are send slots, in one turn: all leave, in order. */
static void sends_many(struct rig *r) {
    struct addr from;
    char text[16] = { 0 };
    int got = 0, in_order = 0;
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof text, "%09d", i);
        send_text(r, 0, &r->peer_at, &(struct addr){ 0 }, text);
        if (i % 1200 == 1199)
            io_turn(r->io, 0, r->events);
        while (peer_gets(r, text, sizeof text, &from) >= 0)
            in_order += strtol(text, NULL, 10) == got++;
    }
    io_turn(r->io, 0, r->events);
    while (peer_gets(r, text, sizeof text, &from) >= 0)
        in_order += strtol(text, NULL, 10) == got++;
    CHECK_EQ(got, 3000);
    CHECK_EQ(in_order, got);
}

static void watches(struct rig *r) {
    int p[2];
    CHECK_EQ(pipe(p), 0);
    int slot = io_watch(r->io, p[0], 77);
    CHECK_TRUE(slot >= 0);
    while (io_turn(r->io, 1000, r->events))
        ;
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(turn(r), 1);
    CHECK_EQ(r->events[0].kind, IO_READY);
    CHECK_EQ(r->events[0].tag, 77);
    io_remove(r->io, slot);
    close(p[0]);
    close(p[1]);
    CHECK_EQ(io_turn(r->io, 20000, r->events), 0);
}

static void forgets_a_removed_socket(struct rig *r) {
    peer_sends(r, 1, "late", 4);
    io_remove(r->io, r->slot[1]);
    CHECK_EQ(io_turn(r->io, 20000, r->events), 0);
    r->slot[1] = io_add_udp(r->io, r->fd[1], IO_SMALL, 99);
    CHECK_TRUE(r->slot[1] >= 0);
    peer_sends(r, 1, "new", 3);
    CHECK_TRUE(turn(r) >= 1);
    CHECK_EQ(r->events[0].tag, 99);
}

/* Of a socket that nobody reads. */
static void test_tells_what_waits(void) {
    struct addr at, from;
    struct udp_msg m;
    static const char bytes[1000];
    struct addr any = { .family = ADDR_V4 };
    int fd = udp_open(&any, &(struct udp_options){ .rcvbuf = 1 << 18 }), peer = open_any(&from);
    CHECK_TRUE(fd >= 0 && udp_bound(fd, &at));
    addr_parse_ip(SL("127.0.0.1"), &at);
    CHECK_EQ(udp_waiting(fd), 0);
    udp_fill(&m, bytes, sizeof bytes, &at, &(struct addr){ 0 });
    unsigned before = 0;
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 20; k++)
            CHECK_EQ(sendmsg(peer, &m.h, 0), sizeof bytes);
        CHECK_TRUE(udp_waiting(fd) > before);
        before = udp_waiting(fd);
    }
    for (int k = 0; k < 1000; k++)
        (void)!sendmsg(peer, &m.h, 0);
    CHECK_TRUE(udp_waiting(fd) > 950); /* more is lost */
    char room[sizeof bytes];
    while (recv(fd, room, sizeof room, MSG_DONTWAIT) > 0)
        ;
    CHECK_TRUE(udp_waiting(fd) < 300); /* what was read may be given back in bulk */
    close(fd);
    close(peer);
}

static void both(void (*test)(struct rig *)) {
    static struct rig r;
    for (enum io_backend b = IO_URING; b <= IO_EPOLL; b++) {
        rig_open(&r, b);
        if (r.io)
            test(&r);
        rig_close(&r);
    }
}

#define BOTH(name)                       \
    static void test_##name(void) {      \
        both(name);                      \
    }
BOTH(receives)
BOTH(sends_from_the_named_source)
BOTH(forwards_without_a_copy)
BOTH(takes_empty_and_drops_long)
BOTH(drops_what_leaves_no_headroom)
BOTH(survives_a_flood)
BOTH(reports_the_unreachable)
BOTH(sends_many)
BOTH(watches)
BOTH(forgets_a_removed_socket)
BOTH(waits_as_told)

int main(void) {
    return UNIT_RUN("io", UNIT(test_receives), UNIT(test_sends_from_the_named_source),
                    UNIT(test_forwards_without_a_copy), UNIT(test_takes_empty_and_drops_long),
                    UNIT(test_drops_what_leaves_no_headroom),
                    UNIT(test_survives_a_flood), UNIT(test_reports_the_unreachable), UNIT(test_sends_many),
                    UNIT(test_watches), UNIT(test_forgets_a_removed_socket), UNIT(test_waits_as_told),
                    UNIT(test_tells_what_waits));
}
