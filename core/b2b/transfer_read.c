/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/transfer_refer.h"

#include "parser/sip_uri.h"

bool refer_bad(struct refer *r, uint16_t status, struct slice reason) {
    r->status = status;
    r->reason = reason;
    return false;
}

/* Section 19.1.5 of RFC 3261: these would let a REFER forge our INVITE. */
static bool is_forbidden(enum sip_hdr_id id) {
    static const uint8_t list[] = {
        SIP_H_FROM,
        SIP_H_TO,
        SIP_H_CALL_ID,
        SIP_H_CSEQ,
        SIP_H_VIA,
        SIP_H_RECORD_ROUTE,
        SIP_H_ROUTE,
        SIP_H_CONTACT,
        SIP_H_MAX_FORWARDS,
        SIP_H_CONTENT_LENGTH,
        SIP_H_CONTENT_TYPE,
        SIP_H_AUTHORIZATION,
        SIP_H_PROXY_AUTHORIZATION,
        SIP_H_P_ASSERTED_IDENTITY,
        SIP_H_PATH,
        SIP_H_PROXY_REQUIRE,
        SIP_H_SUPPORTED,
        SIP_H_ALLOW,
        SIP_H_REFERRED_BY,
        SIP_H_REFER_TO,
        SIP_H_IDENTITY,
    };
    for (unsigned i = 0; i < sizeof list; i++)
        if (list[i] == id)
            return true;
    return false;
}

static bool take_replaces(struct refer *r, struct slice escaped) {
    struct sbuf b = sbuf_on(r->replaces_text, sizeof r->replaces_text);
    if (r->has_replaces)
        return refer_bad(r, 400, SL("Replaces twice in Refer-To"));
    if (!sip_unescape(&b, escaped) || b.overflow ||
        sip_replaces_parse_loosely(sbuf_slice(&b), &r->replaces) < 0)
        return refer_bad(r, 400, SL("Bad Replaces in Refer-To"));
    r->replaces_n = b.n;
    r->has_replaces = true;
    return true;
}

static bool has_line_end(struct slice s) {
    return slice_find(s, '\r') >= 0 || slice_find(s, '\n') >= 0;
}

static bool take_uri_header(struct refer *r, struct slice name, struct slice value) {
    enum sip_hdr_id id = sip_hdr_id_of(name);
    if (id == SIP_H_REPLACES)
        return take_replaces(r, value);
    if (id == SIP_H_REQUIRE) {
        r->require_replaces = slice_ieq(value, SL("replaces"));
        return r->require_replaces || refer_bad(r, 420, SL("Require in Refer-To"));
    }
    if (is_forbidden(id) || slice_ieq(name, SL("body")))
        return refer_bad(r, 403, SL("Forbidden header in Refer-To"));
    uint32_t from = r->extra.n;
    sbuf_put(&r->extra, name);
    sbuf_lit(&r->extra, ": ");
    if (slice_find(name, '%') >= 0 || !sip_unescape(&r->extra, value) ||
        has_line_end(slice_of(r->extra.p + from, r->extra.n - from)))
        return refer_bad(r, 400, SL("Bad header in Refer-To"));
    sbuf_lit(&r->extra, "\r\n");
    return !r->extra.overflow || refer_bad(r, 400, SL("Refer-To too long"));
}

static bool read_refer_to(const struct sip_msg *msg, struct refer *r) {
    struct sip_values cur = { 0 };
    struct slice value, second, rest, name, v;
    if (!sip_values_next(msg, SIP_H_REFER_TO, &cur, &value))
        return refer_bad(r, 400, SL("Missing Refer-To"));
    if (sip_values_next(msg, SIP_H_REFER_TO, &cur, &second))
        return refer_bad(r, 400, SL("More than one Refer-To"));
    if (sip_nameaddr_parse(value, &r->to) < 0)
        return refer_bad(r, 400, SL("Bad Refer-To"));
    const struct sip_uri *u = &r->to.uri;
    if (u->scheme != SIP_SCHEME_SIP && u->scheme != SIP_SCHEME_SIPS && u->scheme != SIP_SCHEME_TEL)
        return refer_bad(r, 416, SL("Unsupported scheme in Refer-To"));
    struct slice method = sip_uri_param(u, SL("method"));
    if (method.p && !slice_eq(method, SL("INVITE")))
        return refer_bad(r, 403, SL("Refer-To with another method"));
    rest = u->headers;
    while (rest.n && sip_uri_header_next(&rest, &name, &v))
        if (!take_uri_header(r, name, v))
            return false;
    return rest.n == 0 || refer_bad(r, 400, SL("Bad header in Refer-To"));
}

bool refer_read(const struct sip_msg *msg, struct refer *r) {
    memset(r, 0, offsetof(struct refer, replaces_text));
    r->extra = sbuf_on(r->extra_mem, sizeof r->extra_mem);
    const struct sip_hdr *by = sip_hdr_first(msg, SIP_H_REFERRED_BY);
    if (by && sip_hdr_next(msg, by))
        return refer_bad(r, 400, SL("More than one Referred-By"));
    r->referred_by = by ? by->value : SLICE_NONE;
    if (msg->max_forwards == 0)
        return refer_bad(r, 483, SLICE_NONE); /* it would be forwarded as our INVITE */
    bool none = sip_list_has(msg, SIP_H_REQUIRE, SL("nosub"));
    r->explicit_sub = sip_list_has(msg, SIP_H_REQUIRE, SL("explicitsub"));
    if (none && r->explicit_sub)
        return refer_bad(r, 400, SL("nosub and explicitsub"));
    r->no_subscription =
        none || r->explicit_sub || slice_has_prefix(sip_hdr_value(msg, SIP_H_REFER_SUB), SL("false"));
    return read_refer_to(msg, r);
}
