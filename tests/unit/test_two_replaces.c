/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * INVITE with Replaces (RFC 3891), and REFER with Target-Dialog (RFC 4538), from outside the dialog that they name,
 * which another engine has, or nobody: it has been there all the time, or its call has moved there.
 */
#include "tests/unit/pair_scene.h"

static struct engine_config config;

/* INVITE with Replaces (a pickup, or a REFER that another box carries out) of a dialog that the other engine has; its
 * CANCEL and ACK have only the Call-ID. */
static void test_invite_replaces(void) {
    struct pair *p = pair_new(&config);
    struct rig_dialog a, b, n;
    char headers[512];
    pair_call_at(p, &a, &b, 1, ALICE, BOB);
    do
        rig_dialog_new(&n, BOB, ALICE);
    while (pair_owner(pair_hash(&config, n.call_id)) != 0);
    snprintf(headers, sizeof headers, "Supported: replaces\r\nReplaces: %s;to-tag=%s;from-tag=%s\r\n", b.call_id,
             b.remote_tag, b.local_tag);
    rig_request(&p->r, &n, "INVITE", headers, rig_sdp("0 8", "sendrecv", 44000));
    rig_reply(&p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
    rig_learn(&p->r, &n, "SIP/2.0 200");
    rig_request(&p->r, &n, "ACK", "", "");
    rig_reply(&p->r, BOB, "BYE", 200, "", NULL);
    CHECK_EQ(pair_calls(p, 0), 0);
    pair_hang_up(p, &n, ALICE);
    pair_wait(p, 400000000);
    CHECK_TRUE(record_nothing_left(p->e[0]) && record_nothing_left(p->e[1]));
    pair_end(p);
}

/* BOB's INVITE, whose Call-ID belongs to that engine, is to replace his dialog of the call that has moved; with another
 * Call-ID than that has, if `forged`. */
static void invite_replacing(struct scene *s, struct rig_dialog *n, unsigned owner, bool forged) {
    char headers[512];
    do
        rig_dialog_new(n, BOB, ALICE);
    while (pair_owner(pair_hash(&config, n->call_id)) != owner);
    snprintf(headers, sizeof headers, "Require: replaces\r\nReplaces: %s%s;to-tag=%s;from-tag=%s\r\n", s->b.call_id,
             forged ? "x" : "", s->b.remote_tag, s->b.local_tag);
    rig_request(&s->p->r, n, "INVITE", headers, rig_sdp("0 8", "sendrecv", 44000));
}

/* The dialog is where the stub of its token leads, whichever engine has the INVITE first. */
static void test_invite_replaces_moved(void) {
    for (unsigned owner = 0; owner < 2; owner++)
        for (unsigned entry = 0; entry < 2; entry++) {
            struct scene s = scene_moved(&config, 2);
            struct rig_dialog n;
            pair_entry(s.p, entry);
            invite_replacing(&s, &n, owner, false);
            rig_reply(&s.p->r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40000), NULL);
            rig_learn(&s.p->r, &n, "SIP/2.0 200");
            rig_request(&s.p->r, &n, "ACK", "", "");
            rig_reply(&s.p->r, BOB, "BYE", 200, "", NULL);
            pair_hang_up(s.p, &n, ALICE);
            pair_hang_up(s.p, &s.c, CAROL);
            pair_wait(s.p, 400000000);
            CHECK_TRUE(record_nothing_left(s.p->e[0]) && record_nothing_left(s.p->e[1]));
            CHECK_EQ(metrics_get(engine_metrics(s.p->e[0]), M_peer_dropped), 0);
            CHECK_EQ(metrics_get(engine_metrics(s.p->e[1]), M_peer_dropped), 0);
            pair_end(s.p);
        }
}

/* Its CANCEL, which has only the Call-ID, goes the same way. */
static void test_cancel_replaces_moved(void) {
    for (unsigned owner = 0; owner < 2; owner++)
        for (unsigned entry = 0; entry < 2; entry++) {
            struct scene s = scene_moved(&config, 2);
            struct rig_dialog n;
            pair_entry(s.p, entry);
            invite_replacing(&s, &n, owner, false);
            rig_request(&s.p->r, &n, "CANCEL", "", "");
            CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 200", "CANCEL") != '\0');
            CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 487", "INVITE") != '\0');
            pair_end(s.p);
        }
}

/* The ACK to a refusal is of the INVITE's own transaction. */
static void acknowledge(struct scene *s, const struct rig_dialog *n, const char *refusal) {
    char text[RIG_TEXT], to[512];
    rig_lines(refusal, "To", to, sizeof to);
    snprintf(text, sizeof text,
             "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.%u:5060;branch=z9hG4bK%s%u\r\nFrom: <%s>;tag=%s\r\n%s"
             "Call-ID: %s\r\nCSeq: %u ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
             n->target, rig_phone(n->who).ip[3], n->local_tag, n->cseq, n->local, n->local_tag, to, n->call_id,
             n->cseq);
    rig_recv(&s->p->r, n->who, text);
}

/* One that nobody knows is refused where the stub leads, and once. */
static void test_invite_replaces_nothing(void) {
    for (unsigned owner = 0; owner < 2; owner++)
        for (unsigned entry = 0; entry < 2; entry++) {
            struct scene s = scene_moved(&config, 2);
            struct rig_dialog n;
            pair_entry(s.p, entry);
            invite_replacing(&s, &n, owner, true);
            CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 481", "INVITE") != '\0');
            acknowledge(&s, &n, last_to(&s, BOB, "SIP/2.0 481", "INVITE"));
            s.p->sends = 0;
            pair_wait(s.p, 5000000);
            CHECK_EQ(s.p->sends, 0);
            CHECK_EQ(metrics_get(engine_metrics(s.p->e[0]), M_peer_dropped), 0);
            CHECK_EQ(metrics_get(engine_metrics(s.p->e[1]), M_peer_dropped), 0);
            pair_end(s.p);
        }
}

/* BOB's REFER from outside the dialog of the call that has moved, or of none, goes there as well. */
static void test_target_dialog_moved(void) {
    for (unsigned i = 0; i < 8; i++) {
        struct scene s = scene_moved(&config, 2);
        struct rig_dialog n;
        char headers[512];
        pair_entry(s.p, i & 1);
        do
            rig_dialog_new(&n, BOB, ALICE);
        while (pair_owner(pair_hash(&config, n.call_id)) != (i >> 1 & 1));
        snprintf(headers, sizeof headers,
                 "Target-Dialog: %s%s;local-tag=%s;remote-tag=%s\r\nRefer-To: <sip:carol@192.0.2.1>\r\n",
                 s.b.call_id, i & 4 ? "x" : "", s.b.remote_tag, s.b.local_tag);
        rig_request(&s.p->r, &n, "REFER", headers, "");
        CHECK_TRUE(*last_to(&s, BOB, i & 4 ? "SIP/2.0 481" : "SIP/2.0 202", "REFER") != '\0');
        CHECK_EQ(metrics_get(engine_metrics(s.p->e[0]), M_peer_dropped), 0);
        CHECK_EQ(metrics_get(engine_metrics(s.p->e[1]), M_peer_dropped), 0);
        pair_end(s.p);
    }
}

int main(void) {
    return UNIT_RUN("dialogs named over two engines", UNIT(test_invite_replaces), UNIT(test_invite_replaces_moved),
                    UNIT(test_cancel_replaces_moved), UNIT(test_invite_replaces_nothing),
                    UNIT(test_target_dialog_moved));
}
