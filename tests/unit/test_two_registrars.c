/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Registrations with several engines: one changes them, all know them.
 */
#include "core/b2b/registrar.h"
#include "tests/unit/pair_calls.h"

static struct engine_config config;
static struct user_config users[2] = { { .name = "alice" }, { .name = "dave" } };

static struct pair *start(void) {
    static struct engine_config *c = &config;
    struct pair *p = pair_new_with(c, users, 2);
    return p;
}

static void send_register(struct pair *p, enum rig_name from, const char *user, unsigned port, unsigned expires,
                          unsigned cseq) {
    char text[1024];
    snprintf(text, sizeof text,
             "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.%u:5060;branch=z9hG4bKr%u%s\r\n"
             "From: <sip:%s@192.0.2.1>;tag=1\r\nTo: <sip:%s@192.0.2.1>\r\nCall-ID: reg-%s\r\nCSeq: %u REGISTER\r\n"
             "Contact: <sip:%s@192.0.2.77:%u>;expires=%u\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
             rig_phone(from).ip[3], cseq, user, user, user, user, cseq, user, port, expires);
    rig_recv(&p->r, from, text);
}

static unsigned found(struct pair *p, unsigned i, const char *user, char *contact, size_t cap) {
    struct registrar_binding b[4];
    unsigned n = registrar_find(p->e[i], slice_str(user), b, 4);
    if (n)
        snprintf(contact, cap, "%.*s", SLICE_FMT(b[0].contact));
    return n;
}

static void check_both(struct pair *p, const char *user, unsigned n, const char *first) {
    for (unsigned i = 0; i < 2; i++) {
        char contact[128] = "";
        CHECK_EQ(found(p, i, user, contact, sizeof contact), n);
        if (n)
            CHECK_SLICE(slice_str(contact), first);
    }
}

/* Wherever it arrives, the same engine answers, and both know. */
static void test_known_to_all(void) {
    for (unsigned entry = 0; entry < 2; entry++) {
        struct pair *p = start();
        pair_entry(p, entry);
        send_register(p, ALICE, "dave", 5070, 600, 1);
        CHECK_TRUE(*rig_last(&p->r, ALICE, "SIP/2.0 200", "REGISTER") != '\0');
        check_both(p, "dave", 1, "sip:dave@192.0.2.77:5070");
        pair_entry(p, !entry);
        send_register(p, ALICE, "dave", 5071, 600, 2);
        check_both(p, "dave", 2, "sip:dave@192.0.2.77:5071");
        CHECK_EQ(store_count(p->store, SL("aor"), rig_wall_ms(&p->r)), 1);
        send_register(p, ALICE, "dave", 5071, 0, 3);
        check_both(p, "dave", 1, "sip:dave@192.0.2.77:5070");
        pair_wait(p, 601000000);
        check_both(p, "dave", 0, "");
        pair_end(p);
    }
}

/* The one that takes over what it had not heard of reads it; an old CSeq is old there too. */
static void test_taken_over(void) {
    struct pair *p = start();
    unsigned bucket = pair_hash(&config, "dave"), owner = pair_owner(bucket);
    char contact[128];
    p->linked = false;
    pair_entry(p, owner);
    send_register(p, ALICE, "dave", 5070, 600, 5);
    CHECK_EQ(found(p, !owner, "dave", contact, sizeof contact), 0);
    pair_load(p, !owner, bucket, SL("aor"));
    check_both(p, "dave", 1, "sip:dave@192.0.2.77:5070");
    pair_bucket(p, owner, BUCKET_LOST, bucket, 2 - owner, 0);
    pair_bucket(p, !owner, BUCKET_MINE, bucket, 0, 2);
    pair_entry(p, !owner);
    send_register(p, ALICE, "dave", 5070, 0, 4);
    CHECK_EQ(found(p, !owner, "dave", contact, sizeof contact), 1);
    pair_end(p);
}

static const char rest[] = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@x>;tag=f\r\n"
                           "To: <sip:a@x>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n";

static const struct sip_msg *read_msg(struct sbuf *b) {
    static struct sip_msg msg;
    struct sip_fault fault;
    sbuf_str(b, rest);
    CU_ASSERT_FATAL(!b->overflow && sip_parse(sbuf_slice(b), &msg, &fault) >= 0);
    return &msg;
}

/* Who gave the nonce counts its uses; the other one asks for a round with one of its own. */
static void test_nonces(void) {
    const struct auth_user u = { .username = SL("dave"), .password = SL("secret") };
    struct pair *p = start();
    char challenge[2048], request[2048];
    struct sbuf c = sbuf_on(challenge, sizeof challenge), b = sbuf_on(request, sizeof request);
    struct sip_digest offered, cred;
    uint64_t now = rig_wall_ms(&p->r);
    sbuf_lit(&c, "SIP/2.0 401 Unauthorized\r\n");
    auth_challenge_put(&c, &p->e[0]->auth, &(struct auth_challenge){ .now_ms = now, .salt = 1 });
    CU_ASSERT_FATAL(auth_pick(read_msg(&c), &offered));
    struct auth_answer a = { .challenge = &offered, .user = &u, .method = SL("REGISTER"), .uri = SL("sip:x"),
                             .cnonce = SL("c0ffee"), .nc = 1 };
    sbuf_lit(&b, "REGISTER sip:x SIP/2.0\r\n");
    CU_ASSERT_FATAL(auth_answer_put(&b, &a));
    const struct sip_msg *m = read_msg(&b);
    CHECK_EQ(auth_find(&p->e[1]->auth, m, false, &cred), AUTH_OK);
    CHECK_EQ(auth_verify(&p->e[1]->auth, m, &cred, &u, now), AUTH_STALE);
    CHECK_EQ(auth_verify(&p->e[0]->auth, m, &cred, &u, now), AUTH_OK);
    pair_end(p);
}

/* Whatever a peer or the store says, nothing falls over. */
static void test_rubbish(void) {
    static const char *const all[] = {
        "",
        "\n",
        "dave",
        "dave\n",
        "dave\n \n",
        "dave\nsip:x@y\n",
        "dave\nsip:x@y 1.2.3.4:1\n",
        "dave\nsip:x@y z 99999999999999 1 1 c\n",
        "\nsip:x@y 192.0.2.1:1 99999999999999\n",
        "dave\nsip:x@y 192.0.2.1:1 99999999999999 a b\n",
    };
    struct pair *p = start();
    char contact[128];
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        registrar_on_peer(p->e[0], slice_str(all[i]));
    CHECK_EQ(found(p, 0, "dave", contact, sizeof contact), 1);
    pair_end(p);
}

int main(void) {
    return UNIT_RUN("registrations over two engines", UNIT(test_known_to_all), UNIT(test_taken_over),
                    UNIT(test_nonces), UNIT(test_rubbish));
}
