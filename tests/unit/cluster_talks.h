/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Phones that reach any engine of a cluster, and their talks: ALICE calls BOB, who asks CAROL and transfers. One world
 * at a time.
 */
#ifndef REFEREE_TESTS_CLUSTER_TALKS_H
#define REFEREE_TESTS_CLUSTER_TALKS_H

#include "tests/unit/cluster_rig.h"

#define SIDES 256
#define PENDING 64
#define TALKS 3

struct side {
    bool used, uac, up, ended;
    enum rig_name who;
    char call_id[80], tag[48], remote_tag[64], local[96], remote[96], target[160];
    unsigned cseq;
};

struct pending {
    bool used;
    struct side *s;
    char method[12], branch[40], text[4096];
    unsigned status;
    uint64_t sent, next, interval, until;
};

/* ALICE talks with BOB, who asks CAROL, and transfers. */
struct talk {
    struct side *a, *b, *c;   /* a: ALICE's, b: BOB's side of her call, c: BOB's call to CAROL */
    unsigned step;
    uint64_t since;
    unsigned refer_status, bye_status;
    bool told;                /* the final NOTIFY */
};

static struct cluster *w;
static struct side sides[SIDES];
static struct pending pending[PENDING];
static struct talk talks[TALKS];
static unsigned made, timeouts;
static uint64_t slowest; /* answer to a request in a dialog that is no INVITE */

/* ---- text ---- */

static inline void header(const char *text, const char *name, char *out, size_t cap) {
    char start[32];
    int n = snprintf(start, sizeof start, "\r\n%s: ", name);
    const char *at = strstr(text, start);
    out[0] = '\0';
    if (at)
        snprintf(out, cap, "%.*s", (int)strcspn(at + n, "\r"), at + n);
}

static inline void part(const char *value, const char *from, const char *ends, char *out, size_t cap) {
    const char *at = strstr(value, from);
    out[0] = '\0';
    if (at)
        snprintf(out, cap, "%.*s", (int)strcspn(at + strlen(from), ends), at + strlen(from));
}

static inline void tag_of(const char *text, const char *name, char *out, size_t cap) {
    char value[256];
    header(text, name, value, sizeof value);
    part(value, ";tag=", ";\r", out, cap);
}

static inline struct side *side_new(enum rig_name who) {
    for (unsigned i = 0; i < SIDES; i++)
        if (!sides[i].used) {
            sides[i] = (struct side){ .used = true, .who = who, .cseq = 100 };
            snprintf(sides[i].tag, sizeof sides[i].tag, "%s%u", rig_names[who], ++made);
            return &sides[i];
        }
    CHECK(!"room for sides");
    return NULL;
}

static inline struct side *side_find(const char *call_id, const char *tag, const char *remote_tag) {
    for (unsigned i = 0; i < SIDES; i++) {
        struct side *s = &sides[i];
        if (s->used && !strcmp(s->call_id, call_id) && (!tag[0] || !strcmp(s->tag, tag)) &&
            (tag[0] || !strcmp(s->remote_tag, remote_tag)))
            return s;
    }
    return NULL;
}

/* ---- requests of phones ---- */

static inline void request(struct side *s, const char *method, const char *headers, const char *sdp) {
    struct addr from = rig_phone(s->who);
    struct pending *p = NULL;
    bool ack = !strcmp(method, "ACK");
    char text[4096], branch[40];
    for (unsigned i = 0; i < PENDING && !p; i++)
        p = pending[i].used ? NULL : &pending[i];
    CHECK(p);
    s->cseq += !ack;
    snprintf(branch, sizeof branch, "z9hG4bK%u-%s", ++made, method);
    snprintf(text, sizeof text,
             "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.%u:5060;branch=%s\r\nFrom: <%s>;tag=%s\r\nTo: <%s>%s%s\r\n"
             "Call-ID: %s\r\nCSeq: %u %s\r\nMax-Forwards: 70\r\nContact: <sip:%s@192.0.2.%u>\r\n%s",
             method, s->target, from.ip[3], branch, s->local, s->tag, s->remote, s->remote_tag[0] ? ";tag=" : "",
             s->remote_tag, s->call_id, s->cseq, method, rig_names[s->who], from.ip[3], headers);
    rig_put_body(text, sizeof text, sdp);
    cluster_send(w, &from, text);
    if (ack)
        return;
    *p = (struct pending){ .used = true, .s = s, .sent = w->now, .next = w->now + 500000, .interval = 500000,
                           .until = w->now + 32000000 };
    snprintf(p->method, sizeof p->method, "%s", method);
    snprintf(p->branch, sizeof p->branch, "%s", branch);
    memcpy(p->text, text, sizeof text);
}

static inline struct side *call(enum rig_name from, enum rig_name to) {
    struct side *s = side_new(from);
    s->uac = true;
    snprintf(s->call_id, sizeof s->call_id, "call%u@192.0.2.%u", made, rig_phone(from).ip[3]);
    snprintf(s->local, sizeof s->local, "sip:%s@192.0.2.1", rig_names[from]);
    snprintf(s->remote, sizeof s->remote, "sip:%s@192.0.2.1", rig_names[to]);
    snprintf(s->target, sizeof s->target, "sip:%s@192.0.2.1", rig_names[to]);
    request(s, "INVITE", "Supported: replaces\r\n", rig_sdp("0", "sendrecv", 40000));
    return s;
}

static inline void retransmit(void) {
    for (unsigned i = 0; i < PENDING; i++) {
        struct pending *p = &pending[i];
        struct addr from;
        if (!p->used || w->now < p->next)
            continue;
        if (w->now >= p->until) {
            timeouts++;
            p->used = false;
            continue;
        }
        from = rig_phone(p->s->who);
        cluster_send(w, &from, p->text);
        p->interval = p->interval < 4000000 ? p->interval * 2 : 4000000;
        p->next = w->now + p->interval;
    }
}

/* ---- what phones get ---- */

static inline struct talk *talk_of(const struct side *s) {
    for (unsigned i = 0; i < TALKS; i++)
        if (talks[i].a == s || talks[i].b == s || talks[i].c == s)
            return &talks[i];
    return NULL;
}

static inline void acknowledge(struct side *s, const char *cseq) {
    unsigned was = s->cseq;
    s->cseq = (unsigned)strtoul(cseq, NULL, 10);
    request(s, "ACK", "", "");
    s->cseq = was;
}

static inline void on_response(char *text) {
    char branch[64], via[256], value[256];
    unsigned status = (unsigned)strtoul(text + 8, NULL, 10);
    header(text, "Via", via, sizeof via);
    part(via, "branch=", ";\r", branch, sizeof branch);
    for (unsigned i = 0; i < PENDING; i++) {
        struct pending *p = &pending[i];
        if (!p->used || strcmp(p->branch, branch) != 0)
            continue;
        if (status < 200) {
            p->next = p->until; /* an INVITE that was heard; others are repeated on purpose */
            if (strcmp(p->method, "INVITE") != 0)
                p->next = w->now + 4000000;
            return;
        }
        p->used = false;
        if (strcmp(p->method, "INVITE") != 0 && w->now - p->sent > slowest)
            slowest = w->now - p->sent;
        struct talk *t = talk_of(p->s);
        if (!strcmp(p->method, "REFER") && t)
            t->refer_status = status;
        if (!strcmp(p->method, "BYE") && t && p->s == t->a)
            t->bye_status = status;
        if (!strcmp(p->method, "INVITE") && status < 300) {
            tag_of(text, "To", p->s->remote_tag, sizeof p->s->remote_tag);
            header(text, "Contact", value, sizeof value);
            part(value, "<", ">", p->s->target, sizeof p->s->target);
            p->s->up = true;
        }
        p->s->ended |= !strcmp(p->method, "BYE") || (!strcmp(p->method, "INVITE") && status >= 300);
    }
    header(text, "CSeq", value, sizeof value);
    char call_id[80], tag[48];
    header(text, "Call-ID", call_id, sizeof call_id);
    tag_of(text, "From", tag, sizeof tag);
    struct side *s = side_find(call_id, tag, "");
    if (s && strstr(value, "INVITE") && status >= 200 && status < 300)
        acknowledge(s, value);
}

static inline void respond(const struct side *s, enum rig_name who, const char *req, unsigned status, const char *sdp) {
    static const char *const copied[] = { "Via", "From", "Call-ID", "CSeq" };
    struct addr from = rig_phone(who);
    char text[4096], value[512];
    int n = snprintf(text, sizeof text, "SIP/2.0 %u Said\r\n", status);
    for (unsigned i = 0; i < 4; i++) {
        header(req, copied[i], value, sizeof value);
        n += snprintf(text + n, sizeof text - (size_t)n, "%s: %s\r\n", copied[i], value);
    }
    header(req, "To", value, sizeof value);
    bool tagged = strstr(value, ";tag=") != NULL;
    snprintf(text + n, sizeof text - (size_t)n, "To: %s%s%s\r\nContact: <sip:%s@192.0.2.%u>\r\nSupported: replaces\r\n",
             value, tagged || !s ? "" : ";tag=", tagged || !s ? "" : s->tag, rig_names[who], from.ip[3]);
    rig_put_body(text, sizeof text, sdp);
    cluster_send(w, &from, text);
}

/* CAROL ends what was replaced. */
static inline void replaced(const char *text) {
    char value[256], call_id[80], tag[48];
    header(text, "Replaces", value, sizeof value);
    snprintf(call_id, sizeof call_id, "%.*s", (int)strcspn(value, ";"), value);
    part(value, "to-tag=", ";", tag, sizeof tag);
    struct side *old = value[0] ? side_find(call_id, tag, "") : NULL;
    if (old && !old->ended) {
        old->ended = true;
        request(old, "BYE", "", "");
    }
}

static inline void on_invite(enum rig_name who, const char *text, const char *call_id, const char *to_tag,
                      const char *from_tag) {
    char value[256];
    struct side *s = side_find(call_id, to_tag, from_tag);
    bool first = !s && !to_tag[0];
    if (first) {
        s = side_new(who);
        snprintf(s->call_id, sizeof s->call_id, "%s", call_id);
        snprintf(s->remote_tag, sizeof s->remote_tag, "%s", from_tag);
        header(text, "To", value, sizeof value);
        part(value, "<", ">", s->local, sizeof s->local);
        header(text, "From", value, sizeof value);
        part(value, "<", ">", s->remote, sizeof s->remote);
        header(text, "Contact", value, sizeof value);
        part(value, "<", ">", s->target, sizeof s->target);
    }
    if (!s || (s->ended && !first)) {
        respond(s, who, text, 481, "");
        return;
    }
    respond(s, who, text, 200, rig_sdp("0", "sendrecv", 41000));
    if (first)
        replaced(text);
}

static inline void at_phone(struct cluster *cluster, const struct addr *phone, char *text) {
    char call_id[80], to_tag[64], from_tag[64];
    enum rig_name who = phone->ip[3] == 10 ? ALICE : phone->ip[3] == 20 ? BOB : CAROL;
    (void)cluster;
    if (!strncmp(text, "SIP/2.0", 7)) {
        on_response(text);
        return;
    }
    header(text, "Call-ID", call_id, sizeof call_id);
    tag_of(text, "To", to_tag, sizeof to_tag);
    tag_of(text, "From", from_tag, sizeof from_tag);
    struct side *s = side_find(call_id, to_tag, from_tag);
    if (!strncmp(text, "ACK", 3)) {
        if (s)
            s->up = true;
        return;
    }
    if (!strncmp(text, "INVITE", 6)) {
        on_invite(who, text, call_id, to_tag, from_tag);
        return;
    }
    if (!strncmp(text, "BYE", 3) && s)
        s->ended = true;
    struct talk *t = s ? talk_of(s) : NULL;
    if (!strncmp(text, "NOTIFY", 6) && t && strstr(text, "terminated"))
        t->told = true;
    respond(s, who, text, s ? 200 : 481, "");
}

/* ---- the talks ---- */

static inline struct side *other_side(enum rig_name who) {
    for (unsigned i = SIDES; i-- > 0;)
        if (sides[i].used && !sides[i].uac && sides[i].who == who && sides[i].up && !sides[i].ended &&
            !talk_of(&sides[i]))
            return &sides[i];
    return NULL;
}

static inline void refer(struct talk *t) {
    char h[512];
    snprintf(h, sizeof h, "Refer-To: <sip:carol@192.0.2.1?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\r\n",
             t->c->call_id, t->c->remote_tag, t->c->tag);
    request(t->b, "REFER", h, "");
}

static inline void go(struct talk *t, unsigned step) {
    t->step = step;
    t->since = w->now;
}

static inline bool waited(const struct talk *t, uint64_t us) {
    return w->now - t->since > us;
}

static inline void talk_on(struct talk *t) {
    switch (t->step) {
    case 1: /* ALICE calls */
        if (t->a->up && (t->b = other_side(BOB)))
            go(t, 2);
        break;
    case 2:
        if (waited(t, 300000)) {
            t->c = call(BOB, CAROL);
            go(t, 3);
        }
        break;
    case 3:
        if (t->c->up && waited(t, 300000)) {
            refer(t);
            go(t, 4);
        }
        break;
    case 4:
        if ((t->refer_status && t->told) || waited(t, 40000000))
            go(t, 5);
        break;
    case 5:
        if (!waited(t, 1000000))
            break;
        if (t->a->up && !t->a->ended)
            request(t->a, "BYE", "", "");
        go(t, 6);
        break;
    default: break;
    }
    if (t->step >= 1 && t->step < 4 && waited(t, 60000000))
        go(t, 5);
}

static inline void run(uint64_t us) {
    for (uint64_t end = w->now + us; w->now < end;) {
        cluster_run(w, 5 * CLUSTER_MS);
        retransmit();
        for (unsigned i = 0; i < TALKS; i++)
            talk_on(&talks[i]);
    }
}

static inline void begin(unsigned n, uint64_t seed) {
    memset(sides, 0, sizeof sides);
    memset(pending, 0, sizeof pending);
    memset(talks, 0, sizeof talks);
    made = timeouts = 0;
    slowest = 0;
    w = cluster_new(n, seed);
    w->at_phone = at_phone;
    run(4000000);
}

static inline bool talking(void) {
    for (unsigned i = 0; i < TALKS; i++)
        if (talks[i].step && talks[i].step < 6)
            return true;
    return false;
}

static inline unsigned calls_left(void) {
    unsigned n = 0;
    struct engine_census c;
    for (unsigned i = 0; i < w->n; i++)
        if (w->c[i].e) {
            engine_census(w->c[i].e, &c);
            n += c.calls;
        }
    return n;
}

/* Who still believes to talk hangs up, and must be heard. */
static inline void hang_up_all(void) {
    for (unsigned i = 0; i < SIDES; i++)
        if (sides[i].used && sides[i].up && !sides[i].ended) {
            sides[i].ended = true;
            request(&sides[i], "BYE", "", "");
        }
}

static inline void start_talk(unsigned i) {
    talks[i].a = call(ALICE, BOB);
    go(&talks[i], 1);
}

static inline unsigned completed(void) {
    unsigned n = 0;
    for (unsigned i = 0; i < w->n; i++)
        if (w->c[i].e)
            n += (unsigned)metrics_get(engine_metrics(w->c[i].e), M_transfers_done);
    return n;
}

#endif
