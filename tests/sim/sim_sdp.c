/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The phones' session descriptions: one audio line, now and then a video line. */
#include "parser/sdp.h"
#include "tests/sim/sim_direct.h"
#include "tests/sim/sim_srtp.h"

#define CODECS 4
static const struct {
    const char *format, *map;
} codecs[CODECS] = { { "0", "PCMU/8000" }, { "8", "PCMA/8000" }, { "9", "G722/8000" }, { "96", "opus/48000/2" } };

static void put_line(struct sbuf *b, const struct phone_sdp *as, unsigned i, uint16_t port) {
    sbuf_lit(b, "m=");
    sbuf_str(b, i ? "video " : "audio ");
    sbuf_u64(b, as->live >> i & 1 ? port + 2u * i : 0);
    sbuf_char(b, ' ');
    sbuf_put(b, as->srtp ? SL("RTP/SAVP") : direct_proto(as->dtls));
    for (unsigned c = 0; c < CODECS; c++) {
        if (!i && as->codecs >> c & 1) {
            sbuf_char(b, ' ');
            sbuf_str(b, codecs[c].format);
        }
    }
    if (i) {
        sbuf_lit(b, " 99\r\na=rtpmap:99 H264/90000\r\n");
        return;
    }
    sbuf_lit(b, " 101\r\n");
    for (unsigned c = 0; c < CODECS; c++) {
        if (!(as->codecs >> c & 1))
            continue;
        sbuf_lit(b, "a=rtpmap:");
        sbuf_str(b, codecs[c].format);
        sbuf_char(b, ' ');
        sbuf_str(b, codecs[c].map);
        sbuf_lit(b, "\r\n");
    }
    sbuf_lit(b, "a=rtpmap:101 telephone-event/8000\r\n");
}

struct slice sdp_write(struct sbuf *b, const struct phone *ph, struct pdlg *d, const struct phone_sdp *as) {
    static const char *const names[] = { "inactive", "sendonly", "recvonly", "sendrecv" };
    bool zero = (ph->quirks >> QUIRK_RFC2543_HOLD & 1) && as->dir == SDP_SENDONLY;
    uint32_t from = b->n;
    sbuf_lit(b, "v=0\r\no=phone ");
    sbuf_u64(b, 1000u + d->port);
    sbuf_char(b, ' ');
    sbuf_u64(b, ++d->sdp_version);
    sbuf_lit(b, " IN IP4 ");
    addr_put_ip(b, &ph->addr);
    sbuf_lit(b, "\r\ns=-\r\nc=IN IP4 ");
    if (zero)
        sbuf_lit(b, "0.0.0.0");
    else
        addr_put_ip(b, &ph->addr);
    sbuf_lit(b, "\r\nt=0 0\r\n");
    for (unsigned i = 0; i < as->lines; i++) {
        put_line(b, as, i, d->port);
        if (as->dtls)
            direct_put(b, ph, d->port);
        if (as->srtp)
            srtp_put(b, ph, d, as);
        if (as->dir != SDP_SENDRECV && !zero) {
            sbuf_lit(b, "a=");
            sbuf_str(b, names[as->dir]);
            sbuf_lit(b, "\r\n");
        }
    }
    return slice_of(b->p + from, b->n - from);
}

bool sdp_read(struct slice text, struct phone_sdp *out) {
    struct sdp s;
    *out = (struct phone_sdp){ 0 };
    if (sdp_parse(text, &s) < 0 || s.media_count == 0)
        return false;
    out->lines = (uint8_t)s.media_count;
    out->dir = (uint8_t)(s.media[0].direction & (s.media[0].zero_hold ? SDP_SENDONLY : SDP_SENDRECV));
    out->port = s.media[0].port;
    out->host = s.media[0].connection.ip[3];
    direct_read(&s, out);
    srtp_read(&s, out);
    for (unsigned i = 0; i < s.media_count; i++)
        out->live |= (uint8_t)((s.media[i].port != 0) << i);
    for (unsigned f = 0; f < s.media[0].format_count; f++)
        for (unsigned c = 0; c < CODECS; c++)
            if (slice_eq(s.media[0].formats[f], slice_str(codecs[c].format)))
                out->codecs |= (uint8_t)(1u << c);
    return true;
}

static uint8_t own_codecs(const struct phone *ph) {
    return ph->quirks >> QUIRK_NARROW & 1 ? (uint8_t)(1u << ph->index % CODECS) : 15;
}

void sdp_offer(struct world *w, const struct phone *ph, const struct pdlg *d, struct phone_sdp *out) {
    bool video = (ph->quirks >> QUIRK_VIDEO & 1) && sim_draw_chance(w, ph->index, 50);
    uint8_t lines = d->mine.lines > d->theirs.lines ? d->mine.lines : d->theirs.lines;
    *out = (struct phone_sdp){ .codecs = own_codecs(ph), .lines = 1, .live = 1 };
    out->dir = d->held ? SDP_SENDONLY : SDP_SENDRECV;
    out->port = d->port;
    out->zero = (ph->quirks >> QUIRK_RFC2543_HOLD & 1) && d->held;
    out->dtls = direct_offers(w, ph, d);
    srtp_offer(w, ph, d, out);
    if (video && lines < 2)
        lines = 2;
    if (lines > 1)
        out->lines = lines;
    if (video)
        out->live |= 2;
}

bool sdp_answer(struct world *w, const struct phone *ph, const struct pdlg *d, const struct phone_sdp *offer,
                struct phone_sdp *out) {
    uint8_t want = d->held ? SDP_SENDONLY : SDP_SENDRECV;
    (void)w;
    *out = *offer;
    out->codecs = offer->codecs & own_codecs(ph);
    out->dir = (uint8_t)(sdp_reverse((enum sdp_direction)offer->dir) & want);
    out->port = d->port;
    out->key = d->mine.key;
    out->live = offer->live & (ph->quirks >> QUIRK_VIDEO & 1 ? 3 : 1);
    return out->codecs != 0 && (out->live & 1) && direct_takes(ph, offer) && offer->srtp == ph->srtp;
}

void sdp_check_answer(struct world *w, const struct phone_sdp *offer, const struct phone_sdp *answer) {
    if (answer->lines != offer->lines)
        sim_fail(w, "an answer with %u m-lines to an offer with %u", answer->lines, offer->lines);
    if (answer->dtls != offer->dtls || answer->srtp != offer->srtp)
        sim_fail(w, "an answer of another transport than its offer");
    if (answer->srtp && (answer->live & 1) && (answer->tag != offer->tag || !answer->key_hash))
        sim_fail(w, "an answer with another key than was asked for: tag %u to %u", answer->tag, offer->tag);
    if (answer->live & ~offer->live)
        sim_fail(w, "an answer takes an m-line that was not offered");
    if ((answer->live & 1) && !offer->zero && answer->dir & ~sdp_reverse((enum sdp_direction)offer->dir))
        sim_fail(w, "an answer of direction %u to an offer of %u", answer->dir, offer->dir);
}
