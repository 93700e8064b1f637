/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The language of a ladder. One step a line, a backslash at its end continues it (without a blank before
 * it: in the middle of a word); '#' begins a comment; "quotes" hold blanks (\" is a quote in them). Time
 * stands still but for +TIME. Messages need no time to arrive.
 *
 * Before the first message:
 *   config KEY VALUE               attended replace|join, splice offer|late-offer, relay splice|forward,
 *                                  early-uas-replace deny|allow, relay-replaces keep|far-leg|opaque,
 *                                  refer local|relay|auto|reject,
 *                                  accept auto|200|202, progress on|off, recall on|off, hold pass|local, music on|off,
 *                                  ringback on|off, early-media on|off, anchor yes|no|auto, recall-uri URI,
 *                                  srtp off|accept|offer|require,
 *                                  durability off|async|confirmed; the times budget, t1, recall-time, announcement,
 *                                  replace-timeout, ring-timeout, bye-wait, invite-timeout (8s, 500ms); the numbers
 *                                  calls, ports (pairs), transactions, max-depth, subscription (seconds); echo NUMBER
 *                                  reinvites-per-second (after a restart elsewhere), media-address ADDR (one more),
 *                                  media-vip ADDR (one more) and
 *                                  media-vip-wait TIME;
 *                                  per-minute and pending (transfers of one party); session-expires, session-min-se
 *                                  (seconds), session-refresher auto|us|peer
 *   rule [allow] [from:WHO] [prefix:P] [domain:D] [class:local|outside] [calls]   a rule for transfers, and for calls;
 *                                  without allow: deny
 *   quirk [agent:PREFIX] [peer:NAME] FLAG...   replaces_swapped replaces_tagless no_notify bye_at_once accept_200;
 *                                  phones are "ladder"
 *   phone NAME ADDR:PORT user USER [supported:LIST] [allow:LIST] [tagless] [refer:reject] [anchor:no] [srtp:MODE]
 *                                  a user agent; its media is at ADDR:40000 and up; tagless: as RFC 2543 allowed
 *   route NAME PREFIX ADDR:PORT    calls to numbers with this prefix go there
 *   peer NAME ADDR [user:U password:P] [realm:R] [srtp:MODE]   a trusted address; NAME is its principal; its
 *                                  challenges are answered with these
 *   include FILE                   the steps of another file, named from this one's folder; anywhere
 *
 * Steps. WHO is a phone (A), or one of several dialogs of a phone (B.consult): the name is made up here.
 *   register A B C                 REGISTER, 200
 *   WHO > METHOD [CALLED] [...]    the phone sends a request; with CALLED (a phone, sip:..., tel:..., uri:ANY, or a
 *                                  number) it begins a new dialog under this name, without it goes in the dialog
 *   WHO > STATUS [...]             it answers the latest request that it did not answer yet
 *   WHO > again[*N]                its last request once more (N times)
 *   WHO < METHOD [...]             the engine's next message to it is this request
 *   WHO < STATUS [...]             ... this response
 *   WHO < STATUS unread [...]      ... which WHO takes for a copy of what it has had, and does not read
 *   WHO < METHOD|STATUS again[*N]  ... a copy of what was sent before (N copies)
 *   raw PHONE <<END                the lines up to END, sent as they are (CRLF behind each)
 *   +TIME                          2.1s 300ms
 *   +TIME or message               no further than to the engine's next message
 *   media WHO -> WHO|none          a packet from where the first says its media comes from: who gets it
 *   media WHO <-> WHO              both ways; where SRTP is spoken, the relay must have the keys that were agreed on
 *   media WHO < music|ringback|announcement|off   what is played to WHO now, which must be able to hear it
 *                                  type:100=96: sent with payload type 100, heard with 96 (0 if not said);
 *                                  video: of the second stream
 *   rolled WHO IN OUT              the relay tells that rollover counters of SRTP from and to it are these now
 *   counters WHO IN OUT            the relay was told to go on from these, with the keys
 *   silent WHO                     the relay tells that nothing has come from it for media.timeout
 *   unreachable PHONE              the network reports that nobody is at its address
 *   refuse WHO STATUS TIME         for TIME, or until anything else is sent, every INVITE with a description to WHO is
 *                                  answered so, and its ACK read; two of them at least
 *   order WHO TARGET               the operator transfers the party in this dialog: to a URI or a phone, or
 *                                  `with WHO`: to who is in that dialog
 *   ordered TEXT                   the operator was told this since the order
 *   store refuse WHO               writes of this dialog's call are REFUSED, until the next of these steps
 *   store slow TIME|up|down|silent|mute|first N   its answers take so long; no time; UNAVAILABLE at once; nothing is
 *                                  done nor answered until further notice; everything is done and nothing answered;
 *                                  the next N are done, and nothing is answered
 *   restart [TIME [ADDR]]          the engine dies; a new one reads the records that the store has, after that time;
 *                                  ADDR: its media is there
 *   restart-late                   the same, and it has read the first of the records alone, in the order of their
 *                                  buckets from the last one; `records`: it reads the others
 *   address N here|gone            the Nth media-vip comes to the engine, or leaves it
 *   unprotected N                  calls whose latest record is not stored; metric NAME N: a counter
 *   unstored WHO                   what it was told last is in no record: its next o= has any higher version
 *   drain TIME                     no new calls; what is left after TIME is ended
 *   cdr TEXT...                    a call data record of before holds all of these texts; "!TEXT": and not this one
 *   expect nothing                 all that was sent has been read (every step that sends or waits says so by itself)
 *   leftover none                  nothing is held any more; said by the end of every ladder by itself
 *   leftover any                   the end does not look
 *
 * Everything the engine sends must be read by a line of the ladder, in the order in which it was sent to one phone's
 * dialog; between dialogs the order is free. Anything unread when the next message is sent or time goes on is a
 * failure.
 *
 * What a sent message may carry:
 *   sdp:CODECS[:DIRECTION]   pcmu pcma g722 g729 gsm ilbc opus tel, separated by commas, other numbers as pcmu=96;
 *                            dtls first among them: UDP/TLS/RTP/SAVPF with ICE and fingerprint; read as dtls@PHONE
 *                            srtp first: RTP/SAVP with a=crypto, of the first suite that is offered; osrtp: RTP/AVP
 *                            with it. Flags: srtp/32 /gcm /256 (suites) /new (another key) /f (SAVPF) /mki /none (no
 *                            key) /bad (malformed, nothing else) /f8 (an unknown suite first) /only (nothing behind
 *                            it) /tag (not the offered one). Read without them, but for srtp/none
 *                            full: pcmu,pcma,g722,tel; same: what this dialog said last. sendrecv (default) sendonly
 *                            recvonly inactive, zero (c=0.0.0.0), reject (port 0); pcmu+vp8:sendonly: with video
 *   hdr:"Name: value"        one more header             no:Supported   without this one
 *   refer-to:C               Refer-To: C's address       refer-to:C+B.consult   with Replaces naming B's dialog
 *   refer-to:"<sip:...>"     as it stands                replaces:B.consult     a Replaces header of its own
 *   reason:"..." tag:T (To tag: a fork) of:METHOD (which request is answered, with cseq:N the one of that number; or,
 *   with again, sent again)
 *   body:"..." type:a/b mf:N cseq:N ruri:URI branch:B contact:"<...>" from:ADDR:PORT (sent from there)
 *   lost (it never arrives)  dup[*N] (it arrives once more, N times more)
 *   call-id:"..." (of the new dialog)
 *   In texts: {host} {x*8000} (as many x) {C} (its address of record) {C:contact} {B.consult:replaces} (escaped for a
 *   URI), and of a dialog :call-id (escaped) :plain-call-id :to-tag :from-tag (as Replaces to the engine names them)
 *   :target :rack (of the engine's last reliable 18x) :refer-to (of the last REFER to it, or Refer-Events-At for the
 *   last one from it) :refer-token (its user).
 *
 * What is checked of a read message, beside what rules.c holds against each:
 *   sdp:CODECS:DIRECTION (no sdp: none may be there), from:WHO to:WHO (users), ruri:URI, hdr:Name, hdr:"Name: value"
 *   no:Name has:"text" reason:"..." body:"..." of:METHOD mf:N cseq:N tag:T require:X supported:X unsupported:X allow:X
 *   replaces:C.consult (names that dialog as C itself knows it; no replaces: none may be there) or
 *   replaces:"ID;to-tag=T;from-tag=T" (as it stands)
 *   NOTIFY: frag:STATUS (none: no body) state:active or state:terminated,REASON; Event's id must be the last REFER's
 *   CSeq, or id:N (id:none)
 */
#include "core/sip/token.h"
#include "tests/ladder/ladder.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- before the first message */

static void word_addr(struct world *w, struct words *ws, unsigned i, struct addr *out) {
    if (!addr_parse(slice_str(word(w, ws, i)), 5060, out))
        fail(w, "%s is no address", ws->w[i]);
}

static void do_phone(struct world *w, struct words *ws) {
    const char *name = word(w, ws, 1), *supported = words_value(ws, "supported"), *refer = words_value(ws, "refer");
    const char *anchor = words_value(ws, "anchor"), *srtp = words_value(ws, "srtp");
    if (w->engine || w->phone_count == PHONES_MAX || phone_find(w, name))
        fail(w, "phone %s: too late, too many or twice", name);
    struct phone *p = &w->phones[w->phone_count];
    copy_text(p->name, sizeof p->name, slice_str(name));
    word_addr(w, ws, 2, &p->addr);
    p->media = p->addr;
    p->media.port = 40000;
    if (strcmp(word(w, ws, 3), "user") != 0)
        fail(w, "phone NAME ADDR user USER");
    copy_text(p->user, sizeof p->user, slice_str(word(w, ws, 4)));
    const char *allow = words_value(ws, "allow");
    p->tagless = words_flag(ws, "tagless");
    copy_text(p->allow, sizeof p->allow,
              slice_str(allow ? allow : "INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, INFO, UPDATE"));
    copy_text(p->supported, sizeof p->supported, slice_str(supported ? supported : "replaces, norefersub"));
    struct user_config *u = &w->users[w->cfg.policy.user_count];
    for (unsigned i = 0; i < w->phone_count; i++)
        if (strcmp(w->phones[i].user, p->user) == 0)
            u = NULL;
    if (u) {
        copy_text(u->name, sizeof u->name, slice_str(p->user));
        u->refer = refer && strcmp(refer, "reject") == 0 ? REFER_REJECT : REFER_DEFAULT;
        u->anchor = anchor && strcmp(anchor, "no") == 0 ? ANCHOR_NO : ANCHOR_DEFAULT;
        w->some_direct |= u->anchor == ANCHOR_NO;
        srtp_mode_named(srtp, &u->srtp);
        w->cfg.policy.user_count++;
    }
    w->phone_count++;
}

static void do_route(struct world *w, struct words *ws) {
    struct route_config *r = &w->routes[w->cfg.policy.route_count++];
    copy_text(r->name, sizeof r->name, slice_str(word(w, ws, 1)));
    copy_text(r->prefix, sizeof r->prefix, slice_str(word(w, ws, 2)));
    word_addr(w, ws, 3, &r->next_hop);
}

static void do_peer(struct world *w, struct words *ws) {
    struct peer_config *p = &w->peers[w->cfg.policy.peer_count++];
    copy_text(p->name, sizeof p->name, slice_str(word(w, ws, 1)));
    word_addr(w, ws, 2, &p->net);
    p->bits = p->net.family == ADDR_V4 ? 32 : 128;
    p->trusted = true;
    const char *user = words_value(ws, "user"), *password = words_value(ws, "password");
    const char *realm = words_value(ws, "realm");
    copy_text(p->username, sizeof p->username, slice_str(user ? user : ""));
    copy_text(p->password, sizeof p->password, slice_str(password ? password : ""));
    copy_text(p->realm, sizeof p->realm, slice_str(realm ? realm : ""));
    srtp_mode_named(words_value(ws, "srtp"), &p->srtp);
}

static void rule_text(struct words *ws, const char *key, char *to, size_t cap) {
    const char *v = words_value(ws, key);
    if (v)
        copy_text(to, cap, slice_str(v));
}

static void do_rule(struct world *w, struct words *ws) {
    if (w->engine || w->cfg.policy.rule_count == RULES_MAX)
        fail(w, "rule: too late or too many");
    struct transfer_rule *r = &w->rules[w->cfg.policy.rule_count++];
    const char *class = words_value(ws, "class");
    r->action = words_flag(ws, "allow") ? TRANSFER_ALLOW : TRANSFER_DENY;
    rule_text(ws, "from", r->from, sizeof r->from);
    rule_text(ws, "prefix", r->prefix, sizeof r->prefix);
    rule_text(ws, "domain", r->domain, sizeof r->domain);
    if (class)
        r->to = strcmp(class, "local") == 0 ? TRANSFER_TO_LOCAL : TRANSFER_TO_OUTSIDE;
    r->calls = words_flag(ws, "calls");
}

static void do_quirk(struct world *w, struct words *ws) {
    if (w->engine || w->cfg.policy.quirk_count == RULES_MAX)
        fail(w, "quirk: too late or too many");
    struct quirk_config *q = &w->quirks[w->cfg.policy.quirk_count++];
    rule_text(ws, "agent", q->agent, sizeof q->agent);
    rule_text(ws, "peer", q->peer, sizeof q->peer);
    q->replaces_swapped = words_flag(ws, "replaces_swapped");
    q->replaces_tagless = words_flag(ws, "replaces_tagless");
    q->no_notify = words_flag(ws, "no_notify");
    q->bye_at_once = words_flag(ws, "bye_at_once");
    q->accept_200 = words_flag(ws, "accept_200");
}

/* ---- steps */

static void do_register(struct world *w, struct words *ws) {
    for (unsigned i = 1; i < ws->n; i++) {
        struct phone *p = phone_find(w, word(w, ws, i));
        if (!p)
            fail(w, "there is no phone %s", ws->w[i]);
        phone_register(w, p);
    }
}

static void do_media(struct world *w, struct words *ws) {
    const char *from = word(w, ws, 1), *arrow = word(w, ws, 2), *to = word(w, ws, 3);
    const char *type = words_value(ws, "type");
    char *end = NULL;
    unsigned sent = type ? (unsigned)strtoul(type, &end, 10) : 0;
    unsigned heard = end && *end == '=' ? (unsigned)strtoul(end + 1, NULL, 10) : sent;
    if (strcmp(arrow, "<") == 0) {
        world_played(w, dialog_named(w, from), to);
        return;
    }
    if (strcmp(arrow, "<->") != 0 && strcmp(arrow, "->") != 0)
        fail(w, "media A -> B, or media A <-> B");
    bool video = words_flag(ws, "video");
    world_media(w, dialog_named(w, from), to, (uint8_t)sent, (uint8_t)heard, video);
    if (arrow[0] == '<')
        world_media(w, dialog_named(w, to), from, (uint8_t)heard, (uint8_t)sent, video);
}

static uint32_t stream_of(struct world *w, struct words *ws) {
    const struct dialog_side *d = dialog_named(w, word(w, ws, 1));
    return world_stream(w, d, false);
}

static struct srtp_roc counter(struct world *w, struct words *ws, unsigned i) {
    return (struct srtp_roc){ 0x11220000 + i, (uint32_t)word_number(w, ws, i) };
}

static void do_rolled(struct world *w, struct words *ws) {
    struct event ev = { .kind = EV_MEDIA };
    ev.u.media.what = MEDIA_EV_ROC;
    ev.u.media.stream = stream_of(w, ws);
    ev.u.media.generation = w->relay.streams[ev.u.media.stream].generation;
    ev.u.media.in = counter(w, ws, 2);
    ev.u.media.out = counter(w, ws, 3);
    world_all_read(w);
    world_event(w, &ev);
}

static void do_counters(struct world *w, struct words *ws) {
    const struct srtp_keys *k = &w->keys[stream_of(w, ws)];
    struct srtp_roc in = counter(w, ws, 2), out = counter(w, ws, 3);
    if (k->in_roc.roc != in.roc || k->out_roc.roc != out.roc || (in.roc && k->in_roc.ssrc != in.ssrc) ||
        (out.roc && k->out_roc.ssrc != out.ssrc))
        fail(w, "the relay goes on from %u and %u", k->in_roc.roc, k->out_roc.roc);
}

static void do_silent(struct world *w, struct words *ws) {
    uint32_t stream = stream_of(w, ws);
    struct event ev = { .kind = EV_MEDIA };
    ev.u.media.what = MEDIA_EV_SILENT;
    ev.u.media.stream = stream;
    ev.u.media.generation = w->relay.streams[stream].generation;
    world_all_read(w);
    world_event(w, &ev);
}

/* Its media, from its next description on: another interface of the phone's. */
static void do_roams(struct world *w, struct words *ws) {
    struct dialog_side *d = dialog_named(w, word(w, ws, 1));
    uint16_t port = d->own.media.port;
    word_addr(w, ws, 2, &d->own.media);
    d->own.media.port = port;
}

static void do_unstored(struct world *w, struct words *ws) {
    dialog_named(w, word(w, ws, 1))->unstored = true;
}

static void do_unreachable(struct world *w, struct words *ws) {
    struct event ev = { .kind = EV_SEND_FAILED };
    struct phone *p = phone_find(w, word(w, ws, 1));
    if (!p)
        fail(w, "there is no phone %s", ws->w[1]);
    world_all_read(w);
    ev.u.failed.dst = p->addr;
    say(w, "%-12s is unreachable", p->name);
    world_event(w, &ev);
}

static void do_store(struct world *w, struct words *ws) {
    const char *what = word(w, ws, 1);
    bool slow = strcmp(what, "slow") == 0, first = strcmp(what, "first") == 0;
    if (strcmp(what, "refuse") == 0)
        store_refuse(w, dialog_named(w, word(w, ws, 2)));
    else
        store_step(w, what, slow ? word_time(w, ws, 2) : first ? word_number(w, ws, 2) : 0);
    world_advance(w, 0, false);
}

static void do_restart(struct world *w, struct words *ws) {
    if (ws->n > 2)
        word_addr(w, ws, 2, &w->cfg.media_addr);
    w->cfg.media_addr.port = 0;
    store_restart(w, ws->n > 1 ? word_time(w, ws, 1) : 0, false);
}

static void do_restart_late(struct world *w, struct words *ws) {
    (void)ws;
    store_restart(w, 0, true);
}

static void do_records(struct world *w, struct words *ws) {
    (void)ws;
    world_all_read(w);
    store_read(w, UINT32_MAX);
}

static void do_address(struct world *w, struct words *ws) {
    struct event ev = { .kind = EV_ADDRESS };
    ev.u.address.index = (uint32_t)word_number(w, ws, 1) - 1;
    ev.u.address.here = strcmp(word(w, ws, 2), "here") == 0;
    world_all_read(w);
    world_event(w, &ev);
}

static void do_unprotected(struct world *w, struct words *ws) {
    store_unprotected(w, word_number(w, ws, 1));
}

static void do_metric(struct world *w, struct words *ws) {
    store_metric(w, word(w, ws, 1), word_number(w, ws, 2));
}

static void do_drain(struct world *w, struct words *ws) {
    struct event ev = { .kind = EV_DRAIN };
    world_all_read(w);
    ev.u.drain.deadline_us = w->now + word_time(w, ws, 1);
    say(w, "drain");
    world_event(w, &ev);
}

/* "CALL LEG", as an operator names the dialog. */
static void put_leg(struct world *w, struct sbuf *b, const char *name) {
    struct token t;
    if (!token_parse(slice_str(dialog_named(w, name)->remote_tag), &t))
        fail(w, "%s has no dialog with us", name);
    sbuf_hex(b, t.call, 16);
    sbuf_char(b, ' ');
    sbuf_u64(b, t.leg);
}

static void do_order(struct world *w, struct words *ws) {
    char line[TEXT_MAX];
    struct sbuf b = sbuf_on(line, sizeof line);
    struct event ev = { .kind = EV_ADMIN };
    const char *to = word(w, ws, 2);
    world_all_read(w);
    sbuf_lit(&b, "transfer ");
    put_leg(w, &b, word(w, ws, 1));
    sbuf_char(&b, ' ');
    if (strcmp(to, "with") == 0) {
        sbuf_lit(&b, "with ");
        put_leg(w, &b, word(w, ws, 3));
    } else {
        char text[TEXT_MAX];
        struct sbuf t = sbuf_on(text, sizeof text - 1);
        put(&t, phone_find(w, to) ? "{%s}" : "%s", to);
        text[t.n] = '\0';
        expand(w, text, &b);
    }
    w->ordered[0] = '\0';
    ev.u.admin.conn = 1;
    ev.u.admin.line = sbuf_slice(&b);
    say(w, "order %.*s", SLICE_FMT(sbuf_slice(&b)));
    world_event(w, &ev);
}

static void do_ordered(struct world *w, struct words *ws) {
    const char *must = word(w, ws, 1);
    if (strcmp(w->ordered, must) != 0)
        fail(w, "the operator was told \"%s\", expected \"%s\"", w->ordered, must);
}

static void do_wait(struct world *w, struct words *ws) {
    world_all_read(w);
    uint64_t us = word_time(w, ws, 0);
    bool or_message = ws->n == 3 && strcmp(word(w, ws, 1), "or") == 0 && strcmp(word(w, ws, 2), "message") == 0;
    world_advance(w, us, or_message);
    if (or_message)
        say(w, "...");
}

static void do_expect(struct world *w, struct words *ws) {
    if (strcmp(word(w, ws, 1), "nothing") != 0)
        fail(w, "expect nothing");
    world_all_read(w);
}

static bool cdr_fits(const char *line, const struct words *ws) {
    for (unsigned i = 1; i < ws->n; i++) {
        bool unwanted = ws->w[i][0] == '!';
        if (!strstr(line, ws->w[i] + unwanted) != unwanted)
            return false;
    }
    return true;
}

static void do_cdr(struct world *w, struct words *ws) {
    unsigned n = w->cdr_count < CDR_MAX ? w->cdr_count : CDR_MAX;
    for (unsigned i = 1; i < ws->n; i++)
        (void)word(w, ws, i);
    for (unsigned i = 0; i < n; i++)
        if (cdr_fits(w->cdr[i], ws))
            return;
    for (unsigned i = 0; i < n; i++)
        printf("%s\n", w->cdr[i]);
    fail(w, "no call data record is so");
}

static void do_leftover(struct world *w, struct words *ws) {
    const char *what = word(w, ws, 1);
    w->ended = true;
    if (strcmp(what, "none") == 0)
        world_leftover(w);
}

static void do_message(struct world *w, struct words *ws) {
    struct dialog_side *d = dialog_named(w, word(w, ws, 0));
    const char *arrow = word(w, ws, 1), *what = word(w, ws, 2);
    w->ended = false;
    if (strcmp(arrow, ">") == 0)
        phone_send(w, d, what, ws);
    else if (strcmp(arrow, "<") == 0)
        expect(w, d, what, ws);
    else
        fail(w, "\"%s\" is not understood", arrow);
}

static bool is_next(const struct phone *p, const char *method) {
    size_t n = strlen(method);
    return p->inbox && p->inbox->n > n && memcmp(p->inbox->bytes, method, n) == 0 && p->inbox->bytes[n] == ' ';
}

static void run_text(struct world *w, const char *format, const char *who, const char *what) {
    static struct words ws;
    char line[TEXT_MAX];
    snprintf(line, sizeof line, format, who, what);
    words_split(w, line, &ws);
    do_message(w, &ws);
}

/* How often is left to the engine's own choice of times. */
static void do_refuse(struct world *w, struct words *ws) {
    const char *who = word(w, ws, 1), *status = word(w, ws, 2);
    uint64_t until = w->now + word_time(w, ws, 3);
    struct phone *p = dialog_named(w, who)->phone;
    unsigned times = 0;
    for (; w->now < until; times++) {
        world_advance(w, until - w->now, true);
        if (!is_next(p, "INVITE"))
            break;
        run_text(w, "%s < %s sdp", who, "INVITE");
        run_text(w, "%s > %s", who, status);
        run_text(w, "%s < %s", who, "ACK");
    }
    if (times < 2)
        fail(w, "%u INVITE came, expected several", times);
}

static void do_include(struct world *w, struct words *ws) {
    char path[TEXT_MAX];
    const char *outer = w->file, *slash = strrchr(outer, '/');
    int line = w->line;
    snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash + 1 - outer) : 0, outer, word(w, ws, 1));
    words_end(w, ws);
    play(w, path);
    w->file = outer;
    w->line = line;
}

static const struct {
    const char *name;
    void (*run)(struct world *w, struct words *ws);
} steps[] = {
    { "config", do_config },   { "phone", do_phone },   { "route", do_route },   { "peer", do_peer },
    { "register", do_register }, { "media", do_media }, { "drain", do_drain },   { "unreachable", do_unreachable },
    { "expect", do_expect },   { "leftover", do_leftover }, { "include", do_include }, { "silent", do_silent },
    { "unstored", do_unstored },
    { "refuse", do_refuse },   { "cdr", do_cdr },         { "rule", do_rule },     { "quirk", do_quirk },
    { "order", do_order },     { "ordered", do_ordered },   { "store", do_store }, { "restart", do_restart },
    { "restart-late", do_restart_late }, { "records", do_records },
    { "address", do_address },
    { "unprotected", do_unprotected }, { "metric", do_metric },
    { "rolled", do_rolled },   { "counters", do_counters }, { "roams", do_roams },
};

static void run(struct world *w, struct words *ws) {
    if (ws->n == 0)
        return;
    if (ws->w[0][0] == '+') {
        do_wait(w, ws);
        words_end(w, ws);
        return;
    }
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (strcmp(steps[i].name, ws->w[0]) != 0)
            continue;
        ws->used[0] = true;
        steps[i].run(w, ws);
        words_end(w, ws);
        return;
    }
    do_message(w, ws);
}

/* ---- lines */

static void do_raw(struct world *w, struct words *ws, FILE *f) {
    static char mem[MESSAGE_MAX * 4];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    struct phone *p = phone_find(w, word(w, ws, 1));
    const char *end = word(w, ws, 2);
    char line[MESSAGE_MAX];
    if (!p || strncmp(end, "<<", 2) != 0)
        fail(w, "raw PHONE <<END");
    world_all_read(w);
    while (fgets(line, sizeof line, f)) {
        w->line++;
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, end + 2) == 0)
            break;
        expand(w, line, &b);
        sbuf_lit(&b, "\r\n");
    }
    show(w, p, false, sbuf_slice(&b), false);
    world_send(w, &p->addr, b.p, b.n);
}

/* A line with a backslash at its end goes on in the next; without a blank before it, in the middle of a word. */
static bool read_line(struct world *w, FILE *f, char *line, size_t cap) {
    size_t n = 0;
    while (fgets(line + n, (int)(cap - n), f)) {
        size_t blanks = n && line[n - 1] != ' ' ? strspn(line + n, " ") : 0;
        memmove(line + n, line + n + blanks, strlen(line + n + blanks) + 1);
        w->line++;
        n += strcspn(line + n, "\n");
        line[n] = '\0';
        if (n == 0 || line[n - 1] != '\\')
            return true;
        line[--n] = '\0';
    }
    return n > 0;
}

void play(struct world *w, const char *file) {
    FILE *f = fopen(file, "r");
    char line[MESSAGE_MAX];
    if (!f)
        fail(w, "%s cannot be read", file);
    w->file = file;
    w->line = 0;
    while (read_line(w, f, line, sizeof line)) {
        static struct words ws;
        struct words *now = &ws, *nested = NULL;
        words_split(w, line, &ws);
        if (ws.n && strcmp(ws.w[0], "include") == 0) {
            nested = malloc(sizeof *nested);
            if (!nested)
                fail(w, "no memory");
            words_split(w, line, nested);
            now = nested;
        }
        if (ws.n && strcmp(ws.w[0], "raw") == 0)
            do_raw(w, &ws, f);
        else
            run(w, now);
        free(nested);
    }
    fclose(f);
}
