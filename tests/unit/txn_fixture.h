/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_fixture: a transaction layer in virtual time, with all it sent and told in lists. One per test; fix_end checks
 * that no buffer leaked.
 */
#ifndef REFEREE_TESTS_TXN_FIXTURE_H
#define REFEREE_TESTS_TXN_FIXTURE_H

#include "core/sip/txn_table.h"
#include "parser/sip_hdr.h"
#include "tests/unit/unit.h"

#define FIX_LOG 128
#define MS UINT64_C(1000)
#define SEC UINT64_C(1000000)

struct fix_sent {
    uint64_t at;
    struct addr dst;
    char text[3000];
    uint32_t n;
};

struct fix_told {
    uint64_t at;
    struct txn_event ev;
};

struct fix {
    void *mem;
    struct wheel wheel;
    struct buf_pool bufs;
    struct metrics metrics;
    struct trace trace;
    struct txn_layer layer;
    struct outbox outbox;
    uint64_t now;
    unsigned sent_n, told_n;
    struct fix_sent sent[FIX_LOG];
    struct fix_told told[FIX_LOG];
    struct addr far, near;
};

static inline void fix_layout(struct fix *f, struct arena *a, uint32_t count, uint32_t open) {
    static const uint32_t bufs[BUF_CLASSES] = { 64, 0, 64, 0, 64, 8, 0, 0 };
    buf_pool_init(&f->bufs, a, bufs);
    trace_init(&f->trace, a, 64, 0, TRACE_DEBUG);
    struct txn_layer_config c = {
        .count = count, .open = open, .key = { 1, 2 }, .wheel = &f->wheel, .bufs = &f->bufs,
        .metrics = &f->metrics, .trace = &f->trace,
    };
    txn_layer_init(&f->layer, a, &c);
}

/* open: as in struct txn_layer_config. */
static inline struct fix *fix_new_open(uint32_t count, uint32_t open) {
    struct fix *f = calloc(1, sizeof *f);
    struct arena a;
    arena_init(&a, NULL, 0);
    fix_layout(f, &a, count, open);
    size_t need = a.used;
    f->mem = aligned_alloc(64, (need + 63) / 64 * 64);
    arena_init(&a, f->mem, need);
    fix_layout(f, &a, count, open);
    f->now = 1000 * SEC;
    wheel_init(&f->wheel, f->now);
    CU_ASSERT_FATAL(addr_parse(SL("192.0.2.9:5070"), 5060, &f->far));
    CU_ASSERT_FATAL(addr_parse(SL("192.0.2.1:5060"), 5060, &f->near));
    return f;
}

static inline struct fix *fix_new_sized(uint32_t count) {
    return fix_new_open(count, 0);
}

static inline struct fix *fix_new(void) {
    return fix_new_sized(16);
}

/* Moves the outbox into the list. */
static inline void fix_collect(struct fix *f) {
    for (uint32_t i = 0; i < f->outbox.n; i++) {
        struct out *o = &f->outbox.entries[i];
        CU_ASSERT_FATAL(o->kind == OUT_SEND && f->sent_n < FIX_LOG && o->u.send.buf->len < sizeof f->sent[0].text);
        struct fix_sent *s = &f->sent[f->sent_n++];
        s->at = f->now;
        s->dst = o->u.send.dst;
        s->n = o->u.send.buf->len;
        memcpy(s->text, o->u.send.buf->data, s->n);
        buf_unref(&f->bufs, &o->u.send.buf);
    }
    f->outbox.n = 0;
}

static inline void fix_tell(struct fix *f, struct txn_event ev) {
    fix_collect(f);
    if (ev.kind == TXN_NONE)
        return;
    CU_ASSERT_FATAL(f->told_n < FIX_LOG);
    f->told[f->told_n++] = (struct fix_told){ f->now, ev };
}

/* Virtual time goes on to `until`, timer by timer. */
static inline void fix_run(struct fix *f, uint64_t until) {
    for (;;) {
        uint64_t next = wheel_next(&f->wheel);
        f->now = next > f->now && next < until ? next : next <= f->now ? f->now : until;
        struct wheel_node *n = wheel_pop(&f->wheel, f->now);
        if (n) {
            CU_ASSERT_FATAL(txn_is_timer(n));
            fix_tell(f, txn_timer(&f->layer, &f->outbox, f->now, n));
        } else if (f->now >= until) {
            return;
        } else if (next <= f->now) {
            f->now += MS;
        }
    }
}

/* Nothing is looked at until then: all that is due fires at that time. */
static inline void fix_sleep(struct fix *f, uint64_t until) {
    struct wheel_node *n;
    f->now = until;
    while ((n = wheel_pop(&f->wheel, f->now)))
        fix_tell(f, txn_timer(&f->layer, &f->outbox, f->now, n));
}

static inline void fix_end(struct fix *f) {
    uint32_t cursor = 0;
    handle h;
    while (pool_next(&f->layer.pool, &cursor, &h))
        txn_drop(&f->layer, h);
    CHECK_EQ(f->wheel.armed, 0);
    CHECK_EQ(f->layer.by_key.used, 0);
    CHECK_EQ(f->layer.open.used, 0);
    CHECK_EQ(f->layer.merges.used, 0);
    CHECK_EQ(f->layer.by_merge.used, 0);
    for (unsigned i = 0; i < BUF_CLASSES; i++)
        CHECK_EQ(f->bufs.used[i], 0);
    free(f->mem);
    free(f);
}

/* Parses into static memory: good until the next call but seven. */
static inline const struct sip_msg *fix_parse(struct slice s) {
    static struct sip_msg ring[8];
    static unsigned at;
    struct sip_msg *m = &ring[at++ % 8];
    struct sip_fault fault;
    if (sip_parse(s, m, &fault) < 0) {
        printf("\nbad test message (%s):\n%.*s\n", sip_error_text(fault.error), SLICE_FMT(s));
        CU_FAIL_FATAL("test message");
    }
    return m;
}

static inline struct slice fix_sent_at(const struct fix *f, unsigned i) {
    return i < f->sent_n ? slice_of(f->sent[i].text, f->sent[i].n) : SL("(nothing)");
}

static inline bool fix_has(struct slice text, const char *part) {
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= text.n; i++)
        if (memcmp(text.p + i, part, n) == 0)
            return true;
    return false;
}

/* Messages of the tests, built with printf: branch, method and so on are arguments. */
static inline struct slice fix_request(const char *method, const char *branch, const char *to_tag) {
    static char ring[8][2048];
    static unsigned at;
    char *mem = ring[at++ % 8];
    int n = snprintf(mem, sizeof ring[0],
                     "%s sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=%s;rport\r\n"
                     "Max-Forwards: 70\r\nRoute: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n"
                     "Route: <sip:p3.example;lr>\r\n"
                     "From: \"A\" <sip:alice@example.com>;tag=ft\r\nTo: <sip:bob@example.com>%s%s\r\n"
                     "Call-ID: call-1\r\nCSeq: 7 %s\r\nContact: <sip:alice@192.0.2.1>\r\nContent-Length: 0\r\n\r\n",
                     method, branch, *to_tag ? ";tag=" : "", to_tag, method);
    return slice_of(mem, (size_t)n);
}

static inline struct slice fix_response(unsigned status, const char *method, const char *branch, const char *to_tag) {
    static char ring[8][2048];
    static unsigned at;
    char *mem = ring[at++ % 8];
    int n = snprintf(mem, sizeof ring[0],
                     "SIP/2.0 %u Whatever\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=%s;rport=5060\r\n"
                     "From: \"A\" <sip:alice@example.com>;tag=ft\r\nTo: <sip:bob@example.com>;tag=%s\r\n"
                     "Call-ID: call-1\r\nCSeq: 7 %s\r\nContent-Length: 0\r\n\r\n",
                     status, branch, to_tag, method);
    return slice_of(mem, (size_t)n);
}

static inline handle fix_start(struct fix *f, enum sip_method method, const char *branch) {
    struct slice name = sip_method_name(method);
    char text[16];
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    struct txn_client c = {
        .request = buf_copy(&f->bufs, fix_request(text, branch, "")), .method = method, .branch = slice_str(branch),
        .cseq = 7, .dst = &f->far, .local = &f->near, .ctx_kind = 3, .ctx = 77, .trace_leg = 0xff,
    };
    handle h = txn_client_start(&f->layer, &f->outbox, f->now, &c);
    fix_collect(f);
    return h;
}

static inline struct txn_event fix_recv(struct fix *f, struct slice text) {
    const struct sip_msg *m = fix_parse(text);
    struct txn_event ev = m->is_request ? txn_recv_request(&f->layer, &f->outbox, f->now, m, &f->far, &f->near)
                                        : txn_recv_response(&f->layer, &f->outbox, f->now, m);
    fix_collect(f);
    return ev;
}

static inline void fix_respond(struct fix *f, handle h, unsigned status, const char *method, const char *branch) {
    txn_respond(&f->layer, &f->outbox, f->now, h, buf_copy(&f->bufs, fix_response(status, method, branch, "us")),
                (uint16_t)status);
    fix_collect(f);
}

#endif
