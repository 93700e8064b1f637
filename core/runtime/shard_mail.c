/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Between shards. To the engine another shard is what another node is: a peer that owns buckets. Its number as a peer
 * is that of a member of the cluster; where there is none, one more than its index, since 0 is nobody. */
#include "core/base/member.h"
#include "core/runtime/shard.h"

#include <stdlib.h>

#define TURN_MAIL_MAX 1024

static uint32_t peer_of(const struct shard *s, uint32_t shard) {
    uint32_t own = s->config->engine.node;
    return own ? member_of(member_node(own), shard) : shard + 1;
}

static uint32_t shard_of(const struct shard *s, uint32_t peer) {
    return s->node.on ? member_shard(peer) : peer - 1;
}

static uint32_t owner_of(const struct shard *s, uint32_t bucket) {
    return bucket % s->o.count;
}

void shard_divide_buckets(struct shard *s) {
    for (uint32_t b = 0; !shard_is_alone(s) && !s->node.on && b < LIMIT_BUCKETS; b++) {
        bool mine = owner_of(s, b) == s->o.index;
        struct event ev = { .kind = EV_BUCKET };
        ev.u.bucket.what = mine ? BUCKET_MINE : BUCKET_OWNER;
        ev.u.bucket.bucket = (uint16_t)b;
        ev.u.bucket.peer = mine ? PEER_NONE : peer_of(s, owner_of(s, b));
        shard_step_once(s, &ev);
    }
}

static uint32_t owner_of_pair(const struct shard *s, uint32_t pair) {
    uint32_t shard = 0, i = pair % s->media.per_address;
    while (shard + 1 < s->o.count && i >= s->media.per_address * (shard + 1) / s->o.count)
        shard++;
    return shard;
}

/* ---- out */

bool shard_tell(struct shard *s, uint32_t to, const struct mail *mail, bool urgent) {
    if (!mailbox_put(s->o.mailbox, s->o.index, to, mail, urgent)) {
        metrics_add(engine_metrics(s->engine), M_mail_full, 1);
        return false;
    }
    metrics_add(engine_metrics(s->engine), M_mail_out, 1);
    return true;
}

void shard_tell_others(struct shard *s, const struct mail *mail, bool urgent) {
    for (uint32_t to = 0; !shard_is_alone(s) && to < s->o.count; to++)
        if (to != s->o.index)
            (void)shard_tell(s, to, mail, urgent);
}

/* A datagram comes again, a call on its way does not. */
void shard_peer_out(struct shard *s, const struct out *o) {
    struct mail m = { .kind = MAIL_PEER, .what = (uint8_t)o->u.peer.what, .hops = o->u.peer.hops,
                      .bucket = o->u.peer.bucket, .src = o->u.peer.src, .dst = o->u.peer.dst,
                      .bytes = buf_slice(o->u.peer.buf) };
    bool urgent = o->u.peer.what != PEER_DATAGRAM;
    uint32_t to = o->u.peer.to;
    bool sibling = !s->node.on || node_is_sibling(&s->node, to);
    if (!sibling || to == PEER_NONE)
        node_on_out(&s->node, o);
    if (to == PEER_NONE)
        shard_tell_others(s, &m, urgent);
    else if (sibling && shard_of(s, to) < s->o.count)
        (void)shard_tell(s, shard_of(s, to), &m, urgent);
}

void shard_cdr_out(struct shard *s, struct slice line) {
    if (s->o.index == 0)
        cdr_file_line(&s->cdr, line);
    else if (!shard_tell(s, 0, &(struct mail){ .kind = MAIL_CDR, .bytes = line }, true))
        metrics_add(engine_metrics(s->engine), M_cdr_lost, 1);
}

/* A pair comes with its call, from where it was left before the call was sent; when the call is over it goes home. */
void shard_media_out(struct shard *s, const struct media_cmd *cmd) {
    uint32_t pair = cmd->stream;
    bool moves = !shard_is_alone(s) && pair < s->media.count;
    if (moves && cmd->verb == MEDIA_OPEN && !s->media.usable[pair])
        (void)media_io_join(&s->media, pair);
    media_io_command(&s->media, cmd, s->mono_us);
    bool foreign = moves && !media_io_is_own(&s->media, pair);
    if (moves && (cmd->verb == MEDIA_LEAVE || (foreign && cmd->verb == MEDIA_CLOSE)))
        media_io_part(&s->media, pair);
    if (foreign && cmd->verb == MEDIA_CLOSE) {
        struct mail m = { .kind = MAIL_PORTS, .number = pair };
        (void)shard_tell(s, owner_of_pair(s, pair), &m, true);
    }
}

void shard_stop_others(struct shard *s) {
    shard_tell_others(s, &(struct mail){ .kind = MAIL_STOP }, true);
    shard_flush_mail(s);
}

void shard_say_opened(struct shard *s, bool ok) {
    struct mail m = { .kind = MAIL_OPENED, .flag = ok, .hops = s->rejected };
    (void)mailbox_put(s->o.mailbox, s->o.index, 0, &m, true);
    shard_flush_mail(s);
}

void shard_flush_mail(struct shard *s) {
    if (!shard_is_alone(s))
        mailbox_flush(s->o.mailbox, s->o.index);
}

/* ---- in */

static void on_peer(struct shard *s, const struct mail *m) {
    struct event ev = { .kind = EV_PEER };
    ev.u.peer.what = (enum peer_kind)m->what;
    ev.u.peer.from = peer_of(s, m->from);
    ev.u.peer.bucket = m->bucket;
    ev.u.peer.hops = m->hops;
    ev.u.peer.src = m->src;
    ev.u.peer.dst = m->dst;
    ev.u.peer.bytes = m->bytes;
    shard_step(s, &ev);
}

static void on_unreachable(struct shard *s, const struct mail *m) {
    struct event ev = { .kind = EV_SEND_FAILED };
    ev.u.failed.dst = m->dst;
    shard_step(s, &ev);
}

static void on_ports(struct shard *s, const struct mail *m) {
    struct event ev = { .kind = EV_MEDIA };
    if (!media_io_is_own(&s->media, (uint32_t)m->number))
        return;
    (void)media_io_join(&s->media, (uint32_t)m->number);
    ev.u.media.what = MEDIA_EV_RETURNED;
    ev.u.media.stream = (uint32_t)m->number;
    shard_step(s, &ev);
}

static void on_opened(struct shard *s, const struct mail *m) {
    s->opened++;
    s->failed += !m->flag;
    s->rejected = s->rejected || m->hops;
}

static void on_mail(struct shard *s, const struct mail *m) {
    if (m->kind == NODE_MAIL) {
        node_on_mail(&s->node, m);
        return;
    }
    switch ((enum shard_mail_kind)m->kind) {
    case MAIL_PEER: on_peer(s, m); break;
    case MAIL_UNREACHABLE: on_unreachable(s, m); break;
    case MAIL_CDR: cdr_file_line(&s->cdr, m->bytes); break;
    case MAIL_ORDER: shard_obey(s, m->number, m->bytes); break;
    case MAIL_ANSWER: shard_answered(s, m->from, m->number, m->pointer, m->size); break;
    case MAIL_PORTS: on_ports(s, m); break;
    case MAIL_RELOAD: shard_reloaded(s, m->pointer); break;
    case MAIL_DRAIN: shard_drain(s); break;
    case MAIL_STOP: s->state = SHARD_STOPPED; break;
    case MAIL_OPENED: on_opened(s, m); break;
    case MAIL_DONE: s->done += m->flag ? 1u : UINT32_MAX; break;
    case MAIL_FORMAT: (void)node_hold_format(&s->node, m->bytes); break;
    }
}

void shard_read_mail(struct shard *s) {
    struct mail m;
    for (int i = 0; !shard_is_alone(s) && i < TURN_MAIL_MAX && mailbox_next(s->o.mailbox, s->o.index, &m); i++)
        on_mail(s, &m);
}

/* What must not be lost of it, and what is ours to free. */
void shard_last_mail(struct shard *s) {
    struct mail m;
    while (!shard_is_alone(s) && mailbox_next(s->o.mailbox, s->o.index, &m)) {
        if (m.kind == MAIL_CDR)
            cdr_file_line(&s->cdr, m.bytes);
        else if (m.kind == MAIL_RELOAD)
            config_free(m.pointer);
        else if (m.kind == MAIL_ANSWER)
            free(m.pointer);
    }
}
