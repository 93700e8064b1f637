/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Records that are read again: of a call that was given up for a promoted server's word, and whose bucket was ours all
 * the time; and of one that is over, of which a leg talks on in another call.
 */
#include "core/b2b/barrier.h"
#include "core/b2b/recover.h"
#include "core/b2b/ticket.h"
#include "tests/unit/over_rig.h"

static struct engine_config config;

/* A write is refused: the server does not know of the claim, and names who had the bucket before. The call goes; but
 * the lease has claimed it again by then, and it was never another's: the record is read once more. */
static void test_read_again(void) {
    for (unsigned lost = 0; lost < 2; lost++) {
        struct over_word o;
        struct pair *p = over_begin(&o, &config, 2);
        p->linked = false;
        store_claim(p, 1, o.bucket, 1);
        pair_bucket(p, 0, BUCKET_MINE, o.bucket, 0, 5);
        rig_request(&p->r, &o.a, "INFO", "", "");
        rig_request(&p->r, &o.a, "INVITE", "", rig_sdp("0", "sendonly", 40000));
        pair_wait(p, 10000);
        CHECK_EQ(pair_calls(p, 0), 0);
        store_claim_from(p, p->number[1], 0, o.bucket, 2);
        if (lost)
            pair_bucket(p, 0, BUCKET_LOST, o.bucket, p->number[1], 2);
        pair_bucket(p, 0, BUCKET_MINE, o.bucket, 0, 6);
        pair_wait(p, 10000);
        CHECK_EQ(pair_calls(p, 0), !lost);
        pair_end(p);
    }
}

/* ---- a call is over, and a leg of it talks on in another one: that one is dead in what is read ---- */

static struct rig r;
static struct rig_dialog a, b, c, d;
static struct record_bytes left; /* of CAROL's call with BOB, as it was before */
static struct event again;       /* it is read */

static struct leg *leg_of(const struct rig_dialog *x) {
    return leg_find(r.e, slice_str(x->call_id), slice_str(x->remote_tag), slice_str(x->local_tag));
}

/* CAROL has called BOB, who has her talk with ALICE, and has not answered the BYE of his call with CAROL yet. */
static void join(uint8_t takeovers) {
    static char key[16];
    struct sbuf k = sbuf_on(key, sizeof key);
    record_start(&r, &config, DURABILITY_ASYNC);
    r.e->cfg.attended = ATTENDED_JOIN;
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_call(&r, &c, &d, CAROL, BOB);
    struct call *with_bob = leg_call(r.e, leg_of(&c));
    sbuf_hex(&k, with_bob->id, sizeof key);
    again = (struct event){ .kind = EV_STORE, .u.store = { .ticket = ticket_of(TICKET_LOAD, with_bob->bucket + 1u) } };
    with_bob->takeovers = takeovers;
    with_bob->taken_us = takeovers ? r.now : 0;
    left = record_of(r.e, with_bob);
    with_bob->takeovers = 0;
    again.u.store.more = true;
    again.u.store.key = sbuf_slice(&k);
    again.u.store.value = left.slice;
    rig_refer(&r, &b, CAROL, &d);
    rig_reply(&r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), NULL);
    rig_reply(&r, BOB, "NOTIFY", 200, "", NULL);
    CHECK_TRUE(leg_of(&c) && leg_call(r.e, leg_of(&c)) == leg_call(r.e, leg_of(&a)));
}

/* The record of what is over comes to nothing, whoever else is to be looked at then: CAROL and ALICE talk on, until one
 * hangs up. */
static void check_talk_on(uint64_t calls) {
    struct engine_census now;
    engine_census(r.e, &now);
    CHECK_EQ(now.calls, calls);
    CHECK_TRUE(leg_is_up(leg_of(&c)) && leg_is_up(leg_of(&a)));
    record_store_all(&r);
    rig_request(&r, &c, "BYE", "", "");
    CHECK_TRUE(*rig_last(&r, CAROL, "SIP/2.0 200", "BYE") != '\0');
    rig_reply(&r, ALICE, "BYE", 200, "", NULL);
    record_store_all(&r);
    rig_wait(&r, 64000000);
    record_store_all(&r);
    CHECK_TRUE(record_nothing_left(r.e));
    record_free(&left);
    rig_stop(&r);
}

/* The store has not deleted it yet. */
static void test_still_to_be_deleted(void) {
    join(0);
    uint64_t id = leg_call(r.e, leg_of(&d))->id;
    record_store_all(&r);
    rig_reply(&r, BOB, "BYE", 200, "", NULL);
    CHECK_TRUE(r.op_n && r.ops[r.op_n - 1].verb == STORE_DELETE);
    CHECK_TRUE(barrier_is_deleting(r.e, id));
    rig_step(&r, &again);
    check_talk_on(1);
}

/* It has, and a promoted server has it still. Two owners had died with it. */
static void test_quarantined(void) {
    join(RECOVER_TAKEOVERS_MAX);
    record_store_all(&r);
    rig_reply(&r, BOB, "BYE", 200, "", NULL);
    record_store_all(&r);
    rig_step(&r, &again);
    CHECK_EQ(metrics_get(engine_metrics(r.e), M_calls_quarantined), 1);
    check_talk_on(1);
}

/* Behind that leg there is one that is here already, and the call with it. */
static void test_not_taken(void) {
    join(0);
    struct event ev = { .kind = EV_RECORD, .u.record = { .key = again.u.store.key, .value = left.slice } };
    rig_step(&r, &ev);
    CHECK_EQ(metrics_get(engine_metrics(r.e), M_calls_recovered), 0);
    rig_reply(&r, BOB, "BYE", 200, "", NULL);
    check_talk_on(1);
}

int main(void) {
    return UNIT_RUN("records read again", UNIT(test_read_again), UNIT(test_still_to_be_deleted),
                    UNIT(test_quarantined), UNIT(test_not_taken));
}
