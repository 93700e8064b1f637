/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/failure.h"
#include "tests/unit/call_rig.h"

static struct rig rig;
static struct rig_dialog a, b, b2, carol;

static void start(uint32_t failures) {
    struct engine_config c;
    rig_config(&c);
    c.failures = failures;
    c.trace_lines = 1024;
    c.max_depth = 100;
    rig_start(&rig, &c);
    rig_call(&rig, &a, &b, ALICE, BOB);
}

static void fail_blind(unsigned status) {
    rig_refer(&rig, &b, CAROL, NULL);
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&rig, CAROL, "INVITE", status, "", NULL);
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
}

static bool has(const char *text, const char *part) {
    if (!strstr(text, part))
        printf("\n\"%s\" is not in:\n%s\n", part, text);
    return strstr(text, part) != NULL;
}

static void test_blind(void) {
    char line[64];
    start(4);
    CHECK_EQ(*rig_order(&rig, "failures"), 0);
    CHECK_TRUE(has(rig_order(&rig, "failure 1"), "error: no failure 1"));
    fail_blind(486);
    const char *text = rig_order(&rig, "failures");
    CHECK_TRUE(has(text, "failure 1 at 17000000") && has(text, " blind in TARGET result 486\n"));
    CHECK_TRUE(strstr(text, "consultation") == NULL);
    text = rig_order(&rig, "failure 1");
    CHECK_TRUE(has(text, " leg 0 transferee UP STABLE "));
    CHECK_TRUE(has(text, " leg 1 transferor UP STABLE "));
    CHECK_TRUE(has(text, "recv: REFER sip:") && has(text, "send: INVITE sip:carol@") && has(text, "recv: SIP/2.0 486"));
    CHECK_TRUE(has(text, "transfer: NOTIFYING -> DONE"));
    CHECK_TRUE(strstr(text, " txn: ") == NULL);
    /* What was before the REFER is no part of it. */
    CHECK_TRUE(strstr(text, "SIP/2.0 180") == NULL);
    /* By the call, while it lives and afterwards. */
    snprintf(line, sizeof line, "show %.16s", strstr(text, " call ") + 6);
    CHECK_TRUE(has(rig_order(&rig, line), "failure 1 at "));
    rig_request(&rig, &b, "BYE", "", "");
    rig_reply(&rig, ALICE, "BYE", 200, "", NULL);
    rig_wait(&rig, 40 * 1000000ull);
    CHECK_EQ(*rig_order(&rig, "calls"), 0);
    CHECK_TRUE(has(rig_order(&rig, line), "recv: SIP/2.0 486"));
    rig_stop(&rig);
}

/* The transferee refuses what the target answered: both calls' legs are told, with the open offers. */
static void test_attended(void) {
    start(4);
    rig_call(&rig, &b2, &carol, BOB, CAROL);
    rig_refer(&rig, &b, CAROL, &b2);
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&rig, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42000), NULL);
    rig_reply(&rig, ALICE, "INVITE", 488, "", NULL);
    const char *text = rig_order(&rig, "failure 1");
    CHECK_TRUE(has(text, " consultation ") && has(text, " replace in TRANSFEREE ") && has(text, " result 488\n"));
    CHECK_TRUE(has(text, " consult UP ") && has(text, " replaced UP ") && has(text, " target UP STABLE "));
    CHECK_TRUE(has(text, "the transfer is not over yet"));
    rig_reply(&rig, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42000), NULL);
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
    text = rig_order(&rig, "failure 1");
    CHECK_TRUE(has(text, "recv: SIP/2.0 488") && has(text, "TRANSFEREE -> RESTORE_TARGET"));
    CHECK_TRUE(strstr(text, "not over yet") == NULL);
    rig_stop(&rig);
}

static void test_success_is_none(void) {
    start(4);
    rig_refer(&rig, &b, CAROL, NULL);
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&rig, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 42000), NULL);
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
    CHECK_EQ(metrics_get(engine_metrics(rig.e), M_transfers_done), 1);
    CHECK_EQ(*rig_order(&rig, "failures"), 0);
    rig_stop(&rig);
}

/* The oldest gives way; a long ladder keeps its end. */
static void test_bounds(void) {
    start(2);
    for (unsigned i = 0; i < 5; i++)
        fail_blind(i % 2 ? 486 : 603);
    const char *text = rig_order(&rig, "failures");
    CHECK_TRUE(strncmp(text, "failure 4 ", 10) == 0 && has(text, "\nfailure 5 "));
    CHECK_TRUE(has(rig_order(&rig, "failure 3"), "error: no failure"));
    CHECK_TRUE(has(rig_order(&rig, "failure 0"), "error: no failure"));
    rig_refer(&rig, &b, CAROL, NULL);
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
    for (unsigned i = 0; i < 55; i++)
        rig_request(&rig, &a, "OPTIONS", "", "");
    rig_reply(&rig, CAROL, "INVITE", 480, "", NULL);
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
    text = rig_order(&rig, "failure 6");
    CHECK_TRUE(has(text, "... lines before: ") && has(text, "recv: SIP/2.0 480") && has(text, "-> DONE"));
    rig_stop(&rig);
}

static void test_none_kept(void) {
    start(0);
    fail_blind(486);
    CHECK_EQ(*rig_order(&rig, "failures"), 0);
    CHECK_TRUE(has(rig_order(&rig, "failure 1"), "error: no failure"));
    rig_stop(&rig);
}

int main(void) {
    return UNIT_RUN("failure", UNIT(test_blind), UNIT(test_attended), UNIT(test_success_is_none), UNIT(test_bounds),
                    UNIT(test_none_kept));
}
