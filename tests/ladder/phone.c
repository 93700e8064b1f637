/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Phones: plain user agents that do what the script says and nothing by themselves. */
#include "parser/sip_write.h"
#include "tests/ladder/ladder.h"

#include <stdio.h>
#include <stdlib.h>

struct phone *phone_find(struct world *w, const char *name) {
    for (unsigned i = 0; i < w->phone_count; i++)
        if (strcmp(w->phones[i].name, name) == 0)
            return &w->phones[i];
    return NULL;
}

static void dialog_clear(struct world *w, struct dialog_side *d) {
    struct phone *p = d->phone;
    char name[NAME_MAX_LEN];
    copy_text(name, sizeof name, slice_str(d->name));
    for (unsigned i = 0; i < d->sent_count; i++)
        free(d->sent[i].bytes);
    for (unsigned i = 0; i < d->got_count; i++)
        free(d->got[i].bytes);
    memset(d, 0, sizeof *d);
    copy_text(d->name, sizeof d->name, slice_str(name));
    d->phone = p;
    d->own.media = p->media;
    d->own.media.port = (uint16_t)(p->media.port + 2 * (d - p->dialogs));
    snprintf(d->tags[0], sizeof d->tags[0], "%s%u", p->name, ++w->serial);
    if (p->tagless)
        copy_text(d->tags[0], sizeof d->tags[0], SL("0")); /* as Replaces names it */
    d->tag_count = 1;
}

/* A new dialog under an old name. */
void dialog_reset(struct world *w, struct dialog_side *d) {
    dialog_clear(w, d);
}

struct dialog_side *dialog_named(struct world *w, const char *name) {
    char phone[NAME_MAX_LEN];
    const char *dot = strchr(name, '.');
    copy_text(phone, sizeof phone, slice_of(name, dot ? (size_t)(dot - name) : strlen(name)));
    struct phone *p = phone_find(w, phone);
    if (!p)
        fail(w, "there is no phone %s", phone);
    const char *own = dot ? dot + 1 : "";
    for (unsigned i = 0; i < p->dialog_count; i++)
        if (strcmp(p->dialogs[i].name, own) == 0)
            return &p->dialogs[i];
    if (p->dialog_count == DIALOGS_MAX)
        fail(w, "too many dialogs of %s", phone);
    struct dialog_side *d = &p->dialogs[p->dialog_count++];
    d->phone = p;
    copy_text(d->name, sizeof d->name, slice_str(own));
    dialog_clear(w, d);
    return d;
}

struct dialog_side *dialog_by_call_id(struct phone *p, struct slice call_id) {
    for (unsigned i = 0; i < p->dialog_count; i++)
        if (slice_eq(slice_str(p->dialogs[i].call_id), call_id))
            return &p->dialogs[i];
    return NULL;
}

const char *own_tag(const struct dialog_side *d) {
    return d->tags[d->tag_count - 1];
}

/* As this side's peer knows the dialog (RFC 3891 section 3): to-tag is the peer's own, from-tag ours. */
void replaces_of(const struct dialog_side *d, struct sbuf *out) {
    put(out, "%s;to-tag=%s;from-tag=%s", d->call_id, d->remote_tag, own_tag(d));
}

struct exchange *exchange_add(struct world *w, struct exchange *list, unsigned *count, const struct sip_msg *m) {
    if (*count == OPEN_MAX) {
        free(list[0].bytes);
        memmove(list, list + 1, (OPEN_MAX - 1) * sizeof *list);
        --*count;
    }
    struct exchange *x = &list[(*count)++];
    *x = (struct exchange){ .method = m->method, .cseq = m->cseq, .n = m->whole.n, .offer = m->body.n > 0 };
    copy_text(x->branch, sizeof x->branch, m->via.branch);
    x->bytes = malloc(m->whole.n + 1);
    if (!x->bytes)
        fail(w, "no memory");
    memcpy(x->bytes, m->whole.p, m->whole.n);
    return x;
}

static const struct sip_msg *parsed(struct world *w, struct slice bytes) {
    static struct sip_msg m;
    struct sip_fault f;
    if (sip_parse(bytes, &m, &f) < 0)
        fail(w, "this is not SIP: %s at byte %u\n%.*s", sip_error_text(f.error), f.offset, SLICE_FMT(bytes));
    return &m;
}

static void emit(struct world *w, struct dialog_side *d, struct slice bytes, struct words *ws) {
    const char *from = words_value(ws, "from");
    unsigned times = words_count(w, ws, "dup") + 1;
    bool lost = words_flag(ws, "lost");
    struct addr src = d->phone->addr;
    if (from && !addr_parse(slice_str(from), 5060, &src))
        fail(w, "from:%s is no address", from);
    words_end(w, ws);
    for (unsigned i = 0; i < times; i++) {
        show(w, d->phone, false, bytes, i > 0);
        if (lost)
            say(w, "  ... is lost");
        else
            world_send(w, &src, bytes.p, bytes.n);
    }
}

/* ---- requests */

static struct exchange *last_sent(struct dialog_side *d, enum sip_method method) {
    for (unsigned i = d->sent_count; i-- > 0;)
        if (d->sent[i].method == method)
            return &d->sent[i];
    return NULL;
}

static void put_extra(struct world *w, struct words *ws, struct sbuf *out) {
    const char *v;
    for (unsigned at = 0; (v = words_next_value(ws, "hdr", &at));) {
        expand(w, v, out);
        sbuf_lit(out, "\r\n");
    }
    if ((v = words_value(ws, "replaces"))) {
        sbuf_lit(out, "Replaces: ");
        replaces_of(dialog_named(w, v), out);
        sbuf_lit(out, "\r\n");
    }
}

/* refer-to:C   refer-to:C+B.consult (with Replaces)   refer-to:"<sip:...>" */
static void put_refer_to(struct world *w, struct words *ws, struct sbuf *out) {
    const char *v = words_value(ws, "refer-to");
    char name[TEXT_MAX];
    if (!v)
        return;
    const char *plus = strchr(v, '+');
    copy_text(name, sizeof name, slice_of(v, plus ? (size_t)(plus - v) : strlen(v)));
    if (!phone_find(w, name)) {
        sbuf_lit(out, "Refer-To: ");
        expand(w, v, out);
        sbuf_lit(out, "\r\n");
        return;
    }
    put(out, "Refer-To: <sip:%s@", phone_find(w, name)->user);
    addr_put_host(out, &w->cfg.sip_addr);
    if (plus) {
        char field[TEXT_MAX];
        snprintf(field, sizeof field, "?Replaces={%s:replaces}", plus + 1);
        expand(w, field, out);
    }
    sbuf_lit(out, ">\r\n");
}

/* The description asked for, or a body: text of any type. */
static void put_content(struct world *w, struct dialog_side *d, struct words *ws, struct sbuf *out) {
    char mem[SDP_TEXT_MAX];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    const char *sdp = words_value(ws, "sdp"), *body = words_value(ws, "body"), *type = words_value(ws, "type");
    if (sdp && strcmp(sdp, "none") != 0)
        sdp_make(w, d, sdp, &b);
    if (body)
        expand(w, body, &b);
    sip_put_body(out, type ? slice_str(type) : sdp ? SL("application/sdp") : body ? SL("text/plain") : SLICE_NONE,
                 sbuf_slice(&b));
}

/* Who is called: a phone's name, a URI, or a number of ours. NULL: within the dialog. */
static const char *take_target(struct world *w, struct words *ws, char *mem, size_t cap) {
    struct sbuf b = sbuf_on(mem, cap - 1);
    const char *word = ws->n > 3 ? ws->w[3] : "";
    bool uri = strncmp(word, "sip:", 4) == 0 || strncmp(word, "sips:", 5) == 0 || strncmp(word, "tel:", 4) == 0 ||
               strncmp(word, "uri:", 4) == 0 || word[0] == '{';
    if (!phone_find(w, word) && !uri && (word[0] < '0' || word[0] > '9'))
        return NULL;
    ws->used[3] = true;
    if (uri) {
        expand(w, word + (strncmp(word, "uri:", 4) == 0 ? 4 : 0), &b);
    } else {
        put(&b, "sip:%s@", phone_find(w, word) ? phone_find(w, word)->user : word);
        addr_put_host(&b, &w->cfg.sip_addr);
    }
    mem[b.n] = '\0';
    return mem;
}

static void begin_dialog(struct world *w, struct dialog_side *d, const char *target) {
    dialog_clear(w, d);
    struct sbuf b = sbuf_on(d->local_uri, sizeof d->local_uri - 1);
    put(&b, "<sip:%s@", d->phone->user);
    addr_put_host(&b, &w->cfg.sip_addr);
    sbuf_char(&b, '>');
    b = sbuf_on(d->remote_uri, sizeof d->remote_uri - 1);
    put(&b, "<%s>", target);
    copy_text(d->target, sizeof d->target, slice_str(target));
    snprintf(d->call_id, sizeof d->call_id, "%s-%u@phone", d->phone->name, ++w->serial);
}

/* ACK and CANCEL take over from their INVITE: the last one, or that of cseq. */
static const struct exchange *invite_of(struct world *w, struct dialog_side *d, enum sip_method method,
                                        const char *cseq) {
    uint64_t number;
    if (method != SIP_M_ACK && method != SIP_M_CANCEL)
        return NULL;
    const struct exchange *x = last_sent(d, SIP_M_INVITE);
    for (unsigned i = 0; cseq && parse_number(cseq, &number) && i < d->sent_count; i++)
        if (d->sent[i].method == SIP_M_INVITE && d->sent[i].cseq == number)
            x = &d->sent[i];
    if (!x)
        fail(w, "no INVITE was sent before");
    return x;
}

struct request {
    struct slice method;
    const char *uri, *remote_tag;
    char branch[80];
    uint32_t cseq;
    char remote_mem[TEXT_MAX / 8];
};

/* CANCEL and the ACK to a refusal: Request-URI and To as in the INVITE, but the refusal's To tag in the ACK (RFC 3261
 * sections 9.1, 17.1.1.3). */
static void like_invite(struct world *w, const struct exchange *invite, struct request *r, char *uri, size_t cap) {
    const struct sip_msg *m = parsed(w, slice_of(invite->bytes, invite->n));
    copy_text(uri, cap, m->ruri_text);
    copy_text(r->remote_mem, sizeof r->remote_mem,
              slice_eq(r->method, SL("CANCEL")) ? m->to_tag : slice_str(invite->to_tag));
    r->remote_tag = r->remote_mem;
}

static void put_request(struct world *w, struct dialog_side *d, struct words *ws, const struct request *r,
                        struct sbuf *out) {
    const char *mf = words_value(ws, "mf"), *contact = words_value(ws, "contact"), *no;
    bool no_supported = false;
    for (unsigned at = 0; (no = words_next_value(ws, "no", &at));)
        no_supported = no_supported || strcmp(no, "Supported") == 0;
    sip_put_request(out, r->method, slice_str(r->uri));
    sbuf_lit(out, "Via: SIP/2.0/UDP ");
    addr_put(out, &d->phone->addr);
    put(out, ";branch=%s;rport\r\n", r->branch);
    if (!mf || strcmp(mf, "none") != 0)
        put(out, "Max-Forwards: %s\r\n", mf ? mf : "70");
    put(out, d->phone->tagless ? "From: %s\r\n" : "From: %s;tag=%s\r\n", d->local_uri, own_tag(d));
    put(out, "To: %s", d->remote_uri);
    put(out, r->remote_tag[0] ? ";tag=%s\r\n" : "%s\r\n", r->remote_tag);
    put(out, "Call-ID: %s\r\nCSeq: %u %.*s\r\n", d->call_id, r->cseq, SLICE_FMT(r->method));
    if (contact) {
        sbuf_lit(out, "Contact: ");
        expand(w, contact, out);
        sbuf_lit(out, "\r\n");
    } else if (!slice_eq(r->method, SL("ACK")) && !slice_eq(r->method, SL("CANCEL")) &&
               !slice_eq(r->method, SL("BYE"))) {
        put(out, "Contact: <sip:%s@", d->phone->user);
        addr_put(out, &d->phone->addr);
        sbuf_lit(out, ">\r\n");
    }
    if (!no_supported && d->phone->supported[0])
        put(out, "Supported: %s\r\n", d->phone->supported);
    if (slice_eq(r->method, SL("INVITE")))
        put(out, "Allow: %s\r\n", d->phone->allow);
    sbuf_lit(out, "User-Agent: ladder\r\n");
}

static void note_sent(struct world *w, struct dialog_side *d, struct slice bytes) {
    const struct sip_msg *m = parsed(w, bytes);
    if (m->method == SIP_M_ACK) {
        if (m->body.n)
            d->offer_theirs = false;
        return;
    }
    exchange_add(w, d->sent, &d->sent_count, m);
    if (m->method == SIP_M_PRACK && m->body.n && d->offer_theirs)
        d->offer_theirs = false;
    else if ((m->method == SIP_M_INVITE || m->method == SIP_M_UPDATE || m->method == SIP_M_PRACK) && m->body.n)
        d->offer_ours = true;
    if (m->method == SIP_M_REFER)
        d->refer_cseq = m->cseq;
}

static void send_request(struct world *w, struct dialog_side *d, const char *method, struct words *ws) {
    static char mem[MESSAGE_MAX];
    char target[TEXT_MAX];
    struct sbuf out = sbuf_on(mem, sizeof mem);
    struct request r = { .method = slice_str(method) };
    const char *cseq = words_value(ws, "cseq");
    const struct exchange *invite = invite_of(w, d, sip_method_of(r.method), cseq);
    const char *to = invite ? NULL : take_target(w, ws, target, sizeof target);
    const char *ruri = words_value(ws, "ruri"), *branch = words_value(ws, "branch");
    uint64_t number;
    if (to)
        begin_dialog(w, d, target);
    const char *call_id = words_value(ws, "call-id");
    if (to && call_id)
        copy_text(d->call_id, sizeof d->call_id, slice_str(call_id));
    if (to && slice_eq(r.method, SL("REGISTER")))
        copy_text(d->remote_uri, sizeof d->remote_uri, slice_str(d->local_uri));
    if (!d->call_id[0])
        fail(w, "%s has no such dialog; for a new one say who is called", d->phone->name);
    r.cseq = invite ? invite->cseq : d->cseq + 1;
    if (cseq && parse_number(cseq, &number))
        r.cseq = (uint32_t)number;
    d->cseq = r.cseq > d->cseq && !invite ? r.cseq : d->cseq;
    bool same = invite && !(sip_method_of(r.method) == SIP_M_ACK && invite->status < 300);
    r.uri = ruri ? ruri : same ? target : d->target;
    r.remote_tag = d->remote_tag;
    if (same)
        like_invite(w, invite, &r, target, sizeof target);
    snprintf(r.branch, sizeof r.branch, "z9hG4bK%s%u", d->phone->name, ++w->serial);
    if (branch || same)
        copy_text(r.branch, sizeof r.branch, slice_str(branch ? branch : invite->branch));
    put_request(w, d, ws, &r, &out);
    put_refer_to(w, ws, &out);
    put_extra(w, ws, &out);
    put_content(w, d, ws, &out);
    if (out.overflow)
        fail(w, "the message is too long");
    note_sent(w, d, sbuf_slice(&out));
    emit(w, d, sbuf_slice(&out), ws);
}

/* The last request or final answer once more; with branch: on another way through the network. */
static void send_again(struct world *w, struct dialog_side *d, struct words *ws, unsigned times) {
    const char *branch = words_value(ws, "branch"), *of = words_value(ws, "of");
    const struct exchange *x =
        of ? last_sent(d, sip_method_of(slice_str(of))) : d->sent_count ? &d->sent[d->sent_count - 1] : NULL;
    char mem[MESSAGE_MAX];
    if (!x)
        fail(w, "nothing was sent before");
    struct slice bytes = slice_of(x->bytes, x->n);
    if (branch) {
        struct slice old = parsed(w, bytes)->via.branch;
        struct sbuf b = sbuf_on(mem, sizeof mem);
        sbuf_put(&b, slice_of(bytes.p, (size_t)(old.p - bytes.p)));
        put(&b, "%s", branch);
        sbuf_put(&b, slice_of(old.p + old.n, (size_t)(bytes.p + bytes.n - old.p - old.n)));
        bytes = sbuf_slice(&b);
    }
    words_end(w, ws);
    for (unsigned i = 0; i < times; i++) {
        show(w, d->phone, false, bytes, true);
        world_send(w, &d->phone->addr, bytes.p, bytes.n);
    }
}

/* ---- responses */

static struct exchange *to_answer(struct world *w, struct dialog_side *d, struct words *ws) {
    const char *of = words_value(ws, "of"), *cseq = words_value(ws, "cseq");
    for (unsigned i = d->got_count; i-- > 0;) {
        struct exchange *x = &d->got[i];
        if (cseq && strtoul(cseq, NULL, 10) != x->cseq)
            continue;
        if (of ? x->method == sip_method_of(slice_str(of)) : !x->status)
            return x;
    }
    fail(w, "%s has nothing to answer%s%s", d->phone->name, of ? " of " : "", of ? of : "");
}

static void note_answer(struct dialog_side *d, struct exchange *x, uint16_t status, bool sdp) {
    bool invite = x->method == SIP_M_INVITE || x->method == SIP_M_UPDATE;
    x->last = status;
    if (status >= 200)
        x->status = status;
    if (!invite)
        return;
    if (x->offer && (status >= 200 || (sdp && status > 100)))
        d->offer_theirs = false;
    if (!x->offer && sdp)
        d->offer_ours = true;
}

static void use_tag(struct world *w, struct dialog_side *d, const char *tag) {
    for (unsigned i = 0; tag && i < d->tag_count; i++) {
        char swap[sizeof d->tags[0]];
        if (strcmp(d->tags[i], tag) != 0)
            continue;
        memcpy(swap, d->tags[i], sizeof swap);
        memcpy(d->tags[i], d->tags[d->tag_count - 1], sizeof swap);
        memcpy(d->tags[d->tag_count - 1], swap, sizeof swap);
        uint32_t cseq = d->their_cseq[i];
        d->their_cseq[i] = d->their_cseq[d->tag_count - 1];
        d->their_cseq[d->tag_count - 1] = cseq;
        return;
    }
    if (!tag)
        return;
    if (d->tag_count == TAGS_MAX)
        fail(w, "too many tags");
    d->their_cseq[d->tag_count] = d->their_cseq[0];
    copy_text(d->tags[d->tag_count++], sizeof d->tags[0], slice_str(tag));
}

static void send_response(struct world *w, struct dialog_side *d, uint16_t status, struct words *ws) {
    static char mem[MESSAGE_MAX];
    struct sbuf out = sbuf_on(mem, sizeof mem);
    struct exchange *x = to_answer(w, d, ws);
    const struct sip_msg *m = parsed(w, slice_of(x->bytes, x->n));
    const char *reason = words_value(ws, "reason"), *sdp = words_value(ws, "sdp"), *no = words_value(ws, "no");
    use_tag(w, d, words_value(ws, "tag"));
    sip_put_status(&out, status, reason ? slice_str(reason) : SLICE_NONE);
    sip_put_copy(&out, m, SIP_H_VIA);
    sip_put_copy(&out, m, SIP_H_RECORD_ROUTE);
    sip_put_copy(&out, m, SIP_H_FROM);
    put(&out, "To: %.*s", SLICE_FMT(m->to.value));
    put(&out, m->to_tag.p || status == 100 || d->phone->tagless ? "\r\n" : ";tag=%s\r\n", own_tag(d));
    sip_put_copy(&out, m, SIP_H_CALL_ID);
    sip_put_copy(&out, m, SIP_H_CSEQ);
    if (status > 100 && status < 300 && m->method != SIP_M_BYE) {
        put(&out, "Contact: <sip:%s@", d->phone->user);
        addr_put(&out, &d->phone->addr);
        sbuf_lit(&out, ">\r\n");
        if (!no || strcmp(no, "Supported") != 0)
            put(&out, "Supported: %s\r\nAllow: %s\r\n", d->phone->supported, d->phone->allow);
    }
    put_extra(w, ws, &out);
    note_answer(d, x, status, sdp && strcmp(sdp, "none") != 0);
    put_content(w, d, ws, &out);
    emit(w, d, sbuf_slice(&out), ws);
}

void phone_send(struct world *w, struct dialog_side *d, const char *what, struct words *ws) {
    uint64_t status;
    unsigned again = words_count(w, ws, "again");
    world_all_read(w);
    if (again)
        send_again(w, d, ws, again);
    else if (parse_number(what, &status))
        send_response(w, d, (uint16_t)status, ws);
    else
        send_request(w, d, what, ws);
}

void phone_register(struct world *w, struct phone *p) {
    char name[NAME_MAX_LEN * 2], line[TEXT_MAX];
    static struct words ws;
    snprintf(name, sizeof name, "%s.registration", p->name);
    snprintf(line, sizeof line, "%s > REGISTER sip:198.51.100.10 \"hdr:Expires: 3600\"", name);
    words_split(w, line, &ws);
    ws.used[0] = ws.used[1] = ws.used[2] = true;
    struct dialog_side *d = dialog_named(w, name);
    phone_send(w, d, "REGISTER", &ws);
    words_split(w, "x < 200", &ws);
    ws.used[0] = ws.used[1] = ws.used[2] = true;
    expect(w, d, "200", &ws);
}
