/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_msg: the corpus against its oracle, every prefix of it, and each fault of sip_error.def.
 */
#include "parser/sip_uri.h"
#include "tests/unit/sip_files.h"

static struct sip_msg msg;
static struct sip_fault fault;

static const char *const corpus[] = { SIP_CORPUS_FILES };
#define CORPUS_COUNT (sizeof corpus / sizeof *corpus)

static int32_t parse(const char *text) {
    return sip_parse(slice_str(text), &msg, &fault);
}

#define REQUEST(line, extra)                                                                            \
    line "\r\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n"  \
         "Call-ID: c1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n" extra "\r\n"
#define INVITE(extra) REQUEST("INVITE sip:b@x SIP/2.0", extra)

/* ---- the corpus ---- */

static void put_host_port(struct sbuf *b, const struct sip_host *h) {
    sbuf_put(b, h->host);
    sbuf_char(b, ':');
    sbuf_u64(b, h->port);
}

static void put_user_host(struct sbuf *b, const struct sip_uri *u) {
    sbuf_put(b, u->user);
    sbuf_char(b, '@');
    sbuf_put(b, u->host.host);
}

static void put_replaces(struct sbuf *b, const struct sip_uri *refer) {
    struct slice rest = refer->headers, name, value;
    struct sip_replaces rep = { .early_only = false };
    char mem[512];
    struct sbuf text = sbuf_on(mem, sizeof mem);
    while (sip_uri_header_next(&rest, &name, &value))
        if (slice_ieq(name, SL("Replaces")) && sip_unescape(&text, value))
            sip_replaces_parse(sbuf_slice(&text), &rep);
    sbuf_put(b, rep.call_id);
    sbuf_char(b, '/');
    sbuf_put(b, rep.to_tag);
    sbuf_char(b, '/');
    sbuf_put(b, rep.from_tag);
}

static void put_party(struct sbuf *b, const char *label, const struct sip_nameaddr *a, struct slice tag) {
    sbuf_str(b, label);
    put_user_host(b, &a->uri);
    sbuf_char(b, ';');
    sbuf_put(b, tag);
}

static void put_tail(struct sbuf *b, const struct sip_msg *m) {
    struct sip_contact contact = { .q = 0 };
    struct sip_nameaddr refer = { .brackets = false };
    struct sip_media_type type = { .params = SLICE_NONE };
    sip_contact_parse(sip_hdr_value(m, SIP_H_CONTACT), &contact);
    sip_nameaddr_parse(sip_hdr_value(m, SIP_H_REFER_TO), &refer);
    sip_media_type_parse(m->content_type, &type);
    sbuf_lit(b, " ct=");
    sbuf_put(b, contact.addr.uri.user);
    sbuf_char(b, '@');
    put_host_port(b, &contact.addr.uri.host);
    sbuf_lit(b, " mf=");
    sbuf_i64(b, m->max_forwards);
    sbuf_lit(b, " cl=");
    sbuf_i64(b, m->content_length);
    sbuf_lit(b, " type=");
    sbuf_put(b, type.type);
    if (type.type.n)
        sbuf_char(b, '/');
    sbuf_put(b, type.subtype);
    sbuf_lit(b, " refer=");
    put_user_host(b, &refer.uri);
    sbuf_lit(b, " rep=");
    put_replaces(b, &refer.uri);
}

/* The form of tests/data/sip/corpus/FIELDS.txt. */
static void put_fields(struct sbuf *b, const char *name, const struct sip_msg *m) {
    sbuf_str(b, name);
    sbuf_str(b, m->is_request ? " rc=0 req " : " rc=0 rsp ");
    sbuf_u64(b, m->status);
    sbuf_char(b, ' ');
    if (m->is_request)
        sbuf_put(b, m->method_name);
    sbuf_lit(b, " ruri=");
    sbuf_put(b, m->ruri.user);
    sbuf_char(b, '@');
    put_host_port(b, &m->ruri.host);
    sbuf_lit(b, " via=");
    sbuf_put(b, m->via.transport_name);
    sbuf_char(b, '/');
    put_host_port(b, &m->via.sent_by);
    sbuf_char(b, '/');
    sbuf_put(b, m->via.branch);
    put_party(b, " from=", &m->from, m->from_tag);
    put_party(b, " to=", &m->to, m->to_tag);
    sbuf_lit(b, " cid=");
    sbuf_put(b, m->call_id);
    sbuf_lit(b, " cseq=");
    sbuf_u64(b, m->cseq);
    sbuf_char(b, '/');
    sbuf_put(b, m->cseq_method_name);
    put_tail(b, m);
}

static struct slice corpus_file(unsigned i) {
    char name[64];
    snprintf(name, sizeof name, "%s.sip", corpus[i]);
    return sip_file("corpus", name);
}

static void test_corpus_fields_equal_the_oracle(void) {
    struct slice file = sip_file("corpus", "FIELDS.txt"), rest = file;
    for (unsigned i = 0; i < CORPUS_COUNT; i++) {
        char mem[2048], want[2048];
        struct sbuf b = sbuf_on(mem, sizeof mem - 1);
        struct slice bytes = corpus_file(i);
        int32_t lf = slice_find(rest, '\n');
        CU_ASSERT_FATAL(lf > 0 && bytes.p);
        CHECK_EQ(sip_parse(bytes, &msg, &fault), bytes.n);
        CHECK_EQ(fault.error, SIP_E_NONE);
        put_fields(&b, corpus[i], &msg);
        snprintf(want, sizeof want, "%.*s", (int)lf, rest.p);
        CHECK_SLICE(sbuf_slice(&b), want);
        rest.p += lf + 1;
        rest.n -= (uint32_t)lf + 1;
        free((void *)bytes.p);
    }
    CHECK_EQ(rest.n, 0);
    free((void *)file.p);
}

static bool within(struct slice whole, struct slice s) {
    return !s.p || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n);
}

/* Every prefix is refused, or is whole but for its body; nothing outside is read (sanitizer) or pointed at. */
static void test_every_prefix_of_the_corpus(void) {
    unsigned accepted_short = 0;
    for (unsigned i = 0; i < CORPUS_COUNT; i++) {
        struct slice bytes = corpus_file(i);
        for (uint32_t n = 0; n < bytes.n; n++) {
            struct slice cut = slice_heap(slice_of(bytes.p, n));
            int32_t got = sip_parse(cut, &msg, &fault);
            accepted_short += got != SIP_BAD;
            bool inside = within(cut, msg.whole) && within(cut, msg.call_id) && within(cut, msg.from.value)
                          && within(cut, msg.to.value) && within(cut, msg.via.value) && within(cut, msg.ruri_text);
            for (unsigned h = 0; h < msg.header_count; h++)
                inside = inside && within(cut, msg.headers[h].name) && within(cut, msg.headers[h].value);
            if (!inside)
                CU_FAIL("a view reaches outside");
            free((void *)cut.p);
        }
        free((void *)bytes.p);
    }
    /* All messages have a Content-Length, so no prefix is a message. */
    CHECK_EQ(accepted_short, 0);
}

/* ---- what is decoded ---- */

static void test_request_fields(void) {
    const char *text =
        "\r\n\r\n" INVITE("c: application/sdp\r\nL: 3\r\nSubject:\r\n hello\r\n  you\r\nm: <sip:q@h>, <sip:r@h>\r\n"
                          "Contact: <sip:s@h>\r\n") "abcdef";
    int32_t n = parse(text);
    CHECK_EQ(n, strlen(text) - 3);
    CHECK_TRUE(msg.is_request);
    CHECK_EQ(msg.method, SIP_M_INVITE);
    CHECK_SLICE(msg.ruri_text, "sip:b@x");
    CHECK_SLICE(msg.body, "abc");
    CHECK_EQ(msg.whole.n, n - 4);
    CHECK_SLICE(msg.content_type, "application/sdp");
    CHECK_SLICE(sip_hdr_value(&msg, SIP_H_SUBJECT), "hello\r\n  you");
    CHECK_TRUE(msg.to_tag.p == NULL);
    CHECK_TRUE(sip_hdr_value(&msg, SIP_H_EXPIRES).p == NULL);
    const struct sip_hdr *h = sip_hdr_first(&msg, SIP_H_CONTACT);
    CHECK_SLICE(h->name, "m");
    h = sip_hdr_next(&msg, h);
    CHECK_SLICE(h->value, "<sip:s@h>");
    CHECK_TRUE(sip_hdr_next(&msg, h) == NULL);
    CHECK_EQ(msg.header_count, 11);
}

static void test_response_takes_its_method_from_cseq(void) {
    CHECK_TRUE(parse(REQUEST("SIP/2.0 200", "")) > 0);
    CHECK_FALSE(msg.is_request);
    CHECK_EQ(msg.status, 200);
    CHECK_EQ(msg.reason.n, 0);
    CHECK_EQ(msg.method, SIP_M_INVITE);
    CHECK_TRUE(parse(REQUEST("SIP/2.0 486 Busy Here", "")) > 0);
    CHECK_SLICE(msg.reason, "Busy Here");
}

static void test_rfc_2543_tolerances(void) {
    CHECK_TRUE(parse("BYE sip:b SIP/2.0\r\nv: SIP/2.0/UDP h\r\nf: sip:a@x\r\nt: sip:b@x;tag=9;\r\ni: 1@\"<>,=@2\r\n"
                     "CSeq: 4294967295 BYE\r\n\r\nrest") > 0);
    CHECK_EQ(msg.max_forwards, -1);
    CHECK_EQ(msg.content_length, -1);
    CHECK_TRUE(msg.from_tag.p == NULL);
    CHECK_SLICE(msg.to_tag, "9");
    CHECK_SLICE(msg.call_id, "1@\"<>,=@2");
    CHECK_TRUE(msg.via.branch.p == NULL);
    CHECK_EQ(msg.cseq, 4294967295u);
    CHECK_SLICE(msg.body, "rest");
}

/* ---- faults ---- */

struct fault_case {
    const char *text;
    enum sip_error error;
    unsigned status, hdr;
    bool answerable;
};

static void check_faults(const struct fault_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct fault_case *c = &cases[i];
        struct slice copy = slice_heap(slice_str(c->text));
        int32_t got = sip_parse(copy, &msg, &fault);
        bool ok = got == SIP_BAD && fault.error == c->error && fault.status == c->status && fault.hdr == c->hdr
                  && sip_answerable(&msg) == c->answerable && fault.offset <= copy.n;
        if (!ok)
            printf("\ncase %zu: %d, %s, %u, header %u, answerable %d\n%s\n", i, got, sip_error_text(fault.error),
                   fault.status, fault.hdr, sip_answerable(&msg), c->text);
        CU_ASSERT(ok);
        free((void *)copy.p);
    }
}

#define CASES(a) a, sizeof a / sizeof *a

static void test_faults_of_the_start_line(void) {
    static const struct fault_case cases[] = {
        { "", SIP_E_NOT_SIP, 0, 0, false },
        { "\r\n\r\n", SIP_E_NOT_SIP, 0, 0, false },
        { "GET / HTTP/1.1\r\n\r\n", SIP_E_NOT_SIP, 0, 0, false },
        { "INVITE sip:b@x SIP/2.0\n\n", SIP_E_NOT_SIP, 0, 0, false },
        { "INVITE sip:b@x\r SIP/2.0\r\n\r\n", SIP_E_NOT_SIP, 0, 0, false },
        { REQUEST("INVITE SIP/2.0", ""), SIP_E_START_LINE, 400, 0, true },
        { REQUEST("INVITE  sip:b@x SIP/2.0", ""), SIP_E_START_LINE, 400, 0, true },
        { REQUEST("INV(ITE sip:b@x SIP/2.0", ""), SIP_E_START_LINE, 400, 0, true },
        { REQUEST("INVITE sip:b@x SIP/2.0 ", ""), SIP_E_START_LINE, 400, 0, true },
        { REQUEST("INVITE sip:b@x SIP/2", ""), SIP_E_START_LINE, 400, 0, true },
        { REQUEST("INVITE sip:b@x SIP/3.0", ""), SIP_E_VERSION, 505, 0, true },
        { REQUEST("INVITE sip:b@ SIP/2.0", ""), SIP_E_URI, 400, 0, true },
        { REQUEST("INVITE sip:b@x:0 SIP/2.0", ""), SIP_E_URI, 400, 0, true },
        { REQUEST("INVITE sip:b@x?Route=y SIP/2.0", ""), SIP_E_URI, 400, 0, true },
        { REQUEST("INVITE noscheme SIP/2.0", ""), SIP_E_URI, 400, 0, true },
        { REQUEST("SIP/2.0 99 X", ""), SIP_E_STATUS_CODE, 0, 0, false },
        { REQUEST("SIP/2.0 700 X", ""), SIP_E_STATUS_CODE, 0, 0, false },
        { REQUEST("SIP/2.0 2000 X", ""), SIP_E_STATUS_CODE, 0, 0, false },
        { REQUEST("SIP/2.1 200 OK", ""), SIP_E_VERSION, 505, 0, false },
    };
    check_faults(CASES(cases));
    CHECK_TRUE(parse(REQUEST("INVITE foo:bar SIP/2.0", "")) > 0);
    CHECK_EQ(msg.ruri.scheme, SIP_SCHEME_OTHER);
}

static void test_faults_of_header_lines(void) {
    static const struct fault_case cases[] = {
        { INVITE("no colon here\r\n"), SIP_E_HEADER_LINE, 400, 0, true },
        { INVITE(": no name\r\n"), SIP_E_HEADER_LINE, 400, 0, true },
        { INVITE("a b: c\r\n"), SIP_E_HEADER_LINE, 400, 0, true },
        { INVITE("X: bare\rCR\r\n"), SIP_E_HEADER_LINE, 400, 0, true },
        { INVITE("X: bare\nLF: 1\r\n"), SIP_E_HEADER_LINE, 400, 0, true },
        { INVITE("X: 1\r\n \r\r\n"), SIP_E_HEADER_LINE, 400, 0, true },
        { "INVITE sip:b@x SIP/2.0\r\n folded: x\r\n\r\n", SIP_E_HEADER_LINE, 400, 0, false },
        { "INVITE sip:b@x SIP/2.0\r\nX: 1\r\n", SIP_E_HEADER_END, 400, 0, false },
        { "INVITE sip:b@x SIP/2.0\r\nX: 1", SIP_E_HEADER_END, 400, 0, false },
        { INVITE("Content-Length: 1\r\nl: 1\r\n"), SIP_E_HEADER_TWICE, 400, SIP_H_CONTENT_LENGTH, true },
        { INVITE("TO: sip:a@b\r\n"), SIP_E_HEADER_TWICE, 400, SIP_H_TO, true },
        { INVITE("Content-Length: 1\r\n"), SIP_E_BODY_SHORT, 400, SIP_H_CONTENT_LENGTH, true },
        { INVITE("Content-Length: 99999999999999999999999\r\n"), SIP_E_HEADER_VALUE, 400, SIP_H_CONTENT_LENGTH, true },
        { INVITE("Content-Length: 1 2\r\n"), SIP_E_HEADER_VALUE, 400, SIP_H_CONTENT_LENGTH, true },
        { INVITE("Content-Length:\r\n"), SIP_E_HEADER_VALUE, 400, SIP_H_CONTENT_LENGTH, true },
    };
    check_faults(CASES(cases));
    CHECK_EQ(fault.error, SIP_E_HEADER_VALUE);
    parse(INVITE("TO: sip:a@b\r\n"));
    CHECK_TRUE(sip_hdr_next(&msg, sip_hdr_first(&msg, SIP_H_TO)) == NULL);
}

/* VIA .. MAX_FORWARDS replaced one by one; NULL leaves the header out. */
static const char *with(unsigned which, const char *line) {
    static char text[1024];
    const char *lines[] = { "Via: SIP/2.0/UDP h;branch=z9hG4bK1",
                            "From: <sip:a@x>;tag=1",
                            "To: <sip:b@x>",
                            "Call-ID: c",
                            "CSeq: 1 INVITE",
                            "Max-Forwards: 70" };
    lines[which] = line;
    size_t n = (size_t)snprintf(text, sizeof text, "INVITE sip:b@x SIP/2.0\r\n");
    for (unsigned i = 0; i < 6; i++)
        if (lines[i])
            n += (size_t)snprintf(text + n, sizeof text - n, "%s\r\n", lines[i]);
    snprintf(text + n, sizeof text - n, "\r\n");
    return text;
}

static void test_faults_of_mandatory_headers(void) {
    static const unsigned ids[] = { SIP_H_VIA, SIP_H_FROM, SIP_H_TO, SIP_H_CALL_ID, SIP_H_CSEQ };
    static const struct {
        unsigned which;
        const char *line;
        unsigned error, hdr;
    } bad[] = {
        { 0, "Via: SIP/2.0/UDP", SIP_E_HEADER_VALUE, SIP_H_VIA },
        { 0, "Via: , ,", SIP_E_HEADER_VALUE, SIP_H_VIA },
        { 0, "Via: SIP/2.0/UDP h;branch=", SIP_E_HEADER_VALUE, SIP_H_VIA },
        { 0, "Via: SIP/2.0/UDP h;branch=a;branch=b", SIP_E_HEADER_VALUE, SIP_H_VIA },
        { 1, "From: <sip:a@x>;tag=", SIP_E_HEADER_VALUE, SIP_H_FROM },
        { 1, "From: <sip:a@x>;tag", SIP_E_HEADER_VALUE, SIP_H_FROM },
        { 1, "From: <sip:a@x>;tag=1;tag=1", SIP_E_HEADER_VALUE, SIP_H_FROM },
        { 2, "To:", SIP_E_HEADER_VALUE, SIP_H_TO },
        { 2, "To: <sip:a@x", SIP_E_HEADER_VALUE, SIP_H_TO },
        { 2, "To: <sip:a@x>, <sip:b@x>", SIP_E_HEADER_VALUE, SIP_H_TO },
        { 3, "Call-ID: a b", SIP_E_HEADER_VALUE, SIP_H_CALL_ID },
        { 3, "Call-ID:", SIP_E_HEADER_VALUE, SIP_H_CALL_ID },
        { 4, "CSeq: 4294967296 INVITE", SIP_E_HEADER_VALUE, SIP_H_CSEQ },
        { 4, "CSeq: INVITE", SIP_E_HEADER_VALUE, SIP_H_CSEQ },
        { 4, "CSeq: 1INVITE", SIP_E_HEADER_VALUE, SIP_H_CSEQ },
        { 4, "CSeq: 1", SIP_E_HEADER_VALUE, SIP_H_CSEQ },
        { 4, "CSeq: 1 INVITE x", SIP_E_HEADER_VALUE, SIP_H_CSEQ },
        { 4, "CSeq: 1 invite", SIP_E_CSEQ_MISMATCH, SIP_H_CSEQ },
        { 5, "Max-Forwards: 256", SIP_E_HEADER_VALUE, SIP_H_MAX_FORWARDS },
        { 5, "Max-Forwards: -1", SIP_E_HEADER_VALUE, SIP_H_MAX_FORWARDS },
    };
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(parse(with(i, NULL)), SIP_BAD);
        CHECK_EQ(fault.error, SIP_E_HEADER_MISSING);
        CHECK_EQ(fault.hdr, ids[i]);
        CHECK_FALSE(sip_answerable(&msg));
    }
    CHECK_TRUE(parse(with(5, NULL)) > 0);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(parse(with(bad[i].which, bad[i].line)), SIP_BAD);
        CHECK_EQ(fault.error, bad[i].error);
        CHECK_EQ(fault.hdr, bad[i].hdr);
        CHECK_EQ(fault.status, 400);
    }
}

static void test_cseq_mismatch_of_an_unknown_method_is_501(void) {
    CHECK_EQ(parse(REQUEST("NEWMETHOD sip:b@x SIP/2.0", "")), SIP_BAD);
    CHECK_EQ(fault.error, SIP_E_CSEQ_MISMATCH);
    CHECK_EQ(fault.status, 501);
    CHECK_EQ(parse(REQUEST("OPTIONS sip:b@x SIP/2.0", "")), SIP_BAD);
    CHECK_EQ(fault.status, 400);
    CHECK_EQ(parse(REQUEST("ACK sip:b@x SIP/2.0", "")), SIP_BAD);
    CHECK_FALSE(sip_answerable(&msg));
}

/* What two elements could read differently is refused: any header that must be single given twice, in either form of
 * its name, and a NUL in a name (RFC 3261 section 7.3.1). */
static void test_what_could_smuggle_is_refused(void) {
    char text[512];
    unsigned single = 0;
    for (unsigned id = 1; id < SIP_H_COUNT; id++) {
        struct slice name = sip_hdr_name((enum sip_hdr_id)id);
        if (!(sip_hdr_flags((enum sip_hdr_id)id) & HDR_SINGLE))
            continue;
        snprintf(text, sizeof text, INVITE("%.*s: 1\r\nX: y\r\n%.*s : 2\r\n"), SLICE_FMT(name), SLICE_FMT(name));
        CHECK_EQ(sip_parse(slice_str(text), &msg, &fault), SIP_BAD);
        CHECK_EQ(fault.error, SIP_E_HEADER_TWICE);
        CHECK_EQ(fault.hdr, id);
        CHECK_EQ(fault.status, 400);
        single++;
    }
    CHECK_TRUE(single >= 15);
    struct slice two = SL(INVITE("i: c2\r\n")), nul = SL(INVITE("X\0: 1\r\n"));
    CHECK_EQ(sip_parse(two, &msg, &fault), SIP_BAD);
    CHECK_EQ(fault.hdr, SIP_H_CALL_ID);
    CHECK_EQ(sip_parse(nul, &msg, &fault), SIP_BAD);
    CHECK_EQ(fault.error, SIP_E_HEADER_LINE);
}

static void test_header_count_and_message_size_are_bounded(void) {
    static char text[70000];
    size_t n = (size_t)snprintf(text, sizeof text, "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@x>\r\n"
                                "To: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n");
    size_t head = n;
    for (int i = 5; i < SIP_HEADERS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "X-A: 1\r\n");
    snprintf(text + n, sizeof text - n, "\r\n");
    CHECK_TRUE(parse(text) > 0);
    CHECK_EQ(msg.header_count, SIP_HEADERS_MAX);
    snprintf(text + n, sizeof text - n, "X-A: 1\r\n\r\n");
    CHECK_EQ(parse(text), SIP_BAD);
    CHECK_EQ(fault.error, SIP_E_TOO_MANY_HEADERS);
    CHECK_TRUE(sip_answerable(&msg));

    memset(text + head, 'x', sizeof text - head - 1);
    memcpy(text + head, "\r\n", 2);
    text[SIP_MESSAGE_MAX] = 0;
    CHECK_EQ(parse(text), SIP_MESSAGE_MAX);
    text[SIP_MESSAGE_MAX] = 'x';
    CHECK_EQ(parse(text), SIP_BAD);
    CHECK_EQ(fault.error, SIP_E_TOO_LONG);
    CHECK_EQ(fault.status, 513);
}

static void test_methods(void) {
    for (unsigned m = 1; m < SIP_M_COUNT; m++)
        CHECK_EQ(sip_method_of(sip_method_name((enum sip_method)m)), m);
    CHECK_EQ(sip_method_of(SL("invite")), SIP_M_UNKNOWN);
    CHECK_EQ(sip_method_of(SL("")), SIP_M_UNKNOWN);
    CHECK_EQ(sip_method_name(SIP_M_UNKNOWN).n, 0);
}

int main(void) {
    return UNIT_RUN("sip_msg", UNIT(test_corpus_fields_equal_the_oracle), UNIT(test_every_prefix_of_the_corpus),
                    UNIT(test_request_fields), UNIT(test_response_takes_its_method_from_cseq),
                    UNIT(test_rfc_2543_tolerances), UNIT(test_faults_of_the_start_line),
                    UNIT(test_faults_of_header_lines), UNIT(test_faults_of_mandatory_headers),
                    UNIT(test_cseq_mismatch_of_an_unknown_method_is_501),
                    UNIT(test_what_could_smuggle_is_refused),
                    UNIT(test_header_count_and_message_size_are_bounded), UNIT(test_methods));
}
