/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Sockets of media ports and of sip.listen on loopback, with both backends of io.
 */
#define _GNU_SOURCE
#include "core/runtime/listen.h"
#include "core/runtime/media_io.h"
#include "core/runtime/udp.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <srtp2/srtp.h>
#include <unistd.h>

#define PAIRS 4
#define RTP_BYTES 172

static struct log quiet;
static struct metrics metrics;
static struct buf_pool bufs;
static struct io *io;
static struct media_io media;
static struct io_event events[IO_EVENTS_MAX];
static uint16_t first_port;
static int peer[2];
static struct addr peer_at[2];
static uint8_t relay_memory[1 << 20], buf_memory[1 << 20];

static struct addr loopback(uint16_t port) {
    struct addr a = { .port = port };
    addr_parse_ip(SL("127.0.0.1"), &a);
    return a;
}

static int open_peer(uint16_t port, struct addr *at) {
    struct addr a = loopback(port);
    int fd = udp_open(&a, &(struct udp_options){ 0 });
    CHECK_TRUE(fd < 0 || udp_bound(fd, at));
    return fd;
}

static struct io *open_io(enum io_backend backend) {
    const char *why;
    struct arena a;
    arena_init(&a, buf_memory, sizeof buf_memory);
    buf_pool_init(&bufs, &a, (const uint32_t[BUF_CLASSES]){ 8 });
    memset(&metrics, 0, sizeof metrics);
    log_init(&quiet, TRACE_ERROR, NULL);
    quiet.fd = open("/dev/null", O_WRONLY);
    return io_new(&(struct io_options){ backend, 64, &metrics, &bufs }, &why);
}

/* Four pairs, the second of which somebody else has taken. */
static bool open_media(enum io_backend backend) {
    struct addr bind_to = loopback(0), taken_at;
    struct arena a;
    int taken = -1;
    memset(&media, 0, sizeof media);
    io = open_io(backend);
    if (!io)
        return false;
    for (first_port = (uint16_t)(20000 + getpid() % 4000 * 2); taken < 0; first_port += 2 * PAIRS)
        taken = open_peer((uint16_t)(first_port + 3), &taken_at);
    first_port -= 2 * PAIRS;
    struct media_range range = { .own = &bind_to, .own_count = 1, .first = first_port,
                                 .last = (uint16_t)(first_port + 2 * PAIRS - 1) };
    CHECK_TRUE(media_io_open(&media, &range, &quiet));
    CHECK_EQ(media.count, PAIRS);
    CHECK_TRUE(media.usable[0] && !media.usable[1] && media.usable[2] && media.usable[3]);
    close(taken);
    arena_init(&a, relay_memory, sizeof relay_memory);
    relay_init(&media.relay, &a, PAIRS);
    CHECK_TRUE(media_io_start(&media, io, &metrics, 1000));
    peer[0] = open_peer(0, &peer_at[0]);
    peer[1] = open_peer(0, &peer_at[1]);
    return true;
}

static void close_media(void) {
    media_io_close(&media);
    io_free(io);
    close(peer[0]);
    close(peer[1]);
    close(quiet.fd);
}

static void command(enum media_verb verb, uint32_t stream, uint32_t to, const struct addr *rtp) {
    struct media_cmd cmd = { .verb = verb, .stream = stream, .generation = 1, .to = to, .nat = true };
    if (rtp)
        cmd.rtp = *rtp;
    media_io_command(&media, &cmd, 1000);
}

static void make_packet(uint8_t rtp[RTP_BYTES], int from, uint16_t seq) {
    memset(rtp, 0, RTP_BYTES);
    rtp[0] = 0x80;
    rtp[2] = (uint8_t)(seq >> 8);
    rtp[3] = (uint8_t)seq;
    rtp[7] = 1;
    rtp[11] = (uint8_t)(7 + from);
}

/* Sends from peer `from` to a stream's RTP port and lets it through; true when the stream latched. */
static bool send_bytes(int from, uint32_t stream, uint8_t *bytes, size_t bytes_n) {
    struct addr to = loopback((uint16_t)(first_port + 2 * stream));
    struct udp_msg m;
    bool latched = false;
    udp_fill(&m, bytes, (uint32_t)bytes_n, &to, &(struct addr){ 0 });
    CHECK_EQ(sendmsg(peer[from], &m.h, 0), bytes_n);
    uint32_t n = io_turn(io, 1000000, events);
    CHECK_EQ(n, 1);
    if (n)
        latched = media_io_packet(&media, events[0].tag - 1000, &events[0], 2000);
    io_turn(io, 0, events);
    return latched;
}

static bool packet(int from, uint32_t stream, uint16_t seq) {
    uint8_t rtp[RTP_BYTES];
    make_packet(rtp, from, seq);
    return send_bytes(from, stream, rtp, sizeof rtp);
}

static uint8_t data[512]; /* heard last */
static ssize_t hears(int to, struct addr *from) {
    uint8_t name[UDP_NAME_MAX];
    socklen_t len = sizeof name;
    ssize_t n = recvfrom(peer[to], data, sizeof data, 0, (struct sockaddr *)(void *)name, &len);
    if (n >= 0)
        udp_from_sockaddr(name, len, from);
    return n;
}

static void relays(void) {
    struct addr from;
    CHECK_FALSE(packet(0, 0, 1));
    CHECK_EQ(metrics_get(&metrics, M_rtp_dropped), 1);
    command(MEDIA_OPEN, 0, 0, NULL);
    command(MEDIA_OPEN, 2, 0, NULL);
    command(MEDIA_REMOTE, 0, 0, &peer_at[0]);
    command(MEDIA_REMOTE, 2, 0, &peer_at[1]);
    command(MEDIA_ROUTE, 0, 2, NULL);
    command(MEDIA_ROUTE, 2, 0, NULL);
    CHECK_TRUE(packet(0, 0, 2));
    CHECK_EQ(hears(1, &from), 172);
    CHECK_EQ(from.port, first_port + 4);
    CHECK_TRUE(packet(1, 2, 1));
    CHECK_EQ(hears(0, &from), 172);
    CHECK_EQ(from.port, first_port);
    CHECK_FALSE(packet(0, 0, 3));
    CHECK_EQ(hears(1, &from), 172);
    CHECK_EQ(metrics_get(&metrics, M_rtp_in), 4);
    CHECK_EQ(metrics_get(&metrics, M_rtp_out), 3);
    command(MEDIA_CLOSE, 0, 0, NULL);
    CHECK_FALSE(packet(0, 0, 4));
    CHECK_TRUE(hears(1, &from) < 0);
}

static void open_secured(srtp_t *sends, srtp_t *hears_it) {
    struct media_cmd keys = { .verb = MEDIA_SRTP, .stream = 0, .generation = 1 };
    srtp_policy_t p = { .key = keys.keys.in };
    keys.keys.suite = SRTP_AES_CM_128_HMAC_SHA1_80;
    memset(keys.keys.in, 1, sizeof keys.keys.in);
    memset(keys.keys.out, 2, sizeof keys.keys.out);
    command(MEDIA_OPEN, 0, 0, NULL);
    command(MEDIA_OPEN, 2, 0, NULL);
    media_io_command(&media, &keys, 1000);
    srtp_crypto_policy_set_rtp_default(&p.rtp);
    srtp_crypto_policy_set_rtcp_default(&p.rtcp);
    p.ssrc.type = ssrc_any_outbound;
    CHECK_EQ(srtp_create(sends, &p), srtp_err_status_ok);
    p.key = keys.keys.out;
    p.ssrc.type = ssrc_any_inbound;
    CHECK_EQ(srtp_create(hears_it, &p), srtp_err_status_ok);
}

/* SRTP on one side, RTP on the other. What is not proved to be the party's moves no latch. */
static void secures(void) {
    struct addr from;
    srtp_t sends, hears_it;
    uint8_t rtp[RTP_BYTES + SRTP_MAX_TRAILER_LEN], plain[RTP_BYTES];
    int n = RTP_BYTES;
    open_secured(&sends, &hears_it);
    command(MEDIA_REMOTE, 0, 0, &peer_at[0]);
    command(MEDIA_REMOTE, 2, 0, &peer_at[1]);
    command(MEDIA_ROUTE, 0, 2, NULL);
    command(MEDIA_ROUTE, 2, 0, NULL);
    CHECK_FALSE(packet(0, 0, 1));
    CHECK_EQ(relay_counters(&media.relay, 0).dropped[RELAY_DROP_SRTP], 1);
    CHECK_EQ(relay_counters(&media.relay, 0).packets_in, 0);
    CHECK_TRUE(hears(1, &from) < 0);
    make_packet(rtp, 0, 2);
    make_packet(plain, 0, 2);
    CHECK_EQ(srtp_protect(sends, rtp, &n), srtp_err_status_ok);
    CHECK_TRUE(send_bytes(0, 0, rtp, (size_t)n));
    CHECK_EQ(hears(1, &from), RTP_BYTES);
    CHECK_TRUE(memcmp(data, plain, RTP_BYTES) == 0);
    CHECK_TRUE(packet(1, 2, 5));
    n = (int)hears(0, &from);
    CHECK_EQ(n, RTP_BYTES + 10);
    make_packet(plain, 1, 5);
    CHECK_TRUE(memcmp(data + RTP_HEADER_MIN, plain + RTP_HEADER_MIN, RTP_BYTES - RTP_HEADER_MIN) != 0);
    CHECK_EQ(srtp_unprotect(hears_it, data, &n), srtp_err_status_ok);
    CHECK_TRUE(n == RTP_BYTES && memcmp(data, plain, RTP_BYTES) == 0);
    struct event ev;
    CHECK_FALSE(media_io_rolled(&media, &ev));
    srtp_dealloc(sends);
    srtp_dealloc(hears_it);
}

static void test_secures(void) {
    for (enum io_backend b = IO_URING; b <= IO_EPOLL; b++)
        if (open_media(b)) {
            secures();
            close_media();
        }
}

static void test_relays(void) {
    for (enum io_backend b = IO_URING; b <= IO_EPOLL; b++)
        if (open_media(b)) {
            relays();
            close_media();
        }
}

static uint64_t now;

static uint16_t port_of_sender(struct listeners *ls, const struct addr *src, const char **ip) {
    static char text[64];
    struct addr from = { 0 };
    struct buf *b = buf_copy(&bufs, SL("x"));
    struct sbuf s = sbuf_on(text, sizeof text - 1);
    CHECK_TRUE(listeners_send(ls, io, ++now, &peer_at[0], src, b));
    io_turn(io, 0, events);
    CHECK_EQ(hears(0, &from), 1);
    addr_put_ip(&s, &from);
    text[s.n] = 0;
    *ip = text;
    return from.port;
}

/* The answer leaves by the address and port that the question came to. */
static void test_listeners_choose_the_source(void) {
    struct addr at[3] = { { .family = ADDR_V4 }, loopback(0), { .family = ADDR_V6 } }, src = { 0 };
    struct listeners ls;
    const char *ip;
    io = open_io(IO_AUTO);
    peer[0] = open_peer(0, &peer_at[0]);
    CHECK_TRUE(addr_parse_ip(SL("::1"), &at[2]));
    uint32_t count = listeners_open(&ls, &at[2], 1, 0, false, &quiet) ? 3 : 2;
    listeners_close(&ls);
    at[2].port = 0;
    CHECK_TRUE(io && listeners_open(&ls, at, count, 65536, false, &quiet) && listeners_start(&ls, io, 0));
    CHECK_TRUE(at[0].port != 0 && at[1].port != at[0].port);
    CHECK_EQ(port_of_sender(&ls, &src, &ip), at[0].port);
    src = loopback(at[1].port);
    CHECK_EQ(port_of_sender(&ls, &src, &ip), at[1].port);
    addr_parse_ip(SL("127.0.0.9"), &src);
    src.port = at[0].port;
    CHECK_EQ(port_of_sender(&ls, &src, &ip), at[0].port);
    CHECK_SLICE(slice_str(ip), "127.0.0.9");
    /* Another node's, which passed on what came to it: from our own, and the log says so once. */
    addr_parse_ip(SL("192.0.2.77"), &src);
    for (int k = 0; k < 2; k++) {
        CHECK_EQ(port_of_sender(&ls, &src, &ip), at[0].port);
        CHECK_SLICE(slice_str(ip), "127.0.0.1");
        now += 1000000;
    }
    CHECK_FALSE(listeners_have(&ls, now, &src));
    addr_parse_ip(SL("127.0.0.9"), &src);
    CHECK_TRUE(listeners_have(&ls, now, &src));
    struct addr nowhere = { 0 };
    CHECK_FALSE(listeners_send(&ls, io, now, &nowhere, &src, NULL));
    struct log again = quiet;
    struct listeners second;
    CHECK_FALSE(listeners_open(&second, &at[1], 1, 0, false, &again));
    listeners_close(&ls);
    io_free(io);
    close(peer[0]);
    close(quiet.fd);
}

int main(void) {
    return UNIT_RUN("media_io", UNIT(test_relays), UNIT(test_secures), UNIT(test_listeners_choose_the_source));
}
