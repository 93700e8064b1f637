/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_hdr.h"
#include "parser/sip_scan.h"

static enum sip_transport transport_of(struct slice name) {
    static const struct slice names[] = {
        [SIP_UDP] = { "UDP", 3 }, [SIP_TCP] = { "TCP", 3 }, [SIP_TLS] = { "TLS", 3 },
        [SIP_SCTP] = { "SCTP", 4 }, [SIP_WS] = { "WS", 2 }, [SIP_WSS] = { "WSS", 3 },
    };
    for (unsigned t = SIP_UDP; t < SIP_TRANSPORT_OTHER; t++)
        if (slice_ieq(names[t], name))
            return (enum sip_transport)t;
    return SIP_TRANSPORT_OTHER;
}

/* protocol-name SLASH protocol-version SLASH transport; the version is the message's business, not the Via's. */
static bool sent_protocol(struct slice *s, struct sip_via *out) {
    if (!scan_run(s, CH_TOKEN).n || !scan_separator(s, '/') || !scan_run(s, CH_TOKEN).n || !scan_separator(s, '/'))
        return false;
    out->transport_name = scan_run(s, CH_TOKEN);
    out->transport = transport_of(out->transport_name);
    return out->transport_name.n && s->n && scan_is(s->p[0], CH_LWS);
}

static bool via_param(struct sip_via *out, struct slice name, struct slice value) {
    struct slice *field = slice_ieq(name, SL("branch")) ? &out->branch
                        : slice_ieq(name, SL("received")) ? &out->received
                        : slice_ieq(name, SL("rport")) ? &out->rport : NULL;
    if (!field)
        return true;
    if (field->p || (field == &out->branch && !value.n))
        return false;
    *field = value.p ? value : slice_of(name.p + name.n, 0);
    return true;
}

int32_t sip_plain_via(struct slice value, struct sip_via *out) {
    struct slice s = slice_trim(value), name, param;
    *out = (struct sip_via){ .transport = SIP_TRANSPORT_OTHER, .value = s };
    if (!sent_protocol(&s, out))
        return SIP_BAD;
    scan_lws(&s);
    if (!scan_hostport(&s, true, &out->sent_by))
        return SIP_BAD;
    scan_lws(&s);
    if (s.n && !scan_char(&s, ';'))
        return SIP_BAD;
    while (sip_param_next(&s, &name, &param))
        if (!via_param(out, name, param))
            return SIP_BAD;
    return s.n ? SIP_BAD : (int32_t)value.n;
}
