/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/g711.h"

#define ULAW_BIAS 132
#define ULAW_MAX 32635

/* Position of the highest bit above the 8 lowest; 0 for anything below 256. */
static unsigned segment_of(unsigned magnitude) {
    unsigned segment = 0;
    while (segment < 7 && magnitude >> (segment + 8))
        segment++;
    return segment;
}

uint8_t g711_ulaw(int16_t linear) {
    int value = linear < 0 ? -(int)linear : linear;
    unsigned magnitude = (unsigned)(value > ULAW_MAX ? ULAW_MAX : value) + ULAW_BIAS;
    unsigned segment = segment_of(magnitude);
    unsigned code = segment << 4 | (magnitude >> (segment + 3) & 15);
    return (uint8_t)~(code | (linear < 0 ? 0x80u : 0));
}

int16_t g711_from_ulaw(uint8_t code) {
    unsigned plain = (uint8_t)~code, segment = plain >> 4 & 7;
    int magnitude = (int)((((plain & 15) << 3) + ULAW_BIAS) << segment) - ULAW_BIAS;
    return (int16_t)(plain & 0x80 ? -magnitude : magnitude);
}

uint8_t g711_alaw(int16_t linear) {
    unsigned magnitude = linear < 0 ? (unsigned)(-(int)linear - 1) : (unsigned)linear;
    unsigned segment = segment_of(magnitude);
    unsigned code = segment << 4 | (magnitude >> (segment ? segment + 3 : 4) & 15);
    return (uint8_t)((code | (linear < 0 ? 0 : 0x80u)) ^ 0x55);
}

int16_t g711_from_alaw(uint8_t code) {
    unsigned plain = code ^ 0x55u, segment = plain >> 4 & 7;
    unsigned low = (plain & 15) << 4 | 8;
    int magnitude = (int)(segment ? (low | 0x100) << (segment - 1) : low);
    return (int16_t)(plain & 0x80 ? magnitude : -magnitude);
}
