/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "bench/demo/demo.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const char *const phone_names[WHO_COUNT] = { "A", "B", "C", "P" };
static const char *const names[WHO_COUNT] = { "a", "b", "c", "b" };
static const char *const passwords[WHO_COUNT] = { "alpha-secret", "bravo-secret", "charlie-secret", "bravo-secret" };
static const double hertz[WHO_COUNT] = { 440, 620, 880, 1180 };

uint64_t clock_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static struct sockaddr_in sockaddr_of(const struct addr *a) {
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(a->port) };
    memcpy(&sa.sin_addr, a->ip, 4);
    return sa;
}

static struct addr local_addr(const struct demo *d, uint16_t port) {
    struct addr a = d->local;
    a.port = port;
    return a;
}

/* A non-blocking UDP socket on the phones' address; port 0: any. */
static int bind_udp(const struct demo *d, uint16_t port) {
    struct addr at = local_addr(d, port);
    struct sockaddr_in sa = sockaddr_of(&at);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static uint16_t bound_port(int fd) {
    struct sockaddr_in sa;
    socklen_t n = sizeof sa;
    return getsockname(fd, (struct sockaddr *)&sa, &n) == 0 ? ntohs(sa.sin_port) : 0;
}

static bool can_bind(const struct demo *d, uint16_t first, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        int fd = bind_udp(d, (uint16_t)(first + i));
        if (fd < 0)
            return false;
        close(fd);
    }
    return true;
}

/* Below the range that the kernel gives to others; that of a lane where tests/e2e/run.sh has several demos at a time,
 * since somebody else may take what was free when it was looked for. */
static uint16_t port_range(unsigned *count) {
    const char *lane = getenv("PORTS_FROM");
    unsigned long from = lane ? strtoul(lane, NULL, 10) : 0;
    bool is_lane = from >= 1024 && from <= 58000;
    *count = is_lane ? 6000 : 8000;
    return is_lane ? (uint16_t)from : 12000;
}

uint16_t free_ports(const struct demo *d, unsigned count) {
    unsigned range;
    uint16_t from = port_range(&range);
    for (unsigned tries = 0; tries < 200; tries++) {
        uint16_t r;
        if (getrandom(&r, sizeof r, 0) != sizeof r)
            return 0;
        uint16_t first = (uint16_t)(from + r % range) & (uint16_t)~1u;
        if (can_bind(d, first, count))
            return first;
    }
    return 0;
}

struct slice demo_uri(const struct demo *d, enum who to, char *mem, size_t cap) {
    struct sbuf b = sbuf_on(mem, cap);
    sbuf_lit(&b, "sip:");
    sbuf_str(&b, names[to]);
    sbuf_char(&b, '@');
    if (d->domain[0])
        sbuf_str(&b, d->domain);
    else
        addr_put(&b, &d->phones[to].config.local);
    return sbuf_slice(&b);
}

bool demo_drops(struct demo *d) {
    return d->drop_every && ++d->drop_count % d->drop_every == 0;
}

static void send_datagram(void *arg, struct phone *ph, const struct addr *to, struct slice bytes) {
    struct demo *d = arg;
    struct sockaddr_in sa = sockaddr_of(to);
    if (demo_drops(d))
        return;
    (void)!sendto(d->fds[ph - d->phones], bytes.p, bytes.n, 0, (struct sockaddr *)&sa, sizeof sa);
}

/* A offers more than B would choose; C prefers what B does not have. */
static unsigned codecs_of(enum who who, struct phone_codec out[PHONE_CODECS]) {
    static const struct phone_codec a[] = { { 0, PHONE_ULAW, "PCMU/8000" }, { 8, PHONE_ALAW, "PCMA/8000" },
        { 9, PHONE_OTHER_AUDIO, "G722/8000" }, { 3, PHONE_OTHER_AUDIO, "GSM/8000" },
        { 101, PHONE_DTMF, "telephone-event/8000" } };
    static const struct phone_codec b[] = { { 0, PHONE_ULAW, "PCMU/8000" },
        { 101, PHONE_DTMF, "telephone-event/8000" } };
    static const struct phone_codec c[] = { { 8, PHONE_ALAW, "PCMA/8000" }, { 0, PHONE_ULAW, "PCMU/8000" },
        { 97, PHONE_DTMF, "telephone-event/8000" } };
    static const struct { const struct phone_codec *list; unsigned n; } all[] = {
        { a, 5 }, { b, 2 }, { c, 3 }, { b, 2 } };
    memcpy(out, all[who].list, all[who].n * sizeof *out);
    return all[who].n;
}

static bool open_media(struct demo *d, enum who who, uint16_t first) {
    struct sbuf b = sbuf_on(d->local_text, sizeof d->local_text - 1);
    addr_put_ip(&b, &d->local);
    for (unsigned i = 0; i < PHONE_DIALOGS; i++) {
        struct media_config mc = { .address = d->local_text, .port = (uint16_t)(first + 2 * i), .hertz = hertz[who] };
        memcpy(mc.known, hertz, sizeof hertz);
        d->media[who][i] = media_open(&mc);
        if (!d->media[who][i])
            return false;
    }
    return true;
}

static bool open_phone(struct demo *d, enum who who, bool direct) {
    struct phone_io io = { .arg = d, .send = send_datagram, .seen = demo_seen };
    struct phone_config pc = { .name = names[who], .password = passwords[who], .domain = d->domain, .expires = 600,
                               .replaces = who != C || strcmp(d->flow.name, "join") != 0, .answer_us = 300000 };
    d->fds[who] = bind_udp(d, 0);
    pc.media_port = free_ports(d, 2 * PHONE_DIALOGS);
    pc.codec_count = codecs_of(who, pc.codecs);
    if (d->fds[who] < 0 || !pc.media_port || getrandom(&pc.seed, sizeof pc.seed, 0) != sizeof pc.seed)
        return false;
    pc.local = local_addr(d, bound_port(d->fds[who]));
    if (direct)
        pc.t1_us = 100000, pc.domain = "direct.invalid";
    else
        pc.proxy = d->registrar;
    /* The daemon's own, or its transactions would end before the phone's last retransmission. */
    if (d->drop_every && !direct)
        pc.t1_us = 50000;
    phone_init(&d->phones[who], &pc, &io);
    return open_media(d, who, pc.media_port);
}

bool demo_phones_open(struct demo *d, bool direct) {
    for (int w = 0; w < WHO_COUNT; w++) {
        d->fds[w] = -1;
        for (int k = 0; k < DLG_COUNT; k++)
            d->bound[w][k] = -1;
    }
    for (int w = 0; w < WHO_COUNT; w++)
        if (!open_phone(d, (enum who)w, direct))
            return false;
    return true;
}

void demo_phones_close(struct demo *d) {
    for (int w = 0; w < WHO_COUNT; w++) {
        for (int i = 0; i < PHONE_DIALOGS; i++)
            media_close(d->media[w][i]);
        if (d->fds[w] >= 0)
            close(d->fds[w]);
    }
}

/* What the phone's descriptions say, told to its media. A phone that holds sends nothing. */
static void apply_audio(struct demo *d, int w, int dialog) {
    const struct phone_dialog *pd = &d->phones[w].dialogs[dialog];
    const struct phone_audio *a = &pd->audio;
    struct media_remote r = { .port = a->remote.port, .payload_type = a->payload_type,
                              .law = a->kind == PHONE_ALAW ? G711_ALAW : G711_ULAW,
                              .send = (a->direction & SDP_SENDONLY) && !pd->held_by_us,
                              .receive = a->direction & SDP_RECVONLY };
    struct sbuf b = sbuf_on(r.address, sizeof r.address - 1);
    addr_put_ip(&b, &a->remote);
    media_set_remote(d->media[w][dialog], &r, d->now_us);
}

static void on_event(struct demo *d, int w, const struct phone_event *e) {
    if (e->kind == PHONE_EV_AUDIO) {
        apply_audio(d, w, e->dialog);
    } else if (e->kind == PHONE_EV_ENDED) {
        media_stop(d->media[w][e->dialog]);
        d->ended[w]++;
    } else if (e->kind == PHONE_EV_NOTIFY && e->final) {
        d->notify_final = e->status;
    } else if (e->kind == PHONE_EV_REGISTER_FAILED || e->kind == PHONE_EV_REQUEST_FAILED ||
               (e->kind == PHONE_EV_FAILED && e->status != 481 && e->status != 487)) {
        if (e->status)
            demo_say(d, false, "phone %s: a request was refused with %u", phone_names[w], e->status);
        else
            demo_say(d, false, "phone %s: a request got no answer", phone_names[w]);
    }
}

static void drain_events(struct demo *d, int w) {
    struct phone_event e;
    while (phone_event_next(&d->phones[w], &e))
        on_event(d, w, &e);
}

static void read_sip(struct demo *d, int w) {
    char bytes[SIP_MESSAGE_MAX];
    for (unsigned i = 0; i < 16; i++) {
        struct sockaddr_in sa;
        socklen_t sn = sizeof sa;
        ssize_t n = recvfrom(d->fds[w], bytes, sizeof bytes, 0, (struct sockaddr *)&sa, &sn);
        if (n < 0)
            return;
        if (d->domain[0] && demo_drops(d))
            continue;
        struct addr src = local_addr(d, ntohs(sa.sin_port));
        memcpy(src.ip, &sa.sin_addr, 4);
        d->now_us = clock_us();
        phone_input(&d->phones[w], slice_of(bytes, (size_t)n), &src, d->now_us);
        drain_events(d, w);
    }
}

static uint64_t next_due(const struct demo *d, uint64_t limit) {
    for (int w = 0; w < WHO_COUNT; w++) {
        uint64_t due = phone_due(&d->phones[w]);
        limit = due < limit ? due : limit;
        for (int i = 0; i < PHONE_DIALOGS; i++) {
            due = media_due(d->media[w][i]);
            limit = due < limit ? due : limit;
        }
    }
    return limit;
}

void demo_turn(struct demo *d, uint64_t max_us) {
    struct pollfd fds[WHO_COUNT + WHO_COUNT * PHONE_DIALOGS];
    unsigned n = 0;
    d->now_us = clock_us();
    uint64_t due = next_due(d, d->now_us + max_us);
    for (int w = 0; w < WHO_COUNT; w++)
        fds[n++] = (struct pollfd){ .fd = d->fds[w], .events = POLLIN };
    for (int w = 0; w < WHO_COUNT; w++)
        for (int i = 0; i < PHONE_DIALOGS; i++)
            fds[n++] = (struct pollfd){ .fd = media_fd(d->media[w][i]), .events = POLLIN };
    uint64_t wait = due > d->now_us ? due - d->now_us : 0;
    struct timespec ts = { (time_t)(wait / 1000000), (long)(wait % 1000000) * 1000 };
    ppoll(fds, n, &ts, NULL);
    for (int w = 0; w < WHO_COUNT; w++) {
        if (fds[w].revents & POLLIN)
            read_sip(d, w);
        d->now_us = clock_us();
        phone_tick(&d->phones[w], d->now_us);
        drain_events(d, w);
    }
    for (unsigned k = WHO_COUNT; k < n; k++) {
        struct media *m = d->media[(k - WHO_COUNT) / PHONE_DIALOGS][(k - WHO_COUNT) % PHONE_DIALOGS];
        d->now_us = clock_us();
        if (fds[k].revents || media_due(m) <= d->now_us)
            media_tick(m, d->now_us);
    }
}

void demo_run(struct demo *d, uint64_t us) {
    uint64_t end = clock_us() + us;
    while (clock_us() < end && !demo_interrupted())
        demo_turn(d, end - clock_us() < 20000 ? 1000 : 20000);
}
