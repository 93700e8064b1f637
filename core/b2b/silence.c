/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/silence.h"

#include "core/b2b/call.h"
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "parser/sdp.h"

/* Both directions, by what both last said: a hold is none, whoever holds. */
static bool flows(const struct leg *l) {
    struct sdp theirs, ours;
    struct slice remote = leg_str(l, LEG_SDP_REMOTE), local = leg_str(l, LEG_SDP_LOCAL);
    if (!remote.p || !local.p || sdp_parse(remote, &theirs) < 0 || sdp_parse(local, &ours) < 0 ||
        theirs.media_count == 0 || ours.media_count == 0)
        return false;
    return theirs.media[0].direction == SDP_SENDRECV && ours.media[0].direction == SDP_SENDRECV &&
           !theirs.media[0].zero_hold;
}

/* The first stream is what a call is about: sound. */
static bool is_missed(const struct engine *e, const struct leg *l, uint32_t stream) {
    const struct leg_stream *sound = l->media.streams[0];
    return sound->open && sound->slot == stream && leg_is_up(l) && (leg_peer(e, l) || l->echo) &&
           e->now - l->media.agreed_us >= e->cfg.media_timeout_us && flows(l);
}

void silence_noted(struct engine *e, uint32_t stream, uint32_t generation) {
    unsigned i;
    struct leg *l = media_leg(e, stream, generation, &i);
    struct call *c = l ? leg_call(e, l) : NULL;
    if (!c || !e->cfg.media_timeout_us || l->transfer_role != TR_NONE || transfer_get(e, c->transfer) ||
        !is_missed(e, l, stream))
        return;
    metrics_add(&e->metrics, M_media_timeouts, 1);
    c->history.end = CALL_END_MEDIA;
    c->history.end_role = l->role;
    c->history.reason_n = 0;
    call_end(e, c, 408, SL("Reason: SIP;cause=408;text=\"No media\"\r\n"));
}
