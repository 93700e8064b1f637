/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/leg.h"

#include "core/b2b/call.h"
#include "core/b2b/load.h"
#include "core/b2b/media.h"
#include "core/b2b/media_ports.h"
#include "core/b2b/moved.h"
#include "core/b2b/party.h"
#include "core/b2b/recover.h"
#include "core/b2b/wire.h"
#include "core/base/check.h"
#include "core/base/own_hash.h"
#include "core/sip/token.h"
#include "parser/sip_hdr.h"

static bool closes_media(unsigned state) {
    return state == LEG_CANCELLING || state == LEG_ENDING || state == LEG_BYE_SENT || state == LEG_LEFT ||
           state == LEG_DEAD;
}

/* Nobody else would end them: an INVITE that rings has no timer of its own, in either direction. */
static void close_invites(struct engine *e, struct leg *l) {
    handle in = l->invite_in;
    struct uas_response r = { .status = 487, .to_tag = leg_str(l, DLG_LOCAL_TAG) };
    l->invite_in = HANDLE_NONE;
    if (in != HANDLE_NONE && !wire_respond(e, in, NULL, &r, l))
        txn_drop(&e->txns, in);
    txn_cancel(&e->txns, e->out, e->now, l->invite_out, SLICE_NONE);
    l->invite_out = HANDLE_NONE;
}

void leg_step(struct engine *e, struct leg *l, enum leg_input in) {
    const struct leg_cell *c = leg_fsm_cell(l->state, in);
    CHECK(c->verdict == LEG_MOVE || c->verdict == LEG_IGNORE);
    struct call *call = leg_call(e, l);
    if (c->verdict == LEG_IGNORE || c->next == l->state)
        return;
    if (trace_on(&e->trace, TRACE_DEBUG)) {
        struct sbuf d = trace_begin(&e->trace, TRACE_DEBUG, "leg", call ? call->id : 0, l->number);
        sbuf_str(&d, leg_state_name(l->state));
        sbuf_lit(&d, " + ");
        sbuf_str(&d, leg_input_name(in));
        sbuf_lit(&d, " -> ");
        sbuf_str(&d, leg_state_name(c->next));
        trace_end(&e->trace, &d);
    }
    l->state = c->next;
    if (closes_media(l->state)) {
        media_close(e, l);
        leg_session_stop(e, l);
        l->ended_us = l->ended_us ? l->ended_us : e->now;
    }
    if (l->state == LEG_DEAD || l->state == LEG_BYE_SENT || l->state == LEG_LEFT) {
        leg_stop_ok(e, l);
        leg_rel_stop(e, l);
        leg_early_free(e, l);
        close_invites(e, l);
    }
    if (call)
        call_touch(e, call);
}

uint64_t leg_tag_hash(const struct engine *e, struct slice local_tag) {
    struct own_hash h = own_hash_begin(e->map_key);
    own_hash_add(&h, local_tag);
    return own_hash_end(h).a;
}

static struct leg *leg_of_tag(const struct engine *e, struct slice local_tag, uint64_t hash) {
    uint32_t cursor = 0;
    struct leg *l;
    while ((l = chain_next(&e->leg_map, hash, &cursor)) && !slice_eq(leg_str(l, DLG_LOCAL_TAG), local_tag))
        ;
    return l;
}

struct leg *leg_alloc(struct engine *e) {
    handle h;
    struct leg *l = pool_alloc(&e->legs, &h);
    if (!l)
        return NULL;
    l->self = l->timer.owner = l->session_timer.owner = h;
    l->timer.kind = TIMER_LEG;
    l->session_timer.kind = TIMER_SESSION;
    media_streams_none(l);
    return l;
}

/* A leg of the call with its token as text in `mem` (TOKEN_LEN bytes). */
static struct leg *leg_make(struct engine *e, struct call *c, enum leg_role role, char *mem) {
    bool may = c->leg_count < LIMIT_LEGS_PER_CALL && load_leaves_legs(e, c);
    struct leg *l = may ? leg_alloc(e) : NULL;
    if (!l)
        return NULL;
    l->call = c->self;
    l->number = c->next_leg++;
    l->role = (uint8_t)role;
    l->created_us = e->now;
    l->media.own_direction = 3;
    l->media.session_id = rng_u64(&e->rng) >> 12;
    c->legs[c->leg_count++] = l->self;
    struct sbuf b = sbuf_on(mem, TOKEN_LEN);
    token_put(&b, &(struct token){ (uint8_t)e->cfg.cluster_id, c->bucket, c->id, l->number & 15, rng_u64(&e->rng) });
    call_touch(e, c);
    return l;
}

static struct leg *leg_abandon(struct engine *e, struct leg *l) {
    metrics_add(&e->metrics, M_pool_full, 1);
    l->state = LEG_DEAD;
    struct call *c = leg_call(e, l);
    if (c)
        call_touch(e, c);
    return NULL;
}

static void note_method(struct leg *l, struct slice method) {
    l->allows_refer = l->allows_refer || slice_ieq(method, SL("REFER"));
    l->allows_update = l->allows_update || slice_ieq(method, SL("UPDATE"));
}

/* Most are none of the two by their first letter. */
static void note_element(struct leg *l, struct slice method) {
    while (method.n && method.p[0] == ' ')
        method.p++, method.n--;
    if (!method.n)
        return;
    char first = method.p[0];
    if ((first | 0x20) == 'r' || (first | 0x20) == 'u' || first < ' ')
        note_method(l, slice_trim(method));
}

/* One list in which each comma counts, as nearly everybody sends it: it is long, and the same in all messages. False:
 * there may be others. */
static bool note_plain_list(struct leg *l, struct slice list) {
    if (slice_find(list, '"') >= 0 || slice_find(list, '<') >= 0)
        return false;
    while (list.n) {
        uint32_t n = slice_until(list.p, list.n, ',');
        note_element(l, slice_of(list.p, n));
        n += n < list.n;
        list = slice_of(list.p + n, list.n - n);
    }
    return true;
}

/* The list was read before: phones of one model send the same. */
static bool note_known_list(const struct allow_list *known, struct leg *l, struct slice list) {
    if (!list.n || !slice_eq(slice_of(known->text, known->n), list))
        return false;
    l->allows_refer = known->refer;
    l->allows_update = known->update;
    return true;
}

static void remember_list(struct allow_list *known, const struct leg *l, struct slice list) {
    if (list.n > sizeof known->text)
        return;
    *known = (struct allow_list){ .n = (uint16_t)list.n, .refer = l->allows_refer, .update = l->allows_update };
    slice_copy(known->text, list);
}

static void note_methods(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    const struct sip_hdr *only = sip_hdr_first(msg, SIP_H_ALLOW);
    struct sip_values cur = { .started = false };
    struct slice method;
    struct allow_list *known = &e->allowed[only->value.n % ALLOW_LISTS];
    bool alone = !sip_hdr_next(msg, only);
    if (alone && note_known_list(known, l, only->value))
        return;
    l->allows_refer = l->allows_update = false;
    if (alone && note_plain_list(l, only->value)) {
        remember_list(known, l, only->value);
        return;
    }
    while (sip_values_next(msg, SIP_H_ALLOW, &cur, &method))
        note_method(l, method);
}

/* Of a message that has the header; a list that was read before is as known as those of Allow. */
static bool supports_replaces(struct engine *e, const struct sip_msg *msg) {
    const struct sip_hdr *only = sip_hdr_first(msg, SIP_H_SUPPORTED);
    struct slice list = only->value;
    struct option_list *known = &e->supported[list.n % OPTION_LISTS];
    if (!list.n || list.n > sizeof known->text || sip_hdr_next(msg, only))
        return sip_list_has(msg, SIP_H_SUPPORTED, SL("replaces"));
    if (!slice_eq(slice_of(known->text, known->n), list)) {
        *known = (struct option_list){ .n = (uint16_t)list.n };
        known->replaces = sip_list_has(msg, SIP_H_SUPPORTED, SL("replaces"));
        slice_copy(known->text, list);
    }
    return known->replaces;
}

void leg_note_abilities(struct engine *e, struct leg *l, const struct sip_msg *msg) {
    if (sip_hdr_first(msg, SIP_H_SUPPORTED))
        l->supports_replaces = supports_replaces(e, msg);
    if (sip_hdr_first(msg, SIP_H_ALLOW))
        note_methods(e, l, msg);
}

bool leg_index(struct engine *e, struct leg *l) {
    uint64_t hash = leg_tag_hash(e, leg_str(l, DLG_LOCAL_TAG));
    if (leg_of_tag(e, leg_str(l, DLG_LOCAL_TAG), hash))
        return false;
    chain_put(&e->leg_map, hash, l->self);
    return true;
}

void leg_unindex(struct engine *e, struct leg *l) {
    chain_del(&e->leg_map, l->self);
}

/* In state IDLE, with the dialog that this request makes. */
static struct leg *leg_of_request(struct engine *e, struct call *c, const struct sip_msg *msg, handle txn) {
    char token[TOKEN_LEN];
    const struct txn *t = txn_get(&e->txns, txn);
    struct leg *l = t ? leg_make(e, c, ROLE_CALLER, token) : NULL;
    if (!l)
        return NULL;
    struct addr src = txn_src(t);
    if (!dialog_init_uas(&l->dlg, &e->ua, msg, slice_of(token, TOKEN_LEN), &src, &t->local) || !leg_index(e, l))
        return leg_abandon(e, l);
    leg_set(e, l, LEG_AGENT, sip_hdr_value(msg, SIP_H_USER_AGENT));
    return l;
}

struct leg *leg_incoming(struct engine *e, struct call *c, const struct sip_msg *invite, handle txn) {
    struct leg *l = leg_of_request(e, c, invite, txn);
    if (!l)
        return NULL;
    leg_note_abilities(e, l, invite);
    l->invite_in = txn;
    txn_get(&e->txns, txn)->ctx = l->self; /* a CANCEL finds the leg by it */
    leg_step(e, l, LEG_IN_RECV_INVITE);
    if (invite->body.n)
        oa_step(&l->oa, OA_EV_RECV_OFFER);
    return l;
}

struct leg *leg_subscriber(struct engine *e, struct call *c, const struct sip_msg *refer, handle txn) {
    struct leg *l = leg_of_request(e, c, refer, txn);
    if (l)
        leg_step(e, l, LEG_IN_RECV_REFER);
    return l;
}

struct leg *leg_outgoing(struct engine *e, struct call *c, const struct leg_target *t, enum leg_role role) {
    char token[TOKEN_LEN];
    struct leg *l = leg_make(e, c, role, token);
    if (!l)
        return NULL;
    struct dialog_uac u = {
        .call_id = slice_of(token, TOKEN_LEN),
        .local_tag = slice_of(token, TOKEN_LEN),
        .local_uri = t->local_uri,
        .remote_uri = t->remote_uri,
        .target = t->uri,
        .routes = t->routes,
        .dst = t->dst,
    };
    if (!dialog_init_uac(&l->dlg, &e->ua, &u) || !leg_index(e, l) || !leg_set(e, l, LEG_PRINCIPAL, t->principal))
        return leg_abandon(e, l);
    return l;
}

struct leg *leg_find_local(const struct engine *e, struct slice call_id, struct slice local_tag) {
    /* A tag of ours is random enough to name the leg. */
    struct leg *l = leg_of_tag(e, local_tag, leg_tag_hash(e, local_tag));
    return l && l->state != LEG_DEAD && slice_eq(leg_str(l, DLG_CALL_ID), call_id) ? l : NULL;
}

struct leg *leg_find(const struct engine *e, struct slice call_id, struct slice local_tag, struct slice remote_tag) {
    struct leg *l = leg_find_local(e, call_id, local_tag);
    return l && slice_eq(leg_str(l, DLG_REMOTE_TAG), remote_tag) ? l : NULL;
}

struct leg *leg_find_named(const struct engine *e, struct slice call_id, struct slice local_tag,
                           struct slice remote_tag) {
    struct leg *l = leg_find(e, call_id, local_tag, remote_tag);
    return l || !slice_eq(remote_tag, SL("0")) ? l : leg_find(e, call_id, local_tag, SLICE_NONE);
}

struct leg *leg_find_request(const struct engine *e, const struct sip_msg *msg) {
    return msg->to_tag.p ? leg_find(e, msg->call_id, msg->to_tag, msg->from_tag) : NULL;
}

static struct key128 tombstone_key(const struct engine *e, struct slice call_id, struct slice local,
                                   struct slice remote) {
    struct own_hash h = own_hash_begin(e->map_key);
    own_hash_add(&h, call_id);
    own_hash_add(&h, local);
    own_hash_add(&h, remote);
    return own_hash_end(h);
}

bool leg_ended_lately(const struct engine *e, struct slice call_id, struct slice local_tag, struct slice remote_tag) {
    struct key128 k = tombstone_key(e, call_id, local_tag, remote_tag);
    for (uint32_t i = 0; i < TOMBSTONES; i++)
        if (e->tombstones[i].until_us > e->now && key128_eq(e->tombstones[i].key, k))
            return true;
    return false;
}

static void leg_bury(struct engine *e, const struct leg *l) {
    struct tombstone *t = &e->tombstones[e->tombstone_next++ % TOMBSTONES];
    t->key = tombstone_key(e, leg_str(l, DLG_CALL_ID), leg_str(l, DLG_LOCAL_TAG), leg_str(l, DLG_REMOTE_TAG));
    t->until_us = e->now + 64ull * e->cfg.t1_us;
}

void leg_free(struct engine *e, struct leg *l) {
    CHECK(l->state == LEG_DEAD);
    media_close(e, l);
    media_streams_free(e, l);
    leg_stop_ok(e, l);
    leg_rel_stop(e, l);
    leg_early_free(e, l);
    wheel_cancel(&e->wheel, &l->timer);
    leg_session_stop(e, l);
    leg_give_ack(e, l);
    if (leg_str(l, DLG_CALL_ID).p) {
        recover_unindex(e, l);
        leg_unindex(e, l);
        if (!l->elsewhere) {
            moved_leg_ended(e, l);
            leg_bury(e, l);
        }
    }
    dialog_free(&l->dlg, &e->ua);
    party_forget_leg(e, l);
    pool_free(&e->legs, l->self);
}
