/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What holds of every message of the engine, whatever the script says. */
#include "core/sip/rel100.h"
#include "parser/sdp.h"
#include "core/base/limits.h"
#include "tests/ladder/ladder.h"

/* TAGS_MAX: none. */
static unsigned tag_index(const struct dialog_side *d, struct slice tag) {
    for (unsigned i = 0; i < d->tag_count; i++)
        if (slice_eq(slice_str(d->tags[i]), tag))
            return i;
    return TAGS_MAX;
}

/* user, session id and address of an o= line stay; only the version may differ (RFC 3264 section 8). */
static bool same_but_version(struct slice a, struct slice b) {
    unsigned field = 0;
    uint32_t i = 0, j = 0;
    while (i < a.n && j < b.n) {
        if (field == 2) {
            while (i < a.n && a.p[i] != ' ')
                i++;
            while (j < b.n && b.p[j] != ' ')
                j++;
        } else if (a.p[i] != b.p[j]) {
            return false;
        }
        if (i < a.n && a.p[i] == ' ')
            field++;
        i++, j++;
    }
    return i >= a.n && j >= b.n;
}

static void check_version(struct world *w, struct dialog_side *d, const struct sdp *now, struct slice text) {
    struct sdp before;
    uint64_t v = 0, was = 0;
    struct slice old = slice_str(d->theirs.text);
    if (sdp_parse(old, &before) < 0)
        fail(w, "the session description before cannot be read");
    if (!same_but_version(before.origin, now->origin))
        fail(w, "o= was %.*s and is %.*s", SLICE_FMT(before.origin), SLICE_FMT(now->origin));
    if (!slice_u64(now->session_version, UINT64_MAX / 4, &v) ||
        !slice_u64(before.session_version, UINT64_MAX / 4, &was))
        fail(w, "o= without a version: %.*s", SLICE_FMT(now->origin));
    bool same = sdp_same_but_origin(old, text);
    bool higher = d->unstored && v > was;
    d->unstored = false;
    if (!higher && (same ? v != was : v != was + 1))
        fail(w, "the version of o= went from %lu to %lu, and the description %s", (unsigned long)was, (unsigned long)v,
             same ? "did not change" : "changed");
    if (now->media_count < before.media_count)
        fail(w, "fewer m= lines than before (RFC 3264 section 8)");
}

static void take_sdp(struct world *w, struct dialog_side *d, struct slice text) {
    struct sdp s;
    if (sdp_parse(text, &s) < 0 || s.media_count == 0)
        fail(w, "the session description cannot be read:\n%.*s", SLICE_FMT(text));
    if (d->theirs.text[0])
        check_version(w, d, &s, text);
    copy_text(d->theirs.text, sizeof d->theirs.text, text);
    d->theirs.video = s.media_count > 1 ? s.media[1].port : 0;
    if (s.media[0].port == 0)
        return;
    /* From party to party, or it may be: the ladder itself says what is to stand there. */
    bool direct = w->cfg.anchor == ANCHOR_NO || w->some_direct || strstr(d->theirs.text, "a=fingerprint:");
    bool stays = d->theirs.port && !direct && world_address(w, &s.media[0].connection) == d->theirs.at;
    if (stays && s.media[0].port != d->theirs.port)
        fail(w, "the port was %u and is %u", d->theirs.port, s.media[0].port);
    d->theirs.port = s.media[0].port;
    if (direct)
        return;
    d->theirs.at = world_address(w, &s.media[0].connection);
    if (s.media[0].port < w->cfg.media_port_min || s.media[0].port > w->cfg.media_port_max ||
        d->theirs.at > w->cfg.media_more_count)
        fail(w, "media would not come through the relay:\n%.*s", SLICE_FMT(text));
}

static bool has_sdp(const struct sip_msg *m) {
    return m->body.n && sip_is_media_type(m->content_type, SL("application"), SL("sdp"));
}

static void check_cseq(struct world *w, struct dialog_side *d, const struct sip_msg *m) {
    if (m->method == SIP_M_ACK || m->method == SIP_M_CANCEL) {
        for (unsigned i = d->got_count; i-- > 0;)
            if (d->got[i].method == SIP_M_INVITE && d->got[i].cseq == m->cseq)
                return;
        fail(w, "CSeq %u is of no INVITE", m->cseq);
    }
    uint32_t *last = &d->their_cseq[m->to_tag.p ? tag_index(d, m->to_tag) : 0];
    if (m->cseq <= *last)
        fail(w, "CSeq is %u, was %u", m->cseq, *last);
    *last = m->cseq;
}

/* One INVITE and one offer at a time in a dialog (RFC 3261 section 14.1, RFC 3264 section 4). */
static void check_offer(struct world *w, struct dialog_side *d, const struct sip_msg *m) {
    if (m->method != SIP_M_INVITE && m->method != SIP_M_UPDATE)
        return;
    for (unsigned i = 0; i < d->got_count && m->method == SIP_M_INVITE; i++)
        if (d->got[i].method == SIP_M_INVITE && !d->got[i].status)
            fail(w, "an INVITE while another of its own is open");
    for (unsigned i = 0; i < d->sent_count && m->method == SIP_M_INVITE; i++)
        if (d->sent[i].method == SIP_M_INVITE && d->sent[i].last && !d->sent[i].status)
            fail(w, "an INVITE while it has one of ours to answer");
    if (!has_sdp(m))
        return;
    if (d->offer_theirs && (!d->update_until || w->now < d->update_until))
        fail(w, "an offer while another of its own is open");
    d->offer_theirs = true;
    d->update_until = m->method == SIP_M_UPDATE ? w->now + SIP_64_T1_US : 0;
}

static void check_ack(struct world *w, struct dialog_side *d, const struct sip_msg *m) {
    for (unsigned i = d->got_count; i-- > 0;) {
        const struct exchange *x = &d->got[i];
        if (x->method != SIP_M_INVITE || x->cseq != m->cseq)
            continue;
        if (!x->status)
            fail(w, "ACK to an INVITE that has no final answer");
        bool same = slice_eq(slice_str(x->branch), m->via.branch);
        if (same != (x->status >= 300))
            fail(w, same ? "the ACK to a 2xx has the INVITE's branch" : "the ACK to a refusal has another branch");
        break;
    }
    if (has_sdp(m))
        d->offer_ours = false;
}

void rules_request(struct world *w, struct dialog_side *d, const struct sip_msg *m) {
    struct addr sent_by = { 0 };
    if (!slice_has_prefix(m->via.branch, SL("z9hG4bK")) || !addr_parse_ip(m->via.sent_by.host, &sent_by) ||
        !addr_eq_ip(&sent_by, &w->cfg.sip_addr))
        fail(w, "its Via is wrong: %.*s", SLICE_FMT(m->via.value));
    if (m->max_forwards < 0 || m->max_forwards > 70)
        fail(w, "Max-Forwards is %d", m->max_forwards);
    if (!slice_eq(m->from_tag, slice_str(d->remote_tag)))
        fail(w, "From tag %.*s is not the dialog's %s", SLICE_FMT(m->from_tag), d->remote_tag);
    if (m->to_tag.p && tag_index(d, m->to_tag) == TAGS_MAX)
        fail(w, "To tag %.*s is none of ours", SLICE_FMT(m->to_tag));
    if (m->method == SIP_M_INVITE && !sip_hdr_first(m, SIP_H_CONTACT))
        fail(w, "INVITE without Contact");
    check_cseq(w, d, m);
    check_offer(w, d, m);
    if (m->method == SIP_M_ACK)
        check_ack(w, d, m);
    if (m->method == SIP_M_PRACK && has_sdp(m))
        d->offer_ours = false;
    if (has_sdp(m))
        take_sdp(w, d, m->body);
}

static void check_order(struct world *w, const struct sip_msg *m, const struct exchange *x) {
    if (x->status)
        fail(w, "%u after the final %u to the same request", m->status, x->status);
    if (x->last > 100 && m->status > 100 && !slice_eq(slice_str(x->to_tag), m->to_tag))
        fail(w, "To tag was %s and is %.*s", x->to_tag, SLICE_FMT(m->to_tag));
    if (m->status > 100 && !m->to_tag.p)
        fail(w, "a response without To tag");
    if (m->cseq != x->cseq)
        fail(w, "CSeq is %u, the request's %u", m->cseq, x->cseq);
}

static void close_offer(struct world *w, struct dialog_side *d, const struct sip_msg *m, const struct exchange *x) {
    bool invite = x->method == SIP_M_INVITE || x->method == SIP_M_UPDATE || (x->method == SIP_M_PRACK && x->offer);
    if (!invite || m->status == 100)
        return;
    if (x->offer && m->status < 300 && has_sdp(m) && d->offer_theirs)
        fail(w, "an answer while an offer of its own is open");
    if (x->offer && (has_sdp(m) || m->status >= 300))
        d->offer_ours = false;
    if (!x->offer && has_sdp(m))
        d->offer_theirs = true;
    if (x->method == SIP_M_INVITE && x->offer && m->status >= 200 && m->status < 300 && d->offer_ours)
        fail(w, "a 2xx that leaves the offer without an answer");
}

/* RFC 3262 section 3: numbered one by one, and none but the last without its PRACK. */
static void check_rseq(struct world *w, struct dialog_side *d, const struct sip_msg *m) {
    uint32_t rseq = rel100_rseq(m);
    if (sip_list_has(m, SIP_H_REQUIRE, SL("100rel")) && !rseq)
        fail(w, "Require: 100rel without RSeq, or in another response than 101 to 199");
    if (!rseq)
        return;
    if (d->rseq && d->rseq_cseq == m->cseq && rseq != d->rseq + 1)
        fail(w, "RSeq is %u, was %u", rseq, d->rseq);
    d->rseq = rseq;
    d->rseq_cseq = m->cseq;
}

void rules_response(struct world *w, struct dialog_side *d, const struct sip_msg *m, struct exchange *x) {
    check_order(w, m, x);
    bool known = d->remote_tag[0] && x->method != SIP_M_REGISTER && m->status > 100 && m->to_tag.p;
    if (known && x->cseq != 1 && !slice_eq(slice_str(d->remote_tag), m->to_tag))
        fail(w, "To tag %.*s is not the dialog's %s", SLICE_FMT(m->to_tag), d->remote_tag);
    if (x->method == SIP_M_INVITE && m->status > 100 && m->status < 300 && !sip_hdr_first(m, SIP_H_CONTACT))
        fail(w, "%u to INVITE without Contact", m->status);
    if (m->status == 405 && !sip_hdr_first(m, SIP_H_ALLOW))
        fail(w, "405 without Allow");
    check_rseq(w, d, m);
    close_offer(w, d, m, x);
    if (has_sdp(m))
        take_sdp(w, d, m->body);
}
