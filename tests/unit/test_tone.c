/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/phone/tone.h"
#include "tests/unit/unit.h"

#include <math.h>

/* ITU-T G.711: the codes of silence, of the largest values, and the sign's bit. */
static void test_known_codes(void) {
    CHECK_EQ(g711_encode(G711_ULAW, 0), 0xff);
    CHECK_EQ(g711_encode(G711_ULAW, 32767), 0x80);
    CHECK_EQ(g711_encode(G711_ULAW, -32768), 0x00);
    CHECK_EQ(g711_encode(G711_ALAW, 0), 0xd5);
    CHECK_EQ(g711_encode(G711_ALAW, 32767), 0xaa);
    CHECK_EQ(g711_encode(G711_ALAW, -32768), 0x2a);
    CHECK_EQ(g711_decode(G711_ULAW, 0x80), 32124);
    CHECK_EQ(g711_decode(G711_ALAW, 0xaa), 32256);
}

/* Every code is what its own value is coded as; mu-law has two zeros. */
static void test_each_code_again(void) {
    for (int law = G711_ULAW; law <= G711_ALAW; law++)
        for (int code = 0; code < 256; code++) {
            int16_t v = g711_decode((enum g711_law)law, (uint8_t)code);
            int again = g711_encode((enum g711_law)law, v);
            CHECK_TRUE(again == code || (law == G711_ULAW && code == 0x7f && again == 0xff));
        }
}

/* The step is a sixteenth of the segment, so the error stays below 1 in 32 and a few steps at the bottom. */
static void test_error_is_bounded(void) {
    int worst = 0;
    for (int law = G711_ULAW; law <= G711_ALAW; law++)
        for (int v = -32000; v <= 32000; v += 7) {
            int error = abs(v - g711_decode((enum g711_law)law, g711_encode((enum g711_law)law, (int16_t)v)));
            if (error > abs(v) / 32 + 9 && error > worst)
                worst = error;
        }
    CHECK_EQ(worst, 0);
}

static void hear(double hertz, enum g711_law law, int16_t out[TONE_WINDOW]) {
    struct tone_source t;
    uint8_t bytes[TONE_WINDOW];
    tone_source_init(&t, hertz);
    /* In pieces, as packets are: the phase goes on. */
    for (unsigned i = 0; i < TONE_WINDOW; i += 160)
        tone_source_fill(&t, law, bytes + i, 160);
    for (unsigned i = 0; i < TONE_WINDOW; i++)
        out[i] = g711_decode(law, bytes[i]);
}

static void test_tones_are_told_apart(void) {
    static const double hertz[] = { 440, 620, 880 };
    int16_t samples[TONE_WINDOW];
    for (int law = G711_ULAW; law <= G711_ALAW; law++)
        for (int sent = 0; sent < 3; sent++) {
            hear(hertz[sent], (enum g711_law)law, samples);
            for (int k = 0; k < 3; k++) {
                double share = tone_share(samples, TONE_WINDOW, hertz[k]);
                CHECK_TRUE(k == sent ? share > 0.99 : share < 0.01);
                share = tone_share(samples, 160, hertz[k]);
                CHECK_TRUE(k == sent ? share > TONE_SHARE_HEARD : share < 0.2);
            }
        }
}

/* The wrong law, silence and noise are no tone. */
static void test_what_is_no_tone(void) {
    int16_t samples[TONE_WINDOW] = { 0 };
    CHECK_TRUE(tone_share(samples, TONE_WINDOW, 440) == 0);
    uint32_t x = 1;
    for (unsigned i = 0; i < TONE_WINDOW; i++)
        x = x * 1664525u + 1013904223u, samples[i] = (int16_t)(x >> 16);
    CHECK_TRUE(tone_share(samples, TONE_WINDOW, 440) < 0.05);
    struct tone_source t;
    uint8_t bytes[TONE_WINDOW];
    tone_source_init(&t, 440);
    tone_source_fill(&t, G711_ULAW, bytes, TONE_WINDOW);
    for (unsigned i = 0; i < TONE_WINDOW; i++)
        samples[i] = g711_decode(G711_ALAW, bytes[i]);
    CHECK_TRUE(tone_share(samples, TONE_WINDOW, 440) < TONE_SHARE_HEARD);
}

int main(void) {
    return UNIT_RUN("tone", UNIT(test_known_codes), UNIT(test_each_code_again), UNIT(test_error_is_bounded),
                    UNIT(test_tones_are_told_apart), UNIT(test_what_is_no_tone));
}
