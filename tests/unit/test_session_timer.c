/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RFC 4028 without time and wires: what is asked for, what is answered, who refreshes. */
#include "core/sip/session_timer.h"

#include "tests/unit/ua_fixture.h"

static const struct session_config standard = { .expires_s = 1800, .min_se_s = 90 };
static char mem[SESSION_LINES_MAX];

static const struct sip_msg *request(struct ua_fix *f, const char *lines) {
    static char text[1024];
    snprintf(text, sizeof text,
             "INVITE sip:b@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa\nFrom: <sip:a@x>;tag=1\n"
             "To: <sip:b@x>\nCall-ID: c\nCSeq: 1 INVITE\nMax-Forwards: 70\n%sContent-Length: 0\n\n",
             lines);
    return ua_fix_msg(f, text);
}

static const struct sip_msg *response(struct ua_fix *f, unsigned status, const char *lines) {
    static char text[1024];
    snprintf(text, sizeof text,
             "SIP/2.0 %u X\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa\nFrom: <sip:a@x>;tag=1\n"
             "To: <sip:b@x>;tag=2\nCall-ID: c\nCSeq: 1 INVITE\n%sContent-Length: 0\n\n",
             status, lines);
    return ua_fix_msg(f, text);
}

static struct slice answer(const struct session_config *c, struct session_timer *t, struct ua_fix *f,
                           const char *lines) {
    struct sbuf b = sbuf_on(mem, sizeof mem);
    const struct sip_msg *m = request(f, lines);
    struct session_asked asked = session_asked(m, session_is_known(m));
    session_answer(&b, c, t, &asked);
    return sbuf_slice(&b);
}

static struct slice ask(const struct session_config *c, const struct session_timer *t, bool first) {
    struct sbuf b = sbuf_on(mem, sizeof mem);
    session_put_request(&b, c, t, first);
    return sbuf_slice(&b);
}

/* Table 2 of section 9: who refreshes, by what the UAC supports and says; and whether Require stands there. */
static void test_refresher_of_an_answer(void) {
    static const struct {
        const char *lines, *auto_says, *us_says;
    } rows[] = {
        { "Session-Expires: 600\n", "Session-Expires: 600;refresher=uas\r\n",
          "Session-Expires: 600;refresher=uas\r\n" },
        { "Session-Expires: 600;refresher=uas\n", "Session-Expires: 600;refresher=uas\r\n",
          "Session-Expires: 600;refresher=uas\r\n" },
        { "Supported: timer\nSession-Expires: 600\n", "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\n",
          "Session-Expires: 600;refresher=uas\r\n" },
        { "k: timer\nx: 600 ;refresher=UAC\n", "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\n",
          "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\n" },
        { "Supported: timer\nSession-Expires: 600;refresher=uas\n", "Session-Expires: 600;refresher=uas\r\n",
          "Session-Expires: 600;refresher=uas\r\n" },
        { "Supported: timer\n", "Session-Expires: 1800;refresher=uac\r\nRequire: timer\r\n",
          "Session-Expires: 1800;refresher=uas\r\n" },
        { "", "", "Session-Expires: 1800;refresher=uas\r\n" },
    };
    struct ua_fix *f = ua_fix_new();
    struct session_config us = standard;
    us.refresher = SESSION_US;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct session_timer t = { 0 };
        CHECK_SLICE(answer(&standard, &t, f, rows[i].lines), rows[i].auto_says);
        CHECK_EQ(t.ours, strstr(rows[i].auto_says, "=uas") != NULL);
        CHECK_EQ(t.expires_s != 0, rows[i].auto_says[0] != 0);
        t = (struct session_timer){ 0 };
        CHECK_SLICE(answer(&us, &t, f, rows[i].lines), rows[i].us_says);
        CHECK_EQ(t.ours, strstr(rows[i].us_says, "=uas") != NULL);
    }
    ua_fix_end(f);
}

/* Never more than was asked, never less than Min-SE or our own minimum (section 9). */
static void test_interval_of_an_answer(void) {
    static const struct {
        const char *lines;
        uint32_t expires;
    } rows[] = {
        { "Supported: timer\nSession-Expires: 100\n", 100 },
        { "Supported: timer\nSession-Expires: 3600\n", 1800 },
        { "Supported: timer\nSession-Expires: 3600\nMin-SE: 2000\n", 2000 },
        { "Supported: timer\nSession-Expires: 3600\nMin-SE: 9000\n", 3600 },
        { "Supported: timer\nMin-SE: 2000\n", 2000 },
        { "Session-Expires: 30\n", 30 }, /* it does not know 422 */
        { "Session-Expires: x\n", 0 },
        { "Session-Expires: 99999999999;refresher=uac;a=b\n", 1800 },
    };
    struct ua_fix *f = ua_fix_new();
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct session_timer t = { 0 };
        answer(&standard, &t, f, rows[i].lines);
        CHECK_EQ(t.expires_s, rows[i].expires);
    }
    /* Off: nothing is asked for, who asks is served. */
    struct session_config off = { .min_se_s = 90 };
    struct session_timer t = { 0 };
    CHECK_EQ(answer(&off, &t, f, "Supported: timer\n").n, 0);
    answer(&off, &t, f, "Supported: timer\nSession-Expires: 5000\n");
    CHECK_EQ(t.expires_s, 5000);
    CHECK_EQ(ask(&off, &(struct session_timer){ 0 }, true).n, 0);
    ua_fix_end(f);
}

static void test_too_short(void) {
    struct ua_fix *f = ua_fix_new();
    CHECK_TRUE(session_is_too_short(&standard, request(f, "Supported: timer\nSession-Expires: 89\n")));
    CHECK_TRUE(session_is_too_short(&standard, request(f, "Require: timer\nSession-Expires: 0\n")));
    CHECK_TRUE(session_is_too_short(&standard, request(f, "Supported: timer\nSession-Expires: -1\n")));
    CHECK_TRUE(!session_is_too_short(&standard, request(f, "Supported: timer\nSession-Expires: 90\n")));
    CHECK_TRUE(!session_is_too_short(&standard, request(f, "Session-Expires: 89\n")));
    CHECK_TRUE(!session_is_too_short(&standard, request(f, "Supported: timer\n")));
    struct sbuf b = sbuf_on(mem, sizeof mem);
    session_put_min_se(&b, &standard);
    CHECK_SLICE(sbuf_slice(&b), "Min-SE: 90\r\n");
    ua_fix_end(f);
}

/* The first request names a refresher only if the configuration does; later ones keep the roles (section 7.4). */
static void test_requests(void) {
    struct session_config us = standard, peer = standard, slow = standard;
    us.refresher = SESSION_US;
    peer.refresher = SESSION_PEER;
    slow.min_se_s = 300;
    struct session_timer none = { 0 }, ours = { .expires_s = 600, .ours = true }, theirs = { .expires_s = 600 },
                         raised = { .expires_s = 600, .min_se_s = 900 };
    CHECK_SLICE(ask(&standard, &none, true), "Session-Expires: 1800\r\n");
    CHECK_SLICE(ask(&us, &none, true), "Session-Expires: 1800;refresher=uac\r\n");
    CHECK_SLICE(ask(&peer, &none, true), "Session-Expires: 1800;refresher=uas\r\n");
    CHECK_SLICE(ask(&slow, &none, true), "Session-Expires: 1800\r\nMin-SE: 300\r\n");
    CHECK_EQ(ask(&standard, &none, false).n, 0);
    CHECK_SLICE(ask(&us, &none, false), "Session-Expires: 1800;refresher=uac\r\n");
    CHECK_SLICE(ask(&peer, &ours, false), "Session-Expires: 600;refresher=uac\r\n");
    CHECK_SLICE(ask(&us, &theirs, false), "Session-Expires: 600;refresher=uas\r\n");
    CHECK_SLICE(ask(&standard, &raised, false), "Session-Expires: 900;refresher=uas\r\nMin-SE: 900\r\n");
}

static void test_answers_to_ours(void) {
    struct ua_fix *f = ua_fix_new();
    struct session_config us = standard;
    us.refresher = SESSION_US;
    struct session_timer t = { 0 };
    session_answered(&standard, &t, response(f, 200, "Session-Expires: 600;refresher=uas\n"));
    CHECK_TRUE(t.expires_s == 600 && !t.ours);
    session_answered(&standard, &t, response(f, 200, "Session-Expires: 700;refresher=uac\nRequire: timer\n"));
    CHECK_TRUE(t.expires_s == 700 && t.ours);
    session_answered(&standard, &t, response(f, 200, "Session-Expires: 700\n"));
    CHECK_TRUE(t.expires_s == 700 && t.ours);
    session_answered(&standard, &t, response(f, 200, "Session-Expires: 1;refresher=uac\n"));
    CHECK_EQ(t.expires_s, 90);
    session_answered(&standard, &t, response(f, 200, ""));
    CHECK_TRUE(t.expires_s == 0 && !t.ours);
    session_answered(&us, &t, response(f, 200, ""));
    CHECK_TRUE(t.expires_s == 1800 && t.ours);
    ua_fix_end(f);
}

static void test_422(void) {
    struct ua_fix *f = ua_fix_new();
    struct session_timer t = { 0 };
    CHECK_TRUE(!session_raise(&standard, &t, response(f, 422, "")));
    CHECK_TRUE(!session_raise(&standard, &t, response(f, 422, "Min-SE: 1800\n")));
    CHECK_TRUE(!session_raise(&standard, &t, response(f, 422, "Min-SE: 4000000000\n")));
    CHECK_EQ(t.min_se_s, 0);
    CHECK_TRUE(session_raise(&standard, &t, response(f, 422, "Min-SE: 1801;x=y\n")));
    CHECK_SLICE(ask(&standard, &t, true), "Session-Expires: 1801\r\nMin-SE: 1801\r\n");
    CHECK_TRUE(!session_raise(&standard, &t, response(f, 422, "Min-SE: 1801\n")));
    ua_fix_end(f);
}

/* Section 10: half the interval; the end a third or 32 s before it is over. */
static void test_times(void) {
    const struct session_timer day = { .expires_s = 1800 }, low = { .expires_s = 90 }, tiny = { .expires_s = 1 };
    CHECK_EQ(session_refresh_after(&day), 900);
    CHECK_EQ(session_end_after(&day), 1768);
    CHECK_EQ(session_refresh_after(&low), 45);
    CHECK_EQ(session_end_after(&low), 60);
    CHECK_EQ(session_refresh_after(&tiny), 1);
    CHECK_EQ(session_end_after(&tiny), 1);
}

int main(void) {
    return UNIT_RUN("session_timer", UNIT(test_refresher_of_an_answer), UNIT(test_interval_of_an_answer),
                    UNIT(test_too_short), UNIT(test_requests), UNIT(test_answers_to_ours), UNIT(test_422),
                    UNIT(test_times));
}
