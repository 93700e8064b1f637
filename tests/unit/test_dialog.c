/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/dialog.h"
#include "tests/unit/ua_fixture.h"

#define INVITE                                                                                                         \
    "INVITE sip:bob@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa;rport\n"                              \
    "Record-Route: <sip:192.0.2.61;lr>, <sip:192.0.2.62;lr>\nRecord-Route: <sip:p3.example;lr>\n"                      \
    "From: \"A, B\" <sip:alice@example.com>;tag=fa;x=y\nTo: <sip:bob@example.com>\nCall-ID: c1\n"                      \
    "CSeq: 7 INVITE\nContact: <sip:alice@10.0.0.5:5070>;expires=5\nContent-Length: 0\n\n"
#define OK_HEAD                                                                                                        \
    "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\nFrom: <sip:a@b>;tag=us\n"                             \
    "To: <sip:c@d>;tag=them\nCall-ID: c2\nCSeq: 1 INVITE\n"

static struct dialog uas_dialog(struct ua_fix *f, const char *text) {
    struct dialog d;
    struct addr src = ua_fix_addr("203.0.113.5:1024"), dst = ua_fix_addr("192.0.2.1:5060");
    CU_ASSERT_FATAL(dialog_init_uas(&d, &f->ua, ua_fix_msg(f, text), SL("us"), &src, &dst));
    return d;
}

static struct dialog uac_dialog(struct ua_fix *f) {
    struct dialog d;
    struct dialog_uac u = { .call_id = SL("c2"),
                            .local_tag = SL("us"),
                            .local_uri = SL("<sip:a@b>"),
                            .remote_uri = SL("<sip:c@d>"),
                            .target = SL("sip:c@192.0.2.9"),
                            .dst = ua_fix_addr("192.0.2.9:5060") };
    CU_ASSERT_FATAL(dialog_init_uac(&d, &f->ua, &u));
    return d;
}

static struct slice build(struct ua_fix *f, const struct dialog *d, const struct dialog_request *r, struct buf **b) {
    static char mem[DIALOG_BRANCH_MAX];
    struct slice branch;
    *b = dialog_build(d, &f->ua, r, mem, &branch);
    CU_ASSERT_FATAL(*b != NULL);
    return buf_slice(*b);
}

static bool has(struct slice text, const char *part) {
    for (uint32_t i = 0; i + strlen(part) <= text.n; i++)
        if (memcmp(text.p + i, part, strlen(part)) == 0)
            return true;
    return false;
}

/* Section 12.1.1: the route set in the order of the request; tags apart from the URIs. */
static void test_uas(void) {
    struct ua_fix *f = ua_fix_new();
    struct dialog d = uas_dialog(f, INVITE);
    CHECK_SLICE(strs_get(&d.s, DLG_CALL_ID), "c1");
    CHECK_SLICE(strs_get(&d.s, DLG_LOCAL_TAG), "us");
    CHECK_SLICE(strs_get(&d.s, DLG_REMOTE_TAG), "fa");
    CHECK_SLICE(strs_get(&d.s, DLG_LOCAL_URI), "<sip:bob@example.com>");
    CHECK_SLICE(strs_get(&d.s, DLG_REMOTE_URI), "\"A, B\" <sip:alice@example.com>");
    CHECK_SLICE(strs_get(&d.s, DLG_TARGET), "sip:alice@10.0.0.5:5070");
    CHECK_SLICE(strs_get(&d.s, DLG_ROUTES), "<sip:192.0.2.61;lr>, <sip:192.0.2.62;lr>, <sip:p3.example;lr>");
    CHECK_EQ(d.remote_cseq, 7);
    dialog_free(&d, &f->ua);
    ua_fix_end(f);
}

/* Section 12.1.2: reversed; the target is the response's Contact. */
static void test_uac(void) {
    struct ua_fix *f = ua_fix_new();
    struct dialog d = uac_dialog(f);
    CHECK_FALSE(strs_get(&d.s, DLG_REMOTE_TAG).p != NULL);
    const struct sip_msg *m =
        ua_fix_msg(f, OK_HEAD "Record-Route: <sip:p1;lr>,<sip:p2;lr>\nContact: <sip:c@192.0.2.10>\n\n");
    CHECK_TRUE(dialog_from_response(&d, &f->ua, m));
    CHECK_SLICE(strs_get(&d.s, DLG_REMOTE_TAG), "them");
    CHECK_SLICE(strs_get(&d.s, DLG_ROUTES), "<sip:p2;lr>, <sip:p1;lr>");
    CHECK_SLICE(strs_get(&d.s, DLG_TARGET), "sip:c@192.0.2.10");
    CHECK_TRUE(dialog_refresh(&d, &f->ua, ua_fix_msg(f, OK_HEAD "\n")));
    CHECK_SLICE(strs_get(&d.s, DLG_TARGET), "sip:c@192.0.2.10");
    CHECK_TRUE(dialog_refresh(&d, &f->ua, ua_fix_msg(f, OK_HEAD "m: sip:c@192.0.2.11;x=1\n\n")));
    CHECK_SLICE(strs_get(&d.s, DLG_TARGET), "sip:c@192.0.2.11");
    dialog_free(&d, &f->ua);
    ua_fix_end(f);
}

#define BYE_TO(to, from)                                                                                               \
    "BYE sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKb\n"                                        \
    "From: <sip:a@b>" from "\nTo: <sip:c@d>" to "\nCall-ID: c1\nCSeq: 8 BYE\n\n"

/* Call-ID and both tags, octet by octet. */
static void test_matching(void) {
    struct ua_fix *f = ua_fix_new();
    struct dialog d = uas_dialog(f, INVITE);
    CHECK_TRUE(dialog_matches_request(&d, ua_fix_msg(f, BYE_TO(";tag=us", ";tag=fa"))));
    CHECK_FALSE(dialog_matches_request(&d, ua_fix_msg(f, BYE_TO(";tag=US", ";tag=fa"))));
    CHECK_FALSE(dialog_matches_request(&d, ua_fix_msg(f, BYE_TO(";tag=us", ";tag=fb"))));
    CHECK_FALSE(dialog_matches_request(&d, ua_fix_msg(f, BYE_TO(";tag=us", ""))));
    dialog_free(&d, &f->ua);
    ua_fix_end(f);
}

static bool accepts(struct ua_fix *f, struct dialog *d, const char *cseq, const char *method) {
    char text[512];
    snprintf(text, sizeof text,
             "%s sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKb\nFrom: <sip:a@b>"
             ";tag=fa\nTo: <sip:c@d>;tag=us\nCall-ID: c1\nCSeq: %s %s\n\n",
             method, cseq, method);
    return dialog_accept_cseq(d, ua_fix_msg(f, text));
}

static void test_cseq(void) {
    struct ua_fix *f = ua_fix_new();
    struct dialog d = uas_dialog(f, INVITE), u = uac_dialog(f);
    CHECK_FALSE(accepts(f, &d, "6", "INFO"));
    CHECK_FALSE(accepts(f, &d, "7", "INFO"));
    CHECK_TRUE(accepts(f, &d, "7", "ACK"));
    CHECK_TRUE(accepts(f, &d, "9", "INFO"));
    CHECK_FALSE(accepts(f, &d, "8", "BYE"));
    CHECK_TRUE(accepts(f, &d, "4294967295", "BYE"));
    CHECK_TRUE(accepts(f, &u, "0", "BYE")); /* the first one the other side sends */
    CHECK_FALSE(accepts(f, &u, "0", "BYE"));
    dialog_free(&d, &f->ua);
    dialog_free(&u, &f->ua);
    ua_fix_end(f);
}

static void check_hop(struct ua_fix *f, const struct dialog *d, const char *want) {
    struct addr got, w = ua_fix_addr(want);
    for (unsigned again = 0; again < 2; again++) {
        dialog_next_hop(d, &f->ua, &got);
        CHECK_TRUE(addr_eq(&got, &w));
    }
}

static void test_next_hop(void) {
    struct ua_fix *f = ua_fix_new();
    struct dialog d = uas_dialog(f, INVITE);
    check_hop(f, &d, "192.0.2.61:5060");
    strs_set(&d.s, &f->bufs, DLG_ROUTES, SL("<sip:proxy.example;lr>"));
    check_hop(f, &d, "203.0.113.5:1024"); /* a name: back where it came from */
    strs_set(&d.s, &f->bufs, DLG_ROUTES, SLICE_NONE);
    check_hop(f, &d, "203.0.113.5:1024"); /* 10.0.0.5 is behind a NAT */
    strs_set(&d.s, &f->bufs, DLG_TARGET, SL("sip:a@198.51.100.7:5090"));
    check_hop(f, &d, "198.51.100.7:5090");
    strs_set(&d.s, &f->bufs, DLG_TARGET, SL("sip:a@[2001:db8::7]"));
    check_hop(f, &d, "[2001:db8::7]:5060");
    strs_set(&d.s, &f->bufs, DLG_TARGET, SL("sip:a@phone.example"));
    check_hop(f, &d, "203.0.113.5:1024");
    d.flow = ua_fix_addr("10.0.0.5:1024"); /* the private address is where the packets come from */
    strs_set(&d.s, &f->bufs, DLG_TARGET, SL("sip:a@10.0.0.5:5070"));
    check_hop(f, &d, "10.0.0.5:5070");
    dialog_free(&d, &f->ua);
    ua_fix_end(f);
}

/* Targets that were read before are known by the whole of their text, however alike they end. */
static void test_known_targets(void) {
    struct ua_fix *f = ua_fix_new();
    struct dialog d = uas_dialog(f, INVITE);
    strs_set(&d.s, &f->bufs, DLG_ROUTES, SLICE_NONE);
    for (unsigned i = 0; i < 3; i++) {
        strs_set(&d.s, &f->bufs, DLG_TARGET, SL("sip:a@198.51.100.7:5090;transport=udp"));
        check_hop(f, &d, "198.51.100.7:5090");
        strs_set(&d.s, &f->bufs, DLG_TARGET, SL("sip:a@198.51.100.8:5090;transport=udp"));
        check_hop(f, &d, "198.51.100.8:5090");
        strs_set(&d.s, &f->bufs, DLG_TARGET, SL("tel:a@198.51.100.7:5090;transport=udp"));
        check_hop(f, &d, "203.0.113.5:1024");
        strs_set(&d.s, &f->bufs, DLG_TARGET, SL("sip:a@192.0.2.9"));
        check_hop(f, &d, "192.0.2.9:5060");
    }
    dialog_free(&d, &f->ua);
    ua_fix_end(f);
}

static void test_request(void) {
    struct ua_fix *f = ua_fix_new();
    struct dialog d = uas_dialog(f, INVITE);
    struct buf *b, *again, *next;
    struct dialog_request r = { .method = SL("INFO"),
                                .cseq = 3,
                                .max_forwards = 69,
                                .contact = true,
                                .extra = SL("X-A: 1\r\n"),
                                .content_type = SL("text/plain"),
                                .body = SL("hi") };
    struct slice text = build(f, &d, &r, &b);
    CHECK_TRUE(slice_has_prefix(text, SL("INFO sip:alice@10.0.0.5:5070 SIP/2.0\r\n")));
    CHECK_TRUE(has(text, "\r\nRoute: <sip:192.0.2.61;lr>, <sip:192.0.2.62;lr>, <sip:p3.example;lr>\r\n"));
    CHECK_TRUE(has(text, "\r\nFrom: <sip:bob@example.com>;tag=us\r\n"));
    CHECK_TRUE(has(text, "\r\nTo: \"A, B\" <sip:alice@example.com>;tag=fa\r\n"));
    CHECK_TRUE(has(text, "\r\nCSeq: 3 INFO\r\n") && has(text, "\r\nMax-Forwards: 69\r\n"));
    CHECK_TRUE(has(text, "\r\nContact: <sip:us@192.0.2.1:5060>\r\n") && has(text, "\r\nX-A: 1\r\n"));
    CHECK_TRUE(has(text, "\r\nContent-Length: 2\r\n\r\nhi"));
    /* the same request is the same bytes on any node; another attempt has another branch */
    CHECK_TRUE(slice_eq(build(f, &d, &r, &again), text));
    r.attempt = 1;
    CHECK_FALSE(slice_eq(build(f, &d, &r, &next), text));
    buf_unref(&f->bufs, &b);
    buf_unref(&f->bufs, &again);
    buf_unref(&f->bufs, &next);
    dialog_free(&d, &f->ua);
    ua_fix_end(f);
}

/* Section 12.2.1.1: a first route without lr takes the Request-URI. */
static void test_strict_router(void) {
    struct ua_fix *f = ua_fix_new();
    struct dialog d = uas_dialog(f, INVITE);
    struct buf *b;
    struct dialog_request r = { .method = SL("BYE"), .cseq = 1, .max_forwards = 70 };
    strs_set(&d.s, &f->bufs, DLG_ROUTES, SL("<sip:strict.example>, <sip:p2;lr>"));
    struct slice text = build(f, &d, &r, &b);
    CHECK_TRUE(slice_has_prefix(text, SL("BYE sip:strict.example SIP/2.0\r\n"
                                         "Route: <sip:p2;lr>, <sip:alice@10.0.0.5:5070>\r\n")));
    CHECK_FALSE(has(text, "Contact:"));
    buf_unref(&f->bufs, &b);
    strs_set(&d.s, &f->bufs, DLG_ROUTES, SL("<sip:strict.example>"));
    text = build(f, &d, &r, &b);
    CHECK_TRUE(has(text, "\r\nRoute: <sip:alice@10.0.0.5:5070>\r\n"));
    buf_unref(&f->bufs, &b);
    dialog_free(&d, &f->ua);
    ua_fix_end(f);
}

/* No buffer is left behind by a dialog that could not be made. */
static void test_no_buffers(void) {
    struct ua_fix *f = ua_fix_new();
    struct dialog d;
    struct buf *held[128], *b;
    struct addr any = ua_fix_addr("192.0.2.1:5060");
    unsigned n = 0;
    while ((b = buf_get(&f->bufs, 1)))
        held[n++] = b;
    CHECK_FALSE(dialog_init_uas(&d, &f->ua, ua_fix_msg(f, INVITE), SL("us"), &any, &any));
    while (n)
        buf_unref(&f->bufs, &held[--n]);
    ua_fix_end(f);
}

int main(void) {
    return UNIT_RUN("dialog", UNIT(test_uas), UNIT(test_uac), UNIT(test_matching), UNIT(test_cseq), UNIT(test_next_hop),
                    UNIT(test_known_targets), UNIT(test_request), UNIT(test_strict_router), UNIT(test_no_buffers));
}
