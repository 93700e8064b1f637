/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What must hold of what is seen on the wires, whatever the phones do. */
#include "core/b2b/owner.h"
#include "parser/sip_frag.h"
#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_direct.h"

#define T1_64 32000000ull
#define T2 4000000ull

struct slice sim_header(const struct sip_msg *m, struct slice name) {
    for (unsigned i = 0; i < m->header_count; i++)
        if (m->headers[i].id == SIP_H_OTHER && slice_ieq(m->headers[i].name, name))
            return m->headers[i].value;
    return SLICE_NONE;
}

void check_start(struct world *w) {
    memset(&w->seen, 0, sizeof w->seen);
}

uint64_t check_key(struct slice call_id, struct slice tag) {
    return sim_mix(sim_hash(call_id), sim_hash(tag)) | 1;
}

/* Made when it is not there. */
struct seen_dialog *check_dialog(struct world *w, uint64_t key) {
    for (unsigned i = 0; i < SEEN_DIALOGS; i++) {
        struct seen_dialog *d = &w->seen.dialogs[(key + i) % SEEN_DIALOGS];
        if (d->key == key)
            return d;
        if (d->key)
            continue;
        d->key = key;
        return d;
    }
    sim_fail(w, "simulator: too many dialogs");
}

/* By Call-ID and the engine's tag. */
static struct seen_dialog *dialog_of(struct world *w, struct slice call_id, struct slice tag) {
    return check_dialog(w, check_key(call_id, tag));
}

/* ---- branches: no answer to an unknown one ---- */

static uint64_t branch_key_of(const struct sip_msg *m, enum sip_method method) {
    /* Phones count their branches each by itself. */
    return sim_mix(sim_hash(m->via.branch) ^ sim_hash(m->call_id), method) | 1;
}

static uint64_t branch_key(const struct sip_msg *m) {
    return branch_key_of(m, m->is_request ? m->method : m->cseq_method);
}

static bool branch_seen(struct world *w, uint64_t key, bool add) {
    for (unsigned i = 0; i < SEEN_BRANCHES; i++) {
        uint64_t *b = &w->seen.branches[(key + i) % SEEN_BRANCHES];
        if (*b == key)
            return true;
        if (*b)
            continue;
        if (add && ++w->seen.branch_n > SEEN_BRANCHES - 100)
            sim_fail(w, "simulator: too many branches");
        if (add)
            *b = key;
        return false;
    }
    return false;
}

/* ---- descriptions: o= rises by one when the rest changed, and only then ---- */

static bool origin_of(struct slice sdp, struct slice *line, uint64_t *session, uint64_t *version) {
    for (uint32_t i = 0; i + 2 < sdp.n; i++) {
        if (sdp.p[i] != 'o' || sdp.p[i + 1] != '=' || (i && sdp.p[i - 1] != '\n'))
            continue;
        struct slice rest = slice_of(sdp.p + i, sdp.n - i);
        *line = slice_of(rest.p, (uint32_t)slice_find(rest, '\r'));
        struct slice v = *line;
        for (unsigned word = 0; word < 3; word++) {
            int32_t sp = slice_find(v, ' ');
            if (sp < 0)
                return false;
            struct slice number = slice_of(v.p, (uint32_t)sp);
            if ((word == 1 && !slice_u64(number, UINT64_MAX, session)) ||
                (word == 2 && !slice_u64(number, UINT64_MAX, version)))
                return false;
            v = slice_of(v.p + sp + 1, v.n - (uint32_t)sp - 1);
        }
        return true;
    }
    return false;
}

static void check_sdp(struct world *w, struct seen_dialog *d, struct slice sdp) {
    struct slice line;
    uint64_t session = 0, version = 0;
    if (!origin_of(sdp, &line, &session, &version))
        sim_fail(w, "a description without a readable o= line");
    struct slice before = slice_of(sdp.p, (uint32_t)(line.p - sdp.p));
    struct slice after = slice_of(line.p + line.n, sdp.n - before.n - line.n);
    uint64_t rest = sim_mix(sim_hash(before), sim_hash(after));
    if (d->sdp) {
        if (session != d->session)
            sim_fail(w, "o=: another session id in one dialog");
        if (d->leaps && rest != d->sdp && version <= d->version)
            sim_fail(w, "o=: version %d after %d, by who may have missed some", (int)version, (int)d->version);
        if (!d->leaps && rest == d->sdp && version != d->version)
            sim_fail(w, "o=: version rose from %d to %d though nothing changed", (int)d->version, (int)version);
        if (!d->leaps && rest != d->sdp && version != d->version + 1)
            sim_fail(w, "o=: version %d after %d, description changed", (int)version, (int)d->version);
    }
    d->leaps = d->leaps && (!d->sdp || version == d->version);
    d->sdp = rest;
    d->session = session;
    d->version = version;
}

/* ---- in ---- */

/* The ACK to a refusal has the branch of its INVITE (RFC 3261 section 17.1.1.3), and says nothing of a 2xx, though it
 * has that one's number where a peer sends an INVITE with the CSeq of before. Only who has refused that INVITE knows:
 * an owner behind it takes it for the ACK to the 2xx. */
static void in_ack(struct world *w, struct seen_dialog *d, const struct sip_msg *m) {
    bool refused = branch_seen(w, branch_key_of(m, SIP_M_INVITE) ^ 16, false);
    if (refused && txn_knows_invite(&w->e->txns, m))
        return;
    d->acked_cseq = m->cseq;
    if (m->cseq != d->ok_cseq)
        return;
    d->ok_at = 0;
    d->ok_cseq = refused ? d->ok_cseq : 0;
}

static void in_request(struct world *w, const struct sip_msg *m) {
    uint64_t key = branch_key(m);
    bool again = branch_seen(w, key, m->method != SIP_M_ACK);
    /* It asks for no subscription of its dialog (RFC 7614). */
    if (m->method == SIP_M_REFER && (sip_list_has(m, SIP_H_REQUIRE, SL("nosub")) ||
                                     sip_list_has(m, SIP_H_REQUIRE, SL("explicitsub"))))
        branch_seen(w, key ^ 4, true);
    if (m->method == SIP_M_REFER || (m->method == SIP_M_INVITE && !m->to_tag.p)) {
        w->seen.hops = m->max_forwards > 0 ? (uint32_t)m->max_forwards : LIMIT_HOPS_MAX + 1;
        w->seen.hops_step = (uint32_t)w->steps + 1;
    }
    if (!m->to_tag.p)
        return;
    struct seen_dialog *d = dialog_of(w, m->call_id, m->to_tag);
    if (m->method == SIP_M_ACK)
        in_ack(w, d, m);
    /* Its 2xx may have been lost between nodes, and is not repeated behind its BYE. */
    for (uint32_t i = 0; m->method == SIP_M_BYE && w->script.setup.nodes && i < w->seen.ok_n; i++)
        w->seen.oks[i].acked |= w->seen.oks[i].key == d->key;
    /* It never ACKed our 2xx, and says that it goes before we may say so: as in out_bye. */
    for (uint32_t i = 0; m->method == SIP_M_BYE && d->ok_cseq && i < w->seen.sub_n; i++)
        w->seen.subs[i].excused |= w->seen.subs[i].key == d->key;
    const struct leg *l = leg_of_tag(w->e, m->call_id, m->to_tag);
    d->hung_up |= m->method == SIP_M_BYE && l && slice_eq(leg_str(l, DLG_REMOTE_TAG), m->from_tag);
    /* It hangs up where our own BYE waits for the ACK to a 2xx, since the session has expired meanwhile. */
    bool expired = m->method == SIP_M_BYE && d->ok_at && l && !l->session_ends &&
                   metrics_get(engine_metrics(w->e), M_sessions_expired);
    for (uint32_t i = 0; expired && i < w->seen.sub_n; i++)
        w->seen.subs[i].excused |= w->seen.subs[i].key == d->key;
    /* Of a call that has just been read it is dropped, and comes again; so does what gets lost between nodes. */
    bool early = w->seen.early || (l && call_get(w->e, l->call)->resuming);
    if (m->method != SIP_M_INVITE || (l ? early : w->script.setup.nodes != 0))
        return;
    /* And not one of before, that comes late. */
    bool opens = l && l->invite_in != HANDLE_NONE && l->dlg.remote_cseq == m->cseq;
    if (w->script.setup.nodes ? opens && !branch_seen(w, key ^ 8, true) : !again)
        d->in_invite = key;
}

static void note_ok(struct world *w, const struct sip_msg *m) {
    struct sim_seen_all *s = &w->seen;
    uint64_t key = check_key(m->call_id, m->from_tag), tag = sim_hash(m->to_tag);
    const struct leg *l = leg_of_tag(w->e, m->call_id, m->from_tag);
    /* Of a call that has just been read it is dropped, and comes again. */
    if (!l || l->state == LEG_DEAD || s->early || call_get(w->e, l->call)->resuming)
        return;
    for (uint32_t i = 0; i < s->ok_n; i++)
        if (s->oks[i].key == key && s->oks[i].tag == tag && s->oks[i].cseq == m->cseq)
            return;
    if (s->ok_n == SEEN_OKS)
        sim_fail(w, "simulator: too many 2xx");
    s->oks[s->ok_n++] = (struct seen_ok){ .key = key, .tag = tag, .cseq = m->cseq, .at = w->now };
}

/* In an engine that knows nobody yet to whom it belongs. */
static bool waits(const struct world *w, const struct sip_msg *m) {
    const struct owner_wait *q = &w->e->wait;
    for (uint32_t i = 0; i < q->used; i++)
        if (slice_eq(buf_slice(q->items[(q->first + i) % OWNER_WAITS_MAX].bytes), m->whole))
            return true;
    return false;
}

static void in_response(struct world *w, const struct sip_msg *m) {
    struct seen_dialog *d = dialog_of(w, m->call_id, m->from_tag);
    if (m->cseq_method == SIP_M_INVITE) {
        /* One to an INVITE that has been sent again since is late. */
        if (m->status < 200)
            d->provisional_cseq = m->cseq > d->provisional_cseq ? m->cseq : d->provisional_cseq;
        else if (branch_key(m) == d->invite_branch)
            d->invite_branch = 0;
        /* Not that to an INVITE before the last request, which comes again where its ACK was lost. */
        if (m->status >= 200 && branch_key(m) == d->branch)
            d->final_branch = d->branch;
        if (m->status >= 200 && m->status < 300)
            note_ok(w, m);
    }
    if (m->status >= 200 && branch_key(m) == d->refresh_branch)
        d->refresh_branch = 0;
    /* Section 12.2.1.2: the transferor's dialog is gone, by its own word. */
    if (m->status == 481 || m->status == 408) {
        d->gone_at = w->now;
        for (uint32_t i = 0; i < w->seen.sub_n; i++)
            w->seen.subs[i].excused = w->seen.subs[i].excused || w->seen.subs[i].key == d->key;
    }
    if (m->cseq_method != SIP_M_NOTIFY || m->status < 200)
        return;
    for (uint32_t i = 0; i < w->seen.sub_n; i++) {
        struct seen_sub *s = &w->seen.subs[i];
        if (s->key != d->key || s->notify_cseq != m->cseq)
            continue;
        /* Its sender slept, or has died, and it has arrived. */
        s->excused = s->excused || (s->lapsed && s->was_final);
        s->unread = (s->open || s->lapsed || s->unread) && waits(w, m);
        s->open = s->unanswered = s->lapsed = false;
        /* Refused, or answered when it had been given up: no more of it (RFC 6665 section 4.2.2). */
        if (m->status >= 300 || w->now - s->sent_at >= T1_64)
            s->excused = true;
    }
}

void check_early(struct world *w, const struct sip_msg *m) {
    const struct leg *l = m ? leg_of_tag(w->e, m->call_id, m->is_request ? m->to_tag : m->from_tag) : NULL;
    w->seen.early = l && call_get(w->e, l->call)->resuming;
}

void check_in(struct world *w, const struct sip_msg *m) {
    if (!m || w->e->owners.suspended) /* who is, has not heard it */
        return;
    if (m->is_request)
        in_request(w, m);
    else
        in_response(w, m);
}

/* ---- out ---- */

/* CSeq rises with each new request of a dialog (RFC 3261 section 12.2.1.1). A dialog is of both tags: forks count by
 * themselves, all from the INVITE on. False: not a new request. */
static bool check_cseq(struct world *w, struct seen_dialog *d, const struct sip_msg *m) {
    uint64_t branch = branch_key(m), remote = sim_hash(m->to_tag);
    if (m->method == SIP_M_ACK || m->method == SIP_M_CANCEL)
        return false;
    /* Retransmitted. */
    if (branch_seen(w, branch ^ 2, true))
        return false;
    d->branch = branch;
    if (!m->to_tag.p) {
        d->cseq = m->cseq;
        return true;
    }
    struct seen_dialog *both = check_dialog(w, sim_mix(d->key, remote) | 1);
    uint32_t last = both->cseq ? both->cseq : d->cseq;
    if (m->cseq <= last && !both->unsure)
        sim_fail(w, "CSeq %d after %d in a dialog", (int)m->cseq, (int)last);
    both->unsure = false;
    both->cseq = m->cseq;
    return true;
}

static void out_invite(struct world *w, struct seen_dialog *d, const struct sip_msg *m) {
    uint64_t branch = branch_key(m);
    if (branch == d->invite_branch || branch == d->final_branch)
        return;
    if (branch != d->branch)
        return;
    if (d->invite_branch && w->now - d->invite_at < T1_64)
        sim_fail(w, "an INVITE while ours is open in the dialog (RFC 3261 section 14.1)");
    if (d->in_invite)
        sim_fail(w, "an INVITE while the peer's is open (RFC 3261 section 14.1)");
    /* Sent again when somebody else's death or network error has made us forget of it: as long open as it was. */
    if (branch != d->opened_branch)
        d->invite_at = w->now;
    d->invite_branch = d->opened_branch = branch;
    d->unheard = false;
}

static void out_ack(struct world *w, const struct sip_msg *m) {
    uint64_t key = check_key(m->call_id, m->from_tag), tag = sim_hash(m->to_tag);
    for (uint32_t i = 0; i < w->seen.ok_n; i++) {
        struct seen_ok *o = &w->seen.oks[i];
        if (o->key == key && o->tag == tag && o->cseq == m->cseq)
            o->acked = true;
    }
}

/* ---- subscriptions: each gets its final NOTIFY ---- */

static struct seen_sub *note_sub(struct world *w, uint64_t key, uint32_t id) {
    struct sim_seen_all *s = &w->seen;
    for (uint32_t i = 0; i < s->sub_n; i++)
        if (s->subs[i].key == key && (s->subs[i].id == id || !id))
            return &s->subs[i];
    if (s->sub_n == SEEN_SUBS)
        sim_fail(w, "simulator: too many subscriptions");
    s->subs[s->sub_n] = (struct seen_sub){ .key = key, .id = id, .at = w->now };
    return &s->subs[s->sub_n++];
}

static const struct transfer *transfer_of(const struct world *w, struct slice transferor, uint32_t refer_cseq) {
    uint32_t cursor = 0;
    handle h;
    const struct transfer *t;
    for (uint32_t n = w->e->transfers.used; n && (t = pool_next(&w->e->transfers, &cursor, &h)); n--) {
        const struct leg *l = leg_get(w->e, t->transferor);
        /* Of a REFER outside the transferor's dialog the CSeq counts somewhere else. */
        if (t->refer_cseq == refer_cseq && t->subscriber == t->transferor && l &&
            slice_eq(leg_str(l, DLG_LOCAL_TAG), transferor))
            return t;
    }
    return NULL;
}

/* It goes on to the transferee, whose NOTIFYs may be quicker than its 2xx (RFC 3515 section 2.4.4). */
static void note_relayed(struct world *w, const struct sip_msg *m) {
    uint32_t cursor = 0;
    handle h;
    const struct transfer *t;
    for (uint32_t n = w->e->transfers.used; n && (t = pool_next(&w->e->transfers, &cursor, &h)); n--) {
        const struct leg *a = leg_get(w->e, t->transferee), *b = leg_get(w->e, t->transferor);
        if (t->mode != MODE_RELAY || !a || !b || !slice_eq(leg_str(a, DLG_LOCAL_TAG), m->from_tag))
            continue;
        struct seen_sub *s = note_sub(w, check_key(leg_str(b, DLG_CALL_ID), leg_str(b, DLG_LOCAL_TAG)), t->refer_cseq);
        s->relayed = s->excused = true;
    }
}

/* The transferee would not, or could not: carried out here. What this one's first NOTIFY says, which may be sooner than
 * a 202 that died, is its own. */
static void note_here(struct seen_sub *s, const struct transfer *t) {
    if (s->relayed && t && t->mode != MODE_RELAY)
        s->relayed = s->excused = false;
}

static void note_accepted(struct world *w, const struct seen_dialog *d, const struct sip_msg *m, uint8_t to) {
    bool odd = to < SIM_PHONES && (w->phones[to].quirks >> QUIRK_ODD_AGENT & 1) && w->odd.no_notify;
    bool asked = !slice_has_prefix(sip_hdr_value(m, SIP_H_REFER_SUB), SL("false")) &&
                 !branch_seen(w, branch_key(m) ^ 4, false);
    if (m->cseq_method == SIP_M_REFER && asked && !odd) {
        note_here(note_sub(w, d->key, m->cseq), transfer_of(w, m->to_tag, m->cseq));
    } else if (m->cseq_method == SIP_M_SUBSCRIBE) {
        note_sub(w, d->key, 0);
    }
}

static void out_notify(struct world *w, const struct seen_dialog *d, const struct sip_msg *m) {
    struct sip_event ev;
    struct sip_sub_state state;
    uint64_t id = 0;
    /* Without an id: of a subscription that was asked for by SUBSCRIBE. */
    if (sip_event_parse(sip_hdr_value(m, SIP_H_EVENT), &ev) < 0 || (ev.id.p && !slice_u64(ev.id, UINT32_MAX, &id)) ||
        sip_sub_state_parse(sip_hdr_value(m, SIP_H_SUBSCRIPTION_STATE), &state) < 0)
        sim_fail(w, "a NOTIFY without Event id or Subscription-State");
    for (uint32_t i = 0; i < w->seen.sub_n; i++) {
        struct seen_sub *s = &w->seen.subs[i];
        if (s->key != d->key || s->id != id)
            continue;
        const struct transfer *t = transfer_of(w, m->from_tag, (uint32_t)id);
        note_here(s, t);
        if (m->cseq == s->notify_cseq) {
            s->final = s->final || (s->lapsed && slice_eq(state.state, SL("terminated")));
            s->open = s->open || s->lapsed;
            s->unanswered = s->unanswered || s->lapsed;
            s->lapsed = false;
            s->unread = s->unread || !s->open;
            s->excused = s->excused || w->now - s->sent_at >= T1_64 - T2; /* for the last time */
        }
        if (m->cseq == s->notify_cseq || s->relayed)
            return;
        s->lapsed = s->was_final = s->unread = false;
        if (promote_undid_notify(w, leg_of_tag(w->e, m->call_id, m->from_tag), s))
            s->final = s->open = false;
        if (s->final && !s->unsaid)
            sim_fail(w, "a NOTIFY behind the final one");
        s->unsaid = false;
        if (s->open && w->now - s->sent_at < T1_64)
            sim_fail(w, "a NOTIFY while one is unanswered");
        s->open = s->unanswered = true;
        s->sent_at = w->now;
        s->to_tag = sim_hash(m->to_tag);
        s->notify_cseq = m->cseq;
        s->node = cluster_on(w) ? w->cluster->at : 0;
        s->final = slice_eq(state.state, SL("terminated"));
        uint16_t status = 0;
        struct slice reason;
        if (t && sip_frag_status(m->body, &status, &reason) && status >= 200 && !w->drained)
            check_outcome(w, t, status);
        return;
    }
    /* Its REFER was accepted by the record; the 202 died with who was to say it, and comes with the REFER again. */
    if (!w->faults.deaths)
        sim_fail(w, "a NOTIFY of no subscription");
    note_sub(w, d->key, (uint32_t)id);
    out_notify(w, d, m);
}

/* It ends what a second 2xx has made, not the dialog that the call goes on with. */
static bool ends_fork(const struct world *w, const struct sip_msg *m) {
    const struct leg *l = leg_of_tag(w->e, m->call_id, m->from_tag);
    return l && leg_str(l, DLG_REMOTE_TAG).p && !slice_eq(leg_str(l, DLG_REMOTE_TAG), m->to_tag);
}

/* It said so before the 202 of its REFER went out, which waited for a record. */
#define GONE_LATELY 1000000

static void out_bye(struct world *w, struct seen_dialog *d, const struct sip_msg *m) {
    if (ends_fork(w, m))
        return;
    /* Our re-INVITE had no answer at all: the dialog is over (section 12.2.1.2), whatever else is on it. */
    bool deaf = (d->invite_branch || d->unheard) && w->now - d->invite_at >= T1_64;
    /* Nor had a refresh (RFC 4028 section 10); that is known at once. */
    deaf = deaf || (d->refresh_branch && w->now - d->refresh_at - T1_64 < GONE_LATELY);
    if (d->ok_at && d->ok_tag == sim_hash(m->to_tag) && w->now - d->ok_at < T1_64)
        sim_fail(w, "a BYE before the ACK to our 2xx (RFC 3261 section 15)");
    /* It never ACKed our 2xx: that dialog ends, whatever else is on it (section 13.3.1.4), though its owner slept. */
    bool no_ack = d->ok_cseq != 0 && d->ok_tag == sim_hash(m->to_tag);
    /* Nobody refreshed the session in time (RFC 4028 section 10). */
    no_ack = no_ack || slice_eq(sip_hdr_value(m, SIP_H_REASON), SL("SIP;cause=408;text=\"Session expired\""));
    no_ack = no_ack || (d->gone_at && w->now - d->gone_at < GONE_LATELY);
    for (uint32_t i = 0; i < w->seen.sub_n; i++) {
        struct seen_sub *s = &w->seen.subs[i];
        /* Who has answered a NOTIFY of its transfer is there; who has answered nothing at all may have gone. */
        bool silent = deaf && (s->unanswered || !s->notify_cseq);
        s->excused = s->excused || ((no_ack || silent) && s->key == d->key);
        bool bound = s->key == d->key && s->to_tag == sim_hash(m->to_tag) && !s->excused && !s->relayed;
        bool waits = s->final && s->open && w->now - s->sent_at < T1_64;
        if (!no_ack && !deaf && !w->drained && bound && waits && !d->bye_out)
            sim_fail(w, "a BYE to the transferor before it answered the final NOTIFY");
    }
    d->bye_out = true;
    d->bye_tag = sim_hash(m->to_tag);
}

/* Two that call each other on and on come to an end by this alone (RFC 3261 section 16.3). */
static void check_hops(struct world *w, const struct sip_msg *m) {
    bool goes_on = (m->method == SIP_M_INVITE && !m->to_tag.p) || m->method == SIP_M_REFER;
    if (goes_on && w->seen.hops_step == (uint32_t)w->steps && m->max_forwards >= (int32_t)w->seen.hops)
        sim_fail(w, "a forward loop: it goes on with %d hops, and came with %u", (int)m->max_forwards, w->seen.hops);
}

static void out_request(struct world *w, const struct sip_msg *m) {
    struct seen_dialog *d = dialog_of(w, m->call_id, m->from_tag);
    bool new = check_cseq(w, d, m);
    if (new) {
        direct_check_out(w, m);
        check_hops(w, m);
    }
    switch (m->method) {
    case SIP_M_INVITE: out_invite(w, d, m); break;
    case SIP_M_ACK: out_ack(w, m); break;
    case SIP_M_CANCEL:
        /* What was sent again since, behind a refusal, may be unknown to who took over. */
        if (w->faults.deaths || w->cluster->n ? d->provisional_cseq < m->cseq : d->provisional_cseq != m->cseq)
            sim_fail(w, "a CANCEL before any provisional response (RFC 3261 section 9.1)");
        break;
    case SIP_M_REFER: note_relayed(w, m); break;
    case SIP_M_NOTIFY: out_notify(w, d, m); break;
    case SIP_M_BYE: out_bye(w, d, m); break;
    case SIP_M_UPDATE:
        if (new && !m->body.n) {
            d->refresh_branch = branch_key(m);
            d->refresh_at = w->now;
        }
        break;
    default: break;
    }
    /* An ACK sent again is as old as its 2xx. */
    new = new || (m->method == SIP_M_ACK && !branch_seen(w, branch_key(m), true));
    if (new && m->body.n &&
        sip_is_media_type(m->content_type, SL("application"), SL("sdp")))
        check_sdp(w, d, m->body);
}

/* Said for the first time: also if the next owner answers a request that comes again otherwise than the one before it,
 * but for an INVITE that has been ACKed, whose 2xx nobody reads any more. */
static bool says_new(struct world *w, const struct seen_dialog *d, const struct sip_msg *m, bool again) {
    if (!m->body.n || !sip_is_media_type(m->content_type, SL("application"), SL("sdp")))
        return false;
    bool told = m->status >= 200 && branch_seen(w, sim_mix(branch_key(m) ^ m->status, sim_hash(m->body)) | 1, true);
    return !again || !(told || (m->cseq_method == SIP_M_INVITE && m->cseq <= d->acked_cseq));
}

static void out_response(struct world *w, const struct sip_msg *m, uint8_t to) {
    if (!branch_seen(w, branch_key(m), false))
        sim_fail(w, "a response to a request that never came: %d", (int)m->status);
    struct seen_dialog *d = dialog_of(w, m->call_id, m->to_tag);
    if (m->cseq_method == SIP_M_INVITE && m->status >= 200) {
        if (branch_key(m) == d->in_invite)
            d->in_invite = 0;
        branch_seen(w, branch_key(m) ^ 8, true); /* it opens nothing when it comes once more */
        if (m->status < 300 && m->cseq > d->ok_cseq_last) {
            /* The ACK to a former owner's 2xx stands, though its next one says the same once more. */
            d->ok_at = m->cseq > d->acked_cseq ? w->now : 0;
            d->ok_cseq = d->ok_cseq_last = m->cseq;
            d->ok_tag = sim_hash(m->from_tag);
        }
        if (m->status >= 300 && m->cseq == d->ok_cseq)
            branch_seen(w, branch_key(m) ^ 16, true);
    }
    if (m->status >= 200 && m->status < 300)
        note_accepted(w, d, m, to);
    bool again = m->status >= 200 && branch_seen(w, sim_mix(branch_key(m), m->status) | 1, true);
    if (says_new(w, d, m, again))
        check_sdp(w, d, m->body);
}

bool check_is_repeated(struct world *w, const struct sip_msg *response) {
    return branch_seen(w, sim_mix(branch_key(response), response->status) | 1, false);
}

void check_out(struct world *w, const struct sip_msg *msg, uint8_t to) {
    sim_store_check(w, msg);
    if (msg->is_request)
        out_request(w, msg);
    else
        out_response(w, msg, to);
}

void check_excuse(struct world *w) {
    for (uint32_t i = 0; i < SEEN_DIALOGS; i++) {
        struct seen_dialog *d = &w->seen.dialogs[i];
        d->unheard = d->unheard || d->invite_branch;
        d->invite_branch = 0;
    }
    for (uint32_t i = 0; i < w->seen.sub_n; i++) {
        struct seen_sub *s = &w->seen.subs[i];
        s->excused = s->excused || s->open || s->unread;
        s->open = false;
    }
}

const struct leg *leg_of_tag(const struct engine *e, struct slice call_id, struct slice tag) {
    uint32_t cursor = 0;
    handle h;
    const struct leg *l;
    while ((l = pool_next(&e->legs, &cursor, &h)) &&
           !(slice_eq(leg_str(l, DLG_CALL_ID), call_id) && slice_eq(leg_str(l, DLG_LOCAL_TAG), tag)))
        ;
    return l;
}

/* ---- at the end ---- */

void check_wires_end(struct world *w) {
    for (uint32_t i = 0; i < w->seen.ok_n; i++)
        if (!w->seen.oks[i].acked)
            sim_fail(w, "a 2xx was never ACKed: CSeq %u, at %u ms", (unsigned)w->seen.oks[i].cseq,
                     (unsigned)(w->seen.oks[i].at / 1000));
    /* A call that is left alone, two owners having gone with it, has one at most. */
    uint32_t may = w->faults.quarantined + cluster_quarantined(w);
    for (uint32_t i = 0; i < w->seen.sub_n; i++) {
        const struct seen_sub *s = &w->seen.subs[i];
        bool ended = s->final || s->excused || s->open || w->drained;
        if (!ended && !may--)
            sim_fail(w, "a REFER was accepted and never got its final NOTIFY: CSeq %u, at %u ms", (unsigned)s->id,
                     (unsigned)(s->at / 1000));
    }
}
