/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/phone/tone.h"

#include <math.h>

#define ULAW_BIAS 132
#define ULAW_CLIP 32635
#define TONE_AMPLITUDE 8000.0
#define TWO_PI 6.283185307179586

/* Number of the segment: position of the highest set bit above the lowest `from`. */
static unsigned segment_of(unsigned magnitude, unsigned from) {
    unsigned s = 0;
    while (s < 7 && magnitude >> (from + s + 1))
        s++;
    return s;
}

static uint8_t ulaw_encode(int32_t v) {
    uint8_t sign = v < 0 ? 0x80 : 0;
    unsigned magnitude = (unsigned)(v < 0 ? -v : v);
    if (magnitude > ULAW_CLIP)
        magnitude = ULAW_CLIP;
    magnitude += ULAW_BIAS;
    unsigned seg = segment_of(magnitude, 7);
    return (uint8_t)~(sign | seg << 4 | ((magnitude >> (seg + 3)) & 0x0f));
}

static int16_t ulaw_decode(uint8_t code) {
    code = (uint8_t)~code;
    int32_t v = ((((code & 0x0f) << 3) + ULAW_BIAS) << ((code >> 4) & 7)) - ULAW_BIAS;
    return (int16_t)(code & 0x80 ? -v : v);
}

static uint8_t alaw_encode(int32_t v) {
    uint8_t sign = v < 0 ? 0 : 0x80;
    unsigned magnitude = (unsigned)(v < 0 ? -v - 1 : v);
    unsigned seg = magnitude >> 8 ? segment_of(magnitude, 7) : 0;
    unsigned mantissa = (magnitude >> (seg ? seg + 3 : 4)) & 0x0f;
    return (uint8_t)((sign | seg << 4 | mantissa) ^ 0x55);
}

static int16_t alaw_decode(uint8_t code) {
    code ^= 0x55;
    unsigned seg = (code >> 4) & 7;
    int32_t v = ((code & 0x0f) << 4) + 8;
    if (seg)
        v = (v + 0x100) << (seg - 1);
    return (int16_t)(code & 0x80 ? v : -v);
}

uint8_t g711_encode(enum g711_law law, int16_t sample) {
    return law == G711_ULAW ? ulaw_encode(sample) : alaw_encode(sample);
}

int16_t g711_decode(enum g711_law law, uint8_t code) {
    return law == G711_ULAW ? ulaw_decode(code) : alaw_decode(code);
}

void tone_source_init(struct tone_source *t, double hertz) {
    t->phase = 0;
    t->step = TWO_PI * hertz / TONE_RATE;
}

void tone_source_fill(struct tone_source *t, enum g711_law law, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = g711_encode(law, (int16_t)(TONE_AMPLITUDE * sin(t->phase)));
        t->phase += t->step;
        if (t->phase >= TWO_PI)
            t->phase -= TWO_PI;
    }
}

double tone_share(const int16_t *samples, size_t n, double hertz) {
    double coeff = 2 * cos(TWO_PI * hertz / TONE_RATE), s1 = 0, s2 = 0, energy = 0;
    for (size_t i = 0; i < n; i++) {
        double s = samples[i] + coeff * s1 - s2;
        s2 = s1;
        s1 = s;
        energy += (double)samples[i] * samples[i];
    }
    if (energy < (double)n)
        return 0;
    return 2 * (s1 * s1 + s2 * s2 - coeff * s1 * s2) / ((double)n * energy);
}
