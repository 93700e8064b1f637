/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/relay.h"

#include "rtp/relay_fast.h"
#include "rtp/relay_flow.h"
#include "rtp/relay_places.h"
#include "rtp/relay_source.h"

static void stop_play(struct relay *r, struct relay_stream *s) {
    struct relay_play before = relay_extra(r, s)->play;
    if (!before.on)
        return;
    uint32_t last = r->players[--r->player_count];
    r->players[before.at] = last;
    relay_extra_take(r, &r->streams[last])->play.at = before.at;
    relay_extra_take(r, s)->play = (struct relay_play){ 0 };
    relay_extra_trim(r, s);
}

/* What is beside the stream is over. */
static void end_extra(struct relay *r, struct relay_stream *s) {
    stop_play(r, s);
    relay_end_probation(r, s);
    relay_place_give(&r->extras, &s->extra);
}

/* Music that goes on goes on where it was. */
static bool start_play(struct relay *r, struct relay_stream *s, const struct media_cmd *cmd) {
    struct relay_play play = relay_extra(r, s)->play;
    bool same = play.on && play.source == cmd->source;
    stop_play(r, s);
    if (!same)
        play = (struct relay_play){ .source = (uint8_t)cmd->source };
    play.on = true;
    play.alaw = cmd->alaw;
    play.payload_type = cmd->payload_type;
    play.at = r->player_count;
    relay_extra_take(r, s)->play = play;
    r->players[r->player_count++] = cmd->stream;
    relay_fast_unhear(r, cmd->stream);
    return true;
}

static bool open_stream(struct relay *r, struct relay_stream *s, const struct media_cmd *cmd, uint64_t now_us) {
    if (s->generation != 0 && (int32_t)(cmd->generation - s->generation) <= 0)
        return false;
    end_extra(r, s);
    relay_fast_unhear(r, cmd->stream);
    bool resumed = cmd->resume && s->generation == 0 && relay_fast_resume(r, cmd->stream, cmd->generation);
    if (!resumed)
        relay_fast_clear(r, cmd->stream, cmd->generation);
    *s = (struct relay_stream){
        .resumed = resumed,
        .generation = cmd->generation,
        .route = MEDIA_NOWHERE,
        .heard = MEDIA_NOWHERE,
        .negotiated_rate = 8000,
        .open = true,
    };
    if (!resumed && cmd->resume && cmd->flow.clock_rate)
        s->continued = relay_flow_resume(r, cmd, now_us);
    return true;
}

/* What arrives on the stream, and what it hears. */
static void sync_both_ways(struct relay *r, const struct relay_stream *s, uint32_t stream) {
    relay_fast_sync(r, stream);
    if (s->heard != MEDIA_NOWHERE)
        relay_fast_sync(r, s->heard);
}

static bool set_remote(struct relay *r, struct relay_stream *s, const struct media_cmd *cmd, uint64_t now_us) {
    relay_end_probation(r, s);
    s->rtp = (struct relay_latch){ .signalled = cmd->rtp };
    relay_set_rtcp_signalled(r, s, cmd->rtcp);
    relay_set_rtcp_learned(r, s, (struct addr){ 0 });
    s->remote = true;
    if (s->resumed && cmd->nat && !cmd->strict)
        s->rtp.learned = relay_fast_source(r, cmd->stream);
    s->resumed = false;
    s->nat = cmd->nat;
    s->strict = cmd->strict;
    s->signalling_family = cmd->signalling.family;
    memcpy(s->signalling_ip, cmd->signalling.ip, sizeof s->signalling_ip);
    s->rtcp_mux = cmd->rtcp_mux;
    s->negotiated_rate = cmd->clock_rate ? cmd->clock_rate : 8000;
    s->remote_us = now_us;
    relay_fast_restart(r, cmd->stream);
    sync_both_ways(r, s, cmd->stream);
    return true;
}

static bool set_srtp(struct relay *r, struct relay_stream *s, const struct media_cmd *cmd) {
    s->srtp = cmd->keys.suite != SRTP_NONE;
    sync_both_ways(r, s, cmd->stream);
    return true;
}

static void set_types(struct relay *r, struct relay_stream *s, const struct media_types *types) {
    if (!types->count && !types->only && !s->extra)
        return;
    relay_extra_take(r, s)->types = *types;
    relay_extra_trim(r, s);
}

static bool set_route(struct relay *r, struct relay_stream *s, const struct media_cmd *cmd) {
    if (cmd->to != MEDIA_NOWHERE && cmd->to >= r->count)
        return false;
    relay_fast_off(r, cmd->stream);
    s->route = cmd->to;
    set_types(r, s, &cmd->types);
    if (cmd->to == MEDIA_NOWHERE)
        return true;
    struct relay_stream *listener = &r->streams[cmd->to];
    stop_play(r, listener);
    if (listener->heard != cmd->stream)
        relay_fast_unhear(r, cmd->to);
    listener->heard = cmd->stream;
    listener->heard_generation = s->generation;
    if (listener->continued)
        relay_flow_source(r, cmd->to, fast_source_key(cmd->stream, s->generation));
    listener->continued = false;
    relay_fast_sync(r, cmd->stream);
    return true;
}

/* Nobody hears it any more, nor does it hear anybody: not in the kernel either. */
static bool close_stream(struct relay *r, struct relay_stream *s, uint32_t stream) {
    end_extra(r, s);
    relay_fast_off(r, stream);
    relay_fast_unhear(r, stream);
    s->open = false;
    return true;
}

/* Another relay may have the shared state by now. A use that was not opened may be left, too: its call was read from a
 * record, and sent on before it had gone on here. What is open then is the use before, whose call went to another node
 * without a word to the relay: the next one is not to take that up. */
static bool leave(struct relay *r, struct relay_stream *s, const struct media_cmd *cmd) {
    bool newer = s->generation == 0 || (int32_t)(cmd->generation - s->generation) > 0;
    bool present = s->open && s->generation == cmd->generation;
    if (!newer && !present)
        return false;
    if (s->open && !present)
        close_stream(r, s, cmd->stream);
    end_extra(r, s);
    *s = (struct relay_stream){ .route = MEDIA_NOWHERE, .heard = MEDIA_NOWHERE };
    return true;
}

static bool execute(struct relay *r, const struct media_cmd *cmd, uint64_t now_us) {
    if (cmd->stream >= r->count || cmd->generation == 0)
        return false;
    struct relay_stream *s = &r->streams[cmd->stream];
    if (cmd->verb == MEDIA_OPEN)
        return open_stream(r, s, cmd, now_us);
    if (cmd->verb == MEDIA_LEAVE)
        return leave(r, s, cmd);
    if (!s->open || s->generation != cmd->generation)
        return false;
    switch (cmd->verb) {
    case MEDIA_REMOTE:
        return set_remote(r, s, cmd, now_us);
    case MEDIA_ROUTE:
        return set_route(r, s, cmd);
    case MEDIA_PLAY:
        return start_play(r, s, cmd);
    case MEDIA_STOP:
        stop_play(r, s);
        return true;
    case MEDIA_CLOSE:
        return close_stream(r, s, cmd->stream);
    case MEDIA_SRTP:
        return set_srtp(r, s, cmd);
    case MEDIA_OPEN:
    case MEDIA_LEAVE:
        break;
    }
    return false;
}

bool relay_command(struct relay *r, const struct media_cmd *cmd, uint64_t now_us) {
    bool done = execute(r, cmd, now_us);
    r->stale_commands += !done;
    return done;
}
