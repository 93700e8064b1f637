/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A leg has ended, and something of it is still unanswered, or its refusal unacknowledged: it goes with the bucket that
 * the leg's call was in last, and is not sent by who has lost that one (core/b2b/owner.c, owner_forget_lost).
 */
#include "core/b2b/leg.h"
#include "core/b2b/recover.h"
#include "core/b2b/transfer_fsm.h"
#include "tests/unit/pair_calls.h"

static struct engine_config config;

/* A party hung up while a re-INVITE to it was open, and the call is over: that goes on being sent, or cancelled, until
 * it is answered, but not when its bucket is another node's. */
static void lost_behind_the_end(bool rings, bool ours) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    unsigned bucket = pair_hash(&config, a.call_id);
    rig_request(&p->r, &a, "INVITE", "", rig_sdp("0", "sendonly", 40000));
    if (rings)
        rig_reply(&p->r, BOB, "INVITE", 100, "", NULL);
    pair_hang_up(p, &b, ALICE);
    CHECK_EQ(pair_calls(p, 0), 0);
    CHECK_EQ(*rig_last(&p->r, BOB, "CANCEL", NULL) != '\0', rings);
    pair_bucket(p, 0, BUCKET_LOST, ours ? bucket : bucket ^ 1, 2, 0);
    p->r.sent_n = 0;
    pair_wait(p, 60000000);
    CHECK_EQ(*rig_last(&p->r, BOB, rings ? "CANCEL" : "INVITE", NULL) != '\0', !ours);
    CHECK_TRUE(record_nothing_left(p->e[0]));
    pair_end(p);
}

static void test_lost_behind_the_end(void) {
    for (unsigned i = 0; i < 4; i++)
        lost_behind_the_end(i & 1, i & 2);
}

/* BOB asks CAROL, whom an INFO of his does not reach, and refers ALICE to her: her leg is in ALICE's bucket from then
 * on, and the consultation's goes to another node. */
static struct pair *pair_joined(struct rig_dialog *a, unsigned *calls, unsigned *consults) {
    struct pair *p = pair_new(&config);
    struct rig_dialog b, c, d;
    p->e[0]->cfg.attended = ATTENDED_JOIN;
    pair_entry(p, 0);
    pair_call_at(p, a, &b, 0, ALICE, BOB);
    pair_call_at(p, &c, &d, 0, BOB, CAROL);
    *calls = pair_hash(&config, a->call_id);
    *consults = pair_hash(&config, c.call_id);
    CHECK_TRUE(*calls / 2 != *consults / 2);
    rig_request(&p->r, &c, "INFO", "", "");
    rig_refer(&p->r, &b, CAROL, &c);
    rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&p->r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), NULL);
    rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
    pair_bucket(p, 0, BUCKET_LOST, *consults, 2, 0);
    pair_wait(p, 300000);
    CHECK_EQ(metrics_get(engine_metrics(p->e[0]), M_transfers_done), 1);
    return p;
}

/* Behind the end of that leg what has no answer goes with the bucket that it was in last. */
static void lost_behind_a_join(bool last) {
    struct rig_dialog a;
    unsigned calls, consults;
    struct pair *p = pair_joined(&a, &calls, &consults);
    pair_hang_up(p, &a, CAROL);
    if (last) {
        pair_bucket(p, 0, BUCKET_LOADING, consults, 0, 4);
        pair_bucket(p, 0, BUCKET_MINE, consults, 0, 4);
    }
    pair_bucket(p, 0, BUCKET_LOST, last ? calls : consults ^ 1, 2, 0);
    p->r.sent_n = 0;
    pair_wait(p, 60000000);
    CHECK_EQ(*rig_last(&p->r, CAROL, "INFO", NULL) != '\0', !last);
    CHECK_TRUE(record_nothing_left(p->e[0]));
    pair_end(p);
}

static void test_lost_behind_a_join(void) {
    lost_behind_a_join(false);
    lost_behind_a_join(true);
}

/* A party that hung up while a request of its own was open: that was refused, or nobody answers it, and the call is
 * over. The refusal of a re-INVITE goes on being sent until its ACK, and the 100 to another one is still to come, but
 * not when the bucket, which the ACK goes to, is another node's. */
static void answers_behind_the_end(const char *method, bool read, bool ours) {
    bool invite = strcmp(method, "INVITE") == 0;
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    p->e[0]->cfg.durability = DURABILITY_ASYNC;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    unsigned bucket = pair_hash(&config, a.call_id);
    rig_request(&p->r, &a, method, "", invite ? rig_sdp("0", "sendonly", 40000) : "");
    if (read)
        pair_taken_over(p, 0, bucket);
    pair_hang_up(p, &a, BOB);
    CHECK_EQ(pair_calls(p, 0), 0);
    pair_bucket(p, 0, BUCKET_LOST, ours ? bucket : bucket ^ 1, 2, 0);
    p->r.sent_n = 0;
    pair_wait(p, 60000000);
    CHECK_EQ(*rig_last(&p->r, ALICE, invite ? "SIP/2.0 487" : "SIP/2.0 100", method) != '\0', !ours);
    CHECK_TRUE(record_nothing_left(p->e[0]));
    pair_end(p);
}

static void test_answers_behind_the_end(void) {
    for (unsigned ours = 0; ours < 2; ours++) {
        answers_behind_the_end("INVITE", false, ours);
        answers_behind_the_end("INVITE", true, ours);
        answers_behind_the_end("INFO", false, ours);
    }
}

/* An INVITE that began a call waits for its final response, whoever has the bucket, and is not sent again: of a call
 * that is over nobody else could give it. */
static void test_refused_behind_the_end(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a;
    pair_invite_at(p, &a, 0, ALICE, BOB);
    rig_reply(&p->r, BOB, "INVITE", 486, "", NULL);
    CHECK_EQ(pair_calls(p, 0), 0);
    pair_bucket(p, 0, BUCKET_LOST, pair_hash(&config, a.call_id), 2, 0);
    p->r.sent_n = 0;
    pair_wait(p, 60000000);
    CHECK_TRUE(*rig_last(&p->r, ALICE, "SIP/2.0 486", "INVITE") != '\0');
    CHECK_TRUE(record_nothing_left(p->e[0]));
    pair_end(p);
}

int main(void) {
    return UNIT_RUN("behind the end", UNIT(test_lost_behind_the_end), UNIT(test_lost_behind_a_join),
                    UNIT(test_answers_behind_the_end), UNIT(test_refused_behind_the_end));
}
