/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sdp.h"

#include "parser/sdp_line.h"

/* RFC 3551 section 6, tables 4 and 5. */
static const struct {
    uint8_t type;
    char map[13];
} static_types[] = {
    { 0, "PCMU/8000" },   { 3, "GSM/8000" },    { 4, "G723/8000" },  { 5, "DVI4/8000" },    { 6, "DVI4/16000" },
    { 7, "LPC/8000" },    { 8, "PCMA/8000" },   { 9, "G722/8000" },  { 10, "L16/44100/2" }, { 11, "L16/44100" },
    { 12, "QCELP/8000" }, { 13, "CN/8000" },    { 14, "MPA/90000" }, { 15, "G728/8000" },   { 16, "DVI4/11025" },
    { 17, "DVI4/22050" }, { 18, "G729/8000" },  { 25, "CelB/90000" }, { 26, "JPEG/90000" }, { 28, "nv/90000" },
    { 31, "H261/90000" }, { 32, "MPV/90000" },  { 33, "MP2T/90000" }, { 34, "H263/90000" },
};

/* More formats on one line than this are not compared: a line of 64 KiB must not cost its square. */
#define COMPARED_MAX 64

static bool is_rtp(const struct sdp_media *m) {
    for (uint32_t i = 0; i + 4 <= m->proto.n; i++)
        if (slice_ieq(slice_of(m->proto.p + i, 4), SL("RTP/")))
            return true;
    return false;
}

static struct slice static_map(const struct sdp_media *m, struct slice format) {
    uint64_t type;
    if (!is_rtp(m) || !slice_u64(format, 127, &type))
        return SLICE_NONE;
    for (size_t i = 0; i < sizeof static_types / sizeof static_types[0]; i++)
        if (static_types[i].type == type)
            return slice_str(static_types[i].map);
    return SLICE_NONE;
}

struct slice sdp_rtpmap(const struct sdp_media *m, struct slice format) {
    struct slice rest = m->lines, line, value, word;
    while (sdp_next_line(&rest, &line))
        if (sdp_attribute(line, SL("rtpmap"), &value) && sdp_next_word(&value, &word) && slice_eq(word, format) &&
            sdp_next_word(&value, &word))
            return word;
    return static_map(m, format);
}

uint32_t sdp_clock_rate(const struct sdp_media *m) {
    uint64_t rate = 0;
    if (m->format_count) {
        struct slice map = sdp_rtpmap(m, m->formats[0]);
        int32_t slash = slice_find(map, '/');
        if (slash >= 0) {
            struct slice tail = sdp_skip(map, (uint32_t)slash + 1);
            int32_t channels = slice_find(tail, '/');
            slice_u64(channels < 0 ? tail : slice_of(tail.p, (uint32_t)channels), 10000000, &rate);
        }
    }
    return rate ? (uint32_t)rate : 8000;
}

/* One channel need not be written (RFC 8866 section 6.6). */
static struct slice without_mono(struct slice map) {
    if (map.n >= 2 && map.p[map.n - 1] == '1' && map.p[map.n - 2] == '/' &&
        slice_find(map, '/') < (int32_t)map.n - 2)
        map.n -= 2;
    return map;
}

/* A format and its rtpmap, looked up once. */
struct codec {
    struct slice format, map;
};

static struct codec codec_of(const struct sdp_media *m, struct slice format) {
    return (struct codec){ format, without_mono(sdp_rtpmap(m, format)) };
}

static bool same_codec(const struct codec *a, const struct codec *b) {
    if (!a->map.p && !b->map.p)
        return slice_eq(a->format, b->format);
    return a->map.p && b->map.p && slice_ieq(a->map, b->map);
}

/* What the lines say of the formats, in one walk; of two that speak of the same format the first counts. */
struct said {
    struct slice map[SDP_FORMATS_MAX], fmtp[SDP_FORMATS_MAX];
};

/* A format of up to seven bytes as a number, to be compared at once; 0: longer. */
static uint64_t short_word(struct slice s) {
    uint64_t word = 0;
    if (s.n > 7)
        return 0;
    for (uint32_t i = 0; i < s.n; i++)
        word = word << 8 | (uint8_t)s.p[i];
    return word | (uint64_t)s.n << 56;
}

/* value: "101 telephone-event/8000"; of[i] gets what stands behind the format, or that one's first word. */
static void note(const struct sdp_media *m, const uint64_t *words, struct slice value, struct slice *of,
                 bool one_word) {
    struct slice format;
    if (!sdp_next_word(&value, &format))
        return;
    if (value.n)
        value = sdp_skip(value, 1);
    if (one_word) {
        while (value.n && value.p[0] == ' ')
            value = sdp_skip(value, 1);
        value.n = slice_until(value.p, value.n, ' ');
        if (!value.n)
            return;
    }
    uint64_t this = short_word(format);
    for (uint32_t i = 0; i < m->format_count; i++)
        if (words[i] == this && !of[i].p && (this || slice_eq(m->formats[i], format)))
            of[i] = value;
}

static void read_said(const struct sdp_media *m, struct said *s) {
    struct slice rest = m->lines, line, value;
    uint64_t words[SDP_FORMATS_MAX];
    for (uint32_t i = 0; i < m->format_count; i++) {
        s->map[i] = s->fmtp[i] = SLICE_NONE;
        words[i] = short_word(m->formats[i]);
    }
    while (sdp_next_line(&rest, &line)) {
        if (sdp_attribute(line, SL("rtpmap"), &value))
            note(m, words, value, s->map, true);
        else if (sdp_attribute(line, SL("fmtp"), &value))
            note(m, words, value, s->fmtp, false);
    }
}

uint32_t sdp_codecs(const struct sdp_media *m, struct sdp_codec out[SDP_FORMATS_MAX]) {
    struct said s;
    uint32_t n = 0;
    read_said(m, &s);
    for (uint32_t i = 0; i < m->format_count; i++) {
        struct slice map = without_mono(s.map[i].p ? s.map[i] : static_map(m, m->formats[i]));
        uint64_t number;
        if (map.p && slice_u64(m->formats[i], 127, &number))
            out[n++] = (struct sdp_codec){ (uint8_t)number, map, s.fmtp[i] };
    }
    return n;
}

bool sdp_same_codec(const struct sdp_codec *a, const struct sdp_codec *b) {
    return slice_ieq(a->map, b->map);
}

/* The format list as written: also what lies past SDP_FORMATS_MAX. */
static struct slice format_list(const struct sdp_media *m) {
    struct slice rest = m->lines, line, word;
    if (!sdp_next_line(&rest, &line))
        return SLICE_NONE;
    for (int i = 0; i < 3; i++)
        if (!sdp_next_word(&line, &word))
            return SLICE_NONE;
    return line;
}

/* All of them are in m->formats: their names by one walk. */
static void list_read(const struct sdp_media *m, struct codec *out) {
    struct said s;
    read_said(m, &s);
    for (uint32_t i = 0; i < m->format_count; i++) {
        struct slice map = s.map[i].p ? s.map[i] : static_map(m, m->formats[i]);
        out[i] = (struct codec){ m->formats[i], without_mono(map) };
    }
}

static bool among(const struct codec *wanted, const struct codec *codecs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (same_codec(wanted, &codecs[i]))
            return true;
    return false;
}

/* False: too many of them. */
static bool list_codecs(const struct sdp_media *m, struct codec out[COMPARED_MAX], uint32_t *count) {
    struct slice list = format_list(m), format;
    *count = 0;
    if (m->format_count < SDP_FORMATS_MAX) {
        list_read(m, out);
        *count = m->format_count;
        return true;
    }
    while (sdp_next_word(&list, &format)) {
        if (*count == COMPARED_MAX)
            return false;
        out[(*count)++] = codec_of(m, format);
    }
    return true;
}

static bool media_subset(const struct sdp_media *a, const struct sdp_media *b) {
    struct codec of_a[COMPARED_MAX], of_b[COMPARED_MAX];
    uint32_t count_a, count_b;
    if (b->port == 0 || !slice_ieq(a->kind, b->kind) || !list_codecs(a, of_a, &count_a))
        return false;
    (void)list_codecs(b, of_b, &count_b);
    for (uint32_t i = 0; i < count_a; i++)
        if (!among(&of_a[i], of_b, count_b))
            return false;
    return true;
}

bool sdp_formats_subset(const struct sdp *a, const struct sdp *b) {
    for (uint32_t i = 0; i < a->media_count; i++) {
        if (a->media[i].port == 0)
            continue;
        if (i >= b->media_count || !media_subset(&a->media[i], &b->media[i]))
            return false;
    }
    return true;
}

static bool is_event_or_noise(const struct codec *c) {
    int32_t slash = slice_find(c->map, '/');
    struct slice name = slash < 0 ? c->map : slice_of(c->map.p, (uint32_t)slash);
    return slice_ieq(name, SL("telephone-event")) || slice_ieq(name, SL("CN"));
}

uint32_t sdp_common_formats(const struct sdp_media *a, const struct sdp_media *b) {
    struct codec of_b[SDP_FORMATS_MAX];
    uint32_t common = 0;
    if (!slice_ieq(a->kind, b->kind))
        return 0;
    for (uint32_t i = 0; i < b->format_count; i++)
        of_b[i] = codec_of(b, b->formats[i]);
    for (uint32_t i = 0; i < a->format_count; i++) {
        struct codec c = codec_of(a, a->formats[i]);
        common += !is_event_or_noise(&c) && among(&c, of_b, b->format_count);
    }
    return common;
}

uint32_t sdp_foreign_formats(const struct sdp_media *a, const struct sdp_media *b) {
    struct codec of_b[SDP_FORMATS_MAX];
    uint32_t foreign = 0;
    if (sdp_common_formats(a, b) == 0 || b->port == 0)
        return UINT32_MAX;
    for (uint32_t i = 0; i < b->format_count; i++)
        of_b[i] = codec_of(b, b->formats[i]);
    for (uint32_t i = 0; i < a->format_count; i++) {
        struct codec c = codec_of(a, a->formats[i]);
        if (!among(&c, of_b, b->format_count))
            foreign |= 1u << i;
    }
    return foreign;
}
