/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/demo/demo.h"

#include <stdarg.h>
#include <stdio.h>

void demo_say(struct demo *d, bool good, const char *fmt, ...) {
    va_list ap;
    if (!good)
        d->failures++;
    const char *colour = good ? "\033[32m" : "\033[31m";
    printf("%s%s%s", d->colour ? colour : "", good ? "   ok  " : "FAILED ", d->colour ? "\033[0m" : "");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

void demo_fail(struct demo *d, const char *what) {
    demo_say(d, false, "%s", what);
}

/* Provisional responses are not sent again when they are lost. */
static bool is_optional(const struct demo *d, const struct want *w) {
    return w->optional || (d->drop_every && w->status / 100 == 1);
}

static struct stage_result *result(struct demo *d) {
    return &d->results[d->stage_count - 1];
}

void stage_begin(struct demo *d, const char *name, const struct want *wants, unsigned n) {
    if (d->stage_count < DEMO_STAGES_MAX)
        d->stage_count++;
    *result(d) = (struct stage_result){ .name = name };
    d->wants = wants;
    d->want_count = n < DEMO_WANTS_MAX ? n : DEMO_WANTS_MAX;
    memset(d->got, 0, sizeof d->got);
    for (unsigned i = 0; i < d->want_count; i++)
        result(d)->wanted += !is_optional(d, &wants[i]);
    d->in_stage = true;
    for (int w = 0; w < WHO_COUNT; w++)
        phone_tick(&d->phones[w], clock_us());
    printf("\n%s\n", name);
    ladder_head(d);
}

/* A dialog fits a name that is bound to it, or a free name when it has none yet. */
static bool dialog_fits(const struct demo *d, const struct want *w, int dialog) {
    if (w->dlg == D_ANY)
        return true;
    if (w->dlg == D_NONE)
        return dialog < 0;
    if (d->bound[w->who][w->dlg] >= 0)
        return d->bound[w->who][w->dlg] == dialog;
    for (int k = D1; k < DLG_COUNT; k++)
        if (d->bound[w->who][k] == dialog)
            return false;
    return dialog >= 0;
}

static bool came_before(const struct demo *d, unsigned i) {
    const struct want *w = &d->wants[i];
    for (unsigned k = 0; !d->drop_every && k < d->want_count; k++) {
        bool chained = k < i && d->wants[k].chain == w->chain && d->wants[k].who == w->who;
        bool named = w->after && d->wants[k].label == w->after;
        if ((chained || named) && !d->got[k] && !d->wants[k].optional)
            return false;
    }
    return true;
}

/* The first line not yet ticked that this message is, if there is one for which it is as it should be; -1: none. */
static int find(const struct demo *d, enum who who, const struct phone_seen *seen) {
    const struct sip_msg *m = seen->msg;
    int first = -1;
    for (unsigned i = 0; i < d->want_count; i++) {
        const struct want *w = &d->wants[i];
        if ((d->got[i] && !w->repeat) || w->who != who || w->sent != seen->sent)
            continue;
        uint16_t status = m->status == 407 ? 401 : m->status;
        bool same = m->is_request ? w->status == 0 && w->method == m->method
                                  : w->status == status && w->method == m->cseq_method;
        if (!same || !dialog_fits(d, w, seen->dialog))
            continue;
        if (came_before(d, i) && (!w->check || !w->check(d, w, seen)))
            return (int)i;
        first = first < 0 ? (int)i : first;
    }
    return first;
}

static void tick(struct demo *d, int i, const struct phone_seen *seen) {
    const struct want *w = &d->wants[i];
    struct stage_result *r = result(d);
    const char *wrong = came_before(d, (unsigned)i) ? NULL : "out of order";
    if (w->dlg != D_ANY && w->dlg != D_NONE && d->bound[w->who][w->dlg] < 0)
        d->bound[w->who][w->dlg] = seen->dialog;
    if (!wrong && w->check)
        wrong = w->check(d, w, seen);
    if (is_optional(d, w))
        r->optional_seen++;
    else
        r->seen += !d->got[i];
    d->got[i] = true;
    if (wrong)
        r->wrong++, d->failures++;
    ladder_line(d, w->who, seen, wrong ? MARK_WRONG : MARK_OK, wrong);
    if (w->splice)
        audio_splice(d, w->who, seen->dialog);
    if (w->dies)
        cluster_kill(d, "transfers");
}

void demo_seen(void *arg, struct phone *ph, const struct phone_seen *seen) {
    struct demo *d = arg;
    enum who who = (enum who)(ph - d->phones);
    if (!seen->sent)
        cluster_heard(d);
    if (seen->flags & PHONE_SEEN_AGAIN) {
        d->retransmissions++;
        if (d->verbose)
            ladder_line(d, who, seen, MARK_AGAIN, NULL);
        return;
    }
    int i = d->in_stage ? find(d, who, seen) : -1;
    if (i >= 0) {
        tick(d, i, seen);
    } else if (seen->flags & PHONE_SEEN_AUTH) {
        d->digest_rounds += seen->sent && seen->msg->is_request && seen->msg->method != SIP_M_ACK;
        ladder_line(d, who, seen, MARK_AUTH, NULL);
    } else {
        if (d->stage_count)
            result(d)->unexpected++;
        d->failures++;
        ladder_line(d, who, seen, MARK_UNEXPECTED, "not expected");
    }
}

static bool complete(const struct demo *d) {
    for (unsigned i = 0; i < d->want_count; i++)
        if (!d->got[i] && !is_optional(d, &d->wants[i]))
            return false;
    return true;
}

static void say_missing(struct demo *d) {
    for (unsigned i = 0; i < d->want_count; i++) {
        const struct want *w = &d->wants[i];
        if (d->got[i] || is_optional(d, w))
            continue;
        struct slice method = sip_method_name(w->method);
        char status[16] = "";
        if (w->status)
            snprintf(status, sizeof status, "%u ", w->status);
        demo_say(d, false, "line did not come: phone %s %s %s%.*s: %s", phone_names[w->who],
                 w->sent ? "sends" : "receives", status, SLICE_FMT(method), w->text);
    }
}

bool stage_wait(struct demo *d) {
    uint64_t limit = clock_us() + DEMO_LIMIT_US * (d->drop_every ? 4 : d->flow.death ? 2 : 1);
    unsigned before = d->failures;
    while (!complete(d) && clock_us() < limit && daemon_alive(d))
        demo_turn(d, 20000);
    /* Optional lines and the last answers are given a moment. */
    demo_run(d, 30000);
    if (!complete(d)) {
        say_missing(d);
        return false;
    }
    return d->failures == before;
}

void demo_quiet(struct demo *d, const char *name, uint64_t us) {
    unsigned before = d->failures;
    demo_run(d, us);
    demo_say(d, d->failures == before, "%s", name);
}

bool demo_counters(struct demo *d) {
    unsigned long long bad = 0, stray = 0, origin = 0;
    for (int w = 0; w < WHO_COUNT; w++) {
        bad += d->phones[w].counters.bad;
        stray += d->phones[w].counters.stray;
        origin += d->phones[w].counters.origin_faults;
    }
    bool good = !bad && !stray && !origin;
    demo_say(d, good, "malformed messages %llu, stray responses %llu, o= lines not as RFC 3264 section 8 wants %llu",
             bad, stray, origin);
    return good;
}

bool demo_summary(const struct demo *d) {
    struct stage_result sum = { 0 };
    printf("\n%-66s %6s %6s %8s %6s %6s\n", "lines", "wanted", "seen", "missing", "wrong", "extra");
    for (unsigned i = 0; i < d->stage_count; i++) {
        const struct stage_result *r = &d->results[i];
        printf("%-66.66s %6u %6u %8u %6u %6u\n", r->name, r->wanted, r->seen, r->wanted - r->seen, r->wrong,
               r->unexpected);
        sum.wanted += r->wanted, sum.seen += r->seen, sum.wrong += r->wrong, sum.unexpected += r->unexpected;
    }
    printf("%-66s %6u %6u %8u %6u %6u\n", "all", sum.wanted, sum.seen, sum.wanted - sum.seen, sum.wrong,
           sum.unexpected);
    printf("retransmissions seen: %u; digest rounds besides: %u\n", d->retransmissions, d->digest_rounds);
    return sum.wanted == sum.seen && !sum.wrong && !sum.unexpected;
}
