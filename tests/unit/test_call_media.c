/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What the load generator makes of RTP: lost, doubled, foreign, from the wrong address.
 */
#include "bench/call/call.h"
#include "tests/unit/unit.h"

#include <string.h>

#define SENT_MAX 16

static struct load l;
static struct bcall calls[2];
static struct packet {
    enum party from;
    struct addr dst;
    char bytes[256];
    uint32_t n;
} sent[SENT_MAX];
static unsigned sent_n, done_n;

/* ---- in place of the rest of the generator */

void wire_rtp(enum party from, const struct addr *dst, const void *packet, uint32_t n) {
    struct packet *p = &sent[sent_n++ % SENT_MAX];
    *p = (struct packet){ .from = from, .dst = *dst, .n = n };
    memcpy(p->bytes, packet, n);
}

void scenario_media_done(struct load *load, struct bcall *c) {
    (void)load;
    (void)c;
    done_n++;
}

void message_put_name(struct sbuf *b, enum party p, const struct load *load, uint32_t call, unsigned dlg) {
    (void)load;
    sbuf_char(b, (char)('a' + p));
    sbuf_hex(b, call, 12);
    sbuf_hex(b, dlg, 1);
}

bool message_read_name(const struct load *load, struct slice s, uint32_t *call, unsigned *dlg) {
    *call = (uint32_t)(s.p[12] - '0');
    *dlg = (unsigned)(s.p[13] - '0');
    return load->calls[*call].used;
}

/* ---- a call of A and B whose target relays media at two ports */

static struct addr relay(uint16_t port) {
    return (struct addr){ .ip = { 127, 0, 0, 2 }, .family = ADDR_V4, .port = port };
}

static void begin(void) {
    memset(&l, 0, sizeof l);
    memset(calls, 0, sizeof calls);
    sent_n = done_n = 0;
    l.calls = calls;
    wheel_init(&l.wheel, 0);
    for (unsigned i = 0; i < 2; i++) {
        struct bcall *c = &calls[i];
        c->used = true;
        c->dlg[0] = (struct dlg){ .party = PARTY_A, .index = 0, .call = i, .media = relay((uint16_t)(1000 + i)) };
        c->dlg[1] = (struct dlg){ .party = PARTY_B, .index = 1, .call = i, .media = relay((uint16_t)(2000 + i)) };
        c->dialogs = 2;
    }
    media_begin(&l, &calls[0], &calls[0].dlg[1]);
}

/* As the relay does: what A sends to its own side comes to B from B's, and the other way round. */
static void deliver(const struct packet *p) {
    enum party to = p->from == PARTY_A ? PARTY_B : PARTY_A;
    media_receive(&l, to, slice_of(p->bytes, p->n), &calls[0].dlg[to == PARTY_B].media);
}

/* All that is sent arrives, but `lost` of them. */
static void talk(unsigned lost) {
    for (unsigned i = 0; done_n == 0 && i < MEDIA_PACKETS; i++) {
        for (unsigned k = 2 * i; k < sent_n; k++)
            if (k >= lost)
                deliver(&sent[k]);
        if (sent_n < 2 * MEDIA_PACKETS)
            media_timer(&l, &calls[0]);
    }
}

static void test_all_arrives(void) {
    begin();
    CHECK_EQ(sent[0].dst.port, 1000);
    CHECK_EQ(sent[1].dst.port, 2000);
    talk(0);
    CHECK_EQ(sent_n, 2 * MEDIA_PACKETS);
    CHECK_EQ(done_n, 1);
    CHECK_EQ(l.t.rtp_calls, 1);
    CHECK_EQ(l.t.rtp_sent, 2 * MEDIA_PACKETS);
    CHECK_EQ(l.t.rtp_bad + l.t.rtp_lost + l.t.rtp_foreign, 0);
}

static void test_lost(void) {
    begin();
    talk(3);
    CHECK_EQ(done_n, 0);
    media_timer(&l, &calls[0]); /* what is late is lost */
    CHECK_EQ(done_n, 1);
    CHECK_EQ(l.t.rtp_lost, 3);
    CHECK_EQ(l.t.rtp_bad, 1);
    deliver(&sent[0]);
    CHECK_EQ(l.t.rtp_foreign, 0);
}

static void test_doubled(void) {
    begin();
    deliver(&sent[0]);
    deliver(&sent[0]);
    CHECK_EQ(l.t.rtp_foreign, 1);
    talk(1);
    CHECK_EQ(l.t.rtp_bad, 1);
}

static void test_wrong_payload(void) {
    begin();
    sent[0].bytes[100] ^= 1;
    deliver(&sent[0]);
    CHECK_EQ(l.t.rtp_foreign, 1);
    CHECK_EQ(calls[0].media.got[0], 0);
}

static void test_wrong_address(void) {
    struct addr other = relay(2001);
    begin();
    media_receive(&l, PARTY_B, slice_of(sent[0].bytes, sent[0].n), &other);
    CHECK_EQ(l.t.rtp_foreign, 1);
    other = calls[0].dlg[0].media; /* A gets back what it has sent */
    media_receive(&l, PARTY_A, slice_of(sent[0].bytes, sent[0].n), &other);
    CHECK_EQ(l.t.rtp_foreign, 2);
    CHECK_EQ(calls[0].media.got[0], 0);
}

/* Another call's packet in this one's place: it is that call's, and comes from where none of it should. */
static void test_other_call(void) {
    begin();
    media_begin(&l, &calls[1], &calls[1].dlg[1]);
    media_receive(&l, PARTY_B, slice_of(sent[2].bytes, sent[2].n), &calls[0].dlg[1].media);
    CHECK_EQ(l.t.rtp_foreign, 1);
    CHECK_TRUE(calls[1].media.foreign);
}

int main(void) {
    return UNIT_RUN("call_media", UNIT(test_all_arrives), UNIT(test_lost), UNIT(test_doubled), UNIT(test_wrong_payload),
                    UNIT(test_wrong_address), UNIT(test_other_call));
}
