/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A real engine in virtual time with hand-made phones around it: trusted peers on addresses of their own, reached by
 * static routes (the user part is the phone's name). Phones say only what a test has them say.
 */
#ifndef REFEREE_TESTS_CALL_RIG_H
#define REFEREE_TESTS_CALL_RIG_H

#include "core/b2b/engine.h"
#include "core/b2b/state.h"
#include "tests/unit/unit.h"

#define RIG_SENT 64
#define RIG_TEXT 6144
#define RIG_START_US 1000000000000ull
#define RIG_START_MS 1700000000000ull

enum rig_name { ALICE, BOB, CAROL, RIG_PHONES };

struct rig_sent {
    struct addr dst;
    char text[RIG_TEXT];
};

struct rig_op {
    enum store_verb verb;
    uint64_t ticket, version;
    char key[24];
};

struct rig {
    struct engine *e;
    struct outbox out;
    uint64_t now;
    void *mem;
    struct rig_sent sent[RIG_SENT];
    uint32_t sent_n;
    char cdr[16384]; /* the last call data record */
    uint32_t cdr_n;
    char admin[65536]; /* answers to the last order */
    void (*on_out)(struct rig *r, const struct out *o); /* each entry of the outbox, before it is dealt with */
    struct rig_op ops[64]; /* of the table "call": nobody answers them but rig_answer */
    uint32_t op_n;
    void (*after)(struct rig *r); /* each step, when the outbox is empty again */
    void *arg;
};

/* A dialog as a phone sees it. */
struct rig_dialog {
    enum rig_name who;
    char call_id[128], local_tag[64], remote_tag[64], local[160], remote[160], target[160];
    uint32_t cseq;
};

static const char *const rig_names[RIG_PHONES] = { "alice", "bob", "carol" };

static inline struct addr rig_addr(unsigned host, uint16_t port) {
    return (struct addr){ .ip = { 192, 0, 2, (uint8_t)host }, .port = port, .family = ADDR_V4 };
}
static inline struct addr rig_phone(enum rig_name who) {
    return rig_addr(10 + 10 * (unsigned)who, 5060);
}

static inline const char *rig_sdp(const char *formats, const char *direction, unsigned port) {
    static char text[2][512];
    static unsigned turn;
    char *t = text[turn++ & 1];
    snprintf(t, sizeof text[0],
             "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
             "m=audio %u RTP/AVP %s\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=%s\r\n",
             port, formats, direction);
    return t;
}

static inline void rig_config(struct engine_config *c) {
    static struct peer_config peers[RIG_PHONES];
    static struct route_config routes[RIG_PHONES];
    engine_config_defaults(c);
    c->cdr = true;
    c->seed = (struct siphash_key){ 1, 2 };
    memset(c->secret, 7, sizeof c->secret);
    c->sip_addr = rig_addr(1, 5060);
    c->media_addr = rig_addr(1, 0);
    c->media_port_min = 30000;
    c->media_port_max = 30099;
    c->calls_max = 12;
    c->bindings_max = 4;
    c->trace_lines = 64;
    c->cluster_id = 3;
    for (unsigned i = 0; i < RIG_PHONES; i++) {
        struct addr at = rig_phone((enum rig_name)i);
        peers[i] = (struct peer_config){ .net = at, .bits = 32, .trusted = true };
        routes[i] = (struct route_config){ .next_hop = at };
        snprintf(peers[i].name, sizeof peers[i].name, "%s", rig_names[i]);
        snprintf(routes[i].name, sizeof routes[i].name, "%s", rig_names[i]);
        snprintf(routes[i].prefix, sizeof routes[i].prefix, "%s", rig_names[i]);
    }
    c->policy.peers = peers;
    c->policy.peer_count = RIG_PHONES;
    c->policy.routes = routes;
    c->policy.route_count = RIG_PHONES;
}

/* free(*mem) when done. */
static inline struct engine *rig_engine(const struct engine_config *c, uint64_t now, uint64_t wall_ms, void **mem) {
    struct arena a;
    arena_init(&a, NULL, 0);
    engine_new(&a, c, now, wall_ms);
    size_t counted = a.used, n = (counted + 4095) & ~(size_t)4095;
    *mem = aligned_alloc(4096, n);
    memset(*mem, 0, n);
    arena_init(&a, *mem, counted);
    return engine_new(&a, c, now, wall_ms);
}

static inline void rig_start(struct rig *r, const struct engine_config *c) {
    memset(r, 0, sizeof *r);
    r->now = RIG_START_US;
    r->e = rig_engine(c, r->now, RIG_START_MS, &r->mem);
}

static inline uint64_t rig_wall_ms(const struct rig *r) {
    return RIG_START_MS + (r->now - RIG_START_US) / 1000;
}

static inline void rig_keep_op(struct rig *r, const struct store_op *op) {
    if (!slice_eq(op->table, SL("call")) || r->op_n == sizeof r->ops / sizeof *r->ops)
        return;
    struct rig_op *k = &r->ops[r->op_n++];
    *k = (struct rig_op){ .verb = op->verb, .ticket = op->ticket, .version = op->version };
    snprintf(k->key, sizeof k->key, "%.*s", SLICE_FMT(buf_slice(op->key)));
}

static inline void rig_empty(struct rig *r) {
    struct buf_pool *p = engine_bufs(r->e);
    for (uint32_t i = 0; i < r->out.n; i++) {
        struct out *o = &r->out.entries[i];
        if (r->on_out)
            r->on_out(r, o);
        if (o->kind == OUT_SEND) {
            struct rig_sent *s = &r->sent[r->sent_n++ % RIG_SENT];
            s->dst = o->u.send.dst;
            snprintf(s->text, sizeof s->text, "%.*s", SLICE_FMT(buf_slice(o->u.send.buf)));
            buf_unref(p, &o->u.send.buf);
        } else if (o->kind == OUT_STORE) {
            rig_keep_op(r, &o->u.store);
            buf_unref(p, &o->u.store.key);
            buf_unref(p, &o->u.store.value);
        } else if (o->kind == OUT_ADMIN) {
            struct slice text = buf_slice(o->u.admin.buf);
            size_t n = strlen(r->admin);
            snprintf(r->admin + n, sizeof r->admin - n, "%.*s", SLICE_FMT(text));
            buf_unref(p, &o->u.admin.buf);
        } else if (o->kind == OUT_CDR) {
            snprintf(r->cdr, sizeof r->cdr, "%.*s", SLICE_FMT(buf_slice(o->u.cdr.buf)));
            r->cdr_n++;
            buf_unref(p, &o->u.cdr.buf);
        } else if (o->kind == OUT_PEER) {
            buf_unref(p, &o->u.peer.buf);
        }
    }
    r->out.n = 0;
}

static inline void rig_step(struct rig *r, struct event *ev) {
    ev->mono_us = r->now;
    ev->wall_ms = rig_wall_ms(r);
    engine_step(r->e, ev, &r->out);
    rig_empty(r);
    if (r->after)
        r->after(r);
}

static inline void rig_answer(struct rig *r, uint64_t ticket, enum store_status status) {
    struct event ev = { .kind = EV_STORE };
    ev.u.store.ticket = ticket;
    ev.u.store.status = status;
    rig_step(r, &ev);
}

static inline const char *rig_order(struct rig *r, const char *line) {
    struct event ev = { .kind = EV_ADMIN, .u.admin = { .conn = 1, .line = slice_str(line) } };
    r->admin[0] = 0;
    rig_step(r, &ev);
    return r->admin;
}

static inline void rig_recv(struct rig *r, enum rig_name from, const char *text) {
    r->now += 10000;
    struct event ev = { .kind = EV_DATAGRAM,
                        .u.dgram = { .bytes = slice_str(text), .src = rig_phone(from), .dst = rig_addr(1, 5060) } };
    rig_step(r, &ev);
}

/* Fires what falls due on the way. */
static inline void rig_wait(struct rig *r, uint64_t us) {
    uint64_t until = r->now + us;
    for (uint64_t next; (next = engine_deadline(r->e)) <= until;) {
        struct event ev = { .kind = EV_DEADLINE };
        r->now = next > r->now ? next : r->now + 1000;
        rig_step(r, &ev);
    }
    r->now = until;
}

/* The latest message to this phone that starts so (and, for responses, answers `method`); "": none. */
static inline const char *rig_last(const struct rig *r, enum rig_name to, const char *start, const char *method) {
    struct addr at = rig_phone(to);
    for (uint32_t i = r->sent_n; i-- > 0 && r->sent_n - i <= RIG_SENT;) {
        const struct rig_sent *s = &r->sent[i % RIG_SENT];
        const char *cseq = strstr(s->text, "\nCSeq: ");
        if (!addr_eq(&s->dst, &at) || strncmp(s->text, start, strlen(start)) != 0 || !cseq)
            continue;
        if (!method || strncmp(strchr(cseq + 7, ' ') + 1, method, strlen(method)) == 0)
            return s->text;
    }
    return "";
}

/* Every line of this header, with CRLF. */
static inline void rig_lines(const char *text, const char *name, char *out, size_t cap) {
    size_t n = strlen(name), used = 0;
    out[0] = '\0';
    for (const char *at = text; (at = strstr(at, "\r\n")) && strncmp(at, "\r\n\r\n", 4) != 0;) {
        at += 2;
        const char *end = strstr(at, "\r\n");
        if (end && strncmp(at, name, n) == 0 && at[n] == ':' && used + (size_t)(end + 2 - at) < cap) {
            memcpy(out + used, at, (size_t)(end + 2 - at));
            used += (size_t)(end + 2 - at);
            out[used] = '\0';
        }
    }
}

/* What stands between `from` and any of `ends` in the header. */
static inline void rig_part(const char *text, const char *name, const char *from, const char *ends, char *out) {
    char line[1024];
    rig_lines(text, name, line, sizeof line);
    const char *at = strstr(line, from);
    size_t n = at ? strcspn(at + strlen(from), ends) : 0;
    memcpy(out, at ? at + strlen(from) : "", n);
    out[n] = '\0';
}

static inline void rig_put_body(char *text, size_t cap, const char *sdp) {
    size_t n = strlen(text);
    if (sdp && *sdp)
        snprintf(text + n, cap - n, "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(sdp), sdp);
    else
        snprintf(text + n, cap - n, "Content-Length: 0\r\n\r\n");
}

/* Answers the last request of this kind that was sent to the phone; d (may be NULL) learns the dialog. */
static inline void rig_reply(struct rig *r, enum rig_name who, const char *method, unsigned status, const char *sdp,
                             struct rig_dialog *d) {
    char text[RIG_TEXT], via[512], from[512], to[512], call_id[256], cseq[128], tag[64];
    const char *req = rig_last(r, who, method, NULL);
    if (!*req)
        printf("\nno %s was sent to %s\n", method, rig_names[who]);
    CHECK_TRUE(*req != '\0');
    rig_lines(req, "Via", via, sizeof via);
    rig_lines(req, "From", from, sizeof from);
    rig_lines(req, "To", to, sizeof to);
    rig_lines(req, "Call-ID", call_id, sizeof call_id);
    rig_lines(req, "CSeq", cseq, sizeof cseq);
    snprintf(tag, sizeof tag, ";tag=%s-%.6s", rig_names[who], call_id + 35);
    if (strstr(to, ";tag="))
        tag[0] = '\0';
    snprintf(text, sizeof text,
             "SIP/2.0 %u Said\r\n%s%s%.*s%s\r\n%s%sContact: <sip:%s@192.0.2.%u>\r\nSupported: replaces\r\n", status,
             via, from, (int)strlen(to) - 2, to, tag, call_id, cseq, rig_names[who], rig_phone(who).ip[3]);
    rig_put_body(text, sizeof text, sdp);
    if (d) {
        d->who = who;
        rig_part(req, "Call-ID", ": ", "\r", d->call_id);
        rig_part(req, "From", ";tag=", ";\r", d->remote_tag);
        rig_part(req, "From", "<", ">", d->remote);
        rig_part(req, "To", "<", ">", d->local);
        rig_part(req, "Contact", "<", ">", d->target);
        rig_part(text, "To", ";tag=", ";\r", d->local_tag);
    }
    rig_recv(r, who, text);
}

/* A request in the dialog, or the INVITE that makes it. headers: lines with CRLF, or "". */
static inline void rig_request(struct rig *r, struct rig_dialog *d, const char *method, const char *headers,
                               const char *sdp) {
    char text[RIG_TEXT];
    bool again = strcmp(method, "ACK") == 0 || strcmp(method, "CANCEL") == 0;
    d->cseq += !again;
    snprintf(text, sizeof text,
             "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.%u:5060;branch=z9hG4bK%s%u%s\r\n"
             "From: <%s>;tag=%s\r\nTo: <%s>%s%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\nMax-Forwards: 70\r\n"
             "Contact: <sip:%s@192.0.2.%u>\r\n%s",
             method, d->target, rig_phone(d->who).ip[3], d->local_tag, d->cseq,
             strcmp(method, "ACK") == 0 ? "a" : "", d->local, d->local_tag, d->remote, d->remote_tag[0] ? ";tag=" : "",
             d->remote_tag, d->call_id, d->cseq, method, rig_names[d->who], rig_phone(d->who).ip[3], headers);
    rig_put_body(text, sizeof text, sdp);
    rig_recv(r, d->who, text);
}

static inline void rig_dialog_new(struct rig_dialog *d, enum rig_name who, enum rig_name to) {
    static unsigned calls;
    *d = (struct rig_dialog){ .who = who, .cseq = 100 };
    calls++;
    snprintf(d->call_id, sizeof d->call_id, "call-%u-192.0.2.%u", calls, rig_phone(who).ip[3]);
    snprintf(d->local_tag, sizeof d->local_tag, "%s%u", rig_names[who], calls);
    snprintf(d->local, sizeof d->local, "sip:%s@192.0.2.1", rig_names[who]);
    snprintf(d->remote, sizeof d->remote, "sip:%s@192.0.2.1", rig_names[to]);
    snprintf(d->target, sizeof d->target, "sip:%s@192.0.2.1", rig_names[to]);
}

static inline void rig_invite(struct rig *r, struct rig_dialog *d, enum rig_name who, enum rig_name to,
                              const char *sdp) {
    rig_dialog_new(d, who, to);
    rig_request(r, d, "INVITE", "Supported: replaces\r\n", sdp);
}

/* From the 2xx (or 1xx) to its INVITE. */
static inline void rig_learn(struct rig *r, struct rig_dialog *d, const char *start) {
    const char *resp = rig_last(r, d->who, start, "INVITE");
    CHECK_TRUE(*resp != '\0');
    rig_part(resp, "To", ";tag=", ";\r", d->remote_tag);
    rig_part(resp, "Contact", "<", ">", d->target);
}

/* An answered call between two phones. */
static inline void rig_call(struct rig *r, struct rig_dialog *a, struct rig_dialog *b, enum rig_name from,
                            enum rig_name to) {
    rig_invite(r, a, from, to, rig_sdp("0 8", "sendrecv", 40000));
    rig_reply(r, to, "INVITE", 180, "", b);
    rig_reply(r, to, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), b);
    rig_learn(r, a, "SIP/2.0 200");
    rig_request(r, a, "ACK", "", "");
}

static inline void rig_refer(struct rig *r, struct rig_dialog *d, enum rig_name to, const struct rig_dialog *consult) {
    char headers[512];
    if (consult)
        snprintf(headers, sizeof headers,
                 "Refer-To: <sip:%s@192.0.2.1?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\r\n", rig_names[to],
                 consult->call_id, consult->remote_tag, consult->local_tag);
    else
        snprintf(headers, sizeof headers, "Refer-To: <sip:%s@192.0.2.1>\r\nReferred-By: <%s>\r\n", rig_names[to],
                 d->local);
    rig_request(r, d, "REFER", headers, "");
}

/* b says that it takes REFER, and is passed a's. */
static inline void rig_refer_passed_on(struct rig *r, struct rig_dialog *a, struct rig_dialog *b) {
    rig_request(r, b, "INVITE", "Allow: INVITE, REFER\r\n", rig_sdp("0", "sendrecv", 41000));
    rig_reply(r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    rig_request(r, b, "ACK", "", "");
    rig_refer(r, a, CAROL, NULL);
    rig_reply(r, BOB, "REFER", 202, "", NULL);
}

/* Where there is one at most: that; NULL: none. */
static inline struct call *rig_only_call(const struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    return pool_next(&e->calls, &cursor, &h);
}

static inline void rig_stop(struct rig *r) {
    free(r->mem);
}

/* Some line that is still in the trace says this. */
static inline bool rig_traced(const struct rig *r, const char *what) {
    const struct trace *t = engine_trace(r->e);
    char text[512];
    for (uint64_t i = 0; i < t->head; i++) {
        struct sbuf b = sbuf_on(text, sizeof text - 1);
        const struct trace_line *line = trace_at(t, i);
        if (!line)
            continue;
        trace_format(&b, line, 0);
        text[b.n] = '\0';
        if (strstr(text, what))
            return true;
    }
    return false;
}

#endif
