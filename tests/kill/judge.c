/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/kill/kill.h"

#include <stdarg.h>

void lost(const char *format, ...) {
    va_list args;
    if (K.why[0])
        return;
    va_start(args, format);
    vsnprintf(K.why, sizeof K.why, format, args);
    va_end(args);
}

static struct addr media_of(const struct side *s) {
    struct addr a = rig_phone(s->who);
    a.port = s->port;
    return a;
}

/* By the relay of this node. */
static bool relayed(unsigned node, const struct side *x, const struct side *y) {
    uint8_t rtp[172] = { 0x80, 0 };
    unsigned low = K.w->config.media_port_min, to = x->theirs.rtp.port, from = y->theirs.rtp.port;
    struct addr src = media_of(x), dst = media_of(y);
    struct relay_verdict v;
    struct relay_in in = { .stream = (to - low) / 2, .src = src, .bytes = rtp, .n = sizeof rtp };
    rtp[11] = (uint8_t)x->port;
    if (to < low || to >= low + 2 * PORTS_MAX)
        return false;
    relay_packet(&K.relays[node], &in, K.w->now, &v);
    return v.drop == RELAY_FORWARD && addr_eq(&v.dst, &dst) && low + 2 * v.out_stream == from;
}

bool hears(const struct side *x, const struct side *y) {
    for (unsigned i = 0; i < K.nodes; i++) {
        struct addr at = rig_addr(K.own_media ? 200 + i : 1, x->theirs.rtp.port);
        if (K.w->c[i].e && addr_eq(&at, &x->theirs.rtp) && relayed(i, x, y))
            return true;
    }
    return false;
}

unsigned up_sides(enum rig_name who, struct side **one) {
    unsigned n = 0;
    for (unsigned i = 0; i < SIDES_MAX; i++) {
        struct side *s = &K.p.sides[i];
        if (s->used && s->who == who && (s->up || s->ringing) && !s->ended) {
            *one = s;
            n++;
        }
    }
    return n;
}

/* Exactly these two talk, and nobody else. */
static bool talk(enum rig_name who, enum rig_name with, enum rig_name nobody) {
    struct side *x = NULL, *y = NULL, *z = NULL;
    unsigned a = up_sides(who, &x), b = up_sides(with, &y), c = up_sides(nobody, &z);
    if (a != 1 || b != 1 || c)
        lost("told %u: %s is in %u calls, %s in %u, %s in %u", P.ba->told, rig_names[who], a, rig_names[with], b,
             rig_names[nobody], c);
    else if (!hears(x, y) || !hears(y, x))
        lost("told %u: %s is %sheard by %s, who is %sheard", P.ba->told, rig_names[who], hears(x, y) ? "" : "not ",
             rig_names[with], hears(y, x) ? "" : "not ");
    else if (strcmp(x->dir, "sendrecv") != 0 || strcmp(y->dir, "sendrecv") != 0)
        lost("told %u: %s is left %s, %s %s", P.ba->told, rig_names[who], x->dir, rig_names[with], y->dir);
    P.last = x;
    P.heard = y;
    return !K.why[0];
}

enum outcome judge(void) {
    bool done = P.ba->told < 300;
    if (done && K.flow->must_fail)
        lost("told %u of a transfer that cannot be", P.ba->told);
    /* A REFER that was refused has promised nothing. */
    if (!done && !K.flow->must_fail && P.ba->refer_status < 300)
        lost("rolled back behind the 202, and all were willing: told %u", P.ba->told);
    if (!talk(ALICE, done ? CAROL : BOB, done ? BOB : CAROL))
        return OUT_LOST;
    return done ? OUT_DONE : OUT_BACK;
}

static unsigned stored(struct slice table) {
    return (unsigned)store_count(K.w->store, table, cluster_wall(K.w));
}

bool nothing_is_left(void) {
    return !calls_left() && !stored(SL("call")) && !stored(SL("moved"));
}

void judge_end(void) {
    struct side *s = NULL;
    unsigned records = stored(SL("call")), left = calls_left(), stubs = stored(SL("moved"));
    if (left || records || stubs)
        lost("left over: %u in engines, %u records, %u stubs", left, records, stubs);
    for (unsigned who = ALICE; who <= CAROL; who++)
        if (up_sides((enum rig_name)who, &s))
            lost("%s is left with nobody and without a BYE", rig_names[who]);
    if (K.w->wrong_owner)
        lost("an engine sent for what it did not own");
    if (K.p.wrong[0])
        lost("%s", K.p.wrong);
}
