/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/srtp_io.h"

#include "rtp/rtp_packet.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <srtp2/srtp.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 128 /* packets that may be overtaken */
#define SKIP_AT_ONCE 8

/* One direction: libsrtp2's session, and the sources that it has streams for. */
struct direction {
    srtp_t session;               /* NULL: its keys cannot be used */
    uint8_t key[SRTP_KEY_MAX], mki[SRTP_MKI_MAX];
    srtp_master_key_t master;
    srtp_master_key_t *masters[1];
    srtp_policy_t policy;
    uint32_t sources[SRTP_IO_SOURCES];
    uint32_t source_count, oldest;
    struct srtp_roc now, told;
    struct srtp_roc former;       /* to be tried too; roc 0: none */
    uint32_t skip;                /* indices of RTCP that are still to be passed over */
};

struct srtp_io_stream {
    struct srtp_keys keys;
    struct direction in, out;
    bool changed;                 /* in srtp_io.changed */
};

/* Of one for which there was no memory: nothing passes. */
static struct srtp_io_stream broken;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool started;

static void start(void) {
    started = srtp_init() == srtp_err_status_ok;
}

bool srtp_io_open(struct srtp_io *x, uint32_t streams) {
    pthread_once(&once, start);
    *x = (struct srtp_io){ .count = streams };
    x->streams = calloc(streams, sizeof *x->streams);
    x->changed = calloc(streams, sizeof *x->changed);
    return started && x->streams && x->changed;
}

static void end_direction(struct direction *d) {
    if (d->session)
        srtp_dealloc(d->session);
    explicit_bzero(d, sizeof *d);
}

static void forget(struct srtp_io *x, uint32_t stream) {
    struct srtp_io_stream *s = x->streams[stream];
    if (!s) /* nothing is written: without SRTP the table's memory stays untouched */
        return;
    x->streams[stream] = NULL;
    if (s == &broken)
        return;
    for (uint32_t i = 0; s->changed && i < x->changed_n; i++)
        if (x->changed[i] == stream)
            x->changed[i--] = x->changed[--x->changed_n];
    end_direction(&s->in);
    end_direction(&s->out);
    explicit_bzero(s, sizeof *s);
    free(s);
}

void srtp_io_close(struct srtp_io *x) {
    for (uint32_t i = 0; x->streams && i < x->count; i++)
        forget(x, i);
    free(x->streams);
    free(x->changed);
    *x = (struct srtp_io){ 0 };
}

/* ---- keys ---- */

static bool choose(srtp_crypto_policy_t *rtp, srtp_crypto_policy_t *rtcp, enum srtp_suite suite) {
    switch (suite) {
    case SRTP_AES_CM_128_HMAC_SHA1_80: srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(rtp); break;
    case SRTP_AES_CM_128_HMAC_SHA1_32: srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(rtp); break;
    case SRTP_AES_256_CM_HMAC_SHA1_80: srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(rtp); break;
    case SRTP_AES_256_CM_HMAC_SHA1_32: srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(rtp); break;
    case SRTP_AEAD_AES_128_GCM: srtp_crypto_policy_set_aes_gcm_128_16_auth(rtp); break;
    case SRTP_AEAD_AES_256_GCM: srtp_crypto_policy_set_aes_gcm_256_16_auth(rtp); break;
    default: return false;
    }
    *rtcp = *rtp;
    /* The short tag is of RTP alone (RFC 4568 section 6.2.2). */
    if (suite == SRTP_AES_CM_128_HMAC_SHA1_32)
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(rtcp);
    if (suite == SRTP_AES_256_CM_HMAC_SHA1_32)
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(rtcp);
    return true;
}

/* *d is as yet zero, and does not move any more. What we send names no key. */
static void begin(struct direction *d, const struct srtp_keys *keys, bool in) {
    memcpy(d->key, in ? keys->in : keys->out, sizeof d->key);
    memcpy(d->mki, keys->mki, sizeof d->mki);
    d->master = (srtp_master_key_t){ .key = d->key, .mki_id = d->mki, .mki_size = keys->mki_n };
    d->masters[0] = &d->master;
    d->policy.ssrc.type = in ? ssrc_any_inbound : ssrc_any_outbound;
    d->policy.window_size = WINDOW;
    if (in && keys->mki_n) {
        d->policy.keys = d->masters;
        d->policy.num_master_keys = 1;
    } else {
        d->policy.key = d->key;
    }
    if (!choose(&d->policy.rtp, &d->policy.rtcp, (enum srtp_suite)keys->suite) ||
        srtp_create(&d->session, &d->policy) != srtp_err_status_ok)
        d->session = NULL;
}

/* A stream of its own for the source, that goes on at this counter. */
static bool place(struct direction *d, uint32_t ssrc, uint32_t roc) {
    srtp_policy_t p = d->policy;
    srtp_remove_stream(d->session, htonl(ssrc)); /* RTCP may have made one */
    p.ssrc = (srtp_ssrc_t){ .type = ssrc_specific, .value = ssrc };
    return srtp_add_stream(d->session, &p) == srtp_err_status_ok &&
           srtp_set_stream_roc(d->session, ssrc, roc) == srtp_err_status_ok;
}

static bool same_key(const struct srtp_keys *a, const struct srtp_keys *b, bool in) {
    if (a->suite != b->suite || memcmp(in ? a->in : a->out, in ? b->in : b->out, SRTP_KEY_MAX) != 0)
        return false;
    return !in || (a->mki_n == b->mki_n && memcmp(a->mki, b->mki, sizeof a->mki) == 0);
}

static void set_in(struct srtp_io_stream *s, const struct srtp_keys *keys, bool is_new) {
    if (!is_new && same_key(&s->keys, keys, true))
        return;
    struct srtp_roc former = is_new ? keys->in_roc : s->in.now;
    end_direction(&s->in);
    begin(&s->in, keys, true);
    s->in.former = former;
    s->in.now = s->in.told = is_new ? keys->in_roc : (struct srtp_roc){ 0 };
}

static void set_out(struct srtp_io_stream *s, const struct srtp_keys *keys, bool is_new) {
    if (!is_new && same_key(&s->keys, keys, false))
        return;
    end_direction(&s->out);
    begin(&s->out, keys, false);
    if (is_new && keys->resumed)
        s->out.skip = keys->out_roc.roc < SRTP_IO_RTCP_SKIP_MAX / SRTP_IO_RTCP_SKIP
                          ? (keys->out_roc.roc + 1) * SRTP_IO_RTCP_SKIP
                          : SRTP_IO_RTCP_SKIP_MAX;
    if (is_new && keys->out_roc.roc && s->out.session && place(&s->out, keys->out_roc.ssrc, keys->out_roc.roc)) {
        s->out.sources[s->out.source_count++] = keys->out_roc.ssrc;
        s->out.now = s->out.told = keys->out_roc;
    }
}

static void set_keys(struct srtp_io *x, const struct media_cmd *cmd) {
    struct srtp_io_stream *s = x->streams[cmd->stream];
    bool is_new = !s || s == &broken;
    if (cmd->keys.suite == SRTP_NONE) {
        forget(x, cmd->stream);
        return;
    }
    if (is_new)
        s = calloc(1, sizeof *s);
    x->streams[cmd->stream] = s ? s : &broken;
    if (!s)
        return;
    set_in(s, &cmd->keys, is_new);
    set_out(s, &cmd->keys, is_new);
    s->keys = cmd->keys;
}

void srtp_io_command(struct srtp_io *x, const struct media_cmd *cmd) {
    if (cmd->stream >= x->count)
        return;
    if (cmd->verb == MEDIA_OPEN || cmd->verb == MEDIA_CLOSE || cmd->verb == MEDIA_LEAVE)
        forget(x, cmd->stream);
    else if (cmd->verb == MEDIA_SRTP)
        set_keys(x, cmd);
}

/* ---- packets ---- */

/* A party may change its SSRC as often as it likes; libsrtp2 keeps a stream for each. */
static void note_source(struct direction *d, uint32_t ssrc) {
    for (uint32_t i = 0; i < d->source_count; i++)
        if (d->sources[i] == ssrc)
            return;
    if (d->source_count < SRTP_IO_SOURCES) {
        d->sources[d->source_count++] = ssrc;
        return;
    }
    srtp_remove_stream(d->session, htonl(d->sources[d->oldest]));
    d->sources[d->oldest] = ssrc;
    d->oldest = (d->oldest + 1) % SRTP_IO_SOURCES;
}

/* An RTP packet of this source went through. */
static void count(struct srtp_io *x, uint32_t stream, struct direction *d, uint32_t ssrc) {
    struct srtp_io_stream *s = x->streams[stream];
    uint32_t roc;
    if (d->now.ssrc != ssrc)
        note_source(d, ssrc);
    if (srtp_get_stream_roc(d->session, ssrc, &roc) != srtp_err_status_ok)
        return;
    d->now = (struct srtp_roc){ ssrc, roc };
    /* That a source is at 0 goes without saying. */
    bool same = d->told.roc == roc && (roc == 0 || d->told.ssrc == ssrc);
    if (same || s->changed)
        return;
    s->changed = true;
    x->changed[x->changed_n++] = stream;
}

static bool unprotect(struct direction *d, bool mki, bool rtcp, uint8_t *packet, int *n) {
    srtp_err_status_t r = rtcp ? srtp_unprotect_rtcp_mki(d->session, packet, n, mki)
                               : srtp_unprotect_mki(d->session, packet, n, mki);
    return r == srtp_err_status_ok;
}

/* As it comes; if its source may be further than its first round, also so. A packet that fails may have been written
 * to (GCM). */
static bool unprotect_rtp(struct direction *d, bool mki, uint8_t *packet, int *n, uint32_t ssrc) {
    uint8_t copy[SRTP_IO_PACKET_MAX];
    int whole = *n;
    bool further = d->former.roc && d->former.ssrc == ssrc;
    if (!further)
        return unprotect(d, mki, false, packet, n);
    memcpy(copy, packet, (size_t)whole);
    bool passes = unprotect(d, mki, false, packet, n);
    for (uint32_t ahead = 0; !passes && ahead < 2; ahead++) {
        memcpy(packet, copy, (size_t)whole);
        *n = whole;
        passes = place(d, ssrc, d->former.roc + ahead) && unprotect(d, mki, false, packet, n);
    }
    if (passes)
        d->former.roc = 0;
    else
        srtp_remove_stream(d->session, htonl(ssrc));
    return passes;
}

static uint32_t ssrc_of(const uint8_t *packet, bool rtcp) {
    return rtp_get32(packet + (rtcp ? 4 : 8));
}

bool srtp_io_in(struct srtp_io *x, uint32_t stream, uint8_t *packet, size_t *n) {
    struct srtp_io_stream *s = stream < x->count ? x->streams[stream] : NULL;
    if (!s)
        return true;
    bool rtcp = rtp_is_rtcp(packet, *n);
    if (!s->in.session || *n > SRTP_IO_PACKET_MAX || *n < (rtcp ? 8u : RTP_HEADER_MIN))
        return false;
    int left = (int)*n;
    uint32_t ssrc = ssrc_of(packet, rtcp);
    bool mki = s->keys.mki_n != 0;
    if (!(rtcp ? unprotect(&s->in, mki, true, packet, &left) : unprotect_rtp(&s->in, mki, packet, &left, ssrc)))
        return false;
    if (!rtcp)
        count(x, stream, &s->in, ssrc);
    *n = (size_t)left;
    return true;
}

/* libsrtp2 counts them by itself: reports are made, and thrown away. False: not all yet. */
static bool skip_rtcp(struct direction *d, uint32_t ssrc) {
    for (int i = 0; i < SKIP_AT_ONCE && d->skip; i++, d->skip--) {
        uint8_t report[8 + SRTP_IO_ROOM] = { 0x80, RTCP_RR, 0, 1 };
        int n = 8;
        rtp_put32(report + 4, ssrc);
        srtp_protect_rtcp(d->session, report, &n);
    }
    return d->skip == 0;
}

bool srtp_io_out(struct srtp_io *x, uint32_t stream, uint8_t *packet, size_t *n) {
    struct srtp_io_stream *s = stream < x->count ? x->streams[stream] : NULL;
    if (!s)
        return true;
    bool rtcp = rtp_is_rtcp(packet, *n);
    if (!s->out.session || *n > SRTP_IO_PACKET_MAX || *n < (rtcp ? 8u : RTP_HEADER_MIN))
        return false;
    int left = (int)*n;
    uint32_t ssrc = ssrc_of(packet, rtcp);
    if (s->out.skip && !skip_rtcp(&s->out, ssrc) && rtcp)
        return false;
    srtp_err_status_t r = rtcp ? srtp_protect_rtcp(s->out.session, packet, &left)
                               : srtp_protect(s->out.session, packet, &left);
    if (r != srtp_err_status_ok)
        return false;
    if (!rtcp)
        count(x, stream, &s->out, ssrc);
    *n = (size_t)left;
    return true;
}

bool srtp_io_changed(struct srtp_io *x, uint32_t *stream, struct srtp_roc *in, struct srtp_roc *out) {
    if (x->changed_n == 0)
        return false;
    *stream = x->changed[--x->changed_n];
    struct srtp_io_stream *s = x->streams[*stream];
    s->changed = false;
    *in = s->in.told = s->in.now;
    *out = s->out.told = s->out.now;
    return true;
}
