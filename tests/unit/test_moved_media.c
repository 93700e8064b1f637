/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Media of a call that goes over to another node for a transfer: that node's own address and ports. Each party that
 * goes on talking is told of them, once; until then the relay of the node that it came from goes on.
 */
#include "core/b2b/leg.h"
#include "tests/unit/pair_calls.h"

#define STREAMS 64

static struct engine_config config;

/* What the second node's relay was told, and how many INVITEs each phone was sent since the call moved. */
static struct {
    uint32_t to[STREAMS];
    struct addr remote[STREAMS];
    unsigned invites[RIG_PHONES];
    char cseq[RIG_PHONES][32];
    unsigned closed; /* streams of the first node */
    uint64_t opened; /* ... and since the call moved, a bit each */
} seen;

static void note_media(const struct pair *p, const struct media_cmd *c) {
    if (pair_current(p) == 0) {
        CHECK(c->stream < STREAMS);
        seen.closed += c->verb == MEDIA_CLOSE;
        seen.opened |= c->verb == MEDIA_OPEN ? UINT64_C(1) << c->stream : 0;
        return;
    }
    CHECK(c->stream < STREAMS);
    if (c->verb == MEDIA_OPEN)
        seen.to[c->stream] = MEDIA_NOWHERE;
    else if (c->verb == MEDIA_ROUTE)
        seen.to[c->stream] = c->to;
    else if (c->verb == MEDIA_REMOTE)
        seen.remote[c->stream] = c->rtp;
}

static void note_invite(const struct out *o) {
    struct slice text = buf_slice(o->u.send.buf);
    if (!slice_has_prefix(text, SL("INVITE ")))
        return;
    for (unsigned i = 0; i < RIG_PHONES; i++) {
        char cseq[32];
        struct addr at = rig_phone((enum rig_name)i);
        if (!addr_eq(&at, &o->u.send.dst))
            continue;
        rig_lines(text.p, "CSeq", cseq, sizeof cseq);
        seen.invites[i] += strcmp(cseq, seen.cseq[i]) != 0;
        memcpy(seen.cseq[i], cseq, sizeof cseq);
    }
}

static void on_out(struct rig *r, const struct out *o) {
    if (o->kind == OUT_MEDIA)
        note_media(pair_of(r), &o->u.media);
    else if (o->kind == OUT_SEND)
        note_invite(o);
    pair_on_out(r, o);
}

struct scene {
    struct pair *p;
    struct rig_dialog a, b; /* ALICE talks with BOB, at the first node */
    struct rig_dialog c, d; /* BOB asks CAROL, at the second */
};

/* BOB's REFER is accepted, and his call with ALICE has gone over to the second node. */
static struct scene scene_moved(void) {
    struct scene s = { .p = pair_new(&config) };
    s.p->e[1]->cfg.media_addr = rig_addr(201, 0);
    s.p->r.on_out = on_out;
    pair_entry(s.p, 2);
    pair_call_at(s.p, &s.a, &s.b, 0, ALICE, BOB);
    pair_call_at(s.p, &s.c, &s.d, 1, BOB, CAROL);
    memset(&seen, 0, sizeof seen);
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 100000);
    CHECK_EQ(pair_calls(s.p, 0), 0);
    CHECK_EQ(pair_calls(s.p, 1), 2);
    CHECK_EQ(seen.closed, 0); /* the first node's relay goes on */
    return s;
}

static bool tells_second(const struct scene *s, enum rig_name who) {
    return strstr(rig_last(&s->p->r, who, "INVITE", NULL), "\r\nc=IN IP4 192.0.2.201\r\n") != NULL;
}

/* The leg of the dialog with this remote tag. */
static const struct leg *leg_with(const struct scene *s, const char *tag) {
    const struct engine *e = s->p->e[1];
    uint32_t cursor = 0;
    handle h;
    for (const struct leg *l; (l = pool_next(&e->legs, &cursor, &h));)
        if (leg_is_live(l) && slice_eq(leg_str(l, DLG_REMOTE_TAG), slice_str(tag)))
            return l;
    return NULL;
}

/* What comes from the one goes to the other, at the port that it named last, and the other way round. */
static void check_talk(const struct scene *s, const char *tag, unsigned port, const char *other, unsigned other_port) {
    const struct leg *x = leg_with(s, tag), *y = leg_with(s, other);
    CHECK_TRUE(x && y);
    if (!x || !y)
        return;
    uint32_t i = x->media.streams[0]->slot, k = y->media.streams[0]->slot;
    CHECK_TRUE(x->media.streams[0]->open && y->media.streams[0]->open && i < STREAMS && k < STREAMS);
    CHECK_TRUE(seen.to[i] == k && seen.to[k] == i);
    CHECK_EQ(seen.remote[i].port, port);
    CHECK_EQ(seen.remote[k].port, other_port);
}

static void nothing_left(struct scene *s) {
    pair_wait(s->p, 120000000);
    CHECK_TRUE(pair_is_quiet(s->p));
    pair_end(s->p);
}

static void test_transferred(void) {
    struct scene s = scene_moved();
    struct rig *r = &s.p->r;
    struct rig_dialog carol;
    CHECK_TRUE(tells_second(&s, CAROL));
    rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(r, CAROL, "INVITE", 200, rig_sdp("0", "sendrecv", 43000), &carol);
    rig_request(r, &s.d, "BYE", "", "");
    CHECK_TRUE(tells_second(&s, ALICE));
    rig_reply(r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40002), NULL);
    rig_reply(r, BOB, "BYE", 200, "", NULL);
    rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    rig_request(r, &s.b, "BYE", "", "");
    pair_wait(s.p, 3000000);
    CHECK_EQ(seen.invites[ALICE], 1);
    CHECK_EQ(seen.invites[BOB], 0);
    CHECK_EQ(seen.invites[CAROL], 1);
    check_talk(&s, s.a.local_tag, 40002, carol.local_tag, 43000);
    pair_hang_up(s.p, &s.a, CAROL);
    nothing_left(&s);
}

/* Nothing has come of it: both are told, one after the other, and talk by way of the second node. */
static void test_refused(void) {
    struct scene s = scene_moved();
    struct rig *r = &s.p->r;
    rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    rig_reply(r, CAROL, "INVITE", 603, "", NULL);
    rig_reply(r, BOB, "NOTIFY", 200, "", NULL);
    pair_wait(s.p, 300000);
    CHECK_TRUE(tells_second(&s, ALICE));
    rig_reply(r, ALICE, "INVITE", 200, rig_sdp("0", "sendrecv", 40002), NULL);
    pair_wait(s.p, 300000);
    CHECK_TRUE(tells_second(&s, BOB));
    rig_reply(r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41002), NULL);
    pair_wait(s.p, 3000000);
    CHECK_EQ(seen.invites[ALICE], 1);
    CHECK_EQ(seen.invites[BOB], 1);
    check_talk(&s, s.a.local_tag, 40002, s.b.local_tag, 41002);
    pair_hang_up(s.p, &s.a, BOB);
    pair_hang_up(s.p, &s.c, CAROL);
    nothing_left(&s);
}

/* The transfer takes its time, and its parties still send to the first node: nobody else gets those ports. */
static void test_ports_left(void) {
    struct scene s = { .p = pair_new(&config) };
    struct rig_dialog e, f;
    uint64_t left;
    uint32_t generation;
    memset(&seen, 0, sizeof seen);
    s.p->r.on_out = on_out;
    pair_entry(s.p, 2);
    pair_call_at(s.p, &s.a, &s.b, 0, ALICE, BOB);
    pair_call_at(s.p, &s.c, &s.d, 1, BOB, CAROL);
    left = seen.opened;
    CHECK_TRUE(left != 0);
    rig_refer(&s.p->r, &s.b, CAROL, &s.c);
    pair_wait(s.p, 100000);
    CHECK_EQ(pair_calls(s.p, 0), 0);
    pair_wait(s.p, config.media_quarantine_us);
    seen.opened = 0;
    for (unsigned i = 0; i < 40; i++) /* all but a few are taken */
        port_pool_take(&s.p->e[0]->ports, s.p->r.now, &generation);
    for (unsigned i = 0; i < 10; i++) {
        pair_call_at(s.p, &e, &f, 0, BOB, ALICE);
        pair_hang_up(s.p, &e, ALICE);
        pair_wait(s.p, 2000000);
    }
    CHECK_TRUE(seen.opened != 0);
    CHECK_EQ(seen.opened & left, 0);
    pair_end(s.p);
}

/* Nor are they kept when the call is over. */
static void test_ports_back(void) {
    struct scene s = scene_moved();
    const struct port_pool *ports = &s.p->e[0]->ports;
    rig_reply(&s.p->r, BOB, "NOTIFY", 200, "", NULL);
    CHECK_EQ(ports->rest, 2);
    rig_reply(&s.p->r, CAROL, "INVITE", 603, "", NULL);
    rig_reply(&s.p->r, BOB, "NOTIFY", 200, "", NULL);
    pair_wait(s.p, 300000);
    CHECK_EQ(ports->rest, 2);
    pair_hang_up(s.p, &s.a, BOB);
    pair_wait(s.p, 100000);
    CHECK_EQ(ports->rest, 0);
    pair_hang_up(s.p, &s.c, CAROL);
    nothing_left(&s);
}

int main(void) {
    return UNIT_RUN("moved media", UNIT(test_transferred), UNIT(test_refused), UNIT(test_ports_left),
                    UNIT(test_ports_back));
}
