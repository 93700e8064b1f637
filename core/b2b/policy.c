/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/policy.h"

#include "core/b2b/registrar.h"
#include "core/base/check.h"
#include "parser/sip_uri.h"

const struct peer_config *policy_peer(const struct engine *e, const struct addr *src) {
    for (uint32_t i = 0; i < e->policy.peer_count; i++)
        if (addr_in_net(src, &e->policy.peers[i].net, e->policy.peers[i].bits))
            return &e->policy.peers[i];
    return NULL;
}

bool policy_credentials(const struct engine *e, struct slice principal, const struct addr *dst, struct slice realm,
                        struct auth_user *out) {
    for (uint32_t i = 0; i < e->policy.peer_count; i++) {
        const struct peer_config *p = &e->policy.peers[i];
        bool named = slice_has_prefix(principal, SL("peer:")) &&
                     slice_eq(slice_of(principal.p + 5, principal.n - 5), slice_str(p->name));
        if (!p->username[0] || (!named && !addr_in_net(dst, &p->net, p->bits)) ||
            (p->realm[0] && !slice_eq(slice_str(p->realm), realm)))
            continue;
        *out = (struct auth_user){ .username = slice_str(p->username), .password = slice_str(p->password) };
        return true;
    }
    return false;
}

const struct user_config *policy_user(const struct engine *e, struct slice name) {
    for (uint32_t i = 0; i < e->policy.user_count; i++)
        if (slice_eq(slice_str(e->policy.users[i].name), name))
            return &e->policy.users[i];
    return NULL;
}

bool policy_is_our_host(const struct engine *e, struct slice host) {
    if (slice_ieq(host, e->ua.host) || slice_ieq(host, slice_str(e->cfg.realm)))
        return true;
    for (uint32_t i = 0; i < e->policy.domain_count; i++)
        if (slice_ieq(host, slice_str(e->policy.domains[i])))
            return true;
    struct addr a = { 0 };
    /* A phone may know us by another of our addresses than the advertised one: it is the one it writes to. */
    return addr_parse_ip(host, &a) && (addr_eq_ip(&a, &e->cfg.sip_addr) || addr_eq_ip(&a, &e->here));
}

/* A principal's own configuration; at most one of the two is not NULL. */
struct party {
    const struct user_config *user;
    const struct peer_config *peer;
};

static struct party party_of(const struct engine *e, struct slice principal) {
    struct party p = { NULL, NULL };
    if (slice_has_prefix(principal, SL("user:")))
        p.user = policy_user(e, slice_of(principal.p + 5, principal.n - 5));
    for (uint32_t i = 0; i < e->policy.peer_count && slice_has_prefix(principal, SL("peer:")); i++)
        if (slice_eq(slice_str(e->policy.peers[i].name), slice_of(principal.p + 5, principal.n - 5)))
            p.peer = &e->policy.peers[i];
    return p;
}

enum refer_mode policy_refer_mode(const struct engine *e, struct slice principal) {
    struct party p = party_of(e, principal);
    enum refer_mode m = p.user ? p.user->refer : p.peer ? p.peer->refer : REFER_DEFAULT;
    return m == REFER_DEFAULT ? e->cfg.refer : m;
}

enum hold_mode policy_hold_mode(const struct engine *e, struct slice principal) {
    struct party p = party_of(e, principal);
    enum hold_mode m = p.user ? p.user->hold : p.peer ? p.peer->hold : HOLD_DEFAULT;
    return m == HOLD_DEFAULT ? e->cfg.hold : m;
}

bool policy_media_strict(const struct engine *e, struct slice principal) {
    struct party p = party_of(e, principal);
    return e->cfg.media_strict || (p.peer && p.peer->media_strict);
}

enum anchor_mode policy_anchor_mode(const struct engine *e, struct slice principal) {
    struct party p = party_of(e, principal);
    enum anchor_mode m = p.user ? p.user->anchor : p.peer ? p.peer->anchor : ANCHOR_DEFAULT;
    return m == ANCHOR_DEFAULT ? e->cfg.anchor : m;
}

uint32_t policy_transfers_per_minute(const struct engine *e, struct slice principal) {
    struct party p = party_of(e, principal);
    uint32_t n = p.user ? p.user->transfers_per_minute : p.peer ? p.peer->transfers_per_minute : 0;
    return n ? n : e->cfg.transfers_per_minute;
}

bool policy_has_own_srtp(const struct policy_config *p) {
    bool own = false;
    for (uint32_t i = 0; i < p->user_count; i++)
        own |= p->users[i].srtp != SRTP_MODE_DEFAULT;
    for (uint32_t i = 0; i < p->peer_count; i++)
        own |= p->peers[i].srtp != SRTP_MODE_DEFAULT;
    return own;
}

enum srtp_mode policy_srtp_mode(const struct engine *e, struct slice principal) {
    if (!e->own_srtp)
        return e->cfg.srtp;
    struct party p = party_of(e, principal);
    enum srtp_mode m = p.user ? p.user->srtp : p.peer ? p.peer->srtp : SRTP_MODE_DEFAULT;
    return m == SRTP_MODE_DEFAULT ? e->cfg.srtp : m;
}

static bool is_echo(const struct engine *e, struct slice user) {
    for (uint32_t i = 0; i < e->policy.echo_count; i++)
        if (slice_eq(slice_str(e->policy.echo[i]), user))
            return true;
    return false;
}

/* "urn:service:sos" and what stands below it, "urn:service:sos.fire" (RFC 5031 section 4). */
static bool is_sos(struct slice urn) {
    static const char sos[] = "service:sos";
    uint32_t n = sizeof sos - 1;
    return urn.n >= n && slice_ieq(slice_of(urn.p, n), slice_of(sos, n)) && (urn.n == n || urn.p[n] == '.');
}

bool policy_is_emergency(const struct engine *e, const struct sip_uri *uri) {
    char memory[CONFIG_NAME_MAX];
    struct sbuf plain = sbuf_on(memory, sizeof memory);
    if (uri->scheme == SIP_SCHEME_URN)
        return is_sos(uri->user);
    if (!e->policy.emergency_count || !uri->user.p || !sip_unescape(&plain, uri->user) || plain.overflow)
        return false;
    for (uint32_t i = 0; i < e->policy.emergency_count; i++)
        if (slice_eq(slice_str(e->policy.emergency[i]), sbuf_slice(&plain)))
            return true;
    return false;
}

bool policy_asks_for_emergency(const struct engine *e, const struct sip_msg *msg) {
    struct sip_nameaddr to;
    return policy_is_emergency(e, &msg->ruri) ||
           (msg->method == SIP_M_REFER && sip_nameaddr_parse(sip_hdr_value(msg, SIP_H_REFER_TO), &to) >= 0 &&
            policy_is_emergency(e, &to.uri));
}

static struct slice keep(struct policy_choice *out, struct sbuf *b, uint32_t from) {
    CHECK(b->p == out->memory);
    return slice_of(b->p + from, b->n - from);
}

static void refuse(struct policy_choice *out, uint16_t status, struct slice reason) {
    out->kind = POLICY_REFUSED;
    out->status = status;
    out->reason = reason;
}

/* Every binding rings: the first 2xx wins (RFC 3261 section 16.7). */
static void route_user(struct engine *e, const struct user_config *u, struct policy_choice *out) {
    struct registrar_binding found[LIMIT_FORKS_PER_LEG];
    struct sbuf b = sbuf_on(out->memory, sizeof out->memory);
    sbuf_lit(&b, "user:");
    sbuf_str(&b, u->name);
    struct slice principal = keep(out, &b, 0);
    out->count = registrar_find(e, slice_str(u->name), found, LIMIT_FORKS_PER_LEG);
    if (out->count == 0) {
        refuse(out, 480, SL("Not registered"));
        return;
    }
    out->kind = POLICY_LEGS;
    for (uint32_t i = 0; i < out->count; i++)
        out->targets[i] = (struct leg_target){ .uri = found[i].contact, .dst = found[i].flow, .principal = principal };
}

static bool route_fits(const struct route_config *r, const struct sip_uri *uri) {
    return slice_has_prefix(uri->user, slice_str(r->prefix)) &&
           (r->domain[0] == '\0' || slice_ieq(uri->host.host, slice_str(r->domain)));
}

static void route_static(const struct route_config *r, const struct sip_uri *uri, struct policy_choice *out) {
    struct sbuf b = sbuf_on(out->memory, sizeof out->memory);
    struct slice user = uri->user.p ? uri->user : SL("");
    uint32_t strip = r->strip < user.n ? r->strip : user.n;
    if (uri->scheme == SIP_SCHEME_URN) {
        sbuf_put(&b, uri->whole); /* resolved by who is there (RFC 5031 section 5) */
    } else {
        sbuf_lit(&b, "sip:");
        sbuf_str(&b, r->prepend);
        sbuf_put(&b, slice_of(user.p + strip, user.n - strip));
        if (b.n > 4)
            sbuf_char(&b, '@');
        addr_put(&b, &r->next_hop);
    }
    struct slice target = keep(out, &b, 0);
    uint32_t from = b.n;
    sbuf_lit(&b, "peer:");
    sbuf_str(&b, r->name);
    if (b.overflow) {
        refuse(out, 414, SLICE_NONE);
        return;
    }
    out->kind = POLICY_LEGS;
    out->count = 1;
    out->targets[0] = (struct leg_target){ .uri = target, .dst = r->next_hop, .principal = keep(out, &b, from) };
}

void policy_route(struct engine *e, const struct sip_uri *uri, struct policy_choice *out) {
    struct sbuf plain = ua_headers(&e->ua);
    out->count = 0;
    bool ours = uri->scheme == SIP_SCHEME_TEL || policy_is_our_host(e, uri->host.host);
    if (!sip_unescape(&plain, uri->user)) {
        refuse(out, 404, SLICE_NONE);
        return;
    }
    if (ours && is_echo(e, sbuf_slice(&plain))) {
        out->kind = POLICY_ECHO;
        return;
    }
    const struct user_config *u = ours ? policy_user(e, sbuf_slice(&plain)) : NULL;
    if (u) {
        route_user(e, u, out);
        return;
    }
    for (uint32_t i = 0; i < e->policy.route_count; i++) {
        if (!route_fits(&e->policy.routes[i], uri))
            continue;
        route_static(&e->policy.routes[i], uri, out);
        return;
    }
    refuse(out, 404, ours ? SLICE_NONE : SL("No route to that domain"));
}
