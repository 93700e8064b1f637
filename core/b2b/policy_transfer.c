/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who may transfer, to where, how many at a time and a minute. */
#include "core/b2b/policy.h"
#include "parser/sip_uri.h"

#define MINUTE_US 60000000ull

/* ---- rules */

static bool is_separator(char c) {
    return c == '-' || c == '.' || c == '(' || c == ')' || c == ' ';
}

static bool is_digit_of_number(char c) {
    return (c >= '0' && c <= '9') || c == '+' || c == '*' || c == '#' || is_separator(c);
}

/* What the user part means: 0%30, 0-0 and 00 are one number (RFC 3966 section 5.1.1), or a rule could be dodged. */
static struct slice plain_user(struct slice user, struct sbuf *b) {
    uint32_t n = 0;
    if (!user.p || !sip_unescape(b, user) || b->overflow)
        return user;
    struct slice parameters = sbuf_slice(b);
    int32_t end = slice_find(parameters, ';'); /* tel: in a SIP user part may have its own */
    b->n = end >= 0 ? (uint32_t)end : b->n;
    for (uint32_t i = 0; i < b->n; i++)
        if (!is_digit_of_number(b->p[i]))
            return sbuf_slice(b);
    for (uint32_t i = 0; i < b->n; i++)
        if (!is_separator(b->p[i]))
            b->p[n++] = b->p[i];
    return slice_of(b->p, n);
}

static bool is_local(const struct engine *e, const struct sip_uri *to, struct slice user) {
    if (to->scheme != SIP_SCHEME_TEL && !policy_is_our_host(e, to->host.host))
        return false;
    for (uint32_t i = 0; i < e->policy.echo_count; i++)
        if (slice_eq(slice_str(e->policy.echo[i]), user))
            return true;
    return policy_user(e, user) != NULL;
}

/* "user:" and "peer:" alone stand for all of them. */
static bool from_fits(const char *from, struct slice principal) {
    struct slice f = slice_str(from);
    bool kind = f.n && f.p[f.n - 1] == ':';
    return f.n == 0 || (principal.p && (kind ? slice_has_prefix(principal, f) : slice_eq(principal, f)));
}

static bool rule_fits(const struct engine *e, const struct transfer_rule *r, const struct sip_uri *to,
                      struct slice user) {
    if (!slice_has_prefix(user, slice_str(r->prefix)))
        return false;
    if (r->domain[0] && !slice_ieq(to->host.host, slice_str(r->domain)))
        return false;
    return r->to == TRANSFER_TO_ANY || is_local(e, to, user) == (r->to == TRANSFER_TO_LOCAL);
}

static bool is_denied(const struct engine *e, struct slice principal, const struct sip_uri *to, bool call) {
    char mem[256];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct slice user = plain_user(to->user, &b);
    for (uint32_t i = 0; i < e->policy.rule_count; i++) {
        const struct transfer_rule *r = &e->policy.rules[i];
        if ((call && !r->calls) || !from_fits(r->from, principal) || !rule_fits(e, r, to, user))
            continue;
        return r->action == TRANSFER_DENY;
    }
    return false;
}

struct slice policy_transfer_denied(const struct engine *e, struct slice principal, const struct sip_uri *to) {
    return is_denied(e, principal, to, false) ? SL("Transfer to there not allowed") : SLICE_NONE;
}

struct slice policy_call_denied(const struct engine *e, struct slice principal, const struct sip_uri *to) {
    return is_denied(e, principal, to, true) ? SL("Call to there not allowed") : SLICE_NONE;
}

/* ---- limits */

static uint32_t pending_of(const struct engine *e, struct slice principal) {
    uint32_t cursor = 0, n = 0;
    handle h;
    for (const struct transfer *t; (t = pool_next(&e->transfers, &cursor, &h));)
        n += !t->result && !t->history.result && t->mode != MODE_TAKEOVER &&
             slice_eq(strs_get(&t->s, TRF_BY), principal);
    return n;
}

/* Its own place, or the one of its set that is full again the soonest. */
static struct transfer_rate *rate_of(struct engine *e, struct slice principal) {
    struct key128 k = siphash128(e->map_key, principal.p ? principal.p : "", principal.n);
    struct transfer_rate *set = &e->rates[k.a % (TRANSFER_RATES / TRANSFER_RATE_WAYS) * TRANSFER_RATE_WAYS];
    struct transfer_rate *oldest = set;
    for (unsigned i = 0; i < TRANSFER_RATE_WAYS; i++) {
        if (key128_eq(set[i].who, k))
            return &set[i];
        if (set[i].full_us < oldest->full_us)
            oldest = &set[i];
    }
    *oldest = (struct transfer_rate){ .who = k };
    return oldest;
}

static bool take_rate(struct engine *e, struct slice principal) {
    uint32_t per_minute = policy_transfers_per_minute(e, principal);
    if (per_minute == 0)
        return true;
    struct transfer_rate *r = rate_of(e, principal);
    uint64_t full = r->full_us > e->now ? r->full_us : e->now;
    uint64_t one = MINUTE_US / per_minute;
    if (full + one > e->now + MINUTE_US)
        return false;
    r->full_us = full + one;
    return true;
}

struct slice policy_transfer_limited(struct engine *e, struct slice principal) {
    if (e->cfg.transfers_pending && pending_of(e, principal) >= e->cfg.transfers_pending)
        return SL("Too many transfers at a time");
    if (!take_rate(e, principal))
        return SL("Too many transfers a minute");
    return SLICE_NONE;
}
