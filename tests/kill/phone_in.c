/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What phones do about what arrives. */
#include "tests/kill/kill.h"

/* ---- responses ---- */

static void ack_refusal(const struct client *c, const char *answer) {
    char text[TEXT_CAP], to[512], via[512], from[512], call_id[128], uri[256];
    header(answer, "To", to, sizeof to);
    header(c->text, "Via", via, sizeof via);
    header(c->text, "From", from, sizeof from);
    header(c->text, "Call-ID", call_id, sizeof call_id);
    part(c->text, "INVITE ", " ", uri, sizeof uri);
    snprintf(text, sizeof text,
             "ACK %s SIP/2.0\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u ACK\r\nMax-Forwards: 70\r\n"
             "Content-Length: 0\r\n\r\n",
             uri, via, from, to, call_id, cseq_of(c->text));
    send_from(c->s->who, text);
}

/* RFC 3515: what became of the call that a REFER made. */
static void tell_cause(struct side *s, unsigned status) {
    char headers[256], body[64];
    if (!s->cause || s->cause->ended)
        return;
    snprintf(body, sizeof body, "SIP/2.0 %u Said\r\n", status);
    snprintf(headers, sizeof headers,
             "Event: refer;id=%u\r\nSubscription-State: %s\r\nContent-Type: message/sipfrag\r\nContent-Length: %zu\r\n"
             "\r\n%s",
             s->cause_cseq, status < 200 ? "active;expires=60" : "terminated;reason=noresource", strlen(body), body);
    request(s->cause, "NOTIFY", headers, "");
    s->cause = status < 200 ? s->cause : NULL;
}

static void invited(struct client *c, unsigned status, const char *text) {
    struct side *s = c->s;
    char value[512];
    s->offering = s->ringing = false;
    s->invite_status = status;
    s->invite_done = K.w->now;
    if (status >= 300) {
        ack_refusal(c, text);
        s->ended = s->ended || !s->up || status == 481 || status == 408;
        s->up = s->up && !s->ended;
        tell_cause(s, status);
        return;
    }
    tag_of(text, "To", s->remote_tag, sizeof s->remote_tag);
    header(text, "Contact", value, sizeof value);
    part(value, "<", ">", s->target, sizeof s->target);
    s->since = s->up ? s->since : K.w->now;
    s->up = !s->ended;
    learn_session(s, text, true);
    tell_cause(s, status);
}

static void final(struct client *c, unsigned status, const char *text) {
    struct side *s = c->s;
    if (!c->used)
        return;
    c->used = false;
    if (!strcmp(c->method, "INVITE"))
        invited(c, status, text);
    else if (!strcmp(c->method, "REFER"))
        s->refer_status = status;
    else if (!strcmp(c->method, "BYE"))
        s->bye_status = status;
    /* Section 12.2.1.2; of a NOTIFY it is about the subscription (RFC 5057 section 5.1). */
    if (status == 481 && s->up && strcmp(c->method, "NOTIFY") != 0) {
        s->ended = true;
        s->up = false;
    }
}

static void on_response(const char *text) {
    char branch[64], via[512], method[16], call_id[128], tag[48];
    unsigned status = (unsigned)strtoul(text + 8, NULL, 10);
    header(text, "Via", via, sizeof via);
    part(via, "branch=", ";\r", branch, sizeof branch);
    method_of(text, method, sizeof method);
    header(text, "Call-ID", call_id, sizeof call_id);
    tag_of(text, "From", tag, sizeof tag);
    struct side *s = side_find(call_id, tag, "");
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &K.p.clients[i];
        if (!c->used || strcmp(c->branch, branch) != 0)
            continue;
        if (status >= 200) {
            final(c, status, text);
            break;
        }
        c->next = K.w->now + 4 * SEC;
        if (!strcmp(c->method, "INVITE")) {
            c->next = c->until = UINT64_MAX;
            if (status >= 180)
                tag_of(text, "To", c->s->remote_tag, sizeof c->s->remote_tag);
            c->s->ringing = c->s->ringing || status >= 180;
        }
    }
    if (s && !strcmp(method, "INVITE") && status >= 200 && status < 300)
        ack(s, cseq_of(text));
}

/* ---- requests ---- */

static bool answered_before(enum rig_name who, const char *text) {
    char via[512], branch[80], method[16];
    header(text, "Via", via, sizeof via);
    part(via, "branch=", ";\r", branch, sizeof branch);
    method_of(text, method, sizeof method);
    const struct server *v = server_find(who, branch, method);
    if (v)
        send_from(who, v->text);
    return v != NULL;
}

static void on_ack(struct side *s, const char *text) {
    char call_id[128];
    header(text, "Call-ID", call_id, sizeof call_id);
    for (unsigned i = 0; i < SERVERS_MAX; i++) {
        struct server *v = &K.p.servers[i];
        if (v->used && v->unacked && !strcmp(v->call_id, call_id) && v->cseq == cseq_of(text))
            v->unacked = false;
    }
    if (s && s->offered_late)
        learn_session(s, text, true);
    if (s)
        s->offered_late = false;
}

/* RFC 3891: the dialog that the INVITE names, which its phone ends. */
static struct side *replaced_by(const char *text) {
    char value[512], call_id[128], tag[64];
    header(text, "Replaces", value, sizeof value);
    snprintf(call_id, sizeof call_id, "%.*s", (int)strcspn(value, ";"), value);
    part(value, "to-tag=", ";", tag, sizeof tag);
    return value[0] ? side_find(call_id, tag, "") : NULL;
}

static struct side *side_called(enum rig_name who, const char *text) {
    struct side *s = side_new(who);
    char value[512];
    header(text, "Call-ID", s->call_id, sizeof s->call_id);
    tag_of(text, "From", s->remote_tag, sizeof s->remote_tag);
    header(text, "To", value, sizeof value);
    part(value, "<", ">", s->local, sizeof s->local);
    header(text, "From", value, sizeof value);
    part(value, "<", ">", s->remote, sizeof s->remote);
    header(text, "Contact", value, sizeof value);
    part(value, "<", ">", s->target, sizeof s->target);
    s->their_cseq = cseq_of(text);
    s->since = K.w->now;
    return s;
}

static void on_new_call(enum rig_name who, const char *text) {
    char value[512];
    struct side *s = side_called(who, text), *old = replaced_by(text);
    header(text, "Replaces", value, sizeof value);
    if (value[0] && K.flow->no_replaces) {
        respond(s, who, text, 420, "");
        s->ended = true;
        return;
    }
    bool of_transfer = value[0] || K.flow->kind == BLIND;
    if (who == CAROL && of_transfer && K.flow->target_says) {
        respond(s, who, text, K.flow->target_says, "");
        s->ended = true;
        return;
    }
    if (value[0] && (!old || old->ended)) {
        respond(s, who, text, old ? 603 : 481, "");
        s->ended = true;
        return;
    }
    snprintf(s->invite, sizeof s->invite, "%s", text);
    if (!old) {
        s->ringing = true;
        respond(s, who, text, 180, "");
        return;
    }
    answer_ringing(s);
    old->ended = true;
    old->up = false;
    request(old, "BYE", "", "");
}

static const char *mirrored(const char *dir) {
    return !strcmp(dir, "sendonly") ? "recvonly" : !strcmp(dir, "recvonly") ? "sendonly" : dir;
}

static void on_reinvite(struct side *s, const char *text) {
    bool late = !body_of(text)[0], wanted = strstr(body_of(text), "sendrecv");
    bool wants_not = s->who == ALICE && wanted && P.ba && !P.ba->told;
    unsigned refused = s->ringing || s->offering ? 491 : wants_not ? K.flow->transferee_says : 0;
    learn_session(s, text, !refused);
    if (refused) {
        respond(s, s->who, text, refused, "");
        return;
    }
    s->offered_late = late;
    respond(s, s->who, text, 200, sdp_of(s, late ? "sendrecv" : mirrored(s->theirs.dir)));
}

/* Relayed: who is referred calls. */
static void on_refer(struct side *s, const char *text) {
    char value[512], uri[256], replaces[512], headers[700] = "";
    respond(s, s->who, text, 202, "");
    header(text, "Refer-To", value, sizeof value);
    part(value, "<", "?>", uri, sizeof uri);
    part(value, "Replaces=", "&>", replaces, sizeof replaces);
    unescape(replaces);
    if (replaces[0])
        snprintf(headers, sizeof headers, "Replaces: %s\r\nRequire: replaces\r\n", replaces);
    struct side *n = dial(s->who, uri, headers);
    n->cause = s;
    n->cause_cseq = cseq_of(text);
    tell_cause(n, 100);
}

static void on_notify(struct side *s, const char *text) {
    char state[128];
    header(text, "Subscription-State", state, sizeof state);
    if (!strncmp(state, "terminated", 10) && s->told == 0)
        s->told = (unsigned)strtoul(body_of(text) + 8, NULL, 10);
    respond(s, s->who, text, 200, "");
}

static void on_cancel(struct side *s, enum rig_name who, const char *text) {
    respond(s, who, text, s ? 200 : 481, "");
    if (!s || !s->ringing)
        return;
    char invite[TEXT_CAP];
    snprintf(invite, sizeof invite, "%s", s->invite);
    s->ringing = false;
    s->ended = true;
    respond(s, who, invite, 487, "");
}

static void on_bye(struct side *s, const char *text) {
    s->got_bye = s->ended = true;
    s->up = s->ringing = false;
    respond(s, s->who, text, 200, "");
}

static void in_dialog(struct side *s, const char *text, const char *method) {
    if (cseq_of(text) <= s->their_cseq) {
        respond(s, s->who, text, 500, "");
        return;
    }
    s->their_cseq = cseq_of(text);
    if (!strcmp(method, "INVITE")) {
        on_reinvite(s, text);
    } else if (!strcmp(method, "UPDATE") && body_of(text)[0]) {
        learn_session(s, text, true);
        respond(s, s->who, text, 200, sdp_of(s, mirrored(s->theirs.dir)));
    } else if (!strcmp(method, "REFER")) {
        on_refer(s, text);
    } else if (!strcmp(method, "NOTIFY")) {
        on_notify(s, text);
    } else {
        respond(s, s->who, text, 200, "");
    }
}

static void on_request(enum rig_name who, const char *text) {
    char call_id[128], to_tag[64], from_tag[80], method[16];
    method_of(text, method, sizeof method);
    header(text, "Call-ID", call_id, sizeof call_id);
    tag_of(text, "To", to_tag, sizeof to_tag);
    tag_of(text, "From", from_tag, sizeof from_tag);
    struct side *s = side_find(call_id, to_tag, from_tag);
    if (!strcmp(method, "ACK"))
        on_ack(s, text);
    else if (answered_before(who, text))
        return;
    else if (!strcmp(method, "CANCEL"))
        on_cancel(s, who, text);
    else if (!strcmp(method, "INVITE") && !to_tag[0] && !s)
        on_new_call(who, text);
    else if (s && !strcmp(method, "BYE"))
        on_bye(s, text);
    else if (s && !strcmp(method, "NOTIFY")) /* a subscription may outlive the call */
        on_notify(s, text);
    else if (!s || s->ended)
        respond(s, who, text, 481, "");
    else
        in_dialog(s, text, method);
}

void at_phone(struct cluster *w, const struct addr *phone, char *text) {
    (void)w;
    say_message(text, phone->ip[3], false);
    enum rig_name who = phone->ip[3] == 10 ? ALICE : phone->ip[3] == 20 ? BOB : CAROL;
    if (!strncmp(text, "SIP/2.0", 7))
        on_response(text);
    else
        on_request(who, text);
}
