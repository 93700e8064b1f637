/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Links over real TCP on loopback, whose time is as the test says, and strangers that connect to them.
 */
#include "core/runtime/link.h"
#include "core/runtime/udp.h"
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINKS 2
#define STEP_US 20000
#define STRANGERS (LINK_NODES_MAX + 8)

struct end {
    struct link k;
    struct io *io;
    struct buf_pool bufs;
    struct metrics metrics;
    struct log log;
    struct addr at;
    uint32_t got;
    char last[32];
};

static struct end *ends[LINKS];
static uint64_t now;

static void start_at(unsigned i, const char *secret, uint16_t port) {
    static uint8_t pool[LINKS][1 << 18];
    struct arena a;
    const char *why;
    struct end *e = ends[i] = calloc(1, sizeof *e);
    CU_ASSERT_FATAL(e != NULL);
    uint8_t key[LINK_SECRET_LEN] = { 0 };
    memcpy(key, secret, strlen(secret));
    log_init(&e->log, TRACE_ERROR, NULL);
    CHECK_TRUE(addr_parse(SL("127.0.0.1:0"), 0, &e->at));
    e->at.port = port;
    CHECK_TRUE(link_open(&e->k, i + 1, key, &e->at, &e->log));
    arena_init(&a, pool[i], sizeof pool[i]);
    buf_pool_init(&e->bufs, &a, (const uint32_t[BUF_CLASSES]){ 8, 4, 4, 4, 1, 0 });
    e->io = io_new(&(struct io_options){ IO_EPOLL, LINK_TAGS + 8, &e->metrics, &e->bufs }, &why);
    CU_ASSERT_FATAL(e->io != NULL);
    CHECK_TRUE(link_start(&e->k, e->io, 0));
}

static void stop(unsigned i) {
    if (!ends[i])
        return;
    link_close(&ends[i]->k);
    io_free(ends[i]->io);
    free(ends[i]);
    ends[i] = NULL;
}

static void turn(struct end *e) {
    struct io_event events[IO_EVENTS_MAX];
    struct link_frame f;
    link_tick(&e->k, now);
    uint32_t n = io_turn(e->io, 200, events);
    for (uint32_t i = 0; i < n; i++)
        if (events[i].kind == IO_READY)
            link_ready(&e->k, events[i].tag);
    while (link_next(&e->k, &f)) {
        e->got++;
        snprintf(e->last, sizeof e->last, "%.*s", SLICE_FMT(f.bytes));
    }
}

static void turn_all(void) {
    now += STEP_US;
    for (unsigned i = 0; i < LINKS; i++)
        if (ends[i])
            turn(ends[i]);
}

#define UNTIL(c, seconds)                                                        \
    for (uint64_t end_ = now + (seconds)*UINT64_C(1000000); !(c) && now < end_;) \
    turn_all()

static void begin(void) {
    now = 1000000000;
    for (unsigned i = 0; i < LINKS; i++)
        start_at(i, "one secret", 0);
}

static void meet(void) {
    link_peer(&ends[0]->k, 2, &ends[1]->at);
    UNTIL(link_is_up(&ends[0]->k, 2), 10);
    CHECK_TRUE(link_is_up(&ends[0]->k, 2));
}

static bool say(unsigned i, const char *text) {
    struct link_frame f = { .kind = LINK_PEER, .bytes = slice_str(text) };
    return link_send(&ends[i]->k, 2 - i, &f);
}

static void finish(void) {
    for (unsigned i = 0; i < LINKS; i++)
        stop(i);
}

static unsigned places_taken(const struct link *k) {
    unsigned n = 0;
    for (unsigned i = 0; i < LINK_NODES_MAX; i++)
        n += k->from[i].fd >= 0;
    return n;
}

static int stranger(const struct addr *to) {
    struct sockaddr_storage sa;
    socklen_t n = udp_to_sockaddr(to, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_TRUE(fd >= 0 && connect(fd, (struct sockaddr *)&sa, n) == 0);
    return fd;
}

/* Listens, and says nothing. */
static int silent_listener(struct addr *at) {
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_TRUE(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 && listen(fd, 8) == 0);
    CHECK_TRUE(udp_bound(fd, at));
    return fd;
}

/* ---- */

static void test_order(void) {
    begin();
    link_peer(&ends[0]->k, 2, &ends[1]->at);
    CHECK_TRUE(say(0, "waits for the connection"));
    CHECK_TRUE(say(0, "comes second"));
    UNTIL(ends[1]->got == 2, 10);
    CHECK_EQ(ends[1]->got, 2);
    CHECK_TRUE(strcmp(ends[1]->last, "comes second") == 0);
    CHECK_TRUE(!say(1, "to nobody"));
    CHECK_EQ(ends[1]->k.dropped, 1);
    finish();
}

/* Who connects and says nothing holds a place for a while only. */
static void test_silent_stranger(void) {
    begin();
    int fd = stranger(&ends[1]->at);
    UNTIL(places_taken(&ends[1]->k) == 1, 10);
    CHECK_EQ(places_taken(&ends[1]->k), 1);
    UNTIL(places_taken(&ends[1]->k) == 0, LINK_HELLO_US / 1000000 + 1);
    CHECK_EQ(places_taken(&ends[1]->k), 0);
    close(fd);
    finish();
}

/* More of them than there are places keep no node out. */
static void test_many_strangers(void) {
    static int fds[STRANGERS];
    begin();
    for (unsigned i = 0; i < STRANGERS; i++) {
        fds[i] = stranger(&ends[1]->at);
        turn(ends[1]);
    }
    CHECK_EQ(places_taken(&ends[1]->k), LINK_NODES_MAX);
    meet();
    CHECK_TRUE(say(0, "in spite of them"));
    UNTIL(ends[1]->got == 1, 1);
    CHECK_EQ(ends[1]->got, 1);
    for (unsigned i = 0; i < STRANGERS; i++)
        close(fds[i]);
    finish();
}

/* A node that comes again without having closed what it had: here another process says that it is the same node. */
static void test_node_comes_again(void) {
    begin();
    meet();
    CHECK_TRUE(say(0, "first"));
    UNTIL(ends[1]->got == 1, 10);
    struct end *former = ends[0];
    ends[0] = NULL;
    start_at(0, "one secret", 0);
    meet();
    CHECK_TRUE(say(0, "again"));
    UNTIL(ends[1]->got == 2, 10);
    CHECK_EQ(ends[1]->got, 2);
    CHECK_EQ(places_taken(&ends[1]->k), 1);
    link_close(&former->k);
    io_free(former->io);
    free(former);
    finish();
}

static void test_other_secret(void) {
    begin();
    stop(0);
    start_at(0, "another one", 0);
    link_peer(&ends[0]->k, 2, &ends[1]->at);
    UNTIL(link_is_up(&ends[0]->k, 2), 10);
    (void)say(0, "by a stranger");
    UNTIL(ends[1]->got, 2);
    CHECK_EQ(ends[1]->got, 0);
    CHECK_EQ(places_taken(&ends[1]->k), 0);
    finish();
}

/* What listens and never says its challenge: the connection is given up and tried again. */
static void test_silent_listener(void) {
    struct addr at;
    begin();
    int fd = silent_listener(&at);
    link_peer(&ends[0]->k, 2, &at);
    turn_all();
    int first = accept(fd, NULL, NULL);
    now += LINK_HELLO_US;
    UNTIL(ends[0]->k.to[0].failures == 1 && ends[0]->k.to[0].fd >= 0, 2);
    CHECK_EQ(ends[0]->k.to[0].failures, 1);
    CHECK_TRUE(ends[0]->k.to[0].fd >= 0);
    int second = ends[0]->k.to[0].failures == 1 ? accept(fd, NULL, NULL) : -1;
    CHECK_TRUE(first >= 0 && second >= 0);
    close(first);
    close(second);
    close(fd);
    finish();
}

/* The kernel asks ever more rarely whether a host that was cut off is there again: when that one comes, we ask. */
static void test_reached_when_it_comes(void) {
    struct addr silent;
    begin();
    int fd = silent_listener(&silent);
    link_peer(&ends[0]->k, 2, &silent);
    turn_all();
    int before = accept(fd, NULL, NULL);
    now += 1000000;
    link_peer(&ends[1]->k, 1, &ends[0]->at);
    UNTIL(ends[0]->k.to[0].since_us > 1001000000, 1);
    CHECK_TRUE(ends[0]->k.to[0].since_us > 1001000000);
    CHECK_EQ(ends[0]->k.to[0].failures, 0);
    close(before);
    close(fd);
    finish();
}

static bool has_place(const struct link *k, uint32_t node) {
    for (unsigned i = 0; i < LINK_NODES_MAX; i++)
        if (k->to[i].node == node)
            return true;
    return false;
}

/* It does not live for who sends, but is sent to as one that is gone; as soon as it lives again, by what stands. */
static void test_missed(void) {
    struct link_frame f = { .kind = LINK_STATE, .flag = true };
    begin();
    meet();
    link_miss(&ends[0]->k, 2);
    CHECK_FALSE(link_is_up(&ends[0]->k, 2) || say(0, "to nobody"));
    link_send_gone(&ends[0]->k, &f);
    UNTIL(ends[1]->got, 2);
    CHECK_EQ(ends[1]->got, 1);
    CHECK_EQ(link_deadline(&ends[0]->k), ends[0]->k.to[0].gone_us + LINK_GONE_US);
    link_peer(&ends[0]->k, 2, &ends[1]->at);
    CHECK_EQ(link_deadline(&ends[0]->k), UINT64_MAX);
    CHECK_TRUE(link_is_up(&ends[0]->k, 2) && say(0, "again"));
    link_send_gone(&ends[0]->k, &f);
    UNTIL(ends[1]->got == 3, 1);
    CHECK_EQ(ends[1]->got, 2);
    finish();
}

/* For LINK_GONE_US at most, also where no connection stands; and not where another one is, or needs the place. */
static void test_missed_no_more(void) {
    struct addr at;
    begin();
    meet();
    at = ends[1]->at;
    stop(1);
    link_miss(&ends[0]->k, 2);
    uint64_t since = now;
    UNTIL(!has_place(&ends[0]->k, 2), LINK_GONE_US / 1000000 + 1);
    CHECK_TRUE(now - since >= LINK_GONE_US && now - since <= LINK_GONE_US + 2 * STEP_US);
    CHECK_TRUE(link_deadline(&ends[0]->k) > now);
    link_peer(&ends[0]->k, 2, &at);
    link_peer(&ends[0]->k, 3, &at);
    link_miss(&ends[0]->k, 2);
    CHECK_TRUE(!has_place(&ends[0]->k, 2) && has_place(&ends[0]->k, 3));
    link_miss(&ends[0]->k, 3);
    CHECK_TRUE(has_place(&ends[0]->k, 3));
    for (unsigned i = 0; i < LINK_NODES_MAX; i++) {
        at.port = (uint16_t)(1 + i);
        link_peer(&ends[0]->k, 4 + i, &at);
    }
    CHECK_TRUE(!has_place(&ends[0]->k, 3) && has_place(&ends[0]->k, 3 + LINK_NODES_MAX));
    finish();
}

int main(void) {
    return UNIT_RUN("link", UNIT(test_order), UNIT(test_silent_stranger), UNIT(test_many_strangers),
                    UNIT(test_node_comes_again), UNIT(test_other_secret), UNIT(test_silent_listener),
                    UNIT(test_reached_when_it_comes), UNIT(test_missed), UNIT(test_missed_no_more));
}
