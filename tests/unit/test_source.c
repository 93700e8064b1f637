/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What is dropped unread, by who sends it.
 */
#include "tests/unit/engine_rig.h"
#include "tests/unit/unit.h"

static struct peer_config peers[2];

static struct rig *new_rig(uint32_t per_source) {
    struct engine_config c;
    rig_config(&c);
    peers[0] = (struct peer_config){ .name = "trunk", .net = rig_addr("192.0.2.99"), .bits = 32, .trusted = true };
    peers[1] = (struct peer_config){ .name = "bad", .net = rig_addr("198.51.100.0"), .bits = 24, .deny = true };
    c.policy.peers = peers;
    c.policy.peer_count = 2;
    c.per_source = per_source;
    c.txns_max = 4096;
    return rig_new(&c);
}

/* How many of n OPTIONS from there are answered. */
static unsigned answered(struct rig *r, const char *from, unsigned n) {
    static unsigned serial;
    unsigned got = 0;
    while (n--) {
        char text[512];
        int len = snprintf(text, sizeof text,
                           "OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP a.example;rport;branch=z9hG4bK%u\r\n"
                           "From: <sip:a@a.example>;tag=a\r\nTo: <sip:192.0.2.1>\r\nCall-ID: c%u\r\nCSeq: 1 OPTIONS\r\n"
                           "Content-Length: 0\r\n\r\n",
                           serial, serial);
        serial++;
        rig_clear(r);
        rig_recv(r, slice_of(text, (size_t)len), from);
        got += rig_last_status(r) == 200;
    }
    return got;
}

static void test_rate_of_one_address(void) {
    struct rig *r = new_rig(10);
    CHECK_EQ(answered(r, "192.0.2.11:5060", 40), 21); /* two seconds' worth, and the one that is due */
    CHECK_EQ(metrics_get(engine_metrics(r->e), M_source_limited), 19);
    CHECK_EQ(answered(r, "192.0.2.11:999", 5), 0); /* whatever its port */
    CHECK_EQ(answered(r, "192.0.2.12:5060", 20), 20);
    rig_advance(r, RIG_SEC);
    CHECK_EQ(answered(r, "192.0.2.11:5060", 40), 10);
    rig_advance(r, 100 * RIG_SEC);
    CHECK_EQ(answered(r, "192.0.2.11:5060", 40), 21);
    rig_free(r);
}

static void test_trusted_peers_have_no_rate(void) {
    struct rig *r = new_rig(10);
    CHECK_EQ(answered(r, "192.0.2.99:5060", 200), 200);
    rig_free(r);
}

static void test_ipv6_by_its_network(void) {
    struct rig *r = new_rig(10);
    CHECK_EQ(answered(r, "[2001:db8::1]:5060", 40), 21);
    CHECK_EQ(answered(r, "[2001:db8::2]:5060", 40), 0);
    CHECK_EQ(answered(r, "[2001:db8:0:1::2]:5060", 20), 20);
    rig_free(r);
}

/* More addresses than there are places: nobody is refused for another's sake but for a while. */
static void test_many_addresses(void) {
    struct rig *r = new_rig(10);
    unsigned got = 0;
    for (unsigned i = 0; i < 2000; i++) {
        char from[32];
        snprintf(from, sizeof from, "10.1.%u.%u:5060", i / 250, i % 250 + 1);
        got += answered(r, from, 1);
    }
    CHECK_EQ(got, 2000);
    rig_free(r);
}

static void test_denied(void) {
    struct rig *r = new_rig(0);
    CHECK_EQ(answered(r, "198.51.100.7:5060", 3), 0);
    CHECK_EQ(r->sent_n, 0);
    CHECK_EQ(metrics_get(engine_metrics(r->e), M_source_denied), 3);
    CHECK_EQ(answered(r, "198.51.101.7:5060", 3), 3);
    peers[1].deny = false;
    struct policy_config p = { .peers = peers, .peer_count = 2 };
    engine_reload(r->e, &p);
    CHECK_EQ(answered(r, "198.51.100.7:5060", 3), 3);
    rig_free(r);
}

int main(void) {
    return UNIT_RUN("source", UNIT(test_rate_of_one_address), UNIT(test_trusted_peers_have_no_rate),
                    UNIT(test_ipv6_by_its_network), UNIT(test_many_addresses), UNIT(test_denied));
}
