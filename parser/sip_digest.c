/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_hdr.h"
#include "parser/sip_scan.h"

static struct slice *field_of(struct sip_digest *d, struct slice name) {
    const struct {
        struct slice name;
        struct slice *field;
    } fields[] = {
        { SL("username"), &d->username }, { SL("realm"), &d->realm },         { SL("nonce"), &d->nonce },
        { SL("uri"), &d->uri },           { SL("response"), &d->response },   { SL("cnonce"), &d->cnonce },
        { SL("opaque"), &d->opaque },     { SL("algorithm"), &d->algorithm }, { SL("qop"), &d->qop },
        { SL("nc"), &d->nc },             { SL("domain"), &d->domain },       { SL("stale"), &d->stale },
    };
    for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++)
        if (slice_ieq(fields[i].name, name))
            return fields[i].field;
    return NULL;
}

/* name "=" ( token / quoted-string ), then a comma or the end. Quotes are taken off, escapes in them stay. */
static bool auth_param(struct slice *s, struct slice *name, struct slice *value) {
    *name = scan_run(s, CH_TOKEN);
    if (!name->n || !scan_separator(s, '='))
        return false;
    if (scan_at(s, '"')) {
        if (!scan_quoted(s, value))
            return false;
        *value = slice_of(value->p + 1, value->n - 2);
    } else {
        *value = scan_run(s, CH_VALUE);
        if (!value->n)
            return false;
    }
    scan_lws(s);
    return !s->n || scan_at(s, ',');
}

int32_t sip_digest_parse(struct slice value, struct sip_digest *out) {
    struct slice s = slice_trim(value), name, param;
    *out = (struct sip_digest){ .scheme = SLICE_NONE };
    if (!s.n)
        return SIP_BAD;
    struct slice scheme = scan_run(&s, CH_TOKEN);
    if (!scheme.n)
        return SIP_BAD;
    out->scheme = scheme;
    if (!s.n || !scan_is(s.p[0], CH_LWS))
        return SIP_BAD;
    while (scan_lws(&s), s.n) {
        if (scan_char(&s, ','))
            continue;
        if (!auth_param(&s, &name, &param))
            return SIP_BAD;
        struct slice *field = field_of(out, name);
        if (field && field->p)
            return SIP_BAD;
        if (field)
            *field = param;
    }
    return (int32_t)value.n;
}
