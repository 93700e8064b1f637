/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * engine_walk: phones that do anything at any time, right or wrong, to one engine. They keep of a dialog what it takes
 * to be believed: the engine's FSMs are reached behind its look-ups. What is done next is picked from a seeded
 * generator, or from a fuzzer's bytes. Nothing is expected of the answers; what must hold is CHECKed by whoever walks.
 */
#ifndef REFEREE_TESTS_ENGINE_WALK_H
#define REFEREE_TESTS_ENGINE_WALK_H

#include "core/base/rng.h"
#include "parser/sip_hdr.h"
#include "tests/unit/engine_rig.h"

#include <stdarg.h>

#define WALK_PHONES 4
#define WALK_DIALOGS 24
#define WALK_PENDING 32
#define WALK_TEXT 6000

struct walk_dialog {
    bool used, uac, confirmed;
    unsigned phone;
    unsigned long rseq; /* of the last 18x to it */
    char call_id[128], local_tag[64], remote_tag[128], local[160], remote[160], target[256];
    unsigned long cseq, invite_cseq;
    char branch[64], ruri[256]; /* of our last INVITE */
};

struct walk_pending {
    bool used;
    int dialog;
    uint32_t n;
    char text[WALK_TEXT];
};

struct walk {
    struct rig *r;
    struct rng rng;
    const uint8_t *data; /* NULL: rng */
    size_t left;
    unsigned mutate_percent;
    unsigned willing_percent; /* answers that are 200 with a plain description, whatever was asked */
    unsigned long serial;
    struct walk_dialog dialogs[WALK_DIALOGS];
    struct walk_pending pending[WALK_PENDING];
    char last[WALK_TEXT + 64];
    uint32_t last_n;
    unsigned last_phone;
    struct sip_msg msg;
    char text[WALK_TEXT + 64];
    int n;
};

static const char *const walk_users[] = { "alice", "bob", "carol", "dave", "echo", "nobody", "%62ob", "100" };

/* One below n. */
static inline uint32_t walk_pick(struct walk *w, uint32_t n) {
    if (!w->data)
        return (uint32_t)rng_below(&w->rng, n);
    if (w->left == 0)
        return 0;
    w->left--;
    return *w->data++ % n;
}

static inline const char *walk_address(unsigned phone) {
    static const char *const text[] = { "192.0.2.11:5060", "192.0.2.12:5062", "198.51.100.13:1024",
                                        "203.0.113.9:5060" };
    return text[phone % WALK_PHONES];
}

static inline void walk_copy(char *to, size_t size, struct slice s) {
    size_t n = s.n < size ? s.n : size - 1;
    memmove(to, s.p, n);
    to[n] = '\0';
}

static inline const char *walk_sdp(struct walk *w) {
#define WALK_SDP "v=0\r\no=- 1 1 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n"
    static const char *const sdp[] = {
        WALK_SDP "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        WALK_SDP "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n",
        WALK_SDP "m=audio 4002 RTP/AVP 8\r\n",
        WALK_SDP "m=audio 4002 RTP/AVP 9\r\na=inactive\r\nm=video 4004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
        WALK_SDP "m=audio 4002 RTP/SAVP 0\r\n",
        WALK_SDP "m=audio 0 RTP/AVP 0\r\n",
        "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        "nonsense",
        "",
    };
#undef WALK_SDP
    uint32_t k = walk_pick(w, 100) < w->willing_percent ? 0 : walk_pick(w, 16);
    return sdp[k < 9 ? k : 0];
}

static inline void walk_add(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void walk_add(struct walk *w, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(w->text + w->n, sizeof w->text - (size_t)w->n, fmt, ap);
    va_end(ap);
    w->n = n < 0 || w->n + n >= (int)sizeof w->text ? (int)sizeof w->text - 1 : w->n + n;
}

static inline void walk_body(struct walk *w, const char *type, const char *body) {
    if (*body)
        walk_add(w, "Content-Type: %s\r\n", type);
    walk_add(w, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
}

static inline void walk_mutate(struct walk *w, char *text, uint32_t *n) {
    for (uint32_t k = 1 + walk_pick(w, 4); k && *n > 8; k--) {
        uint32_t at = (walk_pick(w, 256) << 8 | walk_pick(w, 256)) % *n, len = 1 + walk_pick(w, 12);
        if (at + len > *n)
            len = *n - at;
        switch (walk_pick(w, 4)) {
        case 0: text[at] = (char)walk_pick(w, 256); break;
        case 1: text[at] = "\r\n;,<>@:=\" \0%~"[walk_pick(w, 14)]; break;
        case 2:
            memmove(text + at, text + at + len, *n - at - len);
            *n -= len;
            break;
        default:
            if (*n + len > WALK_TEXT)
                break;
            memmove(text + at + len, text + at, *n - at);
            *n += len;
        }
    }
}

static inline void walk_collect(struct walk *w);

static inline void walk_deliver(struct walk *w, unsigned phone, const char *text, uint32_t n) {
    memmove(w->last, text, n);
    w->last_n = n;
    w->last_phone = phone;
    if (walk_pick(w, 100) < w->mutate_percent)
        walk_mutate(w, w->last, &w->last_n);
    rig_recv(w->r, slice_of(w->last, w->last_n), walk_address(phone));
    walk_collect(w);
}

static inline int walk_new_dialog(struct walk *w, unsigned phone) {
    int i = (int)walk_pick(w, WALK_DIALOGS);
    for (int k = 0; k < WALK_DIALOGS && w->dialogs[i].used; k++)
        i = (i + 1) % WALK_DIALOGS;
    w->dialogs[i] = (struct walk_dialog){ .used = true, .phone = phone };
    snprintf(w->dialogs[i].local_tag, sizeof w->dialogs[i].local_tag, "t%lu", w->serial++);
    return i;
}

static inline int walk_find(struct walk *w, const struct sip_msg *m) {
    struct slice tag = m->is_request ? m->to_tag : m->from_tag;
    for (int i = 0; i < WALK_DIALOGS; i++)
        if (w->dialogs[i].used && slice_eq(m->call_id, slice_str(w->dialogs[i].call_id)) &&
            slice_eq(tag, slice_str(w->dialogs[i].local_tag)))
            return i;
    return -1;
}

static inline void walk_note_target(struct walk *w, struct walk_dialog *d) {
    struct sip_values cur = { 0 };
    struct slice value;
    struct sip_contact c;
    if (sip_values_next(&w->msg, SIP_H_CONTACT, &cur, &value) && sip_contact_parse(value, &c) >= 0)
        walk_copy(d->target, sizeof d->target, c.addr.uri.whole);
}

static inline void walk_got_request(struct walk *w, struct slice bytes, unsigned phone) {
    const struct sip_msg *m = &w->msg;
    int at = walk_find(w, m);
    if (m->method == SIP_M_ACK)
        return;
    if (m->method == SIP_M_INVITE && !m->to_tag.p) {
        at = walk_new_dialog(w, phone);
        struct walk_dialog *d = &w->dialogs[at];
        walk_copy(d->call_id, sizeof d->call_id, m->call_id);
        walk_copy(d->remote_tag, sizeof d->remote_tag, m->from_tag);
        walk_copy(d->local, sizeof d->local, m->to.uri.whole);
        walk_copy(d->remote, sizeof d->remote, m->from.uri.whole);
        d->cseq = walk_pick(w, 100);
    }
    if (at >= 0)
        walk_note_target(w, &w->dialogs[at]);
    struct walk_pending *p = &w->pending[walk_pick(w, WALK_PENDING)];
    for (unsigned i = 0; i < WALK_PENDING && p->used; i++)
        p = &w->pending[i];
    *p = (struct walk_pending){ .used = bytes.n <= WALK_TEXT, .dialog = at, .n = bytes.n };
    if (p->used)
        memcpy(p->text, bytes.p, bytes.n);
}

static inline void walk_got_response(struct walk *w) {
    int at = walk_find(w, &w->msg);
    if (at < 0 || w->msg.cseq_method != SIP_M_INVITE)
        return;
    struct walk_dialog *d = &w->dialogs[at];
    if (w->msg.to_tag.p && w->msg.status < 300) {
        walk_copy(d->remote_tag, sizeof d->remote_tag, w->msg.to_tag);
        walk_note_target(w, d);
        uint64_t rseq = 0;
        if (slice_u64(sip_hdr_value(&w->msg, SIP_H_RSEQ), UINT32_MAX, &rseq))
            d->rseq = rseq;
        d->confirmed = d->confirmed || w->msg.status >= 200;
    }
}

/* What the engine sent is handed to the phones; the answers wait until they are picked. */
static inline void walk_collect(struct walk *w) {
    for (uint32_t i = 0; i < w->r->sent_n; i++) {
        struct rig_sent *s = &w->r->sent[i];
        struct sip_fault fault;
        if (sip_parse(s->bytes, &w->msg, &fault) < 0) {
            /* What was malformed comes back in its refusal; else all we send can be read. */
            CHECK(w->mutate_percent && rig_status(s) >= 400);
            continue;
        }
        unsigned phone = 0;
        for (unsigned k = 0; k < WALK_PHONES; k++) {
            struct addr a = rig_addr(walk_address(k));
            phone = addr_eq(&a, &s->dst) ? k : phone;
        }
        if (w->msg.is_request)
            walk_got_request(w, s->bytes, phone);
        else
            walk_got_response(w);
    }
    rig_clear(w->r);
}

static inline void walk_head(struct walk *w, struct walk_dialog *d, const char *method, unsigned long cseq) {
    const char *target = d->target[0] ? d->target : d->ruri[0] ? d->ruri : "sip:bob@example.com";
    char branch[64];
    bool invite = strcmp(method, "INVITE") == 0, cancel = strcmp(method, "CANCEL") == 0;
    snprintf(branch, sizeof branch, "z9hG4bKw%lu", w->serial++);
    if (invite) {
        walk_copy(d->branch, sizeof d->branch, slice_str(branch));
        walk_copy(d->ruri, sizeof d->ruri, slice_str(target));
    }
    if (cancel)
        target = d->ruri;
    w->n = 0;
    walk_add(w, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\n", method, target,
             walk_address(d->phone), cancel ? d->branch : branch);
    walk_add(w, "From: <%s>;tag=%s\r\nTo: <%s>", d->local, d->local_tag, d->remote);
    if (d->remote_tag[0] && !cancel)
        walk_add(w, ";tag=%s", d->remote_tag);
    walk_add(w, "\r\nCall-ID: %s\r\nCSeq: %lu %s\r\nContact: <sip:%s@%s>\r\n", d->call_id, cseq, method,
             walk_users[d->phone], walk_address(d->phone));
    if (walk_pick(w, 3))
        walk_add(w, "Supported: replaces\r\nUser-Agent: walker\r\n");
}

/* What a request says of sessions and of itself. */
static inline void walk_asks(struct walk *w, const struct walk_dialog *d, const char *method) {
    if (strcmp(method, "INVITE") == 0 && !walk_pick(w, 3))
        walk_add(w, "%s: 100rel, timer\r\nSession-Expires: %u%s\r\n", walk_pick(w, 3) ? "Supported" : "Require",
                 80 + walk_pick(w, 20), walk_pick(w, 2) ? ";refresher=uac" : "");
    if (strcmp(method, "PRACK") == 0)
        walk_add(w, "RAck: %lu %lu INVITE\r\n", d->rseq, d->invite_cseq);
}

/* What a response says of sessions and of itself. */
static inline void walk_extras(struct walk *w, unsigned status, enum sip_method method) {
    bool session = method == SIP_M_INVITE || method == SIP_M_UPDATE;
    if (method == SIP_M_INVITE && status > 100 && status < 200 && walk_pick(w, 2))
        walk_add(w, "Require: 100rel\r\nRSeq: %u\r\n", 1 + walk_pick(w, 4));
    if (session && status / 100 == 2 && !walk_pick(w, 3))
        walk_add(w, "Session-Expires: %u;refresher=%s\r\n", walk_pick(w, 200), walk_pick(w, 2) ? "uac" : "uas");
    if (!walk_pick(w, 3))
        walk_add(w, "Allow: INVITE, ACK, BYE, UPDATE, REFER\r\n");
    if (status == 422)
        walk_add(w, "Min-SE: %u\r\n", walk_pick(w, 250) * 20);
    if (status == 401)
        walk_add(w, "WWW-Authenticate: Digest realm=\"x\", nonce=\"%u\", qop=\"auth\"\r\n", walk_pick(w, 9));
}

static inline void walk_send(struct walk *w, struct walk_dialog *d) {
    walk_deliver(w, d->phone, w->text, (uint32_t)w->n);
}

static inline void walk_call(struct walk *w) {
    unsigned phone = walk_pick(w, WALK_PHONES);
    struct walk_dialog *d = &w->dialogs[walk_new_dialog(w, phone)];
    d->uac = true;
    d->cseq = d->invite_cseq = 1 + walk_pick(w, 50);
    snprintf(d->call_id, sizeof d->call_id, "call%lu@walk", w->serial++);
    snprintf(d->local, sizeof d->local, "sip:%s@example.com", walk_users[phone]);
    snprintf(d->remote, sizeof d->remote, "sip:%s@example.com", walk_users[walk_pick(w, 8)]);
    walk_copy(d->ruri, sizeof d->ruri, slice_str(d->remote));
    walk_head(w, d, "INVITE", d->cseq);
    walk_asks(w, d, "INVITE");
    const struct walk_dialog *other = &w->dialogs[walk_pick(w, WALK_DIALOGS)];
    if (other->remote_tag[0] && other->phone == phone && walk_pick(w, 2))
        walk_add(w, "Replaces: %s;to-tag=%s;from-tag=%s%s\r\n", other->call_id, other->remote_tag, other->local_tag,
                 walk_pick(w, 8) ? "" : ";early-only");
    walk_body(w, "application/sdp", walk_sdp(w));
    walk_send(w, d);
}

static inline void walk_register(struct walk *w, unsigned phone, unsigned expires) {
    w->n = 0;
    walk_add(w, "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKr%lu\r\n", walk_address(phone),
             w->serial);
    walk_add(w, "From: <sip:%s@example.com>;tag=r%lu\r\nTo: <sip:%s@example.com>\r\nCall-ID: reg%u\r\n",
             walk_users[phone], w->serial, walk_users[phone], phone);
    walk_add(w, "CSeq: %lu REGISTER\r\nContact: <sip:%s@%s>;expires=%u\r\nContent-Length: 0\r\n\r\n", ++w->serial,
             walk_users[phone], walk_address(phone), expires);
    walk_deliver(w, phone, w->text, (uint32_t)w->n);
}

static inline unsigned walk_status(struct walk *w, enum sip_method m) {
    static const unsigned invite[] = { 100, 180, 183, 200, 200, 200, 200, 486, 603, 422, 401, 481, 491, 500, 302, 408 };
    static const unsigned other[] = { 200, 200, 200, 200, 200, 202, 481, 491, 500, 501, 401, 408, 422, 302, 180, 100 };
    if (walk_pick(w, 100) < w->willing_percent)
        return 200;
    return (m == SIP_M_INVITE ? invite : other)[walk_pick(w, 16)];
}

static inline void walk_put_all(struct walk *w, enum sip_hdr_id id) {
    for (const struct sip_hdr *h = sip_hdr_first(&w->msg, id); h; h = sip_hdr_next(&w->msg, h))
        walk_add(w, "%.*s: %.*s\r\n", SLICE_FMT(h->name), SLICE_FMT(h->value));
}

static inline void walk_respond(struct walk *w, struct walk_pending *p, unsigned status) {
    struct sip_fault fault;
    CHECK(sip_parse(slice_of(p->text, p->n), &w->msg, &fault) > 0);
    enum sip_method method = w->msg.method;
    struct walk_dialog *d = p->dialog >= 0 ? &w->dialogs[p->dialog] : NULL;
    w->n = 0;
    walk_add(w, "SIP/2.0 %u Said\r\n", status);
    walk_put_all(w, SIP_H_VIA);
    walk_put_all(w, SIP_H_RECORD_ROUTE);
    walk_put_all(w, SIP_H_FROM);
    walk_add(w, "To: %.*s", SLICE_FMT(w->msg.to.value));
    if (!w->msg.to_tag.p && d)
        walk_add(w, ";tag=%s%s", d->local_tag, walk_pick(w, 16) ? "" : "x");
    walk_add(w, "\r\n");
    walk_put_all(w, SIP_H_CALL_ID);
    walk_put_all(w, SIP_H_CSEQ);
    unsigned phone = d ? d->phone : 0;
    walk_add(w, "Contact: <sip:%s@%s>\r\n%s", walk_users[phone], walk_address(phone),
             walk_pick(w, 4) ? "Supported: replaces\r\n" : "");
    if (status == 500)
        walk_add(w, "Retry-After: %u\r\n", walk_pick(w, 6));
    walk_extras(w, status, method);
    bool body = (method == SIP_M_INVITE || method == SIP_M_UPDATE) &&
                (status / 100 == 2 ? walk_pick(w, 8) > 0 : status == 183);
    walk_body(w, "application/sdp", body ? walk_sdp(w) : "");
    p->used = status < 200;
    walk_deliver(w, phone, w->text, (uint32_t)w->n);
}

static inline void walk_answer(struct walk *w) {
    uint32_t at = walk_pick(w, WALK_PENDING);
    for (unsigned i = 0; i < WALK_PENDING; i++) {
        struct walk_pending *p = &w->pending[(at + i) % WALK_PENDING];
        struct sip_fault fault;
        if (!p->used)
            continue;
        CHECK(sip_parse(slice_of(p->text, p->n), &w->msg, &fault) > 0);
        walk_respond(w, p, walk_status(w, w->msg.method));
        return;
    }
}

static inline struct walk_dialog *walk_any(struct walk *w) {
    uint32_t at = walk_pick(w, WALK_DIALOGS);
    for (unsigned i = 0; i < WALK_DIALOGS; i++)
        if (w->dialogs[(at + i) % WALK_DIALOGS].used)
            return &w->dialogs[(at + i) % WALK_DIALOGS];
    return NULL;
}

static inline void walk_refer(struct walk *w, struct walk_dialog *d) {
    struct walk_dialog *other = walk_any(w);
    walk_head(w, d, "REFER", ++d->cseq);
    if (walk_pick(w, 3) && other != d) {
        for (unsigned i = 0; i < WALK_DIALOGS && walk_pick(w, 8); i++)
            if (w->dialogs[i].used && w->dialogs[i].phone == d->phone && &w->dialogs[i] != d)
                other = &w->dialogs[i];
        walk_add(w, "Refer-To: <%s?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\r\n", other->remote, other->call_id,
                 other->remote_tag, other->local_tag);
    } else {
        walk_add(w, "Refer-To: <sip:%s@example.com>\r\n", walk_users[walk_pick(w, 8)]);
    }
    if (walk_pick(w, 4) == 0)
        walk_add(w, "Refer-Sub: false\r\n");
    walk_add(w, "Referred-By: <%s>\r\n", d->local);
    walk_body(w, "", "");
    walk_send(w, d);
}

static inline void walk_in_dialog(struct walk *w, struct walk_dialog *d) {
    static const char *const methods[] = { "BYE",    "INVITE",    "INVITE",    "UPDATE",  "INFO",  "OPTIONS",
                                           "NOTIFY", "SUBSCRIBE", "SUBSCRIBE", "MESSAGE", "PRACK", "INVITE" };
    uint32_t k = walk_pick(w, 12);
    walk_head(w, d, methods[k], ++d->cseq);
    walk_asks(w, d, methods[k]);
    bool sdp = strcmp(methods[k], "INVITE") == 0 || strcmp(methods[k], "UPDATE") == 0 ||
               (strcmp(methods[k], "PRACK") == 0 && !walk_pick(w, 3));
    if (strcmp(methods[k], "INVITE") == 0)
        d->invite_cseq = d->cseq;
    if (strcmp(methods[k], "SUBSCRIBE") == 0 || strcmp(methods[k], "NOTIFY") == 0)
        walk_add(w, "Event: refer\r\nExpires: %u\r\nSubscription-State: active\r\n", walk_pick(w, 3) * 60);
    walk_body(w, "application/sdp", sdp ? walk_sdp(w) : "");
    walk_send(w, d);
}

static inline void walk_ack(struct walk *w, struct walk_dialog *d) {
    walk_head(w, d, "ACK", d->invite_cseq);
    walk_body(w, "application/sdp", walk_pick(w, 4) ? "" : walk_sdp(w));
    walk_send(w, d);
}

static inline void walk_cancel(struct walk *w, struct walk_dialog *d) {
    if (!d->branch[0])
        return;
    walk_head(w, d, "CANCEL", d->invite_cseq);
    walk_body(w, "", "");
    walk_send(w, d);
}

static inline void walk_time(struct walk *w) {
    static const uint64_t jumps[] = { 0, 1, 10, 50, 200, 500, 1000, 4000, 9000, 33000 };
    rig_advance(w->r, jumps[walk_pick(w, 10)] * RIG_MS);
    walk_collect(w);
}

/* One thing done by somebody. */
static inline void walk_step(struct walk *w) {
    uint32_t what = walk_pick(w, 64);
    struct walk_dialog *d = walk_any(w);
    if (what < 8 || !d)
        walk_call(w);
    else if (what < 32)
        walk_answer(w);
    else if (what < 40)
        walk_ack(w, d);
    else if (what < 47)
        walk_in_dialog(w, d);
    else if (what < 53)
        walk_refer(w, d);
    else if (what < 54)
        walk_cancel(w, d);
    else if (what < 55)
        d->used = false;
    else if (what < 56)
        walk_register(w, walk_pick(w, WALK_PHONES), walk_pick(w, 8) ? 3600 : 0);
    else if (what < 58)
        walk_deliver(w, w->last_phone, w->last, w->last_n);
    else
        walk_time(w);
}

static inline void walk_config(struct engine_config *c) {
    static const struct user_config users[] = {
        { .name = "alice" }, { .name = "bob" }, { .name = "carol" }, { .name = "dave" }
    };
    static const char echo[][CONFIG_NAME_MAX] = { "echo" };
    static struct route_config route = { .name = "out", .prefix = "1" };
    rig_config(c);
    route.next_hop = rig_addr(walk_address(3));
    c->policy.users = users;
    c->policy.user_count = 4;
    c->policy.echo = echo;
    c->policy.echo_count = 1;
    c->policy.routes = &route;
    c->policy.route_count = 1;
}

static inline void walk_start(struct walk *w, struct rig *r) {
    w->r = r;
    for (unsigned i = 0; i < 3; i++)
        walk_register(w, i, 7000);
}

/* Nobody says anything any more: what was under way comes to an end by itself, and calls that are up by an order to
 * drain. False: something is left. */
static inline bool walk_end(struct walk *w) {
    rig_advance(w->r, 400 * RIG_SEC);
    struct engine_census c = rig_census(w->r);
    bool settled = !c.transfers && !c.transactions;
    if (!settled)
        rig_print_census(w->r);
    struct event drain = { .kind = EV_DRAIN };
    drain.u.drain.deadline_us = w->r->now;
    rig_step(w->r, &drain);
    rig_advance(w->r, 100 * RIG_SEC);
    rig_clear(w->r);
    if (!rig_is_quiet(w->r))
        rig_print_census(w->r);
    return settled && rig_is_quiet(w->r);
}

#endif
