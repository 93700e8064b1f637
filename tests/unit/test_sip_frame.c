/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_frame: messages and keep-alives in a stream, cut at every byte.
 */
#include "parser/sip_frame.h"
#include "tests/unit/sip_files.h"

static const char *const corpus[] = { SIP_CORPUS_FILES };

static int32_t frame(const char *text, enum sip_frame_kind *kind) {
    struct slice copy = slice_heap(slice_str(text));
    int32_t n = sip_frame(copy, SIP_MESSAGE_MAX, kind);
    free((void *)copy.p);
    return n;
}

static void test_keep_alives(void) {
    enum sip_frame_kind kind = SIP_FRAME_MESSAGE;
    CHECK_EQ(frame("", &kind), SIP_PARTIAL);
    CHECK_EQ(frame("\r", &kind), SIP_PARTIAL);
    CHECK_EQ(frame("\r\n", &kind), SIP_PARTIAL);
    CHECK_EQ(frame("\r\n\r", &kind), SIP_PARTIAL);
    CHECK_EQ(frame("\r\n\r\n", &kind), 4);
    CHECK_EQ(kind, SIP_FRAME_PING);
    CHECK_EQ(frame("\r\nINVITE", &kind), 2);
    CHECK_EQ(kind, SIP_FRAME_PONG);
    CHECK_EQ(frame("\rX", &kind), SIP_BAD);
}

static void test_content_length(void) {
    enum sip_frame_kind kind = SIP_FRAME_PING;
    CHECK_EQ(frame("X\r\nl: 3\r\n\r\nabcdef", &kind), 14);
    CHECK_EQ(kind, SIP_FRAME_MESSAGE);
    CHECK_EQ(frame("X\r\nCONTENT-LENGTH  :\r\n  0003\r\nY: Content-Length: 9\r\n\r\nabc", &kind), 57);
    CHECK_EQ(frame("X\r\nl: 3\r\n\r\nab", &kind), SIP_PARTIAL);
    CHECK_EQ(frame("X\r\nl: 3\r\n", &kind), SIP_PARTIAL);
    CHECK_EQ(frame("X\r\nl: 3\r\nContent-Length: 3\r\n\r\nabc", &kind), 33);
    CHECK_EQ(frame("X\r\nl: 3\r\nContent-Length: 4\r\n\r\nabcd", &kind), SIP_BAD);
    CHECK_EQ(frame("X\r\nl: -3\r\n\r\n", &kind), SIP_BAD);
    CHECK_EQ(frame("X\r\nl:\r\n\r\n", &kind), SIP_BAD);
    CHECK_EQ(frame("X\r\nl: 99999999999999999999\r\n\r\n", &kind), SIP_BAD);
    CHECK_EQ(frame("X\r\nY: 1\r\n\r\n", &kind), SIP_BAD);
    CHECK_EQ(frame("X\r\nY: 1\nl: 3\r\n\r\nabc", &kind), SIP_BAD);
    CHECK_EQ(frame("X\r\nno colon\r\nl: 0\r\n\r\n", &kind), 21);
}

static void test_max(void) {
    enum sip_frame_kind kind;
    CHECK_EQ(sip_frame(SL("X\r\nl: 3\r\n\r\nabc"), 14, &kind), 14);
    CHECK_EQ(sip_frame(SL("X\r\nl: 3\r\n\r\nabc"), 13, &kind), SIP_BAD);
    CHECK_EQ(sip_frame(SL("X\r\nl: 3\r\n\r\nabc"), 5, &kind), SIP_BAD);
    CHECK_EQ(sip_frame(SL("X\r\nl"), 5, &kind), SIP_PARTIAL);
    CHECK_EQ(sip_frame(SL("X\r\nl:"), 5, &kind), SIP_BAD);
}

/* The corpus as one stream: each message ends where it ends, however the bytes arrive. */
static void test_corpus_as_a_stream(void) {
    static char stream[32768];
    uint32_t ends[sizeof corpus / sizeof *corpus], n = 0;
    for (unsigned i = 0; i < sizeof corpus / sizeof *corpus; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.sip", corpus[i]);
        struct slice bytes = sip_file("corpus", name);
        memcpy(stream + n, bytes.p, bytes.n);
        ends[i] = n += bytes.n;
        free((void *)bytes.p);
    }
    enum sip_frame_kind kind;
    uint32_t begin = 0, wrong = 0;
    for (unsigned i = 0; i < sizeof corpus / sizeof *corpus; i++) {
        for (uint32_t cut = begin; cut < ends[i]; cut += 7) {
            struct slice part = slice_heap(slice_of(stream + begin, cut - begin));
            wrong += sip_frame(part, SIP_MESSAGE_MAX, &kind) != SIP_PARTIAL;
            free((void *)part.p);
        }
        CHECK_EQ(sip_frame(slice_of(stream + begin, n - begin), SIP_MESSAGE_MAX, &kind), ends[i] - begin);
        CHECK_EQ(kind, SIP_FRAME_MESSAGE);
        begin = ends[i];
    }
    CHECK_EQ(wrong, 0);
}

/* What a receiver of a stream sees: every frame's views, as offsets into the stream, summed up. */
static uint64_t read_stream(const char *stream, uint32_t n, uint32_t cut) {
    static char buffer[32768];
    static struct sip_msg msg;
    uint64_t sum = 14695981039346656037u;
    uint32_t have = 0, begin = 0;
    for (unsigned part = 0; part < 2; part++) {
        uint32_t upto = part ? n : cut;
        memcpy(buffer + have, stream + have, upto - have);
        have = upto;
        for (;;) {
            enum sip_frame_kind kind = SIP_FRAME_PONG;
            struct sip_fault fault;
            struct slice waiting = slice_of(buffer + begin, have - begin);
            int32_t got = sip_frame(waiting, SIP_MESSAGE_MAX, &kind);
            if (got < 0) {
                sum = got == SIP_PARTIAL ? sum : 0;
                break;
            }
            if (kind == SIP_FRAME_MESSAGE && sip_parse(slice_of(waiting.p, (uint32_t)got), &msg, &fault) != got)
                return 0;
            const struct slice views[] = { msg.ruri.user,  msg.from_tag, msg.to_tag,
                                           msg.via.branch, msg.call_id,  msg.body };
            for (unsigned i = 0; i < sizeof views / sizeof *views; i++)
                sum = (sum ^ (views[i].p ? (uint64_t)(views[i].p - buffer) << 20 | views[i].n : 1)) * 1099511628211u;
            sum = (sum ^ (uint64_t)kind ^ (uint64_t)got << 8 ^ msg.header_count) * 1099511628211u;
            begin += (uint32_t)got;
        }
    }
    return begin == n ? sum : 0;
}

static void test_any_cut_gives_the_same_views(void) {
    static char stream[32768];
    uint32_t n = 0, wrong = 0;
    for (unsigned i = 0; i < sizeof corpus / sizeof *corpus; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.sip", corpus[i]);
        struct slice bytes = sip_file("corpus", name);
        memcpy(stream + n, bytes.p, bytes.n);
        n += bytes.n;
        free((void *)bytes.p);
        /* Keep-alives between some. */
        if (i % 4 == 1) {
            memcpy(stream + n, "\r\n\r\n", 4);
            n += 4;
        }
    }
    uint64_t whole = read_stream(stream, n, 0);
    CHECK_TRUE(whole != 0);
    for (uint32_t cut = 1; cut <= n; cut++)
        wrong += read_stream(stream, n, cut) != whole;
    CHECK_EQ(wrong, 0);
}

int main(void) {
    return UNIT_RUN("sip_frame", UNIT(test_keep_alives), UNIT(test_content_length), UNIT(test_max),
                    UNIT(test_corpus_as_a_stream), UNIT(test_any_cut_gives_the_same_views));
}
