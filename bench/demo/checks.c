/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/demo/demo.h"
#include "parser/sip_frag.h"
#include "parser/sip_hdr.h"

static bool media_of(const struct phone_seen *seen, struct sdp *sdp) {
    return sdp_parse(seen->msg->body, sdp) >= 0 && sdp->media_count == 1;
}

static bool has_codec(const struct sdp_media *m, const char *rtpmap) {
    for (unsigned i = 0; i < m->format_count; i++)
        if (slice_ieq(sdp_rtpmap(m, m->formats[i]), slice_str(rtpmap)))
            return true;
    return false;
}

/* All of phone A's codecs, to be sent and received. */
const char *check_offer_full(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    const struct phone_config *a = &d->phones[A].config;
    struct sdp sdp;
    (void)w;
    if (!media_of(seen, &sdp))
        return "no description of one stream";
    for (unsigned i = 0; i < a->codec_count; i++)
        if (!has_codec(&sdp.media[0], a->codecs[i].rtpmap))
            return "not A's full codec set";
    return sdp.media[0].direction == SDP_SENDRECV ? NULL : "not sendrecv";
}

const char *check_direction(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    struct sdp sdp;
    (void)d;
    if (!media_of(seen, &sdp))
        return "no description of one stream";
    return (int)sdp.media[0].direction == w->arg ? NULL : "another direction than wanted";
}

/* With the Referee between, audio goes to one of its ports, never straight to a phone's. */
const char *check_anchored(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    struct sdp sdp;
    if (w->arg >= 0) {
        const char *wrong = check_direction(d, w, seen);
        if (wrong)
            return wrong;
    }
    if (!media_of(seen, &sdp))
        return "no description of one stream";
    uint16_t port = sdp.media[0].port;
    return port >= d->daemon.media_first && port <= d->daemon.media_last ? NULL : "media is not anchored";
}

/* Each leg is a dialog of its own: neither A's Call-ID nor A's tag is seen at the other side. */
const char *check_own_dialog(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    enum who caller = w->who == B ? A : B;
    for (int i = 0; i < PHONE_DIALOGS; i++) {
        const struct phone_dialog *pd = &d->phones[caller].dialogs[i];
        if (pd->state == PHONE_D_FREE)
            continue;
        if (slice_eq(phone_text_slice(&pd->call_id), seen->msg->call_id))
            return "the caller's Call-ID was copied";
        if (slice_eq(phone_text_slice(&pd->local_tag), seen->msg->from_tag))
            return "the caller's tag was copied";
    }
    if (seen->msg->max_forwards != 69)
        return "Max-Forwards is not the caller's less one";
    return check_anchored(d, w, seen);
}

/* RFC 3891 section 3, as the target sees it, and the full offer of the transferee. */
const char *check_replaces(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    const struct sip_msg *m = seen->msg;
    struct sip_replaces r;
    int i = d->bound[C][D2];
    if (i < 0 || sip_replaces_parse(sip_hdr_value(m, SIP_H_REPLACES), &r) < 0)
        return "no sound Replaces";
    const struct phone_dialog *own = &d->phones[C].dialogs[i];
    if (!slice_eq(r.call_id, phone_text_slice(&own->call_id)) ||
        !slice_eq(r.to_tag, phone_text_slice(&own->local_tag)) ||
        !slice_eq(r.from_tag, phone_text_slice(&own->remote_tag)))
        return "Replaces does not name C's own consultation dialog";
    if (!sip_list_has(m, SIP_H_REQUIRE, SL("replaces")))
        return "no Require: replaces";
    return check_triggered(d, w, seen);
}

/* The INVITE that the REFER triggers: Referred-By as B wrote it, A's full offer, anchored. */
const char *check_triggered(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    struct slice by = sip_hdr_value(seen->msg, SIP_H_REFERRED_BY);
    const char *wrong = check_offer_full(d, w, seen);
    if (wrong)
        return wrong;
    if (!by.p || !slice_eq(by, phone_text_slice(&d->phones[B].aor)))
        return "Referred-By is not what B wrote";
    return check_anchored(d, w, seen);
}

/* The REFER as it crosses: back to us by a token, and B's Replaces and Referred-By as B wrote them. */
const char *check_relayed(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    struct slice by = sip_hdr_value(seen->msg, SIP_H_REFERRED_BY);
    struct sip_nameaddr to;
    if (sip_nameaddr_parse(sip_hdr_value(seen->msg, SIP_H_REFER_TO), &to) < 0 ||
        !slice_has_prefix(to.uri.user, SL("xfer.")))
        return "Refer-To does not lead back to the Referee";
    if (!by.p || !slice_eq(by, phone_text_slice(&d->phones[B].aor)))
        return "Referred-By is not what B wrote";
    return check_refer(d, w, seen);
}

/* The INVITE that it makes the transferee send. */
const char *check_follows(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    if (!slice_has_prefix(seen->msg->ruri.user, SL("xfer.")))
        return "not to the Refer-To URI";
    if ((sip_hdr_first(seen->msg, SIP_H_REPLACES) != NULL) != (w->arg != 0))
        return "Replaces is not that of the Refer-To URI";
    return check_offer_full(d, w, seen);
}

/* What the REFER outside a dialog has made of it: A referred. */
const char *check_clicked(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    struct slice by = sip_hdr_value(seen->msg, SIP_H_REFERRED_BY);
    if (!by.p || !slice_eq(by, phone_text_slice(&d->phones[A].aor)))
        return "Referred-By is not what A wrote";
    return check_anchored(d, w, seen);
}

const char *check_no_replaces(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    if (sip_hdr_first(seen->msg, SIP_H_REPLACES))
        return "Replaces to a phone that does not list it";
    const char *wrong = check_offer_full(d, w, seen);
    return wrong ? wrong : check_anchored(d, w, seen);
}

/* arg: status in the sipfrag; negative: the subscription ends with it. */
const char *check_notify(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    const struct sip_msg *m = seen->msg;
    struct sip_event event;
    struct sip_sub_state sub;
    struct slice reason;
    uint16_t status;
    bool final = w->arg < 0;
    (void)d;
    if (sip_event_parse(sip_hdr_value(m, SIP_H_EVENT), &event) < 0 || !slice_ieq(event.package, SL("refer")))
        return "not Event: refer";
    if (!sip_frag_status(m->body, &status, &reason))
        return "no sipfrag";
    if (status != (final ? -w->arg : w->arg))
        return "another status in the sipfrag";
    if (sip_sub_state_parse(sip_hdr_value(m, SIP_H_SUBSCRIPTION_STATE), &sub) < 0)
        return "no Subscription-State";
    if (final && (!slice_ieq(sub.state, SL("terminated")) || !slice_ieq(sub.reason, SL("noresource"))))
        return "not terminated;reason=noresource";
    return final || slice_ieq(sub.state, SL("active")) ? NULL : "not active";
}

const char *check_challenge(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    struct sip_digest c;
    (void)d, (void)w;
    enum sip_hdr_id id = seen->msg->status == 407 ? SIP_H_PROXY_AUTHENTICATE : SIP_H_WWW_AUTHENTICATE;
    if (sip_digest_parse(sip_hdr_value(seen->msg, id), &c) < 0 || !c.nonce.p || !c.realm.p)
        return "no sound challenge";
    return c.qop.p ? NULL : "no qop";
}

const char *check_credentials(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    (void)d, (void)w;
    bool has = sip_hdr_first(seen->msg, SIP_H_AUTHORIZATION) || sip_hdr_first(seen->msg, SIP_H_PROXY_AUTHORIZATION);
    return has ? NULL : "no credentials";
}

const char *check_refer(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    struct sip_nameaddr to;
    (void)d;
    if (sip_nameaddr_parse(sip_hdr_value(seen->msg, SIP_H_REFER_TO), &to) < 0)
        return "no sound Refer-To";
    return (to.uri.headers.p != NULL) == (w->arg != 0) ? NULL : "Refer-To with or without Replaces, the wrong way";
}

/* arg: 1 when it has to list replaces, 0 when it must not. */
const char *check_supported(const struct demo *d, const struct want *w, const struct phone_seen *seen) {
    (void)d;
    return sip_list_has(seen->msg, SIP_H_SUPPORTED, SL("replaces")) == (w->arg != 0) ? NULL : "Supported is wrong";
}
