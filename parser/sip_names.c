/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_scan.h"

static const struct slice method_names[SIP_M_COUNT] = {
    [SIP_M_UNKNOWN] = { "", 0 },
#define M(id) [SIP_M_##id] = { #id, sizeof(#id) - 1 }
    M(INVITE), M(ACK), M(BYE), M(CANCEL), M(REGISTER), M(OPTIONS), M(REFER), M(NOTIFY), M(SUBSCRIBE), M(INFO),
    M(UPDATE), M(PRACK), M(MESSAGE), M(PUBLISH),
#undef M
};

static const struct slice header_names[SIP_H_COUNT] = {
    [SIP_H_OTHER] = { "", 0 },
#define HDR(id, name, compact, flags) [SIP_H_##id] = { name, sizeof(name) - 1 },
#include "parser/sip_hdr.def"
#undef HDR
};

static const char *const error_texts[SIP_E_COUNT] = {
#define SIP_ERROR(id, status, text) [SIP_E_##id] = text,
#include "parser/sip_error.def"
#undef SIP_ERROR
};

enum sip_method sip_method_of(struct slice name) {
    for (unsigned m = SIP_M_INVITE; m < SIP_M_COUNT; m++)
        if (slice_eq(method_names[m], name))
            return (enum sip_method)m;
    return SIP_M_UNKNOWN;
}

struct slice sip_method_name(enum sip_method m) {
    return (unsigned)m < SIP_M_COUNT ? method_names[m] : method_names[SIP_M_UNKNOWN];
}

const char *sip_error_text(enum sip_error e) {
    return (unsigned)e < SIP_E_COUNT ? error_texts[e] : "";
}

enum sip_hdr_id sip_hdr_id_of(struct slice name) {
    if (name.n == 0)
        return SIP_H_OTHER;
    unsigned first = (uint8_t)name.p[0] | 0x20u;
    if (name.n == 1)
        return first - 'a' < 26 ? (enum sip_hdr_id)sip_compact_names[first - 'a'] : SIP_H_OTHER;

    unsigned id = sip_name_ids[sip_name_slot(name.p, name.n)];
    return id && slice_ieq(header_names[id], name) ? (enum sip_hdr_id)id : SIP_H_OTHER;
}

struct slice sip_hdr_name(enum sip_hdr_id id) {
    return (unsigned)id < SIP_H_COUNT ? header_names[id] : header_names[SIP_H_OTHER];
}

unsigned sip_hdr_flags(enum sip_hdr_id id) {
    return (unsigned)id < SIP_H_COUNT ? sip_known_names[id].flags : 0;
}
