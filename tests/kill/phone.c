/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Phones as RFC 3261 has them: requests are repeated until they are answered, answers until they are acknowledged. */
#include "tests/kill/kill.h"

#include "core/b2b/record.h"

#include <stdarg.h>

void wrong(const char *format, ...) {
    va_list args;
    if (K.p.wrong[0])
        return;
    va_start(args, format);
    vsnprintf(K.p.wrong, sizeof K.p.wrong, format, args);
    va_end(args);
}

const char *supported(enum rig_name who) {
    return who == CAROL && K.flow->no_replaces ? "" : "Supported: replaces\r\n";
}

struct side *side_new(enum rig_name who) {
    for (unsigned i = 0; i < SIDES_MAX; i++) {
        struct side *s = &K.p.sides[i];
        if (s->used)
            continue;
        *s = (struct side){ .used = true, .who = who, .cseq = 100, .port = (uint16_t)(40000 + 2 * i) };
        snprintf(s->dir, sizeof s->dir, "sendrecv");
        snprintf(s->tag, sizeof s->tag, "%s%u", rig_names[who], ++K.p.made);
        return s;
    }
    CHECK(!"room for dialogs");
    return NULL;
}

/* tag "": by the other side's. */
struct side *side_find(const char *call_id, const char *tag, const char *remote_tag) {
    for (unsigned i = 0; i < SIDES_MAX; i++) {
        struct side *s = &K.p.sides[i];
        bool same = tag[0] ? !strcmp(s->tag, tag) : !strcmp(s->remote_tag, remote_tag);
        if (s->used && same && !strcmp(s->call_id, call_id))
            return s;
    }
    return NULL;
}

/* ---- sessions ---- */

const char *sdp_of(struct side *s, const char *dir) {
    static char text[512];
    unsigned host = rig_phone(s->who).ip[3];
    s->version += !s->version || strcmp(s->dir, dir) != 0;
    snprintf(s->dir, sizeof s->dir, "%s", dir);
    snprintf(text, sizeof text,
             "v=0\r\no=- %u %u IN IP4 192.0.2.%u\r\ns=-\r\nc=IN IP4 192.0.2.%u\r\nt=0 0\r\n"
             "m=audio %u RTP/AVP 0 8\r\na=%s\r\n",
             s->port, s->version, host, host, s->port, dir);
    return text;
}

/* Who has had a call right as it came to another node, and has died, may have told its party something of which nothing
 * is stored: what the next owner says is a gap further. One has died here. */
static bool leaps(const struct session *old, const struct session *next) {
    return K.dead >= 0 && next->version == old->version + RECORD_VERSION_GAP + 1 && unwritten_owners() == 1;
}

/* RFC 3264 section 8: one session; its version rises by one if anything changed, and only then. */
static void check_version(struct side *s, const struct session *next) {
    const struct session *old = &s->seen;
    bool changed = strcmp(old->text, next->text) != 0;
    if (changed && leaps(old, next))
        return;
    if (old->id[0] && strcmp(old->id, next->id) != 0)
        wrong("%s: another session in the dialog", s->tag);
    else if (old->id[0] && next->version != old->version + changed)
        wrong("%s: session version %u behind %u, changed: %d", s->tag, next->version, old->version, changed);
}

void learn_session(struct side *s, const char *text, bool agreed) {
    const char *sdp = body_of(text), *behind_o = strstr(sdp, "\r\ns=");
    struct session n = { 0 };
    char value[64], address[64];
    if (strncmp(sdp, "v=0", 3) != 0 || !behind_o || !strstr(sdp, "\no="))
        return;
    sscanf(strstr(sdp, "\no="), "\no=%*s %31s %u", n.id, &n.version);
    part(sdp, "c=IN IP4 ", "\r", address, sizeof address);
    part(sdp, "m=audio ", " ", value, sizeof value);
    snprintf(n.dir, sizeof n.dir, "%s", strstr(sdp, "a=sendonly") ? "sendonly" : strstr(sdp, "a=recvonly") ? "recvonly"
             : strstr(sdp, "a=inactive") ? "inactive" : "sendrecv");
    addr_parse(slice_str(address), (uint16_t)strtoul(value, NULL, 10), &n.rtp);
    snprintf(n.text, sizeof n.text, "%s", behind_o);
    check_version(s, &n);
    s->seen = n;
    s->theirs = agreed ? n : s->theirs;
}

/* ---- requests ---- */

static struct client *client_new(struct side *s, const char *method, const char *branch, const char *text) {
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &K.p.clients[i];
        if (c->used)
            continue;
        *c = (struct client){ .used = true, .s = s, .next = K.w->now + 500 * MS, .interval = 500 * MS,
                              .until = K.w->now + TIMER_B };
        snprintf(c->method, sizeof c->method, "%s", method);
        snprintf(c->branch, sizeof c->branch, "%s", branch);
        snprintf(c->text, sizeof c->text, "%s", text);
        return c;
    }
    CHECK(!"room for requests");
    return NULL;
}

void request(struct side *s, const char *method, const char *headers, const char *sdp) {
    unsigned host = rig_phone(s->who).ip[3];
    char text[TEXT_CAP], branch[48];
    s->cseq++;
    snprintf(branch, sizeof branch, "z9hG4bK%u-%s", ++K.p.made, method);
    snprintf(text, sizeof text,
             "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.%u:5060;branch=%s\r\nFrom: <%s>;tag=%s\r\nTo: <%s>%s%s\r\n"
             "Call-ID: %s\r\nCSeq: %u %s\r\nMax-Forwards: 70\r\nContact: <sip:%s@192.0.2.%u>\r\n"
             "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, UPDATE\r\n%s%s",
             method, s->target, host, branch, s->local, s->tag, s->remote, s->remote_tag[0] ? ";tag=" : "",
             s->remote_tag, s->call_id, s->cseq, method, rig_names[s->who], host, supported(s->who), headers);
    rig_put_body(text, sizeof text, sdp);
    client_new(s, method, branch, text);
    send_from(s->who, text);
}

/* Each 2xx gets one, also when it comes again. */
void ack(struct side *s, unsigned cseq) {
    char text[TEXT_CAP];
    snprintf(text, sizeof text,
             "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.%u:5060;branch=z9hG4bK%u-ACK\r\nFrom: <%s>;tag=%s\r\n"
             "To: <%s>;tag=%s\r\nCall-ID: %s\r\nCSeq: %u ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
             s->target, rig_phone(s->who).ip[3], ++K.p.made, s->local, s->tag, s->remote, s->remote_tag, s->call_id,
             cseq);
    send_from(s->who, text);
}

/* The INVITE's owner is the node that the flow's placement wants, while there is more than one. */
static void call_id_for(struct side *s, bool consultation) {
    unsigned first = owner_of_call_id("a-call"), tries = 0;
    do
        snprintf(s->call_id, sizeof s->call_id, "call%u@192.0.2.%u", ++K.p.made, rig_phone(s->who).ip[3]);
    while ((owner_of_call_id(s->call_id) == first) == (consultation && K.split) && tries++ < 100);
}

struct side *dial(enum rig_name from, const char *to, const char *headers) {
    struct side *s = side_new(from);
    s->uac = true;
    snprintf(s->local, sizeof s->local, "sip:%s@192.0.2.1", rig_names[from]);
    snprintf(s->remote, sizeof s->remote, "%s", to);
    snprintf(s->target, sizeof s->target, "%s", to);
    call_id_for(s, from == BOB);
    s->offering = true;
    request(s, "INVITE", headers, sdp_of(s, "sendrecv"));
    return s;
}

void offer(struct side *s, const char *dir) {
    s->offering = true;
    s->invite_status = 0;
    s->glare = false;
    request(s, "INVITE", "", sdp_of(s, dir));
}

/* ---- answers ---- */

struct server *server_find(enum rig_name who, const char *branch, const char *method) {
    for (unsigned i = 0; i < SERVERS_MAX; i++) {
        struct server *v = &K.p.servers[i];
        if (v->used && v->who == who && !strcmp(v->branch, branch) && !strcmp(v->method, method))
            return v;
    }
    return NULL;
}

static struct server *server_new(void) {
    struct server *oldest = &K.p.servers[0];
    for (unsigned i = 0; i < SERVERS_MAX; i++) {
        struct server *v = &K.p.servers[i];
        if (!v->used)
            return v;
        oldest = v->until < oldest->until ? v : oldest;
    }
    return oldest;
}

static void keep_answer(enum rig_name who, const char *req, const char *answer, unsigned status) {
    char via[512], branch[80], method[16];
    header(req, "Via", via, sizeof via);
    part(via, "branch=", ";\r", branch, sizeof branch);
    method_of(req, method, sizeof method);
    struct server *v = server_find(who, branch, method);
    v = v ? v : server_new();
    *v = (struct server){ .used = true, .who = who, .cseq = cseq_of(req), .until = K.w->now + TIMER_B };
    snprintf(v->method, sizeof v->method, "%s", method);
    snprintf(v->branch, sizeof v->branch, "%s", branch);
    header(req, "Call-ID", v->call_id, sizeof v->call_id);
    snprintf(v->text, sizeof v->text, "%s", answer);
    v->unacked = !strcmp(v->method, "INVITE") && status >= 200;
    v->interval = 500 * MS;
    v->next = v->unacked ? K.w->now + v->interval : UINT64_MAX;
}

/* s NULL: there is no such dialog. */
void respond(struct side *s, enum rig_name who, const char *req, unsigned status, const char *sdp) {
    static const char *const copied[] = { "Via", "From", "Call-ID", "CSeq" };
    char text[TEXT_CAP], value[512];
    int n = snprintf(text, sizeof text, "SIP/2.0 %u Said\r\n", status);
    for (unsigned i = 0; i < 4; i++) {
        header(req, copied[i], value, sizeof value);
        n += snprintf(text + n, sizeof text - (size_t)n, "%s: %s\r\n", copied[i], value);
    }
    header(req, "To", value, sizeof value);
    bool tagged = strstr(value, ";tag=") != NULL;
    const char *tag = s ? s->tag : "nobody";
    snprintf(text + n, sizeof text - (size_t)n,
             "To: %s%s%s\r\nContact: <sip:%s@192.0.2.%u>\r\n"
             "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, UPDATE\r\n%s",
             value, tagged ? "" : ";tag=", tagged ? "" : tag, rig_names[who], rig_phone(who).ip[3], supported(who));
    rig_put_body(text, sizeof text, sdp);
    keep_answer(who, req, text, status);
    send_from(who, text);
}

void answer_ringing(struct side *s) {
    char invite[TEXT_CAP];
    snprintf(invite, sizeof invite, "%s", s->invite);
    s->invite[0] = '\0';
    s->ringing = false;
    s->up = true;
    s->since = K.w->now;
    learn_session(s, invite, true);
    respond(s, s->who, invite, 200, sdp_of(s, "sendrecv"));
}

/* ---- time ---- */

/* Nobody answers: 408 (section 8.1.3.1), and the dialog is over (section 12.2.1.2). */
static void client_over(struct client *c) {
    struct side *s = c->s;
    c->used = false;
    if (!strcmp(c->method, "INVITE")) {
        s->offering = false;
        s->invite_status = 408;
        s->invite_done = K.w->now;
    }
    s->refer_status = !strcmp(c->method, "REFER") ? 408 : s->refer_status;
    s->bye_status = !strcmp(c->method, "BYE") ? 408 : s->bye_status;
    s->ended = true;
    s->up = false;
}

static uint64_t doubled(uint64_t interval) {
    return interval < 2 * SEC ? interval * 2 : 4 * SEC;
}

void phones_turn(void) {
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &K.p.clients[i];
        if (c->used && K.w->now >= c->until) {
            client_over(c);
        } else if (c->used && K.w->now >= c->next) {
            send_from(c->s->who, c->text);
            c->interval = doubled(c->interval);
            c->next = K.w->now + c->interval;
        }
    }
    for (unsigned i = 0; i < SERVERS_MAX; i++) {
        struct server *v = &K.p.servers[i];
        v->used = v->used && K.w->now < v->until;
        if (v->used && v->unacked && K.w->now >= v->next) {
            send_from(v->who, v->text);
            v->interval = doubled(v->interval);
            v->next = K.w->now + v->interval;
        }
    }
}

uint64_t phones_due(void) {
    uint64_t due = UINT64_MAX;
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        const struct client *c = &K.p.clients[i];
        uint64_t at = c->next < c->until ? c->next : c->until;
        due = c->used && at < due ? at : due;
    }
    for (unsigned i = 0; i < SERVERS_MAX; i++) {
        const struct server *v = &K.p.servers[i];
        due = v->used && v->unacked && v->next < due ? v->next : due;
    }
    return due;
}
