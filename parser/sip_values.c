/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_hdr.h"
#include "parser/sip_scan.h"

bool sip_delta_seconds(struct slice value, uint32_t *out) {
    struct slice rest = slice_trim(value);
    uint64_t v;
    if (!rest.n || !scan_number(scan_run(&rest, CH_DIGIT), &v))
        return false;
    scan_lws(&rest);
    if (rest.n && rest.p[0] != ';' && rest.p[0] != '(')
        return false;
    *out = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
    return true;
}

/* Token, then its parameters. */
static bool token_params(struct slice value, struct slice *token, struct slice *params) {
    struct slice s = slice_trim(value);
    if (!s.n)
        return false;
    *token = scan_run(&s, CH_TOKEN);
    *params = SLICE_NONE;
    scan_lws(&s);
    if (!token->n)
        return false;
    if (scan_char(&s, ';'))
        *params = s;
    else if (s.n)
        return false;
    return true;
}

int32_t sip_event_parse(struct slice value, struct sip_event *out) {
    struct slice rest, name, param;
    *out = (struct sip_event){ .id = SLICE_NONE };
    if (!token_params(value, &out->package, &rest))
        return SIP_BAD;
    while (sip_param_next(&rest, &name, &param)) {
        if (!slice_ieq(name, SL("id")))
            continue;
        if (out->id.p || !param.n)
            return SIP_BAD;
        out->id = param;
    }
    return rest.n ? SIP_BAD : (int32_t)value.n;
}

int32_t sip_sub_state_parse(struct slice value, struct sip_sub_state *out) {
    struct slice rest, name, param;
    uint32_t seconds;
    *out = (struct sip_sub_state){ .expires = -1, .retry_after = -1 };
    if (!token_params(value, &out->state, &rest))
        return SIP_BAD;
    while (sip_param_next(&rest, &name, &param)) {
        if (slice_ieq(name, SL("reason")) && param.n)
            out->reason = param;
        else if (slice_ieq(name, SL("expires")) && sip_delta_seconds(param, &seconds))
            out->expires = seconds;
        else if (slice_ieq(name, SL("retry-after")) && sip_delta_seconds(param, &seconds))
            out->retry_after = seconds;
    }
    return rest.n ? SIP_BAD : (int32_t)value.n;
}

/* callid *( ";" param ). A Call-ID may hold quotes and <>, so its end is the first ';'. */
static int32_t loose_dialog_id(struct slice value, struct slice to_name, struct slice from_name,
                               struct sip_replaces *out) {
    struct slice rest = slice_trim(value), name, param;
    int32_t end = slice_find(rest, ';');
    *out = (struct sip_replaces){ .early_only = false };
    if (end < 0)
        end = (int32_t)rest.n;
    if (end == 0)
        return SIP_BAD;
    out->call_id = slice_trim(slice_of(rest.p, (uint32_t)end));
    if (!scan_all(out->call_id, CH_WORD))
        return SIP_BAD;
    scan_skip(&rest, (uint32_t)end < rest.n ? (uint32_t)end + 1 : (uint32_t)end);
    while (sip_param_next(&rest, &name, &param)) {
        struct slice *tag = slice_ieq(name, to_name)     ? &out->to_tag
                            : slice_ieq(name, from_name) ? &out->from_tag
                                                         : NULL;
        if (tag && (tag->p || !param.n || param.p[0] == '"'))
            return SIP_BAD;
        if (tag)
            *tag = param;
        else if (slice_ieq(name, SL("early-only")))
            out->early_only = true;
    }
    return rest.n ? SIP_BAD : (int32_t)value.n;
}

static int32_t dialog_id(struct slice value, struct slice to_name, struct slice from_name, struct sip_replaces *out) {
    int32_t n = loose_dialog_id(value, to_name, from_name, out);
    return out->to_tag.p && out->from_tag.p ? n : SIP_BAD;
}

int32_t sip_replaces_parse_loosely(struct slice value, struct sip_replaces *out) {
    return loose_dialog_id(value, SL("to-tag"), SL("from-tag"), out);
}

int32_t sip_replaces_parse(struct slice value, struct sip_replaces *out) {
    return dialog_id(value, SL("to-tag"), SL("from-tag"), out);
}

int32_t sip_target_dialog_parse(struct slice value, struct sip_replaces *out) {
    return dialog_id(value, SL("local-tag"), SL("remote-tag"), out);
}

/* As nearly all that SIP carries is written. */
static bool plain_sdp_type(struct slice value, struct sip_media_type *out) {
    static const char text[] = "application/sdp";
    if (value.n != sizeof text - 1 || memcmp(value.p, text, sizeof text - 1) != 0)
        return false;
    *out = (struct sip_media_type){ .type = { value.p, 11 }, .subtype = { value.p + 12, 3 }, .params = SLICE_NONE };
    return true;
}

int32_t sip_media_type_parse(struct slice value, struct sip_media_type *out) {
    if (plain_sdp_type(value, out))
        return (int32_t)value.n;
    struct slice s = slice_trim(value), rest, name, param;
    *out = (struct sip_media_type){ .params = SLICE_NONE };
    if (!s.n)
        return SIP_BAD;
    out->type = scan_run(&s, CH_TOKEN);
    if (!out->type.n || !scan_separator(&s, '/') || !token_params(s, &out->subtype, &out->params))
        return SIP_BAD;
    rest = out->params;
    while (sip_param_next(&rest, &name, &param))
        continue;
    return rest.n ? SIP_BAD : (int32_t)value.n;
}

bool sip_is_media_type(struct slice value, struct slice type, struct slice subtype) {
    struct sip_media_type got;
    return sip_media_type_parse(value, &got) >= 0 && slice_ieq(got.type, type) && slice_ieq(got.subtype, subtype);
}
