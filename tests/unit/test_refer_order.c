/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A REFER that waits for its call to move to another engine, while a later one is carried out: each of them once.
 */
#include "tests/unit/pair_scene.h"

static struct engine_config config;

static unsigned count(const struct rig *r, enum rig_name who, const char *start) {
    struct addr at = rig_phone(who);
    unsigned n = 0;
    for (uint32_t i = r->sent_n > RIG_SENT ? r->sent_n - RIG_SENT : 0; i < r->sent_n; i++)
        n += addr_eq(&r->sent[i % RIG_SENT].dst, &at) && !strncmp(r->sent[i % RIG_SENT].text, start, strlen(start));
    return n;
}

static void accept_again(struct scene *s, enum rig_name who, unsigned port) {
    if (*last_to(s, who, "INVITE", NULL))
        rig_reply(&s->p->r, who, "INVITE", 200, rig_sdp("0", "sendrecv", port), NULL);
}

/* CAROL does not want to be called; BOB is told so. Who is re-INVITEd accepts that. */
static void refuse(struct scene *s) {
    rig_reply(&s->p->r, CAROL, "INVITE", 603, "", NULL);
    for (unsigned i = 0; i < 3; i++) {
        rig_reply(&s->p->r, BOB, "NOTIFY", 200, "", NULL);
        accept_again(s, ALICE, 40000);
        accept_again(s, BOB, 41000);
        pair_wait(s->p, 300000);
    }
}

/* The later one comes again when both are over, and the call has moved for the earlier one. */
static void test_later_first(void) {
    struct scene s = scene_at(&config, 0, 0);
    struct rig_dialog later;
    s.p->linked = false;
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    later = s.b;
    rig_refer(&s.p->r, &s.b, CAROL, NULL);
    CHECK_TRUE(strstr(last_to(&s, BOB, "SIP/2.0 202", "REFER"), "SIP/2.0 202") != NULL);
    refuse(&s);
    CHECK_TRUE(strstr(last_to(&s, BOB, "NOTIFY", NULL), "terminated") != NULL);
    CHECK_EQ(pair_calls(s.p, 0), 1);
    s.p->linked = true;
    pair_wait(s.p, 500000);
    refuse(&s);
    CHECK_EQ(pair_calls(s.p, 0), 0);
    pair_wait(s.p, 10000000);
    s.p->r.sent_n = 0;
    memset(s.p->r.sent, 0, sizeof s.p->r.sent);
    pair_entry(s.p, 1);
    rig_refer(&s.p->r, &later, CAROL, NULL);
    CHECK_TRUE(*last_to(&s, BOB, "SIP/2.0 202", "REFER") != '\0');
    CHECK_EQ(count(&s.p->r, CAROL, "INVITE"), 0);
    CHECK_EQ(count(&s.p->r, BOB, "NOTIFY"), 0);
    pair_end(s.p);
}

int main(void) {
    return UNIT_RUN("REFERs in another order", UNIT(test_later_first));
}
