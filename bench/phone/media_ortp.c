/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/phone/media.h"

#include <ortp/ortp.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES (TONE_RATE / 50)

struct media {
    struct media_config config;
    struct media_remote remote;
    struct media_heard heard;
    struct tone_source source;
    RtpSession *rtp;
    uint64_t start_us, next_us;   /* next_us == 0: nothing is sent */
    uint64_t sent;
    uint32_t ssrc;
    uint16_t seq;
    bool heard_before;            /* ssrc and seq are of this call */
    int16_t window[TONE_WINDOW];
    uint32_t filled;
};

/* oRTP is set up once in a process. */
static void ortp_once(void) {
    static bool done;
    if (done)
        return;
    done = true;
    ortp_init();
}

struct media *media_open(const struct media_config *c) {
    ortp_once();
    struct media *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->config = *c;
    m->rtp = rtp_session_new(RTP_SESSION_SENDRECV);
    rtp_session_set_scheduling_mode(m->rtp, FALSE);
    rtp_session_set_blocking_mode(m->rtp, FALSE);
    rtp_session_enable_jitter_buffer(m->rtp, FALSE);
    rtp_session_set_symmetric_rtp(m->rtp, FALSE);
    rtp_session_set_ssrc_changed_threshold(m->rtp, 0);
    rtp_session_set_payload_type(m->rtp, 0);
    rtp_session_enable_rtcp(m->rtp, FALSE);
    if (rtp_session_set_local_addr(m->rtp, c->address, c->port, c->port + 1) != 0) {
        media_close(m);
        return NULL;
    }
    tone_source_init(&m->source, c->hertz);
    media_mark(m, 0);
    return m;
}

void media_close(struct media *m) {
    if (!m)
        return;
    rtp_session_destroy(m->rtp);
    free(m);
}

int media_fd(const struct media *m) {
    return rtp_session_get_rtp_socket(m->rtp);
}

void media_set_remote(struct media *m, const struct media_remote *r, uint64_t now_us) {
    bool moved = strcmp(m->remote.address, r->address) != 0 || m->remote.port != r->port;
    m->remote = *r;
    if (r->port && moved)
        rtp_session_set_remote_addr_full(m->rtp, r->address, r->port, r->address,
                                         r->rtcp_port ? r->rtcp_port : r->port + 1);
    rtp_session_set_payload_type(m->rtp, r->payload_type);
    rtp_session_enable_rtcp(m->rtp, r->port != 0);
    if (!r->port || !r->send) {
        m->next_us = 0;
        return;
    }
    if (!m->start_us)
        m->start_us = now_us;
    if (!m->next_us)
        m->next_us = now_us;
}

void media_stop(struct media *m) {
    rtp_session_enable_rtcp(m->rtp, FALSE);
    m->heard_before = false;
    m->next_us = 0;
    m->remote.port = 0;
    m->remote.address[0] = 0;
}

void media_mark(struct media *m, uint64_t now_us) {
    m->heard = (struct media_heard){ .marked_us = now_us };
    for (unsigned i = 0; i < MEDIA_TONES_MAX; i++)
        m->heard.share_min[i] = 1;
    m->filled = 0;
}

const struct media_heard *media_heard(const struct media *m) {
    return &m->heard;
}

uint64_t media_sent(const struct media *m) {
    return m->sent;
}

uint64_t media_due(const struct media *m) {
    return m->next_us ? m->next_us : UINT64_MAX;
}

/* Index of the known tone that dominates, or -1. */
static int dominant(const struct media *m, const int16_t *samples, size_t n, double *share) {
    for (int i = 0; i < (int)MEDIA_TONES_MAX && m->config.known[i] > 0; i++) {
        *share = tone_share(samples, n, m->config.known[i]);
        if (*share >= TONE_SHARE_HEARD)
            return i;
    }
    return -1;
}

static void window_done(struct media *m) {
    double share = 0;
    int tone = dominant(m, m->window, TONE_WINDOW, &share);
    m->filled = 0;
    m->heard.windows++;
    if (tone < 0)
        return;
    m->heard.tone[tone]++;
    m->heard.share_sum[tone] += share;
    if (share < m->heard.share_min[tone])
        m->heard.share_min[tone] = share;
}

static void hear_samples(struct media *m, const int16_t *samples, size_t n, uint64_t now_us) {
    double share;
    int tone = dominant(m, samples, n, &share);
    if (tone >= 0 && !m->heard.tone_first_us[tone]) {
        m->heard.tone_first_us[tone] = now_us;
        /* Who spoke before may be heard until the other one is: that is no part of the first window. */
        if (!m->heard.windows)
            m->filled = 0;
    }
    for (size_t i = 0; i < n; i++) {
        m->window[m->filled++] = samples[i];
        if (m->filled == TONE_WINDOW)
            window_done(m);
    }
}

static void hear_order(struct media *m, uint32_t ssrc, uint16_t seq) {
    struct media_heard *h = &m->heard;
    int16_t step = (int16_t)(seq - m->seq);
    if (!h->ssrcs) {
        h->ssrcs = 1;
        h->ssrc_kept = m->heard_before && ssrc == m->ssrc;
        h->step = h->ssrc_kept ? step : 0;
    } else if (ssrc != m->ssrc) {
        h->ssrcs++;
    } else {
        if (step <= 0) {
            h->reordered++;
            return;
        }
        h->lost += (uint32_t)step - 1;
    }
    m->ssrc = ssrc;
    m->seq = seq;
    m->heard_before = true;
}

static void hear(struct media *m, mblk_t *mp, uint64_t now_us) {
    struct media_heard *h = &m->heard;
    unsigned char *payload = NULL;
    int n = rtp_get_payload(mp, &payload);
    int pt = rtp_get_payload_type(mp);
    if (h->last_us && now_us - h->last_us > h->gap_us)
        h->gap_us = now_us - h->last_us;
    if (!h->first_us)
        h->first_us = now_us;
    h->last_us = now_us;
    h->packets++;
    hear_order(m, rtp_get_ssrc(mp), rtp_get_seqnumber(mp));
    if (n <= 0 || n > (int)TONE_WINDOW || (pt != 0 && pt != 8))
        return;
    int16_t samples[TONE_WINDOW];
    for (int i = 0; i < n; i++)
        samples[i] = g711_decode(pt == 8 ? G711_ALAW : G711_ULAW, payload[i]);
    hear_samples(m, samples, (size_t)n, now_us);
}

static void send_one(struct media *m) {
    uint8_t bytes[SAMPLES];
    tone_source_fill(&m->source, m->remote.law, bytes, SAMPLES);
    uint32_t ts = (uint32_t)((m->next_us - m->start_us) / (1000000 / TONE_RATE));
    mblk_t *mp = rtp_session_create_packet(m->rtp, RTP_FIXED_HEADER_SIZE, bytes, SAMPLES);
    rtp_session_sendm_with_ts(m->rtp, mp, ts);
    m->sent++;
}

void media_tick(struct media *m, uint64_t now_us) {
    mblk_t *mp;
    uint32_t ts = (uint32_t)(now_us / (1000000 / TONE_RATE));
    for (unsigned i = 0; i < 64 && (mp = rtp_session_recvm_with_ts(m->rtp, ts)) != NULL; i++) {
        hear(m, mp, now_us);
        freemsg(mp);
    }
    /* A stall of ours must not be followed by a burst. */
    if (m->next_us && now_us > m->next_us + 10 * MEDIA_PACKET_US)
        m->next_us = now_us;
    while (m->next_us && m->next_us <= now_us) {
        send_one(m);
        m->next_us += MEDIA_PACKET_US;
    }
}
