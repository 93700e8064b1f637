/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One world: its events in the order of (time, number), the engine with its store and relay. */
#include "core/base/check.h"
#include "core/b2b/engine.h"
#include "parser/sip_write.h"
#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_srtp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND 1000000ull
#define NODES_ONE_IN 20           /* worlds has several engines, with --mix */
#define STEPS_AT_ONCE 20000       /* without the time moving: the engine spins */

const struct addr sim_engine_addr = { .ip = { 10, 0, 0, 1 }, .port = 5060, .family = ADDR_V4 };

/* ---- failing ---- */

/* The same failure on another path has the same text but for its numbers. */
static uint32_t kind_of(const char *text) {
    uint64_t h = 7;
    for (; *text && *text != '#'; text++)
        if (*text < '0' || *text > '9')
            h = sim_mix(h, (uint8_t)*text);
    return (uint32_t)h;
}

void sim_fail(struct world *w, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    vsnprintf(w->failure, sizeof w->failure, format, ap);
    va_end(ap);
    w->failure_kind = kind_of(w->failure);
    longjmp(w->fail, 1);
}

static void on_check_failed(void *arg, const char *file, int line, const char *expr) {
    sim_fail(arg, "CHECK failed: %s:%d: %s", file, line, expr);
}

/* ---- what is printed and hashed ---- */

uint64_t sim_hash(struct slice s) {
    uint64_t h = s.n * 0x9e3779b97f4a7c15ull + 1;
    uint32_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t v;
        memcpy(&v, s.p + i, 8);
        h = (h ^ v) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
    }
    for (; i < s.n; i++)
        h = (h ^ (uint8_t)s.p[i]) * 0xff51afd7ed558ccdull;
    return h ^ h >> 29;
}

void world_hash(struct world *w, const void *p, size_t n) {
    w->hash = sim_mix(w->hash ^ sim_hash(slice_of(p, n)), w->now);
}

static const char *node_name(unsigned node) {
    static const char *const names[] = { "phone0", "phone1", "phone2", "phone3",
                                         "phone4", "phone5", "phone6", "gateway" };
    return node < SIM_PHONES ? names[node] : "referee";
}

static int line_of(struct slice s, const char *head, const char **at) {
    size_t n = strlen(head);
    for (uint32_t i = 0; i + n < s.n; i++) {
        if (memcmp(s.p + i, head, n) != 0)
            continue;
        *at = s.p + i + n;
        const char *end = memchr(*at, '\r', s.n - i - n);
        return end ? (int)(end - *at) : 0;
    }
    *at = "";
    return 0;
}

static const char *direction_of(struct slice s) {
    const char *at;
    if (line_of(s, "\nm=", &at) == 0)
        return "";
    return line_of(s, "\na=sendonly", &at), *at ? " sendonly" : (line_of(s, "\na=recvonly", &at), *at) ? " recvonly"
           : (line_of(s, "\na=inactive", &at), *at)                                            ? " inactive"
                                                                                               : " sendrecv";
}

void world_say(struct world *w, const char *what, const struct packet *p) {
    const char *start, *cseq, *id;
    struct slice s = slice_of(p->data, p->n);
    if (!w->opt.verbose)
        return;
    int sn = line_of(s, "", &start), cn = line_of(s, "\nCSeq: ", &cseq), in = line_of(s, "\nCall-ID: ", &id);
    printf("%6llu.%06llu %-7s -> %-7s %s%.*s | %.*s | %.*s%s\n", (unsigned long long)(w->now / SECOND),
           (unsigned long long)(w->now % SECOND), node_name(p->from), node_name(p->to), what, sn, start, cn, cseq,
           in > 28 ? 28 : in, id, direction_of(s));
    if (w->opt.verbose && w->opt.engine_trace)
        printf("%.*s\n", (int)s.n, s.p);
}

/* ---- the queue ---- */

static bool before(const struct sim_item *a, const struct sim_item *b) {
    return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

void world_push(struct world *w, const struct sim_item *item) {
    if (w->heap_n == SIM_ITEMS)
        sim_fail(w, "simulator: the queue is full");
    uint32_t i = w->heap_n++;
    struct sim_item x = *item;
    x.seq = ++w->seq;
    for (; i && before(&x, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = x;
}

static struct sim_item pop(struct world *w) {
    struct sim_item first = w->heap[0], x = w->heap[--w->heap_n];
    uint32_t i = 0, n = w->heap_n;
    for (;;) {
        uint32_t c = 2 * i + 1;
        if (c >= n)
            break;
        if (c + 1 < n && before(&w->heap[c + 1], &w->heap[c]))
            c++;
        if (!before(&w->heap[c], &x))
            break;
        w->heap[i] = w->heap[c];
        i = c;
    }
    w->heap[i] = x;
    return first;
}

/* ---- the engine ---- */

static uint8_t node_of(const struct addr *a) {
    unsigned i = (unsigned)a->ip[3] - 10;
    return a->family == ADDR_V4 && a->ip[0] == 10 && a->ip[1] == 0 && a->ip[2] == 0 && i < SIM_PHONES && a->port == 5060
               ? (uint8_t)i
               : SIM_ENGINE;
}

static void do_send(struct world *w, const struct out *o) {
    struct slice bytes = buf_slice(o->u.send.buf);
    struct packet *p = packet_new(w);
    if (bytes.n > SIM_PACKET_MAX)
        sim_fail(w, "the engine sent %u bytes", bytes.n);
    memcpy(p->data, bytes.p, bytes.n);
    p->n = bytes.n;
    p->from = SIM_ENGINE;
    p->to = node_of(&o->u.send.dst);
    const struct sip_msg *m = packet_read(p);
    if (!m)
        sim_fail(w, "the engine sent what cannot be read");
    if (cluster_on(w))
        cluster_check_send(w, m);
    check_out(w, m, p->to);
    world_hash(w, bytes.p, bytes.n);
    world_say(w, "", p);
    if (p->to != SIM_ENGINE)
        net_send(w, p);
    else
        packet_free(w, p);
    struct buf *b = o->u.send.buf;
    buf_unref(engine_bufs(w->e), &b);
}

static void do_store(struct world *w, const struct out *o) {
    struct buf *key = o->u.store.key, *value = o->u.store.value;
    sim_store_op(w, &o->u.store);
    buf_unref(engine_bufs(w->e), &key);
    buf_unref(engine_bufs(w->e), &value);
}

static void order_answered(struct world *w, const struct out *o) {
    struct slice text = buf_slice(o->u.admin.buf);
    w->orders_open &= ~(UINT64_C(1) << (o->u.admin.conn - SIM_ORDER_CONN) % 64);
    if (w->opt.verbose)
        printf("%6llu.%06llu order %u is answered: %.*s", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), (unsigned)(o->u.admin.conn - SIM_ORDER_CONN), SLICE_FMT(text));
}

static void drain_outbox(struct world *w) {
    for (uint32_t i = 0; i < w->out.n; i++) {
        const struct out *o = &w->out.entries[i];
        struct buf *b;
        switch (o->kind) {
        case OUT_SEND: do_send(w, o); break;
        case OUT_STORE: do_store(w, o); break;
        case OUT_MEDIA:
            if (cluster_on(w))
                shards_media(w, &o->u.media);
            if (!relay_command(w->relay, &o->u.media, w->now))
                sim_fail(w, "the relay ignored a command: verb %d of stream %u", (int)o->u.media.verb,
                         (unsigned)o->u.media.stream);
            srtp_note(w, &o->u.media);
            break;
        case OUT_ADMIN:
            b = o->u.admin.buf;
            if (o->u.admin.conn >= SIM_ORDER_CONN && o->u.admin.last)
                order_answered(w, o);
            buf_unref(engine_bufs(w->e), &b);
            break;
        case OUT_CDR:
            b = o->u.cdr.buf;
            buf_unref(engine_bufs(w->e), &b);
            break;
        case OUT_PEER:
            b = o->u.peer.buf;
            if (cluster_on(w))
                cluster_out(w, o);
            buf_unref(engine_bufs(w->e), &b);
            break;
        case OUT_BUCKET:
            if (cluster_on(w))
                cluster_out(w, o);
            break;
        }
    }
    w->out.n = 0;
}

/* The engine's own lines about legs and transfers, between the messages. */
static void say_trace(struct world *w) {
    struct trace *t = engine_trace(w->e);
    char mem[512];
    for (; w->trace_seen < t->head; w->trace_seen++) {
        const struct trace_line *line = trace_at(t, w->trace_seen);
        struct sbuf b = sbuf_on(mem, sizeof mem);
        if (!line || !strcmp(line->what, "recv") || !strcmp(line->what, "send") || !strcmp(line->what, "txn"))
            continue;
        trace_format(&b, line, 0);
        printf("        engine: %.*s\n", (int)b.n, b.p);
    }
}

static bool is_passed_on(const struct world *w, struct slice bytes) {
    for (uint32_t i = 0; i < w->out.n; i++) {
        const struct out *o = &w->out.entries[i];
        if (o->kind == OUT_PEER && o->u.peer.what == PEER_DATAGRAM && slice_eq(buf_slice(o->u.peer.buf), bytes))
            return true;
    }
    return false;
}

/* What came from the wire was read by the engine, and is looked at before its answers are; what is passed on will have
 * been by whom it gets to. In a cluster the engine may have gone on to what had waited before; what it refused it has
 * read in part. */
static void note_in(struct world *w, const struct event *ev, bool refused) {
    static struct sip_msg mem;
    struct sip_fault f;
    struct packet *p = w->arriving;
    struct slice bytes = p ? slice_of(p->data, p->n) : ev->u.peer.bytes;
    if (is_passed_on(w, bytes))
        return;
    if (p)
        check_in(w, refused || p->garbage || cluster_on(w) ? packet_read(p) : &w->e->msg);
    else if (sip_parse(bytes, &mem, &f) >= 0)
        check_in(w, &mem);
}

void world_step_engine(struct world *w, const struct event *ev) {
    struct event e = *ev;
    e.mono_us = w->now;
    e.wall_ms = SIM_WALL_MS + w->now / 1000;
    uint64_t refused = metrics_get(engine_metrics(w->e), M_parse_errors);
    uint64_t arrived = metrics_get(engine_metrics(w->e), M_calls_arrived);
    /* Only then is it read before the engine has: in a cluster it waits instead of being dropped. */
    check_early(w, w->arriving && w->e->resuming && !cluster_on(w) ? packet_read(w->arriving) : NULL);
    engine_step(w->e, &e, &w->out);
    check_unwritten(w, ev, metrics_get(engine_metrics(w->e), M_calls_arrived) != arrived);
    if (w->arriving || w->cluster->passed_on)
        note_in(w, ev, metrics_get(engine_metrics(w->e), M_parse_errors) != refused);
    w->arriving = NULL;
    w->cluster->passed_on = false;
    if (w->opt.verbose)
        say_trace(w);
    w->steps++;
    if (++w->same_time > STEPS_AT_ONCE)
        sim_fail(w, "the engine spins: time does not move");
    bool dies = cluster_on(w) ? cluster_dies(w) : sim_node_dies(w);
    drain_outbox(w);
    if (dies && cluster_on(w))
        cluster_dead(w);
    else if (dies)
        sim_node_dead(w);
    else
        check_step(w);
}

static void to_engine(struct world *w, struct packet *p) {
    struct event ev = { .kind = EV_DATAGRAM };
    ev.u.dgram.bytes = slice_of(p->data, p->n);
    ev.u.dgram.src = w->phones[p->from].addr;
    ev.u.dgram.dst = sim_engine_addr;
    if (w->dead)
        return;
    world_hash(w, p->data, p->n);
    world_say(w, "", p);
    w->messages++;
    w->arriving = p;
    world_step_engine(w, &ev);
}

static void run_event(struct world *w, struct sim_event *ev) {
    struct event e = { .kind = EV_SEND_FAILED };
    bool of_engine = ev->action == ACT_RELOAD || ev->action == ACT_ADMIN || ev->action == ACT_ICMP ||
                     ev->action == ACT_ORDER || ev->action == ACT_DRAIN;
    if ((w->calm && ev->action != ACT_POWER_ON) || (of_engine && (w->dead || !cluster_use_any(w))))
        return;
    if (w->opt.verbose)
        printf("%6llu.%06llu phone%u does %s (scene %u call %u, %u) #%u\n", (unsigned long long)(w->now / SECOND),
               (unsigned long long)(w->now % SECOND), ev->phone, sim_action_name(ev->action), ev->scene, ev->call,
               ev->other, (unsigned)(ev - w->script.ev));
    switch (ev->action) {
    case ACT_CUT:
    case ACT_CLOG: net_act(w, ev); break;
    case ACT_GARBAGE:
    case ACT_RELOAD:
    case ACT_ADMIN:
    case ACT_ORDER:
    case ACT_DRAIN: config_act(w, ev); break;
    case ACT_SCENE_OVER:
        for (unsigned i = 0; i < SIM_PHONES; i++)
            phone_act(w, &w->phones[i], ev);
        break;
    case ACT_STORE_DOWN:
        if (w->script.setup.faults)
            sim_store_down(w, ev->other);
        break;
    case ACT_DIE:
        if (cluster_on(w))
            cluster_act(w, ev);
        else if (w->script.setup.faults)
            sim_node_doom(w, ev->other);
        break;
    case ACT_PROMOTE: promote_act(w, ev); break;
    case ACT_ICMP:
        w->lost_peer = true;
        e.u.failed.dst = w->phones[ev->phone].addr;
        check_excuse(w);
        if (cluster_on(w))
            shards_unreachable(w, &e);
        world_step_engine(w, &e);
        break;
    default: phone_act(w, &w->phones[ev->phone], ev); break;
    }
}

void world_seen(struct world *w, const struct phone *ph, enum sim_seen what, unsigned scene) {
    if (scene >= SIM_SCENES)
        return;
    for (uint32_t i = w->script.first[scene]; i < w->script.first[scene + 1]; i++) {
        struct sim_event *ev = &w->script.ev[i];
        if (ev->seen != what || ev->fired || ev->phone != ph->index || ev->scene != scene || ev->at > w->now ||
            w->masked[i])
            continue;
        ev->fired = true;
        struct sim_item item = { .at = w->now + ev->delay, .kind = ITEM_EVENT, .gen = i };
        world_push(w, &item);
    }
}

/* ---- from the start to the end ---- */

static void lay_out(struct world *w) {
    struct arena a;
    w->relay = &w->one_relay;
    struct siphash_key key = { 1, 2 };
    if (!w->memory) {
        arena_init(&a, NULL, 0);
        engine_new(&a, &w->config, 0, 0);
        relay_init(w->relay, &a, SIM_PORT_PAIRS);
        store_memory_new(&a, 512, 1 << 20, key);
        w->memory_n = a.used;
        w->memory = malloc(a.used);
        if (!w->memory)
            abort();
    }
    arena_init(&a, w->memory, w->memory_n);
    w->e = engine_new(&a, &w->config, SIM_START_US, SIM_WALL_MS + SIM_START_US / 1000);
    relay_init(w->relay, &a, SIM_PORT_PAIRS);
    w->store_at = a.used;
    w->store = store_memory_new(&a, 512, 1 << 20, key);
    w->store_n = a.used - w->store_at;
    engine_set_relay(w->e, w->relay);
}

void world_renew(struct world *w) {
    struct arena a;
    w->config.seed.k0 = sim_mix(w->config.seed.k0, w->faults.life);
    w->out.n = 0;
    w->trace_seen = 0;
    arena_init(&a, w->memory, w->memory_n);
    w->e = engine_new(&a, &w->config, w->now, SIM_WALL_MS + w->now / 1000);
    relay_init(w->relay, &a, SIM_PORT_PAIRS);
    engine_set_relay(w->e, w->relay);
}

static void begin(struct world *w) {
    w->now = SIM_START_US;
    w->seq = w->heap_n = w->out.n = 0;
    w->hash = w->seed;
    w->calm = w->lost_peer = w->dead = false;
    sim_store_begin(w);
    w->arriving = NULL;
    w->orders = 0;
    w->orders_open = 0;
    w->drained = false;
    w->draw_at = w->draw_n = 0;
    w->same_time = 0;
    w->trace_seen = 0;
    w->free_packets = NULL;
    w->packets_used = 0;
    memset(w->path, 0, sizeof w->path);
    w->script.shards = w->opt.shards;
    w->script.nodes = w->opt.nodes || w->opt.shards || (w->opt.mix && sim_mix(w->seed, 95) % NODES_ONE_IN == 0);
    w->script.hot = w->opt.hot;
    w->script.mortal = w->opt.mortal;
    sim_script_make(&w->script, w->seed);
    for (unsigned i = 0; i < SIM_PHONES; i++)
        phone_init(w, i);
    w->script.setup.faults = w->script.setup.durable && (w->script.setup.faults || w->opt.faults);
    if (!w->script.setup.faults)
        w->script.setup.store_delay_us = w->script.setup.store_fails = 0;
    config_fill(w);
    lay_out(w);
    cluster_begin(w);
    check_start(w);
    for (uint32_t i = 0; i < w->script.n; i++) {
        struct sim_item item = { .at = w->script.ev[i].at, .kind = ITEM_EVENT, .gen = i };
        if (w->script.ev[i].seen == SEEN_NOW && !w->masked[i])
            world_push(w, &item);
    }
    for (unsigned i = 0; i < SIM_PHONES - 1; i++)
        phone_register(w, &w->phones[i], 7000, false);
    struct sim_item end = { .at = w->script.setup.end, .kind = ITEM_HANGUP };
    world_push(w, &end);
}

static void hang_up(struct world *w) {
    w->calm = true;
    for (unsigned i = 0; i < SIM_PHONES; i++) {
        struct sim_event on = { .action = ACT_POWER_ON };
        phone_act(w, &w->phones[i], &on);
        phone_hangup_all(w, &w->phones[i]);
    }
    struct sim_item again = { .at = w->now + 5 * SECOND, .kind = ITEM_HANGUP };
    if (w->now < w->script.setup.end + 200 * SECOND)
        world_push(w, &again);
}

static void phone_item(struct world *w, const struct sim_item *item) {
    if (item->kind != ITEM_ACT) {
        phone_timer(w, item);
        return;
    }
    struct phone *ph = &w->phones[item->who];
    struct pdlg *d = &ph->dlg[item->index];
    struct sim_event ev = { .action = item->arg, .scene = d->scene, .call = d->call };
    if (d->gen == item->gen && !w->calm)
        phone_act(w, ph, &ev);
}

static void run_item(struct world *w, const struct sim_item *item) {
    switch (item->kind) {
    case ITEM_PACKET:
        if (item->packet->to == SIM_ENGINE && cluster_on(w) && cluster_picks(w, item))
            return;
        if (item->packet->to == SIM_ENGINE)
            to_engine(w, item->packet);
        else
            phone_recv(w, &w->phones[item->packet->to], item->packet);
        packet_free(w, item->packet);
        break;
    case ITEM_EVENT: run_event(w, &w->script.ev[item->gen]); break;
    case ITEM_HANGUP: hang_up(w); break;
    case ITEM_STORE: sim_store_arrives(w); break;
    case ITEM_RISE: sim_node_rise(w); break;
    case ITEM_PROMOTE: promote_item(w, item); break;
    case ITEM_FLY:
    case ITEM_START:
    case ITEM_WAKE:
    case ITEM_SURVIVED:
    case ITEM_ADDRESS:
    case ITEM_ENDS: cluster_item(w, item); break;
    default: phone_item(w, item); break;
    }
}

/* Until nothing is left to do but at or after `end`. */
static void run_until(struct world *w, uint64_t end) {
    struct event tick = { .kind = EV_DEADLINE };
    for (;;) {
        uint64_t due = cluster_on(w) ? cluster_due(w) : w->dead ? UINT64_MAX : engine_deadline(w->e);
        uint64_t next = w->heap_n ? w->heap[0].at : UINT64_MAX;
        bool engine = due < next;
        if (engine)
            next = due;
        if (next >= end)
            break;
        if (next > w->now) {
            w->now = next;
            w->same_time = 0;
        }
        if (engine && cluster_on(w)) {
            cluster_tick(w);
        } else if (engine) {
            world_step_engine(w, &tick);
        } else {
            struct sim_item item = pop(w);
            run_item(w, &item);
        }
    }
    w->now = end;
}

static void unregister(struct world *w) {
    for (unsigned i = 0; i < SIM_PHONES; i++)
        phone_register(w, &w->phones[i], 0, true);
}

/* Each engine that runs. */
static void for_each(struct world *w, void (*what)(struct world *w)) {
    if (!cluster_on(w))
        what(w);
    for (unsigned i = 0; i < w->cluster->n; i++)
        if (cluster_use(w, i))
            what(w);
}

/* One that was to die at some step soon and had too few since: drained at the end, it would be back with its calls. */
static void spare(struct world *w) {
    w->faults.doomed = 0;
    if (cluster_on(w))
        w->cluster->node[w->cluster->at].doomed = 0;
}

static void drain_now(struct world *w) {
    struct event drain = { .kind = EV_DRAIN };
    drain.u.drain.deadline_us = w->now;
    world_step_engine(w, &drain);
}

static void count(struct world *w) {
    w->transfers += metrics_get(engine_metrics(w->e), M_transfers_started);
}

static void run(struct world *w) {
    uint64_t end = w->script.setup.end;
    uint64_t rest = cluster_on(w) ? 280 : 420, after = cluster_on(w) ? 360 : 560; /* nodes are dear when idle */
    run_until(w, end + rest * SECOND);
    for_each(w, check_end);
    for_each(w, spare);
    for_each(w, drain_now);
    unregister(w);
    run_until(w, end + after * SECOND);
    for_each(w, check_drained);
    for_each(w, shards_check_ports);
    for_each(w, count);
    w->virtual_us += w->now - SIM_START_US;
}

static void check_dump_one(struct world *w) {
    check_dump(w);
}

bool world_run(struct world *w, uint64_t seed) {
    w->seed = seed;
    w->steps = 0;
    if (setjmp(w->fail)) {
        check_set_hook(NULL, NULL);
        if (w->opt.verbose)
            for_each(w, check_dump_one);
        return false;
    }
    check_set_hook(on_check_failed, w);
    begin(w);
    run(w);
    check_set_hook(NULL, NULL);
    return true;
}
