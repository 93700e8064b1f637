/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/uas.h"

#include "parser/sip_hdr.h"
#include "parser/sip_write.h"

/* Malformed ones go back as they came: sip_answerable. */
static void put_call_id_and_cseq(struct sbuf *b, const struct sip_msg *req) {
    if (req->call_id.n)
        sip_put_hdr(b, SL("Call-ID"), req->call_id);
    else
        sip_put_copy(b, req, SIP_H_CALL_ID);
    if (req->cseq_method_name.n)
        sip_put_cseq(b, req->cseq, req->cseq_method_name);
    else
        sip_put_copy(b, req, SIP_H_CSEQ);
}

/* What is not of the request. */
static struct buf *finish(struct ua *ua, struct sbuf *b, const struct uas_response *r) {
    if (r->contact_user.p) {
        sbuf_lit(b, "Contact: <sip:");
        sbuf_put(b, r->contact_user);
        sbuf_char(b, '@');
        sbuf_put(b, ua->sent_by);
        sbuf_lit(b, ">\r\nAllow: " UA_ALLOW "\r\nSupported: " UA_SUPPORTED "\r\n");
    }
    if (ua->agent.n)
        sip_put_hdr(b, SL("Server"), ua->agent);
    if (r->extra.n)
        sbuf_put(b, r->extra);
    if (r->own.n)
        sbuf_put(b, r->own);
    return ua_message(ua, b, r->content_type, r->body);
}

struct buf *uas_build(struct ua *ua, const struct sip_msg *request, const struct addr *src,
                      const struct uas_response *r) {
    struct sbuf b = sbuf_on(ua->scratch, SIP_MESSAGE_MAX);
    sip_put_status(&b, r->status, r->reason);
    sip_put_vias(&b, request, src);
    if (r->contact_user.p)
        sip_put_copy(&b, request, SIP_H_RECORD_ROUTE);
    sip_put_hdr(&b, SL("From"), request->from.value);
    sip_put_from_to(&b, SL("To"), request->to.value, request->to_tag.p ? SLICE_NONE : r->to_tag);
    put_call_id_and_cseq(&b, request);
    return finish(ua, &b, r);
}

struct buf *uas_build_on(struct ua *ua, const struct uas_head *h, const struct uas_response *r) {
    struct sbuf b = sbuf_on(ua->scratch, SIP_MESSAGE_MAX);
    sip_put_status(&b, r->status, r->reason);
    uas_head_put(&b, h, r->contact_user.p != NULL, r->to_tag);
    return finish(ua, &b, r);
}

static bool is_supported_option(struct slice tag) {
    static const struct slice known[] = { { "replaces", 8 }, { "norefersub", 10 }, { "nosub", 5 },
                                          { "explicitsub", 11 }, { "timer", 5 },     { "100rel", 6 } };
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (slice_ieq(tag, known[i]))
            return true;
    return false;
}

/* Section 8.2.2.3; Proxy-Require is held to the same list: whatever a proxy must know, we do not. */
static bool put_unsupported(struct sbuf *b, const struct sip_msg *msg, enum sip_hdr_id id) {
    struct sip_values cur = { 0 };
    struct slice tag;
    bool any = false;
    while (sip_values_next(msg, id, &cur, &tag)) {
        if (id == SIP_H_REQUIRE && is_supported_option(tag))
            continue;
        sbuf_put(b, b->n ? SL(", ") : SL("Unsupported: "));
        sbuf_put(b, tag);
        any = true;
    }
    return any;
}

static struct uas_refusal refuse(uint16_t status, struct slice reason, struct slice extra) {
    return (struct uas_refusal){ status, reason, extra };
}

static struct uas_refusal check_options(struct ua *ua, const struct sip_msg *msg) {
    struct sbuf b = ua_headers(ua);
    bool bad = put_unsupported(&b, msg, SIP_H_REQUIRE);
    bad = put_unsupported(&b, msg, SIP_H_PROXY_REQUIRE) || bad;
    if (!bad)
        return refuse(0, SLICE_NONE, SLICE_NONE);
    sbuf_lit(&b, "\r\n");
    return refuse(420, SLICE_NONE, b.overflow ? SLICE_NONE : sbuf_slice(&b));
}

static bool accepts_sdp(const struct sip_msg *msg) {
    struct sip_values cur = { 0 };
    struct slice value;
    if (!sip_hdr_first(msg, SIP_H_ACCEPT))
        return true;
    while (sip_values_next(msg, SIP_H_ACCEPT, &cur, &value)) {
        struct sip_media_type t;
        if (sip_media_type_parse(value, &t) < 0)
            continue;
        bool type = slice_ieq(t.type, SL("application")) || slice_eq(t.type, SL("*"));
        if (type && (slice_ieq(t.subtype, SL("sdp")) || slice_eq(t.subtype, SL("*"))))
            return true;
    }
    return false;
}

static struct uas_refusal check_body(const struct sip_msg *msg) {
    struct slice enc = sip_hdr_value(msg, SIP_H_CONTENT_ENCODING);
    if (enc.n && !slice_ieq(enc, SL("identity")))
        return refuse(415, SLICE_NONE, SL("Accept-Encoding: identity\r\n"));
    if (msg->method == SIP_M_INVITE || msg->method == SIP_M_UPDATE || msg->method == SIP_M_PRACK) {
        if (msg->body.n && !sip_is_media_type(msg->content_type, SL("application"), SL("sdp")))
            return refuse(415, SLICE_NONE, SL("Accept: application/sdp\r\n"));
        if (!accepts_sdp(msg))
            return refuse(406, SLICE_NONE, SL("Accept: application/sdp\r\n"));
    }
    return refuse(0, SLICE_NONE, SLICE_NONE);
}

/* A call to a service is routed as others are (RFC 5031). */
static bool is_service(const struct sip_msg *msg) {
    static const char service[] = "service:";
    return msg->method == SIP_M_INVITE && msg->ruri.scheme == SIP_SCHEME_URN && msg->ruri.user.n > sizeof service - 1 &&
           slice_ieq(slice_of(msg->ruri.user.p, sizeof service - 1), slice_str(service));
}

struct uas_refusal uas_check(struct ua *ua, const struct sip_msg *msg) {
    static const struct slice allow = { "Allow: " UA_ALLOW ", REGISTER\r\n",
                                        sizeof("Allow: " UA_ALLOW ", REGISTER\r\n") - 1 };
    if (msg->method == SIP_M_UNKNOWN)
        return refuse(501, SLICE_NONE, allow);
    if (msg->method == SIP_M_PUBLISH)
        return refuse(405, SLICE_NONE, allow);
    if (msg->ruri.scheme != SIP_SCHEME_SIP && msg->ruri.scheme != SIP_SCHEME_SIPS &&
        msg->ruri.scheme != SIP_SCHEME_TEL && !is_service(msg))
        return refuse(416, SLICE_NONE, SLICE_NONE);
    if (msg->method == SIP_M_ACK || msg->method == SIP_M_CANCEL)
        return refuse(0, SLICE_NONE, SLICE_NONE);
    if (msg->max_forwards == 0 && msg->method == SIP_M_INVITE && !msg->to_tag.p)
        return refuse(483, SLICE_NONE, SLICE_NONE);
    struct uas_refusal r = check_options(ua, msg);
    return r.status ? r : check_body(msg);
}
