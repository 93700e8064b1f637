/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Round trips in every state of a call: after each step of each flow every call is written, read by a second engine
 * and written again. What is broken, unknown or too large is in test_record_bytes.
 */
#include "core/b2b/leg.h"
#include "core/b2b/record.h"
#include "core/b2b/transfer_fsm.h"
#include "tests/unit/record_rig.h"

static uint32_t leg_states, transfer_states, modes, roles;

static void note_states(const struct engine *e, const struct call *c) {
    const struct transfer *t = transfer_get(e, c->transfer);
    for (unsigned i = 0; i < c->leg_count; i++) {
        leg_states |= 1u << leg_get(e, c->legs[i])->state;
        roles |= 1u << leg_get(e, c->legs[i])->transfer_role;
    }
    if (t) {
        transfer_states |= 1u << t->state;
        modes |= 1u << t->mode;
    }
}

static void check_same(const char *what, const struct record_bytes *was, const struct record_bytes *is) {
    bool same = was->n == is->n && memcmp(was->p, is->p, was->n) == 0;
    if (!same)
        printf("\n%s: %u bytes became %u\n", what, was->n, is->n);
    CHECK_TRUE(same);
}

/* ---- field by field, since writer and reader share their tables ---- */

static void check_time(const struct engine *e, uint64_t was, const struct engine *f, uint64_t is) {
    CHECK_EQ(!was, !is);
    if (was)
        CHECK_TRUE((int64_t)(was - e->now) / 1000 == (int64_t)(is - f->now) / 1000 ||
                   (int64_t)(was - e->now) / 1000 == (int64_t)(is - f->now) / 1000 + 1);
}

static void check_timer(const struct engine *e, const struct wheel_node *was, const struct engine *f,
                        const struct wheel_node *is) {
    CHECK_EQ(wheel_is_set(was), wheel_is_set(is));
    CHECK_EQ(was->kind, is->kind);
    if (wheel_is_set(was) && wheel_is_set(is))
        check_time(e, was->deadline_us, f, is->deadline_us);
}

static void check_texts(const struct strs *was, const struct strs *is, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        struct slice x = strs_get(was, i), y = strs_get(is, i);
        CHECK_TRUE(!x.p == !y.p && slice_eq(x, y));
    }
}

static void check_media(const struct engine *e, const struct leg_media *was, const struct engine *f,
                        const struct leg_media *is) {
    CHECK_TRUE(was->session_id == is->session_id && was->version == is->version);
    CHECK_EQ(was->own_direction, is->own_direction);
    for (unsigned i = 0; i < LEG_STREAMS; i++) {
        const struct leg_stream *x = was->streams[i], *y = is->streams[i];
        CHECK_EQ(x->open, y->open);
        if (!x->open || !y->open)
            continue;
        CHECK_EQ(port_pool_rtp_port(&e->ports, x->slot), port_pool_rtp_port(&f->ports, y->slot));
        CHECK_EQ(f->ports.slots[y->slot].generation, y->generation);
        CHECK_TRUE(f->ports.slots[y->slot].taken && addr_eq(&x->rtp, &y->rtp) && addr_eq(&x->rtcp, &y->rtcp));
    }
}

static void check_flags(const struct leg *was, const struct leg *is) {
    CHECK_EQ(was->supports_replaces, is->supports_replaces);
    CHECK_EQ(was->keep_on_bye, is->keep_on_bye);
    CHECK_EQ(was->late_offer, is->late_offer);
    CHECK_EQ(was->own_invite, is->own_invite);
    CHECK_EQ(was->session_unsure, is->session_unsure);
    CHECK_EQ(was->echo, is->echo);
    CHECK_EQ(was->allows_refer, is->allows_refer);
    CHECK_EQ(was->dlg.uac, is->dlg.uac);
    CHECK_EQ(was->dlg.remote_cseq_known, is->dlg.remote_cseq_known);
}

static void check_leg(const struct engine *e, const struct leg *was, const struct engine *f, const struct leg *is) {
    const struct leg *x = leg_get(e, was->peer), *y = leg_get(f, is->peer);
    CHECK_EQ(was->number, is->number);
    CHECK_EQ(was->state, is->state);
    CHECK_EQ(was->role, is->role);
    CHECK_EQ(was->oa, is->oa);
    CHECK_EQ(was->transfer_role, is->transfer_role);
    CHECK_EQ(was->refused_status, is->refused_status);
    CHECK_EQ(was->invite_cseq, is->invite_cseq);
    CHECK_EQ(was->dlg.local_cseq, is->dlg.local_cseq);
    CHECK_EQ(was->dlg.remote_cseq, is->dlg.remote_cseq);
    CHECK_EQ(was->ok_cseq, is->ok_cseq);
    CHECK_TRUE(was->dlg.branch_seed.k0 == is->dlg.branch_seed.k0 && was->dlg.branch_seed.k1 == is->dlg.branch_seed.k1);
    CHECK_TRUE(addr_eq(&was->dlg.flow, &is->dlg.flow) && addr_eq(&was->dlg.local, &is->dlg.local));
    if (y || (x && x->state != LEG_BYE_SENT && x->call == was->call))
        CHECK_TRUE(x && y && x->number == y->number);
    check_flags(was, is);
    check_texts(&was->dlg.s, &is->dlg.s, LEG_TRANSFER_AT);
    check_media(e, &was->media, f, &is->media);
    check_time(e, was->ok_until, f, is->ok_until);
    check_time(e, was->retry_until, f, is->retry_until);
    check_time(e, was->invite_until, f, is->invite_until);
    check_time(e, was->created_us, f, is->created_us);
    check_time(e, was->answered_us, f, is->answered_us);
    check_timer(e, &was->timer, f, &is->timer);
    CHECK_TRUE(leg_find_local(f, leg_str(is, DLG_CALL_ID), leg_str(is, DLG_LOCAL_TAG)) == is);
}

static void check_party(const struct engine *e, handle was, const struct engine *f, handle is) {
    const struct leg *x = leg_get(e, was), *y = leg_get(f, is);
    CHECK_EQ(x && x->state != LEG_BYE_SENT, y != NULL);
    if (!x || !y)
        return;
    CHECK_TRUE(slice_eq(leg_str(x, DLG_LOCAL_TAG), leg_str(y, DLG_LOCAL_TAG)));
    CHECK_EQ(x->transfer != HANDLE_NONE, y->transfer != HANDLE_NONE);
}

static void check_transfer(const struct engine *e, const struct transfer *was, const struct engine *f,
                           const struct transfer *is) {
    CHECK_EQ(was->state, is->state);
    CHECK_EQ(was->mode, is->mode);
    CHECK_EQ(was->refer_cseq, is->refer_cseq);
    CHECK_EQ(was->relay_cseq, is->relay_cseq);
    const struct call *c = call_get(e, was->consult_call), *d = call_get(f, is->consult_call);
    CHECK_TRUE(c ? d && c->id == d->id : !d);
    CHECK_EQ(was->max_forwards, is->max_forwards);
    CHECK_EQ(was->result, is->result);
    CHECK_EQ(was->progress, is->progress);
    CHECK_EQ(was->queued, is->queued);
    const bool x[] = { was->silent,         was->transferor_gone,  was->committed, was->succeeded,
                       was->end_transferor, was->require_replaces, was->notifying, was->final_sent,
                       was->relay_auto,     was->relay_answered,   was->relay_ended, was->token_used };
    const bool y[] = { is->silent,         is->transferor_gone,  is->committed, is->succeeded,
                       is->end_transferor, is->require_replaces, is->notifying, is->final_sent,
                       is->relay_auto,     is->relay_answered,   is->relay_ended, is->token_used };
    CHECK_TRUE(memcmp(x, y, sizeof x) == 0);
    check_party(e, was->transferor, f, is->transferor);
    check_party(e, was->transferee, f, is->transferee);
    check_party(e, was->target, f, is->target);
    check_party(e, was->consult, f, is->consult);
    check_party(e, was->replaced, f, is->replaced);
    check_texts(&was->s, &is->s, TRF_AT);
    check_time(e, was->expires_us, f, is->expires_us);
    check_time(e, was->started_us, f, is->started_us);
    check_timer(e, &was->timer, f, &is->timer);
}

static void check_call(const struct engine *e, const struct call *was, const struct engine *f, const struct call *is) {
    unsigned n = 0;
    CHECK_TRUE(was->id == is->id && was->created_ms == is->created_ms && was->answered_ms == is->answered_ms);
    CHECK_EQ(was->bucket, is->bucket);
    CHECK_EQ(was->depth, is->depth);
    CHECK_EQ(was->answered, is->answered);
    CHECK_EQ(was->next_leg, is->next_leg);
    for (unsigned i = 0; i < was->leg_count; i++) {
        const struct leg *l = leg_get(e, was->legs[i]);
        if (l->state != LEG_BYE_SENT && n < is->leg_count)
            check_leg(e, l, f, leg_get(f, is->legs[n++]));
    }
    CHECK_EQ(n, is->leg_count);
    const struct transfer *t = transfer_get(e, was->transfer), *u = transfer_get(f, is->transfer);
    CHECK_EQ(!t, !u);
    if (t && u)
        check_transfer(e, t, f, u);
}

/* All calls into one other engine, in this order or the other: references between records meet either way, also when
 * somebody has looked into a record before. */
static void check_together(struct rig *r, bool backwards) {
    struct record_bytes was[12], is;
    struct call *mine[12], *other[12], *c;
    struct record_twin twin = record_twin_of(r);
    uint32_t cursor = 0, n = 0;
    handle h;
    while ((c = pool_next(&r->e->calls, &cursor, &h)))
        mine[n] = c, was[n++] = record_of(r->e, c);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = backwards ? n - 1 - i : i;
        CHECK_EQ(record_peek(twin.e, was[at].slice, &c), RECORD_OK);
        record_drop(twin.e, c);
        CHECK_EQ(record_decode(twin.e, was[at].slice, &other[at]), RECORD_OK);
    }
    for (uint32_t i = 0; i < n; i++) {
        check_call(r->e, mine[i], twin.e, other[i]);
        is = record_of(twin.e, other[i]);
        check_same(backwards ? "backwards" : "together", &was[i], &is);
        record_free(&was[i]);
        record_free(&is);
    }
    /* Ties between the records are handles again. */
    cursor = 0;
    for (struct transfer *t; (t = pool_next(&twin.e->transfers, &cursor, &h));)
        CHECK_EQ(t->s.present >> TRF_AT, 0);
    record_twin_free(&twin);
}

static void check_alone(struct rig *r, const struct call *c) {
    struct record_twin twin = record_twin_of(r);
    struct record_bytes was = record_of(r->e, c), is;
    struct call *copy;
    enum record_error got = record_decode(twin.e, was.slice, &copy);
    CHECK_EQ(got, RECORD_OK);
    if (got == RECORD_OK) {
        is = record_of(twin.e, copy);
        check_same("alone", &was, &is);
        record_free(&is);
    }
    record_free(&was);
    record_twin_free(&twin);
}

static void round_trips(struct rig *r) {
    uint32_t cursor = 0;
    handle h;
    for (struct call *c; (c = pool_next(&r->e->calls, &cursor, &h));) {
        note_states(r->e, c);
        check_alone(r, c);
    }
    check_together(r, false);
    check_together(r, true);
}

static void start(struct rig *r, struct engine_config *c) {
    rig_config(c);
    rig_start(r, c);
    r->arg = c;
    r->after = round_trips;
}

static void finish(struct rig *r) {
    struct engine_census now;
    r->after = NULL;
    rig_wait(r, 200000000);
    engine_census(r->e, &now);
    CHECK_EQ(now.calls, 0);
    CHECK_EQ(now.bufs, 0);
    rig_stop(r);
}

static struct rig r;
static struct engine_config config;
static struct rig_dialog a, b, a2, c2;

static void bye(struct rig_dialog *d, enum rig_name other) {
    rig_request(&r, d, "BYE", "", "");
    rig_reply(&r, other, "BYE", 200, "", NULL);
}

static void test_set_up_hold(void) {
    start(&r, &config);
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_request(&r, &a, "INVITE", "", rig_sdp("0 8", "sendonly", 40000));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "recvonly", 41000), NULL);
    rig_request(&r, &a, "ACK", "", "");
    rig_request(&r, &b, "INVITE", "", "");
    rig_reply(&r, ALICE, "INVITE", 200, rig_sdp("0 8", "sendrecv", 40000), NULL);
    rig_request(&r, &b, "ACK", "", rig_sdp("0", "sendrecv", 41000));
    bye(&a, BOB);
    finish(&r);
}

static void test_cancel(void) {
    start(&r, &config);
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0 8", "sendrecv", 40000));
    rig_reply(&r, BOB, "INVITE", 180, "", &b);
    rig_request(&r, &a, "CANCEL", "", "");
    rig_wait(&r, 1000000);
    rig_reply(&r, BOB, "INVITE", 487, "", NULL);
    finish(&r);
}

/* The callee hangs up before the caller's ACK: no BYE to the caller yet (section 15). */
static void test_ending(void) {
    start(&r, &config);
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0 8", "sendrecv", 40000));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_learn(&r, &a, "SIP/2.0 200");
    rig_request(&r, &b, "BYE", "", "");
    rig_request(&r, &a, "ACK", "", "");
    rig_reply(&r, ALICE, "BYE", 200, "", NULL);
    finish(&r);
}

/* Alice has talked to Bob, and sends him on to Carol, who wants another codec. */
static void test_blind(void) {
    start(&r, &config);
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_refer(&r, &a, CAROL, NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_reply(&r, CAROL, "INVITE", 180, "", &c2);
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42000), &c2);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("8", "sendrecv", 41000), NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_request(&r, &a, "BYE", "", "");
    bye(&c2, BOB);
    finish(&r);
}

/* The transferor hangs up at once, its subscription stays (RFC 5057). Then the target says no. */
static void test_transferor_left(void) {
    start(&r, &config);
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_refer(&r, &a, CAROL, NULL);
    rig_request(&r, &a, "BYE", "", "");
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_reply(&r, CAROL, "INVITE", 486, "", &c2);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    finish(&r);
}

/* The target hangs up while the transferee is being asked. */
static void test_restore_transferee(void) {
    start(&r, &config);
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_refer(&r, &a, CAROL, NULL);
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42000), &c2);
    rig_request(&r, &c2, "BYE", "", "");
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("8", "sendrecv", 41000), NULL);
    rig_wait(&r, 500000);
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    bye(&a, BOB);
    finish(&r);
}

static void consult(void) {
    start(&r, &config);
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_request(&r, &a, "INVITE", "", rig_sdp("0 8", "sendonly", 40000));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "recvonly", 41000), NULL);
    rig_request(&r, &a, "ACK", "", "");
    rig_call(&r, &a2, &c2, ALICE, CAROL);
    rig_refer(&r, &a, CAROL, &a2);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
}

/* Row 7: a transfer in the midst is in the record, with what completing it or rolling it back needs. */
static void test_replace(void) {
    struct rig_dialog c3;
    consult();
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42002), &c3);
    rig_request(&r, &c2, "BYE", "", "");
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("8", "sendrecv", 41000), NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_wait(&r, 4000000);
    rig_reply(&r, ALICE, "BYE", 200, "", NULL);
    bye(&c3, BOB);
    finish(&r);
}

/* Replace, and the transferee does not want it: the new leg goes over to the consultation. */
static void test_replace_rolled_back(void) {
    struct rig_dialog c3;
    consult();
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42002), &c3);
    rig_request(&r, &c2, "BYE", "", "");
    rig_reply(&r, BOB, "INVITE", 488, "", NULL);
    rig_wait(&r, 500000);
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 42002), NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    bye(&a, BOB);
    bye(&a2, CAROL);
    finish(&r);
}

/* Carol lets the INVITE with Replaces ring: it is cancelled, and her own leg is asked. Bob does not want it. */
static void test_join_rolled_back(void) {
    consult();
    rig_reply(&r, CAROL, "INVITE", 180, "", NULL);
    rig_wait(&r, 9000000);
    rig_reply(&r, CAROL, "CANCEL", 200, "", NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_reply(&r, CAROL, "INVITE", 487, "", NULL);
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42000), NULL);
    rig_reply(&r, BOB, "INVITE", 488, "", NULL);
    rig_wait(&r, 500000);
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 42000), NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    bye(&a, BOB);
    bye(&a2, CAROL);
    finish(&r);
}

/* Joined: Carol's leg, with its old token, is in Bob's call now. */
static void test_join(void) {
    start(&r, &config);
    r.e->cfg.attended = ATTENDED_JOIN;
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_call(&r, &a2, &c2, ALICE, CAROL);
    rig_refer(&r, &a, CAROL, &a2);
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42000), NULL);
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("8", "sendrecv", 41000), NULL);
    rig_reply(&r, ALICE, "BYE", 200, "", NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_wait(&r, 4000000);
    rig_reply(&r, ALICE, "BYE", 200, "", NULL);
    bye(&c2, BOB);
    finish(&r);
}

static void test_foreign(void) {
    static const struct rig_dialog elsewhere = { .call_id = "x", .remote_tag = "y", .local_tag = "z" };
    start(&r, &config);
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_refer(&r, &a, CAROL, &elsewhere);
    rig_reply(&r, CAROL, "INVITE", 481, "", &c2);
    bye(&a, BOB);
    finish(&r);
}

static void test_echo(void) {
    static const char echo[1][CONFIG_NAME_MAX] = { "carol" };
    start(&r, &config);
    r.e->policy.echo = echo;
    r.e->policy.echo_count = 1;
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_invite(&r, &a2, ALICE, CAROL, rig_sdp("0 8", "sendrecv", 40000));
    rig_learn(&r, &a2, "SIP/2.0 200");
    rig_request(&r, &a2, "ACK", "", "");
    rig_refer(&r, &a, CAROL, &a2);
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_request(&r, &b, "BYE", "", "");
    finish(&r);
}

/* The consultation still rings. */
static void test_semi(void) {
    start(&r, &config);
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_invite(&r, &a2, ALICE, CAROL, rig_sdp("0 8", "sendrecv", 40002));
    rig_reply(&r, CAROL, "INVITE", 180, "", &c2);
    rig_learn(&r, &a2, "SIP/2.0 180");
    rig_refer(&r, &a, CAROL, &a2);
    rig_reply(&r, ALICE, "NOTIFY", 200, "", NULL);
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42000), NULL);
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42000), NULL);
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("8", "sendrecv", 41000), NULL);
    bye(&c2, BOB);
    finish(&r);
}

/* Bob gets the REFER himself, and his NOTIFYs cross. */
static void test_relay(void) {
    start(&r, &config);
    r.e->cfg.refer = REFER_RELAY;
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_refer_passed_on(&r, &a, &b);
    rig_request(&r, &a, "BYE", "", "");
    finish(&r);
}

/* Carol takes Alice's place by INVITE with Replaces of Alice's own dialog. */
static void test_takeover(void) {
    char headers[320];
    start(&r, &config);
    rig_call(&r, &a, &b, ALICE, BOB);
    snprintf(headers, sizeof headers, "Replaces: %s;to-tag=%s;from-tag=%s\r\n", a.call_id, a.remote_tag, a.local_tag);
    rig_dialog_new(&a2, ALICE, BOB);
    rig_request(&r, &a2, "INVITE", headers, rig_sdp("8", "sendrecv", 40010));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("8", "sendrecv", 41000), NULL);
    finish(&r);
}

/* Every state was met at the end of some step; IDLE, BYE_SENT and DEAD are no part of a record. */
static void test_all_states_met(void) {
    for (unsigned s = LEG_CALLING; s < LEG_STATE_COUNT; s++) {
        if (s != LEG_BYE_SENT && s != LEG_DEAD && !(leg_states >> s & 1))
            printf("\nno leg was %s\n", leg_state_name(s));
        CHECK_TRUE(s == LEG_BYE_SENT || s == LEG_DEAD || leg_states >> s & 1);
    }
    for (unsigned s = 0; s < TRANSFER_DONE; s++) {
        if (!(transfer_states >> s & 1))
            printf("\nno transfer was %s\n", transfer_state_name(s));
        CHECK_TRUE(transfer_states >> s & 1);
    }
    CHECK_EQ(modes, (1u << (MODE_TAKEOVER + 1)) - 1);
    CHECK_EQ(roles, (1u << (TR_REPLACED + 1)) - 1);
}

int main(void) {
    return UNIT_RUN("record", UNIT(test_set_up_hold), UNIT(test_cancel), UNIT(test_ending), UNIT(test_blind),
                    UNIT(test_transferor_left), UNIT(test_restore_transferee), UNIT(test_replace),
                    UNIT(test_replace_rolled_back), UNIT(test_join_rolled_back), UNIT(test_join), UNIT(test_foreign),
                    UNIT(test_echo), UNIT(test_semi), UNIT(test_relay), UNIT(test_takeover),
                    UNIT(test_all_states_met));
}
