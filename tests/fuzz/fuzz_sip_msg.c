/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Any bytes as a message: views stay inside, reading again gives the same, every value stands the parsers on demand,
 * what was accepted and is written again is accepted again, and all paths of the parser agree.
 */
#include "core/base/check.h"
#include "parser/sip_frag.h"
#include "parser/sip_hdr.h"
#include "parser/sip_msg.h"
#include "parser/sip_path.h"
#include "parser/sip_write.h"
#include "tests/unit/sip_same.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sip_msg msg, again;
static char mem[1 << 18];

static void check_inside(struct slice text, struct slice s) {
    CHECK(!s.p ? s.n == 0 : s.p >= text.p && s.p + s.n <= text.p + text.n);
}

static void check_views(struct slice in, const struct sip_msg *m) {
    const struct slice views[] = { m->method_name,      m->ruri_text,    m->reason,      m->via.value,  m->via.branch,
                                   m->via.sent_by.host, m->via.received, m->via.rport,   m->from.value, m->from.display,
                                   m->from.params,      m->to.value,     m->from_tag,    m->to_tag,     m->call_id,
                                   m->cseq_method_name, m->content_type, m->body,        m->whole,      m->ruri.user,
                                   m->ruri.host.host,   m->ruri.params,  m->ruri.headers };
    for (unsigned i = 0; i < sizeof views / sizeof *views; i++)
        check_inside(in, views[i]);
    CHECK(m->header_count <= SIP_HEADERS_MAX);
    for (unsigned i = 0; i < m->header_count; i++) {
        check_inside(in, m->headers[i].name);
        check_inside(in, m->headers[i].value);
        CHECK(m->headers[i].id < SIP_H_COUNT);
        CHECK(m->headers[i].next == 0 || m->headers[i].next > i + 1);
    }
}

static void check_accepted(const struct sip_msg *m) {
    CHECK(m->via.sent_by.host.n && m->from.value.n && m->to.value.n && m->call_id.n && m->cseq_method_name.n);
    CHECK(m->is_request ? m->status == 0 : m->status >= 100 && m->status <= 699);
    CHECK(m->max_forwards >= -1 && m->max_forwards <= 255);
    CHECK(m->content_length < 0 || m->body.n == (uint32_t)m->content_length);
    CHECK(!m->is_request || slice_eq(m->method_name, m->cseq_method_name));
}

/* Every value through every parser: none may read outside, whatever header it came from. */
static void walk_values(struct slice in, const struct sip_msg *m) {
    for (unsigned id = 1; id < SIP_H_COUNT; id++) {
        struct sip_values cur = { .started = false };
        struct slice value;
        struct sip_nameaddr addr;
        struct sip_digest digest;
        struct sip_via via;
        uint32_t bytes = 0;
        while (sip_values_next(m, (enum sip_hdr_id)id, &cur, &value)) {
            check_inside(in, value);
            bytes += value.n;
            sip_nameaddr_parse(value, &addr);
            sip_digest_parse(value, &digest);
            sip_via_parse(value, &via);
        }
        CHECK(bytes <= SIP_MESSAGE_MAX);
    }
}

static void rewrite(struct sbuf *b, const struct sip_msg *m) {
    if (m->is_request)
        sip_put_request(b, m->method_name, m->ruri_text);
    else
        sip_put_status(b, m->status, m->reason);
    for (unsigned i = 0; i < m->header_count; i++)
        if (m->headers[i].id != SIP_H_CONTENT_LENGTH)
            sip_put_hdr(b, m->headers[i].name, m->headers[i].value);
    sip_put_body(b, SLICE_NONE, m->body);
}

static void check_rewritten(const struct sip_msg *m) {
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct sip_fault fault;
    struct sip_values cur = { .started = false };
    struct slice value;
    unsigned lengths = 0;
    rewrite(&b, m);
    while (sip_values_next(m, SIP_H_CONTENT_LENGTH, &cur, &value))
        lengths++;
    if (b.overflow || b.n > SIP_MESSAGE_MAX || m->header_count - lengths == SIP_HEADERS_MAX)
        return;
    CHECK(sip_parse(sbuf_slice(&b), &again, &fault) == (int32_t)b.n);
    CHECK(again.method == m->method && again.cseq == m->cseq && again.status == m->status);
    CHECK(slice_eq(again.call_id, m->call_id) && slice_eq(again.body, m->body));
    CHECK(slice_eq(again.from_tag, m->from_tag) && slice_eq(again.to_tag, m->to_tag));
    CHECK(slice_eq(again.via.branch, m->via.branch) && again.via.sent_by.port == m->via.sent_by.port);
}

/* An answer to it, refused or not: the Via of the response reads as a Via again. */
static void check_answer(const struct sip_msg *m) {
    struct sbuf b = sbuf_on(mem, sizeof mem);
    const struct addr src = { .ip = { 192, 0, 2, 9 }, .port = 5062, .family = ADDR_V4 };
    sip_put_status(&b, 400, SLICE_NONE);
    sip_put_vias(&b, m, &src);
    sip_put_copy(&b, m, SIP_H_FROM);
    sip_put_copy(&b, m, SIP_H_TO);
    sip_put_copy(&b, m, SIP_H_CALL_ID);
    sip_put_copy(&b, m, SIP_H_CSEQ);
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    for (uint32_t i = 0; i < b.n; i++)
        CHECK(b.p[i] != '\n' || b.p[i - 1] == '\r');
}

static void check_paths(struct slice in) {
    for (enum sip_path path = SIP_PATH_SSE2; path < SIP_PATH_COUNT; path++)
        CHECK(!sip_path_usable(path) || same_parse(sip_path_ops(path), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice in = slice_of((const char *)data, size), reason;
    struct sip_fault fault, fault2;
    uint16_t status;
    int32_t n = sip_parse(in, &msg, &fault);
    CHECK(n == SIP_BAD ? fault.error != SIP_E_NONE && fault.offset <= size : n > 0 && (uint32_t)n <= size);
    check_views(in, &msg);
    check_paths(in);
    CHECK(sip_parse(in, &again, &fault2) == n && fault2.error == fault.error && fault2.offset == fault.offset);
    if (msg.header_count)
        walk_values(in, &msg);
    if (sip_answerable(&msg))
        check_answer(&msg);
    if (n > 0) {
        check_accepted(&msg);
        CHECK(sip_parse(msg.whole, &again, &fault2) == (int32_t)msg.whole.n);
        check_rewritten(&msg);
    }
    if (sip_frag_status(in, &status, &reason)) {
        check_inside(in, reason);
        CHECK(status >= 100 && status <= 699);
    }
    return 0;
}
