/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A header value of any bytes through every parser on demand: views inside, bytes consumed are all of it, and the value
 * written as a header (folds gone) is judged alike (T-14.6).
 */
#include "core/base/check.h"
#include "parser/sip_hdr.h"
#include "parser/sip_write.h"
#include "tests/unit/sip_same.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct slice text, struct slice s) {
    CHECK(!s.p ? s.n == 0 : s.p >= text.p && s.p + s.n <= text.p + text.n);
}

static void check_all(struct slice text, const struct slice *views, unsigned n, int32_t result) {
    CHECK(result == SIP_BAD || result == (int32_t)text.n);
    for (unsigned i = 0; i < n; i++)
        check_inside(text, views[i]);
}
#define CHECK_ALL(text, result, ...)                                                                     \
    check_all((text), (const struct slice[]){ __VA_ARGS__ },                                             \
              sizeof((const struct slice[]){ __VA_ARGS__ }) / sizeof(struct slice), (result))

static int32_t addresses(struct slice in) {
    struct sip_contact c;
    struct sip_nameaddr a;
    struct sip_via v;
    int32_t n = sip_nameaddr_parse(in, &a), m = sip_contact_parse(in, &c);
    CHECK_ALL(in, n, a.display, a.params, a.value, a.uri.whole, a.uri.user, a.uri.host.host, a.uri.headers);
    CHECK_ALL(in, m, c.addr.display, c.addr.params, c.addr.value);
    CHECK(c.star || m == n);
    CHECK(c.q <= 1000 && c.expires >= -1);
    if (n > 0)
        CHECK(a.uri.whole.n && (a.brackets || !a.display.p));
    int32_t w = sip_via_parse(in, &v);
    CHECK_ALL(in, w, v.transport_name, v.sent_by.host, v.branch, v.received, v.rport, v.value);
    CHECK(w < 0 || (v.sent_by.host.n && v.transport_name.n));
    return n;
}

static void others(struct slice in) {
    struct sip_replaces r;
    struct sip_event e;
    struct sip_sub_state s;
    struct sip_digest d;
    struct sip_media_type t;
    uint32_t seconds;
    int32_t n = sip_replaces_parse(in, &r);
    CHECK_ALL(in, n, r.call_id, r.to_tag, r.from_tag);
    CHECK(n < 0 || (r.call_id.n && r.to_tag.n && r.from_tag.n));
    n = sip_target_dialog_parse(in, &r);
    CHECK_ALL(in, n, r.call_id, r.to_tag, r.from_tag);
    n = sip_event_parse(in, &e);
    CHECK_ALL(in, n, e.package, e.id);
    n = sip_sub_state_parse(in, &s);
    CHECK_ALL(in, n, s.state, s.reason);
    n = sip_digest_parse(in, &d);
    CHECK_ALL(in, n, d.scheme, d.username, d.realm, d.nonce, d.uri, d.response, d.cnonce, d.opaque, d.algorithm, d.qop,
              d.nc, d.domain, d.stale);
    n = sip_media_type_parse(in, &t);
    CHECK_ALL(in, n, t.type, t.subtype, t.params);
    sip_delta_seconds(in, &seconds);
}

static void lists(struct slice in) {
    struct slice rest = in, value, name;
    uint32_t used = 0;
    while (sip_list_next(&rest, &value)) {
        check_inside(in, value);
        CHECK(value.n);
        used += value.n;
    }
    CHECK(used <= in.n && rest.n == 0);
    rest = in;
    for (uint32_t before = rest.n; sip_param_next(&rest, &name, &value); before = rest.n) {
        check_inside(in, name);
        check_inside(in, value);
        CHECK(name.n && rest.n < before);
    }
    check_inside(in, sip_param(in, SL("tag")));
}

/* A fold may stand inside a quoted string, so folds must not change the verdict, only bare CR and LF could. */
static void check_rewritten(struct slice in, int32_t verdict) {
    static char mem[1 << 18];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct sip_nameaddr a;
    sip_put_hdr(&b, SL("X"), in);
    if (b.overflow || verdict < 0)
        return;
    CHECK(b.n >= 5);
    CHECK(sip_nameaddr_parse(slice_of(b.p + 3, b.n - 5), &a) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice in = slice_of((const char *)data, size);
    int32_t n = addresses(in);
    for (enum sip_path path = SIP_PATH_SSE2; path < SIP_PATH_COUNT; path++)
        CHECK(!sip_path_usable(path) || same_values(sip_path_ops(path), in));
    others(in);
    lists(in);
    check_rewritten(in, n);
    return 0;
}
