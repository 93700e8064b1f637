/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * admin on a real socket, with both backends of io.
 */
#define _GNU_SOURCE
#include "core/runtime/admin.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TAG 100

static struct admin admin;
static struct log quiet;
static struct metrics metrics;
static struct buf_pool bufs;
static struct io *io;
static struct io_event events[IO_EVENTS_MAX];
static char path[64];

static bool open_all(enum io_backend backend) {
    const char *why;
    memset(&admin, 0, sizeof admin);
    log_init(&quiet, TRACE_ERROR, NULL);
    quiet.fd = open("/dev/null", O_WRONLY);
    io = io_new(&(struct io_options){ backend, 32, &metrics, &bufs }, &why);
    if (!io)
        return false;
    snprintf(path, sizeof path, "/tmp/referee-admin-%d.sock", (int)getpid());
    CHECK_TRUE(admin_open(&admin, path, &quiet));
    CHECK_TRUE(admin_start(&admin, io, TAG));
    return true;
}

static void close_all(void) {
    admin_close(&admin);
    io_free(io);
    close(quiet.fd);
    CHECK_TRUE(access(path, F_OK) < 0);
}

static int client(void) {
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    struct timeval second = { .tv_sec = 1 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    return fd;
}

/* Turns until an order is complete, at most so many. */
static bool next_order(struct admin_order *order, int turns) {
    bool got = false;
    while (turns-- > 0 && !got) {
        uint32_t n = io_turn(io, 20000, events);
        for (uint32_t i = 0; i < n; i++)
            got = admin_ready(&admin, events[i].tag - TAG, order) || got;
    }
    return got;
}

static void asks_and_answers(void) {
    struct admin_order order;
    struct stat st;
    char got[64] = { 0 };
    int fd = client();
    CHECK_TRUE(stat(path, &st) == 0 && (st.st_mode & 077) == 0);
    CHECK_EQ(send(fd, "show ", 5, 0), 5);
    CHECK_FALSE(next_order(&order, 3));
    CHECK_EQ(send(fd, "12 \r\nrest", 9, 0), 9);
    CHECK_TRUE(next_order(&order, 10));
    CHECK_SLICE(order.line, "show 12");
    admin_answer(&admin, order.conn, SL("one\n"), false);
    admin_answer(&admin, order.conn, SL("two\n"), true);
    CHECK_EQ(recv(fd, got, sizeof got, MSG_WAITALL), 8);
    CHECK_SLICE(slice_str(got), "one\ntwo\n");
    /* The connection is over: what comes late for it is ignored, also by who has its place. */
    int other = client();
    CHECK_FALSE(next_order(&order, 3));
    admin_answer(&admin, 0, SL("late"), true);
    CHECK_EQ(send(other, "x\n", 2, 0), 2);
    CHECK_TRUE(next_order(&order, 10));
    admin_answer(&admin, order.conn, SL("y"), true);
    CHECK_EQ(recv(other, got, sizeof got, MSG_WAITALL), 1);
    close(fd);
    close(other);
}

static void sends_a_long_answer(void) {
    static char big[1 << 20], got[1 << 16];
    struct admin_order order;
    size_t total = 0;
    int fd = client();
    memset(big, 'z', sizeof big);
    CHECK_EQ(send(fd, "calls\n", 6, 0), 6);
    CHECK_TRUE(next_order(&order, 10));
    admin_answer(&admin, order.conn, slice_of(big, sizeof big), true);
    for (int i = 0; i < 1000 && total < sizeof big; i++) {
        ssize_t n = recv(fd, got, sizeof got, MSG_DONTWAIT);
        total += n > 0 ? (size_t)n : 0;
        CHECK_FALSE(next_order(&order, 1));
    }
    CHECK_EQ(total, sizeof big);
    close(fd);
}

static void survives_bad_clients(void) {
    static char endless[3000];
    struct admin_order order;
    int fds[ADMIN_CONNS_MAX + 4];
    char byte;
    memset(endless, 'a', sizeof endless);
    int fd = client();
    send(fd, endless, sizeof endless, MSG_NOSIGNAL);
    CHECK_FALSE(next_order(&order, 5));
    CHECK_TRUE(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        fds[i] = client();
        CHECK_FALSE(next_order(&order, 1));
    }
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        close(fds[i]);
    CHECK_FALSE(next_order(&order, 5));
    fd = client();
    CHECK_EQ(send(fd, "ok\n", 3, 0), 3);
    CHECK_TRUE(next_order(&order, 10));
    close(fd);
    admin_answer(&admin, order.conn, SL("gone"), false);
    admin_answer(&admin, order.conn, SL("gone"), true);
}

static void both(void (*test)(void)) {
    for (enum io_backend b = IO_URING; b <= IO_EPOLL; b++)
        if (open_all(b)) {
            test();
            close_all();
        }
}

static void test_order(void) {
    both(asks_and_answers);
}

static void test_long_answer(void) {
    both(sends_a_long_answer);
}

static void test_bad_clients(void) {
    both(survives_bad_clients);
}

static void test_path(void) {
    struct admin second;
    CHECK_TRUE(open_all(IO_EPOLL));
    CHECK_FALSE(admin_open(&second, path, &quiet));
    close_all();
    /* Left over by a daemon that was killed. */
    FILE *f = fopen(path, "w");
    CHECK_TRUE(f && fclose(f) == 0);
    CHECK_TRUE(admin_open(&second, path, &quiet));
    admin_close(&second);
    CHECK_TRUE(admin_open(&second, "off", &quiet) && second.fd < 0);
}

int main(void) {
    return UNIT_RUN("admin", UNIT(test_order), UNIT(test_long_answer), UNIT(test_bad_clients), UNIT(test_path));
}
