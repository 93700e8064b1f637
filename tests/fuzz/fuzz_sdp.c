/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Any bytes as a session description: views stay inside, and what the rewriter writes is read back with the patch in
 * it, as are a=crypto lines. The first two bytes choose the patch.
 */
#include "core/base/check.h"
#include "parser/sdp.h"
#include "parser/sdp_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct slice text, struct slice s) {
    CHECK(s.n == 0 || (s.p >= text.p && s.p + s.n <= text.p + text.n));
}

static void check_crypto(struct slice lines) {
    struct sdp_crypto c, again;
    struct slice rest = lines;
    while (sdp_crypto_next(&rest, &c)) {
        char mem[SDP_CRYPTO_LINE_MAX];
        struct sbuf b = sbuf_on(mem, sizeof mem);
        c.mki_n = 0;
        memset(c.mki, 0, sizeof c.mki);
        sdp_crypto_put(&b, &c);
        struct slice line = sbuf_slice(&b);
        CHECK(!b.overflow && sdp_crypto_next(&line, &again) && memcmp(&c, &again, sizeof c) == 0);
    }
    sdp_crypto_best(lines);
}

static void check_views(const struct sdp *s) {
    check_inside(s->text, s->session);
    check_inside(s->text, s->origin);
    check_inside(s->text, s->session_version);
    for (uint32_t i = 0; i < s->media_count; i++) {
        const struct sdp_media *m = &s->media[i];
        check_inside(s->text, m->lines);
        check_inside(m->lines, m->proto);
        check_crypto(m->lines);
        CHECK(sdp_clock_rate(m) > 0);
        for (uint32_t j = 0; j < m->format_count; j++)
            check_inside(m->lines, m->formats[j]);
        sdp_common_formats(m, &s->media[0]);
    }
    sdp_formats_subset(s, s);
}

static struct sdp_patch patch_of(const uint8_t *data) {
    struct sdp_patch p = { .username = SL("r"), .session_id = data[0], .version = data[1], .strip_ice = data[0] & 1 };
    p.strip_crypto = data[1] & 1;
    p.address = (struct addr){ .ip = { 192, 0, 2, 1 }, .family = ADDR_V4 };
    for (uint32_t i = 0; i < SDP_MEDIA_MAX; i++) {
        p.media[i].port = (uint16_t)(data[0] >> i & 1 ? 4000 + i * 2 : 0);
        p.media[i].rtcp_port = (uint16_t)(data[1] >> i & 1 ? 4001 + i * 3 : 0);
        p.media[i].direction = (data[0] + data[1] + (int)i) % 5 - 1;
        p.media[i].proto = data[1] & 2 ? SL("RTP/SAVP") : SLICE_NONE;
        p.media[i].crypto = data[1] & 4 ? SL("a=crypto:1 X inline:y\r\n") : SLICE_NONE;
    }
    return p;
}

static void check_rewritten(const struct sdp *in, const struct sdp_patch *p) {
    static char mem[1 << 20];
    struct sbuf out = sbuf_on(mem, sizeof mem);
    struct sdp again;
    sdp_rewrite(&out, in, p);
    if (out.overflow)
        return;
    CHECK(sdp_parse(sbuf_slice(&out), &again) == (int32_t)out.n);
    CHECK(again.media_count == in->media_count);
    for (uint32_t i = 0; i < again.media_count; i++) {
        CHECK(again.media[i].port == (in->media[i].format_count ? p->media[i].port : 0));
        CHECK(addr_eq_ip(&again.media[i].connection, &p->address));
        CHECK(p->media[i].direction < 0 || (int)again.media[i].direction == p->media[i].direction);
        CHECK(again.media[i].format_count == in->media[i].format_count);
        CHECK(!p->strip_ice || !again.media[i].ice);
        CHECK(!p->strip_crypto || again.media[i].crypto == (p->media[i].crypto.p && again.media[i].port));
        CHECK(!p->media[i].proto.p || slice_eq(again.media[i].proto, p->media[i].proto));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sdp s;
    if (size < 2)
        return 0;
    struct slice text = slice_of((const char *)data + 2, size - 2);
    if (sdp_parse(text, &s) == SDP_BAD)
        return 0;
    struct sdp_patch p = patch_of(data);
    check_views(&s);
    check_rewritten(&s, &p);
    CHECK(sdp_same_but_origin(text, text));
    return 0;
}
