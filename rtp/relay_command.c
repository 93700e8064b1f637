/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/relay.h"

static bool open_stream(struct relay_stream *s, const struct media_cmd *cmd) {
    if (s->generation != 0 && (int32_t)(cmd->generation - s->generation) <= 0)
        return false;
    *s = (struct relay_stream){
        .generation = cmd->generation,
        .route = MEDIA_NOWHERE,
        .heard = MEDIA_NOWHERE,
        .negotiated_rate = 8000,
        .open = true,
    };
    return true;
}

static bool set_remote(struct relay_stream *s, const struct media_cmd *cmd, uint64_t now_us) {
    s->rtp = (struct relay_latch){ .signalled = cmd->rtp };
    s->rtcp = (struct relay_latch){ .signalled = cmd->rtcp };
    s->remote = true;
    s->nat = cmd->nat;
    s->rtcp_mux = cmd->rtcp_mux;
    s->srtp = cmd->srtp;
    s->negotiated_rate = cmd->clock_rate ? cmd->clock_rate : 8000;
    s->counters.remote_us = now_us;
    s->counters.first_out_us = 0;
    s->counters.gap_us = 0;
    return true;
}

static bool set_route(struct relay *r, struct relay_stream *s, const struct media_cmd *cmd) {
    if (cmd->to != MEDIA_NOWHERE && cmd->to >= r->count)
        return false;
    s->route = cmd->to;
    s->types = cmd->types;
    if (cmd->to == MEDIA_NOWHERE)
        return true;
    struct relay_stream *listener = &r->streams[cmd->to];
    listener->heard = cmd->stream;
    listener->heard_generation = s->generation;
    return true;
}

static bool execute(struct relay *r, const struct media_cmd *cmd, uint64_t now_us) {
    if (cmd->stream >= r->count || cmd->generation == 0)
        return false;
    struct relay_stream *s = &r->streams[cmd->stream];
    if (cmd->verb == MEDIA_OPEN)
        return open_stream(s, cmd);
    if (!s->open || s->generation != cmd->generation)
        return false;
    switch (cmd->verb) {
    case MEDIA_REMOTE:
        return set_remote(s, cmd, now_us);
    case MEDIA_ROUTE:
        return set_route(r, s, cmd);
    case MEDIA_CLOSE:
        s->open = false;
        return true;
    case MEDIA_OPEN:
        break;
    }
    return false;
}

bool relay_command(struct relay *r, const struct media_cmd *cmd, uint64_t now_us) {
    bool done = execute(r, cmd, now_us);
    r->stale_commands += !done;
    return done;
}
