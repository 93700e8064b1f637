/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench-relay-load: RTP of many parties through one Ethernet device, by sendmmsg on a packet socket, and what comes
 * back by another one's ring. bench/relay/run.py makes what it works in and reads what it says.
 *
 *   bench-relay-load FLOWS DEVICE GATEWAY_MAC RATE SECONDS [RX_DEVICE RX_NETNS]
 *
 * FLOWS: a line a stream, "PARTY_IP PARTY_PORT RELAY_IP RELAY_PORT"; the parties exist here only. RATE: packets a
 * second of all of them, in their order again and again; 0: as many as go. A packet has 12 + 160 bytes; its payload
 * names its stream, its number and when it was sent. One line of JSON: sent, received, bad (a payload that is not what
 * was sent), disorder, refused (by sendmmsg), p50_us, p99_us, max_us, send_ns (in sendmmsg; a veth's other end runs in
 * it), seconds. Latency ends with the kernel's time stamp of reception, so what this process waits does not count.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x52454652u
#define RTP_BYTES 12
#define PAYLOAD 160
#define UDP_AT (14 + 20)
#define RTP_AT (UDP_AT + 8)
#define FRAME_BYTES (RTP_AT + RTP_BYTES + PAYLOAD)
#define BATCH 8                   /* a stamp is no older than so many sends: what is behind them does not count */
#define TICK_NS 50000
#define RING_FRAMES 32768
#define RING_FRAME 512
#define HIST_MAX_US 100000
#define DRAIN_NS 200000000

struct stamp {
    uint32_t magic, stream;
    uint64_t number, sent_ns;
};

struct stream {
    uint8_t frame[FRAME_BYTES];
    uint64_t sent, heard;         /* numbers: of the next one, behind the last one */
};

struct load {
    struct stream *streams;
    uint32_t count, next;
    int tx;
    uint8_t *ring;
    uint32_t ring_at;
    uint64_t sent, received, bad, disorder, refused, send_ns;
    uint64_t max_us;
    uint32_t hist[HIST_MAX_US + 1];
};

static void die(const char *what) {
    fprintf(stderr, "bench-relay-load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static uint64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- frames */

static uint16_t sum_of(const uint8_t *p, size_t n, uint32_t sum) {
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)(p[i] << 8 | p[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v) {
    put16(p, v >> 16);
    put16(p + 2, v);
}

/* Without a UDP checksum: no relay here looks into it, and a device would make it. */
static void build(struct stream *s, uint32_t number, const uint8_t macs[12], char *const names[4]) {
    uint8_t *ip = s->frame + 14, *udp = s->frame + UDP_AT, *rtp = s->frame + RTP_AT;
    memcpy(s->frame, macs, 12);
    put16(s->frame + 12, ETH_P_IP);
    ip[0] = 0x45;
    put16(ip + 2, FRAME_BYTES - 14);
    ip[8] = 64;
    ip[9] = IPPROTO_UDP;
    if (inet_pton(AF_INET, names[0], ip + 12) != 1 || inet_pton(AF_INET, names[2], ip + 16) != 1)
        die("an address");
    put16(ip + 10, sum_of(ip, 20, 0));
    put16(udp, (uint32_t)atol(names[1]));
    put16(udp + 2, (uint32_t)atol(names[3]));
    put16(udp + 4, FRAME_BYTES - UDP_AT);
    rtp[0] = 0x80;
    put32(rtp + 8, 0x10000 + number);
    memset(rtp + RTP_BYTES, 0xd5, PAYLOAD);
}

static void read_flows(struct load *l, const char *path, const uint8_t macs[12]) {
    char line[256], *names[4];
    FILE *f = fopen(path, "r");
    if (!f)
        die(path);
    while (fgets(line, sizeof line, f)) {
        char *at = line;
        for (int i = 0; i < 4; i++)
            names[i] = strsep(&at, " \n");
        if (!names[3])
            die("a line of the flows");
        l->streams = realloc(l->streams, (l->count + 1) * sizeof *l->streams);
        if (!l->streams)
            die("memory");
        memset(&l->streams[l->count], 0, sizeof *l->streams);
        build(&l->streams[l->count], l->count, macs, names);
        l->count++;
    }
    fclose(f);
}

static void next_frame(struct load *l, struct iovec *v, uint64_t at_ns) {
    uint32_t which = l->next;
    struct stream *s = &l->streams[which];
    uint8_t *rtp = s->frame + RTP_AT;
    struct stamp stamp = { MAGIC, which, s->sent, at_ns };
    put16(rtp + 2, (uint32_t)s->sent);
    put32(rtp + 4, (uint32_t)(s->sent * PAYLOAD));
    memcpy(rtp + RTP_BYTES, &stamp, sizeof stamp);
    s->sent++;
    *v = (struct iovec){ s->frame, FRAME_BYTES };
    l->next = which + 1 < l->count ? which + 1 : 0;
}

/* ---- sockets */

static int packet_socket(const char *device, uint16_t protocol) {
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(protocol));
    struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol),
                              .sll_ifindex = (int)if_nametoindex(device) };
    if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)(void *)&at, sizeof at) < 0)
        die(device);
    return fd;
}

/* Straight to the device, without a queue between. */
static void open_tx(struct load *l, const char *device) {
    int on = 1, bytes = 8 << 20;
    l->tx = packet_socket(device, 0);
    setsockopt(l->tx, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    setsockopt(l->tx, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
}

static void open_rx(struct load *l, const char *device, const char *netns) {
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there = netns ? open(netns, O_RDONLY | O_CLOEXEC) : -1;
    int on = 1, version = TPACKET_V2;
    struct tpacket_req ring = { .tp_block_size = 1 << 16, .tp_frame_size = RING_FRAME, .tp_frame_nr = RING_FRAMES,
                                .tp_block_nr = RING_FRAMES / ((1 << 16) / RING_FRAME) };
    if (netns && (there < 0 || setns(there, CLONE_NEWNET) < 0))
        die(netns);
    int fd = packet_socket(device, ETH_P_ALL); /* in front of what drops it, see ends.bpf.c */
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) < 0)
        die("the ring");
    l->ring = mmap(NULL, (size_t)RING_FRAME * RING_FRAMES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (l->ring == MAP_FAILED)
        die("the ring's memory");
    if (netns && setns(here, CLONE_NEWNET) < 0)
        die("back");
}

/* ---- receiving */

static void take(struct load *l, const uint8_t *frame, uint32_t n, uint64_t at_ns) {
    struct stamp stamp;
    if (n != FRAME_BYTES || frame[14 + 9] != IPPROTO_UDP)
        return;
    memcpy(&stamp, frame + RTP_AT + RTP_BYTES, sizeof stamp);
    const uint8_t *rest = frame + RTP_AT + RTP_BYTES + sizeof stamp;
    bool whole = stamp.magic == MAGIC && stamp.stream < l->count;
    for (size_t i = 0; whole && i < PAYLOAD - sizeof stamp; i++)
        whole = rest[i] == 0xd5;
    if (!whole) {
        l->bad++;
        return;
    }
    struct stream *s = &l->streams[stamp.stream];
    l->disorder += stamp.number < s->heard;
    s->heard = stamp.number + 1;
    l->received++;
    uint64_t us = at_ns > stamp.sent_ns ? (at_ns - stamp.sent_ns) / 1000 : 0;
    l->hist[us < HIST_MAX_US ? us : HIST_MAX_US]++;
    if (us > l->max_us)
        l->max_us = us;
}

static void drain(struct load *l) {
    for (;;) {
        struct tpacket2_hdr *h = (struct tpacket2_hdr *)(void *)(l->ring + (size_t)l->ring_at * RING_FRAME);
        if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            return;
        take(l, (uint8_t *)h + h->tp_mac, h->tp_len, (uint64_t)h->tp_sec * 1000000000 + h->tp_nsec);
        __atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        l->ring_at = l->ring_at + 1 < RING_FRAMES ? l->ring_at + 1 : 0;
    }
}

/* ---- sending */

static void send_some(struct load *l, uint64_t n) {
    struct mmsghdr messages[BATCH] = { 0 };
    struct iovec vectors[BATCH];
    int count = (int)(n < BATCH ? n : BATCH);
    if ((uint32_t)count > l->count)
        count = (int)l->count;
    for (int i = 0; i < count; i++) {
        next_frame(l, &vectors[i], now_ns(CLOCK_REALTIME));
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int done = 0;
    uint64_t before = now_ns(CLOCK_MONOTONIC);
    while (done < count) {
        int sent = sendmmsg(l->tx, messages + done, (unsigned)(count - done), 0);
        if (sent < 0) {
            l->refused++;
            sent = 1;
        }
        done += sent;
    }
    l->send_ns += now_ns(CLOCK_MONOTONIC) - before;
    l->sent += (uint64_t)count;
}

static void run(struct load *l, uint64_t rate, uint64_t for_ns) {
    uint64_t begin = now_ns(CLOCK_MONOTONIC), now = begin, tick = begin;
    while (now - begin < for_ns) {
        uint64_t due = rate ? (now - begin) * rate / 1000000000 + 1 : l->sent + BATCH;
        while (l->sent < due) {
            send_some(l, due - l->sent);
            drain(l);
        }
        if (rate) {
            tick += TICK_NS;
            struct timespec until = { (time_t)(tick / 1000000000), (long)(tick % 1000000000) };
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
        drain(l);
        now = now_ns(CLOCK_MONOTONIC);
        if (tick < now)
            tick = now;
    }
    for (uint64_t end = now + DRAIN_NS; now < end; now = now_ns(CLOCK_MONOTONIC)) {
        struct timespec pause = { 0, 1000000 };
        nanosleep(&pause, NULL);
        drain(l);
    }
}

/* ---- the result */

static uint64_t percentile(const struct load *l, double part) {
    uint64_t want = (uint64_t)((double)l->received * part), seen = 0;
    for (uint32_t us = 0; us <= HIST_MAX_US; us++) {
        seen += l->hist[us];
        if (seen > want)
            return us;
    }
    return HIST_MAX_US;
}

static void device_mac(const char *device, uint8_t mac[6]) {
    struct ifreq r = { 0 };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", device);
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &r) < 0)
        die(device);
    memcpy(mac, r.ifr_hwaddr.sa_data, 6);
    close(fd);
}

int main(int argc, char **argv) {
    static struct load l;
    uint8_t macs[12];
    if (argc != 6 && argc != 8) {
        fprintf(stderr, "usage: %s FLOWS DEVICE GATEWAY_MAC RATE SECONDS [RX_DEVICE RX_NETNS]\n", argv[0]);
        return 2;
    }
    if (sscanf(argv[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &macs[0], &macs[1], &macs[2], &macs[3], &macs[4],
               &macs[5]) != 6)
        die("a MAC");
    device_mac(argv[2], macs + 6);
    read_flows(&l, argv[1], macs);
    open_tx(&l, argv[2]);
    open_rx(&l, argc == 8 ? argv[6] : argv[2], argc == 8 ? argv[7] : NULL);
    prctl(PR_SET_TIMERSLACK, 1);
    double seconds = atof(argv[5]);
    run(&l, strtoull(argv[4], NULL, 10), (uint64_t)(seconds * 1e9));
    printf("{\"sent\":%lu,\"received\":%lu,\"bad\":%lu,\"disorder\":%lu,\"refused\":%lu,\"p50_us\":%lu,"
           "\"p99_us\":%lu,\"max_us\":%lu,\"send_ns\":%lu,\"seconds\":%g}\n",
           l.sent, l.received, l.bad, l.disorder, l.refused, percentile(&l, 0.5), percentile(&l, 0.99), l.max_us,
           l.send_ns, seconds);
    return 0;
}
