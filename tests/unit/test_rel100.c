/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RFC 3262's numbers. */
#include "core/sip/rel100.h"

#include "tests/unit/ua_fixture.h"

static const struct sip_msg *response(struct ua_fix *f, const char *status_and_to, const char *lines) {
    static char text[1024];
    snprintf(text, sizeof text,
             "SIP/2.0 %s\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa\nFrom: <sip:a@x>;tag=1\n"
             "Call-ID: c\nCSeq: 1 INVITE\n%sContent-Length: 0\n\n",
             status_and_to, lines);
    return ua_fix_msg(f, text);
}

static const struct sip_msg *request(struct ua_fix *f, const char *method, const char *lines) {
    static char text[1024];
    snprintf(text, sizeof text,
             "%s sip:b@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa\nFrom: <sip:a@x>;tag=1\n"
             "To: <sip:b@x>;tag=2\nCall-ID: c\nCSeq: 2 %s\nMax-Forwards: 70\n%sContent-Length: 0\n\n",
             method, method, lines);
    return ua_fix_msg(f, text);
}

/* Only 101 to 199 with a To tag, both headers, and a number. */
static void test_which_is_reliable(void) {
    static const struct {
        const char *status, *lines;
        uint32_t rseq;
    } rows[] = {
        { "183 X\nTo: <sip:b@x>;tag=2", "Require: 100rel\nRSeq: 42\n", 42 },
        { "180 X\nTo: <sip:b@x>;tag=2", "Require: foo, 100REL\nRSEQ:4294967295\n", 4294967295u },
        { "183 X\nTo: <sip:b@x>", "Require: 100rel\nRSeq: 42\n", 0 },
        { "100 X\nTo: <sip:b@x>;tag=2", "Require: 100rel\nRSeq: 42\n", 0 },
        { "200 X\nTo: <sip:b@x>;tag=2", "Require: 100rel\nRSeq: 42\n", 0 },
        { "183 X\nTo: <sip:b@x>;tag=2", "RSeq: 42\n", 0 },
        { "183 X\nTo: <sip:b@x>;tag=2", "Require: 100rel\n", 0 },
        { "183 X\nTo: <sip:b@x>;tag=2", "Require: 100rel\nRSeq: 4294967296\n", 0 },
        { "183 X\nTo: <sip:b@x>;tag=2", "Require: 100rel\nRSeq: x\n", 0 },
        { "183 X\nTo: <sip:b@x>;tag=2", "Supported: 100rel\nRSeq: 1\n", 0 },
    };
    struct ua_fix *f = ua_fix_new();
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_EQ(rel100_rseq(response(f, rows[i].status, rows[i].lines)), rows[i].rseq);
    ua_fix_end(f);
}

/* Section 4: in order, one by one, each early dialog by itself. */
static void test_order(void) {
    struct rel100_early all = { 0 };
    struct rel100_dialog *one = rel100_dialog(&all, 11);
    CHECK_EQ(rel100_hear(one, 700), REL100_NEW);
    CHECK_EQ(rel100_hear(one, 700), REL100_AGAIN);
    CHECK_EQ(rel100_hear(one, 699), REL100_AGAIN);
    CHECK_EQ(rel100_hear(one, 702), REL100_GAP);
    CHECK_EQ(rel100_hear(one, 701), REL100_NEW);
    CHECK_EQ(rel100_hear(one, 702), REL100_NEW);
    struct rel100_dialog *two = rel100_dialog(&all, 12);
    CHECK_TRUE(two != one && rel100_hear(two, 1) == REL100_NEW);
    CHECK_TRUE(rel100_dialog(&all, 11) == one);
    for (uint64_t tag = 13; all.n < LIMIT_FORKS_PER_LEG; tag++)
        CHECK_TRUE(rel100_dialog(&all, tag) != NULL);
    CHECK_TRUE(rel100_dialog(&all, 99) == NULL);
    CHECK_TRUE(rel100_dialog(&all, 12) == two);
}

static void test_rack(void) {
    struct ua_fix *f = ua_fix_new();
    CHECK_TRUE(rel100_matches(request(f, "PRACK", "RAck: 776656 1 INVITE\n"), 776656, 1));
    CHECK_TRUE(rel100_matches(request(f, "PRACK", "rack:  776656 \t 1\n  INVITE \n"), 776656, 1));
    static const char *const wrong[] = { "",
                                         "RAck: \n",
                                         "RAck: 776656\n",
                                         "RAck: 776656 1\n",
                                         "RAck: 776657 1 INVITE\n",
                                         "RAck: 776656 2 INVITE\n",
                                         "RAck: 776656 1 UPDATE\n",
                                         "RAck: 776656 1 invite\n",
                                         "RAck: 776656 1 INVITE x\n",
                                         "RAck: -1 1 INVITE\n",
                                         "RAck: 99999999999999999999 1 INVITE\n" };
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_TRUE(!rel100_matches(request(f, "PRACK", wrong[i]), 776656, 1));
    ua_fix_end(f);
}

static void test_lines(void) {
    struct ua_fix *f = ua_fix_new();
    char mem[REL100_LINES_MAX];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    rel100_put_rack(&b, 4294967295u, 2147483647u);
    CHECK_SLICE(sbuf_slice(&b), "RAck: 4294967295 2147483647 INVITE\r\n");
    b = sbuf_on(mem, sizeof mem);
    rel100_put_rseq(&b, 2147483648u);
    CHECK_SLICE(sbuf_slice(&b), "Require: 100rel\r\nRSeq: 2147483648\r\n");
    CHECK_TRUE(rel100_is_supported(request(f, "INVITE", "k: timer, 100rel\n")));
    CHECK_TRUE(!rel100_is_required(request(f, "INVITE", "k: timer, 100rel\n")));
    CHECK_TRUE(rel100_is_supported(request(f, "INVITE", "Require: 100rel\n")));
    CHECK_TRUE(rel100_is_required(request(f, "INVITE", "Require: 100rel\n")));
    CHECK_TRUE(!rel100_is_supported(request(f, "INVITE", "Supported: 100relx\n")));
    ua_fix_end(f);
}

/* Uniformly between 1 and 2**31 - 1. */
static void test_first(void) {
    struct rng r;
    rng_init(&r, (struct siphash_key){ 1, 2 });
    uint32_t low = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t n = rel100_first(&r);
        CHECK_TRUE(n >= 1 && n <= INT32_MAX);
        low += n < 1u << 30;
    }
    CHECK_TRUE(low > 400 && low < 600);
}

int main(void) {
    return UNIT_RUN("rel100", UNIT(test_which_is_reliable), UNIT(test_order), UNIT(test_rack), UNIT(test_lines),
                    UNIT(test_first));
}
