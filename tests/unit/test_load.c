/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What an overloaded engine refuses, and what never.
 */
#include "core/b2b/state.h"
#include "tests/unit/engine_rig.h"
#include "tests/unit/unit.h"

#define FROM "192.0.2.11:5060"
#define TRUNK "192.0.2.99:5060"

static const char *to_tag = "";
static const char emergency[][CONFIG_NAME_MAX] = { "112" };

static void config_of(struct engine_config *c, uint32_t calls) {
    static struct route_config route;
    rig_config(c);
    route = (struct route_config){ .name = "trunk", .next_hop = rig_addr(TRUNK) };
    c->policy.routes = &route;
    c->policy.route_count = 1;
    c->policy.emergency = emergency;
    c->policy.emergency_count = 1;
    c->calls_max = calls;
    c->busy_percent = 95;
    c->media_port_max = 34095;
    c->txns_max = 4096;
}

static struct rig *new_rig(uint32_t calls) {
    struct engine_config c;
    config_of(&c, calls);
    return rig_new(&c);
}

static void tell(struct rig *r, uint16_t busy, uint64_t lag_us, int times) {
    for (int i = 0; i < times; i++) {
        struct event ev = { .kind = EV_LOAD };
        ev.u.load.busy = busy;
        ev.u.load.lag_us = lag_us;
        rig_step(r, &ev);
    }
}

/* So much of the sockets' room is taken. */
static void tell_waiting(struct rig *r, uint16_t waiting) {
    struct event ev = { .kind = EV_LOAD };
    ev.u.load.turn = true;
    ev.u.load.waiting = waiting;
    rig_step(r, &ev);
}

/* Request number n; the status of its answer, or 0: it was let through. */
static unsigned ask(struct rig *r, const char *method, const char *uri, const char *more, unsigned n) {
    const char *of = strcmp(method, "ACK") == 0 ? "INVITE" : method;
    char text[1024];
    int len = snprintf(text, sizeof text,
                       "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11:5060;branch=z9hG4bK%s%u\r\n"
                       "From: <sip:alice@192.0.2.1>;tag=a%u\r\nTo: <sip:alice@192.0.2.1>%s\r\nCall-ID: %s%u\r\n"
                       "CSeq: 1 %s\r\nContact: <sip:alice@192.0.2.11>\r\n%sContent-Length: 0\r\n\r\n",
                       method, uri, of, n, n, to_tag, of, n, method, more);
    rig_clear(r);
    rig_recv(r, slice_of(text, (size_t)len), FROM);
    return rig_last_status(r);
}

static unsigned invite(struct rig *r, unsigned n) {
    return ask(r, "INVITE", "sip:200@example.net", "", n);
}

static unsigned refused(struct rig *r, const char *method, const char *uri, const char *more, unsigned from) {
    unsigned n = 0;
    for (unsigned i = 0; i < 100; i++)
        n += ask(r, method, uri, more, from + i) == 503;
    return n;
}

static void test_calls_first_then_registrations(void) {
    struct rig *r = new_rig(512);
    tell(r, 950, 0, 5);
    CHECK_EQ(refused(r, "INVITE", "sip:200@example.net", "", 0), 0);
    tell(r, 1000, 0, 1);
    CHECK_EQ(refused(r, "INVITE", "sip:200@example.net", "", 100), 0); /* once is none */
    tell(r, 1000, 0, 1);
    unsigned some = refused(r, "INVITE", "sip:200@example.net", "", 200);
    CHECK_TRUE(some > 2 && some < 10);
    tell(r, 1000, 0, 200);
    CHECK_EQ(refused(r, "INVITE", "sip:200@example.net", "", 400), 98); /* something always comes through */
    CHECK_EQ(refused(r, "REGISTER", "sip:192.0.2.1", "", 0), 98);
    CHECK_TRUE(metrics_get(engine_metrics(r->e), M_overload_refused) >= 196);
    rig_free(r);
}

static void test_registrations_come_back_first(void) {
    struct rig *r = new_rig(512);
    tell(r, 0, 1000000, 10); /* lag alone does */
    CHECK_EQ(refused(r, "REGISTER", "sip:192.0.2.1", "", 0) > 50, true);
    tell(r, 500, 0, 40);
    CHECK_EQ(refused(r, "REGISTER", "sip:192.0.2.1", "", 100), 0);
    CHECK_TRUE(refused(r, "INVITE", "sip:200@example.net", "", 0) > 10);
    tell(r, 500, 0, 60);
    CHECK_EQ(refused(r, "INVITE", "sip:200@example.net", "", 100), 0);
    rig_free(r);
}

static void test_the_answer(void) {
    struct rig *r = new_rig(64);
    unsigned n = 0;
    tell(r, 1000, 0, 200);
    while (invite(r, n) != 503)
        n++;
    CHECK_EQ(r->sent_n, 1); /* no 100 before it, no transaction, no call */
    CHECK_TRUE(rig_has(r->sent[0].bytes, "\r\nRetry-After: 5\r\n"));
    CHECK_TRUE(rig_has(r->sent[0].bytes, "To: <sip:alice@192.0.2.1>;tag="));
    CHECK_EQ(rig_census(r).calls, n);
    rig_free(r);
}

static void test_never(void) {
    struct rig *r = new_rig(512);
    CHECK_EQ(invite(r, 1), 0); /* it rings */
    tell(r, 1000, 1000000, 200);
    CHECK_EQ(invite(r, 1), 0); /* the same again */
    CHECK_EQ(refused(r, "INVITE", "urn:service:sos", "", 1000), 0);
    CHECK_EQ(refused(r, "INVITE", "urn:service:sos.fire", "", 1100), 0);
    CHECK_TRUE(rig_has(rig_last(r, "INVITE "), "INVITE urn:service:sos.fire SIP/2.0\r\n"));
    CHECK_EQ(rig_census(r).calls, 201);
    CHECK_EQ(refused(r, "INVITE", "sip:1%312@example.net", "", 2000), 0);
    CHECK_EQ(refused(r, "INVITE", "urn:service:sosx", "", 3000), 98);
    CHECK_EQ(refused(r, "OPTIONS", "sip:192.0.2.1", "", 0), 0);
    CHECK_EQ(ask(r, "CANCEL", "sip:200@example.net", "", 7), 481);
    to_tag = ";tag=x";
    CHECK_EQ(refused(r, "INVITE", "sip:200@example.net", "", 4000), 0);
    CHECK_EQ(rig_last_status(r), 481);
    to_tag = "";
    CHECK_EQ(ask(r, "BYE", "sip:200@example.net", "", 7), 481);
    rig_free(r);
}

/* The last eighth of the transactions that may be open is for the calls there are, and for emergency calls. */
static void test_open_transactions(void) {
    struct rig *r = new_rig(512);
    struct pool *open = &r->e->txns.open;
    handle h;
    CHECK_EQ(open->count, 4096 / 4 + 64);
    while (open->used < open->count - open->count / 8)
        CHECK_TRUE(pool_alloc(open, &h) != NULL);
    CHECK_EQ(invite(r, 1), 503);
    CHECK_TRUE(rig_has(r->sent[r->sent_n - 1].bytes, "\r\nRetry-After: "));
    CHECK_EQ(metrics_get(engine_metrics(r->e), M_pool_full), 1);
    CHECK_EQ(rig_census(r).calls, 0);
    CHECK_EQ(ask(r, "INVITE", "urn:service:sos", "", 2), 0);
    CHECK_EQ(rig_census(r).calls, 1);
    CHECK_EQ(ask(r, "REFER", "sip:200@example.net", "Refer-To: <sip:201@example.net>\r\n", 1), 503);
    CHECK_EQ(ask(r, "REFER", "sip:200@example.net", "Refer-To: <sip:112@example.net\r\n", 2), 503);
    CHECK_EQ(ask(r, "REFER", "sip:200@example.net", "Refer-To: <sip:112@example.net>\r\n", 3), 200);
    to_tag = ";tag=x";
    CHECK_EQ(ask(r, "BYE", "sip:200@example.net", "", 3), 481);
    CHECK_EQ(ask(r, "REFER", "sip:200@example.net", "Refer-To: <sip:201@example.net>\r\n", 4), 503);
    CHECK_EQ(ask(r, "REFER", "sip:200@example.net", "Refer-To: <sip:112@example.net>\r\n", 5), 481);
    to_tag = "";
    while (pool_alloc(open, &h))
        continue;
    CHECK_EQ(ask(r, "INVITE", "urn:service:sos", "", 4), 503);
    rig_free(r);
}

static void test_with_replaces(void) {
    struct rig *r = new_rig(512);
    tell(r, 1000, 0, 60);
    CHECK_EQ(refused(r, "INVITE", "sip:200@192.0.2.1", "Replaces: x;to-tag=y;from-tag=z\r\n", 0), 0);
    tell(r, 1000, 0, 200);
    CHECK_EQ(refused(r, "INVITE", "sip:200@192.0.2.1", "Replaces: x;to-tag=y;from-tag=z\r\n", 100), 98);
    rig_free(r);
}

/* The last calls that there is room for. */
static void test_room_for_emergency_calls(void) {
    struct rig *r = new_rig(128);
    unsigned n = 0;
    while (n < 200 && invite(r, n) == 0)
        n++;
    CHECK_EQ(n, 126);
    CHECK_EQ(ask(r, "INVITE", "sip:112@example.net", "", 900), 0);
    CHECK_EQ(ask(r, "INVITE", "urn:service:sos", "", 901), 0);
    CHECK_EQ(ask(r, "INVITE", "sip:112@example.net", "", 902), 503);
    rig_free(r);
}

/* The last ports: two pairs a call; and the last legs. */
static void test_ports_for_emergency_calls(void) {
    struct engine_config c;
    config_of(&c, 512);
    c.media_port_max = 30199;
    struct rig *r = rig_new(&c);
    unsigned n = 0;
    while (n < 100 && invite(r, n) == 0)
        n++;
    CHECK_EQ(n, 49);
    CHECK_EQ(rig_census(r).ports, 98);
    CHECK_EQ(ask(r, "INVITE", "sip:112@example.net", "", 900), 0);
    CHECK_EQ(rig_census(r).ports, 100);
    CHECK_EQ(ask(r, "INVITE", "sip:112@example.net", "", 901), 503);
    rig_free(r);
}

static void test_legs_for_emergency_calls(void) {
    struct rig *r = new_rig(128);
    handle h;
    while (r->e->legs.count - r->e->legs.used > r->e->load.kept_legs)
        CHECK_TRUE(pool_alloc(&r->e->legs, &h) != NULL);
    CHECK_EQ(r->e->load.kept_legs, 7);
    CHECK_EQ(invite(r, 1), 503);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(ask(r, "INVITE", "sip:112@example.net", "", 900 + i), 0);
    CHECK_EQ(ask(r, "INVITE", "sip:112@example.net", "", 903), 503);
    rig_free(r);
}

static void test_what_waits(void) {
    struct rig *r = new_rig(512);
    tell_waiting(r, 500);
    CHECK_EQ(refused(r, "INVITE", "sip:200@example.net", "", 0), 0);
    tell_waiting(r, 501);
    CHECK_EQ(refused(r, "INVITE", "sip:200@example.net", "", 100), 100);
    CHECK_EQ(refused(r, "REFER", "sip:200@example.net", "Refer-To: <sip:201@example.net>\r\n", 0), 100);
    CHECK_EQ(refused(r, "REGISTER", "sip:192.0.2.1", "", 0), 0);
    CHECK_EQ(refused(r, "INVITE", "urn:service:sos", "", 1000), 0);
    CHECK_EQ(refused(r, "REFER", "sip:200@example.net", "Refer-To: <urn:service:sos.fire>\r\n", 2000), 0);
    CHECK_EQ(refused(r, "OPTIONS", "sip:192.0.2.1", "", 0), 0);
    CHECK_EQ(invite(r, 1), 0); /* again: it rings */
    tell_waiting(r, 751);
    CHECK_EQ(refused(r, "REGISTER", "sip:192.0.2.1", "", 100), 100);
    to_tag = ";tag=x";
    CHECK_EQ(ask(r, "BYE", "sip:200@example.net", "", 7), 481);
    to_tag = "";
    tell_waiting(r, 300);
    CHECK_EQ(refused(r, "INVITE", "sip:200@example.net", "", 200), 0);
    rig_free(r);
}

/* A burst may fill half of the room; what does not go away in 250 ms is kept at a tenth of it. */
static void test_what_stays(void) {
    struct rig *r = new_rig(512);
    tell_waiting(r, 400);
    rig_advance(r, 240000);
    tell_waiting(r, 400);
    CHECK_EQ(invite(r, 1), 0);
    tell_waiting(r, 100);
    tell_waiting(r, 400);
    rig_advance(r, 240000); /* another one */
    tell_waiting(r, 101);
    CHECK_EQ(invite(r, 2), 0);
    rig_advance(r, 10000);
    tell_waiting(r, 101);
    CHECK_EQ(invite(r, 3), 503);
    CHECK_EQ(ask(r, "REGISTER", "sip:192.0.2.1", "", 3) == 503, false);
    CHECK_EQ(ask(r, "INVITE", "urn:service:sos", "", 1003), 0);
    tell_waiting(r, 100);
    CHECK_EQ(invite(r, 4), 0);
    rig_advance(r, 900000);
    tell_waiting(r, 200);
    CHECK_EQ(invite(r, 5), 503); /* at once, and again the second begins */
    rig_advance(r, 900000);
    CHECK_EQ(invite(r, 6), 503);
    tell_waiting(r, 0);
    rig_advance(r, 1000000);
    tell_waiting(r, 200);
    CHECK_EQ(invite(r, 7), 0);
    rig_free(r);
}

/* Its sender has had the answer, perhaps: a call of the second one would be nobody's. */
static void test_refused_again(void) {
    struct rig *r = new_rig(512);
    tell_waiting(r, 900);
    CHECK_EQ(invite(r, 1), 503);
    tell_waiting(r, 0);
    CHECK_EQ(invite(r, 2), 0);
    CHECK_EQ(invite(r, 1), 503);
    rig_advance(r, 31000000);
    CHECK_EQ(invite(r, 1), 503);
    rig_advance(r, 33000000);
    CHECK_EQ(invite(r, 1), 0);
    rig_free(r);
}

/* Of the To field, with the parameter's name before it. */
static void tag_of_answer(const struct rig *r, char *out, size_t size) {
    struct sip_msg msg;
    struct sip_fault f;
    CHECK_TRUE(sip_parse(r->sent[0].bytes, &msg, &f) > 0);
    snprintf(out, size, ";tag=%.*s", SLICE_FMT(msg.to_tag));
}

/* An ACK to request 1 with that tag is let through, then it is nobody's; else it is forgotten at once. */
static uint64_t acks_stray(struct rig *r, const char *tag) {
    uint64_t strays = metrics_get(engine_metrics(r->e), M_acks_stray);
    to_tag = tag;
    CHECK_EQ(ask(r, "ACK", "sip:200@example.net", "", 1), 0);
    CHECK_EQ(r->sent_n, 0);
    to_tag = "";
    return metrics_get(engine_metrics(r->e), M_acks_stray) - strays;
}

static void test_ack_of_a_refusal(void) {
    struct rig *r = new_rig(512);
    tell_waiting(r, 900);
    CHECK_EQ(invite(r, 1), 503);
    char mine[64], again[64], other[64];
    tag_of_answer(r, mine, sizeof mine);
    CHECK_EQ(strlen(mine), strlen(";tag=") + LOAD_TAG_LEN);
    CHECK_EQ(invite(r, 1), 503);
    tag_of_answer(r, again, sizeof again);
    CHECK_EQ(strcmp(mine, again), 0);
    CHECK_EQ(invite(r, 2), 503);
    tag_of_answer(r, other, sizeof other);
    CHECK_TRUE(strcmp(mine, other) != 0);
    CHECK_EQ(acks_stray(r, mine), 0);
    CHECK_EQ(acks_stray(r, other), 1); /* of another request */
    CHECK_EQ(acks_stray(r, ";tag=full-"), 1);
    rig_free(r);
}

int main(void) {
    return UNIT_RUN("load", UNIT(test_calls_first_then_registrations), UNIT(test_registrations_come_back_first),
                    UNIT(test_the_answer), UNIT(test_never), UNIT(test_open_transactions), UNIT(test_with_replaces),
                    UNIT(test_room_for_emergency_calls), UNIT(test_ports_for_emergency_calls),
                    UNIT(test_legs_for_emergency_calls), UNIT(test_what_waits), UNIT(test_what_stays),
                    UNIT(test_refused_again),
                    UNIT(test_ack_of_a_refusal));
}
