/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What is kept for emergency calls, where such a call does not begin by its caller's INVITE: it is taken over from a
 * record, or a transfer leads there. CAROL's is an emergency number. New calls are in test_load.
 */
#include "core/b2b/leg.h"
#include "tests/unit/record_rig.h"

#include <inttypes.h>

static const char emergency[][CONFIG_NAME_MAX] = { "carol" };
static struct rig r;
static struct engine_config config;
static struct rig_dialog a, b, c, d;

static void start(bool known) {
    rig_config(&config);
    config.emergency_reserve = 20;
    config.policy.emergency = emergency;
    config.policy.emergency_count = known;
    rig_start(&r, &config);
    r.arg = &config;
}

static void take_ports(struct engine *e) {
    uint32_t generation;
    while (port_pool_take(&e->ports, e->now, &generation) != PORT_POOL_NONE)
        continue;
}

static uint32_t ports(const struct engine *e) {
    struct engine_census n;
    engine_census(e, &n);
    return n.ports;
}

static bool rings(enum rig_name who) {
    return *rig_last(&r, who, "INVITE", NULL) != '\0';
}

/* ---- taken over ---- */

static const struct call *only_call(void) {
    uint32_t cursor = 0;
    handle h;
    const struct call *found = pool_next(&r.e->calls, &cursor, &h);
    CHECK(found && !pool_next(&r.e->calls, &cursor, &h));
    return found;
}

/* By a node all of whose other ports are taken. */
static enum record_error taken_over(bool known, uint32_t *more) {
    struct call *copy;
    start(known);
    rig_call(&r, &a, &b, ALICE, CAROL);
    struct record_bytes was = record_of(r.e, only_call());
    struct record_twin twin = record_twin_of(&r);
    take_ports(twin.e);
    *more = ports(twin.e);
    enum record_error got = record_decode(twin.e, was.slice, &copy);
    *more = ports(twin.e) - *more;
    record_free(&was);
    record_twin_free(&twin);
    rig_stop(&r);
    return got;
}

static void test_taken_over(void) {
    uint32_t more;
    CHECK_EQ(taken_over(true, &more), RECORD_OK);
    CHECK_EQ(more, 2);
    CHECK_EQ(taken_over(false, &more), RECORD_NO_ROOM);
    CHECK_EQ(more, 0);
}

/* Each further owner knows it, and so does one who has never heard of that number. */
static void test_taken_over_again(void) {
    struct call *copy;
    start(true);
    rig_call(&r, &a, &b, ALICE, CAROL);
    config.policy.emergency_count = 0;
    struct record_bytes was = record_of(r.e, only_call()), is;
    struct record_twin twin = record_twin_of(&r);
    CHECK_EQ(record_decode(twin.e, was.slice, &copy), RECORD_OK);
    CHECK_TRUE(copy->emergency);
    is = record_of(twin.e, copy);
    CHECK_TRUE(is.n == was.n && memcmp(is.p, was.p, is.n) == 0);
    record_free(&was);
    record_free(&is);
    record_twin_free(&twin);
    rig_stop(&r);
}

/* ---- transfers ---- */

static bool blind_rings(bool known) {
    start(known);
    rig_call(&r, &a, &b, ALICE, BOB);
    take_ports(r.e);
    rig_refer(&r, &a, CAROL, NULL);
    bool was = rings(CAROL);
    rig_stop(&r);
    return was;
}

static void test_blind(void) {
    CHECK_TRUE(blind_rings(true));
    CHECK_TRUE(!blind_rings(false));
}

/* By a Refer-To that says only who is to be replaced: the consultation is the emergency call. */
static bool attended_rings(bool known) {
    char headers[512];
    start(known);
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_call(&r, &c, &d, ALICE, CAROL);
    r.sent_n = 0;
    take_ports(r.e);
    snprintf(headers, sizeof headers,
             "Refer-To: <sip:desk@192.0.2.1?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\r\n", c.call_id,
             c.remote_tag, c.local_tag);
    rig_request(&r, &a, "REFER", headers, "");
    bool was = rings(CAROL);
    rig_stop(&r);
    return was;
}

static void test_attended(void) {
    CHECK_TRUE(attended_rings(true));
    CHECK_TRUE(!attended_rings(false));
}

/* The transferee calls by the token that it was given. */
static bool relayed_rings(bool known) {
    struct rig_dialog token;
    start(known);
    r.e->cfg.refer = REFER_RELAY;
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_refer_passed_on(&r, &a, &b);
    take_ports(r.e);
    rig_dialog_new(&token, BOB, CAROL);
    rig_part(rig_last(&r, BOB, "REFER", NULL), "Refer-To", "<", ">", token.target);
    CHECK_TRUE(!strstr(token.target, "carol"));
    rig_request(&r, &token, "INVITE", "", rig_sdp("0 8", "sendrecv", 41000));
    bool was = rings(CAROL);
    rig_stop(&r);
    return was;
}

static void test_relayed(void) {
    CHECK_TRUE(relayed_rings(true));
    CHECK_TRUE(!relayed_rings(false));
}

/* Click-to-dial: BOB is called first. */
static bool dialled_rings(bool known) {
    struct rig_dialog out;
    start(known);
    take_ports(r.e);
    rig_dialog_new(&out, ALICE, BOB);
    rig_refer(&r, &out, CAROL, NULL);
    bool was = rings(BOB);
    rig_stop(&r);
    return was;
}

static void test_dialled(void) {
    CHECK_TRUE(dialled_rings(true));
    CHECK_TRUE(!dialled_rings(false));
}

static bool ordered_rings(bool known) {
    char line[200];
    start(known);
    rig_call(&r, &a, &b, ALICE, BOB);
    take_ports(r.e);
    snprintf(line, sizeof line, "transfer %016" PRIx64 " 0 sip:carol@192.0.2.1", only_call()->id);
    rig_order(&r, line);
    bool was = rings(CAROL);
    rig_stop(&r);
    return was;
}

static void test_ordered(void) {
    CHECK_TRUE(ordered_rings(true));
    CHECK_TRUE(!ordered_rings(false));
}

int main(void) {
    return UNIT_RUN("emergency", UNIT(test_taken_over), UNIT(test_taken_over_again), UNIT(test_blind),
                    UNIT(test_attended), UNIT(test_relayed), UNIT(test_dialled), UNIT(test_ordered));
}
