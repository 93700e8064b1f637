/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The bytes of a word that a call, or legs of it, are over (core/b2b/owner_over_word.h), which other releases read and
 * say: to the letter, cut off, and made up.
 */
#include "core/b2b/owner_over_word.h"
#include "tests/unit/unit.h"

#define CALL "0123456789abcdef"
#define SINCE "@000000000000001a"
#define VERSIONS "\x01\x02\x03\x04\x00\x00\x00\x00"
#define DIALOGS "#\x11\x22\x33\x44\x00\x00"
#define MOVED ">\x02\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xf0\x10\x11\x12"

/* Of five legs two live, one of which no version is said; one is in another call, and of one nothing is known. */
static const struct over_said legs = {
    .call = 0x0123456789abcdef,
    .next_leg = 5,
    .since = 0x1a,
    .unwritten = 2,
    .has_more = true,
    .living_n = 2,
    .living = { { 1, 0x01020304 }, { 3, 0 } },
    .ended_n = 3,
    .ended = { { .number = 4, .dialog = 0x1122 },
               { .number = 2, .dialog = 0x3344, .is_moved = true,
                 .there = { .bucket = 0x0506, .call = 0x0708090a0b0c0d0e, .version = 0xf0101112 } },
               { .number = 0 } },
};

static void check_same(const struct over_said *got, const struct over_said *want) {
    CHECK_TRUE(got->call == want->call && got->since == want->since);
    CHECK_EQ(got->unknown, want->unknown);
    CHECK_EQ(got->all, want->all);
    CHECK_EQ(got->next_leg, want->next_leg);
    CHECK_EQ(got->unwritten, want->unwritten);
    CHECK_EQ(got->has_more, want->has_more);
    CHECK_EQ(got->living_n, want->living_n);
    CHECK_EQ(got->ended_n, want->ended_n);
    for (unsigned i = 0; i < LIMIT_LEGS_PER_CALL; i++) {
        const struct over_ended *x = &got->ended[i], *y = &want->ended[i];
        CHECK_EQ(got->living[i].number, want->living[i].number);
        CHECK_EQ(got->living[i].version, want->living[i].version);
        CHECK_TRUE(x->number == y->number && x->dialog == y->dialog && x->is_moved == y->is_moved);
        CHECK_TRUE(x->there.bucket == y->there.bucket && x->there.call == y->there.call);
        CHECK_EQ(x->there.version, y->there.version);
    }
}

/* Read from memory of just its size. */
static bool read_exactly(struct slice bytes, struct over_said *s) {
    char *copy = malloc(bytes.n ? bytes.n : 1);
    CHECK(copy);
    memcpy(copy, bytes.p, bytes.n);
    bool is_word = over_said_read(slice_of(copy, bytes.n), s);
    free(copy);
    CHECK_TRUE(s->living_n <= LIMIT_LEGS_PER_CALL && s->ended_n <= LIMIT_LEGS_PER_CALL);
    return is_word;
}

static void check_read(struct slice bytes, const struct over_said *want) {
    struct over_said s;
    CHECK_TRUE(read_exactly(bytes, &s));
    check_same(&s, want);
}

static void check_both(const struct over_said *s, struct slice bytes) {
    char text[OVER_LEN];
    struct sbuf b = sbuf_on(text, sizeof text);
    over_said_write(s, &b);
    CHECK_TRUE(!b.overflow && slice_eq(sbuf_slice(&b), bytes));
    check_read(bytes, s);
}

static void test_legs(void) {
    check_both(&legs, SL(CALL "050103" SINCE "02" VERSIONS DIALOGS MOVED));
}

/* As many legs as can be. */
static void test_none_over(void) {
    struct over_said s = { .call = 10, .next_leg = 8, .since = UINT64_MAX, .unwritten = 255, .has_more = true };
    for (; s.living_n < LIMIT_LEGS_PER_CALL; s.living_n++)
        s.living[s.living_n] = (struct over_living){ s.living_n, 0x30303030 };
    check_both(&s, SL("000000000000000a"
                      "08"
                      "0001020304050607@ffffffffffffffffff00000000000000000000000000000000#"));
}

static void test_whole(void) {
    struct over_said s = { .call = legs.call, .all = true, .next_leg = 2, .ended_n = 2 };
    s.ended[0] = (struct over_ended){ .number = 1, .dialog = 0x4030 }; /* '@', '0' */
    s.ended[1] = (struct over_ended){ .number = 0, .dialog = 0x3030 };
    check_both(&s, SL(CALL "ff\x02#\x40\x30\x30\x30"));
    s.ended[0] = legs.ended[1];
    s.ended[0].number = 1;
    check_both(&s, SL(CALL "ff\x02#\x33\x44\x30\x30>\x01\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xf0\x10\x11\x12"));
}

static void test_unknown(void) {
    check_both(&(struct over_said){ .call = legs.call, .unknown = true }, SL(CALL "00"));
}

/* What releases of before say. */
static void test_older(void) {
    struct over_said s = { .call = legs.call, .next_leg = 5, .living_n = 2, .living = { { 1, 0 }, { 3, 0 } } };
    check_read(SL(CALL "050103"), &s);
    s.since = 0x1a;
    check_read(SL(CALL "050103" SINCE), &s);
    s.unwritten = 1;
    check_read(SL(CALL "050103" SINCE "01"), &s);
    s = (struct over_said){ .call = legs.call, .all = true, .next_leg = UINT8_MAX };
    check_read(SL(CALL "ff"), &s);
    s.living_n = 2;
    s.living[0].number = 1;
    s.living[1].number = 3;
    check_read(SL(CALL "ff0103"), &s);
}

/* Of legs that are moved those are said for which there is room. */
static void test_room(void) {
    struct over_said s = { .call = legs.call, .next_leg = 8, .since = 1 }, got;
    char text[OVER_LEN];
    struct sbuf b = sbuf_on(text, sizeof text);
    for (; s.ended_n < LIMIT_LEGS_PER_CALL; s.ended_n++) {
        s.ended[s.ended_n] = legs.ended[1];
        s.ended[s.ended_n].number = (uint8_t)(7 - s.ended_n);
    }
    over_said_write(&s, &b);
    CHECK_TRUE(!b.overflow && b.n + OVER_MOVED_LEN > OVER_LEN);
    CHECK_TRUE(read_exactly(sbuf_slice(&b), &got));
    CHECK_EQ(got.ended_n, LIMIT_LEGS_PER_CALL);
    for (unsigned i = 0; i < LIMIT_LEGS_PER_CALL; i++)
        CHECK_EQ(got.ended[i].is_moved, i < (OVER_LEN - 18 - 19 - 17 - 1) / OVER_MOVED_LEN);
}

/* The dialogs of eight legs are said: behind them is what is moved, and nothing of legs of before. */
static void test_long_ago(void) {
    struct over_said s;
    CHECK_TRUE(read_exactly(SL(CALL "ff\x0a#ddddddddddddddddddd"), &s));
    CHECK_EQ(s.ended_n, LIMIT_LEGS_PER_CALL);
    CHECK_TRUE(over_said_ended(&s, 2) && over_said_ended(&s, 9));
    CHECK_TRUE(!over_said_ended(&s, 1) && !over_said_ended(&s, 10));
}

/* Where it ends too early, what is behind that is not said. */
static void test_cut(void) {
    static const char whole[] = CALL "050103" SINCE "02" VERSIONS DIALOGS MOVED;
    for (unsigned n = 0; n < sizeof whole - 1; n++) {
        struct over_said s;
        CHECK_EQ(read_exactly(slice_of(whole, n), &s), n >= 18);
        CHECK_EQ(s.living_n, n < 20 ? 0 : n < 22 ? 1 : 2);
        CHECK_EQ(s.since, n < 39 ? 0 : 0x1a);
        CHECK_EQ(s.unwritten, n < 41 ? 0 : 2);
        CHECK_EQ(s.living[0].version, n < 45 ? 0 : 0x01020304);
        CHECK_EQ(s.ended_n, n < 52 ? 0 : n < 54 ? 1 : n < 56 ? 2 : 3);
        CHECK_FALSE(s.ended[1].is_moved);
    }
}

/* Nothing is made of what no engine says: more legs than a call has, one that is moved and lives, or was never there,
 * or is said twice. */
static void test_made_up(void) {
    struct over_said s;
    CHECK_FALSE(read_exactly(SL("0123456789abcdeg05"), &s));
    CHECK_FALSE(read_exactly(SL(CALL "0g"), &s));
    CHECK_FALSE(read_exactly(SL(CALL "20000102030405060708" SINCE "00"), &s));
    CHECK_TRUE(read_exactly(SL(CALL "050103" SINCE "0200000000" DIALOGS ">\x01" MOVED), &s));
    CHECK_FALSE(s.ended[0].is_moved || s.ended[1].is_moved || s.ended[2].is_moved);
    CHECK_TRUE(read_exactly(SL(CALL "050103" SINCE "02" VERSIONS DIALOGS MOVED
                               "\x02==============\x63==============\x04=============="), &s));
    CHECK_EQ(s.ended[1].there.bucket, 0x0506);
    CHECK_TRUE(s.ended[0].is_moved && s.ended[0].there.bucket == 0x3d3d);
}

int main(void) {
    return UNIT_RUN("a word that it is over", UNIT(test_legs), UNIT(test_none_over), UNIT(test_whole),
                    UNIT(test_unknown), UNIT(test_older), UNIT(test_room), UNIT(test_long_ago), UNIT(test_cut),
                    UNIT(test_made_up));
}
