/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Many calls of a dead node, whose media address does not come: all are told of ours at once, as far as there is room
 * in the outbox of a step. Who answers an offer from before that, which named the former address, is told of ours, too.
 */
#include "core/b2b/recover.h"
#include "tests/unit/record_rig.h"

#define CALLS 40

static struct rig r;
static struct engine_config config, other;
static struct record_bytes records[CALLS];
static unsigned invites, most;
static int opened;

static void count(struct rig *rig, const struct out *o) {
    bool invite = o->kind == OUT_SEND && slice_has_prefix(buf_slice(o->u.send.buf), SL("INVITE "));
    most = rig->out.n > most ? rig->out.n : most;
    invites += invite;
    if (o->kind == OUT_MEDIA)
        opened += (o->u.media.verb == MEDIA_OPEN) - (o->u.media.verb == MEDIA_CLOSE);
}

static void config_of(struct engine_config *c, const char *media) {
    rig_config(c);
    c->calls_max = CALLS;
    c->txns_max = 4096;
    c->media_port_max = 30399;
    CHECK_TRUE(addr_parse(slice_str(media), 0, &c->media_addr));
    c->media_vip_count = 1;
    CHECK_TRUE(addr_parse(SL("198.51.100.20"), 0, &c->media_vips[0]));
}

/* The calls of a node that has the media address which others may get. */
static void make_calls(void) {
    uint32_t cursor = 0, n = 0;
    handle h;
    config_of(&config, "198.51.100.20");
    rig_start(&r, &config);
    for (unsigned i = 0; i < CALLS; i++) {
        struct rig_dialog a, b;
        rig_call(&r, &a, &b, ALICE, BOB);
    }
    for (const struct call *c; (c = pool_next(&r.e->calls, &cursor, &h));)
        records[n++] = record_of(r.e, c);
    CHECK_EQ(n, CALLS);
    rig_stop(&r);
}

/* Another node takes all of them over, and tells their parties at that rate a second; 0: any. */
static void tell_all(uint32_t rate) {
    make_calls();
    config_of(&other, "198.51.100.99");
    other.media_vip_wait_us = 1000000; /* behind it all are due */
    other.reinvites_per_second = rate;
    rig_start(&r, &other);
    r.on_out = count;
    invites = most = 0;
    opened = 0;
    for (unsigned i = 0; i < CALLS; i++) {
        struct event ev = { .kind = EV_RECORD, .u.record = { .key = SL("record"), .value = records[i].slice } };
        rig_step(&r, &ev);
        record_free(&records[i]);
    }
    CHECK_EQ(r.e->calls.used, CALLS);
    CHECK_EQ(invites, 0);
    rig_wait(&r, other.media_vip_wait_us + 250000);
    const struct metrics *m = engine_metrics(r.e);
    CHECK_EQ(metrics_get(m, M_reanchored), 2 * CALLS);
    CHECK_TRUE(invites >= 2 * CALLS); /* and some of them again */
    CHECK_TRUE(most < OUTBOX_MAX);
    CHECK_EQ(metrics_get(m, M_pool_full), 0);
    struct engine_census census;
    engine_census(r.e, &census);
    CHECK_EQ(census.ports, 2 * CALLS);
    CHECK_EQ(opened, 2 * CALLS); /* each port that was left is closed at the relay too */
    rig_stop(&r);
}

static void test_at_any_rate(void) {
    tell_all(0);
}

static void test_at_the_highest_rate(void) {
    tell_all(100000);
}

/* ---- an offer that was open when the leg's ports became others ---- */

#define FORMER "c=IN IP4 198.51.100.20\r\n"
#define OURS "c=IN IP4 198.51.100.99\r\n"

struct scene {
    struct rig_dialog a, b;
};

static void step_record(struct slice record) {
    struct event ev = { .kind = EV_RECORD, .u.record = { .key = SL("record"), .value = record } };
    rig_step(&r, &ev);
    CHECK_EQ(r.e->calls.used, 1);
}

/* The only call has been taken over, by a node that waits for its media address. */
static struct scene take_one_over(void) {
    struct scene s;
    config_of(&config, "198.51.100.20");
    rig_start(&r, &config);
    rig_call(&r, &s.a, &s.b, ALICE, BOB);
    struct record_bytes record = record_of(r.e, rig_only_call(r.e));
    rig_stop(&r);
    config_of(&other, "198.51.100.99");
    other.media_vip_wait_us = 1000000;
    rig_start(&r, &other);
    step_record(record.slice);
    record_free(&record);
    return s;
}

static bool bob_was_told(const char *direction) {
    const char *told = rig_last(&r, BOB, "INVITE", NULL);
    return strstr(told, OURS) != NULL && strstr(told, direction) != NULL;
}

/* It dies, and is back before anybody has missed it: with the address that the record has, which is its own. */
static void go_on_anew(void) {
    struct record_bytes record = record_of(r.e, rig_only_call(r.e));
    uint64_t later = r.now - RIG_START_US;
    rig_stop(&r);
    rig_start(&r, &other);
    r.now += later;
    step_record(record.slice);
    record_free(&record);
    rig_wait(&r, 250000);
}

/* ALICE holds, which tells BOB of the former address; it does not come, and BOB answers. */
static void hold_across(struct scene *s) {
    rig_request(&r, &s->a, "UPDATE", "", rig_sdp("0", "sendonly", 40000));
    CHECK_TRUE(strstr(rig_last(&r, BOB, "UPDATE", NULL), FORMER) != NULL);
    rig_wait(&r, 1100000);
    CHECK_TRUE(!bob_was_told(""));
    rig_reply(&r, BOB, "UPDATE", 200, rig_sdp("0", "recvonly", 41000), NULL);
    CHECK_TRUE(strstr(rig_last(&r, ALICE, "SIP/2.0 200", "UPDATE"), OURS) != NULL);
}

/* He hears of the hold that he has just agreed to, not of what was so when he was to be told. */
static void test_behind_an_update(void) {
    struct scene s = take_one_over();
    hold_across(&s);
    rig_wait(&r, 250000);
    CHECK_TRUE(bob_was_told("a=sendonly"));
    rig_stop(&r);
}

/* Nor does the record take it for told. */
static void test_behind_an_update_and_a_death(void) {
    struct scene s = take_one_over();
    hold_across(&s);
    go_on_anew();
    CHECK_TRUE(bob_was_told("a=sendonly"));
    rig_stop(&r);
}

int main(void) {
    return UNIT_RUN("reanchor", UNIT(test_at_any_rate), UNIT(test_at_the_highest_rate), UNIT(test_behind_an_update),
                    UNIT(test_behind_an_update_and_a_death));
}
