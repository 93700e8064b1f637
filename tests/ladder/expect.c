/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the engine sent, against what the script says it must send. */
#include "parser/sip_frag.h"
#include "parser/sip_uri.h"
#include "tests/ladder/ladder.h"

#include <stdio.h>
#include <stdlib.h>

static struct sip_msg parsed_now;

static const struct sip_msg *parse(struct world *w, struct slice bytes) {
    struct sip_fault f;
    if (sip_parse(bytes, &parsed_now, &f) < 0)
        fail(w, "the engine sent what is not SIP: %s at byte %u\n%.*s", sip_error_text(f.error), f.offset,
             SLICE_FMT(bytes));
    return &parsed_now;
}

static const char *dialog_label(const struct phone *p, struct slice call_id, char *mem, size_t cap) {
    const struct dialog_side *d = dialog_by_call_id((struct phone *)p, call_id);
    snprintf(mem, cap, "%s%s%s", p->name, d && d->name[0] ? "." : "", d ? d->name : "");
    return mem;
}

void show(struct world *w, const struct phone *p, bool to_phone, struct slice bytes, bool copy) {
    static struct sip_msg m;
    struct sip_fault f;
    char mem[TEXT_MAX], label[2 * NAME_MAX_LEN];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    int32_t end = slice_find(bytes, '\r');
    const char *arrow = to_phone ? "<--" : "-->";
    if (sip_parse(bytes, &m, &f) < 0) {
        say(w, "%-12s %s (raw) %.*s", p->name, arrow, end < 0 ? 0 : (int)end, bytes.p);
        return;
    }
    if (m.is_request)
        put(&b, "%.*s %.*s", SLICE_FMT(m.method_name), SLICE_FMT(m.ruri_text));
    else
        put(&b, "%u %.*s (%.*s)", m.status, SLICE_FMT(m.reason), SLICE_FMT(m.cseq_method_name));
    if (m.body.n && sip_is_media_type(m.content_type, SL("application"), SL("sdp"))) {
        sbuf_lit(&b, " | ");
        sdp_tell(m.body, &b);
    } else if (m.body.n) {
        put(&b, " | %.*s", (int)(slice_find(m.body, '\r') < 0 ? (int32_t)m.body.n : slice_find(m.body, '\r')),
            m.body.p);
    }
    say(w, "%-12s %s %.*s%s", dialog_label(p, m.call_id, label, sizeof label), arrow, SLICE_FMT(sbuf_slice(&b)),
        copy ? " (again)" : "");
}

/* ---- whose is it? */

static bool belongs(struct phone *p, const struct dialog_side *d, const struct sip_msg *m) {
    const struct dialog_side *known = dialog_by_call_id(p, m->call_id);
    return known ? known == d : !m->is_request || !m->to_tag.p;
}

struct packet *packet_take(struct world *w, struct phone *p, struct dialog_side *d) {
    for (struct packet **at = &p->inbox; *at; at = &(*at)->next) {
        struct packet *k = *at;
        if (!belongs(p, d, parse(w, slice_of(k->bytes, k->n))))
            continue;
        *at = k->next;
        k->next = w->seen;
        w->seen = k;
        return k;
    }
    return NULL;
}

/* ---- checks of the script */

static void different(struct world *w, const char *what, struct slice is, const char *must) {
    fail(w, "%s is \"%.*s\",\n    expected \"%s\"", what, SLICE_FMT(is), must);
}

static void must_be(struct world *w, const char *what, struct slice is, const char *must) {
    if (!slice_eq(is, slice_str(must)))
        different(w, what, is, must);
}

static void must_be_number(struct world *w, const char *what, uint64_t is, const char *must) {
    uint64_t n;
    if (!parse_number(must, &n) || n != is)
        fail(w, "%s is %lu, expected %s", what, (unsigned long)is, must);
}

static void check_sdp(struct world *w, const struct sip_msg *m, struct words *ws) {
    const char *spec = words_value(ws, "sdp");
    char is[TEXT_MAX], must[TEXT_MAX];
    struct sbuf a = sbuf_on(is, sizeof is), b = sbuf_on(must, sizeof must - 1);
    bool sdp = m->body.n && sip_is_media_type(m->content_type, SL("application"), SL("sdp"));
    if (words_flag(ws, "sdp")) {
        if (!sdp)
            fail(w, "it has no session description");
        return;
    }
    if (!spec || strcmp(spec, "none") == 0) {
        if (sdp)
            fail(w, "it has a session description, and the script does not say so (sdp:none, or nothing)");
        return;
    }
    if (sdp)
        sdp_tell(m->body, &a);
    sdp_spec(spec, &b);
    must[b.n] = '\0';
    must_be(w, "the session description", sbuf_slice(&a), must);
}

static bool has_text(struct slice hay, const char *needle) {
    size_t n = strlen(needle);
    for (uint32_t i = 0; i + n <= hay.n; i++)
        if (memcmp(hay.p + i, needle, n) == 0)
            return true;
    return false;
}

/* hdr:"Name: value", hdr:Name, no:Name, has:"text" */
static void check_headers(struct world *w, const struct sip_msg *m, struct words *ws) {
    const char *v;
    char mem[MESSAGE_MAX];
    for (unsigned at = 0; (v = words_next_value(ws, "hdr", &at));) {
        struct sbuf b = sbuf_on(mem, sizeof mem - 1);
        bool found = false;
        struct slice last = SLICE_NONE;
        expand(w, v, &b);
        mem[b.n] = '\0';
        char *colon = strchr(mem, ':');
        struct slice name = slice_of(mem, colon ? (size_t)(colon - mem) : b.n);
        for (unsigned i = 0; i < m->header_count && !found; i++) {
            if (!slice_ieq(m->headers[i].name, name))
                continue;
            last = m->headers[i].value;
            found = !colon || slice_eq(last, slice_trim(slice_str(colon + 1)));
        }
        if (!found && last.p)
            different(w, mem, last, slice_trim(slice_str(colon + 1)).p);
        if (!found)
            fail(w, "it has no header %.*s", SLICE_FMT(name));
    }
    for (unsigned at = 0; (v = words_next_value(ws, "no", &at));)
        for (unsigned i = 0; i < m->header_count; i++)
            if (slice_ieq(m->headers[i].name, slice_str(v)))
                fail(w, "it has a header %s: %.*s", v, SLICE_FMT(m->headers[i].value));
    for (unsigned at = 0; (v = words_next_value(ws, "has", &at));) {
        struct sbuf b = sbuf_on(mem, sizeof mem - 1);
        expand(w, v, &b);
        mem[b.n] = '\0';
        if (!has_text(m->whole, mem))
            fail(w, "\"%s\" is not in it:\n%.*s", mem, SLICE_FMT(m->whole));
    }
}

static void check_lists(struct world *w, const struct sip_msg *m, struct words *ws) {
    static const struct {
        const char *key;
        enum sip_hdr_id id;
    } lists[] = { { "require", SIP_H_REQUIRE },
                  { "supported", SIP_H_SUPPORTED },
                  { "unsupported", SIP_H_UNSUPPORTED },
                  { "allow", SIP_H_ALLOW } };
    const char *v;
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
        for (unsigned at = 0; (v = words_next_value(ws, lists[i].key, &at));)
            if (!sip_list_has(m, lists[i].id, slice_str(v)))
                fail(w, "%s: %s is not listed", lists[i].key, v);
}

static void check_frag(struct world *w, const struct sip_msg *m, const char *status, const char *phrase) {
    bool none = strcmp(status, "none") == 0;
    must_be(w, "Content-Type", m->content_type, none ? "" : "message/sipfrag;version=2.0");
    if (none) {
        must_be(w, "the body", m->body, "");
        return;
    }
    if (!has_text(m->body, "SIP/2.0 "))
        fail(w, "its body is no status line");
    must_be(w, "the status told", slice_of(m->body.p + 8, 3), status);
    if (!slice_eq(slice_of(m->body.p + m->body.n - 2, 2), SL("\r\n")) || m->body.n < 14)
        fail(w, "the status line told is not whole");
    if (phrase)
        must_be(w, "the phrase told", slice_of(m->body.p + 12, slice_find(m->body, '\r') - 12u), phrase);
}

static void check_notify(struct world *w, const struct dialog_side *d, const struct sip_msg *m, struct words *ws) {
    const char *frag = words_value(ws, "frag"), *state = words_value(ws, "state"), *id = words_value(ws, "id");
    struct sip_event ev = { 0 };
    struct sip_sub_state s = { 0 };
    char mem[64];
    if (m->method != SIP_M_NOTIFY || !m->is_request)
        return;
    if (sip_event_parse(sip_hdr_value(m, SIP_H_EVENT), &ev) < 0 || !slice_eq(ev.package, SL("refer")))
        fail(w, "Event is not refer");
    snprintf(mem, sizeof mem, "%u", d->refer_cseq);
    must_be(w, "Event's id", ev.id, !id ? mem : strcmp(id, "none") == 0 ? "" : id);
    if (sip_sub_state_parse(sip_hdr_value(m, SIP_H_SUBSCRIPTION_STATE), &s) < 0)
        fail(w, "Subscription-State cannot be read");
    if (!frag || !state)
        fail(w, "say frag: and state: of a NOTIFY");
    check_frag(w, m, frag, words_value(ws, "phrase"));
    const char *reason = strchr(state, ',');
    must_be(w, "Subscription-State's reason", s.reason, reason ? reason + 1 : "");
    if (reason)
        copy_text(mem, sizeof mem, slice_of(state, (size_t)(reason - state)));
    must_be(w, "Subscription-State", s.state, reason ? mem : state);
    if (slice_eq(s.state, SL("active")) && s.expires <= 0)
        fail(w, "an active subscription without expires");
}

static void check_uris(struct world *w, const struct sip_msg *m, struct words *ws) {
    const char *from = words_value(ws, "from"), *to = words_value(ws, "to"), *ruri = words_value(ws, "ruri");
    char mem[TEXT_MAX];
    if (from)
        must_be(w, "the user of From", m->from.uri.user, phone_find(w, from) ? phone_find(w, from)->user : from);
    if (to)
        must_be(w, "the user of To", m->to.uri.user, phone_find(w, to) ? phone_find(w, to)->user : to);
    if (ruri) {
        struct sbuf b = sbuf_on(mem, sizeof mem - 1);
        expand(w, ruri, &b);
        mem[b.n] = '\0';
        must_be(w, "the Request-URI", m->ruri_text, mem);
    }
}

static void check_replaces(struct world *w, const struct sip_msg *m, struct words *ws) {
    const char *name = words_value(ws, "replaces");
    struct slice is = sip_hdr_value(m, SIP_H_REPLACES);
    char mem[TEXT_MAX];
    struct sbuf b = sbuf_on(mem, sizeof mem - 1);
    const char *raw = words_value(ws, "raw-replaces");
    if (raw) {
        must_be(w, "Replaces", is, raw);
        return;
    }
    if (!name) {
        if (is.p && m->is_request)
            fail(w, "it has Replaces: %.*s, and the script does not say so", SLICE_FMT(is));
        return;
    }
    if (name[0] && sip_hdr_first(m, SIP_H_REPLACES) &&
        sip_hdr_next(m, sip_hdr_first(m, SIP_H_REPLACES)))
        fail(w, "Replaces twice");
    if (strchr(name, ';')) {
        must_be(w, "Replaces", is, name);
        return;
    }
    const struct dialog_side *d = dialog_named(w, name);
    /* As the receiver knows its own dialog: to-tag is its own tag. */
    put(&b, "%s;to-tag=%s;from-tag=%s", d->call_id, own_tag(d), d->remote_tag);
    mem[b.n] = '\0';
    must_be(w, "Replaces", is, mem);
}

static void check_text(struct world *w, const struct sip_msg *m, struct words *ws) {
    const char *reason = words_value(ws, "reason"), *body = words_value(ws, "body"), *of = words_value(ws, "of");
    const char *mf = words_value(ws, "mf"), *cseq = words_value(ws, "cseq"), *tag = words_value(ws, "tag");
    check_lists(w, m, ws);
    if (reason)
        must_be(w, "the reason phrase", m->reason, reason);
    if (body)
        must_be(w, "the body", m->body, body);
    if (of)
        must_be(w, "the request answered", m->cseq_method_name, of);
    if (mf)
        must_be_number(w, "Max-Forwards", (uint64_t)m->max_forwards, mf);
    if (cseq)
        must_be_number(w, "CSeq", m->cseq, cseq);
    if (tag)
        must_be(w, "the To tag", m->to_tag, tag);
}

static void check(struct world *w, const struct dialog_side *d, const struct sip_msg *m, struct words *ws) {
    check_sdp(w, m, ws);
    check_uris(w, m, ws);
    check_replaces(w, m, ws);
    check_text(w, m, ws);
    check_notify(w, d, m, ws);
    check_headers(w, m, ws);
    words_end(w, ws);
}

/* ---- reading one */

static void match(struct world *w, const struct sip_msg *m, const char *what) {
    uint64_t status;
    if (parse_number(what, &status) ? m->is_request || m->status != status
                                    : !m->is_request || !slice_eq(m->method_name, slice_str(what)))
        fail(w, "that came (the last line above), expected %s:\n%.*s", what, SLICE_FMT(m->whole));
}

static void begin_incoming(struct world *w, struct dialog_side *d, const struct sip_msg *m) {
    dialog_reset(w, d);
    copy_text(d->call_id, sizeof d->call_id, m->call_id);
    copy_text(d->remote_tag, sizeof d->remote_tag, m->from_tag);
    snprintf(d->local_uri, sizeof d->local_uri, "<%.*s>", SLICE_FMT(m->to.uri.whole));
    snprintf(d->remote_uri, sizeof d->remote_uri, "<%.*s>", SLICE_FMT(m->from.uri.whole));
}

static void take_contact(struct dialog_side *d, const struct sip_msg *m) {
    struct sip_contact c;
    struct slice v = sip_hdr_value(m, SIP_H_CONTACT);
    if (v.p && sip_contact_parse(v, &c) >= 0 && !c.star)
        copy_text(d->target, sizeof d->target, c.addr.uri.whole);
}

static void take_refer_to(struct dialog_side *d, const struct sip_msg *m) {
    struct sip_nameaddr to;
    if (m->method != SIP_M_REFER || sip_nameaddr_parse(sip_hdr_value(m, SIP_H_REFER_TO), &to) < 0)
        return;
    struct slice uri = to.uri.whole;
    if (to.uri.headers.p)
        uri.n = (uint32_t)(to.uri.headers.p - 1 - uri.p);
    copy_text(d->refer_to, sizeof d->refer_to, uri);
}

/* RFC 7614: where a transfer can be subscribed to. */
static void take_events_at(struct dialog_side *d, const struct sip_msg *m) {
    struct sip_nameaddr at;
    for (unsigned i = 0; i < m->header_count; i++)
        if (slice_ieq(m->headers[i].name, SL("Refer-Events-At")) &&
            sip_nameaddr_parse(m->headers[i].value, &at) >= 0)
            copy_text(d->refer_to, sizeof d->refer_to, at.uri.whole);
}

static void read_request(struct world *w, struct dialog_side *d, const struct sip_msg *m) {
    bool known = d->phone->tagless && slice_eq(slice_str(d->call_id), m->call_id);
    if (!m->to_tag.p && !known && m->method != SIP_M_CANCEL && m->method != SIP_M_ACK)
        begin_incoming(w, d, m);
    rules_request(w, d, m);
    take_contact(d, m);
    take_refer_to(d, m);
    if (m->method != SIP_M_ACK)
        exchange_add(w, d->got, &d->got_count, m);
}

static struct exchange *exchange_of(struct dialog_side *d, const struct sip_msg *m) {
    for (unsigned i = d->sent_count; i-- > 0;)
        if (slice_eq(m->via.branch, slice_str(d->sent[i].branch)) && m->cseq_method == d->sent[i].method)
            return &d->sent[i];
    return NULL;
}

static void read_response(struct world *w, struct dialog_side *d, const struct sip_msg *m) {
    struct exchange *x = exchange_of(d, m);
    if (!x) {
        if (!slice_has_prefix(m->via.branch, SL("z9hG4bKraw")))
            fail(w, "it answers no request of this dialog:\n%.*s", SLICE_FMT(m->whole));
        return;
    }
    rules_response(w, d, m, x);
    x->last = m->status;
    if (m->status >= 200)
        x->status = m->status;
    copy_text(x->to_tag, sizeof x->to_tag, m->to_tag);
    take_events_at(d, m);
    bool by_event = m->method == SIP_M_REFER || m->method == SIP_M_SUBSCRIBE;
    bool makes = m->method == SIP_M_INVITE || (by_event && !d->remote_tag[0]);
    if (makes && m->status > 100 && m->status < 300) {
        copy_text(d->remote_tag, sizeof d->remote_tag, m->to_tag);
        take_contact(d, m);
    }
}

static void read_one(struct world *w, struct dialog_side *d, const char *what, bool copy, bool unread) {
    struct packet *p = packet_take(w, d->phone, d);
    if (!p) {
        for (p = d->phone->inbox; p; p = p->next)
            show(w, d->phone, true, slice_of(p->bytes, p->n), p->copy);
        fail(w, "nothing came, expected %s", what);
    }
    const struct sip_msg *m = parse(w, slice_of(p->bytes, p->n));
    w->stamp = p->at_us;
    show(w, d->phone, true, m->whole, p->copy);
    w->stamp = 0;
    match(w, m, what);
    if (p->copy != copy)
        fail(w, "it is %s copy of what was sent before:\n%.*s", copy ? "no" : "a", SLICE_FMT(m->whole));
    if (copy || unread)
        return;
    if (dialog_by_call_id(d->phone, m->call_id) || m->is_request) {
        if (m->is_request)
            read_request(w, d, m);
        else
            read_response(w, d, m);
    }
}

void expect(struct world *w, struct dialog_side *d, const char *what, struct words *ws) {
    unsigned again = words_count(w, ws, "again");
    bool unread = words_flag(ws, "unread");
    if (strcmp(what, "nothing") == 0) {
        words_end(w, ws);
        world_all_read(w);
        return;
    }
    for (unsigned i = 0; i < (again ? again : 1); i++)
        read_one(w, d, what, again > 0, unread);
    if (again)
        words_end(w, ws);
    else
        check(w, d, &parsed_now, ws);
}
