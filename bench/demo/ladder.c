/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/demo/demo.h"
#include "parser/sip_frag.h"
#include "parser/sip_hdr.h"

#include <stdio.h>

#define LANE 18
#define LANES_MAX (4 * LANE + 1)

/* Columns of A, Referee, B, C and P; without a daemon messages still meet in the second. */
static const int column[WHO_COUNT] = { 0, 2 * LANE, 3 * LANE, 4 * LANE };
#define REFEREE_COLUMN LANE

void ladder_head(const struct demo *d) {
    const char *middle = d->domain[0] ? "Referee" : "network";
    printf("          ms  A%*s%-*s%-*sC", LANE - 1, "", LANE, middle, LANE, "B");
    printf(d->flow.with_p ? "%*sP\n" : "\n", LANE - 1, "");
}

/* "INVITE 17", "200 INVITE 17" */
static int label(const struct sip_msg *m, char *out, size_t cap) {
    struct slice method = m->is_request ? m->method_name : m->cseq_method_name;
    if (m->is_request)
        return snprintf(out, cap, "%.*s %u", SLICE_FMT(method), m->cseq);
    return snprintf(out, cap, "%u %.*s %u", m->status, SLICE_FMT(method), m->cseq);
}

static void draw(const struct demo *d, enum who who, const struct phone_seen *seen, char *lanes) {
    char text[40];
    int n = label(seen->msg, text, sizeof text);
    int from = column[who] < REFEREE_COLUMN ? column[who] : REFEREE_COLUMN;
    int to = column[who] < REFEREE_COLUMN ? REFEREE_COLUMN : column[who];
    bool rightwards = seen->sent == (column[who] < REFEREE_COLUMN);
    int lane_count = d->flow.with_p ? 4 : 3;
    memset(lanes, ' ', LANES_MAX);
    for (int i = 0; i <= lane_count; i++)
        lanes[i * LANE] = '|';
    memset(lanes + from + 1, '-', (size_t)(to - from - 1));
    lanes[rightwards ? to - 1 : from + 1] = rightwards ? '>' : '<';
    /* Next to the phone's own column, so that a line to C is told from one to B. */
    int at = who > B ? to - LANE + 2 : from + 2;
    if (n > LANE - 3)
        n = LANE - 3;
    memcpy(lanes + at, text, (size_t)n);
    lanes[lane_count * LANE + 1] = 0;
}

static void put_sdp(struct sbuf *b, struct slice text) {
    static const char *const names[] = { "inactive", "sendonly", "recvonly", "sendrecv" };
    struct sdp sdp;
    if (sdp_parse(text, &sdp) < 0 || !sdp.media_count)
        return;
    const struct sdp_media *m = &sdp.media[0];
    sbuf_str(b, names[m->direction & 3]);
    for (unsigned i = 0; i < m->format_count; i++) {
        struct slice map = sdp_rtpmap(m, m->formats[i]);
        int32_t slash = map.p ? slice_find(map, '/') : -1;
        sbuf_char(b, ' ');
        sbuf_escaped(b, slash > 0 ? slice_of(map.p, (size_t)slash) : m->formats[i], 16);
    }
    sbuf_lit(b, " port ");
    sbuf_u64(b, m->port);
}

static void put_header(struct sbuf *b, const struct sip_msg *m, enum sip_hdr_id id, uint32_t max) {
    struct slice v = sip_hdr_value(m, id);
    if (!v.p)
        return;
    if (b->n)
        sbuf_lit(b, "  ");
    sbuf_put(b, sip_hdr_name(id));
    sbuf_lit(b, ": ");
    sbuf_escaped(b, v, max);
}

static void details(const struct demo *d, const struct sip_msg *m, struct sbuf *b) {
    uint16_t status;
    struct slice reason;
    if (m->body.n && sip_is_media_type(m->content_type, SL("application"), SL("sdp")))
        put_sdp(b, m->body);
    if (m->body.n && sip_is_media_type(m->content_type, SL("message"), SL("sipfrag")) &&
        sip_frag_status(m->body, &status, &reason)) {
        sbuf_u64(b, status);
        sbuf_char(b, ' ');
        sbuf_escaped(b, reason, 32);
    }
    put_header(b, m, SIP_H_EVENT, 40);
    put_header(b, m, SIP_H_SUBSCRIPTION_STATE, 60);
    put_header(b, m, SIP_H_REFER_TO, d->verbose ? 400 : 90);
    put_header(b, m, SIP_H_REPLACES, d->verbose ? 400 : 60);
    put_header(b, m, SIP_H_REFERRED_BY, 60);
    put_header(b, m, SIP_H_REQUIRE, 40);
    if (m->method == SIP_M_REGISTER && m->is_request)
        put_header(b, m, SIP_H_EXPIRES, 10);
    if (!m->is_request && !b->n)
        sbuf_escaped(b, m->reason, 40);
    if (m->is_request && m->method == SIP_M_INVITE && !m->to_tag.p) {
        sbuf_lit(b, "  to ");
        sbuf_escaped(b, m->ruri_text, 40);
    }
}

void ladder_note(const struct demo *d, const char *text) {
    double ms = (double)(clock_us() - d->start_us) / 1000;
    printf("%s       %6.0f ==== %s ====%s\n", d->colour ? "\033[1m" : "", ms, text, d->colour ? "\033[0m" : "");
    fflush(stdout);
}

void ladder_line(const struct demo *d, enum who who, const struct phone_seen *seen, enum mark mark, const char *note) {
    static const char *const marks[] = { "ok", "digest", "again", "??", "WRONG" };
    static const char *const colours[] = { "\033[32m", "\033[36m", "\033[2m", "\033[31m", "\033[31m" };
    char lanes[LANES_MAX + 1], text[1024];
    struct sbuf b = sbuf_on(text, sizeof text);
    draw(d, who, seen, lanes);
    details(d, seen->msg, &b);
    printf("%s%6s%s %6.0f %s  %.*s%s%s\n", d->colour ? colours[mark] : "", marks[mark], d->colour ? "\033[0m" : "",
           (double)(clock_us() - d->start_us) / 1000, lanes, (int)b.n, b.p, note ? "   <-- " : "", note ? note : "");
    if (d->verbose)
        printf("%.*s\n", SLICE_FMT(seen->msg->whole));
    fflush(stdout);
}
