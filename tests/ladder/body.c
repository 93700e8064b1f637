/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Session descriptions: short form of the scripts <-> text. The first stream is audio, what follows a '+' is video. */
#include "parser/sdp.h"
#include "tests/ladder/ladder.h"

#include <stdlib.h>

#define FULL "pcmu,pcma,g722,tel"

static const struct codec {
    const char *name;
    unsigned pt;
    const char *map;
} codecs[] = {
    { "pcmu", 0, "PCMU/8000" },
    { "gsm", 3, "GSM/8000" },
    { "pcma", 8, "PCMA/8000" },
    { "g722", 9, "G722/8000" },
    { "g729", 18, "G729/8000" },
    { "ilbc", 97, "iLBC/8000" },
    { "tel", 101, "telephone-event/8000" },
    { "opus", 111, "opus/48000/2" },
    { "h264", 102, "H264/90000" },
    { "vp8", 98, "VP8/90000" },
};

static const struct codec *codec_named(struct slice name) {
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
        if (slice_eq(slice_str(codecs[i].name), name))
            return &codecs[i];
    return NULL;
}

static struct slice next_part(const char **text, char at) {
    const char *end = strchr(*text, at);
    struct slice s = slice_of(*text, end ? (size_t)(end - *text) : strlen(*text));
    *text = end ? end + 1 : *text + s.n;
    return s;
}

struct spec {
    char codecs[TEXT_MAX / 4];
    char direction[16];
};

/* CODECS[:DIRECTION] of one stream. */
static void read_stream(struct slice one, struct spec *out) {
    int32_t colon = slice_find(one, ':');
    struct slice list = slice_of(one.p, colon < 0 ? one.n : (uint32_t)colon);
    struct slice direction = colon < 0 ? SL("sendrecv") : slice_of(one.p + colon + 1, one.n - (uint32_t)colon - 1);
    copy_text(out->direction, sizeof out->direction, direction);
    copy_text(out->codecs, sizeof out->codecs, slice_eq(list, SL("full")) ? SL(FULL) : list);
}

void sdp_spec(const char *spec, struct sbuf *out) {
    const char *rest = spec;
    while (*rest) {
        struct spec s;
        put(out, rest == spec ? "" : "+");
        read_stream(next_part(&rest, '+'), &s);
        put(out, "%s:%s", s.codecs, s.direction);
    }
}

/* `same`, or `same:DIRECTION`: the codecs that were said last. */
static void replace_same(const char *spec, const char *before, struct sbuf *out) {
    bool same = strncmp(spec, "same", 4) == 0 && (spec[4] == '\0' || spec[4] == ':');
    put(out, "%s%s", same ? before : "", same ? spec + 4 : spec);
    sbuf_char(out, '\0');
}

/* What of a stream's formats is none, but says how they are sent: "dtls", or as srtp.c reads it. */
static bool is_profile(const char *list) {
    return strncmp(list, "dtls", 4) == 0 || srtp_is_spec(list);
}

/* "dtls" in front of the codecs is none: whose DTLS it is stands behind it in what is read, "dtls@A". */
static bool is_dtls(const char *list) {
    return strncmp(list, "dtls", 4) == 0;
}

static void put_formats(struct world *w, const char *list, bool maps, struct sbuf *out) {
    if (is_profile(list))
        next_part(&list, ',');
    while (*list) {
        struct slice one = next_part(&list, ',');
        int32_t eq = slice_find(one, '=');
        const struct codec *c = codec_named(slice_of(one.p, eq < 0 ? one.n : (uint32_t)eq));
        if (!c)
            fail(w, "codec %.*s is not known", SLICE_FMT(one));
        unsigned pt = eq < 0 ? c->pt : (unsigned)strtoul(one.p + eq + 1, NULL, 10);
        if (!maps)
            put(out, " %u", pt);
        else
            put(out, "a=rtpmap:%u %s\r\n", pt, c->map);
        if (maps && c->pt == 101)
            put(out, "a=fmtp:%u 0-15\r\n", pt);
    }
}

static const char *profile_of(const char *list) {
    return is_dtls(list) ? "UDP/TLS/RTP/SAVPF" : srtp_is_spec(list) ? srtp_profile(list) : "RTP/AVP";
}

static void put_address(const struct addr *a, struct sbuf *out) {
    put(out, "IN IP%c ", a->family == ADDR_V6 ? '6' : '4');
    addr_put_ip(out, a);
}

static void put_stream(struct world *w, const struct dialog_side *d, const struct spec *s, bool first,
                       struct sbuf *out) {
    bool reject = strcmp(s->direction, "reject") == 0, zero = strcmp(s->direction, "zero") == 0;
    put(out, "m=%s %u %s", first ? "audio" : "video", reject ? 0 : d->own.media.port + (first ? 0 : VIDEO_PORT),
        profile_of(s->codecs));
    put_formats(w, s->codecs, false, out);
    sbuf_lit(out, "\r\nc=");
    if (zero)
        sbuf_lit(out, "IN IP4 0.0.0.0");
    else
        put_address(&d->own.media, out);
    sbuf_lit(out, "\r\n");
    put_formats(w, s->codecs, true, out);
    if (is_dtls(s->codecs))
        put(out, "a=ice-ufrag:%s\r\na=candidate:1 1 UDP 1 192.0.2.77 40000 typ host\r\na=fingerprint:sha-256 %s\r\n",
            d->phone->name, d->phone->name);
    if (!reject && !zero)
        put(out, "a=%s\r\n", s->direction);
    if (srtp_is_spec(s->codecs) && !reject)
        srtp_put(d, s->codecs, first ? 0 : 1, out);
}

void sdp_make(struct world *w, struct dialog_side *d, const char *spec, struct sbuf *out) {
    char whole[TEXT_MAX], media[SDP_TEXT_MAX], codecs_now[TEXT_MAX / 4];
    struct sbuf full = sbuf_on(whole, sizeof whole), m = sbuf_on(media, sizeof media);
    struct sbuf c = sbuf_on(codecs_now, sizeof codecs_now);
    const char *rest = whole;
    replace_same(spec, d->own.codecs, &full);
    sbuf_lit(&m, "s=-\r\nt=0 0\r\n");
    for (bool first = true; *rest; first = false) {
        struct spec s;
        read_stream(next_part(&rest, '+'), &s);
        if (!s.codecs[0])
            fail(w, "sdp: which codecs?");
        put(&c, "%s%s", first ? "" : "+", s.codecs);
        put_stream(w, d, &s, first, &m);
    }
    sbuf_char(&m, '\0');
    sbuf_char(&c, '\0');
    if (d->own.version == 0 || strcmp(media, d->own.text) != 0)
        d->own.version++;
    copy_text(d->own.text, sizeof d->own.text, slice_str(media));
    copy_text(d->own.codecs, sizeof d->own.codecs, slice_str(codecs_now));
    put(out, "v=0\r\no=%s 4711 %lu ", d->phone->user, (unsigned long)d->own.version);
    put_address(&d->phone->media, out);
    put(out, "\r\n%s", media);
}

static void tell_format(const struct sdp_media *m, struct slice format, struct sbuf *out) {
    struct slice map = sdp_rtpmap(m, format);
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        struct slice known = slice_str(codecs[i].map);
        if (!slice_ieq(map, known))
            continue;
        put(out, "%s", codecs[i].name);
        if ((unsigned)strtoul(format.p, NULL, 10) != codecs[i].pt)
            put(out, "=%.*s", SLICE_FMT(format));
        return;
    }
    put(out, "%.*s?", SLICE_FMT(format));
}

static const char *direction_name(const struct sdp_media *m) {
    static const char *const names[] = { "inactive", "sendonly", "recvonly", "sendrecv" };
    return m->port == 0 ? "reject" : m->zero_hold ? "zero" : names[m->direction];
}

static void tell_dtls(const struct sdp_media *m, struct sbuf *out) {
    static const char name[] = "a=fingerprint:sha-256 ";
    for (uint32_t i = 0; i + sizeof name < m->lines.n; i++) {
        if (memcmp(m->lines.p + i, name, sizeof name - 1) != 0)
            continue;
        const char *at = m->lines.p + i + sizeof name - 1;
        put(out, "dtls@%.*s,", (int)strcspn(at, "\r"), at);
        return;
    }
}

void sdp_tell(struct slice text, struct sbuf *out) {
    struct sdp s;
    if (sdp_parse(text, &s) < 0) {
        sbuf_lit(out, "unreadable");
        return;
    }
    for (unsigned i = 0; i < s.media_count; i++) {
        const struct sdp_media *m = &s.media[i];
        put(out, i ? "+" : "");
        tell_dtls(m, out);
        srtp_tell(m, out);
        for (unsigned f = 0; f < m->format_count; f++) {
            put(out, f ? "," : "");
            tell_format(m, m->formats[f], out);
        }
        put(out, ":%s", direction_name(m));
    }
}
