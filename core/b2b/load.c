/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/load.h"

#include "core/b2b/policy.h"
#include "core/b2b/recover.h"
#include "core/b2b/state.h"

#define ALL 1000u
/* Something always comes through: by it is seen that things are better. */
#define ADMIT_MIN 20u
/* Of the room for writes: behind it each one waits too long. */
#define WRITES_FULL 750u
/* Of the room for what has arrived; the kernel says up to a quarter of it too much, which it gives back in one go. */
#define WAITING_CALLS 500u
/* What stays above this for so long is no burst; it stays the bound until nothing was refused for so long. */
#define STANDING_CALLS 100u
#define STANDING_US 250000u
#define STANDING_OVER_US 1000000u
#define WAITING_REGISTRATIONS 750u
#define MARKS_MAX 65536u
/* In a mark of a refusal the time takes the lower bits, in units of 131 ms; requests repeat for 32 s. */
#define MARK_TIME_BITS 24
#define MARK_TIME_MASK ((UINT64_C(1) << MARK_TIME_BITS) - 1)
#define MARK_UNIT_SHIFT 17
#define MARK_UNITS ((32000000u >> MARK_UNIT_SHIFT) + 1)
#define REPEATS_US 32000000u
#define SECOND_US 1000000u
#define TOLD_A_SECOND 100u
#define QUIET_US 5000000u
#define TAG_HEAD SL("full-")

void load_init(struct engine *e, struct arena *a, const struct engine_config *c, uint32_t txns) {
    uint32_t n = 1024;
    e->load.kept_calls = (uint32_t)((uint64_t)c->calls_max * c->emergency_reserve / 100);
    e->load.kept_legs = (uint32_t)((uint64_t)e->legs.count * c->emergency_reserve / 100);
    while (n < MARKS_MAX && n < txns)
        n *= 2;
    e->load.marks = arena_take(a, n * sizeof *e->load.marks);
    e->load.mark_mask = n - 1;
}

static uint64_t part_of(uint64_t n, uint64_t of) {
    return of ? n * ALL / of : 0;
}

/* ALL: as much as there should be. */
static uint64_t load_of(const struct engine *e, const struct event *ev) {
    const struct engine_config *c = &e->cfg;
    const struct pool *writes = &e->barrier.writes;
    uint64_t most = part_of(ev->u.load.busy, 10ull * c->busy_percent);
    uint64_t lag = part_of(ev->u.load.lag_us, c->lag_us);
    uint64_t backlog = part_of(part_of(writes->used, writes->count), WRITES_FULL);
    most = lag > most ? lag : most;
    return backlog > most ? backlog : most;
}

/* Down by what is too much, at most by half. */
static uint16_t less(uint16_t admit, uint64_t load) {
    uint64_t n = load < 2 * ALL ? admit * ALL / load : admit / 2u;
    return (uint16_t)(n > ADMIT_MIN ? n : ADMIT_MIN);
}

static uint16_t more(uint16_t admit) {
    uint32_t n = admit + admit / 16u + 10;
    return (uint16_t)(n < ALL ? n : ALL);
}

static void say(struct engine *e) {
    struct sbuf d = trace_begin(&e->trace, TRACE_WARN, "load", 0, 0xff);
    sbuf_str(&d, e->load.closed ? "too much: new calls are refused" : "all calls are admitted again");
    trace_end(&e->trace, &d);
}

static void note_waiting(struct engine *e, uint16_t waiting) {
    struct load_gate *g = &e->load;
    if (waiting > WAITING_CALLS && g->waiting <= WAITING_CALLS && e->now - g->refused_us > QUIET_US)
        trace_text(&e->trace, TRACE_WARN, "load", 0, 0xff, SL("too much waits: new calls are refused meanwhile"));
    if (waiting <= STANDING_CALLS)
        g->above_us = 0;
    else if (!g->above_us)
        g->above_us = e->now;
    else if (e->now - g->above_us >= STANDING_US)
        g->standing_us = e->now;
    g->waiting = waiting;
}

/* Of what waits, behind which calls are refused. */
static uint16_t bound_of_calls(struct engine *e) {
    struct load_gate *g = &e->load;
    uint64_t since = g->standing_us > g->refused_us ? g->standing_us : g->refused_us;
    if (g->standing_us && e->now - since >= STANDING_OVER_US)
        g->standing_us = 0;
    return g->standing_us ? STANDING_CALLS : WAITING_CALLS;
}

void load_on_event(struct engine *e, const struct event *ev) {
    struct load_gate *g = &e->load;
    if (ev->u.load.turn) {
        note_waiting(e, ev->u.load.waiting);
        return;
    }
    uint64_t load = load_of(e, ev);
    uint16_t *calls = &g->admit[LOAD_CALLS], *registrations = &g->admit[LOAD_REGISTRATIONS];
    bool was = g->closed, again = g->high;
    g->high = load > ALL;
    if (!was && !(g->high && again))
        return;
    if (!was) {
        *calls = *registrations = ALL;
        memset(g->credit, 0, sizeof g->credit);
    }
    if (load > ALL && *calls > ADMIT_MIN)
        *calls = less(*calls, load);
    else if (load > ALL)
        *registrations = less(*registrations, load);
    else if (*registrations < ALL)
        *registrations = more(*registrations);
    else
        *calls = more(*calls);
    g->closed = *calls < ALL || *registrations < ALL;
    if (was != g->closed)
        say(e);
}

/* LOAD_CLASSES: always admitted. */
static enum load_class class_of(const struct engine *e, const struct sip_msg *msg) {
    if (msg->to_tag.p || policy_asks_for_emergency(e, msg))
        return LOAD_CLASSES;
    switch (msg->method) {
    case SIP_M_INVITE: return sip_hdr_first(msg, SIP_H_REPLACES) ? LOAD_REGISTRATIONS : LOAD_CALLS;
    case SIP_M_REFER: return LOAD_CALLS;
    case SIP_M_REGISTER: return LOAD_REGISTRATIONS;
    default: return LOAD_CLASSES;
    }
}

bool load_leaves_legs(const struct engine *e, const struct call *c) {
    return c->emergency || pool_has_more(&e->legs, e->load.kept_legs);
}

/* Every so manieth, evenly. */
static bool takes_credit(struct load_gate *g, enum load_class class) {
    g->credit[class] = (uint16_t)(g->credit[class] + g->admit[class]);
    if (g->credit[class] < ALL)
        return false;
    g->credit[class] = (uint16_t)(g->credit[class] - ALL);
    return true;
}

static bool was_refused(const struct engine *e, uint64_t mark) {
    uint64_t m = e->load.marks[mark & e->load.mark_mask];
    uint64_t ago = ((e->now >> MARK_UNIT_SHIFT) - m) & MARK_TIME_MASK;
    return m >> MARK_TIME_BITS == mark >> MARK_TIME_BITS && ago < MARK_UNITS;
}

void load_note_refused(struct engine *e, const struct sip_msg *msg) {
    uint64_t mark;
    (void)txn_knows(&e->txns, msg, &mark);
    uint64_t time = (e->now >> MARK_UNIT_SHIFT) & MARK_TIME_MASK;
    e->load.marks[mark & e->load.mark_mask] = (mark & ~MARK_TIME_MASK) | time;
    e->load.refused_us = e->now;
}

static bool is_too_much(struct engine *e, enum load_class class, bool full) {
    struct load_gate *g = &e->load;
    return (full && class == LOAD_CALLS) ||
           g->waiting > (class == LOAD_CALLS ? bound_of_calls(e) : WAITING_REGISTRATIONS) ||
           (g->closed && !takes_credit(g, class));
}

bool load_is_high(const struct engine *e) {
    const struct load_gate *g = &e->load;
    return g->closed || g->waiting > (g->standing_us ? STANDING_CALLS : WAITING_CALLS);
}

enum load_verdict load_judge(struct engine *e, const struct sip_msg *msg) {
    struct load_gate *g = &e->load;
    uint64_t mark;
    bool full = g->kept_calls && !pool_has_more(&e->calls, g->kept_calls);
    bool lately = g->refused_us && e->now - g->refused_us < REPEATS_US;
    if (!full && !g->closed && !g->waiting && !lately)
        return LOAD_ADMITS;
    enum load_class class = class_of(e, msg);
    if (class == LOAD_CLASSES || txn_knows(&e->txns, msg, &mark) || recover_knows(e, msg))
        return LOAD_ADMITS;
    if (lately && was_refused(e, mark))
        return LOAD_AGAIN;
    return is_too_much(e, class, full) ? LOAD_REFUSES : LOAD_ADMITS;
}

struct slice load_tag(const struct engine *e, const struct sip_msg *msg, char mem[LOAD_TAG_LEN]) {
    const struct slice named_by[] = { msg->via.branch, msg->from_tag, msg->call_id };
    struct siphash h;
    struct sbuf b = sbuf_on(mem, LOAD_TAG_LEN);
    siphash_init(&h, e->map_key, false);
    for (unsigned i = 0; i < 3; i++)
        if (named_by[i].n)
            siphash_add(&h, named_by[i].p, named_by[i].n);
    sbuf_put(&b, TAG_HEAD);
    sbuf_hex(&b, siphash_end(&h).a, 16);
    return sbuf_slice(&b);
}

bool load_is_ack(const struct engine *e, const struct sip_msg *msg) {
    char mem[LOAD_TAG_LEN];
    return msg->method == SIP_M_ACK && slice_has_prefix(msg->to_tag, TAG_HEAD) &&
           slice_eq(msg->to_tag, load_tag(e, msg, mem));
}

bool load_is_told(struct engine *e) {
    struct load_gate *g = &e->load;
    if (e->now - g->told_us >= SECOND_US) {
        g->told_us = e->now;
        g->told = 0;
    }
    return g->told++ < TOLD_A_SECOND;
}
