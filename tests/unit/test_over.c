/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Word between two engines that a call, or legs of it, are over (core/b2b/owner_over.h): what still rings ends, a
 * record that is there again goes, and who is being told how its transfer ended is told first. A leg that is another
 * dialog here than it was there stays, and one that has picked up here while it was cancelled there. And what of a
 * bucket that is claimed anew is read and written.
 */
#include "core/b2b/owner_over_word.h"
#include "tests/unit/over_rig.h"

static struct engine_config config;

/* The former owner says that a leg, or the call, is over, which here still rings: what rings is cancelled, its INVITE's
 * end tells the rest, and nothing stays. */
static void over(bool all) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    char text[20];
    struct sbuf s = sbuf_on(text, sizeof text);
    pair_invite_at(p, &a, 0, ALICE, BOB);
    rig_reply(&p->r, BOB, "INVITE", 180, "", &b);
    const struct call *c = rig_only_call(p->e[0]);
    struct event ev = { .kind = EV_PEER, .u.peer = { .what = PEER_OVER, .from = 2, .bucket = c->bucket } };
    sbuf_hex(&s, c->id, 16);
    sbuf_hex(&s, UINT8_MAX, 2);
    if (!all)
        sbuf_hex(&s, leg_get(p->e[0], c->legs[0])->number, 2);
    ev.u.peer.bytes = sbuf_slice(&s);
    pair_step(p, 0, &ev);
    CHECK_TRUE(*rig_last(&p->r, BOB, "CANCEL", NULL) != '\0');
    rig_reply(&p->r, BOB, "CANCEL", 481, "", NULL);
    pair_wait(p, 70000000);
    if (!all)
        rig_request(&p->r, &a, "ACK", "", "");
    CHECK_EQ(*rig_last(&p->r, ALICE, "SIP/2.0 480", "INVITE") != '\0', !all);
    pair_wait(p, 70000000);
    CHECK_TRUE(pair_is_quiet(p));
    pair_end(p);
}

static void test_over(void) {
    over(true);
    over(false);
}

/* Who has lost the bucket says so while its successor is still reading it. */
static void test_over_while_loading(void) {
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 1);
    pair_entry(p, 1);
    pair_bucket(p, 1, BUCKET_LOADING, o.bucket, 0, 2);
    pair_step(p, 1, &o.ev);
    pair_taken_by(p, 1, o.bucket);
    CHECK_EQ(pair_calls(p, 1), 1);
    pair_wait(p, 300000);
    rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
    pair_wait(p, 70000000);
    CHECK_EQ(metrics_get(engine_metrics(p->e[1]), M_legs_over), 1); /* the other one by that */
    CHECK_TRUE(pair_is_quiet(p));
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
    pair_end(p);
}

/* Who has slept hears it before it knows whether the bucket is still its own. */
static void test_over_while_suspended(void) {
    for (unsigned lost = 0; lost < 2; lost++) {
        struct over_word o;
        struct pair *p = over_begin(&o, &config, 2);
        act(p, 0, true);
        pair_step(p, 0, &o.ev);
        CHECK_TRUE(*rig_last(&p->r, BOB, "BYE", NULL) == '\0');
        if (lost)
            pair_bucket(p, 0, BUCKET_OWNER, o.bucket, 2, 2);
        act(p, 0, false);
        pair_wait(p, 300000);
        CHECK_EQ(*rig_last(&p->r, BOB, "BYE", NULL) != '\0', !lost);
        pair_end(p);
    }
}

/* A promoted server has the record of a call that is over, and whose bucket has gone to another node since: that one
 * deletes it, but not if it has the call. */
static void test_over_and_there_again(void) {
    for (unsigned knows = 0; knows < 2; knows++) {
        struct over_word o;
        struct pair *p = over_begin(&o, &config, 2);
        CHECK_TRUE(keep_record(p, o.bucket, false));
        if (!knows) {
            pair_hang_up(p, &o.a, BOB);
            CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
            CHECK_TRUE(keep_record(p, o.bucket, true));
        }
        pair_step(p, 0, &o.ev);
        CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 1);
        pair_wait(p, 300000);
        CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), knows);
        pair_end(p);
    }
}

/* A bucket that is read again while the record of a call that is over is still to be deleted: it is not taken up. */
static void test_over_and_read_again(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    p->e[0]->cfg.durability = DURABILITY_ASYNC;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    unsigned bucket = pair_hash(&config, a.call_id);
    p->keeps_records = true;
    pair_hang_up(p, &a, BOB);
    CHECK_EQ(pair_calls(p, 0), 0);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 1);
    pair_taken_over(p, 0, bucket);
    CHECK_EQ(pair_calls(p, 0), 0);
    p->keeps_records = false;
    pair_wait(p, 3000000);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 0);
    pair_end(p);
}

/* Version of the call that is in another bucket. */
static uint64_t version_of_other(const struct engine *e, unsigned first, unsigned *bucket) {
    uint32_t cursor = 0;
    handle h;
    for (const struct call *c; (c = pool_next(&e->calls, &cursor, &h));)
        if (c->bucket != first) {
            *bucket = c->bucket;
            return c->version;
        }
    return 0;
}

/* A bucket that was claimed anew: the records of its calls are written, and those of no other. */
static void test_written_again(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b, c, d;
    unsigned first, other = 0;
    p->e[0]->cfg.durability = DURABILITY_ASYNC;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    pair_call_at(p, &c, &d, 0, ALICE, CAROL);
    first = pair_hash(&config, a.call_id);
    uint64_t version = version_of_other(p->e[0], first, &other);
    CHECK_TRUE(version > 0);
    lose_record(p, first);
    lose_record(p, other);
    struct event ev = { .kind = EV_BUCKET, .u.bucket = { .what = BUCKET_MINE, .bucket = (uint16_t)first } };
    ev.u.bucket.epoch = owner_epoch(p->e[0], (uint16_t)first);
    ev.u.bucket.rewrite = true;
    pair_step(p, 0, &ev);
    pair_wait(p, 300000);
    CHECK_EQ(store_count(p->store, SL("call"), rig_wall_ms(&p->r)), 1);
    CHECK_EQ(version_of_other(p->e[0], first, &other), version);
    pair_end(p);
}

/* ---- of a leg that is another dialog here ---- */

/* The last word, as it was sent. */
static char said[128];
static uint32_t said_n;

static void keep_word(struct rig *r, const struct out *o) {
    if (o->kind == OUT_PEER && o->u.peer.what == PEER_OVER) {
        struct slice bytes = buf_slice(o->u.peer.buf);
        CHECK_TRUE(bytes.n <= OVER_LEN);
        said_n = bytes.n <= OVER_LEN ? bytes.n : 0;
        memcpy(said, bytes.p, said_n);
    }
    pair_on_out(r, o);
}

/* BOB, with that tag. */
static void answer(struct pair *p, const char *tag) {
    char text[RIG_TEXT], via[512], from[512], to[512], call_id[256], cseq[128];
    const char *req = rig_last(&p->r, BOB, "INVITE", NULL);
    rig_lines(req, "Via", via, sizeof via);
    rig_lines(req, "From", from, sizeof from);
    rig_lines(req, "To", to, sizeof to);
    rig_lines(req, "Call-ID", call_id, sizeof call_id);
    rig_lines(req, "CSeq", cseq, sizeof cseq);
    snprintf(text, sizeof text, "SIP/2.0 200 OK\r\n%s%s%.*s;tag=%s\r\n%s%sContact: <sip:bob@192.0.2.20>\r\n", via,
             from, (int)strlen(to) - 2, to, tag, call_id, cseq);
    rig_put_body(text, sizeof text, rig_sdp("0", "sendrecv", 41000));
    rig_recv(&p->r, BOB, text);
}

/* The first engine, which can store nothing any more, goes on with a call that rang: BOB answers, has ALICE talk with
 * CAROL instead, and is hung up on, which he answers or not. */
static void go_on_unstored(struct pair *p, struct rig_dialog *a, struct rig_dialog *b, bool gone) {
    struct rig_dialog c = { .cseq = 1 };
    pair_invite_at(p, a, 0, ALICE, BOB);
    p->takes_none = true;
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), b);
    rig_learn(&p->r, a, "SIP/2.0 200");
    rig_request(&p->r, a, "ACK", "", "");
    rig_refer(&p->r, b, CAROL, NULL);
    rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(&p->r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), &c);
    rig_reply(&p->r, BOB, "NOTIFY", 200, "", NULL);
    pair_wait(p, 10000000);
    if (gone)
        rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
    p->takes_none = false;
}

/* The other one claims the bucket, goes on from what was stored, and calls BOB anew. */
static void go_on_from_record(struct pair *p, struct rig_dialog *a, unsigned bucket, const char *tag) {
    store_claim(p, 1, (uint16_t)bucket, 1);
    pair_entry(p, 1);
    pair_bucket(p, 1, BUCKET_LOADING, bucket, 0, 2);
    pair_load(p, 1, bucket, SL("call"));
    pair_bucket(p, 1, BUCKET_MINE, bucket, 0, 2);
    answer(p, tag);
    rig_request(&p->r, a, "ACK", "", "");
}

enum word { WORD, WORD_OF_OLDER, WORD_CUT, WORDS };

/* Who hears that the leg is over ends it if it is the dialog that it was there, or if that is not said: by a peer of an
 * older release, or where there was no room. */
static void over_elsewhere(bool gone, bool same, enum word how) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b = { .cseq = 1 };
    p->e[0]->cfg.durability = p->e[1]->cfg.durability = DURABILITY_ASYNC;
    p->r.on_out = keep_word;
    go_on_unstored(p, &a, &b, gone);
    unsigned bucket = pair_hash(&config, a.call_id);
    go_on_from_record(p, &a, bucket, same ? b.local_tag : "again");
    CHECK_EQ(rig_only_call(p->e[0])->leg_count, gone ? 2 : 3);
    CHECK_EQ(pair_calls(p, 1), 1);
    p->linked = false;
    said_n = 0;
    pair_bucket(p, 0, BUCKET_OWNER, bucket, p->number[1], 2);
    pair_step(p, 0, &(struct event){ .kind = EV_DEADLINE });
    CHECK_EQ(said_n, 52); /* releases of before keep no longer one than 53 */
    if (how == WORD_OF_OLDER)
        said_n -= 3; /* a mark, and what one leg was */
    else if (how == WORD_CUT)
        said_n--;
    struct event ev = { .kind = EV_PEER, .u.peer = { .what = PEER_OVER, .from = 1, .bucket = (uint16_t)bucket } };
    ev.u.peer.bytes = slice_of(said, said_n);
    pair_step(p, 1, &ev);
    bool ends = same || how != WORD;
    CHECK_EQ(metrics_get(engine_metrics(p->e[1]), M_legs_over), ends);
    CHECK_EQ(*rig_last(&p->r, ALICE, "BYE", NULL) != '\0', ends);
    pair_end(p);
}

static void test_over_elsewhere(void) {
    for (unsigned i = 0; i < 4 * WORDS; i++)
        over_elsewhere(i & 1, i & 2, (enum word)(i / 4));
}

/* The first engine ends a call and cannot delete its record, by which the other one goes on with it; then the store
 * says whose the call is. */
static struct pair *end_unstored(unsigned *bucket) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b;
    p->e[0]->cfg.durability = p->e[1]->cfg.durability = DURABILITY_ASYNC;
    p->r.on_out = keep_word;
    pair_call_at(p, &a, &b, 0, ALICE, BOB);
    *bucket = pair_hash(&config, a.call_id);
    p->keeps_records = p->takes_none = true;
    pair_hang_up(p, &a, BOB);
    CHECK_EQ(pair_calls(p, 0), 0);
    store_claim(p, 1, (uint16_t)*bucket, 1);
    pair_bucket(p, 1, BUCKET_LOADING, *bucket, 0, 2);
    pair_load(p, 1, *bucket, SL("call"));
    pair_bucket(p, 1, BUCKET_MINE, *bucket, 0, 2);
    CHECK_EQ(pair_calls(p, 1), 1);
    p->keeps_records = p->takes_none = p->linked = false;
    said_n = 0;
    pair_wait(p, 3000000);
    return p;
}

enum whole { SAME, OTHERS, NOT_KNOWN, OF_OLDER, LATER_LEGS, WHOLES };

/* A call is over in whole there: its legs are not over here that are other dialogs, nor those that it has never had. */
static void over_in_whole(enum whole how) {
    unsigned bucket;
    struct pair *p = end_unstored(&bucket);
    CHECK_EQ(said_n, 24); /* call, any leg; number of the next one, a mark, what two legs were */
    CHECK_EQ(said[18], 2);
    for (unsigned i = 20; i < 24 && (how == OTHERS || how == NOT_KNOWN); i++)
        said[i] = how == OTHERS ? (char)(said[i] ^ 0x55) : 0;
    if (how == OF_OLDER)
        said_n = 18;
    if (how == LATER_LEGS)
        said[18] = 0;
    struct event ev = { .kind = EV_PEER, .u.peer = { .what = PEER_OVER, .from = 1, .bucket = (uint16_t)bucket } };
    ev.u.peer.bytes = slice_of(said, said_n);
    pair_step(p, 1, &ev);
    bool ends = how != OTHERS && how != LATER_LEGS;
    CHECK_EQ(metrics_get(engine_metrics(p->e[1]), M_legs_over), ends);
    CHECK_EQ(leg_is_up(leg_get(p->e[1], rig_only_call(p->e[1])->legs[0])), !ends);
    pair_end(p);
}

static void test_over_in_whole(void) {
    for (unsigned i = 0; i < WHOLES; i++)
        over_in_whole((enum whole)i);
}

/* The dialogs of the last legs that are over are said, and behind those what moved: of what was over before them
 * nothing is known, and it ends. */
static void test_over_long_ago(void) {
    struct over_said s = { .all = true, .next_leg = 2 + LIMIT_LEGS_PER_CALL, .ended_n = LIMIT_LEGS_PER_CALL };
    struct over_word o;
    struct pair *p = over_begin(&o, &config, 2);
    char text[OVER_LEN];
    struct sbuf b = sbuf_on(text, sizeof text);
    for (unsigned i = 0; i < s.ended_n; i++)
        s.ended[i] = (struct over_ended){ .number = (uint8_t)(s.next_leg - 1 - i), .dialog = 0x6464 };
    s.ended[0].is_moved = true;
    s.ended[0].there = (struct over_moved){ .bucket = 0x0304, .call = 5, .version = 6 };
    s.call = rig_only_call(p->e[0])->id;
    over_said_write(&s, &b);
    CHECK_EQ(b.n, 18 + 2 + 2 * LIMIT_LEGS_PER_CALL + 1 + OVER_MOVED_LEN);
    o.ev.u.peer.bytes = sbuf_slice(&b);
    pair_step(p, 0, &o.ev);
    CHECK_EQ(metrics_get(engine_metrics(p->e[0]), M_legs_over), 1);
    CHECK_TRUE(*rig_last(&p->r, ALICE, "BYE", NULL) != '\0' && *rig_last(&p->r, BOB, "BYE", NULL) != '\0');
    pair_end(p);
}

/* ---- of a transferor that is being told how its transfer ended ---- */

enum outcome { REFUSED, LEFT, DONE, OUTCOMES };

static bool was_told(const struct pair *p, enum rig_name who, const char *what) {
    return *rig_last(&p->r, who, what, NULL) != '\0';
}

/* It transfers the other party to CAROL, who does not want to; or leaves while the other party is asked; or does. */
static struct pair *begin_told(struct over_word *o, enum rig_name who, enum outcome how) {
    struct pair *p = over_begin(o, &config, 2);
    struct rig_dialog c = { .cseq = 1 };
    rig_refer(&p->r, who == ALICE ? &o->a : &o->b, CAROL, NULL);
    rig_reply(&p->r, who, "NOTIFY", 200, "", NULL);
    rig_reply(&p->r, CAROL, "INVITE", how == REFUSED ? 603 : 200, rig_sdp("0", "sendonly", 43000), &c);
    if (how == LEFT)
        rig_request(&p->r, &c, "BYE", "", "");
    if (how == DONE)
        rig_reply(&p->r, who == ALICE ? BOB : ALICE, "INVITE", 200, rig_sdp("0", "recvonly", 40000), NULL);
    CHECK_TRUE(strstr(rig_last(&p->r, who, "NOTIFY", NULL), "terminated") != NULL);
    return p;
}

/* Meanwhile it hears that its call is over, or its leg alone: the other party is hung up on at once, if it was not to
 * stay, and who is being told when it has answered, also if it does not know of it. */
static void over_while_told(enum rig_name who, enum outcome how, bool alone, unsigned status) {
    struct over_word o;
    struct pair *p = begin_told(&o, who, how);
    enum rig_name other = who == ALICE ? BOB : ALICE;
    bool stays = alone && how == DONE;
    if (alone)
        snprintf(o.text + 16, 7, "ff%02x02", who == ALICE); /* the other's number, and CAROL's */
    o.ev.u.peer.bytes = slice_str(o.text);
    pair_step(p, 0, &o.ev);
    CHECK_EQ(was_told(p, other, "BYE"), !stays);
    CHECK_TRUE(!was_told(p, who, "BYE"));
    rig_reply(&p->r, who, "NOTIFY", status, "", NULL);
    pair_wait(p, how == DONE ? 10000000 : 0);
    CHECK_TRUE(was_told(p, who, "BYE"));
    rig_reply(&p->r, who, "BYE", status, "", NULL);
    CHECK_EQ(was_told(p, CAROL, "BYE"), how == DONE && !alone);
    pair_wait(p, 140000000); /* who stays is told of ports again, and does not answer */
    CHECK_TRUE(pair_is_quiet(p));
    pair_end(p);
}

static void test_over_while_told(void) {
    for (unsigned i = 0; i < 8 * OUTCOMES; i++)
        over_while_told(i & 1 ? ALICE : BOB, (enum outcome)(i / 8), i & 2, i & 4 ? 481 : 200);
}

/* ---- of a leg that is being cancelled there ---- */

static void register_at(struct pair *p, enum rig_name who, const char *user) {
    char text[1024];
    snprintf(text, sizeof text,
             "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.%u:5060;branch=z9hG4bKr%s\r\n"
             "From: <sip:%s@192.0.2.1>;tag=1\r\nTo: <sip:%s@192.0.2.1>\r\nCall-ID: reg-%s\r\nCSeq: 1 REGISTER\r\n"
             "Contact: <sip:%s@192.0.2.%u:5060>;expires=600\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
             rig_phone(who).ip[3], rig_names[who], user, user, rig_names[who], user, rig_phone(who).ip[3]);
    rig_recv(&p->r, who, text);
    CHECK_TRUE(was_told(p, who, "SIP/2.0 200"));
}

/* ALICE calls a user with two phones. The first engine, which can store nothing any more, has BOB answer, and cancels
 * CAROL, who picks up all the same. */
static struct pair *answer_unstored(struct rig_dialog *a, struct rig_dialog *c, bool twice) {
    static struct user_config users[1] = { { .name = "dave" } };
    struct pair *p = pair_new_with(&config, users, 1);
    struct rig_dialog b = { .cseq = 1 };
    p->e[0]->cfg.durability = p->e[1]->cfg.durability = DURABILITY_ASYNC;
    p->r.on_out = keep_word;
    register_at(p, BOB, "dave");
    register_at(p, CAROL, "dave");
    do
        rig_dialog_new(a, ALICE, BOB);
    while (pair_owner(pair_hash(&config, a->call_id)) != 0);
    snprintf(a->target, sizeof a->target, "sip:dave@192.0.2.1");
    rig_request(&p->r, a, "INVITE", "", rig_sdp("0", "sendrecv", 40000));
    rig_reply(&p->r, BOB, "INVITE", 180, "", &b);
    rig_reply(&p->r, CAROL, "INVITE", 180, "", c);
    p->takes_none = true;
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_learn(&p->r, a, "SIP/2.0 200");
    rig_request(&p->r, a, "ACK", "", "");
    CHECK_TRUE(was_told(p, CAROL, "CANCEL"));
    if (twice)
        rig_reply(&p->r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), c);
    CHECK_EQ(was_told(p, CAROL, "BYE"), twice);
    p->takes_none = false;
    return p;
}

enum cancelled { RINGS, PICKED_UP, PICKED_UP_THERE, CANCELLEDS };

/* By the older record both still ring. Who picks up here before its CANCEL is nobody who has been hung up on; it is if
 * it had picked up there. Who rings here is cancelled here, too. */
static void over_while_cancelled(enum cancelled how) {
    struct rig_dialog a, c = { .cseq = 1 };
    struct pair *p = answer_unstored(&a, &c, how == PICKED_UP_THERE);
    unsigned bucket = pair_hash(&config, a.call_id);
    store_claim(p, 1, (uint16_t)bucket, 1);
    pair_entry(p, 1);
    pair_bucket(p, 1, BUCKET_LOADING, bucket, 0, 2);
    pair_load(p, 1, bucket, SL("call"));
    pair_bucket(p, 1, BUCKET_MINE, bucket, 0, 2);
    rig_reply(&p->r, CAROL, "INVITE", how == RINGS ? 180 : 200, rig_sdp("0", "sendrecv", 43000), &c);
    const struct call *call = rig_only_call(p->e[1]);
    CHECK_EQ(leg_is_up(leg_get(p->e[1], call->legs[0])), how != RINGS);
    p->linked = false;
    p->r.sent_n = said_n = 0;
    pair_bucket(p, 0, BUCKET_OWNER, bucket, p->number[1], 2);
    pair_step(p, 0, &(struct event){ .kind = EV_DEADLINE });
    CHECK_TRUE(said_n > 0);
    struct event ev = { .kind = EV_PEER, .u.peer = { .what = PEER_OVER, .from = 1, .bucket = (uint16_t)bucket } };
    ev.u.peer.bytes = slice_of(said, said_n);
    pair_step(p, 1, &ev);
    CHECK_EQ(metrics_get(engine_metrics(p->e[1]), M_legs_over), how != PICKED_UP);
    CHECK_EQ(was_told(p, CAROL, "CANCEL"), how == RINGS);
    CHECK_EQ(was_told(p, CAROL, "BYE"), how == PICKED_UP_THERE);
    CHECK_EQ(leg_is_up(leg_get(p->e[1], call->legs[0])), how == PICKED_UP);
    pair_end(p);
}

static void test_over_while_cancelled(void) {
    for (unsigned i = 0; i < CANCELLEDS; i++)
        over_while_cancelled((enum cancelled)i);
}

/* ---- of a leg that was to be hung up on there, and was not ---- */

/* At the first engine ALICE takes her own place by INVITE with Replaces: where she was she is hung up on when she has
 * ACKed, and does not. The other one has the record of before, and gets the word: there she and BOB talk on. */
static void test_over_not_hung_up(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b = { .cseq = 1 }, c;
    char headers[320];
    p->e[0]->cfg.durability = p->e[1]->cfg.durability = DURABILITY_ASYNC;
    pair_invite_at(p, &a, 0, ALICE, BOB);
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_learn(&p->r, &a, "SIP/2.0 200");
    p->takes_none = true;
    snprintf(headers, sizeof headers, "Replaces: %s;to-tag=%s;from-tag=%s\r\n", a.call_id, a.remote_tag, a.local_tag);
    do
        rig_dialog_new(&c, ALICE, BOB);
    while (pair_owner(pair_hash(&config, c.call_id)) != 0);
    rig_request(&p->r, &c, "INVITE", headers, rig_sdp("0", "sendrecv", 43000));
    rig_reply(&p->r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), NULL);
    const struct call *call = rig_only_call(p->e[0]);
    unsigned bucket = pair_hash(&config, a.call_id);
    CHECK_EQ(leg_get(p->e[0], call->legs[0])->state, LEG_ENDING);
    CHECK_TRUE(!was_told(p, ALICE, "BYE"));
    p->takes_none = false;
    store_claim(p, 1, (uint16_t)bucket, 1);
    pair_entry(p, 1);
    pair_bucket(p, 1, BUCKET_LOADING, bucket, 0, 2);
    pair_load(p, 1, bucket, SL("call"));
    pair_bucket(p, 1, BUCKET_MINE, bucket, 0, 2);
    pair_bucket(p, 0, BUCKET_OWNER, bucket, p->number[1], 2);
    pair_wait(p, 100000);
    CHECK_EQ(p->kinds[PEER_OVER], 1);
    CHECK_EQ(metrics_get(engine_metrics(p->e[1]), M_legs_over), 0);
    rig_request(&p->r, &a, "ACK", "", "");
    CHECK_TRUE(!was_told(p, ALICE, "BYE") && !was_told(p, BOB, "BYE"));
    pair_hang_up(p, &a, BOB);
    pair_end(p);
}

int main(void) {
    return UNIT_RUN("over", UNIT(test_over), UNIT(test_over_while_loading), UNIT(test_over_while_suspended),
                    UNIT(test_over_and_there_again), UNIT(test_over_and_read_again), UNIT(test_written_again),
                    UNIT(test_over_while_told), UNIT(test_over_elsewhere), UNIT(test_over_in_whole),
                    UNIT(test_over_long_ago), UNIT(test_over_while_cancelled), UNIT(test_over_not_hung_up));
}
