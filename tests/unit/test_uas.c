/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/uas.h"
#include "tests/unit/ua_fixture.h"

#define INVITE_HEAD                                                                                                    \
    "INVITE sip:bob@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bKa;rport\n"                         \
    "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKb\nRecord-Route: <sip:p1;lr>\nRecord-Route: <sip:p2;lr>\n"                \
    "From: A <sip:alice@example.com>;tag=fa\nTo: <sip:bob@example.com>\nCall-ID: c1\nCSeq: 7 INVITE\n"

static struct slice build(struct ua_fix *f, const char *text, const struct uas_response *r, struct buf **b) {
    struct addr src = ua_fix_addr("203.0.113.5:1024");
    *b = uas_build(&f->ua, ua_fix_msg(f, text), &src, r);
    CU_ASSERT_FATAL(*b != NULL);
    return buf_slice(*b);
}

static void test_final_with_contact(void) {
    struct ua_fix *f = ua_fix_new();
    struct buf *b;
    struct uas_response r = { .status = 200,
                              .to_tag = SL("ours"),
                              .contact_user = SL("tok"),
                              .extra = SL("X-A: b\r\n"),
                              .content_type = SL("application/sdp"),
                              .body = SL("v=0\r\n") };
    CHECK_SLICE(build(f, INVITE_HEAD "Max-Forwards: 70\nContent-Length: 0\n\n", &r, &b),
                "SIP/2.0 200 OK\r\n"
                "Via: SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bKa;received=203.0.113.5;rport=1024\r\n"
                "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKb\r\n"
                "Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\n"
                "From: A <sip:alice@example.com>;tag=fa\r\nTo: <sip:bob@example.com>;tag=ours\r\nCall-ID: c1\r\n"
                "CSeq: 7 INVITE\r\nContact: <sip:tok@192.0.2.1:5060>\r\n"
                "Allow: " UA_ALLOW "\r\nSupported: " UA_SUPPORTED "\r\nServer: referee\r\nX-A: b\r\n"
                "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n");
    buf_unref(&f->bufs, &b);
    ua_fix_end(f);
}

/* A To tag that is there stays as it is (section 8.2.6.2); without Contact no Record-Route. */
static void test_refusal(void) {
    struct ua_fix *f = ua_fix_new();
    struct buf *b;
    struct uas_response r = { .status = 486, .reason = SL("In a meeting"), .to_tag = SL("ours") };
    CHECK_SLICE(build(f,
                      "BYE sip:x@192.0.2.1 SIP/2.0\nv: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKa\n"
                      "f: <sip:a@b>;tag=1\nt: <sip:c@d>;tag=theirs\ni: c1\nCSeq: 1 BYE\nl: 0\n\n",
                      &r, &b),
                "SIP/2.0 486 In a meeting\r\nVia: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKa\r\n"
                "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=theirs\r\nCall-ID: c1\r\nCSeq: 1 BYE\r\n"
                "Server: referee\r\nContent-Length: 0\r\n\r\n");
    buf_unref(&f->bufs, &b);
    ua_fix_end(f);
}

/* Folds are not handed on, whichever header they are in. */
static void test_folds(void) {
    struct ua_fix *f = ua_fix_new();
    struct buf *b;
    struct uas_response r = { .status = 404, .to_tag = SL("ours") };
    CHECK_SLICE(build(f,
                      "OPTIONS sip:x@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKa\n"
                      "From: A\n <sip:a@b>;tag=1\nTo: C\n\t<sip:c@d>\nCall-ID: c1\nCSeq: 1 OPTIONS\n\n",
                      &r, &b),
                "SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKa\r\n"
                "From: A <sip:a@b>;tag=1\r\nTo: C <sip:c@d>;tag=ours\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\n"
                "Server: referee\r\nContent-Length: 0\r\n\r\n");
    buf_unref(&f->bufs, &b);
    ua_fix_end(f);
}

/* What was written once for all responses of a request makes the same ones. */
static void same_by_head(struct ua_fix *f, const char *text, const struct uas_response *r) {
    struct addr src = ua_fix_addr("203.0.113.5:1024");
    struct buf *by_request, *by_head, *head;
    struct slice whole = build(f, text, r, &by_request);
    head = uas_head_make(&f->bufs, &f->msg, &src);
    CU_ASSERT_FATAL(head != NULL);
    by_head = uas_build_on(&f->ua, uas_head_in(head), r);
    CU_ASSERT_FATAL(by_head != NULL);
    CHECK_TRUE(slice_eq(buf_slice(by_head), whole));
    buf_unref(&f->bufs, &by_request);
    buf_unref(&f->bufs, &by_head);
    buf_unref(&f->bufs, &head);
}

static void test_head(void) {
    struct ua_fix *f = ua_fix_new();
    const struct uas_response responses[] = {
        { .status = 180, .to_tag = SL("ours"), .contact_user = SL("tok"), .extra = SL("X-A: b\r\n") },
        { .status = 200, .to_tag = SL("ours"), .contact_user = SL("tok"), .body = SL("v=0"), .own = SL("Y: z\r\n") },
        { .status = 486, .reason = SL("In a meeting"), .to_tag = SL("ours") },
        { .status = 500 },
    };
    char long_one[8000];
    int n = snprintf(long_one, sizeof long_one,
                     "INVITE sip:x@y SIP/2.0\nFrom: <sip:a@b>\nTo: <sip:c@d>\ni: 1\nCSeq: 1 INVITE\n"
                     "Via: SIP/2.0/UDP a;branch=z9hG4bK0");
    for (unsigned i = 0; i < 110; i++)
        n += snprintf(long_one + n, sizeof long_one - (size_t)n, "%s", ",SIP/2.0/UDP a");
    snprintf(long_one + n, sizeof long_one - (size_t)n, "\n\n");
    const char *requests[] = {
        INVITE_HEAD "Max-Forwards: 70\nContent-Length: 0\n\n",
        "INVITE sip:x@192.0.2.1 SIP/2.0\nv: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKa,SIP/2.0/TCP h\nf: <sip:a@b>;tag=1\n"
        "t: C\n <sip:c@d>;tag=theirs\ni: c1\nCSeq: 4294967295 INVITE\nl: 0\n\n",
        long_one,
    };
    for (unsigned i = 0; i < sizeof requests / sizeof *requests; i++)
        for (unsigned k = 0; k < sizeof responses / sizeof *responses; k++)
            same_by_head(f, requests[i], &responses[k]);
    ua_fix_end(f);
}

static void test_what_the_head_knows(void) {
    struct ua_fix *f = ua_fix_new();
    struct addr src = ua_fix_addr("203.0.113.5:1024");
    struct buf *b = uas_head_make(&f->bufs,
                                  ua_fix_msg(f, INVITE_HEAD "Require: 100rel\nSupported: timer\nMin-SE: 100\n"
                                                            "Session-Expires: 300;refresher=uas\n\nv=0\n"),
                                  &src);
    const struct uas_head *h = uas_head_in(b);
    CHECK_TRUE(h->described && h->rel100_required && h->rel100_supported && !h->tagged);
    CHECK_EQ(h->method, SIP_M_INVITE);
    CHECK_TRUE(h->session.knows);
    CHECK_EQ(h->session.expires_s, 300);
    CHECK_EQ(h->session.min_se_s, 100);
    CHECK_EQ(h->session.refresher, SESSION_BY_UAS);
    buf_unref(&f->bufs, &b);
    b = uas_head_make(&f->bufs, ua_fix_msg(f, INVITE_HEAD "Supported: 100rel\n\n"), &src);
    h = uas_head_in(b);
    CHECK_TRUE(!h->described && !h->rel100_required && h->rel100_supported && !h->session.knows);
    buf_unref(&f->bufs, &b);
    ua_fix_end(f);
}

static void test_no_buffer(void) {
    struct ua_fix *f = ua_fix_new();
    struct addr src = ua_fix_addr("203.0.113.5:1024");
    struct buf *held[128], *b;
    unsigned n = 0;
    while ((b = buf_get(&f->bufs, 1)))
        held[n++] = b;
    struct uas_response r = { .status = 200 };
    CHECK_TRUE(uas_build(&f->ua, ua_fix_msg(f, INVITE_HEAD "\n"), &src, &r) == NULL);
    while (n)
        buf_unref(&f->bufs, &held[--n]);
    ua_fix_end(f);
}

/* As long as a message may be, and a byte longer. */
static void test_too_long(void) {
    static char body[SIP_MESSAGE_MAX];
    struct ua_fix *f = ua_fix_new();
    struct addr src = ua_fix_addr("203.0.113.5:1024");
    struct uas_response r = { .status = 200, .content_type = SL("x/y"), .body = slice_of(body, 10000) };
    const struct sip_msg *request = ua_fix_msg(f, INVITE_HEAD "\n");
    memset(body, 'x', sizeof body);
    struct buf *b = uas_build(&f->ua, request, &src, &r);
    CHECK_TRUE(b != NULL);
    uint32_t head = b->len - r.body.n;
    CHECK_TRUE(memcmp(b->data + head - 4, "\r\n\r\nxxx", 7) == 0 && b->data[b->len - 1] == 'x');
    buf_unref(&f->bufs, &b);
    r.body.n = SIP_MESSAGE_MAX - head;
    b = uas_build(&f->ua, request, &src, &r);
    CHECK_TRUE(b && b->len == SIP_MESSAGE_MAX);
    buf_unref(&f->bufs, &b);
    r.body.n++;
    CHECK_TRUE(uas_build(&f->ua, request, &src, &r) == NULL);
    ua_fix_end(f);
}

/* ---- uas_check ---- */

static unsigned check(struct ua_fix *f, const char *start, const char *headers, const char *body, struct slice *extra) {
    char text[4096];
    char method[64];
    snprintf(method, sizeof method, "%.*s", (int)strcspn(start, " "), start);
    snprintf(text, sizeof text,
             "%s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa\nFrom: <sip:a@b>;tag=1\nTo: <sip:c@d>\n"
             "Call-ID: c\nCSeq: 1 %s\n%sContent-Length: %zu\n\n%s",
             start, method, headers, strlen(body), body);
    struct uas_refusal r = uas_check(&f->ua, ua_fix_msg(f, text));
    if (extra)
        *extra = r.extra;
    return r.status;
}

static void test_methods_and_schemes(void) {
    struct ua_fix *f = ua_fix_new();
    struct slice extra;
    CHECK_EQ(check(f, "INVITE sip:x@y", "", "", NULL), 0);
    CHECK_EQ(check(f, "INVITE sips:x@y", "", "", NULL), 0);
    CHECK_EQ(check(f, "INVITE tel:+4930123", "", "", NULL), 0);
    CHECK_EQ(check(f, "INVITE urn:service:sos", "", "", NULL), 0);
    CHECK_EQ(check(f, "MESSAGE urn:service:sos", "", "", NULL), 416);
    CHECK_EQ(check(f, "INVITE urn:isbn:0131103628", "", "", NULL), 416);
    CHECK_EQ(check(f, "INVITE http:x", "", "", NULL), 416);
    CHECK_EQ(check(f, "PUBLISH sip:x@y", "", "", &extra), 405);
    CHECK_SLICE(extra, "Allow: " UA_ALLOW ", REGISTER\r\n");
    CHECK_EQ(check(f, "PRACK sip:x@y", "", "", NULL), 0);
    CHECK_EQ(check(f, "FETCH sip:x@y", "", "", &extra), 501);
    CHECK_SLICE(extra, "Allow: " UA_ALLOW ", REGISTER\r\n");
    CHECK_EQ(check(f, "invite sip:x@y", "", "", NULL), 501);
    ua_fix_end(f);
}

static void test_hops_and_options(void) {
    struct ua_fix *f = ua_fix_new();
    struct slice extra;
    CHECK_EQ(check(f, "INVITE sip:x@y", "Max-Forwards: 0\n", "", NULL), 483);
    CHECK_EQ(check(f, "OPTIONS sip:x@y", "Max-Forwards: 0\n", "", NULL), 0);
    CHECK_EQ(check(f, "INVITE sip:x@y", "Require: replaces\n", "", NULL), 0);
    CHECK_EQ(check(f, "INVITE sip:x@y", "Require: replaces, 100rel, path\nRequire: foo\nProxy-Require: bar\n", "",
                   &extra),
             420);
    CHECK_SLICE(extra, "Unsupported: path, foo, bar\r\n");
    CHECK_EQ(check(f, "REGISTER sip:x@y", "Require: path\n", "", NULL), 420);
    CHECK_EQ(check(f, "CANCEL sip:x@y", "Require: foo\n", "", NULL), 0);
    CHECK_EQ(check(f, "ACK sip:x@y", "Require: foo\n", "", NULL), 0);
    ua_fix_end(f);
}

static void test_bodies(void) {
    struct ua_fix *f = ua_fix_new();
    struct slice extra;
    CHECK_EQ(check(f, "INVITE sip:x@y", "Content-Type: text/plain\n", "hello", &extra), 415);
    CHECK_SLICE(extra, "Accept: application/sdp\r\n");
    CHECK_EQ(check(f, "INVITE sip:x@y", "", "hello", NULL), 415);
    CHECK_EQ(check(f, "INVITE sip:x@y", "Content-Type: APPLICATION/SDP;a=b\n", "v=0", NULL), 0);
    CHECK_EQ(check(f, "MESSAGE sip:x@y", "Content-Type: text/plain\n", "hello", NULL), 0);
    CHECK_EQ(check(f, "INVITE sip:x@y", "Content-Encoding: gzip\n", "", &extra), 415);
    CHECK_SLICE(extra, "Accept-Encoding: identity\r\n");
    CHECK_EQ(check(f, "INVITE sip:x@y", "Content-Encoding: identity\n", "", NULL), 0);
    CHECK_EQ(check(f, "INVITE sip:x@y", "Accept: text/plain\n", "", NULL), 406);
    CHECK_EQ(check(f, "INVITE sip:x@y", "Accept: text/plain, application/sdp\n", "", NULL), 0);
    CHECK_EQ(check(f, "INVITE sip:x@y", "Accept: application/*\n", "", NULL), 0);
    CHECK_EQ(check(f, "INVITE sip:x@y", "Accept: */*\n", "", NULL), 0);
    ua_fix_end(f);
}

int main(void) {
    return UNIT_RUN("uas", UNIT(test_final_with_contact), UNIT(test_refusal), UNIT(test_folds), UNIT(test_head),
                    UNIT(test_what_the_head_knows), UNIT(test_no_buffer), UNIT(test_too_long),
                    UNIT(test_methods_and_schemes), UNIT(test_hops_and_options), UNIT(test_bodies));
}
