/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Who may send on a stream: the SDP's address, one other port that was learned, nobody else; whatever is forged.
 */
#include "tests/unit/relay_rig.h"

static uint32_t die;

static uint32_t roll(void) {
    die = die * 1664525u + 1013904223u;
    return die >> 8;
}

/* The party of stream 0 behind NAT: the SDP says 10.0.2.0:4000, its signalling comes from host 50. */
static struct rig behind_nat(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    struct media_cmd nat = remote_of(0);
    nat.nat = true;
    nat.rtp.ip[0] = nat.rtcp.ip[0] = 10;
    nat.signalling = at(50, 5060);
    CHECK_TRUE(command(&r, nat));
    return r;
}

/* True: the second of them was forwarded, after a first that was not. */
static bool learns(struct rig *r, struct addr src, uint16_t seq) {
    enum relay_drop first = rtp_from(r, 0, src, (struct sent){ seq, 160u * seq, 1 });
    r->now += FRAME_US;
    enum relay_drop second = rtp_from(r, 0, src, (struct sent){ (uint16_t)(seq + 1), 160u * (seq + 1), 1 });
    return first == RELAY_DROP_SOURCE && second == RELAY_FORWARD;
}

static bool hears_at(struct rig *r, uint8_t host, uint16_t port) {
    CHECK_EQ(say(r, 1, (struct sent){ 1, 1, 2 }), RELAY_FORWARD);
    return r->verdict.dst.ip[3] == host && r->verdict.dst.port == port;
}

static void signalled(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    struct sent s = { 1, 1, 1 };
    CHECK_EQ(rtp_from(&r, 0, at(9, 4000), s), RELAY_DROP_SOURCE);
    CHECK_EQ(rtp_from(&r, 0, at(0, 4000), s), RELAY_FORWARD);
    CHECK_FALSE(learns(&r, at(0, 5000), 7));
    CHECK_TRUE(command(&r, remote_of(0)));
    CHECK_TRUE(learns(&r, at(0, 5000), 7));
    CHECK_EQ(rtp_from(&r, 0, at(0, 4000), s), RELAY_FORWARD);
    CHECK_FALSE(learns(&r, at(0, 5002), 7));
    CHECK_TRUE(hears_at(&r, 0, 4000));
}

static void strict(void) {
    struct rig r = rig_new();
    open_parties(&r, 2);
    join(&r, 0, 1);
    struct media_cmd cmd = remote_of(0);
    cmd.nat = cmd.strict = true;
    cmd.signalling = at(0, 5060);
    CHECK_TRUE(command(&r, cmd));
    for (uint16_t i = 0; i < 200; i++, r.now += FRAME_US)
        CHECK_EQ(rtp_from(&r, 0, at(0, 5000), (struct sent){ i, 160u * i, 1 }), RELAY_DROP_SOURCE);
    CHECK_EQ(rtp_from(&r, 0, at(0, 4000), (struct sent){ 1, 1, 1 }), RELAY_FORWARD);
    r.now += RELAY_SILENCE_US;
    CHECK_FALSE(learns(&r, at(0, 5000), 7));
}

static void by_the_signalling(void) {
    struct rig r = behind_nat();
    CHECK_TRUE(hears_at(&r, 0, 4000));
    CHECK_FALSE(learns(&r, at(51, 33333), 1));
    CHECK_TRUE(learns(&r, at(50, 33333), 1));
    CHECK_HEARD(&r, 2, 320, 1, 0);
    CHECK_TRUE(hears_at(&r, 50, 33333));
    CHECK_FALSE(learns(&r, at(50, 33334), 1));
    CHECK_TRUE(hears_at(&r, 50, 33333));
}

static void named_by_the_sdp_at_once(void) {
    struct rig r = behind_nat();
    struct addr named = at(0, 4000);
    named.ip[0] = 10;
    CHECK_EQ(rtp_from(&r, 0, named, (struct sent){ 1, 1, 1 }), RELAY_FORWARD);
    CHECK_FALSE(learns(&r, at(50, 33333), 1));
}

static void what_is_no_sequence(void) {
    struct rig r = behind_nat();
    struct addr src = at(50, 33333);
    static const struct sent odd[] = { { 1, 160, 1 },  { 3, 320, 1 },      { 4, 480, 2 }, { 5, 99000, 2 },
                                       { 6, 98000, 2 }, { 6, 98160, 2 } };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        CHECK_EQ(rtp_from(&r, 0, src, odd[i]), RELAY_DROP_SOURCE);
    r.payload_type = 8;
    CHECK_EQ(rtp_from(&r, 0, src, (struct sent){ 7, 98320, 2 }), RELAY_DROP_SOURCE);
    CHECK_EQ(rtp_from(&r, 0, src, (struct sent){ 8, 98480, 2 }), RELAY_FORWARD);
}

/* Forged packets from everywhere, and from the party's own IP but ever other ports, 20 for each true one. */
static void a_spray_does_not_win(void) {
    for (uint32_t seed = 0; seed < 50; seed++) {
        struct rig r = behind_nat();
        uint32_t i = 0;
        die = seed;
        for (; i < 500; i++) {
            for (int k = 0; k < 20; k++, r.now += FRAME_US / 20) {
                struct sent s = { (uint16_t)roll(), roll(), roll() };
                struct addr src = at(k % 2 ? 50 : roll() % 250, (uint16_t)(1024 + roll() % 60000));
                if (src.port != 33333)
                    CHECK_EQ(rtp_from(&r, 0, src, s), RELAY_DROP_SOURCE);
            }
            if (rtp_from(&r, 0, at(50, 33333), (struct sent){ (uint16_t)i, 160 * i, 1 }) == RELAY_FORWARD)
                break;
        }
        CHECK_TRUE(i < 500);
        CHECK_TRUE(hears_at(&r, 50, 33333));
    }
}

/* T-7.8: a source that changes is heard when the relay is told anew ... */
static void told_anew(void) {
    struct rig r = behind_nat();
    CHECK_TRUE(learns(&r, at(50, 33333), 1));
    struct media_cmd nat = remote_of(0);
    nat.nat = true;
    nat.signalling = at(51, 5060);
    r.now++;
    CHECK_TRUE(command(&r, nat));
    CHECK_FALSE(learns(&r, at(50, 33333), 3));
    CHECK_TRUE(learns(&r, at(51, 40000), 3));
}

/* ... or when it was silent: a NAT that forgot, and only by the rules of the first time. */
static void after_silence(void) {
    struct rig r = behind_nat();
    CHECK_TRUE(learns(&r, at(50, 33333), 1));
    r.now += RELAY_SILENCE_US - 2 * FRAME_US;
    CHECK_FALSE(learns(&r, at(50, 40000), 9));
    r.now += 2 * FRAME_US;
    CHECK_FALSE(learns(&r, at(51, 40000), 20));
    CHECK_TRUE(learns(&r, at(50, 40002), 30));
    CHECK_TRUE(hears_at(&r, 50, 40002));
    CHECK_FALSE(learns(&r, at(50, 33333), 40));
}

int main(void) {
    return UNIT_RUN("relay_source", UNIT(signalled), UNIT(strict), UNIT(by_the_signalling),
                    UNIT(named_by_the_sdp_at_once), UNIT(what_is_no_sequence), UNIT(a_spray_does_not_win),
                    UNIT(told_anew), UNIT(after_silence));
}
