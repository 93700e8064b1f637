/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_scan.h"

bool scan_quoted(struct slice *s, struct slice *out) {
    if (!scan_at(s, '"'))
        return false;
    for (uint32_t i = 1; i < s->n; i++) {
        if (s->p[i] == '\\') {
            i++;
        } else if (s->p[i] == '"') {
            *out = slice_of(s->p, i + 1);
            scan_skip(s, i + 1);
            return true;
        }
    }
    return false;
}

bool scan_number(struct slice s, uint64_t *out) {
    const uint64_t top = (uint64_t)1 << 40;
    uint64_t v = 0;
    if (!s.n || !scan_all(s, CH_DIGIT))
        return false;
    for (uint32_t i = 0; i < s.n; i++) {
        v = v * 10 + (uint64_t)(s.p[i] - '0');
        if (v > top)
            v = top;
    }
    *out = v;
    return true;
}

/* The content of [...]: only its bytes are checked, so that the ":::" of RFC 5118 section 4.10 passes. */
static bool scan_ipv6(struct slice *s, struct sip_host *out) {
    uint32_t n = 1, colons = 0;
    while (n < s->n && s->p[n] != ']') {
        if (s->p[n] == ':')
            colons++;
        else if (!scan_is(s->p[n], CH_HEX) && s->p[n] != '.')
            return false;
        n++;
    }
    if (n >= s->n || colons < 2)
        return false;
    out->host = slice_of(s->p + 1, n - 1);
    out->ipv6 = true;
    scan_skip(s, n + 1);
    return true;
}

static bool scan_port(struct slice *s, uint16_t *out) {
    uint64_t port;
    if (!scan_number(scan_run(s, CH_DIGIT), &port) || port == 0 || port > 65535)
        return false;
    *out = (uint16_t)port;
    return true;
}

bool scan_hostport(struct slice *s, bool lws, struct sip_host *out) {
    *out = (struct sip_host){ .port = 0 };
    if (scan_at(s, '[')) {
        if (!scan_ipv6(s, out))
            return false;
    } else {
        out->host = scan_run(s, CH_HOST);
        if (!out->host.n)
            return false;
    }
    if (!lws)
        return !scan_char(s, ':') || scan_port(s, &out->port);
    return !scan_separator(s, ':') || scan_port(s, &out->port);
}
