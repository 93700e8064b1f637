/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sdp.h"
#include "tests/unit/unit.h"

#define HEAD "v=0\r\no=alice 2890844526 2890844527 IN IP4 host.example.com\r\ns=-\r\n"
#define CONN "c=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define OURS_O "o=referee 7 9 IN IP4 198.51.100.7\r\n"
#define OURS_C "c=IN IP4 198.51.100.7\r\n"

static struct sdp parsed(const char *text) {
    struct sdp s;
    CHECK_EQ(sdp_parse(slice_str(text), &s), (int)strlen(text));
    return s;
}

static void check_bad(const char *text) {
    struct sdp s;
    CHECK_EQ(sdp_parse(slice_str(text), &s), SDP_BAD);
}

static struct addr ip(const char *text) {
    struct addr a = { 0 };
    CHECK_TRUE(addr_parse_ip(slice_str(text), &a));
    return a;
}

static struct sdp_patch patch_of(uint16_t port) {
    struct sdp_patch p = { .username = SL("referee"), .session_id = 7, .version = 9, .address = ip("198.51.100.7") };
    for (int i = 0; i < SDP_MEDIA_MAX; i++) {
        p.media[i].port = (uint16_t)(port + 2 * i);
        p.media[i].rtcp_port = (uint16_t)(port + 2 * i + 1);
        p.media[i].direction = -1;
    }
    return p;
}

static void check_rewrite(const char *text, const struct sdp_patch *patch, const char *want) {
    char mem[4096];
    struct sbuf out = sbuf_on(mem, sizeof mem);
    struct sdp s = parsed(text), again;
    sdp_rewrite(&out, &s, patch);
    CHECK_FALSE(out.overflow);
    CHECK_SLICE(sbuf_slice(&out), want);
    CHECK_EQ(sdp_parse(sbuf_slice(&out), &again), (int)out.n);
}

static void test_view(void) {
    struct sdp s = parsed(HEAD CONN "a=fingerprint:sha-256 AA:BB\r\nm=audio 49170 RTP/AVP 0 8 101\r\n"
                          "a=rtpmap:101 telephone-event/8000\r\na=rtcp:53020 IN IP4 192.0.2.9\r\na=sendonly\r\n"
                          "m=video 0 RTP/SAVP 31\nc=IN IP6 2001:db8::1/3\na=crypto:1 X inline:y\n"
                          "a=rtcp-mux\na=ice-ufrag:x\n");
    CHECK_SLICE(s.session_id, "2890844526");
    CHECK_SLICE(s.session_version, "2890844527");
    CHECK_EQ(s.media_count, 2);
    CHECK_SLICE(s.media[0].kind, "audio");
    CHECK_SLICE(s.media[0].proto, "RTP/AVP");
    CHECK_EQ(s.media[0].port, 49170);
    CHECK_EQ(s.media[0].format_count, 3);
    CHECK_SLICE(s.media[0].formats[2], "101");
    CHECK_EQ(s.media[0].direction, SDP_SENDONLY);
    CHECK_TRUE(addr_eq(&s.media[0].connection, &(struct addr){ .ip = { 192, 0, 2, 1 }, .family = ADDR_V4 }));
    CHECK_EQ(s.media[0].rtcp.port, 53020);
    CHECK_EQ(s.media[0].rtcp.ip[3], 9);
    CHECK_TRUE(s.media[0].dtls && !s.media[0].ice && !s.media[0].crypto && !s.media[0].rtcp_mux);
    CHECK_EQ(s.media[1].port, 0);
    CHECK_EQ(s.media[1].connection.family, ADDR_V6);
    CHECK_EQ(s.media[1].direction, SDP_SENDRECV);
    CHECK_TRUE(s.media[1].dtls && s.media[1].ice && s.media[1].crypto && s.media[1].rtcp_mux);
    CHECK_EQ(s.media[1].rtcp.port, 0);
    CHECK_EQ(s.media[1].lines.p + s.media[1].lines.n - s.text.p, (long)s.text.n);
}

static void test_inherited(void) {
    struct sdp s = parsed(HEAD "c=IN IP4 0.0.0.0\r\na=recvonly\r\nm=audio 5 RTP/AVP 0\r\n"
                          "m=audio 7/2 RTP/AVP 0\r\nc=IN IP4 media.example.com\r\n"
                          "a=inactive\r\na=sendonly\r\na=rtcp:9\r\n");
    CHECK_TRUE(s.media[0].zero_hold);
    CHECK_EQ(s.media[0].direction, SDP_RECVONLY);
    CHECK_FALSE(s.media[1].zero_hold);
    CHECK_EQ(s.media[1].connection.family, ADDR_NONE);
    CHECK_EQ(s.media[1].direction, SDP_INACTIVE);
    CHECK_EQ(s.media[1].port, 7);
    CHECK_EQ(s.media[1].rtcp.port, 9);
    CHECK_EQ(s.media[1].rtcp.family, ADDR_NONE);
    CHECK_EQ(sdp_reverse(SDP_SENDONLY), SDP_RECVONLY);
    CHECK_EQ(sdp_reverse(SDP_SENDRECV), SDP_SENDRECV);
}

static void test_bad(void) {
    check_bad("");
    check_bad("v=0\r\n");
    check_bad("o=- 1 1 IN IP4 1.2.3.4\r\nv=0\r\n");
    check_bad("v=1\r\no=- 1 1 IN IP4 1.2.3.4\r\n");
    check_bad(HEAD "nonsense\r\n");
    check_bad(HEAD "m=audio\r\n");
    check_bad(HEAD "m=audio x RTP/AVP 0\r\n");
    check_bad(HEAD "m=audio 65536 RTP/AVP 0\r\n");
    check_bad(HEAD "m=audio 5 RTP/AVP\r\n");
    check_bad(HEAD "m= audio 5 RTP/AVP 0\r\n");
#define M "m=audio 5 RTP/AVP 0\r\n"
    check_bad(HEAD M M M M M M M M M);
    CHECK_EQ(parsed(HEAD M M M M M M M M).media_count, 8);
    CHECK_EQ(parsed(HEAD "m=audio 0 RTP/AVP\r\n\r\n").media_count, 1);
}

static void test_rtpmap(void) {
    struct sdp s = parsed(HEAD CONN "m=audio 5 RTP/AVP 96 0 8 18 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:8 X/1\r\n"
                          "m=image 5 udptl t38 0\r\n");
    CHECK_SLICE(sdp_rtpmap(&s.media[0], SL("96")), "opus/48000/2");
    CHECK_SLICE(sdp_rtpmap(&s.media[0], SL("0")), "PCMU/8000");
    CHECK_SLICE(sdp_rtpmap(&s.media[0], SL("8")), "X/1");
    CHECK_SLICE(sdp_rtpmap(&s.media[0], SL("18")), "G729/8000");
    CHECK_TRUE(sdp_rtpmap(&s.media[0], SL("97")).p == NULL);
    CHECK_TRUE(sdp_rtpmap(&s.media[1], SL("t38")).p == NULL);
    CHECK_TRUE(sdp_rtpmap(&s.media[1], SL("0")).p == NULL);
    CHECK_EQ(sdp_clock_rate(&s.media[0]), 48000);
    CHECK_EQ(sdp_clock_rate(&s.media[1]), 8000);
}

/* Row 40. */
static void test_rewrite_keeps(void) {
    struct sdp_patch p = patch_of(6000);
    check_rewrite("v=0\no=- 1 1 IN IP4 10.0.0.1\ns=A  b \xff\nc=IN IP4 10.0.0.1\nb=AS:64\nt=0 0\na=x-odd\n\n"
                  "m=audio 49170 RTP/AVP 0  101\ni=hi\nb=TIAS:1\na=fmtp:101 0-15,66\na=x:  y \nz=?\n",
                  &p,
                  "v=0\r\n" OURS_O "s=A  b \xff\r\n" OURS_C "b=AS:64\r\nt=0 0\r\na=x-odd\r\n"
                  "m=audio 6000 RTP/AVP 0  101\r\ni=hi\r\nb=TIAS:1\r\na=fmtp:101 0-15,66\r\na=x:  y \r\nz=?\r\n");
}

static void test_rewrite_connection(void) {
    struct sdp_patch p = patch_of(6000);
    check_rewrite(HEAD "m=audio 1 RTP/AVP 0\r\ni=x\r\na=y\r\n"
                  "m=video 3 RTP/AVP 31\r\nb=AS:1\r\nc=IN IP4 1.2.3.4\r\n", &p,
                  "v=0\r\n" OURS_O "s=-\r\nm=audio 6000 RTP/AVP 0\r\ni=x\r\n" OURS_C "a=y\r\n"
                  "m=video 6002 RTP/AVP 31\r\n" OURS_C "b=AS:1\r\n");
    check_rewrite(HEAD "m=audio 1 RTP/AVP 0\r\n", &p,
                  "v=0\r\n" OURS_O "s=-\r\nm=audio 6000 RTP/AVP 0\r\n" OURS_C);
    p.origin_at = SL("IN IP4 192.0.2.99");
    check_rewrite(HEAD "m=audio 1 RTP/AVP 0\r\n", &p,
                  "v=0\r\no=referee 7 9 IN IP4 192.0.2.99\r\ns=-\r\nm=audio 6000 RTP/AVP 0\r\n" OURS_C);
    p.origin_at = SLICE_NONE;
    p.address = ip("2001:db8::7");
    p.username = SLICE_NONE;
    check_rewrite(HEAD CONN "m=audio 1 RTP/AVP 0\r\nc=IN IP4 0.0.0.1\r\n", &p,
                  "v=0\r\no=- 7 9 IN IP6 2001:db8::7\r\ns=-\r\nc=IN IP6 2001:db8::7\r\nt=0 0\r\n"
                  "m=audio 6000 RTP/AVP 0\r\nc=IN IP6 2001:db8::7\r\n");
}

#define S_OURS "v=0\r\n" OURS_O "s=-\r\n" OURS_C

static void test_rewrite_direction(void) {
    struct sdp_patch p = patch_of(6000);
    const char *text = HEAD "c=IN IP4 1.2.3.4\r\na=sendonly\r\nm=audio 1 RTP/AVP 0\r\na=recvonly\r\na=q\r\n"
                       "m=video 3 RTP/AVP 31\r\n";
    check_rewrite(text, &p, S_OURS "a=sendonly\r\nm=audio 6000 RTP/AVP 0\r\na=recvonly\r\na=q\r\n"
                  "m=video 6002 RTP/AVP 31\r\n");
    p.media[0].direction = SDP_SENDRECV;
    check_rewrite(text, &p, S_OURS "m=audio 6000 RTP/AVP 0\r\na=sendrecv\r\na=q\r\n"
                  "m=video 6002 RTP/AVP 31\r\na=sendonly\r\n");
    p.media[1].direction = SDP_INACTIVE;
    check_rewrite(text, &p, S_OURS "m=audio 6000 RTP/AVP 0\r\na=sendrecv\r\na=q\r\n"
                  "m=video 6002 RTP/AVP 31\r\na=inactive\r\n");
}

static void test_rewrite_zero_hold(void) {
    struct sdp_patch p = patch_of(6000);
    const char *text = HEAD "c=IN IP4 0.0.0.0\r\nm=audio 1 RTP/AVP 0\r\na=sendrecv\r\n";
    check_rewrite(text, &p, S_OURS "m=audio 6000 RTP/AVP 0\r\na=sendonly\r\n");
    check_rewrite(HEAD "c=IN IP4 0.0.0.0\r\na=recvonly\r\nm=audio 1 RTP/AVP 0\r\n", &p,
                  S_OURS "m=audio 6000 RTP/AVP 0\r\na=inactive\r\n");
    p.media[0].direction = SDP_SENDRECV;
    check_rewrite(text, &p, S_OURS "m=audio 6000 RTP/AVP 0\r\na=sendrecv\r\n");
    p.media[0].direction = -1;
    p.address = ip("0.0.0.0");
    check_rewrite(text, &p, "v=0\r\no=referee 7 9 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\n"
                  "m=audio 6000 RTP/AVP 0\r\na=sendrecv\r\n");
}

static void test_rewrite_rtcp(void) {
    struct sdp_patch p = patch_of(6000);
    const char *port_only = HEAD "c=IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP 0\r\na=rtcp:9\r\na=rtcp-mux\r\n";
    check_rewrite(port_only, &p, S_OURS "m=audio 6000 RTP/AVP 0\r\na=rtcp:6001\r\na=rtcp-mux\r\n");
    check_rewrite(HEAD "c=IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP 0\r\na=rtcp:9 IN IP4 1.2.3.9\r\n", &p,
                  S_OURS "m=audio 6000 RTP/AVP 0\r\na=rtcp:6001 IN IP4 198.51.100.7\r\n");
    p.media[0].rtcp_port = 0;
    check_rewrite(port_only, &p, S_OURS "m=audio 6000 RTP/AVP 0\r\na=rtcp-mux\r\n");
    p.media[0].rtcp_port = 6100;
    check_rewrite(HEAD "c=IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP 0\r\n", &p,
                  S_OURS "m=audio 6000 RTP/AVP 0\r\na=rtcp:6100\r\n");
    p.media[0].port = 0;
    check_rewrite(HEAD "c=IN IP4 1.2.3.4\r\nm=audio 1/2 RTP/AVP 0\r\na=k\r\n", &p,
                  S_OURS "m=audio 0 RTP/AVP 0\r\na=k\r\n");
}

static void test_rewrite_without_formats(void) {
    struct sdp_patch p = patch_of(6000);
    check_rewrite(HEAD "c=IN IP4 1.2.3.4\r\nm=audio 0 RTP/AVP\r\n", &p, S_OURS "m=audio 0 RTP/AVP\r\n");
}

static void test_rewrite_ice(void) {
    struct sdp_patch p = patch_of(6000);
    const char *text = HEAD "c=IN IP4 1.2.3.4\r\na=ice-lite\r\na=ice-ufrag:x\r\nm=audio 1 RTP/AVP 0\r\na=ice-pwd:y\r\n"
                       "a=candidate:1 1 UDP 1 10.0.0.1 9 typ host\r\na=end-of-candidates\r\n"
                       "a=remote-candidates:1 x 2\r\na=icecream\r\n";
    p.strip_ice = true;
    check_rewrite(text, &p, S_OURS "m=audio 6000 RTP/AVP 0\r\na=icecream\r\n");
    p.strip_ice = false;
    check_rewrite(text, &p, S_OURS "a=ice-lite\r\na=ice-ufrag:x\r\nm=audio 6000 RTP/AVP 0\r\na=ice-pwd:y\r\n"
                  "a=candidate:1 1 UDP 1 10.0.0.1 9 typ host\r\na=end-of-candidates\r\na=remote-candidates:1 x 2\r\n"
                  "a=icecream\r\n");
}

/* Two change places, one is new; "apt" and rtcp-fb follow; a word that is no payload type stays. */
static void test_rewrite_types(void) {
    const char *text = HEAD CONN "m=audio 1 RTP/AVP 0 96 97 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 x=96\r\n"
                       "a=rtpmap:97 rtx/8000\r\na=fmtp:97 apt=96;rtx-time=96\r\na=rtcp-fb:96 nack\r\n"
                       "a=rtcp-fb:* ccm\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:96\r\n";
    struct sdp_renumber types = { 3, { { 96, 101 }, { 101, 96 }, { 97, 120 } } };
    struct sdp_patch p = patch_of(6000);
    p.media[0].types = &types;
    check_rewrite(text, &p, S_OURS "t=0 0\r\nm=audio 6000 RTP/AVP 0 101 120 96\r\na=rtpmap:101 opus/48000/2\r\n"
                  "a=fmtp:101 x=96\r\na=rtpmap:120 rtx/8000\r\na=fmtp:120 apt=101;rtx-time=96\r\n"
                  "a=rtcp-fb:101 nack\r\na=rtcp-fb:* ccm\r\na=rtpmap:96 telephone-event/8000\r\na=ptime:96\r\n");
}

static void test_codecs(void) {
    struct sdp s = parsed(HEAD CONN "m=audio 1 RTP/AVP 8 97 98 x\r\na=rtpmap:97 iLBC/8000/1\r\n"
                          "a=fmtp:97 mode=30\r\n");
    struct sdp_codec c[SDP_FORMATS_MAX];
    CU_ASSERT_FATAL(sdp_codecs(&s.media[0], c) == 2);
    CHECK_EQ(c[0].number, 8);
    CHECK_SLICE(c[0].map, "PCMA/8000");
    CHECK_TRUE(!c[0].fmtp.p);
    CHECK_EQ(c[1].number, 97);
    CHECK_SLICE(c[1].map, "iLBC/8000");
    CHECK_SLICE(c[1].fmtp, "mode=30");
    CHECK_FALSE(sdp_same_codec(&c[0], &c[1]));
}

#define OFFER "v=0\r\n" OURS_O "s=-\r\n" OURS_C "t=0 0\r\n"
#define DROPPING OFFER "m=audio 6000 RTP/AVP 0 9 96 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n" \
                       "a=rtcp-fb:96 nack\r\na=rtcp-fb:* nack\r\na=rtpmap:101 telephone-event/8000\r\n" \
                       "a=fmtp:101 0-15\r\n"

/* Formats that are dropped take their attributes with them, and no others. */
static void test_rewrite_drops(void) {
    struct sdp_patch p = patch_of(6000);
    p.media[0].drop = 1u << 1 | 1u << 2;
    check_rewrite(DROPPING, &p,
                  OFFER "m=audio 6000 RTP/AVP 0 101\r\na=rtcp-fb:* nack\r\na=rtpmap:101 telephone-event/8000\r\n"
                        "a=fmtp:101 0-15\r\n");
    char many[512];
    struct sbuf b = sbuf_on(many, sizeof many - 1);
    sbuf_lit(&b, OFFER "m=audio 6000 RTP/AVP");
    for (unsigned i = 0; i < SDP_FORMATS_MAX + 3; i++) {
        sbuf_char(&b, ' ');
        sbuf_u64(&b, 90 + i);
    }
    sbuf_lit(&b, "\r\n");
    many[b.n] = '\0';
    p.media[0].drop = ~1u;
    check_rewrite(many, &p, OFFER "m=audio 6000 RTP/AVP 90\r\n");
    /* What stays may get another number. */
    struct sdp_renumber types = { 1, { { 96, 110 } } };
    p.media[0].drop = 1u << 0 | 1u << 3;
    p.media[0].types = &types;
    check_rewrite(DROPPING, &p,
                  OFFER "m=audio 6000 RTP/AVP 9 110\r\na=rtpmap:110 opus/48000/2\r\na=fmtp:110 useinbandfec=1\r\n"
                        "a=rtcp-fb:110 nack\r\na=rtcp-fb:* nack\r\n");
}

static uint32_t foreign(const char *a, const char *b) {
    struct sdp x = parsed(a), y = parsed(b);
    return sdp_foreign_formats(&x.media[0], &y.media[0]);
}

static void test_foreign_formats(void) {
    CHECK_EQ(foreign(DROPPING, DROPPING), 0);
    CHECK_EQ(foreign(DROPPING, OFFER "m=audio 1 RTP/AVP 9 0\r\n"), 1u << 2 | 1u << 3);
    /* another number, or another codec under the same */
    CHECK_EQ(foreign(DROPPING, OFFER "m=audio 1 RTP/AVP 9 97\r\na=rtpmap:97 opus/48000/2\r\n"), 1u << 0 | 1u << 3);
    CHECK_EQ(foreign(DROPPING, OFFER "m=audio 1 RTP/AVP 0 96\r\na=rtpmap:96 iLBC/8000\r\n"),
             1u << 1 | 1u << 2 | 1u << 3);
    /* nothing to talk with */
    CHECK_EQ(foreign(DROPPING, OFFER "m=audio 1 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"), UINT32_MAX);
    CHECK_EQ(foreign(DROPPING, OFFER "m=audio 0 RTP/AVP 0\r\n"), UINT32_MAX);
    CHECK_EQ(foreign(DROPPING, OFFER "m=video 1 RTP/AVP 0\r\n"), UINT32_MAX);
}

static void test_rewrite_overflow(void) {
    char mem[64];
    struct sbuf out = sbuf_on(mem, sizeof mem);
    struct sdp s = parsed(HEAD CONN "m=audio 1 RTP/AVP 0\r\n");
    struct sdp_patch p = patch_of(6000);
    sdp_rewrite(&out, &s, &p);
    CHECK_TRUE(out.overflow);
    CHECK_TRUE(out.n <= sizeof mem);
}

static void test_origin_at(void) {
    CHECK_SLICE(sdp_origin_at(SL("v=0\r\no=a 1 2 IN IP4 192.0.2.1\r\ns=-\r\n")), "IN IP4 192.0.2.1");
    CHECK_SLICE(sdp_origin_at(SL("v=0\no=a 1 2 IN IP4 h")), "IN IP4 h");
    CHECK_TRUE(sdp_origin_at(SL("v=0\r\no=a 1 2\r\ns=- - - -\r\n")).p == NULL);
    CHECK_TRUE(sdp_origin_at(SL("v=0\r\ns=a b c d e\r\n")).p == NULL);
    CHECK_TRUE(sdp_origin_at(SLICE_NONE).p == NULL);
}

static void test_same_but_origin(void) {
    CHECK_TRUE(sdp_same_but_origin(SL("v=0\r\no=a 1 1 x\r\ns=-\r\n"), SL("v=0\no=b 2 2 y\ns=-")));
    CHECK_FALSE(sdp_same_but_origin(SL("v=0\r\no=a\r\ns=-\r\n"), SL("v=0\r\no=a\r\ns=+\r\n")));
    CHECK_FALSE(sdp_same_but_origin(SL("v=0\r\no=a\r\n"), SL("v=0\r\no=a\r\ns=-\r\n")));
    CHECK_FALSE(sdp_same_but_origin(SL("v=0\r\no=a\r\ns=-\r\n"), SL("v=0\r\no=a\r\n")));
    CHECK_TRUE(sdp_same_but_origin(SLICE_NONE, SL("o=a")));
    CHECK_TRUE(sdp_same_but_origin(SL("s=a\r\nt=0 0\r\n"), SL("s=a\r\n\r\n\nt=0 0")));
    CHECK_TRUE(sdp_same_but_origin(SL("s=a\r\no=a 1\no=a 10\nt=0 0\r\n"), SL("s=a\r\no=a 12\r\nt=0 0\r\n")));
    CHECK_TRUE(sdp_same_but_origin(SL("o=a 9\r\nt=0 0\r\no=a"), SL("o=a 10\r\nt=0 0\r\n")));
    CHECK_FALSE(sdp_same_but_origin(SL("o=a 9\r\nt=0 0\r\nm=a"), SL("o=a 10\r\nt=0 0\r\nm=ab")));
    CHECK_FALSE(sdp_same_but_origin(SL("o=a 9\r\nt=0 0"), SL("o=a 9\r\nt=0 0\r\nm=ab")));
    CHECK_FALSE(sdp_same_but_origin(SL("s=a 9\r\no=0 0"), SL("s=a 90\r\no=0 0")));
}

static bool subset(const char *a, const char *b) {
    struct sdp sa = parsed(a), sb = parsed(b);
    return sdp_formats_subset(&sa, &sb);
}

static void test_formats_subset(void) {
    const char *full = HEAD CONN "m=audio 1 RTP/AVP 0 8 96 101\r\na=rtpmap:0 PCMU/8000/1\r\n"
                       "a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\nm=image 3 udptl t38\r\n";
    CHECK_TRUE(subset(full, full));
    CHECK_TRUE(subset(HEAD CONN "m=audio 1 RTP/AVP 0\r\na=rtpmap:0 pcmu/8000\r\n", full));
    CHECK_TRUE(subset(HEAD CONN "m=audio 0 RTP/AVP 3\r\nm=image 9 udptl t38\r\n", full));
    CHECK_FALSE(subset(HEAD CONN "m=audio 1 RTP/AVP 3\r\n", full));
    CHECK_TRUE(subset(HEAD CONN "m=audio 1 RTP/AVP 0 97\r\na=rtpmap:97 opus/48000/2\r\n", full));
    CHECK_FALSE(subset(HEAD CONN "m=audio 1 RTP/AVP 96\r\na=rtpmap:96 speex/8000\r\n", full));
    CHECK_FALSE(subset(HEAD CONN "m=audio 1 RTP/AVP 96\r\na=rtpmap:96 opus/48000\r\n", full));
    CHECK_FALSE(subset(HEAD CONN "m=video 1 RTP/AVP 0\r\n", full));
    CHECK_FALSE(subset(full, HEAD CONN "m=audio 1 RTP/AVP 0\r\n"));
    CHECK_FALSE(subset(HEAD CONN "m=audio 1 RTP/AVP 0\r\n", HEAD CONN "m=audio 0 RTP/AVP 0\r\n"));
}

static uint32_t common(const char *a, const char *b) {
    struct sdp sa = parsed(a), sb = parsed(b);
    return sdp_common_formats(&sa.media[0], &sb.media[0]);
}

static void test_common_formats(void) {
    const char *a = HEAD CONN "m=audio 1 RTP/AVP 0 8 96 13 101\r\na=rtpmap:96 opus/48000/2\r\n"
                    "a=rtpmap:101 telephone-event/8000\r\n";
    CHECK_EQ(common(a, a), 3);
    CHECK_EQ(common(a, HEAD CONN "m=audio 1 RTP/AVP 111 13 101\r\na=rtpmap:111 OPUS/48000/2\r\n"
                    "a=rtpmap:101 telephone-event/8000\r\n"), 1);
    CHECK_EQ(common(a, HEAD CONN "m=audio 1 RTP/AVP 18 101\r\na=rtpmap:101 telephone-event/8000\r\n"), 0);
    CHECK_EQ(common(a, HEAD CONN "m=video 1 RTP/AVP 0 8\r\n"), 0);
}

int main(void) {
    return UNIT_RUN("sdp", UNIT(test_view), UNIT(test_inherited), UNIT(test_bad), UNIT(test_rtpmap),
                    UNIT(test_rewrite_keeps), UNIT(test_rewrite_connection), UNIT(test_rewrite_direction),
                    UNIT(test_rewrite_zero_hold), UNIT(test_rewrite_rtcp), UNIT(test_rewrite_without_formats),
                    UNIT(test_rewrite_ice), UNIT(test_rewrite_overflow), UNIT(test_rewrite_types),
                    UNIT(test_codecs), UNIT(test_rewrite_drops), UNIT(test_foreign_formats),
                    UNIT(test_origin_at), UNIT(test_same_but_origin), UNIT(test_formats_subset),
                    UNIT(test_common_formats));
}
