/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/cdr.h"
#include "core/b2b/policy.h"
#include "parser/sip_uri.h"
#include "tests/unit/call_rig.h"

static struct engine engine;
static struct rig rig;

static bool denied(const char *who, const char *uri) {
    struct sip_uri u;
    CHECK_TRUE(sip_uri_parse(slice_str(uri), &u) >= 0);
    return policy_transfer_denied(&engine, who ? slice_str(who) : SLICE_NONE, &u).p != NULL;
}

static void rules(const struct transfer_rule *list, uint32_t n) {
    static const struct user_config users[] = { { .name = "1001" } };
    static const char echo[][CONFIG_NAME_MAX] = { "echo" }, domains[][CONFIG_HOST_MAX] = { "example.com" };
    engine.policy = (struct policy_config){ .users = users, .user_count = 1, .echo = echo, .echo_count = 1,
                                            .domains = domains, .domain_count = 1, .rules = list, .rule_count = n };
}

static void test_first_fit(void) {
    static const struct transfer_rule list[] = {
        { .from = "user:boss", .prefix = "0900", .action = TRANSFER_ALLOW },
        { .prefix = "0900", .action = TRANSFER_DENY },
        { .domain = "evil.example", .action = TRANSFER_DENY },
        { .from = "peer:", .to = TRANSFER_TO_OUTSIDE, .action = TRANSFER_DENY },
    };
    rules(list, 0);
    CHECK_FALSE(denied("user:1001", "sip:0900123@example.com"));
    rules(list, 4);
    CHECK_FALSE(denied("user:boss", "sip:0900123@example.com"));
    CHECK_TRUE(denied("user:boss2", "sip:0900123@example.com"));
    CHECK_TRUE(denied("user:bos", "sip:0900123@example.com"));
    CHECK_TRUE(denied(NULL, "sip:0900123@example.com"));
    CHECK_FALSE(denied("user:1001", "sip:090@example.com"));
    CHECK_TRUE(denied("user:1001", "sip:alice@EVIL.example"));
    CHECK_FALSE(denied("user:1001", "sip:alice@good.example"));
    CHECK_TRUE(denied("peer:trunk", "sip:alice@good.example"));
    CHECK_TRUE(denied("peer:trunk", "sip:1001@good.example"));
    CHECK_TRUE(denied("peer:trunk", "sip:0049123@example.com"));
    CHECK_FALSE(denied("peer:trunk", "sip:1001@example.com"));
    CHECK_FALSE(denied("peer:trunk", "sip:echo@example.com"));
    CHECK_FALSE(denied(NULL, "sip:alice@good.example"));
}

/* The same number in other letters (T-14.5). */
static void test_no_way_round(void) {
    static const struct transfer_rule list[] = { { .prefix = "0900", .action = TRANSFER_DENY },
                                                 { .prefix = "+4990", .action = TRANSFER_DENY } };
    static const char *const forms[] = {
        "sip:%30900123@example.com", "sip:0-900-123@example.com", "sip:09%2d00123@example.com",
        "sip:(0900)123@example.com", "sip:%30%39%30%30123@example.com", "sip:0.900.123;ext=1@example.com",
        "tel:+49-90-0123",           "sip:+49.900123@example.com;user=phone", "sip:%2b4990@example.com",
    };
    rules(list, 2);
    for (unsigned i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!denied("user:1001", forms[i]))
            printf("\n%s passes\n", forms[i]);
        CHECK_TRUE(denied("user:1001", forms[i]));
    }
    /* Names are no numbers: their dots count. */
    CHECK_FALSE(denied("user:1001", "sip:0.900.bob@example.com"));
}

static void start(struct engine_config *c) {
    rig_config(c);
}

static void test_rule_refuses_refer(void) {
    static const struct transfer_rule list[] = { { .from = "peer:bob", .prefix = "carol", .action = TRANSFER_DENY } };
    struct engine_config c;
    struct rig_dialog a, b;
    start(&c);
    c.policy.rules = list;
    c.policy.rule_count = 1;
    rig_start(&rig, &c);
    rig_call(&rig, &a, &b, ALICE, BOB);
    rig_refer(&rig, &b, CAROL, NULL);
    CHECK_TRUE(strncmp(rig_last(&rig, BOB, "SIP/2.0", "REFER"), "SIP/2.0 403 Transfer to there not allowed", 41) == 0);
    CHECK_EQ(metrics_get(engine_metrics(rig.e), M_transfers_denied), 1);
    CHECK_TRUE(strstr(rig.cdr, "\"type\":\"refused\"") && strstr(rig.cdr, "\"as\":\"peer:bob\"") &&
               strstr(rig.cdr, "Transfer to there not allowed"));
    CHECK_EQ(*rig_last(&rig, CAROL, "INVITE", NULL), 0);
    /* The same by Alice, who may. */
    rig_refer(&rig, &a, CAROL, NULL);
    CHECK_TRUE(strncmp(rig_last(&rig, ALICE, "SIP/2.0", "REFER"), "SIP/2.0 202", 11) == 0);
    rig_stop(&rig);
}

/* A consultation with a forbidden party: the REFER's own words do not help. */
static void test_rule_sees_the_consultation(void) {
    static const struct transfer_rule list[] = { { .prefix = "carol", .action = TRANSFER_DENY } };
    struct engine_config c;
    struct rig_dialog a, b, b2, carol;
    start(&c);
    c.policy.rules = list;
    c.policy.rule_count = 1;
    rig_start(&rig, &c);
    rig_call(&rig, &a, &b, ALICE, BOB);
    rig_call(&rig, &b2, &carol, BOB, CAROL);
    rig_refer(&rig, &b, ALICE, &b2);
    CHECK_TRUE(strncmp(rig_last(&rig, BOB, "SIP/2.0", "REFER"), "SIP/2.0 403", 11) == 0);
    rig_stop(&rig);
}

/* One REFER after the other, each refused by the target. */
static unsigned refer_status(struct rig_dialog *d, enum rig_name to) {
    rig_refer(&rig, d, to, NULL);
    const char *resp = rig_last(&rig, d->who, "SIP/2.0", "REFER");
    return (unsigned)strtoul(resp + 8, NULL, 10);
}

static void finish_refused(struct rig_dialog *d) {
    rig_reply(&rig, d->who, "NOTIFY", 200, "", NULL);
    rig_reply(&rig, CAROL, "INVITE", 486, "", NULL);
    rig_reply(&rig, d->who, "NOTIFY", 200, "", NULL);
}

static void test_rate(void) {
    struct engine_config c;
    struct rig_dialog a, b;
    start(&c);
    c.transfers_per_minute = 3;
    c.max_depth = 200;
    rig_start(&rig, &c);
    rig_call(&rig, &a, &b, ALICE, BOB);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(refer_status(&b, CAROL), 202);
        finish_refused(&b);
    }
    CHECK_EQ(refer_status(&b, CAROL), 403);
    CHECK_TRUE(strstr(rig.cdr, "Too many transfers a minute") != NULL);
    /* Another party has its own; and 20 s later there is one more. */
    CHECK_EQ(refer_status(&a, CAROL), 202);
    finish_refused(&a);
    rig_wait(&rig, 20 * 1000000);
    CHECK_EQ(refer_status(&b, CAROL), 202);
    finish_refused(&b);
    CHECK_EQ(refer_status(&b, CAROL), 403);
    rig_stop(&rig);
}

/* A peer's own number, less and more than everybody's, in place of it. */
static void test_rate_of_one_peer(void) {
    struct engine_config c;
    struct rig_dialog a, b;
    struct peer_config peers[8];
    start(&c);
    CHECK_TRUE(c.policy.peer_count <= 8);
    memcpy(peers, c.policy.peers, c.policy.peer_count * sizeof *peers);
    for (uint32_t i = 0; i < c.policy.peer_count; i++)
        peers[i].transfers_per_minute = i == BOB ? 1 : i == ALICE ? 4 : 0;
    c.policy.peers = peers;
    c.transfers_per_minute = 2;
    c.max_depth = 200;
    rig_start(&rig, &c);
    rig_call(&rig, &a, &b, ALICE, BOB);
    CHECK_EQ(refer_status(&b, CAROL), 202);
    finish_refused(&b);
    CHECK_EQ(refer_status(&b, CAROL), 403);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(refer_status(&a, CAROL), 202);
        finish_refused(&a);
    }
    CHECK_EQ(refer_status(&a, CAROL), 403);
    rig_stop(&rig);
}

static void test_pending(void) {
    struct engine_config c;
    struct rig_dialog a, b, a2, b2;
    start(&c);
    c.transfers_pending = 1;
    rig_start(&rig, &c);
    rig_call(&rig, &a, &b, ALICE, BOB);
    rig_call(&rig, &a2, &b2, ALICE, BOB);
    CHECK_EQ(refer_status(&b, CAROL), 202);
    CHECK_EQ(refer_status(&b2, CAROL), 403);
    CHECK_TRUE(strstr(rig.cdr, "Too many transfers at a time") != NULL);
    /* Leaving at once does not help: it is still undecided. */
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
    rig_request(&rig, &b, "BYE", "", "");
    CHECK_EQ(refer_status(&b2, CAROL), 403);
    rig_reply(&rig, CAROL, "INVITE", 486, "", NULL);
    CHECK_EQ(refer_status(&b2, CAROL), 202);
    rig_stop(&rig);
}

/* T-14.4: 10 000 REFERs in one dialog while the first is being carried out. One transfer; records, log lines and memory
 * stay bounded; the call goes on. */
static void test_flood(void) {
    struct engine_config c;
    struct rig_dialog a, b;
    unsigned refused = 0;
    start(&c);
    c.txns_max = 400;
    rig_start(&rig, &c);
    rig_call(&rig, &a, &b, ALICE, BOB);
    CHECK_EQ(refer_status(&b, CAROL), 202);
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&rig, CAROL, "INVITE", 180, "", NULL);
    rig_reply(&rig, BOB, "NOTIFY", 200, "", NULL);
    struct rig_sent *ringing = malloc(sizeof *ringing);
    const char *invite = rig_last(&rig, CAROL, "INVITE", NULL);
    memcpy(ringing, invite - offsetof(struct rig_sent, text), sizeof *ringing);
    struct engine_census before, after;
    engine_census(rig.e, &before);
    uint32_t records = rig.cdr_n;
    uint64_t from = rig.now;
    for (unsigned i = 0; i < 10000; i++) {
        unsigned status = refer_status(&b, CAROL);
        refused += status == 491 || status == 503;
        rig.now -= 9900; /* ten thousand a second */
    }
    CHECK_EQ(refused, 10000);
    /* The other phone of the same call is not kept from anything. */
    rig_request(&rig, &a, "OPTIONS", "", "");
    CHECK_TRUE(strncmp(rig_last(&rig, ALICE, "SIP/2.0", "OPTIONS"), "SIP/2.0 200", 11) == 0);
    CHECK_EQ(metrics_get(engine_metrics(rig.e), M_transfers_started), 1);
    CHECK_TRUE(rig.cdr_n - records <= CDR_REFUSALS_A_SECOND * ((rig.now - from) / 1000000 + 2));
    engine_census(rig.e, &after);
    CHECK_EQ(after.transfers, before.transfers);
    CHECK_EQ(after.legs, before.legs);
    rig_wait(&rig, 40 * 1000000ull);
    engine_census(rig.e, &after);
    CHECK_TRUE(after.transactions <= before.transactions);
    rig.sent[rig.sent_n++ % RIG_SENT] = *ringing;
    rig_reply(&rig, CAROL, "INVITE", 486, "", NULL);
    CHECK_TRUE(strstr(rig_last(&rig, BOB, "NOTIFY", NULL), "SIP/2.0 486") != NULL);
    free(ringing);
    rig_stop(&rig);
}

int main(void) {
    return UNIT_RUN("policy_transfer", UNIT(test_first_fit), UNIT(test_no_way_round), UNIT(test_rule_refuses_refer),
                    UNIT(test_rule_sees_the_consultation), UNIT(test_rate), UNIT(test_rate_of_one_peer),
                    UNIT(test_pending), UNIT(test_flood));
}
