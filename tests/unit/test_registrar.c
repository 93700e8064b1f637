/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* REGISTER through a whole engine in virtual time: who may (digest, trusted peers), and what becomes of the bindings.
 */
#include "core/base/limits.h"
#include "core/sip/auth.h"
#include "tests/unit/engine_rig.h"
#include "tests/unit/sip_files.h"

#define PHONE "192.0.2.11:5060"
#define TRUNK "198.51.100.1:5060"

static const struct user_config users[] = {
    { .name = "alice", .password = "secret" }, { .name = "user" }, { .name = "watson" }, { .name = "j.user" }
};
static struct peer_config peer = { .name = "trunk", .bits = 32, .trusted = true };

static struct rig *new_rig(bool auth) {
    struct engine_config c;
    rig_config(&c);
    peer.net = rig_addr(TRUNK);
    c.policy.users = users;
    c.policy.user_count = 4;
    c.policy.peers = &peer;
    c.policy.peer_count = 1;
    c.auth_required = auth;
    return rig_new(&c);
}

static unsigned cseq;

/* lines: header lines with CRLF. */
static unsigned send_as(struct rig *r, const char *from, const char *method, const char *aor, const char *lines) {
    char text[4096];
    cseq++;
    int n = snprintf(text, sizeof text,
                     "%s sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%u;rport\r\n"
                     "From: <sip:%s@example.com>;tag=f\r\nTo: <sip:%s@example.com>\r\nCall-ID: reg\r\n"
                     "CSeq: %u %s\r\nMax-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n",
                     method, from, cseq, aor, aor, cseq, method, lines);
    rig_clear(r);
    rig_recv(r, slice_of(text, (size_t)n), from);
    return rig_last_status(r);
}

static unsigned reg(struct rig *r, const char *lines) {
    return send_as(r, PHONE, "REGISTER", "alice", lines);
}

static struct slice answer(const struct rig *r) {
    return r->sent_n ? r->sent[r->sent_n - 1].bytes : SL("");
}

/* ---- bindings ---- */

static void test_life_of_bindings(void) {
    struct rig *r = new_rig(false);
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11:5060>;expires=100, <sip:alice@192.0.2.12>\r\nExpires: 200\r\n"),
             200);
    CHECK_TRUE(rig_has(answer(r), "Contact: <sip:alice@192.0.2.11:5060>;expires=100\r\n"));
    CHECK_TRUE(rig_has(answer(r), "Contact: <sip:alice@192.0.2.12>;expires=200\r\n"));
    CHECK_EQ(rig_census(r).bindings, 2);
    rig_advance(r, 60 * RIG_SEC);
    /* a refresh of one, by a URI that is equal but not the same */
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>\r\nExpires: 100\r\n"), 200);
    CHECK_TRUE(rig_has(answer(r), ";expires=140\r\n"));
    CHECK_EQ(rig_count(answer(r), "Contact:"), rig_census(r).bindings);
    /* asked without Contact */
    CHECK_EQ(reg(r, ""), 200);
    CHECK_EQ(rig_count(answer(r), "Contact:"), rig_census(r).bindings);
    CHECK_EQ(r->stored_n, 0);
    /* one removed */
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.12>;expires=0\r\n"), 200);
    CHECK_FALSE(rig_has(answer(r), "192.0.2.12>"));
    /* all removed */
    CHECK_EQ(reg(r, "Contact: *\r\nExpires: 0\r\n"), 200);
    CHECK_EQ(rig_count(answer(r), "Contact:"), 0);
    rig_advance(r, 40 * RIG_SEC);
    CHECK_TRUE(rig_is_quiet(r));
    CHECK_EQ(rig_census(r).bindings, 0);
    rig_free(r);
}

static void test_expiry(void) {
    struct rig *r = new_rig(false);
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>;expires=100\r\n"), 200);
    rig_advance(r, 99 * RIG_SEC);
    CHECK_EQ(rig_census(r).bindings, 1);
    rig_advance(r, 2 * RIG_SEC);
    CHECK_EQ(rig_census(r).bindings, 0);
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>\r\n"), 200);
    CHECK_TRUE(rig_has(answer(r), ";expires=3600\r\n"));
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>;expires=99999999\r\n"), 200);
    CHECK_TRUE(rig_has(answer(r), ";expires=7200\r\n"));
    rig_free(r);
}

static void test_refused(void) {
    struct rig *r = new_rig(false);
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>;expires=59\r\n"), 423);
    CHECK_TRUE(rig_has(answer(r), "\r\nMin-Expires: 60\r\n"));
    CHECK_EQ(reg(r, "Contact: <mailto:alice@192.0.2.11>\r\n"), 400);
    CHECK_EQ(reg(r, "Contact: *\r\n"), 400);
    CHECK_EQ(reg(r, "Contact: *\r\nExpires: 1\r\n"), 400);
    CHECK_EQ(reg(r, "Contact: *, <sip:a@192.0.2.11>\r\nExpires: 0\r\n"), 400);
    /* all or nothing */
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>\r\nContact: <sip:b@192.0.2.11>;expires=1\r\n"), 423);
    CHECK_EQ(rig_census(r).bindings, 0);
    CHECK_EQ(send_as(r, PHONE, "REGISTER", "nobody", "Contact: <sip:alice@192.0.2.11>\r\n"), 404);
    CHECK_EQ(send_as(r, PHONE, "REGISTER", "%61lice", "Contact: <sip:alice@192.0.2.11>\r\n"), 200);
    CHECK_EQ(rig_census(r).bindings, 1);
    rig_free(r);
}

/* Section 10.3 step 7: of one Call-ID only a higher CSeq counts. */
static void test_cseq_order(void) {
    struct rig *r = new_rig(false);
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>;expires=500\r\n"), 200);
    cseq -= 2;
    reg(r, "Contact: <sip:alice@192.0.2.11>;expires=0\r\n");
    CHECK_EQ(rig_census(r).bindings, 1);
    cseq++;
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>;expires=0\r\n"), 200);
    CHECK_EQ(rig_census(r).bindings, 0);
    rig_free(r);
}

/* RFC 3261 section 10.3 step 6: so does the star. */
static void test_cseq_order_star(void) {
    struct rig *r = new_rig(false);
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>;expires=500\r\n"), 200);
    cseq -= 2;
    reg(r, "Contact: *\r\nExpires: 0\r\n");
    CHECK_EQ(rig_census(r).bindings, 1);
    cseq++;
    rig_free(r);
}

static void test_bounds(void) {
    struct rig *r = new_rig(false);
    char line[128];
    for (unsigned i = 0; i < LIMIT_BINDINGS_PER_AOR; i++) {
        snprintf(line, sizeof line, "Contact: <sip:alice@192.0.2.11:%u>\r\n", 6000 + i);
        CHECK_EQ(reg(r, line), 200);
    }
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11:7000>\r\n"), 503);
    CHECK_TRUE(rig_has(answer(r), "\r\nRetry-After: "));
    CHECK_EQ(rig_census(r).bindings, LIMIT_BINDINGS_PER_AOR);
    /* one of them again */
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11:6003>\r\n"), 200);
    rig_free(r);
}

static void test_write_through(void) {
    struct rig *r = new_rig(false);
    CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>;expires=100\r\n"), 200);
    CU_ASSERT_FATAL(r->stored_n == 1);
    CHECK_EQ(r->stored[0].verb, STORE_PUT);
    CHECK_TRUE(strcmp(r->stored[0].table, "aor") == 0);
    CHECK_TRUE(strcmp(r->stored[0].key, "alice") == 0);
    /* Behind the expiry: CSeq, q, Call-ID. */
    const char *value = "sip:alice@192.0.2.11 192.0.2.11:5060 1700000100000 ";
    CHECK_TRUE(strncmp(r->stored[0].value, value, strlen(value)) == 0);
    CHECK_TRUE(strstr(r->stored[0].value, " 1000 ") != NULL);
    CHECK_TRUE(r->stored[0].expires_ms == UINT64_C(1700000100000));
    CHECK_EQ(store_count(r->store, SL("aor"), r->wall_ms), 1);
    CHECK_EQ(reg(r, "Contact: *\r\nExpires: 0\r\n"), 200);
    CU_ASSERT_FATAL(r->stored_n == 1);
    CHECK_EQ(r->stored[0].verb, STORE_DELETE);
    CHECK_EQ(store_count(r->store, SL("aor"), r->wall_ms), 0);
    rig_free(r);
}

/* RFC 4475 3.1.2.13, 3.3.12 to 3.3.14, 3.1.1.4. */
static void test_torture(void) {
    static const struct {
        const char *file;
        unsigned status;
        const char *has;
    } cases[] = {
        { "regbadct.dat", 400, "" },
        { "cparam01.dat", 200, "Contact: <sip:+19725552222@gw1.example.net>;expires=" },
        { "cparam02.dat", 200, "Contact: <sip:+19725552222@gw1.example.net;unknownparam>;expires=" },
        { "regescrt.dat", 200, "Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=" },
        { "escnull.dat", 404, "" },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice bytes = sip_file("torture", cases[i].file);
        struct rig *r = new_rig(false);
        rig_recv(r, bytes, PHONE);
        if (rig_last_status(r) != cases[i].status || !rig_has(answer(r), cases[i].has))
            printf("\n%s: %.*s\n", cases[i].file, SLICE_FMT(answer(r)));
        CHECK_EQ(rig_last_status(r), cases[i].status);
        CHECK_TRUE(rig_has(answer(r), cases[i].has));
        rig_free(r);
        free((void *)(uintptr_t)bytes.p);
    }
}

/* ---- admission ---- */

/* Credentials for the last challenge, of one algorithm, as a header line. */
static const char *credentials(const struct rig *r, bool md5, const char *password, const char *method, unsigned nc) {
    static char line[1024];
    static struct sip_msg msg;
    struct sip_fault fault;
    struct sip_digest d;
    bool proxy = strcmp(method, "REGISTER") != 0;
    CU_ASSERT_FATAL(sip_parse(answer(r), &msg, &fault) > 0);
    CU_ASSERT_FATAL(auth_pick(&msg, &d));
    if (md5)
        d.algorithm = SL("MD5");
    struct auth_user u = { .username = SL("alice"), .password = slice_str(password) };
    struct auth_answer a = { .challenge = &d,
                             .user = &u,
                             .method = slice_str(method),
                             .uri = SL("sip:example.com"),
                             .cnonce = SL("abc"),
                             .nc = nc,
                             .proxy = proxy };
    struct sbuf b = sbuf_on(line, sizeof line - 1);
    CU_ASSERT_FATAL(auth_answer_put(&b, &a));
    line[b.n] = '\0';
    return line;
}

static void test_digest(void) {
    for (int md5 = 0; md5 < 2; md5++) {
        struct rig *r = new_rig(true);
        char lines[1200];
        CHECK_EQ(reg(r, "Contact: <sip:alice@192.0.2.11>\r\n"), 401);
        CHECK_EQ(rig_count(answer(r), "WWW-Authenticate: Digest "), 2);
        CHECK_FALSE(rig_has(answer(r), "stale"));
        const char *good = credentials(r, md5, "secret", "REGISTER", 1);
        snprintf(lines, sizeof lines, "%sContact: <sip:alice@192.0.2.11>\r\n", good);
        CHECK_EQ(reg(r, lines), 200);
        CHECK_EQ(rig_census(r).bindings, 1);
        /* the same nonce count again */
        CHECK_EQ(reg(r, lines), 401);
        CHECK_TRUE(rig_has(answer(r), "stale=true"));
        /* an old nonce */
        char late[1200];
        snprintf(late, sizeof late, "%s", credentials(r, md5, "secret", "REGISTER", 1));
        rig_advance(r, 301 * RIG_SEC);
        CHECK_EQ(reg(r, late), 401);
        CHECK_TRUE(rig_has(answer(r), "stale=true"));
        rig_free(r);
    }
}

static void test_wrong_credentials(void) {
    struct rig *r = new_rig(true);
    CHECK_EQ(reg(r, ""), 401);
    char lines[1200];
    snprintf(lines, sizeof lines, "%s", credentials(r, false, "wrong", "REGISTER", 1));
    CHECK_EQ(reg(r, lines), 403);
    /* another's address of record, one that is not there */
    CHECK_EQ(reg(r, ""), 401);
    snprintf(lines, sizeof lines, "%s", credentials(r, false, "secret", "REGISTER", 1));
    CHECK_EQ(send_as(r, PHONE, "REGISTER", "user", lines), 403);
    CHECK_EQ(reg(r, ""), 401);
    snprintf(lines, sizeof lines, "%s", credentials(r, false, "secret", "REGISTER", 1));
    CHECK_EQ(send_as(r, PHONE, "REGISTER", "nobody", lines), 403);
    CHECK_EQ(rig_census(r).bindings, 0);
    rig_free(r);
}

static void test_invite_and_peers(void) {
    struct rig *r = new_rig(true);
    char lines[1200];
    CHECK_EQ(send_as(r, PHONE, "INVITE", "alice", ""), 407);
    CHECK_EQ(rig_count(answer(r), "Proxy-Authenticate: Digest "), 2);
    snprintf(lines, sizeof lines, "%s", credentials(r, false, "secret", "INVITE", 1));
    unsigned status = send_as(r, PHONE, "INVITE", "alice", lines);
    CHECK_TRUE(status == 404 || status == 480); /* the Request-URI has no user */
    /* a trusted peer is asked for nothing */
    status = send_as(r, TRUNK, "INVITE", "alice", "");
    CHECK_TRUE(status == 404 || status == 480);
    CHECK_EQ(send_as(r, TRUNK, "REGISTER", "alice", "Contact: <sip:a@192.0.2.11>\r\n"), 200);
    /* OPTIONS never */
    CHECK_EQ(send_as(r, PHONE, "OPTIONS", "alice", ""), 200);
    rig_free(r);
}

int main(void) {
    return UNIT_RUN("registrar", UNIT(test_life_of_bindings), UNIT(test_expiry), UNIT(test_refused),
                    UNIT(test_cseq_order), UNIT(test_cseq_order_star), UNIT(test_bounds), UNIT(test_write_through),
                    UNIT(test_torture), UNIT(test_digest), UNIT(test_wrong_credentials), UNIT(test_invite_and_peers));
}
