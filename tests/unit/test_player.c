/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Music and tones: WAV files read, ringback by country, the beat of 20 ms.
 */
#include "core/runtime/player.h"
#include "rtp/g711.h"
#include "tests/unit/unit.h"

#include <math.h>

static uint8_t wav[4096];

static void put16(uint8_t *p, unsigned v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

struct form {
    unsigned format, channels, rate, bits;
};

/* Frames of a ramp, behind a chunk of odd length that nobody knows. */
static size_t make_wav(struct form f, unsigned samples) {
    unsigned bytes = samples * f.bits / 8;
    memset(wav, 0, sizeof wav);
    memcpy(wav, "RIFF....WAVELIST", 16);
    put16(wav + 16, 3);
    uint8_t *fmt = wav + 24;
    memcpy(fmt, "fmt ", 4);
    put16(fmt + 4, 16);
    put16(fmt + 8, f.format);
    put16(fmt + 10, f.channels);
    put16(fmt + 12, f.rate);
    put16(fmt + 22, f.bits);
    memcpy(fmt + 24, "data", 4);
    put16(fmt + 28, bytes);
    for (unsigned i = 0; i < samples; i++) {
        if (f.bits == 16)
            put16(fmt + 32 + 2 * i, i * 50);
        else
            fmt[32 + i] = f.format == 6 ? g711_alaw((int16_t)(i * 50)) : g711_ulaw((int16_t)(i * 50));
    }
    return 24 + 32 + bytes;
}

/* Every code of either law comes back from its own value; values come back within the law's step. */
static void test_g711(void) {
    for (int i = 0; i < 256; i++) {
        CHECK_EQ(g711_alaw(g711_from_alaw((uint8_t)i)), i);
        if (i != 0x7f) /* the other zero */
            CHECK_EQ(g711_ulaw(g711_from_ulaw((uint8_t)i)), i);
    }
    for (int v = -32768; v < 32768; v += 7) {
        int limit = abs(v) / 16 + 16;
        CHECK_TRUE(abs(g711_from_alaw(g711_alaw((int16_t)v)) - v) <= limit);
        CHECK_TRUE(abs(v) > 32635 || abs(g711_from_ulaw(g711_ulaw((int16_t)v)) - v) <= limit);
    }
    CHECK_EQ(g711_ulaw(0), 0xff);
    CHECK_EQ(g711_alaw(0), 0xd5);
}

static void test_wav(void) {
    const struct form forms[] = { { 1, 1, 8000, 16 }, { 6, 1, 8000, 8 }, { 7, 1, 8000, 8 } };
    struct player_source s = { 0 };
    for (unsigned i = 0; i < 3; i++) {
        size_t n = make_wav(forms[i], 500);
        CHECK_TRUE(player_wav(&s, wav, n) == NULL);
        CHECK_EQ(s.frames, 3);
        CHECK_TRUE(abs(g711_from_alaw(s.alaw[400]) - 20000) < 1500);
        CHECK_TRUE(abs(g711_from_ulaw(s.ulaw[400]) - 20000) < 1500);
        CHECK_TRUE(player_wav(&s, wav, n - 200) == NULL); /* cut */
    }
    player_source_free(&s);
}

static void test_wrong_wav(void) {
    const struct form wrong[] = { { 1, 2, 8000, 16 }, { 1, 1, 16000, 16 }, { 3, 1, 8000, 16 }, { 1, 1, 8000, 8 } };
    struct player_source s = { 0 };
    for (unsigned i = 0; i < 4; i++) {
        size_t n = make_wav(wrong[i], 500);
        CHECK_TRUE(player_wav(&s, wav, n) != NULL);
    }
    size_t n = make_wav((struct form){ 1, 1, 8000, 16 }, 500);
    for (size_t k = 0; k < 80; k++)
        CHECK_TRUE(player_wav(&s, wav, k) != NULL); /* too short for the header or for a frame */
    wav[0] = 'x';
    CHECK_TRUE(player_wav(&s, wav, n) != NULL);
    CHECK_TRUE(s.ulaw == NULL);
}

/* Share of the energy at a frequency. */
static double share(const uint8_t *alaw, size_t n, double hertz) {
    double re = 0, im = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        double v = g711_from_alaw(alaw[i]), w = 6.283185307179586 * hertz * (double)i / 8000;
        re += v * cos(w);
        im += v * sin(w);
        all += v * v;
    }
    return all > 0 ? 2 * (re * re + im * im) / (all * (double)n) : 0;
}

static void test_ringback(void) {
    struct player_source s = { 0 };
    CHECK_TRUE(player_ringback(&s, "de"));
    CHECK_EQ(s.frames, 250);
    CHECK_TRUE(share(s.alaw, 8000, 425) > 0.97);
    CHECK_EQ(s.alaw[9000], 0xd5);
    CHECK_TRUE(player_ringback(&s, "us"));
    CHECK_EQ(s.frames, 300);
    CHECK_TRUE(share(s.alaw, 8000, 440) > 0.45 && share(s.alaw, 8000, 480) > 0.45);
    CHECK_TRUE(player_ringback(&s, "gb"));
    CHECK_EQ(s.ulaw[4000], 0xff);
    CHECK_TRUE(s.ulaw[5000] != 0xff || s.ulaw[5001] != 0xff);
    CHECK_TRUE(player_ringback(&s, "off"));
    CHECK_EQ(s.frames, 0);
    CHECK_FALSE(player_ringback(&s, "xx"));
}

/* Each country of the configuration has a tone. */
static void test_countries(void) {
    struct player_source s = { 0 };
    char name[4];
    unsigned n = 0;
    for (const char *at = PLAYER_COUNTRIES; at; at = strchr(at + 1, '|'), n++) {
        player_country(n, name);
        CHECK_TRUE(player_ringback(&s, name));
        CHECK_EQ(s.frames == 0, n == 0);
    }
    CHECK_TRUE(n > 10 && strcmp(name, "us") == 0);
    player_source_free(&s);
}

static void test_beat(void) {
    struct player p;
    struct relay r = { 0 };
    struct relay_play play = { .on = true, .alaw = true };
    player_open(&p, "off", "off", "off", NULL);
    CHECK_FALSE(player_due(&p, &r, 5000));
    CHECK_TRUE(player_deadline(&p, &r) == UINT64_MAX);
    r.player_count = 1;
    CHECK_TRUE(player_deadline(&p, &r) <= 5000);
    CHECK_TRUE(player_due(&p, &r, 5000));
    CHECK_FALSE(player_due(&p, &r, 5000));
    CHECK_EQ(player_deadline(&p, &r), 25000);
    CHECK_FALSE(player_due(&p, &r, 24999));
    CHECK_TRUE(player_due(&p, &r, 65000) && player_due(&p, &r, 65000) && player_due(&p, &r, 65000));
    CHECK_FALSE(player_due(&p, &r, 65000));
    CHECK_TRUE(player_due(&p, &r, 9000000)); /* nine seconds late: one frame, not 450 */
    CHECK_FALSE(player_due(&p, &r, 9000000));
    CHECK_EQ(player_payload(&p, &play)[0], 0xd5);
    play.alaw = false;
    CHECK_EQ(player_payload(&p, &play)[159], 0xff);
    player_close(&p);
}

int main(void) {
    return UNIT_RUN("player", UNIT(test_g711), UNIT(test_wav), UNIT(test_wrong_wav), UNIT(test_ringback),
                    UNIT(test_countries), UNIT(test_beat));
}
