/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/load.h"

#include "core/b2b/policy.h"
#include "core/b2b/state.h"

#define ALL 1000u
/* Something always comes through: by it is seen that things are better. */
#define ADMIT_MIN 20u
/* Of the room for writes: behind it each one waits too long. */
#define WRITES_FULL 750u

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

void load_on_event(struct engine *e, const struct event *ev) {
    struct load_gate *g = &e->load;
    uint64_t load = load_of(e, ev);
    uint16_t *calls = &g->admit[LOAD_CALLS], *registrations = &g->admit[LOAD_REGISTRATIONS];
    bool was = g->closed, again = g->high;
    g->high = load > ALL;
    if (!was && !(g->high && again))
        return;
    if (!was)
        *g = (struct load_gate){ .admit = { ALL, ALL }, .high = true };
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
    if (msg->to_tag.p || policy_is_emergency(e, &msg->ruri))
        return LOAD_CLASSES;
    switch (msg->method) {
    case SIP_M_INVITE: return sip_hdr_first(msg, SIP_H_REPLACES) ? LOAD_REGISTRATIONS : LOAD_CALLS;
    case SIP_M_REFER: return LOAD_CALLS;
    case SIP_M_REGISTER: return LOAD_REGISTRATIONS;
    default: return LOAD_CLASSES;
    }
}

static bool is_nearly_full(const struct pool *p) {
    return p->count - p->used < p->count / 64;
}

/* Every so manieth, evenly. */
static bool takes_credit(struct load_gate *g, enum load_class class) {
    g->credit[class] = (uint16_t)(g->credit[class] + g->admit[class]);
    if (g->credit[class] < ALL)
        return false;
    g->credit[class] = (uint16_t)(g->credit[class] - ALL);
    return true;
}

bool load_refuses(struct engine *e, const struct sip_msg *msg) {
    bool full = is_nearly_full(&e->calls);
    if (!full && !e->load.closed)
        return false;
    enum load_class class = class_of(e, msg);
    if (class == LOAD_CLASSES || txn_knows(&e->txns, msg))
        return false;
    if (full && class == LOAD_CALLS)
        return true;
    return e->load.closed && !takes_credit(&e->load, class);
}
