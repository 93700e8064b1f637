/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A message written from any parts reads back as these parts: values that a parser let through (no CR or LF but in
 * folds), numbers, tags and branches of any size, in a buffer of any room.
 */
#include "core/base/check.h"
#include "parser/sip_hdr.h"
#include "parser/sip_write.h"

#define ROOM (1u << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char mem[ROOM + 1], wanted_mem[ROOM];
static struct sip_msg msg;

struct parts {
    uint16_t room, status;
    uint32_t cseq;
    bool request;
    struct slice value, tag, branch, body;
};

static struct slice take(struct slice *rest, uint32_t n) {
    struct slice s = slice_of(rest->p, n < rest->n ? n : rest->n);
    rest->p += s.n;
    rest->n -= s.n;
    return s;
}

static bool read_parts(struct slice in, struct parts *p) {
    uint8_t head[10];
    if (in.n < sizeof head)
        return false;
    memcpy(head, take(&in, sizeof head).p, sizeof head);
    p->room = (uint16_t)(head[0] | head[1] << 8);
    p->request = head[2] & 1;
    p->status = (uint16_t)(100 + (head[2] >> 1) % 6 * 100 + head[3] % 100);
    memcpy(&p->cseq, head + 4, 4);
    p->tag = take(&in, head[8] % 40);
    p->branch = take(&in, head[9] % 40);
    p->value = slice_trim(take(&in, in.n / 2));
    p->body = in;
    return true;
}

static bool is_word(struct slice s) {
    for (uint32_t i = 0; i < s.n; i++) {
        uint8_t low = ascii_lower((uint8_t)s.p[i]);
        if ((uint8_t)(low - 'a') > 25 && (uint8_t)(low - '0') > 9)
            return false;
    }
    return s.n > 0;
}

/* CR and LF only as CRLF before SP or HTAB. */
static bool is_view(struct slice s) {
    for (uint32_t i = 0; i < s.n; i++) {
        bool fold = i + 2 < s.n && s.p[i] == '\r' && s.p[i + 1] == '\n' && (s.p[i + 2] == ' ' || s.p[i + 2] == '\t');
        if ((s.p[i] == '\r' && !fold) || (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')))
            return false;
    }
    return true;
}

static bool is_lws(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Each run of LWS with a CR or LF in it is one SP. */
static struct slice unfolded(struct slice s) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < s.n;) {
        uint32_t end = i;
        bool fold = false;
        for (; end < s.n && is_lws(s.p[end]); end++)
            fold = fold || s.p[end] == '\r' || s.p[end] == '\n';
        if (fold) {
            wanted_mem[n++] = ' ';
            i = end;
            continue;
        }
        if (end == i)
            end++;
        while (i < end)
            wanted_mem[n++] = s.p[i++];
    }
    return slice_of(wanted_mem, n);
}

static void write_message(struct sbuf *b, const struct parts *p) {
    if (p->request)
        sip_put_request(b, SL("OPTIONS"), SL("sip:b@example.com"));
    else
        sip_put_status(b, p->status, SLICE_NONE);
    sip_put_via(b, SIP_TCP, SL("192.0.2.1:5070"), p->branch);
    sip_put_from_to(b, SL("From"), SL("\"A\" <sip:a@example.com>"), p->tag);
    sip_put_from_to(b, SL("To"), SL("<sip:b@example.com;x=y>"), SLICE_NONE);
    sip_put_hdr(b, SL("Call-ID"), SL("1@example.com"));
    sip_put_cseq(b, p->cseq, SL("OPTIONS"));
    sip_put_hdr_u64(b, SL("Max-Forwards"), p->cseq % 256);
    sip_put_hdr(b, SL("Subject"), p->value);
    sip_put_body(b, SL("text/plain"), p->body);
}

static void check_read_back(struct slice written, const struct parts *p) {
    struct sip_fault fault;
    CHECK(sip_parse(written, &msg, &fault) == (int32_t)written.n);
    CHECK(msg.is_request == p->request && msg.status == (p->request ? 0 : p->status));
    CHECK(msg.cseq == p->cseq && msg.cseq_method == SIP_M_OPTIONS && msg.max_forwards == (int32_t)(p->cseq % 256));
    CHECK(slice_eq(msg.from_tag, p->tag) && !msg.to_tag.p && slice_eq(msg.via.branch, p->branch));
    CHECK(msg.via.transport == SIP_TCP && msg.via.sent_by.port == 5070 && msg.via.rport.p);
    CHECK(slice_eq(sip_hdr_value(&msg, SIP_H_SUBJECT), unfolded(p->value)));
    CHECK(slice_eq(msg.body, p->body) && (msg.content_type.p != NULL) == (p->body.n > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct parts p;
    if (size > ROOM / 2 || !read_parts(slice_of((const char *)data, size), &p))
        return 0;
    if (!is_word(p.tag) || !is_word(p.branch) || !is_view(p.value))
        return 0;
    struct sbuf whole = sbuf_on(mem, ROOM);
    write_message(&whole, &p);
    CHECK(!whole.overflow);
    check_read_back(sbuf_slice(&whole), &p);

    /* What does not fit says so, and nothing is written behind the room. */
    uint32_t n = whole.n;
    struct sbuf less = sbuf_on(mem, p.room);
    mem[p.room] = 0x55;
    write_message(&less, &p);
    CHECK(mem[p.room] == 0x55 && less.n <= p.room && less.overflow == (n > p.room));
    return 0;
}
