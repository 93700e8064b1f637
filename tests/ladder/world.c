/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The engine in a world without sockets and clocks: what it sends lies in the phones' inboxes at once. */
#include "tests/ladder/ladder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define START_US 1000000000ull
#define START_MS 1700000000000ull
#define TURNS_MAX 10000

static void trace_dump(const struct world *w) {
    char mem[600];
    const struct trace *t = w->engine ? engine_trace(w->engine) : NULL;
    printf("\nThe engine's own trace:\n");
    for (uint64_t i = t && t->head > 60 ? t->head - 60 : 0; t && i < t->head; i++) {
        struct sbuf b = sbuf_on(mem, sizeof mem);
        const struct trace_line *line = trace_at(t, i);
        if (!line)
            continue;
        trace_format(&b, line, 0);
        printf("  %.*s\n", SLICE_FMT(sbuf_slice(&b)));
    }
}

static void stamp(const struct world *w) {
    uint64_t us = (w->stamp ? w->stamp : w->now) - START_US;
    printf("[%4lu.%03lu] ", (unsigned long)(us / 1000000), (unsigned long)(us / 1000 % 1000));
}

void say(struct world *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    stamp(w);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void fail(struct world *w, const char *format, ...) {
    va_list args;
    trace_dump(w);
    printf("\n%s:%d: ", w->file, w->line);
    va_start(args, format);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    exit(1);
}

void world_init(struct world *w, const char *file) {
    w->file = file;
    w->now = START_US;
    engine_config_defaults(&w->cfg);
    w->cfg.cdr = true;
    addr_parse(SL("198.51.100.10:5060"), 5060, &w->cfg.sip_addr);
    addr_parse(SL("198.51.100.20"), 0, &w->cfg.media_addr);
    w->cfg.seed = (struct siphash_key){ 1, 2 };
    w->cfg.auth_required = false;
    w->cfg.calls_max = 16;
    w->cfg.bindings_max = 32;
    w->cfg.policy.users = w->users;
    w->cfg.policy.routes = w->routes;
    w->cfg.policy.peers = w->peers;
    w->cfg.policy.rules = w->rules;
    w->cfg.policy.quirks = w->quirks;
    w->cfg.policy.echo = (const char(*)[CONFIG_NAME_MAX])w->echo;
    w->cfg.policy.domains = (const char(*)[CONFIG_HOST_MAX])w->domains;
}

static uint32_t pairs(const struct world *w) {
    return (w->cfg.media_port_max - w->cfg.media_port_min + 1u) / 2;
}

static unsigned address_count(const struct world *w) {
    return 1 + w->cfg.media_more_count + w->cfg.media_vip_count;
}

unsigned world_address(const struct world *w, const struct addr *a) {
    const struct engine_config *c = &w->cfg;
    unsigned k = 0;
    for (; k < address_count(w); k++) {
        unsigned vip = k - 1 - c->media_more_count;
        const struct addr *own = k == 0 ? &c->media_addr : k <= c->media_more_count ? &c->media_more[k - 1]
                                                                                     : &c->media_vips[vip];
        if (addr_eq_ip(a, own))
            break;
    }
    return k;
}

static uint16_t first_port(const struct world *w) {
    return (uint16_t)((w->cfg.media_port_min + 1u) / 2 * 2);
}

uint32_t world_stream(const struct world *w, const struct dialog_side *d, bool video) {
    return d->theirs.at * pairs(w) + ((video ? d->theirs.video : d->theirs.port) - first_port(w)) / 2u;
}

static void lay_out(struct world *w, struct arena *a) {
    uint32_t streams = pairs(w) * address_count(w);
    w->engine = engine_new(a, &w->cfg, w->now, world_wall_ms(w));
    relay_init(&w->relay, a, streams);
    w->keys = arena_take(a, streams * sizeof *w->keys);
}

static void *memory_of(struct world *w, size_t n) {
    void *p = aligned_alloc(64, (n + 63) / 64 * 64);
    if (!p)
        fail(w, "no memory");
    return p;
}

static void start_store(struct world *w) {
    struct arena a;
    arena_init(&a, NULL, 0);
    store_memory_new(&a, 256, 256 * 4096, w->cfg.seed);
    size_t n = a.used;
    w->store_memory = memory_of(w, n);
    arena_init(&a, w->store_memory, n);
    w->store = store_memory_new(&a, 256, 256 * 4096, w->cfg.seed);
}

static void start_engine(struct world *w) {
    struct arena a;
    arena_init(&a, NULL, 0);
    lay_out(w, &a);
    size_t n = a.used;
    w->memory = memory_of(w, n);
    memset(w->memory, 0, n);
    arena_init(&a, w->memory, n);
    lay_out(w, &a);
    engine_set_relay(w->engine, &w->relay);
}

void world_start(struct world *w) {
    if (w->engine)
        return;
    start_store(w);
    start_engine(w);
}

void world_renew(struct world *w) {
    free(w->memory);
    w->cfg.seed.k0 += 77;
    w->out.n = 0;
    memset(&w->relay, 0, sizeof w->relay);
    start_engine(w);
}

uint64_t world_wall_ms(const struct world *w) {
    return START_MS + (w->now - START_US) / 1000;
}

/* ---- what the engine wants done */

static bool was_seen(const struct world *w, const struct packet *p) {
    for (const struct packet *s = w->seen; s; s = s->next)
        if (addr_eq(&s->dst, &p->dst) && s->n == p->n && memcmp(s->bytes, p->bytes, p->n) == 0)
            return true;
    return false;
}

static void deliver(struct world *w, const struct addr *dst, struct slice bytes) {
    char text[80];
    struct sbuf b = sbuf_on(text, sizeof text);
    struct packet *p = malloc(sizeof *p + bytes.n);
    if (!p)
        abort();
    *p = (struct packet){ .at_us = w->now, .src = w->cfg.sip_addr, .dst = *dst, .n = bytes.n };
    memcpy(p->bytes, bytes.p, bytes.n);
    for (unsigned i = 0; i < w->phone_count; i++) {
        struct packet **at = &w->phones[i].inbox;
        if (!addr_eq(&w->phones[i].addr, dst))
            continue;
        p->copy = was_seen(w, p);
        for (; *at; at = &(*at)->next)
            p->copy = p->copy || ((*at)->n == p->n && memcmp((*at)->bytes, p->bytes, p->n) == 0);
        *at = p;
        return;
    }
    addr_put(&b, dst);
    fail(w, "sent to %.*s, where no phone is:\n%.*s", SLICE_FMT(sbuf_slice(&b)), SLICE_FMT(bytes));
}

/* The newest records are kept for the step that looks at them. */
static void world_cdr(struct world *w, struct slice line) {
    char *to = w->cdr[w->cdr_count++ % CDR_MAX];
    snprintf(to, sizeof w->cdr[0], "%.*s", SLICE_FMT(slice_trim(line)));
    say(w, "record       %.100s", to);
}

/* The operator's answer, on one line. */
static void world_ordered(struct world *w, struct slice text) {
    snprintf(w->ordered, sizeof w->ordered, "%.*s", SLICE_FMT(slice_trim(text)));
    say(w, "operator     %s", w->ordered);
}

static void answer_store(struct world *w);

static void drain_outbox(struct world *w) {
    static struct out entries[OUTBOX_MAX];
    uint32_t n = w->out.n;
    memcpy(entries, w->out.entries, n * sizeof *entries);
    w->out.n = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct out *o = &entries[i];
        switch (o->kind) {
        case OUT_SEND:
            deliver(w, &o->u.send.dst, buf_slice(o->u.send.buf));
            buf_unref(engine_bufs(w->engine), &o->u.send.buf);
            break;
        case OUT_MEDIA:
            if (!relay_command(&w->relay, &o->u.media, w->now))
                fail(w, "the relay ignored a command of stream %u", (unsigned)o->u.media.stream);
            srtp_note(w, &o->u.media);
            break;
        case OUT_STORE:
            store_later(w, &o->u.store);
            buf_unref(engine_bufs(w->engine), &o->u.store.key);
            buf_unref(engine_bufs(w->engine), &o->u.store.value);
            break;
        case OUT_ADMIN:
            world_ordered(w, buf_slice(o->u.admin.buf));
            buf_unref(engine_bufs(w->engine), &o->u.admin.buf);
            break;
        case OUT_CDR:
            world_cdr(w, buf_slice(o->u.cdr.buf));
            buf_unref(engine_bufs(w->engine), &o->u.cdr.buf);
            break;
        case OUT_PEER:
        case OUT_BUCKET: break;
        }
    }
    answer_store(w);
}

static void step(struct world *w, struct event *ev) {
    ev->mono_us = w->now;
    ev->wall_ms = world_wall_ms(w);
    engine_step(w->engine, ev, &w->out);
    drain_outbox(w);
}

static void answer_store(struct world *w) {
    struct event ev;
    while (store_take(w, &ev)) {
        if (!ev.u.store.ticket)
            continue;
        ev.mono_us = w->now;
        ev.wall_ms = world_wall_ms(w);
        engine_step(w->engine, &ev, &w->out);
        if (w->out.n)
            drain_outbox(w);
    }
}

/* What is due now: timers, and work that the engine put off to its next step. */
static void settle(struct world *w) {
    unsigned turns = 0;
    answer_store(w);
    while (engine_deadline(w->engine) <= w->now) {
        step(w, &(struct event){ .kind = EV_DEADLINE });
        if (++turns > TURNS_MAX)
            fail(w, "the engine's deadline does not move on");
    }
}

void world_event(struct world *w, struct event *ev) {
    world_start(w);
    step(w, ev);
    settle(w);
}

void world_send(struct world *w, const struct addr *from, const char *bytes, uint32_t n) {
    /* A copy of its own size, so that reading past the end is seen. */
    char *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    memcpy(copy, bytes, n);
    struct event ev = { .kind = EV_DATAGRAM };
    ev.u.dgram.bytes = slice_of(copy, n);
    ev.u.dgram.src = *from;
    ev.u.dgram.dst = w->cfg.sip_addr;
    world_event(w, &ev);
    free(copy);
}

static bool any_message(const struct world *w) {
    for (unsigned i = 0; i < w->phone_count; i++)
        if (w->phones[i].inbox)
            return true;
    return false;
}

void world_advance(struct world *w, uint64_t us, bool or_message) {
    uint64_t until = w->now + us;
    world_start(w);
    if (or_message && any_message(w))
        return;
    for (;;) {
        uint64_t due = engine_deadline(w->engine);
        if (store_due(w) < due)
            due = store_due(w);
        if (due > until)
            break;
        w->now = due > w->now ? due : w->now;
        settle(w);
        if (or_message && any_message(w))
            return;
    }
    w->now = until;
}

void world_all_read(struct world *w) {
    bool any = false;
    for (unsigned i = 0; i < w->phone_count; i++) {
        for (struct packet *p = w->phones[i].inbox; p; p = p->next) {
            w->stamp = p->at_us;
            show(w, &w->phones[i], true, slice_of(p->bytes, p->n), p->copy);
            any = true;
        }
    }
    if (any)
        fail(w, "the engine sent what the script does not expect (the last lines above)");
}

/* ---- the end */

static void count(struct world *w, const char *what, uint32_t is, uint32_t must) {
    if (is != must)
        fail(w, "left over: %u %s, expected %u", is, what, must);
}

void world_leftover(struct world *w) {
    struct engine_census c;
    world_start(w);
    world_all_read(w);
    engine_census(w->engine, &c);
    count(w, "calls", c.calls, 0);
    count(w, "legs", c.legs, 0);
    count(w, "transfers", c.transfers, 0);
    count(w, "ports", c.ports, 0);
    count(w, "records", c.records, 0);
    count(w, "records in the store", store_count(w->store, SL("call"), world_wall_ms(w)), 0);
    world_advance(w, 64ull * w->cfg.t1_us + w->cfg.t4_us, false);
    world_all_read(w);
    engine_census(w->engine, &c);
    count(w, "transactions", c.transactions, 0);
    count(w, "timers beside the bindings'", c.timers - c.bindings, 0);
    count(w, "buffers beside the bindings'", c.bufs - c.bindings, 0);
    say(w, "nothing is left over");
}

/* ---- media */

/* Where it sends from and listens: body.c. */
static struct addr media_addr(const struct dialog_side *d, bool video) {
    struct addr a = d->own.media;
    a.port = (uint16_t)(a.port + (video ? VIDEO_PORT : 0));
    return a;
}

static const struct dialog_side *who_listens(const struct world *w, const struct addr *dst, uint32_t stream,
                                             bool video) {
    for (unsigned i = 0; i < w->phone_count; i++) {
        for (unsigned j = 0; j < w->phones[i].dialog_count; j++) {
            const struct dialog_side *d = &w->phones[i].dialogs[j];
            struct addr at = media_addr(d, video);
            if (addr_eq(&at, dst) && (video ? d->theirs.video : d->theirs.port) && world_stream(w, d, video) == stream)
                return d;
        }
    }
    return NULL;
}

static void full_name(const struct dialog_side *d, char *out, size_t cap) {
    snprintf(out, cap, "%s%s%s", d->phone->name, d->name[0] ? "." : "", d->name);
}

/* One RTP packet (RFC 3550 section 5.1) from where d said that it sends from. */
void world_media(struct world *w, struct dialog_side *d, const char *to, uint8_t sent, uint8_t type, bool video) {
    uint8_t rtp[172] = { 0x80, sent, 0, 0, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0 };
    char heard[2 * NAME_MAX_LEN] = "none";
    struct relay_verdict v;
    world_all_read(w);
    rtp[2] = (uint8_t)(++d->rtp_seq >> 8);
    rtp[3] = (uint8_t)d->rtp_seq;
    rtp[6] = (uint8_t)(d->rtp_seq * 160 >> 8);
    rtp[7] = (uint8_t)(d->rtp_seq * 160);
    rtp[11] = (uint8_t)d->own.media.port;
    uint16_t at_port = video ? d->theirs.video : d->theirs.port;
    struct relay_in in = { .stream = world_stream(w, d, video), .src = media_addr(d, video), .bytes = rtp,
                           .n = sizeof rtp };
    if (!at_port)
        fail(w, "%s knows no port to send media to", d->phone->name);
    srtp_check(w, d, in.stream, video);
    relay_packet(&w->relay, &in, w->now, &v);
    if (v.drop == RELAY_FORWARD) {
        const struct dialog_side *at = who_listens(w, &v.dst, v.out_stream, video);
        if (!at)
            fail(w, "media of %s goes to an address and port that no phone has agreed on", d->phone->name);
        srtp_check(w, at, v.out_stream, video);
        full_name(at, heard, sizeof heard);
    }
    say(w, "%s ~ media ~> %s%s%s", d->phone->name, heard, v.drop ? ": " : "", v.drop ? relay_drop_name(v.drop) : "");
    if (strcmp(heard, to) != 0)
        fail(w, "media is heard by %s, expected: by %s", heard, to);
    if (v.drop == RELAY_FORWARD && (rtp[1] & 0x7f) != type)
        fail(w, "media is heard with payload type %u, expected: %u", rtp[1] & 0x7fu, type);
}

void world_played(struct world *w, const struct dialog_side *d, const char *what) {
    static const char *const names[MEDIA_SOURCES] = { "music", "ringback", "announcement" };
    static const uint8_t silence[160];
    uint8_t packet[RTP_HEADER_MIN + sizeof silence];
    struct relay_frame f = { .payload = silence, .n = sizeof silence, .packet = packet };
    struct relay_verdict v;
    world_all_read(w);
    f.stream = world_stream(w, d, false);
    if (!d->theirs.port)
        fail(w, "%s knows no port to be played to at", d->phone->name);
    const struct relay_play *play = &relay_extra(&w->relay, &w->relay.streams[f.stream])->play;
    const char *now = play->on ? names[play->source] : "off";
    srtp_check(w, d, f.stream, false);
    say(w, "%s <~ %s", d->phone->name, now);
    if (strcmp(now, what) != 0)
        fail(w, "what is played is %s, expected: %s", now, what);
    if (play->on && (!relay_play(&w->relay, &f, w->now, &v) || !addr_eq(&v.dst, &d->own.media)))
        fail(w, "%s is not sent what is played", d->phone->name);
}
