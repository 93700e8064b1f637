/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The phone's digest against the server's: two implementations that must agree, and disagree on a wrong password. */
#include "bench/phone/phone.h"
#include "core/sip/auth.h"
#include "parser/sip_write.h"
#include "tests/unit/unit.h"

#define NOW_MS 1700000000000u

static struct {
    struct phone phone;
    struct auth_server server;
    const char *password;
    unsigned requests, verified, refused;
    char reply[PHONE_MSG_MAX];
    struct sbuf out;
} w;

static void put_reply(const struct sip_msg *m, uint16_t status) {
    w.out = sbuf_on(w.reply, sizeof w.reply);
    sip_put_status(&w.out, status, SLICE_NONE);
    sip_put_copy(&w.out, m, SIP_H_VIA);
    sip_put_hdr(&w.out, SL("From"), m->from.value);
    sip_put_from_to(&w.out, SL("To"), m->to.value, SL("server"));
    sip_put_hdr(&w.out, SL("Call-ID"), m->call_id);
    sip_put_cseq(&w.out, m->cseq, m->method_name);
    if (status == 401)
        auth_challenge_put(&w.out, &w.server, &(struct auth_challenge){ .now_ms = NOW_MS, .salt = w.requests });
    sip_put_body(&w.out, SLICE_NONE, SLICE_NONE);
}

/* The registrar: challenges, then verifies. */
static void on_send(void *arg, struct phone *ph, const struct addr *to, struct slice bytes) {
    struct sip_msg m;
    struct sip_fault fault;
    struct sip_digest cred;
    (void)arg, (void)ph, (void)to;
    CHECK_TRUE(sip_parse(bytes, &m, &fault) >= 0);
    w.requests++;
    struct auth_user user = { .username = SL("alice"), .password = slice_str(w.password) };
    if (auth_find(&w.server, &m, false, &cred) != AUTH_OK) {
        put_reply(&m, 401);
    } else if (auth_verify(&w.server, &m, &cred, &user, NOW_MS) == AUTH_OK) {
        w.verified++;
        put_reply(&m, 200);
    } else {
        w.refused++;
        put_reply(&m, 401);
    }
}

static void setup(unsigned algorithms, const char *known) {
    static uint8_t memory[1 << 20];
    struct arena a;
    struct phone_io io = { .send = on_send };
    struct phone_config c = { .name = "alice", .password = "open sesame", .domain = "test.invalid",
        .local = { .ip = { 127, 0, 0, 1 }, .port = 5000, .family = ADDR_V4 },
        .proxy = { .ip = { 127, 0, 0, 1 }, .port = 5001, .family = ADDR_V4 } };
    memset(&w, 0, sizeof w);
    w.password = known;
    arena_init(&a, memory, sizeof memory);
    struct auth_config ac = { .realm = SL("test"), .algorithms = algorithms, .nonces = 16 };
    auth_server_init(&w.server, &a, &ac);
    phone_init(&w.phone, &c, &io);
    phone_tick(&w.phone, 1000000);
}

/* REGISTER, and each answer given back, until the phone is content or gives up. */
static enum phone_event_kind outcome(uint32_t expires) {
    struct phone_event e = { .kind = PHONE_EV_NONE };
    struct addr src = w.phone.config.proxy;
    phone_register(&w.phone, expires);
    for (unsigned i = 0; i < 4 && !phone_event_next(&w.phone, &e); i++) {
        char copy[PHONE_MSG_MAX];
        memcpy(copy, w.reply, w.out.n);
        phone_input(&w.phone, slice_of(copy, w.out.n), &src, 1000000);
    }
    return e.kind;
}

static void test_each_algorithm(void) {
    static const unsigned sets[] = { AUTH_USE_MD5, AUTH_USE_SHA256, AUTH_USE_MD5 | AUTH_USE_SHA256 };
    for (unsigned i = 0; i < 3; i++) {
        setup(sets[i], "open sesame");
        CHECK_EQ(outcome(60), PHONE_EV_REGISTERED);
        CHECK_EQ(w.requests, 2);
        CHECK_EQ(w.verified, 1);
        CHECK_EQ(outcome(0), PHONE_EV_UNREGISTERED);
        CHECK_EQ(w.verified, 2);
    }
}

/* One answer to a challenge, not a loop. */
static void test_wrong_password(void) {
    static const unsigned sets[] = { AUTH_USE_MD5, AUTH_USE_SHA256 };
    for (unsigned i = 0; i < 2; i++) {
        setup(sets[i], "something else");
        CHECK_EQ(outcome(60), PHONE_EV_REGISTER_FAILED);
        CHECK_EQ(w.requests, 2);
        CHECK_EQ(w.refused, 1);
    }
}

int main(void) {
    return UNIT_RUN("phone_auth", UNIT(test_each_algorithm), UNIT(test_wrong_password));
}
