/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Descriptions that are alike: what is told to one party and what the other has said. */
#include "core/b2b/sdp_memo.h"
#include "tests/unit/unit.h"

#define SESSION "v=0\r\no=alice 5 9 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n"
#define FORMATS " RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
#define AUDIO SESSION "m=audio 4000" FORMATS

static bool alike(const char *a, const char *b) {
    bool one = sdp_is_alike(slice_str(a), slice_str(b)), other = sdp_is_alike(slice_str(b), slice_str(a));
    CHECK_EQ(one, other);
    return one;
}

static void test_alike(void) {
    static const char *const same[] = {
        AUDIO,
        "v=0\r\no=referee 77 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000" FORMATS,
        "v=0\r\no=\r\ns=-\r\nc=\r\nt=0 0\r\nm=audio 4" FORMATS,
        SESSION "m=audio 40001" FORMATS,
        SESSION "m=audio 0" FORMATS,
        SESSION "m=audio 5000" FORMATS,
        SESSION "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n",
        SESSION "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=inactive\r\n",
        SESSION "m=audio 5000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=recvonly\r\n",
    };
    for (unsigned i = 0; i < sizeof same / sizeof *same; i++)
        for (unsigned k = 0; k < sizeof same / sizeof *same; k++)
            CHECK_TRUE(alike(same[i], same[k]));
    CHECK_TRUE(alike(AUDIO "m=video 1 RTP/AVP 31\r\nc=IN IP4 192.0.2.1\r\n",
                     AUDIO "m=video 60000 RTP/AVP 31\r\nc=IN IP4 10.0.0.1\r\n"));
    CHECK_TRUE(alike(AUDIO "c=IN IP4 192.0.2.1", AUDIO "c=IN IP4 192.0.2.100"));
}

static void test_not_alike(void) {
    static const char *const other[] = {
        "",
        SESSION,
        AUDIO "a=ptime:20\r\n",
        AUDIO "\r\n",
        SESSION "m=audio 4000 RTP/AVP 0 102\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n",
        SESSION "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n",
        SESSION "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/16000\r\na=sendrecv\r\n",
        SESSION "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        SESSION "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonlyx\r\n",
        SESSION "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=setup:active\r\n",
        SESSION "m=audio 4000 RTP/AVP 0 101\r\na=sendrecv\r\na=rtpmap:101 telephone-event/8000\r\n",
        SESSION "m=audio 4000 RTP/SAVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n",
        SESSION "m=audio 4000/2" FORMATS,
        SESSION "m=audio  4000" FORMATS,
        SESSION "m=audio" FORMATS,
        SESSION "m=video 4000" FORMATS,
        "v=0\r\no=alice 5 9 IN IP4 192.0.2.11\r\ns=x\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\nm=audio 4000" FORMATS,
        "v=0\r\no=alice 5 9 IN IP4 192.0.2.11\r\ns=-\r\nt=0 0\r\nm=audio 4000" FORMATS,
        "v=0\r\no=alice 5 9 IN IP4 192.0.2.11\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\nm=audio 4000/2" FORMATS,
    };
    for (unsigned i = 0; i < sizeof other / sizeof *other; i++)
        CHECK_TRUE(!alike(AUDIO, other[i]));
    /* The one ends within a line that the other ends. */
    CHECK_TRUE(!alike(AUDIO "c=IN IP4 192.0.2.1", AUDIO "c=IN IP4 192.0.2.1\n"));
    CHECK_TRUE(!alike("m=audio 4000", "m=audio 5000"));
    CHECK_TRUE(!alike("o=a", "c=a"));
}

/* The views of an alike text have its formats; what is asked for otherwise is the text itself. */
static void test_memo(void) {
    struct sdp a, b, c;
    struct arena counting;
    arena_init(&counting, NULL, 0);
    CHECK_TRUE(sdp_memo_new(&counting) == NULL);
    void *mem = calloc(1, counting.used + 64);
    struct arena room;
    arena_init(&room, mem, counting.used + 64);
    struct sdp_memo *memo = sdp_memo_new(&room);
    CU_ASSERT_FATAL(memo != NULL);
    sdp_memo_begin(memo);
    CHECK_TRUE(sdp_memo_parse_alike(memo, SL(AUDIO), &a) > 0);
    CHECK_TRUE(sdp_memo_parse_alike(memo, SL(SESSION "m=audio 40001" FORMATS), &b) > 0);
    CHECK_TRUE(a.media[0].lines.p == b.media[0].lines.p);
    CHECK_EQ(b.media[0].format_count, 2);
    CHECK_TRUE(sdp_memo_parse(memo, SL(SESSION "m=audio 40001" FORMATS), &c) > 0);
    CHECK_EQ(c.media[0].port, 40001);
    CHECK_EQ(sdp_memo_parse_alike(memo, SL("no description"), &b), SDP_BAD);
    sdp_memo_begin(memo);
    CHECK_TRUE(sdp_memo_parse_alike(memo, SL(SESSION "m=audio 40001" FORMATS), &b) > 0);
    CHECK_EQ(b.media[0].port, 40001);
    free(mem);
}

int main(void) {
    return UNIT_RUN("sdp_memo", UNIT(test_alike), UNIT(test_not_alike), UNIT(test_memo));
}
