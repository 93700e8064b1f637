/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/kill/kill.h"

struct kill K;

/* ---- media ---- */

static void on_media(struct cluster *w, unsigned engine, const struct media_cmd *cmd) {
    relay_command(&K.relays[engine], cmd, w->now);
}

static void relay_start(unsigned i) {
    struct arena a;
    arena_init(&a, NULL, 0);
    relay_init(&K.relays[i], &a, PORTS_MAX);
    K.relay_memory[i] = aligned_alloc(64, (a.used + 63) / 64 * 64);
    arena_init(&a, K.relay_memory[i], a.used);
    memset(&K.relays[i], 0, sizeof K.relays[i]);
    relay_init(&K.relays[i], &a, PORTS_MAX);
}

/* ---- the network ---- */

static bool is_there(unsigned i) {
    return K.w->c[i].e != NULL;
}

/* To a node by the hash of the Call-ID, as a balancer does; one that is dead has none. */
void send_from(enum rig_name who, const char *text) {
    char call_id[128];
    unsigned h = 5381, node;
    struct cluster_fly *f = cluster_fly_new(K.w, slice_str(text), 1 * MS);
    header(text, "Call-ID", call_id, sizeof call_id);
    for (const char *c = call_id; *c; c++)
        h = h * 33 + (unsigned char)*c;
    for (node = h % K.w->n; !is_there(node);)
        node = (node + 1) % K.w->n;
    say_message(text, rig_phone(who).ip[3], true);
    f->engine = (int)node;
    f->ev.kind = EV_DATAGRAM;
    f->ev.u.dgram.src = rig_phone(who);
    f->ev.u.dgram.dst = K.w->config.sip_addr;
    f->ev.u.dgram.bytes.n = (uint32_t)strlen(text);
}

unsigned owner_of_call_id(const char *call_id) {
    struct siphash_key k;
    memcpy(&k, K.w->config.secret, sizeof k);
    return cluster_owner(K.w, (uint16_t)(siphash64(k, call_id, strlen(call_id)) % LIMIT_BUCKETS));
}

/* ---- engines ---- */

bool has_calls(unsigned engine) {
    struct engine_census c;
    if (!is_there(engine))
        return false;
    engine_census(K.w->c[engine].e, &c);
    return c.calls > 0;
}

unsigned unwritten_owners(void) {
    unsigned most = 0;
    for (unsigned i = 0; i < K.w->n; i++) {
        uint32_t cursor = 0;
        handle h;
        for (const struct call *c; is_there(i) && (c = pool_next(&K.w->c[i].e->calls, &cursor, &h));)
            most = c->unwritten > most ? c->unwritten : most;
    }
    return most;
}

unsigned calls_left(void) {
    struct engine_census c;
    unsigned n = 0;
    for (unsigned i = 0; i < K.w->n; i++)
        if (is_there(i)) {
            engine_census(K.w->c[i].e, &c);
            n += c.calls + c.legs + c.transfers + c.ports + c.records;
        }
    return n;
}

void world_begin(const struct flow *f, unsigned nodes, bool split, bool own_media) {
    memset(&K, 0, sizeof K);
    memset(&P, 0, sizeof P);
    K.flow = f;
    K.nodes = nodes;
    K.split = split;
    K.own_media = own_media;
    K.dead = -1;
    K.w = cluster_new(nodes, 1);
    K.w->at_phone = at_phone;
    K.w->on_media = on_media;
    K.w->delay = MS;
    K.w->jitter = 0;
    K.w->config.calls_max = 12;
    K.w->config.trace_lines = verbose ? 1024 : 64;
    K.w->config.trace_level = verbose ? TRACE_DEBUG : TRACE_INFO;
    K.w->config.refer = f->refer ? f->refer : REFER_LOCAL;
    K.w->config.relay = f->relay;
    K.w->config.splice = f->splice;
    for (unsigned i = 0; i < nodes; i++) {
        K.w->config.media_addr = rig_addr(own_media ? 200 + i : 1, 0);
        cluster_start(K.w, i);
        relay_start(i);
    }
    world_run_until(K.w->now + 4 * SEC);
}

void world_end(void) {
    for (unsigned i = 0; i < K.nodes; i++)
        free(K.relay_memory[i]);
    cluster_end(K.w);
}

void print_traces(void) {
    for (unsigned i = 0; i < K.nodes; i++) {
        const struct trace *t = is_there(i) ? engine_trace(K.w->c[i].e) : NULL;
        for (uint64_t k = t && t->head > 1000 ? t->head - 1000 : 0; t && k < t->head; k++) {
            char text[512];
            struct sbuf b = sbuf_on(text, sizeof text);
            const struct trace_line *line = trace_at(t, k);
            if (!line)
                continue;
            trace_format(&b, line, 0);
            printf("engine %u: %.*s\n", i + 1, SLICE_FMT(sbuf_slice(&b)));
        }
    }
}

/* People look every 20 ms. False: they are done. */
static bool everybody(void) {
    phones_turn();
    return !P.step || !people_turn();
}

void world_run_until(uint64_t until) {
    while (K.w->now < until) {
        cluster_turn(K.w);
        if (!everybody())
            return;
        uint64_t next = K.w->now + 20 * MS, due = cluster_due(K.w), phone = phones_due();
        next = due < next ? due : next;
        next = phone < next ? phone : next;
        next = until < next ? until : next;
        K.w->now = next > K.w->now ? next : K.w->now + MS;
    }
}
