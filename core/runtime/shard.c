/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/shard.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Tags of sockets: what they are in the high byte, which one in the rest. */
enum tag { TAG_LISTEN = 1 << 24, TAG_MEDIA = 2 << 24, TAG_ADMIN = 3 << 24, TAG_SIGNAL = 4 << 24,
           TAG_STORE = 5 << 24, TAG_MAIL = 6 << 24, TAG_LINK = 9 << 24 };
#define TAG_KIND(t) ((t) & 0xff000000)
#define TAG_INDEX(t) ((t) & 0x00ffffff)

#define TURN_DEADLINES_MAX 16
#define TURN_SILENT_MAX 16
#define TURN_ANSWERS_MAX 65536      /* more than the store reads at a time */

void shard_tell_time(struct shard *s) {
    s->mono_us = clock_mono_us();
    s->wall_ms = clock_wall_ms();
}

/* ---- what the outbox says */

static void do_send(struct shard *s, struct out *o) {
    if (!listeners_send(&s->listeners, s->io, s->mono_us, &o->u.send.dst, &o->u.send.src, o->u.send.buf)) {
        metrics_add(engine_metrics(s->engine), M_send_errors, 1);
        buf_unref(engine_bufs(s->engine), &o->u.send.buf);
    }
}

static void do_store(struct shard *s, struct out *o) {
    store_submit(s->store, &o->u.store, s->wall_ms);
    buf_unref(engine_bufs(s->engine), &o->u.store.key);
    buf_unref(engine_bufs(s->engine), &o->u.store.value);
}

static void do_admin(struct shard *s, struct out *o) {
    shard_answer(s, o->u.admin.conn, buf_slice(o->u.admin.buf), o->u.admin.last);
    buf_unref(engine_bufs(s->engine), &o->u.admin.buf);
}

static void do_outbox(struct shard *s) {
    for (uint32_t i = 0; i < s->out.n; i++) {
        struct out *o = &s->out.entries[i];
        switch (o->kind) {
        case OUT_SEND:
            do_send(s, o);
            break;
        case OUT_STORE:
            do_store(s, o);
            break;
        case OUT_MEDIA:
            shard_media_out(s, &o->u.media);
            break;
        case OUT_ADMIN:
            do_admin(s, o);
            break;
        case OUT_CDR:
            shard_cdr_out(s, buf_slice(o->u.cdr.buf));
            buf_unref(engine_bufs(s->engine), &o->u.cdr.buf);
            break;
        case OUT_PEER:
            if (shard_is_alone(s))
                node_on_out(&s->node, o);
            else
                shard_peer_out(s, o);
            buf_unref(engine_bufs(s->engine), &o->u.peer.buf);
            break;
        case OUT_BUCKET: node_on_out(&s->node, o); break;
        }
    }
    s->out.n = 0;
}

void shard_step_once(struct shard *s, struct event *ev) {
    ev->mono_us = s->mono_us;
    ev->wall_ms = s->wall_ms;
    engine_step(s->engine, ev, &s->out);
    do_outbox(s);
}

void shard_answers(struct shard *s) {
    struct event answer;
    for (int i = 0; i < TURN_ANSWERS_MAX && store_answer(s->store, &answer); i++)
        shard_on_answer(s, &answer);
}

void shard_step(struct shard *s, struct event *ev) {
    shard_step_once(s, ev);
    shard_answers(s);
}

/* ---- what happened */

static void on_datagram(struct shard *s, const struct io_event *in) {
    struct event ev = { .kind = EV_DATAGRAM };
    ev.u.dgram.bytes = slice_of((const char *)in->data, in->n);
    ev.u.dgram.src = in->src;
    ev.u.dgram.dst = listeners_dst(&s->listeners, TAG_INDEX(in->tag), in);
    shard_step(s, &ev);
}

static void on_unreachable(struct shard *s, const struct io_event *in) {
    metrics_add(engine_metrics(s->engine), M_unreachable, 1);
    if (TAG_KIND(in->tag) != TAG_LISTEN)
        return;
    struct event ev = { .kind = EV_SEND_FAILED };
    ev.u.failed.dst = in->src;
    shard_step(s, &ev);
    shard_tell_others(s, &(struct mail){ .kind = MAIL_UNREACHABLE, .dst = in->src }, false);
}

static void on_media(struct shard *s, const struct io_event *in) {
    uint32_t port = TAG_INDEX(in->tag);
    if (!media_io_packet(&s->media, port, in, s->mono_us))
        return;
    struct event ev = { .kind = EV_MEDIA };
    ev.u.media.what = MEDIA_EV_LATCHED;
    ev.u.media.stream = port / 2;
    ev.u.media.generation = s->media.relay.streams[port / 2].generation;
    ev.u.media.addr = in->src;
    shard_step(s, &ev);
}

static void tell_rolled(struct shard *s) {
    struct event ev;
    while (media_io_rolled(&s->media, &ev))
        shard_step(s, &ev);
}

static void tell_spliced(struct shard *s) {
    struct event ev;
    for (uint32_t i = 0; i < TURN_SILENT_MAX && media_io_spliced(&s->media, &ev, s->mono_us); i++)
        shard_step(s, &ev);
}

static void tell_silent(struct shard *s) {
    for (uint32_t i = 0; i < TURN_SILENT_MAX; i++) {
        struct event ev = { .kind = EV_MEDIA };
        ev.u.media.what = MEDIA_EV_SILENT;
        ev.u.media.stream = media_io_silent(&s->media, s->mono_us);
        if (ev.u.media.stream == MEDIA_NOWHERE)
            return;
        ev.u.media.generation = s->media.relay.streams[ev.u.media.stream].generation;
        shard_step(s, &ev);
    }
}

static void on_admin(struct shard *s, uint32_t which) {
    struct admin_order order;
    if (admin_ready(&s->admin, which, &order))
        shard_order(s, &order);
}

void shard_drain(struct shard *s) {
    struct event ev = { .kind = EV_DRAIN };
    if (s->state != SHARD_RUNNING)
        return;
    if (s->o.index == 0) {
        log_line(&s->log, TRACE_INFO, "drain", "calls may go on for %lu s, then they get BYE",
             (unsigned long)(s->config->drain_timeout_us / 1000000));
        shard_tell_others(s, &(struct mail){ .kind = MAIL_DRAIN }, true);
    }
    s->state = SHARD_DRAINING;
    s->drain_us = s->mono_us + s->config->drain_timeout_us;
    s->stop_us = s->drain_us + (s->node.on ? LEAVE_GRACE_US : DRAIN_GRACE_US);
    ev.u.drain.deadline_us = s->drain_us;
    if (!shard_leave(s))
        shard_step(s, &ev);
}

static void on_signals(struct shard *s) {
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            shard_reload(s);
            cdr_file_reopen(&s->cdr);
        } else if (s->state != SHARD_RUNNING) {
            log_line(&s->log, TRACE_INFO, "stop", "at once");
            s->state = SHARD_STOPPED;
            shard_stop_others(s);
        } else {
            shard_drain(s);
        }
    }
}

void shard_event(struct shard *s, const struct io_event *ev) {
    if (ev->kind == IO_UNREACHABLE)
        on_unreachable(s, ev);
    else if (TAG_KIND(ev->tag) == TAG_LISTEN)
        on_datagram(s, ev);
    else if (TAG_KIND(ev->tag) == TAG_MEDIA)
        on_media(s, ev);
    else if (TAG_KIND(ev->tag) == TAG_ADMIN)
        on_admin(s, TAG_INDEX(ev->tag));
    else if (TAG_KIND(ev->tag) == TAG_LINK)
        shard_on_link(s, TAG_INDEX(ev->tag));
    else if (TAG_KIND(ev->tag) == TAG_STORE)
        shard_store_ready(s, TAG_INDEX(ev->tag));
    else if (TAG_KIND(ev->tag) == TAG_SIGNAL)
        on_signals(s); /* TAG_MAIL only wakes: the mail is read in every turn */
}

/* ---- turns */

/* By then a node has handed over what it can, and what no record knows is ended while there is time for answers. */
static uint64_t unknown_us(const struct shard *s) {
    return s->stop_us - DRAIN_GRACE_US;
}

static uint64_t drain_deadline(const struct shard *s) {
    if (s->state != SHARD_DRAINING)
        return UINT64_MAX;
    return s->node.on && !s->ends_unknown ? unknown_us(s) : s->stop_us;
}

static uint64_t time_to_wait(struct shard *s) {
    uint64_t until = engine_deadline(s->engine), now = clock_mono_us();
    uint64_t media = media_io_deadline(&s->media);
    if (drain_deadline(s) < until)
        until = drain_deadline(s);
    uint64_t store = store_deadline(s->store), node = node_deadline(&s->node);
    if (media < until)
        until = media;
    if (node < until)
        until = node;
    if (store < until)
        until = store;
    if (s->config->engine.media_vip_count && s->vips_us < until)
        until = s->vips_us;
    if (until == UINT64_MAX)
        return UINT64_MAX;
    return until > now ? until - now : 0;
}

/* Who has no calls left goes on for the others: what reaches its sockets may be theirs. */
static void say_done(struct shard *s) {
    bool done = engine_drained(s->engine) && node_may_end(&s->node);
    if (done != s->told && shard_tell(s, 0, &(struct mail){ .kind = MAIL_DONE, .flag = done }, true))
        s->told = done;
}

static bool is_drained(struct shard *s) {
    return engine_drained(s->engine) && node_may_end(&s->node) && (shard_is_alone(s) || s->done == s->o.count - 1);
}

static void end_what_is_left(struct shard *s) {
    struct event ev = { .kind = EV_DRAIN };
    bool unknown = !s->node.drained;
    if (!s->node.on || s->ends || (unknown && (s->ends_unknown || s->mono_us < unknown_us(s))))
        return;
    ev.u.drain.deadline_us = s->drain_us;
    ev.u.drain.unknown = unknown;
    s->ends = !unknown;
    s->ends_unknown = true;
    shard_step(s, &ev); /* nobody took what is left, if there is any */
}

static void check_end(struct shard *s) {
    if (s->state != SHARD_DRAINING)
        return;
    end_what_is_left(s);
    if (s->o.index != 0) {
        say_done(s);
        return;
    }
    bool late = s->mono_us >= s->stop_us;
    if (!late && !is_drained(s))
        return;
    log_line(&s->log, TRACE_INFO, "stop", late ? "with calls left that nobody answered for" : "drained");
    s->state = SHARD_STOPPED;
    shard_stop_others(s);
}

/* Until something happens, or has happened in another shard. */
static uint32_t wait_for_events(struct shard *s) {
    uint64_t us = time_to_wait(s);
    if (shard_is_alone(s))
        return io_turn(s->io, us, s->events);
    if (us && !mailbox_sleep(s->o.mailbox, s->o.index))
        us = 0;
    uint32_t n = io_turn(s->io, us, s->events);
    mailbox_awake(s->o.mailbox, s->o.index);
    return n;
}

static void turn(struct shard *s) {
    uint32_t n = wait_for_events(s);
    shard_tell_time(s);
    node_tell_time(&s->node, s->mono_us, s->wall_ms);
    shard_work(s); /* first of all: whether anything may be done */
    shard_load_turn(s, n);
    shard_look_for_addresses(s);
    shard_store_tick(s);
    /* Before what arrived: who was told of a registration by another shard may call at once. */
    shard_read_mail(s);
    for (uint32_t i = 0; i < n; i++)
        shard_event(s, &s->events[i]);
    shard_work(s);
    for (int i = 0; i < TURN_DEADLINES_MAX && engine_deadline(s->engine) <= s->mono_us; i++)
        shard_step(s, &(struct event){ .kind = EV_DEADLINE });
    tell_silent(s);
    tell_spliced(s);
    shard_store_flush(s);
    media_io_turn(&s->media, engine_bufs(s->engine), s->mono_us);
    tell_rolled(s);
    log_drain(&s->log, engine_trace(s->engine));
    cdr_file_flush(&s->cdr, s->mono_us);
    check_end(s);
    shard_flush_mail(s);
    shard_load_turned(s);
}

void shard_run(struct shard *s) {
    while (s->state != SHARD_STOPPED)
        turn(s);
    /* What was sent last leaves with the next turn. */
    io_turn(s->io, 0, s->events);
}

bool shard_await_others(struct shard *s) {
    while (s->state != SHARD_STOPPED && !s->failed && s->opened < s->o.count - 1)
        turn(s);
    return s->state != SHARD_STOPPED && !s->failed;
}

void shard_dump(struct shard *s) {
    if (s->engine)
        log_dump(&s->log, engine_trace(s->engine));
}

/* ---- opening */

static bool open_signals(struct shard *s) {
    sigset_t set;
    if (s->o.index != 0)
        return true;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    s->signal_fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC) : -1;
    return s->signal_fd >= 0;
}

/* The same calls count and lay out. */
static void lay_out(struct shard *s, struct arena *a, size_t used[3]) {
    const struct engine_config *n = &s->config->engine;
    size_t before = a->used;
    s->engine = engine_new(a, n, s->mono_us, s->wall_ms);
    used[0] = a->used - before;
    s->store = shard_store_new(s, a);
    used[1] = a->used - before - used[0];
    node_lay_out(&s->node, a, s->config, s->mono_us);
    relay_init(&s->media.relay, a, s->media.count);
    used[2] = a->used - before - used[0] - used[1];
}

static bool open_memory(struct shard *s) {
    struct arena a;
    size_t used[3];
    arena_init(&a, NULL, 0);
    lay_out(s, &a, used);
    s->memory_bytes = a.used;
    s->memory = mmap(NULL, a.used, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->memory == MAP_FAILED) {
        s->memory = NULL;
        log_line(&s->log, TRACE_ERROR, "memory", "%zu MiB cannot be had; lower limits.*", a.used >> 20);
        return false;
    }
    arena_init_zeroed(&a, s->memory, s->memory_bytes);
    lay_out(s, &a, used);
    log_line(&s->log, TRACE_INFO, "memory", "engine %zu KiB, store %zu KiB, relay %zu KiB; all laid out now",
             used[0] >> 10, used[1] >> 10, used[2] >> 10);
    engine_set_relay(s->engine, &s->media.relay);
    return true;
}

static bool open_io(struct shard *s) {
    const char *why;
    struct io_options o = { .backend = (enum io_backend)s->config->backend, .metrics = engine_metrics(s->engine),
                            .bufs = engine_bufs(s->engine) };
    o.sockets_max = s->media.count * 2 + LISTEN_MAX + ADMIN_CONNS_MAX + STORE_CONNS_MAX + 4 +
                    (s->node.on ? LINK_TAGS : 0);
    s->io = io_new(&o, &why);
    if (!s->io) {
        log_line(&s->log, TRACE_ERROR, "io", "%s", why);
        return false;
    }
    bool ok = (s->signal_fd < 0 || io_watch(s->io, s->signal_fd, TAG_SIGNAL) >= 0) &&
              (shard_is_alone(s) || io_watch(s->io, mailbox_fd(s->o.mailbox, s->o.index), TAG_MAIL) >= 0) &&
              listeners_start(&s->listeners, s->io, TAG_LISTEN) &&
              media_io_start(&s->media, s->io, engine_metrics(s->engine), TAG_MEDIA) &&
              admin_start(&s->admin, s->io, TAG_ADMIN) && node_start(&s->node, s->io, TAG_LINK);
    store_io_start(&s->store_io, s->io, TAG_STORE);
    log_line(&s->log, ok ? TRACE_INFO : TRACE_ERROR, "io", "%s%s", io_describe(s->io), ok ? "" : ": sockets refused");
    return ok;
}

static bool open_node(struct shard *s) {
    if (!node_open(&s->node, s->config, &s->log))
        return false;
    if (!shard_is_alone(s))
        node_share(&s->node, s->o.mailbox, s->o.index, s->o.count);
    return true;
}

static bool open_sockets(struct shard *s) {
    struct config *c = s->config;
    struct engine_config *n = &c->engine;
    struct addr *first = c->listen.items;
    bool any_port = first->port == 0;
    s->media.share = s->o.media;
    if (s->o.listeners)
        s->listeners = *s->o.listeners;
    else if (!listeners_open(&s->listeners, c->listen.items, c->listen.count, c->receive_buffer, false,
                             &s->log))
        return false;
    if (any_port && n->sip_addr.port == 0)
        n->sip_addr.port = first->port;
    struct media_range r = { .own = c->media_bind, .own_count = c->media_address.count, .vips = n->media_vips,
                             .vip_count = n->media_vip_count,
                             .first = n->media_port_min, .last = n->media_port_max };
    if (!media_io_open(&s->media, &r, &s->log)) {
        log_line(&s->log, TRACE_ERROR, "media", "no port of media.ports can be bound");
        return false;
    }
    n->media_port_usable = s->media.usable;
    return admin_open(&s->admin, s->o.index == 0 ? c->admin_socket : "off", &s->log) &&
           open_node(s);
}

static void open_fastpath(struct shard *s) {
    const struct config *c = s->config;
    struct addr all[FASTPATH_ADDRESSES];
    struct fastpath_options o = config_fastpath(c);
    uint32_t own = o.address_count, vips = c->engine.media_vip_count;
    s->media.timeout_us = c->engine.media_timeout_us;
    if (own + vips > FASTPATH_ADDRESSES) {
        log_line(&s->log, TRACE_WARN, "fastpath", "off, user space serves: more than %u media addresses",
                 FASTPATH_ADDRESSES);
        return;
    }
    /* In the order of media_io's sockets. */
    memcpy(all, o.addresses, own * sizeof *all);
    memcpy(all + own, c->engine.media_vips, vips * sizeof *all);
    o.addresses = all;
    o.address_count = own + vips;
    o.move = vips > 0;
    media_io_fast(&s->media, &o, s->mono_us, &s->log);
}

bool shard_open(struct shard *s, const struct shard_options *o) {
    struct config *config = o->config;
    struct engine_config *n = &config->engine;
    *s = (struct shard){ .o = *o, .config = config, .signal_fd = -1, .admin.fd = -1 };
    log_init(&s->log, n->trace_level, o->traced);
    s->log.shard = (uint16_t)o->index;
    for (uint32_t i = 0; i < ADMIN_CONNS_MAX; i++)
        s->admin.conns[i].fd = -1;
    /* The flight recorder keeps more than the log shows. */
    if (n->trace_level < TRACE_DEBUG)
        n->trace_level = TRACE_DEBUG;
    if (o->traced)
        n->trace_level = TRACE_WIRE;
    shard_tell_time(s);
    if (!open_signals(s) || !open_sockets(s) || !shard_store_open(s) || !open_memory(s))
        return false;
    open_fastpath(s);
    player_open(&s->media.player, config->music, config->announcement, config->ringback, &s->log);
    cdr_file_open(&s->cdr, o->index == 0 ? config->cdr_file : "off", engine_metrics(s->engine), &s->log);
    shard_divide_buckets(s);
    return open_io(s) && shard_store_wait(s);
}

void shard_close(struct shard *s) {
    shard_last_mail(s);
    shard_forget_orders(s);
    cdr_file_close(&s->cdr);
    admin_close(&s->admin);
    node_close(&s->node);
    store_io_close(&s->store_io);
    store_free(s->store);
    io_free(s->io);
    listeners_close(&s->listeners);
    media_io_close(&s->media);
    player_close(&s->media.player);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    if (s->memory)
        munmap(s->memory, s->memory_bytes);
    config_free(s->config);
}
