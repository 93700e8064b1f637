/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Orders of an operator, draining, and an offer too many, on an engine with one call of alice to bob. */
#include "tests/unit/engine_walk.h"
#include "tests/unit/unit.h"

#include <string.h>

#define SDP "v=0\r\no=- 1 1 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

static struct walk *walker;

static struct rig *new_rig(void) {
    struct engine_config c;
    walk_config(&c);
    walker = calloc(1, sizeof *walker);
    struct rig *r = rig_new(&c);
    walk_start(walker, r);
    return r;
}

static void end(struct rig *r) {
    rig_free(r);
    free(walker);
}

/* Alice calls bob, who rings or answers. */
static void call(struct rig *r, bool answer) {
    struct walk *w = walker;
    w->n = 0;
    walk_add(w,
             "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11:5060;branch=z9hG4bKcall\r\n"
             "From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n"
             "Contact: <sip:alice@192.0.2.11>\r\nContent-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(SDP), SDP);
    rig_clear(r);
    rig_recv(r, slice_of(w->text, (size_t)w->n), walk_address(0));
    struct slice invite = rig_last(r, "INVITE ");
    CU_ASSERT_FATAL(invite.p && invite.n < sizeof w->pending[0].text);
    struct sip_fault fault;
    memcpy(w->last, invite.p, invite.n);
    CU_ASSERT_FATAL(sip_parse(slice_of(w->last, invite.n), &w->msg, &fault) > 0);
    w->n = 0;
    walk_add(w, answer ? "SIP/2.0 200 OK\r\n" : "SIP/2.0 180 Ringing\r\n");
    walk_put_all(w, SIP_H_VIA);
    walk_put_all(w, SIP_H_FROM);
    walk_add(w, "To: %.*s;tag=b\r\n", SLICE_FMT(w->msg.to.value));
    walk_put_all(w, SIP_H_CALL_ID);
    walk_put_all(w, SIP_H_CSEQ);
    walk_add(w, "Contact: <sip:bob@192.0.2.12:5062>\r\n");
    walk_body(w, "application/sdp", answer ? SDP : "");
    rig_recv(r, slice_of(w->text, (size_t)w->n), walk_address(1));
    CHECK_EQ(rig_last_status(r), answer ? 200 : 180);
}

static const char *order(struct rig *r, const char *line) {
    rig_clear(r);
    rig_order(r, line);
    CHECK_TRUE(r->admin_last);
    return r->admin;
}

static void test_calls_and_show(void) {
    struct rig *r = new_rig();
    char id[17], line[32];
    CHECK_TRUE(*order(r, "calls") == '\0');
    call(r, false);
    CHECK_TRUE(strstr(order(r, "calls"), " setup 0s <sip:alice@example.com> <sip:bob@example.com>\n") != NULL);
    end(r);
    r = new_rig();
    call(r, true);
    rig_advance(r, 5 * RIG_SEC);
    const char *text = order(r, " calls\n");
    CHECK_TRUE(strstr(text, " up 5s <sip:alice@example.com> <sip:bob@example.com>\n") != NULL);
    snprintf(id, sizeof id, "%.16s", text);
    snprintf(line, sizeof line, "show %s", id);
    text = order(r, line);
    CHECK_TRUE(strncmp(text, id, 16) == 0);
    CHECK_TRUE(strstr(text, "  leg 0 ANSWERED STABLE <sip:alice@example.com> with leg 1 call-id c1 as user:alice") !=
               NULL);
    CHECK_TRUE(strstr(text, "  leg 1 UP STABLE <sip:bob@example.com> with leg 0 call-id ~") != NULL);
    CHECK_TRUE(strstr(text, " to 192.0.2.11:4000") != NULL);
    CHECK_TRUE(strstr(text, "  | ") != NULL && strstr(text, "INVITE sip:bob@192.0.2.12:5062 SIP/2.0") != NULL);
    end(r);
}

static void test_errors(void) {
    struct rig *r = new_rig();
    CHECK_TRUE(strncmp(order(r, "show 0123456789abcdef"), "error: no call 0123456789abcdef", 31) == 0);
    CHECK_TRUE(strncmp(order(r, "frobnicate"), "error: unknown order", 20) == 0);
    CHECK_TRUE(strncmp(order(r, ""), "error: unknown order", 20) == 0);
    CHECK_TRUE(strstr(order(r, "show \x01"), "\\x01") != NULL);
    end(r);
}

static void test_numbers(void) {
    struct rig *r = new_rig();
    call(r, true);
    const char *text = order(r, "metrics");
    CHECK_TRUE(strstr(text, "calls_started 1\n") && strstr(text, "calls_answered 1\n"));
    CHECK_TRUE(strstr(text, "registrations 3\n") != NULL);
    text = order(r, "leftover");
    CHECK_TRUE(strstr(text, "calls 1\n") && strstr(text, "legs 2\n") && strstr(text, "ports 2\n"));
    CHECK_TRUE(strstr(text, "transfers 0\n") && strstr(text, "bindings 3\n") && strstr(text, "records 1\n"));
    text = order(r, "registrations");
    CHECK_TRUE(strstr(text, "bob sip:bob@192.0.2.12:5062 from 192.0.2.12:5062") != NULL);
    end(r);
}

/* New calls get 503, what is there goes on until the deadline, then BYE; then nothing is left. */
static void test_drain(void) {
    struct rig *r = new_rig();
    call(r, true);
    struct event ev = { .kind = EV_DRAIN };
    ev.u.drain.deadline_us = r->now + 10 * RIG_SEC;
    rig_step(r, &ev);
    CHECK_FALSE(engine_drained(r->e));
    rig_advance(r, 9 * RIG_SEC);
    CHECK_EQ(rig_census(r).legs, 2);
    rig_clear(r);
    walk_call(walker); /* collects: look at the counters */
    CHECK_EQ(rig_census(r).calls, 1);
    rig_advance(r, 2 * RIG_SEC);
    CHECK_TRUE(rig_last(r, "BYE sip:bob@192.0.2.12:5062").p != NULL);
    CHECK_TRUE(rig_has(rig_last(r, "BYE sip:bob@"), "Shutting down"));
    rig_advance(r, 100 * RIG_SEC);
    CHECK_TRUE(engine_drained(r->e));
    CHECK_TRUE(rig_is_quiet(r));
    end(r);
}

/* A re-INVITE without offer is open across the bridge, and the one who is to answer it sends an offer in UPDATE. */
static void test_update_meets_late_offer(void) {
    struct rig *r = new_rig();
    struct walk *w = walker;
    call(r, true);
    struct walk_dialog *a = &w->dialogs[0], *b = &w->dialogs[1];
    struct sip_fault fault;
    CU_ASSERT_FATAL(sip_parse(rig_last(r, "SIP/2.0 200"), &w->msg, &fault) > 0);
    *a = (struct walk_dialog){ .used = true, .cseq = 2, .invite_cseq = 1, .call_id = "c1", .local_tag = "a" };
    snprintf(a->local, sizeof a->local, "sip:alice@example.com");
    snprintf(a->remote, sizeof a->remote, "sip:bob@example.com");
    walk_copy(a->remote_tag, sizeof a->remote_tag, w->msg.to_tag);
    walk_note_target(w, a);
    walk_head(w, a, "ACK", 1);
    walk_body(w, "", "");
    rig_recv(r, slice_of(w->text, (size_t)w->n), walk_address(0));
    CU_ASSERT_FATAL(sip_parse(rig_last(r, "ACK "), &w->msg, &fault) > 0);
    *b = (struct walk_dialog){ .used = true, .phone = 1, .cseq = 1, .local_tag = "b" };
    walk_copy(b->call_id, sizeof b->call_id, w->msg.call_id);
    walk_copy(b->remote_tag, sizeof b->remote_tag, w->msg.from_tag);
    walk_copy(b->target, sizeof b->target, slice_str(a->target));
    snprintf(b->local, sizeof b->local, "sip:bob@example.com");
    snprintf(b->remote, sizeof b->remote, "sip:alice@example.com");
    rig_clear(r);
    walk_head(w, a, "INVITE", 2);
    walk_body(w, "", "");
    rig_recv(r, slice_of(w->text, (size_t)w->n), walk_address(0));
    struct slice invite = rig_last(r, "INVITE ");
    CU_ASSERT_FATAL(invite.p != NULL);
    struct walk_pending p = { .used = true, .dialog = 1, .n = invite.n };
    memcpy(p.text, invite.p, invite.n);
    walk_head(w, b, "UPDATE", 1);
    walk_body(w, "application/sdp", SDP);
    rig_recv(r, slice_of(w->text, (size_t)w->n), walk_address(1));
    CHECK_EQ(rig_last_status(r), 491);
    w->willing_percent = 100;
    walk_respond(w, &p, 200);
    CHECK_EQ(rig_census(r).legs, 2);
    rig_advance(r, 100 * RIG_SEC); /* no ACK: it ends */
    CHECK_EQ(rig_census(r).calls, 0);
    end(r);
}

int main(void) {
    return UNIT_RUN("admin", UNIT(test_calls_and_show), UNIT(test_errors), UNIT(test_numbers), UNIT(test_drain),
                    UNIT(test_update_meets_late_offer));
}
