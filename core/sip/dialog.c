/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/dialog.h"

#include "core/base/check.h"
#include "core/sip/branch.h"
#include "parser/sip_hdr.h"
#include "parser/sip_uri.h"
#include "parser/sip_write.h"

/* Of its texts and the owner's, which are two descriptions before long. */
#define USUAL_BYTES 640

void nameaddr_put_bare(struct sbuf *b, const struct sip_nameaddr *na) {
    if (na->display.p && na->display.n) {
        sbuf_put(b, na->display);
        sbuf_char(b, ' ');
    }
    sbuf_char(b, '<');
    sbuf_put(b, na->uri.whole);
    sbuf_char(b, '>');
}

static bool set_nameaddr(struct dialog *d, struct ua *ua, unsigned field, const struct sip_nameaddr *na) {
    struct sbuf b = sbuf_on(ua->scratch, sizeof ua->scratch);
    nameaddr_put_bare(&b, na);
    return !b.overflow && strs_set(&d->s, ua->bufs, field, sbuf_slice(&b));
}

/* Contact of the message as a URI; absent when there is none that can be read. */
static struct slice contact_uri(const struct sip_msg *msg) {
    struct sip_values cur = { 0 };
    struct slice value;
    struct sip_contact c;
    if (!sip_values_next(msg, SIP_H_CONTACT, &cur, &value))
        return SLICE_NONE;
    if (sip_contact_parse(value, &c) < 0 || c.star)
        return SLICE_NONE;
    return c.addr.uri.whole;
}

/* Record-Route values joined; reversed for a UAC (sections 12.1.1, 12.1.2). */
static bool set_routes(struct dialog *d, struct ua *ua, const struct sip_msg *msg, bool reversed) {
    struct slice all[32];
    uint32_t n = 0;
    struct sip_values cur = { 0 };
    while (n < 32 && sip_values_next(msg, SIP_H_RECORD_ROUTE, &cur, &all[n]))
        n++;
    if (n == 0)
        return strs_set(&d->s, ua->bufs, DLG_ROUTES, SLICE_NONE);
    struct sbuf b = sbuf_on(ua->scratch, sizeof ua->scratch);
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            sbuf_lit(&b, ", ");
        sbuf_put(&b, all[reversed ? n - 1 - i : i]);
    }
    return !b.overflow && strs_set(&d->s, ua->bufs, DLG_ROUTES, sbuf_slice(&b));
}

void dialog_seed_branch(struct dialog *d, const struct ua *ua) {
    struct slice tag = strs_get(&d->s, DLG_LOCAL_TAG);
    struct key128 k = siphash128(ua->branch_key, tag.p, tag.n);
    d->branch_seed = (struct siphash_key){ k.a, k.b };
}

bool dialog_init_uas(struct dialog *d, struct ua *ua, const struct sip_msg *invite, struct slice local_tag,
                     const struct addr *src, const struct addr *dst) {
    struct buf_pool *pool = ua->bufs;
    struct slice target = contact_uri(invite);
    *d = (struct dialog){ .flow = *src, .local = *dst, .remote_cseq = invite->cseq, .remote_cseq_known = true };
    bool ok = strs_reserve(&d->s, pool, USUAL_BYTES) && strs_set(&d->s, pool, DLG_CALL_ID, invite->call_id) &&
              strs_set(&d->s, pool, DLG_LOCAL_TAG, local_tag) &&
              strs_set(&d->s, pool, DLG_REMOTE_TAG, invite->from_tag) &&
              set_nameaddr(d, ua, DLG_LOCAL_URI, &invite->to) && set_nameaddr(d, ua, DLG_REMOTE_URI, &invite->from) &&
              strs_set(&d->s, pool, DLG_TARGET, target.p ? target : invite->from.uri.whole) &&
              set_routes(d, ua, invite, false);
    if (!ok) {
        dialog_free(d, ua);
        return false;
    }
    dialog_seed_branch(d, ua);
    return true;
}

bool dialog_init_uac(struct dialog *d, struct ua *ua, const struct dialog_uac *u) {
    struct buf_pool *pool = ua->bufs;
    *d = (struct dialog){ .uac = true, .flow = u->dst };
    bool ok = strs_reserve(&d->s, pool, USUAL_BYTES) && strs_set(&d->s, pool, DLG_LOCAL_TAG, u->local_tag);
    struct slice tag = strs_get(&d->s, DLG_LOCAL_TAG);
    ok = ok && strs_set(&d->s, pool, DLG_CALL_ID, slice_eq(u->call_id, tag) ? tag : u->call_id) &&
              strs_set(&d->s, pool, DLG_LOCAL_URI, u->local_uri) &&
              strs_set(&d->s, pool, DLG_REMOTE_URI, u->remote_uri) && strs_set(&d->s, pool, DLG_TARGET, u->target) &&
              strs_set(&d->s, pool, DLG_ROUTES, u->routes);
    if (!ok) {
        dialog_free(d, ua);
        return false;
    }
    dialog_seed_branch(d, ua);
    return true;
}

bool dialog_from_response(struct dialog *d, struct ua *ua, const struct sip_msg *msg) {
    return strs_set(&d->s, ua->bufs, DLG_REMOTE_TAG, msg->to_tag) && set_routes(d, ua, msg, true) &&
           dialog_refresh(d, ua, msg);
}

/* "<target>" and nothing else, as a 2xx has it behind its 180: read before. */
static bool is_target(const struct dialog *d, struct slice contact) {
    struct slice target = strs_get(&d->s, DLG_TARGET);
    return target.p && contact.n == target.n + 2 && contact.p[0] == '<' && contact.p[contact.n - 1] == '>' &&
           memcmp(contact.p + 1, target.p, target.n) == 0;
}

bool dialog_refresh(struct dialog *d, struct ua *ua, const struct sip_msg *msg) {
    if (is_target(d, sip_hdr_value(msg, SIP_H_CONTACT)))
        return true;
    struct slice uri = contact_uri(msg);
    if (!uri.p || slice_eq(uri, strs_get(&d->s, DLG_TARGET)))
        return true;
    return strs_set(&d->s, ua->bufs, DLG_TARGET, uri);
}

void dialog_free(struct dialog *d, struct ua *ua) {
    strs_free(&d->s, ua->bufs);
}

bool dialog_matches_request(const struct dialog *d, const struct sip_msg *msg) {
    struct slice remote = strs_get(&d->s, DLG_REMOTE_TAG);
    return slice_eq(strs_get(&d->s, DLG_CALL_ID), msg->call_id) &&
           slice_eq(strs_get(&d->s, DLG_LOCAL_TAG), msg->to_tag) && slice_eq(remote, msg->from_tag);
}

bool dialog_accept_cseq(struct dialog *d, const struct sip_msg *msg) {
    bool old = d->remote_cseq_known && msg->cseq <= d->remote_cseq;
    if (old && msg->method != SIP_M_ACK && msg->method != SIP_M_CANCEL)
        return false;
    if (!old) {
        d->remote_cseq = msg->cseq;
        d->remote_cseq_known = true;
    }
    return true;
}

/* RFC 1918, RFC 6598, RFC 3927, RFC 4193: addresses that mean something only behind the peer's own NAT. */
static bool is_private(const struct addr *a) {
    const uint8_t *p = a->ip;
    if (a->family == ADDR_V6)
        return (p[0] & 0xfe) == 0xfc || (p[0] == 0xfe && (p[1] & 0xc0) == 0x80);
    return p[0] == 10 || (p[0] == 172 && (p[1] & 0xf0) == 16) || (p[0] == 192 && p[1] == 168) ||
           (p[0] == 100 && (p[1] & 0xc0) == 64) || (p[0] == 169 && p[1] == 254);
}

static bool uri_addr(struct slice text, struct addr *out) {
    struct sip_uri u;
    if (sip_uri_parse(text, &u) < 0 || (u.scheme != SIP_SCHEME_SIP && u.scheme != SIP_SCHEME_SIPS))
        return false;
    struct addr a = { 0 };
    if (!addr_parse_ip(u.host.host, &a))
        return false;
    a.port = u.host.port ? u.host.port : 5060;
    *out = a;
    return true;
}

/* By its end, where host and port are, and by what is before that; NULL: too short or too long. */
static struct ua_target *place_of(struct ua *ua, struct slice uri) {
    if (uri.n < 16 || uri.n > sizeof ua->targets->text)
        return NULL;
    uint64_t h = slice_load64(uri.p + uri.n - 8) + 3 * slice_load64(uri.p + uri.n - 16) + uri.n;
    return &ua->targets[(h * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (UA_TARGETS - 1)];
}

/* uri_addr of a text that was mostly read before. */
static bool known_addr(struct ua *ua, struct slice uri, struct addr *out) {
    struct ua_target *t = place_of(ua, uri);
    if (!t)
        return uri_addr(uri, out);
    if (!slice_eq(slice_of(t->text, t->n), uri)) {
        if (!uri_addr(uri, &t->addr))
            return false;
        t->n = (uint16_t)uri.n;
        slice_copy(t->text, uri);
    }
    *out = t->addr;
    return true;
}

static bool first_route(const struct dialog *d, struct sip_nameaddr *na, struct slice *rest) {
    struct slice value;
    *rest = strs_get(&d->s, DLG_ROUTES);
    return rest->n && sip_list_next(rest, &value) && sip_nameaddr_parse(value, na) >= 0;
}

void dialog_next_hop(const struct dialog *d, struct ua *ua, struct addr *out) {
    struct sip_nameaddr route;
    struct slice rest;
    struct addr a;
    *out = d->flow;
    if (first_route(d, &route, &rest)) {
        if (known_addr(ua, route.uri.whole, &a))
            *out = a;
        return;
    }
    if (!known_addr(ua, strs_get(&d->s, DLG_TARGET), &a))
        return;
    if (d->flow.family != ADDR_NONE && is_private(&a) && !addr_eq_ip(&a, &d->flow))
        return;
    *out = a;
}

struct slice dialog_request_uri(const struct dialog *d) {
    struct sip_nameaddr route;
    struct slice rest;
    bool strict = first_route(d, &route, &rest) && !sip_uri_param(&route.uri, SL("lr")).p;
    return strict ? route.uri.whole : strs_get(&d->s, DLG_TARGET);
}

/* A first route without lr is a strict router's: it takes the Request-URI, the target goes last (section 12.2.1.1). */
static void put_target(struct sbuf *b, const struct dialog *d, struct slice method) {
    struct sip_nameaddr route;
    struct slice rest, target = strs_get(&d->s, DLG_TARGET), routes = strs_get(&d->s, DLG_ROUTES);
    if (!first_route(d, &route, &rest) || sip_uri_param(&route.uri, SL("lr")).p) {
        sip_put_request(b, method, target);
        if (routes.n)
            sip_put_hdr(b, SL("Route"), routes);
        return;
    }
    sip_put_request(b, method, route.uri.whole);
    sbuf_lit(b, "Route: ");
    if (slice_trim(rest).n) {
        sbuf_put(b, slice_trim(rest));
        sbuf_lit(b, ", ");
    }
    sbuf_char(b, '<');
    sbuf_put(b, target);
    sbuf_lit(b, ">\r\n");
}

static void put_identity(struct sbuf *b, const struct dialog *d, struct ua *ua, const struct dialog_request *r) {
    sip_put_from_to(b, SL("From"), strs_get(&d->s, DLG_LOCAL_URI), strs_get(&d->s, DLG_LOCAL_TAG));
    sip_put_from_to(b, SL("To"), strs_get(&d->s, DLG_REMOTE_URI), strs_get(&d->s, DLG_REMOTE_TAG));
    sip_put_hdr(b, SL("Call-ID"), strs_get(&d->s, DLG_CALL_ID));
    sip_put_cseq(b, r->cseq, r->method);
    sip_put_hdr_u64(b, SL("Max-Forwards"), r->max_forwards);
    if (r->contact) {
        sbuf_lit(b, "Contact: <sip:");
        sbuf_put(b, strs_get(&d->s, DLG_LOCAL_TAG));
        sbuf_char(b, '@');
        sbuf_put(b, ua->sent_by);
        sbuf_lit(b, ">\r\nAllow: " UA_ALLOW "\r\n");
        sip_put_hdr(b, SL("Supported"), r->no_rel100 ? SL(UA_SUPPORTED_LESS) : SL(UA_SUPPORTED));
    }
    if (ua->agent.n)
        sip_put_hdr(b, SL("User-Agent"), ua->agent);
}

struct buf *dialog_build(const struct dialog *d, struct ua *ua, const struct dialog_request *r, char *branch_mem,
                         struct slice *branch) {
    struct sbuf br = sbuf_on(branch_mem, DIALOG_BRANCH_MAX);
    branch_put(&br, strs_get(&d->s, DLG_LOCAL_TAG), d->branch_seed, r->cseq, r->attempt);
    *branch = sbuf_slice(&br);
    struct sbuf b = sbuf_on(ua->scratch, SIP_MESSAGE_MAX);
    /* The Via belongs behind the start line, and put_target writes both it and Route: order among headers is free. */
    put_target(&b, d, r->method);
    sip_put_via(&b, SIP_UDP, ua->sent_by, *branch);
    put_identity(&b, d, ua, r);
    if (r->extra.n)
        sbuf_put(&b, r->extra);
    if (r->own.n)
        sbuf_put(&b, r->own);
    return ua_message(ua, &b, r->content_type, r->body);
}
