/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/addr.h"
#include "core/base/text.h"
#include "parser/sip_scan.h"
#include "parser/sip_uri.h"

#define URI_EQ_MAX 1024u

static enum sip_scheme scheme_of(struct slice name) {
    static const struct slice names[] = {
        [SIP_SCHEME_SIP] = { "sip", 3 }, [SIP_SCHEME_SIPS] = { "sips", 4 },
        [SIP_SCHEME_TEL] = { "tel", 3 }, [SIP_SCHEME_URN] = { "urn", 3 },
    };
    for (unsigned i = SIP_SCHEME_SIP; i < SIP_SCHEME_OTHER; i++)
        if (slice_ieq(names[i], name))
            return (enum sip_scheme)i;
    return SIP_SCHEME_OTHER;
}

/* scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) ":" */
static bool read_scheme(struct slice *s, struct sip_uri *out) {
    int32_t n = slice_find(*s, ':');
    if (n <= 0 || (uint8_t)(ascii_lower((uint8_t)s->p[0]) - 'a') > 25)
        return false;
    struct slice name = slice_of(s->p, (uint32_t)n);
    for (uint32_t i = 0; i < name.n; i++)
        if ((!scan_is(name.p[i], CH_HOST) && name.p[i] != '+') || name.p[i] == '_')
            return false;
    out->scheme = scheme_of(name);
    scan_skip(s, name.n + 1);
    return true;
}

static inline struct slice take_until(struct slice *s, char stop) {
    struct slice taken = slice_of(s->p, slice_until(s->p, s->n, stop));
    scan_skip(s, taken.n);
    return taken;
}

/* The user part may hold ";" and "?", so the first "@" is looked for before anything else. */
static void read_userinfo(struct slice *s, struct sip_uri *out) {
    if (slice_find(*s, '@') < 0)
        return;
    struct slice info = take_until(s, '@');
    scan_skip(s, 1);
    out->user = take_until(&info, ':');
    if (scan_char(&info, ':'))
        out->password = info;
}

static bool read_sip(struct slice s, struct sip_uri *out) {
    read_userinfo(&s, out);
    if (!scan_hostport(&s, false, &out->host))
        return false;
    if (scan_char(&s, ';'))
        out->params = take_until(&s, '?');
    if (scan_char(&s, '?')) {
        out->headers = s;
        scan_skip(&s, s.n);
    }
    return s.n == 0;
}

int32_t sip_plain_uri(struct slice text, struct sip_uri *out) {
    struct slice s = text;
    *out = (struct sip_uri){ .scheme = SIP_SCHEME_OTHER, .whole = text };
    if (!scan_all(text, CH_URI) || !read_scheme(&s, out) || !s.n)
        return SIP_BAD;
    if (out->scheme == SIP_SCHEME_SIP || out->scheme == SIP_SCHEME_SIPS)
        return read_sip(s, out) ? (int32_t)text.n : SIP_BAD;
    out->user = s;
    if (out->scheme == SIP_SCHEME_TEL) {
        out->user = take_until(&s, ';');
        if (scan_char(&s, ';'))
            out->params = s;
    }
    return out->user.n ? (int32_t)text.n : SIP_BAD;
}

bool sip_uri_header_next(struct slice *rest, struct slice *name, struct slice *value) {
    if (!rest->n)
        return false;
    struct slice s = *rest;
    struct slice field = take_until(&s, '&');
    *name = take_until(&field, '=');
    if (!name->n || !scan_char(&field, '='))
        return false;
    *value = field;
    scan_char(&s, '&');
    *rest = s;
    return true;
}

/* Next uri-parameter; unlike sip_param_next there is neither LWS nor quoting. */
static bool uri_param_next(struct slice *rest, struct slice *name, struct slice *value) {
    while (scan_char(rest, ';'))
        continue;
    if (!rest->n)
        return false;
    struct slice field = take_until(rest, ';');
    scan_char(rest, ';');
    *name = take_until(&field, '=');
    *value = scan_char(&field, '=') ? field : slice_of(field.p, 0);
    return true;
}

static struct slice uri_param(struct slice params, struct slice wanted) {
    struct slice name, value;
    while (uri_param_next(&params, &name, &value))
        if (slice_ieq(name, wanted))
            return value;
    return SLICE_NONE;
}

struct slice sip_uri_param(const struct sip_uri *u, struct slice name) {
    return uri_param(u->params, name);
}

static int hex_digit(char c) {
    if ((uint8_t)(c - '0') <= 9)
        return c - '0';
    uint8_t low = ascii_lower((uint8_t)c);
    return (uint8_t)(low - 'a') < 6 ? low - 'a' + 10 : -1;
}

/* The byte that %XX stands for, -1 if it is no escape. */
static int escaped_byte(struct slice s) {
    if (s.n < 3 || s.p[0] != '%')
        return -1;
    int high = hex_digit(s.p[1]), low = hex_digit(s.p[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Into room for all of the text as it stands: behind what has been written, NULL for a bad escape. */
static char *unescape_at(char *to, struct slice text) {
    for (;;) {
        struct slice plain = take_until(&text, '%');
        to = text_put(to, plain);
        if (!text.n)
            return to;
        int byte = escaped_byte(text);
        if (byte <= 0 || byte == '\r' || byte == '\n')
            return NULL;
        *to++ = (char)byte;
        scan_skip(&text, 3);
    }
}

/* Room for the bytes alone. */
static bool unescape_tightly(struct sbuf *out, struct slice text) {
    for (;;) {
        sbuf_put(out, take_until(&text, '%'));
        if (!text.n)
            return !out->overflow;
        int byte = escaped_byte(text);
        if (byte <= 0 || byte == '\r' || byte == '\n')
            return false;
        sbuf_char(out, (char)byte);
        scan_skip(&text, 3);
    }
}

bool sip_unescape(struct sbuf *out, struct slice text) {
    char *to = sbuf_room(out, text.n);
    if (!to)
        return unescape_tightly(out, text);
    to = unescape_at(to, text);
    if (to)
        sbuf_wrote(out, to);
    return to && !out->overflow;
}

static void put_escaped(struct sbuf *out, struct slice text, struct slice also_plain) {
    static const char hex[] = "0123456789ABCDEF";
    for (uint32_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        bool alnum = (uint8_t)(ascii_lower(c) - 'a') < 26 || (uint8_t)(c - '0') < 10;
        if (alnum || (c && slice_find(also_plain, (char)c) >= 0)) {
            sbuf_char(out, (char)c);
        } else {
            sbuf_char(out, '%');
            sbuf_char(out, hex[c >> 4]);
            sbuf_char(out, hex[c & 15]);
        }
    }
}

void sip_escape_hvalue(struct sbuf *out, struct slice text) {
    put_escaped(out, text, SL("-_.!~*'()[]/?:+$"));
}

void sip_escape_user(struct sbuf *out, struct slice text) {
    put_escaped(out, text, SL("-_.!~*'()&=+$,;?/"));
}

/* Next byte with its escape undone; an escaped reserved byte differs from the plain one (section 19.1.4). */
static int next_byte(struct slice *s, bool fold) {
    int byte = escaped_byte(*s);
    bool reserved = byte > 0 && slice_find(SL(";/?:@&=+$,%"), (char)byte) >= 0;
    if (byte < 0) {
        byte = (uint8_t)s->p[0];
        scan_skip(s, 1);
    } else {
        scan_skip(s, 3);
        if (reserved)
            return byte + 256;
    }
    return fold ? ascii_lower((uint8_t)byte) : byte;
}

static bool text_eq(struct slice a, struct slice b, bool fold) {
    if (!a.p != !b.p)
        return false;
    while (a.n && b.n)
        if (next_byte(&a, fold) != next_byte(&b, fold))
            return false;
    return a.n == b.n;
}

static bool host_eq(const struct sip_host *a, const struct sip_host *b) {
    struct addr x = { .port = 0 }, y = { .port = 0 };
    if (a->port != b->port || a->ipv6 != b->ipv6)
        return false;
    if (a->ipv6 && addr_parse_ip(a->host, &x) && addr_parse_ip(b->host, &y))
        return addr_eq_ip(&x, &y);
    return slice_ieq(a->host, b->host);
}

/* Every parameter of a that b has too is equal; those that may not be missing are in b. `all`: none may be missing. */
static bool params_match(struct slice a, struct slice b, bool all) {
    static const struct slice strict[] = {
        { "user", 4 }, { "ttl", 3 }, { "method", 6 }, { "maddr", 5 }, { "transport", 9 },
    };
    struct slice name, value;
    while (uri_param_next(&a, &name, &value)) {
        struct slice other = uri_param(b, name);
        if (other.p && !text_eq(value, other, true))
            return false;
        if (other.p)
            continue;
        for (unsigned i = 0; i < sizeof strict / sizeof *strict; i++)
            if (all || slice_ieq(name, strict[i]))
                return false;
    }
    return true;
}

/* Every header of a is in b, in any order. */
static bool headers_in(struct slice a, struct slice b) {
    struct slice name, value, name2, value2;
    while (sip_uri_header_next(&a, &name, &value)) {
        struct slice rest = b;
        bool found = false;
        while (!found && sip_uri_header_next(&rest, &name2, &value2))
            found = text_eq(name, name2, true) && text_eq(value, value2, false);
        if (!found)
            return false;
    }
    return a.n == 0;
}

/* RFC 3966 section 4: visual separators do not count. */
static bool tel_eq(struct slice a, struct slice b) {
    for (;;) {
        while (a.n && slice_find(SL("-.()"), a.p[0]) >= 0)
            scan_skip(&a, 1);
        while (b.n && slice_find(SL("-.()"), b.p[0]) >= 0)
            scan_skip(&b, 1);
        if (!a.n || !b.n)
            return a.n == b.n;
        if (ascii_lower((uint8_t)a.p[0]) != ascii_lower((uint8_t)b.p[0]))
            return false;
        scan_skip(&a, 1);
        scan_skip(&b, 1);
    }
}

/* Parameters and headers are looked up by walking: quadratic. */
static bool too_long(const struct sip_uri *u) {
    return u->params.n > URI_EQ_MAX || u->headers.n > URI_EQ_MAX;
}

bool sip_uri_eq(const struct sip_uri *a, const struct sip_uri *b) {
    bool tel = a->scheme == SIP_SCHEME_TEL;
    if (a->scheme != b->scheme)
        return false;
    if (too_long(a) || too_long(b))
        return slice_eq(a->whole, b->whole);
    if (a->scheme == SIP_SCHEME_URN)
        return slice_ieq(a->user, b->user);
    if (a->scheme == SIP_SCHEME_OTHER)
        return slice_eq(a->whole, b->whole);
    if (!params_match(a->params, b->params, tel) || !params_match(b->params, a->params, tel))
        return false;
    if (tel)
        return tel_eq(a->user, b->user);
    return text_eq(a->user, b->user, false) && text_eq(a->password, b->password, false) && host_eq(&a->host, &b->host)
           && headers_in(a->headers, b->headers) && headers_in(b->headers, a->headers);
}
