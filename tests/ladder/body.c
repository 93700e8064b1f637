/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Session descriptions: short form of the scripts <-> text. One audio stream. */
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

/* CODECS[:DIRECTION]; `same`: what this side said last. */
static void read_spec(const char *spec, const char *before, struct spec *out) {
    struct slice list = next_part(&spec, ':');
    copy_text(out->direction, sizeof out->direction, *spec ? slice_str(spec) : SL("sendrecv"));
    if (slice_eq(list, SL("full")))
        list = SL(FULL);
    if (slice_eq(list, SL("same")) && before)
        list = slice_str(before);
    copy_text(out->codecs, sizeof out->codecs, list);
}

void sdp_spec(const char *spec, struct sbuf *out) {
    struct spec s;
    read_spec(spec, NULL, &s);
    put(out, "%s:%s", s.codecs, s.direction);
}

static void put_formats(struct world *w, const char *list, bool maps, struct sbuf *out) {
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

static void put_media(struct world *w, const struct dialog_side *d, const struct spec *s, struct sbuf *out) {
    bool reject = strcmp(s->direction, "reject") == 0, zero = strcmp(s->direction, "zero") == 0;
    sbuf_lit(out, "s=-\r\nc=IN IP4 ");
    if (zero)
        sbuf_lit(out, "0.0.0.0");
    else
        addr_put_ip(out, &d->own.media);
    put(out, "\r\nt=0 0\r\nm=audio %u RTP/AVP", reject ? 0 : d->own.media.port);
    put_formats(w, s->codecs, false, out);
    sbuf_lit(out, "\r\n");
    put_formats(w, s->codecs, true, out);
    sbuf_lit(out, "a=ptime:20\r\n");
    if (!reject && !zero)
        put(out, "a=%s\r\n", s->direction);
}

void sdp_make(struct world *w, struct dialog_side *d, const char *spec, struct sbuf *out) {
    struct spec s;
    char media[SDP_TEXT_MAX];
    struct sbuf m = sbuf_on(media, sizeof media);
    read_spec(spec, d->own.codecs, &s);
    if (!s.codecs[0])
        fail(w, "sdp: which codecs?");
    put_media(w, d, &s, &m);
    sbuf_char(&m, '\0');
    if (d->own.version == 0 || strcmp(media, d->own.text) != 0)
        d->own.version++;
    copy_text(d->own.text, sizeof d->own.text, slice_str(media));
    copy_text(d->own.codecs, sizeof d->own.codecs, slice_str(s.codecs));
    put(out, "v=0\r\no=%s 4711 %lu IN IP4 ", d->phone->user, (unsigned long)d->own.version);
    addr_put_ip(out, &d->phone->media);
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

void sdp_tell(struct slice text, struct sbuf *out) {
    struct sdp s;
    if (sdp_parse(text, &s) < 0) {
        sbuf_lit(out, "unreadable");
        return;
    }
    for (unsigned i = 0; i < s.media_count; i++) {
        const struct sdp_media *m = &s.media[i];
        put(out, i ? "+" : "");
        for (unsigned f = 0; f < m->format_count; f++) {
            put(out, f ? "," : "");
            tell_format(m, m->formats[f], out);
        }
        put(out, ":%s", direction_name(m));
    }
}
