/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What a server that was promoted may lack, and is written or deleted once more (core/b2b/barrier_lost.c).
 */
#include "core/b2b/barrier.h"
#include "tests/unit/record_rig.h"

static struct rig r;
static struct engine_config config;
static struct rig_dialog a, b;

static void connection(bool up) {
    rig_step(&r, &(struct event){ .kind = up ? EV_STORE_UP : EV_STORE_DOWN });
}

static void other_call(void) {
    struct rig_dialog c, d;
    rig_invite(&r, &c, BOB, CAROL, rig_sdp("0", "sendrecv", 42000));
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), &d);
    record_store_all(&r);
}

/* The server that is there again may be a replica that was behind: what it may lack is written and deleted once more,
 * and counts as unprotected meanwhile; what is older is not. */
static void test_promoted(void) {
    record_call(&r, &config, &a, &b);
    rig_wait(&r, BARRIER_LAG_US - 1000000);
    connection(false);
    rig_wait(&r, 60000000);
    CHECK_EQ(r.op_n, 0);
    connection(true);
    CHECK_TRUE(rig_only_call(r.e)->unprotected);
    rig_wait(&r, 1000);
    CHECK_TRUE(r.op_n == 1 && r.ops[0].verb == STORE_PUT);
    record_store_all(&r);
    CHECK_FALSE(rig_only_call(r.e)->unprotected);
    rig_wait(&r, BARRIER_LAG_US + 1000000);
    struct call *c = rig_only_call(r.e);
    other_call();
    connection(false);
    connection(true);
    rig_wait(&r, 1000);
    CHECK_TRUE(r.op_n == 1 && r.ops[0].verb == STORE_PUT && !c->unprotected);
    record_store_all(&r);
    rig_wait(&r, BARRIER_LAG_US + 1000000);
    rig_request(&r, &a, "BYE", "", "");
    record_store_all(&r);
    rig_reply(&r, BOB, "BYE", 200, "", NULL);
    CHECK_TRUE(r.op_n && r.ops[r.op_n - 1].verb == STORE_DELETE);
    uint64_t version = r.ops[r.op_n - 1].version;
    record_store_all(&r);
    connection(false);
    connection(true);
    rig_wait(&r, 1000);
    CHECK_TRUE(r.op_n == 1 && r.ops[0].verb == STORE_DELETE && r.ops[0].version == version);
    record_store_all(&r);
    connection(true);
    rig_wait(&r, 1000);
    CHECK_EQ(r.op_n, 0);
    rig_wait(&r, 64000000);
    CHECK_TRUE(record_nothing_left(r.e));
    rig_stop(&r);
}

/* It may have gone at any time while we were stopped; what it said before may be read only behind that. */
static void test_promoted_unheard(void) {
    record_call(&r, &config, &a, &b);
    rig_request(&r, &a, "BYE", "", "");
    record_store_all(&r);
    rig_reply(&r, BOB, "BYE", 200, "", NULL);
    CHECK_TRUE(rig_only_call(r.e) == NULL && r.op_n);
    uint64_t version = r.ops[r.op_n - 1].version;
    record_store_all(&r);
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0", "sendrecv", 40000));
    r.now += 2 * BARRIER_LAG_US;
    record_store_all(&r);
    connection(false);
    connection(true);
    rig_wait(&r, 1000);
    CHECK_TRUE(r.op_n == 2 && r.ops[0].verb == STORE_PUT && r.ops[1].verb == STORE_DELETE);
    CHECK_EQ(r.ops[1].version, version);
    rig_stop(&r);
}

int main(void) {
    return UNIT_RUN("a promoted server", UNIT(test_promoted), UNIT(test_promoted_unheard));
}
