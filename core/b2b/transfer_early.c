/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Early media of a target: the transferee hears it at once, if it can take what is sent without being asked. Nothing
 * goes the other way before both have agreed, and nothing that was said is changed. */
#include "core/b2b/media.h"
#include "core/b2b/transfer.h"
#include "parser/sdp.h"

/* It was told that it will be sent something, said that it takes it, and knows every format of it. */
static bool can_hear(const struct leg *a, struct slice early) {
    struct sdp target, told, said;
    struct slice local = leg_str(a, LEG_SDP_LOCAL), remote = leg_str(a, LEG_SDP_REMOTE);
    if (!local.p || !remote.p || sdp_parse(early, &target) < 0 || sdp_parse(local, &told) < 0 ||
        sdp_parse(remote, &said) < 0 || !told.media_count || !said.media_count || !target.media_count)
        return false;
    return (told.media[0].direction & SDP_SENDONLY) && (said.media[0].direction & SDP_RECVONLY) &&
           !said.media[0].zero_hold && (target.media[0].direction & SDP_SENDONLY) &&
           sdp_formats_subset(&target, &told);
}

bool transfer_hears_early(const struct engine *e, const struct transfer *t) {
    const struct leg *l = leg_get(e, t->early);
    return l && l->transfer == t->self && l->transfer_role == TR_TARGET && leg_is_live(l);
}

void transfer_early_media(struct engine *e, struct transfer *t, struct leg *l) {
    struct leg *a = leg_get(e, t->transferee), *former = transfer_former_peer(e, t);
    struct slice early = leg_str(l, LEG_SDP_REMOTE);
    bool other = transfer_hears_early(e, t) && t->early != l->self;
    if (!e->cfg.transfer_early_media || l->direct || t->state != TRANSFER_TARGET || t->mode == MODE_TAKEOVER || other ||
        !leg_is_up(a) || !early.p || !can_hear(a, early))
        return;
    if (former)
        media_mute(e, former);
    media_listen(e, a, l);
    t->early = l->self;
}

void transfer_early_heard(struct engine *e, struct transfer *t, struct leg *l, const struct sip_msg *msg) {
    bool described = !l->late_offer && media_in(e, l, msg);
    if (t->state == TRANSFER_TARGET && described && media_received(e, l, msg->body, false))
        transfer_early_media(e, t, l);
}
