/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Two URIs of any bytes (split at the first LF): views inside, comparison symmetric and reflexive, escapes inverse
 * (T-14.6).
 */
#include "core/base/check.h"
#include "parser/sip_uri.h"
#include "tests/unit/sip_same.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char esc_mem[1 << 18], raw_mem[1 << 18];

static void check_inside(struct slice text, struct slice s) {
    CHECK(!s.p ? s.n == 0 : s.p >= text.p && s.p + s.n <= text.p + text.n);
}

static bool parse(struct slice text, struct sip_uri *u) {
    struct slice name, value;
    int32_t n = sip_uri_parse(text, u);
    check_inside(text, u->whole);
    check_inside(text, u->user);
    check_inside(text, u->password);
    check_inside(text, u->host.host);
    check_inside(text, u->params);
    check_inside(text, u->headers);
    check_inside(text, sip_uri_param(u, SL("transport")));
    struct slice rest = u->headers;
    while (sip_uri_header_next(&rest, &name, &value)) {
        check_inside(text, name);
        check_inside(text, value);
    }
    CHECK(n == SIP_BAD || n == (int32_t)text.n);
    return n > 0;
}

static bool unescapable(struct slice s) {
    for (uint32_t i = 0; i < s.n; i++)
        if (s.p[i] == 0 || s.p[i] == '\r' || s.p[i] == '\n')
            return true;
    return false;
}

static void check_escapes(struct slice text) {
    struct sbuf esc = sbuf_on(esc_mem, sizeof esc_mem), raw = sbuf_on(raw_mem, sizeof raw_mem);
    sip_unescape(&raw, text);
    CHECK(raw.n <= text.n);
    raw = sbuf_on(raw_mem, sizeof raw_mem);
    sip_escape_hvalue(&esc, text);
    if (esc.overflow)
        return;
    for (uint32_t i = 0; i < esc.n; i++)
        CHECK(esc.p[i] > 0x20 && esc.p[i] < 0x7f && esc.p[i] != '&' && esc.p[i] != '=' && esc.p[i] != ';' &&
              esc.p[i] != '>');
    CHECK(sip_unescape(&raw, sbuf_slice(&esc)) == !unescapable(text));
    CHECK(unescapable(text) || slice_eq(sbuf_slice(&raw), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice a = slice_of((const char *)data, size), b = a;
    struct sip_uri x, y;
    int32_t lf = slice_find(a, '\n');
    if (lf >= 0) {
        a.n = (uint32_t)lf;
        b = slice_of(a.p + lf + 1, (uint32_t)(size - (size_t)lf - 1));
    }
    bool ok_x = parse(a, &x), ok_y = parse(b, &y);
    for (enum sip_path path = SIP_PATH_SSE2; path < SIP_PATH_COUNT; path++)
        CHECK(!sip_path_usable(path) || same_values(sip_path_ops(path), a));
    if (size < 2000 && ok_x && ok_y)
        CHECK(sip_uri_eq(&x, &y) == sip_uri_eq(&y, &x));
    if (ok_x && slice_eq(a, b))
        CHECK(sip_uri_eq(&x, &y) || x.params.n || x.headers.n);
    check_escapes(a);
    return 0;
}
