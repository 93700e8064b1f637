/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Descriptions as the other side gets them: our address and ports, an o= version that rises only on change. */
#include "core/b2b/call.h"
#include "core/b2b/media.h"
#include "tests/unit/engine_rig.h"
#include "tests/unit/unit.h"

#define HEAD "v=0\r\no=alice 5 9 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n"
#define AUDIO HEAD "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"

struct pair {
    struct rig *r;
    struct engine *e;
    struct leg *a, *b;
};

/* Two legs without any dialog behind them: what media.c works on. Their end closes the media. */
static struct pair new_pair(const struct engine_config *c) {
    struct pair p = { .r = rig_new(c) };
    p.e = p.r->e;
    p.e->out = &p.r->out;
    p.a = leg_alloc(p.e);
    p.b = leg_alloc(p.e);
    CU_ASSERT_FATAL(p.a && p.b);
    p.a->media.session_id = 111;
    p.b->media.session_id = 222;
    return p;
}

static struct pair default_pair(void) {
    struct engine_config c;
    rig_config(&c);
    return new_pair(&c);
}

static void end_pair(struct pair *p) {
    leg_step(p->e, p->a, LEG_IN_END);
    leg_step(p->e, p->b, LEG_IN_END);
    dialog_free(&p->a->dlg, &p->e->ua);
    dialog_free(&p->b->dlg, &p->e->ua);
    rig_collect(p->r);
    struct engine_census c = rig_census(p->r);
    CHECK_EQ(c.ports, 0);
    CHECK_EQ(c.bufs, 0);
    rig_free(p->r);
}

static unsigned version_of(struct slice text) {
    struct sdp s;
    uint64_t v = 999;
    CU_ASSERT_FATAL(sdp_parse(text, &s) > 0);
    CHECK_TRUE(slice_u64(s.session_version, UINT64_MAX, &v));
    return (unsigned)v;
}

static void test_described(void) {
    struct pair p = default_pair();
    CHECK_TRUE(media_received(p.e, p.a, SL(AUDIO), true));
    struct slice s = media_describe(p.e, p.b, SL(AUDIO), -1);
    struct sdp d;
    CU_ASSERT_FATAL(s.p && sdp_parse(s, &d) > 0);
    CHECK_TRUE(rig_has(s, " 222 0 IN IP4 192.0.2.2\r\n"));
    CHECK_TRUE(rig_has(s, "c=IN IP4 192.0.2.2\r\n"));
    CHECK_FALSE(rig_has(s, "192.0.2.11"));
    CHECK_TRUE(d.media[0].port >= 30000 && d.media[0].port % 2 == 0);
    CHECK_TRUE(slice_eq(s, leg_str(p.b, LEG_SDP_LOCAL)));
    CHECK_SLICE(leg_str(p.a, LEG_SDP_FULL), AUDIO);
    rig_collect(p.r);
    CHECK_EQ(p.r->media_n, 3); /* two opened, one told where its party is */
    CHECK_EQ(p.r->media[1].verb, MEDIA_REMOTE);
    CHECK_EQ(p.r->media[1].rtp.port, 4000);
    CHECK_EQ(p.r->media[1].rtcp.port, 4001);
    end_pair(&p);
}

static void test_version(void) {
    struct pair p = default_pair();
    unsigned v = version_of(media_describe(p.e, p.b, SL(AUDIO), -1));
    CHECK_EQ(version_of(media_describe(p.e, p.b, SL(AUDIO), -1)), v);
    /* only the origin differs: the same to us */
    CHECK_EQ(version_of(media_describe(p.e, p.b,
                                       SL("v=0\r\no=- 7 8 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\n"
                                          "t=0 0\r\nm=audio 9000 RTP/AVP 0 101\r\n"
                                          "a=rtpmap:101 telephone-event/8000\r\n"),
                                       -1)),
             v);
    CHECK_TRUE(media_is_same(p.e, p.b, SL(AUDIO), -1));
    CHECK_FALSE(media_is_same(p.e, p.b, SL(AUDIO), SDP_SENDONLY));
    CHECK_EQ(version_of(media_describe(p.e, p.b, SL(AUDIO), SDP_SENDONLY)), v + 1);
    CHECK_EQ(version_of(media_describe(p.e, p.b, SL(AUDIO), SDP_SENDONLY)), v + 1);
    CHECK_EQ(version_of(media_describe(p.e, p.b, SL(HEAD "m=audio 4000 RTP/AVP 8\r\n"), -1)), v + 2);
    CHECK_EQ(version_of(media_describe(p.e, p.b, SL(AUDIO), -1)), v + 3);
    /* the other leg has its own */
    CHECK_EQ(version_of(media_describe(p.e, p.a, SL(AUDIO), -1)), v);
    end_pair(&p);
}

static void test_check(void) {
    struct pair p = default_pair();
    CHECK_EQ(media_check(p.e, p.a, SL(AUDIO)), 0);
    CHECK_EQ(media_check(p.e, p.a, SL("nonsense")), 400);
    CHECK_EQ(media_check(p.e, p.a, SL(HEAD)), 488);
    CHECK_EQ(media_check(p.e, p.a, SL(HEAD "m=audio 0 RTP/AVP 0\r\n")), 488);
    CHECK_EQ(media_check(p.e, p.a, SL(HEAD "m=image 5000 udptl t38\r\n")), 488);
    CHECK_EQ(media_check(p.e, p.a, SL(HEAD "m=audio 5000 RTP/AVPF 0\r\n")), 0);
    end_pair(&p);
}

/* What is not relayed is answered with port 0; the m-lines stay in their places (row 40). */
static void test_rejected_lines(void) {
    static const char text[] = HEAD "m=audio 4000 RTP/AVP 0\r\nm=image 5000 udptl t38\r\nm=video 4002 RTP/AVP 96\r\n"
                                    "a=rtpmap:96 H264/90000\r\nm=audio 4004 RTP/AVP 0\r\n";
    struct pair p = default_pair();
    struct sdp d;
    CHECK_TRUE(media_received(p.e, p.a, slice_str(text), true));
    struct slice s = media_describe(p.e, p.b, slice_str(text), -1);
    CU_ASSERT_FATAL(s.p && sdp_parse(s, &d) > 0);
    CHECK_EQ(d.media_count, 4);
    CHECK_TRUE(d.media[0].port != 0);
    CHECK_EQ(d.media[1].port, 0);
    CHECK_TRUE(d.media[2].port != 0 && d.media[2].port != d.media[0].port);
    CHECK_SLICE(d.media[2].kind, "video");
    CHECK_EQ(d.media[3].port, 0); /* more than LEG_STREAMS */
    CHECK_EQ(rig_census(p.r).ports, 4);
    end_pair(&p);
}

static void test_ice_is_stripped(void) {
    struct pair p = default_pair();
    struct slice s = media_describe(p.e, p.b,
                                    SL(AUDIO "a=ice-ufrag:x\r\na=candidate:1 1 UDP 1 10.0.0.1 9 typ host\r\n"
                                             "a=rtcp:4001 IN IP4 10.0.0.1\r\n"),
                                    -1);
    CU_ASSERT_FATAL(s.p != NULL);
    CHECK_FALSE(rig_has(s, "a=ice") || rig_has(s, "a=candidate") || rig_has(s, "10.0.0.1"));
    end_pair(&p);
}

static void test_ipv6(void) {
    struct engine_config c;
    rig_config(&c);
    c.media_addr = rig_addr("[2001:db8::2]:0");
    struct pair p = new_pair(&c);
    struct slice s = media_describe(p.e, p.b, SL(AUDIO), -1);
    CU_ASSERT_FATAL(s.p != NULL);
    CHECK_TRUE(rig_has(s, "c=IN IP6 2001:db8::2\r\n"));
    CHECK_TRUE(rig_has(s, " IN IP6 2001:db8::2\r\ns="));
    CHECK_FALSE(rig_has(s, "IP4"));
    end_pair(&p);
}

static void test_ports_exhausted(void) {
    struct engine_config c;
    rig_config(&c);
    c.media_port_min = 30000;
    c.media_port_max = 30003;
    struct pair p = new_pair(&c);
    CHECK_TRUE(media_describe(p.e, p.a, SL(AUDIO), -1).p != NULL);
    CHECK_TRUE(media_describe(p.e, p.b, SL(AUDIO), -1).p != NULL);
    struct slice two = SL(AUDIO "m=video 4002 RTP/AVP 96\r\n");
    CHECK_TRUE(media_describe(p.e, p.b, two, -1).p == NULL);
    /* what it had is still said */
    CHECK_TRUE(media_describe(p.e, p.b, SL(AUDIO), -1).p != NULL);
    leg_step(p.e, p.a, LEG_IN_END);
    CHECK_TRUE(media_describe(p.e, p.b, two, -1).p == NULL); /* in quarantine */
    p.e->now += c.media_quarantine_us + 1000;
    CHECK_TRUE(media_describe(p.e, p.b, two, -1).p != NULL);
    end_pair(&p);
}

#define AUDIO_V6 "v=0\r\no=- 5 9 IN IP6 fd00::5\r\ns=-\r\nc=IN IP6 fd00::5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

static struct slice described(struct pair *p, struct leg *l) {
    struct slice s = media_describe(p->e, l, SL(AUDIO), -1);
    media_close(p->e, l);
    return s;
}

/* In turn, those of the leg's family; one that is used up is passed over, one that could not be bound never taken. */
static void test_several_addresses(void) {
    struct engine_config c;
    bool usable[8] = { true, true, true, false, true, true, true, true };
    rig_config(&c);
    c.media_port_min = 30000;
    c.media_port_max = 30003;
    c.media_more[0] = rig_addr("192.0.2.3:0");
    c.media_more[1] = rig_addr("[2001:db8::2]:0");
    c.media_more[2] = rig_addr("192.0.2.4:0");
    c.media_more_count = 3;
    c.media_port_usable = usable;
    struct pair p = new_pair(&c);
    p.a->dlg.flow = p.b->dlg.flow = rig_addr("192.0.2.11:5060");
    CHECK_TRUE(media_received(p.e, p.a, SL(AUDIO_V6), true));
    CHECK_TRUE(rig_has(media_describe(p.e, p.a, SL(AUDIO), -1), "c=IN IP6 2001:db8::2\r\n"));
    static const char *const in_turn[] = { "192.0.2.4", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.2" };
    for (unsigned i = 0; i < sizeof in_turn / sizeof *in_turn; i++)
        CHECK_TRUE(rig_has(described(&p, p.b), in_turn[i]));
    CHECK_TRUE(described(&p, p.b).p == NULL); /* all in quarantine */
    CHECK_EQ(rig_census(p.r).ports, 1);
    p.b->dlg.flow = rig_addr("[fd00::7]:5060");
    CHECK_TRUE(rig_has(described(&p, p.b), "2001:db8::2"));
    CHECK_TRUE(described(&p, p.b).p == NULL);
    end_pair(&p);
}

static void test_answer_alone(void) {
    struct pair p = default_pair();
    struct sdp d;
    CHECK_TRUE(media_received(p.e, p.a, SL(AUDIO), true));
    CHECK_TRUE(media_answer_alone(p.e, p.a, SL(AUDIO)).p == NULL); /* nothing was sent to it yet */
    CHECK_TRUE(media_describe(p.e, p.a, SL(AUDIO), -1).p != NULL);
    /* it has refused something else since: what it was told before is not said in other words */
    unsigned version = version_of(leg_str(p.a, LEG_SDP_LOCAL));
    p.a->session_unsure = true;
    CHECK_TRUE(media_received(p.e, p.a, SL(AUDIO), true));
    struct slice s = media_answer_alone(p.e, p.a, SL(AUDIO));
    CU_ASSERT_FATAL(s.p != NULL);
    CHECK_EQ(version_of(s), version);
    CHECK_TRUE(!rig_has(s, "a=sendrecv"));
    p.a->session_unsure = false;
    struct slice hold = SL(AUDIO "a=sendonly\r\n");
    CHECK_TRUE(media_received(p.e, p.a, hold, true));
    s = media_answer_alone(p.e, p.a, hold);
    CU_ASSERT_FATAL(s.p && sdp_parse(s, &d) > 0);
    CHECK_EQ(d.media[0].direction, SDP_RECVONLY);
    CHECK_EQ(p.a->media.own_direction, SDP_SENDONLY);
    /* a line that came with the offer is refused: there is nobody to ask */
    struct slice two = SL(AUDIO "m=video 4002 RTP/AVP 96\r\n");
    oa_step(&p.a->oa, OA_EV_RECV_OFFER);
    CHECK_TRUE(media_received(p.e, p.a, two, true));
    s = media_answer_alone(p.e, p.a, two);
    CU_ASSERT_FATAL(s.p && sdp_parse(s, &d) > 0);
    CU_ASSERT_FATAL(d.media_count == 2);
    CHECK_TRUE(d.media[0].port != 0);
    CHECK_EQ(d.media[1].port, 0);
    /* the next offer keeps both lines, whoever's description it is made from */
    oa_step(&p.a->oa, OA_EV_SEND_ANSWER);
    s = media_describe(p.e, p.a, SL(AUDIO), -1);
    CU_ASSERT_FATAL(s.p && sdp_parse(s, &d) > 0);
    CHECK_EQ(d.media_count, 2);
    end_pair(&p);
}

static void test_remote_is_told_once(void) {
    struct pair p = default_pair();
    CHECK_TRUE(media_received(p.e, p.a, SL(AUDIO), true));
    rig_collect(p.r);
    rig_clear(p.r);
    CHECK_TRUE(media_received(p.e, p.a, SL(AUDIO), true));
    rig_collect(p.r);
    CHECK_EQ(p.r->media_n, 0);
    CHECK_TRUE(media_received(p.e, p.a, SL(HEAD "m=audio 4010 RTP/AVP 0\r\na=rtcp:4050\r\n"), true));
    rig_collect(p.r);
    CU_ASSERT_FATAL(p.r->media_n == 1);
    CHECK_EQ(p.r->media[0].rtp.port, 4010);
    CHECK_EQ(p.r->media[0].rtcp.port, 4050);
    end_pair(&p);
}

static void test_routes(void) {
    struct pair p = default_pair();
    media_describe(p.e, p.a, SL(AUDIO), -1);
    media_describe(p.e, p.b, SL(AUDIO), -1);
    rig_collect(p.r);
    uint32_t a = p.a->media.streams[0]->slot, b = p.b->media.streams[0]->slot;
    rig_clear(p.r);
    media_connect(p.e, p.a, p.b);
    media_mute(p.e, p.a);
    media_echo(p.e, p.b);
    rig_collect(p.r);
    CU_ASSERT_FATAL(p.r->media_n == 4);
    CHECK_TRUE(p.r->media[0].stream == a && p.r->media[0].to == b);
    CHECK_TRUE(p.r->media[1].stream == b && p.r->media[1].to == a);
    CHECK_TRUE(p.r->media[2].stream == a && p.r->media[2].to == MEDIA_NOWHERE);
    CHECK_TRUE(p.r->media[3].stream == b && p.r->media[3].to == b);
    end_pair(&p);
}

#define TYPES_A HEAD "m=audio 4000 RTP/AVP 96 0 100\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n" \
    "a=rtpmap:100 telephone-event/8000\r\n"
#define TYPES_B HEAD "m=audio 4000 RTP/AVP 111 96\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:96 telephone-event/8000\r\n"

/* One of `count` pairs is from -> to. */
static void check_types(const struct media_cmd *c, unsigned count, uint8_t from, uint8_t to) {
    CHECK_EQ(c->verb, MEDIA_ROUTE);
    CHECK_EQ(c->types.count, count);
    CHECK_FALSE(c->types.only);
    for (unsigned i = 0; i < c->types.count; i++)
        if (c->types.pair[i].from == from) {
            CHECK_EQ(c->types.pair[i].to, to);
            return;
        }
    CU_FAIL("no such payload type");
}

/* T-8.2, T-8.3: B answers under its own numbers, A is told in A's, and the relay knows both. */
static void test_types_of_each_leg(void) {
    struct pair p = default_pair();
    CHECK_TRUE(media_received(p.e, p.a, SL(TYPES_A), true));
    p.a->oa = OA_OFFER_RCVD;
    CHECK_TRUE(rig_has(media_describe(p.e, p.b, SL(TYPES_A), -1), " RTP/AVP 96 0 100\r\n"));
    CHECK_TRUE(media_received(p.e, p.b, SL(TYPES_B), false));
    struct slice s = media_describe(p.e, p.a, SL(TYPES_B), -1);
    CHECK_TRUE(rig_has(s, " RTP/AVP 96 100\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:100 telephone-event/8000\r\n"));
    rig_collect(p.r);
    rig_clear(p.r);
    media_connect(p.e, p.a, p.b);
    rig_collect(p.r);
    CU_ASSERT_FATAL(p.r->media_n == 2);
    check_types(&p.r->media[0], 2, 96, 111);
    check_types(&p.r->media[0], 2, 100, 96);
    check_types(&p.r->media[1], 1, 111, 96); /* as it answered; 96 is what it was told: opus */
    end_pair(&p);
}

/* A codec that A never had gets a number that A has for nothing else. */
static void test_types_do_not_collide(void) {
    struct pair p = default_pair();
    CHECK_TRUE(media_received(p.e, p.a, SL(TYPES_A), true));
    CHECK_TRUE(media_describe(p.e, p.a, SL(TYPES_A), -1).p != NULL);
    struct slice s = media_describe(p.e, p.a,
                                    SL(HEAD "m=audio 4000 RTP/AVP 100 8\r\na=rtpmap:100 iLBC/8000\r\n"), -1);
    CHECK_TRUE(rig_has(s, " RTP/AVP 97 8\r\na=rtpmap:97 iLBC/8000\r\n"));
    end_pair(&p);
}

int main(void) {
    return UNIT_RUN("media", UNIT(test_described), UNIT(test_version), UNIT(test_check), UNIT(test_rejected_lines),
                    UNIT(test_ice_is_stripped), UNIT(test_ipv6), UNIT(test_ports_exhausted),
                    UNIT(test_several_addresses), UNIT(test_answer_alone),
                    UNIT(test_remote_is_told_once), UNIT(test_routes),
                    UNIT(test_types_of_each_leg), UNIT(test_types_do_not_collide));
}
