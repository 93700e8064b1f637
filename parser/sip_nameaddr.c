/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_hdr.h"
#include "parser/sip_scan.h"

/* display-name without quotes: tokens by the grammar; here any text without what could be read as another part. */
static bool display_ok(struct slice s) {
    for (uint32_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c == '"' || c == ',' || c == '>' || c == 0x7f || (c < 0x20 && !scan_is((char)c, CH_LWS)))
            return false;
    }
    return true;
}

/* Sets display and leaves the cursor at '<', or at the addr-spec. */
static bool read_display(struct slice *s, struct sip_nameaddr *out) {
    uint32_t n = 0;
    if (scan_at(s, '"')) {
        if (!scan_quoted(s, &out->display))
            return false;
        scan_lws(s);
        return scan_at(s, '<');
    }
    while (n < s->n && s->p[n] != '<' && s->p[n] != ';' && s->p[n] != '"')
        n++;
    if (n == s->n || s->p[n] != '<')
        return true;
    struct slice display = slice_trim(slice_of(s->p, n));
    if (!display_ok(display))
        return false;
    if (display.n)
        out->display = display;
    scan_skip(s, n);
    return true;
}

/* <addr-spec>, or addr-spec up to ';'. LWS inside <> is no grammar, but can mean one thing only (RFC 4475 3.1.2.14). */
static bool read_addr(struct slice *s, struct sip_nameaddr *out) {
    struct slice text;
    out->brackets = scan_char(s, '<');
    int32_t end = slice_find(*s, out->brackets ? '>' : ';');
    if (end < 0 && out->brackets)
        return false;
    text = slice_of(s->p, end < 0 ? s->n : (uint32_t)end);
    scan_skip(s, text.n);
    if (out->brackets)
        scan_skip(s, 1);
    text = slice_trim(text);
    if (sip_plain_uri(text, &out->uri) < 0)
        return false;
    return out->brackets || (slice_find(text, '?') < 0 && slice_find(text, ',') < 0);
}

static bool params_ok(struct slice rest) {
    struct slice name, value;
    while (sip_param_next(&rest, &name, &value))
        continue;
    return rest.n == 0;
}

int32_t sip_plain_nameaddr(struct slice value, struct sip_nameaddr *out) {
    struct slice s = slice_trim(value);
    *out = (struct sip_nameaddr){ .value = s };
    if (!s.n || !read_display(&s, out) || !read_addr(&s, out))
        return SIP_BAD;
    scan_lws(&s);
    if (scan_char(&s, ';'))
        out->params = s;
    else if (s.n)
        return SIP_BAD;
    return params_ok(out->params) ? (int32_t)value.n : SIP_BAD;
}

/* qvalue in thousandths; what is none counts as not given. */
static uint16_t qvalue(struct slice s) {
    uint32_t q = 0, unit = 1000;
    struct slice whole = scan_run(&s, CH_DIGIT);
    for (uint32_t i = 0; i < whole.n && q <= 1; i++)
        q = q * 10 + (uint32_t)(whole.p[i] - '0');
    if (q > 1)
        return 1000;
    q *= 1000;
    if (scan_char(&s, '.'))
        while (s.n && scan_is(s.p[0], CH_DIGIT) && unit > 1) {
            unit /= 10;
            q += (uint32_t)(s.p[0] - '0') * unit;
            scan_skip(&s, 1);
        }
    return s.n || q > 1000 || (!whole.n && unit == 1000) ? 1000 : (uint16_t)q;
}

void sip_contact_params(struct sip_contact *out, struct slice expires, struct slice q) {
    uint32_t seconds;
    if (sip_delta_seconds(expires, &seconds))
        out->expires = seconds;
    if (q.p)
        out->q = qvalue(q);
}

int32_t sip_plain_contact(struct slice value, struct sip_contact *out) {
    *out = (struct sip_contact){ .expires = -1, .q = 1000 };
    if (slice_eq(slice_trim(value), SL("*"))) {
        out->star = true;
        out->addr.value = slice_trim(value);
        return (int32_t)value.n;
    }
    if (sip_plain_nameaddr(value, &out->addr) < 0)
        return SIP_BAD;
    sip_contact_params(out, sip_param(out->addr.params, SL("expires")), sip_param(out->addr.params, SL("q")));
    return (int32_t)value.n;
}
