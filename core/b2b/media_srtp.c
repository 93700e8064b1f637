/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/media_srtp.h"

#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "core/b2b/policy.h"

/* In the order of preference; each of our first offers has them all. */
static const enum srtp_suite offered[] = { SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_32 };
#define OFFERED (sizeof offered / sizeof *offered)
_Static_assert(OFFERED * SDP_CRYPTO_LINE_MAX <= sizeof((struct media_srtp_line *)0)->mem, "room for an offer");

static const struct slice profiles[2][2] = {
    { { "RTP/AVP", 7 }, { "RTP/AVPF", 8 } },
    { { "RTP/SAVP", 8 }, { "RTP/SAVPF", 9 } },
};

/* False: not a profile of RTP that we relay. */
static bool read_profile(struct slice proto, bool *secure, bool *feedback) {
    if (proto.n < 7 || proto.n > 9)
        return false;
    *secure = *feedback = false;
    if (slice_eq(proto, SL("RTP/AVP")))
        return true;
    /* RTP/SAVPF: one letter tells each, and then there is one name to compare with. */
    *secure = (proto.p[4] | 0x20) == 's';
    *feedback = (proto.p[proto.n - 1] | 0x20) == 'f';
    return slice_ieq(proto, profiles[*secure][*feedback]);
}

static bool is_secure(const struct sdp_media *m) {
    bool secure = false, feedback;
    return read_profile(m->proto, &secure, &feedback) && secure;
}

static bool first_crypto(const struct sdp_media *m, struct sdp_crypto *out) {
    struct slice rest = m->lines;
    return m->crypto && sdp_crypto_next(&rest, out);
}

enum srtp_mode media_srtp_mode(const struct engine *e, struct leg *l) {
    if (l->srtp == SRTP_MODE_DEFAULT)
        l->srtp = (uint8_t)policy_srtp_mode(e, leg_str(l, LEG_PRINCIPAL));
    return (enum srtp_mode)l->srtp;
}

bool media_srtp_is_live(const struct sdp_media *m) {
    struct sdp_crypto c;
    bool secure, feedback;
    return m->port != 0 && read_profile(m->proto, &secure, &feedback) && (!secure || first_crypto(m, &c));
}

bool media_srtp_fits(enum srtp_mode mode, const struct sdp_media *m) {
    struct sdp_crypto c;
    if (!media_srtp_is_live(m))
        return false;
    return is_secure(m) ? mode != SRTP_MODE_OFF : mode != SRTP_MODE_REQUIRE || first_crypto(m, &c);
}

struct slice media_srtp_refusal(enum srtp_mode mode, const struct sdp *s) {
    bool secure, feedback;
    for (unsigned i = 0; i < s->media_count && i < LEG_STREAMS; i++) {
        const struct sdp_media *m = &s->media[i];
        if (m->port == 0 || !read_profile(m->proto, &secure, &feedback))
            continue;
        if (!secure)
            return SL("SRTP required");
        if (mode == SRTP_MODE_OFF)
            return SL("SRTP not allowed");
        if (!m->crypto)
            return SL("SRTP without a=crypto");
        return sdp_crypto_best(m->lines) == SDP_CRYPTO_MALFORMED ? SL("Malformed a=crypto") : SL("No usable a=crypto");
    }
    return SLICE_NONE;
}

/* ---- what a leg is told ---- */

bool media_srtp_spoken(const struct sdp *s) {
    for (unsigned i = 0; i < s->media_count; i++)
        if (s->media[i].crypto || is_secure(&s->media[i]))
            return true;
    return false;
}

static void read_into(struct slice text, struct sdp *out) {
    if (!text.p || sdp_parse(text, out) < 0)
        out->media_count = 0;
}

void media_srtp_begin(const struct engine *e, struct leg *to, const struct sdp *from, struct media_srtp *out) {
    out->mode = media_srtp_mode(e, to);
    out->answer = to->oa == OA_OFFER_RCVD;
    out->withdrawn = to->keys_withdrawn;
    out->concerned = out->mode >= SRTP_MODE_OFFER || to->media.said_srtp || to->media.told_srtp ||
                     media_srtp_spoken(from);
    if (!out->concerned)
        return;
    read_into(leg_str(to, LEG_SDP_REMOTE), &out->said);
    read_into(leg_str(to, LEG_SDP_LOCAL), &out->told);
}

bool media_srtp_withdraw(const struct engine *e, struct leg *l) {
    struct sdp told;
    bool keys = false;
    if (l->direct || l->keys_withdrawn || media_srtp_mode(e, l) != SRTP_MODE_OFFER || leg_str(l, LEG_SDP_REMOTE).p)
        return false;
    read_into(leg_str(l, LEG_SDP_LOCAL), &told);
    for (unsigned i = 0; i < told.media_count && i < LEG_STREAMS; i++)
        keys = keys || (told.media[i].crypto && !is_secure(&told.media[i]));
    l->keys_withdrawn = keys;
    return keys;
}

static const struct sdp_media *line_of(const struct sdp *s, unsigned i) {
    return i < s->media_count ? &s->media[i] : NULL;
}

static void make_key(struct engine *e, struct sdp_crypto *c) {
    for (unsigned i = 0; i < srtp_key_bytes(c->suite); i += 8) {
        uint64_t r = rng_u64(&e->rng);
        for (unsigned b = 0; b < 8 && i + b < sizeof c->key; b++)
            c->key[i + b] = (uint8_t)(r >> (8 * b));
    }
}

/* The one we had for this suite on this line, if any. */
static bool known_key(const struct sdp_media *told, struct sdp_crypto *c) {
    struct slice rest = told && told->crypto ? told->lines : SLICE_NONE;
    struct sdp_crypto had;
    while (rest.n && sdp_crypto_next(&rest, &had)) {
        if (had.suite != c->suite)
            continue;
        memcpy(c->key, had.key, sizeof c->key);
        return true;
    }
    return false;
}

static void put_crypto(struct engine *e, const struct sdp_media *told, struct sdp_crypto *c, struct sbuf *b) {
    if (!known_key(told, c))
        make_key(e, c);
    sdp_crypto_put(b, c);
}

/* Of an answer to the peer's line. */
static bool answer_line(struct engine *e, const struct media_srtp *x, unsigned i, struct sbuf *b,
                        struct media_srtp_line *out) {
    const struct sdp_media *theirs = &x->said.media[i];
    struct sdp_crypto c;
    out->proto = theirs->proto;
    if (!media_srtp_fits(x->mode, theirs))
        return false;
    if (x->mode == SRTP_MODE_OFF || !first_crypto(theirs, &c))
        return true;
    c = (struct sdp_crypto){ .tag = c.tag, .suite = c.suite };
    put_crypto(e, line_of(&x->told, i), &c, b);
    return true;
}

/* Keys as they stand in our own line. */
static void repeat(const struct sdp_media *told, struct sbuf *b) {
    struct slice rest = told->lines;
    struct sdp_crypto c;
    for (unsigned n = 0; n < OFFERED && sdp_crypto_next(&rest, &c); n++)
        sdp_crypto_put(b, &c);
}

/* A line that is new, or comes back: as the peer has it already, else as its mode wants it. */
static bool fresh_line(struct engine *e, const struct media_srtp *x, unsigned i, struct sbuf *b) {
    const struct sdp_media *theirs = line_of(&x->said, line_of(&x->said, i) ? i : 0);
    struct sdp_crypto c;
    bool keyed = theirs && first_crypto(theirs, &c);
    bool secure = theirs ? is_secure(theirs) : x->mode == SRTP_MODE_REQUIRE;
    if (!(theirs ? secure || keyed : x->mode >= SRTP_MODE_OFFER))
        return false;
    for (unsigned n = 0; n < OFFERED; n++) {
        c = (struct sdp_crypto){ .tag = n + 1, .suite = offered[n] };
        put_crypto(e, NULL, &c, b);
    }
    return secure;
}

static void offer_line(struct engine *e, const struct media_srtp *x, unsigned i, const struct sdp_media *from,
                       struct sbuf *b, struct media_srtp_line *out) {
    const struct sdp_media *ours = line_of(&x->told, i);
    struct sdp_crypto c;
    bool was = false, feedback = false, secure;
    if (x->withdrawn && !(ours && is_secure(ours))) {
        secure = false;
    } else if (ours && first_crypto(ours, &c)) {
        secure = is_secure(ours);
        repeat(ours, b);
    } else {
        secure = ours && ours->port ? is_secure(ours) : fresh_line(e, x, i, b);
    }
    if (read_profile(from->proto, &was, &feedback) && was != secure)
        out->proto = profiles[secure][feedback];
}

bool media_srtp_line(struct engine *e, const struct media_srtp *x, unsigned i, const struct sdp_media *from,
                     struct media_srtp_line *out) {
    struct sbuf b = sbuf_on(out->mem, sizeof out->mem);
    bool taken = true;
    out->proto = out->crypto = SLICE_NONE;
    if (!x->concerned)
        return true;
    if (x->answer && i < x->said.media_count)
        taken = answer_line(e, x, i, &b, out);
    else
        offer_line(e, x, i, from, &b, out);
    out->crypto = b.n ? sbuf_slice(&b) : SLICE_NONE;
    return taken;
}

/* ---- what the relay is told ---- */

/* Tag and suite that both name: an answer has one, its offer may have several. */
static bool common_crypto(const struct sdp_media *said, const struct sdp_media *told, struct sdp_crypto *theirs,
                          struct sdp_crypto *ours) {
    struct slice rest = said->crypto ? said->lines : SLICE_NONE;
    while (rest.n && sdp_crypto_next(&rest, theirs)) {
        struct slice own = told->crypto ? told->lines : SLICE_NONE;
        while (own.n && sdp_crypto_next(&own, ours))
            if (ours->tag == theirs->tag && ours->suite == theirs->suite)
                return true;
    }
    return false;
}

static struct srtp_keys agreed(const struct sdp_media *said, const struct sdp_media *told) {
    struct srtp_keys k = { .suite = SRTP_NONE };
    struct sdp_crypto theirs, ours;
    if (common_crypto(said, told, &theirs, &ours)) {
        k.suite = (uint8_t)theirs.suite;
        k.mki_n = theirs.mki_n;
        memcpy(k.mki, theirs.mki, sizeof k.mki);
        memcpy(k.in, theirs.key, sizeof k.in);
        memcpy(k.out, ours.key, sizeof k.out);
    } else if (is_secure(said) || is_secure(told) || (said->crypto && told->crypto)) {
        k.suite = SRTP_BROKEN;
    }
    return k;
}

/* Of a key and what is done with it: told apart from another one, and of no use to who reads it. */
static uint32_t mark(const struct engine *e, const struct srtp_keys *k, bool in) {
    struct siphash h;
    siphash_init(&h, e->map_key, false);
    siphash_add(&h, &k->suite, in ? offsetof(struct srtp_keys, in) : 1);
    siphash_add(&h, in ? k->in : k->out, SRTP_KEY_MAX);
    return (uint32_t)siphash_end(&h).a | 1;
}

/* Counters are of a key: a new one begins at 0. */
static void settle_stream(struct engine *e, struct leg_stream *s, struct srtp_keys *k) {
    uint32_t in = k->suite ? mark(e, k, true) : 0, out = k->suite ? mark(e, k, false) : 0;
    if (s->suite == k->suite && s->key_in == in && s->key_out == out)
        return;
    if (s->key_in && s->key_in != in)
        s->in_roc = (struct srtp_roc){ 0 };
    if (s->key_out && s->key_out != out)
        s->out_roc = (struct srtp_roc){ 0 };
    k->resumed = s->resumed;
    k->in_roc = s->in_roc;
    k->out_roc = s->out_roc;
    if (!media_tell_keys(e, s, k))
        return;
    s->suite = k->suite;
    s->key_in = in;
    s->key_out = out;
}

static bool has_keys(const struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        if (l->media.streams[i]->suite)
            return true;
    return false;
}

void media_srtp_settle(struct engine *e, struct leg *l, struct slice text) {
    struct sdp said, told;
    struct slice ours = leg_str(l, LEG_SDP_LOCAL);
    bool concerned = l->media.said_srtp || l->media.told_srtp || has_keys(l);
    if (!concerned || !text.p || !ours.p || sdp_parse(text, &said) < 0 || sdp_parse(ours, &told) < 0)
        return;
    for (unsigned i = 0; i < LEG_STREAMS && i < said.media_count && i < told.media_count; i++) {
        struct leg_stream *s = l->media.streams[i];
        if (!s->open || !said.media[i].port || !told.media[i].port)
            continue;
        struct srtp_keys k = agreed(&said.media[i], &told.media[i]);
        settle_stream(e, s, &k);
    }
}

void media_srtp_reopen(struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        struct leg_stream *s = l->media.streams[i];
        if (s == &leg_no_stream)
            continue;
        s->suite = SRTP_NONE;
        s->resumed = true;
        s->key_in = s->key_out = 0;
    }
}

struct slice media_srtp_name(const struct leg_stream *s) {
    if (s->suite == SRTP_NONE)
        return SLICE_NONE;
    return s->suite == SRTP_BROKEN ? SL("without-key") : srtp_suite_name((enum srtp_suite)s->suite);
}

void media_srtp_rolled(struct engine *e, const struct event *ev) {
    unsigned i;
    struct leg *l = media_leg(e, ev->u.media.stream, ev->u.media.generation, &i);
    struct call *c = l ? leg_call(e, l) : NULL;
    if (!c)
        return;
    l->media.streams[i]->in_roc = ev->u.media.in;
    l->media.streams[i]->out_roc = ev->u.media.out;
    call_changed(e, c);
}
