/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/sdp_memo.h"

#include "parser/sdp_line.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Both descriptions of two legs, what was received, and what of a third leg is looked at beside them. */
#define ENTRIES 8
#define TEXT_MAX 2048
/* m-lines whose codecs are kept: audio, video and one more. */
#define LINES 3

struct codecs {
    bool read;
    uint32_t count;
    struct sdp_codec of[SDP_FORMATS_MAX];
};

struct entry {
    struct sdp sdp;
    struct codecs lines[LINES];
    char text[TEXT_MAX];
};

struct sdp_memo {
    uint32_t used;
    struct entry entries[ENTRIES];
};

struct sdp_memo *sdp_memo_new(struct arena *a) {
    return arena_take(a, sizeof(struct sdp_memo));
}

void sdp_memo_begin(struct sdp_memo *memo) {
    memo->used = 0;
}

/* An m-line has room for far more formats than it has. */
static void copy_media(const struct sdp_media *from, struct sdp_media *to) {
    size_t begin = offsetof(struct sdp_media, formats), end = begin + sizeof from->formats;
    memcpy(to, from, begin);
    memcpy(to->formats, from->formats, from->format_count * sizeof *from->formats);
    memcpy((char *)to + end, (const char *)from + end, sizeof *from - end);
}

static void copy(const struct sdp *from, struct sdp *to) {
    memcpy(to, from, offsetof(struct sdp, media));
    for (uint32_t i = 0; i < from->media_count; i++)
        copy_media(&from->media[i], &to->media[i]);
}

static const struct entry *find(const struct sdp_memo *memo, struct slice text) {
    for (uint32_t i = 0; i < memo->used; i++)
        if (slice_eq(memo->entries[i].sdp.text, text))
            return &memo->entries[i];
    return NULL;
}

/* ---- texts that are alike */

static uint32_t line_begin(struct slice s, uint32_t at) {
#ifdef __SSE2__
    for (; at >= 16; at -= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s.p + at - 16));
        unsigned ends = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('\n')));
        if (ends)
            return at + 16 - (uint32_t)__builtin_clz(ends);
    }
#endif
    while (at && s.p[at - 1] != '\n')
        at--;
    return at;
}

static uint32_t line_end(struct slice s, uint32_t at) {
    const char *end = at < s.n ? memchr(s.p + at, '\n', s.n - at) : NULL;
    return end ? (uint32_t)(end - s.p) : s.n;
}

/* Where the second word of the m-line at `from` ends, when it is a number and `at` is in it or right behind it; else 0.
 */
static uint32_t port_end(struct slice s, uint32_t from, uint32_t at) {
    uint32_t i = from;
    while (i < s.n && s.p[i] != ' ')
        i++;
    uint32_t word = ++i;
    while (i < s.n && (uint8_t)(s.p[i] - '0') < 10)
        i++;
    return i > word && i < s.n && s.p[i] == ' ' && at >= word && at <= i ? i : 0;
}

/* Of the line from `from` to `to`, which may end in CR. */
static bool is_direction(struct slice s, uint32_t from, uint32_t to) {
    struct slice line = slice_of(s.p + from, to - from);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return sdp_line_direction(line) >= 0;
}

/* They differ at *i of a and *j of b, behind `same` bytes that do not: both past what may differ, one of them further
 * than it was. */
static bool skip_difference(struct slice a, struct slice b, uint32_t same, uint32_t *i, uint32_t *j) {
    uint32_t x = line_begin(a, *i), y = *i - x < same ? *j - (*i - x) : line_begin(b, *j), to_i = 0, to_j = 0;
    if (x == a.n || y == b.n || a.p[x] != b.p[y])
        return false;
    if (a.p[x] == 'o' || a.p[x] == 'c') {
        to_i = line_end(a, *i);
        to_j = line_end(b, *j);
    } else if (a.p[x] == 'm') {
        to_i = port_end(a, x, *i);
        to_j = port_end(b, y, *j);
    } else if (a.p[x] == 'a') {
        uint32_t end_i = line_end(a, *i), end_j = line_end(b, *j);
        if (is_direction(a, x, end_i) && is_direction(b, y, end_j)) {
            to_i = end_i;
            to_j = end_j;
        }
    }
    if (!to_i || !to_j || (to_i == *i && to_j == *j))
        return false;
    *i = to_i;
    *j = to_j;
    return true;
}

bool sdp_is_alike(struct slice a, struct slice b) {
    uint32_t i = 0, j = 0;
    for (;;) {
        uint32_t left = a.n - i < b.n - j ? a.n - i : b.n - j, same = slice_alike(a.p + i, b.p + j, left);
        i += same;
        j += same;
        if (i == a.n && j == b.n)
            return true;
        if (!skip_difference(a, b, same, &i, &j))
            return false;
    }
}

int32_t sdp_memo_parse_alike(struct sdp_memo *memo, struct slice text, struct sdp *out) {
    for (uint32_t i = 0; i < memo->used; i++) {
        if (!sdp_is_alike(memo->entries[i].sdp.text, text))
            continue;
        copy(&memo->entries[i].sdp, out);
        return (int32_t)text.n;
    }
    return sdp_memo_parse(memo, text, out);
}

int32_t sdp_memo_parse(struct sdp_memo *memo, struct slice text, struct sdp *out) {
    const struct entry *known = find(memo, text);
    if (known) {
        copy(&known->sdp, out);
        return (int32_t)text.n;
    }
    if (memo->used == ENTRIES || text.n > TEXT_MAX || !text.n)
        return sdp_parse(text, out);
    struct entry *e = &memo->entries[memo->used];
    memcpy(e->text, text.p, text.n);
    int32_t n = sdp_parse(slice_of(e->text, text.n), &e->sdp);
    if (n < 0)
        return n;
    for (unsigned i = 0; i < LINES; i++)
        e->lines[i].read = false;
    memo->used++;
    copy(&e->sdp, out);
    return n;
}

/* What decides the codecs of an m-line: its formats and all lines behind it. */
static struct slice said_of(const struct sdp_media *m) {
    const char *from = m->formats[0].p;
    return slice_of(from, (size_t)(m->lines.p + m->lines.n - from));
}

/* What one party says the other is told, and mostly answered too: the same lines have the same codecs. */
static const struct codecs *same_lines(const struct sdp_memo *memo, const struct sdp_media *m) {
    struct slice said = said_of(m);
    for (uint32_t i = 0; i < memo->used; i++) {
        const struct entry *e = &memo->entries[i];
        for (unsigned j = 0; j < LINES && j < e->sdp.media_count; j++)
            if (e->lines[j].read && e->sdp.media[j].format_count && slice_eq(said_of(&e->sdp.media[j]), said) &&
                slice_eq(e->sdp.media[j].proto, m->proto))
                return &e->lines[j];
    }
    return NULL;
}

static struct codecs *codecs_of(struct sdp_memo *memo, const struct sdp_media *m) {
    for (uint32_t i = 0; i < memo->used; i++) {
        struct entry *e = &memo->entries[i];
        for (unsigned j = 0; j < LINES && j < e->sdp.media_count; j++)
            if (e->sdp.media[j].lines.p == m->lines.p)
                return &e->lines[j];
    }
    return NULL;
}

static void read_codecs(const struct sdp_memo *memo, const struct sdp_media *m, struct codecs *c) {
    const struct codecs *same = m->format_count ? same_lines(memo, m) : NULL;
    if (same) {
        c->count = same->count;
        memcpy(c->of, same->of, same->count * sizeof *c->of);
    } else {
        c->count = sdp_codecs(m, c->of);
    }
    c->read = true;
}

uint32_t sdp_memo_codecs(struct sdp_memo *memo, const struct sdp_media *m, struct sdp_codec out[SDP_FORMATS_MAX]) {
    struct codecs *c = codecs_of(memo, m);
    if (!c)
        return sdp_codecs(m, out);
    if (!c->read)
        read_codecs(memo, m, c);
    memcpy(out, c->of, c->count * sizeof *c->of);
    return c->count;
}
