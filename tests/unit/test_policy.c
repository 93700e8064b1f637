/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where a call goes, seen from outside: the INVITE that leaves, or the refusal. And which headers cross. */
#include "core/b2b/bridge.h"
#include "core/b2b/policy.h"
#include "tests/unit/engine_rig.h"
#include "tests/unit/unit.h"

#define CALLER "192.0.2.11:5060"

static const struct user_config users[] = { { .name = "alice" },
                                            { .name = "bob", .refer = REFER_REJECT },
                                            { .name = "carol" } };
static struct route_config routes[] = {
    { .name = "emergency", .prefix = "911", .prepend = "0" },
    { .name = "trunk", .prefix = "00", .strip = 2, .prepend = "+" },
    { .name = "partner", .domain = "partner.example" },
    { .name = "six", .prefix = "6", .domain = "example.com", .strip = 40 },
};
static const char domains[][CONFIG_HOST_MAX] = { "pbx.example" };
static const char echo[][CONFIG_NAME_MAX] = { "600", "echo" };
static struct peer_config peers[] = { { .name = "lan", .bits = 24 },
                                      { .name = "v6", .bits = 64, .refer = REFER_REJECT } };

static void configure(struct engine_config *c) {
    rig_config(c);
    routes[0].next_hop = rig_addr("192.0.2.20:5060");
    routes[1].next_hop = rig_addr("192.0.2.21:5080");
    routes[2].next_hop = rig_addr("192.0.2.22:5060");
    routes[3].next_hop = rig_addr("[2001:db8::6]:5060");
    peers[0].net = rig_addr("198.51.100.0:0");
    peers[1].net = rig_addr("[2001:db8::]:0");
    c->policy = (struct policy_config){ .users = users, .user_count = 3, .routes = routes, .route_count = 4,
                                        .peers = peers, .peer_count = 2, .domains = domains, .domain_count = 1,
                                        .echo = echo, .echo_count = 2 };
}

static struct rig *new_rig(void) {
    struct engine_config c;
    configure(&c);
    return rig_new(&c);
}

static void send_request(struct rig *r, const char *from, const char *method, const char *uri, const char *lines) {
    static unsigned n;
    static const char sdp[] = "v=0\r\no=- 1 1 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n"
                              "m=audio 4000 RTP/AVP 0\r\n";
    char text[4096];
    bool invite = strcmp(method, "INVITE") == 0;
    n++;
    int len =
        snprintf(text, sizeof text,
                 "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%u;rport\r\nFrom: <%s>;tag=f%u\r\nTo: "
                 "<%s>\r\nCall-ID: c%u\r\nCSeq: %u %s\r\nMax-Forwards: 70\r\n%s%s"
                 "Content-Length: %zu\r\n\r\n%s",
                 method, uri, from, n, invite ? "sip:alice@example.com" : uri, n, uri, n, n, method, lines,
                 invite ? "Content-Type: application/sdp\r\n" : "", invite ? sizeof sdp - 1 : 0, invite ? sdp : "");
    rig_clear(r);
    rig_recv(r, slice_of(text, (size_t)len), from);
}

static unsigned call(struct rig *r, const char *uri) {
    send_request(r, CALLER, "INVITE", uri, "Contact: <sip:alice@192.0.2.11>\r\n");
    return rig_last_status(r);
}

static void check_goes(const char *uri, const char *start, const char *dst) {
    struct rig *r = new_rig();
    struct addr want = rig_addr(dst);
    CHECK_EQ(call(r, uri), 0);
    struct slice m = rig_last(r, "INVITE ");
    bool right = slice_has_prefix(m, slice_str(start));
    for (uint32_t i = 0; i < r->sent_n; i++)
        if (r->sent[i].bytes.p == m.p)
            right = right && addr_eq(&r->sent[i].dst, &want);
    if (!right)
        printf("\n%s: %.*s\n", uri, (int)(m.n < 80 ? m.n : 80), m.p ? m.p : "nothing sent");
    CHECK_TRUE(right);
    rig_free(r);
}

static void test_routes(void) {
    check_goes("sip:911@example.com", "INVITE sip:0911@192.0.2.20:5060 SIP/2.0\r\n", "192.0.2.20:5060");
    check_goes("sip:911@anything.example", "INVITE sip:0911@192.0.2.20:5060 SIP/2.0\r\n", "192.0.2.20:5060");
    check_goes("sip:004930@192.0.2.1", "INVITE sip:+4930@192.0.2.21:5080 SIP/2.0\r\n", "192.0.2.21:5080");
    check_goes("tel:004930", "INVITE sip:+4930@192.0.2.21:5080 SIP/2.0\r\n", "192.0.2.21:5080");
    check_goes("sip:dave@PARTNER.example", "INVITE sip:dave@192.0.2.22:5060 SIP/2.0\r\n", "192.0.2.22:5060");
    check_goes("sip:a%20b@partner.example", "INVITE sip:a%20b@192.0.2.22:5060 SIP/2.0\r\n", "192.0.2.22:5060");
    check_goes("sip:partner.example", "INVITE sip:192.0.2.22:5060 SIP/2.0\r\n", "192.0.2.22:5060");
    check_goes("sip:61@example.com", "INVITE sip:[2001:db8::6]:5060 SIP/2.0\r\n", "[2001:db8::6]:5060");
}

static void test_refused(void) {
    struct rig *r = new_rig();
    CHECK_EQ(call(r, "sip:dave@nowhere.example"), 404);
    CHECK_TRUE(rig_has(r->sent[r->sent_n - 1].bytes, "404 No route to that domain"));
    CHECK_EQ(call(r, "sip:dave@example.com"), 404);
    CHECK_EQ(call(r, "sip:alice@nowhere.example"), 404); /* our user elsewhere is not our user */
    CHECK_EQ(call(r, "sip:bob@example.com"), 480);
    CHECK_EQ(call(r, "sip:%62%6fb@pbx.example"), 480);
    CHECK_EQ(call(r, "sip:bo%@example.com"), 404);
    CHECK_EQ(call(r, "urn:service:sos"), 404);
    CHECK_EQ(call(r, "urn:isbn:0131103628"), 416);
    rig_advance(r, 400 * RIG_SEC);
    CHECK_TRUE(rig_is_quiet(r));
    rig_free(r);
}

static void test_echo(void) {
    struct rig *r = new_rig();
    CHECK_EQ(call(r, "sip:600@example.com"), 200);
    CHECK_EQ(call(r, "sip:e%63ho@pbx.example"), 200);
    CHECK_EQ(call(r, "sip:echo@192.0.2.1:5060"), 200);
    CHECK_EQ(call(r, "sip:600@elsewhere.example"), 404);
    rig_free(r);
}

/* Every binding of the user rings. */
static void test_user_with_two_phones(void) {
    struct rig *r = new_rig();
    send_request(r, "192.0.2.31:5060", "REGISTER", "sip:carol@example.com", "Contact: <sip:c1@192.0.2.31>\r\n");
    send_request(r, "203.0.113.9:999", "REGISTER", "sip:carol@example.com", "Contact: <sip:c2@10.0.0.1>\r\n");
    CHECK_EQ(rig_census(r).bindings, 2);
    CHECK_EQ(call(r, "sip:carol@example.com"), 0);
    CHECK_TRUE(rig_last(r, "INVITE sip:c1@192.0.2.31 SIP/2.0\r\n").p != NULL);
    CHECK_TRUE(rig_last(r, "INVITE sip:c2@10.0.0.1 SIP/2.0\r\n").p != NULL);
    struct addr nat = rig_addr("203.0.113.9:999");
    unsigned there = 0;
    for (uint32_t i = 0; i < r->sent_n; i++)
        there += rig_has(r->sent[i].bytes, "INVITE sip:c2@") && addr_eq(&r->sent[i].dst, &nat);
    CHECK_EQ(there, 1);
    rig_free(r);
}

static void test_who(void) {
    struct engine_config c;
    configure(&c);
    c.refer = REFER_LOCAL;
    struct rig *r = rig_new(&c);
    struct addr a = rig_addr("198.51.100.77:5060"), b = rig_addr("[2001:db8::77]:1"), other = rig_addr("10.0.0.1:5060");
    CU_ASSERT_FATAL(policy_peer(r->e, &a) && policy_peer(r->e, &b));
    CHECK_TRUE(strcmp(policy_peer(r->e, &a)->name, "lan") == 0);
    CHECK_TRUE(strcmp(policy_peer(r->e, &b)->name, "v6") == 0);
    CHECK_TRUE(policy_peer(r->e, &other) == NULL);
    CHECK_EQ(policy_refer_mode(r->e, SL("user:alice")), REFER_LOCAL);
    CHECK_EQ(policy_refer_mode(r->e, SL("user:bob")), REFER_REJECT);
    CHECK_EQ(policy_refer_mode(r->e, SL("peer:v6")), REFER_REJECT);
    CHECK_EQ(policy_refer_mode(r->e, SL("peer:lan")), REFER_LOCAL);
    CHECK_EQ(policy_refer_mode(r->e, SLICE_NONE), REFER_LOCAL);
    CHECK_TRUE(policy_user(r->e, SL("bob")) == &users[1]);
    CHECK_TRUE(policy_user(r->e, SL("BOB")) == NULL);
    CHECK_TRUE(policy_is_our_host(r->e, SL("Example.COM")) && policy_is_our_host(r->e, SL("pbx.example")));
    CHECK_TRUE(policy_is_our_host(r->e, SL("192.0.2.1")));
    CHECK_FALSE(policy_is_our_host(r->e, SL("192.0.2.2")) || policy_is_our_host(r->e, SL("")));
    rig_free(r);
}

static void test_ipv6_host_is_ours(void) {
    struct engine_config c;
    configure(&c);
    c.sip_addr = rig_addr("[2001:db8::1]:5060");
    struct rig *r = rig_new(&c);
    CHECK_TRUE(policy_is_our_host(r->e, SL("2001:db8::1")));
    CHECK_TRUE(policy_is_our_host(r->e, SL("2001:DB8:0::1")));
    send_request(r, "[2001:db8::9]:5060", "INVITE", "sip:600@[2001:db8::1]", "Contact: <sip:a@[2001:db8::9]>\r\n");
    CHECK_EQ(rig_last_status(r), 200);
    CHECK_TRUE(rig_has(rig_last(r, "SIP/2.0 200"), "@[2001:db8::1]:5060>\r\n"));
    rig_free(r);
}

static void test_reload(void) {
    struct rig *r = new_rig();
    struct policy_config none = { 0 };
    engine_reload(r->e, &none);
    CHECK_EQ(call(r, "sip:600@example.com"), 404);
    CHECK_EQ(call(r, "sip:bob@example.com"), 404);
    CHECK_EQ(call(r, "sip:911@example.com"), 404);
    rig_free(r);
}

/* ---- the bridge's tables ---- */

static void test_headers_that_cross(void) {
    static const struct {
        enum sip_hdr_id id;
        bool request, response;
    } some[] = {
        { SIP_H_OTHER, true, true },       { SIP_H_VIA, false, false },        { SIP_H_CONTACT, false, false },
        { SIP_H_SUBJECT, true, false },    { SIP_H_RETRY_AFTER, false, true }, { SIP_H_WARNING, false, true },
        { SIP_H_REASON, true, true },      { SIP_H_REFERRED_BY, true, false }, { SIP_H_AUTHORIZATION, false, false },
        { SIP_H_SUPPORTED, false, false }, { SIP_H_DIVERSION, true, false },   { SIP_H_ALERT_INFO, true, true },
        { SIP_H_REPLACES, true, false },   { SIP_H_REQUIRE, false, false },
    };
    for (unsigned i = 0; i < sizeof some / sizeof *some; i++) {
        CHECK_EQ(bridge_passes(some[i].id, false), some[i].request);
        CHECK_EQ(bridge_passes(some[i].id, true), some[i].response);
    }
}

/* No known header was forgotten: its row says what becomes of it. */
static void test_every_header_has_a_row(void) {
    for (unsigned id = 0; id < SIP_H_COUNT; id++) {
        bool known = bridge_has_row((enum sip_hdr_id)id);
        if (!known)
            printf("\n%.*s has no row\n", SLICE_FMT(sip_hdr_name((enum sip_hdr_id)id)));
        CHECK_TRUE(known);
    }
}

static void test_methods(void) {
    CHECK_EQ(bridge_method(SIP_M_INFO), BRIDGE_PASS);
    CHECK_EQ(bridge_method(SIP_M_UPDATE), BRIDGE_PASS);
    CHECK_EQ(bridge_method(SIP_M_MESSAGE), BRIDGE_PASS);
    CHECK_EQ(bridge_method(SIP_M_BYE), BRIDGE_HERE);
    CHECK_EQ(bridge_method(SIP_M_REFER), BRIDGE_HERE);
    CHECK_EQ(bridge_method(SIP_M_PRACK), BRIDGE_REFUSE);
    CHECK_EQ(bridge_method(SIP_M_UNKNOWN), BRIDGE_REFUSE);
}

int main(void) {
    return UNIT_RUN("policy", UNIT(test_routes), UNIT(test_refused), UNIT(test_echo), UNIT(test_user_with_two_phones),
                    UNIT(test_who), UNIT(test_ipv6_host_is_ours), UNIT(test_reload), UNIT(test_headers_that_cross),
                    UNIT(test_every_header_has_a_row), UNIT(test_methods));
}
