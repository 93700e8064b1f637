/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/bridge.h"

#include "parser/sip_write.h"

#define REQ 1u
#define RSP 2u
#define BOTH (REQ | RSP)
#define OWN 4u                    /* written by us on each leg, or consumed: never copied */

/* Every known header has its row; a header without one crosses (SIP_H_OTHER: X-headers and what is newer than we). */
static const uint8_t table[SIP_H_COUNT] = {
    [SIP_H_OTHER] = BOTH,
    [SIP_H_VIA] = OWN, [SIP_H_FROM] = OWN, [SIP_H_TO] = OWN, [SIP_H_CALL_ID] = OWN, [SIP_H_CSEQ] = OWN,
    [SIP_H_MAX_FORWARDS] = OWN, [SIP_H_CONTENT_LENGTH] = OWN, [SIP_H_CONTENT_TYPE] = OWN, [SIP_H_CONTACT] = OWN,
    [SIP_H_ROUTE] = OWN, [SIP_H_RECORD_ROUTE] = OWN, [SIP_H_PATH] = OWN, [SIP_H_SERVICE_ROUTE] = OWN,
    [SIP_H_ALLOW] = OWN, [SIP_H_SUPPORTED] = OWN, [SIP_H_REQUIRE] = OWN, [SIP_H_PROXY_REQUIRE] = OWN,
    [SIP_H_UNSUPPORTED] = OWN, [SIP_H_ALLOW_EVENTS] = OWN, [SIP_H_USER_AGENT] = OWN, [SIP_H_SERVER] = OWN,
    [SIP_H_AUTHORIZATION] = OWN, [SIP_H_PROXY_AUTHORIZATION] = OWN, [SIP_H_WWW_AUTHENTICATE] = OWN,
    [SIP_H_PROXY_AUTHENTICATE] = OWN, [SIP_H_AUTHENTICATION_INFO] = OWN,
    [SIP_H_SESSION_EXPIRES] = OWN, [SIP_H_MIN_SE] = OWN, [SIP_H_RSEQ] = OWN, [SIP_H_RACK] = OWN,
    [SIP_H_EXPIRES] = OWN, [SIP_H_MIN_EXPIRES] = OWN, [SIP_H_TIMESTAMP] = OWN, [SIP_H_CONTENT_ENCODING] = OWN,
    [SIP_H_EVENT] = OWN, [SIP_H_SUBSCRIPTION_STATE] = OWN, [SIP_H_REFER_TO] = OWN, [SIP_H_REFER_SUB] = OWN,
    [SIP_H_TARGET_DIALOG] = OWN, [SIP_H_JOIN] = OWN,
    [SIP_H_REPLACES] = REQ,       /* one that is not ours; ours never gets here */
    [SIP_H_REFERRED_BY] = REQ,    /* unmodified, RFC 3892 section 2.2 */
    [SIP_H_ACCEPT] = OWN, [SIP_H_ACCEPT_ENCODING] = OWN,
    [SIP_H_ACCEPT_LANGUAGE] = BOTH, [SIP_H_CONTENT_LANGUAGE] = BOTH, [SIP_H_CONTENT_DISPOSITION] = BOTH,
    [SIP_H_CONTENT_ID] = BOTH, [SIP_H_MIME_VERSION] = BOTH,
    [SIP_H_RETRY_AFTER] = RSP, [SIP_H_REASON] = BOTH, [SIP_H_WARNING] = RSP, [SIP_H_ERROR_INFO] = RSP,
    [SIP_H_DATE] = BOTH, [SIP_H_SUBJECT] = REQ, [SIP_H_ORGANIZATION] = BOTH, [SIP_H_PRIORITY] = REQ,
    [SIP_H_REPLY_TO] = BOTH, [SIP_H_IN_REPLY_TO] = REQ, [SIP_H_ALERT_INFO] = BOTH, [SIP_H_CALL_INFO] = BOTH,
    [SIP_H_PRIVACY] = BOTH, [SIP_H_P_ASSERTED_IDENTITY] = BOTH, [SIP_H_P_PREFERRED_IDENTITY] = BOTH,
    [SIP_H_P_EARLY_MEDIA] = BOTH, [SIP_H_P_CHARGING_VECTOR] = BOTH, [SIP_H_P_ACCESS_NETWORK_INFO] = BOTH,
    [SIP_H_DIVERSION] = REQ, [SIP_H_HISTORY_INFO] = BOTH, [SIP_H_GEOLOCATION] = REQ, [SIP_H_IDENTITY] = REQ,
    [SIP_H_IDENTITY_INFO] = REQ, [SIP_H_REQUEST_DISPOSITION] = REQ, [SIP_H_ACCEPT_CONTACT] = REQ,
    [SIP_H_REJECT_CONTACT] = REQ,
};

bool bridge_passes(enum sip_hdr_id id, bool response) {
    return (table[id] & (response ? RSP : REQ)) != 0;
}

bool bridge_has_row(enum sip_hdr_id id) {
    return table[id] != 0;
}

struct slice bridge_headers(struct engine *e, const struct sip_msg *msg) {
    struct sbuf b = ua_headers(&e->ua);
    const unsigned way = msg->is_request ? REQ : RSP;
    for (const struct sip_hdr *h = msg->headers, *end = h + msg->header_count; h != end; h++) {
        if (table[h->id] & way)
            sip_put_hdr(&b, h->id == SIP_H_OTHER ? h->name : sip_hdr_name((enum sip_hdr_id)h->id), h->value);
    }
    return b.overflow ? SLICE_NONE : sbuf_slice(&b);
}

enum bridge_action bridge_method(enum sip_method m) {
    switch (m) {
    case SIP_M_INFO:
    case SIP_M_MESSAGE:
    case SIP_M_UPDATE:
        return BRIDGE_PASS;
    case SIP_M_INVITE:
    case SIP_M_ACK:
    case SIP_M_BYE:
    case SIP_M_CANCEL:
    case SIP_M_OPTIONS:
    case SIP_M_REFER:
        return BRIDGE_HERE;
    default:
        return BRIDGE_REFUSE;
    }
}
