/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Profiles and keys of descriptions: what is taken, what is answered, what is offered, and what the relay is told. */
#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "core/b2b/media_srtp.h"
#include "core/b2b/wire.h"
#include "tests/unit/engine_rig.h"
#include "tests/unit/unit.h"

#define HEAD "v=0\r\no=alice 5 9 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n"
#define KEY "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
#define S80 "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:" KEY "|2^20\r\n"
#define S32 "a=crypto:5 AES_CM_128_HMAC_SHA1_32 inline:" KEY "\r\n"
#define F8 "a=crypto:3 F8_128_HMAC_SHA1_80 inline:" KEY "\r\n"
#define BAD "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short\r\n"
#define LINE(proto) HEAD "m=audio 4000 " proto " 0\r\n"
#define AVP LINE("RTP/AVP")
#define SAVP LINE("RTP/SAVP")

struct pair {
    struct rig *r;
    struct engine *e;
    struct leg *a, *b;
};

static struct pair new_pair(enum srtp_mode mode) {
    struct engine_config c;
    rig_config(&c);
    c.srtp = mode;
    struct pair p = { .r = rig_new(&c) };
    p.e = p.r->e;
    p.e->out = &p.r->out;
    p.a = leg_alloc(p.e);
    p.b = leg_alloc(p.e);
    CU_ASSERT_FATAL(p.a && p.b);
    return p;
}

static void end_pair(struct pair *p) {
    leg_step(p->e, p->a, LEG_IN_END);
    leg_step(p->e, p->b, LEG_IN_END);
    dialog_free(&p->a->dlg, &p->e->ua);
    dialog_free(&p->b->dlg, &p->e->ua);
    rig_collect(p->r);
    rig_free(p->r);
}

static unsigned lines_of(struct slice text, const char *line) {
    unsigned n = 0;
    for (uint32_t i = 0; i + strlen(line) <= text.n; i++)
        n += memcmp(text.p + i, line, strlen(line)) == 0;
    return n;
}

/* What may be said at all. */
static void test_check(void) {
    static const struct {
        const char *text;
        uint16_t status[SRTP_MODE_REQUIRE + 1]; /* by mode */
        const char *why;                        /* of the last mode that refuses */
    } rows[] = {
        { AVP, { [SRTP_MODE_REQUIRE] = 488 }, "SRTP required" },
        { AVP S80, { 0 }, NULL },
        { AVP BAD, { [SRTP_MODE_REQUIRE] = 488 }, "SRTP required" },
        { SAVP S80, { [SRTP_MODE_OFF] = 488 }, "SRTP not allowed" },
        { SAVP F8 S32, { [SRTP_MODE_OFF] = 488 }, "SRTP not allowed" },
        { LINE("RTP/SAVPF") S80, { [SRTP_MODE_OFF] = 488 }, "SRTP not allowed" },
        { SAVP, { 0, 488, 488, 488, 488 }, "SRTP without a=crypto" },
        { SAVP F8, { 0, 488, 488, 488, 488 }, "No usable a=crypto" },
        { SAVP BAD, { 0, 488, 488, 488, 488 }, "Malformed a=crypto" },
        { LINE("UDP/TLS/RTP/SAVPF") S80, { 0, 488, 488, 488, 488 }, NULL },
        { SAVP S80 "m=video 5 RTP/AVP 31\r\n", { 0 }, NULL },
        { "v=0\r\n", { 0, 400, 400, 400, 400 }, "Bad session description" },
    };
    for (enum srtp_mode mode = SRTP_MODE_OFF; mode <= SRTP_MODE_REQUIRE; mode++) {
        struct pair p = new_pair(mode);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct slice why;
            uint16_t status = media_check_new(p.e, SLICE_NONE, false, slice_str(rows[i].text), &why);
            if (status != rows[i].status[mode])
                printf("\nmode %d, row %zu\n", (int)mode, i);
            CHECK_EQ(status, rows[i].status[mode]);
            CHECK_EQ(media_check(p.e, p.a, slice_str(rows[i].text)), status);
            if (status && rows[i].status[SRTP_MODE_ACCEPT] && rows[i].why && mode != SRTP_MODE_OFF)
                CHECK_SLICE(why, rows[i].why);
        }
        CHECK_EQ(media_check_new(p.e, SLICE_NONE, true, SL(SAVP), &(struct slice){ 0 }), 0);
        end_pair(&p);
    }
}

static void test_offered(void) {
    static const struct {
        enum srtp_mode mode;
        const char *from, *proto;
        unsigned keys;
    } rows[] = {
        { SRTP_MODE_OFF, AVP, "RTP/AVP 0", 0 },         { SRTP_MODE_OFF, SAVP S80, "RTP/AVP 0", 0 },
        { SRTP_MODE_ACCEPT, AVP, "RTP/AVP 0", 0 },      { SRTP_MODE_ACCEPT, SAVP S80 S32, "RTP/AVP 0", 0 },
        { SRTP_MODE_ACCEPT, AVP S80, "RTP/AVP 0", 0 },  { SRTP_MODE_ACCEPT, LINE("RTP/SAVPF") S80, "RTP/AVPF 0", 0 },
        { SRTP_MODE_OFFER, AVP, "RTP/AVP 0", 2 },       { SRTP_MODE_OFFER, SAVP S80, "RTP/AVP 0", 2 },
        { SRTP_MODE_REQUIRE, AVP, "RTP/SAVP 0", 2 },    { SRTP_MODE_REQUIRE, SAVP S80, "RTP/SAVP 0", 2 },
        { SRTP_MODE_REQUIRE, LINE("RTP/AVPF"), "RTP/SAVPF 0", 2 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pair p = new_pair(rows[i].mode);
        struct slice s = media_describe(p.e, p.b, slice_str(rows[i].from), -1);
        CHECK_EQ(lines_of(s, rows[i].proto), 1);
        CHECK_EQ(lines_of(s, "a=crypto:"), rows[i].keys);
        CHECK_EQ(lines_of(s, KEY), 0);
        CHECK_EQ(lines_of(s, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"), rows[i].keys != 0);
        CHECK_EQ(lines_of(s, "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:"), rows[i].keys != 0);
        CHECK_TRUE(media_is_same(p.e, p.b, slice_str(rows[i].from), -1));
        struct slice again = media_describe(p.e, p.b, slice_str(rows[i].from), SDP_INACTIVE);
        CHECK_EQ(lines_of(again, rows[i].proto), 1);
        CHECK_EQ(lines_of(again, "a=crypto:"), rows[i].keys);
        end_pair(&p);
    }
}

static void test_answered(void) {
    static const struct {
        enum srtp_mode mode;
        const char *offer, *want, *keys;
    } rows[] = {
        { SRTP_MODE_OFF, SAVP S80, "m=audio 0 RTP/SAVP 0", NULL },
        { SRTP_MODE_OFF, AVP S80, " RTP/AVP 0", NULL },
        { SRTP_MODE_ACCEPT, AVP, " RTP/AVP 0", NULL },
        { SRTP_MODE_ACCEPT, AVP S80, " RTP/AVP 0", "a=crypto:4 AES_CM_128_HMAC_SHA1_80 " },
        { SRTP_MODE_ACCEPT, SAVP F8 S32 S80, " RTP/SAVP 0", "a=crypto:5 AES_CM_128_HMAC_SHA1_32 " },
        { SRTP_MODE_ACCEPT, LINE("RTP/SAVPF") S80, " RTP/SAVPF 0", "a=crypto:4 " },
        { SRTP_MODE_ACCEPT, SAVP F8, "m=audio 0 RTP/SAVP 0", NULL },
        { SRTP_MODE_REQUIRE, AVP, "m=audio 0 RTP/AVP 0", NULL },
        { SRTP_MODE_REQUIRE, AVP S80, " RTP/AVP 0", "a=crypto:4 " },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pair p = new_pair(rows[i].mode);
        p.b->oa = OA_OFFER_RCVD;
        CHECK_TRUE(media_received(p.e, p.b, slice_str(rows[i].offer), true));
        struct slice s = media_describe(p.e, p.b, SL(AVP), -1);
        CHECK_EQ(lines_of(s, rows[i].want), 1);
        CHECK_EQ(lines_of(s, "a=crypto:"), rows[i].keys != NULL);
        CHECK_TRUE(!rows[i].keys || lines_of(s, rows[i].keys) == 1);
        CHECK_EQ(lines_of(s, KEY), 0);
        rig_collect(p.r);
        unsigned told = 0;
        for (unsigned m = 0; m < p.r->media_n; m++)
            told += p.r->media[m].verb == MEDIA_SRTP;
        CHECK_EQ(told, rows[i].keys != NULL);
        end_pair(&p);
    }
}

/* The last command about keys; verb MEDIA_OPEN: none since the last look. */
static struct media_cmd told_keys(struct pair *p) {
    struct media_cmd c = { .verb = MEDIA_OPEN };
    rig_collect(p->r);
    for (unsigned m = 0; m < p->r->media_n; m++)
        if (p->r->media[m].verb == MEDIA_SRTP)
            c = p->r->media[m];
    p->r->media_n = 0;
    return c;
}

/* Each offer gets a key of ours; it stays while the suite does, and the relay hears of changes only. */
static void test_keys_stay(void) {
    struct pair p = new_pair(SRTP_MODE_ACCEPT);
    p.b->oa = OA_OFFER_RCVD;
    media_received(p.e, p.b, SL(SAVP S80), true);
    media_describe(p.e, p.b, SL(AVP), -1);
    struct media_cmd first = told_keys(&p);
    CHECK_EQ(first.verb, MEDIA_SRTP);
    CHECK_EQ(first.keys.suite, SRTP_AES_CM_128_HMAC_SHA1_80);
    CHECK_TRUE(memcmp(first.keys.in, "YS___semctl () {\t220;}\n}\nunles", 30) == 0);
    p.b->oa = OA_STABLE;
    CHECK_EQ(lines_of(media_describe(p.e, p.b, SL(AVP), SDP_SENDONLY), "a=crypto:4 "), 1);
    p.b->oa = OA_OFFER_RCVD;
    media_offered(p.e, p.b, SL(SAVP S80 "a=sendonly\r\n"));
    media_describe(p.e, p.b, SL(AVP), SDP_RECVONLY);
    media_offer_settled(p.e, p.b, true);
    CHECK_EQ(told_keys(&p).verb, MEDIA_OPEN);
    media_offered(p.e, p.b, SL(SAVP S32));
    CHECK_EQ(told_keys(&p).verb, MEDIA_OPEN);
    media_describe(p.e, p.b, SL(AVP), -1);
    media_offer_settled(p.e, p.b, true);
    struct media_cmd second = told_keys(&p);
    CHECK_EQ(second.keys.suite, SRTP_AES_CM_128_HMAC_SHA1_32);
    CHECK_TRUE(memcmp(second.keys.out, first.keys.out, 30) != 0);
    p.b->oa = OA_STABLE;
    media_offer_settled(p.e, p.b, true);
    CHECK_EQ(told_keys(&p).verb, MEDIA_OPEN);
    media_take_up(p.e, p.b);
    media_resume(p.e, p.b);
    struct media_cmd third = told_keys(&p);
    CHECK_TRUE(third.keys.resumed && !second.keys.resumed);
    third.keys.resumed = false;
    CHECK_TRUE(memcmp(&third.keys, &second.keys, sizeof third.keys) == 0);
    end_pair(&p);
}

/* The keys of two legs, and of two lines, have nothing in common. */
static void test_keys_differ(void) {
    struct pair p = new_pair(SRTP_MODE_REQUIRE);
    struct slice a = media_describe(p.e, p.a, SL(AVP "m=video 4 RTP/AVP 31\r\n"), -1);
    struct slice b = media_describe(p.e, p.b, SL(AVP), -1);
    struct sdp_crypto c[6];
    unsigned n = 0;
    while (n < 4 && sdp_crypto_next(&a, &c[n]))
        n++;
    while (n < 6 && sdp_crypto_next(&b, &c[n]))
        n++;
    CHECK_EQ(n, 6);
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < i; j++)
            CHECK_TRUE(memcmp(c[i].key, c[j].key, 30) != 0);
    end_pair(&p);
}

/* A trace tells what came and went, but no key. */
static void test_traced(void) {
    struct engine_config c;
    rig_config(&c);
    c.trace_level = TRACE_WIRE;
    struct rig *r = rig_new(&c);
    uint64_t from = r->e->trace.head;
    struct addr other = { .ip = { 192, 0, 2, 1 }, .port = 5060, .family = ADDR_V4 };
    wire_trace(r->e, "recv", NULL, SL("INVITE sip:b SIP/2.0\r\n\r\n" SAVP S80 "a=crypto:6 X INLINE:" KEY "\r\n"),
               &other);
    unsigned lines = 0;
    for (uint64_t i = from; i < r->e->trace.head; i++) {
        const struct trace_line *line = trace_at(&r->e->trace, i);
        CHECK_EQ(lines_of(slice_of(line->detail, line->n), "WVNf"), 0);
        lines += lines_of(slice_of(line->detail, line->n), "AES_CM_128_HMAC_SHA1_80 inline:...");
        lines += lines_of(slice_of(line->detail, line->n), "a=crypto:6 X INLINE:...");
    }
    CHECK_EQ(lines, 2);
    rig_free(r);
}

int main(void) {
    return UNIT_RUN("media_srtp", UNIT(test_check), UNIT(test_offered), UNIT(test_answered), UNIT(test_keys_stay),
                    UNIT(test_keys_differ), UNIT(test_traced));
}
