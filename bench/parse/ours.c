/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/parse/bench.h"
#include "bench/parse/rivals.h"
#include "parser/sip_uri.h"

static struct sip_msg msg;

void replaces_split(struct slice text, struct fields *out) {
    struct sip_replaces rep;
    if (sip_replaces_parse(text, &rep) < 0)
        return;
    out->rep_call_id = rep.call_id;
    out->rep_to_tag = rep.to_tag;
    out->rep_from_tag = rep.from_tag;
}

static void decode_replaces(const struct sip_uri *refer, struct fields *out) {
    struct slice rest = refer->headers, name, value;
    struct sbuf text = sbuf_on(out->rep_mem, sizeof out->rep_mem);
    while (sip_uri_header_next(&rest, &name, &value)) {
        if (slice_ieq(name, SL("Replaces")) && sip_unescape(&text, value))
            replaces_split(sbuf_slice(&text), out);
    }
}

/* What sip_parse decodes at once. */
static void take_eager(const struct sip_msg *m, struct fields *out) {
    out->is_request = m->is_request;
    out->status = m->status;
    out->cseq = m->cseq;
    out->max_forwards = m->max_forwards;
    out->content_length = m->content_length;
    out->method = m->is_request ? m->method_name : SLICE_NONE;
    out->ruri_user = m->ruri.user;
    out->ruri_host = m->ruri.host.host;
    out->ruri_port = m->ruri.host.port;
    out->via_transport = m->via.transport_name;
    out->via_host = m->via.sent_by.host;
    out->via_port = m->via.sent_by.port;
    out->via_branch = m->via.branch;
    out->from_user = m->from.uri.user;
    out->from_host = m->from.uri.host.host;
    out->from_tag = m->from_tag;
    out->to_user = m->to.uri.user;
    out->to_host = m->to.uri.host.host;
    out->to_tag = m->to_tag;
    out->call_id = m->call_id;
    out->cseq_method = m->cseq_method_name;
}

static bool decode(const struct sip_ops *ops, struct slice message, struct fields *out) {
    static const struct sip_uri none = { .scheme = SIP_SCHEME_OTHER };
    struct sip_fault fault;
    struct sip_contact contact;
    struct sip_nameaddr refer;
    struct sip_media_type type;
    if (ops->parse(message, &msg, &fault) < 0)
        return false;
    take_eager(&msg, out);
    contact.addr.uri = none;
    if (msg.first[SIP_H_CONTACT])
        ops->contact(sip_hdr_value(&msg, SIP_H_CONTACT), &contact);
    out->contact_user = contact.addr.uri.user;
    out->contact_host = contact.addr.uri.host.host;
    out->contact_port = contact.addr.uri.host.port;
    out->type = out->subtype = SLICE_NONE;
    if (msg.content_type.p && sip_media_type_parse(msg.content_type, &type) > 0) {
        out->type = type.type;
        out->subtype = type.subtype;
    }
    out->rep_call_id = out->rep_to_tag = out->rep_from_tag = SLICE_NONE;
    refer.uri = none;
    if (msg.first[SIP_H_REFER_TO] && ops->nameaddr(sip_hdr_value(&msg, SIP_H_REFER_TO), &refer) > 0)
        decode_replaces(&refer.uri, out);
    out->refer_user = refer.uri.user;
    out->refer_host = refer.uri.host.host;
    return true;
}

#define PATH(id, text)                                                                                   \
    static bool usable_##id(void) {                                                                      \
        return sip_path_usable(SIP_PATH_##id);                                                           \
    }                                                                                                    \
    static bool decode_##id(struct slice message, struct fields *out) {                                  \
        return decode(sip_path_ops(SIP_PATH_##id), message, out);                                        \
    }                                                                                                    \
    static bool headers_##id(struct slice message, struct fields *out) {                                 \
        (void)out;                                                                                       \
        return sip_path_ops(SIP_PATH_##id)->headers(message, &msg) > 0;                                  \
    }
PATH(PLAIN, "plain C")
PATH(SSE2, "SSE2")
PATH(AVX2, "AVX2")
PATH(AVX512, "AVX-512")
#undef PATH

#define PATH(id, text) [SIP_PATH_##id] = { "ours, " text, usable_##id, decode_##id, NULL }
const struct contender ours[SIP_PATH_COUNT] = { PATH(PLAIN, "plain C"), PATH(SSE2, "SSE2"), PATH(AVX2, "AVX2"),
                                                PATH(AVX512, "AVX-512") };
#undef PATH
#define PATH(id, text) [SIP_PATH_##id] = { "headers only, " text, usable_##id, headers_##id, NULL }
const struct contender ours_headers[SIP_PATH_COUNT] = { PATH(PLAIN, "plain C"), PATH(SSE2, "SSE2"),
                                                        PATH(AVX2, "AVX2"), PATH(AVX512, "AVX-512") };

const struct contender *ours_best(void) {
    const struct contender *best = &ours[SIP_PATH_PLAIN];
    for (unsigned p = 0; p < SIP_PATH_COUNT; p++)
        if (ours[p].usable())
            best = &ours[p];
    return best;
}
