/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/media_io.h"

#include "core/runtime/udp.h"
#include "rtp/port_pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SWEEP_US UINT64_C(500000)
#define SPLICE_US UINT64_C(100000)        /* between two looks, where one is known to be found */
#define SPLICE_KERNEL_US UINT64_C(500000) /* else: the kernel splices by itself */
#define OTHER_DESCRIPTORS 128
#define TOLD_MAX 4
#define MEDIA_RCVBUF (256 << 10)

/* Two descriptors a pair: more than a shell's usual limit. How many pairs may be opened, so that the rest of the daemon
 * has its own. */
static uint32_t raise_descriptors(uint32_t pairs, struct log *log) {
    struct rlimit r;
    rlim_t need = (rlim_t)pairs * 2 + OTHER_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= need)
        return pairs;
    rlim_t had = r.rlim_cur;
    r.rlim_cur = r.rlim_max == RLIM_INFINITY || need < r.rlim_max ? need : r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0)
        r.rlim_cur = had;
    if (r.rlim_cur >= need)
        return pairs;
    log_line(log, TRACE_WARN, "media", "%lu descriptors are allowed, %lu are needed for all media ports",
             (unsigned long)r.rlim_cur, (unsigned long)need);
    return r.rlim_cur > OTHER_DESCRIPTORS ? (uint32_t)(r.rlim_cur - OTHER_DESCRIPTORS) / 2 : 0;
}

static bool open_pair(struct media_pair *p, struct addr at, bool moves, int *tries) {
    struct udp_options o = { .rcvbuf = MEDIA_RCVBUF, .freebind = moves };
    p->fd[0] = udp_open_patiently(&at, &o, tries);
    at.port++;
    p->fd[1] = p->fd[0] < 0 ? -1 : udp_open_patiently(&at, &o, tries);
    if (p->fd[1] >= 0)
        return true;
    if (p->fd[0] >= 0)
        close(p->fd[0]);
    p->fd[0] = p->fd[1] = -1;
    return false;
}

/* The first few by name: a whole range may be somebody else's. */
static void tell_unbound(uint32_t n, const struct addr *at, struct log *log) {
    char text[64];
    struct sbuf b = sbuf_on(text, sizeof text);
    addr_put_ip(&b, at);
    if (n <= TOLD_MAX)
        log_line(log, TRACE_WARN, "media", "%.*s: ports %u and %u cannot be bound and are left out", (int)b.n, b.p,
                 at->port, at->port + 1u);
}

bool media_io_open(struct media_io *m, const struct media_range *r, struct log *log) {
    uint32_t bound = 0, unbound = 0, pairs = port_pool_pairs(r->first, r->last);
    int tries = UDP_TRIES;   /* of all pairs together */
    m->per_address = pairs;
    m->count = pairs * (r->own_count + r->vip_count);
    m->pairs = calloc(m->count, sizeof *m->pairs);
    m->usable = calloc(m->count, sizeof *m->usable);
    if (!m->pairs || !m->usable || !srtp_io_open(&m->srtp, m->count))
        return false;
    uint32_t allowed = raise_descriptors(m->count, log);
    for (uint32_t i = 0; i < m->count; i++) {
        uint32_t k = i / pairs;
        bool moves = k >= r->own_count;
        struct addr at = moves ? r->vips[k - r->own_count] : r->own[k];
        at.port = (uint16_t)(r->first + r->first % 2 + 2 * (i % pairs));
        m->pairs[i].fd[0] = m->pairs[i].fd[1] = -1;
        if (!media_io_is_own(m, i))
            continue;
        m->usable[i] = bound < allowed && open_pair(&m->pairs[i], at, moves, &tries);
        bound += m->usable[i];
        if (m->share.pairs)
            memcpy(m->share.pairs[i].fd, m->pairs[i].fd, sizeof m->pairs[i].fd);
        if (!m->usable[i])
            tell_unbound(++unbound, &at, log);
    }
    if (unbound > TOLD_MAX)
        log_line(log, TRACE_WARN, "media", "%u pairs of ports are left out, %u are there", unbound, bound);
    return bound > 0;
}

bool media_io_is_own(const struct media_io *m, uint32_t pair) {
    uint32_t i = m->per_address ? pair % m->per_address : 0;
    return !m->share.pairs || (i >= m->share.first && i < m->share.end);
}

static bool add_pair(struct media_io *m, uint32_t i) {
    for (uint32_t k = 0; k < 2; k++) {
        m->pairs[i].slot[k] = io_add_udp(m->io, m->pairs[i].fd[k], IO_SMALL, m->tag_base + 2 * i + k);
        if (m->pairs[i].slot[k] < 0)
            return false;
    }
    return true;
}

bool media_io_start(struct media_io *m, struct io *io, struct metrics *metrics, uint32_t tag_base) {
    m->io = io;
    m->metrics = metrics;
    m->tag_base = tag_base;
    for (uint32_t i = 0; i < m->count; i++)
        if (m->usable[i] && !add_pair(m, i))
            return false;
    media_out_start(&m->out, io);
    return true;
}

bool media_io_join(struct media_io *m, uint32_t pair) {
    if (pair >= m->count || m->usable[pair])
        return false;
    memcpy(m->pairs[pair].fd, m->share.pairs[pair].fd, sizeof m->pairs[pair].fd);
    m->usable[pair] = add_pair(m, pair);
    return m->usable[pair];
}

void media_io_part(struct media_io *m, uint32_t pair) {
    for (uint32_t k = 0; pair < m->count && m->usable[pair] && k < 2; k++)
        io_remove(m->io, m->pairs[pair].slot[k]);
    if (pair < m->count)
        m->usable[pair] = false;
}

void media_io_close(struct media_io *m) {
    fastpath_close(&m->fast);
    media_out_close(&m->out);
    srtp_io_close(&m->srtp);
    for (uint32_t i = 0; m->pairs && m->usable && i < m->count; i++)
        for (uint32_t k = 0; media_io_is_own(m, i) && k < 2; k++)
            if (m->pairs[i].fd[k] >= 0)
                close(m->pairs[i].fd[k]);
    free(m->pairs);
    free(m->usable);
    m->pairs = NULL;
    m->usable = NULL;
}

void media_io_fast(struct media_io *m, const struct fastpath_options *o, uint64_t now_us, struct log *log) {
    struct media_out_options out = { .addresses = o->addresses, .address_count = o->address_count,
                                     .per_address = o->pairs,
                                     .first_port = (uint16_t)(o->first_port + o->first_port % 2) };
    if (m->share.pairs) {
        fastpath_join(&m->fast, m->share.fast, m->share.first == 0, log);
        relay_share(&m->relay, m->share.in, m->share.out);
    } else if (fastpath_open(&m->fast, o, now_us, log)) {
        relay_share(&m->relay, m->fast.in, m->fast.out);
    }
    if (!m->fast.on && o->mode != FASTPATH_OFF)
        (void)media_out_open(&m->out, &out, now_us, log);
}

void media_io_command(struct media_io *m, const struct media_cmd *cmd, uint64_t now_us) {
    if (!relay_command(&m->relay, cmd, now_us))
        return;
    srtp_io_command(&m->srtp, cmd);
    if (cmd->verb == MEDIA_REMOTE)
        fastpath_destination(&m->fast, cmd->stream);
}

uint64_t media_io_deadline(const struct media_io *m) {
    uint64_t frame = player_deadline(&m->player, &m->relay), tick = fastpath_deadline(&m->fast);
    uint64_t first = frame < tick ? frame : tick;
    return m->timeout_us && m->sweep_us < first ? m->sweep_us : first;
}

uint32_t media_io_silent(struct media_io *m, uint64_t now_us) {
    if (!m->timeout_us || now_us < m->sweep_us)
        return MEDIA_NOWHERE;
    uint32_t stream = relay_silent(&m->relay, &m->cursor, m->timeout_us, now_us);
    if (stream == MEDIA_NOWHERE) {
        m->cursor = 0;
        m->sweep_us = now_us + SWEEP_US;
    }
    return stream;
}

static void play_frame(struct media_io *m, struct buf_pool *bufs, uint32_t stream, uint64_t now_us) {
    uint8_t packet[RTP_HEADER_MIN + PLAYER_FRAME + SRTP_IO_ROOM];
    size_t n = RTP_HEADER_MIN + PLAYER_FRAME;
    struct relay_frame f = {
        .stream = stream,
        .payload = player_payload(&m->player, &relay_extra(&m->relay, &m->relay.streams[stream])->play),
        .n = PLAYER_FRAME,
        .packet = packet,
    };
    struct relay_verdict v;
    if (!relay_play(&m->relay, &f, now_us, &v) || stream >= m->count || !m->usable[stream] ||
        !srtp_io_out(&m->srtp, stream, packet, &n))
        return;
    struct buf *b = buf_copy(bufs, slice_of((const char *)packet, n));
    if (!b)
        return;
    io_send(m->io, m->pairs[stream].slot[0], &v.dst, &(struct addr){ 0 }, b);
    metrics_add(m->metrics, M_rtp_out, 1);
}

void media_io_turn(struct media_io *m, struct buf_pool *bufs, uint64_t now_us) {
    fastpath_tick(&m->fast, &m->relay, now_us);
    while (player_due(&m->player, &m->relay, now_us))
        for (uint32_t i = 0; i < m->relay.player_count; i++)
            play_frame(m, bufs, m->relay.players[i], now_us);
}

/* False: it is dropped. */
static bool pass(struct media_io *m, struct relay_in *in, uint64_t now_us, struct relay_verdict *v) {
    *v = (struct relay_verdict){ .drop = RELAY_DROP_SRTP, .out_stream = MEDIA_NOWHERE };
    if (!srtp_io_in(&m->srtp, in->stream, in->bytes, &in->n)) {
        relay_dropped(&m->relay, in->stream, RELAY_DROP_SRTP);
        return false;
    }
    relay_packet(&m->relay, in, now_us, v);
    if (v->drop != RELAY_FORWARD || v->out_stream >= m->count || !m->usable[v->out_stream])
        return false;
    if (srtp_io_out(&m->srtp, v->out_stream, in->bytes, &in->n))
        return true;
    relay_dropped(&m->relay, in->stream, RELAY_DROP_SRTP);
    return false;
}

bool media_io_packet(struct media_io *m, uint32_t port, const struct io_event *ev, uint64_t now_us) {
    struct relay_in in = { .stream = port / 2, .rtcp_port = port % 2, .src = ev->src, .bytes = ev->data, .n = ev->n };
    const struct relay_stream *stream = &m->relay.streams[in.stream];
    bool latched = stream->rtp.learned.family != ADDR_NONE;
    struct relay_verdict v;
    metrics_add(m->metrics, M_rtp_in, 1);
    bool passes = pass(m, &in, now_us, &v);
    bool latches = !latched && stream->rtp.learned.family != ADDR_NONE;
    if (latches)
        fastpath_destination(&m->fast, in.stream);
    if (!passes) {
        metrics_add(m->metrics, M_rtp_dropped, 1);
        return latches;
    }
    if (!v.out_rtcp_port)
        fastpath_passed_by(&m->fast);
    if (v.out_rtcp_port || !media_out_send(&m->out, v.out_stream, ev, (uint32_t)in.n, &v.dst, now_us))
        io_forward(m->io, m->pairs[v.out_stream].slot[v.out_rtcp_port], ev, (uint32_t)in.n, &v.dst);
    metrics_add(m->metrics, M_rtp_out, 1);
    return latches;
}

bool media_io_spliced(struct media_io *m, struct event *ev, uint64_t now_us) {
    uint64_t wait = m->relay.spliced ? SPLICE_US : SPLICE_KERNEL_US;
    if (!m->splice_cursor && now_us < m->splice_us + wait)
        return false;
    *ev = (struct event){ .kind = EV_MEDIA };
    ev->u.media.what = MEDIA_EV_FLOW;
    m->relay.spliced = m->splice_cursor && m->relay.spliced;
    ev->u.media.stream = relay_spliced(&m->relay, &m->splice_cursor, &ev->u.media.flow);
    if (ev->u.media.stream == MEDIA_NOWHERE) {
        m->splice_cursor = 0;
        m->splice_us = now_us;
        return false;
    }
    ev->u.media.generation = m->relay.streams[ev->u.media.stream].generation;
    return true;
}

bool media_io_rolled(struct media_io *m, struct event *ev) {
    uint32_t stream;
    struct srtp_roc in, out;
    if (!srtp_io_changed(&m->srtp, &stream, &in, &out))
        return false;
    *ev = (struct event){ .kind = EV_MEDIA };
    ev->u.media.what = MEDIA_EV_ROC;
    ev->u.media.stream = stream;
    ev->u.media.generation = m->relay.streams[stream].generation;
    ev->u.media.in = in;
    ev->u.media.out = out;
    return true;
}
