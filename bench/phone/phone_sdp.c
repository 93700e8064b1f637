/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/phone/phone_int.h"

/* One codec of one description, with the payload type that is used in it. */
struct pick {
    const struct phone_codec *codec;
    uint8_t payload_type;
};

static enum sdp_direction wanted(const struct phone_dialog *d) {
    return d->held_by_us ? SDP_SENDONLY : SDP_SENDRECV;
}

static void put_direction(struct sbuf *b, enum sdp_direction dir) {
    static const char *const names[] = { "inactive", "sendonly", "recvonly", "sendrecv" };
    sbuf_lit(b, "a=");
    sbuf_str(b, names[dir & 3]);
    sbuf_lit(b, "\r\n");
}

static void put_audio(struct sbuf *b, uint16_t port, const struct pick *picks, unsigned n) {
    sbuf_lit(b, "m=audio ");
    sbuf_u64(b, port);
    sbuf_lit(b, " RTP/AVP");
    for (unsigned i = 0; i < n; i++) {
        sbuf_char(b, ' ');
        sbuf_u64(b, picks[i].payload_type);
    }
    sbuf_lit(b, "\r\n");
    for (unsigned i = 0; i < n; i++) {
        sbuf_lit(b, "a=rtpmap:");
        sbuf_u64(b, picks[i].payload_type);
        sbuf_char(b, ' ');
        sbuf_str(b, picks[i].codec->rtpmap);
        sbuf_lit(b, "\r\n");
        if (picks[i].codec->kind != PHONE_DTMF)
            continue;
        sbuf_lit(b, "a=fmtp:");
        sbuf_u64(b, picks[i].payload_type);
        sbuf_lit(b, " 0-16\r\n");
    }
    sbuf_lit(b, "a=ptime:20\r\n");
}

/* Everything but o=, which needs to know whether the rest has changed (RFC 3264 section 8). */
static void put_described(struct phone *ph, struct phone_dialog *d, struct slice media, struct sbuf *b) {
    static const struct siphash_key key = { 0, 0 };
    uint64_t digest = siphash64(key, media.p, media.n);
    if (digest != d->sdp_digest) {
        d->sdp_digest = digest;
        d->sdp_version++;
    }
    sbuf_lit(b, "v=0\r\no=");
    sbuf_str(b, ph->config.name);
    sbuf_char(b, ' ');
    sbuf_u64(b, d->sdp_id);
    sbuf_char(b, ' ');
    sbuf_u64(b, d->sdp_version);
    sbuf_lit(b, " IN IP4 ");
    addr_put_ip(b, &ph->config.local);
    sbuf_lit(b, "\r\ns=-\r\nc=IN IP4 ");
    addr_put_ip(b, &ph->config.local);
    sbuf_lit(b, "\r\nt=0 0\r\n");
    sbuf_put(b, media);
}

void sdp_put_offer(struct phone *ph, int i, struct sbuf *b) {
    struct phone_dialog *d = &ph->dialogs[i];
    struct pick picks[PHONE_CODECS];
    char mem[PHONE_SDP_MAX];
    struct sbuf media = sbuf_on(mem, sizeof mem);
    for (unsigned k = 0; k < ph->config.codec_count; k++)
        picks[k] = (struct pick){ &ph->config.codecs[k], ph->config.codecs[k].payload_type };
    put_audio(&media, d->audio.local_port, picks, ph->config.codec_count);
    put_direction(&media, wanted(d));
    put_described(ph, d, sbuf_slice(&media), b);
}

/* The offer's or answer's format for a codec of ours. */
static bool find_format(const struct sdp_media *m, const struct phone_codec *codec, uint8_t *payload_type) {
    for (unsigned i = 0; i < m->format_count; i++) {
        struct slice map = sdp_rtpmap(m, m->formats[i]);
        uint64_t pt;
        if (map.p && slice_ieq(map, slice_str(codec->rtpmap)) && slice_u64(m->formats[i], 127, &pt)) {
            *payload_type = (uint8_t)pt;
            return true;
        }
    }
    return false;
}

/* Our first audio codec that the offer has, and telephone-event if both know it. */
static unsigned choose(const struct phone *ph, const struct sdp_media *m, struct pick *picks) {
    unsigned n = 0;
    bool audio = false;
    for (unsigned i = 0; i < ph->config.codec_count; i++) {
        const struct phone_codec *c = &ph->config.codecs[i];
        bool dtmf = c->kind == PHONE_DTMF;
        uint8_t pt;
        if ((!dtmf && audio) || !find_format(m, c, &pt))
            continue;
        picks[n++] = (struct pick){ c, pt };
        audio = audio || !dtmf;
    }
    return audio ? n : 0;
}

static void set_audio(struct phone *ph, int i, const struct sdp_media *m, struct pick pick, enum sdp_direction dir) {
    struct phone_audio *a = &ph->dialogs[i].audio;
    a->remote = m->connection;
    a->remote.port = m->port;
    if (m->zero_hold)
        a->remote.port = 0;
    a->payload_type = pick.payload_type;
    a->kind = pick.codec->kind;
    a->direction = dir;
    phone_push(ph, (struct phone_event){ .kind = PHONE_EV_AUDIO, .dialog = i });
}

static bool usable(const struct sdp_media *m) {
    return slice_eq(m->kind, SL("audio")) && slice_eq(m->proto, SL("RTP/AVP")) && m->port != 0;
}

static void put_rejected(struct sbuf *b, const struct sdp_media *m) {
    sbuf_lit(b, "m=");
    sbuf_put(b, m->kind);
    sbuf_lit(b, " 0 ");
    sbuf_put(b, m->proto);
    sbuf_char(b, ' ');
    sbuf_put(b, m->format_count ? m->formats[0] : SL("0"));
    sbuf_lit(b, "\r\n");
}

/* RFC 3264 section 8: the same session id, a version that rises by one when anything else has changed. */
static void judge_origin(struct phone *ph, struct phone_dialog *d, const struct sdp *in) {
    static const struct siphash_key key = { 0, 0 };
    const char *end = in->origin.p + in->origin.n;
    uint64_t id = siphash64(key, in->session_id.p, in->session_id.n) | 1, version = 0;
    uint64_t rest = siphash64(key, end, (size_t)(in->text.p + in->text.n - end));
    bool sound = slice_u64(in->session_version, UINT64_MAX, &version);
    if (sound && d->peer_sdp_id) {
        uint64_t rise = version - d->peer_sdp_version;
        sound = id == d->peer_sdp_id && rise <= 1 && (rise == 1 || rest == d->peer_sdp_digest);
    }
    ph->counters.origin_faults += !sound;
    d->peer_sdp_id = id;
    d->peer_sdp_version = version;
    d->peer_sdp_digest = rest;
}

/* The answer has the offer's m-lines in the offer's order (RFC 3264 section 6). */
bool sdp_put_answer(struct phone *ph, int i, struct slice offer, struct sbuf *b) {
    struct phone_dialog *d = &ph->dialogs[i];
    struct sdp in;
    char mem[PHONE_SDP_MAX];
    struct sbuf media = sbuf_on(mem, sizeof mem);
    bool taken = false;
    if (sdp_parse(offer, &in) < 0)
        return false;
    judge_origin(ph, d, &in);
    for (unsigned k = 0; k < in.media_count; k++) {
        const struct sdp_media *m = &in.media[k];
        struct pick picks[PHONE_CODECS];
        unsigned n = !taken && usable(m) ? choose(ph, m, picks) : 0;
        if (!n) {
            put_rejected(&media, m);
            continue;
        }
        enum sdp_direction dir = (enum sdp_direction)(wanted(d) & sdp_reverse(m->direction));
        put_audio(&media, d->audio.local_port, picks, n);
        put_direction(&media, dir);
        set_audio(ph, i, m, picks[0].codec->kind == PHONE_DTMF ? picks[1] : picks[0], dir);
        taken = true;
    }
    if (taken)
        put_described(ph, d, sbuf_slice(&media), b);
    return taken && !b->overflow && !media.overflow;
}

bool sdp_take_answer(struct phone *ph, int i, struct slice answer) {
    struct phone_dialog *d = &ph->dialogs[i];
    struct sdp in;
    struct pick picks[PHONE_CODECS];
    if (sdp_parse(answer, &in) < 0 || in.media_count != 1 || !usable(&in.media[0]))
        return false;
    judge_origin(ph, d, &in);
    const struct sdp_media *m = &in.media[0];
    /* The answerer's order decides: the first audio format of the answer that is ours. */
    for (unsigned k = 0; k < m->format_count; k++) {
        struct sdp_media one = *m;
        one.format_count = 1;
        one.formats[0] = m->formats[k];
        if (choose(ph, &one, picks)) {
            set_audio(ph, i, m, picks[0], (enum sdp_direction)(wanted(d) & sdp_reverse(m->direction)));
            return true;
        }
    }
    return false;
}
