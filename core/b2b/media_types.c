/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/media_types.h"

#define DYNAMIC_MIN 96
#define TYPES 128

/* The leg's own numbers. An answer goes by the peer's offer first, else what we said last comes first. */
struct known {
    const struct engine *e;
    const struct leg *leg;
    unsigned line;
    struct sdp_codec codecs[SDP_FORMATS_MAX];
    uint32_t count;
};

static const unsigned offering[] = { LEG_SDP_LOCAL, LEG_SDP_REMOTE, LEG_SDP_FULL };
static const unsigned answering[] = { LEG_SDP_REMOTE, LEG_SDP_LOCAL, LEG_SDP_FULL };
#define SOURCES (sizeof offering / sizeof *offering)

static struct slice source_of(const struct leg *l, unsigned source) {
    return leg_str(l, l->oa == OA_OFFER_RCVD ? answering[source] : offering[source]);
}

static bool read_source(struct known *k, unsigned source) {
    struct sdp s;
    struct slice text = source_of(k->leg, source);
    k->count = 0;
    if (!text.p || engine_sdp(k->e, text, &s) < 0 || k->line >= s.media_count)
        return false;
    k->count = sdp_memo_codecs(k->e->descriptions, &s.media[k->line], k->codecs);
    return true;
}

/* One m-line's formats and what they become. */
struct numbering {
    struct sdp_codec codecs[SDP_FORMATS_MAX];
    uint8_t to[SDP_FORMATS_MAX];
    bool done[SDP_FORMATS_MAX];
    bool taken[TYPES];            /* given away already */
    bool foreign[TYPES];          /* the leg knows another codec by it */
    uint32_t count;
};

static void give(struct numbering *n, uint32_t i, uint8_t number) {
    n->to[i] = number;
    n->done[i] = true;
    n->taken[number] = true;
}

static bool same_parameters(const struct sdp_codec *a, const struct sdp_codec *b) {
    return slice_ieq(a->fmtp, b->fmtp);
}

static void keep_equal(struct numbering *n, const struct known *k) {
    for (uint32_t i = 0; i < n->count; i++)
        for (uint32_t j = 0; !n->done[i] && j < k->count; j++)
            if (n->codecs[i].number == k->codecs[j].number && !n->taken[k->codecs[j].number] &&
                sdp_same_codec(&n->codecs[i], &k->codecs[j]))
                give(n, i, k->codecs[j].number);
}

/* Two variants of one codec are told apart by their parameters, as far as these are alike on both sides. */
static void take_known(struct numbering *n, const struct known *k, bool parameters) {
    for (uint32_t i = 0; i < n->count; i++)
        for (uint32_t j = 0; !n->done[i] && j < k->count; j++)
            if (!n->taken[k->codecs[j].number] && sdp_same_codec(&n->codecs[i], &k->codecs[j]) &&
                (!parameters || same_parameters(&n->codecs[i], &k->codecs[j])))
                give(n, i, k->codecs[j].number);
}

static void note_foreign(struct numbering *n, const struct known *k) {
    for (uint32_t j = 0; j < k->count; j++)
        n->foreign[k->codecs[j].number] = true;
}

static bool is_free(const struct numbering *n, unsigned number) {
    return !n->taken[number] && !n->foreign[number];
}

/* A codec that the leg never saw keeps its number, unless the leg has that for another one. */
static void number_unknown(struct numbering *n) {
    for (uint32_t i = 0; i < n->count; i++)
        if (!n->done[i] && is_free(n, n->codecs[i].number))
            give(n, i, n->codecs[i].number);
    for (uint32_t i = 0; i < n->count; i++) {
        unsigned free = DYNAMIC_MIN;
        while (free < TYPES && !is_free(n, free))
            free++;
        if (!n->done[i])
            give(n, i, free < TYPES ? (uint8_t)free : n->codecs[i].number);
    }
}

static bool all_done(const struct numbering *n) {
    for (uint32_t i = 0; i < n->count; i++)
        if (!n->done[i])
            return false;
    return true;
}

static void number(struct numbering *n, struct known *k) {
    for (unsigned s = 0; s < SOURCES && !all_done(n); s++)
        if (read_source(k, s))
            keep_equal(n, k);
    for (unsigned s = 0; s < SOURCES && !all_done(n); s++) {
        if (!read_source(k, s))
            continue;
        take_known(n, k, true);
        take_known(n, k, false);
    }
    for (unsigned s = 0; s < SOURCES && !all_done(n); s++)
        if (read_source(k, s))
            note_foreign(n, k);
    number_unknown(n);
}

static bool are_distinct_numbers(const struct sdp_media *m) {
    uint64_t number, seen[2] = { 0, 0 };
    for (uint32_t f = 0; f < m->format_count; f++) {
        if (!slice_u64(m->formats[f], TYPES - 1, &number) || (seen[number / 64] >> number % 64 & 1))
            return false;
        seen[number / 64] |= UINT64_C(1) << number % 64;
    }
    return true;
}

/* What the leg goes by first has the same line: all of it keeps its number. */
static bool is_known_line(const struct engine *e, const struct leg *l, const struct sdp_media *m, unsigned line) {
    struct sdp s;
    for (unsigned i = 0; i < SOURCES; i++) {
        struct slice text = source_of(l, i);
        if (text.p && sdp_memo_parse_alike(e->descriptions, text, &s) >= 0 && line < s.media_count)
            return s.media[line].lines.p == m->lines.p && are_distinct_numbers(m);
    }
    return false;
}

static void renumber(const struct engine *e, const struct leg *l, const struct sdp *text, unsigned i,
                     struct sdp_renumber *out) {
    struct numbering n = { .count = 0 };
    struct known k = { .e = e, .leg = l, .line = i };
    n.count = sdp_memo_codecs(e->descriptions, &text->media[i], n.codecs);
    number(&n, &k);
    for (uint32_t f = 0; f < n.count; f++) {
        if (n.to[f] == n.codecs[f].number)
            continue;
        out->pair[out->count].from = n.codecs[f].number;
        out->pair[out->count++].to = n.to[f];
    }
}

void media_types_keep(const struct engine *e, const struct leg *l, const struct sdp *text, unsigned i,
                      struct sdp_renumber *out) {
    bool knows = leg_str(l, LEG_SDP_LOCAL).p || leg_str(l, LEG_SDP_REMOTE).p;
    out->count = 0;
    if (knows && !is_known_line(e, l, &text->media[i], i))
        renumber(e, l, text, i, out);
}

/* ---- routes ---- */

static void read_end(const struct engine *e, struct slice text, struct sdp *out) {
    if (!text.p || sdp_memo_parse_alike(e->descriptions, text, out) < 0)
        out->media_count = 0;
}

void media_types_read(const struct engine *e, const struct leg *l, struct media_types_leg *out) {
    read_end(e, leg_str(l, LEG_SDP_LOCAL), &out->told);
    read_end(e, leg_str(l, LEG_SDP_REMOTE), &out->said);
}

struct codec_list {
    struct sdp_codec codecs[SDP_FORMATS_MAX];
    uint32_t count;
};

static void list_line(const struct engine *e, const struct sdp *s, unsigned i, struct codec_list *out) {
    out->count = i < s->media_count ? sdp_memo_codecs(e->descriptions, &s->media[i], out->codecs) : 0;
}

static bool has_codec(const struct codec_list *l, const struct sdp_codec *c) {
    for (uint32_t i = 0; i < l->count; i++)
        if (sdp_same_codec(&l->codecs[i], c))
            return true;
    return false;
}

static const struct sdp_codec *by_number(const struct codec_list *l, uint8_t number) {
    for (uint32_t i = 0; i < l->count; i++)
        if (l->codecs[i].number == number)
            return &l->codecs[i];
    return NULL;
}

/* What the listener calls it: the same number where it can, else the variant with the same parameters, else any. */
static const struct sdp_codec *counterpart(const struct codec_list *l, const struct sdp_codec *c) {
    const struct sdp_codec *best = by_number(l, c->number);
    if (best && sdp_same_codec(best, c))
        return best;
    best = NULL;
    for (uint32_t i = 0; i < l->count; i++) {
        if (!sdp_same_codec(&l->codecs[i], c))
            continue;
        if (same_parameters(&l->codecs[i], c))
            return &l->codecs[i];
        best = best ? best : &l->codecs[i];
    }
    return best;
}

static void add_pair(struct media_types *out, uint8_t from, uint8_t to) {
    if (out->count == MEDIA_TYPES_MAX)
        return;
    out->pair[out->count].from = from;
    out->pair[out->count++].to = to;
}

struct ends {
    struct codec_list sender, listener, session;
};

static void add_codec(const struct ends *e, const struct sdp_codec *c, struct media_types *out) {
    const struct sdp_codec *there = counterpart(&e->listener, c);
    if (there && out->only && !has_codec(&e->session, c))
        there = NULL;
    if (there && (out->only || there->number != c->number))
        add_pair(out, c->number, there->number);
    else if (!there && !out->only && by_number(&e->listener, c->number))
        add_pair(out, c->number, MEDIA_TYPE_DROP);
}

/* The same lines of one text: each calls everything as the other does. */
static bool is_one_line(const struct sdp *a, const struct sdp *b, unsigned i) {
    return i < a->media_count && i < b->media_count && a->media[i].lines.p == b->media[i].lines.p;
}

void media_types_route(const struct engine *e, const struct media_types_leg *sender,
                       const struct media_types_leg *listener, unsigned i, bool only, struct media_types *out) {
    struct ends ends;
    struct codec_list own;
    *out = (struct media_types){ .only = only };
    if (!only && is_one_line(&sender->told, &sender->said, i) && is_one_line(&sender->told, &listener->told, i) &&
        is_one_line(&sender->told, &listener->said, i))
        return;
    list_line(e, &sender->told, i, &ends.sender);
    list_line(e, &sender->said, i, &own);
    list_line(e, &listener->told, i, &ends.session);
    list_line(e, &listener->said, i, &ends.listener);
    for (uint32_t f = 0; f < ends.sender.count; f++)
        add_codec(&ends, &ends.sender.codecs[f], out);
    for (uint32_t f = 0; f < own.count; f++)
        if (!by_number(&ends.sender, own.codecs[f].number))
            add_codec(&ends, &own.codecs[f], out);
    out->only = only && out->count < MEDIA_TYPES_MAX;
}
