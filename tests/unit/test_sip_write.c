/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_write and sip_frag: what is written reads back as the same views.
 */
#include "parser/sip_frag.h"
#include "parser/sip_hdr.h"
#include "parser/sip_write.h"
#include "tests/unit/sip_files.h"

static struct sip_msg msg, again;
static struct sip_fault fault;
static char mem[70000];
static const char *const corpus[] = { SIP_CORPUS_FILES };

static void test_request(void) {
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sip_put_request(&b, SL("INVITE"), SL("sip:b@x"));
    sip_put_via(&b, SIP_TCP, SL("h:5060"), SL("z9hG4bK1"));
    sip_put_from_to(&b, SL("From"), SL("\"A\" <sip:a@x>"), SL("1"));
    sip_put_from_to(&b, SL("To"), SL("<sip:b@x>"), SLICE_NONE);
    sip_put_hdr(&b, SL("Call-ID"), SL("c"));
    sip_put_cseq(&b, 4294967295u, SL("INVITE"));
    sip_put_hdr_u64(&b, SL("Max-Forwards"), 70);
    sip_put_body(&b, SL("application/sdp"), SL("v=0\r\n"));
    CHECK_SLICE(
        sbuf_slice(&b),
        "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/TCP h:5060;branch=z9hG4bK1;rport\r\nFrom: \"A\" <sip:a@x>;tag=1\r\n"
        "To: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 4294967295 INVITE\r\nMax-Forwards: 70\r\n"
        "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n");
    CHECK_EQ(sip_parse(sbuf_slice(&b), &msg, &fault), b.n);
}

static void test_status_and_empty_body(void) {
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sip_put_status(&b, 486, SLICE_NONE);
    sip_put_body(&b, SL("x/y"), SLICE_NONE);
    CHECK_SLICE(sbuf_slice(&b), "SIP/2.0 486 Busy Here\r\nContent-Length: 0\r\n\r\n");
    b = sbuf_on(mem, sizeof mem);
    sip_put_status(&b, 200, SL("Fine\r\nX: y"));
    CHECK_SLICE(sbuf_slice(&b), "SIP/2.0 200 Fine X: y\r\n");
    CHECK_SLICE(sip_reason(404), "Not Found");
    CHECK_SLICE(sip_reason(499), "Bad Request");
    CHECK_SLICE(sip_reason(9999), "Trying");
}

static void test_folds_and_bare_line_ends_become_a_space(void) {
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sip_put_hdr(&b, SL("X"), SL("a\r\n\t b  c \r\n d\re\nf"));
    CHECK_SLICE(sbuf_slice(&b), "X: a b  c d e f\r\n");
}

static void test_overflow_is_told(void) {
    for (uint32_t cap = 0; cap < 44; cap++) {
        char *small = malloc(cap ? cap : 1);
        struct sbuf b = sbuf_on(small, cap);
        sip_put_status(&b, 486, SLICE_NONE);
        sip_put_body(&b, SLICE_NONE, SLICE_NONE);
        CHECK_EQ(b.overflow, cap < 44);
        free(small);
    }
}

static void check_vias_into(const char *vias, const char *src, char out[512]) {
    char text[1024];
    struct addr a = { .port = 0 };
    CHECK_TRUE(addr_parse(slice_str(src), 5060, &a));
    snprintf(text, sizeof text,
             "BYE sip:b SIP/2.0\r\n%sFrom: <sip:a@x>\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\r\n", vias);
    CHECK_TRUE(sip_parse(slice_str(text), &msg, &fault) > 0);
    struct sbuf b = sbuf_on(out, 511);
    sip_put_vias(&b, &msg, &a);
    CHECK_TRUE(!b.overflow);
    out[b.n] = 0;
}

static void check_vias(const char *vias, const char *src, const char *want) {
    char got[512];
    check_vias_into(vias, src, got);
    CHECK_SLICE(slice_str(got), want);
}

static void test_vias_of_a_response(void) {
    check_vias("Via: SIP/2.0/UDP 192.0.2.1;branch=b\r\n", "192.0.2.1:5060", "Via: SIP/2.0/UDP 192.0.2.1;branch=b\r\n");
    check_vias("Via: SIP/2.0/UDP 192.0.2.1;branch=b\r\n", "192.0.2.2:5060",
               "Via: SIP/2.0/UDP 192.0.2.1;branch=b;received=192.0.2.2\r\n");
    check_vias("Via: SIP/2.0/UDP h.example;branch=b\r\n", "192.0.2.2:5060",
               "Via: SIP/2.0/UDP h.example;branch=b;received=192.0.2.2\r\n");
    check_vias("Via: SIP/2.0/UDP 192.0.2.1;rport;branch=b;x=\"y\"\r\n", "192.0.2.1:999",
               "Via: SIP/2.0/UDP 192.0.2.1;branch=b;x=\"y\";received=192.0.2.1;rport=999\r\n");
    check_vias("v: SIP/2.0/UDP h;received=6.6.6.6;rport=1,\r\n SIP/2.0/TCP\r\n g;received=7.7.7.7\r\nVia: SIP/2.0/UDP "
               "f;rport\r\n",
               "[2001:db8::1]:999",
               "Via: SIP/2.0/UDP h;received=2001:db8::1;rport=999\r\nVia: SIP/2.0/TCP g;received=7.7.7.7\r\nVia: "
               "SIP/2.0/UDP f;rport\r\n");
}

/* Alone in its header it is copied in one piece where it can be, in a list it is taken apart: the same comes out. */
static void test_a_via_is_the_same_alone_and_in_a_list(void) {
    static const char *const values[] = {
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa",
        "SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bKa",
        "SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKa;rport",
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa;RPORT=;alias",
        "SIP/2.0/UDP h.example;rport=77;branch=z9hG4bKa;keep=30",
        "SIP/2.0/TCP [2001:db8::9]:5060;branch=z9hG4bKa;rport;",
        "SIP/2.0/UDP h;branch=z9hG4bKa;received=6.6.6.6;rport=1",
        "SIP/2.0/UDP h ;branch=z9hG4bKa; rport",
        "SIP / 2.0 / UDP h;rport;branch=z9hG4bKa",
        "SIP/2.0/UDP\r\n h;rport;branch=z9hG4bKa",
        "SIP/2.0/UDP h;x=\"a;rport\";rport;branch=z9hG4bKa",
        "SIP/2.0/UDP h",
    };
    char vias[512], alone[512], want[512];
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(vias, sizeof vias, "Via: %s, SIP/2.0/UDP f\r\n", values[i]);
        check_vias_into(vias, "192.0.2.9:5061", want);
        snprintf(vias, sizeof vias, "Via: %s\r\nVia: SIP/2.0/UDP f\r\n", values[i]);
        check_vias_into(vias, "192.0.2.9:5061", alone);
        CHECK_SLICE(slice_str(alone), want);
    }
}

/* All values are written back, one header a line: the second reading sees what the first saw. */
static void rewrite(const struct sip_msg *m, struct sbuf *b) {
    if (m->is_request)
        sip_put_request(b, m->method_name, m->ruri_text);
    else
        sip_put_status(b, m->status, m->reason);
    for (unsigned i = 0; i < m->header_count; i++)
        if (m->headers[i].id != SIP_H_CONTENT_LENGTH && m->headers[i].id != SIP_H_CONTENT_TYPE)
            sip_put_hdr(b, m->headers[i].name, m->headers[i].value);
    sip_put_body(b, m->content_type, m->body);
}

/* Equal but for folds. */
static bool same_text(struct slice a, struct slice b) {
    static char x[70000], y[70000];
    struct sbuf p = sbuf_on(x, sizeof x), q = sbuf_on(y, sizeof y);
    sip_put_hdr(&p, SL("X"), a);
    sip_put_hdr(&q, SL("X"), b);
    return slice_eq(sbuf_slice(&p), sbuf_slice(&q)) && !a.p == !b.p;
}

static bool same_message(const struct sip_msg *a, const struct sip_msg *b) {
    bool ok = a->is_request == b->is_request && a->method == b->method && a->status == b->status &&
              a->cseq == b->cseq && a->cseq_method == b->cseq_method && a->max_forwards == b->max_forwards &&
              slice_eq(a->body, b->body) && same_text(a->reason, b->reason) &&
              same_text(a->via.branch, b->via.branch) && a->via.transport == b->via.transport &&
              same_text(a->via.sent_by.host, b->via.sent_by.host) && a->via.sent_by.port == b->via.sent_by.port &&
              same_text(a->via.rport, b->via.rport) && same_text(a->from.display, b->from.display) &&
              same_text(a->from.uri.whole, b->from.uri.whole) && same_text(a->from.params, b->from.params) &&
              same_text(a->to.uri.whole, b->to.uri.whole) && same_text(a->to.params, b->to.params) &&
              same_text(a->from_tag, b->from_tag) && same_text(a->to_tag, b->to_tag) &&
              same_text(a->call_id, b->call_id) && same_text(a->ruri_text, b->ruri_text) &&
              (!a->body.n || same_text(a->content_type, b->content_type));
    for (unsigned id = 1; id < SIP_H_COUNT; id++) {
        const struct sip_hdr *x = sip_hdr_first(a, (enum sip_hdr_id)id), *y = sip_hdr_first(b, (enum sip_hdr_id)id);
        if (id == SIP_H_CONTENT_LENGTH || id == SIP_H_CONTENT_TYPE)
            continue;
        for (; x && y; x = sip_hdr_next(a, x), y = sip_hdr_next(b, y))
            ok = ok && same_text(x->value, y->value);
        ok = ok && !x && !y;
    }
    return ok;
}

static void check_rewrite(const char *folder, const char *name) {
    static char out[70000];
    struct slice bytes = sip_file(folder, name);
    struct sbuf b = sbuf_on(out, sizeof out);
    if (sip_parse(bytes, &msg, &fault) > 0) {
        rewrite(&msg, &b);
        bool ok = sip_parse(sbuf_slice(&b), &again, &fault) == (int32_t)b.n && same_message(&msg, &again);
        if (!ok)
            printf("\n%s differs after writing: %s\n", name, sip_error_text(fault.error));
        CU_ASSERT(ok);
    }
    free((void *)bytes.p);
}

static void test_what_is_written_parses_to_the_same_views(void) {
    static const char *const torture[] = { "wsinv",    "intmeth", "esc01",    "escnull",    "esc02",   "lwsdisp",
                                           "longreq",  "dblreq",  "semiuri",  "transports", "mpart01", "unreason",
                                           "noreason", "inv2543", "cparam01", "regescrt",   "unksm2" };
    char name[64];
    for (unsigned i = 0; i < sizeof corpus / sizeof *corpus; i++) {
        snprintf(name, sizeof name, "%s.sip", corpus[i]);
        check_rewrite("corpus", name);
    }
    for (unsigned i = 0; i < sizeof torture / sizeof *torture; i++) {
        snprintf(name, sizeof name, "%s.dat", torture[i]);
        check_rewrite("torture", name);
    }
}

static void test_copy(void) {
    const char *text =
        "BYE sip:b SIP/2.0\r\nv: SIP/2.0/UDP h\r\nf: <sip:a@x>\r\nt: <sip:b@x>\r\ni: c\r\nCSeq: 1 BYE\r\n"
        "k: a\r\nSupported: b,\r\n c\r\n\r\n";
    struct sbuf b = sbuf_on(mem, sizeof mem);
    CHECK_TRUE(sip_parse(slice_str(text), &msg, &fault) > 0);
    sip_put_copy(&b, &msg, SIP_H_SUPPORTED);
    sip_put_copy(&b, &msg, SIP_H_ALLOW);
    sip_put_copy(&b, &msg, SIP_H_FROM);
    CHECK_SLICE(sbuf_slice(&b), "Supported: a\r\nSupported: b, c\r\nFrom: <sip:a@x>\r\n");
}

static void test_sipfrag(void) {
    uint16_t status = 0;
    struct slice reason;
    struct sbuf b = sbuf_on(mem, sizeof mem);
    sip_frag_put(&b, 200, SLICE_NONE);
    CHECK_SLICE(sbuf_slice(&b), "SIP/2.0 200 OK\r\n");
    CHECK_TRUE(sip_frag_status(sbuf_slice(&b), &status, &reason));
    CHECK_EQ(status, 200);
    CHECK_SLICE(reason, "OK");
    CHECK_TRUE(sip_frag_status(SL("SIP/2.0 100 Trying"), &status, &reason));
    CHECK_EQ(status, 100);
    CHECK_TRUE(sip_frag_status(SL("SIP/2.0 603 Decline\nTo: x"), &status, &reason));
    CHECK_SLICE(reason, "Decline");
    CHECK_FALSE(sip_frag_status(SL("INVITE sip:a SIP/2.0\r\n"), &status, &reason));
    CHECK_FALSE(sip_frag_status(SL("SIP/2.0 20 OK\r\n"), &status, &reason));
    CHECK_FALSE(sip_frag_status(SL("\r\n"), &status, &reason));
    CHECK_FALSE(sip_frag_status(SLICE_NONE, &status, &reason));
}

int main(void) {
    return UNIT_RUN("sip_write", UNIT(test_request), UNIT(test_status_and_empty_body),
                    UNIT(test_folds_and_bare_line_ends_become_a_space), UNIT(test_overflow_is_told),
                    UNIT(test_vias_of_a_response), UNIT(test_a_via_is_the_same_alone_and_in_a_list),
                    UNIT(test_what_is_written_parses_to_the_same_views), UNIT(test_copy), UNIT(test_sipfrag));
}
