/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench-flood [DATAGRAMS]: what a datagram costs that nobody should have sent, within engine_step: nanoseconds of user
 * time, the median of rounds, for each kind of flood. The kernel's part is left out, as it is the same for all.
 */
#include "core/b2b/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 31
#define KINDS_MAX 16

struct flood {
    const char *name;
    const char *text; /* NULL: bytes at random */
    bool denied, limited;
};

#define HEAD "INVITE sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bKx;rport\r\n"
#define REST "From: <sip:a@example.com>;tag=a\r\nTo: <sip:b@example.com>\r\nCall-ID: c\r\nMax-Forwards: 70\r\n"
static const struct flood floods[] = {
    { "bytes at random", NULL, false, false },
    { "not SIP (HTTP)", "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: x\r\n\r\n", false, false },
    { "cut behind the first line", "INVITE sip:b@192.0.2.1 SIP/2.0\r\n", false, false },
    { "no colon in a header", HEAD REST "CSeq 1 INVITE\r\n\r\n", false, false },
    { "a response to nothing", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKx\r\n" REST
      "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n", false, false },
    { "malformed CSeq", HEAD REST "CSeq: x\r\nContent-Length: 0\r\n\r\n", false, false },
    { "from a denied peer", HEAD REST "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n", true, false },
    { "from one that sends too many", HEAD REST "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n", false, true },
};
#define FLOODS (sizeof floods / sizeof *floods)

static struct outbox out;
static struct peer_config denied = { .name = "denied", .bits = 24, .deny = true };

static struct engine *open_engine(void) {
    static struct engine_config c;
    struct arena a;
    engine_config_defaults(&c);
    c.sip_addr.family = c.media_addr.family = ADDR_V4;
    memcpy(c.sip_addr.ip, (uint8_t[]){ 192, 0, 2, 1 }, 4);
    memcpy(c.media_addr.ip, c.sip_addr.ip, 4);
    c.sip_addr.port = 5060;
    c.media_port_min = 30000;
    c.media_port_max = 30063;
    c.trace_level = TRACE_INFO;
    c.per_source = 1000;
    denied.net = c.sip_addr;
    memcpy(denied.net.ip, (uint8_t[]){ 198, 51, 100, 0 }, 4);
    c.policy.peers = &denied;
    c.policy.peer_count = 1;
    arena_init(&a, NULL, 0);
    engine_new(&a, &c, 1000000, 0);
    size_t need = a.used;
    void *memory = calloc(1, need);
    if (!memory)
        return NULL;
    arena_init_zeroed(&a, memory, need);
    return engine_new(&a, &c, 1000000, 0);
}

static uint64_t user_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Not of the sender's rate but where that is what is measured: the others come from ever other addresses. */
static void send(struct engine *e, const struct flood *f, struct slice bytes, uint64_t now, uint32_t number) {
    struct event ev = { .kind = EV_DATAGRAM, .mono_us = now };
    ev.u.dgram.bytes = bytes;
    ev.u.dgram.src.family = ev.u.dgram.dst.family = ADDR_V4;
    ev.u.dgram.src.port = ev.u.dgram.dst.port = 5060;
    memcpy(ev.u.dgram.src.ip, f->denied ? (uint8_t[]){ 198, 51, 100, 7 } : (uint8_t[]){ 203, 0, 113, 5 }, 4);
    if (!f->denied && !f->limited)
        memcpy(ev.u.dgram.src.ip + 1, &number, 3);
    engine_step(e, &ev, &out);
    for (uint32_t i = 0; i < out.n; i++)
        if (out.entries[i].kind == OUT_SEND)
            buf_unref(engine_bufs(e), &out.entries[i].u.send.buf);
    out.n = 0;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_ns(struct engine *e, const struct flood *f, uint32_t n, uint64_t *now) {
    static char noise[256];
    double ns[ROUNDS];
    for (unsigned i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 151 + 129);
    struct slice bytes = f->text ? slice_str(f->text) : slice_of(noise, sizeof noise);
    for (unsigned r = 0; r < ROUNDS; r++) {
        *now += 1000000;
        uint64_t from = user_ns();
        /* At once, as far as the engine's clock goes: so the sender of too many has used up what it had. */
        for (uint32_t i = 0; i < n; i++)
            send(e, f, bytes, *now, r * n + i);
        ns[r] = (double)(user_ns() - from) / n;
        *now += f->limited ? 0 : 1000000;
    }
    qsort(ns, ROUNDS, sizeof *ns, compare);
    return ns[ROUNDS / 2];
}

int main(int argc, char **argv) {
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
    struct engine *e = open_engine();
    uint64_t now = 2000000;
    if (!e || n < 1 || n > 10000000) {
        fprintf(stderr, "usage: bench-flood [DATAGRAMS a round]\n");
        return 2;
    }
    printf("%-32s %s\n", "flood", "ns a datagram");
    for (unsigned i = 0; i < FLOODS; i++)
        printf("%-32s %8.0f\n", floods[i].name, median_ns(e, &floods[i], (uint32_t)n, &now));
    return 0;
}
