/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What we send when a trunk challenges us, held against the server's own reckoning. */
#include "core/sip/auth.h"

#include "tests/unit/call_rig.h"

static struct rig r;
static struct auth_server server;
static struct peer_config peers[RIG_PHONES];

static void start(unsigned algorithms) {
    static uint8_t memory[1 << 20];
    struct engine_config c;
    struct arena a;
    rig_config(&c);
    memcpy(peers, c.policy.peers, sizeof peers);
    snprintf(peers[BOB].username, sizeof peers[BOB].username, "referee");
    snprintf(peers[BOB].password, sizeof peers[BOB].password, "open \"sesame\"");
    c.policy.peers = peers;
    rig_start(&r, &c);
    struct auth_config s = { .realm = SL("trunk.example"), .algorithms = algorithms, .nonces = 16 };
    arena_init(&a, NULL, 0);
    auth_server_init(&server, &a, &s);
    CU_ASSERT_FATAL(a.used <= sizeof memory);
    arena_init(&a, memory, sizeof memory);
    auth_server_init(&server, &a, &s);
}

/* The challenge as the answer to the last request of this method to Bob. */
static void challenge(const char *method, bool proxy, bool stale) {
    static uint64_t salt;
    char text[RIG_TEXT], lines[5][512], header[512];
    const char *req = rig_last(&r, BOB, method, NULL);
    static const char *const names[] = { "Via", "From", "To", "Call-ID", "CSeq" };
    CU_ASSERT_FATAL(*req != '\0');
    for (unsigned i = 0; i < 5; i++)
        rig_lines(req, names[i], lines[i], sizeof lines[i]);
    struct sbuf b = sbuf_on(header, sizeof header - 1);
    auth_challenge_put(&b, &server, &(struct auth_challenge){ .now_ms = rig_wall_ms(&r), .salt = ++salt, .proxy = proxy,
                                                              .stale = stale });
    header[b.n] = '\0';
    snprintf(text, sizeof text, "SIP/2.0 %u X\r\n%s%s%s%s%s%sContent-Length: 0\r\n\r\n", proxy ? 407u : 401u, lines[0],
             lines[1], lines[2], lines[3], lines[4], header);
    rig_recv(&r, BOB, text);
}

static enum auth_result verdict(const char *method, bool proxy) {
    static struct sip_msg m;
    struct sip_fault fault;
    struct sip_digest cred;
    const char *req = rig_last(&r, BOB, method, NULL);
    struct auth_user user = { .username = SL("referee"), .password = SL("open \"sesame\"") };
    CU_ASSERT_FATAL(sip_parse(slice_str(req), &m, &fault) > 0);
    enum auth_result found = auth_find(&server, &m, proxy, &cred);
    return found == AUTH_OK ? auth_verify(&server, &m, &cred, &user, rig_wall_ms(&r)) : found;
}

/* Requests and counts of one nonce: each is right, and right only once. */
static void call_with(unsigned algorithms, bool proxy) {
    struct rig_dialog a, b;
    start(algorithms);
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0 8", "sendrecv", 40000));
    CHECK_EQ(verdict("INVITE", proxy), AUTH_NONE);
    challenge("INVITE", proxy, false);
    CHECK_TRUE(strstr(rig_last(&r, BOB, "INVITE", NULL), "CSeq: 2 INVITE") != NULL);
    CHECK_EQ(verdict("INVITE", proxy), AUTH_OK);
    CHECK_EQ(verdict("INVITE", proxy), AUTH_REPLAY);
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_learn(&r, &a, "SIP/2.0 200");
    rig_request(&r, &a, "ACK", "", "");
    rig_request(&r, &a, "INFO", "", "");
    CHECK_EQ(verdict("INFO", proxy), AUTH_OK);
    rig_reply(&r, BOB, "INFO", 200, "", NULL);
    rig_request(&r, &a, "BYE", "", "");
    CHECK_EQ(verdict("BYE", proxy), AUTH_OK);
    challenge("BYE", proxy, true);
    CHECK_EQ(verdict("BYE", proxy), AUTH_OK);
    rig_reply(&r, BOB, "BYE", 200, "", NULL);
    rig_wait(&r, 64000000);
    struct engine_census now;
    engine_census(r.e, &now);
    CHECK_TRUE(now.calls == 0 && now.legs == 0 && now.transactions == 0 && now.bufs == 0);
    rig_stop(&r);
}

static void test_md5(void) {
    call_with(AUTH_USE_MD5, false);
}

static void test_sha256_of_a_proxy(void) {
    call_with(AUTH_USE_SHA256, true);
}

/* The best of those offered (RFC 8760 section 2.4: they come in the server's order). */
static void test_both(void) {
    call_with(AUTH_USE_MD5 | AUTH_USE_SHA256, false);
}

int main(void) {
    return UNIT_RUN("auth_client", UNIT(test_md5), UNIT(test_sha256_of_a_proxy), UNIT(test_both));
}
