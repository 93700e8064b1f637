/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Two engines of one process, each with its half of the buckets and of the media ports: calls wherever their messages
 * arrive, and an attended transfer whose two calls two shards have.
 */
#include "core/b2b/failure.h"
#include "core/b2b/move.h"
#include "tests/unit/pair_calls.h"

static struct engine_config config;

static void call_from_anywhere(bool siblings) {
    for (unsigned entry = 0; entry < 3; entry++)
        for (unsigned owner = 0; owner < 2; owner++) {
            struct pair *p = siblings ? pair_siblings(&config) : pair_shards(&config);
            struct rig_dialog a, b;
            pair_entry(p, entry);
            pair_call_at(p, &a, &b, owner, ALICE, BOB);
            CHECK_EQ(pair_calls(p, owner), 1);
            CHECK_TRUE(entry == owner ? p->peer_n == 0 : p->peer_n > 0);
            pair_hang_up(p, &a, BOB);
            pair_wait(p, 60000000);
            CHECK_TRUE(pair_is_quiet(p));
            CHECK_EQ(p->asked_n, 0);
            pair_end(p);
        }
}

static void test_call_from_anywhere(void) {
    call_from_anywhere(false);
    call_from_anywhere(true);
}

/* What was lent is there again. */
static void check_all_ports(struct pair *p, unsigned i) {
    struct port_pool *pool = &p->e[i]->ports;
    uint32_t generation, n = 0;
    while (port_pool_take(pool, p->r.now, &generation) != PORT_POOL_NONE)
        n++;
    CHECK_EQ(n, config.media_own_end - config.media_own_first);
}

static unsigned ports(const struct pair *p, unsigned i) {
    struct engine_census c;
    engine_census(p->e[i], &c);
    return c.ports;
}

/* ALICE was not held: where the codec is the same she need not be told. */
static void answer_splice(struct pair *p) {
    if (!*rig_last(&p->r, ALICE, "INVITE", NULL))
        return;
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    CHECK_TRUE(*rig_last(&p->r, ALICE, "ACK", NULL) != '\0');
}

static void attended(bool siblings) {
    for (unsigned entry = 0; entry < 3; entry++)
        for (unsigned first = 0; first < 2; first++) {
            struct pair *p = siblings ? pair_siblings(&config) : pair_shards(&config);
            struct rig_dialog a, b, c, d, carol;
            struct rig *r = &p->r;
            pair_entry(p, entry);
            pair_call_at(p, &a, &b, first, ALICE, BOB);
            pair_call_at(p, &c, &d, !first, BOB, CAROL);
            rig_refer(r, &b, CAROL, &c);
            pair_wait(p, 100000);
            CHECK_EQ(pair_calls(p, first), 0);
            CHECK_EQ(pair_calls(p, !first), 2);
            CHECK_TRUE(*rig_last(r, BOB, "SIP/2.0 202", "REFER") != '\0');
            /* Its ports come along: nobody is told anything. */
            CHECK_EQ(*rig_last(r, ALICE, "INVITE", NULL), '\0');
            CHECK_EQ(ports(p, first), 0);
            CHECK_EQ(ports(p, !first), 5); /* and one for CAROL */
            CHECK_EQ(p->returned, 0);
            CHECK_TRUE(strstr(rig_last(r, CAROL, "INVITE", NULL), "Replaces: ") != NULL);
            rig_reply(r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), &carol);
            /* The clock has not moved: what comes behind the call is not held off. */
            CHECK_TRUE(*rig_last(r, CAROL, "ACK", NULL) != '\0');
            answer_splice(p);
            rig_request(r, &d, "BYE", "", "");
            rig_reply(r, BOB, "BYE", 200, "", NULL);
            for (unsigned i = 0; i < 3; i++)
                rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
            pair_wait(p, 4000000);
            rig_reply(r, BOB, "BYE", 200, "", NULL);
            CHECK_EQ(metrics_get(engine_metrics(p->e[!first]), M_transfers_done), 1);
            CHECK_EQ(metrics_get(engine_metrics(p->e[first]), M_calls_moved), 1);
            rig_request(r, &a, "BYE", "", "");
            CHECK_TRUE(*rig_last(r, ALICE, "SIP/2.0 200", "BYE") != '\0');
            rig_reply(r, CAROL, "BYE", 200, "", NULL);
            pair_wait(p, 120000000);
            CHECK_TRUE(pair_is_quiet(p));
            CHECK_EQ(p->returned, 2);
            check_all_ports(p, first);
            pair_end(p);
        }
}

static void test_attended(void) {
    attended(false);
    attended(true);
}

/* A bucket that goes from shard to shard by the lease: who had it may not know yet, so its pair is not touched. Of a
 * call that has come with its ports, those go home. */
static void taken(bool moved) {
    struct pair *p = pair_siblings(&config);
    struct rig_dialog a, b, c, d;
    struct rig *r = &p->r;
    unsigned last = moved;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    unsigned bucket = pair_hash(&config, a.call_id);
    if (moved) {
        pair_call_at(p, &c, &d, 1, BOB, CAROL);
        bucket = pair_hash(&config, c.call_id);
        rig_refer(r, &b, CAROL, &c);
        pair_wait(p, 100000);
        rig_reply(r, CAROL, "INVITE", 486, "", NULL); /* it fails, and the call is there */
        for (unsigned i = 0; i < 3; i++)
            rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
        pair_hang_up(p, &c, CAROL);
    }
    pair_wait(p, 40000000);
    CHECK_EQ(pair_calls(p, last), 1);
    CHECK_EQ(p->returned, 0);
    struct store_op claim = { .verb = STORE_CLAIM, .bucket = (uint16_t)bucket, .node = p->number[!last],
                              .former = p->number[last], .epoch = 1 };
    store_submit(p->store, &claim, rig_wall_ms(r));
    /* First the new owner, then the old one hears of it. */
    pair_bucket(p, !last, BUCKET_LOADING, bucket, 0, 2);
    pair_load(p, !last, bucket, SL("moved"));
    pair_load(p, !last, bucket, SL("call"));
    pair_bucket(p, !last, BUCKET_MINE, bucket, 0, 2);
    CHECK_EQ(pair_calls(p, !last), 1);
    CHECK_EQ(ports(p, last), 2);
    CHECK_EQ(ports(p, !last), 2);
    pair_bucket(p, last, BUCKET_LOST, bucket, p->number[!last], 2);
    pair_step(p, last, &(struct event){ .kind = EV_DEADLINE });
    CHECK_EQ(pair_calls(p, last), 0);
    CHECK_EQ(ports(p, last), 0);
    CHECK_EQ(p->returned, moved ? 2 : 0);
    pair_wait(p, 2000000);
    CHECK_TRUE(*rig_last(r, ALICE, "INVITE", NULL) != '\0'); /* she is told of other ports */
    rig_reply(r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    rig_reply(r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    pair_entry(p, !last);
    a.cseq += 10;
    pair_hang_up(p, &a, BOB);
    pair_wait(p, 120000000);
    CHECK_TRUE(pair_is_quiet(p));
    check_all_ports(p, 0);
    check_all_ports(p, 1);
    pair_end(p);
}

static void test_taken(void) {
    taken(false);
}

static void test_taken_behind_move(void) {
    taken(true);
}

/* What the one that a call goes to is told last; it comes late. */
static struct event late_go;
static char late_text[1000];

static void keep_go(struct rig *r, const struct out *o) {
    const struct pair *p = pair_of(r);
    if (o->kind == OUT_PEER && o->u.peer.what == PEER_GO) {
        struct slice text = buf_slice(o->u.peer.buf);
        CHECK(text.n <= sizeof late_text);
        memcpy(late_text, text.p, text.n);
        late_go = (struct event){ .kind = EV_PEER, .u.peer.what = PEER_GO, .u.peer.from = p->number[pair_current(p)] };
        late_go.u.peer.bytes = slice_of(late_text, text.n);
    }
    pair_on_out(r, o);
}

/* Its ports were left to whoever was to have the call; that one has found out by the store that it is its own, and gave
 * it others; or has lost its bucket. */
static void ports_left(bool lost) {
    struct pair *p = pair_siblings(&config);
    struct rig_dialog a, b, c, d;
    struct rig *r = &p->r;
    p->r.on_out = keep_go;
    p->lose = PEER_GO + 1;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    pair_call_at(p, &c, &d, 1, BOB, CAROL);
    unsigned bucket = pair_hash(&config, c.call_id);
    rig_refer(r, &b, CAROL, &c);
    pair_wait(p, 100000);
    CHECK_EQ(pair_calls(p, 0), 0);
    CHECK_EQ(late_go.u.peer.from, p->number[0]);
    if (lost)
        pair_bucket(p, 1, BUCKET_LOST, bucket, 0, 2);
    else
        pair_wait(p, 4000000);
    CHECK_EQ(pair_calls(p, 1), lost ? 1 : 2); /* who has lost it forgets it in its next step */
    CHECK_EQ(p->returned, 0);
    pair_step(p, 1, &late_go);
    CHECK_EQ(p->returned, 2);
    pair_wait(p, 60000000);
    check_all_ports(p, 0);
    pair_end(p);
}

static void test_ports_left(void) {
    ports_left(false);
    ports_left(true);
}

/* A number of a failed transfer is one of the whole process. */
static void test_failures(void) {
    struct pair *p = pair_shards(&config);
    for (unsigned i = 0; i < 4; i++) {
        struct rig_dialog a, b;
        pair_call_at(p, &a, &b, i % 2, ALICE, BOB);
        rig_refer(&p->r, &b, CAROL, NULL);
        rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
        rig_reply(&p->r, CAROL, "INVITE", 486, "", NULL);
        rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
        pair_hang_up(p, &a, BOB);
    }
    for (unsigned number = 1; number <= 4; number++) {
        CHECK_TRUE(failure_get(p->e[(number - 1) % 2], number) != NULL);
        CHECK_TRUE(failure_get(p->e[number % 2], number) == NULL);
    }
    CHECK_EQ(failure_nth(p->e[1], 2)->number, 4);
    pair_end(p);
}

/* Who waits for a call that is on its way is not done. */
static void test_drained(void) {
    struct pair *p = pair_shards(&config);
    struct rig_dialog a, b, c, d;
    struct event ev = { .kind = EV_DRAIN };
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    pair_call_at(p, &c, &d, 1, BOB, CAROL);
    ev.u.drain.deadline_us = p->r.now + 60000000;
    pair_step(p, 0, &ev);
    CHECK_FALSE(engine_drained(p->e[0]));
    p->lose = PEER_GO + 1;
    rig_refer(&p->r, &b, CAROL, &c);
    pair_wait(p, 0);
    CHECK_TRUE(engine_drained(p->e[0]));
    pair_step(p, 1, &ev);
    pair_hang_up(p, &c, CAROL);
    pair_wait(p, 1000000);
    CHECK_EQ(pair_calls(p, 1), 0);
    CHECK_FALSE(engine_drained(p->e[1]));
    pair_end(p);
}

int main(void) {
    return UNIT_RUN("shard engines", UNIT(test_call_from_anywhere), UNIT(test_attended), UNIT(test_taken),
                    UNIT(test_taken_behind_move), UNIT(test_ports_left), UNIT(test_failures), UNIT(test_drained));
}
