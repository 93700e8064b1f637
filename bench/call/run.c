/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/call/call.h"

#include <string.h>

#define FAILED_PERMILLE_OF_MAX 1 /* a rate counts as carried with less than 0.1 % failed */
#define RTP_BAD_PERCENT 1
#define CARRIED_PART 0.98
#define TRIES 7
#define CLOSE_ENOUGH 0.04
#define AT_ONCE 200
#define GUESS_US 1500000
#define GUESS_PART 0.9
#define STEP 1.15
#define STEP_UNKNOWN 1.5
#define SIPP_STEP 1000
#define REGISTER_LIMIT_US 60000000u
#define REGISTER_AT_ONCE 20
#define DRAIN_US 4000000u       /* three repetitions of a message that is lost */

static void aim(struct load *l, const struct target *t) {
    struct sbuf d = sbuf_on(l->domain.s, sizeof l->domain.s);
    bool direct = t->kind == T_DIRECT;
    for (int p = 0; p < PARTIES; p++)
        l->o.target[p] = direct ? l->addr[p == PARTY_A ? PARTY_B : PARTY_A] : t->addr;
    addr_put(&d, direct ? &l->addr[PARTY_B] : &t->addr);
    l->domain.n = (uint16_t)d.n;
}

/* Party B registers each of the users who will be called. */
static bool register_users(struct load *l) {
    struct load_options o = l->o;
    l->o.scenario = SC_REGISTER;
    l->o.calls = o.users;
    l->o.at_once = REGISTER_AT_ONCE;
    load_phase(l, 1, REGISTER_LIMIT_US);
    load_drain(l, DRAIN_US);
    bool ok = l->t.done == o.users;
    if (!ok)
        fprintf(stderr, "bench-call: %lu of %u users could be registered; %s\n", (unsigned long)l->t.done, o.users,
                l->t.first_fault);
    memset(&l->t, 0, sizeof l->t);
    l->o = o;
    return ok;
}

bool load_begin(struct load *l, struct target *t, const struct load_options *o) {
    if (!load_open(l, o) || !wire_open(l) || !target_start(t, l))
        return false;
    aim(l, t);
    return o->scenario != SC_REGISTERED || register_users(l);
}

void load_end(struct load *l, struct target *t) {
    target_stop(t);
    wire_close();
    load_close(l);
}

static double a_call(uint64_t us, const struct tally *t) {
    return t->done ? (double)us / (double)t->done : 0;
}

bool run_once(struct target *t, const struct load_options *o, struct result *r) {
    static struct load l;
    struct sched own, own_before;
    memset(r, 0, sizeof *r);
    if (t->kind == T_SIPP)
        return sipp_run(t, o, r);
    bool ok = load_begin(&l, t, o);
    if (ok) {
        uint64_t cpu = target_cpu_us(t), redis = target_redis_cpu_us(t), from = clock_us();
        own_sched(&own_before);
        load_run(&l);
        own_sched(&own);
        r->cpu_us = a_call(target_cpu_us(t) - cpu, &l.t);
        r->redis_us = a_call(target_redis_cpu_us(t) - redis, &l.t);
        r->own = (double)(own.ran_us - own_before.ran_us) / (double)(clock_us() - from);
        r->carried = (double)l.t.done * 1e6 / (double)l.o.seconds_us;
        r->offered = o->at_once ? r->carried : o->rate;
        r->t = l.t;
    }
    load_end(&l, t);
    return ok;
}

bool run_is_clean(const struct result *r) {
    return r->t.busy == 0 && r->t.failed * 1000 < r->t.started * FAILED_PERMILLE_OF_MAX + 1000 * (r->t.started == 0) &&
           r->carried > CARRIED_PART * r->offered && r->t.rtp_foreign == 0 &&
           r->t.rtp_bad * 100 <= r->t.rtp_calls * RTP_BAD_PERCENT;
}

static double guess_of(struct target *t, const struct load_options *o) {
    static struct result r;
    struct load_options closed = *o;
    closed.at_once = AT_ONCE;
    closed.seconds_us = GUESS_US;
    closed.drain_us = DRAIN_US;
    return run_once(t, &closed, &r) ? GUESS_PART * r.carried : 0;
}

/* Upwards until it is not carried, or downwards until it is; then halving what is between. SIPp begins whole numbers of
 * calls a tick of its clock. */
static double next_rate(const struct target *t, double low, double high, double step) {
    double rate = high == 0 ? low * step : low == 0 ? high / step : (low + high) / 2;
    return t->kind == T_SIPP ? SIPP_STEP * (double)(uint64_t)(rate / SIPP_STEP) : rate;
}

static bool is_found(double low, double high, double rate) {
    return rate < 1 || rate == low || rate == high || (low > 0 && high > 0 && high - low <= CLOSE_ENOUGH * high);
}

bool run_max(struct target *t, const struct load_options *o, double guess, struct result *best, run_seen *each) {
    static struct result r;
    struct load_options lo = *o;
    double low = 0, high = 0, step = guess > 0 ? STEP_UNKNOWN : STEP;
    memset(best, 0, sizeof *best);
    lo.drain_us = DRAIN_US;
    lo.rate = guess > 0 ? guess : guess_of(t, o);
    if (lo.rate < 1)
        return false;
    for (int i = 0; i < TRIES && !is_found(low, high, lo.rate); i++) {
        if (!run_once(t, &lo, &r))
            return false;
        if (each)
            each(t, &lo, &r);
        if (run_is_clean(&r)) {
            low = lo.rate;
            *best = r;
        } else {
            high = lo.rate;
        }
        lo.rate = next_rate(t, low, high, step);
    }
    return true;
}

/* ---- held calls */

static uint32_t calls_up(const struct load *l) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->o.calls_max; i++)
        n += l->calls[i].used && !l->calls[i].failed && l->calls[i].dlg[0].state == DLG_UP;
    return n;
}

#define SETTLE_US 300000u

bool run_held(struct target *t, const struct load_options *o, uint32_t calls, struct held *h) {
    static struct load l;
    struct load_options lo = *o;
    uint64_t half_us = (uint64_t)(1e6 * calls / o->rate / 2);
    memset(h, 0, sizeof *h);
    h->calls = calls;
    lo.hold_us = 2 * half_us + 5 * SETTLE_US;
    lo.calls = calls;
    lo.calls_max = calls;
    t->held = calls;
    bool ok = load_begin(&l, t, &lo);
    if (ok) {
        h->before_kib = target_rss_kib(t);
        load_phase(&l, lo.rate, half_us);
        uint64_t half_kib = target_rss_kib(t);
        load_phase(&l, lo.rate, half_us + SETTLE_US);
        load_drain(&l, SETTLE_US);
        h->with_kib = target_rss_kib(t);
        h->up = calls_up(&l);
        h->kib = h->up ? ((double)h->with_kib - (double)h->before_kib) / h->up : 0;
        h->further_kib = h->up ? 2 * ((double)h->with_kib - (double)half_kib) / h->up : 0;
        load_drain(&l, lo.hold_us + DRAIN_US);
        load_give_up(&l);
        h->t = l.t;
    }
    load_end(&l, t);
    t->held = 0;
    return ok;
}
