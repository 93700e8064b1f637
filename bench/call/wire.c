/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "bench/call/call.h"
#include "core/runtime/udp.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define PHONE_HOST 9

static struct {
    int fd;
    unsigned n;
    struct mmsghdr h[BATCH];
    struct udp_msg m[BATCH];
    char bytes[BATCH][WIRE_MESSAGE_MAX];
} out[PARTIES];
static char room[WIRE_MESSAGE_MAX];
static int rtp[PARTIES] = { -1, -1, -1 };

static struct {
    struct mmsghdr h[BATCH];
    struct iovec iov[BATCH];
    char bytes[BATCH][8192];
} in;

uint64_t clock_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool open_rtp(struct load *l, int p) {
    struct udp_options o = { .rcvbuf = 1 << 20 };
    struct addr at = l->addr[p];
    at.port = 0;
    rtp[p] = udp_open(&at, &o);
    if (rtp[p] < 0 || !udp_bound(rtp[p], &at))
        return false;
    l->rtp_port[p] = at.port;
    return true;
}

/* Who is trusted is not asked for digest. So B, where it registers, is elsewhere than A: at 127.0.0.9, which is no
 * peer's address. */
static struct addr address_of(const struct load *l, int p) {
    struct addr at = l->o.at;
    bool registers = l->o.scenario == SC_REGISTER || l->o.scenario == SC_REGISTERED;
    if (registers && p == PARTY_B && at.family == ADDR_V4 && at.ip[0] == 127)
        at.ip[3] = PHONE_HOST;
    at.port = (uint16_t)(at.port ? at.port + p : 0);
    return at;
}

bool wire_open(struct load *l) {
    struct udp_options o = { .rcvbuf = 8 << 20, .sndbuf = 8 << 20 };
    for (int p = 0; p < PARTIES; p++) {
        struct addr at = address_of(l, p);
        struct sbuf b = sbuf_on(l->host[p].s, sizeof l->host[p].s);
        out[p].fd = udp_open(&at, &o);
        if (out[p].fd < 0 || !udp_bound(out[p].fd, &l->addr[p]))
            return false;
        addr_put(&b, &l->addr[p]);
        l->host[p].n = (uint16_t)b.n;
        if (l->o.rtp_of && !open_rtp(l, p))
            return false;
    }
    return true;
}

void wire_close(void) {
    for (int p = 0; p < PARTIES; p++) {
        if (out[p].fd > 0)
            close(out[p].fd);
        out[p].fd = 0;
        if (rtp[p] >= 0)
            close(rtp[p]);
        rtp[p] = -1;
    }
}

void wire_rtp(enum party from, const struct addr *dst, const void *packet, uint32_t n) {
    static const struct addr any;
    struct udp_msg m;
    udp_fill(&m, packet, n, dst, &any);
    (void)!sendmsg(rtp[from], &m.h, 0); /* what the kernel refuses is lost, as on a wire */
}

static void take_rtp(struct load *l, unsigned p) {
    uint8_t name[UDP_NAME_MAX];
    char bytes[2048];
    for (;;) {
        socklen_t len = sizeof name;
        struct addr from = { .family = ADDR_NONE };
        ssize_t n = recvfrom(rtp[p], bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)name, &len);
        if (n < 0)
            return;
        udp_from_sockaddr(name, len, &from);
        media_receive(l, (enum party)p, slice_of(bytes, (uint32_t)n), &from);
    }
}

static void flush(unsigned p) {
    unsigned done = 0;
    while (done < out[p].n) {
        int n = sendmmsg(out[p].fd, out[p].h + done, out[p].n - done, 0);
        done += n > 0 ? (unsigned)n : 1; /* what the kernel refuses is lost, as on a wire */
    }
    out[p].n = 0;
}

char *wire_room(void) {
    return room;
}

void wire_sent(struct load *l, enum party from, const struct addr *dst, uint32_t n) {
    static const struct addr any;
    unsigned i = out[from].n++;
    memcpy(out[from].bytes[i], room, n);
    udp_fill(&out[from].m[i], out[from].bytes[i], n, dst, &any);
    out[from].h[i] = (struct mmsghdr){ .msg_hdr = out[from].m[i].h };
    l->t.out++;
    if (out[from].n == BATCH)
        flush(from);
}

static int take(struct load *l, unsigned p) {
    for (int i = 0; i < BATCH; i++) {
        in.iov[i] = (struct iovec){ in.bytes[i], sizeof in.bytes[i] };
        in.h[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &in.iov[i], .msg_iovlen = 1 } };
    }
    int n = recvmmsg(out[p].fd, in.h, BATCH, MSG_DONTWAIT, NULL);
    l->now = clock_us();
    for (int i = 0; i < n; i++) {
        struct sip_fault f;
        l->t.in++;
        if (sip_parse(slice_of(in.bytes[i], in.h[i].msg_len), &l->msg, &f) < 0)
            l->t.bad++;
        else
            dialog_receive(l, (enum party)p, &l->msg);
    }
    return n;
}

void wire_turn(struct load *l, uint64_t us) {
    struct pollfd fds[2 * PARTIES];
    for (unsigned p = 0; p < PARTIES; p++) {
        if (out[p].n)
            flush(p);
        fds[p] = (struct pollfd){ .fd = out[p].fd, .events = POLLIN };
        fds[PARTIES + p] = (struct pollfd){ .fd = rtp[p], .events = POLLIN };
    }
    struct timespec wait = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };
    if (ppoll(fds, 2 * PARTIES, &wait, NULL) <= 0)
        return;
    l->now = clock_us();
    for (unsigned p = 0; p < PARTIES; p++)
        if (fds[PARTIES + p].revents & POLLIN)
            take_rtp(l, p);
    for (unsigned p = 0; p < PARTIES; p++)
        for (int i = 0; i < 8 && (fds[p].revents & POLLIN) && take(l, p) == BATCH; i++)
            ;
}
